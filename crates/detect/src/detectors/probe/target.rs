//! Where a probe asks, and where the program is to be found.

use super::Failing;
use super::answer::{Answer, Which};
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

/// Where else the program is said to be, by those who should know; nothing if one of them names the asked port.
fn elsewhere(failing: &Failing<'_, '_>, asked: i64) -> (Vec<Fact>, Vec<i64>) {
    let container = failing.container;
    let mut said: Vec<(i64, Fact)> = Vec::new();
    // What the program says of itself stands above what people declare.
    let listening = failing.view.log(failing.subject, &container.name, false).unwrap_or_default();
    let heard: Vec<(i64, &LogLine)> =
        listening.iter().flat_map(|line| ports(&line.text).into_iter().map(move |port| (port, line))).collect();
    if heard.iter().any(|(port, _)| *port == asked) {
        return Default::default();
    }
    for (port, line) in heard.iter().take(3) {
        let words = text::shorten(line.text.trim(), 200);
        said.push((*port, Fact::new(Role::Cause, Source::Log, line.at, failing.subject, words)));
    }
    let declared: Vec<i64> = container.ports.iter().map(|port| port.container_port).collect();
    if said.is_empty() && declared.contains(&asked) {
        return Default::default();
    }
    for port in &declared {
        let words = format!("{} declares port {port}", container.name);
        said.push((*port, Fact::new(Role::Cause, Source::Spec, None, failing.workload, words)));
    }
    let alone = failing.pod.spec.containers.len() == 1;
    for (service, port) in if alone { targets(failing) } else { Vec::new() } {
        if port == asked && said.is_empty() {
            return Default::default();
        }
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
    said.retain(|(port, _)| *port != asked);
    said.into_iter().map(|(port, fact)| (fact, port)).unzip()
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

/// Words with which programs say where they listen.
const LISTENING: [&str; 10] = [
    "listen",
    "serving",
    "started on",
    "running on",
    "running at",
    "bound to",
    "bind to",
    "accepting connections",
    "started at",
    "server on",
];

/// The ports a line says that the program listens on: `listening on :8080`, `Serving at http://0.0.0.0:80/`, `port: 9`.
pub(super) fn ports(line: &str) -> Vec<i64> {
    let lower = line.to_lowercase();
    let failed = ["fail", "error", "refused", "cannot", "in use"].iter().any(|word| lower.contains(word));
    if failed || !LISTENING.iter().any(|word| lower.contains(word)) {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut port_is_next = false;
    for token in
        lower.split(|c: char| c.is_whitespace() || "\"',;()<>={}".contains(c)).filter(|token| !token.is_empty())
    {
        let host = token.split_once("://").map_or(token, |(_, rest)| rest);
        let host = host.split('/').next().unwrap_or(host).trim_end_matches(['.', '!']);
        let digits = match host.rsplit_once(':') {
            Some((_, digits)) => Some(digits),
            None => port_is_next.then_some(host),
        };
        // Dates and addresses of IPv6 have colons too: a port is two digits at least, and after it nothing comes.
        let port = digits
            .filter(|digits| (2..=5).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()))
            .filter(|_| port_is_next || !clock(host))
            .and_then(|digits| digits.parse::<i64>().ok())
            .filter(|port| (1..=65535).contains(port));
        found.extend(port);
        port_is_next =
            matches!(token, "port" | "port:" | "ports" | "ports:") || (port_is_next && matches!(token, "s" | ":"));
    }
    found
}

/// `12:04:31` and `10:04` are times.
fn clock(text: &str) -> bool {
    let mut parts = text.split(':');
    let number = |part: &str| (1..=2).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
    parts.next().is_some_and(|first| first.rsplit(['t', '[']).next().is_some_and(number)) && parts.all(number)
}

/// Whether the program says that it listens for itself only.
pub(super) fn on_loopback(lines: &[LogLine], asked: i64) -> Option<&LogLine> {
    lines.iter().find(|line| {
        let lower = line.text.to_lowercase();
        ports(&line.text).contains(&asked)
            && ["127.0.0.1:", "localhost:", "[::1]:"].iter().any(|host| lower.contains(host))
    })
}

pub(super) fn asked(failing: &Failing<'_, '_>) -> Option<i64> {
    number(failing.container, failing.probe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_read_out_of_what_programs_say() {
        assert_eq!(ports("2026/01/01 12:00:00 listening on :8080"), [8080]);
        assert_eq!(ports("Serving HTTP on 0.0.0.0 port 8000 (http://0.0.0.0:8000/) ..."), [8000, 8000]);
        assert_eq!(ports("msg=\"server listening\" addr=[::]:9443"), [9443]);
        assert_eq!(ports("12:04:31 INFO Tomcat started on port(s): 8080 (http)"), [8080]);
        assert_eq!(ports("listen tcp :80: bind: address already in use"), Vec::<i64>::new());
        assert_eq!(ports("12:04:31 listening"), Vec::<i64>::new());
        assert_eq!(ports("connecting to db:5432"), Vec::<i64>::new());
    }
}
