//! What waits.
//!
//! ```text
//! GET /api/v1/queue         ?limit    QueueView
//! ```

use serde::{Deserialize, Serialize};

use super::ExplainReason;
use crate::model::{JobId, JobPriority, JobStateKind, WorkloadId};

/// Depth and age of the queue.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct QueueMetrics {
    /// Jobs that wait, gated ones too.
    pub total_jobs: u64,
    /// Of these, by level.
    pub critical_jobs: u64,
    /// Of these, by level.
    pub high_jobs: u64,
    /// Of these, by level.
    pub normal_jobs: u64,
    /// Of these, by level.
    pub low_jobs: u64,
    /// Of these, by level.
    pub background_jobs: u64,
    /// Age of the job that waits longest.
    pub oldest_job_age_seconds: f64,
    /// Mean of the waits that ended lately (the last 1,024 assignments); for a caller who is limited
    /// to a tenant, of that tenant's jobs that runners have now.
    pub average_wait_time_seconds: f64,
}

/// The queue: its figures, and who waits in dispatch order.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct QueueView {
    /// Depth and age.
    #[serde(flatten)]
    pub metrics: QueueMetrics,
    /// The same of each pool, of the jobs for which it is the first that may take them; empty for a
    /// caller who is limited to a tenant.
    #[serde(default)]
    pub pools: Vec<PoolQueueView>,
    /// Waiting jobs in the order in which they would be given out, then gated ones.
    pub waiting: Vec<QueuedJobView>,
    /// Why nothing at all is given out: `store_unavailable`. Then jobs have no places.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<ExplainReason>,
}

/// One pool's part of the queue.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct PoolQueueView {
    /// The pool's name.
    pub name: String,
    /// Depth and age.
    #[serde(flatten)]
    pub metrics: QueueMetrics,
}

/// One job that waits.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct QueuedJobView {
    /// The job.
    pub job_id: JobId,
    /// Its workload.
    pub workload_id: WorkloadId,
    /// Its name.
    pub name: String,
    /// The level it was queued at.
    pub priority: JobPriority,
    /// Labels that a runner must have.
    pub labels: Vec<String>,
    /// Wall milliseconds.
    pub queued_at_ms: i64,
    /// Tries charged to the job so far.
    pub retry_count: u32,
    /// Charged tries that may be followed by another.
    pub max_retries: u32,
    /// Blocked or pending.
    pub state: JobStateKind,
    /// Its place in dispatch order from 1; absent while a gate holds it.
    #[serde(default)]
    pub position: Option<u64>,
}
