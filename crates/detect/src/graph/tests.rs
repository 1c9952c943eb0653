//! Every row of the catalogue of edges, by an object as the API gives it.

use super::{End, connected, dangling, of};
use crate::{State, View};
use reckon_model::document::Connection;
use reckon_model::{Object, Timestamp};
use serde_json::{Value, json};

fn object(value: &Value) -> Object {
    Object::decode_whole(value.to_string().as_bytes(), None).unwrap()
}

/// `relation field: end`, a line each.
fn edges(value: &Value) -> Vec<String> {
    let line = |edge: super::Edge| {
        let end = match edge.end {
            End::One(reference) => format!("{} {}", reference.kind.name(), crate::describe::name(&reference)),
            End::Selected { kind, namespace, selector } => {
                format!("{} in {} with {}", kind.name(), namespace.unwrap_or_default(), selector.query())
            }
            End::Program(name) => format!("program {name}"),
        };
        let optional = if edge.optional { "?" } else { "" };
        format!("{}{optional} {}: {end}", edge.relation.as_str(), edge.field)
    };
    of(&object(value)).into_iter().map(line).collect()
}

#[test]
fn a_pod_names_what_it_is_made_of() {
    let found = edges(&json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"namespace": "shop", "name": "web-1-a", "finalizers": ["example.com/drain"],
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-1", "uid": "u", "controller": true}]},
        "spec": {"nodeName": "n1", "serviceAccountName": "web", "priorityClassName": "high", "schedulerName": "mine",
            "imagePullSecrets": [{"name": "registry"}],
            "resourceClaims": [{"name": "gpu", "resourceClaimName": "one"}],
            "volumes": [{"name": "a", "configMap": {"name": "settings", "optional": true}}, {"name": "b", "secret": {"secretName": "key"}},
                {"name": "c", "persistentVolumeClaim": {"claimName": "data"}}, {"name": "d", "ephemeral": {}},
                {"name": "e", "csi": {"driver": "secrets-store.csi.k8s.io"}},
                {"name": "f", "projected": {"sources": [{"configMap": {"name": "ca"}}]}}],
            "initContainers": [{"name": "init", "envFrom": [{"configMapRef": {"name": "env"}}]}],
            "containers": [{"name": "app", "env": [{"name": "P", "valueFrom": {"secretKeyRef": {"name": "pw", "key": "k"}}}]}]}}));
    assert_eq!(
        found,
        [
            "owner metadata.ownerReferences[web-1]: ReplicaSet shop/web-1",
            "configuration spec.containers[app].env[P]: Secret shop/pw",
            "configuration spec.initContainers[init].envFrom: ConfigMap shop/env",
            "configuration? spec.volumes[a].configMap: ConfigMap shop/settings",
            "configuration spec.volumes[b].secret: Secret shop/key",
            "configuration spec.volumes[f].projected: ConfigMap shop/ca",
            "pull-secret? spec.imagePullSecrets[registry]: Secret shop/registry",
            "account spec.serviceAccountName: ServiceAccount shop/web",
            "storage spec.volumes[c].persistentVolumeClaim: PersistentVolumeClaim shop/data",
            "storage spec.volumes[d].ephemeral: PersistentVolumeClaim shop/web-1-a-d",
            "class spec.priorityClassName: PriorityClass high",
            "program spec.schedulerName: program mine",
            "program spec.volumes[e].csi: CSIDriver secrets-store.csi.k8s.io",
            "node spec.nodeName: Node n1",
            "device spec.resourceClaims[gpu]: ResourceClaim shop/one",
            "finalizer? metadata.finalizers[example.com/drain]: program example.com/drain",
            "names? spec.dnsPolicy: Service in kube-system with k8s-app=kube-dns",
        ]
    );
}

