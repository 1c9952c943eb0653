//! Claims that ask for more than their volume has.

use super::Case;
use crate::blame;
use crate::detectors::ephemeral_evicted::doubled;
use crate::finding::{Fact, Finding};
use crate::{Lookup, ownership, spot};
use jiff::SignedDuration;
use reckon_model::document::{Cause, CauseKind, RemedyKind, Role, Severity, Source, Verdict};
use reckon_model::k8s::{Claim, Condition, Event};
use reckon_model::{Body, FieldChange, Kind, Object, Timestamp, text};
use serde_json::{Value, json};

/// A resize that works takes a minute or two; a file system grows when the kubelet looks at the pod next.
const GRACE: SignedDuration = SignedDuration::from_mins(10);

/// What failed is tried again at once, and was not just a moment.
const FAILED: SignedDuration = SignedDuration::from_mins(2);

/// Where a resize stands, worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stand {
    /// The controller, or the kubelet, will not try this size again.
    Infeasible,
    /// The storage backend says no.
    Controller,
    /// The kubelet says no.
    Node,
    /// The volume is larger, its file system is not.
    FileSystem,
    /// Nothing is said.
    Silent,
}

/// The claim asks for more than it has, and is not on the way there.
pub(super) fn stuck(case: &Case<'_, '_>, claim: &Claim) -> Option<Finding> {
    let (wanted, has) = (claim.spec.size()?, claim.status.size()?);
    let larger = wanted.nanos()? > has.nanos()?;
    let waits = |kind: &str| Condition::find(&claim.status.conditions, kind).filter(|it| it.is_true());
    let pending = waits("FileSystemResizePending");
    if !larger && pending.is_none() {
        return None;
    }
    // The size of a claim is rounded up by some backends, never down: one that only asks for more is on its way.
    let stands = case.claim.whole().map(|whole| standing(&whole)).unwrap_or_default();
    let failed = waits("ControllerResizeError").or_else(|| waits("NodeResizeError"));
    let stand = match (stands.as_str(), failed, pending) {
        (status, ..) if status.ends_with("Infeasible") => Stand::Infeasible,
        (_, Some(condition), _) if condition.kind == "NodeResizeError" => Stand::Node,
        // Until 1.31 the same is called a failure.
        (status, ..) if status.starts_with("NodeResizeFailed") => Stand::Node,
        (_, Some(_), _) => Stand::Controller,
        (status, ..) if status.starts_with("ControllerResizeFailed") => Stand::Controller,
        (_, _, Some(_)) => Stand::FileSystem,
        _ => Stand::Silent,
    };
    let asked = asked(case);
    let told = failed.or(pending).or_else(|| waits("Resizing"));
    let since = told.and_then(|it| it.since).or_else(|| asked.as_ref().map(|blame| blame.change.at));
    let due = |grace| since.or(case.claim.meta.created).and_then(|at| at.checked_add(grace).ok());
    let passed = |due: Timestamp| {
        case.view.recheck_at(due);
        case.view.reached(due)
    };
    if !passed(due(FAILED)?) {
        return None;
    }
    let event = refusal(case, since);
    let stand = if stand == Stand::Silent && event.is_some() { Stand::Controller } else { stand };
    if matches!(stand, Stand::FileSystem | Stand::Silent) && !passed(due(GRACE)?) {
        return None;
    }
    let pods = case.pods();
    // Without a pod nobody can grow a file system, and nobody misses it.
    if stand == Stand::FileSystem && pods.is_empty() {
        return None;
    }
    let said = failed.map(|it| it.message.as_str()).filter(|said| !said.trim().is_empty());
    let said = said.or(event.map(|event| event.message.as_str())).unwrap_or_default();
    let mut finding = match stand {
        Stand::FileSystem => file_system(case, &pods),
        Stand::Node => refused(case, "node-error", said, wanted.as_str()),
        Stand::Silent => silent(case)?,
        Stand::Controller | Stand::Infeasible => {
            let lower = said.to_lowercase();
            match CLASSES.iter().find(|(_, words)| words.iter().any(|word| lower.contains(word))) {
                Some(("not-allowed", _)) => {
                    not_allowed(case).unwrap_or_else(|| refused(case, "refused", said, wanted.as_str()))
                }
                Some((class, _)) => refused(case, class, said, wanted.as_str()),
                None if stand == Stand::Infeasible => refused(case, "infeasible", said, wanted.as_str()),
                None => refused(case, "refused", said, wanted.as_str()),
            }
        }
    };
    finding.severity = Severity::Warning;
    finding.opened = since;
    if let Some(told) = told {
        let words = text::clean_line(told.message.trim());
        let words = format!("{}={} {}", told.kind, told.status, text::shorten(&words, 300));
        finding.evidence.push(Fact::new(role(told), Source::Condition, told.since, case.claim, words.trim_end()));
    }
    if !stands.is_empty() && told.is_none_or(|told| !told.kind.ends_with("ResizeError")) {
        let words = format!("allocatedResourceStatuses.storage is {}", text::shorten(&stands, 60));
        finding.evidence.push(Fact::new(Role::Cause, Source::Status, None, case.claim, words));
    }
    finding.evidence.extend(event.map(|event| case.told(Role::Cause, event)));
    let by = asked.map(|blame| format!(" ({})", blame.words())).unwrap_or_default();
    let words = format!("the claim asks for {}{by}, and its volume has {}", wanted.as_str(), has.as_str());
    finding.evidence.push(Fact::new(Role::Symptom, Source::Status, since, case.claim, words));
    Some(finding)
}

