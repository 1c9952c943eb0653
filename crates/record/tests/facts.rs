//! What is told of literal objects, fact by fact.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod feed;

use feed::{
    Feed, at, change, changes, deployment, fields, object, owned, pod, replica_set, running, with, words, wrote,
};
use reckon_model::record::{Entry, Fact, Folded, Phase, RolloutState};
use reckon_model::{Kind, Verb};
use reckon_record::{LONGEST, Memory, Noise, kinds, line};
use serde_json::{Value, json};

fn settings(data: &Value) -> Value {
    object("v1", "ConfigMap", "settings", &json!({"data": data}))
}

#[test]
fn what_is_created_and_deleted_is_told_with_all_that_was_written_of_it() {
    let mut feed = Feed::new();
    let map = settings(&json!({"level": "debug"}));
    let entries = feed.apply(&map);
    let created = change(&entries);
    assert_eq!((created.verb, created.version.as_str(), created.after), (Verb::Created, "101", None));
    assert_eq!(created.object, Some(json!({"data": {"level": "debug"}})));
    feed.pass(60);
    let entries = feed.delete(&map);
    assert_eq!((change(&entries).verb, entries[0].at), (Verb::Deleted, at("2026-01-01T12:01:00Z")));
    assert_eq!(change(&entries).object, Some(json!({"data": {"level": "debug"}})));
}

#[test]
fn a_change_says_which_field_who_and_when() {
    let mut feed = Feed::new();
    feed.apply(&deployment("web", "app:1"));
    feed.pass(60);
    let managers = [
        wrote("helm", feed::NOON, &json!({"f:spec": {"f:replicas": {}}})),
        wrote(
            "kubectl-edit",
            "2026-01-01T12:00:59Z",
            &json!({"f:spec": {"f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"app\"}": {"f:image": {}}}}}}}),
        ),
    ];
    let now = with(&deployment("web", "app:2"), &json!({"metadata": {"generation": 2, "managedFields": managers}}));
    let entries = feed.apply(&now);
    let written = change(&entries);
    assert_eq!(fields(written), ["spec.template.spec.containers[app].image"]);
    assert_eq!(
        (written.fields[0].from.clone(), written.fields[0].to.clone()),
        (Some(json!("app:1")), Some(json!("app:2")))
    );
    assert_eq!((written.actor.as_ref().unwrap().manager.as_str(), written.generation), ("kubectl-edit", Some(2)));
    // The API server's time is cut to the second: what was just now is now.
    assert_eq!(entries[0].at, at("2026-01-01T12:01:00Z"));
}

#[test]
fn fields_of_two_writers_are_two_entries() {
    let mut feed = Feed::new();
    feed.apply(&settings(&json!({"a": "1", "b": "1"})));
    feed.pass(600);
    let managers = [
        wrote("alice", "2026-01-01T12:05:00Z", &json!({"f:data": {"f:a": {}}})),
        wrote("bob", "2026-01-01T12:06:00Z", &json!({"f:data": {"f:b": {}}})),
    ];
    let entries =
        feed.apply(&with(&settings(&json!({"a": "2", "b": "2"})), &json!({"metadata": {"managedFields": managers}})));
    let said: Vec<_> = entries
        .iter()
        .zip(changes(&entries))
        .map(|(entry, it)| (entry.at, it.actor.clone().unwrap().manager, fields(it)))
        .collect();
    assert_eq!(
        said,
        [
            (at("2026-01-01T12:05:00Z"), "alice".to_owned(), vec!["data.a"]),
            (at("2026-01-01T12:06:00Z"), "bob".to_owned(), vec!["data.b"])
        ]
    );
}

