//! What the kubelet says is missing.

use reckon_model::Kind;

/// One thing that is not there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lack {
    /// An object.
    Object { kind: Kind, name: String },
    /// A key of an object, for a variable.
    Key { kind: Kind, name: String, key: String },
    /// A key, for a volume: of which of its objects is not said.
    VolumeKey { kind: Kind, key: String },
}

/// Everything that a message says is missing, in its order. What passes by itself (`not registered`, a cache that is not
/// in sync yet) is none of it.
pub(super) fn lacks(message: &str) -> Vec<Lack> {
    let mut lacks = Vec::new();
    if let Some((_, rest)) = message.split_once("couldn't find key ")
        && let Some((key, rest)) = rest.split_once(" in ")
        && let Some((kind, object)) = rest.split_once(' ')
    {
        let name = object.split_once('/').map_or(object, |(_, name)| name);
        let name = name.split([',', ']', ' ']).next().unwrap_or(name);
        if let Some(kind) = kind_of(kind) {
            lacks.push(Lack::Key { kind, name: name.to_owned(), key: key.to_owned() });
        }
    }
    for (kind, lead) in [(Kind::ConfigMap, "configmap \""), (Kind::Secret, "secret \"")] {
        let mut rest = message;
        while let Some((_, after)) = rest.split_once(lead) {
            let Some((name, tail)) = after.split_once('"') else { break };
            if tail.trim_start().starts_with("not found") {
                lacks.push(Lack::Object { kind: kind.clone(), name: name.to_owned() });
            }
            rest = tail;
        }
    }
    for (kind, lead) in [
        (Kind::ConfigMap, "references non-existent config key: "),
        (Kind::Secret, "references non-existent secret key: "),
    ] {
        let mut rest = message;
        while let Some((_, after)) = rest.split_once(lead) {
            let key = after.split([',', ']', ' ', '\n']).next().unwrap_or(after);
            lacks.push(Lack::VolumeKey { kind: kind.clone(), key: key.to_owned() });
            rest = after;
        }
    }
    lacks
}

fn kind_of(word: &str) -> Option<Kind> {
    match word {
        "ConfigMap" => Some(Kind::ConfigMap),
        "Secret" => Some(Kind::Secret),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(kind: Kind, name: &str) -> Lack {
        Lack::Object { kind, name: name.into() }
    }

    #[test]
    fn every_wording_is_understood() {
        assert_eq!(lacks(r#"configmap "missing" not found"#), [object(Kind::ConfigMap, "missing")]);
        assert_eq!(
            lacks("couldn't find key password in Secret shop/db"),
            [Lack::Key { kind: Kind::Secret, name: "db".into(), key: "password".into() }]
        );
        assert_eq!(
            lacks(r#"MountVolume.SetUp failed for volume "v" : [configmap "a" not found, secret "b" not found]"#),
            [object(Kind::ConfigMap, "a"), object(Kind::Secret, "b")]
        );
        assert_eq!(
            lacks(r#"MountVolume.SetUp failed for volume "v" : references non-existent secret key: tls.crt"#),
            [Lack::VolumeKey { kind: Kind::Secret, key: "tls.crt".into() }]
        );
        assert_eq!(
            lacks("configmap references non-existent config key: app.yaml"),
            [Lack::VolumeKey { kind: Kind::ConfigMap, key: "app.yaml".into() }]
        );
    }

    #[test]
    fn what_passes_by_itself_is_nothing() {
        for message in [
            r#"MountVolume.SetUp failed for volume "kube-api-access-rhmgf" : object "shop"/"kube-root-ca.crt" not registered"#,
            "failed to sync configmap cache: timed out waiting for the condition",
            "",
            "configmap \"",
            "couldn't find key ",
        ] {
            assert_eq!(lacks(message), [], "{message}");
        }
    }
}
