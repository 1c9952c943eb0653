//! Logs in a bundle: read when somebody asks for them.

use super::files;
use reckon_model::{LogLine, Timestamp};
use std::path::{Path, PathBuf};

/// The end of a log that is looked at: as much as is asked of a cluster, so that both give the same verdict.
const TAIL: usize = 200;

/// Where a container's log is.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) path: PathBuf,
    /// Of the sections of a `cluster-info dump`, the one of this container.
    pub(crate) section: Option<String>,
}

/// The last lines until `now`.
pub(crate) fn read(place: &Place, now: Timestamp) -> Result<Vec<LogLine>, String> {
    let bytes = files::bytes(&place.path)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
    let lines: Vec<&str> = match &place.section {
        None => lines.collect(),
        Some(wanted) => {
            let mut inside = false;
            lines
                .filter(|line| match header(line) {
                    Some(("START", container)) => {
                        inside = container == wanted;
                        false
                    }
                    Some(_) => {
                        inside = false;
                        false
                    }
                    None => inside,
                })
                .collect()
        }
    };
    let lines = lines.strip_suffix(&[""]).unwrap_or(&lines);
    let mut read: Vec<LogLine> = Vec::new();
    for line in lines.iter().copied().map(line) {
        // A line without a time was written after the one before it.
        if line.at.is_some_and(|at| at > now) {
            break;
        }
        read.push(line);
    }
    Ok(read.split_off(read.len().saturating_sub(TAIL)))
}

/// The containers whose logs a file of `kubectl cluster-info dump` holds.
pub(crate) fn sections(path: &Path) -> Result<Vec<String>, String> {
    let bytes = files::bytes(path)?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(text.lines().filter_map(header).filter(|&(word, _)| word == "START").map(|(_, name)| name.to_owned()).collect())
}

/// `==== START logs for container NAME of pod NAMESPACE/POD ====`
fn header(line: &str) -> Option<(&str, &str)> {
    let (word, rest) = line.strip_prefix("==== ")?.strip_suffix(" ====")?.split_once(" logs for container ")?;
    Some((word, rest.split_once(" of pod ")?.0))
}

/// A line, with the time it may start with.
pub(crate) fn line(line: &str) -> LogLine {
    let (first, rest) = line.split_once(' ').unwrap_or((line, ""));
    match first.parse() {
        Ok(at) => LogLine { at: Some(at), text: rest.to_owned() },
        Err(_) => LogLine { at: None, text: line.to_owned() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dumped_log_is_split_by_container_and_cut_at_the_clock() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("logs.txt");
        std::fs::write(&path, "==== START logs for container app of pod shop/a ====\n2026-01-01T00:00:00Z one\n  two\n2026-01-01T00:00:09Z three\n==== END logs for container app of pod shop/a ====\n==== START logs for container proxy of pod shop/a ====\nx\n==== END logs for container proxy of pod shop/a ====\n").unwrap();
        assert_eq!(sections(&path).unwrap(), ["app", "proxy"]);
        let place = Place { path, section: Some("app".into()) };
        let texts: Vec<String> =
            read(&place, "2026-01-01T00:00:05Z".parse().unwrap()).unwrap().into_iter().map(|line| line.text).collect();
        assert_eq!(texts, ["one", "  two"]);
    }
}
