//! Whose limit it was, from counters alone.

use reckon_model::kernel::{CgroupLevel, MemoryEvents};

/// How far the counts of a container and of the cgroups around it rose together. Of each only what was met in that cgroup
/// itself (`memory.events.local`).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Around {
    /// The container itself.
    pub(super) container: MemoryEvents,
    /// Whether something below the container met a limit of its own.
    pub(super) nested: bool,
    /// Its pod.
    pub(super) pod: MemoryEvents,
    /// All pods of the node, and those of its class of service.
    pub(super) kubepods: MemoryEvents,
}

/// Whose limit was met where processes were killed, and whether it was nobody's: then the machine, or a part of it, ran out.
/// `None` where the counts do not tell, as those of version 1.
pub(super) fn of(around: Option<Around>) -> (Option<CgroupLevel>, bool) {
    let Some(around) = around else { return (None, false) };
    match around {
        Around { nested: true, .. } => (Some(CgroupLevel::Nested), false),
        Around { container: MemoryEvents { oom: 1.., .. }, .. } => (Some(CgroupLevel::Container), false),
        Around { pod: MemoryEvents { oom: 1.., .. }, .. } => (Some(CgroupLevel::Pod), false),
        Around { kubepods: MemoryEvents { oom: 1.., .. }, .. } => (Some(CgroupLevel::Kubepods), false),
        _ => (None, true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MET: MemoryEvents = MemoryEvents { high: 0, max: 1, oom: 1, oom_kill: 0, oom_group_kill: 0 };

    #[test]
    fn the_innermost_cgroup_that_met_its_limit_is_whose_limit_it_was() {
        let at = |around| of(Some(around));
        let nested = Around { nested: true, container: MET, ..Around::default() };
        assert_eq!(at(nested), (Some(CgroupLevel::Nested), false));
        assert_eq!(at(Around { container: MET, pod: MET, ..Around::default() }), (Some(CgroupLevel::Container), false));
        assert_eq!(at(Around { pod: MET, ..Around::default() }), (Some(CgroupLevel::Pod), false));
        assert_eq!(at(Around { kubepods: MET, ..Around::default() }), (Some(CgroupLevel::Kubepods), false));
        assert_eq!(at(Around::default()), (None, true));
        assert_eq!(of(None), (None, false));
    }
}
