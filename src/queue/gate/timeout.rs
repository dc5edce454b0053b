//! The timers of pending jobs that may not wait for ever.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::model::JobId;

/// When to look at which job. A timer is never taken away: whoever handles it looks at the job.
#[derive(Clone, Debug, Default)]
pub struct QueueTimeouts {
    timers: BinaryHeap<Reverse<(i64, JobId)>>,
}

impl QueueTimeouts {
    /// Fewer timers than this are never trimmed.
    const KEPT_MIN: usize = 1_024;

    /// Looks at a job at this time (wall).
    pub fn set(&mut self, at_ms: i64, job: JobId) {
        self.timers.push(Reverse((at_ms, job)));
    }

    /// Takes out the next timer that has come up, with its time.
    pub fn pop_due(&mut self, wall_ms: i64) -> Option<(i64, JobId)> {
        let Reverse((at_ms, _)) = self.timers.peek()?;
        if *at_ms > wall_ms {
            return None;
        }
        self.timers.pop().map(|Reverse(timer)| timer)
    }

    /// When the next timer comes up (wall).
    pub fn next_due_ms(&self) -> Option<i64> {
        self.timers.peek().map(|Reverse((at_ms, _))| *at_ms)
    }

    /// Throws away timers of jobs that wait no longer, once there are many more than `jobs`.
    /// `due_ms` says when a job's time is over, if it waits.
    pub fn trim(&mut self, jobs: usize, due_ms: impl Fn(JobId) -> Option<i64>) {
        if self.timers.len() > jobs.saturating_mul(2).saturating_add(Self::KEPT_MIN) {
            let mut timers = std::mem::take(&mut self.timers).into_vec();
            timers.sort_unstable();
            timers.dedup();
            timers.retain(|&Reverse((at_ms, job))| due_ms(job) == Some(at_ms));
            self.timers = timers.into();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_come_up_in_order_and_not_before() {
        let mut timeouts = QueueTimeouts::default();
        timeouts.set(20, JobId(1));
        timeouts.set(10, JobId(2));
        assert_eq!((timeouts.pop_due(9), timeouts.next_due_ms()), (None, Some(10)));
        assert_eq!(timeouts.pop_due(20), Some((10, JobId(2))));
        assert_eq!(timeouts.pop_due(20), Some((20, JobId(1))));
        assert_eq!(timeouts.next_due_ms(), None);
    }

    #[test]
    fn timers_of_jobs_that_wait_no_longer_do_not_pile_up() {
        let mut timeouts = QueueTimeouts::default();
        timeouts.set(1_000_000, JobId(1));
        for id in 2..10_000 {
            timeouts.set(1_000_000, JobId(id));
            timeouts.trim(1, |job| (job == JobId(1)).then_some(1_000_000));
        }
        assert!(timeouts.timers.len() < 2_000);
        assert_eq!(timeouts.pop_due(1_000_000), Some((1_000_000, JobId(1))));
    }
}
