//! Facts from outside the object store.

use crate::Timestamp;

/// One line of a container's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// When the runtime took it, where the source says so.
    pub at: Option<Timestamp>,
    /// The text, without its line end. Hostile: redacted at intake, cleaned of control bytes before display.
    pub text: String,
}

/// One measurement of one container's use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// When it was taken.
    pub at: Timestamp,
    /// The pod's namespace.
    pub namespace: String,
    /// The pod.
    pub pod: String,
    /// The container.
    pub container: String,
    /// Working set in bytes.
    pub memory_bytes: Option<u64>,
    /// Processor use in thousandths of a core.
    pub cpu_millicores: Option<u64>,
    /// Who measured: `metrics.k8s.io`, `kubelet`.
    pub source: &'static str,
}
