//! Who keeps an object as it is, and how it shows: Helm, Argo CD, or a person with `kubectl apply`.

use crate::helm;
use reckon_sim::World;
use serde_json::Value;

/// Who keeps the objects of a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// A release of Helm: its name, its chart with the version, and the revision that it is at.
    Helm { release: &'static str, chart: &'static str, revision: u64 },
    /// An application of Argo CD.
    Argo(&'static str),
    /// `kubectl apply`.
    Kubectl,
}

/// `kubectl.kubernetes.io/last-applied-configuration`.
const APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

impl Owner {
    /// `app.kubernetes.io/instance`.
    pub(crate) fn instance(self, name: &'static str) -> &'static str {
        match self {
            Owner::Helm { release, .. } => release,
            Owner::Argo(application) => application,
            Owner::Kubectl => name,
        }
    }

    /// The name in `managedFields`.
    pub(crate) fn manager(self) -> &'static str {
        match self {
            Owner::Helm { .. } => "helm",
            Owner::Argo(_) => "argocd-controller",
            Owner::Kubectl => "kubectl-client-side-apply",
        }
    }

    /// Marks an object as this owner's.
    fn mark(self, resource: &str, object: &mut Value) {
        let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default().to_owned();
        match self {
            Owner::Helm { release, chart, .. } => {
                let meta = &mut object["metadata"];
                meta["labels"]["app.kubernetes.io/managed-by"] = "Helm".into();
                meta["labels"]["helm.sh/chart"] = chart.into();
                meta["annotations"]["meta.helm.sh/release-name"] = release.into();
                meta["annotations"]["meta.helm.sh/release-namespace"] = namespace.into();
            }
            Owner::Argo(application) => {
                let (_, group) = resource.split_once('.').unwrap_or((resource, ""));
                let kind = object["kind"].as_str().unwrap_or_default();
                let id = format!("{application}:{group}/{kind}:{namespace}/{name}");
                object["metadata"]["annotations"]["argocd.argoproj.io/tracking-id"] = id.into();
            }
            Owner::Kubectl => {
                let mut sent = object.clone();
                if let Some(sent) = sent.as_object_mut() {
                    sent.remove("status");
                }
                object["metadata"]["annotations"][APPLIED] = format!("{sent}\n").into();
            }
        }
    }

    /// Makes objects that are not there, and brings those that are to what is wanted.
    pub(crate) fn apply(self, world: &mut World, objects: Vec<(&'static str, Value)>) {
        let mut manifest = Vec::new();
        for (resource, mut object) in objects {
            // What Helm renders lacks what it adds when it sends: the annotations. The labels are the chart's own.
            let mut rendered = object.clone();
            self.mark(resource, &mut object);
            rendered["metadata"]["labels"] = object["metadata"]["labels"].clone();
            if let Some(rendered) = rendered.as_object_mut() {
                rendered.remove("status");
            }
            manifest.push(rendered);
            self.put(world, resource, object);
        }
        if let Owner::Helm { release, chart, revision } = self {
            let namespace = manifest.first().and_then(|object| object["metadata"]["namespace"].as_str());
            let namespace = namespace.unwrap_or("default").to_owned();
            helm::record(world, &namespace, release, chart, revision, &manifest);
        }
    }

    fn put(self, world: &mut World, resource: &str, object: Value) {
        let place = |key: &str| object["metadata"][key].as_str().unwrap_or_default().to_owned();
        let (namespace, name) = (place("namespace"), place("name"));
        if world.get(resource, &namespace, &name).is_none() {
            // These are complete, and in namespaces that are there: nothing refuses them.
            let _ = world.create_as(resource, object, self.manager());
            return;
        }
        world.edit(resource, &namespace, &name, self.manager(), |old| {
            for part in ["spec", "data"] {
                if let Some(wanted) = object.get(part) {
                    merge(&mut old[part], wanted);
                }
            }
            merge(&mut old["metadata"]["labels"], &object["metadata"]["labels"]);
            merge(&mut old["metadata"]["annotations"], &object["metadata"]["annotations"]);
        });
    }
}

/// Members that are wanted; what is there beside them is a default or somebody else's. Items of lists are known by their
/// names, and else the list is taken as a whole.
pub(crate) fn merge(old: &mut Value, wanted: &Value) {
    match (old, wanted) {
        (Value::Object(old), Value::Object(wanted)) => {
            for (key, value) in wanted {
                merge(old.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (Value::Array(old), Value::Array(wanted)) if wanted.iter().all(|item| item["name"].is_string()) => {
            for item in wanted {
                match old.iter_mut().find(|old| old["name"] == item["name"]) {
                    Some(old) => merge(old, item),
                    None => old.push(item.clone()),
                }
            }
        }
        (old, wanted) => *old = wanted.clone(),
    }
}
