//! What Reckon can reach and read, and what each gap costs.

use crate::args::{DataFormat, Global};
use crate::exit::{Exit, Failure};
use crate::run::connect;
use crate::session;
use crate::style::Style;
use crate::terminal::{self, Terminal};
use reckon_cluster::{AccessAsk, Connection};
use reckon_model::document::API_VERSION;
use reckon_model::text::clean_line;
use reckon_model::{Kind, Obstacle, duration};
use serde::Serialize;

/// A skew that makes ages wrong in what people compare by eye.
const SKEW_SECONDS: i64 = 30;

/// The report of `reckon doctor`, in JSON as it stands here.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    api_version: &'static str,
    kind: &'static str,
    reckon_version: &'static str,
    checks: Vec<Check>,
}

/// One thing that was checked.
#[derive(Serialize)]
struct Check {
    /// Stable, for programs.
    name: String,
    state: State,
    /// What was found, in words.
    text: String,
    /// What is lost by it.
    costs: Option<&'static str>,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum State {
    Good,
    Gap,
    Unknown,
}

impl Check {
    fn good(name: &str, text: impl Into<String>) -> Self {
        Check { name: name.to_owned(), state: State::Good, text: text.into(), costs: None }
    }

    fn gap(name: &str, text: impl Into<String>, costs: &'static str) -> Self {
        Check { name: name.to_owned(), state: State::Gap, text: text.into(), costs: Some(costs) }
    }
}

/// Checks one thing after the other and says what it found.
pub(crate) async fn run(
    global: &Global,
    terminal: &Terminal,
    all_namespaces: bool,
    format: DataFormat,
) -> Result<Exit, Failure> {
    let connection = connect(global).await?;
    let context =
        connection.context_name().map_or("no context (in a pod)".to_owned(), |name| format!("context {name}"));
    let mut checks = vec![Check::good("configuration", format!("{context}, server {}", connection.server()))];
    // Without an answer to this there is none to the rest.
    let version = connection.server_version().await?;
    checks.push(Check::good("server", format!("the server answers: {version}")));
    checks.push(match session::identity(connection.cluster_id().await)? {
        Some(id) => Check::good("cluster-id", format!("cluster {}", id.0)),
        None => Check::gap(
            "cluster-id",
            "namespace kube-system may not be read",
            "problem ids that are unique among clusters",
        ),
    });
    let skew = connection.clock_skew();
    let text = format!("clock skew {}", duration::short(skew.abs()));
    checks.push(if skew.abs().as_secs() > SKEW_SECONDS {
        Check::gap(
            "clock",
            text,
            "nothing here: ages are counted by the server's clock; what other tools show is off by it",
        )
    } else {
        Check::good("clock", text)
    });
    let namespace = (!all_namespaces)
        .then(|| global.namespace.clone().unwrap_or_else(|| connection.default_namespace().to_owned()));
    let exit = rights(&connection, namespace, &mut checks).await;
    metrics(&connection, &mut checks).await;

    let report =
        Report { api_version: API_VERSION, kind: "DoctorReport", reckon_version: env!("CARGO_PKG_VERSION"), checks };
    terminal.data(&match format {
        DataFormat::Human => for_people(&report, terminal, all_namespaces),
        format => {
            let value = serde_json::to_value(&report)
                .map_err(|error| Failure::new(Exit::Refused, format!("failed to write the report: {error}")))?;
            terminal::value(&value, format)?
        }
    })?;
    Ok(exit)
}

