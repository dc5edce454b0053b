//! What metrics count that records do not say, in plain numbers.

use super::{JobPriority, PoolId, RequeueReason, TenantId};

/// One thing to count. Small, because each lifecycle of a job makes three of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Measure {
    /// A job was given to a runner.
    Given {
        /// The runner's pool.
        pool_id: PoolId,
        /// The level at which the job was queued.
        priority: JobPriority,
        /// How long it could have been given to a runner before.
        wait_ms: u64,
    },
    /// What became of a job that was given to a runner.
    Became {
        /// The runner's pool.
        pool_id: PoolId,
        /// What.
        outcome: AssignmentOutcome,
    },
    /// An attempt that had started ended.
    Ran {
        /// The runner's pool.
        pool_id: PoolId,
        /// From its start to its end.
        run_ms: u64,
    },
    /// A new job was looked up in the routes.
    Routed {
        /// The place of the route that decided; `None` for the default.
        route: Option<usize>,
    },
    /// What was promised about a job was not kept.
    Late {
        /// The runner's pool, or the first whose runners may take the job.
        pool_id: PoolId,
        /// Whose job.
        tenant_id: TenantId,
        /// What was promised.
        promise: Promise,
    },
}

/// What becomes of an assignment: each is offered once, and then one of the others at most.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum AssignmentOutcome {
    /// The job was given to a runner.
    Offered = 0,
    /// The runner started it.
    Started = 1,
    /// The runner was gone, or its process was another one, before it started.
    Undelivered = 2,
    /// The runner did not start it within the ack window.
    NotStarted = 3,
    /// The runner gave it back before it started.
    Released = 4,
    /// It was cancelled before it started.
    Cancelled = 5,
    /// Somebody took it away before it started.
    TakenBack = 6,
}

impl AssignmentOutcome {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 7] = [
        Self::Offered,
        Self::Started,
        Self::Undelivered,
        Self::NotStarted,
        Self::Released,
        Self::Cancelled,
        Self::TakenBack,
    ];

    /// What it was, of an attempt that ended before it started, by why the job went back.
    pub fn of_unstarted(reason: Option<RequeueReason>) -> Self {
        match reason {
            None => Self::Cancelled,
            Some(RequeueReason::RunnerLost) => Self::Undelivered,
            Some(RequeueReason::LeaseLost) => Self::NotStarted,
            Some(RequeueReason::Manual) => Self::TakenBack,
            Some(
                RequeueReason::Failed
                | RequeueReason::TimedOut
                | RequeueReason::Evicted
                | RequeueReason::ExecutorUnavailable
                | RequeueReason::Drained
                | RequeueReason::Preempted,
            ) => Self::Released,
        }
    }

    /// The name in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Offered => "offered",
            Self::Started => "started",
            Self::Undelivered => "undelivered",
            Self::NotStarted => "not_started",
            Self::Released => "released",
            Self::Cancelled => "cancelled",
            Self::TakenBack => "taken_back",
        }
    }
}

/// What a job was promised.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Promise {
    /// To be with a runner after this wait at most.
    MaxWait,
    /// To have ended by then.
    Deadline,
}

impl Promise {
    /// The key that asks for it; also the detail of a `job.late` record.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MaxWait => "max_wait",
            Self::Deadline => "deadline",
        }
    }
}
