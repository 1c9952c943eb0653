//! Which class of death it is, and what came of it.

use super::killed::Killed;
use super::record::{Record, Whose};
use crate::detectors::killed_by::{self, Killer};
use reckon_model::document::{DeathScope, Effect};
use reckon_model::k8s::Container;
use reckon_model::kernel::{Origin, Victim};

/// The classes of `oom-killed`: a closed set, documented on its page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    ContainerLimit,
    GroupKill,
    InvisibleChild,
    MaskedChild,
    ExecVictim,
    ShellEcho,
    PodLimit,
    NodeAllocatable,
    Node,
    Numa,
    Nested,
    NoVictim,
    Manual,
}

impl Class {
    pub(super) fn name(self) -> &'static str {
        match self {
            Class::ContainerLimit => "container-limit",
            Class::GroupKill => "group-kill",
            Class::InvisibleChild => "invisible-child",
            Class::MaskedChild => "masked-child",
            Class::ExecVictim => "exec-victim",
            Class::ShellEcho => "shell-echo",
            Class::PodLimit => "pod-limit",
            Class::NodeAllocatable => "node-allocatable",
            Class::Node => "node",
            Class::Numa => "numa",
            Class::Nested => "nested",
            Class::NoVictim => "no-victim",
            Class::Manual => "manual",
        }
    }

    /// Whether it is not this container's own limit, nor what runs in it, that has to be looked at.
    pub(super) fn is_of_the_node(self) -> bool {
        matches!(self, Class::Node | Class::NodeAllocatable | Class::Numa)
    }

    /// Whether memory reached a limit of the container.
    pub(super) fn is_at_own_limit(self) -> bool {
        !self.is_of_the_node() && !matches!(self, Class::PodLimit | Class::Nested | Class::Manual)
    }
}

impl Killed<'_, '_> {
    /// The class, and whose memory it was as far as that is known.
    pub(super) fn class(&self, node_ran_out: bool) -> (Class, Option<DeathScope>) {
        let by_effect = self.by_effect();
        let Some(record) = &self.record else { return self.by_label(by_effect, node_ran_out) };
        if record.spares_all() {
            return (Class::NoVictim, Some(DeathScope::Container));
        }
        match record.whose(self.pod, self.container) {
            Whose::Manual => (Class::Manual, None),
            Whose::Of(scope) => (of_scope(scope, by_effect), Some(scope)),
            Whose::Unknown => self.by_label(by_effect, node_ran_out),
        }
    }

    /// As far as the container's status and its Events tell.
    fn by_label(&self, by_effect: Class, node_ran_out: bool) -> (Class, Option<DeathScope>) {
        let container = |class| (class, (!self.is_limitless()).then_some(DeathScope::Container));
        let pod_limit = self.pod.spec.resources.limits.contains_key("memory");
        match (by_effect, self.limit()) {
            (Class::ContainerLimit | Class::GroupKill, _) if node_ran_out => (Class::Node, None),
            // A container with a limit of its own meets that first, as a pod's is at least as large.
            (Class::ContainerLimit | Class::GroupKill, None) if pod_limit => (Class::PodLimit, Some(DeathScope::Pod)),
            (Class::ContainerLimit | Class::GroupKill, None) => (Class::Node, None),
            (class, _) => container(class),
        }
    }

    /// The class if it was the container's own limit, by what came of it.
    fn by_effect(&self) -> Class {
        let Some(end) = self.end else {
            return match self.is_ending() {
                true if self.died_together() > 1 => Class::GroupKill,
                true => Class::ContainerLimit,
                false if self.is_exec() => Class::ExecVictim,
                false => Class::InvisibleChild,
            };
        };
        match end.exit_code {
            0 => Class::MaskedChild,
            // The label is of an earlier kill: this end was somebody else's, or came too late.
            137 if self.other_killer().is_some() || self.record.as_ref().is_some_and(|record| record.is_late(end)) => {
                Class::InvisibleChild
            }
            137 if self.is_echo() => Class::ShellEcho,
            137 if self.died_together() > 1 => Class::GroupKill,
            137 => Class::ContainerLimit,
            _ if self.is_exec() => Class::ExecVictim,
            _ => Class::InvisibleChild,
        }
    }

    pub(super) fn effect(&self, class: Class) -> Effect {
        if class == Class::NoVictim {
            return Effect::Slow;
        }
        match self.end.map(|end| end.exit_code) {
            None if self.is_ending() && self.died_together() > 1 => Effect::GroupDied,
            None if self.is_ending() => Effect::ContainerDied,
            None => Effect::ChildDied,
            Some(0) => Effect::WrongCompleted,
            Some(137) if class == Class::InvisibleChild => Effect::ChildDied,
            Some(137) if class == Class::ShellEcho => Effect::ShellEcho,
            Some(137) if self.died_together() > 1 => Effect::GroupDied,
            Some(137) => Effect::ContainerDied,
            Some(_) => Effect::ChildDied,
        }
    }

    /// Whether its end is only not told yet: the kernel has just killed its first process, or all of them.
    fn is_ending(&self) -> bool {
        let Some(record) = self.record.as_ref().filter(|_| self.end.is_none()) else { return false };
        let Some((told, episode)) = record.told_at().zip(record.last()) else { return false };
        let own = program(&self.container.command);
        let named = || episode.victims.iter().any(|victim| own.is_some_and(|own| is_named(&victim.comm, own)));
        let first = self.origin().map_or_else(named, |origin| origin == Origin::First);
        let ends = !self.view.reached(told) && (first || episode.group_kill);
        if ends {
            self.view.recheck_at(told);
        }
        ends
    }

