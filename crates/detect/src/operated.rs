//! Remedies of what an operator makes from a custom resource: the operator takes back what anybody else writes there, so the
//! custom resource is what is changed.

use crate::{View, describe, ownership};
use reckon_model::document::{Ref, Remedy, RemedyKind, Requires};
use reckon_model::{Object, ResourceRef};

/// Owners form a chain of at most a handful; a cycle in hostile metadata ends here.
const HEIGHT: usize = 8;

/// The remedies with those that an operator would take back put to the custom resource.
pub(crate) fn redirect(view: &View<'_>, remedies: &mut Vec<Remedy>) {
    let mut told: Vec<ResourceRef> = Vec::new();
    remedies.retain_mut(|remedy| {
        let lasting = matches!(
            remedy.kind,
            RemedyKind::Patch | RemedyKind::SetResources | RemedyKind::Scale | RemedyKind::RollBack
        );
        let object = remedy.reference.as_ref().map(ResourceRef::from).and_then(|target| view.known_one(&target));
        let Some((object, resource)) = object.filter(|_| lasting).and_then(|object| Some((object, top(view, object)?)))
        else {
            return true;
        };
        // There is no going back to a revision that the operator does not want; of one such remedy the object is told.
        if remedy.kind == RemedyKind::RollBack && told.contains(&resource) {
            return false;
        }
        redirect_one(view, remedy, object, &resource);
        told.push(resource);
        true
    });
}

/// The topmost custom resource from which an object is made.
fn top(view: &View<'_>, object: &Object) -> Option<ResourceRef> {
    let namespace = object.meta.namespace.as_deref();
    let mut found = None;
    let mut at = object;
    for _ in 0..HEIGHT {
        let Some(owner) = at.meta.controller() else { break };
        let reference = owner.reference(namespace);
        if ownership::operated(at).is_some() {
            found = Some(reference.clone());
        }
        match view.known_one(&reference) {
            Some(above) => at = above,
            None => break,
        }
    }
    found
}

fn redirect_one(view: &View<'_>, remedy: &mut Remedy, object: &Object, resource: &ResourceRef) {
    let made = format!("{} {}", object.kind.singular(), describe::object(object));
    let name = format!("{} {}", resource.kind, describe::name(resource));
    remedy.sentence = format!(
        "{} The operator of {name} makes {made} and takes back what is changed there: change {name}.",
        remedy.sentence
    );
    remedy.reference = Some(Ref::from(resource));
    remedy.patch = None;
    remedy.patch_type = None;
    // Where in the custom resource it stands, its own definition says.
    remedy.kind = if remedy.kind == RemedyKind::SetResources { RemedyKind::SetResources } else { RemedyKind::Patch };
    remedy.managed_by = view.known_one(resource).and_then(ownership::managed_by);
    remedy.requires = Some(Requires { verb: "patch".to_owned(), resource: resource.kind.resource() });
}
