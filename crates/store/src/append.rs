//! Who may write a cluster, and what was written.

use crate::block::{self, Meta, Prepared};
use crate::posting::Postings;
use crate::sql::{Sql, cells, number, unsigned};
use crate::{Error, KnownCluster, episode};
use reckon_model::record::Position;
use reckon_model::{ClusterId, Timestamp};

/// How often a cluster's number is asked for while other replicas give out numbers, too.
const TRIES: usize = 10;

/// The number of a cluster, if it is known.
pub(crate) async fn find<S: Sql>(db: &mut S, cluster: &ClusterId) -> Result<Option<i64>, Error> {
    let rows = db.query("SELECT number FROM cluster WHERE id = $1", &cells![cluster.0.as_str()]).await?;
    rows.first().map(|row| row.int(0)).transpose()
}

/// The number of a cluster, which is known from now on.
async fn known<S: Sql>(db: &mut S, cluster: &ClusterId, now: Timestamp) -> Result<i64, Error> {
    for _ in 0..TRIES {
        if let Some(number) = find(db, cluster).await? {
            let sql = "INSERT INTO head VALUES ($1, '', 0, 0, NULL, $2, 0, 0, NULL, 0, 0, 0, 0) ON CONFLICT DO NOTHING";
            db.execute(sql, &cells![number, now.as_millisecond()]).await?;
            return Ok(number);
        }
        let highest = db.query("SELECT MAX(number) FROM cluster", &cells![]).await?;
        let highest = highest.first().map(|row| row.maybe_int(0)).transpose()?.flatten().unwrap_or(0);
        // Another replica may take the number first: then nothing happens here, and the next one is tried.
        let sql = "INSERT INTO cluster VALUES ($1, $2) ON CONFLICT DO NOTHING";
        db.execute(sql, &cells![highest + 1, cluster.0.as_str()]).await?;
    }
    Err(Error::Database(format!("no number was free for a new cluster in {TRIES} tries")))
}

/// Where a cluster stands, held until the transaction ends.
struct Head {
    number: i64,
    instance: String,
    epoch: i64,
    seq: i64,
}

async fn hold<S: Sql>(db: &mut S, number: i64) -> Result<Option<Head>, Error> {
    let sql = format!("SELECT instance, epoch, seq FROM head WHERE cluster = $1{}", S::FOR_UPDATE);
    let mut rows = db.query(&sql, &cells![number]).await?;
    let Some(row) = rows.first_mut() else { return Ok(None) };
    Ok(Some(Head { number, instance: row.text(0)?, epoch: row.int(1)?, seq: row.int(2)? }))
}

/// See [`crate::Store::begin`].
pub(crate) async fn begin<S: Sql>(
    db: &mut S,
    cluster: &ClusterId,
    instance: &str,
    held: u64,
    now: Timestamp,
) -> Result<Position, Error> {
    let number = known(db, cluster, now).await?;
    let head = hold(db, number).await?.ok_or(Error::NotBegun)?;
    let held = i64::try_from(held).map_err(|_| Error::NotBegun)?;
    let same = head.epoch > 0 && head.instance == instance;
    if same && held <= head.epoch {
        let sql = "UPDATE head SET heard = $1 WHERE cluster = $2 AND heard < $1";
        db.execute(sql, &cells![now.as_millisecond(), number]).await?;
        return block::position(head.epoch, head.seq);
    }
    let epoch = match held {
        0 => head.epoch + 1,
        // Given out by this store before it was put back to an earlier state.
        later if later > head.epoch => later,
        _ => return Err(Error::Fenced { epoch: unsigned(head.epoch)? }),
    };
    let sql = "UPDATE head SET instance = $1, epoch = $2, seq = 0, heard = $3 WHERE cluster = $4";
    db.execute(sql, &cells![instance, epoch, now.as_millisecond(), number]).await?;
    block::position(epoch, 0)
}

