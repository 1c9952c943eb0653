//! Servers that send too much, without an end, or what nobody asked for: one kind has an error that names it, memory stays
//! within its bound and everything else goes on. Once and followed. Run within 128 MiB by `make test`
//! (`scripts/within-memory`).

mod api;
mod hostile;

use api::{Api, Say, a_shop, document, stderr};
use hostile::{Watching, flow, ok, redirected_to};
use serde_json::{Value, json};

const SERVICES: &str = "/api/v1/namespaces/shop/services";

/// Asked once: the killed shop is found whatever the services are, and what is said of them contains this.
fn once(say: Say, code: i32, words: &[&str]) {
    let api = a_shop();
    api.say(SERVICES, say);
    let output = api.run(&["problems", "-o", "json"]);
    assert_eq!(output.status.code(), Some(code), "{}", stderr(&output));
    let answer = document(&output);
    assert_eq!(answer["answer"], "problem");
    assert!(answer["problems"].to_string().contains("checkout"), "{answer}");
    let said = stderr(&output) + &answer["notChecked"].to_string();
    assert!(words.iter().all(|word| said.contains(word)), "{words:?}: {said}");
    assert!(code == 0 || said.contains("service"), "{said}");
}

/// Followed: the list is this and the watches say that; the shop's problem opens, what is said of services contains these
/// words, and what changes afterwards in another kind is still heard.
fn followed(list: Option<Say>, watches: Option<Say>, words: &[&str]) -> Api {
    let api = a_shop();
    if let Some(list) = list {
        api.say(SERVICES, list);
    }
    if let Some(watches) = watches {
        api.say_to_watches(SERVICES, watches);
    }
    let watching = Watching::begin(&api);
    watching.await_out(&["opened", "checkout"]);
    if !words.is_empty() {
        watching.await_err(words);
    }
    watching.lives_on();
    api
}

