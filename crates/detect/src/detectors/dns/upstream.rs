//! Servers outside of the cluster that its DNS asks, and that do not answer.

use super::server::Server;
use super::{config, corefile, lookups};
use crate::detectors::network_policy::{self, Way};
use crate::detectors::{configuration, revision};
use crate::{Fact, Finding, Place, View, describe, ownership, spot};
use reckon_model::document::{Alternative, Cause, CauseKind, Remedy, RemedyKind, Role, Source, Verdict};
use reckon_model::{LogLine, Object, text};

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
            cause.managed_by = ownership::managed_by(on);
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
fn policy(server: &Server<'_, '_>, pod: &Object) -> Option<(&'static str, Cause, Remedy)> {
    let object = network_policy::shut_to_addresses(server.view, pod, 53).into_iter().next()?;
    let name = describe::object(object);
    let sentence = format!("NetworkPolicy {name} lets the pods of the cluster's DNS ask nobody outside at port 53.");
    let cause = network_policy::cause(server.view, object, Way::Egress, &sentence);
    let ask = "Allow the pods of the cluster's DNS to send to port 53, UDP and TCP, of the servers that they ask.";
    Some(("policy", cause, network_policy::open(object, ask.to_owned())))
}
