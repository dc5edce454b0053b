//! The end of a job, what it means for those that need it, and the end of its workload.

use super::scheduler::Scheduler;
use crate::model::{
    Change, EndReason, JobId, JobState, JobStateKind, Now, Record, RecordName, WorkloadId,
};

impl Scheduler {
    /// Ends a job that has no live attempt any more, and decides about everything that needs it.
    /// Returns `kind`, which is the job's state from now on.
    pub(super) fn end_job(
        &mut self,
        now: Now,
        id: JobId,
        kind: JobStateKind,
        reason: EndReason,
    ) -> JobStateKind {
        let workload_id = self.jobs[&id].row.workload_id;
        self.mark_ended(now, id, kind, reason);
        if kind == JobStateKind::Completed {
            for free in self.dependencies.completed(id) {
                self.set_state(free, JobState::Pending);
                self.queued(now, free);
            }
        } else {
            self.skip_dependents(now, id);
        }
        self.refresh(now, workload_id);
        kind
    }

    /// Everything that needs a job which did not end well will never run. A list instead of
    /// recursion: a chain can be as long as `workload_jobs_max`.
    fn skip_dependents(&mut self, now: Now, id: JobId) {
        let mut reached = self.dependencies.dependents(id).to_vec();
        while let Some(next) = reached.pop() {
            if self.jobs.get(&next).is_some_and(|job| job.row.kind() == JobStateKind::Blocked) {
                self.mark_ended(now, next, JobStateKind::Skipped, EndReason::NeedNotMet);
                reached.extend_from_slice(self.dependencies.dependents(next));
            }
        }
    }

    /// The move of one job alone into an end.
    fn mark_ended(&mut self, now: Now, id: JobId, kind: JobStateKind, reason: EndReason) {
        let name = match kind {
            JobStateKind::Completed => RecordName::JobCompleted,
            JobStateKind::Failed => RecordName::JobFailed,
            JobStateKind::Cancelled => RecordName::JobCancelled,
            _ => RecordName::JobSkipped,
        };
        let record = self.job_record(now, name, id);
        self.set_state(id, JobState::Ended { kind, at_ms: now.wall_ms, reason });
        self.record(record);
    }

    /// Derives the state of a job's workload anew.
    pub(super) fn refresh_workload(&mut self, now: Now, id: JobId) {
        let workload_id = self.jobs[&id].row.workload_id;
        self.refresh(now, workload_id);
    }

    /// Derives a workload's state from its jobs; when it ended, its rows leave memory and the hot
    /// tables in the same batch, so that both hold exactly the live workloads.
    pub(super) fn refresh(&mut self, now: Now, id: WorkloadId) {
        let Some(workload) = self.workloads.get(&id) else { return };
        let state = workload.derived_state();
        if state == workload.row.state {
            return;
        }
        let ended = state.is_terminal();
        self.edit_workload(id, |workload| {
            workload.state = state;
            workload.ended_at_ms = ended.then_some(now.wall_ms);
        });
        if ended {
            let row = &self.workloads[&id].row;
            let record = Record {
                workload_id: Some(id),
                delivery_id: row.delivery_id,
                detail: format!("{} {}", row.name, state.as_str()).into(),
                ..Record::new(RecordName::WorkloadEnded, now.wall_ms)
            };
            self.record(record);
            self.archive(id);
        }
    }

    fn archive(&mut self, id: WorkloadId) {
        let Some(workload) = self.workloads.remove(&id) else { return };
        self.out.changes.push(Change::WorkloadUpdated(workload.row));
        for &job_id in &workload.jobs {
            self.dependencies.remove(job_id);
            if let Some(job) = self.jobs.remove(&job_id) {
                self.release_class(job.row.class_id);
                self.out.changes.push(Change::JobUpdated(job.row));
            }
        }
        self.out.changes.push(Change::WorkloadArchived(id, workload.jobs));
    }
}
