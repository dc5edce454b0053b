//! What the server shows.
//!
//! ```text
//! GET /api/v1/status                           StatusView
//! GET /api/v1/deliveries  ?limit&before&state  List<DeliveryView>;  /{id} -> DeliveryView, /{id}/body -> raw
//! GET /api/v1/workloads   ?limit&before&state  List<WorkloadView>;  /{id} -> WorkloadDetail
//! GET /api/v1/jobs        ?limit&before&state  List<JobView>;       /{id} -> JobDetail
//! GET /api/v1/jobs/{id}/explain                ExplainView
//! GET /api/v1/jobs/{id}/logs   ?attempt        text/plain, or SSE with Accept: text/event-stream
//! GET /api/v1/runners                          List<RunnerView>;    /{id} -> RunnerView
//! GET /api/v1/stream      ?job&workload        SSE of RecordView; id `epoch-sequence`; event `resync` when too far behind
//! ```

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{ForecastView, KeptHistoryView, PredictionsView, QueueMetrics};
use crate::model::{
    AttemptOutcome, DeliveryId, EndReason, HeldUnits, JobId, JobPriority, JobStateKind, JobTerms,
    LeaseToken, RequeueReason, RunnerCapabilities, RunnerId, RunnerRequirements, RunnerState,
    Trust, WorkloadId, WorkloadKind, WorkloadState, WorkloadTerms,
};

/// A page of a list, newest first.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct List<T> {
    /// The rows.
    pub items: Vec<T>,
    /// Ask again with `before=` this for older rows; absent on the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_before: Option<String>,
}

/// The server at a glance.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct StatusView {
    /// `loading`, `running`, `standby`, `store unavailable` or `stopping`.
    pub state: String,
    /// The program's version.
    pub version: String,
    /// The scheduler's epoch.
    pub epoch: i64,
    /// Jobs that wait, gated ones too.
    pub queue_size: u64,
    /// Depth and age of the queue.
    #[serde(default)]
    pub queue: QueueMetrics,
    /// Jobs that runners have.
    pub running_jobs: u64,
    /// Most jobs that may run at once.
    pub max_global_concurrency: u64,
    /// Each pool.
    pub pools: Vec<PoolView>,
    /// When the last batch was committed, wall milliseconds.
    #[serde(default)]
    pub last_commit_at_ms: Option<i64>,
    /// How often what was said about jobs came true; for callers who see all.
    #[serde(default)]
    pub predictions: Option<PredictionsView>,
    /// What is kept, once that was looked at; for callers who see all.
    #[serde(default)]
    pub history: Option<KeptHistoryView>,
    /// Who leads, where several instances share the database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<super::StandingView>,
    /// What an operator should look at.
    pub warnings: Vec<String>,
}

/// A pool at a glance.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct PoolView {
    /// Its name.
    pub name: String,
    /// Runners that were heard of lately.
    pub runners_online: u64,
    /// All registered runners.
    pub runners_total: u64,
    /// How much of it is used.
    pub utilization: RunnerUtilization,
    /// Jobs for which it is the first pool that may take them; absent for a caller who is limited
    /// to a tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<QueueMetrics>,
}

/// How much of one runner, or of a pool, is used.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct RunnerUtilization {
    /// Slots with a job.
    pub slots_used: u64,
    /// All slots of runners that were heard of lately.
    pub slots_total: u64,
    /// The part of all slots' time that had a job of this server in the last five minutes, or since
    /// the server started, 0 to 1.
    #[serde(default)]
    pub busy_share: f64,
}

/// One delivery.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct DeliveryView {
    /// Its id.
    pub id: DeliveryId,
    /// The source's name.
    pub source: String,
    /// The provider's own id.
    pub external_id: Option<String>,
    /// The event's kind.
    pub event: String,
    /// The event's action.
    pub action: Option<String>,
    /// `dispatched`, `ignored`, `failed`, ...
    pub state: String,
    /// Why it failed or is held.
    pub reason: Option<String>,
    /// How far it is trusted.
    pub trust: Trust,
    /// Of one that waits, or waited, for approval: what, and whose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<super::ApprovalView>,
    /// The delivery that it repeats.
    pub replay_of: Option<DeliveryId>,
    /// Wall milliseconds.
    pub received_at_ms: i64,
    /// Length of the raw body.
    pub body_bytes: u64,
    /// What each trigger said.
    pub triggers: Vec<TriggerVerdictView>,
}

