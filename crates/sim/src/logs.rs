//! Logs of containers.

use crate::body::{Answer, Payload};
use crate::request::{Call, Target};
use crate::status::ApiError;
use crate::world::World;
use crate::write::key_of;
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::Notify;

/// Lines kept for each instance of a container.
const LINES: usize = 10_000;

/// The instance of a container: the pod's UID, the container, how often it was restarted.
type Instance = (Arc<str>, String, i64);

#[derive(Debug, Default)]
pub(crate) struct Logs {
    lines: BTreeMap<Instance, Vec<(Timestamp, String)>>,
    pub(crate) wake: Arc<Notify>,
}

/// Where a reader of a log stands.
#[derive(Debug)]
pub(crate) struct LogCursor {
    instance: Instance,
    next: usize,
    follow: bool,
    timestamps: bool,
    /// Bytes that may still be sent.
    left: usize,
    connections: u64,
    pub(crate) wake: Arc<Notify>,
}

impl Logs {
    pub(crate) fn forget(&mut self, uid: &str) {
        self.lines.retain(|(of, ..), _| &**of != uid);
        self.wake.notify_waiters();
    }

    fn has(&self, instance: &Instance) -> bool {
        self.lines.contains_key(instance)
    }
}

impl World {
    /// A container writes a line into its log: of its present instance.
    pub fn log(&mut self, namespace: &str, pod: &str, container: &str, line: &str) {
        let Some(object) = self.get("pods", namespace, pod) else { return };
        let uid: Arc<str> = object["metadata"]["uid"].as_str().unwrap_or_default().into();
        let restarts = status_of(&object, container)["restartCount"].as_i64().unwrap_or(0);
        self.log_of(uid, container, restarts, line);
    }

    pub(crate) fn log_of(&mut self, uid: Arc<str>, container: &str, restarts: i64, line: &str) {
        let lines = self.logs.lines.entry((uid, container.to_owned(), restarts)).or_default();
        if lines.len() < LINES {
            lines.push((self.now, line.to_owned()));
        }
        self.logs.wake.notify_waiters();
    }

