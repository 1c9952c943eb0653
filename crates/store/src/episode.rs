//! Problems and the times that they were there.

use crate::append::{self, time};
use crate::candidates::Scope;
use crate::cursor;
use crate::sql::{Cell, Row, Sql, cells, places};
use crate::{Cursor, Episode, EpisodePage, EpisodeQuery, Error, Query, Snapshot, Standing};
use reckon_model::document::Severity;
use reckon_model::record::{Entry, ProblemTurn, Turn};
use reckon_model::{ClusterId, ProblemId, ResourceRef};

/// How many rows are looked at at once.
const AT_ONCE: usize = 500;

/// How many rows are looked at for one page before it is given out as it is.
const MOST_ROWS: usize = 50_000;

/// As much of an entry as is kept of an object: the entry's own JSON, so that there is one way of writing it.
fn subject(of: &ResourceRef) -> Result<String, Error> {
    let entry = Entry {
        at: reckon_model::Timestamp::UNIX_EPOCH,
        subject: of.clone(),
        workload: None,
        fact: reckon_model::record::Fact::Unknown(serde_json::Value::Null),
    };
    serde_json::to_string(&entry).map_err(|error| Error::Database(error.to_string()))
}

fn read_subject(text: &str) -> Result<ResourceRef, Error> {
    let entry: Entry = serde_json::from_str(text).map_err(|error| Error::Corrupt(format!("an object: {error}")))?;
    Ok(entry.subject)
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "critical",
        Severity::Warning => "warning",
        Severity::Info => "info",
    }
}

fn severity(word: &str) -> Result<Severity, Error> {
    [Severity::Critical, Severity::Warning, Severity::Info]
        .into_iter()
        .find(|severity| self::word(*severity) == word)
        .ok_or_else(|| Error::Corrupt("a severity".to_owned()))
}

/// Notes what became of a problem. Turns come in the order of their positions; one that opens a problem again under the
/// number of an episode that had closed says that it had not.
pub(crate) async fn turn<S: Sql>(db: &mut S, cluster: i64, entry: &Entry, turn: &ProblemTurn) -> Result<(), Error> {
    let ProblemTurn { id, episode, turn, failure, severity, title, reason } = turn;
    let at = entry.at.as_millisecond();
    let closed = (*turn == Turn::Closed).then_some(at);
    let sql = format!(
        "INSERT INTO episode VALUES ({}) ON CONFLICT (cluster, problem, episode) DO UPDATE SET
            failure = EXCLUDED.failure, severity = EXCLUDED.severity, title = EXCLUDED.title, turned = EXCLUDED.turned,
            closed = EXCLUDED.closed, reason = EXCLUDED.reason, standing = EXCLUDED.standing",
        places(1, 14)
    );
    let params = cells![
        cluster,
        id.as_str(),
        i64::from(*episode),
        failure.as_str(),
        word(*severity),
        title.as_str(),
        entry.subject.namespace(),
        subject(&entry.subject)?,
        entry.workload.as_ref().map(subject).transpose()?,
        at,
        at,
        closed,
        reason.as_deref(),
        i64::from(closed.is_none()),
    ];
    db.execute(&sql, &params).await?;
    Ok(())
}

/// See [`crate::Store::episodes`].
pub(crate) async fn episodes<S: Sql>(
    db: &mut S,
    query: &EpisodeQuery,
    cursor: Option<&Cursor>,
    most: usize,
) -> Result<EpisodePage, Error> {
    let digest = cursor::digest(query);
    let mut after = cursor.map(|cursor| cursor::read_episode(cursor, digest)).transpose()?;
    let scope = Scope::of(db, &query.clusters).await?;
    let most = most.clamp(1, Query::MOST);
    let mut page = EpisodePage::default();
    let mut looked = 0;
    loop {
        let rows = look(db, query, after.as_ref()).await?;
        let last = rows.len() < AT_ONCE;
        looked += rows.len();
        for mut row in rows {
            let (number, opened) = (row.int(0)?, row.int(9)?);
            let episode = read(&mut row, &scope)?;
            after = Some((opened, number, episode.problem.0.clone(), i64::from(episode.episode)));
            if !wanted(query, &episode) {
                continue;
            }
            page.episodes.push(episode);
            if page.episodes.len() == most {
                page.next = after.map(|key| cursor::write_episode(&key, digest));
                return Ok(page);
            }
        }
        if last {
            return Ok(page);
        }
        if looked >= MOST_ROWS {
            page.next = after.map(|key| cursor::write_episode(&key, digest));
            return Ok(page);
        }
    }
}

const COLUMNS: &str =
    "e.cluster, e.problem, e.episode, e.failure, e.severity, e.title, e.namespace, e.subject, e.workload,
    e.opened, e.turned, e.closed, e.reason, s.at";

