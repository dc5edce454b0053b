//! Counted things that keep jobs back: what each job of a play takes of them.

use rustc_hash::FxHashMap;

use crate::dispatch::runs::RunKind;
use crate::dispatch::scheduler::Scheduler;
use crate::model::{JobPriority, PoolId, RunnerRequirements, TenantId};
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
    /// What it takes one of beside what follows from the rest, and how many there are.
    pub(super) more: &'a [(Limit, u64)],
}

/// The limits of a play.
#[derive(Default)]
pub(super) struct Limits {
    numbers: FxHashMap<Limit, usize>,
    names: Vec<Limit>,
    /// What is left of each.
    pub(super) left: Vec<i64>,
    /// What all jobs of the play that wait would take.
    wanted: Vec<i64>,
    /// Those of which there is less left than would be taken: the others keep nobody back.
    bound: Vec<usize>,
}

impl Limits {
    /// What a job that waits takes.
    pub(super) fn takes(&mut self, scheduler: &Scheduler, taker: &Taker<'_>) -> Vec<(usize, i64)> {
        let mut takes = Vec::with_capacity(2);
        let mut take = |limit: Limit, most: Option<u64>, amount: i64| {
            let Some(most) = most.filter(|_| amount > 0) else { return };
            takes.push((self.number(scheduler, limit, most), amount));
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
        if taker.requirements.fallback_pools.is_empty() {
            let pool = taker.requirements.pool_id;
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

    /// So many jobs that wait take this each.
    pub(super) fn want(&mut self, takes: &[(usize, i64)], jobs: usize) {
        let jobs = i64::try_from(jobs).unwrap_or(i64::MAX);
        for (limit, amount) in takes {
            let wanted = &mut self.wanted[*limit];
            *wanted = wanted.saturating_add(amount.saturating_mul(jobs));
        }
    }

    /// Finds out which of them matter, when all is known that would be taken.
    pub(super) fn settle(&mut self) {
        let all = 0..self.left.len();
        self.bound = all.filter(|number| self.left[*number] < self.wanted[*number]).collect();
    }

    /// Of what is taken that which matters.
    pub(super) fn binding(&self, takes: &[(usize, i64)]) -> Vec<(usize, i64)> {
        takes.iter().copied().filter(|(limit, _)| self.bound.contains(limit)).collect()
    }

    /// Groups that keep jobs back, with their numbers.
    pub(super) fn binding_groups(&self) -> impl Iterator<Item = (usize, &GroupKey)> {
        self.bound.iter().filter_map(|number| match &self.names[*number] {
            Limit::Group(key) => Some((*number, key)),
            _ => None,
        })
    }

    /// What a job that runs in a pool has of all that matters, but for groups.
    pub(super) fn held(
        &self,
        kind: RunKind,
        requirements: &RunnerRequirements,
        pool: PoolId,
    ) -> Vec<(usize, i64)> {
        let tenant = |id: &TenantId| *id == kind.tenant_id;
        let amount = |limit: &Limit| match limit {
            Limit::Global => 1,
            Limit::Running(id) => i64::from(tenant(id)),
            Limit::Critical(id) => i64::from(tenant(id) && kind.critical),
            Limit::Held(id, at) => {
                i64::from(Demand::of(requirements).amounts[*at]) * i64::from(tenant(id))
            }
            Limit::Pool(id) => i64::from(*id == pool),
            Limit::Resource(name) => {
                let need = requirements.resources.iter().find(|need| need.name == *name);
                need.map_or(0, |need| i64::from(need.units))
            }
            Limit::Group(_) | Limit::Parallel(_) => 0,
        };
        let held = self.bound.iter().map(|number| (*number, amount(&self.names[*number])));
        held.filter(|(_, amount)| *amount > 0).collect()
    }

    fn number(&mut self, scheduler: &Scheduler, limit: Limit, most: u64) -> usize {
        if let Some(known) = self.numbers.get(&limit) {
            return *known;
        }
        let taken = taken(scheduler, &limit);
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        self.left.push(most.saturating_sub(i64::try_from(taken).unwrap_or(i64::MAX)));
        self.wanted.push(0);
        self.names.push(limit.clone());
        self.numbers.insert(limit, self.left.len() - 1);
        self.left.len() - 1
    }
}

/// What is taken of a limit now. Who is in a group without being with a runner stays there for nobody
/// knows how long.
fn taken(scheduler: &Scheduler, limit: &Limit) -> u64 {
    match limit {
        Limit::Global => scheduler.leases.len() as u64,
        Limit::Running(tenant) => scheduler.quota.running(*tenant),
        Limit::Critical(tenant) => scheduler.quota.held(*tenant).0,
        Limit::Held(tenant, at) => scheduler.quota.held(*tenant).1[*at],
        Limit::Pool(pool) => scheduler.runners.running_in(*pool),
        Limit::Resource(name) => scheduler.resources.held(name) as u64,
        Limit::Group(key) => scheduler.groups.inside(key).len() as u64,
        Limit::Parallel(_) => 0,
    }
}
