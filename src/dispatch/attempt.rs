//! One try at a job: given, started, ended, given back.

use super::command::{Refusal, Reply};
use super::leases::{LeaseOwner, LiveLease};
use super::output::LeaseChange;
use super::planted::Planted;
use super::scheduler::Scheduler;
use crate::model::{
    AssignedJob, Attempt, AttemptOutcome, Change, EndReason, Entropy, Job, JobId, JobResult,
    JobState, JobStateKind, Lease, LeaseRef, LeaseToken, Nonce, Now, RecordName, RequeueReason,
};
use crate::queue::backoff_ms;
use crate::runner::{HealthEvent, RunnerSlot};

impl Scheduler {
    /// Gives a job that is next to a runner that has a poll parked.
    pub(super) fn assign(
        &mut self,
        now: Now,
        id: JobId,
        slot: RunnerSlot,
        entropy: &mut dyn Entropy,
    ) {
        let runner = &self.runners.at(slot).expect("a waiting runner is registered").row;
        let (runner_id, pool_id) = (runner.id, runner.pool_id);
        let token = LeaseToken::new(self.epoch, self.next_sequence);
        self.next_sequence += 1;
        let nonce = Nonce(entropy.next_u64());
        let lease = Lease { token, nonce, runner_id, assigned_at_ms: now.wall_ms };
        let class = self.jobs[&id].row.class_id;
        self.count_overtaking(now, id, class);
        // First in, then out: a tenant with one job has it all the time.
        self.shares.enter(self.jobs[&id].row.tenant_id);
        self.unplace(id);
        self.set_state(id, JobState::Claimed(lease.into()));
        let needs = self.index.requirements(class).map_or(&[][..], |needs| &needs.resources);
        let units = (!needs.is_empty()).then(|| Box::new(self.resources.take(needs, id)));
        let (wait_ms, attempt) = self
            .edit_job(id, |job| {
                job.attempt += 1;
                job.extras.edit(|extras| extras.units = units);
                (now.wall_ms - job.ready_at_ms.max(job.not_before_ms), job.attempt)
            })
            .expect("the job is live");
        self.count_given(id, pool_id, wait_ms.max(0));
        self.hold(token, id, now.mono_ms.saturating_add(self.settings.ack_window_ms), i64::MAX);
        self.charge(now, token, id, slot);
        let assigned = self.assigned(&self.jobs[&id].row);
        debug_assert_eq!(assigned.attempt, attempt);
        self.assignments += 1;
        let assignments = self.assignments;
        self.runners.update(slot, |runner| {
            runner.leases.push(token);
            runner.busy.set(now.mono_ms, runner.leases.len() as u64);
            runner.given.push(assigned);
            runner.given_at = assignments;
        });
        self.occupy(id, slot);
        self.note_health(now, runner_id, HealthEvent::Given);
        self.to_answer.insert(slot);
        let record = self.job_record(now, RecordName::JobAssigned, id);
        self.record(record);
        self.judge_wait(now, id);
        self.refresh_workload(now, id);
    }

    /// Makes a lease live in memory: at its start, and when it is loaded.
    pub(super) fn hold(
        &mut self,
        token: LeaseToken,
        job_id: JobId,
        renew_by_ms: i64,
        run_until_ms: i64,
    ) {
        let job = &self.jobs[&job_id].row;
        let Some(lease) = job.lease() else { return };
        let owner = LeaseOwner {
            job_id,
            attempt: job.attempt,
            runner_id: lease.runner_id,
            nonce: lease.nonce,
        };
        let charged_ms = self.expected_run_ms(job.class_id);
        let stop_by_ms = i64::MAX;
        let live = LiveLease { owner, charged_ms, renew_by_ms, run_until_ms, stop_by_ms };
        self.leases.insert(token, live);
        self.out.leases.push(LeaseChange::Began(token, owner));
    }

    /// What a poll answers about a job that a runner has.
    pub(super) fn assigned(&self, job: &Job) -> AssignedJob {
        let workload = &self.workloads[&job.workload_id].row;
        AssignedJob {
            job_id: job.id,
            workload_id: job.workload_id,
            run: workload.run,
            kind: workload.kind,
            name: job.name.clone(),
            namespace: self.namespace(job, workload).to_string(),
            priority: job.priority,
            attempt: job.attempt,
            retry_count: job.retry_count,
            max_retries: job.max_retries,
            timeout_ms: job.timeout_ms,
            units: job.extras.units.as_deref().cloned().unwrap_or_default(),
            lease: *job.lease().expect("an assigned job has a lease"),
        }
    }

    pub(super) fn start(&mut self, now: Now, lease: LeaseRef) -> Result<Reply, Refusal> {
        let job_id = self.checked(lease)?;
        self.touch(now, lease.runner_id);
        let is_first = self.jobs[&job_id].row.kind() == JobStateKind::Claimed;
        self.begin(now, job_id);
        let workload_id = self.jobs[&job_id].row.workload_id;
        if is_first {
            self.session_started(now, lease, workload_id);
        }
        Ok(Reply::Started {
            job_id,
            workload_id,
            run: self.workloads[&workload_id].row.run,
            attempt: self.jobs[&job_id].row.attempt,
        })
    }

