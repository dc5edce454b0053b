//! The runner against a server that speaks the wire, over real sockets and with real processes.
//!
//! `fake.rs` is the server, which a test scripts, `fake_routes.rs` and `fake_stream.rs` its endpoints; `lifecycle.rs`, `stopping.rs`,
//! `outage.rs`, `streaming.rs`, `crash.rs`, `secrets.rs`, `limits.rs`, `workflow.rs` and `winding_down.rs` are the behaviours. It has no streams unless a test says so.

mod crash;
mod fake;
mod fake_routes;
mod fake_stream;
mod lifecycle;
mod limits;
mod outage;
mod secrets;
mod stopping;
mod streaming;
mod winding_down;
mod workflow;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;

use super::{RunnerError, RunnerOptions, RunnerStop, run};
use fake::Fake;

/// The bound of every wait: a level that is not reached by then never will be.
const BOUND: Duration = Duration::from_secs(30);

/// A runner under test with its folders.
struct Runner {
    folder: tempfile::TempDir,
    stop: RunnerStop,
    task: JoinHandle<Result<(), RunnerError>>,
}

impl Runner {
    fn start(fake: &Arc<Fake>, change: impl FnOnce(&mut RunnerOptions)) -> Self {
        let folder = tempfile::tempdir().expect("tempdir");
        let mut options = options(fake, folder.path());
        change(&mut options);
        let stop = RunnerStop::new();
        let task = tokio::spawn(run(options, stop.clone()));
        Self { folder, stop, task }
    }

    fn jobs(&self) -> std::path::PathBuf {
        self.folder.path().join("work/jobs")
    }

    /// Waits until it has left.
    async fn left(self) {
        let ended = tokio::time::timeout(BOUND, self.task).await.expect("it leaves in time");
        ended.expect("no panic").expect("no error");
    }

    async fn drain(self) {
        self.stop.drain();
        self.left().await;
    }
}

fn options(fake: &Fake, folder: &Path) -> RunnerOptions {
    let token_file = folder.join("token");
    std::fs::write(&token_file, format!("{}\n", fake::REGISTRATION_TOKEN)).expect("written");
    RunnerOptions {
        name: "tester".into(),
        grace_ms: 2_000,
        retry_initial_ms: 5,
        retry_max_ms: 40,
        poll_floor_ms: 20,
        log_flush_ms: 10,
        ..RunnerOptions::new(fake.address(), token_file, folder.join("work"))
    }
}