/// What one trigger said about an event.
pub type TriggerVerdictView = crate::model::TriggerVerdict;

/// One workload.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct WorkloadView {
    /// Its number.
    pub id: WorkloadId,
    /// 1, and one more with each manual retry.
    pub run: u32,
    /// Workflow or agent.
    pub kind: WorkloadKind,
    /// Its name.
    pub name: String,
    /// The trigger that started it.
    #[serde(default)]
    pub trigger: Option<String>,
    /// The delivery that started it.
    #[serde(default)]
    pub delivery_id: Option<DeliveryId>,
    /// Where it stands.
    pub state: WorkloadState,
    /// Wall milliseconds.
    pub created_at_ms: i64,
    /// Wall milliseconds.
    #[serde(default)]
    pub ended_at_ms: Option<i64>,
}

/// One workload with its jobs.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct WorkloadDetail {
    /// The workload.
    #[serde(flatten)]
    pub workload: WorkloadView,
    /// What it asks for as a whole.
    #[serde(default)]
    pub terms: WorkloadTerms,
    /// Whether jobs may still join it.
    #[serde(default)]
    pub open: bool,
    /// Its jobs in the order in which they were planned.
    pub jobs: Vec<JobView>,
    /// The same jobs: who needs whom, and how long each ran.
    #[serde(default)]
    pub graph: Vec<GraphNode>,
    /// Of all ways through the graph the one whose jobs ran longest together, so far: jobs that ran, in
    /// order.
    #[serde(default)]
    pub critical_path: Vec<JobId>,
}

/// A job among those of its workload.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct GraphNode {
    /// The job.
    pub job_id: JobId,
    /// The jobs that it needs.
    pub needs: Vec<JobId>,
    /// How long its attempts ran together, the live one so far; absent when it has not run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ran_ms: Option<i64>,
}

/// One job.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct JobView {
    /// Its number.
    pub id: JobId,
    /// Its workload.
    pub workload_id: WorkloadId,
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub state: JobStateKind,
    /// Why it ended so.
    #[serde(default)]
    pub reason: Option<EndReason>,
    /// Whether it waits and no registered runner could ever take it.
    #[serde(default)]
    pub unschedulable: bool,
    /// The level it was queued at.
    pub priority: JobPriority,
    /// Tries so far.
    pub attempt: u32,
    /// Tries charged to the job so far.
    pub retry_count: u32,
    /// Charged tries that may be followed by another.
    pub max_retries: u32,
    /// Who has it.
    #[serde(default)]
    pub runner_id: Option<RunnerId>,
    /// Wall milliseconds.
    pub queued_at_ms: i64,
    /// Wall milliseconds, of the live attempt.
    #[serde(default)]
    pub started_at_ms: Option<i64>,
    /// Wall milliseconds.
    #[serde(default)]
    pub ended_at_ms: Option<i64>,
    /// Wall milliseconds.
    #[serde(default)]
    pub cancel_requested_at_ms: Option<i64>,
}

/// One job with all that is known of it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct JobDetail {
    /// The job.
    #[serde(flatten)]
    pub job: JobView,
    /// Names of the jobs that it needs.
    pub needs: Vec<String>,
    /// What it requires of a runner.
    pub requirements: RunnerRequirements,
    /// Names of the pools whose runners may take it, in order.
    #[serde(default)]
    pub pools: Vec<String>,
    /// What it asks for beside a runner that fits.
    #[serde(default)]
    pub terms: JobTerms,
    /// The units of resources that it holds now, by their indexes.
    #[serde(default)]
    pub units: HeldUnits,
    /// Attempts that have ended, oldest first.
    pub attempts: Vec<AttemptView>,
    /// Its outputs, when it completed.
    pub outputs: BTreeMap<String, String>,
    /// Kept history: requeues, cancels, retries.
    pub records: Vec<RecordView>,
}

