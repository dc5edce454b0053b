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

use rustc_hash::FxHashSet;

use super::choose::{Choice, Prospect};
use super::planted::Planted;
use super::scheduler::Scheduler;
use crate::model::{ClassId, Entropy, JobId, Now, PauseScope, PoolId, RecordName, RunnerId};
use crate::queue::{Head, OrderKey, Urgency};

/// Jobs that may be next for the runners of one pool. The keys are as they were when an entry was
/// made; a tenant's virtual time only grows, so none can have become smaller.
type Contest = BinaryHeap<Reverse<Entry>>;

/// A job's place, its class, and whether it stands beside its lane.
type Entry = (OrderKey, ClassId, bool);

/// Classes for which nobody of a pool waits: found once, it stays so to the end of a match.
type Deserted = FxHashSet<(PoolId, ClassId)>;

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
        let (mut put_off, mut deserted) = (Vec::new(), Deserted::default());
        while let Some((pool, head, barred)) =
            self.most_urgent(now, &mut contests, &mut deserted, &mut put_off)
        {
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
        // An event of one tenant may concern all classes, of which few have a runner that waits; in
        // the course of a match nobody begins to wait.
        let pools: Vec<_> =
            needs.pools().filter(|pool| self.somebody_waits(class, *pool)).collect();
        for pool in pools {
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
        deserted: &mut Deserted,
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
                if deserted.contains(&(pool, class)) {
                    drop_head(contests, pool);
                    continue;
                }
                if !self.somebody_waits(class, pool) {
                    deserted.insert((pool, class));
                    continue;
                }
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
}

fn drop_head(contests: &mut BTreeMap<PoolId, Contest>, pool: PoolId) {
    if let Some(contest) = contests.get_mut(&pool) {
        contest.pop();
    }
}
