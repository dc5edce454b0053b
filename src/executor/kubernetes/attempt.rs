//! The begin of an attempt: its Job and its Secret are made once, and what is there of it is looked at.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;

use super::super::context::TaskContext;
use super::super::event::{DispatchError, ExecutionResult, TaskReadyEvent};
use super::super::script::{Bundle, Places};
use super::client::Trouble;
use super::judge::{Verdict, judge};
use super::seen::{JobSeen, PodSeen, Seen};
use super::{At, KubernetesExecutor, names, template};

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

/// One attempt in one call.
pub(super) struct Run<'a> {
    pub(super) at: At,
    pub(super) event: &'a TaskReadyEvent,
    pub(super) ctx: &'a TaskContext,
    /// The cluster was asked to make something.
    asked: AtomicBool,
    /// And it is not certain that it has been.
    unclear: AtomicBool,
}

impl<'a> Run<'a> {
    pub(super) fn new(at: At, event: &'a TaskReadyEvent, ctx: &'a TaskContext) -> Self {
        Self { at, event, ctx, asked: false.into(), unclear: false.into() }
    }

    pub(super) fn job(&self) -> &str {
        &self.at.job
    }

    /// The Job is not wanted any more.
    pub(super) fn remove(&self) {
        let removals = &self.at.site.removals;
        match self.ctx.is_lost() {
            true => removals.remove_at_once(self.job()),
            false => removals.remove(self.job()),
        }
        // A request whose answer did not come may be carried out yet.
        if self.unclear.load(Ordering::Relaxed) {
            removals.keep_away(self.job());
        }
    }
}

/// Takes the Job of work away that was told to stop and is not waited for any more. Without having been told so it is
/// another server's by now.
pub(super) struct Abandoned<'a> {
    pub(super) run: &'a Run<'a>,
}

impl Drop for Abandoned<'_> {
    fn drop(&mut self) {
        if self.run.ctx.is_cancelled() {
            self.run.remove();
        }
    }
}

/// Why there is nothing to be followed.
pub(super) enum Stop {
    Error(DispatchError),
    End(ExecutionResult),
}

/// What is not known of an attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Unsure {
    Nothing,
    /// Whether its Job is there.
    Job,
    /// Whether the Job, which is there, has its Secret.
    Secret,
}

/// Why an attempt was not made.
pub(super) enum NotMade {
    /// Its Job was refused, and is not there.
    Refused(Trouble),
    /// Its Job is gone.
    Gone,
    /// Its Job is there. Its Secret may be.
    Secret(Trouble),
    /// Its Job may be there or not.
    Unclear(Trouble),
}

impl NotMade {
    fn trouble(self) -> Trouble {
        match self {
            Self::Refused(trouble) | Self::Secret(trouble) | Self::Unclear(trouble) => trouble,
            Self::Gone => Trouble::Perhaps { why: "it is gone".to_owned(), retry_after: None },
        }
    }
}

