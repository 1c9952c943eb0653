//! Where a probe asks, and where the program is to be found.

use super::Failing;
use super::answer::{Answer, Which};
use super::listening;
use crate::{Fact, describe};
use reckon_model::document::{Role, Source};
use reckon_model::k8s::{Container, IntOrString, Probe};
use reckon_model::{Body, Kind, LogLine, text};
use serde_json::{Value, json};

/// That a probe asks where the program is not.
#[derive(Debug)]
pub(super) struct Wrong {
    pub(super) class: &'static str,
    /// The field of the probe, below the container.
    pub(super) below: String,
    pub(super) value: Value,
    /// `asks port 9090, and the program is on port 8080`.
    pub(super) words: String,
    /// The value that would be right, where that is known.
    pub(super) right: Option<Value>,
    /// Whether more than a declaration says so, which nobody has to keep to.
    pub(super) firm: bool,
    /// Whether the spec alone says so, without the kubelet.
    pub(super) alone: bool,
    /// What says so, beside the kubelet.
    pub(super) facts: Vec<Fact>,
}

/// Whether the target is wrong, as far as the kubelet's words and the specs tell.
pub(super) fn wrong(failing: &Failing<'_, '_>) -> Option<Wrong> {
    let field = failing.which.field();
    let handler = handler(failing.probe)?;
    let make = |class, part: &str, value: Value, words: String| Wrong {
        class,
        below: format!("{field}.{handler}.{part}"),
        value,
        words,
        right: None,
        firm: true,
        alone: false,
        facts: Vec::new(),
    };
    if let Some(port @ IntOrString::String(_)) = failing.probe.port()
        && resolve(failing.container, &port).is_none()
    {
        let words = format!("asks port {port}, which the container does not declare");
        let right = match failing.container.ports.as_slice() {
            [only] if only.name.is_empty() => Some(json!(only.container_port)),
            [only] => Some(json!(only.name)),
            _ => None,
        };
        return Some(Wrong { right, alone: true, ..make("port", "port", value(&port), words) });
    }
    match failing.answer {
        Answer::Status(404) => {
            let path = failing.probe.http_get.as_ref().map_or("/", |http| http.path.as_str());
            Some(make(
                "path",
                "path",
                json!(path),
                format!("asks for {}, which the program does not serve", shown(path)),
            ))
        }
        Answer::Scheme(spoken) => {
            let asked = if spoken == "HTTP" { "HTTPS" } else { "HTTP" };
            let words = format!("asks over {asked} where {spoken} is spoken");
            Some(Wrong { right: Some(json!(spoken)), ..make("scheme", "scheme", json!(asked), words) })
        }
        Answer::NoSuchPort => {
            let port = failing.probe.port()?;
            Some(make("port", "port", value(&port), format!("asks port {port}, which the container does not declare")))
        }
        Answer::NoSuchCommand if handler == "exec" => {
            let command = failing.probe.exec.as_ref().map(|exec| &exec.command)?;
            let first = command.first().map_or("", String::as_str);
            Some(make(
                "command",
                "command",
                json!(command),
                format!("runs {}, which is not in the image", shown(first)),
            ))
        }
        Answer::Refused | Answer::Unknown if handler != "exec" => {
            let asked = number(failing.container, failing.probe)?;
            let (facts, ports) = elsewhere(failing, asked);
            let first = *ports.first()?;
            let words = format!("asks port {asked}, and the program is on port {first}");
            let right = ports.iter().all(|port| *port == first).then(|| json!(first));
            let port = failing.probe.port()?;
            let firm = facts.iter().any(|fact| fact.source == Source::Log || fact.about.kind == Kind::Service);
            Some(Wrong { right, firm, facts, ..make("port", "port", value(&port), words) })
        }
        _ => None,
    }
}

fn shown(text: &str) -> String {
    text::shorten(if text.is_empty() { "/" } else { text }, 60).into_owned()
}

/// Which of the handlers a probe has.
pub(super) fn handler(probe: &Probe) -> Option<&'static str> {
    let Probe { http_get, tcp_socket, exec, grpc, .. } = probe;
    match () {
        () if http_get.is_some() => Some("httpGet"),
        () if tcp_socket.is_some() => Some("tcpSocket"),
        () if grpc.is_some() => Some("grpc"),
        () if exec.is_some() => Some("exec"),
        () => None,
    }
}

pub(super) fn value(port: &IntOrString) -> Value {
    match port {
        IntOrString::Int(number) => json!(number),
        IntOrString::String(name) => json!(name),
    }
}

/// The number of the port that a probe asks.
fn number(container: &Container, probe: &Probe) -> Option<i64> {
    resolve(container, &probe.port()?)
}

