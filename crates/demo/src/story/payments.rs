//! What happens to payments.

use super::Scripted;
use crate::past;
use serde_json::json;

pub(super) static SETTINGS: Scripted = Scripted {
    minute: 7,
    what: "somebody edits the ledger's database host by hand; the ledger crashes, and payments-api is not ready without it",
    ask: "deployment/ledger",
    namespace: Some("payments"),
    failure: "crash-config-content",
    shows: 150,
    begin: |world| {
        world.edit("configmaps", "payments", "ledger-config", "kubectl-edit", |config| {
            config["data"]["DATABASE_HOST"] = "payments-postgresql".into();
        });
    },
};

pub(super) static INVOICES: Scripted = Scripted {
    minute: 13,
    what: "the hourly run of invoices meets a template with a slip and fails for good",
    ask: "cronjob/invoice-run",
    namespace: Some("payments"),
    failure: "job-failed",
    shows: 60,
    begin: |world| {
        let map = json!({"metadata": {"name": "invoice-templates", "namespace": "payments"},
            "data": {"invoice-de.html": "<p>{{ billing_adress }}</p>\n"}});
        // It is not there before: nothing refuses it.
        let _ = world.create_as("configmaps", map, "kubectl-create");
        past::job(world, "payments", "invoice-run");
    },
};

pub(super) static CERTIFICATE: Scripted = Scripted {
    minute: 26,
    what: "the client certificate of bank-gateway runs out, and nobody renewed it",
    ask: "deployment/bank-gateway",
    namespace: Some("payments"),
    failure: "certificate-unusable",
    shows: 240,
    // Time alone does it: see `programs::bank`.
    begin: |_| (),
};
