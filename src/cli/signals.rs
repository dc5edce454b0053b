//! Signals that ask a process to end: the first to finish properly, the second at once.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGINT and SIGTERM.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

/// SIGHUP.
pub(super) struct Hangup(Signal);

impl Hangup {
    /// From now on the signal is ours.
    pub(super) fn catch() -> std::io::Result<Self> {
        Ok(Self(signal(SignalKind::hangup())?))
    }

    /// Waits for the next one.
    pub(super) async fn next(&mut self) {
        self.0.recv().await;
    }
}

/// The exit code of a process that was told twice to end: 128 and the number of SIGINT, as shells
/// count.
const ENDED_AT_ONCE: i32 = 130;

impl Signals {
    /// From now on both signals are ours.
    pub(super) fn catch() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Waits for the next one.
    pub(super) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }

    /// Ends the process at the next signal. Everything that was answered is durable, so this is
    /// as safe as SIGKILL.
    pub(super) fn end_at_next(mut self) {
        tokio::spawn(async move {
            self.next().await;
            tracing::warn!("a second signal: ending at once");
            std::process::exit(ENDED_AT_ONCE);
        });
    }
}
