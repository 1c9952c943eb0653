//! What CoreDNS says, and what its Corefile holds.

/// What is wrong with a Corefile, from the words of CoreDNS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// The line of the Corefile, where it is told.
    pub(super) line: Option<usize>,
    /// What is wrong with it.
    pub(super) what: String,
}

/// From `/etc/coredns/Corefile:12 - Error during parsing: Unknown directive 'forwrd'`, or what a plugin says of its own.
pub(super) fn fault(text: &str) -> Option<Fault> {
    // What is asked is at fault, and mostly stands elsewhere.
    if looped(text) {
        return None;
    }
    let (before, what) = match text.split_once("Error during parsing: ") {
        Some((before, what)) => (before, what),
        None => {
            // `plugin/forward: not an IP address or file: "…"`, which ends the program before it serves.
            let at = text.find("plugin/")?;
            let what = text.get(at..)?;
            let serving =
                ["[FATAL]", "[ERROR]", "[WARNING]", "[INFO]", "[DEBUG]"].iter().any(|level| text.contains(level));
            let starts = !serving || text.contains("Restart failed");
            return starts.then(|| Fault { line: None, what: what.trim().to_owned() });
        }
    };
    let line = before.rsplit_once("orefile:").and_then(|(_, rest)| {
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok()
    });
    Some(Fault { line, what: what.trim().to_owned() })
}

/// Whether a line says that a new Corefile was not taken, and the old one goes on being used.
pub(super) fn is_kept_back(text: &str) -> bool {
    text.contains("Restart failed")
}

/// Whether a line says that a Corefile was taken.
pub(super) fn is_taken(text: &str) -> bool {
    text.contains("Reloading complete") || text.starts_with("CoreDNS-")
}

/// The zone in which an answer was sent back to the server that gave it: `Loop (127.0.0.1:1 -> :53) detected for zone "."`.
pub(super) fn looped(text: &str) -> bool {
    text.contains("plugin/loop: Loop") && text.contains("detected for zone")
}

/// The directives of all server blocks, with what stands behind each.
pub(super) fn directives(corefile: &str) -> impl Iterator<Item = (&str, &str)> {
    corefile.lines().filter_map(|line| {
        let line = line.split('#').next().unwrap_or_default().trim().trim_end_matches('{').trim();
        if line.is_empty() || line == "}" {
            return None;
        }
        Some(line.split_once(char::is_whitespace).map_or((line, ""), |(name, rest)| (name, rest.trim())))
    })
}

/// The name, and why it was not resolved, from `[ERROR] plugin/errors: 2 a.example. A: read udp …->10.0.0.2:53: i/o timeout`.
pub(super) fn unanswered(text: &str) -> Option<(&str, &str)> {
    let (_, rest) = text.split_once("plugin/errors: ")?;
    let (code, rest) = rest.split_once(' ')?;
    let (name, rest) = rest.split_once(". ")?;
    let (_, why) = rest.split_once(": ")?;
    let known = ["i/o timeout", "connection refused", "no route to host", "unreachable", "server misbehaving", "EOF"];
    (code.bytes().all(|byte| byte.is_ascii_digit()) && known.iter().any(|word| why.contains(word)))
        .then_some((name, why))
}

/// The server that did not answer, from `read udp 10.1.2.3:44->10.0.0.2:53: i/o timeout` or `dial tcp 10.0.0.2:53: …`.
pub(super) fn asked(why: &str) -> Option<&str> {
    let rest = why.split_once("->").or_else(|| why.split_once("dial tcp ")).or_else(|| why.split_once("dial udp "))?.1;
    let end = rest.find(|c: char| !(c.is_ascii_hexdigit() || matches!(c, '.' | ':' | '[' | ']'))).unwrap_or(rest.len());
    let address = rest.get(..end)?.trim_end_matches(':');
    let (host, _) = address.rsplit_once(':')?;
    Some(host.trim_matches(['[', ']'])).filter(|host| !host.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_corefile_is_read_out_of_the_log() {
        let fault_of = |text: &str| fault(text).map(|fault| (fault.line, fault.what));
        assert_eq!(
            fault_of("/etc/coredns/Corefile:12 - Error during parsing: Unknown directive 'forwrd'"),
            Some((Some(12), "Unknown directive 'forwrd'".to_owned()))
        );
        assert_eq!(
            fault_of("[ERROR] Restart failed: Corefile:7 - Error during parsing: Wrong argument count"),
            Some((Some(7), "Wrong argument count".to_owned()))
        );
        assert_eq!(
            fault_of("plugin/forward: not an IP address or file: \"dns.example\""),
            Some((None, "plugin/forward: not an IP address or file: \"dns.example\"".to_owned()))
        );
        assert_eq!(fault_of("[ERROR] plugin/errors: 2 a. A: i/o timeout"), None);
        assert_eq!(fault_of("[INFO] plugin/ready: Plugins not ready: \"kubernetes\""), None);
    }

    #[test]
    fn who_did_not_answer_is_read_out_of_the_log() {
        let line = "[ERROR] plugin/errors: 2 api.example.com. A: read udp 10.244.0.5:43210->10.0.0.2:53: i/o timeout";
        let (name, why) = unanswered(line).unwrap();
        assert_eq!((name, asked(why)), ("api.example.com", Some("10.0.0.2")));
        assert_eq!(asked("dial tcp [fd00::2]:53: connect: connection refused"), Some("fd00::2"));
        assert_eq!(asked("read udp 10.1.1.1:1"), None);
        assert_eq!(unanswered("[ERROR] plugin/errors: broken"), None);
        assert!(looped(
            "[FATAL] plugin/loop: Loop (127.0.0.1:55953 -> :1053) detected for zone \".\", see https://coredns.io/plugins/loop"
        ));
        let names: Vec<_> = directives(".:53 {\n  errors # all\n  forward . /etc/resolv.conf {\n  }\n}").collect();
        assert_eq!(names, [(".:53", ""), ("errors", ""), ("forward", ". /etc/resolv.conf")]);
    }
}
