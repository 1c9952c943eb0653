//! What roles and bindings give an account.

use crate::View;
use crate::detectors::logs::testimony::Forbidden;
use crate::view::Lookup;
use reckon_model::{Kind, Object, ResourceRef, Timestamp};
use serde_json::Value;

const GROUP: &str = "rbac.authorization.k8s.io";

pub(super) fn role() -> Kind {
    Kind::of_group(GROUP, "Role")
}

pub(super) fn binding() -> Kind {
    Kind::of_group(GROUP, "RoleBinding")
}

pub(super) fn cluster_role() -> Kind {
    Kind::of_group(GROUP, "ClusterRole")
}

pub(super) fn cluster_binding() -> Kind {
    Kind::of_group(GROUP, "ClusterRoleBinding")
}

/// What is known of an account's right.
pub(super) struct Grants<'a> {
    pub(super) answer: Answer<'a>,
    /// Whether everything that may give it was read.
    pub(super) complete: bool,
}

/// Whether an account has a right, and if not, what is nearest to giving it.
pub(super) enum Answer<'a> {
    Allowed,
    /// A binding whose role is not there.
    Dangling(&'a Object, ResourceRef),
    /// A role that it is bound to.
    Lacks(&'a Object),
    Unbound,
}

impl<'a> Grants<'a> {
    pub(super) fn of(view: &View<'a>, account: &ResourceRef, wanted: &Forbidden) -> Grants<'a> {
        let own = wanted.namespace.as_deref().map(|namespace| view.all(&binding(), Some(namespace)));
        let whole = view.all(&cluster_binding(), None);
        let mut complete = whole.complete && own.as_ref().is_none_or(|own| own.complete);
        let bindings = own.map(|own| own.items).unwrap_or_default().into_iter().chain(whole.items);
        let (mut dangling, mut lacking) = (None, None);
        for binding in bindings.filter(|binding| binds(binding, account)) {
            let Some(reference) = role_of(binding) else { continue };
            match view.look_up(&reference) {
                Lookup::Found(role) if allows(role, wanted) => return Grants { answer: Answer::Allowed, complete },
                // Roles of Kubernetes itself for everybody are none that somebody forgot a rule in.
                Lookup::Found(role) if !role.meta.name.starts_with("system:") => {
                    // A role that is this account's own is nearer than one of everybody's.
                    if lacking.is_none() || names(binding, account) {
                        lacking = Some(role);
                    }
                }
                Lookup::Found(_) => {}
                Lookup::Absent { .. } => dangling = dangling.or(Some((binding, reference))),
                Lookup::Unread => complete = false,
            }
        }
        let answer = match (dangling, lacking) {
            (Some((binding, role)), _) => Answer::Dangling(binding, role),
            (None, Some(role)) => Answer::Lacks(role),
            (None, None) => Answer::Unbound,
        };
        Grants { answer, complete }
    }
}

/// The binding of an account that was deleted last.
pub(super) fn deleted<'a>(view: &View<'a>, account: &ResourceRef) -> Option<(&'a Object, Timestamp)> {
    [binding(), cluster_binding()]
        .iter()
        .flat_map(|kind| view.deleted(kind, None))
        .filter(|(binding, _)| binds(binding, account))
        .max_by_key(|(_, at)| *at)
}

/// The role that a binding gives.
fn role_of(binding: &Object) -> Option<ResourceRef> {
    let whole = binding.whole()?;
    let given = whole.get("roleRef")?;
    let name = given.get("name")?.as_str()?;
    let kind = given.get("kind")?.as_str()?;
    let namespace = (kind == "Role").then(|| binding.namespace().to_owned());
    Some(ResourceRef { namespace, ..ResourceRef::new(Kind::of_group(GROUP, kind), None, name) })
}

/// Whether a binding is for an account: by its name, or as one of a group.
fn binds(binding: &Object, account: &ResourceRef) -> bool {
    names(binding, account)
        || subjects(binding, |subject| {
            let text = |key: &str| subject.get(key).and_then(Value::as_str).unwrap_or("");
            let user = format!("system:serviceaccount:{}:{}", account.namespace(), account.name);
            let of_namespace = format!("system:serviceaccounts:{}", account.namespace());
            match text("kind") {
                "User" => text("name") == user,
                "Group" => ["system:serviceaccounts", "system:authenticated", &of_namespace].contains(&text("name")),
                _ => false,
            }
        })
}

/// Whether a binding names an account.
fn names(binding: &Object, account: &ResourceRef) -> bool {
    subjects(binding, |subject| {
        let text = |key: &str| subject.get(key).and_then(Value::as_str).unwrap_or("");
        let namespace = if text("namespace").is_empty() { binding.namespace() } else { text("namespace") };
        text("kind") == "ServiceAccount" && text("name") == account.name && namespace == account.namespace()
    })
}

fn subjects(binding: &Object, any: impl Fn(&Value) -> bool) -> bool {
    let Some(whole) = binding.whole() else { return false };
    whole.get("subjects").and_then(Value::as_array).is_some_and(|subjects| subjects.iter().any(any))
}

/// Whether a role allows what was denied. One that allows it for some names only may.
fn allows(role: &Object, wanted: &Forbidden) -> bool {
    let Some(whole) = role.whole() else { return false };
    let has = |rule: &Value, key: &str, one: &dyn Fn(&str) -> bool| {
        rule.get(key).and_then(Value::as_array).is_some_and(|list| list.iter().filter_map(Value::as_str).any(one))
    };
    let sub = wanted.resource.split_once('/').map(|(_, sub)| format!("*/{sub}"));
    whole.get("rules").and_then(Value::as_array).is_some_and(|rules| {
        rules.iter().any(|rule| {
            has(rule, "verbs", &|verb| verb == "*" || verb == wanted.verb)
                && has(rule, "apiGroups", &|group| group == "*" || group == wanted.group)
                && has(rule, "resources", &|name| {
                    name == "*" || name == wanted.resource || Some(name) == sub.as_deref()
                })
        })
    })
}
