//! A document for people: the verdict first, every sentence with its evidence.

mod connected;

use crate::again::Again;
use crate::remedy;
use crate::style::{Paint, Style, wrap};
use crate::when::When;
use reckon_model::document::{
    Answer, Cause, Evidence, Problem, ProblemList, Ref, Remedy, Role, Severity, Source, Verdict,
};
use reckon_model::kubectl;
use reckon_model::text::{clean_line, count, enumerate, shorten};
use std::fmt::Write;

/// Width of the column of section names.
const MARGIN: usize = 13;

/// How a document is written.
pub(crate) struct Page<'a> {
    pub(crate) paint: Paint,
    pub(crate) width: usize,
    /// Whether it is a terminal's width: what goes into a pipe is not cut to it.
    pub(crate) terminal: bool,
    pub(crate) when: When,
    /// How the program was called, for the next command.
    pub(crate) program: &'a str,
    /// What the next command needs to read the same.
    pub(crate) again: &'a Again,
    /// Whether what was considered as the cause is told as well.
    pub(crate) verbose: bool,
}

impl Page<'_> {
    /// The answer to `why`.
    pub(crate) fn why(&self, list: &ProblemList) -> String {
        let mut out = String::new();
        if list.problems.is_empty() {
            return self.quiet(list);
        }
        for (at, problem) in list.problems.iter().enumerate() {
            if at > 0 {
                out.push('\n');
            }
            self.problem(&mut out, problem);
        }
        self.connected(&mut out, list);
        self.looked(&mut out, list);
        if let Some(first) = list.problems.first() {
            let _ = writeln!(out, "next: {} explain {}", self.program, first.failure);
        }
        out
    }

    /// The answer where there is no problem: in a sentence, with what was looked at.
    pub(crate) fn quiet(&self, list: &ProblemList) -> String {
        let (glyph, style) = match list.answer {
            Answer::NoFault => ("✔", Style::Good),
            Answer::Undetermined | Answer::Problem => ("▲", Style::Warning),
            Answer::InProgress => ("◆", Style::Accent),
            Answer::Intentional => ("○", Style::Accent),
        };
        let mut out = format!("{} {}\n", self.paint.with(style, glyph), clean_line(&list.sentence));
        self.connected(&mut out, list);
        self.looked(&mut out, list);
        out
    }

    fn problem(&self, out: &mut String, problem: &Problem) {
        let style = style_of(problem.severity);
        let subject = &problem.subject;
        let place = place(&subject.reference);
        let container = subject.container.as_ref().map(|name| format!("  container {name}")).unwrap_or_default();
        let since = problem.opened.map(|at| format!("  since {}", self.when.full(at))).unwrap_or_default();
        let (head, style) = match problem.closed {
            Some(_) => ("✔ CLOSED".to_owned(), Style::Good),
            None => (format!("{} {}", glyph(problem.severity), severity(problem.severity).to_uppercase()), style),
        };
        let _ = writeln!(
            out,
            "{}  {}{}  {}{}  problem {}",
            self.paint.with(style, &head),
            self.paint.with(Style::Strong, &clean_line(&place)),
            clean_line(&container),
            failure(problem),
            since,
            problem.id
        );
        let _ = writeln!(out, "{}", indent(&wrap(&clean_line(&problem.title), self.width.saturating_sub(2)), 2));
        if let Some(suffers) = problem.impact.sentence.as_ref().filter(|_| problem.closed.is_none()) {
            let _ = writeln!(out, "{}", indent(&wrap(&clean_line(suffers), self.width.saturating_sub(2)), 2));
        }
        if let Some(reason) = &problem.closed_reason {
            let _ = writeln!(out, "  {}", self.paint.with(Style::Good, &format!("closed: {}", clean_line(reason))));
        }
        let _ = writeln!(out, "{}", self.paint.with(Style::Strong, &format!("CAUSE ({})", verdict(problem.verdict))));
        let _ =
            writeln!(out, "{}", indent(&wrap(&clean_line(&problem.cause.sentence), self.width.saturating_sub(2)), 2));
        if let Some(change) = self.change(&problem.cause) {
            let _ = writeln!(out, "{}", indent(&wrap(&change, self.width.saturating_sub(2)), 2));
        }
        for alternative in &problem.alternatives {
            // What is sure as well is no other cause but a second one.
            let lead = if alternative.verdict == Verdict::Confirmed { "and" } else { "or" };
            let text = format!("{lead} ({}): {}", verdict(alternative.verdict), clean_line(&alternative.sentence));
            let _ = writeln!(out, "{}", indent(&wrap(&text, self.width.saturating_sub(2)), 2));
        }
        if !problem.evidence.is_empty() {
            let _ = writeln!(out, "{}", self.paint.with(Style::Strong, &format!("EVIDENCE ({})", self.when.zone())));
            let times = problem.evidence.iter().filter_map(|evidence| evidence.at).map(|at| self.when.clock(at).len());
            let width = times.max().unwrap_or(0);
            for evidence in &problem.evidence {
                self.evidence(out, evidence, width);
            }
        }
        let ruled: Vec<String> = problem
            .ruled_out
            .iter()
            .map(|ruled| format!("{} ({})", clean_line(&ruled.what), ruled.because.join(", ")))
            .collect();
        self.section(out, "RULED OUT", &ruled);
        if self.verbose {
            self.considered(out, problem);
        }
        let gaps: Vec<String> = problem
            .not_checked
            .iter()
            .map(|gap| format!("{}: {}", clean_line(&gap.what), clean_line(&gap.why)))
            .collect();
        self.section(out, "NOT CHECKED", &gaps);
        self.section(out, "IMPACT", &impact(problem));
        for remedy in problem.remedies.iter().filter(|_| problem.closed.is_none()) {
            self.remedy(out, remedy, problem);
        }
        self.show(out, problem);
    }

    /// Where the decisive fact is to be seen, where the best remedy is nothing that can be carried out from here.
    fn show(&self, out: &mut String, problem: &Problem) {
        let flags = &self.again.kubectl;
        let by_hand = |remedy: &Remedy| self.fix(remedy, problem).is_some() || remedy::command(remedy, flags).is_some();
        let told = problem.closed.is_some() || problem.remedies.first().is_some_and(by_hand);
        let looked_at = || problem.show.as_ref().filter(|_| !told)?.command(flags);
        let Some(command) = problem.show_command(flags).or_else(looked_at) else { return };
        let cited = problem.show.as_ref().and_then(|show| show.evidence.as_ref());
        let cited = cited.map(|id| format!(" ({id})")).unwrap_or_default();
        let _ = writeln!(out, "{}", self.paint.with(Style::Strong, &format!("SHOW{cited}")));
        let _ = writeln!(out, "  {command}");
    }

    fn evidence(&self, out: &mut String, evidence: &Evidence, time_width: usize) {
        let time = evidence.at.map(|at| self.when.clock(at)).unwrap_or_default();
        let lead = format!("  {:<3} {time:<time_width$}  {:<9} ", evidence.id, source(evidence.source));
        let width = self.width.saturating_sub(lead.chars().count()).max(30);
        let text = wrap(&clean_line(&evidence.text), width);
        let style = if evidence.role == Role::Cause { Style::Accent } else { Style::Plain };
        let mut lines = text.lines();
        let _ = writeln!(out, "{lead}{}", self.paint.with(style, lines.next().unwrap_or("")));
        for line in lines {
            let _ = writeln!(out, "{}{}", " ".repeat(lead.chars().count()), self.paint.with(style, line));
        }
    }

    /// What might have been the cause, a line each, and below it why it is not.
    fn considered(&self, out: &mut String, problem: &Problem) {
        let _ = writeln!(out, "{}", self.paint.with(Style::Strong, "CONSIDERED"));
        if problem.considered.is_empty() {
            let _ = writeln!(out, "  no other change and no other problem near by is known");
        }
        for candidate in &problem.considered {
            let width = self.width.saturating_sub(4);
            let _ = writeln!(out, "{}", indent(&wrap(&clean_line(&candidate.what), width), 2));
            let _ = writeln!(out, "{}", indent(&wrap(&format!("✗ {}", clean_line(&candidate.because)), width), 4));
        }
    }

    fn section(&self, out: &mut String, name: &str, items: &[String]) {
        if items.is_empty() {
            return;
        }
        let text = wrap(&items.join(" · "), self.width.saturating_sub(MARGIN).max(30));
        for (at, line) in text.lines().enumerate() {
            let lead =
                if at == 0 { self.paint.with(Style::Strong, &format!("{name:<MARGIN$}")) } else { " ".repeat(MARGIN) };
            let _ = writeln!(out, "{lead}{line}");
        }
    }

    fn remedy(&self, out: &mut String, remedy: &Remedy, problem: &Problem) {
        const UNDER: usize = 7;
        let head = format!("FIX {}", remedy.option);
        let text = wrap(&clean_line(&remedy.sentence), self.width.saturating_sub(UNDER).max(30));
        for (at, line) in text.lines().enumerate() {
            let lead =
                if at == 0 { self.paint.with(Style::Strong, &format!("{head:<UNDER$}")) } else { " ".repeat(UNDER) };
            let _ = writeln!(out, "{lead}{line}");
        }
        if let Some(owner) = &remedy.managed_by {
            let owner = clean_line(owner);
            let _ = writeln!(out, "  owner: {owner}; change it there first, a live patch would be reverted");
        }
        for line in remedy::lines(remedy, &problem.cause) {
            let style = if line.starts_with('-') { Style::Critical } else { Style::Good };
            let _ = writeln!(out, "  {}", self.paint.with(style, &line));
        }
        if let Some(requires) = &remedy.requires {
            let namespace = remedy.reference.as_ref().and_then(|reference| reference.namespace.as_ref());
            let scope = namespace.map(|namespace| format!(" in {namespace}")).unwrap_or_default();
            let right = clean_line(&format!("{} {}{scope}", requires.verb, requires.resource));
            let line = match remedy.allowed {
                Some(true) => format!("you may {right}"),
                Some(false) => self.paint.with(Style::Warning, &format!("missing: {right}")),
                None => format!("needs {right}"),
            };
            let _ = writeln!(out, "  {line}");
        }
        let fix = self.fix(remedy, problem);
        if let Some(fix) = &fix {
            let _ = writeln!(out, "  next: {fix}");
        }
        if let Some(command) = remedy::command(remedy, &self.again.kubectl) {
            let _ = writeln!(out, "  {} {command}", if fix.is_some() { "or:  " } else { "next:" });
        }
    }

    /// The command that shows what a remedy would change, and then makes the change.
    fn fix(&self, remedy: &Remedy, problem: &Problem) -> Option<String> {
        if !self.again.is_live || remedy.allowed == Some(false) || !remedy.can_be_carried_out() {
            return None;
        }
        let place = match &problem.subject.reference.namespace {
            Some(namespace) => format!("-n {}", kubectl::word(namespace)),
            None => "-A".to_owned(),
        };
        let Page { program, again, .. } = self;
        let command = format!("{program} fix {} --option {} {place}{}", problem.id, remedy.option, again.reckon);
        (clean_line(&command) == command).then_some(command)
    }

    /// What the cause changed, where it is a field: `image  shop:1 → shop:2  at 13:58:04 by kubectl-edit`.
    fn change(&self, cause: &Cause) -> Option<String> {
        let field = cause.field.as_ref()?;
        let value = |value: &Option<serde_json::Value>| match value {
            None => "(none)".to_owned(),
            Some(serde_json::Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        };
        // The sentence mostly says it in better words.
        let said = |part: &Option<serde_json::Value>| part.is_none() || cause.sentence.contains(&value(part));
        if said(&cause.from) && said(&cause.to) {
            return None;
        }
        let mut text = match (&cause.from, &cause.to) {
            (None, to) if cause.at.is_none() => format!("{field}: {}", value(to)),
            (from, to) => format!("{field}: {} → {}", value(from), value(to)),
        };
        if let Some(at) = cause.at {
            text.push_str(&format!(", at {}", self.when.clock(at)));
        }
        if let Some(actor) = &cause.actor {
            text.push_str(&format!(", by {}", actor.user.as_ref().unwrap_or(&actor.manager)));
        }
        Some(shorten(&clean_line(&text), 4 * self.width).into_owned())
    }

    pub(crate) fn looked(&self, out: &mut String, list: &ProblemList) {
        if list.problems.is_empty() && !list.looked.is_empty() {
            self.section(out, "LOOKED AT", &[clean_line(&list.looked.join(", "))]);
        }
        let gaps: Vec<String> =
            list.not_checked.iter().map(|gap| format!("{}: {}", clean_line(&gap.what), clean_line(&gap.why))).collect();
        self.section(out, "NOT CHECKED", &gaps);
    }
}