fn role(condition: &Condition) -> Role {
    if condition.kind.ends_with("ResizeError") { Role::Cause } else { Role::Symptom }
}

/// What a refusal is about, from its words; the first that fits.
const CLASSES: [(&str, &[&str]); 4] = [
    (
        "in-use",
        &["is attached", "in use", "in-use", "must be detached", "still attached", "offline", "not in available state"],
    ),
    (
        "quota",
        &[
            "quota",
            "limitexceeded",
            "limit exceeded",
            "resourceexhausted",
            "resource_exhausted",
            "not enough",
            "no space",
            "out of space",
            "capacity",
        ],
    ),
    (
        "not-allowed",
        &[
            "does not allow",
            "expansion is not",
            "expansion not",
            "not support",
            "unsupported",
            "unimplemented",
            "not expandable",
        ],
    ),
    (
        "permission",
        &["permission", "unauthorized", "unauthenticated", "accessdenied", "access denied", "forbidden", "credential"],
    ),
];

/// `status.allocatedResourceStatuses.storage`, or what it was called in alpha.
fn standing(whole: &Value) -> String {
    let at = |pointer: &str| whole.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty());
    at("/status/allocatedResourceStatuses/storage")
        .or_else(|| at("/status/resizeStatus"))
        .unwrap_or_default()
        .to_owned()
}

/// Who asked for the size, and when.
fn asked(case: &Case<'_, '_>) -> Option<blame::Blame> {
    let rank = |field: &FieldChange| (field.pointer == SIZE.1).then_some(0);
    blame::object_change(case.view, case.claim, None, rank)
}

const SIZE: (&str, &str) = ("spec.resources.requests.storage", "/spec/resources/requests/storage");

/// The newest Event that says that it was tried in vain.
fn refusal<'a>(case: &Case<'a, '_>, since: Option<Timestamp>) -> Option<&'a Event> {
    const DONE: [&str; 2] = ["VolumeResizeSuccessful", "FileSystemResizeSuccessful"];
    let events = case.view.events(case.claim);
    let done = events.iter().rev().find(|event| DONE.contains(&event.reason.as_str())).and_then(|it| it.last_seen());
    events.into_iter().rev().find(|event| {
        matches!(event.reason.as_str(), "VolumeResizeFailed" | "FileSystemResizeFailed")
            && (done.is_none() || event.last_seen() > done)
            && since.is_none_or(|since| event.last_seen().is_none_or(|at| at >= since))
    })
}

/// The class of the claim, and whether it says that its volumes may grow.
fn class<'a>(case: &Case<'a, '_>) -> Option<(&'a Object, bool)> {
    let Lookup::Found(class) =
        case.view.object(&Kind::StorageClass, None, case.class_name().filter(|it| !it.is_empty())?)
    else {
        return None;
    };
    let whole = class.whole()?;
    Some((class, whole.get("allowVolumeExpansion").and_then(Value::as_bool) == Some(true)))
}

fn finding(case: &Case<'_, '_>, class: &'static str, what: &str, cause: Cause) -> Finding {
    let what = format!("does not get the size that it asks for: {what}");
    case.finding("volume-resize-stuck", Some(class), what, cause)
}

