//! As much of OpenAPI as `kubectl` asks before it writes: that `fieldValidation` is understood, for each kind.

use crate::body::Answer;
use crate::request::Call;
use crate::world::World;
use serde_json::{Map, Value, json};

impl World {
    /// Answers `/openapi/v3` and below; `None` for what is not described.
    pub(crate) fn openapi(&self, call: &Call) -> Option<Answer> {
        let segments: Vec<&str> = call.segments.iter().map(String::as_str).collect();
        match segments.as_slice() {
            ["openapi", "v3"] => {
                let mut paths = Map::new();
                for resource in self.resources() {
                    for version in &resource.versions {
                        let path = match resource.group.as_str() {
                            "" => format!("api/{version}"),
                            group => format!("apis/{group}/{version}"),
                        };
                        let url = json!({"serverRelativeURL": format!("/openapi/v3/{path}?hash=0")});
                        paths.insert(path, url);
                    }
                }
                Some(Answer::json(200, &json!({"paths": paths})))
            }
            ["openapi", "v3", "api", version] => Some(self.described("", version)),
            ["openapi", "v3", "apis", group, version] => Some(self.described(group, version)),
            _ => None,
        }
    }

    fn described(&self, group: &str, version: &str) -> Answer {
        let mut paths = Map::new();
        let root = if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") };
        for resource in self.resources().filter(|r| r.group == group && r.versions.iter().any(|v| v == version)) {
            let space = if resource.namespaced { "/namespaces/{namespace}" } else { "" };
            let operation = json!({
                "parameters": [{"name": "fieldValidation", "in": "query", "schema": {"type": "string"}}],
                "responses": {"200": {"description": "OK"}},
                "x-kubernetes-group-version-kind": {"group": group, "version": version, "kind": resource.kind},
            });
            let item: Value = json!({"patch": operation});
            paths.insert(format!("{root}{space}/{}/{{name}}", resource.plural), item);
        }
        let info = json!({"title": "Kubernetes", "version": self.config.version});
        Answer::json(200, &json!({"openapi": "3.0.0", "info": info, "paths": paths, "components": {"schemas": {}}}))
    }
}
