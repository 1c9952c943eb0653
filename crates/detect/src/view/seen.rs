//! What comes of a look.

use reckon_model::{Object, Timestamp};

/// What came of looking up one object.
#[derive(Debug)]
pub enum Lookup<'a> {
    /// It is there.
    Found(&'a Object),
    /// It is not there. Known for sure.
    Absent {
        /// When it was deleted, if that was seen.
        deleted: Option<Timestamp>,
    },
    /// Not known: not asked yet, or refused.
    Unread,
}

impl<'a> Lookup<'a> {
    /// The object, if it is there.
    pub fn found(&self) -> Option<&'a Object> {
        match self {
            Lookup::Found(object) => Some(object),
            _ => None,
        }
    }

    /// Whether it is known not to be there.
    pub fn is_absent(&self) -> bool {
        matches!(self, Lookup::Absent { .. })
    }
}

/// Whether an object is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum There {
    /// It is.
    Yes,
    /// It is not. Known for sure.
    No {
        /// When it was deleted, if that was seen.
        deleted: Option<Timestamp>,
    },
    /// Not known: not asked yet, or refused.
    Unread,
}

/// Several objects, and whether they are all there are.
#[derive(Debug)]
pub struct Many<'a> {
    /// What is known, by namespace and name.
    pub items: Vec<&'a Object>,
    /// Whether that is all: absence may be concluded from it only then.
    pub complete: bool,
}
