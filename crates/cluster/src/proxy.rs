//! Which proxy stands between here and the API server, by the rules of kubectl.
//!
//! `proxy-url` of the kubeconfig holds without exception. Without it the environment counts, as in every Go program:
//! `HTTPS_PROXY` or `HTTP_PROXY` by the scheme of the server, never for this machine itself, and not for the hosts that
//! `NO_PROXY` names. (kube matches `NO_PROXY` against the proxy instead of the server, which is why this is done here.)

use http::Uri;
use std::net::IpAddr;

/// The variables of the environment that decide.
#[derive(Clone, Debug, Default)]
pub(crate) struct ProxyVariables {
    pub(crate) https: Option<String>,
    pub(crate) http: Option<String>,
    pub(crate) no: Option<String>,
}

impl ProxyVariables {
    pub(crate) fn of_process() -> Self {
        let read = |names: [&str; 2]| {
            names.into_iter().filter_map(|name| std::env::var(name).ok()).find(|value| !value.trim().is_empty())
        };
        ProxyVariables {
            https: read(["HTTPS_PROXY", "https_proxy"]),
            http: read(["HTTP_PROXY", "http_proxy"]),
            no: read(["NO_PROXY", "no_proxy"]),
        }
    }
}

/// The proxy for a server. `Err` holds the text that is no URL.
pub(crate) fn choose(server: &Uri, configured: Option<&str>, env: &ProxyVariables) -> Result<Option<Uri>, String> {
    if let Some(url) = configured.map(str::trim).filter(|url| !url.is_empty()) {
        return parse(url).map(Some);
    }
    let from_env = if server.scheme_str() == Some("http") { &env.http } else { &env.https };
    let Some(url) = from_env else { return Ok(None) };
    let host = server.host().unwrap_or("").trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
    let loopback = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    let port = server.port_u16().unwrap_or(if server.scheme_str() == Some("http") { 80 } else { 443 });
    if loopback || env.no.as_deref().is_some_and(|no| excluded(&host, port, no)) {
        return Ok(None);
    }
    parse(url).map(Some)
}

fn parse(url: &str) -> Result<Uri, String> {
    let with_scheme = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
    // The name is resolved by the proxy either way.
    let with_scheme = with_scheme.replacen("socks5h://", "socks5://", 1);
    with_scheme.parse().map_err(|_| url.to_owned())
}

/// `NO_PROXY`: names with their subdomains, `.names` for subdomains alone, addresses, ranges, `*`; each may have a port.
fn excluded(host: &str, port: u16, no: &str) -> bool {
    let address = host.parse::<IpAddr>().ok();
    no.split(',').map(|entry| entry.trim().to_ascii_lowercase()).filter(|entry| !entry.is_empty()).any(|entry| {
        if entry == "*" {
            return true;
        }
        if let Some((network, bits)) = entry.split_once('/') {
            return match (network.parse::<IpAddr>(), bits.parse::<u32>(), address) {
                (Ok(network), Ok(bits), Some(address)) => within(address, network, bits),
                _ => false,
            };
        }
        if let Ok(excluded) = entry.parse::<IpAddr>() {
            return address == Some(excluded);
        }
        let (name, wanted) = match entry.rsplit_once(':') {
            Some((name, wanted)) if wanted.parse::<u16>().is_ok() => (name, wanted.parse::<u16>().ok()),
            _ => (entry.as_str(), None),
        };
        let name = name.trim_start_matches('*');
        let matches = match name.strip_prefix('.') {
            Some(parent) => host.strip_suffix(parent).is_some_and(|rest| rest.ends_with('.')),
            None => host == name || host.strip_suffix(name).is_some_and(|rest| rest.ends_with('.')),
        };
        matches && wanted.is_none_or(|wanted| wanted == port)
    })
}

fn within(address: IpAddr, network: IpAddr, bits: u32) -> bool {
    match (address, network) {
        (IpAddr::V4(a), IpAddr::V4(n)) if bits <= 32 => {
            let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
            a.to_bits() & mask == n.to_bits() & mask
        }
        (IpAddr::V6(a), IpAddr::V6(n)) if bits <= 128 => {
            let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
            a.to_bits() & mask == n.to_bits() & mask
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(server: &str, no: &str) -> Option<String> {
        let env = ProxyVariables { https: Some("http://proxy:3128".into()), http: None, no: Some(no.into()) };
        choose(&server.parse().unwrap(), None, &env).unwrap().map(|uri| uri.to_string())
    }

    #[test]
    fn no_proxy_is_matched_against_the_server_and_not_the_proxy() {
        assert_eq!(chosen("https://k8s.example.org:6443", "proxy").as_deref(), Some("http://proxy:3128/"));
        for no in ["example.org", ".example.org", "*.example.org", "k8s.example.org:6443", "*", "a, k8s.example.org"] {
            assert_eq!(chosen("https://k8s.example.org:6443", no), None, "{no}");
        }
        for no in ["k8s.example.org:443", "ample.org", ".k8s.example.org", ""] {
            assert!(chosen("https://k8s.example.org:6443", no).is_some(), "{no}");
        }
        assert_eq!(chosen("https://10.1.2.3:6443", "10.0.0.0/8"), None);
        assert!(chosen("https://11.1.2.3:6443", "10.0.0.0/8").is_some());
        assert_eq!(chosen("https://[fd00::1]:6443", "fd00::/8"), None);
    }

    #[test]
    fn this_machine_is_never_reached_through_the_environments_proxy() {
        assert_eq!(chosen("https://127.0.0.1:6443", ""), None);
        assert_eq!(chosen("https://localhost:6443", ""), None);
    }

    #[test]
    fn the_kubeconfigs_proxy_holds_without_exception() {
        let env = ProxyVariables { no: Some("*".into()), ..ProxyVariables::default() };
        let server = "https://127.0.0.1:6443".parse().unwrap();
        let proxy = choose(&server, Some("socks5h://gate:1080"), &env).unwrap();
        assert_eq!(proxy.unwrap().to_string(), "socks5://gate:1080/");
        assert!(choose(&server, Some("http://a b"), &env).is_err());
    }
}
