//! One attempt: its container from the wish for it to what it has left.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;

use super::super::context::TaskContext;
use super::super::event::{DispatchError, ExecutionResult, TaskReadyEvent};
use super::super::script::{Bundle, Places, Report};
use super::daemon::Trouble;
use super::site::Site;
use super::state::{Phase, State};
use super::{ContainerExecutor, logs, pack, spec, state};
use crate::agent_runner::Secrets;
use crate::executor::ContextError;

/// The most that a job may leave: what is read of an answer of the daemon is more.
const REPORT_BYTES_MAX: u32 = 256 << 10;
/// How often it is asked for at most.
const REPORT_TRIES_MAX: u32 = 30;
/// Where the bundle is in a container.
const PLACES: Places<'static> = Places {
    bundle: "/dispatchyard",
    work: "/dispatchyard/work",
    report: "/dispatchyard/work/report",
    report_bytes_max: Some(REPORT_BYTES_MAX),
};
/// How often something is asked for before a container runs, where the daemon may say another thing next time.
const TRIES_MAX: u32 = 3;
/// How long it rests first; doubled with each.
const BACKOFF: Duration = Duration::from_millis(100);
/// How long it rests at most.
const BACKOFF_MAX: Duration = Duration::from_secs(2);
/// How often a container is looked at that nothing is heard of.
const LOOK: Duration = Duration::from_secs(15);
/// How long the rest of a log may take after its container has ended.
const LOG_REST: Duration = Duration::from_secs(10);

/// One attempt in one call.
pub(super) struct Run<'a> {
    /// Whose container it is.
    pub(super) site: Arc<Site>,
    pub(super) name: String,
    pub(super) event: &'a TaskReadyEvent,
    pub(super) ctx: &'a TaskContext,
}

/// Why there is nothing to be followed.
pub(super) enum Stop {
    Error(DispatchError),
    End(ExecutionResult),
}

impl Stop {
    /// Nothing began, and the executor is of no use just now.
    fn away(trouble: &Trouble) -> Self {
        Self::Error(DispatchError::unavailable(trouble.to_string()))
    }
}

impl ContainerExecutor {
    /// Repeats a call that must go well before anything runs.
    async fn sure<T, F>(
        &self,
        run: &Run<'_>,
        what: &str,
        call: impl Fn() -> F,
    ) -> Result<T, Trouble>
    where
        F: Future<Output = Result<T, Trouble>>,
    {
        let mut rest = BACKOFF;
        for number in 1.. {
            let trouble = match call().await {
                Ok(done) => return Ok(done),
                Err(trouble) => trouble,
            };
            run.ctx.tried(format!("{what} {}: {trouble}", run.name)).await;
            let is_gone = matches!(trouble, Trouble::NotThere(_)) && number == 1;
            if trouble.is_final() || is_gone || number == TRIES_MAX {
                return Err(trouble);
            }
            tokio::time::sleep(rest).await;
            rest *= 2;
        }
        unreachable!("it is tried a bounded number of times")
    }

    /// Makes the attempt's container and starts it.
    async fn begin(&self, run: &Run<'_>) -> Result<(), Stop> {
        let (command, archive) = self.bundle(run).await?;
        let own = spec::Own {
            entrypoint: &command[..2],
            arguments: &command[2..],
            env: Vec::new(),
            labels: spec::labels_of(&self.options.owner, &self.name, run.event),
        };
        let body = self.options.template.body(&own);
        let create = || self.images.create(&run.name, &body);
        let created = self.sure(run, "create container", create).await;
        match created {
            Ok(true) => {}
            Ok(false) => self.is_ours(run).await?,
            Err(trouble) => {
                // An answer may have been lost, and what it spoke of will never be started.
                run.site.removals.add(&run.name);
                let refused = matches!(&trouble, Trouble::Refused(status, _)
                    if status.is_client_error() && *status != reqwest::StatusCode::NOT_FOUND);
                return Err(match refused {
                    true => Stop::Error(DispatchError::ExecutionFailed(trouble.to_string())),
                    // Without the image as without the daemon.
                    false => Stop::away(&trouble),
                });
            }
        }
        let place = run.site.place(&run.name).await;
        if !run.ctx.may_be_called(&place.to_string()).await {
            run.site.removals.add(&run.name);
            // The attempt is somebody else's, which is no fault of the daemon: nobody is told.
            return Err(Stop::End(ExecutionResult::cancelled()));
        }
        run.ctx.is_taken();
        let launched = self.launch(run, archive).await;
        if launched.is_err() {
            run.site.removals.add(&run.name);
        }
        launched
    }

