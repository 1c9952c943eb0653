//! The slim kinds against the full ones: both decode the same bytes, and what both know has to be the same.

#![expect(clippy::unwrap_used, reason = "test code outside test functions")]

use k8s_openapi::api::apps::v1 as apps;
use k8s_openapi::api::core::v1 as core;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as FullQuantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1 as meta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString as FullIntOrString;
use proptest::prelude::*;
use reckon_model::k8s::{self, IntOrString};
use reckon_model::selector::LabelSelector;
use reckon_model::{Body, Kind, Object, Quantity, Timestamp};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fmt::Debug;

/// An object of which each field may be there, be `null` or be absent, in any order, with fields nobody knows.
fn object(fields: Vec<(&'static str, BoxedStrategy<Value>)>) -> BoxedStrategy<Value> {
    let fields: Vec<_> = fields
        .into_iter()
        .map(|(name, value)| {
            prop_oneof![5 => value.prop_map(Some), 1 => Just(Some(Value::Null)), 1 => Just(None)]
                .prop_map(move |value| (name.to_owned(), value))
        })
        .collect();
    (fields, any::<bool>())
        .prop_map(|(fields, reversed)| {
            let mut fields: Vec<(String, Value)> =
                fields.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
            fields.push(("x-unknown".to_owned(), json!({"a": [1, {"b": null}]})));
            if reversed {
                fields.reverse();
            }
            Value::Object(fields.into_iter().collect::<Map<_, _>>())
        })
        .boxed()
}

fn list(item: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
    prop::collection::vec(item, 0..3).prop_map(Value::from).boxed()
}

fn text() -> BoxedStrategy<Value> {
    prop_oneof!["[a-z]{1,8}", Just("quote \" and \\ and ü\n".to_owned()), Just(String::new())]
        .prop_map(Value::from)
        .boxed()
}

fn number() -> BoxedStrategy<Value> {
    (0_i32..i32::MAX).prop_map(Value::from).boxed()
}

fn flag() -> BoxedStrategy<Value> {
    any::<bool>().prop_map(Value::from).boxed()
}

fn time() -> BoxedStrategy<Value> {
    (1_600_000_000_i64..1_900_000_000)
        .prop_map(|seconds| Value::from(Timestamp::from_second(seconds).unwrap().to_string()))
        .boxed()
}

fn port() -> BoxedStrategy<Value> {
    prop_oneof![number(), text()].boxed()
}

fn words() -> BoxedStrategy<Value> {
    prop::collection::btree_map("[a-z./-]{1,8}", "[a-z0-9]{0,5}", 0..3)
        .prop_map(|map| map.into_iter().map(|(key, value)| (key, Value::from(value))).collect::<Map<_, _>>().into())
        .boxed()
}

fn quantities() -> BoxedStrategy<Value> {
    let quantity = prop::sample::select(vec!["100m", "256Mi", "1", "0.5", "1e3", "12345678n"]);
    prop::collection::btree_map("cpu|memory|nvidia.com/gpu", quantity, 0..3)
        .prop_map(|map| map.into_iter().map(|(key, value)| (key, Value::from(value))).collect::<Map<_, _>>().into())
        .boxed()
}

fn metadata() -> BoxedStrategy<Value> {
    let owner = object(vec![("controller", flag())]).prop_map(|mut owner| {
        for (field, value) in [("apiVersion", "apps/v1"), ("kind", "ReplicaSet"), ("name", "rs"), ("uid", "u")] {
            owner[field] = value.into();
        }
        owner
    });
    let manager = object(vec![
        ("manager", text()),
        ("operation", text()),
        ("time", time()),
        ("subresource", text()),
        ("fieldsV1", Just(json!({"f:spec": {".": {}}})).boxed()),
    ]);
    object(vec![
        ("namespace", text()),
        ("uid", text()),
        ("resourceVersion", text()),
        ("generation", number()),
        ("creationTimestamp", time()),
        ("deletionTimestamp", time()),
        ("deletionGracePeriodSeconds", number()),
        ("labels", words()),
        ("annotations", words()),
        ("ownerReferences", list(owner.boxed())),
        ("finalizers", list(text())),
        ("managedFields", list(manager)),
    ])
    .prop_map(|mut meta| {
        meta["name"] = "it".into();
        meta
    })
    .boxed()
}

fn resources() -> BoxedStrategy<Value> {
    object(vec![("limits", quantities()), ("requests", quantities())])
}

fn probe() -> BoxedStrategy<Value> {
    let with_port = |rest: Vec<(&'static str, BoxedStrategy<Value>)>| {
        (object(rest), port()).prop_map(|(mut action, port)| {
            action["port"] = port;
            action
        })
    };
    object(vec![
        ("httpGet", with_port(vec![("path", text()), ("scheme", text())]).boxed()),
        ("tcpSocket", with_port(vec![("host", text())]).boxed()),
        ("exec", object(vec![("command", list(text()))])),
        ("initialDelaySeconds", number()),
        ("periodSeconds", number()),
        ("timeoutSeconds", number()),
        ("failureThreshold", number()),
    ])
}

fn container() -> BoxedStrategy<Value> {
    let key = || object(vec![("name", text()), ("key", text()), ("optional", flag())]);
    let env = object(vec![
        ("name", text()),
        ("value", text()),
        ("valueFrom", object(vec![("configMapKeyRef", key()), ("secretKeyRef", key())])),
    ]);
    let ports =
        object(vec![("name", text()), ("containerPort", number()), ("hostPort", number()), ("protocol", text())]);
    object(vec![
        ("name", text()),
        ("image", text()),
        ("imagePullPolicy", text()),
        ("command", list(text())),
        ("args", list(text())),
        ("env", list(env)),
        ("ports", list(ports)),
        ("resources", resources()),
        ("livenessProbe", probe()),
        ("readinessProbe", probe()),
        ("startupProbe", probe()),
        ("restartPolicy", text()),
    ])
}

fn pod_spec() -> BoxedStrategy<Value> {
    let toleration = object(vec![
        ("key", text()),
        ("operator", text()),
        ("value", text()),
        ("effect", text()),
        ("tolerationSeconds", number()),
    ]);
    object(vec![
        ("nodeName", text()),
        ("containers", list(container())),
        ("initContainers", list(container())),
        ("restartPolicy", text()),
        ("schedulerName", text()),
        ("serviceAccountName", text()),
        ("nodeSelector", words()),
        ("tolerations", list(toleration)),
        ("priority", number()),
        ("priorityClassName", text()),
        ("terminationGracePeriodSeconds", number()),
        ("hostNetwork", flag()),
        ("overhead", quantities()),
    ])
}

fn condition() -> BoxedStrategy<Value> {
    object(vec![
        ("type", text()),
        ("status", text()),
        ("reason", text()),
        ("message", text()),
        ("lastTransitionTime", time()),
    ])
}

fn pod_status() -> BoxedStrategy<Value> {
    let state = || {
        let terminated = object(vec![
            ("exitCode", number()),
            ("reason", text()),
            ("message", text()),
            ("startedAt", time()),
            ("finishedAt", time()),
        ]);
        object(vec![
            ("waiting", object(vec![("reason", text()), ("message", text())])),
            ("running", object(vec![("startedAt", time())])),
            ("terminated", terminated),
        ])
    };
    let status = object(vec![
        ("name", text()),
        ("state", state()),
        ("lastState", state()),
        ("ready", flag()),
        ("started", flag()),
        ("restartCount", number()),
        ("image", text()),
        ("imageID", text()),
        ("containerID", text()),
        ("resources", resources()),
    ]);
    object(vec![
        ("phase", text()),
        ("reason", text()),
        ("message", text()),
        ("conditions", list(condition())),
        ("containerStatuses", list(status.clone())),
        ("initContainerStatuses", list(status)),
        ("startTime", time()),
        ("qosClass", text()),
        ("nominatedNodeName", text()),
        ("podIP", text()),
    ])
}

/// Both decoded forms of the same bytes, which may be pretty-printed.
fn both<T: serde::de::DeserializeOwned>(kind: &Kind, json: &Value, pretty: bool) -> (Object, T) {
    let bytes = if pretty { serde_json::to_vec_pretty(json) } else { serde_json::to_vec(json) }.unwrap();
    let slim = Object::decode(&bytes, Some(kind)).unwrap_or_else(|error| panic!("{error}: {json}"));
    (slim, serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("full {error}: {json}")))
}

