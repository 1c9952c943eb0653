//! Where credentials stand in text.
//!
//! Spans begin behind and end before ASCII bytes (or the text's ends), so they never split a character.

use super::names::{self, Name};
use super::shapes::{
    MATERIAL, is_base64, is_random, is_token, is_word, known_shape, material, private_keys, skip, word_end,
};
use std::ops::Range;

/// What stands in the place of a credential.
pub(super) const REDACTED: &str = "[redacted]";

/// Beginnings of what may be, or may lead to, a credential, in lower case; text is compared without case. The first pass
/// over any text looks for these alone.
const SEEDS: [&str; 31] = [
    "://",
    "@tcp(",
    "@unix(",
    "-----begin",
    "akia",
    "aiza",
    "asia",
    "auth",
    "bearer",
    "basic ",
    "cookie",
    "cred",
    "dckr_pat_",
    "dockerconfig",
    "dsn",
    "eyj",
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_",
    "github_pat_",
    "glpat",
    "hvs.",
    "key",
    "npm_",
    "pass",
    "pwd",
    "secret",
    "token",
    "xox",
];

/// Shorter ones of their own, told by what follows.
const SHORT: [&str; 4] = ["sig=", "signature", "sk-", "sk_live_"];

/// For each byte the letters that follow it in a seed, and those that follow two further: what tells most text apart from
/// all seeds in one look. Letters of either case are one, and all other bytes are one (see [`bit`]).
const FOLLOW: [(u32, u32); 256] = {
    let mut table = [(0_u32, 0_u32); 256];
    let mut at = 0;
    while at < SEEDS.len() + SHORT.len() {
        let seed = if at < SEEDS.len() { SEEDS[at] } else { SHORT[at - SEEDS.len()] };
        let first = seed.as_bytes()[0];
        let (second, third) = (bit(seed.as_bytes()[1]), bit(seed.as_bytes()[2]));
        table[first as usize].0 |= second;
        table[first as usize].1 |= third;
        table[first.to_ascii_uppercase() as usize].0 |= second;
        table[first.to_ascii_uppercase() as usize].1 |= third;
        at += 1;
    }
    table
};

const fn bit(byte: u8) -> u32 {
    match byte {
        b'a'..=b'z' => 1 << (byte - b'a'),
        b'A'..=b'Z' => 1 << (byte - b'A'),
        _ => 1 << 26,
    }
}

/// [`bit`] and [`is_base64`] of every byte.
const CLASS: [(u32, bool); 256] = {
    let mut table = [(0, false); 256];
    let mut byte = 0_u8;
    loop {
        table[byte as usize] = (bit(byte), is_base64(byte));
        if byte == u8::MAX {
            break table;
        }
        byte += 1;
    }
};

/// Whether a text is worth a closer look. One pass without allocation: most text ends here.
pub(super) fn suspicious(text: &str) -> bool {
    let bytes = text.as_bytes();
    let seed = bytes.windows(3).enumerate().any(|(at, window)| {
        let &[first, second, third] = window else { return false };
        let (seconds, thirds) = FOLLOW[usize::from(first)];
        seconds & CLASS[usize::from(second)].0 != 0
            && thirds & CLASS[usize::from(third)].0 != 0
            && SEEDS.iter().chain(&SHORT).any(|seed| starts_with(bytes, at, seed))
    });
    let long = || {
        let mut run = 0_usize;
        bytes.iter().any(|byte| {
            run = if CLASS[usize::from(*byte)].1 { run + 1 } else { 0 };
            run >= MATERIAL
        })
    };
    seed || (bytes.len() >= MATERIAL && long())
}