/// See [`crate::Store::append`].
pub(crate) async fn append<S: Sql>(
    db: &mut S,
    cluster: &ClusterId,
    blocks: Vec<Prepared>,
    now: Timestamp,
) -> Result<Position, Error> {
    let known = find(db, cluster).await?.ok_or(Error::NotBegun)?;
    let head = hold(db, known).await?.ok_or(Error::NotBegun)?;
    let new = after(&head, blocks)?;
    let Some(end) = new.last().map(|block| number(block.position.seq)) else {
        return block::position(head.epoch, head.seq);
    };
    let (mut entries, mut bytes, mut begins) = (0_i64, 0_i64, i64::MAX);
    let mut rows: Vec<(Meta, Vec<u8>, Postings)> = Vec::with_capacity(new.len());
    for prepared in new {
        let meta = prepared.meta(head.number, now.as_millisecond());
        (entries, bytes, begins) = (entries + meta.entries, bytes + meta.size, begins.min(meta.from));
        for (entry, turn) in &prepared.turns {
            episode::turn(db, head.number, entry, turn).await?;
        }
        rows.push((meta, prepared.bytes, prepared.postings));
    }
    block::insert(db, rows).await?;
    // Once something was trimmed, the record begins there, however old is what comes late.
    let sql = "UPDATE head SET seq = $1, heard = $2, entries = entries + $3, bytes = bytes + $4,
        begins = CASE WHEN begins IS NULL OR (trimmed_epoch = 0 AND begins > $5) THEN $5 ELSE begins END WHERE cluster = $6";
    db.execute(sql, &cells![end, now.as_millisecond(), entries, bytes, begins, head.number]).await?;
    block::position(head.epoch, end)
}

/// Those that are not kept yet.
fn after(head: &Head, blocks: Vec<Prepared>) -> Result<Vec<Prepared>, Error> {
    let (epoch, mut seq) = (unsigned(head.epoch)?, unsigned(head.seq)?);
    let mut new = Vec::new();
    for block in blocks {
        let position = block.position;
        if position.epoch < epoch {
            return Err(Error::Fenced { epoch });
        }
        if position.epoch > epoch {
            return Err(Error::NotBegun);
        }
        if position.seq <= seq {
            continue;
        }
        if block.first > seq + 1 {
            return Err(Error::Hole { mark: block::position(head.epoch, head.seq)? });
        }
        seq = position.seq;
        new.push(block);
    }
    Ok(new)
}

/// See [`crate::Store::mark`].
pub(crate) async fn mark<S: Sql>(db: &mut S, cluster: &ClusterId) -> Result<Option<Position>, Error> {
    let sql = "SELECT h.epoch, h.seq FROM cluster c JOIN head h ON h.cluster = c.number WHERE c.id = $1";
    let rows = db.query(sql, &cells![cluster.0.as_str()]).await?;
    rows.first().map(|row| block::position(row.int(0)?, row.int(1)?)).transpose()
}

/// See [`crate::Store::heard_of`].
pub(crate) async fn heard_of<S: Sql>(
    db: &mut S,
    cluster: &ClusterId,
    name: Option<&str>,
    now: Timestamp,
) -> Result<(), Error> {
    let number = known(db, cluster, now).await?;
    let sql = "UPDATE head SET name = COALESCE($1, name), heard = CASE WHEN heard < $2 THEN $2 ELSE heard END
        WHERE cluster = $3";
    db.execute(sql, &cells![name, now.as_millisecond(), number]).await?;
    Ok(())
}

/// See [`crate::Store::clusters`].
pub(crate) async fn clusters<S: Sql>(db: &mut S) -> Result<Vec<KnownCluster>, Error> {
    let sql = "SELECT c.id, h.name, h.heard, h.epoch, h.seq, h.entries, h.bytes, h.begins
        FROM cluster c JOIN head h ON h.cluster = c.number ORDER BY c.id";
    let mut known = Vec::new();
    for mut row in db.query(sql, &cells![]).await? {
        known.push(KnownCluster {
            id: ClusterId(row.text(0)?),
            name: row.maybe_text(1)?,
            heard: time(row.int(2)?)?,
            mark: block::position(row.int(3)?, row.int(4)?)?,
            entries: unsigned(row.int(5)?)?,
            bytes: unsigned(row.int(6)?)?,
            begins: row.maybe_int(7)?.map(time).transpose()?,
        });
    }
    Ok(known)
}

/// A time as it is stored: milliseconds since 1970.
pub(crate) fn time(ms: i64) -> Result<Timestamp, Error> {
    Timestamp::from_millisecond(ms).map_err(|error| Error::Corrupt(format!("a time: {error}")))
}

/// Holds a cluster until the transaction ends. `false` where it is not known.
pub(crate) async fn lock<S: Sql>(db: &mut S, cluster: i64) -> Result<bool, Error> {
    Ok(hold(db, cluster).await?.is_some())
}
