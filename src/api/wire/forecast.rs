//! What is expected to happen, and what would help.
//!
//! ```text
//! GET /api/v1/advice                           AdviceView
//! ```
//!
//! Estimates stand in `ExplainView`, and in the answers to submissions, deliveries and runs.

use serde::{Deserialize, Serialize};

use crate::model::{RunnerId, WorkloadId};

/// Two percentiles of a time, in milliseconds from now.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Estimate {
    /// As likely before as after.
    pub p50_ms: i64,
    /// In 95 of 100 cases before.
    pub p95_ms: i64,
}

/// What is expected of a waiting job.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct ForecastView {
    /// When it will be given to a runner, where that can be reckoned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_estimate: Option<Estimate>,
    /// When it will have ended, where that can be reckoned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_estimate: Option<Estimate>,
    /// Why there is no estimate, or what is known instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_note: Option<String>,
}

/// What is expected of a new job that has `max_wait` or a deadline.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct OutlookView {
    /// The job's name.
    pub job: String,
    /// Its workload, where one answer is about several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload_id: Option<WorkloadId>,
    /// `met`, `at_risk` or `cannot`.
    pub verdict: String,
    /// When.
    #[serde(flatten)]
    pub forecast: ForecastView,
}

/// How often what was said about jobs came true.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct PredictionsView {
    /// Starts before p50; of good estimates half of all.
    pub earlier: u64,
    /// Starts from p50 to p95; of good estimates 45 of 100.
    pub within: u64,
    /// Starts after p95; of good estimates 5 of 100.
    pub later: u64,
    /// Jobs that `met` was said of.
    pub met: KeptView,
    /// Jobs that `at_risk` was said of.
    pub at_risk: KeptView,
    /// Jobs that `cannot` was said of.
    pub cannot: KeptView,
}

/// How jobs ended up about which one thing was said.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct KeptView {
    /// They were in time.
    pub in_time: u64,
    /// They were late.
    pub late: u64,
}

/// What would shorten waits most.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct AdviceView {
    /// Jobs that wait now.
    pub jobs_waiting: u64,
    /// Those of them that were played: the first in order.
    pub jobs_played: u64,
    /// What these are expected to wait from now on, together.
    pub wait_ms_total: i64,
    /// The same for each of them.
    pub wait_ms_mean: i64,
    /// How many of them do not start within `horizon_ms`, as things stand.
    pub jobs_stuck: u64,
    /// A wait that is longer counts as this.
    pub horizon_ms: i64,
    /// How many changes were tried.
    pub tried: u64,
    /// What helps, the best first; empty when nothing that was tried does.
    pub suggestions: Vec<SuggestionView>,
}

/// One change that helps.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct SuggestionView {
    /// A name that programs can compare: `uncordon`, `add_labels`, `raise_quota`, ...
    pub code: String,
    /// The sentence for people.
    pub text: String,
    /// The runner that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runner_id: Option<RunnerId>,
    /// What the jobs that were played wait less, together.
    pub saved_ms_total: i64,
    /// The same for each of them.
    pub saved_ms_mean: i64,
    /// How many of them start that would not have.
    pub jobs_freed: u64,
}
