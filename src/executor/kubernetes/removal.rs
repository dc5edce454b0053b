//! Jobs that are not wanted any more: they are deleted, however often that must be asked for.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures_util::StreamExt as _;
use k8s_openapi::api::batch::v1::Job;
use tokio::sync::Notify;
use tokio_util::task::AbortOnDropHandle;

use super::client::Cluster;
use crate::clock::Clock;

/// How often something is asked for that was not answered, or may come to be there yet.
const AGAIN: Duration = Duration::from_secs(2);
/// How many calls at once.
const CALLS_MAX: usize = 8;
/// For so long a request whose answer was lost may still be carried out.
const LATE_MS: i64 = 60_000;

/// Deletes what it is told to.
pub(super) struct Removals {
    all: Arc<Unwanted>,
    _task: AbortOnDropHandle<()>,
}

#[derive(Default)]
struct Unwanted {
    /// The name of each Job, and until when (mono) it is asked for even when it is not there.
    names: Mutex<BTreeMap<String, i64>>,
    more: Notify,
}

impl Removals {
    /// Begins to look for some to do.
    pub(super) fn start(cluster: &Cluster, clock: &Arc<dyn Clock>) -> Self {
        let all = Arc::new(Unwanted::default());
        let task = work(Arc::clone(&all), cluster.clone(), Arc::clone(clock));
        Self { all, _task: AbortOnDropHandle::new(tokio::spawn(task)) }
    }

    /// Deletes a Job.
    pub(super) fn remove(&self, run: &str) {
        self.add(run, i64::MIN);
    }

    /// Deletes a Job that is not there, but may come to be: somebody was asked to make it and did not answer.
    pub(super) fn keep_away(&self, run: &str, mono_ms: i64) {
        self.add(run, mono_ms + LATE_MS);
    }

    fn add(&self, run: &str, until_ms: i64) {
        let mut names = self.all.names();
        let known = names.entry(run.to_owned()).or_insert(until_ms);
        *known = until_ms.max(*known);
        self.all.more.notify_one();
    }
}

impl Unwanted {
    fn names(&self) -> MutexGuard<'_, BTreeMap<String, i64>> {
        self.names.lock().unwrap_or_else(|broken| broken.into_inner())
    }
}

async fn work(all: Arc<Unwanted>, cluster: Cluster, clock: Arc<dyn Clock>) {
    loop {
        let names: Vec<_> = all.names().keys().cloned().collect();
        let calls = names.into_iter().map(|name| {
            let (cluster, all, clock) = (&cluster, &all, &clock);
            async move {
                match cluster.delete_whole::<Job>(&name).await {
                    // The cluster has taken note, or there is nothing.
                    Ok(_) => {
                        let mut names = all.names();
                        if names.get(&name).is_some_and(|until| *until <= clock.now().mono_ms) {
                            names.remove(&name);
                        }
                    }
                    Err(trouble) => tracing::warn!(job = name, %trouble, "cannot delete a Job"),
                }
            }
        });
        futures_util::stream::iter(calls).buffer_unordered(CALLS_MAX).count().await;
        let is_done = all.names().is_empty();
        tokio::select! {
            () = all.more.notified() => {}
            () = tokio::time::sleep(AGAIN), if !is_done => {}
        }
    }
}
