//! Fulfilling what detection needs to know, within a budget.

use crate::connection::Connection;
use crate::endpoint::{Endpoint, encode, with_query};
use crate::error::{Intent, NOT_SERVED, ReadError};
use crate::list::{Broken, Ended, Item, Scope, Sink, decode_object};
use crate::wire::Ask;
use crate::{helm, logs, metrics};
use futures::StreamExt;
use reckon_model::kernel::{NodeFacts, NodeReport};
use reckon_model::text::clean_line;
use reckon_model::{Answer, Demand, Gap, Kind, LogLine, Object, Obstacle};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Needs that are fulfilled side by side.
const SIDE_BY_SIDE: usize = 8;

/// The most objects one demand may bring.
const MAX_OBJECTS: usize = 2_000;

/// The most bytes one list may bring.
const MAX_LIST_BYTES: u64 = 3 * 1024 * 1024;

/// The end of a log that is read.
#[derive(Clone, Copy)]
struct Tail {
    lines: &'static str,
    bytes: u64,
    /// Asked for where the lines are more than the bytes: the server cuts the newest off, which matter most.
    short: &'static str,
}

/// Of a program's log.
const PROGRAM: Tail = Tail { lines: "200", bytes: 256 * 1024, short: "20" };

/// Of what a node reports: some days of it, where nothing much happens.
const REPORTS: Tail = Tail { lines: "4000", bytes: 1024 * 1024, short: "400" };

/// The container in which `reckon node` runs (`deploy/node.yaml`).
const NODE_CONTAINER: &str = "node";

/// What one question may cost the API server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Requests that are left.
    pub requests: u32,
    /// Bytes of answers that are left.
    pub bytes: u64,
    /// What it began with, for messages.
    limit: (u32, u64),
}

impl Budget {
    /// A budget of so many requests and bytes of answers.
    pub fn new(requests: u32, bytes: u64) -> Self {
        Budget { requests, bytes, limit: (requests, bytes) }
    }
}

/// 40 requests and 5 MB.
impl Default for Budget {
    fn default() -> Self {
        Budget::new(40, 5_000_000)
    }
}

/// A budget that several demands draw on at once.
struct Purse {
    requests: AtomicU32,
    bytes: AtomicU64,
    limit: (u32, u64),
}

impl Purse {
    fn open(budget: Budget) -> Self {
        Purse { requests: budget.requests.into(), bytes: budget.bytes.into(), limit: budget.limit }
    }

    /// Pays for one request; `Err` says why it is not asked.
    fn request(&self) -> Result<(), String> {
        if self.bytes.load(Ordering::Relaxed) == 0 {
            let limit = self.limit.1.div_ceil(1_000_000);
            return Err(format!("not asked: the limit of {limit} MB for one question was reached"));
        }
        self.requests
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
            .map(|_| ())
            .map_err(|_| format!("not asked: the limit of {} requests for one question was reached", self.limit.0))
    }

    fn left(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    fn spend(&self, bytes: u64) {
        let spent = |left: u64| Some(left.saturating_sub(bytes));
        let _ = self.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, spent);
    }
}

/// What came of asking, before it is put into an [`Answer`].
enum Outcome {
    Answer(Answer),
    /// Some of it, and why not all.
    Part(Vec<Object>, Obstacle, String),
    Failed(ReadError),
    Refused(Obstacle, String),
}

impl From<Result<Answer, ReadError>> for Outcome {
    fn from(result: Result<Answer, ReadError>) -> Self {
        result.map_or_else(Outcome::Failed, Outcome::Answer)
    }
}

