//! What the store takes: `cargo bench -p reckon-store --bench measure -- [CHANGES] [CLUSTERS...]`.
//!
//! Changes are made up as a cluster makes them (`company`) and spread over 90 days. Told are durable ingest, bytes on disk for
//! each change, and for each number of clusters what three questions take: time, and pages of 4 KiB that a store just opened
//! reads for one.

#![expect(clippy::cast_possible_truncation, reason = "what is told is rounded anyway")]
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a measurement prints, and fails by panicking")]

mod company;

use company::Company;
use reckon_model::record::{Batch, Block, Position};
use reckon_model::{ClusterId, Kind, ResourceRef, SignedDuration};
use reckon_store::{Budget, Order, Query, Sqlite, Store};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

const DAYS: i64 = 90;
/// Agents that send at the same time.
const AGENTS: usize = 16;
/// Questions of each kind.
const QUESTIONS: usize = 200;

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    let changes: usize = arguments.next().map_or(1_000_000, |text| text.parse().unwrap());
    let mut clusters: Vec<usize> = arguments.map(|text| text.parse().unwrap()).collect();
    if clusters.is_empty() {
        clusters = vec![1, 10, 100];
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    for count in clusters {
        runtime.block_on(measure(changes, count));
    }
}

fn id(cluster: usize) -> ClusterId {
    ClusterId(format!("{cluster:08}-0000-4000-8000-000000000000"))
}

async fn measure(changes: usize, clusters: usize) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("record.db");
    let companies: Vec<Company> = (0..clusters).map(|seed| Company::new(seed as u64 + 1)).collect();
    let packed = pack(&companies, changes / clusters);
    let entries: u64 = packed.iter().flatten().map(|batch| u64::from(batch.block.count)).sum();
    let bytes: usize = packed.iter().flatten().map(|batch| batch.block.bytes.len()).sum();
    println!("{entries} changes of {clusters} clusters, blocks {} B a change", bytes as f64 / entries as f64);
    ingest(&path, packed, entries).await;
    let store = Sqlite::open(&path).unwrap();
    let begin = Instant::now();
    let (mut from, mut to, mut longest) = (0, 0, Duration::ZERO);
    loop {
        let step = Instant::now();
        let done = store.compact(Budget { blocks: 64 }).await.unwrap();
        longest = longest.max(step.elapsed());
        (from, to) = (from + done.from, to + done.to);
        if !done.more {
            break;
        }
    }
    println!("  compaction: {from} blocks to {to} in {:.1?}, a step at most {longest:.1?}", begin.elapsed());
    drop(store);
    let size = size(&path);
    println!("  on disk: {:.1} B a change", size as f64 / entries as f64);
    ask(&path, &companies).await;
}

/// Blocks as agents send them: full where much happens.
fn pack(companies: &[Company], each: usize) -> Vec<Vec<Batch>> {
    let pack = |company: &Company| {
        let entries = company.entries(each, SignedDuration::from_hours(DAYS * 24));
        let blocks = Block::pack(&entries).unwrap();
        (1..).zip(blocks).map(|(seq, block)| Batch::new(Position { epoch: 1, seq }, block)).collect()
    };
    companies.iter().map(pack).collect()
}

async fn ingest(path: &Path, packed: Vec<Vec<Batch>>, entries: u64) {
    let store: Arc<dyn Store> = Arc::new(Sqlite::open(path).unwrap());
    // Each agent has its clusters; each cluster waits for its acknowledgement before the next block.
    let mut agents: Vec<Vec<(usize, Vec<Batch>)>> = (0..AGENTS).map(|_| Vec::new()).collect();
    for (cluster, batches) in packed.into_iter().enumerate() {
        store.begin(&id(cluster), "spool", 0, company::begin()).await.unwrap();
        agents[cluster % AGENTS].push((cluster, batches));
    }
    let (begin, cpu) = (Instant::now(), cpu());
    let tasks: Vec<_> = agents
        .into_iter()
        .map(|clusters| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let mut waits = Vec::new();
                for (cluster, batches) in clusters {
                    let id = id(cluster);
                    for batch in batches {
                        let (sent, now) = (Instant::now(), batch.block.last);
                        store.append(&id, vec![batch], now).await.unwrap();
                        waits.push(sent.elapsed());
                    }
                }
                waits
            })
        })
        .collect();
    let mut waits = Vec::new();
    for task in tasks {
        waits.extend(task.await.unwrap());
    }
    let (took, used) = (begin.elapsed(), self::cpu() - cpu);
    println!(
        "  ingest: {:.0} changes/s, {:.0} per second of processor; acknowledged p50 {:.1?} p99 {:.1?} most {:.1?}",
        entries as f64 / took.as_secs_f64(),
        entries as f64 / used.as_secs_f64(),
        quantile(&mut waits, 0.5),
        quantile(&mut waits, 0.99),
        quantile(&mut waits, 1.0),
    );
}

