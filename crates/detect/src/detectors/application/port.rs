//! Ports on which a program cannot listen: somebody else does, or its user may not.

use super::Speaker;
use crate::addresses::in_text;
use crate::detectors::template::Site;
use crate::spot::Spot;
use crate::{Fact, Finding, describe};
use reckon_model::Object;
use reckon_model::document::{Cause, CauseKind, RemedyKind, Role, Source, Verdict};
use reckon_model::k8s::{Container, ContainerType};
use serde_json::json;

const SLUG: &str = "port-in-use";

/// The port is taken.
pub(super) fn in_use(speaker: &Speaker<'_, '_>, port: Option<u16>) -> Finding {
    // Where the program does not say which, its only port is meant.
    let port = port.or_else(|| match speaker.container.ports.as_slice() {
        [only] => u16::try_from(only.container_port).ok(),
        _ => None,
    });
    let what = port.map_or("the port that it wants".to_owned(), |port| format!("port {port}"));
    let why = format!("{what} is in use");
    if let Some(port) = port {
        if let Some(other) = beside(speaker, port) {
            return same_pod(speaker, port, other, &why);
        }
        if let Some(other) = on_node(speaker, port) {
            return host_network(speaker, port, other, &why);
        }
    }
    let sentence = format!("{} cannot listen: {what} is in use, and who holds it is not known.", speaker.who());
    let cause = Cause::plain(CauseKind::Application, Some(&speaker.workload.reference()), sentence);
    let mut finding = speaker.claim(SLUG, Some("unknown-holder"), &why, cause);
    finding.verdict = Verdict::Possible;
    finding
}

/// Another container of the pod that listens there: all of them have one network.
fn beside<'a>(speaker: &Speaker<'_, 'a>, port: u16) -> Option<&'a Container> {
    let others = speaker.pod.spec.all_containers().filter(|(kind, container)| {
        matches!(kind, ContainerType::App | ContainerType::Sidecar) && container.name != speaker.container.name
    });
    let others: Vec<&'a Container> = others.map(|(_, container)| container).collect();
    let declares = |container: &&&Container| container.ports.iter().any(|own| own.container_port == i64::from(port));
    others.iter().find(declares).or_else(|| others.iter().find(|container| is_told(container, port))).copied()
}

/// Whether a container is told to listen on a port by its arguments or a variable.
fn is_told(container: &Container, port: u16) -> bool {
    let number = port.to_string();
    let words = container.command.iter().chain(&container.args);
    let in_words = words.clone().any(|word| {
        let (_, value) = word.split_once('=').unwrap_or(("", word));
        value == number
            || value.strip_prefix(':') == Some(number.as_str())
            || in_text(value).iter().any(|address| {
                address.port == Some(port)
                    && matches!(address.host.as_str(), "0.0.0.0" | "::" | "127.0.0.1" | "localhost")
            })
    });
    let is_port = |name: &str| name.to_ascii_uppercase().ends_with("PORT");
    in_words
        || container.env.iter().any(|variable| is_port(&variable.name) && variable.value.as_deref() == Some(&number))
}

fn same_pod(speaker: &Speaker<'_, '_>, port: u16, other: &Container, why: &str) -> Finding {
    let name = &speaker.container.name;
    let sentence = format!(
        "{name} and {} are in one pod of {} {}, which has one network, and both want port {port}.",
        other.name,
        speaker.workload.kind.singular(),
        describe::object(speaker.workload)
    );
    let cause = Cause::plain(CauseKind::Resource, Some(&speaker.workload.reference()), sentence);
    let site = Site::new(speaker.workload, name);
    let declared = speaker.container.ports.iter().any(|own| own.container_port == i64::from(port));
    let below = match () {
        () if declared => "ports",
        () if !speaker.container.args.is_empty() => "args",
        () => "command",
    };
    let why = format!("{why} by {} in the same pod", other.name);
    let value = declared.then(|| json!(port));
    let mut finding = speaker.claim(SLUG, Some("same-pod"), &why, site.blame(cause, below, value));
    finding.verdict = Verdict::Confirmed;
    let words = format!("{} wants port {port} as well", other.name);
    finding.evidence.push(Fact::new(Role::Cause, Source::Spec, None, speaker.workload, words));
    let sentence = format!("Let {name} or {} listen on another port.", other.name);
    finding.remedies.push(site.advice(RemedyKind::Patch, sentence));
    finding
}

