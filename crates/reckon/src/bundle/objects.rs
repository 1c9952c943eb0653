//! Objects in a JSON or YAML text: one, several documents, or Lists of them.
//!
//! What does not decode costs itself alone and becomes a warning with file and line. Depth, size and aliases are bounded;
//! JSON that is merely passed over is never recursed into.

use reckon_cluster::{Piece, Splitter, name_in};
use reckon_model::text::{clean_line, shorten};
use reckon_model::{DecodeError, Kind, Object};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// How deep YAML may nest: as deep as the JSON decoder goes.
const MAX_DEPTH: usize = 128;

/// What aliases may add to a document. Manifests that people write repeat a few lines with them.
const MAX_REPLAYED: usize = 100_000;

/// Reads the objects of one file.
pub(crate) struct Reader<'a> {
    /// The file as sentences name it.
    pub(crate) name: &'a str,
    /// The kind of objects that name none.
    pub(crate) fallback: Option<Kind>,
    pub(crate) objects: Vec<Object>,
    /// Kinds of typed lists, which say that there are none where they are empty.
    pub(crate) listed: Vec<Kind>,
    pub(crate) warnings: Vec<String>,
}

/// The fields around the items of a list.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a> {
    #[serde(borrow, default)]
    api_version: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    items: Option<Vec<&'a RawValue>>,
}

impl Reader<'_> {
    /// Reads a text: each of its documents JSON or YAML by the first character.
    pub(crate) fn read(&mut self, bytes: &[u8]) {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
            return self.warn(1, "is UTF-16; save it as UTF-8");
        }
        // Each for itself: JSON is YAML, and people join JSON documents as they join YAML.
        for (line, document) in documents(bytes) {
            match document.trim_ascii_start().first() {
                Some(b'{' | b'[') => self.json(bytes, document, line),
                _ => self.yaml(document, line),
            }
        }
    }

    fn warn(&mut self, line: usize, what: &str) {
        self.warnings.push(format!("{}:{line}: {what}", self.name));
    }

    /// Values of JSON, one after the other. `file` is what lines are counted in; `text` begins on line `first` of it.
    fn json(&mut self, file: &[u8], text: &[u8], first: usize) {
        let mut documents = serde_json::Deserializer::from_slice(text).into_iter::<&RawValue>();
        loop {
            let start = documents.byte_offset();
            match documents.next() {
                None => return,
                Some(Ok(document)) => self.document(file, document.get()),
                // What is broken in the middle may still be a list whose other items are not.
                Some(Err(error)) => {
                    let line = first + error.line().saturating_sub(1);
                    return self.salvage(file, &text[start.min(text.len())..], line, &without_values(&error));
                }
            }
        }
    }

    /// One JSON document.
    fn document(&mut self, file: &[u8], json: &str) {
        if json.starts_with('[') {
            match serde_json::from_str::<Vec<&RawValue>>(json) {
                Ok(items) => items.into_iter().for_each(|item| self.object(file, item.get().as_bytes(), None)),
                Err(error) => self.warn(line_of(file, json.as_bytes()) + error.line() - 1, &without_values(&error)),
            }
            return;
        }
        match serde_json::from_str::<Envelope<'_>>(json) {
            Ok(Envelope { api_version, kind, items: Some(items) }) => {
                let kind = list_of(api_version.as_deref(), kind.as_deref());
                self.listed.extend(kind.clone());
                items.into_iter().for_each(|item| self.object(file, item.get().as_bytes(), kind.as_ref()));
            }
            _ => self.object(file, json.as_bytes(), None),
        }
    }

    /// The items of a list whose text is broken somewhere.
    fn salvage(&mut self, file: &[u8], rest: &[u8], line: usize, why: &str) {
        let kind = rest
            .windows(7)
            .take(4096)
            .position(|window| window == b"\"kind\":")
            .and_then(|at| std::str::from_utf8(&rest[at + 7..]).ok().or(Some("")))
            .and_then(|text| text.trim_start().strip_prefix('"')?.split('"').next())
            .and_then(|kind| list_of(Some("v1"), Some(kind)));
        let mut splitter = Splitter::default();
        let before = (self.objects.len(), self.warnings.len());
        let fallback = self.fallback.clone();
        let split = splitter.push(rest, &mut |piece| match piece {
            Piece::Item(item) => self.object(file, item, kind.as_ref().or(fallback.as_ref())),
            Piece::TooLarge { .. } => self.warn(line_of(file, rest), "an object larger than 8 MiB was left out"),
        });
        let whole = split.is_ok() && splitter.finish().is_ok();
        // Where every item was judged for itself, the file as a whole needs no second sentence.
        if !whole || before == (self.objects.len(), self.warnings.len()) {
            self.warn(line, &format!("{why}; what follows is left out"));
        }
    }

    /// One object's JSON. `json` lies in `file` where its line can be told.
    fn object(&mut self, file: &[u8], json: &[u8], kind: Option<&Kind>) {
        if json == b"null" {
            return;
        }
        match Object::decode(json, kind.or(self.fallback.as_ref())) {
            Ok(object) => self.objects.push(placed(object)),
            Err(error) => {
                let (line, why) = reason(&error);
                let what = name_in(json)
                    .map_or_else(|| "an object".to_owned(), |name| shorten(&clean_line(&name), 253).into_owned());
                self.warn(line_of(file, json) + line, &format!("{what} was left out: {why}"));
            }
        }
    }

    fn yaml(&mut self, document: &[u8], line: usize) {
        let text = match std::str::from_utf8(document) {
            Ok(text) => text,
            Err(error) => return self.warn(line + newlines(&document[..error.valid_up_to()]), "not UTF-8"),
        };
        match serde_saphyr::from_str_with_options::<Value>(text, options()) {
            Ok(value) => self.value(value, line, None),
            Err(error) => {
                let at = error.location().map_or(0, |location| location.line().saturating_sub(1));
                let said = error.without_snippet().to_string();
                let said = clean_line(said.lines().next().unwrap_or("not YAML"));
                self.warn(line + usize::try_from(at).unwrap_or(0), &shorten(&said, 200));
            }
        }
    }

    /// A YAML document, or an item in one. Lines within a document are lost with its comments.
    fn value(&mut self, value: Value, line: usize, kind: Option<&Kind>) {
        match value {
            Value::Null => {}
            Value::Array(items) => items.into_iter().for_each(|item| self.value(item, line, kind)),
            Value::Object(mut map) if map.get("items").is_some_and(Value::is_array) => {
                let text = |key: &str| map.get(key).and_then(Value::as_str);
                let kind = list_of(text("apiVersion"), text("kind"));
                self.listed.extend(kind.clone());
                let Some(Value::Array(items)) = map.remove("items") else { return };
                items.into_iter().for_each(|item| self.value(item, line, kind.as_ref()));
            }
            other => {
                let json = other.to_string();
                match Object::decode(json.as_bytes(), kind.or(self.fallback.as_ref())) {
                    Ok(object) => self.objects.push(placed(object)),
                    Err(error) => {
                        let what = name_in(json.as_bytes()).unwrap_or_else(|| "an object".to_owned());
                        self.warn(line, &format!("{} was left out: {}", clean_line(&what), reason(&error).1));
                    }
                }
            }
        }
    }
}