async fn look<S: Sql>(db: &mut S, query: &EpisodeQuery, after: Option<&cursor::EpisodeKey>) -> Result<Vec<Row>, Error> {
    let mut params: Vec<Cell> = Vec::new();
    let mut conditions = Vec::new();
    if let Some(standing) = query.standing {
        params.push(i64::from(standing == Standing::Open).into());
        conditions.push("e.standing = $1".to_owned());
    }
    if let Some(to) = query.to {
        params.push(to.as_millisecond().into());
        conditions.push(format!("e.opened < ${}", params.len()));
    }
    if let Some((opened, cluster, problem, episode)) = after {
        let at = params.len();
        params.extend(cells![*opened, *cluster, problem.as_str(), *episode]);
        conditions.push(format!("(e.opened, e.cluster, e.problem, e.episode) < ({})", places(at + 1, 4)));
    }
    let conditions = if conditions.is_empty() { String::new() } else { format!("WHERE {}", conditions.join(" AND ")) };
    let sql = format!(
        "SELECT {COLUMNS} FROM episode e LEFT JOIN snapshot s
            ON s.cluster = e.cluster AND s.problem = e.problem AND s.episode = e.episode {conditions}
            ORDER BY e.opened DESC, e.cluster DESC, e.problem DESC, e.episode DESC LIMIT {AT_ONCE}"
    );
    db.query(&sql, &params).await
}

fn read(row: &mut Row, scope: &Scope) -> Result<Episode, Error> {
    let cluster = scope.id(row.int(0)?).cloned().unwrap_or_default();
    Ok(Episode {
        cluster,
        problem: ProblemId(row.text(1)?),
        episode: u32::try_from(row.int(2)?).map_err(|_| Error::Corrupt("an episode's number".to_owned()))?,
        failure: row.text(3)?,
        severity: severity(&row.text(4)?)?,
        title: row.text(5)?,
        subject: read_subject(&row.text(7)?)?,
        workload: row.maybe_text(8)?.map(|text| read_subject(&text)).transpose()?,
        opened: time(row.int(9)?)?,
        turned: time(row.int(10)?)?,
        closed: row.maybe_int(11)?.map(time).transpose()?,
        reason: row.maybe_text(12)?,
        snapshot: row.maybe_int(13)?.map(time).transpose()?,
    })
}

/// What the statement has not looked at. A cluster that was not asked about has no id here.
fn wanted(query: &EpisodeQuery, episode: &Episode) -> bool {
    let EpisodeQuery { clusters: _, problems, namespaces, failures, standing: _, from, to: _ } = query;
    !episode.cluster.0.is_empty()
        && (problems.is_empty() || problems.contains(&episode.problem))
        && (namespaces.is_empty() || namespaces.iter().any(|name| name == episode.subject.namespace()))
        && (failures.is_empty() || failures.contains(&episode.failure))
        && from.is_none_or(|from| episode.closed.is_none_or(|closed| closed >= from))
}

/// See [`crate::Store::keep_snapshot`].
pub(crate) async fn keep_snapshot<S: Sql>(
    db: &mut S,
    cluster: &ClusterId,
    problem: &ProblemId,
    episode: u32,
    snapshot: Snapshot,
) -> Result<(), Error> {
    let number = append::find(db, cluster).await?.ok_or(Error::NotBegun)?;
    let Snapshot { at, bytes } = snapshot;
    let crc = checksum(number, problem, episode, at.as_millisecond(), &bytes);
    let sql = "INSERT INTO snapshot VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (cluster, problem, episode)
        DO UPDATE SET at = EXCLUDED.at, crc = EXCLUDED.crc, bytes = EXCLUDED.bytes";
    let params = cells![number, problem.0.as_str(), i64::from(episode), at.as_millisecond(), crc, bytes];
    db.execute(sql, &params).await?;
    Ok(())
}

/// See [`crate::Store::snapshot`].
pub(crate) async fn snapshot<S: Sql>(
    db: &mut S,
    cluster: &ClusterId,
    problem: &ProblemId,
    episode: u32,
) -> Result<Option<Snapshot>, Error> {
    let Some(number) = append::find(db, cluster).await? else { return Ok(None) };
    let sql = "SELECT at, crc, bytes FROM snapshot WHERE cluster = $1 AND problem = $2 AND episode = $3";
    let mut rows = db.query(sql, &cells![number, problem.0.as_str(), i64::from(episode)]).await?;
    let Some(row) = rows.first_mut() else { return Ok(None) };
    let (at, crc, bytes) = (row.int(0)?, row.int(1)?, row.bytes(2)?);
    if checksum(number, problem, episode, at, &bytes) != crc {
        return Err(Error::Corrupt(format!("the document of problem {problem} does not have its checksum")));
    }
    Ok(Some(Snapshot { at: time(at)?, bytes }))
}

fn checksum(cluster: i64, problem: &ProblemId, episode: u32, at: i64, bytes: &[u8]) -> i64 {
    let mut crc = crc32c::crc32c(bytes);
    for part in [&cluster.to_le_bytes()[..], problem.0.as_bytes(), &episode.to_le_bytes(), &at.to_le_bytes()] {
        crc = crc32c::crc32c_append(crc, part);
    }
    i64::from(crc)
}
