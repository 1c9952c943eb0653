//! A memory death in words.

use super::cause::Cut;
use super::class::Class;
use super::killed::Killed;
use super::record::Record;
use crate::kernel::kind;
use crate::{Fact, describe};
use reckon_model::document::{CauseKind, Role, Shape, Source};
use reckon_model::kernel::{MemoryKind, Origin};
use reckon_model::quantity;
use reckon_model::text::{clean_line, enumerate};

impl Killed<'_, '_> {
    /// What happened, without its end.
    pub(super) fn title(&self, class: Class, cut: Option<&Cut>, shape: Option<Shape>) -> String {
        let name = describe::object(self.workload);
        let container = &self.container.name;
        match cut {
            Some(Cut { from: Some(_), to }) if class.is_at_own_limit() && !self.is_lowered_under_use() => {
                format!("{name}: {container} is killed at its memory limit, which was cut to {to}")
            }
            Some(Cut { from: None, to }) if class.is_at_own_limit() => {
                format!("{name}: {container} is killed at its new memory limit of {to}")
            }
            None if class == Class::ContainerLimit && shape == Some(Shape::Growth) => {
                format!(
                    "{name}: {container} grows until its memory{} reaches {}, and is killed",
                    self.mostly(),
                    self.limit_shown()
                )
            }
            _ => format!("{name}: {}", self.happened(class)),
        }
    }

    fn happened(&self, class: Class) -> String {
        let container = &self.container.name;
        let limit = self.limit_shown();
        let victim = self.victim_shown();
        match (class, self.end) {
            (Class::InvisibleChild, None) => {
                format!("{victim} in {container} {}, and the container goes on without it", self.killed_once_or_more())
            }
            (Class::InvisibleChild, Some(end)) => match self.other_killer() {
                Some(killer) => format!(
                    "{victim} in {container} was killed for memory at some time, and {killer} ended the container later"
                ),
                None => format!(
                    "{victim} in {container} was killed for memory, and the container went on until it ended with exit code {}",
                    end.exit_code
                ),
            },
            (Class::MaskedChild, _) => {
                format!(
                    "{victim} in {container} was killed for memory, and the container ended as if nothing had happened"
                )
            }
            (Class::ExecVictim, _) => {
                let by = if self.is_run_by_a_probe() { "a probe runs" } else { "somebody ran (kubectl exec)" };
                format!("{victim}, which {by} in {container}, is killed for memory: it counts to the container's limit")
            }
            (Class::ShellEcho, _) => {
                let above = if self.is_below_a_shell() { "shell" } else { "process" };
                format!(
                    "{victim} in {container} is killed for memory, and the {above} above it passes exit code 137 on"
                )
            }
            (Class::ContainerLimit | Class::GroupKill, _) if self.is_lowered_under_use() => {
                let used = self.record.as_ref().and_then(Record::usage).map_or(0, |(usage, _)| usage);
                let (used, limit) = (quantity::bytes(used), limit.trim_start_matches("its limit of "));
                format!("{container} was killed when its memory limit was lowered to {limit} while it used {used}")
            }
            (Class::GroupKill, _) => {
                format!("{container} is killed with all its processes when its memory{} reaches {limit}", self.mostly())
            }
            (Class::ContainerLimit, _) => {
                format!("{container} is killed when its memory{} reaches {limit}", self.mostly())
            }
            (Class::PodLimit, _) => match self.trigger_elsewhere() {
                Some(trigger) => format!(
                    "{container} is killed when {trigger} asks for memory and the pod's memory has reached {}",
                    self.pod_limit_shown()
                ),
                None => format!("{container} is killed when the pod's memory reaches {}", self.pod_limit_shown()),
            },
            (Class::NodeAllocatable, _) => {
                format!("{container} is killed because the pods of its node use all memory that is set aside for pods")
            }
            (Class::Numa, _) => {
                format!(
                    "{container} is killed because the part of its node's memory that it may use is full, though not the node's"
                )
            }
            (Class::Nested, _) => {
                format!("{victim} in {container} is killed at the limit of a cgroup that was made inside the container")
            }
            (Class::NoVictim, _) => {
                format!(
                    "{container} has reached {limit} and stands still: the kernel finds nothing in it that it may kill"
                )
            }
            (Class::Manual, _) => format!("{container} was killed because a person asked the kernel for it (SysRq-f)"),
            (Class::Node, _) if self.limit().is_some() => {
                format!("{container} is killed for memory because its node ran out of it")
            }
            (Class::Node, _) if self.record.is_some() => {
                format!("{container} is killed because its node ran out of memory")
            }
            (Class::Node, _) => format!("{container} is killed for memory, and it has no limit of its own"),
        }
    }

    /// The limit as it stands, where no change is known that made it too low.
    pub(super) fn too_low(&self, class: Class, shape: Option<Shape>) -> String {
        let name = &self.container.name;
        let limit = self.limit_shown();
        let mostly = self.mostly();
        match class {
            Class::PodLimit if !self.is_pod_limited() => format!(
                "Nobody has limited the pod, and its cgroup is as small as the limits of its containers together: with what is charged to the pod alone (kubectl debug, files in memory of containers that ended) that was reached, and {name} was killed."
            ),
            Class::PodLimit => match self.trigger_elsewhere() {
                Some(trigger) => format!(
                    "The containers of the pod need more memory than the pod's limit allows: {trigger} met it, and {name}, which held most, was killed."
                ),
                None => format!(
                    "The containers of the pod need more memory than the pod's limit allows, {name} among them, and no change is known that made it so."
                ),
            },
            _ if self.is_lowered_under_use() => format!(
                "The memory limit of {name} was lowered to {} while more was in use: the kernel takes back what it can, and then kills.",
                limit.trim_start_matches("its limit of ")
            ),
            _ if shape == Some(Shape::Growth) => format!(
                "The memory of {name} grows{mostly} until it reaches {limit}, and no change is known that made it so: what grows like that reaches any limit."
            ),
            _ => {
                format!("{name} needs more memory{mostly} than {limit} allows, and no change is known that made it so.")
            }
        }
    }

