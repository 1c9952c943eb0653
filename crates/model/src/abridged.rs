//! A pod's JSON without what has been read before: of ten kilobytes three are left.

use memchr::memchr;
use memchr::memmem::{Finder, FinderRev};
use serde::de::{Error, IgnoredAny};
use serde::{Deserialize, Deserializer};
use std::collections::HashSet;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

/// A pod's JSON in which the spec, and those sets of managed fields that were read before, are each replaced by [`CUT`].
///
/// What is cut out is found by the bytes around it, as API servers write them, and nothing is believed of it: the spec is
/// decoded by itself or has the bytes of one that was, and so have the fields. Each is one JSON value then, where `CUT` is a
/// value in what is left, so whoever decodes what is left has decoded all of it. What was cut at the wrong place is no JSON
/// on one side of the cut; such a pod has to be decoded in one piece.
#[derive(Debug)]
pub(crate) struct Abridged<'a> {
    /// What is left.
    pub(crate) rest: Vec<u8>,
    /// The spec.
    pub(crate) spec: &'a [u8],
}

/// What stands for what was cut out: a zero.
const CUT: u8 = b'0';

/// A spec of which [`CUT`] is left. A spec that was not cut out is none.
pub(crate) struct Cut;

impl<'de> Deserialize<'de> for Cut {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u8::deserialize(deserializer)? {
            0 => Ok(Cut),
            _ => Err(D::Error::custom("a spec that is a number")),
        }
    }
}

/// Which sets of managed fields were read, by their digests: the pods of a template have them alike but for their address.
///
/// SipHash under a key of this process, as for specs: nobody can make an invalid one meet a valid one.
#[derive(Debug, Default)]
pub(crate) struct FieldSets {
    key: RandomState,
    read: Mutex<HashSet<u64>>,
}

/// Of so many sets, 1 MB, it is remembered that they were read; then all of it is forgotten, and they are read again.
const MOST: usize = 1 << 16;

