//! Which problems are listed.

use crate::args::Severity;
use reckon_detect::State;
use reckon_model::ResourceRef;
use reckon_model::document::{self, Answer, Problem, ProblemList};
use reckon_model::selector::LabelSelector;
use reckon_model::text::count;

/// Which problems are listed: all that fit every flag given.
#[derive(Clone, Copy)]
pub(crate) struct Filter<'a> {
    pub(crate) severity: Option<Severity>,
    pub(crate) since: Option<jiff::SignedDuration>,
    /// Labels of the workload, or of a pod that it shows on.
    pub(crate) labels: Option<&'a LabelSelector>,
    /// Fields of the workload.
    pub(crate) fields: &'a [Field],
}

/// A field that must or must not have a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    of: Of,
    value: String,
    is: bool,
}

/// What every object has and the API selects by for every kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    Name,
    Namespace,
}

/// Reads what `--field-selector` takes.
pub(crate) fn fields(text: &str) -> Result<Vec<Field>, String> {
    let field = |term: &str| {
        let (name, value, is) = match (term.split_once("!="), term.split_once('=')) {
            (Some((name, value)), _) => (name, value, false),
            (None, Some((name, value))) => (name, value.strip_prefix('=').unwrap_or(value), true),
            (None, None) => return Err(format!("{term:?} is no part of a field selector; write metadata.name=NAME")),
        };
        let of = match name.trim() {
            "metadata.name" => Of::Name,
            "metadata.namespace" => Of::Namespace,
            other => return Err(format!("{other:?} cannot be selected by, only metadata.name and metadata.namespace")),
        };
        Ok(Field { of, value: value.trim().to_owned(), is })
    };
    text.split(',').map(str::trim).filter(|term| !term.is_empty()).map(field).collect()
}

impl Filter<'_> {
    /// Leaves only those; that others were left out is said in the sentence.
    pub(crate) fn keep(self, list: &mut ProblemList, state: &State) {
        let all = list.problems.len();
        let worst = self.severity.map(|severity| match severity {
            Severity::Critical => document::Severity::Critical,
            Severity::Warning => document::Severity::Warning,
            Severity::Info => document::Severity::Info,
        });
        let horizon = self.since.and_then(|since| list.as_of.checked_sub(since).ok());
        list.problems.retain(|problem| {
            worst.is_none_or(|worst| problem.severity <= worst)
                && horizon.is_none_or(|horizon| problem.opened.is_none_or(|opened| opened >= horizon))
                && self.labels.is_none_or(|labels| labelled(problem, labels, state))
                && self.fields.iter().all(|field| field.fits(problem))
        });
        let hidden = all - list.problems.len();
        if hidden > 0 && list.problems.is_empty() {
            list.answer = Answer::NoFault;
            list.sentence = format!("No problem fits the flags given; {} not shown.", count(hidden, "other problem"));
        } else if hidden > 0 {
            list.sentence.push_str(&format!(" {} not shown by the flags given.", count(hidden, "problem")));
        }
    }
}

fn labelled(problem: &Problem, labels: &LabelSelector, state: &State) -> bool {
    let chain = problem.chain.iter().map(|link| &link.reference);
    chain
        .chain([&problem.subject.reference])
        .filter_map(|reference| state.labels(&ResourceRef::from(reference)))
        .any(|of| labels.matches(of))
}

impl Field {
    fn fits(&self, problem: &Problem) -> bool {
        let subject = &problem.subject.reference;
        let value = match self.of {
            Of::Name => subject.name.as_str(),
            Of::Namespace => subject.namespace.as_deref().unwrap_or(""),
        };
        (value == self.value) == self.is
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn field_selectors_are_read_or_said_to_be_none() {
        let read = fields("metadata.name==web,metadata.namespace!=kube-system").unwrap();
        assert_eq!(read.len(), 2);
        assert!(read[0].is && !read[1].is && read[0].value == "web");
        assert!(fields("status.phase=Running").unwrap_err().contains("status.phase"));
        assert!(fields("web").is_err());
    }
}
