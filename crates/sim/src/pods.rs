//! What only pods have: a specification that stays, bindings, evictions.

use crate::body::Answer;
use crate::clock::seconds;
use crate::request::{Call, Target};
use crate::status::ApiError;
use crate::store::Key;
use crate::world::World;
use crate::write::{By, key_of};
use reckon_model::selector::LabelSelector;
use serde_json::{Value, json};

/// Refuses changes of a pod's specification that the API does not take.
pub(crate) fn may_change(old: &Value, new: &Value, sub: &str) -> Result<(), ApiError> {
    let blank = |pod: &Value| {
        let mut spec = pod["spec"].clone();
        for list in ["containers", "initContainers"] {
            for container in spec[list].as_array_mut().into_iter().flatten() {
                let field = if sub == "resize" { "resources" } else { "image" };
                if let Some(fields) = container.as_object_mut() {
                    fields.remove(field);
                }
            }
        }
        if let Some(fields) = spec.as_object_mut() {
            if sub.is_empty() {
                for field in
                    ["activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "schedulingGates"]
                {
                    fields.remove(field);
                }
            }
            if sub == "ephemeralcontainers" {
                fields.remove("ephemeralContainers");
            }
        }
        spec
    };
    if matches!(sub, "binding" | crate::write::DIRECT) || blank(old) == blank(new) {
        return Ok(());
    }
    let message = "Forbidden: pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";
    let name = old["metadata"]["name"].as_str().unwrap_or_default();
    Err(ApiError::invalid("", "Pod", name, &[("spec", "FieldValueForbidden", message.to_owned())]))
}

/// The answer to what was done and has no object to show.
pub(crate) fn done() -> Answer {
    Answer::json(201, &json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}))
}

impl World {
    pub(crate) fn bind_called(&mut self, call: &Call, target: &Target, table: usize) -> Result<Answer, ApiError> {
        let body = call.json()?;
        let Some(node) = body["target"]["name"].as_str().filter(|name| !name.is_empty()) else {
            return Err(ApiError::new(500, "", "target.name: Required value"));
        };
        let key = key_of(target);
        let manager = call.manager();
        self.bind(table, &key, node, &manager, call.dry_run()?)?;
        Ok(done())
    }

    /// Assigns a pod to a node.
    pub(crate) fn bind(
        &mut self,
        table: usize,
        key: &Key,
        node: &str,
        manager: &str,
        dry: bool,
    ) -> Result<(), ApiError> {
        let now = seconds(self.now);
        let by = By { manager, sub: "binding", version: "v1", dry_run: dry };
        self.change(table, key, by, |old| {
            let has = old["spec"]["nodeName"].as_str().unwrap_or_default();
            if !has.is_empty() {
                let why = format!("pod {} is already assigned to node {has:?}", key.name);
                return Err(ApiError::conflict("", "pods/binding", &key.name, &why));
            }
            let mut new = old.clone();
            new["spec"]["nodeName"] = node.into();
            let mut conditions = old["status"]["conditions"].as_array().cloned().unwrap_or_default();
            conditions.retain(|condition| condition["type"] != "PodScheduled");
            conditions.push(json!({
                "type": "PodScheduled", "status": "True", "lastProbeTime": null, "lastTransitionTime": now,
                "observedGeneration": old["metadata"]["generation"],
            }));
            new["status"]["conditions"] = conditions.into();
            Ok(new)
        })?;
        Ok(())
    }

    /// Evicts a pod, unless a budget forbids it.
    pub(crate) fn evict_called(&mut self, call: &Call, target: &Target, table: usize) -> Result<Answer, ApiError> {
        let key = key_of(target);
        let body = call.json()?;
        let dry = call.dry_run()? || body["deleteOptions"]["dryRun"][0] == "All";
        let Some(stored) = self.tables[table].objects.get(&key) else {
            return Err(ApiError::not_found("", "pods", &key.name));
        };
        let (labels, pod) = (stored.labels.clone(), stored.value());
        let ended = matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed" | "Pending"));
        if let Some(budgets) = self.table("policy", "poddisruptionbudgets").filter(|_| !ended) {
            let found: Vec<(Key, Value)> = self.tables[budgets]
                .range(Some(&key.namespace), None)
                .map(|(key, stored)| (key.clone(), stored.value()))
                .filter(|(_, budget)| {
                    let selector = serde_json::from_value::<LabelSelector>(budget["spec"]["selector"].clone());
                    budget["spec"]["selector"].is_object() && selector.is_ok_and(|selector| selector.matches(&labels))
                })
                .collect();
            if found.len() > 1 {
                let message =
                    "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
                return Err(ApiError::new(500, "InternalError", message));
            }
            if let Some((budget_key, budget)) = found.first() {
                let status = &budget["status"];
                let allowed = status["disruptionsAllowed"].as_i64().unwrap_or(0);
                if allowed <= 0 {
                    return Err(over_budget(budget));
                }
                if !dry {
                    let by = By { manager: "kube-apiserver", sub: "status", version: "v1", dry_run: false };
                    let now = seconds(self.now);
                    self.change(budgets, budget_key, by, |old| {
                        let mut new = old.clone();
                        new["status"]["disruptionsAllowed"] = (allowed - 1).into();
                        new["status"]["disruptedPods"][&*key.name] = now.into();
                        Ok(new)
                    })?;
                }
            }
        }
        if !dry {
            self.delete_plainly(table, &key, body["deleteOptions"]["gracePeriodSeconds"].as_i64())?;
        }
        Ok(done())
    }
}

fn over_budget(budget: &Value) -> ApiError {
    let mut error =
        ApiError::new(429, "TooManyRequests", "Cannot evict pod as it would violate the pod's disruption budget.");
    let status = &budget["status"];
    let number = |key: &str| status[key].as_i64().unwrap_or(0);
    error.details = json!({"causes": [{
        "reason": "DisruptionBudget",
        "message": format!(
            "The disruption budget {} needs {} healthy pods and has {} currently",
            budget["metadata"]["name"].as_str().unwrap_or_default(),
            number("desiredHealthy"),
            number("currentHealthy"),
        ),
    }]});
    error
}
