//! The arguments of the commands about the past.

use super::{Offline, duration};
use clap::{Args, ValueEnum};
use jiff::civil::{DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use std::path::PathBuf;

/// Whose past is told, and how.
#[derive(Debug, Args)]
pub(crate) struct TimelineOptions {
    /// TYPE/NAME, or TYPE NAME, in every spelling kubectl accepts
    #[arg(required = true, num_args = 1..=2, value_name = "TYPE/NAME")]
    pub(crate) target: Vec<String>,
    /// Only what happened within this time, such as 30m or 6h; without it, all that is remembered
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) since: Option<SignedDuration>,
    #[command(flatten)]
    pub(crate) record: RecordOptions,
    #[command(flatten)]
    pub(crate) offline: Offline,
    #[command(flatten)]
    pub(crate) output: Listing,
}

/// Which server has the record of what happened.
#[derive(Debug, Args)]
pub(crate) struct RecordOptions {
    /// Ask this server, which has the record of what happened, such as https://reckon.example.com; without one, what
    /// Kubernetes itself remembers is told
    #[arg(long, value_name = "URL", env = "RECKON_SERVER")]
    pub(crate) server: Option<String>,
    /// The file with a token of the server; without it, that in $RECKON_TOKEN
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    #[arg(long, env = "RECKON_TOKEN", hide = true, hide_env_values = true)]
    pub(crate) token: Option<String>,
    /// A file with certificates in PEM that are believed of the server, beside the machine's
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
}

/// Which two states of an object are compared, and how that is told.
#[derive(Debug, Args)]
#[group(id = "which", multiple = false, args = ["rev", "at", "contexts"])]
pub(crate) struct DiffOptions {
    /// TYPE/NAME, or TYPE NAME, in every spelling kubectl accepts
    #[arg(required = true, num_args = 1..=2, value_name = "TYPE/NAME")]
    pub(crate) target: Vec<String>,
    /// Two revisions, such as 41..42, or one that is compared with what is now; without any flag, the last two
    #[arg(long, value_name = "A..B", value_parser = revisions)]
    pub(crate) rev: Option<(i64, Option<i64>)>,
    /// Take the revisions of the object's Helm release rather than its own
    #[arg(long, conflicts_with_all = ["at", "contexts"])]
    pub(crate) helm: bool,
    /// Two moments, such as 13:50..14:10, 2h..30m (ago) or full times; one is compared with now
    #[arg(long, value_name = "T1..T2", value_parser = moments)]
    pub(crate) at: Option<(DiffMoment, DiffMoment)>,
    /// Two contexts of the kubeconfig, in which the object has one name
    #[arg(long, value_name = "A,B", value_parser = contexts, conflicts_with_all = ["file", "context", "cluster"])]
    pub(crate) contexts: Option<(String, String)>,
    /// Read a bundle, a file of objects, a cluster-info dump or - (standard input) instead of a cluster
    #[arg(short = 'f', long = "filename", value_name = "PATH")]
    pub(crate) file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) output: Listing,
}

/// How what was found is written.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Listing {
    /// The format of the answer
    #[arg(short = 'o', long = "output", value_name = "FORMAT", value_enum, default_value_t = ListingFormat::Table, hide_default_value = true)]
    pub(crate) format: ListingFormat,
}

/// A format of what was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ListingFormat {
    /// For people
    #[value(alias = "human")]
    Table,
    /// For people, nothing cut or left out
    Wide,
    /// For programs: the contract reckon/v1
    Json,
    /// The same as YAML
    Yaml,
}

/// A moment as people write it: in full, as a time of day, or as how long ago.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DiffMoment {
    /// This one.
    At(Timestamp),
    /// So long ago.
    Ago(SignedDuration),
    /// On the day and at the time that clocks show in the zone of the output.
    Civil(DateTime),
    /// The last time that clocks showed this.
    Clock(Time),
}

impl DiffMoment {
    /// The moment, by a clock and in a zone.
    pub(crate) fn resolve(self, now: Timestamp, local: bool) -> Option<Timestamp> {
        let zone = if local { TimeZone::system() } else { TimeZone::UTC };
        let civil = |at: DateTime| Some(at.to_zoned(zone.clone()).ok()?.timestamp());
        match self {
            DiffMoment::At(at) => Some(at),
            DiffMoment::Ago(span) => now.checked_sub(span).ok(),
            DiffMoment::Civil(at) => civil(at),
            DiffMoment::Clock(time) => {
                let today = now.to_zoned(zone.clone()).date();
                civil(today.to_datetime(time))
                    .filter(|at| *at <= now)
                    .or_else(|| civil(today.yesterday().ok()?.to_datetime(time)))
            }
        }
    }
}

