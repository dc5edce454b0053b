//! What people ask for after something went wrong: queue a job again, or run a workload again.

use super::command::{Refusal, Reply};
use super::scheduler::{LiveJob, LiveWorkload, Scheduler};
use crate::model::{
    Archived, AttemptOutcome, Change, Job, JobId, JobResult, JobState, JobStateKind, Now, Record,
    RecordName, RequeueReason, WorkloadId, WorkloadState,
};

impl Scheduler {
    /// Takes a job from its runner and queues it again, at no charge.
    pub(super) fn requeue(
        &mut self,
        now: Now,
        id: JobId,
        avoid_runner: bool,
        author: &str,
        why: &str,
    ) -> Result<Reply, Refusal> {
        let job = &self.jobs.get(&id).ok_or(Refusal::UnknownJob(id))?.row;
        let Some(lease) = job.lease().copied() else {
            let text =
                format!("job {id} is {}: only a job that a runner has goes back", job.kind());
            return Err(Refusal::WrongState(text.into()));
        };
        if job.cancel_requested_at_ms.is_some() {
            return Err(Refusal::WrongState(format!("job {id} is being cancelled").into()));
        }
        let result = JobResult {
            outcome: AttemptOutcome::Requeued,
            exit_code: None,
            error: Some(format!("requeued by {author}: {why}")),
            outputs: Default::default(),
        };
        self.finish(now, id, result, Some(RequeueReason::Manual), JobStateKind::Pending);
        self.edit_job(id, |job| {
            job.not_before_ms = 0;
            job.avoid_runner_id = avoid_runner.then_some(lease.runner_id);
        });
        self.put_back(now, id, RequeueReason::Manual, Some(author.into()));
        // The runner that still works on it is told to stop.
        if let Some(slot) = self.runners.slot(lease.runner_id) {
            self.runners.update(slot, |runner| runner.cancels.push(lease.token));
            self.to_answer.insert(slot);
        }
        Ok(Reply::Job(Box::new(self.jobs[&id].row.clone())))
    }

    /// Runs everything of an ended workload again that did not complete, as run n+1.
    pub(super) fn retry(
        &mut self,
        now: Now,
        id: WorkloadId,
        archived: Option<Box<Archived>>,
        author: Box<str>,
    ) -> Result<Reply, Refusal> {
        if self.workloads.contains_key(&id) {
            let text = format!("workload {id} has not ended: wait for it, or cancel it first");
            return Err(Refusal::WrongState(text.into()));
        }
        let archived = *archived.ok_or(Refusal::UnknownWorkload(id))?;
        if archived.workload.state == WorkloadState::Completed {
            let text = format!("workload {id} completed: there is nothing to retry");
            return Err(Refusal::WrongState(text.into()));
        }
        let mut row = archived.workload;
        row.run += 1;
        row.begun = false;
        row.ended_at_ms = None;
        row.state = WorkloadState::Pending;
        let run = row.run;
        let mut live = LiveWorkload::clean(row);
        live.jobs = archived.jobs.iter().map(|job| job.id).collect();
        self.out.changes.push(Change::WorkloadReopened(id, live.jobs.clone()));
        self.workloads.insert(id, live);
        self.edit_workload(id, |_| {});
        let record = Record {
            workload_id: Some(id),
            author: Some(author),
            detail: format!("run {run}").into(),
            ..Record::new(RecordName::WorkloadRetried, now.wall_ms)
        };
        self.record(record);

        for class in archived.classes {
            self.add_class(class.id, class.requirements);
        }
        let completed: Vec<_> = archived
            .jobs
            .iter()
            .filter(|job| job.kind() == JobStateKind::Completed)
            .map(|job| job.id)
            .collect();
        for job in archived.jobs {
            let needs: Vec<_> = archived
                .edges
                .iter()
                .filter(|edge| edge.job_id == job.id)
                .map(|edge| edge.needs_job_id)
                .collect();
            self.reopen(now, job, needs, &completed);
        }
        self.refresh(now, id);
        Ok(Reply::Workload(Box::new(self.workloads[&id].row.clone())))
    }

    /// Brings one job of a retried workload back into memory.
    fn reopen(&mut self, now: Now, mut job: Job, needs: Vec<JobId>, completed: &[JobId]) {
        let id = job.id;
        self.use_class(job.class_id);
        if job.kind() == JobStateKind::Completed {
            if let Some(workload) = self.workloads.get_mut(&job.workload_id) {
                workload.counts[JobStateKind::Completed as usize] += 1;
            }
            self.jobs.insert(id, LiveJob::clean(job));
            self.dependencies.insert(id, needs, 0);
            return;
        }
        let unmet = needs.iter().filter(|need| !completed.contains(need)).count();
        job.state = if unmet > 0 { JobState::Blocked } else { JobState::Pending };
        job.queued_at_ms = now.wall_ms;
        job.lane_key = now.wall_ms;
        job.not_before_ms = 0;
        job.retry_count = 0;
        job.infra_failures = 0;
        job.avoid_runner_id = None;
        job.cancel_requested_at_ms = None;
        self.admit(now, job, needs);
        self.dependencies.set_unmet(id, unmet);
        self.edit_job(id, |_| {});
    }
}
