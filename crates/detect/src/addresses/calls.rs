//! Which Services a workload calls, as far as its template and the ConfigMaps that it reads name them.
//!
//! Read both ways: [`named_by`] gives what one workload calls, [`Read::callers`] who calls some Services.

use super::{Address, Host, in_text};
use crate::View;
use reckon_model::k8s::{Container, PodSpec};
use reckon_model::{Body, Kind, Object, ResourceRef};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Where an address is written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Written {
    /// The value of a variable of this container, by its name.
    Env(String, String),
    /// A word of the `command` or the `args` of this container.
    Words(String, &'static str),
    /// A key of a ConfigMap that a container reads.
    Data(ResourceRef, String),
}

impl Written {
    /// The field, as people write it.
    pub(crate) fn field(&self) -> String {
        match self {
            Written::Env(container, name) => format!("containers[{container}].env[{name}]"),
            Written::Words(container, field) => format!("containers[{container}].{field}"),
            Written::Data(map, key) => format!("{}/{} data[{key}]", map.kind.singular(), map.name),
        }
    }
}

/// A Service that is named, and where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Call {
    /// The Service; whether it exists is another question.
    pub service: ResourceRef,
    /// The address as it is written, with its port where that stands beside it.
    pub address: Address,
    /// Where it is written.
    pub written: Written,
}

/// Every address that a pod spec and the ConfigMaps it reads name, of this container or of all.
pub fn addresses(
    view: &View<'_>,
    spec: &PodSpec,
    namespace: Option<&str>,
    container: Option<&str>,
) -> Vec<(Address, Written)> {
    let map = |name: &str| view.object(&Kind::ConfigMap, namespace, name).found().map(Map::of);
    Template::of(spec, container).written(map)
}

/// The Services that a pod spec names: those that exist, and those that no other DNS would answer for.
pub fn named_by(view: &View<'_>, spec: &PodSpec, namespace: &str) -> Vec<Call> {
    let exists = |service: &ResourceRef| view.look_up(service).found().is_some();
    services(addresses(view, spec, Some(namespace), None), namespace, exists)
}

/// What the templates and ConfigMaps of a cluster name, read once and kept until they change: a diagnosis follows the other,
/// and there may be thousands of them.
#[derive(Debug, Default)]
pub(crate) struct Read {
    templates: BTreeMap<ResourceRef, Template>,
    maps: BTreeMap<ResourceRef, Map>,
}

/// What may call: whatever runs pods of a template.
const CALLING: [Kind; 5] = [Kind::Deployment, Kind::StatefulSet, Kind::DaemonSet, Kind::CronJob, Kind::Job];

impl Read {
    /// Forgets what was read of an object that is not what it was.
    pub(crate) fn forget(&mut self, object: &Object) {
        if object.kind == Kind::ConfigMap {
            self.maps.remove(&object.reference());
        } else if CALLING.contains(&object.kind) {
            self.templates.remove(&object.reference());
        }
    }

