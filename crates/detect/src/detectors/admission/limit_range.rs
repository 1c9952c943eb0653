//! Requests and limits that are outside of what a LimitRange allows.

use super::super::refusal::{Bound, Side};
use super::case::{self, Case};
use crate::spot::{Path, Spot};
use crate::{Fact, Finding};
use reckon_model::document::{Remedy, RemedyKind, Role, Source};
use reckon_model::{Object, Quantity, text};
use serde_json::{Value, json};

/// The finding; `None` where no LimitRange says so any more.
pub(super) fn found(case: &Case<'_, '_>, what: &str, bounds: &[Bound<'_>]) -> Option<Finding> {
    let said = what.trim_matches(['[', ']']).replace(".  ", ". ");
    let why = format!("a LimitRange forbids it: {}", text::shorten(&said, 160));
    let ranges = case.view.all(&case::kind("", "LimitRange"), case.namespace());
    let set = bounds.iter().find_map(|bound| {
        let (range, path) = ranges.items.iter().find_map(|range| Some((*range, item(range, bound)?)))?;
        Some((bound, range, path))
    });
    if ranges.complete && set.is_none() && !bounds.is_empty() {
        return None;
    }
    let edit = set.as_ref().and_then(|(_, range, path)| case.edit(range, path));
    let template = case.template(&["/resources"]);
    let spot = Spot::of(case.workload);
    let bound = set.as_ref().map(|(bound, ..)| *bound).or(bounds.first());
    let place = spot.as_ref().and_then(|spot| Some((spot, asking(spot, bound)?)));
    let by_range = match (&edit, &template) {
        (Some(edit), Some(blame)) => edit.at() > blame.change.at,
        (Some(_), None) => true,
        (None, _) => false,
    };
    let name = set.as_ref().map(|(_, range, _)| range.meta.name.clone()).unwrap_or_default();
    let cause = match (&edit, &template, &place) {
        (Some(edit), ..) if by_range && edit.is_new() => {
            edit.cause(format!("LimitRange {name} was {}; since then {why}.", edit.words()))
        }
        (Some(edit), ..) if by_range => {
            let field = set.as_ref().map(|(_, _, path)| path.field.clone()).unwrap_or_default();
            edit.cause(format!("{field} of LimitRange {name} was {}; since then {why}.", edit.words()))
        }
        (_, Some(blame), _) => case.own_change(blame, &why),
        (_, None, Some((spot, asking))) => spot.wrong(&asking.path, asking.value.clone(), case.sentence(&why)),
        (_, None, None) => case.plain(case.sentence(&why)),
    };
    let mut finding = case.finding("limit-range", None, &why, cause);
    if let Some((bound, range, path)) = &set {
        let text = format!("{} {}: {}", range.meta.name, path.field, bound.bound);
        finding.evidence.push(Fact::new(Role::Cause, Source::Spec, None, range, text));
    }
    if by_range && let (Some(edit), Some((_, range, path))) = (&edit, &set) {
        finding.remedies.push(put_back(range, path, edit.from()));
    } else if template.is_some() {
        finding.remedies.extend(case.roll_back());
    }
    finding.remedies.push(fit(case, bound, place.as_ref()));
    Some(finding)
}

/// The item of a LimitRange that sets this bound, as a path to the value.
fn item(range: &Object, bound: &Bound<'_>) -> Option<Path> {
    let whole = range.whole()?;
    let items = whole.pointer("/spec/limits")?.as_array()?;
    let index = items.iter().position(|item| {
        let of = item.get("type").and_then(Value::as_str) == Some(bound.per);
        let value = item.get(bound.side.key()).and_then(|side| side.get(bound.resource)).map(|value| match value {
            Value::String(text) => Quantity::new(text),
            other => Quantity::new(&other.to_string()),
        });
        of && value.is_some_and(|value| value == Quantity::new(bound.bound))
    })?;
    let list = Path { field: "spec.limits".to_owned(), pointer: "/spec/limits".to_owned() };
    Some(list.item(bound.per, index).key(bound.side.key()).entry(bound.resource))
}

/// The field of a template that is outside of a bound.
struct Asking {
    container: Option<String>,
    path: Path,
    value: Option<Value>,
}

fn asking(spot: &Spot<'_>, bound: Option<&Bound<'_>>) -> Option<Asking> {
    let bound = bound?;
    let part = match (bound.given, bound.side) {
        (Some((part, _)), _) => part,
        (None, Side::Minimum) => "requests",
        (None, Side::Maximum | Side::Ratio) => "limits",
    };
    let of = |container: &reckon_model::k8s::Container| {
        let list = if part == "limits" { &container.resources.limits } else { &container.resources.requests };
        list.get(bound.resource).cloned()
    };
    let containers = || spot.spec.containers.iter().chain(&spot.spec.init_containers);
    let exact = bound.given.and_then(|(_, value)| {
        containers().find(|container| of(container).is_some_and(|has| has == Quantity::new(value)))
    });
    // One that leaves the value open is meant where none was given.
    let open = || match bound.given {
        None => containers().find(|container| of(container).is_none()),
        Some(_) => None,
    };
    let container = exact.or_else(open).or_else(|| containers().find(|container| of(container).is_some()))?;
    let path = spot.container(&container.name)?.key("resources").key(part).entry(bound.resource);
    let value = of(container).map(|value| json!(value.as_str()));
    Some(Asking { container: (bound.per == "Container").then(|| container.name.clone()), path, value })
}

fn put_back(range: &Object, path: &Path, before: Option<&Value>) -> Remedy {
    let sentence = match before {
        Some(before) => format!("Put {} back to {}.", path.field, crate::describe::value(before)),
        None => format!("Put {} back to what the pods ask for, if it was not meant.", path.field),
    };
    let mut remedy = case::remedy_on(&range.reference(), RemedyKind::Patch, "limitranges", sentence);
    remedy.managed_by = crate::ownership::managed_by(range);
    if let Some(before) = before {
        remedy.patch_type = Some("json".to_owned());
        remedy.patch = Some(json!([{"op": "replace", "path": path.pointer, "value": before}]));
    }
    remedy
}

/// Bringing the template within the bound.
fn fit(case: &Case<'_, '_>, bound: Option<&Bound<'_>>, place: Option<&(&Spot<'_>, Asking)>) -> Remedy {
    const PLAIN: &str = "Bring the resources within the bounds of the LimitRange (kubectl describe limitrange).";
    let (Some(bound), Some((spot, asking))) = (bound, place) else {
        return case.advice(RemedyKind::SetResources, PLAIN);
    };
    let (Some(container), Some(part)) =
        (&asking.container, asking.path.field.contains(".limits.").then_some("limits").or(Some("requests")))
    else {
        return case.advice(RemedyKind::SetResources, PLAIN);
    };
    if bound.side == Side::Ratio {
        return case.advice(RemedyKind::SetResources, PLAIN);
    }
    let list =
        if spot.spec.containers.iter().any(|it| it.name == *container) { "containers" } else { "initContainers" };
    let change = json!({list: [{"name": container, "resources": {part: {bound.resource: bound.bound}}}]});
    let side = if bound.side == Side::Maximum { "at most" } else { "at least" };
    let sentence = format!("Set {} to {side} {} (kubectl describe limitrange).", asking.path.field, bound.bound);
    let mut remedy = spot.patch(Some(change), sentence);
    remedy.kind = RemedyKind::SetResources;
    remedy
}
