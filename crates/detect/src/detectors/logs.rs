//! The decisive line of a log.

pub(crate) mod testimony;

use super::killed_by;
use crate::View;
use crate::addresses::start;
use jiff::SignedDuration;
use reckon_model::k8s::{Container, ContainerStatus, ContainerType, Pod};
use reckon_model::{LogLine, Object};
use testimony::Testimony;

/// What programs write before they end, most telling first. Matched in lower case anywhere in the line.
const TELLING: [&[&str]; 3] = [
    &[
        "panic:",
        "panicked at",
        "fatal",
        "traceback",
        "outofmemoryerror",
        "bad_alloc",
        "bytes failed",
        "segmentation fault",
        "unhandled exception",
    ],
    &[
        "exception",
        "caused by:",
        "uncaught",
        "error:",
        "error ",
        "err=",
        "[error]",
        "level=error",
        "\"error\"",
        "critical",
    ],
    &[
        "failed",
        "cannot",
        "could not",
        "unable to",
        "denied",
        "refused",
        "not found",
        "no such",
        "missing",
        "invalid",
        "unknown flag",
        "unknown option",
        "unknown command",
        "unrecognized",
        "required",
        "not set",
        "not defined",
    ],
];

/// Lines that hold such words and tell nothing: other levels, frames of a stack, and what the kubelet says in place of a
/// log that is gone.
const NOISE: [&str; 10] = [
    "level=info",
    "level=debug",
    "\"level\":\"info\"",
    "\"level\":\"debug\"",
    " info ",
    " debug ",
    "no error",
    "0 errors",
    "non-fatal",
    "unable to retrieve container logs for",
];

/// So much of a line is looked at, in bytes: one may be a megabyte.
const READ: usize = 16 << 10;

/// A program tells why it ends in its last words; what it said long before, however loud, it has outlived.
const LAST_WORDS: usize = 15;

/// The line that says best why the program ended. `previous` asks for the instance before the one that runs; while a
/// container is shown as terminated, the plain log is that of the one that ended. The end of a log that failed is near
/// the reason: of equally telling lines the last is taken, and of none the last line.
pub(crate) fn decisive<'a>(view: &View<'a>, pod: &Object, container: &str, previous: bool) -> Option<&'a LogLine> {
    let before = if previous { view.log(pod, container, true) } else { None };
    let lines = match before {
        Some(lines) if lines.iter().any(|line| !is_noise(&line.text)) => lines,
        _ => view.log(pod, container, false)?,
    };
    most_telling(lines)
}

/// What a program testifies to, and the line that says it.
#[derive(Clone, Debug)]
pub(crate) struct Told<'a> {
    pub(crate) line: &'a LogLine,
    pub(crate) says: Testimony,
}

/// Words with which a program ends that has said why before.
const FAREWELL: [&str; 9] = [
    "exiting",
    "giving up",
    "shutting down",
    "terminat",
    "abort",
    "startup failed",
    "failed to start",
    "cannot start",
    "bye",
];

/// What the program that ended said of why it did: its decisive line, or what that line names as its own cause below it.
/// What it said before is over, unless the decisive line only says good-bye.
pub(crate) fn told<'a>(view: &View<'a>, pod: &Object, container: &str, previous: bool) -> Option<Told<'a>> {
    let line = decisive(view, pod, container, previous)?;
    let lines = [true, false].into_iter().filter(|of| *of == previous || !of).find_map(|previous| {
        let lines = view.log(pod, container, previous)?;
        lines.iter().any(|one| std::ptr::eq(one, line)).then_some(lines)
    })?;
    told_at(lines, lines.iter().position(|one| std::ptr::eq(one, line))?)
}

fn told_at(lines: &[LogLine], at: usize) -> Option<Told<'_>> {
    let testified = |at: usize| Some(Told { line: lines.get(at)?, says: testimony::at(lines, at)? });
    let below = || (at + 1..lines.len()).filter(|&at| !is_noise(&lines[at].text)).take(LAST_WORDS).find_map(testified);
    let above = || {
        let text = lines.get(at)?.text.to_lowercase();
        let said = FAREWELL.iter().any(|words| text.contains(words));
        said.then(|| (0..at).rev().filter(|&at| !is_noise(&lines[at].text)).take(NEAR).find_map(testified)).flatten()
    };
    testified(at).or_else(below).or_else(above)
}

