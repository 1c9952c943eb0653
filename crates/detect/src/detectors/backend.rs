//! What stands behind a call that the API server makes: the Service of a webhook, of a conversion, of an aggregated API.

use super::edit::Edit;
use crate::spot::{self, Path};
use crate::{Fact, Lookup, View, describe, ownership};
use reckon_model::document::{Cause, CauseKind, Remedy, RemedyKind, Role, Source};
use reckon_model::k8s::Pod;
use reckon_model::selector::LabelSelector;
use reckon_model::{Body, Change, Kind, Object, ResourceRef, Timestamp, Verb};
use serde_json::json;

/// A Service that is called, and how it stands with it.
pub(crate) struct Backend<'a> {
    /// The Service.
    pub(crate) service: ResourceRef,
    /// How it stands with it.
    pub(crate) state: State<'a>,
}

/// How it stands with a Service.
pub(crate) enum State<'a> {
    /// It is not there.
    Absent {
        /// When it was deleted, if that was seen.
        deleted: Option<Timestamp>,
    },
    /// A workload stands behind it, at zero replicas.
    AtZero(&'a Object),
    /// Nothing that is known makes pods for it.
    Nobody,
    /// It has pods or a workload, and no ready endpoint.
    NotReady {
        /// The workload that makes its pods, if one is known.
        workload: Option<&'a Object>,
    },
    /// It has ready endpoints.
    Serves {
        /// The Service.
        service: &'a Object,
        /// One of its pods.
        pod: Option<&'a Object>,
    },
    /// Not known.
    Unread,
}

