//! Who gets a job that is next: one of the waiting runners of a pool, or for a moment nobody,
//! because a less busy runner is about to ask.

use super::lanes::KeyKind;
use super::planted::Planted;
use super::scheduler::Scheduler;
use crate::model::{ClassId, Job, JobId, Now, PoolId, RunnerId, RunnerRequirements, SpreadOver};
use crate::queue::Demand;
use crate::runner::{
    Candidate, LeastLoaded, LiveRunner, RunnerSlot, Standing, Wanted, choose, in_both,
};

/// How many runners that do not wait are looked at before a job is given to one that does.
const ABSENT_LOOKS: usize = 64;

/// Whether a pool is where a job goes now.
pub(super) enum Prospect {
    /// No waiting runner of the pool can have it.
    Nobody,
    /// A runner of a pool that the job prefers waits for it.
    EarlierPool,
    /// One that waits can have it.
    Somebody,
}

/// What becomes of the job that is next for a pool.
pub(super) enum Choice {
    /// It is kept back for a less busy runner.
    Hold {
        /// For whom.
        runner: RunnerId,
        /// Until when (mono).
        until_ms: i64,
    },
    /// It goes to this one.
    Give(RunnerSlot),
}

impl Scheduler {
    /// Whether the waiting runners of a pool are those that a job goes to.
    pub(super) fn prospect(&self, id: JobId, class: ClassId, pool: PoolId) -> Prospect {
        let Some(needs) = self.index.requirements(class) else { return Prospect::Nobody };
        let job = &self.jobs[&id].row;
        let waits = |pool| {
            let fitting = self.waiting_fits(class, pool);
            fitting.into_iter().flatten().any(|slot| self.may_have(job, needs, slot))
        };
        if !waits(pool) {
            return Prospect::Nobody;
        }
        let mut earlier = needs.pools().take_while(|other| *other != pool);
        match earlier.any(|other| self.pool_is_open(other) && waits(other)) {
            true => Prospect::EarlierPool,
            false => Prospect::Somebody,
        }
    }

    /// Chooses among the waiting runners of a pool.
    pub(super) fn choose(
        &self,
        now: Now,
        id: JobId,
        class: ClassId,
        pool: PoolId,
    ) -> Option<Choice> {
        let needs = self.index.requirements(class)?;
        let slot = self.best(&self.jobs[&id].row, needs, pool)?;
        let hold = self.worth_waiting_for(now, id, needs, pool, slot);
        Some(hold.unwrap_or(Choice::Give(slot)))
    }

    /// The waiting runner of a pool that the policy prefers for a job.
    fn best(&self, job: &Job, needs: &RunnerRequirements, pool: PoolId) -> Option<RunnerSlot> {
        let policy = &**self.runners.policy(pool)?;
        let wanted = Wanted {
            class_id: job.class_id,
            requirements: needs,
            placement: job.terms.as_ref().map(|terms| &terms.placement),
            tenant_id: job.tenant_id,
            expected_run_ms: self.expected_run_ms(job.class_id),
        };
        if !policy.looks_at_jobs() && !wanted.has_wishes() {
            return self.candidates(job, needs, pool, 1).pop();
        }
        let most = self.settings.selection_candidates_max.max(1);
        let mut slots = self.candidates(job, needs, pool, most);
        // Whoever has what the job wants to be near to is looked at however it stands.
        let near = self.near(job).and_then(|id| self.runners.slot(id));
        slots.extend(near.filter(|slot| {
            !slots.contains(slot)
                && self.runners.rank(*slot).is_some()
                && self.runners.at(*slot).is_some_and(|runner| runner.row.pool_id == pool)
                && self.index.fits(job.class_id, *slot)
                && self.may_have(job, needs, *slot)
        }));
        let candidates = slots
            .iter()
            .filter_map(|slot| Some(self.candidate(job, *slot, self.runners.at(*slot)?)));
        choose(policy, &wanted, candidates).map(|chosen| chosen.slot)
    }

