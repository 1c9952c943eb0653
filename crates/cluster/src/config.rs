//! How to reach a cluster: kubeconfig files, overrides and the environment of a pod, by the rules of kubectl.

use crate::proxy::{self, ProxyVariables};
use kube::Config;
use kube::config::{AuthInfo, KubeConfigOptions, Kubeconfig, KubeconfigError};
use reckon_model::Obstacle;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How to reach a cluster: what the command line was given.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// `--kubeconfig`: this file and no other.
    pub kubeconfig: Option<PathBuf>,
    /// `--context`.
    pub context: Option<String>,
    /// `--cluster`: another cluster entry than the context's.
    pub cluster: Option<String>,
    /// `--user`: another user entry than the context's.
    pub user: Option<String>,
    /// `--as`: the user to act as.
    pub as_user: Option<String>,
    /// `--as-group`: the groups to act as.
    pub as_groups: Vec<String>,
    /// `--request-timeout`: for one request, its whole answer included. Watches are not bound by it.
    pub request_timeout: Option<Duration>,
    /// Keep all of every object in [`reckon_model::Object::whole`], for writing it down again.
    pub keep_whole: bool,
}

/// Why there is no connection to try. Reads as a fragment after "failed to".
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// None of the places holds one, and this is not a pod.
    #[error("find a kubeconfig: {looked}; set KUBECONFIG or give --kubeconfig")]
    NoKubeconfig {
        /// Where it was looked for.
        looked: String,
    },
    /// The file is there and cannot be read, or was named and is not there.
    #[error("read the kubeconfig {}: {source}", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not a kubeconfig.
    #[error("understand the kubeconfig {}: {why}", file.display())]
    Invalid {
        /// The file.
        file: PathBuf,
        /// Where and what.
        why: String,
    },
    /// Neither the kubeconfig nor the command line names a context.
    #[error("choose a context: the kubeconfig has no current-context; give --context, one of: {}", known.join(", "))]
    NoContext {
        /// The contexts there are.
        known: Vec<String>,
    },
    /// There is no such context, cluster or user entry.
    #[error("find the {what} {name:?} in the kubeconfig; it has: {}", if known.is_empty() { "none".to_owned() } else { known.join(", ") })]
    Unknown {
        /// `context`, `cluster` or `user`.
        what: &'static str,
        /// What was asked for.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// `--as-group` without `--as`.
    #[error("act as a group without a user: --as-group needs --as")]
    GroupWithoutUser,
    /// The server's or the proxy's address is no URL.
    #[error("use {url:?} as the {what}: it is not a valid URL")]
    BadUrl {
        /// `server` or `proxy-url`.
        what: &'static str,
        /// As written.
        url: String,
    },
    /// A certificate or key of the kubeconfig cannot be used.
    #[error("use the kubeconfig's credentials: {why}")]
    Credentials {
        /// What is wrong with them.
        why: String,
    },
    /// A credential plug-in or the identity provider has given none.
    #[error("get credentials: {why}")]
    NoCredentials {
        /// What was refused, or went wrong on the way.
        why: String,
    },
    /// In a pod whose service account is not mounted.
    #[error("use the service account of this pod: {why}")]
    InCluster {
        /// What is missing.
        why: String,
    },
}

impl ConnectError {
    /// What kind of failure it is.
    pub fn obstacle(&self) -> Obstacle {
        match self {
            ConnectError::NoCredentials { .. } | ConnectError::InCluster { .. } => Obstacle::Unauthenticated,
            _ => Obstacle::Usage,
        }
    }
}

/// What of the process decides; an argument, so that tests need not change the process.
#[derive(Clone, Debug, Default)]
pub(crate) struct Environment {
    pub(crate) kubeconfig: Option<OsString>,
    pub(crate) home: Option<PathBuf>,
    pub(crate) in_cluster: bool,
    pub(crate) proxy: ProxyVariables,
}

impl Environment {
    pub(crate) fn of_process() -> Self {
        Environment {
            kubeconfig: std::env::var_os("KUBECONFIG"),
            home: std::env::home_dir(),
            in_cluster: std::env::var_os("KUBERNETES_SERVICE_HOST").is_some(),
            proxy: ProxyVariables::of_process(),
        }
    }
}

/// What was decided.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) config: Config,
    pub(crate) context: Option<String>,
}

/// The names of the contexts in the kubeconfig, in its order, and the current one: for completion and for
/// `--all-contexts`.
pub fn contexts(options: &Options) -> Result<(Vec<String>, Option<String>), ConnectError> {
    let kubeconfig = read(options, &Environment::of_process())?.unwrap_or_default();
    let names = kubeconfig.contexts.into_iter().map(|context| context.name).collect();
    Ok((names, kubeconfig.current_context.filter(|name| !name.is_empty())))
}

