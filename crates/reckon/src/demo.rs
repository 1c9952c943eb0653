//! `reckon demo`: a company in a simulated cluster in which things go wrong, on this machine and for as long as it runs.

use crate::args::DemoOptions;
use crate::exit::{Exit, Failure};
use crate::signals::terminated;
use crate::terminal::Terminal;
use jiff::{SignedDuration, Timestamp};
use reckon_demo::{Demo, Incident};
use reckon_model::kubectl;
use reckon_model::{duration, text};
use reckon_sim::Listener;
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;

/// How often time passes in the cluster.
const TICK: Duration = Duration::from_millis(100);

/// The first line of each kubeconfig that this writes: one that begins otherwise is somebody's.
const MARK: &str = "# Written by `reckon demo`; whatever is changed here is lost when it runs again.";

/// Runs until it is ended.
pub(crate) async fn run(options: &DemoOptions, terminal: &Terminal) -> Result<Exit, Failure> {
    let unheard = |error: io::Error| {
        Failure::new(Exit::Refused, format!("failed to listen on port {} of 127.0.0.1: {error}", options.port))
    };
    // What can be refused is refused before the company is made, which takes its time; who calls meanwhile waits.
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port)).await.map_err(unheard)?;
    let url = format!("http://{}", socket.local_addr().map_err(unheard)?);
    let kubeconfig = Kubeconfig::write(options.kubeconfig_out.as_deref(), &url)?;
    let (length, speed) = (Demo::length(), i32::try_from(options.speed).unwrap_or(1));
    // It ends at this machine's own time, at which the cluster then goes on: nobody meets times that are yet to come.
    let whole = length.checked_div(speed).unwrap_or(length);
    let begin = Timestamp::now().saturating_add(whole.saturating_sub(length)).unwrap_or(Timestamp::MIN);
    let mut demo = tokio::task::block_in_place(|| Demo::new(options.seed, begin));
    let began = Instant::now();
    let _listener = Listener::on(socket, demo.server().clone()).map_err(unheard)?;
    // Who reads that it runs may end it at once.
    let ended = terminated();
    terminal.data(&welcome(&demo, &url, &kubeconfig, terminal.program, options.speed))?;
    tokio::pin!(ended);
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = &mut ended => return Ok(Exit::Fine),
        }
        let told = demo.begun();
        tokio::task::block_in_place(|| demo.advance_to(time(&demo, began.elapsed(), speed)));
        for incident in demo.incidents().iter().take(demo.begun()).skip(told) {
            terminal.data(&line(incident, &at(&demo, incident), terminal.program))?;
        }
        if told < demo.incidents().len() && demo.begun() == demo.incidents().len() {
            terminal.data(
                "All of them have begun. The cluster stays as it is; what you put right gets well. Ctrl-C ends it.\n",
            )?;
        }
    }
}

/// The time of the cluster after so much of this machine's.
fn time(demo: &Demo, passed: Duration, speed: i32) -> Timestamp {
    let passed = SignedDuration::try_from(passed).unwrap_or(SignedDuration::MAX).saturating_mul(speed);
    if passed < Demo::length() {
        return demo.begin().saturating_add(passed).unwrap_or(Timestamp::MAX);
    }
    let end = demo.begin().saturating_add(Demo::length()).unwrap_or(Timestamp::MAX);
    Timestamp::now().max(end)
}

fn at(demo: &Demo, incident: &Incident) -> String {
    demo.begin().saturating_add(incident.after).map(|at| at.strftime("%H:%M UTC").to_string()).unwrap_or_default()
}

fn line(incident: &Incident, at: &str, program: &str) -> String {
    format!("{at}  {}\n           {program} why {}\n", incident.what, incident.question())
}

