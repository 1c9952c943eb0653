//! What an object of a kind without rules says of its own state.
//!
//! Custom resources follow conventions rather than a schema: conditions of which some should be true and some should not,
//! and a phase. That one of them is bad is no diagnosis, but it must not be called healthy.

use reckon_model::Object;
use serde_json::Value;

/// Conditions that are true of a healthy object.
const GOOD: [&str; 10] = [
    "Ready",
    "Available",
    "Healthy",
    "Synced",
    "Reconciled",
    "Established",
    "Accepted",
    "Programmed",
    "ResolvedRefs",
    "Succeeded",
];

/// Conditions that are true of an ill one.
const BAD: [&str; 5] = ["Degraded", "Failed", "Stalled", "Error", "NonStructuralSchema"];

/// Phases of ill ones.
const PHASES: [&str; 6] = ["Failed", "Error", "Degraded", "Lost", "Unhealthy", "Faulted"];

/// The worst that the object's status says: its conditions first, then its phase. `None` where it says nothing bad, or
/// what it says is of an older generation than its spec.
pub(super) fn of(object: &Object) -> Option<String> {
    let whole = object.whole()?;
    let status = whole.get("status")?;
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or("").trim().to_owned();
    let list = |value: &Value, key: &str| value.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    // Each Gateway that a route hangs on speaks of it for itself.
    let parents = list(status, "parents").into_iter().flat_map(|parent| list(&parent, "conditions"));
    let conditions: Vec<Value> = list(status, "conditions").into_iter().chain(parents).collect();
    let ill = conditions.iter().find(|condition| {
        let (kind, truth) = (text(condition, "type"), text(condition, "status"));
        let stale = condition
            .get("observedGeneration")
            .and_then(Value::as_i64)
            .is_some_and(|of| Some(of) < object.meta.generation);
        !stale && (truth == "False" && GOOD.contains(&kind.as_str()) || truth == "True" && BAD.contains(&kind.as_str()))
    });
    if let Some(condition) = ill {
        let head = format!("{} is {}", text(condition, "type"), text(condition, "status"));
        let rest = [text(condition, "reason"), text(condition, "message")];
        let rest: Vec<&str> =
            rest.iter().map(|part| part.trim_end_matches('.')).filter(|part| !part.is_empty()).collect();
        return Some(if rest.is_empty() { head } else { format!("{head} ({})", rest.join(": ")) });
    }
    let phase = text(status, "phase");
    let why = [text(status, "reason"), text(status, "message")].into_iter().find(|part| !part.is_empty());
    let why = why.map(|why| format!(" ({})", why.trim_end_matches('.'))).unwrap_or_default();
    PHASES.contains(&phase.as_str()).then(|| format!("its phase is {phase}{why}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn certificate(status: Value) -> Object {
        let object = json!({"apiVersion": "cert-manager.io/v1", "kind": "Certificate",
            "metadata": {"name": "web", "namespace": "shop", "generation": 2}, "status": status});
        Object::decode(object.to_string().as_bytes(), None).unwrap()
    }

    #[test]
    fn a_condition_that_should_hold_and_does_not_is_a_complaint() {
        let ill = certificate(json!({"conditions": [{"type": "Issuing", "status": "False"},
            {"type": "Ready", "status": "False", "reason": "Expired", "message": "it has expired."}]}));
        assert_eq!(of(&ill).as_deref(), Some("Ready is False (Expired: it has expired)"));
        let degraded = certificate(json!({"conditions": [{"type": "Degraded", "status": "True"}]}));
        assert_eq!(of(&degraded).as_deref(), Some("Degraded is True"));
        assert_eq!(of(&certificate(json!({"phase": "Failed"}))).as_deref(), Some("its phase is Failed"));
        let route = certificate(json!({"parents": [{"conditions": [{"type": "Accepted", "status": "True"}]},
            {"conditions": [{"type": "ResolvedRefs", "status": "False", "reason": "RefNotPermitted"}]}]}));
        assert_eq!(of(&route).as_deref(), Some("ResolvedRefs is False (RefNotPermitted)"));
    }

    #[test]
    fn what_is_well_stale_or_strange_is_none() {
        for status in [
            json!({"conditions": [{"type": "Ready", "status": "True"}, {"type": "Degraded", "status": "False"}]}),
            json!({"conditions": [{"type": "Ready", "status": "False", "observedGeneration": 1}]}),
            json!({"conditions": {"Ready": "False"}, "phase": 7}),
            json!({"conditions": ["Ready", null, {"type": 1}]}),
            json!("Failed"),
            json!({"phase": "Running"}),
        ] {
            assert_eq!(of(&certificate(status.clone())), None, "{status}");
        }
    }
}