/// Another pod of the node that uses its network and that port.
fn on_node<'a>(speaker: &Speaker<'_, 'a>, port: u16) -> Option<&'a Object> {
    if !speaker.pod.spec.host_network {
        return None;
    }
    let holds = |other: &&'a Object| {
        let Some(body) = other.pod().filter(|body| !body.is_finished()) else { return false };
        let own = body.spec.all_containers().flat_map(|(_, container)| &container.ports);
        let mut numbers = own.map(|own| if body.spec.host_network { own.container_port } else { own.host_port });
        other.reference() != speaker.subject.reference() && numbers.any(|number| number == i64::from(port))
    };
    speaker.view.pods_on(&speaker.pod.spec.node_name)?.into_iter().find(holds)
}

fn host_network(speaker: &Speaker<'_, '_>, port: u16, other: &Object, why: &str) -> Finding {
    let node = &speaker.pod.spec.node_name;
    let sentence = format!(
        "{} uses the network of its node, and on {node} {} holds port {port}.",
        speaker.who(),
        describe::object(other)
    );
    let cause = match Spot::of(speaker.workload) {
        Some(spot) => spot.wrong(&spot.path("hostNetwork"), Some(json!(true)), sentence),
        None => Cause::plain(CauseKind::Resource, Some(&speaker.workload.reference()), sentence),
    };
    let why = format!("{why} on {node} by {}", describe::object(other));
    let mut finding = speaker.claim(SLUG, Some("host-network"), &why, cause);
    finding.verdict = Verdict::Confirmed;
    let words = format!("{} has port {port} of {node}", describe::object(other));
    finding.evidence.push(Fact::new(Role::Cause, Source::Spec, None, other, words));
    let site = Site::new(speaker.workload, &speaker.container.name);
    let sentence = format!(
        "Let one of the two listen on another port, or take {} off the node's network.",
        describe::object(speaker.workload)
    );
    finding.remedies.push(site.advice(RemedyKind::Patch, sentence));
    finding
}

/// A port below 1024, on which only root may listen.
pub(super) fn denied(speaker: &Speaker<'_, '_>, port: Option<u16>) -> Option<Finding> {
    let number = port.map_or("a port below 1024".to_owned(), |port| format!("port {port}"));
    let why = format!("it may not listen on {number}");
    let spot = Spot::of(speaker.workload)?;
    let own = spot.container(&speaker.container.name)?.key("securityContext");
    let of_pod = spot.path("securityContext");
    let user = [own.key("runAsUser"), of_pod.key("runAsUser"), own.key("runAsNonRoot"), of_pod.key("runAsNonRoot")]
        .into_iter()
        .find_map(|path| Some((spot.written(&path)?, path)));
    let dropped = own.key("capabilities").key("drop");
    let dropped = spot.written(&dropped).map(|value| (value, dropped));
    let (value, field, words) = match (user, dropped) {
        (Some((value, path)), _) if value != json!(0) && value != json!(false) => {
            let words = format!("{} is {value}", path.field);
            (Some(value), path, words)
        }
        (_, Some((value, path))) => {
            let words = format!("{} is {value}", path.field);
            (Some(value), path, words)
        }
        _ => (None, own, format!("the user of the image {} is not root", speaker.container.image)),
    };
    let sentence = format!(
        "{} wants to listen on {number}, for which Linux asks root or the capability NET_BIND_SERVICE: {words}.",
        speaker.who()
    );
    let cause = spot.wrong(&field, value, sentence);
    let mut finding = speaker.claim("port-denied", None, &why, cause);
    finding.verdict = Verdict::Likely;
    finding.evidence.push(Fact::new(Role::Cause, Source::Spec, None, speaker.workload, words));
    // A list of kernel settings is written as a whole, and on the node's network they are the node's.
    let free = !speaker.pod.spec.host_network && spot.written(&of_pod.key("sysctls")).is_none();
    let patch = port.filter(|port| *port < 1024 && free).map(|port| {
        json!({"securityContext": {"sysctls": [{"name": "net.ipv4.ip_unprivileged_port_start", "value": port.to_string()}]}})
    });
    let sentence = match patch {
        Some(_) => format!(
            "Let everybody in the pod listen from {number} on (net.ipv4.ip_unprivileged_port_start), or let {} listen on a port above 1023 and the Service lead there.",
            speaker.container.name
        ),
        None => format!(
            "Let {} listen on a port above 1023 and the Service lead there, or add the capability NET_BIND_SERVICE.",
            speaker.container.name
        ),
    };
    finding.remedies.push(spot.patch(patch, sentence));
    Some(finding)
}
