//! What is appended, as it is appended.
//!
//! The live order is one order for each cluster and none between clusters. A cluster's blocks are committed in the order of
//! their positions, because whoever appends holds the cluster's row; between clusters nothing says which of two that commit
//! at the same time is seen first, and a number that all replicas counted up would make them wait for each other. So a
//! cursor is a position for each cluster.

use crate::block::{META, Meta};
use crate::candidates::Scope;
use crate::cursor::{self, Positions};
use crate::filter::Filter;
use crate::sql::{Sql, cells};
use crate::{Damaged, Error, LiveCursor, LivePage, Query, Recorded, block};
use reckon_model::ClusterId;
use reckon_model::record::Outline;

/// How many blocks of one cluster are read before others have their turn.
const TURN: usize = 16;

/// See [`crate::Store::live`].
pub(crate) async fn live<S: Sql>(
    db: &mut S,
    query: &Query,
    since: Option<&LiveCursor>,
    most: usize,
) -> Result<LivePage, Error> {
    let scope = Scope::of(db, &query.clusters).await?;
    let sql = "SELECT cluster, epoch, seq, trimmed_epoch, trimmed_seq FROM head";
    let mut heads = Vec::new();
    for row in db.query(sql, &cells![]).await? {
        heads.push((row.int(0)?, (row.int(1)?, row.int(2)?), (row.int(3)?, row.int(4)?)));
    }
    heads.retain(|(cluster, _, _)| scope.id(*cluster).is_some());
    let Some(since) = since else {
        let now: Positions = heads.into_iter().map(|(cluster, head, _)| (cluster, head)).collect();
        return Ok(page(cursor::write_live(&now)?));
    };
    let mut positions = cursor::read_live(since)?;
    positions.retain(|cluster, _| scope.id(*cluster).is_some());
    let most = most.clamp(1, Query::MOST);
    let filter = Filter::new(query);
    let mut page = page(since.clone());
    for (cluster, head, trimmed) in heads {
        let Some(id) = scope.id(cluster) else { continue };
        // A cluster that the cursor does not know came after it was made.
        let at = positions.entry(cluster).or_insert((0, 0));
        if *at >= head {
            continue;
        }
        if *at < trimmed {
            page.trimmed.push(id.clone());
            *at = trimmed;
        }
        let turn = Turn { cluster, id, filter: &filter, most };
        *at = turn.read(db, *at, head, &mut page).await?;
        page.more |= *at < head;
    }
    page.next = cursor::write_live(&positions)?;
    Ok(page)
}

fn page(next: LiveCursor) -> LivePage {
    LivePage { records: Vec::new(), next, more: false, damaged: Vec::new(), trimmed: Vec::new() }
}

struct Turn<'a> {
    cluster: i64,
    id: &'a ClusterId,
    filter: &'a Filter<'a>,
    most: usize,
}

impl Turn<'_> {
    /// Reads a cluster's blocks after a place. Gives how far it came.
    async fn read<S: Sql>(
        &self,
        db: &mut S,
        since: (i64, i64),
        head: (i64, i64),
        page: &mut LivePage,
    ) -> Result<(i64, i64), Error> {
        if page.records.len() >= self.most {
            return Ok(since);
        }
        let sql = format!(
            "SELECT {META} FROM block b WHERE b.cluster = $1 AND (b.epoch, b.last) > ($2, $3)
                ORDER BY b.epoch, b.last LIMIT {TURN}"
        );
        let mut rows = db.query(&sql, &cells![self.cluster, since.0, since.1]).await?;
        let (mut at, whole) = (since, rows.len() < TURN);
        for row in &mut rows {
            if page.records.len() >= self.most {
                return Ok(at);
            }
            let meta = Meta::read(row, 0)?;
            self.block(db, &meta, since, page).await?;
            at = (meta.epoch, meta.last);
        }
        // A new writer may not have written yet.
        Ok(if whole { head } else { at })
    }

    async fn block<S: Sql>(
        &self,
        db: &mut S,
        meta: &Meta,
        since: (i64, i64),
        page: &mut LivePage,
    ) -> Result<(), Error> {
        let damaged = |why| -> Damaged { meta.damaged(self.id, why) };
        let (lines, places) = match block::read(db, meta).await? {
            Ok(read) => read,
            Err(why) => {
                page.damaged.push(damaged(why));
                return Ok(());
            }
        };
        let mut records = Vec::new();
        for (line, (seq, index)) in lines.iter().zip(places) {
            if (meta.epoch, seq) <= since || !self.filter.may_want(line) {
                continue;
            }
            let read = Outline::read(line).and_then(|outline| {
                if self.filter.wants(&outline) { serde_json::from_slice(line).map(Some) } else { Ok(None) }
            });
            match read {
                Ok(Some(entry)) if self.filter.wants_entry(&entry) => {
                    let position = block::position(meta.epoch, seq)?;
                    records.push(Recorded { cluster: self.id.clone(), position, index, entry });
                }
                Ok(_) => {}
                Err(error) => {
                    page.damaged.push(damaged(error.to_string()));
                    return Ok(());
                }
            }
        }
        page.records.extend(records);
        Ok(())
    }
}
