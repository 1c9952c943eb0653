//! The command line.

mod past;
mod serving;

pub(crate) use past::{DiffMoment, DiffOptions, ListingFormat, RecordOptions, TimelineOptions};
pub(crate) use serving::{AgentOptions, ServeOptions};

use crate::filter::{Field, fields};
use crate::jsonpath::Template;
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use reckon_model::selector::LabelSelector;
use std::path::PathBuf;

/// Tells why a Kubernetes workload is where it is, proves it, and helps to put it right.
#[derive(Debug, Parser)]
#[command(name = "reckon", disable_version_flag = true, subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Say why an object is where it is: verdict, evidence, impact, fixes
    #[command(
        after_help = "Examples:\n  reckon why pod/checkout-7d9f-x2k4 -n shop\n  reckon why deploy checkout\n  reckon why ns/shop -f bundle/"
    )]
    Why {
        /// TYPE/NAME, or TYPE NAME, in every spelling kubectl accepts
        #[arg(required = true, num_args = 1..=2, value_name = "TYPE/NAME")]
        target: Vec<String>,
        /// Also say what was considered as the cause and why it is not, and what the object names
        #[arg(short, long)]
        verbose: bool,
        #[command(flatten)]
        offline: Offline,
        #[command(flatten)]
        output: Output,
    },
    /// List everything that is wrong, grouped by root cause
    Problems {
        /// In all namespaces
        #[arg(short = 'A', long)]
        all_namespaces: bool,
        /// In every context of the kubeconfig, one answer after the other
        #[arg(long, conflicts_with_all = ["file", "watch", "context", "cluster", "user"])]
        all_contexts: bool,
        /// Go on watching: print problems as they open, change and close
        #[arg(short, long, conflicts_with_all = ["file", "exit_code"])]
        watch: bool,
        /// Only problems at least this severe
        #[arg(long, value_enum)]
        severity: Option<Severity>,
        /// Only problems that opened within this time, such as 30m or 6h
        #[arg(long, value_name = "DURATION", value_parser = duration)]
        since: Option<jiff::SignedDuration>,
        /// Only problems of workloads or pods with these labels, such as app=web,tier!=cache
        #[arg(short = 'l', long = "selector", value_name = "SELECTOR", value_parser = LabelSelector::parse)]
        labels: Option<LabelSelector>,
        /// Only problems of workloads with these fields: metadata.name, metadata.namespace
        #[arg(long = "field-selector", value_name = "SELECTOR", value_parser = fields, default_value = "", hide_default_value = true)]
        fields: std::vec::Vec<Field>,
        #[command(flatten)]
        offline: Offline,
        #[command(flatten)]
        output: Output,
    },
    /// Say what happened to an object and what it is made of, as far as a server's record or Kubernetes itself remembers, the
    /// newest last
    #[command(
        after_help = "Examples:\n  reckon timeline deploy/checkout -n shop\n  reckon timeline node/n1 --since 6h\n  reckon timeline ns/shop --since 30m -f bundle/"
    )]
    Timeline(TimelineOptions),
    /// Say what differs between two revisions of an object, two moments, or two clusters
    #[command(
        after_help = "Examples:\n  reckon diff deploy/checkout                          the last two revisions\n  reckon diff deploy/checkout --rev 41..42\n  reckon diff cm/settings --helm --rev 7               the chart's revision 7 with what is now\n  reckon diff deploy/checkout --at 13:50..14:10\n  reckon diff deploy/checkout --contexts staging,prod\n\nExit codes as those of kubectl diff: 0 nothing differs, 1 something does, more for an error."
    )]
    Diff(DiffOptions),
    /// Carry a remedy out: show what the server would make of it, and with --apply do it
    #[command(
        after_help = "Examples:\n  reckon fix 7f3k -n shop\n  reckon fix 7f3k --option 2 --apply -n shop\n  reckon fix deploy/checkout --apply --yes"
    )]
    Fix(FixOptions),
    /// Print the page of a failure, a reason (OOMKilled), an exit code (137) or an HTTP status (503)
    Explain {
        /// What to explain; without it, everything there is a page for
        failure: Option<String>,
    },
    /// Write a redacted bundle that gives the same verdict with -f
    Capture {
        /// TYPE/NAME to capture with its surroundings; without it, the namespace or the cluster
        #[arg(num_args = 0..=2, value_name = "TYPE/NAME")]
        target: Vec<String>,
        /// The directory to write; must be empty or not exist
        #[arg(short = 'o', long = "output-dir", value_name = "DIR")]
        directory: PathBuf,
        /// All namespaces
        #[arg(short = 'A', long)]
        all_namespaces: bool,
    },
    /// Check what Reckon can reach and read, and what each gap costs
    Doctor {
        /// Check the rights for all namespaces
        #[arg(short = 'A', long)]
        all_namespaces: bool,
        #[command(flatten)]
        output: Data,
    },
    /// Keep the record of this cluster, and of those whose agents send theirs, and serve it over HTTP
    #[command(
        after_help = "Examples:\n  reckon serve\n  reckon serve --no-cluster --listen 0.0.0.0:7325 --name reckon.example.com\n  reckon serve --database postgres://reckon@db.example.com/reckon --listen 0.0.0.0:7325 --name reckon.example.com"
    )]
    Serve(ServeOptions),
    /// Follow a cluster and send its record to a server
    #[command(
        after_help = "Examples:\n  reckon agent --server https://reckon.example.com --token-file token --data-dir /var/lib/reckon"
    )]
    Agent(AgentOptions),
    /// Say what the kernel of a node tells about memory: kills for want of it, whose limit it was, what filled it
    #[command(
        after_help = "Examples:\n  dmesg | reckon node --kmsg -\n  reckon node --kmsg /var/log/kern.log -o json\n  reckon node --print      what the DaemonSet of deploy/node.yaml runs"
    )]
    Node(NodeOptions),
    /// Try Reckon out: a company in a simulated cluster on this machine, in which things go wrong
    #[command(after_help = "Examples:\n  reckon demo\n  reckon demo --kubeconfig-out demo.kubeconfig --speed 600")]
    Demo(DemoOptions),
    /// Print the versions of Reckon and of the server
    Version {
        /// Only Reckon's own
        #[arg(long)]
        client: bool,
        #[command(flatten)]
        output: Data,
    },
    /// Print a completion script for a shell
    Completion {
        /// The shell
        shell: Shell,
    },
}

