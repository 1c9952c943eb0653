//! What is counted. Each case does all its preparation whatever its count is, so that the difference of two counts is the
//! cost of what was counted and nothing else.

use crate::ill;
use crate::world::{engine, now, pods, world};
use anyhow::{Result, ensure};
use reckon_cluster::{Line, Lines, MAX_ITEM_BYTES, Piece, Splitter, written};
use reckon_detect::{Engine, Scope};
use reckon_model::diff::diff;
use reckon_model::{Kind, Object, Specs};
use serde_json::Value;
use std::hint::black_box;

/// How much a socket hands over at once.
const CHUNK: usize = 64 << 10;

/// One thing that is counted.
pub(crate) struct Case {
    /// As in the file of thresholds.
    pub(crate) name: &'static str,
    /// What one item is.
    pub(crate) item: &'static str,
    /// The two counts; the second at most as many as there are pods.
    pub(crate) counts: (usize, usize),
    /// Works on so many items.
    pub(crate) run: fn(usize) -> Result<()>,
}

/// Pods of the world that the cases work on. Callgrind is fifty times slower than the processor, and the set-up of each run
/// costs more than what is counted.
const PODS: usize = 300;

/// Every case.
pub(crate) const CASES: &[Case] = &[
    Case { name: "list", item: "pod of a list: split, decode, redact, apply", counts: (100, 200), run: list },
    Case { name: "watch", item: "change of a pod: split, decode, redact, apply", counts: (100, 200), run: watch },
    Case { name: "diff", item: "pod compared with an earlier state, field by field", counts: (50, 100), run: compare },
    Case {
        name: "diagnose",
        item: "change of a pod among 300, and all that is wrong told anew",
        counts: (8, 16),
        run: diagnose,
    },
    Case { name: "full", item: "full detection over 10,000 pods with 500 problems", counts: (0, 1), run: ill::full },
];

fn list(count: usize) -> Result<()> {
    let (world, _) = world(PODS)?;
    let all = pods(&world);
    let mut body = br#"{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"1"},"items":["#.to_vec();
    body.extend(all[..count].join(&b','));
    body.extend(b"]}");
    let specs = Specs::default();
    let mut engine = Engine::new(reckon_detect::State::default().with_specs(specs.clone()));
    let mut splitter = Splitter::default();
    let mut seen = 0;
    for chunk in body.chunks(CHUNK) {
        splitter.push(chunk, &mut |piece| {
            if let Piece::Item(json) = piece
                && let Ok(pod) = Object::decode_with(&specs, json, Some(&Kind::Pod))
            {
                engine.state_mut().apply(pod);
                seen += 1;
            }
        })?;
    }
    ensure!(seen == count, "{seen} of {count} pods were read");
    Ok(())
}

/// Takes lines of a watch into an engine; `after` is called for each.
fn take((engine, specs): &mut (Engine, Specs), lines: &[u8], after: &mut dyn FnMut(&mut Engine)) -> usize {
    let mut splitter = Lines::new(MAX_ITEM_BYTES);
    let mut seen = 0;
    for chunk in lines.chunks(CHUNK) {
        splitter.push(chunk, &mut |line| {
            let Line::Whole(line) = line else { return };
            let Some(object) = written(line) else { return };
            if let Ok(pod) = Object::decode_with(specs, object, Some(&Kind::Pod)) {
                engine.state_mut().apply(pod);
                after(engine);
                seen += 1;
            }
        });
    }
    seen
}

/// An engine that knows the world, and lines that change so many pods of it.
fn changed(count: usize) -> Result<((Engine, Specs), Vec<u8>)> {
    let (mut world, mut churn) = world(PODS)?;
    let engine = engine(&world)?;
    world.churn(&mut churn, 5 * PODS as u64);
    let mut lines = Vec::new();
    for pod in &pods(&world)[..count] {
        lines.extend(br#"{"type":"MODIFIED","object":"#);
        lines.extend(pod);
        lines.extend(b"}\n");
    }
    Ok((engine, lines))
}

fn watch(count: usize) -> Result<()> {
    let (mut engine, lines) = changed(count)?;
    let seen = take(&mut engine, &lines, &mut |_| {});
    ensure!(seen == count, "{seen} of {count} changes were read");
    Ok(())
}

fn diagnose(count: usize) -> Result<()> {
    let (mut engine, lines) = changed(count)?;
    let now = now()?;
    let found = engine.0.diagnose(&Scope::Cluster, now).problems.len();
    ensure!(found > 0, "nothing is wrong in a world that was made ill");
    let seen = take(&mut engine, &lines, &mut |engine| {
        black_box(engine.diagnose(&Scope::Cluster, now));
    });
    ensure!(seen == count, "{seen} of {count} changes were read");
    Ok(())
}

fn compare(count: usize) -> Result<()> {
    let (mut world, mut churn) = world(PODS)?;
    let value = |bytes: &Vec<u8>| serde_json::from_slice::<Value>(bytes);
    let before = pods(&world).iter().take(100).map(value).collect::<Result<Vec<_>, _>>()?;
    world.churn(&mut churn, 5 * PODS as u64);
    let after = pods(&world).iter().take(100).map(value).collect::<Result<Vec<_>, _>>()?;
    let differ = before.iter().zip(&after).take(count).filter(|(old, new)| !diff(old, new, "", "").is_empty()).count();
    ensure!(differ > count / 2, "{differ} of {count} pods differ");
    Ok(())
}