#[test]
fn a_field_that_is_gone_was_taken_by_who_wrote_last() {
    let mut feed = Feed::new();
    let first = wrote("helm", feed::NOON, &json!({"f:data": {"f:a": {}, "f:b": {}}}));
    feed.apply(&with(&settings(&json!({"a": "1", "b": "1"})), &json!({"metadata": {"managedFields": [first]}})));
    feed.pass(60);
    let managers = [
        wrote("helm", feed::NOON, &json!({"f:data": {"f:a": {}}})),
        wrote("kubectl-patch", "2026-01-01T12:00:59Z", &json!({"f:metadata": {}})),
    ];
    let entries = feed.apply(&with(&settings(&json!({"a": "1"})), &json!({"metadata": {"managedFields": managers}})));
    assert_eq!(
        (fields(change(&entries)), change(&entries).actor.as_ref().unwrap().manager.as_str()),
        (vec!["data.b"], "kubectl-patch")
    );
}

#[test]
fn a_long_value_is_told_by_its_length_and_digest() {
    let mut feed = Feed::new();
    feed.apply(&settings(&json!({"a": "x".repeat(LONGEST + 1)})));
    let entries = feed.apply(&settings(&json!({"a": "y".repeat(LONGEST + 1)})));
    let field = &change(&entries).fields[0];
    assert!(field.to.as_ref().unwrap().as_str().unwrap().starts_with("(8193 bytes, digest "));
    assert_ne!(field.from, field.to);
}

#[test]
fn of_a_secret_the_names_of_keys_are_told_and_that_they_were_written() {
    let secret = |keys: &[&str], time: &str| {
        let data: Value = keys.iter().map(|key| ((*key).to_owned(), json!("c2VjcmV0"))).collect();
        let owned: Value = keys.iter().map(|key| (format!("f:{key}"), json!({}))).collect();
        object(
            "v1",
            "Secret",
            "db",
            &json!({"data": data, "metadata": {"managedFields": [wrote("vault", time, &json!({"f:data": owned}))]}}),
        )
    };
    let mut feed = Feed::new();
    let entries = feed.apply(&secret(&["password"], feed::NOON));
    assert_eq!(change(&entries).object, Some(json!({"data": {"password": "[not read]"}})));
    feed.pass(60);
    let entries = feed.apply(&secret(&["password"], "2026-01-01T12:00:59Z"));
    assert_eq!(
        (fields(change(&entries)), change(&entries).actor.as_ref().unwrap().manager.as_str()),
        (vec!["data.password"], "vault")
    );
    let entries = feed.apply(&secret(&["password", "user"], "2026-01-01T12:00:59Z"));
    assert_eq!(fields(change(&entries)), ["data.user"]);
}

#[test]
fn a_write_that_redaction_hides_is_told_without_its_value() {
    let web = |password: &str, generation: u32| {
        let own = json!({"f:spec": {"f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"app\"}": {"f:env": {"k:{\"name\":\"DB_PASSWORD\"}": {"f:value": {}}}}}}}}});
        with(
            &deployment("web", "app:1"),
            &json!({"metadata": {"generation": generation, "managedFields": [wrote("kubectl-edit", &format!("2026-01-01T12:00:0{generation}Z"), &own)]},
            "spec": {"template": {"spec": {"containers": [{"name": "app", "image": "app:1", "env": [{"name": "DB_PASSWORD", "value": password}]}]}}}}),
        )
    };
    let mut feed = Feed::new();
    feed.apply(&web("hunter2", 1));
    assert_eq!(feed.apply(&with(&web("hunter2", 1), &json!({"status": {"replicas": 1}}))), Vec::new());
    let entries = feed.apply(&web("hunter3", 2));
    assert_eq!(fields(change(&entries)), ["spec.template.spec.containers[app].env[DB_PASSWORD].value"]);
    assert_eq!(change(&entries).fields[0].to, Some(json!("[redacted]")));
    // Within the second in which the same manager wrote before, it is not known of which field it is.
    let entries = feed.apply(&with(&web("hunter4", 2), &json!({"metadata": {"generation": 3}})));
    assert_eq!(
        (fields(change(&entries)).len(), &change(&entries).actor, change(&entries).generation),
        (0, &None, Some(3))
    );
}

#[test]
fn each_twentieth_change_of_an_object_keeps_all_of_it() {
    let mut feed = Feed::new();
    feed.apply(&settings(&json!({"n": "0"})));
    let kept: Vec<usize> =
        (1..=40).filter(|n| change(&feed.apply(&settings(&json!({"n": n.to_string()})))).object.is_some()).collect();
    assert_eq!(kept, [20, 40]);
}

