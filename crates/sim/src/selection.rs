//! Which objects of a list or watch are wanted.

use crate::request::Query;
use crate::resource::Resource;
use crate::status::ApiError;
use crate::store::{Key, Stored};
use reckon_model::selector::LabelSelector;

/// Label and field selectors of one request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selection {
    labels: LabelSelector,
    fields: Vec<(Field, String, bool)>,
}

#[derive(Clone, Copy, Debug)]
enum Field {
    Name,
    Namespace,
    /// Its place among the resource's selectable fields.
    Other(usize),
}

impl Selection {
    pub(crate) fn of(query: &Query, resource: &Resource, name: Option<&str>) -> Result<Selection, ApiError> {
        let labels = LabelSelector::parse(query.get("labelSelector"))
            .map_err(|why| ApiError::bad_request(format!("unable to parse requirement: {why}")))?;
        let mut fields = Vec::new();
        for term in query.get("fieldSelector").split(',').filter(|term| !term.is_empty()) {
            let (path, value, wanted) = if let Some((path, value)) = term.split_once("!=") {
                (path, value, false)
            } else if let Some((path, value)) = term.split_once('=') {
                (path, value.strip_prefix('=').unwrap_or(value), true)
            } else {
                return Err(ApiError::bad_request(format!("invalid selector: {term:?}; can't understand {term:?}")));
            };
            let place = |path: &str| resource.fields.iter().position(|field| field == path).map(Field::Other);
            let field = match path {
                "metadata.name" => Some(Field::Name),
                "metadata.namespace" if resource.namespaced => Some(Field::Namespace),
                path => place(path),
            };
            let Some(field) = field else {
                // Kinds that name fields of their own, and custom resources, say it in other words.
                return Err(ApiError::bad_request(if resource.fields.is_empty() && resource.built_in {
                    let known = if resource.namespaced {
                        r#""metadata.name", "metadata.namespace""#
                    } else {
                        r#""metadata.name""#
                    };
                    format!("{path:?} is not a known field selector: only {known}")
                } else {
                    format!("field label not supported: {path}")
                }));
            };
            fields.push((field, value.to_owned(), wanted));
        }
        fields.extend(name.map(|name| (Field::Name, name.to_owned(), true)));
        Ok(Selection { labels, fields })
    }

    pub(crate) fn is_everything(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    pub(crate) fn matches(&self, key: &Key, stored: &Stored) -> bool {
        let field = |(field, value, wanted): &(Field, String, bool)| {
            let actual = match field {
                Field::Name => &*key.name,
                Field::Namespace => &*key.namespace,
                Field::Other(place) => stored.fields.get(*place).map_or("", String::as_str),
            };
            (actual == value) == *wanted
        };
        self.fields.iter().all(field) && self.labels.matches(&stored.labels)
    }
}
