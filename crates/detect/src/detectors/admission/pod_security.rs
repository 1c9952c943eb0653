//! Pods that the namespace's pod security level does not let in.

use super::case::Case;
use crate::spot::{self, Path, Spot};
use crate::{Fact, Finding, Lookup};
use reckon_model::document::{Alternative, Ref, Remedy, RemedyKind, Risk, Role, Source, Verdict};
use reckon_model::{Kind, Object, ResourceRef, text};
use serde_json::{Map, Value, json};

/// The label that sets the level.
const ENFORCE: &str = "pod-security.kubernetes.io/enforce";

/// Where a template may violate a level.
const PARTS: [&str; 10] = [
    "/securityContext",
    "/hostNetwork",
    "/hostPID",
    "/hostIPC",
    "/hostPath",
    "/hostPort",
    "/hostUsers",
    "/volumes",
    "/procMount",
    "/seLinuxOptions",
];

/// The finding; `None` where the namespace has become more lenient.
pub(super) fn found(case: &Case<'_, '_>, level: &str, what: &str) -> Option<Finding> {
    let reference = ResourceRef::new(Kind::Namespace, None, case.namespace().unwrap_or(""));
    let namespace = match case.view.look_up(&reference) {
        Lookup::Found(namespace) => Some(namespace),
        _ => None,
    };
    let label = namespace.and_then(|namespace| namespace.meta.labels.get(ENFORCE));
    if label.is_some_and(|label| label == "privileged") {
        return None;
    }
    let why = format!("the namespace enforces pod security {level}: {}", text::shorten(&summary(what), 200));
    let path = Path { field: "metadata.labels".to_owned(), pointer: "/metadata/labels".to_owned() }.entry(ENFORCE);
    let edit = namespace.filter(|_| label.is_some()).and_then(|namespace| case.edit(namespace, &path));
    let template = case.template(&PARTS);
    let spot = Spot::of(case.workload);
    let by_namespace = match (&edit, &template) {
        (Some(edit), Some(blame)) => edit.at() > blame.change.at,
        (Some(_), None) => true,
        (None, _) => false,
    };
    let cause = match (&edit, &template, &spot) {
        (Some(edit), ..) if by_namespace => {
            let name = &reference.name;
            edit.cause(format!("The label {ENFORCE} of namespace {name} was {}; since then {why}.", edit.words()))
        }
        (_, Some(blame), _) => case.own_change(blame, &why),
        (_, None, Some(spot)) => spot.wrong(&field(spot, what), None, case.sentence(&why)),
        (_, None, None) => case.plain(case.sentence(&why)),
    };
    let mut finding = case.finding("pod-security", None, &why, cause);
    match (namespace, label) {
        (Some(namespace), Some(label)) => {
            let at = edit.as_ref().map(super::super::edit::Edit::at);
            let text = format!("label {ENFORCE}={label}");
            finding.evidence.push(Fact::new(Role::Cause, Source::Spec, at, namespace, text));
        }
        // No label: the level is the default of the cluster.
        (Some(namespace), None) => {
            let text = format!("no label {ENFORCE}: the level is the API server's default");
            finding.evidence.push(Fact::new(Role::Cause, Source::Absence, None, namespace, text));
        }
        (None, _) => finding.alternatives.push(Alternative {
            reference: Some(Ref::from(&reference)),
            verdict: Verdict::Possible,
            sentence: format!(
                "The namespace may enforce {level} only lately: look at its label {ENFORCE} and who set it."
            ),
        }),
    }
    if !by_namespace && template.is_some() {
        finding.remedies.extend(case.roll_back());
    }
    finding.remedies.extend(comply(case, spot.as_ref(), what));
    if let (true, Some(namespace)) = (by_namespace, namespace) {
        finding.remedies.push(relax(namespace, edit.as_ref().and_then(|edit| edit.from())));
    }
    Some(finding)
}

/// The level that was enforced before.
fn relax(namespace: &Object, before: Option<&Value>) -> Remedy {
    let sentence = match before.and_then(Value::as_str) {
        Some(before) => format!("Or put the label back to {before} until the workloads comply."),
        None => "Or take the label away until the workloads comply; warn and audit keep telling.".to_owned(),
    };
    let mut remedy = spot::remedy(RemedyKind::Patch, &namespace.reference(), sentence);
    remedy.risk = Risk::Medium;
    remedy.patch_type = Some("merge".to_owned());
    remedy.patch = Some(json!({"metadata": {"labels": {ENFORCE: before}}}));
    remedy
}

