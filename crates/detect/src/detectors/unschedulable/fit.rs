//! Which requirement excludes which node: the scheduler's filters, computed again.

use reckon_model::k8s::{Node, Pod, Taint, Toleration};
use reckon_model::selector::{LabelSelector, Requirement};
use reckon_model::{Body, Object, Quantity};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// What keeps a pod off a node, in the order in which a person would look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Hurdle {
    Labels,
    Taint,
    Cordoned,
    Room,
    HostPort,
    PodAffinity,
    Spread,
}

/// Every node with what keeps the pod off it.
pub(super) struct Verdicts<'a> {
    nodes: Vec<(&'a Object, Vec<(Hurdle, String)>)>,
    /// The resource that is short, with what is asked for and the largest node's share, in 10⁻⁹ units.
    short: Option<(String, i128, i128)>,
    taint: Option<String>,
}

impl<'a> Verdicts<'a> {
    pub(super) fn of(pod: &Pod, subject: &Object, nodes: &[&'a Object], pods: &[&'a Object]) -> Self {
        let mut out = Verdicts { nodes: Vec::new(), short: None, taint: None };
        let wants: BTreeMap<&str, i128> =
            resources(pod).into_iter().map(|resource| (resource, pod.spec.request_nanos(resource))).collect();
        for node in nodes {
            let Body::Node(body) = &node.body else { continue };
            let here: Vec<&Pod> = pods
                .iter()
                .filter_map(|pod| pod.pod())
                .filter(|pod| pod.spec.node_name == node.meta.name && !pod.is_finished())
                .collect();
            let mut hurdles = Vec::new();
            if let Some(label) = lacking(pod, node) {
                hurdles.push((Hurdle::Labels, format!("lacks {label}")));
            }
            if body.spec.unschedulable {
                hurdles.push((Hurdle::Cordoned, "cordoned".to_owned()));
            }
            if let Some(taint) = untolerated(pod, body) {
                hurdles.push((Hurdle::Taint, format!("taint {}", taint.describe())));
                out.taint.get_or_insert(taint.describe());
            }
            for (resource, want) in &wants {
                let has = body.status.allocatable.get(*resource).and_then(Quantity::nanos).unwrap_or(0);
                let used: i128 = here.iter().map(|other| other.spec.request_nanos(resource)).sum();
                if *want > has - used {
                    let free = amount(resource, (has - used).max(0));
                    let text = format!(
                        "{free} of {} {resource} free, {} wanted",
                        amount(resource, has),
                        amount(resource, *want)
                    );
                    hurdles.push((Hurdle::Room, text));
                    let largest = out.short.as_ref().map_or(has, |(_, _, largest)| has.max(*largest));
                    out.short = Some(((*resource).to_owned(), *want, largest));
                }
            }
            let slots = body.status.allocatable.get("pods").and_then(Quantity::value).unwrap_or(i64::MAX);
            if i64::try_from(here.len()).unwrap_or(i64::MAX) >= slots {
                hurdles.push((Hurdle::Room, format!("all {slots} pod slots taken")));
            }
            if let Some(port) = taken_port(pod, &here) {
                hurdles.push((Hurdle::HostPort, format!("host port {port} taken")));
            }
            if let Some(term) = repelled(pod, subject, node, nodes, pods) {
                hurdles.push((Hurdle::PodAffinity, term));
            }
            out.nodes.push((node, hurdles));
        }
        out
    }

    /// The hurdle whose removal would let most nodes take the pod; of equals the first.
    pub(super) fn decisive(&self) -> Option<Hurdle> {
        let all: BTreeSet<Hurdle> =
            self.nodes.iter().flat_map(|(_, hurdles)| hurdles.iter().map(|(hurdle, _)| *hurdle)).collect();
        all.into_iter().max_by_key(|hurdle| {
            let alone = self
                .nodes
                .iter()
                .filter(|(_, hurdles)| !hurdles.is_empty() && hurdles.iter().all(|(other, _)| other == hurdle))
                .count();
            let any = self.nodes.iter().filter(|(_, hurdles)| hurdles.iter().any(|(other, _)| other == hurdle)).count();
            (alone, any, std::cmp::Reverse(*hurdle))
        })
    }

    /// Whether this hurdle was seen on a node that has no other.
    pub(super) fn excludes(&self, hurdle: Hurdle) -> bool {
        self.nodes.iter().any(|(_, hurdles)| hurdles.iter().any(|(other, _)| *other == hurdle))
    }

    /// Whether the pod asks for more of something than any node has in all.
    pub(super) fn exceeds_all(&self) -> bool {
        self.short.as_ref().is_some_and(|(_, want, largest)| want > largest)
    }

