//! Webhooks that the API server has to call and cannot.

use super::super::backend::{Backend, State};
use super::super::refusal::{Call, Trouble};
use super::case::{self, Case};
use super::configured::{self, Configured};
use crate::{Fact, Finding, Lookup, describe, ownership};
use reckon_model::document::{Alternative, Cause, CauseKind, Ref, Remedy, RemedyKind, Risk, Role, Source, Verdict};
use reckon_model::selector::LabelSelector;
use reckon_model::{Body, Kind, Object, text};
use serde_json::{Value, json};

/// What is known of a call that came to nothing.
pub(super) struct Failed<'c, 'v, 'a> {
    pub(super) case: &'c Case<'v, 'a>,
    pub(super) call: Call<'c>,
    pub(super) backend: Option<Backend<'a>>,
    pub(super) configured: Option<Configured<'a>>,
    pub(super) sentence: String,
}

/// The finding; `None` where the webhook has been taken away, or what answers it serves again.
pub(super) fn found(case: &Case<'_, '_>, name: &str, call: Call<'_>) -> Option<Finding> {
    let configured = configured::configured(case.view, name);
    if configured.as_ref().is_some_and(Configured::is_ignored) {
        return None;
    }
    let backend = call.service.map(|(namespace, service)| Backend::of(case.view, namespace, service));
    let trouble = call.trouble();
    let back = backend.as_ref().is_some_and(Backend::serves);
    if back && matches!(trouble, Trouble::NoService | Trouble::NoEndpoints) {
        return None;
    }
    let why = format!("webhook {name} could not be called: {}", text::shorten(call.what, 160));
    let failed = Failed { case, call, backend, configured, sentence: case.sentence(&why) };
    let (class, cause) = failed.cause(trouble);
    let mut finding = case.finding("webhook-unavailable", Some(class), &why, cause);
    let seen = matches!(class, "no-service" | "no-endpoints" | "own-pods" | "wrong-port");
    if !seen {
        finding.verdict = Verdict::Likely;
    }
    if class == "certificate" && finding.cause.kind == CauseKind::Change {
        finding.verdict = Verdict::Confirmed;
    }
    if class == "certificate" {
        finding.evidence.extend(failed.rewritten().map(|(edit, _)| edit.fact()));
    }
    finding.evidence.extend(failed.backend.as_ref().and_then(Backend::fact));
    finding.evidence.extend(failed.policy(name));
    if class == "unreachable" && back {
        let sentence = "Something between the API server and its pods may drop the call: a NetworkPolicy, or a firewall that does not let the control plane reach this port of the nodes.";
        let service = failed.backend.as_ref().map(|backend| Ref::from(&backend.service));
        finding.alternatives.push(Alternative {
            reference: service,
            verdict: Verdict::Possible,
            sentence: sentence.to_owned(),
        });
    }
    finding.remedies = failed.remedies(name, class);
    Some(finding)
}

