//! The other end of a connection, as a line names it.

use super::{Line, quoted};
use crate::addresses::{self, Address, is_number};

/// Whom a program wanted to reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Far {
    /// The name where the line has one, else the number.
    pub(crate) address: Address,
    /// The number that the name had.
    pub(crate) number: Option<String>,
}

impl Far {
    /// The far end that a line names.
    pub(super) fn of(line: &Line) -> Option<Far> {
        let told = told(line);
        let mut all: Vec<Address> = addresses::in_text(far_part(line));
        if let Some(resolver) = resolver(line) {
            all.retain(|address| address.host != resolver || address.port != Some(53));
        }
        let number = all.iter().find(|address| is_number(&address.host)).cloned();
        let named = all.iter().find(|address| !is_number(&address.host)).cloned();
        let mut address = match (told, named, &number) {
            (Some(told), ..) => told,
            // A name with another port than the number is somebody else.
            (None, Some(named), Some(number)) if named.port != number.port && named.port.is_some() => number.clone(),
            (None, Some(named), _) => named,
            (None, None, Some(number)) => number.clone(),
            (None, None, None) => return None,
        };
        address.port = address.port.or_else(|| number.as_ref().and_then(|number| number.port));
        let number = number.map(|number| number.host).filter(|number| *number != address.host);
        Some(Far { address, number })
    }
}

/// The part of a line that tells of the far end: nginx tells of four ends in one line.
fn far_part(line: &Line) -> &str {
    if let Some(rest) = line.after("upstream: ") {
        return rest.split(", host: ").next().unwrap_or(rest);
    }
    // `10.1.1.1:4711->10.2.2.2:80`: what is before the arrow is the near end.
    if let Some((_, rest)) = line.text.split_once("->") {
        return rest;
    }
    &line.text
}

/// The DNS server that Go names beside the name that it looked up.
fn resolver(line: &Line) -> Option<&str> {
    let rest = line.after("lookup ")?;
    let (_, server) = rest.split_once(" on ")?;
    server.split(":53").next()
}

/// A host that stands behind words which say that it is one, with the port that stands behind others.
fn told(line: &Line) -> Option<Address> {
    // What follows, up to where a name ends.
    const BEFORE: [&str; 34] = [
        "dial tcp: lookup ",
        ": lookup ",
        "server at \"",
        "running on host \"",
        "could not translate host name \"",
        "failed to connect to `host=",
        "host='",
        "host=\"",
        "host=",
        "getaddrinfo enotfound ",
        "getaddrinfo eai_again ",
        "unknownhostexception: ",
        "could not resolve host: ",
        "couldn't resolve host \"",
        "couldn't resolve host '",
        "bad address '",
        "host not found in upstream \"",
        "unknown mysql server host '",
        "connect to mysql server on '",
        "error -2 connecting to ",
        "error -3 connecting to ",
        "error 111 connecting to ",
        "getaddrinfo for host \"",
        "getaddrinfo for ",
        "failed to connect to ",
        "connect(2) for \"",
        "connect to redis at ",
        "waiting for ",
        "nc: connect to ",
        "tcp connect (",
        "failed to resolve '",
        "failed to resolve \"",
        "failed to resolve host ",
        "unknown host ",
    ];
    let rest = BEFORE.iter().find_map(|words| {
        let rest = line.after(words)?;
        let rest = quoted(rest).unwrap_or(rest);
        let end = rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '/')))
            .unwrap_or(rest.len());
        let word = rest.get(..end)?.trim_end_matches([':', '.']);
        Some(word).filter(|word| !word.contains("//")).and_then(read)
    });
    let in_brackets = || {
        // .NET: `Connection refused (api:8080)`, `Name or service not known (api:8080)`.
        let rest = line.after(" refused (").or_else(|| line.after("not known ("))?;
        read(rest.split(')').next()?)
    };
    // Java: `Connect to api:8080 [api/10.96.1.2] failed`, `refused: redis/10.96.4.4:6379`, `Connection to db:5432 refused`.
    let java = || {
        let rest = line
            .after("connect to ")
            .or_else(|| line.after("connection to node ").and_then(|rest| Some(rest.split_once('(')?.1)));
        let rest = rest.or_else(|| line.after("refused: ")).or_else(|| line.after("connection to "))?;
        let word = rest.split(|c: char| c.is_whitespace() || matches!(c, ',' | ')' | ']')).next()?;
        read(word)
    };
    // pg_isready: `db:5432 - no response`.
    let before = || read(line.before(" - no response")?.rsplit(char::is_whitespace).next()?);
    let mut found = rest.or_else(in_brackets).or_else(java).or_else(before)?;
    found.port = found.port.or_else(|| port(line));
    Some(found)
}

/// `db`, `db:5432`, `redis/10.96.4.4:6379`.
fn read(word: &str) -> Option<Address> {
    let (name, number) = match word.split_once('/') {
        Some((name, rest)) => (name, Some(rest)),
        None => (word, None),
    };
    let mut address = Address::whole(name)?;
    if let Some(number) = number.and_then(Address::whole) {
        address.port = address.port.or(number.port);
    }
    let words =
        ["the", "a", "server", "host", "remote", "localhost:", "connect", "connection", "database", "tcp", "on", "to"];
    (!words.contains(&address.host.as_str()) && !address.host.ends_with("exception")).then_some(address)
}

/// A port that stands apart from its host.
fn port(line: &Line) -> Option<u16> {
    ["\", port ", "), port ", " port ", "port=", "tcp/ip connections on port "].iter().find_map(|words| {
        let rest = line.after(words)?;
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        rest.get(..end)?.parse().ok()
    })
}
