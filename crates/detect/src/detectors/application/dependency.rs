//! Somebody who does not answer, or whom nobody knows.

use super::far_end::{self, Down, FarEnd, Mention};
use super::{Speaker, place, policy, service};
use crate::addresses::Address;
use crate::blame;
use crate::detectors::dns;
use crate::detectors::logs::testimony::Far;
use crate::detectors::network_policy::{self, Passage, Peer, Port, Way};
use crate::spot;
use crate::view::Lookup;
use crate::{Fact, Finding, describe, ownership};
use reckon_model::document::{Alternative, Cause, CauseKind, Remedy, RemedyKind, Role, Source, Verdict};
use reckon_model::{Body, FieldChange, Object, text};
use serde_json::json;

/// In which way nobody answers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// At once.
    Refused,
    /// Not at all.
    TimedOut,
}

impl How {
    fn slug(self) -> &'static str {
        match self {
            How::Refused => "dependency-refused",
            How::TimedOut => "dependency-timeout",
        }
    }

    /// `db:5432 refuses its connections`.
    fn words(self, what: &str) -> String {
        match self {
            How::Refused => format!("{what} refuses its connections"),
            How::TimedOut => format!("{what} does not answer it"),
        }
    }
}

/// Nobody listens, or nobody answers.
pub(super) fn unreachable(speaker: &Speaker<'_, '_>, how: How, far: Option<&Far>) -> Option<Finding> {
    let (end, address, mention) = far_end::of(speaker, far);
    let address = address?;
    let words = address.words();
    match end {
        FarEnd::Down(down) => Some(is_down(speaker, how.slug(), &how.words(&words), &down)),
        FarEnd::NoPort(service, port) => Some(service::no_port(speaker, service, port, &address, mention.as_ref())),
        // Whom nobody knows cannot refuse; one that was deleted may have, or its number is still called.
        FarEnd::Absent(service) => {
            let deleted = matches!(speaker.view.look_up(&service), Lookup::Absent { deleted: Some(_) });
            deleted.then(|| service::absent(speaker, &service, &address, mention.as_ref()))
        }
        FarEnd::Serving(service, workload, since) => {
            let recovered = match (since, speaker.ended) {
                (Some(since), Some(ended)) => since > ended,
                _ => false,
            };
            if recovered {
                return recovering(speaker, how, service, workload, &words);
            }
            Some(serving(speaker, how, service, workload, &address))
        }
        FarEnd::Own => Some(own_pod(speaker, how, &words)),
        FarEnd::Outside => {
            let port = address.port.map(|number| Port { number, name: "" });
            let out = || network_policy::passage(speaker.view, speaker.subject, Way::Egress, Peer::Outside, port);
            // What is refused has arrived.
            if how == How::TimedOut
                && let Passage::Shut(policy, way) = out()
            {
                let open = format!("Allow what it sends to {words}.");
                return Some(policy::shut(speaker, how.slug(), &how.words(&words), policy, way, &open));
            }
            Some(outside(speaker, how.slug(), &how.words(&words), &words, mention.as_ref()))
        }
        FarEnd::Starting | FarEnd::Unknown => None,
    }
}