    /// Claimed becomes running; running stays as it is, because a start can be repeated.
    fn begin(&mut self, now: Now, id: JobId) {
        let job = &self.jobs[&id].row;
        let JobState::Claimed(lease) = &job.state else { return };
        let lease = **lease;
        let run_until = now
            .mono_ms
            .saturating_add(job.timeout_ms)
            .saturating_add(self.settings.timeout_grace_ms);
        let renew_by = now.mono_ms.saturating_add(self.settings.lease_ms);
        let workload_id = job.workload_id;
        self.set_state(id, JobState::Running { lease: lease.into(), started_at_ms: now.wall_ms });
        self.leases.update(lease.token, |live| {
            live.renew_by_ms = renew_by;
            live.run_until_ms = run_until;
        });
        self.count_started(lease.runner_id);
        if !self.workloads[&workload_id].row.begun {
            self.edit_workload(workload_id, |workload| workload.begun = true);
        }
        let record = self.job_record(now, RecordName::JobStarted, id);
        self.record(record);
        self.refresh_workload(now, id);
    }

    pub(super) fn complete(
        &mut self,
        now: Now,
        lease: LeaseRef,
        result: JobResult,
        entropy: &mut dyn Entropy,
    ) -> Result<Reply, Refusal> {
        if result.outcome == AttemptOutcome::Requeued {
            return Err(Refusal::Invalid("an attempt is given back by `release`".into()));
        }
        let job_id = self.checked(lease)?;
        self.touch(now, lease.runner_id);
        // A runner whose start was lost, or that failed before it could start, may end at once.
        let job = &self.jobs[&job_id].row;
        if job.kind() == JobStateKind::Claimed {
            self.session_not_started(job.workload_id);
        }
        self.begin(now, job_id);
        let state = self.conclude(now, job_id, result, entropy);
        Ok(Reply::Completed { job_id, state })
    }

    /// A running attempt ended by itself: decides what becomes of the job.
    pub(super) fn conclude(
        &mut self,
        now: Now,
        id: JobId,
        result: JobResult,
        entropy: &mut dyn Entropy,
    ) -> JobStateKind {
        let job = &self.jobs[&id].row;
        let cancelling = job.extras.cancel_requested_at_ms.is_some();
        let retries_left = job.retry_count < job.max_retries;
        let charged = match result.outcome {
            // Work that is done is done, even when somebody asked for a cancel meanwhile.
            AttemptOutcome::Completed => {
                self.finish(now, id, result, None, JobStateKind::Completed);
                return self.end_job(now, id, JobStateKind::Completed, EndReason::Succeeded);
            }
            AttemptOutcome::Cancelled | AttemptOutcome::Requeued => None,
            AttemptOutcome::Failed => Some((RequeueReason::Failed, EndReason::Failed)),
            AttemptOutcome::TimedOut => Some((RequeueReason::TimedOut, EndReason::TimedOut)),
        };
        match charged.filter(|_| !cancelling) {
            None => {
                let result = JobResult { outcome: AttemptOutcome::Cancelled, ..result };
                self.finish(now, id, result, None, JobStateKind::Cancelled);
                self.end_job(now, id, JobStateKind::Cancelled, EndReason::CancelRequested)
            }
            Some((requeue, _)) if retries_left => {
                self.finish(now, id, result, Some(requeue), JobStateKind::Pending);
                let backoff_max_ms = self.settings.backoff_max_ms;
                self.edit_job(id, |job| {
                    job.retry_count += 1;
                    let wait = backoff_ms(job.backoff_ms, job.retry_count, backoff_max_ms, entropy);
                    job.not_before_ms = if wait > 0 { now.wall_ms + wait } else { 0 };
                    job.extras.edit(|extras| extras.avoid_runner_id = None);
                });
                self.put_back(now, id, requeue, None);
                JobStateKind::Pending
            }
            Some((_, end)) => {
                self.finish(now, id, result, None, JobStateKind::Failed);
                self.end_job(now, id, JobStateKind::Failed, end)
            }
        }
    }

