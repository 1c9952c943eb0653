//! Pods that are wanted and refused by the API server.

use super::refusal::Refusal;
use crate::spot::{self, Spot};
use crate::{Fact, Finding, Lookup, Place, View, blame, describe};
use reckon_model::document::{Cause, CauseKind, Ref, Remedy, RemedyKind, Requires, Role, Source, Verdict};
use reckon_model::{FieldChange, Kind, Object, Quantity, ResourceRef, Timestamp, diff, text};
use serde_json::json;

/// The finding about a workload whose pods were refused with this message, first at `since`.
pub(super) fn finding<'a>(
    view: &View<'a>,
    workload: &'a Object,
    message: &str,
    since: Option<Timestamp>,
    source: Source,
) -> Finding {
    let refusal = Refusal::of(message);
    let name = describe::object(workload);
    let why = words(&refusal, message);
    let cause = cause(view, workload, &refusal, &why, since);
    let title = format!("{name}: its pods are not created, {why}");
    let mut finding = Finding::new("pods-not-created", Place::of(workload), title, cause);
    finding.class = Some(refusal.class());
    finding.severity = spot::severity(workload);
    finding.verdict = if refusal == Refusal::Other { Verdict::Likely } else { Verdict::Confirmed };
    finding.opened = since;
    finding.evidence.push(
        Fact::new(
            Role::Cause,
            source,
            since,
            workload,
            format!("FailedCreate: {}", text::shorten(message.trim(), 400)),
        )
        .raw(json!(message)),
    );
    finding.remedies.extend(remedy(workload, &refusal, &finding.cause));
    if let Refusal::PodSecurity { level, .. } = refusal {
        finding.alternatives.push(reckon_model::document::Alternative {
            reference: workload.meta.namespace.as_deref().map(|ns| Ref::from(&ResourceRef::new(Kind::Namespace, None, ns))),
            verdict: Verdict::Possible,
            sentence: format!(
                "The namespace may enforce {level} only lately: look at its label pod-security.kubernetes.io/enforce and who set it."
            ),
        });
    }
    finding
}

fn words(refusal: &Refusal<'_>, message: &str) -> String {
    let cut = |text: &str| text::shorten(text, 160).into_owned();
    match refusal {
        Refusal::Quota { quota, short } => match exceeded(short) {
            Some([resource, wanted, used, limited]) => {
                format!("quota {quota} allows {limited} {resource}, {used} are used and {wanted} more wanted")
            }
            None => format!("quota {quota} is used up"),
        },
        Refusal::NeedsResources { quota, what } => {
            format!("under quota {quota} they must specify {}", cut(what))
        }
        Refusal::LimitRange(what) => format!("a LimitRange forbids it: {}", cut(what)),
        Refusal::PodSecurity { level, what } => {
            format!("the namespace enforces pod security {level}: {}", cut(what))
        }
        Refusal::ServiceAccount(account) => format!("ServiceAccount {account} does not exist"),
        Refusal::Webhook { name, what, .. } => {
            // The URL before it is in the evidence.
            let what =
                what.strip_prefix("Post \"").and_then(|rest| rest.split_once("\": ")).map_or(*what, |(_, what)| what);
            format!("webhook {name} could not be called: {}", cut(what))
        }
        Refusal::Denied { by, what } => format!("{by} denies them: {}", cut(what)),
        Refusal::PriorityClass(class) => format!("PriorityClass {class} does not exist"),
        Refusal::RuntimeClass(class) => format!("RuntimeClass {class} does not exist"),
        Refusal::Other => cut(message.trim()),
    }
}

/// The resource of a quota that would be exceeded.
fn exceeded<'m>(short: &[[&'m str; 4]]) -> Option<[&'m str; 4]> {
    let nanos = |text: &str| Quantity::new(text).nanos();
    short
        .iter()
        .find(|[_, wanted, used, limited]| match (nanos(wanted), nanos(used), nanos(limited)) {
            (Some(wanted), Some(used), Some(limited)) => wanted.saturating_add(used) > limited,
            _ => false,
        })
        .or(short.first())
        .copied()
}

