//! Every detector, one line each.

use crate::catalogue::Detector;
use crate::detectors;

pub(crate) static DETECTORS: &[&Detector] = &[
    &detectors::oom_killed::DETECTOR,
    &detectors::memory_risk::DETECTOR,
    &detectors::crash::DETECTOR,
    &detectors::probe::DETECTOR,
    &detectors::readiness_gate::DETECTOR,
    &detectors::ephemeral_evicted::DETECTOR,
    &detectors::image::DETECTOR,
    &detectors::config_missing::DETECTOR,
    &detectors::runtime_feature::DETECTOR,
    &detectors::volume::DETECTOR,
    &detectors::volume_full::DETECTOR,
    &detectors::claim::DETECTOR,
    &detectors::unschedulable::DETECTOR,
    &detectors::rejected::DETECTOR,
    &detectors::job_failed::DETECTOR,
    &detectors::endpoints::DETECTOR,
    &detectors::traffic_policy::DETECTOR,
    &detectors::manual_endpoints::DETECTOR,
    &detectors::load_balancer::DETECTOR,
    &detectors::dns::DETECTOR,
    &detectors::node::DETECTOR,
    &detectors::rollout::DETECTOR,
];