/// One ended attempt.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct AttemptView {
    /// Which try it was, from 1.
    pub number: u32,
    /// The workload's run.
    pub run: u32,
    /// Its lease.
    pub lease: LeaseToken,
    /// Who tried.
    pub runner_id: RunnerId,
    /// The name of that runner's pool.
    #[serde(default)]
    pub pool: String,
    /// How long the job could have been given to a runner before it was.
    #[serde(default)]
    pub waited_ms: i64,
    /// From start to end; absent when it never started.
    #[serde(default)]
    pub ran_ms: Option<i64>,
    /// What the runner's slot cost from assignment to end, by `cost_per_hour`, in millionths of your
    /// currency.
    #[serde(default)]
    pub cost_micros: u64,
    /// Wall milliseconds.
    pub assigned_at_ms: i64,
    /// Wall milliseconds; absent when it never started.
    #[serde(default)]
    pub started_at_ms: Option<i64>,
    /// Wall milliseconds.
    pub ended_at_ms: i64,
    /// How it ended.
    pub outcome: AttemptOutcome,
    /// Why the job went back to the queue, if it did.
    #[serde(default)]
    pub requeue_reason: Option<RequeueReason>,
    /// The exit code of the last process.
    #[serde(default)]
    pub exit_code: Option<i32>,
    /// The signal that killed the last process; then there is no exit code.
    #[serde(default)]
    pub signal: Option<i32>,
    /// What went wrong.
    #[serde(default)]
    pub error: Option<String>,
}

/// Why a job waits, or why it ended so.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ExplainView {
    /// The job.
    pub job_id: JobId,
    /// Where it stands.
    pub state: JobStateKind,
    /// Each reason in order: closed gates first, then the runner side.
    pub reasons: Vec<ExplainReason>,
    /// When it is expected to start, while it waits.
    #[serde(flatten)]
    pub forecast: ForecastView,
}

/// One reason.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ExplainReason {
    /// A name that programs can compare: `blocked_by`, `delayed`, `busy`, ...
    pub code: String,
    /// The sentence for people.
    pub text: String,
}

/// One runner.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct RunnerView {
    /// Its number.
    pub id: RunnerId,
    /// Its name.
    pub name: String,
    /// Its pool's name.
    pub pool: String,
    /// Online, busy, draining, cordoned or offline.
    pub state: RunnerState,
    /// By whom and why it is cordoned: `ops: disk is full`.
    #[serde(default)]
    pub cordon_reason: Option<String>,
    /// What it offers; `current_jobs` is what it has now.
    pub capabilities: RunnerCapabilities,
    /// Slots used of total.
    pub utilization: RunnerUtilization,
    /// Jobs that it has from this server.
    pub jobs: Vec<JobId>,
    /// Whether it has a poll parked, or a stream open.
    pub waiting: bool,
    /// Whether that is a stream.
    #[serde(default)]
    pub streaming: bool,
    /// Milliseconds since it was heard of; absent when not since this server started.
    #[serde(default)]
    pub last_seen_ms_ago: Option<i64>,
    /// Its program's version.
    pub version: String,
    /// Wall milliseconds.
    pub registered_at_ms: i64,
}

/// One thing that happened.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RecordView {
    /// What: `job.assigned`, ...
    pub name: String,
    /// Wall milliseconds.
    pub at_ms: i64,
    /// The delivery it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery_id: Option<DeliveryId>,
    /// The workload it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload_id: Option<WorkloadId>,
    /// The job it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_id: Option<JobId>,
    /// The runner it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runner_id: Option<RunnerId>,
    /// The attempt it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// Who asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// A name or a reason.
    #[serde(default)]
    pub detail: String,
}
