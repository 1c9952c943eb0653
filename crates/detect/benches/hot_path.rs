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
/// Bursts of which the middle one counts: beside others a machine is at times half as fast.
const BURSTS: usize = 15;
/// Diagnoses when nothing changed: so many that they take longer than a tick.
const IDLE: usize = 10_000;

/// Sizes may be given; each is better measured by itself, as what one has freed the next one takes.
fn main() {
    let asked: Vec<usize> = std::env::args().skip(1).filter_map(|size| size.parse().ok()).collect();
    for pods in if asked.is_empty() { vec![10_000, 100_000] } else { asked } {
        let base = resident();
        let begun = processor();
        let mut fleet = Fleet::new(pods);
        let took = processor() - begun;
        println!("{pods} pods: {:.2} kB resident each, workloads included", (resident() - base) / pods as f64);
        println!("{pods} pods: {:.1} µs each to make, decode, take in and diagnose", took / pods as f64 / 1e3);
        let changes = fleet.changes(BURST * BURSTS);
        let bytes = changes.iter().map(String::len).sum::<usize>() / changes.len();
        let (mut decoding, mut taking, mut diagnosing) = (Vec::new(), Vec::new(), Vec::new());
        let mut looked_at = 0;
        for burst in changes.chunks(BURST) {
            let begun = processor();
            burst.iter().for_each(|change| drop(black_box(fleet.decode(change))));
            decoding.push(each(begun));
            let begun = processor();
            burst.iter().for_each(|change| fleet.take(change));
            taking.push(each(begun));
            let begun = processor();
            black_box(fleet.diagnose());
            diagnosing.push(each(begun));
            looked_at += fleet.looked_at();
        }
        let [decoded, taken, diagnosed] = [decoding, taking, diagnosing].map(median);
        let all = taken + diagnosed;
        let of = looked_at as f64 / changes.len() as f64;
        println!(
            "{pods} pods: {all:.1} µs a change of {bytes} bytes ({:.0} a second): {decoded:.1} decode, {:.1} take in, \
             {diagnosed:.1} diagnose; {of:.1} objects looked at for each",
            1e6 / all,
            taken - decoded,
        );
        let begun = processor();
        for _ in 0..IDLE {
            black_box(fleet.diagnose());
        }
        println!("{pods} pods: {:.1} µs a diagnosis when nothing changed", (processor() - begun) / IDLE as f64 / 1e3);
    }
}

/// Microseconds for each change of a burst.
fn each(begun: f64) -> f64 {
    (processor() - begun) / BURST as f64 / 1e3
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Nanoseconds of the processor that this thread has had, brought up to date at each tick of the kernel.
fn processor() -> f64 {
    let schedule = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    schedule.split_whitespace().next().unwrap().parse().unwrap()
}

/// Kilobytes of this process that are in memory.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}
