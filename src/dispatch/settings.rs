//! What an operator can set about scheduling. The defaults of the configuration file are written
//! there, once; this is what remains when they are resolved.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::planted::Planted;
use super::sessions::SessionSettings;
use crate::executor::router::Router;
use crate::model::{Catalogue, PoolId, TenantId};
use crate::queue::SchedulingPolicies;
pub use crate::runner::Weights;
use crate::runner::{Fleets, SelectionPolicies};

/// The keys of the scheduling policies, which say what is next for a runner. The room `queue`
/// has one implementation for each.
pub const SCHEDULING_POLICIES: &[&str] = &["priority", "fifo", "fair_share", "skill"];

/// The keys of the selection policies, which say who gets a job. The room `runner` has one
/// implementation for each.
pub const SELECTION_POLICIES: &[&str] =
    &["least_loaded", "round_robin", "weighted", "locality", "best_fit", "learned"];

/// Limits and times of the scheduler.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Most jobs that runners may have at once.
    pub max_global_concurrency: u64,
    /// Most jobs that may wait, over all tenants.
    pub queue_jobs_max: u64,
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
    /// Waiting raises a job by one level in this time, up to `high`; 0 for never.
    pub aging_ms: i64,
    /// A job whose start is due in this time counts as `high`, in twice this time at least as
    /// `normal`, and so on.
    pub deadline_raise_ms: i64,
    /// How long a job may be pending where it does not say itself; `None` for ever.
    pub queue_timeout_ms: Option<i64>,
    /// How long a delivery may wait for an approval; `None` for ever.
    pub held_expires_after_ms: Option<i64>,
    /// How long no registered runner may be able to take a class of jobs before these are marked as
    /// unschedulable.
    pub unschedulable_after_ms: i64,
    /// How long a job is expected to run while nothing is known of its like.
    pub expected_run_ms: i64,
    /// Whether run times are learned from the attempts that end; without it every job is expected to
    /// take `expected_run_ms`.
    pub learning: bool,
    /// A runner that was heard of in this time and does not wait may have a job kept for it.
    pub balance_seen_ms: i64,
    /// How many waiting runners, least loaded first, a policy that looks at jobs compares.
    pub selection_candidates_max: usize,
    /// How often jobs may take units of a resource before the one that waits longest for it.
    pub overtake_max: u32,
    /// How often soft state is written, beside the end of a server; 0 for never.
    pub soft_flush_ms: i64,
    /// Most jobs in one workload.
    pub workload_jobs_max: usize,
    /// Most rows that one command may write.
    pub changes_per_command_max: usize,
    /// Most classes with waiting or running jobs.
    pub classes_max: usize,
    /// Most registered runners.
    pub runners_max: usize,
    /// What is set for a tenant; one that is not here has [`TenantSettings::default`].
    pub tenants: BTreeMap<TenantId, TenantSettings>,
    /// What is set for a pool; one that is not here has [`PoolSettings::default`].
    pub pools: BTreeMap<PoolId, PoolSettings>,
    /// Scheduling policies that pools may name.
    pub scheduling_policies: SchedulingPolicies,
    /// Selection policies that pools may name.
    pub selection_policies: SelectionPolicies,
    /// How jobs are carried out, by their names.
    pub router: Router,
    /// Executors that there are beside runners which poll.
    pub executors: BTreeSet<Box<str>>,
    /// Runners that the server starts.
    pub fleets: Fleets,
    /// Tells this database from others, in the names of such runners.
    pub installation: Box<str>,
    /// Names, and the units of resources.
    pub catalogue: Catalogue,
    /// Limits of sessions.
    pub sessions: SessionSettings,
    /// A fault that a test planted.
    #[doc(hidden)]
    pub planted: Option<Planted>,
}

/// What is set for a tenant. Where a maximum is absent there is none.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TenantSettings {
    /// Its share beside others that want the same runners, at least 1.
    pub weight: u32,
    /// Jobs that runners have.
    pub running_max: Option<u64>,
    /// Jobs that wait, over which new ones are refused.
    pub queued_max: Option<u64>,
    /// Jobs given out in any minute.
    pub starts_per_minute_max: Option<u32>,
    /// Cores that its jobs require together while runners have them.
    pub cpu_cores_max: Option<u64>,
    /// As for cores: gigabytes of memory.
    pub memory_gb_max: Option<u64>,
    /// As for cores: graphics processors.
    pub gpu_max: Option<u64>,
    /// Jobs at level `critical` that runners have.
    pub critical_running_max: Option<u64>,
    /// What a submission gets that asks for a start which cannot be met.
    pub max_wait_policy: MaxWaitPolicy,
    /// Sessions of agents that are started in a day (UTC).
    pub sessions_per_day_max: Option<u64>,
    /// What its agents may cost in a day (UTC), in millionths of a unit of money.
    pub session_cost_micros_per_day_max: Option<u64>,
}

