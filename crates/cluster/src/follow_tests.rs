//! What following does when the server restarts, forgets, refuses or falls silent.

use crate::fake_server::{Asked, FakeServer, Reply};
use crate::{ListEvent, Listing};
use reckon_model::Kind;
use std::sync::atomic::{AtomicU32, Ordering};

fn object(name: &str, uid: &str, version: u32) -> String {
    format!(
        r#"{{"kind":"Pod","apiVersion":"v1","metadata":{{"name":"{name}","namespace":"shop","uid":"{uid}","resourceVersion":"{version}"}}}}"#
    )
}

fn event(verb: &str, object: &str) -> String {
    format!("{{\"type\":\"{verb}\",\"object\":{object}}}\n")
}

fn bookmark(version: u32, closes: bool) -> String {
    let annotations = if closes { r#","annotations":{"k8s.io/initial-events-end":"true"}"# } else { "" };
    event("BOOKMARK", &format!(r#"{{"kind":"Pod","metadata":{{"resourceVersion":"{version}"{annotations}}}}}"#))
}

fn gone() -> String {
    event("ERROR", r#"{"kind":"Status","code":410,"message":"too old resource version: 1 (9)"}"#)
}

fn list(version: u32, items: &[String]) -> Reply {
    Reply::ok(&format!(r#"{{"metadata":{{"resourceVersion":"{version}"}},"items":[{}]}}"#, items.join(",")))
}

fn is_streaming_list(asked: &Asked) -> bool {
    asked.target.contains("sendInitialEvents=true")
}

fn is_watch(asked: &Asked) -> bool {
    asked.target.contains("watch=true") && !is_streaming_list(asked)
}

fn word(event: ListEvent) -> String {
    match event {
        ListEvent::Object(object) => format!("+{}@{}", object.meta.name, object.meta.resource_version),
        ListEvent::Deleted(reference, _) => format!("-{}/{}", reference.name, reference.uid.unwrap_or_default()),
        ListEvent::Listed { .. } => "listed".to_owned(),
        ListEvent::Refused { gap, .. } => format!("refused: {}", gap.why),
        ListEvent::Skipped { gap, .. } => format!("skipped {}", gap.what),
        ListEvent::Relisting { reason, .. } => format!("relisting: {reason}"),
        ListEvent::Interrupted { .. } => "interrupted".to_owned(),
        ListEvent::Resumed { .. } => "resumed".to_owned(),
    }
}

async fn take(listing: &mut Listing, n: usize) -> Vec<String> {
    let mut seen = Vec::new();
    while seen.len() < n {
        seen.push(word(listing.next().await.unwrap()));
    }
    seen
}

/// A server that gives the replies of these functions in turn, and is silent after the last.
async fn script(replies: Vec<fn(&Asked) -> Reply>) -> FakeServer {
    script_at(1_000_000, replies).await
}

/// The same, whose newest version is this.
async fn script_at(newest: u32, replies: Vec<fn(&Asked) -> Reply>) -> FakeServer {
    let at = AtomicU32::new(0);
    FakeServer::start(move |asked| {
        // How far the history reaches is asked beside.
        if asked.head.contains("partialobjectmetadatalist") {
            return list(newest, &[]);
        }
        let i = at.fetch_add(1, Ordering::Relaxed) as usize;
        replies.get(i).map_or_else(|| Reply::Silence(Vec::new()), |reply| reply(asked))
    })
    .await
}

#[tokio::test]
async fn a_streaming_list_goes_over_into_its_watch_and_resumes_where_it_was() {
    let server = script(vec![
        |asked| {
            assert!(is_streaming_list(asked));
            let body = [
                event("ADDED", &object("a", "1", 3)),
                bookmark(4, true),
                event("MODIFIED", &object("a", "1", 5)),
                bookmark(7, false),
            ];
            // Killed in the middle of a line: the part is dropped.
            Reply::CutOff([body.concat().as_bytes(), b"{\"type\":\"ADDED\",\"obj"].concat())
        },
        |asked| {
            assert!(is_watch(asked) && asked.target.contains("resourceVersion=7&"), "{}", asked.target);
            Reply::Stream(event("DELETED", &object("a", "1", 8)).into_bytes())
        },
    ])
    .await;
    let mut listing = server.connection().await.follow(vec![Kind::Pod], None);
    assert_eq!(take(&mut listing, 4).await, ["+a@3", "listed", "+a@5", "-a/1"]);
}

#[tokio::test]
async fn a_server_without_streaming_lists_is_listed_in_pages_from_then_on() {
    let server = FakeServer::start(|asked| match asked {
        asked if is_streaming_list(asked) => Reply::status(422, "sendInitialEvents is forbidden"),
        asked if is_watch(asked) => Reply::Stream(gone().into_bytes()),
        _ => list(2, &[object("a", "1", 2)]),
    })
    .await;
    let connection = server.connection().await;
    let mut listing = connection.follow(vec![Kind::Pod], None);
    let relisting = "relisting: 410 too old resource version: 1 (9)";
    assert_eq!(take(&mut listing, 5).await, ["+a@2", "listed", relisting, "listed", relisting]);
    assert_eq!(server.targets().iter().filter(|target| target.contains("sendInitialEvents")).count(), 1);
}

#[tokio::test]
async fn a_streaming_list_whose_end_does_not_come_falls_back_to_pages() {
    let server = FakeServer::start(|asked| match asked {
        asked if is_streaming_list(asked) => Reply::Silence(event("ADDED", &object("a", "1", 2)).into_bytes()),
        asked if is_watch(asked) => Reply::Silence(Vec::new()),
        _ => list(2, &[object("a", "1", 2), object("b", "2", 2)]),
    })
    .await;
    let mut listing = server.connection().await.follow(vec![Kind::Pod], None);
    // The first list had no end, so nothing was said to be listed; its object does not come twice.
    assert_eq!(take(&mut listing, 3).await, ["+a@2", "+b@2", "listed"]);
}

#[tokio::test]
async fn after_a_relist_what_is_gone_is_deleted_and_what_is_the_same_is_not_repeated() {
    let server = script(vec![
        |_| Reply::status(400, "no streaming"),
        |_| list(2, &[object("gone", "1", 1), object("same", "2", 1), object("reborn", "3", 1), object("new", "4", 1)]),
        |_| Reply::Stream(gone().into_bytes()),
        |_| list(9, &[object("same", "2", 1), object("reborn", "5", 8), object("new", "4", 9)]),
    ])
    .await;
    let mut listing = server.connection().await.follow(vec![Kind::Pod], None);
    assert_eq!(take(&mut listing, 6).await[4..], ["listed", "relisting: 410 too old resource version: 1 (9)"]);
    assert_eq!(take(&mut listing, 5).await, ["-reborn/3", "+reborn@8", "+new@9", "-gone/1", "listed"]);
}

#[tokio::test]
async fn an_object_that_can_no_longer_be_decoded_is_skipped_and_never_called_gone() {
    let server = script(vec![
        |_| Reply::status(400, "no streaming"),
        |_| list(2, &[object("a", "1", 1), object("b", "2", 1)]),
        |_| Reply::Json(410, Vec::new()),
        |_| list(9, &[r#"{"metadata":{"name":"a"},"spec":7}"#.to_owned()]),
    ])
    .await;
    let mut listing = server.connection().await.follow(vec![Kind::Pod], None);
    let seen = take(&mut listing, 7).await;
    assert_eq!(seen[3..], ["relisting: 410 gone", "skipped pod a", "-b/2", "listed"]);
}

#[tokio::test]
async fn an_object_that_cannot_be_decoded_is_still_seen_to_go() {
    let server = script(vec![|_| {
        let bad = r#"{"metadata":{"name":"bad","namespace":"shop","resourceVersion":"2"},"spec":7}"#;
        let body = [bookmark(1, true), event("ADDED", bad), event("DELETED", bad)].concat();
        Reply::Stream(body.into_bytes())
    }])
    .await;
    let mut listing = server.connection().await.follow(vec![Kind::Pod], None);
    assert_eq!(take(&mut listing, 3).await, ["listed", "skipped pod bad", "-bad/"]);
}

#[tokio::test]
async fn an_endless_line_is_skipped_once_and_the_watch_goes_on() {
    let server = script(vec![|_| {
        let endless = format!("{{\"type\":\"ADDED\",\"object\":\"{}\"}}\n", "x".repeat(9 * 1024 * 1024));
        let body = [bookmark(1, true), endless, event("ADDED", &object("b", "2", 3))].concat();
        Reply::Stream(body.into_bytes())
    }])
    .await;
    let mut listing = server.connection().await.follow(vec![Kind::Pod], None);
    assert_eq!(take(&mut listing, 3).await, ["listed", "skipped one pod", "+b@3"]);
}

#[tokio::test]
async fn an_outage_is_reported_once_and_its_end_too() {
    let server = script(vec![
        |_| Reply::Stream([bookmark(1, true)].concat().into_bytes()),
        |_| Reply::status(500, "etcd"),
        |_| Reply::status(500, "etcd"),
        |_| Reply::status(500, "etcd"),
        |asked| {
            assert!(asked.target.contains("resourceVersion=1&"), "{}", asked.target);
            Reply::Stream(event("ADDED", &object("a", "1", 2)).into_bytes())
        },
    ])
    .await;
    let mut listing = server.connection().await.follow(vec![Kind::Pod], None);
    assert_eq!(take(&mut listing, 4).await, ["listed", "interrupted", "resumed", "+a@2"]);
}

#[tokio::test]
async fn a_history_that_was_rewound_is_listed_anew() {
    let replies: Vec<fn(&Asked) -> Reply> = vec![|_| Reply::Stream(bookmark(900, true).into_bytes()), |_| {
        Reply::Stream([event("ADDED", &object("a", "1", 4)), bookmark(5, true)].concat().into_bytes())
    }];
    let server = script_at(5, replies).await;
    let mut listing = server.connection().await.follow(vec![Kind::Pod], None);
    let rewound = "relisting: the history of the cluster was rewound: its newest version is older than what was seen";
    assert_eq!(take(&mut listing, 4).await, ["listed", rewound, "+a@4", "listed"]);
}

#[tokio::test]
async fn a_list_that_is_older_than_what_was_seen_is_asked_for_again() {
    let server = script(vec![
        |_| Reply::Stream([event("ADDED", &object("a", "1", 890)), bookmark(900, true)].concat().into_bytes()),
        |_| Reply::Json(410, Vec::new()),
        |_| Reply::Stream(bookmark(5, true).into_bytes()),
        |_| Reply::Stream([event("ADDED", &object("a", "1", 890)), bookmark(901, true)].concat().into_bytes()),
    ])
    .await;
    let mut listing = server.connection().await.follow(vec![Kind::Pod], None);
    let old = "relisting: the list is of version 5, older than what was seen";
    assert_eq!(take(&mut listing, 5).await, ["+a@890", "listed", "relisting: 410 gone", old, "listed"]);
}

#[tokio::test]
async fn who_may_follow_one_namespace_follows_that() {
    let server = FakeServer::start(|asked| match asked.target.as_str() {
        target if target.starts_with("/api/v1/namespaces/shop/pods?") => {
            let body = [event("ADDED", &object("a", "1", 2)), bookmark(2, true)].concat();
            if is_streaming_list(asked) { Reply::Silence(body.into_bytes()) } else { Reply::Silence(Vec::new()) }
        }
        _ => Reply::status(403, "forbidden"),
    })
    .await;
    let mut listing = server.connection().await.follow(vec![Kind::Pod], None);
    assert_eq!(take(&mut listing, 3).await, ["refused: forbidden: watch pods (cluster-wide)", "+a@2", "listed"]);
}
