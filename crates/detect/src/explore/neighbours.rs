//! What an object is part of, and what belongs to it.

use crate::impact::{MANY, attached, led_to};
use crate::view::View;
use reckon_model::k8s::PodSpec;
use reckon_model::selector::LabelSelector;
use reckon_model::{Body, Kind, Object, ResourceRef};
use std::collections::BTreeSet;

/// So many claims of a class, and so many routes of a gateway, are followed: one question for each follows.
const FOLLOWED: usize = 20;

/// Of an object that is asked about, what its problems may be named after.
pub(super) fn neighbours<'a>(view: &View<'a>, object: &'a Object, related: &mut BTreeSet<ResourceRef>) {
    let namespace = object.meta.namespace.as_deref();
    match &object.body {
        Body::Service(service) if !service.spec.selector.is_empty() => {
            let selector = LabelSelector::exact(&service.spec.selector);
            let pods = view.matching(&Kind::Pod, namespace, &selector).items;
            // Whose pods it would select had they any: what became of those is why there are none.
            if pods.is_empty() {
                for kind in [Kind::Deployment, Kind::StatefulSet] {
                    let made = |object: &&Object| {
                        object.workload().is_some_and(|body| selector.matches(&body.spec.template.metadata.labels))
                    };
                    for owner in view.all(&kind, namespace).items.into_iter().filter(made) {
                        workload(view, owner, related);
                    }
                }
            }
            for pod in pods {
                workload(view, pod, related);
            }
        }
        Body::Service(_) | Body::Node(_) => {}
        Body::Claim(claim) => {
            readers(view, object, related);
            if !claim.spec.volume_name.is_empty() {
                let _ = view.object(&Kind::PersistentVolume, None, &claim.spec.volume_name);
            }
        }
        Body::Config(_) => readers(view, object, related),
        _ if object.kind == Kind::ServiceAccount => readers(view, object, related),
        Body::Volume(volume) => {
            if let Some(claim) = &volume.spec.claim_ref {
                let claim = ResourceRef::new(Kind::PersistentVolumeClaim, Some(&claim.namespace), &claim.name);
                follow(view, claim, related);
            }
        }
        Body::StorageClass(_) => {
            for claim in pending(view, &object.meta.name).into_iter().take(FOLLOWED) {
                follow(view, claim.reference(), related);
            }
        }
        Body::EndpointSlice(_) => {
            if let Some(service) = object.meta.labels.get("kubernetes.io/service-name") {
                follow(view, ResourceRef::new(Kind::Service, namespace, service), related);
            }
        }
        Body::Autoscaler(scaler) => {
            let target = &scaler.spec.scale_target_ref;
            follow(
                view,
                ResourceRef::new(Kind::of(&target.api_version, &target.kind), namespace, &target.name),
                related,
            );
        }
        _ if object.kind == Kind::of_group("gateway.networking.k8s.io", "Gateway") => {
            for route in attached(view, object).into_iter().take(FOLLOWED) {
                follow(view, route.reference(), related);
            }
        }
        _ => {
            let services = led_to(object);
            if services.len() > MANY {
                let known = [Kind::Service, Kind::Pod].map(|kind| view.all(&kind, namespace).complete);
                // They are gone through when the answer is there.
                if known != [true; 2] && view.is_waiting() {
                    return;
                }
            }
            match services.is_empty() {
                true => workload(view, object, related),
                false => services.into_iter().for_each(|service| follow(view, service, related)),
            }
        }
    }
}

/// What is asked about leads to this object: its problems are meant, and those of what it is part of.
fn follow<'a>(view: &View<'a>, reference: ResourceRef, related: &mut BTreeSet<ResourceRef>) {
    let found = view.look_up(&reference).found();
    // Gateways and what hangs on them cannot lead in a circle, but a class may be named by a hostile object.
    if related.insert(reference)
        && let Some(object) = found
    {
        neighbours(view, object, related);
    }
}

/// The claims that wait for a volume of this class, in all namespaces.
pub(crate) fn pending<'a>(view: &View<'a>, class: &str) -> Vec<&'a Object> {
    let waits = |object: &&Object| match &object.body {
        Body::Claim(claim) => {
            claim.spec.storage_class_name.as_deref() == Some(class) && !matches!(&*claim.status.phase, "Bound" | "Lost")
        }
        _ => false,
    };
    view.all(&Kind::PersistentVolumeClaim, None).items.into_iter().filter(waits).collect()
}

