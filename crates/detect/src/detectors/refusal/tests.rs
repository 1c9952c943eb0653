//! Words of the API server, old and new.

use super::*;

/// The name of a sort of refusal.
fn sort(refusal: &Refusal<'_>) -> &'static str {
    match refusal {
        Refusal::Quota { .. } => "quota",
        Refusal::QuotaScopes(_) => "scopes",
        Refusal::NeedsResources { .. } => "needs",
        Refusal::LimitRange { .. } => "range",
        Refusal::PodSecurity { .. } => "security",
        Refusal::ServiceAccount(_) => "account",
        Refusal::PriorityClass(_) => "priority",
        Refusal::RuntimeClass(_) => "runtime",
        Refusal::Webhook { .. } => "webhook",
        Refusal::Conversion { .. } => "conversion",
        Refusal::Denied { .. } => "denied",
        Refusal::Other => "other",
    }
}

#[test]
fn every_refusal_is_read_from_the_words_of_the_api_server() {
    for (message, expected) in [
        (
            r#"pods "web-5d-" is forbidden: exceeded quota: small, requested: pods=1, used: pods=5, limited: pods=5"#,
            "quota",
        ),
        (
            r#"pods "x" is forbidden: insufficient quota to match these scopes: [{PriorityClass In [system-cluster-critical]}]"#,
            "scopes",
        ),
        (
            r#"Error creating: pods "x" is forbidden: failed quota: small: must specify limits.cpu for: app; limits.memory for: app"#,
            "needs",
        ),
        (
            r#"create Pod db-0 in StatefulSet db failed error: pods "db-0" is forbidden: maximum memory usage per Container is 1Gi, but limit is 2Gi"#,
            "range",
        ),
        (
            r#"pods "x" is forbidden: cpu max limit to request ratio per Container is 4, but provided ratio is 10.000000"#,
            "range",
        ),
        (
            r#"pods "x" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true (pod or container "app" must set securityContext.runAsNonRoot=true)"#,
            "security",
        ),
        (r#"would violate PodSecurity "restricted:latest": runAsNonRoot != true"#, "other"),
        (
            r#"pods "x-" is forbidden: error looking up service account shop/robot: serviceaccount "robot" not found"#,
            "account",
        ),
        (
            r#"Internal error occurred: failed calling webhook "w.example.org": failed to call webhook: Post "https://hook.policy.svc:443/mutate?timeout=10s": no endpoints available for service "hook""#,
            "webhook",
        ),
        (
            r#"conversion webhook for example.org/v1alpha1, Kind=Widget failed: Post "https://c.ops.svc:443/convert?timeout=30s": no endpoints available for service "c""#,
            "conversion",
        ),
        (r#"admission webhook "w.example.org" denied the request: image is not signed"#, "denied"),
        (
            r#"pods "x" is forbidden: ValidatingAdmissionPolicy 'team' with binding 'team-all' denied request: no team label"#,
            "denied",
        ),
        (r#"pods "x" is forbidden: no PriorityClass with name high was found"#, "priority"),
        (r#"pods "x" is forbidden: pod rejected: RuntimeClass "gvisor" not found"#, "runtime"),
        ("the server is on fire", "other"),
    ] {
        assert_eq!(sort(&Refusal::of(message)), expected, "{message}");
    }
}

#[test]
fn a_quota_tells_what_is_short() {
    let message = r#"pods "x" is forbidden: exceeded quota: small, requested: limits.memory=1Gi,pods=1, used: limits.memory=3Gi,pods=2, limited: limits.memory=3Gi,pods=5"#;
    let Refusal::Quota { quota, short } = Refusal::of(message) else { panic!("no quota") };
    let first = Short { resource: "limits.memory", wanted: "1Gi", used: "3Gi", limited: "3Gi" };
    assert_eq!((quota, short.first(), short.len()), ("small", Some(&first), 2));
}

#[test]
fn what_a_quota_needs_is_read_from_old_and_new_words() {
    for (message, expected) in [
        ("failed quota: q: must specify limits.cpu,limits.memory", vec!["limits.cpu", "limits.memory"]),
        (
            "failed quota: q: must specify limits.cpu for: app,proxy; requests.memory for: app",
            vec!["limits.cpu", "requests.memory"],
        ),
    ] {
        let Refusal::NeedsResources { resources, .. } = Refusal::of(message) else { panic!("{message}") };
        assert_eq!(resources, expected);
    }
}

#[test]
fn bounds_are_read_one_by_one() {
    let message = r#"pods "x" is forbidden: [maximum cpu usage per Container is 1, but limit is 2, minimum memory usage per Pod is 1Gi.  No request is specified, memory max limit to request ratio per Container is 2, but provided ratio is 4.000000]"#;
    let Refusal::LimitRange { bounds, .. } = Refusal::of(message) else { panic!("no range") };
    let told: Vec<_> = bounds.iter().map(|b| (b.side, b.resource, b.per, b.bound, b.given)).collect();
    assert_eq!(
        told,
        [
            (Side::Maximum, "cpu", "Container", "1", Some(("limits", "2"))),
            (Side::Minimum, "memory", "Pod", "1Gi", None),
            (Side::Ratio, "memory", "Container", "2", None),
        ]
    );
}

#[test]
fn a_call_names_its_service_and_its_trouble() {
    let call = |what: &str| {
        format!(
            r#"failed calling webhook "w": failed to call webhook: Post "https://hook.policy.svc:8443/m?timeout=10s": {what}"#
        )
    };
    for (what, trouble) in [
        ("context deadline exceeded", Trouble::Unreachable),
        ("dial tcp 10.96.0.7:443: connect: connection refused", Trouble::Unreachable),
        (r#"service "hook" not found"#, Trouble::NoService),
        (r#"no endpoints available for service "hook""#, Trouble::NoEndpoints),
        ("tls: failed to verify certificate: x509: certificate signed by unknown authority", Trouble::Certificate),
        ("the server could not find the requested resource", Trouble::Answer),
    ] {
        let message = call(what);
        let Refusal::Webhook { call, .. } = Refusal::of(&message) else { panic!("no webhook") };
        assert_eq!((call.service, call.port), (Some(("policy", "hook")), Some("8443")));
        assert_eq!((call.what, call.trouble()), (what, trouble));
    }
    let outside = r#"failed calling webhook "w": failed to call webhook: Post "https://example.org/m": EOF"#;
    let Refusal::Webhook { call, .. } = Refusal::of(outside) else { panic!("no webhook") };
    assert_eq!(call.service, None);
}

#[test]
fn a_policy_names_its_binding() {
    let message = r#"ValidatingAdmissionPolicy 'team' with binding 'team-all' denied request: no team label"#;
    let expected = Refusal::Denied { by: "team", binding: Some("team-all"), what: "no team label" };
    assert_eq!(Refusal::of(message), expected);
}
