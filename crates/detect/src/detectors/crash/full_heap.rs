//! A runtime whose own heap is full: the kernel killed nothing, and a higher memory limit alone changes nothing.

use crate::View;
use crate::detectors::logs;
use crate::heap::{self, Setting};
use reckon_model::k8s::{Container, ContainerStatus};
use reckon_model::{LogLine, Object, quantity};

/// Whose heap it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Runtime {
    Jvm,
    V8,
    Python,
    Native,
}

impl Runtime {
    pub(super) fn name(self) -> &'static str {
        match self {
            Runtime::Jvm => "the JVM",
            Runtime::V8 => "Node.js",
            Runtime::Python => "Python",
            Runtime::Native => "its allocator",
        }
    }

    /// What a runtime says when its heap is full, most of it while the container's limit is far. In lower case.
    pub(super) fn of(line: &str) -> Option<Runtime> {
        let any = |words: &[&str]| words.iter().any(|word| line.contains(word));
        match () {
            () if any(&["heap out of memory", "allocation failed - javascript heap"]) => Some(Runtime::V8),
            // Threads are not memory, whatever the class is called; but every exception tells in which thread it was thrown.
            () if line.contains("outofmemoryerror") => (!line.contains("unable to create")).then_some(Runtime::Jvm),
            () if line.trim_start().starts_with("memoryerror") => Some(Runtime::Python),
            () if any(&["std::bad_alloc"])
                || (line.contains("memory allocation of ") && line.contains("bytes failed")) =>
            {
                Some(Runtime::Native)
            }
            () => None,
        }
    }

    /// What to do about it, with numbers where a flag or a limit gives them.
    pub(super) fn advice(self, container: &Container) -> Option<String> {
        let name = &container.name;
        let limit = limit(container);
        let raise = |flag: &Setting, bytes: u64| {
            let (now, twice) = (flag.bytes(bytes), flag.bytes(bytes).saturating_mul(2));
            let room = match limit {
                Some(limit) if twice > limit / 4 * 3 => {
                    let need = quantity::bytes(twice.saturating_mul(4) / 3);
                    format!(" and the memory limit to {need}, as threads, code and buffers need a quarter")
                }
                _ => String::new(),
            };
            format!(
                "The heap of {name} is {} by {}. Raise it to {}{room}, and watch whether it only grows: then it is a leak.",
                quantity::bytes(now),
                flag.written,
                flag.with(twice)
            )
        };
        match (self, heap::setting(container)) {
            (Runtime::Jvm | Runtime::V8, Some(flag)) => Some(raise(&flag, limit.unwrap_or(0))),
            (Runtime::Jvm, None) => Some(match limit {
                Some(limit) => format!(
                    "Without a flag the JVM of {name} takes {} of its memory limit of {} for its heap: set -XX:MaxRAMPercentage=75, and -XX:+ExitOnOutOfMemoryError so that it ends rather than lives on half dead.",
                    quantity::bytes(default_heap(limit)),
                    quantity::bytes(limit)
                ),
                None => format!(
                    "Give {name} a memory limit and -XX:MaxRAMPercentage=75, and watch whether its heap only grows."
                ),
            }),
            (Runtime::V8, None) => Some(match limit {
                Some(limit) => format!(
                    "Set --max-old-space-size={} for {name}, three quarters of its memory limit: by itself Node.js takes about half, and 2 to 4 GiB at most.",
                    (limit / 4 * 3) >> 20
                ),
                None => format!(
                    "Set --max-old-space-size for {name} to what it needs, and watch whether its heap only grows."
                ),
            }),
            (Runtime::Python | Runtime::Native, _) => None,
        }
    }
}

/// What a 64-bit JVM takes by itself: a quarter of its limit (MaxRAMPercentage), and of small ones half (MinRAMPercentage), up
/// to the 125 MiB that it is built with.
fn default_heap(limit: u64) -> u64 {
    (limit / 4).max((limit / 2).min(125 << 20))
}

fn limit(container: &Container) -> Option<u64> {
    container.resources.limits.get("memory").and_then(|limit| u64::try_from(limit.value()?).ok())
}

/// The line that tells of a full heap in a container that runs on all the same: a thread of a JVM ends, and the process does
/// not. Logs of what is well are read for one object that was asked about, and where flags say that it is a JVM.
pub(super) fn half_dead<'a>(
    view: &View<'a>,
    pod: &Object,
    container: &Container,
    status: &ContainerStatus,
) -> Option<&'a LogLine> {
    status.state.running.as_ref()?;
    let is_jvm = heap::setting(container).is_some_and(|flag| flag.is_jvm())
        || container.command.iter().chain(&container.args).any(|word| word.rsplit('/').next() == Some("java"));
    if !is_jvm || !view.is_close() {
        return None;
    }
    let full = |line: &&LogLine| Runtime::of(&line.text.to_lowercase()) == Some(Runtime::Jvm);
    let lines = view.log(pod, &container.name, false)?;
    lines.iter().rev().filter(|line| !logs::is_noise(&line.text)).find(full)
}
