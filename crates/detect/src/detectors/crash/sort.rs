//! What sort of crash it is.

use super::full_heap::Runtime;
use super::{Crash, meaning};
use crate::addresses::{Address, in_text};
use crate::detectors::killed_by::{self, Killer};
use crate::heap;
use reckon_model::document::{RemedyKind, Verdict};
use reckon_model::k8s::ContainerType;
use reckon_model::{FieldChange, text};
use serde_json::{Value, json};

/// A slug, its class, and who says so.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sort {
    pub(super) slug: &'static str,
    pub(super) class: Option<&'static str>,
    /// Whether the runtime itself says so, which leaves nothing to guess.
    pub(super) from_runtime: bool,
    /// Whose heap is full.
    pub(super) runtime: Option<Runtime>,
}

impl Sort {
    /// `None` where it is another detector's to tell.
    pub(super) fn of(crash: &Crash<'_, '_>, line: Option<&str>) -> Option<Sort> {
        if let Some(message) = crash.not_started {
            return not_started(crash, message);
        }
        let code = crash.end?.exit_code;
        let line = line.unwrap_or_default().to_lowercase();
        if crash.killer == Killer::Lost {
            return Some(Sort::new("crash-loop", Some("synthetic")));
        }
        if crash.killer == Killer::PostStartHook {
            return Some(Sort::new("lifecycle-hook-failed", Some("post-start")));
        }
        let library =
            ["error while loading shared libraries", "cannot open shared object file", "error loading shared library"]
                .iter()
                .any(|words| line.contains(words))
                || (line.contains("version `") && line.contains("not found"));
        if library {
            return Some(Sort::new(
                "library-missing",
                Some(if line.contains("version `") { "version" } else { "absent" }),
            ));
        }
        if let Some(runtime) = Runtime::of(&line) {
            return Some(Sort { runtime: Some(runtime), ..Sort::new("heap-exhausted", Some("runtime-heap")) });
        }
        // The loader of glibc 2.33 and later looks before it starts anything.
        if line.contains("cpu does not support x86-64-v") {
            return Some(Sort::new("exec-format-error", Some("cpu")));
        }
        if line.contains("exec format error") || line.contains("cannot execute binary file") {
            return Some(Sort::new("exec-format-error", None));
        }
        Some(match code {
            127 => Sort::new("command-not-found", Some("in-shell")),
            126 => Sort::new("command-not-executable", Some("in-shell")),
            132 => Sort::new("native-crash", Some("illegal-instruction")),
            134 => Sort::new("native-crash", Some("abort")),
            135 if crash.huge_pages().is_some() => Sort::new("native-crash", Some("hugetlb")),
            135 => Sort::new("native-crash", Some("bus-error")),
            136 => Sort::new("native-crash", Some("arithmetic")),
            139 => Sort::new("native-crash", Some("memory-access")),
            _ if crash.kind == ContainerType::Init => Sort::new("init-failing", None),
            0 => Sort::new("exits-zero-loop", None),
            137 if crash.watched().is_some() => Sort::new("crash-loop", Some("userspace-killer")),
            _ if crash.for_good => Sort::new("crash-loop", Some("failed-once")),
            137 => Sort::new("crash-loop", Some("killed")),
            143 | 130 => Sort::new("crash-loop", Some("signalled")),
            _ => Sort::new("crash-loop", Some("error")),
        })
    }

    fn new(slug: &'static str, class: Option<&'static str>) -> Sort {
        Sort { slug, class, from_runtime: false, runtime: None }
    }

    /// Whether nothing but the end itself is known.
    pub(super) fn is_plain(&self) -> bool {
        matches!(self.slug, "crash-loop")
    }

