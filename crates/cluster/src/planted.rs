//! Faults that tests plant into the following of kinds, to see that the tests would find them.
//!
//! Outside tests every question here is answered with no before the program runs.

/// What can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    /// A dead object's late word raises it.
    ForgetsTheDead,
    /// An older state replaces a newer one.
    TravelsInTime,
    /// A recreated object is taken for the one before it.
    NamesForUids,
    /// What was delivered comes again.
    RepeatsItself,
    /// A second death is told, or believed.
    DiesTwice,
    /// What a list does not have stays.
    NeverSweeps,
    /// After a rewinding, versions of the lost history still count.
    KeepsLostVersions,
    /// What a page does not have is not missed.
    OverlooksTheMissing,
    /// Nobody asks for the newest version.
    NoPulse,
    /// Who finds a rewinding tells nobody.
    KeepsRewindingToItself,
    /// A watch is resumed without a look at the history.
    ResumesBlindly,
    /// No page is ever compared.
    NeverLooksAgain,
    /// A watch goes on one version too late.
    SkipsOne,
    /// A list that broke off counts as whole.
    BelievesPartialLists,
    /// A relist says nothing of the gap.
    HidesTheGap,
    /// The gap begins when the relist does.
    GapFromNow,
    /// An `ERROR` in a watch is passed over.
    SkipsErrors,
    /// After 410 the old version is tried again.
    InsistsOnItsVersion,
    /// A deletion is not told.
    KeepsTheDeleted,
    /// An outage is not told.
    ShowsStaleAsFresh,
    /// That the store is gone is told to nobody.
    KeepsTroubleToItself,
    /// What was heard last counts as all there was until then.
    BelievesItsEars,
}

#[cfg(not(test))]
pub(crate) const fn planted(_: Bug) -> bool {
    false
}

#[cfg(test)]
thread_local! {
    static PLANTED: std::cell::Cell<Option<Bug>> = const { std::cell::Cell::new(None) };
}

#[cfg(test)]
pub(crate) fn planted(bug: Bug) -> bool {
    PLANTED.get() == Some(bug)
}

/// Plants a bug in what runs on this thread, or takes it out.
#[cfg(test)]
pub(crate) fn plant(bug: Option<Bug>) {
    PLANTED.set(bug);
}
