//! Which finding is the root of which.
//!
//! Common to all detectors: a finding explains another when it strikes earlier on the way from node to endpoint, on the
//! same pods. What is left unexplained is the root of a problem; the rest are its symptoms. Findings about several
//! workloads that have one and the same object to blame are one problem too.

use crate::catalogue::{self, Failure, Stage};
use crate::finding::Finding;
use jiff::SignedDuration;
use reckon_model::document::{CauseKind, Ref};
use reckon_model::{Kind, ResourceRef};
use std::collections::{BTreeMap, BTreeSet};

/// A root and what it explains.
#[derive(Debug)]
pub(crate) struct Incident {
    /// What explains the rest.
    pub(crate) root: Finding,
    /// The same claim about other workloads, for the same object.
    pub(crate) also: Vec<Finding>,
    /// What it explains.
    pub(crate) symptoms: Vec<Finding>,
}

/// Clocks of nodes, API servers and Events differ; what began this much before its cause may still follow from it.
const CLOCK_SLACK: SignedDuration = SignedDuration::from_secs(60);

/// Groups findings by root. Deterministic for any order of its input that [`crate::merge::same_claims`] produces.
pub(crate) fn incidents(findings: Vec<Finding>) -> Vec<Incident> {
    let near = Near::of(&findings);
    let explained_by: Vec<Option<usize>> = (0..findings.len()).map(|at| explanation(&findings, &near, at)).collect();
    let roots: Vec<usize> = (0..findings.len()).map(|at| root_of(&explained_by, at)).collect();
    // Roots with one object to blame: the first of them stands for all.
    let mut blaming: BTreeMap<(&str, &Option<Ref>), Vec<usize>> = BTreeMap::new();
    let mut stands_for = Vec::with_capacity(findings.len());
    for (at, finding) in findings.iter().enumerate() {
        if finding.cause.reference.is_none() {
            stands_for.push(at);
            continue;
        }
        let before = blaming.entry((claim(finding), &finding.cause.reference)).or_default();
        let first = before.iter().find(|&&other| roots[at] == at && same_object(&findings[other], finding));
        stands_for.push(first.copied().unwrap_or(at));
        if roots[at] == at {
            before.push(at);
        }
    }
    let mut slots: Vec<Option<Incident>> = Vec::new();
    slots.resize_with(findings.len(), || None);
    for (at, finding) in findings.iter().enumerate() {
        if roots[at] == at && stands_for[at] == at {
            slots[at] = Some(Incident { root: finding.clone(), also: Vec::new(), symptoms: Vec::new() });
        }
    }
    for (at, finding) in findings.into_iter().enumerate() {
        let head = stands_for[roots[at]];
        let Some(incident) = slots.get_mut(head).and_then(Option::as_mut) else { continue };
        if roots[at] != at {
            incident.symptoms.push(finding);
        } else if head != at {
            incident.also.push(finding);
        }
    }
    slots.into_iter().flatten().collect()
}

/// Where explanations lead. What blames another object goes to that object's own failure, which may strike later on the way
/// from admission to traffic: two that blame each other would go round for ever, and the first of the round is the root.
fn root_of(explained_by: &[Option<usize>], at: usize) -> usize {
    let mut way = vec![at];
    loop {
        match way.last().and_then(|&last| explained_by[last]) {
            None => return way.pop().unwrap_or(at),
            Some(next) => match way.iter().position(|&before| before == next) {
                None => way.push(next),
                Some(round) => return way[round..].iter().copied().min().unwrap_or(at),
            },
        }
    }
}

/// Which findings are about an object, and which show on it: what has nothing in common need not be compared, and in a
/// cluster where a thousand things fail most have not.
struct Near<'a> {
    about: BTreeMap<&'a ResourceRef, Vec<usize>>,
    on: BTreeMap<&'a ResourceRef, Vec<usize>>,
}

impl<'a> Near<'a> {
    fn of(findings: &'a [Finding]) -> Self {
        let mut near = Near { about: BTreeMap::new(), on: BTreeMap::new() };
        for (at, finding) in findings.iter().enumerate() {
            near.about.entry(&finding.place.workload).or_default().push(at);
            for object in &finding.shows_on {
                near.on.entry(object).or_default().push(at);
            }
        }
        near
    }

    fn about(&self, object: &ResourceRef) -> impl Iterator<Item = usize> {
        self.about.get(object).into_iter().flatten().copied()
    }

    /// Findings that show on something that this one shows on, or that are about the same workload.
    fn to(&self, finding: &Finding) -> BTreeSet<usize> {
        let on = finding.shows_on.iter().filter_map(|object| self.on.get(object)).flatten().copied();
        on.chain(self.about(&finding.place.workload)).collect()
    }
}

/// The finding that explains the one at `at` best: about the object that it blames; else the earliest stage, then the
/// earliest beginning, then the first.
fn explanation(findings: &[Finding], near: &Near<'_>, at: usize) -> Option<usize> {
    let symptom = &findings[at];
    let blamed = symptom.cause.reference.as_ref().map(ResourceRef::from);
    let blamed = blamed.iter().flat_map(|blamed| near.about(blamed));
    let blamed = blamed.filter(|&other| other != at && ails(&findings[other], symptom));
    if let Some(other) = blamed.min_by_key(|&other| (stage_of(&findings[other]), other)) {
        return Some(other);
    }
    let near = near.to(symptom).into_iter();
    near.filter(|&other| other != at && explains(&findings[other], symptom)).min_by_key(|&other| {
        (stage_of(&findings[other]), findings[other].began().is_none(), findings[other].began(), other)
    })
}

