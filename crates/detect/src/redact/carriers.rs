//! What people and programs wrote credentials into, and what Kubernetes says about credentials without telling one.

use super::{field, object};
use serde_json::{Value, json};
use std::borrow::Cow;

/// A credential that must not survive.
const CANARY: &str = "Zq7Lm2Xv9Kp4Rt8W";
/// One that only its place gives away.
const PLAIN: &str = "hunter2";

fn gone(carriers: &[&str]) {
    for carrier in carriers {
        for secret in [CANARY, PLAIN] {
            let text = carrier.replace("{}", secret);
            let redacted = super::text(&text);
            assert!(!redacted.contains(secret), "{text} -> {redacted}");
            assert_eq!(super::text(&redacted), redacted, "{text}");
        }
    }
}

fn stays(texts: &[&str]) {
    for text in texts {
        assert!(matches!(super::text(text), Cow::Borrowed(_)), "{text}\n{}", super::text(text));
    }
}

#[test]
fn a_flag_with_one_dash_hides_its_value_as_one_with_two() {
    gone(&[
        "server -password {} -port 80",
        "server -token={}",
        "server -db.password={} -v",
        "java -Ddb.password={} -jar a",
    ]);
    stays(&["the -token flag is required", "flag provided but not defined: -password"]);
}

#[test]
fn short_flags_of_well_known_clients_hide_their_values() {
    gone(&[
        "curl -u app:{} https://api.local/x",
        "curl -sS -u 'app:{}' https://api.local/x",
        "curl -su app:{} https://api.local/x",
        "curl --user app:{} https://api.local/x",
        "curl -uapp:{} https://api.local/x",
        "curl --proxy-user app:{} https://api.local/x",
        "wget --user=app --password={} https://api.local/x",
        "redis-cli -h cache -a {} ping",
        "redis-cli --pass {} ping",
        "mysql -uroot -p{} -e 'select 1'",
        "mysqladmin ping -h db -p'{}'",
        "mariadb -p{} shop",
        "mongosh -u root -p {} --eval 1",
        "sshpass -p {} ssh host",
        "ldapsearch -x -w {} -b dc=x",
        "psql \"host=db user=app password={}\"",
        "PGPASSWORD={} psql -h db",
        "docker login -u app -p {} registry.local",
        "cd /tmp && redis-cli -a {} ping",
    ]);
    stays(&[
        "curl -u app https://api.local/x",
        "redis-cli -p 6379 ping",
        "psql -h db -p 5432 -U app",
        "mysql -h db -P 3306 -u app",
        "mkdir -p /var/lib/data",
        "tar -a -cf x",
        "ssh -p 2222 host",
        "curl -p http://proxy",
    ]);
}

#[test]
fn short_flags_hide_their_values_in_lists_of_arguments_too() {
    for command in [
        json!(["redis-cli", "-a", CANARY, "ping"]),
        json!(["/usr/bin/redis-cli", "-h", "x", "-a", PLAIN]),
        json!(["curl", "-u", format!("app:{CANARY}"), "https://x"]),
        json!(["mysql", "-uroot", format!("-p{PLAIN}")]),
        json!(["server", "-password", PLAIN]),
        json!(["server", "-token", PLAIN]),
        json!(["mongosh", "-u", "root", "-p", PLAIN]),
        json!(["sh", "-c", format!("exec redis-cli -a {PLAIN} ping")]),
    ] {
        let mut whole = json!({"command": command});
        object(&mut whole);
        assert!(!whole.to_string().contains(CANARY) && !whole.to_string().contains(PLAIN), "{whole}");
        let mut items: Vec<String> =
            command.as_array().unwrap().iter().map(|item| item.as_str().unwrap().to_owned()).collect();
        super::arguments(&mut items);
        assert_eq!(json!(items), whole["command"], "both readings of an object say the same");
    }
    let command = json!(["redis-cli", "-p", "6379", "ping"]);
    let mut whole = json!({"command": command});
    object(&mut whole);
    assert_eq!(whole["command"], command);
}

