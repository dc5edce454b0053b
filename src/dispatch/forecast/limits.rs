//! Counted things that keep jobs back: what each job of a play takes of them.

use rustc_hash::FxHashMap;

use crate::dispatch::scheduler::Scheduler;
use crate::model::{Job, JobPriority, JobStateKind, PoolId, RunnerRequirements, TenantId};
use crate::queue::{Demand, GroupKey};

/// Something counted.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) enum Limit {
    Global,
    Running(TenantId),
    Critical(TenantId),
    /// Of a tenant cores, gigabytes of memory or graphics processors.
    Held(TenantId, usize),
    Pool(PoolId),
    Resource(Box<str>),
    Group(GroupKey),
    /// Of the workload that is asked about: its jobs, or those of a matrix.
    Parallel(Option<Box<str>>),
}

/// What a job takes follows from these.
pub(super) struct Taker<'a> {
    pub(super) tenant_id: TenantId,
    pub(super) priority: JobPriority,
    pub(super) requirements: &'a RunnerRequirements,
    /// The pool of its runner, if it has one.
    pub(super) pool: Option<PoolId>,
    /// What it takes one of beside what follows from the rest, and how many there are.
    pub(super) more: &'a [(Limit, u64)],
}

/// The limits of a play, by name.
#[derive(Default)]
pub(super) struct Limits {
    numbers: FxHashMap<Limit, usize>,
    pub(super) left: Vec<i64>,
}

impl Limits {
    /// What a job takes; limits that no job of the play took from before are made when `new`, and
    /// otherwise do not matter.
    pub(super) fn takes(
        &mut self,
        scheduler: &Scheduler,
        taker: &Taker<'_>,
        new: bool,
    ) -> Vec<(usize, i64)> {
        let mut takes = Vec::with_capacity(2);
        let mut take = |limit: Limit, most: Option<u64>, amount: i64| {
            let Some(most) = most.filter(|_| amount > 0) else { return };
            let number = match new {
                true => Some(self.number(scheduler, limit, most)),
                false => self.numbers.get(&limit).copied(),
            };
            takes.extend(number.map(|number| (number, amount)));
        };
        take(Limit::Global, Some(scheduler.settings.max_global_concurrency), 1);
        let tenant = taker.tenant_id;
        if let Some(settings) = scheduler.settings.tenants.get(&tenant) {
            let quota = settings.limits();
            take(Limit::Running(tenant), quota.running_max, 1);
            let critical = taker.priority == JobPriority::Critical;
            take(Limit::Critical(tenant), quota.critical_running_max, i64::from(critical));
            let amounts = Demand::of(taker.requirements).amounts;
            for (at, (most, amount)) in quota.held_max.into_iter().zip(amounts).enumerate() {
                take(Limit::Held(tenant, at), most, i64::from(amount));
            }
        }
        // Of several pools one that is full keeps nobody back.
        let only = taker.requirements.fallback_pools.is_empty();
        let pool = taker.pool.or(only.then_some(taker.requirements.pool_id));
        if let Some(pool) = pool {
            take(Limit::Pool(pool), scheduler.pool_settings(pool).jobs_max, 1);
        }
        for need in &taker.requirements.resources {
            let units = scheduler.settings.catalogue.resource_units(&need.name).map(u64::from);
            take(Limit::Resource(need.name.clone()), units, i64::from(need.units));
        }
        for (limit, most) in taker.more {
            take(limit.clone(), Some(*most), 1);
        }
        takes
    }

    fn number(&mut self, scheduler: &Scheduler, limit: Limit, most: u64) -> usize {
        if let Some(known) = self.numbers.get(&limit) {
            return *known;
        }
        // Who is in a group without being with a runner stays there for nobody knows how long.
        let kept = match &limit {
            Limit::Group(key) => {
                let runs =
                    |job: &Job| matches!(job.kind(), JobStateKind::Claimed | JobStateKind::Running);
                let inside = scheduler.groups.inside(key).into_iter();
                inside
                    .filter(|it| !it.job_id.and_then(|id| scheduler.job(id)).is_some_and(runs))
                    .count()
            }
            _ => 0,
        };
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        self.left.push(most.saturating_sub(i64::try_from(kept).unwrap_or(i64::MAX)));
        self.numbers.insert(limit, self.left.len() - 1);
        self.left.len() - 1
    }
}