#[test]
fn workloads_name_their_pods_what_these_read_and_what_installed_them() {
    let template = json!({"spec": {"runtimeClassName": "gvisor", "hostNetwork": true,
        "containers": [{"name": "app", "envFrom": [{"configMapRef": {"name": "env"}}]}]}});
    let found = edges(&json!({"apiVersion": "apps/v1", "kind": "StatefulSet",
        "metadata": {"namespace": "shop", "name": "db", "labels": {"app.kubernetes.io/managed-by": "Helm"},
            "annotations": {"meta.helm.sh/release-name": "shop"}},
        "spec": {"serviceName": "db", "selector": {"matchLabels": {"app": "db"}}, "template": template}}));
    assert_eq!(
        found,
        [
            "selected spec.selector: Pod in shop with app=db",
            "selected spec.serviceName: Service shop/db",
            "configuration spec.template.spec.containers[app].envFrom: ConfigMap shop/env",
            "class spec.template.spec.runtimeClassName: RuntimeClass gvisor",
            "release? metadata: program helm release shop",
        ]
    );
    let job = json!({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"namespace": "shop", "name": "night"},
        "spec": {"schedule": "0 1 * * *", "jobTemplate": {"spec": {"template": template}}}});
    assert!(edges(&job).contains(
        &"configuration spec.jobTemplate.spec.template.spec.containers[app].envFrom: ConfigMap shop/env".to_owned()
    ));
}

#[test]
fn what_selects_by_labels_names_all_that_have_them() {
    let of = |api: &str, kind: &str, spec: Value| {
        edges(&json!({"apiVersion": api, "kind": kind, "metadata": {"namespace": "shop", "name": "web"}, "spec": spec}))
    };
    let selector = json!({"matchLabels": {"app": "web"}});
    assert_eq!(
        of("v1", "Service", json!({"selector": {"app": "web"}})),
        ["selected spec.selector: Pod in shop with app=web"]
    );
    assert!(of("v1", "Service", json!({"type": "ExternalName"})).is_empty());
    assert_eq!(
        of("policy/v1", "PodDisruptionBudget", json!({"selector": selector})),
        ["selected spec.selector: Pod in shop with app=web"]
    );
    assert_eq!(
        of("networking.k8s.io/v1", "NetworkPolicy", json!({"podSelector": {}})),
        ["selected spec.podSelector: Pod in shop with "]
    );
    assert_eq!(
        of("apps/v1", "Deployment", json!({"selector": selector})),
        [
            "selected spec.selector: ReplicaSet in shop with app=web",
            "names? spec.template.spec.dnsPolicy: Service in kube-system with k8s-app=kube-dns"
        ]
    );
}

