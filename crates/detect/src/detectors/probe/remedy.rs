//! What would end a failing probe.

use super::Failing;
use super::answer::Which;
use super::target::{self, Wrong};
use crate::describe;
use crate::detectors::template::Site;
use reckon_model::document::{Remedy, RemedyKind};
use serde_json::json;

/// Five minutes to start, before any other probe asks.
pub(super) fn more_time(failing: &Failing<'_, '_>) -> Option<Remedy> {
    let name = &failing.container.name;
    let site = Site::new(failing.workload, name);
    if failing.which == Which::Startup {
        let more = failing.probe.threshold().saturating_mul(4).max(30);
        let change = json!({"startupProbe": {"failureThreshold": more}});
        let sentence = format!("Let the startup probe of {name} fail {more} times before it gives up.");
        return Some(site.remedy(RemedyKind::Patch, change, sentence));
    }
    let port = failing.probe.port().as_ref().map(target::value);
    let mut startup = match target::handler(failing.probe)? {
        "httpGet" => {
            let http = failing.probe.http_get.as_ref()?;
            let mut get = json!({"path": if http.path.is_empty() { "/" } else { &http.path }, "port": port});
            if !http.scheme.is_empty() {
                get["scheme"] = json!(http.scheme);
            }
            json!({"httpGet": get})
        }
        "exec" => json!({"exec": {"command": failing.probe.exec.as_ref()?.command}}),
        handler => json!({handler: {"port": port}}),
    };
    startup["periodSeconds"] = json!(10);
    startup["failureThreshold"] = json!(30);
    let sentence = format!("Give {name} up to five minutes to start with a startup probe; the others wait for it.");
    Some(site.remedy(RemedyKind::Patch, json!({"startupProbe": startup}), sentence))
}

/// The remedy for a wrong target: the right one, where it is known.
pub(super) fn correct(site: &Site<'_>, failing: &Failing<'_, '_>, wrong: &Wrong) -> Remedy {
    let word = failing.which.word();
    let name = &failing.container.name;
    match (&wrong.right, wrong.below.split('.').collect::<Vec<_>>().as_slice()) {
        (Some(right), [probe, handler, part]) => {
            let change = json!({*probe: {*handler: {*part: right}}});
            let sentence = format!("Let the {word} probe of {name} ask {part} {}.", describe::value(right));
            site.remedy(RemedyKind::Patch, change, sentence)
        }
        _ => site.advice(RemedyKind::Patch, format!("Correct {} of {name} to what the program serves.", wrong.below)),
    }
}
