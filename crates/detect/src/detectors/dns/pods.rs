//! Pods whose programs cannot look up names: because the pod does not ask the cluster's DNS, or because whom that asks does
//! not answer.

use super::lookups::{self, Failed};
use super::server::Server;
use super::upstream;
use crate::blame;
use crate::detectors::{logs, revision};
use crate::spot::{self, Path, Spot};
use crate::{Fact, Finding, Place, View, describe};
use reckon_model::document::{Cause, CauseKind, RemedyKind, Role, Source, Verdict};
use reckon_model::k8s::{Event, Pod};
use reckon_model::{FieldChange, Kind, LogLine, Object, ResourceRef, text};
use serde_json::{Value, json};

/// What ails a pod that cannot look up a name.
pub(super) fn found<'a>(view: &View<'a>, subject: &'a Object, pod: &'a Pod) -> Vec<Finding> {
    if subject.meta.deleted.is_some() || pod.status.phase == "Succeeded" || pod.spec.node_name.is_empty() {
        return Vec::new();
    }
    let namespace = subject.namespace();
    let look =
        |(kind, container, status): (_, &'a reckon_model::k8s::Container, &'a reckon_model::k8s::ContainerStatus)| {
            let lines = logs::last_words(view, subject, status);
            let (line, failed) = lines.iter().rev().find_map(|line| Some((line, lookups::failed(&line.text)?)))?;
            if lookups::is_outside(failed.name) {
                // Who does not ask the cluster's DNS is not helped by it.
                return if failed.denied { None } else { upstream::found(view, subject, line, failed.name) };
            }
            let (name, space) = lookups::service(failed.name, namespace)?;
            let service = view.object(&Kind::Service, Some(space), name).found()?;
            let place = Place::container(view.workload_of(subject), &container.name, kind);
            let case = Case { view, subject, pod, workload: view.workload_of(subject), line, failed, service };
            case.elsewhere(place)
        };
    logs::failing(view, pod).filter_map(look).take(1).collect()
}

/// A pod that asked for the name of a Service that is there.
struct Case<'v, 'a> {
    view: &'v View<'a>,
    subject: &'a Object,
    pod: &'a Pod,
    workload: &'a Object,
    line: &'a LogLine,
    failed: Failed<'a>,
    service: &'a Object,
}

/// Why a pod asks another server.
struct Asks {
    class: &'static str,
    key: &'static str,
    value: Option<Value>,
    why: String,
    patch: Value,
    advice: &'static str,
}

