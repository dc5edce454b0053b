//! The begin of an attempt: its Job and its Secret are made once, and what is there of it is looked at.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;

use super::super::context::TaskContext;
use super::super::event::{DispatchError, TaskReadyEvent};
use super::super::script::{Bundle, Places};
use super::client::Trouble;
use super::seen::{JobSeen, PodSeen, Seen};
use super::{KubernetesExecutor, names, template};

/// How often a Job is asked for before it is left to `watch`, or the executor counts as away.
const TRIES_MAX: u32 = 3;
/// How long the first of these rests; doubled with each.
const BACKOFF: Duration = Duration::from_millis(200);
/// How often to look at something that is not clear.
pub(super) const LOOK: Duration = Duration::from_millis(500);
/// How long something that is deleted is waited for before another attempt may begin. What is on a node that
/// is lost cannot be waited for.
pub(super) const GONE: Duration = Duration::from_secs(60);
/// How long to leave a cluster alone that has no room.
pub(super) const NO_ROOM: Duration = Duration::from_secs(10);

/// What is made for an attempt.
struct Manifest {
    job: Job,
    files: BTreeMap<String, Vec<u8>>,
}

/// What follows when nothing was begun.
pub(super) fn not_begun(trouble: &Trouble) -> DispatchError {
    let retry_after = trouble.retry_after();
    match trouble {
        Trouble::Refused { code: 429, .. } => DispatchError::NoCapacity { retry_after },
        Trouble::Refused { code: 403, message, .. } if message.contains("exceeded quota") => {
            DispatchError::NoCapacity { retry_after: Some(NO_ROOM) }
        }
        _ => DispatchError::Unavailable { why: trouble.to_string(), retry_after },
    }
}

impl KubernetesExecutor {
    async fn manifest(
        &self,
        event: &TaskReadyEvent,
        ctx: &TaskContext,
    ) -> Result<Manifest, DispatchError> {
        let unread = |error: super::super::ContextError| {
            DispatchError::unavailable(format!("the job's context cannot be read: {error}"))
        };
        let context = ctx.load().await.map_err(unread)?;
        let payload = match context.has_payload {
            true => ctx.payload().await.map_err(unread)?.map(Vec::from),
            false => None,
        };
        let places = Places {
            bundle: template::FILES,
            work: template::WORK,
            report: template::REPORT,
            report_bytes_max: Some(template::REPORT_BYTES_MAX),
        };
        let agents = &self.options.agents;
        let Bundle { files, command } =
            Bundle::new(&self.name, event, &context, payload, agents, places)
                .map_err(|error| DispatchError::ExecutionFailed(error.to_string()))?;
        let bytes: usize = files.values().map(Vec::len).sum();
        if bytes > template::FILES_BYTES_MAX {
            let most = template::FILES_BYTES_MAX;
            return Err(DispatchError::ExecutionFailed(format!(
                "the job's steps, variables, event and payload have {bytes} bytes, and a Secret of \
                 Kubernetes takes {most}: route it to another executor"
            )));
        }
        let ttl = self.options.ttl_after_finished;
        let job = self.options.template.job(&self.owner, event, &command, ttl);
        Ok(Manifest { job, files })
    }

    /// Makes the Job and its Secret, unless they are there.
    async fn make(&self, manifest: &Manifest) -> Result<(), Trouble> {
        let name = manifest.job.name_any();
        let gone = || Trouble::Perhaps {
            why: format!("the Job {name} was there, and is not any more"),
            retry_after: None,
        };
        let made = match self.cluster.create(&manifest.job).await {
            Ok(Some(made)) => made,
            Ok(None) => self.cluster.get::<Job>(&name).await?.ok_or_else(gone)?,
            // A quota refuses it also when it is there, and is what the quota is full of.
            Err(trouble @ Trouble::Refused { .. }) => {
                self.cluster.get::<Job>(&name).await?.ok_or(trouble)?
            }
            Err(trouble) => return Err(trouble),
        };
        self.tasks().observer.expect(&name, JobSeen::of(&made));
        self.cluster.create(&template::secret(&made, manifest.files.clone())).await?;
        Ok(())
    }