/// A key as API servers write it. In a string its quotes would be escaped, so it is one wherever it is found.
struct Key(LazyLock<Finder<'static>>);

impl Key {
    const fn new(make: fn() -> Finder<'static>) -> Self {
        Key(LazyLock::new(make))
    }

    /// Where the key begins, and the first byte behind it.
    fn find(&self, json: &[u8], from: usize) -> Option<(usize, usize)> {
        let at = from + self.0.find(json.get(from..)?)?;
        Some((at, at + self.0.needle().len()))
    }
}

static SPEC: Key = Key::new(|| Finder::new(r#","spec":"#));
static STATUS: Key = Key::new(|| Finder::new(r#","status":{"#));
static FIELDS: Key = Key::new(|| Finder::new(r#","fieldsV1":"#));
static MANAGER: Key = Key::new(|| Finder::new(r#""manager":""#));
static END_OF_LIST: Key = Key::new(|| Finder::new("}]"));
/// An address in a set of fields, which is JSON in a string.
static ADDRESS: Key = Key::new(|| Finder::new(r#""k:{\"ip\":\""#));
static SUBRESOURCE: LazyLock<FinderRev<'static>> = LazyLock::new(|| FinderRev::new(r#","subresource":""#));

impl<'a> Abridged<'a> {
    /// `None` for what is not written as API servers do.
    pub(crate) fn of(json: &'a [u8], sets: &FieldSets) -> Option<Abridged<'a>> {
        let (_, spec) = SPEC.find(json, 0)?;
        let (status, _) = STATUS.find(json, spec)?;
        let mut rest = Vec::with_capacity(json.len() / 2);
        let mut from = 0;
        while let Some((_, start)) = FIELDS.find(json.get(..spec)?, from) {
            let end = end_of_fields(json, start)?;
            if sets.holds(json.get(start..end)?) {
                rest.extend_from_slice(json.get(from..start)?);
                rest.push(CUT);
            } else {
                rest.extend_from_slice(json.get(from..end)?);
            }
            from = end;
        }
        rest.extend_from_slice(json.get(from..spec)?);
        rest.push(CUT);
        rest.extend_from_slice(json.get(status..)?);
        Some(Abridged { rest, spec: json.get(spec..status)? })
    }
}

/// Where a set of fields ends that begins here. An API server writes the subresource behind it, if any, and then the next
/// manager or the end of the list; others sort keys, so that its own manager follows.
fn end_of_fields(json: &[u8], start: usize) -> Option<usize> {
    let end = match MANAGER.find(json, start) {
        Some((at, _)) if json.get(at.checked_sub(1)?) == Some(&b',') => return Some(at - 1),
        Some((at, _)) if json.get(start..at)?.ends_with(b"},{") => at - 3,
        _ => END_OF_LIST.find(json, start)?.0,
    };
    let entry = json.get(start..end)?;
    let fields = if entry.ends_with(b"\"") { SUBRESOURCE.rfind(entry)? } else { entry.len() };
    Some(start + fields)
}

impl FieldSets {
    /// Whether these bytes are a JSON object.
    fn holds(&self, fields: &[u8]) -> bool {
        let digest = self.digest(fields);
        if self.read().contains(&digest) {
            return true;
        }
        if fields.first() != Some(&b'{') || serde_json::from_slice::<IgnoredAny>(fields).is_err() {
            return false;
        }
        let mut read = self.read();
        if read.len() >= MOST {
            read.clear();
        }
        read.insert(digest);
        true
    }

    fn read(&self) -> MutexGuard<'_, HashSet<u64>> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Without addresses: one is as good as another of hexadecimal digits, dots and colons, which mean nothing in a string.
    fn digest(&self, fields: &[u8]) -> u64 {
        let mut hasher = self.key.build_hasher();
        let mut from = 0;
        while let Some((_, start)) = ADDRESS.find(fields, from) {
            hasher.write(&fields[from..start]);
            let address = memchr(b'\\', &fields[start..]).map_or(&[][..], |length| &fields[start..start + length]);
            let is_address = |byte: &u8| byte.is_ascii_hexdigit() || matches!(byte, b'.' | b':');
            from = start + if address.iter().all(is_address) { address.len() } else { 0 };
            hasher.write_u8(0);
        }
        hasher.write(fields.get(from..).unwrap_or_default());
        hasher.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Kind, Object, Specs};

    /// As an API server writes it.
    fn ordered(address: &str, more: &str) -> String {
        let own = r#""fieldsType":"FieldsV1","fieldsV1":{"f:spec":{"v:{\"a\":[1]}":{}}}"#;
        let status = format!(
            r#""fieldsV1":{{"f:status":{{"f:podIPs":{{".":{{}},"k:{{\"ip\":\"{address}\"}}":{{".":{{}},"f:ip":{{}}}}}}}}}}"#
        );
        format!(
            r#"{{"kind":"Pod","apiVersion":"v1","metadata":{{"name":"a","uid":"1","managedFields":[
            {{"manager":"kubectl","operation":"Update",{own}}},{{"manager":"kubelet","operation":"Update",{status},"subresource":"status"}}]}},
            "spec":{{"nodeName":"n1","containers":[{{"name":"app"}}]}},"status":{{"phase":"Running"{more}}}}}"#
        )
        .replace('\n', "")
        .replace("            ", "")
    }

    /// As one writes it that sorts keys.
    fn sorted() -> String {
        r#"{"metadata":{"managedFields":[{"apiVersion":"v1","fieldsType":"FieldsV1","fieldsV1":{"f:spec":{}},"manager":"kubectl","operation":"Update"},{"apiVersion":"v1","fieldsV1":{"f:status":{}},"manager":"kubelet","operation":"Update","subresource":"status"}],"name":"a","uid":"1"},"spec":{"containers":[{"name":"app"}],"nodeName":"n1"},"status":{"phase":"Running"}}"#.to_owned()
    }

    fn rest(json: &str, sets: &FieldSets) -> String {
        String::from_utf8(Abridged::of(json.as_bytes(), sets).unwrap().rest).unwrap()
    }

    #[test]
    fn neither_the_spec_nor_what_is_managed_is_left() {
        for json in [ordered("10.0.0.1", ""), sorted()] {
            let left = rest(&json, &FieldSets::default());
            assert!(!left.contains("f:") && !left.contains("nodeName"), "{left}");
            assert_eq!(left.matches(r#""fieldsV1":0"#).count(), 2, "{left}");
            assert!(left.contains(r#""spec":0,"status":{"phase""#) && left.contains("kubelet"), "{left}");
        }
    }

    #[test]
    fn fields_differ_in_what_they_say_and_not_in_an_address() {
        let sets = FieldSets::default();
        for address in ["10.0.0.1", "10.0.0.200", "fd00::1"] {
            rest(&ordered(address, ""), &sets);
        }
        assert_eq!(sets.read.lock().unwrap().len(), 2);
        // What is no address counts with all its bytes.
        rest(&ordered("example.org", ""), &sets);
        rest(&ordered("example.com", ""), &sets);
        assert_eq!(sets.read.lock().unwrap().len(), 4);
    }

    #[test]
    fn an_abridged_pod_is_the_pod() {
        let specs = Specs::default();
        for json in [ordered("10.0.0.1", ""), sorted(), ordered("10.0.0.2", r#","message":"x,\"spec\":{}""#)] {
            let whole = Object::decode(json.as_bytes(), Some(&Kind::Pod)).unwrap();
            // Once with the sets unknown, and once known.
            for _ in 0..2 {
                let pod = Object::decode_with(&specs, json.as_bytes(), Some(&Kind::Pod)).unwrap();
                assert_eq!(pod.meta.managers, whole.meta.managers);
                assert_eq!(pod.pod().unwrap().spec.common, whole.pod().unwrap().spec.common);
                assert_eq!(pod.pod().unwrap().spec.node_name, "n1");
                assert_eq!(format!("{:?}", pod.pod().unwrap().status), format!("{:?}", whole.pod().unwrap().status));
            }
        }
    }

    #[test]
    fn a_pod_that_is_broken_anywhere_is_no_pod_however_much_of_it_is_known() {
        let specs = Specs::default();
        let good = ordered("10.0.0.1", "");
        let decodes = |json: &[u8]| Object::decode_with(&specs, json, Some(&Kind::Pod)).is_ok();
        assert!(decodes(good.as_bytes()));
        let brackets = good.bytes().enumerate().filter(|(_, byte)| b"{}[]\":,".contains(byte)).map(|(at, _)| at);
        for at in brackets {
            let mut broken = good.clone().into_bytes();
            broken.remove(at);
            let whole = Object::decode(&broken, Some(&Kind::Pod)).is_ok();
            assert_eq!(decodes(&broken), whole, "without byte {at}: {}", String::from_utf8_lossy(&broken));
        }
    }

    #[test]
    fn the_spec_of_something_else_is_not_taken_for_the_pods() {
        let specs = Specs::default();
        let nested = r#"{"metadata":{"name":"a","x":{"y":1,"spec":{"nodeName":"n9"},"status":{"z":1}}},"status":{"phase":"Running"}}"#;
        let number = r#"{"metadata":{"name":"a","x":{"y":1,"spec":{"nodeName":"n9"},"status":{"z":1}}},"spec":{"nodeName":"n1"}}"#;
        for (json, node) in [(nested, ""), (number, "n1")] {
            let pod = Object::decode_with(&specs, json.as_bytes(), Some(&Kind::Pod)).unwrap();
            assert_eq!(pod.pod().unwrap().spec.node_name, node);
        }
    }
}
