//! Lists: pages, versions, selectors.

use crate::body::{Answer, JSON, ListBody, Payload};
use crate::present::{self, Form};
use crate::request::{Call, Target};
use crate::selection::Selection;
use crate::status::ApiError;
use crate::store::{Key, Stored};
use crate::world::World;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How long the real server waits for a version before it says that it is too large.
const BLOCKED: SignedDuration = SignedDuration::from_secs(3);

/// How a version in a request is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum At {
    /// The newest state there is.
    Newest,
    /// Whatever is at hand.
    Any,
    /// A state not older than this.
    NotOlderThan(u64),
    /// This state and no other.
    Exact(u64),
}

/// A position within a list, as the real server writes it.
#[derive(Serialize, Deserialize)]
struct Token {
    v: String,
    rv: i64,
    start: String,
    /// How many objects there are from here on, where that was counted: a list of many pages counts them once.
    #[serde(default)]
    left: Option<usize>,
}

impl World {
    pub(crate) fn list(&mut self, call: &Call, target: &Target, table: usize) -> Result<Answer, ApiError> {
        let resource = self.tables[table].resource.clone();
        let selection = Selection::of(&call.query, &resource, None)?;
        let at = at(call)?;
        // Only reads from memory lag: for what is asked without a version the server first asks etcd how far it has to be.
        let newest = if at == At::Newest { self.revision } else { self.newest(&target.qualified()) };
        let mut limit = usize::try_from(call.query.number("limit")?.unwrap_or(0).max(0)).unwrap_or(usize::MAX);
        if call.query.flag("sendInitialEvents") {
            return Err(ApiError::options("sendInitialEvents", "sendInitialEvents is forbidden for list"));
        }
        let (shown, mut from, left) = match (call.query.get("continue"), at) {
            ("", At::Newest) => (newest, None, None),
            // The real server answers this from its cache and knows no pages there.
            ("", At::Any) => {
                limit = 0;
                (newest, None, None)
            }
            ("", At::NotOlderThan(revision) | At::Exact(revision)) if revision > newest => {
                let mut answer = Answer::from(ApiError::too_large(revision, newest));
                answer.not_before = self.now.checked_add(BLOCKED).ok();
                return Ok(answer);
            }
            ("", At::NotOlderThan(_)) => (newest, None, None),
            ("", At::Exact(revision)) => (revision, None, None),
            (token, _) => {
                let (revision, start, left) = self.continues(token, target)?;
                // Of a state that goes on changing nothing that was counted holds.
                (revision.unwrap_or(newest), Some(start), left.filter(|_| revision.is_some()))
            }
        };
        let table = &self.tables[table];
        let undo = if shown == self.revision { Some(BTreeMap::new()) } else { table.undo(shown) };
        let Some(undo) = undo else {
            return Err(match from.take() {
                Some(start) => {
                    let mut error = ApiError::expired(CONTINUE_EXPIRED);
                    error.continue_token = Some(token(-1, &start, None));
                    error
                }
                None => ApiError::expired(format!("The resourceVersion for the provided list is too old. ({shown})")),
            });
        };
        let namespace = target.namespace.as_deref();
        let mut found: Vec<(&Key, &Stored)> = Vec::new();
        let mut states = table.states(namespace, from.as_ref(), &undo);
        let everything = selection.is_everything();
        let mut more = None;
        for (key, stored) in states.by_ref() {
            if everything || selection.matches(key, stored) {
                if limit > 0 && found.len() == limit {
                    more = Some(key.clone());
                    break;
                }
                found.push((key, stored));
            }
        }
        let remaining = more.as_ref().filter(|_| everything).map(|_| match left {
            Some(left) => left.saturating_sub(found.len()),
            None => 1 + states.count(),
        });
        let next = more.map(|key| token(i64::try_from(shown).unwrap_or(i64::MAX), &key, remaining));
        let form = present::form(call)?;
        // Of custom resources a plain list says where it goes on even if that is nowhere.
        let next = next.or_else(|| (!resource.built_in && form == Form::Plain).then(String::new));
        let meta = meta(shown, next.as_deref(), remaining);
        let items: Vec<Bytes> = found.into_iter().map(|(_, stored)| stored.bytes.clone()).collect();
        Ok(match form {
            Form::Plain => {
                let head = format!(
                    r#"{{"kind":"{}List","apiVersion":"{}","metadata":{meta},"items":["#,
                    resource.kind,
                    resource.api_version(&target.version)
                );
                let item_head = if resource.built_in { String::new() } else { resource.head(&target.version) };
                Answer::of(200, JSON, Payload::List(ListBody::new(head, items, item_head)))
            }
            form => Answer::bytes(200, present::list(form, &resource, &target.version, &meta, &items, self.now)),
        })
    }