/// A manifest may leave its namespace out: then it is the default one, as for kubectl.
fn placed(mut object: Object) -> Object {
    if object.kind.namespaced() && !matches!(object.kind, Kind::Other(_)) && object.meta.namespace.is_none() {
        object.meta.namespace = Some("default".to_owned());
    }
    object
}

/// The kind of a typed list's items.
fn list_of(api_version: Option<&str>, kind: Option<&str>) -> Option<Kind> {
    let kind = kind?.strip_suffix("List").filter(|kind| !kind.is_empty())?;
    Some(Kind::of(api_version.unwrap_or(""), kind))
}

/// One YAML document as JSON, for `bundle.yaml`.
pub(crate) fn one_value(bytes: &[u8]) -> Result<Value, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "not UTF-8".to_owned())?;
    serde_saphyr::from_str_with_options(text, options()).map_err(|error| {
        let said = error.without_snippet().to_string();
        shorten(&clean_line(said.lines().next().unwrap_or("not YAML")), 200).into_owned()
    })
}

fn options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        // A list of a large namespace is one document; what its size cannot bound is bounded by the aliases below.
        budget: serde_saphyr::budget! {
            max_events: 30_000_000,
            max_nodes: 15_000_000,
            max_depth: MAX_DEPTH,
            max_aliases: 10_000,
            max_anchors: 10_000,
            max_recorded_anchor_events: MAX_REPLAYED,
            max_recorded_anchor_bytes: 4 << 20,
        },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: MAX_REPLAYED },
        with_snippet: false,
    }
}

/// The documents of a YAML stream, each with the number of its first line.
fn documents(bytes: &[u8]) -> Vec<(usize, &[u8])> {
    let mut documents = Vec::new();
    let (mut start, mut first, mut offset) = (0, 1, 0);
    for (number, line) in (1..).zip(bytes.split_inclusive(|byte| *byte == b'\n')) {
        let marker = line.strip_prefix(b"---").or_else(|| line.strip_prefix(b"..."));
        if marker.is_some_and(|rest| rest.first().is_none_or(u8::is_ascii_whitespace)) {
            documents.push((first, &bytes[start..offset]));
            // What follows a marker on its own line belongs to the document.
            start = offset + 3;
            first = number;
        }
        offset += line.len();
    }
    documents.push((first, &bytes[start.min(bytes.len())..]));
    documents.retain(|(_, document)| !document.iter().all(u8::is_ascii_whitespace));
    documents
}

/// The lines to add to the object's own, and why it is none.
pub(super) fn reason(error: &DecodeError) -> (usize, String) {
    match error {
        DecodeError::Json { source, place } => {
            // Metadata is decoded by itself, so that its lines count from elsewhere.
            let line = if place.starts_with("metadata") { 0 } else { source.line().saturating_sub(1) };
            (line, without_values(source))
        }
        DecodeError::Missing(what) => (0, format!("no {what}")),
    }
}

