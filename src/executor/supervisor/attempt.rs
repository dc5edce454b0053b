//! One attempt, from its start to what is said of its end.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join;
use tokio_util::task::AbortOnDropHandle;

use super::super::breaker::BreakerState;
use super::super::context::TaskContext;
use super::super::event::{DispatchError, ExecutionResult, TaskReadyEvent, lease_of};
use super::super::task_executor::Adopted;
use super::{Attempt, Supervisor};
use crate::dispatch::{Command, Refusal, Reply};
use crate::driver::CommandError;
use crate::model::{AssignedJob, AttemptOutcome, JobResult, LeaseRef, LeaseToken, RequeueReason};

/// How long to leave alone an executor that has no room and does not say for how long.
const NO_ROOM: Duration = Duration::from_secs(1);
/// How often somebody who cannot say what became of an attempt is asked again.
const UNKNOWN_LOOK: Duration = Duration::from_secs(1);

/// How an attempt ended, for the scheduler.
enum End {
    Complete(JobResult),
    /// Back to the queue, for this reason.
    Release(RequeueReason, String),
    /// The same, because the executor cannot be reached.
    Away {
        why: String,
        retry_after: Option<Duration>,
    },
    /// Nobody has to be told.
    Silence,
}

impl Supervisor {
    /// Begins with what was given, or goes on with what another process began: that is called so by its
    /// backend, as far as is known.
    pub(super) fn begin(self: &Arc<Self>, job: &AssignedJob, adopted: Option<Option<Box<str>>>) {
        let (token, lease) = (job.lease.token, lease_of(job));
        let event = TaskReadyEvent::new(job);
        let ctx = TaskContext::new(event, lease, &self.server, Arc::clone(&self.changed));
        let mut duties = self.duties();
        if duties.attempts.contains_key(&token) {
            return;
        }
        // What goes on already tries nothing.
        if adopted.is_none() && duties.breaker.state() == BreakerState::HalfOpen {
            duties.trial = Some(token);
        }
        let (supervisor, own) = (Arc::clone(self), ctx.clone());
        let task = tokio::spawn(async move {
            let end = match adopted {
                None => supervisor.carry_out(lease, &own).await,
                Some(external_ref) => supervisor.adopt(external_ref.as_deref(), &own).await,
            };
            let end = match end {
                // Stopped because the server stops, and not because somebody asked for that.
                End::Complete(result) if own.was_interrupted(result.outcome) => {
                    End::Release(RequeueReason::Drained, "the server stops".to_owned())
                }
                end => end,
            };
            if supervisor.tell(lease, end).await {
                supervisor.executor.settled(own.event()).await;
            }
            supervisor.done(token);
        });
        duties.attempts.insert(token, Attempt { lease, ctx, task: task.abort_handle() });
    }

    fn done(&self, token: LeaseToken) {
        self.duties().attempts.remove(&token);
        self.changed.notify_waiters();
        self.changed.notify_one();
    }

    async fn carry_out(self: &Arc<Self>, lease: LeaseRef, ctx: &TaskContext) -> End {
        if self.say(Command::Start(lease)).await.is_err() {
            return End::Silence;
        }
        let (executor, own) = (Arc::clone(&self.executor), ctx.clone());
        let starting =
            AbortOnDropHandle::new(tokio::spawn(
                async move { executor.start(own.event(), &own).await },
            ));
        let external_ref = match starting.await {
            Ok(Ok(external_ref)) => external_ref,
            Ok(Err(error)) => return self.failed(error),
            Err(panic) => return End::Complete(JobResult::failed(fault(&panic))),
        };
        // Without a name nothing was begun yet.
        if self.executor.is_durable() && !external_ref.is_empty() {
            ctx.is_taken();
            let external_ref = external_ref.as_str().into();
            let said = self.say(Command::Refer { lease, external_ref }).await;
            if said.is_err() {
                if is_settled(&said) {
                    self.executor.settled(ctx.event()).await;
                }
                return End::Silence;
            }
        }
        self.watch(external_ref, ctx).await
    }

    async fn adopt(self: &Arc<Self>, external_ref: Option<&str>, ctx: &TaskContext) -> End {
        let event = ctx.event();
        let mut found = self.executor.adopt(external_ref, event, ctx).await;
        while found == Adopted::Unknown && !self.stopping.is_cancelled() {
            tokio::select! {
                () = tokio::time::sleep(UNKNOWN_LOOK) => {}
                () = ctx.lost() => {
                    // It is nobody's any more: whenever its backend is back it is ended there.
                    self.executor.settled(event).await;
                    return End::Silence;
                }
            }
            found = self.executor.adopt(external_ref, event, ctx).await;
        }
        match found {
            Adopted::Running => {
                self.watch(external_ref.unwrap_or(&event.attempt_key).to_owned(), ctx).await
            }
            Adopted::Ended(result) => ended(result),
            Adopted::Gone => {
                let why = "the server that carried it out has ended, and the attempt with it";
                End::Release(RequeueReason::RunnerLost, why.to_owned())
            }
            Adopted::Unknown => End::Silence,
        }
    }