fn impact(problem: &Problem) -> Vec<String> {
    let impact = &problem.impact;
    let names =
        |refs: &[reckon_model::document::Ref]| -> Vec<String> { refs.iter().map(|r| clean_line(&r.name)).collect() };
    let mut parts = Vec::new();
    if impact.pods.of > 0 {
        parts.push(format!("{}/{} pods", impact.pods.affected, impact.pods.of));
    }
    if !impact.services.is_empty() {
        parts.push(format!("Service {}", enumerate(&names(&impact.services))));
    }
    if !impact.routes.is_empty() {
        let kinds = |r: &Ref| format!("{} {}", r.kind, clean_line(&r.name));
        parts.push(format!("reached by {}", enumerate(&impact.routes.iter().map(kinds).collect::<Vec<_>>())));
    }
    if !impact.callers.is_empty() {
        parts.push(format!("called by {}", enumerate(&names(&impact.callers))));
    }
    if !impact.workloads.is_empty() {
        parts.push(format!("also {}", enumerate(&names(&impact.workloads))));
    }
    if !problem.symptoms.is_empty() {
        let shown: Vec<String> = problem
            .symptoms
            .iter()
            .map(|symptom| {
                format!(
                    "{} on {}/{}",
                    symptom.failure,
                    symptom.reference.kind.to_lowercase(),
                    clean_line(&symptom.reference.name)
                )
            })
            .collect();
        parts.push(format!("{}: {}", count(shown.len(), "symptom"), enumerate(&shown)));
    }
    parts
}

