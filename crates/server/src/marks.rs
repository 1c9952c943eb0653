//! `POST /api/v1/changes` and `POST /api/v1/alertmanager`: what happened outside of the cluster, told by whoever knows it.

use crate::App;
use crate::caller::Caller;
use crate::refusal::{Code, Refusal};
use crate::tokens::{Came, body};
use crate::{lane, naming};
use axum::Json;
use axum::extract::{Extension, Query as Params, State};
use http::StatusCode;
use reckon_model::record::{Entry, Fact, Mark};
use reckon_model::text::shorten;
use reckon_model::{ClusterId, Kind, ResourceRef, SignedDuration, Timestamp};
use reckon_store::{KnownCluster, Query};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a title, a source, a label's name and its value have of characters.
const LONGEST: usize = 300;

/// What the text of a mark has of characters.
const LONGEST_TEXT: usize = 4_000;

/// How many labels a mark has. Those of an alert beyond are left out.
const LABELS: usize = 64;

/// How many alerts come at once: as many as Alertmanager sends of one group is for its `max_alerts` to say.
const ALERTS: usize = 1_000;

/// So far ahead may somebody's clock be.
const AHEAD: SignedDuration = SignedDuration::from_mins(5);

/// By which labels an alert names what it is about, the most exact first. As kube-state-metrics and cAdvisor write them.
const NAMED: [(&str, Kind); 9] = [
    ("pod", Kind::Pod),
    ("deployment", Kind::Deployment),
    ("statefulset", Kind::StatefulSet),
    ("daemonset", Kind::DaemonSet),
    ("job_name", Kind::Job),
    ("cronjob", Kind::CronJob),
    ("persistentvolumeclaim", Kind::PersistentVolumeClaim),
    ("service", Kind::Service),
    ("node", Kind::Node),
];

/// A mark to be set.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Wanted {
    /// The cluster's id or name; not needed where there is one alone.
    #[serde(default)]
    cluster: Option<String>,
    /// What it is about: `KIND[.GROUP]/NAMESPACE/NAME`, or `KIND[.GROUP]/NAME`. Without it, the namespace or the whole cluster.
    #[serde(default)]
    object: Option<String>,
    /// The namespace that it is about.
    #[serde(default)]
    namespace: Option<String>,
    /// When it happened; without it, now.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    at: Option<Timestamp>,
    /// Who sets it, such as the name of a pipeline; without it, whose token it is.
    #[serde(default)]
    source: Option<String>,
    /// What it says, in a few words.
    title: String,
    /// More of it.
    #[serde(default)]
    text: String,
    /// Where more is to be read: http or https.
    #[serde(default)]
    url: Option<String>,
    /// Names and values.
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

/// What was noted.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Noted {
    /// How many marks were new; one that is there already is not set again.
    noted: usize,
}

pub(crate) async fn set(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    came: Came,
) -> Result<(StatusCode, Json<Noted>), Refusal> {
    let wanted: Wanted = body(came)?;
    let now = (app.now)();
    let cluster = find(&known(&app).await?, wanted.cluster.as_deref())?;
    let subject = match (&wanted.object, &wanted.namespace) {
        (Some(_), Some(_)) => return Err(Refusal::bad("object and namespace exclude each other")),
        (Some(object), None) => naming::object(object)?,
        (None, namespace) => scope(namespace.as_deref()),
    };
    let at = wanted.at.unwrap_or(now);
    if at > now + AHEAD {
        return Err(Refusal::bad("at is in the future"));
    }
    if let Some(url) = &wanted.url
        && !(url.starts_with("https://") || url.starts_with("http://"))
    {
        return Err(Refusal::bad("url begins with https:// or http://"));
    }
    let texts = [("title", Some(&wanted.title)), ("source", wanted.source.as_ref()), ("url", wanted.url.as_ref())];
    for (name, text) in texts {
        if text.is_some_and(|text| text.is_empty() || text.chars().count() > LONGEST) {
            return Err(Refusal::bad(format!("{name} has 1 to {LONGEST} characters")));
        }
    }
    if wanted.text.chars().count() > LONGEST_TEXT {
        return Err(Refusal::bad(format!("text has at most {LONGEST_TEXT} characters")));
    }
    let long = |text: &String| text.chars().count() > LONGEST;
    if wanted.labels.len() > LABELS || wanted.labels.iter().any(|(name, value)| long(name) || long(value)) {
        return Err(Refusal::bad(format!("there are at most {LABELS} labels of {LONGEST} characters each")));
    }
    let source = wanted.source.unwrap_or_else(|| match caller {
        Caller::User(name) => name,
        _ => "the server's starter".to_owned(),
    });
    let Wanted { title, text, url, labels, .. } = wanted;
    let mark = Mark { source, title, text, url, labels };
    let noted = note(&app, &cluster, vec![entry(at, subject, mark)]).await?;
    Ok((StatusCode::CREATED, Json(Noted { noted })))
}

/// What Alertmanager sends: version 4 of its webhook, which has been the only one since 2016. What is not read is not here.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Notification {
    /// The alerts of one group.
    alerts: Vec<Alert>,
}

/// One alert.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Alert {
    /// `firing` or `resolved`.
    status: String,
    /// What it is about.
    #[serde(default)]
    labels: BTreeMap<String, String>,
    /// What it says.
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    /// Since when.
    #[schemars(with = "String")]
    starts_at: Timestamp,
    /// Until when, of one that is resolved.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    ends_at: Option<Timestamp>,
    /// Where it comes from.
    #[serde(default, rename = "generatorURL")]
    generator_url: String,
}

