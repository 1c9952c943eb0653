//! HTTP/1.1 on loopback, and the kubeconfig that leads there.

use crate::server::Server;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

/// A listener on 127.0.0.1. It ends when this is dropped.
#[derive(Debug)]
pub struct Listener {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Listener {
    /// Serves on a port of 127.0.0.1; port 0 lets the system choose.
    pub async fn bind(server: Server, port: u16) -> io::Result<Listener> {
        Listener::on(TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?, server)
    }

    /// Serves on a socket that listens already: who calls before there is a server waits.
    pub fn on(listener: TcpListener, server: Server) -> io::Result<Listener> {
        let address = listener.local_addr()?;
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                // An error here is of one connection that ended before it was taken.
                let Ok((stream, _)) = listener.accept().await else { continue };
                let _ = stream.set_nodelay(true);
                let service = TowerToHyperService::new(server.clone());
                connections.spawn(async move {
                    let mut builder = hyper::server::conn::http1::Builder::new();
                    // Errors are those of connections that somebody cut, the faults of this server among them.
                    let _ = builder.timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service).await;
                });
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Listener { address, task })
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A kubeconfig with one context, `sim`; with a token where the server asks for one.
    pub fn kubeconfig(&self, token: Option<&str>) -> String {
        let user = token.map_or_else(|| "{}".to_owned(), |token| format!("{{token: {token}}}"));
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: sim\nclusters:\n- name: sim\n  cluster: {{server: \"{}\"}}\nusers:\n- name: sim\n  user: {user}\ncontexts:\n- name: sim\n  context: {{cluster: sim, user: sim, namespace: default}}\n",
            self.url()
        )
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}
