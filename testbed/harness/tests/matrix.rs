//! The memory-death matrix: every row of `matrix/rows.yaml` is provoked on a real kernel, recorded, and Reckon's answer
//! is written beside what the pod's status says into `docs/memory-matrix.md`: `make matrix`. A row that does not match
//! is told, in the table and by the exit code.

use anyhow::{Context, Result, bail};
use reckon_testbed::{Cluster, Namespace, Reckon, deploy_node, remove_node, root, wait};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

/// How long an emulated machine may take for a container's start and end.
const DEADLINE: Duration = Duration::from_secs(40);

/// The same where other pods have to fill the machine first.
const FULL: Duration = Duration::from_secs(150);

/// How long a death that was foretold may take to come.
const FORETOLD: Duration = Duration::from_secs(240);

/// Room for the kubelet to report what the kernel did.
const SETTLE: Duration = Duration::from_secs(2);

/// The largest part of a recording that is a file, in bytes.
const LARGEST: usize = 60_000;

/// `rows.yaml`.
#[derive(Debug, Deserialize)]
struct Matrix {
    /// Rows that are not provoked, with the reason.
    open: BTreeMap<u8, String>,
    /// How the virtual machine is started, other than usual, by a name that rows give.
    machines: BTreeMap<String, Vec<String>>,
    rows: Vec<Row>,
}

