//! Cancels. Work that waits ends at once; work in a runner's hands is asked to stop, and fenced
//! after `cancel_grace_ms`.

use super::command::{Refusal, Reply};
use super::scheduler::Scheduler;
use crate::model::{
    AttemptOutcome, Change, EndReason, JobId, JobResult, JobState, JobStateKind, Now, RecordName,
    WorkloadId,
};

impl Scheduler {
    pub(super) fn cancel_job(
        &mut self,
        now: Now,
        id: JobId,
        author: &str,
        reason: &str,
    ) -> Result<Reply, Refusal> {
        let job = self.jobs.get(&id).ok_or(Refusal::UnknownJob(id))?;
        if job.row.kind().is_terminal() {
            return Err(Refusal::WrongState(
                format!("job {id} has ended: {}", job.row.kind()).into(),
            ));
        }
        let mut row = job.row.clone();
        self.cancel(now, id, author, reason);
        if let Some(job) = self.jobs.get(&id) {
            row = job.row.clone();
        } else {
            // It was the last of its workload, which has left memory.
            let (kind, reason) = (JobStateKind::Cancelled, EndReason::CancelRequested);
            row.state = JobState::Ended { kind, at_ms: now.wall_ms, reason };
        }
        Ok(Reply::Job(Box::new(row)))
    }

    pub(super) fn cancel_workload(
        &mut self,
        now: Now,
        id: WorkloadId,
        author: &str,
        reason: &str,
    ) -> Result<Reply, Refusal> {
        let workload = self.workloads.get(&id).ok_or(Refusal::UnknownWorkload(id))?;
        let mut row = workload.row.clone();
        for job_id in workload.jobs.clone() {
            if self.jobs.get(&job_id).is_some_and(|job| !job.row.kind().is_terminal()) {
                self.cancel(now, job_id, author, reason);
            }
        }
        // When all of it had ended it has left memory, and its last row is among the changes.
        let last = self.out.changes.iter().rev().find_map(|change| match change {
            Change::WorkloadUpdated(row) if row.id == id => Some(row),
            _ => None,
        });
        if let Some(last) = self.workloads.get(&id).map(|workload| &workload.row).or(last) {
            row = last.clone();
        }
        Ok(Reply::Workload(Box::new(row)))
    }

    /// Cancels one job that has not ended.
    fn cancel(&mut self, now: Now, id: JobId, author: &str, reason: &str) {
        let mut record = self.job_record(now, RecordName::JobCancelRequested, id);
        record.author = Some(author.into());
        record.detail = reason.into();
        self.record(record);
        let job = &self.jobs[&id].row;
        let first = job.cancel_requested_at_ms.is_none();
        match job.state {
            JobState::Blocked => {}
            JobState::Pending => self.unplace(id),
            JobState::Claimed(_) => {
                // Nothing runs yet: the lease is fenced at once, and a start is told that it is lost.
                let result = JobResult {
                    outcome: AttemptOutcome::Cancelled,
                    exit_code: None,
                    error: Some("cancelled before it started".into()),
                    outputs: Default::default(),
                };
                self.edit_job(id, |job| job.cancel_requested_at_ms = Some(now.wall_ms));
                self.finish(now, id, result, None, JobStateKind::Cancelled);
            }
            JobState::Running { lease, .. } => {
                if first {
                    self.edit_job(id, |job| job.cancel_requested_at_ms = Some(now.wall_ms));
                    let stop_by = now.mono_ms.saturating_add(self.settings.cancel_grace_ms);
                    self.leases.update(lease.token, |live| live.stop_by_ms = stop_by);
                    if let Some(slot) = self.runners.slot(lease.runner_id) {
                        self.runners.update(slot, |runner| runner.cancels.push(lease.token));
                        self.to_answer.insert(slot);
                    }
                }
                return;
            }
            JobState::Ended { .. } => return,
        }
        if first {
            self.edit_job(id, |job| job.cancel_requested_at_ms = Some(now.wall_ms));
        }
        self.end_job(now, id, JobStateKind::Cancelled, EndReason::CancelRequested);
    }
}
