//! The decisive line of a log.

use crate::View;
use reckon_model::{LogLine, Object};

/// What programs write before they end, most telling first. Matched in lower case anywhere in the line.
const TELLING: [&[&str]; 3] = [
    &["panic:", "fatal", "traceback", "outofmemoryerror", "segmentation fault", "unhandled exception", "uncaught"],
    &["exception", "error:", "error ", "err=", "[error]", "level=error", "\"error\"", "critical"],
    &["failed", "cannot", "could not", "unable to", "denied", "refused", "not found", "no such", "missing", "invalid"],
];

/// The line that says best why the program ended, with the instance it is from. The end of a log that failed is near the
/// reason: of equally telling lines the last is taken, and of none the last line.
pub(crate) fn decisive<'a>(view: &View<'a>, pod: &Object, container: &str, restarted: bool) -> Option<&'a LogLine> {
    // After a restart the dead instance is the previous one; during the back-off the kubelet may answer with the plain log.
    let previous = if restarted { view.log(pod, container, true) } else { None };
    let lines = match previous {
        Some(lines) if !lines.is_empty() => lines,
        _ => view.log(pod, container, false)?,
    };
    let telling = |line: &&LogLine| {
        let text = line.text.to_lowercase();
        TELLING.iter().position(|words| words.iter().any(|word| text.contains(word)))
    };
    let best = lines.iter().filter_map(|line| Some((telling(&line)?, line))).rev().min_by_key(|(rank, _)| *rank);
    let line = best.map(|(_, line)| line).or_else(|| lines.iter().rev().find(|line| !line.text.trim().is_empty()))?;
    // A Python traceback names the exception in its last line.
    if line.text.starts_with("Traceback") {
        return lines.iter().rev().find(|line| !line.text.trim().is_empty() && !line.text.starts_with(' '));
    }
    Some(line)
}
