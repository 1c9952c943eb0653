//! How programs behave by what they find: what a person puts right gets well by itself, as on a real cluster.

use crate::company::workload;
use crate::ground::{self, ALLOCATABLE, NODES};
use crate::node_log::resizer_holds;
use crate::past::labels;
use jiff::Timestamp;
use reckon_sim::{Behaviour, Usage, World};
use serde_json::{Value, json};
use std::sync::Arc;

/// The host that the ledger's database answers to.
const DATABASE: &str = "payments-postgres";

/// The tag that nobody ever pushed.
pub(crate) const UNPUSHED: &str = "4.9.0-rc.1";

/// Lets every program look around.
pub(crate) fn look_around(world: &mut World, begin: Timestamp, certificate_ends: Timestamp) {
    ledger(world);
    payments(world);
    notifications(world);
    bank(world, certificate_ends);
    invoices(world);
    say(world, "search", "shop", "search", Some(UNPUSHED), Some(json!({"pull": false})));
    resizer(world, begin);
    volumes(world);
    uses(world);
}

/// Says how a program behaves; `None`: as always. Of one image only where a tag is given.
fn say(world: &mut World, why: &str, namespace: &str, name: &str, tag: Option<&str>, script: Option<Value>) {
    let Some(workload) = workload(namespace, name) else { return };
    let behaviour = script.map(|script| Behaviour {
        namespace: namespace.to_owned(),
        labels: labels(&workload),
        image: tag.map(|tag| format!("{}:{tag}", workload.image)),
        script,
    });
    world.behave(&format!("1/{why}"), behaviour);
}

/// It reads its settings again when they change, and gives up where it finds no database.
fn ledger(world: &mut World) {
    let config = world.get("configmaps", "payments", "ledger-config").unwrap_or_default();
    let host = config["data"]["DATABASE_HOST"].as_str().unwrap_or_default();
    let script = (host != DATABASE).then(|| {
        let gone = format!("FATAL DATABASE_HOST {host}:5432: lookup {host} on 10.96.0.10:53: no such host");
        json!({"exitCode": 1, "after": 6, "unready": "HTTP probe failed with statuscode: 503", "log": ["ledger 6.0.2", "settings changed, connecting again", gone]})
    });
    say(world, "ledger", "payments", "ledger", None, script);
}

/// It is not ready without the ledger.
fn payments(world: &mut World) {
    let serves = |pod: &Value| {
        let mut conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
        conditions.any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
    };
    let there = world
        .objects("pods")
        .filter(|(key, _)| &*key.namespace == "payments" && key.name.starts_with("ledger-"))
        .any(|(_, stored)| serves(&stored.shared()));
    let script = (!there).then(|| json!({"unready": "HTTP probe failed with statuscode: 503"}));
    if script.is_some() {
        // Said once, when it begins: by those that are ready still.
        let pods = world.objects("pods").filter(|(key, stored)| {
            &*key.namespace == "payments" && key.name.starts_with("payments-api-") && serves(&stored.shared())
        });
        let names: Vec<String> = pods.map(|(key, _)| key.name.to_string()).collect();
        for pod in names {
            world.log(
                "payments",
                &pod,
                "payments-api",
                "ERROR not ready: ledger: dial tcp 10.96.140.12:80: connect: connection refused",
            );
        }
    }
    say(world, "payments", "payments", "payments-api", None, script);
}

/// Under load it needs two seconds to answer: too long for a probe that waits for one.
fn notifications(world: &mut World) {
    let sets: Vec<Arc<Value>> = world
        .objects("replicasets.apps")
        .filter(|(key, _)| &*key.namespace == "shop" && key.name.starts_with("notifications-"))
        .map(|(_, stored)| stored.shared())
        .collect();
    for set in sets {
        let hash = set["metadata"]["labels"]["pod-template-hash"].as_str().unwrap_or_default();
        let probe = &set["spec"]["template"]["spec"]["containers"][0]["livenessProbe"];
        let impatient = probe["timeoutSeconds"].as_i64().unwrap_or(1) < 2;
        let met = "Get \"http://10.148.7.31:8080/healthz/live\": context deadline exceeded (Client.Timeout exceeded while awaiting headers)";
        let behaviour = impatient.then(|| Behaviour {
            namespace: "shop".to_owned(),
            labels: [("pod-template-hash".to_owned(), hash.to_owned())].into(),
            image: None,
            script: json!({"liveness": met, "after": 170, "log": ["notifications 2.6.3", "listening on :8080", "sending 412 mails"]}),
        });
        world.behave(&format!("1/notifications/{hash}"), behaviour);
    }
}

