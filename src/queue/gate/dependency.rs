//! The dependency gate: jobs that wait for other jobs and for other workloads.
//!
//! The tracker counts what has not ended; what an end means for a job is decided by [`judge`], one
//! end at a time, so that nothing but the count and one bit of the job's row has to be remembered.

use rustc_hash::FxHashMap;

use crate::model::{EndReason, Job, JobId, JobStateKind, RunIf, WorkloadId, WorkloadState};

/// How something that a job needs ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NeedEnd {
    /// Well.
    Completed,
    /// Not well, and nothing failed: cancelled, or skipped after a cancel.
    Missed,
    /// It failed, or was skipped because something before it failed.
    Failed,
    /// It never came: its workload was closed without it.
    NeverCame,
}

impl NeedEnd {
    /// How a job ended; `None` while it has not.
    ///
    /// A failure is seen through the jobs that were skipped for it, as GitHub's `failure()` is true
    /// when any ancestor failed:
    /// <https://docs.github.com/actions/reference/workflows-and-actions/expressions#failure>.
    /// Otherwise a job that reports failures would have to name every job that can fail. A failure that
    /// is allowed is none.
    pub fn of_job(job: &Job) -> Option<Self> {
        match job.counts_as(job.kind()) {
            JobStateKind::Completed => Some(Self::Completed),
            JobStateKind::Failed => Some(Self::Failed),
            JobStateKind::Skipped if job.need_failed => Some(Self::Failed),
            JobStateKind::Skipped | JobStateKind::Cancelled => Some(Self::Missed),
            JobStateKind::Blocked
            | JobStateKind::Pending
            | JobStateKind::Claimed
            | JobStateKind::Running => None,
        }
    }

    /// How a workload ended; `None` while it has not.
    pub fn of_workload(state: WorkloadState) -> Option<Self> {
        match state {
            WorkloadState::Completed => Some(Self::Completed),
            WorkloadState::Failed => Some(Self::Failed),
            WorkloadState::Cancelled => Some(Self::Missed),
            WorkloadState::Pending | WorkloadState::Claimed | WorkloadState::Running => None,
        }
    }

    /// Whether a job that runs after failures has one.
    pub fn is_failure(self) -> bool {
        matches!(self, Self::Failed | Self::NeverCame)
    }
}

/// What becomes of a blocked job.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Judgement {
    /// It may run.
    Run,
    /// It will never run, as its plan says, and for this reason.
    Skip(EndReason),
    /// It will never run, and nobody planned that.
    Fail,
    /// Whether it runs is to be decided now, by whoever can evaluate its condition.
    Decide,
}

/// Decides about a job of which a need has just ended as `end`, while `unended` others have not;
/// `need_failed` is whether any of them failed, this one too. `None`: it waits on.
pub fn judge(run_if: RunIf, end: NeedEnd, unended: usize, need_failed: bool) -> Option<Judgement> {
    let unmet = Judgement::Skip(EndReason::NeedNotMet);
    match (run_if, end) {
        // The first that did not end well decides.
        (RunIf::Success, NeedEnd::NeverCame) => Some(Judgement::Fail),
        (RunIf::Success, NeedEnd::Missed | NeedEnd::Failed) => Some(unmet),
        _ if unended > 0 => None,
        (RunIf::Failure, _) if !need_failed => Some(unmet),
        (RunIf::Decide | RunIf::Never, _) => judge_without_needs(run_if),
        _ => Some(Judgement::Run),
    }
}

/// Decides about a job that needs nothing more. `None`: it was never blocked.
pub fn judge_without_needs(run_if: RunIf) -> Option<Judgement> {
    match run_if {
        // What is before it may have failed, and that is seen through it: so it waits for all of that.
        RunIf::Never => Some(Judgement::Skip(EndReason::ConditionFalse)),
        RunIf::Decide => Some(Judgement::Decide),
        RunIf::Success | RunIf::Failure | RunIf::Always => None,
    }
}

/// Who needs whom, among live jobs and workloads. Jobs without needs cost nothing here.
#[derive(Clone, Debug, Default)]
pub struct DependencyTracker {
    /// Of a job: the jobs that it needs, all of them, ended or not.
    needs: FxHashMap<JobId, Vec<JobId>>,
    /// Of a job: who needs it.
    dependents: FxHashMap<JobId, Vec<JobId>>,
    /// Of a workload: who needs it. It may have ended: a retry brings it back.
    workload_dependents: FxHashMap<WorkloadId, Vec<JobId>>,
    /// Of a blocked job: how many jobs and workloads that it needs have not ended, and how many
    /// jobs have not joined yet.
    unended: FxHashMap<JobId, usize>,
}

impl DependencyTracker {
    /// Records what a job needs; `unended` of all that have not ended.
    pub fn insert(
        &mut self,
        job: JobId,
        needs: Vec<JobId>,
        workloads: &[WorkloadId],
        unended: usize,
    ) {
        for &need in &needs {
            self.dependents.entry(need).or_default().push(job);
        }
        for &workload in workloads {
            self.workload_dependents.entry(workload).or_default().push(job);
        }
        if !needs.is_empty() {
            self.needs.insert(job, needs);
        }
        if unended > 0 {
            self.unended.insert(job, unended);
        }
    }

    /// A job for which another waited by name has joined, or stands in the place of one that it needs: it
    /// counted before, or [`Self::need_reopened`] counts it.
    pub fn add_need(&mut self, job: JobId, need: JobId) {
        self.needs.entry(job).or_default().push(need);
        self.dependents.entry(need).or_default().push(job);
    }