    /// Whether a runner of a pool that fits a class waits.
    pub(super) fn somebody_waits(&self, class: ClassId, pool: PoolId) -> bool {
        self.waiting_fits(class, pool).is_some_and(|mut fitting| fitting.next().is_some())
    }

    /// The waiting runners of a pool that fit a class, in the order of their places.
    fn waiting_fits(
        &self,
        class: ClassId,
        pool: PoolId,
    ) -> Option<impl Iterator<Item = RunnerSlot>> {
        let (fits, waits) = (self.index.fitting(class)?, self.runners.waiting_slots(pool)?);
        Some(in_both(fits, waits))
    }

    /// The first `most` waiting runners of a pool that could have the job, best standing first.
    fn candidates(
        &self,
        job: &Job,
        needs: &RunnerRequirements,
        pool: PoolId,
        most: usize,
    ) -> Vec<RunnerSlot> {
        let class = job.class_id;
        let fits =
            |slot: &RunnerSlot| self.index.fits(class, *slot) && self.may_have(job, needs, *slot);
        // Few of those that wait fit: then it is cheaper to look at these, and to order them.
        let few = self.runners.waiting_in(pool) / 8;
        let fitting = || self.waiting_fits(class, pool).into_iter().flatten();
        if fitting().nth(few).is_none() {
            let mut ranked: Vec<_> = fitting()
                .filter_map(|slot| Some((self.runners.rank(slot)?, slot)))
                .filter(|(_, slot)| self.may_have(job, needs, *slot))
                .collect();
            ranked.sort_unstable();
            ranked.into_iter().take(most).map(|(_, slot)| slot).collect()
        } else {
            self.runners.waiting(pool).filter(fits).take(most).collect()
        }
    }

    /// Whether nothing that changes from moment to moment keeps the runner, which fits the class
    /// of the job, from having it.
    pub(super) fn may_have(&self, job: &Job, needs: &RunnerRequirements, slot: RunnerSlot) -> bool {
        let Some(runner) = self.runners.at(slot) else { return false };
        if self.pool_settings(runner.row.pool_id).reserve_resources {
            let wanted = Demand::of(needs).amounts;
            if wanted.iter().zip(runner.left()).any(|(wanted, left)| *wanted > left) {
                return false;
            }
        }
        if job.extras.avoid_runner_id == Some(runner.row.id)
            && !self.is_alone(job.class_id, slot)
            && !self.planted(Planted::AvoidedTakes)
        {
            return false;
        }
        let Some(placement) = job.terms.as_ref().map(|terms| &terms.placement) else {
            return true;
        };
        if let Some(name) = &placement.anti_affinity
            && runner.keys.contains_key(&KeyKind::AntiAffinity.key(job.tenant_id, name))
            && !self.planted(Planted::ApartMeet)
        {
            return false;
        }
        if !placement.affinity_required {
            return true;
        }
        let near = self.near(job).and_then(|id| self.runners.slot(id));
        near.is_none_or(|near| near == slot || !self.could_have(job, near))
    }

    /// Whether a runner is there, and nothing about it or the job keeps the job from it for good:
    /// who must be near to a runner that will not have it would wait for ever.
    fn could_have(&self, job: &Job, slot: RunnerSlot) -> bool {
        let there = self.runners.at(slot).filter(|it| !it.offline && it.takes_new());
        there.is_some_and(|it| job.extras.avoid_runner_id != Some(it.row.id))
            && self.index.fits(job.class_id, slot)
    }

    /// Whether no other runner that is there could take jobs of the class at all.
    pub(super) fn is_alone(&self, class: ClassId, slot: RunnerSlot) -> bool {
        self.index.runners(class).all(|other| {
            other == slot || self.runners.at(other).is_none_or(|it| it.offline || !it.takes_new())
        })
    }

