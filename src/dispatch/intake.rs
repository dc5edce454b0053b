//! New work: deliveries with what they start, and submissions.

use super::command::{Deliver, Refusal, Reply, Verdict};
use super::scheduler::{LiveJob, LiveWorkload, Scheduler};
use crate::model::{
    Change, DeliveryId, DeliveryState, Edge, Job, JobId, JobState, JobStateKind, KeyScope, Now,
    PlannedWorkload, Record, RecordName, UniqueKey, Workload, WorkloadId, WorkloadState,
};

impl Scheduler {
    pub(super) fn deliver(
        &mut self,
        now: Now,
        deliver: Deliver,
        verdict: Verdict,
    ) -> Result<Reply, Refusal> {
        let Deliver { mut delivery, plan, .. } = deliver;
        if let Verdict::Duplicate(first) = verdict {
            let delivery_id = first.parse::<DeliveryId>().map_err(|_| {
                Refusal::Invalid(format!("the key of this delivery stands for `{first}`").into())
            })?;
            return Ok(Reply::Delivered {
                delivery_id,
                // Its own id: an earlier try of this very request was committed after all.
                duplicate: delivery_id != delivery.id,
                state: delivery.state,
                verdicts: delivery.verdicts,
            });
        }
        // What cannot be started is stored all the same: the delivery was accepted.
        let (workloads, needs) = match self.check_plan(&plan.workloads) {
            Ok(needs) => (plan.workloads, needs),
            Err(refusal) => {
                delivery.state = DeliveryState::Failed;
                delivery.reason = Some(refusal.to_string().into());
                (Vec::new(), Vec::new())
            }
        };
        for (workload, needs) in workloads.into_iter().zip(needs) {
            let trigger = workload.trigger.clone();
            let id = self.create(now, workload, &needs, Some(delivery.id));
            let verdict = delivery
                .verdicts
                .iter_mut()
                .find(|verdict| verdict.trigger == trigger && verdict.workload_id.is_none());
            if let Some(verdict) = verdict {
                verdict.workload_id = Some(id);
            }
        }
        self.record(Record {
            delivery_id: Some(delivery.id),
            detail: format!("{} {}", delivery.event_kind, delivery.state.as_str()).into(),
            ..Record::new(RecordName::DeliveryAccepted, now.wall_ms)
        });
        let reply = Reply::Delivered {
            delivery_id: delivery.id,
            duplicate: false,
            state: delivery.state,
            verdicts: delivery.verdicts.clone(),
        };
        self.out.changes.push(Change::DeliveryInserted(Box::new(delivery)));
        Ok(reply)
    }

    pub(super) fn submit(
        &mut self,
        now: Now,
        workload: PlannedWorkload,
        idempotency_key: Option<Box<str>>,
        verdict: Verdict,
    ) -> Result<Reply, Refusal> {
        // A key that stands for nothing was claimed by a request that was refused, in a batch that
        // was committed for others: no accepted one leaves its key unanswered.
        if let Verdict::Duplicate(first) = verdict
            && !first.is_empty()
        {
            let workload_id = first.parse().map_err(|_| {
                Refusal::WrongState(format!("the key of this request stands for `{first}`").into())
            })?;
            return Ok(Reply::Submitted { workload_id, duplicate: true });
        }
        let needs = self.check_plan(std::slice::from_ref(&workload))?.remove(0);
        let workload_id = self.create(now, workload, &needs, None);
        if let Some(key) = idempotency_key {
            let key = UniqueKey { scope: KeyScope::Submission, key };
            self.out.changes.push(Change::KeyAnswered(key, workload_id));
        }
        Ok(Reply::Submitted { workload_id, duplicate: false })
    }

