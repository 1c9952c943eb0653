//! What a server's record tells, for commands about the past.

use crate::args::RecordOptions;
use crate::exit::{Exit, Failure};
use reckon_agent::link::{self, Plain, Settings, SettingsError, Token};
use reckon_model::record::Entry;
use reckon_model::text::clean_line;
use reckon_model::{ResourceRef, Timestamp};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// The largest page that is read: a thousand entries of the largest kind.
const MOST: usize = 64 * 1024 * 1024;

/// Entries that are told of one object; the newest of more.
const ENTRIES: usize = 5_000;

/// Entries of a page.
const PAGE: usize = 1_000;

/// Timelines that are asked for at once: a workload with all that it is made of.
const LINES: usize = 50;

/// The record of one cluster, at a server.
pub(crate) struct Record {
    settings: Settings,
    cluster: Known,
}

/// What was found.
pub(crate) struct Found {
    /// Oldest first.
    pub(crate) entries: Vec<Entry>,
    /// Whether there are older ones that are not told.
    pub(crate) more: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page<T> {
    items: Vec<T>,
    next_page_token: Option<String>,
}

/// A cluster whose record a server has.
#[derive(Clone, Debug, Deserialize)]
struct Known {
    id: String,
    name: Option<String>,
    begins: Option<Timestamp>,
}

impl Record {
    /// The record of the cluster of this id; without one, of the only cluster that the server knows.
    pub(crate) async fn of(options: &RecordOptions, server: &str, cluster: Option<&str>) -> Result<Record, Failure> {
        let settings = settings(options, server)?;
        let known: Page<Known> = ask(&settings, "/api/v1/clusters").await?;
        let found = match cluster {
            Some(id) => known.items.iter().find(|known| known.id == id).cloned().ok_or_else(|| {
                Failure::new(Exit::NotFound, format!("the server {server} has no record of this cluster ({id})"))
            })?,
            None => match known.items.as_slice() {
                [only] => only.clone(),
                [] => {
                    return Err(Failure::new(
                        Exit::NotFound,
                        format!("the server {server} has no record of any cluster"),
                    ));
                }
                several => {
                    let names: Vec<String> =
                        several.iter().map(|known| clean_line(known.name.as_deref().unwrap_or(&known.id))).collect();
                    let sentence = format!(
                        "the server {server} has the record of several clusters ({}), and which one is meant is known of the cluster alone",
                        names.join(", ")
                    );
                    return Err(Failure::new(Exit::Usage, sentence));
                }
            },
        };
        Ok(Record { settings, cluster: found })
    }

    /// The cluster's id.
    pub(crate) fn cluster(&self) -> &str {
        &self.cluster.id
    }

    /// Since when it is complete.
    pub(crate) fn begins(&self) -> Option<Timestamp> {
        self.cluster.begins
    }

    /// What is on these timelines, of the first fifty of them.
    pub(crate) async fn entries(&self, lines: &[ResourceRef], since: Option<Timestamp>) -> Result<Found, Failure> {
        let mut filter = format!("cluster={}", encode(&self.cluster.id));
        for line in lines.iter().take(LINES) {
            // A pod is no timeline: what happened to it is on that of its workload.
            let by = if line.kind == reckon_model::Kind::Pod { "object" } else { "workload" };
            filter.push_str(&format!("&{by}={}", encode(&named(line))));
        }
        if let Some(since) = since {
            filter.push_str(&format!("&from={since}"));
        }
        let mut entries: Vec<Entry> = Vec::new();
        let mut token = String::new();
        loop {
            let path = format!("/api/v1/changes?page_size={PAGE}&{filter}{token}");
            let page: Page<Entry> = ask(&self.settings, &path).await?;
            entries.extend(page.items);
            match page.next_page_token {
                Some(next) if entries.len() < ENTRIES => token = format!("&page_token={}", encode(&next)),
                next => {
                    entries.reverse();
                    return Ok(Found { entries, more: next.is_some() });
                }
            }
        }
    }
}

fn settings(options: &RecordOptions, server: &str) -> Result<Settings, Failure> {
    let usage = |sentence: String| Failure::new(Exit::Usage, sentence);
    let token = match (&options.token_file, &options.token) {
        (Some(file), _) => Token::File(file.clone()),
        (None, Some(token)) => Token::Given(token.clone()),
        (None, None) => {
            return Err(usage(format!("the server {server} wants a token: give --token-file, or set RECKON_TOKEN")));
        }
    };
    Settings::new(server, token, options.ca_file.as_deref(), Plain::OnLoopback).map_err(|error| match error {
        SettingsError::Plain(server) => usage(format!("{server} has no TLS: the token would be readable on the way")),
        other => usage(other.to_string()),
    })
}

async fn ask<T: DeserializeOwned>(settings: &Settings, path: &str) -> Result<T, Failure> {
    let answer = link::get(settings, path, MOST)
        .await
        .map_err(|lost| Failure::new(Exit::Unreachable, format!("the server cannot be asked: {lost}")))?;
    let exit = match answer.status.as_u16() {
        200 => {
            return serde_json::from_slice(&answer.body).map_err(|error| {
                Failure::new(Exit::Partial, format!("the server's answer is none that this version knows: {error}"))
            });
        }
        401 | 403 => Exit::Forbidden,
        404 => Exit::NotFound,
        _ => Exit::Partial,
    };
    Err(Failure::new(exit, format!("the server refuses: {}", answer.refusal())))
}

/// `deployment.apps/shop/checkout`, as the API names objects.
fn named(object: &ResourceRef) -> String {
    let group = object.kind.group();
    let dot = if group.is_empty() { "" } else { "." };
    let namespace = object.namespace.as_ref().map(|namespace| format!("{namespace}/")).unwrap_or_default();
    format!("{}{dot}{group}/{namespace}{}", object.kind.name(), object.name)
}

/// Percent-encodes all but the unreserved characters of RFC 3986.
fn encode(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use reckon_model::Kind;

    #[test]
    fn an_object_is_named_as_the_api_names_it() {
        let web = ResourceRef::new(Kind::Deployment, Some("shop"), "web");
        assert_eq!(named(&web), "Deployment.apps/shop/web");
        assert_eq!(named(&ResourceRef::new(Kind::Node, None, "n1")), "Node/n1");
        assert_eq!(encode("a/b&c=ü"), "a%2Fb%26c%3D%C3%BC");
    }
}