#[test]
fn what_was_there_before_is_seen_and_not_created() {
    let mut feed = Feed::starting(Noise::default(), Memory::default());
    let mut entries = feed.apply(&settings(&json!({"a": "1"})));
    entries.extend(feed.apply(&running(
        &pod("web-h1-x", Some(("ReplicaSet", "web-h1"))),
        true,
        0,
        &json!({"running": {}}),
        &json!({}),
    )));
    feed.listed(&Kind::ConfigMap);
    feed.listed(&Kind::Pod);
    entries.extend(feed.steps().entries);
    assert_eq!(words(&entries), ["seen", "seen"]);
    let Fact::Seen(seen) = &entries[1].fact else { panic!() };
    assert_eq!((seen.object.is_none(), seen.phase.as_ref().unwrap().to), (true, Phase::Ready));
    assert_eq!(words(&feed.apply(&object("v1", "ConfigMap", "later", &json!({})))), ["change"]);
}

#[test]
fn what_happened_in_a_gap_says_since_when_and_the_gap_is_told() {
    let mut feed = Feed::new();
    let (kept, gone) = (settings(&json!({"a": "1"})), object("v1", "ConfigMap", "gone", &json!({})));
    feed.apply(&kept);
    feed.apply(&gone);
    let since = feed.now;
    feed.pass(300);
    feed.recorder.lost(&Kind::ConfigMap, None, since, "the history was compacted");
    let entries = feed.apply(&settings(&json!({"a": "2"})));
    assert_eq!(change(&entries).after, Some(since));
    let new = object("v1", "ConfigMap", "new", &json!({"metadata": {"creationTimestamp": "2026-01-01T12:02:00Z"}}));
    let entries = feed.apply(&new);
    // When it was created is known.
    assert_eq!(
        (change(&entries).verb, change(&entries).after, entries[0].at),
        (Verb::Created, None, at("2026-01-01T12:02:00Z"))
    );
    assert_eq!(change(&feed.delete(&gone)).after, Some(since));
    feed.listed(&Kind::ConfigMap);
    let entries = feed.steps().entries;
    let Fact::Unseen(unseen) = &entries[0].fact else { panic!("{entries:?}") };
    assert_eq!((unseen.from, unseen.to, unseen.resource.as_str()), (since, feed.now, "configmaps"));
    assert_eq!(change(&feed.apply(&settings(&json!({"a": "3"})))).after, None);
}

#[test]
fn a_recorder_that_starts_again_tells_nothing_twice_and_what_it_missed() {
    let mut feed = Feed::new();
    let dead = json!({"terminated": {"exitCode": 1, "reason": "Error", "finishedAt": "2026-01-01T12:00:01Z", "containerID": "c://1"}});
    let (stays, changes_, goes) = (
        settings(&json!({"a": "1"})),
        object("v1", "ConfigMap", "changes", &json!({"data": {"a": "1"}})),
        object("v1", "ConfigMap", "goes", &json!({})),
    );
    let crashed = running(&pod("x", None), true, 1, &json!({"running": {}}), &dead);
    let lines: String = [&stays, &changes_, &goes, &crashed]
        .into_iter()
        .flat_map(|object| feed.hear(object).marks)
        .map(|(reference, mark)| line(&reference, mark.as_ref()))
        .collect();
    assert!(lines.len() < 4 * 130, "{lines}");

    let memory = Memory::read(Some(feed.now), &lines).unwrap();
    assert_eq!(Memory::read(memory.until, &memory.lines()).unwrap(), memory);
    let mut again = Feed::starting(Noise::default(), memory);
    again.now = at("2026-01-01T13:00:00Z");
    assert_eq!(again.apply(&stays), Vec::new());
    assert_eq!(again.apply(&crashed), Vec::new());
    let entries = again.apply(&with(&changes_, &json!({"data": {"a": "2"}})));
    assert_eq!(
        (change(&entries).verb, change(&entries).after, change(&entries).object.clone()),
        (Verb::Updated, Some(feed.now), Some(json!({"data": {"a": "2"}})))
    );
    let young = object("v1", "ConfigMap", "young", &json!({"metadata": {"creationTimestamp": "2026-01-01T12:30:00Z"}}));
    let entries = again.apply(&young);
    assert_eq!((change(&entries).verb, entries[0].at), (Verb::Created, at("2026-01-01T12:30:00Z")));
    let old = object("v1", "ConfigMap", "old", &json!({"metadata": {"creationTimestamp": "2026-01-01T11:00:00Z"}}));
    assert_eq!(words(&again.apply(&old)), ["seen"]);
    kinds().iter().for_each(|kind| again.listed(kind));
    let entries = again.steps().entries;
    let gone: Vec<&Entry> = entries.iter().filter(|entry| entry.fact.word() == "change").collect();
    assert_eq!((gone.len(), gone[0].subject.name.as_str(), change(&entries).after), (1, "goes", Some(feed.now)));
    assert_eq!(entries.len() - 1, kinds().len(), "each kind was not watched for an hour");
}

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

