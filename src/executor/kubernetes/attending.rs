//! An attempt that goes on: what is seen of it, its log, and its end.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::super::context::TaskContext;
use super::super::event::{DispatchError, ExecutionResult, ExecutionStatus};
use super::super::script::Report;
use super::KubernetesExecutor;
use super::attempt::{GONE, LOOK, NO_ROOM, NotMade, Run, Stop, Unsure, not_begun};
use super::client::Trouble;
use super::judge::{End, Stuck, Verdict, judge};
use super::logs::LogPump;
use super::seen::Seen;
use crate::agent_runner::Secrets;

/// How often to look at what is.
const LOOK_RARELY: Duration = Duration::from_secs(60);
/// How long an end may be known to one side only.
const SETTLE_MS: i64 = 5_000;
/// How long the stream of changes may be behind.
const LATE_NEWS: Duration = Duration::from_secs(5);
/// The longest `Retry-After` that is kept to.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);

impl KubernetesExecutor {
    /// Looks after an attempt until it has ended.
    pub(super) async fn attend(
        &self,
        run: &Run<'_>,
        unsure: Unsure,
    ) -> Result<ExecutionResult, Stop> {
        let mut attending = Attending {
            executor: self,
            run,
            ctx: run.ctx,
            following: run.at.site.observer().follow(run.job()),
            secrets: Arc::default(),
            logs: None,
            lasting: Lasting::default(),
        };
        if unsure != Unsure::Nothing {
            match attending.make_sure(unsure).await {
                Sure::Begun => {}
                Sure::Not(error) => return Err(Stop::Error(error)),
                Sure::Stuck(stuck) => return attending.give_up(stuck).await,
            }
        }
        loop {
            let wait = match attending.step().await {
                Step::Wait(wait) => wait,
                Step::End(End::Lost { .. }) if run.ctx.is_cancelled() => {
                    return Ok(attending.cancel().await);
                }
                Step::End(end) => return Ok(attending.ended(end).await),
                Step::Stuck(stuck) => return attending.give_up(stuck).await,
            };
            tokio::select! {
                _ = attending.following.changed() => {}
                () = tokio::time::sleep(wait) => {}
                () = run.ctx.cancelled() => return Ok(attending.cancel().await),
            }
        }
    }
}