fn resolve(container: &Container, port: &IntOrString) -> Option<i64> {
    match port {
        IntOrString::Int(number) => Some(*number),
        IntOrString::String(name) => {
            let named = container.ports.iter().find(|port| port.name == *name).map(|port| port.container_port);
            // The kubelet takes a number in quotes for what it is.
            named.or_else(|| name.parse().ok())
        }
    }
}

/// In words, in brackets: `(/healthz on port 8080)`.
pub(super) fn words(probe: &Probe) -> String {
    let port = probe.port().map(|port| format!("port {port}")).unwrap_or_default();
    match (&probe.http_get, &probe.exec) {
        (Some(http), _) => format!("({} on {port})", shown(&http.path)),
        (None, Some(exec)) => format!("(command {})", text::shorten(&exec.command.join(" "), 60)),
        (None, None) => format!("({port})"),
    }
}

/// Where else the program is said to be, by those who should know; nothing if one of them names the asked port. What a
/// program says of another port weighs nothing against a declaration of the asked one: it may serve both, one later.
fn elsewhere(failing: &Failing<'_, '_>, asked: i64) -> (Vec<Fact>, Vec<i64>) {
    let container = failing.container;
    let heard = heard(failing);
    let declared: Vec<i64> = container.ports.iter().map(|port| port.container_port).collect();
    if heard.iter().any(|(port, _)| *port == asked) || declared.contains(&asked) {
        return Default::default();
    }
    let alone = failing.pod.spec.containers.len() == 1;
    let services = if alone { targets(failing) } else { Vec::new() };
    if services.iter().any(|(_, port)| *port == asked) {
        return Default::default();
    }
    // What the program says of itself stands above what people declare.
    let mut said: Vec<(i64, Fact)> = heard
        .iter()
        .filter(|(_, line)| !listening::aside(line))
        .take(3)
        .map(|(port, line)| {
            let words = text::shorten(line.text.trim(), 200);
            (*port, Fact::new(Role::Cause, Source::Log, line.at, failing.subject, words))
        })
        .collect();
    for port in &declared {
        let words = format!("{} declares port {port}", container.name);
        said.push((*port, Fact::new(Role::Cause, Source::Spec, None, failing.workload, words)));
    }
    for (service, port) in services {
        let words = format!("Service {} sends to port {port}", describe::object(service));
        said.push((port, Fact::new(Role::Cause, Source::Spec, None, service, words)));
    }
    for which in [Which::Liveness, Which::Startup, Which::Readiness] {
        let Some(port) =
            which.of(container).filter(|_| which != failing.which).and_then(|probe| number(container, probe))
        else {
            continue;
        };
        // Another probe that asks the same port fails as well, or would have to.
        if port != asked && !said.is_empty() {
            let words = format!("the {} probe of {} asks port {port}", which.word(), container.name);
            said.push((port, Fact::new(Role::Cause, Source::Spec, None, failing.workload, words)));
        }
    }
    said.into_iter().map(|(port, fact)| (fact, port)).unzip()
}

/// The ports that the program says it listens on, with the lines.
fn heard<'a>(failing: &Failing<'_, 'a>) -> Vec<(i64, &'a LogLine)> {
    let lines = failing.view.log(failing.subject, &failing.container.name, false).unwrap_or_default();
    lines.iter().flat_map(|line| listening::ports(&line.text).into_iter().map(move |port| (port, line))).collect()
}

/// The line of a program that says it listens on a port which nobody declares and this probe does not ask.
pub(super) fn undeclared<'a>(failing: &Failing<'_, 'a>, asked: i64) -> Option<(i64, &'a LogLine)> {
    let heard = heard(failing);
    let declared = |port: i64| failing.container.ports.iter().any(|item| item.container_port == port);
    if heard.iter().any(|(port, _)| *port == asked) {
        return None;
    }
    heard.into_iter().find(|(port, line)| !declared(*port) && !listening::aside(line))
}

/// The ports that Services in front of the pod send to.
fn targets<'a>(failing: &Failing<'_, 'a>) -> Vec<(&'a reckon_model::Object, i64)> {
    let labels = &failing.subject.meta.labels;
    let services = failing.view.all(&Kind::Service, failing.subject.meta.namespace.as_deref()).items;
    let mut found = Vec::new();
    for service in services {
        let Body::Service(body) = &service.body else { continue };
        let selector = &body.spec.selector;
        if selector.is_empty() || !selector.iter().all(|(key, value)| labels.get(key) == Some(value)) {
            continue;
        }
        for port in &body.spec.ports {
            let target = match &port.target_port {
                Some(target) => resolve(failing.container, target),
                None => Some(port.port),
            };
            found.extend(target.map(|target| (service, target)));
        }
    }
    found
}

pub(super) fn asked(failing: &Failing<'_, '_>) -> Option<i64> {
    number(failing.container, failing.probe)
}
