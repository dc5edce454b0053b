//! A matcher that looks at every job, every pool and every runner before each decision, to compare
//! the real one with. It counts everything anew from the rows.
//!
//! What is next is decided here, who gets it in `who`. Two selection policies weigh so much that the
//! naive matcher would be a copy of them: there any runner will do that may have the job, and it
//! goes on from the one that was really chosen.

mod who;

use std::collections::{BTreeMap, BTreeSet};

use dispatchyard::dispatch::{PoolSettings, Settings};
use dispatchyard::model::{
    Job, JobId, JobPriority, Now, PauseScope, PoolId, RunnerId, RunnerRequirements, TenantId,
};
use dispatchyard::queue::ShareUsage;

use crate::known::{self, Known};
use crate::rows::Rows;

/// One decision of the match.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Decision {
    Give(JobId, RunnerId),
    Hold(JobId, RunnerId),
}

type Urgency = (JobPriority, u64, i64, JobId);

/// Everything that decisions follow from, and what they change.
pub(crate) struct Naive<'a> {
    pub(crate) rows: &'a Rows,
    pub(crate) settings: &'a Settings,
    pub(crate) now: Now,
    pub(crate) known: Known,
    pub(crate) shares: BTreeMap<TenantId, ShareUsage>,
    /// The jobs that each runner has.
    pub(crate) has: BTreeMap<RunnerId, BTreeSet<JobId>>,
    pub(crate) units: BTreeMap<(Box<str>, u32), JobId>,
    /// What was really decided, where that is known.
    pub(crate) guide: Vec<Decision>,
    decided: usize,
}

impl<'a> Naive<'a> {
    pub(crate) fn new(
        rows: &'a Rows,
        settings: &'a Settings,
        now: Now,
        known: Known,
        shares: Vec<ShareUsage>,
    ) -> Self {
        let mut has: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        let mut units = BTreeMap::new();
        for job in rows.jobs.values() {
            let Some(lease) = job.lease() else { continue };
            has.entry(lease.runner_id).or_default().insert(job.id);
            for (name, indexes) in job.extras.units.iter().flat_map(|held| &held.0) {
                units.extend(indexes.iter().map(|at| ((name.clone(), *at), job.id)));
            }
        }
        let shares = shares.into_iter().map(|share| (share.tenant_id, share)).collect();
        Self { rows, settings, now, known, shares, has, units, guide: Vec::new(), decided: 0 }
    }

    /// What is decided now, in order.
    pub(crate) fn decide(&mut self) -> Vec<Decision> {
        let mut decisions = Vec::new();
        if self.paused(&PauseScope::Everything) {
            return decisions;
        }
        self.check_reservations();
        while self.running() < self.settings.max_global_concurrency {
            let pools = [crate::setup::GENERAL, crate::setup::TIGHT];
            let firsts = pools.into_iter().filter_map(|pool| self.first_of(pool));
            let Some((_, pool, id)) = firsts.min() else { break };
            decisions.push(self.carry_out(pool, id));
            self.decided += 1;
            self.check_reservations();
        }
        decisions
    }

    /// The job that a pool would give out next.
    fn first_of(&self, pool: PoolId) -> Option<(Urgency, PoolId, JobId)> {
        if !self.pool_open(pool) {
            return None;
        }
        let could = |id: &&JobId| {
            let job = self.job(**id);
            let own = || self.needs(job).pools();
            own().any(|it| it == pool)
                && self.closed_by_tenant(job).is_none()
                && self.lacking(job).is_empty()
                && self.best(job, pool).is_some()
                && !own()
                    .take_while(|it| *it != pool)
                    .any(|earlier| self.pool_open(earlier) && self.best(job, earlier).is_some())
        };
        let ids = self.known.ready.keys().filter(could);
        let id = *ids.min_by_key(|id| self.order(self.job(**id), pool))?;
        Some((self.urgency(self.job(id)), pool, id))
    }

