//! One line of a watch.

use crate::connection::Connection;
use crate::lines::{Line, WatchLine, written};
use crate::list::{Broken, Item, decode_object};
use crate::splitter::{identity_in, name_in};
use reckon_model::{Kind, ResourceRef};
use serde::Deserialize;
use std::collections::HashMap;

/// What a line says.
pub(super) enum Event {
    Item(Item),
    /// With the version at which it went; empty where that could not be told.
    Gone(ResourceRef, String),
    Bookmark {
        version: String,
        /// Whether it closes the list at the beginning.
        closes_list: bool,
    },
    Error {
        code: u16,
        message: String,
    },
}

impl Event {
    pub(super) fn of(connection: &Connection, line: &Line<'_>, kind: &Kind) -> Event {
        let broken = |name: Option<String>, why: &str| Event::Item(Item::Broken(Broken { name, why: why.to_owned() }));
        let bytes = match line {
            Line::Whole(bytes) => *bytes,
            Line::TooLong { head } => return broken(name_in(head), "it is larger than 8 MiB and was skipped"),
        };
        if let Some(json) = written(bytes)
            && let item @ Item::Object(_) = connection.decode_item(json, kind)
        {
            return Event::Item(item);
        }
        let Ok(WatchLine { verb, object }) = serde_json::from_slice::<WatchLine<'_>>(bytes) else {
            return broken(name_in(bytes), "a line of the watch could not be decoded");
        };
        let json = object.get().as_bytes();
        match &*verb {
            "BOOKMARK" => match serde_json::from_slice::<BookmarkObject>(json) {
                Ok(BookmarkObject { metadata }) => Event::Bookmark {
                    version: metadata.resource_version,
                    closes_list: metadata.annotations.get("k8s.io/initial-events-end").is_some_and(|end| end == "true"),
                },
                Err(_) => broken(None, "a bookmark of the watch could not be decoded"),
            },
            "ERROR" => {
                let StatusObject { code, message } = serde_json::from_slice(json).unwrap_or_default();
                Event::Error { code, message: reckon_model::text::clean_line(&message) }
            }
            "DELETED" => match decode_object(json, kind, false) {
                Item::Object(object) => Event::Gone(object.reference(), object.meta.resource_version),
                // Of what is gone, its name is all that is needed.
                broken => match identity_in(json) {
                    Some((namespace, name)) => {
                        Event::Gone(ResourceRef::new(kind.clone(), namespace.as_deref(), &name), String::new())
                    }
                    None => Event::Item(broken),
                },
            },
            _ => Event::Item(connection.decode_item(json, kind)),
        }
    }
}

#[derive(Deserialize)]
struct BookmarkObject {
    metadata: BookmarkMeta,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BookmarkMeta {
    resource_version: String,
    #[serde(default)]
    annotations: HashMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct StatusObject {
    code: u16,
    message: String,
}