/// The first field that violates the level.
fn field(spot: &Spot<'_>, what: &str) -> Path {
    let first = violations(what).into_iter().next().unwrap_or(Violation { said: what, fix: None });
    for key in ["hostNetwork", "hostPID", "hostIPC"] {
        if first.said.contains(&format!("{key}=true")) {
            return spot.path(key);
        }
    }
    if first.said.contains("volume") {
        let named = spot.spec.volumes.iter().find(|volume| first.said.contains(&format!("\"{}\"", volume.name)));
        return named.and_then(|volume| spot.volume(&volume.name)).unwrap_or_else(|| spot.path("volumes"));
    }
    let within = |path: Path| match first.fix {
        Some(Fix { keys, .. }) => keys.iter().fold(path.key("securityContext"), |path, key| path.key(key)),
        None if first.said.contains("hostPort") => path.key("ports"),
        None => path.key("securityContext"),
    };
    match super::case::named(spot, first.said).and_then(|container| spot.container(&container.name)) {
        Some(path) => within(path),
        None => spot.path("securityContext"),
    }
}

/// One check that failed, and what would pass it.
struct Violation<'m> {
    said: &'m str,
    fix: Option<&'static Fix>,
}

/// A field of a container's `securityContext` with a value that passes.
struct Fix {
    said: &'static str,
    keys: &'static [&'static str],
    value: &'static str,
}

/// The checks of the levels whose remedy follows from their name.
const FIXES: [Fix; 5] = [
    Fix { said: "allowPrivilegeEscalation != false", keys: &["allowPrivilegeEscalation"], value: "false" },
    Fix { said: "unrestricted capabilities", keys: &["capabilities", "drop"], value: r#"["ALL"]"# },
    Fix { said: "runAsNonRoot != true", keys: &["runAsNonRoot"], value: "true" },
    Fix { said: "seccompProfile", keys: &["seccompProfile", "type"], value: r#""RuntimeDefault""# },
    Fix { said: "privileged (", keys: &["privileged"], value: "false" },
];

/// The checks are told one after the other, each with its containers in parentheses.
fn violations(what: &str) -> Vec<Violation<'_>> {
    const MOST: usize = 20;
    let parts = what.split("), ").take(MOST).map(str::trim).filter(|part| !part.is_empty());
    parts.map(|said| Violation { said, fix: FIXES.iter().find(|fix| said.starts_with(fix.said)) }).collect()
}

/// The names of the checks; what they want is repeated only where it does not follow from the name.
fn summary(what: &str) -> String {
    let checks: Vec<&str> = violations(what)
        .iter()
        .map(|it| if it.fix.is_some() { it.said.split(" (").next().unwrap_or(it.said) } else { it.said })
        .collect();
    let mut summary = checks.join(", ");
    // The last parenthesis was cut off with what divides the checks.
    if summary.matches('(').count() > summary.matches(')').count() {
        summary.push(')');
    }
    summary
}

/// What makes the template comply, with a patch where every check says what it wants.
fn comply(case: &Case<'_, '_>, spot: Option<&Spot<'_>>, what: &str) -> Option<Remedy> {
    const PLAIN: &str = "Take out what the level forbids, or move the workload to a namespace whose level allows it.";
    let violations = violations(what);
    let spot = spot?;
    let mut wanted: Vec<(&str, Map<String, Value>)> = Vec::new();
    for violation in &violations {
        let Some(fix) = violation.fix else { return Some(case.advice(RemedyKind::Patch, PLAIN)) };
        let value: Value = serde_json::from_str(fix.value).ok()?;
        let named = spot.spec.containers.iter().filter(|it| violation.said.contains(&format!("\"{}\"", it.name)));
        for container in named {
            let at = match wanted.iter().position(|(name, _)| *name == container.name) {
                Some(at) => at,
                None => {
                    wanted.push((&container.name, Map::new()));
                    wanted.len().saturating_sub(1)
                }
            };
            let Some((_, context)) = wanted.get_mut(at) else { continue };
            match fix.keys {
                [key] => drop(context.insert((*key).to_owned(), value.clone())),
                [key, below] => drop(context.insert((*key).to_owned(), json!({*below: value.clone()}))),
                _ => {}
            }
        }
    }
    if wanted.is_empty() {
        return Some(case.advice(RemedyKind::Patch, PLAIN));
    }
    let containers: Vec<Value> =
        wanted.into_iter().map(|(name, context)| json!({"name": name, "securityContext": context})).collect();
    let sentence = "Set what the level asks for; a program that needs root or a capability has to be changed first.";
    Some(spot.patch(Some(json!({"containers": containers})), sentence))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_check_is_told_apart() {
        let what = r#"allowPrivilegeEscalation != false (container "app" must set securityContext.allowPrivilegeEscalation=false), unrestricted capabilities (containers "app", "proxy" must set securityContext.capabilities.drop=["ALL"]), host namespaces (hostNetwork=true)"#;
        let fixes: Vec<_> = violations(what).iter().map(|it| it.fix.map(|fix| fix.keys.join("."))).collect();
        assert_eq!(fixes, [Some("allowPrivilegeEscalation".to_owned()), Some("capabilities.drop".to_owned()), None]);
    }
}
