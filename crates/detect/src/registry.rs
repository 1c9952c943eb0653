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
    &detectors::rollout::DETECTOR,
    &detectors::rollout::deadlock::DETECTOR,
    &detectors::stateful::DETECTOR,
    &detectors::held_back::DETECTOR,
    &detectors::daemonset_gap::DETECTOR,
    &detectors::cronjob::DETECTOR,
    &detectors::scaled_to_zero::DETECTOR,
    &detectors::sidecar::DETECTOR,
    &detectors::selector_overlap::DETECTOR,
    &detectors::controllers_fight::DETECTOR,
    &detectors::controller_silent::DETECTOR,
    &detectors::resize::DETECTOR,
    &detectors::grace_period::DETECTOR,
];
