//! The DNS of the cluster: its servers, what they are told, whom they ask, and pods that do not ask them.

mod config;
mod corefile;
mod down;
mod lookups;
mod pods;
mod server;
mod upstream;

use crate::catalogue::{Failure, Stage, Verified};
use crate::{Detector, Finding, View};
use reckon_model::{Body, Kind, Object};
use server::Server;
pub(in crate::detectors) use server::service;

pub(crate) static DETECTOR: Detector = Detector {
    name: "dns",
    failures: &[
        // Later than what keeps a pod from being made, and before what its program does: that is what people see of it.
        failure("dns-down", "The cluster's DNS is down", Stage::Probe, "dns", include_str!("../pages/dns-down.md")),
        failure(
            "dns-config",
            "The cluster's DNS does not take its configuration",
            Stage::Config,
            // One problem with the server being down: which of them it is, is known only with its log.
            "dns",
            include_str!("../pages/dns-config.md"),
        ),
        // What a program calls it when it ends differs from day to day.
        failure(
            "dns-pod-config",
            "A pod does not ask the cluster's DNS",
            Stage::Config,
            "crash",
            include_str!("../pages/dns-pod-config.md"),
        ),
        failure(
            "dns-upstream",
            "The servers that the cluster's DNS asks do not answer",
            Stage::Probe,
            "dns-upstream",
            include_str!("../pages/dns-upstream.md"),
        ),
    ],
    subjects: &[Kind::Service, Kind::Deployment, Kind::DaemonSet, Kind::Pod],
    others: &[],
    detect,
};

const fn failure(
    slug: &'static str,
    title: &'static str,
    stage: Stage,
    family: &'static str,
    page: &'static str,
) -> Failure {
    Failure { slug, title, stage, family, echo: false, verified: Verified::Constructed, page }
}

fn detect<'a>(view: &View<'a>, subject: &'a Object) -> Vec<Finding> {
    match &subject.body {
        Body::Service(_) => {
            let Some(server) = Server::of(view, subject) else { return Vec::new() };
            let mut findings: Vec<Finding> = config::found(&server).into_iter().collect();
            findings.extend(down::found(&server));
            findings
        }
        Body::Workload(_) if server::is_server(subject) => down::without_service(view, subject).into_iter().collect(),
        Body::Pod(pod) => pods::found(view, subject, pod),
        _ => Vec::new(),
    }
}
