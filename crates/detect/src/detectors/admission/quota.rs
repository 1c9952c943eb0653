//! Quotas that are used up.

use super::super::edit::Edit;
use super::super::refusal::Short;
use super::case::{self, Case};
use crate::spot::{self, Path, Spot};
use crate::{Fact, Finding, Lookup, describe, ownership};
use reckon_model::document::{Cause, CauseKind, Remedy, RemedyKind, Risk, Role, Source, Verdict};
use reckon_model::k8s::PodSpec;
use reckon_model::{Kind, Object, Quantity, ResourceRef, Timestamp};
use serde_json::{Value, json};

/// A resource of a quota: what is allowed, used and wanted, as written.
struct Shortage {
    resource: String,
    wanted: String,
    used: String,
    limited: String,
}

/// What may have used it up.
enum Culprit<'a> {
    Quota(Edit),
    Template(crate::blame::Blame),
    Replicas(Edit),
    Other(&'a Object, Edit, String),
}

impl Culprit<'_> {
    fn at(&self) -> Timestamp {
        match self {
            Culprit::Quota(edit) | Culprit::Replicas(edit) | Culprit::Other(_, edit, _) => edit.at(),
            Culprit::Template(blame) => blame.change.at,
        }
    }
}

/// The finding; `None` where the quota has room by now, so that the next attempt succeeds.
pub(super) fn found(case: &Case<'_, '_>, name: &str, short: &[Short<'_>]) -> Option<Finding> {
    let target = ResourceRef::new(case::kind("", "ResourceQuota"), case.namespace(), name);
    let quota = match case.view.look_up(&target) {
        Lookup::Found(quota) => Some(quota),
        Lookup::Absent { .. } => return None,
        Lookup::Unread => None,
    };
    let shortages: Vec<Shortage> = short.iter().map(|short| shortage(quota, short)).collect();
    let exceeded = shortages.iter().find(|shortage| deficit(shortage).is_some_and(|nanos| nanos > 0));
    // As far as it can be told the quota has to be short of something now.
    if quota.is_some() && exceeded.is_none() && shortages.iter().all(|shortage| deficit(shortage).is_some()) {
        return None;
    }
    let Some(short) = exceeded.or(shortages.first()) else {
        let why = format!("quota {name} is used up");
        let cause = Cause::plain(CauseKind::Resource, Some(&target), case.sentence(&why));
        return Some(case.finding("quota-exceeded", None, &why, cause));
    };
    let Shortage { resource, wanted, used, limited } = short;
    let why = format!("quota {name} allows {limited} {resource}, {used} are used and {wanted} more wanted");
    let path = Path { field: "spec.hard".to_owned(), pointer: "/spec/hard".to_owned() }.entry(resource);
    let culprit = culprit(case, quota, &path, short);
    let cause = match &culprit {
        Some(Culprit::Quota(edit)) if edit.is_new() => {
            edit.cause(format!("ResourceQuota {name} was {}; {why}.", edit.words()))
        }
        Some(Culprit::Quota(edit)) => {
            edit.cause(format!("{} of ResourceQuota {name} was {}; since then {why}.", path.field, edit.words()))
        }
        Some(Culprit::Template(blame)) => case.own_change(blame, &why),
        Some(Culprit::Replicas(edit)) => {
            edit.cause(format!("spec.replicas of {} was {}; {why}.", case.name(), edit.words()))
        }
        Some(Culprit::Other(other, edit, takes)) => {
            let what = if edit.is_new() { "" } else { "spec.replicas of " };
            edit.cause(format!(
                "{what}{} {} was {}, and it takes {takes} {resource}: {why}.",
                other.kind.singular(),
                describe::object(other),
                edit.words()
            ))
        }
        None => {
            let mut cause = Cause::plain(CauseKind::Resource, Some(&target), case.sentence(&why));
            cause.managed_by = quota.and_then(ownership::managed_by);
            cause.at_field(&path.field, &path.pointer, Some(json!(limited)))
        }
    };
    let mut finding = case.finding("quota-exceeded", None, &why, cause);
    if matches!(culprit, Some(Culprit::Other(..))) {
        finding.verdict = Verdict::Likely;
    }
    if let Some(quota) = quota {
        let text = format!("{used} of {limited} {resource} are used");
        finding.evidence.push(Fact::new(Role::Cause, Source::Status, None, quota, text));
        let scopes = scopes_of(quota);
        if !scopes.is_empty() {
            let text = format!("it counts only pods of these scopes: {}", scopes.join(", "));
            finding.evidence.push(Fact::new(Role::Cause, Source::Spec, None, quota, text));
        }
    }
    finding.remedies = remedies(case, quota, &target, short, culprit.as_ref());
    Some(finding)
}

/// Pods of a priority that the API server admits only where a quota says how many: none here does.
pub(super) fn no_quota(case: &Case<'_, '_>, scopes: &str) -> Option<Finding> {
    let quotas = case.view.all(&case::kind("", "ResourceQuota"), case.namespace());
    let class = scopes.split_once("PriorityClass In [").and_then(|(_, rest)| rest.split([' ', ']']).next());
    let counts =
        |quota: &&Object| class.is_some_and(|class| scopes_of(quota).iter().any(|scope| scope.contains(class)));
    // Made in the meantime: the next attempt succeeds.
    if quotas.items.iter().any(counts) {
        return None;
    }
    let what = class.map_or(format!("the scopes {scopes}"), |class| format!("the priority class {class}"));
    let why = format!("{what} may be used only where a quota allows for it, and none of the namespace does");
    let namespace = ResourceRef::new(Kind::Namespace, None, case.namespace().unwrap_or_default());
    let spot = Spot::of(case.workload);
    let named = class.and_then(|class| Some((spot.as_ref()?.path("priorityClassName"), class)));
    let cause = match named {
        Some((path, class)) => {
            let mut cause = Cause::plain(CauseKind::Resource, Some(&case.workload.reference()), case.sentence(&why));
            cause.managed_by = ownership::managed_by(case.workload);
            cause.at_field(path.field, path.pointer, Some(json!(class)))
        }
        None => Cause::plain(CauseKind::Resource, Some(&namespace), case.sentence(&why)),
    };
    let mut finding = case.finding("quota-exceeded", Some("scope"), &why, cause);
    finding.verdict = if quotas.complete { Verdict::Confirmed } else { Verdict::Likely };
    let sentence = format!(
        "Have an administrator make a ResourceQuota in namespace {} with a scopeSelector for {what}, or use another priority class.",
        namespace.name
    );
    let quota = ResourceRef::new(case::kind("", "ResourceQuota"), case.namespace(), "priority");
    finding.remedies.push(case::remedy_on(&quota, RemedyKind::Create, "resourcequotas", sentence));
    Some(finding)
}

/// What a quota counts, where that is not everything: `NotTerminating`, `PriorityClass In [high]`.
fn scopes_of(quota: &Object) -> Vec<String> {
    let Some(whole) = quota.whole() else { return Vec::new() };
    let list = |pointer: &str| whole.pointer(pointer).and_then(Value::as_array).cloned().unwrap_or_default();
    let plain = list("/spec/scopes").into_iter().filter_map(|scope| scope.as_str().map(str::to_owned));
    let chosen = list("/spec/scopeSelector/matchExpressions").into_iter().filter_map(|it| {
        let text = |key: &str| it.get(key).and_then(Value::as_str).map(str::to_owned);
        let values: Vec<&str> =
            it.get("values").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
        let values = if values.is_empty() { String::new() } else { format!(" [{}]", values.join(" ")) };
        Some(format!("{} {}{values}", text("scopeName")?, text("operator")?))
    });
    plain.chain(chosen).collect()
}

/// How it stands with a resource now; as the message has it where the quota could not be read.
fn shortage(quota: Option<&Object>, short: &Short<'_>) -> Shortage {
    let whole = quota.and_then(Object::whole);
    let now = |part: &str| {
        let value = whole.as_ref()?.get("status")?.get(part)?.get(short.resource)?;
        value.as_str().map(str::to_owned).or_else(|| Some(value.to_string()))
    };
    Shortage {
        resource: short.resource.to_owned(),
        wanted: short.wanted.to_owned(),
        used: now("used").unwrap_or_else(|| short.used.to_owned()),
        limited: now("hard").unwrap_or_else(|| short.limited.to_owned()),
    }
}

fn nanos(text: &str) -> Option<i128> {
    Quantity::new(text).nanos()
}

/// How much is lacking for one pod more.
fn deficit(short: &Shortage) -> Option<i128> {
    Some(nanos(&short.wanted)?.saturating_add(nanos(&short.used)?).saturating_sub(nanos(&short.limited)?))
}

/// The newest of what may have used the quota up: it was lowered, this workload wants more, or another one took it.
fn culprit<'a>(case: &Case<'_, 'a>, quota: Option<&'a Object>, path: &Path, short: &Shortage) -> Option<Culprit<'a>> {
    let lowered = quota.and_then(|quota| case.edit(quota, path)).filter(|edit| !is_raised(edit, &short.limited));
    let counted = format!("/resources/{}", short.resource.replacen('.', "/", 1));
    let countable = short.resource.contains('.') || matches!(short.resource.as_str(), "cpu" | "memory");
    let template = if countable { case.template(&[&counted, "/resources"]) } else { None };
    let replicas = Path { field: "spec.replicas".to_owned(), pointer: "/spec/replicas".to_owned() };
    let scaled = case.edit(case.workload, &replicas).filter(|edit| !edit.is_new() && is_growth(edit, case.workload));
    let candidates = [
        lowered.map(Culprit::Quota),
        template.map(Culprit::Template),
        scaled.map(Culprit::Replicas),
        others(case, &replicas, short),
    ];
    // Of two at the same time the first: the quota before those who use it.
    candidates.into_iter().flatten().reduce(|best, next| if next.at() > best.at() { next } else { best })
}