#[test]
fn names_of_variables_in_every_order_hide_their_values() {
    for name in [
        "API_KEY_PROD",
        "DB_PW",
        "PGPASSWORD",
        "SENTRY_DSN",
        "DATABASE_DSN",
        "TOKEN_PROD",
        "PASSWORD_2",
        "MYSQL_ROOT_PW",
        "APIKEY_STAGING",
        "ACCESS_KEY_OLD",
        "GITHUB_PAT",
        "DB_PASS_RO",
        "LDAP_BIND_PW",
        "CLIENT_SECRET_V2",
        "REDISCLI_AUTH",
        "SLACK_WEBHOOK",
        "SLACK_WEBHOOK_URL",
    ] {
        let mut whole = json!({"env": [{"name": name, "value": PLAIN}]});
        object(&mut whole);
        assert!(!whole.to_string().contains(PLAIN), "{whole}");
    }
    for name in [
        "KEY_COUNT",
        "TOKEN_URL",
        "PASSWORD_FILE",
        "PATH",
        "PWD_DIR",
        "PATTERN",
        "KEYCLOAK_HOST",
        "KEY_PREFIX_PROD",
        "PASSIVE_MODE",
        "PARTITION_KEY_NAME",
    ] {
        let mut whole = json!({"env": [{"name": name, "value": PLAIN}]});
        object(&mut whole);
        assert_eq!(whole["env"][0]["value"], PLAIN, "{name}");
    }
    gone(&[
        "API_KEY_PROD={} run",
        "export DB_PW={}",
        "TOKEN_PROD={}",
        "DB_PW: {}",
        "{\"db_pw\": \"{}\"}",
        "APIKEY_STAGING={}",
    ]);
}

#[test]
fn tokens_are_known_by_their_shape() {
    for token in [
        "ghp_0123456789abcdefghijABCDEFGHIJ012345",
        "gho_0123456789abcdefghijABCDEFGHIJ012345",
        "github_pat_11ABCDEFG0123456789_abcdefghij",
        "glpat-abcdefghij0123456789",
        "glrt-abcdefghij0123456789",
        "gldt-abcdefghij0123456789",
        "xoxb-123456789012-abcdefghijkl",
        "xapp-1-A0123456789-1234567890123-abcdef",
        "AKIAIOSFODNN7EXAMPLE",
        "ASIAIOSFODNN7EXAMPLE",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N",
        "sk_live_0123456789abcdefghijABCD",
        "sk_test_0123456789abcdefghijABCD",
        "rk_live_0123456789abcdefghijABCD",
        "whsec_0123456789abcdefghijABCD",
        "AIzaSyA0123456789abcdefghijABCDEFGHIJ01",
        "npm_0123456789abcdefghijABCDEFGHIJ012345",
        "pypi-AgEIcHlwaS5vcmcCJDAxMjM0NTY3ODkw",
        "SG.0123456789abcdefghij.0123456789abcdefghijABCDEFGHIJ0123456789abc",
        "sk-ant-api03-0123456789abcdefghijABCDEFGHIJ",
        "sk-proj-0123456789abcdefghijABCDEFGHIJ0123",
        "dop_v1_0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        "hvs.CAESIJ0123456789abcdefghij",
        "hvb.AAAAAQJ0123456789abcdefghij",
        "ya29.a0AfH6SMBx0123456789abcdefghij",
        "shpat_0123456789abcdef0123456789abcdef",
        "glsa_0123456789abcdefghijABCDEFGHIJ01_01234567",
        "hf_0123456789abcdefghijABCDEFGHIJ0123",
        "AGE-SECRET-KEY-1QQQSYQ0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
    ] {
        for carrier in ["{}", "got {} back", "x=\"{}\",", "/{}/"] {
            let text = carrier.replace("{}", token);
            let redacted = super::text(&text);
            assert!(!redacted.contains(token), "{redacted}");
            assert_eq!(redacted, carrier.replace("{}", "[redacted]"), "nothing but the token goes");
        }
    }
    stays(&[
        "sk-web-7d9f8c6b5d-x2k4q",
        "hf_count 3",
        "npm_config_cache",
        "SG.x",
        "pypi-mirror-7d9f8c6b5d-x2k4q",
        "xapp-1",
    ]);
}

#[test]
fn addresses_that_are_credentials_lose_what_makes_them_so() {
    gone(&[
        "https://hooks.slack.com/services/T00000000/B00000000/{}",
        "post https://hooks.slack.com/workflows/T0/A0/1/{} failed",
        "https://discord.com/api/webhooks/123456789012345678/{}",
        "https://discordapp.com/api/webhooks/123456789012345678/{}?wait=true",
        "https://acme.webhook.office.com/webhookb2/{}/IncomingWebhook/x/y",
        "https://api.telegram.org/bot123456:{}/sendMessage",
        "https://blob.local/c/f?sv=2020&sig={}&se=1",
        "https://x.local/?token={}",
        "https://x.local/?access_token={}&x=1",
        "https://s3.local/b/k?X-Amz-Signature={}&X-Amz-Date=1",
        "https://x.local/?apikey={}",
        "https://x.local/?code={}&state=ok",
    ]);
    stays(&["https://hooks.slack.com/services", "https://discord.com/api/webhooks", "https://api.telegram.org/"]);
}

