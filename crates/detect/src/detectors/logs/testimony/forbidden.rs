//! What the API server says when it does not let somebody.

use super::{Line, quoted};

/// Who may not do what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Forbidden {
    /// As the API server knows the user: `system:serviceaccount:shop:api`.
    pub(crate) user: String,
    /// `get`, `list`, …
    pub(crate) verb: String,
    /// Plural, with its subresource.
    pub(crate) resource: String,
    /// Its group, empty for the core group.
    pub(crate) group: String,
    /// `None` at the cluster's scope.
    pub(crate) namespace: Option<String>,
    /// What the authorizer adds: a binding whose role is not there.
    pub(crate) because: Option<String>,
}

impl Forbidden {
    /// `User "u" cannot V resource "R" in API group "G" in the namespace "N"`, or `at the cluster scope`.
    pub(super) fn of(line: &Line) -> Option<Forbidden> {
        let rest = line.after("user \"")?;
        let (user, rest) = rest.split_once('"')?;
        let rest = rest.trim_start().strip_prefix("cannot ")?;
        let (verb, rest) = rest.split_once(' ')?;
        let (resource, rest) = match rest.strip_prefix("resource ") {
            Some(rest) => {
                let resource = quoted(rest)?;
                (resource, rest.get(resource.len() + 2..)?)
            }
            // Before 1.12: `cannot list pods in the namespace "shop"`.
            None => rest.split_once(' ')?,
        };
        let quoted_after = |words: &str| rest.split_once(words).and_then(|(_, rest)| quoted(rest));
        let because =
            rest.split_once(": RBAC: ").map(|(_, why)| reckon_model::text::shorten(why.trim(), 200).into_owned());
        Some(Forbidden {
            user: user.to_owned(),
            verb: verb.to_owned(),
            resource: resource.to_owned(),
            group: quoted_after("in API group ").unwrap_or("").to_owned(),
            namespace: quoted_after("in the namespace ").map(str::to_owned),
            because,
        })
    }

    /// The namespace and name of the service account that this user is.
    pub(crate) fn account(&self) -> Option<(&str, &str)> {
        self.user.strip_prefix("system:serviceaccount:")?.split_once(':')
    }
}