    /// The newest revision that this server has in memory: of a replica that lags, an older one.
    pub(crate) fn newest(&self, resource: &str) -> u64 {
        use crate::faults::FaultKind::Lagging;
        let lag =
            self.faults.holds(resource, |kind| if let Lagging { revisions } = kind { Some(*revisions) } else { None });
        self.revision.saturating_sub(lag.unwrap_or(0)).max(1)
    }

    /// At which revision a token goes on (`None`: the newest, which is inconsistent), where, and how many are left.
    fn continues(&self, token: &str, target: &Target) -> Result<(Option<u64>, Key, Option<usize>), ApiError> {
        let bad = |why: &str| ApiError::bad_request(format!("continue key is not valid: {why}"));
        let json = URL_SAFE_NO_PAD.decode(token.trim_end_matches('=')).map_err(|_| bad("illegal base64 data"))?;
        let token: Token = serde_json::from_slice(&json).map_err(|error| bad(&error.to_string()))?;
        if token.v != "meta.k8s.io/v1" {
            return Err(bad(&format!("server does not recognize this encoded version {:?}", token.v)));
        }
        let start = token.start.strip_suffix('\0').unwrap_or(&token.start);
        let (namespace, name) = start.split_once('/').ok_or_else(|| bad("no key"))?;
        if target.namespace.as_deref().is_some_and(|wanted| wanted != namespace) {
            return Err(bad("it is of another namespace"));
        }
        Ok((u64::try_from(token.rv).ok(), Key::new(namespace, name), token.left))
    }
}

const CONTINUE_EXPIRED: &str = "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.";

fn token(revision: i64, next: &Key, left: Option<usize>) -> String {
    // The item itself is named, where the real server names its predecessor with a zero byte after it.
    let start = format!("{}/{}", next.namespace, next.name);
    let token = Token { v: "meta.k8s.io/v1".to_owned(), rv: revision, start, left };
    URL_SAFE_NO_PAD.encode(serde_json::to_string(&token).unwrap_or_default())
}

/// The metadata of a list, in the order in which the real server writes it.
pub(crate) fn meta(revision: u64, next: Option<&str>, remaining: Option<usize>) -> String {
    let mut meta = format!(r#"{{"resourceVersion":"{revision}""#);
    if let Some(next) = next {
        meta.push_str(&format!(r#","continue":"{next}""#));
    }
    if let Some(remaining) = remaining {
        meta.push_str(&format!(r#","remainingItemCount":{remaining}"#));
    }
    meta + "}"
}

/// What the parameters say about versions.
fn at(call: &Call) -> Result<At, ApiError> {
    let version = call.query.get("resourceVersion");
    let rule = call.query.get("resourceVersionMatch");
    let continues = !call.query.get("continue").is_empty();
    let field = "resourceVersionMatch";
    match rule {
        "" => {}
        _ if continues => {
            return Err(ApiError::options(field, "resourceVersionMatch is forbidden when continue is provided"));
        }
        _ if version.is_empty() => {
            return Err(ApiError::options(
                field,
                "resourceVersionMatch is forbidden unless resourceVersion is provided",
            ));
        }
        "Exact" if version == "0" => {
            return Err(ApiError::options(
                field,
                "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"",
            ));
        }
        "Exact" | "NotOlderThan" => {}
        other => {
            let message = format!("Unsupported value: {other:?}: supported values: \"Exact\", \"NotOlderThan\", \"\"");
            return Err(ApiError::invalid(
                "meta.k8s.io",
                "ListOptions",
                "",
                &[(field, "FieldValueNotSupported", message)],
            ));
        }
    }
    if continues && !matches!(version, "" | "0") {
        return Err(ApiError::bad_request("specifying resource version is not allowed when using continue"));
    }
    Ok(match (revision(version)?, rule) {
        (None, _) => At::Newest,
        (Some(0), _) => At::Any,
        (Some(revision), "Exact") => At::Exact(revision),
        // Without a rule a page of a list is taken at its version exactly.
        (Some(revision), "") if call.query.has("limit") && call.query.get("limit") != "0" => At::Exact(revision),
        (Some(revision), _) => At::NotOlderThan(revision),
    })
}

/// A version of a request; `None` for none.
pub(crate) fn revision(text: &str) -> Result<Option<u64>, ApiError> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| {
        let message =
            format!("invalid resource version: resourceVersion: Invalid value: {text:?}: strconv.ParseUint: parsing {text:?}: invalid syntax");
        ApiError::bad_request(message)
    })
}