    /// The first node that this hurdle excludes.
    pub(super) fn first(&self, hurdle: Hurdle) -> Option<&'a Object> {
        self.nodes.iter().find(|(_, hurdles)| hurdles.iter().any(|(other, _)| *other == hurdle)).map(|(node, _)| *node)
    }

    /// A taint that is not tolerated.
    pub(super) fn taint(&self) -> Option<&str> {
        self.taint.as_deref()
    }

    /// What excludes how many nodes, the most first.
    pub(super) fn grouped(&self) -> Vec<(usize, String)> {
        let mut groups: BTreeMap<String, usize> = BTreeMap::new();
        for (_, hurdles) in &self.nodes {
            let text = hurdles.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>().join("; ");
            if !text.is_empty() {
                *groups.entry(text).or_default() += 1;
            }
        }
        let mut groups: Vec<(usize, String)> = groups.into_iter().map(|(text, count)| (count, text)).collect();
        groups.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        groups.truncate(6);
        groups
    }

    /// The hurdle in words.
    pub(super) fn words(&self, hurdle: Hurdle, pod: &Pod) -> String {
        match (hurdle, &self.short) {
            (Hurdle::Room, Some((resource, want, largest))) if want > largest => {
                let slip =
                    if resource == "cpu" && *want >= 100_000_000_000 { "; did it mean thousandths (m)?" } else { "" };
                format!(
                    "it asks for {} {resource} and the largest node has {}{slip}",
                    amount(resource, *want),
                    amount(resource, *largest)
                )
            }
            (Hurdle::Room, Some((resource, want, _))) => {
                format!("no node has {} {resource} free", amount(resource, *want))
            }
            (Hurdle::Room, None) => "no node has room".to_owned(),
            (Hurdle::Taint, _) => {
                format!("the nodes carry the taint {} that it does not tolerate", self.taint().unwrap_or("(not read)"))
            }
            (Hurdle::Labels, _) => format!("no node has {}", wanted_labels(pod)),
            (Hurdle::Cordoned, _) => "the nodes that would do are cordoned".to_owned(),
            (Hurdle::HostPort, _) => "its host port is taken on every node".to_owned(),
            (Hurdle::PodAffinity, _) => "its rules about other pods exclude every node".to_owned(),
            (Hurdle::Spread, _) => "its spread constraints exclude every node".to_owned(),
        }
    }

    /// The field of the pod spec that asks for what no node gives, below the spec.
    pub(super) fn field(&self, hurdle: Hurdle, pod: &Pod) -> (String, String, Option<Value>) {
        match hurdle {
            Hurdle::Room => {
                let resource = self.short.as_ref().map_or("memory", |(resource, _, _)| resource.as_str());
                let largest = pod.spec.containers.iter().enumerate().max_by_key(|(_, container)| {
                    container.resources.requests.get(resource).and_then(Quantity::nanos).unwrap_or(0)
                });
                match largest {
                    Some((at, container)) => (
                        format!("containers[{}].resources.requests.{resource}", container.name),
                        format!("containers/{at}/resources/requests/{}", reckon_model::diff::escape(resource)),
                        container.resources.requests.get(resource).map(|quantity| json!(quantity.as_str())),
                    ),
                    None => ("resources".to_owned(), "resources".to_owned(), None),
                }
            }
            Hurdle::Labels if pod.spec.node_selector.is_empty() => {
                ("affinity.nodeAffinity".into(), "affinity/nodeAffinity".into(), None)
            }
            Hurdle::Labels => ("nodeSelector".into(), "nodeSelector".into(), Some(json!(pod.spec.node_selector))),
            Hurdle::Taint | Hurdle::Cordoned => ("tolerations".into(), "tolerations".into(), None),
            Hurdle::HostPort => ("containers".into(), "containers".into(), None),
            Hurdle::PodAffinity => ("affinity".into(), "affinity".into(), None),
            Hurdle::Spread => ("topologySpreadConstraints".into(), "topologySpreadConstraints".into(), None),
        }
    }
}

/// The resources a pod asks for.
fn resources(pod: &Pod) -> BTreeSet<&str> {
    let containers = pod.spec.containers.iter().chain(&pod.spec.init_containers);
    let asked = containers.flat_map(|container| container.resources.requests.keys());
    asked.chain(pod.spec.resources.requests.keys()).map(String::as_str).collect()
}

/// An amount in the unit people use for the resource.
fn amount(resource: &str, nanos: i128) -> String {
    const NANO: i128 = 1_000_000_000;
    match resource {
        "cpu" if nanos % NANO != 0 => format!("{}m", nanos / 1_000_000),
        "memory" | "ephemeral-storage" => {
            reckon_model::quantity::bytes(u64::try_from(nanos / NANO).unwrap_or(u64::MAX))
        }
        _ => format!("{}", nanos / NANO),
    }
}

