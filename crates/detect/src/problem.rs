//! From an incident to a problem as people see it.

use crate::finding::{Fact, Finding};
use crate::rank::Incident;
use crate::{View, catalogue, describe, impact, operated, rank, show};
use reckon_model::document::{
    self, CauseKind, Considered, Evidence, Link, LinkRole, NotChecked, Problem, Ref, Remedy, Role, RuledOut, Severity,
    Source, Subject, Symptom,
};
use reckon_model::{ProblemId, ResourceRef};
use std::collections::BTreeSet;

/// How many pods a chain names; the rest are counted under impact.
const CHAIN_PODS: usize = 5;

/// How many remedies of its consequences a problem takes over.
const REMEDIES: usize = 4;

/// The problem of an incident, in its first episode.
pub(crate) fn of<'a>(
    view: &View<'a>,
    routes: &mut impact::Routes<'a>,
    incident: Incident,
    considered: Vec<Considered>,
) -> Problem {
    let impact = impact::of(view, routes, &incident);
    let id = id(&incident.root);
    let chain = chain(&incident);
    let symptoms = symptoms(&incident);
    let began = std::iter::once(&incident.root).chain(&incident.also).filter_map(Finding::began).min();
    let mut not_checked: BTreeSet<NotChecked> = BTreeSet::new();
    for finding in std::iter::once(&incident.root).chain(&incident.also) {
        not_checked.extend(finding.gaps.iter().map(|gap| NotChecked { what: gap.what.clone(), why: gap.why.clone() }));
    }
    // What ends a root's consequence may be more than what ends the root: a volume that a lost node still holds.
    let blaming = incident.symptoms.iter().filter(|symptom| rank::ails(&incident.root, symptom));
    let (consequences, worst): (Vec<Vec<Remedy>>, Vec<Severity>) =
        blaming.map(|symptom| (symptom.remedies.clone(), symptom.severity)).unzip();
    let consequences: Vec<Remedy> = consequences.into_iter().flatten().collect();
    let severity = worst.into_iter().fold(incident.root.severity, Severity::min);
    let root = incident.root;
    let mut facts = root.evidence;
    facts.extend(change_fact(&root.cause, &facts));
    facts.extend(incident.also.into_iter().flat_map(|finding| finding.evidence.into_iter().take(2)));
    let ruled_facts = root.ruled_out.iter().flat_map(|(_, facts)| facts.iter().cloned());
    let evidence = numbered(facts.into_iter().chain(ruled_facts).collect());
    let ruled_out = root
        .ruled_out
        .iter()
        .map(|(what, facts)| RuledOut {
            what: what.clone(),
            because: facts
                .iter()
                .filter_map(|fact| evidence.iter().find(|(known, _)| known == fact))
                .map(|(_, e)| e.id.clone())
                .collect(),
        })
        .collect();
    let mut remedies = root.remedies;
    for remedy in consequences.into_iter().take(REMEDIES) {
        if !remedies.contains(&remedy) {
            remedies.push(remedy);
        }
    }
    operated::redirect(view, &mut remedies);
    for (number, remedy) in (1..).zip(&mut remedies) {
        remedy.option = number;
    }
    let evidence: Vec<Evidence> = evidence.into_iter().map(|(_, evidence)| evidence).collect();
    let show = show::of(view, &root.place, &root.cause, &evidence);
    Problem {
        id: id.0,
        merged_into: None,
        failure: root.failure.to_owned(),
        class: root.class.map(str::to_owned),
        title: root.title,
        severity,
        verdict: root.verdict,
        opened: began.or(root.cause.at),
        closed: None,
        closed_reason: None,
        episode: 1,
        subject: subject(&root.place),
        cause: root.cause,
        death: root.death,
        alternatives: root.alternatives,
        chain,
        evidence,
        ruled_out,
        considered,
        not_checked: not_checked.into_iter().collect(),
        impact,
        symptoms,
        remedies,
        show,
    }
}

/// The change that is the cause, as a fact: detectors need not tell it again.
fn change_fact(cause: &document::Cause, told: &[Fact]) -> Option<Fact> {
    if cause.kind != CauseKind::Change || told.iter().any(|fact| fact.source == Source::Change) {
        return None;
    }
    let about = ResourceRef::from(cause.reference.as_ref()?);
    let value = |value: &Option<serde_json::Value>| value.as_ref().map_or("absent".to_owned(), describe::value);
    let what = match &cause.field {
        Some(field) => format!("{field} {} → {}", value(&cause.from), value(&cause.to)),
        None => {
            return Some(Fact {
                role: Role::Cause,
                source: Source::Change,
                at: cause.at,
                about,
                text: cause.sentence.clone(),
                raw: None,
            });
        }
    };
    let by = cause.actor.as_ref().map(|actor| format!("  ({})", actor.manager)).unwrap_or_default();
    let text = format!("{about} {what}{by}");
    Some(Fact { role: Role::Cause, source: Source::Change, at: cause.at, about, text, raw: None })
}

