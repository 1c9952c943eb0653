//! The edges of one object, followed: what is there, what is missing, what may have been meant.

use super::{Edge, End, Relation};
use crate::impact::MANY;
use crate::view::{There, View};
use crate::{addresses, blame, describe};
use reckon_model::document::{Connected, Connection, Ref};
use reckon_model::{Body, Kind, Object, ResourceRef, text};
use std::collections::{BTreeMap, BTreeSet};

/// So many edges of an object are followed: a route may name hundreds of backends.
const MOST: usize = 40;

/// The edges of an object in their order, each with what is at its end. Asks for ends that are not known.
pub(crate) fn connected<'a>(view: &View<'a>, object: &'a Object) -> Vec<Connected> {
    let mut edges = super::of(object);
    edges.extend(callees(view, object));
    edges.extend(parameters(view, object));
    edges.truncate(MOST);
    let unread = crowds_unread(view, &edges);
    let mut found: Vec<Connected> = edges.iter().map(|edge| followed(view, edge, &unread)).collect();
    found.extend(attachments(view, object));
    found.extend(definition(view, object));
    found
}

/// What an object cannot do without and is not there, in words. `None` where nothing is known to be missing.
pub(crate) fn dangling(connected: &[Connected]) -> Option<String> {
    let missing = connected.iter().filter(|it| it.state == Connection::Missing && !it.optional);
    let told: Vec<String> = missing
        .map(|it| {
            let hint = it.hint.as_ref().map(|hint| format!(" (did you mean {hint}?)")).unwrap_or_default();
            let gone = it
                .deleted
                .map_or_else(|| "does not exist".to_owned(), |at| format!("was deleted at {}", describe::time(at)));
            format!("its {} names {}, which {gone}{hint}", it.field, it.what)
        })
        .collect();
    (!told.is_empty()).then(|| text::enumerate(&told))
}

/// A kind in a namespace.
type Place = (Kind, Option<String>);

/// Of which so many are named that they are asked for as a list, and that list is not there.
fn crowds_unread(view: &View<'_>, edges: &[Edge]) -> BTreeSet<Place> {
    let mut named: BTreeMap<Place, usize> = BTreeMap::new();
    for edge in edges {
        if let End::One(reference) = &edge.end {
            *named.entry((reference.kind.clone(), reference.namespace.clone())).or_default() += 1;
        }
    }
    let crowds = named.into_iter().filter(|(_, count)| *count > MANY).map(|(place, _)| place);
    crowds.filter(|(kind, namespace)| !view.all(kind, namespace.as_deref()).complete).collect()
}

fn followed(view: &View<'_>, edge: &Edge, unread: &BTreeSet<Place>) -> Connected {
    let mut found = Connected {
        relation: edge.relation.as_str().to_owned(),
        field: edge.field.clone(),
        reference: None,
        what: String::new(),
        state: Connection::Program,
        optional: edge.optional,
        deleted: None,
        hint: None,
    };
    match &edge.end {
        End::Program(name) => found.what = text::shorten(name, 100).into_owned(),
        End::One(reference) => {
            let reference = placed(view, edge, reference);
            found.what = format!("{} {}", reference.kind.name(), describe::name(&reference));
            found.reference = Some(Ref::from(&reference));
            let place = (reference.kind.clone(), reference.namespace.clone());
            let there = if unread.contains(&place) { There::Unread } else { view.there(&reference) };
            found.state = match there {
                There::Yes => Connection::There,
                There::Unread => Connection::Unknown,
                There::No { deleted } => {
                    found.deleted = deleted;
                    found.hint = blame::near(view, &reference).map(|(name, _)| name);
                    Connection::Missing
                }
            };
        }
        End::Selected { kind, namespace, selector } => {
            let many = view.matching(kind, namespace.as_deref(), selector);
            let count = match (many.complete, many.items.len()) {
                (true, count) => text::count(count, &kind.singular()),
                // How many there are is what was not read.
                (false, 0) => text::plural(&kind.singular()),
                (false, known) => format!("at least {}", text::count(known, &kind.singular())),
            };
            found.what = match selector.is_empty() {
                true => count,
                false => format!("{count} with {}", selector.query()),
            };
            // That a selector matches nothing is no mistake in itself.
            found.optional = true;
            found.state = match (many.complete, many.items.is_empty()) {
                (_, false) => Connection::There,
                (true, true) => Connection::Missing,
                (false, true) => Connection::Unknown,
            };
        }
    }
    found
}

