//! Lanes: jobs that nothing gates, in the order in which they are given out.
//!
//! There is a lane for each class, tenant and level, ordered by lane key. A decision asks each
//! class for its head: the best of the heads of its lanes that are open. The best of each tenant is
//! kept until something changes it, so that a decision looks at one value for each tenant and class.

mod class;
mod line;
mod scene;
mod walk;

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

pub use scene::{Head, OrderKey, Place, Scene, Urgency};
pub use walk::Queued;

use class::ClassLanes;
use line::Line;

use crate::model::{ClassId, Job, JobId, JobPriority, TenantId};

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
            class.changed(job.tenant_id, true);
            class.barred.insert((place.level, job.lane_key, job.id, job.tenant_id))
        } else {
            let lane = class.levels[place.level.level()].entry(job.tenant_id).or_default();
            let added = lane.insert((job.lane_key, job.id));
            if lane.first() == Some((job.lane_key, job.id)) {
                class.changed(job.tenant_id, false);
            }
            added
        };
        debug_assert!(added, "job {} is in its lane already", job.id);
        class.len += 1;
        self.len += 1;
    }

    /// Takes a job out of its lane. Whether it was there.
    pub fn remove(&mut self, job: &Job, place: Place) -> bool {
        let Some(class) = self.classes.get_mut(&job.class_id) else { return false };
        let removed = if place.barred {
            class.changed(job.tenant_id, true);
            class.barred.remove(&(place.level, job.lane_key, job.id, job.tenant_id))
        } else {
            let lanes = &mut class.levels[place.level.level()];
            let Some(lane) = lanes.get_mut(&job.tenant_id) else { return false };
            let was_first = lane.first() == Some((job.lane_key, job.id));
            let removed = lane.remove((job.lane_key, job.id));
            if lane.is_empty() {
                lanes.remove(&job.tenant_id);
            }
            if was_first {
                class.changed(job.tenant_id, false);
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
        class.best(class_id, Some(scene.pool_id), scene, open, |head| head.key)
    }

    /// The most urgent job of a class, barred ones too, among lanes that are open.
    pub fn most_urgent(
        &mut self,
        class_id: ClassId,
        scene: &Scene<'_>,
        open: impl Fn(TenantId, JobPriority, JobId) -> bool,
    ) -> Option<Head> {
        self.classes.get_mut(&class_id)?.best(class_id, None, scene, open, Head::urgency)
    }

    /// Lanes of a tenant may have opened. The classes that have some.
    pub fn reopen_tenant(&mut self, tenant: TenantId) -> Vec<ClassId> {
        let mut classes = Vec::new();
        for (id, class) in self.classes.iter_mut().filter(|(_, class)| class.has(tenant)) {
            classes.push(*id);
            class.changed(tenant, false);
        }
        classes
    }

    /// Whether a job is the next of its lane.
    pub fn is_first(&self, job: &Job, place: Place) -> bool {
        let lanes = self.classes.get(&job.class_id).map(|class| &class.levels[place.level.level()]);
        let lane = lanes.and_then(|lanes| lanes.get(&job.tenant_id));
        lane.and_then(Line::first) == Some((job.lane_key, job.id))
    }

    /// Jobs of a class that stand beside their lanes.
    pub fn barred(&self, class_id: ClassId, scene: &Scene<'_>) -> Vec<Head> {
        let Some(class) = self.classes.get(&class_id) else { return Vec::new() };
        let barred = class.beside(None);
        barred.map(|(level, tenant, at)| scene.head_at(class_id, tenant, level, at)).collect()
    }

    /// All lanes in no order, jobs beside them counted in: each with its class, level and tenant, how
    /// many jobs it has, and the first of them.
    pub fn lanes(&self) -> impl Iterator<Item = (ClassId, JobPriority, TenantId, usize, JobId)> {
        self.classes.iter().flat_map(|(class, lanes)| {
            let mut all: BTreeMap<_, (usize, (i64, JobId))> = BTreeMap::new();
            for (level, tenant, lane) in lanes.lanes() {
                all.extend(lane.first().map(|first| ((level, tenant), (lane.len(), first))));
            }
            for &(level, key, id, tenant) in &lanes.barred {
                let lane = all.entry((level, tenant)).or_insert((0, (key, id)));
                *lane = (lane.0 + 1, lane.1.min((key, id)));
            }
            let class = *class;
            all.into_iter()
                .map(move |((level, tenant), (jobs, (_, id)))| (class, level, tenant, jobs, id))
        })
    }

    /// Classes with jobs that stand beside their lanes, in no order.
    pub fn barred_classes(&self) -> impl Iterator<Item = ClassId> {
        self.classes.iter().filter(|(_, class)| !class.barred.is_empty()).map(|(id, _)| *id)
    }

    /// Jobs of a class that could be given out, lane after lane.
    pub fn jobs_of(&self, class: ClassId) -> impl Iterator<Item = JobId> {
        let lanes = self.classes.get(&class);
        let barred = lanes.into_iter().flat_map(|class| class.barred.iter().map(|it| it.2));
        let plain = lanes.into_iter().flat_map(ClassLanes::lanes);
        plain.flat_map(|(_, _, lane)| lane.iter().map(|(_, id)| id)).chain(barred)
    }

    /// Classes with at least one job, in no order.
    pub fn classes(&self) -> impl Iterator<Item = ClassId> {
        self.classes.keys().copied()
    }

    /// How many jobs of a class could be given out.
    pub fn class_len(&self, class: ClassId) -> usize {
        self.classes.get(&class).map_or(0, |lanes| lanes.len)
    }

    /// Of these, those of one tenant.
    pub fn class_len_of(&self, class: ClassId, tenant: TenantId) -> usize {
        let Some(class) = self.classes.get(&class) else { return 0 };
        let lanes = class.levels.iter().filter_map(|lanes| lanes.get(&tenant));
        let barred = class.barred.iter().filter(|(.., it)| *it == tenant);
        lanes.map(Line::len).sum::<usize>() + barred.count()
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
        let heads = lanes.filter_map(|lane| lane.first().map(|(key, _)| key));
        let barred = self.classes.values().flat_map(|class| &class.barred);
        heads.chain(barred.filter(|it| it.0 == level).map(|it| it.1)).min()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::model::{JobState, PoolId, Rare, WorkloadId};
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
            need_failed: false,
            in_group: false,
            unschedulable: false,
            extras: Rare::default(),
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
        queue.walk(
            scenes,
            &[],
            shares.clone(),
            |_| 1,
            |job| {
                order.push(job.job_id.0);
                order.len() < 3
            },
        );
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
    fn only_the_lanes_of_a_tenant_that_may_have_opened_are_looked_at_again() {
        let mut queue = JobQueue::default();
        let shares = Shares::default();
        let (mine, other) = (TenantId(1), TenantId(2));
        let first = Job { tenant_id: other, ..job(1, 7, JobPriority::High, 0) };
        let second = Job { tenant_id: mine, ..job(2, 7, JobPriority::Normal, 0) };
        queue.push(&first, place(&first));
        queue.push(&second, place(&second));
        let looked = std::cell::Cell::new(0);
        let ask = |queue: &mut JobQueue, closed: Option<TenantId>| {
            looked.set(0);
            let open = |tenant, _, _| {
                looked.set(looked.get() + 1);
                Some(tenant) != closed
            };
            let head = queue.head(ClassId(7), &scene(&shares, 1), open);
            (head.map(|head| head.facts.job_id.0), looked.get())
        };
        assert_eq!(ask(&mut queue, Some(other)), (Some(2), 3), "both, and the best again");
        assert_eq!(ask(&mut queue, Some(other)), (Some(2), 1), "the kept one is still open");
        assert_eq!(queue.reopen_tenant(other), [ClassId(7)]);
        assert_eq!(ask(&mut queue, None), (Some(1), 2), "the opened lane, and the head again");
        assert_eq!(queue.reopen_tenant(TenantId(3)), []);
        assert_eq!(ask(&mut queue, Some(other)), (Some(2), 3), "it closed, and the other is next");
    }

    #[test]
    fn the_most_urgent_job_may_be_a_barred_one() {
        let mut queue = JobQueue::default();
        let shares = Shares::default();
        let plain = job(1, 7, JobPriority::Normal, 0);
        let barred = job(2, 7, JobPriority::High, 5);
        let beside = Place { level: JobPriority::High, barred: true };
        queue.push(&plain, place(&plain));
        let ask = |queue: &mut JobQueue| {
            let head = queue.most_urgent(ClassId(7), &scene(&shares, 6), |_, _, _| true);
            head.map(|head| head.facts.job_id.0)
        };
        assert_eq!(ask(&mut queue), Some(1));
        queue.push(&barred, beside);
        assert_eq!(ask(&mut queue), Some(2));
        assert_eq!(head(&mut queue, &shares, 6), Some(1));
        queue.remove(&barred, beside);
        assert_eq!(ask(&mut queue), Some(1));
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
        queue.walk(
            scenes,
            &[],
            shares.clone(),
            |_| 5,
            |job| {
                order.push(job.job_id.0);
                true
            },
        );
        assert_eq!(order, [1, 3, 2, 4]);
    }
}
