//! What is told of pods, containers and nodes, of what is said of them, and whose they are.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod feed;

use feed::{Feed, at, change, deployment, fields, object, owned, pod, replica_set, running, with};
use reckon_model::Kind;
use reckon_model::record::{Entry, Fact, Folded, Phase};
use reckon_record::Noise;
use serde_json::{Value, json};

#[test]
fn an_object_belongs_to_the_nearest_owner_with_a_template() {
    let mut feed = Feed::new();
    let web = deployment("web", "app:1");
    feed.apply(&web);
    feed.apply(&replica_set(&web, "h1", 1, feed::NOON));
    let ready = |pod: &Value| running(pod, true, 0, &json!({"running": {}}), &json!({}));
    let workload = |entries: &[Entry]| entries[0].workload.clone().map(|it| (it.kind, it.name));
    let of_set = pod("web-h1-x", Some(("ReplicaSet", "web-h1")));
    assert_eq!(workload(&feed.apply(&ready(&of_set))), Some((Kind::Deployment, "web".to_owned())));
    // Of a ReplicaSet that nobody knows.
    let lost = with(
        &pod("api-h2-x", Some(("ReplicaSet", "api-h2"))),
        &json!({"metadata": {"labels": {"pod-template-hash": "h2"}}}),
    );
    assert_eq!(workload(&feed.apply(&ready(&lost))), Some((Kind::Deployment, "api".to_owned())));
    feed.apply(&with(&object("batch/v1", "Job", "nightly-1", &json!({"spec": {}})), &owned("CronJob", "nightly")));
    assert_eq!(
        workload(&feed.apply(&ready(&pod("nightly-1-x", Some(("Job", "nightly-1")))))),
        Some((Kind::CronJob, "nightly".to_owned()))
    );
    assert_eq!(
        workload(&feed.apply(&ready(&pod("db-0", Some(("StatefulSet", "db")))))),
        Some((Kind::StatefulSet, "db".to_owned()))
    );
    assert_eq!(workload(&feed.apply(&ready(&pod("bare", None)))), None);
    let event = object(
        "v1",
        "Event",
        "e",
        &json!({"reason": "Unhealthy", "type": "Warning", "message": "m", "count": 1, "lastTimestamp": feed::NOON,
        "involvedObject": {"kind": "Pod", "apiVersion": "v1", "name": "web-h1-x", "namespace": "shop"}}),
    );
    let entries = feed.apply(&event);
    assert_eq!(
        (entries[0].subject.kind.clone(), workload(&entries)),
        (Kind::Pod, Some((Kind::Deployment, "web".to_owned())))
    );
}

fn phases(entries: &[Entry]) -> Vec<(Option<Phase>, Phase)> {
    let turn = |entry: &Entry| match &entry.fact {
        Fact::Phase(turn) => Some((turn.from, turn.to)),
        _ => None,
    };
    entries.iter().filter_map(turn).collect()
}

#[test]
fn a_pod_goes_through_the_phases_that_people_speak_of() {
    let mut feed = Feed::with(Noise::without(["ordinary-life-of-pods"]).unwrap());
    let made = pod("web-h1-x", Some(("ReplicaSet", "web-h1")));
    let waits = |ready| running(&made, ready, 0, &json!({"waiting": {"reason": "ContainerCreating"}}), &json!({}));
    let mut entries = feed.apply(&made);
    let taken = with(
        &waits(false),
        &json!({"status": {"phase": "Pending", "conditions": [{"type": "Ready", "status": "False", "lastTransitionTime": feed::NOON}]}}),
    );
    entries.extend(feed.apply(&taken));
    entries.extend(feed.apply(&running(&made, true, 0, &json!({"running": {}}), &json!({}))));
    entries.extend(feed.apply(&running(&made, false, 0, &json!({"running": {}}), &json!({}))));
    let ends = with(
        &running(&made, false, 0, &json!({"running": {}}), &json!({})),
        &json!({"metadata": {"deletionTimestamp": "2026-01-01T12:01:00Z"}}),
    );
    entries.extend(feed.apply(&ends));
    entries.extend(feed.delete(&ends));
    use Phase::{Deleted, NotReady, Pending, Ready, Starting, Terminating};
    let steps = [
        (None, Pending),
        (Some(Pending), Starting),
        (Some(Starting), Ready),
        (Some(Ready), NotReady),
        (Some(NotReady), Terminating),
        (Some(Terminating), Deleted),
    ];
    assert_eq!(phases(&entries), steps);
}