fn same<T: PartialEq + Debug>(slim: T, full: T, what: &str) {
    assert_eq!(slim, full, "{what} (slim, full)");
}

fn or_empty(text: &Option<String>) -> &str {
    text.as_deref().unwrap_or("")
}

fn at(time: &Option<meta::Time>) -> Option<Timestamp> {
    time.as_ref().map(|time| time.0)
}

fn same_meta(slim: &reckon_model::Meta, full: &meta::ObjectMeta) {
    same(Some(slim.name.as_str()), full.name.as_deref(), "name");
    same(slim.namespace.as_deref(), full.namespace.as_deref(), "namespace");
    same(slim.uid.as_str(), or_empty(&full.uid), "uid");
    same(slim.resource_version.as_str(), or_empty(&full.resource_version), "resourceVersion");
    same(slim.generation, full.generation, "generation");
    same(slim.created, at(&full.creation_timestamp), "creationTimestamp");
    same(slim.deleted, at(&full.deletion_timestamp), "deletionTimestamp");
    same(slim.deletion_grace, full.deletion_grace_period_seconds, "deletionGracePeriodSeconds");
    same(&*slim.labels, &full.labels.clone().unwrap_or_default(), "labels");
    same(&*slim.annotations, &full.annotations.clone().unwrap_or_default(), "annotations");
    same(&*slim.finalizers, &full.finalizers.clone().unwrap_or_default(), "finalizers");
    let owners: Vec<_> = slim.owners.iter().map(|owner| (owner.name.as_str(), owner.controller)).collect();
    let full_owners = full.owner_references.as_deref().unwrap_or_default();
    let full_owners = full_owners.iter().map(|owner| (owner.name.as_str(), owner.controller.unwrap_or(false)));
    same(owners, full_owners.collect(), "owners");
    let managers: Vec<_> = slim
        .managers
        .iter()
        .map(|m| (m.manager.as_str(), m.operation.as_str(), m.time, m.subresource.as_str()))
        .collect();
    let full_managers = full.managed_fields.as_deref().unwrap_or_default();
    let full_managers = full_managers
        .iter()
        .map(|m| (or_empty(&m.manager), or_empty(&m.operation), at(&m.time), or_empty(&m.subresource)));
    same(managers, full_managers.collect(), "managers");
}

