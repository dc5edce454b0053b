//! How many wait, since when, and how long the waits were that ended.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use crate::model::{Job, JobId, JobPriority};

/// Depth and age of the queue.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct QueueMetrics {
    /// Jobs that wait, by level; gated ones too.
    pub by_level: [u64; JobPriority::ALL.len()],
    /// Wall milliseconds at which the job was queued that waits longest.
    pub oldest_queued_at_ms: Option<i64>,
    /// Mean of the last waits that ended, in milliseconds.
    pub average_wait_ms: f64,
}

impl QueueMetrics {
    /// Jobs that wait, gated ones too.
    pub fn total(&self) -> u64 {
        self.by_level.iter().sum()
    }
}

/// Keeps the figures current with each job that begins or ends to wait.
#[derive(Clone, Debug, Default)]
pub struct WaitStatistics {
    by_level: [u64; JobPriority::ALL.len()],
    /// Every wait that began; those that are over are thrown away when they come to the top.
    begun: BinaryHeap<Reverse<(i64, JobId)>>,
    /// The last waits that ended with an assignment, in milliseconds.
    ended: VecDeque<i64>,
    ended_sum: i64,
}

impl WaitStatistics {
    /// How many ended waits the mean is over.
    const ENDED_MAX: usize = 1_024;

    /// A job begins to wait, gated or not.
    pub fn begin(&mut self, job: &Job) {
        self.by_level[job.priority.level()] += 1;
        self.begun.push(Reverse((job.queued_at_ms, job.id)));
    }

    /// A job waits no longer.
    pub fn end(&mut self, job: &Job) {
        self.by_level[job.priority.level()] -= 1;
    }

    /// A job was given to a runner after this wait.
    pub fn assigned_after(&mut self, wait_ms: i64) {
        if self.ended.len() == Self::ENDED_MAX {
            self.ended_sum -= self.ended.pop_front().unwrap_or(0);
        }
        self.ended.push_back(wait_ms);
        self.ended_sum += wait_ms;
    }

    /// Throws away waits that are over once they outnumber those that are not, so that one job
    /// that waits for ever does not let the heap grow behind it. To be called now and then.
    pub fn trim(&mut self, waits_since: impl Fn(JobId) -> Option<i64>) {
        let waiting = usize::try_from(self.by_level.iter().sum::<u64>()).unwrap_or(usize::MAX);
        if self.begun.len() > waiting.saturating_mul(2).saturating_add(Self::ENDED_MAX) {
            self.begun.retain(|&Reverse((at_ms, job))| waits_since(job) == Some(at_ms));
        }
    }

    /// The figures; `waits_since` says since when a job waits, if it does.
    pub fn metrics(&mut self, waits_since: impl Fn(JobId) -> Option<i64>) -> QueueMetrics {
        while let Some(&Reverse((queued_at_ms, job))) = self.begun.peek() {
            if waits_since(job) == Some(queued_at_ms) {
                break;
            }
            self.begun.pop();
        }
        QueueMetrics {
            by_level: self.by_level,
            oldest_queued_at_ms: self.begun.peek().map(|Reverse((at_ms, _))| *at_ms),
            average_wait_ms: self.ended_sum as f64 / self.ended.len().max(1) as f64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::lane::tests::job;

    #[test]
    fn one_job_that_waits_for_ever_does_not_let_the_heap_grow() {
        let mut waits = WaitStatistics::default();
        waits.begin(&job(1, 1, JobPriority::Low, 0));
        for id in 2..10_000 {
            let passing = job(id, 1, JobPriority::Low, id);
            waits.begin(&passing);
            waits.end(&passing);
            waits.trim(|id| (id == JobId(1)).then_some(0));
        }
        assert!(waits.begun.len() < 2_000);
        assert_eq!(waits.metrics(|_| Some(0)).oldest_queued_at_ms, Some(0));
    }

    #[test]
    fn the_oldest_is_the_oldest_that_still_waits() {
        let mut waits = WaitStatistics::default();
        let (old, young) = (job(1, 1, JobPriority::Low, 10), job(2, 1, JobPriority::High, 20));
        waits.begin(&old);
        waits.begin(&young);
        let both = waits.metrics(|id| Some(if id == old.id { 10 } else { 20 }));
        assert_eq!((both.total(), both.oldest_queued_at_ms), (2, Some(10)));
        waits.end(&old);
        waits.assigned_after(40);
        waits.assigned_after(60);
        let one = waits.metrics(|id| (id == young.id).then_some(20));
        assert_eq!((one.total(), one.oldest_queued_at_ms), (1, Some(20)));
        assert!((one.average_wait_ms - 50.0).abs() < f64::EPSILON);
    }
}
