//! What is a secret and what is not.

use super::*;
use crate::intake::Intake;
use proptest::prelude::*;
use reckon_model::Object;
use serde_json::json;

/// A credential that must not survive.
const CANARY: &str = "Zq7Lm2Xv9Kp4Rt8W";

fn survives(text: &str) -> bool {
    super::text(text).contains(CANARY)
}

#[test]
fn credentials_in_text_go_and_the_rest_stays() {
    for (text, expected) in [
        ("postgres://app:hunter2@db:5432/shop", "postgres://app:[redacted]@db:5432/shop"),
        ("redis://:p@ss@cache:6379 refused", "redis://:[redacted]@cache:6379 refused"),
        ("amqp://u:p/x@mq/ lost", "amqp://u:[redacted]@mq/ lost"),
        ("shop:hunter2@tcp(db:3306)/shop", "shop:[redacted]@tcp(db:3306)/shop"),
        ("connect password=hunter2 user=app", "connect password=[redacted] user=app"),
        ("Server=db;Pwd=hunter2;Database=x", "Server=db;Pwd=[redacted];Database=x"),
        ("GET /x?token=abc&page=2", "GET /x?token=[redacted]&page=2"),
        (r#"{"user":"app","password":"hun,ter 2"}"#, r#"{"user":"app","password":"[redacted]"}"#),
        (r#"msg="{\"api_key\":\"abc\"}""#, r#"msg="{\"api_key\":\"[redacted]\"}""#),
        ("token: abc123", "token: [redacted]"),
        ("password: hunter2 user: app", "password: [redacted] user: app"),
        ("Authorization: Bearer abc.def", "Authorization: [redacted]"),
        ("sent Bearer 0123456789abcdef", "sent Bearer [redacted]"),
        ("--db-password hunter2 --port 80", "--db-password [redacted] --port 80"),
        ("<password>hunter2</password>", "<password>[redacted]</password>"),
        ("key AKIAIOSFODNN7EXAMPLE used", "key [redacted] used"),
        ("push ghp_0123456789abcdefghij done", "push [redacted] done"),
        ("hook xoxb-1234567890-abcdef", "hook [redacted]"),
        ("jwt eyJhbGciOiJI.eyJzdWIiOiIx.c2lnbmF0 ok", "jwt [redacted] ok"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\nok", "[redacted]\nok"),
        ("-----BEGIN PRIVATE KEY-----\nMIIE", "[redacted]"),
        ("the secret key is wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "the secret key is [redacted]"),
    ] {
        assert_eq!(super::text(text), expected);
    }
}

#[test]
fn ordinary_text_stays() {
    for text in [
        r#"couldn't find key password in Secret shop/db"#,
        r#"key "password" not found"#,
        r#"secret "db-credentials" not found"#,
        r#"MountVolume.SetUp failed for volume "db" : references non-existent secret key: password"#,
        "registry.local/shop@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "pod checkout-7d9f8c6b5d-x2k4q uid 0f8fad5b-d9cb-469f-a165-70867728950e resourceVersion 84231907",
        "Access denied for user 'app'@'10.0.0.7' (using password: YES)",
        "FATAL: password authentication failed for user \"app\"",
        "failed to authorize: failed to fetch oauth token: unexpected status from GET request to https://auth.docker.io/token?scope=x: 401 Unauthorized",
        "failed to fetch anonymous token: Get \"https://registry.local/v2/\": dial tcp 10.0.0.1:443: i/o timeout",
        "no basic auth credentials",
        "error looking up service account shop/app: serviceaccount \"app\" not found",
        "FailedToRetrieveImagePullSecret Unable to retrieve some image pull secrets (registry-token); attempting to pull the image may not succeed.",
        "level=info msg=\"max_tokens=4096 total_tokens: 12\"",
        "checksum/secret: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "-----BEGIN CERTIFICATE-----",
        "git clone ssh://git@github.com/shop/app failed",
        "https://kubernetes.default.svc:443/api?timeout=5s",
        "panic: runtime error: invalid memory address",
        "secretName: db-credentials",
        "authorization mode is RBAC",
    ] {
        assert!(matches!(super::text(text), Cow::Borrowed(_)), "{text}\n{}", super::text(text));
    }
}

#[test]
fn a_canary_survives_in_no_carrier() {
    for carrier in [
        "postgres://u:{}@db/x",
        "https://{}@sentry.local/1",
        "password={}",
        "DB_PASSWORD={} run",
        "token: {}",
        "\"client_secret\": \"{}\"",
        "Authorization: Basic {}",
        "x-api-key: {}",
        "Cookie: session={}; other=1",
        "--token {}",
        "--password={}",
        "aws_secret_access_key = {}",
        "secret={},",
        "pwd={};",
        "(password={})",
        "[token={}]",
        "Bearer {}",
    ] {
        let text = carrier.replace("{}", CANARY);
        assert!(!survives(&text), "{text} -> {}", super::text(&text));
    }
}

#[test]
fn objects_keep_their_shape_and_lose_their_secrets() {
    let applied = json!({"kind": "Deployment", "spec": {"template": {"spec": {"containers": [
        {"name": "app", "env": [{"name": "DB_PASSWORD", "value": CANARY}]}]}}}});
    let mut deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "app", "annotations": {
            (reckon_model::object::LAST_APPLIED): applied.to_string(), "checksum/secret": "9f86d081", "example.org/token": CANARY,
        }, "managedFields": [{"manager": "m", "fieldsV1": {"f:spec": {"k:{\"name\":\"DB_PASSWORD\"}": {}}}}]},
        "spec": {"template": {"spec": {"containers": [{
            "name": "app", "image": "shop@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "args": ["--password", CANARY, format!("--token={CANARY}"), "--port", "80"],
            "env": [
                {"name": "STRIPE_KEY", "value": CANARY},
                {"name": "DATABASE_URL", "value": format!("postgres://u:{CANARY}@db/x")},
                {"name": "LOG_LEVEL", "value": "debug"},
                {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}},
            ],
            "livenessProbe": {"httpGet": {"path": format!("/live?token={CANARY}"), "port": 80}},
        }]}}},
        "status": {"conditions": [{"type": "X", "status": "True", "message": format!("password={CANARY}")}]},
    });
    let before = deployment.clone();
    let decoded = Object::decode(deployment.to_string().as_bytes(), None).unwrap();
    object(&mut deployment);
    let decoded = Intake::default().take(decoded, None);
    assert!(!deployment.to_string().contains(CANARY), "{deployment:#}");
    assert!(!format!("{decoded:?}").contains(CANARY), "{decoded:#?}");
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["env"][2]["value"], "debug");
    assert_eq!(container["env"][3], before["spec"]["template"]["spec"]["containers"][0]["env"][3]);
    assert_eq!(container["env"][1]["value"], "postgres://u:[redacted]@db/x");
    assert_eq!(container["args"], json!(["--password", "[redacted]", "--token=[redacted]", "--port", "80"]));
    assert_eq!(container["image"], before["spec"]["template"]["spec"]["containers"][0]["image"]);
    assert_eq!(deployment["metadata"]["annotations"]["checksum/secret"], "9f86d081");
    assert_eq!(deployment["metadata"]["managedFields"], before["metadata"]["managedFields"]);
    assert_eq!(
        decoded.last_applied().unwrap()["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"],
        REDACTED
    );
}

