//! Spans of time as people read them and as Go programs write them.

use jiff::{SignedDuration, Timestamp};

/// A span for people, in at most two units: `42s`, `22m`, `3h10m`, `5d`. Negative spans read as zero.
pub fn short(span: SignedDuration) -> String {
    let seconds = span.as_secs().max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match () {
        () if seconds < 120 => format!("{seconds}s"),
        () if minutes < 120 => format!("{minutes}m"),
        () if hours < 10 && minutes % 60 != 0 => format!("{hours}h{}m", minutes % 60),
        () if hours < 48 => format!("{hours}h"),
        () => format!("{days}d"),
    }
}

/// From one time to another; zero where the clock went backwards.
pub fn between(from: Timestamp, to: Timestamp) -> SignedDuration {
    to.duration_since(from).max(SignedDuration::ZERO)
}

/// A duration as Go writes and kubectl takes it: `90s`, `1h30m`, `1.5h`, `250ms`; a bare number is seconds.
pub fn parse(text: &str) -> Option<SignedDuration> {
    if text.is_empty() {
        return None;
    }
    if let Ok(seconds) = text.parse::<u32>() {
        return Some(SignedDuration::from_secs(i64::from(seconds)));
    }
    let mut total = SignedDuration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        let after = &rest[digits..];
        let end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let seconds = match &after[..end] {
            "ns" => 1e-9,
            "us" | "µs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "d" => 86_400.0,
            _ => return None,
        };
        total = total.checked_add(SignedDuration::try_from_secs_f64(number * seconds).ok()?)?;
        rest = &after[end..];
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn secs(n: i64) -> SignedDuration {
        SignedDuration::from_secs(n)
    }

    #[test]
    fn a_span_reads_in_at_most_two_units() {
        assert_eq!(short(secs(42)), "42s");
        assert_eq!(short(secs(22 * 60)), "22m");
        assert_eq!(short(secs(3 * 3600 + 600)), "3h10m");
        assert_eq!(short(secs(47 * 3600)), "47h");
        assert_eq!(short(secs(5 * 86_400)), "5d");
        assert_eq!(short(secs(-3)), "0s");
    }

    #[test]
    fn durations_are_read_as_go_writes_them() {
        assert_eq!(parse("1h30m"), Some(secs(5400)));
        assert_eq!(parse("1.5h"), Some(secs(5400)));
        assert_eq!(parse("30"), Some(secs(30)));
        assert_eq!(parse("250ms"), Some(SignedDuration::from_millis(250)));
        for text in ["", "h", "1", "1x", "-5s", "1h30"] {
            assert_eq!(parse(text).is_some(), text == "1", "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in ".{0,40}") {
            let _ = parse(&text);
        }

        #[test]
        fn whole_seconds_survive(n in 0u32..1_000_000) {
            prop_assert_eq!(parse(&format!("{n}s")), Some(secs(i64::from(n))));
        }
    }
}
