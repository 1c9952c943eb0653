//! New templates that are used only when somebody says so: `OnDelete`, and partitions.

use super::last_write::LastWrite;
use crate::catalogue::{Failure, Stage, Verified};
use crate::spot;
use crate::{Detector, Fact, Finding, Place, View, blame, describe, ownership};
use jiff::SignedDuration;
use reckon_model::document::{Cause, CauseKind, RemedyKind, Role, Severity, Source, Verdict};
use reckon_model::k8s::Workload;
use reckon_model::object::at;
use reckon_model::{Kind, Object, text};
use serde_json::{Value, json};

pub(crate) static DETECTOR: Detector = Detector {
    name: "held_back",
    failures: &[Failure {
        slug: "update-not-applied",
        title: "A new template waits for a person",
        stage: Stage::Rollout,
        family: "update-not-applied",
        echo: false,
        verified: Verified::Constructed,
        page: include_str!("../pages/update-not-applied.md"),
    }],
    subjects: &[Kind::StatefulSet, Kind::DaemonSet],
    others: &[],
    detect,
};

/// Programs that stage updates need a while for it: an operator that deletes pod after pod, a pipeline that lowers a partition.
const STAGING: SignedDuration = SignedDuration::from_mins(10);

/// What holds the new template back.
enum Hold {
    OnDelete,
    Partition(i64),
}

fn detect<'a>(view: &View<'a>, subject: &'a Object) -> Vec<Finding> {
    let Some(body) = subject.workload() else { return Vec::new() };
    let status = &body.status;
    let wanted = match subject.kind {
        Kind::DaemonSet => status.desired_number_scheduled,
        _ => body.spec.replicas.unwrap_or(1),
    };
    let current = subject.meta.deleted.is_none() && status.observed_generation >= subject.meta.generation;
    if !current || wanted == 0 || status.updated_replicas >= wanted {
        return Vec::new();
    }
    let hold = match (body.spec.strategy.kind.as_str(), body.spec.strategy.rolling_update.partition) {
        ("OnDelete", _) => Hold::OnDelete,
        ("" | "RollingUpdate", Some(partition)) if partition > 0 => Hold::Partition(partition),
        _ => return Vec::new(),
    };
    found(view, subject, body, wanted, &hold).into_iter().collect()
}

fn found<'a>(view: &View<'a>, subject: &'a Object, body: &Workload, wanted: i64, hold: &Hold) -> Option<Finding> {
    let status = &body.status;
    let held = match hold {
        // Those that are not there yet will be of the new template.
        Hold::OnDelete => status.replicas.min(wanted).saturating_sub(status.updated_replicas),
        Hold::Partition(_) if status.update_revision == status.current_revision => 0,
        Hold::Partition(partition) => partition.saturating_sub(start(subject)).min(wanted),
    };
    if held <= 0 {
        return None;
    }
    let changed = blame::template_change(view, subject, None, None, |_| Some(0));
    if let Some(due) = changed.as_ref().and_then(|blame| blame.change.at.checked_add(STAGING).ok())
        && !view.reached(due)
    {
        view.recheck_at(due);
        return None;
    }
    let name = describe::object(subject);
    let pods = format!("{held} of {}", text::count(usize::try_from(wanted).unwrap_or(0), "pod"));
    let (keep, them) = if held == 1 { ("keeps", "it") } else { ("keep", "them") };
    let (class, field, pointer, value, why) = match hold {
        Hold::OnDelete => (
            "on-delete",
            "spec.updateStrategy.type",
            "/spec/updateStrategy/type",
            json!("OnDelete"),
            "updateStrategy is OnDelete: a pod gets the new template only when somebody deletes it".to_owned(),
        ),
        Hold::Partition(partition) => (
            "partition",
            "spec.updateStrategy.rollingUpdate.partition",
            "/spec/updateStrategy/rollingUpdate/partition",
            json!(partition),
            format!("the partition is {partition}: pods of lower numbers keep the template before"),
        ),
    };
    let title = match hold {
        Hold::OnDelete => format!("{name}: {pods} {keep} the template before until somebody deletes {them} (OnDelete)"),
        Hold::Partition(partition) => format!("{name}: {pods} {keep} the template before, below partition {partition}"),
    };
    let mut finding =
        Finding::new("update-not-applied", Place::of(subject), title, cause(subject, field, pointer, &value, &why));
    finding.class = Some(class);
    finding.severity = Severity::Info;
    finding.verdict = Verdict::Confirmed;
    finding.opened = changed.as_ref().map(|blame| blame.change.at);
    let numbers = match status.update_revision.as_str() {
        "" => format!("{} of {wanted} updated", status.updated_replicas),
        update => format!("{} of {wanted} are of revision {}", status.updated_replicas, text::shorten(update, 80)),
    };
    finding.evidence.push(Fact::new(Role::Symptom, Source::Status, finding.opened, subject, numbers));
    if let Some(blame) = &changed {
        let text = format!("what waits: {} was {}", blame.field().field, blame.words());
        finding.evidence.push(Fact::new(Role::Symptom, Source::Change, Some(blame.change.at), subject, text));
    }
    let mut remedy = match hold {
        Hold::OnDelete => spot::remedy(
            RemedyKind::Restart,
            &subject.reference(),
            "Delete the old pods one by one, each when the one before is ready again; or set updateStrategy to RollingUpdate.",
        ),
        Hold::Partition(_) => {
            let sentence = "If the first pods do well, let the others follow: set the partition to 0.";
            let mut remedy = spot::remedy(RemedyKind::Patch, &subject.reference(), sentence);
            remedy.patch_type = Some("merge".to_owned());
            remedy.patch = Some(json!({"spec": {"updateStrategy": {"rollingUpdate": {"partition": 0}}}}));
            remedy
        }
    };
    remedy.managed_by = ownership::managed_by(subject);
    finding.remedies.push(remedy);
    Some(finding)
}

fn cause(subject: &Object, field: &str, pointer: &str, value: &Value, why: &str) -> Cause {
    let stands = format!("The new template waits: {why}.");
    match LastWrite::of(subject, field, pointer, Some(value.clone())) {
        Some(write) => write.cause(format!("{stands} Last written {}.", write.words())),
        None => {
            let mut cause = Cause::plain(CauseKind::Resource, Some(&subject.reference()), stands);
            cause.managed_by = ownership::managed_by(subject);
            cause.at_field(field, pointer, Some(value.clone()))
        }
    }
}

/// The number of a StatefulSet's first pod (from 1.26 on).
fn start(subject: &Object) -> i64 {
    let whole = subject.whole();
    whole.as_deref().and_then(|whole| at(whole, &["spec", "ordinals", "start"])).and_then(Value::as_i64).unwrap_or(0)
}
