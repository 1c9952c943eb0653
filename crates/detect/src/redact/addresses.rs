//! Addresses that are credentials in themselves, and data sources without a scheme.

use super::shapes::{FAR, is_url, skip};
use std::ops::Range;

/// Hosts, or their ends, with the path below which everything is a credential.
const HOOKS: [(&str, &str); 8] = [
    ("hooks.slack.com", "/services/"),
    ("hooks.slack.com", "/workflows/"),
    ("hooks.slack.com", "/triggers/"),
    ("discord.com", "/api/webhooks/"),
    ("discordapp.com", "/api/webhooks/"),
    (".webhook.office.com", "/webhookb2/"),
    (".logic.azure.com", "/workflows/"),
    ("api.telegram.org", "/bot"),
];

fn near(text: &str, from: usize) -> &[u8] {
    &text.as_bytes()[..text.len().min(from + FAR)]
}

/// The secret part of the address whose `://` ends at `from`.
pub(super) fn hook(text: &str, from: usize) -> Option<Range<usize>> {
    let bytes = near(text, from);
    let ends = |byte: u8| byte.is_ascii_whitespace() || matches!(byte, b'"' | b'\'' | b'<' | b'>' | b'`' | b'\\');
    let end = skip(bytes, from, |byte| !ends(byte));
    let host_end = skip(bytes, from, |byte| !ends(byte) && !matches!(byte, b'/' | b'?' | b'#'));
    let (host, path) = (text.get(from..host_end)?, text.get(host_end..end)?);
    let (_, below) = HOOKS.iter().find(|(name, below)| {
        path.starts_with(below) && (host == *name || (name.starts_with('.') && host.ends_with(name)))
    })?;
    let secret = host_end + below.len()..end;
    (secret.len() > 1).then_some(secret)
}

/// The value of `code=` in the query of an address: the second half of a sign-in.
pub(super) fn code(text: &str, from: usize) -> Option<Range<usize>> {
    let bytes = near(text, from);
    let end = skip(bytes, from, |byte| !byte.is_ascii_whitespace() && !matches!(byte, b'"' | b'\'' | b'<' | b'>'));
    let query = from + text.get(from..end)?.find('?')?;
    let mut at = query;
    while at < end {
        let next = skip(bytes, at + 1, |byte| byte != b'&').min(end);
        if text.get(at + 1..next).is_some_and(|pair| pair.starts_with("code=") && pair.len() > "code=".len()) {
            return Some(at + 1 + "code=".len()..next);
        }
        at = next;
    }
    None
}

/// The password of `user:password@(db:3306)/name`, `user:password@/name`, `user:password@tcp6(…)/name`, as Go's drivers
/// take it.
pub(super) fn data_source(text: &str, at_sign: usize) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let protocol = skip(near(text, at_sign), at_sign + 1, is_url);
    match bytes.get(protocol)? {
        b'(' => {}
        b'/' if protocol == at_sign + 1 => {}
        _ => return None,
    }
    let start = (at_sign.saturating_sub(FAR / 8)..at_sign)
        .rev()
        .find(|&at| bytes[at].is_ascii_whitespace() || matches!(bytes[at], b'"' | b'\'' | b'=' | b'`'))
        .map_or(at_sign.saturating_sub(FAR / 8), |at| at + 1);
    let user = text.get(start..at_sign)?;
    let colon = user.find(':')?;
    // An address with a scheme has a reader of its own, and so has a time of day.
    let is_user = colon > 0 && !user.contains("://") && !user[..colon].bytes().all(|byte| byte.is_ascii_digit());
    is_user.then_some(start + colon + 1..at_sign)
}
