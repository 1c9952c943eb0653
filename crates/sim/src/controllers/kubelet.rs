//! A kubelet for every node: containers live as a script says, and are told of in the real one's words.
//!
//! The script is the annotation `sim.reckon.dev/behaviour` of a pod: JSON by container name, `*` for all others.
//!
//! | member | means |
//! |---|---|
//! | `exitCode`, `after` | it ends with this code after so many seconds |
//! | `oomAfter` | it is killed for lack of memory after so many seconds |
//! | `ready` | `false`: its readiness probe fails |
//! | `unready` | the same, and what the probe meets |
//! | `liveness`, `after` | its liveness probe meets this, and it is killed after so many seconds |
//! | `pull` | `false`: its image cannot be pulled |
//! | `log` | lines that each instance writes when it starts |
//! | `cpuMillis`, `memoryMi` | what it uses; more memory than its limit, and it is killed after `oomAfter` (20) seconds |
//!
//! What [`crate::World::behave`] says of a container holds for the members that its script leaves out. A container without a script runs, and of a Job it ends well after a second.

use super::{after, ending, events, name, namespace, number, set_condition, time};
use crate::clock::seconds;
use crate::logs::status_of;
use crate::metrics::Usage;
use crate::world::World;
use jiff::Timestamp;
use reckon_model::quantity::Quantity;
use serde_json::{Value, json};

/// The annotation.
const SCRIPT: &str = "sim.reckon.dev/behaviour";

/// How long the first back-off lasts; each further one is twice as long, up to five minutes (kubelet).
const BACK_OFF: i64 = 10;
const LONGEST: i64 = 300;

/// How many seconds it takes a program to fill more memory than it may have.
const FILLS: i64 = 20;

pub(super) fn run(world: &mut World) {
    for pod in world.all("pods") {
        if pod["spec"]["nodeName"].as_str().unwrap_or_default().is_empty() {
            continue;
        }
        // Nodes that nobody made, or that went away, have no kubelet.
        let node = pod["spec"]["nodeName"].as_str().unwrap_or_default();
        if world.get("nodes", "", node).is_none_or(|node| super::nodes::gone(&node)) {
            continue;
        }
        if ending(&pod) {
            world.remove_now("pods", namespace(&pod), name(&pod));
        } else if !matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed")) {
            sync(world, &pod);
        }
    }
}

fn script(world: &World, pod: &Value, container: &str, image: &str) -> Value {
    let text = pod["metadata"]["annotations"][SCRIPT].as_str().unwrap_or("{}");
    let all: Value = serde_json::from_str(text).unwrap_or_default();
    let own = if all[container].is_object() { &all[container] } else { &all["*"] };
    let mut said = world.behaviour_of(pod, image);
    if let (Some(said), Some(own)) = (said.as_object_mut(), own.as_object()) {
        said.extend(own.clone());
    }
    if own.is_object() || !said["exitCode"].is_null() || !said["oomAfter"].is_null() {
        return said;
    }
    let of_job = pod["metadata"]["ownerReferences"][0]["kind"] == "Job";
    if of_job {
        said["exitCode"] = 0.into();
        said["after"] = said["after"].as_i64().unwrap_or(1).into();
    }
    said
}

fn sync(world: &mut World, pod: &Value) {
    let now = world.now;
    let text = seconds(now);
    let mut status = pod["status"].clone();
    if status["startTime"].is_null() {
        let node = world.get("nodes", "", pod["spec"]["nodeName"].as_str().unwrap_or_default()).unwrap_or_default();
        status["startTime"] = text.as_str().into();
        status["hostIP"] = node["status"]["addresses"][0]["address"].clone();
        let ip = format!("10.{}.{}.{}", 128 + world.rng.below(64), world.rng.below(256), 1 + world.rng.below(254));
        status["podIPs"] = json!([{"ip": ip}]);
        status["podIP"] = ip.into();
    }
    let mut statuses = Vec::new();
    for container in pod["spec"]["containers"].as_array().into_iter().flatten() {
        statuses.push(Container::of(world, pod, container).advance(world));
    }
    let never = pod["spec"]["restartPolicy"] == "Never";
    let on_failure = pod["spec"]["restartPolicy"] == "OnFailure";
    let code = |status: &Value| status["state"]["terminated"]["exitCode"].as_i64();
    let all_ended = statuses.iter().all(|status| code(status).is_some());
    let all_well = statuses.iter().all(|status| code(status) == Some(0));
    let started = statuses.iter().any(|status| {
        status["state"]["running"].is_object() || number(&status["restartCount"]) > 0 || code(status).is_some()
    });
    let phase = match () {
        () if all_ended && all_well && (never || on_failure) => "Succeeded",
        () if all_ended && never => "Failed",
        () if started => "Running",
        () => "Pending",
    };
    status["phase"] = phase.into();
    let ready = !statuses.is_empty() && statuses.iter().all(|status| status["ready"] == true);
    let unready: Vec<&str> =
        statuses.iter().filter(|status| status["ready"] != true).filter_map(|status| status["name"].as_str()).collect();
    let message = format!("containers with unready status: [{}]", unready.join(" "));
    set_condition(&mut status, "PodReadyToStartContainers", "True", "", "", &text);
    set_condition(&mut status, "Initialized", "True", "", "", &text);
    for kind in ["Ready", "ContainersReady"] {
        match (ready, phase) {
            (true, _) => set_condition(&mut status, kind, "True", "", "", &text),
            (false, "Succeeded") => set_condition(&mut status, kind, "False", "PodCompleted", "", &text),
            (false, _) => set_condition(&mut status, kind, "False", "ContainersNotReady", &message, &text),
        }
    }
    status["containerStatuses"] = statuses.into();
    if status != pod["status"] {
        world.edit("pods", namespace(pod), name(pod), "kubelet", |pod| pod["status"] = status);
    }
}

