//! The rules as people read them.

use super::{Matches, RULES};

/// `docs/noise.md`.
pub fn page() -> String {
    let mut out = String::from(
        "# What the record leaves out\n\n\
         Most of what a cluster writes says nothing new: a node is still there, a counter counts, a controller notes what it\n\
         did. The record leaves such writes out, by the rules below and by nothing else. Each can be turned off by its name.\n\
         What remains is told once: every change of a specification, a label or an annotation that is not named here, of a\n\
         ConfigMap's keys and of the rules of a role.\n\n\
         Generated from `crates/record/src/noise/table.rs`.\n",
    );
    for rule in RULES {
        let what = match rule.matches {
            Matches::Fields(pointers) => list("Fields", pointers),
            Matches::Annotations(keys) => list("Annotations", keys),
            Matches::Labels(keys) => list("Labels", keys),
            Matches::Finalizers(names) => list("Finalizers", names),
            Matches::Taints(keys) => list("Taints", keys),
            Matches::Events(reasons) => list("Events that are no warning, by reason", reasons),
            Matches::Kinds(kinds) => {
                let kinds: Vec<String> = kinds
                    .iter()
                    .map(|(group, kind)| if group.is_empty() { (*kind).to_owned() } else { format!("{kind}.{group}") })
                    .collect();
                list("Kinds", &kinds.iter().map(String::as_str).collect::<Vec<_>>())
            }
            Matches::Judged(words) => words.to_owned(),
        };
        out.push_str(&format!("\n## `{}`\n\n{}\n\n{what}\n", rule.id, rule.sentence));
    }
    out
}

fn list(what: &str, names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    format!("{what}: {}.", names.join(", "))
}
