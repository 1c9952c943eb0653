//! Somebody who does not answer, or whom nobody knows.

use super::Speaker;
use super::far_end::{self, Down, FarEnd, Mention};
use crate::addresses::Address;
use crate::addresses::calls::Written;
use crate::blame::{self, Blame};
use crate::detectors::logs::testimony::Far;
use crate::detectors::template::Site;
use crate::spot::{self, Path, Spot};
use crate::view::Lookup;
use crate::{Fact, Finding, describe, ownership};
use reckon_model::document::{Alternative, Cause, CauseKind, Remedy, RemedyKind, Role, Source, Verdict};
use reckon_model::{Body, FieldChange, Kind, Object, ResourceRef, text};
use serde_json::{Value, json};

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
        FarEnd::NoPort(service, port) => Some(no_port(speaker, service, port, &address, mention.as_ref())),
        // Whom nobody knows cannot refuse; one that was deleted may have, or its number is still called.
        FarEnd::Absent(service) => {
            let deleted = matches!(speaker.view.look_up(&service), Lookup::Absent { deleted: Some(_) });
            deleted.then(|| absent(speaker, &service, &address, mention.as_ref()))
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
        FarEnd::Outside => Some(outside(speaker, how.slug(), &how.words(&words), &words, mention.as_ref())),
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
        FarEnd::Absent(service) => Some(absent(speaker, &service, &address, mention.as_ref())),
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
    let dns = ResourceRef::new(Kind::Service, Some("kube-system"), "kube-dns");
    let service = speaker.view.look_up(&dns).found();
    match service.map(|service| far_end::judge(speaker, service, None)) {
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
            cause.managed_by = ownership::managed_by(workload).map(str::to_owned);
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
    remedy.managed_by = ownership::managed_by(workload).map(str::to_owned);
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
    let cause = match mention.and_then(|(_, written)| place(speaker, written)) {
        Some(place) => {
            let mut cause = Cause::plain(CauseKind::External, Some(&place.object.reference()), sentence);
            cause.managed_by = ownership::managed_by(place.object).map(str::to_owned);
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

/// The Service is not there.
pub(super) fn absent(
    speaker: &Speaker<'_, '_>,
    service: &ResourceRef,
    address: &Address,
    mention: Option<&Mention>,
) -> Finding {
    let name = describe::name(service);
    let place = mention.and_then(|(_, written)| place(speaker, written));
    let cause = match &place {
        Some(place) => match changed(speaker, place, &address.host) {
            Some(blame) => {
                let sentence = format!(
                    "{} calls {}, and there is no Service {name}: {} was {}.",
                    speaker.who(),
                    address.words(),
                    place.path.field,
                    blame.words()
                );
                blame.cause(speaker.view, sentence)
            }
            None => {
                blame::missing_reference(speaker.view, place.object, service, &place.path.field, &place.path.pointer)
            }
        },
        None => blame::missing_reference(speaker.view, speaker.workload, service, "", ""),
    };
    let cause = match cause.field.as_deref() {
        Some("") => Cause { field: None, pointer: None, to: None, ..cause },
        _ => cause,
    };
    let why = format!("Service {name}, which it calls, does not exist");
    let make = format!("Create Service {name}.");
    let mut cause = cause;
    let meant = place
        .as_ref()
        .filter(|place| cause.kind == CauseKind::Resource && cause.field.as_ref() == Some(&place.path.field));
    if let Some(place) = meant {
        cause.to.clone_from(&place.value);
    }
    let corrected = meant.and_then(|place| correct_host(speaker, place, service, address));
    let remedy = corrected.unwrap_or_else(|| spot::supply(&cause, service, make));
    let mut finding = speaker.claim("service-missing", None, &why, cause);
    finding.verdict = Verdict::Confirmed;
    let words = format!("there is no Service {name}");
    finding.evidence.push(Fact::new(Role::Cause, Source::Absence, None, speaker.workload, words));
    if let Some(place) = &place {
        let words = format!("{} names {}", place.path.field, address.words());
        finding.evidence.push(Fact::new(Role::Cause, Source::Spec, None, place.object, words));
    }
    finding.remedies.push(remedy);
    finding
}

/// The value with the Service that may have been meant: a slip of the name, or one of another namespace.
fn correct_host(
    speaker: &Speaker<'_, '_>,
    place: &Place<'_>,
    service: &ResourceRef,
    address: &Address,
) -> Option<Remedy> {
    let siblings = speaker.view.all(&Kind::Service, service.namespace.as_deref()).items;
    let distance = |object: &&Object| blame::distance(&object.meta.name, &service.name);
    let near = siblings.into_iter().min_by_key(distance).filter(|object| {
        blame::is_slip(blame::distance(&object.meta.name, &service.name), object.meta.name.chars().count())
    });
    let right = match near {
        Some(near) => address.host.replacen(&service.name, &near.meta.name, 1),
        None => {
            let mut same = speaker.view.known(&Kind::Service, None).filter(|object| object.meta.name == service.name);
            let elsewhere = same.next().filter(|_| same.next().is_none() && address.host == service.name)?;
            format!("{}.{}", service.name, elsewhere.namespace())
        }
    };
    let value = place.value.as_ref()?.as_str().filter(|value| !value.contains("[redacted]"))?;
    let name = place.variable.as_ref()?;
    let value = value.replacen(&address.host, &right, 1);
    let site = Site::new(speaker.workload, &speaker.container.name);
    let sentence = format!("Let {name} name {right}.");
    Some(site.remedy(RemedyKind::Patch, json!({"env": [{"name": name, "value": value}]}), sentence))
}

/// The Service has no such port.
fn no_port(
    speaker: &Speaker<'_, '_>,
    service: &Object,
    port: u16,
    address: &Address,
    mention: Option<&Mention>,
) -> Finding {
    let name = describe::object(service);
    let ports: Vec<i64> = match &service.body {
        Body::Service(body) => body.spec.ports.iter().map(|port| port.port).collect(),
        _ => Vec::new(),
    };
    let has = text::enumerate(&ports.iter().map(i64::to_string).collect::<Vec<_>>());
    let difference = format!("Service {name} has no port {port}, it has {has}");
    let place = mention.and_then(|(_, written)| place(speaker, written));
    let of_ports = |field: &FieldChange| field.pointer.starts_with("/spec/ports").then_some(0);
    let moved = speaker
        .view
        .look_up(&service.reference())
        .found()
        .and_then(|service| blame::object_change(speaker.view, service, None, of_ports));
    let called = place.as_ref().and_then(|place| changed(speaker, place, &address.words()));
    let newer = match (&moved, &called) {
        (Some(moved), Some(called)) => moved.change.at > called.change.at,
        (Some(_), None) => true,
        _ => false,
    };
    let cause = match (moved, called, &place) {
        (Some(moved), ..) if newer => {
            let sentence = format!(
                "The ports of Service {name} were changed at {}: {difference}, and {} calls {}.",
                describe::time(moved.change.at),
                speaker.who(),
                address.words()
            );
            moved.cause(speaker.view, sentence)
        }
        (_, Some(called), Some(place)) => {
            let sentence = format!("{} was {}: {difference}.", place.path.field, called.words());
            called.cause(speaker.view, sentence)
        }
        (_, _, Some(place)) => {
            let sentence = format!("{} calls {}: {difference}.", speaker.who(), address.words());
            let mut cause = Cause::plain(CauseKind::Resource, Some(&place.object.reference()), sentence);
            cause.managed_by = ownership::managed_by(place.object).map(str::to_owned);
            cause.at_field(place.path.field.clone(), place.path.pointer.clone(), place.value.clone())
        }
        _ => {
            let sentence = format!("{} calls {}: {difference}.", speaker.who(), address.words());
            Cause::plain(CauseKind::Resource, Some(&speaker.workload.reference()), sentence)
        }
    };
    let why = format!("it calls {}, and {difference}", address.words());
    let mut finding = speaker.claim("service-port-mismatch", None, &why, cause);
    finding.verdict = Verdict::Confirmed;
    finding.evidence.push(Fact::new(Role::Cause, Source::Spec, None, service, format!("its ports: {has}")));
    finding.remedies.extend(correct_port(speaker, place.as_ref(), port, &ports));
    finding
}

/// The address with the port that the Service has, where it has one and the value is known as a whole.
fn correct_port(speaker: &Speaker<'_, '_>, place: Option<&Place<'_>>, port: u16, ports: &[i64]) -> Option<Remedy> {
    let place = place?;
    let right = match ports {
        [only] => only,
        _ => return None,
    };
    let sentence = format!("Let {} say {right} in place of {port}.", place.path.field);
    let value = place.value.as_ref().and_then(Value::as_str).filter(|value| !value.contains("[redacted]"));
    let corrected = value
        .filter(|value| value.contains(&format!(":{port}")))
        .map(|value| value.replace(&format!(":{port}"), &format!(":{right}")));
    match (&place.variable, corrected) {
        (Some(name), Some(value)) => {
            let site = Site::new(speaker.workload, &speaker.container.name);
            Some(site.remedy(RemedyKind::Patch, json!({"env": [{"name": name, "value": value}]}), sentence))
        }
        (None, Some(value)) if place.object.kind == Kind::ConfigMap => {
            let mut remedy = spot::remedy(
                RemedyKind::Patch,
                &place.object.reference(),
                format!("{sentence} Then restart the pods."),
            );
            let key = place.key.clone()?;
            remedy.managed_by = ownership::managed_by(place.object).map(str::to_owned);
            remedy.patch_type = Some("merge".to_owned());
            // A whole file is not written anew for one number in it.
            remedy.patch = (value.len() < 200).then(|| json!({"data": {key: value}}));
            Some(remedy)
        }
        _ => Some(spot::remedy(RemedyKind::Patch, &place.object.reference(), sentence)),
    }
}

/// Where the program was told an address, in what a person edits.
struct Place<'a> {
    object: &'a Object,
    path: Path,
    value: Option<Value>,
    /// The variable.
    variable: Option<String>,
    /// The key of a ConfigMap.
    key: Option<String>,
}

fn place<'a>(speaker: &Speaker<'_, 'a>, written: &Written) -> Option<Place<'a>> {
    let of_template =
        |container: &str, path: &dyn Fn(&Spot<'_>, Path) -> Option<(Path, Option<Value>, Option<String>)>| {
            let spot = Spot::of(speaker.workload)?;
            let (path, value, variable) = path(&spot, spot.container(container)?)?;
            Some(Place { object: speaker.workload, path, value, variable, key: None })
        };
    match written {
        Written::Env(container, name) => of_template(container, &|spot, path| {
            let (_, container) = spot.spec.container(container)?;
            let at = container.env.iter().position(|variable| variable.name == *name)?;
            let value = container.env.get(at)?.value.clone();
            let value = value.map(|value| text::shorten(&value, 200).into_owned().into());
            Some((path.key("env").item(name, at).key("value"), value, Some(name.clone())))
        }),
        Written::Words(container, field) => of_template(container, &|_, path| Some((path.key(field), None, None))),
        Written::Data(map, key) => {
            let object = speaker.view.look_up(map).found()?;
            let path = Path { field: "data".to_owned(), pointer: "/data".to_owned() }.entry(key);
            let whole = object.whole()?;
            let value = whole.pointer(&path.pointer)?.as_str()?.to_owned();
            let value = (value.chars().count() <= 200).then(|| value.into());
            Some(Place { object, path, value, variable: None, key: Some(key.clone()) })
        }
    }
}

/// The change that made this place name the address.
fn changed(speaker: &Speaker<'_, '_>, place: &Place<'_>, words: &str) -> Option<Blame> {
    let rank = |field: &FieldChange| {
        let names = |value: &Option<Value>| value.as_ref().is_some_and(|value| value.to_string().contains(words));
        (place.path.is_touched_by(field) && names(&field.to) && !names(&field.from) && field.from.is_some())
            .then_some(0)
    };
    if place.object.reference() == speaker.workload.reference() {
        return blame::template_change(speaker.view, speaker.workload, Some(speaker.subject), None, rank);
    }
    let object = speaker.view.look_up(&place.object.reference()).found()?;
    blame::object_change(speaker.view, object, None, rank)
}