pub(crate) fn target(problem: &Problem) -> String {
    let subject = &problem.subject.reference;
    let namespace = subject.namespace.as_ref().map(|namespace| format!(" -n {}", kubectl::word(namespace)));
    clean_line(&format!("{}{}", kubectl::word(&named(subject)), namespace.unwrap_or_default()))
}

/// `deployment.apps/checkout`, as `kubectl -o name` writes it.
pub(crate) fn name(problem: &Problem) -> String {
    let subject = &problem.subject.reference;
    let group = subject.api_version.split_once('/').map(|(group, _)| format!(".{group}")).unwrap_or_default();
    clean_line(&format!("{}{group}/{}", subject.kind.to_lowercase(), subject.name))
}

/// `deployment/checkout`.
pub(crate) fn named(reference: &Ref) -> String {
    format!("{}/{}", reference.kind.to_lowercase(), reference.name)
}

/// `shop/checkout`, or `node/n1` for what lives in no namespace.
pub(crate) fn place(reference: &Ref) -> String {
    match &reference.namespace {
        Some(namespace) => format!("{namespace}/{}", reference.name),
        None => named(reference),
    }
}

pub(crate) fn failure(problem: &Problem) -> String {
    match &problem.class {
        Some(class) => format!("{} ({class})", problem.failure),
        None => problem.failure.clone(),
    }
}