    /// Processes that one report killed as a group.
    fn died_together(&self) -> usize {
        let last = self.record.as_ref().and_then(Record::last);
        last.filter(|episode| episode.group_kill).map_or(0, |episode| episode.victims.len())
    }

    /// Whether a child died and the first process, such as a shell, ended with 128 + 9 by itself then.
    fn is_echo(&self) -> bool {
        let Some(episode) = self.record.as_ref().and_then(Record::last) else { return false };
        match self.origin() {
            Some(Origin::Child) => return !episode.group_kill,
            Some(_) => return false,
            None => {}
        }
        let words: Vec<&str> = self.container.command.iter().chain(&self.container.args).map(String::as_str).collect();
        let shell = program(&self.container.command).filter(|program| is_shell(program));
        !episode.group_kill
            && shell.is_some_and(|shell| episode.victims.first().is_some_and(|victim| !is_named(&victim.comm, shell)))
            && stays(&words)
    }

    /// Whether the victim is what a probe or a person runs in the container, and not what the container runs.
    fn is_exec(&self) -> bool {
        let Some(victim) = self.record.as_ref().and_then(Record::victim) else { return false };
        if let Some(origin) = self.origin() {
            return origin == Origin::Entered;
        }
        let own = program(&self.container.command).or(program(&self.container.args));
        self.is_of_a_probe(victim) && !own.is_some_and(|own| is_named(&victim.comm, own))
    }

    /// Whether that was a probe.
    pub(super) fn is_run_by_a_probe(&self) -> bool {
        self.record.as_ref().and_then(Record::victim).is_some_and(|victim| self.is_of_a_probe(victim))
    }

    /// Whether a probe runs a program of the victim's name.
    fn is_of_a_probe(&self, victim: &Victim) -> bool {
        probes(self.container).any(|probe| is_named(&victim.comm, probe))
    }

    /// Where the victim came from, if the node's own process has seen that.
    pub(super) fn origin(&self) -> Option<Origin> {
        let origin = self.record.as_ref()?.victim()?.origin?;
        // What each container of such a pod starts with looks as if it had entered.
        let shared = self.pod.spec.share_process_namespace && origin == Origin::Entered;
        (!shared).then_some(origin)
    }

    /// Whether the first process is a shell.
    pub(super) fn is_below_a_shell(&self) -> bool {
        program(&self.container.command).is_some_and(is_shell)
    }

    /// Who ended the container, where that was not the kernel: the label stays with it whatever ends it later.
    pub(super) fn other_killer(&self) -> Option<&'static str> {
        let end = self.end?;
        let probed = self.container.liveness_probe.is_some() || self.container.startup_probe.is_some();
        match probed.then(|| killed_by::sent_by(self.view, self.subject, self.container, end)) {
            Some(Killer::Probe("startup")) => Some("its startup probe"),
            Some(Killer::Probe(_)) => Some("its liveness probe"),
            _ => None,
        }
    }
}

fn of_scope(scope: DeathScope, by_effect: Class) -> Class {
    match scope {
        DeathScope::Container => by_effect,
        DeathScope::Pod => Class::PodLimit,
        DeathScope::NodeAllocatable => Class::NodeAllocatable,
        DeathScope::Node => Class::Node,
        DeathScope::Numa => Class::Numa,
        DeathScope::Nested => Class::Nested,
    }
}

/// The base name of the program that a command starts.
fn program(command: &[String]) -> Option<&str> {
    command.first().map(|path| path.rsplit('/').next().unwrap_or(path))
}

fn is_shell(program: &str) -> bool {
    matches!(program, "sh" | "bash" | "dash" | "ash" | "zsh" | "ksh" | "busybox")
}

/// Whether a shell stays above what it is told to run (`sh -c SCRIPT`): it makes way for a program behind `exec`, and for a
/// script that is one plain command. Without a script, as with a file, it stays.
fn stays(words: &[&str]) -> bool {
    let Some(script) = words.iter().skip_while(|word| !word.ends_with('c') || !word.starts_with('-')).nth(1) else {
        return true;
    };
    let plain = !script.trim().contains([';', '&', '|', '\n', '(', '`']);
    let last = script.rsplit([';', '&', '|', '\n']).find(|part| !part.trim().is_empty()).unwrap_or_default();
    !plain && !last.trim_start().starts_with("exec ")
}

/// Whether the kernel would call this program so: it keeps 15 bytes of the name.
fn is_named(comm: &str, program: &str) -> bool {
    let kept = program.len().min(15);
    program.as_bytes().get(..kept) == Some(comm.as_bytes())
}

/// What the container's probes run: the program, and what a shell is told to run.
fn probes(container: &Container) -> impl Iterator<Item = &str> {
    let probes = [&container.liveness_probe, &container.readiness_probe, &container.startup_probe];
    probes.into_iter().flatten().filter_map(|probe| probe.exec.as_ref()).flat_map(|exec| {
        let told = exec.command.iter().skip(1).flat_map(|word| word.split_whitespace());
        program(&exec.command).into_iter().chain(told.map(|word| word.rsplit('/').next().unwrap_or(word)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_makes_way_for_what_it_executes_and_for_a_plain_command() {
        for (words, stays_above) in [
            (&["sh", "-c", "java -jar a.jar"][..], false),
            (&["sh", "-c", "exec java -jar a.jar"], false),
            (&["/bin/bash", "-ec", "if [ -e a ]; then n=1; fi; exec java $n"], false),
            (&["sh", "-c", "java -jar a.jar; exit $?"], true),
            (&["sh", "-c", "prepare && java -jar a.jar"], true),
            (&["sh", "-c", "java -jar a.jar\n"], false),
            (&["sh", "/run.sh"], true),
        ] {
            assert_eq!(stays(words), stays_above, "{words:?}");
        }
    }
}