/// So many lines before a good-bye may hold the reason.
const NEAR: usize = 5;

/// So many lines at the end of the log of what still runs are its present.
const PRESENT: usize = 40;

/// So often a program that runs has to say the same before it is believed.
const OFTEN: usize = 3;

/// What it said longer before its last line is over.
const OVER: SignedDuration = SignedDuration::from_mins(5);

/// What a program that runs, or did until it was killed, keeps saying at the end of its log.
pub(crate) fn keeps_saying<'a>(view: &View<'a>, pod: &Object, container: &str, previous: bool) -> Option<Told<'a>> {
    let lines = view.log(pod, container, previous)?;
    let told = said_often(lines)?;
    let last = lines.iter().rev().find_map(|line| line.at);
    let over = told.line.at.zip(last).is_some_and(|(at, last)| last.duration_since(at) > OVER);
    (!over).then_some(told)
}

fn said_often(lines: &[LogLine]) -> Option<Told<'_>> {
    let said: Vec<usize> = (0..lines.len()).filter(|at| !is_noise(&lines[*at].text)).collect();
    let present = said.get(said.len().saturating_sub(PRESENT)..)?;
    let told: Vec<Told<'_>> =
        present.iter().filter_map(|&at| Some(Told { line: lines.get(at)?, says: testimony::at(lines, at)? })).collect();
    let last = told.last()?.clone();
    let same = |other: &&Told<'_>| std::mem::discriminant(&other.says) == std::mem::discriminant(&last.says);
    (told.iter().filter(same).count() >= OFTEN).then_some(last)
}

/// The last words of a container that fails: of the instance that ended where there is one, else of the one that runs.
pub(crate) fn last_words<'a>(view: &View<'a>, pod: &Object, status: &ContainerStatus) -> &'a [LogLine] {
    let ended = status.state.terminated.is_none() && status.last_end().is_some();
    let before = if ended { view.log(pod, &status.name, true).filter(|lines| !lines.is_empty()) } else { None };
    let lines = before.or_else(|| view.log(pod, &status.name, false)).unwrap_or_default();
    lines.split_at_checked(lines.len().saturating_sub(SPOKEN)).map_or(lines, |(_, last)| last)
}

/// So many lines are its last words where it did not end with them.
const SPOKEN: usize = 100;

/// The containers that fail now: that ended not long ago, or that run and are not ready.
pub(crate) fn failing<'a>(
    view: &View<'a>,
    pod: &'a Pod,
) -> impl Iterator<Item = (ContainerType, &'a Container, &'a ContainerStatus)> {
    pod.containers().filter_map(|(kind, container, status)| {
        let status = status.filter(|_| kind != ContainerType::Ephemeral)?;
        let ended_well = status.last_end().is_some_and(|end| end.exit_code == 0);
        let ended = status.last_end().is_some_and(|end| end.exit_code != 0) && !killed_by::recovered(view, status);
        // An init container that is done is ready by its own account.
        let unready = status.state.running.is_some() && !status.ready;
        (ended || (unready && !ended_well)).then_some((kind, container, status))
    })
}

pub(crate) fn is_noise(line: &str) -> bool {
    let text = start(line, READ).to_lowercase();
    text.trim().is_empty() || frame(&text) || NOISE.iter().any(|words| text.contains(words))
}

/// A line of a stack: of Java and JavaScript, of Python, of Go, of native code.
fn frame(text: &str) -> bool {
    let trimmed = text.trim();
    let start = |words: &str| trimmed.starts_with(words);
    let place = text.starts_with([' ', '\t']) && trimmed.contains(".go:");
    // `main.(*Server).run(0xc000010000, {0x1, 0x2})`
    let call = trimmed.ends_with(')')
        && trimmed.split_once('(').is_some_and(|(name, _)| name.contains('.') && !name.contains(char::is_whitespace));
    // ` 4: 0x7f86a5bc32fc v8::internal::V8::FatalProcessOutOfMemory(…)`
    let native = trimmed.split_once(": 0x").is_some_and(|(number, _)| number.bytes().all(|byte| byte.is_ascii_digit()));
    native || start("at ") || start("file \"") || start("goroutine ") || start("created by ") || place || call
}

