//! What ends a command that would go on for ever.

/// Waits for SIGTERM. As the first process of a container a program has to listen to it itself: the kernel does nothing by
/// default.
#[cfg(unix)]
pub(crate) async fn terminated() {
    match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(mut signal) => drop(signal.recv().await),
        Err(_) => std::future::pending().await,
    }
}

/// Waits for SIGTERM, which there is none of here.
#[cfg(not(unix))]
pub(crate) async fn terminated() {
    std::future::pending().await
}
