//! Places on the network as text names them: URLs, `host:port`, the names of Services.
//!
//! Pure and bounded: a ConfigMap may be a megabyte of addresses, and a log line whatever somebody wants. Passwords were
//! taken out before (`redact`); of `postgres://app:[redacted]@db:5432/shop` the host and the port are left.

pub mod calls;
#[cfg(test)]
mod tests;

use reckon_model::{Kind, ResourceRef};
use std::collections::BTreeSet;

/// So much of a text is read, in bytes.
const READ: usize = 1 << 20;

/// So many addresses are taken from one text.
const MOST: usize = 256;

/// A host and, where it is said, a port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address {
    /// In lower case, without a dot at its end; of IPv6 without brackets.
    pub host: String,
    /// As it is written, else the one of the scheme.
    pub port: Option<u16>,
    /// In lower case; empty where there is none.
    pub scheme: String,
}

/// What a host may be within a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// The container's own pod.
    Loopback,
    /// An address in numbers.
    Number,
    /// A name that only the cluster's DNS answers: one word, or one that ends as Services' names do. The Service that it
    /// must be.
    Service(ResourceRef),
    /// Two words: a Service of another namespace, or a pod behind a Service of this one; or a name of the world.
    Maybe([ResourceRef; 2]),
    /// A name of the world outside.
    Outside,
}

impl Address {
    /// An address in text that is nothing else: a flag's or a variable's value. A bare word is a host here.
    pub fn whole(text: &str) -> Option<Address> {
        let text = text.trim().trim_matches(['"', '\'']);
        if let Some(address) = in_text(text).into_iter().next() {
            return Some(address);
        }
        let host = host(text)?;
        let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.');
        (plain && !is_file(&host)).then(|| Address { host, port: None, scheme: String::new() })
    }

    /// What this host is, seen from a namespace.
    pub fn seen_from(&self, namespace: &str) -> Host {
        let host = self.host.as_str();
        if host == "localhost" || host == "::1" || host.starts_with("127.") {
            return Host::Loopback;
        }
        if is_number(host) {
            return Host::Number;
        }
        let service = |namespace: &str, name: &str| ResourceRef::new(Kind::Service, Some(namespace), name);
        let labels: Vec<&str> = host.split('.').collect();
        // `svc` may be followed by the cluster's own domain, whatever that is.
        let svc = labels.iter().position(|label| *label == "svc").filter(|at| *at >= 2);
        match (svc, labels.as_slice()) {
            (Some(at), labels) => match labels.get(at - 2..at) {
                Some([name, namespace]) => Host::Service(service(namespace, name)),
                _ => Host::Outside,
            },
            (None, [name]) => Host::Service(service(namespace, name)),
            (None, [first, second]) => Host::Maybe([service(second, first), service(namespace, second)]),
            _ => Host::Outside,
        }
    }

    /// As people write it.
    pub fn words(&self) -> String {
        match self.port {
            Some(port) if self.host.contains(':') => format!("[{}]:{port}", self.host),
            Some(port) => format!("{}:{port}", self.host),
            None => self.host.clone(),
        }
    }
}

/// Every address that stands in a text, each once, in the order in which they come; a bare word is none.
pub fn in_text(text: &str) -> Vec<Address> {
    let text = start(text, READ);
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    for word in text.split(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '<' | '>' | '\\' | '|' | ';'))
    {
        if found.len() >= MOST {
            break;
        }
        for address in in_word(word) {
            if found.len() < MOST && seen.insert(address.clone()) {
                found.push(address);
            }
        }
    }
    found
}

/// A URL is one address; anything else is looked through part by part: `a:1,b:2`, `tcp(db:3306)`, `--upstream=api:80`.
fn in_word(word: &str) -> Vec<Address> {
    let mut found = Vec::new();
    let mut rest = word;
    if let Some((before, after)) = word.split_once("://") {
        let scheme = before.rsplit(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))).next();
        let scheme = scheme.unwrap_or("").to_ascii_lowercase();
        let end = after.find(['/', '?', '#']).unwrap_or(after.len());
        let (authority, path) = after.split_at(end);
        // Whoever logs in stands before the last `@`; lists of hosts stand after it.
        let hosts = authority.rsplit_once('@').map_or(authority, |(_, hosts)| hosts);
        for part in hosts.split(',').take(MOST) {
            found.extend(authority_of(part).map(|(host, port)| Address {
                port: port.or_else(|| usual_port(&scheme)),
                host,
                scheme: scheme.clone(),
            }));
        }
        // `jdbc:…://a:1/x,b:2/y` and the like.
        rest = path;
    }
    let parts = rest.split([',', '=', '(', ')', '{', '}', '@', '/']).take(MOST);
    for part in parts {
        found.extend(host_and_port(part));
    }
    found
}

