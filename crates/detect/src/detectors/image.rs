//! Images that cannot be pulled.

use super::crash::pointer;
use crate::catalogue::{Failure, Stage, Verified};
use crate::{Detector, Fact, Finding, Lookup, Place, View, blame, describe, ownership};
use reckon_model::document::{Cause, CauseKind, Ref, Remedy, RemedyKind, Requires, Risk, Role, Source, Verdict};
use reckon_model::k8s::{Container, ContainerType, Pod, Waiting};
use reckon_model::{Kind, Object, ResourceRef, Timestamp, text};
use serde_json::json;

const fn failure(slug: &'static str, title: &'static str, echo: bool, verified: Verified) -> Failure {
    Failure { slug, title, stage: Stage::Image, family: "image", echo, verified }
}

pub(crate) static DETECTOR: Detector = Detector {
    name: "image",
    failures: &[
        failure("image-not-found", "An image does not exist", false, Verified::Live),
        failure("image-auth", "A registry refuses the credentials", false, Verified::Live),
        failure("image-rate-limited", "A registry limits the rate", false, Verified::Live),
        failure("registry-unreachable", "A registry cannot be reached", false, Verified::Live),
        failure("image-wrong-platform", "An image has no variant for the node", false, Verified::Live),
        failure("image-unusable", "An image reference or policy cannot work", false, Verified::Constructed),
        failure("image-pull-failing", "An image cannot be pulled", true, Verified::Constructed),
    ],
    subjects: &[Kind::Pod],
    page: include_str!("image.md"),
    detect,
};

/// What a message of the runtime says, by the first fragment that is in it (in lower case). The order matters: a refusal
/// for want of credentials is often worded as "does not exist or may require authorization".
const REASONS: [(&str, &str, &str); 24] = [
    ("no match for platform", "image-wrong-platform", "the image has no variant for the node's platform"),
    (
        "does not match the specified platform",
        "image-wrong-platform",
        "the image has no variant for the node's platform",
    ),
    ("429 too many requests", "image-rate-limited", "the registry limits the rate"),
    ("toomanyrequests", "image-rate-limited", "the registry limits the rate"),
    ("401 unauthorized", "image-auth", "the registry refuses the credentials (401)"),
    ("403 forbidden", "image-auth", "the registry refuses the access (403)"),
    ("insufficient_scope", "image-auth", "the registry refuses the access"),
    ("no basic auth credentials", "image-auth", "the registry wants credentials and got none"),
    ("authorization failed", "image-auth", "the registry refuses the credentials"),
    (
        "pull access denied",
        "image-auth",
        "the image does not exist or wants credentials; the registry does not say which",
    ),
    ("failed to fetch anonymous token", "image-auth", "the registry gives no token to anybody without credentials"),
    ("failed to fetch oauth token", "image-auth", "the registry gives no token for these credentials"),
    ("manifest unknown", "image-not-found", "the registry has no such tag"),
    ("manifest for", "image-not-found", "the registry has no such tag"),
    (": not found", "image-not-found", "the registry has no such image"),
    ("name unknown", "image-not-found", "the registry has no such image"),
    ("no such host", "registry-unreachable", "the registry's name cannot be resolved"),
    (
        "server gave http response to https client",
        "registry-unreachable",
        "the registry speaks HTTP where HTTPS is expected",
    ),
    ("x509:", "registry-unreachable", "the registry's certificate is not trusted"),
    ("connection refused", "registry-unreachable", "nothing listens at the registry's address"),
    ("i/o timeout", "registry-unreachable", "the registry does not answer"),
    ("no route to host", "registry-unreachable", "there is no route to the registry"),
    ("network is unreachable", "registry-unreachable", "there is no route to the registry"),
    ("connection reset", "registry-unreachable", "the connection to the registry breaks"),
];

fn detect<'a>(view: &View<'a>, subject: &'a Object) -> Vec<Finding> {
    let Some(pod) = subject.pod() else { return Vec::new() };
    if subject.meta.deleted.is_some() {
        return Vec::new();
    }
    pod.containers()
        .filter_map(|(kind, container, status)| {
            let waiting = status?.state.waiting.as_ref()?;
            look(view, subject, pod, kind, container, waiting)
        })
        .collect()
}

