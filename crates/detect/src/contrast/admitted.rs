//! What was declared against what was admitted: a LimitRange fills in defaults, a webhook adds containers and settings, an
//! autoscaler writes other resources. Nobody who reads the template sees any of it.

use crate::catalogue::Stage;
use crate::describe;
use crate::detectors::revision;
use crate::finding::{Fact, Finding};
use crate::view::View;
use reckon_model::document::{CauseKind, Role, Source};
use reckon_model::k8s::{Container, PodSpec, Resources};
use reckon_model::{Object, text};
use std::collections::BTreeMap;

/// Annotations by which what changes pods at their admission says so itself.
const SAYS_SO: [&str; 2] = ["kubernetes.io/limit-ranger", "vpaUpdates"];

/// So many differences are told.
const MOST: usize = 4;

/// How the pod differs from the template that made it, as far as it may matter for a failure of this stage.
pub(super) fn fact(view: &View<'_>, root: &Finding, stage: Stage, workload: &Object, pod: &Object) -> Option<Fact> {
    let body = pod.pod()?;
    let owner = pod.meta.controller()?.reference(pod.meta.namespace.as_deref());
    let owner = view.known_one(&owner)?;
    // What a later template says differs because it is later.
    if revision::is_made_by(view, owner, pod) != Some(true) || pod.meta.is_resized() {
        return None;
    }
    // It is the cause, and told.
    if root.cause.kind == CauseKind::External && root.cause.to.is_some() {
        return None;
    }
    let declared = &owner.workload()?.spec.template.spec;
    if declared.containers.is_empty() {
        return None;
    }
    let container = root.place.container.as_ref().map(|(name, _)| name.as_str());
    let mut differences = match container {
        Some(name) => of_container(stage, name, declared, &body.spec.common),
        None if stage == Stage::Scheduling => of_placing(declared, &body.spec.common),
        None => Vec::new(),
    };
    let more = differences.len().saturating_sub(MOST);
    differences.truncate(MOST);
    if differences.is_empty() {
        return None;
    }
    if more > 0 {
        differences.push(format!("{more} more"));
    }
    let said = SAYS_SO.iter().find_map(|key| pod.meta.annotations.get(*key));
    let said = said.map(|said| format!(" ({})", text::shorten(said.trim(), 120))).unwrap_or_default();
    let text = format!(
        "admitted otherwise than {} {} declares it: {}{said}",
        workload.kind.singular(),
        describe::object(workload),
        differences.join(", ")
    );
    Some(Fact::new(Role::Cause, Source::Spec, pod.meta.created, pod, text))
}

/// The differences of one container.
fn of_container(stage: Stage, name: &str, declared: &PodSpec, admitted: &PodSpec) -> Vec<String> {
    let Some((_, is)) = admitted.container(name) else { return Vec::new() };
    let Some((_, was)) = declared.container(name) else {
        return vec![format!("container {name} is not in the template")];
    };
    let mut found = Vec::new();
    let runs = matches!(stage, Stage::Config | Stage::Probe | Stage::Start);
    if is.image != was.image {
        found.push(format!("image of {name} {} (declared {})", is.image, was.image));
    }
    if runs {
        for (what, differs) in [("command", is.command != was.command), ("args", is.args != was.args)] {
            found.extend(differs.then(|| format!("other {what} of {name}")));
        }
        found.extend(of_environment(was, is));
    }
    if runs || stage == Stage::Memory {
        found.extend(of_resources(name, &was.resources, &is.resources));
    }
    if stage == Stage::Probe {
        let probes = [
            ("livenessProbe", is.liveness_probe != was.liveness_probe),
            ("readinessProbe", is.readiness_probe != was.readiness_probe),
            ("startupProbe", is.startup_probe != was.startup_probe),
        ];
        found.extend(
            probes.into_iter().filter(|(_, differs)| *differs).map(|(what, _)| format!("other {what} of {name}")),
        );
    }
    found
}

/// The differences that decide where a pod can be.
fn of_placing(declared: &PodSpec, admitted: &PodSpec) -> Vec<String> {
    let mut found = Vec::new();
    for (_, is) in admitted.all_containers() {
        match declared.container(&is.name) {
            Some((_, was)) => {
                let requests = of_resources(&is.name, &was.resources, &is.resources);
                found.extend(requests.into_iter().filter(|difference| difference.starts_with("requests.")));
            }
            None if !is.resources.requests.is_empty() => {
                let wants: Vec<String> =
                    is.resources.requests.iter().map(|(resource, amount)| format!("{resource} {amount}")).collect();
                found.push(format!(
                    "container {} is not in the template and requests {}",
                    is.name,
                    text::enumerate(&wants)
                ));
            }
            None => {}
        }
    }
    for (key, value) in &admitted.node_selector {
        if declared.node_selector.get(key) != Some(value) {
            found.push(format!("nodeSelector {key}={value}"));
        }
    }
    found
}

fn of_resources(name: &str, was: &Resources, is: &Resources) -> Vec<String> {
    let mut found = Vec::new();
    for (what, was, is, filled) in [
        ("limits", &was.limits, &is.limits, None),
        // The API server itself gives a pod the requests that it lacks, from its limits.
        ("requests", &was.requests, &is.requests, Some(&is.limits)),
    ] {
        for (resource, amount) in is {
            let before = was.get(resource);
            let by_server = before.is_none() && filled.is_some_and(|limits| limits.get(resource) == Some(amount));
            if before.is_some_and(|before| before.nanos() == amount.nanos()) || by_server {
                continue;
            }
            let before = before.map_or("nothing".to_owned(), ToString::to_string);
            found.push(format!("{what}.{resource} of {name} {amount} (declared {before})"));
        }
        let gone = was.keys().filter(|resource| !is.contains_key(*resource));
        found.extend(gone.map(|resource| format!("no {what}.{resource} of {name}")));
    }
    found
}

fn of_environment(was: &Container, is: &Container) -> Vec<String> {
    let before: BTreeMap<&str, _> = was.env.iter().map(|variable| (variable.name.as_str(), variable)).collect();
    let differs = |variable: &&reckon_model::k8s::EnvVar| before.get(variable.name.as_str()) != Some(variable);
    is.env
        .iter()
        .filter(differs)
        .map(|variable| match before.contains_key(variable.name.as_str()) {
            true => format!("another value of {} in {}", variable.name, is.name),
            false => format!("variable {} in {}", variable.name, is.name),
        })
        .collect()
}
