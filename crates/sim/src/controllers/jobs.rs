//! Jobs: pods until enough of them succeeded, or too many failed.

use super::{ending, events, is_true, number, pods, set_condition};
use crate::clock::seconds;
use crate::world::World;
use serde_json::{Value, json};

pub(super) fn run(world: &mut World) {
    for job in world.all("jobs.batch") {
        if !ending(&job) && !is_true(&job, "Complete") && !is_true(&job, "Failed") {
            reconcile(world, &job);
        }
    }
}

fn reconcile(world: &mut World, job: &Value) {
    let all = world.owned("pods", job);
    let phase = |wanted: &str| all.iter().filter(|pod| pod["status"]["phase"] == wanted).count();
    let (succeeded, failed) = (phase("Succeeded"), phase("Failed"));
    let active = all.iter().filter(|pod| pods::active(pod)).count();
    let count = |field: &str| usize::try_from(number(&job["spec"][field])).unwrap_or(0);
    let (wanted, limit) = (count("completions").max(1), count("backoffLimit"));
    let now = seconds(world.now);
    let mut status = job["status"].clone();
    if !status.is_object() {
        status = json!({});
    }
    if status["startTime"].is_null() {
        status["startTime"] = now.as_str().into();
    }
    if succeeded >= wanted {
        set_condition(
            &mut status,
            "SuccessCriteriaMet",
            "True",
            "CompletionsReached",
            "Reached expected number of succeeded pods",
            &now,
        );
        set_condition(
            &mut status,
            "Complete",
            "True",
            "CompletionsReached",
            "Reached expected number of succeeded pods",
            &now,
        );
        status["completionTime"] = now.as_str().into();
        events::say(world, "Job", job, "", false, "Completed", "Job completed", "job-controller");
    } else if failed > limit {
        let message = "Job has reached the specified backoff limit";
        set_condition(&mut status, "FailureTarget", "True", "BackoffLimitExceeded", message, &now);
        set_condition(&mut status, "Failed", "True", "BackoffLimitExceeded", message, &now);
        events::say(world, "Job", job, "", true, "BackoffLimitExceeded", message, "job-controller");
        for pod in all.iter().filter(|pod| pods::active(pod)) {
            pods::delete(world, job, "Job", pod);
        }
    } else if job["spec"]["suspend"] != true {
        let room = count("parallelism").min(wanted - succeeded);
        for _ in active..room {
            let _ = pods::make(world, job, "Job", "batch/v1", None, |_| ());
        }
    }
    for (field, value) in [("succeeded", succeeded), ("failed", failed)] {
        if value > 0 {
            status[field] = value.into();
        }
    }
    let done = status["completionTime"].is_string() || failed > limit;
    let active = if done { 0 } else { world.owned("pods", job).iter().filter(|pod| pods::active(pod)).count() };
    status["active"] = active.into();
    pods::report(world, "jobs.batch", job, status);
}
