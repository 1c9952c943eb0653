//! Hostile text: everything from a cluster may hold control bytes.

use std::borrow::Cow;

/// Text that is safe to print: every control character but newline and tab becomes `\u{…}`-style visible text, and so do
/// the invisible characters that reorder or hide text (bidirectional controls, zero-width, line and paragraph
/// separators). A terminal escape never survives.
pub fn clean(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_hostile) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_hostile(c) {
            match u32::from(c) {
                code @ 0..=0xff => out.push_str(&format!("\\x{code:02x}")),
                code => out.push_str(&format!("\\u{{{code:x}}}")),
            }
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// As [`clean`], on one line: newlines and tabs are folded to single spaces.
pub fn clean_line(text: &str) -> String {
    let folded = text.split(['\n', '\r', '\t']).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
    clean(&folded).into_owned()
}

/// The first `max` characters, with an ellipsis where something was cut.
pub fn shorten(text: &str, max: usize) -> Cow<'_, str> {
    match text.char_indices().nth(max) {
        None => Cow::Borrowed(text),
        Some(_) => {
            let end = text.char_indices().nth(max.saturating_sub(1)).map_or(text.len(), |(at, _)| at);
            Cow::Owned(format!("{}…", &text[..end]))
        }
    }
}

fn is_hostile(c: char) -> bool {
    (c.is_control() && c != '\n' && c != '\t')
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// Joins words as a sentence does: `a`, `a and b`, `a, b and c`.
pub fn enumerate<S: AsRef<str>>(words: &[S]) -> String {
    match words {
        [] => String::new(),
        [only] => only.as_ref().to_owned(),
        [start @ .., last] => {
            let start: Vec<&str> = start.iter().map(AsRef::as_ref).collect();
            format!("{} and {}", start.join(", "), last.as_ref())
        }
    }
}

/// `1 pod`, `3 pods`: a count with its noun.
pub fn count(n: usize, noun: &str) -> String {
    match n {
        1 => format!("1 {noun}"),
        _ => format!("{n} {}", plural(noun)),
    }
}

/// Several of what a regular noun names: `pods`, `policies`, `gateways`, `ingresses`.
pub fn plural(noun: &str) -> String {
    match noun.strip_suffix('y').filter(|stem| !stem.ends_with('e')) {
        Some(stem) => format!("{stem}ies"),
        None if noun.ends_with("ss") => format!("{noun}es"),
        None => format!("{noun}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_terminal_escape_becomes_visible_text() {
        assert_eq!(clean("a\x1b]8;;http://evil\x07b"), "a\\x1b]8;;http://evil\\x07b");
        assert_eq!(clean("\u{9b}31mred"), "\\x9b31mred");
        assert_eq!(clean_line("a\r\nb\tc"), "a b c");
    }

    #[test]
    fn a_cut_is_marked() {
        assert_eq!(shorten("abcdef", 4), "abc…");
        assert_eq!(shorten("abcd", 4), "abcd");
        assert_eq!(shorten("äöü", 2), "ä…");
    }

    proptest! {
        #[test]
        fn no_control_character_but_newline_and_tab_survives(text in any::<String>()) {
            prop_assert!(clean(&text).chars().all(|c| !c.is_control() || c == '\n' || c == '\t'));
        }
    }
}
