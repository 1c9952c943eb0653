//! Ports on which nobody can listen.

use super::{Line, Testimony};

/// What a line says of a port.
pub(super) fn of(line: &Line) -> Option<Testimony> {
    let number = || {
        // `:8080`, `port 8080`, `('0.0.0.0', 8000)`: the last number that may be a port and is no code.
        let words = line.lower.split(|c: char| !c.is_ascii_digit());
        let codes = ["98", "48", "13", "99"];
        let years = |word: &&str| !(word.len() == 4 && word.starts_with("20") && line.has(&format!("{word}-")));
        let after_colon = |word: &&str| {
            let at = |before: &str| line.has(&format!("{before}{word}"));
            at(":") && !line.has(&format!(":{word}:"))
                || at("*:")
                || at("port ")
                || at("', ")
                || at("\", ")
                || at("port=")
        };
        words
            .filter(|word| !word.is_empty() && !codes.contains(word))
            .filter(years)
            .filter(after_colon)
            .filter_map(|word| word.parse::<u16>().ok())
            .rfind(|port| *port > 0)
    };
    let colon = || {
        let bound = line
            .after("listen tcp ")
            .or_else(|| line.after("bind() to "))
            .or_else(|| line.after("eaddrinuse: address already in use "));
        let word = bound?.split_whitespace().next()?.trim_end_matches(':');
        word.rsplit_once(':')?.1.parse::<u16>().ok()
    };
    let taken = line.any(&[
        "address already in use",
        "eaddrinuse",
        "addrinuse",
        "already in use. please use another port",
        "connection in use: (",
        "only one usage of each socket address",
    ]) || line.has("port ") && line.any(&["was already in use", "is already in use", "already allocated"]);
    if taken {
        return Some(Testimony::PortInUse(colon().or_else(number)));
    }
    let refused = line.any(&["permission denied", "eacces"]);
    // Directories are bound, too, and there are sockets that are files.
    let socket = line.any(&[
        "tcp",
        "udp",
        "socket",
        "address",
        "bind()",
        "bindexception",
        "make_sock",
        "0.0.0.0",
        "127.0.0.1",
        "[::]",
        "listen eacces",
        "port ",
    ]);
    let file = line.any(&["open '", "listen unix", "unix socket", "unix:", "bind mount", "mount --bind", ".sock"]);
    let binds = line.any(&["bind", "listen"]) && socket && refused;
    let node = line.has("eacces: permission denied")
        && line
            .after("permission denied ")
            .is_some_and(|rest| !rest.starts_with(['/', '\'', '"', ',']) && rest.contains(':'));
    ((binds || node) && !file).then(|| Testimony::PortDenied(colon().or_else(number)))
}
