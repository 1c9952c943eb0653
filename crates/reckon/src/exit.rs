//! How a command ended, as a number.

use reckon_model::Obstacle;

/// How a command ended. Ordered: where several apply, the greatest is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Exit {
    /// It ran; problems found are no failure.
    Fine,
    /// Problems were found, and `--exit-code` was given; or two states differ, as with `kubectl diff`.
    Problems,
    /// Something that was asked for could not be read; the rest was used.
    Partial,
    /// A precondition was refused, such as a directory that is not empty.
    Refused,
    /// What was asked about does not exist.
    NotFound,
    /// Not authenticated or not allowed.
    Forbidden,
    /// The cluster cannot be reached.
    Unreachable,
    /// The command line, or what it names, is wrong.
    Usage,
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
            Exit::Refused => 6,
            Exit::Partial => 7,
            Exit::TimedOut => 124,
            Exit::Interrupted => 130,
        }
    }
}

impl From<Obstacle> for Exit {
    fn from(obstacle: Obstacle) -> Exit {
        match obstacle {
            Obstacle::Usage => Exit::Usage,
            Obstacle::Unreachable => Exit::Unreachable,
            Obstacle::Unauthenticated | Obstacle::Denied => Exit::Forbidden,
            Obstacle::NotFound => Exit::NotFound,
            Obstacle::TimedOut => Exit::TimedOut,
            Obstacle::Server | Obstacle::Limit => Exit::Partial,
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

impl From<reckon_cluster::ReadError> for Failure {
    fn from(error: reckon_cluster::ReadError) -> Self {
        Failure::new(error.obstacle().into(), format!("failed to {error}"))
    }
}

impl From<reckon_cluster::ConnectError> for Failure {
    fn from(error: reckon_cluster::ConnectError) -> Self {
        Failure::new(error.obstacle().into(), format!("failed to {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_beats_unreachable_beats_forbidden_beats_not_found_beats_partial_beats_problems() {
        let order = [
            Exit::Usage,
            Exit::Unreachable,
            Exit::Forbidden,
            Exit::NotFound,
            Exit::Partial,
            Exit::Problems,
            Exit::Fine,
        ];
        assert!(order.is_sorted_by(|a, b| a > b));
        assert_eq!(order.map(Exit::code), [2, 3, 4, 5, 7, 1, 0]);
    }
}
