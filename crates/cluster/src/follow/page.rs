//! Looking again at a part of what should be known: a page of names and versions, read at one moment.
//!
//! A watch cannot be heard to leave something out, and a server that was restored from a backup goes on as if nothing had
//! been. What a page shows is compared with what was told, as soon as the watch has come as far as the page.

use super::known::{Key, Known};
use super::version::Version;
use crate::connection::Connection;
use crate::error::ReadError;
use crate::list::{MOST_IN_A_PAGE, Scope};
use crate::planted::{Bug, planted};
use crate::splitter::{Piece, SplitError, Splitter};
use serde::Deserialize;
use std::collections::HashMap;
use std::time::Duration;
use tokio::time::timeout;

/// A page, and where in the list it stands.
#[derive(Debug, Default)]
pub(super) struct Page {
    names: HashMap<Key, (Box<str>, Version)>,
    /// When it was read; everything in it was so then.
    at: Option<String>,
    /// The last name of the page before it, as the API orders them; `None` for the first.
    after: Option<String>,
    /// Its own last name; `None` where the list ends with it.
    until: Option<String>,
    /// What to ask the next one with.
    pub(super) next: Option<Next>,
}

/// Where the next page begins.
#[derive(Clone, Debug)]
pub(super) struct Next {
    token: String,
    after: String,
}

/// What a page says of what is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// All of it was told as it is.
    Right,
    /// As far as the watch has come; it has not come to the page yet.
    NotYet,
    /// Something is other than it was told.
    Wrong,
    /// What was told is of a history that is no more.
    Rewound,
}

#[derive(Deserialize)]
struct Named {
    metadata: Meta,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct Meta {
    name: Box<str>,
    namespace: Box<str>,
    uid: Box<str>,
    resource_version: String,
}

impl Page {
    /// When it was read.
    pub(super) fn version(&self) -> Version {
        self.at.as_deref().map_or(Version::None, Version::of)
    }

    /// Whether it is the whole list.
    pub(super) fn is_whole(&self) -> bool {
        self.after.is_none() && self.next.is_none()
    }

    /// Whether a name lies between this page's first and last.
    fn covers(&self, (namespace, name): &Key) -> bool {
        let name = ordered(namespace, name);
        self.after.as_ref().is_none_or(|after| *after < name) && self.until.as_ref().is_none_or(|until| name <= *until)
    }

    /// Compares it with what is known, everything up to `mark` having been told.
    pub(super) fn judge(&self, known: &Known, mark: Version) -> Found {
        let at = self.version();
        if known.is_blind() || at == Version::None || !matches!((at, mark), (Version::Number(_), Version::Number(_))) {
            return Found::Right;
        }
        // What was told after the page was read says nothing against it.
        let newer = |version: Version| at.is_before(version);
        let mut found = if mark.reaches(at) { Found::Right } else { Found::NotYet };
        for ((namespace, name), (uid, version)) in &self.names {
            if known.is_unread(name) {
                continue;
            }
            let due = mark.reaches(*version) || mark.reaches(at);
            match known.get(namespace, name) {
                Some(seen) if newer(seen.version) => {}
                Some(seen) if version.is_before(seen.version) => return Found::Rewound,
                Some(seen) if seen.uid == *uid && seen.version == *version => {}
                None if known.grave(uid).is_some_and(|grave| newer(grave.version)) => {}
                None if known.grave(uid).is_some_and(|grave| grave.exact) => return Found::Rewound,
                _ if due => found = Found::Wrong,
                _ => {}
            }
        }
        if mark.reaches(at) && self.lacks(known) {
            found = Found::Wrong;
        }
        found
    }

    /// Whether something that is known, and as old as the page, is not on it.
    fn lacks(&self, known: &Known) -> bool {
        let at = self.version();
        !planted(Bug::OverlooksTheMissing)
            && known.iter().any(|(key, seen)| {
                !at.is_before(seen.version)
                    && seen.version != Version::None
                    && !self.names.contains_key(key)
                    && self.covers(key)
            })
    }

    /// Whether all that it shows otherwise than it is known is newer than `mark`, up to which everything was told.
    pub(super) fn is_ahead(&self, known: &Known, mark: Version) -> bool {
        self.judge(known, mark) == Found::NotYet && !self.lacks(known)
    }
}

/// As etcd orders keys.
fn ordered(namespace: &str, name: &str) -> String {
    format!("{namespace}/{name}")
}

impl Connection {
    /// The version of the newest state, by a read that etcd vouches for.
    pub(super) async fn newest(&self, scope: &Scope, limit: Duration) -> Result<String, ReadError> {
        let page = self.names_page(scope, 1, None, limit).await?;
        Ok(page.at.unwrap_or_default())
    }

    /// So many names and versions, from where the last page ended. A page that can no longer be had is the first one.
    pub(super) async fn names_page(
        &self,
        scope: &Scope,
        size: u32,
        from: Option<Next>,
        limit: Duration,
    ) -> Result<Page, ReadError> {
        let late = || ReadError::TimedOut {
            server: self.server().to_owned(),
            request: scope.endpoint.names(scope.namespace.as_deref(), &[]).describe(),
            seconds: limit.as_secs().max(1),
        };
        let reading = async {
            match self.read_names(scope, size, from.as_ref()).await {
                Err(ReadError::Gone { .. }) if from.is_some() => self.read_names(scope, size, None).await,
                other => other,
            }
        };
        timeout(limit, reading).await.map_err(|_| late())?
    }

