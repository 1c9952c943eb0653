//! Names of things: clusters, objects, problems.

use crate::Kind;
use std::fmt;

/// A cluster, named by the UID of its `kube-system` namespace, so that no registration step is needed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ClusterId(pub String);

impl ClusterId {
    /// The object that stands for the cluster in the record where something is about all of it: the namespace that names it.
    pub fn object(&self) -> ResourceRef {
        ResourceRef { uid: Some(self.0.clone()), ..ResourceRef::new(Kind::Namespace, None, "kube-system") }
    }
}

/// One object of a cluster by name. The UID is kept where it is known, but two references are the same when kind,
/// namespace and name are: a recreated object takes its predecessor's place in every list people read.
#[derive(Clone, Debug)]
pub struct ResourceRef {
    /// What it is.
    pub kind: Kind,
    /// `None` for cluster-scoped kinds.
    pub namespace: Option<String>,
    /// `metadata.name`.
    pub name: String,
    /// `metadata.uid` where it was read.
    pub uid: Option<String>,
}

impl ResourceRef {
    /// A reference without a known UID. The namespace is dropped for cluster-scoped kinds.
    pub fn new(kind: Kind, namespace: Option<&str>, name: &str) -> Self {
        let namespace = namespace.filter(|_| kind.namespaced()).map(str::to_owned);
        ResourceRef { kind, namespace, name: name.to_owned(), uid: None }
    }

    /// The namespace, empty for cluster-scoped objects.
    pub fn namespace(&self) -> &str {
        self.namespace.as_deref().unwrap_or("")
    }

    fn key(&self) -> (&Kind, &str, &str) {
        (&self.kind, self.namespace(), &self.name)
    }
}

impl PartialEq for ResourceRef {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for ResourceRef {}

impl PartialOrd for ResourceRef {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ResourceRef {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

impl std::hash::Hash for ResourceRef {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

/// `kind/name` as kubectl prints it, the namespace left to the context: `deployment/checkout`.
impl fmt::Display for ResourceRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind.singular(), self.name)
    }
}

/// What names a problem within its cluster: a hash of the first symptom's workload, container and failure family, never of
/// the cause, which may become clearer while the problem lasts. The cluster is not in it: not everybody may read its id, and
/// two people who look at one problem have to see one name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProblemId(pub String);

impl ProblemId {
    /// The id of a problem with this first symptom. `family` is the failure family (see the catalogue).
    pub fn new(workload: &ResourceRef, container: Option<&str>, family: &str) -> Self {
        let mut hash = Fnv::new();
        for part in [
            workload.kind.group(),
            workload.kind.name(),
            workload.namespace(),
            &workload.name,
            container.unwrap_or(""),
            family,
        ] {
            hash.write(part.as_bytes());
            hash.write(&[0]);
        }
        ProblemId(hash.letters())
    }
}

impl fmt::Display for ProblemId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// FNV-1a, 64 bits: stable across releases and platforms, which the standard library's hashers are not. Names only;
/// nothing here withstands an adversary, and nothing has to: a collision would merge two rows of a list.
#[derive(Debug)]
pub struct Fnv(u64);

impl Fnv {
    /// The empty hash (offset basis of the 64-bit variant).
    #[expect(clippy::new_without_default, reason = "an empty hash is not a default anything")]
    pub const fn new() -> Self {
        Fnv(0xcbf2_9ce4_8422_2325)
    }

    /// Adds bytes.
    pub fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    /// The hash so far.
    pub const fn value(&self) -> u64 {
        self.0
    }

    /// Eight letters and digits without look-alikes (40 bits): short enough to type, unlikely to meet within a cluster.
    fn letters(&self) -> String {
        const ALPHABET: &[u8; 32] = b"23456789abcdefghijkmnpqrstuvwxyz";
        let folded = self.0 ^ (self.0 >> 24);
        (0..8).map(|i| char::from(ALPHABET[(folded >> (5 * i) & 31) as usize])).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_depends_on_workload_container_and_family_alone() {
        let shop = ResourceRef::new(Kind::Deployment, Some("shop"), "checkout");
        let id = ProblemId::new(&shop, Some("app"), "memory");
        assert_eq!(id, ProblemId::new(&ResourceRef { uid: Some("u".into()), ..shop.clone() }, Some("app"), "memory"));
        assert_ne!(id, ProblemId::new(&shop, Some("proxy"), "memory"));
        assert_ne!(id, ProblemId::new(&shop, Some("app"), "crash"));
        assert_eq!(id.0.len(), 8);
    }
}
