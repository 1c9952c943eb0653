//! Programs that say in their log what they lack: somebody who answers, a setting, a right, a free port.
//!
//! Text alone makes a thing likely. What settles it is the state of what the text names: the Service, the file system, the
//! other container. A program that ends is looked at first by `crash`; what changed of its own template comes before what it
//! says, unless the far end is ill beyond doubt.

mod absent_file;
mod access;
mod credentials;
mod dependency;
mod far_end;
mod files;
mod init;
mod limits;
mod liveness;
mod place;
mod policy;
mod port;
mod service;
mod setting;
mod tls;

pub(super) use liveness::killed;

use super::crash;
use super::logs::testimony::Testimony;
use super::logs::{self, Told};
use crate::catalogue::{Failure, Stage, Verified};
use crate::{Detector, Fact, Finding, Place, View, describe, spot};
use jiff::SignedDuration;
use reckon_model::document::{Cause, Role, Source};
use reckon_model::k8s::{Container, ContainerStatus, ContainerType, Pod};
use reckon_model::{Kind, Object, Timestamp, text};

/// One family with crashes and probes: whether a program ends or waits for what it lacks is its own choice, and it may
/// choose otherwise tomorrow.
const fn failure(slug: &'static str, title: &'static str, page: &'static str) -> Failure {
    Failure { slug, title, stage: Stage::Start, family: "crash", echo: false, verified: Verified::Constructed, page }
}

/// One that was shown on a real cluster.
const fn live(slug: &'static str, title: &'static str, page: &'static str) -> Failure {
    Failure { verified: Verified::Live, ..failure(slug, title, page) }
}

pub(crate) static DETECTOR: Detector = Detector {
    name: "application",
    failures: &[
        failure(
            "dependency-refused",
            "A program is refused by what it calls",
            include_str!("../pages/dependency-refused.md"),
        ),
        failure(
            "dependency-timeout",
            "A program gets no answer from what it calls",
            include_str!("../pages/dependency-timeout.md"),
        ),
        failure(
            "dependency-name",
            "A program cannot resolve the name of what it calls",
            include_str!("../pages/dependency-name.md"),
        ),
        failure(
            "service-missing",
            "A program calls a Service that does not exist",
            include_str!("../pages/service-missing.md"),
        ),
        failure(
            "service-port-mismatch",
            "A program calls a port that the Service does not have",
            include_str!("../pages/service-port-mismatch.md"),
        ),
        failure(
            "setting-missing",
            "A program asks for a setting that it does not have",
            include_str!("../pages/setting-missing.md"),
        ),
        live(
            "credentials-rejected",
            "A program's credentials are not taken",
            include_str!("../pages/credentials-rejected.md"),
        ),
        live("port-in-use", "A port that a program wants is in use", include_str!("../pages/port-in-use.md")),
        failure("port-denied", "A program may not listen on its port", include_str!("../pages/port-denied.md")),
        failure("file-missing", "A file that a program wants is not there", include_str!("../pages/file-missing.md")),
        failure("tls-untrusted", "A program does not believe a certificate", include_str!("../pages/tls-untrusted.md")),
        failure("tls-not-spoken", "A program speaks TLS with who does not", include_str!("../pages/tls-not-spoken.md")),
        failure(
            "certificate-unusable",
            "A program cannot use its own certificate",
            include_str!("../pages/certificate-unusable.md"),
        ),
        failure("file-permission", "A program may not touch a file", include_str!("../pages/file-permission.md")),
        live(
            "read-only-root",
            "A program writes where nothing can be written",
            include_str!("../pages/read-only-root.md"),
        ),
        live("rbac-denied", "The API server does not let a program", include_str!("../pages/rbac-denied.md")),
        failure(
            "token-missing",
            "A program has no token for the API server",
            include_str!("../pages/token-missing.md"),
        ),
        failure(
            "token-rejected",
            "The API server does not know a program's token",
            include_str!("../pages/token-rejected.md"),
        ),
        failure("backend-limit", "A server takes no more connections", include_str!("../pages/backend-limit.md")),
        failure("fd-limit", "A program has too many files open", include_str!("../pages/fd-limit.md")),
        failure("thread-limit", "A program can start no more threads", include_str!("../pages/thread-limit.md")),
        failure(
            "liveness-on-dependency",
            "A liveness probe kills a program for what another lacks",
            include_str!("../pages/liveness-on-dependency.md"),
        ),
        failure(
            "init-waiting",
            "An init container waits for what does not come",
            include_str!("../pages/init-waiting.md"),
        ),
    ],
    subjects: &[Kind::Pod],
    others: &[],
    detect,
};

/// A program that has just started may still wait for others that have just started.
const GRACE: SignedDuration = SignedDuration::from_secs(60);

fn detect<'a>(view: &View<'a>, subject: &'a Object) -> Vec<Finding> {
    let Some(pod) = subject.pod() else { return Vec::new() };
    if subject.meta.deleted.is_some() || pod.status.phase == "Succeeded" {
        return Vec::new();
    }
    pod.containers()
        .filter_map(|(kind, container, status)| look(view, subject, pod, kind, container, status?))
        .collect()
}

