//! A Corefile that CoreDNS does not take, or that leaves out what it is there for.

use super::corefile::{self, Fault};
use super::server::Server;
use crate::detectors::configuration::{self, Edited};
use crate::detectors::{logs, revision};
use crate::{Fact, Finding, Place, describe, ownership, spot};
use reckon_model::document::{Cause, CauseKind, Remedy, RemedyKind, Role, Severity, Source, Verdict};
use reckon_model::k8s::Pod;
use reckon_model::{Change, LogLine, Object, text};
use serde_json::json;

/// The key of the ConfigMap, and where it stands.
const KEY: &str = "Corefile";
const POINTER: &str = "/data/Corefile";

/// What is wrong with the configuration of the servers, where their state or a change of today gives reason to look.
pub(super) fn found(server: &Server<'_, '_>) -> Option<Finding> {
    let failing = server.pods.iter().copied().find_map(|object| ends(server, object));
    if let Some((pod, line, fault)) = failing {
        return Some(refused(server, pod, line, &fault, false));
    }
    let config = server.config()?;
    let change = configuration::changed(server.view, config, None, None)?;
    let until = change.at.checked_add(revision::WINDOW).ok()?;
    if server.view.reached(until) {
        return None;
    }
    if let Some((pod, line, fault)) = server.ready().take(2).find_map(|object| kept_back(server, object)) {
        return Some(refused(server, pod, line, &fault, true));
    }
    lacks(server, config, &change)
}

/// A pod that ends because of its Corefile.
fn ends<'a>(server: &Server<'_, 'a>, object: &'a Object) -> Option<(&'a Object, &'a LogLine, Fault)> {
    let pod = object.pod()?;
    let name = Server::container(pod);
    let (_, _, status) = logs::failing(server.view, pod).find(|(_, container, _)| container.name == name)?;
    status.last_end()?;
    let lines = logs::last_words(server.view, object, status);
    lines.iter().rev().find_map(|line| Some((object, line, corefile::fault(&line.text)?)))
}

/// A pod that goes on with the Corefile before, because it cannot read the new one.
fn kept_back<'a>(server: &Server<'_, 'a>, object: &'a Object) -> Option<(&'a Object, &'a LogLine, Fault)> {
    let lines = server.view.log(object, Server::container(object.pod()?), false)?;
    let last = lines.iter().rev().find(|line| corefile::is_kept_back(&line.text) || corefile::is_taken(&line.text))?;
    if !corefile::is_kept_back(&last.text) {
        return None;
    }
    let unknown = || Fault { line: None, what: last.text.clone() };
    Some((object, last, corefile::fault(&last.text).unwrap_or_else(unknown)))
}

/// The text of the Corefile.
fn written(config: &Object) -> String {
    config.whole().and_then(|it| it.pointer(POINTER)?.as_str().map(str::to_owned)).unwrap_or_default()
}

/// The cause, that it was written as a fact, and what takes it back.
pub(super) type Blamed = (Cause, Option<Fact>, Option<Remedy>);

/// Somebody's edit of the Corefile.
pub(super) fn edit(config: &Object, change: Change, follows: &str) -> Blamed {
    let by = change.actor.as_ref().map(|actor| format!("  ({})", actor.manager)).unwrap_or_default();
    let words = format!("{} data.{KEY} was written{by}", config.reference());
    let fact = Fact::new(Role::Cause, Source::Change, Some(change.at), config, words);
    let edited = Edited { object: config, change, key: Some(KEY.to_owned()) };
    let mut cause = edited.cause(follows);
    // A whole file says less than the sentence.
    (cause.from, cause.to) = (None, None);
    (cause, Some(fact), Some(edited.remedy()))
}

/// Somebody's edit of the Corefile, or the Corefile as it stands.
fn cause(server: &Server<'_, '_>, config: &Object, follows: &str, stands: &str) -> Blamed {
    match configuration::changed(server.view, config, None, None) {
        Some(change) => edit(config, change, follows),
        None => {
            let mut cause = Cause::plain(CauseKind::Resource, Some(&config.reference()), stands);
            cause.managed_by = ownership::managed_by(config);
            (cause.at_field("data.Corefile", POINTER, None), None, None)
        }
    }
}

