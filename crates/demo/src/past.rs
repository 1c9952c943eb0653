//! The weeks before: what was rolled out when, what was restarted, what the schedules made.

use crate::company::workloads;
use crate::ground;
use crate::owner::Owner;
use crate::workload::{Runs, Workload};
use jiff::{SignedDuration, Timestamp};
use reckon_sim::{Behaviour, Clock, Rng, Server, World};
use serde_json::{Value, json};

/// How long an event is kept (`--event-ttl` of the API server).
const EVENTS_LIVE: SignedDuration = SignedDuration::from_hours(1);

/// Before this all began.
pub(crate) const AGE: SignedDuration = SignedDuration::from_hours(24 * 63);

/// Lives through the weeks until `begin`; the clock has to stand at [`AGE`] before it.
pub(crate) fn live(server: &Server, begin: Timestamp, seed: u64) {
    let clock = server.clock();
    let to = |hours: i64, minutes: i64| {
        let ago = SignedDuration::from_hours(hours).saturating_add(SignedDuration::from_mins(minutes));
        let at = begin.checked_sub(ago).unwrap_or(begin);
        go(clock, at);
    };
    server.world().step();
    ground::lay(&mut server.world());
    to(24 * 40, 0);
    ground::settle(&mut server.world());
    behave(&mut server.world());
    let all = workloads();
    for workload in all.iter().filter(|workload| workload.before.is_none()) {
        roll_out(&mut server.world(), workload, workload.tag, 0);
    }
    server.world().step();
    to(24 * 21, 0);
    for workload in &all {
        if let Some(before) = workload.before {
            roll_out(&mut server.world(), workload, before, 1);
        }
    }
    server.world().step();
    // The present versions, some on each of the last days.
    let mut rng = Rng::new(seed);
    let mut last: Vec<(i64, &Workload)> = Vec::new();
    for workload in all.iter().filter(|workload| workload.before.is_some()) {
        last.push((9 + i64::try_from(rng.below(160)).unwrap_or(0), workload));
    }
    last.sort_by_key(|(hours, workload)| (-hours, workload.name));
    for (hours, workload) in last {
        to(hours, 7);
        roll_out(&mut server.world(), workload, workload.tag, 0);
        server.world().step();
    }
    to(8, 11);
    restarts(&mut server.world());
    to(3, 30);
    nightly(&mut server.world());
    for hours in [3, 2, 1] {
        to(hours, 0);
        due(&mut server.world());
        server.world().step();
        to(hours - 1, 58);
        server.world().step();
    }
    go(clock, begin);
    server.world().step();
    forget(&mut server.world());
}

/// Moves a clock to a time.
pub(crate) fn go(clock: &Clock, to: Timestamp) {
    clock.advance(to.duration_since(clock.now()));
}

/// Rolls a version out; `back` revisions of a release before the present one.
fn roll_out(world: &mut World, workload: &Workload, tag: &str, back: u64) {
    let owner = match workload.owner {
        Owner::Helm { release, chart, revision } => Owner::Helm { release, chart, revision: revision - back },
        other => other,
    };
    owner.apply(world, workload.objects(tag));
}

/// How each program behaves while it is well.
fn behave(world: &mut World) {
    for workload in workloads() {
        let (cpu, memory) = workload.uses;
        // Of a Job the first seconds are spent with the work.
        let mut script = json!({"cpuMillis": cpu, "memoryMi": memory, "log": workload.log});
        if matches!(workload.runs, Runs::CronJob(_)) {
            script["after"] = 40.into();
        }
        let labels = labels(&workload);
        let name = format!("0/{}/{}", workload.namespace, workload.name);
        let behaviour = Behaviour { namespace: workload.namespace.to_owned(), labels, image: None, script };
        world.behave(&name, Some(behaviour));
    }
}

/// The label by which a program's pods are known.
pub(crate) fn labels(workload: &Workload) -> std::collections::BTreeMap<String, String> {
    [("app.kubernetes.io/name".to_owned(), workload.name.to_owned())].into()
}

/// Pods that were restarted once, some hours ago, and have been well since: every cluster has some.
fn restarts(world: &mut World) {
    let now = world.now();
    let before = now.checked_sub(SignedDuration::from_secs(3)).unwrap_or(now).to_string();
    for (namespace, starts) in [("data", "dashboards-"), ("shop", "back-office-"), ("kube-system", "metrics-server-")] {
        let Some(name) = named(world, namespace, starts) else { continue };
        world.edit("pods", namespace, &name, "kubelet", |pod| {
            let status = &mut pod["status"]["containerStatuses"][0];
            let since = status["state"]["running"]["startedAt"].clone();
            status["lastState"] = json!({"terminated": {"exitCode": 0, "reason": "Completed", "startedAt": since,
                "finishedAt": before, "containerID": status["containerID"]}});
            status["state"] = json!({"running": {"startedAt": now.to_string()}});
            status["restartCount"] = 1.into();
        });
    }
}

/// The first pod of a namespace whose name begins so.
pub(crate) fn named(world: &World, namespace: &str, starts: &str) -> Option<String> {
    let mut keys = world.objects("pods").map(|(key, _)| key);
    keys.find(|key| &*key.namespace == namespace && key.name.starts_with(starts)).map(|key| key.name.to_string())
}

/// Makes a Job of each CronJob that runs every hour or oftener.
fn due(world: &mut World) {
    for workload in workloads() {
        if matches!(workload.runs, Runs::CronJob(schedule) if !schedule.starts_with("30 2")) {
            job(world, workload.namespace, workload.name);
        }
    }
}

