//! A container whose status says that a process of it was killed for memory.

use super::class::Class;
use super::record::Record;
use super::remedy;
use crate::{Fact, Finding, Place, View, oom_score};
use jiff::SignedDuration;
use reckon_model::document::{Death, DeathScope, Role, Severity, Source, Verdict};
use reckon_model::k8s::{Condition, Container, ContainerStatus, ContainerType, Pod, Terminated};
use reckon_model::text::clean_line;
use reckon_model::{Body, Kind, Object, Quantity, ResourceRef, Timestamp, quantity};
use serde_json::json;

pub(super) struct Killed<'v, 'a> {
    pub(super) view: &'v View<'a>,
    pub(super) subject: &'a Object,
    pub(super) pod: &'a Pod,
    pub(super) workload: &'a Object,
    pub(super) kind: ContainerType,
    pub(super) container: &'a Container,
    pub(super) status: &'a ContainerStatus,
    /// How the instance ended; `None` while it runs.
    pub(super) end: Option<&'a Terminated>,
    /// What the kernel tells of kills in this instance.
    pub(super) record: Option<Record<'a>>,
}

/// What is ruled out where a limit was met.
const NODE_FULL: &str = "node out of memory";

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
        let (class, scope) = self.class(matches!(node, Node::Out(_)));
        let course = self.course();
        let why = self.why(class, course.shape);
        let cause = self.cause(class, &why, course.shape);
        let place = Place::container(self.workload, &self.container.name, self.kind);
        let mut finding = Finding::new("oom-killed", place, self.title(class, why.cut.as_ref(), course.shape), cause);
        finding.class = Some(class.name());
        finding.shows_on = [self.subject.reference()].into();
        finding.verdict = self.verdict(class, scope, &node, why.is_as_it_stands(), why.is_proven());
        finding.severity = self.severity(class);
        finding.evidence.extend(self.end.map(|end| self.status_fact(end)));
        if self.end.is_none() && self.record.is_none() {
            let text = "the container runtime marks it OOMKilled while it runs";
            finding.evidence.push(Fact::new(Role::Symptom, Source::Kernel, None, self.subject, text));
        }
        finding.evidence.extend(self.record.iter().flat_map(|record| record.facts(self.subject, self.end.is_some())));
        finding.evidence.extend(self.came_from());
        if let Some(limit) = limit {
            let fact = format!("limits.memory {limit} of {}", self.container.name);
            finding.evidence.push(Fact::new(Role::Cause, Source::Spec, None, self.workload, fact));
        }
        finding.evidence.extend(why.facts());
        if class.is_of_the_node() {
            finding.evidence.extend(self.why_it());
        }
        let spared = self.record.as_ref().and_then(|record| record.spared_node(self.subject));
        let spared = spared.filter(|_| !class.is_of_the_node());
        match (node, spared) {
            (Node::Well(mut facts), spared) if !class.is_of_the_node() => {
                facts.extend(spared);
                finding.ruled_out.push((NODE_FULL.to_owned(), facts));
            }
            (Node::Out(fact), _) => finding.evidence.push(fact),
            (_, Some(fact)) => finding.ruled_out.push((NODE_FULL.to_owned(), vec![fact])),
            _ => {}
        }
        if class.is_at_own_limit() {
            finding.alternatives.extend(self.blind());
            finding.alternatives.extend(why.alternatives());
        }
        finding.evidence.extend(course.fact.clone());
        finding.remedies = remedy::of(self, class, &why, course.shape);
        finding.death = Some(Death {
            shape: course.shape,
            forecast: course.due.map(|due| due.to_string()),
            consumer: why.neighbours.consumer.clone().or_else(|| self.consumer(class)),
            ..self.death(class, scope, why.cut.is_some())
        });
        finding
    }

    fn verdict(&self, class: Class, scope: Option<DeathScope>, node: &Node, unchanged: bool, proven: bool) -> Verdict {
        // The kernel's own words on whose memory it was leave nothing open.
        let told = self.record.as_ref().is_some_and(|record| record.last().is_some());
        // Who was told by its name alone, where nobody has seen where it came from, is a good guess.
        let guessed = matches!(class, Class::ExecVictim | Class::ShellEcho) && self.origin().is_none();
        if told && (scope.is_some() || class == Class::Manual) {
            return if !guessed && (unchanged || proven) { Verdict::Confirmed } else { Verdict::Likely };
        }
        match (class, node) {
            (Class::ContainerLimit | Class::GroupKill, _) if proven => Verdict::Confirmed,
            // The label tells that a limit was met. That it was this one follows where the node had memory left.
            (Class::ContainerLimit, Node::Well(_)) if unchanged => Verdict::Confirmed,
            (Class::Node, Node::Out(_)) => Verdict::Likely,
            (Class::Node, _) if self.record.is_none() => Verdict::Possible,
            _ if self.is_limitless() && self.record.is_none() => Verdict::Possible,
            _ => Verdict::Likely,
        }
    }

    fn severity(&self, class: Class) -> Severity {
        let up = self.status.ready && self.status.state.running.is_some();
        let done = self.pod.is_finished() && self.end.is_some_and(|end| end.exit_code == 0);
        let stands = matches!(class, Class::NoVictim);
        let lives_on = self.end.is_none() || (up && self.status.restart_count < 3);
        if !stands && (done || lives_on) { Severity::Warning } else { Severity::Critical }
    }

    fn death(&self, class: Class, scope: Option<DeathScope>, cut: bool) -> Death {
        let last = self.record.as_ref().and_then(super::record::Record::last);
        let usage = self.record.as_ref().and_then(super::record::Record::usage);
        let victim = last.and_then(|episode| episode.victims.first());
        let trigger = last.and_then(|episode| episode.invoker.as_deref());
        Death {
            scope,
            effect: Some(self.effect(class)),
            memory_kind: last.and_then(|episode| episode.kind),
            victim: victim.map(|victim| clean_line(&victim.comm)),
            trigger: trigger.map(clean_line),
            usage_bytes: usage.map(|(usage, _)| usage),
            limit_bytes: usage.map(|(_, limit)| limit).or_else(|| self.limit().and_then(remedy::bytes)),
            limit_lowered: Some(cut || self.is_lowered_under_use()),
            // Where a limit cut use off, nobody knows how much more it would have been.
            censored: match (self.limit(), usage) {
                (None, None) => None,
                _ => Some(!class.is_of_the_node() && class != Class::Manual),
            },
            ..Death::default()
        }
    }

    /// Why the kernel chose it among all: what it held, and the adjustment that the kubelet set by its request.
    fn why_it(&self) -> Option<Fact> {
        let record = self.record.as_ref()?;
        let adj = i64::from(record.victim()?.oom_score_adj?);
        let node = self.node_reference().and_then(|node| self.view.look_up(&node).found());
        let capacity = node.and_then(|node| match &node.body {
            Body::Node(node) => node.status.capacity.get("memory").and_then(remedy::bytes),
            _ => None,
        });
        let request = self.container.resources.requests.get("memory");
        let why = match (self.pod.status.qos_class.as_str(), request.zip(request.and_then(remedy::bytes)), capacity) {
            ("Guaranteed", ..) => " as its pod is Guaranteed".to_owned(),
            ("BestEffort", ..) => " as its pod requests nothing".to_owned(),
            (_, Some((request, bytes)), Some(capacity)) if oom_score::burstable(bytes, capacity) == adj => {
                format!(" as it requests {request} of the node's {}", quantity::bytes(capacity))
            }
            _ => String::new(),
        };
        let text = format!("the highest score is killed; its oom_score_adj was {adj}{why}");
        let at = record.last().and_then(|episode| episode.at);
        Some(Fact::new(Role::Cause, Source::Kernel, at, self.subject, text))
    }

    /// The container that held most of what ran out, where that is known.
    fn consumer(&self, class: Class) -> Option<String> {
        match class {
            // The kernel kills what is largest, of one limit that all share.
            Class::PodLimit if self.record.is_some() => Some(self.container.name.clone()),
            _ if class.is_at_own_limit() => Some(self.container.name.clone()),
            _ => None,
        }
    }

    /// Whether it lives on, or ends well, without a process that was killed.
    pub(super) fn ends_unseen(&self) -> bool {
        self.end.is_none_or(|end| end.exit_code == 0)
    }

    /// Whether its limit was lowered while it used more.
    pub(super) fn is_lowered_under_use(&self) -> bool {
        self.record.as_ref().is_some_and(Record::is_lowered)
    }

    /// The limit in force: of the running container, which a resize may have changed, or of its spec.
    pub(super) fn limit(&self) -> Option<&'a Quantity> {
        let live = self.status.resources.as_ref().and_then(|live| live.limits.get("memory"));
        live.or(self.container.resources.limits.get("memory"))
    }

    /// Whether nothing but the node limits its memory.
    pub(super) fn is_limitless(&self) -> bool {
        self.limit().is_none() && !self.pod.spec.resources.limits.contains_key("memory")
    }

    fn status_fact(&self, end: &Terminated) -> Fact {
        let Terminated { reason, exit_code, started_at, finished_at, .. } = end;
        let restarts = match self.status.restart_count {
            0 => String::new(),
            n => format!(", restarts {n}"),
        };
        let text = format!("terminated {reason}, exit {exit_code}{restarts}");
        Fact::new(Role::Symptom, Source::Status, *finished_at, self.subject, text)
            .raw(json!({"reason": reason, "exitCode": exit_code, "startedAt": started_at, "finishedAt": finished_at}))
    }

    /// When it ended, or was last seen to lose a process.
    fn died_at(&self) -> Option<Timestamp> {
        let killed = || self.record.as_ref().and_then(Record::span).map(|(_, last)| last);
        self.end.map_or_else(killed, |end| end.finished_at)
    }

    pub(super) fn node_reference(&self) -> Option<ResourceRef> {
        let name = &self.pod.spec.node_name;
        (!name.is_empty()).then(|| ResourceRef::new(Kind::Node, None, name))
    }

    /// Whether the limits of all that runs on the node fit into the share that pods may use: else the kernel may have killed
    /// for that share, of which it tells nobody.
    fn within_allocatable(&self, node: &reckon_model::k8s::Node) -> bool {
        let Some(pods) = self.view.placed_on(&self.pod.spec.node_name) else { return false };
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
        let lately = |at: Timestamp| at.checked_add(REMEMBERED).is_ok_and(|until| !self.view.reached(until));
        let died = self.died_at();
        let before = |at: Timestamp| died.is_some_and(|died| at < died);
        let killed = events.iter().find(|event| {
            let near = |at: Timestamp| died.is_some_and(|died| died.duration_since(at).abs() <= SAME_KILL);
            event.reason == "SystemOOM" && [event.first_seen(), event.last_seen()].into_iter().flatten().any(near)
        });
        if let Some(event) = killed {
            let text = format!("SystemOOM: {}", event.message.trim());
            return Node::Out(Fact::new(Role::Cause, Source::Event, event.last_seen(), node, text));
        }
        // Silence says something only as long as Events are kept, and of a condition that was so already at the death.
        let silent = died.is_some_and(lately) && pressure.since.is_none_or(before);
        if pressure.is_true() || !silent || (!gaps && self.view.has_gaps()) || !self.within_allocatable(body) {
            return Node::Unknown;
        }
        let text = format!("node {} reports no memory pressure and no kill of its own", node.meta.name);
        Node::Well(vec![Fact::new(Role::RuledOut, Source::Condition, pressure.since, node, text)])
    }
}