#[test]
fn data_sources_of_go_lose_their_passwords_with_and_without_a_protocol() {
    gone(&[
        "app:{}@tcp(db:3306)/shop",
        "app:{}@unix(/tmp/mysql.sock)/shop",
        "app:{}@tcp6([::1]:3306)/shop",
        "app:{}@/shop",
        "dsn app:{}@/shop?parseTime=true",
        "open \"app:{}@(db:3306)/shop\"",
        "app:{}@cloudsql(p:r:i)/shop",
    ]);
    stays(&[
        "registry.local/shop:v1@sha256:9f86d081884c7d65",
        "see docs:usage @/etc",
        "git@github.com:org/repo",
        "10:15:02 mail from a@b/c",
    ]);
}

#[test]
fn blocks_within_blocks_are_read_to_the_bottom() {
    let inner = json!({"db": {"password": CANARY, "host": "db"}});
    let once = inner.to_string();
    let twice = json!({"config": once}).to_string();
    let thrice = json!({"outer": twice}).to_string();
    for value in [once, twice, thrice] {
        for carrier in [
            json!({"kind": "ConfigMap", "data": {"app.json": value}}),
            json!({"kind": "Pod", "metadata": {"annotations": {"example.org/config": value}}}),
            json!({"kind": "Pod", "metadata": {"annotations": {
                (reckon_model::object::LAST_APPLIED): json!({"kind": "ConfigMap", "data": {"app.json": value}}).to_string()}}}),
        ] {
            let mut carrier = carrier;
            object(&mut carrier);
            assert!(!carrier.to_string().contains(CANARY), "{carrier}");
            let first = carrier.clone();
            object(&mut carrier);
            assert_eq!(carrier, first, "what is redacted once stays");
        }
    }
    for yaml in [
        format!("db:\n  password: {CANARY}\n"),
        format!("db:\n  password: >-\n    {CANARY}\n  host: db\n"),
        format!("db:\n  password: |\n    {CANARY}\n    {PLAIN}\n  host: db\n"),
        format!("db:\n  password:\n    {CANARY}\n  host: db\n"),
        format!("tokens:\n  - {CANARY}\n  - name: x\n"),
        format!("env:\n  - name: DB_PASSWORD\n    value: {CANARY}\n"),
        format!("env:\n  - name: DB_PASSWORD\n    value: \"{PLAIN}\"\n  - name: LEVEL\n    value: debug\n"),
        format!("apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\nstringData:\n  user: {CANARY}\n"),
    ] {
        let mut config = json!({"kind": "ConfigMap", "data": {"app.yaml": yaml}});
        object(&mut config);
        let text = config["data"]["app.yaml"].as_str().unwrap();
        assert!(!text.contains(CANARY) && !text.contains(PLAIN), "{text}");
        for keeps in ["host: db", "name: LEVEL", "value: debug", "name: x"] {
            assert!(!yaml.contains(keeps) || text.contains(keeps), "{keeps} is gone: {text}");
        }
    }
    let mut annotation =
        json!({"env": [{"name": "DB_PASSWORD", "value": PLAIN}, {"name": "LEVEL", "value": "debug"}]}).to_string();
    field("example.org/sidecar", &mut annotation);
    let read: Value = serde_json::from_str(&annotation).unwrap();
    assert_eq!(read["env"][0]["value"], "[redacted]");
    assert_eq!(read["env"][1]["value"], "debug");
}

#[test]
fn key_files_go_whole_however_they_are_written() {
    gone(&[
        "-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\\n{}\\n-----END PRIVATE KEY-----\\n",
        "-----BEGIN OPENSSH PRIVATE KEY-----\n{}",
        "-----BEGIN EC PRIVATE KEY----- {} -----END EC PRIVATE KEY-----",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\n{}\n",
        "-----BEGIN PGP PRIVATE KEY BLOCK-----\n{}\n-----END PGP PRIVATE KEY BLOCK-----",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----",
    ]);
    stays(&["tls: failed to find any PEM data in key input", "-----BEGIN PUBLIC KEY-----"]);
}