    /// The attempt is over without a result of the work: queues the job again, or ends it when it
    /// was being cancelled or has cost too much infrastructure (`blamed` counts this one).
    pub(super) fn lose(
        &mut self,
        now: Now,
        id: JobId,
        reason: RequeueReason,
        blamed: bool,
        why: &str,
    ) {
        let job = &self.jobs[&id].row;
        let Some(runner_id) = job.lease().map(|lease| lease.runner_id) else { return };
        let counted = blamed && !self.planted(Planted::LossNotCounted);
        let infra_failures = job.extras.infra_failures + u32::from(counted);
        let claimed = job.kind() == JobStateKind::Claimed;
        let cancelling =
            job.extras.cancel_requested_at_ms.is_some() && !self.planted(Planted::CancelForgotten);
        if blamed {
            let event = match reason {
                RequeueReason::LeaseLost if claimed => HealthEvent::NotStarted,
                RequeueReason::LeaseLost => HealthEvent::LeaseLost,
                _ => HealthEvent::Gone,
            };
            self.note_health(now, runner_id, event);
        }
        let poisoned = infra_failures > self.settings.infra_retries_max;
        let result = |outcome| JobResult { outcome, ..JobResult::failed(why) };
        if cancelling {
            let result = result(AttemptOutcome::Cancelled);
            self.finish(now, id, result, None, JobStateKind::Cancelled);
            self.end_job(now, id, JobStateKind::Cancelled, EndReason::CancelRequested);
            return;
        }
        let next = if poisoned { JobStateKind::Failed } else { JobStateKind::Pending };
        self.finish(now, id, result(AttemptOutcome::Requeued), Some(reason), next);
        self.edit_job(id, |job| {
            job.not_before_ms = 0;
            job.extras.edit(|extras| {
                extras.infra_failures = infra_failures;
                if blamed {
                    extras.avoid_runner_id = Some(runner_id);
                }
            });
        });
        if poisoned {
            self.set_state(id, JobState::Pending);
            self.end_job(now, id, JobStateKind::Failed, EndReason::Poisoned);
        } else {
            self.put_back(now, id, reason, None);
        }
    }

    /// Makes a job whose attempt was finished pending again.
    pub(super) fn put_back(
        &mut self,
        now: Now,
        id: JobId,
        reason: RequeueReason,
        author: Option<Box<str>>,
    ) {
        self.set_state(id, JobState::Pending);
        self.ready(now, id);
        let mut record = self.job_record(now, RecordName::JobRequeued, id);
        record.detail = reason.as_str().into();
        record.author = author;
        self.record(record);
        self.refresh_workload(now, id);
    }

    /// Ends the live attempt: its lease is gone and its row is written. The job's own state is
    /// for the caller to change, to `next`.
    pub(super) fn finish(
        &mut self,
        now: Now,
        id: JobId,
        result: JobResult,
        requeue_reason: Option<RequeueReason>,
        next: JobStateKind,
    ) {
        let outcome = result.outcome;
        let job = &self.jobs[&id].row;
        let lease = *job.lease().expect("an attempt that ends has a lease");
        let started_at_ms = match job.state {
            JobState::Running { started_at_ms, .. } => Some(started_at_ms),
            _ => None,
        };
        let ran_ms = started_at_ms.map(|at_ms| now.wall_ms - at_ms);
        let pool_id = self.count_ended(lease.runner_id, ran_ms, requeue_reason);
        let job = &self.jobs[&id].row;
        let attempt = Attempt {
            token: lease.token,
            nonce: lease.nonce,
            job_id: id,
            number: job.attempt,
            run: self.workloads[&job.workload_id].row.run,
            runner_id: lease.runner_id,
            assigned_at_ms: lease.assigned_at_ms,
            started_at_ms,
            ended_at_ms: now.wall_ms,
            outcome: result.outcome,
            requeue_reason,
            job_state: next,
            exit_code: result.exit_code,
            signal: result.signal,
            error: result.error.map(Into::into),
            outputs: result.outputs,
            pool_id,
            waited_ms: (lease.assigned_at_ms - job.ready_at_ms.max(job.not_before_ms)).max(0),
            cost_micros_per_hour: self.slot_cost_micros_per_hour(lease.runner_id),
        };
        self.out.changes.push(Change::AttemptEnded(Box::new(attempt)));
        if let Some(live) = self.leases.remove(lease.token) {
            self.out.leases.push(LeaseChange::Ended(lease.token, live.owner));
            self.give_back(now, id, live.charged_ms, ran_ms.unwrap_or(0));
            if let Some(ran_ms) = ran_ms {
                let class_id = self.jobs[&id].row.class_id;
                self.learn(class_id, lease.runner_id, outcome, ran_ms);
            }
        }
        if let Some(slot) = self.runners.slot(lease.runner_id) {
            self.runners.update(slot, |runner| {
                runner.leases.retain(|token| *token != lease.token);
                runner.busy.set(now.mono_ms, runner.leases.len() as u64);
                runner.given.retain(|job| job.lease.token != lease.token);
                runner.cancels.retain(|token| *token != lease.token);
            });
            self.vacate(id, slot);
            let done = matches!(
                outcome,
                AttemptOutcome::Completed | AttemptOutcome::Failed | AttemptOutcome::TimedOut
            );
            let event = if done { HealthEvent::Done } else { HealthEvent::Returned };
            self.note_health(now, lease.runner_id, event);
        }
        self.edit_job(id, |job| {
            job.extras.edit(|extras| (extras.external_ref, extras.units) = (None, None));
        });
    }

    /// The job of a lease that is the caller's.
    pub(super) fn checked(&self, lease: LeaseRef) -> Result<JobId, Refusal> {
        let live = self.leases.check(lease).ok_or(Refusal::LeaseLost(lease.token))?;
        Ok(live.owner.job_id)
    }
}
