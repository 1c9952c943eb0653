//! `reckon serve` and `reckon agent` as processes, on a simulated cluster: what happens there is in the record, whoever is
//! killed meanwhile.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use reckon_sim::{Clock, Config, Listener, Server};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// How long anything may take on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(60);

/// A cluster by HTTP, through a kubeconfig as for everybody.
struct Cluster {
    server: Server,
    _listener: Listener,
    directory: tempfile::TempDir,
}

impl Cluster {
    async fn new() -> Cluster {
        let server = Server::new(Config { controllers: false, ..Config::default() }, Clock::running(now(), 1));
        server.world().create("namespaces", json!({"metadata": {"name": "shop"}})).unwrap();
        let listener = Listener::bind(server.clone(), 0).await.unwrap();
        let cluster = Cluster { server, directory: tempfile::tempdir().unwrap(), _listener: listener };
        std::fs::write(cluster.path("kubeconfig"), cluster._listener.kubeconfig(None)).unwrap();
        cluster
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn creates(&self, name: &str) {
        let flags = json!({"metadata": {"name": name, "namespace": "shop"}, "data": {"colour": "red"}});
        self.server.world().create("configmaps", flags).unwrap();
    }

    fn serve(&self, more: &[&str]) -> Running {
        self.serve_on("127.0.0.1:0", more)
    }

    fn serve_on(&self, address: &str, more: &[&str]) -> Running {
        let data = self.path("data");
        let mut words = vec!["serve", "--listen", address, "--data-dir", data.to_str().unwrap()];
        words.extend(more);
        Running::new(&self.path("kubeconfig"), &words)
    }
}

fn now() -> reckon_model::Timestamp {
    reckon_model::Timestamp::now()
}

/// A program that runs until it is killed.
struct Running {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Running {
    fn new(kubeconfig: &Path, words: &[&str]) -> Running {
        let mut command = Command::new(env!("CARGO_BIN_EXE_reckon"));
        command.args(words).arg("--kubeconfig").arg(kubeconfig).env_remove("KUBECONFIG").env_remove("RECKON_DATABASE");
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Running { child, out }
    }

    /// The next line that has this in it.
    fn says(&mut self, word: &str) -> String {
        let mut line = String::new();
        while self.out.read_line(&mut line).unwrap() > 0 {
            if line.contains(word) {
                return line;
            }
            line.clear();
        }
        panic!("it ended without {word:?}: {}", self.errors());
    }