/// The size as what is wrong, or as what names the storage that will not give it.
fn size(case: &Case<'_, '_>, kind: CauseKind, sentence: String) -> Cause {
    let value = case.spec.size().map(|size| json!(size.as_str()));
    let mut cause = Cause::plain(kind, Some(&case.claim.reference()), sentence).at_field(SIZE.0, SIZE.1, value);
    cause.managed_by = ownership::managed_by(case.claim);
    cause
}

fn refused(case: &Case<'_, '_>, class: &'static str, said: &str, wanted: &str) -> Finding {
    let claim = case.claim.reference();
    let said = text::clean_line(said.trim());
    let said = text::shorten(tail(&said).trim_end_matches('.'), 200).into_owned();
    let says = if said.is_empty() { String::new() } else { format!(": {said}") };
    let outside = |ask: &str| spot::remedy(RemedyKind::Outside, &claim, ask);
    let (what, sentence, kind, remedy) = match class {
        "in-use" => (
            "its volume cannot grow while it is attached",
            format!("The storage grows a volume only while no node has it{says}."),
            CauseKind::Resource,
            spot::remedy(
                RemedyKind::Scale,
                &claim,
                "Scale what mounts the claim to zero until its size has changed, then up again.",
            ),
        ),
        "quota" => (
            "the storage backend has no room or quota left",
            format!("The storage backend refuses {wanted}{says}."),
            CauseKind::External,
            outside("Raise the quota or free space at the storage backend; it is tried again by itself."),
        ),
        "permission" => (
            "the storage backend refuses whoever resizes it",
            format!("The storage backend refuses the request{says}."),
            CauseKind::External,
            outside("Renew the credentials and rights of the CSI controller at the storage backend."),
        ),
        "node-error" => (
            "its node cannot grow the file system",
            format!("The volume is larger, and the kubelet cannot grow what is on it{says}."),
            CauseKind::Resource,
            spot::remedy(
                RemedyKind::Restart,
                &case.pods().first().map_or_else(|| claim.clone(), |pod| case.view.workload_of(pod).reference()),
                "Restart the pod that mounts the claim: its file system is grown when it is mounted. If that fails as well, look at the file system on the node.",
            ),
        ),
        "infeasible" => (
            "the storage will not give it that much",
            format!("{wanted} was found to be impossible, and is not tried again{says}."),
            CauseKind::Resource,
            spot::remedy(
                RemedyKind::Patch,
                &claim,
                "Ask for less, but for more than the volume has (from 1.34 on, before with the feature gate RecoverVolumeExpansionFailure).",
            ),
        ),
        _ => (
            "the storage refuses to grow it",
            format!("The storage refuses to grow the volume to {wanted}{says}."),
            CauseKind::External,
            outside("Look at the log of the CSI driver's controller (its csi-resizer) and at the storage backend."),
        ),
    };
    let mut finding = finding(case, class, what, size(case, kind, sentence));
    finding.verdict = if said.is_empty() { Verdict::Likely } else { Verdict::Confirmed };
    finding.remedies.push(remedy);
    finding
}

/// What a driver says stands behind the wrapping of those who called it.
fn tail(said: &str) -> &str {
    said.rsplit_once("desc = ").map_or(said, |(_, tail)| tail)
}

/// The class does not let its volumes grow, though the claim asks for it: it did when the claim was written.
fn not_allowed(case: &Case<'_, '_>) -> Option<Finding> {
    let (class, _) = class(case).filter(|(_, allowed)| !allowed)?;
    let name = &class.meta.name;
    let what = format!("StorageClass {name} does not let its volumes grow");
    let changed =
        blame::object_change(case.view, class, None, |field| (field.pointer == "/allowVolumeExpansion").then_some(0));
    let cause =
        match changed {
            Some(blame) => {
                let sentence = format!("allowVolumeExpansion of StorageClass {name} was {}.", blame.words());
                blame.cause(case.view, sentence)
            }
            None => {
                let value = class.whole().and_then(|whole| whole.get("allowVolumeExpansion").cloned());
                let mut cause = Cause::plain(CauseKind::Resource, Some(&class.reference()), format!("{what}."))
                    .at_field("allowVolumeExpansion", "/allowVolumeExpansion", value);
                cause.managed_by = ownership::managed_by(class);
                cause
            }
        };
    let mut finding = finding(case, "not-allowed", &what, cause);
    finding.verdict = Verdict::Confirmed;
    let words = format!("allowVolumeExpansion of {name} is not true");
    finding.evidence.push(Fact::new(Role::Cause, Source::Spec, None, class, words));
    let sentence = format!("Let the volumes of {name} grow, if its driver can.");
    let mut remedy = spot::remedy(RemedyKind::Patch, &class.reference(), sentence);
    remedy.managed_by = ownership::managed_by(class);
    remedy.patch_type = Some("merge".to_owned());
    remedy.patch = Some(json!({"allowVolumeExpansion": true}));
    finding.remedies.push(remedy);
    Some(finding)
}