fn look<'a>(
    view: &View<'a>,
    subject: &'a Object,
    pod: &'a Pod,
    kind: ContainerType,
    container: &'a Container,
    waiting: &'a Waiting,
) -> Option<Finding> {
    let unusable = match waiting.reason.as_str() {
        "InvalidImageName" => Some(("invalid-name", "is not a valid image reference")),
        "ErrImageNeverPull" => Some(("never-pull", "is not on the node, and the pull policy is Never")),
        "ImageInspectError" => Some(("inspect-error", "is on the node and cannot be read")),
        "SignatureValidationFailed" => Some(("signature", "does not carry the signature the node asks for")),
        "ErrImagePull" | "ImagePullBackOff" | "RegistryUnavailable" => None,
        _ => return None,
    };
    let workload = view.workload_of(subject);
    let (said, first, last) = message(view, subject, container, waiting);
    let known = said.to_lowercase();
    let reason = REASONS.iter().find(|(fragment, _, _)| known.contains(fragment));
    let (slug, class, why) = match (unusable, reason) {
        (Some((class, why)), _) => ("image-unusable", Some(class), format!("the image {why}")),
        (None, Some((_, slug, why))) => (*slug, None, (*why).to_owned()),
        (None, None) => ("image-pull-failing", None, "the reason is not known".to_owned()),
    };
    let image = &container.image;
    let changed = blame::template_change(view, workload, Some(subject), None, |change| {
        (change.field.contains(&format!("[{}]", container.name))
            && (change.field.ends_with(".image") || change.field.ends_with(".imagePullPolicy")))
        .then_some(u8::from(!change.field.ends_with(".image")))
    });
    let outside = matches!(slug, "image-rate-limited" | "registry-unreachable");
    let cause = match (pull_secret(view, subject, pod).filter(|_| slug == "image-auth"), changed) {
        (Some(missing), _) => blame::missing_reference(
            view,
            workload,
            &missing,
            &format!(
                "{}.imagePullSecrets[{}]",
                if workload.kind == Kind::Pod { "spec" } else { "spec.template.spec" },
                missing.name
            ),
            &format!("{}/imagePullSecrets", if workload.kind == Kind::Pod { "/spec" } else { "/spec/template/spec" }),
        ),
        (None, Some(blame)) if !matches!(slug, "image-rate-limited") => {
            let sentence = format!("The image of {} was {}, and {why}.", container.name, blame.words());
            blame.cause(view, sentence)
        }
        _ => {
            let kind = if outside || slug == "image-auth" { CauseKind::External } else { CauseKind::Resource };
            let prefix = if workload.kind == Kind::Pod { "spec" } else { "spec.template.spec" };
            let mut cause = Cause::plain(
                kind,
                Some(&workload.reference()),
                format!("{} cannot be pulled: {why}.", text::shorten(image, 120)),
            );
            cause.managed_by = ownership::managed_by(workload).map(str::to_owned);
            cause.at_field(
                format!("{prefix}.containers[{}].image", container.name),
                pointer(workload, &container.name, "image"),
                Some(json!(image)),
            )
        }
    };
    let title = format!(
        "{}: the image {} of {} cannot be pulled, {why}",
        describe::object(workload),
        text::shorten(image, 120),
        container.name
    );
    let from = cause.from.as_ref().and_then(|from| from.as_str().map(str::to_owned));
    let mut finding = Finding::new(slug, Place::container(workload, &container.name, kind), title, cause);
    finding.class = class;
    finding.shows_on = [subject.reference()].into();
    finding.verdict = match slug {
        "image-pull-failing" => Verdict::Unknown,
        // The registry does not tell a missing image from a private one.
        "image-auth" if known.contains("pull access denied") => Verdict::Likely,
        _ => Verdict::Confirmed,
    };
    finding.opened = first.or(subject.meta.created);
    finding.evidence.push(
        Fact::new(Role::Symptom, Source::Event, last.or(first), subject, text::shorten(said.trim(), 400))
            .raw(json!(said)),
    );
    if let Some(old) = from.filter(|_| workload.kind != Kind::Pod) {
        finding.remedies.push(Remedy {
            option: 0,
            kind: RemedyKind::Patch,
            reference: Some(Ref::from(&workload.reference())),
            managed_by: ownership::managed_by(workload).map(str::to_owned),
            patch_type: Some("strategic".to_owned()),
            patch: Some(
                json!({"spec": {"template": {"spec": {"containers": [{"name": container.name, "image": old}]}}}}),
            ),
            risk: Risk::Low,
            reversible: true,
            requires: Some(Requires { verb: "patch".to_owned(), resource: workload.kind.resource() }),
            allowed: None,
            sentence: format!("Go back to the image {old}, which was pulled before."),
        });
    }
    if outside {
        finding.remedies.push(Remedy {
            option: 0,
            kind: RemedyKind::Outside,
            reference: None,
            managed_by: None,
            patch_type: None,
            patch: None,
            risk: Risk::Low,
            reversible: true,
            requires: None,
            allowed: None,
            sentence: format!("Ask whoever runs the registry or the nodes' network: {why}."),
        });
    }
    Some(finding)
}

/// What the runtime said, from the status where it stands there (from 1.32), else from the newest event, with the times
/// of the first and the last.
fn message<'a>(
    view: &View<'a>,
    pod: &'a Object,
    container: &Container,
    waiting: &Waiting,
) -> (String, Option<Timestamp>, Option<Timestamp>) {
    let events = view.events(pod);
    let failed: Vec<_> = events
        .iter()
        .filter(|event| event.reason == "Failed" && event.container().is_none_or(|name| name == container.name))
        .filter(|event| event.message.contains("image"))
        .collect();
    let first = failed.iter().filter_map(|event| event.first_seen()).min();
    let last = failed.iter().filter_map(|event| event.last_seen()).max();
    let told = waiting.message.contains(": ");
    let said = match failed.last() {
        Some(event) if !told => event.message.clone(),
        _ => waiting.message.clone(),
    };
    (if said.is_empty() { waiting.reason.clone() } else { said }, first, last)
}

/// A pull secret that the pod names and that does not exist.
fn pull_secret(view: &View<'_>, pod: &Object, body: &Pod) -> Option<ResourceRef> {
    body.spec
        .image_pull_secrets
        .iter()
        .map(|secret| ResourceRef::new(Kind::Secret, pod.meta.namespace.as_deref(), &secret.name))
        .find(|secret| matches!(view.look_up(secret), Lookup::Absent { .. }))
}
