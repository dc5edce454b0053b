//! Decides about jobs of workflow files whose needs have all ended.
//!
//! ```text
//! driver: a job is due (after the commit, and after each load)
//!    -> read its facts (store, at one moment) -> a pure function -> Command::Decide -> commit
//! ```
//!
//! The scheduler says when, and knows neither conditions nor outputs; the function says what, and knows no
//! store. This room stands between them, at the edge. A decision that comes too late (the job was
//! cancelled, another task was quicker, the workload was retried) is refused, so nothing here has to be
//! remembered: what was not committed when the process ends, or loses the seat, is told again to whoever
//! leads next.
//!
//! Not here: what a condition or a matrix means. That is the `workflow` room's, and comes as [`Decide`].

mod facts;

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::dispatch::{Command, Refusal};
use crate::driver::{CommandError, Handle, ServerState};
use crate::model::{Decision, Facts, JobId, JobSpec};
use crate::store::{Store, StoreError};
use facts::Read;

/// Makes a decision of what a job says and of what is known when everything that it needs has ended. It is
/// given jobs that wait for one and no others.
pub type Decide = Arc<dyn Fn(&JobSpec, &Facts<'_>) -> Decision + Send + Sync>;

/// Jobs that are decided at once: each may hold a delivery's body in memory.
const AT_ONCE: usize = 8;
/// How long a store or a driver that is away is waited for before the same is tried again.
const AGAIN: Duration = Duration::from_millis(50);

/// What decisions are made with.
#[derive(Clone)]
pub struct PlannerParts {
    /// Where the facts are.
    pub store: Store,
    /// Tells what is due, and takes the decisions.
    pub handle: Handle,
    /// By whose time this instance leads.
    pub clock: Arc<dyn Clock>,
    /// What decides.
    pub decide: Decide,
}

/// Jobs, each in a run, on which the scheduler itself fails: they are left alone until the next start, so
/// that one bad decision hurts only itself (law 12).
type GivenUp = Mutex<BTreeSet<(JobId, u32)>>;

/// Decides whatever is due, for as long as the server runs.
pub async fn plan(parts: PlannerParts, stopping: CancellationToken) {
    let (room, given_up) = (Arc::new(Semaphore::new(AT_ONCE)), Arc::new(GivenUp::default()));
    let mut tasks = JoinSet::new();
    let work = async {
        loop {
            for job_id in parts.handle.views().undecided.take(AT_ONCE).await {
                // It is closed by nobody.
                let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
                while tasks.try_join_next().is_some() {}
                let (parts, given_up) = (parts.clone(), Arc::clone(&given_up));
                tasks.spawn(async move {
                    parts.decide_one(job_id, &given_up).await;
                    drop(permit);
                });
            }
        }
    };
    tokio::select! {
        () = stopping.cancelled() => {}
        () = work => {}
    }
    // Those that are under way end with the set; the next leader is told of their jobs again.
}

impl PlannerParts {
    /// Decides one job, for as long as this instance leads in the epoch in which it was told of it.
    async fn decide_one(&self, job_id: JobId, given_up: &GivenUp) {
        let epoch = self.handle.views().epoch();
        while self.is_of(epoch) {
            // Who may not speak for a moment, and leads in the same epoch then, is not told again.
            if self.handle.views().may_speak(self.clock.now())
                && self.try_one(job_id, given_up).await.is_ok()
            {
                return;
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    async fn try_one(&self, job_id: JobId, given_up: &GivenUp) -> Result<(), Again> {
        let (run, decision) = match facts::read(&self.store, job_id).await {
            Ok(None) => return Ok(()),
            Ok(Some(read)) => (read.run, self.decided(&read)),
            Err(StoreError::Corrupt { .. }) => match self.store.job_run(job_id).await {
                Ok(Some(run)) => {
                    let why = "its rows, or those of what it needs, are damaged".into();
                    (run, Decision::Fail { why })
                }
                Ok(None) => return Ok(()),
                Err(error) => return again(job_id, &error),
            },
            Err(error) => return again(job_id, &error),
        };
        if lock(given_up).contains(&(job_id, run)) {
            return Ok(());
        }
        let Some(refusal) = self.send(job_id, run, decision).await? else { return Ok(()) };
        let why = refusal.to_string().into();
        if let Some(refusal) = self.send(job_id, run, Decision::Fail { why }).await? {
            tracing::error!(job_id = job_id.0, error = %refusal, "a job is left undecided");
            lock(given_up).insert((job_id, run));
        }
        Ok(())
    }

    /// Sends a decision; why it was refused, unless that was for coming too late.
    async fn send(
        &self,
        job_id: JobId,
        run: u32,
        decision: Decision,
    ) -> Result<Option<Refusal>, Again> {
        match self.handle.send(Command::Decide { job_id, run, decision }).await {
            Ok(_) | Err(CommandError::Stopping) => Ok(None),
            Err(CommandError::Refused(Refusal::Superseded(_))) => {
                tracing::debug!(job_id = job_id.0, "a decision came too late");
                Ok(None)
            }
            // There is no room for what its jobs require now.
            Err(CommandError::Refused(Refusal::TooMany { .. })) => Err(Again),
            Err(CommandError::Refused(refusal)) => {
                tracing::error!(job_id = job_id.0, error = %refusal, "failed to decide about a job");
                Ok(Some(refusal))
            }
            Err(CommandError::Unavailable | CommandError::Overloaded) => Err(Again),
        }
    }

    /// A fault in our own code ends the job, and says so: otherwise it would wait for ever.
    fn decided(&self, read: &Read) -> Decision {
        let decided = || read.with_facts(|facts| (self.decide)(read.spec(), facts));
        std::panic::catch_unwind(AssertUnwindSafe(decided)).unwrap_or_else(|_| Decision::Fail {
            why: "a fault in the server kept it from being decided".into(),
        })
    }

    /// Whether what was told in an epoch is still this instance's.
    fn is_of(&self, epoch: i64) -> bool {
        let views = self.handle.views();
        let is_there = !matches!(views.state(), ServerState::Stopping | ServerState::Standby);
        is_there && views.epoch() == epoch
    }
}

fn lock(given_up: &GivenUp) -> MutexGuard<'_, BTreeSet<(JobId, u32)>> {
    given_up.lock().unwrap_or_else(|broken| broken.into_inner())
}

/// It cannot be done now.
struct Again;

fn again(job_id: JobId, error: &StoreError) -> Result<(), Again> {
    tracing::debug!(job_id = job_id.0, %error, "the facts about a job cannot be read now");
    Err(Again)
}
