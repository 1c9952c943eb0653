//! What became of objects, for whoever keeps a record: each as it was and as it is.

use reckon_model::{Object, Timestamp};
use std::sync::Arc;

/// What became of one object. Both states have been through intake, so nothing secret is in them.
#[derive(Clone, Debug)]
pub struct Step {
    /// What had the name before, which may have been another object; `None`: nothing.
    pub before: Option<Arc<Object>>,
    /// What has the name now, or when it was seen that nothing has.
    pub now: Result<Arc<Object>, Timestamp>,
    /// `metadata.resourceVersion` of what has the name now, which intake does not keep; else empty.
    pub version: String,
}

/// Those that nobody took yet. The state itself needs none of it, so without a taker none are kept.
#[derive(Debug, Default)]
pub(super) struct Steps(Option<Vec<Step>>);

impl Steps {
    pub(super) fn keep(&mut self) {
        self.0.get_or_insert_default();
    }

    pub(super) fn take(&mut self) -> Vec<Step> {
        self.0.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// The version to tell of an object that is about to be taken in.
    pub(super) fn version(&self, object: &Object) -> String {
        if self.0.is_some() { object.meta.resource_version.clone() } else { String::new() }
    }

    pub(super) fn applied(&mut self, before: Option<&Arc<Object>>, now: &Arc<Object>, version: String) {
        if let Some(steps) = &mut self.0 {
            steps.push(Step { before: before.cloned(), now: Ok(now.clone()), version });
        }
    }

    pub(super) fn deleted(&mut self, before: &Arc<Object>, at: Timestamp) {
        if let Some(steps) = &mut self.0 {
            steps.push(Step { before: Some(before.clone()), now: Err(at), version: String::new() });
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::State;
    use reckon_model::{Answer, ClusterId, Demand, Kind, Object, Timestamp};
    use serde_json::{Value, json};

    fn object(kind: &str, uid: &str, version: &str, rest: &Value) -> Object {
        let mut json = json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": "a", "uid": uid, "resourceVersion": version}});
        json.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        Object::decode(json.to_string().as_bytes(), None).unwrap()
    }

    #[test]
    fn each_step_has_both_states_redacted_whichever_way_an_object_came() {
        let config = |uid: &str, version: &str, password: &str| {
            object("ConfigMap", uid, version, &json!({"data": {"password": password}}))
        };
        let mut state = State::new(ClusterId::default());
        state.apply(config("u", "1", "hunter1"));
        assert!(state.take_steps().is_empty());
        state.keep_steps();
        state.apply(config("u", "2", "hunter2"));
        let demand = Demand::List { kind: Kind::ConfigMap, namespace: None, selector: String::new() };
        state.answer(demand, Answer::Objects(vec![config("v", "3", "hunter3")]));
        let gone = config("v", "3", "").reference();
        state.delete(&gone, Timestamp::UNIX_EPOCH);
        state.delete(&gone, Timestamp::UNIX_EPOCH);
        let steps = state.take_steps();
        let uid = |object: &Object| object.meta.uid.clone();
        let told: Vec<_> = steps
            .iter()
            .map(|step| (step.before.as_deref().map(uid), step.now.as_deref().map(uid), step.version.as_str()))
            .collect();
        let (u, v) = ("u".to_owned(), "v".to_owned());
        assert_eq!(
            told,
            [
                (Some(u.clone()), Ok(u.clone()), "2"),
                (Some(u), Ok(v.clone()), "3"),
                (Some(v), Err(&Timestamp::UNIX_EPOCH), "")
            ]
        );
        assert!(!format!("{steps:?}").contains("hunter"));
        assert!(state.take_steps().is_empty());
    }

    #[test]
    fn a_node_that_says_what_it_said_takes_no_step() {
        let node = |version: &str, beat: &str| {
            let ready = json!({"type": "Ready", "status": "True", "lastHeartbeatTime": beat});
            object("Node", "u", version, &json!({"status": {"conditions": [ready]}}))
        };
        let mut state = State::new(ClusterId::default());
        state.keep_steps();
        state.apply(node("1", "2026-01-01T12:00:00Z"));
        state.apply(node("2", "2026-01-01T12:05:00Z"));
        assert_eq!(state.take_steps().len(), 1);
    }
}
