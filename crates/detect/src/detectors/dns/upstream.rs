//! Servers outside of the cluster that its DNS asks, and that do not answer.

use super::server::Server;
use super::{config, corefile, lookups};
use crate::blame;
use crate::detectors::{configuration, revision};
use crate::{Fact, Finding, Place, View, describe, ownership, spot};
use reckon_model::document::{Alternative, Cause, CauseKind, Remedy, RemedyKind, Role, Source, Verdict};
use reckon_model::{Kind, LogLine, Object, text};
use serde_json::Value;

/// One question may be lost.
const ENOUGH: usize = 3;

/// Only so many pods of the DNS are read; each asks the same servers.
const READ: usize = 2;

/// A program got no answer for a name outside of the cluster, and the cluster's DNS says that it got none, either.
pub(super) fn found<'a>(view: &View<'a>, subject: &'a Object, line: &'a LogLine, name: &str) -> Option<Finding> {
    let server = Server::any(view)?;
    let mut told: Vec<(&Object, &LogLine, &str)> = Vec::new();
    for pod in server.ready().take(READ) {
        let lines = view.log(pod, Server::container(pod.pod()?), false).unwrap_or_default();
        told.extend(lines.iter().filter_map(|line| {
            let (name, why) = corefile::unanswered(&line.text)?;
            lookups::is_outside(name).then_some((pod, line, why))
        }));
    }
    if told.len() < ENOUGH {
        return None;
    }
    let (pod, last, why) = *told.last()?;
    let workload = view.workload_of(pod);
    let asked = corefile::asked(why).unwrap_or_default();
    let whom = if asked.is_empty() {
        "the servers that it asks".to_owned()
    } else {
        format!("name server {asked}, which it asks")
    };
    let how = if why.contains("refused") { "refuse it" } else { "do not answer" };
    let how = if asked.is_empty() {
        how.to_owned()
    } else {
        how.replace("refuse it", "refuses it").replace("do not answer", "does not answer")
    };
    let mut written = None;
    let (class, cause, remedy) = match (policy(&server, pod), forwards(&server, asked)) {
        (Some((class, cause, remedy)), _) => (class, cause, Some(remedy)),
        (None, Some((cause, fact, remedy))) => {
            written = fact;
            ("forward", cause, remedy)
        }
        (None, None) => {
            let sentence = format!("CoreDNS gets no answer for names outside of the cluster: {whom}, {how}.");
            let on = server.config().unwrap_or(workload);
            let mut cause = Cause::plain(CauseKind::External, Some(&on.reference()), sentence);
            cause.managed_by = ownership::managed_by(on).map(str::to_owned);
            let ask = "Look at the name servers outside of the cluster, and at what lies between them and the nodes of CoreDNS; they stand behind forward in the Corefile, or in /etc/resolv.conf of those nodes.";
            ("outside", cause, Some(spot::remedy(RemedyKind::Outside, &on.reference(), ask)))
        }
    };
    let title = format!("names outside of the cluster are not resolved: {whom}, {how}");
    let mut finding = Finding::new("dns-upstream", Place::of(workload), title, cause);
    finding.class = Some(class);
    finding.verdict = Verdict::Likely;
    finding.shows_on = [subject.reference()].into();
    finding.evidence.extend(written);
    finding.opened = told.iter().filter_map(|(_, line, _)| line.at).min();
    let said = text::shorten(last.text.trim(), 300).into_owned();
    let words = format!("{said} ({} such lines)", told.len());
    finding.evidence.push(Fact::new(Role::Cause, Source::Log, last.at, pod, words));
    let said = text::shorten(line.text.trim(), 300).into_owned();
    finding.evidence.push(Fact::new(Role::Symptom, Source::Log, line.at, subject, said));
    finding.remedies.extend(remedy);
    if class == "outside" {
        finding.alternatives.push(Alternative {
            reference: None,
            verdict: Verdict::Possible,
            sentence: format!(
                "The way from the pods of CoreDNS may be closed on their nodes: asking the same server for {} from a node would tell.",
                text::shorten(name, 80)
            ),
        });
    }
    Some(finding)
}

