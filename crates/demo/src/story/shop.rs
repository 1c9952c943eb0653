//! What happens in the shop.

use super::Scripted;
use crate::company::workload;
use crate::owner::Owner;
use crate::programs::UNPUSHED;
use crate::workload::Workload;
use reckon_sim::World;
use serde_json::{Value, json};

pub(super) static LIMIT: Scripted = Scripted {
    minute: 1,
    what: "Helm upgrades checkout, and the new values halve its memory limit",
    ask: "deployment/checkout",
    namespace: Some("shop"),
    failure: "oom-killed",
    shows: 60,
    begin: |world| upgrade(world, "checkout", |workload| workload.limit = Some("256Mi")),
};

pub(super) static IMAGE: Scripted = Scripted {
    minute: 4,
    what: "Argo CD syncs search to a tag that was never pushed",
    ask: "deployment/search",
    namespace: Some("shop"),
    failure: "image-not-found",
    shows: 60,
    begin: |world| upgrade(world, "search", |workload| workload.tag = UNPUSHED),
};

pub(super) static SELECTOR: Scripted = Scripted {
    minute: 18,
    what: "somebody patches the selector of Service reviews and slips",
    ask: "service/reviews",
    namespace: Some("shop"),
    failure: "service-selects-nothing",
    shows: 120,
    begin: |world| {
        world.edit("services", "shop", "reviews", "kubectl-patch", |service| {
            service["spec"]["selector"]["app.kubernetes.io/name"] = "review".into();
        });
    },
};

pub(super) static PROBE: Scripted = Scripted {
    minute: 20,
    what: "Helm upgrades notifications, and its liveness probe waits one second instead of five",
    ask: "deployment/notifications",
    namespace: Some("shop"),
    failure: "liveness-kills-busy",
    shows: 420,
    begin: |world| {
        let Some(workload) = workload("shop", "notifications") else { return };
        let mut objects = workload.objects(workload.tag);
        for (_, object) in objects.iter_mut().filter(|(resource, _)| *resource == "deployments.apps") {
            object["spec"]["template"]["spec"]["containers"][0]["livenessProbe"]["timeoutSeconds"] = 1.into();
        }
        next(workload.owner).apply(world, objects);
    },
};

pub(super) static ACCELERATOR: Scripted = Scripted {
    minute: 29,
    what: "recommendations asks for nodes with an accelerator, of which there are none",
    ask: "deployment/recommendations",
    namespace: Some("shop"),
    failure: "unschedulable-node-selector",
    shows: 90,
    begin: |world| {
        upgrade(world, "recommendations", |workload| {
            workload.spec = json!({"nodeSelector": {"harbourbooks.example/pool": "accelerated"}});
        });
    },
};

pub(super) static LEAK: Scripted = Scripted {
    minute: 0,
    what: "image-resizer has been growing for hours, and goes on towards its memory limit",
    ask: "deployment/image-resizer",
    namespace: Some("shop"),
    failure: "memory-growing",
    shows: 60,
    // What it holds grows all the time: nothing has to be done.
    begin: |_| (),
};

/// The owner at its next revision.
pub(super) fn next(owner: Owner) -> Owner {
    match owner {
        Owner::Helm { release, chart, revision } => Owner::Helm { release, chart, revision: revision + 1 },
        other => other,
    }
}

/// Brings a workload of the shop out in another form.
fn upgrade(world: &mut World, name: &str, change: impl FnOnce(&mut Workload)) {
    let Some(mut changed) = workload("shop", name) else { return };
    change(&mut changed);
    let objects: Vec<(&'static str, Value)> = changed.objects(changed.tag);
    next(changed.owner).apply(world, objects);
}