impl<'a> Case<'_, 'a> {
    /// The pod asks other servers than the cluster's, and those do not know its Services.
    fn elsewhere(&self, place: Place) -> Option<Finding> {
        let spot = Spot::of(self.workload);
        let asks = spot.as_ref().and_then(|spot| self.asks(spot));
        let name = text::shorten(self.failed.name, 100).into_owned();
        let whose = describe::object(self.workload);
        let mut finding = match (asks, spot) {
            (Some(asks), Some(spot)) => {
                let path = spot.path(asks.key);
                let what = format!("cannot find {name}, {}", asks.why);
                let cause = self.cause(&spot, &path, &asks);
                let title = format!("{whose}: {} {what}", place.container.as_ref().map_or("it", |(name, _)| name));
                let mut finding = Finding::new("dns-pod-config", place, title, cause);
                finding.class = Some(asks.class);
                finding.remedies.push(spot.patch(Some(asks.patch), asks.advice));
                finding
            }
            _ => self.without_server(place, &whose, &name)?,
        };
        finding.verdict = Verdict::Confirmed;
        finding.severity = spot::severity(self.workload);
        finding.shows_on = [self.subject.reference()].into();
        finding.opened = self.line.at.or(self.pod.status.start_time);
        let said = text::shorten(self.line.text.trim(), 300).into_owned();
        finding.evidence.push(Fact::new(Role::Symptom, Source::Log, self.line.at, self.subject, said));
        let words = format!("Service {} is there", describe::object(self.service));
        finding.evidence.push(Fact::new(Role::Cause, Source::Spec, None, self.service, words));
        Some(finding)
    }

    /// What the template says about whom to ask, if that is not the cluster's DNS.
    fn asks(&self, spot: &Spot<'_>) -> Option<Asks> {
        let written = |key: &str| spot.written(&spot.path(key));
        let policy = written("dnsPolicy").and_then(|it| it.as_str().map(str::to_owned)).unwrap_or_default();
        let host = spot.spec.host_network;
        match policy.as_str() {
            // A pod with the node's network is given the node's servers, whatever the policy is called.
            "" | "ClusterFirst" if host => Some(Asks {
                class: "host-network",
                key: "dnsPolicy",
                value: written("dnsPolicy"),
                why: "as it uses its node's network, and with it its node's name servers".to_owned(),
                patch: json!({"dnsPolicy": "ClusterFirstWithHostNet"}),
                advice: "Give the pods dnsPolicy ClusterFirstWithHostNet, which asks the cluster's DNS from the node's network, too.",
            }),
            "Default" => Some(Asks {
                class: "policy-default",
                key: "dnsPolicy",
                value: written("dnsPolicy"),
                why: "as its dnsPolicy Default means its node's name servers".to_owned(),
                patch: json!({"dnsPolicy": if host { "ClusterFirstWithHostNet" } else { "ClusterFirst" }}),
                advice: "Let the pods ask the cluster's DNS.",
            }),
            "None" => {
                let config = written("dnsConfig").unwrap_or_default();
                let servers: Vec<&str> = config
                    .get("nameservers")
                    .and_then(Value::as_array)
                    .into_iter()
                    .flatten()
                    .filter_map(Value::as_str)
                    .collect();
                let own = Server::any(self.view)?;
                if servers.contains(&own.spec.cluster_ip.as_str()) {
                    return None;
                }
                Some(Asks {
                    class: "policy-none",
                    key: "dnsConfig",
                    why: format!("as its dnsConfig names only {}", text::shorten(&text::enumerate(&servers), 80)),
                    value: Some(json!({"nameservers": servers})),
                    patch: json!({"dnsPolicy": "ClusterFirst"}),
                    advice: "Let the pods ask the cluster's DNS, which asks others for what it does not know; what dnsConfig names is asked beside it.",
                })
            }
            _ => None,
        }
    }

    fn cause(&self, spot: &Spot<'_>, path: &Path, asks: &Asks) -> Cause {
        let rank = |field: &FieldChange| {
            let below = |key: &str| spot.path(key).is_touched_by(field);
            ["dnsPolicy", "dnsConfig", "hostNetwork"].iter().any(|key| below(key)).then_some(0)
        };
        let changed = blame::template_change(self.view, self.workload, Some(self.subject), None, rank);
        let fresh = changed.filter(|blame| {
            let born = self.subject.meta.created.and_then(|at| at.checked_sub(revision::WINDOW).ok());
            born.is_none_or(|since| blame.change.at >= since)
        });
        match fresh {
            Some(blame) => {
                let sentence = format!(
                    "{} was {}: the program asks servers that do not know the cluster's Services.",
                    blame.field().field,
                    blame.words()
                );
                blame.cause(self.view, sentence)
            }
            None => {
                let sentence =
                    format!("The program asks servers that do not know the cluster's Services, {}.", asks.why);
                spot.wrong(path, asks.value.clone(), sentence)
            }
        }
    }

    /// The kubelet was not told the address of the cluster's DNS.
    fn without_server(&self, place: Place, whose: &str, name: &str) -> Option<Finding> {
        let told = |event: &&Event| event.reason == "MissingClusterDNS";
        let event = self.view.events(self.subject).into_iter().rev().find(told)?;
        let node = ResourceRef::new(Kind::Node, None, &self.pod.spec.node_name);
        let sentence = format!(
            "The kubelet of node {} was not told the address of the cluster's DNS (clusterDNS), and gives pods its node's name servers.",
            node.name
        );
        let title = format!("{whose}: cannot find {name}, as the kubelet of {} knows no cluster DNS", node.name);
        let mut finding =
            Finding::new("dns-pod-config", place, title, Cause::plain(CauseKind::Node, Some(&node), sentence));
        finding.class = Some("kubelet");
        let said = text::shorten(&text::clean_line(&event.message), 300).into_owned();
        finding.evidence.push(Fact::new(Role::Cause, Source::Event, event.last_seen(), self.subject, said));
        let ask = "Give the kubelet's configuration clusterDNS and clusterDomain, restart it, and make its pods again.";
        finding.remedies.push(spot::remedy(RemedyKind::Outside, &node, ask));
        Some(finding)
    }
}
