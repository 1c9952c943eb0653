use crate::facts::*;
use reckon_model::Verb;
use reckon_model::record::Entry;
use reckon_store::{Budget, Cursor, Error, LiveCursor, Order, Query, Retention};
use serde_json::json;
use std::collections::BTreeSet;

pub(crate) async fn entries_are_found_by_what_is_asked(store: Db) {
    let web = deployment("shop", "web");
    let one = vec![
        death(HOUR, "shop", "web", "OOMKilled"),
        death(HOUR + 1, "shop", "web", "Error"),
        ready(2 * HOUR, "bank", "web"),
        written(DAY, &web, Verb::Updated, None, Some((1, 2))),
    ];
    let other = vec![death(3 * HOUR, "shop", "web", "OOMKilled"), ready(DAY + 1, "shop", "api")];
    fill(&store, "a", std::slice::from_ref(&one)).await;
    fill(&store, "b", std::slice::from_ref(&other)).await;
    let ask = async |query: Query| entries(all(&store, &query, 100).await);
    let every = [&one[..], &other[..]].concat();
    let mut sorted = every.clone();
    sorted.sort_by_key(|entry| entry.at);
    assert_eq!(ask(Query { order: Order::OldestFirst, ..Query::default() }).await, sorted);
    sorted.reverse();
    assert_eq!(ask(Query::default()).await, sorted);
    let want = |wanted: &dyn Fn(&Entry) -> bool| -> Vec<Entry> {
        sorted.iter().filter(|entry| wanted(entry)).cloned().collect()
    };
    assert_eq!(ask(Query { lines: vec![web.clone()], ..Query::default() }).await, want(&|e| *e.line() == web));
    assert_eq!(ask(Query { subjects: vec![web.clone()], ..Query::default() }).await, want(&|e| e.subject == web));
    let own = one[0].subject.clone();
    assert_eq!(ask(Query { subjects: vec![own], ..Query::default() }).await, [one[0].clone()]);
    let namespaces = vec!["bank".to_owned()];
    assert_eq!(ask(Query { namespaces, ..Query::default() }).await, [one[2].clone()]);
    let facts = vec!["death".to_owned(), "change".to_owned()];
    assert_eq!(ask(Query { facts, ..Query::default() }).await, want(&|e| e.fact.word() != "phase"));
    let reasons = vec!["OOMKilled".to_owned()];
    let killed = Query { facts: vec!["death".to_owned()], reasons: reasons.clone(), ..Query::default() };
    assert_eq!(ask(killed.clone()).await, want(&|e| e.fact.reason() == Some("OOMKilled")));
    assert_eq!(ask(Query { clusters: vec![cluster("b")], ..killed.clone() }).await, [other[0].clone()]);
    assert_eq!(ask(Query { facts: Vec::new(), reasons, ..Query::default() }).await.len(), 2);
    let (from, to) = (Some(at(HOUR + 1)), Some(at(DAY)));
    assert_eq!(ask(Query { from, to, ..Query::default() }).await, want(&|e| at(HOUR + 1) <= e.at && e.at < at(DAY)));
    assert_eq!(ask(Query { clusters: vec![cluster("nobody")], ..Query::default() }).await, []);
    assert_eq!(ask(Query { lines: vec![deployment("shop", "nothing")], ..Query::default() }).await, []);
}

pub(crate) async fn a_page_goes_on_where_it_ended_while_others_append(store: Db) {
    let blocks: Vec<Vec<Entry>> =
        (0..10).map(|block| (0..10).map(|at| ready(block * HOUR + at, "shop", "web")).collect()).collect();
    let mark = fill(&store, "a", &blocks).await;
    fill(&store, "b", &blocks).await;
    let first = store.entries(&Query::default(), None, 33).await.unwrap();
    assert_eq!(first.records.len(), 33);
    let late: Vec<Entry> = (0..5).map(|at| ready(9 * HOUR + 20 + at, "shop", "web")).collect();
    append(&store, "a", mark, &[late]).await.unwrap();
    store.compact(Budget { blocks: 100 }).await.unwrap();
    let mut seen: Vec<_> = first.records;
    let mut cursor = first.next;
    while let Some(at) = cursor {
        let page = store.entries(&Query::default(), Some(&at), 33).await.unwrap();
        seen.extend(page.records);
        cursor = page.next;
    }
    let places: BTreeSet<_> = seen.iter().map(|record| (&record.cluster, record.position, record.index)).collect();
    assert_eq!((seen.len(), places.len()), (200, 200));
    assert!(seen.is_sorted_by(|a, b| a.entry.at >= b.entry.at));
}

pub(crate) async fn a_cursor_of_another_query_is_refused(store: Db) {
    fill(&store, "a", &[(0..9).map(|at| ready(at, "shop", "web")).collect()]).await;
    let cursor = store.entries(&Query::default(), None, 3).await.unwrap().next.unwrap();
    let other = Query { facts: vec!["phase".to_owned()], ..Query::default() };
    assert!(matches!(store.entries(&other, Some(&cursor), 3).await, Err(Error::Cursor)));
    for text in ["", "AQ", "!", "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"] {
        let odd = store.entries(&other, Some(&Cursor(text.to_owned())), 3).await;
        assert!(matches!(odd, Err(Error::Cursor)), "{text}: {odd:?}");
        let odd = store.live(&other, Some(&LiveCursor(text.to_owned())), 3).await;
        assert!(matches!(odd, Err(Error::Cursor)), "{text}: {odd:?}");
    }
}

