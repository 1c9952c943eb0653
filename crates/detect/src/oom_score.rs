//! Whom the kernel kills when memory runs out: the arithmetic of the kubelet and of the kernel.
//!
//! From `pkg/kubelet/qos/policy.go` of Kubernetes 1.37 and `oom_badness()` of Linux.

/// `oom_score_adj` of a Guaranteed pod's containers, and of pods of the priority class `system-node-critical`.
pub const GUARANTEED: i64 = -997;

/// `oom_score_adj` of a BestEffort pod's containers.
pub const BEST_EFFORT: i64 = 1000;

/// `oom_score_adj` of a Burstable pod's container that requests so many bytes of a node with so many: the more it requests,
/// the lower, and never as low as Guaranteed nor as high as BestEffort.
pub fn burstable(request: u64, capacity: u64) -> i64 {
    let share = u128::from(request) * 1000 / u128::from(capacity.max(1));
    let adj = 1000 - i64::try_from(share).unwrap_or(1000);
    adj.clamp(1000 + GUARANTEED, BEST_EFFORT - 1)
}

/// What the kernel compares, in thousandths of what ran out: resident memory, swap and page tables, plus the adjustment.
/// `total` is the machine's memory and swap, or the limit of the cgroup that was hit. The highest dies.
pub fn score(held: u64, total: u64, adj: i64) -> i64 {
    let share = u128::from(held) * 1000 / u128::from(total.max(1));
    i64::try_from(share).unwrap_or(i64::MAX).saturating_add(adj)
}

/// What `/proc/PID/oom_score` shows of it: a number from 0 on, by a rule of its own.
pub fn shown(score: i64) -> i64 {
    (score.saturating_add(1000)).max(0) * 2 / 3
}

#[cfg(test)]
mod tests {
    use super::*;

    const MI: u64 = 1 << 20;
    const GI: u64 = 1 << 30;

    #[test]
    fn the_page_computes_as_the_code_does() {
        let page = crate::catalogue::page("oom-score").unwrap().body;
        let has = |text: String| assert!(page.contains(&text), "the page does not say {text:?}");
        has(format!("1 GiB of 16 GiB has {}", burstable(GI, 16 * GI)));
        has(format!("64 MiB of 16 GiB has {}", burstable(64 * MI, 16 * GI)));
        has(format!("nothing has {}", burstable(0, 16 * GI)));
        has(format!("all of it has {}", burstable(16 * GI, 16 * GI)));
        let (large, small) = (score(120 * MI, 702 * MI, 900), score(20 * MI, 702 * MI, BEST_EFFORT));
        has(format!("| 120 MiB | 900 | {large} | {} |", shown(large)));
        has(format!("| 20 MiB | 1000 | {small} | {} |", shown(small)));
        assert!(large > small, "the larger one dies although the other is BestEffort");
    }

    #[test]
    fn a_burstable_container_is_never_as_safe_as_a_guaranteed_one_nor_as_exposed_as_one_that_asks_for_nothing() {
        assert_eq!(burstable(u64::MAX, 1), 3);
        assert_eq!(burstable(0, 0), 999);
        assert_eq!(burstable(8 * GI, 16 * GI), 500);
    }

    #[test]
    fn an_ordinary_process_shows_two_thirds_of_a_thousand() {
        assert_eq!(shown(0), 666);
        assert_eq!(shown(-1000), 0);
        assert_eq!(score(u64::MAX, 1, 0), i64::MAX);
    }
}
