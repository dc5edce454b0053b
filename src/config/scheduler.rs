//! `[scheduler]`: leases, retries, timeouts, order. What a job or a pool does not say itself comes
//! from here.

use serde::{Deserialize, Serialize};

use super::section::Section;
use super::{number, policy};

/// The section `[scheduler]`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SchedulerConfig {
    /// `max_global_concurrency`: jobs that runners may have at the same time. Default 1000.
    #[serde(deserialize_with = "number::count")]
    pub max_global_concurrency: usize,
    /// `heartbeat_timeout_ms`: a runner that is silent for longer is offline; also the length of
    /// a lease where `lease_ms` is not set. Default 60000.
    #[serde(deserialize_with = "number::millis")]
    pub heartbeat_timeout_ms: i64,
    /// `heartbeat_interval_ms`: how often runners are told to send a heartbeat. Default 15000.
    #[serde(deserialize_with = "number::millis")]
    pub heartbeat_interval_ms: i64,
    /// `lease_ms`: how long a lease lives without a heartbeat. Default: `heartbeat_timeout_ms`.
    #[serde(deserialize_with = "number::optional_millis", skip_serializing_if = "Option::is_none")]
    pub lease_ms: Option<i64>,
    /// `ack_window_ms`: a job that is not started by then goes to another runner. Default 15000.
    #[serde(deserialize_with = "number::millis")]
    pub ack_window_ms: i64,
    /// `cancel_grace_ms`: how long a runner has to stop cancelled work before its lease is taken.
    /// Default 30000.
    #[serde(deserialize_with = "number::millis_or_zero")]
    pub cancel_grace_ms: i64,
    /// `timeout_minutes`: how long one attempt may run. Default 360, as GitHub's:
    /// <https://docs.github.com/actions/reference/workflows-and-actions/workflow-syntax#jobsjob_idtimeout-minutes>.
    #[serde(deserialize_with = "number::minutes")]
    pub timeout_minutes: u32,
    /// `timeout_grace_ms`: how long after its timeout the server waits for the runner to say so
    /// itself. Default 30000.
    #[serde(deserialize_with = "number::millis_or_zero")]
    pub timeout_grace_ms: i64,
    /// `max_retries`: how often a job that failed by itself is tried again. Default 0.
    #[serde(deserialize_with = "number::tries")]
    pub max_retries: u32,
    /// `retry_max_attempts`: how often a job is tried again after failures of the infrastructure
    /// (a lost runner, an expired lease); one more and it is poisoned. Default 3.
    #[serde(deserialize_with = "number::tries")]
    pub retry_max_attempts: u32,
    /// `backoff_ms`: the first wait before a retry; it doubles with each, with full jitter. 0
    /// retries at once. Default 10000.
    #[serde(deserialize_with = "number::millis_or_zero")]
    pub backoff_ms: i64,
    /// `backoff_max_ms`: the longest wait before a retry. Default 600000.
    #[serde(deserialize_with = "number::millis_or_zero")]
    pub backoff_max_ms: i64,
    /// `poll_wait_max_ms`: the longest time that a runner's poll is parked, and that its stream is
    /// kept open after the last sign of life. Default 60000.
    #[serde(deserialize_with = "number::millis")]
    pub poll_wait_max_ms: i64,
    /// `stream_keep_alive_ms`: how often something is sent on a runner's stream where nothing
    /// happens. Default 10000.
    #[serde(deserialize_with = "number::millis")]
    pub stream_keep_alive_ms: i64,
    /// `scheduling_policy`: what is next for a runner, in pools that do not say: `priority`,
    /// `fifo`, `fair_share` or `skill`. Default `priority`.
    #[serde(deserialize_with = "policy::scheduling")]
    pub scheduling_policy: String,
    /// `selection_policy`: who gets a job, in pools that do not say: `least_loaded`,
    /// `round_robin`, `weighted`, `locality`, `best_fit` or `learned`. Default `least_loaded`.
    #[serde(deserialize_with = "policy::selection")]
    pub selection_policy: String,
    /// `balance_hold_ms`: how long a job is kept back for a less loaded runner that does not
    /// wait, in pools that do not say; 0 for never. Default 50.
    #[serde(deserialize_with = "number::millis_or_zero")]
    pub balance_hold_ms: i64,
    /// `balance_seen_ms`: only for one that was heard of in this time. Default 5000.
    #[serde(deserialize_with = "number::millis")]
    pub balance_seen_ms: i64,
    /// `aging_ms`: waiting raises a job by one level in this time, up to `high`; 0 for never.
    /// Default 600000.
    #[serde(deserialize_with = "number::millis_or_zero")]
    pub aging_ms: i64,
    /// `deadline_raise_ms`: a job whose start is due in this time counts as `high`, in twice this
    /// time as `normal` at least, and so on. Default 60000.
    #[serde(deserialize_with = "number::millis")]
    pub deadline_raise_ms: i64,
    /// `queue_timeout_ms`: how long a job may be pending where it does not say itself. Default
    /// none: for ever.
    #[serde(deserialize_with = "number::optional_millis", skip_serializing_if = "Option::is_none")]
    pub queue_timeout_ms: Option<i64>,
    /// `held_expires_after_ms`: how long a delivery may wait for an approval before it is ignored; it can be replayed.
    /// 0 for ever. Default 2592000000 (30 days).
    #[serde(deserialize_with = "number::millis_or_zero")]
    pub held_expires_after_ms: i64,
    /// `expected_run_ms`: how long a job is expected to run while nothing is known of its like.
    /// Default 60000.
    #[serde(deserialize_with = "number::millis")]
    pub expected_run_ms: i64,
    /// `learning`: whether run times are learned from the attempts that end; without it every job is
    /// expected to take `expected_run_ms`. Default true.
    pub learning: bool,
    /// `unschedulable_after_ms`: how long no registered runner may be able to take a waiting job
    /// before it is marked as unschedulable; a fleet that restarts raises no alarm. Default 60000.
    #[serde(deserialize_with = "number::millis_or_zero")]
    pub unschedulable_after_ms: i64,
    /// `selection_candidates_max`: how many waiting runners a policy compares that looks at jobs.
    /// Default 64.
    #[serde(deserialize_with = "number::count")]
    pub selection_candidates_max: usize,
    /// `overtake_max`: how often jobs may take units of a resource before the one that waits
    /// longest for it; then what is freed is kept for that one. Default 10.
    #[serde(deserialize_with = "number::tries")]
    pub overtake_max: u32,
    /// `soft_flush_ms`: how often what was learned is written, which may be lost: usage, run
    /// times, health; and once more when a server stops. 0 for never. Default 10000.
    #[serde(deserialize_with = "number::millis_or_zero")]
    pub soft_flush_ms: i64,
    /// `store_wait_ms`: how long a webhook waits for a store that does not write, before it is
    /// answered 503. Default 2500: providers give up after 10 s and rarely come back.
    #[serde(deserialize_with = "number::millis_or_zero")]
    pub store_wait_ms: i64,
}

