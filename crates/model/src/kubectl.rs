//! Commands for kubectl that people copy as they stand. Names come from a cluster and are hostile: each is one word of a
//! shell, and a command that would have to be cleaned first is not offered.

use crate::document::{Look, Problem, Ref, Show};
use crate::text::clean_line;

/// `deployment/checkout -n shop`, with the group where kubectl could mean another kind.
#[must_use]
pub fn object(reference: &Ref) -> Option<String> {
    let kind = reference.kind.to_ascii_lowercase();
    let group = reference.api_version.split_once('/').map_or("", |(group, _)| group);
    let known = crate::Kind::of(&reference.api_version, &reference.kind).served().is_some();
    let kind = if known || group.is_empty() { kind } else { format!("{kind}.{group}") };
    // A name that begins with a dash would be a flag.
    (!reference.name.starts_with('-') && !reference.name.is_empty())
        .then(|| format!("{}{}", word(&format!("{kind}/{}", reference.name)), within(reference)))
}

/// As one word of a shell.
#[must_use]
pub fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

fn within(reference: &Ref) -> String {
    reference.namespace.as_ref().map(|namespace| format!(" -n {}", word(namespace))).unwrap_or_default()
}

/// An RFC 6901 pointer as kubectl's JSONPath. `None` where a key has characters that its parser does not take.
#[must_use]
pub fn path(pointer: &str) -> Option<String> {
    let mut path = String::new();
    let mut above = String::new();
    for token in pointer.strip_prefix('/')?.split('/') {
        let key = token.replace("~1", "/").replace("~0", "~");
        if !is_plain(&key) {
            return None;
        }
        // Maps whose keys people choose may have numbers for keys.
        let is_map = ["data", "labels", "annotations", "matchLabels", "nodeSelector", "selector"].contains(&&*above);
        match key.parse::<u16>() {
            Ok(index) if !is_map => path.push_str(&format!("[{index}]")),
            _ => path.push_str(&format!(".{}", key.replace('.', "\\."))),
        }
        above = key;
    }
    Some(path)
}

/// Whether a key or a name can stand in a JSONPath without an escape but that of its dots.
#[must_use]
pub fn is_plain(key: &str) -> bool {
    !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c))
}

impl Show {
    /// The command. `flags` choose the cluster, each with a space before it.
    #[must_use]
    pub fn command(&self, flags: &str) -> Option<String> {
        let reference = &self.reference;
        let command = match &self.look {
            Look::Object => format!("kubectl{flags} get {}", object(reference)?),
            Look::Describe => format!("kubectl{flags} describe {}", object(reference)?),
            Look::Field { path } => {
                let output = word(&format!("jsonpath={{{path}}}"));
                format!("kubectl{flags} get {} -o {output}", object(reference)?)
            }
            Look::Log { container, previous } => {
                let previous = if *previous { " --previous" } else { "" };
                if container.starts_with('-') {
                    return None;
                }
                format!("kubectl{flags} logs {} -c {}{previous}", object(reference)?, word(container))
            }
            Look::Events => {
                let selector = format!("involvedObject.kind={},involvedObject.name={}", reference.kind, reference.name);
                // Events about what lives in no namespace are in `default`.
                let place = if reference.namespace.is_some() { within(reference) } else { " -n default".to_owned() };
                format!("kubectl{flags} get events{place} --field-selector {}", word(&selector))
            }
            Look::Usage if reference.kind == "Node" && !reference.name.starts_with('-') => {
                format!("kubectl{flags} top node {}", word(&reference.name))
            }
            Look::Usage if !reference.name.starts_with('-') => {
                format!("kubectl{flags} top pod {}{} --containers", word(&reference.name), within(reference))
            }
            Look::Usage => return None,
            Look::Pods { selector } => {
                format!("kubectl{flags} get pods{} -l {} --show-labels", within(reference), word(selector))
            }
        };
        (clean_line(&command) == command).then_some(command)
    }
}

impl Problem {
    /// The command that shows the decisive fact, where the best remedy is nothing that can be carried out.
    #[must_use]
    pub fn show_command(&self, flags: &str) -> Option<String> {
        if self.closed.is_some() {
            return None;
        }
        let best = self.remedies.first();
        if best.is_some_and(|remedy| remedy.allowed != Some(false) && remedy.can_be_carried_out()) {
            return None;
        }
        self.show.as_ref()?.command(flags)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Kind, ResourceRef};

    fn show(kind: Kind, name: &str, look: Look) -> Option<String> {
        let namespace = (kind != Kind::Node).then_some("shop");
        let reference = Ref::from(&ResourceRef::new(kind, namespace, name));
        Show { reference, look, evidence: None }.command(" --context c")
    }

    #[test]
    fn each_look_is_one_command() {
        let log = |previous| Look::Log { container: "app".to_owned(), previous };
        let field = |pointer| Look::Field { path: path(pointer).unwrap() };
        for (kind, look, command) in [
            (Kind::Pod, Look::Object, "get pod/x -n shop"),
            (Kind::Node, Look::Describe, "describe node/x"),
            (
                Kind::Deployment,
                field("/spec/template/spec/containers/0/image"),
                "get deployment/x -n shop -o 'jsonpath={.spec.template.spec.containers[0].image}'",
            ),
            (Kind::ConfigMap, field("/data/app.yaml"), "get configmap/x -n shop -o 'jsonpath={.data.app\\.yaml}'"),
            (Kind::ConfigMap, field("/data/1"), "get configmap/x -n shop -o 'jsonpath={.data.1}'"),
            (Kind::Pod, log(false), "logs pod/x -n shop -c app"),
            (Kind::Pod, log(true), "logs pod/x -n shop -c app --previous"),
            (
                Kind::Pod,
                Look::Events,
                "get events -n shop --field-selector involvedObject.kind=Pod,involvedObject.name=x",
            ),
            (
                Kind::Node,
                Look::Events,
                "get events -n default --field-selector involvedObject.kind=Node,involvedObject.name=x",
            ),
            (Kind::Pod, Look::Usage, "top pod x -n shop --containers"),
            (Kind::Node, Look::Usage, "top node x"),
            (
                Kind::Service,
                Look::Pods { selector: "app=api,tier in (a)".to_owned() },
                "get pods -n shop -l 'app=api,tier in (a)' --show-labels",
            ),
        ] {
            assert_eq!(show(kind, "x", look).unwrap(), format!("kubectl --context c {command}"));
        }
    }

    #[test]
    fn a_hostile_name_never_becomes_part_of_a_command() {
        let log = |container: &str| Look::Log { container: container.to_owned(), previous: false };
        let quoted = show(Kind::Pod, "a;reboot", log("$(reboot)")).unwrap();
        assert_eq!(quoted, "kubectl --context c logs 'pod/a;reboot' -n shop -c '$(reboot)'");
        let quoted = show(Kind::Pod, "a'`b`", Look::Events).unwrap();
        assert!(
            quoted.ends_with("--field-selector 'involvedObject.kind=Pod,involvedObject.name=a'\\''`b`'"),
            "{quoted}"
        );
        for (name, look) in [
            ("--all", Look::Object),
            ("-f", Look::Usage),
            ("", Look::Describe),
            ("a\u{1b}[2K", Look::Events),
            ("a\u{202e}b", log("app")),
            ("a", log("--follow")),
        ] {
            assert_eq!(show(Kind::Pod, name, look.clone()), None, "{name} {look:?}");
        }
        assert_eq!(path("/data/a\")]}{"), None);
        assert_eq!(path("/spec//x"), None);
        assert_eq!(path("spec"), None);
    }
}