    /// As SIGKILL ends it.
    fn killed(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn errors(&mut self) -> String {
        let mut errors = String::new();
        self.child.wait().unwrap();
        self.child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        errors
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The API of a server that runs, as its starter.
struct Api {
    address: String,
    token: String,
}

impl Api {
    /// Of what it says when it starts.
    fn of(running: &mut Running) -> Api {
        let line = running.says("RECKON_TOKEN=");
        let word = |name: &str| line.split(name).nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
        Api { address: word("RECKON_SERVER=http://"), token: word("RECKON_TOKEN=") }
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> Value {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let Api { address, token } = self;
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 2"), "{method} {path}: {answer}");
        serde_json::from_str(body).unwrap_or(Value::Null)
    }

    fn changes(&self, filter: &str) -> Vec<Value> {
        self.ask("GET", &format!("/api/v1/changes?page_size=1000&order=oldest&{filter}"), "")["items"]
            .as_array()
            .unwrap()
            .clone()
    }

    /// The changes of ConfigMaps, once there are so many.
    fn written(&self, least: usize) -> Vec<(String, String)> {
        let begin = Instant::now();
        loop {
            let found: Vec<(String, String)> = self
                .changes("fact=change&namespace=shop")
                .iter()
                .filter(|item| item["subject"]["kind"] == "ConfigMap")
                .map(|item| (name(item), item["fact"]["change"]["verb"].as_str().unwrap().to_owned()))
                .collect();
            if found.len() >= least {
                return found;
            }
            assert!(begin.elapsed() < PATIENCE, "{found:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

fn name(item: &Value) -> String {
    item["subject"]["name"].as_str().unwrap().to_owned()
}

fn pairs(all: &[(String, String)]) -> Vec<(&str, &str)> {
    all.iter().map(|(name, verb)| (name.as_str(), verb.as_str())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_in_the_cluster_is_in_the_record_though_the_server_is_killed() {
    let cluster = Cluster::new().await;
    cluster.creates("before");
    let mut running = cluster.serve(&[]);
    let api = Api::of(&mut running);
    running.says("Follows");
    api.written(0);
    // What is there before anybody looks is no change; what comes then is.
    std::thread::sleep(Duration::from_secs(3));
    cluster.creates("first");
    assert_eq!(pairs(&api.written(1)), [("first", "created")]);
    running.killed();
    cluster.creates("meanwhile");
    cluster.server.world().delete("configmaps", "shop", "before").unwrap();
    let mut running = cluster.serve(&[]);
    let api = Api::of(&mut running);
    assert_eq!(
        pairs(&api.written(3)).into_iter().collect::<std::collections::BTreeSet<_>>(),
        [("before", "deleted"), ("first", "created"), ("meanwhile", "created")].into_iter().collect(),
    );
    let unseen = api.changes("fact=unseen");
    assert!(!unseen.is_empty(), "the time in which nothing ran is told");
    let clusters = api.ask("GET", "/api/v1/clusters", "");
    assert_eq!(clusters["items"].as_array().unwrap().len(), 1, "{clusters}");
    assert_eq!(clusters["items"][0]["name"], "sim");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_enrols_once_and_sends_what_happened_while_there_was_no_server() {
    let cluster = Cluster::new().await;
    let mut running = cluster.serve(&["--no-cluster"]);
    let api = Api::of(&mut running);
    let token = api.ask("POST", "/api/v1/tokens", r#"{"purpose": "enrol", "label": "a test"}"#);
    std::fs::write(cluster.path("token"), token["token"].as_str().unwrap()).unwrap();
    let agent = |api: &Api| {
        let (server, token, data) = (format!("http://{}", api.address), cluster.path("token"), cluster.path("agent"));
        let (token, data) = (token.to_str().unwrap().to_owned(), data.to_str().unwrap().to_owned());
        let words =
            ["agent", "--server", &server, "--token-file", &token, "--data-dir", &data, "--cluster-name", "prod"];
        let mut agent = Running::new(&cluster.path("kubeconfig"), &words);
        agent.says("goes to");
        agent
    };
    let first = agent(&api);
    std::thread::sleep(Duration::from_secs(3));
    cluster.creates("first");
    assert_eq!(pairs(&api.written(1)), [("first", "created")]);
    let address = api.address.clone();
    running.killed();
    cluster.creates("alone");
    std::thread::sleep(Duration::from_secs(1));
    first.killed();
    // The enrolment token is spent; what it was changed into is kept.
    let second = agent(&Api { address: address.clone(), token: String::new() });
    cluster.creates("second");
    let mut running = cluster.serve_on(&address, &["--no-cluster"]);
    let api = Api::of(&mut running);
    let found = api.written(3);
    let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names.len(), 3, "{names:?}");
    for name in ["first", "alone", "second"] {
        assert!(names.contains(&name), "{names:?}");
    }
    assert_eq!(api.ask("GET", "/api/v1/clusters", "")["items"][0]["name"], "prod");
    drop(second);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timeline_is_told_from_the_record_also_of_what_is_gone() {
    let cluster = Cluster::new().await;
    let mut running = cluster.serve(&[]);
    let api = Api::of(&mut running);
    running.says("Follows");
    std::thread::sleep(Duration::from_secs(3));
    cluster.creates("flags");
    std::thread::sleep(Duration::from_millis(50));
    cluster.server.world().delete("configmaps", "shop", "flags").unwrap();
    api.written(2);
    let server = format!("http://{}", api.address);
    let timeline = |more: &[&str], token: Option<&str>| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_reckon"));
        command.args(["timeline", "cm/flags", "-n", "shop", "-o", "json", "--server", &server, "--kubeconfig"]);
        command.arg(cluster.path("kubeconfig")).args(more).env_remove("RECKON_SERVER").env_remove("RECKON_TOKEN");
        command.envs(token.map(|token| ("RECKON_TOKEN", token)));
        command.output().unwrap()
    };
    let output = timeline(&[], Some(&api.token));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("does not exist") && said.contains("what the record tells of it follows"), "{said}");
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let verbs: Vec<&Value> =
        told["entries"].as_array().unwrap().iter().map(|entry| &entry["fact"]["change"]["verb"]).collect();
    assert_eq!(verbs, ["created", "deleted"], "{told}");
    for (more, token, code, sentence) in [
        (&[][..], None, 2, "wants a token"),
        (&[], Some("wrong"), 4, "the server refuses"),
        (&["--server", "x"], Some("x"), 2, "cannot be used multiple times"),
    ] {
        let output = timeline(more, token);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains(sentence), "{said}");
    }
}

/// Runs it to its end: exit code and what it said.
fn ends(cluster: &Cluster, words: &[&str]) -> (i32, String) {
    let mut running = Running::new(&cluster.path("kubeconfig"), words);
    let status = running.child.wait().unwrap();
    (status.code().unwrap(), running.errors())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_the_way_is_said_in_one_sentence() {
    let cluster = Cluster::new().await;
    let data = cluster.path("data");
    let data = data.to_str().unwrap();
    let mut running = cluster.serve(&["--no-cluster"]);
    let api = Api::of(&mut running);
    let file = cluster.path("a-file");
    std::fs::write(&file, "").unwrap();
    std::fs::write(cluster.path("token"), "reckon_enrol_nobody-knows-it").unwrap();
    std::fs::create_dir(cluster.path("broken")).unwrap();
    std::fs::write(cluster.path("broken/record.sqlite"), "no database, but long enough to be looked at".repeat(200))
        .unwrap();
    let (file, broken, token) = (file.to_str().unwrap(), cluster.path("broken"), cluster.path("token"));
    let (broken, token, agent) = (broken.to_str().unwrap(), token.to_str().unwrap(), cluster.path("agent"));
    let (agent, server) = (agent.to_str().unwrap(), format!("http://{}", api.address));
    let fresh = cluster.path("fresh");
    let fresh = fresh.to_str().unwrap();
    for (words, code, sentence) in [
        (&["serve", "--data-dir", data][..], 6, "another process uses the database"),
        (&["serve", "--data-dir", file], 6, "the directory"),
        (&["serve", "--data-dir", broken], 6, "the database is"),
        (&["serve", "--data-dir", fresh, "--listen", &api.address], 6, "failed to listen on"),
        (&["serve", "--data-dir", fresh, "--database", "postgres://x"], 2, "cannot be used with"),
        (&["serve", "--database", "postgres://nobody@127.0.0.1:1/reckon"], 3, "the database cannot be reached"),
        (&["serve", "--data-dir", fresh, "--keep-bytes", "much"], 2, "is no size"),
        (
            &["agent", "--server", &server, "--token-file", token, "--data-dir", agent],
            4,
            "does not take the enrolment token",
        ),
        (
            &["agent", "--server", "http://reckon.example.com", "--token-file", token, "--data-dir", agent],
            2,
            "--insecure-plain-http",
        ),
        (&["agent", "--server", &server, "--token-file", file, "--data-dir", agent], 2, "there is no token in"),
        (
            &["agent", "--server", "http://127.0.0.1:1", "--token-file", token, "--data-dir", agent],
            3,
            "does not answer",
        ),
    ] {
        let (found, said) = ends(&cluster, words);
        assert_eq!(found, code, "{words:?}: {said}");
        assert!(said.contains(sentence), "{words:?}: {said}");
    }
}
