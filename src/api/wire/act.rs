//! Asking the server to do something.
//!
//! ```text
//! POST /api/v1/workloads                       SubmitRequest      -> SubmitResponse     (Idempotency-Key)
//! POST /api/v1/events                          EventRequest       -> DeliveryAccepted   (Idempotency-Key)
//! POST /api/v1/workflows/{name}/run            RunRequest         -> DeliveryAccepted
//! POST /api/v1/deliveries/{id}/replay          {}                 -> DeliveryAccepted
//! POST /api/v1/workloads/{id}/cancel           ReasonRequest      -> WorkloadView
//! POST /api/v1/workloads/{id}/retry            ReasonRequest      -> WorkloadView
//! POST /api/v1/jobs/{id}/cancel                ReasonRequest      -> JobView
//! POST /api/v1/jobs/{id}/requeue               RequeueRequest     -> JobView
//! ```

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::TriggerVerdictView;
use crate::model::{
    DeliveryId, JobPriority, JobWork, RunnerRequirements, WorkloadId, WorkloadKind,
};

/// One workload, submitted without an event.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubmitRequest {
    /// What it is called.
    pub name: String,
    /// Workflow (the default) or agent.
    #[serde(default = "workflow")]
    pub kind: WorkloadKind,
    /// Its jobs; all are made, or none.
    pub jobs: Vec<SubmitJob>,
}

fn workflow() -> WorkloadKind {
    WorkloadKind::Workflow
}

/// One job of a submission. What is absent has the server's default.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubmitJob {
    /// Unique in the workload.
    pub name: String,
    /// Jobs that must end well first, by name.
    #[serde(default)]
    pub needs: Vec<String>,
    /// What it requires of a runner.
    #[serde(default)]
    pub requirements: SubmitRequirements,
    /// What it does: `{"steps": [{"run": "make"}]}` or `{"agent": {"profile": .., "prompt": ..}}`.
    pub work: JobWork,
    /// Environment of all steps.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// How urgent it is.
    #[serde(default)]
    pub priority: JobPriority,
    /// How long one attempt may run.
    #[serde(default)]
    pub timeout_ms: Option<i64>,
    /// Failures that may be followed by another try.
    #[serde(default)]
    pub max_retries: Option<u32>,
    /// The first backoff.
    #[serde(default)]
    pub backoff_ms: Option<i64>,
    /// Not before this time, wall milliseconds.
    #[serde(default)]
    pub not_before_ms: Option<i64>,
}

/// Requirements as submitted: [`RunnerRequirements`] without what the server decides.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SubmitRequirements {
    /// Labels that the runner must have, all of them.
    pub labels: Vec<String>,
    /// `x64`, `arm64`, ...
    pub architecture: Option<String>,
    /// `linux`, `macos`, `windows`.
    pub os: Option<String>,
    /// Gigabytes of memory.
    pub min_memory_gb: u32,
    /// Cores.
    pub min_cpu_cores: u32,
    /// Whether containers must be available.
    pub requires_docker: bool,
    /// Number of graphics processors.
    pub gpu: u32,
}

impl SubmitRequirements {
    /// As the model keeps them, in the default pool.
    pub fn into_model(self) -> RunnerRequirements {
        RunnerRequirements {
            labels: self.labels.into_iter().map(Into::into).collect(),
            architecture: self.architecture.map(Into::into),
            os: self.os.map(Into::into),
            min_memory_gb: self.min_memory_gb,
            min_cpu_cores: self.min_cpu_cores,
            requires_docker: self.requires_docker,
            gpu: self.gpu,
            ..RunnerRequirements::default()
        }
        .normalised()
    }
}

/// What a submission became.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SubmitResponse {
    /// The workload; with a repeated `Idempotency-Key` the first one.
    pub workload_id: WorkloadId,
    /// Whether it was there already.
    pub duplicate: bool,
}

/// An event of one's own, run through the triggers.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventRequest {
    /// The event's kind, matched by triggers as a forge's would be.
    pub kind: String,
    /// The activity type.
    #[serde(default)]
    pub action: Option<String>,
    /// The full ref: `refs/heads/main`.
    #[serde(default, rename = "ref")]
    pub git_ref: Option<String>,
    /// The commit.
    #[serde(default)]
    pub sha: Option<String>,
    /// `owner/name`.
    #[serde(default)]
    pub repository: Option<String>,
    /// Changed files, where known.
    #[serde(default)]
    pub changed_files: Option<Vec<String>>,
    /// Labels of the subject.
    #[serde(default)]
    pub labels: Vec<String>,
    /// Title of the subject.
    #[serde(default)]
    pub title: Option<String>,
    /// Text of the subject.
    #[serde(default)]
    pub body: Option<String>,
    /// Anything else, for the jobs.
    #[serde(default)]
    pub inputs: Map<String, Value>,
}

/// Starts a workflow of the server's folder by hand.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RunRequest {
    /// The ref that the jobs are told.
    #[serde(rename = "ref")]
    pub git_ref: Option<String>,
    /// The repository that the jobs are told.
    pub repository: Option<String>,
    /// How urgent the jobs are, where the file does not say.
    pub priority: Option<JobPriority>,
    /// Inputs, for the jobs.
    pub inputs: Map<String, Value>,
}

/// An accepted delivery: the answer to a webhook, an event, a replay or a run.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct DeliveryAccepted {
    /// The delivery; of a duplicate the first one's.
    pub delivery_id: DeliveryId,
    /// Whether it was there already.
    pub duplicate: bool,
    /// Where it stands: `dispatched`, `ignored`, `failed`, ...
    pub state: String,
    /// What it started.
    pub workloads: Vec<WorkloadId>,
    /// What each trigger said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub triggers: Vec<TriggerVerdictView>,
}

/// Why somebody asks for it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReasonRequest {
    /// For people.
    pub reason: Option<String>,
}

/// Takes a job away from its runner and queues it again, without charge.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RequeueRequest {
    /// For people.
    pub reason: Option<String>,
    /// Give it to another runner while one fits.
    pub avoid_runner: bool,
}
