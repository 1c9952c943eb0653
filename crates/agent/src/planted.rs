//! Faults that tests plant into the spool, to see that the tests would find them.
//!
//! Outside tests every question here is answered with no before the program runs.

/// What can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    /// Acknowledges what was written and not synced.
    NeverSyncs,
    /// A file that was renamed is not made durable in its directory.
    ForgetsTheDirectory,
    /// A sync that failed counts as one.
    OverlooksSyncErrors,
    /// After a sync that failed the same file is written on.
    GoesOnAfterErrors,
    /// What the page cache shows at opening counts as durable.
    TrustsTheCache,
    /// Checksums are not compared.
    SkipsChecksums,
    /// What comes after a damaged record is not looked for.
    StopsAtDamage,
    /// Positions that are missing are not told.
    HidesDamage,
    /// The positions of a tail that does not read are given again.
    ReusesTheTail,
    /// What the server acknowledged is not noted.
    ForgetsTheMark,
    /// An acknowledgement of what was never written counts.
    BelievesTheFuture,
    /// What a server lost by going back counts as acknowledged still.
    NeverGoesBack,
    /// Room is made by leaving out what nobody acknowledged.
    DropsTheOldest,
    /// A summary counts blocks, not entries.
    CountsBlocks,
    /// A summary that is merged into another is forgotten.
    ForgetsSummaries,
    /// What is summed up does not count what was damaged.
    SumsUpDamage,
    /// What a summary replaced is removed before the summary is durable.
    RemovesTooEarly,
    /// A summary counts what the server has, too.
    CountsAcknowledged,
    /// No room is made.
    OutgrowsItsBound,
    /// A short write counts as a whole one.
    BelievesShortWrites,
    /// What was acknowledged goes at once.
    KeepsNothing,
    /// The epoch is held in memory alone.
    ForgetsTheEpoch,
    /// What a failed append left behind a newer file counts.
    BelievesWhatFailed,
    /// Reading goes on one position too late.
    SkipsOne,
    /// A full disk is met with room that acknowledged blocks still take.
    HoardsOnFullDisks,
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
