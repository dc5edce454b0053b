//! What an executor is told of an attempt, and what it answers.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{
    AssignedJob, AttemptOutcome, HeldUnits, JobId, JobPriority, JobResult, LeaseRef, LeaseToken,
    Nonce, WorkloadId, WorkloadKind, without_nul,
};

/// What an end may leave, as of runners (`api/leases.rs`).
const OUTPUTS_MAX: usize = 100;
const OUTPUT_BYTES_MAX: usize = 1 << 20;
const ERROR_CHARS_MAX: usize = 4_000;

/// A job that is ready and was given to an executor: ids, names and the lease, and no context. Whoever
/// carries it out loads the newest context when it starts.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct TaskReadyEvent {
    /// The job.
    pub job_id: JobId,
    /// What it is part of.
    pub workload_id: WorkloadId,
    /// The workload's run: 1, or more after a manual retry.
    pub run: u32,
    /// What kind of work it is.
    pub kind: WorkloadKind,
    /// The job's name inside its workload.
    pub name: String,
    /// `tenant::kind::workload::job`, which routes match.
    pub namespace: String,
    /// The level it was queued at.
    pub priority: JobPriority,
    /// This try, from 1 over all runs.
    pub attempt: u32,
    /// The last try of this run that failures of the work itself are given.
    pub max_attempts: u32,
    /// How long the attempt may run.
    pub timeout_ms: i64,
    /// The units of resources that it holds.
    pub units: HeldUnits,
    /// The lease's token: which attempt speaks, in every call about it.
    pub lease: LeaseToken,
    /// The lease's unguessable half.
    pub nonce: Nonce,
    /// `job-ID-attempt-N`: the name of the attempt in a backend, and the key by which a backend knows that
    /// it has it already.
    pub attempt_key: String,
}

impl TaskReadyEvent {
    /// What is told of an assigned job.
    pub fn new(job: &AssignedJob) -> Self {
        Self {
            job_id: job.job_id,
            workload_id: job.workload_id,
            run: job.run,
            kind: job.kind,
            name: job.name.to_string(),
            namespace: job.namespace.clone(),
            priority: job.priority,
            attempt: job.attempt,
            max_attempts: job.attempt + job.max_retries.saturating_sub(job.retry_count),
            timeout_ms: job.timeout_ms,
            units: job.units.clone(),
            lease: job.lease.token,
            nonce: job.lease.nonce,
            attempt_key: format!("job-{}-attempt-{}", job.job_id, job.attempt),
        }
    }

    /// How long the attempt may run.
    pub fn timeout(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.timeout_ms).unwrap_or(0))
    }
}

/// By whose right an executor speaks of an assigned job.
pub(super) fn lease_of(job: &AssignedJob) -> LeaseRef {
    let lease = &job.lease;
    LeaseRef { token: lease.token, nonce: lease.nonce, runner_id: lease.runner_id }
}

/// How an attempt ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExecutionStatus {
    /// The work ended well.
    Completed,
    /// The work failed: the job's own retries pay for it.
    Failed,
    /// What carried the work failed, not the work: it is tried again elsewhere, and its retries are left.
    Retry,
    /// The work was stopped because somebody asked for it.
    Cancelled,
}

/// The end of an attempt, with what it leaves to others.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ExecutionResult {
    /// How it ended.
    pub status: ExecutionStatus,
    /// Named results for the jobs that need this one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub outputs: BTreeMap<String, String>,
    /// What went wrong, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The exit code of the last process, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
}

impl ExecutionResult {
    fn new(status: ExecutionStatus, error: Option<String>) -> Self {
        Self { status, outputs: BTreeMap::new(), error, exit_code: None }
    }

    /// A good end, with its outputs.
    pub fn success<N: Into<String>, V: Into<String>>(
        outputs: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let outputs = outputs.into_iter().map(|(name, value)| (name.into(), value.into()));
        Self { outputs: outputs.collect(), ..Self::new(ExecutionStatus::Completed, None) }
    }

    /// The work failed, for this reason.
    pub fn failed(error: impl Into<String>) -> Self {
        Self::new(ExecutionStatus::Failed, Some(error.into()))
    }

