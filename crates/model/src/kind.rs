//! Which kinds of Kubernetes objects Reckon knows by name, and how the API serves them.

use std::fmt;
use std::sync::Arc;

/// A kind of Kubernetes object. The named variants are those some rule reads; everything else a cluster serves,
/// custom resources included, is [`Kind::Other`].
///
/// Ordered as declared: outputs that list kinds list them in this order.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// `v1` Namespace.
    Namespace,
    /// `v1` Node.
    Node,
    /// `v1` Pod.
    Pod,
    /// `apps/v1` Deployment.
    Deployment,
    /// `apps/v1` ReplicaSet.
    ReplicaSet,
    /// `apps/v1` StatefulSet.
    StatefulSet,
    /// `apps/v1` DaemonSet.
    DaemonSet,
    /// `apps/v1` ControllerRevision.
    ControllerRevision,
    /// `v1` ReplicationController.
    ReplicationController,
    /// `batch/v1` Job.
    Job,
    /// `batch/v1` CronJob.
    CronJob,
    /// `v1` Service.
    Service,
    /// `discovery.k8s.io/v1` EndpointSlice.
    EndpointSlice,
    /// `v1` ConfigMap.
    ConfigMap,
    /// `v1` Secret: metadata and key names only, never a value.
    Secret,
    /// `v1` ServiceAccount.
    ServiceAccount,
    /// `v1` PersistentVolumeClaim.
    PersistentVolumeClaim,
    /// `v1` PersistentVolume.
    PersistentVolume,
    /// `storage.k8s.io/v1` StorageClass.
    StorageClass,
    /// `autoscaling/v2` HorizontalPodAutoscaler.
    HorizontalPodAutoscaler,
    /// `v1` Event.
    Event,
    /// Any other kind, by group and name.
    Other(Arc<OtherKind>),
}

/// A kind that no rule knows by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OtherKind {
    /// API group, empty for the core group.
    pub group: String,
    /// Kind as written in manifests, such as `Certificate`.
    pub kind: String,
}

/// How the API serves a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Served {
    /// API group, empty for the core group.
    pub group: &'static str,
    /// The version Reckon reads.
    pub version: &'static str,
    /// Kind as written in manifests.
    pub kind: &'static str,
    /// Plural resource name as in request paths.
    pub plural: &'static str,
    /// Short names as kubectl accepts them.
    pub short: &'static [&'static str],
    /// Whether objects live in a namespace.
    pub namespaced: bool,
}

const fn served(
    group: &'static str,
    kind: &'static str,
    plural: &'static str,
    short: &'static [&'static str],
    namespaced: bool,
) -> Served {
    Served { group, version: "v1", kind, plural, short, namespaced }
}

/// Every named kind with the way it is served, in the order of [`Kind`].
const NAMED: [(Kind, Served); 21] = [
    (Kind::Namespace, served("", "Namespace", "namespaces", &["ns"], false)),
    (Kind::Node, served("", "Node", "nodes", &["no"], false)),
    (Kind::Pod, served("", "Pod", "pods", &["po"], true)),
    (Kind::Deployment, served("apps", "Deployment", "deployments", &["deploy"], true)),
    (Kind::ReplicaSet, served("apps", "ReplicaSet", "replicasets", &["rs"], true)),
    (Kind::StatefulSet, served("apps", "StatefulSet", "statefulsets", &["sts"], true)),
    (Kind::DaemonSet, served("apps", "DaemonSet", "daemonsets", &["ds"], true)),
    (Kind::ControllerRevision, served("apps", "ControllerRevision", "controllerrevisions", &[], true)),
    (Kind::ReplicationController, served("", "ReplicationController", "replicationcontrollers", &["rc"], true)),
    (Kind::Job, served("batch", "Job", "jobs", &[], true)),
    (Kind::CronJob, served("batch", "CronJob", "cronjobs", &["cj"], true)),
    (Kind::Service, served("", "Service", "services", &["svc"], true)),
    (Kind::EndpointSlice, served("discovery.k8s.io", "EndpointSlice", "endpointslices", &[], true)),
    (Kind::ConfigMap, served("", "ConfigMap", "configmaps", &["cm"], true)),
    (Kind::Secret, served("", "Secret", "secrets", &[], true)),
    (Kind::ServiceAccount, served("", "ServiceAccount", "serviceaccounts", &["sa"], true)),
    (Kind::PersistentVolumeClaim, served("", "PersistentVolumeClaim", "persistentvolumeclaims", &["pvc"], true)),
    (Kind::PersistentVolume, served("", "PersistentVolume", "persistentvolumes", &["pv"], false)),
    (Kind::StorageClass, served("storage.k8s.io", "StorageClass", "storageclasses", &["sc"], false)),
    (
        Kind::HorizontalPodAutoscaler,
        Served {
            version: "v2",
            ..served("autoscaling", "HorizontalPodAutoscaler", "horizontalpodautoscalers", &["hpa"], true)
        },
    ),
    (Kind::Event, served("", "Event", "events", &["ev"], true)),
];

