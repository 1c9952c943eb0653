//! The entries that a spool writes itself, so that nothing that is missing is missing silently.

use super::identity::Identity;
use super::tally::Tally;
use reckon_model::record::{Block, BlockError, Entry, Fact, Summary, Unseen};
use reckon_model::{ClusterId, Timestamp};

/// A block of one entry: that what happened between two times is not known, and why.
pub(super) fn lost(
    identity: &Identity,
    from: Timestamp,
    to: Timestamp,
    why: &str,
) -> Result<(Vec<u8>, Tally), BlockError> {
    let to = to.max(from);
    let unseen = Unseen { from, to, resource: String::new(), why: why.to_owned() };
    block(&identity.cluster, to, Fact::Unseen(unseen))
}

/// A block of one entry: so many entries were let go, and why.
pub(super) fn summed_up(cluster: &str, tally: &Tally, why: &str) -> Result<(Vec<u8>, Tally), BlockError> {
    let Tally { from, to, damaged, counts } = tally;
    let why = match damaged {
        0 => why.to_owned(),
        1 => format!("{why}; a block among them was not there any more and is not counted"),
        more => format!("{why}; {more} blocks among them were not there any more and are not counted"),
    };
    let summary = Summary { from: *from, to: *to, counts: counts.clone(), why };
    let (block, _) = block(cluster, *to, Fact::Summary(summary))?;
    Ok((block, tally.clone()))
}

fn block(cluster: &str, at: Timestamp, fact: Fact) -> Result<(Vec<u8>, Tally), BlockError> {
    let subject = ClusterId(cluster.to_owned()).object();
    let entry = Entry { at, subject, workload: None, fact };
    let tally = Tally::of(std::slice::from_ref(&entry));
    let block = Block::pack(&[entry])?.pop().ok_or(BlockError::Count(0))?;
    Ok((block.bytes, tally))
}
