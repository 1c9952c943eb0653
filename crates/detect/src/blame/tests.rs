//! Which change is blamed, and which cause a missing reference has.

use super::*;
use crate::state::State;
use reckon_model::ClusterId;
use serde_json::json;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

const NOW: &str = "2026-01-01T12:00:00Z";

fn state(objects: &[Value]) -> State {
    let mut state = State::new(ClusterId("c".into()));
    Kind::named().for_each(|kind| state.cover(kind, None));
    for object in objects {
        state.apply(Object::decode(object.to_string().as_bytes(), None).unwrap());
    }
    state
}

fn deployment(config: &str) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "checkout", "namespace": "shop", "uid": "d", "creationTimestamp": "2026-01-01T09:00:00Z",
            "annotations": {"meta.helm.sh/release-name": "shop"}},
        "spec": {"selector": {"matchLabels": {"app": "checkout"}}, "template": template(config, "1")}})
}

fn template(config: &str, image: &str) -> Value {
    json!({"metadata": {"labels": {"app": "checkout"}}, "spec": {"containers": [{"name": "app", "image": image,
        "env": [{"name": "LEVEL", "valueFrom": {"configMapKeyRef": {"name": config, "key": "level"}}}]}]}})
}

fn replica_set(revision: u32, created: &str, template: Value) -> Value {
    let hash = format!("h{revision}");
    let mut template = template;
    template["metadata"]["labels"]["pod-template-hash"] = hash.clone().into();
    json!({"apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {"name": format!("checkout-{hash}"), "namespace": "shop", "uid": hash, "creationTimestamp": created,
            "labels": {"app": "checkout", "pod-template-hash": hash},
            "annotations": {"deployment.kubernetes.io/revision": revision.to_string()},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "checkout", "uid": "d", "controller": true}]},
        "spec": {"template": template}})
}

fn pod(hash: &str, created: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": format!("checkout-{hash}-x"), "namespace": "shop", "uid": "p",
        "creationTimestamp": created, "labels": {"app": "checkout", "pod-template-hash": hash},
        "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": format!("checkout-{hash}"), "uid": hash, "controller": true}]}})
}

fn image(field: &FieldChange) -> Option<u8> {
    field.field.ends_with(".image").then_some(0)
}

fn config_map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "shop"}, "data": {"level": "info"}})
}

fn target(kind: Kind, name: &str) -> ResourceRef {
    ResourceRef::new(kind, Some("shop"), name)
}

const POINTER: &str = "/spec/template/spec/containers/0/env/0/valueFrom/configMapKeyRef/name";

fn missing(state: &State, target: &ResourceRef) -> Cause {
    let view = View::new(state, at(NOW));
    let referrer = view.object(&Kind::Deployment, Some("shop"), "checkout").found().unwrap();
    missing_reference(&view, referrer, target, "spec.template.spec.containers[app].env[LEVEL]", POINTER)
}

#[test]
fn a_change_is_blamed_on_the_pods_it_made_only() {
    // Two roll-outs within the clocks' slack: the pod of the first one is not the second one's.
    let state = state(&[
        deployment("c"),
        replica_set(1, "2026-01-01T09:00:01Z", template("c", "1")),
        replica_set(2, "2026-01-01T11:50:00Z", template("c", "2")),
        replica_set(3, "2026-01-01T11:50:30Z", template("c", "3")),
        pod("h2", "2026-01-01T11:50:01Z"),
        pod("h3", "2026-01-01T11:50:31Z"),
    ]);
    let view = View::new(&state, at(NOW));
    let workload = view.object(&Kind::Deployment, Some("shop"), "checkout").found().unwrap();
    let blamed = |pod: Option<&str>, onset: Option<&str>| {
        let pod = pod.map(|name| view.object(&Kind::Pod, Some("shop"), name).found().unwrap());
        template_change(&view, workload, pod, onset.map(at), image).map(|blame| blame.field().to.clone().unwrap())
    };
    assert_eq!(blamed(Some("checkout-h2-x"), None), Some("2".into()));
    assert_eq!(blamed(Some("checkout-h3-x"), None), Some("3".into()));
    assert_eq!(blamed(None, None), Some("3".into()));
    assert_eq!(blamed(None, Some("2026-01-01T11:00:00Z")), None);
    assert!(template_change(&view, workload, None, None, |_| None).is_none());
}

#[test]
fn the_most_plausible_field_comes_first_and_the_others_go() {
    let mut new = template("c", "2");
    new["spec"]["containers"][0]["command"] = json!(["run"]);
    new["metadata"]["annotations"] = json!({"note": "x"});
    let state = state(&[
        deployment("c"),
        replica_set(1, "2026-01-01T09:00:01Z", template("c", "1")),
        replica_set(2, "2026-01-01T11:50:00Z", new),
    ]);
    let view = View::new(&state, at(NOW));
    let workload = view.object(&Kind::Deployment, Some("shop"), "checkout").found().unwrap();
    let rank = |field: &FieldChange| match () {
        () if field.pointer.ends_with("/image") => Some(0),
        () if field.pointer.ends_with("/command") => Some(1),
        () => None,
    };
    let blame = template_change(&view, workload, None, None, rank).unwrap();
    let fields: Vec<&str> = blame.change.fields.iter().map(|field| field.field.as_str()).collect();
    assert_eq!(fields, ["spec.template.spec.containers[app].image", "spec.template.spec.containers[app].command"]);
    let cause = blame.cause(&view, "x.");
    assert_eq!((cause.managed_by.as_deref(), cause.from, cause.to), (Some("helm"), Some("1".into()), Some("2".into())));
}