    /// How sure, where no change is known.
    pub(super) fn verdict(&self, says_why: bool, code: Option<i64>) -> Verdict {
        // A program that was just done looks the same, but for the signal.
        let hook_is_sure = matches!(code, Some(130 | 137 | 143));
        match (self.slug, self.class) {
            _ if self.from_runtime => Verdict::Confirmed,
            (_, Some("never-started")) => Verdict::Unknown,
            // That nothing was signalled is sure; why the node lost it is not.
            (_, Some("synthetic")) => Verdict::Likely,
            (_, Some("post-start")) if hook_is_sure => Verdict::Confirmed,
            (_, Some("post-start")) => Verdict::Likely,
            ("exits-zero-loop", _) => Verdict::Confirmed,
            ("library-missing" | "exec-format-error", _) => Verdict::Confirmed,
            (_, Some("killed")) if !says_why => Verdict::Possible,
            (_, Some("userspace-killer" | "hugetlb")) => Verdict::Likely,
            _ if says_why => Verdict::Likely,
            _ => Verdict::Possible,
        }
    }

    /// Whether the title says what the log says.
    pub(super) fn quotes(&self) -> bool {
        // What another program kills says nothing of it.
        let by_another = self.class == Some("userspace-killer");
        !matches!(self.slug, "exits-zero-loop" | "exec-format-error") && !self.from_runtime && !by_another
    }

    /// What happens, as the middle of a title: `app keeps ending with exit code 1`.
    pub(super) fn short(&self, crash: &Crash<'_, '_>) -> String {
        let name = &crash.container.name;
        let code = crash.end.map_or(0, |end| end.exit_code);
        match (self.slug, self.class) {
            ("command-not-found", Some("at-start")) if without_command(crash) => {
                format!("{name} cannot start, neither it nor its image names a command")
            }
            ("command-not-found", Some("at-start")) => {
                format!("{name} cannot start, its command {}is not in the image", program(crash))
            }
            ("command-not-executable", Some("at-start")) => {
                format!("{name} cannot start, its command {}may not be executed", program(crash))
            }
            ("exec-format-error", Some("cpu")) => {
                format!("{name} cannot start, its image is made for newer processors than the node's")
            }
            ("exec-format-error", _) => {
                format!("{name} cannot start, its command is not made for the node's processor")
            }
            ("exits-zero-loop", _) => format!("{name} finishes with exit code 0 and is started again and again"),
            ("init-failing", _) => format!("init container {name} fails with exit code {code}"),
            ("library-missing", _) => format!("{name} cannot start for want of a library"),
            ("heap-exhausted", _) => format!("{name} ends because its own heap is full"),
            (_, Some("userspace-killer")) => {
                format!("{name} is killed by a program of its node that watches memory, not by the kernel")
            }
            (_, Some("hugetlb")) => format!("{name} is ended because its limit of huge pages is reached"),
            (_, Some("synthetic")) => format!("{name} was lost by its node and is not back"),
            (_, Some("never-started")) => format!("{name} cannot be started"),
            (_, Some("post-start")) => format!("{name} is killed because its postStart hook fails"),
            _ if crash.for_good => format!("{name} ended with exit code {code}"),
            _ => format!("{name} keeps ending with exit code {code}"),
        }
    }

