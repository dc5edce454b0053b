//! The accept loop: bounded in connections, with a time limit on headers.
//!
//! `axum::serve` has no limit on how long a client may take to send its headers, so two hundred
//! half-open connections can stay for ever; hyper-util's builder has.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// Limits of the listener.
#[derive(Clone, Copy, Debug)]
pub struct ListenLimits {
    /// How long a client may take to send its headers.
    pub header_read_timeout: Duration,
    /// Most connections at once; further ones wait in the kernel's queue.
    pub connections_max: usize,
    /// How long connections may take to finish what they are doing at the end.
    pub close_timeout: Duration,
}

/// How long the loop rests when the process has no more file handles.
const ACCEPT_REST: Duration = Duration::from_millis(50);

/// Serves until `stop`, then lets connections finish.
pub async fn listen(
    listener: TcpListener,
    router: Router,
    limits: ListenLimits,
    stop: CancellationToken,
) {
    // HTTP/1 alone: the builder that tells the versions apart waits for the first bytes without a
    // limit, so that a connection which sends nothing would stay for ever.
    let mut builder = Builder::new(TokioExecutor::new()).http1_only();
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_read_timeout)
        .keep_alive(true);
    let builder = Arc::new(builder);
    let graceful = GracefulShutdown::new();
    let room = Arc::new(Semaphore::new(limits.connections_max));
    loop {
        let permit = tokio::select! {
            () = stop.cancelled() => break,
            permit = Arc::clone(&room).acquire_owned() => permit,
        };
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "failed to accept a connection");
                tokio::time::sleep(ACCEPT_REST).await;
                continue;
            }
        };
        // Answers are small and awaited: they must not wait for more to fill a segment.
        let _ = stream.set_nodelay(true);
        let service = TowerToHyperService::new(router.clone());
        let builder = Arc::clone(&builder);
        let watcher = graceful.watcher();
        tokio::spawn(async move {
            let connection = builder.serve_connection(TokioIo::new(stream), service);
            // A client that breaks off is none of our errors.
            let _ = watcher.watch(connection.into_owned()).await;
            drop(permit);
        });
    }
    drop(listener);
    let _ = tokio::time::timeout(limits.close_timeout, graceful.shutdown()).await;
}
