//! Blocks as they are stored.

use crate::posting::Postings;
use crate::sql::{Row, Sql, cells, number, unsigned};
use crate::{Damaged, Error};
use reckon_model::record::{Batch, BlockError, Entry, Fact, Lines, Position, ProblemTurn};
use reckon_model::{ClusterId, Timestamp};

/// The columns that [`Meta::read`] reads, of a table called `b`.
pub(crate) const META: &str =
    "b.cluster, b.epoch, b.last, b.first, b.entries, b.from_ms, b.to_ms, b.arrived, b.size, b.crc, b.parts";

/// How many columns these are.
pub(crate) const META_WIDTH: usize = 11;

/// What is told of a block without reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Meta {
    pub(crate) cluster: i64,
    pub(crate) epoch: i64,
    pub(crate) last: i64,
    pub(crate) first: i64,
    pub(crate) entries: i64,
    pub(crate) from: i64,
    pub(crate) to: i64,
    pub(crate) arrived: i64,
    pub(crate) size: i64,
    pub(crate) crc: i64,
    pub(crate) parts: Option<Vec<u8>>,
}

impl Meta {
    /// Reads a row whose columns from `at` on are [`META`].
    pub(crate) fn read(row: &mut Row, at: usize) -> Result<Meta, Error> {
        Ok(Meta {
            cluster: row.int(at)?,
            epoch: row.int(at + 1)?,
            last: row.int(at + 2)?,
            first: row.int(at + 3)?,
            entries: row.int(at + 4)?,
            from: row.int(at + 5)?,
            to: row.int(at + 6)?,
            arrived: row.int(at + 7)?,
            size: row.int(at + 8)?,
            crc: row.int(at + 9)?,
            parts: row.maybe_bytes(at + 10)?,
        })
    }

    /// Where it is.
    pub(crate) fn place(&self) -> (i64, i64, i64) {
        (self.cluster, self.epoch, self.last)
    }

    /// The checksums that belong to it with these bytes: in the lower half that of the bytes, in the upper that of all that is
    /// told of the block, the lower half included, so that what is told is believed only where it is whole.
    pub(crate) fn checksum(&self, bytes: &[u8]) -> i64 {
        let body = crc32c::crc32c(bytes);
        (u64::from(self.own_checksum(body)) << 32 | u64::from(body)).cast_signed()
    }

    fn own_checksum(&self, body: u32) -> u32 {
        let Meta { cluster, epoch, last, first, entries, from, to, arrived, size, crc: _, parts } = self;
        let mut crc = crc32c::crc32c(&body.to_le_bytes());
        for value in [cluster, epoch, last, first, entries, from, to, arrived, size] {
            crc = crc32c::crc32c_append(crc, &value.to_le_bytes());
        }
        crc32c::crc32c_append(crc, parts.as_deref().unwrap_or_default())
    }

    /// Whether what is told of it is what was told first.
    pub(crate) fn sound(&self) -> bool {
        let [upper, body] = [32, 0].map(|shift| self.crc.cast_unsigned() >> shift & u64::from(u32::MAX));
        u32::try_from(body).is_ok_and(|body| u64::from(self.own_checksum(body)) == upper)
    }

    /// Whether something of it may be of this time, of which both ends count.
    pub(crate) fn may_be_of(&self, from: i64, to: i64) -> bool {
        !self.sound() || (self.from <= to && self.to >= from)
    }

    /// As a block that cannot be read.
    pub(crate) fn damaged(&self, cluster: &ClusterId, why: String) -> Damaged {
        let time = |ms| Timestamp::from_millisecond(ms).unwrap_or_default();
        let count = |value| u64::try_from(value).unwrap_or_default();
        Damaged {
            cluster: cluster.clone(),
            epoch: count(self.epoch),
            first: count(self.first),
            last: count(self.last),
            from: time(self.from),
            to: time(self.to),
            why,
        }
    }