/// Whether a quota is known to have been raised, and so is not what made it too small.
fn is_raised(edit: &Edit, limited: &str) -> bool {
    match (edit.from().and_then(Value::as_str).and_then(nanos), nanos(limited)) {
        (Some(before), Some(now)) => now >= before,
        _ => false,
    }
}

/// Whether a change of the replicas was somebody's wish for more of them.
fn is_growth(edit: &Edit, workload: &Object) -> bool {
    let before = edit.from().and_then(Value::as_i64);
    let now = workload.workload().and_then(|body| body.spec.replicas).unwrap_or(1);
    !edit.is_autoscaled() && before.is_none_or(|before| before < now)
}

/// Another workload of the namespace that grew, or came, and takes at least what is lacking.
fn others<'a>(case: &Case<'_, 'a>, replicas: &Path, short: &Shortage) -> Option<Culprit<'a>> {
    let lacking = deficit(short)?;
    let kinds = [Kind::Deployment, Kind::StatefulSet];
    let all = kinds.iter().flat_map(|kind| case.view.all(kind, case.namespace()).items);
    let grown = all.filter(|other| other.reference() != case.workload.reference()).filter_map(|other| {
        let body = other.workload()?;
        let each = each(&body.spec.template.spec, &short.resource)?;
        let takes = each.checked_mul(i128::from(body.status.replicas.max(0)))?;
        if takes < lacking || takes == 0 {
            return None;
        }
        let edit = case.edit(other, replicas).filter(|edit| edit.is_new() || is_growth(edit, other))?;
        Some((edit.at(), Culprit::Other(other, edit, amount(&short.resource, takes))))
    });
    grown.max_by_key(|(at, _)| *at).map(|(_, culprit)| culprit)
}

