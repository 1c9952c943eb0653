//! Names that programs could not look up, in their own words.

/// A name that was not resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failed<'a> {
    /// The name.
    pub(super) name: &'a str,
    /// Whether a server said that there is no such name; else none gave an answer of use.
    pub(super) denied: bool,
}

/// What stands before the name, what it is that failed: Go, Node.js, Java, PostgreSQL's and curl's libraries, Python.
const BEFORE: [&str; 8] = [
    "lookup ",
    "getaddrinfo ENOTFOUND ",
    "getaddrinfo EAI_AGAIN ",
    "UnknownHostException: ",
    "could not translate host name ",
    "Could not resolve host: ",
    "Failed to resolve ",
    "could not resolve host ",
];

/// The words of an answer that is none.
const SILENT: [&str; 6] = [
    "server misbehaving",
    "i/o timeout",
    "EAI_AGAIN",
    "emporary failure in name resolution",
    "Try again",
    "connection refused",
];

/// And of one that says no.
const DENIED: [&str; 6] = [
    "no such host",
    "ENOTFOUND",
    "UnknownHostException",
    "ame or service not known",
    "Could not resolve host",
    "could not resolve host",
];

/// The name that a line says could not be looked up.
pub(super) fn failed(line: &str) -> Option<Failed<'_>> {
    let silent = SILENT.iter().any(|words| line.contains(words));
    let denied = DENIED.iter().any(|words| line.contains(words));
    if !silent && !denied {
        return None;
    }
    let rest = BEFORE.iter().find_map(|before| Some(line.split_once(before)?.1))?;
    let rest = rest.trim_start_matches(['"', '\'', ' ']);
    let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))).unwrap_or(rest.len());
    let name = rest.get(..end)?.trim_end_matches('.');
    let plausible = (1..=253).contains(&name.len()) && name.bytes().any(|byte| byte.is_ascii_alphabetic());
    plausible.then_some(Failed { name, denied: denied && !silent })
}

/// The Service that a name would be, in a namespace: `db`, `db.shop`, `db.shop.svc`, `db.shop.svc.cluster.local`.
pub(super) fn service<'a>(name: &'a str, namespace: &'a str) -> Option<(&'a str, &'a str)> {
    let mut parts = name.split('.');
    let service = parts.next().filter(|it| !it.is_empty())?;
    let Some(space) = parts.next() else { return Some((service, namespace)) };
    match parts.next() {
        None | Some("svc") => Some((service, space)),
        Some(_) => None,
    }
}

/// Whether a name can only be one outside of the cluster.
pub(super) fn is_outside(name: &str) -> bool {
    let cluster = name.ends_with(".cluster.local") || name.ends_with(".svc") || name.contains(".svc.");
    name.contains('.') && !cluster && !name.ends_with(".local") && !name.ends_with(".internal")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_found_in_the_words_of_many_libraries() {
        for (line, name, denied) in [
            ("dial tcp: lookup db on 8.8.8.8:53: no such host", "db", true),
            (
                "Get \"https://api.example.com/\": dial tcp: lookup api.example.com on 10.96.0.10:53: server misbehaving",
                "api.example.com",
                false,
            ),
            ("lookup api.example.com: i/o timeout", "api.example.com", false),
            ("Error: getaddrinfo ENOTFOUND db.shop.svc.cluster.local", "db.shop.svc.cluster.local", true),
            ("Error: getaddrinfo EAI_AGAIN db", "db", false),
            ("java.net.UnknownHostException: db: Name or service not known", "db", true),
            ("could not translate host name \"db\" to address: Name or service not known", "db", true),
            ("curl: (6) Could not resolve host: db.shop", "db.shop", true),
            ("Failed to resolve 'db' ([Errno -3] Temporary failure in name resolution)", "db", false),
        ] {
            assert_eq!(failed(line), Some(Failed { name, denied }), "{line}");
        }
        for other in ["connection refused", "lookup table: no such host", "no such host", ""] {
            assert!(failed(other).is_none_or(|it| it.name == "table"), "{other}");
        }
    }

    #[test]
    fn a_name_is_a_service_or_lies_outside() {
        assert_eq!(service("db", "shop"), Some(("db", "shop")));
        assert_eq!(service("db.data.svc.cluster.local", "shop"), Some(("db", "data")));
        assert_eq!(service("api.example.com", "shop"), None);
        assert!(is_outside("api.example.com") && !is_outside("db") && !is_outside("db.shop.svc"));
    }
}
