//! What the words of a failed attachment or mount are about.
//!
//! They are those of storage drivers and of `mount` itself, and no two drivers write alike: fragments, whatever their case.

/// Sorts of failed mounts, with fragments in lower case; the first that fits wins.
const MOUNT: &[(&str, &[&str])] = &[
    ("host-path", &["hostpath type check failed"]),
    ("driver-missing", &["not found in the list of registered csi drivers"]),
    ("secret-missing", &["secrets \""]),
    (
        "helper-missing",
        &["you might need a /sbin/mount.", "need a helper program", "exec: \"mount.nfs\"", "unknown filesystem type"],
    ),
    // The last two: the server was reached and has not what was asked of it.
    (
        "path-missing",
        &["path \"", "local volume plugin", "reason given by server: no such file", "mount error(2): no such file"],
    ),
    ("node-disk", &["no space left on device", "disk quota exceeded"]),
    (
        "filesystem",
        &[
            "wrong fs type",
            "bad superblock",
            "fsck",
            "structure needs cleaning",
            "input/output error",
            "unexpected inconsistency",
            "bad magic number",
            "can't read superblock",
            "metadata corruption",
            "xfs_repair",
        ],
    ),
    (
        "denied",
        &[
            "access denied",
            "permission denied",
            "not permitted",
            "accessdenied",
            "unauthorized",
            "not authorized",
            "permissiondenied",
            "code = unauthenticated",
            "mount error(13)",
            "applyfsgroup failed",
        ],
    ),
    (
        "server",
        &[
            "connection timed out",
            "connection refused",
            "no route to host",
            "no such host",
            "host is down",
            "stale file handle",
            "stale nfs file handle",
            "network is unreachable",
            "transport endpoint is not connected",
        ],
    ),
    (
        "busy",
        &[
            "device is busy",
            "device or resource busy",
            "already mounted",
            "mount point busy",
            "operation with the given volume",
        ],
    ),
    ("timeout", &["deadlineexceeded", "deadline exceeded", "timed out"]),
];

/// Sorts of failed attachments. A limit is told before the right that some clouds call it.
const ATTACH: &[(&str, &[&str])] = &[
    (
        "node-limit",
        &[
            "attachmentlimitexceeded",
            "attachment limit",
            "volume limit",
            "limit exceeded",
            "maximum number of",
            "maximum allowed number of",
            "max number of volumes",
            "maximumdatadisksexceeded",
            "too many volumes",
            "exceeds the maximum",
            "code = resourceexhausted",
            "controller reached limit",
        ],
    ),
    (
        "in-use",
        &[
            "already attached to",
            "already attached by",
            "currently attached",
            "attached to another",
            "volumeinuse",
            "is in use",
            "already in use",
            "in use by another",
            "in_use_by_another",
        ],
    ),
    (
        "denied",
        &[
            "unauthorizedoperation",
            "not authorized",
            "authorizationfailed",
            "permissiondenied",
            "permission denied",
            "access denied",
            "accessdenied",
            "forbidden",
            "code = unauthenticated",
            "does not have authorization",
        ],
    ),
    (
        "gone",
        &[
            "code = notfound",
            "volume not found",
            "notfound",
            "could not find",
            "cannot find",
            "does not exist",
            "no such volume",
        ],
    ),
    ("timeout", &["deadlineexceeded", "deadline exceeded", "timed out"]),
];

fn sort(said: &str, sorts: &[(&'static str, &[&str])]) -> Option<&'static str> {
    let said = said.to_ascii_lowercase();
    sorts.iter().find(|(_, phrases)| phrases.iter().any(|phrase| said.contains(phrase))).map(|(sort, _)| *sort)
}

/// What a failed mount is about; `failed` where nothing of it is known.
pub(super) fn of_mount(said: &str) -> &'static str {
    let lower = said.to_ascii_lowercase();
    match sort(said, MOUNT) {
        Some("path-missing") if !(lower.contains("does not exist") || lower.contains("no such file")) => "failed",
        Some(sort) => sort,
        None => "failed",
    }
}

/// What a failed attachment is about; `refused` where nothing of it is known.
pub(super) fn of_attachment(said: &str) -> &'static str {
    sort(said, ATTACH).unwrap_or("refused")
}

#[cfg(test)]
mod tests {
    use super::{of_attachment, of_mount};

    #[test]
    fn failed_mounts_are_sorted_by_what_any_driver_may_say() {
        for (said, expected) in [
            ("rpc error: code = DeadlineExceeded desc = context deadline exceeded", "timeout"),
            (
                "MountVolume.MountDevice failed: rpc error: code = Internal desc = timed out waiting for device",
                "timeout",
            ),
            ("mount failed: exit status 32 ... mount.nfs: Connection timed out", "server"),
            ("mount.nfs: Stale file handle", "server"),
            ("'fsck' found errors on device /dev/sdb but could not correct them", "filesystem"),
            ("mount: /x: can't read superblock on /dev/nvme1n1.", "filesystem"),
            ("UNEXPECTED INCONSISTENCY; RUN fsck MANUALLY.", "filesystem"),
            ("mount error(13): Permission denied", "denied"),
            ("applyFSGroup failed for vol pvc-1: chown /var/lib: operation not supported", "denied"),
            ("mkdir /var/lib/kubelet/pods/x: no space left on device", "node-disk"),
            (
                "fetching NodePublishSecretRef default/creds failed: kubernetes.io/csi: failed to find the secret creds in the namespace default with error: secrets \"creds\" not found",
                "secret-missing",
            ),
            ("driver name x not found in the list of registered CSI drivers", "driver-missing"),
            ("rpc error: code = Aborted desc = an operation with the given Volume ID pvc-1 already exists", "busy"),
            ("rpc error: code = Aborted desc = An operation with the given volume vol-1 is in progress", "busy"),
            ("mount: /dev/sdb already mounted or mount point busy", "busy"),
            ("path \"/data\" is fine but something else", "failed"),
            ("the phase of the moon", "failed"),
            ("", "failed"),
        ] {
            assert_eq!(of_mount(said), expected, "{said}");
        }
    }

    #[test]
    fn failed_attachments_are_sorted_by_what_any_cloud_may_say() {
        for (said, expected) in [
            ("The maximum number of data disks allowed to be attached to a VM of this size is 8", "node-limit"),
            ("code = ResourceExhausted desc = max number of volumes (8) already attached to instance", "node-limit"),
            ("forbidden: The maximum allowed number of disk devices (16) to attach to a single instance", "node-limit"),
            ("AttachmentLimitExceeded: Node has reached its attachment limit", "node-limit"),
            ("VolumeInUse: vol-1 is already attached to an instance", "in-use"),
            ("googleapi: Error 400: RESOURCE_IN_USE_BY_ANOTHER_RESOURCE", "in-use"),
            ("UnauthorizedOperation: You are not authorized to perform this operation", "denied"),
            ("does not have authorization to perform action 'Microsoft.Compute/disks/read'", "denied"),
            ("rpc error: code = NotFound desc = volume vol-1 not found", "gone"),
            ("rpc error: code = DeadlineExceeded desc = context deadline exceeded", "timeout"),
            ("rpc error: code = Internal desc = backend 7", "refused"),
            ("", "refused"),
        ] {
            assert_eq!(of_attachment(said), expected, "{said}");
        }
    }
}
