//! A store held against a list that is looked through.

use crate::facts::*;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use reckon_model::record::{Entry, Fact, Position, Written};
use reckon_model::{SignedDuration, Verb};
use reckon_store::{AsOf, Budget, Cursor, LiveCursor, Order, Query, Recorded, Retention};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Courses of things that are done, of so many steps each, to one store after the other: of each an own set of clusters.
const COURSES: usize = 12;
const STEPS: usize = 40;

const WORKLOADS: [&str; 3] = ["web", "api", "db"];
const CLUSTERS: [&str; 3] = ["a", "b", "c"];

#[derive(Clone, Debug)]
enum Step {
    Append { cluster: usize, blocks: Vec<Vec<Thing>> },
    Compact { blocks: usize },
    Trim { days: i64, blocks: usize },
    Ask { query: Asked, most: usize, pages: usize },
    Follow { most: usize },
    Look { cluster: usize, workload: usize, back: i64 },
    Begin { cluster: usize },
}

#[derive(Clone, Debug)]
enum Thing {
    Ready(usize),
    Died(usize, bool),
    Written(usize),
    Deleted(usize),
}

/// A query before it is known what time it is.
#[derive(Clone, Debug)]
struct Asked {
    cluster: Option<usize>,
    line: Option<usize>,
    own: bool,
    namespace: bool,
    facts: Vec<&'static str>,
    killed: bool,
    from: Option<i64>,
    to: Option<i64>,
    oldest_first: bool,
}

fn thing() -> impl Strategy<Value = Thing> {
    prop_oneof![
        (0..3usize).prop_map(Thing::Ready),
        (0..3usize, any::<bool>()).prop_map(|(at, killed)| Thing::Died(at, killed)),
        (0..3usize).prop_map(Thing::Written),
        (0..3usize).prop_map(Thing::Written),
        (0..3usize).prop_map(Thing::Deleted),
    ]
}

fn asked() -> impl Strategy<Value = Asked> {
    let facts = prop::sample::subsequence(vec!["phase", "death", "change", "eclipse"], 0..3);
    let maybe = |range: std::ops::Range<usize>| prop::option::of(range);
    let days = || prop::option::weighted(0.4, 0..9 * 24i64);
    (
        maybe(0..3),
        maybe(0..3),
        any::<bool>(),
        prop::bool::weighted(0.3),
        facts,
        prop::bool::weighted(0.2),
        days(),
        days(),
        any::<bool>(),
    )
        .prop_map(|(cluster, line, own, namespace, facts, killed, from, to, oldest_first)| Asked {
            cluster,
            line,
            own,
            namespace,
            facts,
            killed,
            from,
            to,
            oldest_first,
        })
}

fn step() -> impl Strategy<Value = Step> {
    let blocks = prop::collection::vec(prop::collection::vec(thing(), 1..5), 1..9);
    prop_oneof![
        6 => (0..3usize, blocks).prop_map(|(cluster, blocks)| Step::Append { cluster, blocks }),
        2 => (1..40usize).prop_map(|blocks| Step::Compact { blocks }),
        1 => (2..9i64, 1..9usize).prop_map(|(days, blocks)| Step::Trim { days, blocks }),
        4 => (asked(), 1..40usize, 1..4usize).prop_map(|(query, most, pages)| Step::Ask { query, most, pages }),
        2 => (1..20usize).prop_map(|most| Step::Follow { most }),
        3 => (0..3usize, 0..3usize, 0..9 * 24i64).prop_map(|(cluster, workload, back)| Step::Look { cluster, workload, back }),
        1 => (0..3usize).prop_map(|cluster| Step::Begin { cluster }),
    ]
}

/// All that was appended, and where the store is thought to be.
struct List {
    course: usize,
    now: i64,
    /// By cluster, in the order of positions.
    kept: Vec<Vec<Recorded>>,
    /// What was trimmed, too.
    ever: Vec<Vec<Recorded>>,
    marks: Vec<Position>,
    replicas: BTreeMap<(usize, usize), i64>,
    /// The live order as it was followed.
    cursor: Option<LiveCursor>,
    seen: Vec<Recorded>,
    open: Option<(Query, Cursor, Vec<Recorded>)>,
}

