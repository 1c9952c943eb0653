use crate::facts::*;
use reckon_model::record::{Entry, Position};
use reckon_store::{Budget, Order, Query, Retention};

pub(crate) async fn clusters_are_known_with_what_is_kept_of_them(store: Db) {
    fill(&store, "b", &[vec![ready(7, "shop", "web"), ready(3, "shop", "web")]]).await;
    store.heard_of(&cluster("a"), Some("shop"), at(20)).await.unwrap();
    store.heard_of(&cluster("a"), None, at(10)).await.unwrap();
    store.check().await.unwrap();
    let clusters = store.clusters().await.unwrap();
    let [a, b] = &clusters[..] else { panic!("{clusters:?}") };
    assert_eq!((&a.id, a.name.as_deref(), a.heard, a.entries), (&cluster("a"), Some("shop"), at(20), 0));
    assert_eq!((a.mark, a.begins), (Position { epoch: 0, seq: 0 }, None));
    assert_eq!((&b.id, &b.name, b.heard, b.entries), (&cluster("b"), &None, at(7), 2));
    assert_eq!((b.mark, b.begins), (Position { epoch: 1, seq: 1 }, Some(at(3))));
    assert!(b.bytes > 0);
}

pub(crate) async fn small_blocks_become_full_ones_and_answers_stay_as_they_are(store: Db) {
    let blocks: Vec<Vec<Entry>> =
        (0..600).map(|n| vec![ready(n * HOUR / 3, "shop", ["web", "api"][usize::from(n % 2 == 1)])]).collect();
    let mark = fill(&store, "a", &blocks).await;
    let queries = [
        Query::default(),
        Query { order: Order::OldestFirst, lines: vec![deployment("shop", "api")], ..Query::default() },
        Query {
            facts: vec!["phase".to_owned()],
            from: Some(at(50 * HOUR)),
            to: Some(at(51 * HOUR)),
            ..Query::default()
        },
    ];
    let mut before = Vec::new();
    for query in &queries {
        before.push(all(&store, query, 50).await);
    }
    let bytes = store.clusters().await.unwrap()[0].bytes;
    let (mut from, mut to) = (0, 0);
    loop {
        let done = store.compact(Budget { blocks: 64 }).await.unwrap();
        assert!(done.from <= 64 + 16, "{done:?}");
        (from, to) = (from + done.from, to + done.to);
        if !done.more {
            break;
        }
    }
    // 600 of one entry, of which 592 become 37 of 16, of which 32 become 2 of 256.
    assert_eq!((from, to), (592 + 32, 37 + 2));
    let known = &store.clusters().await.unwrap()[0];
    assert!(known.bytes * 3 < bytes && known.entries == 600, "{bytes} {known:?}");
    for (query, before) in queries.iter().zip(before) {
        assert_eq!(all(&store, query, 50).await, before);
    }
    // What is packed is appended no second time.
    assert_eq!(append(&store, "a", Position { epoch: 1, seq: 99 }, &blocks[..5]).await.unwrap(), mark);
    assert_eq!(store.clusters().await.unwrap()[0].entries, 600);
    assert_eq!(store.compact(Budget { blocks: 64 }).await.unwrap().from, 0);
}

pub(crate) async fn the_oldest_goes_first_until_the_size_is_kept(store: Db) {
    let blocks = |shift: i64| -> Vec<Vec<Entry>> {
        (0..20).map(|n| (0..50).map(|m| ready(n * DAY + shift + m, "shop", "web")).collect()).collect()
    };
    fill(&store, "a", &blocks(0)).await;
    fill(&store, "b", &blocks(HOUR)).await;
    let sum: u64 = store.clusters().await.unwrap().iter().map(|cluster| cluster.bytes).sum();
    let retention = Retention { age: None, bytes: Some(sum / 2) };
    let mut trimmed = (0, 0);
    loop {
        let step = store.trim(&retention, Budget { blocks: 4 }, at(30 * DAY)).await.unwrap();
        assert!(step.blocks <= 4);
        trimmed = (trimmed.0 + step.blocks, trimmed.1 + step.entries);
        if !step.more {
            break;
        }
    }
    assert_eq!(trimmed.1, trimmed.0 * 50);
    let clusters = store.clusters().await.unwrap();
    let left: u64 = clusters.iter().map(|cluster| cluster.bytes).sum();
    assert!(left <= sum / 2 && left > sum / 3, "{left} of {sum}");
    let kept = entries(all(&store, &Query { order: Order::OldestFirst, ..Query::default() }, 1_000).await);
    assert_eq!(kept.len() as u64, 2_000 - trimmed.1);
    assert_eq!(kept.len() as u64, clusters.iter().map(|cluster| cluster.entries).sum::<u64>());
    // Of both clusters the same days are left, give or take a step.
    let begins: Vec<_> = clusters.iter().map(|cluster| cluster.begins.unwrap()).collect();
    assert!((begins[0].duration_since(begins[1])).abs().as_hours() <= 9 * 24, "{begins:?}");
    assert!(kept[0].at > begins[0].min(begins[1]));
}