    pub(crate) fn log_called(&mut self, call: &Call, target: &Target, table: usize) -> Result<Answer, ApiError> {
        let key = key_of(target);
        let Some(stored) = self.tables[table].objects.get(&key) else {
            return Err(ApiError::not_found("", "pods", &key.name));
        };
        let pod = stored.value();
        let names = |list: &str| -> Vec<String> {
            pod["spec"][list].as_array().into_iter().flatten().map(|c| crate::resource::plain(&c["name"])).collect()
        };
        let (containers, inits) = (names("containers"), names("initContainers"));
        let wanted = call.query.get("container");
        let container = match (wanted, containers.as_slice()) {
            ("", [only]) if inits.is_empty() => only.clone(),
            ("", _) => {
                let init = if inits.is_empty() {
                    String::new()
                } else {
                    format!(" or one of the init containers: [{}]", inits.join(" "))
                };
                return Err(ApiError::bad_request(format!(
                    "a container name must be specified for pod {}, choose one of: [{}]{init}",
                    key.name,
                    containers.join(" ")
                )));
            }
            (wanted, _) if containers.iter().chain(&inits).any(|name| name == wanted) => wanted.to_owned(),
            (wanted, _) => {
                return Err(ApiError::bad_request(format!("container {wanted} is not valid for pod {}", key.name)));
            }
        };
        if pod["spec"]["nodeName"].as_str().unwrap_or_default().is_empty() {
            // No kubelet to ask: the real server answers with nothing at all.
            return Ok(Answer::text(204, ""));
        }
        let status = status_of(&pod, &container);
        let restarts = status["restartCount"].as_i64().unwrap_or(0);
        let previous = call.query.flag("previous");
        let uid = stored.uid.clone();
        let number = if previous { restarts - 1 } else { restarts };
        let instance = (uid, container.clone(), number);
        if previous && !self.logs.has(&instance) {
            let message = format!("previous terminated container {container:?} in pod {:?} not found", key.name);
            return Err(ApiError::bad_request(message));
        }
        // While it waits to be started again, a container's present log is that of the instance that ended.
        let waiting = status["state"]["waiting"]["reason"].as_str();
        let ended = (instance.0.clone(), container.clone(), restarts - 1);
        let instance = match waiting {
            Some(_) if !previous && !self.logs.has(&instance) && self.logs.has(&ended) => ended,
            Some(reason) if !previous && !self.logs.has(&instance) => {
                let hint = if matches!(reason, "ErrImagePull" | "ImagePullBackOff") {
                    "trying and failing to pull image"
                } else {
                    reason
                };
                return Err(ApiError::bad_request(format!(
                    "container {container:?} in pod {:?} is waiting to start: {hint}",
                    key.name
                )));
            }
            _ => instance,
        };
        let lines = self.logs.lines.get(&instance).map_or(&[][..], Vec::as_slice);
        let since = match (call.query.number("sinceSeconds")?, call.query.get("sinceTime")) {
            (Some(seconds), _) => self.now.checked_sub(SignedDuration::from_secs(seconds)).ok(),
            (None, "") => None,
            (None, time) => Some(time.parse().map_err(|error| ApiError::bad_request(format!("sinceTime: {error}")))?),
        };
        let mut next = since.map_or(0, |since| lines.partition_point(|(at, _)| *at < since));
        if let Some(tail) = call.query.number("tailLines")? {
            next = next.max(lines.len().saturating_sub(usize::try_from(tail).unwrap_or(0)));
        }
        let limit = call.query.number("limitBytes")?;
        let cursor = LogCursor {
            instance,
            next,
            follow: call.query.flag("follow") && !previous,
            timestamps: call.query.flag("timestamps"),
            left: limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(0)),
            connections: self.connections,
            wake: self.logs.wake.clone(),
        };
        Ok(Answer::of(200, "text/plain", Payload::Log(Box::new(cursor))))
    }

    /// The next bytes of a log; `Ok(None)` while there are none yet, `Err` at the end: whether it was cut off.
    pub(crate) fn read_log(&self, cursor: &mut LogCursor) -> Result<Option<Bytes>, bool> {
        if cursor.connections != self.connections {
            return Err(true);
        }
        let lines = self.logs.lines.get(&cursor.instance).map_or(&[][..], Vec::as_slice);
        let mut out = Vec::new();
        for (at, line) in lines.iter().skip(cursor.next) {
            if out.len() > 64 * 1024 {
                break;
            }
            cursor.next += 1;
            if cursor.timestamps {
                out.extend_from_slice(format!("{at:.9} ").as_bytes());
            }
            out.extend_from_slice(line.as_bytes());
            out.push(b'\n');
        }
        out.truncate(cursor.left);
        cursor.left -= out.len();
        if !out.is_empty() {
            return Ok(Some(Bytes::from(out)));
        }
        let runs = || {
            let (uid, container, restarts) = &cursor.instance;
            let table = self.table("", "pods");
            let pods = table.into_iter().flat_map(|table| self.tables[table].objects.values());
            pods.filter(|stored| stored.uid == *uid).any(|stored| {
                let pod = stored.value();
                let status = status_of(&pod, container);
                status["restartCount"].as_i64().unwrap_or(0) == *restarts && !status["state"]["terminated"].is_object()
            })
        };
        if cursor.follow && cursor.left > 0 && runs() { Ok(None) } else { Err(false) }
    }
}

/// The status of a container; `Null` where there is none yet.
pub(crate) fn status_of<'a>(pod: &'a Value, container: &str) -> &'a Value {
    let lists = ["containerStatuses", "initContainerStatuses"].iter();
    let mut all = lists.flat_map(|list| pod["status"][*list].as_array().into_iter().flatten());
    all.find(|status| status["name"] == container).unwrap_or(&Value::Null)
}
