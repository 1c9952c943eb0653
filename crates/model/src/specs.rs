//! Specs of pods by the bytes they were decoded from: what was decoded once is not decoded again.

use crate::abridged::FieldSets;
use crate::k8s::{PlacedSpec, PodSpec};
use crate::shared::Shared;
use memchr::{memchr, memmem};
use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::num::NonZeroU64;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// What was decoded before, by a digest of its bytes. Most changes of a pod leave its spec alone, and the pods of a template
/// differ in the node and in five letters of a volume's name; of all these the spec is the one that somebody has already.
///
/// Whoever decodes and whoever keeps what was decoded have clones of one `Specs`. The keeper says which spec bytes stand for
/// ([`Specs::remember`]), after it redacted it and united it with its likes. Nothing is kept alive by being remembered.
///
/// The digest is SipHash under a key of this process: nobody can make two specs meet on purpose, and by chance they do so
/// less often than memory fails.
#[derive(Clone, Debug, Default)]
pub struct Specs(Arc<Shelf>);

#[derive(Debug, Default)]
struct Shelf {
    key: RandomState,
    known: Mutex<Known>,
    fields: FieldSets,
}

#[derive(Debug, Default)]
struct Known {
    by_origin: HashMap<Origin, Weak<PodSpec>>,
    /// With how many the next look for what nobody has any more begins.
    full: usize,
}

/// Below so many it is not worth looking.
const FULL: usize = 1024;

/// A digest of the bytes of a spec without what pods of one template do not have alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Origin(NonZeroU64);

/// The volume with a pod's token, whose name ends in five random letters.
const TOKEN_VOLUME: &str = "kube-api-access-";

/// How many random letters.
const RANDOM: usize = 5;

/// As an API server writes it. In a string these quotes would be escaped; so it is a field wherever it is found.
const NODE_NAME: &str = r#""nodeName":""#;

/// As an API server writes it.
const TOKEN_NAME: &str = r#""name":"kube-api-access-"#;

impl Specs {
    /// Decodes a spec, or takes what these bytes stand for. The token's volume of a ready pod has no random letters then:
    /// what a kubelet says of a volume that it cannot mount, it says under its name, of others nobody does.
    pub(crate) fn decode(&self, json: &[u8], is_ready: bool) -> Result<PlacedSpec, serde_json::Error> {
        let marks = Marks::of(json, is_ready);
        let origin = marks.as_ref().map(|marks| self.digest(json, marks, is_ready));
        if let (Some(marks), Some(origin)) = (&marks, origin)
            && let Some(common) = self.get(origin)
        {
            let node_name = marks.node_name(json).to_owned();
            return Ok(PlacedSpec { node_name, common, origin: Some(origin) });
        }
        let spec: PodSpec = serde_json::from_slice(json)?;
        // What the bytes say has to be what was decoded, or another spec of this digest would get it wrong.
        let holds = |marks: &Marks| {
            marks.node_name(json) == spec.node_name && (!is_ready || marks.tokens.len() == spec.token_names().count())
        };
        let origin = origin.filter(|_| marks.as_ref().is_some_and(holds));
        Ok(PlacedSpec { origin, ..spec.into() })
    }

    /// Whether this spec is the one that its bytes stand for.
    pub fn knows(&self, spec: &PlacedSpec) -> bool {
        let known = spec.origin.and_then(|origin| self.get(origin));
        known.is_some_and(|known| known.is_one(&spec.common))
    }

    /// From now on this is what its bytes stand for. Not for one that was changed since it was decoded, but by redacting it
    /// and by [`PodSpec::one_token_volume`].
    pub fn remember(&self, spec: &PlacedSpec) {
        let Some(origin) = spec.origin else { return };
        let mut known = self.0.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.by_origin.insert(origin, spec.common.weak());
        if known.by_origin.len() > known.full.max(FULL) {
            known.by_origin.retain(|_, spec| spec.strong_count() > 0);
            known.full = known.by_origin.len() * 2;
        }
    }

