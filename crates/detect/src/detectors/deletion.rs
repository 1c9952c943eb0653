//! What was deleted and does not go away.

mod finalizer;
mod guardian;
mod held;
mod namespace;
mod pod;

use crate::catalogue::{Failure, Stage, Verified};
use crate::{Detector, Finding, View};
use reckon_model::{Kind, Object};

/// One family: what holds an object up is what its deletion waits for, whatever that is today. A namespace waits for what is
/// in it.
const fn failure(
    slug: &'static str,
    title: &'static str,
    stage: Stage,
    verified: Verified,
    page: &'static str,
) -> Failure {
    Failure { slug, title, stage, family: "deletion", echo: false, verified, page }
}

pub(crate) static DETECTOR: Detector = Detector {
    name: "deletion",
    failures: &[
        failure(
            "pod-stuck-terminating",
            "A pod that was deleted does not end",
            Stage::Readiness,
            Verified::Constructed,
            include_str!("../pages/pod-stuck-terminating.md"),
        ),
        failure(
            "finalizer-stuck",
            "A finalizer keeps an object from being deleted",
            Stage::Readiness,
            Verified::Live,
            include_str!("../pages/finalizer-stuck.md"),
        ),
        failure(
            "namespace-terminating",
            "A namespace that was deleted does not go away",
            Stage::Rollout,
            Verified::Constructed,
            include_str!("../pages/namespace-terminating.md"),
        ),
    ],
    subjects: &[
        Kind::Namespace,
        Kind::Node,
        Kind::Pod,
        Kind::Deployment,
        Kind::ReplicaSet,
        Kind::StatefulSet,
        Kind::DaemonSet,
        Kind::ReplicationController,
        Kind::Job,
        Kind::CronJob,
        Kind::Service,
        Kind::ConfigMap,
        Kind::Secret,
        Kind::ServiceAccount,
        Kind::PersistentVolumeClaim,
        Kind::PersistentVolume,
        Kind::StorageClass,
        Kind::HorizontalPodAutoscaler,
    ],
    others: &[],
    detect,
};

fn detect<'a>(view: &View<'a>, subject: &'a Object) -> Vec<Finding> {
    if subject.meta.deleted.is_none() {
        return Vec::new();
    }
    let found = match subject.kind {
        Kind::Pod => pod::found(view, subject),
        Kind::Namespace => namespace::found(view, subject),
        _ => finalizer::found(view, subject),
    };
    found.into_iter().collect()
}
