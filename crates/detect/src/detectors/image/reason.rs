//! Why a pull failed, from what runtimes and registries say.

/// Why an image is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// The registry does not have it.
    NotFound,
    /// The registry says it is not there, or not for those who ask: it does not tell which.
    Hidden,
    /// The registry wants other credentials.
    Auth,
    /// The registry was asked too often.
    RateLimited,
    /// The registry was not reached, or is ill; the class says how.
    Unreachable(&'static str),
    /// There is none for the node's processor.
    WrongPlatform,
    /// It cannot be used whatever the registry says; the class says why.
    Unusable(&'static str),
    /// Not said, or not in words that are known.
    Unknown,
}

impl Reason {
    /// Whether the next attempt may well succeed with nobody doing anything.
    pub(super) fn may_heal(self) -> bool {
        matches!(self, Reason::RateLimited | Reason::Unreachable(_) | Reason::Unknown)
    }
}

/// The phrases of containerd 1.x and 2.x, CRI-O and Docker, and of registries through them, in lower case. The first that
/// fits wins: containerd ends "no match for platform in manifest" with ": not found", and a registry that hides what one
/// may not see speaks of authorization and of absence in one sentence.
const PHRASES: &[(Reason, &[&str])] = &[
    (Reason::RateLimited, &["429 too many requests", "toomanyrequests", "too many requests", "rate limit"]),
    (
        Reason::WrongPlatform,
        &[
            "no match for platform in manifest",
            "no matching manifest for",
            "does not match the specified platform",
            "no image found in manifest list for architecture",
            "no image found in image index for architecture",
        ],
    ),
    (
        Reason::Unusable("signature"),
        &["signature validation failed", "a signature was required", "source image rejected"],
    ),
    (Reason::Unusable("invalid-name"), &["couldn't parse image name", "invalid reference format", "ambiguous list"]),
    (Reason::Unreachable("plain-http"), &["server gave http response to https client"]),
    (Reason::Unreachable("certificate"), &["x509:", "tls: ", "certificate signed by unknown authority"]),
    (Reason::Unreachable("name"), &["no such host", "server misbehaving", "temporary failure in name resolution"]),
    (Reason::Unreachable("refused"), &["connection refused", "connection reset by peer"]),
    (
        Reason::Unreachable("no-answer"),
        &[
            "i/o timeout",
            "tls handshake timeout",
            "no route to host",
            "network is unreachable",
            "context deadline exceeded",
            "client.timeout exceeded",
            "proxyconnect",
            ": eof",
            "unexpected eof",
        ],
    ),
    (
        Reason::Unreachable("server-error"),
        &["500 internal server error", "502 bad gateway", "503 service unavailable", "504 gateway timeout"],
    ),
    (
        Reason::Hidden,
        &["repository does not exist or may require", "pull access denied", "denied on resource (or it may not exist)"],
    ),
    (
        Reason::Auth,
        &[
            "401 unauthorized",
            "403 forbidden",
            "insufficient_scope",
            "no basic auth credentials",
            "authentication required",
            "unauthorized: ",
            "not authorized",
            "access to the resource is denied",
            "access to the requested resource is denied",
            "invalid username/password",
            "authorization failed",
            "failed to authorize",
            "denied: ",
        ],
    ),
    (Reason::NotFound, &["manifest unknown", "name unknown", "does not exist", "code = notfound", "not found"]),
];

/// The reason, from the word of `state.waiting.reason` and the text that goes with it. The image's own name is left out of
/// the text: an image may be called anything.
pub(super) fn of(word: &str, text: &str, image: &str) -> Reason {
    match word {
        "InvalidImageName" => return Reason::Unusable("invalid-name"),
        "ErrImageNeverPull" => return Reason::Unusable("never-pull"),
        "SignatureValidationFailed" => return Reason::Unusable("signature"),
        _ => {}
    }
    let text = if image.is_empty() { text.to_lowercase() } else { text.replace(image, "").to_lowercase() };
    // `lookup registry.example on 10.0.0.2:53: … i/o timeout` is a name that is not resolved, not a registry that is slow.
    if text.contains(": lookup ") && !text.contains("429 ") {
        return Reason::Unreachable("name");
    }
    let said = PHRASES.iter().find(|(_, phrases)| phrases.iter().any(|phrase| text.contains(phrase)));
    match (said, word) {
        (Some((reason, _)), _) => *reason,
        (None, "RegistryUnavailable") => Reason::Unreachable("unavailable"),
        (None, "ImageInspectError") => Reason::Unusable("inspect-error"),
        (None, _) => Reason::Unknown,
    }
}

/// The registry of an image, as runtimes read the name.
pub(super) fn host(image: &str) -> &str {
    match image.split_once('/') {
        Some((first, _)) if first.contains(['.', ':']) || first == "localhost" => first,
        _ => "docker.io",
    }
}

/// The image without tag and digest.
pub(super) fn repository(image: &str) -> &str {
    let image = image.split_once('@').map_or(image, |(name, _)| name);
    match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => name,
        _ => image,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_runtime_is_understood() {
        for (text, reason) in [
            (
                r#"rpc error: code = NotFound desc = failed to pull and unpack image "docker.io/library/nginx:nope": failed to resolve reference "docker.io/library/nginx:nope": docker.io/library/nginx:nope: not found"#,
                Reason::NotFound,
            ),
            (
                r#"failed to pull and unpack image "a/b:1": failed to resolve reference "a/b:1": unexpected status from HEAD request to https://a/v2/b/manifests/1: 401 Unauthorized"#,
                Reason::Auth,
            ),
            (
                r#"failed to authorize: failed to fetch anonymous token: unexpected status from GET request to https://ghcr.io/token?scope=x: 403 Forbidden"#,
                Reason::Auth,
            ),
            (
                "pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed",
                Reason::Hidden,
            ),
            (
                "toomanyrequests: You have reached your pull rate limit. You may increase the limit by authenticating",
                Reason::RateLimited,
            ),
            (
                r#"failed to pull and unpack image "a/b:1": no match for platform in manifest: not found"#,
                Reason::WrongPlatform,
            ),
            (
                r#"failed to do request: Head "https://registry.invalid/v2/nothing/manifests/1": dial tcp: lookup registry.invalid on 10.255.255.53:53: read udp 10.77.0.11:53092->10.255.255.53:53: i/o timeout"#,
                Reason::Unreachable("name"),
            ),
            (
                r#"failed to do request: Head "https://192.0.2.7/v2/app/manifests/1": dial tcp 192.0.2.7:443: i/o timeout"#,
                Reason::Unreachable("no-answer"),
            ),
            (
                "initializing source docker://quay.io/a/b:9: reading manifest 9 in quay.io/a/b: manifest unknown",
                Reason::NotFound,
            ),
            (
                r#"choosing image instance: no image found in image index for architecture "arm64", variant "v8", OS "linux""#,
                Reason::WrongPlatform,
            ),
            (
                "Error response from daemon: manifest for nginx:nope not found: manifest unknown: manifest unknown",
                Reason::NotFound,
            ),
            (
                r#"failed to verify certificate: x509: certificate signed by unknown authority"#,
                Reason::Unreachable("certificate"),
            ),
            ("failed to extract layer: write /var/lib/x: no space left on device", Reason::Unknown),
        ] {
            assert_eq!(of("ErrImagePull", text, ""), reason, "{text}");
        }
    }

    #[test]
    fn an_images_own_name_is_not_what_the_registry_says() {
        let image = "a.example/denied: x509:/app:1";
        assert_eq!(of("ErrImagePull", &format!("{image}: something else"), image), Reason::Unknown);
    }

    #[test]
    fn a_registry_is_the_first_part_that_looks_like_a_host() {
        assert_eq!(host("nginx"), "docker.io");
        assert_eq!(host("library/nginx:1"), "docker.io");
        assert_eq!(host("registry.test:5000/a/b:1"), "registry.test:5000");
        assert_eq!(repository("registry.test:5000/a/b:1"), "registry.test:5000/a/b");
        assert_eq!(repository("registry.test:5000/a/b"), "registry.test:5000/a/b");
        assert_eq!(repository("a@sha256:12"), "a");
    }
}
