//! Why the API server refused a pod, from the words in which it did.

/// Why a pod was not created. The texts are those of Kubernetes 1.21 to 1.37.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal<'m> {
    /// `exceeded quota: q, requested: pods=1, used: pods=5, limited: pods=5`.
    Quota {
        /// The ResourceQuota.
        quota: &'m str,
        /// Of each resource: its name, what is asked for, what is used, what is allowed.
        short: Vec<[&'m str; 4]>,
    },
    /// `failed quota: q: must specify limits.cpu for: app`.
    NeedsResources {
        /// The ResourceQuota.
        quota: &'m str,
        /// What it wants.
        what: &'m str,
    },
    /// `maximum memory usage per Container is 1Gi, but limit is 2Gi`.
    LimitRange(&'m str),
    /// `violates PodSecurity "restricted:latest": …`.
    PodSecurity {
        /// The level and its version.
        level: &'m str,
        /// What violates it.
        what: &'m str,
    },
    /// `error looking up service account shop/robot: serviceaccount "robot" not found`.
    ServiceAccount(&'m str),
    /// `failed calling webhook "w": failed to call webhook: …`.
    Webhook {
        /// The webhook.
        name: &'m str,
        /// What became of the call.
        what: &'m str,
        /// Namespace and name of the Service behind it.
        service: Option<(&'m str, &'m str)>,
    },
    /// `admission webhook "w" denied the request: …`, `ValidatingAdmissionPolicy 'p' with binding 'b' denied request: …`.
    Denied {
        /// The webhook or policy.
        by: &'m str,
        /// What it says.
        what: &'m str,
    },
    /// `no PriorityClass with name p was found`.
    PriorityClass(&'m str),
    /// `pod rejected: RuntimeClass "r" not found`.
    RuntimeClass(&'m str),
    /// Something else.
    Other,
}

impl<'m> Refusal<'m> {
    /// Reads a message, with or without what controllers put before it.
    pub(super) fn of(message: &'m str) -> Refusal<'m> {
        quota(message)
            .or_else(|| needs_resources(message))
            .or_else(|| webhook(message))
            .or_else(|| denied(message))
            .or_else(|| pod_security(message))
            .or_else(|| {
                let (_, account) = message.split_once("error looking up service account ")?;
                let account = account.split([':', ' ']).next()?;
                Some(Refusal::ServiceAccount(account.rsplit('/').next().unwrap_or(account)))
            })
            .or_else(|| {
                let (_, rest) = message.split_once("no PriorityClass with name ")?;
                Some(Refusal::PriorityClass(rest.split(' ').next()?))
            })
            .or_else(|| Some(Refusal::RuntimeClass(quoted(message.split_once("RuntimeClass ")?.1)?)))
            .or_else(|| limit_range(message))
            .unwrap_or(Refusal::Other)
    }

    /// The class of the finding.
    pub(super) fn class(&self) -> &'static str {
        match self {
            Refusal::Quota { .. } => "quota",
            Refusal::NeedsResources { .. } => "quota-needs-resources",
            Refusal::LimitRange(_) => "limit-range",
            Refusal::PodSecurity { .. } => "pod-security",
            Refusal::ServiceAccount(_) => "service-account",
            Refusal::Webhook { .. } => "webhook-unavailable",
            Refusal::Denied { .. } => "policy",
            Refusal::PriorityClass(_) => "priority-class",
            Refusal::RuntimeClass(_) => "runtime-class",
            Refusal::Other => "other",
        }
    }
}

/// The text between the first pair of double quotes.
fn quoted(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once('"')?;
    rest.split_once('"').map(|(inner, _)| inner)
}

/// The value of a name in `a=1,b=2`.
fn value<'a>(list: &'a str, name: &str) -> Option<&'a str> {
    list.split(',').find_map(|pair| {
        let (key, value) = pair.trim().split_once('=')?;
        (key == name).then_some(value)
    })
}

fn quota(message: &str) -> Option<Refusal<'_>> {
    let (_, rest) = message.split_once("exceeded quota: ")?;
    let (quota, rest) = rest.split_once(", requested: ")?;
    let (requested, rest) = rest.split_once(", used: ")?;
    let (used, limited) = rest.split_once(", limited: ")?;
    // Nothing comes after the list but, from some controllers, more text after a space.
    let limited = limited.split(' ').next().unwrap_or(limited);
    let short = requested
        .split(',')
        .filter_map(|pair| {
            let (name, wanted) = pair.trim().split_once('=')?;
            Some([name, wanted, value(used, name)?, value(limited, name)?])
        })
        .collect();
    Some(Refusal::Quota { quota, short })
}

fn needs_resources(message: &str) -> Option<Refusal<'_>> {
    let (_, rest) = message.split_once("failed quota: ")?;
    let (quota, rest) = rest.split_once(": must specify ")?;
    Some(Refusal::NeedsResources { quota, what: rest.trim() })
}

