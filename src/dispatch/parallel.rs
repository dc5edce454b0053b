//! Limits on how many jobs of a matrix, or of a workload, are offered or with runners.
//!
//! A job passes its matrix's limit first: the other way round jobs that wait for their matrix would
//! hold the workload's places without using them.

use super::planted::Planted;
use super::scheduler::Scheduler;
use crate::model::{JobId, Now};
use crate::queue::{ParallelKey, ParallelMove, Turn};

impl Scheduler {
    /// The limits of a job, in the order in which it passes them.
    pub(super) fn limits_of(&self, id: JobId) -> Vec<(ParallelKey, u32)> {
        let mut limits = Vec::new();
        let Some(job) = self.job(id) else { return limits };
        let workload_id = job.workload_id;
        if let Some(matrix) = job.matrix()
            && let Some(max) = matrix.max_parallel
        {
            let matrix = Some(matrix.key.clone());
            limits.push((ParallelKey { workload_id, matrix }, max));
        }
        let terms = self.workload(workload_id).and_then(|workload| workload.terms.as_deref());
        if let Some(max) = terms.and_then(|terms| terms.max_parallel) {
            limits.push((ParallelKey { workload_id, matrix: None }, max));
        }
        limits
    }

    /// Whether a job has passed all its limits, from the given one on. Otherwise it waits there:
    /// the limit is on the agenda and decides.
    pub(super) fn pass_limits(&mut self, id: JobId, from: usize) -> bool {
        let Some((key, max)) = self.limits_of(id).into_iter().nth(from) else { return true };
        if self.planted(Planted::LimitIgnored) {
            return true;
        }
        self.parallel.wait(&key, max, Turn::of(&self.jobs[&id].row));
        self.agenda.limits.insert(key);
        false
    }

    /// Offers what there is room for.
    pub(super) fn open_limits(&mut self, now: Now) {
        while let Some(key) = self.agenda.limits.pop_first() {
            while let Some(wish) = self.parallel.next_move(&key) {
                match wish {
                    ParallelMove::Offer(id) => {
                        let after = self.place_of(id, &key) + 1;
                        if self.pass_limits(id, after) {
                            self.enqueue(now, id);
                        }
                    }
                    ParallelMove::Withdraw(id) => {
                        let after = self.place_of(id, &key) + 1;
                        self.leave_limits(id, after);
                        self.withdraw(id);
                    }
                }
            }
        }
    }

    fn place_of(&self, id: JobId, key: &ParallelKey) -> usize {
        self.limits_of(id).iter().position(|(limit, _)| limit == key).unwrap_or(0)
    }

    /// Takes a pending job away from its limits, from the given one on. Whether it was at one.
    pub(super) fn leave_limits(&mut self, id: JobId, from: usize) -> bool {
        let turn = Turn::of(&self.jobs[&id].row);
        let mut found = false;
        for (key, _) in self.limits_of(id).into_iter().skip(from) {
            if self.parallel.leave(&key, turn) {
                found = true;
                self.agenda.limits.insert(key);
            }
        }
        found
    }

    /// A runner has a job, or has it no longer.
    pub(super) fn count_parallel(&mut self, id: JobId, taken: bool) {
        for (key, max) in self.limits_of(id) {
            if taken {
                self.parallel.take(&key, max);
            } else {
                self.parallel.give_back(&key);
                self.agenda.limits.insert(key);
            }
        }
    }
}
