//! The kernel's log as it goes on.

use super::origin::{self, Chosen};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

/// The largest record of `/dev/kmsg`: it is read in one go, or refused.
const RECORD: usize = 8 << 10;

/// Records that are read ahead.
const AHEAD: usize = 512;

/// What the kernel answers where records were overwritten before they were read: `EPIPE`, the same on every processor.
const OVERWRITTEN: i32 = 32;

/// A record that was waited for is new: what the log holds already is read faster.
const WAITED: Duration = Duration::from_millis(5);

/// A file that is no device ends, and may grow.
const GROWS: Duration = Duration::from_millis(100);

/// The log, read by a thread that ends when nobody listens any more.
pub(super) struct Tail(Receiver<Heard>);

/// What comes out of it.
#[derive(Debug)]
pub(super) enum Heard {
    /// One record, or what a file holds; and whether it was waited for, so that it was written now.
    Bytes(Vec<u8>, bool),
    /// Where a process comes from that the record after this says will be killed.
    Chosen(Chosen),
    /// Some were lost.
    Overwritten,
    /// Nothing more can be read.
    Failed(io::Error),
}

impl Tail {
    /// Opens the log.
    pub(super) fn open(path: &Path, proc: &Path) -> io::Result<Tail> {
        let file = File::open(path)?;
        let proc = proc.to_owned();
        let (send, receive) = sync_channel(AHEAD);
        let log = thread::Builder::new().name("kernel log".to_owned()).stack_size(64 << 10);
        log.spawn(move || follow(file, &proc, &send))?;
        Ok(Tail(receive))
    }

    /// The first record, if it comes soon.
    pub(super) fn first(&self, within: Duration) -> Option<Vec<u8>> {
        match self.0.recv_timeout(within) {
            Ok(Heard::Bytes(bytes, _)) => Some(bytes),
            _ => None,
        }
    }

    /// The next, until then.
    pub(super) fn next(&self, until: Instant) -> Option<Heard> {
        self.0.recv_timeout(until.saturating_duration_since(Instant::now())).ok()
    }
}

fn follow(mut file: File, proc: &Path, to: &SyncSender<Heard>) {
    let mut buffer = vec![0; RECORD];
    let mut is_caught_up = false;
    loop {
        let asked = Instant::now();
        let heard = match file.read(&mut buffer) {
            Ok(0) => {
                is_caught_up = true;
                thread::sleep(GROWS);
                continue;
            }
            Ok(read) => {
                is_caught_up |= asked.elapsed() >= WAITED;
                let record = &buffer[..read];
                // At once: the process ends.
                let chosen = if is_caught_up { origin::of(record, proc) } else { None };
                if let Some(chosen) = chosen
                    && to.send(Heard::Chosen(chosen)).is_err()
                {
                    return;
                }
                Heard::Bytes(record.to_vec(), is_caught_up)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) if error.raw_os_error() == Some(OVERWRITTEN) => Heard::Overwritten,
            Err(error) => Heard::Failed(error),
        };
        let failed = matches!(heard, Heard::Failed(_));
        if to.send(heard).is_err() || failed {
            return;
        }
    }
}
