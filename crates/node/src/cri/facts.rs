//! From a runtime's words to facts, within bounds.

use super::message::{Container, ContainerState, ContainerStatus};
use reckon_model::Timestamp;
use reckon_model::kernel::{ContainerFacts, RuntimeState};
use reckon_model::text::shorten;

/// The longest id that is taken. containerd's and CRI-O's have 64 characters. A part of an id would be another one.
const ID: usize = 128;

/// The longest name. A container of a pod has 63 characters at most.
const NAME: usize = 128;

/// The longest reason. It is one word.
const REASON: usize = 128;

/// Where the kubelet keeps the pod's uid (`KubernetesPodUIDLabel` in `k8s.io/kubelet/pkg/types/labels.go`).
const POD_UID: &str = "io.kubernetes.pod.uid";

/// What a list says of a container: of thousands at once, so no more than that.
#[derive(Debug)]
pub(super) struct Listed {
    pub(super) id: String,
    pub(super) state: RuntimeState,
    name: String,
    pod_uid: Option<String>,
}

impl Listed {
    /// Nothing where it has no usable id.
    pub(super) fn of(mut container: Container) -> Option<Listed> {
        let is_usable = |id: &String| !id.is_empty() && id.len() <= ID;
        Some(Listed {
            state: state(container.state),
            name: shorten(&container.metadata.unwrap_or_default().name, NAME).into_owned(),
            pod_uid: container.labels.remove(POD_UID).filter(is_usable),
            id: Some(container.id).filter(is_usable)?,
        })
    }

    /// All that is known without a status.
    pub(super) fn facts(self) -> ContainerFacts {
        ContainerFacts {
            container_id: self.id,
            name: self.name,
            pod_uid: self.pod_uid,
            state: self.state,
            ..ContainerFacts::default()
        }
    }

    /// All that is known with one.
    pub(super) fn with(self, status: &ContainerStatus) -> ContainerFacts {
        let state = state(status.state);
        let limit =
            status.resources.as_ref().and_then(|all| all.linux.as_ref()).map(|linux| linux.memory_limit_in_bytes);
        ContainerFacts {
            state,
            reason: Some(shorten(&status.reason, REASON).into_owned()).filter(|reason| !reason.is_empty()),
            exit_code: (state == RuntimeState::Exited).then_some(status.exit_code),
            started_at: time(status.started_at),
            finished_at: time(status.finished_at),
            memory_limit: limit.filter(|limit| *limit > 0).and_then(|limit| u64::try_from(limit).ok()),
            ..self.facts()
        }
    }
}

/// Before the epoch there were no containers: what stands there is a runtime's own zero.
fn time(nanoseconds: i64) -> Option<Timestamp> {
    (nanoseconds > 0).then(|| Timestamp::from_nanosecond(nanoseconds.into()).ok()).flatten()
}

fn state(number: i32) -> RuntimeState {
    match ContainerState::try_from(number) {
        Ok(ContainerState::Created) => RuntimeState::Created,
        Ok(ContainerState::Running) => RuntimeState::Running,
        Ok(ContainerState::Exited) => RuntimeState::Exited,
        Ok(ContainerState::Unknown) | Err(_) => RuntimeState::Unknown,
    }
}
