//! Watches: from where, what is told, how they end.

use crate::ask::{Stands, brief, start, start_with};
use reckon_sim::Config;
use serde_json::json;

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const STREAMING: &str = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";

#[test]
fn a_watch_goes_on_from_its_version() {
    let sim = start();
    let a = sim.map("a", &json!({}));
    let version = a["metadata"]["resourceVersion"].as_str().unwrap();
    let mut watch = sim.watch(&format!("{MAPS}?watch=1&resourceVersion={version}"));
    assert_eq!(watch.brief(), Vec::<String>::new());
    sim.map("b", &json!({}));
    sim.patch(&format!("{MAPS}/a"), "merge-patch", &json!({"data": {"a": "2"}}));
    sim.delete(&format!("{MAPS}/b"));
    let (events, stands) = watch.now();
    assert_eq!(events.iter().map(brief).collect::<Vec<_>>(), ["ADDED b", "MODIFIED a", "DELETED b"]);
    assert_eq!(stands, Stands::Open);
    assert_eq!(events[0]["object"]["kind"], "ConfigMap");
    let versions: Vec<u64> = events
        .iter()
        .map(|event| event["object"]["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap())
        .collect();
    assert!(
        versions.is_sorted_by(|a, b| a < b),
        "{versions:?}: the last state of what was deleted has a version of its own"
    );
    let mut later = sim.watch(&format!("{MAPS}?watch=1&resourceVersion={}", versions[0]));
    assert_eq!(later.brief(), ["MODIFIED a", "DELETED b"]);
}

#[test]
fn without_a_version_a_watch_begins_with_what_there_is() {
    let sim = start();
    sim.map("a", &json!({}));
    for query in ["watch=1", "watch=1&resourceVersion=0"] {
        let mut watch = sim.watch(&format!("{MAPS}?{query}"));
        assert_eq!(watch.brief(), ["ADDED a"]);
    }
}

#[test]
fn a_streaming_list_is_closed_by_a_bookmark_and_goes_on() {
    let sim = start();
    sim.map("a", &json!({}));
    let mut watch = sim.watch(&format!("{MAPS}?{STREAMING}"));
    let (events, _) = watch.now();
    assert_eq!(events.iter().map(brief).collect::<Vec<_>>(), ["ADDED a", "BOOKMARK"]);
    let bookmark = &events[1]["object"];
    assert_eq!(bookmark["metadata"]["annotations"], json!({"k8s.io/initial-events-end": "true"}));
    assert_eq!(bookmark["metadata"]["resourceVersion"], sim.server.world().revision().to_string());
    sim.map("b", &json!({}));
    assert_eq!(watch.brief(), ["ADDED b"]);
    assert_eq!(sim.get(&format!("{MAPS}?watch=1&sendInitialEvents=true")).code, 422);
    assert_eq!(sim.get(&format!("{MAPS}?watch=1&resourceVersionMatch=NotOlderThan&resourceVersion=1")).code, 422);
}

#[test]
fn bookmarks_come_every_minute_and_the_end_when_it_was_asked_for() {
    let sim = start();
    let mut watch =
        sim.watch(&format!("{MAPS}?watch=1&resourceVersion=1000&allowWatchBookmarks=true&timeoutSeconds=150"));
    let mut from_now = sim.watch("/api/v1/secrets?watch=1&allowWatchBookmarks=true&timeoutSeconds=150");
    sim.map("other", &json!({}));
    for _ in 0..2 {
        sim.advance(60);
        let (events, _) = from_now.now();
        assert_eq!(events.len(), 1);
        assert_eq!(events[0]["object"]["metadata"]["resourceVersion"], sim.server.world().revision().to_string());
    }
    sim.advance(30);
    assert_eq!(from_now.now(), (vec![], Stands::Ended));
    assert_eq!(watch.now().1, Stands::Ended);
}

#[test]
fn a_version_that_is_too_old_gets_410_in_the_stream() {
    let sim = start_with(Config { log_entries: 3, ..Config::default() });
    let first = sim.map("a", &json!({}));
    let version = first["metadata"]["resourceVersion"].as_str().unwrap();
    let mut slow = sim.watch(&format!("{MAPS}?watch=1&resourceVersion={version}"));
    for i in 0..5 {
        sim.map(&format!("b{i}"), &json!({}));
    }
    let mut watch = sim.watch(&format!("{MAPS}?watch=1&resourceVersion={version}"));
    let (events, stands) = watch.now();
    assert_eq!(stands, Stands::Ended);
    assert_eq!(events.len(), 1);
    assert_eq!((&events[0]["type"], &events[0]["object"]["code"]), (&json!("ERROR"), &json!(410)));
    assert_eq!(events[0]["object"]["reason"], "Expired");
    assert!(
        events[0]["object"]["message"].as_str().unwrap().starts_with(&format!("too old resource version: {version} ("))
    );
    assert_eq!(slow.now(), (vec![], Stands::Ended), "a watch that is too slow ends without a word");
}

#[test]
fn an_idle_watch_outlives_compactions() {
    let sim = start();
    let mut watch = sim.watch(&format!("{MAPS}?watch=1"));
    assert_eq!(watch.brief(), Vec::<String>::new());
    sim.server.world().create("secrets", json!({"metadata": {"name": "s"}})).unwrap();
    sim.server.world().compact();
    sim.map("a", &json!({}));
    assert_eq!(watch.brief(), ["ADDED a"]);
}

#[test]
fn what_ceases_to_be_selected_is_deleted_for_the_watch() {
    let sim = start();
    let mut watch = sim.watch(&format!("{MAPS}?watch=1&labelSelector=app%3Dweb"));
    sim.map("a", &json!({"app": "web"}));
    sim.map("b", &json!({"app": "api"}));
    let label = |name: &str, app: &str| {
        sim.patch(&format!("{MAPS}/{name}"), "merge-patch", &json!({"metadata": {"labels": {"app": app}}})).json
    };
    label("b", "web");
    let left = label("a", "api");
    label("a", "other");
    let (events, _) = watch.now();
    assert_eq!(events.iter().map(brief).collect::<Vec<_>>(), ["ADDED a", "ADDED b", "DELETED a"]);
    let gone = &events[2]["object"]["metadata"];
    assert_eq!(
        (&gone["labels"]["app"], &gone["resourceVersion"]),
        (&json!("web"), &left["metadata"]["resourceVersion"])
    );
}

#[test]
fn one_object_is_watched_by_its_name() {
    let sim = start();
    for name in ["a", "b"] {
        sim.map(name, &json!({}));
    }
    let mut watch = sim.watch(&format!("{MAPS}?watch=1&fieldSelector=metadata.name%3Db"));
    assert_eq!(watch.brief(), ["ADDED b"]);
    sim.delete(&format!("{MAPS}/a"));
    sim.delete(&format!("{MAPS}/b"));
    assert_eq!(watch.brief(), ["DELETED b"]);
}

#[test]
fn metadata_alone_can_be_watched() {
    let sim = start();
    sim.map("a", &json!({}));
    let accept = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
    let said = sim.ask_as(&format!("GET {MAPS}/a"), &[("accept", accept)], &json!(null)).json;
    assert_eq!((&said["kind"], said.get("data")), (&json!("PartialObjectMetadata"), None));
    let accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";
    let said = sim.ask_as(&format!("GET {MAPS}"), &[("accept", accept)], &json!(null)).json;
    assert_eq!(said["kind"], "PartialObjectMetadataList");
    assert_eq!(said["items"][0]["metadata"]["name"], "a");
    let answer = sim.send(&format!("GET {MAPS}?watch=1"), &[("accept", accept)], "").unwrap();
    assert_eq!(answer.status(), 200);
}

#[test]
fn without_faults_a_watch_tells_every_write_once_and_in_order() {
    for seed in 0..20 {
        let sim = start_with(Config { seed, controllers: false, ..Config::default() });
        let mut rng = reckon_sim::Rng::new(seed);
        let before = sim.server.world().writes().all().len();
        let mut watch = sim.watch(&format!("{MAPS}?watch=1"));
        let mut told = Vec::new();
        for step in 0..100 {
            let path = format!("{MAPS}/m{}", rng.below(8));
            match rng.below(4) {
                0 | 1 => {
                    let name = path.rsplit('/').next().unwrap();
                    sim.ask(&format!("POST {MAPS}"), &json!({"metadata": {"name": name}}));
                }
                2 => drop(sim.delete(&path)),
                _ => drop(sim.patch(&path, "merge-patch", &json!({"data": {"step": step.to_string()}}))),
            }
            if rng.below(3) == 0 {
                told.extend(watch.now().0);
            }
        }
        told.extend(watch.now().0);
        let told = told.iter().map(|event| {
            let meta = &event["object"]["metadata"];
            format!("{} {} {}", brief(event), meta["uid"].as_str().unwrap(), meta["resourceVersion"].as_str().unwrap())
        });
        let world = sim.server.world();
        let written = world.writes().all()[before..].iter().map(|write| {
            let verb = format!("{:?}", write.verb).to_uppercase();
            format!("{verb} {} {} {}", write.key.name, write.uid, write.revision)
        });
        assert_eq!(told.collect::<Vec<_>>(), written.collect::<Vec<_>>(), "seed {seed}");
    }
}