/// A name that DNS does not know.
pub(super) fn unknown_name(speaker: &Speaker<'_, '_>, far: &Far) -> Option<Finding> {
    let (end, address, mention) = far_end::of(speaker, Some(far));
    let address = address?;
    let host = &address.host;
    let why = format!("no DNS server knows the name {host}");
    match end {
        FarEnd::Absent(service) => Some(service::absent(speaker, &service, &address, mention.as_ref())),
        // A headless Service has a name only while it has endpoints.
        FarEnd::Down(down) if is_headless(down.service) => {
            let why = format!("{why}, as nobody serves there");
            Some(is_down(speaker, "dependency-name", &why, &down))
        }
        FarEnd::Outside => Some(outside(speaker, "dependency-name", &why, host, mention.as_ref())),
        FarEnd::Down(Down { service, .. }) | FarEnd::Serving(service, ..) | FarEnd::NoPort(service, _) => {
            let name = describe::object(service);
            let made = service.meta.created.filter(|made| speaker.ended.is_some_and(|ended| *made > ended));
            let sentence = match made {
                Some(made) => format!(
                    "{} found no name {host}; Service {name} was created at {}, after that.",
                    speaker.who(),
                    describe::time(made)
                ),
                None => format!("{} found no name {host} though Service {name} is there.", speaker.who()),
            };
            let cause = Cause::plain(CauseKind::Unknown, Some(&service.reference()), sentence);
            let mut finding = speaker.claim("dependency-name", Some("known-now"), &why, cause);
            finding.alternatives.push(Alternative {
                reference: None,
                verdict: Verdict::Possible,
                sentence: "The cluster's DNS did not know of it yet, or the pod does not ask the cluster's DNS (dnsPolicy, hostNetwork).".to_owned(),
            });
            Some(finding)
        }
        FarEnd::Starting | FarEnd::Own | FarEnd::Unknown => None,
    }
}

/// DNS itself does not answer.
pub(super) fn no_dns(speaker: &Speaker<'_, '_>, far: Option<&Far>) -> Option<Finding> {
    let name = far.map_or("names".to_owned(), |far| format!("the name {}", far.address.host));
    let why = format!("no DNS server answers when it asks for {name}");
    let service = dns::service(speaker.view);
    let end = service.map(|service| far_end::judge(speaker, service, None));
    if let Some(FarEnd::Serving(service, ..)) = &end
        && let Passage::Shut(policy, way) = policy::passage(speaker, service, Some(53))
    {
        let open = "Allow port 53, UDP and TCP, between it and the pods of the cluster's DNS.";
        return Some(policy::shut(speaker, "dependency-name", &why, policy, way, open));
    }
    match end {
        Some(FarEnd::Down(down)) => {
            let mut finding = is_down(speaker, "dependency-name", &why, &down);
            finding.class = Some("dns");
            Some(finding)
        }
        _ => {
            let sentence = format!(
                "{} asked for {name}, and DNS did not answer: that is not to say that the name is wrong.",
                speaker.who()
            );
            let cause = Cause::plain(CauseKind::Unknown, service.map(Object::reference).as_ref(), sentence);
            let mut finding = speaker.claim("dependency-name", Some("dns"), &why, cause);
            finding.alternatives.push(Alternative {
                reference: None,
                verdict: Verdict::Possible,
                sentence: "A NetworkPolicy may keep the pod from the DNS servers (port 53, UDP and TCP), or they are overloaded; their log and a lookup from another pod would tell.".to_owned(),
            });
            Some(finding)
        }
    }
}

fn is_headless(service: &Object) -> bool {
    matches!(&service.body, Body::Service(body) if body.spec.cluster_ip == "None")
}

/// The Service has no ready endpoint: whoever should serve is to blame, and what ails it is its own problem.
pub(super) fn is_down(speaker: &Speaker<'_, '_>, slug: &'static str, why: &str, down: &Down<'_>) -> Finding {
    let service = describe::object(down.service);
    let blamed = down.workload.unwrap_or(down.service);
    let seen = down.fact.text.clone();
    let why = format!("{why}: {}", if down.scaled { "it is scaled to zero" } else { "no pod behind it is ready" });
    let cause = match down.workload.filter(|_| down.scaled) {
        Some(workload) => scaled(speaker, workload, &service),
        None => {
            let sentence = format!("{seen}: {} calls it and cannot go on without.", speaker.who());
            Cause::plain(CauseKind::Resource, Some(&blamed.reference()), sentence)
        }
    };
    let mut finding = speaker.claim(slug, Some("no-endpoint"), &why, cause);
    finding.verdict = Verdict::Confirmed;
    finding.evidence.push(down.fact.clone());
    if let (true, Some(workload)) = (down.scaled, down.workload) {
        finding.remedies.push(scale_up(&finding.cause, workload));
    }
    finding
}

