//! Definitions that are missing, or that the API server does not accept.

use super::super::rejection::removed_in;
use super::Said;
use crate::spot;
use crate::{Fact, Finding, Place, View, describe, ownership};
use jiff::SignedDuration;
use reckon_model::document::{Cause, CauseKind, Remedy, RemedyKind, Risk, Role, Severity, Source, Verdict};
use reckon_model::k8s::Condition;
use reckon_model::{Change, Object, ResourceRef, Verb, text};
use serde::Deserialize;
use serde_json::{Value, json};

/// What is being deleted takes its instances with it, which may take a while.
const GRACE: SignedDuration = SignedDuration::from_secs(300);

const RESOURCE: &str = "customresourcedefinitions.apiextensions.k8s.io";

fn conditions(definition: &Object) -> Vec<Condition> {
    let whole = definition.whole();
    let list = whole.as_ref().and_then(|whole| whole.pointer("/status/conditions"));
    list.and_then(|list| Vec::deserialize(list).ok()).unwrap_or_default()
}

/// What a definition says of itself.
pub(super) fn found<'a>(view: &View<'a>, definition: &'a Object) -> Option<Finding> {
    let conditions = conditions(definition);
    let is =
        |kind: &str, status: &str| Condition::find(&conditions, kind).filter(|condition| condition.status == status);
    let name = &definition.meta.name;
    if let Some(condition) = is("Terminating", "True").filter(|_| definition.meta.deleted.is_some()) {
        let due = definition.meta.deleted?.checked_add(GRACE).ok()?;
        if !view.reached(due) {
            view.recheck_at(due);
            return None;
        }
        let sentence = format!(
            "CustomResourceDefinition {name} was deleted, and its instances are not gone: {}.",
            said(condition)
        );
        let cause = Cause::plain(CauseKind::Resource, Some(&definition.reference()), sentence);
        let mut finding = finding(definition, condition, "terminating", "was deleted and does not go away", cause);
        finding.severity = Severity::Warning;
        finding.verdict = Verdict::Likely;
        let sentence = format!(
            "Look for instances that have finalizers (kubectl get {name} -A -o yaml), and for their controller: its deletion waits for them."
        );
        finding.remedies.push(remedy(definition, RemedyKind::Outside, sentence));
        return Some(finding);
    }
    if let Some(condition) = is("NamesAccepted", "False") {
        return Some(names(view, definition, condition));
    }
    if let Some(condition) = is("Established", "False").filter(|condition| condition.reason != "Installing") {
        let (field, pointer) = match condition.reason.as_str() {
            "InvalidCABundle" => {
                ("spec.conversion.webhook.clientConfig.caBundle", "/spec/conversion/webhook/clientConfig/caBundle")
            }
            _ => ("spec.names", "/spec/names"),
        };
        let sentence = format!("The API server does not serve CustomResourceDefinition {name}: {}.", said(condition));
        let cause = plain(definition, sentence).at_field(field, pointer, None);
        let mut finding = finding(definition, condition, "not-established", "is not served", cause);
        finding.remedies.push(remedy(definition, RemedyKind::Patch, format!("Correct {field}.")));
        return Some(finding);
    }
    let condition = is("NonStructuralSchema", "True")?;
    let path = condition.message.split(": ").next().filter(|path| path.starts_with("spec.")).unwrap_or("spec.versions");
    let sentence = format!(
        "The schema of CustomResourceDefinition {name} is not structural, so nothing is pruned or defaulted: {}.",
        said(condition)
    );
    let cause = plain(definition, sentence).at_field(path, "/spec/versions", None);
    let mut finding = finding(definition, condition, "schema", "has a schema that is not structural", cause);
    finding.severity = Severity::Warning;
    finding.remedies.push(remedy(definition, RemedyKind::Patch, format!("Give {path} what the message asks for.")));
    Some(finding)
}

fn said(condition: &Condition) -> String {
    let words = if condition.message.is_empty() { &condition.reason } else { &condition.message };
    text::shorten(words.trim().trim_end_matches('.'), 200).into_owned()
}

fn plain(definition: &Object, sentence: String) -> Cause {
    let mut cause = Cause::plain(CauseKind::Resource, Some(&definition.reference()), sentence);
    cause.managed_by = ownership::managed_by(definition);
    cause
}

