//! A refusal, whatever its reason, and what all reasons have in common.

use super::super::edit::Edit;
use crate::blame::{self, Blame};
use crate::spot::{self, Path, Spot};
use crate::{Fact, Finding, Place, View, describe, ownership};
use reckon_model::document::{Cause, CauseKind, Remedy, RemedyKind, Requires, Role, Source, Verdict};
use reckon_model::k8s::Container;
use reckon_model::{FieldChange, Kind, Object, ResourceRef, Timestamp, text};
use serde_json::json;

/// What a controller was refused.
pub(super) struct Case<'v, 'a> {
    pub(super) view: &'v View<'a>,
    pub(super) workload: &'a Object,
    pub(super) message: &'v str,
    pub(super) since: Option<Timestamp>,
    pub(super) source: Source,
}

impl<'a> Case<'_, 'a> {
    /// The workload's name as people say it.
    pub(super) fn name(&self) -> String {
        describe::object(self.workload)
    }

    /// The namespace.
    pub(super) fn namespace(&self) -> Option<&'a str> {
        self.workload.meta.namespace.as_deref()
    }

    /// What is so, where no change made it so.
    pub(super) fn sentence(&self, why: &str) -> String {
        format!("The API server refuses the pods of {}: {why}.", self.name())
    }

    /// A confirmed finding: the API server's own words are what was observed.
    pub(super) fn finding(&self, slug: &'static str, class: Option<&'static str>, why: &str, cause: Cause) -> Finding {
        let title = format!("{}: its pods are not created, {why}", self.name());
        let mut finding = Finding::new(slug, Place::of(self.workload), title, cause);
        finding.class = class;
        finding.severity = spot::severity(self.workload);
        finding.verdict = Verdict::Confirmed;
        finding.opened = self.since;
        let said = format!("FailedCreate: {}", text::shorten(self.message.trim(), 400));
        let fact = Fact::new(Role::Cause, self.source, self.since, self.workload, said);
        finding.evidence.push(fact.raw(json!(self.message)));
        finding
    }

    /// The newest change of the template before the refusal in which one of these parts of a pointer occurs, the first of
    /// them first.
    pub(super) fn template(&self, parts: &[&str]) -> Option<Blame> {
        self.template_where(|field| {
            parts.iter().position(|part| field.pointer.contains(part)).and_then(|at| u8::try_from(at).ok())
        })
    }

    /// The newest change of the template before the refusal in which a field is plausible.
    pub(super) fn template_where(&self, rank: impl Fn(&FieldChange) -> Option<u8>) -> Option<Blame> {
        blame::template_change(self.view, self.workload, None, self.since, rank)
    }

    /// What was done to an object that stands in the way, before the refusal and after the workload was made: what is older
    /// than the workload did not make it fail.
    pub(super) fn edit(&self, object: &'a Object, path: &Path) -> Option<Edit> {
        Edit::of(self.view, object, path, self.workload.meta.created, self.since)
    }

    /// The cause that is a change of the workload's own template.
    pub(super) fn own_change(&self, blame: &Blame, why: &str) -> Cause {
        blame.cause(self.view, format!("{} was {}; since then {why}.", blame.field().field, blame.words()))
    }

    /// The workload as it stands, without a field.
    pub(super) fn plain(&self, sentence: impl Into<String>) -> Cause {
        let mut cause = Cause::plain(CauseKind::Resource, Some(&self.workload.reference()), sentence);
        cause.managed_by = ownership::managed_by(self.workload);
        cause
    }

    /// A remedy on the workload.
    pub(super) fn advice(&self, kind: RemedyKind, sentence: impl Into<String>) -> Remedy {
        let mut remedy = spot::remedy(kind, &self.workload.reference(), sentence);
        remedy.managed_by = ownership::managed_by(self.workload);
        remedy
    }

    /// Going back to the template before, where a change of it is the cause.
    pub(super) fn roll_back(&self) -> Option<Remedy> {
        Spot::of(self.workload)?.roll_back("Go back to the template before: its pods were accepted.")
    }
}

/// An object of a kind without a name, that stands in the way of others.
pub(super) fn kind(group: &str, name: &str) -> Kind {
    Kind::of_group(group, name)
}

/// A remedy on an object of a kind without a name here; `resource` is how access rules name it.
pub(super) fn remedy_on(on: &ResourceRef, kind: RemedyKind, resource: &str, sentence: impl Into<String>) -> Remedy {
    let mut remedy = spot::remedy(kind, on, sentence);
    if let Some(Requires { resource: required, .. }) = &mut remedy.requires {
        resource.clone_into(required);
    }
    remedy
}

/// The container that a message names, in quotes or as the last word of `… for: app`.
pub(super) fn named<'s>(spot: &'s Spot<'_>, said: &str) -> Option<&'s Container> {
    let names = |container: &Container| {
        said.contains(&format!("\"{}\"", container.name))
            || said.split([' ', ',', ';']).any(|word| word.trim_matches(['"', '(', ')']) == container.name)
    };
    spot.spec.all_containers().map(|(_, container)| container).find(|container| names(container))
}
