//! Of what was first and the fields that changed, every later state follows.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod feed;

use feed::{Feed, changes, deployment, object};
use proptest::prelude::*;
use reckon_model::Object;
use reckon_model::diff::{apply, diff};
use reckon_record::{Noise, written};
use serde_json::{Value, json};

/// Where a value stands, and what it becomes.
fn edit() -> impl Strategy<Value = (String, Value)> {
    let place = prop_oneof![
        Just("/metadata/labels/tier"),
        Just("/metadata/labels/app.kubernetes.io~1name"),
        Just("/metadata/annotations/team"),
        Just("/metadata/annotations/deployment.kubernetes.io~1revision"),
        Just("/spec/replicas"),
        Just("/spec/template/spec/containers"),
        Just("/spec/template/spec/containers/0/image"),
        Just("/spec/template/spec/containers/0/env"),
        Just("/spec/template/spec/containers/0/resources"),
        Just("/spec/template/spec/containers/0/args"),
        Just("/spec/template/spec/volumes"),
        Just("/data/a.b"),
        Just("/data/0"),
        Just("/status/replicas"),
    ];
    let env = prop::collection::btree_map("[A-C]", "[x-z]{0,2}", 0..4).prop_map(|env| {
        env.into_iter().rev().map(|(name, value)| json!({"name": name, "value": value})).collect::<Value>()
    });
    let containers = prop::collection::btree_map("[a-c](\\.[0-9])?", "[x-z]:[0-9]", 0..4)
        .prop_map(|all| all.into_iter().map(|(name, image)| json!({"name": name, "image": image})).collect::<Value>());
    let value = prop_oneof![
        Just(Value::Null),
        "[a-z]{0,3}".prop_map(Value::from),
        (0..9).prop_map(Value::from),
        env,
        containers,
        Just(json!({"limits": {"memory": "1Gi"}})),
        Just(json!({"limits": {"memory": "1024Mi", "cpu": "1"}})),
        Just(json!(["x", "y"])),
        Just(json!("z".repeat(9_000))),
    ];
    (place.prop_map(str::to_owned), value)
}

/// Puts a value where the pointer says, as far as there is a way.
fn put(object: &mut Value, pointer: &str, value: &Value) {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let key = key.replace("~1", "/");
    if let Some(members) = object.pointer_mut(parent).and_then(Value::as_object_mut) {
        let is_text = parent.starts_with("/metadata") || parent == "/data";
        match value {
            Value::Null => drop(members.remove(&key)),
            Value::String(_) => drop(members.insert(key, value.clone())),
            other if is_text => drop(members.insert(key, other.to_string().into())),
            other => drop(members.insert(key, other.clone())),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn every_state_follows_from_the_first_and_the_fields(of_map in any::<bool>(), edits in prop::collection::vec((edit(), edit()), 1..25)) {
        let mut feed = Feed::new();
        let mut live = match of_map {
            true => object("v1", "ConfigMap", "settings", &json!({"metadata": {"labels": {}, "annotations": {}}, "data": {"a": "1"}})),
            false => deployment("web", "app:1"),
        };
        live["metadata"]["annotations"] = json!({});
        let entries = feed.apply(&live);
        let mut state = changes(&entries)[0].object.clone().unwrap();
        for (generation, (one, other)) in edits.iter().enumerate() {
            let before = live.clone();
            for (pointer, value) in [one, other] {
                put(&mut live, pointer, value);
            }
            if before["spec"] != live["spec"] {
                live["metadata"]["generation"] = (generation + 2).into();
            }
            // What the decoder refuses nobody applies.
            let Ok(object) = Object::decode(live.to_string().as_bytes(), None) else {
                live = before;
                continue;
            };
            let entries = feed.apply(&live);
            for written in changes(&entries) {
                apply(&mut state, &written.fields);
                if let Some(whole) = &written.object {
                    prop_assert_eq!(diff(&state, whole, "", ""), Vec::new());
                }
            }
            let truth = written(&object, &Noise::default());
            prop_assert_eq!(diff(&state, &truth, "", ""), Vec::new(), "{} {}", state, truth);
        }
    }
}
