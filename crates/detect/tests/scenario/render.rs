//! A diagnosis as the text that pages expect.

use jiff::Timestamp;
use reckon_detect::Diagnosis;
use reckon_model::document::{Problem, Ref};
use reckon_model::duration;
use serde::Serialize;
use std::fmt::Write;

/// All problems, or that there are none.
pub(crate) fn diagnosis(diagnosis: &Diagnosis, start: Timestamp) -> String {
    if diagnosis.problems.is_empty() {
        return "no problems\n".to_owned();
    }
    diagnosis.problems.iter().map(|found| problem(found, start)).collect()
}

/// The answer about one object in a word and a sentence, and what was considered as the cause of its problems.
pub(crate) fn answer(target: &str, diagnosis: &Diagnosis) -> String {
    let mut out = format!("why {target}: {}: {}\n", word(&diagnosis.answer), diagnosis.sentence);
    for problem in &diagnosis.problems {
        let _ = writeln!(out, "  about {} {}", problem.failure, name(&problem.subject.reference));
        for candidate in &problem.considered {
            let _ = writeln!(out, "    considered {}\n      not: {}", candidate.what, candidate.because);
        }
    }
    out
}

fn word(value: &impl Serialize) -> String {
    serde_json::to_value(value).unwrap().as_str().unwrap().to_owned()
}

fn name(reference: &Ref) -> String {
    format!("{}/{}", reference.kind, reference.name)
}

fn when(at: Timestamp, start: Timestamp) -> String {
    let span = at.duration_since(start);
    if span.is_negative() { format!("-{}", duration::short(-span)) } else { format!("+{}", duration::short(span)) }
}

fn problem(problem: &Problem, start: Timestamp) -> String {
    let mut out = String::new();
    let class = problem.class.as_ref().map(|class| format!("/{class}")).unwrap_or_default();
    let container = problem.subject.container.as_ref().map(|container| format!("[{container}]")).unwrap_or_default();
    let opened = problem.opened.map(|at| format!(" since {}", when(at, start))).unwrap_or_default();
    let _ = writeln!(
        out,
        "problem {}{class} {} {} {}{container}{opened}",
        problem.failure,
        word(&problem.severity),
        word(&problem.verdict),
        name(&problem.subject.reference)
    );
    let _ = writeln!(out, "  title {}", problem.title);
    let cause = &problem.cause;
    let mut line = format!("  cause {}", word(&cause.kind));
    if let Some(reference) = &cause.reference {
        let _ = write!(line, " {}", name(reference));
    }
    if let Some(field) = &cause.field {
        let _ = write!(line, " {field}");
    }
    if cause.from.is_some() || cause.to.is_some() {
        let value = |value: &Option<serde_json::Value>| value.as_ref().map_or("absent".to_owned(), ToString::to_string);
        let _ = write!(line, " {} -> {}", value(&cause.from), value(&cause.to));
    }
    if let Some(at) = cause.at {
        let _ = write!(line, " at {}", when(at, start));
    }
    if let Some(actor) = &cause.actor {
        let _ = write!(line, " by {}", actor.manager);
    }
    if let Some(manager) = &cause.managed_by {
        let _ = write!(line, " managed by {manager}");
    }
    let _ = writeln!(out, "{line}\n    {}", cause.sentence);
    for fact in &problem.evidence {
        let at = fact.at.map(|at| format!(" {}", when(at, start))).unwrap_or_default();
        let _ = writeln!(out, "  {} {} {}{at}: {}", fact.id, word(&fact.role), word(&fact.source), fact.text);
    }
    for ruled in &problem.ruled_out {
        let _ = writeln!(out, "  ruled out {} {:?}", ruled.what, ruled.because);
    }
    for alternative in &problem.alternatives {
        let _ = writeln!(out, "  or {}: {}", word(&alternative.verdict), alternative.sentence);
    }
    for symptom in &problem.symptoms {
        let _ = writeln!(out, "  symptom {} {}", symptom.failure, name(&symptom.reference));
    }
    let impact = &problem.impact;
    let services: Vec<String> = impact.services.iter().map(name).collect();
    let _ = writeln!(out, "  impact {}/{} pods {services:?}", impact.pods.affected, impact.pods.of);
    for (what, names) in [("routes", &impact.routes), ("callers", &impact.callers)] {
        if !names.is_empty() {
            let names: Vec<String> = names.iter().map(name).collect();
            let _ = writeln!(out, "  {what} {names:?}");
        }
    }
    if let Some(sentence) = &impact.sentence {
        let _ = writeln!(out, "  suffers {sentence}");
    }
    for remedy in &problem.remedies {
        let on = remedy.reference.as_ref().map(|reference| format!(" {}", name(reference))).unwrap_or_default();
        let patch = remedy.patch.as_ref().map(|patch| format!(" {patch}")).unwrap_or_default();
        let owner = remedy.managed_by.as_ref().map(|owner| format!(" (managed by {owner})")).unwrap_or_default();
        let kind = word(&remedy.kind);
        let _ = writeln!(out, "  fix {} {kind}{on}{patch}{owner}: {}", remedy.option, remedy.sentence);
    }
    if let Some(command) = problem.show_command("") {
        let _ = writeln!(out, "  show {command}");
    }
    for gap in &problem.not_checked {
        let _ = writeln!(out, "  not checked {}: {}", gap.what, gap.why);
    }
    if let (Some(at), Some(reason)) = (problem.closed, &problem.closed_reason) {
        let _ = writeln!(out, "  closed {}: {reason}", when(at, start));
    }
    out
}
