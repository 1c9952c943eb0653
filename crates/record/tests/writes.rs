//! What is told of writes: fields, writers, times, gaps, and what was there before.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod feed;

use feed::{Feed, at, change, changes, deployment, fields, object, pod, running, with, words, wrote};
use reckon_model::record::{Entry, Fact, Phase};
use reckon_model::{Answer, Demand, Kind, Object, Verb};
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
fn a_config_map_whose_values_were_read_once_is_told_of_as_any_other() {
    let flags = |time: &str| {
        let own = wrote("kubectl", time, &json!({"f:data": {"f:colour": {}}}));
        object("v1", "ConfigMap", "flags", &json!({"data": {"colour": "red"}, "metadata": {"managedFields": [own]}}))
    };
    let mut feed = Feed::new();
    feed.metadata(&Kind::ConfigMap, &flags(feed::NOON));
    // Somebody reads it to know more: what comes of that is nobody's change.
    let whole = Object::decode(flags(feed::NOON).to_string().as_bytes(), None).unwrap();
    let demand = Demand::Object { kind: Kind::ConfigMap, namespace: Some("shop".to_owned()), name: "flags".to_owned() };
    feed.state.answer(demand, Answer::Objects(vec![whole]));
    drop(feed.state.take_steps());
    feed.pass(60);
    let entries = feed.metadata(&Kind::ConfigMap, &flags("2026-01-01T12:00:59Z"));
    assert_eq!(
        (fields(change(&entries)), change(&entries).actor.as_ref().unwrap().manager.as_str()),
        (vec!["data.colour"], "kubectl")
    );
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
