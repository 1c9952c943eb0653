//! A variable, a setting or a table that a program asks for and does not have.

use super::Speaker;
use crate::detectors::template::Site;
use crate::{Fact, Finding, blame, describe, ownership, spot};
use reckon_model::document::{Cause, CauseKind, RemedyKind, Role, Source, Verdict};
use reckon_model::k8s::{Condition, EnvVar};
use reckon_model::{Body, Kind, Object};
use serde_json::{Value, json};

const SLUG: &str = "setting-missing";

/// A variable or setting of this name is not there.
pub(super) fn unset(speaker: &Speaker<'_, '_>, name: &str) -> Option<Finding> {
    let why = format!("it asks for {name}, which it does not have");
    let container = speaker.container;
    match container.env.iter().find(|variable| alike(&variable.name) == alike(name)) {
        Some(variable) => there_and_not(speaker, variable, &why),
        // It has it from a ConfigMap or Secret as a whole: then it misses something else of that name.
        None if is_taken_whole(speaker, name) => None,
        None => Some(slip(speaker, name, &why).unwrap_or_else(|| absent(speaker, name, &why))),
    }
}

/// Whether a ConfigMap or Secret that is taken as a whole has a key of this name, or may have.
fn is_taken_whole(speaker: &Speaker<'_, '_>, name: &str) -> bool {
    let sources = speaker.container.env_from.iter().flat_map(|from| {
        let map = from.config_map_ref.as_ref().map(|source| (Kind::ConfigMap, source));
        map.into_iter().chain(from.secret_ref.as_ref().map(|source| (Kind::Secret, source)))
    });
    sources.into_iter().any(|(kind, source)| {
        let found = speaker.view.object(&kind, speaker.subject.meta.namespace.as_deref(), &source.name);
        match &found {
            crate::Lookup::Found(object) => match &object.body {
                Body::Config(config) => {
                    config.keys.as_ref().is_none_or(|keys| keys.iter().any(|key| alike(key) == alike(name)))
                }
                _ => false,
            },
            crate::Lookup::Absent { .. } => false,
            crate::Lookup::Unread => true,
        }
    })
}

/// Names as all frameworks compare them: `db.host` is `DB_HOST`.
fn alike(name: &str) -> String {
    name.replace(['.', '-'], "_").to_ascii_uppercase()
}

/// The template has it, and still the program does not: it is empty, or comes from a key that is optional and not there.
fn there_and_not(speaker: &Speaker<'_, '_>, variable: &EnvVar, why: &str) -> Option<Finding> {
    let site = Site::new(speaker.workload, &speaker.container.name);
    let below = format!("env[{}]", variable.name);
    if let Some(value) = &variable.value {
        if !value.is_empty() {
            return None;
        }
        let sentence = format!("{} has {} with an empty value.", speaker.who(), variable.name);
        let cause = Cause::plain(CauseKind::Resource, Some(&speaker.workload.reference()), sentence);
        let cause = at_variable(speaker, cause, &variable.name, "value", Some(json!("")));
        let mut finding = speaker.claim(SLUG, Some("empty"), why, cause);
        finding.verdict = Verdict::Confirmed;
        finding.evidence.push(Fact::new(
            Role::Cause,
            Source::Spec,
            None,
            speaker.workload,
            format!("{below} is empty"),
        ));
        finding.remedies.push(site.advice(RemedyKind::Patch, format!("Give {} a value.", variable.name)));
        return Some(finding);
    }
    let from = variable.value_from.as_ref()?;
    let (kind, key) = match (&from.config_map_key_ref, &from.secret_key_ref) {
        (Some(key), _) => (Kind::ConfigMap, key),
        (None, Some(key)) => (Kind::Secret, key),
        (None, None) => return None,
    };
    if !key.optional {
        return None;
    }
    let reference = reckon_model::ResourceRef::new(kind, speaker.subject.meta.namespace.as_deref(), &key.name);
    let holder = speaker.view.look_up(&reference);
    let lacks = match &holder {
        crate::Lookup::Found(object) => match &object.body {
            Body::Config(config) => config.keys.as_ref().is_some_and(|keys| !keys.contains(&key.key)),
            _ => false,
        },
        crate::Lookup::Absent { .. } => true,
        crate::Lookup::Unread => false,
    };
    if !lacks {
        return None;
    }
    let what = format!("{} {}", reference.kind, describe::name(&reference));
    let sentence = format!(
        "{} takes {} from the key {} of {what}, which is marked optional and is not there: so the program starts without it.",
        speaker.who(),
        variable.name,
        key.key
    );
    let mut cause = Cause::plain(CauseKind::Resource, Some(&reference), sentence);
    if let Some(object) = holder.found() {
        cause.managed_by = ownership::managed_by(object);
        let pointer = format!("/data/{}", reckon_model::diff::escape(&key.key));
        cause = cause.at_field(format!("data.{}", key.key), pointer, None);
    }
    let mut finding = speaker.claim(SLUG, Some("optional-key"), why, cause);
    finding.verdict = Verdict::Confirmed;
    let words = format!("{what} has no key {}", key.key);
    finding.evidence.push(Fact::new(
        Role::Cause,
        Source::Absence,
        None,
        holder.found().unwrap_or(speaker.workload),
        words,
    ));
    let kind = if holder.found().is_some() { RemedyKind::Patch } else { RemedyKind::Create };
    finding.remedies.push(spot::remedy(
        kind,
        &reference,
        format!("Give {what} the key {}, then restart the pods.", key.key),
    ));
    Some(finding)
}