fn cause<'a>(
    view: &View<'a>,
    workload: &'a Object,
    refusal: &Refusal<'_>,
    why: &str,
    since: Option<Timestamp>,
) -> Cause {
    let name = describe::object(workload);
    let namespace = workload.meta.namespace.as_deref();
    let sentence = format!("The API server refuses the pods of {name}: {why}.");
    let changed = |parts: &[&str]| {
        let rank = |field: &FieldChange| {
            parts.iter().position(|part| field.pointer.contains(part)).and_then(|at| u8::try_from(at).ok())
        };
        let blame = blame::template_change(view, workload, None, since, rank)?;
        let sentence = format!("{} was {}; since then {why}.", blame.field().field, blame.words());
        Some(blame.cause(view, sentence))
    };
    let as_it_stands = |key: &str| match Spot::of(workload) {
        Some(spot) => spot.wrong(&spot.path(key), None, sentence.clone()),
        None => Cause::plain(CauseKind::Resource, Some(&workload.reference()), sentence.clone()),
    };
    // A container that the message names is where the field belongs.
    let in_container = |said: &str, key: &str| {
        Spot::of(workload).map(|spot| {
            let named = spot.spec.all_containers().find(|(_, container)| names(said, &container.name));
            let path = named
                .and_then(|(_, container)| spot.container(&container.name))
                .map_or_else(|| spot.path(key), |path| path.key(key));
            spot.wrong(&path, None, sentence.clone())
        })
    };
    let plain = || Cause::plain(CauseKind::Resource, Some(&workload.reference()), sentence.clone());
    match refusal {
        Refusal::Quota { quota, short } => {
            let resource = exceeded(short);
            let countable = resource.is_some_and(|[resource, ..]| resource.contains('.'));
            // What the quota counts comes first: a template may have changed in requests and limits at once.
            let counted = resource.map(|[resource, ..]| format!("/resources/{}", resource.replacen('.', "/", 1)));
            let parts = [counted.as_deref().unwrap_or("/resources"), "/resources"];
            if let Some(cause) = changed(&parts).filter(|_| countable) {
                return cause;
            }
            let mut cause = Cause::plain(CauseKind::Resource, None, sentence.clone());
            cause.reference = Some(outsider("v1", "ResourceQuota", namespace, quota));
            match resource {
                Some([resource, _, _, limited]) => cause.at_field(
                    if resource.contains(['.', '/']) {
                        format!("spec.hard[{resource}]")
                    } else {
                        format!("spec.hard.{resource}")
                    },
                    format!("/spec/hard/{}", diff::escape(resource)),
                    Some(json!(limited)),
                ),
                None => cause,
            }
        }
        Refusal::NeedsResources { what, .. } => in_container(what, "resources").unwrap_or_else(plain),
        Refusal::LimitRange(_) => changed(&["/resources"]).unwrap_or_else(|| {
            Spot::of(workload)
                .and_then(|spot| {
                    let asking = |container: &&reckon_model::k8s::Container| {
                        !container.resources.limits.is_empty() || !container.resources.requests.is_empty()
                    };
                    let container = spot.spec.containers.iter().find(asking).or(spot.spec.containers.first())?;
                    let path = spot.container(&container.name)?.key("resources");
                    Some(spot.wrong(&path, None, sentence.clone()))
                })
                .unwrap_or_else(plain)
        }),
        Refusal::PodSecurity { what, .. } => {
            changed(&["/securityContext", "/hostNetwork", "/hostPID", "/hostIPC", "/hostPath", "/hostPort", "/volumes"])
                .unwrap_or_else(|| in_container(what, "securityContext").unwrap_or_else(plain))
        }
        Refusal::ServiceAccount(account) => {
            let target = ResourceRef::new(Kind::ServiceAccount, namespace, account);
            match Spot::of(workload).map(|spot| spot.path("serviceAccountName")) {
                Some(path) => blame::missing_reference(view, workload, &target, &path.field, &path.pointer),
                None => Cause::plain(CauseKind::Resource, Some(&target), sentence),
            }
        }
        Refusal::Webhook { service: Some((namespace, service)), .. } => {
            let target = ResourceRef::new(Kind::Service, Some(namespace), service);
            let state = match view.look_up(&target) {
                Lookup::Absent { .. } => format!("Service {namespace}/{service} behind it does not exist"),
                _ => format!("Service {namespace}/{service} stands behind it"),
            };
            Cause::plain(CauseKind::Resource, Some(&target), format!("{sentence} {state}."))
        }
        Refusal::PriorityClass(_) => {
            changed(&["/priorityClassName"]).unwrap_or_else(|| as_it_stands("priorityClassName"))
        }
        Refusal::RuntimeClass(_) => changed(&["/runtimeClassName"]).unwrap_or_else(|| as_it_stands("runtimeClassName")),
        Refusal::Denied { .. } | Refusal::Webhook { .. } => plain(),
        Refusal::Other => Cause::plain(CauseKind::Unknown, Some(&workload.reference()), sentence),
    }
}

