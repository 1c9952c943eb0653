//! Where the decisive fact of a problem can be looked at: derived from the source of its evidence, so that no detector has
//! to know of it.

use crate::{Place, View};
use reckon_model::document::{Cause, CauseKind, Evidence, Look, Role, Show, Source};
use reckon_model::k8s::{Condition, ContainerType};
use reckon_model::{Body, Kind, Object, ResourceRef, kubectl};

/// The decisive fact is the first that shows why; else the first that shows what; else the field of the cause.
pub(crate) fn of(view: &View<'_>, place: &Place, cause: &Cause, evidence: &[Evidence]) -> Option<Show> {
    let of_role = |role: Role| evidence.iter().filter(move |fact| fact.role == role);
    // What was changed or is missing shows in the object itself as well as in what was told of it.
    of_role(Role::Cause)
        .find_map(|fact| of_fact(view, place, cause, fact))
        .or_else(|| of_role(Role::Symptom).find_map(|fact| of_fact(view, place, cause, fact)))
        .or_else(|| {
            let reference = cause.reference.clone()?;
            let look = field(cause).filter(|_| reference.kind != "Secret").unwrap_or(Look::Describe);
            Some(Show { reference, look, evidence: None })
        })
}

fn of_fact(view: &View<'_>, place: &Place, cause: &Cause, fact: &Evidence) -> Option<Show> {
    let reference = fact.reference.clone()?;
    let target = ResourceRef::from(&reference);
    let object = view.known_one(&target);
    let is_cause = cause.reference.as_ref().is_some_and(|cause| ResourceRef::from(cause) == target);
    let fields = || is_cause.then(|| field(cause)).flatten();
    let look = match fact.source {
        // The values of a Secret are nobody's to see.
        _ if target.kind == Kind::Secret && object.is_some() => Look::Describe,
        Source::Log => log(view, object?, fact)?,
        Source::Event => Look::Events,
        Source::Metric if matches!(target.kind, Kind::Pod | Kind::Node) => Look::Usage,
        Source::Status => status(object, place),
        // What a Service selects is seen by its labels.
        Source::Condition if selects(object).is_some() && fact.text.contains("select") => {
            Look::Pods { selector: selects(object)? }
        }
        Source::Condition => object.map_or(Look::Describe, |object| condition(object, fact)),
        // What the kernel said is in no object; the status of the container tells its end.
        Source::Kernel => return None,
        Source::Change | Source::Absence if object.is_none() => Look::Object,
        Source::Absence if selects(object).is_some() => Look::Pods { selector: selects(object)? },
        Source::Change | Source::Absence | Source::Spec => fields().unwrap_or(Look::Describe),
        Source::Node | Source::Metric => Look::Describe,
    };
    Some(Show { reference, look, evidence: Some(fact.id.clone()) })
}

/// The log that holds the line.
fn log(view: &View<'_>, object: &Object, fact: &Evidence) -> Option<Look> {
    let words = fact.text.trim_end_matches('…');
    let holds = |container: &str, previous: bool| {
        let mut lines = view.known_log(object, container, previous).iter();
        lines.any(|line| line.at == fact.at && !line.text.trim().is_empty() && line.text.contains(words))
    };
    let containers = object.pod()?.containers().map(|(_, container, _)| container.name.as_str());
    containers
        .flat_map(|name| [(name, true), (name, false)])
        .find(|(name, previous)| holds(name, *previous))
        .map(|(name, previous)| Look::Log { container: name.to_owned(), previous })
}

/// The status of the container that the problem is about, or the whole status.
fn status(object: Option<&Object>, place: &Place) -> Look {
    let pod = object.and_then(Object::pod);
    let name = place.container.as_ref().map(|(name, _)| name.as_str()).filter(|name| kubectl::is_plain(name));
    let of_container = pod.zip(name).and_then(|(pod, name)| {
        let (kind, ..) = pod.containers().find(|(_, container, status)| container.name == name && status.is_some())?;
        let list = match kind {
            ContainerType::Init | ContainerType::Sidecar => "initContainerStatuses",
            ContainerType::App => "containerStatuses",
            ContainerType::Ephemeral => "ephemeralContainerStatuses",
        };
        Some(format!(".status.{list}[?(@.name==\"{name}\")]"))
    });
    let without = object.and_then(Object::whole).is_some_and(|whole| whole.get("status").is_none());
    match of_container {
        Some(path) => Look::Field { path },
        None if without => Look::Describe,
        None => Look::Field { path: ".status".to_owned() },
    }
}

/// The condition that a fact speaks of, or all of them.
fn condition(object: &Object, fact: &Evidence) -> Look {
    let conditions: &[Condition] = match &object.body {
        Body::Pod(pod) => &pod.status.conditions,
        Body::Node(node) => &node.status.conditions,
        Body::Workload(workload) => &workload.status.conditions,
        _ => &[],
    };
    let names = |condition: &&Condition| {
        kubectl::is_plain(&condition.kind)
            && (!condition.message.is_empty() && fact.text.contains(condition.message.trim())
                || fact.text.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| word == condition.kind))
    };
    let mut named = conditions.iter().filter(names);
    let path = match (named.next(), named.next()) {
        (Some(one), None) => format!(".status.conditions[?(@.type==\"{}\")]", one.kind),
        _ => ".status.conditions".to_owned(),
    };
    Look::Field { path }
}

/// The labels that a Service looks for, as `-l` takes them.
fn selects(object: Option<&Object>) -> Option<String> {
    let Body::Service(service) = &object?.body else { return None };
    let terms: Vec<String> = service.spec.selector.iter().map(|(key, value)| format!("{key}={value}")).collect();
    (!terms.is_empty()).then(|| terms.join(","))
}

/// The field that the cause names, or the nearest part of the object above it that can be asked for.
fn field(cause: &Cause) -> Option<Look> {
    if cause.kind == CauseKind::Unknown {
        return None;
    }
    let mut pointer = cause.pointer.as_deref()?;
    loop {
        if let Some(path) = kubectl::path(pointer) {
            return Some(Look::Field { path });
        }
        pointer = pointer.rsplit_once('/')?.0;
    }
}
