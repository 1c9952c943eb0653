//! What a program testifies to in its log, as far as it can be read without knowing the program.
//!
//! Runtimes say the same in a hundred ways; here each way is one of a few facts with its address, path or name. Text is
//! data: whatever else stands in a line is not followed, and of a line the beginning is read alone.

mod far;
mod files;
mod forbidden;
mod limits;
mod network;
mod port;
mod setting;
#[cfg(test)]
mod tests;
mod tls;

pub(crate) use far::Far;
pub(crate) use forbidden::Forbidden;

use reckon_model::LogLine;

/// So much of a line is read, in bytes.
const READ: usize = 16 << 10;

/// What a line says happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Testimony {
    /// The port it wants to listen on is taken.
    PortInUse(Option<u16>),
    /// It may not listen on a port below 1024.
    PortDenied(Option<u16>),
    /// It may not touch this path.
    Denied(String),
    /// This path is not there.
    NoFile(String),
    /// This path cannot be written, as nothing there can.
    ReadOnly(String),
    /// Nobody listens at the other end.
    Refused(Option<Far>),
    /// The other end does not answer.
    TimedOut(Option<Far>),
    /// DNS knows no such name.
    UnknownHost(Option<Far>),
    /// DNS itself does not answer.
    NoDns(Option<Far>),
    /// The certificate of the other end is not believed.
    Untrusted(Fault, Option<Far>),
    /// It speaks TLS and the other end does not.
    NoTls(Option<Far>),
    /// Its own certificate or key cannot be used.
    OwnCertificate,
    /// Whoever it calls does not take its credentials.
    Rejected(&'static str, Option<Far>),
    /// Whoever it calls has as many connections as it takes.
    Full(&'static str),
    /// A variable or setting is missing.
    Unset(String),
    /// A database, a table or a migration is.
    Schema(String),
    /// It has as many files open as it may.
    Files,
    /// It has as many watches of files as the node allows.
    Watches,
    /// It can start no more threads or processes.
    Threads,
    /// What it wants to execute is made for another processor.
    ExecFormat,
    /// The API server does not let it.
    Forbidden(Forbidden),
    /// The cloud does not let the identity that its ServiceAccount names.
    CloudDenied,
    /// The API server does not know who it is.
    Unauthorized,
    /// There is no token with which it could say who it is.
    NoToken,
    /// The API server has no such kind.
    NoKind(String),
}

/// Why a certificate is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nobody who is trusted signed it.
    Authority,
    /// It is for another name.
    Name,
    /// It is not valid now.
    Time,
}

impl Testimony {
    /// Where whom it is about belongs, of those that a line may leave out.
    fn far(&mut self) -> Option<&mut Option<Far>> {
        match self {
            Testimony::Refused(far)
            | Testimony::TimedOut(far)
            | Testimony::UnknownHost(far)
            | Testimony::Untrusted(_, far)
            | Testimony::NoTls(far)
            | Testimony::Rejected(_, far) => Some(far),
            _ => None,
        }
    }
}

/// A line, read to where reading ends, with quotes as people write them, and the same in lower case; both have the same
/// length.
pub(crate) struct Line {
    text: String,
    lower: String,
}

impl Line {
    fn of(text: &str) -> Line {
        let text = crate::addresses::start(text, READ).replace("\\\"", "\"");
        let lower = text.to_ascii_lowercase();
        Line { text, lower }
    }

    fn has(&self, words: &str) -> bool {
        self.lower.contains(words)
    }

    fn any(&self, words: &[&str]) -> bool {
        words.iter().any(|words| self.has(words))
    }

    /// What follows these words.
    fn after(&self, words: &str) -> Option<&str> {
        let at = self.lower.find(words)?;
        self.text.get(at + words.len()..)
    }

    /// What stands before these words.
    fn before(&self, words: &str) -> Option<&str> {
        self.text.get(..self.lower.find(words)?)
    }
}

/// What one line says, if it says one of these.
pub(crate) fn of(text: &str) -> Option<Testimony> {
    let line = Line::of(text);
    let ends = || network::of(&line).or_else(|| tls::of(&line));
    api(&line).or_else(|| port::of(&line)).or_else(|| limits::of(&line)).or_else(ends).or_else(|| {
        let backend = rejected(&line).map(|by| Testimony::Rejected(by, Far::of(&line)));
        backend.or_else(|| setting::schema(&line)).or_else(|| setting::unset(&line)).or_else(|| files::of(&line))
    })
}

