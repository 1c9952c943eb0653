//! Who took the memory of a node, where that was not who died.

use super::course::readings;
use super::killed::Killed;
use crate::{Fact, describe};
use reckon_model::document::{Role, Source};
use reckon_model::quantity;

/// The container that held most.
pub(super) struct Neighbour {
    /// `namespace/pod[container]`.
    pub(super) name: String,
    pub(super) fact: Fact,
}

impl Killed<'_, '_> {
    /// The container of the same node that held most at the kill; `None` where it is this one, or where use was not read.
    /// One that is within its request is named, too: then the requests are more than the node has beside all else.
    pub(super) fn neighbour(&self) -> Option<Neighbour> {
        let facts = self.view.kernel(&self.pod.spec.node_name, false)?;
        let last = self.record.as_ref()?.last()?;
        let at = last.at?;
        let mut found: Option<(u64, Neighbour)> = None;
        for pod in self.view.pods_on(&self.pod.spec.node_name)? {
            let body = pod.pod()?;
            for (_, container, status) in body.containers() {
                let Some(status) = status else { continue };
                let used = status
                    .instances()
                    .flat_map(|id| readings(Some(facts), id))
                    .filter(|reading| reading.at <= at)
                    .max_by_key(|reading| reading.at);
                let Some(used) = used.map(|reading| reading.peak) else { continue };
                let own = pod.meta.uid == self.subject.meta.uid && container.name == self.container.name;
                // What the kernel wrote of the one that died is newer than any reading.
                let resident = last.victims.iter().map(crate::kernel::resident).sum::<u64>() * 1024;
                let most = if own { used.max(resident) } else { used };
                if found.as_ref().is_none_or(|(before, _)| most > *before) {
                    let name = format!("{}[{}]", describe::object(pod), container.name);
                    let requests = match container.resources.requests.get("memory") {
                        Some(request) => format!("requests {request}"),
                        None => "requests none".to_owned(),
                    };
                    let text = format!("{name} held most, {}, and {requests}", quantity::bytes(used));
                    let fact = Fact::new(Role::Cause, Source::Kernel, Some(at), pod, text);
                    found = Some((most, Neighbour { name: if own { String::new() } else { name }, fact }));
                }
            }
        }
        found.map(|(_, neighbour)| neighbour).filter(|neighbour| !neighbour.name.is_empty())
    }
}
