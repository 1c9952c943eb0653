//! Versions of a custom resource that a webhook has to convert, and does not.

use super::super::backend::{Backend, State};
use super::super::refusal::{Call, Trouble};
use super::Said;
use crate::spot;
use crate::{Fact, Finding, Place, View, describe, ownership};
use reckon_model::document::{Cause, CauseKind, RemedyKind, Risk, Role, Source, Verdict};
use reckon_model::{Object, text};
use serde_json::Value;

const SERVICE: (&str, &str) =
    ("spec.conversion.webhook.clientConfig.service.name", "/spec/conversion/webhook/clientConfig/service/name");
const BUNDLE: (&str, &str) =
    ("spec.conversion.webhook.clientConfig.caBundle", "/spec/conversion/webhook/clientConfig/caBundle");

/// A definition that has its versions converted by somebody who is known not to be there.
pub(super) fn of_definition<'a>(view: &View<'a>, definition: &'a Object) -> Option<Finding> {
    let whole = definition.whole()?;
    let text = |pointer: &str| whole.pointer(pointer).and_then(Value::as_str);
    let versions = whole.pointer("/spec/versions").and_then(Value::as_array).map_or(0, Vec::len);
    if definition.meta.deleted.is_some() || text("/spec/conversion/strategy") != Some("Webhook") || versions < 2 {
        return None;
    }
    let namespace = text("/spec/conversion/webhook/clientConfig/service/namespace")?;
    let backend = Backend::of(view, namespace, text(SERVICE.1)?);
    // Who is only not ready is told of by itself, once that lasts.
    if !matches!(backend.state, State::Absent { .. } | State::AtZero(_) | State::Nobody) {
        return None;
    }
    let name = &definition.meta.name;
    let sentence =
        format!("Objects of CustomResourceDefinition {name} cannot be read in any version but the stored one.");
    let title = format!("CustomResourceDefinition {name}: its versions cannot be converted; {}", backend.words());
    let (class, cause) = cause(view, &backend, Some(definition), None, &sentence);
    let mut finding = Finding::new("conversion-webhook", Place::of(definition), title, cause);
    finding.class = Some(class);
    finding.verdict = Verdict::Confirmed;
    let fact = format!("conversion by Service {}", describe::name(&backend.service));
    finding.evidence.push(Fact::new(Role::Cause, Source::Spec, None, definition, fact));
    complete(&mut finding, &backend, Some(definition));
    Some(finding)
}

/// A program that ends because it cannot read what has to be converted.
pub(super) fn of_program<'a>(
    view: &View<'a>,
    told: &Said<'a>,
    version: &str,
    kind: &str,
    call: Call<'_>,
) -> Option<Finding> {
    let workload = view.workload_of(told.pod);
    let group = version.split('/').next().unwrap_or(version);
    let definition = view.all(&super::kind(), None).items.into_iter().find(|object| {
        object.whole().is_some_and(|whole| {
            let is = |pointer: &str, value: &str| whole.pointer(pointer).and_then(Value::as_str) == Some(value);
            is("/spec/group", group) && is("/spec/names/kind", kind)
        })
    });
    let (namespace, service) = call.service?;
    let backend = Backend::of(view, namespace, service);
    if backend.serves() && matches!(call.trouble(), Trouble::NoService | Trouble::NoEndpoints) {
        return None;
    }
    let name = describe::object(workload);
    // A line of JSON ends with what closes its string.
    let said = call.what.trim_end_matches(['}', '\\']);
    let said =
        if said.matches('"').count() % 2 == 1 { said.trim_end_matches('"').trim_end_matches('\\') } else { said };
    let what = text::shorten(said, 160).into_owned();
    let sentence = format!("{kind} of {version} cannot be converted: {what}.");
    let title = format!("{name}: {} ends, because {kind} of {version} cannot be converted", told.container);
    let (class, cause) = cause(view, &backend, definition, Some(call), &sentence);
    let mut finding =
        Finding::new("conversion-webhook", Place::container(workload, told.container, told.sort), title, cause);
    finding.class = Some(class);
    let seen = matches!(class, "no-service" | "no-endpoints");
    finding.verdict = if seen { Verdict::Confirmed } else { Verdict::Likely };
    finding.severity = spot::severity(workload);
    finding.shows_on.insert(told.pod.reference());
    let line = text::shorten(told.line.text.trim(), 300).into_owned();
    finding.evidence.push(Fact::new(Role::Symptom, Source::Log, told.line.at, told.pod, line));
    complete(&mut finding, &backend, definition);
    Some(finding)
}

fn cause<'a>(
    view: &View<'a>,
    backend: &Backend<'a>,
    definition: Option<&'a Object>,
    call: Option<Call<'_>>,
    sentence: &str,
) -> (&'static str, Cause) {
    let of_definition = |definition: &Object, (field, pointer): (&str, &str), rest: &str| {
        let sentence = format!("{sentence} {rest}");
        let mut cause = Cause::plain(CauseKind::Resource, Some(&definition.reference()), sentence);
        cause.managed_by = ownership::managed_by(definition);
        let value = definition.whole().and_then(|whole| whole.pointer(pointer).cloned());
        cause.at_field(field, pointer, value.filter(|_| field == SERVICE.0))
    };
    let trouble = call.map(|call| call.trouble());
    match (&backend.state, definition, trouble) {
        (_, Some(definition), Some(Trouble::Certificate)) => {
            let rest =
                format!("What CustomResourceDefinition {} trusts does not fit the certificate.", definition.meta.name);
            ("certificate", of_definition(definition, BUNDLE, &rest))
        }
        (State::Absent { deleted: None } | State::Nobody, Some(definition), _) => {
            let class = if matches!(backend.state, State::Nobody) { "no-endpoints" } else { "no-service" };
            let rest =
                format!("{}; CustomResourceDefinition {} still asks for it.", backend.words(), definition.meta.name);
            (class, of_definition(definition, SERVICE, &rest))
        }
        (State::Absent { .. }, ..) => ("no-service", backend.cause(view, None, sentence)),
        (State::AtZero(_) | State::Nobody | State::NotReady { .. }, ..) => {
            ("no-endpoints", backend.cause(view, None, sentence))
        }
        _ => ("unreachable", backend.cause(view, None, sentence)),
    }
}

fn complete(finding: &mut Finding, backend: &Backend<'_>, definition: Option<&Object>) {
    finding.evidence.extend(backend.fact());
    finding.remedies.extend(backend.remedy());
    let left_over = matches!(backend.state, State::Absent { deleted: None } | State::Nobody);
    if let (Some(definition), true) = (definition, left_over) {
        let sentence = "Bring up the program that converts; if it was removed for good, its definitions and their objects are to go, too, or are to have one version and no conversion.";
        let mut remedy = spot::remedy(RemedyKind::Outside, &definition.reference(), sentence);
        remedy.risk = Risk::Medium;
        finding.remedies.push(remedy);
    }
}