    /// The container of that name is this attempt's.
    async fn is_ours(&self, run: &Run<'_>) -> Result<(), Stop> {
        let look = || run.site.daemon.inspect(&run.name);
        let seen = self.sure(run, "look at container", look).await;
        match seen.map_err(|trouble| Stop::away(&trouble))? {
            Some(seen) if seen.config.has(spec::LEASE, &run.event.lease.to_string()) => Ok(()),
            Some(_) => Err(Stop::Error(DispatchError::ExecutionFailed(format!(
                "the container {} is somebody else's",
                run.name
            )))),
            None => Err(Stop::End(removed())),
        }
    }

    /// The command line of the attempt and the archive of its files.
    async fn bundle(&self, run: &Run<'_>) -> Result<(Vec<String>, Bytes), Stop> {
        let cannot = |error: ContextError| {
            let why = format!("the job's context cannot be read: {error}");
            Stop::Error(DispatchError::unavailable(why))
        };
        let context = run.ctx.load().await.map_err(cannot)?;
        let payload = match context.has_payload {
            true => run.ctx.payload().await.map_err(cannot)?,
            false => None,
        };
        let payload = payload.map(|bytes| bytes.to_vec());
        let agents = &self.options.agents;
        let bundle = Bundle::new(&self.name, run.event, &context, payload, agents, PLACES);
        let bundle = bundle
            .map_err(|error| Stop::Error(DispatchError::ExecutionFailed(error.to_string())))?;
        let archive = pack::pack(PLACES.bundle, PLACES.work, &bundle.files);
        Ok((bundle.command, archive.into()))
    }

    /// Puts the work into the container, and starts it.
    async fn launch(&self, run: &Run<'_>, archive: Bytes) -> Result<(), Stop> {
        let upload = || run.site.daemon.upload(&run.name, archive.clone());
        if let Err(trouble) = self.sure(run, "fill container", upload).await {
            return Err(match trouble.is(reqwest::StatusCode::NOT_FOUND) {
                true => Stop::End(removed()),
                false => Stop::away(&trouble),
            });
        }
        let Err(trouble) = run.site.daemon.start(&run.name).await else { return Ok(()) };
        run.ctx.tried(format!("start container {}: {trouble}", run.name)).await;
        // An answer that was lost is no reason: whoever follows it sees how it stands.
        let Trouble::Refused(status, why) = &trouble else { return Ok(()) };
        match run.site.daemon.inspect(&run.name).await {
            Ok(Some(seen)) if seen.state.phase() == Phase::Created => {}
            // As after any other lost answer.
            _ => return Ok(()),
        }
        let why = format!("the container cannot be started: {why}");
        Err(Stop::End(match status.is_client_error() {
            // Of the image, which has no shell, or of what was asked for.
            true => ExecutionResult::failed(why),
            false => ExecutionResult::retry(why),
        }))
    }

    /// Starts a container that was made before.
    async fn launch_again(&self, run: &Run<'_>) -> Result<(), Stop> {
        let (_, archive) = self.bundle(run).await?;
        self.launch(run, archive).await
    }

    /// Waits until the container runs no more; one that was not started yet is started. `None` when it is not
    /// there.
    async fn ended(&self, run: &Run<'_>) -> Result<Option<State>, Stop> {
        let (mut rest, mut has_waited) = (BACKOFF, false);
        loop {
            let phase = match run.site.daemon.inspect(&run.name).await {
                Ok(None) => return Ok(None),
                Ok(Some(seen)) if seen.state.phase() == Phase::Ended => {
                    return Ok(Some(seen.state));
                }
                Ok(Some(seen)) => Ok(seen.state.phase()),
                Err(trouble) => Err(trouble),
            };
            match phase {
                Ok(Phase::Running) => {
                    let wait = tokio::time::timeout(LOOK, run.site.daemon.wait(&run.name));
                    match wait.await {
                        // It is looked at again, at once unless it still runs then.
                        Ok(Ok(())) if !has_waited => {
                            has_waited = true;
                            continue;
                        }
                        Ok(_) => {}
                        Err(_) => {
                            (rest, has_waited) = (BACKOFF, false);
                            continue;
                        }
                    }
                }
                Ok(Phase::Created) if run.ctx.is_cancelled() => return Ok(None),
                Ok(Phase::Created) => match self.launch_again(run).await {
                    // A start whose answer was lost may still be carried out: nobody else has its job.
                    Err(Stop::Error(DispatchError::Unavailable { why, .. })) => {
                        tracing::warn!(name = run.name, why, "cannot start a container");
                    }
                    launched => launched?,
                },
                Ok(_) => {}
                Err(trouble) => {
                    tracing::warn!(name = run.name, %trouble, "cannot look at a container");
                }
            }
            tokio::time::sleep(rest).await;
            rest = (rest * 2).min(BACKOFF_MAX);
        }
    }