    /// Which of these Services each known workload names. Asks nothing: made for saying who suffers.
    pub(crate) fn callers<'a>(
        &mut self,
        view: &View<'a>,
        of: &BTreeSet<ResourceRef>,
    ) -> BTreeMap<ResourceRef, Vec<&'a Object>> {
        let mut callers: BTreeMap<ResourceRef, Vec<&'a Object>> = BTreeMap::new();
        if of.is_empty() {
            return callers;
        }
        let names: BTreeSet<&str> = of.iter().map(|service| service.name.as_str()).collect();
        // What is not met any more is gone with its object.
        let mut templates = std::mem::take(&mut self.templates);
        let mut maps = std::mem::take(&mut self.maps);
        for workload in CALLING.iter().flat_map(|kind| view.known(kind, None)) {
            let spec = match &workload.body {
                // Of a CronJob's Jobs it is the CronJob that calls.
                Body::Workload(_) if workload.kind == Kind::Job && workload.meta.controller().is_some() => continue,
                Body::Workload(body) => &body.spec.template.spec,
                Body::CronJob(body) => &body.spec.job_template.spec.template.spec,
                _ => continue,
            };
            let (own, namespace) = (workload.reference(), workload.namespace());
            let mut called = BTreeSet::new();
            let mut see = |address: &Address| {
                // Most name others: to tell what a host is costs more than to see that it is none of these.
                let may = address.host.split('.').any(|label| names.contains(label));
                let service = may.then(|| service_of(address, namespace, |service| of.contains(service))).flatten();
                called.extend(service.filter(|service| of.contains(service)));
            };
            let template = templates.remove(&own).unwrap_or_else(|| Template::of(spec, None));
            template.own.iter().for_each(|(address, _)| see(address));
            for (name, keys) in &template.maps {
                let reference = ResourceRef::new(Kind::ConfigMap, Some(namespace), name);
                // Many read one map, and it may be a megabyte: it is taken out and read once.
                if !self.maps.contains_key(&reference)
                    && let Some(object) = view.known_one(&reference)
                {
                    let map = maps.remove(&reference).unwrap_or_else(|| Map::of(object));
                    self.maps.insert(reference.clone(), map);
                }
                let Some(map) = self.maps.get(&reference) else { continue };
                map.addresses.iter().filter(|(key, _)| is_wanted(keys, key)).for_each(|(_, address)| see(address));
            }
            self.templates.insert(own, template);
            for service in called {
                callers.entry(service).or_default().push(workload);
            }
        }
        callers
    }
}

fn services(addresses: Vec<(Address, Written)>, namespace: &str, exists: impl Fn(&ResourceRef) -> bool) -> Vec<Call> {
    let call = |(address, written): (Address, Written)| {
        let service = service_of(&address, namespace, &exists)?;
        Some(Call { service, address, written })
    };
    addresses.into_iter().filter_map(call).collect()
}

/// The Service that an address must be, or one that exists.
fn service_of(address: &Address, namespace: &str, exists: impl Fn(&ResourceRef) -> bool) -> Option<ResourceRef> {
    match address.seen_from(namespace) {
        // A single word may be anything where it is no address beyond doubt.
        Host::Service(service) => {
            let sure = address.port.is_some() || address.host.contains('.') || !address.scheme.is_empty();
            Some(service).filter(|service| sure || exists(service))
        }
        Host::Maybe(either) => either.into_iter().find(exists),
        Host::Loopback | Host::Number | Host::Outside => None,
    }
}

/// The addresses in a ConfigMap, each with its key.
#[derive(Clone, Debug)]
struct Map {
    reference: ResourceRef,
    addresses: Arc<[(String, Address)]>,
}

impl Map {
    fn of(object: &Object) -> Map {
        let whole = object.whole();
        let data = whole.as_ref().and_then(|whole| whole.get("data")).and_then(Value::as_object);
        let all = data.into_iter().flatten().flat_map(|(key, value)| {
            let addresses = in_data(key, value.as_str().unwrap_or(""));
            addresses.into_iter().map(|address| (key.clone(), address))
        });
        Map { reference: object.reference(), addresses: all.collect() }
    }
}

/// What a template names by itself, and which keys of which ConfigMaps its containers read (`None`: all of them).
#[derive(Debug)]
struct Template {
    own: Vec<(Address, Written)>,
    maps: BTreeMap<String, BTreeSet<Option<String>>>,
}

impl Template {
    fn of(spec: &PodSpec, only: Option<&str>) -> Template {
        let mut own = Vec::new();
        let mut maps: BTreeMap<String, BTreeSet<Option<String>>> = BTreeMap::new();
        for (_, container) in
            spec.all_containers().filter(|(_, container)| only.is_none_or(|only| container.name == only))
        {
            in_variables(container, &mut own, &mut maps);
            for (field, words) in [("command", &container.command), ("args", &container.args)] {
                let written = || Written::Words(container.name.clone(), field);
                for word in words {
                    own.extend(in_text(word).into_iter().map(|address| (address, written())));
                    own.extend(flag(word).map(|address| (address, written())));
                }
            }
            for mount in &container.volume_mounts {
                let Some(volume) = spec.volumes.iter().find(|volume| volume.name == mount.name) else { continue };
                let projected = volume.projected.iter().flat_map(|projected| &projected.sources);
                let sources = projected.filter_map(|source| source.config_map.as_ref()).chain(&volume.config_map);
                for source in sources.filter(|source| source.name != "kube-root-ca.crt") {
                    maps.entry(source.name.clone()).or_default().insert(None);
                }
            }
        }
        Template { own, maps }
    }

