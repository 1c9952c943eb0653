//! Tokens: who may write a cluster's record, and who may read.

use reckon_model::{ClusterId, Timestamp};
use std::fmt;

/// What a token is good for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grant {
    /// To enrol one agent, once.
    Enrol,
    /// To write the record of one cluster.
    Agent(ClusterId),
    /// To read, as this person or program.
    User(String),
}

/// The name of a token, which is no secret.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenId(pub String);

/// A token in the clear. It is shown once: it prints as dots, and only [`Secret::reveal`] gives it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub(crate) String);

impl Secret {
    /// The token, such as `reckon_enrol_…`: a prefix by which scanners know it, and 256 random bits in base64url.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The SHA-256 of a token, which is all that is kept of it. A token is random and long, so it needs no salt and no slow hash;
/// who looks for one by its hash learns nothing from the time it takes, as nobody can choose a hash.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TokenHash(pub [u8; 32]);

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(…)")
    }
}

/// A token just issued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// Its name.
    pub id: TokenId,
    /// The token, which nobody can read again.
    pub secret: Secret,
}

/// Who bears a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who {
    /// The token's name.
    pub id: TokenId,
    /// What it is good for.
    pub grant: Grant,
    /// Until when.
    pub expires: Option<Timestamp>,
}

/// A token without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownToken {
    /// Its name.
    pub id: TokenId,
    /// What it is good for.
    pub grant: Grant,
    /// What it was issued for, in words.
    pub label: String,
    /// When it was issued.
    pub issued: Timestamp,
    /// Until when it is good.
    pub expires: Option<Timestamp>,
}
