//! A real PostgreSQL for as long as a test binary runs, from Debian's package, on a socket in a temporary directory.

use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Where Debian puts what is not in the path.
const DEBIAN: &str = "/usr/lib/postgresql";

/// Ends with its standard input, which ends with the test however that ends, and leaves nothing behind.
const KEEPER: &str = r#"
"$1/postgres" -D "$2/data" -k "$2" -c listen_addresses= -c fsync=off -c max_connections=400 -c shared_buffers=64MB \
    >"$2/log" 2>&1 &
read -r _
kill -QUIT $!
wait $!
rm -rf "$2"
"#;

struct Server {
    directory: PathBuf,
    keeper: Child,
}

impl Server {
    fn start() -> Server {
        let binaries = binaries();
        let directory = tempfile::Builder::new().prefix("reckon-pg-").tempdir().unwrap().keep();
        let data = directory.join("data");
        std::fs::create_dir(&data).unwrap();
        let user = user();
        for path in [&directory, &data] {
            std::fs::set_permissions(path, PermissionsExt::from_mode(0o700)).unwrap();
            if let Some((uid, gid)) = user {
                chown(path, Some(uid), Some(gid)).unwrap();
            }
        }
        let mut init = unprivileged(binaries.join("initdb"));
        init.args(["-U", "reckon", "-A", "trust", "-N", "--no-instructions", "-E", "UTF8", "--locale=C", "-D"])
            .arg(&data);
        let made = init.current_dir(&directory).output().unwrap();
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        let mut keeper = unprivileged(PathBuf::from("/bin/sh"));
        keeper.args(["-c", KEEPER, "keeper"]).args([&binaries, &directory]).current_dir(&directory);
        let keeper = keeper.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        Server { directory, keeper }
    }

    fn address(&self, database: &str, user: &str) -> String {
        format!("host={} dbname={database} user={user}", self.directory.display())
    }

    /// A new database.
    async fn database(&self) -> String {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let name = format!("case{}", MADE.fetch_add(1, Ordering::Relaxed));
        run(&self.address("postgres", "reckon"), &format!("CREATE DATABASE {name}")).await;
        self.address(&name, "reckon")
    }
}

/// Runs statements.
pub(crate) async fn run(address: &str, sql: &str) {
    // It takes a moment until the server listens.
    let (client, connection) = loop {
        match tokio_postgres::connect(address, tokio_postgres::NoTls).await {
            Ok(connected) => break connected,
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    };
    let running = tokio::spawn(connection);
    client.batch_execute(sql).await.unwrap();
    drop(client);
    running.await.unwrap().unwrap();
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.keeper.stdin.take().map(|mut input| input.write_all(b"\n"));
        let _ = self.keeper.wait();
    }
}

/// A database of the one server of this test binary.
pub(crate) async fn database() -> String {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(Server::start).database().await
}

fn binaries() -> PathBuf {
    let mut versions: Vec<PathBuf> = std::fs::read_dir(DEBIAN)
        .unwrap_or_else(|error| panic!("the package postgresql is missing ({DEBIAN}: {error}); see testbed/packages"))
        .map(|entry| entry.unwrap().path().join("bin"))
        .filter(|path| path.join("postgres").exists())
        .collect();
    versions.sort();
    versions.pop().unwrap_or_else(|| panic!("no postgres below {DEBIAN}"))
}

/// Whose PostgreSQL is where root runs the tests, which it refuses to be.
fn user() -> Option<(u32, u32)> {
    let root = std::fs::metadata(Path::new("/proc/self")).is_ok_and(|own| own.uid() == 0);
    root.then(|| {
        let text = std::fs::read_to_string("/etc/passwd").unwrap();
        let line = text.lines().find(|line| line.starts_with("postgres:")).unwrap();
        let numbers: Vec<u32> = line.split(':').filter_map(|part| part.parse().ok()).collect();
        (numbers[0], numbers[1])
    })
}

fn unprivileged(program: PathBuf) -> Command {
    match user() {
        None => Command::new(program),
        Some((uid, gid)) => {
            let mut command = Command::new("setpriv");
            command
                .args([format!("--reuid={uid}"), format!("--regid={gid}"), "--clear-groups".to_owned()])
                .arg(program);
            command
        }
    }
}
