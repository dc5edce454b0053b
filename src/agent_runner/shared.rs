//! What all actors of one runner share.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::clock::Clock;

use super::RunnerOptions;
use super::client::Client;
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
    pub(super) stop: RunnerStop,
    pub(super) folder: Arc<WorkFolder>,
    pub(super) shell: Shell,
    /// Marks processes as this runner's.
    pub(super) instance_id: String,
}

impl Shared {
    pub(super) fn grace(&self) -> Duration {
        Duration::from_millis(self.options.grace_ms)
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
