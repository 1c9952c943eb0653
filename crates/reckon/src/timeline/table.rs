//! A timeline for people: a line for each thing that happened, the newest last, next to the prompt.

use crate::style::{Paint, Style, wrap};
use crate::when::When;
use jiff::SignedDuration;
use reckon_detect::past;
use reckon_model::Timestamp;
use reckon_model::document::{Severity, Timeline};
use reckon_model::kubectl;
use reckon_model::record::{Entry, Fact, Phase, RolloutState, Turn};
use reckon_model::text::{clean_line, count, shorten};
use std::fmt::Write;

/// What happens to several within this time is told in one line.
const AT_ONCE: SignedDuration = SignedDuration::from_secs(60);

/// Less room than this says nothing of what happened: the line is not cut then.
const LEAST: usize = 30;

/// Where the sections below begin.
const MARGIN: usize = 16;

/// Events that say in other words what a phase says.
const ORDINARY: [&str; 9] = [
    "Scheduled",
    "Pulling",
    "Pulled",
    "Created",
    "Started",
    "SuccessfulCreate",
    "SuccessfulDelete",
    "LeaderElection",
    "SuccessfulAttachVolume",
];

/// How a timeline is written.
pub(super) struct Table<'a> {
    pub(super) paint: Paint,
    /// The columns of the terminal that lines are cut to; `None` where nothing is cut.
    pub(super) room: Option<usize>,
    /// The columns that sentences are broken at.
    pub(super) width: usize,
    /// Whether every entry has its own line.
    pub(super) wide: bool,
    pub(super) when: When,
    pub(super) program: &'a str,
    /// What the next command needs to read the same.
    pub(super) again: &'a str,
}

/// Entries that are told in one line.
struct Row<'a> {
    first: &'a Entry,
    others: usize,
    /// What is true of all of them, where they are several.
    common: Option<Entry>,
}

impl Row<'_> {
    fn add(&mut self, entry: &Entry) {
        self.others += 1;
        let common = self.common.get_or_insert_with(|| self.first.clone());
        common.at = entry.at;
        match (&mut common.fact, &entry.fact) {
            (Fact::Phase(turn), _) => turn.node = None,
            (Fact::Death(death), _) => death.restarts = 0,
            (Fact::Event(all), Fact::Event(one)) => {
                all.count += one.count;
                all.first = all.first.min(one.first);
                all.message.clone_from(&one.message);
            }
            _ => {}
        }
    }

    fn sentence(&self) -> String {
        past::sentence(self.common.as_ref().unwrap_or(self.first))
    }
}

impl Table<'_> {
    /// The answer.
    pub(super) fn of(&self, timeline: &Timeline) -> String {
        let (rows, ordinary) = self.rows(&timeline.entries);
        let mut out = String::new();
        if timeline.entries.is_empty() {
            let _ = writeln!(out, "{}", clean_line(&timeline.sentence));
        } else {
            self.lines(&mut out, &rows);
            out.push('\n');
        }
        if ordinary > 0 {
            let left_out = format!("{} of pods that come and go; -o wide shows all", count(ordinary, "Event"));
            self.section(&mut out, "LEFT OUT", &[left_out]);
        }
        let unseen: Vec<String> = timeline.unseen.iter().map(|unseen| self.unseen(unseen)).collect();
        self.section(&mut out, "NOT REMEMBERED", &unseen);
        let gaps: Vec<String> = timeline.not_checked.iter().map(|gap| format!("{}: {}", gap.what, gap.why)).collect();
        self.section(&mut out, "NOT CHECKED", &gaps);
        if let Some(next) = next(timeline) {
            let _ = writeln!(out, "next: {} {next}{}", self.program, self.again);
        }
        out
    }

    fn unseen(&self, unseen: &reckon_model::record::Unseen) -> String {
        format!("until {} {}: {}", self.when.clock(unseen.to), self.when.zone(), unseen.why)
    }

    /// One row for each entry, or for several that are alike; and how many Events were left out.
    fn rows<'a>(&self, entries: &'a [Entry]) -> (Vec<Row<'a>>, usize) {
        let mut rows: Vec<Row<'a>> = Vec::new();
        let mut ordinary = 0;
        for entry in entries {
            if !self.wide && is_ordinary(&entry.fact) {
                ordinary += 1;
                continue;
            }
            let fits = |row: &&mut Row<'_>| entry.at.duration_since(row.first.at) <= AT_ONCE && alike(row.first, entry);
            // Those of one moment are near the end; what came long before is not gone through.
            let recent = rows.iter_mut().rev().take_while(|row| entry.at.duration_since(row.first.at) <= AT_ONCE);
            match recent.filter(|_| !self.wide).find(fits) {
                Some(row) => row.add(entry),
                None => rows.push(Row { first: entry, others: 0, common: None }),
            }
        }
        (rows, ordinary)
    }

    fn lines(&self, out: &mut String, rows: &[Row<'_>]) {
        let about = |row: &Row<'_>| {
            let more = if row.others > 0 { format!(" +{}", row.others) } else { String::new() };
            clean_line(&format!("{}{more}", past::subject(row.first)))
        };
        let time = |at: Timestamp| self.when.clock(at);
        let zone = format!("TIME ({})", self.when.zone());
        let mut cells: Vec<[String; 3]> = vec![[zone, "WHAT".to_owned(), "OBJECT".to_owned()]];
        cells.extend(rows.iter().map(|row| [time(row.first.at), clean_line(row.first.fact.word()), about(row)]));
        let widths = [0, 1, 2].map(|at| cells.iter().map(|row| row[at].chars().count()).max().unwrap_or(0));
        let used: usize = widths.iter().map(|width| width + 2).sum();
        let texts = std::iter::once((Style::Muted, "HAPPENED".to_owned()))
            .chain(rows.iter().map(|row| (style(row.first), clean_line(&row.sentence()))));
        for (at, (row, (style, text))) in cells.iter().zip(texts).enumerate() {
            let plain = if at == 0 { Style::Muted } else { Style::Plain };
            for (cell, width) in row.iter().zip(widths) {
                let _ = write!(out, "{}  ", self.paint.with(plain, &format!("{cell:<width$}")));
            }
            let room = self.room.map(|room| room.saturating_sub(used).max(LEAST));
            let text = room.map_or(text.clone(), |room| shorten(&text, room).into_owned());
            let _ = writeln!(out, "{}", self.paint.with(style, text.trim_end()));
        }
    }

    fn section(&self, out: &mut String, name: &str, items: &[String]) {
        let mut head = name;
        for item in items {
            for line in wrap(&clean_line(item), self.width.saturating_sub(MARGIN).max(LEAST)).lines() {
                let _ = writeln!(out, "{}{line}", self.paint.with(Style::Strong, &format!("{head:<MARGIN$}")));
                head = "";
            }
        }
    }
}