/// Flags that every command takes.
#[derive(Clone, Debug, Args)]
pub(crate) struct Global {
    /// The kubeconfig file
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) context: Option<String>,
    /// The cluster of the kubeconfig
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) cluster: Option<String>,
    /// The user of the kubeconfig
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) user: Option<String>,
    /// The namespace
    #[arg(short, long, global = true, value_name = "NAME")]
    pub(crate) namespace: Option<String>,
    /// Act as this user
    #[arg(long = "as", global = true, value_name = "USER")]
    pub(crate) as_user: Option<String>,
    /// Act as a member of this group; may be repeated
    #[arg(long = "as-group", global = true, value_name = "GROUP")]
    pub(crate) as_groups: Vec<String>,
    /// Give up on a request after this time, such as 10s
    #[arg(long, global = true, value_name = "DURATION", value_parser = duration)]
    pub(crate) request_timeout: Option<jiff::SignedDuration>,
    /// When to colour
    #[arg(long, global = true, value_enum, default_value_t = Colour::Auto)]
    pub(crate) color: Colour,
    /// Show times in UTC (the default)
    #[arg(long, global = true, conflicts_with = "local")]
    pub(crate) utc: bool,
    /// Show times in the zone of this machine
    #[arg(long, global = true)]
    pub(crate) local: bool,
}

/// Where to read from, if not from the cluster.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Offline {
    /// Read a bundle, a file of objects, a cluster-info dump or - (standard input) instead of a cluster
    #[arg(short = 'f', long = "filename", value_name = "PATH")]
    pub(crate) file: Option<PathBuf>,
    /// The clock of the diagnosis with -f: a time, or +11m after the bundle's first change
    #[arg(long, value_name = "TIME", requires = "file", value_parser = moment)]
    pub(crate) at: Option<Moment>,
}

/// A moment on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// This time.
    Time(jiff::Timestamp),
    /// So long after the bundle's first change, or after its oldest time if it holds no changes.
    After(jiff::SignedDuration),
}

