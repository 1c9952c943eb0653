//! What ends a command that would go on for ever.

/// Listens for SIGTERM from now on, and waits for it. As the first process of a container a program has to listen to it itself:
/// the kernel does nothing by default.
#[cfg(unix)]
pub(crate) fn terminated() -> impl Future<Output = ()> {
    let signal = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate());
    async {
        match signal {
            Ok(mut signal) => drop(signal.recv().await),
            Err(_) => std::future::pending().await,
        }
    }
}

/// Waits for SIGTERM, which there is none of here.
#[cfg(not(unix))]
pub(crate) async fn terminated() {
    std::future::pending().await
}
