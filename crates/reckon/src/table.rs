//! The answer to `problems`: a table where there is room for one, else two lines and more for each.

use crate::human::{Page, failure, glyph, indent, named, place, severity, style_of, target, verdict};
use crate::style::{Style, wrap};
use reckon_model::document::{Cause, Problem, ProblemList};
use reckon_model::text::{clean_line, shorten};
use std::fmt::Write;

/// Less room than this beside its row says nothing of a cause.
const CAUSE_ROOM: usize = 48;

impl Page<'_> {
    /// The answer to `problems`, problems of one cause side by side.
    pub(crate) fn problems(&self, list: &ProblemList, wide: bool) -> String {
        if list.problems.is_empty() {
            return self.quiet(list);
        }
        let problems = by_cause(&list.problems);
        let table = self.table(&problems, wide);
        let mut out = match table {
            Some(table) => table,
            None => self.entries(&problems),
        };
        out.push('\n');
        self.looked(&mut out, list);
        if let Some(first) = problems.first() {
            let _ = writeln!(out, "next: {} why {}{}", self.program, target(first), self.again.reckon);
        }
        out
    }

    /// A row for each; `None` where a terminal has no room for the causes.
    fn table(&self, problems: &[&Problem], wide: bool) -> Option<String> {
        let mut titles = vec!["SEVERITY", "WORKLOAD", "FAILURE", "VERDICT", "SINCE", "ID"];
        if wide {
            titles.extend(["KIND", "CONTAINER", "PODS", "ROOT"]);
        }
        let narrow = titles.len();
        let mut rows = vec![titles.into_iter().chain(["CAUSE"]).map(str::to_owned).collect::<Vec<_>>()];
        let mut above: Option<&Cause> = None;
        for problem in problems {
            let repeated = above.is_some_and(|above| same_root(above, &problem.cause));
            let mut cause =
                if repeated && !wide { "″ the same".to_owned() } else { clean_line(&problem.cause.sentence) };
            if let Some(suffers) = problem.impact.sentence.as_ref().filter(|_| wide && problem.closed.is_none()) {
                cause.push(' ');
                cause.push_str(&clean_line(suffers));
            }
            let mut row = self.row(problem, wide);
            row.push(cause);
            rows.push(row);
            above = Some(&problem.cause);
        }
        let widths: Vec<usize> =
            (0..narrow).map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0)).collect();
        let used: usize = widths.iter().map(|width| width + 2).sum();
        // What goes into a pipe is not cut to a terminal's width.
        let cut = self.terminal && !wide;
        let room = self.width.saturating_sub(used);
        if cut && room < CAUSE_ROOM {
            return None;
        }
        let mut out = String::new();
        for (at, row) in rows.iter().enumerate() {
            let mut line = String::new();
            for (column, width) in widths.iter().enumerate() {
                let cell = format!("{:<width$}", row[column]);
                let style = match (column, at) {
                    (_, 0) => Style::Muted,
                    (0, at) => style_of(problems[at - 1].severity),
                    _ => Style::Plain,
                };
                let _ = write!(line, "{}  ", self.paint.with(style, &cell));
            }
            let cause = &row[narrow];
            let cause = if cut { shorten(cause, room) } else { cause.into() };
            let _ = writeln!(out, "{}", format!("{line}{cause}").trim_end());
        }
        Some(out)
    }

    /// Each on a line of its own, its cause below.
    fn entries(&self, problems: &[&Problem]) -> String {
        let mut out = String::new();
        let mut above: Option<&Cause> = None;
        for problem in problems {
            let head = mark(problem);
            let subject = &problem.subject;
            let container = subject.container.as_ref().map(|name| format!("[{name}]")).unwrap_or_default();
            let whose = clean_line(&format!("{}{container}", place(&subject.reference)));
            let head = self.paint.with(style_of(problem.severity), &head);
            let _ = writeln!(
                out,
                "{head}  {}  {}  {}",
                self.paint.with(Style::Strong, &whose),
                failure(problem),
                self.since(problem)
            );
            let repeated = above.is_some_and(|above| same_root(above, &problem.cause));
            let cause = if repeated { "″ the same".to_owned() } else { clean_line(&problem.cause.sentence) };
            let text = format!("{} ({})  {cause}", verdict(problem.verdict), problem.id);
            let _ = writeln!(out, "{}", indent(&wrap(&text, self.width.saturating_sub(4)), 4));
            above = Some(&problem.cause);
        }
        out
    }

    fn since(&self, problem: &Problem) -> String {
        match problem.closed {
            Some(_) => "closed".to_owned(),
            None => problem.opened.map(|at| self.when.age(at)).unwrap_or_default(),
        }
    }

    /// The cells of a row but the last.
    fn row(&self, problem: &Problem, wide: bool) -> Vec<String> {
        let subject = &problem.subject;
        let container = subject.container.as_ref().map(|name| format!("[{name}]")).unwrap_or_default();
        let mut row = vec![
            mark(problem),
            clean_line(&format!("{}{container}", place(&subject.reference))),
            if wide { failure(problem) } else { problem.failure.clone() },
            verdict(problem.verdict).to_owned(),
            self.since(problem),
            problem.id.clone(),
        ];
        if wide {
            let pods = &problem.impact.pods;
            row.extend([
                clean_line(&subject.reference.kind),
                clean_line(&match (&subject.container, &subject.container_type) {
                    (Some(name), Some(kind)) => format!("{name} ({kind})"),
                    (name, _) => name.clone().unwrap_or_default(),
                }),
                if pods.of > 0 { format!("{}/{}", pods.affected, pods.of) } else { String::new() },
                clean_line(&problem.cause.reference.as_ref().map(named).unwrap_or_default()),
            ]);
        }
        row
    }
}

/// How bad, or that it is over.
fn mark(problem: &Problem) -> String {
    match problem.closed {
        Some(_) => "✔ closed".to_owned(),
        None => format!("{} {}", glyph(problem.severity), severity(problem.severity)),
    }
}

/// Problems in their order, those with the cause of an earlier one right after it.
fn by_cause(problems: &[Problem]) -> Vec<&Problem> {
    let mut ordered: Vec<&Problem> = Vec::with_capacity(problems.len());
    for problem in problems {
        let after = ordered.iter().rposition(|before| same_root(&before.cause, &problem.cause));
        ordered.insert(after.map_or(ordered.len(), |at| at + 1), problem);
    }
    ordered
}

/// Whether two causes are one thing to touch.
fn same_root(one: &Cause, other: &Cause) -> bool {
    one.reference.is_some() && one.reference == other.reference && one.pointer == other.pointer
}