fn rollouts(entries: &[Entry]) -> Vec<&reckon_model::record::Rollout> {
    entries
        .iter()
        .filter_map(|entry| match &entry.fact {
            Fact::Rollout(rollout) => Some(rollout),
            _ => None,
        })
        .collect()
}

fn progress(deployment: &Value, revision: u32, reason: &str) -> Value {
    with(
        deployment,
        &json!({"metadata": {"annotations": {"deployment.kubernetes.io/revision": revision.to_string()}},
        "status": {"conditions": [{"type": "Progressing", "status": "True", "reason": reason, "message": "said so"}]}}),
    )
}

#[test]
fn a_rollout_is_told_when_it_starts_is_done_fails_and_is_rolled_back() {
    let mut feed = Feed::new();
    let first = deployment("web", "app:1");
    feed.apply(&progress(&first, 1, "NewReplicaSetAvailable"));
    let old = replica_set(&first, "h1", 1, feed::NOON);
    let entries = feed.apply(&old);
    assert_eq!(
        (rollouts(&entries)[0].state, rollouts(&entries)[0].to.as_str(), rollouts(&entries)[0].from.clone()),
        (RolloutState::Started, "1", None)
    );
    feed.pass(600);
    let own =
        json!({"f:spec": {"f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"app\"}": {"f:image": {}}}}}}});
    let second = with(
        &deployment("web", "app:2"),
        &json!({"metadata": {"generation": 2, "managedFields": [wrote("argocd-controller", "2026-01-01T12:09:59Z", &own)]}}),
    );
    // The watch of ReplicaSets may be ahead: who wrote is known a moment later.
    let new = replica_set(&second, "h2", 2, "2026-01-01T12:10:00Z");
    assert_eq!(feed.apply(&new), Vec::new());
    let entries = feed.apply(&progress(&second, 1, "ReplicaSetUpdated"));
    let started = rollouts(&entries)[0];
    assert_eq!((started.state, started.from.as_deref(), started.to.as_str()), (RolloutState::Started, Some("1"), "2"));
    assert_eq!(started.images["app"], (Some("app:1".to_owned()), Some("app:2".to_owned())));
    assert_eq!((started.actor.as_ref().unwrap().manager.as_str(), started.fields.len()), ("argocd-controller", 0));
    let entries = feed.apply(&progress(&second, 2, "ProgressDeadlineExceeded"));
    assert_eq!(
        (rollouts(&entries)[0].state, rollouts(&entries)[0].why.as_deref()),
        (RolloutState::Failed, Some("said so"))
    );
    feed.pass(60);
    let back = with(&deployment("web", "app:1"), &json!({"metadata": {"generation": 3}}));
    let mut entries = feed.apply(&progress(&back, 2, "ReplicaSetUpdated"));
    entries.extend(
        feed.apply(&with(&old, &json!({"metadata": {"annotations": {"deployment.kubernetes.io/revision": "3"}}}))),
    );
    let rolled = rollouts(&entries)[0];
    assert_eq!((rolled.state, rolled.from.as_deref(), rolled.to.as_str()), (RolloutState::RolledBack, Some("2"), "3"));
    assert_eq!(rolled.images["app"].1.as_deref(), Some("app:1"));
    let entries = feed.apply(&progress(&back, 3, "NewReplicaSetAvailable"));
    assert_eq!((rollouts(&entries)[0].state, rollouts(&entries)[0].to.as_str()), (RolloutState::Done, "3"));
    // Scaling is no rollout.
    assert_eq!(
        rollouts(&feed.apply(&with(
            &progress(&back, 3, "NewReplicaSetAvailable"),
            &json!({"metadata": {"generation": 4}, "spec": {"replicas": 5}})
        )))
        .len(),
        0
    );
}

