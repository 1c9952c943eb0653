//! Values that are too long to be kept as they are.

use reckon_model::FieldChange;
use reckon_model::shared::digest;
use serde_json::Value;

/// The longest text that is kept, in bytes. Whoever changes a line of a file in a ConfigMap wants to see it, and files of
/// configuration are shorter; certificates, dashboards and binary data are not read in a timeline.
pub const LONGEST: usize = 8 * 1024;

/// Puts in the place of each text that is too long how long it is, and a digest that tells it from others.
pub(crate) fn value(value: &mut Value) {
    match value {
        Value::String(text) if text.len() > LONGEST => {
            *text = format!("({} bytes, digest {:016x})", text.len(), digest(text));
        }
        Value::Array(items) => items.iter_mut().for_each(self::value),
        Value::Object(members) => members.values_mut().for_each(self::value),
        _ => {}
    }
}

/// The same of both values of a field.
pub(crate) fn field(field: &mut FieldChange) {
    field.from.iter_mut().chain(&mut field.to).for_each(value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_long_text_is_told_by_its_length_and_digest_and_a_short_one_as_it_is() {
        let mut one = json!({"a": ["x".repeat(LONGEST), "y".repeat(LONGEST + 1)]});
        let mut other = json!({"a": ["x".repeat(LONGEST), format!("{}z", "y".repeat(LONGEST))]});
        value(&mut one);
        value(&mut other);
        assert_eq!(one["a"][0], "x".repeat(LONGEST));
        assert!(one["a"][1].as_str().unwrap().starts_with("(8193 bytes, digest "));
        assert_ne!(one["a"][1], other["a"][1]);
    }
}
