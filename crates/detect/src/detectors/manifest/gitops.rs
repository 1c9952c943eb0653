//! Argo CD and Flux keep in their status what the API server said to them.

use super::super::backend::Backend;
use super::super::refusal::Refusal;
use super::super::rejection::Rejection;
use crate::{Fact, Finding, View, describe};
use reckon_model::document::{Cause, CauseKind, RemedyKind, Role, Source, Verdict};
use reckon_model::{Kind, Object, ResourceRef, Timestamp, text};
use serde_json::{Value, json};

/// What a release says of what it could not apply.
struct Said {
    message: String,
    since: Option<Timestamp>,
    source: Source,
}

/// The finding about a release whose last try failed in known words. What it says otherwise is shown where it is asked about.
pub(super) fn found<'a>(view: &View<'a>, release: &'a Object) -> Option<Finding> {
    if release.meta.deleted.is_some() {
        return None;
    }
    let whole = release.whole()?;
    let said = if release.kind.name() == "Application" { of_argo(&whole) } else { of_flux(release, &whole) };
    said.iter().find_map(|said| of_message(view, release, &whole, said))
}

fn time(value: &Value, pointer: &str) -> Option<Timestamp> {
    value.pointer(pointer)?.as_str()?.parse().ok()
}

fn text_at(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or("").to_owned()
}

/// The last operation, the objects of it that failed, and conditions that tell of an error.
fn of_argo(whole: &Value) -> Vec<Said> {
    const MOST: usize = 50;
    let mut said = Vec::new();
    let phase = text_at(whole, "/status/operationState/phase");
    if matches!(phase.as_str(), "Failed" | "Error") {
        let since = time(whole, "/status/operationState/finishedAt");
        let resources = whole.pointer("/status/operationState/syncResult/resources").and_then(Value::as_array);
        let failed = resources.into_iter().flatten().take(MOST).filter(|it| text_at(it, "/status") == "SyncFailed");
        said.extend(failed.map(|it| Said { message: text_at(it, "/message"), since, source: Source::Status }));
        said.push(Said { message: text_at(whole, "/status/operationState/message"), since, source: Source::Status });
    }
    let conditions = whole.pointer("/status/conditions").and_then(Value::as_array);
    let errors = conditions.into_iter().flatten().take(MOST).filter(|it| text_at(it, "/type").ends_with("Error"));
    said.extend(errors.map(|it| Said {
        message: text_at(it, "/message"),
        since: time(it, "/lastTransitionTime"),
        source: Source::Condition,
    }));
    said
}

/// The condition `Ready`, where it speaks of what is wanted now.
fn of_flux(release: &Object, whole: &Value) -> Vec<Said> {
    let conditions = whole.pointer("/status/conditions").and_then(Value::as_array);
    let failed = conditions.into_iter().flatten().filter(|it| {
        let stale =
            it.get("observedGeneration").and_then(Value::as_i64).is_some_and(|of| Some(of) < release.meta.generation);
        !stale && matches!(text_at(it, "/type").as_str(), "Ready" | "Released") && text_at(it, "/status") == "False"
    });
    failed
        .map(|it| Said {
            message: text_at(it, "/message"),
            since: time(it, "/lastTransitionTime"),
            source: Source::Condition,
        })
        .collect()
}

fn of_message<'a>(view: &View<'a>, release: &'a Object, whole: &Value, said: &Said) -> Option<Finding> {
    let message = said.message.trim();
    let manager = if release.kind.name() == "Application" { "argocd" } else { "flux" };
    let name = format!("{} {}", release.kind.name(), describe::object(release));
    let mut finding = match Rejection::of(message) {
        Some(Rejection::NoMatch { kind, group, version }) => {
            let api = version.map_or_else(|| group.to_owned(), |version| format!("{group}/{version}"));
            let why = format!("{kind} of {api} is not served");
            let cause = Cause::plain(
                CauseKind::Resource,
                Some(&release.reference()),
                format!("{name} has manifests that the cluster does not know: {why}."),
            );
            let mut finding = super::finding(release, "no-such-kind", format!("{name}: {why}"), cause);
            finding.remedies.push(super::serve(&release.reference(), group, version));
            finding
        }
        Some(Rejection::Immutable { kind, name: object, field }) => {
            let on = ResourceRef::new(
                Kind::parse(kind).unwrap_or_else(|| Kind::of_group("", kind)),
                Some(&namespace(release, whole)),
                object,
            );
            let of = format!("{} {}", on.kind.singular(), describe::name(&on));
            let what = match field {
                "spec" => format!("what is left of the spec of {of} beside replicas, template and strategy"),
                _ => format!("{field} of {of}"),
            };
            let sentence = format!("{name} wants to change {what}; that may not be changed.");
            let pointer = format!("/{}", field.replace('.', "/"));
            let cause = super::of_field(&on, (field, &pointer), None, manager, sentence);
            let mut finding = super::finding(release, "immutable", format!("{name}: {what} may not be changed"), cause);
            finding.remedies = super::make_again(&on, field);
            finding
        }
        None => refused(view, release, &name, message)?,
    };
    finding.verdict = Verdict::Confirmed;
    finding.opened = said.since;
    let words = text::shorten(message, 400).into_owned();
    finding.evidence.push(Fact::new(Role::Cause, said.source, said.since, release, words).raw(json!(message)));
    Some(finding)
}

/// Where a release puts its objects.
fn namespace(release: &Object, whole: &Value) -> String {
    let places = ["/spec/destination/namespace", "/spec/targetNamespace"];
    let named = places.iter().map(|at| text_at(whole, at)).find(|name| !name.is_empty());
    named.unwrap_or_else(|| release.namespace().to_owned())
}

/// A quota, a webhook or a policy stands in the way of a release as it does of pods.
fn refused<'a>(view: &View<'a>, release: &'a Object, name: &str, message: &str) -> Option<Finding> {
    let (why, service) = match Refusal::of(message) {
        Refusal::Webhook { name, call } => {
            (format!("webhook {name} could not be called: {}", text::shorten(call.what, 160)), call.service)
        }
        Refusal::Conversion { version, kind, call } => {
            (format!("{kind} of {version} cannot be converted: {}", text::shorten(call.what, 160)), call.service)
        }
        Refusal::Denied { by, what, .. } => (format!("{by} denies it: {}", text::shorten(what, 160)), None),
        Refusal::Quota { quota, .. } => (format!("quota {quota} is used up"), None),
        _ => return None,
    };
    let sentence = format!("The API server refuses what {name} applies: {why}.");
    let cause = match service {
        Some((namespace, service)) => Backend::of(view, namespace, service).cause(view, None, &sentence),
        None => Cause::plain(CauseKind::Resource, Some(&release.reference()), sentence),
    };
    let mut finding = super::finding(release, "refused", format!("{name}: {why}"), cause);
    let sentence = "Do what the words ask for; the release is tried again by itself.";
    finding.remedies.push(crate::spot::remedy(RemedyKind::Outside, &release.reference(), sentence));
    Some(finding)
}