pub(crate) fn indent(text: &str, by: usize) -> String {
    text.lines().map(|line| format!("{}{line}", " ".repeat(by))).collect::<Vec<_>>().join("\n")
}

/// The severity's shape.
pub(crate) fn glyph(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "✖",
        Severity::Warning => "▲",
        Severity::Info => "●",
    }
}

/// The severity's colour.
pub(crate) fn style_of(severity: Severity) -> Style {
    match severity {
        Severity::Critical => Style::Critical,
        Severity::Warning => Style::Warning,
        Severity::Info => Style::Accent,
    }
}

/// The severity's word.
pub(crate) fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "critical",
        Severity::Warning => "warning",
        Severity::Info => "info",
    }
}

pub(crate) fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Confirmed => "confirmed",
        Verdict::Likely => "likely",
        Verdict::Possible => "possible",
        Verdict::Unknown => "unknown",
    }
}

fn source(source: Source) -> &'static str {
    match source {
        Source::Change => "change",
        Source::Status => "status",
        Source::Condition => "condition",
        Source::Spec => "spec",
        Source::Event => "event",
        Source::Log => "log",
        Source::Metric => "metric",
        Source::Node => "node",
        Source::Kernel => "kernel",
        Source::Absence => "absence",
    }
}

#[cfg(test)]
mod tests;
