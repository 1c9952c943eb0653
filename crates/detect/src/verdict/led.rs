//! What leads to others, and is as well as they are: Ingresses, routes, Gateways and autoscalers.

use super::{Verdict, complaint, of_service, quiet};
use crate::describe;
use crate::impact::{MANY, attached, led_to};
use crate::view::{Lookup, View};
use reckon_model::document::Answer;
use reckon_model::{Body, Kind, Object, ResourceRef, text};
use std::collections::BTreeSet;

/// The answer about an object that only leads to others; `None` where it is none, or nothing is wrong behind it and it says
/// itself that something is.
pub(super) fn of<'a>(view: &View<'a>, object: &'a Object, name: &str) -> Option<Verdict> {
    if let Body::Autoscaler(scaler) = &object.body {
        let target = &scaler.spec.scale_target_ref;
        let kind = Kind::of(&target.api_version, &target.kind);
        let target = ResourceRef::new(kind, object.meta.namespace.as_deref(), &target.name);
        return missing(view, &target, |what| format!("{name} scales {what}"));
    }
    if object.kind == Kind::of_group("gateway.networking.k8s.io", "Gateway") {
        let routes = attached(view, object);
        let behind = routes.iter().flat_map(|route| led_to(route)).collect::<BTreeSet<_>>();
        return behind_it(view, object, behind.into_iter().collect(), name);
    }
    behind_it(view, object, led_to(object), name)
}

/// The worst of what is to be said of the Services behind something, or that they all answer.
fn behind_it(view: &View<'_>, object: &Object, services: Vec<ResourceRef>, name: &str) -> Option<Verdict> {
    if services.is_empty() {
        return None;
    }
    if services.len() > MANY && !view.all(&Kind::Service, object.meta.namespace.as_deref()).complete {
        return Some(quiet(Answer::Undetermined, format!("The Services behind {name} could not be read.")));
    }
    let complains = complaint::of(object).is_some();
    let mut answers = Vec::new();
    for service in &services {
        if let Some(verdict) = missing(view, service, |what| format!("{name} leads to {what}")) {
            return Some(verdict);
        }
        let Some(service) = view.look_up(service).found() else { continue };
        let Body::Service(body) = &service.body else { continue };
        let own = format!("service {}", describe::object(service));
        if let Some(verdict) = of_service(view, service, body, &own) {
            answers.push(verdict);
        }
    }
    let order = [Answer::Undetermined, Answer::InProgress, Answer::Intentional];
    for answer in order {
        if let Some(verdict) = answers.iter().find(|verdict| verdict.answer == answer) {
            return Some(quiet(answer, format!("Behind {name}: {}", verdict.sentence)));
        }
    }
    let names: Vec<String> = services.iter().take(3).map(describe::name).collect();
    let more = services.len().saturating_sub(names.len());
    let names: Vec<String> = names.into_iter().chain((more > 0).then(|| format!("{more} more"))).collect();
    let what = if services.len() == 1 { "service" } else { "services" };
    let answers = if services.len() == 1 { "answers" } else { "answer" };
    // What its controller says of it is told then; of what leads nowhere it tells less than why.
    (!complains).then(|| {
        quiet(
            Answer::NoFault,
            format!("No fault found: {name} leads to {what} {}, which {answers}.", text::enumerate(&names)),
        )
    })
}

/// The answer about something that leads to an object that is not there, or cannot be read.
fn missing(view: &View<'_>, target: &ResourceRef, leads: impl Fn(&str) -> String) -> Option<Verdict> {
    let what = format!("{} {}", target.kind.singular(), describe::name(target));
    match view.look_up(target) {
        Lookup::Found(_) => None,
        Lookup::Absent { deleted: Some(at) } => {
            let sentence = format!("{}, which was deleted at {}.", leads(&what), describe::time(at));
            Some(quiet(Answer::Undetermined, sentence))
        }
        Lookup::Absent { deleted: None } => {
            Some(quiet(Answer::Undetermined, format!("{}, which does not exist.", leads(&what))))
        }
        Lookup::Unread => Some(quiet(Answer::Undetermined, format!("{}, which could not be read.", leads(&what)))),
    }
}
