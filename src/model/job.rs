//! The hot row of a job: narrow, and the same in memory and in the database.

use super::{
    Blank, ClassId, GroupTerms, HeldUnits, JobId, JobPriority, JobState, JobStateKind, JobTerms,
    Lease, MatrixTerms, Name, Names, Rare, RunIf, RunnerId, TenantId, WorkloadId,
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
    pub name: Name,
    /// What it asks for beside a runner that fits; changes only when the job is planned again.
    pub terms: Option<Box<JobTerms>>,
    /// Where it stands.
    pub state: JobState,
    /// The level it was queued at.
    pub priority: JobPriority,
    /// Its place in its lane: smaller goes first. The time it was queued, until somebody moves
    /// it to the front.
    pub lane_key: i64,
    /// Wall milliseconds; a retry keeps it, a manual retry renews it.
    pub queued_at_ms: i64,
    /// Wall milliseconds at which it last became pending: when it was queued, when its last need
    /// ended, or when it went back to the queue.
    pub ready_at_ms: i64,
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
    /// Whether something that it needs has failed, as far as the needs have ended.
    pub need_failed: bool,
    /// Whether it is in its group; it stays there until it ends.
    pub in_group: bool,
    /// Whether it waits in its lane and no registered runner could ever take it, as was found out
    /// some time after that began.
    pub unschedulable: bool,
    /// What few jobs have.
    pub extras: Rare<JobExtras>,
}

/// The part of a job's row that is empty for most jobs that wait.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct JobExtras {
    /// Failures of infrastructure in this run.
    pub infra_failures: u32,
    /// The runner under which infrastructure failed last: avoided while another fits.
    pub avoid_runner_id: Option<RunnerId>,
    /// Wall milliseconds; from then on any end of the attempt is a cancel.
    pub cancel_requested_at_ms: Option<i64>,
    /// The units of resources that it holds, exactly while a runner has it.
    pub units: Option<Box<HeldUnits>>,
    /// How a push executor's backend calls the live attempt.
    pub external_ref: Option<Box<str>>,
}

impl Blank for JobExtras {
    const BLANK: &'static Self = &Self {
        infra_failures: 0,
        avoid_runner_id: None,
        cancel_requested_at_ms: None,
        units: None,
        external_ref: None,
    };
}

impl Job {
    /// Shares its name with all rows that have the same.
    pub fn share_names(&mut self, names: &mut Names) {
        names.unify(&mut self.name);
    }

    /// The live lease, if a runner has the job.
    pub fn lease(&self) -> Option<&Lease> {
        self.state.lease()
    }

    /// The state without its fields.
    pub fn kind(&self) -> JobStateKind {
        self.state.kind()
    }

    /// What the ends of its needs must be for it to run.
    pub fn run_if(&self) -> RunIf {
        self.terms.as_deref().map_or_else(RunIf::default, |terms| terms.run_if)
    }

    /// Whether its failure counts as a good end, for the jobs that need it and for its workload.
    pub fn allows_failure(&self) -> bool {
        self.terms.as_deref().is_some_and(|terms| terms.allow_failure)
    }

    /// The state that others take it to have: a failure that is allowed counts as completed.
    pub fn counts_as(&self, kind: JobStateKind) -> JobStateKind {
        match kind {
            JobStateKind::Failed if self.allows_failure() => JobStateKind::Completed,
            other => other,
        }
    }

    /// Workloads that must have ended first.
    pub fn needs_workloads(&self) -> &[WorkloadId] {
        self.terms.as_deref().map_or(&[], |terms| &terms.needs_workloads)
    }

    /// Names for which it waited, or still waits, to join its workload.
    pub fn late_needs(&self) -> &[Box<str>] {
        self.terms.as_deref().map_or(&[], |terms| &terms.late_needs)
    }

    /// The group that it must be in to run.
    pub fn group(&self) -> Option<&GroupTerms> {
        self.terms.as_deref()?.group.as_ref()
    }

    /// The jobs with which it shares a limit and a fate.
    pub fn matrix(&self) -> Option<&MatrixTerms> {
        self.terms.as_deref()?.matrix.as_ref()
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
    pub name: Name,
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

impl QueuedJob {
    /// A waiting job whose runner must have these labels, at its place.
    pub fn new(job: &Job, labels: Vec<Box<str>>, position: Option<u64>) -> Self {
        Self {
            job_id: job.id,
            workload_id: job.workload_id,
            name: job.name.clone(),
            priority: job.priority,
            labels,
            queued_at_ms: job.queued_at_ms,
            retry_count: job.retry_count,
            max_retries: job.max_retries,
            state: job.kind(),
            position,
        }
    }
}
