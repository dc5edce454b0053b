//! Lanes: jobs that nothing gates, in the order in which they are given out.
//!
//! There is a lane for each class, tenant and level, ordered by lane key. A decision asks each
//! class for its head: the best of the heads of its lanes that are open. That answer is kept until
//! something changes it, so that a decision among many classes looks at one value for each.

mod scene;
mod walk;

use std::collections::{BTreeMap, BTreeSet};

use rustc_hash::FxHashMap;

pub use scene::{Head, OrderKey, Place, Scene};

use crate::model::{ClassId, Job, JobId, JobPriority, PoolId, TenantId};

type Lane = BTreeSet<(i64, JobId)>;

/// The last answer of a class, and how long it holds.
#[derive(Clone, Copy, Debug)]
struct Kept {
    head: Option<Head>,
    pool_id: PoolId,
    openings: u64,
    /// When the level of some head of the class changes (wall).
    until_ms: i64,
    since_ms: i64,
}

/// The lanes of one class.
#[derive(Clone, Debug, Default)]
struct ClassLanes {
    /// Of each level, the non-empty lanes by tenant.
    levels: [BTreeMap<TenantId, Lane>; JobPriority::ALL.len()],
    /// Jobs that some fitting runner may not have. They are few, and each is looked at by itself,
    /// so that one of them does not block the head of a lane.
    barred: BTreeSet<(JobPriority, i64, JobId, TenantId)>,
    /// Jobs in all lanes and in `barred`.
    len: usize,
    kept: Option<Kept>,
}

impl ClassLanes {
    fn lanes(&self) -> impl Iterator<Item = (JobPriority, TenantId, &Lane)> {
        JobPriority::ALL.into_iter().zip(&self.levels).flat_map(|(level, lanes)| {
            lanes.iter().map(move |(tenant, lane)| (level, *tenant, lane))
        })
    }
}

/// Every job that could be given to a runner now, in lanes by class, tenant and level.
#[derive(Clone, Debug, Default)]
pub struct JobQueue {
    /// Classes with at least one such job.
    classes: FxHashMap<ClassId, ClassLanes>,
    len: usize,
}

impl JobQueue {
    /// Puts a pending job, which no gate holds, into its lane.
    pub fn push(&mut self, job: &Job, place: Place) {
        let class = self.classes.entry(job.class_id).or_default();
        let added = if place.barred {
            class.barred.insert((place.level, job.lane_key, job.id, job.tenant_id))
        } else {
            class.kept = None;
            let lane = class.levels[place.level.level()].entry(job.tenant_id).or_default();
            lane.insert((job.lane_key, job.id))
        };
        debug_assert!(added, "job {} is in its lane already", job.id);
        class.len += 1;
        self.len += 1;
    }

    /// Takes a job out of its lane. Whether it was there.
    pub fn remove(&mut self, job: &Job, place: Place) -> bool {
        let Some(class) = self.classes.get_mut(&job.class_id) else { return false };
        let removed = if place.barred {
            class.barred.remove(&(place.level, job.lane_key, job.id, job.tenant_id))
        } else {
            class.kept = None;
            let lanes = &mut class.levels[place.level.level()];
            let Some(lane) = lanes.get_mut(&job.tenant_id) else { return false };
            let removed = lane.remove(&(job.lane_key, job.id));
            if lane.is_empty() {
                lanes.remove(&job.tenant_id);
            }
            removed
        };
        if removed {
            class.len -= 1;
            self.len -= 1;
            if class.len == 0 {
                self.classes.remove(&job.class_id);
            }
        }
        removed
    }

    /// The job of a class that is next, but for barred ones, among lanes that are open.
    pub fn head(
        &mut self,
        class_id: ClassId,
        scene: &Scene<'_>,
        open: impl Fn(TenantId, JobPriority, JobId) -> bool,
    ) -> Option<Head> {
        let class = self.classes.get_mut(&class_id)?;
        if let Some(kept) = class.kept
            && kept.pool_id == scene.pool_id
            && kept.openings == scene.openings
            && (kept.since_ms..kept.until_ms).contains(&scene.wall_ms)
        {
            let head = kept.head?;
            let facts = head.facts;
            if facts.virtual_time == scene.shares.virtual_time(facts.tenant_id)
                && facts.runners == scene.runners
                && open(facts.tenant_id, head.lane, facts.job_id)
            {
                return Some(head);
            }
        }
        let mut best: Option<Head> = None;
        let mut until_ms = i64::MAX;
        for (level, tenant, lane) in class.lanes() {
            let Some(&at) = lane.first() else { continue };
            until_ms = until_ms.min(scene.raising.effective(level, at.0, scene.wall_ms).1);
            if open(tenant, level, at.1) {
                let head = scene.head_at(class_id, tenant, level, at);
                if best.is_none_or(|best| head.key < best.key) {
                    best = Some(head);
                }
            }
        }
        class.kept = Some(Kept {
            head: best,
            pool_id: scene.pool_id,
            openings: scene.openings,
            until_ms,
            since_ms: scene.wall_ms,
        });
        best
    }