#[derive(Debug, Deserialize)]
struct Row {
    row: u8,
    name: String,
    provoked: String,
    node: String,
    /// Which virtual machine; the usual one if none is named.
    #[serde(default)]
    machine: String,
    until: Until,
    /// More of the pod's metadata.
    #[serde(default)]
    metadata: serde_json::Map<String, Value>,
    /// Make a Deployment of it, and ask about that.
    #[serde(default)]
    deployment: bool,
    /// Other pods, by name, that are made before.
    #[serde(default)]
    also: BTreeMap<String, Value>,
    /// Command lines in the virtual machine after the steps; `ID` is the container's.
    #[serde(default)]
    machine_steps: Vec<String>,
    /// `kubectl` commands in the namespace, once the pod runs. One may fail: the kernel kills what it calls.
    #[serde(default)]
    steps: Vec<Vec<String>>,
    spec: Value,
    expect: Value,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Until {
    Seconds(u64),
    Word(String),
}

/// A line of the table.
struct Outcome {
    status: String,
    answer: String,
    wrong: Vec<String>,
}

fn main() -> ExitCode {
    // Only on request: `cargo test` runs every test binary, and this one needs root and a cluster.
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    if !wanted.iter().any(|argument| argument == "--run") {
        say("not asked for: make matrix");
        return ExitCode::SUCCESS;
    }
    match matrix(&wanted) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say(&format!("matrix: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// A line on the terminal; a terminal that has gone is no reason to stop.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Whether every row was as expected. Arguments other than `--run` name the rows.
fn matrix(wanted: &[String]) -> Result<bool> {
    let Matrix { open, machines, mut rows } = serde_saphyr::from_str(&fs::read_to_string(place("rows.yaml"))?)?;
    let named = |row: &Row| wanted.len() < 2 || wanted.contains(&row.name);
    let cluster = Cluster::shared()?;
    // Each machine is started once, the usual one first: that runs already.
    rows.sort_by(|a, b| a.machine.cmp(&b.machine));
    deploy_node(cluster)?;
    let chosen: Vec<&Row> = rows.iter().filter(|row| named(row)).collect();
    if chosen.iter().any(|row| row.spec.to_string().contains(RUNTIMES)) {
        import_runtimes(cluster)?;
    }
    let all = provoke(cluster, &machines, &chosen, Table::read(open, &rows)?);
    remove_node(cluster)?;
    all
}

/// Each row in its turn; its line in the table is written at once, so that a run that is cut off has told what it saw.
fn provoke(
    cluster: &Cluster,
    machines: &BTreeMap<String, Vec<String>>,
    rows: &[&Row],
    mut table: Table,
) -> Result<bool> {
    let mut all = true;
    let mut machine = String::new();
    for row in rows {
        if row.machine != machine {
            machine.clone_from(&row.machine);
            let arguments = machines.get(&machine).with_context(|| format!("no machine {machine}"))?;
            start_machine(cluster, arguments)?;
        }
        let outcome = run(cluster, row).unwrap_or_else(|error| Outcome {
            status: "not provoked".to_owned(),
            answer: String::new(),
            wrong: vec![format!("{error:#}")],
        });
        all &= outcome.wrong.is_empty();
        table.enter(row, &outcome)?;
    }
    Ok(all)
}

/// `docs/memory-matrix.md`: a line for each row, as it was last provoked.
struct Table {
    lines: BTreeMap<u8, String>,
    open: BTreeMap<u8, String>,
}

impl Table {
    /// What earlier runs have written, of rows that there still are.
    fn read(open: BTreeMap<u8, String>, rows: &[Row]) -> Result<Table> {
        let text = fs::read_to_string(Table::path())?;
        let number = |line: &str| line.strip_prefix("| ")?.split(' ').next()?.parse::<u8>().ok();
        let lines = text.lines().filter(|line| line.matches(" | ").count() > 4);
        let lines = lines.filter_map(|line| Some((number(line)?, line.to_owned())));
        let lines = lines.filter(|(number, _)| rows.iter().any(|row| row.row == *number)).collect();
        Ok(Table { lines, open })
    }

    fn path() -> PathBuf {
        root().join("docs/memory-matrix.md")
    }

    fn enter(&mut self, row: &Row, outcome: &Outcome) -> Result<()> {
        let verdict =
            if outcome.wrong.is_empty() { "yes".to_owned() } else { format!("no: {}", outcome.wrong.join("; ")) };
        let cells = [&row.name, &row.node, &row.provoked, &outcome.status, &outcome.answer, &verdict];
        let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|").replace('\n', " ")).collect();
        let line = format!("| {} | {} |", row.row, cells.join(" | "));
        say(&line);
        self.lines.insert(row.row, line);
        let mut text = String::from(
            "# The memory-death matrix\n\nGenerated by `make matrix`: each row is provoked on a real kernel; v1 has control \
             groups version 2, n1 version 1.\nThe expectation was written before the run.\n\n| Row | Name | Node | Provoked | \
             Status | Reckon | Matches |\n|---|---|---|---|---|---|---|\n",
        );
        for line in self.lines.values() {
            writeln!(text, "{line}")?;
        }
        if !self.open.is_empty() {
            text.push_str("\nNot provoked yet:\n\n| Row | Why |\n|---|---|\n");
        }
        for (row, why) in &self.open {
            writeln!(text, "| {row} | {why} |")?;
        }
        Ok(fs::write(Table::path(), text)?)
    }
}

/// The image with a JVM and Node.js, which only some rows need.
const RUNTIMES: &str = "reckon.test/runtimes:1";

fn import_runtimes(cluster: &Cluster) -> Result<()> {
    let made = cluster.testbed("image/runtimes", &[])?;
    let path = String::from_utf8_lossy(&made.stdout).trim().to_owned();
    let imported = cluster.testbed("node", &["n1", "import", &path])?;
    if !made.status.success() || !imported.status.success() {
        bail!("testbed/image/runtimes: {}", String::from_utf8_lossy(&made.stderr).trim());
    }
    Ok(())
}

/// The virtual machine anew, with other settings.
fn start_machine(cluster: &Cluster, arguments: &[String]) -> Result<()> {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    for (command, arguments) in [("vm-down", &[][..]), ("vm-up", &arguments)] {
        let output = cluster.testbed(command, arguments)?;
        if !output.status.success() {
            bail!("testbed/{command}: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
    }
    deploy_node(cluster)
}

fn place(name: &str) -> PathBuf {
    root().join("testbed/harness/matrix").join(name)
}

fn run(cluster: &Cluster, row: &Row) -> Result<Outcome> {
    let namespace = cluster.namespace(&format!("row-{}", row.row))?;
    let before = last_sequence(&kernel_log(&row.node)?);
    make(&namespace, row)?;
    let fresh = || -> Result<String> { Ok(after(&kernel_log(&row.node)?, before)) };
    let end = wait_until(&namespace, row, &fresh);
    std::thread::sleep(SETTLE);
    let pod = the_pod(&namespace, row)?;
    let recorded = end.and_then(|()| record(&namespace, row, &pod, &fresh()?));
    let asked = Reckon::json(cluster.kubeconfig(), &["why", &subject(row), "-n", namespace.name()]);
    let foretold = asked.as_ref().ok().and_then(|document| forecast(&namespace, row, &pod, document));
    let name = pod["metadata"]["name"].as_str().unwrap_or_default();
    if row.metadata.contains_key("finalizers") {
        namespace.kubectl(&["patch", "pod", name, "--type=merge", "-p", r#"{"metadata":{"finalizers":null}}"#])?;
    }
    namespace.kubectl(&["delete", "pod,deployment", "--all", "--force", "--grace-period=0", "--wait=false"])?;
    recorded?;
    let document = asked?;
    let mut wrong = differences(&row.expect, &document);
    wrong.extend(foretold);
    Ok(Outcome { status: status(&pod), answer: told(&row.expect, &document), wrong })
}

/// The objects of the row, and what is done to them.
fn make(namespace: &Namespace<'_>, row: &Row) -> Result<()> {
    for (name, spec) in &row.also {
        namespace.apply(&pod(row, name, spec).to_string())?;
    }
    for name in row.also.keys() {
        namespace.kubectl(&["wait", "--for=condition=Ready", "--timeout=60s", &format!("pod/{name}")])?;
    }
    namespace.apply(&manifest(row).to_string())?;
    if !row.steps.is_empty() || !row.machine_steps.is_empty() {
        let condition = if row.deployment { "Available" } else { "Ready" };
        namespace.kubectl(&["wait", &format!("--for=condition={condition}"), "--timeout=60s", &subject(row)])?;
    }
    for step in &row.steps {
        let step: Vec<&str> = step.iter().map(String::as_str).collect();
        if let Err(error) = namespace.kubectl(&step) {
            say(&format!("{}: {error:#}", row.name));
        }
    }
    for step in &row.machine_steps {
        let pod = the_pod(namespace, row)?;
        let id = pod.pointer("/status/containerStatuses/0/containerID").and_then(Value::as_str);
        let id = id.and_then(|id| id.rsplit('/').next()).context("a container without an id")?;
        namespace.cluster().testbed("node", &["v1", "run", &step.replace("ID", id)])?;
    }
    Ok(())
}

/// What is asked about.
fn subject(row: &Row) -> String {
    format!("{}/{}", if row.deployment { "deployment" } else { "pod" }, row.name)
}

fn pod(row: &Row, name: &str, spec: &Value) -> Value {
    let mut spec = spec.clone();
    spec["nodeName"] = json!(row.node);
    spec["tolerations"] = json!([{"operator": "Exists"}]);
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}}, "spec": spec})
}

fn manifest(row: &Row) -> Value {
    let mut pod = pod(row, &row.name, &row.spec);
    if let Some(metadata) = pod["metadata"].as_object_mut() {
        metadata.extend(row.metadata.clone());
    }
    if !row.deployment {
        return pod;
    }
    let labels = json!({"app": row.name});
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": row.name},
        "spec": {"replicas": 1, "selector": {"matchLabels": labels},
                 "template": {"metadata": {"labels": labels}, "spec": pod["spec"]}},
    })
}

/// The pod of the row: of a Deployment, the newest.
fn the_pod(namespace: &Namespace<'_>, row: &Row) -> Result<Value> {
    if !row.deployment {
        return namespace.get(&["pod", &row.name]);
    }
    let pods = namespace.get(&["pods", "-l", &format!("app={}", row.name)])?;
    let made = |pod: &Value| pod["metadata"]["creationTimestamp"].as_str().map(str::to_owned);
    let newest = pods["items"].as_array().and_then(|pods| pods.iter().max_by_key(|pod| made(pod)));
    newest.cloned().context("no pod of the Deployment")
}

/// Whether the next death came as it was foretold, within the share of the time until then that the row allows.
fn forecast(namespace: &Namespace<'_>, row: &Row, pod: &Value, document: &Value) -> Option<String> {
    let share = row.expect["forecastWithin"].as_f64()?;
    let time = |text: &Value| text.as_str()?.parse::<jiff::Timestamp>().ok();
    let asked = jiff::Timestamp::now();
    let Some(due) = time(&chosen(&row.expect, document)["death"]["forecast"]) else {
        return Some("no forecast".to_owned());
    };
    let restarts = |pod: &Value| pod.pointer("/status/containerStatuses/0/restartCount").and_then(Value::as_u64);
    let before = restarts(pod);
    let died = wait(FORETOLD, "the next death", || Ok(restarts(&the_pod(namespace, row)?) > before));
    let pod = died.and_then(|()| the_pod(namespace, row));
    let at = pod.map(|pod| pod.pointer("/status/containerStatuses/0/lastState/terminated/finishedAt").and_then(time));
    match at {
        Ok(Some(at)) => {
            let (real, told) = (at.duration_since(asked).as_secs_f64(), due.duration_since(asked).as_secs_f64());
            let text = format!("foretold in {told:.0} s, came in {real:.0} s");
            say(&format!("{}: {text}", row.name));
            ((told / real - 1.0).abs() > share).then_some(text)
        }
        Ok(None) => Some("no time of death".to_owned()),
        Err(error) => Some(format!("{error:#}")),
    }
}

fn wait_until(namespace: &Namespace<'_>, row: &Row, fresh: &dyn Fn() -> Result<String>) -> Result<()> {
    let word = match &row.until {
        Until::Seconds(seconds) => {
            std::thread::sleep(Duration::from_secs(*seconds));
            return Ok(());
        }
        Until::Word(word) => word.as_str(),
    };
    let begin = Instant::now();
    let deadline = if row.machine == "full" { FULL } else { DEADLINE };
    wait(deadline, &format!("{} is {word}", row.name), || {
        let pod = the_pod(namespace, row)?;
        let empty = Vec::new();
        let containers = pod["status"]["containerStatuses"].as_array().unwrap_or(&empty);
        Ok(match word {
            "ended" => containers.iter().any(|status| status["state"]["terminated"].is_object()),
            "restarted" => containers.iter().any(|status| status["restartCount"].as_u64() > Some(0)),
            "killed" => fresh()?.contains("Killed process"),
            _ => bail!("until: {word} is not known"),
        })
    })
    .with_context(|| format!("after {} s", begin.elapsed().as_secs()))
}

/// The raw records of a node's kernel: the virtual machine sends them all the time, the machine's own are read anew.
fn kernel_log(node: &str) -> Result<String> {
    if node == "v1" {
        let bytes =
            fs::read("/run/reckon-testbed/state/v1/kmsg.txt").context("the virtual node is not up: testbed/vm-up")?;
        return Ok(String::from_utf8_lossy(&bytes).into_owned());
    }
    let dd = ["if=/dev/kmsg", "iflag=nonblock", "bs=8192", "status=none"];
    Ok(String::from_utf8_lossy(&Command::new("dd").args(dd).output()?.stdout).into_owned())
}

/// The number of a record; a line that continues one has none.
fn sequence(line: &str) -> Option<u64> {
    line.split(',').nth(1).filter(|_| !line.starts_with(' ')).and_then(|number| number.parse().ok())
}

fn last_sequence(log: &str) -> Option<u64> {
    log.lines().rev().find_map(sequence)
}

/// The records behind that number. Not by length: the kernel forgets its oldest records as new ones come.
fn after(log: &str, before: Option<u64>) -> String {
    let fresh = |line: &&str| sequence(line).is_none_or(|number| Some(number) <= before);
    let lines: Vec<&str> = log.lines().skip_while(fresh).collect();
    lines.join("\n")
}

/// A bundle of the namespace with what the node's kernel said and counted.
fn record(namespace: &Namespace<'_>, row: &Row, pod: &Value, kernel: &str) -> Result<()> {
    let target = place("recordings").join(format!("{:02}-{}", row.row, row.name));
    if target.exists() {
        fs::remove_dir_all(&target)?;
    }
    let path = target.to_string_lossy().into_owned();
    let answer = Reckon::run(
        namespace.cluster().kubeconfig(),
        &["capture", &subject(row), "-n", namespace.name(), "-o", &path],
    )?;
    if answer.code != Some(0) {
        bail!("reckon capture: {}", answer.stderr.trim());
    }
    let node = target.join("nodes").join(&row.node);
    fs::create_dir_all(node.join("cgroups"))?;
    fs::write(node.join("kmsg.txt"), shortened(kernel))?;
    let uid = pod["metadata"]["uid"].as_str().context("a pod without uid")?;
    fs::write(node.join("cgroups/memory.txt"), shortened(&groups(&row.node, uid)?))?;
    Ok(())
}

/// The first bytes, up to the end of a line.
fn shortened(text: &str) -> &str {
    let mut end = text.len().min(LARGEST);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    if end < text.len() {
        text.get(..end).and_then(|cut| cut.rsplit_once('\n')).map_or("", |(cut, _)| cut)
    } else {
        text
    }
}

/// The memory files of the pod's groups. Of the virtual machine, where each change is sent: the first and the last state
/// of each group; of the machine itself: as they are now, nothing of a group that has gone.
fn groups(node: &str, uid: &str) -> Result<String> {
    let mut text = String::new();
    if node == "v1" {
        let all = String::from_utf8_lossy(&fs::read("/run/reckon-testbed/state/v1/groups.txt")?).into_owned();
        let blocks: Vec<&str> = all.split("##### ").filter(|block| of_pod(block, uid)).collect();
        let path = |block: &str| block.lines().next().and_then(|line| line.rsplit(' ').next()).map(str::to_owned);
        for (at, block) in blocks.iter().enumerate() {
            let same = |other: &&str| path(other) == path(block);
            let first = !blocks.iter().take(at).any(same);
            let last = !blocks.iter().skip(at + 1).any(same);
            if first || last {
                write!(text, "##### {block}")?;
            }
        }
        return Ok(text);
    }
    let top = format!("/sys/fs/cgroup/memory/reckon-testbed/{node}/kubepods");
    let mut dirs = vec![PathBuf::from(top)];
    while let Some(dir) = dirs.pop() {
        let inside = of_pod(&dir.to_string_lossy(), uid);
        if inside {
            writeln!(text, "##### {}", dir.display())?;
        }
        for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                dirs.push(path);
            } else if inside {
                file(&mut text, &path)?;
            }
        }
    }
    Ok(text)
}

