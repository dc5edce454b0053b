//! The local runner of `dev`: the same program as a process of its own, started again when it dies.

use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::CliError;
use super::home::Home;

/// How long to wait before a runner that died is started again.
const RESTART_WAIT: Duration = Duration::from_secs(1);
/// What the example agent does: it says what it was asked, and how long that is.
const EXAMPLE_AGENT: &str = "demo=prompt=$(cat); echo \"I was asked: $prompt\"; \
                             echo \"that is ${#prompt} characters; done\"";

/// A supervised runner process.
pub(super) struct LocalRunner {
    stop: CancellationToken,
    supervisor: JoinHandle<Option<Child>>,
}

impl LocalRunner {
    /// Starts it.
    pub(super) fn start(home: &Home, server: &str) -> Result<Self, CliError> {
        let log = home.folder().join("runner.log");
        let file = |source| CliError::File { path: log.clone(), source };
        let program = std::env::current_exe().map_err(CliError::Output)?;
        let stderr = std::fs::OpenOptions::new().create(true).append(true).open(&log);
        let stderr = stderr.map_err(file)?;
        let arguments: Vec<std::ffi::OsString> = vec![
            "runner".into(),
            "--server".into(),
            server.into(),
            "--token-file".into(),
            home.token_file().into(),
            "--work-dir".into(),
            home.folder().join("runner").into(),
            "--name".into(),
            "local".into(),
            "--slots".into(),
            "2".into(),
            "--agent".into(),
            EXAMPLE_AGENT.into(),
        ];
        let start = move || {
            let mut command = Command::new(&program);
            command
                .args(&arguments)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(stderr.try_clone()?)
                // A group of its own: Ctrl-C reaches the server alone, which then lets the
                // runner finish.
                .process_group(0)
                .kill_on_drop(true);
            command.spawn()
        };
        let first = start().map_err(CliError::Output)?;
        let stop = CancellationToken::new();
        let supervisor = tokio::spawn(supervise(first, start, stop.clone()));
        Ok(Self { stop, supervisor })
    }

    /// Lets it finish what it has for `grace_ms`, then stops it by force.
    pub(super) async fn stop(self, grace_ms: i64) {
        self.stop.cancel();
        let Ok(Some(mut child)) = self.supervisor.await else { return };
        let pid =
            child.id().and_then(|pid| rustix::process::Pid::from_raw(i32::try_from(pid).ok()?));
        if let Some(pid) = pid {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let grace = Duration::from_millis(u64::try_from(grace_ms).unwrap_or(0));
        if tokio::time::timeout(grace, child.wait()).await.is_err() {
            tracing::warn!(
                grace_ms,
                "the local runner did not finish within graceful_shutdown_timeout_ms: killing it"
            );
            let _ = child.kill().await;
        }
    }
}

/// Starts the runner again whenever it ends, until told to stop; then hands over the live child.
async fn supervise(
    mut child: Child,
    start: impl Fn() -> std::io::Result<Child>,
    stop: CancellationToken,
) -> Option<Child> {
    loop {
        tokio::select! {
            () = stop.cancelled() => return Some(child),
            ended = child.wait() => {
                tracing::warn!(?ended, "the local runner ended; starting it again");
            }
        }
        loop {
            tokio::select! {
                () = stop.cancelled() => return None,
                () = tokio::time::sleep(RESTART_WAIT) => {}
            }
            match start() {
                Ok(next) => {
                    child = next;
                    break;
                }
                Err(error) => tracing::error!(%error, "failed to start the local runner"),
            }
        }
    }
}
