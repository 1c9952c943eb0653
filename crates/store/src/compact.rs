//! Packing small blocks together.
//!
//! A quiet cluster sends an entry at a time, and a block of one takes ten times the bytes of its share in a full one. Blocks
//! that follow each other are packed once there are [`FAN`] of a size, those again once there are as many of the next size, so
//! that an entry is packed anew three times and not each time that another comes. Each keeps its place: the packed block says
//! how many entries came in which of the old ones.

use crate::block::{self, META, Meta, write_parts};
use crate::posting::Postings;
use crate::sql::{Sql, cells};
use crate::{Budget, Compacted, Error, append};
use reckon_model::record::{Lines, MOST_ENTRIES};

/// How many blocks of one size become one of the next.
const FAN: usize = 16;

/// A block of more entries is full enough.
const FULL: i64 = 500;

/// A packed block has no more bytes of JSON: as one that an agent packs.
const LARGE: usize = 512 * 1024;

/// A block of more packed bytes is full enough, however few entries it has.
const HEAVY: i64 = 64 * 1024;

/// How many blocks of a cluster are looked at at once.
const WINDOW: usize = 256;

/// See [`crate::Store::compact`].
pub(crate) async fn compact<S: Sql>(db: &mut S, budget: Budget) -> Result<Compacted, Error> {
    let mut done = Compacted::default();
    let sql = "SELECT cluster, packed_epoch, packed_seq FROM head
        WHERE (packed_epoch, packed_seq) < (epoch, seq) ORDER BY heard DESC";
    for row in db.query(sql, &cells![]).await? {
        let (cluster, mut since) = (row.int(0)?, (row.int(1)?, row.int(2)?));
        loop {
            if done.from >= budget.blocks as u64 {
                done.more = true;
                return Ok(done);
            }
            if !cluster_once(db, cluster, &mut since, &mut done).await? {
                break;
            }
        }
    }
    Ok(done)
}

/// Packs one run of a cluster. `false` where there is none.
async fn cluster_once<S: Sql>(
    db: &mut S,
    cluster: i64,
    since: &mut (i64, i64),
    done: &mut Compacted,
) -> Result<bool, Error> {
    append::lock(db, cluster).await?;
    let sql = format!(
        "SELECT {META} FROM block b WHERE b.cluster = $1 AND (b.epoch, b.last) > ($2, $3)
            ORDER BY b.epoch, b.last LIMIT {WINDOW}"
    );
    let mut rows = db.query(&sql, &cells![cluster, since.0, since.1]).await?;
    let metas = rows.iter_mut().map(|row| Meta::read(row, 0)).collect::<Result<Vec<_>, _>>()?;
    if let Some(run) = run(&metas) {
        let run = &metas[run];
        if pack(db, run).await? {
            done.from += run.len() as u64;
            done.to += 1;
        } else if let Some(last) = run.last() {
            // What cannot be read, or is too large together, stays as it is.
            settle(db, last, since).await?;
        }
        return Ok(true);
    }
    // What is full, or lies between such, is not looked at again.
    let settled = metas.iter().rposition(full).map(|at| &metas[at]);
    let settled = settled.or_else(|| metas.last().filter(|_| metas.len() == WINDOW));
    if let Some(settled) = settled {
        settle(db, settled, since).await?;
    }
    Ok(settled.is_some())
}

/// Nothing up to this block is looked at again.
async fn settle<S: Sql>(db: &mut S, meta: &Meta, since: &mut (i64, i64)) -> Result<(), Error> {
    *since = (meta.epoch, meta.last);
    let sql = "UPDATE head SET packed_epoch = $1, packed_seq = $2 WHERE cluster = $3";
    db.execute(sql, &cells![meta.epoch, meta.last, meta.cluster]).await?;
    Ok(())
}

fn full(meta: &Meta) -> bool {
    meta.entries > FULL || meta.size > HEAVY
}

/// Which size a block has: the power of [`FAN`] of its entries.
fn tier(meta: &Meta) -> u32 {
    u32::try_from(meta.entries).unwrap_or(1).max(1).ilog2() / FAN.ilog2()
}

/// Blocks to pack into one: [`FAN`] of a size, or fewer where something larger follows, so that none will be added to them.
fn run(metas: &[Meta]) -> Option<std::ops::Range<usize>> {
    let mut begin = 0;
    while begin < metas.len() {
        let first = &metas[begin];
        let fits = |at: usize, meta: &Meta| {
            let sum: i64 = metas[begin..=at].iter().map(|meta| meta.entries).sum();
            let size: i64 = metas[begin..=at].iter().map(|meta| meta.size).sum();
            !full(meta)
                && meta.epoch == first.epoch
                && tier(meta) == tier(first)
                && sum <= MOST_ENTRIES as i64
                && (size <= HEAVY || at == begin)
        };
        let end = (begin..metas.len()).find(|at| !fits(*at, &metas[*at])).unwrap_or(metas.len());
        let closed = end < metas.len() && (tier(&metas[end]) >= tier(first) || metas[end].epoch != first.epoch);
        let end = end.min(begin + FAN);
        if end - begin >= FAN || (closed && end - begin >= 2) {
            return Some(begin..end);
        }
        begin = end.max(begin + 1);
    }
    None
}

/// Packs blocks into one. `false` where they stay as they are.
async fn pack<S: Sql>(db: &mut S, metas: &[Meta]) -> Result<bool, Error> {
    let mut read = Vec::new();
    for meta in metas {
        match block::read(db, meta).await? {
            Ok(block) => read.push(block),
            Err(_) => return Ok(false),
        }
    }
    let lines: Vec<Lines> = read.iter().map(|(lines, _)| lines.clone()).collect();
    let large = lines.iter().map(Lines::len).sum::<usize>() > LARGE;
    let (Some(first), Some(last), false) = (metas.first(), metas.last(), large) else { return Ok(false) };
    let Ok(bytes) = Lines::pack_together(&lines) else { return Ok(false) };
    let mut postings = Postings::default();
    for lines in &lines {
        let Ok(outlines) = lines.outlines() else { return Ok(false) };
        let Postings { objects, facts } = Postings::of(&outlines);
        postings.objects.extend(objects);
        postings.facts.extend(facts);
    }
    let mut counts = Vec::new();
    for (meta, (_, places)) in metas.iter().zip(&read) {
        for seq in meta.first..=meta.last {
            counts.push(places.iter().filter(|(at, _)| *at == seq).count() as u64);
        }
    }
    for (meta, lines) in metas.iter().zip(&lines) {
        let own = lines.outlines().map(|outlines| Postings::of(&outlines)).ok();
        block::remove(db, meta, own.as_ref()).await?;
    }
    let size = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
    let saved: i64 = metas.iter().map(|meta| meta.size).sum::<i64>() - size;
    let mut meta = Meta {
        cluster: first.cluster,
        epoch: first.epoch,
        last: last.last,
        first: first.first,
        entries: metas.iter().map(|meta| meta.entries).sum(),
        from: metas.iter().map(|meta| meta.from).min().unwrap_or(first.from),
        to: metas.iter().map(|meta| meta.to).max().unwrap_or(last.to),
        arrived: metas.iter().map(|meta| meta.arrived).max().unwrap_or(last.arrived),
        size,
        crc: 0,
        parts: Some(write_parts(&counts)),
    };
    meta.crc = meta.checksum(&bytes);
    let cluster = meta.cluster;
    block::insert(db, vec![(meta, bytes, postings)]).await?;
    db.execute("UPDATE head SET bytes = bytes - $1 WHERE cluster = $2", &cells![saved, cluster]).await?;
    Ok(true)
}
