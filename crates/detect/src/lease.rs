//! Leases: which of several replicas of a control-plane program leads, and when it last said so.

use jiff::SignedDuration;
use reckon_model::object::at;
use reckon_model::{Kind, Object, Timestamp};
use serde_json::Value;

/// A Lease as it was read.
#[derive(Clone, Debug)]
pub(crate) struct Lease {
    /// The host of the holder: a node's name, or that of a pod.
    pub(crate) host: String,
    /// When it was last renewed.
    pub(crate) renewed: Timestamp,
}

/// A leader renews every two seconds and gives up after ten (`RenewDeadline` of client-go's leader election); another takes
/// over within fifteen. A Lease may have been read a minute ago, and clocks differ.
const SILENT: SignedDuration = SignedDuration::from_mins(2);

impl Lease {
    /// The kind, which no rule knows by name.
    pub(crate) fn kind() -> Kind {
        Kind::of_group("coordination.k8s.io", "Lease")
    }

    /// What an object says, if it is a Lease that was ever renewed.
    pub(crate) fn of(object: &Object) -> Option<Self> {
        let whole = object.whole().filter(|_| object.kind == Lease::kind())?;
        let spec = whole.get("spec")?;
        let text = |key| at(spec, &[key]).and_then(Value::as_str);
        let renewed = text("renewTime")?.parse().ok()?;
        // `HOST_UUID`, as client-go writes it.
        let holder = text("holderIdentity").unwrap_or("");
        let host = holder.split_once('_').map_or(holder, |(host, _)| host).to_owned();
        Some(Lease { host, renewed })
    }

    /// From when on its holder counts as gone, unless it is renewed until then.
    pub(crate) fn expires(&self) -> Timestamp {
        self.renewed.checked_add(SILENT).unwrap_or(Timestamp::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::State;
    use reckon_model::ClusterId;

    fn lease(spec: &str) -> Object {
        let json = format!(
            r#"{{"apiVersion":"coordination.k8s.io/v1","kind":"Lease","metadata":{{"name":"kube-scheduler","namespace":"kube-system"}},"spec":{spec}}}"#
        );
        Object::decode(json.as_bytes(), None).unwrap()
    }

    #[test]
    fn a_lease_names_its_holder_and_runs_out_two_minutes_after_it_was_renewed() {
        let object = lease(r#"{"holderIdentity":"cp1_6f0c","renewTime":"2026-01-01T12:00:00.000000Z"}"#);
        let lease = Lease::of(&object).unwrap();
        assert_eq!((lease.host.as_str(), lease.expires().to_string().as_str()), ("cp1", "2026-01-01T12:02:00Z"));
    }

    #[test]
    fn a_lease_that_says_nothing_is_none() {
        for spec in ["{}", r#"{"renewTime":"never"}"#, r#"{"renewTime":7,"holderIdentity":[]}"#, "null"] {
            assert!(Lease::of(&lease(spec)).is_none(), "{spec}");
        }
    }

    #[test]
    fn a_lease_that_nobody_follows_is_read_again() {
        let mut state = State::new(ClusterId::default());
        let object = lease(r#"{"renewTime":"2026-01-01T12:00:00Z"}"#);
        let reference = object.reference();
        state.apply(object);
        state.forget_answers();
        assert!(!state.holds(&reference));
    }
}
