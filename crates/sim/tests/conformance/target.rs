//! A server under test, and its answers without what differs from run to run.

use http::Request;
use http_body_util::BodyExt;
use kube::client::Body;
use serde_json::{Value, json};

/// A server, and what it said.
pub(crate) struct Target {
    client: kube::Client,
    pub(crate) said: Vec<Value>,
}

/// How much of an answer is compared.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compare {
    All,
    /// Code and reason: the message is in a decoder's words.
    Reason,
    Nothing,
}

impl Target {
    pub(crate) fn new(client: kube::Client) -> Target {
        Target { client, said: Vec::new() }
    }

    /// Sends a request; the whole answer.
    pub(crate) async fn send(
        &mut self,
        asked: &str,
        headers: &[(&str, &str)],
        body: &str,
        compare: Compare,
    ) -> (u16, String) {
        let (method, path) = asked.split_once(' ').unwrap();
        let mut request = Request::builder().method(method).uri(path).header("user-agent", "conformance/1");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if !body.is_empty() && !headers.iter().any(|(name, _)| *name == "content-type") {
            request = request.header("content-type", "application/json");
        }
        let request = request.body(Body::from(body.as_bytes().to_vec())).unwrap();
        let answer = self.client.send(request).await.unwrap();
        let code = answer.status().as_u16();
        let bytes = answer.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let path = self.without_versions(path);
        let mut said = json!({"asked": format!("{method} {path}"), "code": code});
        if !headers.is_empty() {
            said["headers"] = headers.iter().map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>().into();
        }
        let whole: Option<Value> = serde_json::from_str(&text).ok();
        match (compare, whole) {
            (Compare::Nothing, _) => return (code, text),
            (Compare::Reason, whole) => said["reason"] = whole.unwrap_or_default()["reason"].clone(),
            (Compare::All, Some(mut value)) if !asked.contains("watch=") || code != 200 => {
                plain(&mut value);
                said["said"] = value;
            }
            (Compare::All, _) if asked.contains("watch=") && code == 200 => {
                let events = text.lines().map(|line| {
                    let mut event: Value = serde_json::from_str(line).unwrap();
                    if event["type"] == "BOOKMARK" {
                        let object = event["object"].as_object_mut().unwrap();
                        object.retain(|key, _| matches!(key.as_str(), "kind" | "apiVersion" | "metadata"));
                    }
                    plain(&mut event);
                    event
                });
                said["events"] = events.collect();
            }
            (Compare::All, _) => said["text"] = text.as_str().into(),
        }
        self.said.push(said);
        (code, text)
    }

    /// Sends JSON; the answer.
    pub(crate) async fn ask(&mut self, asked: &str, body: Value) -> Value {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let (_, text) = self.send(asked, &[], &body, Compare::All).await;
        serde_json::from_str(&text).unwrap_or_default()
    }

    pub(crate) async fn get(&mut self, path: &str) -> Value {
        self.ask(&format!("GET {path}"), Value::Null).await
    }

    pub(crate) async fn patch(&mut self, path: &str, kind: &str, body: Value) -> Value {
        let kind = format!("application/{kind}+json");
        let (_, text) =
            self.send(&format!("PATCH {path}"), &[("content-type", &kind)], &body.to_string(), Compare::All).await;
        serde_json::from_str(&text).unwrap_or_default()
    }

    fn without_versions(&self, path: &str) -> String {
        let Some((path, query)) = path.split_once('?') else { return path.to_owned() };
        let parameters = query.split('&').map(|parameter| match parameter.split_once('=') {
            Some(("continue", value)) if value.len() > 10 => "continue=TOKEN".to_owned(),
            Some(("resourceVersion", value))
                if value.parse::<u64>().is_ok_and(|version| (2..1_000_000_000).contains(&version)) =>
            {
                "resourceVersion=RV".to_owned()
            }
            _ => parameter.to_owned(),
        });
        format!("{path}?{}", parameters.collect::<Vec<_>>().join("&"))
    }
}

/// Puts a word in the place of what differs from run to run.
fn plain(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(plain),
        Value::Object(members) => {
            // What is not set is left out or null, as a type happens to be written; hashes of storage are nobody's business.
            members.retain(|key, value| !value.is_null() && key != "storageVersionHash");
            for (key, value) in members.iter_mut() {
                match (key.as_str(), &value) {
                    ("uid", Value::String(_)) => *value = "UID".into(),
                    ("resourceVersion", Value::String(text)) if text.parse::<u64>().is_ok() => *value = "RV".into(),
                    ("continue", Value::String(_)) => *value = "TOKEN".into(),
                    ("creationTimestamp" | "deletionTimestamp" | "lastTransitionTime", Value::String(_)) => {
                        *value = "TIME".into();
                    }
                    ("message", Value::String(text)) => *value = without_numbers(text).into(),
                    ("description", _) => *value = Value::Null,
                    ("managedFields", Value::Array(entries)) => {
                        let entries = entries.iter().map(|entry| {
                            let word = |key: &str| entry[key].as_str().unwrap_or_default().to_owned();
                            format!("{} {} {}", word("manager"), word("operation"), word("subresource"))
                                .trim_end()
                                .into()
                        });
                        let mut entries: Vec<String> = entries.collect();
                        entries.sort();
                        *value = entries.into();
                    }
                    _ => plain(value),
                }
            }
            // Numbers and ages in tables.
            if let Some(last) =
                members.get_mut("cells").and_then(Value::as_array_mut).and_then(|cells| cells.last_mut())
            {
                *last = "AGE".into();
            }
        }
        _ => {}
    }
}

/// A message with its numbers and UIDs blanked out.
fn without_numbers(text: &str) -> String {
    let word = |word: &str| {
        let bare = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
        let uid = bare.len() == 36 && bare.matches('-').count() == 4;
        if uid || (!bare.is_empty() && bare.chars().all(|c| c.is_ascii_digit())) {
            word.replace(bare, "N")
        } else {
            word.to_owned()
        }
    };
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
}
