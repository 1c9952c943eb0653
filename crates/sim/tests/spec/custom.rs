//! Custom resources and discovery.

use crate::ask::{Stands, names, start};
use serde_json::{Value, json};

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const THINGS: &str = "/apis/example.org/v1/namespaces/default/things";

fn definition(versions: &[&str]) -> Value {
    let version = |(i, name): (usize, &&str)| {
        json!({"name": name, "served": true, "storage": i == 0, "subresources": {"status": {}},
            "additionalPrinterColumns": [{"name": "Size", "type": "integer", "jsonPath": ".spec.size"}]})
    };
    json!({
        "metadata": {"name": "things.example.org"},
        "spec": {
            "group": "example.org", "scope": "Namespaced",
            "names": {"plural": "things", "singular": "thing", "kind": "Thing", "shortNames": ["th"]},
            "versions": versions.iter().enumerate().map(version).collect::<Vec<_>>(),
        },
    })
}

#[test]
fn a_definition_makes_its_kind_served_and_takes_it_away() {
    let sim = start();
    assert_eq!(sim.get(THINGS).code, 404);
    let made = sim.ask(&format!("POST {DEFINITIONS}"), &definition(&["v1"])).json;
    assert_eq!(made["status"]["conditions"][1]["type"], "Established");
    assert_eq!(sim.get("/apis/example.org/v1").json["resources"][0]["shortNames"], json!(["th"]));
    let thing = sim.ask(&format!("POST {THINGS}"), &json!({"metadata": {"name": "a"}, "spec": {"size": 3}}));
    assert_eq!((thing.code, &thing.json["metadata"]["generation"]), (201, &json!(1)));
    let list = sim.get(THINGS).json;
    assert_eq!((&list["kind"], &list["items"][0]["kind"]), (&json!("ThingList"), &json!("Thing")));
    assert_eq!(list["items"][0]["apiVersion"], "example.org/v1");
    let strategic = sim.patch(&format!("{THINGS}/a"), "strategic-merge-patch", &json!({"spec": {"size": 4}}));
    assert_eq!(strategic.code, 415);
    let mut watch = sim.watch(&format!("{THINGS}?watch=1"));
    assert_eq!(watch.brief(), ["ADDED a"]);
    sim.delete(&format!("{DEFINITIONS}/things.example.org"));
    assert_eq!(watch.now().1, Stands::Ended);
    assert_eq!(sim.get(THINGS).code, 404);
    sim.ask(&format!("POST {DEFINITIONS}"), &definition(&["v1"]));
    assert_eq!(names(&sim.get(THINGS).json), Vec::<&str>::new(), "objects do not come back with their definition");
}

#[test]
fn a_version_can_be_switched() {
    let sim = start();
    sim.ask(&format!("POST {DEFINITIONS}"), &definition(&["v1"]));
    sim.ask(&format!("POST {THINGS}"), &json!({"metadata": {"name": "a"}}));
    let switched = json!({"spec": definition(&["v2", "v1"])["spec"]});
    assert_eq!(sim.patch(&format!("{DEFINITIONS}/things.example.org"), "merge-patch", &switched).code, 200);
    assert_eq!(sim.get("/apis/example.org/v2/things").json["items"][0]["apiVersion"], "example.org/v2");
    assert_eq!(sim.get("/apis/example.org/v1/things").json["items"][0]["apiVersion"], "example.org/v1");
    assert_eq!(sim.get("/apis/example.org").json["preferredVersion"]["version"], "v2");
    let only = json!({"spec": definition(&["v2"])["spec"]});
    sim.patch(&format!("{DEFINITIONS}/things.example.org"), "merge-patch", &only);
    assert_eq!(sim.get("/apis/example.org/v1/things").code, 404);
}

#[test]
fn a_definition_must_be_sound() {
    let sim = start();
    let mut wrong = definition(&["v1"]);
    wrong["metadata"]["name"] = "other.example.org".into();
    assert_eq!(sim.ask(&format!("POST {DEFINITIONS}"), &wrong).code, 422);
}

#[test]
fn discovery_says_the_same_in_all_its_forms() {
    let sim = start();
    sim.ask(&format!("POST {DEFINITIONS}"), &definition(&["v1"]));
    let accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";
    let mut aggregated = Vec::new();
    for root in ["/api", "/apis"] {
        let said = sim.ask_as(&format!("GET {root}"), &[("accept", accept)], &Value::Null).json;
        assert_eq!(said["kind"], "APIGroupDiscoveryList");
        for group in said["items"].as_array().unwrap() {
            for version in group["versions"].as_array().unwrap() {
                for resource in version["resources"].as_array().unwrap() {
                    aggregated
                        .push(format!("{} {} {}", group["metadata"]["name"], version["version"], resource["resource"]));
                }
            }
        }
    }
    let mut legacy = Vec::new();
    let groups = sim.get("/apis").json["groups"].as_array().unwrap().clone();
    let mut versions = vec![("null".to_owned(), json!("v1"), "/api/v1".to_owned())];
    for group in &groups {
        for version in group["versions"].as_array().unwrap() {
            let path = format!("/apis/{}", version["groupVersion"].as_str().unwrap());
            versions.push((group["name"].to_string(), version["version"].clone(), path));
        }
    }
    for (group, version, path) in versions {
        for resource in sim.get(&path).json["resources"].as_array().unwrap() {
            if !resource["name"].as_str().unwrap().contains('/') {
                legacy.push(format!("{group} {version} {}", resource["name"]));
            }
        }
    }
    assert_eq!(aggregated, legacy);
    assert!(legacy.iter().any(|line| line == r#""example.org" "v1" "things""#));
    assert_eq!(sim.get("/version").json["gitVersion"], "v1.37.2");
    for path in ["/healthz", "/readyz", "/livez"] {
        assert_eq!(sim.get(path).text, "ok");
    }
}
