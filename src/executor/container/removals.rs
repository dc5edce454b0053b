//! Containers that are not wanted any more: they are taken away, however often that must be asked for.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::daemon::Daemon;

/// How often a daemon is asked that did not answer, or is at it.
const AGAIN: Duration = Duration::from_secs(1);

/// Takes away what it is told to. A clone tells the same one.
#[derive(Clone)]
pub(super) struct Removals {
    daemon: Daemon,
    /// Whose removal is not sure yet.
    names: Arc<Mutex<BTreeSet<String>>>,
}

impl Removals {
    pub(super) fn new(daemon: Daemon) -> Self {
        Self { daemon, names: Arc::default() }
    }

    fn names(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a container away, now or as soon as the daemon can be reached.
    pub(super) fn add(&self, name: &str) {
        let is_first = {
            let mut names = self.names();
            let is_first = names.is_empty();
            names.insert(name.to_owned());
            is_first
        };
        // A process that ends forgets them: the next one looks for what is left over.
        if is_first && let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(self.clone().work());
        }
    }

    async fn work(self) {
        loop {
            let names = self.names().clone();
            for name in &names {
                match self.daemon.remove(name).await {
                    Ok(true) => drop(self.names().remove(name)),
                    Ok(false) => {}
                    Err(trouble) => tracing::warn!(name, %trouble, "cannot remove a container"),
                }
            }
            // In one look: who adds the first one after this starts anew.
            let names_left = self.names().len();
            match names_left {
                0 => return,
                _ => tokio::time::sleep(AGAIN).await,
            }
        }
    }
}
