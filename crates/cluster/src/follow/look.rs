//! Looks at what is there: whether the history is still the one that was told, and whether anything was left out of it.

use super::page::{Found, Page};
use super::version::Version;
use super::witness::{Testimony, Witness};
use super::{End, Follower, rewound_as};
use crate::error::ReadError;
use crate::planted::{Bug, planted};
use reckon_model::Timestamp;
use std::ops::ControlFlow;
use tokio::time::Instant;

/// Names in a page that is compared, of one kind every two minutes: a kind of up to 1,250 objects is seen whole within
/// ten minutes, of a larger one a part.
pub(super) const NAMES: u32 = 250;

/// Names in the page that is compared before a watch is resumed.
const NAMES_TO_RESUME: u32 = 500;

/// A page to which the watch has not come.
pub(super) struct Awaited {
    pub(super) page: Page,
    pub(super) asked: Timestamp,
    /// Before a watch was resumed: until when the watch has to come to it, and until when everything had been told then.
    pub(super) resumed: Option<(Instant, Timestamp)>,
}

impl Follower {
    /// Compares a page with what is known, so that a watch is not resumed in a history that is another one.
    pub(super) async fn look_before_resuming(&mut self) -> ControlFlow<End> {
        if std::mem::take(&mut self.fresh) || planted(Bug::ResumesBlindly) || !self.may_look() {
            return ControlFlow::Continue(());
        }
        let (connection, scope) = (self.connection().clone(), self.scope.clone());
        let (asked, limit) = (connection.now(), connection.inner.patience.beat);
        let (highest, before) = (self.pulse.highest(), self.current_at);
        let reading = async move { connection.names_page(&scope, NAMES_TO_RESUME, None, limit).await };
        let page = match self.answer(reading).await {
            Ok(page) => page,
            Err(End::Failed(ReadError::Forbidden { .. })) => {
                self.may_not_look();
                return ControlFlow::Continue(());
            }
            Err(end) => return ControlFlow::Break(self.missed(end)),
        };
        if page.version().is_before(highest) {
            return ControlFlow::Break(rewound_as("its newest version is older than what was seen"));
        }
        let until = Instant::now() + self.connection().inner.patience.settle;
        self.judge(page, asked, Some((until, before)))
    }

    /// Asks whether the history still reaches what was seen of it.
    pub(super) async fn look_before_relisting(&mut self) -> ControlFlow<End> {
        if !self.may_look() {
            return ControlFlow::Continue(());
        }
        let (connection, scope) = (self.connection().clone(), self.scope.clone());
        let (asked, limit) = (connection.now(), connection.inner.patience.beat);
        let floor = self.pulse.highest().later(self.floor);
        match self.answer(async move { connection.newest(&scope, limit).await }).await {
            Ok(newest) if Version::of(&newest).is_before(floor) => {
                ControlFlow::Break(rewound_as("its newest version is older than what was seen"))
            }
            Ok(newest) => {
                self.pulse.answered(asked, Version::of(&newest));
                ControlFlow::Continue(())
            }
            Err(End::Failed(ReadError::Forbidden { .. })) => {
                self.may_not_look();
                ControlFlow::Continue(())
            }
            Err(end) => ControlFlow::Break(self.missed(end)),
        }
    }

    pub(super) fn may_look(&self) -> bool {
        self.look_from <= Instant::now()
    }

    /// The right to list may be granted later.
    pub(super) fn may_not_look(&mut self) {
        self.look_from = Instant::now() + self.connection().inner.patience.refused;
    }

    /// No answer came to what all who follow the store have to know.
    pub(super) fn missed(&self, end: End) -> End {
        if let End::Failed(error) = &end {
            self.pulse.missed(error.gap(self.scope.endpoint.resource()));
        }
        end
    }

    /// What a page that was asked for at that time says.
    pub(super) fn judge(
        &mut self,
        page: Page,
        asked: Timestamp,
        resumed: Option<(Instant, Timestamp)>,
    ) -> ControlFlow<End> {
        let newest = page.version();
        self.awaited = Some(Awaited { page, asked, resumed });
        self.judge_awaited(false)?;
        self.pulse.answered(asked, newest);
        ControlFlow::Continue(())
    }

    /// Compares the page that waits for the watch, which now has either come to it or had its time.
    pub(super) fn judge_awaited(&mut self, in_any_case: bool) -> ControlFlow<End> {
        let Some(Awaited { page, asked, .. }) = &self.awaited else { return ControlFlow::Continue(()) };
        let mark = if in_any_case { page.version() } else { self.mark() };
        match page.judge(&self.known, mark) {
            Found::NotYet => return ControlFlow::Continue(()),
            Found::Right if page.is_whole() && !self.pulse.is_doubted() => self.sound_at = [self.sound_at[1], *asked],
            Found::Right => {}
            // What is wrong is all newer than the watch has come: it says nothing yet, which is no other history.
            Found::Wrong if in_any_case && page.is_ahead(&self.known, self.mark()) => {
                return ControlFlow::Break(End::Expired("the watch does not come to what a list shows".to_owned()));
            }
            Found::Wrong => {
                return ControlFlow::Break(self.left_out("a look at the list showed other objects"));
            }
            Found::Rewound => {
                return ControlFlow::Break(rewound_as("a look at the list showed other objects"));
            }
        }
        self.awaited = None;
        ControlFlow::Continue(())
    }

    /// Something was left out of what was told. Soon after a watch was resumed that means another history; else nobody knows
    /// when it was.
    pub(super) fn left_out(&mut self, why: &str) -> End {
        if self.awaited.as_ref().is_some_and(|awaited| awaited.resumed.is_some()) {
            return rewound_as(why);
        }
        self.gap_from = Some(self.sound_at[1]);
        End::Expired(format!("something was left out: {why}"))
    }

    /// What the witnesses say of the history that was told.
    pub(super) fn believe(&mut self, mut heard: Vec<(Witness, Testimony)>) -> ControlFlow<End> {
        let Some((witness, testimony)) = heard.pop() else { return ControlFlow::Continue(()) };
        match testimony {
            Testimony::Contradicted if !self.pulse.is_doubted() => {
                self.pulse.contradicted(self.epoch, witness);
                ControlFlow::Break(rewound_as("the API server lists what etcd does not hold"))
            }
            Testimony::OfThePast => {
                ControlFlow::Break(rewound_as("the store holds an earlier state of an object than was seen"))
            }
            Testimony::Agrees if self.pulse.is_doubted() => {
                ControlFlow::Break(rewound_as("the API server lists what etcd holds again"))
            }
            Testimony::Agrees | Testimony::Contradicted | Testimony::Silent => {
                self.pulse.asked(&witness);
                ControlFlow::Continue(())
            }
        }
    }
}
