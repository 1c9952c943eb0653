//! Letting go of what is too old or too much.
//!
//! A cluster's blocks go in the order of their positions, never one from the middle: so what was written of an object goes in
//! the order in which it was written, and a state that is kept of it can take the place of what went.

use crate::block::{self, META, Meta};
use crate::object::{self, Standing};
use crate::posting::Postings;
use crate::sql::{Sql, cells};
use crate::{Budget, Error, Retention, Trimmed, append};
use reckon_model::record::Entry;
use reckon_model::{ResourceRef, Timestamp};
use std::collections::BTreeMap;

/// How many blocks of one cluster go before the next oldest is looked for.
const AT_ONCE: usize = 8;

/// See [`crate::Store::trim`].
pub(crate) async fn trim<S: Sql>(
    db: &mut S,
    retention: &Retention,
    budget: Budget,
    now: Timestamp,
) -> Result<Trimmed, Error> {
    let cut = retention.age.map(|age| now.checked_sub(age).unwrap_or(Timestamp::MIN).as_millisecond());
    let mut trimmed = Trimmed::default();
    if let Some(cut) = cut {
        trim_episodes(db, cut).await?;
    }
    let mut held: i64 = 0;
    let mut oldest: Vec<(i64, i64)> = Vec::new();
    for row in db.query("SELECT cluster, bytes FROM head ORDER BY cluster", &cells![]).await? {
        held += row.int(1)?;
        let cluster = row.int(0)?;
        if let Some(meta) = first(db, cluster, 1).await?.first() {
            oldest.push((age_of(meta), cluster));
        }
    }
    let most = retention.bytes.map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX));
    let mut left = budget.blocks;
    loop {
        oldest.sort_unstable();
        let Some((at, cluster)) = oldest.first().copied() else { return Ok(trimmed) };
        let due = |at: i64, held: i64| cut.is_some_and(|cut| at < cut) || most.is_some_and(|most| held > most);
        if !due(at, held) {
            return Ok(trimmed);
        }
        if left == 0 {
            trimmed.more = true;
            return Ok(trimmed);
        }
        append::lock(db, cluster).await?;
        let metas = first(db, cluster, AT_ONCE.min(left) + 1).await?;
        let (mut going, mut next) = (Vec::new(), None);
        for meta in metas {
            if going.len() < left && going.len() < AT_ONCE && due(age_of(&meta), held) {
                held -= meta.size;
                going.push(meta);
            } else {
                next = Some(age_of(&meta));
                break;
            }
        }
        left -= going.len();
        let stuck = going.is_empty();
        let_go(db, cluster, going, &mut trimmed).await?;
        match next {
            // Another replica has been here.
            Some(_) if stuck && left > 0 => {
                oldest.remove(0);
            }
            Some(next) => oldest[0] = (next, cluster),
            None => {
                oldest.remove(0);
            }
        }
    }
}

/// How old a block is: by its latest entry, but who says that it is of tomorrow is as old as when he said it.
fn age_of(meta: &Meta) -> i64 {
    meta.to.min(meta.arrived)
}

async fn first<S: Sql>(db: &mut S, cluster: i64, most: usize) -> Result<Vec<Meta>, Error> {
    let sql =
        format!("SELECT {META} FROM block b WHERE b.cluster = $1 ORDER BY b.cluster, b.epoch, b.last LIMIT {most}");
    db.query(&sql, &cells![cluster]).await?.iter_mut().map(|row| Meta::read(row, 0)).collect()
}

async fn let_go<S: Sql>(db: &mut S, cluster: i64, metas: Vec<Meta>, trimmed: &mut Trimmed) -> Result<(), Error> {
    let Some((last, cut)) = metas.last().map(|last| (last.place(), metas.iter().map(age_of).max())) else {
        return Ok(());
    };
    let mut states: BTreeMap<ResourceRef, Option<Standing>> = BTreeMap::new();
    let (mut entries, mut bytes) = (0, 0);
    for meta in &metas {
        let read = block::read(db, meta).await?.and_then(|(lines, _)| {
            let postings = lines.outlines().map(|outlines| Postings::of(&outlines)).map_err(|error| error.to_string());
            postings.map(|postings| (lines, postings))
        });
        match read {
            Ok((lines, postings)) => {
                for line in lines.iter() {
                    if !wrote(line) {
                        continue;
                    }
                    let Ok(Entry { at, subject, workload: _, fact }) = serde_json::from_slice(line) else { continue };
                    let Some(written) = fact.into_written() else { continue };
                    let before = match states.get_mut(&subject) {
                        Some(state) => state.take(),
                        None => object::base(db, cluster, &subject).await.ok().flatten().map(Standing::There),
                    };
                    states.insert(subject, object::after(before, at, &written));
                }
                block::remove(db, meta, Some(&postings)).await?;
            }
            // What nobody can read goes like all else; what was in it is missing from the states, too.
            Err(_) => block::remove(db, meta, None).await?,
        }
        entries += meta.entries;
        bytes += meta.size;
        trimmed.blocks += 1;
    }
    for (subject, state) in &states {
        trimmed.kept += u64::from(matches!(state, Some(Standing::There(_))));
        object::keep(db, cluster, subject, state.as_ref()).await?;
    }
    let begins = cut.unwrap_or_default();
    let sql = "UPDATE head SET entries = entries - $1, bytes = bytes - $2, trimmed_epoch = $3, trimmed_seq = $4,
        begins = CASE WHEN begins IS NULL OR begins < $5 THEN $5 ELSE begins END WHERE cluster = $6";
    db.execute(sql, &cells![entries, bytes, last.1, last.2, begins, cluster]).await?;
    trimmed.entries += u64::try_from(entries).unwrap_or_default();
    trimmed.bytes += u64::try_from(bytes).unwrap_or_default();
    let cut = append::time(begins)?;
    trimmed.cut = Some(trimmed.cut.map_or(cut, |before| before.max(cut)));
    Ok(())
}

/// Whether a line may say how an object's written parts are, at a glance.
fn wrote(line: &[u8]) -> bool {
    let says = |word: &[u8]| memchr::memmem::find(line, word).is_some();
    says(b"\"change\"") || says(b"\"seen\"") || memchr::memchr(b'\\', line).is_some()
}

async fn trim_episodes<S: Sql>(db: &mut S, cut: i64) -> Result<(), Error> {
    let sql =
        "SELECT cluster, problem, episode FROM episode WHERE standing = 0 AND opened < $1 AND closed < $1 LIMIT 200";
    for mut row in db.query(sql, &cells![cut]).await? {
        let params = cells![row.int(0)?, row.text(1)?, row.int(2)?];
        for table in ["snapshot", "episode"] {
            let sql = format!("DELETE FROM {table} WHERE cluster = $1 AND problem = $2 AND episode = $3");
            db.execute(&sql, &params).await?;
        }
    }
    Ok(())
}