/// Items of so many bytes each, until there are so many bytes in all.
fn list(item: usize, total: usize) -> Say {
    flow(move |out| {
        ok(out, "application/json")?;
        out.write_all(br#"{"kind":"ServiceList","apiVersion":"v1","metadata":{"resourceVersion":"9"},"items":["#)?;
        let fill = "x".repeat(item);
        for i in 0..total / item.max(100) {
            let comma = if i == 0 { "" } else { "," };
            write!(
                out,
                r#"{comma}{{"metadata":{{"name":"s{i}","namespace":"shop","uid":"u{i}","resourceVersion":"9","annotations":{{"a":"{fill}"}}}},"spec":{{}}}}"#
            )?;
        }
        out.write_all(b"]}")
    })
}

const TWO_GB: usize = 2_000_000_000;

#[test]
fn a_list_of_2_gb_in_large_objects_is_read() {
    once(list(1_000_000, TWO_GB), 0, &[]);
}

#[test]
fn a_list_of_2_gb_in_small_objects_is_cut_off() {
    once(list(1, TWO_GB), 7, &["20000 objects for one page"]);
}

#[test]
fn a_list_of_2_gb_that_is_followed_is_cut_off_and_the_rest_goes_on() {
    followed(Some(list(1, TWO_GB)), None, &["services", "20000 objects for one page"]);
}

/// This, and then the same bytes for ever.
fn endless(begin: &'static str, again: &'static [u8]) -> Say {
    flow(move |out| {
        ok(out, "application/json")?;
        out.write_all(begin.as_bytes())?;
        let block = again.repeat(65_536 / again.len());
        loop {
            out.write_all(&block)?;
        }
    })
}

const ENDLESS_NAME: &str = r#"{"kind":"ServiceList","metadata":{},"items":[{"metadata":{"name":""#;

#[test]
fn an_object_without_an_end_is_given_up() {
    once(endless(ENDLESS_NAME, b"x"), 7, &["has no end"]);
}

#[test]
fn brackets_without_an_end_are_given_up() {
    once(endless(r#"{"kind":"ServiceList","metadata":{},"items":["#, b"[{\"a\":"), 7, &["services"]);
}

#[test]
fn blanks_without_an_end_are_given_up() {
    once(endless("", b" \n"), 7, &["has no end"]);
}

#[test]
fn a_list_without_an_end_that_is_followed_is_given_up() {
    followed(Some(endless(ENDLESS_NAME, b"x")), None, &["services", "has no end"]);
}

#[test]
fn a_line_without_an_end_is_given_up() {
    followed(
        None,
        Some(endless(r#"{"type":"ADDED","object":{"metadata":{"name":""#, b"x")),
        &["services", "has no end"],
    );
}

#[test]
fn errors_without_an_end_are_one_and_make_stale() {
    let error = br#"{"type":"ERROR","object":{"kind":"Status","code":500,"message":"etcd is on fire"}}
"#;
    let api = followed(None, Some(endless("", error)), &["services: stale", "etcd is on fire"]);
    assert!(hostile::asked(&api, SERVICES) < 60, "a storm of {} requests", hostile::asked(&api, SERVICES));
    let refusal = || {
        flow(|out| {
            out.write_all(b"HTTP/1.1 500 X\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n")?;
            loop {
                out.write_all(&[b'e'; 65_536])?;
            }
        })
    };
    once(refusal(), 7, &["500"]);
    followed(Some(refusal()), None, &["services", "500"]);
}

#[test]
fn wrong_types_cost_what_they_are_in() {
    let wrong = [
        json!({"kind": "ServiceList", "metadata": {"resourceVersion": "9"}, "items": {"a": 1}}),
        json!({"kind": "ServiceList", "metadata": {"resourceVersion": "9"}, "items": 7}),
        json!({"kind": "ServiceList", "metadata": "x", "items": [{"metadata": {"name": "a", "namespace": "shop"}}]}),
        json!({"kind": "ServiceList", "metadata": {"resourceVersion": 9, "continue": 4}, "items": []}),
        json!({"kind": "ServiceList", "metadata": {}, "items": [7, "x", null, [], {"metadata": 3}, {"metadata": {"name": ["a"]}}]}),
        json!([]),
        json!("list"),
    ];
    for list in wrong {
        once(Say::Json(list.clone()), 7, &[]);
        followed(Some(Say::Json(list)), None, &["service"]);
    }
}

/// These lines, and then silence.
fn lines(lines: &[Value]) -> Say {
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    flow(move |out| {
        ok(out, "application/json")?;
        out.write_all(text.as_bytes())?;
        out.flush()?;
        std::thread::sleep(std::time::Duration::from_secs(60));
        Ok(())
    })
}

#[test]
fn wrong_types_in_a_watch_cost_their_line() {
    let wrong = [
        json!(7),
        json!({"type": 7, "object": {}}),
        json!({"type": "ADDED"}),
        json!({"type": "ADDED", "object": "x"}),
        json!({"type": "ADDED", "object": {"metadata": {"name": "bad", "namespace": "shop"}, "spec": "hunter2"}}),
        json!({"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": 7}}}),
        json!({"type": "DELETED", "object": {"metadata": []}}),
        json!({"type": "EXPLODED", "object": {"metadata": {}}}),
        json!({"type": "ERROR", "object": []}),
    ];
    followed(None, Some(lines(&wrong[..8])), &["one service was left out", "service bad"]);
    followed(None, Some(lines(&wrong)), &["one service was left out"]);
}

#[test]
fn objects_of_unknown_kinds_do_no_harm() {
    let odd = |name: &str| json!({"kind": "Teapot", "apiVersion": "tea.test/v9", "metadata": {"name": name, "namespace": "shop", "uid": name, "resourceVersion": "10"}});
    let list = json!({"kind": "TeapotList", "apiVersion": "tea.test/v9", "metadata": {"resourceVersion": "9"}, "items": [odd("a"), odd("b")]});
    once(Say::Json(list.clone()), 0, &[]);
    followed(Some(Say::Json(list)), Some(lines(&[json!({"type": "ADDED", "object": odd("c")})])), &[]);
}

#[test]
fn versions_that_are_no_numbers_are_taken_as_they_are() {
    let service = |name: &str, version: &str| json!({"metadata": {"name": name, "namespace": "shop", "uid": name, "resourceVersion": version}, "spec": {}});
    for version in ["abc", "", "-1", "1e9", "99999999999999999999999999", "\u{1b}[31m"] {
        let list =
            json!({"kind": "ServiceList", "metadata": {"resourceVersion": version}, "items": [service("a", version)]});
        once(Say::Json(list.clone()), 0, &[]);
        let change = json!({"type": "MODIFIED", "object": service("a", "xyz")});
        let bookmark = json!({"type": "BOOKMARK", "object": service("", "zzz")});
        followed(Some(Say::Json(list)), Some(lines(&[change, bookmark])), &[]);
    }
}

#[test]
fn a_redirect_is_not_followed() {
    let other = Api::new();
    let to = redirected_to(&other);
    once(to.clone(), 7, &["302"]);
    followed(Some(to.clone()), None, &["services", "302"]);
    followed(None, Some(to), &["services", "302"]);
    assert!(other.asked.lock().unwrap().is_empty(), "the token was carried elsewhere");
}

#[test]
fn a_gzip_bomb_is_not_unpacked() {
    let bomb = hostile::bomb();
    let say = flow(move |out| {
        out.write_all(
            b"HTTP/1.1 200 X\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nConnection: close\r\n\r\n",
        )?;
        out.write_all(&bomb)
    });
    once(say.clone(), 7, &["not a JSON object"]);
    followed(Some(say.clone()), None, &["services", "not a JSON object"]);
    followed(None, Some(say), &["service"]);
}

#[test]
fn a_retry_after_of_a_year_is_a_refusal() {
    let say = flow(|out| {
        out.write_all(b"HTTP/1.1 429 X\r\nContent-Type: application/json\r\nRetry-After: 31536000\r\nContent-Length: 54\r\n\r\n{\"kind\":\"Status\",\"code\":429,\"message\":\"come next year\"}")
    });
    once(say.clone(), 7, &["come next year"]);
    let api = followed(Some(say.clone()), None, &["services", "come next year"]);
    assert!(hostile::asked(&api, SERVICES) < 60, "a storm of {} requests", hostile::asked(&api, SERVICES));
    followed(None, Some(say), &["services", "come next year"]);
}

#[test]
fn a_flood_of_changes_to_one_object_is_drunk() {
    let change = br#"{"type":"MODIFIED","object":{"metadata":{"name":"a","namespace":"shop","uid":"u","resourceVersion":"10"},"spec":{}}}
"#;
    followed(None, Some(endless("", change)), &[]);
}
