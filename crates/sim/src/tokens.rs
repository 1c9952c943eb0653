//! Tokens of service accounts: `serviceaccounts/NAME/token`.

use crate::body::Answer;
use crate::clock::seconds;
use crate::request::{Call, Target};
use crate::status::ApiError;
use crate::users::User;
use crate::world::World;
use crate::write::key_of;
use jiff::SignedDuration;
use serde_json::json;

/// How long a token lasts where a client does not say, and at least, in seconds, as the real server has it.
const LASTS: i64 = 3600;
const AT_LEAST: i64 = 600;

impl World {
    /// Makes a token that is good for a while. It is no JWT: only this server can tell whose it is.
    pub(crate) fn token_called(&mut self, call: &Call, target: &Target, table: usize) -> Result<Answer, ApiError> {
        let key = key_of(target);
        if !self.tables[table].objects.contains_key(&key) {
            return Err(ApiError::not_found("", "serviceaccounts", &key.name));
        }
        let mut request = call.json()?;
        let lasts = request["spec"]["expirationSeconds"].as_i64().unwrap_or(LASTS);
        if lasts < AT_LEAST {
            let message = format!("Invalid value: {lasts}: may not specify a duration less than 10 minutes");
            let causes = [("spec.expirationSeconds", "FieldValueInvalid", message)];
            return Err(ApiError::invalid("authentication.k8s.io", "TokenRequest", "", &causes));
        }
        let end = self.now.checked_add(SignedDuration::from_secs(lasts)).unwrap_or(self.now);
        let token = format!("sim-{}", self.rng.uid());
        self.add_token_until(&token, User::service_account(&key.namespace, &key.name), end);
        request["kind"] = "TokenRequest".into();
        request["apiVersion"] = "authentication.k8s.io/v1".into();
        request["metadata"] =
            json!({"name": &*key.name, "namespace": &*key.namespace, "creationTimestamp": seconds(self.now)});
        request["spec"]["expirationSeconds"] = lasts.into();
        request["status"] = json!({"token": token, "expirationTimestamp": seconds(end)});
        Ok(Answer::json(201, &request))
    }
}
