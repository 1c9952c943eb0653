//! Services that wait for the address of a load balancer.

mod words;

use super::last_write::LastWrite;
use crate::blame;
use crate::catalogue::{Failure, Stage, Verified};
use crate::{Detector, Fact, Finding, Place, View, describe, ownership, spot};
use jiff::SignedDuration;
use reckon_model::document::{Cause, CauseKind, RemedyKind, Role, Severity, Source, Verdict};
use reckon_model::k8s::{Event, Pod, ServiceSpec};
use reckon_model::selector::LabelSelector;
use reckon_model::{Body, Kind, Object, Timestamp, diff, text};
use serde_json::{Value, json};
use words::Refusal;

pub(crate) static DETECTOR: Detector = Detector {
    name: "load_balancer",
    failures: &[Failure {
        slug: "load-balancer-pending",
        title: "A Service gets no address from a load balancer",
        stage: Stage::Endpoints,
        family: "load-balancer",
        echo: false,
        verified: Verified::Constructed,
        page: include_str!("../pages/load-balancer-pending.md"),
    }],
    subjects: &[Kind::Service],
    others: &[],
    detect,
};

/// Clouds take minutes for a load balancer.
const GRACE: SignedDuration = SignedDuration::from_mins(5);

/// A Service without an address.
struct Case<'v, 'a> {
    view: &'v View<'a>,
    service: &'a Object,
    spec: &'a ServiceSpec,
    since: Option<Timestamp>,
}

fn detect<'a>(view: &View<'a>, subject: &'a Object) -> Vec<Finding> {
    let Body::Service(service) = &subject.body else { return Vec::new() };
    let spec = &service.spec;
    if spec.kind != "LoadBalancer" || service.status.address().is_some() || subject.meta.deleted.is_some() {
        return Vec::new();
    }
    // It may have been another sort of Service before.
    let became = LastWrite::of(subject, "spec.type", "/spec/type", None).map(|write| write.at());
    let since = became.or(subject.meta.created);
    if let Some(due) = since.and_then(|at| at.checked_add(GRACE).ok()).filter(|due| !view.reached(*due)) {
        view.recheck_at(due);
        return Vec::new();
    }
    let case = Case { view, service: subject, spec, since };
    case.found().into_iter().collect()
}

