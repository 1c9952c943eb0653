//! The blocks that postings name, day by day.

use crate::block::{META, Meta};
use crate::filter::Index;
use crate::posting::{DAY, Word};
use crate::sql::{Cell, Row, Sql, cells, places};
use crate::walk::{Hours, by_hour};
use crate::{Error, Order};
use reckon_model::ClusterId;
use std::collections::BTreeMap;

/// How many postings are looked at at once; an hour that has more is looked at whole.
const AT_ONCE: usize = 400;

/// How many words one statement asks for. Databases take a few hundred parameters and more.
const WORDS: usize = 100;

/// Which clusters are asked about. What is not known is in none.
#[derive(Debug)]
pub(crate) struct Scope {
    ids: BTreeMap<i64, ClusterId>,
    all: bool,
}

impl Scope {
    pub(crate) async fn of<S: Sql>(db: &mut S, clusters: &[ClusterId]) -> Result<Scope, Error> {
        let mut ids = BTreeMap::new();
        if clusters.is_empty() {
            for mut row in db.query("SELECT number, id FROM cluster", &cells![]).await? {
                ids.insert(row.int(0)?, ClusterId(row.text(1)?));
            }
        }
        for cluster in clusters {
            if let Some(number) = crate::append::find(db, cluster).await? {
                ids.insert(number, cluster.clone());
            }
        }
        Ok(Scope { ids, all: clusters.is_empty() })
    }

    pub(crate) fn id(&self, number: i64) -> Option<&ClusterId> {
        self.ids.get(&number)
    }

    pub(crate) fn numbers(&self) -> impl Iterator<Item = i64> {
        self.ids.keys().copied()
    }
}

/// From how many clusters on facts are looked up for all at once.
const FLEET: usize = 8;

/// Where postings are looked up.
#[derive(Clone, Copy, Debug)]
enum Source {
    Cluster(&'static str, i64),
    Fleet,
}

/// Goes through the days in order.
pub(crate) struct Candidates {
    sources: Vec<Source>,
    scope: Vec<i64>,
    words: Vec<Word>,
    order: Order,
    /// The hours that are left, both of them included.
    from: i64,
    to: i64,
    /// How many statements were asked.
    pub(crate) looks: usize,
}

impl Candidates {
    pub(crate) fn new(index: Index, scope: &Scope, (from, to): (i64, i64), order: Order) -> Candidates {
        let numbers: Vec<i64> = scope.numbers().collect();
        let (words, sources) = match index {
            Index::Facts(words) if scope.all || numbers.len() > FLEET => (words, vec![Source::Fleet]),
            Index::Facts(words) => (words, numbers.iter().map(|number| Source::Cluster("fact", *number)).collect()),
            Index::Objects(words) => {
                (words, numbers.iter().map(|number| Source::Cluster("posting", *number)).collect())
            }
        };
        Candidates { sources, scope: numbers, words, order, from, to, looks: 0 }
    }

    /// The next hours that have something, and the last hour that was looked at; `None` at the end.
    pub(crate) async fn next<S: Sql>(&mut self, db: &mut S) -> Result<Option<(Hours, i64)>, Error> {
        while self.from <= self.to {
            let newest_first = self.order == Order::NewestFirst;
            let day = if newest_first { self.to } else { self.from }.div_euclid(DAY);
            let first = self.from.max(day.saturating_mul(DAY));
            let last = self.to.min(day.saturating_mul(DAY).saturating_add(DAY - 1));
            let (rows, reached) = self.day(db, day, first, last).await?;
            if newest_first {
                self.to = reached.saturating_sub(1);
            } else {
                self.from = reached.saturating_add(1);
            }
            if !rows.is_empty() {
                return Ok(Some((by_hour(rows, self.order), reached)));
            }
            if reached == if newest_first { first } else { last } && !self.skip(db).await? {
                return Ok(None);
            }
        }
        Ok(None)
    }

