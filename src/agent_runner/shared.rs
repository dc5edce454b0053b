//! What all actors of one runner share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};

use crate::clock::Clock;

use super::RunnerOptions;
use super::client::Client;
use super::environment::Variables;
use super::secrets::Secrets;
use super::shell::Shell;
use super::stop::RunnerStop;
use super::table::LeaseTable;
use super::work_folder::WorkFolder;

/// Made once the runner is registered; never changes as a whole.
pub(super) struct Shared {
    pub(super) options: RunnerOptions,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) client: Client,
    pub(super) table: Arc<LeaseTable>,
    /// A place for each job that may run: held while its work goes on.
    pub(super) slots: Arc<Semaphore>,
    /// Jobs that it has taken so far.
    pub(super) taken: AtomicU32,
    /// Whether a stream is open, which heartbeats keep so.
    pub(super) streaming: watch::Sender<bool>,
    pub(super) stop: RunnerStop,
    pub(super) folder: Arc<WorkFolder>,
    pub(super) shell: Shell,
    /// The operator's, for jobs that may have them.
    pub(super) secret_variables: Variables,
    /// What no job may show: those, and the runner's credentials.
    pub(super) secrets: Arc<Secrets>,
    /// Marks processes as this runner's.
    pub(super) instance_id: String,
}

impl Shared {
    pub(super) fn grace(&self) -> Duration {
        Duration::from_millis(self.options.grace_ms)
    }

    /// Counts a job that it takes; the last one that it may take is followed by no other.
    pub(super) fn count_taken(&self) {
        let taken = self.taken.fetch_add(1, Ordering::Relaxed) + 1;
        if self.options.jobs_max.is_some_and(|max| taken >= max) {
            tracing::info!(jobs = taken, "this is the last job that this runner takes");
            self.stop.finish();
        }
    }

    /// How many more jobs it takes.
    pub(super) fn takes_more(&self) -> u32 {
        let taken = self.taken.load(Ordering::Relaxed);
        self.options.jobs_max.map_or(u32::MAX, |max| max.saturating_sub(taken))
    }

    /// The runner is to leave, and nothing keeps it.
    pub(super) fn may_leave(&self) -> bool {
        self.stop.is_draining() && self.table.len() == 0
    }

    /// Waits for the table to change or for a drain that was not asked for before.
    pub(super) async fn news(&self, changed: &mut watch::Receiver<u64>, was_draining: bool) {
        tokio::select! {
            _ = changed.changed() => {}
            () = self.stop.draining(), if !was_draining => {}
        }
    }
}
