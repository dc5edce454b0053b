//! ```text
//! GET /api/v1/deliveries/{id}/evaluation  -> EvaluationView
//! ```

use serde::{Deserialize, Serialize};

use super::TriggerVerdictView;
use crate::model::{DeliveryId, JobPriority, WorkloadKind};

/// What a stored delivery would start now. Nothing was written.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct EvaluationView {
    /// Which.
    pub delivery_id: DeliveryId,
    /// What it would become: `dispatched` or `ignored`, or `failed` when our own code fails on it.
    pub state: String,
    /// Why it would be ignored or fail.
    #[serde(default)]
    pub reason: Option<String>,
    /// What might start something too and was not looked at, because nobody is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_out: Option<String>,
    /// What each trigger says now.
    pub triggers: Vec<TriggerVerdictView>,
    /// What would be started.
    pub workloads: Vec<PlannedView>,
}

/// One workload to be.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PlannedView {
    /// The trigger that wants it.
    pub trigger: String,
    /// Workflow or agent.
    pub kind: WorkloadKind,
    /// The workflow's or the profile's name.
    pub name: String,
    /// Its jobs in their order.
    pub jobs: Vec<PlannedJobView>,
}

/// One job to be.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PlannedJobView {
    /// Unique in its workload.
    pub name: String,
    /// What must end well before it.
    pub needs: Vec<String>,
    /// How urgent it is.
    pub priority: JobPriority,
}
