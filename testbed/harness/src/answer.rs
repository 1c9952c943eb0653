//! The program under test.

use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What `reckon` answered.
#[derive(Debug)]
pub struct Reckon {
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// The exit code.
    pub code: Option<i32>,
}

impl Reckon {
    /// Runs the binary that `RECKON_BIN` names (by default the one that was built beside this test) with a kubeconfig.
    pub fn run(kubeconfig: &Path, arguments: &[&str]) -> Result<Reckon> {
        let binary = binary()?;
        let output = Command::new(&binary)
            .args(arguments)
            .env("KUBECONFIG", kubeconfig)
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("cannot run {}", binary.display()))?;
        Ok(Reckon {
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            code: output.status.code(),
        })
    }

    /// The same with `-o json`: the document, if the exit code is 0.
    pub fn json(kubeconfig: &Path, arguments: &[&str]) -> Result<Value> {
        let mut all = arguments.to_vec();
        all.extend(["-o", "json"]);
        let answer = Reckon::run(kubeconfig, &all)?;
        if answer.code != Some(0) {
            bail!("reckon {} exited with {:?}: {}", all.join(" "), answer.code, answer.stderr.trim());
        }
        serde_json::from_str(&answer.stdout).with_context(|| format!("reckon {}: no JSON", all.join(" ")))
    }
}

/// The binary that is tested.
pub fn binary() -> Result<PathBuf> {
    if let Some(named) = std::env::var_os("RECKON_BIN") {
        return Ok(named.into());
    }
    // target/debug/deps/live-… is beside target/debug/reckon.
    let test = std::env::current_exe()?;
    let built = test.parent().and_then(Path::parent).map(|directory| directory.join("reckon"));
    match built {
        Some(path) if path.exists() => Ok(path),
        _ => bail!("no reckon binary: cargo build -p reckon, or name it in RECKON_BIN"),
    }
}

/// A document without these keys, wherever they stand.
pub fn answer_without(mut document: Value, keys: &[&str]) -> Value {
    fn strip(value: &mut Value, keys: &[&str]) {
        match value {
            Value::Object(map) => {
                map.retain(|key, _| !keys.contains(&key.as_str()));
                map.values_mut().for_each(|value| strip(value, keys));
            }
            Value::Array(list) => list.iter_mut().for_each(|value| strip(value, keys)),
            _ => {}
        }
    }
    strip(&mut document, keys);
    document
}
