//! The dependency gate: jobs that wait for other jobs of their workload.

use rustc_hash::FxHashMap;

use crate::model::JobId;

/// Who needs whom, among the jobs of live workloads. Jobs without edges cost nothing here.
#[derive(Debug, Default)]
pub struct DependencyTracker {
    /// Of a job: what it needs, all of it, met or not.
    needs: FxHashMap<JobId, Vec<JobId>>,
    /// Of a job: who needs it.
    dependents: FxHashMap<JobId, Vec<JobId>>,
    /// Of a blocked job: how many of its needs have not completed.
    unmet: FxHashMap<JobId, usize>,
}

impl DependencyTracker {
    /// Records what a job needs; `unmet` of these have not completed yet.
    pub fn insert(&mut self, job: JobId, needs: Vec<JobId>, unmet: usize) {
        debug_assert!(unmet <= needs.len());
        if needs.is_empty() {
            return;
        }
        for &need in &needs {
            self.dependents.entry(need).or_default().push(job);
        }
        self.needs.insert(job, needs);
        self.set_unmet(job, unmet);
    }

    /// Sets how many needs of a job have not completed, when a retry reopens them.
    pub fn set_unmet(&mut self, job: JobId, unmet: usize) {
        if unmet == 0 {
            self.unmet.remove(&job);
        } else {
            self.unmet.insert(job, unmet);
        }
    }

    /// A job completed: the jobs that now need nothing more, in the order of their ids.
    #[must_use]
    pub fn completed(&mut self, job: JobId) -> Vec<JobId> {
        let mut free = Vec::new();
        for &dependent in self.dependents.get(&job).into_iter().flatten() {
            if let Some(unmet) = self.unmet.get_mut(&dependent) {
                *unmet -= 1;
                if *unmet == 0 {
                    self.unmet.remove(&dependent);
                    free.push(dependent);
                }
            }
        }
        free.sort_unstable();
        free
    }

    /// What a job needs, met or not.
    pub fn needs(&self, job: JobId) -> &[JobId] {
        self.needs.get(&job).map_or(&[], Vec::as_slice)
    }

    /// Who needs a job.
    pub fn dependents(&self, job: JobId) -> &[JobId] {
        self.dependents.get(&job).map_or(&[], Vec::as_slice)
    }

    /// Forgets a job whose whole workload has ended.
    pub fn remove(&mut self, job: JobId) {
        self.needs.remove(&job);
        self.dependents.remove(&job);
        self.unmet.remove(&job);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_free_when_its_last_need_completes() {
        let [a, b, c, d] = [1, 2, 3, 4].map(JobId);
        let mut tracker = DependencyTracker::default();
        tracker.insert(c, vec![a, b], 2);
        tracker.insert(d, vec![a], 1);
        assert_eq!(tracker.completed(a), [d]);
        assert_eq!(tracker.completed(b), [c]);
        assert_eq!(tracker.completed(b), [], "a second completion frees nobody twice");
        assert_eq!(tracker.needs(c), [a, b]);
        assert_eq!(tracker.dependents(a), [c, d]);
    }

    #[test]
    fn a_removed_job_leaves_nothing_behind() {
        let mut tracker = DependencyTracker::default();
        tracker.insert(JobId(2), vec![JobId(1)], 1);
        tracker.remove(JobId(1));
        tracker.remove(JobId(2));
        assert!(tracker.needs.is_empty() && tracker.dependents.is_empty());
        assert!(tracker.unmet.is_empty());
    }
}
