//! ResourceQuotas: what a namespace may hold of pods and their resources. The one admission that this server has, as what
//! it refuses shows in no object but in what is missing.

use crate::status::ApiError;
use crate::world::World;
use reckon_model::quantity::Quantity;
use serde_json::{Value, json};

/// What is counted, and which part of a container's resources it is.
const COUNTED: [(&str, &str, &str); 6] = [
    ("requests.cpu", "requests", "cpu"),
    ("requests.memory", "requests", "memory"),
    ("limits.cpu", "limits", "cpu"),
    ("limits.memory", "limits", "memory"),
    ("cpu", "requests", "cpu"),
    ("memory", "requests", "memory"),
];

/// How much of a quota's resource a pod takes: of processors in thousandths, of everything else in its unit; `None` where
/// it is not counted here.
fn takes(resource: &str, pod: &Value) -> Option<i64> {
    if matches!(resource, "pods" | "count/pods") {
        return Some(1);
    }
    let (_, part, of) = COUNTED.iter().find(|(name, ..)| *name == resource)?;
    let containers = pod["spec"]["containers"].as_array().into_iter().flatten();
    Some(containers.map(|container| amount(of, &container["resources"][*part][*of])).sum())
}

/// One that is being deleted counts until it is gone.
fn counts(pod: &Value) -> bool {
    !matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"))
}

fn amount(resource: &str, value: &Value) -> i64 {
    let quantity = Quantity::new(&crate::resource::plain(value));
    let amount = if resource.ends_with("cpu") { quantity.millis() } else { quantity.value() };
    amount.unwrap_or(0)
}

/// As the API writes it: in the largest unit that leaves no rest.
fn spell(resource: &str, amount: i64) -> String {
    if resource.ends_with("cpu") {
        return if amount % 1000 == 0 { (amount / 1000).to_string() } else { format!("{amount}m") };
    }
    if resource.ends_with("memory") && amount > 0 {
        for (unit, shift) in [("Gi", 30), ("Mi", 20), ("Ki", 10)] {
            if amount % (1_i64 << shift) == 0 {
                return format!("{}{unit}", amount >> shift);
            }
        }
    }
    amount.to_string()
}

impl World {
    /// What the pods of a namespace take together of a resource.
    fn taken(&self, namespace: &str, resource: &str) -> Option<i64> {
        let table = self.named("pods")?;
        let range = self.tables[table].range(Some(namespace), None);
        range.map(|(_, stored)| stored.shared()).filter(|pod| counts(pod)).map(|pod| takes(resource, &pod)).sum()
    }

    fn quotas(&self, namespace: &str) -> Vec<Value> {
        let Some(table) = self.named("resourcequotas") else { return Vec::new() };
        // One with a scope counts some pods only, and which is not simulated.
        let plain = |quota: &Value| quota["spec"]["scopes"].is_null() && quota["spec"]["scopeSelector"].is_null();
        self.tables[table].range(Some(namespace), None).map(|(_, stored)| stored.value()).filter(plain).collect()
    }

    /// Refuses a new pod for which a quota of its namespace leaves no room.
    pub(crate) fn quota_allows(&self, namespace: &str, name: &str, pod: &Value) -> Result<(), ApiError> {
        for quota in self.quotas(namespace) {
            let mut short: [Vec<String>; 3] = Default::default();
            for (resource, hard) in quota["spec"]["hard"].as_object().into_iter().flatten() {
                let (Some(wants), Some(used)) = (takes(resource, pod), self.taken(namespace, resource)) else {
                    continue;
                };
                let hard = amount(resource, hard);
                if used + wants > hard {
                    for (list, value) in short.iter_mut().zip([wants, used, hard]) {
                        list.push(format!("{resource}={}", spell(resource, value)));
                    }
                }
            }
            if !short[0].is_empty() {
                let [requested, used, limited] = short.map(|list| list.join(","));
                let message = format!(
                    "pods {name:?} is forbidden: exceeded quota: {}, requested: {requested}, used: {used}, limited: {limited}",
                    quota["metadata"]["name"].as_str().unwrap_or_default()
                );
                return Err(ApiError::new(403, "Forbidden", message).about("", "pods", name));
            }
        }
        Ok(())
    }

    /// Writes into each quota what is used of it.
    pub(crate) fn count_quotas(&mut self) {
        for quota in self.objects("resourcequotas").map(|(_, stored)| stored.value()).collect::<Vec<_>>() {
            let place = |key: &str| quota["metadata"][key].as_str().unwrap_or_default();
            let mut used = json!({});
            for resource in quota["spec"]["hard"].as_object().into_iter().flatten().map(|(resource, _)| resource) {
                if let Some(taken) = self.taken(place("namespace"), resource) {
                    used[resource.as_str()] = spell(resource, taken).into();
                }
            }
            let status = json!({"hard": quota["spec"]["hard"], "used": used});
            if quota["spec"]["scopes"].is_null()
                && quota["spec"]["scopeSelector"].is_null()
                && quota["status"] != status
            {
                self.edit("resourcequotas", place("namespace"), place("name"), "kube-controller-manager", |object| {
                    object["status"] = status;
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_spelled_in_the_largest_unit_without_a_rest() {
        for (resource, amount, text) in [
            ("requests.cpu", 2000, "2"),
            ("requests.cpu", 250, "250m"),
            ("limits.memory", 8 << 30, "8Gi"),
            ("limits.memory", 1536 << 20, "1536Mi"),
            ("limits.memory", 0, "0"),
            ("pods", 12, "12"),
        ] {
            assert_eq!(spell(resource, amount), text);
        }
    }
}