impl<'a> Case<'_, 'a> {
    fn found(&self) -> Option<Finding> {
        let event = self.refusal();
        let pool = self.without_pool();
        let mut finding = match (event, &pool) {
            (Some(event), _) => self.refused(&event.message, &event.reason),
            (None, Some(said)) => self.refused(said, ""),
            (None, None) => self.silent()?,
        };
        let pods = LabelSelector::exact(&self.spec.selector);
        let pods =
            (!pods.is_empty()).then(|| self.view.matching(&Kind::Pod, self.service.meta.namespace.as_deref(), &pods));
        let serves = pods.is_some_and(|pods| pods.items.iter().any(|pod| pod.pod().is_some_and(Pod::is_ready)));
        // Without a pod that would answer nobody misses the address yet.
        finding.severity = if serves { Severity::Critical } else { Severity::Warning };
        // It had an address until somebody changed what it asks for.
        finding.opened = [self.since, finding.cause.at].into_iter().flatten().max();
        if let Some(event) = event {
            let said = text::shorten(&text::clean_line(event.message.trim()), 300).into_owned();
            let words = format!("{} says {}: {said} (×{})", event.component(), event.reason, event.count());
            let raw = json!({"reason": event.reason, "message": event.message});
            finding.evidence.push(
                Fact::new(Role::Cause, Source::Event, event.last_seen(), self.service, words.trim_start()).raw(raw),
            );
        }
        if let Some(said) = pool {
            let said = text::shorten(&text::clean_line(&said), 300).into_owned();
            finding.evidence.push(Fact::new(Role::Cause, Source::Condition, None, self.service, said));
        }
        let words = "type LoadBalancer, and no address in status.loadBalancer".to_owned();
        finding.evidence.push(Fact::new(Role::Symptom, Source::Status, self.since, self.service, words));
        Some(finding)
    }

    /// The newest Event of whoever tried in vain.
    fn refusal(&self) -> Option<&'a Event> {
        let events = self.view.events(self.service);
        let done = events.iter().filter(|event| words::is_success(&event.reason)).filter_map(|it| it.last_seen()).max();
        let since = self.since;
        events.into_iter().rev().find(|event| {
            words::is_refusal(&event.reason)
                && (done.is_none() || event.last_seen() > done)
                && since.is_none_or(|since| event.last_seen().is_none_or(|at| at >= since))
        })
    }

    /// What Cilium says in a condition of the Service.
    fn without_pool(&self) -> Option<String> {
        let whole = self.service.whole()?;
        let conditions = whole.pointer("/status/conditions")?.as_array()?;
        let text =
            |condition: &Value, key: &str| condition.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let condition = conditions.iter().find(|condition| {
            text(condition, "type") == "cilium.io/IPAMRequestSatisfied" && text(condition, "status") == "False"
        })?;
        Some(format!("{}: {}", text(condition, "reason"), text(condition, "message")))
    }

    fn told(&self, class: &'static str, what: &str, cause: Cause) -> Finding {
        let title = format!("Service {} gets no address: {what}", describe::object(self.service));
        let mut finding = Finding::new("load-balancer-pending", Place::of(self.service), title, cause);
        finding.class = Some(class);
        finding
    }

    /// A field of the Service that is wrong, by change where one is known.
    fn field(&self, field: &str, pointer: &str, sentence: &str) -> Cause {
        let value = self.service.whole().and_then(|whole| whole.pointer(pointer).cloned());
        let changed = blame::object_change(self.view, self.service, None, |it| (it.pointer == pointer).then_some(0));
        if let Some(blame) = changed {
            return blame.cause(self.view, format!("{sentence} {field} was {}.", blame.words()));
        }
        if let Some(write) = LastWrite::of(self.service, field, pointer, value.clone()) {
            return write.cause(format!("{sentence} {field} was written {}.", write.words()));
        }
        let mut cause = Cause::plain(CauseKind::Resource, Some(&self.service.reference()), sentence);
        cause.managed_by = ownership::managed_by(self.service);
        cause.at_field(field, pointer, value)
    }

    /// Somebody tried, and says why not.
    fn refused(&self, message: &str, reason: &str) -> Finding {
        let refusal = Refusal::of(message);
        let said = text::clean_line(words::tail(message));
        let said = text::shorten(said.trim_end_matches('.'), 200).into_owned();
        let service = self.service.reference();
        let sentence = format!("Whoever gives addresses was asked and says no: {said}.");
        let outside = |ask: &str| spot::remedy(RemedyKind::Outside, &service, ask);
        let patch = |ask: String| {
            let mut remedy = spot::remedy(RemedyKind::Patch, &service, ask);
            remedy.managed_by = ownership::managed_by(self.service);
            remedy
        };
        let annotation = self.annotation(message);
        let (class, what, cause, remedy) = match (refusal, annotation) {
            (Refusal::Address, _) if self.asks_for_address().is_some() => {
                let (field, pointer) = self.asks_for_address().unwrap_or_default();
                let cause = self.field(&field, &pointer, &sentence);
                let mut remedy = patch(
                    "Ask for no address in particular, or for one that is free and belongs to the pool.".to_owned(),
                );
                if field == "spec.loadBalancerIP" {
                    remedy.patch_type = Some("merge".to_owned());
                    remedy.patch = Some(json!({"spec": {"loadBalancerIP": null}}));
                }
                ("address", "the address that it asks for cannot be had", cause, remedy)
            }
            // An annotation that the refusal quotes is wrong, whatever else it says.
            (_, Some((key, pointer))) => {
                let field = format!("metadata.annotations[{key}]");
                let cause = self.field(&field, &pointer, &sentence);
                (
                    "annotation",
                    "one of its annotations is not accepted",
                    cause,
                    patch(format!("Correct the annotation {key}, or take it out.")),
                )
            }
            (Refusal::Quota | Refusal::Address, _) => (
                "quota",
                "no address or load balancer is left",
                Cause::plain(CauseKind::External, Some(&service), sentence),
                outside(
                    "Raise the quota at the cloud, or add addresses to the pool of the load balancer; it is tried again by itself.",
                ),
            ),
            (Refusal::Permission, _) => (
                "permission",
                "the cloud refuses the controller",
                Cause::plain(CauseKind::External, Some(&service), sentence),
                outside("Renew the credentials and rights of the cloud controller at the cloud."),
            ),
            (Refusal::Network, _) => (
                "network",
                "no network is found to put it in",
                Cause::plain(CauseKind::External, Some(&service), sentence),
                outside("Tag a subnet for load balancers at the cloud, or name it in the Service's annotations."),
            ),
            (Refusal::Nodes, _) => (
                "no-nodes",
                "there is no node that it could send to",
                Cause::plain(
                    CauseKind::Resource,
                    Some(&service),
                    "The controller finds no node for the load balancer: all are excluded by label, or not ready.",
                ),
                outside(
                    "Look at the nodes: load balancers leave out those with the label node.kubernetes.io/exclude-from-external-load-balancers.",
                ),
            ),
            (Refusal::Other, _) => (
                "refused",
                "whoever gives addresses refuses",
                Cause::plain(CauseKind::External, Some(&service), sentence),
                outside("Look at the log of the controller that makes load balancers, and at the cloud."),
            ),
        };
        let mut finding = self.told(class, what, cause);
        finding.verdict = if said.is_empty() && reason.is_empty() { Verdict::Likely } else { Verdict::Confirmed };
        finding.remedies.push(remedy);
        finding
    }

    /// The annotation that a refusal names, by its key or, where that is telling, its value.
    fn annotation(&self, message: &str) -> Option<(String, String)> {
        let balancing = |key: &str| {
            key.contains("load-balancer")
                || key.contains("loadbalancer")
                || key.contains("metallb")
                || key.contains("lb-")
        };
        let (key, _) = self.service.meta.annotations.iter().find(|(key, value)| {
            let short = key.rsplit('/').next().unwrap_or(key);
            balancing(key)
                && (message.contains(key.as_str())
                    || (short.len() > 6 && message.contains(short))
                    || (value.len() > 5 && message.contains(value.as_str())))
        })?;
        Some((key.clone(), format!("/metadata/annotations/{}", diff::escape(key))))
    }

    /// Where the Service asks for an address of its own choice.
    fn asks_for_address(&self) -> Option<(String, String)> {
        const ASKING: [&str; 3] =
            ["metallb.universe.tf/loadBalancerIPs", "metallb.io/loadBalancerIPs", "io.cilium/lb-ipam-ips"];
        let whole = self.service.whole()?;
        if whole.pointer("/spec/loadBalancerIP").and_then(Value::as_str).is_some_and(|ip| !ip.is_empty()) {
            return Some(("spec.loadBalancerIP".to_owned(), "/spec/loadBalancerIP".to_owned()));
        }
        let key = ASKING.iter().find(|key| self.service.meta.annotations.contains_key(**key))?;
        Some((format!("metadata.annotations[{key}]"), format!("/metadata/annotations/{}", diff::escape(key))))
    }

    /// Nobody says anything. Where no Service of the cluster ever got an address, there is nobody who would.
    fn silent(&self) -> Option<Finding> {
        let all = self.view.all(&Kind::Service, None).items;
        let served: Vec<(&Object, &ServiceSpec)> = all
            .into_iter()
            .filter_map(|object| match &object.body {
                Body::Service(service) if service.spec.kind == "LoadBalancer" => {
                    service.status.address().map(|_| (object, &service.spec))
                }
                _ => None,
            })
            .collect();
        let (example, _) = *served.first()?;
        let class = self.spec.load_balancer_class.as_str();
        let alike: Vec<&(&Object, &ServiceSpec)> =
            served.iter().filter(|(_, spec)| spec.load_balancer_class == class).collect();
        let mut finding = match alike.first() {
            None if !class.is_empty() => {
                let sentence = format!(
                    "Nobody here gives addresses to Services of the class {class}; others have theirs from elsewhere."
                );
                let cause = self.field("spec.loadBalancerClass", "/spec/loadBalancerClass", &sentence);
                let mut finding = self.told("class-unserved", &format!("nobody serves its class {class}"), cause);
                let ask = "Make the Service again with a class that is served, or without one: it cannot be changed.";
                finding.remedies.push(spot::remedy(RemedyKind::Create, &self.service.reference(), ask));
                finding
            }
            // Those that have an address name a class: the cluster's own controller may never have been there.
            None => return None,
            Some((other, _)) => {
                let sentence = format!(
                    "Nobody has said a word of this Service, though {} has an address: whoever gives them is down, or does not look here.",
                    describe::object(other)
                );
                let cause = Cause::plain(CauseKind::External, Some(&self.service.reference()), sentence);
                let mut finding = self.told("silent", "nobody answers for it", cause);
                let ask = "Look whether the cloud controller, or the load balancer's controller, runs, and what its log says.";
                finding.remedies.push(spot::remedy(RemedyKind::Outside, &self.service.reference(), ask));
                finding
            }
        };
        let other = alike.first().map_or(example, |(object, _)| object);
        let words = format!("Service {} has an address", describe::object(other));
        finding.evidence.push(Fact::new(Role::Cause, Source::Status, None, other, words));
        Some(finding)
    }
}