/// One container and its script.
struct Container<'a> {
    pod: &'a Value,
    name: &'a str,
    image: &'a str,
    /// Of memory, in bytes.
    limit: Option<i64>,
    script: Value,
    status: Value,
}

impl<'a> Container<'a> {
    fn of(world: &World, pod: &'a Value, container: &'a Value) -> Self {
        let name = container["name"].as_str().unwrap_or_default();
        let image = container["image"].as_str().unwrap_or_default();
        let mut status = status_of(pod, name).clone();
        if status.is_null() {
            status = json!({
                "name": name, "image": image, "imageID": "", "ready": false, "started": false, "restartCount": 0,
                "lastState": {}, "state": {"waiting": {"reason": "ContainerCreating"}},
            });
        }
        let limit = Quantity::new(&crate::resource::plain(&container["resources"]["limits"]["memory"])).value();
        Container { pod, name, image, limit, script: script(world, pod, name, image), status }
    }

    fn say(&self, world: &mut World, warns: bool, reason: &str, message: &str) {
        let field = format!("spec.containers{{{}}}", self.name);
        events::say(world, "Pod", self.pod, &field, warns, reason, message, "kubelet");
    }

    /// Its status now.
    fn advance(mut self, world: &mut World) -> Value {
        let state = self.status["state"].clone();
        if state["waiting"].is_object() {
            self.wait(world, state["waiting"]["reason"].as_str().unwrap_or_default());
        } else if state["running"].is_object() {
            self.run(world, time(&state["running"]["startedAt"]).unwrap_or(world.now));
        } else if state["terminated"].is_object() {
            self.restart(world, &state);
        }
        self.status
    }

    fn wait(&mut self, world: &mut World, reason: &str) {
        if self.script["pull"] == false {
            let error =
                format!("failed to pull and unpack image \"{}\": failed to resolve reference: not found", self.image);
            if reason == "ContainerCreating" {
                self.say(world, false, "Pulling", &format!("Pulling image {:?}", self.image));
                self.say(world, true, "Failed", &format!("Failed to pull image {:?}: {error}", self.image));
                self.say(world, true, "Failed", "Error: ErrImagePull");
                self.status["state"] = json!({"waiting": {"reason": "ErrImagePull", "message": error}});
            } else if reason == "ErrImagePull" {
                let message = format!("Back-off pulling image {:?}", self.image);
                self.say(world, false, "BackOff", &message);
                self.say(world, true, "Failed", "Error: ImagePullBackOff");
                self.status["state"] = json!({"waiting": {"reason": "ImagePullBackOff", "message": message}});
            }
            return;
        }
        let last = &self.status["lastState"]["terminated"];
        let until = time(&last["finishedAt"]).map(|end| after(end, self.back_off()));
        match until.filter(|until| reason == "CrashLoopBackOff" && *until > world.now) {
            Some(until) => world.due_at(until),
            None => self.start(world),
        }
    }

    /// How long to wait before the next start.
    fn back_off(&self) -> i64 {
        let restarts = u32::try_from(number(&self.status["restartCount"])).unwrap_or(0);
        BACK_OFF.saturating_mul(2_i64.saturating_pow(restarts.min(10))).min(LONGEST)
    }

