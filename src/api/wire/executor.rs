//! Executors that jobs are pushed to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What a backend says of an attempt that it has: a sign of life, a piece of the log, the end.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallbackRequest {
    /// `running`, `completed`, `failed`, `cancelled`, or `retry`: what carried the work failed, and not
    /// the work.
    pub status: CallbackStatus,
    /// More of the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
    /// Named results for the jobs that need this one, of an end.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub outputs: BTreeMap<String, String>,
    /// What went wrong, of an end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The exit code of the last process, of an end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
}

/// Where a backend stands with an attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallbackStatus {
    /// It goes on.
    Running,
    /// The work ended well.
    Completed,
    /// The work failed.
    Failed,
    /// The work was stopped.
    Cancelled,
    /// What carried it failed.
    Retry,
}

/// How an executor stands.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ExecutorView {
    /// What routes call it.
    pub name: String,
    /// Whose pool's limits and pauses hold for it.
    pub pool: String,
    /// `closed`: jobs go there; `open`: none does; `half_open`: one does, to see.
    pub breaker: String,
    /// When it is tried again, wall milliseconds, while it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open_until_ms: Option<i64>,
    /// What went wrong there last, until it went well again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Attempts that it has.
    pub attempts: usize,
    /// The most that it has at once.
    pub attempts_max: u32,
    /// Attempts that ended, by its own count since this process started.
    pub total_executed: u64,
    /// Those of them that did not end well.
    pub total_failed: u64,
    /// How long they took on average, in milliseconds.
    pub average_duration_ms: f64,
}
