//! The columns of `kubectl get`, as the real server prints them.

mod busy;
mod cells;
mod tables;

use crate::resource::{Resource, at, plain};
use jiff::Timestamp;
use serde_json::Value;

/// A column of a table.
#[derive(Debug)]
pub(crate) struct Column {
    pub(crate) name: String,
    /// `string`, `integer`, `date`.
    pub(crate) kind: String,
    /// 0 is always shown, 1 in wide output.
    pub(crate) priority: i64,
    show: Show,
}

#[derive(Debug)]
enum Show {
    Built(fn(&Value, Timestamp) -> Value),
    Path(String),
    Date(String),
}

impl Column {
    pub(crate) fn cell(&self, object: &Value, now: Timestamp) -> Value {
        match &self.show {
            Show::Built(show) => show(object, now),
            Show::Path(path) => at(object, path).clone(),
            Show::Date(path) => age(at(object, path), now).into(),
        }
    }
}

type Built = (&'static str, i64, fn(&Value, Timestamp) -> Value);

/// The columns of a resource, the name first.
pub(crate) fn of(resource: &Resource) -> Vec<Column> {
    let built = |&(name, priority, show): &Built| {
        let kind = match (resource.kind.as_str(), name) {
            (
                "DaemonSet" | "ReplicaSet" | "ReplicationController",
                "Desired" | "Current" | "Ready" | "Up-to-date" | "Available",
            )
            | ("CronJob", "Active")
            | ("PodDisruptionBudget", "Allowed Disruptions") => "integer",
            ("CronJob", "Suspend") | ("CustomResourceDefinition", "Established") => "boolean",
            (_, "Created At") => "date",
            _ => "string",
        };
        Column { name: name.to_owned(), kind: kind.to_owned(), priority, show: Show::Built(show) }
    };
    let mut columns = vec![built(&("Name", 0, |o, _| o["metadata"]["name"].clone()))];
    if !resource.columns.is_empty() {
        columns.extend(resource.columns.iter().map(|column| Column {
            name: column.name.clone(),
            kind: column.kind.clone(),
            priority: column.priority,
            show: if column.kind == "date" { Show::Date(column.path.clone()) } else { Show::Path(column.path.clone()) },
        }));
        return columns;
    }
    let own = tables::of(&resource.kind);
    columns.extend(own.iter().map(built));
    if own.iter().any(|(name, ..)| *name == "Name") {
        // Events come with their names last.
        columns.remove(0);
    }
    if !own.iter().any(|(name, ..)| matches!(*name, "Age" | "Last Seen" | "Created At")) {
        let name = if resource.built_in && own.is_empty() && resource.group.ends_with("k8s.io") {
            "Created At"
        } else {
            "Age"
        };
        let date = |o: &Value, now| age(&o["metadata"]["creationTimestamp"], now).into();
        // Kinds without columns of their own are printed with the time itself.
        columns.push(if name == "Age" {
            built(&("Age", 0, date))
        } else {
            built(&("Created At", 0, |o, _| o["metadata"]["creationTimestamp"].clone()))
        });
    }
    columns
}

/// `5m`, `3d4h`: the age of a time as `kubectl` writes it.
pub(crate) fn age(time: &Value, now: Timestamp) -> String {
    let Some(time) = time.as_str().and_then(|text| text.parse::<Timestamp>().ok()) else {
        return "<unknown>".to_owned();
    };
    duration(now.as_second() - time.as_second())
}

/// A number of seconds as `HumanDuration` of apimachinery writes it.
pub(crate) fn duration(seconds: i64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let two = |big: i64, unit: &str, small: i64, part: &str| {
        if small == 0 { format!("{big}{unit}") } else { format!("{big}{unit}{small}{part}") }
    };
    match seconds {
        i64::MIN..=-2 => "<invalid>".to_owned(),
        -1..=0 => "0s".to_owned(),
        1..=119 => format!("{seconds}s"),
        120..=599 => two(minutes, "m", seconds % 60, "s"),
        600..=10_799 => format!("{minutes}m"),
        10_800..=28_799 => two(hours, "h", minutes % 60, "m"),
        28_800..=172_799 => format!("{hours}h"),
        172_800..=691_199 => two(days, "d", hours % 24, "h"),
        691_200..=63_071_999 => format!("{days}d"),
        63_072_000..=252_287_999 => two(days / 365, "y", days % 365, "d"),
        _ => format!("{}y", days / 365),
    }
}

/// `<none>` for what is not there.
pub(crate) fn or_none(value: &Value) -> Value {
    let text = plain(value);
    if text.is_empty() { "<none>".into() } else { text.into() }
}

/// A number, 0 for none.
pub(crate) fn number(value: &Value) -> i64 {
    value.as_i64().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_kubectl_does() {
        let cases = [
            (5, "5s"),
            (119, "119s"),
            (120, "2m"),
            (185, "3m5s"),
            (3600, "60m"),
            (3 * 3600, "3h"),
            (4 * 3600 + 60, "4h1m"),
            (86_400, "24h"),
            (3 * 86_400 + 7200, "3d2h"),
            (9 * 86_400, "9d"),
        ];
        for (seconds, text) in cases {
            assert_eq!(duration(seconds), text);
        }
    }
}
