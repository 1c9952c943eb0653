//! The object graph: what an object names, field by field.
//!
//! An [`Edge`] is one such naming, with the field that makes it. [`of`] reads them out of one object and looks nothing up, so
//! they cost nothing until somebody follows them; [`connected`] follows those of the object that was asked about. Edges are
//! never stored: what changes an object changes its edges, and a look at the far end is a read like any other, after which
//! the reader is run again when that end comes or goes.
//!
//! Detectors read the fields of their own failures themselves, with what these mean there. Here is the whole of it, for what
//! no detector looks at, and for the way from an object to those that suffer with it.

mod connected;
mod fields;
mod path;
mod pod;
mod special;
#[cfg(test)]
mod tests;

pub(crate) use connected::{connected, dangling};

use reckon_model::selector::LabelSelector;
use reckon_model::{Body, Kind, Object, ResourceRef};

/// One object names another, or several.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edge {
    /// What the other is to it.
    pub relation: Relation,
    /// The field that names it, list items by name or index.
    pub field: String,
    /// What is named.
    pub end: End,
    /// Whether it does without.
    pub optional: bool,
}

/// What is named.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// One object.
    One(ResourceRef),
    /// All objects of a kind with these labels.
    Selected {
        /// Their kind.
        kind: Kind,
        /// `None` for the whole cluster.
        namespace: Option<String>,
        /// Their labels; empty for all.
        selector: LabelSelector,
    },
    /// A program that no object of the API stands for: a controller, a plug-in.
    Program(String),
}

/// What the far end is to the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Relation {
    /// It owns the object, and with its going the object goes.
    Owner,
    /// It is selected by labels.
    Selected,
    /// It sends its requests there.
    Backend,
    /// Configuration that is read.
    Configuration,
    /// Credentials for a registry.
    PullSecret,
    /// Whose rights it has.
    Account,
    /// What gives rights, and to whom.
    Grant,
    /// Storage.
    Storage,
    /// The class, which names the program that does the work.
    Class,
    /// The program that does the work.
    Program,
    /// The node it is on.
    Node,
    /// What a node says that it lives with.
    Heartbeat,
    /// The machine behind a node.
    Machine,
    /// A device or another claimed resource.
    Device,
    /// Where requests come in.
    Gateway,
    /// A certificate with its key.
    Certificate,
    /// Who signs it.
    Issuer,
    /// What it scales.
    Target,
    /// Where its measurements come from.
    Metrics,
    /// What bounds it.
    Bound,
    /// A rule that it puts into effect.
    Policy,
    /// What the rule reads.
    Parameter,
    /// What makes its kind known.
    Definition,
    /// Who must agree before it goes away.
    Finalizer,
    /// A Service that its configuration names.
    Callee,
    /// Who answers its questions for names.
    Names,
    /// What it was installed with.
    Release,
}

impl Relation {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Relation::Owner => "owner",
            Relation::Selected => "selected",
            Relation::Backend => "backend",
            Relation::Configuration => "configuration",
            Relation::PullSecret => "pull-secret",
            Relation::Account => "account",
            Relation::Grant => "grant",
            Relation::Storage => "storage",
            Relation::Class => "class",
            Relation::Program => "program",
            Relation::Node => "node",
            Relation::Heartbeat => "heartbeat",
            Relation::Machine => "machine",
            Relation::Device => "device",
            Relation::Gateway => "gateway",
            Relation::Certificate => "certificate",
            Relation::Issuer => "issuer",
            Relation::Target => "target",
            Relation::Metrics => "metrics",
            Relation::Bound => "bound",
            Relation::Policy => "policy",
            Relation::Parameter => "parameter",
            Relation::Definition => "definition",
            Relation::Finalizer => "finalizer",
            Relation::Callee => "callee",
            Relation::Names => "names",
            Relation::Release => "release",
        }
    }
}

/// Every edge that an object's own fields make, each once, in the order of relation and field.
pub fn of(object: &Object) -> Vec<Edge> {
    let mut edges = Vec::new();
    special::metadata(object, &mut edges);
    match &object.body {
        Body::Pod(body) => pod::placed(object, body, &mut edges),
        Body::Workload(body) => {
            let template = &body.spec.template.spec;
            pod::spec(template, "spec.template.spec", object, &mut edges);
        }
        Body::CronJob(body) => {
            let template = &body.spec.job_template.spec.template.spec;
            pod::spec(template, "spec.jobTemplate.spec.template.spec", object, &mut edges);
        }
        Body::EndpointSlice(body) => special::endpoints(object, body, &mut edges),
        _ => {}
    }
    if let Some(whole) = object.whole() {
        fields::read(object, &whole, &mut edges);
        special::whole(object, &whole, &mut edges);
    }
    edges.sort();
    edges.dedup();
    edges
}
