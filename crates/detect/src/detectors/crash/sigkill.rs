//! What else ends a container than itself: a SIGKILL that nobody tells of, a page that is not there.

use super::Crash;
use super::sort::Sort;
use crate::Fact;
use crate::detectors::killed_by;
use jiff::SignedDuration;
use reckon_model::document::{Death, DeathScope, Effect, Role, Source};
use reckon_model::kernel::CgroupUse;
use reckon_model::{Body, Kind, Quantity, Timestamp};

/// All processes of its pod waited for memory for so much of the last ten seconds, in hundredths of a percent: programs
/// that kill for that begin near it (systemd-oomd at 60 % over 30 seconds, Talos lower).
const PRESSED: u32 = 1_000;

/// A reading further from the end than this, twice the pause between two, is of something else.
const BEFORE: SignedDuration = SignedDuration::from_secs(30);

/// The first Talos with such a program switched on.
const TALOS: (u32, u32) = (1, 12);

impl Crash<'_, '_> {
    /// The limit of huge pages of the container: the resource, and how much of it.
    pub(super) fn huge_pages(&self) -> Option<(&str, &Quantity)> {
        let limits = &self.container.resources.limits;
        limits
            .iter()
            .find(|(resource, _)| resource.starts_with("hugepages-"))
            .map(|(name, limit)| (name.as_str(), limit))
    }

    /// That the kernel did not kill it for memory.
    pub(super) fn spared(&self) -> Option<Fact> {
        killed_by::spared(self.view, self.subject, self.end?)
    }

    /// That a program of the node watches memory, or would have had reason to: where the kernel is known not to have killed.
    pub(super) fn watched(&self) -> Option<Fact> {
        self.spared()?;
        let name = &self.pod.spec.node_name;
        let node = self.view.object(&Kind::Node, None, name).found();
        if let Some(node) = node
            && let Body::Node(body) = &node.body
            && talos(&body.status.node_info.os_image).is_some_and(|version| version >= TALOS)
        {
            let text = format!("{} kills for memory pressure by itself", body.status.node_info.os_image);
            return Some(Fact::new(Role::Cause, Source::Status, None, node, text));
        }
        let facts = self.view.kernel(name, true)?;
        let own = |uid: &Option<String>| uid.as_ref() == Some(&self.subject.meta.uid);
        let finished = self.end?.finished_at?;
        let near = |at: Timestamp| finished.duration_since(at).abs() <= BEFORE;
        let pressed = |group: &&CgroupUse| {
            own(&group.pod_uid) && group.at.is_some_and(near) && group.pressure.is_some_and(|(_, all)| all >= PRESSED)
        };
        let group = facts.cgroups.iter().find(pressed)?;
        let all = group.pressure.map_or(0, |(_, all)| all / 100);
        let text = format!("all processes of the pod waited for memory {all} % of ten seconds before");
        Some(Fact::new(Role::Cause, Source::Kernel, group.at, self.subject, text))
    }
}

impl Sort {
    /// What is known of it as a death by memory, where it is one.
    pub(super) fn death(&self, crash: &Crash<'_, '_>) -> Option<Death> {
        let (scope, limit) = match self.class? {
            "hugetlb" => (Some(DeathScope::Container), crash.huge_pages().and_then(|(_, limit)| limit.value())),
            "userspace-killer" => (Some(DeathScope::Node), None),
            "runtime-heap" => (None, None),
            _ => return None,
        };
        Some(Death {
            scope,
            effect: Some(Effect::ContainerDied),
            limit_bytes: limit.and_then(|limit| u64::try_from(limit).ok()),
            ..Death::default()
        })
    }
}

/// The version of `Talos (v1.12.0)`.
fn talos(image: &str) -> Option<(u32, u32)> {
    let version = image.strip_prefix("Talos (v")?;
    let mut parts = version.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_talos_is_read() {
        assert_eq!(talos("Talos (v1.12.0)"), Some((1, 12)));
        assert_eq!(talos("Talos (v1.9.3)"), Some((1, 9)));
        assert_eq!(talos("Debian GNU/Linux 12 (bookworm)"), None);
    }
}
