//! From a request to its answer: faults, who asks, whether they may, and what is asked.

use crate::body::{Answer, Payload};
use crate::discovery::unavailable;
use crate::faults::FaultKind;
use crate::metrics;
use crate::present;
use crate::rbac::Attributes;
use crate::request::{Call, Target};
use crate::status::ApiError;
use crate::store::Key;
use crate::world::World;
use crate::write::key_of;
use bytes::Bytes;
use http::{Method, Request};
use jiff::SignedDuration;
use serde_json::json;

/// How long the real server waits for etcd.
const STORAGE: SignedDuration = SignedDuration::from_secs(60);

impl World {
    /// Answers one request.
    pub(crate) fn answer(&mut self, request: Request<Bytes>) -> Answer {
        let mut call = Call::new(request);
        let target = Target::of(&call.segments);
        let aim = target.as_ref().map_or_else(|| call.path.clone(), Target::qualified);
        if let Some(answer) = self.struck(&call, target.as_ref(), &aim) {
            return answer;
        }
        call.user = match self.authenticate(&call) {
            Ok(user) => user,
            Err(error) => return error.into(),
        };
        let mut answer = match self.dispatch(&call, target) {
            Ok(answer) => answer,
            Err(error) => error.into(),
        };
        // A watch is cut where it has events to tell, not here.
        if matches!(answer.payload, Payload::List(_)) && self.faults.strikes(&aim, &FaultKind::CutMidLine) {
            answer.cut = true;
        }
        answer
    }

    /// What a fault answers in the server's stead.
    fn struck(&mut self, call: &Call, target: Option<&Target>, aim: &str) -> Option<Answer> {
        if call.path.starts_with("/sim") {
            return None;
        }
        if self.faults.strikes(aim, &FaultKind::HalfOpen) {
            return Some(Answer::of(200, crate::body::JSON, Payload::Never));
        }
        let refused = self.faults.strike(aim, |kind| match kind {
            FaultKind::TooManyRequests { retry_after } => {
                let message = "the server has received too many requests and has asked us to try again later";
                let mut error = ApiError::new(429, "TooManyRequests", message);
                error.details = json!({"retryAfterSeconds": retry_after});
                error.retry_after = Some(*retry_after);
                Some(error)
            }
            FaultKind::Unauthorized => Some(ApiError::unauthorized()),
            FaultKind::Refuse { code } => {
                let reason = match code {
                    500 => "InternalError",
                    502 => "",
                    503 => "ServiceUnavailable",
                    _ => "",
                };
                Some(ApiError::new(*code, reason, "the server refuses on purpose"))
            }
            _ => None,
        });
        if let Some(error) = refused {
            return Some(error.into());
        }
        let target = target?;
        if self.group_down(&target.group) {
            return Some(unavailable().into());
        }
        let reads_cache = call.query.get("resourceVersion") == "0";
        let watches = call.query.flag("watch");
        let reads = call.method == Method::GET;
        if self.faults.storage_down(aim) && !(reads && (watches || reads_cache)) {
            let mut answer = Answer::from(ApiError::storage_timeout());
            answer.not_before = self.now.checked_add(STORAGE).ok();
            return Some(answer);
        }
        let at_version = !matches!(call.query.get("resourceVersion"), "" | "0");
        if reads && !watches && at_version && self.faults.strikes(aim, &FaultKind::RevisionTooLarge) {
            let wanted = call.query.get("resourceVersion").parse().unwrap_or(self.revision + 1);
            return Some(ApiError::too_large(wanted, self.revision).into());
        }
        None
    }

    fn dispatch(&mut self, call: &Call, target: Option<Target>) -> Result<Answer, ApiError> {
        if let Some(answer) = crate::control::called(self, call) {
            return answer;
        }
        let Some(target) = target else {
            let verb = call.method.as_str().to_ascii_lowercase();
            let path = Attributes { verb: &verb, path: &call.path, ..Attributes::default() };
            self.authorize(&call.user, &path)?;
            return self.plain_path(call);
        };
        if let Some(answer) = self.review(call, &target) {
            return answer;
        }
        let metrics = target.group == metrics::GROUP && target.version == "v1beta1";
        let table = self.table(&target.group, &target.plural);
        let table = table.filter(|&table| self.tables[table].resource.versions.contains(&target.version));
        if table.is_none() && !metrics {
            if self.knows(&target.group, &target.version) {
                return Err(ApiError::no_such_resource());
            }
            // The real server knows nothing of such a path, and says so in plain text.
            return Ok(Answer::text(404, "404 page not found\n"));
        }
        self.authorize_target(call, &target)?;
        if metrics {
            return self.metrics_called(call, &target);
        }
        let table = table.unwrap_or_default();
        let namespaced = self.tables[table].resource.namespaced;
        if target.namespace.is_some() && !namespaced {
            return Err(ApiError::no_such_resource());
        }
        if target.name.is_some() && target.namespace.is_none() && namespaced {
            return Err(ApiError::no_such_resource());
        }
        match target.sub() {
            "" => self.object_called(call, &target, table),
            sub => self.sub_called(call, &target, table, sub),
        }
    }