/// A cause at a field of a variable in the template.
fn at_variable(speaker: &Speaker<'_, '_>, cause: Cause, name: &str, field: &str, value: Option<Value>) -> Cause {
    let found = spot::Spot::of(speaker.workload).and_then(|spot| {
        let path = spot.container(&speaker.container.name)?;
        let (_, container) = spot.spec.container(&speaker.container.name)?;
        let at = container.env.iter().position(|variable| variable.name == name)?;
        Some((path.key("env").item(name, at).key(field), spot))
    });
    match found {
        Some((path, spot)) => spot.names(cause.kind, &path, value, cause.sentence),
        None => cause,
    }
}

/// A variable whose name differs by a slip.
fn slip(speaker: &Speaker<'_, '_>, name: &str, why: &str) -> Option<Finding> {
    let near = speaker
        .container
        .env
        .iter()
        .map(|variable| (blame::distance(&alike(&variable.name), &alike(name)), variable))
        .filter(|(distance, _)| blame::is_slip(*distance, name.chars().count()))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, variable)| variable)?;
    let sentence =
        format!("{} asks for {name} and has {}, which differs by a slip of the name.", speaker.who(), near.name);
    let cause = Cause::plain(CauseKind::Resource, Some(&speaker.workload.reference()), sentence);
    let cause = at_variable(speaker, cause, &near.name, "name", Some(json!(near.name)));
    let mut finding = speaker.claim(SLUG, Some("slip"), why, cause);
    finding.verdict = Verdict::Confirmed;
    let words = format!("{} has {} and no {name}", speaker.container.name, near.name);
    finding.evidence.push(Fact::new(Role::Cause, Source::Spec, None, speaker.workload, words));
    let site = Site::new(speaker.workload, &speaker.container.name);
    let sentence = format!("Call the variable {name}.");
    let plain = near.value.as_ref().filter(|value| !value.contains("[redacted]"));
    let dotless = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    finding.remedies.push(match plain.filter(|_| dotless) {
        Some(value) => {
            let env = json!([{"name": name, "value": value}, {"name": near.name, "$patch": "delete"}]);
            site.remedy(RemedyKind::Patch, json!({"env": env}), sentence)
        }
        None => site.advice(RemedyKind::Patch, sentence),
    });
    Some(finding)
}

/// Nothing like it is there.
fn absent(speaker: &Speaker<'_, '_>, name: &str, why: &str) -> Finding {
    let site = Site::new(speaker.workload, &speaker.container.name);
    let sentence = format!("{} asks for {name}, and no variable of its template has that name.", speaker.who());
    let cause = Cause::plain(CauseKind::Resource, Some(&speaker.workload.reference()), sentence);
    let mut finding = speaker.claim(SLUG, Some("absent"), why, site.blame(cause, "env", None));
    let words = format!("{} has no variable {name}", speaker.container.name);
    finding.evidence.push(Fact::new(Role::Cause, Source::Absence, None, speaker.workload, words));
    finding.remedies.push(site.advice(RemedyKind::Patch, format!("Set {name} for {}.", speaker.container.name)));
    finding
}

/// A database, a table or a migration is not there.
pub(super) fn schema(speaker: &Speaker<'_, '_>, what: &str) -> Finding {
    let why = format!("{what} is missing");
    let job = migration(speaker);
    let cause = match job {
        Some(job) => {
            let sentence =
                format!("{} misses {what}, and Job {} has not completed.", speaker.who(), describe::object(job));
            Cause::plain(CauseKind::Resource, Some(&job.reference()), sentence)
        }
        None => {
            let sentence = format!("{} misses {what} in its database: nobody has made it there.", speaker.who());
            Cause::plain(CauseKind::Application, Some(&speaker.workload.reference()), sentence)
        }
    };
    let mut finding = speaker.claim(SLUG, Some("schema"), &why, cause);
    if let Some(job) = job {
        let words = format!("Job {} has not completed", describe::object(job));
        finding.evidence.push(Fact::new(Role::Cause, Source::Status, None, job, words));
    }
    finding.remedies.extend(job.is_none().then(advice).map(|sentence| {
        let site = Site::new(speaker.workload, &speaker.container.name);
        site.advice(RemedyKind::Create, sentence)
    }));
    finding
}

fn advice() -> String {
    "Run the migration that makes it, as a Job before the roll-out.".to_owned()
}

/// The Job that should have made it, and has not.
fn migration<'a>(speaker: &Speaker<'_, 'a>) -> Option<&'a Object> {
    let jobs = speaker.view.all(&Kind::Job, speaker.subject.meta.namespace.as_deref()).items;
    jobs.into_iter().find(|job| {
        let name = &job.meta.name;
        let of_schema = ["migrat", "schema", "db-init", "initdb"].iter().any(|word| name.contains(word));
        let complete = job
            .workload()
            .is_some_and(|body| Condition::find(&body.status.conditions, "Complete").is_some_and(Condition::is_true));
        of_schema && !complete
    })
}
