//! A workload of the same kind and name in another namespace that is well, and what of it is not like here.

use crate::describe;
use crate::detectors::configuration;
use crate::finding::{Fact, Finding};
use crate::view::View;
use reckon_model::document::{Role, Source};
use reckon_model::k8s::{Container, EnvSource, EnvVar, PodSpec};
use reckon_model::{Kind, Object, Quantity, ResourceRef, text};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// So many differences are told.
const MOST: usize = 5;

/// The namesake of a workload whose container fails.
pub(super) fn of_container<'a>(view: &View<'a>, root: &Finding, workload: &Object) -> Option<Fact> {
    let (name, _) = root.place.container.as_ref()?;
    let own = spec(workload)?;
    let (_, container) = own.container(name)?;
    let of = |other: &'a Object| Some(spec(other)?.container(name)?.1);
    let (other, mut differences) = likest(view, workload, |other| differences(container, of(other)?))?;
    // Only of the one that is told: to take out what maps hold costs more than all the rest.
    differences.extend(contents(view, (workload, own, container), (other, spec(other)?, of(other)?)));
    let what = match differences.is_empty() {
        true => format!("{name} has the same image, command, settings, limits and probes there"),
        false => format!("{name} has {} there", told(differences)),
    };
    Some(fact(other, &what))
}

/// The namesake of a workload whose pods find no node.
pub(super) fn of_placing(view: &View<'_>, workload: &Object) -> Option<Fact> {
    let own = spec(workload)?;
    let (other, differences) = likest(view, workload, |other| Some(placing(own, spec(other)?)))?;
    // That the same finds a node elsewhere says nothing: namespaces are no places.
    (!differences.is_empty()).then(|| fact(other, &format!("it has {} there", told(differences))))
}

/// The one that is most like it says most.
fn likest<'a>(
    view: &View<'a>,
    workload: &Object,
    differences: impl Fn(&'a Object) -> Option<Vec<String>>,
) -> Option<(&'a Object, Vec<String>)> {
    view.namesakes(workload)
        .filter(|other| is_well(other))
        .filter_map(|other| Some((other, differences(other)?)))
        .min_by_key(|(other, differences)| (differences.len(), other.namespace()))
}

fn told(mut differences: Vec<String>) -> String {
    let more = differences.len().saturating_sub(MOST);
    differences.truncate(MOST);
    differences.extend((more > 0).then(|| format!("{more} more that differ")));
    text::enumerate(&differences)
}

fn fact(other: &Object, what: &str) -> Fact {
    let ready = other.workload().map_or(0, |body| body.status.ready_replicas);
    let text = format!("{} {} is well ({ready} ready): {what}", other.kind.singular(), describe::object(other));
    Fact::new(Role::Symptom, Source::Status, None, other, text)
}

fn spec(workload: &Object) -> Option<&PodSpec> {
    Some(&workload.workload()?.spec.template.spec)
}

/// Whether all of a workload's pods are ready, of its newest template.
pub(crate) fn is_well(workload: &Object) -> bool {
    workload.workload().is_some_and(|body| {
        let wanted = body.spec.replicas.unwrap_or(1).max(body.status.desired_number_scheduled);
        workload.meta.deleted.is_none()
            && wanted > 0
            && body.status.ready_replicas >= wanted
            && body.status.observed_generation >= workload.meta.generation
    })
}

/// What of another container is not like this one; `None` where they are not the same program.
fn differences(own: &Container, other: &Container) -> Option<Vec<String>> {
    if repository(&own.image) != repository(&other.image) {
        return None;
    }
    let mut found = Vec::new();
    if own.image != other.image {
        found.push(format!("image {}", other.image));
    }
    for (what, differs) in [("command", own.command != other.command), ("args", own.args != other.args)] {
        found.extend(differs.then(|| format!("another {what}")));
    }
    found.extend(variables(own, other));
    for resource in ["memory", "cpu"] {
        let (limit, here) = (other.resources.limits.get(resource), own.resources.limits.get(resource));
        if limit.map(Quantity::nanos) != here.map(Quantity::nanos) {
            let is = |limit: &Quantity| format!("limits.{resource} {limit}");
            found.push(limit.map_or(format!("no {resource} limit"), is));
        }
    }
    for (what, here, there) in [
        ("startupProbe", &own.startup_probe, &other.startup_probe),
        ("livenessProbe", &own.liveness_probe, &other.liveness_probe),
        ("readinessProbe", &own.readiness_probe, &other.readiness_probe),
    ] {
        match (here, there) {
            (None, Some(_)) => found.push(format!("a {what}")),
            (Some(_), None) => found.push(format!("no {what}")),
            (Some(here), Some(there)) if here != there => found.push(format!("another {what}")),
            _ => {}
        }
    }
    Some(found)
}

