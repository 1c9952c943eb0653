//! What exit codes mean.

use crate::catalogue::Page;

/// The meaning of an exit code in a few words, such as `killed by SIGSEGV (invalid memory access)`.
pub fn meaning(_code: i64) -> Option<&'static str> {
    None
}

/// The page about an exit code.
pub(crate) fn page(_code: i64) -> Option<Page> {
    None
}
