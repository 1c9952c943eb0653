//! Values that stand on other lines than their names, as YAML has them.
//!
//! No reader of YAML: text from a cluster may be a part of a document, or only look like one. Indentation tells what
//! belongs to a name.

use super::names;
use super::shapes::skip;
use std::ops::Range;

/// What may stand between a name and its block: blanks, `>-`, `|2`.
const MARKER: usize = 16;

/// The value of a name whose line ends in `:`, `|`, `>` or the like: the lines that are indented further. `None` where
/// they hold names of their own, which speak for themselves.
pub(super) fn below(text: &str, name: usize, after: usize) -> Option<Vec<Range<usize>>> {
    // A name that opens a block has hardly anything behind it.
    let end = after + text.as_bytes().get(after..)?.iter().take(MARKER).position(|byte| *byte == b'\n')?;
    let marker = text.get(after..end)?.trim();
    let scalar = matches!(marker.as_bytes(), [b'|' | b'>', rest @ ..] if rest.iter().all(|byte| matches!(byte, b'+' | b'-' | b'0'..=b'9')));
    if !scalar && !marker.is_empty() {
        return None;
    }
    let lines: Vec<Range<usize>> = indented(text, end, indent(text, name), !scalar).collect();
    let values: Vec<Range<usize>> = lines
        .into_iter()
        .map(|line| {
            let item = text.get(line.clone()).map_or(0, |line| line.len() - line.trim_start_matches("- ").len());
            line.start + item..line.end
        })
        .collect();
    let is_name = |line: &Range<usize>| {
        text.get(line.clone()).is_some_and(|line| line.ends_with(':') || line.contains(": ") || line.contains("=\""))
    };
    (!values.is_empty() && (scalar || !is_name(&values[0])))
        .then(|| if scalar { values } else { values.into_iter().filter(|line| !is_name(line)).collect() })
}

/// The value of `value: …` whose line before names a variable: `name: DB_PASSWORD`.
pub(super) fn of_variable(text: &str, value: usize, after: usize) -> Option<Range<usize>> {
    let start = line_start(text, value);
    let before = text.get(line_start(text, start.checked_sub(1)?)..start - 1)?;
    let name = before.trim().trim_start_matches("- ").strip_prefix("name:")?.trim().trim_matches(['"', '\'']);
    if !names::of_variable(name) {
        return None;
    }
    let colon = text.get(after..)?.starts_with(':').then_some(after + 1)?;
    let from = skip(text.as_bytes(), colon, |byte| matches!(byte, b' ' | b'"' | b'\''));
    let end = line_end(text, from);
    let trimmed = text.get(from..end)?.trim_end_matches([' ', '\r', '"', '\'']);
    (!trimmed.is_empty()).then(|| from..from + trimmed.len())
}

/// All values below `data:` or `stringData:` of a Secret that is written in the text.
pub(super) fn of_secret(text: &str, name: usize, after: usize) -> Vec<Range<usize>> {
    let is_secret = text.lines().any(|line| line.trim() == "kind: Secret");
    let opens = text.get(after..line_end(text, after)).is_some_and(|rest| rest.trim() == ":");
    if !is_secret || !opens {
        return Vec::new();
    }
    let lines = indented(text, line_end(text, after), indent(text, name), false);
    lines
        .filter_map(|line| {
            let here = text.get(line.clone())?;
            let from = here.find(": ").map_or(line.start, |colon| line.start + colon + 2);
            (!here.ends_with(':')).then_some(from..line.end)
        })
        .collect()
}

/// The contents of the lines behind `end` that are indented further than `than`; items of a list may stand as far.
fn indented(text: &str, end: usize, than: usize, items: bool) -> impl Iterator<Item = Range<usize>> {
    let mut at = end + 1;
    std::iter::from_fn(move || {
        loop {
            let line = text.get(at..line_end(text, at)).filter(|_| at < text.len())?;
            let start = at;
            at = line_end(text, at) + 1;
            let content = line.trim();
            if content.is_empty() {
                continue;
            }
            let depth = line.len() - line.trim_start().len();
            let belongs = depth > than || (items && depth == than && content.starts_with("- "));
            return belongs.then(|| start + depth..start + depth + content.len());
        }
    })
}

fn line_start(text: &str, at: usize) -> usize {
    text.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |newline| newline + 1)
}

fn line_end(text: &str, at: usize) -> usize {
    text.get(at..).and_then(|rest| rest.find('\n')).map_or(text.len(), |newline| at + newline)
}

/// How far the name on this line is indented, the dash of a list counted in.
fn indent(text: &str, at: usize) -> usize {
    let start = line_start(text, at);
    text.get(start..at).map_or(0, |before| before.chars().take_while(|c| matches!(c, ' ' | '-')).count())
}
