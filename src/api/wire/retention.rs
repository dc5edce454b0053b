//! What is kept, and what is kept no longer.
//!
//! ```text
//! POST /api/v1/prune        PruneRequest    PruneView
//! ```

use serde::{Deserialize, Serialize};

/// Asks to forget what is old.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PruneRequest {
    /// Only tell what would go.
    #[serde(default)]
    pub dry_run: bool,
}

/// What went, or would go.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PruneView {
    /// Whether it is still there.
    pub dry_run: bool,
    /// Whether all that is old was looked at. There is a limit to the time that one call takes
    /// (`limits.report_ms_max`): call again for the rest.
    pub complete: bool,
    /// How many of each kind. Of a dry run at most so many: what something live refers to stays.
    pub went: PrunedView,
    /// Up to which moment each kind is old, wall milliseconds.
    pub until: CutoffsView,
}

/// How many of each kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct PrunedView {
    /// Finished workloads.
    pub workloads: u64,
    /// Their jobs.
    pub jobs: u64,
    /// Their attempts.
    pub attempts: u64,
    /// Records of them, and about no workload.
    pub records: u64,
    /// Bodies of deliveries that stay.
    pub bodies: u64,
    /// Their bytes.
    pub body_bytes: u64,
    /// Deliveries.
    pub deliveries: u64,
    /// Keys that kept deliveries from being accepted twice.
    pub dedupe_keys: u64,
    /// Keys of submissions.
    pub idempotency_keys: u64,
    /// Runners that were gone.
    pub runners: u64,
    /// Sessions that ended.
    #[serde(default)]
    pub sessions: u64,
    /// What was said in them.
    #[serde(default)]
    pub session_messages: u64,
    /// Jobs whose logs went alone. Of a dry run 0: it does not look through the folder.
    pub logs: u64,
}

/// Up to which moment each kind is old, wall milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CutoffsView {
    /// Workloads that ended by then.
    pub workloads_ms: i64,
    /// Logs of workloads that ended by then.
    pub logs_ms: i64,
    /// Bodies of deliveries that were received by then.
    pub bodies_ms: i64,
    /// Deliveries that were received by then.
    pub deliveries_ms: i64,
    /// Keys of deliveries that were claimed by then.
    pub dedupe_keys_ms: i64,
    /// Keys of submissions that were claimed by then.
    pub idempotency_keys_ms: i64,
    /// Sessions that ended by then.
    #[serde(default)]
    pub sessions_ms: i64,
}

/// What is kept, as of the last time that somebody looked for what is old.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct KeptHistoryView {
    /// When that was, wall milliseconds.
    pub pruned_at_ms: i64,
    /// Bytes of the database in use.
    pub used_bytes: u64,
    /// Bytes that it takes; with PostgreSQL both are what the server tells.
    pub taken_bytes: u64,
    /// The limit of `retention.database_bytes_max`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_max: Option<u64>,
    /// When the finished workload ended that is kept longest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest_end_ms: Option<i64>,
    /// When the oldest delivery was received.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest_delivery_ms: Option<i64>,
}