fn webhook(message: &str) -> Option<Refusal<'_>> {
    let (_, rest) = message.split_once("failed calling webhook ")?;
    let name = quoted(rest)?;
    let (_, what) = rest.split_once(": ")?;
    let what = what.strip_prefix("failed to call webhook: ").unwrap_or(what);
    // The URL names the Service: `Post "https://service.namespace.svc:443/path": …`.
    let service = quoted(what).and_then(|url| {
        let host = url.strip_prefix("https://")?.split([':', '/']).next()?;
        let (service, rest) = host.split_once('.')?;
        Some((rest.strip_suffix(".svc")?, service))
    });
    Some(Refusal::Webhook { name, what, service })
}

fn denied(message: &str) -> Option<Refusal<'_>> {
    if let Some((_, rest)) = message.split_once("admission webhook ") {
        let (_, what) = rest.split_once(" denied the request")?;
        return Some(Refusal::Denied { by: quoted(rest)?, what: what.trim_start_matches([':', ' ']) });
    }
    let (_, rest) = message.split_once("ValidatingAdmissionPolicy '")?;
    let (by, rest) = rest.split_once('\'')?;
    let (_, what) = rest.split_once("denied request")?;
    Some(Refusal::Denied { by, what: what.trim_start_matches([':', ' ']) })
}

fn pod_security(message: &str) -> Option<Refusal<'_>> {
    let (_, rest) = message.split_once("violates PodSecurity ")?;
    let level = quoted(rest)?;
    let (_, what) = rest.split_once("\": ").unwrap_or((rest, ""));
    Some(Refusal::PodSecurity { level, what: what.trim() })
}

fn limit_range(message: &str) -> Option<Refusal<'_>> {
    let (_, rest) = message.split_once("is forbidden: ").unwrap_or(("", message));
    let bound = [" usage per ", " max limit to request ratio per "].iter().any(|words| rest.contains(words));
    bound.then_some(Refusal::LimitRange(rest.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_is_read_from_the_words_of_the_api_server() {
        let of = |message| Refusal::of(message).class();
        for (message, class) in [
            (
                r#"pods "web-5d-" is forbidden: exceeded quota: small, requested: pods=1, used: pods=5, limited: pods=5"#,
                "quota",
            ),
            (
                r#"Error creating: pods "x" is forbidden: failed quota: small: must specify limits.cpu for: app; limits.memory for: app"#,
                "quota-needs-resources",
            ),
            (
                r#"create Pod db-0 in StatefulSet db failed error: pods "db-0" is forbidden: maximum memory usage per Container is 1Gi, but limit is 2Gi"#,
                "limit-range",
            ),
            (
                r#"pods "x" is forbidden: cpu max limit to request ratio per Container is 4, but provided ratio is 10.000000"#,
                "limit-range",
            ),
            (
                r#"pods "x" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true (pod or container "app" must set securityContext.runAsNonRoot=true)"#,
                "pod-security",
            ),
            (
                r#"pods "x-" is forbidden: error looking up service account shop/robot: serviceaccount "robot" not found"#,
                "service-account",
            ),
            (
                r#"Internal error occurred: failed calling webhook "w.example.org": failed to call webhook: Post "https://hook.policy.svc:443/mutate?timeout=10s": no endpoints available for service "hook""#,
                "webhook-unavailable",
            ),
            (r#"admission webhook "w.example.org" denied the request: image is not signed"#, "policy"),
            (
                r#"pods "x" is forbidden: ValidatingAdmissionPolicy 'team' with binding 'team-all' denied request: no team label"#,
                "policy",
            ),
            (r#"pods "x" is forbidden: no PriorityClass with name high was found"#, "priority-class"),
            (r#"pods "x" is forbidden: pod rejected: RuntimeClass "gvisor" not found"#, "runtime-class"),
            ("the server is on fire", "other"),
        ] {
            assert_eq!(of(message), class, "{message}");
        }
    }

    #[test]
    fn a_quota_tells_what_is_short() {
        let message = r#"pods "x" is forbidden: exceeded quota: small, requested: limits.memory=1Gi,pods=1, used: limits.memory=3Gi,pods=2, limited: limits.memory=3Gi,pods=5"#;
        let Refusal::Quota { quota, short } = Refusal::of(message) else { panic!("no quota") };
        assert_eq!((quota, short.first()), ("small", Some(&["limits.memory", "1Gi", "3Gi", "3Gi"])));
    }

    #[test]
    fn a_webhook_names_its_service() {
        let message = r#"Internal error occurred: failed calling webhook "w": failed to call webhook: Post "https://hook.policy.svc:443/m?timeout=10s": context deadline exceeded"#;
        let Refusal::Webhook { service, .. } = Refusal::of(message) else { panic!("no webhook") };
        assert_eq!(service, Some(("policy", "hook")));
    }
}