/// The host and port of a URL.
fn authority_of(text: &str) -> Option<(String, Option<u16>)> {
    let text = text.trim_end_matches(['.', ',', ':', ')', ']', '}']);
    if let Some(rest) = text.strip_prefix('[') {
        let (inner, after) = rest.split_once(']').unwrap_or((rest, ""));
        let port = after.strip_prefix(':').and_then(port);
        return is_v6(inner).then(|| (inner.to_ascii_lowercase(), port));
    }
    match text.rsplit_once(':') {
        Some((name, number)) => Some((host(name)?, Some(port(number)?))),
        None => Some((host(text)?, None)),
    }
}

/// `host:port`, `[v6]:port`, or a full name of a Service.
fn host_and_port(part: &str) -> Option<Address> {
    let part = part.trim_start_matches(['[', '*']).trim_end_matches(['.', ',', ':', '!', '?']);
    let plain = |host: String, port: Option<u16>| Some(Address { host, port, scheme: String::new() });
    // `[::1]:8080`, whose first bracket is gone by now.
    if let Some((inner, after)) = part.split_once("]:")
        && is_v6(inner)
    {
        return plain(inner.to_ascii_lowercase(), Some(port(after)?));
    }
    let part = part.trim_end_matches(']');
    match part.rsplit_once(':') {
        // Node writes IPv6 without brackets: `::1:5432`.
        Some((name, number)) if name.contains(':') => {
            is_v6(name).then(|| plain(name.to_ascii_lowercase(), port(number)))?
        }
        // `main.go:42` and `12:30` are none.
        Some((name, number)) => {
            let host = host(name).filter(|host| !is_file(host) && !is_word_of_logs(host))?;
            plain(host, Some(port(number)?))
        }
        None => {
            let name = host(part)?;
            let full = name.contains(".svc.") || name.ends_with(".svc") || name.ends_with(".cluster.local");
            full.then(|| plain(name, None))?
        }
    }
}

/// A port.
fn port(text: &str) -> Option<u16> {
    let digits = (1..=5).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| digits && *port > 0)
}

/// A host name or IPv4 address in lower case.
pub(crate) fn host(text: &str) -> Option<String> {
    let text = text.strip_suffix('.').unwrap_or(text);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let named = text.bytes().any(|byte| byte.is_ascii_alphabetic());
    let fits = (1..=253).contains(&text.len()) && text.split('.').all(label) && (named || is_v4(text));
    fits.then(|| text.to_ascii_lowercase())
}

fn is_v4(text: &str) -> bool {
    let parts: Vec<&str> = text.split('.').collect();
    parts.len() == 4 && parts.iter().all(|part| part.len() <= 3 && part.parse::<u8>().is_ok())
}

/// Whether this is an IPv6 address, of which `::` is one.
fn is_v6(text: &str) -> bool {
    text.len() <= 45 && text.contains(':') && text.parse::<core::net::Ipv6Addr>().is_ok()
}

/// Whether a host is an address in numbers.
pub(crate) fn is_number(host: &str) -> bool {
    is_v4(host) || is_v6(host)
}

/// Whether a host is the name of a file of a program: a line number follows it, not a port.
fn is_file(host: &str) -> bool {
    const ENDS: [&str; 22] = [
        "go", "js", "ts", "mjs", "cjs", "jsx", "tsx", "py", "rb", "java", "kt", "scala", "rs", "c", "cc", "cpp", "h",
        "php", "conf", "cs", "ex", "exs",
    ];
    host.rsplit_once('.').is_some_and(|(_, end)| ENDS.contains(&end))
}

/// Words that logs write before a number.
fn is_word_of_logs(host: &str) -> bool {
    const WORDS: [&str; 20] = [
        "line", "column", "col", "port", "code", "errno", "error", "pid", "level", "status", "exit", "at", "row", "id",
        "count", "attempt", "retry", "retries", "time", "os",
    ];
    WORDS.contains(&host)
}

/// The port that a scheme stands for.
fn usual_port(scheme: &str) -> Option<u16> {
    // `jdbc:postgresql` is cut at the colon already.
    Some(match scheme {
        "http" | "ws" => 80,
        "https" | "wss" => 443,
        "postgres" | "postgresql" => 5432,
        "mysql" | "mariadb" => 3306,
        "redis" | "rediss" | "valkey" => 6379,
        "mongodb" => 27017,
        "amqp" => 5672,
        "amqps" => 5671,
        "nats" => 4222,
        _ => return None,
    })
}

/// The beginning of a text, at most so many bytes of it.
pub(crate) fn start(text: &str, most: usize) -> &str {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or("")
}