/// Something that lasts, and since when (mono).
#[derive(Default)]
struct Lasting(Option<(&'static str, i64)>);

impl Lasting {
    /// For how long it has been so.
    fn so(&mut self, what: &'static str, now_ms: i64) -> i64 {
        match self.0 {
            Some((known, since_ms)) if known == what => now_ms - since_ms,
            _ => {
                self.0 = Some((what, now_ms));
                0
            }
        }
    }
}

/// An attempt that is looked after.
struct Attending<'a> {
    executor: &'a KubernetesExecutor,
    run: &'a Run<'a>,
    ctx: &'a TaskContext,
    following: watch::Receiver<Seen>,
    /// What the work has named as such.
    secrets: Arc<Secrets>,
    logs: Option<LogPump>,
    lasting: Lasting,
}

/// What follows from a look.
enum Step {
    /// Look again when something changes, or after that time.
    Wait(Duration),
    End(End),
    /// It has waited for long enough.
    Stuck(Stuck),
}

/// Whether an attempt has begun.
enum Sure {
    /// It has, or may have: the cluster tells the rest.
    Begun,
    /// It has not, and will not.
    Not(DispatchError),
    /// It has not, and cannot.
    Stuck(Stuck),
}

impl Attending<'_> {
    /// Asks until the Job is there with its Secret, or certainly is not.
    async fn make_sure(&mut self, unsure: Unsure) -> Sure {
        let Self { executor, run, ctx, .. } = *self;
        loop {
            let made = match executor.manifest(run).await {
                Ok(manifest) => executor.make(run, &manifest, unsure).await,
                Err(error @ DispatchError::ExecutionFailed(_)) => {
                    return match unsure {
                        Unsure::Job => {
                            // What was asked for before may still be carried out.
                            run.remove();
                            Sure::Not(error)
                        }
                        // The configuration is another one since: that ends no work.
                        _ => Sure::Begun,
                    };
                }
                Err(error) => {
                    let (why, retry_after) = (error.to_string(), None);
                    Err(NotMade::Unclear(Trouble::Perhaps { why, retry_after }))
                }
            };
            let trouble = match made {
                Ok(()) => {
                    ctx.is_taken();
                    return Sure::Begun;
                }
                // That it is gone is found out there, and what follows.
                Err(NotMade::Gone) => return Sure::Begun,
                Err(NotMade::Refused(trouble)) => {
                    // What was asked for before may still be carried out.
                    run.remove();
                    return Sure::Not(not_begun(&trouble));
                }
                // Without its Secret it cannot begin.
                Err(NotMade::Secret(trouble @ Trouble::Refused { .. })) if !trouble.is(429) => {
                    let patience = executor.options.image_pull_patience;
                    let lasted_ms = self.lasting.so("secret", executor.clock.now().mono_ms);
                    if u128::from(lasted_ms.max(0).unsigned_abs()) >= patience.as_millis() {
                        let why = format!("its Secret is refused: {trouble}");
                        tracing::warn!(job = run.job(), why, "a Job cannot be made whole");
                        return match unsure {
                            Unsure::Job => Sure::Stuck(Stuck::Container(why)),
                            // It was another process's, and may have been at work before.
                            _ => Sure::Begun,
                        };
                    }
                    trouble
                }
                Err(NotMade::Secret(trouble) | NotMade::Unclear(trouble)) => trouble,
            };
            tracing::debug!(job = run.job(), %trouble, "whether a Job is there is not known");
            // It has begun, so all of it was there.
            if self.following.borrow().has_begun {
                return Sure::Begun;
            }
            tokio::select! {
                () = tokio::time::sleep(trouble.retry_after().unwrap_or(LOOK).min(RETRY_AFTER_MAX)) => {}
                () = ctx.cancelled() => return Sure::Begun,
            }
        }
    }

    async fn step(&mut self) -> Step {
        let now_ms = self.executor.clock.now().mono_ms;
        let seen = self.following.borrow_and_update().clone();
        let mut verdict = judge(&seen);
        let mut blind = None;
        // Whether it is gone, and what one side says alone, is asked for.
        if seen.job.is_none() || matches!(verdict, Verdict::Unsettled(_)) {
            match self.executor.look(&self.run.at).await {
                Ok(Some(seen)) => {
                    verdict = judge(&seen);
                    // The pods were asked for after the Job: they know no less.
                    if let Verdict::Unsettled(end) = &verdict
                        && seen.job.is_some_and(|job| job.end.is_some())
                    {
                        verdict = Verdict::Ended(end.clone());
                    }
                }
                Ok(None) => {
                    let why = format!("the Job {} is gone: it was deleted", self.run.job());
                    return Step::End(End::Lost { pod: None, why });
                }
                // The cluster is waited for: the work goes on meanwhile.
                Err(trouble) => {
                    tracing::debug!(job = self.run.job(), %trouble, "cannot look at a Job");
                    blind = Some(trouble.retry_after().unwrap_or(LOOK).min(RETRY_AFTER_MAX));
                }
            }
        }
        if let Some(pod) = pod_of(&verdict) {
            self.follow_logs(pod);
        }
        let options = &self.executor.options;
        if let Some(wait) = blind {
            return Step::Wait(wait);
        }
        match verdict {
            Verdict::Ended(end) => Step::End(end),
            Verdict::Unsettled(end) => match self.lasting.so("unsettled", now_ms) {
                lasted_ms if lasted_ms >= SETTLE_MS => Step::End(end),
                _ => Step::Wait(LOOK),
            },
            Verdict::Stuck(stuck) => {
                let (what, patience) = match &stuck {
                    Stuck::Container(_) => ("container", Some(options.image_pull_patience)),
                    Stuck::Place(_) => ("place", options.pending_patience),
                };
                let lasted_ms = self.lasting.so(what, now_ms);
                let lasted = Duration::from_millis(lasted_ms.max(0).unsigned_abs());
                match patience {
                    Some(patience) if lasted >= patience => Step::Stuck(stuck),
                    Some(patience) => Step::Wait((patience - lasted).min(LOOK_RARELY)),
                    None => Step::Wait(LOOK_RARELY),
                }
            }
            Verdict::Goes { .. } => {
                self.lasting = Lasting::default();
                // It was looked for by name: the stream tells of it soon.
                Step::Wait(if seen.job.is_none() { LOOK } else { LOOK_RARELY })
            }
        }
    }

    fn follow_logs(&mut self, pod: &str) {
        if self.logs.as_ref().is_none_or(|logs| logs.pod != pod) {
            let Self { executor, run, ctx, secrets, .. } = self;
            let (cluster, container) = (&run.at.site.cluster, &executor.container);
            self.logs = Some(LogPump::start(cluster, pod, container, secrets, ctx));
        }
    }

    async fn ended(mut self, end: End) -> ExecutionResult {
        let is_lost = matches!(end, End::Lost { .. });
        if let Some(logs) = self.logs.take() {
            logs.finish(self.ctx).await;
        }
        let result = match end {
            End::Exited { code, report, .. } => {
                let report = Report::read(report.as_bytes(), &self.secrets);
                for complaint in &report.complaints {
                    self.ctx.log(format!("##[warning] {complaint}\n")).await;
                }
                match report.result(code) {
                    // Nobody here has told it to.
                    it if it.status == ExecutionStatus::Cancelled && !self.ctx.is_cancelled() => {
                        ExecutionResult::retry("its container was stopped from outside")
                    }
                    result => result,
                }
            }
            End::Unread => {
                let text = "##[warning] the pod is gone, and its outputs with it\n";
                self.ctx.log(text).await;
                ExecutionResult::success::<String, String>([])
            }
            End::OutOfMemory { pod, code } => {
                let why = format!("the pod {pod} took more memory than it may have (OOMKilled)");
                ExecutionResult::failed(why).with_exit_code(code)
            }
            End::Late(message) => {
                ExecutionResult::failed(format!("it took too long (DeadlineExceeded): {message}"))
            }
            End::Lost { why, .. } => ExecutionResult::retry(why),
        };
        // Another attempt follows: nothing may be left of this one beside it.
        if is_lost {
            self.run.at.site.removals.remove(self.run.job());
            self.executor.is_gone(&self.run.at, GONE).await;
        }
        result
    }

    /// It did not begin for too long: the job goes elsewhere, if it did not begin in this moment.
    async fn give_up(mut self, stuck: Stuck) -> Result<ExecutionResult, Stop> {
        let why = match &stuck {
            Stuck::Container(why) | Stuck::Place(why) => format!("the pod does not begin: {why}"),
        };
        self.run.at.site.removals.remove(self.run.job());
        let is_gone = tokio::select! {
            is_gone = self.executor.is_gone(&self.run.at, GONE) => is_gone,
            () = self.ctx.cancelled() => return Ok(self.cancel().await),
        };
        // Its stream tells in order: once the pods are gone there, it would have told that one began.
        let told = self.following.wait_for(|seen| seen.pods.is_empty());
        let has_not_begun = match tokio::time::timeout(LATE_NEWS, told).await {
            Ok(Ok(seen)) => !seen.has_begun,
            _ => false,
        };
        let is_certain = is_gone && has_not_begun;
        match stuck {
            _ if !is_certain => Ok(ExecutionResult::retry(why)),
            Stuck::Container(_) => Err(Stop::Error(DispatchError::unavailable(why))),
            Stuck::Place(_) => {
                self.ctx.tried(format!("Job {}: {why}", self.run.job())).await;
                Err(Stop::Error(DispatchError::NoCapacity { retry_after: Some(NO_ROOM) }))
            }
        }
    }

    /// Somebody wants it to stop. That it has is said when nothing is left.
    async fn cancel(&mut self) -> ExecutionResult {
        self.run.remove();
        self.executor.is_over(self.run).await;
        if let Some(logs) = self.logs.take() {
            logs.finish(self.ctx).await;
        }
        ExecutionResult::cancelled()
    }
}

/// The pod whose log there is.
fn pod_of(verdict: &Verdict) -> Option<&str> {
    match verdict {
        Verdict::Goes { pod } => pod.as_deref(),
        Verdict::Stuck(_) => None,
        Verdict::Unsettled(end) | Verdict::Ended(end) => match end {
            End::Exited { pod, .. } | End::OutOfMemory { pod, .. } => Some(pod),
            End::Lost { pod, .. } => pod.as_deref(),
            End::Unread | End::Late(_) => None,
        },
    }
}
