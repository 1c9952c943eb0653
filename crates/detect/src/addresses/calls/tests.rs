//! Who calls whom.

use super::*;
use crate::State;
use reckon_model::{ClusterId, Timestamp};
use serde_json::json;

fn state(objects: &[Value]) -> State {
    let mut state = State::new(ClusterId("test".into()));
    for kind in Kind::named() {
        state.cover(kind, None);
    }
    for object in objects {
        state.apply(Object::decode(object.to_string().as_bytes(), None).unwrap());
    }
    state
}

fn workload(name: &str, namespace: &str, container: &Value) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": namespace},
        "spec": {"template": {"spec": {"containers": [container],
            "volumes": [{"name": "conf", "configMap": {"name": "conf"}}]}}}})
}

fn service(name: &str, namespace: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": namespace}, "spec": {}})
}

#[test]
fn callers_and_callees_are_two_sides_of_one_address() {
    let state = state(&[
        service("db", "shop"),
        service("api", "shop"),
        service("cache", "shop"),
        workload(
            "by-env",
            "shop",
            &json!({"name": "app", "env": [{"name": "DB_HOST", "value": "db"}, {"name": "DB_PORT", "value": "5432"}]}),
        ),
        workload(
            "by-words",
            "other",
            &json!({"name": "app", "args": ["--db=postgres://u:p@db.shop:5432/x", "--mode=api"]}),
        ),
        workload("by-map", "shop", &json!({"name": "app", "volumeMounts": [{"name": "conf", "mountPath": "/c"}]})),
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "conf", "namespace": "shop"},
            "data": {"app.yaml": "mode: api\ncache:\n  host: cache\nupstream: http://db.shop.svc.cluster.local:80/\n"}}),
        workload("nobody", "shop", &json!({"name": "app", "env": [{"name": "MODE", "value": "db"}]})),
    ]);
    let view = View::new(&state, Timestamp::UNIX_EPOCH);
    let reference = |name: &str| ResourceRef::new(Kind::Service, Some("shop"), name);
    let of: BTreeSet<ResourceRef> = ["db", "api", "cache"].map(reference).into();
    let mut read = Read::default();
    let callers = read.callers(&view, &of);
    let names = |service: &str| -> Vec<&str> {
        callers.get(&reference(service)).into_iter().flatten().map(|caller| caller.meta.name.as_str()).collect()
    };
    assert_eq!(names("db"), ["by-words", "by-env", "by-map"]);
    assert_eq!(names("cache"), ["by-map"]);
    assert!(names("api").is_empty(), "a mode is no host");
    let by_env = view.look_up(&ResourceRef::new(Kind::Deployment, Some("shop"), "by-env")).found().unwrap();
    let calls = named_by(&view, &by_env.workload().unwrap().spec.template.spec, "shop");
    assert_eq!(calls.len(), 1);
    assert_eq!((calls[0].service.name.as_str(), calls[0].address.port), ("db", Some(5432)));
    assert_eq!(calls[0].written, Written::Env("app".into(), "DB_HOST".into()));
    assert!(read.callers(&view, &BTreeSet::new()).is_empty());
    assert_eq!(read.callers(&view, &of).len(), 2, "what was read is kept");
}

#[test]
fn what_was_read_is_read_again_when_it_changed_and_goes_with_its_object() {
    let map = |host: &str| {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "conf", "namespace": "shop"},
            "data": {"host": host}})
    };
    let object = |value: &Value| Object::decode(value.to_string().as_bytes(), None).unwrap();
    let mounts = json!({"name": "app", "volumeMounts": [{"name": "conf", "mountPath": "/c"}]});
    let mut state =
        state(&[service("db", "shop"), service("api", "shop"), workload("web", "shop", &mounts), map("db")]);
    let mut read = Read::default();
    let of: BTreeSet<ResourceRef> =
        ["db", "api"].map(|name| ResourceRef::new(Kind::Service, Some("shop"), name)).into();
    let called = |read: &mut Read, state: &State| -> Vec<String> {
        let view = View::new(state, Timestamp::UNIX_EPOCH);
        read.callers(&view, &of).keys().map(|service| service.name.clone()).collect()
    };
    assert_eq!(called(&mut read, &state), ["db"]);
    state.apply(object(&map("api")));
    read.forget(&object(&map("api")));
    assert_eq!(called(&mut read, &state), ["api"]);
    let plain = workload("web", "shop", &json!({"name": "app", "args": ["--host=db"]}));
    state.apply(object(&plain));
    read.forget(&object(&plain));
    assert_eq!(called(&mut read, &state), ["db"]);
    state.delete(&ResourceRef::new(Kind::Deployment, Some("shop"), "web"), Timestamp::UNIX_EPOCH);
    assert!(called(&mut read, &state).is_empty());
    assert!(read.templates.is_empty() && read.maps.is_empty());
}

#[test]
fn every_sort_of_workload_may_call_and_a_cron_jobs_jobs_are_its_own() {
    let spec = json!({"containers": [{"name": "app", "env": [{"name": "DB_HOST", "value": "db"}]}]});
    let of_kind = |version: &str, kind: &str, name: &str| {
        json!({"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": "shop"},
            "spec": {"template": {"spec": spec}}})
    };
    let mut owned = of_kind("batch/v1", "Job", "nightly-1");
    owned["metadata"]["ownerReferences"] =
        json!([{"apiVersion": "batch/v1", "kind": "CronJob", "name": "nightly", "uid": "n", "controller": true}]);
    let state = state(&[
        service("db", "shop"),
        of_kind("apps/v1", "StatefulSet", "set"),
        of_kind("apps/v1", "DaemonSet", "agent"),
        of_kind("batch/v1", "Job", "once"),
        owned,
        json!({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "nightly", "namespace": "shop"},
            "spec": {"jobTemplate": {"spec": {"template": {"spec": spec}}}}}),
    ]);
    let view = View::new(&state, Timestamp::UNIX_EPOCH);
    let db = ResourceRef::new(Kind::Service, Some("shop"), "db");
    let callers = Read::default().callers(&view, &[db.clone()].into());
    let names: Vec<&str> = callers[&db].iter().map(|caller| caller.meta.name.as_str()).collect();
    assert_eq!(names, ["set", "agent", "nightly", "once"]);
}

#[test]
fn a_megabyte_of_addresses_in_a_map_is_read_in_bounds() {
    let data: String = (0..60_000).map(|at| format!("host: s{at}\n")).collect();
    assert!(in_data("app.yaml", &data).len() <= super::super::MOST);
    let data: String = (0..60_000).map(|at| format!("http://s{at}:80/\n")).collect();
    assert!(in_data("app.yaml", &data).len() <= super::super::MOST);
}