impl Connection {
    /// Answers what detection needs to know, eight questions side by side, in the order of the demands. What exceeds the
    /// budget is refused; the same demands are refused every time, as requests are paid for in the order of the demands.
    /// What a kind of a custom resource is served as is looked up once and costs nothing.
    pub async fn fulfil(&self, demands: &BTreeSet<Demand>, budget: &mut Budget) -> Vec<(Demand, Answer)> {
        let purse = Purse::open(*budget);
        let answers = futures::stream::iter(demands)
            .map(|demand| {
                let paid = purse.request();
                let purse = &purse;
                async move {
                    let outcome = match paid {
                        Ok(()) => self.answer(demand, purse).await,
                        Err(why) => Outcome::Refused(Obstacle::Limit, why),
                    };
                    (demand.clone(), answer(demand, outcome))
                }
            })
            // A slow one holds no other up.
            .buffer_unordered(SIDE_BY_SIDE)
            .collect::<BTreeMap<Demand, Answer>>()
            .await;
        budget.requests = purse.requests.into_inner();
        budget.bytes = purse.bytes.into_inner();
        answers.into_iter().collect()
    }

    async fn answer(&self, demand: &Demand, purse: &Purse) -> Outcome {
        match demand {
            Demand::Object { kind, namespace, name } => self.one(kind, namespace.as_deref(), name, purse).await,
            Demand::List { kind, namespace, selector } => match self.endpoint(kind).await {
                Ok(Some(endpoint)) => {
                    let scope = Scope { kind: kind.clone(), endpoint, namespace: namespace.clone() };
                    self.some(&scope, &[("labelSelector", selector)], purse).await
                }
                Ok(None) => Outcome::Refused(Obstacle::NotFound, NOT_SERVED.to_owned()),
                Err(error) => Outcome::Failed(error),
            },
            Demand::PodsOn { node } => {
                let scope = Scope { kind: Kind::Pod, endpoint: Endpoint::new("", "v1", "pods", true), namespace: None };
                self.some(&scope, &[("fieldSelector", &format!("spec.nodeName={node}"))], purse).await
            }
            Demand::Events { kind, namespace, name } => self.events(kind, namespace.as_deref(), name, purse).await,
            Demand::Log { namespace, pod, container, previous } => {
                self.log(namespace, pod, container, (*previous, PROGRAM), purse).await
            }
            Demand::Kernel { node, namespace, pod } => {
                match self.log(namespace, pod, NODE_CONTAINER, (false, REPORTS), purse).await {
                    Outcome::Answer(Answer::Log(lines)) => {
                        Outcome::Answer(Answer::Kernel(Box::new(reported(node, &lines))))
                    }
                    outcome => outcome,
                }
            }
            Demand::PodMetrics { namespace, pod } => self.pod_metrics(namespace, pod, purse).await,
            Demand::NodeStats { node } => self.node_stats(node, purse).await,
            Demand::HelmRevision { namespace, secret } => {
                let secrets = Endpoint::new("", "v1", "secrets", true);
                match self.bounded(&secrets.get_with_values(Some(namespace), secret), u64::MAX, purse).await {
                    Ok(bytes) => match helm::manifest(&bytes) {
                        Ok(objects) => Outcome::Answer(Answer::Manifest(objects)),
                        Err(error) => Outcome::Refused(Obstacle::Server, error.to_string()),
                    },
                    Err(outcome) => outcome,
                }
            }
        }
    }

    async fn one(&self, kind: &Kind, namespace: Option<&str>, name: &str, purse: &Purse) -> Outcome {
        let endpoint = match self.endpoint(kind).await {
            Ok(Some(endpoint)) => endpoint,
            Ok(None) => return Outcome::Refused(Obstacle::NotFound, NOT_SERVED.to_owned()),
            Err(error) => return Outcome::Failed(error),
        };
        if endpoint.namespaced && namespace.is_none() {
            return Outcome::Refused(
                Obstacle::Usage,
                format!("{} live in a namespace, and none was named", endpoint.plural),
            );
        }
        match self.bounded(&endpoint.get(namespace, name), u64::MAX, purse).await {
            Ok(bytes) => match decode_object(&bytes, kind, self.inner.keep_whole) {
                Item::Object(object) => Outcome::Answer(Answer::Objects(vec![object])),
                Item::Broken(broken) => Outcome::Refused(Obstacle::Server, broken.why),
            },
            Err(outcome) => outcome,
        }
    }