#[test]
fn secrets_keep_the_names_of_their_keys() {
    let mut secret = json!({"kind": "Secret", "metadata": {"name": "db", "annotations": {
        (reckon_model::object::LAST_APPLIED): json!({"kind": "Secret", "stringData": {"password": CANARY}}).to_string()}},
        "data": {"password": CANARY, "user": CANARY}, "stringData": {"x": CANARY}});
    object(&mut secret);
    assert!(!secret.to_string().contains(CANARY), "{secret}");
    assert_eq!(secret["data"], json!({"password": null, "user": null}));
    let mut config = json!({"kind": "ConfigMap", "data": {
        "DB_PASSWORD": CANARY, "app.yaml": format!("db:\n  password: {CANARY}\n  host: db\n"), "level": "info"}});
    object(&mut config);
    assert!(!config.to_string().contains(CANARY), "{config}");
    assert_eq!(config["data"]["app.yaml"], "db:\n  password: [redacted]\n  host: db\n");
    assert_eq!(config["data"]["level"], "info");
}

#[test]
fn a_pods_own_words_are_redacted_too() {
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "shop",
            "annotations": {"note": format!("token={CANARY}")}},
        "spec": {"containers": [{"name": "app", "command": ["sh", "-c", format!("run --token {CANARY}")],
            "env": [{"name": "TOKEN", "value": CANARY}],
            "readinessProbe": {"exec": {"command": ["check", "--password", CANARY]}}}]},
        "status": {"message": format!("password={CANARY}"),
            "conditions": [{"type": "Ready", "status": "False", "message": format!("https://u:{CANARY}@h/")}],
            "containerStatuses": [{"name": "app",
                "state": {"waiting": {"reason": "X", "message": format!("secret={CANARY}")}},
                "lastState": {"terminated": {"exitCode": 1, "message": format!("Bearer {CANARY}")}}}]}});
    let pod = Object::decode_whole(pod.to_string().as_bytes(), None).unwrap();
    let pod = Intake::default().take(pod, None);
    assert!(!format!("{pod:?}").contains(CANARY), "{pod:#?}");
    let event = json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": "e", "namespace": "shop"},
        "involvedObject": {"kind": "Pod", "name": "p"}, "reason": "Failed", "message": format!("token={CANARY}")});
    let event = Object::decode(event.to_string().as_bytes(), None).unwrap();
    let event = Intake::default().take(event, None);
    assert!(!format!("{event:?}").contains(CANARY));
}

