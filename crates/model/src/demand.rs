//! What detection has to know to go on, and what came of asking.

use crate::{Kind, LogLine, Object, Sample};

/// A question detection asks of its driver. Ordered, so that drivers ask in the same order every time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Demand {
    /// One object.
    Object {
        /// What it is.
        kind: Kind,
        /// `None` for cluster-scoped kinds.
        namespace: Option<String>,
        /// `metadata.name`.
        name: String,
    },
    /// All objects of a kind in a namespace (`None`: in the cluster) that match a label selector.
    List {
        /// What they are.
        kind: Kind,
        /// `None` for the whole cluster.
        namespace: Option<String>,
        /// A label selector as the API takes it; empty for all.
        selector: String,
    },
    /// The pods on a node.
    PodsOn {
        /// The node.
        node: String,
    },
    /// The Events about one object.
    Events {
        /// Kind of the involved object.
        kind: Kind,
        /// Its namespace; Events about cluster-scoped objects are found in any.
        namespace: Option<String>,
        /// Its name.
        name: String,
    },
    /// The end of a container's log.
    Log {
        /// The pod's namespace.
        namespace: String,
        /// The pod.
        pod: String,
        /// The container.
        container: String,
        /// Of the instance before the current one.
        previous: bool,
    },
    /// What a pod's containers use now (metrics.k8s.io).
    PodMetrics {
        /// The pod's namespace.
        namespace: String,
        /// The pod.
        pod: String,
    },
    /// What the kubelet of a node measures now (`stats/summary` through the API server).
    NodeStats {
        /// The node.
        node: String,
    },
    /// What a node's kernel tells about memory, as our own pod on that node reports it in its log.
    Kernel {
        /// The node.
        node: String,
        /// The namespace of the pod that reports.
        namespace: String,
        /// The pod that reports.
        pod: String,
    },
    /// One revision of a Helm release, decoded from its Secret; only the manifest, redacted, is kept.
    HelmRevision {
        /// The release's namespace.
        namespace: String,
        /// The Secret, such as `sh.helm.release.v1.shop.v42`.
        secret: String,
    },
}

/// What came of a [`Demand`].
#[derive(Clone, Debug)]
pub enum Answer {
    /// The objects asked for: one for [`Demand::Object`], any number for lists and Events.
    Objects(Vec<Object>),
    /// Some of the objects asked for, and why not all: from these nothing may be concluded about others.
    Part(Vec<Object>, Gap),
    /// The end of a log, oldest line first.
    Log(Vec<LogLine>),
    /// Usage samples.
    Samples(Vec<Sample>),
    /// What a node's kernel tells.
    Kernel(Box<crate::kernel::NodeFacts>),
    /// The objects of a Helm revision's manifest.
    Manifest(Vec<serde_json::Value>),
    /// It does not exist.
    NotFound,
    /// It could not be read. Never the same as "does not exist".
    Refused(Gap),
}

/// What stood in the way of reading something. Decides exit codes and whether asking again may help; the words for people
/// are [`Gap::why`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Obstacle {
    /// The command line or the kubeconfig has to be changed.
    Usage,
    /// The API server did not answer at all.
    Unreachable,
    /// One side did not prove who it is: 401, certificates, credentials.
    Unauthenticated,
    /// The right is missing: 403.
    Denied,
    /// It does not exist, or nothing here provides it.
    NotFound,
    /// No answer within the time given.
    TimedOut,
    /// The server answered with a failure, or with something that makes no sense.
    Server,
    /// It was not asked for, or not read to its end: a limit of our own.
    Limit,
}

/// Something that was not read, and why: what appears under *not checked*.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Gap {
    /// What it would have told, in a few words: `metrics`, `logs of app`, `nodes`.
    pub what: String,
    /// The exact missing verb, URL or component: `forbidden: list nodes`, `GET /apis/…: 404 not found`.
    pub why: String,
    /// What sort of reason that is.
    pub obstacle: Obstacle,
}

impl Demand {
    /// What this would have told, for *not checked*.
    pub fn what(&self) -> String {
        let in_namespace = |namespace: &Option<String>| match namespace {
            Some(namespace) => format!(" in namespace {namespace}"),
            None => String::new(),
        };
        match self {
            Demand::Object { kind, namespace, name } => {
                format!("{} {name}{}", kind.singular(), in_namespace(namespace))
            }
            Demand::List { kind, namespace, .. } => format!("{}{}", kind.resource(), in_namespace(namespace)),
            Demand::PodsOn { node } => format!("pods on node {node}"),
            Demand::Events { kind, name, .. } => format!("events of {} {name}", kind.singular()),
            Demand::Log { pod, container, previous, .. } => {
                let which = if *previous { "previous log" } else { "log" };
                format!("{which} of {container} in {pod}")
            }
            Demand::PodMetrics { .. } => "metrics".to_owned(),
            Demand::NodeStats { node } => format!("kubelet statistics of {node}"),
            Demand::Kernel { node, .. } => format!("kernel log of {node}"),
            Demand::HelmRevision { secret, .. } => format!("Helm revision {secret}"),
        }
    }
}
