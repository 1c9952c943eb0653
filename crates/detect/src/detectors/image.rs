//! Images that are not pulled.

mod claim;
mod credentials;
mod reason;

use crate::catalogue::{Failure, Stage, Verified};
use crate::finding::{Fact, Finding, Place};
use crate::spot::{self, Spot};
use crate::{Detector, View, describe};
use jiff::SignedDuration;
use reason::Reason;
use reckon_model::document::{Role, Source};
use reckon_model::k8s::{Container, ContainerStatus, ContainerType, Event, Pod, Waiting};
use reckon_model::{Kind, Object, Timestamp, text};
use serde_json::json;
use std::borrow::Cow;

pub(crate) static DETECTOR: Detector = Detector {
    name: "image",
    failures: &[
        failure(
            "image-not-found",
            "the registry does not have the image",
            Verified::Live,
            include_str!("../pages/image-not-found.md"),
        ),
        failure(
            "image-auth",
            "the registry refuses the credentials, or there are none",
            Verified::Live,
            include_str!("../pages/image-auth.md"),
        ),
        failure(
            "image-rate-limited",
            "the registry was asked too often",
            Verified::Live,
            include_str!("../pages/image-rate-limited.md"),
        ),
        failure(
            "registry-unreachable",
            "the node does not reach the registry",
            Verified::Live,
            include_str!("../pages/registry-unreachable.md"),
        ),
        failure(
            "image-wrong-platform",
            "the image is not made for the node's processor",
            Verified::Live,
            include_str!("../pages/image-wrong-platform.md"),
        ),
        failure(
            "image-unusable",
            "the image cannot be used as it is named or signed",
            Verified::Live,
            include_str!("../pages/image-unusable.md"),
        ),
        Failure {
            echo: true,
            ..failure(
                "image-pull-failing",
                "the image is not pulled and nobody says why",
                Verified::Constructed,
                include_str!("../pages/image-pull-failing.md"),
            )
        },
    ],
    subjects: &[Kind::Pod],
    others: &[],
    detect,
};

const fn failure(slug: &'static str, title: &'static str, verified: Verified, page: &'static str) -> Failure {
    Failure { slug, title, stage: Stage::Image, family: "image", echo: false, verified, page }
}

/// What may heal by itself is given this long: one lost packet at a pod's start is no problem.
const PATIENCE: SignedDuration = SignedDuration::from_secs(60);

/// How many characters of a runtime's words a fact repeats; all of them are in its raw form.
const WORDS: usize = 240;

/// One container of one pod whose image is not there.
struct Case<'a, 'v> {
    view: &'v View<'a>,
    pod: &'a Object,
    body: &'a Pod,
    workload: &'a Object,
    spot: Option<Spot<'a>>,
    kind: ContainerType,
    container: &'a Container,
    /// What the runtime said, without the kubelet's own words; empty if nothing was heard.
    said: String,
    reason: Reason,
    /// Since when it is tried.
    onset: Option<Timestamp>,
}

fn detect<'a>(view: &View<'a>, subject: &'a Object) -> Vec<Finding> {
    let Some(pod) = subject.pod() else { return Vec::new() };
    if subject.meta.deleted.is_some() || pod.is_finished() {
        return Vec::new();
    }
    pod.containers()
        // A debugging container that does not start harms nobody but the one who waits for it, and is told at once.
        .filter(|(kind, ..)| *kind != ContainerType::Ephemeral)
        .filter_map(|(kind, container, status)| {
            let waiting = status?.state.waiting.as_ref().filter(|waiting| is_about_image(waiting))?;
            Case::open(view, subject, pod, kind, container, status?, waiting).claim(waiting)
        })
        .collect()
}

fn is_about_image(waiting: &Waiting) -> bool {
    matches!(
        waiting.reason.as_str(),
        "ErrImagePull"
            | "ImagePullBackOff"
            | "RegistryUnavailable"
            | "SignatureValidationFailed"
            | "InvalidImageName"
            | "ErrImageNeverPull"
            | "ImageInspectError"
    )
}

