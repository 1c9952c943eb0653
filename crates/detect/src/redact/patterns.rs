//! Where credentials stand in text.
//!
//! Spans begin behind and end before ASCII bytes (or the text's ends), so they never split a character.

use super::names::{self, Name};
use super::shapes::{
    FAR, MATERIAL, is_base64, is_random, is_token, is_word, known_shape, material, private_keys, skip, word_end,
};
use super::{addresses, blocks, clients};
use std::ops::Range;

/// What stands in the place of a credential.
pub const REDACTED: &str = "[redacted]";

/// Beginnings of what may be, or may lead to, a credential, in lower case; text is compared without case. The first pass
/// over any text looks for these alone.
const SEEDS: [&str; 55] = [
    "://",
    "age-secret-",
    "curl",
    "docker",
    "dop_v1_",
    "glrt-",
    "gldt-",
    "glsa_",
    "helm",
    "hf_",
    "hvb.",
    "ldap",
    "mariadb",
    "mongo",
    "mysql",
    "nerdctl",
    "podman",
    "pypi-",
    "redis-cli",
    "rk_live_",
    "sg.",
    "shpat_",
    "smbclient",
    "valkey-cli",
    "whsec_",
    "xapp-",
    "ya29.",
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
const SHORT: [&str; 6] = ["sig=", "signature", "sk-", "sk_live_", "sk_test_", "_pw"];

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
    let source = || (0..bytes.len()).any(|at| bytes[at] == b'@' && addresses::data_source(text, at).is_some());
    seed || source() || (bytes.len() >= MATERIAL && long())
}

/// The credentials in a text, in order, without overlaps.
pub(super) fn credentials(text: &str) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let mut spans = Vec::new();
    private_keys(text, &mut spans);
    let mut at = 0;
    while at < bytes.len() {
        // What goes need not be looked into.
        if let Some(end) = spans
            .last()
            .map(|span: &Range<usize>| span.end)
            .filter(|_| spans.last().is_some_and(|span| span.contains(&at)))
        {
            at = end;
            continue;
        }
        if starts_with(bytes, at, "://") {
            userinfo(bytes, at + 3, &mut spans);
            spans.extend(addresses::hook(text, at + 3));
            spans.extend(addresses::code(text, at + 3));
        } else if bytes[at] == b'@' {
            spans.extend(addresses::data_source(text, at));
        }
        let starts_word = is_word(bytes[at]) && (at == 0 || !is_word(bytes[at - 1]));
        if starts_word {
            let end = word_end(bytes, at);
            word(text, at..end, &mut spans);
            clients::command_line(text, at..end, &mut spans);
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
    let far = bytes.len().min(from + FAR);
    let token = from..(from..far).find(|&at| ends(bytes[at])).unwrap_or(far);
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

/// A word that may name a credential, and what follows it.
fn word(text: &str, word: Range<usize>, spans: &mut Vec<Range<usize>>) {
    let bytes = text.as_bytes();
    let Some(name) = text.get(word.clone()) else { return };
    match name {
        "value" => spans.extend(blocks::of_variable(text, word.start, word.end)),
        "data" | "stringData" => spans.extend(blocks::of_secret(text, word.start, word.end)),
        _ => {}
    }
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
    // A list has a name in the plural.
    let of_block = sureness.max(name.strip_suffix('s').map_or(Name::Plain, names::of));
    if of_block > Name::Weak
        && bytes.get(after) == Some(&b':')
        && let Some(lines) = blocks::below(text, word.start, after + 1)
    {
        spans.extend(lines);
        return;
    }
    if sureness > Name::Plain
        && let Some(span) = assigned(text, word.start, after, sureness)
    {
        spans.push(span);
        return;
    }
    if sureness > Name::Weak && name.starts_with('-') {
        let value = flag_value(bytes, after);
        // With one dash it may be prose about a flag as well.
        let value = value.filter(|span| name.starts_with("--") || !text.get(span.clone()).is_some_and(is_prose));
        spans.extend(value);
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
    // `registry.local/token:v1` is an image, `open /run/secrets/password: permission denied` a file.
    if !equals && start > 0 && bytes[start - 1] == b'/' {
        let rest = text.get(at + 1..)?.lines().next().unwrap_or("");
        if !rest.starts_with(' ') || rest.split_ascii_whitespace().count() > 1 {
            return None;
        }
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
        let far = bytes.len().min(spaced + FAR);
        (spaced..far).find(|&at| matches!(bytes[at], b'\n' | b'\r' | b'"')).unwrap_or(far)
    } else {
        value_end(bytes, spaced)
    };
    let value = text.get(spaced..end)?;
    if header && !equals && !is_header_value(value) {
        return None;
    }
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

/// Whether a line goes on as a header does and not as prose: one word, a scheme and its token, pairs.
fn is_header_value(value: &str) -> bool {
    const SCHEMES: [&str; 9] =
        ["basic", "bearer", "digest", "negotiate", "token", "apikey", "hmac", "aws4-hmac-sha256", "sharedkey"];
    // The beginning tells.
    let value = text_to(value, FAR / 16);
    let mut words = value.split_ascii_whitespace();
    let first = words.next().unwrap_or("").to_ascii_lowercase();
    words.next().is_none() || SCHEMES.contains(&first.as_str()) || value.contains('=') || value.contains(REDACTED)
}

/// The text up to so many bytes, and to the end of the character there.
fn text_to(text: &str, bytes: usize) -> &str {
    &text[..text.ceil_char_boundary(bytes)]
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

/// Whether a word goes on about a flag rather than being its value.
fn is_prose(word: &str) -> bool {
    const WORDS: [&str; 14] =
        ["flag", "option", "argument", "is", "was", "must", "and", "or", "not", "has", "with", "for", "in", "to"];
    WORDS.contains(&word.trim_end_matches(['.', ',', ':', ';']))
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
