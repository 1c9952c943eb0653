//! Which Services a workload calls, as far as its template and the ConfigMaps that it reads name them.
//!
//! Read both ways: [`named_by`] gives what one workload calls, [`callers`] who calls some Services.

use super::{Address, Host, in_text};
use crate::View;
use reckon_model::k8s::{Container, PodSpec};
use reckon_model::{Body, Kind, Object, ResourceRef};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

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
    written(spec, container, |name| view.object(&Kind::ConfigMap, namespace, name).found().map(Map::of))
}

/// The Services that a pod spec names: those that exist, and those that no other DNS would answer for.
pub fn named_by(view: &View<'_>, spec: &PodSpec, namespace: &str) -> Vec<Call> {
    let exists = |service: &ResourceRef| view.look_up(service).found().is_some();
    services(addresses(view, spec, Some(namespace), None), namespace, exists)
}

/// Which of these Services each known workload names. Asks nothing: made for saying who suffers.
pub fn callers<'a>(view: &View<'a>, of: &BTreeSet<ResourceRef>) -> BTreeMap<ResourceRef, Vec<&'a Object>> {
    let mut callers: BTreeMap<ResourceRef, Vec<&'a Object>> = BTreeMap::new();
    if of.is_empty() {
        return callers;
    }
    // Many read one map, and it may be a megabyte: it is taken out and read once.
    let mut maps = BTreeMap::new();
    for kind in [Kind::Deployment, Kind::StatefulSet, Kind::DaemonSet, Kind::CronJob] {
        for workload in view.known(&kind, None) {
            let spec = match &workload.body {
                Body::Workload(body) => &body.spec.template.spec,
                Body::CronJob(body) => &body.spec.job_template.spec.template.spec,
                _ => continue,
            };
            let namespace = workload.namespace();
            let map = |name: &str| {
                let reference = ResourceRef::new(Kind::ConfigMap, Some(namespace), name);
                let known =
                    maps.entry(reference).or_insert_with_key(|reference| view.known_one(reference).map(Map::of));
                known.clone()
            };
            let found = services(written(spec, None, map), namespace, |service| of.contains(service));
            let called: BTreeSet<ResourceRef> =
                found.into_iter().map(|call| call.service).filter(|service| of.contains(service)).collect();
            for service in called {
                callers.entry(service).or_default().push(workload);
            }
        }
    }
    callers
}

fn services(addresses: Vec<(Address, Written)>, namespace: &str, exists: impl Fn(&ResourceRef) -> bool) -> Vec<Call> {
    let mut calls = Vec::new();
    for (address, written) in addresses {
        let service = match address.seen_from(namespace) {
            // A single word may be anything where it is no address beyond doubt.
            Host::Service(service) => {
                let sure = address.port.is_some() || address.host.contains('.') || !address.scheme.is_empty();
                Some(service).filter(|service| sure || exists(service))
            }
            Host::Maybe(either) => either.into_iter().find(&exists),
            Host::Loopback | Host::Number | Host::Outside => None,
        };
        calls.extend(service.map(|service| Call { service, address, written }));
    }
    calls
}

