//! All that the scheduler's memory is an index over: what a load reads.

use super::{
    Approval, Class, DeliveryId, Job, JobId, Pause, Runner, ScheduleMark, Session, SessionDay,
    Workload, WorkloadId,
};

/// The rows of all live workloads, read in one snapshot of the database.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Snapshot {
    /// The epoch that the load raised before it read.
    pub epoch: i64,
    /// High-water marks of the ids.
    pub marks: Marks,
    /// All interned requirements.
    pub classes: Vec<Class>,
    /// Live workloads.
    pub workloads: Vec<Workload>,
    /// All jobs of live workloads, ended ones too.
    pub jobs: Vec<Job>,
    /// Which of these jobs needs which.
    pub edges: Vec<Edge>,
    /// All registered runners.
    pub runners: Vec<Runner>,
    /// What is paused.
    pub pauses: Vec<Pause>,
    /// Deliveries that wait for somebody's approval.
    pub held: Vec<(DeliveryId, Approval)>,
    /// How far each schedule is handled.
    pub schedules: Vec<ScheduleMark>,
    /// Live sessions of agents.
    pub sessions: Vec<Session>,
    /// What tenants spent on sessions, on the last day on which they spent anything.
    pub session_days: Vec<SessionDay>,
    /// What was kept of soft state.
    pub soft: Vec<SoftState>,
}

/// Soft state: learned from what happened, kept so that a restart does not begin from nothing. A
/// value that is lost, or cannot be read, does no harm.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SoftState {
    /// Which.
    pub key: Box<str>,
    /// JSON.
    pub value: Box<str>,
    /// Wall milliseconds.
    pub at_ms: i64,
}

impl SoftState {
    /// The key of the time up to which history may have been pruned: when the last workload ended that
    /// was, in wall milliseconds.
    pub const PRUNED_UNTIL: &'static str = "pruned_until_ms";
}

/// The rows of an ended workload: what a manual retry brings back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Archived {
    /// The workload.
    pub workload: Workload,
    /// All its jobs, in the order in which they were made.
    pub jobs: Vec<Job>,
    /// Which of them needs which.
    pub edges: Vec<Edge>,
    /// The classes of the jobs.
    pub classes: Vec<Class>,
}

/// The next id of each kind that the writer numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Marks {
    /// The next workload's id.
    pub next_workload: i64,
    /// The next job's id.
    pub next_job: i64,
    /// The next runner's id.
    pub next_runner: i64,
    /// The next class's id.
    pub next_class: i64,
}

impl Default for Marks {
    fn default() -> Self {
        Self { next_workload: 1, next_job: 1, next_runner: 1, next_class: 1 }
    }
}

/// One job needs another of the same workload.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Edge {
    /// The workload of both.
    pub workload_id: WorkloadId,
    /// Who needs.
    pub job_id: JobId,
    /// What must end well first.
    pub needs_job_id: JobId,
}