impl List {
    fn id(&self, cluster: usize) -> reckon_model::ClusterId {
        crate::facts::cluster(&format!("{}{}", self.course, CLUSTERS[cluster]))
    }

    fn query(&self, asked: &Asked) -> Query {
        let time = |back: Option<i64>| back.map(|hours| at(self.now - hours * HOUR));
        let web = asked.line.map(|line| deployment("shop", WORKLOADS[line]));
        let (lines, subjects) = if asked.own { (None, web) } else { (web, None) };
        Query {
            clusters: asked.cluster.map_or_else(|| (0..3).map(|at| self.id(at)).collect(), |at| vec![self.id(at)]),
            lines: lines.into_iter().collect(),
            subjects: subjects.into_iter().collect(),
            namespaces: asked.namespace.then(|| "shop".to_owned()).into_iter().collect(),
            facts: asked.facts.iter().map(|fact| (*fact).to_owned()).collect(),
            reasons: asked.killed.then(|| "OOMKilled".to_owned()).into_iter().collect(),
            from: time(asked.from),
            to: time(asked.to),
            order: if asked.oldest_first { Order::OldestFirst } else { Order::NewestFirst },
        }
    }

    fn answer(&self, query: &Query) -> Vec<Recorded> {
        let wanted = |record: &&Recorded| {
            let Recorded { cluster, entry, .. } = record;
            let any = |list: &[String], text: Option<&str>| {
                list.is_empty() || text.is_some_and(|text| list.iter().any(|one| one == text))
            };
            query.clusters.contains(cluster)
                && (query.lines.is_empty() || query.lines.contains(entry.line()))
                && (query.subjects.is_empty() || query.subjects.contains(&entry.subject))
                && any(&query.namespaces, Some(entry.subject.namespace()))
                && any(&query.facts, Some(entry.fact.word()))
                && any(&query.reasons, entry.fact.reason())
                && query.from.is_none_or(|from| from <= entry.at)
                && query.to.is_none_or(|to| entry.at < to)
        };
        // Clusters in the order in which they were begun, which is that of their names here.
        let mut found: Vec<Recorded> = self.kept.iter().flatten().filter(wanted).cloned().collect();
        found.sort_by_key(|record| (record.entry.at, record.cluster.clone(), record.position, record.index));
        if query.order == Order::NewestFirst {
            found.reverse();
        }
        found
    }

    fn entry(&mut self, cluster: usize, thing: &Thing) -> Entry {
        // Seconds to hours: blocks within an hour, and blocks over many.
        self.now += 1 + (self.now * 7_919) % (3 * HOUR / 2);
        let own = |workload: usize| deployment("shop", WORKLOADS[workload]);
        match *thing {
            Thing::Ready(at) => ready(self.now, "shop", WORKLOADS[at]),
            Thing::Died(at, killed) => {
                death(self.now, "shop", WORKLOADS[at], if killed { "OOMKilled" } else { "Error" })
            }
            Thing::Deleted(at) => {
                self.replicas.remove(&(cluster, at));
                written(self.now, &own(at), Verb::Deleted, None, None)
            }
            Thing::Written(at) => match self.replicas.get_mut(&(cluster, at)) {
                None => {
                    self.replicas.insert((cluster, at), 1);
                    written(self.now, &own(at), Verb::Created, Some(json!({"spec": {"replicas": 1}, "of": at})), None)
                }
                Some(replicas) => {
                    *replicas += 1;
                    written(self.now, &own(at), Verb::Updated, None, Some((*replicas - 1, *replicas)))
                }
            },
        }
    }

    fn object(&self, cluster: usize, workload: usize, ms: i64) -> Option<(bool, Option<Value>)> {
        let own = deployment("shop", WORKLOADS[workload]);
        let mut state = None;
        for record in &self.ever[cluster] {
            let (Fact::Change(Written { verb, fields, object, .. }), true) =
                (&record.entry.fact, record.entry.subject == own && record.entry.at <= at(ms))
            else {
                continue;
            };
            state = match (verb, object, state) {
                (Verb::Deleted, _, _) => Some((false, None)),
                (_, Some(object), _) => Some((true, Some(object.clone()))),
                (_, None, Some((true, Some(mut object)))) => {
                    object["spec"]["replicas"] = fields[0].to.clone().unwrap();
                    Some((true, Some(object)))
                }
                (_, None, state) => state,
            };
        }
        state
    }
}