    async fn read_names(&self, scope: &Scope, size: u32, from: Option<&Next>) -> Result<Page, ReadError> {
        let size = size.to_string();
        let only = scope.only_this_namespace().unwrap_or_default();
        let token = from.map_or("", |from| &from.token);
        let query = [("limit", size.as_str()), ("continue", token), ("fieldSelector", &only)];
        let mut incoming = self.send(&scope.endpoint.names(scope.namespace.as_deref(), &query)).await?;
        let mut splitter = Splitter::default();
        let mut page = Page { after: from.map(|from| from.after.clone()), ..Page::default() };
        let mut last = None;
        while let Some(chunk) = incoming.next().await? {
            let split = splitter.push(&chunk, &mut |piece| {
                // What cannot be decoded here is what could not be decoded before, and known as such.
                let Piece::Item(bytes) = piece else { return };
                let Ok(Named { metadata }) = serde_json::from_slice::<Named>(bytes) else { return };
                last = Some(ordered(&metadata.namespace, &metadata.name));
                let version = Version::of(&metadata.resource_version);
                page.names.insert((metadata.namespace, metadata.name), (metadata.uid, version));
            });
            split.map_err(|error| incoming.malformed(error.to_string()))?;
            if page.names.len() > MOST_IN_A_PAGE {
                let why = format!("it sends more than {MOST_IN_A_PAGE} objects for one page of {size}");
                return Err(incoming.malformed(why));
            }
        }
        let meta = splitter.finish().map_err(|error| match error {
            SplitError::Truncated => incoming.truncated(),
            error => incoming.malformed(error.to_string()),
        })?;
        page.at = meta.resource_version;
        page.next = meta
            .continue_token
            .filter(|token| !token.is_empty())
            .zip(last.clone())
            .map(|(token, after)| Next { token, after });
        page.until = last.filter(|_| page.next.is_some());
        Ok(page)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use reckon_model::{Kind, Object};

    fn known(objects: &[(&str, &str, u32)]) -> Known {
        let mut known = Known::default();
        known.begin();
        for (name, uid, version) in objects {
            let json = format!(
                r#"{{"metadata":{{"name":"{name}","namespace":"a","uid":"{uid}","resourceVersion":"{version}"}}}}"#
            );
            known.saw(&Object::decode(json.as_bytes(), Some(&Kind::ConfigMap)).unwrap());
        }
        known
    }

    fn page(at: u32, names: &[(&str, &str, u64)]) -> Page {
        let names = names
            .iter()
            .map(|(name, uid, version)| (("a".into(), (*name).into()), ((*uid).into(), Version::Number(*version))))
            .collect();
        Page { names, at: Some(at.to_string()), ..Page::default() }
    }

    #[test]
    fn what_is_missing_is_told_only_when_the_watch_has_come_so_far() {
        let known = known(&[("x", "1", 5)]);
        assert_eq!(page(9, &[]).judge(&known, Version::Number(8)), Found::NotYet);
        assert_eq!(page(9, &[]).judge(&known, Version::Number(9)), Found::Wrong);
        assert_eq!(page(4, &[]).judge(&known, Version::Number(9)), Found::Right, "it came after the page");
        let more = page(9, &[("x", "1", 5), ("y", "2", 7)]);
        assert_eq!(more.judge(&known, Version::Number(6)), Found::NotYet);
        assert_eq!(more.judge(&known, Version::Number(7)), Found::Wrong);
    }

    #[test]
    fn what_is_newer_than_the_watch_has_come_is_no_other_history() {
        let known = known(&[("x", "1", 5)]);
        let newer = page(9, &[("x", "3", 8), ("y", "2", 7)]);
        assert_eq!(newer.judge(&known, Version::Number(9)), Found::Wrong);
        assert!(newer.is_ahead(&known, Version::Number(6)));
        assert!(!newer.is_ahead(&known, Version::Number(7)), "the watch has come to what it did not tell");
        assert!(!page(9, &[("y", "2", 7)]).is_ahead(&known, Version::Number(6)), "what was told is not there");
    }

    #[test]
    fn an_earlier_version_than_was_told_is_another_history() {
        let known = known(&[("x", "1", 8)]);
        assert_eq!(page(9, &[("x", "1", 5)]).judge(&known, Version::Number(8)), Found::Rewound);
        assert_eq!(page(7, &[("x", "1", 5)]).judge(&known, Version::Number(8)), Found::Right);
    }

    #[test]
    fn a_page_says_nothing_of_names_outside_of_it() {
        let known = known(&[("b", "1", 3), ("m", "2", 3), ("z", "3", 3)]);
        let mut page = page(9, &[("m", "2", 3)]);
        (page.after, page.until) = (Some("a/b".to_owned()), Some("a/m".to_owned()));
        assert_eq!(page.judge(&known, Version::Number(9)), Found::Right);
        page.until = Some("a/zz".to_owned());
        assert_eq!(page.judge(&known, Version::Number(9)), Found::Wrong);
    }
}
