//! Every detector, one line each.

use crate::catalogue::Detector;
use crate::detectors;

pub(crate) static DETECTORS: &[&Detector] = &[
    &detectors::oom_killed::DETECTOR,
    &detectors::memory_risk::DETECTOR,
    &detectors::crash::DETECTOR,
    &detectors::probe::DETECTOR,
    &detectors::image::DETECTOR,
    &detectors::config_missing::DETECTOR,
    &detectors::volume::DETECTOR,
    &detectors::claim::DETECTOR,
    &detectors::unschedulable::DETECTOR,
    &detectors::rejected::DETECTOR,
    &detectors::job_failed::DETECTOR,
    &detectors::endpoints::DETECTOR,
    &detectors::node::DETECTOR,
    &detectors::admission::DETECTOR,
    &detectors::rollout::DETECTOR,
    &detectors::deletion::DETECTOR,
    &detectors::crd::DETECTOR,
    &detectors::manifest::DETECTOR,
];
