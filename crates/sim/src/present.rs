//! The forms in which objects are served: as they are, their metadata alone, or rows of a table for people.

use crate::columns;
use crate::request::Call;
use crate::resource::Resource;
use crate::status::ApiError;
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// A form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// The object as it is.
    Plain,
    /// `PartialObjectMetadata`.
    Partial,
    /// `Table`.
    Table,
}

/// The first form of the `Accept` header that is served.
pub(crate) fn form(call: &Call) -> Result<Form, ApiError> {
    let accept = call.header("accept");
    for part in accept.split(',') {
        let mut parameters = part.split(';').map(str::trim);
        let media = parameters.next().unwrap_or_default();
        let mut kind = "";
        let mut served = true;
        for (key, value) in parameters.filter_map(|parameter| parameter.split_once('=')) {
            match key {
                "as" => kind = value,
                "g" => served &= value == "meta.k8s.io",
                "v" => served &= value == "v1" || value == "v1beta1",
                _ => {}
            }
        }
        match (media, kind) {
            ("" | "*/*" | "application/*" | "application/json", "") => return Ok(Form::Plain),
            ("application/json", "Table") if served => return Ok(Form::Table),
            ("application/json", "PartialObjectMetadata" | "PartialObjectMetadataList") if served => {
                return Ok(Form::Partial);
            }
            _ => {}
        }
    }
    let message = "only the following media types are accepted: application/json";
    Err(ApiError::new(406, "NotAcceptable", message))
}

/// Writes one object, given as it is stored.
pub(crate) fn write(out: &mut Vec<u8>, form: Form, resource: &Resource, version: &str, bytes: &[u8], now: Timestamp) {
    match form {
        Form::Plain => {
            out.extend_from_slice(resource.head(version).as_bytes());
            out.extend_from_slice(&bytes[1..]);
        }
        Form::Partial => partial(out, bytes),
        Form::Table => {
            let revision = metadata(bytes)["resourceVersion"].as_str().unwrap_or_default().to_owned();
            let meta = format!(r#"{{"resourceVersion":"{revision}"}}"#);
            out.extend_from_slice(&table(resource, &meta, std::iter::once(bytes), now));
        }
    }
}

/// A whole list in a form that is not plain.
pub(crate) fn list(
    form: Form,
    resource: &Resource,
    _version: &str,
    meta: &str,
    items: &[Bytes],
    now: Timestamp,
) -> Bytes {
    if form == Form::Table {
        return table(resource, meta, items.iter().map(|item| &item[..]), now);
    }
    let mut out =
        format!(r#"{{"kind":"PartialObjectMetadataList","apiVersion":"meta.k8s.io/v1","metadata":{meta},"items":["#)
            .into_bytes();
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        partial(&mut out, item);
    }
    out.extend_from_slice(b"]}");
    Bytes::from(out)
}

fn partial(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(br#"{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":"#);
    out.extend_from_slice(raw_metadata(bytes).as_bytes());
    out.push(b'}');
}

/// The metadata of a stored object, which it begins with.
fn raw_metadata(bytes: &[u8]) -> &str {
    let after = bytes.get(br#"{"metadata":"#.len()..).unwrap_or_default();
    let mut values = serde_json::Deserializer::from_slice(after).into_iter::<&RawValue>();
    values.next().and_then(Result::ok).map_or("{}", RawValue::get)
}

fn metadata(bytes: &[u8]) -> Value {
    serde_json::from_str(raw_metadata(bytes)).unwrap_or_default()
}

fn table<'a>(resource: &Resource, meta: &str, items: impl Iterator<Item = &'a [u8]>, now: Timestamp) -> Bytes {
    let columns = columns::of(resource);
    let definitions: Vec<Value> = columns
        .iter()
        .map(|column| {
            json!({
                "name": column.name,
                "type": column.kind,
                "format": if column.name == "Name" { "name" } else { "" },
                "description": "",
                "priority": column.priority,
            })
        })
        .collect();
    let mut out = format!(
        r#"{{"kind":"Table","apiVersion":"meta.k8s.io/v1","metadata":{meta},"columnDefinitions":{},"rows":["#,
        Value::from(definitions)
    )
    .into_bytes();
    for (i, bytes) in items.enumerate() {
        if i > 0 {
            out.push(b',');
        }
        let object: Value = serde_json::from_slice(bytes).unwrap_or_default();
        let cells: Vec<Value> = columns.iter().map(|column| column.cell(&object, now)).collect();
        out.extend_from_slice(br#"{"cells":"#);
        out.extend_from_slice(Value::from(cells).to_string().as_bytes());
        out.extend_from_slice(br#","object":"#);
        partial(&mut out, bytes);
        out.push(b'}');
    }
    out.extend_from_slice(b"]}");
    Bytes::from(out)
}
