//! Namespaces that do not go away.

use super::super::backend::{Backend, State};
use super::super::refusal::{Call, Refusal};
use super::{guardian, held};
use crate::spot;
use crate::{Fact, Finding, Lookup, Place, View, describe};
use jiff::SignedDuration;
use reckon_model::document::{Cause, CauseKind, RemedyKind, Risk, Role, Severity, Source, Verdict};
use reckon_model::k8s::Condition;
use reckon_model::{Kind, Object, ResourceRef, text};
use serde::Deserialize;
use serde_json::Value;

/// A namespace with much in it takes a while.
const GRACE: SignedDuration = SignedDuration::from_secs(300);

/// How many sorts of resources are looked into.
const SORTS: usize = 5;

/// The finding about a namespace that is being deleted.
pub(super) fn found<'a>(view: &View<'a>, namespace: &'a Object) -> Option<Finding> {
    let due = namespace.meta.deleted?.checked_add(GRACE).ok()?;
    if !view.reached(due) {
        view.recheck_at(due);
        return None;
    }
    let whole = namespace.whole()?;
    let conditions: Vec<Condition> =
        whole.pointer("/status/conditions").and_then(|list| Vec::deserialize(list).ok()).unwrap_or_default();
    let says = |kind: &str| Condition::find(&conditions, kind).filter(|condition| condition.is_true());
    let finding = says("NamespaceDeletionDiscoveryFailure")
        .map(|condition| discovery(view, namespace, condition))
        .or_else(|| says("NamespaceDeletionContentFailure").map(|condition| content(view, namespace, condition)))
        .or_else(|| {
            let (left, waits) = (says("NamespaceContentRemaining"), says("NamespaceFinalizersRemaining"));
            remaining(view, namespace, left, waits)
        })
        .or_else(|| own_finalizer(namespace, &whole))?;
    if view.is_waiting() { None } else { Some(finding) }
}

fn finding(namespace: &Object, class: &'static str, what: &str, cause: Cause) -> Finding {
    let title = format!("namespace {} was deleted and does not go away: {what}", namespace.meta.name);
    let mut finding = Finding::new("namespace-terminating", Place::of(namespace), title, cause);
    finding.class = Some(class);
    finding.severity = Severity::Warning;
    finding.opened = namespace.meta.deleted;
    finding
}

fn said(namespace: &Object, condition: &Condition) -> Fact {
    let text = format!("{}: {}", condition.kind, text::shorten(condition.message.trim(), 400));
    Fact::new(Role::Cause, Source::Condition, condition.since, namespace, text)
}

/// What an aggregated API serves cannot be listed, so it cannot be known to be empty.
fn discovery<'a>(view: &View<'a>, namespace: &'a Object, condition: &Condition) -> Finding {
    let Some((group, version)) = held::group_version(&condition.message) else {
        let sentence =
            format!("What is in namespace {} cannot be found out: {}", namespace.meta.name, condition.message);
        let cause = Cause::plain(CauseKind::Unknown, Some(&namespace.reference()), sentence);
        let mut finding = finding(namespace, "discovery", "an API cannot be discovered", cause);
        finding.evidence.push(said(namespace, condition));
        return finding;
    };
    let name = format!("{version}.{group}");
    let service = ResourceRef::new(Kind::of_group("apiregistration.k8s.io", "APIService"), None, &name);
    let found = view.look_up(&service).found();
    let backend = found.and_then(|found| {
        let whole = found.whole()?;
        let part =
            |key: &str| whole.pointer(&format!("/spec/service/{key}")).and_then(Value::as_str).map(str::to_owned);
        Some(Backend::of(view, &part("namespace")?, &part("name")?))
    });
    let behind = backend.as_ref().map(|backend| format!(" {}.", backend.words())).unwrap_or_default();
    let sentence = format!(
        "APIService {name} does not answer, so nobody can tell whether namespace {} still holds anything of {group}.{behind}",
        namespace.meta.name
    );
    let cause = Cause::plain(CauseKind::Resource, Some(&service), sentence);
    let mut finding = finding(namespace, "discovery", &format!("the API {group}/{version} does not answer"), cause);
    let ill = backend.as_ref().is_some_and(|backend| !backend.serves() && !matches!(backend.state, State::Unread));
    finding.verdict = if ill { Verdict::Confirmed } else { Verdict::Likely };
    finding.evidence.push(said(namespace, condition));
    finding.evidence.extend(backend.as_ref().and_then(Backend::fact));
    finding.remedies.extend(backend.as_ref().and_then(Backend::remedy));
    let mut delete = spot::remedy(
        RemedyKind::Delete,
        &service,
        format!("Bring up what serves it; if that was removed for good: kubectl delete apiservice {name}."),
    );
    delete.risk = Risk::Medium;
    if let Some(requires) = &mut delete.requires {
        "apiservices.apiregistration.k8s.io".clone_into(&mut requires.resource);
    }
    finding.remedies.push(delete);
    finding
}

