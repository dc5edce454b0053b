//! Keeps one executor at work: it is the runner that the scheduler sees.
//!
//! ```text
//! the server leads -> register -> look after what it has -> poll -> [start -> watch -> complete] each
//!                                         ^                  |  heartbeat for all that it has
//!                                         +--- a new epoch --+
//! ```
//!
//! It says what runners say, in the same commands, so an executor has no second way in which jobs are
//! given out or leases are kept. It lives in the server that leads. An attempt that goes on outside is
//! found again by whoever leads next; one that lives in this process ends with it.

mod attempt;
mod duty;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

use super::breaker::{Breaker, BreakerSettings, BreakerState};
use super::context::TaskContext;
use super::metrics::ExecutorMetrics;
use super::task_executor::DurableExecutor;
use crate::clock::{Clock, OsEntropy};
use crate::dispatch::{Absence, Command, ExecutorState, HeldLease, Reply};
use crate::driver::{CommandError, Handle};
use crate::log::JobLogs;
use crate::model::{LeaseRef, LeaseToken, PoolId, RequeueReason, RunnerCapabilities, RunnerId};
use crate::store::Store;

/// What an executor is given beside its code.
#[derive(Clone, PartialEq, Debug)]
pub struct ExecutorOptions {
    /// Whose pool's limits, pauses and policies hold for it.
    pub pool_id: PoolId,
    /// What it takes.
    pub capabilities: RunnerCapabilities,
    /// When it is left alone.
    pub breaker: BreakerSettings,
    /// How long work may take to stop once it was told to.
    pub stop_grace: Duration,
    /// How often the leases of all that it has are renewed.
    pub heartbeat_interval: Duration,
}

/// What a supervisor reaches of the server.
#[derive(Clone)]
pub struct Server {
    /// The way to the driver.
    pub handle: Handle,
    /// What jobs are to do.
    pub store: Store,
    /// Their logs.
    pub logs: JobLogs,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
}

/// One executor at work.
pub(super) struct Supervisor {
    pub(super) name: Box<str>,
    executor: Arc<dyn DurableExecutor>,
    options: ExecutorOptions,
    server: Server,
    duties: Mutex<Duties>,
    /// Something changed that says whether to poll.
    changed: Arc<Notify>,
    stopping: CancellationToken,
}

struct Duties {
    breaker: Breaker,
    /// Until when (mono) it has no room, by its own word.
    full_until_ms: i64,
    /// Why it is away, for people.
    why: Box<str>,
    /// The attempt that is to show whether it is there again.
    trial: Option<LeaseToken>,
    attempts: BTreeMap<LeaseToken, Attempt>,
}

/// An attempt that this process looks after.
struct Attempt {
    lease: LeaseRef,
    ctx: TaskContext,
    task: AbortHandle,
}

/// What people are shown of an executor.
#[derive(Clone, PartialEq, Debug)]
pub struct ExecutorStatus {
    /// What routes call it.
    pub name: Box<str>,
    /// Its pool.
    pub pool_id: PoolId,
    /// Where its breaker stands.
    pub breaker: BreakerState,
    /// When it is tried again (wall milliseconds), while it is open.
    pub open_until_ms: Option<i64>,
    /// What went wrong last, until it went well again.
    pub why: Option<Box<str>>,
    /// Attempts that it has by our count.
    pub attempts: usize,
    /// What it takes at most.
    pub attempts_max: u32,
    /// Its own figures.
    pub metrics: ExecutorMetrics,
}

impl Supervisor {
    pub(super) fn new(
        name: Box<str>,
        executor: Arc<dyn DurableExecutor>,
        options: ExecutorOptions,
        server: Server,
    ) -> Self {
        let duties = Duties {
            breaker: Breaker::new(options.breaker),
            full_until_ms: i64::MIN,
            why: "".into(),
            trial: None,
            attempts: BTreeMap::new(),
        };
        Self {
            name,
            executor,
            options,
            server,
            duties: Mutex::new(duties),
            changed: Arc::new(Notify::new()),
            stopping: CancellationToken::new(),
        }
    }

