//! Which job is next, for whom: the match, once after each batch of commands.
//!
//! Pools are contests: of the heads of lanes whose jobs a waiting runner of the pool could take,
//! the pool's scheduling policy ranks first. Of the pools, the one whose head is the most urgent
//! goes first, because all of them share tenants' quotas and `max_global_concurrency`. Since a
//! runner's load grows with each job, queued work spreads over all waiting polls one by one before
//! any poll is filled.
//!
//! Before a batch no ready job has a fitting waiting runner, so afterwards only classes with a
//! newly ready job or a lane that opened, and classes that fit a runner which newly waits, need a
//! look. A naive matcher in `tests/sim` that looks at everything must choose the same.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use super::choose::{Choice, Prospect};
use super::planted::Planted;
use super::scheduler::Scheduler;
use crate::model::{
    ClassId, Entropy, JobId, JobPriority, Now, Pause, PauseScope, PoolId, RecordName, RunnerId,
    RunnerRequirements, TenantId,
};
use crate::queue::{Demand, Head, JobQueue, OrderKey, QuotaGate, ResourceGate, Scene, Urgency};

/// Jobs that may be next for the runners of one pool. The keys are as they were when an entry was
/// made; a tenant's virtual time only grows, so none can have become smaller.
type Contest = BinaryHeap<Reverse<Entry>>;

/// A job's place, its class, and whether it stands beside its lane.
type Entry = (OrderKey, ClassId, bool);

/// What closes lanes.
pub(super) struct Gates<'a> {
    pub(super) quota: &'a QuotaGate,
    pub(super) resources: &'a ResourceGate,
    pub(super) pauses: &'a BTreeMap<PauseScope, Pause>,
    pub(super) needs: &'a RunnerRequirements,
    pub(super) demand: Demand,
    pub(super) mono_ms: i64,
    pub(super) overtake_max: u32,
}

impl Gates<'_> {
    /// Whether a lane is open, as far as its tenant and its resources go.
    pub(super) fn open(&self, tenant: TenantId, level: JobPriority, job: JobId) -> bool {
        self.open_but_for_resources(tenant, level)
            && (self.needs.resources.is_empty()
                || self.resources.admits(&self.needs.resources, job, self.overtake_max))
    }

    pub(super) fn open_but_for_resources(&self, tenant: TenantId, level: JobPriority) -> bool {
        (self.pauses.is_empty() || !self.pauses.contains_key(&PauseScope::Tenant(tenant)))
            && self.quota.closed(tenant, self.demand, level, self.mono_ms).is_none()
    }
}

impl Scheduler {
    pub(super) fn match_jobs(&mut self, now: Now, entropy: &mut dyn Entropy) {
        let mut classes = self.classes_to_look_at();
        if self.pauses.contains_key(&PauseScope::Everything) {
            return;
        }
        self.check_reservations(now);
        classes.append(&mut self.fresh_classes);
        if classes.is_empty() || self.runners.waiting_len() == 0 {
            return;
        }
        let mut contests = self.contests(now, &classes);
        let mut put_off = Vec::new();
        while let Some((pool, head, barred)) = self.most_urgent(now, &mut contests, &mut put_off) {
            if self.leases.len() as u64 >= self.settings.max_global_concurrency {
                self.stopped_at_capacity = true;
                return;
            }
            let (id, class) = (head.facts.job_id, head.facts.class_id);
            match self.choose(now, id, class, pool) {
                // Somebody was there a moment ago.
                None => {}
                Some(Choice::Hold { runner, until_ms }) => {
                    self.keep_back(now, id, runner, until_ms);
                }
                Some(Choice::Give(slot)) => self.assign(now, id, slot, entropy),
            }
            drop_head(&mut contests, pool);
            if !barred {
                self.add_lane_head(now, class, pool, &mut contests);
            }
            // Who stood before them in an earlier pool may be busy now.
            for (pool, entry) in std::mem::take(&mut put_off) {
                if let Some(contest) = contests.get_mut(&pool) {
                    contest.push(Reverse(entry));
                }
            }
            // What was decided may have opened lanes: a reservation was used, or fell.
            self.check_reservations(now);
            for class in std::mem::take(&mut self.fresh_classes) {
                self.enter_contests(now, class, &mut contests);
            }
        }
    }

    /// Keeps a job back for a runner.
    fn keep_back(&mut self, now: Now, id: JobId, runner: RunnerId, until_ms: i64) {
        self.leave_lane(id);
        self.holds.insert(id, runner, until_ms);
        if let Some(live) = self.jobs.get_mut(&id) {
            live.was_held = true;
        }
        self.count_holds(runner);
        let mut record = self.job_record(now, RecordName::JobHeld, id);
        record.detail = runner.to_string().into();
        self.record(record);
    }