fn failure_of(finding: &Finding) -> Option<&'static Failure> {
    catalogue::failure(finding.failure).map(|(_, failure)| failure)
}

/// Where a finding strikes on the way from admission to traffic.
fn stage_of(finding: &Finding) -> Option<Stage> {
    finding.stage.or_else(|| failure_of(finding).map(|failure| failure.stage))
}

/// Whether a finding is about the very object that another one blames as it stands: a node that is lost, a claim without a
/// volume, a webhook's Service without endpoints. Somebody's change is a cause of its own, whatever else ails its object.
pub(crate) fn ails(other: &Finding, symptom: &Finding) -> bool {
    let Some(blamed) = &symptom.cause.reference else { return false };
    // A field that is wrong is wrong whatever else ails its object; only who blames the same field says the same.
    let as_it_stands =
        matches!(symptom.cause.kind, CauseKind::Resource | CauseKind::Node) && symptom.cause.field.is_none();
    let same_field = symptom.cause.field.is_some()
        && (&other.cause.reference, &other.cause.field) == (&symptom.cause.reference, &symptom.cause.field);
    (as_it_stands || same_field)
        && other.place.workload != symptom.place.workload
        && other.place.workload == ResourceRef::from(blamed)
}

fn explains(root: &Finding, symptom: &Finding) -> bool {
    let (Some(cause), Some(effect)) = (failure_of(root), failure_of(symptom)) else { return false };
    let (Some(from), Some(to)) = (stage_of(root), stage_of(symptom)) else { return false };
    let earlier = from < to || (from == to && !cause.echo && effect.echo);
    if !earlier || !connected(root, symptom, to) {
        return false;
    }
    if from == Stage::Node {
        // A node takes down what ran on it, not what had failed on its own before or fails elsewhere too.
        let after = match (root.began(), symptom.began()) {
            (Some(node), Some(pod)) => pod.checked_add(CLOCK_SLACK).is_ok_and(|pod| pod >= node),
            _ => true,
        };
        // What fails on other nodes as well is not this one's fault.
        let pods = |finding: &Finding| {
            finding.shows_on.iter().filter(|it| it.kind == Kind::Pod).cloned().collect::<BTreeSet<_>>()
        };
        let elsewhere = !effect.echo && !pods(symptom).is_subset(&pods(root));
        return after && !elsewhere && (effect.echo || to >= Stage::Probe);
    }
    match (&root.place.container, &symptom.place.container) {
        // Two containers of one pod that fail each in its own way are two problems.
        (Some(a), Some(b)) => a == b || root.place.workload != symptom.place.workload,
        _ => true,
    }
}

/// Whether a root can show as this symptom: on the same objects, or, for what controllers and Services echo, on the same
/// workload.
fn connected(root: &Finding, symptom: &Finding, effect: Stage) -> bool {
    let common = root.shows_on.intersection(&symptom.shows_on).next().is_some();
    let whole = effect >= Stage::Rollout && root.place.workload == symptom.place.workload;
    common || whole
}

/// What a finding claims of the object that it blames. That nobody answers there, each caller says in its own way.
fn claim(finding: &Finding) -> &'static str {
    match finding.failure {
        "dependency-refused" | "dependency-timeout" | "dependency-name" | "liveness-on-dependency" | "init-waiting" => {
            "dependency"
        }
        failure => failure,
    }
}

/// Whether two findings blame one object that is neither's own.
fn same_object(a: &Finding, b: &Finding) -> bool {
    let (Some(one), Some(other)) = (&a.cause.reference, &b.cause.reference) else { return false };
    let shared = ResourceRef::from(one);
    claim(a) == claim(b)
        && one == other
        && matches!(a.cause.kind, CauseKind::Change | CauseKind::Resource | CauseKind::Node)
        && shared != a.place.workload
        && shared != b.place.workload
}

/// The pods a set of findings shows on.
pub(crate) fn pods<'a>(findings: impl Iterator<Item = &'a Finding>) -> BTreeSet<&'a ResourceRef> {
    findings.flat_map(|finding| &finding.shows_on).filter(|reference| reference.kind == Kind::Pod).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Place;
    use reckon_model::document::Cause;

    fn about(workload: &ResourceRef, cause: Cause) -> Finding {
        let place = Place { workload: workload.clone(), container: None };
        Finding::new("dependency-refused", place, "title", cause)
    }

    #[test]
    fn who_blames_an_object_as_it_stands_or_the_same_field_of_it_is_its_symptom() {
        let deployment = |name: &str| ResourceRef::new(Kind::Deployment, Some("shop"), name);
        let (db, api) = (deployment("db"), deployment("api"));
        let plain = || Cause::plain(CauseKind::Resource, Some(&db), "s");
        let field = |field: &str| plain().at_field(field, "/x", None);
        let joins = |root: Cause, symptom: Cause| ails(&about(&db, root), &about(&api, symptom));
        assert!(joins(field("spec.x"), plain()));
        assert!(joins(field("spec.replicas"), field("spec.replicas")));
        assert!(!joins(field("spec.x"), field("spec.replicas")));
        assert!(
            !joins(plain(), field("spec.replicas")),
            "a field that is wrong is wrong whatever else ails its object"
        );
        assert!(!joins(plain(), Cause::plain(CauseKind::Change, Some(&db), "s")));
        assert!(!joins(plain(), Cause::plain(CauseKind::Unknown, Some(&db), "s")), "a guess is no blame");
        assert!(!joins(plain(), Cause::plain(CauseKind::Resource, Some(&api), "s")));
        assert!(!ails(&about(&db, plain()), &about(&db, plain())), "nothing is its own symptom");
    }
}
