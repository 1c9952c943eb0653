//! `reckon fix` against a simulated server: run to its end, or asking on a terminal.
#![allow(clippy::allow_attributes, dead_code, reason = "each of the tests that share it uses a part")]

use reckon_demo::Demo;
use reckon_model::SignedDuration;
use reckon_sim::{Listener, Server};
use serde_json::Value;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A server by HTTP, through a kubeconfig as for everybody.
pub(crate) struct Served {
    pub(crate) server: Server,
    listener: Listener,
    directory: tempfile::TempDir,
}

impl Served {
    pub(crate) async fn new(server: Server) -> Served {
        let listener = Listener::bind(server.clone(), 0).await.unwrap();
        let served = Served { server, listener, directory: tempfile::tempdir().unwrap() };
        served.come_as(None);
        served
    }

    /// Who asks from now on: the owner of a token, or the administrator.
    pub(crate) fn come_as(&self, token: Option<&str>) {
        std::fs::write(self.kubeconfig(), self.listener.kubeconfig(token)).unwrap();
    }

    fn kubeconfig(&self) -> PathBuf {
        self.directory.path().join("kubeconfig")
    }

    /// Runs it without a terminal.
    pub(crate) async fn run(&self, words: &str) -> Output {
        let mut command = command(&self.kubeconfig(), words);
        tokio::task::spawn_blocking(move || command.stdin(Stdio::null()).output().unwrap()).await.unwrap()
    }

    /// Runs it on a terminal. When it asks, something else happens, and then this is typed.
    pub(crate) async fn asked(
        &self,
        words: &str,
        meanwhile: impl FnOnce(&Server) + Send + 'static,
        typed: &'static [u8],
    ) -> Output {
        let (command, server) = (command(&self.kubeconfig(), words), self.server.clone());
        tokio::task::spawn_blocking(move || on_a_terminal(command, || meanwhile(&server), typed)).await.unwrap()
    }

    pub(crate) async fn json(&self, words: &str) -> Value {
        let output = self.run(&format!("{words} -o json")).await;
        assert_eq!(output.status.code(), Some(0), "{words}: {}", stderr(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// The open problem about a workload.
    pub(crate) async fn problem(&self, name: &str) -> Option<Value> {
        let answer = self.json("problems -A").await;
        let about = |problem: &&Value| problem["subject"]["name"] == name && problem["closed"].is_null();
        answer["problems"].as_array().unwrap().iter().find(about).cloned()
    }

    /// What was said of fixes to an object, by the Events that are on it.
    pub(crate) fn told(&self, kind: &str, name: &str) -> Vec<Value> {
        let world = self.server.world();
        let events = world.objects("events").map(|(_, stored)| stored.value());
        let about = |event: &Value| {
            event["reason"] == "ReckonFix"
                && event["involvedObject"]["kind"] == kind
                && event["involvedObject"]["name"] == name
        };
        events.filter(about).collect()
    }
}

/// The company at the end of its story.
pub(crate) struct Company {
    demo: Demo,
    pub(crate) served: Served,
}

impl Company {
    pub(crate) async fn new() -> Company {
        let mut demo = Demo::new(1, "2026-05-04T09:00:00Z".parse().unwrap());
        let served = Served::new(demo.server().clone()).await;
        demo.advance_to(demo.begin() + Demo::length());
        Company { demo, served }
    }

    pub(crate) fn later(&mut self, minutes: i64) {
        self.demo.advance_to(self.demo.begin() + Demo::length() + SignedDuration::from_mins(minutes));
    }
}

fn command(kubeconfig: &Path, words: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_reckon"));
    command.args(words.split(' ')).arg("--kubeconfig").arg(kubeconfig).env_remove("KUBECONFIG");
    command
}

fn on_a_terminal(mut command: Command, meanwhile: impl FnOnce(), typed: &[u8]) -> Output {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let keyboard = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&keyboard).unwrap();
    unlockpt(&keyboard).unwrap();
    let name = ptsname(&keyboard, Vec::new()).unwrap();
    let path = Path::new(std::ffi::OsStr::from_bytes(name.to_bytes()));
    let terminal = File::options().read(true).write(true).open(path).unwrap();
    let mut child = command.stdin(terminal).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = Vec::new();
    let mut byte = [0];
    let mut errors = child.stderr.take().unwrap();
    while !said.ends_with(b"? [y/N] ") && errors.read(&mut byte).unwrap() > 0 {
        said.extend(byte);
    }
    meanwhile();
    let mut keyboard = File::from(keyboard);
    keyboard.write_all(typed).unwrap();
    errors.read_to_end(&mut said).unwrap();
    let output = child.wait_with_output().unwrap();
    Output { stderr: said, ..output }
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub(crate) fn id(problem: &Value) -> &str {
    problem["id"].as_str().unwrap()
}