fn welcome(demo: &Demo, url: &str, kubeconfig: &Kubeconfig, program: &str, speed: u32) -> String {
    let counts = ["nodes", "deployments.apps", "statefulsets.apps", "daemonsets.apps", "cronjobs.batch", "pods"]
        .map(|resource| demo.server().world().objects(resource).count());
    let [nodes, deployments, sets, daemons, crons, pods] = counts;
    let path = kubectl::word(&kubeconfig.path.display().to_string());
    let stays = if kubeconfig.temporary { "it goes when this ends" } else { "it stays when this ends" };
    let mut out = format!(
        "Harbour Books, a company that does not exist, runs in a simulated cluster at {url}:\n{}, {} and {}. The kubeconfig is {path}; {stays}.\n\n",
        text::count(nodes, "node"),
        text::count(deployments + sets + daemons + crons, "workload"),
        text::count(pods, "pod"),
    );
    out.push_str(&format!(
        "  export KUBECONFIG={path}\n  {program} problems -A\n  {program} why deployment/checkout -n shop\n  kubectl get pods -A\n\n"
    ));
    let pace =
        if speed == 1 { "as fast as the clock".to_owned() } else { format!("{speed} times as fast as the clock") };
    let each = i32::try_from(speed).unwrap_or(1);
    out.push_str(&format!(
        "{} unfold within {} of the cluster, which pass {pace}; then it goes on at this machine's time.\n",
        text::count(demo.incidents().len(), "incident"),
        duration::short(Demo::length()),
    ));
    for incident in demo.incidents() {
        let wait = incident.after.checked_div(each).unwrap_or(incident.after);
        let wait = SignedDuration::from_secs(wait.as_secs());
        out.push_str(&format!("  in {:<4} {}\n", duration::short(wait), incident.what));
    }
    out.push('\n');
    out
}

/// The kubeconfig that leads to the demonstration. A temporary one goes with it.
struct Kubeconfig {
    path: PathBuf,
    temporary: bool,
}

impl Kubeconfig {
    fn write(wanted: Option<&Path>, url: &str) -> Result<Kubeconfig, Failure> {
        let kubeconfig = match wanted {
            Some(path) => Kubeconfig { path: path.to_owned(), temporary: false },
            None => {
                let place = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|place| place.is_dir());
                let place = place.unwrap_or_else(std::env::temp_dir);
                let path = place.join(format!("reckon-demo-{}.kubeconfig", std::process::id()));
                Kubeconfig { path, temporary: true }
            }
        };
        refuse_foreign(&kubeconfig.path)?;
        let unwritable = |error: io::Error| {
            let sentence = format!("failed to write the kubeconfig {}: {error}", kubeconfig.path.display());
            Failure::new(Exit::Refused, sentence)
        };
        match fs::remove_file(&kubeconfig.path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(unwritable(error)),
            _ => {}
        }
        let mut file = private().open(&kubeconfig.path).map_err(unwritable)?;
        let text = format!(
            "{MARK}\napiVersion: v1\nkind: Config\ncurrent-context: reckon-demo\nclusters:\n- name: reckon-demo\n  cluster: {{server: \"{url}\"}}\nusers:\n- name: reckon-demo\n  user: {{}}\ncontexts:\n- name: reckon-demo\n  context: {{cluster: reckon-demo, user: reckon-demo, namespace: shop}}\n"
        );
        file.write_all(text.as_bytes()).map_err(unwritable)?;
        Ok(kubeconfig)
    }
}

impl Drop for Kubeconfig {
    fn drop(&mut self) {
        if self.temporary {
            // Where it cannot be removed it leads nowhere any more.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// For a file that is not there, readable by its owner alone.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Refuses to write over what is not a demonstration's.
fn refuse_foreign(path: &Path) -> Result<(), Failure> {
    let refused = |why: String| Failure::new(Exit::Refused, format!("{} {why}", path.display()));
    match fs::read(path) {
        Ok(bytes) if bytes.starts_with(MARK.as_bytes()) => Ok(()),
        Ok(_) => Err(refused("is there and was not written by `reckon demo`: name another file".to_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(refused(format!("cannot be looked into, and may be somebody's: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_own_kubeconfig_is_written_over() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config");
        drop(Kubeconfig::write(Some(&path), "http://127.0.0.1:1").unwrap());
        drop(Kubeconfig::write(Some(&path), "http://127.0.0.1:2").unwrap());
        assert!(fs::read_to_string(&path).unwrap().contains("http://127.0.0.1:2"));
        fs::write(&path, "apiVersion: v1\nkind: Config\n").unwrap();
        let refused = Kubeconfig::write(Some(&path), "http://127.0.0.1:3").err().unwrap();
        assert_eq!(refused.exit, Exit::Refused);
        assert_eq!(fs::read_to_string(&path).unwrap(), "apiVersion: v1\nkind: Config\n");
        assert!(Kubeconfig::write(Some(directory.path()), "http://127.0.0.1:3").is_err());
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_may_read_it() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config");
        drop(Kubeconfig::write(Some(&path), "http://127.0.0.1:1").unwrap());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
