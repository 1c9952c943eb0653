//! Whether the server still tells what is: shared by all that follow one store, whose versions are of one sequence.
//!
//! A watch that says nothing may have nothing to say, or may be deaf: an API server that lost its etcd, or whose etcd was
//! restored from a backup, keeps it open in silence. So every half minute one follower asks for the newest version, which
//! etcd has to vouch for. The answer says three things: that the store is there, that its history was not rewound, and up
//! to which moment everything has been told once a watch has come to that version.

use super::version::Version;
use super::witness::{Told, Witness, Witnesses};
use crate::list::Scope;
use reckon_model::{Gap, Timestamp};
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::planted::{Bug, planted};

/// How often is asked. A history that was rewound has to be found within 60 s.
const EVERY: Duration = Duration::from_secs(30);

/// How soon again after no answer.
const AGAIN: Duration = Duration::from_secs(2);

/// Answers that do not come in a row before the store counts as gone: with the time-outs, 52 s together.
const MISSED: u32 = 2;

/// So long after the last answer the store counts as gone, however few could ask: whoever is forbidden to ask looks again
/// only after a while, whoever is just connecting hears of it when that has ended, and what is older than 60 s may not be
/// shown as fresh. One question that is lost leaves time for the next.
const SILENT: Duration = Duration::from_secs(48);

/// Answers that are kept: eight minutes, longer than a watch lasts.
const KEPT: usize = 16;

/// The state of one store.
#[derive(Debug)]
pub(crate) struct Pulse {
    beats: Mutex<Beats>,
    /// The history was rewound, the store is gone, or is back.
    pub(super) changed: Notify,
}

#[derive(Debug)]
struct Beats {
    /// Counts the rewindings.
    epoch: u64,
    /// The newest version that anybody was told.
    highest: Version,
    /// When was asked, and what the newest version was.
    answers: VecDeque<(Timestamp, Version)>,
    due: Instant,
    asking: bool,
    missed: u32,
    /// When etcd last vouched for anything, if it ever has.
    vouched: Option<Instant>,
    /// Why the last question was not answered.
    why: Option<Gap>,
    trouble: Option<Gap>,
    witnesses: Witnesses,
}

/// The right to ask, which only one has. Giving it up without an answer gives it to the next.
#[derive(Debug)]
pub(super) struct Turn<'a>(&'a Pulse);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.beats().asking = false;
    }
}

impl Pulse {
    pub(crate) fn new() -> Pulse {
        let beats = Beats {
            epoch: 0,
            highest: Version::None,
            answers: VecDeque::new(),
            due: Instant::now() + EVERY,
            asking: false,
            missed: 0,
            vouched: None,
            why: None,
            trouble: None,
            witnesses: Witnesses::default(),
        };
        Pulse { beats: Mutex::new(beats), changed: Notify::new() }
    }

    fn beats(&self) -> MutexGuard<'_, Beats> {
        self.beats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody was told everything up to this version.
    pub(super) fn came_to(&self, mark: Version) {
        let mut beats = self.beats();
        beats.highest = beats.highest.later(mark);
    }

    /// Somebody was told of this object.
    pub(super) fn saw(&self, scope: &Scope, told: &Told) {
        self.beats().witnesses.saw(scope, told);
    }

    /// By which objects the store is to be put to the proof.
    pub(super) fn witnesses(&self) -> Vec<Witness> {
        self.beats().witnesses.to_ask()
    }

    /// None of them disagreed, this one being the last.
    pub(super) fn asked(&self, last: &Witness) {
        self.beats().witnesses.asked(last);
    }

    /// Whether lists show what the store does not hold.
    pub(super) fn is_doubted(&self) -> bool {
        self.beats().witnesses.in_doubt().is_some()
    }

    /// A list shows of this witness what the store does not hold: what was told is of a history that is no more, and what is
    /// listed now is no better. Everybody hears of it, and of the trouble until the two agree.
    pub(super) fn contradicted(&self, seen: u64, witness: Witness) {
        self.rewound(seen);
        let mut beats = self.beats();
        beats.trouble = Some(witness.gap());
        beats.witnesses.contradicted_by(witness);
    }

    /// The newest version that anybody was told: what is asked from now on cannot be older.
    pub(super) fn highest(&self) -> Version {
        self.beats().highest
    }

    /// How often the history was rewound.
    pub(super) fn epoch(&self) -> u64 {
        self.beats().epoch
    }

    /// Why the store counts as gone, if it does.
    pub(super) fn trouble(&self) -> Option<Gap> {
        self.beats().trouble.clone()
    }

    /// When somebody has to ask; `None` while somebody does.
    pub(super) fn due(&self) -> Option<Instant> {
        let beats = self.beats();
        (!beats.asking && !planted(Bug::NoPulse)).then_some(beats.due)
    }

