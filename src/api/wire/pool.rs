//! Pools, and how large each should be.

use serde::{Deserialize, Serialize};

/// A pool's size now, and what it should be: the answer for autoscalers.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct PoolScaleView {
    /// The pool.
    pub pool: String,
    /// Jobs that wait for nothing but a runner, and for which it is the first pool.
    pub waiting: u64,
    /// Jobs that its runners have.
    pub running: u64,
    /// Runners that are there.
    pub runners: u64,
    /// Those of them that have nothing to do.
    pub idle: u64,
    /// Runners that this server starts, and that have not registered yet.
    pub starting: u64,
    /// How many runners there should be.
    pub desired: u64,
    /// How long the job has waited that waits longest, in seconds; 0 without one.
    pub oldest_waiting_seconds: f64,
    /// How it is kept warm; absent when this server starts none of its runners.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warm: Option<WarmPoolView>,
}

/// How a pool is kept warm.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct WarmPoolView {
    /// Who starts its runners.
    pub provisioner: String,
    /// Runners that stand by.
    pub min_idle: u32,
    /// The most runners.
    pub max: u32,
    /// Starts that failed in a row.
    pub failures: u32,
    /// What went wrong last, until a start goes well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Until when nothing is started for that, wall milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_until_ms: Option<i64>,
}
