//! Reviews: what may I, who am I.

use crate::body::Answer;
use crate::rbac::Attributes;
use crate::request::{Call, Target};
use crate::status::ApiError;
use crate::users::User;
use crate::world::World;
use serde_json::{Value, json};

/// The resources of reviews: group, version, plural, kind, namespaced.
pub(crate) const REVIEWS: &[(&str, &str, &str, &str, bool)] = &[
    ("authorization.k8s.io", "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", false),
    ("authorization.k8s.io", "v1", "selfsubjectrulesreviews", "SelfSubjectRulesReview", false),
    ("authorization.k8s.io", "v1", "subjectaccessreviews", "SubjectAccessReview", false),
    ("authorization.k8s.io", "v1", "localsubjectaccessreviews", "LocalSubjectAccessReview", true),
    ("authentication.k8s.io", "v1", "selfsubjectreviews", "SelfSubjectReview", false),
];

impl World {
    /// Answers a review; `None` where the target is none.
    pub(crate) fn review(&mut self, call: &Call, target: &Target) -> Option<Result<Answer, ApiError>> {
        let &(_, _, plural, kind, _) = REVIEWS.iter().find(|(group, version, plural, ..)| {
            *group == target.group && *version == target.version && *plural == target.plural
        })?;
        if call.method != http::Method::POST {
            return Some(Err(ApiError::method_not_allowed()));
        }
        let wanted = Attributes {
            verb: "create",
            group: &target.group,
            resource: plural,
            namespace: target.namespace.as_deref().unwrap_or_default(),
            ..Attributes::default()
        };
        if let Err(error) = self.authorize(&call.user.clone(), &wanted) {
            return Some(Err(error));
        }
        Some(call.json().map(|mut review| {
            review["kind"] = kind.into();
            review["apiVersion"] = format!("{}/{}", target.group, target.version).into();
            if !review["metadata"].is_object() {
                review["metadata"] = json!({});
            }
            review["status"] = match kind {
                "SelfSubjectReview" => json!({"userInfo": {"username": call.user.name, "groups": call.user.groups}}),
                "SelfSubjectRulesReview" => {
                    let namespace = review["spec"]["namespace"].as_str().unwrap_or_default();
                    let (resources, paths) = self.rules_of(&call.user, namespace);
                    json!({"resourceRules": resources, "nonResourceRules": paths, "incomplete": false})
                }
                "SelfSubjectAccessReview" => self.verdict(&call.user, &review["spec"]),
                _ => {
                    let spec = &review["spec"];
                    let groups = spec["groups"].as_array().into_iter().flatten();
                    let user = User {
                        name: spec["user"].as_str().unwrap_or_default().to_owned(),
                        groups: groups.filter_map(|group| group.as_str().map(str::to_owned)).collect(),
                    };
                    self.verdict(&user, spec)
                }
            };
            Answer::json(201, &review)
        }))
    }

    fn verdict(&mut self, user: &User, spec: &Value) -> Value {
        let asked = &spec["resourceAttributes"];
        let text = |value: &Value| -> String { value.as_str().unwrap_or_default().to_owned() };
        let [verb, group, resource, sub, namespace, name] =
            ["verb", "group", "resource", "subresource", "namespace", "name"].map(|key| text(&asked[key]));
        let path = text(&spec["nonResourceAttributes"]["path"]);
        let verb = if path.is_empty() { verb } else { text(&spec["nonResourceAttributes"]["verb"]) };
        let wanted = Attributes {
            verb: &verb,
            group: &group,
            resource: &resource,
            sub: &sub,
            namespace: &namespace,
            name: &name,
            path: &path,
        };
        if self.allowed(user, &wanted) {
            json!({"allowed": true, "reason": "RBAC: allowed"})
        } else {
            json!({"allowed": false})
        }
    }
}
