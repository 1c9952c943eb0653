//! The table of rules.

use super::{Matches, Rule};

pub(crate) const STATUS: &str = "status";
pub(crate) const MADE: &str = "made-by-controller";
pub(crate) const SCALED_SET: &str = "replica-set-scaling";
pub(crate) const AUTOSCALED: &str = "autoscaler-within-bounds";
pub(crate) const DEFAULTED: &str = "defaulted-fields";
pub(crate) const ENDPOINTS: &str = "endpoints-follow-pods";
pub(crate) const HELM: &str = "helm-storage";
pub(crate) const ORDINARY_LIFE: &str = "ordinary-life-of-pods";
pub(crate) const ORDINARY_END: &str = "ordinary-ends";
pub(crate) const HEARTBEATS: &str = "node-heartbeats";

/// All rules, in the order of the page.
pub const RULES: &[Rule] = &[
    Rule {
        id: STATUS,
        sentence: "What controllers report of an object is no decision of anybody. What matters of it is a fact of its own: \
                   phases of pods, deaths, conditions of nodes, rollouts, syncs, problems.",
        matches: Matches::Fields(&["/status"]),
    },
    Rule {
        id: "bookkeeping",
        sentence: "The API server's own counts move with each write and say nothing of it. Who wrote what is read from them.",
        matches: Matches::Fields(&[
            "/metadata/resourceVersion",
            "/metadata/generation",
            "/metadata/managedFields",
            "/metadata/selfLink",
        ]),
    },
    Rule {
        id: "leases",
        sentence: "A lease is renewed every few seconds by whoever holds it.",
        matches: Matches::Kinds(&[("coordination.k8s.io", "Lease")]),
    },
    Rule {
        id: "leader-election",
        sentence: "Controllers that elect a leader with an annotation renew it every few seconds.",
        matches: Matches::Annotations(&[
            "control-plane.alpha.kubernetes.io/leader",
            "endpoints.kubernetes.io/last-change-trigger-time",
        ]),
    },
    Rule {
        id: HEARTBEATS,
        sentence: "A kubelet says every few minutes that its node is as it was. That a condition turned is told.",
        matches: Matches::Judged("Reports of a node that differ from the one before in their times alone."),
    },
    Rule {
        id: "node-bookkeeping",
        sentence: "What kubelets, network and storage drivers note on a node for themselves.",
        matches: Matches::Annotations(&[
            "node.alpha.kubernetes.io/ttl",
            "volumes.kubernetes.io/controller-managed-attach-detach",
            "csi.volume.kubernetes.io/nodeid",
            "kubeadm.alpha.kubernetes.io/cri-socket",
            "projectcalico.org/*",
            "flannel.alpha.coreos.com/*",
        ]),
    },
    Rule {
        id: "node-taints",
        sentence: "Taints that follow a node's conditions and its cordon: these are told.",
        matches: Matches::Taints(&[
            "node.kubernetes.io/not-ready",
            "node.kubernetes.io/unreachable",
            "node.kubernetes.io/memory-pressure",
            "node.kubernetes.io/disk-pressure",
            "node.kubernetes.io/pid-pressure",
            "node.kubernetes.io/network-unavailable",
            "node.kubernetes.io/unschedulable",
        ]),
    },
    Rule {
        id: "last-applied",
        sentence: "A copy of what `kubectl apply` sent. What it changed is told field by field.",
        matches: Matches::Annotations(&["kubectl.kubernetes.io/last-applied-configuration"]),
    },
    Rule {
        id: "revision-numbers",
        sentence: "Controllers number revisions and note how far they came. The rollout is told.",
        matches: Matches::Annotations(&[
            "deployment.kubernetes.io/*",
            "deprecated.daemonset.template.generation",
            "autoscaling.alpha.kubernetes.io/conditions",
            "autoscaling.alpha.kubernetes.io/current-metrics",
        ]),
    },
    Rule {
        id: "controller-labels",
        sentence: "Labels by which controllers find again what they made.",
        matches: Matches::Labels(&[
            "pod-template-hash",
            "controller-revision-hash",
            "pod-template-generation",
            "controller-uid",
            "batch.kubernetes.io/controller-uid",
            "statefulset.kubernetes.io/pod-name",
            "apps.kubernetes.io/pod-index",
            "batch.kubernetes.io/job-completion-index",
        ]),
    },
    Rule {
        id: "controller-finalizers",
        sentence: "Finalizers with which the controllers of Kubernetes hold on to what they still count or use.",
        matches: Matches::Finalizers(&[
            "batch.kubernetes.io/job-tracking",
            "kubernetes.io/pvc-protection",
            "kubernetes.io/pv-protection",
            "service.kubernetes.io/load-balancer-cleanup",
        ]),
    },
    Rule {
        id: "network-of-pods",
        sentence: "What network drivers note on each pod.",
        matches: Matches::Annotations(&[
            "cni.projectcalico.org/*",
            "k8s.v1.cni.cncf.io/network-status*",
            "k8s.ovn.org/*",
        ]),
    },
    Rule {
        id: "volume-binding",
        sentence: "Steps of binding a volume to its claim. That it is bound is told by `spec.volumeName`.",
        matches: Matches::Annotations(&[
            "pv.kubernetes.io/bind-completed",
            "pv.kubernetes.io/bound-by-controller",
            "volume.kubernetes.io/selected-node",
            "volume.kubernetes.io/storage-provisioner",
            "volume.beta.kubernetes.io/storage-provisioner",
        ]),
    },
    Rule {
        id: "gitops-refresh",
        sentence: "Argo CD asks itself to look again, over and over. What a sync changes is told.",
        matches: Matches::Annotations(&["argocd.argoproj.io/refresh"]),
    },
    Rule {
        id: MADE,
        sentence: "What a controller of Kubernetes makes by a template or deletes again, and what it writes there later: \
                   the template, the rollout and the phases of the pods are told.",
        matches: Matches::Judged(
            "Creations and deletions of Pods, ReplicaSets, ControllerRevisions, Jobs and EndpointSlices that are controlled by \
             a Deployment, ReplicaSet, StatefulSet, DaemonSet, ReplicationController, Job, CronJob or Service, and changes of \
             them by the controller manager.",
        ),
    },
    Rule {
        id: SCALED_SET,
        sentence: "A Deployment scales its ReplicaSets, and takes back what others write there.",
        matches: Matches::Judged(
            "`spec.replicas` of a ReplicaSet that a Deployment controls, written by the controller manager.",
        ),
    },
    Rule {
        id: AUTOSCALED,
        sentence: "An autoscaler scales all day, within the bounds that somebody gave it.",
        matches: Matches::Judged(
            "`spec.replicas` between `minReplicas` and `maxReplicas` of a HorizontalPodAutoscaler for the object, written by the \
             controller manager.",
        ),
    },
    Rule {
        id: DEFAULTED,
        sentence: "What the API server fills in where nobody said anything.",
        matches: Matches::Judged(
            "Fields that appear with the value that Kubernetes gives them by default and that no manager owns.",
        ),
    },
    Rule {
        id: ENDPOINTS,
        sentence: "Endpoints follow the pods, whose phases are told. Endpoints that somebody writes by hand are told.",
        matches: Matches::Judged(
            "Endpoints and EndpointSlices that a controller keeps: controlled by an object, or labelled with who manages them; \
             Endpoints whose Service has a selector.",
        ),
    },
    Rule {
        id: HELM,
        sentence: "Helm keeps each revision of a release in a Secret. The release is told.",
        matches: Matches::Judged("Secrets with the label `owner=helm`."),
    },
    Rule {
        id: ORDINARY_LIFE,
        sentence: "A pod that is made, placed and started without trouble, and one that ends as it was asked to, is told of when \
                   it is ready and when it is gone.",
        matches: Matches::Judged(
            "The phases `pending` and `starting` while nothing stands in the way, and `terminating`.",
        ),
    },
    Rule {
        id: ORDINARY_END,
        sentence: "Containers that are there to end have ended well.",
        matches: Matches::Judged(
            "Ends with exit code 0 of init containers, and of pods that are not restarted always.",
        ),
    },
    Rule {
        id: "routine-events",
        sentence: "What components say when all goes its way: phases, deaths, changes and rollouts tell the same.",
        matches: Matches::Events(&[
            "Scheduled",
            "Pulling",
            "Pulled",
            "Created",
            "Started",
            "Killing",
            "SuccessfulCreate",
            "SuccessfulDelete",
            "ScalingReplicaSet",
            "SuccessfulRescale",
            "SuccessfulAttachVolume",
            "SuccessfulMountVolume",
            "AddedInterface",
            "Completed",
            "SawCompletedJob",
            "NodeReady",
            "RegisteredNode",
            "LeaderElection",
            "Sync",
            "OperationCompleted",
            "OperationStarted",
            "ResourceUpdated",
            "ReconciliationSucceeded",
            "NewArtifact",
            "ArtifactUpToDate",
        ]),
    },
];
