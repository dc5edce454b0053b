//! The end of a job, and of its workload. What ends mean for others is in `needs`.

use super::scheduler::Scheduler;
use crate::model::{
    Change, EndReason, JobId, JobState, JobStateKind, Now, Record, RecordName, ReportPhase,
    WorkloadId, WorkloadState,
};
use crate::queue::NeedEnd;

impl Scheduler {
    /// Ends a job that has no live attempt any more and waits nowhere. What that means for others
    /// is on the agenda. Returns `kind`, which is the job's state from now on.
    pub(super) fn end_job(
        &mut self,
        now: Now,
        id: JobId,
        kind: JobStateKind,
        reason: EndReason,
    ) -> JobStateKind {
        let workload_id = self.jobs[&id].row.workload_id;
        let name = match kind {
            JobStateKind::Completed => RecordName::JobCompleted,
            JobStateKind::Failed => RecordName::JobFailed,
            JobStateKind::Cancelled => RecordName::JobCancelled,
            _ => RecordName::JobSkipped,
        };
        self.judge_end(now, id, reason);
        let record = self.job_record(now, name, id);
        self.set_state(id, JobState::Ended { kind, at_ms: now.wall_ms, reason });
        self.record(record);
        self.dependencies.settle(id);
        self.job_leaves_group(id);
        if let Some(end) = NeedEnd::of_job(&self.jobs[&id].row) {
            self.agenda.jobs.push_back((id, end));
        }
        self.refresh(now, workload_id);
        kind
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
        if state == WorkloadState::Running {
            self.report(now, id, ReportPhase::Started);
        }
        if ended {
            self.report(now, id, ReportPhase::Ended);
            let row = &self.workloads[&id].row;
            let record = Record {
                workload_id: Some(id),
                delivery_id: row.delivery_id,
                detail: format!("{} {}", row.name, state.as_str()).into(),
                ..Record::new(RecordName::WorkloadEnded, now.wall_ms)
            };
            self.record(record);
            self.workload_leaves_group(id);
            self.leave_line(id);
            self.archive(id);
            if self.sessions.of_workload(id).is_some() {
                self.sessions.ended_work.push_back((id, state));
            }
            if let Some(end) = NeedEnd::of_workload(state) {
                self.agenda.workloads.push_back((id, end));
            }
        }
    }

    fn archive(&mut self, id: WorkloadId) {
        let Some(workload) = self.workloads.remove(&id) else { return };
        let jobs = workload.jobs().to_vec();
        self.out.changes.push(Change::WorkloadUpdated(workload.row));
        for &job_id in &jobs {
            if let Some(job) = self.jobs.remove(&job_id) {
                self.dependencies.remove(job_id, job.row.needs_workloads());
                self.release_class(job.row.class_id);
                self.out.changes.push(Change::JobUpdated(job.row));
            }
        }
        self.out.changes.push(Change::WorkloadArchived(id, jobs));
    }
}
