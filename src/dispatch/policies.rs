//! The scheduling policy of each pool, and what else of the settings decisions ask for often.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::scheduler::Scheduler;
use super::settings::{PoolSettings, Settings, TenantSettings};
use crate::model::{ClassId, PoolId, RunnerId, TenantId};
use crate::queue::{Priority, QuotaLimits, Raising, SchedulingPolicy, UnknownSchedulingPolicy};
use crate::runner::{LeastLoaded, PoolFacts, SelectionPolicy, UnknownPolicy};

/// Says what is next, for each pool.
#[derive(Clone, Debug)]
pub(super) struct PoolPolicies {
    by_pool: BTreeMap<PoolId, Arc<dyn SchedulingPolicy>>,
    other: Arc<dyn SchedulingPolicy>,
}

impl PoolPolicies {
    /// The policies that the settings name; a pool whose policy nobody knows is ordered by
    /// `priority`, because [`Settings::check`] was to find that.
    pub(super) fn new(settings: &Settings) -> Self {
        let known = &settings.scheduling_policies;
        let get = |pool: &PoolSettings| {
            known.get(&pool.scheduling_policy).unwrap_or_else(|_| Arc::new(Priority))
        };
        Self {
            by_pool: settings.pools.iter().map(|(id, pool)| (*id, get(pool))).collect(),
            other: get(&PoolSettings::default()),
        }
    }

    /// The policy of a pool.
    pub(super) fn of(&self, pool: PoolId) -> &Arc<dyn SchedulingPolicy> {
        self.by_pool.get(&pool).unwrap_or(&self.other)
    }
}

/// A pool names a policy that nobody knows.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PolicyError {
    /// Of what is next.
    #[error(transparent)]
    Scheduling(#[from] UnknownSchedulingPolicy),
    /// Of who gets it.
    #[error(transparent)]
    Selection(#[from] UnknownPolicy),
}

impl Settings {
    /// Refuses what cannot be: policies that nobody knows.
    ///
    /// # Errors
    ///
    /// The first that is unknown, with those that there are.
    pub fn check(&self) -> Result<(), PolicyError> {
        for pool in self.pools.values() {
            self.scheduling_policies.get(&pool.scheduling_policy)?;
            self.selection_policies.build(&pool.selection_policy, &PoolFacts::default())?;
        }
        Ok(())
    }

    /// The selection policy of each pool, as [`PoolPolicies::new`] has the others.
    pub(super) fn selections(
        &self,
    ) -> impl Iterator<Item = (PoolId, Arc<dyn SelectionPolicy>)> + '_ {
        self.pools.iter().map(|(id, pool)| {
            let facts = PoolFacts { distances: pool.distances.clone(), weights: pool.weights };
            let policy = self.selection_policies.build(&pool.selection_policy, &facts);
            (*id, policy.map_or_else(|_| Arc::new(LeastLoaded) as _, Arc::from))
        })
    }

    pub(super) fn raising(&self) -> Raising {
        Raising { aging_ms: self.aging_ms, deadline_raise_ms: self.deadline_raise_ms }
    }
}

impl TenantSettings {
    /// The quotas among the settings.
    pub(super) fn limits(&self) -> QuotaLimits {
        QuotaLimits {
            running_max: self.running_max,
            critical_running_max: self.critical_running_max,
            queued_max: self.queued_max,
            starts_per_minute_max: self.starts_per_minute_max,
            held_max: [self.cpu_cores_max, self.memory_gb_max, self.gpu_max],
        }
    }
}

impl Scheduler {
    pub(super) fn raising(&self) -> Raising {
        self.settings.raising()
    }

    /// What is set for a pool.
    pub(super) fn pool_settings(&self, pool: PoolId) -> &PoolSettings {
        self.settings.pools.get(&pool).unwrap_or(&self.default_pool)
    }

    /// What an hour of a runner costs: what it says itself, or else what is set for its pool.
    pub(super) fn cost_micros_per_hour(&self, id: RunnerId) -> u64 {
        let Some(runner) = self.runners.get(id) else { return 0 };
        let own = Some(runner.row.capabilities.cost_micros_per_hour).filter(|cost| *cost > 0);
        own.unwrap_or_else(|| self.pool_settings(runner.row.pool_id).cost_micros_per_hour)
    }

    /// The same divided among the runner's slots: what a job there costs that has one of them.
    pub(super) fn slot_cost_micros_per_hour(&self, id: RunnerId) -> u64 {
        let slots = self.runners.get(id).map_or(1, |runner| runner.slots().max(1));
        self.cost_micros_per_hour(id) / u64::from(slots)
    }

    /// How long a job of a class is expected to run.
    pub fn expected_run_ms(&self, class: ClassId) -> i64 {
        self.run_times.class_mean_ms(class)
    }

    /// What each tenant had of the runners' time.
    pub fn share_usage(&self) -> Vec<crate::queue::ShareUsage> {
        self.shares.usage()
    }

    /// Jobs that runners have and jobs that wait, of each tenant.
    pub fn tenant_counts(&self) -> Vec<(TenantId, u64, u64)> {
        self.quota.counts()
    }
}
