//! The hold gate: jobs kept back for a moment for a less busy runner that is between two polls.

use std::collections::BTreeSet;

use rustc_hash::FxHashMap;

use crate::model::{JobId, RunnerId};

/// Held jobs, by job, by runner and by the time at which the hold ends (mono).
#[derive(Clone, Debug, Default)]
pub struct HoldGate {
    jobs: FxHashMap<JobId, (i64, RunnerId)>,
    by_time: BTreeSet<(i64, JobId)>,
    by_runner: FxHashMap<RunnerId, BTreeSet<JobId>>,
}

impl HoldGate {
    /// Holds a job for a runner.
    pub fn insert(&mut self, job: JobId, runner: RunnerId, until_ms: i64) {
        self.jobs.insert(job, (until_ms, runner));
        self.by_time.insert((until_ms, job));
        self.by_runner.entry(runner).or_default().insert(job);
    }

    /// Lets go of a job. Whether it was held.
    pub fn remove(&mut self, job: JobId) -> bool {
        let Some((until_ms, runner)) = self.jobs.remove(&job) else { return false };
        self.by_time.remove(&(until_ms, job));
        if let Some(jobs) = self.by_runner.get_mut(&runner) {
            jobs.remove(&job);
            if jobs.is_empty() {
                self.by_runner.remove(&runner);
            }
        }
        true
    }

    /// How many jobs are held.
    pub fn len(&self) -> usize {
        self.jobs.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// Takes out the next job whose hold is over, with the runner that did not come.
    pub fn pop_due(&mut self, mono_ms: i64) -> Option<(JobId, RunnerId)> {
        let &(until_ms, job) = self.by_time.first()?;
        if until_ms > mono_ms {
            return None;
        }
        let (_, runner) = *self.jobs.get(&job)?;
        self.remove(job);
        Some((job, runner))
    }

    /// When the next hold ends (mono).
    pub fn next_due_ms(&self) -> Option<i64> {
        self.by_time.first().map(|(until_ms, _)| *until_ms)
    }

    /// Jobs that are held for a runner.
    pub fn of_runner(&self, runner: RunnerId) -> Vec<JobId> {
        self.by_runner.get(&runner).into_iter().flatten().copied().collect()
    }

    /// All jobs that are held, by the runner for which they are, in no order.
    pub fn by_runner(&self) -> impl Iterator<Item = (RunnerId, &BTreeSet<JobId>)> {
        self.by_runner.iter().map(|(runner, jobs)| (*runner, jobs))
    }

    /// How many jobs are held for a runner.
    pub fn held_for(&self, runner: RunnerId) -> u32 {
        let jobs = self.by_runner.get(&runner).map_or(0, BTreeSet::len);
        u32::try_from(jobs).unwrap_or(u32::MAX)
    }

    /// For whom a job is held, and until when.
    pub fn get(&self, job: JobId) -> Option<(i64, RunnerId)> {
        self.jobs.get(&job).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_ends_by_time_or_by_hand_and_leaves_nothing() {
        let mut gate = HoldGate::default();
        gate.insert(JobId(1), RunnerId(5), 50);
        gate.insert(JobId(2), RunnerId(5), 40);
        gate.insert(JobId(3), RunnerId(6), 60);
        assert_eq!((gate.held_for(RunnerId(5)), gate.next_due_ms()), (2, Some(40)));
        assert_eq!(gate.pop_due(39), None);
        assert_eq!(gate.pop_due(40), Some((JobId(2), RunnerId(5))));
        assert!(gate.remove(JobId(1)) && !gate.remove(JobId(1)));
        assert_eq!(gate.of_runner(RunnerId(6)), [JobId(3)]);
        assert_eq!(gate.pop_due(60), Some((JobId(3), RunnerId(6))));
        assert!(gate.jobs.is_empty() && gate.by_time.is_empty() && gate.by_runner.is_empty());
    }
}
