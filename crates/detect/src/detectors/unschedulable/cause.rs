//! Who made it so that no node takes the pod.

use super::funnel::Decision;
use super::hurdle::Hurdle;
use super::message::Said;
use super::spread::{self, Excludes};
use super::words;
use crate::blame::{self, Blame};
use crate::detectors::preemption::Preemption;
use crate::detectors::revision::WINDOW;
use crate::detectors::{host_ports, node_labels};
use crate::spot::{self, Spot};
use crate::{View, describe, ownership};
use jiff::SignedDuration;
use reckon_model::document::{Cause, CauseKind, Remedy, RemedyKind};
use reckon_model::k8s::Pod;
use reckon_model::{FieldChange, Object, Quantity, Timestamp};
use serde_json::{Value, json};

/// How long before a pod began to wait the one before it may have been preempted: it is given time to end first.
const LATELY: SignedDuration = SignedDuration::from_mins(10);

pub(super) struct Case<'v, 'a> {
    pub(super) view: &'v View<'a>,
    pub(super) subject: &'a Object,
    pub(super) pod: &'a Pod,
    pub(super) workload: &'a Object,
    /// Since when it waits.
    pub(super) since: Option<Timestamp>,
}

impl<'a> Case<'_, 'a> {
    /// The change that made it so, or the field that is wrong as it stands.
    pub(super) fn cause(&self, decision: &Decision<'_, 'a>, said: &Said, words: &str) -> Cause {
        let hurdle = decision.hurdle;
        let resource = words::resource(decision, said);
        let own = self.own_change(hurdle, resource.as_deref());
        let nodes = self.node_change(decision);
        // The later one came last to what had gone well before.
        let latest = [own, nodes].into_iter().flatten().max_by_key(|blame| blame.change.at);
        if let Some(blame) = latest {
            let whose = match blame.change.subject == self.workload.reference() {
                true => blame.field().field.clone(),
                false => format!("{} of {}", blame.field().field, describe::name(&blame.change.subject)),
            };
            return blame.cause(self.view, format!("{whose} was {}, and since then {words}.", blame.words()));
        }
        if let Some(cause) = self.preempted(hurdle, words) {
            return cause;
        }
        self.as_it_stands(decision, said, resource.as_deref(), format!("No node takes the pod: {words}."))
    }

    /// The pod that took the room of the one before this: its owner makes it again, and it finds its place taken.
    fn preempted(&self, hurdle: Hurdle, words: &str) -> Option<Cause> {
        let owner = self.subject.meta.controller().filter(|_| matches!(hurdle, Hurdle::Room | Hurdle::Slots))?;
        let prefix = format!("{}-", owner.name);
        let preemption = Preemption::newest(self.view, self.subject.namespace(), |name| name.starts_with(&prefix))?;
        let lately = self.since?.duration_since(preemption.at?) <= LATELY;
        lately.then(|| {
            let importance = preemption.importance(Some(self.subject));
            let when = preemption.at.map(describe::time).unwrap_or_default();
            let sentence = format!(
                "A pod of {} was removed at {when} to make room for {}{importance}; since then {words}.",
                describe::object(self.workload),
                preemption.name
            );
            preemption.cause(self.view, self.workload, sentence)
        })
    }

    fn as_it_stands(
        &self,
        decision: &Decision<'_, 'a>,
        said: &Said,
        resource: Option<&str>,
        sentence: String,
    ) -> Cause {
        let node = decision.on.first().map(|node| node.node);
        match (decision.hurdle, node) {
            (Hurdle::Ill, Some(node)) => Cause::plain(CauseKind::Node, Some(&node.reference()), sentence),
            (Hurdle::Cordoned, Some(node)) => Cause::plain(CauseKind::Resource, Some(&node.reference()), sentence)
                .at_field("spec.unschedulable", "/spec/unschedulable", Some(json!(true))),
            (Hurdle::Taint, Some(node)) => {
                let taint =
                    decision.on.iter().flat_map(|node| &node.taints).next().map(|taint| json!(taint.describe()));
                Cause::plain(CauseKind::Resource, Some(&node.reference()), sentence).at_field(
                    "spec.taints",
                    "/spec/taints",
                    taint,
                )
            }
            (Hurdle::Existing, _) => {
                let holder =
                    decision.on.iter().find_map(|node| node.holder).map(|holder| self.view.workload_of(holder));
                self.term(holder.unwrap_or(self.workload), Hurdle::Existing, decision, sentence)
            }
            (Hurdle::Slots | Hurdle::NoNodes, _) => {
                Cause::plain(CauseKind::Node, node.map(Object::reference).as_ref(), sentence)
            }
            (Hurdle::Size | Hurdle::Room, _) => self.request(resource, sentence),
            (Hurdle::Labels, _) => self.labels(decision, sentence),
            (Hurdle::Taint | Hurdle::Ill | Hurdle::Cordoned, None) => {
                self.at(self.workload, &["tolerations"], None, sentence)
            }
            (Hurdle::HostPort, _) => self.host_port(decision, sentence),
            (Hurdle::Affinity | Hurdle::AntiAffinity, _) => {
                self.term(self.workload, decision.hurdle, decision, sentence)
            }
            (Hurdle::Spread, _) => self.spread(decision, sentence),
            (Hurdle::Devices | Hurdle::DevicesInUse | Hurdle::DeviceClaim | Hurdle::DeviceClass, _) => {
                self.at(self.workload, &["resourceClaims"], None, sentence)
            }
            (Hurdle::Feature, Some(node)) => Cause::plain(CauseKind::Node, Some(&node.reference()), sentence),
            (
                Hurdle::Claim
                | Hurdle::Reach
                | Hurdle::Storage
                | Hurdle::VolumeInUse
                | Hurdle::VolumeLimit
                | Hurdle::Driver,
                _,
            ) => self.volumes(decision, said, sentence),
            _ => Cause::plain(CauseKind::Unknown, Some(&self.workload.reference()), sentence),
        }
    }

    /// A field of a workload's pod spec that is wrong as it stands.
    fn at(&self, workload: &Object, keys: &[&str], value: Option<Value>, sentence: String) -> Cause {
        let Some((spot, (first, rest))) = Spot::of(workload).zip(keys.split_first()) else {
            return Cause::plain(CauseKind::Resource, Some(&workload.reference()), sentence);
        };
        let path = rest.iter().fold(spot.path(first), |path, key| path.key(key));
        spot.wrong(&path, value, sentence)
    }

    /// The label that no node has.
    fn labels(&self, decision: &Decision<'_, 'a>, sentence: String) -> Cause {
        let excluding = node_labels::excluding(self.pod, &decision.nodes());
        let written = excluding.zip(Spot::of(self.workload)).and_then(|(excluding, spot)| {
            let path = excluding.wanted.path(&spot)?;
            Some(spot.wrong(&path, Some(excluding.wanted.value()), sentence.clone()))
        });
        match written {
            Some(cause) => cause,
            None if self.pod.spec.node_selector.is_empty() => {
                self.at(self.workload, &["affinity", "nodeAffinity"], None, sentence)
            }
            None => self.at(self.workload, &["nodeSelector"], Some(json!(self.pod.spec.node_selector)), sentence),
        }
    }

    /// The host port that is taken: as computed, or the only one there is.
    fn host_port(&self, decision: &Decision<'_, 'a>, sentence: String) -> Cause {
        let taken = decision.on.iter().find_map(|node| node.port);
        let found = Spot::of(self.workload).and_then(|spot| {
            let (path, number) = host_ports::written(&spot, taken)?;
            Some(spot.wrong(&path, Some(json!(number)), sentence.clone()))
        });
        found.unwrap_or_else(|| self.at(self.workload, &["containers"], None, sentence))
    }

    /// The term of a rule about other pods.
    fn term(&self, workload: &Object, hurdle: Hurdle, decision: &Decision<'_, 'a>, sentence: String) -> Cause {
        let rule = if hurdle == Hurdle::Affinity { "podAffinity" } else { "podAntiAffinity" };
        let term = decision.on.iter().find_map(|node| node.terms.get(&hurdle).copied());
        let written = Spot::of(workload).zip(term).and_then(|(spot, term)| {
            let affinity = &spot.spec.affinity;
            let own = if rule == "podAffinity" { &affinity.pod_affinity } else { &affinity.pod_anti_affinity };
            let at = own.required.iter().position(|own| own == term)?;
            let path = spot.path("affinity").key(rule).key(node_labels::REQUIRED).item(&at.to_string(), at);
            Some(spot.wrong(&path, spot.written(&path), sentence.clone()))
        });
        written.unwrap_or_else(|| self.at(workload, &["affinity", rule], None, sentence))
    }

    /// The option of the spread constraint that excludes the nodes.
    fn spread(&self, decision: &Decision<'_, 'a>, sentence: String) -> Cause {
        let written = Spot::of(self.workload).zip(spread::most(&decision.on)).and_then(|(spot, limit)| {
            let at = spot.spec.topology_spread_constraints.iter().position(|own| own == limit.constraint)?;
            let path = spot.path("topologySpreadConstraints").item(&limit.constraint.topology_key, at);
            let path = path.key(limit.by.option());
            let value = match limit.by {
                Excludes::Key => Some(json!(limit.constraint.topology_key)),
                Excludes::MinDomains(_) => limit.constraint.min_domains.map(|wanted| json!(wanted)),
                // `Ignore` is what holds where nothing is written.
                Excludes::Taints | Excludes::Affinity => Some(json!("Ignore")),
                Excludes::Skew => Some(json!(limit.constraint.max_skew)),
            };
            Some(spot.wrong(&path, value, sentence.clone()))
        });
        written.unwrap_or_else(|| self.at(self.workload, &["topologySpreadConstraints"], None, sentence))
    }

    /// The request itself: of the pod as a whole, or of the container that asks most.
    fn request(&self, resource: Option<&str>, sentence: String) -> Cause {
        let plain = |sentence: String| {
            let mut cause = Cause::plain(CauseKind::Resource, Some(&self.workload.reference()), sentence);
            cause.managed_by = ownership::managed_by(self.workload);
            cause
        };
        let (Some(resource), Some(spot)) = (resource, Spot::of(self.workload)) else { return plain(sentence) };
        let written = |quantity: &Quantity| json!(quantity.as_str());
        if let Some(whole) = spot.spec.resources.requests.get(resource) {
            return spot.wrong(&spot.path("resources").key("requests").entry(resource), Some(written(whole)), sentence);
        }
        // Where only a limit is written, it is the request as well.
        let asked = |container: &reckon_model::k8s::Container| {
            let resources = &container.resources;
            let of = |part: &'static str| match part {
                "requests" => resources.requests.get(resource).cloned(),
                _ => resources.limits.get(resource).cloned(),
            };
            ["requests", "limits"].into_iter().find_map(|part| Some((part, of(part)?)))
        };
        let asks = |container: &&reckon_model::k8s::Container| {
            asked(container).and_then(|(_, quantity)| quantity.nanos()).unwrap_or(0)
        };
        let all = spot.spec.containers.iter().chain(&spot.spec.init_containers);
        let Some(most) = all.filter(|container| asks(container) > 0).max_by_key(asks) else { return plain(sentence) };
        let Some(path) = spot.container(&most.name) else { return plain(sentence) };
        let Some((part, quantity)) = asked(most) else { return plain(sentence) };
        spot.wrong(&path.key("resources").key(part).entry(resource), Some(written(&quantity)), sentence)
    }

    /// The newest change of the template that can have made this, if it came shortly before.
    fn own_change(&self, hurdle: Hurdle, resource: Option<&str>) -> Option<Blame> {
        let touches = |change: &FieldChange, part: &str| change.field.contains(part) || change.pointer.contains(part);
        let blame = blame::template_change(self.view, self.workload, Some(self.subject), None, |change| {
            let fits = match hurdle {
                Hurdle::Room | Hurdle::Size => resource.is_some_and(|resource| asks_for_more(change, resource)),
                Hurdle::Taint => touches(change, "tolerations"),
                Hurdle::Labels => touches(change, "nodeSelector") || touches(change, "nodeAffinity"),
                Hurdle::Affinity => touches(change, "podAffinity"),
                Hurdle::AntiAffinity => touches(change, "podAntiAffinity"),
                Hurdle::Spread => touches(change, "topologySpreadConstraints"),
                Hurdle::HostPort => touches(change, "hostPort") || touches(change, "hostNetwork"),
                Hurdle::Devices => touches(change, "resourceClaims"),
                _ => false,
            };
            fits.then_some(0)
        })?;
        self.is_fresh(&blame).then_some(blame)
    }

    /// The newest change of one of the nodes in question that can have made this.
    fn node_change(&self, decision: &Decision<'_, 'a>) -> Option<Blame> {
        let fits = |change: &FieldChange| match decision.hurdle {
            Hurdle::Taint => change.pointer.starts_with("/spec/taints"),
            Hurdle::Cordoned => change.pointer == "/spec/unschedulable" || change.pointer.starts_with("/spec/taints"),
            Hurdle::Labels => node_labels::excluding(self.pod, &decision.nodes()).is_some_and(|excluding| {
                let key = reckon_model::diff::escape(excluding.wanted.key());
                change.pointer == format!("/metadata/labels/{key}")
            }),
            _ => false,
        };
        // What the pod was never meant for may have been changed for reasons of its own; many nodes are changed alike.
        let changes = decision.on.iter().take(20).filter_map(|node| {
            blame::object_change(self.view, node.node, self.since, |change| fits(change).then_some(0))
        });
        changes.filter(|blame| self.is_fresh(blame)).max_by_key(|blame| blame.change.at)
    }

    /// Whether a change came within a day before: one that was lived with for longer did not make what is wrong now.
    fn is_fresh(&self, blame: &Blame) -> bool {
        let from = self.since.and_then(|since| since.checked_sub(WINDOW).ok());
        from.is_none_or(|from| blame.change.at >= from)
    }

    /// What would end it.
    pub(super) fn remedies(&self, decision: &Decision<'_, 'a>, said: &Said) -> Vec<Remedy> {
        let workload = self.workload.reference();
        let advice = |kind, sentence: String| {
            let mut remedy = spot::remedy(kind, &workload, sentence);
            remedy.managed_by = ownership::managed_by(self.workload);
            vec![remedy]
        };
        let resource = words::resource(decision, said).unwrap_or_default();
        match (decision.hurdle, decision.on.first().map(|node| node.node)) {
            (Hurdle::Cordoned, Some(node)) => {
                let sentence = format!("Uncordon {}, if whoever cordoned it is done.", node.meta.name);
                let mut remedy = spot::remedy(RemedyKind::Uncordon, &node.reference(), sentence);
                remedy.risk = reckon_model::document::Risk::Medium;
                remedy.patch_type = Some("merge".to_owned());
                remedy.patch = Some(json!({"spec": {"unschedulable": false}}));
                vec![remedy]
            }
            (Hurdle::Size, _) => {
                let offer = if words::largest(&decision.on, &resource) == 0 { "offer it" } else { "are larger" };
                advice(
                    RemedyKind::SetResources,
                    format!("Lower the request for {resource}, or add nodes that {offer}."),
                )
            }
            (Hurdle::Room, _) => {
                let free = words::most_free(&decision.on, &resource);
                let most = free.map(|free| format!(" to {} or less", super::nodes::amount(&resource, free)));
                let sentence =
                    format!("Lower the request for {resource}{}, make room, or add nodes.", most.unwrap_or_default());
                advice(RemedyKind::SetResources, sentence)
            }
            (Hurdle::Taint, Some(node)) => {
                let taint = decision.on.first().and_then(|node| node.taints.first()).map(|taint| taint.describe());
                let sentence = format!(
                    "Tolerate the taint {} in the pod template, or take it off {} if it was not meant for this pod.",
                    taint.unwrap_or_default(),
                    node.meta.name
                );
                advice(RemedyKind::Patch, sentence)
            }
            (Hurdle::Spread, _) => {
                let kinder = match spread::most(&decision.on).map(|limit| limit.by) {
                    Some(Excludes::Key) => "Label the nodes, or spread over a label that they have",
                    Some(Excludes::MinDomains(_)) => "Lower minDomains, or add nodes in another domain",
                    Some(Excludes::Taints) => "Set nodeTaintsPolicy: Honor, so that nodes with taints do not count",
                    Some(Excludes::Affinity) => "Set nodeAffinityPolicy: Honor, so that other nodes do not count",
                    Some(Excludes::Skew) => "Raise maxSkew, or make room in the emptiest domain",
                    None => return Vec::new(),
                };
                advice(
                    RemedyKind::Patch,
                    format!("{kinder}; or set whenUnsatisfiable: ScheduleAnyway, if the spread is a wish."),
                )
            }
            (Hurdle::Slots | Hurdle::NoNodes, _) => {
                let mut remedy = spot::remedy(RemedyKind::Outside, &workload, "Add nodes.");
                remedy.requires = None;
                vec![remedy]
            }
            _ => Vec::new(),
        }
    }
}