impl<'a> Backend<'a> {
    /// Looks at what stands behind a Service.
    pub(crate) fn of(view: &View<'a>, namespace: &str, name: &str) -> Backend<'a> {
        let service = ResourceRef::new(Kind::Service, Some(namespace), name);
        let state = match view.look_up(&service) {
            Lookup::Found(found) => standing(view, found),
            Lookup::Absent { deleted } => State::Absent { deleted },
            Lookup::Unread => State::Unread,
        };
        Backend { service, state }
    }

    /// Whether it serves, as far as that is known.
    pub(crate) fn serves(&self) -> bool {
        matches!(self.state, State::Serves { .. })
    }

    /// The workload that makes its pods.
    pub(crate) fn workload(&self, view: &View<'a>) -> Option<&'a Object> {
        match self.state {
            State::AtZero(workload) => Some(workload),
            State::NotReady { workload } => workload,
            State::Serves { pod, .. } => Some(view.workload_of(pod?)),
            State::Absent { .. } | State::Nobody | State::Unread => None,
        }
    }

    /// What it is about it that the call failed, in words.
    pub(crate) fn words(&self) -> String {
        let name = describe::name(&self.service);
        match &self.state {
            State::Absent { .. } => format!("Service {name} behind it does not exist"),
            State::AtZero(workload) => {
                format!(
                    "{} {}, which serves it, is scaled to zero",
                    workload.kind.singular(),
                    describe::object(workload)
                )
            }
            State::Nobody => format!("Service {name} behind it selects no pod, and nothing makes any for it"),
            State::NotReady { .. } => format!("Service {name} behind it has no ready endpoint"),
            State::Serves { .. } => format!("Service {name} behind it has ready endpoints"),
            State::Unread => format!("Service {name} stands behind it"),
        }
    }

    /// The cause that lies with it: that it was deleted or scaled down, or whatever ails the Service itself.
    pub(crate) fn cause(&self, view: &View<'a>, until: Option<Timestamp>, sentence: &str) -> Cause {
        let says = format!("{sentence} {}.", self.words());
        match &self.state {
            State::Absent { deleted: Some(at) } => {
                let service = self.service.clone();
                let change = Change { at: *at, subject: service, verb: Verb::Deleted, fields: Vec::new(), actor: None };
                let name = describe::name(&self.service);
                Cause::changed(&change, 0, format!("{sentence} Service {name} was deleted at {}.", describe::time(*at)))
            }
            State::AtZero(workload) => {
                let path = Path { field: "spec.replicas".to_owned(), pointer: "/spec/replicas".to_owned() };
                let edit = Edit::of(view, workload, &path, workload.meta.created, until).filter(|edit| !edit.is_new());
                if let Some(edit) = edit {
                    let name = describe::object(workload);
                    let kind = workload.kind.singular();
                    return edit.cause(format!(
                        "{sentence} spec.replicas of {kind} {name}, which serves it, was {}.",
                        edit.words()
                    ));
                }
                let mut cause = Cause::plain(CauseKind::Resource, Some(&workload.reference()), says);
                cause.managed_by = ownership::managed_by(workload);
                cause.at_field(path.field, path.pointer, Some(json!(0)))
            }
            _ => Cause::plain(CauseKind::Resource, Some(&self.service), says),
        }
    }

    /// How it stands with it, as a fact.
    pub(crate) fn fact(&self) -> Option<Fact> {
        let source = match self.state {
            State::Unread => return None,
            State::Absent { .. } | State::Nobody => Source::Absence,
            State::AtZero(_) => Source::Spec,
            State::NotReady { .. } | State::Serves { .. } => Source::Status,
        };
        let at = match self.state {
            State::Absent { deleted } => deleted,
            _ => None,
        };
        let about = self.service.clone();
        Some(Fact { role: Role::Cause, source, at, about, text: self.words(), raw: None })
    }

    /// What brings it back, where one action does.
    pub(crate) fn remedy(&self) -> Option<Remedy> {
        match &self.state {
            State::AtZero(workload) => {
                let sentence = format!("Scale {} up again.", describe::object(workload));
                let mut remedy = spot::remedy(RemedyKind::Scale, &workload.reference(), sentence);
                remedy.managed_by = ownership::managed_by(workload);
                remedy.patch_type = Some("merge".to_owned());
                remedy.patch = Some(json!({"spec": {"replicas": 1}}));
                Some(remedy)
            }
            State::Absent { deleted: Some(_) } => {
                let sentence = format!("Make Service {} again.", describe::name(&self.service));
                Some(spot::remedy(RemedyKind::Create, &self.service, sentence))
            }
            _ => None,
        }
    }
}

fn standing<'a>(view: &View<'a>, service: &'a Object) -> State<'a> {
    let Body::Service(body) = &service.body else { return State::Unread };
    if body.spec.selector.is_empty() {
        return State::Unread;
    }
    let namespace = service.meta.namespace.as_deref();
    let selector = LabelSelector::exact(&body.spec.selector);
    let pods = view.matching(&Kind::Pod, namespace, &selector);
    let alive = |pod: &&&Object| pod.meta.deleted.is_none() && pod.pod().is_some_and(|pod| !pod.is_finished());
    if let Some(pod) = pods.items.iter().find(|pod| pod.pod().is_some_and(Pod::is_ready)) {
        return State::Serves { service, pod: Some(pod) };
    }
    if let Some(pod) = pods.items.iter().find(alive) {
        return State::NotReady { workload: Some(view.workload_of(pod)) };
    }
    let kinds = [Kind::Deployment, Kind::StatefulSet, Kind::DaemonSet].map(|kind| view.all(&kind, namespace));
    let complete = pods.complete && kinds.iter().all(|many| many.complete);
    let own =
        kinds.iter().flat_map(|many| &many.items).copied().find(|workload| {
            workload.workload().is_some_and(|body| selector.matches(&body.spec.template.metadata.labels))
        });
    match own {
        Some(workload) if workload.workload().is_some_and(|body| body.spec.replicas == Some(0)) => {
            State::AtZero(workload)
        }
        Some(workload) => State::NotReady { workload: Some(workload) },
        None if complete => State::Nobody,
        None => State::NotReady { workload: None },
    }
}
