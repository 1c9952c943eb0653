//! The thread that owns a spool's files.

use super::Status;
use super::error::{AppendError, TurnError};
use super::files::Files;
use super::log::Log;
use super::reading::Outgoing;
use super::tally::Tally;
use reckon_model::Timestamp;
use reckon_model::record::{Block, BlockError, Entry, Position};
use std::io;
use tokio::sync::{mpsc, oneshot, watch};

/// How many entries are made durable together at most, so that nobody waits for more than some twenty blocks to be packed.
const TOGETHER: usize = 20_000;

/// What can be asked of it.
#[derive(Debug)]
pub(super) enum Request {
    Append { entries: Vec<Entry>, reply: oneshot::Sender<Result<Position, AppendError>> },
    Read { after: u64, budget: usize, reply: oneshot::Sender<io::Result<Vec<Outgoing>>> },
    Acknowledge { mark: u64, reply: oneshot::Sender<Result<(), TurnError>> },
    Resume { epoch: u64, mark: u64, reply: oneshot::Sender<Result<(), TurnError>> },
    Close { reply: oneshot::Sender<()> },
}

/// Does what is asked for until nobody is left who could ask, or it is closed.
pub(super) fn run<F: Files>(mut log: Log<F>, mut requests: mpsc::Receiver<Request>, told: &watch::Sender<Status>) {
    let mut trouble = None;
    let mut closing = None;
    while closing.is_none() {
        let Some(mut request) = requests.blocking_recv() else { break };
        let mut group = Group::default();
        loop {
            match request {
                Request::Append { entries, reply } => group.add(entries, reply),
                Request::Read { after, budget, reply } => answer(reply, log.read(after, budget)),
                Request::Acknowledge { mark, reply } => {
                    let result = log.acknowledge(mark);
                    told.send_replace(status(&log, trouble.clone()));
                    answer(reply, result);
                }
                Request::Resume { epoch, mark, reply } => {
                    let result = log.resume(epoch, mark);
                    told.send_replace(status(&log, trouble.clone()));
                    answer(reply, result);
                }
                Request::Close { reply } => {
                    closing = Some(reply);
                    break;
                }
            }
            match requests.try_recv() {
                Ok(next) if group.entries.len() < TOGETHER => request = next,
                Ok(next) => {
                    // One too many was taken out of the queue.
                    group.commit(&mut log, &mut trouble, told);
                    group = Group::default();
                    request = next;
                }
                Err(_) => break,
            }
        }
        group.commit(&mut log, &mut trouble, told);
        let size = log.size();
        if let Err(error) = log.trim(Timestamp::now()) {
            tracing::warn!(%error, "a part of the spool that is not needed any more cannot be removed");
        }
        if log.size() != size {
            told.send_replace(status(&log, trouble.clone()));
        }
    }
    if let Err(error) = log.note(Timestamp::now()) {
        tracing::warn!(%error, "the server's mark cannot be noted in the spool");
    }
    drop(log);
    if let Some(reply) = closing {
        answer(reply, ());
    }
}

/// Whoever asked may have given up.
fn answer<T>(reply: oneshot::Sender<T>, with: T) {
    let _ = reply.send(with);
}

pub(super) fn status<F: Files>(log: &Log<F>, trouble: Option<AppendError>) -> Status {
    Status {
        instance: log.instance(),
        epoch: log.identity.epoch,
        last: log.next - 1,
        mark: log.mark,
        bytes: log.size(),
        trouble,
    }
}

/// What is made durable together.
#[derive(Default)]
struct Group {
    entries: Vec<Entry>,
    /// After how many entries each append ends, and who waits for it.
    ends: Vec<(usize, oneshot::Sender<Result<Position, AppendError>>)>,
}

impl Group {
    fn add(&mut self, mut entries: Vec<Entry>, reply: oneshot::Sender<Result<Position, AppendError>>) {
        self.entries.append(&mut entries);
        self.ends.push((self.entries.len(), reply));
    }

    /// Makes it durable, says how the spool is then, and answers.
    fn commit<F: Files>(self, log: &mut Log<F>, trouble: &mut Option<AppendError>, told: &watch::Sender<Status>) {
        let Group { entries, ends } = self;
        if ends.is_empty() {
            return;
        }
        let blocks = match pack(&entries) {
            Ok(blocks) => blocks,
            // One entry is too large: the others need not suffer for it.
            Err(_) if ends.len() > 1 => return one_by_one(&entries, ends, log, trouble, told),
            Err(error) => {
                let error = AppendError::from(error);
                *trouble = Some(error.clone());
                ends.into_iter().for_each(|(_, reply)| answer(reply, Err(error.clone())));
                return;
            }
        };
        let counts: Vec<usize> = blocks.iter().map(|(_, _, count)| *count).collect();
        let blocks: Vec<(Vec<u8>, Tally)> = blocks.into_iter().map(|(block, tally, _)| (block, tally)).collect();
        let committed = log.commit(&blocks, Timestamp::now());
        *trouble = committed.as_ref().err().cloned();
        if let Some(error) = &trouble {
            tracing::warn!(%error, entries = entries.len(), "entries cannot be appended to the spool");
        }
        told.send_replace(status(log, trouble.clone()));
        for (end, reply) in ends {
            answer(
                reply,
                committed.clone().map(|(first, last)| position(log.identity.epoch, first, &counts, end, last)),
            );
        }
    }
}

/// The position of the block that the last of so many entries is in; of no entries, the last position.
fn position(epoch: u64, first: u64, counts: &[usize], end: usize, last: u64) -> Position {
    let mut sum = 0;
    let before = counts.iter().take_while(|count| {
        sum += **count;
        sum < end
    });
    Position { epoch, seq: (first + u64::try_from(before.count()).unwrap_or(0)).min(last) }
}

fn one_by_one<F: Files>(
    entries: &[Entry],
    ends: Vec<(usize, oneshot::Sender<Result<Position, AppendError>>)>,
    log: &mut Log<F>,
    trouble: &mut Option<AppendError>,
    told: &watch::Sender<Status>,
) {
    let mut begin = 0;
    for (end, reply) in ends {
        let mut group = Group::default();
        group.add(entries.get(begin..end).unwrap_or_default().to_vec(), reply);
        group.commit(log, trouble, told);
        begin = end;
    }
}

/// Blocks with their tallies and how many entries they have.
fn pack(entries: &[Entry]) -> Result<Vec<(Vec<u8>, Tally, usize)>, BlockError> {
    let mut rest = entries;
    let mut packed = Vec::new();
    for block in Block::pack(entries)? {
        let count = usize::try_from(block.count).unwrap_or(usize::MAX).min(rest.len());
        let (those, others) = rest.split_at(count);
        packed.push((block.bytes, Tally::of(those), count));
        rest = others;
    }
    Ok(packed)
}