/// An owner of a kind that nobody knows by name may be one of the whole cluster: what is known decides.
fn placed(view: &View<'_>, edge: &Edge, reference: &ResourceRef) -> ResourceRef {
    let everywhere = ResourceRef { namespace: None, ..reference.clone() };
    let of_cluster = edge.relation == Relation::Owner
        && matches!(reference.kind, Kind::Other(_))
        && view.known(&reference.kind, None).any(|it| it.reference() == everywhere);
    if of_cluster { everywhere } else { reference.clone() }
}

/// The Services that the template of a workload names by their addresses.
fn callees<'a>(view: &View<'a>, object: &'a Object) -> Vec<Edge> {
    let spec = match &object.body {
        Body::Workload(body) => &body.spec.template.spec,
        Body::CronJob(body) => &body.spec.job_template.spec.template.spec,
        Body::Pod(body) => &body.spec.common,
        _ => return Vec::new(),
    };
    addresses::calls::named_by(view, spec, object.namespace())
        .into_iter()
        .map(|call| Edge {
            relation: Relation::Callee,
            field: call.written.field(),
            end: End::One(call.service),
            optional: false,
        })
        .collect()
}

/// What a policy reads, whose kind the policy itself says.
fn parameters<'a>(view: &View<'a>, object: &'a Object) -> Vec<Edge> {
    const GROUP: &str = "admissionregistration.k8s.io";
    let policy = match object.kind.name() {
        "ValidatingAdmissionPolicyBinding" => "ValidatingAdmissionPolicy",
        "MutatingAdmissionPolicyBinding" => "MutatingAdmissionPolicy",
        _ => return Vec::new(),
    };
    let find = || {
        let whole = object.whole().filter(|_| object.kind.group() == GROUP)?;
        let word = |pointer: &str| whole.pointer(pointer)?.as_str().map(str::to_owned);
        let policy = view.object(&Kind::of_group(GROUP, policy), None, &word("/spec/policyName")?).found()?;
        let rules = policy.whole()?;
        let said = |key: &str| rules.pointer("/spec/paramKind")?.get(key)?.as_str().map(str::to_owned);
        let kind = Kind::of(&said("apiVersion")?, &said("kind")?);
        let namespace = word("/spec/paramRef/namespace");
        let end = ResourceRef::new(kind, namespace.as_deref(), &word("/spec/paramRef/name")?);
        Some(Edge {
            relation: Relation::Parameter,
            field: "spec.paramRef".to_owned(),
            end: End::One(end),
            optional: word("/spec/paramRef/parameterNotFoundAction").is_some_and(|action| action == "Allow"),
        })
    };
    find().into_iter().collect()
}

/// Where a volume is attached, and what is attached to a node.
fn attachments<'a>(view: &View<'a>, object: &'a Object) -> Vec<Connected> {
    if !matches!(object.kind, Kind::PersistentVolume | Kind::Node) {
        return Vec::new();
    }
    let end = End::One(object.reference());
    let all = view.all(&Kind::of_group("storage.k8s.io", "VolumeAttachment"), None).items;
    let of_it = all.into_iter().filter_map(|attachment| {
        let edge = super::of(attachment).into_iter().find(|edge| edge.end == end)?;
        Some(Connected {
            relation: Relation::Storage.as_str().to_owned(),
            field: edge.field,
            reference: Some(Ref::from(&attachment.reference())),
            what: format!("VolumeAttachment {}", attachment.meta.name),
            state: Connection::There,
            optional: true,
            deleted: None,
            hint: None,
        })
    });
    of_it.take(MOST).collect()
}

/// What makes the kind of a custom resource known, where that happens to be known: all definitions are much to ask for.
fn definition<'a>(view: &View<'a>, object: &'a Object) -> Option<Connected> {
    if !matches!(object.kind, Kind::Other(_)) {
        return None;
    }
    let definition =
        view.known(&Kind::of_group("apiextensions.k8s.io", "CustomResourceDefinition"), None).find(|it| {
            it.whole().is_some_and(|whole| {
                let word = |pointer: &str| whole.pointer(pointer).and_then(|word| word.as_str().map(str::to_owned));
                word("/spec/group").is_some_and(|group| group == object.kind.group())
                    && word("/spec/names/kind").is_some_and(|kind| kind == object.kind.name())
            })
        })?;
    Some(Connected {
        relation: Relation::Definition.as_str().to_owned(),
        field: "apiVersion".to_owned(),
        reference: Some(Ref::from(&definition.reference())),
        what: format!("CustomResourceDefinition {}", definition.meta.name),
        state: Connection::There,
        optional: true,
        deleted: None,
        hint: None,
    })
}