impl Kind {
    /// Every named kind, in order.
    pub fn named() -> impl Iterator<Item = &'static Kind> {
        NAMED.iter().map(|(kind, _)| kind)
    }

    /// How the API serves this kind; `None` for [`Kind::Other`], which discovery has to answer.
    pub fn served(&self) -> Option<&'static Served> {
        NAMED.iter().find(|(kind, _)| kind == self).map(|(_, served)| served)
    }

    /// The kind of an object with this `apiVersion` and `kind`. The version is not looked at: `events.k8s.io` and the
    /// core group hold the same Events, and a kind's later versions carry the fields that rules read. A bare group, as
    /// [`Kind::api_version`] writes it for kinds without a name here, is one.
    pub fn of(api_version: &str, kind: &str) -> Kind {
        let is_version =
            |word: &str| word.strip_prefix('v').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        let group = match api_version.split_once('/') {
            Some((group, _)) => group,
            None if is_version(api_version) => "",
            None => api_version,
        };
        Kind::of_group(group, kind)
    }

    /// The kind with this group and kind name.
    pub fn of_group(group: &str, kind: &str) -> Kind {
        if kind == "Event" && group == "events.k8s.io" {
            return Kind::Event;
        }
        NAMED.iter().find(|(_, served)| served.kind == kind && served.group == group).map_or_else(
            || Kind::Other(Arc::new(OtherKind { group: group.to_owned(), kind: kind.to_owned() })),
            |(kind, _)| kind.clone(),
        )
    }

    /// The named kind that kubectl means by `word`: kind, plural, singular or short name, in any case, with or without
    /// the group (`deploy`, `Deployments`, `deployments.apps`, `deployments.v1.apps`).
    pub fn parse(word: &str) -> Option<Kind> {
        let word = word.to_ascii_lowercase();
        let (name, group) = word.split_once('.').map_or((word.as_str(), None), |(name, group)| (name, Some(group)));
        NAMED
            .iter()
            .find(|(_, served)| {
                (served.plural == name || served.kind.eq_ignore_ascii_case(name) || served.short.contains(&name))
                    && group.is_none_or(|group| {
                        let after_version = group.strip_prefix(served.version).and_then(|rest| rest.strip_prefix('.'));
                        after_version.unwrap_or(group) == served.group
                    })
            })
            .map(|(kind, _)| kind.clone())
    }

    /// The name as written in manifests, such as `Deployment`.
    pub fn name(&self) -> &str {
        match self {
            Kind::Other(other) => &other.kind,
            _ => self.served().map_or("", |served| served.kind),
        }
    }

    /// The API group, empty for the core group.
    pub fn group(&self) -> &str {
        match self {
            Kind::Other(other) => &other.group,
            _ => self.served().map_or("", |served| served.group),
        }
    }

    /// `apiVersion` as written in manifests, for named kinds; the bare group for others, whose version is unknown here.
    pub fn api_version(&self) -> String {
        match self.served() {
            Some(Served { group: "", version, .. }) => (*version).to_owned(),
            Some(Served { group, version, .. }) => format!("{group}/{version}"),
            // The core group has one version.
            None if self.group().is_empty() => "v1".to_owned(),
            None => self.group().to_owned(),
        }
    }

    /// The resource with its group as access reviews and RBAC rules name it: `pods`, `deployments.apps`.
    pub fn resource(&self) -> String {
        match self.served() {
            Some(Served { group: "", plural, .. }) => (*plural).to_owned(),
            Some(Served { group, plural, .. }) => format!("{plural}.{group}"),
            None if self.group().is_empty() => format!("{}s", self.name().to_ascii_lowercase()),
            None => format!("{}.{}", self.name().to_ascii_lowercase(), self.group()),
        }
    }

    /// The short form used in sentences and `TYPE/NAME`: the singular in lower case.
    pub fn singular(&self) -> String {
        self.name().to_ascii_lowercase()
    }

    /// Whether objects of this kind live in a namespace; unknown kinds are taken to.
    pub fn namespaced(&self) -> bool {
        self.served().is_none_or(|served| served.namespaced)
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::Other(other) => write!(f, "{}.{}", other.kind, other.group),
            _ => f.write_str(self.name()),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl serde::Serialize for Kind {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_enum() {
        let kinds: Vec<_> = Kind::named().collect();
        assert!(kinds.is_sorted());
    }

    #[test]
    fn a_type_is_accepted_in_every_spelling_of_kubectl() {
        for word in ["deploy", "Deployment", "deployments", "deployments.apps", "deployments.v1.apps"] {
            assert_eq!(Kind::parse(word), Some(Kind::Deployment), "{word}");
        }
        assert_eq!(Kind::parse("deployments.extensions"), None);
        assert_eq!(Kind::parse("certificates"), None);
    }

    #[test]
    fn an_object_of_an_unknown_group_is_not_taken_for_a_named_kind() {
        assert_eq!(Kind::of("apps/v1", "Deployment"), Kind::Deployment);
        assert_ne!(Kind::of("example.org/v1", "Deployment"), Kind::Deployment);
        assert_eq!(Kind::of("events.k8s.io/v1", "Event"), Kind::Event);
        assert_eq!(Kind::of("v1", "Pod"), Kind::Pod);
    }

    #[test]
    fn every_kind_is_found_again_by_what_is_written_of_it() {
        let lease = Kind::of("coordination.k8s.io/v1", "Lease");
        let quota = Kind::of_group("", "ResourceQuota");
        for kind in Kind::named().cloned().chain([lease, quota]) {
            assert_eq!(Kind::of(&kind.api_version(), kind.name()), kind);
        }
    }
}