/// What is made for an attempt.
pub(super) struct Manifest {
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
    pub(super) async fn manifest(&self, run: &Run<'_>) -> Result<Manifest, DispatchError> {
        let Run { event, ctx, .. } = *run;
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

    /// Makes the Job, if that may be, and its Secret, unless they are there.
    pub(super) async fn make(
        &self,
        run: &Run<'_>,
        manifest: &Manifest,
        unsure: Unsure,
    ) -> Result<(), NotMade> {
        run.asked.store(true, Ordering::Relaxed);
        let cluster = &run.at.site.cluster;
        let there = || cluster.get::<Job>(run.job());
        let job = match unsure {
            Unsure::Secret => there().await.map_err(NotMade::Unclear)?.ok_or(NotMade::Gone)?,
            Unsure::Nothing | Unsure::Job => match self.create(run, manifest).await {
                Ok(Some(made)) => made,
                Ok(None) => match there().await.map_err(NotMade::Unclear)? {
                    Some(job) => job,
                    None => {
                        let why = format!("the Job {} was there, and is not any more", run.job());
                        return Err(NotMade::Unclear(Trouble::Perhaps { why, retry_after: None }));
                    }
                },
                // A quota refuses it also when it is there, and is what the quota is full of.
                Err(trouble @ Trouble::Refused { .. }) => match there().await {
                    Ok(Some(job)) => job,
                    Ok(None) => return Err(NotMade::Refused(trouble)),
                    Err(_) => return Err(NotMade::Unclear(trouble)),
                },
                Err(trouble) => return Err(NotMade::Unclear(trouble)),
            },
        };
        run.at.site.observer().expect(run.job(), JobSeen::of(&job));
        let secret = template::secret(&job, manifest.files.clone());
        cluster.create(&secret).await.map_err(NotMade::Secret)?;
        Ok(())
    }

    async fn create(&self, run: &Run<'_>, manifest: &Manifest) -> Result<Option<Job>, Trouble> {
        let was_unclear = run.unclear.swap(true, Ordering::Relaxed);
        let made = run.at.site.cluster.create(&manifest.job).await;
        let is_clear = match &made {
            Ok(_) => true,
            // Of what was asked for before this says nothing.
            Err(Trouble::Refused { .. } | Trouble::NotThere(_)) => !was_unclear,
            Err(Trouble::Perhaps { .. }) => false,
        };
        run.unclear.store(!is_clear, Ordering::Relaxed);
        made
    }

    /// Begins an attempt. What cannot be said of it then is left to `attend`.
    async fn begin(&self, run: &Run<'_>) -> Result<Unsure, Stop> {
        let manifest = self.manifest(run).await.map_err(Stop::Error)?;
        if run.event.attempt > 1 {
            let ended = self.end_earlier(run).await;
            ended.map_err(|trouble| Stop::Error(not_begun(&trouble)))?;
        }
        if !run.ctx.may_be_called(&self.place(&run.at).to_string()).await {
            // The attempt is somebody else's, which is no fault of the cluster: nobody is told.
            return Err(Stop::End(ExecutionResult::cancelled()));
        }
        let (mut backoff, mut unsure, mut last) = (BACKOFF, Unsure::Nothing, String::new());
        for _ in 0..TRIES_MAX {
            let trouble = match self.make(run, &manifest, unsure).await {
                Ok(()) => {
                    run.ctx.is_taken();
                    return Ok(Unsure::Nothing);
                }
                Err(not_made) => not_made.trouble(),
            };
            // Nothing was asked for before. The Job may be there, but not its Secret: it is deleted when this
            // is told.
            if unsure == Unsure::Nothing && !matches!(trouble, Trouble::Perhaps { .. }) {
                return Err(Stop::Error(not_begun(&trouble)));
            }
            (unsure, last) = (Unsure::Job, trouble.to_string());
            run.ctx.tried(format!("Job {}: {last}", run.job())).await;
            tokio::time::sleep(backoff).await;
            backoff *= 2;
        }
        if let Ok(None) = run.at.site.cluster.get::<Job>(run.job()).await {
            // It is not there, and must not come to be when another executor has the job.
            run.remove();
            return Err(Stop::Error(DispatchError::unavailable(last)));
        }
        Ok(Unsure::Job)
    }

    /// Carries an attempt out, or goes on with one that was begun.
    pub(super) async fn carry_out(
        &self,
        run: &Run<'_>,
        is_begun: bool,
    ) -> Result<ExecutionResult, Stop> {
        let unsure = match is_begun {
            true => match self.look(&run.at).await.map(|seen| seen.as_ref().map(judge)) {
                // The server may have died between the Job and its Secret.
                Ok(Some(Verdict::Goes { pod: None } | Verdict::Stuck(_))) | Err(_) => {
                    Unsure::Secret
                }
                Ok(_) => Unsure::Nothing,
            },
            false => tokio::select! {
                unsure = self.begin(run) => unsure?,
                () = run.ctx.cancelled() => {
                    if run.asked.load(Ordering::Relaxed) {
                        run.remove();
                        self.is_over(run).await;
                    }
                    return Ok(ExecutionResult::cancelled());
                }
            },
        };
        self.attend(run, unsure).await
    }

    /// Ends what earlier attempts of the same job have left, if a server has lost sight of it.
    async fn end_earlier(&self, run: &Run<'_>) -> Result<(), Trouble> {
        let (site, event) = (&run.at.site, run.event);
        let (jobs, _) = site.cluster.list::<Job>(&self.owner.selector_of(event), None).await?;
        let earlier = jobs.iter().filter(|job| {
            let attempt = job.labels().get(names::ATTEMPT).and_then(|it| it.parse::<u32>().ok());
            attempt.is_some_and(|attempt| attempt < event.attempt)
        });
        for job in earlier {
            let name = job.name_any();
            tracing::info!(job = name, "an earlier attempt is ended");
            site.removals.remove_at_once(&name);
            if !self.is_gone(&At { job: name.clone(), ..run.at.clone() }, GONE).await {
                tracing::warn!(job = name, "an earlier attempt is still being deleted");
            }
        }
        Ok(())
    }

    /// What is there of a Job now; `None` when it is not.
    pub(super) async fn look(&self, at: &At) -> Result<Option<Seen>, Trouble> {
        let cluster = &at.site.cluster;
        let Some(job) = cluster.get::<Job>(&at.job).await? else { return Ok(None) };
        let (pods, _) = cluster.list::<Pod>(&names::pods_of(&at.job), None).await?;
        let pods = pods.iter().map(|pod| PodSeen::of(pod, &self.container));
        let pods = pods.map(|pod| (pod.name.clone(), pod)).collect();
        Ok(Some(Seen { job: Some(JobSeen::of(&job)), pods, has_begun: false }))
    }

    /// Waits until a Job is gone, with its pods. `false` when it is still there after that time.
    pub(super) async fn is_gone(&self, at: &At, limit: Duration) -> bool {
        let mut following = at.site.observer().follow(&at.job);
        let gone = async {
            loop {
                following.mark_unchanged();
                if let Ok(None) = at.site.cluster.get::<Job>(&at.job).await {
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

    /// The Job is to go: waits until it is gone, without a pause for its pods when the lease is lost meanwhile.
    pub(super) async fn is_over(&self, run: &Run<'_>) {
        let gone = async { while !self.is_gone(&run.at, GONE).await {} };
        tokio::pin!(gone);
        tokio::select! {
            () = &mut gone => return,
            () = run.ctx.lost() => run.at.site.removals.remove_at_once(run.job()),
        }
        gone.await;
    }
}