/// Somebody scaled the callee to nothing.
fn scaled(speaker: &Speaker<'_, '_>, workload: &Object, service: &str) -> Cause {
    let who = format!("{} {}", workload.kind.singular(), describe::object(workload));
    let told = format!("no pod is behind Service {service}, which {} calls", speaker.who());
    let replicas = |field: &FieldChange| (field.pointer == "/spec/replicas").then_some(0);
    let changed = speaker
        .view
        .look_up(&workload.reference())
        .found()
        .and_then(|workload| blame::object_change(speaker.view, workload, None, replicas));
    match changed {
        Some(blame) => {
            let sentence = format!("spec.replicas of {who} was {}: {told}.", blame.words());
            blame.cause(speaker.view, sentence)
        }
        None => {
            let sentence = format!("{who} is scaled to zero: {told}.");
            let mut cause = Cause::plain(CauseKind::Resource, Some(&workload.reference()), sentence);
            cause.managed_by = ownership::managed_by(workload);
            cause.at_field("spec.replicas", "/spec/replicas", Some(json!(0)))
        }
    }
}

fn scale_up(cause: &Cause, workload: &Object) -> Remedy {
    let before = cause.from.clone().filter(|from| from.as_i64().is_some_and(|from| from > 0));
    let kind = workload.kind.singular();
    let sentence = match &before {
        Some(before) => format!("Scale {kind} {} back to {before}.", describe::object(workload)),
        None => format!("Scale {kind} {} up again.", describe::object(workload)),
    };
    let mut remedy = spot::remedy(RemedyKind::Scale, &workload.reference(), sentence);
    remedy.managed_by = ownership::managed_by(workload);
    remedy.patch_type = before.is_some().then(|| "merge".to_owned());
    remedy.patch = before.map(|before| json!({"spec": {"replicas": before}}));
    remedy
}

/// The callee was not ready when the program ended, and is by now.
fn recovering(
    speaker: &Speaker<'_, '_>,
    how: How,
    service: &Object,
    workload: Option<&Object>,
    words: &str,
) -> Option<Finding> {
    let blamed = workload.unwrap_or(service);
    if blamed.reference() == speaker.workload.reference() {
        return None;
    }
    let sentence = format!(
        "Service {} has ready endpoints only since {} ended last; the next attempt may well succeed.",
        describe::object(service),
        speaker.container.name
    );
    let cause = Cause::plain(CauseKind::Resource, Some(&blamed.reference()), sentence);
    let why = format!("{words} was not there, and is again");
    let mut finding = speaker.claim(how.slug(), Some("recovered"), &why, cause);
    finding.severity = reckon_model::document::Severity::Warning;
    Some(finding)
}

