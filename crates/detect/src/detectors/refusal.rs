//! Why the API server refused an object, from the words in which it did.
//!
//! Deployments have them in a condition, other controllers in Events, releases in their status, namespaces that do not go
//! away in theirs. The texts are those of Kubernetes 1.21 to 1.37; what is not known stays [`Refusal::Other`].

/// Why the API server refused something.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal<'m> {
    /// `exceeded quota: q, requested: pods=1, used: pods=5, limited: pods=5`.
    Quota {
        /// The ResourceQuota.
        quota: &'m str,
        /// Of each resource that was asked for.
        short: Vec<Short<'m>>,
    },
    /// `insufficient quota to match these scopes: [{PriorityClass In [high]}]`.
    QuotaScopes(&'m str),
    /// `failed quota: q: must specify limits.cpu for: app; limits.memory for: app`.
    NeedsResources {
        /// The ResourceQuota.
        quota: &'m str,
        /// What it wants, as it was said.
        what: &'m str,
        /// The resources it wants, such as `limits.cpu`.
        resources: Vec<&'m str>,
    },
    /// `maximum memory usage per Container is 1Gi, but limit is 2Gi`.
    LimitRange {
        /// As it was said.
        what: &'m str,
        /// One by one.
        bounds: Vec<Bound<'m>>,
    },
    /// `violates PodSecurity "restricted:latest": …`.
    PodSecurity {
        /// The level and its version.
        level: &'m str,
        /// What violates it.
        what: &'m str,
    },
    /// `error looking up service account shop/robot: serviceaccount "robot" not found`.
    ServiceAccount(&'m str),
    /// `no PriorityClass with name p was found`.
    PriorityClass(&'m str),
    /// `pod rejected: RuntimeClass "r" not found`.
    RuntimeClass(&'m str),
    /// `failed calling webhook "w": failed to call webhook: …`.
    Webhook {
        /// The webhook.
        name: &'m str,
        /// What became of the call.
        call: Call<'m>,
    },
    /// `conversion webhook for example.org/v1, Kind=Widget failed: …`.
    Conversion {
        /// Group and version that were to be converted.
        version: &'m str,
        /// The kind.
        kind: &'m str,
        /// What became of the call.
        call: Call<'m>,
    },
    /// `admission webhook "w" denied the request: …`, `ValidatingAdmissionPolicy 'p' with binding 'b' denied request: …`.
    Denied {
        /// The webhook or policy.
        by: &'m str,
        /// The binding of a policy; `None` for webhooks.
        binding: Option<&'m str>,
        /// What it says.
        what: &'m str,
    },
    /// Something else.
    Other,
}

/// One resource of a quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Short<'m> {
    /// Such as `requests.memory`.
    pub(crate) resource: &'m str,
    /// How much more was wanted.
    pub(crate) wanted: &'m str,
    /// How much was used.
    pub(crate) used: &'m str,
    /// How much is allowed.
    pub(crate) limited: &'m str,
}

/// One bound of a LimitRange that was not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bound<'m> {
    /// Which sort.
    pub(crate) side: Side,
    /// Such as `memory`.
    pub(crate) resource: &'m str,
    /// `Container`, `Pod` or `PersistentVolumeClaim`.
    pub(crate) per: &'m str,
    /// The bound.
    pub(crate) bound: &'m str,
    /// `limits` or `requests`, and its value, where one was given.
    pub(crate) given: Option<(&'static str, &'m str)>,
}

/// A sort of bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// At most so much.
    Maximum,
    /// At least so much.
    Minimum,
    /// The limit at most so many times the request.
    Ratio,
}

impl Side {
    /// The key of a LimitRange's item.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Side::Maximum => "max",
            Side::Minimum => "min",
            Side::Ratio => "maxLimitRequestRatio",
        }
    }
}

/// A call that the API server made to somebody and that came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Call<'m> {
    /// Namespace and name of the Service that was called.
    pub(crate) service: Option<(&'m str, &'m str)>,
    /// The port of the URL.
    pub(crate) port: Option<&'m str>,
    /// What went wrong, without the URL.
    pub(crate) what: &'m str,
}

/// What sort of trouble a call met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The Service does not exist.
    NoService,
    /// It has no endpoint.
    NoEndpoints,
    /// Nobody answered.
    Unreachable,
    /// The certificate was not accepted.
    Certificate,
    /// An answer came that was of no use.
    Answer,
}