async fn ask(path: &Path, companies: &[Company]) {
    let end = company::begin() + SignedDuration::from_hours(DAYS * 24);
    let mut dice = company::Dice(99);
    let mut timeline = |whole: bool| {
        let cluster = dice.below(companies.len());
        let (namespace, name) = companies[cluster].workload(&mut dice);
        let line = ResourceRef::new(Kind::Deployment, Some(&namespace), &name);
        (Query { clusters: vec![id(cluster)], lines: vec![line], ..Query::default() }, whole)
    };
    let timelines: Vec<_> = (0..QUESTIONS).map(|_| timeline(false)).collect();
    let whole: Vec<_> = (0..QUESTIONS / 4).map(|_| timeline(true)).collect();
    let hour = |cluster| Query {
        clusters: vec![id(cluster)],
        from: Some(end - SignedDuration::from_hours(1)),
        ..Query::default()
    };
    let hours: Vec<_> = (0..QUESTIONS).map(|at| (hour(at % companies.len()), true)).collect();
    let killed = Query {
        facts: vec!["death".to_owned()],
        reasons: vec!["OOMKilled".to_owned()],
        from: Some(end - SignedDuration::from_hours(24)),
        order: Order::NewestFirst,
        ..Query::default()
    };
    let kills = vec![(killed, true); 20];
    let questions = [
        ("a workload's timeline over 90 days, its last 100", timelines),
        ("a workload's timeline over 90 days, all of it", whole),
        ("what changed here in the last hour, all of it", hours),
        ("OOM kills of the fleet in 24 h, all of it", kills),
    ];
    for (name, queries) in questions {
        let (mut times, mut found) = (Vec::new(), 0);
        let store = Sqlite::open(path).unwrap();
        for (query, whole) in &queries {
            let begin = Instant::now();
            found += answer(&store, query, *whole).await;
            times.push(begin.elapsed());
        }
        drop(store);
        let mut pages = 0;
        for (query, whole) in queries.iter().take(10) {
            let store = Sqlite::open(path).unwrap();
            store.check().await.unwrap();
            let before = read();
            answer(&store, query, *whole).await;
            pages += read() - before;
        }
        println!(
            "  {name}: p50 {:.2?} p99 {:.2?}; {:.0} entries, {:.0} pages read",
            quantile(&mut times, 0.5),
            quantile(&mut times, 0.99),
            found as f64 / queries.len() as f64,
            pages as f64 / 4096.0 / queries.len().min(10) as f64,
        );
    }
}

async fn answer(store: &Sqlite, query: &Query, whole: bool) -> usize {
    let mut found = 0;
    let mut cursor = None;
    loop {
        let page = store.entries(query, cursor.as_ref(), if whole { 1_000 } else { 100 }).await.unwrap();
        found += page.records.len();
        cursor = page.next;
        if cursor.is_none() || !whole {
            return found;
        }
    }
}

fn quantile(times: &mut [Duration], at: f64) -> Duration {
    times.sort_unstable();
    times[(((times.len() - 1) as f64) * at).round() as usize]
}

fn size(path: &Path) -> u64 {
    let beside = ["", "-wal", "-shm"].map(|end| format!("{}{end}", path.display()));
    beside.iter().filter_map(|path| std::fs::metadata(path).ok()).map(|file| file.len()).sum()
}

/// Bytes that this process read so far.
fn read() -> u64 {
    let text = std::fs::read_to_string("/proc/self/io").unwrap();
    text.lines().find_map(|line| line.strip_prefix("rchar: ")).unwrap().parse().unwrap()
}

/// Processor time of this process so far; the kernel counts it in hundredths of a second.
fn cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap();
    // After the name and the state: utime and stime are the eleventh and twelfth.
    let fields: Vec<&str> = text.rsplit(')').next().unwrap().split_whitespace().skip(1).collect();
    let ticks = |at: usize| fields[at].parse::<u64>().unwrap();
    Duration::from_millis((ticks(10) + ticks(11)) * 10)
}