    /// Every address once, those of the ConfigMaps last.
    fn written(&self, mut map: impl FnMut(&str) -> Option<Map>) -> Vec<(Address, Written)> {
        let mut found = self.own.clone();
        for (name, keys) in &self.maps {
            let Some(Map { reference, addresses }) = map(name) else { continue };
            for (key, address) in addresses.iter().filter(|(key, _)| is_wanted(keys, key)) {
                found.push((address.clone(), Written::Data(reference.clone(), key.clone())));
            }
        }
        let mut seen = BTreeSet::new();
        found.retain(|one| seen.insert(one.clone()));
        found
    }
}

fn is_wanted(keys: &BTreeSet<Option<String>>, key: &str) -> bool {
    keys.iter().any(|wanted| wanted.as_ref().is_none_or(|wanted| wanted == key))
}

fn in_variables(
    container: &Container,
    found: &mut Vec<(Address, Written)>,
    maps: &mut BTreeMap<String, BTreeSet<Option<String>>>,
) {
    let plain = |name: &str| container.env.iter().find(|other| other.name == name)?.value.as_deref();
    for variable in &container.env {
        if let Some(value) = &variable.value {
            let mut addresses = in_data(&variable.name, value);
            // `DB_HOST` and `DB_PORT` are one address.
            if let [only] = addresses.as_mut_slice()
                && only.port.is_none()
            {
                let stem = ["_HOST", "_HOSTNAME", "_ADDR", "_SERVER", "HOST"]
                    .iter()
                    .find_map(|end| variable.name.strip_suffix(end).map(|stem| (stem, end.starts_with('_'))));
                let name = stem.map(|(stem, apart)| if apart { format!("{stem}_PORT") } else { format!("{stem}PORT") });
                only.port = name.and_then(|name| plain(&name)).and_then(|port| port.trim().parse().ok());
            }
            let written = Written::Env(container.name.clone(), variable.name.clone());
            found.extend(addresses.into_iter().map(|address| (address, written.clone())));
        }
        if let Some(from) = variable.value_from.as_ref().and_then(|from| from.config_map_key_ref.as_ref()) {
            maps.entry(from.name.clone()).or_default().insert(Some(from.key.clone()));
        }
    }
    for source in container.env_from.iter().filter_map(|from| from.config_map_ref.as_ref()) {
        maps.entry(source.name.clone()).or_default().insert(None);
    }
}

/// `--db-host=db`: a bare word after a flag that says what it is.
fn flag(word: &str) -> Option<Address> {
    let (name, value) = word.split_once('=')?;
    if of_host(name) { Address::whole(value) } else { None }
}

/// The addresses in a value, which is one by itself where its name says so, or a file with lines of names and values.
fn in_data(name: &str, value: &str) -> Vec<Address> {
    let mut found = in_text(value);
    if found.is_empty() && of_host(name) {
        found.extend(Address::whole(value));
    }
    let value = super::start(value, super::READ);
    if value.contains('\n') {
        for line in value.lines().take(10_000) {
            let Some((name, rest)) = line.split_once(['=', ':']) else { continue };
            if found.len() < super::MOST && of_host(name.trim().trim_matches('"')) {
                found.extend(Address::whole(rest.trim().trim_end_matches(',')).filter(|it| !it.host.is_empty()));
            }
        }
    }
    found
}

/// Whether a name is that of something whose value is a host.
fn of_host(name: &str) -> bool {
    const ENDS: [&str; 16] = [
        "host", "hostname", "hosts", "addr", "address", "server", "servers", "service", "endpoint", "url", "uri",
        "upstream", "backend", "target", "broker", "brokers",
    ];
    let lower = name.trim().to_ascii_lowercase();
    ENDS.iter().any(|end| lower.ends_with(end))
}

#[cfg(test)]
mod tests;