fn same_quantities(slim: &BTreeMap<String, Quantity>, full: Option<&BTreeMap<String, FullQuantity>>) {
    let slim: Vec<_> = slim.iter().map(|(key, quantity)| (key.as_str(), quantity.as_str())).collect();
    let full = full.into_iter().flatten().map(|(key, quantity)| (key.as_str(), quantity.0.as_str()));
    same(slim, full.collect(), "quantities");
}

fn same_resources(slim: &k8s::Resources, full: Option<&core::ResourceRequirements>) {
    same_quantities(&slim.limits, full.and_then(|full| full.limits.as_ref()));
    same_quantities(&slim.requests, full.and_then(|full| full.requests.as_ref()));
}

fn same_port(slim: Option<&IntOrString>, full: Option<&FullIntOrString>) {
    let full = full.map(|port| match port {
        FullIntOrString::Int(number) => IntOrString::Int(i64::from(*number)),
        FullIntOrString::String(name) => IntOrString::String(name.clone()),
    });
    same(slim.cloned(), full, "port");
}

fn same_probe(slim: Option<&k8s::Probe>, full: Option<&core::Probe>) {
    same(slim.is_some(), full.is_some(), "probe");
    let (Some(slim), Some(full)) = (slim, full) else { return };
    same(slim.http_get.is_some(), full.http_get.is_some(), "httpGet");
    if let (Some(slim), Some(full)) = (&slim.http_get, &full.http_get) {
        same(slim.path.as_str(), or_empty(&full.path), "path");
        same_port(slim.port.as_ref(), Some(&full.port));
    }
    if let (Some(slim), Some(full)) = (&slim.tcp_socket, &full.tcp_socket) {
        same_port(slim.port.as_ref(), Some(&full.port));
    }
    let commands = (
        slim.exec.as_ref().map(|exec| exec.command.clone()),
        full.exec.as_ref().map(|exec| exec.command.clone().unwrap_or_default()),
    );
    same(commands.0, commands.1, "exec");
    same(slim.initial_delay_seconds, full.initial_delay_seconds.map_or(0, i64::from), "initialDelaySeconds");
    same(slim.period_seconds, full.period_seconds.map(i64::from), "periodSeconds");
    same(slim.timeout_seconds, full.timeout_seconds.map(i64::from), "timeoutSeconds");
    same(slim.failure_threshold, full.failure_threshold.map(i64::from), "failureThreshold");
}

