//! Who may do what: rules from the stored Roles and bindings.

use crate::status::ApiError;
use crate::users::User;
use crate::world::World;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What somebody wants to do.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Attributes<'a> {
    pub(crate) verb: &'a str,
    pub(crate) group: &'a str,
    pub(crate) resource: &'a str,
    pub(crate) sub: &'a str,
    /// Empty for the whole cluster.
    pub(crate) namespace: &'a str,
    /// Empty for any.
    pub(crate) name: &'a str,
    /// A path that is no resource; empty for resources.
    pub(crate) path: &'a str,
}

/// A rule of a role.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Rule {
    verbs: Vec<String>,
    api_groups: Vec<String>,
    resources: Vec<String>,
    resource_names: Vec<String>,
    #[serde(rename = "nonResourceURLs")]
    paths: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
struct Subject {
    kind: String,
    name: String,
    #[serde(default)]
    namespace: String,
}

#[derive(Debug)]
struct Binding {
    /// `None` for the whole cluster.
    namespace: Option<String>,
    subjects: Vec<Subject>,
    rules: Vec<Rule>,
}

/// The bindings with the rules they grant, until one of them changes.
#[derive(Debug, Default)]
pub(crate) struct Cache(Option<Vec<Binding>>);

impl Cache {
    pub(crate) fn forget(&mut self) {
        self.0 = None;
    }
}

impl Rule {
    fn grants(&self, wanted: &Attributes<'_>) -> bool {
        if !has(&self.verbs, wanted.verb) {
            return false;
        }
        if !wanted.path.is_empty() {
            return self.paths.iter().any(|path| match path.strip_suffix('*') {
                Some(prefix) => wanted.path.starts_with(prefix),
                None => path == wanted.path,
            });
        }
        let full = if wanted.sub.is_empty() {
            wanted.resource.to_owned()
        } else {
            format!("{}/{}", wanted.resource, wanted.sub)
        };
        let any_with_sub =
            || !wanted.sub.is_empty() && self.resources.iter().any(|r| *r == format!("*/{}", wanted.sub));
        has(&self.api_groups, wanted.group)
            && (has(&self.resources, &full) || any_with_sub())
            && (self.resource_names.is_empty() || self.resource_names.iter().any(|name| name == wanted.name))
    }

    fn json(&self) -> Value {
        if !self.paths.is_empty() {
            return json!({"verbs": self.verbs, "nonResourceURLs": self.paths});
        }
        let mut rule = json!({"verbs": self.verbs, "apiGroups": self.api_groups, "resources": self.resources});
        if !self.resource_names.is_empty() {
            rule["resourceNames"] = json!(self.resource_names);
        }
        rule
    }
}

fn has(granted: &[String], wanted: &str) -> bool {
    granted.iter().any(|word| word == "*" || word == wanted)
}

impl Subject {
    fn is(&self, user: &User) -> bool {
        match self.kind.as_str() {
            "User" => self.name == user.name,
            "Group" => user.groups.contains(&self.name),
            "ServiceAccount" => user.name == format!("system:serviceaccount:{}:{}", self.namespace, self.name),
            _ => false,
        }
    }
}

impl World {
    fn bindings(&mut self) -> &[Binding] {
        if self.rules.0.is_none() {
            self.rules.0 = Some(self.read_bindings());
        }
        self.rules.0.as_deref().unwrap_or_default()
    }

    fn read_bindings(&self) -> Vec<Binding> {
        let group = "rbac.authorization.k8s.io";
        let objects = |plural: &str| {
            let table = self.table(group, plural);
            table.into_iter().flat_map(|table| &self.tables[table].objects).map(|(key, stored)| (key, stored.value()))
        };
        let rules = |role: &Value| serde_json::from_value::<Vec<Rule>>(role["rules"].clone()).unwrap_or_default();
        let mut roles = BTreeMap::new();
        for plural in ["roles", "clusterroles"] {
            for (key, role) in objects(plural) {
                roles.insert((key.namespace.to_string(), key.name.to_string()), rules(&role));
            }
        }
        let mut bindings = Vec::new();
        for plural in ["clusterrolebindings", "rolebindings"] {
            for (key, binding) in objects(plural) {
                let role = &binding["roleRef"];
                let space = if role["kind"] == "Role" { key.namespace.to_string() } else { String::new() };
                let name = role["name"].as_str().unwrap_or_default().to_owned();
                bindings.push(Binding {
                    namespace: (plural == "rolebindings").then(|| key.namespace.to_string()),
                    subjects: serde_json::from_value(binding["subjects"].clone()).unwrap_or_default(),
                    rules: roles.get(&(space, name)).cloned().unwrap_or_default(),
                });
            }
        }
        bindings
    }

    /// Whether RBAC grants this.
    pub(crate) fn allowed(&mut self, user: &User, wanted: &Attributes<'_>) -> bool {
        if user.groups.iter().any(|group| group == "system:masters") {
            return true;
        }
        self.bindings().iter().any(|binding| {
            binding.namespace.as_deref().is_none_or(|namespace| namespace == wanted.namespace)
                && (binding.namespace.is_none() || wanted.path.is_empty())
                && binding.subjects.iter().any(|subject| subject.is(user))
                && binding.rules.iter().any(|rule| rule.grants(wanted))
        })
    }

    /// Refuses what RBAC does not grant, with the words of the real server.
    pub(crate) fn authorize(&mut self, user: &User, wanted: &Attributes<'_>) -> Result<(), ApiError> {
        if self.allowed(user, wanted) {
            return Ok(());
        }
        if !wanted.path.is_empty() {
            let message = format!("forbidden: User {:?} cannot {} path {:?}", user.name, wanted.verb, wanted.path);
            let mut error = ApiError::new(403, "Forbidden", message);
            error.details = json!({});
            return Err(error);
        }
        let full = if wanted.sub.is_empty() {
            wanted.resource.to_owned()
        } else {
            format!("{}/{}", wanted.resource, wanted.sub)
        };
        let qualified = crate::status::qualified(wanted.group, wanted.resource);
        let named = if wanted.name.is_empty() { String::new() } else { format!(" {:?}", wanted.name) };
        let scope = if wanted.namespace.is_empty() {
            "at the cluster scope".to_owned()
        } else {
            format!("in the namespace {:?}", wanted.namespace)
        };
        let message = format!(
            "{qualified}{named} is forbidden: User {:?} cannot {} resource {full:?} in API group {:?} {scope}",
            user.name, wanted.verb, wanted.group
        );
        Err(ApiError::new(403, "Forbidden", message).about(wanted.group, wanted.resource, wanted.name))
    }

    /// The rules that a user has in a namespace: those of resources, and those of paths.
    pub(crate) fn rules_of(&mut self, user: &User, namespace: &str) -> (Vec<Value>, Vec<Value>) {
        let mut rules = Vec::new();
        if user.groups.iter().any(|group| group == "system:masters") {
            rules.push(json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}));
            rules.push(json!({"verbs": ["*"], "nonResourceURLs": ["*"]}));
        }
        for binding in self.bindings() {
            if binding.namespace.as_deref().is_none_or(|bound| bound == namespace)
                && binding.subjects.iter().any(|subject| subject.is(user))
            {
                rules.extend(binding.rules.iter().map(Rule::json));
            }
        }
        rules.into_iter().partition(|rule| rule["nonResourceURLs"].is_null())
    }
}