#[test]
fn a_rollout_of_which_the_workload_is_not_heard_is_told_without_its_writer() {
    let mut feed = Feed::new();
    feed.apply(&replica_set(&deployment("web", "app:1"), "h1", 1, feed::NOON));
    assert_eq!(feed.recorder.due(), Some(at("2026-01-01T12:00:10Z")));
    feed.pass(10);
    let entries = feed.steps().entries;
    assert_eq!((rollouts(&entries).len(), &rollouts(&entries)[0].actor), (1, &None));
}

#[test]
fn stateful_sets_and_daemon_sets_roll_out_by_their_revisions() {
    for kind in ["StatefulSet", "DaemonSet"] {
        let set = |image: &str, generation: u32, status: &Value| {
            let template = json!({"spec": {"containers": [{"name": "app", "image": image}]}});
            object(
                "apps/v1",
                kind,
                "db",
                &json!({"metadata": {"generation": generation}, "spec": {"template": template}, "status": status}),
            )
        };
        let revision = |name: &str, number: u32, image: &str, created: &str| {
            let template = json!({"$patch": "replace", "spec": {"containers": [{"name": "app", "image": image}]}});
            let revision = object(
                "apps/v1",
                "ControllerRevision",
                name,
                &json!({"metadata": {"creationTimestamp": created}, "revision": number, "data": {"spec": {"template": template}}}),
            );
            with(&revision, &owned(kind, "db"))
        };
        let mut feed = Feed::new();
        feed.apply(&set("db:1", 1, &json!({"updateRevision": "db-a", "currentRevision": "db-a"})));
        feed.apply(&revision("db-a", 1, "db:1", feed::NOON));
        feed.pass(600);
        feed.apply(&set("db:2", 2, &json!({"updateRevision": "db-a", "currentRevision": "db-a"})));
        let entries = feed.apply(&revision("db-b", 2, "db:2", "2026-01-01T12:10:00Z"));
        let started = rollouts(&entries)[0];
        assert_eq!(
            (started.state, started.from.as_deref(), started.to.as_str()),
            (RolloutState::Started, Some("db-a"), "db-b"),
            "{kind}"
        );
        let moves = json!({"observedGeneration": 2, "updateRevision": "db-b", "currentRevision": "db-a", "desiredNumberScheduled": 3, "updatedNumberScheduled": 1, "numberAvailable": 2});
        assert_eq!(rollouts(&feed.apply(&set("db:2", 2, &moves))).len(), 0);
        let there = json!({"observedGeneration": 2, "updateRevision": "db-b", "currentRevision": "db-b", "desiredNumberScheduled": 3, "updatedNumberScheduled": 3, "numberAvailable": 3});
        let entries = feed.apply(&set("db:2", 2, &there));
        assert_eq!(
            (rollouts(&entries)[0].state, rollouts(&entries)[0].to.as_str()),
            (RolloutState::Done, "db-b"),
            "{kind}"
        );
        feed.apply(&set("db:1", 3, &there));
        let entries = feed.apply(&revision("db-a", 3, "db:1", feed::NOON));
        assert_eq!(
            (rollouts(&entries)[0].state, rollouts(&entries)[0].to.as_str()),
            (RolloutState::RolledBack, "db-a"),
            "{kind}"
        );
    }
}

