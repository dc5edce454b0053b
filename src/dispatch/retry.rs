//! What people ask for after something went wrong: queue a job again, or run a workload again.

use rustc_hash::{FxHashMap, FxHashSet};

use super::command::{Ended, Refusal, Reply};
use super::live::{LiveJob, LiveWorkload};
use super::scheduler::Scheduler;
use super::wait_graph::Node;
use crate::model::{
    Archived, AttemptOutcome, Change, Job, JobId, JobResult, JobState, JobStateKind, Now, Record,
    RecordName, ReportPhase, RequeueReason, Workload, WorkloadId, WorkloadState,
};
use crate::queue::Member;

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
        if job.extras.cancel_requested_at_ms.is_some() {
            return Err(Refusal::WrongState(format!("job {id} is being cancelled").into()));
        }
        let result = JobResult {
            outcome: AttemptOutcome::Requeued,
            ..JobResult::failed(format!("requeued by {author}: {why}"))
        };
        self.finish(now, id, result, Some(RequeueReason::Manual), JobStateKind::Pending);
        self.edit_job(id, |job| {
            job.not_before_ms = 0;
            let avoided = avoid_runner.then_some(lease.runner_id);
            job.extras.edit(|extras| extras.avoid_runner_id = avoided);
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
        ended: &Ended,
        author: Box<str>,
    ) -> Result<Reply, Refusal> {
        if self.workloads.contains_key(&id) {
            let text = format!("workload {id} has not ended: wait for it, or cancel it first");
            return Err(Refusal::WrongState(text.into()));
        }
        // It may have been pruned since its rows were read.
        let archived = archived.filter(|_| !self.forgotten.knows(id));
        let archived = *archived.ok_or(Refusal::UnknownWorkload(id))?;
        if archived.workload.state == WorkloadState::Completed {
            let text = format!("workload {id} completed: there is nothing to retry");
            return Err(Refusal::WrongState(text.into()));
        }
        if archived.workload.session_key.is_some() {
            let text = format!("workload {id} is of a session: say something in that instead");
            return Err(Refusal::WrongState(text.into()));
        }
        let reopened = || archived.jobs.iter().filter(|job| is_reopened(job));
        let needed =
            reopened().flat_map(|job| job.needs_workloads().iter().map(|id| (&*job.name, *id)));
        let ends = self.ends_of(needed, ended)?;
        let Archived { workload, jobs, edges, classes } = archived;
        self.reopen_workload(now, workload, &jobs, author);
        for class in classes {
            self.add_class(class.id, class.requirements);
        }
        let mut needs: FxHashMap<JobId, Vec<JobId>> = FxHashMap::default();
        for edge in edges {
            needs.entry(edge.job_id).or_default().push(edge.needs_job_id);
        }
        let (ids, names): (Vec<_>, FxHashSet<_>) =
            jobs.iter().map(|job| (job.id, job.name.clone())).unzip();
        for job in jobs {
            let needs = needs.remove(&job.id).unwrap_or_default();
            let never_came =
                job.late_needs().iter().filter(|name| !names.contains(&***name)).count();
            self.reopen(now, job, needs, never_came);
        }
        self.meet_ended_needs(now, &ids, &ends);
        for dependent in self.dependencies.workload_dependents(id) {
            if self.job(dependent).is_some_and(|job| job.kind() == JobStateKind::Blocked) {
                self.dependencies.need_reopened(dependent);
                self.undecided.remove(&dependent);
                self.agenda.waits.push(Node::Job(dependent));
            }
        }
        self.agenda.asking.push_back(Member::workload(id));
        self.refresh(now, id);
        self.workload_reply(now, id)
    }

    /// Brings a workload back into memory, as its next run.
    fn reopen_workload(&mut self, now: Now, mut row: Workload, jobs: &[Job], author: Box<str>) {
        let id = row.id;
        row.run += 1;
        row.begun = false;
        row.ended_at_ms = None;
        row.state = WorkloadState::Pending;
        let run = row.run;
        row.share_names(&mut self.names);
        let jobs = jobs.iter().map(|job| job.id).collect();
        self.out.changes.push(Change::WorkloadReopened(id, jobs));
        self.enter_line(&row);
        self.workloads.insert(id, LiveWorkload::clean(row));
        self.edit_workload(id, |_| {});
        let record = Record {
            workload_id: Some(id),
            author: Some(author),
            detail: format!("run {run}").into(),
            ..Record::new(RecordName::WorkloadRetried, now.wall_ms)
        };
        self.record(record);
        self.report(now, id, ReportPhase::Made);
    }

    /// Brings one job of a retried workload back into memory. Of the jobs that it needs some
    /// `never_came`.
    fn reopen(&mut self, now: Now, mut job: Job, needs: Vec<JobId>, never_came: usize) {
        let id = job.id;
        job.share_names(&mut self.names);
        self.use_class(job.class_id);
        if !is_reopened(&job) {
            if let Some(workload) = self.workloads.get_mut(&job.workload_id) {
                workload.add(id, job.counts_as(job.kind()));
            }
            self.dependencies.insert(id, needs, job.needs_workloads(), 0);
            let live = LiveJob::clean(job, |class| self.expected_run_ms(class));
            self.jobs.insert(id, live);
            return;
        }
        let unended = needs.len() + job.needs_workloads().len() + never_came;
        let blocked = unended > 0 || !job.run_if().is_asked();
        job.state = if blocked { JobState::Blocked } else { JobState::Pending };
        job.queued_at_ms = now.wall_ms;
        job.ready_at_ms = now.wall_ms;
        job.lane_key = now.wall_ms;
        job.not_before_ms = 0;
        job.retry_count = 0;
        job.need_failed = false;
        job.extras.edit(|extras| {
            extras.infra_failures = 0;
            extras.avoid_runner_id = None;
            extras.cancel_requested_at_ms = None;
        });
        self.admit(now, job, needs, unended);
        self.edit_job(id, |_| {});
    }
}

/// Whether a retry runs a job again.
fn is_reopened(job: &Job) -> bool {
    job.kind() != JobStateKind::Completed
}
