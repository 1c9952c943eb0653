//! Quotas under which every pod has to say what it takes.

use super::super::edit::Edit;
use super::case::{self, Case};
use crate::blame::Blame;
use crate::spot::{Path, Spot};
use crate::{Finding, Lookup};
use reckon_model::document::RemedyKind;
use reckon_model::k8s::Container;
use reckon_model::{Object, ResourceRef, Timestamp, text};

enum Culprit {
    Quota(Edit),
    Template(Blame),
}

impl Culprit {
    fn at(&self) -> Timestamp {
        match self {
            Culprit::Quota(edit) => edit.at(),
            Culprit::Template(blame) => blame.change.at,
        }
    }
}

/// The finding; `None` where the quota has gone or asks for nothing of the kind any more.
pub(super) fn found(case: &Case<'_, '_>, name: &str, what: &str, resources: &[&str]) -> Option<Finding> {
    let target = ResourceRef::new(case::kind("", "ResourceQuota"), case.namespace(), name);
    let quota = match case.view.look_up(&target) {
        Lookup::Found(quota) => Some(quota),
        Lookup::Absent { .. } => return None,
        Lookup::Unread => None,
    };
    let hard = Path { field: "spec.hard".to_owned(), pointer: "/spec/hard".to_owned() };
    if let Some(whole) = quota.and_then(Object::whole)
        && let Some(limited) = whole.pointer("/spec/hard")
        && !resources.is_empty()
        && resources.iter().all(|resource| limited.get(*resource).is_none())
    {
        return None;
    }
    let why = format!("quota {name} wants them to specify {}", text::shorten(&what.replace(" for: ", " for "), 160));
    let of_quota = quota.and_then(|quota| {
        let edits = resources.iter().filter_map(|resource| case.edit(quota, &hard.entry(resource)));
        edits.max_by_key(Edit::at).map(Culprit::Quota)
    });
    // Requests and limits that were there and are not any more.
    let removed = case.template_where(|field| {
        let gone = field.to.is_none()
            || field.to.as_ref().is_some_and(|to| to.as_object().is_some_and(serde_json::Map::is_empty));
        (gone && field.pointer.contains("/resources")).then_some(0)
    });
    let culprit = [of_quota, removed.map(Culprit::Template)]
        .into_iter()
        .flatten()
        .reduce(|best, next| if next.at() > best.at() { next } else { best });
    let spot = Spot::of(case.workload);
    let lacking = spot.as_ref().map(|spot| lacking(spot, resources)).unwrap_or_default();
    let cause = match (&culprit, &spot, lacking.first()) {
        (Some(Culprit::Quota(edit)), ..) => {
            let what = if edit.is_new() { String::new() } else { format!("{} of ", edit.field()) };
            edit.cause(format!("{what}ResourceQuota {name} was {}; since then {why}.", edit.words()))
        }
        (Some(Culprit::Template(blame)), ..) => case.own_change(blame, &why),
        (None, Some(spot), Some((_, path))) => spot.wrong(path, None, case.sentence(&why)),
        (None, Some(spot), None) => {
            let path = case::named(spot, what)
                .and_then(|container| spot.container(&container.name))
                .map_or_else(|| spot.path("containers"), |path| path.key("resources"));
            spot.wrong(&path, None, case.sentence(&why))
        }
        (None, None, _) => case.plain(case.sentence(&why)),
    };
    let mut finding = case.finding("quota-needs-resources", None, &why, cause);
    if let Some(Culprit::Template(_)) = &culprit {
        finding.remedies.extend(case.roll_back());
    }
    let fields: Vec<&str> = lacking.iter().map(|(field, _)| field.as_str()).collect();
    let fields = if fields.is_empty() { what.to_owned() } else { text::enumerate(&fields) };
    finding.remedies.push(case.advice(RemedyKind::SetResources, format!("Set {fields} in the template.")));
    let range = ResourceRef::new(case::kind("", "LimitRange"), case.namespace(), "defaults");
    let sentence = "Or give the namespace a LimitRange whose defaults fill in what containers leave open.";
    finding.remedies.push(case::remedy_on(&range, RemedyKind::Create, "limitranges", sentence));
    Some(finding)
}

/// What the containers of a template leave open: `limits.cpu of app`, and where it belongs.
fn lacking(spot: &Spot<'_>, resources: &[&str]) -> Vec<(String, Path)> {
    const MOST: usize = 6;
    let mut lacking = Vec::new();
    for resource in resources {
        let (part, name) = resource.split_once('.').unwrap_or(("requests", resource));
        if !matches!(part, "limits" | "requests") {
            continue;
        }
        let open = |container: &&Container| {
            let limited = container.resources.limits.contains_key(name);
            // What has a limit requests as much, unless it says otherwise.
            !limited && (part == "limits" || !container.resources.requests.contains_key(name))
        };
        for container in spot.spec.containers.iter().filter(open) {
            let Some(path) = spot.container(&container.name) else { continue };
            let path = path.key("resources").key(part).entry(name);
            lacking.push((format!("{part}.{name} of {}", container.name), path));
        }
    }
    lacking.truncate(MOST);
    lacking
}
