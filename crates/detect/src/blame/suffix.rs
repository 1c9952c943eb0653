//! Names that differ in a suffix alone: `app-config` and `app-config-v2`, `app-config-prod`, `app-config-6f2h8kd9mc`.

/// What stands behind the stem of one of two names, and not behind the other's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Suffix {
    /// A number alone: `-2`.
    Number,
    /// `-v2`, `-1.4.0`, `-new`.
    Version,
    /// `-prod`.
    Environment,
    /// What a generator puts there, made of the content.
    Hash,
}

impl Suffix {
    pub(super) fn is_number(self) -> bool {
        self == Suffix::Number
    }

    /// In what the names differ.
    pub(super) fn words(self) -> &'static str {
        match self {
            Suffix::Number | Suffix::Version => "the same name with another version",
            Suffix::Environment => "the same name with another environment",
            Suffix::Hash => "the same name with another hash",
        }
    }
}

/// A stem that is shorter says nothing: `a` and `a-2`.
const STEM: usize = 3;

const VERSIONS: [&str; 14] = [
    "new", "old", "next", "prev", "previous", "latest", "current", "backup", "bak", "copy", "tmp", "orig", "legacy",
    "final",
];

const ENVIRONMENTS: [&str; 20] = [
    "prod",
    "production",
    "prd",
    "preprod",
    "staging",
    "stage",
    "stg",
    "dev",
    "devel",
    "development",
    "test",
    "testing",
    "qa",
    "uat",
    "int",
    "sandbox",
    "demo",
    "canary",
    "blue",
    "green",
];

/// Letters and digits that `kubectl kustomize` and the controllers write hashes in; and those of hexadecimal numbers.
const HASHES: [&str; 2] = ["bcdfghjklmnpqrstvwxz2456789", "0123456789abcdef"];

/// The suffix that one of two names has and the other lacks; `None` where they differ in more, or in anything else.
pub(super) fn only(a: &str, b: &str) -> Option<Suffix> {
    let (stem, long) = if a.len() < b.len() { (a, b) } else { (b, a) };
    let suffix = long.strip_prefix(stem)?.strip_prefix(['-', '.', '_'])?;
    (stem.chars().count() >= STEM).then(|| of(suffix)).flatten()
}

fn of(suffix: &str) -> Option<Suffix> {
    if VERSIONS.contains(&suffix) {
        return Some(Suffix::Version);
    }
    if ENVIRONMENTS.contains(&suffix) {
        return Some(Suffix::Environment);
    }
    let number = |part: &str| !part.is_empty() && part.len() <= 8 && part.bytes().all(|byte| byte.is_ascii_digit());
    if number(suffix) {
        return Some(Suffix::Number);
    }
    // `v2`, `v1-4`, `1.4.0`, `2024-01-31`.
    let bare = suffix.strip_prefix('v').unwrap_or(suffix);
    if bare.split(['.', '-', '_']).all(number) {
        return Some(Suffix::Version);
    }
    let all_of = |letters: &str| suffix.chars().all(|c| letters.contains(c));
    // Words are made of these letters too, but not of digits as well.
    let mixed =
        suffix.bytes().any(|byte| byte.is_ascii_digit()) && suffix.bytes().any(|byte| byte.is_ascii_alphabetic());
    ((7..=64).contains(&suffix.len()) && mixed && HASHES.iter().any(|letters| all_of(letters))).then_some(Suffix::Hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_an_environment_or_a_hash_makes_no_other_name() {
        for (other, differ) in [
            ("app-config-v2", Suffix::Version),
            ("app-config-v1.4", Suffix::Version),
            ("app-config-2024-01-31", Suffix::Version),
            ("app-config-new", Suffix::Version),
            ("app-config-2", Suffix::Number),
            ("app-config.2", Suffix::Number),
            ("app-config-prod", Suffix::Environment),
            ("app-config-staging", Suffix::Environment),
            ("app-config-6f2h8kd9mc", Suffix::Hash),
            ("app-config-3fa94c1", Suffix::Hash),
        ] {
            assert_eq!(only("app-config", other), Some(differ), "{other}");
            assert_eq!(only(other, "app-config"), Some(differ), "{other}, the other way round");
        }
    }

    #[test]
    fn another_word_makes_another_name() {
        for (name, other) in [
            ("app-config", "app-config"),
            ("app-config", "app-config-"),
            ("app-config", "app-config-worker"),
            ("app-config", "app-config-ca-bundle"),
            ("app-config", "app-configv2"),
            ("app-config", "app-config-v"),
            ("app-config", "app-config-vv2"),
            ("app-config", "app-config-production-db"),
            // Words of the letters of hashes, and the five letters behind the names of old tokens.
            ("app-config", "app-config-feedbac"),
            ("app-config", "app-config-defaced"),
            ("app", "app-token-x7k2p"),
            ("app", "app-x7k2p"),
            // Each has a suffix of its own.
            ("app-config-prod", "app-config-dev"),
            ("app-config-v2", "app-secret-v2"),
            // Too short to say anything.
            ("db", "db-2"),
            ("", "-2"),
            ("größe", "größe-größer"),
        ] {
            assert_eq!(only(name, other), None, "{name} {other}");
        }
    }
}