fn most_telling(lines: &[LogLine]) -> Option<&LogLine> {
    let telling = |line: &str| {
        let text = start(line, READ).to_lowercase();
        TELLING.iter().position(|words| words.iter().any(|word| text.contains(word)))
    };
    let told: Vec<usize> = (0..lines.len()).filter(|at| !is_noise(&lines[*at].text)).collect();
    let (before, last) = told.split_at(told.len().saturating_sub(LAST_WORDS));
    let best = |part: &[usize]| {
        let ranked = part.iter().rev().filter_map(|&at| Some((telling(&lines[at].text)?, at)));
        ranked.min_by_key(|(rank, _)| *rank)
    };
    let best = best(last).or_else(|| best(before));
    let Some((_, at)) = best else { return lines.iter().rev().find(|line| !is_noise(&line.text)) };
    let text = lines[at].text.trim_end();
    // Rust says where in one line and why in the next.
    if text.contains("panicked at") && text.ends_with(':') {
        return lines.get(at + 1).filter(|line| !is_noise(&line.text)).or(lines.get(at));
    }
    // A Python traceback names the exception in the first line after it that is not indented.
    if text.contains("Traceback") {
        let raised = lines.iter().skip(at + 1).find(|line| !line.text.starts_with(' ') && !is_noise(&line.text));
        return raised.or(lines.get(at));
    }
    lines.get(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decided(text: &str) -> Option<String> {
        let lines: Vec<LogLine> = text.lines().map(|text| LogLine { at: None, text: text.to_owned() }).collect();
        most_telling(&lines).map(|line| line.text.clone())
    }

    #[test]
    fn the_line_that_says_why_is_found_among_the_others() {
        assert_eq!(decided("starting\nunknown flag: --prot\nUsage: api").as_deref(), Some("unknown flag: --prot"));
        assert_eq!(
            decided("a\nTraceback (most recent call last):\n  File \"x\"\nKeyError: 'A'\nbye").as_deref(),
            Some("KeyError: 'A'")
        );
        assert_eq!(
            decided("thread 'main' panicked at src/main.rs:3:5:\nno database\nnote: run with").as_deref(),
            Some("no database")
        );
        assert_eq!(decided("level=info msg=\"no error\"\nbye").as_deref(), Some("bye"));
        let long = format!("fatal: no lock, trying again\n{}error: no route to db\nbye", "tick\n".repeat(20));
        assert_eq!(decided(&long).as_deref(), Some("error: no route to db"));
        assert_eq!(decided("error: no db\nnon-fatal: no cache\nbye").as_deref(), Some("error: no db"));
        let stack = "main.(*S).run(0xc0, {0x1})\n\t/app/error failed.go:12 +0x1d\n".repeat(20);
        assert_eq!(
            decided(&format!("panic: no db\n\ngoroutine 1 [running]:\n{stack}")).as_deref(),
            Some("panic: no db")
        );
        assert_eq!(decided("unable to retrieve container logs for containerd://x"), None);
        assert_eq!(decided(""), None);
    }

    #[test]
    fn what_is_testified_is_the_decisive_line_its_own_cause_or_what_stands_before_a_good_bye() {
        let told = |text: &str| {
            let lines: Vec<LogLine> = text.lines().map(|text| LogLine { at: None, text: text.to_owned() }).collect();
            let line = most_telling(&lines)?;
            let at = lines.iter().position(|one| std::ptr::eq(one, line))?;
            told_at(&lines, at).map(|told| told.says)
        };
        let refused = |says: Option<Testimony>| matches!(says, Some(Testimony::Refused(_)));
        assert!(refused(told("start\nFATAL: no start\nCaused by: java.net.ConnectException: Connection refused")));
        assert!(refused(told("dial tcp db:5432: connect: connection refused\nfatal: exiting")));
        // Another matter, which the program lived with.
        assert_eq!(told("dial tcp db:5432: connect: connection refused\npanic: bad config"), None);
    }

    #[test]
    fn what_runs_is_believed_when_it_keeps_saying_so() {
        let lines = |text: &str| -> Vec<LogLine> {
            text.lines().map(|text| LogLine { at: None, text: text.to_owned() }).collect()
        };
        let refused = "dial tcp db:5432: connect: connection refused\n";
        assert!(said_often(&lines(&refused.repeat(3))).is_some());
        assert!(said_often(&lines(&refused.repeat(2))).is_none());
        assert!(said_often(&lines(&format!("{}{}", refused.repeat(3), "served\n".repeat(50)))).is_none());
    }
}
