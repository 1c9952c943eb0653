//! How many bytes a question costs: a relay in front of the API server that counts what passes through it.

use anyhow::{Context, Result};
use serde_json::Value;
use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A relay to the API server of a kubeconfig. Its own kubeconfig leads through it.
#[derive(Debug)]
pub struct Meter {
    kubeconfig: PathBuf,
    received: Arc<AtomicU64>,
}

impl Meter {
    /// Starts a relay for this kubeconfig; it ends with the test.
    pub fn before(kubeconfig: &Path, name: &str) -> Result<Meter> {
        let mut config: Value = serde_saphyr::from_str(&fs::read_to_string(kubeconfig)?)?;
        let cluster = &mut config["clusters"][0]["cluster"];
        let server = cluster["server"].as_str().unwrap_or("").trim_start_matches("https://").to_owned();
        let host = server.split(':').next().unwrap_or("").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0")?;
        cluster["server"] = format!("https://{}", listener.local_addr()?).into();
        // TLS goes through untouched, so the certificate is still the server's.
        cluster["tls-server-name"] = host.into();
        let received = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&received);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (server, count) = (server.clone(), Arc::clone(&count));
                std::thread::spawn(move || relay(client, &server, &count));
            }
        });
        let place = crate::root().join("target/live");
        fs::create_dir_all(&place)?;
        let kubeconfig = place.join(format!("{name}.kubeconfig"));
        fs::write(&kubeconfig, config.to_string()).with_context(|| kubeconfig.display().to_string())?;
        Ok(Meter { kubeconfig, received })
    }

    /// The kubeconfig that leads through the relay.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// The bytes that the API server has sent since this was last asked, TLS included.
    pub fn received(&self) -> u64 {
        self.received.swap(0, Ordering::SeqCst)
    }
}

/// Passes bytes on in both directions until one side ends. What goes wrong ends the connection, which the program sees.
fn relay(client: TcpStream, server: &str, received: &AtomicU64) {
    let Ok(server) = TcpStream::connect(server) else { return };
    let _ = client.set_nodelay(true).and(server.set_nodelay(true));
    let (Ok(from_client), Ok(to_server)) = (client.try_clone(), server.try_clone()) else { return };
    let up = std::thread::spawn(move || pass(from_client, to_server, |_| {}));
    pass(server, client, |bytes| {
        received.fetch_add(bytes, Ordering::SeqCst);
    });
    let _ = up.join();
}

fn pass(mut from: TcpStream, mut to: TcpStream, mut count: impl FnMut(u64)) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        count(read as u64);
        if to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    let _ = (from.shutdown(Shutdown::Read), to.shutdown(Shutdown::Write));
}
