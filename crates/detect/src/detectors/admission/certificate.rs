//! Certificates of webhooks that are not accepted.

use super::super::edit::Edit;
use super::configured::Configured;
use super::webhook::Failed;
use crate::spot::{Path, Spot};
use crate::{describe, ownership};
use reckon_model::document::{Cause, CauseKind};
use reckon_model::{Body, Kind, Object};

impl<'a> Failed<'_, '_, 'a> {
    /// The certificate that the program shows, or the authority that the configuration trusts: the one that was changed last.
    pub(super) fn certificate(&self) -> Cause {
        if let Some((edit, what)) = self.rewritten() {
            let mut cause = edit.cause(format!("{what} was {}. {}", edit.words(), self.sentence));
            // A bundle is a long text that tells nobody anything.
            (cause.from, cause.to) = (None, None);
            return cause;
        }
        match (self.serving(), self.bundle()) {
            (Some(secret), _) if self.is_outdated() => {
                let sentence = format!("{} The certificate is in Secret {}.", self.sentence, describe::object(secret));
                let mut cause = Cause::plain(CauseKind::Resource, Some(&secret.reference()), sentence);
                cause.managed_by = ownership::managed_by(secret);
                cause.at_field("data[tls.crt]", "/data/tls.crt", None)
            }
            (_, Some((it, path))) if !self.is_outdated() => {
                let sentence = format!("{} What {} trusts does not fit the certificate.", self.sentence, it.name());
                it.wrong(&path, None, sentence)
            }
            _ => match &self.backend {
                Some(backend) => self.program(backend),
                None => self.outside(),
            },
        }
    }

    /// Whether the certificate itself is wrong, whoever trusts it.
    pub(super) fn is_outdated(&self) -> bool {
        ["expired", "not yet valid", "is valid for", "cannot validate certificate"]
            .iter()
            .any(|words| self.call.what.contains(words))
    }

    fn bundle(&self) -> Option<(&Configured<'a>, Path)> {
        self.configured.as_ref().map(|it| (it, it.path.key("clientConfig").key("caBundle")))
    }

    /// The last write of the certificate, or of what is trusted, before it was not accepted any more.
    pub(super) fn rewritten(&self) -> Option<(Edit, String)> {
        let data = Path { field: "data".to_owned(), pointer: "/data".to_owned() };
        // An old certificate grows older whatever the configuration trusts.
        let of_bundle = self
            .bundle()
            .filter(|_| !self.is_outdated())
            .and_then(|(it, path)| Some((self.edit(it.object, &path)?, format!("{} of {}", path.field, it.name()))));
        let of_secret = self
            .serving()
            .and_then(|secret| Some((self.edit(secret, &data)?, format!("Secret {}", describe::object(secret)))));
        let newest = [of_secret, of_bundle].into_iter().flatten();
        newest.reduce(|best, next| if next.0.at() > best.0.at() { next } else { best })
    }

    /// A write after the workload was made and before the refusal.
    fn edit(&self, object: &'a Object, path: &Path) -> Option<Edit> {
        self.case.edit(object, path)
    }

    /// The one Secret with a certificate that the pods behind the Service mount.
    pub(super) fn serving(&self) -> Option<&'a Object> {
        let workload = self.backend.as_ref()?.workload(self.case.view)?;
        let spot = Spot::of(workload)?;
        let mounted = spot.spec.volumes.iter().filter_map(|volume| Some(volume.secret.as_ref()?.name.as_str()));
        let mut certificates = mounted.filter_map(|name| {
            let secret = self.case.view.object(&Kind::Secret, workload.meta.namespace.as_deref(), name).found()?;
            let Body::Config(config) = &secret.body else { return None };
            config.keys.iter().flatten().any(|key| key == "tls.crt").then_some(secret)
        });
        let first = certificates.next()?;
        certificates.next().is_none().then_some(first)
    }
}