    /// Takes the turn to ask.
    pub(super) fn turn(&self) -> Option<Turn<'_>> {
        let mut beats = self.beats();
        if beats.asking || beats.due > Instant::now() {
            return None;
        }
        beats.asking = true;
        Some(Turn(self))
    }

    /// The newest version was this when it was asked for at that time.
    pub(super) fn answered(&self, asked: Timestamp, newest: Version) {
        let mut beats = self.beats();
        beats.due = Instant::now() + EVERY;
        beats.missed = 0;
        beats.vouched = Some(Instant::now());
        beats.why = None;
        if beats.witnesses.in_doubt().is_some() {
            return;
        }
        if beats.answers.len() == KEPT {
            beats.answers.pop_front();
        }
        beats.answers.push_back((asked, newest));
        if beats.trouble.take().is_some() {
            self.changed.notify_waiters();
        }
    }

    /// No answer came.
    pub(super) fn missed(&self, gap: Gap) {
        let mut beats = self.beats();
        beats.missed += 1;
        beats.due = Instant::now() + AGAIN;
        if beats.missed >= MISSED && beats.trouble.is_none() {
            beats.trouble = Some(gap.clone());
            self.changed.notify_waiters();
        }
        beats.why = Some(gap);
    }

    /// A list came that etcd vouches for. What is told from then on is not told by it.
    pub(super) fn vouched(&self) {
        self.beats().vouched = Some(Instant::now());
    }

    /// When the store counts as gone though nobody asked it in vain often enough; `None` where nobody ever could read.
    pub(super) fn silent_at(&self) -> Option<Instant> {
        let beats = self.beats();
        let counts = beats.trouble.is_none() && !planted(Bug::NoPulse);
        beats.vouched.filter(|_| counts).map(|at| at + SILENT)
    }

    /// Nothing was vouched for in a long while: that is trouble, whoever was to ask.
    pub(super) fn count_silence(&self, what: impl FnOnce() -> String) {
        if self.silent_at().is_none_or(|at| at > Instant::now()) {
            return;
        }
        let mut beats = self.beats();
        let unasked = || {
            let why = format!("nobody could ask for {} s whether it is as it was", SILENT.as_secs());
            Gap { what: what(), why, obstacle: reckon_model::Obstacle::TimedOut }
        };
        beats.trouble = Some(beats.why.clone().unwrap_or_else(unasked));
        self.changed.notify_waiters();
    }

    /// Whoever had the turn may not ask: somebody else shall, soon. Where nobody ever might, nothing is known to be wrong;
    /// where somebody might, that is an answer that does not come.
    pub(super) fn forbidden(&self, gap: Gap) {
        if !self.beats().answers.is_empty() {
            self.missed(gap);
        }
        self.beats().due = Instant::now() + Duration::from_secs(1);
    }

    /// The history was rewound, as somebody found who had seen so many rewindings before. The answers so far are of the
    /// lost one.
    pub(super) fn rewound(&self, seen: u64) {
        let mut beats = self.beats();
        if beats.epoch == seen {
            beats.answers.clear();
            beats.highest = Version::None;
            if std::mem::take(&mut beats.witnesses).in_doubt().is_some() {
                beats.trouble = None;
            }
            if !planted(Bug::KeepsRewindingToItself) {
                beats.epoch += 1;
                self.changed.notify_waiters();
            }
        }
    }

    /// Until when everything has been told where everything up to this version has.
    pub(super) fn told_until(&self, mark: Version) -> Option<Timestamp> {
        self.beats().answers.iter().filter(|(_, newest)| mark.reaches(*newest)).map(|(asked, _)| *asked).max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use reckon_model::Obstacle;

    #[tokio::test(start_paused = true)]
    async fn one_asks_at_a_time_and_who_gives_up_leaves_it_to_the_next() {
        let pulse = Pulse::new();
        assert!(pulse.turn().is_none());
        tokio::time::sleep(EVERY).await;
        let turn = pulse.turn().unwrap();
        assert!(pulse.turn().is_none() && pulse.due().is_none());
        drop(turn);
        assert!(pulse.turn().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn two_answers_that_do_not_come_are_trouble_until_one_comes() {
        let pulse = Pulse::new();
        let gap = || Gap { what: "pods".into(), why: "504".into(), obstacle: Obstacle::Server };
        pulse.missed(gap());
        assert_eq!(pulse.trouble(), None);
        pulse.missed(gap());
        assert_eq!(pulse.trouble(), Some(gap()));
        pulse.answered(Timestamp::UNIX_EPOCH, Version::Number(9));
        assert_eq!(pulse.trouble(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_silence_is_trouble_though_hardly_anybody_may_ask() {
        let pulse = Pulse::new();
        tokio::time::sleep(SILENT * 2).await;
        pulse.count_silence(|| "pods".into());
        assert_eq!(pulse.trouble(), None, "nobody ever could read");
        pulse.answered(Timestamp::UNIX_EPOCH, Version::Number(9));
        tokio::time::sleep(SILENT / 2).await;
        pulse.vouched();
        tokio::time::sleep(SILENT / 2).await;
        pulse.count_silence(|| "pods".into());
        assert_eq!(pulse.trouble(), None);
        tokio::time::sleep(SILENT).await;
        pulse.count_silence(|| "pods".into());
        assert!(pulse.trouble().is_some_and(|gap| gap.why.contains("nobody could ask")));
    }

    #[tokio::test(start_paused = true)]
    async fn a_rewinding_that_two_find_is_one() {
        let pulse = Pulse::new();
        pulse.answered(Timestamp::UNIX_EPOCH, Version::Number(9));
        assert_eq!(pulse.told_until(Version::Number(9)), Some(Timestamp::UNIX_EPOCH));
        assert_eq!(pulse.told_until(Version::Number(8)), None);
        pulse.rewound(0);
        pulse.rewound(0);
        assert_eq!((pulse.epoch(), pulse.told_until(Version::Number(9))), (1, None));
    }
}