fn same_containers(slim: &[k8s::Container], full: &[core::Container]) {
    same(slim.len(), full.len(), "containers");
    for (slim, full) in slim.iter().zip(full) {
        same(slim.name.as_str(), full.name.as_str(), "container name");
        same(slim.image.as_str(), or_empty(&full.image), "image");
        same(slim.image_pull_policy.as_str(), or_empty(&full.image_pull_policy), "imagePullPolicy");
        same(&slim.command, &full.command.clone().unwrap_or_default(), "command");
        same(&slim.args, &full.args.clone().unwrap_or_default(), "args");
        same(slim.restart_policy.as_str(), or_empty(&full.restart_policy), "restartPolicy");
        same_resources(&slim.resources, full.resources.as_ref());
        same_probe(slim.liveness_probe.as_deref(), full.liveness_probe.as_ref());
        same_probe(slim.readiness_probe.as_deref(), full.readiness_probe.as_ref());
        same_probe(slim.startup_probe.as_deref(), full.startup_probe.as_ref());
        let ports: Vec<_> = slim.ports.iter().map(|p| (p.name.as_str(), p.container_port, p.host_port)).collect();
        let full_ports = full.ports.as_deref().unwrap_or_default();
        let full_ports = full_ports
            .iter()
            .map(|p| (or_empty(&p.name), i64::from(p.container_port), p.host_port.map_or(0, i64::from)));
        same(ports, full_ports.collect(), "ports");
        let full_env = full.env.as_deref().unwrap_or_default();
        same(slim.env.len(), full_env.len(), "env");
        for (slim, full) in slim.env.iter().zip(full_env) {
            same((slim.name.as_str(), slim.value.as_deref()), (full.name.as_str(), full.value.as_deref()), "env");
            let slim = slim.value_from.as_ref().and_then(|from| from.secret_key_ref.as_ref());
            let full = full.value_from.as_ref().and_then(|from| from.secret_key_ref.as_ref());
            same(
                slim.map(|key| (key.name.as_str(), key.key.as_str(), key.optional)),
                full.map(|key| (key.name.as_str(), key.key.as_str(), key.optional.unwrap_or(false))),
                "secretKeyRef",
            );
        }
    }
}

fn same_pod_spec(slim: &k8s::PodSpec, full: &core::PodSpec) {
    same(slim.node_name.as_str(), or_empty(&full.node_name), "nodeName");
    same_containers(&slim.containers, &full.containers);
    same_containers(&slim.init_containers, full.init_containers.as_deref().unwrap_or_default());
    same(slim.restart_policy.as_str(), or_empty(&full.restart_policy), "restartPolicy");
    same(slim.scheduler_name.as_str(), or_empty(&full.scheduler_name), "schedulerName");
    same(slim.service_account_name.as_str(), or_empty(&full.service_account_name), "serviceAccountName");
    same(&slim.node_selector, &full.node_selector.clone().unwrap_or_default(), "nodeSelector");
    same(slim.priority, full.priority.map(i64::from), "priority");
    same(slim.termination_grace_period_seconds, full.termination_grace_period_seconds, "grace");
    same(slim.host_network, full.host_network.unwrap_or(false), "hostNetwork");
    same_quantities(&slim.overhead, full.overhead.as_ref());
    let tolerations: Vec<_> =
        slim.tolerations.iter().map(|t| (t.key.as_str(), t.effect.as_str(), t.toleration_seconds)).collect();
    let full_tolerations = full.tolerations.as_deref().unwrap_or_default();
    let full_tolerations =
        full_tolerations.iter().map(|t| (or_empty(&t.key), or_empty(&t.effect), t.toleration_seconds));
    same(tolerations, full_tolerations.collect(), "tolerations");
}

