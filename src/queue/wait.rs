//! How many wait, since when, and how long the waits were that ended; in all and by pool.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};

use crate::model::{Job, JobId, JobPriority, PoolId};

const LEVELS: usize = JobPriority::ALL.len();

/// Depth and age of the queue, or of one pool's part of it.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct QueueMetrics {
    /// Jobs that wait, by level; gated ones too.
    pub by_level: [u64; LEVELS],
    /// Wall milliseconds at which the job was queued that waits longest.
    pub oldest_queued_at_ms: Option<i64>,
    /// The same by level.
    pub oldest_by_level: [Option<i64>; LEVELS],
    /// Mean of the last waits that ended, in milliseconds.
    pub average_wait_ms: f64,
}

impl QueueMetrics {
    /// Jobs that wait, gated ones too.
    pub fn total(&self) -> u64 {
        self.by_level.iter().sum()
    }
}

/// The last waits that ended with an assignment, in milliseconds.
#[derive(Clone, Debug, Default)]
struct Ended {
    waits: VecDeque<i64>,
    sum: i64,
}

impl Ended {
    /// How many ended waits the mean is over.
    const MAX: usize = 1_024;

    fn add(&mut self, wait_ms: i64) {
        if self.waits.len() == Self::MAX {
            self.sum -= self.waits.pop_front().unwrap_or(0);
        }
        self.waits.push_back(wait_ms);
        self.sum += wait_ms;
    }

    fn mean(&self) -> f64 {
        self.sum as f64 / self.waits.len().max(1) as f64
    }
}

/// The waiting jobs of one pool and level.
#[derive(Clone, Debug, Default)]
struct Level {
    waiting: u64,
    /// Every wait that began; those that are over are thrown away when they come to the top.
    begun: BinaryHeap<Reverse<(i64, JobId)>>,
}

#[derive(Clone, Debug, Default)]
struct Pool {
    levels: [Level; LEVELS],
    ended: Ended,
}

/// Keeps the figures current with each job that begins or ends to wait. A job counts for the first
/// pool whose runners may take it.
#[derive(Clone, Debug, Default)]
pub struct WaitStatistics {
    pools: BTreeMap<PoolId, Pool>,
    ended: Ended,
    waiting: u64,
    /// Entries in all heaps together.
    begun: usize,
}

impl WaitStatistics {
    /// A job begins to wait, gated or not.
    pub fn begin(&mut self, pool: PoolId, job: &Job) {
        self.waiting += 1;
        self.begun += 1;
        let level = &mut self.pools.entry(pool).or_default().levels[job.priority.level()];
        level.waiting += 1;
        level.begun.push(Reverse((job.queued_at_ms, job.id)));
    }

    /// A job waits no longer.
    pub fn end(&mut self, pool: PoolId, job: &Job) {
        self.waiting -= 1;
        let pool = self.pools.entry(pool).or_default();
        pool.levels[job.priority.level()].waiting -= 1;
    }

    /// A job was given to a runner of the pool after this wait.
    pub fn assigned_after(&mut self, pool: PoolId, wait_ms: i64) {
        self.ended.add(wait_ms);
        self.pools.entry(pool).or_default().ended.add(wait_ms);
    }

    /// Throws away waits that are over once they outnumber those that are not, so that one job
    /// that waits for ever does not let a heap grow behind it. To be called now and then.
    pub fn trim(&mut self, waits: impl Fn(JobId) -> Option<(i64, JobPriority)>) {
        let waiting = usize::try_from(self.waiting).unwrap_or(usize::MAX);
        if self.begun <= waiting.saturating_mul(2).saturating_add(Ended::MAX) {
            return;
        }
        self.begun = 0;
        for pool in self.pools.values_mut() {
            for (level, priority) in pool.levels.iter_mut().zip(JobPriority::ALL) {
                level.begun.retain(|&Reverse((at_ms, id))| waits(id) == Some((at_ms, priority)));
                self.begun += level.begun.len();
            }
        }
    }

