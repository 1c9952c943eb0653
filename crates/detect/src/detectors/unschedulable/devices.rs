//! Claims of devices (DRA): they or what they are made from may not be there.

use super::hurdle::Hurdle;
use super::message::Said;
use crate::spot::{self, Spot};
use crate::{Fact, Finding, Lookup, Place, View, blame, describe};
use reckon_model::document::{Cause, CauseKind, RemedyKind, Role, Source, Verdict};
use reckon_model::k8s::Pod;
use reckon_model::{Kind, Object, ResourceRef, text};

const SLUG: &str = "extended-resource-absent";

fn kind(name: &str) -> Kind {
    Kind::of_group("resource.k8s.io", name)
}

/// A claim or a template that the pod names and that does not exist.
pub(super) fn missing<'a>(view: &View<'a>, subject: &'a Object, pod: &Pod) -> Option<Finding> {
    let namespace = subject.meta.namespace.as_deref();
    let named = pod.spec.resource_claims.iter().flat_map(|claim| {
        let own = claim.resource_claim_name.as_deref().map(|name| ("ResourceClaim", "resourceClaimName", name));
        let made = claim.resource_claim_template_name.as_deref();
        let made = made.map(|name| ("ResourceClaimTemplate", "resourceClaimTemplateName", name));
        own.into_iter().chain(made).map(move |named| (claim, named))
    });
    let absent = |name: &'static str, object: &str| {
        let target = ResourceRef::new(kind(name), namespace, object);
        view.look_up(&target).is_absent().then_some(target)
    };
    let (claim, key, target) =
        named.into_iter().find_map(|(claim, (kind, key, name))| Some((claim, key, absent(kind, name)?)))?;
    let workload = view.workload_of(subject);
    let what = if key == "resourceClaimName" { "claim" } else { "template of a claim" };
    let spot = Spot::of(workload);
    let path = spot.as_ref().and_then(|spot| {
        let at = spot.spec.resource_claims.iter().position(|own| own.name == claim.name)?;
        Some(spot.path("resourceClaims").item(&claim.name, at).key(key))
    });
    let cause = match path {
        Some(path) => blame::missing_reference(view, workload, &target, &path.field, &path.pointer),
        None => Cause::plain(
            CauseKind::Resource,
            Some(&target),
            format!("{} {} does not exist.", target.kind, describe::name(&target)),
        ),
    };
    let title = format!(
        "{}: no node takes its pod, the {what} of devices {} does not exist",
        describe::object(workload),
        target.name
    );
    let mut finding = Finding::new(SLUG, Place::of(workload), title, cause);
    finding.class = Some("device-claim");
    finding.verdict = Verdict::Confirmed;
    finding.evidence.push(Fact {
        role: Role::Cause,
        source: Source::Absence,
        at: finding.cause.at,
        about: target.clone(),
        text: format!("{} {} does not exist", target.kind, target.name),
        raw: None,
    });
    let make = format!("Make the {} {}.", target.kind, target.name);
    finding.remedies.push(spot::supply(view, &finding.cause, &target, make));
    finding.evidence.extend(told(view, subject, "FailedResourceClaimCreation"));
    Some(finding)
}

/// The newest Event about the pod with this reason.
fn told(view: &View<'_>, subject: &Object, reason: &str) -> Option<Fact> {
    let event = view.events(subject).into_iter().rev().find(|event| event.reason == reason)?;
    let said = text::shorten(&text::clean_line(event.message.trim()), 300).into_owned();
    Some(Fact::new(Role::Symptom, Source::Event, event.last_seen(), subject, said))
}

/// The node's driver does not get the devices ready that the scheduler allocated to the pod.
pub(super) fn unprepared<'a>(view: &View<'a>, subject: &'a Object, pod: &Pod) -> Option<Finding> {
    let begun = |status: &reckon_model::k8s::ContainerStatus| {
        status.last_end().is_some() || status.state.running.is_some() || status.state.terminated.is_some()
    };
    if pod.spec.resource_claims.is_empty() || pod.containers().any(|(_, _, status)| status.is_some_and(begun)) {
        return None;
    }
    let said = told(view, subject, "FailedPrepareDynamicResources")?;
    let workload = view.workload_of(subject);
    let node = ResourceRef::new(Kind::Node, None, &pod.spec.node_name);
    // `DRA driver gpu.example.com is not registered`, `no registered DRA driver gpu.example.com`
    let driver = said.text.split("driver ").nth(1).and_then(|rest| rest.split([' ', ':', ',']).next());
    let driver = driver.map(|name| name.trim_matches('"')).filter(|name| name.contains('.'));
    let who = driver.map_or("the driver of its devices".to_owned(), |name| format!("driver {name}"));
    let sentence = format!(
        "{who} on node {} does not get the devices ready that were allocated to {}.",
        node.name,
        describe::object(subject)
    );
    let title = format!(
        "{}: its pod cannot start, {who} on node {} does not prepare its devices",
        describe::object(workload),
        node.name
    );
    let cause = Cause::plain(CauseKind::Node, Some(&node), sentence);
    let mut finding = Finding::new(SLUG, Place::of(workload), title, cause);
    finding.class = Some("device-driver");
    finding.opened = said.at;
    finding.severity = spot::severity(workload);
    finding.shows_on = [subject.reference()].into();
    finding.evidence.push(said);
    let sentence = format!("Look at the pod of {who} on node {}: its DaemonSet may not run there.", node.name);
    finding.remedies.push(spot::remedy(RemedyKind::Outside, &node, sentence));
    Some(finding)
}

/// The class that the scheduler says does not exist: the cause, how sure that is, and what says so. `None` where it has
/// come since.
pub(super) fn class(view: &View<'_>, said: &Said, sentence: &str) -> Option<(Cause, Verdict, Option<Fact>)> {
    let words = said.reason(Hurdle::DeviceClass).map(|reason| reason.what.as_str()).unwrap_or_default();
    let named = words.split_once("device class ").map(|named| ("DeviceClass", named));
    let named = named.or_else(|| words.split_once("resource class ").map(|named| ("ResourceClass", named)));
    let (name, (_, rest)) = named?;
    let target = ResourceRef::new(kind(name), None, rest.split(' ').next().unwrap_or(rest).trim_matches('"'));
    let cause = Cause::plain(CauseKind::Resource, Some(&target), sentence);
    match view.look_up(&target) {
        Lookup::Found(_) => None,
        Lookup::Absent { .. } => {
            let text = format!("{} {} does not exist", target.kind, target.name);
            let fact = Fact { role: Role::Cause, source: Source::Absence, at: None, about: target, text, raw: None };
            Some((cause, Verdict::Confirmed, Some(fact)))
        }
        Lookup::Unread => Some((cause, Verdict::Likely, None)),
    }
}

/// What makes a class.
pub(super) fn make_class(cause: &Cause) -> Option<reckon_model::document::Remedy> {
    let target = ResourceRef::from(cause.reference.as_ref()?);
    let sentence = format!("Install the driver that brings the {} {}, or make it.", target.kind, target.name);
    Some(spot::remedy(RemedyKind::Create, &target, sentence))
}