pub(crate) async fn alerts(
    State(app): State<App>,
    Params(pairs): Params<Vec<(String, String)>>,
    came: Came,
) -> Result<(StatusCode, Json<Noted>), Refusal> {
    let given = crate::query::Asked::new(pairs, &[crate::query::ALERTS])?.cluster();
    let Notification { alerts } = body(came)?;
    if alerts.len() > ALERTS {
        return Err(Refusal::bad(format!("at most {ALERTS} alerts are taken at once")));
    }
    let (known, now) = (known(&app).await?, (app.now)());
    let mut by_cluster: BTreeMap<ClusterId, Vec<Entry>> = BTreeMap::new();
    for alert in alerts {
        let named = given.as_deref().or(alert.labels.get("cluster").map(String::as_str));
        let cluster = find(&known, named)?;
        by_cluster.entry(cluster).or_default().push(told(alert, now));
    }
    let mut noted = 0;
    for (cluster, entries) in by_cluster {
        noted += note(&app, &cluster, entries).await?;
    }
    Ok((StatusCode::CREATED, Json(Noted { noted })))
}

/// An alert as a mark on what it is about.
fn told(alert: Alert, now: Timestamp) -> Entry {
    let Alert { status, labels, annotations, starts_at, ends_at, generator_url } = alert;
    let label = |name: &str| labels.get(name).map(String::as_str).filter(|value| !value.is_empty());
    let namespace = label("namespace");
    let named = NAMED.iter().find_map(|(name, kind)| {
        let value = label(name)?;
        let namespace = if kind.namespaced() { Some(namespace?) } else { None };
        Some(ResourceRef::new(kind.clone(), namespace, value))
    });
    let resolved = status == "resolved";
    let name = label("alertname").unwrap_or("an alert without a name");
    let said = ["summary", "description", "message"].iter().find_map(|name| annotations.get(*name));
    let mark = Mark {
        source: "alertmanager".to_owned(),
        title: shorten(&format!("{name} {}", if resolved { "resolved" } else { "fires" }), LONGEST).into_owned(),
        text: said.map(|said| shorten(said, LONGEST_TEXT).into_owned()).unwrap_or_default(),
        url: Some(generator_url).filter(|url| url.starts_with("http") && url.chars().count() <= LONGEST),
        labels: labels
            .iter()
            .take(LABELS)
            .map(|(name, value)| (shorten(name, LONGEST).into_owned(), shorten(value, LONGEST).into_owned()))
            .collect(),
    };
    let at = if resolved { ends_at.unwrap_or(now) } else { starts_at };
    entry(at.min(now), named.unwrap_or_else(|| scope(namespace)), mark)
}

fn entry(at: Timestamp, subject: ResourceRef, mark: Mark) -> Entry {
    // The record counts in milliseconds.
    let at = Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at);
    Entry { at, subject, workload: None, fact: Fact::Mark(mark) }
}

/// A namespace, or the whole cluster, which is called by its `kube-system`.
fn scope(namespace: Option<&str>) -> ResourceRef {
    ResourceRef::new(Kind::Namespace, None, namespace.unwrap_or("kube-system"))
}

async fn known(app: &App) -> Result<Vec<KnownCluster>, Refusal> {
    Ok(app.store.clusters().await?.into_iter().filter(|known| !lane::is_lane(&known.id)).collect())
}

/// The cluster of this id or name, or the only one there is.
fn find(known: &[KnownCluster], named: Option<&str>) -> Result<ClusterId, Refusal> {
    let Some(named) = named else {
        return match known {
            [only] => Ok(only.id.clone()),
            _ => Err(Refusal::bad(format!("cluster is needed: the record of {} is kept", known.len()))),
        };
    };
    let mut called = known.iter().filter(|known| known.id.0 == named || known.name.as_deref() == Some(named));
    match (called.next(), called.next()) {
        (Some(only), None) => Ok(only.id.clone()),
        (None, _) => Err(Refusal::not_found(format!("no record is kept of a cluster {named:?}"))),
        (Some(_), Some(_)) => {
            Err(Refusal::new(Code::Conflict, format!("several clusters are called {named:?}: give the id")))
        }
    }
}

/// Notes what is not noted yet; how many that were. Whoever got no answer sends a mark again, and Alertmanager repeats what
/// goes on.
async fn note(app: &App, cluster: &ClusterId, entries: Vec<Entry>) -> Result<usize, Refusal> {
    let mut new: Vec<Entry> = Vec::new();
    for entry in entries {
        let to = Timestamp::from_millisecond(entry.at.as_millisecond() + 1).unwrap_or(Timestamp::MAX);
        let query = Query {
            clusters: vec![lane::of(cluster)],
            subjects: vec![entry.subject.clone()],
            from: Some(entry.at),
            to: Some(to),
            ..Query::default()
        };
        let there = app.store.entries(&query, None, Query::MOST).await?;
        if !new.contains(&entry) && there.records.iter().all(|record| record.entry != entry) {
            new.push(entry);
        }
    }
    if !new.is_empty() {
        app.lanes.note(&*app.store, cluster, &new, (app.now)()).await?;
    }
    Ok(new.len())
}