fn same_state(slim: &k8s::ContainerState, full: Option<&core::ContainerState>) {
    let waiting = full.and_then(|full| full.waiting.as_ref());
    let (reason, message) = (waiting.map(|w| or_empty(&w.reason)), waiting.map(|w| or_empty(&w.message)));
    same(slim.waiting.as_ref().map(|w| w.reason.as_str()), reason, "waiting.reason");
    same(slim.waiting.as_ref().map(|w| w.message.as_str()), message, "waiting.message");
    let running = full.and_then(|full| full.running.as_ref());
    same(slim.running.as_ref().map(|r| r.started_at), running.map(|r| at(&r.started_at)), "running");
    let terminated = full.and_then(|full| full.terminated.as_ref());
    same(
        slim.terminated.as_ref().map(|t| (t.exit_code, t.reason.as_str(), t.started_at, t.finished_at)),
        terminated.map(|t| (i64::from(t.exit_code), or_empty(&t.reason), at(&t.started_at), at(&t.finished_at))),
        "terminated",
    );
}

fn same_conditions<'a>(
    slim: &[k8s::Condition],
    full: impl Iterator<Item = (&'a str, &'a str, &'a Option<String>, &'a Option<String>, &'a Option<meta::Time>)>,
) {
    let slim: Vec<_> = slim
        .iter()
        .map(|c| (c.kind.as_str(), c.status.as_str(), c.reason.as_str(), c.message.as_str(), c.since))
        .collect();
    let full = full
        .map(|(kind, status, reason, message, since)| (kind, status, or_empty(reason), or_empty(message), at(since)));
    same(slim, full.collect(), "conditions");
}

/// A field that some kinds have as optional and others not.
trait Text {
    fn text(&self) -> &str;
}

impl Text for String {
    fn text(&self) -> &str {
        self
    }
}

impl Text for Option<String> {
    fn text(&self) -> &str {
        or_empty(self)
    }
}

macro_rules! conditions {
    ($list:expr) => {
        $list
            .iter()
            .flatten()
            .map(|c| (c.type_.text(), c.status.text(), &c.reason, &c.message, &c.last_transition_time))
    };
}

