//! Programs that end for what they say they lack, which another detector tells.

use super::sort::{self, Sort};
use super::{Crash, config};
use crate::detectors::application::Speaker;
use crate::detectors::killed_by::Killer;
use crate::detectors::logs::{self, testimony::Testimony};
use crate::detectors::revision::Suspect;
use crate::{Fact, Finding, View};
use reckon_model::document::Verdict;
use reckon_model::k8s::{Container, ContainerStatus, ContainerType, Pod};
use reckon_model::{LogLine, Object};

/// What came of looking at a container for what it says it lacks.
pub(in crate::detectors) enum Testified {
    /// It does not end.
    NotEnding,
    /// It ends, and says nothing of that sort, or something else explains it.
    Nothing,
    /// It ends for it.
    Finding(Box<Finding>),
}

/// What a container that ends says it lacks.
pub(in crate::detectors) fn testified<'a>(
    view: &View<'a>,
    subject: &'a Object,
    pod: &'a Pod,
    kind: ContainerType,
    container: &'a Container,
    status: &'a ContainerStatus,
) -> Testified {
    let Some(crash) = Crash::of(view, subject, pod, kind, container, status) else { return Testified::NotEnding };
    match crash.weighed().and_then(|weighed| weighed.lacks) {
        Some(finding) => Testified::Finding(Box::new(finding)),
        None => Testified::Nothing,
    }
}

impl<'a> Crash<'_, 'a> {
    /// What it says it lacks, where that tells more than its end: a change that explains the end comes first, unless the
    /// far end is ill beyond doubt and the change has nothing to do with the address.
    pub(super) fn lacks(
        &self,
        sort: &Sort,
        suspect: Option<&Suspect>,
        config: &config::Changed<'a>,
        line: Option<&LogLine>,
    ) -> Option<Finding> {
        let open =
            sort.slug == "init-failing" || sort.is_plain() && matches!(sort.class, Some("error" | "failed-once"));
        if !open || self.killer != Killer::Unknown || self.not_started.is_some() {
            return None;
        }
        let previous = self.status.state.terminated.is_none();
        let told = logs::told(self.view, self.subject, &self.container.name, previous)?;
        // Of credentials the change of their Secret is told with them.
        if config.culprit.is_some() && !matches!(told.says, Testimony::Rejected(..)) {
            return None;
        }
        let named = |suspect: &Suspect| {
            let says = |text: &str| suspect.blame.change.fields.iter().any(|field| sort::concerns(text, field));
            says(&told.line.text) || line.is_some_and(|line| says(&line.text))
        };
        let named = suspect.is_some_and(named);
        let Crash { view, subject, pod, workload, kind, container, .. } = self;
        let speaker = Speaker {
            view,
            subject,
            pod,
            workload,
            kind: *kind,
            container,
            told: Some(told),
            what: sort.short(self),
            ended: self.end.and_then(|end| end.finished_at),
        };
        let mut finding = speaker.finding()?;
        if named || (suspect.is_some() && finding.verdict != Verdict::Confirmed) {
            return None;
        }
        finding.severity = finding.severity.max(self.severity(sort));
        let line = speaker.told.as_ref().map(|told| told.line);
        let own: Vec<Fact> = finding.evidence.drain(..).collect();
        finding.evidence = self.facts(line);
        finding.evidence.extend(own);
        Some(finding)
    }
}