    /// Whose memory ran out, where that is the node's.
    pub(super) fn node_full(&self, class: Class, blamed: Option<&str>) -> String {
        let container = &self.container.name;
        let whose = match class {
            Class::NodeAllocatable => "The pods of the node together reached what it sets aside for pods",
            _ => "The node ran out of memory",
        };
        match (class, self.limit()) {
            (Class::NodeAllocatable | Class::Node, _) if blamed.is_some() => {
                format!("{whose}: {}.", blamed.unwrap_or_default())
            }
            (Class::NodeAllocatable, _) => format!(
                "The pods of the node together reached what it sets aside for pods, and {container} was one of those that were killed for it."
            ),
            (Class::Numa, _) => format!(
                "The NUMA nodes or processors that {container} is bound to ran out of memory, while others of the same node may have had some."
            ),
            (_, Some(limit)) => format!(
                "The node ran out of memory, and {container}, whose own limit is {limit}, was one of those that were killed for it."
            ),
            (_, None) if self.record.is_some() => {
                format!("The node ran out of memory, and {container} was one of those that were killed for it.")
            }
            _ => format!(
                "{container} has no limit of its own; its node, or the share of it that pods may use, ran out of memory."
            ),
        }
    }

    /// What is no limit of Kubernetes'.
    pub(super) fn made_within(&self, class: Class) -> String {
        let container = &self.container.name;
        match class {
            Class::Nested => format!(
                "Something inside {container} made a cgroup with a memory limit of its own, and that limit was reached."
            ),
            _ => format!(
                "Somebody with access to the node asked its kernel to kill the largest process (SysRq-f); it was in {container}."
            ),
        }
    }

    /// Where the victim came from, which makes it the container's end, a child's or somebody else's.
    pub(super) fn came_from(&self) -> Option<Fact> {
        let origin = match self.origin()? {
            Origin::First => "was the container's first process",
            Origin::Child => "was a descendant of the container's first process",
            Origin::Entered => "was started in the running container, and not by its first process",
        };
        let record = self.record.as_ref()?;
        let victim = record.victim()?;
        let text = format!("{} (pid {}) {origin}", clean_line(&victim.comm), victim.pid);
        Some(Fact::new(Role::Cause, Source::Kernel, record.last()?.at, self.subject, text))
    }

    /// Whether somebody has set a limit for the pod as a whole.
    pub(super) fn is_pod_limited(&self) -> bool {
        self.pod.spec.resources.limits.contains_key("memory")
    }

    fn pod_limit_shown(&self) -> &'static str {
        if self.is_pod_limited() { "the pod's limit" } else { "what the limits of its containers make together" }
    }

    /// What was run in the container beside its own processes.
    pub(super) fn entered(&self) -> (CauseKind, String) {
        let (victim, container, limit) = (self.victim_shown(), &self.container.name, self.limit_shown());
        match self.is_run_by_a_probe() {
            true => (
                CauseKind::Resource,
                format!(
                    "{victim} is run by a probe of {container}, counts to {limit}, and had no room left beside what runs there."
                ),
            ),
            false => (
                CauseKind::External,
                format!(
                    "Somebody, or a program outside, ran {victim} in {container} (kubectl exec): it counts to {limit} and met it."
                ),
            ),
        }
    }

    fn limit_shown(&self) -> String {
        self.limit().map_or("the pod's limit".to_owned(), |limit| format!("its limit of {limit}"))
    }

    /// `, most of it files in memory (…),` where it is not what everybody expects.
    fn mostly(&self) -> String {
        let of = self.record.as_ref().and_then(|record| record.last()?.kind).filter(|of| *of != MemoryKind::Anon);
        of.map(|of| format!(", most of it {},", kind(of))).unwrap_or_default()
    }

    fn victim_shown(&self) -> String {
        let Some(record) = &self.record else { return "a process".to_owned() };
        let mut names: Vec<String> = Vec::new();
        for victim in record.episodes.iter().flat_map(|episode| &episode.victims) {
            let name = clean_line(&victim.comm);
            if !names.contains(&name) {
                names.push(name);
            }
        }
        match names.as_slice() {
            [] => "a process".to_owned(),
            names if names.len() > 3 => format!("{} and {} other programs", names[0], names.len() - 1),
            names => enumerate(names),
        }
    }

    /// Once, or again and again.
    fn killed_once_or_more(&self) -> String {
        match self.record.as_ref().map_or(1, Record::kills) {
            0 | 1 => "was killed for memory".to_owned(),
            kills => format!("is killed for memory again and again ({kills} times so far)"),
        }
    }

    /// The container whose allocation met the limit, where that is another one of the pod's.
    pub(super) fn trigger_elsewhere(&self) -> Option<String> {
        let trigger = self.record.as_ref()?.last()?.trigger_container_id.as_deref()?;
        let named = self.pod.containers().filter_map(|(_, container, status)| Some((container, status?)));
        let found = named.into_iter().find(|(_, status)| status.instances().any(|id| id == trigger))?;
        (found.0.name != self.container.name).then(|| found.0.name.clone())
    }
}