/// Whether this is a part of a pod's coming and going that its phases tell.
fn is_ordinary(fact: &Fact) -> bool {
    match fact {
        Fact::Event(event) => {
            let stopped = event.reason == "Killing" && event.message.starts_with("Stopping container");
            !event.warning && (ORDINARY.contains(&event.reason.as_str()) || stopped)
        }
        _ => false,
    }
}

/// Whether two entries are of one workload and say the same.
fn alike(one: &Entry, other: &Entry) -> bool {
    one.workload.is_some()
        && one.workload == other.workload
        && match (&one.fact, &other.fact) {
            (Fact::Phase(a), Fact::Phase(b)) => (a.to, &a.reason) == (b.to, &b.reason),
            (Fact::Event(a), Fact::Event(b)) => (&a.reason, a.warning) == (&b.reason, b.warning),
            (Fact::Death(a), Fact::Death(b)) => {
                (&a.container, &a.reason, a.exit_code) == (&b.container, &b.reason, b.exit_code)
            }
            _ => false,
        }
}

fn style(entry: &Entry) -> Style {
    match &entry.fact {
        Fact::Rollout(rollout) => match rollout.state {
            RolloutState::Started => Style::Accent,
            RolloutState::RolledBack => Style::Warning,
            RolloutState::Done => Style::Good,
            RolloutState::Failed => Style::Critical,
        },
        Fact::Change(_) | Fact::Release(_) | Fact::Sync(_) | Fact::Mark(_) => Style::Accent,
        Fact::Death(_) => Style::Critical,
        Fact::Phase(turn) => match turn.to {
            Phase::Ready | Phase::Succeeded => Style::Good,
            Phase::NotReady => Style::Warning,
            Phase::Failed => Style::Critical,
            Phase::Pending | Phase::Starting | Phase::Terminating | Phase::Deleted => Style::Plain,
        },
        Fact::Node(turn) => match turn.status.as_deref() {
            None => Style::Plain,
            Some(status) if (turn.what == "Ready") == (status == "True") => Style::Good,
            Some(_) => Style::Critical,
        },
        Fact::Event(event) if event.warning => Style::Warning,
        Fact::Problem(turn) => match (turn.turn, turn.severity) {
            (Turn::Closed, _) => Style::Good,
            (_, Severity::Critical) => Style::Critical,
            (_, Severity::Warning) => Style::Warning,
            (_, Severity::Info) => Style::Accent,
        },
        Fact::Seen(_) | Fact::Event(_) | Fact::Unseen(_) | Fact::Summary(_) | Fact::Unknown(_) => Style::Plain,
    }
}

/// What to ask next: why, where something is wrong; else what the last rollout changed.
fn next(timeline: &Timeline) -> Option<String> {
    let is_open = |entry: &Entry| matches!(&entry.fact, Fact::Problem(turn) if turn.turn != Turn::Closed);
    if timeline.entries.iter().any(is_open) {
        let scope = &timeline.scope;
        return match (&scope.kind, &scope.name, &scope.namespace) {
            (Some(kind), Some(name), namespace) => words(kind, name, namespace.as_ref()).map(|it| format!("why {it}")),
            (_, _, Some(namespace)) => words("namespace", namespace, None).map(|it| format!("why {it}")),
            _ => None,
        };
    }
    timeline.entries.iter().rev().find_map(|entry| match &entry.fact {
        Fact::Rollout(rollout) => {
            let from = rollout.from.as_ref()?;
            let subject = &entry.subject;
            let of = words(subject.kind.name(), &subject.name, subject.namespace.as_ref())?;
            Some(format!("diff {of} --rev {from}..{}", rollout.to))
        }
        _ => None,
    })
}

/// An object on the command line; `None` for what no name holds.
fn words(kind: &str, name: &str, namespace: Option<&String>) -> Option<String> {
    let namespace = namespace.map(|it| format!(" -n {}", kubectl::word(it))).unwrap_or_default();
    let words = format!("{}{namespace}", kubectl::word(&format!("{}/{name}", kind.to_lowercase())));
    (clean_line(&words) == words).then_some(words)
}