    /// The registered runner that has, or had last, a job with the affinity key of this one.
    pub(super) fn near(&self, job: &Job) -> Option<RunnerId> {
        let name = job.terms.as_ref()?.placement.affinity.as_ref()?;
        let id = *self.near.get(&KeyKind::Affinity.key(job.tenant_id, name))?;
        self.runners.slot(id).map(|_| id)
    }

    fn candidate<'a>(&self, job: &Job, slot: RunnerSlot, runner: &'a LiveRunner) -> Candidate<'a> {
        let left = runner.left();
        let estimate = self.run_times.estimate(job.class_id, runner.row.id);
        Candidate {
            slot,
            runner_id: runner.row.id,
            standing: standing(runner),
            capabilities: &runner.row.capabilities,
            left: (left[0], left[1], left[2]),
            health_percent: runner.health.percent(),
            near: self.near(job) == Some(runner.row.id),
            spread_jobs: self.spread_jobs(job, runner),
            expected_run_ms: estimate.expected_run_ms,
            runs_seen: estimate.runs_seen,
            failure_permille: estimate.failure_permille,
        }
    }

    /// Jobs with the spread key of this one in the place where the runner is.
    fn spread_jobs(&self, job: &Job, runner: &LiveRunner) -> u32 {
        let spread = job.terms.as_ref().and_then(|terms| terms.placement.spread.as_ref());
        let Some(spread) = spread else { return 0 };
        let key = KeyKind::Spread.key(job.tenant_id, &spread.key);
        let count = |runner: &LiveRunner| runner.keys.get(&key).copied().unwrap_or(0);
        let here = &runner.row.capabilities;
        let same = |other: &LiveRunner| match spread.over {
            SpreadOver::Runner => other.row.id == runner.row.id,
            SpreadOver::Zone => {
                let there = &other.row.capabilities;
                (&there.region, &there.zone) == (&here.region, &here.zone)
            }
            SpreadOver::Region => other.row.capabilities.region == here.region,
        };
        match spread.over {
            SpreadOver::Runner => count(runner),
            // Few runners have a key, and only those are asked where they are.
            SpreadOver::Zone | SpreadOver::Region => {
                let with_key = self.key_runners.get(&key).into_iter().flatten();
                let there = with_key.filter_map(|slot| self.runners.at(*slot));
                there.filter(|other| same(other)).map(count).sum()
            }
        }
    }

    /// A less busy runner that has room, was heard of lately and does not wait just now: the job is
    /// kept back for it once.
    fn worth_waiting_for(
        &self,
        now: Now,
        id: JobId,
        needs: &RunnerRequirements,
        pool: PoolId,
        chosen: RunnerSlot,
    ) -> Option<Choice> {
        let live = &self.jobs[&id];
        let hold_ms = self.pool_settings(pool).balance_hold_ms;
        if hold_ms <= 0 || live.was_held {
            return None;
        }
        let load = LeastLoaded::rank(&standing(self.runners.at(chosen)?)).0;
        let less_busy = self.runners.absent(pool).take(ABSENT_LOOKS);
        let less_busy = less_busy.take_while(|(other, _)| *other < load);
        let runner = less_busy.filter_map(|(_, slot)| Some((slot, self.runners.at(slot)?))).find(
            |(slot, runner)| {
                let held = Standing { used: runner.used() + runner.holds, ..standing(runner) };
                LeastLoaded::rank(&held).0 < load
                    && runner.holds < runner.free()
                    && runner.heard
                    && now.mono_ms - runner.seen_at_ms <= self.settings.balance_seen_ms
                    && self.index.fits(live.row.class_id, *slot)
                    && self.may_have(&live.row, needs, *slot)
            },
        )?;
        let until_ms = now.mono_ms.saturating_add(hold_ms);
        Some(Choice::Hold { runner: runner.1.row.id, until_ms })
    }
}

fn standing(runner: &LiveRunner) -> Standing {
    Standing {
        used: runner.used(),
        slots: runner.slots(),
        parked_at: runner.parked.map_or(0, |parked| parked.parked_at),
        given_at: runner.given_at,
    }
}
