//! What the hot path costs, in instructions: wall time varies with the machine and its neighbours, these hardly do.
//!
//! Without arguments this is the gate: it runs each case of itself under callgrind and holds the counts against
//! `bench/instructions.toml`. `reckon-instructions CASE COUNT` is one such run; `reckon-instructions full` says what finding
//! all that is wrong takes in seconds and in memory.

mod cases;
mod gate;
mod ill;
mod thresholds;
mod world;

use anyhow::{Context, Result, bail};
use std::io::Write;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match act(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "instructions: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn act(arguments: &[String]) -> Result<()> {
    match arguments {
        [] => gate::run(),
        [word] if word == "full" => ill::measure(),
        [name, count] => {
            let case = cases::CASES.iter().find(|case| case.name == name).context("there is no such case")?;
            (case.run)(count.parse()?)
        }
        _ => bail!("either nothing, CASE COUNT, or full"),
    }
}
