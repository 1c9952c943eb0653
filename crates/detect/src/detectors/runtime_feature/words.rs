//! What kubelets and runtimes (containerd, CRI-O) say when a node lacks a feature.

use reckon_model::text;

/// What a pod asked for, and its node's runtime does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Feature {
    /// A profile of AppArmor, by name where it is told.
    AppArmor(String),
    /// A file with a profile for seccomp.
    Seccomp(String),
    /// A runtime under this name.
    Handler(String),
    /// Users of its own.
    UserNamespace,
}

impl Feature {
    /// From a message.
    pub(super) fn of(message: &str) -> Option<Feature> {
        let lower = message.to_lowercase();
        let has = |words: &str| lower.contains(words);
        if has("no runtime for \"") {
            return Some(Feature::Handler(quoted(message, "no runtime for \"")?));
        }
        if has("failed to find runtime handler ") {
            let (_, rest) = message.split_once("failed to find runtime handler ")?;
            return Some(Feature::Handler(word(rest)));
        }
        if has("apparmor")
            && ["not found", "not loaded", "is not enabled", "not supported"].iter().any(|words| has(words))
        {
            let name =
                quoted(message, "profile \"").or_else(|| Some(word(message.split_once("profile not found ")?.1)));
            return Some(Feature::AppArmor(name.unwrap_or_default()));
        }
        let absent = ["no such file", "not found", "cannot load seccomp", "unable to load local profile"];
        if has("seccomp") && absent.iter().any(|words| has(words)) {
            // The file stands below the kubelet's directory for profiles.
            let file = message
                .split_once("/seccomp/")
                .map(|(_, rest)| word(rest.split(['"', ':']).next().unwrap_or_default()));
            return Some(Feature::Seccomp(file.unwrap_or_default()));
        }
        let users =
            ["user namespaces are not supported", "does not support user namespaces", "support for user namespaces"];
        users.iter().any(|words| has(words)).then_some(Feature::UserNamespace)
    }

    pub(super) fn class(&self) -> &'static str {
        match self {
            Feature::AppArmor(_) => "apparmor",
            Feature::Seccomp(_) => "seccomp",
            Feature::Handler(_) => "runtime-handler",
            Feature::UserNamespace => "user-namespace",
        }
    }

    /// As the middle of a sentence.
    pub(super) fn lacks(&self) -> String {
        let named = |name: &str| if name.is_empty() { String::new() } else { format!(" {}", text::shorten(name, 80)) };
        match self {
            Feature::AppArmor(name) => format!("AppArmor profile{} is not loaded", named(name)),
            Feature::Seccomp(name) => format!("seccomp profile{} does not exist", named(name)),
            Feature::Handler(name) => format!("runtime{} is not configured", named(name)),
            Feature::UserNamespace => "user namespaces are not supported".to_owned(),
        }
    }

    /// What would give it to the node.
    pub(super) fn install(&self, node: &str) -> String {
        match self {
            Feature::AppArmor(_) => {
                format!("Load the profile on {node} (apparmor_parser), and on all nodes that the pods may be sent to.")
            }
            Feature::Seccomp(_) => format!(
                "Put the file below /var/lib/kubelet/seccomp on {node}, and on all nodes that the pods may be sent to."
            ),
            Feature::Handler(_) => format!(
                "Install the runtime on {node} and name it in the configuration of containerd or CRI-O, or keep the pods away from there."
            ),
            Feature::UserNamespace => format!(
                "Use a kernel and a runtime on {node} that support user namespaces, or keep the pods away from there."
            ),
        }
    }

    /// What would not ask for it.
    pub(super) fn correct(&self) -> &'static str {
        match self {
            Feature::AppArmor(_) | Feature::Seccomp(_) => "Name a profile that the nodes have, or RuntimeDefault.",
            Feature::Handler(_) => {
                "Let the RuntimeClass name a runtime that the nodes have, and with scheduling.nodeSelector the nodes that have it."
            }
            Feature::UserNamespace => "Leave hostUsers out where nodes do not support it.",
        }
    }
}

fn quoted(message: &str, before: &str) -> Option<String> {
    let (_, rest) = message.split_once(before)?;
    Some(rest.split_once('"')?.0.to_owned())
}

fn word(rest: &str) -> String {
    rest.trim_start()
        .split(|c: char| c.is_whitespace() || matches!(c, ',' | ':' | '"'))
        .next()
        .unwrap_or_default()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lacking_is_read_out_of_the_words_of_runtimes() {
        for (said, expected) in [
            (
                "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to get sandbox runtime: no runtime for \"gvisor\" is configured",
                Some(Feature::Handler("gvisor".into())),
            ),
            (
                "rpc error: code = Unknown desc = failed to find runtime handler kata from runtime list map[runc:0xc0]",
                Some(Feature::Handler("kata".into())),
            ),
            (
                "failed to create containerd container: failed to generate apparmor spec opts: apparmor profile not found k8s-deny",
                Some(Feature::AppArmor("k8s-deny".into())),
            ),
            ("Cannot enforce AppArmor: profile \"deny\" is not loaded", Some(Feature::AppArmor("deny".into()))),
            (
                "cannot load seccomp profile \"/var/lib/kubelet/seccomp/audit.json\": open /var/lib/kubelet/seccomp/audit.json: no such file or directory",
                Some(Feature::Seccomp("audit.json".into())),
            ),
            (
                "setup seccomp: unable to load local profile \"/var/lib/kubelet/seccomp/a.json\": open: no such file",
                Some(Feature::Seccomp("a.json".into())),
            ),
            ("user namespaces are not supported by the runtime", Some(Feature::UserNamespace)),
            ("exec: \"serverd\": executable file not found in $PATH", None),
            ("no runtime for \"broken", None),
            ("", None),
        ] {
            assert_eq!(Feature::of(said), expected, "{said}");
        }
    }
}