/// How the variables differ, by their names alone: what they hold may be nobody's business.
fn variables(own: &Container, other: &Container) -> Vec<String> {
    let by_name = |container: &'_ Container| -> BTreeMap<String, EnvVar> {
        container.env.iter().map(|variable| (variable.name.clone(), variable.clone())).collect()
    };
    let (here, there) = (by_name(own), by_name(other));
    let names: BTreeSet<&String> = here.keys().chain(there.keys()).collect();
    let differ = |name: &String| match (here.get(name), there.get(name)) {
        (None, Some(_)) => Some(format!("a variable {name}")),
        (Some(_), None) => Some(format!("no variable {name}")),
        (Some(here), Some(there)) if here.value_from != there.value_from => {
            let from = there.value_from.as_deref().and_then(source).unwrap_or_else(|| "a value of its own".to_owned());
            Some(format!("{name} from {from}"))
        }
        (Some(here), Some(there)) if here.value != there.value => Some(format!("another value of {name}")),
        _ => None,
    };
    let mut found: Vec<String> = names.into_iter().filter_map(differ).collect();
    let whole = |container: &Container| -> BTreeSet<String> {
        let maps = container.env_from.iter().filter_map(|from| from.config_map_ref.as_ref());
        let secrets = container.env_from.iter().filter_map(|from| from.secret_ref.as_ref());
        let maps = maps.map(|map| format!("ConfigMap {}", map.name));
        maps.chain(secrets.map(|secret| format!("Secret {}", secret.name))).collect()
    };
    let (here, there) = (whole(own), whole(other));
    found.extend(there.difference(&here).map(|source| format!("variables from {source}")));
    found.extend(here.difference(&there).map(|source| format!("no variables from {source}")));
    found
}

fn source(from: &EnvSource) -> Option<String> {
    let map = from.config_map_key_ref.as_ref().map(|key| format!("{} of ConfigMap {}", key.key, key.name));
    map.or_else(|| from.secret_key_ref.as_ref().map(|key| format!("{} of Secret {}", key.key, key.name)))
}

/// Which keys of the ConfigMaps that both read under one name are not alike, as far as both are known.
fn contents(
    view: &View<'_>,
    (workload, own, container): (&Object, &PodSpec, &Container),
    (other, theirs, beside): (&Object, &PodSpec, &Container),
) -> Vec<String> {
    let reads = |object: &Object, spec: &PodSpec, container: &Container| {
        let mut read = configuration::read_by(spec, container, object.meta.namespace.as_deref());
        read.retain(|reference, _| reference.kind == Kind::ConfigMap);
        read
    };
    let there = reads(other, theirs, beside);
    let mut found = Vec::new();
    for (reference, called) in reads(workload, own, container) {
        let twin = ResourceRef { namespace: other.meta.namespace.clone(), ..reference.clone() };
        if !there.contains_key(&twin) {
            continue;
        }
        let (Some(one), Some(two)) = (data(view, &reference), data(view, &twin)) else { continue };
        let named: BTreeSet<&String> = called.iter().map(|(_, key)| key).collect();
        let keys: BTreeSet<&String> = one.keys().chain(two.keys()).collect();
        for key in keys.into_iter().filter(|key| named.is_empty() || named.contains(key)) {
            match (one.get(key), two.get(key)) {
                (Some(one), Some(two)) if one != two => {
                    found.push(format!("another {key} in ConfigMap {}", reference.name));
                }
                (None, Some(_)) => found.push(format!("a key {key} in ConfigMap {}", reference.name)),
                (Some(_), None) => found.push(format!("no key {key} in ConfigMap {}", reference.name)),
                _ => {}
            }
        }
    }
    found
}