    /// The place of each entry, in order: its block's number and its own within that.
    pub(crate) fn places(&self) -> Result<Vec<(i64, u32)>, String> {
        let counts = match &self.parts {
            None => vec![u64::try_from(self.entries).map_err(|_| "it has less than no entries".to_owned())?],
            Some(bytes) => read_parts(bytes).ok_or("its parts do not read")?,
        };
        let whole = i64::try_from(counts.len()).unwrap_or(i64::MAX);
        if self.first.checked_add(whole - 1) != Some(self.last) && self.parts.is_some() {
            return Err("its parts are not as many as its numbers".to_owned());
        }
        let mut places = Vec::new();
        for (at, count) in (self.first..).zip(counts) {
            let count = u32::try_from(count).map_err(|_| "a part of it is too large".to_owned())?;
            places.extend((0..count).map(|index| (at, index)));
        }
        Ok(places)
    }
}

/// The lines of a block and the place of each; in words what is wrong with it, where something is.
pub(crate) async fn read<S: Sql>(db: &mut S, meta: &Meta) -> Result<Result<(Lines, Vec<(i64, u32)>), String>, Error> {
    let sql = "SELECT bytes FROM body WHERE cluster = $1 AND epoch = $2 AND last = $3";
    let rows = db.query(sql, &cells![meta.cluster, meta.epoch, meta.last]).await;
    let bytes = match rows {
        Ok(mut rows) => match rows.first_mut().map(|row| row.bytes(0)) {
            Some(Ok(bytes)) => bytes,
            Some(Err(error)) => return Ok(Err(error.to_string())),
            None => return Ok(Err("its bytes are not there".to_owned())),
        },
        // One page that cannot be read is no reason to leave out all others.
        Err(Error::Corrupt(why)) => return Ok(Err(why)),
        Err(error) => return Err(error),
    };
    Ok(unpack(meta, &bytes))
}

fn unpack(meta: &Meta, bytes: &[u8]) -> Result<(Lines, Vec<(i64, u32)>), String> {
    if meta.checksum(bytes) != meta.crc {
        return Err("it does not have its checksum".to_owned());
    }
    let lines = Lines::unpack(bytes).map_err(|error| error.to_string())?;
    let places = meta.places()?;
    if lines.iter().count() != places.len() {
        return Err("it does not have as many entries as it should".to_owned());
    }
    Ok((lines, places))
}

/// A block that is to be appended, read as far as that needs.
#[derive(Clone, Debug)]
pub(crate) struct Prepared {
    pub(crate) position: Position,
    /// The first it stands for.
    pub(crate) first: u64,
    pub(crate) entries: i64,
    pub(crate) from: i64,
    pub(crate) to: i64,
    pub(crate) bytes: Vec<u8>,
    pub(crate) postings: Postings,
    /// What became of problems: the entry and the turn.
    pub(crate) turns: Vec<(Entry, ProblemTurn)>,
}

impl Prepared {
    /// Reads a block; the counts and times that came with it are not believed.
    pub(crate) fn of(batch: Batch) -> Result<Prepared, Error> {
        let Batch { position, first, block } = batch;
        Prepared::read(position, first, block.bytes).map_err(|source| Error::Block { position, source })
    }

    fn read(position: Position, first: u64, bytes: Vec<u8>) -> Result<Prepared, BlockError> {
        let lines = Lines::unpack(&bytes)?;
        let outlines = lines.outlines()?;
        let mut turns = Vec::new();
        for (line, (text, outline)) in lines.iter().zip(&outlines).enumerate() {
            if outline.word == "problem" {
                let entry: Entry =
                    serde_json::from_slice(text).map_err(|source| BlockError::Entry { line: line + 1, source })?;
                if let Fact::Problem(turn) = &entry.fact {
                    let turn = turn.clone();
                    turns.push((entry, turn));
                }
            }
        }
        let times = || outlines.iter().map(|outline| outline.at.as_millisecond());
        let (from, to) = (times().min().unwrap_or_default(), times().max().unwrap_or_default());
        let entries = i64::try_from(outlines.len()).unwrap_or(i64::MAX);
        let postings = Postings::of(&outlines);
        Ok(Prepared { position, first, entries, from, to, bytes, postings, turns })
    }

    /// As it is stored.
    pub(crate) fn meta(&self, cluster: i64, arrived: i64) -> Meta {
        let seq = number(self.position.seq);
        let mut meta = Meta {
            cluster,
            epoch: number(self.position.epoch),
            last: seq,
            first: seq,
            entries: self.entries,
            from: self.from,
            to: self.to,
            arrived,
            size: i64::try_from(self.bytes.len()).unwrap_or(i64::MAX),
            crc: 0,
            parts: None,
        };
        meta.crc = meta.checksum(&self.bytes);
        meta
    }
}