#[test]
fn each_death_is_told_once_also_when_it_is_seen_late() {
    let mut feed = Feed::new();
    let made = pod("web-h1-x", Some(("ReplicaSet", "web-h1")));
    let end = |id: &str, reason: &str| json!({"terminated": {"exitCode": 137, "reason": reason, "containerID": id, "startedAt": feed::NOON, "finishedAt": "2026-01-01T12:00:30Z"}});
    let runs = json!({"running": {}});
    let deaths = |entries: &[Entry]| -> Vec<(String, u32, u32)> {
        let of = |entry: &Entry| match &entry.fact {
            Fact::Death(death) => Some((death.reason.clone(), death.restarts, death.untold)),
            _ => None,
        };
        entries.iter().filter_map(of).collect()
    };
    feed.apply(&running(&made, true, 0, &runs, &json!({})));
    feed.pass(60);
    let entries = feed.apply(&running(&made, false, 0, &end("c://1", "OOMKilled"), &json!({})));
    assert_eq!((deaths(&entries), entries[0].at), (vec![("OOMKilled".to_owned(), 0, 0)], at("2026-01-01T12:00:30Z")));
    // The same, now the one before.
    assert_eq!(deaths(&feed.apply(&running(&made, true, 1, &runs, &end("c://1", "OOMKilled")))), []);
    // Seen only as the one before.
    assert_eq!(
        deaths(&feed.apply(&running(&made, true, 2, &runs, &end("c://2", "Error")))),
        [("Error".to_owned(), 1, 0)]
    );
    // Three at once.
    assert_eq!(
        deaths(&feed.apply(&running(&made, true, 5, &runs, &end("c://5", "Error")))),
        [("Error".to_owned(), 4, 2)]
    );
    assert_eq!(deaths(&feed.apply(&running(&made, false, 5, &runs, &end("c://5", "Error")))), []);
}

#[test]
fn a_node_that_joins_turns_is_cordoned_and_leaves() {
    let mut feed = Feed::new();
    let mut node = object(
        "v1",
        "Node",
        "n1",
        &json!({"spec": {}, "status": {"conditions": [
        {"type": "Ready", "status": "True"}, {"type": "MemoryPressure", "status": "False"}]}}),
    );
    node["metadata"].as_object_mut().unwrap().remove("namespace");
    let turns = |entries: &[Entry]| -> Vec<String> {
        let of = |entry: &Entry| match &entry.fact {
            Fact::Node(turn) => Some(format!("{} {}", turn.what, turn.status.clone().unwrap_or_default())),
            _ => None,
        };
        entries.iter().filter_map(of).collect()
    };
    assert_eq!(turns(&feed.apply(&node)), ["joined "]);
    let mut lost = node.clone();
    lost["status"]["conditions"][0]["status"] = "Unknown".into();
    assert_eq!(turns(&feed.apply(&lost)), ["Ready Unknown"]);
    let cordoned = with(&lost, &json!({"spec": {"unschedulable": true}}));
    let entries = feed.apply(&cordoned);
    assert_eq!((turns(&entries), fields(change(&entries))), (vec!["cordoned ".to_owned()], vec!["spec.unschedulable"]));
    assert_eq!(turns(&feed.delete(&cordoned)), ["left "]);
}

fn folded(entries: &[Entry]) -> Vec<&Folded> {
    let of = entries.iter().map(|entry| match &entry.fact {
        Fact::Event(folded) => folded,
        other => panic!("{other:?}"),
    });
    of.collect()
}

#[test]
fn what_is_said_again_is_one_entry_in_ten_minutes() {
    let mut feed = Feed::new();
    let event = |count: u32, time: &str| {
        object(
            "v1",
            "Event",
            "e",
            &json!({"reason": "BackOff", "type": "Warning", "message": format!("said {count}"), "count": count,
            "firstTimestamp": feed::NOON, "lastTimestamp": time, "source": {"component": "kubelet"},
            "involvedObject": {"kind": "Pod", "apiVersion": "v1", "name": "x", "namespace": "shop", "uid": "u"}}),
        )
    };
    let entries = feed.apply(&event(1, feed::NOON));
    assert_eq!((folded(&entries)[0].count, folded(&entries)[0].component.as_str()), (1, "kubelet"));
    for count in 2..=9 {
        feed.pass(60);
        assert_eq!(feed.apply(&event(count, &feed.now.to_string())), Vec::new());
    }
    assert_eq!(feed.recorder.due(), Some(at("2026-01-01T12:10:00Z")));
    feed.pass(120);
    let entries = feed.steps().entries;
    assert_eq!(
        (folded(&entries)[0].count, folded(&entries)[0].message.as_str(), entries[0].at),
        (8, "said 9", at("2026-01-01T12:08:00Z"))
    );
    feed.pass(1200);
    assert_eq!((feed.steps().entries, feed.recorder.due()), (Vec::new(), None));
}