impl<'a> Failed<'_, '_, 'a> {
    fn cause(&self, trouble: Trouble) -> (&'static str, Cause) {
        let (view, since) = (self.case.view, self.case.since);
        let (Some(backend), Some((namespace, service))) = (&self.backend, self.call.service) else {
            return ("unreachable", self.outside());
        };
        if let Some(cause) = self.own_pods(namespace, service) {
            return ("own-pods", cause);
        }
        if let (Trouble::Unreachable | Trouble::NoEndpoints | Trouble::Answer, Some(cause)) =
            (trouble, self.wrong_port())
        {
            return ("wrong-port", cause);
        }
        match (trouble, &backend.state, &self.configured) {
            (Trouble::Certificate, ..) => ("certificate", self.certificate()),
            // Deleted lately, or scaled down: that is what has to be undone.
            (_, State::Absent { deleted: Some(_) }, _) => ("no-service", backend.cause(view, since, &self.sentence)),
            (_, State::AtZero(_), _) => ("no-endpoints", backend.cause(view, since, &self.sentence)),
            // Nothing is left of the program: what is left over is the configuration.
            (_, State::Absent { .. }, Some(configured)) => {
                let path = configured.path.key("clientConfig").key("service");
                let sentence =
                    format!("{} {}, and {} still asks for it.", self.sentence, backend.words(), configured.name());
                let value = configured.entry.pointer("/clientConfig/service/name").cloned();
                ("no-service", configured.wrong(&path.key("name"), value, sentence))
            }
            (_, State::Nobody, Some(configured)) => {
                let sentence =
                    format!("{} {}; {} still asks for it.", self.sentence, backend.words(), configured.name());
                let value = configured.entry.pointer("/clientConfig/service/name").cloned();
                let path = configured.path.key("clientConfig").key("service").key("name");
                ("no-endpoints", configured.wrong(&path, value, sentence))
            }
            (_, State::Absent { .. }, None) => ("no-service", backend.cause(view, since, &self.sentence)),
            (_, State::Nobody | State::NotReady { .. }, _) => {
                ("no-endpoints", backend.cause(view, since, &self.sentence))
            }
            (Trouble::NoService, State::Unread, _) => ("no-service", backend.cause(view, since, &self.sentence)),
            (Trouble::NoEndpoints, State::Unread, _) => ("no-endpoints", backend.cause(view, since, &self.sentence)),
            (Trouble::Answer, ..) => ("bad-answer", self.program(backend)),
            (_, _, _) => ("unreachable", self.program(backend)),
        }
    }

    /// It has ready endpoints, and yet: what serves it is the next to look at.
    pub(super) fn program(&self, backend: &Backend<'a>) -> Cause {
        let words = format!("{} {}.", self.sentence, backend.words());
        match backend.workload(self.case.view) {
            Some(workload) => {
                let mut cause = Cause::plain(CauseKind::Resource, Some(&workload.reference()), words);
                cause.managed_by = ownership::managed_by(workload);
                cause
            }
            None => Cause::plain(CauseKind::Resource, Some(&backend.service), words),
        }
    }

    /// A webhook outside of the cluster.
    pub(super) fn outside(&self) -> Cause {
        let Some(configured) = &self.configured else {
            return Cause::plain(CauseKind::External, Some(&self.case.workload.reference()), &self.sentence);
        };
        let path = configured.path.key("clientConfig").key("url");
        let value = configured.entry.pointer("/clientConfig/url").cloned();
        let mut cause = configured.wrong(&path, value, self.sentence.clone());
        cause.kind = CauseKind::External;
        cause
    }

    /// The webhook's own pods are refused because nobody answers it: it locks itself out.
    fn own_pods(&self, namespace: &str, service: &str) -> Option<Cause> {
        let found = match self.case.view.object(&Kind::Service, Some(namespace), service) {
            Lookup::Found(found) => found,
            _ => return None,
        };
        let Body::Service(body) = &found.body else { return None };
        let template = &self.case.workload.workload()?.spec.template.metadata.labels;
        let own = self.case.namespace() == Some(namespace)
            && !body.spec.selector.is_empty()
            && LabelSelector::exact(&body.spec.selector).matches(template);
        if !own || self.backend.as_ref().is_some_and(Backend::serves) {
            return None;
        }
        let name = self.case.name();
        let sentence = format!(
            "{} {name} is what serves it: without its pods nobody answers, and without an answer no pod of it is made.",
            self.sentence
        );
        Some(match &self.configured {
            Some(configured) => {
                let policy = configured.entry.get("failurePolicy").cloned().or(Some(json!("Fail")));
                configured.wrong(&configured.path.key("failurePolicy"), policy, sentence)
            }
            None => self.case.plain(sentence),
        })
    }

    /// The port that the configuration asks for is none of the Service's.
    fn wrong_port(&self) -> Option<Cause> {
        let configured = self.configured.as_ref()?;
        let port = configured.port()?;
        let State::Serves { service, .. } = self.backend.as_ref()?.state else { return None };
        let Body::Service(body) = &service.body else { return None };
        if body.spec.ports.iter().any(|known| known.port == port) {
            return None;
        }
        let known: Vec<String> = body.spec.ports.iter().map(|port| port.port.to_string()).collect();
        let sentence = format!(
            "{} {} asks for port {port}, and Service {} has {}.",
            self.sentence,
            configured.name(),
            describe::object(service),
            text::enumerate(&known)
        );
        let path = configured.path.key("clientConfig").key("service").key("port");
        Some(configured.wrong(&path, Some(json!(port)), sentence))
    }