/// The decoder quotes the value it stumbled over, which may be anything; only that there was one is kept.
fn without_values(error: &serde_json::Error) -> String {
    let text = clean_line(&error.to_string());
    let text = text.split(" at line ").next().unwrap_or(&text);
    let mut kept = String::new();
    for (i, part) in text.split('"').enumerate() {
        kept.push_str(if i % 2 == 0 { part } else { "\"…\"" });
    }
    shorten(&kept, 300).into_owned()
}

fn newlines(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte == b'\n').count()
}

/// The line of the file on which a part of it begins; 1 if it is no part of it.
fn line_of(file: &[u8], part: &[u8]) -> usize {
    let offset = (part.as_ptr() as usize).wrapping_sub(file.as_ptr() as usize);
    file.get(..offset).map_or(1, |before| newlines(before) + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> (Vec<String>, Vec<String>) {
        let mut reader =
            Reader { name: "f", fallback: None, objects: Vec::new(), listed: Vec::new(), warnings: Vec::new() };
        reader.read(text);
        (reader.objects.into_iter().map(|object| object.meta.name).collect(), reader.warnings)
    }

    fn item(name: &str) -> String {
        format!("{{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{{\"name\":\"{name}\"}}}}")
    }

    #[test]
    fn documents_lists_and_arrays_are_read_in_json_and_in_yaml() {
        let json = format!("{} {{\"items\":[{}],\"kind\":\"List\"}} [{}]", item("a"), item("b"), item("c"));
        assert_eq!(read(json.as_bytes()), (vec!["a".into(), "b".into(), "c".into()], vec![]));
        let joined = format!("{}\n---\n{}\n", item("a"), item("b"));
        assert_eq!(read(joined.as_bytes()), (vec!["a".into(), "b".into()], vec![]));
        let yaml = b"# c\n---\nkind: Pod\nmetadata: {name: a}\n---\napiVersion: v1\nkind: PodList\nitems:\n- metadata: {name: b}\n...\n---\n";
        assert_eq!(read(yaml), (vec!["a".into(), "b".into()], vec![]));
    }

    #[test]
    fn one_bad_item_costs_itself_and_is_named_with_its_line() {
        let list = format!(
            "{{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"items\":[\n{},\n{{\"metadata\":{{\"name\":\"b\"}},\"spec\":7}},\n{}]}}",
            item("a"),
            item("c")
        );
        let (names, warnings) = read(list.as_bytes());
        assert_eq!(names, ["a", "c"]);
        assert!(warnings.len() == 1 && warnings[0].starts_with("f:3: b was left out"), "{warnings:?}");
    }

    #[test]
    fn a_list_that_ends_in_the_middle_gives_the_items_before() {
        let list = format!("{{\"kind\":\"List\",\"items\":[\n{},\n{},\n{{\"kind\":", item("a"), item("b"));
        let (names, warnings) = read(list.as_bytes());
        assert_eq!(names, ["a", "b"]);
        assert!(warnings.len() == 1 && warnings[0].starts_with("f:4: "), "{warnings:?}");
    }

    #[test]
    fn an_item_that_is_not_utf8_costs_itself() {
        let mut list = format!("{{\"kind\":\"List\",\"items\":[\n{},\n", item("a")).into_bytes();
        list.extend(b"{\"kind\":\"Pod\",\"metadata\":{\"name\":\"\xff\"}}");
        list.extend(format!(",\n{}]}}", item("c")).bytes());
        let (names, warnings) = read(&list);
        assert_eq!(names, ["a", "c"]);
        assert!(warnings.len() == 1 && warnings[0].starts_with("f:3: "), "{warnings:?}");
    }

    #[test]
    fn json_nested_100_000_deep_costs_its_object() {
        let deep = |name: &str| {
            format!(
                "{{\"kind\":\"Pod\",\"metadata\":{{\"name\":\"{name}\"}},\"spec\":{}{}}}",
                "[".repeat(100_000),
                "]".repeat(100_000)
            )
        };
        let list = format!("{{\"kind\":\"List\",\"items\":[{},\n{}]}}", deep("d"), item("a"));
        let (names, warnings) = read(list.as_bytes());
        assert_eq!(names, ["a"]);
        assert_eq!(warnings.len(), 1, "{warnings:?}");
    }

    #[test]
    fn yaml_errors_name_the_line_of_the_file_and_cost_their_document() {
        let yaml = b"kind: Pod\nmetadata: {name: a}\n---\nkind: Pod\nmetadata: {name: b\n---\nkind: Pod\nmetadata: {name: c}\n";
        let (names, warnings) = read(yaml);
        assert_eq!(names, ["a", "c"]);
        assert!(
            warnings.len() == 1 && (warnings[0].starts_with("f:5: ") || warnings[0].starts_with("f:6: ")),
            "{warnings:?}"
        );
    }

    #[test]
    fn what_is_wrong_is_told_without_the_value() {
        let (_, warnings) = read(br#"{"kind":"Pod","metadata":{"name":"a"},"spec":{"containers":"hunter2"}}"#);
        assert!(!warnings[0].contains("hunter2"), "{warnings:?}");
    }
}
