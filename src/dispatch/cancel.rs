//! Cancels. Work that waits ends at once; work in a runner's hands is asked to stop, and fenced
//! after `cancel_grace_ms`.

use super::command::{Refusal, Reply};
use super::planted::Planted;
use super::scheduler::Scheduler;
use crate::model::{
    AttemptOutcome, Change, EndReason, Job, JobId, JobResult, JobState, JobStateKind, Now, Record,
    RecordName, RunIf, Workload, WorkloadId,
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
        self.cancel(now, id, author, reason, EndReason::CancelRequested);
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
        if !self.workloads.contains_key(&id) {
            return Err(Refusal::UnknownWorkload(id));
        }
        self.end_spared(now, id, author, reason);
        self.cancel_all(now, id, author, reason, EndReason::CancelRequested);
        self.workload_reply(now, id)
    }

    /// Cancels all of a workload that has not ended. One that is open is closed, or it would never
    /// end. Jobs that may run however others end are spared while they wait for these, as tidying up is what
    /// they are for; only a person's second cancel ends them too.
    pub(super) fn cancel_all(
        &mut self,
        now: Now,
        id: WorkloadId,
        author: &str,
        reason: &str,
        end: EndReason,
    ) {
        if self.workload(id).is_some_and(|workload| workload.open) {
            self.close_door(now, id, author);
        }
        let jobs = self.unended_jobs(id);
        let (spared, others): (Vec<_>, Vec<_>) = jobs.into_iter().partition(|it| self.spares(*it));
        for job_id in spared {
            self.record_cancel(now, job_id, author, reason);
            self.note_cancel(now, job_id);
        }
        for job_id in others {
            self.cancel_unless_asked(now, job_id, author, reason, end);
        }
        // All of its jobs may have ended before.
        self.refresh(now, id);
    }

    /// Whether a job that waits for others of its workload may run though that is cancelled. Of a workload that
    /// has not begun nothing is to be tidied up.
    fn spares(&self, id: JobId) -> bool {
        let Some(job) = self.job(id).filter(|job| job.kind() == JobStateKind::Blocked) else {
            return false;
        };
        matches!(job.run_if(), RunIf::Always | RunIf::Decide)
            && job.extras.cancel_requested_at_ms.is_none()
            && job.needs_workloads().is_empty()
            && self.missing_needs(job).is_empty()
            && self.dependencies.unended(id) > 0
            && self.workload(job.workload_id).is_some_and(|it| it.begun && !it.waits_for_group())
    }

    /// Cancels what an earlier cancel of the workload spared, and waits still.
    fn end_spared(&mut self, now: Now, id: WorkloadId, author: &str, reason: &str) {
        for job_id in self.unended_jobs(id) {
            let spared = self.job(job_id).is_some_and(|job| {
                job.kind() == JobStateKind::Blocked && job.extras.cancel_requested_at_ms.is_some()
            });
            if spared {
                self.cancel(now, job_id, author, reason, EndReason::CancelRequested);
            }
        }
    }

    /// Nothing joins a workload any more.
    pub(super) fn close_door(&mut self, now: Now, id: WorkloadId, author: &str) {
        self.edit_workload(id, |workload| workload.open = false);
        let record = Record {
            workload_id: Some(id),
            author: Some(author.into()),
            detail: self.workloads[&id].row.name.clone().into(),
            ..Record::new(RecordName::WorkloadClosed, now.wall_ms)
        };
        self.record(record);
    }

    /// A workload's row after everything that a command led to. When it ended it has left memory,
    /// and its last row is among the changes.
    pub(super) fn workload_reply(&mut self, now: Now, id: WorkloadId) -> Result<Reply, Refusal> {
        self.drain(now);
        let last = |change: &Change| match change {
            Change::WorkloadUpdated(row) if row.id == id => Some(row.clone()),
            _ => None,
        };
        let row: Option<Workload> =
            self.workload(id).cloned().or_else(|| self.out.changes.iter().rev().find_map(last));
        row.map(|row| Reply::Workload(Box::new(row))).ok_or(Refusal::UnknownWorkload(id))
    }

    /// The jobs of a workload that have not ended, in the order in which they were made.
    pub(super) fn unended_jobs(&self, id: WorkloadId) -> Vec<JobId> {
        let jobs = self.workloads.get(&id).into_iter().flat_map(|workload| workload.jobs());
        let unended = |id: &&JobId| self.job(**id).is_some_and(|job| !job.kind().is_terminal());
        jobs.filter(unended).copied().collect()
    }

    /// A job has failed: when it shares its fate with others, and is the first of them, they are
    /// cancelled. In a workload that fails fast, blocked jobs that want to run after a failure are
    /// spared: this is what they are for.
    pub(super) fn fail_fast(&mut self, now: Now, id: JobId, dependents: &[JobId]) {
        let job = &self.jobs[&id].row;
        let (name, workload_id) = (job.name.clone(), job.workload_id);
        let workload = &self.workloads[&workload_id];
        let whole = workload.row.terms.as_deref().is_some_and(|terms| terms.fail_fast);
        let matrix = job.matrix().filter(|matrix| matrix.fail_fast);
        if (!whole && matrix.is_none()) || self.planted(Planted::FateNotShared) {
            return;
        }
        let same = |other: &Job| matrix.is_some() && other.matrix() == matrix;
        // What needs the failed job itself was blocked until now.
        let waited =
            |other: &Job| other.kind() == JobStateKind::Blocked || dependents.contains(&other.id);
        let spared = |other: &Job| waited(other) && other.run_if() != RunIf::Success;
        let shares = |other: &Job| same(other) || (whole && !spared(other));
        let others = workload.jobs().iter().filter(|other| **other != id);
        let others: Vec<_> = others
            .filter_map(|id| self.job(*id))
            .filter(|other| shares(other))
            .map(|other| (other.id, other.counts_as(other.kind())))
            .collect();
        // Those that end by this have not failed, so it happens once.
        if others.iter().any(|(_, kind)| *kind == JobStateKind::Failed) {
            return;
        }
        let reason = format!("job {id} ({name}) failed");
        for (other, _) in others {
            self.cancel_unless_asked(now, other, "fail_fast", &reason, EndReason::FailFast);
        }
    }

    /// Cancels a job that has not ended, unless that was asked before.
    pub(super) fn cancel_unless_asked(
        &mut self,
        now: Now,
        id: JobId,
        author: &str,
        reason: &str,
        end: EndReason,
    ) {
        let asked =
            |job: &Job| job.kind().is_terminal() || job.extras.cancel_requested_at_ms.is_some();
        if self.job(id).is_some_and(|job| !asked(job)) {
            self.cancel(now, id, author, reason, end);
        }
    }

    /// Cancels one job that has not ended; `end` is why, unless a runner works on it.
    fn cancel(&mut self, now: Now, id: JobId, author: &str, reason: &str, end: EndReason) {
        self.record_cancel(now, id, author, reason);
        let job = &self.jobs[&id].row;
        let first = job.extras.cancel_requested_at_ms.is_none();
        match job.state {
            JobState::Blocked => {}
            JobState::Pending => self.unplace(id),
            JobState::Claimed(ref lease) => {
                let lease = **lease;
                // Nothing runs yet: the lease is fenced at once, and a start is told that it is lost.
                let result = JobResult {
                    outcome: AttemptOutcome::Cancelled,
                    ..JobResult::failed("cancelled before it started")
                };
                self.note_cancel(now, id);
                self.finish(now, id, result, None, JobStateKind::Cancelled);
                self.tell_lost(lease.runner_id, lease.token);
            }
            JobState::Running { ref lease, .. } => {
                let lease = **lease;
                if first {
                    self.note_cancel(now, id);
                    self.note_run(id);
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
            self.note_cancel(now, id);
        }
        self.end_job(now, id, JobStateKind::Cancelled, end);
    }

    fn record_cancel(&mut self, now: Now, id: JobId, author: &str, reason: &str) {
        let mut record = self.job_record(now, RecordName::JobCancelRequested, id);
        record.author = Some(author.into());
        record.detail = reason.into();
        self.record(record);
    }

    fn note_cancel(&mut self, now: Now, id: JobId) {
        let requested = Some(now.wall_ms);
        self.edit_job(id, |job| {
            job.extras.edit(|extras| extras.cancel_requested_at_ms = requested);
        });
    }
}
