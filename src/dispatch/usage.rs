//! What a job takes while a runner has it, and gives back: its tenant's share and quotas, units of
//! resources, room on its runner.

use super::lanes::KeyKind;
use super::leases::Timer;
use super::scheduler::Scheduler;
use crate::model::{JobId, LeaseToken, Now};
use crate::runner::RunnerSlot;

impl Scheduler {
    /// Charges a tenant for a job that is given to a runner now.
    pub(super) fn charge(&mut self, now: Now, token: LeaseToken, id: JobId, slot: RunnerSlot) {
        let charged_ms = self.leases.get(token).map_or(0, |live| live.charged_ms);
        let job = &self.jobs[&id].row;
        let (tenant, priority) = (job.tenant_id, job.priority);
        let demand = self.demand(job.class_id);
        self.shares.charge(tenant, charged_ms);
        self.quota.given(tenant, demand, priority, Some(now.mono_ms));
        if let Some(at_ms) = self.quota.rate_opens_at_ms(tenant, now.mono_ms) {
            self.leases.set_timer(at_ms, Timer::Rate(tenant));
        }
        let key = KeyKind::all(job).find(|(kind, _)| *kind == KeyKind::Affinity);
        if let Some((_, key)) = key
            && let Some(runner) = self.runners.at(slot)
            && self.near.insert(key, runner.row.id) != Some(runner.row.id)
        {
            // Jobs that must be near to the key may have found their runner.
            self.fresh_classes.extend(self.queue.barred_classes());
        }
    }

    /// A job that was with a runner before a load takes what it had.
    pub(super) fn take_again(&mut self, id: JobId) {
        let job = &self.jobs[&id].row;
        self.shares.enter(job.tenant_id);
        let demand = self.demand(job.class_id);
        self.quota.given(job.tenant_id, demand, job.priority, None);
        if let Some(units) = &job.units {
            self.resources.hold(units, id);
        }
        let runner_id = job.lease().map(|lease| lease.runner_id);
        for (kind, key) in KeyKind::all(job) {
            if let Some(runner_id) = runner_id.filter(|_| kind == KeyKind::Affinity) {
                self.near.insert(key, runner_id);
            }
        }
        if let Some(slot) = runner_id.and_then(|id| self.runners.slot(id)) {
            self.occupy(id, slot);
        }
    }

    /// A runner has a job: less is left on it.
    pub(super) fn occupy(&mut self, id: JobId, slot: RunnerSlot) {
        let job = &self.jobs[&id].row;
        let amounts = self.demand(job.class_id).amounts;
        let keys: Vec<_> = KeyKind::all(job).map(|(_, key)| key).collect();
        for key in &keys {
            self.key_runners.entry(key.clone()).or_default().insert(slot);
        }
        self.runners.update(slot, |runner| {
            for (held, amount) in runner.held.iter_mut().zip(amounts) {
                *held += u64::from(amount);
            }
            for key in keys {
                *runner.keys.entry(key).or_default() += 1;
            }
        });
    }

    /// A runner has a job no longer.
    pub(super) fn vacate(&mut self, id: JobId, slot: RunnerSlot) {
        let job = &self.jobs[&id].row;
        let amounts = self.demand(job.class_id).amounts;
        let keys: Vec<_> = KeyKind::all(job).map(|(_, key)| key).collect();
        let key_runners = &mut self.key_runners;
        self.runners.update(slot, |runner| {
            for (held, amount) in runner.held.iter_mut().zip(amounts) {
                *held = held.saturating_sub(u64::from(amount));
            }
            for key in keys {
                let left = runner.keys.get_mut(&key).map_or(0, |count| {
                    *count -= 1;
                    *count
                });
                if left == 0 {
                    runner.keys.remove(&key);
                    if let Some(slots) = key_runners.get_mut(&key) {
                        slots.remove(&slot);
                        if slots.is_empty() {
                            key_runners.remove(&key);
                        }
                    }
                }
            }
        });
    }

    /// A job's attempt is over: what it took of its tenant and of resources comes back.
    pub(super) fn give_back(&mut self, id: JobId, charged_ms: i64, ran_ms: i64) {
        let job = &self.jobs[&id].row;
        let (tenant, priority) = (job.tenant_id, job.priority);
        let demand = self.demand(job.class_id);
        self.shares.correct(tenant, charged_ms, ran_ms);
        self.shares.leave(tenant);
        let pool = job.lease().and_then(|lease| self.runners.get(lease.runner_id));
        let pool_full =
            pool.is_some_and(|it| self.pool_settings(it.row.pool_id).jobs_max.is_some());
        let units = job.units.clone();
        if self.quota.given_back(tenant, demand, priority) || pool_full {
            self.opened_anywhere();
        }
        if let Some(units) = units {
            let classes = self.resources.give_back(&units);
            self.opened(classes);
        }
    }
}