/// What becomes of a submission whose `max_wait` or `deadline` cannot be met.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MaxWaitPolicy {
    /// It is queued; the answer says what is expected.
    #[default]
    Admit,
    /// It is queued, and a record and a metric say so beside the answer.
    Warn,
    /// It is refused when it cannot be met, whatever may happen. What is at risk is queued.
    Refuse,
}

impl Default for TenantSettings {
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

/// What is set for a pool.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PoolSettings {
    /// The only tenant whose jobs its runners take; `None` for all.
    pub tenant_id: Option<TenantId>,
    /// Whether its runners take jobs that are not trusted.
    pub accepts_untrusted: bool,
    /// What is next: the key of a [`crate::queue::SchedulingPolicy`].
    pub scheduling_policy: Box<str>,
    /// Who gets it: the key of a [`crate::runner::SelectionPolicy`].
    pub selection_policy: Box<str>,
    /// Most jobs that its runners have; `None` for no maximum.
    pub jobs_max: Option<u64>,
    /// Whether a job takes its cores, memory and graphics processors from what its runner has
    /// left, rather than comparing them with the runner's total.
    pub reserve_resources: bool,
    /// How long a job is kept back for a less loaded runner that does not wait; 0 for never.
    pub balance_hold_ms: i64,
    /// Health in percent under which a runner gets nothing for a while; 0 for never.
    pub health_min_percent: u32,
    /// For how long; then one job is its probe.
    pub health_cool_off_ms: i64,
    /// How far regions are from each other, in any unit; what is not here is far away. Each pair
    /// stands here both ways round.
    pub distances: BTreeMap<(Box<str>, Box<str>), u32>,
    /// How much each part counts for the policy `weighted`.
    pub weights: Weights,
    /// What an hour of one runner costs, in millionths of the operator's currency.
    pub cost_micros_per_hour: u64,
}

impl Default for PoolSettings {
    fn default() -> Self {
        Self {
            tenant_id: None,
            accepts_untrusted: true,
            scheduling_policy: "priority".into(),
            selection_policy: "least_loaded".into(),
            jobs_max: None,
            reserve_resources: false,
            balance_hold_ms: 50,
            health_min_percent: 50,
            health_cool_off_ms: 60_000,
            distances: BTreeMap::new(),
            weights: Weights::default(),
            cost_micros_per_hour: 0,
        }
    }
}

impl Default for Settings {
    /// The defaults of the configuration file.
    fn default() -> Self {
        Self {
            max_global_concurrency: 1_000,
            queue_jobs_max: 1_000_000,
            heartbeat_timeout_ms: 60_000,
            lease_ms: 60_000,
            ack_window_ms: 15_000,
            cancel_grace_ms: 30_000,
            timeout_grace_ms: 30_000,
            infra_retries_max: 3,
            backoff_max_ms: 600_000,
            poll_wait_max_ms: 60_000,
            aging_ms: 600_000,
            deadline_raise_ms: 60_000,
            queue_timeout_ms: None,
            held_expires_after_ms: Some(2_592_000_000),
            unschedulable_after_ms: 60_000,
            expected_run_ms: 60_000,
            learning: true,
            balance_seen_ms: 5_000,
            selection_candidates_max: 64,
            overtake_max: 10,
            soft_flush_ms: 10_000,
            workload_jobs_max: 1_000,
            changes_per_command_max: 10_000,
            classes_max: 10_000,
            runners_max: 100_000,
            tenants: BTreeMap::new(),
            pools: BTreeMap::new(),
            scheduling_policies: SchedulingPolicies::standard(),
            selection_policies: SelectionPolicies::standard(),
            router: Router::default(),
            executors: BTreeSet::new(),
            fleets: Fleets::new(),
            installation: "".into(),
            catalogue: Catalogue::default(),
            sessions: SessionSettings::default(),
            planted: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_that_a_configuration_may_name_are_those_that_there_are() {
        let sorted = |keys: &[&'static str]| {
            let mut keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
            keys.sort();
            keys
        };
        // `geographic` is another name of `locality`.
        let selection = SelectionPolicies::standard();
        let selection: Vec<_> =
            selection.keys().filter(|key| *key != "geographic").map(str::to_owned).collect();
        assert_eq!(sorted(SELECTION_POLICIES), selection);
        let scheduling: Vec<_> = SchedulingPolicies::standard().keys().map(str::to_owned).collect();
        assert_eq!(sorted(SCHEDULING_POLICIES), scheduling);
    }
}