    /// Lists with the first page already paid for.
    async fn some(&self, scope: &Scope, selectors: &[(&str, &str)], purse: &Purse) -> Outcome {
        let pages = AtomicU32::new(0);
        let refused = std::sync::Mutex::new(None);
        let before_page = || {
            if pages.fetch_add(1, Ordering::Relaxed) == 0 {
                return ControlFlow::Continue(());
            }
            match purse.request() {
                Ok(()) => ControlFlow::Continue(()),
                Err(why) => {
                    *refused.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(why);
                    ControlFlow::Break(())
                }
            }
        };
        let mut few = Few::default();
        let ended = self.pages(scope, selectors, &before_page, &mut few).await;
        let Few { objects, bytes, full, broken } = few;
        purse.spend(bytes);
        if full {
            let why = format!(
                "more than {MAX_OBJECTS} {} or {} MB match; the rest was not read",
                scope.endpoint.plural,
                MAX_LIST_BYTES / (1024 * 1024)
            );
            return Outcome::Part(objects, Obstacle::Limit, why);
        }
        match (ended, broken) {
            (Ok(Ended::Complete(_)), None) => Outcome::Answer(Answer::Objects(objects)),
            (Ok(Ended::Complete(_)), Some(broken)) => {
                let gap = broken.gap(&scope.kind);
                Outcome::Part(objects, gap.obstacle, format!("{}: {}", gap.what, gap.why))
            }
            (Ok(Ended::Stopped), _) => {
                let why = refused.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
                let why = why.unwrap_or_else(|| "the list was not read to its end".to_owned());
                Outcome::Part(objects, Obstacle::Limit, why)
            }
            (Err(error), _) => Outcome::Failed(error),
        }
    }

    async fn events(&self, kind: &Kind, namespace: Option<&str>, name: &str, purse: &Purse) -> Outcome {
        let mut selector = format!("involvedObject.kind={},involvedObject.name={name}", kind.name());
        if let Some(namespace) = namespace {
            selector.push_str(&format!(",involvedObject.namespace={namespace}"));
        }
        let endpoint = Endpoint::new("", "v1", "events", true);
        let scope = Scope { kind: Kind::Event, endpoint, namespace: namespace.map(str::to_owned) };
        let outcome = self.some(&scope, &[("fieldSelector", &selector)], purse).await;
        match outcome {
            // Components write the Events about cluster-scoped objects into `default`.
            Outcome::Failed(ReadError::Forbidden { .. }) if namespace.is_none() && purse.request().is_ok() => {
                let scope = Scope { namespace: Some("default".to_owned()), ..scope };
                match self.some(&scope, &[("fieldSelector", &selector)], purse).await {
                    Outcome::Failed(ReadError::Forbidden { .. }) => outcome,
                    better => better,
                }
            }
            outcome => outcome,
        }
    }