/// How many lines after and before one may hold the address that it does not.
const NEAR: usize = 3;

/// What a line of a log says, with the address from the lines beside it where it has none: old clients of PostgreSQL use
/// three lines, and Java says what it connects to in another exception.
pub(crate) fn at(lines: &[LogLine], at: usize) -> Option<Testimony> {
    let mut said = of(&lines.get(at)?.text)?;
    if let Some(far) = said.far().filter(|far| far.is_none()) {
        let after = lines.iter().skip(at + 1).take(NEAR);
        let before = lines.get(at.saturating_sub(NEAR)..at).into_iter().flatten().rev();
        *far = after.chain(before).find_map(|line| Far::of(&Line::of(&line.text)));
    }
    Some(said)
}

/// What the API server of the cluster answered.
fn api(line: &Line) -> Option<Testimony> {
    if let Some(forbidden) = Forbidden::of(line) {
        return Some(Testimony::Forbidden(forbidden));
    }
    const TOKEN: &str = "serviceaccount/token";
    let no_token = line.has(TOKEN) && line.any(&["no such file", "enoent", "filenotfound", "not exist", "nosuchfile"])
        || line.any(&[
            "service token file does not exist",
            "failed to fetch token",
            "unable to load in-cluster configuration",
            "service host/port is not set",
        ]);
    if no_token {
        return Some(Testimony::NoToken);
    }
    if line.any(&["the server has asked for the client to provide credentials", "you must be logged in to the server"])
        || line.has("unauthorized")
            && line.any(&["reflector", "client-go", "kube-apiserver", "failed to list *", "failed to watch *"])
    {
        return Some(Testimony::Unauthorized);
    }
    let cloud = [
        "not authorized to perform: sts:assumerolewithwebidentity",
        "assumerolewithwebidentity, https response error statuscode: 403",
        "is not authorized to perform:",
        "accessdenied: ",
        "accessdeniedexception: user:",
        "iam.serviceaccounts.getaccesstoken",
        "aadsts70021",
        "aadsts700016",
        "authorizationpermissionmismatch",
    ];
    if line.any(&cloud) {
        return Some(Testimony::CloudDenied);
    }
    let kind = line.after("no matches for kind ")?;
    Some(Testimony::NoKind(quoted(kind).unwrap_or("").to_owned()))
}

/// What stands in the first pair of quotes of this text, which has to begin with one.
fn quoted(text: &str) -> Option<&str> {
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\'' | '`'))?;
    text.get(1..)?.split_once(quote).map(|(inner, _)| inner)
}

/// Who does not take the program's credentials.
fn rejected(line: &Line) -> Option<&'static str> {
    let words = [
        ("password authentication failed", "PostgreSQL"),
        ("no pg_hba.conf entry", "PostgreSQL"),
        ("no password supplied", "PostgreSQL"),
        ("scram authentication failed", "PostgreSQL"),
        ("access denied for user", "MySQL"),
        ("wrongpass", "Redis"),
        ("noauth authentication required", "Redis"),
        ("err invalid password", "Redis"),
        ("client sent auth, but no password is set", "Redis"),
        ("without any password configured", "Redis"),
        ("mongoservererror: authentication failed", "MongoDB"),
        ("command authenticate failed", "MongoDB"),
        ("exception authenticating mongocredential", "MongoDB"),
        ("scram-sha-256 authentication failed", "MongoDB"),
        ("(authenticationfailed)", "MongoDB"),
        ("access_refused", "RabbitMQ"),
        ("username or password not allowed", "RabbitMQ"),
        ("sasl authentication failed", "Kafka"),
        ("saslauthenticationexception", "Kafka"),
        ("authorization violation", "NATS"),
        ("security_exception", "Elasticsearch"),
        ("login failed for user", "SQL Server"),
        ("ora-01017", "Oracle"),
        ("invalidaccesskeyid", "the object store"),
        ("signaturedoesnotmatch", "the object store"),
        ("invalid username or password", "the server"),
        ("authentication failed", "the server"),
        ("401 unauthorized", "the server"),
        ("status code 401", "the server"),
        ("status: 401", "the server"),
        ("status=401", "the server"),
        ("http 401", "the server"),
    ];
    words.iter().find(|(words, _)| line.has(words)).map(|(_, whose)| *whose)
}
