//! Figures about the whole for those who watch it: by pool, by tenant, by gate. Nothing here walks
//! the jobs: it costs steps for pools, runners, classes, tenants and groups.

use std::collections::BTreeMap;

use super::scheduler::Scheduler;
use super::view::{PoolUsage, waits};
use crate::model::{Now, PoolId, TenantId};
use crate::queue::{QueueMetrics, QuotaReached, ShareUsage};
use crate::runner::BusyTime;

/// Everything that is measured by asking.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Figures {
    /// Each pool with runners or with jobs that waited for it since the last load.
    pub pools: Vec<PoolFigures>,
    /// Each tenant that has or had something since then.
    pub tenants: Vec<TenantFigures>,
    /// How many runners each pool should have.
    pub desired: BTreeMap<PoolId, u64>,
    /// How many jobs each gate keeps from being offered, by its name.
    pub gated: Vec<(&'static str, u64)>,
    /// Jobs that runners have.
    pub running_jobs: u64,
    /// Polls that wait, without streams.
    pub parked_polls: u64,
    /// Streams of runners that are open.
    pub streams: u64,
    /// Waiting jobs that no registered runner can take.
    pub unschedulable_jobs: u64,
    /// Deliveries that wait for an approval, and since when the oldest does (wall milliseconds).
    pub held: (u64, Option<i64>),
}

/// One pool.
#[derive(Clone, PartialEq, Debug)]
pub struct PoolFigures {
    /// Its runners.
    pub usage: PoolUsage,
    /// Jobs for which it is the first pool that may take them.
    pub queue: QueueMetrics,
    /// How busy its runners were lately.
    pub busy: BusyTime,
}

/// One tenant.
#[derive(Clone, PartialEq, Debug)]
pub struct TenantFigures {
    /// Who.
    pub tenant_id: TenantId,
    /// Jobs that wait.
    pub waiting: u64,
    /// Jobs that runners have.
    pub running: u64,
    /// Its fair share; `None` before its first job could be given out.
    pub share: Option<ShareUsage>,
    /// The time of slots that its jobs used lately.
    pub busy: BusyTime,
    /// The quotas that are set for it, and what it uses of them.
    pub quotas: Vec<QuotaReached>,
}

impl Scheduler {
    /// Depth and age of each pool's part of the queue, by id.
    pub fn queue_by_pool(&mut self) -> Vec<(PoolId, QueueMetrics)> {
        let jobs = &self.jobs;
        self.waits.by_pool(|id| jobs.get(&id).and_then(|job| waits(&job.row)))
    }

    /// How busy the runners of each pool that are online were lately.
    pub fn busy_by_pool(&self, now: Now) -> BTreeMap<PoolId, BusyTime> {
        let mut pools: BTreeMap<PoolId, BusyTime> = BTreeMap::new();
        for (_, runner) in self.runners.iter().filter(|(_, runner)| !runner.offline) {
            let time = runner.busy.time(now.mono_ms);
            let pool = pools.entry(runner.row.pool_id).or_default();
            pool.used_ms += time.used_ms;
            pool.over_ms += time.over_ms * u64::from(runner.slots());
        }
        pools
    }

    /// Each pool with runners or with jobs that waited for it since the last load, by id.
    pub fn pool_figures(&mut self, now: Now) -> Vec<PoolFigures> {
        let mut busy = self.busy_by_pool(now);
        let mut queues: BTreeMap<_, _> = self.queue_by_pool().into_iter().collect();
        let mut usages: BTreeMap<_, _> =
            self.pool_usage().into_iter().map(|pool| (pool.pool_id, pool)).collect();
        for id in queues.keys() {
            usages.entry(*id).or_insert_with(|| PoolUsage::empty(*id));
        }
        let figures = usages.into_iter().map(|(id, usage)| PoolFigures {
            usage,
            queue: queues.remove(&id).unwrap_or_default(),
            busy: busy.remove(&id).unwrap_or_default(),
        });
        figures.collect()
    }

    /// Everything that is measured by asking.
    pub fn figures(&mut self, now: Now) -> Figures {
        Figures {
            pools: self.pool_figures(now),
            tenants: self.tenant_figures(now),
            desired: self.pool_scales(now).into_iter().map(|(id, it)| (id, it.desired)).collect(),
            gated: self.gated(),
            running_jobs: self.leases.len() as u64,
            parked_polls: (self.runners.parked_len() - self.runners.streams_len()) as u64,
            streams: self.runners.streams_len() as u64,
            unschedulable_jobs: self.unschedulable.len() as u64,
            held: (self.held.rows().len() as u64, self.held.oldest().map(|(since_ms, _)| since_ms)),
        }
    }

    fn tenant_figures(&self, now: Now) -> Vec<TenantFigures> {
        let mut shares: BTreeMap<_, _> =
            self.shares.usage().into_iter().map(|it| (it.tenant_id, it)).collect();
        let counts = self.quota.counts().into_iter();
        let figures = counts.map(|(tenant_id, running, waiting)| TenantFigures {
            tenant_id,
            waiting,
            running,
            share: shares.remove(&tenant_id),
            busy: self
                .tenant_busy
                .get(&tenant_id)
                .map_or_else(BusyTime::default, |meter| meter.time(now.mono_ms)),
            quotas: self.quota.used(tenant_id, now.mono_ms),
        });
        figures.collect()
    }

    /// How many jobs are kept from being offered; a workload that waits for its group, or for nothing newer, is one.
    fn gated(&self) -> Vec<(&'static str, u64)> {
        let needs_of = |class| self.index.requirements(class).map(|needs| &needs.resources);
        let scarce = self
            .queue
            .classes()
            .filter(|class| needs_of(*class).is_some_and(|needs| !self.resources.has_free(needs)));
        let resource = scarce.map(|class| self.queue.class_len(class)).sum::<usize>();
        [
            ("time", self.time_gate.jobs().len() + self.lines.quiet().len()),
            ("group", self.groups.keys().map(|key| self.groups.waiting_len(key)).sum()),
            ("parallel", self.parallel.waiting().map(|(_, jobs)| jobs).sum()),
            ("resource", resource),
            ("hold", self.holds.len()),
            ("paused_trigger", self.paused_triggers.len()),
        ]
        .map(|(gate, jobs)| (gate, jobs as u64))
        .to_vec()
    }
}
