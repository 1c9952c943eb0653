//! A comparison for people: each field with its two values, of long ones the lines that differ.

use crate::style::{Paint, Style, wrap};
use crate::when::When;
use reckon_model::document::{Diff, Side};
use reckon_model::text::clean_line;
use serde_json::Value;
use similar::{ChangeTag, TextDiff};
use std::fmt::Write;

/// Lines around those that differ in a long value.
const AROUND: usize = 3;

/// Where the section below begins.
const MARGIN: usize = 13;

/// How a comparison is written.
pub(super) struct Page {
    pub(super) paint: Paint,
    pub(super) width: usize,
    pub(super) when: When,
}

impl Page {
    /// The answer.
    pub(super) fn of(&self, diff: &Diff) -> String {
        let mut out = String::new();
        let _ = writeln!(out, "{}", self.minus(&format!("--- {}", self.side(&diff.from))));
        let _ = writeln!(out, "{}", self.plus(&format!("+++ {}", self.side(&diff.to))));
        for object in &diff.objects {
            for change in &object.fields {
                let _ = writeln!(out, "{}", self.paint.with(Style::Strong, &clean_line(&change.field)));
                self.values(&mut out, change.from.as_ref(), change.to.as_ref());
            }
        }
        let _ = writeln!(out, "{}", clean_line(&diff.sentence));
        let mut head = "NOT CHECKED";
        for gap in &diff.not_checked {
            let text = clean_line(&format!("{}: {}", gap.what, gap.why));
            for line in wrap(&text, self.width.saturating_sub(MARGIN)).lines() {
                let _ = writeln!(out, "{}{line}", self.paint.with(Style::Strong, &format!("{head:<MARGIN$}")));
                head = "";
            }
        }
        out
    }

    /// `revision 41, since 13:58:04 UTC (22m) by helm`.
    fn side(&self, side: &Side) -> String {
        // A moment that was asked for is named by itself.
        let since = side.at.filter(|_| side.revision.is_some()).map(|at| format!(", of {}", self.when.full(at)));
        let name = match (side.at, side.revision) {
            (Some(at), None) => self.when.full(at),
            _ => side.name.clone(),
        };
        let by = side.actor.as_ref().map(|actor| format!(" by {}", actor.user.as_ref().unwrap_or(&actor.manager)));
        clean_line(&format!("{name}{}{}", since.unwrap_or_default(), by.unwrap_or_default()))
    }

    fn values(&self, out: &mut String, from: Option<&Value>, to: Option<&Value>) {
        let (old, new) = (from.map(text), to.map(text));
        let is_long = |text: &Option<String>| text.as_ref().is_some_and(|text| text.trim_end().contains('\n'));
        if let (Some(old), Some(new), true) = (&old, &new, is_long(&old) || is_long(&new)) {
            self.lines(out, old, new);
            return;
        }
        for line in old.iter().flat_map(|text| text.lines()) {
            let _ = writeln!(out, "{}", self.minus(&format!("- {}", clean_line_kept(line))));
        }
        for line in new.iter().flat_map(|text| text.lines()) {
            let _ = writeln!(out, "{}", self.plus(&format!("+ {}", clean_line_kept(line))));
        }
    }

    /// The lines of a long value that differ, with those around them.
    fn lines(&self, out: &mut String, old: &str, new: &str) {
        let diff = TextDiff::from_lines(old, new);
        for (at, group) in diff.grouped_ops(AROUND).iter().enumerate() {
            if at > 0 {
                let _ = writeln!(out, "{}", self.paint.with(Style::Muted, "  ⋮"));
            }
            for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
                let line = clean_line_kept(change.value().trim_end_matches(['\n', '\r']));
                let _ = match change.tag() {
                    ChangeTag::Delete => writeln!(out, "{}", self.minus(&format!("- {line}"))),
                    ChangeTag::Insert => writeln!(out, "{}", self.plus(&format!("+ {line}"))),
                    ChangeTag::Equal => writeln!(out, "{}", self.paint.with(Style::Muted, &format!("  {line}"))),
                };
            }
        }
    }

    fn minus(&self, text: &str) -> String {
        self.paint.with(Style::Critical, text)
    }

    fn plus(&self, text: &str) -> String {
        self.paint.with(Style::Good, text)
    }
}

/// One line, clean, with the spaces at its front, which say where it belongs.
fn clean_line_kept(line: &str) -> String {
    reckon_model::text::clean(&line.replace(['\t', '\r'], " ")).trim_end().to_owned()
}

/// A value as people read it: text as it is, all else as YAML.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) if text.is_empty() => "\"\"".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(_) | Value::Object(_) => serde_saphyr::to_string(value).unwrap_or_else(|_| value.to_string()),
        plain => plain.to_string(),
    }
}