/// The credentials in a text, in order, without overlaps.
pub(super) fn credentials(text: &str) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let mut spans = Vec::new();
    private_keys(text, &mut spans);
    let mut at = 0;
    while at < bytes.len() {
        if starts_with(bytes, at, "://") {
            userinfo(bytes, at + 3, &mut spans);
        } else if starts_with(bytes, at, "@tcp(") || starts_with(bytes, at, "@unix(") {
            data_source(bytes, at, &mut spans);
        }
        let starts_word = is_word(bytes[at]) && (at == 0 || !is_word(bytes[at - 1]));
        if starts_word {
            let end = word_end(bytes, at);
            word(text, at..end, &mut spans);
        }
        if bytes[at].is_ascii_alphanumeric() && (at == 0 || !bytes[at - 1].is_ascii_alphanumeric()) {
            spans.extend(known_shape(bytes, at));
        }
        if is_base64(bytes[at]) && (at == 0 || !is_base64(bytes[at - 1])) {
            spans.extend(material(bytes, at));
        }
        at += 1;
    }
    joined(spans, text)
}

fn joined(mut spans: Vec<Range<usize>>, text: &str) -> Vec<Range<usize>> {
    spans.retain(|span| text.get(span.clone()).is_some_and(|value| !value.is_empty() && value != REDACTED));
    spans.sort_by_key(|span| (span.start, span.end));
    let mut joined: Vec<Range<usize>> = Vec::new();
    for span in spans {
        match joined.last_mut() {
            Some(last) if span.start < last.end => last.end = last.end.max(span.end),
            _ => joined.push(span),
        }
    }
    joined
}

/// The password of `scheme://user:password@host`, or a lone long user, which is a token.
fn userinfo(bytes: &[u8], from: usize, spans: &mut Vec<Range<usize>>) {
    let ends = |byte: u8| byte.is_ascii_whitespace() || matches!(byte, b'"' | b'\'' | b'<' | b'>' | b'`');
    let token = from..(from..bytes.len()).find(|&at| ends(bytes[at])).unwrap_or(bytes.len());
    let host_end = token.clone().find(|&at| matches!(bytes[at], b'/' | b'?' | b'#')).unwrap_or(token.end);
    let colon = (from..host_end).find(|&at| bytes[at] == b':');
    let at_sign = (from..host_end).rev().find(|&at| bytes[at] == b'@').or_else(|| {
        // A password with a slash in it: what follows the colon is no port.
        let colon = colon?;
        let port = (colon + 1..host_end).all(|at| bytes[at].is_ascii_digit());
        let next_url = (from..token.end).find(|&at| starts_with(bytes, at, "://")).unwrap_or(token.end);
        if port { None } else { (host_end..next_url).rev().find(|&at| bytes[at] == b'@') }
    });
    let Some(at_sign) = at_sign else { return };
    match (from..at_sign).find(|&at| bytes[at] == b':') {
        Some(colon) => spans.push(colon + 1..at_sign),
        None if at_sign - from >= 16 => spans.push(from..at_sign),
        None => {}
    }
}

/// The password of `user:password@tcp(host:3306)/name`.
fn data_source(bytes: &[u8], at_sign: usize, spans: &mut Vec<Range<usize>>) {
    let start = (0..at_sign)
        .rev()
        .find(|&at| bytes[at].is_ascii_whitespace() || matches!(bytes[at], b'"' | b'\'' | b'='))
        .map_or(0, |at| at + 1);
    if let Some(colon) = (start..at_sign).find(|&at| bytes[at] == b':') {
        spans.push(colon + 1..at_sign);
    }
}

/// A word that may name a credential, and what follows it.
fn word(text: &str, word: Range<usize>, spans: &mut Vec<Range<usize>>) {
    let bytes = text.as_bytes();
    let Some(name) = text.get(word.clone()) else { return };
    if !names::may_name(name) {
        return;
    }
    let sureness = names::of(name.trim_matches(['-', '.', '_']));
    let after = word.end;
    if sureness > Name::Plain && names::is_derived(path_to(text, word.start)) {
        return;
    }
    if name.eq_ignore_ascii_case("bearer") || name.eq_ignore_ascii_case("basic") {
        spans.extend(scheme(bytes, after));
        return;
    }
    if sureness > Name::Plain
        && let Some(span) = assigned(text, word.start, after, sureness)
    {
        spans.push(span);
        return;
    }
    if sureness > Name::Weak && name.starts_with("--") {
        spans.extend(flag_value(bytes, after));
    }
    if sureness > Name::Weak || matches!(name.to_ascii_lowercase().as_str(), "key" | "tokens" | "keys") {
        spans.extend(random_nearby(bytes, after));
    }
}