    /// Begins an attempt, or leaves that to `attend` when nobody can say whether it has begun.
    pub(super) async fn begin(
        &self,
        event: &TaskReadyEvent,
        ctx: &TaskContext,
    ) -> Result<(), DispatchError> {
        self.begun().insert(self.owner.run(event));
        let manifest = self.manifest(event, ctx).await?;
        if event.attempt > 1 {
            self.end_earlier(event).await.map_err(|trouble| not_begun(&trouble))?;
        }
        let (run, mut backoff, mut is_unsure) = (manifest.job.name_any(), BACKOFF, false);
        let mut last = String::new();
        for _ in 0..TRIES_MAX {
            match self.make(&manifest).await {
                Ok(()) => return Ok(()),
                // The Job may be there, but not its Secret: it is deleted when this is told.
                Err(trouble) if !is_unsure && !matches!(trouble, Trouble::Perhaps { .. }) => {
                    return Err(not_begun(&trouble));
                }
                Err(trouble) => (is_unsure, last) = (true, trouble.to_string()),
            }
            ctx.tried(format!("Job {run}: {last}")).await;
            tokio::select! {
                () = tokio::time::sleep(backoff) => backoff *= 2,
                () = ctx.cancelled() => break,
            }
        }
        if let Ok(None) = self.cluster.get::<Job>(&run).await {
            // It is not there, and must not come to be when another executor has the job.
            self.tasks().removals.keep_away(&run, self.clock.now().mono_ms);
            return Err(DispatchError::unavailable(last));
        }
        self.unsure().insert(run);
        Ok(())
    }

    /// Ends what earlier attempts of the same job have left, if a server has lost sight of it.
    async fn end_earlier(&self, event: &TaskReadyEvent) -> Result<(), Trouble> {
        let (jobs, _) = self.cluster.list::<Job>(&self.owner.selector_of(event), None).await?;
        let earlier = jobs.iter().filter(|job| {
            let attempt = job.labels().get(names::ATTEMPT).and_then(|it| it.parse::<u32>().ok());
            attempt.is_some_and(|attempt| attempt < event.attempt)
        });
        for job in earlier {
            let name = job.name_any();
            tracing::info!(job = name, "an earlier attempt is ended");
            self.tasks().removals.remove(&name);
            if !self.is_gone(&name, GONE).await {
                tracing::warn!(job = name, "an earlier attempt is still being deleted");
            }
        }
        Ok(())
    }

    /// What is there of a Job now; `None` when it is not.
    pub(super) async fn look(&self, run: &str) -> Result<Option<Seen>, Trouble> {
        let Some(job) = self.cluster.get::<Job>(run).await? else { return Ok(None) };
        let (pods, _) = self.cluster.list::<Pod>(&names::pods_of(run), None).await?;
        let pods = pods.iter().map(|pod| PodSeen::of(pod, &self.container));
        let pods = pods.map(|pod| (pod.name.clone(), pod)).collect();
        Ok(Some(Seen { job: Some(JobSeen::of(&job)), pods, has_begun: false }))
    }

    /// Waits until a Job is gone, with its pods. `false` when it is still there after that time.
    pub(super) async fn is_gone(&self, run: &str, limit: Duration) -> bool {
        let mut following = self.tasks().observer.follow(run);
        let gone = async {
            loop {
                following.mark_unchanged();
                if let Ok(None) = self.cluster.get::<Job>(run).await {
                    return;
                }
                tokio::select! {
                    _ = following.changed() => {}
                    () = tokio::time::sleep(LOOK) => {}
                }
            }
        };
        tokio::time::timeout(limit, gone).await.is_ok()
    }

    /// Asks until the Job is there with its Secret, or certainly is not.
    pub(super) async fn make_sure(
        &self,
        run: &str,
        event: &TaskReadyEvent,
        ctx: &TaskContext,
    ) -> Result<(), DispatchError> {
        while self.unsure().contains(run) {
            let made = match self.manifest(event, ctx).await {
                Ok(manifest) => self.make(&manifest).await,
                Err(error @ DispatchError::ExecutionFailed(_)) => return Err(error),
                Err(error) => Err(Trouble::Perhaps { why: error.to_string(), retry_after: None }),
            };
            let trouble = match made {
                Ok(()) => {
                    self.unsure().remove(run);
                    break;
                }
                Err(trouble) => trouble,
            };
            tracing::debug!(job = run, %trouble, "whether a Job is there is not known");
            tokio::select! {
                () = tokio::time::sleep(trouble.retry_after().unwrap_or(LOOK)) => {}
                () = ctx.cancelled() => break,
            }
        }
        Ok(())
    }
}