fn look<'a>(
    view: &View<'a>,
    subject: &'a Object,
    pod: &'a Pod,
    kind: ContainerType,
    container: &'a Container,
    status: &'a ContainerStatus,
) -> Option<Finding> {
    match (kind, &status.state.running) {
        (ContainerType::Ephemeral, _) => return None,
        // A healthy one is looked at no further.
        (_, Some(_)) if status.ready && status.restart_count == 0 => return None,
        (ContainerType::Init, Some(_)) => return init::waits(view, subject, pod, container, status),
        // It has done its work.
        (ContainerType::Init, None) if status.last_end().is_some_and(|end| end.exit_code == 0) => return None,
        _ => {}
    }
    match crash::testified(view, subject, pod, kind, container, status) {
        crash::Testified::NotEnding => liveness::killed(view, subject, pod, kind, container, status)
            .or_else(|| runs(view, subject, pod, kind, container, status)),
        crash::Testified::Nothing => None,
        crash::Testified::Finding(finding) => Some(*finding),
    }
}

/// A program that runs, is not ready, and keeps saying why.
fn runs<'a>(
    view: &View<'a>,
    subject: &'a Object,
    pod: &'a Pod,
    kind: ContainerType,
    container: &'a Container,
    status: &'a ContainerStatus,
) -> Option<Finding> {
    let started = status.state.running.as_ref()?.started_at?;
    if status.ready || subject.meta.deleted.is_some() || pod.is_finished() {
        return None;
    }
    let unready = pod.condition("Ready").filter(|ready| !ready.is_true()).and_then(|ready| ready.since);
    let since = unready.unwrap_or(started).max(started);
    let due = since.checked_add(GRACE).ok()?;
    if !view.reached(due) {
        view.recheck_at(due);
        return None;
    }
    let told = logs::keeps_saying(view, subject, &container.name, false)?;
    let workload = view.workload_of(subject);
    let name = container.name.clone();
    let what = format!("{name} runs and is not ready");
    let speaker = Speaker { view, subject, pod, workload, kind, container, told: Some(told), what, ended: None };
    let mut finding = speaker.finding()?;
    finding.opened = Some(since);
    finding.severity = finding.severity.max(spot::severity(workload));
    let what = format!("{name} runs and is not ready");
    finding.evidence.push(Fact::new(Role::Symptom, Source::Status, Some(since), subject, what));
    finding.evidence.extend(speaker.said());
    Some(finding)
}

/// A program that says what it lacks.
pub(super) struct Speaker<'v, 'a> {
    pub(super) view: &'v View<'a>,
    pub(super) subject: &'a Object,
    pub(super) pod: &'a Pod,
    pub(super) workload: &'a Object,
    pub(super) kind: ContainerType,
    pub(super) container: &'a Container,
    /// What it says and where; `None` of one that only waits.
    pub(super) told: Option<Told<'a>>,
    /// What it does for it, as the middle of a title: `app keeps ending with exit code 1`.
    pub(super) what: String,
    /// When it ended last, where it ends.
    pub(super) ended: Option<Timestamp>,
}

impl<'a> Speaker<'_, 'a> {
    /// What is wrong, if what it says is of a sort that is known here.
    pub(super) fn finding(&self) -> Option<Finding> {
        match &self.told.as_ref()?.says {
            Testimony::Refused(far) => dependency::unreachable(self, dependency::How::Refused, far.as_ref()),
            Testimony::TimedOut(far) => dependency::unreachable(self, dependency::How::TimedOut, far.as_ref()),
            Testimony::UnknownHost(far) => dependency::unknown_name(self, far.as_ref()?),
            Testimony::NoDns(far) => dependency::no_dns(self, far.as_ref()),
            Testimony::Unset(name) => setting::unset(self, name),
            Testimony::Schema(what) => Some(setting::schema(self, what)),
            Testimony::Rejected(by, far) => Some(credentials::rejected(self, by, far.as_ref())),
            Testimony::PortInUse(port) => Some(port::in_use(self, *port)),
            Testimony::Denied(path) => files::denied(self, path),
            Testimony::ReadOnly(path) => files::read_only(self, path),
            Testimony::Forbidden(forbidden) => access::forbidden(self, forbidden),
            Testimony::CloudDenied => access::cloud(self),
            Testimony::NoToken => Some(access::no_token(self)),
            Testimony::Unauthorized => Some(access::unauthorized(self)),
            Testimony::Full(whose) => Some(limits::connections(self, whose)),
            Testimony::Files => Some(limits::files(self, false)),
            Testimony::Watches => Some(limits::files(self, true)),
            Testimony::Threads => Some(limits::threads(self)),
            Testimony::PortDenied(port) => port::denied(self, *port),
            Testimony::NoFile(path) => absent_file::not_there(self, path),
            Testimony::Untrusted(fault, far) => Some(tls::untrusted(self, *fault, far.as_ref())),
            Testimony::NoTls(far) => Some(tls::plain(self, far.as_ref())),
            Testimony::OwnCertificate => Some(tls::own(self)),
            // Others tell of these.
            Testimony::ExecFormat | Testimony::NoKind(_) => None,
        }
    }

    /// A finding of this sort about the container.
    fn claim(&self, slug: &'static str, class: Option<&'static str>, why: &str, cause: Cause) -> Finding {
        let title = format!("{}: {}, {why}", describe::object(self.workload), self.what);
        let place = Place::container(self.workload, &self.container.name, self.kind);
        let mut finding = Finding::new(slug, place, title, cause);
        finding.class = class;
        finding.shows_on = [self.subject.reference()].into();
        finding
    }

    /// The line that says so, as a fact.
    fn said(&self) -> Option<Fact> {
        let line = self.told.as_ref()?.line;
        let words = text::shorten(line.text.trim(), 300).into_owned();
        Some(Fact::new(Role::Symptom, Source::Log, line.at, self.subject, words))
    }

    /// `app of deployment shop/api`.
    fn who(&self) -> String {
        format!("{} of {} {}", self.container.name, self.workload.kind.singular(), describe::object(self.workload))
    }
}