/// How much of a resource one pod of a template takes; `None` for what is not counted by pods.
fn each(spec: &PodSpec, resource: &str) -> Option<i128> {
    if resource == "pods" {
        return i128::from(1).checked_mul(1_000_000_000);
    }
    let (limits, name) = match resource.split_once('.') {
        Some(("limits", name)) => (true, name),
        Some(("requests", name)) => (false, name),
        None if matches!(resource, "cpu" | "memory") => (false, resource),
        _ => return None,
    };
    let of = |container: &reckon_model::k8s::Container| {
        let list = if limits { &container.resources.limits } else { &container.resources.requests };
        list.get(name).or_else(|| container.resources.limits.get(name)).and_then(Quantity::nanos).unwrap_or(0)
    };
    Some(spec.containers.iter().map(of).fold(0, i128::saturating_add))
}

/// An amount in the unit that people write it in.
fn amount(resource: &str, nanos: i128) -> String {
    const UNITS: [(&str, i128); 3] = [("Gi", 1 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10)];
    let whole = nanos.div_euclid(1_000_000_000).saturating_add(i128::from(nanos.rem_euclid(1_000_000_000) != 0));
    if resource.ends_with("cpu") {
        let millis = nanos.div_euclid(1_000_000).saturating_add(i128::from(nanos.rem_euclid(1_000_000) != 0));
        return if millis % 1000 == 0 { (millis / 1000).to_string() } else { format!("{millis}m") };
    }
    if resource.ends_with("memory") || resource.ends_with("storage") {
        for (unit, size) in UNITS {
            if whole >= size && whole % size == 0 {
                return format!("{}{unit}", whole / size);
            }
        }
    }
    whole.to_string()
}

