//! What stands in front of a message of the kernel.
//!
//! | Source | Line |
//! |---|---|
//! | `/dev/kmsg` | `6,1987,78522681,-;text`, control bytes as `\x0a`, further lines ` KEY=value` |
//! | `dmesg` | `[   78.522681] text`, `[   78.522681][  T123] text`, `<6>[…] text` (`-r`), `kern  :info  : […] text` (`-x`) |
//! | a journal | `Nov 25 10:00:00 host kernel: text`, `2026-11-25T10:00:00.123456+00:00 host kernel: [78.5] text` |

use jiff::Timestamp;
use std::borrow::Cow;

/// When a message was written, as far as its line tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stamp {
    /// Microseconds since boot.
    Boot(u64),
    /// The time of day. One without a zone or a year is none.
    Wall(Timestamp),
    /// Not told.
    None,
}

/// One message.
#[derive(Debug)]
pub(super) struct Message<'a> {
    pub(super) stamp: Stamp,
    /// Its number, from `/dev/kmsg`.
    pub(super) seq: Option<u64>,
    pub(super) text: Cow<'a, [u8]>,
}

/// Takes a line apart; `None` for what `/dev/kmsg` says about the message before.
pub(super) fn message(line: &[u8]) -> Option<Message<'_>> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if let Some(message) = record(line) {
        return Some(message);
    }
    // A record's dictionary. The only text of the kernel that begins so are the lines of a report that are passed over.
    if line.first() == Some(&b' ') && memchr::memchr(b'=', line).is_some() && !line.starts_with(b"  ") {
        return None;
    }
    let mut rest = line;
    let mut stamp = Stamp::None;
    if rest.first() == Some(&b'<')
        && let Some(end) = rest.iter().take(5).position(|byte| *byte == b'>')
    {
        rest = &rest[end + 1..];
    }
    // A facility and level, or a host and `kernel:`, stand at the beginning.
    let head = &rest[..rest.len().min(HEAD)];
    if let Some(at) = memchr::memmem::find(head, b"kernel: ") {
        stamp = wall(&rest[..at]);
        rest = &rest[at + b"kernel: ".len()..];
    } else if rest.starts_with(b"kern")
        && let Some(at) = memchr::memmem::find(head, b": [").or_else(|| level(head))
    {
        rest = rest.get(at + 2..).unwrap_or_default();
    }
    if let Some((inside, after)) = bracket(rest)
        && let Some(boot) = seconds(inside)
    {
        stamp = if stamp == Stamp::None { boot } else { stamp };
        rest = after;
        if let Some((inside, after)) = bracket(rest).filter(|(inside, _)| is_caller(inside)) {
            let _ = inside;
            rest = after;
        }
    }
    let rest = rest.strip_prefix(b" ").unwrap_or(rest);
    Some(Message { stamp, seq: None, text: Cow::Borrowed(rest) })
}

/// The longest head that a journal writes: a time, a host's name of 64 bytes, `kernel: `.
const HEAD: usize = 128;

fn level(head: &[u8]) -> Option<usize> {
    // `kern  :info  : text` without a time.
    let first = memchr::memchr(b':', head)?;
    let second = memchr::memchr(b':', &head[first + 1..])?;
    Some(first + 1 + second)
}

/// `6,1987,78522681,-[,caller=T1];text`
fn record(line: &[u8]) -> Option<Message<'_>> {
    if !line.first()?.is_ascii_digit() {
        return None;
    }
    let semicolon = memchr::memchr(b';', &line[..line.len().min(HEAD)])?;
    let mut fields = line[..semicolon].split(|byte| *byte == b',');
    let (priority, seq, usec) = (number(fields.next()?)?, number(fields.next()?)?, number(fields.next()?)?);
    fields.next()?;
    // The facility stands above the three bits of the level. Who may write to the log may write anything but the kernel's 0.
    let text = if priority >> 3 == 0 { unescaped(&line[semicolon + 1..]) } else { Cow::Borrowed(&b""[..]) };
    Some(Message { stamp: Stamp::Boot(usec), seq: Some(seq), text })
}

/// `\x0a` stands for a control byte, a backslash or a byte that is no ASCII.
fn unescaped(text: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr(b'\\', text).is_none() {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        let escaped =
            (*byte == b'\\' && text.get(at + 1) == Some(&b'x')).then(|| hex(text.get(at + 2..at + 4)?)).flatten();
        match escaped {
            Some(escaped) => {
                out.push(escaped);
                at += 4;
            }
            None => {
                out.push(*byte);
                at += 1;
            }
        }
    }
    Cow::Owned(out)
}

fn hex(digits: &[u8]) -> Option<u8> {
    let digits = str::from_utf8(digits).ok().filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    u8::from_str_radix(digits, 16).ok()
}

