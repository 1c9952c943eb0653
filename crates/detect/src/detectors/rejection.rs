//! Why a manifest was not taken, from the words of clients and of the API server in logs and in the status of releases.

/// What was wrong with a manifest.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Rejection<'m> {
    /// `no matches for kind "Widget" in version "example.org/v1"`.
    NoMatch {
        /// The kind.
        kind: &'m str,
        /// Its group, empty for the core group.
        group: &'m str,
        /// The version, where one was named.
        version: Option<&'m str>,
    },
    /// `Deployment.apps "web" is invalid: spec.selector: Invalid value: …: field is immutable`.
    Immutable {
        /// The kind.
        kind: &'m str,
        /// The object's name.
        name: &'m str,
        /// The field that may not be changed; of a StatefulSet, `spec`.
        field: &'m str,
    },
}

impl<'m> Rejection<'m> {
    /// Reads a line; `None` where it says nothing of the kind.
    pub(crate) fn of(text: &'m str) -> Option<Rejection<'m>> {
        no_match(text).or_else(|| immutable(text))
    }
}

/// The text between the first pair of double quotes, which logs in JSON escape.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let (_, rest) = text.split_once('"')?;
    let (inner, rest) = rest.split_once('"')?;
    Some((inner.trim_end_matches('\\'), rest))
}

fn no_match(text: &str) -> Option<Rejection<'_>> {
    let (_, rest) = text.split_once("no matches for kind ")?;
    let (kind, rest) = quoted(rest)?;
    let (place, _) = quoted(rest)?;
    let is_version =
        |word: &str| word.strip_prefix('v').is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()));
    let (group, version) = match place.split_once('/') {
        Some((group, version)) => (group, Some(version)),
        None if is_version(place) => ("", Some(place)),
        None => (place, None),
    };
    let plain = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric());
    plain(kind).then_some(Rejection::NoMatch { kind, group, version })
}

fn immutable(text: &str) -> Option<Rejection<'_>> {
    let said =
        ["field is immutable", "updates to statefulset spec for fields other than", "is immutable after creation"];
    if !said.iter().any(|words| text.contains(words)) {
        return None;
    }
    let (before, after) = text.split_once(" is invalid: ")?;
    let mut words = before.rsplitn(3, ' ');
    let name = words.next()?.trim_matches(['"', '\\']);
    let kind = words.next()?.trim_matches(['"', '\\', ':', '(']);
    let kind = kind.split('.').next().unwrap_or(kind);
    let field = after.split(": ").next()?.trim_start_matches(['[', ' ']);
    Some(Rejection::Immutable { kind, name, field })
}

/// API versions of built-in kinds that were served once, and the first version of Kubernetes without them.
const REMOVED: [(&str, &str, &str); 12] = [
    ("extensions", "v1beta1", "1.22"),
    ("apps", "v1beta1", "1.16"),
    ("apps", "v1beta2", "1.16"),
    ("networking.k8s.io", "v1beta1", "1.22"),
    ("rbac.authorization.k8s.io", "v1beta1", "1.22"),
    ("apiextensions.k8s.io", "v1beta1", "1.22"),
    ("admissionregistration.k8s.io", "v1beta1", "1.22"),
    ("policy", "v1beta1", "1.25"),
    ("batch", "v1beta1", "1.25"),
    ("autoscaling", "v2beta1", "1.25"),
    ("autoscaling", "v2beta2", "1.26"),
    ("flowcontrol.apiserver.k8s.io", "v1beta2", "1.29"),
];

/// The version of Kubernetes that took this API version away.
pub(crate) fn removed_in(group: &str, version: &str) -> Option<&'static str> {
    REMOVED.iter().find(|(of, name, _)| *of == group && *name == version).map(|(_, _, since)| *since)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_that_is_not_served_is_read_from_every_wording() {
        for (text, expected) in [
            (r#"no matches for kind "Widget" in version "example.org/v1""#, ("Widget", "example.org", Some("v1"))),
            (r#"no matches for kind "Widget" in group "example.org""#, ("Widget", "example.org", None)),
            (
                r#"{"error":"no matches for kind \"Widget\" in version \"example.org/v1\""}"#,
                ("Widget", "example.org", Some("v1")),
            ),
            (
                r#"resource mapping not found for name: "x" namespace: "" from "": no matches for kind "Ingress" in version "extensions/v1beta1""#,
                ("Ingress", "extensions", Some("v1beta1")),
            ),
        ] {
            let (kind, group, version) = expected;
            assert_eq!(Rejection::of(text), Some(Rejection::NoMatch { kind, group, version }), "{text}");
        }
        assert_eq!(Rejection::of("no matches for kind"), None);
    }

    #[test]
    fn a_field_that_may_not_change_is_read() {
        for (text, expected) in [
            (
                r#"Deployment.apps "web" is invalid: spec.selector: Invalid value: v1.LabelSelector{}: field is immutable"#,
                ("Deployment", "web", "spec.selector"),
            ),
            (
                r#"cannot patch "db" with kind StatefulSet: StatefulSet.apps "db" is invalid: spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'template' are forbidden"#,
                ("StatefulSet", "db", "spec"),
            ),
        ] {
            let (kind, name, field) = expected;
            assert_eq!(Rejection::of(text), Some(Rejection::Immutable { kind, name, field }), "{text}");
        }
    }
}