/// Something in it cannot be deleted: a webhook has to be asked, or versions converted.
fn content<'a>(view: &View<'a>, namespace: &'a Object, condition: &Condition) -> Finding {
    let message = condition.message.trim();
    let (what, call): (String, Option<Call<'_>>) = match Refusal::of(message) {
        Refusal::Webhook { name, call } => (format!("webhook {name} could not be called"), Some(call)),
        Refusal::Conversion { version, kind, call } => {
            (format!("{kind} of {version} cannot be converted: its webhook could not be called"), Some(call))
        }
        Refusal::Denied { by, .. } => (format!("{by} denies the deletion"), None),
        _ => (format!("its content cannot be deleted: {}", text::shorten(message, 160)), None),
    };
    let sentence = format!("Namespace {} is not emptied: {what}.", namespace.meta.name);
    let backend = call.and_then(|call| call.service).map(|(space, name)| Backend::of(view, space, name));
    let cause = match &backend {
        Some(backend) => backend.cause(view, None, &sentence),
        None => Cause::plain(CauseKind::Unknown, Some(&namespace.reference()), sentence),
    };
    let class = if call.is_some() { "webhook" } else { "content" };
    let mut finding = finding(namespace, class, &what, cause);
    let ill = backend.as_ref().is_some_and(|it| !it.serves() && !matches!(it.state, State::Unread));
    finding.verdict = if ill { Verdict::Confirmed } else { Verdict::Likely };
    finding.evidence.push(said(namespace, condition));
    finding.evidence.extend(backend.as_ref().and_then(Backend::fact));
    finding.remedies.extend(backend.as_ref().and_then(Backend::remedy));
    if let (Some(backend), true) = (&backend, finding.remedies.is_empty()) {
        let sentence = format!(
            "Bring up what serves Service {}; if it was removed for good, delete the configuration that still asks it.",
            describe::name(&backend.service)
        );
        finding.remedies.push(spot::remedy(RemedyKind::Outside, &backend.service, sentence));
    }
    finding
}

