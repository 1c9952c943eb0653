//! Where in Kubernetes' tree of cgroups a path is.
//!
//! Paths are read from the right: kind, nested kubelets and cgroup namespaces put other directories in front. The shapes:
//!
//! | Driver | Path |
//! |---|---|
//! | cgroupfs | `…/kubepods[/burstable\|/besteffort]/pod<uid>/<id>` |
//! | systemd | `…/kubepods[-<qos>].slice/kubepods[-<qos>]-pod<uid with _>.slice/<runtime>-<id>.scope[/container]` |
//! | kind | `…/kubelet.slice/kubelet-kubepods[-<qos>].slice/kubelet-kubepods[-<qos>]-pod….slice/…` |
//!
//! A static pod's uid is the hash of its file, 32 hexadecimal digits.

use reckon_model::kernel::CgroupLevel;

/// What a cgroup stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Where in the tree.
    pub level: CgroupLevel,
    /// The pod, as the API names it; the hash of its file for a static pod.
    pub pod_uid: Option<String>,
    /// The container's id, without a runtime's prefix.
    pub container_id: Option<String>,
}

/// What runtimes put before an id in a scope's name: containerd, CRI-O, cri-dockerd, Podman.
const RUNTIMES: [&str; 4] = ["cri-containerd-", "crio-", "docker-", "libpod-"];

/// Where crun puts a container's processes below its scope.
const INNER: &str = "container";

/// What the cgroup of this path stands for; `None` where it is none of Kubernetes'.
pub fn place(path: &str) -> Option<Place> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let Some((at, pod)) = parts.iter().enumerate().rev().find_map(|(at, part)| Some((at, pod(part)?))) else {
        let kubepods = parts.iter().rposition(|part| is_kubepods(part))?;
        let qos = |part: &&str| is_qos(part);
        // Something else below it is nobody's that is known.
        return parts[kubepods + 1..].iter().all(qos).then_some(Place {
            level: CgroupLevel::Kubepods,
            pod_uid: None,
            container_id: None,
        });
    };
    // A directory may be called so by chance; in Kubernetes' tree it stands below the one for all pods.
    if !parts[..at].iter().any(|part| is_kubepods(part)) && !parts[at].contains("kubepods") {
        return None;
    }
    let below = &parts[at + 1..];
    let id = below.first().and_then(|part| container_id(part));
    let level = match (below, id) {
        ([], _) => CgroupLevel::Pod,
        ([_] | [_, INNER], Some(_)) => CgroupLevel::Container,
        _ => CgroupLevel::Nested,
    };
    Some(Place { level, pod_uid: Some(pod), container_id: id.map(str::to_owned) })
}

/// `kubepods`, `kubepods.slice`, `kubelet-kubepods.slice`, and those with a class of service.
fn is_kubepods(part: &str) -> bool {
    let name = part.strip_suffix(".slice").unwrap_or(part);
    let name = name.strip_suffix("-burstable").or(name.strip_suffix("-besteffort")).unwrap_or(name);
    name == "kubepods" || name.ends_with("-kubepods")
}

fn is_qos(part: &str) -> bool {
    matches!(part, "burstable" | "besteffort") || is_kubepods(part)
}