/// What of a node is read, and how it is told.
#[derive(Debug, Args)]
#[group(id = "what", required = true, multiple = false, args = ["kmsg", "print"])]
pub(crate) struct NodeOptions {
    /// Read a kernel log (/dev/kmsg records, dmesg or journal text; - for standard input) and print its out-of-memory episodes
    #[arg(long, value_name = "FILE")]
    pub(crate) kmsg: Option<PathBuf>,
    /// Watch this machine's kernel log and cgroups and print what they tell, one JSON object a line
    #[arg(long)]
    pub(crate) print: bool,
    /// Also ask the container runtime at this socket, such as unix:///run/containerd/containerd.sock, for the state of its
    /// containers: two reading methods of CRI, though the socket gives whoever can open it all of them
    #[arg(long, value_name = "SOCKET", requires = "print", value_parser = socket)]
    pub(crate) cri: Option<PathBuf>,
    /// The name of this node
    #[arg(long, value_name = "NAME", env = "NODE_NAME", default_value = "", hide_default_value = true)]
    pub(crate) node_name: String,
    /// Where the cgroups of the machine are
    #[arg(long, value_name = "DIR")]
    pub(crate) cgroup: Option<PathBuf>,
    /// Where its processes and counters are
    #[arg(long, value_name = "DIR", hide = true)]
    pub(crate) proc: Option<PathBuf>,
    /// Where its kernel log is
    #[arg(long, value_name = "FILE", hide = true)]
    pub(crate) device: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) output: Data,
}

/// Which remedy is carried out, and how far.
#[derive(Debug, Args)]
pub(crate) struct FixOptions {
    /// The id of a problem, as `problems` and `why` print it, or TYPE/NAME of what it is about
    #[arg(value_name = "ID")]
    pub(crate) problem: String,
    /// The number of the remedy; without it, the first that can be carried out
    #[arg(long, value_name = "N")]
    pub(crate) option: Option<u32>,
    /// Whether the server tries the change first and shows what it would be
    #[arg(long, value_enum, default_value_t = DryRun::Server)]
    pub(crate) dry_run: DryRun,
    /// Do it
    #[arg(long)]
    pub(crate) apply: bool,
    /// Do not ask first
    #[arg(short, long, requires = "apply")]
    pub(crate) yes: bool,
    /// Look for the problem in all namespaces
    #[arg(short = 'A', long)]
    pub(crate) all_namespaces: bool,
    #[command(flatten)]
    pub(crate) output: Data,
}

/// Who tries a change before it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DryRun {
    /// The API server, admission included; nothing is kept
    Server,
    /// Nobody
    None,
}

/// What the demonstration is like.
#[derive(Debug, Args)]
pub(crate) struct DemoOptions {
    /// Where to write the kubeconfig that leads there, and leave it; without it, a temporary one is written. A file that
    /// another program wrote is not written over
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig_out: Option<PathBuf>,
    /// The port of 127.0.0.1 to serve on; 0 takes one that is free
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    pub(crate) port: u16,
    /// How many times as fast as the clock the story is told
    #[arg(long, value_name = "TIMES", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub(crate) speed: u32,
    /// What names, addresses and the moments of incidents follow from
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub(crate) seed: u64,
}

/// How a report is written.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Data {
    /// The format of the report
    #[arg(short = 'o', long = "output", value_enum, default_value_t = DataFormat::Human, hide_default_value = true)]
    pub(crate) format: DataFormat,
}

/// A format of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DataFormat {
    /// For people
    Human,
    /// For programs
    Json,
    /// The same as YAML
    Yaml,
}

/// How the answer is written.
#[derive(Clone, Debug, Args)]
pub(crate) struct Output {
    /// Exit with 1 when problems were found
    #[arg(long)]
    pub(crate) exit_code: bool,
    /// The format of the answer: table (for people, the default), wide (nothing cut), json (the contract reckon/v1), yaml,
    /// name (one TYPE/NAME a line), or jsonpath=TEMPLATE over the JSON, as kubectl takes it
    #[arg(short = 'o', long = "output", value_name = "FORMAT", default_value = "table", hide_default_value = true, value_parser = format)]
    pub(crate) format: Format,
}

/// A format of the answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Format {
    /// For people
    Human,
    /// For people, nothing cut
    Wide,
    /// For programs: the contract reckon/v1
    Json,
    /// The same as YAML
    Yaml,
    /// One TYPE/NAME a line
    Name,
    /// What a template takes from the JSON
    JsonPath(Template),
}

