//! Synchronisations by Argo CD and Flux, as their own objects tell of them.

use crate::look::Look;
use reckon_model::record::{Entry, Fact, Synced};
use reckon_model::{Kind, Object, Timestamp};
use serde_json::Value;

/// A synchronisation that ended, where that is news.
pub(crate) fn turn(look: &Look<'_>, before: Option<&Object>, object: &Object) -> Option<Entry> {
    let Kind::Other(kind) = &object.kind else { return None };
    let read = match (kind.group.as_str(), kind.kind.as_str()) {
        ("argoproj.io", "Application") => argo,
        ("kustomize.toolkit.fluxcd.io", "Kustomization") | ("helm.toolkit.fluxcd.io", "HelmRelease") => flux,
        _ => return None,
    };
    let now = read(&*object.whole()?)?;
    let old = before.and_then(Object::whole).and_then(|before| read(&before));
    if old
        .as_ref()
        .is_some_and(|old| old.synced.to == now.synced.to && old.synced.status == now.synced.status && old.at == now.at)
    {
        return None;
    }
    let from =
        old.map(|old| old.synced.to).or_else(|| before.and_then(Object::whole).and_then(|before| applied(&before)));
    let from = from.filter(|from| *from != now.synced.to);
    let fact = Fact::Sync(Synced { from, ..now.synced });
    Some(look.entry(look.moment(now.at), object, fact))
}

/// The revision that is in force while another is on its way.
fn applied(object: &Value) -> Option<String> {
    let deployed = object.pointer("/status/history").and_then(Value::as_array).and_then(|history| history.last());
    let argo = deployed.and_then(|deployed| text(deployed, "/revision"));
    argo.or_else(|| text(object, "/status/lastAppliedRevision")).map(str::to_owned)
}

/// The end of a synchronisation.
struct Ended {
    at: Option<Timestamp>,
    synced: Synced,
}

fn text<'a>(object: &'a Value, pointer: &str) -> Option<&'a str> {
    object.pointer(pointer)?.as_str().filter(|text| !text.is_empty())
}

fn ended(tool: &str, to: &str, status: &str, message: &str, at: Option<&str>) -> Ended {
    let synced = Synced {
        tool: tool.to_owned(),
        to: to.to_owned(),
        from: None,
        status: status.to_owned(),
        message: message.to_owned(),
    };
    Ended { at: at.and_then(|at| at.parse().ok()), synced }
}

fn argo(application: &Value) -> Option<Ended> {
    let at = |pointer: &str| text(application, pointer);
    let status = at("/status/operationState/phase").filter(|phase| *phase != "Running" && *phase != "Terminating")?;
    let to = at("/status/operationState/syncResult/revision").or_else(|| at("/status/sync/revision"))?;
    let message = at("/status/operationState/message").filter(|_| status != "Succeeded").unwrap_or_default();
    Some(ended("argocd", to, status, message, at("/status/operationState/finishedAt")))
}

fn flux(object: &Value) -> Option<Ended> {
    let at = |pointer: &str| text(object, pointer);
    let conditions = object.pointer("/status/conditions").and_then(Value::as_array).into_iter().flatten();
    let ready = conditions.into_iter().find(|condition| text(condition, "/type") == Some("Ready"))?;
    let status = text(ready, "/status").filter(|status| *status != "Unknown")?;
    let applied = || at("/status/lastAppliedRevision").or_else(|| at("/status/history/0/chartVersion"));
    let to = if status == "True" { applied() } else { at("/status/lastAttemptedRevision").or_else(applied) }?;
    let message = text(ready, "/message").filter(|_| status != "True").unwrap_or_default();
    let word = text(ready, "/reason").unwrap_or(status);
    Some(ended("flux", to, word, message, text(ready, "/lastTransitionTime")))
}
