//! Where a process comes from that the kernel is about to kill. The kernel's report does not say so, and afterwards nobody
//! can: it is asked in the moment between the kernel's choice and the end of the process.

use crate::path;
use reckon_model::kernel::Origin;
use std::fs;
use std::path::Path;
use std::time::Instant;

/// Ancestors that are looked at: more are a tree that changes while it is read.
const GENERATIONS: usize = 64;

/// A process as `/proc` tells.
struct Process {
    parent: u32,
    /// Its number in the innermost PID namespace; `None` where it is in the machine's.
    inner: Option<u32>,
    /// `None` outside of containers.
    container: Option<String>,
}

/// A process that the kernel was about to kill.
#[derive(Debug)]
pub(super) struct Chosen {
    pub(super) pid: u32,
    pub(super) comm: String,
    pub(super) origin: Origin,
    pub(super) seen: Instant,
}

/// The process that a record of the kernel's log says will be killed, and where it comes from. Only of a record that was
/// read at once: a number is given to another process later.
pub(super) fn of(record: &[u8], proc: &Path) -> Option<Chosen> {
    let (pid, comm) = chosen(record)?;
    let found = fs::read(proc.join(pid.to_string()).join("comm")).ok()?;
    if found.trim_ascii_end() != comm {
        return None;
    }
    let own = process(proc, pid)?;
    own.container.as_ref()?;
    let mut top = (pid, own.inner?, own.parent);
    for _ in 0..GENERATIONS {
        // One that is gone meanwhile tells nothing, and with it nobody knows.
        let parent = process(proc, top.2)?;
        if parent.container == own.container && parent.container.is_some() {
            top = (top.2, parent.inner?, parent.parent);
            continue;
        }
        // The runtime's own process, above the container.
        let origin = match top {
            (first, 1, _) if first == pid => Origin::First,
            (_, 1, _) => Origin::Child,
            _ => Origin::Entered,
        };
        let comm = String::from_utf8_lossy(comm).into_owned();
        return Some(Chosen { pid, comm, origin, seen: Instant::now() });
    }
    None
}

/// Number and name in `oom-kill:constraint=…,task=NAME,pid=NUMBER,uid=…`, as kernels write it since 5.0. The name may hold
/// anything; what comes after it cannot.
fn chosen(record: &[u8]) -> Option<(u32, &[u8])> {
    memchr::memmem::find(record, b"oom-kill:constraint=")?;
    let at = memchr::memmem::rfind(record, b",pid=")?;
    let digits = record[at + 5..].split(|byte| !byte.is_ascii_digit()).next()?;
    let name = memchr::memmem::rfind(&record[..at], b",task=")? + 6;
    Some((str::from_utf8(digits).ok()?.parse().ok()?, &record[name..at]))
}

fn process(proc: &Path, pid: u32) -> Option<Process> {
    let directory = proc.join(pid.to_string());
    let status = fs::read_to_string(directory.join("status")).ok()?;
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name));
    let parent = field("PPid:")?.trim().parse().ok()?;
    let mut numbers = field("NSpid:")?.split_ascii_whitespace();
    numbers.next()?;
    let inner = numbers.next_back().and_then(|number| number.parse().ok());
    let cgroup = fs::read_to_string(directory.join("cgroup")).ok()?;
    let place = cgroup.lines().find_map(|line| {
        let (_, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        let of_memory = controllers.is_empty() || controllers.split(',').any(|one| one == "memory");
        if of_memory { path::place(path) } else { None }
    });
    Some(Process { parent, inner, container: place.and_then(|place| place.container_id) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHIM: u32 = 90;
    /// A name that looks like the end of the record.
    const NAME: &str = "x,pid=7 eater";
    const RECORD: &[u8] = b"6,1,5,-;oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=c,mems_allowed=0,\
        oom_memcg=/a,task_memcg=/a,task=x,pid=7 eater,pid=100,uid=0\n";

    fn container(letter: &str) -> String {
        format!("/kubepods/burstable/pod0c2cde18-8853-455b-9af2-50067a06572a/{}", letter.repeat(64))
    }

    fn write(proc: &Path, pid: u32, parent: u32, inner: &str, cgroup: &str) {
        let directory = proc.join(pid.to_string());
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("comm"), format!("{NAME}\n")).unwrap();
        fs::write(directory.join("status"), format!("Name:\tx\nPPid:\t{parent}\nNSpid:\t{pid}{inner}\n")).unwrap();
        fs::write(directory.join("cgroup"), format!("12:cpu:/x\n4:memory:{cgroup}\n0::/\n")).unwrap();
    }

    fn origin(tree: &[(u32, u32, &str)]) -> Option<Origin> {
        let root = tempfile::tempdir().unwrap();
        write(root.path(), SHIM, 1, "", "/system.slice/containerd.service");
        for (pid, parent, inner) in tree {
            write(root.path(), *pid, *parent, inner, &container("c"));
        }
        of(RECORD, root.path()).map(|chosen| {
            assert_eq!((chosen.pid, chosen.comm.as_str()), (100, NAME));
            chosen.origin
        })
    }

    #[test]
    fn what_the_runtime_started_first_its_children_and_what_entered_later_are_told_apart() {
        assert_eq!(origin(&[(100, SHIM, "\t1")]), Some(Origin::First));
        assert_eq!(origin(&[(100, 95, "\t9"), (95, SHIM, "\t1")]), Some(Origin::Child));
        assert_eq!(origin(&[(100, SHIM, "\t9"), (95, SHIM, "\t1")]), Some(Origin::Entered));
        assert_eq!(origin(&[(100, 99, "\t10"), (99, SHIM, "\t9"), (95, SHIM, "\t1")]), Some(Origin::Entered));
    }

    #[test]
    fn a_process_of_the_machine_one_that_is_gone_and_one_of_another_name_are_not_known() {
        assert_eq!(origin(&[(100, SHIM, "")]), None);
        assert_eq!(origin(&[]), None);
        // Its parent ended while it was looked up.
        assert_eq!(origin(&[(100, 95, "\t9")]), None);
        let root = tempfile::tempdir().unwrap();
        write(root.path(), 100, SHIM, "\t1", &container("c"));
        fs::write(root.path().join("100/comm"), "another\n").unwrap();
        assert!(of(RECORD, root.path()).is_none());
        assert!(of(b"6,1,5,-;Tasks state (memory values in pages):\n", root.path()).is_none());
    }
}
