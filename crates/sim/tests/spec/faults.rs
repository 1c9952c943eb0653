//! What a client sees of each fault.

use crate::ask::{Stands, brief, names, start};
use futures::FutureExt;
use http_body_util::BodyExt;
use reckon_sim::{Fault, FaultKind};
use serde_json::{Value, json};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const STREAMING: &str = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";

#[test]
fn a_connection_is_cut_in_the_middle_of_a_line() {
    let sim = start();
    let mut watch = sim.watch(&format!("{MAPS}?watch=1"));
    sim.server.world().fault(Fault::new(FaultKind::CutMidLine).at("configmaps").times(1));
    sim.map("a", &json!({}));
    let (events, stands) = watch.now();
    assert_eq!(events, Vec::<Value>::new());
    let Stands::Broken(rest) = stands else { panic!("{stands:?}") };
    assert!(rest.starts_with(r#"{"type":"ADDED""#) && !rest.ends_with('\n'), "{rest}");
    assert_eq!(sim.watch(&format!("{MAPS}?watch=1")).brief(), ["ADDED a"], "once is enough");
}

#[test]
fn a_list_is_cut_as_well() {
    let sim = start();
    sim.map("a", &json!({}));
    sim.server.world().fault(Fault::new(FaultKind::CutMidLine).times(1));
    let mut body = sim.send(&format!("GET {MAPS}"), &[], "").unwrap().into_body();
    let mut next = || body.frame().now_or_never();
    assert!(next().unwrap().unwrap().is_ok());
    assert!(next().is_none(), "the half goes out first");
    assert!(next().unwrap().unwrap().is_err());
}

#[test]
fn a_restart_cuts_streams_and_forgets_history() {
    let sim = start();
    let version = sim.map("a", &json!({}))["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    sim.map("b", &json!({}));
    let mut watch = sim.watch(&format!("{MAPS}?watch=1"));
    assert_eq!(watch.brief(), ["ADDED a", "ADDED b"]);
    sim.server.world().restart();
    assert_eq!(watch.now(), (vec![], Stands::Broken(String::new())));
    let (events, _) = sim.watch(&format!("{MAPS}?watch=1&resourceVersion={version}")).now();
    assert_eq!((&events[0]["type"], &events[0]["object"]["code"]), (&json!("ERROR"), &json!(410)));
}

#[test]
fn a_watch_can_expire_without_a_restart() {
    let sim = start();
    let version = sim.server.world().revision();
    sim.server.world().fault(Fault::new(FaultKind::ExpiredInStream).at("configmaps").times(1));
    let path = format!("{MAPS}?watch=1&resourceVersion={version}");
    assert_eq!(sim.watch(&path).now().0[0]["object"]["reason"], "Expired");
    assert_eq!(sim.watch(&path).now(), (vec![], Stands::Open));
}

#[test]
fn after_a_restore_a_watch_from_the_future_is_silent_until_the_revision_comes_to_it() {
    let sim = start();
    sim.map("kept", &json!({}));
    let snapshot = sim.server.world().snapshot();
    let mut version = String::new();
    for i in 0..5 {
        version = sim.map(&format!("lost{i}"), &json!({}))["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    }
    let mut open = sim.watch(&format!("{MAPS}?watch=1&resourceVersion={version}"));
    sim.server.world().restore(&snapshot);
    assert_eq!(names(&sim.get(MAPS).json), ["kept"]);
    let mut resumed = sim.watch(&format!("{MAPS}?watch=1&resourceVersion={version}"));
    for i in 0..7 {
        sim.map(&format!("new{i}"), &json!({}));
    }
    // Revisions are used again: the first five writes are never told.
    assert_eq!(resumed.brief(), ["ADDED new5", "ADDED new6"]);
    assert_eq!(open.brief(), ["ADDED new5", "ADDED new6"]);
    assert_eq!(sim.server.world().writes().epoch(), 1);
    sim.server.world().restore(&snapshot);
    let list = sim.send(&format!("GET {MAPS}?resourceVersion={version}"), &[], "");
    assert!(list.is_none(), "a list at a version of the future waits before it is refused");
}

#[test]
fn a_list_can_be_told_that_its_version_is_too_large() {
    let sim = start();
    sim.server.world().fault(Fault::new(FaultKind::RevisionTooLarge).at("configmaps").times(2));
    let said = sim.get(&format!("{MAPS}?resourceVersion=2"));
    assert_eq!((said.code, &said.json["reason"]), (504, &json!("Timeout")));
    assert_eq!(sim.get(&format!("{MAPS}?{STREAMING}")).code, 504);
    assert_eq!(sim.get(&format!("{MAPS}?resourceVersion=2")).code, 200);
}

#[test]
fn without_etcd_memory_is_served_and_the_rest_gives_up_after_a_minute() {
    let sim = start();
    sim.map("a", &json!({}));
    let mut open = sim.watch(&format!("{MAPS}?watch=1"));
    assert_eq!(open.brief(), ["ADDED a"]);
    sim.server.world().fault(Fault::new(FaultKind::StorageDown));
    assert_eq!(sim.get("/readyz").text, "ok");
    assert_eq!(names(&sim.get(&format!("{MAPS}?resourceVersion=0")).json), ["a"]);
    assert_eq!(sim.watch(&format!("{MAPS}?watch=1")).now(), (vec![], Stands::Open));
    let request = http::Request::get(MAPS).body(bytes::Bytes::new()).unwrap();
    let mut list = Box::pin(sim.server.handle(request));
    assert!(list.as_mut().now_or_never().is_none());
    sim.advance(59);
    assert!(list.as_mut().now_or_never().is_none());
    sim.advance(1);
    assert_eq!(list.as_mut().now_or_never().unwrap().status(), 504);
    sim.server.world().fault_off(None);
    sim.map("b", &json!({}));
    assert_eq!(open.brief(), ["ADDED b"]);
}

#[test]
fn the_closing_bookmark_can_stay_away() {
    let sim = start();
    sim.map("a", &json!({}));
    sim.server.world().fault(Fault::new(FaultKind::NoClosingBookmark).at("configmaps").times(1));
    let mut watch = sim.watch(&format!("{MAPS}?{STREAMING}"));
    assert_eq!(watch.brief(), ["ADDED a"]);
    sim.map("b", &json!({}));
    assert_eq!(watch.now(), (vec![], Stands::Open));
    assert_eq!(sim.watch(&format!("{MAPS}?{STREAMING}")).brief(), ["ADDED a", "ADDED b", "BOOKMARK"]);
}

#[test]
fn a_client_is_asked_to_come_later_or_to_prove_itself() {
    let sim = start();
    let mut watch = sim.watch(&format!("{MAPS}?watch=1"));
    sim.server.world().fault(Fault::new(FaultKind::TooManyRequests { retry_after: 7 }).times(1));
    let said = sim.get(MAPS);
    assert_eq!((said.code, said.retry_after.as_deref()), (429, Some("7")));
    sim.server.world().fault(Fault::new(FaultKind::Unauthorized));
    assert_eq!(sim.get(MAPS).code, 401);
    sim.server.world().create("configmaps", json!({"metadata": {"name": "a"}})).unwrap();
    assert_eq!(watch.brief(), ["ADDED a"], "what was open goes on");
}

#[test]
fn one_group_can_be_down() {
    let sim = start();
    let id = sim.server.world().fault(Fault::new(FaultKind::GroupUnavailable { group: "metrics.k8s.io".to_owned() }));
    assert_eq!(sim.get("/apis/metrics.k8s.io/v1beta1/nodes").code, 503);
    assert_eq!(sim.get("/apis/metrics.k8s.io/v1beta1").code, 503);
    assert_eq!(sim.get(MAPS).code, 200);
    let accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    let said = sim.ask_as("GET /apis", &[("accept", accept)], &Value::Null).json;
    let metrics =
        said["items"].as_array().unwrap().iter().find(|group| group["metadata"]["name"] == "metrics.k8s.io").unwrap();
    assert_eq!(metrics["versions"][0]["freshness"], "Stale");
    sim.server.world().fault_off(Some(id));
    assert_eq!(sim.get("/apis/metrics.k8s.io/v1beta1/nodes").code, 200);
}

#[test]
fn a_half_open_connection_says_nothing_more() {
    let sim = start();
    let mut watch = sim.watch(&format!("{MAPS}?watch=1"));
    let id = sim.server.world().fault(Fault::new(FaultKind::HalfOpen).at("configmaps"));
    assert!(sim.send(&format!("GET {MAPS}"), &[], "").is_none());
    sim.server.world().create("configmaps", json!({"metadata": {"name": "a"}})).unwrap();
    assert_eq!(watch.now(), (vec![], Stands::Open));
    sim.server.world().fault_off(Some(id));
    sim.advance(100_000);
    assert_eq!(watch.now(), (vec![], Stands::Open), "what was struck stays dead");
    assert_eq!(sim.get(MAPS).code, 200);
}

#[test]
fn a_replica_that_lags_shows_an_earlier_state() {
    let sim = start();
    for name in ["a", "b", "c"] {
        sim.map(name, &json!({}));
    }
    let id = sim.server.world().fault(Fault::new(FaultKind::Lagging { revisions: 2 }).at("configmaps"));
    assert_eq!(names(&sim.get(&format!("{MAPS}?resourceVersion=0")).json), ["a"]);
    assert_eq!(sim.get(&format!("{MAPS}/b?resourceVersion=0")).code, 404);
    let mut watch = sim.watch(&format!("{MAPS}?watch=1&resourceVersion=0"));
    assert_eq!(watch.brief(), ["ADDED a", "ADDED b", "ADDED c"], "a watch without a version begins with what is");
    assert_eq!(names(&sim.get(MAPS).json), ["a", "b", "c"], "what is asked of etcd is new");
    assert_eq!(sim.get(&format!("{MAPS}/b")).code, 200);
    sim.map("d", &json!({}));
    assert!(watch.brief().is_empty());
    sim.server.world().fault_off(Some(id));
    assert_eq!(watch.brief(), ["ADDED d"]);
}

#[test]
fn events_come_twice_late_or_never() {
    let sim = start();
    let mut watch = sim.watch(&format!("{MAPS}?watch=1"));
    sim.server.world().fault(Fault::new(FaultKind::DuplicateEvents).times(1));
    for name in ["a", "b"] {
        sim.map(name, &json!({}));
    }
    assert_eq!(watch.brief(), ["ADDED a", "ADDED a", "ADDED b"]);
    sim.server.world().fault(Fault::new(FaultKind::ReorderEvents).times(1));
    for name in ["c", "d"] {
        sim.map(name, &json!({}));
    }
    assert_eq!(watch.brief(), ["ADDED d", "ADDED c"]);
    sim.server.world().fault(Fault::new(FaultKind::DropEvents).times(1));
    for name in ["e", "f"] {
        sim.map(name, &json!({}));
    }
    assert_eq!(watch.brief(), ["ADDED f"]);
}

#[test]
fn an_object_can_be_replaced_under_its_name() {
    let sim = start();
    let before = sim.map("a", &json!({"x": "y"}));
    let mut watch = sim.watch(&format!("{MAPS}?watch=1"));
    watch.now();
    let after = sim.server.world().recreate("configmaps", "default", "a").unwrap();
    assert_ne!(before["metadata"]["uid"], after["metadata"]["uid"]);
    assert_eq!(before["data"], after["data"]);
    assert_eq!(watch.now().0.iter().map(brief).collect::<Vec<_>>(), ["DELETED a", "ADDED a"]);
}

#[test]
fn objects_can_be_large_and_changes_many() {
    let sim = start();
    sim.map("a", &json!({}));
    let before = sim.server.world().revision();
    sim.server.world().storm("configmaps", 1000);
    assert_eq!(sim.server.world().revision(), before + 1000);
    sim.server.world().create_large("default", "large", 1_400_000).unwrap();
    assert!(sim.get(&format!("{MAPS}/large")).text.len() > 1_400_000);
}

#[test]
fn faults_are_switched_by_http_too() {
    let sim = start();
    let on = json!({"fault": "refuse", "code": 500, "resource": "configmaps", "count": 1});
    let id = sim.ask("POST /sim/faults", &on).json["id"].clone();
    assert_eq!(sim.get("/sim/faults").json["faults"][0]["fault"]["fault"], "refuse");
    assert_eq!([sim.get(MAPS).code, sim.get(MAPS).code], [500, 200]);
    sim.ask("POST /sim/faults", &json!({"fault": "unauthorized"}));
    assert_eq!(sim.get(MAPS).code, 401);
    assert_eq!(sim.delete("/sim/faults").code, 200);
    assert_eq!(sim.get(MAPS).code, 200);
    assert_eq!(id, 1);
    sim.ask("POST /sim/snapshot", &Value::Null);
    sim.map("a", &json!({}));
    sim.ask("POST /sim/restore", &Value::Null);
    assert_eq!(sim.get(&format!("{MAPS}/a")).code, 404);
    assert_eq!(sim.ask("POST /sim/faults", &json!({"fault": "no such"})).code, 400);
    let uid = sim.map("b", &json!({}))["metadata"]["uid"].clone();
    assert_ne!(sim.ask("POST /sim/recreate/configmaps/default/b", &Value::Null).json["metadata"]["uid"], uid);
    let before = sim.server.world().revision();
    sim.ask("POST /sim/storm/configmaps/10", &Value::Null);
    assert_eq!(sim.get("/sim/writes").json["revision"], before + 10);
}
