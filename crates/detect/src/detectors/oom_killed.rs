//! Killed for memory, as far as the API tells.

mod evicted;
mod killed;
mod remedy;
mod start;

use super::killed_by;
use crate::catalogue::{Failure, Stage, Verified};
use crate::{Detector, Finding, View};
use reckon_model::k8s::ContainerType;
use reckon_model::{Kind, Object};

const fn failure(slug: &'static str, title: &'static str, verified: Verified) -> Failure {
    Failure { slug, title, stage: Stage::Memory, family: "memory", echo: false, verified }
}

pub(crate) static DETECTOR: Detector = Detector {
    name: "oom_killed",
    failures: &[
        failure("oom-killed", "A container is killed for its memory", Verified::Live),
        failure("evicted", "A pod was evicted for memory", Verified::Recorded),
        // Before its volumes are mounted: a limit so small is the reason why they are not.
        Failure {
            stage: Stage::Volume,
            ..failure("killed-before-start", "A memory limit leaves no room to start", Verified::Live)
        },
    ],
    subjects: &[Kind::Pod],
    page: include_str!("oom_killed.md"),
    detect,
};

fn detect<'a>(view: &View<'a>, subject: &'a Object) -> Vec<Finding> {
    let Some(pod) = subject.pod() else { return Vec::new() };
    if pod.status.reason == "Evicted" && evicted::for_memory(&pod.status.message) {
        return evicted::finding(view, subject, pod).into_iter().collect();
    }
    // One that is on its way out is replaced or not wanted.
    if subject.meta.deleted.is_some() {
        return Vec::new();
    }
    let before_start = start::finding(view, subject, pod);
    let killed = pod.containers().filter_map(|(kind, container, status)| {
        let status = status?;
        // What has come to a good end since is over: an init container that succeeded on its second try.
        let done = status.state.terminated.as_ref().is_some_and(|end| end.exit_code == 0 && end.reason != "OOMKilled");
        if done || kind == ContainerType::Ephemeral {
            return None;
        }
        let end = [&status.state, &status.last_state]
            .into_iter()
            .filter_map(|state| state.terminated.as_ref())
            .find(|end| end.reason == "OOMKilled")?;
        if killed_by::recovered(view, status) {
            return None;
        }
        let workload = view.workload_of(subject);
        // A wrong success stays wrong; any other end is history once its work was done by another.
        if end.exit_code != 0 && killed_by::superseded(view, workload, subject) {
            return None;
        }
        Some(killed::Killed { view, subject, pod, workload, kind, container, status, end }.finding())
    });
    before_start.into_iter().chain(killed).collect()
}
