//! Jobs that are not wanted any more: they are deleted, however often that must be asked for.
//!
//! A Job's pods are given the time to stop that their template says. One whose attempt has lost its lease has no such
//! time, because another attempt may begin: its pods are deleted too, with a second. Not with none: then the API would
//! say that they are gone without having heard that from their nodes
//! (<https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-termination-forced>).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use tokio::sync::Notify;
use tokio_util::task::AbortOnDropHandle;

use super::client::{Cluster, Trouble};
use super::names;
use crate::clock::Clock;

/// How often something is asked for that was not answered, or may come to be there yet.
const AGAIN: Duration = Duration::from_secs(2);
/// How many calls at once.
const CALLS_MAX: usize = 8;
/// For so long a request whose answer was lost may still be carried out.
const LATE_MS: i64 = 60_000;
/// How long a pod has to stop that must not run on.
const AT_ONCE_SECONDS: u32 = 1;

/// Deletes what it is told to.
pub(super) struct Removals {
    all: Arc<Unwanted>,
    clock: Arc<dyn Clock>,
    _task: AbortOnDropHandle<()>,
}

#[derive(Default)]
struct Unwanted {
    /// By the names of Jobs.
    names: Mutex<BTreeMap<String, How>>,
    more: Notify,
}

/// How a Job is to go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct How {
    /// Until when (mono) it is asked for even when it is not there.
    until_ms: i64,
    /// Its pods have no time.
    at_once: bool,
}

impl Removals {
    /// Begins to look for some to do.
    pub(super) fn start(cluster: &Cluster, clock: &Arc<dyn Clock>) -> Self {
        let all = Arc::new(Unwanted::default());
        let task = work(Arc::clone(&all), cluster.clone(), Arc::clone(clock));
        let task = AbortOnDropHandle::new(tokio::spawn(task));
        Self { all, clock: Arc::clone(clock), _task: task }
    }

    /// Deletes a Job.
    pub(super) fn remove(&self, run: &str) {
        self.add(run, How { until_ms: i64::MIN, at_once: false });
    }

    /// Deletes a Job, and gives its pods no time to stop.
    pub(super) fn remove_at_once(&self, run: &str) {
        self.add(run, How { until_ms: i64::MIN, at_once: true });
    }

    /// Deletes a Job that is not there, but may come to be: somebody was asked to make it and did not answer.
    pub(super) fn keep_away(&self, run: &str) {
        let until_ms = self.clock.now().mono_ms + LATE_MS;
        self.add(run, How { until_ms, at_once: false });
    }

    fn add(&self, run: &str, how: How) {
        let mut names = self.all.names();
        let known = names.entry(run.to_owned()).or_insert(how);
        known.until_ms = how.until_ms.max(known.until_ms);
        known.at_once |= how.at_once;
        self.all.more.notify_one();
    }
}

impl Unwanted {
    fn names(&self) -> MutexGuard<'_, BTreeMap<String, How>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends the pods of a Job.
async fn end_pods(cluster: &Cluster, run: &str) -> Result<(), Trouble> {
    let (pods, _) = cluster.list::<Pod>(&names::pods_of(run), None).await?;
    for pod in pods {
        match cluster.delete_within::<Pod>(&pod.name_any(), AT_ONCE_SECONDS).await {
            Ok(_) => {}
            // Without that right they have the time of their template.
            Err(trouble @ Trouble::Refused { .. }) => {
                tracing::warn!(job = run, %trouble, "a pod cannot be ended at once");
            }
            Err(trouble) => return Err(trouble),
        }
    }
    Ok(())
}

async fn work(all: Arc<Unwanted>, cluster: Cluster, clock: Arc<dyn Clock>) {
    loop {
        let names: Vec<_> = all.names().iter().map(|(name, how)| (name.clone(), *how)).collect();
        let calls = names.into_iter().map(|(name, how)| {
            let (cluster, all, clock) = (&cluster, &all, &clock);
            async move {
                let deleted = async {
                    cluster.delete_whole::<Job>(&name).await?;
                    match how.at_once {
                        true => end_pods(cluster, &name).await,
                        false => Ok(()),
                    }
                };
                match deleted.await {
                    // The cluster has taken note, or there is nothing.
                    Ok(()) => {
                        let (mut names, mono_ms) = (all.names(), clock.now().mono_ms);
                        let is_done = |now: &How| now.until_ms <= mono_ms && *now == how;
                        if names.get(&name).is_some_and(is_done) {
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
