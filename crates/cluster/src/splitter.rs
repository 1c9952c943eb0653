//! Splits a list answer into its items while the bytes arrive.
//!
//! A list of 10,000 pods is more than 100 MB of JSON. It is never held: the splitter follows the outermost object with a
//! few bytes of state, hands out the bytes of each element of `items`, and keeps only the small fields around them. It
//! does not judge JSON: what is inside an item is the decoder's business, so one broken item costs one item.
//! Nesting is counted, never recursed into.

use serde::Deserialize;
use std::borrow::Cow;

/// The largest item that is handed out: etcd refuses objects above about 1.5 MiB, aggregated APIs may serve more.
pub const MAX_ITEM_BYTES: usize = 8 * 1024 * 1024;

/// How much of an item that is too large is kept, to find its name in.
const HEAD_BYTES: usize = 4096;

/// The largest value beside `items` that is kept; `metadata` is some hundred bytes.
const MAX_FIELD_BYTES: usize = 64 * 1024;

/// One element of `items`.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Its bytes, exactly.
    Item(&'a [u8]),
    /// It is larger than the limit and was not kept.
    TooLarge {
        /// How it begins.
        head: &'a [u8],
    },
}

/// Why bytes are no list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SplitError {
    /// The outermost value is no JSON object, or something stands where it cannot.
    #[error("the answer is not a JSON object (unexpected byte 0x{byte:02x} at offset {at})")]
    Unexpected {
        /// The byte.
        byte: u8,
        /// Its offset in the answer.
        at: u64,
    },
    /// The answer ended before its outermost object did.
    #[error("the list ended in the middle")]
    Truncated,
    /// A complete object without `items`.
    #[error("the answer is a {0} and not a list")]
    NotAList(String),
    /// The fields around the items are not as they should be.
    #[error("the list's metadata cannot be read: {0}")]
    Metadata(String),
}

/// What stands around the items.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ListMeta {
    /// Where a watch can go on from.
    pub resource_version: Option<String>,
    /// The token of the next page, if there is one.
    #[serde(rename = "continue")]
    pub continue_token: Option<String>,
    /// How many objects later pages hold, as far as the server says.
    pub remaining_item_count: Option<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// Before the outermost `{`.
    Start,
    /// Before a key or the outermost `}`.
    Key,
    InKey,
    /// Before the `:`.
    Colon,
    /// Before the value of the current key.
    Value,
    InValue,
    /// Before the `,` or the outermost `}`.
    AfterValue,
    /// In `items`, before an element or `]`.
    Item,
    InItem,
    /// In `items`, before `,` or `]`.
    AfterItem,
    End,
}

/// The splitter's state between two chunks.
#[derive(Debug)]
pub struct Splitter {
    at: At,
    scan: Scan,
    /// The key or value that began in an earlier chunk.
    held: Vec<u8>,
    overflowed: bool,
    max_item: usize,
    offset: u64,
    field: Field,
    kind: String,
    meta: Vec<u8>,
    saw_items: bool,
}

/// Which field of the outermost object is being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Items,
    Metadata,
    Kind,
    Other,
}

impl Default for Splitter {
    fn default() -> Self {
        Splitter::new(MAX_ITEM_BYTES)
    }
}

impl Splitter {
    /// A splitter that hands out items of at most so many bytes.
    pub fn new(max_item: usize) -> Self {
        Splitter {
            at: At::Start,
            scan: Scan::default(),
            held: Vec::new(),
            overflowed: false,
            max_item,
            offset: 0,
            field: Field::Other,
            kind: String::new(),
            meta: Vec::new(),
            saw_items: false,
        }
    }