/// Whether a message names this container, in quotes or as the last word of `… for: app`.
fn names(said: &str, container: &str) -> bool {
    said.contains(&format!("\"{container}\""))
        || said.split([' ', ',', ';']).any(|word| word.trim_matches(['"', '(', ')']) == container)
}

/// A reference to an object of a kind that is not read.
fn outsider(api_version: &str, kind: &str, namespace: Option<&str>, name: &str) -> Ref {
    Ref {
        api_version: api_version.to_owned(),
        kind: kind.to_owned(),
        namespace: namespace.map(str::to_owned),
        name: name.to_owned(),
        uid: None,
    }
}

fn remedy(workload: &Object, refusal: &Refusal<'_>, cause: &Cause) -> Option<Remedy> {
    let on = workload.reference();
    let patch = |sentence: String| {
        let mut remedy = spot::remedy(RemedyKind::Patch, &on, sentence);
        remedy.managed_by = crate::ownership::managed_by(workload).map(str::to_owned);
        Some(remedy)
    };
    if cause.kind == CauseKind::Change
        && cause.reference.as_ref().is_some_and(|reference| ResourceRef::from(reference) == on)
    {
        return Spot::of(workload)?.roll_back("Go back to the template before: its pods were accepted.");
    }
    match refusal {
        Refusal::Quota { quota, .. } => {
            let mut remedy = spot::remedy(
                RemedyKind::Patch,
                &on,
                format!(
                    "Raise quota {quota}, or free some of it: scale down or delete what is not needed (kubectl describe quota {quota})."
                ),
            );
            remedy.reference.clone_from(&cause.reference);
            remedy.requires = Some(Requires { verb: "patch".to_owned(), resource: "resourcequotas".to_owned() });
            Some(remedy)
        }
        Refusal::NeedsResources { what, .. } => {
            patch(format!("Specify {what} in the template, or give the namespace a LimitRange with defaults."))
        }
        Refusal::LimitRange(_) => {
            patch("Bring the resources within the bounds of the LimitRange (kubectl describe limitrange).".to_owned())
        }
        Refusal::PodSecurity { .. } => {
            patch("Set what the message asks for in the securityContext of the pod or its containers.".to_owned())
        }
        Refusal::ServiceAccount(account) => {
            let target = ResourceRef::new(Kind::ServiceAccount, workload.meta.namespace.as_deref(), account);
            Some(spot::supply(
                cause,
                &target,
                format!("Create ServiceAccount {account}: kubectl create serviceaccount {account}."),
            ))
        }
        Refusal::Webhook { name, .. } => Some(spot::remedy(
            RemedyKind::Outside,
            &on,
            format!(
                "Bring up what serves webhook {name}; if it was removed for good, delete its webhook configuration. Meanwhile failurePolicy: Ignore lets pods through unchecked."
            ),
        )),
        Refusal::Denied { by, .. } => {
            patch(format!("{by} may work as meant: make the template comply, or ask whoever owns it for an exception."))
        }
        Refusal::PriorityClass(_) | Refusal::RuntimeClass(_) => {
            patch("Correct the name, or have an administrator create the class.".to_owned())
        }
        Refusal::Other => None,
    }
}
