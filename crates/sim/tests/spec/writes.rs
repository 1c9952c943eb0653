//! Creating, changing, deleting.

use crate::ask::start;
use serde_json::{Value, json};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";

fn deployment(name: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "app", "image": "a:1"}]}},
        },
    })
}

#[test]
fn what_is_created_is_complete() {
    let sim = start();
    let made = sim.ask_as(&format!("POST {DEPLOYMENTS}?fieldManager=me"), &[], &deployment("web"));
    assert_eq!(made.code, 201);
    let meta = &made.json["metadata"];
    assert_eq!(meta["creationTimestamp"], "2026-01-01T00:00:00Z");
    assert_eq!((&meta["generation"], meta["uid"].as_str().unwrap().len()), (&json!(1), 36));
    assert_eq!(meta["managedFields"][0]["manager"], "me");
    assert_eq!(meta["managedFields"][0]["fieldsV1"]["f:spec"]["f:replicas"], json!({}));
    assert_eq!(made.json["spec"]["strategy"]["rollingUpdate"]["maxSurge"], "25%");
    let again = sim.ask(&format!("POST {DEPLOYMENTS}"), &deployment("web"));
    assert_eq!((again.code, &again.json["reason"]), (409, &json!("AlreadyExists")));
    assert_eq!(again.json["message"], r#"deployments.apps "web" already exists"#);
    assert_eq!(again.json["details"], json!({"name": "web", "group": "apps", "kind": "deployments"}));
}

#[test]
fn names_can_be_generated_and_must_be_names() {
    let sim = start();
    let post = |meta: Value| sim.ask(&format!("POST {MAPS}"), &json!({"metadata": meta}));
    let made = post(json!({"generateName": "x-"}));
    assert!(made.json["metadata"]["name"].as_str().unwrap().starts_with("x-"));
    let refused = post(json!({}));
    assert_eq!((refused.code, &refused.json["reason"]), (422, &json!("Invalid")));
    assert_eq!(refused.json["details"]["causes"][0]["field"], "metadata.name");
    assert_eq!(post(json!({"name": "Not_A_Name"})).code, 422);
    assert_eq!(post(json!({"name": "a", "namespace": "other"})).code, 400);
    let nowhere = sim.ask("POST /api/v1/namespaces/none/configmaps", &json!({"metadata": {"name": "a"}}));
    assert_eq!((nowhere.code, &nowhere.json["message"]), (404, &json!(r#"namespaces "none" not found"#)));
    assert_eq!(sim.ask(&format!("POST {MAPS}"), &json!({"kind": "Pod", "metadata": {"name": "a"}})).code, 400);
    assert_eq!(sim.ask_as(&format!("POST {MAPS}"), &[("content-type", "text/html")], &json!({})).code, 415);
}

#[test]
fn an_update_of_an_old_version_is_a_conflict() {
    let sim = start();
    let old = sim.map("a", &json!({}));
    let mut new = old.clone();
    new["data"]["a"] = "2".into();
    assert_eq!(sim.ask(&format!("PUT {MAPS}/a"), &new).code, 200);
    let said = sim.ask(&format!("PUT {MAPS}/a"), &new);
    assert_eq!((said.code, &said.json["reason"]), (409, &json!("Conflict")));
    assert_eq!(
        said.json["message"],
        r#"Operation cannot be fulfilled on configmaps "a": the object has been modified; please apply your changes to the latest version and try again"#
    );
    new["metadata"]["resourceVersion"] = Value::Null;
    new["metadata"]["uid"] = "another".into();
    assert_eq!(sim.ask(&format!("PUT {MAPS}/a"), &new).code, 409);
}

#[test]
fn what_changes_nothing_is_no_write() {
    let sim = start();
    let made = sim.map("a", &json!({}));
    let before = sim.server.world().writes().count();
    let said = sim.ask(&format!("PUT {MAPS}/a"), &made);
    assert_eq!(said.json["metadata"]["resourceVersion"], made["metadata"]["resourceVersion"]);
    assert_eq!(sim.server.world().writes().count(), before);
}

#[test]
fn the_generation_counts_changes_of_the_specification() {
    let sim = start();
    sim.ask(&format!("POST {DEPLOYMENTS}"), &deployment("web"));
    let path = format!("{DEPLOYMENTS}/web");
    let generation = |said: Value| said["metadata"]["generation"].as_i64().unwrap();
    let label = sim.patch(&path, "merge-patch", &json!({"metadata": {"labels": {"a": "b"}}})).json;
    assert_eq!(generation(label), 1);
    let status = sim.patch(&path, "merge-patch", &json!({"status": {"replicas": 5}})).json;
    assert_eq!(status["status"]["replicas"], Value::Null, "the object's own path leaves the status alone");
    let status = sim
        .patch(&format!("{path}/status"), "merge-patch", &json!({"status": {"replicas": 5}, "spec": {"replicas": 9}}))
        .json;
    assert_eq!((&status["status"]["replicas"], &status["spec"]["replicas"]), (&json!(5), &json!(1)));
    assert_eq!(generation(status), 1);
    let spec = sim.patch(
        &path,
        "strategic-merge-patch",
        &json!({"spec": {"template": {"spec": {"containers": [{"name": "app", "image": "a:2"}]}}}}),
    );
    assert_eq!(spec.json["spec"]["template"]["spec"]["containers"][0]["imagePullPolicy"], "IfNotPresent");
    assert_eq!(generation(spec.json), 2);
}

#[test]
fn patches_of_three_kinds_are_taken_and_others_refused() {
    let sim = start();
    sim.map("a", &json!({}));
    let path = format!("{MAPS}/a");
    let data = |kind: &str, patch: Value| sim.patch(&path, kind, &patch).json["data"].clone();
    assert_eq!(data("merge-patch", json!({"data": {"b": "2"}})), json!({"a": "1", "b": "2"}));
    assert_eq!(data("json-patch", json!([{"op": "remove", "path": "/data/b"}])), json!({"a": "1"}));
    assert_eq!(data("strategic-merge-patch", json!({"data": {"a": null, "c": "3"}})), json!({"c": "3"}));
    let missing = sim.patch(&path, "json-patch", &json!([{"op": "remove", "path": "/data/none"}]));
    assert_eq!((missing.code, &missing.json["reason"]), (422, &json!("Invalid")));
    assert_eq!(
        sim.ask_as(&format!("PATCH {path}"), &[("content-type", "application/apply-patch+yaml")], &json!({})).code,
        415
    );
    let stale = json!({"metadata": {"resourceVersion": "1"}, "data": {"z": "1"}});
    assert_eq!(sim.patch(&path, "merge-patch", &stale).code, 409);
    assert_eq!(sim.patch(&format!("{MAPS}/none"), "merge-patch", &json!({})).code, 404);
}

#[test]
fn a_dry_run_says_what_would_be_and_changes_nothing() {
    let sim = start();
    let made = sim.ask(&format!("POST {MAPS}?dryRun=All"), &json!({"metadata": {"name": "a"}}));
    assert_eq!((made.code, made.json["metadata"].get("resourceVersion")), (201, None));
    assert_eq!(sim.get(&format!("{MAPS}/a")).code, 404);
    sim.map("a", &json!({}));
    let before = sim.server.world().revision();
    let said = sim.patch(&format!("{MAPS}/a?dryRun=All"), "merge-patch", &json!({"data": {"a": "9"}}));
    assert_eq!(said.json["data"]["a"], "9");
    sim.delete(&format!("{MAPS}/a?dryRun=All"));
    assert_eq!(sim.server.world().revision(), before);
    assert_eq!(sim.delete(&format!("{MAPS}/a?dryRun=Some")).code, 422);
}

#[test]
fn a_deletion_answers_a_status_or_the_object() {
    let sim = start();
    let made = sim.map("a", &json!({}));
    let said = sim.delete(&format!("{MAPS}/a"));
    assert_eq!(said.json["status"], "Success");
    assert_eq!(said.json["details"], json!({"name": "a", "kind": "configmaps", "uid": made["metadata"]["uid"]}));
    assert_eq!(sim.delete(&format!("{MAPS}/a")).code, 404);
    sim.map("b", &json!({}));
    let wrong = sim.ask(&format!("DELETE {MAPS}/b"), &json!({"preconditions": {"uid": "x"}}));
    assert_eq!((wrong.code, &wrong.json["reason"]), (409, &json!("Conflict")));
}

#[test]
fn finalizers_hold_an_object_until_the_last_is_gone() {
    let sim = start();
    sim.ask(&format!("POST {MAPS}"), &json!({"metadata": {"name": "a", "finalizers": ["x/y"]}}));
    let path = format!("{MAPS}/a");
    let ending = sim.delete(&path).json;
    assert_eq!(ending["metadata"]["deletionTimestamp"], "2026-01-01T00:00:00Z");
    let version = ending["metadata"]["resourceVersion"].clone();
    assert_eq!(sim.delete(&path).json["metadata"]["resourceVersion"], version, "a second deletion changes nothing");
    let more = sim.patch(&path, "merge-patch", &json!({"metadata": {"finalizers": ["x/y", "z/z"]}}));
    assert_eq!(more.code, 422);
    assert_eq!(sim.patch(&path, "merge-patch", &json!({"metadata": {"finalizers": null}})).code, 200);
    assert_eq!(sim.get(&path).code, 404);
}

#[test]
fn propagation_leaves_its_finalizer() {
    let sim = start();
    for (policy, finalizer) in [("Foreground", "foregroundDeletion"), ("Orphan", "orphan")] {
        sim.map("a", &json!({}));
        let said = sim.delete(&format!("{MAPS}/a?propagationPolicy={policy}")).json;
        assert_eq!(said["metadata"]["finalizers"], json!([finalizer]));
        sim.server.world().remove_now("configmaps", "default", "a");
    }
}

#[test]
fn a_collection_is_deleted_by_selector() {
    let sim = start();
    sim.map("a", &json!({"x": "1"}));
    sim.map("b", &json!({}));
    let said = sim.delete(&format!("{MAPS}?labelSelector=x%3D1")).json;
    assert_eq!((&said["kind"], crate::ask::names(&said)), (&json!("ConfigMapList"), vec!["a"]));
    assert_eq!(crate::ask::names(&sim.get(MAPS).json), ["b"]);
}

#[test]
fn scale_is_a_resource_of_its_own() {
    let sim = start();
    sim.ask(&format!("POST {DEPLOYMENTS}"), &deployment("web"));
    let path = format!("{DEPLOYMENTS}/web/scale");
    let mut scale = sim.get(&path).json;
    assert_eq!((&scale["kind"], &scale["spec"]["replicas"]), (&json!("Scale"), &json!(1)));
    assert_eq!(scale["status"]["selector"], "app=web");
    scale["spec"]["replicas"] = 4.into();
    assert_eq!(sim.ask(&format!("PUT {path}"), &scale).json["spec"]["replicas"], 4);
    assert_eq!(sim.ask(&format!("PUT {path}"), &scale).code, 409);
    assert_eq!(sim.patch(&path, "merge-patch", &json!({"spec": {"replicas": 2}})).code, 200);
    let object = sim.get(&format!("{DEPLOYMENTS}/web")).json;
    assert_eq!((&object["spec"]["replicas"], &object["metadata"]["generation"]), (&json!(2), &json!(3)));
    assert_eq!(sim.patch(&path, "merge-patch", &json!({"spec": {"replicas": -1}})).code, 422);
    assert_eq!(sim.get(&format!("{MAPS}/a/scale")).code, 404);
}

#[test]
fn every_write_is_in_the_log() {
    let sim = start();
    let before = sim.server.world().writes().all().len();
    sim.map("a", &json!({}));
    sim.patch(&format!("{MAPS}/a"), "merge-patch", &json!({"data": {"a": "2"}}));
    sim.server.world().recreate("configmaps", "default", "a").unwrap();
    let world = sim.server.world();
    let writes = &world.writes().all()[before..];
    let verbs: Vec<_> = writes.iter().map(|write| format!("{:?}", write.verb)).collect();
    assert_eq!(verbs, ["Added", "Modified", "Deleted", "Added"]);
    assert!(writes.is_sorted_by(|a, b| a.revision + 1 == b.revision));
    assert_eq!(writes[0].uid, writes[2].uid);
    assert_ne!(writes[2].uid, writes[3].uid);
}