    /// The same as a sentence without its end, and without what the log says.
    pub(super) fn ends(&self, crash: &Crash<'_, '_>) -> String {
        let name = &crash.container.name;
        let code = crash.end.map_or(0, |end| end.exit_code);
        match (self.slug, self.class) {
            (_, Some("synthetic")) => {
                format!(
                    "{name} was not to be found any more, and the kubelet wrote exit code {code} itself: nothing was signalled"
                )
            }
            ("exits-zero-loop", _) => {
                format!("{name} does its work and ends with exit code 0, and the restart policy starts it again")
            }
            _ if crash.not_started.is_some() => {
                format!("{name} cannot be started: {}", text::shorten(tail(crash.not_started.unwrap_or_default()), 200))
            }
            (_, Some("post-start")) => {
                format!("{name} is killed by the kubelet because its postStart hook fails: exit code {code}")
            }
            (_, Some("userspace-killer")) => format!(
                "{name} ended with exit code 137, which is SIGKILL, and neither the kernel nor the kubelet sent it: a program of the node that kills where memory is waited for (systemd-oomd, Talos) is left"
            ),
            (_, Some("hugetlb")) => format!(
                "{name} ended with exit code 135, which is SIGBUS: it touched a huge page beyond its limit of {}, and neither the kernel's log nor any status says so",
                crash.huge_pages().map(|(_, limit)| limit.as_str()).unwrap_or_default()
            ),
            (_, Some("killed")) if crash.spared().is_some() => format!(
                "{name} ended with exit code 137, which is SIGKILL: no probe and no deletion sent it, and the kernel did not kill it for memory; a process in the container, or somebody with rights on the node, did"
            ),
            // Who was not asked has not said no.
            (_, Some("killed")) if crash.view.has_gaps() => format!(
                "{name} ended with exit code 137, which is SIGKILL: not everything that would tell who sent it could be read, and nothing says it was memory"
            ),
            (_, Some("killed")) => format!(
                "{name} ended with exit code 137, which is SIGKILL: no probe and no deletion sent it, and nothing says it was memory"
            ),
            ("heap-exhausted", _) => format!(
                "{name} ended with exit code {code} because the heap of {} was full; the kernel killed nothing",
                self.runtime.map_or("its runtime", Runtime::name)
            ),
            _ => format!("{name} ended with exit code {code}{}", meaning(code)),
        }
    }

    /// What to do where no change can be taken back.
    pub(super) fn advice(&self, crash: &Crash<'_, '_>) -> Option<(RemedyKind, String)> {
        let name = &crash.container.name;
        Some(match (self.slug, self.class) {
            ("exits-zero-loop", _) => (
                RemedyKind::Create,
                format!("Run {name} as a Job or CronJob, or give it a command that stays in the foreground."),
            ),
            ("command-not-found", _) => (
                RemedyKind::Patch,
                format!("Give {name} a command that its image has, or an image that has the command."),
            ),
            (_, Some("post-start")) => (
                RemedyKind::Patch,
                format!("Correct the postStart hook of {name}, or let the program itself do what it does."),
            ),
            ("command-not-executable", _) => (
                RemedyKind::Patch,
                "Make the file executable in the image (chmod +x), set defaultMode 0755 where a ConfigMap holds it, or run it with an interpreter: command: [sh, FILE].".to_owned(),
            ),
            ("exec-format-error", Some("cpu")) => (
                RemedyKind::Patch,
                format!(
                    "Place {name} on nodes with newer processors (a label of their pool), give virtual machines the processor of their host, or use an image that is built for x86-64 without a level."
                ),
            ),
            ("exec-format-error", _) => (
                RemedyKind::Patch,
                format!(
                    "Use an image that is built for the node's architecture, or place {name} on nodes of its architecture by nodeSelector kubernetes.io/arch."
                ),
            ),
            ("library-missing", _) => (
                RemedyKind::Patch,
                format!("Use an image of {name} that has the library in the version it was built with."),
            ),
            ("heap-exhausted", _) => (RemedyKind::SetResources, self.runtime?.advice(crash.container)?),
            (_, Some("userspace-killer")) => (
                RemedyKind::SetResources,
                format!("Give {name} a memory request of what it uses, so that the node has room: such programs act before the kernel does."),
            ),
            (_, Some("hugetlb")) => {
                let (resource, limit) = crash.huge_pages()?;
                (
                    RemedyKind::SetResources,
                    format!("Raise {resource} of {name} above {limit}, or let it map fewer huge pages."),
                )
            }
            _ => return None,
        })
    }

