//! One try at a job, as history keeps it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{JobId, JobStateKind, LeaseToken, Nonce, PoolId, RunnerId};

/// What the work itself ended with. A job that fails is an outcome, not an error.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct JobResult {
    /// How the attempt ended, as the runner saw it.
    pub outcome: AttemptOutcome,
    /// The exit code of the last process, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// The signal that killed the last process, where one did: then there is no exit code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// What went wrong, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Named results for the jobs that need this one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub outputs: BTreeMap<String, String>,
}

impl JobResult {
    /// A good end without outputs.
    pub fn success() -> Self {
        Self {
            outcome: AttemptOutcome::Completed,
            exit_code: Some(0),
            signal: None,
            error: None,
            outputs: BTreeMap::new(),
        }
    }

    /// A bad end with its reason.
    pub fn failed(error: impl Into<String>) -> Self {
        Self {
            outcome: AttemptOutcome::Failed,
            exit_code: None,
            signal: None,
            error: Some(error.into()),
            outputs: BTreeMap::new(),
        }
    }
}

/// How an attempt ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptOutcome {
    /// The work ended well.
    Completed = 0,
    /// The work failed.
    Failed = 1,
    /// The work ran longer than its timeout.
    TimedOut = 2,
    /// The work was stopped because somebody asked for it.
    Cancelled = 3,
    /// The attempt was taken away from its runner; the reason says why.
    Requeued = 4,
}

impl AttemptOutcome {
    const ALL: [Self; 5] =
        [Self::Completed, Self::Failed, Self::TimedOut, Self::Cancelled, Self::Requeued];

    /// The outcome with that number, as stored.
    pub fn from_code(code: i64) -> Option<Self> {
        usize::try_from(code).ok().and_then(|at| Self::ALL.get(at).copied())
    }
}

/// Why a job went back to the queue: a closed list.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequeueReason {
    /// The work failed and a retry is left.
    Failed = 0,
    /// The work ran too long and a retry is left.
    TimedOut = 1,
    /// The runner did not start it, or did not renew its lease, in time.
    LeaseLost = 2,
    /// The runner said that it has lost the work, came back without it, or was not there any more to be
    /// told of it. The last counts against nobody: it never started.
    RunnerLost = 3,
    /// The backend took the work's place away.
    Evicted = 4,
    /// The executor could not be reached.
    ExecutorUnavailable = 5,
    /// The runner gave it back because it drains.
    Drained = 6,
    /// More urgent work took its place.
    Preempted = 7,
    /// Somebody asked for it.
    Manual = 8,
}

impl RequeueReason {
    const ALL: [Self; 9] = [
        Self::Failed,
        Self::TimedOut,
        Self::LeaseLost,
        Self::RunnerLost,
        Self::Evicted,
        Self::ExecutorUnavailable,
        Self::Drained,
        Self::Preempted,
        Self::Manual,
    ];

    /// The reason with that number, as stored.
    pub fn from_code(code: i64) -> Option<Self> {
        usize::try_from(code).ok().and_then(|at| Self::ALL.get(at).copied())
    }

    /// The reason with that name on the wire.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == name)
    }

    /// Whether the job's own retries pay for it.
    pub fn charges_the_job(self) -> bool {
        matches!(self, Self::Failed | Self::TimedOut)
    }

    /// Whether it counts against `infra_retries_max`.
    pub fn is_infrastructure(self) -> bool {
        matches!(
            self,
            Self::LeaseLost | Self::RunnerLost | Self::Evicted | Self::ExecutorUnavailable
        )
    }

    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
            Self::LeaseLost => "lease_lost",
            Self::RunnerLost => "runner_lost",
            Self::Evicted => "evicted",
            Self::ExecutorUnavailable => "executor_unavailable",
            Self::Drained => "drained",
            Self::Preempted => "preempted",
            Self::Manual => "manual",
        }
    }
}

/// An attempt that has ended. A live one is the lease in its job's row.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Attempt {
    /// The lease's token: unique over all attempts there ever were.
    pub token: LeaseToken,
    /// The lease's other half, so that a repeated completion can be answered.
    pub nonce: Nonce,
    /// What was tried.
    pub job_id: JobId,
    /// Which try it was, from 1.
    pub number: u32,
    /// The workload's run.
    pub run: u32,
    /// Who tried.
    pub runner_id: RunnerId,
    /// Wall milliseconds.
    pub assigned_at_ms: i64,
    /// Wall milliseconds; `None` when it never started.
    pub started_at_ms: Option<i64>,
    /// Wall milliseconds.
    pub ended_at_ms: i64,
    /// How it ended.
    pub outcome: AttemptOutcome,
    /// Why the job went back to the queue, if it did.
    pub requeue_reason: Option<RequeueReason>,
    /// The state of the job after it: what a repeated completion is told.
    pub job_state: JobStateKind,
    /// The exit code of the last process, where there was one.
    pub exit_code: Option<i32>,
    /// The signal that killed the last process, where one did.
    pub signal: Option<i32>,
    /// What went wrong, for people.
    pub error: Option<Box<str>>,
    /// Named results for the jobs that need this one.
    pub outputs: BTreeMap<String, String>,
    /// The runner's pool.
    pub pool_id: PoolId,
    /// How long the job could have been given to a runner before it was.
    pub waited_ms: i64,
    /// What an hour of one of the runner's slots cost: what an hour of the runner cost, divided
    /// among its slots.
    pub cost_micros_per_hour: u64,
}

impl Attempt {
    /// What the runner's slot cost from assignment to end.
    pub fn cost_micros(&self) -> u64 {
        let had_ms = (self.ended_at_ms - self.assigned_at_ms).max(0).unsigned_abs();
        let cost = u128::from(had_ms) * u128::from(self.cost_micros_per_hour) / 3_600_000;
        u64::try_from(cost).unwrap_or(u64::MAX)
    }
}