#[test]
fn requests_find_their_way_from_the_gateway_to_the_pod() {
    let named = |api: &str, kind: &str, spec: Value| {
        edges(&json!({"apiVersion": api, "kind": kind, "metadata": {"namespace": "shop", "name": "web"}, "spec": spec}))
    };
    assert_eq!(
        named(
            "networking.k8s.io/v1",
            "Ingress",
            json!({"ingressClassName": "nginx", "tls": [{"secretName": "web-tls"}], "defaultBackend": {"service": {"name": "sorry"}},
                "rules": [{"http": {"paths": [{"backend": {"service": {"name": "web"}}}]}}]})
        ),
        [
            "backend spec.defaultBackend.service: Service shop/sorry",
            "backend spec.rules[0].http.paths[0].backend.service: Service shop/web",
            "class spec.ingressClassName: IngressClass nginx",
            "certificate spec.tls[0].secretName: Secret shop/web-tls",
        ]
    );
    assert_eq!(
        named("networking.k8s.io/v1", "IngressClass", json!({"controller": "k8s.io/ingress-nginx"})),
        ["program? spec.controller: program k8s.io/ingress-nginx"]
    );
    for kind in ["HTTPRoute", "GRPCRoute", "TLSRoute"] {
        assert_eq!(
            named(
                "gateway.networking.k8s.io/v1",
                kind,
                json!({"parentRefs": [{"name": "front", "namespace": "edge"}],
                    "rules": [{"backendRefs": [{"name": "web"}, {"name": "pay", "namespace": "bank"}]}]})
            ),
            [
                "backend spec.rules[0].backendRefs[pay]: Service bank/pay",
                "backend spec.rules[0].backendRefs[web]: Service shop/web",
                "grant? spec.rules[0].backendRefs[pay].namespace: ReferenceGrant in bank with ",
                "gateway spec.parentRefs[front]: Gateway edge/front",
            ]
        );
    }
    assert_eq!(
        named(
            "gateway.networking.k8s.io/v1",
            "Gateway",
            json!({"gatewayClassName": "envoy", "listeners": [{"name": "https", "tls": {"certificateRefs": [{"name": "web-tls"}]}}]})
        ),
        [
            "class spec.gatewayClassName: GatewayClass envoy",
            "certificate spec.listeners[https].tls.certificateRefs[web-tls]: Secret shop/web-tls",
        ]
    );
    assert_eq!(
        named("gateway.networking.k8s.io/v1", "GatewayClass", json!({"controllerName": "example.com/gateway"})),
        ["program? spec.controllerName: program example.com/gateway"]
    );
    let slice = json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"namespace": "shop", "name": "web-x", "labels": {"kubernetes.io/service-name": "web"}},
        "endpoints": [{"addresses": ["10.0.0.1"], "nodeName": "n1", "targetRef": {"kind": "Pod", "name": "web-1-a"}}]});
    assert_eq!(
        edges(&slice),
        [
            "owner metadata.labels[kubernetes.io/service-name]: Service shop/web",
            "backend endpoints[0].targetRef: Pod shop/web-1-a",
            "node endpoints[0].nodeName: Node n1",
        ]
    );
}

#[test]
fn storage_from_the_claim_to_the_driver_on_the_node() {
    let named = |api: &str, kind: &str, rest: Value| {
        let mut whole = json!({"apiVersion": api, "kind": kind, "metadata": {"name": "x"}});
        whole.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        edges(&whole)
    };
    assert_eq!(
        named(
            "v1",
            "PersistentVolumeClaim",
            json!({"metadata": {"namespace": "shop", "name": "data"},
            "spec": {"volumeName": "pv-1", "storageClassName": "fast",
                "dataSourceRef": {"apiGroup": "snapshot.storage.k8s.io", "kind": "VolumeSnapshot", "name": "last"}}})
        ),
        [
            "storage spec.dataSourceRef: VolumeSnapshot shop/last",
            "storage spec.volumeName: PersistentVolume pv-1",
            "class? spec.storageClassName: StorageClass fast",
        ]
    );
    assert_eq!(
        named(
            "v1",
            "PersistentVolume",
            json!({"spec": {"storageClassName": "fast", "csi": {"driver": "ebs.csi.aws.com"},
            "claimRef": {"kind": "PersistentVolumeClaim", "apiVersion": "v1", "namespace": "shop", "name": "data"}}})
        ),
        [
            "storage? spec.claimRef: PersistentVolumeClaim shop/data",
            "class? spec.storageClassName: StorageClass fast",
            "program? spec.csi.driver: CSIDriver ebs.csi.aws.com",
        ]
    );
    assert_eq!(
        named("storage.k8s.io/v1", "StorageClass", json!({"provisioner": "ebs.csi.aws.com"})),
        ["program? provisioner: CSIDriver ebs.csi.aws.com"]
    );
    assert!(
        named("storage.k8s.io/v1", "StorageClass", json!({"provisioner": "kubernetes.io/no-provisioner"})).is_empty()
    );
    assert_eq!(
        named(
            "storage.k8s.io/v1",
            "VolumeAttachment",
            json!({"spec": {"attacher": "ebs.csi.aws.com", "nodeName": "n1",
            "source": {"persistentVolumeName": "pv-1"}}})
        ),
        [
            "storage spec.source.persistentVolumeName: PersistentVolume pv-1",
            "program? spec.attacher: CSIDriver ebs.csi.aws.com",
            "node spec.nodeName: Node n1",
        ]
    );
    assert_eq!(
        named("storage.k8s.io/v1", "CSINode", json!({"spec": {"drivers": [{"name": "ebs.csi.aws.com"}]}})),
        ["program? spec.drivers[ebs.csi.aws.com].name: CSIDriver ebs.csi.aws.com"]
    );
    assert_eq!(
        named(
            "v1",
            "Node",
            json!({"metadata": {"name": "n1",
            "annotations": {"cluster.x-k8s.io/machine": "m1", "cluster.x-k8s.io/cluster-namespace": "fleet"}}})
        ),
        [
            "program? metadata.name: CSINode n1",
            "heartbeat? metadata.name: Lease kube-node-lease/n1",
            "machine metadata.annotations[cluster.x-k8s.io/machine]: Machine fleet/m1",
        ]
    );
}

