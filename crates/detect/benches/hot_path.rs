//! What a change costs on its way from bytes to a diagnosis, and what a pod costs in memory: `cargo bench -p reckon-detect`.
//!
//! Times are of the processor and not of the clock, as the machine may be busy. No server takes part: `scripts/bench` of
//! the other rooms has those.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a measurement prints what it measured")]
#![expect(clippy::disallowed_methods, reason = "the room does no I/O; who measures it reads /proc")]

mod fleet;

use fleet::Fleet;
use std::hint::black_box;

/// As in the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Changes that are taken in before a diagnosis: what two seconds bring at 1,000 a second.
const BURST: usize = 2_000;
const BURSTS: usize = 10;

fn main() {
    for pods in [10_000, 100_000] {
        let base = resident();
        let begun = processor();
        let mut fleet = Fleet::new(pods);
        let took = processor() - begun;
        println!("{pods} pods: {:.2} kB resident each, workloads included", (resident() - base) / pods as f64);
        println!("{pods} pods: {:.1} µs each to make, decode, take in and diagnose", took / pods as f64 * 1e6);
        let changes = fleet.changes(BURST * BURSTS);
        let bytes = changes.iter().map(String::len).sum::<usize>() / changes.len();
        let begun = processor();
        for change in &changes {
            black_box(fleet.decode(change));
        }
        let decoded = each(begun, changes.len());
        let begun = processor();
        for change in &changes {
            fleet.take(change);
        }
        let taken = each(begun, changes.len());
        black_box(fleet.diagnose());
        let begun = processor();
        let mut looked_at = 0;
        for burst in changes.chunks(BURST) {
            burst.iter().for_each(|change| fleet.take(change));
            black_box(fleet.diagnose());
            looked_at += fleet.looked_at();
        }
        let all = each(begun, changes.len());
        let of = looked_at as f64 / changes.len() as f64;
        println!(
            "{pods} pods: {all:.1} µs a change of {bytes} bytes ({:.0} a second): {decoded:.1} decode, {:.1} take in, {:.1} \
             diagnose; {of:.1} objects looked at for each",
            1e6 / all,
            taken - decoded,
            all - taken
        );
        let begun = processor();
        for _ in 0..100 {
            black_box(fleet.diagnose());
        }
        println!("{pods} pods: {:.0} µs a diagnosis when nothing changed", each(begun, 100));
    }
}

fn each(begun: f64, count: usize) -> f64 {
    (processor() - begun) / count as f64 * 1e6
}

/// Seconds of the processor that this process has had. Linux counts them in hundredths.
fn processor() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    // After the name, which may hold anything: user and system time are the 12th and 13th.
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    fields[11..13].iter().map(|field| field.parse::<f64>().unwrap()).sum::<f64>() / 100.0
}

/// Kilobytes of this process that are in memory.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}