pub(crate) async fn what_is_appended_is_told_once_and_in_order(store: Db) {
    let mark = fill(&store, "a", &[vec![ready(5, "shop", "web")]]).await;
    let query = Query::default();
    let begin = store.live(&query, None, 10).await.unwrap();
    assert!(begin.records.is_empty() && !begin.more);
    let blocks: Vec<Vec<Entry>> = (0..40).map(|at| vec![ready(at, "shop", "web"), ready(at, "shop", "api")]).collect();
    append(&store, "a", mark, &blocks).await.unwrap();
    fill(&store, "b", &blocks[..3]).await;
    let mut cursor = begin.next;
    let mut seen = Vec::new();
    loop {
        let page = store.live(&query, Some(&cursor), 7).await.unwrap();
        // A page ends with a whole block, and one of sixteen packed ones has 32 entries.
        assert!(page.records.len() <= 6 + 32 && page.damaged.is_empty() && page.trimmed.is_empty());
        seen.extend(page.records);
        cursor = page.next;
        store.compact(Budget { blocks: 20 }).await.unwrap();
        if !page.more {
            break;
        }
    }
    for (name, first, count) in [("a", 2, 40), ("b", 1, 3)] {
        let places: Vec<_> = seen
            .iter()
            .filter(|record| record.cluster == cluster(name))
            .map(|record| (record.position.seq, record.index))
            .collect();
        let want: Vec<_> = (first..first + count).flat_map(|seq| [(seq, 0), (seq, 1)]).collect();
        assert_eq!(places, want, "{name}");
    }
    // Another writer, who has written nothing, is nothing to tell.
    store.begin(&cluster("a"), "other", 0, at(9)).await.unwrap();
    let page = store.live(&query, Some(&cursor), 7).await.unwrap();
    assert!(page.records.is_empty() && !page.more);
    append(&store, "a", reckon_model::record::Position { epoch: 2, seq: 0 }, &blocks[..1]).await.unwrap();
    let api = Query { lines: vec![deployment("shop", "api")], ..query };
    let page = store.live(&api, Some(&page.next), 7).await.unwrap();
    assert_eq!(entries(page.records), [blocks[0][1].clone()]);
}

pub(crate) async fn who_asks_for_what_was_trimmed_is_told_so(store: Db) {
    let begin = store.live(&Query::default(), None, 10).await.unwrap();
    fill(&store, "a", &[vec![ready(0, "shop", "web")], vec![ready(9 * DAY, "shop", "web")]]).await;
    let age = Some(reckon_model::SignedDuration::from_hours(24));
    store.trim(&Retention { age, bytes: None }, Budget { blocks: 9 }, at(9 * DAY)).await.unwrap();
    let page = store.live(&Query::default(), Some(&begin.next), 10).await.unwrap();
    assert_eq!(page.trimmed, [cluster("a")]);
    assert_eq!(entries(page.records), [ready(9 * DAY, "shop", "web")]);
}

pub(crate) async fn entries_of_absurd_times_are_kept_found_and_trimmed(store: Db) {
    let early = Entry { at: reckon_model::Timestamp::MIN, ..ready(0, "shop", "web") };
    let late = Entry { at: reckon_model::Timestamp::MAX, ..ready(0, "shop", "web") };
    let now = ready(DAY, "shop", "web");
    fill(&store, "a", &[vec![now.clone(), early.clone(), late.clone()]]).await;
    let sorted = [early.clone(), now, late];
    for query in [Query::default(), Query { lines: vec![deployment("shop", "web")], ..Query::default() }] {
        let query = Query { order: Order::OldestFirst, ..query };
        assert_eq!(entries(all(&store, &query, 2).await), sorted);
        let query = Query { order: Order::NewestFirst, ..query };
        let back: Vec<Entry> = sorted.iter().rev().cloned().collect();
        assert_eq!(entries(all(&store, &query, 1).await), back);
    }
    let _ = store.object(&cluster("a"), &early.subject, reckon_model::Timestamp::MAX).await.unwrap();
    // Who says that it is of the year 9999 is as old as when he said it.
    let age = Some(reckon_model::SignedDuration::from_hours(24));
    store.trim(&Retention { age, bytes: None }, Budget { blocks: 9 }, at(500 * DAY)).await.unwrap();
    assert_eq!(entries(all(&store, &Query::default(), 9).await), []);
}

pub(crate) async fn hundreds_of_blocks_of_one_hour_are_paged_in_order(store: Db) {
    let object = json!({"spec": {"replicas": 1}});
    let blocks: Vec<Vec<Entry>> = (0..450)
        .map(|block| {
            vec![written(block * 7 % 450, &deployment("shop", "web"), Verb::Updated, Some(object.clone()), None)]
        })
        .collect();
    fill(&store, "a", &blocks).await;
    let later: Vec<Vec<Entry>> = (0..450).map(|block| vec![ready(HOUR + block, "shop", "web")]).collect();
    fill(&store, "b", &later).await;
    for order in [Order::NewestFirst, Order::OldestFirst] {
        for lines in [Vec::new(), vec![deployment("shop", "web")]] {
            let seen = entries(all(&store, &Query { lines, order, ..Query::default() }, 100).await);
            assert_eq!(seen.len(), 900);
            assert!(seen.is_sorted_by(|a, b| (a.at < b.at) == (order == Order::OldestFirst)));
        }
    }
}