    /// The field that is wrong as it stands, below the container, with its value.
    pub(super) fn field(&self, crash: &Crash<'_, '_>) -> Option<(&'static str, Option<Value>)> {
        let container = crash.container;
        let image = || Some(("image", Some(json!(container.image))));
        match self.slug {
            _ if self.class == Some("post-start") => Some(("lifecycle.postStart", None)),
            _ if self.class == Some("hugetlb") => {
                Some(("resources.limits", Some(json!(crash.huge_pages().map(|(_, limit)| limit.as_str())))))
            }
            "heap-exhausted" => {
                let flag = heap::setting(container)?;
                Some((flag.field(), Some(json!(flag.written))))
            }
            "library-missing" | "exec-format-error" => image(),
            "command-not-found" if without_command(crash) => Some(("command", None)),
            "command-not-found" | "command-not-executable" if self.from_runtime => {
                let wanted = crash.not_started.and_then(quoted);
                let first =
                    |list: &[String]| list.first().is_some_and(|first| wanted.is_none_or(|wanted| wanted == first));
                if first(&container.command) {
                    Some(("command", Some(json!(container.command))))
                } else if first(&container.args) && container.command.is_empty() {
                    Some(("args", Some(json!(container.args))))
                } else {
                    image()
                }
            }
            "exits-zero-loop" | "command-not-found" | "command-not-executable" => {
                if !container.command.is_empty() {
                    Some(("command", Some(json!(container.command))))
                } else if !container.args.is_empty() {
                    Some(("args", Some(json!(container.args))))
                } else {
                    image()
                }
            }
            _ => None,
        }
    }
}

/// The part of a runtime's chain of messages that says what failed.
pub(super) fn tail(message: &str) -> &str {
    let message = message.trim().trim_end_matches(": unknown");
    [
        "error during container init: ",
        "unable to start container process: ",
        "runc create failed: ",
        "OCI runtime create failed: ",
    ]
    .iter()
    .find_map(|before| Some(message.rsplit_once(before)?.1))
    .unwrap_or(message)
}

/// The program that the runtime could not run, with a space after it.
fn program(crash: &Crash<'_, '_>) -> String {
    crash.not_started.and_then(quoted).map(|name| format!("{} ", text::shorten(name, 60))).unwrap_or_default()
}

/// From `… exec: "serverd": executable file not found in $PATH: unknown` the name.
fn quoted(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once("exec: \"")?;
    Some(rest.split_once('"')?.0)
}

/// What a runtime says when neither the image nor the container names a program.
const NO_COMMAND: &str = "no command specified";

fn without_command(crash: &Crash<'_, '_>) -> bool {
    crash.not_started.is_some_and(|message| message.to_lowercase().contains(NO_COMMAND))
}

/// What a runtime says when it cannot run the command. Mounts that fail are told in the same place.
fn not_started(crash: &Crash<'_, '_>, message: &str) -> Option<Sort> {
    let text = message.to_lowercase();
    let found = |slug| Some(Sort { slug, class: Some("at-start"), from_runtime: true, runtime: None });
    let any = |words: &[&str]| words.iter().any(|word| text.contains(word));
    let exec = !text.contains("mount") && !text.contains("openat2");
    match () {
        () if any(&["exec format error"]) => {
            Some(Sort { slug: "exec-format-error", class: None, from_runtime: true, runtime: None })
        }
        () if any(&["executable file not found"]) => found("command-not-found"),
        () if exec && text.contains("exec") && any(&["no such file or directory", "not a directory"]) => {
            found("command-not-found")
        }
        () if exec && any(&["permission denied", "is a directory"]) => found("command-not-executable"),
        () if text.contains(NO_COMMAND) => found("command-not-found"),
        // What is mounted or configured stands in the same place, and has detectors of its own.
        () if killed_by::no_room(crash.container).is_some() || any(&["mount", "subpath", "runasnonroot"]) => None,
        () if crash.status.state.waiting.as_ref().is_some_and(|w| w.reason == "CreateContainerError") => {
            crash.stays_so().then(|| Sort::new("crash-loop", Some("never-started")))
        }
        () if crash.status.restart_count == 0 && !crash.for_good => None,
        () => Some(Sort::new("crash-loop", Some("never-started"))),
    }
}

