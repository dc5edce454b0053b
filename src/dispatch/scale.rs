//! How large each pool should be: for people, metrics, and whoever starts runners elsewhere.

use std::collections::BTreeMap;

use super::scheduler::Scheduler;
use crate::model::{Now, PoolId, RunnerRequirements};
use crate::runner::LiveRunner;

/// A pool's size now, and what it should be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PoolScale {
    /// Jobs that wait for nothing but a runner, and for which it is the first pool.
    pub waiting: u64,
    /// Jobs that its runners have.
    pub running: u64,
    /// Runners that are there.
    pub runners: u64,
    /// Those of them that have nothing to do.
    pub idle: u64,
    /// Runners that the server starts, and that have not registered yet.
    pub starting: u64,
    /// How many runners there should be. Of a pool whose runners the server starts: what it aims at; of
    /// another one: as many as have jobs, and as the waiting jobs need.
    pub desired: u64,
    /// How long the job has waited that waits longest, in milliseconds; 0 without one.
    pub oldest_waiting_ms: u64,
}

impl Scheduler {
    /// The scale of each pool that is configured.
    pub fn pool_scales(&mut self, now: Now) -> BTreeMap<PoolId, PoolScale> {
        let pools = self.settings.catalogue.pools.values();
        let mut scales: BTreeMap<PoolId, PoolScale> =
            pools.map(|id| (*id, PoolScale::default())).collect();
        for (id, queue) in self.queue_by_pool() {
            if let (Some(scale), Some(since_ms)) = (scales.get_mut(&id), queue.oldest_queued_at_ms)
            {
                scale.oldest_waiting_ms = (now.wall_ms - since_ms).max(0).unsigned_abs();
            }
        }
        for demand in self.fleet_demand(now) {
            if let Some(scale) = scales.get_mut(&demand.needs.pool_id) {
                scale.waiting += demand.jobs;
            }
        }
        // The most slots that one of its runners has: how many a new one would have.
        let mut slots: BTreeMap<PoolId, u64> = BTreeMap::new();
        let mut count = |runner: &LiveRunner| {
            let Some(scale) = scales.get_mut(&runner.row.pool_id) else { return };
            scale.running += runner.leases.len() as u64;
            if runner.row.is_starting() {
                scale.starting += 1;
            } else if !runner.offline && runner.row.leaving().is_none() {
                scale.runners += 1;
                scale.idle += u64::from(runner.used() == 0);
                let most = slots.entry(runner.row.pool_id).or_default();
                *most = (*most).max(u64::from(runner.slots()));
            }
        };
        // An executor that jobs are pushed to is no runner that anybody could start.
        let pulled = self.runners.iter().filter(|(_, it)| !self.is_push(it.row.id));
        pulled.for_each(|(_, runner)| count(runner));
        for (id, scale) in &mut scales {
            let slots = slots.get(id).copied().unwrap_or(1).max(1);
            scale.desired = scale.runners - scale.idle + scale.waiting.div_ceil(slots);
        }
        let plans = self.plan_fleets(now).fleets;
        for (fleet, plan) in plans {
            let settings = &self.settings.fleets[&fleet];
            if *settings.offers.executor == *RunnerRequirements::RUNNERS
                && let Some(scale) = scales.get_mut(&settings.pool_id)
            {
                scale.desired = u64::from(plan.desired);
            }
        }
        scales
    }
}