    /// Something that a job needs was retried, and it waits for it again.
    pub fn need_reopened(&mut self, job: JobId) {
        *self.unended.entry(job).or_default() += 1;
    }

    /// Something that a job needs ended; how much has not.
    #[must_use]
    pub fn need_ended(&mut self, job: JobId) -> usize {
        let Some(unended) = self.unended.get_mut(&job) else { return 0 };
        *unended -= 1;
        let left = *unended;
        if left == 0 {
            self.unended.remove(&job);
        }
        left
    }

    /// The jobs that a job needs, ended or not.
    pub fn needs(&self, job: JobId) -> &[JobId] {
        self.needs.get(&job).map_or(&[], Vec::as_slice)
    }

    /// Who needs a job, in the order of their ids.
    pub fn dependents(&self, job: JobId) -> Vec<JobId> {
        sorted(self.dependents.get(&job))
    }

    /// Who needs a workload, in the order of their ids.
    pub fn workload_dependents(&self, workload: WorkloadId) -> Vec<JobId> {
        sorted(self.workload_dependents.get(&workload))
    }

    /// How much of what a job needs has not ended.
    pub fn unended(&self, job: JobId) -> usize {
        self.unended.get(&job).copied().unwrap_or(0)
    }

    /// Jobs that wait for something that they need, in no order.
    pub fn blocked(&self) -> impl ExactSizeIterator<Item = JobId> {
        self.unended.keys().copied()
    }

    /// A job has ended: nothing that it needs matters any more.
    pub fn settle(&mut self, job: JobId) {
        self.unended.remove(&job);
    }

    /// Forgets a job whose whole workload has ended.
    pub fn remove(&mut self, job: JobId, workloads: &[WorkloadId]) {
        self.needs.remove(&job);
        self.dependents.remove(&job);
        self.unended.remove(&job);
        for workload in workloads {
            if let Some(dependents) = self.workload_dependents.get_mut(workload) {
                dependents.retain(|dependent| *dependent != job);
                if dependents.is_empty() {
                    self.workload_dependents.remove(workload);
                }
            }
        }
    }
}

fn sorted(jobs: Option<&Vec<JobId>>) -> Vec<JobId> {
    let mut jobs = jobs.cloned().unwrap_or_default();
    jobs.sort_unstable();
    jobs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_need_that_ends_leaves_none() {
        let [a, b, c, d] = [1, 2, 3, 4].map(JobId);
        let mut tracker = DependencyTracker::default();
        tracker.insert(d, vec![a], &[], 1);
        tracker.insert(c, vec![a, b], &[WorkloadId(9)], 3);
        assert_eq!(tracker.need_ended(c), 2);
        tracker.add_need(c, d);
        assert_eq!(tracker.unended(c), 2, "who joined was counted when it had not");
        assert_eq!((tracker.need_ended(c), tracker.need_ended(c)), (1, 0));
        assert_eq!(tracker.need_ended(c), 0, "an end too many changes nothing");
        assert_eq!(tracker.needs(c), [a, b, d]);
        assert_eq!(tracker.dependents(a), [c, d]);
        assert_eq!(tracker.workload_dependents(WorkloadId(9)), [c]);
    }

    #[test]
    fn a_removed_job_leaves_nothing_behind() {
        let mut tracker = DependencyTracker::default();
        tracker.insert(JobId(2), vec![JobId(1)], &[WorkloadId(9)], 2);
        tracker.remove(JobId(1), &[]);
        tracker.remove(JobId(2), &[WorkloadId(9)]);
        assert!(tracker.needs.is_empty() && tracker.dependents.is_empty());
        assert!(tracker.unended.is_empty() && tracker.workload_dependents.is_empty());
    }

    #[test]
    fn each_condition_is_decided_by_the_right_end() {
        use Judgement::{Decide, Fail, Run};
        #[expect(non_upper_case_globals, reason = "it stands in the table as the others do")]
        const Skip: Judgement = Judgement::Skip(EndReason::NeedNotMet);
        let never = Judgement::Skip(EndReason::ConditionFalse);
        use NeedEnd::{Completed, Failed, Missed, NeverCame};
        let cases = [
            (RunIf::Success, Completed, 1, false, None),
            (RunIf::Success, Completed, 0, false, Some(Run)),
            (RunIf::Success, Missed, 1, false, Some(Skip)),
            (RunIf::Success, Failed, 1, true, Some(Skip)),
            (RunIf::Success, NeverCame, 1, true, Some(Fail)),
            (RunIf::Failure, Failed, 1, true, None),
            (RunIf::Failure, Completed, 0, true, Some(Run)),
            (RunIf::Failure, Missed, 0, false, Some(Skip)),
            (RunIf::Always, Failed, 1, true, None),
            (RunIf::Always, Missed, 0, false, Some(Run)),
            (RunIf::Always, NeverCame, 0, true, Some(Run)),
            (RunIf::Never, Failed, 1, true, None),
            (RunIf::Never, Completed, 0, true, Some(never)),
            (RunIf::Decide, Failed, 1, true, None),
            (RunIf::Decide, NeverCame, 0, true, Some(Decide)),
        ];
        for (run_if, end, unended, need_failed, judgement) in cases {
            assert_eq!(
                judge(run_if, end, unended, need_failed),
                judgement,
                "{run_if:?} after {end:?}, {unended} left"
            );
        }
    }
}
