//! Lanes: jobs that nothing gates, in the order in which they are given out.

use std::collections::{BTreeMap, BTreeSet};

use rustc_hash::FxHashMap;

use crate::model::{ClassId, Job, JobId, JobPriority, TenantId};

/// The place of a job in the whole queue: smaller goes first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Order {
    /// The level.
    pub level: JobPriority,
    /// The job's lane key.
    pub lane_key: i64,
    /// Breaks ties by age.
    pub job_id: JobId,
}

impl Order {
    /// The place of a job.
    pub fn of(job: &Job) -> Self {
        Self { level: job.priority, lane_key: job.lane_key, job_id: job.id }
    }
}

type Lane = BTreeSet<(i64, JobId)>;

/// The lanes of one class.
#[derive(Debug, Default)]
struct ClassLanes {
    /// Of each level, the non-empty lanes by tenant.
    levels: [BTreeMap<TenantId, Lane>; JobPriority::ALL.len()],
    /// Jobs that should not go to the runner under which they were lost. They are few, and each
    /// is looked at by itself, so that one of them does not block the lane's head.
    barred: BTreeSet<Order>,
    /// Jobs in all lanes and in `barred`.
    len: usize,
}

impl ClassLanes {
    fn head(&self) -> Option<Order> {
        let (level, lanes) =
            JobPriority::ALL.into_iter().zip(&self.levels).find(|(_, lanes)| !lanes.is_empty())?;
        let &(lane_key, job_id) = lanes.values().filter_map(BTreeSet::first).min()?;
        Some(Order { level, lane_key, job_id })
    }

    fn iter(&self) -> impl Iterator<Item = Order> {
        let in_lanes = JobPriority::ALL.into_iter().zip(&self.levels).flat_map(|(level, lanes)| {
            lanes.values().flatten().map(move |&(lane_key, job_id)| Order {
                level,
                lane_key,
                job_id,
            })
        });
        in_lanes.chain(self.barred.iter().copied())
    }
}

/// Every job that could be given to a runner now, in lanes by class, tenant and level.
#[derive(Debug, Default)]
pub struct JobQueue {
    /// Classes with at least one such job.
    classes: FxHashMap<ClassId, ClassLanes>,
    len: usize,
}

impl JobQueue {
    /// Puts a pending job, which no gate holds, into its lane.
    pub fn push(&mut self, job: &Job) {
        let class = self.classes.entry(job.class_id).or_default();
        let added = if job.avoid_runner_id.is_some() {
            class.barred.insert(Order::of(job))
        } else {
            let lane = class.levels[job.priority.level()].entry(job.tenant_id).or_default();
            lane.insert((job.lane_key, job.id))
        };
        debug_assert!(added, "job {} is in its lane already", job.id);
        class.len += 1;
        self.len += 1;
    }

    /// Takes a job out of its lane. Whether it was there.
    pub fn remove(&mut self, job: &Job) -> bool {
        let Some(class) = self.classes.get_mut(&job.class_id) else { return false };
        let removed = if job.avoid_runner_id.is_some() {
            class.barred.remove(&Order::of(job))
        } else {
            let lanes = &mut class.levels[job.priority.level()];
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

    /// The job of a class that is next, but for barred ones.
    pub fn head(&self, class: ClassId) -> Option<Order> {
        self.classes.get(&class)?.head()
    }

    /// Jobs of a class that have a runner to avoid, in order.
    pub fn barred(&self, class: ClassId) -> impl Iterator<Item = Order> {
        self.classes.get(&class).into_iter().flat_map(|lanes| lanes.barred.iter().copied())
    }

    /// Classes with at least one job, in no order.
    pub fn classes(&self) -> impl Iterator<Item = ClassId> {
        self.classes.keys().copied()
    }

    /// How many jobs of a class could be given out.
    pub fn class_len(&self, class: ClassId) -> usize {
        self.classes.get(&class).map_or(0, |lanes| lanes.len)
    }

    /// Whether the job stands in its lane: nothing gates it.
    pub fn contains(&self, job: &Job) -> bool {
        let Some(class) = self.classes.get(&job.class_id) else { return false };
        if job.avoid_runner_id.is_some() {
            return class.barred.contains(&Order::of(job));
        }
        let lane = class.levels[job.priority.level()].get(&job.tenant_id);
        lane.is_some_and(|lane| lane.contains(&(job.lane_key, job.id)))
    }

    /// How many jobs could be given out.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no job could be given out.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The first `limit` jobs in dispatch order, over all classes. A read for people: it looks at
    /// every lane, so its time grows with the queue.
    pub fn first(&self, limit: usize) -> Vec<Order> {
        let mut first: Vec<_> = self.classes.values().flat_map(ClassLanes::iter).collect();
        if limit < first.len() {
            first.select_nth_unstable(limit);
            first.truncate(limit);
        }
        first.sort_unstable();
        first
    }

    /// How many jobs stand before `order`. A read for people, as [`JobQueue::first`].
    pub fn ahead_of(&self, order: Order) -> usize {
        self.classes.values().flat_map(ClassLanes::iter).filter(|other| *other < order).count()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::model::{JobState, RunnerId, WorkloadId};

    pub(crate) fn job(id: i64, class: i64, priority: JobPriority, lane_key: i64) -> Job {
        Job {
            id: JobId(id),
            workload_id: WorkloadId(1),
            class_id: ClassId(class),
            tenant_id: TenantId::DEFAULT,
            name: "job".into(),
            state: JobState::Pending,
            priority,
            lane_key,
            queued_at_ms: lane_key,
            not_before_ms: 0,
            timeout_ms: 1,
            backoff_ms: 0,
            attempt: 0,
            retry_count: 0,
            max_retries: 0,
            infra_failures: 0,
            avoid_runner_id: None,
            cancel_requested_at_ms: None,
            external_ref: None,
        }
    }

    #[test]
    fn a_class_gives_its_most_urgent_then_its_oldest_job() {
        let mut queue = JobQueue::default();
        let jobs = [
            job(1, 7, JobPriority::Normal, 10),
            job(2, 7, JobPriority::High, 30),
            job(3, 7, JobPriority::High, 20),
            job(4, 8, JobPriority::Critical, 40),
        ];
        for job in &jobs {
            queue.push(job);
        }
        assert_eq!(queue.head(ClassId(7)).unwrap().job_id, JobId(3));
        let order: Vec<_> = queue.first(3).iter().map(|order| order.job_id.0).collect();
        assert_eq!(order, [4, 3, 2]);
        assert_eq!(queue.ahead_of(Order::of(&jobs[0])), 3);
        for job in &jobs {
            assert!(queue.remove(job));
            assert!(!queue.remove(job));
        }
        assert!(queue.is_empty() && queue.classes.is_empty());
    }

    #[test]
    fn a_barred_job_stands_beside_its_lane() {
        let mut queue = JobQueue::default();
        let mut barred = job(1, 7, JobPriority::High, 10);
        barred.avoid_runner_id = Some(RunnerId(5));
        let plain = job(2, 7, JobPriority::Normal, 20);
        queue.push(&barred);
        queue.push(&plain);
        assert_eq!(queue.head(ClassId(7)), Some(Order::of(&plain)));
        assert_eq!(queue.barred(ClassId(7)).collect::<Vec<_>>(), [Order::of(&barred)]);
        assert_eq!(queue.len(), 2);
        assert!(queue.remove(&barred));
        assert_eq!(queue.len(), 1);
    }
}