/// Words with which programs complain of their arguments, wherever they stand.
const OF_ARGUMENTS: [&str; 15] = [
    "unknown flag",
    "unknown shorthand",
    "unknown option",
    "unknown command",
    "unknown argument",
    "unrecognized argument",
    "unrecognized option",
    "unrecognized flag",
    "unrecognized command",
    "invalid option",
    "unexpected option",
    "unexpected argument",
    "flag provided but not defined",
    "required flag",
    "usage:",
];

/// Words that mean arguments only where a line begins with them: memory has a usage, too.
const OF_ARGUMENTS_FIRST: [&str; 3] = ["flag", "usage", "argument"];

/// Whether what a program says is about what was changed: a variable by its name, the arguments by their words.
pub(super) fn concerns(line: &str, change: &FieldChange) -> bool {
    let named = |start: &str| {
        let (_, rest) = change.field.split_once(start)?;
        let (name, _) = rest.split_once(']')?;
        Some(name.len() > 2 && line.contains(name))
    };
    if let Some(named) = named(".env[") {
        return named || names_far_end(line, change);
    }
    let lower = line.to_lowercase();
    if !change.field.ends_with(".args") && !change.field.ends_with(".command") {
        return false;
    }
    let complains = OF_ARGUMENTS.iter().any(|words| lower.contains(words))
        || OF_ARGUMENTS_FIRST.iter().any(|word| lower.trim_start().starts_with(word));
    // A word that stood there before is as little to blame as the program's name.
    let before = words(&change.from);
    let new = words(&change.to).into_iter().filter(|word| !before.contains(word));
    complains || new.into_iter().any(|word| word.chars().count() > 3 && line.contains(word))
}

/// Whether a line names a host that the change brought in.
pub(super) fn names_far_end(line: &str, change: &FieldChange) -> bool {
    let hosts = |value: &Option<Value>| -> Vec<String> {
        let mut texts = Vec::new();
        strings(value.as_ref(), &mut texts);
        let whole = texts.iter().filter_map(|text| Address::whole(text));
        whole.chain(texts.iter().flat_map(|text| in_text(text))).map(|address| address.host).collect()
    };
    let before = hosts(&change.from);
    let said: Vec<String> = in_text(line).into_iter().map(|address| address.host).collect();
    let words = || line.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '.')));
    let names =
        |host: &String| said.contains(host) || words().any(|word| word.trim_matches('.').eq_ignore_ascii_case(host));
    hosts(&change.to).iter().filter(|host| !before.contains(host)).any(names)
}

/// The strings within a value.
fn strings<'v>(value: Option<&'v Value>, found: &mut Vec<&'v str>) {
    match value {
        Some(Value::String(text)) => found.push(text),
        Some(Value::Array(items)) => items.iter().for_each(|item| strings(Some(item), found)),
        // The name of a variable is no host.
        Some(Value::Object(map)) => {
            map.iter().filter(|(key, _)| *key != "name").for_each(|(_, item)| strings(Some(item), found));
        }
        _ => {}
    }
}

/// The words of a command line, those of `--name=value` on their own as well.
fn words(value: &Option<Value>) -> Vec<&str> {
    let list = value.as_ref().and_then(Value::as_array);
    let words = list.into_iter().flatten().filter_map(Value::as_str);
    words
        .flat_map(|word| std::iter::once(word).chain(word.split_once('=').into_iter().flat_map(|(a, b)| [a, b])))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_read_out_of_the_runtimes_words() {
        let message = r#"failed to create containerd task: OCI runtime create failed: exec: "serverd": executable file not found in $PATH: unknown"#;
        assert_eq!(quoted(message), Some("serverd"));
        assert_eq!(quoted("exec: \"broken"), None);
    }
}
