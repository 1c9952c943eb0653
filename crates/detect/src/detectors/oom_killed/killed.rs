//! A container whose status says that a process of it was killed for memory.

use super::remedy;
use crate::detectors::killed_by::{self, Killer};
use crate::detectors::revision::{self, Suspect};
use crate::detectors::template::Site;
use crate::{Fact, Finding, Place, View, describe};
use jiff::SignedDuration;
use reckon_model::document::{Cause, CauseKind, Death, Role, Severity, Source, Verdict};
use reckon_model::k8s::{Condition, Container, ContainerStatus, ContainerType, Pod, Terminated};
use reckon_model::{Body, FieldChange, Kind, Object, Quantity, ResourceRef, Timestamp};
use serde_json::{Value, json};

pub(super) struct Killed<'v, 'a> {
    pub(super) view: &'v View<'a>,
    pub(super) subject: &'a Object,
    pub(super) pod: &'a Pod,
    pub(super) workload: &'a Object,
    pub(super) kind: ContainerType,
    pub(super) container: &'a Container,
    pub(super) status: &'a ContainerStatus,
    pub(super) end: &'a Terminated,
}

/// Where a container's limit stands below it.
const LIMIT: &str = "resources.limits.memory";

/// The kernel kills and the kubelet tells of it within so much; a node's Event of a kill that is further away is another's.
const SAME_KILL: SignedDuration = SignedDuration::from_secs(30);

/// The API server keeps Events for an hour by default; a little less, for clocks and batches.
const REMEMBERED: SignedDuration = SignedDuration::from_mins(55);

/// What the node says of its own memory.
enum Node {
    /// It had enough, by these facts.
    Well(Vec<Fact>),
    /// It ran out itself in that moment.
    Out(Fact),
    /// It was not read, or there is none.
    Unknown,
}

