//! JVMs that do not see their limit: they size their heap by the memory of the machine.

use super::killed::Killed;
use crate::heap;
use reckon_model::document::{Alternative, Verdict};
use reckon_model::{Body, quantity};

/// From this version on Linux may list no `cpuset` in `/proc/cgroups`, and a JVM that looks for it there takes the machine for
/// its container (JDK-8349988, repaired in 25 and 21.0.10).
const SINCE: (u32, u32) = (6, 12);

/// What a JVM takes of the memory that it sees, without a flag: a quarter.
const SHARE: u64 = 4;

impl Killed<'_, '_> {
    /// That the JVM may be blind to the limit, where the node's kernel makes old ones so and no flag sizes the heap.
    pub(super) fn blind(&self) -> Option<Alternative> {
        let victim = self.record.as_ref()?.victim()?;
        if victim.comm != "java" || heap::setting(self.container).is_some() {
            return None;
        }
        let node = self.view.look_up(&self.node_reference()?).found()?;
        let Body::Node(body) = &node.body else { return None };
        let kernel = &body.status.node_info.kernel_version;
        let limit = self.limit().and_then(super::remedy::bytes)?;
        let heap = body.status.capacity.get("memory").and_then(super::remedy::bytes)? / SHARE;
        if version(kernel)? < SINCE || heap <= limit {
            return None;
        }
        let sentence = format!(
            "With the kernel of its node, {kernel}, a JVM older than 25 or 21.0.10 may not see its limit and take {} of heap, a quarter of the machine: `java -XshowSettings:system -version` in the container tells. Use a newer one, or -XX:MaxRAM={}.",
            quantity::bytes(heap),
            limit
        );
        Some(Alternative { reference: Some((&self.workload.reference()).into()), verdict: Verdict::Possible, sentence })
    }
}

/// The first two numbers of `6.12.9-amd64`.
fn version(kernel: &str) -> Option<(u32, u32)> {
    let mut parts = kernel.split(['.', '-']);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}
