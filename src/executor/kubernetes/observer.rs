//! Two streams of changes for all attempts of an executor: of its Jobs, and of their pods.
//!
//! ```text
//! list (everything, and its version) -> watch from that version -> changes -> Seen, by Job
//!      ^                                      | over: watched again from the last version
//!      +------ 410 Gone, or a bad change -----+ broken: the same, after a moment
//! ```
//!
//! What is seen is a hint that something changed, and may be old. That a Job is gone is believed only when it
//! was asked for by its name.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures_util::StreamExt as _;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use super::client::{Change, Cluster, Thing, Trouble};
use super::seen::{JobSeen, Main, PodSeen, Seen, run_of};

/// How long to wait after the first trouble; doubled with each.
const REST_MIN: Duration = Duration::from_millis(200);
const REST_MAX: Duration = Duration::from_secs(20);
/// The longest `Retry-After` that is kept to.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);

/// What is seen of all Jobs.
pub(super) struct Observer {
    runs: Arc<Runs>,
    _tasks: [AbortOnDropHandle<()>; 2],
}

/// By the names of Jobs.
#[derive(Default)]
struct Runs(Mutex<BTreeMap<String, watch::Sender<Seen>>>);

impl Observer {
    /// Begins to look. The container of that name does the work.
    pub(super) fn start(cluster: &Cluster, selector: &str, container: &Arc<str>) -> Self {
        let runs = Arc::new(Runs::default());
        let jobs = Of::<Job> {
            cluster: cluster.clone(),
            selector: selector.to_owned(),
            put: {
                let runs = Arc::clone(&runs);
                Box::new(move |job: &Job| {
                    runs.change(&job.name_any(), |seen| seen.job = Some(JobSeen::of(job)));
                })
            },
            drop: {
                let runs = Arc::clone(&runs);
                Box::new(move |job: &Job| runs.change(&job.name_any(), |seen| seen.job = None))
            },
            keep: {
                let runs = Arc::clone(&runs);
                Box::new(move |names| runs.keep_jobs(names))
            },
        };
        let pods = Of::<Pod> {
            cluster: cluster.clone(),
            selector: selector.to_owned(),
            put: {
                let (runs, container) = (Arc::clone(&runs), Arc::clone(container));
                Box::new(move |pod: &Pod| {
                    let Some(run) = run_of(pod.metadata.labels.as_ref()) else { return };
                    let pod = PodSeen::of(pod, &container);
                    runs.change(run, |seen| {
                        seen.has_begun |= pod.main != Main::Waiting;
                        seen.pods.insert(pod.name.clone(), pod);
                    });
                })
            },
            drop: {
                let runs = Arc::clone(&runs);
                Box::new(move |pod: &Pod| {
                    let Some(run) = run_of(pod.metadata.labels.as_ref()) else { return };
                    runs.change(run, |seen| drop(seen.pods.remove(&pod.name_any())));
                })
            },
            keep: {
                let runs = Arc::clone(&runs);
                Box::new(move |names| runs.keep_pods(names))
            },
        };
        let tasks = [tokio::spawn(jobs.look()), tokio::spawn(pods.look())];
        Self { runs, _tasks: tasks.map(AbortOnDropHandle::new) }
    }

    /// What is seen of a Job from now on.
    pub(super) fn follow(&self, run: &str) -> watch::Receiver<Seen> {
        self.runs.all().entry(run.to_owned()).or_default().subscribe()
    }

    /// A Job was made, of which the stream may not tell yet.
    pub(super) fn expect(&self, run: &str, job: JobSeen) {
        self.runs.change(run, |seen| {
            seen.job.get_or_insert(job);
        });
    }
}