#[test]
fn standard_sentences_of_kubernetes_stay_as_they_are() {
    stays(&[
        r#"secret "db-password" not found"#,
        r#"secrets "db-password" not found"#,
        r#"Error: secret "db-password" not found"#,
        r#"configmap "token-config" not found"#,
        r#"couldn't find key password in Secret shop/db"#,
        r#"Error: couldn't find key api-token in ConfigMap shop/settings"#,
        r#"MountVolume.SetUp failed for volume "token" : secret "token" not found"#,
        r#"MountVolume.SetUp failed for volume "db" : references non-existent secret key: password"#,
        r#"MountVolume.SetUp failed for volume "db" : references non-existent secret key: tls.key"#,
        r#"MountVolume.SetUp failed for volume "kube-api-access-x2k4q" : failed to fetch token: serviceaccounts "app" not found"#,
        r#"MountVolume.SetUp failed for volume "kube-api-access-abcde" : failed to fetch token: pod "web" not found"#,
        r#"MountVolume.SetUp failed for volume "creds" : failed to sync secret cache: timed out waiting for the condition"#,
        r#"Unable to attach or mount volumes: unmounted volumes=[secret-token], unattached volumes=[secret-token kube-api-access-x]: timed out waiting for the condition"#,
        r#"Unable to attach or mount volumes: unmounted volumes=[db-password db-secret], unattached volumes=[], failed to process volumes=[]: timed out waiting for the condition"#,
        r#"Failed to pull image "registry.local/token:v1": rpc error: code = Unknown desc = failed to authorize: failed to fetch oauth token: unexpected status: 401 Unauthorized"#,
        r#"Failed to pull image "registry.local/a": failed to pull and unpack image: failed to resolve reference "registry.local/a": pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed"#,
        r#"failed to fetch anonymous token: unexpected status from GET request to https://auth.docker.io/token?scope=repository%3Ax%3Apull&service=registry.docker.io: 401 Unauthorized"#,
        r#"Unable to retrieve some image pull secrets (registry-token); attempting to pull the image may not succeed."#,
        r#"pods "web-1" is forbidden: error looking up service account shop/token: serviceaccount "token" not found"#,
        r#"failed calling webhook "token.example.org": Post "https://token.shop.svc:443/validate?timeout=10s": no endpoints available for service "token""#,
        r#"Error creating: pods "web-" is forbidden: exceeded quota: secret-quota, requested: secrets=1, used: secrets=5, limited: secrets=5"#,
        r#"secret "registry-credentials" is forbidden: User "system:serviceaccount:shop:app" cannot get resource "secrets" in API group "" in the namespace "shop""#,
        r#"Invalid value: "token": must match spec.volumes[0].name"#,
        r#"failed to generate spec: no password entry for user app"#,
        r#"unable to validate against any security context constraint: provider "auth": Forbidden"#,
        r#"Readiness probe failed: HTTP probe failed with statuscode: 401"#,
        r#"Get "https://10.0.0.1:8443/healthz": x509: certificate signed by unknown authority"#,
        r#"private key does not match public key"#,
        r#"open /etc/tls/tls.key: no such file or directory"#,
        r#"open /run/secrets/password: permission denied"#,
        r#"field spec.template.spec.containers[app].env[DB_PASSWORD].valueFrom.secretKeyRef.key"#,
        r#"secretKeyRef: name: db-credentials key: db-password"#,
        r#"env DB_PASSWORD is required"#,
        r#"panic: environment variable API_KEY is not set"#,
        r#"missing required key: API_TOKEN"#,
        r#"The key password was removed from Secret db at 12:00:00 by kubectl-edit."#,
    ]);
}

/// Done in a moment each, or never: what looks back or ahead from every place does so within bounds.
#[test]
fn hostile_text_is_read_in_time_that_grows_with_its_length() {
    for part in [
        "://",
        "a://b",
        "@/",
        "a:b@/",
        "x@tcp(",
        "data:\n",
        "kind: Secret\ndata:\n",
        "curl -u ",
        "curl",
        "password:\n ",
        "eyJ.",
        "secret ",
        "token=",
        "token: \"",
        "value: ",
        "name: PASSWORD\nvalue: ",
        "-----BEGIN ",
        "-----BEGIN PRIVATE KEY",
        "a/",
        "{",
        "[",
        "Bearer ",
        "cookie: ",
        "https://x/?code=",
    ] {
        let text = part.repeat(25_000 / part.len());
        let _ = super::text(&text);
        let mut value = Value::String(text);
        object(&mut value);
    }
}