    /// Stops the container, however often that must be asked for. Without a lease there is no time for that: another
    /// attempt may begin.
    async fn stop(&self, run: &Run<'_>) -> Result<Option<State>, Stop> {
        let kill = async |signal: &str| {
            if let Err(trouble) = run.site.daemon.kill(&run.name, signal).await {
                tracing::warn!(name = run.name, %trouble, "cannot stop a container");
            }
        };
        if !run.ctx.is_lost() {
            kill("SIGTERM").await;
            let ended = tokio::time::timeout(self.options.stop_grace, self.ended(run));
            let ended = tokio::select! {
                ended = ended => ended.ok(),
                () = run.ctx.lost() => None,
            };
            if let Some(ended) = ended {
                return ended;
            }
        }
        loop {
            kill("SIGKILL").await;
            if let Ok(ended) = tokio::time::timeout(BACKOFF_MAX, self.ended(run)).await {
                return ended;
            }
        }
    }

    /// Follows the container to its end.
    async fn follow(&self, run: &Run<'_>) -> Result<ExecutionResult, Stop> {
        // The job may name secrets.
        let secrets = Secrets::new([]);
        let (end_seen, ends) = watch::channel(false);
        let mut log = pin!(logs::copy(&run.site.daemon, &run.name, run.ctx, &secrets, ends));
        let (mut is_read, mut was_told) = (false, false);
        let mut ending = pin!(self.ended(run));
        let ended = loop {
            tokio::select! {
                ended = &mut ending => break ended,
                () = &mut log, if !is_read => is_read = true,
                () = run.ctx.cancelled() => {
                    was_told = true;
                    let mut stopping = pin!(self.stop(run));
                    break loop {
                        tokio::select! {
                            ended = &mut stopping => break ended,
                            () = &mut log, if !is_read => is_read = true,
                        }
                    };
                }
            }
        };
        let Some(state) = ended? else {
            return Ok(if was_told { ExecutionResult::cancelled() } else { removed() });
        };
        if run.ctx.is_lost() {
            // Nobody asks how it ended.
            return Ok(ExecutionResult::cancelled());
        }
        end_seen.send_replace(true);
        if !is_read && tokio::time::timeout(LOG_REST, log).await.is_err() {
            tracing::warn!(name = run.name, "the rest of a container's log did not come");
        }
        let report = self.report(run, &secrets).await;
        for complaint in &report.complaints {
            run.ctx.log(format!("##[warning] {complaint}\n")).await;
        }
        Ok(state::end(&state, report, was_told, self.options.template.memory_mb))
    }

    /// What the script has left, as soon as the daemon can be asked.
    async fn report(&self, run: &Run<'_>, secrets: &Secrets) -> Report {
        let mut rest = BACKOFF;
        for _ in 0..REPORT_TRIES_MAX {
            match run.site.daemon.file(&run.name, PLACES.report).await {
                Ok(content) => return Report::read(&content.unwrap_or_default(), secrets),
                Err(trouble) if trouble.is_final() => {
                    tracing::warn!(name = run.name, %trouble, "cannot read what a job has left");
                    break;
                }
                Err(trouble) => tracing::warn!(name = run.name, %trouble, "cannot read outputs"),
            }
            tokio::time::sleep(rest).await;
            rest = (rest * 2).min(BACKOFF_MAX);
        }
        Report::read(&[], secrets)
    }

    /// Carries an attempt out, or goes on with one that was begun.
    pub(super) async fn carry_out(
        &self,
        run: &Run<'_>,
        is_begun: bool,
    ) -> Result<ExecutionResult, Stop> {
        if !is_begun {
            tokio::select! {
                begun = self.begin(run) => begun?,
                () = run.ctx.cancelled() => {
                    run.site.removals.add(&run.name);
                    return Ok(ExecutionResult::cancelled());
                }
            }
        }
        self.follow(run).await
    }
}

fn removed() -> ExecutionResult {
    ExecutionResult::retry("its container was removed from outside")
}

/// Takes the container of work away that was told to stop and is not waited for any more.
pub(super) struct Abandoned<'a> {
    pub(super) run: &'a Run<'a>,
}

impl Drop for Abandoned<'_> {
    fn drop(&mut self) {
        if self.run.ctx.is_cancelled() {
            self.run.site.removals.add(&self.run.name);
        }
    }
}