    /// The blocks of a day, of its hours up to the one that is told.
    async fn day<S: Sql>(
        &mut self,
        db: &mut S,
        day: i64,
        first: i64,
        last: i64,
    ) -> Result<(Vec<(i64, Meta)>, i64), Error> {
        let newest_first = self.order == Order::NewestFirst;
        let mut reached = if newest_first { first } else { last };
        let mut all = Vec::new();
        for source in self.sources.clone() {
            for words in self.words.clone().chunks(WORDS) {
                let (low, high) = if newest_first { (reached, last) } else { (first, reached) };
                let mut rows = self.look(db, source, words, day, (low, high), Some(AT_ONCE)).await?;
                if let (AT_ONCE, Some(begin), Some(end)) = (rows.len(), rows.first(), rows.last()) {
                    let (begin, end) = (begin.0, end.0);
                    if begin == end {
                        rows = self.look(db, source, words, day, (begin, begin), None).await?;
                        reached = begin;
                    } else {
                        // Of the last hour there may be more.
                        reached = if newest_first { end + 1 } else { end - 1 };
                    }
                }
                all.extend(rows);
            }
        }
        all.retain(|(hour, meta)| {
            let complete = if newest_first { *hour >= reached } else { *hour <= reached };
            complete && self.scope.binary_search(&meta.cluster).is_ok()
        });
        Ok((all, reached))
    }

    async fn look<S: Sql>(
        &mut self,
        db: &mut S,
        source: Source,
        words: &[Word],
        day: i64,
        (low, high): (i64, i64),
        most: Option<usize>,
    ) -> Result<Vec<(i64, Meta)>, Error> {
        self.looks += 1;
        let table = if let Source::Cluster(table, _) = source { table } else { "fact" };
        let mut params = cells![day, low - day * DAY, high - day * DAY].to_vec();
        let mut sql = format!(
            "SELECT p.hour, {META} FROM {table} p JOIN block b
                ON b.cluster = p.cluster AND b.epoch = p.epoch AND b.last = p.last
                WHERE p.day = $1 AND p.hour >= $2 AND p.hour <= $3"
        );
        if let Source::Cluster(_, cluster) = source {
            params.push(cluster.into());
            sql += " AND p.cluster = $4";
        }
        sql += &format!(" AND p.word IN ({}) ORDER BY p.hour", places(params.len() + 1, words.len()));
        params.extend(words.iter().map(|word| Cell::Int(*word)));
        if self.order == Order::NewestFirst {
            sql += " DESC";
        }
        if let Some(most) = most {
            sql += &format!(" LIMIT {most}");
        }
        let mut found = Vec::new();
        for mut row in db.query(&sql, &params).await? {
            let hour = day * DAY + row.int(0)?;
            found.push((hour, Meta::read(&mut row, 1)?));
        }
        Ok(found)
    }

    /// Goes to the next day on which there is anything at all. `false` where there is none.
    async fn skip<S: Sql>(&mut self, db: &mut S) -> Result<bool, Error> {
        let newest_first = self.order == Order::NewestFirst;
        let (compare, direction, hour) = if newest_first { ("<=", "DESC", self.to) } else { (">=", "ASC", self.from) };
        let day = hour.div_euclid(DAY);
        let mut next: Option<i64> = None;
        for source in self.sources.clone() {
            let keys: Vec<(&str, &str, i64)> = match source {
                Source::Cluster(table, cluster) => vec![(table, "cluster", cluster)],
                Source::Fleet => self.words.iter().map(|word| ("fact", "word", *word)).collect(),
            };
            for (table, column, key) in keys {
                self.looks += 1;
                let sql = format!(
                    "SELECT day FROM {table} WHERE {column} = $1 AND day {compare} $2 ORDER BY day {direction} LIMIT 1"
                );
                let rows = db.query(&sql, &cells![key, day]).await?;
                let found = rows.first().map(Row::first_int).transpose()?;
                next = match (next, found) {
                    (Some(a), Some(b)) => Some(if newest_first { a.max(b) } else { a.min(b) }),
                    (a, b) => a.or(b),
                };
            }
        }
        let Some(next) = next else { return Ok(false) };
        if newest_first {
            self.to = self.to.min(next.saturating_mul(DAY).saturating_add(DAY - 1));
        } else {
            self.from = self.from.max(next.saturating_mul(DAY));
        }
        Ok(true)
    }
}