/// The server that does not answer was written into the Corefile today.
fn forwards(server: &Server<'_, '_>, asked: &str) -> Option<config::Blamed> {
    let config = server.config()?;
    let text = config.whole().and_then(|it| it.pointer("/data/Corefile")?.as_str().map(str::to_owned))?;
    let named = !asked.is_empty()
        && corefile::directives(&text).any(|(name, rest)| {
            matches!(name, "forward" | "proxy") && rest.split_whitespace().any(|to| to.contains(asked))
        });
    let change = configuration::changed(server.view, config, None, None).filter(|_| named)?;
    let until = change.at.checked_add(revision::WINDOW).ok()?;
    if server.view.reached(until) {
        return None;
    }
    Some(config::edit(config, change, &format!("; it sends questions to {asked}, which does not answer.")))
}

/// A policy that lets nothing out of the pods of the DNS to where servers are asked.
fn policy<'a>(server: &Server<'_, 'a>, pod: &Object) -> Option<(&'static str, Cause, Remedy)> {
    let view = server.view;
    let policies = view.all(&Kind::of_group("networking.k8s.io", "NetworkPolicy"), pod.meta.namespace.as_deref()).items;
    let selecting: Vec<(&Object, Value)> = policies
        .into_iter()
        .filter_map(|object| Some((object, object.whole()?.get("spec")?.clone())))
        .filter(|(_, spec)| selects(spec, pod) && of_egress(spec))
        .collect();
    // What one of them allows is allowed.
    if selecting.is_empty() || selecting.iter().any(|(_, spec)| lets_out(spec)) {
        return None;
    }
    let (object, _) = selecting.first()?;
    let name = describe::object(object);
    let sentence = format!("NetworkPolicy {name} lets the pods of the cluster's DNS ask nobody outside at port 53.");
    let changed = blame::object_change(view, object, None, |field| field.pointer.starts_with("/spec").then_some(0));
    let cause = match changed {
        Some(blame) => blame.cause(view, format!("{sentence} {} was {}.", blame.field().field, blame.words())),
        None => {
            let mut cause = Cause::plain(CauseKind::Resource, Some(&object.reference()), sentence);
            cause.managed_by = ownership::managed_by(object).map(str::to_owned);
            cause.at_field(
                "spec.egress",
                "/spec/egress",
                object.whole().and_then(|it| it.pointer("/spec/egress").cloned()),
            )
        }
    };
    let ask = "Allow the pods of the cluster's DNS to send to port 53, UDP and TCP, of the servers that they ask.";
    let mut remedy = spot::remedy(RemedyKind::Patch, &object.reference(), ask);
    remedy.managed_by = ownership::managed_by(object).map(str::to_owned);
    Some(("policy", cause, remedy))
}

fn selects(spec: &Value, pod: &Object) -> bool {
    let selector = spec.get("podSelector").cloned().unwrap_or_default();
    serde_json::from_value::<reckon_model::selector::LabelSelector>(selector)
        .is_ok_and(|selector| selector.is_empty() || selector.matches(&pod.meta.labels))
}

fn of_egress(spec: &Value) -> bool {
    let listed =
        spec.get("policyTypes").and_then(Value::as_array).is_some_and(|types| types.iter().any(|it| it == "Egress"));
    listed || (spec.get("policyTypes").is_none() && spec.get("egress").is_some())
}

/// Whether a rule lets something out to addresses, or to anywhere, at port 53. Rules for pods and namespaces let nothing
/// out of the cluster.
fn lets_out(spec: &Value) -> bool {
    let rules = spec.get("egress").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    rules.iter().any(|rule| {
        let list = |key: &str| rule.get(key).and_then(Value::as_array).filter(|list| !list.is_empty());
        let there = list("to").is_none_or(|to| to.iter().any(|peer| peer.get("ipBlock").is_some()));
        let port = list("ports").is_none_or(|ports| {
            ports.iter().any(|port| match port.get("port") {
                None => true,
                Some(Value::Number(number)) => {
                    let end = port.get("endPort").and_then(Value::as_i64);
                    number.as_i64().is_some_and(|from| from <= 53 && 53 <= end.unwrap_or(from))
                }
                // A name is one of the far end's, which nobody outside has.
                Some(_) => false,
            })
        });
        there && port
    })
}
