//! Objects as nobody means them: parts are missing, doubled, of another type, or contradict each other.

use super::course::Chance;
use serde_json::{Value, json};

/// Changes so many places of an object, chosen by chance.
pub(super) fn some(object: &mut Value, chance: &mut Chance) {
    for _ in 0..=chance.below(4) {
        let part = if chance.below(3) == 0 { "/spec" } else { "/status" };
        if let Some(part) = object.pointer_mut(part) {
            one(part, chance, 0);
        }
    }
}

/// Goes down by chance and changes what it comes to.
fn one(value: &mut Value, chance: &mut Chance, depth: usize) {
    if depth < 2 || chance.below(4) > 0 {
        match value {
            Value::Object(map) if !map.is_empty() => {
                let at = chance.below(map.len());
                let key = map.keys().nth(at).unwrap().clone();
                if chance.below(8) == 0 {
                    map.remove(&key);
                    return;
                }
                return one(&mut map[&key], chance, depth + 1);
            }
            Value::Array(items) if !items.is_empty() => {
                let at = chance.below(items.len());
                match chance.below(8) {
                    0 => {
                        items.remove(at);
                    }
                    1 => {
                        let again = items[at].clone();
                        items.push(again);
                    }
                    _ => return one(&mut items[at], chance, depth + 1),
                }
                return;
            }
            _ => {}
        }
    }
    *value = match (&*value, chance.below(6)) {
        (_, 0) => Value::Null,
        (Value::String(_), 1) => "".into(),
        (Value::String(_), 2) => "2031-01-01T00:00:00Z".into(),
        (Value::String(_), 3) => "\u{202e}x/y:z{[".into(),
        (Value::String(_), _) => {
            const WORDS: [&str; 10] = [
                "True",
                "False",
                "Unknown",
                "Running",
                "Failed",
                "Succeeded",
                "1970-01-01T00:00:00Z",
                "-1",
                "100%",
                "app",
            ];
            WORDS[chance.below(WORDS.len())].into()
        }
        (Value::Number(_), 1) => json!(-1),
        (Value::Number(_), 2) => json!(i64::MAX),
        (Value::Number(_), 3) => json!(0),
        (Value::Number(number), _) => json!(number.as_i64().unwrap_or(0).wrapping_add(1)),
        (Value::Bool(was), _) => json!(!was),
        (_, 1) => json!({}),
        (_, 2) => json!([]),
        (_, 3) => json!("text"),
        (other, _) => other.clone(),
    };
}