/// What stands in brackets at the beginning, and what behind them.
fn bracket(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let inside = text.strip_prefix(b"[")?;
    let end = inside.iter().take(32).position(|byte| *byte == b']')?;
    Some((&inside[..end], &inside[end + 1..]))
}

/// `   78.522681`; of `Tue Nov 25 10:00:00 2026` (`-T`) nobody knows the zone.
fn seconds(inside: &[u8]) -> Option<Stamp> {
    let text = str::from_utf8(inside).ok()?.trim_start();
    if let Some((whole, part)) = text.split_once('.')
        && part.len() == 6
    {
        let (whole, part) = (whole.parse::<u64>().ok()?, part.parse::<u64>().ok()?);
        return Some(Stamp::Boot(whole.checked_mul(1_000_000)?.checked_add(part)?));
    }
    let is_date = text.len() >= 24 && text.is_char_boundary(3) && text[3..].starts_with(' ') && text.contains(':');
    is_date.then_some(Stamp::None)
}

/// `  T123` or `  C1`: the thread or processor that wrote it.
fn is_caller(inside: &[u8]) -> bool {
    match inside.trim_ascii_start() {
        [b'T' | b'C', digits @ ..] => !digits.is_empty() && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

/// The time in front of a host's name, if it is a whole one.
fn wall(head: &[u8]) -> Stamp {
    let first = str::from_utf8(head).ok().and_then(|head| head.split_ascii_whitespace().next());
    let Some(first) = first.filter(|first| first.contains('T')) else { return Stamp::None };
    // `journalctl -o short-iso` writes an offset without a colon.
    let parsed = first.parse::<Timestamp>().ok().or_else(|| {
        let colon = first.len().checked_sub(2)?;
        format!("{}:{}", first.get(..colon)?, first.get(colon..)?).parse().ok()
    });
    parsed.map_or(Stamp::None, Stamp::Wall)
}

/// A decimal number that fills the text.
pub(super) fn number(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 20 {
        return None;
    }
    text.iter().try_fold(0_u64, |number, byte| {
        byte.is_ascii_digit().then_some(())?;
        number.checked_mul(10)?.checked_add(u64::from(byte - b'0'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(line: &str) -> (Stamp, String) {
        let message = message(line.as_bytes()).unwrap();
        (message.stamp, String::from_utf8_lossy(&message.text).into_owned())
    }

    #[test]
    fn every_reader_of_the_log_is_understood() {
        let boot = Stamp::Boot(78_522_681);
        let wall = Stamp::Wall("2026-11-25T10:00:00Z".parse().unwrap());
        for (line, stamp) in [
            ("6,1987,78522681,-;a text", boot),
            ("6,1987,78522681,-,caller=T12;a text", boot),
            ("[   78.522681] a text", boot),
            ("[   78.522681][  T123] a text", boot),
            ("[   78.522681][    C1] a text", boot),
            ("<6>[   78.522681] a text", boot),
            ("kern  :info  : [   78.522681] a text", boot),
            ("kern  :info  : a text", Stamp::None),
            ("[Wed Nov 25 10:00:00 2026] a text", Stamp::None),
            ("Nov 25 10:00:00 node-1 kernel: a text", Stamp::None),
            ("Nov 25 10:00:00 node-1 kernel: [   78.522681] a text", boot),
            ("2026-11-25T10:00:00+00:00 node-1 kernel: a text", wall),
            ("2026-11-25T11:00:00+0100 node-1 kernel: a text", wall),
            ("2026-11-25T10:00:00Z node-1 kernel: [   78.522681] a text", wall),
            ("a text\r", Stamp::None),
            ("a text", Stamp::None),
        ] {
            assert_eq!(parts(line), (stamp, "a text".to_owned()), "{line}");
        }
    }

    #[test]
    fn a_records_escapes_are_undone_and_its_dictionary_is_passed_over() {
        assert_eq!(parts(r"4,1,2,-;a\x09b\x0ac \x5c \xzz \x").1, "a\tb\nc \\ \\xzz \\x");
        assert!(message(b" SUBSYSTEM=pci").is_none());
        assert_eq!(message(b"4,17,2,-;x").unwrap().seq, Some(17));
    }

    #[test]
    fn a_line_that_is_nothing_but_a_head_has_no_text() {
        for line in [
            "kern :info :",
            "kern  :info  : ",
            "kernel x:y:",
            "host kernel: ",
            "[    1.000000]",
            "<6>",
            "1,2,3,-;",
            "[",
            "[",
        ] {
            assert_eq!(parts(line).1.trim_matches(['<', '6', '>', '[']), "", "{line}");
        }
    }

    #[test]
    fn the_table_of_tasks_is_no_time() {
        assert_eq!(parts("[  pid  ]   uid").1, "[  pid  ]   uid");
        assert_eq!(parts("[   78.522681] [    105]     0   105").1, "[    105]     0   105");
    }
}
