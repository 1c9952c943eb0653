//! Policies that deny what they were made to deny, or more.

use super::super::edit::Edit;
use super::case::{self, Case};
use super::configured::{configured, reference};
use crate::blame::Blame;
use crate::spot::Path;
use crate::{Fact, Finding};
use reckon_model::document::{Cause, Remedy, RemedyKind, Risk, Role, Source, Verdict};
use reckon_model::{FieldChange, Object, ResourceRef, Timestamp, text};
use serde_json::{Value, json};

const GROUP: &str = "admissionregistration.k8s.io";

/// An object that makes a policy what it is, and what of it decides.
struct Rule<'a> {
    object: &'a Object,
    paths: Vec<Path>,
    resource: &'static str,
}

enum Culprit<'r, 'a> {
    Rule(&'r Rule<'a>, Edit),
    Template(Blame),
}

impl Culprit<'_, '_> {
    fn at(&self) -> Timestamp {
        match self {
            Culprit::Rule(_, edit) => edit.at(),
            Culprit::Template(blame) => blame.change.at,
        }
    }
}

/// The finding. Whether the policy still denies can be told only by asking again.
pub(super) fn found(case: &Case<'_, '_>, by: &str, binding: Option<&str>, what: &str) -> Finding {
    let words: Vec<&str> = what.split_whitespace().collect();
    let why = format!("{by} denies them: {}", text::shorten(&words.join(" "), 160));
    let rules = match binding {
        Some(binding) => of_policy(case, by, binding),
        None => of_webhook(case, by, what),
    };
    let edits = rules.iter().filter_map(|rule| {
        let edits = rule.paths.iter().filter_map(|path| case.edit(rule.object, path));
        Some(Culprit::Rule(rule, edits.max_by_key(Edit::at)?))
    });
    let template = case.template_where(|field| is_named(field, what).then_some(0)).map(Culprit::Template);
    let culprit = edits.chain(template).reduce(|best, next| if next.at() > best.at() { next } else { best });
    let cause: Cause = match &culprit {
        Some(Culprit::Rule(rule, edit)) => {
            let field = if edit.is_new() { String::new() } else { format!("{} of ", edit.field()) };
            let name = format!("{} {}", rule.object.kind, rule.object.meta.name);
            edit.cause(format!("{field}{name} was {}; since then {why}.", edit.words()))
        }
        Some(Culprit::Template(blame)) => case.own_change(blame, &why),
        None => case.plain(case.sentence(&why)),
    };
    let class = if binding.is_some() { "admission-policy" } else { "webhook" };
    let mut finding = case.finding("policy-denied", Some(class), &why, cause);
    // The policy may be older than it looks, and what it reads may have changed: the change is a hint.
    if matches!(culprit, Some(Culprit::Rule(..))) {
        finding.verdict = Verdict::Likely;
    }
    if let Some(rule) = rules.first() {
        let text = format!("{} {} is what denies", rule.object.kind, rule.object.meta.name);
        finding.evidence.push(Fact::new(Role::Cause, Source::Spec, rule.object.meta.created, rule.object, text));
    }
    match &culprit {
        Some(Culprit::Rule(rule, edit)) => finding.remedies.extend(relax(rule, edit)),
        Some(Culprit::Template(_)) => finding.remedies.extend(case.roll_back()),
        None => {}
    }
    finding.remedies.push(case.advice(
        RemedyKind::Patch,
        format!("{by} may work as meant: make the template comply, or ask whoever owns it for an exception."),
    ));
    finding
}

/// A built-in policy and its binding.
fn of_policy<'a>(case: &Case<'_, 'a>, policy: &str, binding: &str) -> Vec<Rule<'a>> {
    let named = [
        (
            reference(GROUP, "ValidatingAdmissionPolicy", policy),
            "validatingadmissionpolicies.admissionregistration.k8s.io",
        ),
        (
            reference(GROUP, "ValidatingAdmissionPolicyBinding", binding),
            "validatingadmissionpolicybindings.admissionregistration.k8s.io",
        ),
    ];
    named.into_iter().filter_map(|(reference, resource)| rule(case, &reference, &["spec"], resource)).collect()
}

/// The configuration of a webhook, and the policy behind it where its words name one.
fn of_webhook<'a>(case: &Case<'_, 'a>, name: &str, what: &str) -> Vec<Rule<'a>> {
    let mut rules = Vec::new();
    if let Some(policy) = kyverno(what) {
        let policy = reference("kyverno.io", "ClusterPolicy", policy);
        rules.extend(rule(case, &policy, &["spec"], "clusterpolicies.kyverno.io"));
    }
    if let Some(configured) = configured(case.view, name) {
        // Bundles are written anew all the time; what is asked about, and where, is not.
        let keys = ["rules", "namespaceSelector", "objectSelector", "matchConditions"];
        let paths = keys.iter().map(|key| configured.path.key(key)).collect();
        rules.push(Rule { object: configured.object, paths, resource: configured.resource });
    }
    rules
}

fn rule<'a>(case: &Case<'_, 'a>, reference: &ResourceRef, keys: &[&str], resource: &'static str) -> Option<Rule<'a>> {
    let object = case.view.look_up(reference).found()?;
    let paths = keys.iter().map(|key| Path { field: (*key).to_owned(), pointer: format!("/{key}") }).collect();
    Some(Rule { object, paths, resource })
}

/// The policy that Kyverno names: `resource Pod/shop/web was blocked due to the following policies`, then `name:`.
fn kyverno(what: &str) -> Option<&str> {
    let (_, rest) = what.split_once("due to the following policies")?;
    let name = rest.trim_start().split(':').next()?.trim();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    (!name.is_empty() && name.chars().all(plain)).then_some(name)
}

/// Whether what a policy says names a change: its new value, or the field.
fn is_named(field: &FieldChange, what: &str) -> bool {
    const SHORT: usize = 3;
    let value = field.to.as_ref().and_then(Value::as_str).is_some_and(|to| to.len() > SHORT && what.contains(to));
    let key = field.pointer.rsplit('/').next().unwrap_or("");
    value || (key.len() > SHORT && !key.chars().all(|c| c.is_ascii_digit()) && what.contains(key))
}

/// Back to what the policy asked before; a binding may warn instead.
fn relax(rule: &Rule<'_>, edit: &Edit) -> Vec<Remedy> {
    let on = rule.object.reference();
    let name = format!("{} {}", rule.object.kind, rule.object.meta.name);
    let sentence = match edit.is_new() {
        true => format!("If {name} was not meant for this, narrow what it matches or take it away."),
        false => format!("If it was not meant, undo the change of {name}."),
    };
    let mut undo = case::remedy_on(&on, RemedyKind::Patch, rule.resource, sentence);
    undo.risk = Risk::Medium;
    undo.managed_by = crate::ownership::managed_by(rule.object);
    if rule.object.kind.name() == "ValidatingAdmissionPolicyBinding" {
        undo.sentence = format!("Have {name} warn instead of deny until the workloads comply.");
        undo.patch_type = Some("merge".to_owned());
        undo.patch = Some(json!({"spec": {"validationActions": ["Warn", "Audit"]}}));
    }
    vec![undo]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kyverno_names_its_policy() {
        let what = "resource Pod/shop/web was blocked due to the following policies \n\nno-latest:\n  check: 'validation error'";
        assert_eq!(kyverno(what), Some("no-latest"));
        assert_eq!(kyverno("image is not signed"), None);
    }
}