/// The first label the node lacks, in words.
fn lacking(pod: &Pod, node: &Object) -> Option<String> {
    let labels = &node.meta.labels;
    if let Some((key, value)) = pod.spec.node_selector.iter().find(|(key, value)| labels.get(*key) != Some(value)) {
        return Some(format!("{key}={value}"));
    }
    let terms = &pod.spec.affinity.node_affinity.required.as_ref()?.node_selector_terms;
    let fields = BTreeMap::from([("metadata.name".to_owned(), node.meta.name.clone())]);
    let unmet = |term: &reckon_model::k8s::NodeSelectorTerm| {
        let label = term.match_expressions.iter().find(|requirement| !requirement.matches(labels));
        label
            .or_else(|| term.match_fields.iter().find(|requirement| !requirement.matches(&fields)))
            .map(Requirement::describe)
    };
    let unmet: Vec<Option<String>> = terms.iter().map(unmet).collect();
    if unmet.iter().any(Option::is_none) { None } else { unmet.into_iter().flatten().next() }
}

fn wanted_labels(pod: &Pod) -> String {
    let mut wanted: Vec<String> = pod.spec.node_selector.iter().map(|(key, value)| format!("{key}={value}")).collect();
    if let Some(required) = &pod.spec.affinity.node_affinity.required {
        let expressions = required.node_selector_terms.iter().flat_map(|term| &term.match_expressions);
        wanted.extend(expressions.map(Requirement::describe));
    }
    if wanted.is_empty() { "the labels it asks for".to_owned() } else { reckon_model::text::enumerate(&wanted) }
}

/// The first taint that keeps new pods away and is not tolerated. The taint of a cordon is told as a cordon.
fn untolerated<'n>(pod: &Pod, node: &'n Node) -> Option<&'n Taint> {
    node.spec
        .taints
        .iter()
        .filter(|taint| {
            matches!(taint.effect.as_str(), "NoSchedule" | "NoExecute")
                && taint.key != "node.kubernetes.io/unschedulable"
        })
        .find(|taint| !pod.spec.tolerations.iter().any(|toleration| tolerates(toleration, taint)))
}

fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let effect = toleration.effect.is_empty() || toleration.effect == taint.effect;
    let exists = toleration.operator == "Exists";
    effect
        && ((toleration.key.is_empty() && exists)
            || (toleration.key == taint.key && (exists || toleration.value == taint.value)))
}

fn taken_port(pod: &Pod, here: &[&Pod]) -> Option<i64> {
    let ports = |pod: &Pod| -> Vec<(i64, String)> {
        pod.spec
            .containers
            .iter()
            .flat_map(|container| &container.ports)
            .filter(|port| port.host_port != 0)
            .map(|port| {
                (port.host_port, if port.protocol.is_empty() { "TCP".to_owned() } else { port.protocol.clone() })
            })
            .collect()
    };
    let taken: Vec<_> = here.iter().flat_map(|pod| ports(pod)).collect();
    ports(pod).into_iter().find(|port| taken.contains(port)).map(|(port, _)| port)
}

/// Whether required rules about other pods keep the pod off a node: its own, or those of a pod that is there.
fn repelled(pod: &Pod, subject: &Object, node: &Object, nodes: &[&Object], pods: &[&Object]) -> Option<String> {
    let domain = |key: &str, name: &str| {
        nodes.iter().find(|node| node.meta.name == name).and_then(|node| node.meta.labels.get(key)).cloned()
    };
    let together = |key: &str, selector: &Option<LabelSelector>, namespace: &str| {
        let here = domain(key, &node.meta.name);
        here.is_some()
            && pods.iter().any(|other| {
                other.namespace() == namespace
                    && selector.as_ref().is_some_and(|selector| selector.matches(&other.meta.labels))
                    && other.pod().is_some_and(|other| {
                        !other.spec.node_name.is_empty() && domain(key, &other.spec.node_name) == here
                    })
            })
    };
    let namespace = subject.namespace();
    if let Some(term) = pod
        .spec
        .affinity
        .pod_anti_affinity
        .required
        .iter()
        .find(|term| together(&term.topology_key, &term.label_selector, namespace))
    {
        return Some(format!("a pod it keeps away from is in the same {}", term.topology_key));
    }
    let unmet = pod.spec.affinity.pod_affinity.required.iter().find(|term| {
        // The first of a group that wants to be with its own kind may go anywhere.
        let own = term.label_selector.as_ref().is_some_and(|selector| selector.matches(&subject.meta.labels));
        !own && !together(&term.topology_key, &term.label_selector, namespace)
    });
    unmet.map(|term| format!("no pod it wants to be with is in the same {}", term.topology_key))
}
