use super::*;

fn found(text: &str) -> Vec<String> {
    in_text(text).iter().map(Address::words).collect()
}

#[test]
fn urls_are_read_with_whoever_logs_in() {
    assert_eq!(found("postgres://app:secret@db:5432/shop?sslmode=disable"), ["db:5432"]);
    assert_eq!(found("DATABASE=jdbc:postgresql://db.data.svc:5433/shop"), ["db.data.svc:5433"]);
    assert_eq!(found("amqp://guest:[redacted]@rabbit//"), ["rabbit:5672"]);
    assert_eq!(found("mongodb://u:p@m-0.m:27017,m-1.m:27018/x?replicaSet=a"), ["m-0.m:27017", "m-1.m:27018"]);
    assert_eq!(found("see http://api.shop.svc.cluster.local./health, please"), ["api.shop.svc.cluster.local:80"]);
    assert_eq!(found("http://[fd00::1]:8080/x"), ["[fd00::1]:8080"]);
    assert_eq!(found(r#"{"url":"https://api:8443"}"#), ["api:8443"]);
}

#[test]
fn hosts_with_ports_and_full_names_are_read_without_a_scheme() {
    assert_eq!(found("kafka-0.kafka:9092,kafka-1.kafka:9092"), ["kafka-0.kafka:9092", "kafka-1.kafka:9092"]);
    assert_eq!(found("app:[redacted]@tcp(mysql:3306)/shop"), ["mysql:3306"]);
    assert_eq!(found("--upstream=api.shop.svc --level=3"), ["api.shop.svc"]);
    assert_eq!(found("connect ECONNREFUSED ::1:5432"), ["[::1]:5432"]);
    assert_eq!(found("dial tcp [::1]:5432: connect"), ["[::1]:5432"]);
    assert_eq!(found("refused: redis/10.96.4.4:6379"), ["10.96.4.4:6379"]);
}

#[test]
fn times_lines_of_files_and_words_are_none() {
    for text in [
        "at 12:30:01",
        "12:30",
        "2026-01-01T11:56:00Z",
        "main.go:42 +0x1d",
        "app.js:10:5",
        "line:12, code:7",
        "1.2.3:80",
        "api:99999",
        "a_b:80",
        "foo::bar",
        "proc::io:3",
        "",
        "://",
        "http://",
        "api",
        "-x:80",
    ] {
        assert!(found(text).is_empty(), "{text}: {:?}", found(text));
    }
}

#[test]
fn a_value_that_is_nothing_else_may_be_a_bare_host() {
    let whole = |text: &str| Address::whole(text).map(|address| address.words());
    assert_eq!(whole("db").as_deref(), Some("db"));
    assert_eq!(whole("db.data").as_deref(), Some("db.data"));
    assert_eq!(whole(" \"db:5432\" ").as_deref(), Some("db:5432"));
    assert_eq!(whole("10.0.0.1").as_deref(), Some("10.0.0.1"));
    assert_eq!(whole("5432"), None);
    assert_eq!(whole("two words"), None);
    assert_eq!(whole("/etc/x"), None);
    assert_eq!(whole("[redacted]"), None);
}

#[test]
fn a_host_is_a_service_of_some_namespace_or_of_the_world() {
    let seen = |host: &str| Address { host: host.to_owned(), port: None, scheme: String::new() }.seen_from("shop");
    let service = |namespace, name| ResourceRef::new(Kind::Service, Some(namespace), name);
    assert_eq!(seen("db"), Host::Service(service("shop", "db")));
    assert_eq!(seen("db.data.svc"), Host::Service(service("data", "db")));
    assert_eq!(seen("db-0.db.data.svc.cluster.local"), Host::Service(service("data", "db")));
    assert_eq!(seen("db.data.svc.my.domain"), Host::Service(service("data", "db")));
    assert_eq!(seen("db.data"), Host::Maybe([service("data", "db"), service("shop", "data")]));
    assert_eq!(seen("api.example.com"), Host::Outside);
    assert_eq!(seen("svc.example.com"), Host::Outside);
    assert_eq!(seen("localhost"), Host::Loopback);
    assert_eq!(seen("::1"), Host::Loopback);
    assert_eq!(seen("10.1.2.3"), Host::Number);
}

#[test]
fn a_megabyte_of_addresses_is_read_in_bounds() {
    let many = (0..100_000).map(|at| format!("s{at}:80 ")).collect::<String>();
    assert_eq!(in_text(&many).len(), MOST);
    let one = format!("http://{}:80", "a".repeat(2 << 20));
    assert!(in_text(&one).is_empty());
    let wide = "ä".repeat(1 << 20);
    assert!(in_text(&wide).is_empty());
    assert!(in_text(&"a:1,".repeat(1 << 18)).len() <= 1);
    assert_eq!(start("äö", 3), "ä");
}

#[test]
fn what_redaction_leaves_still_names_the_place() {
    for (text, left) in [
        ("postgres://app:hunter2@db:5432/shop", "db:5432"),
        ("redis://:hunter2@cache:6379/0", "cache:6379"),
        ("app:hunter2@tcp(mysql:3306)/shop", "mysql:3306"),
        ("amqp://guest:guest@rabbit:5672/", "rabbit:5672"),
        ("mongodb://root:hunter2@mongo:27017/admin", "mongo:27017"),
        ("http://api.shop.svc:8080/v1?token=hunter2", "api.shop.svc:8080"),
    ] {
        let redacted = crate::redact::text(text);
        assert_eq!(found(&redacted), [left], "{redacted}");
    }
}