/// The uid of a pod's directory.
fn pod(part: &str) -> Option<String> {
    let uid = match part.strip_suffix(".slice") {
        Some(slice) => slice.rsplit_once("-pod")?.1,
        None => part.strip_prefix("pod")?,
    };
    let uid = uid.replace('_', "-");
    let groups: Vec<&str> = uid.split('-').collect();
    let is_hex = groups.iter().all(|group| group.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    (is_hex && matches!(lengths.as_slice(), [8, 4, 4, 4, 12] | [32])).then_some(uid)
}

/// The id of a container, of its cgroup's own name: the last part of a path.
pub fn container_id(part: &str) -> Option<&str> {
    let id = match part.strip_suffix(".scope") {
        Some(scope) => RUNTIMES.iter().find_map(|runtime| scope.strip_prefix(runtime))?,
        None => part,
    };
    (id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const UID: &str = "7e2a0b1c-1111-4222-8333-944455556666";
    const SLICE: &str = "7e2a0b1c_1111_4222_8333_944455556666";
    const HASH: &str = "0a1b2c3d4e5f60718293a4b5c6d7e8f9";
    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[track_caller]
    fn is(path: &str, level: CgroupLevel, pod: Option<&str>, id: Option<&str>) {
        let expected = Place { level, pod_uid: pod.map(str::to_owned), container_id: id.map(str::to_owned) };
        assert_eq!(place(path), Some(expected), "{path}");
    }

    #[test]
    fn every_driver_and_runtime_is_read() {
        for path in [
            format!("/kubepods/burstable/pod{UID}/{ID}"),
            format!("/kubepods/pod{UID}/{ID}"),
            format!(
                "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{SLICE}.slice/cri-containerd-{ID}.scope"
            ),
            format!("/kubepods.slice/kubepods-pod{SLICE}.slice/crio-{ID}.scope"),
            format!("/kubepods.slice/kubepods-pod{SLICE}.slice/crio-{ID}.scope/container"),
            format!("/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{SLICE}.slice/docker-{ID}.scope"),
            format!(
                "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/kubelet-kubepods-burstable-pod{SLICE}.slice/cri-containerd-{ID}.scope"
            ),
            format!("/docker/{ID}/kubelet/kubepods/besteffort/pod{UID}/{ID}"),
            format!("/../../kubepods-burstable.slice/kubepods-burstable-pod{SLICE}.slice/cri-containerd-{ID}.scope"),
        ] {
            is(&path, CgroupLevel::Container, Some(UID), Some(ID));
        }
    }

    #[test]
    fn a_static_pod_is_named_by_the_hash_of_its_file() {
        is(&format!("/kubepods/burstable/pod{HASH}/{ID}"), CgroupLevel::Container, Some(HASH), Some(ID));
        is(&format!("/kubepods.slice/kubepods-burstable-pod{HASH}.slice"), CgroupLevel::Pod, Some(HASH), None);
    }

    #[test]
    fn levels_above_and_below_a_container_are_told_apart() {
        is("/kubepods", CgroupLevel::Kubepods, None, None);
        is("/kubepods/besteffort", CgroupLevel::Kubepods, None, None);
        is("/kubepods.slice/kubepods-burstable.slice", CgroupLevel::Kubepods, None, None);
        is("/kubelet.slice/kubelet-kubepods.slice", CgroupLevel::Kubepods, None, None);
        is(&format!("/kubepods/burstable/pod{UID}"), CgroupLevel::Pod, Some(UID), None);
        is(&format!("/kubepods/pod{UID}/{ID}/docker/{ID}"), CgroupLevel::Nested, Some(UID), Some(ID));
        is(&format!("/kubepods/pod{UID}/{ID}/init.scope"), CgroupLevel::Nested, Some(UID), Some(ID));
        is(
            &format!("/kubepods.slice/kubepods-pod{SLICE}.slice/crio-conmon-{ID}.scope"),
            CgroupLevel::Nested,
            Some(UID),
            None,
        );
    }

    #[test]
    fn a_kubelet_inside_a_pod_has_pods_of_its_own() {
        let outer = "1e2a0b1c-1111-4222-8333-944455556666";
        let path = format!("/kubepods/pod{outer}/{ID}/kubelet/kubepods/burstable/pod{UID}/{ID}");
        is(&path, CgroupLevel::Container, Some(UID), Some(ID));
    }

    #[test]
    fn what_only_looks_like_it_is_not_kubernetes() {
        for path in [
            "/",
            "",
            "/user.slice/user-0.slice",
            "/system.slice/podman.service",
            "/machine.slice/libpod-1.scope",
            &format!("/docker/{ID}"),
            &format!("/srv/pod{UID}/{ID}"),
            "/kubepods/other",
            "/kubepods/podnot-a-uid/x",
        ] {
            assert_eq!(place(path), None, "{path}");
        }
    }

    proptest! {
        #[test]
        fn no_path_makes_it_panic(path in ".{0,200}") {
            let _ = place(&path);
            let _ = place(&format!("/kubepods/{path}"));
        }
    }
}
