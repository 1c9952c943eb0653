//! How long a schedule lets pass between two runs, at most.
//!
//! Enough to tell that a run is overdue without knowing the time zone: what is exact is left to the controller.

use jiff::SignedDuration;

const DAY: i64 = 24 * 60;

/// The longest schedule that is read, in bytes.
const LONGEST: usize = 500;

/// The longest time between two runs; `None` where the words are not understood.
pub(super) fn longest_pause(schedule: &str) -> Option<SignedDuration> {
    let days = |days: i64| Some(SignedDuration::from_hours(24 * days));
    // A real one is short.
    let words = schedule.trim();
    if words.len() > LONGEST {
        return None;
    }
    // A zone in the schedule itself, which was never meant to be allowed.
    let words = match words.split_once(' ') {
        Some((zone, rest)) if zone.starts_with("TZ=") || zone.starts_with("CRON_TZ=") => rest.trim(),
        _ => words,
    };
    match words.to_ascii_lowercase().as_str() {
        "@hourly" => return Some(SignedDuration::from_hours(1)),
        "@daily" | "@midnight" => return days(1),
        "@weekly" => return days(7),
        "@monthly" => return days(31),
        "@yearly" | "@annually" => return days(366),
        other => {
            if let Some(every) = other.strip_prefix("@every ") {
                return reckon_model::duration::parse(every.trim());
            }
        }
    }
    let fields: Vec<&str> = words.split_whitespace().collect();
    let [minute, hour, day, month, weekday] = fields.as_slice() else { return None };
    let (minutes, hours) = (values(minute, 0, 59)?, values(hour, 0, 23)?);
    let (any_day, any_month, any_weekday) = (is_any(day), is_any(month), is_any(weekday));
    if any_day && any_month && any_weekday {
        return Some(SignedDuration::from_mins(within_a_day(&minutes, &hours)));
    }
    if !any_month {
        // 29 February comes every eight years at worst.
        return days(if any_day && any_weekday { 366 } else { 8 * 366 });
    }
    // With both given either is enough; two months in a row need not have a 31st.
    days(if any_weekday { 62 } else { 7 })
}

fn is_any(field: &str) -> bool {
    matches!(field, "*" | "?" | "*/1")
}

/// The longest time between two of these moments of every day, in minutes.
fn within_a_day(minutes: &[i64], hours: &[i64]) -> i64 {
    let moments: Vec<i64> =
        hours.iter().flat_map(|hour| minutes.iter().map(move |minute| hour * 60 + minute)).collect();
    let (Some(first), Some(last)) = (moments.first(), moments.last()) else { return DAY };
    let between = moments.iter().zip(moments.iter().skip(1)).map(|(one, next)| next - one).max().unwrap_or(0);
    let longest = between.max(first + DAY - last);
    // Where not every hour is one, the change to summer time may lengthen a pause.
    if hours.len() < 24 { longest + 60 } else { longest }
}

/// The values that a field allows, in order.
fn values(field: &str, least: i64, most: i64) -> Option<Vec<i64>> {
    let mut allowed = Vec::new();
    for part in field.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, step.parse::<i64>().ok().filter(|step| *step > 0)?),
            None => (part, 1),
        };
        let (from, to) = match range.split_once('-') {
            _ if is_any(range) => (least, most),
            Some((from, to)) => (from.parse().ok()?, to.parse().ok()?),
            None => {
                let from = range.parse().ok()?;
                (from, if part.contains('/') { most } else { from })
            }
        };
        if from < least || to > most || from > to {
            return None;
        }
        let steps = (0..=most).map(|n| step.saturating_mul(n).saturating_add(from));
        allowed.extend(steps.take_while(|value| *value <= to));
    }
    allowed.sort_unstable();
    allowed.dedup();
    (!allowed.is_empty()).then_some(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minutes(schedule: &str) -> Option<i64> {
        longest_pause(schedule).map(|pause| pause.as_mins())
    }

    #[test]
    fn the_longest_pause_is_found() {
        assert_eq!(minutes("* * * * *"), Some(1));
        assert_eq!(minutes("*/5 * * * *"), Some(5));
        assert_eq!(minutes("7 * * * *"), Some(60));
        assert_eq!(minutes("0,10 * * * *"), Some(50));
        // An hour more, for the change of the clocks.
        assert_eq!(minutes("0 3 * * *"), Some(25 * 60));
        assert_eq!(minutes("0 */6 * * *"), Some(7 * 60));
        assert_eq!(minutes("0 9-17 * * *"), Some(17 * 60));
        assert_eq!(minutes("0 3 * * 1"), Some(7 * DAY));
        assert_eq!(minutes("0 3 1 * *"), Some(62 * DAY));
        assert_eq!(minutes("0 3 * 5 *"), Some(366 * DAY));
        assert_eq!(minutes("@daily"), Some(DAY));
        assert_eq!(minutes("@every 90s"), Some(1));
        assert_eq!(minutes("TZ=Europe/Berlin 0 * * * *"), Some(60));
        assert_eq!(minutes("CRON_TZ=UTC @hourly"), Some(60));
    }

    #[test]
    fn large_numbers_and_long_words_do_no_harm() {
        assert_eq!(minutes("5/9223372036854775807 * * * *"), Some(60));
        assert_eq!(minutes("9223372036854775807 * * * *"), None);
        assert_eq!(minutes(&"1,".repeat(1000)), None);
        assert_eq!(minutes("@every 99999999999999999999h"), None);
    }

    #[test]
    fn what_is_no_schedule_is_none() {
        for words in [
            "",
            "0 25 * * *",
            "61 * * * *",
            "* * * *",
            "* * * * * *",
            "a b c d e",
            "5-1 * * * *",
            "*/0 * * * *",
            "@never",
        ] {
            assert_eq!(minutes(words), None, "{words}");
        }
    }
}