/// How many entries each part has, seven bits a byte.
pub(crate) fn write_parts(counts: &[u64]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for count in counts {
        crate::cursor::write_number(&mut bytes, *count);
    }
    bytes
}

fn read_parts(mut bytes: &[u8]) -> Option<Vec<u64>> {
    let mut counts = Vec::new();
    let mut sum = 0_u64;
    while !bytes.is_empty() {
        let count = crate::cursor::read_number(&mut bytes)?;
        sum = sum.checked_add(count)?;
        // A block has no more, so more is damage and no reason to take memory.
        if sum > reckon_model::record::MOST_ENTRIES as u64 {
            return None;
        }
        counts.push(count);
    }
    Some(counts)
}

/// Stores blocks that are not there yet, with what leads to them.
pub(crate) async fn insert<S: Sql>(db: &mut S, blocks: Vec<(Meta, Vec<u8>, Postings)>) -> Result<(), Error> {
    let (mut metas, mut bodies, mut objects, mut facts) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (meta, bytes, postings) in blocks {
        objects.extend(postings.objects.iter().map(|posting| posting_row(&meta, *posting)));
        facts.extend(postings.facts.iter().map(|posting| posting_row(&meta, *posting)));
        bodies.extend(cells![meta.cluster, meta.epoch, meta.last, bytes]);
        let Meta { cluster, epoch, last, first, entries, from, to, arrived, size, crc, parts } = meta;
        metas.extend(cells![cluster, epoch, last, first, entries, from, to, arrived, size, crc, parts]);
    }
    let sql = format!("INSERT INTO block VALUES ({})", crate::sql::places(1, META_WIDTH));
    db.many(&sql, META_WIDTH, &metas).await?;
    db.many("INSERT INTO body VALUES ($1, $2, $3, $4)", 4, &bodies).await?;
    // In the order in which they will lie: neighbours share pages.
    for (table, mut rows) in [("posting", objects), ("fact", facts)] {
        rows.sort_unstable();
        let sql = format!("INSERT INTO {table} VALUES ($1, $2, $3, $4, $5, $6)");
        let cells: Vec<_> = rows.into_iter().flatten().map(crate::sql::Cell::Int).collect();
        db.many(&sql, 6, &cells).await?;
    }
    Ok(())
}

/// Removes a block and what leads to it. Without its postings, which a damaged block cannot name, they are looked for.
pub(crate) async fn remove<S: Sql>(db: &mut S, meta: &Meta, postings: Option<&Postings>) -> Result<(), Error> {
    let place = cells![meta.cluster, meta.epoch, meta.last];
    for table in ["block", "body"] {
        db.execute(&format!("DELETE FROM {table} WHERE cluster = $1 AND epoch = $2 AND last = $3"), &place).await?;
    }
    for table in ["posting", "fact"] {
        match postings {
            Some(postings) => {
                let rows = if table == "posting" { &postings.objects } else { &postings.facts };
                let cells: Vec<_> =
                    rows.iter().flat_map(|row| posting_row(meta, *row)).map(crate::sql::Cell::Int).collect();
                let sql = format!(
                    "DELETE FROM {table} WHERE cluster = $1 AND day = $2 AND word = $3 AND hour = $4 AND epoch = $5
                        AND last = $6"
                );
                db.many(&sql, 6, &cells).await?;
            }
            None => {
                let sql = format!("DELETE FROM {table} WHERE cluster = $1 AND epoch = $2 AND last = $3");
                db.execute(&sql, &place).await?;
            }
        }
    }
    Ok(())
}

fn posting_row(meta: &Meta, (hour, word): (i64, i64)) -> [i64; 6] {
    use crate::posting::DAY;
    [meta.cluster, hour.div_euclid(DAY), word, hour.rem_euclid(DAY), meta.epoch, meta.last]
}

/// A position as it was stored.
pub(crate) fn position(epoch: i64, seq: i64) -> Result<Position, Error> {
    Ok(Position { epoch: unsigned(epoch)?, seq: unsigned(seq)? })
}