/// There are ready endpoints, and still nobody answers.
fn serving(
    speaker: &Speaker<'_, '_>,
    how: How,
    service: &Object,
    workload: Option<&Object>,
    address: &Address,
) -> Finding {
    let name = describe::object(service);
    let passage = if how == How::TimedOut { policy::passage(speaker, service, address.port) } else { Passage::Open };
    if let Passage::Shut(policy, way) = passage {
        let open = format!("Allow what goes from {} to {name}.", describe::object(speaker.workload));
        return policy::shut(speaker, how.slug(), &how.words(&address.words()), policy, way, &open);
    }
    let blamed = workload.unwrap_or(service);
    let sentence = format!(
        "{} says that {}, and the pods behind Service {name} say that they are ready.",
        speaker.who(),
        how.words(&address.words())
    );
    let why = format!("{}, though the pods behind it are ready", how.words(&address.words()));
    let cause = Cause::plain(CauseKind::Unknown, Some(&blamed.reference()), sentence);
    let mut finding = speaker.claim(how.slug(), Some("serving"), &why, cause);
    finding.verdict = Verdict::Possible;
    let possible = |reference: &Object, sentence: String| Alternative {
        reference: Some((&reference.reference()).into()),
        verdict: Verdict::Possible,
        sentence,
    };
    let ports = match &service.body {
        Body::Service(body) => {
            body.spec.ports.iter().find(|port| address.port.is_none_or(|own| port.port == i64::from(own)))
        }
        _ => None,
    };
    if how == How::Refused {
        let target = ports.map(|port| match &port.target_port {
            Some(reckon_model::k8s::IntOrString::Int(number)) => number.to_string(),
            Some(reckon_model::k8s::IntOrString::String(name)) => name.clone(),
            None => port.port.to_string(),
        });
        let target = target.map(|target| format!(" ({target})")).unwrap_or_default();
        finding.alternatives.push(possible(
            service,
            format!("The target port{target} of Service {name} may be one on which its program does not listen; calling a pod directly on it would tell."),
        ));
    } else {
        finding.alternatives.push(possible(
            blamed,
            format!("{} may be too busy to answer; its own latency would tell.", describe::object(blamed)),
        ));
        if matches!(passage, Passage::Open) {
            let words = format!(
                "no NetworkPolicy for {} or for the pods behind {name} is against it",
                describe::object(speaker.workload)
            );
            let fact = Fact::new(Role::RuledOut, Source::Spec, None, service, words);
            finding.ruled_out.push(("a NetworkPolicy".to_owned(), vec![fact]));
            return finding;
        }
        finding.alternatives.push(Alternative {
            reference: None,
            verdict: Verdict::Possible,
            sentence: format!(
                "A NetworkPolicy may drop what goes from {} to {name}: what is dropped times out and is not refused. Calling from a pod of another namespace would tell.",
                describe::object(speaker.workload)
            ),
        });
    }
    finding
}

/// The program calls its own pod.
fn own_pod(speaker: &Speaker<'_, '_>, how: How, words: &str) -> Finding {
    let sentence = format!("{} calls {words}, which is its own pod, and nobody listens there.", speaker.who());
    let cause = Cause::plain(CauseKind::Application, Some(&speaker.workload.reference()), sentence);
    let why = format!("{words} in its own pod does not answer");
    let mut finding = speaker.claim(how.slug(), Some("own-pod"), &why, cause);
    let others: Vec<&str> = speaker
        .pod
        .containers()
        .filter(|(_, container, status)| {
            container.name != speaker.container.name && status.is_some_and(|status| !status.ready)
        })
        .map(|(_, container, _)| container.name.as_str())
        .collect();
    let sentence = if others.is_empty() {
        "Many programs fall back to localhost where the setting that names their database or broker is missing."
            .to_owned()
    } else {
        format!("{} in the same pod is not ready, and may be who should listen there.", text::enumerate(&others))
    };
    finding.alternatives.push(Alternative {
        reference: Some((&speaker.workload.reference()).into()),
        verdict: Verdict::Possible,
        sentence,
    });
    finding
}

/// Somebody outside the cluster.
pub(super) fn outside(
    speaker: &Speaker<'_, '_>,
    slug: &'static str,
    why: &str,
    words: &str,
    mention: Option<&Mention>,
) -> Finding {
    let sentence = format!("{} calls {words}, which is nothing in this cluster: {why}.", speaker.who());
    let cause = match mention.and_then(|(_, written)| place::of(speaker, written)) {
        Some(place) => {
            let mut cause = Cause::plain(CauseKind::External, Some(&place.object.reference()), sentence);
            cause.managed_by = ownership::managed_by(place.object);
            cause.at_field(place.path.field, place.path.pointer, place.value)
        }
        None => Cause::plain(CauseKind::External, Some(&speaker.workload.reference()), sentence),
    };
    let mut finding = speaker.claim(slug, Some("outside"), why, cause);
    let ask = format!(
        "Ask whoever runs {words} whether it can be reached from this cluster, and whether the address is right."
    );
    finding.remedies.push(spot::remedy(RemedyKind::Outside, &speaker.workload.reference(), ask));
    finding
}