    /// The figures of all pools together; `waits` says since when and at which level a job waits,
    /// if it does.
    pub fn metrics(&mut self, waits: impl Fn(JobId) -> Option<(i64, JobPriority)>) -> QueueMetrics {
        let average_wait_ms = self.ended.mean();
        let mut all = QueueMetrics { average_wait_ms, ..QueueMetrics::default() };
        let older = |one: Option<i64>, other: Option<i64>| one.into_iter().chain(other).min();
        for (_, pool) in self.by_pool(waits) {
            for at in 0..LEVELS {
                all.by_level[at] += pool.by_level[at];
                all.oldest_by_level[at] = older(all.oldest_by_level[at], pool.oldest_by_level[at]);
            }
            all.oldest_queued_at_ms = older(all.oldest_queued_at_ms, pool.oldest_queued_at_ms);
        }
        all
    }

    /// The figures of each pool for which a job waited since the last load, by id. It costs as
    /// many steps as there are pools, and those that throw away what is over.
    pub fn by_pool(
        &mut self,
        waits: impl Fn(JobId) -> Option<(i64, JobPriority)>,
    ) -> Vec<(PoolId, QueueMetrics)> {
        let mut all = Vec::with_capacity(self.pools.len());
        for (id, pool) in &mut self.pools {
            let average_wait_ms = pool.ended.mean();
            let mut metrics = QueueMetrics { average_wait_ms, ..QueueMetrics::default() };
            for (at, priority) in JobPriority::ALL.into_iter().enumerate() {
                let level = &mut pool.levels[at];
                metrics.by_level[at] = level.waiting;
                while let Some(&Reverse((at_ms, job))) = level.begun.peek() {
                    if waits(job) == Some((at_ms, priority)) {
                        metrics.oldest_by_level[at] = Some(at_ms);
                        break;
                    }
                    level.begun.pop();
                    self.begun -= 1;
                }
            }
            metrics.oldest_queued_at_ms = metrics.oldest_by_level.into_iter().flatten().min();
            all.push((*id, metrics));
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::lane::tests::job;

    const POOL: PoolId = PoolId::DEFAULT;

    #[test]
    fn one_job_that_waits_for_ever_does_not_let_the_heap_grow() {
        let mut waits = WaitStatistics::default();
        let low = JobPriority::Low;
        waits.begin(POOL, &job(1, 1, low, 0));
        for id in 2..10_000 {
            let passing = job(id, 1, low, id);
            waits.begin(POOL, &passing);
            waits.end(POOL, &passing);
            waits.trim(|id| (id == JobId(1)).then_some((0, low)));
        }
        assert!(waits.begun < 2_000);
        assert_eq!(waits.metrics(|_| Some((0, low))).oldest_queued_at_ms, Some(0));
    }

    #[test]
    fn the_oldest_is_the_oldest_that_still_waits() {
        let mut waits = WaitStatistics::default();
        let (old, young) = (job(1, 1, JobPriority::Low, 10), job(2, 1, JobPriority::High, 20));
        waits.begin(POOL, &old);
        waits.begin(PoolId(5), &young);
        let since = |id| Some(if id == old.id { (10, old.priority) } else { (20, young.priority) });
        let both = waits.metrics(since);
        assert_eq!((both.total(), both.oldest_queued_at_ms), (2, Some(10)));
        assert_eq!(both.oldest_by_level, [None, Some(20), None, Some(10), None]);
        waits.end(POOL, &old);
        waits.assigned_after(PoolId(5), 40);
        waits.assigned_after(PoolId(6), 60);
        let waiting = |id| (id == young.id).then_some((20, young.priority));
        let one = waits.metrics(waiting);
        assert_eq!((one.total(), one.oldest_queued_at_ms), (1, Some(20)));
        assert!((one.average_wait_ms - 50.0).abs() < f64::EPSILON);
        let pools = waits.by_pool(waiting);
        let totals: Vec<_> = pools.iter().map(|(id, it)| (id.0, it.total())).collect();
        assert_eq!(totals, [(1, 0), (5, 1), (6, 0)]);
        assert!((pools[1].1.average_wait_ms - 40.0).abs() < f64::EPSILON);
    }

    #[test]
    fn a_job_that_got_another_level_is_the_oldest_there_alone() {
        let mut waits = WaitStatistics::default();
        let before = job(1, 1, JobPriority::Low, 10);
        let after = job(1, 1, JobPriority::High, 10);
        waits.begin(POOL, &before);
        waits.end(POOL, &before);
        waits.begin(POOL, &after);
        let metrics = waits.metrics(|_| Some((10, JobPriority::High)));
        assert_eq!(metrics.oldest_by_level, [None, Some(10), None, None, None]);
        assert_eq!(metrics.by_level, [0, 1, 0, 0, 0]);
    }
}