    fn order(&self, job: &Job, pool: PoolId) -> ([u64; 3], i64, JobId) {
        let level = self.level(job) as u64;
        let time = self.virtual_time(job.tenant_id);
        let rank = match &*self.settings.pools[&pool].scheduling_policy {
            "priority" => [level, time, 0],
            "fifo" => [0; 3],
            "fair_share" => [time, level, 0],
            "skill" => [self.fitting(job).count() as u64, level, time],
            _ => self.rank_of_own(job, pool),
        };
        (rank, job.lane_key, job.id)
    }

    fn carry_out(&mut self, pool: PoolId, id: JobId) -> Decision {
        let job = &self.rows.jobs[&id];
        let runner = self.chosen(job, pool).expect("it was chosen for somebody");
        if let Some(other) = self.worth_waiting_for(job, pool, runner) {
            let until_ms = self.now.mono_ms + self.settings.pools[&pool].balance_hold_ms;
            self.known.held.insert(id, (other, until_ms));
            self.known.was_held.insert(id);
            self.known.ready.remove(&id);
            self.known.overtaken.retain(|_, (first, _)| *first != id);
            return Decision::Hold(id, other);
        }
        for need in self.needs(job).resources.clone() {
            let first = self.head(&need.name).expect("the job itself waits for it");
            if first != id {
                let before = self.known.overtaken.get(&need.name);
                let times = before.filter(|(known, _)| *known == first).map_or(0, |it| it.1);
                self.known.overtaken.insert(need.name, (first, times + 1));
            }
        }
        for need in self.needs(job).resources.clone() {
            for _ in 0..need.units {
                let mut all = (0..self.total(&need.name)).map(|at| (need.name.clone(), at));
                let free = all.find(|it| !self.units.contains_key(it)).expect("a unit is free");
                self.units.insert(free, id);
            }
        }
        self.known.ready.remove(&id);
        self.known.overtaken.retain(|_, (first, _)| *first != id);
        self.has.entry(runner).or_default().insert(id);
        self.known.gave(runner, id);
        if let Some(key) = known::affinity(job) {
            self.known.near.insert(key, runner);
        }
        self.known.starts.entry(job.tenant_id).or_default().push(self.now.mono_ms);
        // An estimate is charged by weight, paid from what earlier ones were too high.
        let share = self.shares.get_mut(&job.tenant_id).expect("it has a job that waits");
        let expected_ms = self.known.expected_ms(job, self.settings);
        let charge = expected_ms as u64 * 1_000 / u64::from(share.weight);
        let paid = charge.min(share.credit);
        share.credit -= paid;
        share.virtual_time += charge - paid;
        Decision::Give(id, runner)
    }

    /// A reservation stands while its job is the head of the resource's queue.
    fn check_reservations(&mut self) {
        let names: Vec<_> = self.known.overtaken.keys().cloned().collect();
        for name in names {
            if let Some(first) = self.reserved(&name)
                && self.head(&name) != Some(first)
            {
                self.known.overtaken.remove(&name);
            }
        }
    }

    /// The most urgent job that waits for a resource and could run but for resources.
    fn head(&self, name: &str) -> Option<JobId> {
        let waits = |job: &&Job| {
            let needs = self.needs(job);
            needs.resources.iter().any(|need| *need.name == *name)
                && self.closed_by_tenant(job).is_none()
                && self
                    .fitting(job)
                    .any(|it| self.is_there(it) && !self.paused(&PauseScope::Pool(it.pool_id)))
        };
        let jobs = self.known.ready.keys().map(|id| self.job(*id)).filter(waits);
        jobs.map(|job| self.urgency(job)).min().map(|urgency| urgency.3)
    }

    pub(crate) fn reserved(&self, name: &str) -> Option<JobId> {
        let (first, times) = *self.known.overtaken.get(name)?;
        (times >= self.settings.overtake_max).then_some(first)
    }

    fn total(&self, name: &str) -> u32 {
        self.settings.catalogue.resources[name]
    }

    /// The resources that a job cannot have now.
    pub(crate) fn lacking(&self, job: &Job) -> Vec<Box<str>> {
        let needs = self.needs(job).resources.iter();
        let lacking = needs.filter(|need| {
            let held = self.units.keys().filter(|(name, _)| *name == need.name).count() as u32;
            let kept = self.reserved(&need.name).is_some_and(|first| first != job.id);
            kept || self.total(&need.name) - held < need.units
        });
        lacking.map(|need| need.name.clone()).collect()
    }