impl<'a> Killed<'_, 'a> {
    pub(super) fn finding(&self) -> Finding {
        let node = self.node();
        let limit = self.limit();
        let class = self.class(&node);
        let suspect = self.suspect();
        let cut = suspect.as_ref().is_some_and(|suspect| lowered(suspect.blame.field()));
        let (cause, title) = self.told(class, suspect.as_ref(), cut);
        let place = Place::container(self.workload, &self.container.name, self.kind);
        let mut finding = Finding::new("oom-killed", place, title, cause);
        finding.class = Some(class);
        finding.shows_on = [self.subject.reference()].into();
        finding.verdict = match (class, &node, &suspect) {
            ("container-limit", _, Some(suspect)) if cut || suspect.contrast.is_some() => Verdict::Confirmed,
            // The label tells that a limit was met. That it was this one follows where the node had memory left.
            ("container-limit", Node::Well(_), None) => Verdict::Confirmed,
            ("node", Node::Out(_), _) => Verdict::Likely,
            ("node", _, _) => Verdict::Possible,
            _ if self.is_limitless() => Verdict::Possible,
            _ => Verdict::Likely,
        };
        let up = self.status.ready && self.status.state.running.is_some();
        let done = self.pod.is_finished() && self.end.exit_code == 0;
        finding.severity =
            if done || (up && self.status.restart_count < 3) { Severity::Warning } else { Severity::Critical };
        finding.evidence.push(self.status_fact());
        if let Some(limit) = limit {
            let fact = format!("limits.memory {limit} of {}", self.container.name);
            finding.evidence.push(Fact::new(Role::Cause, Source::Spec, None, self.workload, fact));
        }
        finding.evidence.extend(suspect.as_ref().and_then(|suspect| suspect.contrast.clone()));
        match node {
            Node::Well(facts) if class != "node" => finding.ruled_out.push(("node out of memory".to_owned(), facts)),
            Node::Out(fact) => finding.evidence.push(fact),
            _ => {}
        }
        self.view.not_checked(
            "kernel log",
            "no node agent reports: which memory filled the limit and which process was killed are not known",
        );
        finding.death = Some(Death {
            scope: match class {
                "pod-limit" => Some("pod".to_owned()),
                "node" => None,
                _ if self.is_limitless() => None,
                _ => Some("container".to_owned()),
            },
            effect: Some(
                match class {
                    "invisible-child" => "child-died",
                    "masked-child" => "wrong-completed",
                    _ => "container-died",
                }
                .to_owned(),
            ),
            limit_bytes: limit.and_then(remedy::bytes),
            limit_lowered: Some(cut),
            censored: limit.map(|_| class != "node"),
            ..Death::default()
        });
        finding.remedies = remedy::of(self, class, suspect.as_ref().filter(|_| cut));
        finding
    }

    /// The limit in force: of the running container, which a resize may have changed, or of its spec.
    pub(super) fn limit(&self) -> Option<&'a Quantity> {
        let live = self.status.resources.as_ref().and_then(|live| live.limits.get("memory"));
        live.or(self.container.resources.limits.get("memory"))
    }

    /// Who ended the container, where that was not the kernel: the label stays with it whatever ends it later.
    fn other_killer(&self) -> Option<&'static str> {
        let probed = self.container.liveness_probe.is_some() || self.container.startup_probe.is_some();
        match probed.then(|| killed_by::sent_by(self.view, self.subject, self.container, self.end)) {
            Some(Killer::Probe("startup")) => Some("its startup probe"),
            Some(Killer::Probe(_)) => Some("its liveness probe"),
            _ => None,
        }
    }

    /// Whether nothing but the node limits its memory.
    pub(super) fn is_limitless(&self) -> bool {
        self.limit().is_none() && !self.pod.spec.resources.limits.contains_key("memory")
    }

    fn class(&self, node: &Node) -> &'static str {
        let pod_limit = self.pod.spec.resources.limits.get("memory");
        match (self.end.exit_code, self.limit(), pod_limit) {
            // The label is of an earlier kill: this end was somebody else's.
            (137, _, _) if self.other_killer().is_some() => "invisible-child",
            (137, _, _) if matches!(node, Node::Out(_)) => "node",
            // A container with a limit of its own meets that first, as a pod's is at least as large.
            (137, Some(_), _) => "container-limit",
            (137, None, Some(_)) => "pod-limit",
            (137, None, None) => "node",
            (0, _, _) => "masked-child",
            _ => "invisible-child",
        }
    }

    /// What came before the first death and makes one more likely: a lower limit, another program, other settings.
    fn suspect(&self) -> Option<Suspect> {
        let onset = revision::onset(self.subject, self.status, self.end);
        revision::suspect(self.view, self.workload, self.subject, &self.container.name, onset, plausible)
    }

    fn told(&self, class: &str, suspect: Option<&Suspect>, cut: bool) -> (Cause, String) {
        let (container, code) = (&self.container.name, self.end.exit_code);
        let shown = self.limit().map_or("the pod's limit".to_owned(), |limit| format!("its limit of {limit}"));
        let what = match (class, self.other_killer()) {
            ("invisible-child", Some(killer)) => {
                format!(
                    "a process in {container} was killed for memory at some time, and {killer} ended the container later"
                )
            }
            ("invisible-child", None) => format!(
                "a process in {container} was killed for memory, and the container went on until it ended with exit code {code}"
            ),
            ("masked-child", _) => {
                format!(
                    "a process in {container} was killed for memory, and the container ended as if nothing had happened"
                )
            }
            ("container-limit", _) => format!("{container} is killed when its memory reaches {shown}"),
            ("pod-limit", _) => format!("{container} is killed when the pod's memory reaches the pod's limit"),
            _ if self.limit().is_some() => format!("{container} is killed for memory because its node ran out of it"),
            _ => format!("{container} is killed for memory, and it has no limit of its own"),
        };
        let name = describe::object(self.workload);
        let title = match suspect.filter(|_| cut).map(|suspect| suspect.blame.field()) {
            Some(FieldChange { from: Some(_), to: Some(to), .. }) => {
                format!("{name}: {container} is killed at its memory limit, which was cut to {}", describe::value(to))
            }
            Some(FieldChange { to: Some(to), .. }) => {
                format!("{name}: {container} is killed at its new memory limit of {}", describe::value(to))
            }
            _ => format!("{name}: {what}"),
        };
        let cause = match suspect {
            Some(Suspect { blame, .. }) if cut => {
                let words = blame.words();
                let sentence = format!(
                    "The memory limit of {container} was {words}; the container is killed when it reaches the limit."
                );
                blame.cause(self.view, sentence)
            }
            Some(Suspect { blame, .. }) if class != "node" => {
                let (field, words) = (&blame.field().field, blame.words());
                let sentence = format!("{field} was {words} while the limit stayed: what runs there needs more since.");
                blame.cause(self.view, sentence)
            }
            _ if class == "node" || self.is_limitless() => {
                let node = self.node_reference();
                let sentence = match self.limit() {
                    Some(limit) => format!(
                        "The node ran out of memory, and {container}, whose own limit is {limit}, was one of those that were killed for it."
                    ),
                    None => format!(
                        "{container} has no limit of its own; its node, or the share of it that pods may use, ran out of memory."
                    ),
                };
                Cause::plain(CauseKind::Node, node.as_ref(), sentence)
            }
            _ => self.too_low(class, &shown),
        };
        (cause, title)
    }

    /// The limit as it stands.
    fn too_low(&self, class: &str, shown: &str) -> Cause {
        let name = &self.container.name;
        let needs = match class {
            "pod-limit" => {
                format!("The containers of the pod need more memory than the pod's limit allows, {name} among them")
            }
            _ => format!("{name} needs more memory than {shown} allows"),
        };
        let sentence = format!("{needs}, and no change is known that made it so.");
        let cause = Cause::plain(CauseKind::Resource, Some(&self.workload.reference()), sentence);
        match (class, crate::spot::Spot::of(self.workload)) {
            ("pod-limit", Some(spot)) => {
                let limit = self.pod.spec.resources.limits.get("memory").map(|limit| limit.as_str().into());
                let path = spot.path("resources").key("limits").key("memory");
                spot.wrong(&path, limit, cause.sentence)
            }
            _ => {
                let limit = self.limit().map(|limit| limit.as_str().into());
                Site::new(self.workload, name).blame(cause, LIMIT, limit)
            }
        }
    }

    fn status_fact(&self) -> Fact {
        let Terminated { reason, exit_code, started_at, finished_at, .. } = self.end;
        let restarts = match self.status.restart_count {
            0 => String::new(),
            n => format!(", restarts {n}"),
        };
        let text = format!("terminated {reason}, exit {exit_code}{restarts}");
        Fact::new(Role::Symptom, Source::Status, *finished_at, self.subject, text)
            .raw(json!({"reason": reason, "exitCode": exit_code, "startedAt": started_at, "finishedAt": finished_at}))
    }

    fn node_reference(&self) -> Option<ResourceRef> {
        let name = &self.pod.spec.node_name;
        (!name.is_empty()).then(|| ResourceRef::new(Kind::Node, None, name))
    }

    /// Whether the limits of all that runs on the node fit into the share that pods may use: else the kernel may have killed
    /// for that share, of which it tells nobody.
    fn within_allocatable(&self, node: &reckon_model::k8s::Node) -> bool {
        let Some(pods) = self.view.pods_on(&self.pod.spec.node_name) else { return false };
        let limit = |container: &Container| container.resources.limits.get("memory").and_then(remedy::bytes);
        let running = pods.iter().filter_map(|pod| pod.pod()).filter(|pod| !pod.is_finished());
        let mut limits = running.flat_map(|pod| &pod.spec.containers).map(limit);
        let sum = limits.try_fold(0_u64, |sum, limit| sum.checked_add(limit?));
        let share = node.status.allocatable.get("memory").and_then(remedy::bytes);
        sum.zip(share).is_some_and(|(sum, share)| sum <= share)
    }

    /// Whether the node itself was out of memory. Only a whole node's kill makes an Event, and only there.
    fn node(&self) -> Node {
        let Some(node) = self.node_reference().and_then(|node| self.view.look_up(&node).found()) else {
            return Node::Unknown;
        };
        let Body::Node(body) = &node.body else { return Node::Unknown };
        let Some(pressure) = Condition::find(&body.status.conditions, "MemoryPressure") else { return Node::Unknown };
        let gaps = self.view.has_gaps();
        let events = self.view.events(node);
        let lately = |at: Timestamp| self.view.now().duration_since(at) <= REMEMBERED;
        let before = |at: Timestamp| self.end.finished_at.is_some_and(|end| at < end);
        let killed = events.iter().find(|event| {
            let near =
                |at: Timestamp| self.end.finished_at.is_some_and(|end| end.duration_since(at).abs() <= SAME_KILL);
            event.reason == "SystemOOM" && [event.first_seen(), event.last_seen()].into_iter().flatten().any(near)
        });
        if let Some(event) = killed {
            let text = format!("SystemOOM: {}", event.message.trim());
            return Node::Out(Fact::new(Role::Cause, Source::Event, event.last_seen(), node, text));
        }
        // Silence says something only as long as Events are kept, and of a condition that was so already at the death.
        let silent = self.end.finished_at.is_some_and(lately) && pressure.since.is_none_or(before);
        if pressure.is_true() || !silent || (!gaps && self.view.has_gaps()) || !self.within_allocatable(body) {
            return Node::Unknown;
        }
        let text = format!("node {} reports no memory pressure and no kill of its own", node.meta.name);
        Node::Well(vec![Fact::new(Role::RuledOut, Source::Condition, pressure.since, node, text)])
    }
}

/// What can make a container meet its limit: the limit itself first, then what runs in it and how it is told to.
fn plausible(below: &str, change: &FieldChange) -> Option<u8> {
    match below.split(['.', '[']).next().unwrap_or(below) {
        "resources" => lowered(change).then_some(0),
        "image" => Some(1),
        "env" | "envFrom" | "args" | "command" => Some(2),
        // The whole container is new: so is its need.
        "" => Some(3),
        _ => None,
    }
}

/// Whether a change makes a memory limit tighter: lowers it, or sets one where there was none.
pub(super) fn lowered(change: &FieldChange) -> bool {
    let number =
        |value: &Option<Value>| value.as_ref().and_then(Value::as_str).and_then(|text| Quantity::new(text).value());
    change.field.ends_with(LIMIT)
        && match (number(&change.from), number(&change.to)) {
            (Some(from), Some(to)) => to < from,
            (None, Some(_)) => change.from.is_none(),
            _ => false,
        }
}
