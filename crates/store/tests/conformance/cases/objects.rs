use crate::facts::*;
use reckon_model::record::{Entry, Fact, Seen};
use reckon_model::{SignedDuration, Verb};
use reckon_store::{AsOf, Budget, Retention};
use serde_json::{Value, json};

fn object(replicas: i64) -> Value {
    json!({"metadata": {"name": "web"}, "spec": {"replicas": replicas}})
}

async fn replicas(store: &Db, ms: i64) -> Option<i64> {
    match store.object(&cluster("a"), &deployment("shop", "web"), at(ms)).await.unwrap() {
        AsOf::There { object, damaged, .. } => {
            assert!(damaged.is_empty());
            object["spec"]["replicas"].as_i64()
        }
        AsOf::Gone { .. } => Some(-1),
        AsOf::Unknown { .. } => None,
    }
}

pub(crate) async fn an_object_is_shown_as_of_a_time(store: Db) {
    let web = deployment("shop", "web");
    let mut blocks = vec![vec![written(10, &web, Verb::Created, Some(object(1)), None)]];
    blocks.extend((1..=30).map(|n| vec![written(10 + n * DAY, &web, Verb::Updated, None, Some((n, n + 1)))]));
    blocks.push(vec![written(10 + 40 * DAY, &web, Verb::Deleted, Some(object(31)), None)]);
    blocks.push(vec![written(10 + 41 * DAY, &web, Verb::Created, Some(object(7)), None)]);
    fill(&store, "a", &blocks).await;
    assert_eq!(replicas(&store, 9).await, None);
    assert_eq!(replicas(&store, 10).await, Some(1));
    assert_eq!(replicas(&store, 9 + 30 * DAY).await, Some(30));
    assert_eq!(replicas(&store, 10 + 30 * DAY).await, Some(31));
    assert_eq!(replicas(&store, 10 + 40 * DAY).await, Some(-1));
    assert_eq!(replicas(&store, 99 * DAY).await, Some(7));
    let AsOf::There { written, version, .. } = store.object(&cluster("a"), &web, at(2 * DAY)).await.unwrap() else {
        panic!("it was there");
    };
    assert_eq!((written, version), (at(10 + DAY), (10 + DAY).to_string()));
    let other = store.object(&cluster("a"), &deployment("bank", "web"), at(99 * DAY)).await.unwrap();
    assert_eq!(other, AsOf::Unknown { damaged: Vec::new() });
}

pub(crate) async fn an_object_that_was_there_when_watching_began_is_shown_from_then_on(store: Db) {
    let web = deployment("shop", "web");
    let seen = Seen { generation: Some(1), version: "5".to_owned(), object: Some(object(3)), phase: None };
    let found = Entry { at: at(10), subject: web.clone(), workload: None, fact: Fact::Seen(seen) };
    let written = written(10 + DAY, &web, Verb::Updated, None, Some((3, 4)));
    fill(&store, "a", &[vec![found], vec![written], vec![ready(10 + 2 * DAY, "shop", "other")]]).await;
    let both = [replicas(&store, 9).await, replicas(&store, 10).await, replicas(&store, 10 + DAY).await];
    assert_eq!(both, [None, Some(3), Some(4)]);
    let retention = Retention { age: Some(SignedDuration::from_hours(24)), bytes: None };
    while store.trim(&retention, Budget { blocks: 1 }, at(10 + 3 * DAY)).await.unwrap().more {}
    assert_eq!(replicas(&store, 10 + 2 * DAY).await, Some(4), "it is kept when what tells of it is let go");
}

pub(crate) async fn an_object_is_shown_where_what_was_before_is_trimmed(store: Db) {
    let (web, gone) = (deployment("shop", "web"), deployment("shop", "gone"));
    let mut blocks = vec![vec![
        written(10, &web, Verb::Created, Some(object(1)), None),
        written(11, &gone, Verb::Created, Some(object(9)), None),
        written(12, &gone, Verb::Deleted, None, None),
    ]];
    blocks.extend((1..=30).map(|n| vec![written(10 + n * DAY, &web, Verb::Updated, None, Some((n, n + 1)))]));
    fill(&store, "a", &blocks).await;
    let retention = Retention { age: Some(SignedDuration::from_hours(10 * 24)), bytes: None };
    let mut steps = 0;
    while store.trim(&retention, Budget { blocks: 3 }, at(30 * DAY)).await.unwrap().more {
        steps += 1;
        store.compact(Budget { blocks: 100 }).await.unwrap();
    }
    assert!(steps > 0);
    let begins = store.clusters().await.unwrap()[0].begins.unwrap();
    assert!(at(15 * DAY) < begins && begins <= at(20 * DAY), "{begins}");
    for n in 20..30 {
        assert_eq!(replicas(&store, 11 + n * DAY).await, Some(n + 1), "{n}");
    }
    assert_eq!(replicas(&store, DAY).await, None);
    let gone = store.object(&cluster("a"), &gone, at(30 * DAY)).await.unwrap();
    assert_eq!(gone, AsOf::Unknown { damaged: Vec::new() });
}