    /// Which sets of managed fields were read.
    pub(crate) fn fields(&self) -> &FieldSets {
        &self.0.fields
    }

    fn get(&self, origin: Origin) -> Option<Shared<PodSpec>> {
        let known = self.0.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.by_origin.get(&origin).and_then(Shared::of_weak)
    }

    fn digest(&self, json: &[u8], marks: &Marks, is_ready: bool) -> Origin {
        let mut hasher = self.0.key.build_hasher();
        hasher.write_u8(is_ready.into());
        let mut from = 0;
        let mut marked: Vec<&Range<usize>> = marks.tokens.iter().chain([&marks.node]).collect();
        marked.sort_by_key(|range| range.start);
        for Range { start, end } in marked {
            let part = json.get(from..*start).unwrap_or_default();
            hasher.write_usize(part.len());
            hasher.write(part);
            from = *end;
        }
        hasher.write(json.get(from..).unwrap_or_default());
        Origin(NonZeroU64::new(hasher.finish()).unwrap_or(NonZeroU64::MAX))
    }
}

/// Where in a spec there is what other pods of its template do not have alike.
struct Marks {
    /// The node's name; empty, and at the beginning, where there is none.
    node: Range<usize>,
    /// The random letters of the token's volume, if it is to have none.
    tokens: Vec<Range<usize>>,
}

impl Marks {
    /// `None` where that is not clear from the bytes alone.
    fn of(bytes: &[u8], is_ready: bool) -> Option<Marks> {
        let mut nodes = memmem::find_iter(bytes, NODE_NAME);
        let node = match (nodes.next(), nodes.next()) {
            (None, _) => 0..0,
            (Some(at), None) => {
                let start = at + NODE_NAME.len();
                let name = bytes.get(start..)?;
                let end = memchr(b'"', name)?;
                // What is skipped has to be what JSON may have in a string, and what is read as it stands: no escapes.
                let is_plain = |byte: &u8| byte.is_ascii_graphic() && *byte != b'\\';
                name[..end].iter().all(is_plain).then_some(start..start + end)?
            }
            _ => return None,
        };
        let is_random = |range: &Range<usize>| {
            let letters = bytes.get(range.clone()).unwrap_or_default();
            letters.len() == RANDOM
                && letters.iter().all(u8::is_ascii_alphanumeric)
                && bytes.get(range.end) == Some(&b'"')
        };
        let tokens = memmem::find_iter(bytes, TOKEN_NAME).map(|at| at + TOKEN_NAME.len()).map(|at| at..at + RANDOM);
        let tokens = if is_ready { tokens.filter(is_random).collect() } else { Vec::new() };
        Some(Marks { node, tokens })
    }

    /// The node's name in the bytes that these marks are of.
    fn node_name<'a>(&self, json: &'a [u8]) -> &'a str {
        // Its bytes are ASCII.
        json.get(self.node.clone()).and_then(|name| std::str::from_utf8(name).ok()).unwrap_or_default()
    }
}

impl PodSpec {
    /// Gives the token's volume one name in all pods, without which no two pods have the same spec.
    pub fn one_token_volume(&mut self) {
        let PodSpec { volumes, containers, init_containers, ephemeral_containers, .. } = self;
        let mounts = [containers, init_containers, ephemeral_containers].into_iter().flatten();
        let mounts = mounts.flat_map(|container| &mut container.volume_mounts).map(|mount| &mut mount.name);
        let names = volumes.iter_mut().map(|volume| &mut volume.name).chain(mounts);
        names.filter(|name| is_token(name)).for_each(|name| name.truncate(TOKEN_VOLUME.len() - 1));
    }

    /// Wherever the token's volume is named with its random letters.
    pub fn token_names(&self) -> impl Iterator<Item = &str> {
        let PodSpec { volumes, containers, init_containers, ephemeral_containers, .. } = self;
        let mounts = [containers, init_containers, ephemeral_containers].into_iter().flatten();
        let mounts = mounts.flat_map(|container| &container.volume_mounts).map(|mount| &*mount.name);
        volumes.iter().map(|volume| &*volume.name).chain(mounts).filter(|name| is_token(name))
    }
}

