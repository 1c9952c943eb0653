//! What leads to a Service from outside the cluster: Ingresses and routes of the Gateway API.

use crate::View;
use reckon_model::document::Ref;
use reckon_model::{Kind, Object, ResourceRef};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The kinds that lead to Services, by group, and whether they may from another namespace.
const LEADING: [(&str, &str, bool); 3] = [
    ("networking.k8s.io", "Ingress", false),
    ("gateway.networking.k8s.io", "HTTPRoute", true),
    ("gateway.networking.k8s.io", "GRPCRoute", true),
];

/// What leads to Services, taken apart once for all problems of a diagnosis: the backends of each Ingress and route that was
/// looked at, by kind, namespace and name.
#[derive(Debug, Default)]
pub(crate) struct Routes<'a> {
    known: BTreeMap<(usize, &'a str, &'a str), Vec<Backend>>,
}

/// The Ingresses and routes that name one of these Services, each with those that it names.
pub(super) fn to<'a>(
    view: &View<'a>,
    routes: &mut Routes<'a>,
    services: &BTreeSet<Ref>,
) -> BTreeMap<Ref, BTreeSet<Ref>> {
    let namespaces: BTreeSet<&str> = services.iter().filter_map(|service| service.namespace.as_deref()).collect();
    let mut several = namespaces.into_iter();
    // One question for each kind, however many namespaces suffer.
    let place = match (several.next(), several.next()) {
        (None, _) => return BTreeMap::new(),
        (Some(one), None) => Some(one),
        (Some(_), Some(_)) => None,
    };
    let names: BTreeMap<(&str, &str), &Ref> =
        services.iter().filter_map(|it| Some(((it.namespace.as_deref()?, it.name.as_str()), it))).collect();
    let mut found = BTreeMap::new();
    for (which, (group, kind, across)) in LEADING.iter().enumerate() {
        for object in listed(view, &Kind::of_group(group, kind), *across, place) {
            let own = object.namespace();
            let key = (which, own, object.meta.name.as_str());
            let backends = routes.known.entry(key).or_insert_with(|| backends(object));
            let named = backends.iter().filter_map(|backend| {
                names.get(&(backend.namespace.as_deref().unwrap_or(own), backend.name.as_str())).map(|it| (*it).clone())
            });
            let named: BTreeSet<Ref> = named.collect();
            if !named.is_empty() {
                found.insert(Ref::from(&object.reference()), named);
            }
        }
    }
    found
}

/// All of a kind that may lead to a place.
fn listed<'a>(view: &View<'a>, kind: &Kind, across: bool, place: Option<&str>) -> Vec<&'a Object> {
    let everywhere = view.all(kind, place.filter(|_| !across));
    // Who may not read all of them may read those beside the Service.
    if everywhere.complete { everywhere.items } else { view.all(kind, place).items }
}

/// Of more Services than these behind one object all are asked for at once, and not one by one.
pub(crate) const MANY: usize = 20;

/// So many Services behind one object are looked at.
const LED: usize = 500;

/// The Services that an Ingress or a route leads to, each once; none of what is neither.
pub(crate) fn led_to(object: &Object) -> Vec<ResourceRef> {
    if !LEADING.iter().any(|(group, kind, _)| (object.kind.group(), object.kind.name()) == (*group, *kind)) {
        return Vec::new();
    }
    let service = |backend: Backend| {
        let namespace = backend.namespace.as_deref().unwrap_or(object.namespace());
        ResourceRef::new(Kind::Service, Some(namespace), &backend.name)
    };
    let services: BTreeSet<ResourceRef> = backends(object).into_iter().map(service).collect();
    services.into_iter().take(LED).collect()
}

/// The routes that hang on a Gateway.
pub(crate) fn attached<'a>(view: &View<'a>, gateway: &Object) -> Vec<&'a Object> {
    let mut found = Vec::new();
    for (group, kind, across) in LEADING.iter().filter(|(group, ..)| *group == gateway.kind.group()) {
        let routes = listed(view, &Kind::of_group(group, kind), *across, gateway.meta.namespace.as_deref());
        found.extend(routes.into_iter().filter(|route| hangs_on(route, gateway)));
    }
    found
}

fn hangs_on(route: &Object, gateway: &Object) -> bool {
    let whole = route.whole();
    let parents = whole.as_ref().and_then(|whole| whole.pointer("/spec/parentRefs")).and_then(Value::as_array);
    parents.into_iter().flatten().any(|parent| {
        let text = |key: &str| parent.get(key).and_then(Value::as_str);
        text("kind").is_none_or(|kind| kind == "Gateway")
            && text("name") == Some(&gateway.meta.name)
            && text("namespace").unwrap_or(route.namespace()) == gateway.namespace()
    })
}

/// A Service that a route names.
#[derive(Debug)]
struct Backend {
    name: String,
    /// Another namespace than the route's own.
    namespace: Option<String>,
}

fn backends(object: &Object) -> Vec<Backend> {
    let Some(whole) = object.whole() else { return Vec::new() };
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    let list = |value: Option<&Value>| value.and_then(Value::as_array).cloned().unwrap_or_default();
    let of_ingress = |backend: Option<&Value>| {
        let name = text(backend.and_then(|backend| backend.pointer("/service/name")))?;
        Some(Backend { name, namespace: None })
    };
    let mut found: Vec<Backend> = of_ingress(whole.pointer("/spec/defaultBackend")).into_iter().collect();
    for rule in list(whole.pointer("/spec/rules")) {
        for path in list(rule.pointer("/http/paths")) {
            found.extend(of_ingress(path.get("backend")));
        }
        for backend in list(rule.get("backendRefs")) {
            if backend.get("kind").is_none_or(|kind| kind == "Service") {
                let name = text(backend.get("name"));
                found.extend(name.map(|name| Backend { name, namespace: text(backend.get("namespace")) }));
            }
        }
    }
    found
}
