//! Which names say that their value is a credential.

/// How sure a name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Name {
    /// Says nothing.
    Plain,
    /// A word that prose uses too (`auth`, `pass`, `signature`): believed with `=` or a quoted value only.
    Weak,
    /// A credential's.
    Secret,
    /// A password's: hardly ever followed by prose.
    Password,
}

/// Words that name a credential by themselves, or at the end of a longer word (`PGPASSWORD`, `authtoken`).
const WORDS: [&str; 17] = [
    "password",
    "passwords",
    "passwd",
    "passphrase",
    "passcode",
    "pwd",
    "secret",
    "token",
    "apikey",
    "credential",
    "credentials",
    "creds",
    "authorization",
    "cookie",
    "dockerconfigjson",
    "pw",
    "pat",
];

/// Words that name one only beside an equals sign or a quoted value.
const WEAK: [&str; 5] = ["auth", "pass", "sig", "signature", "dsn"];

/// What makes of a `key` a secret one; other keys are those of maps, caches and databases.
const KEYS: [&str; 29] = [
    "api",
    "access",
    "account",
    "aes",
    "app",
    "application",
    "auth",
    "cipher",
    "client",
    "consumer",
    "crypto",
    "deploy",
    "encryption",
    "hmac",
    "host",
    "jwt",
    "license",
    "master",
    "private",
    "rsa",
    "secret",
    "server",
    "service",
    "session",
    "shared",
    "signing",
    "ssh",
    "storage",
    "webhook",
];

/// What a name ends with that tells about a credential without being one: where it is, what it is called, how long it
/// lives.
const ABOUT: [&str; 44] = [
    "algorithm",
    "alg",
    "audience",
    "class",
    "column",
    "count",
    "dir",
    "directory",
    "disabled",
    "enabled",
    "endpoint",
    "expiration",
    "expires",
    "expiry",
    "field",
    "file",
    "filename",
    "header",
    "host",
    "interval",
    "issuer",
    "label",
    "length",
    "limit",
    "location",
    "max",
    "min",
    "minutes",
    "mode",
    "mount",
    "name",
    "names",
    "namespace",
    "path",
    "policy",
    "port",
    "prefix",
    "ref",
    "seconds",
    "size",
    "store",
    "timeout",
    "ttl",
    "type",
];

/// What makes a name that of a derivative, wherever it stands: `checksum/secret` is how charts roll out changed Secrets.
const DERIVED: [&str; 9] =
    ["checksum", "hash", "sha256", "digest", "fingerprint", "generation", "revision", "version", "public"];

/// Whether a word is worth taking apart. Cheap: it is asked of every word of a suspicious text.
pub(super) fn may_name(word: &str) -> bool {
    const ROOTS: [&str; 14] = [
        "pass", "pwd", "pw", "pat", "secret", "token", "key", "cred", "auth", "cookie", "sig", "dsn", "bearer", "basic",
    ];
    let bytes = word.as_bytes();
    ROOTS.iter().any(|root| bytes.windows(root.len()).any(|part| part.eq_ignore_ascii_case(root.as_bytes())))
        || bytes.windows(12).any(|part| part.eq_ignore_ascii_case(b"dockerconfig"))
}

/// What the name of a key in text, of a field, of a flag says of its value.
pub(super) fn of(name: &str) -> Name {
    // Of a host (`token.example.org`) or a setting (`spring.datasource.password`) the end says what it is.
    if name.bytes().filter(|byte| *byte == b'.').count() > 1
        && let Some((_, last)) = name.trim_matches('.').rsplit_once('.')
    {
        return of(last);
    }
    let mut segments = segments(name);
    // Which environment, and which one of several, is no part of what it is: `API_KEY_PROD`, `PASSWORD_2`.
    while segments.len() > 1 && segments.last().is_some_and(|last| is_which(last)) {
        segments.pop();
    }
    let Some(last) = segments.last() else { return Name::Plain };
    if ABOUT.contains(&last.as_str())
        || segments.iter().any(|segment| DERIVED.contains(&segment.as_str()))
        || last == "url"
        || last == "uri"
    {
        return Name::Plain;
    }
    if last == "id" {
        // A key's id is a name; Vault's `secret_id` is a credential.
        return if segments.len() > 1 && segments[segments.len() - 2] == "secret" { Name::Secret } else { Name::Plain };
    }
    let ends = |words: &[&str]| segments.iter().any(|segment| words.iter().any(|word| segment.ends_with(word)));
    if ends(&["password", "passwords", "passwd", "passphrase", "pwd"]) {
        return Name::Password;
    }
    // Of two words, the last is what it is: a `token bucket` holds no credential.
    let secret = segments.iter().any(|segment| WORDS.iter().any(|word| segment == word))
        || ["secret", "token", "apikey", "credentials"].iter().any(|word| last.ends_with(word));
    if secret || is_secret_key(&segments) {
        return Name::Secret;
    }
    if WEAK.contains(&last.as_str()) { Name::Weak } else { Name::Plain }
}

