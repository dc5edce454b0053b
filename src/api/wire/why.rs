//! Why things wait, and who could run what.
//!
//! ```text
//! GET  /api/v1/explain    -> ExplainAllView
//! POST /api/v1/match      SubmitRequirements -> MatchView
//! ```

use serde::{Deserialize, Serialize};

use super::ExplainReason;
use crate::model::{JobId, JobPriority, RunnerId, RunnerRequirements, RunnerState};

/// Everything that waits, by what it waits for.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ExplainAllView {
    /// Jobs that wait, gated or not.
    pub waiting_jobs: u64,
    /// Of these, jobs that nothing they name keeps back.
    pub ready_jobs: u64,
    /// Closed gates, the one with most jobs first. A job counts at each gate that keeps it back.
    pub gates: Vec<GateView>,
    /// Ready jobs by requirements, tenant and level, the longest lane first.
    pub lanes: Vec<LaneView>,
    /// Whether there was more than could be looked at in the time of a question: then numbers are
    /// too small, and some lanes have no reasons.
    pub truncated: bool,
}

/// Jobs behind one closed gate.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct GateView {
    /// As of a reason: `blocked_by`, `paused`, `quota`, `no_compatible_runner`, ...
    pub code: String,
    /// Which group, pause, quota, resource, pool, limit or runner, where a code stands for several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Whose it is, where each tenant has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// How many jobs.
    pub jobs: u64,
}

/// One lane.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct LaneView {
    /// What its jobs require.
    pub requirements: RunnerRequirements,
    /// Names of the pools whose runners may take them, in order.
    pub pools: Vec<String>,
    /// Whose they are.
    pub tenant: String,
    /// Their level, as far as it was raised for a start that is due.
    pub level: JobPriority,
    /// How many.
    pub jobs: u64,
    /// The first in order.
    pub first_job_id: JobId,
    /// How long that one has waited, in milliseconds.
    pub first_waited_ms: i64,
    /// Why that one is not given out.
    pub reasons: Vec<ExplainReason>,
}

/// What the fleet says to requirements.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct MatchView {
    /// `now`: a runner could take such a job at once; `later`: only runners could that are busy or
    /// away; `never`: no runner could; `impossible`: a submission would be refused, or never run.
    pub verdict: String,
    /// Why it is impossible.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub impossible: Option<String>,
    /// Runners that could take one now.
    pub now: u64,
    /// Runners that fit, and are busy or away.
    pub later: u64,
    /// Runners that do not fit.
    pub never: u64,
    /// The nearest first.
    pub runners: Vec<MatchedRunner>,
    /// Whether there are runners at which nobody looked.
    pub truncated: bool,
}

/// What one runner says to them.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct MatchedRunner {
    /// Its number.
    pub id: RunnerId,
    /// Its name.
    pub name: String,
    /// Its pool.
    pub pool: String,
    /// What it is doing.
    pub state: RunnerState,
    /// `now`, `later` or `never`.
    pub can: String,
    /// Slots that have no job.
    pub slots_free: u32,
    /// All its slots.
    pub slots_total: u32,
    /// What it lacks, or what keeps it from the job now, as sentences without a subject.
    pub lacks: Vec<String>,
}
