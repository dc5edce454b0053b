//! What an operator can set about scheduling. The defaults of the configuration file are written
//! there, once; this is what remains when they are resolved.

/// Limits and times of the scheduler.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Most jobs that runners may have at once.
    pub max_global_concurrency: u64,
    /// How long a runner may be silent before it counts as offline.
    pub heartbeat_timeout_ms: i64,
    /// How long a started lease lives without a heartbeat.
    pub lease_ms: i64,
    /// How long a runner may take to start what it was given.
    pub ack_window_ms: i64,
    /// How long a runner may take to stop what was cancelled, before the lease is fenced.
    pub cancel_grace_ms: i64,
    /// How much longer than its timeout an attempt may run, because the runner stops it first.
    pub timeout_grace_ms: i64,
    /// Failures of infrastructure that may be followed by another try.
    pub infra_retries_max: u32,
    /// The longest backoff.
    pub backoff_max_ms: i64,
    /// The longest that a poll may be parked.
    pub poll_wait_max_ms: i64,
    /// Most jobs in one workload.
    pub workload_jobs_max: usize,
    /// Most rows that one command may write.
    pub changes_per_command_max: usize,
    /// Most classes with waiting or running jobs.
    pub classes_max: usize,
    /// Most registered runners.
    pub runners_max: usize,
}