#[test]
fn a_helm_release_is_one_entry_for_each_status_of_each_revision() {
    let mut feed = Feed::new();
    let chart = json!({"metadata": {"annotations": {"meta.helm.sh/release-name": "shop"}, "labels": {"helm.sh/chart": "my-shop-2-1.4.0-rc.1"}}});
    feed.apply(&with(&deployment("web", "app:1"), &chart));
    let secret = |status: &str| {
        object(
            "v1",
            "Secret",
            "sh.helm.release.v1.shop.v7",
            &json!({"metadata": {"labels": {"owner": "helm", "name": "shop", "version": "7", "status": status}}}),
        )
    };
    for status in ["pending-upgrade", "deployed", "superseded"] {
        let entries = feed.apply(&secret(status));
        let [Entry { fact: Fact::Release(release), .. }] = &entries[..] else { panic!("{entries:?}") };
        assert_eq!((release.name.as_str(), release.revision, release.status.as_str()), ("shop", 7, status));
        assert_eq!(
            (release.chart.as_str(), release.version.clone()),
            ("my-shop-2", Some((None, "1.4.0-rc.1".to_owned())))
        );
    }
    assert_eq!(feed.apply(&secret("superseded")), Vec::new());
    assert_eq!(feed.delete(&secret("superseded")), Vec::new());
}

#[test]
fn syncs_of_argo_cd_and_flux_say_from_which_revision_to_which() {
    let mut feed = Feed::new();
    let app = |phase: &str, revision: &str, time: &str| {
        object(
            "argoproj.io/v1alpha1",
            "Application",
            "shop",
            &json!({"spec": {"project": "p"}, "status": {"operationState": {
            "phase": phase, "message": "m", "finishedAt": time, "syncResult": {"revision": revision}}}}),
        )
    };
    let flux = |ready: &str, reason: &str, applied: &str, attempted: &str| {
        object(
            "kustomize.toolkit.fluxcd.io/v1",
            "Kustomization",
            "apps",
            &json!({"spec": {}, "status": {"lastAppliedRevision": applied, "lastAttemptedRevision": attempted,
            "conditions": [{"type": "Ready", "status": ready, "reason": reason, "message": "m"}]}}),
        )
    };
    let said = |entries: &[Entry]| -> Vec<(Option<String>, String, String, String)> {
        let of = |entry: &Entry| match &entry.fact {
            Fact::Sync(sync) => Some((sync.from.clone(), sync.to.clone(), sync.status.clone(), sync.message.clone())),
            _ => None,
        };
        entries.iter().filter_map(of).collect()
    };
    let told = |from: Option<&str>, to: &str, status: &str, message: &str| {
        (from.map(str::to_owned), to.to_owned(), status.to_owned(), message.to_owned())
    };
    feed.apply(&app("Succeeded", "aaa", feed::NOON));
    assert_eq!(said(&feed.apply(&app("Running", "aaa", feed::NOON))), []);
    assert_eq!(said(&feed.apply(&app("Failed", "bbb", "2026-01-01T12:00:09Z"))), [told(None, "bbb", "Failed", "m")]);
    assert_eq!(
        said(&feed.apply(&app("Succeeded", "ccc", "2026-01-01T12:00:19Z"))),
        [told(Some("bbb"), "ccc", "Succeeded", "")]
    );
    assert_eq!(said(&feed.apply(&app("Succeeded", "ccc", "2026-01-01T12:00:19Z"))), []);
    feed.apply(&flux("True", "ReconciliationSucceeded", "main@a", "main@a"));
    assert_eq!(
        said(&feed.apply(&flux("True", "ReconciliationSucceeded", "main@b", "main@b"))),
        [told(Some("main@a"), "main@b", "ReconciliationSucceeded", "")]
    );
    assert_eq!(
        said(&feed.apply(&flux("False", "BuildFailed", "main@b", "main@c"))),
        [told(Some("main@b"), "main@c", "BuildFailed", "m")]
    );
}
