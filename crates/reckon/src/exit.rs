//! Exit codes: see `docs/cli.md`.

/// How a command ended. Where several apply, the first of this order is taken: usage, unreachable, forbidden, not found,
/// partial, problems, fine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It ran.
    Fine,
    /// Problems were found, and `--exit-code` was given.
    Problems,
    /// The command line, or what it names, is wrong.
    Usage,
    /// The cluster cannot be reached.
    Unreachable,
    /// Not authenticated or not allowed.
    Forbidden,
    /// What was asked about does not exist.
    NotFound,
    /// Something that was asked for could not be read; the rest was used.
    Partial,
    /// It took too long.
    TimedOut,
    /// Interrupted by the person.
    Interrupted,
}

impl Exit {
    /// The code.
    pub(crate) fn code(self) -> u8 {
        match self {
            Exit::Fine => 0,
            Exit::Problems => 1,
            Exit::Usage => 2,
            Exit::Unreachable => 3,
            Exit::Forbidden => 4,
            Exit::NotFound => 5,
            Exit::Partial => 7,
            Exit::TimedOut => 124,
            Exit::Interrupted => 130,
        }
    }
}

/// Why a command did not answer: a sentence for standard error and the code.
#[derive(Debug, thiserror::Error)]
#[error("{sentence}")]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) sentence: String,
}

impl Failure {
    pub(crate) fn new(exit: Exit, sentence: impl Into<String>) -> Self {
        Failure { exit, sentence: sentence.into() }
    }
}
