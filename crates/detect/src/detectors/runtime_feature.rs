//! Containers that ask of their node's runtime what it does not have.

mod words;

use super::last_write::LastWrite;
use crate::blame;
use crate::catalogue::{Failure, Stage, Verified};
use crate::spot::{self, Path, Spot};
use crate::{Detector, Fact, Finding, Place, View, describe, ownership};
use jiff::SignedDuration;
use reckon_model::document::{Cause, CauseKind, RemedyKind, Role, Source, Verdict};
use reckon_model::k8s::Pod;
use reckon_model::{FieldChange, Kind, Object, ResourceRef, Timestamp, text};
use serde_json::{Value, json};
use words::Feature;

pub(crate) static DETECTOR: Detector = Detector {
    name: "runtime_feature",
    failures: &[Failure {
        slug: "runtime-feature-missing",
        title: "A node's runtime lacks what a pod asks for",
        stage: Stage::Config,
        family: "config",
        echo: false,
        verified: Verified::Constructed,
        page: include_str!("../pages/runtime-feature-missing.md"),
    }],
    subjects: &[Kind::Pod],
    others: &[],
    detect,
};

/// A profile may be loaded moments after its node joined.
const GRACE: SignedDuration = SignedDuration::from_secs(60);

/// What the kubelet says, from where.
struct Said<'a> {
    message: &'a str,
    source: Source,
    at: Option<Timestamp>,
    container: Option<&'a str>,
}

/// A pod whose node lacks something.
struct Case<'v, 'a> {
    view: &'v View<'a>,
    subject: &'a Object,
    pod: &'a Pod,
    workload: &'a Object,
    feature: Feature,
    container: Option<&'a str>,
}

fn detect<'a>(view: &View<'a>, subject: &'a Object) -> Vec<Finding> {
    let Some(pod) = subject.pod() else { return Vec::new() };
    if subject.meta.deleted.is_some() || pod.spec.node_name.is_empty() || pod.is_finished() {
        return Vec::new();
    }
    let Some((said, feature)) = said(view, subject, pod) else { return Vec::new() };
    let workload = view.workload_of(subject);
    let case = Case { view, subject, pod, workload, feature, container: said.container };
    let mut finding = case.finding();
    finding.class = Some(case.feature.class());
    finding.severity = spot::severity(workload);
    finding.shows_on = [subject.reference()].into();
    finding.opened = pod.status.start_time.or(subject.meta.created);
    let message = text::shorten(&text::clean_line(said.message.trim()), 300).into_owned();
    finding.evidence.push(Fact::new(Role::Symptom, said.source, said.at, subject, message).raw(json!(said.message)));
    vec![finding]
}

/// A container that could not be made says so in its status; a sandbox that could not, in an Event, which is asked for only
/// when nothing at all has been made for a while.
fn said<'a>(view: &View<'a>, subject: &'a Object, pod: &'a Pod) -> Option<(Said<'a>, Feature)> {
    let waiting = |status: &'a reckon_model::k8s::ContainerStatus| status.state.waiting.as_deref();
    for (_, container, status) in pod.containers() {
        let Some(waiting) = status.and_then(waiting) else { continue };
        if !matches!(
            waiting.reason.as_str(),
            "CreateContainerError" | "RunContainerError" | "CreateContainerConfigError"
        ) {
            continue;
        }
        if let Some(feature) = Feature::of(&waiting.message) {
            let said =
                Said { message: &waiting.message, source: Source::Status, at: None, container: Some(&container.name) };
            return Some((said, feature));
        }
    }
    let untouched = pod.status.phase == "Pending"
        && pod.containers().all(|(_, _, status)| {
            status.is_none_or(|status| status.last_end().is_none() && status.state.running.is_none())
        })
        && pod.containers().any(|(_, _, status)| {
            status.is_none_or(|it| {
                waiting(it).is_none_or(|it| matches!(it.reason.as_str(), "" | "ContainerCreating" | "PodInitializing"))
            })
        });
    if !untouched {
        return None;
    }
    let due = pod.status.start_time.or(subject.meta.created)?.checked_add(GRACE).ok()?;
    if !view.reached(due) {
        view.recheck_at(due);
        return None;
    }
    let events = view.events(subject);
    let made = events
        .iter()
        .filter(|event| matches!(event.reason.as_str(), "Created" | "Started" | "Pulling"))
        .filter_map(|it| it.last_seen())
        .max();
    let failed = |reason: &str| matches!(reason, "FailedCreatePodSandBox" | "FailedCreatePodContainer" | "Failed");
    events
        .into_iter()
        .rev()
        .filter(|event| failed(&event.reason) && (made.is_none() || event.last_seen() > made))
        .find_map(|event| {
            let feature = Feature::of(&event.message)?;
            Some((
                Said {
                    message: &event.message,
                    source: Source::Event,
                    at: event.last_seen(),
                    container: event.container(),
                },
                feature,
            ))
        })
}

