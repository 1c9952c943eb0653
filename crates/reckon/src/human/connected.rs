//! What the object that was asked about names, a line each: for `why -v`.

use super::Page;
use crate::style::Style;
use reckon_model::document::{Connected, Connection, ProblemList};
use reckon_model::text::{clean_line, shorten};
use std::fmt::Write;

impl Page<'_> {
    /// The section `CONNECTED`, where one object was asked about that names others.
    pub(super) fn connected(&self, out: &mut String, list: &ProblemList) {
        if !self.verbose || list.connected.is_empty() {
            return;
        }
        let _ = writeln!(out, "{}", self.paint.with(Style::Strong, "CONNECTED"));
        let width = |of: fn(&Connected) -> usize, most| list.connected.iter().map(of).max().unwrap_or(0).min(most);
        let relations = width(|it| it.relation.chars().count(), 13);
        let ends = width(|it| it.what.chars().count(), 50);
        for it in &list.connected {
            let (glyph, style) = match (it.state, it.optional) {
                (Connection::There, _) => ("✔", Style::Good),
                (Connection::Missing, false) => ("✗", Style::Critical),
                (Connection::Missing, true) => ("–", Style::Plain),
                (Connection::Unknown, _) => ("?", Style::Warning),
                (Connection::Program, _) => ("·", Style::Plain),
            };
            let deleted = it.deleted.map(|at| format!(", deleted at {}", self.when.full(at))).unwrap_or_default();
            let state = match it.state {
                Connection::There | Connection::Program => String::new(),
                Connection::Missing => {
                    let hint = it.hint.as_ref().map(|hint| format!("; did you mean {hint}?")).unwrap_or_default();
                    format!("  not there{deleted}{hint}")
                }
                Connection::Unknown => "  not read".to_owned(),
            };
            let line = format!(
                "{:relations$}  {:ends$}  {}{state}",
                clean_line(&it.relation),
                shorten(&clean_line(&it.what), 50),
                clean_line(&it.field),
            );
            let _ = writeln!(out, "  {} {}", self.paint.with(style, glyph), clean_line(line.trim_end()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::again::Again;
    use crate::style::Paint;
    use crate::when::When;
    use reckon_model::Timestamp;
    use serde_json::json;

    fn connected(relation: &str, what: &str, state: Connection, optional: bool, hint: Option<&str>) -> Connected {
        Connected {
            relation: relation.to_owned(),
            field: "spec.x".to_owned(),
            reference: None,
            what: what.to_owned(),
            state,
            optional,
            deleted: None,
            hint: hint.map(str::to_owned),
        }
    }

    #[test]
    fn each_end_has_its_line_and_hostile_names_stay_on_it() {
        let mut list: ProblemList = serde_json::from_value(json!({"apiVersion": "reckon/v1", "kind": "ProblemList",
            "reckonVersion": "0", "asOf": "2026-01-01T00:00:00Z", "scope": {}, "answer": "undetermined", "sentence": "",
            "looked": [], "notChecked": [], "problems": []}))
        .unwrap();
        list.connected = vec![
            connected("backend", "Service shop/webb", Connection::Missing, false, Some("Service web")),
            connected("class", "IngressClass nginx", Connection::There, false, None),
            connected("program", "evil\u{1b}[2J\nname", Connection::Program, true, None),
            connected("certificate", "Secret shop/tls", Connection::Unknown, false, None),
        ];
        let again = Again::default();
        let page = Page {
            paint: Paint::None,
            width: 100,
            terminal: false,
            when: When::new(false, Timestamp::UNIX_EPOCH),
            program: "reckon",
            again: &again,
            verbose: true,
        };
        let mut out = String::new();
        page.connected(&mut out, &list);
        assert_eq!(
            out,
            "CONNECTED\n\
             \u{20}\u{20}✗ backend      Service shop/webb   spec.x  not there; did you mean Service web?\n\
             \u{20}\u{20}✔ class        IngressClass nginx  spec.x\n\
             \u{20}\u{20}· program      evil\\x1b[2J name    spec.x\n\
             \u{20}\u{20}? certificate  Secret shop/tls     spec.x  not read\n"
        );
    }
}
