//! Who may do what.

use crate::ask::{Sim, start_with};
use reckon_sim::{Config, User};
use serde_json::{Value, json};

fn start() -> Sim {
    let sim = start_with(Config { open: false, controllers: false, ..Config::default() });
    let mut world = sim.server.world();
    world.add_token("jane", User::new("jane", &["dev"]));
    world.add_token("root", User::new("root", &["system:masters"]));
    let role = json!({"metadata": {"name": "reader"}, "rules": [
        {"apiGroups": [""], "resources": ["pods", "pods/log"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["mine"], "verbs": ["get", "list", "update"]},
    ]});
    world.create("roles.rbac.authorization.k8s.io", role).unwrap();
    let binding = json!({
        "metadata": {"name": "reader"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"},
        "subjects": [{"kind": "Group", "name": "dev", "apiGroup": "rbac.authorization.k8s.io"}],
    });
    world.create("rolebindings.rbac.authorization.k8s.io", binding).unwrap();
    drop(world);
    sim
}

fn ask(sim: &Sim, token: &str, request: &str, body: &Value) -> crate::ask::Said {
    sim.ask_as(request, &[("authorization", &format!("Bearer {token}"))], body)
}

#[test]
fn what_is_not_granted_is_forbidden_in_the_servers_words() {
    let sim = start();
    let get = |path: &str| ask(&sim, "jane", &format!("GET {path}"), &Value::Null);
    assert_eq!(get("/api/v1/namespaces/default/pods").code, 200);
    let said = get("/api/v1/pods");
    assert_eq!((said.code, &said.json["reason"]), (403, &json!("Forbidden")));
    assert_eq!(
        said.json["message"],
        r#"pods is forbidden: User "jane" cannot list resource "pods" in API group "" at the cluster scope"#
    );
    let said = get("/apis/apps/v1/namespaces/default/deployments/web");
    assert_eq!(
        said.json["message"],
        r#"deployments.apps "web" is forbidden: User "jane" cannot get resource "deployments" in API group "apps" in the namespace "default""#
    );
    assert_eq!(said.json["details"], json!({"name": "web", "group": "apps", "kind": "deployments"}));
    assert_eq!(get("/api/v1/namespaces/default/configmaps/mine").code, 404);
    assert_eq!(get("/api/v1/namespaces/default/configmaps?fieldSelector=metadata.name%3Dmine").code, 200);
    assert_eq!(get("/api/v1/namespaces/default/configmaps").code, 403);
    assert_eq!(get("/version").code, 200);
    assert_eq!(get("/metrics").json["message"], r#"forbidden: User "jane" cannot get path "/metrics""#);
}

#[test]
fn nobody_and_strangers_are_told_apart() {
    let sim = start();
    assert_eq!(ask(&sim, "stranger", "GET /api", &Value::Null).code, 401);
    let said = sim.get("/api/v1/pods");
    assert_eq!(said.code, 403);
    assert!(said.text.contains("system:anonymous"));
}

#[test]
fn rules_follow_their_bindings_at_once() {
    let sim = start();
    let pods = "GET /api/v1/namespaces/default/pods";
    sim.server.world().remove_now("rolebindings.rbac.authorization.k8s.io", "default", "reader");
    assert_eq!(ask(&sim, "jane", pods, &Value::Null).code, 403);
}

#[test]
fn reviews_say_what_requests_would_get() {
    let sim = start();
    let review = |verb: &str, resource: &str, namespace: &str| {
        let body =
            json!({"spec": {"resourceAttributes": {"verb": verb, "resource": resource, "namespace": namespace}}});
        let said = ask(&sim, "jane", "POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews", &body);
        assert_eq!(said.code, 201, "{}", said.text);
        said.json["status"]["allowed"].as_bool().unwrap()
    };
    assert!(review("list", "pods", "default"));
    assert!(!review("list", "pods", ""));
    assert!(!review("delete", "pods", "default"));
    let body = json!({"spec": {"namespace": "default"}});
    let said = ask(&sim, "jane", "POST /apis/authorization.k8s.io/v1/selfsubjectrulesreviews", &body).json;
    assert!(
        said["status"]["resourceRules"]
            .as_array()
            .unwrap()
            .iter()
            .any(|rule| rule["resources"] == json!(["pods", "pods/log"]))
    );
    let said = ask(&sim, "jane", "POST /apis/authentication.k8s.io/v1/selfsubjectreviews", &json!({})).json;
    assert_eq!(said["status"]["userInfo"]["username"], "jane");
    let about = json!({"spec": {"user": "jane", "groups": ["dev"], "resourceAttributes": {"verb": "get", "resource": "pods", "namespace": "default"}}});
    let path = "POST /apis/authorization.k8s.io/v1/subjectaccessreviews";
    assert_eq!(ask(&sim, "jane", path, &about).code, 403);
    assert_eq!(ask(&sim, "root", path, &about).json["status"]["allowed"], true);
}

#[test]
fn impersonation_needs_a_right_and_then_binds() {
    let sim = start();
    let as_jane = |token: &str| {
        let headers = [
            ("authorization", format!("Bearer {token}")),
            ("impersonate-user", "jane".to_owned()),
            ("impersonate-group", "dev".to_owned()),
        ];
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        [
            sim.ask_as("GET /api/v1/namespaces/default/pods", &headers, &Value::Null).code,
            sim.ask_as("GET /api/v1/pods", &headers, &Value::Null).code,
        ]
    };
    assert_eq!(as_jane("root"), [200, 403]);
    assert_eq!(as_jane("jane"), [403, 403]);
}

#[test]
fn a_service_account_gets_a_token_for_a_while() {
    let sim = start();
    sim.server.world().create("serviceaccounts", json!({"metadata": {"name": "agent"}})).unwrap();
    let path = "POST /api/v1/namespaces/default/serviceaccounts/agent/token";
    let made = ask(&sim, "root", path, &json!({"spec": {"expirationSeconds": 600}}));
    assert_eq!((made.code, &made.json["status"]["expirationTimestamp"]), (201, &json!("2026-01-01T00:10:00Z")));
    let token = made.json["status"]["token"].as_str().unwrap();
    let me = || ask(&sim, token, "POST /apis/authentication.k8s.io/v1/selfsubjectreviews", &json!({}));
    assert_eq!(me().json["status"]["userInfo"]["username"], "system:serviceaccount:default:agent");
    sim.advance(600);
    assert_eq!(me().code, 401);
    assert_eq!(ask(&sim, "root", path, &json!({"spec": {"expirationSeconds": 5}})).code, 422);
}

#[test]
fn a_rotated_token_is_good_for_a_moment_and_a_revoked_one_leaves_its_watch_open() {
    let sim = start();
    let pods = "GET /api/v1/namespaces/default/pods";
    let until = sim.server.clock().now().checked_add(jiff::SignedDuration::from_secs(10)).unwrap();
    sim.server.world().rotate_token("jane", "new", until);
    assert_eq!([ask(&sim, "jane", pods, &Value::Null).code, ask(&sim, "new", pods, &Value::Null).code], [200, 200]);
    sim.advance(10);
    assert_eq!([ask(&sim, "jane", pods, &Value::Null).code, ask(&sim, "new", pods, &Value::Null).code], [401, 200]);
    let answer = sim.send(&format!("{pods}?watch=1"), &[("authorization", "Bearer new")], "").unwrap();
    sim.server.world().revoke_token("new");
    assert_eq!(ask(&sim, "new", pods, &Value::Null).code, 401);
    let pod = json!({"metadata": {"name": "p"}, "spec": {"containers": []}});
    sim.server.world().create("pods", pod).unwrap();
    let mut body = answer.into_body();
    let frame = futures::FutureExt::now_or_never(http_body_util::BodyExt::frame(&mut body)).unwrap().unwrap().unwrap();
    assert!(frame.data_ref().unwrap().starts_with(br#"{"type":"ADDED""#));
}