    fn authorize_target(&mut self, call: &Call, target: &Target) -> Result<(), ApiError> {
        let watches = call.query.flag("watch");
        let verb = match (call.method.as_str(), target.name.is_some()) {
            ("GET" | "HEAD", _) if watches => "watch",
            ("GET" | "HEAD", true) => "get",
            ("GET" | "HEAD", false) => "list",
            ("POST", _) => "create",
            ("PUT", _) => "update",
            ("PATCH", _) => "patch",
            ("DELETE", true) => "delete",
            ("DELETE", false) => "deletecollection",
            _ => "",
        };
        // A list of one name is a question for that name alone.
        let only = call.query.get("fieldSelector").strip_prefix("metadata.name=").unwrap_or_default();
        // A namespace is in itself.
        let namespace = match (&target.namespace, &target.name) {
            (None, Some(name)) if target.group.is_empty() && target.plural == "namespaces" => name,
            (namespace, _) => namespace.as_deref().unwrap_or_default(),
        };
        let wanted = Attributes {
            verb,
            group: &target.group,
            resource: &target.plural,
            sub: target.sub(),
            namespace,
            name: target.name.as_deref().unwrap_or(only),
            path: "",
        };
        self.authorize(&call.user, &wanted)
    }

    fn object_called(&mut self, call: &Call, target: &Target, table: usize) -> Result<Answer, ApiError> {
        match (call.method.as_str(), target.name.is_some()) {
            ("GET", _) if call.query.flag("watch") => self.watch(call, target, table),
            ("GET", true) => self.get_called(call, target, table),
            ("GET", false) => self.list(call, target, table),
            ("POST", false) => self.create_called(call, target, table),
            ("PUT", true) => self.update_called(call, target, table),
            ("PATCH", true) => self.patch_called(call, target, table),
            ("DELETE", true) => self.delete_called(call, target, table),
            ("DELETE", false) => self.delete_collection(call, target, table),
            _ => Err(ApiError::method_not_allowed()),
        }
    }

    fn sub_called(&mut self, call: &Call, target: &Target, table: usize, sub: &str) -> Result<Answer, ApiError> {
        let resource = self.tables[table].resource.clone();
        let pod = resource.built_in && resource.kind == "Pod";
        let namespace = resource.built_in && resource.kind == "Namespace";
        let account = resource.built_in && resource.kind == "ServiceAccount";
        match (sub, call.method.as_str()) {
            ("scale", "GET" | "PUT" | "PATCH") if resource.scale.is_some() => self.scale_called(call, target, table),
            ("status", "GET") if resource.status => self.get_called(call, target, table),
            ("status", "PUT") if resource.status => self.update_called(call, target, table),
            ("status", "PATCH") if resource.status => self.patch_called(call, target, table),
            ("resize", "GET") if pod => self.get_called(call, target, table),
            ("resize", "PUT") if pod => self.update_called(call, target, table),
            ("resize", "PATCH") if pod => self.patch_called(call, target, table),
            ("log", "GET") if pod => self.log_called(call, target, table),
            ("binding", "POST") if pod => self.bind_called(call, target, table),
            ("eviction", "POST") if pod => self.evict_called(call, target, table),
            ("token", "POST") if account => self.token_called(call, target, table),
            ("finalize", "PUT") if namespace => self.update_called(call, target, table),
            ("scale", _) if resource.scale.is_some() => Err(ApiError::method_not_allowed()),
            ("status", _) if resource.status => Err(ApiError::method_not_allowed()),
            _ => Err(ApiError::no_such_resource()),
        }
    }

    fn get_called(&mut self, call: &Call, target: &Target, table: usize) -> Result<Answer, ApiError> {
        let from_memory = !call.query.get("resourceVersion").is_empty();
        let newest = if from_memory { self.newest(&target.qualified()) } else { self.revision };
        if let Some(revision) = crate::list::revision(call.query.get("resourceVersion"))?.filter(|at| *at > newest) {
            return Err(ApiError::too_large(revision, newest));
        }
        let key: Key = key_of(target);
        let table = &self.tables[table];
        let undone = if newest == self.revision { None } else { table.undo(newest) };
        let stored = match undone.as_ref().and_then(|undo| undo.get(&key)) {
            Some(before) => before.as_ref(),
            None => table.objects.get(&key),
        };
        let resource = &table.resource;
        let Some(stored) = stored else {
            return Err(ApiError::not_found(&resource.group, &resource.plural, &key.name));
        };
        let mut out = Vec::with_capacity(stored.bytes.len() + 64);
        present::write(&mut out, present::form(call)?, resource, &target.version, &stored.bytes, self.now);
        Ok(Answer::bytes(200, out))
    }

    fn plain_path(&mut self, call: &Call) -> Result<Answer, ApiError> {
        if call.method != Method::GET {
            return Err(ApiError::method_not_allowed());
        }
        if let Some(answer) = self.discover(call) {
            return answer;
        }
        if let Some(answer) = self.openapi(call) {
            return Ok(answer);
        }
        Ok(match call.segments.first().map(String::as_str) {
            // It stays well though etcd is dead, as was seen on a real server.
            Some("healthz" | "readyz" | "livez") => Answer::text(200, "ok"),
            Some("version") => {
                let version = &self.config.version;
                let mut numbers = version.trim_start_matches('v').split('.');
                Answer::json(
                    200,
                    &json!({
                        "major": numbers.next(),
                        "minor": numbers.next(),
                        "gitVersion": version,
                        "gitCommit": "",
                        "gitTreeState": "clean",
                        "buildDate": "1970-01-01T00:00:00Z",
                        "goVersion": "",
                        "compiler": "",
                        "platform": "linux/amd64",
                    }),
                )
            }
            _ => Answer::text(404, "404 page not found\n"),
        })
    }
}
