//! The whole of an object, put away small.

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use serde_json::Value;
use std::fmt;
use std::io::{Read, Write};
use std::sync::Arc;

/// All of an object, for kinds whose old and new states are compared. Hardly any of it is ever read, and as a tree of values
/// it takes ten times the bytes that came: so whoever keeps it packs it, and who reads it takes it out again.
#[derive(Clone)]
pub struct Whole(Form);

#[derive(Clone)]
enum Form {
    /// As it was decoded.
    Loose(Arc<Value>),
    /// Deflated JSON.
    Packed(Box<[u8]>),
}

impl Whole {
    /// All of an object.
    pub fn new(value: Value) -> Self {
        Whole(Form::Loose(Arc::new(value)))
    }

    /// The object.
    pub fn value(&self) -> Arc<Value> {
        match &self.0 {
            Form::Loose(value) => value.clone(),
            // What was packed here is JSON.
            Form::Packed(bytes) => Arc::new(inflated(bytes).unwrap_or_default()),
        }
    }

    /// The same after a change, packed.
    pub fn packed_after(self, change: impl FnOnce(&mut Value)) -> Self {
        let mut value = match self.0 {
            Form::Loose(value) => Arc::unwrap_or_clone(value),
            Form::Packed(_) => Value::clone(&self.value()),
        };
        change(&mut value);
        match deflated(&value) {
            Some(bytes) => Whole(Form::Packed(bytes)),
            None => Whole::new(value),
        }
    }
}

/// What is in it, not how it is kept: tests search it for secrets.
impl fmt::Debug for Whole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value().fmt(f)
    }
}

fn deflated(value: &Value) -> Option<Box<[u8]>> {
    let json = serde_json::to_vec(value).ok()?;
    // The first level gets nearly all of it at a third of the time.
    let mut encoder = DeflateEncoder::new(Vec::with_capacity(json.len() / 2), Compression::fast());
    encoder.write_all(&json).ok()?;
    Some(encoder.finish().ok()?.into_boxed_slice())
}

fn inflated(bytes: &[u8]) -> Option<Value> {
    let mut json = Vec::with_capacity(bytes.len() * 4);
    DeflateDecoder::new(bytes).read_to_end(&mut json).ok()?;
    serde_json::from_slice(&json).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_packed_comes_out_as_it_was_changed() {
        let whole = Whole::new(json!({"data": {"a": "x", "ü": [1, 2.5, null]}}));
        let packed = whole.clone().packed_after(|value| value["data"]["a"] = "y".into());
        assert_eq!(*packed.value(), json!({"data": {"a": "y", "ü": [1, 2.5, null]}}));
        assert_eq!(*whole.value(), json!({"data": {"a": "x", "ü": [1, 2.5, null]}}));
        assert_eq!(packed.clone().packed_after(|_| {}).value(), packed.value());
    }
}