    /// The quota or pause of its tenant that keeps a job back.
    pub(crate) fn closed_by_tenant(&self, job: &Job) -> Option<&'static str> {
        if self.paused(&PauseScope::Tenant(job.tenant_id)) {
            return Some("paused");
        }
        self.quota(job)
    }

    /// The first quota that has no room for a job.
    pub(crate) fn quota(&self, job: &Job) -> Option<&'static str> {
        let limits = self.settings.tenants.get(&job.tenant_id)?;
        let given = self.has.values().flatten().map(|id| self.job(*id));
        let given: Vec<_> = given.filter(|it| it.tenant_id == job.tenant_id).collect();
        let full =
            |used: u64, more: u64, max: Option<u64>| max.is_some_and(|max| used + more > max);
        if full(given.len() as u64, 1, limits.running_max) {
            return Some("running_max");
        }
        if job.priority == JobPriority::Critical {
            let critical = given.iter().filter(|it| it.priority == JobPriority::Critical).count();
            if full(critical as u64, 1, limits.critical_running_max) {
                return Some("critical_running_max");
            }
        }
        let cores = |job: &Job| u64::from(self.needs(job).min_cpu_cores);
        let held = given.iter().map(|it| cores(it)).sum();
        if cores(job) > 0 && full(held, cores(job), limits.cpu_cores_max) {
            return Some("cpu_cores_max");
        }
        let starts = self.known.starts.get(&job.tenant_id).into_iter().flatten();
        let recent = starts.filter(|at| self.now.mono_ms - **at < 60_000).count() as u64;
        let most = limits.starts_per_minute_max.map(u64::from);
        full(recent, 1, most).then_some("starts_per_minute_max")
    }

    pub(crate) fn running(&self) -> u64 {
        self.has.values().map(|jobs| jobs.len() as u64).sum()
    }

    pub(crate) fn paused(&self, scope: &PauseScope) -> bool {
        self.rows.pauses.contains_key(scope)
    }

    pub(crate) fn pool(&self, pool: PoolId) -> &PoolSettings {
        &self.settings.pools[&pool]
    }

    pub(crate) fn running_in(&self, pool: PoolId) -> u64 {
        let of = |id: &RunnerId| self.rows.runners[id].pool_id == pool;
        self.has.iter().filter(|(id, _)| of(id)).map(|(_, jobs)| jobs.len() as u64).sum()
    }

    pub(crate) fn pool_full(&self, pool: PoolId) -> bool {
        self.pool(pool).jobs_max.is_some_and(|max| self.running_in(pool) >= max)
    }

    fn pool_open(&self, pool: PoolId) -> bool {
        !self.pool_full(pool) && !self.paused(&PauseScope::Pool(pool))
    }

    pub(crate) fn job(&self, id: JobId) -> &Job {
        &self.rows.jobs[&id]
    }

    pub(crate) fn needs(&self, job: &Job) -> &RunnerRequirements {
        &self.rows.classes[&job.class_id].requirements
    }

    pub(crate) fn virtual_time(&self, tenant: TenantId) -> u64 {
        self.shares.get(&tenant).map_or(0, |share| share.virtual_time)
    }

    /// The level of the lane, raised by one for each `aging_ms` of age, up to `high`.
    pub(crate) fn level(&self, job: &Job) -> JobPriority {
        let lane = self.known.ready[&job.id];
        let age_ms = (self.now.wall_ms - job.lane_key).max(0);
        let raises = age_ms.checked_div(self.settings.aging_ms).unwrap_or(0);
        let raised = (lane as i64 - raises).max(JobPriority::High as i64);
        JobPriority::from_level(raised).map_or(lane, |raised| raised.min(lane))
    }

    fn urgency(&self, job: &Job) -> Urgency {
        (self.level(job), self.virtual_time(job.tenant_id), job.lane_key, job.id)
    }
}
