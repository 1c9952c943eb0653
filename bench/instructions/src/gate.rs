//! Counts under callgrind, and what comes of them.

use crate::cases::{CASES, Case};
use crate::thresholds::{Thresholds, grouped};
use anyhow::{Context, Result, bail, ensure};
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Where the thresholds are.
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../instructions.toml");

/// glibc picks its string functions by the processor. Valgrind shows a made-up one, the same on every machine that has
/// AVX2; without these features it is the same on those that have not.
const TUNABLES: &str = "glibc.cpu.hwcaps=-AVX2_Usable,-AVX2,-ERMS,-FSRM,-AVX_Fast_Unaligned_Load";

/// Holds every case against its threshold; with `UPDATE=1` writes them anew.
pub(crate) fn run() -> Result<()> {
    let mut out = std::io::stdout();
    let update = std::env::var_os("UPDATE").is_some_and(|value| value == "1");
    let known = Thresholds::read(Path::new(FILE))?;
    let compiler = compiler()?;
    let mut counted = Thresholds { tolerance: known.tolerance, compiler: compiler.clone(), ..Thresholds::default() };
    let (mut risen, mut fallen) = (Vec::new(), Vec::new());
    for case in CASES {
        let count = for_one_item(case)?;
        counted.cases.insert(case.name.to_owned(), count);
        let before = known.cases.get(case.name).copied();
        let change = before.map(|before| percent(count, before));
        let shown = change.map_or("new".to_owned(), |change| format!("{change:+.1} %"));
        writeln!(out, "{:<10} {:>12} instructions  {shown:>8}  for each {}", case.name, grouped(count), case.item)?;
        match change {
            Some(change) if change > known.tolerance => risen.push(case.name),
            Some(change) if change < -known.tolerance => fallen.push(case.name),
            None => risen.push(case.name),
            _ => {}
        }
    }
    if update {
        let item = |name: &str| CASES.iter().find(|case| case.name == name).map_or("", |case| case.item);
        std::fs::write(FILE, counted.text(&item))?;
        writeln!(out, "written: {FILE}")?;
        return Ok(());
    }
    if !fallen.is_empty() {
        writeln!(out, "cheaper than the threshold says: {}. Keep it so: UPDATE=1", fallen.join(", "))?;
    }
    if !risen.is_empty() {
        let by = known.tolerance;
        let made = known.compiler;
        bail!(
            "more than {by} % above the threshold, or without one: {}. If it has to be: UPDATE=1 writes the thresholds anew \
             (they were counted with {made}, this is {compiler})",
            risen.join(", ")
        );
    }
    Ok(())
}

/// The difference of two runs, so that what both do has no part in it.
fn for_one_item(case: &Case) -> Result<u64> {
    let (few, many) = case.counts;
    // Side by side: instructions do not mind.
    let (less, more) = (start(case, few)?, start(case, many)?);
    let (less, more) = (instructions(less)?, instructions(more)?);
    let items = u64::try_from(many - few)?;
    more.checked_sub(less).map(|difference| difference / items).context("more items took fewer instructions")
}

fn start(case: &Case, count: usize) -> Result<Child> {
    Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe()?)
        .args([case.name, &count.to_string()])
        .env("GLIBC_TUNABLES", TUNABLES)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("valgrind cannot be started: scripts/packages installs it")
}

fn instructions(run: Child) -> Result<u64> {
    let output = run.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "a run under valgrind ended with {}:\n{said}", output.status);
    let collected = said.lines().find_map(|line| line.split_once("Collected : ")).context("valgrind said no count")?;
    Ok(collected.1.trim().parse()?)
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn percent(now: u64, before: u64) -> f64 {
    (now as f64 / before.max(1) as f64 - 1.0) * 100.0
}

fn compiler() -> Result<String> {
    let output = Command::new("rustc").arg("--version").output().context("rustc cannot be started")?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.split(" (").next().unwrap_or_default().trim().to_owned())
}