fn of_pod(text: &str, uid: &str) -> bool {
    text.lines().next().is_some_and(|line| line.contains(uid))
}

fn file(text: &mut String, path: &Path) -> Result<()> {
    const FILES: [&str; 6] = [
        "memory.usage_in_bytes",
        "memory.max_usage_in_bytes",
        "memory.limit_in_bytes",
        "memory.failcnt",
        "memory.oom_control",
        "memory.stat",
    ];
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if FILES.contains(&name.as_ref()) {
        write!(text, "=== {name}\n{}", fs::read_to_string(path).unwrap_or_default())?;
    }
    Ok(())
}

/// What `kubectl describe` shows of the containers.
fn status(pod: &Value) -> String {
    let mut parts = vec![pod["status"]["phase"].as_str().unwrap_or("?").to_owned()];
    for container in pod["status"]["containerStatuses"].as_array().into_iter().flatten() {
        let name = container["name"].as_str().unwrap_or("?");
        let mut part = format!("{name} restarts {}", container["restartCount"]);
        for key in ["state", "lastState"] {
            for (state, fields) in container[key].as_object().into_iter().flatten() {
                write!(part, ", {key} {state}").unwrap_or_default();
                if let Some(reason) = fields["reason"].as_str() {
                    write!(part, " {reason} {}", fields["exitCode"]).unwrap_or_default();
                }
            }
        }
        parts.push(part);
    }
    parts.join("; ")
}