    /// Classes with jobs that may have found a runner since the last match.
    fn classes_to_look_at(&mut self) -> BTreeSet<ClassId> {
        let mut classes = std::mem::take(&mut self.fresh_classes);
        let newly_waiting = self.runners.take_newly_waiting();
        let room = (self.leases.len() as u64) < self.settings.max_global_concurrency;
        if self.look_everywhere || (self.stopped_at_capacity && room) {
            self.look_everywhere = false;
            self.stopped_at_capacity &= !room;
            return self.queue.classes().collect();
        }
        if !newly_waiting.is_empty() {
            let new: BTreeSet<_> = newly_waiting.into_iter().collect();
            let fits = |class: &ClassId| new.iter().any(|slot| self.index.fits(*class, *slot));
            classes.extend(self.queue.classes().filter(fits));
        }
        classes
    }

    /// One contest for each pool that gives out jobs and has a waiting runner.
    fn contests(&mut self, now: Now, classes: &BTreeSet<ClassId>) -> BTreeMap<PoolId, Contest> {
        let open: Vec<_> = self.runners.pools().filter(|pool| self.pool_is_open(*pool)).collect();
        let mut contests: BTreeMap<_, _> =
            open.into_iter().map(|pool| (pool, Contest::new())).collect();
        if contests.is_empty() {
            return contests;
        }
        for &class in classes {
            self.enter_contests(now, class, &mut contests);
        }
        contests
    }

    /// Adds what is next of a class to the contests of its pools.
    fn enter_contests(
        &mut self,
        now: Now,
        class: ClassId,
        contests: &mut BTreeMap<PoolId, Contest>,
    ) {
        let Some(needs) = self.index.requirements(class) else { return };
        for pool in needs.pools().collect::<Vec<_>>() {
            if contests.contains_key(&pool) {
                self.add_lane_head(now, class, pool, contests);
                self.add_barred(now, class, pool, contests);
            }
        }
    }

    fn add_lane_head(
        &mut self,
        now: Now,
        class: ClassId,
        pool: PoolId,
        contests: &mut BTreeMap<PoolId, Contest>,
    ) {
        if let Some(head) = self.lane_head(now, class, pool)
            && let Some(contest) = contests.get_mut(&pool)
        {
            contest.push(Reverse((head.key, class, false)));
        }
    }

    fn add_barred(
        &mut self,
        now: Now,
        class: ClassId,
        pool: PoolId,
        contests: &mut BTreeMap<PoolId, Contest>,
    ) {
        let Some((scene, gates)) = self.scene(now, class, pool) else { return };
        let barred = self.queue.barred(class, &scene);
        let open = barred.into_iter().filter(|head| gates.admits(head));
        let Some(contest) = contests.get_mut(&pool) else { return };
        contest.extend(open.map(|head| Reverse((head.key, class, true))));
    }

    /// The best entry of all contests, still at its head. Entries whose job has a worse place by
    /// now, or whose lane closed, are put right on the way; those that nobody of the pool can take
    /// are dropped, and those that wait for a pool which they prefer are put off.
    fn most_urgent(
        &mut self,
        now: Now,
        contests: &mut BTreeMap<PoolId, Contest>,
        put_off: &mut Vec<(PoolId, Entry)>,
    ) -> Option<(PoolId, Head, bool)> {
        let mut best: Option<(Urgency, PoolId, Head, bool)> = None;
        let pools: Vec<_> = contests.keys().copied().collect();
        for pool in pools {
            if !self.pool_is_open(pool) {
                contests.remove(&pool);
                continue;
            }
            while let Some(&Reverse((key, class, barred))) = contests[&pool].peek() {
                let head = match barred {
                    true => self.barred_head(now, class, pool, key.2),
                    false => self.lane_head(now, class, pool),
                };
                if let Some(head) = head.filter(|head| head.key == key) {
                    match self.prospect(key.2, class, pool) {
                        // The other jobs of the lanes would find the same nobody. A barred job was
                        // looked at by itself.
                        Prospect::Nobody => drop_head(contests, pool),
                        Prospect::EarlierPool => {
                            put_off.push((pool, (key, class, barred)));
                            drop_head(contests, pool);
                        }
                        Prospect::Somebody => {
                            let urgency = head.urgency();
                            if best.as_ref().is_none_or(|(other, ..)| urgency < *other) {
                                best = Some((urgency, pool, head, barred));
                            }
                            break;
                        }
                    }
                    continue;
                }
                drop_head(contests, pool);
                if let Some(contest) = contests.get_mut(&pool) {
                    contest.extend(head.map(|head| Reverse((head.key, class, barred))));
                }
            }
        }
        best.map(|(_, pool, head, barred)| (pool, head, barred))
    }

    /// Whether a pool gives out jobs to somebody now.
    pub(super) fn pool_is_open(&self, pool: PoolId) -> bool {
        !self.pool_is_full(pool) && self.runners.waiting_in(pool) > 0 && !self.pool_is_paused(pool)
    }

    /// Whether the runners of a pool have as many jobs as they may.
    pub(super) fn pool_is_full(&self, pool: PoolId) -> bool {
        let max = self.pool_settings(pool).jobs_max;
        max.is_some_and(|max| self.runners.running_in(pool) >= max)
    }

    pub(super) fn pool_is_paused(&self, pool: PoolId) -> bool {
        !self.pauses.is_empty()
            && self.pauses.contains_key(&PauseScope::Pool(pool))
            && !self.planted(Planted::PausedPoolServed)
    }