impl<'a, 'v> Case<'a, 'v> {
    fn open(
        view: &'v View<'a>,
        pod: &'a Object,
        body: &'a Pod,
        kind: ContainerType,
        container: &'a Container,
        status: &'a ContainerStatus,
        waiting: &'a Waiting,
    ) -> Self {
        let workload = view.workload_of(pod);
        let began = status.last_end().and_then(|end| end.finished_at).or(body.status.start_time).or(pod.meta.created);
        let (said, onset) = match own_words(&waiting.message) {
            Some(words) => (words.to_owned(), began),
            // Before 1.32 a back-off says nothing but that it is one; the reason stands in the Event of the last attempt.
            None => match last_attempt(view, pod, container) {
                Some(event) => (after_name(&event.message).to_owned(), began.max(event.first_seen())),
                None => (String::new(), began),
            },
        };
        let reason = reason::of(&waiting.reason, &said, &container.image);
        Case { view, pod, body, workload, spot: Spot::of(workload), kind, container, said, reason, onset }
    }

    fn claim(self, waiting: &Waiting) -> Option<Finding> {
        if self.reason.may_heal()
            && let Some(due) = self.onset.and_then(|onset| onset.checked_add(PATIENCE).ok())
            && !self.view.reached(due)
        {
            self.view.recheck_at(due);
            return None;
        }
        let claim::Claim { slug, class, verdict, what, cause, alternatives, facts, remedies } = claim::of(&self);
        let place = Place::container(self.workload, &self.container.name, self.kind);
        let title = format!("{}: {} {what}", describe::object(self.workload), self.container.name);
        let mut finding = Finding::new(slug, place, title, cause);
        finding.class = class;
        finding.verdict = verdict;
        finding.severity = spot::severity(self.workload);
        finding.shows_on = [self.pod.reference()].into();
        finding.alternatives = alternatives;
        finding.remedies = remedies;
        let words = if self.said.is_empty() { waiting.message.as_str() } else { self.said.as_str() };
        let said = format!("{} waits with {}: {}", self.container.name, waiting.reason, ending(words));
        finding.evidence.push(
            Fact::new(Role::Symptom, Source::Status, self.onset, self.pod, said.trim_end_matches([':', ' ']))
                .raw(json!({"reason": waiting.reason, "message": waiting.message})),
        );
        finding.evidence.extend(facts);
        Some(finding)
    }

    /// The image, short enough for a sentence.
    fn image(&self) -> String {
        text::shorten(&self.container.image, 120).into_owned()
    }

    /// Another pod of the workload that has this very image.
    fn has_it_elsewhere(&self) -> Option<&'a Object> {
        self.view.pods_of(self.workload).items.into_iter().find(|other| {
            let Some(body) = other.pod() else { return false };
            other.meta.name != self.pod.meta.name
                && body.containers().any(|(_, container, status)| {
                    container.name == self.container.name
                        && container.image == self.container.image
                        && status.is_some_and(|status| !status.image_id.is_empty())
                })
        })
    }
}

/// What a waiting message says beyond that there is a back-off.
fn own_words(message: &str) -> Option<&str> {
    let rest = match message.strip_prefix("Back-off pulling image ") {
        Some(_) => after_name(message),
        None => message,
    };
    let rest = rest.strip_prefix("ErrImagePull: ").unwrap_or(rest).trim();
    (!rest.is_empty()).then_some(rest)
}

/// What follows the quoted image in `Failed to pull image "x": …`; nothing where nothing does.
fn after_name(message: &str) -> &str {
    message.split_once("\": ").map_or("", |(_, rest)| rest)
}

/// The end of a long text: runtimes wrap errors from the outside in, and the reason comes last.
fn ending(words: &str) -> Cow<'_, str> {
    match words.chars().count().checked_sub(WORDS) {
        None | Some(0) => Cow::Borrowed(words),
        Some(over) => Cow::Owned(format!("…{}", words.chars().skip(over + 1).collect::<String>())),
    }
}

/// The newest Event that says why this container's image was not pulled.
fn last_attempt<'a>(view: &View<'a>, pod: &'a Object, container: &Container) -> Option<&'a Event> {
    view.events(pod).into_iter().rev().find(|event| {
        event.reason == "Failed"
            && event.message.starts_with("Failed to pull image ")
            && event.message.contains(&container.image)
            && event.container().is_none_or(|name| name == container.name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_back_off_alone_says_nothing() {
        assert_eq!(own_words("Back-off pulling image \"a:1\""), None);
        assert_eq!(own_words("Back-off pulling image \"a:1\": ErrImagePull: a:1: not found"), Some("a:1: not found"));
        assert_eq!(own_words("rpc error: x"), Some("rpc error: x"));
        assert_eq!(own_words(""), None);
    }
}