fn refused(server: &Server<'_, '_>, pod: &Object, line: &LogLine, fault: &Fault, serves: bool) -> Finding {
    let workload = server.view.workload_of(pod);
    let what = text::shorten(fault.what.trim_end_matches('.'), 160).into_owned();
    let config = server.config();
    let name =
        config.map_or_else(|| "its ConfigMap".to_owned(), |config| format!("ConfigMap {}", describe::object(config)));
    let (follows, stands) = match serves {
        true => (
            format!("; CoreDNS cannot read it and goes on with the one before, until it is started anew: {what}."),
            format!("CoreDNS cannot read the Corefile in {name} and goes on with the one before: {what}."),
        ),
        false => (
            format!("; CoreDNS cannot read it and ends: {what}."),
            format!("CoreDNS cannot read the Corefile in {name} and ends: {what}."),
        ),
    };
    let (cause, fact, remedy) = match config {
        Some(config) => cause(server, config, &follows, &stands),
        None => (Cause::plain(CauseKind::Unknown, Some(&workload.reference()), stands), None, None),
    };
    let title = match serves {
        true => format!("the cluster's DNS goes on with an old configuration: {what}"),
        false => format!("the cluster's DNS cannot read its configuration: {what}"),
    };
    let mut finding = Finding::new("dns-config", Place::of(workload), title, cause);
    finding.class = Some(if serves { "reload-failed" } else { "parse-error" });
    finding.verdict = if config.is_some() { Verdict::Confirmed } else { Verdict::Likely };
    finding.severity = if server.ready().next().is_some() { Severity::Warning } else { Severity::Critical };
    finding.opened = finding.cause.at.or(line.at);
    finding.shows_on = match serves {
        true => server.ready().map(Object::reference).collect(),
        false => {
            let down = |object: &&&Object| !object.pod().is_some_and(Pod::is_ready);
            server.pods.iter().filter(down).map(|object| object.reference()).collect()
        }
    };
    finding.evidence.extend(fact);
    let said = text::shorten(line.text.trim(), 300).into_owned();
    finding.evidence.push(Fact::new(Role::Cause, Source::Log, line.at, pod, said));
    if let (Some(config), Some(number)) = (config, fault.line) {
        let text = written(config);
        let at =
            number.checked_sub(1).and_then(|at| text.lines().nth(at)).map(str::trim).filter(|line| !line.is_empty());
        finding.evidence.extend(at.map(|line| {
            let words = format!("line {number} of the Corefile: {}", text::shorten(line, 120));
            Fact::new(Role::Cause, Source::Spec, None, config, words)
        }));
    }
    finding.remedies.extend(remedy.or_else(|| {
        let ask = "Correct the Corefile, then restart the pods of CoreDNS that ended.";
        Some(spot::remedy(RemedyKind::Patch, &config?.reference(), ask))
    }));
    finding
}

/// What a Corefile that was written today does not have any more.
fn lacks(server: &Server<'_, '_>, config: &Object, change: &Change) -> Option<Finding> {
    let now = written(config);
    let has = |text: &str, names: &[&str]| corefile::directives(text).any(|(name, _)| names.contains(&name));
    // What is imported stands in other keys.
    if now.is_empty() || has(&now, &["import"]) {
        return None;
    }
    let before =
        change.fields.iter().find(|field| field.pointer == POINTER).and_then(|field| field.from.as_ref()?.as_str());
    let lost = |names: &[&str]| !has(&now, names) && before.is_some_and(|before| has(before, names));
    let (class, what, follows) = if !has(&now, &["kubernetes", "k8s_cache"]) {
        (
            "no-kubernetes",
            "does not know the names of Services",
            "; it has no kubernetes plugin, so names of Services are not found.",
        )
    } else if lost(&["forward", "proxy"]) {
        (
            "no-forward",
            "does not ask anybody for names outside of the cluster",
            "; it has no forward plugin any more, so names outside of the cluster are not found.",
        )
    } else {
        return None;
    };
    let workload = server.workload()?;
    let (cause, fact, remedy) = cause(server, config, follows, "");
    let title = format!("the cluster's DNS {what}");
    let mut finding = Finding::new("dns-config", Place::of(workload), title, cause);
    finding.class = Some(class);
    finding.verdict = Verdict::Confirmed;
    finding.opened = Some(change.at);
    finding.shows_on.insert(server.service.reference());
    finding.evidence.extend(fact);
    let names: Vec<&str> = corefile::directives(&now).map(|(name, _)| name).take(20).collect();
    let words = format!("the Corefile has: {}", text::shorten(&names.join(", "), 200));
    finding.evidence.push(Fact::new(Role::Symptom, Source::Spec, None, config, words).raw(json!(names)));
    finding.remedies.extend(remedy);
    Some(finding)
}
