//! Pods that name a ServiceAccount, a PriorityClass or a RuntimeClass that is not there.

use super::case::{self, Case};
use crate::spot::{self, Spot};
use crate::{Fact, Finding, Lookup, blame};
use reckon_model::document::{Cause, CauseKind, Role, Source, Verdict};
use reckon_model::{Kind, ResourceRef};

/// What is named, and how.
struct Named<'n> {
    class: &'static str,
    target: ResourceRef,
    /// The key of the pod spec that names it.
    key: &'static str,
    /// As access rules name it.
    resource: &'static str,
    make: &'n str,
}

/// The finding; `None` once the account exists.
pub(super) fn service_account(case: &Case<'_, '_>, name: &str) -> Option<Finding> {
    let make = format!("Create ServiceAccount {name}: kubectl create serviceaccount {name}.");
    found(
        case,
        &Named {
            class: "service-account",
            target: ResourceRef::new(Kind::ServiceAccount, case.namespace(), name),
            key: "serviceAccountName",
            resource: "serviceaccounts",
            make: &make,
        },
    )
}

/// The finding; `None` once the class exists.
pub(super) fn priority_class(case: &Case<'_, '_>, name: &str) -> Option<Finding> {
    let make = format!("Have an administrator create PriorityClass {name}.");
    found(
        case,
        &Named {
            class: "priority-class",
            target: ResourceRef::new(case::kind("scheduling.k8s.io", "PriorityClass"), None, name),
            key: "priorityClassName",
            resource: "priorityclasses.scheduling.k8s.io",
            make: &make,
        },
    )
}

/// The finding; `None` once the class exists.
pub(super) fn runtime_class(case: &Case<'_, '_>, name: &str) -> Option<Finding> {
    let make = format!("Have an administrator create RuntimeClass {name} for a handler that the nodes have.");
    found(
        case,
        &Named {
            class: "runtime-class",
            target: ResourceRef::new(case::kind("node.k8s.io", "RuntimeClass"), None, name),
            key: "runtimeClassName",
            resource: "runtimeclasses.node.k8s.io",
            make: &make,
        },
    )
}

fn found(case: &Case<'_, '_>, named: &Named<'_>) -> Option<Finding> {
    let Named { class, target, key, resource, make } = named;
    let absent = match case.view.look_up(target) {
        // Made in the meantime: the next attempt succeeds.
        Lookup::Found(_) => return None,
        Lookup::Absent { .. } => true,
        Lookup::Unread => false,
    };
    let why = format!("{} {} does not exist", target.kind, target.name);
    let spot = Spot::of(case.workload);
    let cause = match spot.as_ref().map(|spot| spot.path(key)) {
        Some(path) => blame::missing_reference(case.view, case.workload, target, &path.field, &path.pointer),
        None => Cause::plain(CauseKind::Resource, Some(target), case.sentence(&why)),
    };
    let mut finding = case.finding("reference-rejected", Some(class), &why, cause);
    if absent {
        finding.evidence.push(Fact {
            role: Role::Cause,
            source: Source::Absence,
            at: finding.cause.at.filter(|_| finding.cause.kind == CauseKind::Change),
            about: target.clone(),
            text: format!("{} {} is not there", target.kind, target.name),
            raw: None,
        });
    } else {
        finding.verdict = Verdict::Likely;
    }
    let own = |cause: &Cause| {
        cause.reference.as_ref().is_some_and(|blamed| ResourceRef::from(blamed) == case.workload.reference())
    };
    if finding.cause.kind == CauseKind::Change && own(&finding.cause) {
        finding.remedies.extend(case.roll_back());
    }
    let mut supply = spot::supply(case.view, &finding.cause, target, *make);
    if let Some(requires) = supply.requires.as_mut().filter(|requires| requires.verb == "create") {
        (*resource).clone_into(&mut requires.resource);
    }
    finding.remedies.push(supply);
    Some(finding)
}
