//! Where the cluster's DNS is: its Service, its pods, and what makes them.

use crate::View;
use reckon_model::k8s::{Pod, ServiceSpec};
use reckon_model::selector::LabelSelector;
use reckon_model::{Body, Kind, Object};

/// Most clusters call it so, whatever program it is; the kubelet gives pods the address of this Service.
const NAMESPACE: &str = "kube-system";
const LABEL: (&str, &str) = ("k8s-app", "kube-dns");

/// OpenShift has a namespace for it.
const OPENSHIFT: (&str, &str) = ("openshift-dns", "dns-default");

/// The cluster's DNS, as far as it can be seen.
pub(super) struct Server<'v, 'a> {
    pub(super) view: &'v View<'a>,
    pub(super) service: &'a Object,
    pub(super) spec: &'a ServiceSpec,
    /// The pods that the Service selects and that have not ended; all there are.
    pub(super) pods: Vec<&'a Object>,
}

/// Whether a Service is the one that pods ask for names.
fn is_service(object: &Object) -> bool {
    let labelled = object.namespace() == NAMESPACE && object.meta.labels.get(LABEL.0).is_some_and(|it| it == LABEL.1);
    labelled || (object.namespace() == OPENSHIFT.0 && object.meta.name == OPENSHIFT.1)
}

/// Whether a workload makes the pods behind it.
pub(super) fn is_server(object: &Object) -> bool {
    let makes = |body: &reckon_model::k8s::Workload| {
        body.spec.template.metadata.labels.get(LABEL.0).is_some_and(|it| it == LABEL.1)
    };
    let labelled = object.namespace() == NAMESPACE && object.workload().is_some_and(makes);
    labelled || (object.namespace() == OPENSHIFT.0 && object.meta.name == OPENSHIFT.1)
}

/// The Services that a DNS server may stand behind.
pub(super) fn services<'a>(view: &View<'a>) -> crate::view::Many<'a> {
    let label = [(LABEL.0.to_owned(), LABEL.1.to_owned())].into();
    view.matching(&Kind::Service, Some(NAMESPACE), &LabelSelector::exact(&label))
}

/// The Service that pods ask, wherever it is.
pub(in crate::detectors) fn service<'a>(view: &View<'a>) -> Option<&'a Object> {
    let named = |namespace, name| view.object(&Kind::Service, Some(namespace), name).found();
    let labelled = services(view).items.first().copied();
    labelled.or_else(|| named(NAMESPACE, "kube-dns")).or_else(|| named(OPENSHIFT.0, OPENSHIFT.1))
}

impl<'v, 'a> Server<'v, 'a> {
    /// The server behind this Service, if it is one, and if all its pods are known.
    pub(super) fn of(view: &'v View<'a>, service: &'a Object) -> Option<Self> {
        let Body::Service(body) = &service.body else { return None };
        // Somebody else keeps the endpoints of a Service without a selector.
        if !is_service(service) || body.spec.selector.is_empty() || service.meta.deleted.is_some() {
            return None;
        }
        let selector = LabelSelector::exact(&body.spec.selector);
        let pods = view.matching(&Kind::Pod, service.meta.namespace.as_deref(), &selector);
        let mut items = pods.items;
        items.retain(|pod| pod.meta.deleted.is_none() && pod.pod().is_some_and(|pod| !pod.is_finished()));
        pods.complete.then_some(Server { view, service, spec: &body.spec, pods: items })
    }

    /// The server that pods ask, wherever it is.
    pub(super) fn any(view: &'v View<'a>) -> Option<Self> {
        let elsewhere = || view.known(&Kind::Service, Some(OPENSHIFT.0)).find(|object| is_service(object));
        let service = services(view).items.first().copied().or_else(elsewhere)?;
        Server::of(view, service)
    }

    /// Its pods that answer.
    pub(super) fn ready(&self) -> impl Iterator<Item = &'a Object> {
        self.pods.iter().copied().filter(|pod| pod.pod().is_some_and(Pod::is_ready))
    }

    /// What makes its pods: by the pods, else by the labels that the Service asks for.
    pub(super) fn workload(&self) -> Option<&'a Object> {
        let by_pod = self.pods.first().map(|pod| self.view.workload_of(pod));
        by_pod.or_else(|| {
            self.workloads(|object| {
                let selector = LabelSelector::exact(&self.spec.selector);
                object.workload().is_some_and(|body| selector.matches(&body.spec.template.metadata.labels))
            })
        })
    }

    /// The first workload of its namespace that is so.
    pub(super) fn workloads(&self, is: impl Fn(&Object) -> bool) -> Option<&'a Object> {
        let namespace = self.service.meta.namespace.as_deref();
        let kinds = [Kind::Deployment, Kind::DaemonSet, Kind::StatefulSet];
        kinds.iter().find_map(|kind| self.view.all(kind, namespace).items.into_iter().find(|object| is(object)))
    }

    /// The ConfigMap that holds its Corefile.
    pub(super) fn config(&self) -> Option<&'a Object> {
        let namespace = self.service.meta.namespace.as_deref();
        let pod = self.pods.first()?.pod()?;
        let names = pod.spec.volumes.iter().filter_map(|volume| volume.config_map.as_ref());
        names.filter_map(|map| self.view.object(&Kind::ConfigMap, namespace, &map.name).found()).find(|object| {
            matches!(&object.body, Body::Config(config) if config.keys.as_ref().is_some_and(|keys| keys.contains("Corefile")))
        })
    }

    /// The name of the container that answers.
    pub(super) fn container(pod: &Pod) -> &str {
        let named = pod.spec.containers.iter().find(|it| matches!(it.name.as_str(), "coredns" | "dns" | "kubedns"));
        named.or(pod.spec.containers.first()).map_or("", |container| &container.name)
    }
}
