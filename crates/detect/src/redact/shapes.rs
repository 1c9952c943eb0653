//! Credentials that are known by their shape alone.

use std::ops::Range;

/// A run of base64 this long, with letters of both cases and digits, is key material: lines of a PEM file, tokens.
pub(super) const MATERIAL: usize = 60;

/// How far is looked for the end of an address, a header or a token: none that is meant for use is longer, and what is
/// written to be read slowly would be looked through from each of its bytes.
pub(super) const FAR: usize = 2048;

/// `-----BEGIN … PRIVATE KEY-----` to its end, or to the end of the text where the log or message was cut.
pub(super) fn private_keys(text: &str, spans: &mut Vec<Range<usize>>) {
    let mut from = 0;
    while let Some(begin) = text.get(from..).and_then(|rest| rest.find("-----BEGIN ")).map(|at| from + at) {
        let rest = &text[begin..];
        let head = rest.get(11..).and_then(|head| head.find("-----")).map_or(rest.len(), |at| at + 11);
        if !rest.get(..head).is_some_and(|head| head.contains("PRIVATE KEY")) {
            from = begin + 11;
            continue;
        }
        let end = rest.find("-----END ").and_then(|end| {
            let tail = rest.get(end + 9..)?;
            Some(end + 9 + tail.find("-----")? + 5)
        });
        let end = begin + end.unwrap_or(rest.len());
        spans.push(begin..end);
        from = end;
    }
}

/// Long, and either of both cases with digits or a long number in base 16: no name of a Kubernetes object, no UID.
pub(super) fn is_random(token: &[u8]) -> bool {
    let all_hex = token.iter().all(u8::is_ascii_hexdigit) && token.iter().any(u8::is_ascii_digit);
    (token.len() >= 20 && is_mixed(token)) || (token.len() >= 32 && all_hex)
}

fn is_mixed(token: &[u8]) -> bool {
    let count = |what: fn(&u8) -> bool| token.iter().filter(|byte| what(byte)).count();
    let slashes = count(|byte| *byte == b'/');
    count(u8::is_ascii_uppercase) >= 3
        && count(u8::is_ascii_lowercase) >= 3
        && count(u8::is_ascii_digit) >= 1
        && slashes * 12 <= token.len()
}

/// A long run of base64.
pub(super) fn material(bytes: &[u8], at: usize) -> Option<Range<usize>> {
    let end = skip(bytes, at, is_base64);
    let token = bytes.get(at..end)?;
    (token.len() >= MATERIAL && is_mixed(token)).then_some(at..end)
}

/// Tokens that are known by their shape.
pub(super) fn known_shape(bytes: &[u8], at: usize) -> Option<Range<usize>> {
    /// The beginning, how many characters follow at least, and which.
    type Shape = (&'static str, usize, fn(u8) -> bool);
    const SHAPES: [Shape; 36] = [
        ("AKIA", 16, is_upper),
        ("ASIA", 16, is_upper),
        ("AIza", 30, is_url),
        ("ghp_", 20, is_url),
        ("gho_", 20, is_url),
        ("ghu_", 20, is_url),
        ("ghs_", 20, is_url),
        ("ghr_", 20, is_url),
        ("github_pat_", 20, is_url),
        ("glpat-", 16, is_url),
        ("xoxa-", 10, is_url),
        ("xoxb-", 10, is_url),
        ("xoxp-", 10, is_url),
        ("xoxr-", 10, is_url),
        ("xoxs-", 10, is_url),
        ("npm_", 30, is_url),
        ("hvs.", 20, is_url),
        ("dckr_pat_", 20, is_url),
        ("sk_live_", 10, is_url),
        ("sk-", 32, is_url),
        ("sk_test_", 10, is_url),
        ("rk_live_", 10, is_url),
        ("whsec_", 20, is_url),
        ("glrt-", 16, is_url),
        ("gldt-", 16, is_url),
        ("glsa_", 30, is_url),
        ("xapp-", 16, is_url),
        ("pypi-", 30, is_url),
        ("SG.", 40, is_url_or_dot),
        ("dop_v1_", 40, is_url),
        ("hvb.", 20, is_url),
        ("ya29.", 20, is_url),
        ("shpat_", 32, is_url),
        ("hf_", 30, is_url),
        ("AGE-SECRET-KEY-1", 40, is_upper),
        ("ATATT3", 40, is_url),
    ];
    for (start, least, of) in SHAPES {
        if bytes.get(at..)?.starts_with(start.as_bytes()) {
            let end = skip(bytes, at + start.len(), of);
            if end - at - start.len() >= least {
                return Some(at..end);
            }
        }
    }
    // A JSON Web Token: two or three parts, of which the first two are JSON objects.
    if bytes.get(at..)?.starts_with(b"eyJ") {
        let bytes = &bytes[..bytes.len().min(at + 4 * FAR)];
        let head = skip(bytes, at, is_url);
        let end = skip(bytes, head, |byte| is_url(byte) || byte == b'.');
        if bytes.get(head) == Some(&b'.') && end - head > 8 && head - at >= 8 {
            return Some(at..end);
        }
    }
    None
}

pub(super) fn skip(bytes: &[u8], from: usize, what: impl Fn(u8) -> bool) -> usize {
    (from..bytes.len()).find(|&at| !what(bytes[at])).unwrap_or(bytes.len())
}

pub(super) fn word_end(bytes: &[u8], from: usize) -> usize {
    skip(bytes, from, is_word)
}

pub(super) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

pub(super) const fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=')
}

pub(super) fn is_token(byte: u8) -> bool {
    is_base64(byte) || matches!(byte, b'_' | b'-')
}

pub(super) fn is_url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

fn is_url_or_dot(byte: u8) -> bool {
    is_url(byte) || byte == b'.'
}

fn is_upper(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit()
}
