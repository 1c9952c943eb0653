//! Whose spool it is: written when it is made, and once more when a server grants an epoch.

use super::error::OpenError;
use super::files::{Files, replace};
use reckon_model::frame::Instance;
use reckon_model::{ClusterId, Timestamp};
use serde::{Deserialize, Serialize};
use std::io;

/// How a spool is laid out. Another number is another program's.
pub(super) const VERSION: u16 = 1;

/// How many bytes a cluster's id may have; a UID has 36.
pub(super) const MOST_ID: usize = 256;

/// The name of the file.
pub(super) const NAME: &str = "identity";

/// There are two copies, a page apart, so that no one damaged sector takes both.
const APART: usize = 4096;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Identity {
    pub(super) version: u16,
    pub(super) cluster: String,
    pub(super) instance: Instance,
    /// 0 until a server granted one.
    pub(super) epoch: u64,
    /// When the spool was made.
    pub(super) born: Timestamp,
}

/// What is looked at before anything else is believed.
#[derive(Deserialize)]
struct Versioned {
    version: u16,
}

impl Identity {
    /// Reads the identity, `None` where there is none. A damaged copy is written anew from the other.
    pub(super) fn read<F: Files>(files: &mut F) -> Result<Option<Identity>, OpenError> {
        if !files.list()?.iter().any(|name| name == NAME) {
            return Ok(None);
        }
        let bytes = files.read(NAME, 0, 2 * APART)?;
        let (first, second) = bytes.split_at(bytes.len().min(APART));
        let copies = [copy(first)?, copy(second)?];
        let damaged = copies[0] != copies[1];
        let ([Some(found), _] | [None, Some(found)]) = copies else { return Err(OpenError::Identity) };
        if damaged && let Err(error) = found.write(files) {
            tracing::warn!(%error, "a damaged copy of the spool's identity cannot be written anew");
        }
        Ok(Some(found))
    }

    /// For a new spool.
    pub(super) fn new(cluster: &ClusterId, born: Timestamp) -> Result<Identity, OpenError> {
        let mut instance = [0; 16];
        getrandom::fill(&mut instance).map_err(|error| io::Error::other(error.to_string()))?;
        let cluster = cluster.0.clone();
        Ok(Identity { version: VERSION, cluster, instance: Instance(instance), epoch: 0, born })
    }

    /// Durable on return.
    pub(super) fn write<F: Files>(&self, files: &mut F) -> io::Result<()> {
        let text = serde_json::to_vec(self)?;
        let length = u32::try_from(text.len()).map_err(io::Error::other)?;
        let mut copy = [crc32c::crc32c(&text).to_le_bytes(), length.to_le_bytes()].concat();
        copy.extend_from_slice(&text);
        copy.resize(APART, 0);
        copy.extend_from_within(..);
        replace(files, NAME, &copy).map(drop)
    }
}

/// What one copy says, `None` where it is damaged.
fn copy(bytes: &[u8]) -> Result<Option<Identity>, OpenError> {
    let Some((&sum, rest)) = bytes.split_first_chunk::<4>() else { return Ok(None) };
    let Some((&length, rest)) = rest.split_first_chunk::<4>() else { return Ok(None) };
    let Some(text) = usize::try_from(u32::from_le_bytes(length)).ok().and_then(|length| rest.get(..length)) else {
        return Ok(None);
    };
    if crc32c::crc32c(text) != u32::from_le_bytes(sum) {
        return Ok(None);
    }
    match serde_json::from_slice::<Versioned>(text) {
        Ok(Versioned { version: VERSION }) => Ok(serde_json::from_slice(text).ok()),
        Ok(Versioned { version }) => Err(OpenError::Version(version)),
        Err(_) => Ok(None),
    }
}
