//! What is told of rollouts, releases, syncs and problems.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod feed;

use feed::{Feed, at, deployment, object, owned, pod, replica_set, running, with, wrote};
use reckon_detect::{Engine, Scope, State};
use reckon_model::document::Severity;
use reckon_model::record::{Entry, Fact, ProblemTurn, RolloutState, Turn};
use reckon_model::{ClusterId, Kind, Object};
use serde_json::{Value, json};

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
            "phase": phase, "message": "m", "finishedAt": time, "syncResult": {"revision": revision}}, "history": [{"revision": "000"}, {"revision": "aaa"}]}}),
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
    assert_eq!(
        said(&feed.apply(&app("Failed", "bbb", "2026-01-01T12:00:09Z"))),
        [told(Some("aaa"), "bbb", "Failed", "m")]
    );
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

fn turns(entries: Vec<Entry>) -> Vec<ProblemTurn> {
    let of = entries.into_iter().map(|entry| match entry.fact {
        Fact::Problem(turn) => turn,
        other => panic!("{other:?}"),
    });
    of.collect()
}

#[test]
fn a_problem_is_told_when_it_opens_becomes_another_closes_and_comes_back() {
    let mut state = State::new(ClusterId("c".to_owned()));
    Kind::named().for_each(|kind| state.cover(kind, None));
    let waits =
        json!({"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image \"app:nope\": not found"}});
    let stuck =
        with(&running(&pod("bare", None), false, 0, &waits, &json!({})), &json!({"status": {"phase": "Pending"}}));
    state.apply(Object::decode(stuck.to_string().as_bytes(), None).unwrap());
    let mut feed = Feed::new();
    feed.pass(3_600);
    let mut problems = Engine::new(state).diagnose(&Scope::Cluster, feed.now).problems;
    assert_eq!(problems.len(), 1, "{problems:#?}");
    let mut see = |problems: &[reckon_model::document::Problem]| {
        feed.recorder.problems(problems, feed.now);
        let entries = feed.recorder.take().entries;
        assert!(entries.iter().all(|entry| entry.subject.name == "bare"));
        turns(entries)
    };
    let opened = see(&problems);
    assert_eq!((opened[0].turn, opened[0].episode, &opened[0].id), (Turn::Opened, 1, &problems[0].id));
    assert_eq!(see(&problems), []);
    problems[0].severity = if problems[0].severity == Severity::Info { Severity::Warning } else { Severity::Info };
    assert_eq!(see(&problems)[0].turn, Turn::Changed);
    problems[0].closed = Some(at("2026-01-01T13:00:00Z"));
    problems[0].closed_reason = Some("the pod is ready".to_owned());
    let closed = see(&problems);
    assert_eq!((closed[0].turn, closed[0].reason.as_deref()), (Turn::Closed, Some("the pod is ready")));
    assert_eq!(see(&problems), []);
    problems[0].closed = None;
    problems[0].episode = 2;
    assert_eq!((see(&problems)[0].turn, see(&problems).len()), (Turn::Opened, 0));
}
