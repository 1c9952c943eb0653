//! Who asks: bearer tokens and impersonation.

use crate::request::Call;
use crate::status::ApiError;
use crate::world::World;
use jiff::Timestamp;
use std::collections::BTreeMap;

/// A user as requests carry it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    /// `jane`, `system:serviceaccount:shop:reader`.
    pub name: String,
    /// Groups, `system:authenticated` among them.
    pub groups: Vec<String>,
}

/// Tokens and whose they are.
#[derive(Debug, Default)]
pub(crate) struct Users(BTreeMap<String, (User, Option<Timestamp>)>);

impl User {
    /// A user with these groups; everybody who is known is in `system:authenticated`.
    pub fn new(name: &str, groups: &[&str]) -> User {
        let all = groups.iter().copied().chain(["system:authenticated"]);
        User { name: name.to_owned(), groups: all.map(str::to_owned).collect() }
    }

    /// The user that a service account is.
    pub fn service_account(namespace: &str, name: &str) -> User {
        let group = format!("system:serviceaccounts:{namespace}");
        User::new(&format!("system:serviceaccount:{namespace}:{name}"), &["system:serviceaccounts", &group])
    }

    fn administrator() -> User {
        User::new("kubernetes-admin", &["system:masters"])
    }
}

impl World {
    /// Makes a bearer token known.
    pub fn add_token(&mut self, token: &str, user: User) {
        self.users.0.insert(token.to_owned(), (user, None));
    }

    pub(crate) fn add_token_until(&mut self, token: &str, user: User, end: Timestamp) {
        self.users.0.insert(token.to_owned(), (user, Some(end)));
    }

    /// A new token takes the place of an old one, which is refused from `until` on.
    pub fn rotate_token(&mut self, old: &str, new: &str, until: Timestamp) {
        if let Some((user, end)) = self.users.0.get_mut(old) {
            *end = Some(until);
            let user = user.clone();
            self.users.0.insert(new.to_owned(), (user, None));
        }
    }

    /// A token is known no longer. Streams that it opened go on, as on a real server.
    pub fn revoke_token(&mut self, token: &str) {
        self.users.0.remove(token);
    }

    /// Who sent a call, impersonation included.
    pub(crate) fn authenticate(&mut self, call: &Call) -> Result<User, ApiError> {
        let user = match call.header("authorization").strip_prefix("Bearer ") {
            Some(token) => match self.users.0.get(token.trim()) {
                Some((user, end)) if end.is_none_or(|end| self.now < end) => user.clone(),
                _ => return Err(ApiError::unauthorized()),
            },
            None if self.config.open => User::administrator(),
            None => User { name: "system:anonymous".to_owned(), groups: vec!["system:unauthenticated".to_owned()] },
        };
        let name = call.header("impersonate-user");
        if name.is_empty() {
            return Ok(user);
        }
        let wanted: Vec<String> = call
            .headers
            .get_all("impersonate-group")
            .iter()
            .filter_map(|group| group.to_str().ok().map(str::to_owned))
            .collect();
        let account = name.strip_prefix("system:serviceaccount:").and_then(|rest| rest.split_once(':'));
        self.may_impersonate(&user, if account.is_some() { "serviceaccounts" } else { "users" }, account, name)?;
        for group in &wanted {
            self.may_impersonate(&user, "groups", None, group)?;
        }
        if let Some((namespace, name)) = account.filter(|_| wanted.is_empty()) {
            return Ok(User::service_account(namespace, name));
        }
        Ok(User::new(name, &wanted.iter().map(String::as_str).collect::<Vec<_>>()))
    }

    fn may_impersonate(
        &mut self,
        user: &User,
        resource: &str,
        account: Option<(&str, &str)>,
        name: &str,
    ) -> Result<(), ApiError> {
        let attributes = crate::rbac::Attributes {
            verb: "impersonate",
            resource,
            namespace: account.map_or("", |(namespace, _)| namespace),
            name: account.map_or(name, |(_, name)| name),
            ..Default::default()
        };
        self.authorize(user, &attributes)
    }
}