/// What stands before a word on the same path: `checksum/` in `checksum/secret`.
fn path_to(text: &str, start: usize) -> &str {
    let bytes = text.as_bytes();
    let from = (0..start).rev().find(|&at| !is_word(bytes[at]) && bytes[at] != b'/').map_or(0, |at| at + 1);
    text.get(from..start).unwrap_or("")
}

/// The value of `name=value`, `name: value`, `"name":"value"`, `<name>value<`.
fn assigned(text: &str, start: usize, after: usize, sureness: Name) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let mut at = after;
    if start > 0 && bytes[start - 1] == b'<' && bytes.get(at) == Some(&b'>') {
        let end = (at + 1..bytes.len()).find(|&at| bytes[at] == b'<').unwrap_or(bytes.len());
        return Some(at + 1..end);
    }
    at = skip(bytes, at, |byte| byte == b'\\');
    if matches!(bytes.get(at), Some(b'"' | b'\'' | b'`' | b']')) {
        at += 1;
    }
    at = skip(bytes, at, |byte| byte == b' ' || byte == b'\t');
    let equals = match bytes.get(at)? {
        b'=' => true,
        b':' => bytes.get(at + 1) == Some(&b'='),
        _ => return None,
    };
    // `::` and `://` are no assignments; `=`, `:=`, `=>` and `==` are.
    if !equals && matches!(bytes.get(at + 1), Some(b':' | b'/')) {
        return None;
    }
    let separator = at;
    at = skip(bytes, at + 1, |byte| matches!(byte, b'=' | b'>'));
    let spaced = skip(bytes, at, |byte| byte == b' ' || byte == b'\t');
    let escaped = skip(bytes, spaced, |byte| byte == b'\\');
    let quote = bytes.get(escaped).copied().filter(|byte| matches!(byte, b'"' | b'\'' | b'`'));
    if let Some(quote) = quote {
        let from = escaped + 1;
        let end = closing(bytes, from, quote, escaped > spaced);
        return Some(from..end);
    }
    if sureness == Name::Weak && !equals {
        return None;
    }
    if equals && spaced > separator + 1 && spaced == bytes.len() {
        return None;
    }
    let header = header_like(&text[start..after]);
    let end = if header {
        (spaced..bytes.len()).find(|&at| matches!(bytes[at], b'\n' | b'\r' | b'"')).unwrap_or(bytes.len())
    } else {
        value_end(bytes, spaced)
    };
    let value = text.get(spaced..end)?;
    if !header && is_no_value(value, text.get(end..)?, sureness, equals) {
        return None;
    }
    Some(spaced..end)
}

/// Headers whose whole line is the credential.
fn header_like(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.ends_with("authorization") || name.ends_with("cookie")
}

/// Where a quoted value ends.
fn closing(bytes: &[u8], from: usize, quote: u8, escaped: bool) -> usize {
    let mut at = from;
    while at < bytes.len() {
        if bytes[at] == quote {
            return at;
        }
        if bytes[at] == b'\\' {
            if escaped && bytes.get(at + 1) == Some(&quote) {
                return at;
            }
            at += 1;
        }
        at += 1;
    }
    bytes.len()
}