    /// What the configuration says of a webhook that does not answer.
    fn policy(&self, name: &str) -> Option<Fact> {
        let configured = self.configured.as_ref()?;
        let policy = configured.entry.get("failurePolicy").and_then(Value::as_str).unwrap_or("Fail");
        let text =
            format!("{} {}: {name} has failurePolicy {policy}", configured.object.kind, configured.object.meta.name);
        Some(Fact::new(Role::Cause, Source::Spec, None, configured.object, text))
    }

    fn remedies(&self, name: &str, class: &str) -> Vec<Remedy> {
        let mut remedies: Vec<Remedy> = self.backend.as_ref().and_then(Backend::remedy).into_iter().collect();
        let Some(configured) = &self.configured else {
            let sentence = format!(
                "Bring up what serves webhook {name}; if it was removed for good, delete its webhook configuration. Meanwhile failurePolicy: Ignore lets pods through unchecked."
            );
            remedies.push(self.case.advice(RemedyKind::Outside, sentence));
            return remedies;
        };
        let on = configured.object.reference();
        let over = |kind, sentence: String| {
            let mut remedy = case::remedy_on(&on, kind, configured.resource, sentence);
            remedy.managed_by = ownership::managed_by(configured.object);
            remedy
        };
        let left_over = matches!(
            self.backend.as_ref().map(|backend| &backend.state),
            Some(State::Absent { deleted: None } | State::Nobody)
        );
        if left_over {
            let mut delete =
                over(RemedyKind::Delete, format!("If {name} was removed for good, delete {}.", configured.name()));
            delete.risk = Risk::Medium;
            remedies.push(delete);
        }
        if class == "certificate" && self.is_outdated() {
            let on =
                self.serving().map(Object::reference).or_else(|| self.backend.as_ref().map(|it| it.service.clone()));
            let sentence =
                "Have the certificate made anew, by cert-manager or whatever issues it, then restart what serves it.";
            remedies.extend(on.map(|on| crate::spot::remedy(RemedyKind::Patch, &on, sentence)));
        } else if class == "certificate" {
            let sentence = "Put the certificate's authority into caBundle, or have whoever injects it do so (cert-manager's cainjector, the program itself).";
            remedies.push(over(RemedyKind::Patch, sentence.to_owned()));
        }
        if class == "wrong-port"
            && let Some(State::Serves { service, .. }) = self.backend.as_ref().map(|backend| &backend.state)
            && let Body::Service(body) = &service.body
            && let [only] = body.spec.ports.as_slice()
        {
            let mut port = over(RemedyKind::Patch, format!("Ask for port {}.", only.port));
            port.patch_type = Some("strategic".to_owned());
            port.patch = Some(json!({"webhooks": [{"name": name, "clientConfig": {"service": {"port": only.port}}}]}));
            remedies.push(port);
        }
        if matches!(class, "unreachable" | "bad-answer")
            && let Some(workload) = self.backend.as_ref().and_then(|backend| backend.workload(self.case.view))
        {
            let sentence = format!(
                "Read the log of {}; if it hangs, restart it (kubectl rollout restart).",
                describe::object(workload)
            );
            let mut restart = crate::spot::remedy(RemedyKind::Restart, &workload.reference(), sentence);
            restart.risk = Risk::Medium;
            remedies.push(restart);
        }
        let mut ignore = over(
            RemedyKind::Patch,
            format!("Until {name} answers, let requests pass without it; they are not checked then."),
        );
        ignore.risk = Risk::Medium;
        ignore.patch_type = Some("strategic".to_owned());
        ignore.patch = Some(json!({"webhooks": [{"name": name, "failurePolicy": "Ignore"}]}));
        remedies.push(ignore);
        remedies
    }
}
