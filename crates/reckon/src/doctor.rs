//! What Reckon can reach and read, and what each gap costs.

use crate::args::{DataFormat, Global};
use crate::exit::{Exit, Failure};
use crate::run::connect;
use crate::style::Style;
use crate::terminal::Terminal;
use reckon_cluster::AccessAsk;
use reckon_model::text::clean_line;
use reckon_model::{Kind, duration};
use std::fmt::Write;

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
        Kind::Service | Kind::EndpointSlice => "who suffers: Services without endpoints",
        _ => "failures of this kind",
    }
}

/// Checks one thing after the other and says what it found.
pub(crate) async fn run(global: &Global, terminal: &Terminal, _format: DataFormat) -> Result<Exit, Failure> {
    let paint = terminal.paint();
    let mut out = String::new();
    let good = |text: &str| format!("{} {text}\n", paint.with(Style::Good, "✔"));
    let bad = |text: &str| format!("{} {text}\n", paint.with(Style::Warning, "▲"));
    let connection = connect(global).await?;
    let context = connection
        .context_name()
        .map_or("no context (in-cluster)".to_owned(), |name| format!("context {}", clean_line(name)));
    out.push_str(&good(&format!("{context}, server {}", clean_line(connection.server()))));
    match connection.server_version().await {
        Ok(version) => out.push_str(&good(&format!("the server answers: {}", clean_line(&version)))),
        Err(error) => {
            terminal.data(&out)?;
            return Err(error.into());
        }
    }
    let skew = connection.clock_skew();
    let text = format!("clock skew {}", duration::short(skew.abs()));
    out.push_str(&if skew.abs().as_secs() > 30 {
        bad(&format!("{text}: ages are counted by the server's clock"))
    } else {
        good(&text)
    });

    let namespace = global.namespace.clone();
    let kinds: Vec<Kind> = reckon_detect::kinds();
    let asks: Vec<AccessAsk> = kinds
        .iter()
        .map(|kind| AccessAsk {
            verb: "list".to_owned(),
            group: kind.group().to_owned(),
            resource: kind.served().map_or("", |served| served.plural).to_owned(),
            namespace: namespace.clone().filter(|_| kind.namespaced()),
            ..AccessAsk::default()
        })
        .chain([AccessAsk {
            verb: "get".to_owned(),
            resource: "pods".to_owned(),
            subresource: Some("log".to_owned()),
            namespace: namespace.clone(),
            ..AccessAsk::default()
        }])
        .collect();
    let answers = connection.reviews(&asks).await;
    let place = namespace
        .map_or("in all namespaces".to_owned(), |namespace| format!("in namespace {}", clean_line(&namespace)));
    let allowed = answers.iter().filter(|answer| **answer == Some(true)).count();
    out.push_str(&good(&format!("{allowed} of {} rights to read {place}", asks.len())));
    for (ask, answer) in asks.iter().zip(&answers) {
        if *answer != Some(true) {
            let what = match &ask.subresource {
                Some(part) => format!("{} {}/{part}", ask.verb, ask.resource),
                None => format!("{} {}", ask.verb, ask.resource),
            };
            let lost = kinds
                .iter()
                .find(|kind| kind.served().is_some_and(|served| served.plural == ask.resource))
                .map_or("", cost);
            let lost = if ask.subresource.is_some() { "the decisive log line of a crash" } else { lost };
            out.push_str(&bad(&format!("missing: {what}; costs {lost}")));
        }
    }
    match connection.discover().await {
        Ok(discovery) => {
            let metrics = discovery.types().iter().any(|served| served.group == "metrics.k8s.io");
            out.push_str(&if metrics {
                good("metrics.k8s.io is served")
            } else {
                bad("metrics.k8s.io is not served; costs present usage")
            });
            for gap in discovery.gaps() {
                out.push_str(&bad(&format!("{}: {}", clean_line(&gap.what), clean_line(&gap.why))));
            }
        }
        Err(error) => out.push_str(&bad(&format!("failed to {error}"))),
    }
    let _ = writeln!(out, "next: {} problems -A", terminal.program);
    terminal.data(&out)?;
    // Without pods there is nothing to say about anything.
    let pods = kinds.iter().position(|kind| *kind == Kind::Pod).and_then(|at| answers.get(at));
    Ok(if pods == Some(&Some(false)) { Exit::Forbidden } else { Exit::Fine })
}