/// Where an unquoted value ends: at white space, a quote, `&`, or a comma or semicolon behind which the next name or
/// nothing stands.
fn value_end(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(&byte) = bytes.get(at) {
        let ends = match byte {
            b'"' | b'\'' | b'`' | b'&' | b'<' => true,
            b',' | b';' => {
                let next = word_end(bytes, at + 1);
                matches!(bytes.get(at + 1), None | Some(b' ' | b'\n' | b'"'))
                    || (next > at + 1 && matches!(bytes.get(next), Some(b'=' | b':')))
            }
            b')' | b']' | b'}' => {
                let rest = skip(bytes, at, |byte| matches!(byte, b')' | b']' | b'}' | b',' | b';' | b'.' | b':'));
                // The closing bracket of our own mark belongs to it.
                let marked = byte == b']' && bytes.get(from..=at) == Some(REDACTED.as_bytes());
                !marked && bytes.get(rest).is_none_or(u8::is_ascii_whitespace)
            }
            byte => byte.is_ascii_whitespace(),
        };
        if ends {
            break;
        }
        at += 1;
    }
    at
}

/// Whether what follows a name is prose, a reference or a placeholder, and no credential.
fn is_no_value(value: &str, rest: &str, sureness: Name, equals: bool) -> bool {
    const WORDS: [&str; 38] = [
        "a",
        "an",
        "and",
        "any",
        "are",
        "cannot",
        "could",
        "eof",
        "empty",
        "error",
        "expired",
        "failed",
        "false",
        "for",
        "get",
        "has",
        "in",
        "incorrect",
        "invalid",
        "is",
        "mismatch",
        "missing",
        "must",
        "nil",
        "no",
        "none",
        "not",
        "null",
        "or",
        "required",
        "the",
        "true",
        "unexpected",
        "unset",
        "was",
        "with",
        "wrong",
        "yes",
    ];
    let bare = value.trim_end_matches(['.', ',', ';', ':', '!', ')']);
    if bare.is_empty() || bare.starts_with("$(") || bare.starts_with("${") || bare.starts_with("{{") {
        return true;
    }
    if bare.chars().all(|c| c == '*') || WORDS.contains(&bare.to_ascii_lowercase().as_str()) {
        return true;
    }
    if equals {
        return false;
    }
    if ["http://", "https://"].iter().any(|scheme| bare.starts_with(scheme)) {
        return true;
    }
    // `oauth token: unexpected status from …`: words go on, and no next `name:` comes.
    let next = rest.split_ascii_whitespace().next().unwrap_or("");
    let goes_on = !next.is_empty() && !next.contains('=') && !next.ends_with(':');
    sureness < Name::Password && goes_on && bare.chars().all(|c| c.is_ascii_alphabetic())
}

/// What follows `--password` behind a space.
fn flag_value(bytes: &[u8], after: usize) -> Option<Range<usize>> {
    let from = skip(bytes, after, |byte| byte == b' ');
    let end = value_end(bytes, from);
    (from > after && end > from && bytes[from] != b'-').then_some(from..end)
}

/// The token behind `Bearer` or `Basic`; prose such as `no basic auth credentials` has none.
fn scheme(bytes: &[u8], after: usize) -> Option<Range<usize>> {
    let from = skip(bytes, after, |byte| byte == b' ');
    let end = skip(bytes, from, |byte| is_base64(byte) || matches!(byte, b'-' | b'_' | b'.' | b'~'));
    let token = bytes.get(from..end)?;
    let mixed = token.iter().any(u8::is_ascii_digit) || token.ends_with(b"=");
    (from > after && (token.len() >= 20 || (token.len() >= 8 && mixed))).then_some(from..end)
}

/// A random-looking token within the next few words of one that names a credential.
fn random_nearby(bytes: &[u8], after: usize) -> Option<Range<usize>> {
    let mut at = after;
    for _ in 0..4 {
        at = skip(bytes, at, |byte| !is_token(byte) && byte != b'\n');
        let end = skip(bytes, at, is_token);
        let token = bytes.get(at..end)?;
        let digest = at > 0 && bytes[at - 1] == b':' && bytes[..at - 1].last().is_some_and(u8::is_ascii_digit);
        if !digest && is_random(token) {
            return Some(at..end);
        }
        at = end;
    }
    None
}

fn starts_with(bytes: &[u8], at: usize, seed: &str) -> bool {
    bytes.get(at..at + seed.len()).is_some_and(|here| here.eq_ignore_ascii_case(seed.as_bytes()))
}