/// Nobody says anything: the class forbids it, or whoever would resize it is not there.
fn silent(case: &Case<'_, '_>) -> Option<Finding> {
    if let Some(finding) = not_allowed(case) {
        return Some(finding);
    }
    let (class, _) = class(case)?;
    let Body::StorageClass(body) = &class.body else { return None };
    let provisioner = text::shorten(&body.provisioner, 100).into_owned();
    let sentence =
        format!("Nobody has begun to grow the volume: {provisioner}, or the resizer beside it, does not answer.");
    let cause = Cause::plain(CauseKind::External, Some(&class.reference()), sentence);
    let what = format!("nobody answers for {provisioner}");
    let mut finding = finding(case, "resizer-silent", &what, cause);
    let ask = format!("Bring up the controller of {provisioner}, with csi-resizer in its pod.");
    finding.remedies.push(spot::remedy(RemedyKind::Outside, &class.reference(), ask));
    Some(finding)
}

/// The volume is larger, and pods that mount it have not seen that yet.
fn file_system(case: &Case<'_, '_>, pods: &[&Object]) -> Finding {
    let names: Vec<String> = pods.iter().take(3).map(|pod| pod.meta.name.clone()).collect();
    let sentence = format!(
        "The volume is larger, and its file system is to be grown on the node when the volume is mounted anew; it is mounted by {}.",
        text::enumerate(&names)
    );
    let what = "its file system is grown only when its pod is started anew";
    let mut finding = finding(case, "restart-needed", what, size(case, CauseKind::Resource, sentence));
    finding.verdict = Verdict::Confirmed;
    if let Some(pod) = pods.first() {
        let top = case.view.workload_of(pod);
        let ask = format!(
            "Restart {} {}: the file system is grown when the volume is mounted.",
            top.kind.singular(),
            top.meta.name
        );
        finding.remedies.push(spot::remedy(RemedyKind::Restart, &top.reference(), ask));
    }
    finding
}

/// A remedy that lets a claim ask for twice as much, where its class allows it.
pub(crate) fn grow(view: &crate::View<'_>, claim: &Object) -> reckon_model::document::Remedy {
    let spec = match &claim.body {
        Body::Claim(body) => Some(&body.spec),
        _ => None,
    };
    let name = spec.and_then(|spec| spec.storage_class_name.as_deref()).filter(|name| !name.is_empty());
    let class = name.and_then(|name| view.object(&Kind::StorageClass, None, name).found());
    let allowed = class.and_then(Object::whole).map(|it| it.get("allowVolumeExpansion") == Some(&json!(true)));
    let twice = spec.and_then(|spec| doubled(spec.size()?));
    let claim_name = &claim.meta.name;
    let (patch, sentence) = match (allowed, twice) {
        (Some(false), _) => (
            None,
            format!(
                "Move what is in {claim_name} to a larger claim, or let its StorageClass grow volumes (allowVolumeExpansion), if its driver can."
            ),
        ),
        (_, Some(twice)) => (
            Some(json!({"spec": {"resources": {"requests": {"storage": twice}}}})),
            format!("Let {claim_name} ask for {twice}, or remove what is not needed from it."),
        ),
        (_, None) => (None, format!("Let {claim_name} ask for more, or remove what is not needed from it.")),
    };
    let mut remedy = spot::remedy(RemedyKind::Patch, &claim.reference(), sentence);
    remedy.managed_by = ownership::managed_by(claim);
    // A claim never shrinks again.
    remedy.reversible = false;
    remedy.patch_type = patch.is_some().then(|| "merge".to_owned());
    remedy.patch = patch;
    remedy
}
