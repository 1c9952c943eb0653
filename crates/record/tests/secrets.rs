//! Nothing secret gets into an entry, whatever carries it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod feed;

use feed::{Feed, deployment, object, pod, replica_set, running, with, wrote};
use reckon_record::{Memory, Noise};
use serde_json::{Value, json};

/// A credential that must not survive, with a number for each carrier.
fn canary(carrier: usize, turn: usize) -> String {
    format!("Zq7Lm2Xv9Kp4Rt8W{carrier:02}{turn:02}")
}

/// Every place in which people and programs put credentials.
fn carriers(turn: usize) -> Vec<Value> {
    let c = |carrier| canary(carrier, turn);
    let own = json!({"f:spec": {"f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"app\"}": {"f:env": {}}}}}}});
    let container = json!({"name": "app", "image": format!("https://robot:{}@registry.example/app:{turn}", c(1)),
        "args": ["--db", format!("postgres://web:{}@db/web", c(2)), "--api-key", c(3)], "command": ["sh", "-c", format!("export TOKEN={}; run", c(4))],
        "env": [{"name": "DB_PASSWORD", "value": c(5)}, {"name": "LEVEL", "value": turn.to_string()}]});
    let applied =
        json!({"kind": "Deployment", "spec": {"template": {"spec": {"containers": [container]}}}}).to_string();
    let web = with(
        &deployment("web", "x"),
        &json!({"metadata": {"generation": turn, "managedFields": [wrote("kubectl", feed::NOON, &own)],
        "annotations": {"vault/token": c(6), "kubectl.kubernetes.io/last-applied-configuration": applied}},
        "spec": {"template": {"metadata": {"annotations": {"example.org/api-key": c(7)}}, "spec": {"containers": [container]}}},
        "status": {"conditions": [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": format!("password={}", c(8))}]}}),
    );
    let config = object(
        "v1",
        "ConfigMap",
        "settings",
        &json!({"data": {"db.password": c(9), "turn": turn.to_string(),
        "app.properties": format!("spring.datasource.password={}\nturn={turn}", c(10)), "key.pem": format!("-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----", c(11))}}),
    );
    let secret = object(
        "v1",
        "Secret",
        "db",
        &json!({"data": {"password": c(12), format!("turn{turn}"): c(13)}, "stringData": {"plain": c(14)},
        "metadata": {"managedFields": [wrote("vault", &format!("2026-01-01T12:00:{turn:02}Z"), &json!({"f:data": {"f:password": {}}}))],
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": json!({"kind": "Secret", "stringData": {"plain": c(15)}}).to_string()}}}),
    );
    let end = json!({"terminated": {"exitCode": 1, "reason": "Error", "message": format!("token={} rejected", c(16)), "finishedAt": format!("2026-01-01T12:00:{turn:02}Z"), "containerID": format!("c://{turn}")}});
    let made = with(
        &pod("bare", None),
        &json!({"metadata": {"annotations": {"example.org/token": c(17), "turn": turn.to_string()}}, "spec": {"containers": [container]}}),
    );
    let event = object(
        "v1",
        "Event",
        &format!("e{turn}"),
        &json!({"reason": format!("Failed{turn}"), "type": "Warning", "count": 1, "lastTimestamp": feed::NOON,
        "message": format!("Authorization: Basic {}", c(18)), "involvedObject": {"kind": "Pod", "apiVersion": "v1", "name": "bare", "namespace": "shop"}}),
    );
    let custom = object(
        "argoproj.io/v1alpha1",
        "Application",
        "shop",
        &json!({"spec": {"source": {"repoURL": format!("https://git:{}@git.example/shop", c(19)), "helm": {"parameters": [{"name": "db.password", "value": c(20)}]}, "turn": turn},
        "project": "p"}, "status": {"operationState": {"phase": "Failed", "message": format!("clone https://git:{}@git.example failed", c(21)), "finishedAt": format!("2026-01-01T12:00:{turn:02}Z"), "syncResult": {"revision": turn.to_string()}}}}),
    );
    let set = replica_set(&web, &format!("h{turn}"), u32::try_from(turn).unwrap(), feed::NOON);
    vec![
        web,
        set,
        config,
        secret,
        running(&made, turn.is_multiple_of(2), u32::try_from(turn).unwrap(), &json!({"running": {}}), &end),
        event,
        custom,
    ]
}

#[test]
fn no_canary_of_any_carrier_is_in_an_entry() {
    for noise in [Noise::default(), Noise::without(reckon_record::noise::RULES.iter().map(|rule| rule.id)).unwrap()] {
        let mut feed = Feed::with(noise.clone());
        let mut entries = Vec::new();
        let mut marks = Vec::new();
        for turn in 1..45 {
            feed.pass(1);
            for object in carriers(turn) {
                let told = feed.hear(&object);
                entries.extend(told.entries);
                marks.extend(told.marks);
            }
        }
        carriers(44).iter().for_each(|object| entries.extend(feed.delete(object)));
        feed.pass(3_600);
        entries.extend(feed.steps().entries);
        // And of what is there when a recorder begins.
        let mut late = Feed::starting(noise, Memory::default());
        carriers(45).iter().for_each(|object| entries.extend(late.apply(object)));
        let words: std::collections::BTreeSet<&str> = entries.iter().map(|entry| entry.fact.word()).collect();
        for word in ["change", "seen", "rollout", "sync", "death", "phase", "event"] {
            assert!(words.contains(word), "{word}");
        }
        assert!(entries.iter().any(|entry| matches!(&entry.fact, reckon_model::record::Fact::Change(it) if !it.fields.is_empty() && it.object.is_some())));
        for entry in &entries {
            let json = serde_json::to_string(entry).unwrap();
            assert!(!json.contains("Zq7Lm2Xv9Kp4Rt8W"), "{json}");
        }
        assert!(marks.iter().all(|(of, mark)| !reckon_record::line(of, mark.as_ref()).contains("Zq7Lm2Xv9Kp4Rt8W")));
    }
}