/// When to colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Colour {
    /// On a terminal
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// A severity to filter by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Severity {
    /// Somebody suffers now
    Critical,
    /// Somebody will
    Warning,
    /// Worth knowing
    Info,
}

fn format(text: &str) -> Result<Format, String> {
    match text {
        "table" | "human" => Ok(Format::Human),
        "wide" => Ok(Format::Wide),
        "json" => Ok(Format::Json),
        "yaml" => Ok(Format::Yaml),
        "name" => Ok(Format::Name),
        _ => match text.strip_prefix("jsonpath=") {
            Some(template) => Template::parse(template).map(Format::JsonPath),
            None => Err("it is one of table, wide, json, yaml, name and jsonpath=TEMPLATE".to_owned()),
        },
    }
}

fn moment(text: &str) -> Result<Moment, String> {
    let wrong = || format!("{text:?} is no time; write 2026-01-31T12:00:00Z or +11m");
    match text.strip_prefix('+') {
        Some(span) => reckon_model::duration::parse(span).map(Moment::After).ok_or_else(wrong),
        None => text.parse().map(Moment::Time).map_err(|_| wrong()),
    }
}

/// As the kubelet's `containerRuntimeEndpoint` and `crictl` write it, or just the path.
fn socket(text: &str) -> Result<PathBuf, String> {
    let path = text.strip_prefix("unix://").unwrap_or(text);
    match path.starts_with('/') {
        true => Ok(path.into()),
        false => Err(format!("{text:?} is no socket; write unix:///run/containerd/containerd.sock")),
    }
}

fn duration(text: &str) -> Result<jiff::SignedDuration, String> {
    reckon_model::duration::parse(text).ok_or_else(|| format!("{text:?} is no duration; write 30s, 5m or 1h30m"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;
    use std::fmt::Write;
    use std::path::Path;

    #[test]
    fn the_arguments_do_not_contradict_each_other() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_socket_is_a_path_with_or_without_its_scheme() {
        for text in ["unix:///run/crio/crio.sock", "/run/crio/crio.sock"] {
            assert_eq!(socket(text), Ok("/run/crio/crio.sock".into()));
        }
        for text in ["", "crio.sock", "unix://crio.sock", "tcp://127.0.0.1:1", "npipe:////./pipe/x"] {
            assert!(socket(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_committed_command_line_reference_is_the_one_the_arguments_generate() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/cli.md");
        let generated = reference();
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&path, &generated).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(committed == generated, "{} is out of date; run the tests with UPDATE=1", path.display());
    }

    /// Every command's help as Markdown, and the exit codes.
    fn reference() -> String {
        let mut out =
            String::from("# Command line\n\nGenerated from the program; `reckon help COMMAND` prints the same.\n");
        let mut root = Cli::command().term_width(100);
        root.build();
        let _ = write!(out, "\n## reckon\n\n```text\n{}\n```\n", root.render_long_help().to_string().trim_end());
        for command in root.get_subcommands_mut().filter(|command| command.get_name() != "help") {
            let name = command.get_name().to_owned();
            let help = command.clone().term_width(100).render_long_help().to_string();
            let _ = write!(out, "\n## reckon {name}\n\n```text\n{}\n```\n", help.trim_end());
        }
        out.push_str(concat!(
            "\n## Exit codes\n\n| Code | Meaning |\n|---|---|\n",
            "| 0 | it ran; problems found is not failure |\n| 1 | problems were found, with `--exit-code`; for `diff`: something differs |\n",
            "| 2 | the command line, the kubeconfig or the bundle is wrong |\n| 3 | the cluster cannot be reached |\n",
            "| 4 | not authenticated or not allowed |\n| 5 | what was asked about does not exist |\n",
            "| 6 | a precondition was refused, such as a directory that is not empty |\n",
            "| 7 | a kind that was asked for could not be read; the rest was used |\n| 124 | it took too long |\n",
            "| 130 | interrupted |\n\nWhere several apply, the first of 2, 3, 4, 5, 7, 1, 0 is taken.\n"
        ));
        out.lines().map(str::trim_end).collect::<Vec<_>>().join("\n") + "\n"
    }
}