    async fn log(
        &self,
        namespace: &str,
        pod: &str,
        container: &str,
        (previous, end): (bool, Tail),
        purse: &Purse,
    ) -> Outcome {
        let path = format!("/api/v1/namespaces/{}/pods/{}/log", encode(namespace), encode(pod));
        let limit = end.bytes.to_string();
        let ask = |tail: &str| {
            let query = [
                ("container", container),
                ("tailLines", tail),
                ("limitBytes", &limit),
                ("timestamps", "true"),
                ("previous", if previous { "true" } else { "" }),
            ];
            let intent = Intent { verb: "get", resource: "pods/log".to_owned(), namespace: Some(namespace.to_owned()) };
            // Not JSON alone: the log is plain text, and an older server answers 406 to what it cannot serve.
            Ask::get(with_query(path.clone(), &query), intent).accepting("*/*").through_kubelet()
        };
        let mut read = self.bounded(&ask(end.lines), end.bytes + 1024, purse).await;
        if read.as_ref().is_ok_and(|bytes| bytes.len() as u64 >= end.bytes) && purse.request().is_ok() {
            read = self.bounded(&ask(end.short), end.bytes + 1024, purse).await;
        }
        match read {
            Ok(bytes) => match logs::parse(&bytes) {
                Ok(lines) => Outcome::Answer(Answer::Log(lines)),
                Err(excuse) => Outcome::Refused(Obstacle::Server, clean_line(&excuse)),
            },
            // There was no instance before this one: an answer, not a failure.
            Err(Outcome::Failed(ReadError::Status { code: 400, message, .. }))
                if previous && message.contains("previous terminated container") && message.ends_with("not found") =>
            {
                Outcome::Answer(Answer::NotFound)
            }
            // Here the message says it all: that the container waits to start, that its log is gone.
            Err(Outcome::Failed(ReadError::Status { code: 400 | 500, message, .. })) => {
                Outcome::Refused(Obstacle::Server, message)
            }
            Err(outcome) => outcome,
        }
    }

    async fn pod_metrics(&self, namespace: &str, pod: &str, purse: &Purse) -> Outcome {
        let endpoint = Endpoint::new("metrics.k8s.io", "v1beta1", "pods", true);
        match self.bounded(&endpoint.get(Some(namespace), pod), u64::MAX, purse).await {
            Ok(bytes) => measured(metrics::pod_metrics(&bytes, namespace, pod)),
            // Whether the API is missing or the pod has not been measured: usage is not known.
            Err(Outcome::Failed(error @ ReadError::NotFound { .. })) => {
                Outcome::Refused(Obstacle::NotFound, error.why())
            }
            Err(outcome) => outcome,
        }
    }

    async fn node_stats(&self, node: &str, purse: &Purse) -> Outcome {
        let intent = Intent { verb: "get", resource: "nodes/proxy".to_owned(), namespace: None };
        let ask = Ask::get(format!("/api/v1/nodes/{}/proxy/stats/summary", encode(node)), intent).through_kubelet();
        match self.bounded(&ask, u64::MAX, purse).await {
            Ok(bytes) => measured(metrics::node_stats(&bytes)),
            Err(outcome) => outcome,
        }
    }

    /// A whole answer, as far as the purse allows.
    async fn bounded(&self, ask: &Ask, limit: u64, purse: &Purse) -> Result<Vec<u8>, Outcome> {
        let left = purse.left();
        let limit = limit.min(crate::wire::MAX_ANSWER_BYTES);
        let read = match self.send(ask).await {
            Ok(incoming) => incoming.all(limit.min(left)).await,
            Err(error) => Err(error),
        };
        match read {
            Ok(bytes) => {
                purse.spend(bytes.len() as u64);
                Ok(bytes)
            }
            Err(ReadError::TooLarge { .. }) if left < limit => {
                purse.spend(left);
                let limit = purse.limit.1.div_ceil(1_000_000);
                Err(Outcome::Refused(
                    Obstacle::Limit,
                    format!("not read: the limit of {limit} MB for one question was reached"),
                ))
            }
            Err(error) => Err(Outcome::Failed(error)),
        }
    }
}

fn measured(samples: Result<Vec<reckon_model::Sample>, serde_json::Error>) -> Outcome {
    match samples {
        Ok(samples) => Outcome::Answer(Answer::Samples(samples)),
        Err(error) => Outcome::Refused(Obstacle::Server, format!("the answer could not be decoded: {error}")),
    }
}

