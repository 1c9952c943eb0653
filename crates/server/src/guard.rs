//! By which names, and from which pages, this server may be asked.
//!
//! A page of another site can make a browser ask a server on the same machine, by a name that it makes point there or by the
//! address itself. The `Host` header tells the first, the `Origin` header the second; both are checked on every route, also
//! where no credential is needed.

use crate::refusal::{Code, Refusal};
use http::{HeaderMap, header, uri::Authority};

/// The names this server answers to.
#[derive(Clone, Debug)]
pub struct Names(Vec<String>);

impl Names {
    /// The names of the loopback, and these: host names or addresses without a port, as given by the operator.
    pub fn new<S: Into<String>>(more: impl IntoIterator<Item = S>) -> Self {
        let loopback = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
        Names(
            loopback
                .into_iter()
                .chain(more.into_iter().map(Into::into))
                .map(|name| name.to_ascii_lowercase())
                .collect(),
        )
    }

    fn has(&self, host: &str) -> bool {
        let host = host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.').to_ascii_lowercase();
        self.0.contains(&host)
    }

    /// Whether a request with these headers may be answered at all. `authority` is the one in the request line, which HTTP/2
    /// has instead of a `Host`.
    pub(crate) fn check(&self, authority: Option<&Authority>, headers: &HeaderMap) -> Result<(), Refusal> {
        let host = match (authority, one(headers, header::HOST)?) {
            (Some(authority), None) => authority.clone(),
            (None, Some(host)) => parse(host)?,
            (Some(authority), Some(host)) if parse(host)? == *authority => authority.clone(),
            _ => return Err(wrong("the request names no host, or two")),
        };
        if !self.has(host.host()) {
            return Err(wrong(format!("this server does not answer to the name {:?}; see --name", host.host())));
        }
        // Browsers send it wherever another page could be the one that asks; other programs do not.
        let Some(origin) = one(headers, header::ORIGIN)? else { return Ok(()) };
        let from = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        match from.map(parse) {
            Some(Ok(from)) if from == host => Ok(()),
            _ => Err(wrong("the request comes from a page of another site")),
        }
    }
}

fn wrong(detail: impl Into<String>) -> Refusal {
    Refusal::new(Code::WrongOrigin, detail)
}

fn parse(host: &str) -> Result<Authority, Refusal> {
    host.parse().map_err(|_| wrong("the host that the request names is none"))
}

fn one(headers: &HeaderMap, name: http::HeaderName) -> Result<Option<&str>, Refusal> {
    let mut all = headers.get_all(&name).iter();
    match (all.next(), all.next()) {
        (None, _) => Ok(None),
        (Some(only), None) => only.to_str().map(Some).map_err(|_| wrong(format!("the header {name} is not text"))),
        _ => Err(wrong(format!("the header {name} is there twice"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn asked(host: &str, origin: Option<&str>) -> Result<(), Refusal> {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_str(host).unwrap());
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, HeaderValue::from_str(origin).unwrap());
        }
        Names::new(["reckon.example.com"]).check(None, &headers)
    }

    #[test]
    fn the_loopback_and_the_given_names_are_answered_to() {
        for host in ["localhost:8080", "127.0.0.1:8080", "[::1]:8080", "reckon.example.com", "RECKON.example.com.:443"]
        {
            assert_eq!(asked(host, None), Ok(()), "{host}");
        }
    }

    #[test]
    fn a_name_that_somebody_made_point_here_is_not() {
        for host in
            ["evil.example", "localhost.evil.example", "127.0.0.1.nip.io", "0.0.0.0", "169.254.169.254", "", "a b"]
        {
            assert!(asked(host, None).is_err(), "{host}");
        }
    }

    #[test]
    fn a_page_may_ask_the_server_that_it_came_from_and_no_other() {
        assert_eq!(asked("localhost:8080", Some("http://localhost:8080")), Ok(()));
        for origin in ["http://localhost:9090", "http://evil.example", "null", "file://", "http://127.0.0.1:8080"] {
            assert!(asked("localhost:8080", Some(origin)).is_err(), "{origin}");
        }
    }

    #[test]
    fn two_hosts_are_none() {
        let mut headers = HeaderMap::new();
        headers.append(header::HOST, HeaderValue::from_static("localhost"));
        headers.append(header::HOST, HeaderValue::from_static("evil.example"));
        assert!(Names::new([""; 0]).check(None, &headers).is_err());
        assert!(Names::new([""; 0]).check(None, &HeaderMap::new()).is_err());
    }
}