    /// What carried the work failed, for this reason.
    pub fn retry(error: impl Into<String>) -> Self {
        Self::new(ExecutionStatus::Retry, Some(error.into()))
    }

    /// The work was stopped.
    pub fn cancelled() -> Self {
        Self::new(ExecutionStatus::Cancelled, None)
    }

    /// With the exit code of the last process.
    #[must_use]
    pub fn with_exit_code(mut self, exit_code: i32) -> Self {
        self.exit_code = Some(exit_code);
        self
    }

    /// What the scheduler is told; `None` for [`ExecutionStatus::Retry`], which is no end of the work. The
    /// limits are those of runners.
    pub(super) fn into_job_result(self) -> Option<JobResult> {
        let outcome = match self.status {
            ExecutionStatus::Completed => AttemptOutcome::Completed,
            ExecutionStatus::Failed => AttemptOutcome::Failed,
            ExecutionStatus::Cancelled => AttemptOutcome::Cancelled,
            ExecutionStatus::Retry => return None,
        };
        let Self { outputs, error, exit_code, .. } = self;
        let bytes: usize = outputs.iter().map(|(name, value)| name.len() + value.len()).sum();
        if outputs.len() > OUTPUTS_MAX || bytes > OUTPUT_BYTES_MAX {
            let many = outputs.len();
            return Some(JobResult::failed(format!(
                "it left {many} outputs of {bytes} bytes: at most {OUTPUTS_MAX} of \
                 {OUTPUT_BYTES_MAX} bytes together"
            )));
        }
        let clean = |text: &str| without_nul(text).into_owned();
        let outputs = outputs.iter().map(|(name, value)| (clean(name), clean(value))).collect();
        let error = error.map(|it| clean(&it).chars().take(ERROR_CHARS_MAX).collect());
        Some(JobResult { outcome, exit_code, signal: None, error, outputs })
    }
}

/// Why an executor did not carry a job out.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DispatchError {
    /// There is no such executor.
    #[error("there is no executor `{0}`")]
    NoExecutor(String),
    /// It has no room. The job stays pending, and is not given to another executor for that.
    #[error("the executor has no room{}", after(retry_after))]
    NoCapacity {
        /// How long to wait before it is asked again.
        retry_after: Option<Duration>,
    },
    /// It cannot be reached, and the work did not begin: the job falls back to the next executor.
    #[error("{why}{}", after(retry_after))]
    Unavailable {
        /// What went wrong, for people.
        why: String,
        /// How long it asks to be left alone.
        retry_after: Option<Duration>,
    },
    /// It has tried, and the work failed.
    #[error("{0}")]
    ExecutionFailed(String),
}

impl DispatchError {
    /// It cannot be reached, for this reason.
    pub fn unavailable(why: impl Into<String>) -> Self {
        Self::Unavailable { why: why.into(), retry_after: None }
    }
}

fn after(retry_after: &Option<Duration>) -> String {
    retry_after.map_or_else(String::new, |it| format!("; again in {:.1} s", it.as_secs_f64()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_leaves_no_more_than_that_of_a_runner_may() {
        let end = |outputs: Vec<(String, String)>| {
            ExecutionResult::success(outputs).into_job_result().unwrap()
        };
        let kept = end(vec![("a\0".to_owned(), "b".to_owned())]);
        assert_eq!((kept.outcome, &*kept.outputs["a\u{fffd}"]), (AttemptOutcome::Completed, "b"));
        let many = end((0..=OUTPUTS_MAX).map(|at| (at.to_string(), String::new())).collect());
        let large = end(vec![("a".to_owned(), "x".repeat(OUTPUT_BYTES_MAX))]);
        for refused in [many, large] {
            assert_eq!(refused.outcome, AttemptOutcome::Failed);
            assert!(refused.error.unwrap().starts_with("it left "));
            assert!(refused.outputs.is_empty());
        }
        let told = ExecutionResult::failed("x".repeat(9_000)).into_job_result().unwrap();
        assert_eq!(told.error.unwrap().len(), ERROR_CHARS_MAX);
    }
}
