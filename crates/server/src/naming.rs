//! How an object is named in an address: `deployment.apps/shop/checkout`, `node/worker-1`.

use crate::refusal::Refusal;
use reckon_model::{Kind, ResourceRef};

/// The object that `text` names: `KIND[.GROUP]/NAMESPACE/NAME`, or `KIND[.GROUP]/NAME` for one without a namespace. Kinds that
/// Reckon knows by name are taken in every spelling of kubectl; others as manifests write them.
pub(crate) fn object(text: &str) -> Result<ResourceRef, Refusal> {
    let wrong = || {
        let form = "KIND[.GROUP]/NAMESPACE/NAME, or KIND[.GROUP]/NAME without a namespace";
        Refusal::bad(format!("{text:?} names no object; the form is {form}"))
    };
    let parts: Vec<&str> = text.split('/').collect();
    if parts.iter().any(|part| part.is_empty()) {
        return Err(wrong());
    }
    let (kind, namespace, name) = match parts.as_slice() {
        [kind, name] => (*kind, None, *name),
        [kind, namespace, name] => (*kind, Some(*namespace), *name),
        _ => return Err(wrong()),
    };
    let kind = Kind::parse(kind).unwrap_or_else(|| {
        let (name, group) = kind.split_once('.').unwrap_or((kind, ""));
        Kind::of_group(group, name)
    });
    // Of kinds that nobody knows by name, who asks knows whether they are in a namespace.
    if kind.served().is_some() && kind.namespaced() != namespace.is_some() {
        return Err(wrong());
    }
    Ok(ResourceRef { kind, namespace: namespace.map(str::to_owned), name: name.to_owned(), uid: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_named_as_kubectl_names_its_kind() {
        let checkout = ResourceRef::new(Kind::Deployment, Some("shop"), "checkout");
        for text in ["deploy/shop/checkout", "Deployment.apps/shop/checkout", "deployments/shop/checkout"] {
            assert_eq!(object(text), Ok(checkout.clone()), "{text}");
        }
        assert_eq!(object("no/worker-1"), Ok(ResourceRef::new(Kind::Node, None, "worker-1")));
        let certificate = object("Certificate.cert-manager.io/shop/tls").unwrap();
        assert_eq!((certificate.kind.group(), certificate.kind.name()), ("cert-manager.io", "Certificate"));
        assert_eq!(object("ClusterIssuer.cert-manager.io/main").unwrap().namespace, None);
    }

    #[test]
    fn what_names_no_object_says_how_one_is_named() {
        for text in ["", "checkout", "deploy/checkout", "node/shop/worker-1", "deploy//checkout", "a/b/c/d", "/"] {
            assert!(object(text).is_err(), "{text}");
        }
    }
}
