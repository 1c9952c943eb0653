//! Entries by time: from the postings of a day to blocks, from blocks to entries, hour by hour.
//!
//! Within an hour blocks are read in the order of their ends, and an entry is told as soon as no block that is not read yet
//! can hold one that comes before it. So the latest hundred entries of a thousand clusters take a hundred blocks, not a
//! thousand.

use crate::block::Meta;
use crate::candidates::{Candidates, Scope};
use crate::cursor::{self, Key};
use crate::filter::Filter;
use crate::sql::Sql;
use crate::{Cursor, Damaged, Error, Order, Page, Query, Recorded, block, posting};
use reckon_model::Timestamp;
use reckon_model::record::{Lines, Outline};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// How many blocks are read for one page before it is given out as it is: some two seconds.
const MOST_BLOCKS: usize = 2_000;

/// How many statements are asked for one page before it is given out as it is.
const MOST_LOOKS: usize = 20_000;

/// How many bytes of unpacked blocks are held for the next hour, as a block may span many.
const HELD: usize = 32 * 1024 * 1024;

/// See [`crate::Store::entries`].
pub(crate) async fn entries<S: Sql>(
    db: &mut S,
    query: &Query,
    cursor: Option<&Cursor>,
    most: usize,
) -> Result<Page, Error> {
    let digest = cursor::digest(query);
    let after = cursor.map(|cursor| cursor::read_key(cursor, digest)).transpose()?;
    let scope = Scope::of(db, &query.clusters).await?;
    let mut walk = Walk::new(query, scope, after, most.clamp(1, Query::MOST));
    walk.run(db).await?;
    Ok(walk.page(digest))
}

/// A block's lines and the place of each.
type Unpacked = (Lines, Vec<(i64, u32)>);

/// A wanted entry that has not been read in full.
struct Found {
    key: Key,
    line: Box<[u8]>,
}

struct Walk<'q> {
    query: &'q Query,
    filter: Filter<'q>,
    scope: Scope,
    after: Option<Key>,
    most: usize,
    records: Vec<Recorded>,
    damaged: BTreeMap<(i64, i64, i64), Damaged>,
    held: HashMap<(i64, i64, i64), Arc<Unpacked>>,
    held_bytes: usize,
    blocks: usize,
    /// Where to go on, once there is enough.
    stopped: Option<Key>,
}

impl<'q> Walk<'q> {
    fn new(query: &'q Query, scope: Scope, after: Option<Key>, most: usize) -> Self {
        Walk {
            query,
            filter: Filter::new(query),
            scope,
            after,
            most,
            records: Vec::new(),
            damaged: BTreeMap::new(),
            held: HashMap::new(),
            held_bytes: 0,
            blocks: 0,
            stopped: None,
        }
    }

    fn newest_first(&self) -> bool {
        self.query.order == Order::NewestFirst
    }

    /// The first and the last millisecond that may be told.
    fn bounds(&self) -> (i64, i64) {
        let mut from = self.query.from.map_or(i64::MIN, Timestamp::as_millisecond);
        let mut to = self.query.to.map_or(i64::MAX, Timestamp::as_millisecond);
        if let Some(after) = self.after {
            if self.newest_first() {
                to = to.min(after.at);
            } else {
                from = from.max(after.at);
            }
        }
        (from, to)
    }

    async fn run<S: Sql>(&mut self, db: &mut S) -> Result<(), Error> {
        let (from, to) = self.bounds();
        let hours = (posting::hour(from), posting::hour(to));
        let mut candidates = Candidates::new(self.filter.index(), &self.scope, hours, self.query.order);
        while let Some((hours, reached)) = candidates.next(db).await? {
            for (hour, metas) in hours {
                let metas = metas.into_iter().filter(|meta| meta.may_be_of(from, to)).collect();
                self.hour(db, hour, metas).await?;
                if self.stopped.is_some() {
                    return Ok(());
                }
            }
            if candidates.looks > MOST_LOOKS || self.blocks > MOST_BLOCKS {
                self.stopped = Some(self.edge(reached));
                return Ok(());
            }
        }
        Ok(())
    }

    /// The place after all of an hour, on the way that is gone.
    fn edge(&self, hour: i64) -> Key {
        if self.newest_first() {
            Key { at: hour.saturating_mul(posting::HOUR), cluster: 0, epoch: 0, seq: 0, index: 0 }
        } else {
            Key {
                at: hour.saturating_add(1).saturating_mul(posting::HOUR).saturating_sub(1),
                cluster: i64::MAX,
                epoch: i64::MAX,
                seq: i64::MAX,
                index: i64::MAX,
            }
        }
    }