pub(crate) async fn a_store_answers_as_a_list_does(store: Db) {
    let config = Config { failure_persistence: None, ..Config::default() };
    // Every run has other courses, and says which one failed.
    let mut runner = TestRunner::new(config);
    for course in 0..COURSES {
        let steps = prop::collection::vec(step(), STEPS).new_tree(&mut runner).unwrap().current();
        let mut list = List {
            course,
            now: 0,
            kept: vec![Vec::new(); 3],
            ever: vec![Vec::new(); 3],
            marks: Vec::new(),
            replicas: BTreeMap::new(),
            cursor: None,
            seen: Vec::new(),
            open: None,
        };
        for at in 0..3 {
            list.marks.push(store.begin(&list.id(at), "spool 0", 0, crate::facts::at(0)).await.unwrap());
        }
        let every = Query { clusters: (0..3).map(|at| list.id(at)).collect(), ..Query::default() };
        list.cursor = Some(store.live(&every, None, 1).await.unwrap().next);
        for (number, step) in steps.iter().enumerate() {
            let told = format!("step {number}: {step:?} of {steps:?}");
            take(&store, &mut list, step, &told).await;
        }
        // What was followed to the end was told once each, in order, but for what was trimmed before.
        take(&store, &mut list, &Step::Follow { most: 10_000 }, "the end").await;
        for (cluster, ever) in list.ever.iter().enumerate() {
            let id = list.id(cluster);
            let seen: Vec<&Recorded> = list.seen.iter().filter(|record| record.cluster == id).collect();
            let want: Vec<&Recorded> = ever.iter().filter(|record| seen.contains(record)).collect();
            assert_eq!(seen, want, "{steps:?}");
            assert!(list.kept[cluster].iter().all(|record| seen.contains(&record)), "{steps:?}");
        }
    }
}

async fn take(store: &Db, list: &mut List, step: &Step, told: &str) {
    match step {
        Step::Append { cluster, blocks } => {
            let blocks: Vec<Vec<Entry>> =
                blocks.iter().map(|block| block.iter().map(|thing| list.entry(*cluster, thing)).collect()).collect();
            let mark = list.marks[*cluster];
            let batches = (mark.seq + 1..).zip(&blocks).map(|(seq, block)| batch(mark.epoch, seq, block)).collect();
            let (id, now) = (list.id(*cluster), at(list.now));
            for (seq, block) in (mark.seq + 1..).zip(&blocks) {
                for (index, entry) in (0..).zip(block) {
                    let position = Position { epoch: mark.epoch, seq };
                    let record = Recorded { cluster: id.clone(), position, index, entry: entry.clone() };
                    list.kept[*cluster].push(record.clone());
                    list.ever[*cluster].push(record);
                }
            }
            list.marks[*cluster] = store.append(&id, batches, now).await.unwrap();
            assert_eq!(list.marks[*cluster].seq, mark.seq + blocks.len() as u64, "{told}");
        }
        Step::Compact { blocks } => {
            store.compact(Budget { blocks: *blocks }).await.unwrap();
        }
        Step::Begin { cluster } => {
            let epoch = list.marks[*cluster].epoch;
            let begun = store.begin(&list.id(*cluster), &format!("spool {epoch}"), 0, at(list.now)).await.unwrap();
            assert_eq!(begun, Position { epoch: epoch + 1, seq: 0 }, "{told}");
            list.marks[*cluster] = begun;
        }
        Step::Trim { days, blocks } => trim(store, list, *days, *blocks, told).await,
        Step::Ask { query, most, pages } => {
            let (query, cursor, mut seen) = match list.open.take() {
                Some((query, cursor, seen)) => (query, Some(cursor), seen),
                None => (list.query(query), None, Vec::new()),
            };
            let mut next = cursor;
            for _ in 0..*pages {
                let page = store.entries(&query, next.as_ref(), *most).await.unwrap();
                assert!(page.damaged.is_empty(), "{told}");
                seen.extend(page.records);
                next = page.next;
                if next.is_none() {
                    break;
                }
            }
            match next {
                // It is gone on with later, when other things have been done.
                Some(cursor) => list.open = Some((query.clone(), cursor, seen)),
                None => {
                    let answer = list.answer(&query);
                    // What came or went while it was paged may be in it or not; all else is, in order and once.
                    let all: Vec<&Recorded> = list.ever.iter().flatten().collect();
                    assert!(seen.iter().all(|record| all.contains(&record)), "{told}");
                    assert!(
                        answer.iter().all(|record| seen.contains(record) || late(record, &seen, &query)),
                        "{told} {query:?}"
                    );
                    let key =
                        |record: &Recorded| (record.entry.at, record.cluster.clone(), record.position, record.index);
                    let sorted = |a: &Recorded, b: &Recorded| {
                        if query.order == Order::NewestFirst { key(a) > key(b) } else { key(a) < key(b) }
                    };
                    assert!(seen.is_sorted_by(sorted), "{told} {query:?}");
                }
            }
            // And one that nothing comes between.
            let answer = list.answer(&query);
            assert_eq!(all(store, &query, *most).await, answer, "{told} {query:?}");
        }
        Step::Follow { most } => {
            let query = Query { clusters: (0..3).map(|at| list.id(at)).collect(), ..Query::default() };
            let page = store.live(&query, list.cursor.as_ref(), *most).await.unwrap();
            list.seen.extend(page.records);
            list.cursor = Some(page.next);
            if *most >= 10_000 {
                let mut more = page.more;
                while more {
                    let page = store.live(&query, list.cursor.as_ref(), *most).await.unwrap();
                    list.seen.extend(page.records);
                    (list.cursor, more) = (Some(page.next), page.more);
                }
            }
        }
        Step::Look { cluster, workload, back } => look(store, list, (*cluster, *workload), *back, told).await,
    }
}

