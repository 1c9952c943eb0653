//! How a reference to an object is written in the record: group and kind apart, as in RBAC rules, without the version.

use crate::{Kind, ResourceRef};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;

/// An object by name: without a group one of the core group, without a namespace one that lives in none.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) struct Reference<'a> {
    #[serde(default, skip_serializing_if = "str::is_empty", borrow)]
    group: Cow<'a, str>,
    #[serde(borrow)]
    kind: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none", borrow)]
    namespace: Option<Cow<'a, str>>,
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none", borrow)]
    uid: Option<Cow<'a, str>>,
}

impl<'a> From<&'a ResourceRef> for Reference<'a> {
    fn from(reference: &'a ResourceRef) -> Self {
        let ResourceRef { kind, namespace, name, uid } = reference;
        Reference {
            group: kind.group().into(),
            kind: kind.name().into(),
            namespace: namespace.as_deref().map(Cow::from),
            name: name.into(),
            uid: uid.as_deref().map(Cow::from),
        }
    }
}

impl From<Reference<'_>> for ResourceRef {
    fn from(reference: Reference<'_>) -> Self {
        let Reference { group, kind, namespace, name, uid } = reference;
        ResourceRef {
            kind: Kind::of_group(&group, &kind),
            namespace: namespace.map(Cow::into_owned),
            name: name.into_owned(),
            uid: uid.map(Cow::into_owned),
        }
    }
}

pub(super) mod reference {
    use super::{Deserialize, Deserializer, Reference, ResourceRef, Serialize, Serializer};

    pub(in crate::record) fn serialize<S: Serializer>(of: &ResourceRef, serializer: S) -> Result<S::Ok, S::Error> {
        Reference::from(of).serialize(serializer)
    }

    pub(in crate::record) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ResourceRef, D::Error> {
        Reference::deserialize(deserializer).map(ResourceRef::from)
    }
}

pub(super) mod maybe_reference {
    use super::{Deserialize, Deserializer, Reference, ResourceRef, Serialize, Serializer};

    pub(in crate::record) fn serialize<S: Serializer>(
        of: &Option<ResourceRef>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        of.as_ref().map(Reference::from).serialize(serializer)
    }

    pub(in crate::record) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<ResourceRef>, D::Error> {
        Ok(Option::<Reference<'_>>::deserialize(deserializer)?.map(ResourceRef::from))
    }
}
