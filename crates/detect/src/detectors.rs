//! One file and one line of the registry for each group of failures; pages of single failures are in `pages/`.

pub(crate) mod claim;
pub(crate) mod config_missing;
pub(crate) mod configuration;
pub(crate) mod crash;
pub(crate) mod endpoints;
pub(crate) mod ephemeral_evicted;
pub(crate) mod host_ports;
pub(crate) mod image;
pub(crate) mod job_failed;
pub(crate) mod killed_by;
pub(crate) mod last_write;
pub(crate) mod logs;
pub(crate) mod memory_risk;
pub(crate) mod node;
pub(crate) mod node_labels;
pub(crate) mod oom_killed;
pub(crate) mod preemption;
pub(crate) mod probe;
pub(crate) mod readiness_gate;
pub(crate) mod rejected;
pub(crate) mod revision;
pub(crate) mod rollout;
pub(crate) mod template;
pub(crate) mod unschedulable;
pub(crate) mod volume;
pub(crate) mod volume_full;
