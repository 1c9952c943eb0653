//! `reckon problems --watch`, running.

use crate::answer::binary;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// A watch that goes on until it is dropped.
#[derive(Debug)]
pub struct Watch {
    child: Child,
    heard: Arc<Mutex<Heard>>,
    reader: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Heard {
    /// What was said last of each problem, by id.
    last: BTreeMap<String, Value>,
    /// The line that could not be read, if there was one.
    unread: Option<String>,
}

impl Watch {
    /// Starts `reckon problems --watch -o json` with these arguments more, such as `-A`.
    pub fn start(kubeconfig: &Path, arguments: &[&str]) -> Result<Watch> {
        let binary = binary()?;
        let mut child = Command::new(&binary)
            .args(["problems", "--watch", "-o", "json"])
            .args(arguments)
            .env("KUBECONFIG", kubeconfig)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot run {}", binary.display()))?;
        let stdout = child.stdout.take().context("a pipe")?;
        let heard = Arc::new(Mutex::new(Heard::default()));
        let reader = std::thread::spawn({
            let heard = Arc::clone(&heard);
            move || {
                for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                    hear(&mut heard.lock().unwrap_or_else(PoisonError::into_inner), &line);
                }
            }
        });
        Ok(Watch { child, heard, reader: Some(reader) })
    }

    /// Every problem that was ever opened, as it was told last. An error if the watch has ended, or said what is no document.
    pub fn problems(&mut self) -> Result<Vec<Value>> {
        if let Some(status) = self.child.try_wait()? {
            bail!("reckon problems --watch has ended: {status}");
        }
        let heard = self.heard();
        if let Some(line) = &heard.unread {
            bail!("reckon problems --watch: no document: {line}");
        }
        Ok(heard.last.values().cloned().collect())
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn hear(heard: &mut Heard, line: &str) {
    let Ok(document) = serde_json::from_str::<Value>(line) else {
        heard.unread = Some(line.to_owned());
        return;
    };
    for problem in document["problems"].as_array().into_iter().flatten() {
        let id = problem["id"].as_str().unwrap_or_default().to_owned();
        heard.last.insert(id, problem.clone());
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill().and_then(|()| self.child.wait());
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}
