//! Objects as of a time.
//!
//! Reading goes back from that time to the last whole state, and then forward again over what was written since. Where the
//! record was trimmed, a whole state of each object as it was then takes the place of what is gone (`base`).

use crate::append::{find, time};
use crate::sql::{Sql, cells};
use crate::{AsOf, Error, Order, Query, Recorded};
use reckon_model::diff::apply;
use reckon_model::record::Written;
use reckon_model::{ClusterId, ResourceRef, Timestamp, Verb};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How many writes are read at once.
const AT_ONCE: usize = 200;

/// A whole state that was kept when the record before it was trimmed; as it is stored, JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Base {
    /// When it was last written.
    pub(crate) at: Timestamp,
    /// `metadata.resourceVersion` then.
    pub(crate) version: String,
    /// All that was recorded of it.
    pub(crate) object: Value,
}

/// How an object stands after a write.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Standing {
    There(Base),
    Gone(Timestamp),
}

/// The state after a write; `None` where it follows from nothing.
pub(crate) fn after(before: Option<Standing>, at: Timestamp, written: &Written) -> Option<Standing> {
    if written.verb == Verb::Deleted {
        return Some(Standing::Gone(at));
    }
    let object = match (&written.object, before) {
        (Some(object), _) => object.clone(),
        (None, Some(Standing::There(Base { mut object, .. }))) => {
            apply(&mut object, &written.fields);
            object
        }
        (None, _) => return None,
    };
    Some(Standing::There(Base { at, version: written.version.clone(), object }))
}

/// See [`crate::Store::object`].
pub(crate) async fn object<S: Sql>(
    db: &mut S,
    cluster: &ClusterId,
    subject: &ResourceRef,
    at: Timestamp,
) -> Result<AsOf, Error> {
    let Some(number) = find(db, cluster).await? else { return Ok(AsOf::Unknown { damaged: Vec::new() }) };
    let query = Query {
        clusters: vec![cluster.clone()],
        subjects: vec![subject.clone()],
        facts: vec!["change".to_owned(), "seen".to_owned()],
        // An entry of this very moment counts.
        to: Some(at.checked_add(jiff_millisecond()).unwrap_or(Timestamp::MAX)),
        order: Order::NewestFirst,
        ..Query::default()
    };
    let mut writes: Vec<(Timestamp, Written)> = Vec::new();
    let mut damaged = Vec::new();
    let mut cursor = None;
    let whole = 'back: loop {
        let page = crate::walk::entries(db, &query, cursor.as_ref(), AT_ONCE).await?;
        damaged.extend(page.damaged);
        for Recorded { entry, .. } in page.records {
            let Some(written) = entry.fact.into_written() else { continue };
            if entry.at > at {
                continue;
            }
            let whole = written.object.is_some() || written.verb == Verb::Deleted;
            writes.push((entry.at, written));
            if whole {
                break 'back true;
            }
        }
        cursor = page.next;
        if cursor.is_none() {
            break false;
        }
    };
    let mut standing = if whole { None } else { base(db, number, subject).await?.map(Standing::There) };
    if let Some(Standing::There(base)) = &standing {
        if base.at > at {
            standing = None;
        } else {
            // What the base has in it already is not written twice.
            let since = base.at;
            writes.retain(|(at, _)| *at > since);
        }
    }
    for (at, written) in writes.into_iter().rev() {
        standing = after(standing, at, &written);
    }
    Ok(match standing {
        Some(Standing::There(Base { at, version, object })) => AsOf::There { object, written: at, version, damaged },
        Some(Standing::Gone(deleted)) => AsOf::Gone { deleted, damaged },
        None => AsOf::Unknown { damaged },
    })
}

const fn jiff_millisecond() -> reckon_model::SignedDuration {
    reckon_model::SignedDuration::from_millis(1)
}

/// The whole state that was kept of an object.
pub(crate) async fn base<S: Sql>(db: &mut S, cluster: i64, subject: &ResourceRef) -> Result<Option<Base>, Error> {
    let sql = "SELECT at, crc, bytes FROM base
        WHERE cluster = $1 AND api_group = $2 AND kind = $3 AND namespace = $4 AND name = $5";
    let mut rows = db.query(sql, &key(cluster, subject)).await?;
    let Some(row) = rows.first_mut() else { return Ok(None) };
    let (at, crc, bytes) = (row.int(0)?, row.int(1)?, row.bytes(2)?);
    let wrong = |why: &str| Error::Corrupt(format!("the state kept of {subject}: {why}"));
    if i64::from(crc32c::crc32c_append(crc32c::crc32c(&bytes), &at.to_le_bytes())) != crc {
        return Err(wrong("it does not have its checksum"));
    }
    let json = zstd::bulk::decompress(&bytes, reckon_model::record::MOST_INFLATED)
        .map_err(|error| wrong(&error.to_string()))?;
    let base: Base = serde_json::from_slice(&json).map_err(|error| wrong(&error.to_string()))?;
    time(at)?;
    Ok(Some(base))
}

/// Keeps a whole state, or that there is none any more.
pub(crate) async fn keep<S: Sql>(
    db: &mut S,
    cluster: i64,
    subject: &ResourceRef,
    standing: Option<&Standing>,
) -> Result<(), Error> {
    let mut params = key(cluster, subject).to_vec();
    let Some(Standing::There(base)) = standing else {
        let sql = "DELETE FROM base
            WHERE cluster = $1 AND api_group = $2 AND kind = $3 AND namespace = $4 AND name = $5";
        db.execute(sql, &params).await?;
        return Ok(());
    };
    let json = serde_json::to_vec(base).map_err(|error| Error::Database(error.to_string()))?;
    let bytes = zstd::bulk::compress(&json, 3).map_err(|error| Error::Database(error.to_string()))?;
    let at = base.at.as_millisecond();
    let crc = i64::from(crc32c::crc32c_append(crc32c::crc32c(&bytes), &at.to_le_bytes()));
    params.extend(cells![at, crc, bytes]);
    let sql = "INSERT INTO base VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
        ON CONFLICT (cluster, api_group, kind, namespace, name)
        DO UPDATE SET at = EXCLUDED.at, crc = EXCLUDED.crc, bytes = EXCLUDED.bytes";
    db.execute(sql, &params).await?;
    Ok(())
}

fn key(cluster: i64, subject: &ResourceRef) -> [crate::sql::Cell; 5] {
    let kind = &subject.kind;
    cells![cluster, kind.group(), kind.name(), subject.namespace(), subject.name.as_str()]
}
