//! What has happened over a span of time.
//!
//! ```text
//! GET /api/v1/report        ?since_ms&until_ms&by=tenant|pool|trigger    ReportView
//! GET /api/v1/jobs/{id}/records                                          HistoryView
//! ```

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::RecordView;

/// What a report is broken down by.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReportBy {
    /// By whose the jobs were.
    Tenant,
    /// By where they ran.
    Pool,
    /// By what started them.
    Trigger,
}

/// What ended in a span of time.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ReportView {
    /// Where the span begins, wall milliseconds.
    pub since_ms: i64,
    /// Where it ends, wall milliseconds, exclusive; it ends with the request at the latest.
    pub until_ms: i64,
    /// Whether all of the span is covered. A report that takes too long stops.
    pub complete: bool,
    /// From when on everything is covered, wall milliseconds; `since_ms` when the report is complete.
    pub covers_since_ms: i64,
    /// What ended up to here may have been pruned, wall milliseconds; absent where all of the span is
    /// still kept. The report is then not complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pruned_until_ms: Option<i64>,
    /// All of it.
    pub total: ReportFigures,
    /// By tenant, the most jobs first; absent when not asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenants: Option<Vec<ReportRow>>,
    /// By pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pools: Option<Vec<ReportRow>>,
    /// By trigger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub triggers: Option<Vec<ReportRow>>,
}

/// The figures of one tenant, pool or trigger.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ReportRow {
    /// Its name, also when it is no longer configured. `null`: jobs that were submitted, by trigger;
    /// jobs that ended without a runner, by pool. `(others)`: what came after the first 1,000 names.
    pub name: Option<String>,
    /// Its figures.
    #[serde(flatten)]
    pub figures: ReportFigures,
}

/// What ended, how long it took and what it cost.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct ReportFigures {
    /// Ends of jobs. A job that a manual retry ran again has ended once more.
    pub jobs_ended: u64,
    /// Of these: completed.
    pub completed: u64,
    /// Of these: failed.
    pub failed: u64,
    /// Of these: cancelled.
    pub cancelled: u64,
    /// Of these: skipped.
    pub skipped: u64,
    /// Failed of completed and failed, 0 to 1; absent when there were neither.
    #[serde(default)]
    pub failure_share: Option<f64>,
    /// Attempts that ended.
    pub attempts: u64,
    /// Attempts after which the job went back to the queue, by the reason.
    pub retries: BTreeMap<String, u64>,
    /// How long jobs could have been given to a runner before they were, of each attempt.
    pub wait_ms: Percentiles,
    /// From start to end, of each attempt that started.
    pub run_ms: Percentiles,
    /// What was promised.
    pub sla: SlaFigures,
    /// Time of runners' slots from assignment to end, in minutes.
    pub runner_minutes: f64,
    /// What that time cost by `cost_per_hour`, divided among the slots of each runner, in millionths
    /// of your currency.
    pub cost_micros: u64,
}

/// How some durations are spread, in milliseconds, to within a hundredth.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Percentiles {
    /// How many there are.
    pub count: u64,
    /// Half of them took no longer.
    pub p50: u64,
    /// 90 of 100 took no longer.
    pub p90: u64,
    /// 95 of 100 took no longer.
    pub p95: u64,
    /// 99 of 100 took no longer.
    pub p99: u64,
    /// The longest.
    pub max: u64,
}

/// Jobs that had a `max_wait` or a deadline. Jobs that were cancelled or skipped before they were
/// late do not count.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct SlaFigures {
    /// How many such jobs ended.
    pub jobs: u64,
    /// How many of these were not late.
    pub met: u64,
    /// Met of all, 0 to 1; absent when there was none.
    #[serde(default)]
    pub share: Option<f64>,
}

/// All that is known to have happened to one job.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct HistoryView {
    /// Oldest first. Made of the rows of the job and of its attempts, and of what was kept besides.
    pub items: Vec<RecordView>,
}