/// What tells one of several credentials from the others.
fn is_which(word: &str) -> bool {
    const WHICH: [&str; 18] = [
        "prod",
        "production",
        "staging",
        "stage",
        "dev",
        "development",
        "test",
        "qa",
        "live",
        "old",
        "new",
        "primary",
        "secondary",
        "backup",
        "ro",
        "rw",
        "v1",
        "v2",
    ];
    WHICH.contains(&word) || (word.len() <= 2 && word.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Whether a path such as `checksum/` leads to something derived.
pub(super) fn is_derived(path: &str) -> bool {
    !path.is_empty() && segments(path).iter().any(|segment| DERIVED.contains(&segment.as_str()))
}

/// Whether the value of an environment variable of this name is left out as a whole. More suspicious than [`of`]: here
/// the name is all there is to go by.
pub(super) fn of_variable(name: &str) -> bool {
    let mut segments = segments(name);
    let is_hook = segments.iter().any(|segment| segment == "webhook" || segment == "dsn")
        && segments.last().is_some_and(|last| matches!(last.as_str(), "webhook" | "url" | "uri" | "dsn"));
    while segments.len() > 1 && segments.last().is_some_and(|last| is_which(last)) {
        segments.pop();
    }
    of(name) > Name::Weak
        || is_hook
        || segments.last().is_some_and(|last| {
            matches!(last.as_str(), "key" | "keys" | "auth" | "pass" | "pin" | "salt" | "seed" | "dsn")
                || last.ends_with("key")
                || last.ends_with("pass")
        })
}

fn is_secret_key(segments: &[String]) -> bool {
    let Some((last, before)) = segments.split_last() else { return false };
    if last == "key" {
        return before.last().is_some_and(|word| KEYS.contains(&word.as_str()));
    }
    last.strip_suffix("key").is_some_and(|word| KEYS.iter().any(|key| word.ends_with(key)))
}

/// The words of a name in lower case: `AWS_SECRET_ACCESS_KEY`, `clientSecret` and `x-api-key` are three words each or two.
fn segments(name: &str) -> Vec<String> {
    let mut segments = Vec::new();
    let mut word = String::new();
    let mut before_lower = false;
    for c in name.chars() {
        let ends = !c.is_alphanumeric() || (c.is_uppercase() && before_lower);
        if ends && !word.is_empty() {
            segments.push(std::mem::take(&mut word));
        }
        if c.is_alphanumeric() {
            word.extend(c.to_lowercase());
        }
        before_lower = c.is_lowercase() || c.is_ascii_digit();
    }
    if !word.is_empty() {
        segments.push(word);
    }
    segments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_credentials_are_known_in_every_spelling() {
        for name in [
            "password",
            "DB_PASSWORD",
            "PGPASSWORD",
            "dbPassword",
            "MYSQL_PWD",
            "clientSecret",
            "client_secret",
            "x-api-key",
            "apiKey",
            "APIKEY",
            "AWS_SECRET_ACCESS_KEY",
            "aws_secret_access_key",
            "authToken",
            "access_token",
            "X-Auth-Token",
            "Authorization",
            "set-cookie",
            "privateKey",
            "SharedAccessKey",
            "secret_id",
            "redis.password",
        ] {
            assert!(of(name) > Name::Weak, "{name}");
            assert!(of_variable(name), "{name}");
        }
    }

    #[test]
    fn what_tells_about_a_credential_is_none() {
        for name in [
            "secretName",
            "secret-name",
            "secretRef",
            "PASSWORD_FILE",
            "tokenExpirationSeconds",
            "checksum/secret",
            "keyName",
            "key",
            "primary_key",
            "max_tokens",
            "monkey",
            "PUBLIC_KEY",
            "SSH_PUBLIC_KEY",
            "TOKEN_URL",
            "AWS_ACCESS_KEY_ID",
            "resourceVersion",
            "uid",
        ] {
            assert_eq!(of(name), Name::Plain, "{name}");
        }
        for name in ["KEYCLOAK_HOST", "LOG_LEVEL", "PASSWORD_FILE", "TOKENIZER"] {
            assert!(!of_variable(name), "{name}");
        }
        for name in ["KEY", "STRIPE_KEY", "DB_PASS", "BASIC_AUTH", "ENCRYPTIONKEY"] {
            assert!(of_variable(name), "{name}");
        }
    }
}
