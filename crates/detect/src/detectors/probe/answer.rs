//! What a probe met, from the kubelet's words.

use crate::View;
use crate::detectors::killed_by;
use reckon_model::Object;
use reckon_model::k8s::{Container, Event, Probe};

/// Which probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    Liveness,
    Startup,
    Readiness,
}

impl Which {
    pub(super) fn word(self) -> &'static str {
        match self {
            Which::Liveness => "liveness",
            Which::Startup => "startup",
            Which::Readiness => "readiness",
        }
    }

    pub(super) fn field(self) -> &'static str {
        match self {
            Which::Liveness => "livenessProbe",
            Which::Startup => "startupProbe",
            Which::Readiness => "readinessProbe",
        }
    }

    pub(super) fn of(self, container: &Container) -> Option<&Probe> {
        match self {
            Which::Liveness => container.liveness_probe.as_deref(),
            Which::Startup => container.startup_probe.as_deref(),
            Which::Readiness => container.readiness_probe.as_deref(),
        }
    }
}

/// What a probe met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Nothing listens there.
    Refused,
    /// Nobody answered in time.
    Timeout,
    /// An HTTP status that is no success.
    Status(u16),
    /// The other scheme is spoken there: this one.
    Scheme(&'static str),
    /// The name of the port is no port of the container.
    NoSuchPort,
    /// The command is not in the image.
    NoSuchCommand,
    /// The program says no: a command that failed, a gRPC status.
    Said,
    /// The kubelet's words are not known.
    Unknown,
}

impl Answer {
    /// From what the kubelet wrote.
    pub(super) fn of(event: &Event) -> Answer {
        let lead = event.message.split(": ").next().unwrap_or_default();
        Answer::read(lead.contains("errored"), said(event))
    }

    /// From what stands behind `Readiness probe failed: `, or behind `Readiness probe errored …: `, where the probe could
    /// not even be made.
    fn read(errored: bool, said: &str) -> Answer {
        let text = said.to_lowercase();
        let any = |words: &[&str]| words.iter().any(|word| text.contains(word));
        match () {
            () if any(&["connection refused"]) => Answer::Refused,
            () if any(&["server gave http response to https client"]) => Answer::Scheme("HTTP"),
            () if any(&["malformed http response", "http request to an https server"]) => Answer::Scheme("HTTPS"),
            // Up to 1.36 a name that is no port's is read as a number.
            () if any(&["couldn't find port", "no port named", "invalid port"])
                || (errored && text.contains("strconv.atoi"))
                || (text.contains("port \"") && text.contains("\" not found")) =>
            {
                Answer::NoSuchPort
            }
            () if any(&["executable file not found"]) => Answer::NoSuchCommand,
            // What a command that ran did not find, it says itself.
            () if any(&["no such file or directory"]) && (errored || text.contains("exec: \"")) => {
                Answer::NoSuchCommand
            }
            () if any(&["deadline exceeded", "timeout", "timed out", "no route to host"]) => Answer::Timeout,
            () => match text.split_once("statuscode: ") {
                Some((_, code)) => code
                    .split(|c: char| !c.is_ascii_digit())
                    .next()
                    .and_then(|code| code.parse().ok())
                    .map_or(Answer::Said, Answer::Status),
                None => Answer::Said,
            },
        }
    }

    /// For the page and the JSON.
    pub(super) fn class(self) -> &'static str {
        match self {
            Answer::Refused => "refused",
            Answer::Timeout => "timeout",
            Answer::Status(_) => "status",
            Answer::Scheme(_) => "scheme",
            Answer::NoSuchPort => "port",
            Answer::NoSuchCommand => "command",
            Answer::Said => "said-no",
            Answer::Unknown => "unsaid",
        }
    }
}

/// The newest word of the kubelet about this probe of this container.
pub(super) fn event<'a>(view: &View<'a>, pod: &'a Object, container: &str, which: Which) -> Option<&'a Event> {
    let lead = format!("{} probe", which.word());
    view.events(pod).into_iter().rev().find(|event| {
        matches!(event.reason.as_str(), "Unhealthy" | "ProbeError")
            && event.message.to_lowercase().starts_with(&lead)
            && (event.container().is_none() || killed_by::names(event, container))
    })
}

/// What stands behind the lead.
pub(super) fn said(event: &Event) -> &str {
    event.message.split_once(": ").map_or("", |(_, said)| said).trim()
}

/// The same in short: without the address asked, which is the pod's, and Go's remark about who waited.
pub(super) fn short(said: &str) -> &str {
    let said = said.strip_prefix("Get \"").and_then(|rest| Some(rest.split_once("\": ")?.1)).unwrap_or(said);
    said.split_once(" (Client.Timeout").map_or(said, |(said, _)| said).trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kubelets_words_are_told_apart() {
        let read = |said| Answer::read(false, said);
        assert_eq!(
            read("Get \"http://10.0.0.1:80/\": dial tcp 10.0.0.1:80: connect: connection refused"),
            Answer::Refused
        );
        assert_eq!(read("HTTP probe failed with statuscode: 404"), Answer::Status(404));
        assert_eq!(read("Get \"https://x\": http: server gave HTTP response to HTTPS client"), Answer::Scheme("HTTP"));
        assert_eq!(read("command timed out: \"sleep 9\" timed out after 1s"), Answer::Timeout);
        assert_eq!(read("service unhealthy (responded with \"NOT_SERVING\")"), Answer::Said);
        assert_eq!(read("HTTP probe failed with statuscode: "), Answer::Said);
        assert_eq!(read("cat: /tmp/healthy: No such file or directory"), Answer::Said);
        assert_eq!(read("exec: \"/x\": stat /x: no such file or directory"), Answer::NoSuchCommand);
        assert_eq!(read("port \"htpp\" not found"), Answer::NoSuchPort);
        assert_eq!(Answer::read(true, "strconv.Atoi: parsing \"htpp\": invalid syntax"), Answer::NoSuchPort);
        assert_eq!(
            short("Get \"http://10.0.0.1:80/\": context deadline exceeded (Client.Timeout exceeded)"),
            "context deadline exceeded"
        );
    }
}
