//! How a hostile server writes, and the program that follows it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use crate::api::{Api, Flow, Say, command};
use serde_json::json;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

pub(crate) fn flow(write: impl Fn(&mut dyn Write) -> std::io::Result<()> + Send + Sync + 'static) -> Say {
    let flow: Flow = Arc::new(write);
    Say::Flow(flow)
}

/// The head of a good answer that ends with its connection.
pub(crate) fn ok(out: &mut dyn Write, kind: &str) -> std::io::Result<()> {
    write!(out, "HTTP/1.1 200 X\r\nContent-Type: {kind}\r\nConnection: close\r\n\r\n")
}

pub(crate) fn redirected_to(other: &Api) -> Say {
    let to = format!("{}/api/v1/services", other.url());
    flow(move |out| write!(out, "HTTP/1.1 302 X\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n"))
}

/// A gzip of 2 GB of blanks: members of 16 MiB, one after the other.
pub(crate) fn bomb() -> Vec<u8> {
    let mut gzip = Command::new("gzip").arg("-1").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut blanks = gzip.stdin.take().unwrap();
    let feeds = std::thread::spawn(move || blanks.write_all(&vec![b' '; 16 << 20]).unwrap());
    let mut member = Vec::new();
    gzip.stdout.take().unwrap().read_to_end(&mut member).unwrap();
    feeds.join().unwrap();
    gzip.wait().unwrap();
    member.repeat(120)
}

/// How often a path was asked for.
pub(crate) fn asked(api: &Api, path: &str) -> usize {
    api.asked.lock().unwrap().iter().filter(|asked| asked.contains(path)).count()
}

/// Long enough for a machine with other work.
const PATIENCE: Duration = Duration::from_secs(120);

/// `problems --watch`, and what it has said so far.
pub(crate) struct Watching {
    child: Child,
    out: Arc<Mutex<String>>,
    err: Arc<Mutex<String>>,
    /// Whether the node is gone.
    gone: Arc<AtomicBool>,
}

/// The watch of the nodes: silent until the node is gone.
fn nodes(gone: Arc<AtomicBool>) -> Say {
    flow(move |out| {
        ok(out, "application/json")?;
        out.flush()?;
        while !gone.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(50));
        }
        let node = json!({"type": "MODIFIED", "object": {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1", "uid": "u-n1", "resourceVersion": "12", "creationTimestamp": "2025-01-01T00:00:00Z"}, "status": {"conditions": [{"type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown", "lastTransitionTime": "2025-01-01T00:00:00Z"}]}}});
        writeln!(out, "{node}")?;
        out.flush()?;
        std::thread::sleep(Duration::from_secs(60));
        Ok(())
    })
}

impl Watching {
    pub(crate) fn begin(api: &Api) -> Watching {
        let gone: Arc<AtomicBool> = Arc::default();
        api.say_to_watches("/api/v1/nodes", nodes(gone.clone()));
        let mut child = command(&["problems", "--watch"])
            .env("KUBECONFIG", api.kubeconfig())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // What it runs under ends with it.
            .process_group(0)
            .spawn()
            .unwrap();
        let out = gathered(child.stdout.take().unwrap());
        let err = gathered(child.stderr.take().unwrap());
        Watching { child, out, err, gone }
    }

    pub(crate) fn await_out(&self, words: &[&str]) {
        self.until(&self.out, words);
    }

    pub(crate) fn await_err(&self, words: &[&str]) {
        self.until(&self.err, words);
    }

    /// Until one line has all these words.
    fn until(&self, text: &Mutex<String>, words: &[&str]) {
        let start = Instant::now();
        loop {
            let said = text.lock().unwrap().clone();
            if said.lines().any(|line| words.iter().all(|word| line.contains(word))) {
                return;
            }
            assert!(start.elapsed() < PATIENCE, "{words:?} was not said: {}", self.said());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn said(&self) -> String {
        format!("{}{}", self.out.lock().unwrap(), self.err.lock().unwrap())
    }

    /// It still runs, and hears what happens in another kind: the node goes, of which the shop's pod was.
    pub(crate) fn lives_on(mut self) {
        self.gone.store(true, Ordering::SeqCst);
        self.await_out(&["opened", "n1"]);
        assert!(self.child.try_wait().unwrap().is_none(), "it ended: {}", self.said());
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let group = format!("-{}", self.child.id());
        let _ = Command::new("kill").args(["-TERM", "--", &group]).status();
        let _ = self.child.wait();
    }
}

fn gathered(from: impl Read + Send + 'static) -> Arc<Mutex<String>> {
    let text: Arc<Mutex<String>> = Arc::default();
    let grows = text.clone();
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            let mut text = grows.lock().unwrap();
            text.push_str(&line);
            text.push('\n');
        }
    });
    text
}