fn remedy(definition: &Object, kind: RemedyKind, sentence: String) -> Remedy {
    let mut remedy = spot::remedy(kind, &definition.reference(), sentence);
    remedy.managed_by = ownership::managed_by(definition);
    if let Some(requires) = &mut remedy.requires {
        RESOURCE.clone_into(&mut requires.resource);
    }
    remedy
}

fn finding(definition: &Object, condition: &Condition, class: &'static str, what: &str, cause: Cause) -> Finding {
    let title = format!("CustomResourceDefinition {} {what}", definition.meta.name);
    let mut finding = Finding::new("crd-unusable", Place::of(definition), title, cause);
    finding.class = Some(class);
    finding.verdict = Verdict::Confirmed;
    finding.opened = condition.since;
    let text = format!("{}={} {}: {}", condition.kind, condition.status, condition.reason, said(condition));
    finding.evidence.push(Fact::new(Role::Cause, Source::Condition, condition.since, definition, text));
    finding
}

/// Another definition of the group has one of the names.
fn names<'a>(view: &View<'a>, definition: &'a Object, condition: &Condition) -> Finding {
    let name = &definition.meta.name;
    let of = |object: &Object, pointer: &str| -> Option<String> {
        object.whole()?.pointer(pointer).and_then(Value::as_str).map(str::to_owned)
    };
    let key = match condition.reason.as_str() {
        "PluralConflict" => "plural",
        "SingularConflict" => "singular",
        "ListKindConflict" => "listKind",
        "ShortNamesConflict" => "shortNames",
        _ => "kind",
    };
    let pointer = format!("/spec/names/{key}");
    let own = of(definition, &pointer);
    let other = view.all(&super::kind(), None).items.into_iter().find(|other| {
        other.meta.name != *name
            && of(other, "/spec/group") == of(definition, "/spec/group")
            && own.is_some()
            && of(other, &pointer) == own
    });
    let by = other.map(|other| format!("; {} has it", other.meta.name)).unwrap_or_default();
    let sentence = format!("A name of CustomResourceDefinition {name} is taken: {}{by}.", said(condition));
    let cause = plain(definition, sentence).at_field(format!("spec.names.{key}"), pointer, own.map(Value::from));
    let mut finding = finding(definition, condition, "names", "is not served: a name of it is taken", cause);
    let sentence =
        format!("Give spec.names.{key} another value, or delete the definition that has it if nobody uses that.");
    finding.remedies.push(remedy(definition, RemedyKind::Patch, sentence));
    finding
}

/// A program ends because a kind that it needs is not served.
pub(super) fn not_served<'a>(
    view: &View<'a>,
    told: &Said<'a>,
    kind: &str,
    group: &str,
    version: Option<&str>,
) -> Option<Finding> {
    let workload = view.workload_of(told.pod);
    let api = version.map_or_else(|| group.to_owned(), |version| format!("{group}/{version}"));
    let built_in = !group.contains('.') || group.ends_with(".k8s.io");
    let definitions = view.all(&super::kind(), None);
    let defines = |object: &&Object| {
        object.whole().is_some_and(|whole| {
            let is = |pointer: &str, value: &str| whole.pointer(pointer).and_then(Value::as_str) == Some(value);
            is("/spec/group", group) && is("/spec/names/kind", kind)
        })
    };
    let name = describe::object(workload);
    let (class, cause, remedy) = match definitions.items.iter().copied().find(defines) {
        Some(definition) => version_of(definition, &name, kind, version?)?,
        None if built_in => {
            let since = version.and_then(|version| removed_in(group, version));
            let since = since.map(|since| format!(", which is gone since Kubernetes {since}")).unwrap_or_default();
            let sentence = format!("{name} asks for {kind} of {api}{since}: the cluster does not serve that.");
            let mut cause = Cause::plain(CauseKind::Application, Some(&workload.reference()), sentence);
            cause.managed_by = ownership::managed_by(workload);
            let sentence = "Use a version of the program that is made for this version of Kubernetes.";
            ("version", cause, spot::remedy(RemedyKind::Patch, &workload.reference(), sentence))
        }
        None if !definitions.complete => return None,
        None => missing(view, &name, kind, group),
    };
    let title = format!("{name}: {} ends, because {kind} of {api} is not served", told.container);
    let mut finding = Finding::new("crd-unusable", Place::container(workload, told.container, told.sort), title, cause);
    finding.class = Some(class);
    finding.verdict = Verdict::Confirmed;
    finding.severity = spot::severity(workload);
    finding.shows_on.insert(told.pod.reference());
    let line = text::shorten(told.line.text.trim(), 300).into_owned();
    finding.evidence.push(Fact::new(Role::Symptom, Source::Log, told.line.at, told.pod, line));
    finding.remedies.push(remedy);
    Some(finding)
}

