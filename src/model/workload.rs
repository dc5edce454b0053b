//! What one trigger started for one event.

use serde::{Deserialize, Serialize};

use super::{
    DeliveryId, GroupTerms, JobStateKind, Name, Names, Succession, TenantId, WorkloadId,
    WorkloadTerms,
};

/// What kind of work a workload is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WorkloadKind {
    /// A DAG of jobs made of steps.
    Workflow = 0,
    /// One session of a coding agent.
    Agent = 1,
}

impl WorkloadKind {
    /// The name on the wire and in namespaces.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Workflow => "workflow",
            Self::Agent => "agent",
        }
    }
}

/// Where a workload stands, derived from its jobs.
///
/// ```text
/// pending -> claimed -> running -> completed | failed | cancelled
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WorkloadState {
    /// No job was given to a runner yet.
    Pending = 0,
    /// A runner has a job of it, none has started.
    Claimed = 1,
    /// Work has begun and is not over.
    Running = 2,
    /// Every job completed or was skipped without a failure.
    Completed = 3,
    /// A job failed.
    Failed = 4,
    /// A job was cancelled, none failed.
    Cancelled = 5,
}

impl WorkloadState {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 6] = [
        Self::Pending,
        Self::Claimed,
        Self::Running,
        Self::Completed,
        Self::Failed,
        Self::Cancelled,
    ];

    /// The state with that number, as stored.
    pub fn from_code(code: i64) -> Option<Self> {
        usize::try_from(code).ok().and_then(|at| Self::ALL.get(at).copied())
    }

    /// Whether nothing more can happen without a manual retry.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }

    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Claimed => "claimed",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// The state that follows from the states of the jobs (at least one).
    ///
    /// `begun` is whether any attempt was ever started: a workload whose only started job waits
    /// for its retry is still running.
    pub fn derive(jobs: impl Iterator<Item = JobStateKind>, begun: bool) -> Self {
        let (mut live, mut claimed, mut started) = (false, false, begun);
        let (mut failed, mut cancelled) = (false, false);
        for state in jobs {
            match state {
                JobStateKind::Blocked | JobStateKind::Pending => live = true,
                JobStateKind::Claimed => (live, claimed) = (true, true),
                JobStateKind::Running => (live, started) = (true, true),
                JobStateKind::Completed => started = true,
                JobStateKind::Failed => (started, failed) = (true, true),
                JobStateKind::Cancelled => cancelled = true,
                JobStateKind::Skipped => {}
            }
        }
        match (live, started, claimed, failed, cancelled) {
            (true, true, ..) => Self::Running,
            (true, false, true, ..) => Self::Claimed,
            (true, false, false, ..) => Self::Pending,
            (false, _, _, true, _) => Self::Failed,
            (false, _, _, false, true) => Self::Cancelled,
            (false, _, _, false, false) => Self::Completed,
        }
    }
}

/// A workload's row.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Workload {
    /// Its number.
    pub id: WorkloadId,
    /// 1, and one more with each manual retry.
    pub run: u32,
    /// Workflow or agent.
    pub kind: WorkloadKind,
    /// The workflow's or the agent profile's name.
    pub name: Name,
    /// Who is charged.
    pub tenant_id: TenantId,
    /// The delivery that started it; `None` when it was submitted.
    pub delivery_id: Option<DeliveryId>,
    /// The trigger that started it; empty when it was submitted.
    pub trigger: Name,
    /// The session it belongs to, for agents: at most one live workload has a key.
    pub session_key: Option<Name>,
    /// What it asks for as a whole; never changes.
    pub terms: Option<Box<WorkloadTerms>>,
    /// Whether jobs may still join it; until it is closed it does not end.
    pub open: bool,
    /// Whether it is in its group; it stays there until it ends.
    pub in_group: bool,
    /// Wall milliseconds before which none of its jobs is offered, because newer work may take its place; 0 for
    /// none, and once that time has come.
    pub quiet_until_ms: i64,
    /// Derived from the jobs.
    pub state: WorkloadState,
    /// Whether any attempt of this run was started.
    pub begun: bool,
    /// Wall milliseconds.
    pub created_at_ms: i64,
    /// Wall milliseconds; set exactly when the state is terminal.
    pub ended_at_ms: Option<i64>,
}

impl Workload {
    /// Shares its names with all rows that have the same; a session's key is its own.
    pub fn share_names(&mut self, names: &mut Names) {
        names.unify(&mut self.name);
        names.unify(&mut self.trigger);
    }

    /// The group that it must be in for any of its jobs to run.
    pub fn group(&self) -> Option<&GroupTerms> {
        self.terms.as_deref()?.group.as_ref()
    }

    /// Whether its jobs are kept back until nothing newer came for a while.
    pub fn is_quiet(&self) -> bool {
        self.quiet_until_ms != 0
    }

    /// What older work it takes the place of.
    pub fn succession(&self) -> Option<&Succession> {
        self.terms.as_deref()?.succession.as_ref()
    }

    /// Whether its jobs are kept back until it is in its group.
    pub fn waits_for_group(&self) -> bool {
        !self.in_group && self.group().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workload_whose_started_job_waits_for_its_retry_is_still_running() {
        let state = WorkloadState::derive([JobStateKind::Pending].into_iter(), true);
        assert_eq!(state, WorkloadState::Running);
    }

    #[test]
    fn a_failure_outranks_a_cancel_and_a_skip_is_neither() {
        use JobStateKind::{Cancelled, Completed, Failed, Skipped};
        let end = |jobs: &[JobStateKind]| WorkloadState::derive(jobs.iter().copied(), true);
        assert_eq!(end(&[Completed, Failed, Cancelled]), WorkloadState::Failed);
        assert_eq!(end(&[Completed, Cancelled, Skipped]), WorkloadState::Cancelled);
        assert_eq!(end(&[Completed, Skipped]), WorkloadState::Completed);
    }
}