/// The id that a finding's problem has.
pub(crate) fn id(finding: &Finding) -> ProblemId {
    let family = catalogue::failure(finding.failure).map_or(finding.failure, |(_, failure)| failure.family);
    let container = finding.place.container.as_ref().map(|(name, _)| name.as_str());
    ProblemId::new(&finding.place.workload, container, family)
}

fn subject(place: &crate::Place) -> Subject {
    Subject {
        reference: Ref::from(&place.workload),
        container: place.container.as_ref().map(|(name, _)| name.clone()),
        container_type: place.container.as_ref().map(|(_, kind)| kind.as_str().to_owned()),
    }
}

/// Causes first, then symptoms, then what was ruled out, each in order of time; one fact is listed once.
fn numbered(mut facts: Vec<Fact>) -> Vec<(Fact, Evidence)> {
    facts.sort_by(|a, b| {
        (a.role, a.at.is_none(), a.at, a.source, &a.text).cmp(&(b.role, b.at.is_none(), b.at, b.source, &b.text))
    });
    facts.dedup();
    (1..)
        .zip(facts)
        .map(|(number, fact)| {
            let evidence = Evidence {
                id: format!("E{number}"),
                role: fact.role,
                source: fact.source,
                at: fact.at,
                reference: Some(Ref::from(&fact.about)),
                text: fact.text.clone(),
                raw: fact.raw.clone(),
            };
            (fact, evidence)
        })
        .collect()
}

/// From the object to touch, by way of the workload, to where it shows.
fn chain(incident: &Incident) -> Vec<Link> {
    let root = &incident.root;
    let workload = &root.place.workload;
    let start = root.cause.reference.as_ref().map_or_else(|| workload.clone(), ResourceRef::from);
    let mut seen = BTreeSet::from([start.clone()]);
    let mut chain = vec![Link { reference: Ref::from(&start), role: LinkRole::Root }];
    let mut push = |reference: &ResourceRef, role| {
        if seen.insert(reference.clone()) {
            chain.push(Link { reference: Ref::from(reference), role });
        }
    };
    // The last object of a chain is where it shows, even if it is the workload itself.
    let shows: Vec<&ResourceRef> =
        root.shows_on.iter().filter(|reference| *reference != workload).take(CHAIN_PODS).collect();
    push(workload, if shows.is_empty() { LinkRole::Symptom } else { LinkRole::Via });
    for reference in shows {
        push(reference, LinkRole::Symptom);
    }
    for finding in incident.also.iter().chain(&incident.symptoms) {
        push(&finding.place.workload, LinkRole::Symptom);
    }
    chain
}

fn symptoms(incident: &Incident) -> Vec<Symptom> {
    let all = incident.also.iter().chain(&incident.symptoms);
    let set: BTreeSet<Symptom> = all
        .map(|finding| Symptom { failure: finding.failure.to_owned(), reference: Ref::from(&finding.place.workload) })
        .collect();
    set.into_iter().collect()
}

/// The order of a list: most severe first, then widest impact, then oldest; open before closed.
pub(crate) fn sort(problems: &mut [Problem]) {
    problems.sort_by(|a, b| {
        let key = |problem: &Problem| {
            let width =
                problem.impact.pods.affected as usize + problem.impact.services.len() + problem.impact.workloads.len();
            (
                problem.closed.is_some(),
                problem.severity,
                std::cmp::Reverse(width),
                problem.opened.is_none(),
                problem.opened,
                problem.subject.reference.clone(),
                problem.id.clone(),
            )
        };
        key(a).cmp(&key(b))
    });
}

/// Every object a problem names.
pub(crate) fn names(problem: &Problem) -> BTreeSet<ResourceRef> {
    let document::Problem { subject, cause, chain, symptoms, evidence, impact, .. } = problem;
    let mut names = BTreeSet::from([ResourceRef::from(&subject.reference)]);
    names.extend(cause.reference.iter().map(ResourceRef::from));
    names.extend(chain.iter().map(|link| ResourceRef::from(&link.reference)));
    names.extend(symptoms.iter().map(|symptom| ResourceRef::from(&symptom.reference)));
    let suffer = [&impact.services, &impact.workloads, &impact.routes, &impact.callers];
    names.extend(suffer.into_iter().flatten().map(ResourceRef::from));
    let about = evidence.iter().filter(|fact| fact.role != Role::RuledOut).filter_map(|fact| fact.reference.as_ref());
    names.extend(about.map(ResourceRef::from));
    names
}