impl SchedulerConfig {
    /// How long a lease lives without a heartbeat.
    pub fn lease_length_ms(&self) -> i64 {
        self.lease_ms.unwrap_or(self.heartbeat_timeout_ms)
    }

    /// How long one attempt may run where nothing else is said.
    pub fn timeout_ms(&self) -> i64 {
        i64::from(self.timeout_minutes) * 60_000
    }
}

impl Default for SchedulerConfig {
    fn default() -> Self {
        Self {
            max_global_concurrency: 1_000,
            heartbeat_timeout_ms: 60_000,
            heartbeat_interval_ms: 15_000,
            lease_ms: None,
            ack_window_ms: 15_000,
            cancel_grace_ms: 30_000,
            timeout_minutes: 360,
            timeout_grace_ms: 30_000,
            max_retries: 0,
            retry_max_attempts: 3,
            backoff_ms: 10_000,
            backoff_max_ms: 600_000,
            poll_wait_max_ms: 60_000,
            stream_keep_alive_ms: 10_000,
            scheduling_policy: "priority".to_owned(),
            selection_policy: "least_loaded".to_owned(),
            balance_hold_ms: 50,
            balance_seen_ms: 5_000,
            aging_ms: 600_000,
            deadline_raise_ms: 60_000,
            queue_timeout_ms: None,
            held_expires_after_ms: 2_592_000_000,
            expected_run_ms: 60_000,
            learning: true,
            unschedulable_after_ms: 60_000,
            selection_candidates_max: 64,
            overtake_max: 10,
            soft_flush_ms: 10_000,
            store_wait_ms: 2_500,
        }
    }
}

impl Section for SchedulerConfig {
    const NAME: &'static str = "scheduler";
}