impl<'m> Call<'m> {
    /// Reads `Post "https://service.namespace.svc:443/path?timeout=10s": …`, or an error without a URL.
    fn of(text: &'m str) -> Call<'m> {
        let text = text.trim();
        let Some((url, what)) = text.split_once(" \"").and_then(|(_, rest)| rest.split_once("\": ")) else {
            return Call { service: None, port: None, what: text };
        };
        let host = url.strip_prefix("https://").and_then(|rest| rest.split('/').next()).unwrap_or("");
        let (host, port) = host.split_once(':').map_or((host, None), |(host, port)| (host, Some(port)));
        let service = host.split_once('.').and_then(|(service, rest)| Some((rest.strip_suffix(".svc")?, service)));
        Call { service, port, what }
    }

    /// What sort of trouble it met.
    pub(crate) fn trouble(&self) -> Trouble {
        let says = |words: &[&str]| words.iter().any(|word| self.what.contains(word));
        if self.what.contains("service \"") && self.what.contains("not found") {
            Trouble::NoService
        } else if says(&["no endpoints available for service"]) {
            Trouble::NoEndpoints
        } else if says(&["x509:", "tls: ", "certificate"]) {
            Trouble::Certificate
        } else if says(&[
            "refused",
            "deadline exceeded",
            "timeout",
            "timed out",
            "no route to host",
            "no such host",
            "reset by peer",
            "EOF",
            "dial tcp",
            "unreachable",
            "proxy error",
        ]) {
            Trouble::Unreachable
        } else {
            Trouble::Answer
        }
    }
}

impl<'m> Refusal<'m> {
    /// Reads a message, with or without what controllers put before it.
    pub(crate) fn of(message: &'m str) -> Refusal<'m> {
        quota(message)
            .or_else(|| {
                let (_, scopes) = message.split_once("insufficient quota to match these scopes: ")?;
                Some(Refusal::QuotaScopes(scopes.trim().trim_start_matches('[').trim_end_matches(']').trim()))
            })
            .or_else(|| needs_resources(message))
            .or_else(|| webhook(message))
            .or_else(|| conversion(message))
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
            let (resource, wanted) = pair.trim().split_once('=')?;
            Some(Short { resource, wanted, used: value(used, resource)?, limited: value(limited, resource)? })
        })
        .collect();
    Some(Refusal::Quota { quota, short })
}

/// `must specify limits.cpu,limits.memory` until 1.24, since then with the containers: `limits.cpu for: app,proxy; …`.
fn needs_resources(message: &str) -> Option<Refusal<'_>> {
    let (_, rest) = message.split_once("failed quota: ")?;
    let (quota, rest) = rest.split_once(": must specify ")?;
    let what = rest.trim();
    let resources = what
        .split(';')
        .filter_map(|part| part.split(" for: ").next())
        .flat_map(|part| part.split(','))
        .map(str::trim)
        .filter(|resource| !resource.is_empty())
        .collect();
    Some(Refusal::NeedsResources { quota, what, resources })
}

fn webhook(message: &str) -> Option<Refusal<'_>> {
    let (_, rest) = message.split_once("failed calling webhook ")?;
    let name = quoted(rest)?;
    let (_, what) = rest.split_once(": ")?;
    let what = what.strip_prefix("failed to call webhook: ").unwrap_or(what);
    Some(Refusal::Webhook { name, call: Call::of(what) })
}

fn conversion(message: &str) -> Option<Refusal<'_>> {
    let (_, rest) = message.split_once("conversion webhook for ")?;
    let (what, rest) = rest.split_once(" failed: ")?;
    let (version, kind) = what.split_once(", Kind=")?;
    Some(Refusal::Conversion { version, kind, call: Call::of(rest) })
}

fn denied(message: &str) -> Option<Refusal<'_>> {
    if let Some((_, rest)) = message.split_once("admission webhook ") {
        let (_, what) = rest.split_once(" denied the request")?;
        return Some(Refusal::Denied { by: quoted(rest)?, binding: None, what: what.trim_start_matches([':', ' ']) });
    }
    let (_, rest) = message.split_once("ValidatingAdmissionPolicy '")?;
    let (by, rest) = rest.split_once('\'')?;
    let (bound, what) = rest.split_once("denied request")?;
    let binding = bound.split('\'').nth(1).unwrap_or("");
    Some(Refusal::Denied { by, binding: Some(binding), what: what.trim_start_matches([':', ' ']) })
}

fn pod_security(message: &str) -> Option<Refusal<'_>> {
    let (before, rest) = message.split_once("violates PodSecurity ")?;
    // A warning is no refusal.
    if before.trim_end().ends_with("would") {
        return None;
    }
    let level = quoted(rest)?;
    let (_, what) = rest.split_once("\": ").unwrap_or((rest, ""));
    Some(Refusal::PodSecurity { level, what: what.trim() })
}

fn limit_range(message: &str) -> Option<Refusal<'_>> {
    let (_, rest) = message.split_once("is forbidden: ").unwrap_or(("", message));
    let said = [" usage per ", " max limit to request ratio per "].iter().any(|words| rest.contains(words));
    said.then(|| Refusal::LimitRange { what: rest.trim(), bounds: bounds(rest) })
}

/// `[maximum cpu usage per Container is 1, but limit is 2, minimum memory usage per Pod is 1Gi.  No request is specified]`.
fn bounds(text: &str) -> Vec<Bound<'_>> {
    let mut bounds: Vec<Bound<'_>> = Vec::new();
    for part in text.trim().trim_start_matches('[').trim_end_matches(']').split(", ") {
        let words: Vec<&str> = part.split_whitespace().collect();
        match words.as_slice() {
            ["but", of, "is", value, ..] | ["but", "provided", of, "is", value, ..] => {
                let key = match *of {
                    "limit" => "limits",
                    "request" => "requests",
                    _ => continue,
                };
                if let Some(last) = bounds.last_mut() {
                    last.given = Some((key, value));
                }
            }
            [side @ ("maximum" | "minimum"), resource, "usage", "per", per, "is", bound, ..] => {
                let side = if *side == "maximum" { Side::Maximum } else { Side::Minimum };
                let bound = bound.trim_end_matches('.');
                bounds.push(Bound { side, resource, per, bound, given: None });
            }
            [resource, "max", "limit", "to", "request", "ratio", "per", per, "is", bound, ..] => {
                let bound = bound.trim_end_matches('.');
                bounds.push(Bound { side: Side::Ratio, resource, per, bound, given: None });
            }
            _ => {}
        }
    }
    bounds
}

#[cfg(test)]
mod tests;
