//! How fast a node's facts are read: the kernel's log in MB/s, and one look at the counters of 110 pods.
//!
//! `cargo bench -p reckon-node`. Figures are of this machine; what matters is how they relate in one run: reading the log
//! is compared with merely finding its lines.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a measurement prints what it measured")]

use reckon_node::counters::Tree;
use reckon_node::log::Parser;
use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Bytes of log that are read in one round.
const BYTES: usize = 64 << 20;
const ROUNDS: usize = 5;
const PODS: usize = 110;

fn main() {
    let ordinary = repeated(
        "[12345.678901] IPVS: rr: UDP 10.96.0.10:53 - no destination available\n[12345.679001] cni0: port 1(veth894654dc) entered blocking state\n",
    );
    let reports = repeated(&recorded());
    let mixed = repeated(
        &(recorded() + &"[12345.678901] IPVS: rr: UDP 10.96.0.10:53 - no destination available\n".repeat(20_000)),
    );
    let lines = best(|| black_box(memchr::memchr_iter(b'\n', &ordinary).count()));
    for (what, log) in
        [("ordinary messages", &ordinary), ("nothing but reports", &reports), ("a log with some reports", &mixed)]
    {
        let took = best(|| {
            let mut parser = Parser::new(None);
            let mut episodes = 0;
            for chunk in log.chunks(64 << 10) {
                parser.feed(chunk);
                episodes += parser.episodes().len();
            }
            black_box(episodes)
        });
        let ratio = took.as_secs_f64() / lines.as_secs_f64();
        println!(
            "log, {what}: {:.0} MB/s, {ratio:.1} times as long as finding the ends of lines",
            rate(log.len(), took)
        );
    }
    let root = tempfile::tempdir().unwrap();
    hierarchy(root.path());
    let mut tree = Tree::open(&root.path().join("cgroup"), &root.path().join("proc")).unwrap();
    tree.rises();
    let quiet = best(|| black_box(tree.rises().len()));
    println!("counters of {PODS} pods, nothing was killed: {quiet:?}");
    let mut kills = 0;
    let look = best(|| {
        kills += 1;
        fs::write(root.path().join("proc/vmstat"), format!("oom_kill {kills}\n")).unwrap();
        for cgroup in [pod(root.path(), 7), pod(root.path(), 7).join(format!("{:064}", 1))] {
            fs::write(cgroup.join("memory.events"), format!("oom {kills}\noom_kill {kills}\n")).unwrap();
        }
        black_box(tree.rises().len())
    });
    println!("counters of {PODS} pods, something was killed: {look:?}");
}

fn recorded() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kmsg/linux-6.12-cgroup2.txt");
    String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned()
}

fn repeated(text: &str) -> Vec<u8> {
    text.bytes().cycle().take(BYTES).collect()
}

fn best<T>(mut what: impl FnMut() -> T) -> Duration {
    (0..ROUNDS)
        .map(|_| {
            let started = Instant::now();
            black_box(what());
            started.elapsed()
        })
        .min()
        .unwrap_or_default()
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn rate(bytes: usize, took: Duration) -> f64 {
    bytes as f64 / 1e6 / took.as_secs_f64()
}

/// A hierarchy of version 2 as plain files, two containers a pod.
fn hierarchy(root: &Path) {
    let write = |path: PathBuf, text: &str| {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let events = "low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\noom_group_kill 0\n";
    write(root.join("cgroup/cgroup.controllers"), "memory\n");
    write(root.join("proc/vmstat"), "oom_kill 0\n");
    for number in 0..PODS {
        let pod = pod(root, number);
        for cgroup in [pod.clone(), pod.join(format!("{:064}", 1)), pod.join(format!("{:064}", 2))] {
            for file in ["memory.events", "memory.events.local"] {
                write(cgroup.join(file), events);
            }
        }
    }
}

fn pod(root: &Path, number: usize) -> PathBuf {
    root.join(format!("cgroup/kubepods/burstable/pod7e2a0b1c-1111-4222-8333-{number:012}"))
}