/// Whether an entry may have come before the first page was read and been missed by right: nothing is, unless it was
/// appended later than the page on which it would have been.
fn late(record: &Recorded, seen: &[Recorded], query: &Query) -> bool {
    query.order == Order::NewestFirst && seen.first().is_none_or(|first| record.entry.at > first.entry.at)
        || seen.is_empty()
        || seen.iter().any(|before| {
            let newest_first = query.order == Order::NewestFirst;
            if newest_first { before.entry.at < record.entry.at } else { before.entry.at > record.entry.at }
        })
}

async fn trim(store: &Db, list: &mut List, days: i64, blocks: usize, told: &str) {
    let retention = Retention { age: Some(SignedDuration::from_hours(days * 24)), bytes: None };
    let now = list.now;
    store.trim(&retention, Budget { blocks }, at(now)).await.unwrap();
    for cluster in 0..3 {
        let query = Query { clusters: vec![list.id(cluster)], ..Query::default() };
        let left = all(store, &query, 10_000).await;
        let before = &list.kept[cluster];
        let gone = before.len() - left.len();
        // The first ones by position went, each of them too old.
        let (went, stayed) = before.split_at(gone);
        assert!(stayed.iter().all(|record| left.contains(record)), "{told}");
        assert!(went.iter().all(|record| record.entry.at < at(now - days * DAY)), "{told}");
        list.kept[cluster] = stayed.to_vec();
    }
}

async fn look(store: &Db, list: &List, (cluster, workload): (usize, usize), back: i64, told: &str) {
    let ms = list.now - back * HOUR;
    let clusters = store.clusters().await.unwrap();
    let known = clusters.iter().find(|known| known.id == list.id(cluster)).unwrap();
    // Before the record begins it says nothing, and after that all.
    if known.begins.is_some_and(|begins| at(ms) < begins) {
        return;
    }
    let own = deployment("shop", WORKLOADS[workload]);
    let found = store.object(&list.id(cluster), &own, at(ms)).await.unwrap();
    match (list.object(cluster, workload, ms), found) {
        (Some((true, Some(want))), AsOf::There { object, .. }) => assert_eq!(object, want, "{told}"),
        (Some((false, None)), AsOf::Gone { .. } | AsOf::Unknown { .. }) | (None, AsOf::Unknown { .. }) => {}
        (want, found) => panic!("{want:?} {found:?} {told}"),
    }
}
