//! From a spool to a store in the same process: what a server does for the cluster that it follows itself.

use reckon_agent::Spool;
use reckon_agent::spool::TurnError;
use reckon_model::Timestamp;
use reckon_model::record::{Batch, Block, BlockError, Position};
use reckon_store::{Error, Store};
use std::time::Duration;
use tokio::time::sleep;

/// How many bytes of blocks are appended at once.
const BUDGET: usize = 1024 * 1024;

/// A store that does not answer is asked again after this. What happens meanwhile is in the spool.
const AGAIN: Duration = Duration::from_secs(1);

/// Why nothing more can be carried.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CarryError {
    #[error("the record of this cluster is written by another agent: end one of the two, or start with --no-cluster")]
    Fenced,
    #[error(transparent)]
    Turn(#[from] TurnError),
    #[error("the spool does not read: {0}")]
    Read(#[from] std::io::Error),
    #[error("the spool holds what is no block: {0}")]
    Block(#[from] BlockError),
    #[error("the record is not kept: {0}")]
    Store(Error),
}

/// Brings what is in the spool into the store, for as long as that can succeed.
///
/// # Errors
/// Why it cannot. What is in the spool stays there.
pub(crate) async fn carry(spool: &Spool, store: &dyn Store) -> CarryError {
    let mut told = false;
    loop {
        match converse(spool, store).await {
            CarryError::Store(error @ (Error::Unreachable(_) | Error::Full(_) | Error::Hole { .. })) => {
                if !std::mem::replace(&mut told, true) {
                    tracing::warn!(%error, "the record waits in the spool");
                }
                sleep(AGAIN).await;
            }
            CarryError::Store(Error::Fenced { .. }) => return CarryError::Fenced,
            other => return other,
        }
    }
}

async fn converse(spool: &Spool, store: &dyn Store) -> CarryError {
    match turns(spool, store).await {
        Ok(never) => match never {},
        Err(error) => error,
    }
}

async fn turns(spool: &Spool, store: &dyn Store) -> Result<std::convert::Infallible, CarryError> {
    let mut status = spool.status();
    let (instance, held) = {
        let now = status.borrow_and_update();
        (now.instance.to_string(), now.epoch)
    };
    let Position { epoch, seq } =
        store.begin(spool.cluster(), &instance, held, Timestamp::now()).await.map_err(CarryError::Store)?;
    spool.resume(epoch, seq).await?;
    let mut mark = seq;
    loop {
        while status.borrow_and_update().last <= mark {
            status.changed().await.map_err(|_| CarryError::Turn(TurnError::Closed))?;
        }
        let blocks = spool.read(mark, BUDGET).await?;
        let batches = blocks
            .into_iter()
            .map(|block| {
                let position = Position { epoch, seq: block.last };
                Ok(Batch { position, first: block.first, block: Block::read(block.block)?.0 })
            })
            .collect::<Result<Vec<Batch>, BlockError>>()?;
        let kept = store.append(spool.cluster(), batches, Timestamp::now()).await.map_err(CarryError::Store)?;
        spool.acknowledge(kept.seq).await?;
        mark = kept.seq;
    }
}