/// Whether a change asks for more of a resource: by a request, or by a limit where that is the request, too. A part that is
/// new is one change with all that is in it.
fn asks_for_more(change: &FieldChange, resource: &str) -> bool {
    let key = reckon_model::diff::escape(resource);
    let within = ["requests", "limits"].into_iter().any(|part| {
        let new =
            |below: &str| change.from.is_none() && change.to.as_ref().is_some_and(|to| to.pointer(below).is_some());
        (change.pointer.ends_with("/resources") && new(&format!("/{part}/{key}")))
            || (change.pointer.ends_with(&format!("/resources/{part}")) && new(&format!("/{key}")))
    });
    let itself = ["requests", "limits"].into_iter().any(|part| change.pointer.ends_with(&format!("/{part}/{key}")));
    // A limit that is raised beside a request asks for no more; it says so only of what has no request of its own.
    within || (itself && raised(change))
}

/// Whether more is asked for than before.
fn raised(change: &FieldChange) -> bool {
    let nanos = |value: &Option<Value>| match value {
        Some(Value::String(text)) => Quantity::new(text).nanos(),
        Some(Value::Number(number)) => Quantity::new(&number.to_string()).nanos(),
        _ => None,
    };
    match (nanos(&change.from), nanos(&change.to)) {
        (Some(from), Some(to)) => to > from,
        (None, Some(_)) => true,
        _ => false,
    }
}
