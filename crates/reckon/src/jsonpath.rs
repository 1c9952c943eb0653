//! `-o jsonpath=TEMPLATE`, in the form of kubectl: text with expressions in braces, `{range PATH}…{end}` for each, quoted
//! text such as `{"\n"}`. The paths are those of RFC 9535, with the `$` left out as kubectl does.

use crate::terminal::escape;
use serde_json::Value;
use serde_json_path::JsonPath;

/// A template that was understood.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Template(Vec<Part>);

#[derive(Clone, Debug, PartialEq)]
enum Part {
    Text(String),
    Path(JsonPath),
    Range(JsonPath, Vec<Part>),
}

/// Ranges within ranges: more is a mistake, or an attack on the stack.
const DEPTH: usize = 8;

impl Template {
    /// Reads a template; `Err` says what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Template, String> {
        // `-o jsonpath=.problems[*].id` is short for one expression.
        if !text.contains('{') && !text.is_empty() {
            return path(text).map(|path| Template(vec![Part::Path(path)]));
        }
        let mut rest = text;
        let parts = parts(&mut rest, 0)?;
        if rest.is_empty() { Ok(Template(parts)) } else { Err("{end} without {range …}".to_owned()) }
    }

    /// The template filled in from a document. What a path does not find is empty, as with kubectl.
    pub(crate) fn fill(&self, document: &Value) -> String {
        let mut out = String::new();
        fill(&self.0, document, &mut out);
        out
    }
}

/// Reads up to the end, or to the `{end}` of the range this is in.
fn parts(rest: &mut &str, depth: usize) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    while let Some((before, after)) = rest.split_once('{') {
        if !before.is_empty() {
            parts.push(Part::Text(before.to_owned()));
        }
        let (expression, after) = braced(after).ok_or("a brace is not closed")?;
        let expression = expression.trim();
        if expression == "end" {
            if depth > 0 {
                *rest = after;
                return Ok(parts);
            }
            // Left where it is: the caller says that it is one too many.
            *rest = "{end}";
            return Ok(parts);
        }
        *rest = after;
        if let Some(over) = expression.strip_prefix("range ") {
            if depth == DEPTH {
                return Err(format!("ranges are nested more than {DEPTH} deep"));
            }
            let over = path(over.trim())?;
            parts.push(Part::Range(over, self::parts(rest, depth + 1)?));
        } else if let Some(quoted) = expression.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
            parts.push(Part::Text(quoted.replace("\\n", "\n").replace("\\t", "\t").replace("\\\"", "\"")));
        } else if let Some(quoted) = expression.strip_prefix('\'').and_then(|text| text.strip_suffix('\'')) {
            parts.push(Part::Text(quoted.to_owned()));
        } else {
            parts.push(Part::Path(path(expression)?));
        }
    }
    if depth > 0 {
        return Err("{range …} without {end}".to_owned());
    }
    if !rest.is_empty() {
        parts.push(Part::Text((*rest).to_owned()));
        *rest = "";
    }
    Ok(parts)
}

/// Up to the closing brace that stands in no quotes, and what follows it.
fn braced(text: &str) -> Option<(&str, &str)> {
    let mut quote = None;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (None, '}') => return Some((text.get(..at)?, text.get(at + 1..)?)),
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            _ => {}
        }
    }
    None
}

fn path(text: &str) -> Result<JsonPath, String> {
    let rooted = match text.chars().next() {
        Some('$') => text.to_owned(),
        Some('@') => format!("${}", text.trim_start_matches('@')),
        Some('.' | '[') => format!("${text}"),
        _ => format!("$.{text}"),
    };
    let rooted = if rooted == "$." { "$".to_owned() } else { rooted };
    JsonPath::parse(&rooted).map_err(|error| format!("{text:?} is no path: {error}"))
}

fn fill(parts: &[Part], document: &Value, out: &mut String) {
    for part in parts {
        match part {
            Part::Text(text) => out.push_str(text),
            Part::Path(path) => {
                let found: Vec<String> = path.query(document).iter().map(|value| shown(value)).collect();
                out.push_str(&found.join(" "));
            }
            Part::Range(over, inner) => {
                for value in path_values(over, document) {
                    fill(inner, value, out);
                }
            }
        }
    }
}

fn path_values<'d>(path: &JsonPath, document: &'d Value) -> Vec<&'d Value> {
    path.query(document).all()
}

/// Text as it is, without what must not reach a terminal; anything else as JSON.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => escape(text),
        Value::Null => String::new(),
        other => escape(&other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn filled(template: &str) -> String {
        let document = json!({"answer": "problem", "problems": [
            {"id": "a", "severity": "critical", "cause": {"to": 7, "from": null}},
            {"id": "b\u{1b}[31m", "severity": "warning", "cause": {}},
        ]});
        Template::parse(template).unwrap().fill(&document)
    }

    #[test]
    fn what_kubectl_understands_is_understood() {
        assert_eq!(filled("{.answer}"), "problem");
        assert_eq!(filled(".answer"), "problem");
        assert_eq!(filled("{.problems[*].severity}"), "critical warning");
        assert_eq!(
            filled("{range .problems[*]}{.severity}{\"\\t\"}{.cause.to}{'\\n'}{end}!"),
            "critical\t7\\nwarning\t\\n!"
        );
        assert_eq!(filled("{.problems[?(@.severity==\"critical\")].id}"), "a");
        assert_eq!(filled("{$.problems[0]['id']}, {@.answer}"), "a, problem");
        assert_eq!(filled("{.problems[0].cause}"), r#"{"from":null,"to":7}"#);
        assert_eq!(filled("{.nothing.here}"), "");
    }

    #[test]
    fn no_control_byte_comes_through() {
        assert_eq!(filled("{.problems[1].id}"), "b\\u001b[31m");
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (template, what) in [
            ("{.a", "not closed"),
            ("{range .a}", "without {end}"),
            ("{end}", "without {range"),
            ("{.a[}", "is no path"),
            ("", ""),
        ] {
            match Template::parse(template) {
                Err(said) => assert!(said.contains(what) && !what.is_empty(), "{template}: {said}"),
                Ok(_) => assert!(what.is_empty(), "{template}"),
            }
        }
        assert!(Template::parse(&"{range .a}".repeat(100_000)).is_err());
    }
}