    fn start(&mut self, world: &mut World) {
        if self.status["lastState"]["terminated"].is_object() {
            self.status["restartCount"] = (number(&self.status["restartCount"]) + 1).into();
        }
        let id = format!("containerd://{:016x}{:016x}", world.rng.bits(), world.rng.bits());
        self.say(world, false, "Pulled", &format!("Container image {:?} already present on machine", self.image));
        self.say(world, false, "Created", "Container created");
        self.say(world, false, "Started", "Container started");
        self.status["containerID"] = id.into();
        self.status["imageID"] = self.image.into();
        self.status["started"] = true.into();
        self.status["ready"] = self.is_well().into();
        self.status["state"] = json!({"running": {"startedAt": seconds(world.now)}});
        let uid = self.pod["metadata"]["uid"].as_str().unwrap_or_default();
        for line in self.script["log"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            world.log_of(uid.into(), self.name, number(&self.status["restartCount"]), line);
        }
        self.run(world, world.now);
    }

    fn is_well(&self) -> bool {
        self.script["ready"] != false && !self.script["unready"].is_string()
    }

    /// The memory that it would use, in bytes.
    fn memory(&self) -> i64 {
        self.script["memoryMi"].as_i64().unwrap_or(32).saturating_mul(1 << 20)
    }

    fn outgrows(&self) -> bool {
        self.limit.is_some_and(|limit| self.memory() > limit)
    }

    fn run(&mut self, world: &mut World, since: Timestamp) {
        let memory = self.limit.map_or(self.memory(), |limit| self.memory().min(limit));
        let usage = Usage {
            cpu_nanos: self.script["cpuMillis"].as_u64().unwrap_or(5) * 1_000_000,
            memory_bytes: memory.try_into().unwrap_or(0),
        };
        world.use_container(namespace(self.pod), name(self.pod), self.name, usage);
        let well = self.is_well();
        if !well {
            let met = self.script["unready"].as_str().unwrap_or("HTTP probe failed with statuscode: 503");
            self.fails(world, "Readiness", met);
        }
        self.status["ready"] = well.into();
        let (end, oom) = match (&self.script["oomAfter"], &self.script["exitCode"]) {
            (Value::Number(_), _) => (number(&self.script["oomAfter"]), true),
            _ if self.outgrows() => (FILLS, true),
            (_, Value::Number(_)) => (number(&self.script["after"]), false),
            _ if self.script["liveness"].is_string() => (number(&self.script["after"]), false),
            _ => return,
        };
        let end = after(since, end);
        if end > world.now {
            world.due_at(end);
            return;
        }
        let killed = !oom && self.script["liveness"].is_string();
        if let Some(met) = self.script["liveness"].as_str().filter(|_| killed) {
            self.fails(world, "Liveness", met);
            let message = format!("Container {} failed liveness probe, will be restarted", self.name);
            self.say(world, false, "Killing", &message);
        }
        let code = if oom || killed { 137 } else { number(&self.script["exitCode"]) };
        let reason = match (oom, code) {
            (true, _) => "OOMKilled",
            (false, 0) => "Completed",
            (false, _) => "Error",
        };
        let ended = json!({"terminated": {
            "exitCode": code, "reason": reason, "startedAt": seconds(since), "finishedAt": seconds(world.now),
            "containerID": self.status["containerID"],
        }});
        self.status["ready"] = false.into();
        self.status["started"] = false.into();
        self.status["state"] = ended.clone();
        self.restart(world, &ended);
    }

    fn fails(&self, world: &mut World, probe: &str, met: &str) {
        let (field, message) = (format!("spec.containers{{{}}}", self.name), format!("{probe} probe failed: {met}"));
        events::say_at_times(world, "Pod", self.pod, &field, true, "Unhealthy", &message, "kubelet");
    }

    /// What follows after its end.
    fn restart(&mut self, world: &mut World, ended: &Value) {
        let policy = &self.pod["spec"]["restartPolicy"];
        let well = ended["terminated"]["exitCode"] == 0;
        if policy == "Never" || (policy == "OnFailure" && well) {
            return;
        }
        let back_off = self.back_off();
        let pod = format!(
            "{}_{}({})",
            name(self.pod),
            namespace(self.pod),
            crate::resource::plain(&self.pod["metadata"]["uid"])
        );
        self.say(world, true, "BackOff", &format!("Back-off restarting failed container {} in pod {pod}", self.name));
        self.status["lastState"] = ended.clone();
        let time =
            if back_off >= 60 { format!("{}m{}s", back_off / 60, back_off % 60) } else { format!("{back_off}s") };
        let message = format!("back-off {time} restarting failed container={} pod={pod}", self.name);
        self.status["state"] = json!({"waiting": {"reason": "CrashLoopBackOff", "message": message}});
        world.due_at(after(world.now, back_off));
    }
}