fn told(expect: &Value, document: &Value) -> String {
    let problem = chosen(expect, document);
    if problem.is_null() {
        return format!("no problem ({})", document["answer"].as_str().unwrap_or("?"));
    }
    let death = &problem["death"];
    let words = [&problem["failure"], &problem["class"], &death["scope"], &death["effect"], &death["memoryKind"]];
    words.map(|word| word.as_str().unwrap_or("–")).join(" / ")
}

/// The problem that is expected, else the first.
fn chosen<'a>(expect: &Value, document: &'a Value) -> &'a Value {
    let mut all = document["problems"].as_array().into_iter().flatten();
    all.find(|problem| problem["failure"] == expect["failure"]).unwrap_or(&document["problems"][0])
}

/// What in the answer is not as expected. `not` forbids a failure, `none` every one.
fn differences(expect: &Value, document: &Value) -> Vec<String> {
    let problem = chosen(expect, document);
    let mut wrong = Vec::new();
    if expect["none"] == true && !problem.is_null() {
        return vec![format!("{} is not what happened", problem["failure"])];
    }
    if let Some(forbidden) = expect["not"].as_str() {
        let found =
            document["problems"].as_array().into_iter().flatten().any(|problem| problem["failure"] == forbidden);
        return if found { vec![format!("{forbidden} is not what happened")] } else { wrong };
    }
    let mut compare = |what: &str, wanted: &Value, got: &Value| {
        if wanted != got {
            wrong.push(format!("{what} is {got}, not {wanted}"));
        }
    };
    for key in ["failure", "class", "verdict"] {
        if !expect[key].is_null() {
            compare(key, &expect[key], &problem[key]);
        }
    }
    for (key, wanted) in expect["cause"].as_object().into_iter().flatten() {
        compare(key, wanted, &problem["cause"][key]);
    }
    if !expect["problems"].is_null() {
        let alike = document["problems"].as_array().into_iter().flatten();
        let alike = alike.filter(|problem| ["failure", "class"].iter().all(|key| problem[key] == expect[key])).count();
        compare("problems", &expect["problems"], &json!(alike));
    }
    for (key, wanted) in expect["death"].as_object().into_iter().flatten() {
        let got = &problem["death"][key];
        // Of another pod the namespace stands before its name, and that is of the run.
        let named = got.as_str().zip(wanted.as_str()).is_some_and(|(got, wanted)| got.ends_with(wanted));
        compare(key, wanted, if key == "consumer" && named { wanted } else { got });
    }
    wrong
}
