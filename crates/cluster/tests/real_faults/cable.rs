//! The cable between who follows and the API server: it can be pulled while others go on writing.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

pub(crate) struct Cable {
    out: Arc<AtomicBool>,
    pulled: Arc<Notify>,
    directory: tempfile::TempDir,
}

impl Cable {
    /// To the server of this kubeconfig.
    pub(crate) async fn to(kubeconfig: &Path) -> Cable {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut config = kube::config::Kubeconfig::read_from(kubeconfig).unwrap();
        let token = serde_json::from_str::<serde_json::Value>(&std::fs::read_to_string(kubeconfig).unwrap()).ok();
        let cluster = config.clusters[0].cluster.as_mut().unwrap();
        let server = cluster.server.replace(format!("https://127.0.0.1:{port}")).unwrap();
        let address = server.strip_prefix("https://").unwrap().to_owned();
        cluster.tls_server_name = address.split(':').next().map(str::to_owned);
        let directory = tempfile::tempdir().unwrap();
        let mut text = serde_json::to_value(&config).unwrap();
        // Whatever writes a secret down may hide it.
        if let Some(of_an_account) = token {
            text["users"] = of_an_account["users"].clone();
        }
        std::fs::write(directory.path().join("config"), text.to_string()).unwrap();
        let (out, pulled) = (Arc::new(AtomicBool::new(false)), Arc::new(Notify::new()));
        let (is_out, pull) = (out.clone(), pulled.clone());
        tokio::spawn(async move {
            while let Ok((mut here, _)) = listener.accept().await {
                let (address, pull) = (address.clone(), pull.clone());
                if is_out.load(Ordering::SeqCst) {
                    continue;
                }
                tokio::spawn(async move {
                    let Ok(mut there) = TcpStream::connect(&address).await else { return };
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut here, &mut there) => {}
                        () = pull.notified() => {}
                    }
                });
            }
        });
        Cable { out, pulled, directory }
    }

    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.directory.path().join("config")
    }

    pub(crate) fn pull(&self) {
        self.out.store(true, Ordering::SeqCst);
        self.pulled.notify_waiters();
    }

    pub(crate) fn plug(&self) {
        self.out.store(false, Ordering::SeqCst);
    }
}