impl<'a> Case<'_, 'a> {
    fn finding(&self) -> Finding {
        let node = self.pod.spec.node_name.as_str();
        let lacks = self.feature.lacks();
        let whose = describe::object(self.workload);
        let title = format!("{whose}: not started, {lacks} on node {node}");
        let elsewhere = self.runs_elsewhere();
        let spot = Spot::of(self.workload);
        let place = self.place();
        let cause = match (&elsewhere, self.written(spot.as_ref())) {
            // Where others of its kind run, the node is what differs.
            (Some(other), _) => {
                let there = other.pod().map_or("", |pod| pod.spec.node_name.as_str());
                let sentence = format!(
                    "{lacks} on node {node}; on node {there} a pod of {whose} runs with it.",
                    lacks = upper(&lacks)
                );
                Cause::plain(CauseKind::Node, Some(&ResourceRef::new(Kind::Node, None, node)), sentence)
            }
            (None, Some(cause)) => cause,
            (None, None) => {
                let sentence = format!("{} on node {node}.", upper(&lacks));
                Cause::plain(CauseKind::Resource, Some(&self.workload.reference()), sentence)
            }
        };
        let mut finding = Finding::new("runtime-feature-missing", place, title, cause);
        finding.verdict = Verdict::Confirmed;
        if let Some(other) = elsewhere {
            let since = other.pod().and_then(|pod| pod.condition("Ready")?.since);
            let words = format!("{} runs on another node", describe::object(other));
            finding.evidence.push(Fact::new(Role::Cause, Source::Status, since, other, words));
        }
        let target = finding.cause.reference.as_ref().map_or_else(|| self.workload.reference(), ResourceRef::from);
        let outside =
            spot::remedy(RemedyKind::Outside, &ResourceRef::new(Kind::Node, None, node), self.feature.install(node));
        if target.kind != Kind::Node {
            let mut remedy = spot::remedy(RemedyKind::Patch, &target, self.feature.correct());
            remedy.managed_by.clone_from(&finding.cause.managed_by);
            finding.remedies.push(remedy);
        }
        finding.remedies.push(outside);
        finding
    }

    fn place(&self) -> Place {
        let kind = self.container.and_then(|name| Some((name, self.pod.spec.container(name)?.0)));
        kind.map_or_else(|| Place::of(self.workload), |(name, kind)| Place::container(self.workload, name, kind))
    }

    /// A pod of the same template that is ready on another node.
    fn runs_elsewhere(&self) -> Option<&'a Object> {
        let peers = super::revision::peers(self.view, self.workload, self.subject);
        peers
            .into_iter()
            .find(|peer| peer.pod().is_some_and(|pod| pod.is_ready() && pod.spec.node_name != self.pod.spec.node_name))
    }

    /// Where the feature is asked for: the RuntimeClass, or a field of the template.
    fn written(&self, spot: Option<&Spot<'_>>) -> Option<Cause> {
        if let Feature::Handler(handler) = &self.feature {
            return self.class(spot, handler);
        }
        let spot = spot?;
        let (path, value) = self.profile(spot)?;
        let node = &self.pod.spec.node_name;
        let rank = |field: &FieldChange| path.is_touched_by(field).then_some(0);
        let changed = blame::template_change(self.view, self.workload, Some(self.subject), None, rank);
        Some(match changed {
            Some(blame) => {
                let sentence =
                    format!("{} was {}; {} on node {node}.", blame.field().field, blame.words(), self.feature.lacks());
                blame.cause(self.view, sentence)
            }
            None => spot.wrong(&path, Some(value), format!("{} on node {node}.", upper(&self.feature.lacks()))),
        })
    }

    /// The RuntimeClass whose handler the node does not have.
    fn class(&self, spot: Option<&Spot<'_>>, handler: &str) -> Option<Cause> {
        let kind = Kind::of_group("node.k8s.io", "RuntimeClass");
        let written = |object: &Object| {
            object.whole().and_then(|it| it.get("handler")?.as_str().map(str::to_owned)).unwrap_or_default()
        };
        let named = spot.and_then(|spot| spot.written(&spot.path("runtimeClassName"))?.as_str().map(str::to_owned));
        let object = match &named {
            Some(name) => self.view.object(&kind, None, name).found(),
            None => self.view.all(&kind, None).items.into_iter().find(|object| written(object) == handler),
        };
        let node = &self.pod.spec.node_name;
        let Some(object) = object else {
            let spot = spot.filter(|_| named.is_some())?;
            let sentence = format!("{} on node {node}.", upper(&self.feature.lacks()));
            return Some(spot.wrong(&spot.path("runtimeClassName"), named.map(Value::from), sentence));
        };
        let name = &object.meta.name;
        if let Some(write) = LastWrite::of(object, "handler", "/handler", Some(json!(handler))) {
            let sentence = format!(
                "handler of RuntimeClass {name} was written {}; node {node} has no runtime {handler}.",
                write.words()
            );
            return Some(write.cause(sentence));
        }
        let placed = object.whole().is_some_and(|it| it.pointer("/scheduling/nodeSelector").is_some());
        let (field, pointer, value) = match placed {
            true => ("handler", "/handler", Some(json!(handler))),
            false => ("scheduling", "/scheduling", None),
        };
        let more = match placed {
            true => "",
            false => "; the class does not say on which nodes it is, so its pods are sent to any",
        };
        let sentence = format!("RuntimeClass {name} has the handler {handler}, which node {node} has not{more}.");
        let mut cause =
            Cause::plain(CauseKind::Resource, Some(&object.reference()), sentence).at_field(field, pointer, value);
        cause.managed_by = ownership::managed_by(object);
        Some(cause)
    }

    /// The field that names the profile: of the container, else of the pod.
    fn profile(&self, spot: &Spot<'_>) -> Option<(Path, Value)> {
        let (keys, key) = match &self.feature {
            Feature::AppArmor(_) => ("appArmorProfile", "localhostProfile"),
            Feature::Seccomp(_) => ("seccompProfile", "localhostProfile"),
            Feature::UserNamespace => {
                let path = spot.path("hostUsers");
                let value = spot.written(&path)?;
                return Some((path, value));
            }
            Feature::Handler(_) => return None,
        };
        let below = |path: Path| path.key("securityContext").key(keys).key(key);
        let containers = spot.spec.containers.iter().chain(&spot.spec.init_containers);
        let own = containers
            .filter(|container| self.container.is_none_or(|name| name == container.name))
            .filter_map(|container| spot.container(&container.name));
        let pod = Path { field: spot.path("securityContext").field, pointer: spot.path("securityContext").pointer };
        let pod = pod.key(keys).key(key);
        own.map(below).chain(std::iter::once(pod)).find_map(|path| {
            let value = spot.written(&path)?;
            Some((path, value))
        })
    }
}

fn upper(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}