#[test]
fn rights_webhooks_policies_scaling_certificates_and_bounds() {
    let named = |api: &str, kind: &str, rest: Value| {
        let mut whole = json!({"apiVersion": api, "kind": kind, "metadata": {"namespace": "shop", "name": "x"}});
        whole.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        edges(&whole)
    };
    let rbac = "rbac.authorization.k8s.io/v1";
    assert_eq!(
        named(
            rbac,
            "RoleBinding",
            json!({"roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "read"},
            "subjects": [{"kind": "ServiceAccount", "name": "web"}, {"kind": "User", "name": "a person"}]})
        ),
        ["account subjects[web]: ServiceAccount shop/web", "grant roleRef: Role shop/read"]
    );
    assert_eq!(
        named(
            rbac,
            "ClusterRole",
            json!({"metadata": {"name": "x"},
            "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"to": "view"}}]}})
        ),
        ["grant aggregationRule.clusterRoleSelectors[0]: ClusterRole in  with to=view"]
    );
    let service = json!({"service": {"namespace": "hooks", "name": "guard"}});
    assert_eq!(
        named(
            "admissionregistration.k8s.io/v1",
            "ValidatingWebhookConfiguration",
            json!({"metadata": {"name": "x"}, "webhooks": [{"name": "guard.example", "clientConfig": service}]})
        ),
        ["backend webhooks[guard.example].clientConfig.service: Service hooks/guard"]
    );
    assert_eq!(
        named(
            "apiextensions.k8s.io/v1",
            "CustomResourceDefinition",
            json!({"metadata": {"name": "x"}, "spec": {"conversion": {"webhook": {"clientConfig": service}}}})
        ),
        ["backend spec.conversion.webhook.clientConfig.service: Service hooks/guard"]
    );
    assert_eq!(
        named("apiregistration.k8s.io/v1", "APIService", json!({"metadata": {"name": "x"}, "spec": service})),
        ["backend spec.service: Service hooks/guard"]
    );
    assert_eq!(
        named(
            "admissionregistration.k8s.io/v1",
            "ValidatingAdmissionPolicyBinding",
            json!({"metadata": {"name": "x"}, "spec": {"policyName": "no-latest"}})
        ),
        ["policy spec.policyName: ValidatingAdmissionPolicy no-latest"]
    );
    assert_eq!(
        named(
            "autoscaling/v2",
            "HorizontalPodAutoscaler",
            json!({"spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "metrics": [{"type": "Resource"}, {"type": "External"}, {"type": "Pods"}]}})
        ),
        [
            "target spec.scaleTargetRef: Deployment shop/web",
            "metrics spec.metrics[0].type: APIService v1beta1.metrics.k8s.io",
            "metrics spec.metrics[1].type: APIService v1beta1.external.metrics.k8s.io",
        ]
    );
    assert_eq!(
        named(
            "autoscaling.k8s.io/v1",
            "VerticalPodAutoscaler",
            json!({"spec": {"targetRef": {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "db"}}})
        ),
        ["target spec.targetRef: StatefulSet shop/db"]
    );
    assert_eq!(
        named(
            "keda.sh/v1alpha1",
            "ScaledObject",
            json!({"spec": {"scaleTargetRef": {"name": "web"},
            "triggers": [{"type": "kafka", "authenticationRef": {"name": "kafka"}}]}})
        ),
        [
            "configuration spec.triggers[0].authenticationRef: TriggerAuthentication shop/kafka",
            "target spec.scaleTargetRef: Deployment shop/web",
        ]
    );
    assert_eq!(
        named(
            "cert-manager.io/v1",
            "Certificate",
            json!({"spec": {"secretName": "web-tls", "issuerRef": {"kind": "ClusterIssuer", "name": "acme"}}})
        ),
        ["certificate? spec.secretName: Secret shop/web-tls", "issuer spec.issuerRef: ClusterIssuer acme"]
    );
    assert_eq!(
        named("v1", "Namespace", json!({"metadata": {"name": "shop"}})),
        ["bound? metadata.name: LimitRange in shop with ", "bound? metadata.name: ResourceQuota in shop with "]
    );
}

/// A state in which all of these kinds was read, and these are the objects.
fn state(objects: &[Value], kinds: &[(&str, &str)]) -> State {
    let mut state = State::default();
    for value in objects {
        state.apply(object(value));
    }
    for (group, kind) in kinds {
        state.cover(&reckon_model::Kind::of_group(group, kind), None);
    }
    state
}

#[test]
fn an_end_that_is_not_there_is_told_with_what_may_have_been_meant() {
    let ingress = json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"namespace": "shop", "name": "web"},
        "spec": {"rules": [{"http": {"paths": [{"backend": {"service": {"name": "webb"}}}]}}]}});
    let service =
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "shop", "name": "web"}, "spec": {}});
    let object = object(&ingress);
    let read = state(&[ingress.clone(), service], &[("", "Service")]);
    let view = View::new(&read, Timestamp::UNIX_EPOCH);
    assert_eq!(
        dangling(&connected(&view, &object)).unwrap(),
        "its spec.rules[0].http.paths[0].backend.service names Service shop/webb, which does not exist (did you mean Service web?)"
    );
    // Of what nobody has read nothing is said but that it is not known.
    let unread = state(&[ingress], &[]);
    let view = View::new(&unread, Timestamp::UNIX_EPOCH);
    assert_eq!(dangling(&connected(&view, &object)), None);
    assert_eq!(connected(&view, &object).first().unwrap().state, Connection::Unknown);
}

#[test]
fn how_many_a_selector_matches_is_told_only_where_it_is_known() {
    let budget = json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"namespace": "shop", "name": "web"},
        "spec": {"selector": {"matchLabels": {"app": "web"}}}});
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "shop", "name": "web-1", "labels": {"app": "web"}},
        "spec": {"containers": [{"name": "app", "image": "web"}]}});
    let told = |objects: &[Value], kinds: &[(&str, &str)]| {
        let state = state(objects, kinds);
        let view = View::new(&state, Timestamp::UNIX_EPOCH);
        let found = connected(&view, &object(&budget)).remove(0);
        (found.what, found.state)
    };
    let both = [budget.clone(), pod];
    assert_eq!(told(&both, &[("", "Pod")]), ("1 pod with app=web".to_owned(), Connection::There));
    assert_eq!(told(&both[..1], &[("", "Pod")]), ("0 pods with app=web".to_owned(), Connection::Missing));
    assert_eq!(told(&both, &[]), ("at least 1 pod with app=web".to_owned(), Connection::There));
    assert_eq!(told(&both[..1], &[]), ("pods with app=web".to_owned(), Connection::Unknown));
}
