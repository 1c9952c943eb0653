//! What a spool costs: `cargo run --release -p reckon-agent --example spool [DIRECTORY]`.
//!
//! Changes as they are: fields of Deployments and ConfigMaps of two hundred workloads, and pods that turn.

use reckon_agent::Spool;
use reckon_agent::spool::Limits;
use reckon_model::change::{Actor, ActorSource, FieldChange, Verb};
use reckon_model::record::{Entry, Fact, Phase, PhaseTurn, Written};
use reckon_model::{ClusterId, Kind, ResourceRef, SignedDuration, Timestamp};
use std::time::{Duration, Instant};

#[expect(clippy::print_stdout, reason = "it is what this is for")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let temporary = tempfile::tempdir()?;
    let directory = std::env::args().nth(1).map_or_else(|| temporary.path().join("spool"), Into::into);
    let limits = Limits { bytes: 1024 * 1024 * 1024, ..Limits::default() };
    let cluster = ClusterId("measured".to_owned());
    let spool = Spool::open(&directory, &cluster, limits)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;

    for (writers, each) in [(1_u64, 1_u64), (64, 1), (8, 100), (8, 1000)] {
        let begin = (Instant::now(), spool.status().borrow().bytes);
        let (count, mut waits) = runtime.block_on(append(&spool, writers, each, Duration::from_secs(4)))?;
        let seconds = begin.0.elapsed().as_secs_f64();
        let bytes = spool.status().borrow().bytes - begin.1;
        waits.sort();
        let at = |part: usize| waits.get(waits.len() * part / 100).copied().unwrap_or_default().as_secs_f64() * 1000.0;
        println!(
            "{writers:>3} writers of {each:>4} entries: {:>8.0} entries/s, {:>7.0} appends/s, p50 {:.1} ms, p99 {:.1} ms, {:.0} bytes an entry",
            count as f64 / seconds,
            waits.len() as f64 / seconds,
            at(50),
            at(99),
            bytes as f64 / count as f64
        );
    }
    let last = spool.status().borrow().last;
    let begin = Instant::now();
    let (mut after, mut read) = (0, 0);
    while after < last {
        let blocks = runtime.block_on(spool.read(after, 256 * 1024))?;
        read += blocks.iter().map(|block| block.block.len()).sum::<usize>();
        after = blocks.last().map_or(last, |block| block.last);
    }
    println!("read {:.0} MB in order: {:.2} s", read as f64 / 1e6, begin.elapsed().as_secs_f64());

    // Large blocks fill it to a size that tells something of opening it.
    let noise: String = (0..1_000_000).map(|_| fastrand::alphanumeric()).collect();
    while spool.status().borrow().bytes < 900_000_000 {
        let mut large = entry(1);
        if let Fact::Change(written) = &mut large.fact {
            written.object = Some(noise.clone().into());
        }
        runtime.block_on(spool.append(vec![large]))?;
    }
    let bytes = spool.status().borrow().bytes;
    runtime.block_on(spool.close());
    let begin = Instant::now();
    let spool = Spool::open(&directory, &cluster, limits)?;
    let seconds = begin.elapsed().as_secs_f64();
    println!("opening {:.0} MB: {seconds:.2} s, {:.2} s per GB", bytes as f64 / 1e6, seconds * 1e9 / bytes as f64);
    runtime.block_on(spool.close());
    Ok(())
}

/// How many entries were appended, and how long each append took.
async fn append(
    spool: &Spool,
    writers: u64,
    each: u64,
    during: Duration,
) -> Result<(u64, Vec<Duration>), Box<dyn std::error::Error>> {
    let begin = Instant::now();
    let tasks = (0..writers).map(|writer| async move {
        let mut waits = Vec::new();
        let mut id = writer * 1_000_000_000;
        while begin.elapsed() < during {
            let entries = (id..id + each).map(entry).collect();
            id += each;
            let asked = Instant::now();
            spool.append(entries).await?;
            waits.push(asked.elapsed());
        }
        Ok::<_, reckon_agent::spool::AppendError>(waits)
    });
    let waits = futures::future::try_join_all(tasks).await?.concat();
    Ok((waits.len() as u64 * each, waits))
}

fn entry(id: u64) -> Entry {
    let mut dice = fastrand::Rng::with_seed(id);
    let workload = ResourceRef::new(Kind::Deployment, Some("shop"), &format!("service-{}", dice.u8(..200)));
    let uid = |dice: &mut fastrand::Rng| format!("{:08x}-{:04x}-4{:03x}", dice.u32(..), dice.u16(..), dice.u16(..4096));
    let at = Timestamp::from_second(1_800_000_000).unwrap_or_default()
        + SignedDuration::from_millis(i64::from(dice.u32(..)));
    if dice.u8(..10) < 7 {
        let pod = format!("{}-7d9f6c5b4-{:05x}", workload.name, dice.u32(..0x10_0000));
        let subject = ResourceRef { uid: Some(uid(&mut dice)), ..ResourceRef::new(Kind::Pod, Some("shop"), &pod) };
        let (from, to) = if dice.bool() { (Phase::Starting, Phase::Ready) } else { (Phase::Ready, Phase::Terminating) };
        let node = Some(format!("node-{}", dice.u8(..50)));
        let fact = Fact::Phase(PhaseTurn { to, from: Some(from), node, reason: None });
        return Entry { at, subject, workload: Some(workload), fact };
    }
    let field = |name: &str, from: String, to: String| FieldChange {
        field: format!("spec.template.spec.containers[app].{name}"),
        pointer: format!("/spec/template/spec/containers/0/{name}"),
        from: Some(from.into()),
        to: Some(to.into()),
    };
    let image = |dice: &mut fastrand::Rng| format!("registry.example/shop/app:{:07x}", dice.u32(..0x1000_0000));
    let fields = vec![field("image", image(&mut dice), image(&mut dice))];
    let actor = Some(Actor { manager: "argocd-controller".to_owned(), user: None, source: ActorSource::ManagedFields });
    let version = dice.u32(..).to_string();
    let generation = Some(i64::from(dice.u8(..)));
    let fact =
        Fact::Change(Written { verb: Verb::Updated, fields, actor, generation, version, object: None, after: None });
    let subject = ResourceRef { uid: Some(uid(&mut dice)), ..workload };
    Entry { at, subject, workload: None, fact }
}
