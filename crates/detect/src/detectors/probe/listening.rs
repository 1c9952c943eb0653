//! Where a program says that it listens.

use reckon_model::LogLine;

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
    // In JSON the colon after a key is no address.
    let lower = line.to_lowercase().replace("\":", "\" ");
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
            Some((before, digits)) => (!word(before)).then_some(digits),
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

/// `pid:4321` and `line:120` are no addresses.
fn word(text: &str) -> bool {
    const OF_PORTS: [&str; 9] = ["localhost", "port", "address", "addr", "host", "http", "https", "tcp", "grpc"];
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphabetic()) && !OF_PORTS.contains(&text)
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

/// Whether a line tells of a port beside the program's own, which is mostly open first.
pub(super) fn aside(line: &LogLine) -> bool {
    let lower = line.text.to_lowercase();
    ["metrics", "prometheus", "pprof", "debug", "admin"].iter().any(|word| lower.contains(word))
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
        assert_eq!(ports("server pid:4321 listening on localhost:8080"), [8080]);
        assert_eq!(ports(r#"{"msg":"listening","line":120,"port":8080}"#), [8080]);
        assert_eq!(ports("connecting to db:5432"), Vec::<i64>::new());
    }
}