fn revisions(text: &str) -> Result<(i64, Option<i64>), String> {
    let wrong = || format!("{text:?} are no revisions; write 41..42, or 41 to compare it with what is now");
    let number = |text: &str| text.trim().parse::<i64>().ok().filter(|number| *number >= 0).ok_or_else(wrong);
    match text.split_once("..") {
        None => Ok((number(text)?, None)),
        Some((from, "" | "now")) => Ok((number(from)?, None)),
        Some((from, to)) => Ok((number(from)?, Some(number(to)?))),
    }
}

fn moments(text: &str) -> Result<(DiffMoment, DiffMoment), String> {
    let (from, to) = text.split_once("..").unwrap_or((text, ""));
    Ok((when(from)?, when(if to.is_empty() { "now" } else { to })?))
}

fn when(text: &str) -> Result<DiffMoment, String> {
    let text = text.trim();
    if text == "now" {
        return Ok(DiffMoment::Ago(SignedDuration::ZERO));
    }
    let has_unit = text.ends_with(|c: char| c.is_ascii_alphabetic());
    let ago = || reckon_model::duration::parse(text).filter(|_| has_unit).map(DiffMoment::Ago);
    text.parse::<Timestamp>()
        .ok()
        .map(DiffMoment::At)
        .or_else(ago)
        // `13:58` and `13:58:04`, but not `1358`.
        .or_else(|| {
            text.parse::<Time>().ok().filter(|_| text.contains(':') && !text.contains('-')).map(DiffMoment::Clock)
        })
        .or_else(|| text.parse::<DateTime>().ok().map(DiffMoment::Civil))
        .ok_or_else(|| {
            format!(
                "{text:?} is no time; write 2026-01-31T12:00:00Z, 2026-01-31 12:00, 13:58, or 30m for 30 minutes ago"
            )
        })
}

fn contexts(text: &str) -> Result<(String, String), String> {
    match text.split(',').map(str::trim).collect::<Vec<_>>().as_slice() {
        [a, b] if !a.is_empty() && !b.is_empty() && a != b => Ok(((*a).to_owned(), (*b).to_owned())),
        _ => Err(format!("{text:?} does not name two contexts; write A,B")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn revisions_are_one_or_two_numbers() {
        assert_eq!(revisions("41..42"), Ok((41, Some(42))));
        for now in ["41", "41..", "41..now"] {
            assert_eq!(revisions(now), Ok((41, None)), "{now}");
        }
        for wrong in ["", "..42", "a..b", "-1..2", "41-42", "1...2"] {
            assert!(revisions(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_moment_is_a_time_a_time_of_day_or_how_long_ago() {
        let now: Timestamp = "2026-01-31T14:00:00Z".parse().unwrap();
        let at = |text: &str| when(text).unwrap().resolve(now, false).unwrap().to_string();
        assert_eq!(at("2026-01-30T12:00:00.5Z"), "2026-01-30T12:00:00.5Z");
        assert_eq!(at("30m"), "2026-01-31T13:30:00Z");
        assert_eq!(at("13:58"), "2026-01-31T13:58:00Z");
        assert_eq!(at("13:58:04"), "2026-01-31T13:58:04Z");
        assert_eq!(at("23:10"), "2026-01-30T23:10:00Z");
        assert_eq!(at("2026-01-30 12:00"), "2026-01-30T12:00:00Z");
        assert_eq!(at("now"), "2026-01-31T14:00:00Z");
        for wrong in ["", "yesterday", "1358", "25:00", "12", "13:58 Uhr"] {
            assert!(when(wrong).is_err(), "{wrong}");
        }
        assert_eq!(
            moments("2h"),
            Ok((DiffMoment::Ago(SignedDuration::from_hours(2)), DiffMoment::Ago(SignedDuration::ZERO)))
        );
    }

    #[test]
    fn two_contexts_are_two_names() {
        assert_eq!(contexts("a, b"), Ok(("a".to_owned(), "b".to_owned())));
        for wrong in ["a", "a,", "a,b,c", "a,a", ""] {
            assert!(contexts(wrong).is_err(), "{wrong}");
        }
    }
}
