//! The hot row of a job: narrow, and the same in memory and in the database.

use super::{
    ClassId, JobId, JobPriority, JobState, JobStateKind, Lease, RunnerId, TenantId, WorkloadId,
};

/// A job's row. What never changes and is wide lives in [`super::JobSpec`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Job {
    /// Its number.
    pub id: JobId,
    /// What it is part of.
    pub workload_id: WorkloadId,
    /// Its requirements, interned.
    pub class_id: ClassId,
    /// Who is charged.
    pub tenant_id: TenantId,
    /// Its name inside the workload.
    pub name: Box<str>,
    /// Where it stands.
    pub state: JobState,
    /// The level it was queued at.
    pub priority: JobPriority,
    /// Its place in its lane: smaller goes first. The time it was queued, until somebody moves
    /// it to the front.
    pub lane_key: i64,
    /// Wall milliseconds; a retry keeps it, a manual retry renews it.
    pub queued_at_ms: i64,
    /// Wall milliseconds before which the job is not offered; 0 for none.
    pub not_before_ms: i64,
    /// How long one attempt may run.
    pub timeout_ms: i64,
    /// The first backoff of a retry; doubled with each further one.
    pub backoff_ms: i64,
    /// Tries so far, over all runs; the number of the live attempt while there is one.
    pub attempt: u32,
    /// Charged failures of this run.
    pub retry_count: u32,
    /// Charged failures that may be followed by another try.
    pub max_retries: u32,
    /// Failures of infrastructure in this run.
    pub infra_failures: u32,
    /// The runner under which infrastructure failed last: avoided while another fits.
    pub avoid_runner_id: Option<RunnerId>,
    /// Wall milliseconds; from then on any end of the attempt is a cancel.
    pub cancel_requested_at_ms: Option<i64>,
    /// How a push executor's backend calls the live attempt.
    pub external_ref: Option<Box<str>>,
}

impl Job {
    /// The live lease, if a runner has the job.
    pub fn lease(&self) -> Option<&Lease> {
        self.state.lease()
    }

    /// The state without its fields.
    pub fn kind(&self) -> JobStateKind {
        self.state.kind()
    }
}

/// A job that waits, as the queue views show it.
#[derive(Clone, PartialEq, Debug)]
pub struct QueuedJob {
    /// Its number.
    pub job_id: JobId,
    /// What it is part of.
    pub workload_id: WorkloadId,
    /// Its name inside the workload.
    pub name: Box<str>,
    /// The level it was queued at.
    pub priority: JobPriority,
    /// Labels that a runner must have.
    pub labels: Vec<Box<str>>,
    /// Wall milliseconds.
    pub queued_at_ms: i64,
    /// Charged failures of this run.
    pub retry_count: u32,
    /// Charged failures that may be followed by another try.
    pub max_retries: u32,
    /// Where it stands: blocked or pending.
    pub state: JobStateKind,
    /// Its place in dispatch order from 1; `None` while a gate holds it.
    pub position: Option<u64>,
}