    /// Takes the next bytes and hands out the items that end in them.
    pub fn push(&mut self, chunk: &[u8], each: &mut dyn FnMut(Piece<'_>)) -> Result<(), SplitError> {
        let mut i = 0;
        while i < chunk.len() {
            if matches!(self.at, At::InKey | At::InValue | At::InItem) {
                i += self.inside(&chunk[i..], each);
                continue;
            }
            let byte = chunk[i];
            if matches!(byte, b' ' | b'\t' | b'\r' | b'\n') {
                i += 1;
                continue;
            }
            let unexpected = SplitError::Unexpected { byte, at: self.offset + i as u64 };
            // A value is entered without consuming its first byte, which the scan has to see.
            let mut consumed = 1;
            self.at = match (self.at, byte) {
                (At::Start, b'{') => At::Key,
                (At::Key, b'"') => {
                    consumed = 0;
                    self.enter(byte, At::InKey)
                }
                (At::Key | At::AfterValue, b'}') => At::End,
                (At::Colon, b':') => At::Value,
                (At::Value, b'[') if self.field == Field::Items => {
                    self.saw_items = true;
                    At::Item
                }
                (At::Value, b',' | b':' | b'}' | b']') | (At::Item | At::AfterItem, b'}' | b':') => {
                    return Err(unexpected);
                }
                (At::Value, _) => {
                    consumed = 0;
                    self.enter(byte, At::InValue)
                }
                (At::AfterValue, b',') => At::Key,
                (At::Item | At::AfterItem, b']') => At::AfterValue,
                (At::Item | At::AfterItem, b',') => At::Item,
                (At::Item, _) => {
                    consumed = 0;
                    self.enter(byte, At::InItem)
                }
                _ => return Err(unexpected),
            };
            i += consumed;
        }
        self.offset += chunk.len() as u64;
        Ok(())
    }

    /// What stood around the items, once the answer has ended.
    pub fn finish(self) -> Result<ListMeta, SplitError> {
        if self.at != At::End {
            return Err(SplitError::Truncated);
        }
        if !self.saw_items {
            let kind = if self.kind.is_empty() { "nameless object".to_owned() } else { self.kind };
            return Err(SplitError::NotAList(kind));
        }
        if self.meta.is_empty() {
            return Ok(ListMeta::default());
        }
        let mut meta: ListMeta = serde_json::from_slice::<Option<ListMeta>>(&self.meta)
            .map_err(|error| SplitError::Metadata(error.to_string()))?
            .unwrap_or_default();
        // Servers write an empty token where there is none.
        meta.continue_token = meta.continue_token.filter(|token| !token.is_empty());
        Ok(meta)
    }

    fn enter(&mut self, first: u8, at: At) -> At {
        self.scan = Scan::begin(first);
        self.held.clear();
        self.overflowed = false;
        at
    }

    /// Goes on inside a key or value. Returns how many bytes belong to it.
    fn inside(&mut self, bytes: &[u8], each: &mut dyn FnMut(Piece<'_>)) -> usize {
        let end = self.scan.run(bytes);
        let part = &bytes[..end.unwrap_or(bytes.len())];
        let Some(end) = end else {
            self.hold(part);
            return bytes.len();
        };
        if self.held.is_empty() && !self.overflowed && part.len() <= self.limit() {
            self.ended(part, each);
        } else {
            self.hold(part);
            let held = std::mem::take(&mut self.held);
            self.ended(&held, each);
            self.held = held;
            self.held.clear();
            // One giant must not cost its size for the rest of the list.
            self.held.shrink_to(256 * 1024);
        }
        end
    }

    fn limit(&self) -> usize {
        if self.at == At::InItem { self.max_item } else { MAX_FIELD_BYTES }
    }

    fn hold(&mut self, part: &[u8]) {
        if self.overflowed {
            return;
        }
        let limit = self.limit();
        if self.held.len() + part.len() > limit {
            self.overflowed = true;
            let room = HEAD_BYTES.saturating_sub(self.held.len()).min(part.len());
            self.held.extend_from_slice(&part[..room]);
            self.held.truncate(HEAD_BYTES);
            self.held.shrink_to_fit();
        } else {
            self.held.extend_from_slice(part);
        }
    }

    fn ended(&mut self, bytes: &[u8], each: &mut dyn FnMut(Piece<'_>)) {
        match self.at {
            At::InItem => {
                each(if self.overflowed { Piece::TooLarge { head: bytes } } else { Piece::Item(bytes) });
                self.at = At::AfterItem;
            }
            At::InKey => {
                self.field = match bytes {
                    b"\"items\"" => Field::Items,
                    b"\"metadata\"" => Field::Metadata,
                    b"\"kind\"" => Field::Kind,
                    _ => Field::Other,
                };
                self.at = At::Colon;
            }
            _ => {
                match self.field {
                    Field::Metadata if !self.overflowed => self.meta = bytes.to_vec(),
                    Field::Kind if !self.overflowed => {
                        self.kind =
                            serde_json::from_slice::<Cow<'_, str>>(bytes).map(Cow::into_owned).unwrap_or_default();
                    }
                    // Some servers write `null` for an empty list.
                    Field::Items => self.saw_items = bytes == b"null",
                    _ => {}
                }
                self.at = At::AfterValue;
            }
        }
    }
}

/// Finds where a JSON value ends.
#[derive(Clone, Copy, Debug, Default)]
struct Scan {
    /// Open brackets. A scalar has none from its first byte on.
    depth: usize,
    shape: Shape,
    in_string: bool,
    escaped: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Shape {
    Container,
    String,
    #[default]
    Scalar,
}

impl Scan {
    fn begin(first: u8) -> Self {
        let shape = match first {
            b'{' | b'[' => Shape::Container,
            b'"' => Shape::String,
            _ => Shape::Scalar,
        };
        Scan { depth: 0, shape, in_string: false, escaped: false }
    }

    /// The number of bytes up to the end of the value, if it ends in these.
    fn run(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut i = 0;
        while i < bytes.len() {
            if self.escaped {
                self.escaped = false;
                i += 1;
                continue;
            }
            if self.in_string {
                i += memchr::memchr2(b'"', b'\\', &bytes[i..])?;
                if bytes[i] == b'\\' {
                    self.escaped = true;
                } else {
                    self.in_string = false;
                    if self.shape == Shape::String {
                        return Some(i + 1);
                    }
                }
                i += 1;
                continue;
            }
            match bytes[i] {
                b'"' if self.shape != Shape::Scalar => self.in_string = true,
                b',' | b'}' | b']' | b' ' | b'\t' | b'\r' | b'\n' if self.shape == Shape::Scalar => return Some(i),
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 {
                        return Some(i + 1);
                    }
                }
                _ => {}
            }
            i += 1;
        }
        None
    }
}

/// Namespace and name of an object that is JSON, whatever else is wrong with it; nothing of them is guessed.
pub(crate) fn identity_in(bytes: &[u8]) -> Option<(Option<String>, String)> {
    #[derive(Deserialize)]
    struct Named {
        metadata: Meta,
    }
    #[derive(Deserialize)]
    struct Meta {
        name: String,
        #[serde(default)]
        namespace: Option<String>,
    }
    let Named { metadata: Meta { name, namespace } } = serde_json::from_slice(bytes).ok()?;
    Some((namespace.filter(|namespace| !namespace.is_empty()), name))
}

/// The name in the bytes of an object that could not be decoded, as far as it can be told. For messages only.
pub fn name_in(bytes: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Named<'a> {
        #[serde(borrow)]
        metadata: Meta<'a>,
    }
    #[derive(Deserialize)]
    struct Meta<'a> {
        #[serde(borrow)]
        name: Cow<'a, str>,
    }
    if let Ok(named) = serde_json::from_slice::<Named<'_>>(bytes) {
        return Some(named.metadata.name.into_owned());
    }
    // Broken JSON or broken UTF-8: the first `name` after `metadata`.
    let metadata = memchr::memmem::find(bytes, b"\"metadata\"")?;
    let rest = &bytes[metadata..];
    let key = memchr::memmem::find(rest, b"\"name\"")?;
    let rest = rest[key + 6..].trim_ascii_start().strip_prefix(b":")?.trim_ascii_start().strip_prefix(b"\"")?;
    let end = memchr::memchr(b'"', rest)?;
    (end <= 253).then(|| String::from_utf8_lossy(&rest[..end]).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn split(chunks: &[&[u8]]) -> (Vec<Vec<u8>>, Result<ListMeta, SplitError>) {
        split_limited(chunks, MAX_ITEM_BYTES)
    }

    fn split_limited(chunks: &[&[u8]], limit: usize) -> (Vec<Vec<u8>>, Result<ListMeta, SplitError>) {
        let mut splitter = Splitter::new(limit);
        let mut items = Vec::new();
        for chunk in chunks {
            let pushed = splitter.push(chunk, &mut |piece| match piece {
                Piece::Item(bytes) => items.push(bytes.to_vec()),
                Piece::TooLarge { .. } => items.push(b"TOO LARGE".to_vec()),
            });
            if let Err(error) = pushed {
                return (items, Err(error));
            }
        }
        (items, splitter.finish())
    }

    const LIST: &str = "{ \"kind\": \"PodList\",\n \"apiVersion\":\"v1\", \"metadata\" : {\"resourceVersion\":\"7\",\
        \"continue\":\"a\\\"}b\"},\n\t\"items\": [ {\"a\":\"}]\\\\\"} , {\"b\":[{\"c\":\"\\\"\"}]}\r\n, 17 ,null,\"x,]\"] , \"z\":1 }\n";

    #[test]
    fn items_and_metadata_are_the_same_at_every_chunk_boundary() {
        let whole = split(&[LIST.as_bytes()]);
        assert_eq!(whole.0.len(), 5);
        assert_eq!(whole.0[1], br#"{"b":[{"c":"\""}]}"#);
        let meta = whole.1.clone().unwrap();
        assert_eq!(meta.resource_version.as_deref(), Some("7"));
        assert_eq!(meta.continue_token.as_deref(), Some("a\"}b"));
        for first in 0..LIST.len() {
            for second in first..LIST.len() {
                let (a, rest) = LIST.as_bytes().split_at(first);
                let (b, c) = rest.split_at(second - first);
                assert_eq!(split(&[a, b, c]), whole, "cut at {first} and {second}");
            }
        }
    }

    #[test]
    fn metadata_may_stand_after_the_items() {
        let (items, meta) = split(&[br#"{"items":[{}],"metadata":{"resourceVersion":"9","continue":""}}"#]);
        assert_eq!(items, [b"{}"]);
        let meta = meta.unwrap();
        assert_eq!(meta.resource_version.as_deref(), Some("9"));
        assert_eq!(meta.continue_token, None);
    }

    #[test]
    fn an_answer_that_stops_in_the_middle_delivers_what_came() {
        let body = br#"{"items":[{"a":1},{"b":2},{"c""#;
        let (items, end) = split(&[body]);
        assert_eq!(items.len(), 2);
        assert_eq!(end, Err(SplitError::Truncated));
    }

    #[test]
    fn an_empty_list_may_be_null() {
        assert_eq!(split(&[br#"{"kind":"PodList","items":null}"#]).1, Ok(ListMeta::default()));
        assert_eq!(split(&[br#"{"kind":"PodList","items":[]}"#]).1, Ok(ListMeta::default()));
    }

    #[test]
    fn another_object_is_named_and_not_taken_for_an_empty_list() {
        assert_eq!(split(&[br#"{"kind":"Status","code":500}"#]).1, Err(SplitError::NotAList("Status".into())));
        assert!(matches!(split(&[b"<html>"]).1, Err(SplitError::Unexpected { byte: b'<', at: 0 })));
    }

    #[test]
    fn an_item_above_the_limit_is_reported_and_the_next_is_delivered() {
        let big = format!(r#"{{"metadata":{{"name":"big"}},"x":"{}"}}"#, "y".repeat(9000));
        let body = format!(r#"{{"items":[{{"n":1}},{big},{{"n":2}}]}}"#);
        for size in [1, 7, 4096, body.len()] {
            let chunks: Vec<&[u8]> = body.as_bytes().chunks(size).collect();
            let (items, end) = split_limited(&chunks, 5000);
            assert_eq!(items, [b"{\"n\":1}".to_vec(), b"TOO LARGE".to_vec(), b"{\"n\":2}".to_vec()]);
            assert!(end.is_ok());
        }
        assert_eq!(name_in(&big.as_bytes()[..HEAD_BYTES]).as_deref(), Some("big"));
    }

    #[test]
    fn nesting_of_any_depth_is_counted_and_not_recursed_into() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let body = format!(r#"{{"items":[{deep},{{}}]}}"#);
        let (items, end) = split(&[body.as_bytes()]);
        assert_eq!((items.len(), items[0].len()), (2, 200_000));
        assert!(end.is_ok());
    }

    #[test]
    fn a_name_is_found_in_broken_bytes() {
        assert_eq!(name_in(b"{\"metadata\":{\"name\" : \"a\xffb\"").as_deref(), Some("a\u{fffd}b"));
        assert_eq!(name_in(br#"{"metadata":{"name":"n"},"spec":[}"#).as_deref(), Some("n"));
        assert_eq!(name_in(b"[[["), None);
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
            "[\\[\\]{}\",:\\\\ ]{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(any::<String>(), inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn every_item_comes_out_as_it_went_in(
            items in prop::collection::vec(any_json(), 0..6),
            extra in any_json(),
            pretty in any::<bool>(),
            size in 1_usize..40,
        ) {
            let list = json!({"extra": extra, "items": items, "kind": "L", "metadata": {"resourceVersion": "1"}});
            let body = if pretty { serde_json::to_vec_pretty(&list) } else { serde_json::to_vec(&list) }.unwrap();
            let chunks: Vec<&[u8]> = body.chunks(size).collect();
            let (pieces, end) = split(&chunks);
            let decoded: Vec<Value> = pieces.iter().map(|piece| serde_json::from_slice(piece).unwrap()).collect();
            prop_assert_eq!(decoded, items);
            let meta = end.unwrap();
            prop_assert_eq!(meta.resource_version.as_deref(), Some("1"));
        }

        #[test]
        fn no_bytes_make_it_panic_and_no_chunking_changes_the_outcome(
            bytes in prop::collection::vec(prop_oneof![
                prop::sample::select(b"{}[]\",:\\ items\n".to_vec()), any::<u8>()], 0..60),
            prefix in prop::sample::select(vec!["", "{", "{\"items\":[", "{\"metadata\":"]),
        ) {
            let body: Vec<u8> = prefix.bytes().chain(bytes).collect();
            let whole = split(&[&body]);
            let single: Vec<&[u8]> = body.chunks(1).collect();
            prop_assert_eq!(split(&single), whole);
        }
    }
}
