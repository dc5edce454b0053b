//! The time gate: jobs that must not be offered before a moment of the wall clock.

use std::collections::BTreeSet;

use crate::model::JobId;

/// Jobs in the order in which their time comes.
#[derive(Clone, Debug, Default)]
pub struct TimeGate {
    waiting: BTreeSet<(i64, JobId)>,
}

impl TimeGate {
    /// Holds a job until `not_before_ms` (wall).
    pub fn insert(&mut self, not_before_ms: i64, job: JobId) {
        self.waiting.insert((not_before_ms, job));
    }

    /// Lets go of a job, wherever its time stands. Whether it was held.
    pub fn remove(&mut self, not_before_ms: i64, job: JobId) -> bool {
        self.waiting.remove(&(not_before_ms, job))
    }

    /// Whether a job waits for its time.
    pub fn holds(&self, not_before_ms: i64, job: JobId) -> bool {
        self.waiting.contains(&(not_before_ms, job))
    }

    /// Takes out the next job whose time has come.
    pub fn pop_due(&mut self, wall_ms: i64) -> Option<JobId> {
        let &(at_ms, job) = self.waiting.first()?;
        if at_ms > wall_ms {
            return None;
        }
        self.waiting.pop_first();
        Some(job)
    }

    /// The jobs that it holds, in the order of their time.
    pub fn jobs(&self) -> impl ExactSizeIterator<Item = JobId> {
        self.waiting.iter().map(|&(_, job)| job)
    }

    /// When the next job's time comes (wall).
    pub fn next_due_ms(&self) -> Option<i64> {
        self.waiting.first().map(|&(at_ms, _)| at_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_come_out_in_the_order_of_their_time_and_not_before() {
        let mut gate = TimeGate::default();
        gate.insert(20, JobId(1));
        gate.insert(10, JobId(2));
        gate.insert(30, JobId(3));
        assert!(gate.holds(30, JobId(3)));
        assert!(gate.remove(30, JobId(3)));
        assert!(!gate.holds(30, JobId(3)));
        assert_eq!(gate.pop_due(9), None);
        assert_eq!(gate.next_due_ms(), Some(10));
        assert_eq!(gate.pop_due(20), Some(JobId(2)));
        assert_eq!(gate.pop_due(20), Some(JobId(1)));
        assert_eq!(gate.pop_due(i64::MAX), None);
    }
}