    /// The heads of all lanes of a class, open or not, and the jobs beside them.
    pub fn heads(&self, class_id: ClassId, scene: &Scene<'_>) -> Vec<Head> {
        let Some(class) = self.classes.get(&class_id) else { return Vec::new() };
        let first = |(level, tenant, lane): (_, _, &Lane)| {
            Some(scene.head_at(class_id, tenant, level, *lane.first()?))
        };
        let mut heads: Vec<_> = class.lanes().filter_map(first).collect();
        heads.extend(self.barred(class_id, scene));
        heads
    }

    /// Jobs of a class that stand beside their lanes.
    pub fn barred(&self, class_id: ClassId, scene: &Scene<'_>) -> Vec<Head> {
        let Some(class) = self.classes.get(&class_id) else { return Vec::new() };
        let barred = class.barred.iter();
        barred.map(|&(level, key, id, it)| scene.head_at(class_id, it, level, (key, id))).collect()
    }

    /// Classes with jobs that stand beside their lanes, in no order.
    pub fn barred_classes(&self) -> impl Iterator<Item = ClassId> {
        self.classes.iter().filter(|(_, class)| !class.barred.is_empty()).map(|(id, _)| *id)
    }

    /// Classes with at least one job, in no order.
    pub fn classes(&self) -> impl Iterator<Item = ClassId> {
        self.classes.keys().copied()
    }

    /// How many jobs of a class could be given out.
    pub fn class_len(&self, class: ClassId) -> usize {
        self.classes.get(&class).map_or(0, |lanes| lanes.len)
    }

    /// How many jobs could be given out.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no job could be given out.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The smallest lane key at a level, over all lanes: what a job that is moved to the front
    /// must be below.
    pub fn first_lane_key(&self, level: JobPriority) -> Option<i64> {
        let lanes = self.classes.values().flat_map(|class| class.levels[level.level()].values());
        let heads = lanes.filter_map(|lane| lane.first().map(|(key, _)| *key));
        let barred = self.classes.values().flat_map(|class| &class.barred);
        heads.chain(barred.filter(|it| it.0 == level).map(|it| it.1)).min()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::model::{JobState, WorkloadId};
    use crate::queue::{Priority, Raising, Shares};

    pub(crate) fn job(id: i64, class: i64, priority: JobPriority, lane_key: i64) -> Job {
        Job {
            id: JobId(id),
            workload_id: WorkloadId(1),
            class_id: ClassId(class),
            tenant_id: TenantId::DEFAULT,
            name: "job".into(),
            terms: None,
            state: JobState::Pending,
            priority,
            lane_key,
            queued_at_ms: lane_key,
            ready_at_ms: lane_key,
            not_before_ms: 0,
            timeout_ms: 1,
            backoff_ms: 0,
            attempt: 0,
            retry_count: 0,
            max_retries: 0,
            infra_failures: 0,
            avoid_runner_id: None,
            cancel_requested_at_ms: None,
            need_failed: false,
            in_group: false,
            units: None,
            external_ref: None,
        }
    }

    const RAISING: Raising = Raising { aging_ms: 100, deadline_raise_ms: 10 };

    fn scene(shares: &Shares, wall_ms: i64) -> Scene<'_> {
        let pool_id = PoolId::DEFAULT;
        let (policy, runners, openings) = (&Priority, 1, 0);
        Scene { wall_ms, raising: RAISING, shares, policy, pool_id, runners, openings }
    }

    fn place(job: &Job) -> Place {
        Place { level: job.priority, barred: false }
    }

