//! Claims of devices (DRA): they or what they are made from may not be there.

use super::hurdle::Hurdle;
use super::message::Said;
use crate::spot::{self, Spot};
use crate::{Fact, Finding, Lookup, Place, View, blame, describe};
use reckon_model::document::{Cause, CauseKind, RemedyKind, Role, Source, Verdict};
use reckon_model::k8s::Pod;
use reckon_model::{Kind, Object, ResourceRef};

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
    finding.remedies.push(spot::supply(&finding.cause, &target, make));
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