fn is_token(name: &str) -> bool {
    name.strip_prefix(TOKEN_VOLUME).is_some_and(|random| random.len() == RANDOM)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(specs: &Specs, json: &str, is_ready: bool) -> PlacedSpec {
        specs.decode(json.as_bytes(), is_ready).unwrap()
    }

    /// Decodes and remembers as whoever keeps it does; whether it was known.
    fn take(specs: &Specs, json: &str, is_ready: bool) -> (PlacedSpec, bool) {
        let mut spec = decode(specs, json, is_ready);
        let known = specs.knows(&spec);
        if !known {
            if is_ready {
                spec.common.one_token_volume();
            }
            specs.remember(&spec);
        }
        (spec, known)
    }

    fn pod(node: &str, token: &str, variable: &str) -> String {
        format!(
            r#"{{"volumes":[{{"name":"kube-api-access-{token}"}}],"containers":[{{"name":"app","env":[{{"name":"{variable}",
            "value":"{{\"nodeName\":\"x\"}}"}}],"volumeMounts":[{{"name":"kube-api-access-{token}"}}]}}],"nodeName":"{node}"}}"#
        )
    }

    #[test]
    fn pods_of_a_template_have_one_spec_and_each_its_node() {
        let specs = Specs::default();
        let (one, known) = take(&specs, &pod("n1", "abcde", "A"), true);
        assert!(!known && one.node_name == "n1" && one.volumes[0].name == "kube-api-access");
        let (other, known) = take(&specs, &pod("n22", "fghij", "A"), true);
        assert!(known && other.node_name == "n22" && other.common.is_one(&one.common));
        // Another variable is another spec.
        assert!(!take(&specs, &pod("n1", "abcde", "B"), true).1);
    }

    #[test]
    fn of_a_pod_that_is_not_ready_the_volume_keeps_its_name() {
        let specs = Specs::default();
        let _ready = take(&specs, &pod("n1", "abcde", "A"), true);
        let (one, known) = take(&specs, &pod("n1", "abcde", "A"), false);
        assert!(!known && one.volumes[0].name == "kube-api-access-abcde");
        assert!(!take(&specs, &pod("n1", "fghij", "A"), false).1);
        assert!(take(&specs, &pod("n2", "abcde", "A"), false).1);
    }

    #[test]
    fn what_only_looks_like_a_token_or_a_node_is_never_mixed_up() {
        let specs = Specs::default();
        let variables = ["kube-api-access-aaaaa", "kube-api-access-bbbbb"];
        for variable in variables {
            let (spec, known) = take(&specs, &pod("n1", "abcde", variable), true);
            assert!(!known && spec.containers[0].env[0].name == variable);
        }
        let _ready = take(&specs, &pod("n1", "abcde", "A"), true);
        assert!(specs.decode(pod("n\n1", "abcde", "A").as_bytes(), true).is_err(), "a string with a line end");
        for node in ["a", "b"] {
            let nested = format!(r#"{{"affinity":{{"nodeName":"{node}"}}}}"#);
            let (spec, known) = take(&specs, &nested, true);
            assert!(!known && spec.node_name.is_empty());
            let twice = format!(r#"{{"affinity":{{"nodeName":"x"}},"nodeName":"{node}"}}"#);
            let (spec, known) = take(&specs, &twice, true);
            assert!(!known && spec.node_name == node);
            let spaced = format!(r#"{{"nodeName": "{node}"}}"#);
            let (spec, known) = take(&specs, &spaced, true);
            assert!(!known && spec.node_name == node);
        }
    }

    #[test]
    fn what_nobody_has_any_more_is_forgotten() {
        let specs = Specs::default();
        for i in 0..10 * FULL {
            take(&specs, &pod("n", "abcde", &format!("V{i}")), true);
        }
        assert!(specs.0.known.lock().unwrap().by_origin.len() <= FULL);
        assert!(!take(&specs, &pod("n", "abcde", "V1"), true).1);
    }
}
