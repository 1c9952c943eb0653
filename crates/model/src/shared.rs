//! Values that many objects have alike, kept once.

use serde::{Deserialize, Deserializer};
use std::collections::{BTreeMap, btree_map};
use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher};
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Weak};

/// A value that may belong to many objects at once: the ten pods of a template have one spec, and a hundred thousand pods
/// a dozen ways to say that they are ready. Reading goes through it as if it was not there; writing copies it first where
/// others have it, too.
///
/// Decoding makes each object its own. Whoever keeps many objects unites those that are alike, with [`digest`] to find
/// them.
pub struct Shared<T>(Arc<T>);

impl<T> Shared<T> {
    /// Whether both are one value in memory.
    pub fn is_one(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Whether nobody else has it.
    pub fn is_alone(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }

    /// To find it as long as somebody has it.
    pub(crate) fn weak(&self) -> Weak<T> {
        Arc::downgrade(&self.0)
    }

    /// The value again, if somebody has it still.
    pub(crate) fn of_weak(weak: &Weak<T>) -> Option<Self> {
        weak.upgrade().map(Shared)
    }
}

/// What equal values have in common, and others seldom. It is the same in every run and on every machine.
pub fn digest(value: &impl Hash) -> u64 {
    Digests.hash_one(value)
}

/// Makes [`Digest`]s.
struct Digests;

impl BuildHasher for Digests {
    type Hasher = Digest;

    fn build_hasher(&self) -> Digest {
        Digest(0)
    }
}

/// Eight bytes a step, where FNV takes one: specs have thousands. Whoever wants two values to meet can have that, which is
/// why equality is asked for as well wherever it is used.
struct Digest(u64);

/// An odd number without structure, as multiplicative hashes want one (2⁶⁴ divided by the golden ratio).
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

impl Digest {
    fn word(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(23) ^ word).wrapping_mul(GOLDEN);
    }
}

impl Hasher for Digest {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.word(u64::from_le_bytes(*word));
        }
        // What is left is seven bytes at most; the eighth says how many, or bytes of zero would count for nothing.
        let mut last = [0, 0, 0, 0, 0, 0, 0, u8::try_from(rest.len()).unwrap_or(u8::MAX)];
        for (to, from) in last.iter_mut().zip(rest) {
            *to = *from;
        }
        self.word(u64::from_le_bytes(last));
    }

    fn write_u8(&mut self, value: u8) {
        self.word(value.into());
    }

    fn write_u32(&mut self, value: u32) {
        self.word(value.into());
    }

    fn write_u64(&mut self, value: u64) {
        self.word(value);
    }

    fn write_usize(&mut self, value: usize) {
        self.word(value as u64);
    }

    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 32)
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Shared(self.0.clone())
    }
}

impl<T: Default> Default for Shared<T> {
    fn default() -> Self {
        Shared(Arc::default())
    }
}

impl<T> From<T> for Shared<T> {
    fn from(value: T) -> Self {
        Shared(Arc::new(value))
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Clone> DerefMut for Shared<T> {
    fn deref_mut(&mut self) -> &mut T {
        Arc::make_mut(&mut self.0)
    }
}

impl<T: fmt::Debug> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: fmt::Display> fmt::Display for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: PartialEq> PartialEq for Shared<T> {
    fn eq(&self, other: &Self) -> bool {
        // No value here is unequal to itself.
        self.is_one(other) || **self == **other
    }
}

impl<T: Eq> Eq for Shared<T> {}

impl<T: Hash> Hash for Shared<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Shared<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Shared::from)
    }
}

impl<'a, K, V> IntoIterator for &'a Shared<BTreeMap<K, V>> {
    type Item = (&'a K, &'a V);
    type IntoIter = btree_map::Iter<'a, K, V>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'a, T> IntoIterator for &'a Shared<Vec<T>> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writing_to_one_leaves_the_other() {
        let mut one = Shared::from(vec![1]);
        let other = one.clone();
        one.push(2);
        assert_eq!((one.len(), other.len()), (2, 1));
        assert!(one.is_alone() && !one.is_one(&other));
    }

    #[test]
    fn equal_values_have_one_digest_and_near_ones_have_not() {
        let digest = |text: &str| digest(&text);
        assert_eq!(digest("registry/app:1.0"), digest("registry/app:1.0"));
        let near = ["", "a", "b", "aa", "a\0", "registry/app:1.0", "registry/app:1.1", "1registry/app:1.0"];
        let digests: std::collections::BTreeSet<u64> = near.into_iter().map(digest).collect();
        assert_eq!(digests.len(), near.len());
    }
}