    /// The head of the open lanes of a class, as a pool ranks it.
    pub(super) fn lane_head(&mut self, now: Now, class: ClassId, pool: PoolId) -> Option<Head> {
        self.with_queue(now, class, pool, |queue, scene, gates| {
            queue.head(class, scene, |tenant, level, job| gates.open(tenant, level, job))
        })
    }

    /// The most urgent job of a class whose lane only resources can close.
    fn first_of_class(&mut self, now: Now, class: ClassId) -> Option<Urgency> {
        let head = self.with_queue(now, class, PoolId::DEFAULT, |queue, scene, gates| {
            queue.most_urgent(class, scene, |tenant, level, _| {
                gates.open_but_for_resources(tenant, level)
            })
        });
        head.map(|head| head.urgency())
    }

    /// Asks the queue about a class; what it answers is kept there.
    fn with_queue(
        &mut self,
        now: Now,
        class: ClassId,
        pool: PoolId,
        ask: impl FnOnce(&mut JobQueue, &Scene<'_>, &Gates<'_>) -> Option<Head>,
    ) -> Option<Head> {
        let Self { queue, index, shares, quota, resources, pauses, settings, .. } = self;
        let needs = index.requirements(class)?;
        let gates = Gates {
            quota,
            resources,
            pauses,
            needs,
            demand: Demand::of(needs),
            mono_ms: now.mono_ms,
            overtake_max: settings.overtake_max,
        };
        let scene = Scene {
            wall_ms: now.wall_ms,
            raising: settings.raising(),
            shares,
            policy: &**self.policies.of(pool),
            pool_id: pool,
            runners: index.runners_len(class),
            openings: self.openings,
        };
        ask(queue, &scene, &gates)
    }

    /// A job beside its lane, while it waits there and its lane is open.
    fn barred_head(&self, now: Now, class: ClassId, pool: PoolId, id: JobId) -> Option<Head> {
        let (scene, gates) = self.scene(now, class, pool)?;
        let live = self.jobs.get(&id)?;
        let place = live.place.filter(|place| place.barred)?;
        let head = scene.head(&live.row, place);
        gates.admits(&head).then_some(head)
    }

    /// What the places of the jobs of a class follow from, and what closes its lanes.
    pub(super) fn scene(
        &self,
        now: Now,
        class: ClassId,
        pool: PoolId,
    ) -> Option<(Scene<'_>, Gates<'_>)> {
        let needs = self.index.requirements(class)?;
        let scene = Scene {
            wall_ms: now.wall_ms,
            raising: self.raising(),
            shares: &self.shares,
            policy: &**self.policies.of(pool),
            pool_id: pool,
            runners: self.index.runners_len(class),
            openings: self.openings,
        };
        let gates = Gates {
            quota: &self.quota,
            resources: &self.resources,
            pauses: &self.pauses,
            needs,
            demand: Demand::of(needs),
            mono_ms: now.mono_ms,
            overtake_max: self.settings.overtake_max,
        };
        Some((scene, gates))
    }

    /// A job takes units of resources: whoever waits for them in front of it was overtaken.
    pub(super) fn count_overtaking(&mut self, now: Now, id: JobId, class: ClassId) {
        let Some(needs) = self.index.requirements(class) else { return };
        if needs.resources.is_empty() {
            return;
        }
        for need in needs.resources.clone() {
            if let Some(first) = self.head_of_resource(now, &need.name).filter(|it| *it != id) {
                self.resources.overtook(&need.name, first, self.settings.overtake_max);
            }
        }
    }

    /// The most urgent of the jobs that wait for a resource and could run but for resources.
    fn head_of_resource(&mut self, now: Now, name: &str) -> Option<JobId> {
        let classes = self.resources.classes(name).filter(|class| self.somebody_is_there(*class));
        let classes: Vec<_> = classes.collect();
        let heads = classes.into_iter().filter_map(|class| self.first_of_class(now, class));
        heads.min().map(|urgency| urgency.3)
    }

    /// Whether some runner takes new jobs of a class, busy or not.
    fn somebody_is_there(&self, class: ClassId) -> bool {
        let mut runners = self.index.runners(class).filter_map(|slot| self.runners.at(slot));
        runners.any(|it| !it.offline && it.takes_new() && !self.pool_is_paused(it.row.pool_id))
    }

    /// A reservation stands while its job is the head of the resource's queue. A job that cannot
    /// run, or that others have come before, would keep the units from everybody.
    fn check_reservations(&mut self, now: Now) {
        for (name, job) in self.resources.reservations() {
            if self.head_of_resource(now, &name) != Some(job) {
                let classes = self.resources.unreserve(&name);
                self.opened(classes);
            }
        }
    }
}

impl Gates<'_> {
    fn admits(&self, head: &Head) -> bool {
        self.open(head.facts.tenant_id, head.lane, head.facts.job_id)
    }
}

fn drop_head(contests: &mut BTreeMap<PoolId, Contest>, pool: PoolId) {
    if let Some(contest) = contests.get_mut(&pool) {
        contest.pop();
    }
}
