//! From bytes to episodes.

use super::grammar;
use super::line::{Stamp, message};
use super::report::Reports;
use crate::path::place;
use jiff::{SignedDuration, Timestamp};
use reckon_model::kernel::{ForkRefused, OomEpisode};

/// The longest line that is kept: the kernel's own limit for a message is 1 kB, escaped four times that, and statistics of
/// a cgroup come as one. What is longer is cut.
const LINE: usize = 16 << 10;

/// So many cgroups are held that were refused a process and are not taken yet, and so much of a path.
const FORKS: usize = 256;
const PATH: usize = 4096;

/// Reads the kernel's log as it comes. What it keeps is bounded: one line, and one episode.
#[derive(Debug, Default)]
pub struct Parser {
    boot: Option<Timestamp>,
    line: Vec<u8>,
    /// Whether the line that is being gathered is longer than is kept.
    cut: bool,
    reports: Reports,
    done: Vec<OomEpisode>,
    forks: Vec<ForkRefused>,
    seq: Option<u64>,
    lost: u64,
}

impl Parser {
    /// A parser. Where messages carry the time since boot alone, `boot` turns it into a time of day; without it such
    /// episodes have none.
    pub fn new(boot: Option<Timestamp>) -> Parser {
        Parser { boot, ..Parser::default() }
    }

    /// When the machine booted, as its clock says now: a clock that is set moves it.
    pub fn set_boot(&mut self, boot: Option<Timestamp>) {
        self.boot = boot;
    }

    /// Takes bytes of the log, cut anywhere.
    pub fn feed(&mut self, mut bytes: &[u8]) {
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            let (line, rest) = (&bytes[..end], &bytes[end + 1..]);
            bytes = rest;
            if self.line.is_empty() && !self.cut {
                self.take(&line[..line.len().min(LINE)]);
                continue;
            }
            self.gather(line);
            let line = std::mem::take(&mut self.line);
            self.take(&line);
            self.line = line;
            self.line.clear();
            self.cut = false;
        }
        self.gather(bytes);
    }

    /// Nothing more comes now: ends the line and the episode that are open.
    pub fn finish(&mut self) {
        let line = std::mem::take(&mut self.line);
        if !line.is_empty() {
            self.take(&line);
        }
        self.cut = false;
        self.settle();
    }

    /// Ends the episode that is open, if nothing more of it has come for a while.
    pub fn settle(&mut self) {
        self.done.extend(self.reports.end());
    }

    /// Whether an episode is open, to which more may come; and how many messages of reports there were so far: where that
    /// does not grow for a while, it has come to its end.
    pub fn open(&self) -> Option<u64> {
        self.reports.has_more().then(|| self.reports.taken())
    }

    /// The episodes that have ended since the last call, oldest first.
    pub fn episodes(&mut self) -> Vec<OomEpisode> {
        std::mem::take(&mut self.done)
    }

    /// The cgroups that were refused a process since the last call, oldest first.
    pub fn forks(&mut self) -> Vec<ForkRefused> {
        std::mem::take(&mut self.forks)
    }

    /// How many records of `/dev/kmsg` are missing between those that were read.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    fn gather(&mut self, bytes: &[u8]) {
        let room = LINE.saturating_sub(self.line.len());
        self.cut |= bytes.len() > room;
        self.line.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn take(&mut self, line: &[u8]) {
        // Most lines of most logs end here. Numbers are looked at in records alone, which begin with a digit.
        let record = line.first().is_some_and(u8::is_ascii_digit);
        if !record && !self.reports.is_open() && !grammar::may_matter(line) {
            return;
        }
        let Some(message) = message(line) else { return };
        if let Some(seq) = message.seq {
            let missing = self.seq.map_or(0, |last| seq.saturating_sub(last.saturating_add(1)));
            self.lost = self.lost.saturating_add(missing);
            self.seq = Some(seq);
        }
        let (at, boot) = match message.stamp {
            Stamp::Boot(micros) => (self.time(micros), Some(micros)),
            Stamp::Wall(at) => (Some(at), None),
            Stamp::None => (None, None),
        };
        if let Some(path) = grammar::fork(&message.text) {
            // Whoever reads episodes alone takes none of these.
            if self.forks.len() < FORKS {
                self.forks.push(refused(path, at));
            }
            return;
        }
        self.done.extend(self.reports.take(&message.text, at, boot));
    }

    fn time(&self, micros: u64) -> Option<Timestamp> {
        let since = SignedDuration::from_micros(i64::try_from(micros).ok()?);
        self.boot?.checked_add(since).ok()
    }
}

fn refused(path: &[u8], at: Option<Timestamp>) -> ForkRefused {
    let path = String::from_utf8_lossy(&path[..path.len().min(PATH)]).into_owned();
    let place = place(&path);
    let pod_uid = place.as_ref().and_then(|place| place.pod_uid.clone());
    ForkRefused { at, pod_uid, container_id: place.and_then(|place| place.container_id), path }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cgroup_that_may_start_no_more_processes_is_told_with_its_pod() {
        let mut parser = Parser::new(None);
        parser.feed(b"[   60.500000] cgroup: fork rejected by pids controller in /kubepods/burstable/pod0d4e2c4a-8d0b-4b7c-9a51-2f3b8a6c1d10/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n");
        // A process may call itself anything, and a path is one.
        parser.feed(b"[   61.500000] x: cgroup: fork rejected by pids controller in /kubepods\n");
        parser.feed(b"[   62.500000] cgroup: fork rejected by pids controller in nowhere\n");
        parser.finish();
        let forks = parser.forks();
        assert_eq!(forks.len(), 1, "{forks:?}");
        assert_eq!(forks[0].pod_uid.as_deref(), Some("0d4e2c4a-8d0b-4b7c-9a51-2f3b8a6c1d10"));
        assert!(forks[0].container_id.is_some() && parser.episodes().is_empty() && parser.forks().is_empty());
        for _ in 0..2 * FORKS {
            parser.feed(b"[   63.500000] cgroup: fork rejected by pids controller in /a\n");
        }
        assert_eq!(parser.forks().len(), FORKS);
    }
}