/// The addresses in a ConfigMap, each with its key.
#[derive(Clone)]
struct Map {
    reference: ResourceRef,
    addresses: Rc<[(String, Address)]>,
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

fn written(spec: &PodSpec, only: Option<&str>, mut map: impl FnMut(&str) -> Option<Map>) -> Vec<(Address, Written)> {
    let mut found = Vec::new();
    let mut maps: BTreeMap<String, BTreeSet<Option<String>>> = BTreeMap::new();
    for (_, container) in spec.all_containers().filter(|(_, container)| only.is_none_or(|only| container.name == only))
    {
        in_variables(container, &mut found, &mut maps);
        for (field, words) in [("command", &container.command), ("args", &container.args)] {
            let written = || Written::Words(container.name.clone(), field);
            for word in words {
                found.extend(in_text(word).into_iter().map(|address| (address, written())));
                found.extend(flag(word).map(|address| (address, written())));
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
    for (name, keys) in &maps {
        let Some(Map { reference, addresses }) = map(name) else { continue };
        let wanted = |key: &String| keys.iter().any(|wanted| wanted.as_ref().is_none_or(|wanted| wanted == key));
        for (key, address) in addresses.iter().filter(|(key, _)| wanted(key)) {
            found.push((address.clone(), Written::Data(reference.clone(), key.clone())));
        }
    }
    let mut seen = BTreeSet::new();
    found.retain(|one| seen.insert(one.clone()));
    found
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
mod tests {
    use super::*;
    use crate::State;
    use reckon_model::{ClusterId, Timestamp};
    use serde_json::json;

    fn state(objects: &[Value]) -> State {
        let mut state = State::new(ClusterId("test".into()));
        for kind in Kind::named() {
            state.cover(kind, None);
        }
        for object in objects {
            state.apply(Object::decode(object.to_string().as_bytes(), None).unwrap());
        }
        state
    }

    fn workload(name: &str, namespace: &str, container: &Value) -> Value {
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": namespace},
            "spec": {"template": {"spec": {"containers": [container],
                "volumes": [{"name": "conf", "configMap": {"name": "conf"}}]}}}})
    }

    fn service(name: &str, namespace: &str) -> Value {
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": namespace}, "spec": {}})
    }

    #[test]
    fn callers_and_callees_are_two_sides_of_one_address() {
        let state = state(&[
            service("db", "shop"),
            service("api", "shop"),
            service("cache", "shop"),
            workload(
                "by-env",
                "shop",
                &json!({"name": "app", "env": [{"name": "DB_HOST", "value": "db"}, {"name": "DB_PORT", "value": "5432"}]}),
            ),
            workload(
                "by-words",
                "other",
                &json!({"name": "app", "args": ["--db=postgres://u:p@db.shop:5432/x", "--mode=api"]}),
            ),
            workload("by-map", "shop", &json!({"name": "app", "volumeMounts": [{"name": "conf", "mountPath": "/c"}]})),
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "conf", "namespace": "shop"},
                "data": {"app.yaml": "mode: api\ncache:\n  host: cache\nupstream: http://db.shop.svc.cluster.local:80/\n"}}),
            workload("nobody", "shop", &json!({"name": "app", "env": [{"name": "MODE", "value": "db"}]})),
        ]);
        let view = View::new(&state, Timestamp::UNIX_EPOCH);
        let reference = |name: &str| ResourceRef::new(Kind::Service, Some("shop"), name);
        let of: BTreeSet<ResourceRef> = ["db", "api", "cache"].map(reference).into();
        let callers = callers(&view, &of);
        let names = |service: &str| -> Vec<&str> {
            callers.get(&reference(service)).into_iter().flatten().map(|caller| caller.meta.name.as_str()).collect()
        };
        assert_eq!(names("db"), ["by-words", "by-env", "by-map"]);
        assert_eq!(names("cache"), ["by-map"]);
        assert!(names("api").is_empty(), "a mode is no host");
        let by_env = view.look_up(&ResourceRef::new(Kind::Deployment, Some("shop"), "by-env")).found().unwrap();
        let calls = named_by(&view, &by_env.workload().unwrap().spec.template.spec, "shop");
        assert_eq!(calls.len(), 1);
        assert_eq!((calls[0].service.name.as_str(), calls[0].address.port), ("db", Some(5432)));
        assert_eq!(calls[0].written, Written::Env("app".into(), "DB_HOST".into()));
        assert!(super::callers(&view, &BTreeSet::new()).is_empty());
    }

    #[test]
    fn a_megabyte_of_addresses_in_a_map_is_read_in_bounds() {
        let data: String = (0..60_000).map(|at| format!("host: s{at}\n")).collect();
        assert!(in_data("app.yaml", &data).len() <= super::super::MOST);
        let data: String = (0..60_000).map(|at| format!("http://s{at}:80/\n")).collect();
        assert!(in_data("app.yaml", &data).len() <= super::super::MOST);
    }
}
