//! Reading files of a bundle within bounds.

use reckon_model::Object;
use serde_json::Value;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The largest file that is read: the API server's own limit for one object is 1.5 MB, a List of a large namespace some MB.
const MAX_FILE: u64 = 64 << 20;

/// What all files together may hold.
const MAX_TOTAL: u64 = 256 << 20;

/// How deep directories are walked.
const MAX_DEPTH: usize = 8;

/// The files below a directory, in the order of their names. Links are left out: they may point anywhere.
pub(crate) fn walk(root: &Path, warnings: &mut Vec<String>) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut total = 0;
    let mut queue = vec![(root.to_owned(), 0)];
    while let Some((directory, depth)) = queue.pop() {
        let entries = match std::fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) => {
                warnings.push(format!("{}: {error}", directory.display()));
                continue;
            }
        };
        for entry in entries.flatten() {
            let path = entry.path();
            let Ok(meta) = std::fs::symlink_metadata(&path) else { continue };
            if meta.is_symlink() {
                warnings.push(format!("{}: a link, left out", path.display()));
            } else if meta.is_dir() && depth < MAX_DEPTH {
                queue.push((path, depth + 1));
            } else if meta.is_file() {
                total += meta.len();
                if total > MAX_TOTAL {
                    warnings.push(format!(
                        "{}: the bundle holds more than {} MiB, the rest is left out",
                        path.display(),
                        MAX_TOTAL >> 20
                    ));
                    return files;
                }
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

/// A file's bytes, or a sentence.
pub(crate) fn bytes(path: &Path) -> Result<Vec<u8>, String> {
    let reader: Box<dyn Read> = if path.as_os_str() == "-" {
        Box::new(std::io::stdin())
    } else {
        Box::new(std::fs::File::open(path).map_err(|error| format!("{}: {error}", path.display()))?)
    };
    let mut bytes = Vec::new();
    reader.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(|error| format!("{}: {error}", path.display()))?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(format!("{}: larger than {} MiB", path.display(), MAX_FILE >> 20));
    }
    Ok(bytes)
}

/// The objects of a JSON or YAML text: one, several documents, or Lists of them. What does not decode becomes a warning.
pub(crate) fn objects(
    name: &str,
    bytes: &[u8],
    fallback: Option<&reckon_model::Kind>,
    warnings: &mut Vec<String>,
) -> Vec<Object> {
    let mut objects = Vec::new();
    for value in values(name, bytes, warnings) {
        flatten(name, value, fallback, &mut objects, warnings);
    }
    objects
}

/// The documents of a JSON or YAML text.
pub(crate) fn values(name: &str, bytes: &[u8], warnings: &mut Vec<String>) -> Vec<Value> {
    let Ok(text) = std::str::from_utf8(bytes) else {
        let at = std::str::from_utf8(bytes).err().map_or(0, |error| error.valid_up_to());
        let line = bytes[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
        warnings.push(format!("{name}:{line}: not UTF-8"));
        return Vec::new();
    };
    if matches!(text.trim_start().as_bytes().first(), Some(b'{' | b'[')) {
        let mut values = Vec::new();
        for value in serde_json::Deserializer::from_str(text).into_iter::<Value>() {
            match value {
                Ok(value) => values.push(value),
                Err(error) => {
                    warnings.push(format!("{name}:{}: {error}", error.line()));
                    break;
                }
            }
        }
        return values;
    }
    // The default budget refuses alias bombs and absurd depth.
    match serde_saphyr::from_multiple::<Value>(text) {
        Ok(values) => values,
        Err(error) => {
            let what = error.to_string();
            warnings.push(format!("{name}: {}", what.lines().next().unwrap_or("not YAML")));
            Vec::new()
        }
    }
}

fn flatten(
    name: &str,
    value: Value,
    fallback: Option<&reckon_model::Kind>,
    objects: &mut Vec<Object>,
    warnings: &mut Vec<String>,
) {
    match value {
        Value::Array(items) => items.into_iter().for_each(|item| flatten(name, item, fallback, objects, warnings)),
        Value::Object(mut map) if map.get("items").is_some_and(Value::is_array) => {
            // A typed list says once what its items are.
            let kind = map.get("kind").and_then(Value::as_str).and_then(|kind| kind.strip_suffix("List"));
            let version = map.get("apiVersion").and_then(Value::as_str).unwrap_or("");
            let typed = kind.filter(|kind| !kind.is_empty()).map(|kind| reckon_model::Kind::of(version, kind));
            let fallback = typed.as_ref().or(fallback);
            if let Some(Value::Array(items)) = map.remove("items") {
                items.into_iter().for_each(|item| flatten(name, item, fallback, objects, warnings));
            }
        }
        Value::Null => {}
        other => {
            let text = other.to_string();
            match Object::decode_whole(text.as_bytes(), fallback) {
                Ok(object) => objects.push(object),
                Err(error) => warnings.push(format!("{name}: an object was left out: {error}")),
            }
        }
    }
}
