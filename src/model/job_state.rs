//! The states of a job, the moves between them, and why a job ended.
//!
//! ```text
//!  blocked -> pending -> claimed -> running -> completed | failed | cancelled
//!     |          |  ^        |         |
//!     |          |  +--------+---------+   ack window, refused, retry, loss, requeue
//!     v          v
//!  skipped    cancelled | failed (queue timeout, poisoned)
//!  cancelled
//!  failed
//!  completed                               others stand in its place
//! ```
//!
//! [`JobStateKind::may_become`] is that drawing as code; [`JobState`] carries what exists only in
//! a state, so a pending job with a lease cannot be written down.

use serde::{Deserialize, Serialize};

use super::Lease;

/// Where a job stands, with the fields that exist there. The lease is behind a pointer: most jobs
/// of a long queue have none.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum JobState {
    /// Waits for jobs that it needs, or for a decision about it.
    Blocked,
    /// May be given to a runner, as soon as no gate holds it.
    Pending,
    /// A runner was given it and has not said that it started.
    Claimed(Box<Lease>),
    /// A runner works on it.
    Running {
        /// The runner's right to it.
        lease: Box<Lease>,
        /// Wall milliseconds.
        started_at_ms: i64,
    },
    /// Nothing more happens without a manual retry.
    Ended {
        /// One of the terminal kinds.
        kind: JobStateKind,
        /// Wall milliseconds.
        at_ms: i64,
        /// Why it ended so.
        reason: EndReason,
    },
}

impl JobState {
    /// The state without its fields.
    pub fn kind(&self) -> JobStateKind {
        match self {
            Self::Blocked => JobStateKind::Blocked,
            Self::Pending => JobStateKind::Pending,
            Self::Claimed(_) => JobStateKind::Claimed,
            Self::Running { .. } => JobStateKind::Running,
            Self::Ended { kind, .. } => *kind,
        }
    }

    /// The live lease, if a runner has the job.
    pub fn lease(&self) -> Option<&Lease> {
        match self {
            Self::Claimed(lease) | Self::Running { lease, .. } => Some(lease),
            Self::Blocked | Self::Pending | Self::Ended { .. } => None,
        }
    }
}

/// The name of a state.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobStateKind {
    /// Waits for jobs that it needs, or for a decision about it.
    Blocked = 0,
    /// Queued.
    Pending = 1,
    /// Given to a runner, not started.
    Claimed = 2,
    /// Started.
    Running = 3,
    /// Ended well.
    Completed = 4,
    /// Ended badly.
    Failed = 5,
    /// Ended because somebody asked for it.
    Cancelled = 6,
    /// Never ran, because what it needs did not end well, or its condition was false.
    Skipped = 7,
}

impl JobStateKind {
    /// All states, in the order of their numbers.
    pub const ALL: [Self; 8] = [
        Self::Blocked,
        Self::Pending,
        Self::Claimed,
        Self::Running,
        Self::Completed,
        Self::Failed,
        Self::Cancelled,
        Self::Skipped,
    ];

    /// The state with that number, as stored.
    pub fn from_code(code: i64) -> Option<Self> {
        usize::try_from(code).ok().and_then(|at| Self::ALL.get(at).copied())
    }

    /// Whether the job has ended.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled | Self::Skipped)
    }

    /// The drawing of this module as a table. Manual retry, which reopens an ended job in a new
    /// run, is the one move out of a terminal state.
    pub fn may_become(self, next: Self) -> bool {
        use JobStateKind::{
            Blocked, Cancelled, Claimed, Completed, Failed, Pending, Running, Skipped,
        };
        match self {
            Blocked => matches!(next, Pending | Skipped | Cancelled | Failed | Completed),
            Pending => matches!(next, Claimed | Cancelled | Failed),
            Claimed => matches!(next, Running | Pending | Cancelled),
            Running => matches!(next, Pending | Completed | Failed | Cancelled),
            Completed | Failed | Cancelled | Skipped => matches!(next, Blocked | Pending),
        }
    }

    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Blocked => "blocked",
            Self::Pending => "pending",
            Self::Claimed => "claimed",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Skipped => "skipped",
        }
    }
}

impl std::fmt::Display for JobStateKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// Why a job ended as it did; every terminal job has one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// Its work ended well.
    Succeeded = 0,
    /// Its work failed and no retry was left.
    Failed = 1,
    /// It ran longer than its timeout and no retry was left.
    TimedOut = 2,
    /// Infrastructure failed under it more often than `infra_retries_max`.
    Poisoned = 3,
    /// Somebody cancelled it.
    CancelRequested = 4,
    /// A job that it needs failed, was cancelled or was skipped.
    NeedNotMet = 5,
    /// It waited longer than its queue timeout.
    QueueTimeout = 6,
    /// A newer member of its group took its place, or too many waited for the group.
    GroupReplaced = 7,
    /// A job that it shares its fate with failed.
    FailFast = 8,
    /// What it waited for waited for it.
    WaitCycle = 9,
    /// Its workload was closed without the job that it needed.
    NeedNeverCame = 10,
    /// Its condition was false.
    ConditionFalse = 11,
    /// What its workflow file asks for could not be worked out.
    Unplannable = 12,
    /// The jobs of its matrix stand in its place.
    Expanded = 13,
}

impl EndReason {
    const ALL: [Self; 14] = [
        Self::Succeeded,
        Self::Failed,
        Self::TimedOut,
        Self::Poisoned,
        Self::CancelRequested,
        Self::NeedNotMet,
        Self::QueueTimeout,
        Self::GroupReplaced,
        Self::FailFast,
        Self::WaitCycle,
        Self::NeedNeverCame,
        Self::ConditionFalse,
        Self::Unplannable,
        Self::Expanded,
    ];

    /// The reason with that number, as stored.
    pub fn from_code(code: i64) -> Option<Self> {
        usize::try_from(code).ok().and_then(|at| Self::ALL.get(at).copied())
    }

    /// A sentence for people.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Succeeded => "its work ended well",
            Self::Failed => "its work failed and no retry was left",
            Self::TimedOut => "it ran longer than its timeout and no retry was left",
            Self::Poisoned => "infrastructure failed under it more often than infra_retries_max",
            Self::CancelRequested => "somebody cancelled it",
            Self::NeedNotMet => "a job that it needs did not end well",
            Self::QueueTimeout => "it waited longer than its queue timeout",
            Self::GroupReplaced => "newer work took its place, or too many waited for its group",
            Self::FailFast => "a job that it shares its fate with failed",
            Self::WaitCycle => "what it waited for waited for it",
            Self::NeedNeverCame => "its workload was closed without a job that it needs",
            Self::ConditionFalse => "its condition was false",
            Self::Unplannable => "what its workflow file asks for could not be worked out",
            Self::Expanded => "the jobs of its matrix stand in its place",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_states_agree() {
        for (code, state) in JobStateKind::ALL.into_iter().enumerate() {
            assert_eq!(state as usize, code);
            assert_eq!(JobStateKind::from_code(code as i64), Some(state));
        }
        assert_eq!(JobStateKind::from_code(8), None);
        assert_eq!(JobStateKind::from_code(-1), None);
    }

    #[test]
    fn only_a_manual_retry_leaves_a_terminal_state() {
        for from in JobStateKind::ALL {
            for to in JobStateKind::ALL {
                if from.is_terminal() && from.may_become(to) {
                    assert!(matches!(to, JobStateKind::Blocked | JobStateKind::Pending));
                }
            }
        }
    }
}
