//! Custom resources that nobody can use: their definition is missing, not accepted, or cannot be converted.

mod conversion;
mod definition;

use super::refusal::Refusal;
use super::rejection::Rejection;
use crate::catalogue::{Failure, Stage, Verified};
use crate::{Detector, Finding, View};
use reckon_model::k8s::ContainerType;
use reckon_model::{Kind, LogLine, Object};

/// One family with the ways in which programs end: what a program says of a kind is known only when its log is, and the problem
/// stays the same one.
const fn failure(slug: &'static str, title: &'static str, page: &'static str) -> Failure {
    Failure { slug, title, stage: Stage::Config, family: "crash", echo: false, verified: Verified::Constructed, page }
}

pub(crate) static DETECTOR: Detector = Detector {
    name: "crd",
    failures: &[
        failure("crd-unusable", "A custom resource is not served", include_str!("../pages/crd-unusable.md")),
        failure(
            "conversion-webhook",
            "Versions of a custom resource cannot be converted",
            include_str!("../pages/conversion-webhook.md"),
        ),
    ],
    subjects: &[Kind::Pod],
    others: &[("apiextensions.k8s.io", "CustomResourceDefinition")],
    detect,
};

/// How much of a log is looked through, from its end.
const LINES: usize = 200;

fn detect<'a>(view: &View<'a>, subject: &'a Object) -> Vec<Finding> {
    let found = match subject.kind {
        Kind::Pod => of_program(view, subject),
        _ => definition::found(view, subject).or_else(|| conversion::of_definition(view, subject)),
    };
    if view.is_waiting() { Vec::new() } else { found.into_iter().collect() }
}

/// The kind of definitions.
fn kind() -> Kind {
    Kind::of_group("apiextensions.k8s.io", "CustomResourceDefinition")
}

/// What a program that ends again and again says of a kind that it needs.
struct Said<'a> {
    pod: &'a Object,
    container: &'a str,
    sort: ContainerType,
    line: &'a LogLine,
}

/// A program that ends again and again because a kind is not served.
fn of_program<'a>(view: &View<'a>, subject: &'a Object) -> Option<Finding> {
    let pod = subject.pod().filter(|pod| subject.meta.deleted.is_none() && !pod.is_ready())?;
    pod.containers().find_map(|(sort, container, status)| {
        let status = status?;
        let waits = status.state.waiting.as_ref().is_some_and(|waiting| waiting.reason == "CrashLoopBackOff");
        if !waits || status.restart_count < 2 {
            return None;
        }
        let lines = view.log(subject, &container.name, true)?;
        lines.iter().rev().take(LINES).find_map(|line| {
            let said = Said { pod: subject, container: &container.name, sort, line };
            if let Some(Rejection::NoMatch { kind, group, version }) = Rejection::of(&line.text) {
                return definition::not_served(view, &said, kind, group, version);
            }
            match Refusal::of(&line.text) {
                Refusal::Conversion { version, kind, call } => conversion::of_program(view, &said, version, kind, call),
                _ => None,
            }
        })
    })
}
