//! `[tenants.NAME]`: who shares the runners, and how much of them each may have.

use serde::{Deserialize, Serialize};

use super::number;
use crate::dispatch::MaxWaitPolicy;

/// One tenant. Where a maximum is absent there is none. `default` is there without being written:
/// it has whatever nobody else's source, trigger or token brings.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TenantConfig {
    /// `weight`: its share beside others that want the same runners. Default 1.
    #[serde(deserialize_with = "number::weight")]
    pub weight: u32,
    /// `running_max`: jobs that runners have. Default none.
    #[serde(deserialize_with = "number::optional_count", skip_serializing_if = "Option::is_none")]
    pub running_max: Option<u64>,
    /// `queued_max`: jobs that wait; further ones are refused. Default none.
    #[serde(deserialize_with = "number::optional_count", skip_serializing_if = "Option::is_none")]
    pub queued_max: Option<u64>,
    /// `starts_per_minute_max`: jobs given out in any minute. Default none.
    #[serde(deserialize_with = "number::optional_count", skip_serializing_if = "Option::is_none")]
    pub starts_per_minute_max: Option<u32>,
    /// `cpu_cores_max`: cores that its running jobs require together. Default none.
    #[serde(deserialize_with = "number::optional_count", skip_serializing_if = "Option::is_none")]
    pub cpu_cores_max: Option<u64>,
    /// `memory_gb_max`: gigabytes that its running jobs require together. Default none.
    #[serde(deserialize_with = "number::optional_count", skip_serializing_if = "Option::is_none")]
    pub memory_gb_max: Option<u64>,
    /// `gpu_max`: graphics processors that its running jobs require together; 0 for none at all.
    /// Default none.
    #[serde(
        deserialize_with = "number::optional_count_or_zero",
        skip_serializing_if = "Option::is_none"
    )]
    pub gpu_max: Option<u64>,
    /// `critical_running_max`: jobs at level `critical` that runners have; 0 for none at all.
    /// Default none.
    #[serde(
        deserialize_with = "number::optional_count_or_zero",
        skip_serializing_if = "Option::is_none"
    )]
    pub critical_running_max: Option<u64>,
    /// `max_wait_policy`: what becomes of work whose `max_wait` or `deadline` may not be met:
    /// `admit` says so in the answer, `warn` also in the job's history, `refuse` refuses what cannot
    /// be met. Default `admit`.
    pub max_wait_policy: MaxWaitPolicy,
    /// `sessions_per_day_max`: sessions of agents that are started in a day (UTC); further ones are
    /// refused. Default none.
    #[serde(deserialize_with = "number::optional_count", skip_serializing_if = "Option::is_none")]
    pub sessions_per_day_max: Option<u64>,
    /// `session_cost_micros_per_day_max`: what its agents may cost in a day (UTC), in millionths of a
    /// unit of money, as they tell; then sessions end and further messages are refused. Default none.
    #[serde(deserialize_with = "number::optional_count", skip_serializing_if = "Option::is_none")]
    pub session_cost_micros_per_day_max: Option<u64>,
}

impl Default for TenantConfig {
    fn default() -> Self {
        Self {
            weight: 1,
            running_max: None,
            queued_max: None,
            starts_per_minute_max: None,
            cpu_cores_max: None,
            memory_gb_max: None,
            gpu_max: None,
            critical_running_max: None,
            max_wait_policy: MaxWaitPolicy::Admit,
            sessions_per_day_max: None,
            session_cost_micros_per_day_max: None,
        }
    }
}