fn remedies(
    case: &Case<'_, '_>,
    quota: Option<&Object>,
    target: &ResourceRef,
    short: &Shortage,
    culprit: Option<&Culprit<'_>>,
) -> Vec<Remedy> {
    let Shortage { resource, limited, .. } = short;
    let hard = |value: &Value, sentence: String| {
        let mut remedy = case::remedy_on(target, RemedyKind::Patch, "resourcequotas", sentence);
        remedy.managed_by = quota.and_then(ownership::managed_by);
        remedy.patch_type = Some("merge".to_owned());
        remedy.patch = Some(json!({"spec": {"hard": {resource: value}}}));
        remedy
    };
    let back = |on: &Object, edit: &Edit| {
        let before = edit.from().cloned();
        let sentence = match &before {
            Some(before) => format!("Scale {} back to {before}.", describe::object(on)),
            None => format!("Scale {} down.", describe::object(on)),
        };
        let mut remedy = spot::remedy(RemedyKind::Scale, &on.reference(), sentence);
        remedy.risk = Risk::Medium;
        remedy.managed_by = ownership::managed_by(on);
        if let Some(before) = before {
            remedy.patch_type = Some("merge".to_owned());
            remedy.patch = Some(json!({"spec": {"replicas": before}}));
        }
        remedy
    };
    let mut remedies: Vec<Remedy> = match culprit {
        Some(Culprit::Quota(edit)) => {
            let before = edit.from().filter(|before| before.is_string());
            before
                .map(|before| hard(before, format!("Put {resource} of quota {} back.", target.name)))
                .into_iter()
                .collect()
        }
        Some(Culprit::Template(_)) => case.roll_back().into_iter().collect(),
        Some(Culprit::Replicas(edit)) => vec![back(case.workload, edit)],
        Some(Culprit::Other(other, edit, _)) => vec![back(other, edit)],
        None => Vec::new(),
    };
    if remedies.is_empty() || !matches!(culprit, Some(Culprit::Quota(_))) {
        let enough = enough(case, short);
        let sentence = format!(
            "Raise {resource} of quota {} from {limited}, or free some of it: scale down or delete what is not needed (kubectl describe quota {}).",
            target.name, target.name
        );
        let raise = match enough {
            Some(enough) => hard(&json!(enough), sentence),
            None => case::remedy_on(target, RemedyKind::Patch, "resourcequotas", sentence),
        };
        remedies.push(raise);
    }
    remedies
}

/// What the quota would have to allow for all pods that are missing.
fn enough(case: &Case<'_, '_>, short: &Shortage) -> Option<String> {
    let missing = Spot::of(case.workload).and_then(|spot| {
        let body = spot.workload.workload()?;
        let wanted = match spot.workload.kind {
            Kind::DaemonSet => body.status.desired_number_scheduled,
            _ => body.spec.replicas.unwrap_or(1),
        };
        Some(wanted.saturating_sub(body.status.replicas))
    });
    let missing = i128::from(missing.unwrap_or(1).max(1));
    let all = nanos(&short.wanted)?.checked_mul(missing)?.checked_add(nanos(&short.used)?)?;
    Some(amount(&short.resource, all))
}
