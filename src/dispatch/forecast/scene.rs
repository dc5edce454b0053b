//! From the scheduler's state to a play: who is in front, what runs, which slots and limits there
//! are.
//!
//! A question has so many steps and no more, however large the fleet is: of those that wait only the
//! first are looked at, of what runs only what is expected to end first (`runs.rs` has it in that
//! order), and what is taken of limits is known by whoever counts it.
//!
//! What is left out: that a job may not fit beside others on a runner (`reserve_resources`), rates,
//! reservations of resources, retries, and work that has not come yet.

mod builder;

use rustc_hash::{FxHashMap, FxHashSet};

use super::entrant::{Entrant, Fate, lost};
use super::play::{Need, Play};
use crate::dispatch::reason::Reason;
use crate::dispatch::scheduler::Scheduler;
use crate::model::{JobId, Now, RunnerId, RunnerRequirements};
use crate::queue::{Queued, Scene};
use builder::Builder;

impl Scheduler {
    /// Plays until the jobs `in_lanes` and the entrants that are asked about have started. The fates
    /// of the former, then of the latter.
    pub(super) fn foresee(
        &self,
        now: Now,
        in_lanes: &[JobId],
        entrants: &[Entrant<'_>],
    ) -> Vec<(JobId, Fate)> {
        let asked = entrants.iter().filter(|it| it.asked).map(|it| it.job_id);
        let asked: Vec<_> = in_lanes.iter().copied().chain(asked).collect();
        let is_asked: FxHashSet<_> = asked.iter().copied().collect();
        let by_id: FxHashMap<_, _> = entrants.iter().map(|it| (it.job_id, it)).collect();
        // Whoever is needed must be met as well.
        let needed: FxHashSet<_> =
            entrants.iter().flat_map(|it| it.needs.iter().copied()).collect();
        let sought = needed.iter().copied().filter(|id| by_id.contains_key(id));
        let sought: FxHashSet<_> = sought.chain(asked.iter().copied()).collect();
        let (order, behind) = self.order_with(now, in_lanes, entrants, &sought);
        let mut builder = Builder::new(self, now);
        // Their classes come first, so that there is room for them.
        for entrant in entrants {
            builder.class(entrant.class_id, entrant.requirements);
        }
        for job in in_lanes.iter().filter_map(|id| self.job(*id)) {
            if let Some(requirements) = self.index.requirements(job.class_id) {
                builder.class(job.class_id, requirements);
            }
        }
        let mut places: FxHashMap<JobId, Need> = FxHashMap::default();
        for queued in &order {
            let id = queued.job_id;
            let (entrant, asked) = (by_id.get(&id).copied(), is_asked.contains(&id));
            let Some(at) = builder.waits(queued, entrant, asked) else { continue };
            if entrant.is_some() || asked {
                places.insert(id, Need::Waiting(at));
            }
        }
        let kinds = builder.merge_kinds();
        let (mut groups, mut idle) = builder.slots();
        let found = builder.running(&mut groups, &needed, |id, at| {
            places.insert(id, Need::Running(at));
        });
        idle.resize(groups.masks.len(), Vec::new());
        let lost = lost(entrants, &places);
        let mut waiting = builder.waiting;
        for entrant in entrants {
            if let Some(Need::Waiting(at)) = places.get(&entrant.job_id) {
                let needs = entrant.needs.iter().filter_map(|id| places.get(id).copied());
                waiting[*at].needs = needs.collect();
            }
        }
        // Of whoever is too far behind no more is known than when the last one starts.
        let played = |id: &JobId| places.contains_key(id) && !lost.contains(id);
        let for_a_middle = !asked.iter().any(played);
        if let Some(last) = waiting.last_mut() {
            last.asked |= behind || !asked.iter().all(played);
        }
        let classes: Vec<_> = builder.classes.iter().map(|class| class.id).collect();
        let mean_ms =
            |class: usize, runner: RunnerId| self.run_times.mean_ms(classes[class], runner);
        let play = Play {
            kinds,
            waiting,
            running: found.running,
            strays: builder.classes.iter().map(|class| class.strays).collect(),
            groups: groups.masks,
            idle,
            limits: builder.limits.left,
            given_back: found.given_back,
            for_a_middle,
            mean_ms: &mean_ms,
        };
        let fates = play.run();
        let asked_of = play.waiting.iter().enumerate().filter(|(_, job)| job.asked);
        let fate_of: FxHashMap<usize, _> = asked_of.map(|(at, _)| at).zip(fates).collect();
        let fate = |at: usize| fate_of.get(&at).cloned().unwrap_or_default();
        let of = |id: JobId| match places.get(&id) {
            Some(Need::Waiting(at)) if !lost.contains(&id) => Fate::Played(fate(*at)),
            _ => Fate::Behind(play.waiting.len().checked_sub(1).map_or_else(Vec::new, fate)),
        };
        asked.into_iter().map(|id| (id, of(id))).collect()
    }

    /// Jobs in dispatch order up to the last one that is sought, among those that compete for
    /// the same pools; whether one of these is so far behind that it is not among them.
    fn order_with(
        &self,
        now: Now,
        in_lanes: &[JobId],
        entrants: &[Entrant<'_>],
        sought: &FxHashSet<JobId>,
    ) -> (Vec<Queued>, bool) {
        let of_lanes = in_lanes.iter().filter_map(|id| self.job(*id));
        let of_lanes = of_lanes.filter_map(|job| self.index.requirements(job.class_id));
        let needs = of_lanes.chain(entrants.iter().map(|it| it.requirements));
        let pools: Vec<_> = needs.flat_map(RunnerRequirements::pools).collect();
        let rivals = self.queue.classes().filter_map(|class| {
            let needs = self.index.requirements(class)?;
            let rival = needs.pools().any(|pool| pools.contains(&pool));
            rival.then(|| Some((class, self.scene(now, class, needs.pool_id)?.0)))?
        });
        let mut shares = self.shares.clone();
        entrants.iter().for_each(|entrant| shares.enter(entrant.tenant_id));
        let newcomers: Vec<_> = entrants.iter().map(|it| self.newcomer(now, it)).collect();
        let most = Reason::POSITION_MAX as usize + entrants.len();
        let (mut order, mut left) = (Vec::new(), sought.len());
        let charge_ms = |class| self.expected_run_ms(class);
        self.queue.walk(rivals, &newcomers, shares, charge_ms, |job| {
            order.push(*job);
            left -= usize::from(sought.contains(&job.job_id));
            left > 0 && order.len() < most
        });
        (order, left > 0)
    }

    fn newcomer<'a>(&'a self, now: Now, entrant: &Entrant<'_>) -> (Queued, Scene<'a>) {
        let pool_id = entrant.requirements.pool_id;
        let scene = Scene {
            wall_ms: now.wall_ms,
            raising: self.raising(),
            shares: &self.shares,
            policy: &**self.policies.of(pool_id),
            pool_id,
            runners: self.index.runners_len(entrant.class_id),
            openings: self.openings,
        };
        let newcomer = Queued {
            job_id: entrant.job_id,
            class_id: entrant.class_id,
            tenant_id: entrant.tenant_id,
            level: entrant.level,
            lane_key: entrant.lane_key,
        };
        (newcomer, scene)
    }
}