/// The rights to read what rules read, and how the command ends for want of them.
async fn rights(connection: &Connection, namespace: Option<String>, checks: &mut Vec<Check>) -> Exit {
    let kinds: Vec<Kind> = reckon_detect::kinds();
    let mut asks: Vec<(AccessAsk, Option<&Kind>)> = kinds
        .iter()
        .filter_map(|kind| {
            let served = kind.served()?;
            let ask = AccessAsk {
                verb: "list".to_owned(),
                group: served.group.to_owned(),
                resource: served.plural.to_owned(),
                namespace: namespace.clone().filter(|_| kind.namespaced()),
                ..AccessAsk::default()
            };
            Some((ask, Some(kind)))
        })
        .collect();
    let log = AccessAsk {
        verb: "get".to_owned(),
        resource: "pods".to_owned(),
        subresource: Some("log".to_owned()),
        namespace: namespace.clone(),
        ..AccessAsk::default()
    };
    asks.push((log, None));
    let answers = connection.reviews(&asks.iter().map(|(ask, _)| ask.clone()).collect::<Vec<_>>()).await;
    let place = match &namespace {
        Some(namespace) => format!("in namespace {namespace}"),
        None => "in all namespaces".to_owned(),
    };
    let allowed = answers.iter().filter(|answer| **answer == Some(true)).count();
    checks.push(Check::good("rights", format!("{allowed} of {} rights to read {place}", asks.len())));
    let mut exit = Exit::Fine;
    for ((ask, kind), answer) in asks.iter().zip(answers) {
        let resource = match kind {
            Some(kind) => kind.resource(),
            None => "pods/log".to_owned(),
        };
        let scope = match (&ask.namespace, kind) {
            (Some(_), _) => place.clone(),
            (None, Some(kind)) if !kind.namespaced() => "(cluster-wide)".to_owned(),
            (None, _) => place.clone(),
        };
        let right = format!("{} {resource} {scope}", ask.verb);
        let costs = kind.map_or("the decisive log line of a crash", cost);
        match answer {
            Some(true) => {}
            Some(false) => {
                checks.push(Check::gap(&format!("right:{}:{resource}", ask.verb), format!("missing: {right}"), costs));
                exit = exit.max(match kind {
                    // Without pods there is nothing to say about anything.
                    Some(Kind::Pod) => Exit::Forbidden,
                    Some(kind) if session::is_asked_for(kind, Obstacle::Denied) => Exit::Partial,
                    _ => Exit::Fine,
                });
            }
            None => checks.push(Check {
                name: format!("right:{}:{resource}", ask.verb),
                state: State::Unknown,
                text: format!("not known: {right}; the server did not answer the access review"),
                costs: None,
            }),
        }
    }
    exit
}

async fn metrics(connection: &Connection, checks: &mut Vec<Check>) {
    let what_for = "present memory and processor use, and with it how sure a memory verdict is";
    match connection.discover().await {
        Ok(discovery) => {
            let served = discovery.types().iter().any(|served| served.group == "metrics.k8s.io");
            checks.push(if served {
                Check::good("metrics", "metrics.k8s.io is served")
            } else {
                Check::gap("metrics", "metrics.k8s.io is not served: install metrics-server", what_for)
            });
            for gap in discovery.gaps() {
                checks.push(Check::gap("api", format!("{}: {}", gap.what, gap.why), "the kinds of that API"));
            }
        }
        Err(error) => checks.push(Check::gap("discovery", format!("failed to {error}"), "kinds of custom resources")),
    }
}

/// What is lost without a right. Kinds that are missing here cost their own diagnosis and nothing else.
fn cost(kind: &Kind) -> &'static str {
    match kind {
        Kind::Pod => "nearly everything",
        Kind::Node => "which requirement excludes which nodes; node failures",
        Kind::Event => "reasons that stand in Events alone: probes, volumes, image pulls",
        Kind::ReplicaSet | Kind::ControllerRevision => "what a roll-out changed",
        Kind::Secret => "whether a missing Secret or key is the cause (names only; values are never read)",
        Kind::ConfigMap => "whether a missing ConfigMap or key is the cause",
        Kind::PersistentVolumeClaim | Kind::PersistentVolume | Kind::StorageClass => "why a volume is not there",
        Kind::HorizontalPodAutoscaler => "whether more pods than its maximum are wanted",
        Kind::Service | Kind::EndpointSlice => "who suffers: Services without endpoints",
        _ => "failures of this kind",
    }
}

fn for_people(report: &Report, terminal: &Terminal, all_namespaces: bool) -> String {
    let paint = terminal.paint();
    let mut out = String::new();
    for check in &report.checks {
        let (glyph, style) = match check.state {
            State::Good => ("✔", Style::Good),
            State::Gap => ("▲", Style::Warning),
            State::Unknown => ("●", Style::Muted),
        };
        out.push_str(&format!("{} {}\n", paint.with(style, glyph), clean_line(&check.text)));
        if let Some(costs) = check.costs {
            out.push_str(&format!("    costs {costs}\n"));
        }
    }
    let all = if all_namespaces { " -A" } else { "" };
    out.push_str(&format!("next: {} problems{all}\n", terminal.program));
    out
}
