//! The loop on a node, on files that stand for the kernel's.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use reckon_model::kernel::{ContainerUse, NodeReport, Origin};
use reckon_node::watch::{Places, watch};
use std::fs;
use std::io;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

const POD: &str = "/kubepods/burstable/pod3d1f6f2e-9c0b-4a57-8f7e-0123456789ab";
const ID: &str = "8f3c2f4d9a1be07d35c6a1f0b2e4d6c8091a2b3c4d5e6f708192a3b4c5d6e7f8";

/// Only for waiting: a machine under load is slow.
const PATIENCE: Duration = Duration::from_secs(60);

fn places(root: &Path) -> Places {
    Places { kmsg: root.join("kmsg"), cgroup: root.join("cgroup"), proc: root.join("proc"), runtime: None }
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn counters(root: &Path, kills: u64) {
    let events = format!("oom {kills}\noom_kill {kills}\noom_group_kill 0\n");
    for path in [POD.to_owned(), format!("{POD}/{ID}")] {
        for file in ["memory.events", "memory.events.local"] {
            write(&root.join(format!("cgroup{path}/{file}")), &events);
        }
    }
    write(&root.join("proc/vmstat"), &format!("oom_kill {kills}\n"));
}

fn node(root: &Path) {
    write(&root.join("cgroup/cgroup.controllers"), "memory\n");
    write(&root.join("proc/uptime"), "1000.00 1.00\n");
    write(&root.join("proc/sys/kernel/random/boot_id"), "b1\n");
    counters(root, 0);
}

/// Runs the loop until the test has seen enough.
fn reports(root: &Path) -> Receiver<NodeReport> {
    let (send, receive) = channel();
    let places = places(root);
    std::thread::spawn(move || watch("n1", &places, |report| send.send(report).map_err(io::Error::other)));
    receive
}

fn next(reports: &Receiver<NodeReport>) -> NodeReport {
    reports.recv_timeout(PATIENCE).unwrap()
}

#[test]
fn what_the_log_tells_is_told_once_and_what_it_swallows_is_told_by_counters() {
    let root = tempfile::tempdir().unwrap();
    node(root.path());
    let memcg = format!("oom_memcg={POD}/{ID},task_memcg={POD}/{ID}");
    let report = format!(
        "4,7,900000000,-;java invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=938\n6,8,900000001,-;oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset={ID},mems_allowed=0,{memcg},task=java,pid=105,uid=0\n3,9,900000002,-;Memory cgroup out of memory: Killed process 105 (java) total-vm:66612kB, anon-rss:65148kB\n"
    );
    write(&root.path().join("kmsg"), &report);
    let told = reports(root.path());
    let NodeReport::Start { node, boot_id, since, not_checked } = next(&told) else { panic!("no start") };
    assert_eq!((node.as_str(), boot_id.as_deref(), not_checked), ("n1", Some("b1"), Vec::new()));
    assert!(since.is_some());
    let NodeReport::Episode(episode) = next(&told) else { panic!("no episode") };
    assert_eq!((episode.container_id.as_deref(), episode.trigger_container_id.as_deref()), (Some(ID), Some(ID)));
    assert!(episode.at.is_some());
    // Three are counted, of which the log has told one.
    counters(root.path(), 3);
    let NodeReport::Kill(kill) = next(&told) else { panic!("no kill") };
    assert_eq!((kill.container_id.as_deref(), kill.kills), (Some(ID), 2));
}

#[test]
fn where_a_process_came_from_is_told_of_what_is_killed_while_it_is_watched() {
    let root = tempfile::tempdir().unwrap();
    node(root.path());
    let process = |pid: u32, parent: u32, inner: u32, comm: &str| {
        let at = root.path().join(format!("proc/{pid}"));
        write(&at.join("comm"), &format!("{comm}\n"));
        write(&at.join("status"), &format!("PPid:\t{parent}\nNSpid:\t{pid}\t{inner}\n"));
        write(&at.join("cgroup"), &format!("0::{POD}/{ID}\n"));
    };
    process(105, 90, 1, "java");
    // The runtime's own process above the container.
    process(90, 1, 7, "containerd-shim");
    write(&root.path().join("proc/90/cgroup"), "0::/system.slice/containerd.service\n");
    process(106, 90, 33, "sh");
    let kill = |seq: u32, pid: u32, comm: &str| {
        format!(
            "6,{seq},{seq}00000000,-;oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset={ID},mems_allowed=0,oom_memcg={POD}/{ID},task_memcg={POD}/{ID},task={comm},pid={pid},uid=0\n3,{},{seq}00000002,-;Memory cgroup out of memory: Killed process {pid} ({comm}) total-vm:66612kB, anon-rss:65148kB\n",
            seq + 1
        )
    };
    // What was there before is of processes whose numbers others may have now.
    write(&root.path().join("kmsg"), &kill(1, 105, "java"));
    let told = reports(root.path());
    let origin = || loop {
        if let NodeReport::Episode(episode) = next(&told) {
            break episode.victims[0].origin;
        }
    };
    assert_eq!(origin(), None);
    for (seq, pid, comm, expected) in [(3, 106, "sh", Origin::Entered), (5, 105, "java", Origin::First)] {
        let mut log = fs::OpenOptions::new().append(true).open(root.path().join("kmsg")).unwrap();
        io::Write::write_all(&mut log, kill(seq, pid, comm).as_bytes()).unwrap();
        assert_eq!(origin(), Some(expected), "{comm}");
    }
}

#[test]
fn the_clock_of_the_log_is_set_by_what_is_written_now_and_what_was_there_before_is_about_then() {
    let root = tempfile::tempdir().unwrap();
    node(root.path());
    // Up for 60 days by one clock; by the one that stamps the log it is a minute less.
    write(&root.path().join("proc/uptime"), "5184000.00 1.00\n");
    let kill = |seconds: u64, pid: u32| {
        format!("3,{pid},{seconds}000000,-;Memory cgroup out of memory: Killed process {pid} (java) total-vm:1kB\n")
    };
    write(&root.path().join("kmsg"), &kill(5_183_900, 7));
    let told = reports(root.path());
    let episode = || loop {
        if let NodeReport::Episode(episode) = next(&told) {
            break episode;
        }
    };
    let before = episode();
    assert!(before.at_about && before.at.is_some());
    let wrote = jiff::Timestamp::now();
    let mut log = fs::OpenOptions::new().append(true).open(root.path().join("kmsg")).unwrap();
    io::Write::write_all(&mut log, kill(5_183_940, 8).as_bytes()).unwrap();
    let now = episode();
    assert!(!now.at_about && now.at.unwrap() >= wrote, "{:?} is before {wrote}", now.at);
}

#[test]
fn that_a_cgroup_does_not_wait_any_more_is_told_too() {
    let root = tempfile::tempdir().unwrap();
    node(root.path());
    let at = root.path().join(format!("cgroup{POD}/{ID}"));
    let pressure = |percent: u32| {
        write(
            &at.join("memory.pressure"),
            &format!(
                "some avg10={percent}.00 avg60=0 avg300=0 total=0\nfull avg10={percent}.00 avg60=0 avg300=0 total=0\n"
            ),
        );
    };
    write(&at.join("memory.current"), "1000\n");
    pressure(50);
    let told = reports(root.path());
    let waits = || loop {
        if let NodeReport::Cgroup(group) = next(&told)
            && group.container_id.as_deref() == Some(ID)
        {
            assert!(group.at.is_some());
            break group.pressure;
        }
    };
    assert_eq!(waits(), Some((5_000, 5_000)));
    pressure(0);
    while waits() != Some((0, 0)) {}
}

#[test]
fn what_a_container_holds_is_told_and_files_do_not_count() {
    let root = tempfile::tempdir().unwrap();
    node(root.path());
    let group = root.path().join(format!("cgroup{POD}/{ID}"));
    write(&group.join("memory.stat"), "anon 4000\nfile 900000\nshmem 100\nkernel 50\nsock 7\n");
    write(&group.join("memory.max"), "1000000\n");
    let told = reports(root.path());
    let NodeReport::Start { .. } = next(&told) else { panic!("no start") };
    let NodeReport::Uses { uses, .. } = next(&told) else { panic!("no use") };
    let [ContainerUse { id, floor, peak }] = uses.as_slice() else { panic!("{uses:?}") };
    assert_eq!((id.as_str(), *floor, *peak), (ID, 4_157, 4_157));
}

#[test]
fn what_cannot_be_read_is_told_and_the_rest_is_read() {
    let root = tempfile::tempdir().unwrap();
    node(root.path());
    let told = reports(root.path());
    let NodeReport::Start { not_checked, since, .. } = next(&told) else { panic!("no start") };
    assert_eq!((not_checked.len(), since), (1, None));
    assert!(not_checked[0].starts_with("kernel log: ") && not_checked[0].contains("kmsg"), "{not_checked:?}");
    counters(root.path(), 1);
    let NodeReport::Kill(kill) = next(&told) else { panic!("no kill") };
    assert_eq!(kill.kills, 1);
}

#[test]
fn a_node_of_which_nothing_can_be_read_is_an_error() {
    let root = tempfile::tempdir().unwrap();
    let error = watch("n1", &places(root.path()), |_| Ok(())).unwrap_err().to_string();
    assert!(error.contains("kernel log: ") && error.contains("counters of cgroups: "), "{error}");
}

#[test]
fn a_node_whose_pods_come_and_go_goes_on() {
    let root = tempfile::tempdir().unwrap();
    node(root.path());
    write(&root.path().join("kmsg"), "6,1,1,-;x\n");
    let told = reports(root.path());
    assert!(matches!(next(&told), NodeReport::Start { .. }));
    fs::remove_dir_all(root.path().join("cgroup/kubepods")).unwrap();
    write(&root.path().join("proc/vmstat"), "oom_kill 1\n");
    std::thread::sleep(Duration::from_millis(1500));
    counters(root.path(), 2);
    write(&root.path().join("proc/vmstat"), "oom_kill 3\n");
    let NodeReport::Kill(kill) = next(&told) else { panic!("no kill") };
    assert_eq!(kill.kills, 2);
}