#[test]
fn a_deleted_target_is_the_cause_and_so_is_its_deletion() {
    let mut state = state(&[deployment("settings"), config_map("settings")]);
    let target = target(Kind::ConfigMap, "settings");
    state.delete(&target, at("2026-01-01T11:55:00Z"));
    let cause = missing(&state, &target);
    assert_eq!(cause.kind, CauseKind::Change);
    assert_eq!(cause.reference.as_ref().map(|it| it.name.as_str()), Some("settings"));
    assert_eq!(cause.at, Some(at("2026-01-01T11:55:00Z")));
    assert_eq!(cause.sentence, "ConfigMap shop/settings was deleted at 11:55:00 UTC.");
}

#[test]
fn a_changed_reference_is_the_cause_if_the_old_target_is_there() {
    let objects = |old: &str| {
        state(&[
            deployment("new"),
            config_map(old),
            replica_set(1, "2026-01-01T09:00:01Z", template("settings", "1")),
            replica_set(2, "2026-01-01T11:50:00Z", template("new", "1")),
        ])
    };
    let cause = missing(&objects("settings"), &target(Kind::ConfigMap, "new"));
    assert_eq!((cause.kind, cause.from, cause.to), (CauseKind::Change, Some("settings".into()), Some("new".into())));
    assert_eq!(
        cause.sentence,
        "shop/checkout refers to ConfigMap shop/new, which does not exist: the reference was changed from settings to new \
         at 11:50:00 UTC."
    );
    // Neither is there: the reference's change did not break it.
    assert_eq!(missing(&objects("unrelated"), &target(Kind::ConfigMap, "new")).kind, CauseKind::Resource);
}

#[test]
fn a_near_name_makes_the_reference_the_cause() {
    let state = state(&[deployment("setings"), config_map("settings"), config_map("db")]);
    let cause = missing(&state, &target(Kind::ConfigMap, "setings"));
    assert_eq!((cause.kind, cause.to.clone()), (CauseKind::Resource, Some("setings".into())));
    assert_eq!(cause.pointer.as_deref(), Some(POINTER));
    assert_eq!(
        cause.sentence,
        "shop/checkout refers to ConfigMap shop/setings, which does not exist; ConfigMap settings does (a slip of the name)."
    );
    let other = missing(&state, &target(Kind::Secret, "settings"));
    assert!(other.sentence.ends_with("ConfigMap settings does (the other kind)."), "{}", other.sentence);
    // Any two short names are near.
    let absent = missing(&state, &target(Kind::ConfigMap, "web"));
    assert_eq!(absent.sentence, "ConfigMap shop/web does not exist, and shop/checkout needs it.");
    assert_eq!(absent.reference.map(|it| it.name), Some("web".to_owned()));
}

#[test]
fn a_name_with_another_version_makes_the_reference_the_cause() {
    let state = state(&[deployment("app-config"), config_map("app-config-v2"), config_map("app-config-worker")]);
    let cause = missing(&state, &target(Kind::ConfigMap, "app-config"));
    assert_eq!(
        cause.sentence,
        "shop/checkout refers to ConfigMap shop/app-config, which does not exist; ConfigMap app-config-v2 does (the same name \
         with another version)."
    );
    // A slip is nearer than a version, and the claims of pods are numbered.
    let nearest = |kind: Kind, names: &[&'static str]| nearest(names.iter().copied(), &target(kind, "settings"));
    assert_eq!(nearest(Kind::ConfigMap, &["settings-prod", "settinks"]).map(|it| it.0), Some("settinks"));
    assert_eq!(nearest(Kind::ConfigMap, &["settings-100"]).map(|it| it.0), Some("settings-100"));
    assert_eq!(nearest(Kind::PersistentVolumeClaim, &["settings-100"]), None);
}

#[test]
fn the_other_kind_is_asked_for_one_name_and_its_refusal_is_no_gap() {
    use reckon_model::{Answer, Demand, Gap, Obstacle};
    let mut state = State::new(ClusterId("c".into()));
    Kind::named().filter(|kind| **kind != Kind::Secret).for_each(|kind| state.cover(kind, None));
    state.apply(Object::decode(deployment("db").to_string().as_bytes(), None).unwrap());
    let wanted = target(Kind::ConfigMap, "db-password");
    let ask = |state: &State| {
        let view = View::new(state, at(NOW));
        let referrer = view.object(&Kind::Deployment, Some("shop"), "checkout").found().unwrap();
        let cause = missing_reference(&view, referrer, &wanted, "spec", POINTER);
        (cause.sentence, view.into_asked())
    };
    let demand = Demand::Object { kind: Kind::Secret, namespace: Some("shop".into()), name: "db-password".into() };
    let (_, asked) = ask(&state);
    assert!(asked.demands.contains(&demand), "{asked:?}");
    let gap = Gap { what: "secrets".into(), why: "forbidden".into(), obstacle: Obstacle::Denied };
    state.answer(demand.clone(), Answer::Refused(gap));
    let (sentence, asked) = ask(&state);
    assert_eq!(sentence, "ConfigMap shop/db-password does not exist, and shop/checkout needs it.");
    assert!(!asked.demands.contains(&demand) && asked.gaps.is_empty(), "{asked:?}");
    let secret =
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db-password", "namespace": "shop"}});
    let secret = Object::decode(secret.to_string().as_bytes(), None).unwrap();
    state.answer(demand, Answer::Objects(vec![secret]));
    assert!(ask(&state).0.ends_with("Secret db-password does (the other kind)."));
}

#[test]
fn distance_counts_letters_to_change() {
    assert_eq!(distance("checkout", "chekout"), 1);
    assert_eq!(distance("ab", "ba"), 2);
    assert_eq!(distance("", "abc"), 3);
}