/// Objects are left, mostly because of their finalizers.
fn remaining<'a>(
    view: &View<'a>,
    namespace: &'a Object,
    left: Option<&Condition>,
    waits: Option<&Condition>,
) -> Option<Finding> {
    let condition = waits.or(left)?;
    let finalizers = waits.map(|waits| held::finalizers(&waits.message)).unwrap_or_default();
    let resources = left.map(|left| held::resources(&left.message)).unwrap_or_default();
    let kinds: Vec<Kind> =
        resources.iter().take(SORTS).filter_map(|(plural, group)| kind(view, plural, group)).collect();
    let objects: Vec<&Object> = kinds
        .iter()
        .flat_map(|kind| view.all(kind, Some(&namespace.meta.name)).items)
        .filter(|object| object.meta.deleted.is_some())
        .collect();
    let holding = |object: &&&Object| object.meta.finalizers.iter().any(|it| finalizers.contains(&it.as_str()));
    let first = objects.iter().find(holding).or(objects.first());
    let mut finding = match first {
        Some(object) => of_object(view, namespace, object, &finalizers),
        None => {
            let what = match (finalizers.first(), resources.first()) {
                (Some(finalizer), Some((plural, _))) => format!("{plural} are left, with the finalizer {finalizer}"),
                (Some(finalizer), None) => format!("the finalizer {finalizer} is not taken away"),
                (None, Some((plural, _))) => format!("{plural} are left"),
                (None, None) => "something is left in it".to_owned(),
            };
            let sentence =
                format!("In namespace {} {what}; which objects these are was not found.", namespace.meta.name);
            let cause = Cause::plain(CauseKind::Unknown, Some(&namespace.reference()), sentence);
            finding(namespace, "content", &what, cause)
        }
    };
    finding.shows_on.extend(objects.iter().map(|object| object.reference()));
    finding.evidence.extend(left.filter(|left| left.kind != condition.kind).map(|left| said(namespace, left)));
    finding.evidence.push(said(namespace, condition));
    Some(finding)
}

/// One object that is left, and why it is.
fn of_object<'a>(view: &View<'a>, namespace: &Object, object: &'a Object, finalizers: &[&str]) -> Finding {
    let name = format!("{} {}", object.kind.singular(), describe::object(object));
    let foreign = guardian::foreign(object);
    let finalizer = foreign.iter().find(|it| finalizers.contains(it)).or(foreign.first());
    let Some(finalizer) = finalizer else {
        let sentence = format!("{name} was deleted with the namespace and is still there.");
        let cause = Cause::plain(CauseKind::Resource, Some(&object.reference()), sentence);
        return finding(namespace, "content", &format!("{name} is left"), cause);
    };
    let holding = guardian::holding(view, object, finalizer);
    let what = format!("the finalizer {finalizer} of {name} is not taken away");
    let mut finding = finding(namespace, "finalizer", &what, holding.cause);
    finding.verdict = holding.verdict;
    finding.shows_on.extend(holding.workload.map(Object::reference));
    finding.evidence.extend(holding.facts);
    finding.remedies = holding.remedies;
    finding
}

/// The kind of a resource; of those without a name here the CustomResourceDefinition tells it.
fn kind(view: &View<'_>, plural: &str, group: &str) -> Option<Kind> {
    let word = if group.is_empty() { plural.to_owned() } else { format!("{plural}.{group}") };
    if let Some(kind) = Kind::parse(&word).filter(|kind| kind.group() == group) {
        return Some(kind);
    }
    let definition = Kind::of_group("apiextensions.k8s.io", "CustomResourceDefinition");
    let Lookup::Found(definition) = view.object(&definition, None, &word) else { return None };
    let whole = definition.whole()?;
    let name = whole.pointer("/spec/names/kind").and_then(Value::as_str)?;
    Some(Kind::of_group(group, name))
}

/// A finalizer of the namespace itself that is not Kubernetes' own.
fn own_finalizer(namespace: &Object, whole: &Value) -> Option<Finding> {
    let list = whole.pointer("/spec/finalizers")?.as_array()?;
    let other = list.iter().filter_map(Value::as_str).find(|it| *it != "kubernetes");
    let meta = namespace.meta.finalizers.first().map(String::as_str);
    let (finalizer, field, pointer) = match (other, meta) {
        (Some(finalizer), _) => (finalizer, "spec.finalizers", "/spec/finalizers"),
        (None, Some(finalizer)) => (finalizer, "metadata.finalizers", "/metadata/finalizers"),
        (None, None) => return None,
    };
    let sentence = format!("The finalizer {finalizer} of namespace {} is not taken away.", namespace.meta.name);
    let cause = Cause::plain(CauseKind::Resource, Some(&namespace.reference()), sentence).at_field(
        field,
        pointer,
        Some(finalizer.into()),
    );
    Some(finding(namespace, "finalizer", &format!("its own finalizer {finalizer} is not taken away"), cause))
}