/// The workloads whose pods read this ConfigMap or Secret, mount this claim, or run as this account.
fn readers<'a>(view: &View<'a>, object: &'a Object, related: &mut BTreeSet<ResourceRef>) {
    for pod in view.all(&Kind::Pod, object.meta.namespace.as_deref()).items {
        if pod.pod().is_some_and(|body| refers(&body.spec, &object.kind, &object.meta.name)) {
            workload(view, pod, related);
        }
    }
}

/// Whether a pod takes something from this ConfigMap or Secret, mounts this claim, or runs as this account.
fn refers(spec: &PodSpec, kind: &Kind, name: &str) -> bool {
    let of = |config: Option<&str>, secret: Option<&str>| match kind {
        Kind::ConfigMap => config == Some(name),
        Kind::Secret => secret == Some(name),
        _ => false,
    };
    let in_volume = spec.volumes.iter().any(|volume| {
        let projected = volume.projected.iter().flat_map(|projected| &projected.sources).any(|source| {
            of(source.config_map.as_ref().map(|it| it.name.as_str()), source.secret.as_ref().map(|it| it.name.as_str()))
        });
        let claim = volume.persistent_volume_claim.as_ref().map(|claim| claim.claim_name.as_str());
        projected
            || of(
                volume.config_map.as_ref().map(|it| it.name.as_str()),
                volume.secret.as_ref().map(|it| it.name.as_str()),
            )
            || (*kind == Kind::PersistentVolumeClaim && claim == Some(name))
    });
    let in_container = spec.all_containers().any(|(_, container)| {
        let from = container.env_from.iter().any(|from| {
            of(
                from.config_map_ref.as_ref().map(|it| it.name.as_str()),
                from.secret_ref.as_ref().map(|it| it.name.as_str()),
            )
        });
        let one = container.env.iter().filter_map(|variable| variable.value_from.as_ref()).any(|from| {
            of(
                from.config_map_key_ref.as_ref().map(|it| it.name.as_str()),
                from.secret_key_ref.as_ref().map(|it| it.name.as_str()),
            )
        });
        from || one
    });
    let account = *kind == Kind::ServiceAccount && spec.service_account_name == name;
    account || in_volume || in_container
}

/// The workload an object belongs to, its pods, their nodes and claims, and the Services in front of them.
fn workload<'a>(view: &View<'a>, object: &'a Object, related: &mut BTreeSet<ResourceRef>) {
    let namespace = object.meta.namespace.as_deref();
    let top = view.workload_of(object);
    related.insert(top.reference());
    if top.kind == Kind::Deployment
        && let Some(workload) = top.workload()
    {
        let _ = view.matching(&Kind::ReplicaSet, namespace, &workload.spec.selector);
    }
    if top.kind == Kind::CronJob {
        let _ = view.all(&Kind::Job, namespace);
        let jobs: Vec<_> = view.children(&top.reference()).collect();
        for job in jobs {
            related.insert(job.reference());
            let _ = view.pods_of(job);
        }
    }
    let pods = if object.kind == Kind::Pod && top.kind == Kind::Pod { vec![object] } else { view.pods_of(top).items };
    for pod in pods {
        related.insert(pod.reference());
        let Some(body) = pod.pod() else { continue };
        if !body.spec.node_name.is_empty() && (pod.reference() == object.reference() || !body.is_ready()) {
            let _ = view.object(&Kind::Node, None, &body.spec.node_name);
        }
        if !body.is_ready() {
            for volume in &body.spec.volumes {
                if let Some(claim) = &volume.persistent_volume_claim {
                    let _ = view.object(&Kind::PersistentVolumeClaim, namespace, &claim.claim_name);
                } else if volume.ephemeral.is_some() {
                    // The controller makes its claim under this name.
                    let claim = format!("{}-{}", pod.meta.name, volume.name);
                    let _ = view.object(&Kind::PersistentVolumeClaim, namespace, &claim);
                }
            }
        }
    }
    if namespace.is_some() {
        let _ = view.all(&Kind::Service, namespace);
    }
}
