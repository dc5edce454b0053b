//! Who gets a job that is next: every runner is looked at anew.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use dispatchyard::model::{Job, PoolId, Runner, RunnerId, RunnerRequirements};

use super::{Decision, Naive};
use crate::known::{self, Health};
use crate::setup;

impl Naive<'_> {
    /// Every runner that could take such jobs, however busy or far away.
    pub(crate) fn fitting<'b>(&'b self, job: &'b Job) -> impl Iterator<Item = &'b Runner> + 'b {
        let needs = self.needs(job);
        let all = self.rows.runners.values();
        all.filter(|runner| runner.capabilities.satisfies(runner.pool_id, needs))
    }

    /// Whether new jobs may be given to a runner at all.
    pub(crate) fn is_there(&self, runner: &Runner) -> bool {
        self.takes_new(runner) && !self.known.runners[&runner.id].offline
    }

    pub(crate) fn takes_new(&self, runner: &Runner) -> bool {
        let well = self.known.runners[&runner.id].health.takes_new();
        runner.cordoned.is_none() && !runner.draining && well
    }

    fn used(&self, runner: RunnerId) -> u32 {
        let ours = self.has.get(&runner).map_or(0, BTreeSet::len) as u32;
        ours + self.known.runners[&runner].foreign_jobs
    }

    pub(crate) fn free(&self, runner: &Runner) -> u32 {
        let free = runner.capabilities.max_parallel_jobs.saturating_sub(self.used(runner.id));
        // One that is to show that it is well again gets one job.
        let on_probation = self.known.runners[&runner.id].health == Health::Probe;
        if on_probation { free.min(1) } else { free }
    }

    /// How many jobs the poll of a runner can still be given.
    pub(crate) fn room(&self, runner: &Runner) -> u32 {
        let known = &self.known.runners[&runner.id];
        let Some((_, jobs_max)) = known.parked.filter(|_| self.takes_new(runner)) else { return 0 };
        self.free(runner).min(jobs_max.saturating_sub(known.given.len() as u32))
    }

    /// The share of slots in use, if so many more were: exact for up to ten slots.
    fn load(&self, runner: &Runner, more: u32) -> u64 {
        let used = u64::from(self.used(runner.id) + more);
        used * 2_520 / u64::from(runner.capabilities.max_parallel_jobs)
    }

    /// The runners of a pool that wait and may have the job.
    fn candidates<'b>(&'b self, job: &'b Job, pool: PoolId) -> impl Iterator<Item = &'b Runner> {
        let waiting = self.fitting(job).filter(move |it| it.pool_id == pool && self.room(it) > 0);
        waiting.filter(|runner| self.barrier(job, runner).is_none())
    }

    /// The waiting runner of a pool that its policy prefers, after what the job wishes.
    pub(super) fn best(&self, job: &Job, pool: PoolId) -> Option<RunnerId> {
        let candidates = self.candidates(job, pool);
        let best = candidates.min_by_key(|it| {
            let points = (self.wishes(job, it), self.points_of_own(it));
            (Reverse(points), self.rank(job, it))
        });
        best.map(|runner| runner.id)
    }

    /// As [`Naive::best`], but under a policy that is not followed whoever was really chosen, if he
    /// may have the job and the policy puts no wish of it first.
    pub(super) fn chosen(&self, job: &Job, pool: PoolId) -> Option<RunnerId> {
        let best = self.best(job, pool)?;
        let policy = &*self.pool(pool).selection_policy;
        if !setup::OPAQUE.contains(&policy) {
            return Some(best);
        }
        // The one policy that weighs wishes against other things.
        let any = policy == "weighted";
        let most = self.wishes(job, &self.rows.runners[&best]);
        let equals = self.candidates(job, pool).filter(|it| any || self.wishes(job, it) == most);
        let mut equals = equals.map(|it| it.id);
        let really = match self.guide.get(self.decided) {
            Some(Decision::Give(id, runner)) if *id == job.id => equals.find(|it| it == runner),
            Some(Decision::Hold(id, other)) if *id == job.id => {
                equals.find(|it| self.worth_waiting_for(job, pool, *it) == Some(*other))
            }
            _ => None,
        };
        really.or(Some(best))
    }

    /// The place of a runner under its pool's policy: how well it suits the job, then how it stands.
    /// Of equals whoever waits longest.
    fn rank(&self, job: &Job, runner: &Runner) -> (u64, u64, Option<(u64, u32)>) {
        let known = &self.known.runners[&runner.id];
        let load = self.load(runner, 0);
        match &*self.pool(runner.pool_id).selection_policy {
            "round_robin" => (0, known.given_at, known.parked),
            "best_fit" => (self.left_over(job, runner), load, known.parked),
            "locality" => (self.farness(job, runner), load, known.parked),
            _ => (0, load, known.parked),
        }
    }

    /// Cores and graphics processors that the jobs of a runner require.
    fn taken(&self, runner: RunnerId) -> (u32, u32) {
        let has = self.has.get(&runner).into_iter().flatten().map(|id| self.needs(self.job(*id)));
        has.fold((0, 0), |sum, it| (sum.0 + it.min_cpu_cores, sum.1 + it.gpu))
    }

    /// What is left of a runner with the job on it: a slot is worth a core, a graphics processor
    /// more than everything else.
    fn left_over(&self, job: &Job, runner: &Runner) -> u64 {
        let (needs, offers, taken) = (self.needs(job), &runner.capabilities, self.taken(runner.id));
        let left = |all: u32, taken: u32, more: u32| {
            u64::from(all.saturating_sub(taken).saturating_sub(more))
        };
        let slots = left(offers.max_parallel_jobs, self.used(runner.id), 1);
        let cores = left(offers.cpu_cores, taken.0, needs.min_cpu_cores);
        (slots + cores) * 1_000 + (left(offers.gpu, taken.1, needs.gpu) << 32)
    }

    /// How far a runner is from where the job would like to be: its regions in order, then the
    /// nearest to one of them.
    fn farness(&self, job: &Job, runner: &Runner) -> u64 {
        let preferred = &self.needs(job).preferred_regions;
        if preferred.is_empty() {
            return 0;
        }
        let after_all = preferred.len() as u64;
        let Some(region) = &runner.capabilities.region else {
            return after_all + u64::from(u32::MAX);
        };
        if let Some(at) = preferred.iter().position(|it| it == region) {
            return at as u64;
        }
        let distances = &self.pool(runner.pool_id).distances;
        let far = |it: &str| distances.get(&(it.into(), region.clone())).copied();
        let nearest = preferred.iter().map(|it| far(it).unwrap_or(u32::MAX)).min();
        after_all + u64::from(nearest.unwrap_or(u32::MAX))
    }

    /// Points of what the job wishes for itself: labels, nearness, being spread.
    fn wishes(&self, job: &Job, runner: &Runner) -> i64 {
        let preferred = self.needs(job).preferred.iter();
        let met = preferred.filter(|wish| runner.capabilities.meets(&wish.label));
        let labels: i64 = met.map(|wish| i64::from(wish.weight)).sum();
        let last = known::affinity(job).and_then(|key| self.known.near.get(&key));
        let near = i64::from(last == Some(&runner.id));
        let spread = |job: &Job| job.terms.as_ref()?.placement.spread.clone();
        let beside = || self.has.get(&runner.id).into_iter().flatten().map(|id| self.job(*id));
        let same = |it: &&Job| it.tenant_id == job.tenant_id && spread(it) == spread(job);
        let spread = if spread(job).is_some() { beside().filter(same).count() } else { 0 };
        labels + 100 * (near - spread as i64)
    }

    /// What keeps a job from a runner that fits, for now.
    pub(crate) fn barrier(&self, job: &Job, runner: &Runner) -> Option<&'static str> {
        let mut others = self.fitting(job).filter(|other| other.id != runner.id);
        if job.extras.avoid_runner_id == Some(runner.id) && others.any(|other| self.is_there(other))
        {
            return Some("avoided");
        }
        let has = || self.has.get(&runner.id).into_iter().flatten().map(|id| self.job(*id));
        if self.pool(runner.pool_id).reserve_resources {
            let offers = &runner.capabilities;
            let amounts = |needs: &RunnerRequirements| (needs.min_cpu_cores, needs.gpu);
            let taken = self.taken(runner.id);
            let wanted = amounts(self.needs(job));
            let lacks = |all: u32, taken: u32, wanted| wanted > all.saturating_sub(taken);
            if lacks(offers.cpu_cores, taken.0, wanted.0) || lacks(offers.gpu, taken.1, wanted.1) {
                return Some("too little left");
            }
        }
        let placement = &job.terms.as_ref()?.placement;
        let anti = |job: &Job| job.terms.as_ref()?.placement.anti_affinity.clone();
        if placement.anti_affinity.is_some()
            && has().any(|it| it.tenant_id == job.tenant_id && anti(it) == anti(job))
        {
            return Some("kept apart");
        }
        let near = self.near(job).filter(|_| placement.affinity_required);
        near.is_some_and(|near| near != runner.id).then_some("not near")
    }

    /// The runner that a job wants to be near to, while it is there and could take the job.
    fn near(&self, job: &Job) -> Option<RunnerId> {
        let id = *self.known.near.get(&known::affinity(job)?)?;
        let mut fitting = self.fitting(job);
        let could = fitting.any(|it| it.id == id && self.is_there(it));
        (could && job.extras.avoid_runner_id != Some(id)).then_some(id)
    }

    /// A runner of the pool that has room and no poll, was heard of lately, and would be less busy
    /// with the job than the chosen one is without.
    pub(super) fn worth_waiting_for(
        &self,
        job: &Job,
        pool: PoolId,
        chosen: RunnerId,
    ) -> Option<RunnerId> {
        if self.pool(pool).balance_hold_ms == 0 || self.known.was_held.contains(&job.id) {
            return None;
        }
        let most = self.load(&self.rows.runners[&chosen], 0);
        let holds = |id: RunnerId| {
            self.known.held.values().filter(|(runner, _)| *runner == id).count() as u32
        };
        let less_busy = self.fitting(job).filter(|it| {
            let known = &self.known.runners[&it.id];
            it.pool_id == pool
                && self.is_there(it)
                && known.parked.is_none()
                && !known.missed
                && known.heard
                && self.now.mono_ms - known.seen_at_ms <= self.settings.balance_seen_ms
                && holds(it.id) < self.free(it)
                && self.load(it, holds(it.id)) < most
                && self.barrier(job, it).is_none()
        });
        let best = less_busy.min_by_key(|it| (self.load(it, 0), self.known.runners[&it.id].slot));
        best.map(|runner| runner.id)
    }
}