    /// Checks everything that can be wrong with new work, before anything is made of it.
    fn check_plan(
        &mut self,
        workloads: &[PlannedWorkload],
    ) -> Result<Vec<Vec<Vec<usize>>>, Refusal> {
        let rows: usize = workloads.iter().map(|it| 1 + 2 * it.jobs.len()).sum();
        let max = self.settings.changes_per_command_max;
        if rows > max {
            let limit = "changes_per_command_max";
            return Err(Refusal::TooMany { what: "one request makes too many rows", limit, max });
        }
        let needs = workloads
            .iter()
            .map(|workload| workload.check(self.settings.workload_jobs_max))
            .collect::<Result<_, _>>()
            .map_err(|error| Refusal::Invalid(error.to_string().into()))?;
        let jobs = workloads.iter().flat_map(|workload| &workload.jobs);
        let wanted: Vec<_> = jobs.map(|job| &job.requirements).collect();
        if !self.has_room_for_classes(&wanted) {
            return Err(Refusal::TooMany {
                what: "too many different requirements among waiting jobs",
                limit: "classes_max",
                max: self.settings.classes_max,
            });
        }
        Ok(needs)
    }

    /// Makes a workload whose plan was checked; `needs` are places in its list of jobs.
    fn create(
        &mut self,
        now: Now,
        planned: PlannedWorkload,
        needs: &[Vec<usize>],
        delivery_id: Option<DeliveryId>,
    ) -> WorkloadId {
        let workload_id = WorkloadId(self.marks.next_workload);
        self.marks.next_workload += 1;
        let first_job = self.marks.next_job;
        self.marks.next_job += planned.jobs.len() as i64;
        let row = Workload {
            id: workload_id,
            run: 1,
            kind: planned.kind,
            name: planned.name.into(),
            tenant_id: planned.tenant_id,
            delivery_id,
            trigger: planned.trigger.into(),
            session_key: planned.session_key.map(Into::into),
            state: WorkloadState::Pending,
            begun: false,
            created_at_ms: now.wall_ms,
            ended_at_ms: None,
        };
        self.record(Record {
            delivery_id,
            workload_id: Some(workload_id),
            detail: row.name.clone(),
            ..Record::new(RecordName::WorkloadCreated, now.wall_ms)
        });
        self.out.changes.push(Change::WorkloadInserted(row.clone()));
        let mut live = LiveWorkload::clean(row);
        live.jobs = (first_job..self.marks.next_job).map(JobId).collect();
        let tenant_id = live.row.tenant_id;
        let ids = live.jobs.clone();
        self.workloads.insert(workload_id, live);

        for ((planned, needs), &id) in planned.jobs.into_iter().zip(needs).zip(&ids) {
            let class_id = self.intern(&planned.requirements);
            let blocked = !needs.is_empty();
            let job = Job {
                id,
                workload_id,
                class_id,
                tenant_id,
                name: planned.name.into(),
                state: if blocked { JobState::Blocked } else { JobState::Pending },
                priority: planned.priority,
                lane_key: now.wall_ms,
                queued_at_ms: now.wall_ms,
                not_before_ms: planned.not_before_ms,
                timeout_ms: planned.timeout_ms,
                backoff_ms: planned.retry.backoff_ms,
                attempt: 0,
                retry_count: 0,
                max_retries: planned.retry.max_retries,
                infra_failures: 0,
                avoid_runner_id: None,
                cancel_requested_at_ms: None,
                external_ref: None,
            };
            let needs: Vec<_> = needs.iter().map(|&at| ids[at]).collect();
            let edge = |&needs_job_id| Edge { workload_id, job_id: id, needs_job_id };
            self.out.changes.push(Change::JobInserted {
                job: job.clone(),
                spec: planned.spec,
                edges: needs.iter().map(edge).collect(),
            });
            self.admit(now, job, needs);
        }
        workload_id
    }

    /// Takes a waiting job's row, new or reopened, into memory, behind its gates.
    pub(super) fn admit(&mut self, now: Now, job: Job, needs: Vec<JobId>) {
        let (id, kind) = (job.id, job.kind());
        debug_assert!(matches!(kind, JobStateKind::Blocked | JobStateKind::Pending));
        if let Some(workload) = self.workloads.get_mut(&job.workload_id) {
            workload.counts[kind as usize] += 1;
        }
        self.waits.begin(&job);
        let unmet = needs.len();
        self.jobs.insert(id, LiveJob::clean(job));
        self.dependencies.insert(id, needs, unmet);
        if kind == JobStateKind::Pending {
            self.queued(now, id);
        }
    }

    /// A job became pending: puts it where it waits and says so.
    pub(super) fn queued(&mut self, now: Now, id: JobId) {
        self.place(now, id);
        let record = self.job_record(now, RecordName::JobQueued, id);
        self.record(record);
    }
}
