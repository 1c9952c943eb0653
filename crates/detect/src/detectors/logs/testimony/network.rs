//! The other end cannot be reached.

use super::{Far, Line, Testimony};

/// What a line says of the other end.
pub(super) fn of(line: &Line) -> Option<Testimony> {
    let far = || Far::of(line);
    let dns = line.any(&[
        "eai_again",
        "temporary failure in name resolution",
        "server misbehaving",
        "try again (eai_again)",
        "[errno -3]",
        "error -3 connecting",
    ]) || line.has("lookup ")
        && line.any(&["i/o timeout", "connection refused", "timed out"])
        && !line.has("nslookup");
    if dns {
        return Some(Testimony::NoDns(far()));
    }
    let unknown = line.any(&[
        "no such host",
        "getaddrinfo enotfound",
        "'enotfound'",
        "name or service not known",
        "name does not resolve",
        "unknownhostexception",
        "nodename nor servname provided",
        "could not resolve host",
        "could not translate host name",
        "couldn't resolve host",
        "no address associated with hostname",
        "bad address '",
        "host not found in upstream",
        "unknown mysql server host",
        "getaddrinfo failed",
        "failed to resolve '",
        "failed to resolve \"",
        "failed to resolve host",
        "nxdomain",
        "failed to lookup address information",
        "unknown host",
    ]);
    if unknown {
        return Some(Testimony::UnknownHost(far()));
    }
    let refused = line.any(&[
        "connection refused",
        "econnrefused",
        "actively refused",
        "connect() failed (111",
        "errno 111",
        "error 111 connecting",
        "' (111)",
        "connectionrefused",
        " refused. check that the hostname",
        " - no response",
        "couldn't connect to server",
        "no brokers available",
        "nobrokersavailable",
        "no nodes are available",
    ]) && !line.any(&["password authentication failed", "timeout expired", "timed out"])
        || line.has("connection to node") && line.has("could not be established")
        || line.has("waiting for ") && line.has("timeout occurred");
    // PostgreSQL says so of every failure after it has connected.
    let connected = line.has("connection to server at") && line.has("fatal:");
    if refused && !connected {
        return Some(Testimony::Refused(far()));
    }
    let timed_out = line.any(&[
        "i/o timeout",
        "etimedout",
        "connection timed out",
        "connect timed out",
        "connect timeout",
        "connection timeout",
        "connecttimeout",
        "timeout expired",
        "operation timed out",
        "timeout was reached",
        "context deadline exceeded",
        "deadline exceeded",
        "deadline_exceeded",
        "read timed out",
        "sockettimeoutexception",
        "no route to host",
        "ehostunreach",
        "upstream timed out",
        "server selection timed out",
        "serverselectiontimeout",
        "network is unreachable",
    ]);
    timed_out.then(|| Testimony::TimedOut(far()))
}
