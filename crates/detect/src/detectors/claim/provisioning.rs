//! Volumes that are to be made and are not.

use super::Case;
use crate::finding::{Fact, Finding};
use crate::spot;
use reckon_model::document::{Cause, CauseKind, Remedy, RemedyKind, Role, Source, Verdict};
use reckon_model::k8s::{Event, StorageClass};
use reckon_model::{Body, Object, text};
use serde_json::Value;

/// Whose fault a provisioner's refusal is, from its words (in lower case, loosely: they are those of a hundred drivers).
/// The first that fits wins.
const FAULTS: &[(&str, &[&str])] = &[
    (
        "quota",
        &["quota", "limitexceeded", "limit exceeded", "resource_exhausted", "resourceexhausted", "not enough free"],
    ),
    (
        "permission",
        &["permission", "unauthorized", "unauthenticated", "accessdenied", "access denied", "forbidden", "credential"],
    ),
    ("access-mode", &["access mode", "accessmode", "multi_node", "readwritemany", "volume capabilit"]),
    ("parameters", &["parameter", "invalidargument", "invalid argument", "invalid value", "unknown field"]),
];

/// Why nobody makes a volume for this claim; silent while somebody is at it.
pub(super) fn found(case: &Case<'_, '_>, class: Option<&Object>) -> Option<Finding> {
    let events = case.view.events(case.claim);
    let newest = |reason: &str| events.iter().rev().copied().find(|event| event.reason == reason);
    let later = |a: &Event, b: Option<&Event>| b.is_none_or(|b| a.last_seen() >= b.last_seen());
    let failed = newest("ProvisioningFailed")
        // The class has come since; the provisioner has not tried again yet.
        .filter(|event| {
            class.is_none() || !(event.message.contains("storageclass") && event.message.contains("not found"))
        });
    if let Some(failed) = failed.filter(|failed| {
        later(failed, newest("ProvisioningSucceeded")) && !failed.message.contains("object has been modified")
    }) {
        return Some(refused(case, class, failed));
    }
    let waiting = newest("ExternalProvisioning")?;
    // A provisioner that is there says that it has begun.
    if newest("Provisioning").is_some() || !later(waiting, newest("ProvisioningSucceeded")) {
        return None;
    }
    let since = waiting.first_seen().and_then(|at| at.checked_add(super::GRACE).ok())?;
    if !case.view.reached(since) {
        case.view.recheck_at(since);
        return None;
    }
    Some(silent(case, class, waiting))
}

fn body(class: Option<&Object>) -> Option<&StorageClass> {
    match class.map(|class| &class.body) {
        Some(Body::StorageClass(body)) => Some(body),
        _ => None,
    }
}

fn refused(case: &Case<'_, '_>, class: Option<&Object>, failed: &Event) -> Finding {
    let said = failed.message.to_lowercase();
    let fault = FAULTS.iter().find(|(_, phrases)| phrases.iter().any(|phrase| said.contains(phrase)));
    let fault = fault.map_or("refused", |(fault, _)| *fault);
    let claim = case.claim.reference();
    let class_name = case.class_name().unwrap_or("");
    let provisioner = body(class).map_or(failed.component(), |class| class.provisioner.as_str());
    let (what, cause, remedy): (&str, Cause, Remedy) = match (fault, class) {
        ("parameters", Some(class)) => (
            "the provisioner refuses the parameters of its StorageClass",
            Cause::plain(
                CauseKind::Resource,
                Some(&class.reference()),
                format!("The parameters of StorageClass {class_name} are not what {provisioner} takes."),
            )
            .at_field(
                "parameters",
                "/parameters",
                class.whole().and_then(|whole| whole.get("parameters").cloned()),
            ),
            spot::remedy(
                RemedyKind::Create,
                &class.reference(),
                format!("Make StorageClass {class_name} again with right parameters: they cannot be changed."),
            ),
        ),
        ("access-mode", _) => (
            "the provisioner cannot make a volume with these access modes",
            Cause::plain(
                CauseKind::Resource,
                Some(&claim),
                format!("{provisioner} makes no volumes with the access modes {}.", case.spec.access_modes.join(", ")),
            )
            .at_field(
                "spec.accessModes",
                "/spec/accessModes",
                Some(Value::from(case.spec.access_modes.clone())),
            ),
            spot::remedy(
                RemedyKind::Create,
                &claim,
                "Make the claim again with an access mode that the class supports, or with another class.",
            ),
        ),
        _ => {
            let (what, ask) = match fault {
                "quota" => ("the storage backend has no room or quota left", "Raise the quota or free space at"),
                "permission" => ("the storage backend refuses the provisioner", "Renew the credentials and rights at"),
                _ => ("the provisioner fails", "Find out why at"),
            };
            (
                what,
                Cause::plain(
                    CauseKind::External,
                    Some(&claim),
                    format!("{provisioner} was asked for a volume and fails: {}.", ending(&failed.message)),
                ),
                spot::remedy(
                    RemedyKind::Outside,
                    &claim,
                    format!("{ask} the storage behind {provisioner}; it is tried again by itself."),
                ),
            )
        }
    };
    let mut finding = case.finding("pvc-provisioning", Some(fault), format!("gets no volume: {what}"), cause);
    finding.verdict = if fault == "refused" || class.is_none() { Verdict::Likely } else { Verdict::Confirmed };
    finding.opened = failed.first_seen();
    finding.evidence.push(case.told(Role::Cause, failed));
    finding.evidence.push(case.asks());
    finding.remedies.push(remedy);
    finding
}

fn silent(case: &Case<'_, '_>, class: Option<&Object>, waiting: &Event) -> Finding {
    let provisioner = body(class)
        .map(|class| class.provisioner.as_str())
        .or_else(|| waiting.message.split('\'').nth(1))
        .unwrap_or("the provisioner");
    let sentence = format!(
        "No component answers for the provisioner {provisioner}: it is not installed, not running, or not its leader."
    );
    let reference = class.map_or_else(|| case.claim.reference(), Object::reference);
    let cause = Cause::plain(CauseKind::Resource, Some(&reference), sentence);
    let cause = match class {
        Some(_) => cause.at_field("provisioner", "/provisioner", Some(provisioner.into())),
        None => cause,
    };
    let what = format!("gets no volume: the provisioner {provisioner} does not answer");
    let mut finding = case.finding("pvc-provisioning", Some("provisioner-silent"), what, cause);
    finding.verdict = Verdict::Likely;
    finding.opened = waiting.first_seen();
    finding.evidence.push(case.told(Role::Symptom, waiting));
    let absent = format!("no Event says that {provisioner} has begun");
    finding.evidence.push(Fact::new(Role::Cause, Source::Absence, None, case.claim, absent));
    finding.evidence.push(case.asks());
    finding.remedies.push(spot::remedy(
        RemedyKind::Outside,
        &reference,
        format!("Look for the controller of {provisioner} (kubectl get pods -A, kubectl get csidrivers) and start it, or correct the class."),
    ));
    finding
}

/// The last part of a chain of errors, without an end of its own.
fn ending(message: &str) -> String {
    let last = message.rsplit(" desc = ").next().unwrap_or(message).trim().trim_end_matches('.');
    text::shorten(last, 160).into_owned()
}