/// The definition is there; the version is not served, or it serves by now.
fn version_of(definition: &Object, who: &str, kind: &str, version: &str) -> Option<(&'static str, Cause, Remedy)> {
    let whole = definition.whole()?;
    let versions = whole.pointer("/spec/versions")?.as_array()?;
    let named = |it: &Value| it.get("name").and_then(Value::as_str).map(str::to_owned);
    let at = versions.iter().position(|it| named(it).as_deref() == Some(version));
    let served = |it: &Value| it.get("served").and_then(Value::as_bool).unwrap_or(true);
    let (field, pointer, value, what) = match at.and_then(|at| Some((at, versions.get(at)?))) {
        Some((_, it)) if served(it) => return None,
        Some((at, _)) => (
            format!("spec.versions[{version}].served"),
            format!("/spec/versions/{at}/served"),
            Some(json!(false)),
            "has it switched off",
        ),
        None => ("spec.versions".to_owned(), "/spec/versions".to_owned(), None, "does not have it"),
    };
    let others: Vec<String> = versions.iter().filter(|it| served(it)).filter_map(named).collect();
    let others = if others.is_empty() { String::new() } else { format!("; it serves {}", text::enumerate(&others)) };
    let sentence = format!(
        "{who} asks for version {version} of {kind}, and CustomResourceDefinition {} {what}{others}.",
        definition.meta.name
    );
    let cause = plain(definition, sentence).at_field(field, pointer, value);
    let sentence =
        "Install the definition that belongs to the program's version, or the program that belongs to the definition.";
    Some(("version", cause, remedy(definition, RemedyKind::Patch, sentence.to_owned())))
}

/// There is no definition of the kind.
fn missing<'a>(view: &View<'a>, who: &str, kind: &str, group: &str) -> (&'static str, Cause, Remedy) {
    let of = |object: &Object, pointer: &str, value: &str| {
        object.whole().is_some_and(|whole| whole.pointer(pointer).and_then(Value::as_str) == Some(value))
    };
    let gone = view
        .deleted(&super::kind(), None)
        .find(|(object, _)| of(object, "/spec/group", group) && of(object, "/spec/names/kind", kind));
    let (reference, cause) = match gone {
        Some((object, at)) => {
            let reference = object.reference();
            let change =
                Change { at, subject: reference.clone(), verb: Verb::Deleted, fields: Vec::new(), actor: None };
            let sentence = format!(
                "CustomResourceDefinition {} was deleted at {}, with all {kind} objects; {who} needs it.",
                object.meta.name,
                describe::time(at)
            );
            (reference, Cause::changed(&change, 0, sentence))
        }
        None => {
            let name = format!("{}.{group}", plural(kind));
            let reference = ResourceRef::new(super::kind(), None, &name);
            let sentence = format!("No CustomResourceDefinition makes {kind} of {group} known, and {who} needs it.");
            (reference.clone(), Cause::plain(CauseKind::Resource, Some(&reference), sentence))
        }
    };
    let sentence = format!(
        "Install the CustomResourceDefinitions that belong to {who}; Helm installs those of a chart only the first time."
    );
    let mut remedy = spot::remedy(RemedyKind::Create, &reference, sentence);
    remedy.risk = Risk::Low;
    if let Some(requires) = &mut remedy.requires {
        RESOURCE.clone_into(&mut requires.resource);
    }
    ("missing", cause, remedy)
}

/// The plural as code generators make it.
fn plural(kind: &str) -> String {
    let lower = kind.to_ascii_lowercase();
    let vowel = |c: char| matches!(c, 'a' | 'e' | 'i' | 'o' | 'u');
    match lower.strip_suffix('y') {
        Some(stem) if !stem.ends_with(vowel) => format!("{stem}ies"),
        _ if lower.ends_with(['s', 'x']) || lower.ends_with("ch") => format!("{lower}es"),
        _ => format!("{lower}s"),
    }
}