    fn duties(&self) -> MutexGuard<'_, Duties> {
        self.duties.lock().unwrap_or_else(|broken| broken.into_inner())
    }

    fn mono_ms(&self) -> i64 {
        self.server.clock.now().mono_ms
    }

    pub(super) fn status(&self) -> ExecutorStatus {
        let now = self.server.clock.now();
        let duties = self.duties();
        let breaker = duties.breaker.state();
        let until_ms = match breaker {
            BreakerState::Open { until_ms } => Some(now.wall_ms + until_ms - now.mono_ms),
            _ => None,
        };
        ExecutorStatus {
            name: self.name.clone(),
            pool_id: self.options.pool_id,
            breaker,
            open_until_ms: until_ms,
            why: Some(duties.why.clone()).filter(|why| !why.is_empty()),
            attempts: duties.attempts.len(),
            attempts_max: self.options.capabilities.max_parallel_jobs,
            metrics: self.executor.metrics(),
        }
    }

    async fn say(&self, command: Command) -> Result<Reply, CommandError> {
        say(&self.server.handle, command).await
    }

    /// Jobs can be handed over.
    async fn is_there(&self) {
        let closed = {
            let mut duties = self.duties();
            let closed = duties.breaker.succeeded();
            if closed {
                duties.why = "".into();
            }
            closed
        };
        if closed {
            let _ = self.say(self.stands(ExecutorState::There)).await;
        }
        self.changed.notify_one();
    }

    /// A job could not be handed over: what the scheduler is to be told of the executor, if it is news.
    fn is_not_there(
        &self,
        certain: bool,
        retry_after: Option<Duration>,
        why: &str,
    ) -> Option<Command> {
        let now = self.server.clock.now();
        let retry_after = retry_after.map(|it| i64::try_from(it.as_millis()).unwrap_or(i64::MAX));
        let mut duties = self.duties();
        let until = duties.breaker.failed(now.mono_ms, certain, retry_after, &mut OsEntropy)?;
        duties.why = why.into();
        drop(duties);
        self.changed.notify_one();
        let absence = Absence { until_ms: now.wall_ms + until - now.mono_ms, why: why.into() };
        Some(self.stands(ExecutorState::Away(absence)))
    }

    /// What a scheduler that was just loaded has to know of it.
    fn standing(&self) -> Option<Command> {
        let now = self.server.clock.now();
        let duties = self.duties();
        let state = match duties.breaker.state() {
            BreakerState::Closed => return None,
            BreakerState::HalfOpen => ExecutorState::Trying,
            BreakerState::Open { until_ms } => ExecutorState::Away(Absence {
                until_ms: now.wall_ms + until_ms - now.mono_ms,
                why: duties.why.clone(),
            }),
        };
        Some(self.stands(state))
    }

    fn stands(&self, state: ExecutorState) -> Command {
        Command::ExecutorStands { executor: self.name.clone(), state }
    }

    /// Lets jobs go to it again, whatever happened.
    pub(super) async fn reset(&self) {
        self.duties().full_until_ms = i64::MIN;
        self.is_there().await;
    }

    /// The attempt with that lease, if it has it.
    pub(super) fn attempt(&self, token: LeaseToken) -> Option<TaskContext> {
        self.duties().attempts.get(&token).map(|attempt| attempt.ctx.clone())
    }

    /// What it has and hears of, for a heartbeat.
    fn held(&self) -> Vec<HeldLease> {
        let (mono_ms, duties) = (self.mono_ms(), self.duties());
        let held = duties.attempts.iter().filter(|(_, attempt)| attempt.ctx.is_alive(mono_ms));
        held.map(|(token, attempt)| HeldLease { token: *token, nonce: attempt.lease.nonce })
            .collect()
    }

    /// What it has and hears nothing of any more.
    fn silent(&self) -> Vec<LeaseRef> {
        let (mono_ms, duties) = (self.mono_ms(), self.duties());
        let silent = duties.attempts.values().filter(|attempt| !attempt.ctx.is_alive(mono_ms));
        silent.map(|attempt| attempt.lease).collect()
    }

    /// Tells attempts to stop.
    fn cancel(&self, tokens: &[LeaseToken]) {
        let duties = self.duties();
        let attempts = tokens.iter().filter_map(|token| duties.attempts.get(token));
        attempts.for_each(|attempt| attempt.ctx.cancel_as_asked());
    }

    /// Looks after nothing any more: another server does. What goes on outside goes on.
    fn hand_over(&self) {
        let attempts = std::mem::take(&mut self.duties().attempts);
        for attempt in attempts.into_values() {
            match self.executor.is_durable() {
                true => attempt.task.abort(),
                false => attempt.give_up(self.options.stop_grace),
            }
        }
    }

    /// Gives up attempts whose leases are somebody else's, or nobody's, by now.
    fn forget(&self, tokens: &[LeaseToken]) {
        let mut duties = self.duties();
        for attempt in tokens.iter().filter_map(|token| duties.attempts.remove(token)) {
            attempt.give_up(self.options.stop_grace);
        }
    }

    /// Ends its work: nothing new, and what is waited for gets `grace` to end. Then what lives in this
    /// process is told to stop and given back. What goes on outside is left to go on.
    pub(super) async fn stop(&self, grace: Duration) {
        self.stopping.cancel();
        let is_done = async || {
            loop {
                let changed = self.changed.notified();
                if self.duties().attempts.is_empty() {
                    return;
                }
                changed.await;
            }
        };
        let is_late =
            self.executor.is_waited_for() && tokio::time::timeout(grace, is_done()).await.is_err();
        if is_late && !self.executor.is_durable() {
            self.duties().attempts.values().for_each(|attempt| attempt.ctx.cancel());
            let _ = tokio::time::timeout(self.options.stop_grace, is_done()).await;
        }
        let left = std::mem::take(&mut self.duties().attempts);
        for Attempt { lease, task, .. } in left.into_values() {
            task.abort();
            if !self.executor.is_durable() {
                let why = Some("the server stops, and the work with it".into());
                let release = Command::Release { lease, reason: RequeueReason::Drained, why };
                let _ = self.server.handle.send(release).await;
            }
        }
    }

    /// The runner that the scheduler has of it, which is the same after a restart.
    async fn register(&self) -> Result<RunnerId, CommandError> {
        let register = crate::dispatch::Register {
            name: self.name.clone(),
            // No runner can call itself so: its name has no control characters.
            instance_id: format!("\u{1f}executor:{}", self.name).into(),
            // Always the same process, as far as leases go: what went on outside is still its own.
            boot_id: "executor".into(),
            pool_id: self.options.pool_id,
            // No token has this hash.
            token_hash: "".into(),
            capabilities: self.options.capabilities.clone(),
            version: env!("CARGO_PKG_VERSION").into(),
            ordered: None,
        };
        match self.say(Command::Register(Box::new(register))).await? {
            Reply::Registered(id) => Ok(id),
            other => unreachable!("the driver answered a registration with {other:?}"),
        }
    }
}

/// Sends a command until the server takes it; `Err` when the lease is lost or the server ends.
pub(super) async fn say(handle: &Handle, command: Command) -> Result<Reply, CommandError> {
    let mut wait = Duration::from_millis(20);
    loop {
        match handle.send(command.clone()).await {
            Err(CommandError::Unavailable | CommandError::Overloaded) => {}
            answer => return answer,
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(Duration::from_secs(1));
    }
}

impl Attempt {
    /// Tells the work to stop, and ends it when it does not.
    fn give_up(self, grace: Duration) {
        self.ctx.lose();
        tokio::spawn(async move {
            tokio::time::sleep(grace).await;
            self.task.abort();
        });
    }
}
