//! Whether an answer holds what was expected of it.

use crate::Expect;
use serde_json::Value;

/// What in the answer is not as expected.
pub fn wrong(expect: &Expect, document: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    let answer = document["answer"].as_str().unwrap_or("");
    if !expect.answer.iter().any(|word| word == answer) {
        wrong.push(format!("answer: expected {}, got {answer:?}", expect.answer.join(" or ")));
    }
    let open = open(document);
    let wanted: Vec<&Value> = expect.all().collect();
    match (wanted.as_slice(), open.as_slice()) {
        ([wanted], [only]) => wrong.extend(differences(wanted, only)),
        (wanted, problems) if wanted.len() == problems.len() => {
            for one in wanted {
                if !problems.iter().any(|problem| differences(one, problem).is_empty()) {
                    let titles = titles(problems);
                    wrong.push(format!("problems: none is {one} in {titles}"));
                }
            }
        }
        (wanted, problems) => {
            wrong.push(format!("problems: expected {}, got {}: {}", wanted.len(), problems.len(), titles(problems)));
        }
    }
    wrong
}

/// What they are, in words.
pub(crate) fn titles(problems: &[&Value]) -> String {
    let titles: Vec<String> =
        problems.iter().map(|problem| format!("{}: {}", problem["failure"], problem["title"])).collect();
    titles.join("; ")
}

/// The problems that are neither closed nor part of another.
pub fn open(document: &Value) -> Vec<&Value> {
    let all = document["problems"].as_array().into_iter().flatten();
    all.filter(is_open).collect()
}

/// Whether a problem is neither closed nor part of another.
pub(crate) fn is_open(problem: &&Value) -> bool {
    problem["closed"].is_null() && problem["mergedInto"].is_null()
}

/// What is missing or different, each with its path. Objects are compared as subsets; each expected item of a list must be
/// matched by some item of the answer's list, and an empty list is empty; a text with `*` is a pattern.
pub fn differences(expected: &Value, got: &Value) -> Vec<String> {
    let mut out = Vec::new();
    compare(expected, got, "", &mut out);
    out
}

fn compare(expected: &Value, got: &Value, path: &str, out: &mut Vec<String>) {
    match (expected, got) {
        (Value::Object(wanted), Value::Object(there)) => {
            for (key, wanted) in wanted {
                compare(wanted, there.get(key).unwrap_or(&Value::Null), &format!("{path}.{key}"), out);
            }
        }
        (Value::Array(wanted), Value::Array(there)) => {
            if wanted.is_empty() && !there.is_empty() {
                out.push(format!("{path}: expected nothing, got {}", shortened(got)));
            }
            for wanted in wanted {
                if !there.iter().any(|item| differences(wanted, item).is_empty()) {
                    out.push(format!("{path}: none is {wanted} in {}", shortened(got)));
                }
            }
        }
        (Value::String(wanted), Value::String(there)) if wanted.contains('*') => {
            if !matches(wanted, there) {
                out.push(format!("{path}: expected {wanted:?}, got {there:?}"));
            }
        }
        _ if expected == got => {}
        _ => out.push(format!("{path}: expected {expected}, got {}", shortened(got))),
    }
}

fn shortened(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(400) {
        Some((end, _)) => format!("{} …", &text[..end]),
        None => text,
    }
}

/// Whether a text fits a pattern in which `*` stands for anything.
pub fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn more_than_was_expected_is_no_difference() {
        let got = json!({"failure": "oom-killed", "cause": {"kind": "change", "from": "256Mi"}, "symptoms": [{"a": 1}, {"a": 2}]});
        assert!(differences(&json!({"cause": {"kind": "change"}, "symptoms": [{"a": 2}]}), &got).is_empty());
    }

    #[test]
    fn each_difference_is_named_by_its_path() {
        let got = json!({"cause": {"kind": "resource", "ref": {"name": "a"}}});
        let wanted = json!({"failure": "x", "cause": {"kind": "change", "ref": {"name": "a"}}, "symptoms": []});
        assert_eq!(
            differences(&wanted, &got),
            [
                ".cause.kind: expected \"change\", got \"resource\"",
                ".failure: expected \"x\", got null",
                ".symptoms: expected [], got null"
            ]
        );
    }

    #[test]
    fn a_star_stands_for_anything() {
        assert!(matches("*no database*", "panic: no database at db"));
        assert!(matches("spec.*.port", "spec.containers[app].port"));
        assert!(!matches("spec.*.port", "spec.containers[app].ports"));
        assert!(!matches("a*", "ba"));
        assert!(matches("a", "a") && !matches("a", "ab"));
    }
}