/// How long it is from one run of a schedule to the next, of the schedules that the company has.
fn pause(schedule: &str) -> SignedDuration {
    match schedule.split(' ').collect::<Vec<_>>().as_slice() {
        ["*/30", ..] => SignedDuration::from_mins(30),
        [_, "*", ..] => SignedDuration::from_hours(1),
        _ => SignedDuration::from_hours(24),
    }
}

/// How many Jobs of a CronJob are kept: the default of `successfulJobsHistoryLimit`.
const KEPT: usize = 3;

/// The CronJobs with the time of their next run.
fn schedules(world: &World) -> Vec<(&'static str, &'static str, Timestamp)> {
    let next = |workload: Workload| {
        let Runs::CronJob(schedule) = workload.runs else { return None };
        let cron = world.get("cronjobs.batch", workload.namespace, workload.name)?;
        let last: Timestamp = cron["status"]["lastScheduleTime"].as_str()?.parse().ok()?;
        Some((workload.namespace, workload.name, last.checked_add(pause(schedule)).ok()?))
    };
    workloads().into_iter().filter_map(next).collect()
}

/// When the next run of any of them is due.
pub(crate) fn next_run(world: &World) -> Option<Timestamp> {
    schedules(world).into_iter().map(|(.., at)| at).min()
}

/// Makes the Jobs that are due, and takes away those that are not kept.
pub(crate) fn run_what_is_due(world: &mut World) {
    let now = world.now();
    for (namespace, name, at) in schedules(world) {
        if at > now || job(world, namespace, name).is_none() {
            continue;
        }
        let start = format!("{name}-");
        let mut jobs: Vec<String> = world
            .objects("jobs.batch")
            .filter(|(key, _)| &*key.namespace == namespace && key.name.starts_with(&start))
            .map(|(key, _)| key.name.to_string())
            .collect();
        // Their names end with the minute in which they were made.
        jobs.sort();
        for old in jobs.iter().rev().skip(KEPT) {
            world.remove_now("jobs.batch", namespace, old);
        }
    }
}

/// The nightly run was last night.
fn nightly(world: &mut World) {
    let today = world.now().to_zoned(jiff::tz::TimeZone::UTC).start_of_day().map(|day| day.timestamp());
    let at = today.unwrap_or_else(|_| world.now()).checked_add(SignedDuration::from_mins(150));
    let at = at.unwrap_or_else(|_| world.now());
    let last = if at > world.now() { at.checked_sub(SignedDuration::from_hours(24)).unwrap_or(at) } else { at };
    for workload in workloads() {
        if matches!(workload.runs, Runs::CronJob(schedule) if schedule.starts_with("30 2")) {
            world.edit("cronjobs.batch", workload.namespace, workload.name, "kube-controller-manager", |cron| {
                cron["status"]["lastScheduleTime"] = last.to_string().into();
                cron["status"]["lastSuccessfulTime"] = last.to_string().into();
            });
        }
    }
}

/// Makes a Job of a CronJob, as the controller does; its name.
pub(crate) fn job(world: &mut World, namespace: &str, name: &str) -> Option<String> {
    let cron = world.get("cronjobs.batch", namespace, name)?;
    let by = "kube-controller-manager";
    let now = world.now().to_string();
    let job = format!("{name}-{}", world.now().as_second() / 60);
    let owner = json!([{"apiVersion": "batch/v1", "kind": "CronJob", "name": name, "uid": cron["metadata"]["uid"],
        "controller": true, "blockOwnerDeletion": true}]);
    let meta = json!({"name": job, "namespace": namespace, "labels": cron["metadata"]["labels"], "ownerReferences": owner,
        "annotations": {"batch.kubernetes.io/cronjob-scheduled-timestamp": now}});
    let spec = cron["spec"]["jobTemplate"]["spec"].clone();
    world.create_as("jobs.batch", json!({"metadata": meta, "spec": spec}), by).ok()?;
    world.edit("cronjobs.batch", namespace, name, by, |cron| {
        cron["status"]["lastScheduleTime"] = now.into();
    });
    Some(job)
}

/// Notes in each CronJob when its last run succeeded.
pub(crate) fn succeeded(world: &mut World) {
    let mut last: std::collections::BTreeMap<(String, String), String> = std::collections::BTreeMap::new();
    for (key, stored) in world.objects("jobs.batch") {
        let job = stored.shared();
        let owner = job["metadata"]["ownerReferences"][0]["name"].as_str().unwrap_or_default();
        if let Some(done) = job["status"]["completionTime"].as_str() {
            let entry = last.entry((key.namespace.to_string(), owner.to_owned())).or_default();
            *entry = std::mem::take(entry).max(done.to_owned());
        }
    }
    for ((namespace, name), at) in last {
        world.edit("cronjobs.batch", &namespace, &name, "kube-controller-manager", |cron| {
            cron["status"]["lastSuccessfulTime"] = at.into();
        });
    }
}

/// Drops the events that a real server has dropped by now.
pub(crate) fn forget(world: &mut World) {
    let Ok(oldest) = world.now().checked_sub(EVENTS_LIVE) else { return };
    let old = |event: &Value| {
        event["lastTimestamp"].as_str().and_then(|at| at.parse::<Timestamp>().ok()).is_some_and(|at| at < oldest)
    };
    let gone: Vec<(String, String)> = world
        .objects("events")
        .filter(|(_, stored)| old(&stored.shared()))
        .map(|(key, _)| (key.namespace.to_string(), key.name.to_string()))
        .collect();
    for (namespace, name) in gone {
        world.remove_now("events", &namespace, &name);
    }
}