fn whole(spec: BoxedStrategy<Value>, status: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
    (metadata(), object(vec![("spec", spec), ("status", status)]))
        .prop_map(|(metadata, mut object)| {
            object["metadata"] = metadata;
            object
        })
        .boxed()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_pod_says_the_same_in_both_forms(json in whole(pod_spec(), pod_status()), pretty in any::<bool>()) {
        let (slim, full): (_, core::Pod) = both(&Kind::Pod, &json, pretty);
        same_meta(&slim.meta, &full.metadata);
        let pod = slim.pod().unwrap();
        let mut spec = k8s::PodSpec::clone(&pod.spec);
        same(spec.node_name.as_str(), "", "nodeName of what pods have in common");
        spec.node_name.clone_from(&pod.spec.node_name);
        same_pod_spec(&spec, &full.spec.unwrap_or_default());
        let status = full.status.unwrap_or_default();
        same(pod.status.phase.as_str(), or_empty(&status.phase), "phase");
        same(pod.status.reason.as_str(), or_empty(&status.reason), "reason");
        same(pod.status.qos_class.as_str(), or_empty(&status.qos_class), "qosClass");
        same(&*pod.status.pod_ip, or_empty(&status.pod_ip), "podIP");
        same(pod.status.start_time, at(&status.start_time), "startTime");
        same_conditions(&pod.status.conditions, conditions!(status.conditions));
        for (slim, full) in [
            (&pod.status.container_statuses, status.container_statuses),
            (&pod.status.init_container_statuses, status.init_container_statuses),
        ] {
            let full = full.unwrap_or_default();
            same(slim.len(), full.len(), "statuses");
            for (slim, full) in slim.iter().zip(&full) {
                same((slim.name.as_str(), slim.ready), (full.name.as_str(), full.ready), "status");
                same(i64::from(slim.restart_count), i64::from(full.restart_count), "restartCount");
                same(slim.started, full.started, "started");
                same(slim.image_id.as_str(), full.image_id.as_str(), "imageID");
                same(&*slim.container_id, or_empty(&full.container_id), "containerID");
                same_state(&slim.state, full.state.as_ref());
                same_state(&slim.last_state, full.last_state.as_ref());
                same(slim.resources.is_some(), full.resources.is_some(), "resources");
                if let Some(resources) = &slim.resources {
                    same_resources(resources, full.resources.as_ref());
                }
            }
        }
    }

    #[test]
    fn a_deployment_says_the_same_in_both_forms(
        json in whole(
            object(vec![
                ("replicas", number()),
                ("paused", flag()),
                ("minReadySeconds", number()),
                ("progressDeadlineSeconds", number()),
                ("selector", object(vec![("matchLabels", words())]).prop_map(|mut selector| {
                    // The API server never sends a selector whose labels are null.
                    if selector["matchLabels"].is_null() { selector["matchLabels"] = json!({"a": "b"}); }
                    selector
                }).boxed()),
                ("strategy", object(vec![("type", text()), ("rollingUpdate", object(vec![("maxSurge", port())]))])),
                ("template", object(vec![("metadata", object(vec![("labels", words())])), ("spec", pod_spec())])),
            ]),
            object(vec![
                ("observedGeneration", number()),
                ("replicas", number()),
                ("readyReplicas", number()),
                ("updatedReplicas", number()),
                ("availableReplicas", number()),
                ("conditions", list(condition())),
            ]),
        ),
        pretty in any::<bool>(),
    ) {
        let (slim, full): (_, apps::Deployment) = both(&Kind::Deployment, &json, pretty);
        same_meta(&slim.meta, &full.metadata);
        let workload = slim.workload().unwrap();
        let spec = full.spec;
        same(workload.spec.replicas, spec.replicas.map(i64::from), "replicas");
        same(workload.spec.paused, spec.paused.unwrap_or(false), "paused");
        same(workload.spec.min_ready_seconds, spec.min_ready_seconds.map_or(0, i64::from), "minReadySeconds");
        same(workload.spec.progress_deadline_seconds, spec.progress_deadline_seconds.map(i64::from), "deadline");
        let labels = spec.selector.match_labels.unwrap_or_default();
        same(&*workload.spec.selector, &LabelSelector::exact(&labels), "selector");
        let strategy = spec.strategy.unwrap_or_default();
        same(workload.spec.strategy.kind.as_str(), or_empty(&strategy.type_), "strategy");
        let surge = strategy.rolling_update.and_then(|update| update.max_surge);
        same_port(workload.spec.strategy.rolling_update.max_surge.as_ref(), surge.as_ref());
        same_pod_spec(&workload.spec.template.spec, &spec.template.spec.unwrap_or_default());
        let labels = spec.template.metadata.and_then(|meta| meta.labels).unwrap_or_default();
        same(&*workload.spec.template.metadata.labels, &labels, "template labels");
        let status = full.status.unwrap_or_default();
        same(workload.status.observed_generation, status.observed_generation, "observedGeneration");
        same(workload.status.replicas, status.replicas.map_or(0, i64::from), "replicas");
        same(workload.status.ready_replicas, status.ready_replicas.map_or(0, i64::from), "ready");
        same(workload.status.updated_replicas, status.updated_replicas.map_or(0, i64::from), "updated");
        same(workload.status.available_replicas, status.available_replicas.map_or(0, i64::from), "available");
        same_conditions(&workload.status.conditions, conditions!(status.conditions));
    }

    #[test]
    fn a_service_says_the_same_in_both_forms(
        json in whole(
            object(vec![
                ("type", text()),
                ("selector", words()),
                ("clusterIP", text()),
                ("publishNotReadyAddresses", flag()),
                ("ports", list(object(vec![
                    ("name", text()), ("port", number()), ("targetPort", port()), ("protocol", text()),
                ]))),
            ]),
            object(vec![("loadBalancer", Just(json!({"ingress": [{"ip": "10.0.0.1"}]})).boxed())]),
        ),
        pretty in any::<bool>(),
    ) {
        let (slim, full): (_, core::Service) = both(&Kind::Service, &json, pretty);
        same_meta(&slim.meta, &full.metadata);
        let Body::Service(service) = &slim.body else { panic!("no Service") };
        let spec = full.spec.unwrap_or_default();
        same(service.spec.kind.as_str(), or_empty(&spec.type_), "type");
        same(&service.spec.selector, &spec.selector.unwrap_or_default(), "selector");
        same(service.spec.cluster_ip.as_str(), or_empty(&spec.cluster_ip), "clusterIP");
        same(
            service.spec.publish_not_ready_addresses,
            spec.publish_not_ready_addresses.unwrap_or(false),
            "publishNotReadyAddresses",
        );
        let ports = spec.ports.unwrap_or_default();
        same(service.spec.ports.len(), ports.len(), "ports");
        for (slim, full) in service.spec.ports.iter().zip(&ports) {
            same((slim.name.as_str(), slim.port), (or_empty(&full.name), i64::from(full.port)), "port");
            same_port(slim.target_port.as_ref(), full.target_port.as_ref());
        }
    }

    #[test]
    fn a_node_says_the_same_in_both_forms(
        json in whole(
            object(vec![
                ("unschedulable", flag()),
                ("taints", list(object(vec![("key", text()), ("value", text()), ("effect", text())]))),
            ]),
            object(vec![
                ("conditions", list(condition())),
                ("allocatable", quantities()),
                ("capacity", quantities()),
                ("nodeInfo", object(vec![("kubeletVersion", text()), ("bootID", text()), ("architecture", text())])),
            ]),
        ),
        pretty in any::<bool>(),
    ) {
        let (slim, full): (_, core::Node) = both(&Kind::Node, &json, pretty);
        same_meta(&slim.meta, &full.metadata);
        let Body::Node(node) = &slim.body else { panic!("no Node") };
        let spec = full.spec.unwrap_or_default();
        same(node.spec.unschedulable, spec.unschedulable.unwrap_or(false), "unschedulable");
        let taints: Vec<_> = node.spec.taints.iter().map(|t| (t.key.as_str(), t.value.as_str())).collect();
        let full_taints = spec.taints.unwrap_or_default();
        same(taints, full_taints.iter().map(|t| (t.key.as_str(), or_empty(&t.value))).collect(), "taints");
        let status = full.status.unwrap_or_default();
        same_conditions(&node.status.conditions, conditions!(status.conditions));
        same_quantities(&node.status.allocatable, status.allocatable.as_ref());
        same_quantities(&node.status.capacity, status.capacity.as_ref());
        let info = status.node_info.unwrap_or_default();
        same(node.status.node_info.kubelet_version.as_str(), info.kubelet_version.as_str(), "kubeletVersion");
        same(node.status.node_info.boot_id.as_str(), info.boot_id.as_str(), "bootID");
    }

    #[test]
    fn an_event_says_the_same_in_both_forms(
        fields in object(vec![
            ("reason", text()),
            ("message", text()),
            ("type", text()),
            ("count", number()),
            ("firstTimestamp", time()),
            ("lastTimestamp", time()),
            ("source", object(vec![("component", text()), ("host", text())])),
            ("involvedObject", object(vec![
                ("apiVersion", text()), ("kind", text()), ("namespace", text()), ("name", text()), ("uid", text()),
                ("fieldPath", text()),
            ])),
        ]),
        metadata in metadata(),
        pretty in any::<bool>(),
    ) {
        let mut json = fields;
        json["metadata"] = metadata;
        let (slim, full): (_, core::Event) = both(&Kind::Event, &json, pretty);
        same_meta(&slim.meta, &full.metadata);
        let Body::Event(event) = &slim.body else { panic!("no Event") };
        same(event.reason.as_str(), or_empty(&full.reason), "reason");
        same(event.message.as_str(), or_empty(&full.message), "message");
        same(event.severity.as_str(), or_empty(&full.type_), "type");
        same(i64::from(event.count()), i64::from(full.count.unwrap_or(1).max(1)), "count");
        let (first, last) = (at(&full.first_timestamp), at(&full.last_timestamp));
        same(event.first_seen(), first.or(last), "firstTimestamp");
        same(event.last_seen(), last.or(first), "lastTimestamp");
        let source = full.source.unwrap_or_default();
        same(event.component(), or_empty(&source.component), "component");
        same(event.host(), or_empty(&source.host), "host");
        same(event.involved_object.kind.as_str(), or_empty(&full.involved_object.kind), "involved kind");
        same(event.involved_object.name.as_str(), or_empty(&full.involved_object.name), "involved name");
        same(event.involved_object.field_path.as_str(), or_empty(&full.involved_object.field_path), "fieldPath");
    }
}