    async fn hour<S: Sql>(&mut self, db: &mut S, hour: i64, mut metas: Vec<Meta>) -> Result<(), Error> {
        let newest_first = self.newest_first();
        if newest_first {
            metas.sort_by_key(|meta| (std::cmp::Reverse(meta.to), meta.place()));
        } else {
            metas.sort_by_key(|meta| (meta.from, meta.place()));
        }
        let mut found = Vec::new();
        for (at, meta) in metas.iter().enumerate() {
            self.read(db, hour, meta, &mut found).await?;
            let next = metas.get(at + 1).map(|next| if newest_first { next.to } else { next.from });
            let full = found.len() >= self.most - self.records.len() && {
                let settled = |found: &&Found| settled(found.key.at, next, newest_first);
                found.iter().filter(settled).count() >= self.most - self.records.len()
            };
            if full || self.blocks > MOST_BLOCKS {
                // What is settled is told; whoever goes on begins with what is not.
                let edge = next.map(|next| self.before(next));
                found.retain(|found| settled(found.key.at, next, newest_first));
                let told = self.tell(found)?;
                self.stopped = told.or(edge).or_else(|| Some(self.edge(hour)));
                return Ok(());
            }
        }
        self.stopped = self.tell(found)?;
        Ok(())
    }

    /// The place before all that is of this millisecond, on the way that is gone.
    fn before(&self, ms: i64) -> Key {
        if self.newest_first() {
            Key { at: ms.saturating_add(1), cluster: 0, epoch: 0, seq: 0, index: 0 }
        } else {
            Key { at: ms, cluster: 0, epoch: 0, seq: 0, index: 0 }
        }
    }

    /// Tells what was found. Gives the last one's place where there is enough.
    fn tell(&mut self, mut found: Vec<Found>) -> Result<Option<Key>, Error> {
        found.sort_by(|a, b| if self.newest_first() { b.key.cmp(&a.key) } else { a.key.cmp(&b.key) });
        for Found { key, line } in found {
            let Some(cluster) = self.scope.id(key.cluster).cloned() else { continue };
            match serde_json::from_slice(&line) {
                Ok(entry) if self.filter.wants_entry(&entry) => {
                    let position = block::position(key.epoch, key.seq)?;
                    let index = u32::try_from(key.index).unwrap_or(u32::MAX);
                    self.records.push(Recorded { cluster, position, index, entry });
                }
                Ok(_) => {}
                Err(error) => return Err(Error::Corrupt(format!("an entry that was read before: {error}"))),
            }
            if self.records.len() >= self.most {
                return Ok(Some(key));
            }
        }
        Ok(None)
    }

    async fn read<S: Sql>(&mut self, db: &mut S, hour: i64, meta: &Meta, found: &mut Vec<Found>) -> Result<(), Error> {
        if self.damaged.contains_key(&meta.place()) {
            return Ok(());
        }
        let held = match self.held.get(&meta.place()) {
            Some(held) => Arc::clone(held),
            None => {
                self.blocks += 1;
                match block::read(db, meta).await? {
                    Ok(read) => self.hold(meta, read),
                    Err(why) => {
                        self.cannot_read(meta, why);
                        return Ok(());
                    }
                }
            }
        };
        let before = found.len();
        for (line, (seq, index)) in held.0.iter().zip(&held.1) {
            if !self.filter.may_want(line) {
                continue;
            }
            let outline = match Outline::read(line) {
                Ok(outline) => outline,
                Err(error) => {
                    found.truncate(before);
                    self.cannot_read(meta, error.to_string());
                    return Ok(());
                }
            };
            let at = outline.at.as_millisecond();
            if posting::hour(at) != hour || !self.filter.wants(&outline) {
                continue;
            }
            let key = Key { at, cluster: meta.cluster, epoch: meta.epoch, seq: *seq, index: i64::from(*index) };
            let beyond = |after: Key| if self.newest_first() { key < after } else { key > after };
            if self.after.is_none_or(beyond) {
                found.push(Found { key, line: line.into() });
            }
        }
        Ok(())
    }

    fn hold(&mut self, meta: &Meta, read: Unpacked) -> Arc<Unpacked> {
        let read = Arc::new(read);
        if self.held_bytes + read.0.len() > HELD {
            self.held.clear();
            self.held_bytes = 0;
        }
        // One that lies within an hour is not met again.
        if posting::hour(meta.from) != posting::hour(meta.to) {
            self.held_bytes += read.0.len();
            self.held.insert(meta.place(), Arc::clone(&read));
        }
        read
    }

    fn cannot_read(&mut self, meta: &Meta, why: String) {
        if let Some(cluster) = self.scope.id(meta.cluster) {
            self.damaged.insert(meta.place(), meta.damaged(cluster, why));
        }
    }

    fn page(self, digest: u64) -> Page {
        Page {
            records: self.records,
            next: self.stopped.map(|key| cursor::write_key(key, digest)),
            damaged: self.damaged.into_values().collect(),
        }
    }
}

/// Whether nothing that comes before this time can be in the blocks from `next` on.
fn settled(at: i64, next: Option<i64>, newest_first: bool) -> bool {
    next.is_none_or(|next| if newest_first { at > next } else { at < next })
}

/// Blocks by the hour in which they have something, each once.
pub(crate) type Hours = Vec<(i64, Vec<Meta>)>;

/// Groups rows by hour, in the order that is asked for.
pub(crate) fn by_hour(rows: Vec<(i64, Meta)>, order: Order) -> Hours {
    let mut hours: BTreeMap<i64, Vec<Meta>> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for (hour, meta) in rows {
        if seen.insert((hour, meta.place())) {
            hours.entry(hour).or_default().push(meta);
        }
    }
    let mut hours: Hours = hours.into_iter().collect();
    if order == Order::NewestFirst {
        hours.reverse();
    }
    hours
}