    fn head(queue: &mut JobQueue, shares: &Shares, wall_ms: i64) -> Option<i64> {
        let scene = scene(shares, wall_ms);
        queue.head(ClassId(7), &scene, |_, _, _| true).map(|head| head.facts.job_id.0)
    }

    #[test]
    fn a_class_gives_its_most_urgent_then_its_oldest_job() {
        let mut queue = JobQueue::default();
        let shares = Shares::default();
        let jobs = [
            job(1, 7, JobPriority::Normal, 10),
            job(2, 7, JobPriority::High, 30),
            job(3, 7, JobPriority::High, 20),
            job(4, 8, JobPriority::Critical, 40),
        ];
        for job in &jobs {
            queue.push(job, place(job));
        }
        assert_eq!(head(&mut queue, &shares, 40), Some(3));
        let mut order = Vec::new();
        let scenes = queue.classes().map(|class| (class, scene(&shares, 40)));
        queue.walk(scenes, shares.clone(), 1, |id| {
            order.push(id.0);
            order.len() < 3
        });
        assert_eq!(order, [4, 3, 2]);
        for job in &jobs {
            assert!(queue.remove(job, place(job)));
            assert!(!queue.remove(job, place(job)));
        }
        assert!(queue.is_empty() && queue.classes.is_empty());
    }

    #[test]
    fn an_old_job_overtakes_when_its_level_rises_and_not_before() {
        let mut queue = JobQueue::default();
        let shares = Shares::default();
        let (old, young) = (job(1, 7, JobPriority::Low, 0), job(2, 7, JobPriority::Normal, 90));
        queue.push(&old, place(&old));
        queue.push(&young, place(&young));
        assert_eq!(head(&mut queue, &shares, 99), Some(2));
        assert_eq!(head(&mut queue, &shares, 100), Some(1), "the kept answer has run out");
        assert_eq!(head(&mut queue, &shares, 99), Some(2), "also for a clock that went back");
    }

    #[test]
    fn a_closed_lane_is_passed_over_and_looked_at_again_when_it_may_have_opened() {
        let mut queue = JobQueue::default();
        let shares = Shares::default();
        let (first, second) = (job(1, 7, JobPriority::High, 0), job(2, 7, JobPriority::Normal, 0));
        queue.push(&first, place(&first));
        queue.push(&second, place(&second));
        let mut ask = |openings, open: bool| {
            let scene = Scene { openings, ..scene(&shares, 1) };
            let open = |_, level, _| open || level != JobPriority::High;
            queue.head(ClassId(7), &scene, open).map(|head| head.facts.job_id.0)
        };
        assert_eq!(ask(0, true), Some(1));
        assert_eq!(ask(0, false), Some(2), "a lane that closed is noticed at once");
        assert_eq!(ask(1, true), Some(1));
    }

    #[test]
    fn a_barred_job_stands_beside_its_lane() {
        let mut queue = JobQueue::default();
        let shares = Shares::default();
        let barred = job(1, 7, JobPriority::High, 10);
        let plain = job(2, 7, JobPriority::Normal, 20);
        let beside = Place { level: JobPriority::High, barred: true };
        queue.push(&barred, beside);
        queue.push(&plain, place(&plain));
        assert_eq!(head(&mut queue, &shares, 20), Some(2));
        let barred_heads = queue.barred(ClassId(7), &scene(&shares, 20));
        assert_eq!(barred_heads.iter().map(|it| it.facts.job_id.0).collect::<Vec<_>>(), [1]);
        assert_eq!(queue.first_lane_key(JobPriority::High), Some(10));
        assert!(queue.remove(&barred, beside));
        assert_eq!(queue.len(), 1);
    }

    #[test]
    fn a_walk_charges_tenants_as_it_goes() {
        let mut queue = JobQueue::default();
        let mut shares = Shares::default();
        let (a, b) = (TenantId(1), TenantId(2));
        shares.enter(a);
        shares.enter(b);
        for (id, tenant_id) in [(1, a), (2, a), (3, b), (4, b)] {
            let job = Job { tenant_id, ..job(id, 7, JobPriority::Normal, 0) };
            queue.push(&job, place(&job));
        }
        let mut order = Vec::new();
        let scenes = queue.classes().map(|class| (class, scene(&shares, 1)));
        queue.walk(scenes, shares.clone(), 5, |id| {
            order.push(id.0);
            true
        });
        assert_eq!(order, [1, 3, 2, 4]);
    }
}
