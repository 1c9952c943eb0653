//! What became of an object, told from what Kubernetes itself remembers: a state becomes entries of the record.
//!
//! Who has watched for months fills the same entries from what was kept. Without that, revisions, `managedFields`, what
//! `kubectl apply` sent, Helm's manifests, the times in statuses and Events are all there is; of which times they tell nothing is
//! said as [`Unseen`]. What is read becomes demands, as everywhere ([`View`]): who asks answers them and asks again.

mod drift;
mod events;
mod instants;
mod nodes;
mod parts;
mod pods;
mod releases;
mod revisions;
mod sentence;
#[cfg(test)]
mod tests;
mod unseen;
mod written;

pub use drift::{Compared, compared};
pub use instants::{Told, between};
pub use revisions::{Comparison, Untold, Which, Whose, revisions};
pub use sentence::{field, sentence, subject};

use crate::engine::Scope;
use crate::state::State;
use crate::view::{Asked, View};
use parts::{Member, Parts, Tell};
use reckon_model::document::{NotChecked, Problem};
use reckon_model::record::{Entry, Fact, ProblemTurn, Turn, Unseen};
use reckon_model::{Demand, ResourceRef, Timestamp};
use std::collections::BTreeSet;

/// What was found out by reading a state, and what would have to be known to find out more.
#[derive(Clone, Debug)]
pub struct Read<T> {
    /// What was found out.
    pub found: T,
    /// What would have to be known to go on.
    pub demands: BTreeSet<Demand>,
    /// What could not be read, in order.
    pub not_checked: Vec<NotChecked>,
}

impl<T> Read<T> {
    fn new(found: T, view: View<'_>) -> Self {
        let Asked { demands, gaps, .. } = view.into_asked();
        let gaps: BTreeSet<NotChecked> =
            gaps.into_iter().map(|gap| NotChecked { what: gap.what, why: gap.why }).collect();
        Read { found, demands, not_checked: gaps.into_iter().collect() }
    }
}

/// What happened, as far as it is remembered.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Past {
    /// What happened, oldest first.
    pub entries: Vec<Entry>,
    /// Of which times something is not remembered, in order of time.
    pub unseen: Vec<Unseen>,
}

/// What happened to what was asked about and what it is made of, since a time if one is given. The problems are those of a
/// diagnosis of the same scope.
pub fn of(state: &State, scope: &Scope, since: Option<Timestamp>, problems: &[Problem], now: Timestamp) -> Read<Past> {
    let view = View::new(state, now);
    let parts = parts::of(&view, scope);
    let mut entries = Vec::new();
    for member in &parts.members {
        let Member { object, line, tell } = member;
        match tell {
            Tell::All => {
                entries.extend(written::entries(&view, object));
                entries.extend(nodes::entries(object));
                entries.extend(pods::entries(object, line.as_ref()));
            }
            Tell::Writes => entries.extend(written::entries(&view, object)),
            Tell::Ends => entries.extend(pods::ends(object, line.as_ref())),
            Tell::Ills => entries.extend(nodes::ills(object)),
            Tell::Events => {}
        }
    }
    entries.extend(parts.gone.iter().flat_map(written::deleted));
    entries.extend(releases::entries(&view, &parts, since));
    let events = events::entries(&view, &parts);
    let unseen = unseen::of(&view, scope, &parts, &entries, since, now);
    entries.extend(events);
    entries.extend(problems.iter().flat_map(turns));
    entries.retain(|entry| entry.at <= now && since.is_none_or(|since| entry.at >= since));
    entries.sort_by(|a, b| (a.at, rank(&a.fact), &a.subject).cmp(&(b.at, rank(&b.fact), &b.subject)));
    Read::new(Past { entries, unseen }, view)
}

/// What is told first of what happened at one moment: causes before what came of them.
fn rank(fact: &Fact) -> u8 {
    match fact {
        Fact::Change(_) | Fact::Seen(_) => 0,
        Fact::Release(_) | Fact::Sync(_) | Fact::Mark(_) => 1,
        Fact::Rollout(_) => 2,
        Fact::Node(_) => 3,
        Fact::Death(_) => 4,
        Fact::Phase(_) => 5,
        Fact::Event(_) => 6,
        Fact::Problem(_) => 7,
        Fact::Unseen(_) | Fact::Summary(_) | Fact::Unknown(_) => 8,
    }
}

/// That a problem opened, and that it closed.
fn turns(problem: &Problem) -> Vec<Entry> {
    let turn = |at: Option<Timestamp>, turn: Turn, reason: Option<String>| {
        Some(Entry {
            at: at?,
            subject: ResourceRef::from(&problem.subject.reference),
            workload: None,
            fact: Fact::Problem(ProblemTurn {
                id: problem.id.clone(),
                episode: problem.episode,
                turn,
                failure: problem.failure.clone(),
                severity: problem.severity,
                title: problem.title.clone(),
                reason,
            }),
        })
    };
    let opened = turn(problem.opened, Turn::Opened, None);
    let closed = turn(problem.closed, Turn::Closed, problem.closed_reason.clone());
    opened.into_iter().chain(closed).collect()
}

/// The namespace of a scope; `None` for the cluster and for what lives in none.
fn namespace_of(scope: &Scope) -> Option<&str> {
    match scope {
        Scope::Cluster => None,
        Scope::Namespace(namespace) => Some(namespace),
        Scope::Object(target) => target.namespace.as_deref(),
    }
}

impl Parts<'_> {
    /// The line that something belongs to by its name alone: pods that are gone leave Events, and their names begin with that
    /// of their maker.
    fn line_of_name(&self, namespace: &str, name: &str) -> Option<&ResourceRef> {
        self.makers
            .iter()
            .filter(|(maker, _)| {
                maker.namespace() == namespace
                    && name.strip_prefix(&maker.name).is_some_and(|rest| rest.len() > 1 && rest.starts_with('-'))
            })
            .max_by_key(|(maker, _)| maker.name.len())
            .map(|(_, line)| line)
    }
}