impl Runs {
    fn all(&self) -> MutexGuard<'_, BTreeMap<String, watch::Sender<Seen>>> {
        self.0.lock().unwrap_or_else(|broken| broken.into_inner())
    }

    fn change(&self, run: &str, change: impl FnOnce(&mut Seen)) {
        let mut all = self.all();
        Self::change_one(all.entry(run.to_owned()).or_default(), change);
        let is_over = all.get(run).is_some_and(Self::is_over);
        if is_over {
            all.remove(run);
        }
    }

    fn change_one(one: &watch::Sender<Seen>, change: impl FnOnce(&mut Seen)) {
        one.send_if_modified(|seen| {
            let before = seen.clone();
            change(seen);
            *seen != before
        });
    }

    /// Nothing is there, and nobody waits for it.
    fn is_over(one: &watch::Sender<Seen>) -> bool {
        let seen = one.borrow();
        seen.job.is_none() && seen.pods.is_empty() && one.receiver_count() == 0
    }

    /// Only Jobs of these names are there.
    fn keep_jobs(&self, names: &BTreeSet<String>) {
        let mut all = self.all();
        for (run, one) in all.iter().filter(|(run, _)| !names.contains(*run)) {
            tracing::trace!(run, "a Job is not listed");
            Self::change_one(one, |seen| seen.job = None);
        }
        all.retain(|_, one| !Self::is_over(one));
    }

    /// Only pods of these names are there.
    fn keep_pods(&self, names: &BTreeSet<String>) {
        let mut all = self.all();
        for one in all.values() {
            Self::change_one(one, |seen| seen.pods.retain(|name, _| names.contains(name)));
        }
        all.retain(|_, one| !Self::is_over(one));
    }
}

type Told<T> = Box<dyn Fn(&T) + Send + Sync>;

/// Looks at things of one kind.
struct Of<T> {
    cluster: Cluster,
    selector: String,
    put: Told<T>,
    drop: Told<T>,
    /// All others are not there.
    keep: Told<BTreeSet<String>>,
}

impl<T: Thing + Send + Sync + 'static> Of<T> {
    async fn look(self) {
        let mut version: Option<String> = None;
        let mut rest = REST_MIN;
        loop {
            let known = version.take();
            let mut last = known.clone().unwrap_or_default();
            match self.once(known, &mut last).await {
                Ok(()) => (version, rest) = (Some(last), REST_MIN),
                Err(trouble) => {
                    let is_old = trouble.is(410);
                    if !is_old {
                        let namespace = &self.cluster.namespace;
                        tracing::warn!(%trouble, namespace, "cannot watch");
                    }
                    // The next stream begins where this one broke, unless what was known is too old.
                    let can_go_on = trouble.is(429) || !matches!(trouble, Trouble::Refused { .. });
                    version = Some(last).filter(|_| can_go_on);
                    let asked = trouble.retry_after().map(|it| it.min(RETRY_AFTER_MAX));
                    tokio::time::sleep(asked.unwrap_or(rest).max(REST_MIN)).await;
                    rest = (rest * 2).min(REST_MAX);
                }
            }
            version = version.filter(|version| !version.is_empty());
        }
    }

    /// Lists, unless there is a version to go on from, and follows changes until the stream ends.
    async fn once(&self, known: Option<String>, last: &mut String) -> Result<(), Trouble> {
        let version = match known {
            Some(version) => version,
            None => {
                let (all, version) = self.cluster.list::<T>(&self.selector, None).await?;
                all.iter().for_each(|thing| (self.put)(thing));
                (self.keep)(&all.iter().map(kube::ResourceExt::name_any).collect());
                version
            }
        };
        last.clone_from(&version);
        let mut changes = Box::pin(self.cluster.watch::<T>(&self.selector, &version).await?);
        while let Some(change) = changes.next().await {
            let thing = match change? {
                Change::Added(thing) | Change::Modified(thing) => {
                    (self.put)(&thing);
                    thing
                }
                Change::Deleted(thing) => {
                    (self.drop)(&thing);
                    thing
                }
                Change::Bookmark(bookmark) => {
                    last.clone_from(&bookmark.metadata.resource_version);
                    continue;
                }
                Change::Error(status) => {
                    return Err(Trouble::Refused {
                        code: status.code,
                        reason: status.reason.clone(),
                        message: status.message.clone(),
                        retry_after: None,
                    });
                }
            };
            *last = thing.resource_version().unwrap_or_else(|| std::mem::take(last));
        }
        Ok(())
    }
}
