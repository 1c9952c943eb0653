//! A document for people: the verdict first, every sentence with its evidence.

use crate::style::{Paint, Style, wrap};
use crate::when::When;
use reckon_model::document::{Answer, Evidence, Problem, ProblemList, Remedy, Role, Severity, Source, Verdict};
use reckon_model::text::{clean_line, count, enumerate, shorten};
use std::fmt::Write;

/// Width of the column of section names.
const MARGIN: usize = 13;

/// How a document is written.
pub(crate) struct Page<'a> {
    pub(crate) paint: Paint,
    pub(crate) width: usize,
    pub(crate) when: When,
    /// How the program was called, for the next command.
    pub(crate) program: &'a str,
}

impl Page<'_> {
    /// The answer to `why`.
    pub(crate) fn why(&self, list: &ProblemList) -> String {
        let mut out = String::new();
        if list.problems.is_empty() {
            let (glyph, style) = match list.answer {
                Answer::NoFault => ("✔", Style::Good),
                Answer::Undetermined | Answer::Problem => ("▲", Style::Warning),
                Answer::InProgress | Answer::Intentional => ("●", Style::Accent),
            };
            let _ = writeln!(out, "{} {}", self.paint.with(style, glyph), clean_line(&list.sentence));
            self.looked(&mut out, list);
            return out;
        }
        for (at, problem) in list.problems.iter().enumerate() {
            if at > 0 {
                out.push('\n');
            }
            self.problem(&mut out, problem);
        }
        self.looked(&mut out, list);
        out
    }

    /// The answer to `problems`.
    pub(crate) fn problems(&self, list: &ProblemList, wide: bool) -> String {
        let mut out = String::new();
        if list.problems.is_empty() {
            let _ = writeln!(out, "{} {}", self.paint.with(Style::Good, "✔"), clean_line(&list.sentence));
            self.looked(&mut out, list);
            return out;
        }
        let mut rows = vec![["SEVERITY", "WORKLOAD", "FAILURE", "VERDICT", "SINCE", "ID", "WHY"].map(str::to_owned)];
        for problem in &list.problems {
            let subject = &problem.subject.reference;
            let place = match &subject.namespace {
                Some(namespace) => format!("{namespace}/{}", subject.name),
                None => format!("{}/{}", subject.kind.to_lowercase(), subject.name),
            };
            let container = problem.subject.container.as_ref().map(|name| format!("[{name}]")).unwrap_or_default();
            let since = match problem.closed {
                Some(_) => "closed".to_owned(),
                None => problem.opened.map(|at| self.when.age(at)).unwrap_or_default(),
            };
            rows.push([
                format!("{} {}", glyph(problem.severity), severity(problem.severity)),
                clean_line(&format!("{place}{container}")),
                problem.failure.clone(),
                verdict(problem.verdict).to_owned(),
                since,
                problem.id.clone(),
                clean_line(&problem.cause.sentence),
            ]);
        }
        let widths: Vec<usize> =
            (0..6).map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0)).collect();
        let used: usize = widths.iter().map(|width| width + 2).sum();
        for (at, row) in rows.iter().enumerate() {
            let mut line = String::new();
            for (column, width) in widths.iter().enumerate() {
                let cell = format!("{:<width$}", row[column]);
                let style = (column == 0 && at > 0).then(|| style_of(list.problems[at - 1].severity));
                let _ = write!(line, "{}  ", style.map_or(cell.clone(), |style| self.paint.with(style, &cell)));
            }
            let why = if wide {
                row[6].clone()
            } else {
                shorten(&row[6], self.width.saturating_sub(used).max(24)).into_owned()
            };
            let _ = writeln!(out, "{}", format!("{line}{why}").trim_end());
        }
        let _ = writeln!(out, "\nnext: {} why {}", self.program, target(&list.problems[0]));
        self.looked(&mut out, list);
        out
    }

    fn problem(&self, out: &mut String, problem: &Problem) {
        let style = style_of(problem.severity);
        let subject = &problem.subject;
        let place = match &subject.reference.namespace {
            Some(namespace) => format!("{namespace}/{}", subject.reference.name),
            None => subject.reference.name.clone(),
        };
        let container = subject.container.as_ref().map(|name| format!("  container {name}")).unwrap_or_default();
        let since = problem.opened.map(|at| format!("  since {}", self.when.full(at))).unwrap_or_default();
        let head = format!("{} {}", glyph(problem.severity), severity(problem.severity).to_uppercase());
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
        if let Some(reason) = &problem.closed_reason {
            let _ = writeln!(out, "  {}", self.paint.with(Style::Good, &format!("closed: {}", clean_line(reason))));
        }
        let _ = writeln!(out, "{}", self.paint.with(Style::Strong, &format!("CAUSE ({})", verdict(problem.verdict))));
        let _ =
            writeln!(out, "{}", indent(&wrap(&clean_line(&problem.cause.sentence), self.width.saturating_sub(2)), 2));
        for alternative in &problem.alternatives {
            let text = format!("or ({}): {}", verdict(alternative.verdict), clean_line(&alternative.sentence));
            let _ = writeln!(out, "{}", indent(&wrap(&text, self.width.saturating_sub(2)), 2));
        }
        if !problem.evidence.is_empty() {
            let _ = writeln!(out, "{}", self.paint.with(Style::Strong, "EVIDENCE"));
            for evidence in &problem.evidence {
                self.evidence(out, evidence);
            }
        }
        let ruled: Vec<String> = problem
            .ruled_out
            .iter()
            .map(|ruled| format!("{} ({})", clean_line(&ruled.what), ruled.because.join(", ")))
            .collect();
        self.section(out, "RULED OUT", &ruled);
        let gaps: Vec<String> = problem
            .not_checked
            .iter()
            .map(|gap| format!("{}: {}", clean_line(&gap.what), clean_line(&gap.why)))
            .collect();
        self.section(out, "NOT CHECKED", &gaps);
        self.section(out, "IMPACT", &impact(problem));
        for remedy in &problem.remedies {
            self.remedy(out, remedy);
        }
        let _ = writeln!(out, "  next: {} explain {}", self.program, problem.failure);
    }

    fn evidence(&self, out: &mut String, evidence: &Evidence) {
        let time = evidence.at.map_or_else(|| " ".repeat(8), |at| self.when.clock(at));
        let lead = format!("  {:<3} {time}  {:<9} ", evidence.id, source(evidence.source));
        let width = self.width.saturating_sub(lead.chars().count()).max(30);
        let text = wrap(&clean_line(&evidence.text), width);
        let style = if evidence.role == Role::Cause { Style::Accent } else { Style::Plain };
        let mut lines = text.lines();
        let _ = writeln!(out, "{lead}{}", self.paint.with(style, lines.next().unwrap_or("")));
        for line in lines {
            let _ = writeln!(out, "{}{}", " ".repeat(lead.chars().count()), self.paint.with(style, line));
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

    fn remedy(&self, out: &mut String, remedy: &Remedy) {
        let head = format!("FIX {}", remedy.option);
        let text = wrap(&clean_line(&remedy.sentence), self.width.saturating_sub(MARGIN).max(30));
        for (at, line) in text.lines().enumerate() {
            let lead = if at == 0 { self.paint.with(Style::Strong, &format!("{head:<7}")) } else { " ".repeat(7) };
            let _ = writeln!(out, "{lead}{line}");
        }
        if let Some(owner) = &remedy.managed_by {
            let _ = writeln!(out, "       owner: {owner}; change it there first, a live patch will be reverted");
        }
        if let Some(command) = command(remedy) {
            let _ = writeln!(out, "       {}", self.paint.with(Style::Muted, &command));
        }
        if remedy.allowed == Some(false)
            && let Some(requires) = &remedy.requires
        {
            let _ = writeln!(out, "       missing: {} {}", requires.verb, requires.resource);
        }
    }

    fn looked(&self, out: &mut String, list: &ProblemList) {
        if list.problems.is_empty() && !list.looked.is_empty() {
            self.section(out, "LOOKED AT", &[list.looked.join(", ")]);
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

/// A remedy as a command that people can run today.
fn command(remedy: &Remedy) -> Option<String> {
    let reference = remedy.reference.as_ref()?;
    let patch = remedy.patch.as_ref()?;
    let namespace = reference.namespace.as_ref().map(|namespace| format!(" -n {namespace}")).unwrap_or_default();
    let kind = reference.kind.to_lowercase();
    let patch_type = match remedy.patch_type.as_deref() {
        Some("merge") => " --type merge",
        Some("json") => " --type json",
        _ => "",
    };
    Some(clean_line(&format!(
        "kubectl patch {kind}/{}{namespace}{patch_type} -p {}",
        shell_word(&reference.name),
        shell_word(&patch.to_string())
    )))
}

/// As one word of a shell.
pub(crate) fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

fn target(problem: &Problem) -> String {
    let subject = &problem.subject.reference;
    let namespace =
        subject.namespace.as_ref().map(|namespace| format!(" -n {}", clean_line(namespace))).unwrap_or_default();
    format!("{}/{}{namespace}", subject.kind.to_lowercase(), clean_line(&subject.name))
}

fn failure(problem: &Problem) -> String {
    match &problem.class {
        Some(class) => format!("{} ({class})", problem.failure),
        None => problem.failure.clone(),
    }
}

fn indent(text: &str, by: usize) -> String {
    text.lines().map(|line| format!("{}{line}", " ".repeat(by))).collect::<Vec<_>>().join("\n")
}

fn glyph(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "✖",
        Severity::Warning => "▲",
        Severity::Info => "●",
    }
}

fn style_of(severity: Severity) -> Style {
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

fn verdict(verdict: Verdict) -> &'static str {
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
