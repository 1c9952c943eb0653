//! Resource versions.
//!
//! Of one resource they can be compared as numbers (KEP-5504; every server of the last years behaved so). What an
//! aggregated server calls a version may be anything; such versions are equal or not, and no order is ever concluded.

use reckon_model::ident::Fnv;

/// One version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// Of a server that says none, and of objects whose history was rewound: equal to nothing that is delivered.
    None,
    Number(u64),
    /// The hash of one that is no number.
    Opaque(u64),
}

impl Version {
    pub(super) fn of(text: &str) -> Version {
        if text.is_empty() {
            return Version::None;
        }
        text.parse().map_or_else(
            |_| {
                let mut hash = Fnv::new();
                hash.write(text.as_bytes());
                Version::Opaque(hash.value())
            },
            Version::Number,
        )
    }

    /// Whether this one is certainly earlier.
    pub(super) fn is_before(self, other: Version) -> bool {
        matches!((self, other), (Version::Number(a), Version::Number(b)) if a < b)
    }

    /// Whether everything up to `other` is certainly told where everything up to this one is.
    pub(super) fn reaches(self, other: Version) -> bool {
        match (self, other) {
            (Version::Number(a), Version::Number(b)) => a >= b,
            (Version::None, _) | (_, Version::None) => false,
            (a, b) => a == b,
        }
    }

    /// The later of two; where no order is known, `other`, which came later, if it is one.
    pub(super) fn later(self, other: Version) -> Version {
        if other.is_before(self) || other == Version::None { self } else { other }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_numbers_have_an_order() {
        let [nine, ten, odd, none] = ["9", "10", "v1.3", ""].map(Version::of);
        assert!(nine.is_before(ten) && !ten.is_before(nine) && !nine.is_before(nine));
        assert!(ten.reaches(nine) && ten.reaches(ten) && !nine.reaches(ten));
        for other in [nine, ten, none] {
            assert!(!odd.is_before(other) && !other.is_before(odd) && !odd.reaches(other) && !other.reaches(odd));
        }
        assert!(odd.reaches(Version::of("v1.3")) && !none.reaches(none));
        assert_eq!(ten.later(nine), ten);
    }
}