    /// Waits for the end; work whose time is over is told to stop first.
    async fn watch(self: &Arc<Self>, external_ref: String, ctx: &TaskContext) -> End {
        let (executor, own) = (Arc::clone(&self.executor), ctx.clone());
        let mut watching = AbortOnDropHandle::new(tokio::spawn(async move {
            executor.watch(&external_ref, own.event(), &own).await
        }));
        let (mut timed_out, timeout) = (false, ctx.event().timeout());
        let watched = tokio::select! {
            watched = &mut watching => watched,
            () = tokio::time::sleep(timeout) => {
                timed_out = true;
                ctx.cancel();
                let grace = self.options.stop_grace;
                match tokio::time::timeout(grace, &mut watching).await {
                    Ok(watched) => watched,
                    Err(_) => {
                        watching.abort();
                        let ms = grace.as_millis();
                        Ok(Ok(ExecutionResult::failed(format!("it did not stop within {ms} ms"))))
                    }
                }
            }
        };
        let end = match watched {
            Ok(Ok(result)) => ended(result),
            Ok(Err(error)) => self.failed(error),
            Err(panic) => End::Complete(JobResult::failed(fault(&panic))),
        };
        match end {
            // What is done is done, even if it came late.
            End::Complete(result) if timed_out && result.outcome != AttemptOutcome::Completed => {
                let ms = ctx.event().timeout_ms;
                let more = result.error.map_or_else(String::new, |it| format!("; {it}"));
                let error = Some(format!("it took longer than {ms} ms{more}"));
                End::Complete(JobResult { outcome: AttemptOutcome::TimedOut, error, ..result })
            }
            end => end,
        }
    }

    fn failed(&self, error: DispatchError) -> End {
        let why = format!("executor {}: {error}", self.name);
        match error {
            DispatchError::ExecutionFailed(why) => End::Complete(JobResult::failed(why)),
            DispatchError::NoCapacity { retry_after } => {
                let wait = retry_after.unwrap_or(NO_ROOM).min(Duration::from_secs(60));
                let wait_ms = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
                self.duties().full_until_ms = self.mono_ms() + wait_ms;
                self.changed.notify_one();
                End::Release(RequeueReason::ExecutorUnavailable, why)
            }
            DispatchError::NoExecutor(_) => End::Away { why, retry_after: None },
            DispatchError::Unavailable { retry_after, .. } => End::Away { why, retry_after },
        }
    }

    /// Says how an attempt ended, and what that says of the executor. `true` when that is stored, or the
    /// attempt is not ours any more: nobody will ask the backend for it again.
    async fn tell(&self, lease: LeaseRef, end: End) -> bool {
        let release =
            |reason, why: String| Command::Release { lease, reason, why: Some(why.into()) };
        match end {
            End::Silence => false,
            End::Complete(result) => {
                self.is_there().await;
                let result = Box::new(result);
                is_settled(&self.say(Command::Complete { lease, result }).await)
            }
            End::Release(reason @ RequeueReason::Evicted, why) => {
                let news = self.is_not_there(false, None, &why);
                self.give_back(news, release(reason, why)).await
            }
            End::Release(reason, why) => self.give_back(None, release(reason, why)).await,
            End::Away { why, retry_after } => {
                let news = self.is_not_there(true, retry_after, &why);
                let reason = RequeueReason::ExecutorUnavailable;
                self.give_back(news, release(reason, why)).await
            }
        }
    }

    /// The news of the executor first, in the same batch: so the job goes to the next one, and not here
    /// again.
    async fn give_back(&self, news: Option<Command>, release: Command) -> bool {
        let said = match news {
            Some(news) => join(self.say(news), self.say(release)).await.1,
            None => self.say(release).await,
        };
        is_settled(&said)
    }
}

/// Whether what was said is stored, or was refused because the attempt is somebody else's by now. A server that
/// ends leaves it to the next one.
fn is_settled(said: &Result<Reply, CommandError>) -> bool {
    matches!(said, Ok(_) | Err(CommandError::Refused(Refusal::LeaseLost(_))))
}

fn ended(result: ExecutionResult) -> End {
    let error = result.error.clone();
    match result.into_job_result() {
        Some(result) => End::Complete(result),
        None => End::Release(RequeueReason::Evicted, error.unwrap_or_default()),
    }
}

/// What is said of code of an executor that panicked.
pub(super) fn fault(error: &tokio::task::JoinError) -> String {
    format!("a fault in the executor: {error}")
}
