//! What a job takes while a runner has it, and gives back: its tenant's share and quotas, units of
//! resources, room on its runner.

use super::lanes::KeyKind;
use super::leases::Timer;
use super::planted::Planted;
use super::scheduler::Scheduler;
use crate::model::{JobId, LeaseToken, Now, TenantId};
use crate::runner::{BusyMeter, RunnerSlot};

impl Scheduler {
    /// Charges a tenant for a job that is given to a runner now.
    pub(super) fn charge(&mut self, now: Now, token: LeaseToken, id: JobId, slot: RunnerSlot) {
        let charged_ms = self.leases.get(token).map_or(0, |live| live.charged_ms);
        let job = &self.jobs[&id].row;
        let (tenant, priority) = (job.tenant_id, job.priority);
        let demand = self.demand(job.class_id);
        if !self.planted(Planted::ShareNotCharged) {
            self.shares.charge(tenant, charged_ms);
        }
        self.quota.given(tenant, demand, priority, Some(now.mono_ms));
        self.note_busy(now, tenant);
        let job = &self.jobs[&id].row;
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
    pub(super) fn take_again(&mut self, now: Now, id: JobId) {
        let job = &self.jobs[&id].row;
        self.shares.enter(job.tenant_id);
        let demand = self.demand(job.class_id);
        self.quota.given(job.tenant_id, demand, job.priority, None);
        self.note_busy(now, job.tenant_id);
        let job = &self.jobs[&id].row;
        if let Some(units) = &job.extras.units {
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
    pub(super) fn give_back(&mut self, now: Now, id: JobId, charged_ms: i64, ran_ms: i64) {
        let job = &self.jobs[&id].row;
        let (tenant, priority) = (job.tenant_id, job.priority);
        let demand = self.demand(job.class_id);
        self.shares.correct(tenant, charged_ms, ran_ms);
        self.shares.leave(tenant);
        let runner = job.lease().and_then(|lease| self.runners.get(lease.runner_id));
        // The runner still counts it.
        let full = runner.map(|it| it.row.pool_id).filter(|pool| self.pool_is_full(*pool));
        let units = job.extras.units.clone().filter(|_| !self.planted(Planted::UnitsKept));
        let quota_opened =
            !self.planted(Planted::QuotaKept) && self.quota.given_back(tenant, demand, priority);
        if quota_opened {
            self.opened_tenant(tenant);
        }
        if let Some(pool) = full {
            self.opened_pool(pool);
        }
        self.note_busy(now, tenant);
        if let Some(units) = units {
            let classes = self.resources.give_back(&units);
            self.opened(classes);
        }
    }

    /// A tenant has more jobs with runners, or fewer.
    fn note_busy(&mut self, now: Now, tenant: TenantId) {
        let running = self.quota.running(tenant);
        let meter = self.tenant_busy.entry(tenant).or_insert_with(|| BusyMeter::new(now.mono_ms));
        meter.set(now.mono_ms, running);
    }
}