fn answer(demand: &Demand, outcome: Outcome) -> Answer {
    match outcome {
        Outcome::Answer(answer) => answer,
        Outcome::Part(objects, obstacle, why) => Answer::Part(objects, Gap { what: demand.what(), why, obstacle }),
        Outcome::Refused(obstacle, why) => Answer::Refused(Gap { what: demand.what(), why, obstacle }),
        Outcome::Failed(error) => match (&error, demand) {
            // A list's path is always there if its kind is served.
            (ReadError::NotFound { .. }, Demand::List { .. } | Demand::PodsOn { .. } | Demand::Events { .. }) => {
                Answer::Refused(error.gap(demand.what()))
            }
            (ReadError::NotFound { .. }, _) => Answer::NotFound,
            _ => Answer::Refused(error.gap(demand.what())),
        },
    }
}

/// The objects of a list, as long as they are few.
#[derive(Default)]
struct Few {
    objects: Vec<Object>,
    bytes: u64,
    full: bool,
    /// The first that could not be decoded.
    broken: Option<Broken>,
}

impl Sink for Few {
    async fn take(&mut self, item: Item, bytes: usize) -> ControlFlow<()> {
        self.bytes += bytes as u64;
        if self.objects.len() >= MAX_OBJECTS || self.bytes > MAX_LIST_BYTES {
            self.full = true;
            return ControlFlow::Break(());
        }
        match item {
            Item::Object(object) => self.objects.push(object),
            Item::Broken(broken) => drop(self.broken.get_or_insert(broken)),
        }
        ControlFlow::Continue(())
    }
}

/// What a node's own process has told so far. Lines that are none of its reports, such as what it says of itself when it
/// starts or fails, are passed over; so is what it told under another name, as of a node that was renamed or a process that
/// was told a wrong one.
fn reported(node: &str, lines: &[LogLine]) -> NodeFacts {
    let mut facts = NodeFacts::default();
    let mut is_own = true;
    for report in lines.iter().filter_map(|line| serde_json::from_str(&line.text).ok()) {
        if let NodeReport::Start { node: name, .. } = &report {
            is_own = name == node;
            if !is_own {
                let why = format!("kernel log: the process on {node} reports as {name}");
                facts = NodeFacts { not_checked: vec![why], ..NodeFacts::default() };
            }
        }
        if is_own {
            facts.take(report);
        }
    }
    facts
}

#[cfg(test)]
mod tests {
    use super::*;
    use reckon_model::kernel::CounterKill;

    fn lines(reports: &[NodeReport]) -> Vec<LogLine> {
        let text = reports.iter().map(|report| serde_json::to_string(report).unwrap_or_default());
        text.map(|text| LogLine { at: None, text }).collect()
    }

    fn start(node: &str, boot: &str) -> NodeReport {
        NodeReport::Start { node: node.into(), boot_id: Some(boot.into()), since: None, not_checked: Vec::new() }
    }

    fn kill(kills: u64) -> NodeReport {
        NodeReport::Kill(CounterKill { kills, ..CounterKill::default() })
    }

    #[test]
    fn what_was_told_under_another_name_is_of_another_node() {
        let told = lines(&[start("n1", "a"), kill(1), start("n2", "a"), kill(2)]);
        let facts = reported("n1", &told);
        assert_eq!((facts.kills.len(), facts.boot_id), (0, None));
        assert_eq!(facts.not_checked, ["kernel log: the process on n1 reports as n2"]);
        let facts = reported("n2", &told);
        assert_eq!((facts.kills.len(), facts.not_checked.len()), (1, 0));
    }

    #[test]
    fn what_was_told_of_another_boot_is_forgotten() {
        let mut told = lines(&[start("n1", "a"), kill(1)]);
        told.push(LogLine { at: None, text: "reckon: \u{1b}[31m{\"report\":\"kill".into() });
        told.extend(lines(&[start("n1", "b"), kill(2)]));
        let facts = reported("n1", &told);
        assert_eq!(facts.boot_id.as_deref(), Some("b"));
        assert_eq!(facts.kills.iter().map(|kill| kill.kills).collect::<Vec<_>>(), [2]);
    }
}