/// Decides how to reach the cluster. Reads files, asks nobody.
pub(crate) async fn target(options: &Options, env: &Environment) -> Result<Target, ConnectError> {
    if options.as_user.is_none() && !options.as_groups.is_empty() {
        return Err(ConnectError::GroupWithoutUser);
    }
    let kubeconfig = read(options, env)?;
    let (mut config, context, proxy_url) = match kubeconfig {
        Some(kubeconfig) if !is_empty(&kubeconfig) || !env.in_cluster => from_kubeconfig(kubeconfig, options).await?,
        None if !env.in_cluster => return Err(ConnectError::NoKubeconfig { looked: looked(env) }),
        _ => {
            let config = Config::incluster().map_err(|error| ConnectError::InCluster { why: error.to_string() })?;
            (config, None, None)
        }
    };
    token_of_file(&mut config.auth_info);
    config.proxy_url = proxy::choose(&config.cluster_url, proxy_url.as_deref(), &env.proxy)
        .map_err(|url| ConnectError::BadUrl { what: "proxy-url", url })?;
    if let Some(user) = &options.as_user {
        config.auth_info.impersonate = Some(user.clone());
        config.auth_info.impersonate_groups = Some(options.as_groups.clone());
    }
    // Retries are this crate's own: kube's would hide `Retry-After` and wait without a bound.
    config.default_retry = false;
    // Zero means no limit, as it does for kubectl.
    let limit = options.request_timeout.filter(|limit| !limit.is_zero());
    config.connect_timeout = Some(limit.map_or(CONNECT_TIMEOUT, |limit| limit.min(CONNECT_TIMEOUT)));
    config.write_timeout = Some(Duration::from_secs(60));
    Ok(Target { config, context })
}

/// SYN is repeated after 1, 3 and 7 s; a server that has not answered then is not there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

fn is_empty(kubeconfig: &Kubeconfig) -> bool {
    kubeconfig.contexts.is_empty() && kubeconfig.clusters.is_empty()
}

async fn from_kubeconfig(
    mut kubeconfig: Kubeconfig,
    options: &Options,
) -> Result<(Config, Option<String>, Option<String>), ConnectError> {
    let known: Vec<String> = kubeconfig.contexts.iter().map(|context| context.name.clone()).collect();
    let name = match options.context.clone().or_else(|| kubeconfig.current_context.clone()) {
        Some(name) if !name.is_empty() => name,
        _ => return Err(ConnectError::NoContext { known }),
    };
    let context = kubeconfig
        .contexts
        .iter()
        .find(|context| context.name == name)
        .and_then(|context| context.context.clone())
        .ok_or_else(|| ConnectError::Unknown { what: "context", name: name.clone(), known })?;
    let cluster_name = options.cluster.as_ref().unwrap_or(&context.cluster);
    let known: Vec<String> = kubeconfig.clusters.iter().map(|cluster| cluster.name.clone()).collect();
    let cluster = kubeconfig
        .clusters
        .iter_mut()
        .find(|cluster| &cluster.name == cluster_name)
        .and_then(|cluster| cluster.cluster.as_mut())
        .ok_or_else(|| ConnectError::Unknown { what: "cluster", name: cluster_name.clone(), known })?;
    // Taken out, so that kube does not decide about the proxy.
    let proxy_url = cluster.proxy_url.take();
    if let Some(user) = options.user.as_ref().or(context.user.as_ref()).filter(|user| !user.is_empty())
        && !kubeconfig.auth_infos.iter().any(|known| &known.name == user)
    {
        let known = kubeconfig.auth_infos.iter().map(|user| user.name.clone()).collect();
        return Err(ConnectError::Unknown { what: "user", name: user.clone(), known });
    }
    let server = cluster_server(&kubeconfig, cluster_name);
    let chosen =
        KubeConfigOptions { context: Some(name.clone()), cluster: options.cluster.clone(), user: options.user.clone() };
    let config = Config::from_custom_kubeconfig(kubeconfig, &chosen).await.map_err(|error| match error {
        KubeconfigError::MissingClusterUrl | KubeconfigError::ParseClusterUrl(_) => {
            ConnectError::BadUrl { what: "server", url: server }
        }
        // The environment's proxy is chosen afterwards, by our own rules.
        KubeconfigError::ParseProxyUrl(_) | KubeconfigError::ParseNoProxy(_) => {
            ConnectError::BadUrl { what: "proxy-url", url: "HTTPS_PROXY or NO_PROXY".to_owned() }
        }
        other => ConnectError::Credentials { why: other.to_string() },
    })?;
    Ok((config, Some(name), proxy_url))
}

