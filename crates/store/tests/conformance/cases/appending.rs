use crate::facts::*;
use reckon_model::record::{Batch, Block, BlockError, Position};
use reckon_store::{Error, Query};
use std::time::Duration;

pub(crate) async fn the_same_instance_goes_on_and_another_fences_it(store: Db) {
    let shop = cluster("shop");
    assert_eq!(store.mark(&shop).await.unwrap(), None);
    assert_eq!(store.begin(&shop, "a", 0, at(0)).await.unwrap(), Position { epoch: 1, seq: 0 });
    let one = vec![ready(1, "shop", "checkout")];
    append(&store, "shop", Position { epoch: 1, seq: 0 }, &[one.clone(), one.clone()]).await.unwrap();
    assert_eq!(store.begin(&shop, "a", 0, at(1)).await.unwrap(), Position { epoch: 1, seq: 2 });
    assert_eq!(store.begin(&shop, "b", 0, at(2)).await.unwrap(), Position { epoch: 2, seq: 0 });
    let late = append(&store, "shop", Position { epoch: 1, seq: 2 }, std::slice::from_ref(&one)).await;
    assert!(matches!(late, Err(Error::Fenced { epoch: 2 })), "{late:?}");
    let early = append(&store, "shop", Position { epoch: 3, seq: 0 }, std::slice::from_ref(&one)).await;
    assert!(matches!(early, Err(Error::NotBegun)), "{early:?}");
    append(&store, "shop", Position { epoch: 2, seq: 0 }, std::slice::from_ref(&one)).await.unwrap();
    // Who wrote before and was passed is told so; with a spool that has forgotten it, it is another writer.
    let passed = store.begin(&shop, "a", 1, at(3)).await;
    assert!(matches!(passed, Err(Error::Fenced { epoch: 2 })), "{passed:?}");
    assert_eq!(store.begin(&shop, "a", 0, at(3)).await.unwrap(), Position { epoch: 3, seq: 0 });
    assert_eq!(store.mark(&shop).await.unwrap(), Some(Position { epoch: 3, seq: 0 }));
    assert_eq!(all(&store, &Query::default(), 10).await.len(), 3);
    let nobody = append(&store, "nobody", Position { epoch: 1, seq: 0 }, &[one]).await;
    assert!(matches!(nobody, Err(Error::NotBegun)), "{nobody:?}");
}

pub(crate) async fn an_epoch_that_is_not_known_any_more_is_still_its_writers(store: Db) {
    let shop = cluster("shop");
    let one = vec![ready(1, "shop", "checkout")];
    // The store was put back to what it was before it gave out the seventh.
    assert_eq!(store.begin(&shop, "a", 7, at(0)).await.unwrap(), Position { epoch: 7, seq: 0 });
    append(&store, "shop", Position { epoch: 7, seq: 0 }, &[one]).await.unwrap();
    assert_eq!(store.begin(&shop, "a", 7, at(1)).await.unwrap(), Position { epoch: 7, seq: 1 });
    assert_eq!(store.begin(&shop, "b", 0, at(2)).await.unwrap(), Position { epoch: 8, seq: 0 });
}

pub(crate) async fn a_block_that_sums_up_others_stands_for_all_of_them(store: Db) {
    let mark = fill(&store, "shop", &[vec![ready(1, "shop", "a")]]).await;
    let summed = |first, seq| Batch { first, ..batch(1, seq, &[ready(2, "shop", "a")]) };
    let hole = store.append(&cluster("shop"), vec![summed(3, 9)], at(9)).await;
    assert!(matches!(hole, Err(Error::Hole { mark: at }) if at == mark), "{hole:?}");
    let mark = store.append(&cluster("shop"), vec![summed(2, 9), batch(1, 10, &[ready(3, "shop", "a")])], at(9)).await;
    assert_eq!(mark.unwrap(), Position { epoch: 1, seq: 10 });
    let told: Vec<u64> = all(&store, &Query::default(), 10).await.iter().map(|it| it.position.seq).collect();
    assert_eq!(told, [10, 9, 1]);
}

pub(crate) async fn a_block_appended_twice_is_there_once(store: Db) {
    let mark = fill(&store, "shop", &[vec![ready(1, "shop", "a")], vec![ready(2, "shop", "a")]]).await;
    assert_eq!(mark, Position { epoch: 1, seq: 2 });
    let again: Vec<Batch> = (1..=3).map(|seq| batch(1, seq, &[ready(seq.cast_signed(), "shop", "a")])).collect();
    let mark = store.append(&cluster("shop"), again.clone(), at(9)).await.unwrap();
    assert_eq!(mark, Position { epoch: 1, seq: 3 });
    assert_eq!(store.append(&cluster("shop"), again, at(9)).await.unwrap(), mark);
    assert_eq!(all(&store, &Query::default(), 10).await.len(), 3);
    assert_eq!(store.clusters().await.unwrap()[0].entries, 3);
}

pub(crate) async fn a_hole_is_refused_with_the_mark_to_go_on_from(store: Db) {
    let mark = fill(&store, "shop", &[vec![ready(1, "shop", "a")]]).await;
    let batches = vec![batch(1, 2, &[ready(2, "shop", "a")]), batch(1, 4, &[ready(4, "shop", "a")])];
    let hole = store.append(&cluster("shop"), batches, at(9)).await;
    assert!(matches!(hole, Err(Error::Hole { mark: told }) if told == mark), "{hole:?}");
    // None of them was kept.
    assert_eq!(store.mark(&cluster("shop")).await.unwrap(), Some(mark));
    assert_eq!(all(&store, &Query::default(), 10).await.len(), 1);
}

pub(crate) async fn bytes_that_are_no_block_are_refused_and_nothing_is_kept(store: Db) {
    let mark = fill(&store, "shop", &[vec![ready(1, "shop", "a")]]).await;
    let good = batch(1, 2, &[ready(2, "shop", "a")]);
    let mut bad = batch(1, 3, &[ready(3, "shop", "a")]);
    bad.block.bytes.truncate(9);
    let refused = store.append(&cluster("shop"), vec![good, bad], at(9)).await;
    assert!(matches!(refused, Err(Error::Block { position, .. }) if position.seq == 3), "{refused:?}");
    let nothing = Block { count: 1, first: at(0), last: at(0), bytes: Vec::new() };
    let empty = Batch::new(Position { epoch: 1, seq: 2 }, nothing);
    let refused = store.append(&cluster("shop"), vec![empty], at(9)).await;
    assert!(matches!(refused, Err(Error::Block { source: BlockError::Count(0), .. })), "{refused:?}");
    assert_eq!(store.mark(&cluster("shop")).await.unwrap(), Some(mark));
}

pub(crate) async fn who_waits_for_appends_is_woken(store: Db) {
    let mark = fill(&store, "shop", &[vec![ready(1, "shop", "a")]]).await;
    let seen = store.appended(u64::MAX, Duration::from_secs(60)).await;
    let waiting = tokio::spawn({
        let store = store.clone();
        async move { store.appended(seen, Duration::from_secs(60)).await }
    });
    append(&store, "shop", mark, &[vec![ready(2, "shop", "a")]]).await.unwrap();
    assert!(waiting.await.unwrap() > seen);
    assert_eq!(store.appended(seen + 1, Duration::ZERO).await, seen + 1);
}
