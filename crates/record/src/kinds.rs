//! Which kinds are worth following for the record.

use reckon_model::Kind;

/// Kinds that no rule of diagnosis reads and people write, by group.
const WRITTEN: [(&str, &str); 30] = [
    ("", "LimitRange"),
    ("", "ResourceQuota"),
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"),
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy"),
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding"),
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"),
    ("apiextensions.k8s.io", "CustomResourceDefinition"),
    ("apiregistration.k8s.io", "APIService"),
    ("argoproj.io", "Application"),
    ("argoproj.io", "Rollout"),
    ("autoscaling.k8s.io", "VerticalPodAutoscaler"),
    ("cert-manager.io", "Certificate"),
    ("cert-manager.io", "ClusterIssuer"),
    ("cert-manager.io", "Issuer"),
    ("external-secrets.io", "ExternalSecret"),
    ("gateway.networking.k8s.io", "Gateway"),
    ("gateway.networking.k8s.io", "HTTPRoute"),
    ("helm.toolkit.fluxcd.io", "HelmRelease"),
    ("keda.sh", "ScaledObject"),
    ("kustomize.toolkit.fluxcd.io", "Kustomization"),
    ("networking.k8s.io", "Ingress"),
    ("networking.k8s.io", "IngressClass"),
    ("networking.k8s.io", "NetworkPolicy"),
    ("policy", "PodDisruptionBudget"),
    ("rbac.authorization.k8s.io", "ClusterRole"),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"),
    ("rbac.authorization.k8s.io", "Role"),
    ("rbac.authorization.k8s.io", "RoleBinding"),
    ("scheduling.k8s.io", "PriorityClass"),
    ("source.toolkit.fluxcd.io", "GitRepository"),
];

/// The kinds to follow for a record: those that rules of diagnosis read, and those that people write. A cluster serves some
/// of them only.
pub fn kinds() -> Vec<Kind> {
    let written = WRITTEN.iter().map(|(group, kind)| Kind::of_group(group, kind));
    Kind::named().cloned().chain(written).collect()
}