fn data(view: &View<'_>, reference: &ResourceRef) -> Option<BTreeMap<String, Value>> {
    let whole = view.known_one(reference)?.whole()?;
    let data = whole.get("data").and_then(Value::as_object).cloned().unwrap_or_default();
    Some(data.into_iter().collect())
}

/// What of another template lets its pods find other nodes.
fn placing(own: &PodSpec, other: &PodSpec) -> Vec<String> {
    let mut found = Vec::new();
    for resource in ["cpu", "memory"] {
        let sum = |spec: &PodSpec| spec.request_nanos(resource);
        if sum(own) != sum(other) {
            let than = if sum(other) < sum(own) { "smaller" } else { "larger" };
            found.push(format!("a {than} request of {resource}"));
        }
    }
    for (what, differs) in [
        ("nodeSelector", own.node_selector != other.node_selector),
        ("affinity", own.affinity != other.affinity),
        ("topologySpreadConstraints", own.topology_spread_constraints != other.topology_spread_constraints),
        ("tolerations", own.tolerations != other.tolerations),
        ("priorityClassName", own.priority_class_name != other.priority_class_name),
        ("schedulerName", own.scheduler_name != other.scheduler_name),
    ] {
        found.extend(differs.then(|| format!("another {what}")));
    }
    found
}

/// An image without its tag and digest, and without its registry: mirrors are named otherwise.
fn repository(image: &str) -> &str {
    let path = image.split('@').next().unwrap_or(image);
    let last = path.rsplit('/').next().unwrap_or(path);
    last.split(':').next().unwrap_or(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn container(value: Value) -> Container {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn variables_differ_by_name_and_reference_and_no_value_is_told() {
        let here = container(json!({"name": "app", "image": "r.example/a:1", "env": [
            {"name": "SAME", "value": "x"}, {"name": "LEVEL", "value": "hush-here"}, {"name": "ONLY", "value": "1"},
            {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}}],
            "envFrom": [{"configMapRef": {"name": "base"}}]}));
        let there = container(json!({"name": "app", "image": "mirror.example/a:1", "env": [
            {"name": "SAME", "value": "x"}, {"name": "LEVEL", "value": "hush-there"}, {"name": "MORE", "value": "1"},
            {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "db-2", "key": "password"}}}],
            "envFrom": [{"secretRef": {"name": "base"}}]}));
        let found = differences(&here, &there).unwrap();
        assert_eq!(
            found,
            [
                "image mirror.example/a:1",
                "another value of LEVEL",
                "a variable MORE",
                "no variable ONLY",
                "PASSWORD from password of Secret db-2",
                "variables from Secret base",
                "no variables from ConfigMap base"
            ]
        );
        assert_eq!(told(found).matches(" more that differ").count(), 1);
        assert_eq!(differences(&here, &here), Some(Vec::new()));
        assert_eq!(differences(&here, &container(json!({"image": "other:1"}))), None);
    }

    #[test]
    fn limits_and_probes_differ() {
        let here =
            container(json!({"name": "app", "image": "a", "resources": {"limits": {"cpu": "1", "memory": "1Gi"}},
            "livenessProbe": {"tcpSocket": {"port": 1}}, "readinessProbe": {"tcpSocket": {"port": 1}}}));
        let there = container(json!({"name": "app", "image": "a", "resources": {"limits": {"cpu": "2000m"}},
            "livenessProbe": {"tcpSocket": {"port": 2}}, "startupProbe": {"tcpSocket": {"port": 1}}}));
        assert_eq!(
            differences(&here, &there).unwrap(),
            ["no memory limit", "limits.cpu 2000m", "a startupProbe", "another livenessProbe", "no readinessProbe"]
        );
    }

    #[test]
    fn what_decides_where_pods_can_be_differs() {
        let of = |value: Value| -> PodSpec { serde_json::from_value(value).unwrap() };
        let here = of(json!({"nodeSelector": {"disk": "ssd"}, "containers": [{"name": "a",
            "resources": {"requests": {"cpu": "2"}}}]}));
        let there = of(json!({"containers": [{"name": "a", "resources": {"requests": {"cpu": "500m"}}}]}));
        assert_eq!(placing(&here, &there), ["a smaller request of cpu", "another nodeSelector"]);
        assert!(placing(&here, &here).is_empty());
    }
}
