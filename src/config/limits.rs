//! `[limits]`: everything has one. Above it a request is refused; what was accepted stays.

use serde::{Deserialize, Serialize};

use super::number;
use super::section::Section;

/// The section `[limits]`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// `hook_body_bytes_max`: the longest body of a webhook, in bytes. Default 26214400 (25 MiB),
    /// which covers GitHub's 25 MB: <https://docs.github.com/webhooks/webhook-events-and-payloads>.
    #[serde(deserialize_with = "number::count")]
    pub hook_body_bytes_max: usize,
    /// `body_inline_bytes_max`: a longer body is a file beside the database, in bytes. Default
    /// 65536.
    #[serde(deserialize_with = "number::count")]
    pub body_inline_bytes_max: usize,
    /// `hook_bytes_in_flight_max`: all webhook bodies that are being received, in bytes. Default
    /// 268435456 (256 MiB).
    #[serde(deserialize_with = "number::count")]
    pub hook_bytes_in_flight_max: usize,
    /// `api_body_bytes_max`: the longest body of an API call, in bytes. Default 2097152 (2 MiB).
    #[serde(deserialize_with = "number::count")]
    pub api_body_bytes_max: usize,
    /// `causation_depth_max`: how long a chain of events may be that work causes itself, as by `caused_by` of an event of
    /// the API; a longer one starts nothing. Default 5.
    #[serde(deserialize_with = "number::count")]
    pub causation_depth_max: u32,
    /// `batch_items_max`: items of one batch call. Default 1000.
    #[serde(deserialize_with = "number::count")]
    pub batch_items_max: usize,
    /// `queue_jobs_max`: jobs that wait, over all tenants; further ones are refused, but not the
    /// matrix of an accepted job. Default 1000000.
    #[serde(deserialize_with = "number::count")]
    pub queue_jobs_max: u64,
    /// `workload_jobs_max`: jobs of one workload. Default 1000.
    #[serde(deserialize_with = "number::count")]
    pub workload_jobs_max: usize,
    /// `changes_per_command_max`: rows that one command may write. Default 10000.
    #[serde(deserialize_with = "number::count")]
    pub changes_per_command_max: usize,
    /// `classes_max`: different requirements of jobs. Default 10000.
    #[serde(deserialize_with = "number::count")]
    pub classes_max: usize,
    /// `batch_commands_max`: commands of one transaction. Default 1000: more makes the slowest
    /// answers slower and no more work done.
    #[serde(deserialize_with = "number::count")]
    pub batch_commands_max: usize,
    /// `control_queue_max`: calls of runners that wait for the next transaction. Default 10000.
    #[serde(deserialize_with = "number::count")]
    pub control_queue_max: usize,
    /// `intake_queue_max`: deliveries and submissions that wait for the next transaction. Default
    /// 10000.
    #[serde(deserialize_with = "number::count")]
    pub intake_queue_max: usize,
    /// `runners_max`: registered runners. Default 100000.
    #[serde(deserialize_with = "number::count")]
    pub runners_max: usize,
    /// `schedule_missed_max`: times that a schedule with `missed = "all"` makes good at most; older ones are passed
    /// over. Default 100.
    #[serde(deserialize_with = "number::count")]
    pub schedule_missed_max: usize,
    /// `list_items_max`: items of one page of a list. Default 500.
    #[serde(deserialize_with = "number::count")]
    pub list_items_max: usize,
    /// `log_bytes_max`: the log of one attempt, in bytes; the rest is dropped and marked. Default
    /// 67108864 (64 MiB).
    #[serde(deserialize_with = "number::count")]
    pub log_bytes_max: u64,
    /// `stream_records_max`: records that a stream can go back to. Default 10000.
    #[serde(deserialize_with = "number::count")]
    pub stream_records_max: usize,
    /// `report_days_max`: the longest span that one report may be about. Default 92.
    #[serde(deserialize_with = "number::count")]
    pub report_days_max: u32,
    /// `report_ms_max`: how long a report may read; it then covers the latest part of its span, and
    /// says so. Default 10000.
    #[serde(deserialize_with = "number::count")]
    pub report_ms_max: u64,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            hook_body_bytes_max: 26_214_400,
            body_inline_bytes_max: 65_536,
            hook_bytes_in_flight_max: 268_435_456,
            api_body_bytes_max: 2_097_152,
            causation_depth_max: 5,
            batch_items_max: 1_000,
            queue_jobs_max: 1_000_000,
            workload_jobs_max: 1_000,
            changes_per_command_max: 10_000,
            classes_max: 10_000,
            batch_commands_max: 1_000,
            control_queue_max: 10_000,
            intake_queue_max: 10_000,
            runners_max: 100_000,
            schedule_missed_max: 100,
            list_items_max: 500,
            log_bytes_max: 67_108_864,
            stream_records_max: 10_000,
            report_days_max: 92,
            report_ms_max: 10_000,
        }
    }
}

impl Section for LimitsConfig {
    const NAME: &'static str = "limits";
}