/// The bank takes no call with a certificate that has run out.
fn bank(world: &mut World, ends: Timestamp) {
    let over = world.now() >= ends;
    let at = ends.to_string();
    let said = format!(
        "FATAL handshake with api.bank.example: tls: client certificate /etc/tls/tls.crt: x509: certificate has expired or is not yet valid: current time is after {at}"
    );
    let script = over.then(|| json!({"exitCode": 1, "after": 3, "log": ["bank-gateway 1.7.5", "client certificate: /etc/tls/tls.crt", said]}));
    say(world, "bank", "payments", "bank-gateway", None, script);
    let now = world.now().to_string();
    if over
        && world
            .get("certificates.cert-manager.io", "payments", "bank-gateway-tls")
            .is_some_and(|certificate| certificate["status"]["conditions"][0]["status"] == "True")
    {
        world.edit("certificates.cert-manager.io", "payments", "bank-gateway-tls", "cert-manager-certificates-readiness", |certificate| {
            certificate["status"] = json!({"notAfter": at, "conditions": [{"type": "Ready", "status": "False", "reason": "Expired",
                "message": format!("Certificate expired on {at}"), "lastTransitionTime": now}]});
        });
    }
}

/// The run of this hour finds invoices without an address.
fn invoices(world: &mut World) {
    let failing = world.get("configmaps", "payments", "invoice-templates").is_some();
    let said = "ERROR template invoice-de.html: line 41: unknown field \"billing_adress\"";
    let script =
        failing.then(|| json!({"exitCode": 3, "after": 5, "log": ["invoice-run 2.2.8", "rendering invoices", said]}));
    say(world, "invoices", "payments", "invoice-run", None, script);
}

/// It never gives a buffer back; what it holds follows from its age.
fn resizer(world: &mut World, begin: Timestamp) {
    let minutes = world.now().duration_since(begin).as_secs().max(0) / 60;
    let script = json!({"memoryMi": resizer_holds(minutes) >> 20});
    say(world, "resizer", "shop", "image-resizer", None, Some(script));
}

/// The driver makes a volume for each claim of a class that is there.
fn volumes(world: &mut World) {
    let waiting: Vec<(String, String, String)> = world
        .objects("persistentvolumeclaims")
        .filter_map(|(key, stored)| {
            let claim = stored.shared();
            let class = claim["spec"]["storageClassName"].as_str()?.to_owned();
            (claim["status"]["phase"] == "Pending").then(|| (key.namespace.to_string(), key.name.to_string(), class))
        })
        .collect();
    for (namespace, name, class) in waiting {
        if world.get("storageclasses.storage.k8s.io", "", &class).is_some() {
            ground::provision(world, &namespace, &name);
        }
    }
}

/// What the nodes use together, as their containers do.
fn uses(world: &mut World) {
    let pods: Vec<Arc<Value>> = world.objects("pods").map(|(_, stored)| stored.shared()).collect();
    for (node, ..) in NODES {
        let (mut cpu, mut memory) = (180, 900);
        for pod in pods.iter().filter(|pod| pod["spec"]["nodeName"] == node && pod["status"]["phase"] == "Running") {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let name = text(&pod["metadata"]["labels"]["app.kubernetes.io/name"]);
            if let Some(workload) = workload(&text(&pod["metadata"]["namespace"]), &name) {
                cpu += workload.uses.0;
                memory += workload.uses.1;
            }
        }
        let usage = Usage { cpu_nanos: cpu * 1_000_000, memory_bytes: (memory << 20).min(ALLOCATABLE) };
        world.use_node(node, usage);
    }
}