/// As kubectl reads a token file: it goes before a token beside it, and white space around the token is none of it. What
/// stands in a file without any is left to kube, which reads it again and again.
fn token_of_file(user: &mut AuthInfo) {
    let Some(text) = user.token_file.as_ref().and_then(|file| std::fs::read_to_string(file).ok()) else { return };
    let token = text.trim();
    user.token = (token.len() < text.len()).then(|| token.to_owned().into());
}

fn cluster_server(kubeconfig: &Kubeconfig, name: &str) -> String {
    let cluster = kubeconfig.clusters.iter().find(|cluster| cluster.name == name);
    cluster.and_then(|cluster| cluster.cluster.as_ref()?.server.clone()).unwrap_or_default()
}

/// The kubeconfig: the file of the command line, else the files of `KUBECONFIG` merged, else `~/.kube/config`. Files of
/// the latter two that do not exist are passed over, as kubectl does; `None` if there is none at all.
fn read(options: &Options, env: &Environment) -> Result<Option<Kubeconfig>, ConnectError> {
    if let Some(file) = &options.kubeconfig {
        return read_file(file).map(|read| Some(without_empty(read)));
    }
    let mut merged: Option<Kubeconfig> = None;
    for file in candidates(env) {
        let next = match read_file(&file).map(without_empty) {
            Ok(next) => next,
            Err(ConnectError::Unreadable { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        merged = Some(match merged {
            None => next,
            Some(merged) => {
                merged.merge(next).map_err(|error| ConnectError::Invalid { file, why: error.to_string() })?
            }
        });
    }
    Ok(merged)
}

/// Empty text is unset, as it is for kubectl, which writes it so.
fn without_empty(mut kubeconfig: Kubeconfig) -> Kubeconfig {
    fn drop_empty(value: &mut Option<String>) {
        value.take_if(|text| text.is_empty());
    }
    drop_empty(&mut kubeconfig.current_context);
    for context in kubeconfig.contexts.iter_mut().filter_map(|named| named.context.as_mut()) {
        drop_empty(&mut context.namespace);
    }
    for cluster in kubeconfig.clusters.iter_mut().filter_map(|named| named.cluster.as_mut()) {
        for value in [
            &mut cluster.certificate_authority,
            &mut cluster.certificate_authority_data,
            &mut cluster.tls_server_name,
            &mut cluster.proxy_url,
        ] {
            drop_empty(value);
        }
    }
    for user in kubeconfig.auth_infos.iter_mut().filter_map(|named| named.auth_info.as_mut()) {
        for value in [
            &mut user.token_file,
            &mut user.client_certificate,
            &mut user.client_certificate_data,
            &mut user.client_key,
            &mut user.impersonate,
        ] {
            drop_empty(value);
        }
    }
    kubeconfig
}

fn candidates(env: &Environment) -> Vec<PathBuf> {
    let named: Vec<PathBuf> = env
        .kubeconfig
        .iter()
        .flat_map(|value| std::env::split_paths(value).collect::<Vec<_>>())
        .filter(|path| !path.as_os_str().is_empty())
        .collect();
    if named.is_empty() { env.home.iter().map(|home| home.join(".kube").join("config")).collect() } else { named }
}

fn looked(env: &Environment) -> String {
    let places: Vec<String> = candidates(env).iter().map(|path| path.display().to_string()).collect();
    match places.as_slice() {
        [] => "there is no home directory and KUBECONFIG is not set".to_owned(),
        places => format!("there is no file {}", places.join(" or ")),
    }
}

fn read_file(file: &Path) -> Result<Kubeconfig, ConnectError> {
    Kubeconfig::read_from(file).map_err(|error| match error {
        KubeconfigError::ReadConfig(source, file) => ConnectError::Unreadable { file, source },
        // The parser quotes the lines around an error, which may hold a token; only its first line is kept.
        other => ConnectError::Invalid {
            file: file.to_owned(),
            why: other.to_string().lines().next().unwrap_or("not YAML").to_owned(),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = "apiVersion: v1\nkind: Config\ncurrent-context: one\ncontexts:\n- name: one\n  context: {cluster: a, user: u, namespace: shop}\n- name: two\n  context: {cluster: a, user: nobody}\nclusters:\n- name: a\n  cluster: {server: 'https://one.example:6443', proxy-url: 'http://proxy.example:3128'}\nusers:\n- name: u\n  user: {token: t}\n";
    const SECOND: &str = "apiVersion: v1\nkind: Config\ncurrent-context: three\ncontexts:\n- name: three\n  context: {cluster: b, user: u}\nclusters:\n- name: b\n  cluster: {server: 'https://two.example'}\n";

    struct Files {
        dir: tempfile::TempDir,
        env: Environment,
    }

    fn files() -> Files {
        let dir = tempfile::tempdir().unwrap();
        let paths = ["missing", "first", "second"].map(|name| dir.path().join(name));
        std::fs::write(&paths[1], FIRST).unwrap();
        std::fs::write(&paths[2], SECOND).unwrap();
        let env = Environment {
            kubeconfig: Some(std::env::join_paths(paths).unwrap()),
            home: Some(dir.path().to_owned()),
            ..Environment::default()
        };
        Files { dir, env }
    }

    #[tokio::test]
    async fn several_files_are_merged_and_missing_ones_passed_over() {
        let Files { env, dir: _dir } = files();
        let first = target(&Options::default(), &env).await.unwrap();
        assert_eq!((first.context.as_deref(), first.config.default_namespace.as_str()), (Some("one"), "shop"));
        assert_eq!(first.config.proxy_url.unwrap().to_string(), "http://proxy.example:3128/");
        let options = Options { context: Some("three".into()), ..Options::default() };
        let third = target(&options, &env).await.unwrap();
        assert_eq!(third.config.cluster_url.to_string(), "https://two.example/");
        assert_eq!(third.config.proxy_url, None);
    }

    #[tokio::test]
    async fn a_token_file_goes_before_a_token_and_may_end_in_a_newline() {
        let Files { env, dir } = files();
        let file = dir.path().join("token");
        for (text, inline) in [("of-file\n", Some("of-file")), ("of-file", None)] {
            std::fs::write(&file, text).unwrap();
            let user = format!("{{token: t, tokenFile: {}}}", file.display());
            std::fs::write(dir.path().join("first"), FIRST.replace("{token: t}", &user)).unwrap();
            let user = target(&Options::default(), &env).await.unwrap().config.auth_info;
            assert_eq!(serde_json::to_value(&user).unwrap()["token"].as_str(), inline);
            assert_eq!(user.token_file.as_deref(), file.to_str());
        }
    }

    #[tokio::test]
    async fn overrides_replace_the_contexts_cluster_and_act_as_others() {
        let Files { env, dir: _dir } = files();
        let options = Options {
            cluster: Some("b".into()),
            as_user: Some("jane".into()),
            as_groups: vec!["devs".into()],
            ..Options::default()
        };
        let config = target(&options, &env).await.unwrap().config;
        assert_eq!(config.cluster_url.host(), Some("two.example"));
        assert_eq!(config.auth_info.impersonate.as_deref(), Some("jane"));
        let options = Options { as_groups: vec!["devs".into()], ..Options::default() };
        assert!(matches!(target(&options, &env).await, Err(ConnectError::GroupWithoutUser)));
    }

    #[tokio::test]
    async fn what_is_missing_is_named_with_what_there_is() {
        let Files { env, dir } = files();
        let ask = |options: Options| {
            let env = env.clone();
            async move { target(&options, &env).await.unwrap_err().to_string() }
        };
        let options = |context: &str| Options { context: Some(context.into()), ..Options::default() };
        assert_eq!(
            ask(options("nowhere")).await,
            "find the context \"nowhere\" in the kubeconfig; it has: one, two, three"
        );
        assert!(ask(options("two")).await.starts_with("find the user \"nobody\""));
        let cluster = Options { cluster: Some("c".into()), ..Options::default() };
        assert_eq!(ask(cluster).await, "find the cluster \"c\" in the kubeconfig; it has: a, b");
        let missing = Options { kubeconfig: Some(dir.path().join("absent")), ..Options::default() };
        let text = ask(missing).await;
        assert!(text.starts_with("read the kubeconfig") && text.contains("absent"), "{text}");
    }

    #[tokio::test]
    async fn a_kubeconfig_that_is_none_is_named_without_quoting_it() {
        let Files { env, dir } = files();
        let file = dir.path().join("broken");
        std::fs::write(&file, "users:\n- name: u\n  user: {token: s3cr3t\ncontexts: [").unwrap();
        let options = Options { kubeconfig: Some(file), ..Options::default() };
        let error = target(&options, &env).await.unwrap_err();
        assert!(matches!(error, ConnectError::Invalid { .. }), "{error}");
        assert!(!error.to_string().contains("s3cr3t"), "{error}");
        assert_eq!(error.obstacle(), Obstacle::Usage);
    }

    #[tokio::test]
    async fn without_any_kubeconfig_the_places_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let env = Environment { home: Some(dir.path().to_owned()), ..Environment::default() };
        let error = target(&Options::default(), &env).await.unwrap_err();
        assert!(error.to_string().contains(".kube/config"), "{error}");
    }
}