/// Text with everything that patterns look at.
fn hostile() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        Just("password".to_owned()),
        Just("--token".to_owned()),
        Just("secret".to_owned()),
        Just("Authorization".to_owned()),
        Just("Bearer".to_owned()),
        Just("api_key".to_owned()),
        Just("auth".to_owned()),
        Just("key".to_owned()),
        Just("://".to_owned()),
        Just("@tcp(".to_owned()),
        Just("-----BEGIN PRIVATE KEY-----".to_owned()),
        Just("-----END PRIVATE KEY-----".to_owned()),
        Just("eyJhbGciOi.eyJzdWIiOi".to_owned()),
        Just("AKIAIOSFODNN7EXAMPLE".to_owned()),
        Just(REDACTED.to_owned()),
        Just(CANARY.to_owned()),
        "[ =:\"'\\\\,;&@/<>\\[\\]\n-]{1,2}",
        "[a-zA-Z0-9äß€]{1,8}",
        any::<String>(),
    ];
    prop::collection::vec(part, 0..9).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn what_is_redacted_once_is_redacted(text in hostile()) {
        let once = super::text(&text).into_owned();
        let twice = super::text(&once).into_owned();
        prop_assert_eq!(twice, once, "{:?}", text);
    }

    #[test]
    fn any_text_is_read_without_panic(text in any::<String>()) {
        let _ = super::text(&text);
    }

    #[test]
    fn a_value_behind_a_secret_name_never_survives(
        name in "(password|db_password|API_KEY|clientSecret|access-token)",
        separator in "(=|: |\": \"|=\")",
        value in "[A-Za-z][A-Za-z0-9!#%+/_-]{6,20}[0-9]",
        before in "[a-z ]{0,8}",
    ) {
        let text = format!("{before} {name}{separator}{value}\" and more");
        prop_assert!(!super::text(&text).contains(&value), "{}", super::text(&text));
    }
}
