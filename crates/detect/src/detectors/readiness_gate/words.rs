//! What the kubelet says of readiness gates (Kubernetes 1.24 to 1.37: `pkg/kubelet/status/generate.go`).

use reckon_model::text;

/// A gate that is not met.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Gate {
    /// The type of the condition; empty where the words are not known.
    pub(super) name: String,
    /// What the condition says; `None`: it is not there.
    pub(super) status: Option<String>,
}

impl Gate {
    /// The name as sentences show it.
    pub(super) fn shown(&self) -> String {
        text::shorten(&text::clean_line(&self.name), 100).into_owned()
    }
}

/// A pod has a few gates at most.
const MOST: usize = 8;

/// The gates that a message names: `corresponding condition of pod readiness gate "t" does not exist.`, and
/// `the status of pod readiness gate "t" is not "True", but False`.
pub(super) fn gates(message: &str) -> Vec<Gate> {
    let mut rest = message;
    let mut gates = Vec::new();
    while let Some((_, after)) = rest.split_once("readiness gate \"") {
        let Some((name, after)) = after.split_once('"') else { break };
        let (own, next) = after.split_once("readiness gate \"").map_or((after, ""), |(own, _)| (own, after));
        let status = own
            .split_once("but ")
            .map(|(_, status)| status.trim().split([',', ' ', '.']).next().unwrap_or_default().to_owned());
        gates.push(Gate { name: name.to_owned(), status: status.filter(|status| !status.is_empty()) });
        rest = next;
        if gates.len() == MOST {
            break;
        }
    }
    gates
}

/// What a condition gives as its reason.
pub(super) fn why(reason: &str, message: &str) -> String {
    let message = text::clean_line(message);
    let message = text::shorten(message.trim().trim_end_matches('.'), 200);
    match (reason.trim(), message.as_ref()) {
        ("", message) => message.to_owned(),
        (reason, "") => reason.to_owned(),
        (reason, message) => format!("{reason}: {message}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gates_are_told_with_what_their_conditions_say() {
        let gate = |name: &str, status: Option<&str>| Gate { name: name.into(), status: status.map(str::to_owned) };
        assert_eq!(
            gates("corresponding condition of pod readiness gate \"a.io/b\" does not exist."),
            [gate("a.io/b", None)]
        );
        assert_eq!(
            gates(
                "the status of pod readiness gate \"x\" is not \"True\", but False, corresponding condition of pod readiness gate \"y\" does not exist."
            ),
            [gate("x", Some("False")), gate("y", None)]
        );
        for strange in ["", "readiness gate", "readiness gate \"broken", "a new wording"] {
            assert_eq!(gates(strange), [], "{strange}");
        }
        assert_eq!(gates(&"readiness gate \"x\" ".repeat(100)).len(), MOST);
        assert_eq!(
            why("Initial", "Target registration is in progress."),
            "Initial: Target registration is in progress"
        );
    }
}
