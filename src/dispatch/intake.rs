//! New work: deliveries with what they start, and submissions.

use std::sync::Arc;

use rustc_hash::FxHashSet;

use super::command::{Deliver, Ended, Refusal, Reply, Verdict};
use super::forecast::{Coming, Outlooks};
use super::live::{LiveJob, LiveWorkload};
use super::needs::{Ends, needed};
use super::scheduler::Scheduler;
use crate::model::{
    Change, DeliveryId, DeliveryState, Edge, Job, JobId, JobState, JobStateKind, KeyScope, Now,
    PlanError, PlannedJob, PlannedWorkload, Rare, Record, RecordName, ReportPhase, SessionWish,
    TenantId, UniqueKey, Workload, WorkloadId, WorkloadState,
};
use crate::queue::Member;

/// Of each planned workload what each of its jobs needs, as places in its list of jobs.
pub(super) type Places = Vec<Vec<Vec<usize>>>;

/// The limit of different requirements, by its key in the configuration.
pub(super) const CLASSES_MAX: &str = "classes_max";

impl Scheduler {
    pub(super) fn deliver(
        &mut self,
        now: Now,
        deliver: Deliver,
        verdict: Verdict,
    ) -> Result<Reply, Refusal> {
        let Deliver { mut delivery, mut plan, ended, adopted, about, .. } = deliver;
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
                outlooks: Vec::new(),
            });
        }
        // What cannot be started is stored all the same: the delivery was accepted.
        let limits = std::mem::take(&mut plan.limits);
        let (workloads, (needs, ends)) = match self.check_plan(&mut plan.workloads, &ended) {
            Ok(checked) => (plan.workloads, checked),
            Err(refusal) => {
                delivery.state = DeliveryState::Failed;
                delivery.reason = Some(refusal.to_string().into());
                Default::default()
            }
        };
        let (mut answered, mut started, mut refused) = (FxHashSet::default(), 0, None);
        let mut stopped = None;
        let mut outlooks = Vec::new();
        for (workload, needs) in workloads.into_iter().zip(needs) {
            let trigger = workload.trigger.clone();
            let mut verdicts = delivery.verdicts.iter_mut().enumerate();
            let verdict = verdicts.find(|(at, it)| it.trigger == trigger && !answered.contains(at));
            let verdict = verdict.map(|(at, verdict)| {
                answered.insert(at);
                verdict
            });
            // Only what may start something is bounded, and whoever waits for an answer gets it.
            let wish = workload.session.as_ref().map_or(SessionWish::Talk, |it| it.wish);
            let bound = limits.get(&trigger).filter(|_| wish == SessionWish::Talk);
            let is_bound = matches!(wish, SessionWish::Talk | SessionWish::Join);
            let stop = self
                .session_unmet(&workload)
                .or_else(|| is_bound.then(|| self.stopped(now, &trigger, bound)).flatten());
            if let Some(why) = stop {
                if let Some(verdict) = verdict {
                    verdict.why = format!("{}; not started: {why}", verdict.why);
                }
                stopped = Some(format!("trigger `{trigger}`: {why}"));
                continue;
            }
            // Where others are started the delivery has done what it could, and says so.
            match self.begin_work(now, workload, &needs, &ends, delivery.id) {
                Ok((id, outlook, note)) => {
                    started += 1;
                    if let Some(id) = id {
                        outlooks.extend(outlook.told().into_iter().map(|outlook| (id, outlook)));
                    }
                    self.note_start(now, &trigger, bound);
                    if let Some(verdict) = verdict {
                        note.iter().for_each(|note| verdict.why += &format!("; {note}"));
                        verdict.workload_id = id;
                    }
                }
                Err(refusal) => {
                    if let Some(verdict) = verdict {
                        verdict.why = format!("{}; not started: {refusal}", verdict.why);
                    }
                    refused = Some(refusal);
                }
            }
        }
        // Nothing accepted is lost: it stays, and can be replayed.
        if let Some(refusal) = refused.filter(|_| started == 0) {
            delivery.state = DeliveryState::Failed;
            delivery.reason = Some(refusal.to_string().into());
        }
        if let Some(why) =
            stopped.filter(|_| started == 0 && delivery.state == DeliveryState::Dispatched)
        {
            delivery.state = DeliveryState::Ignored;
            delivery.reason = Some(why.into());
        }
        self.hold_delivery(now, &mut delivery, about);
        // That it is taken up once more, to be planned, is no news.
        if !(adopted && delivery.state == DeliveryState::Planning) {
            self.record(Record {
                delivery_id: Some(delivery.id),
                detail: format!("{} {}", delivery.event_kind, delivery.state.as_str()).into(),
                ..Record::new(RecordName::DeliveryAccepted, now.wall_ms)
            });
        }
        let reply = Reply::Delivered {
            delivery_id: delivery.id,
            duplicate: false,
            state: delivery.state,
            verdicts: delivery.verdicts.clone(),
            outlooks,
        };
        let delivery = Box::new(delivery);
        self.out.changes.push(match adopted {
            true => Change::DeliveryDecided(delivery),
            false => Change::DeliveryInserted(delivery),
        });
        Ok(reply)
    }

    /// Makes a checked workload, or has the session that it names go on; with what is expected of it, and what people
    /// are told of the work whose place it takes.
    fn begin_work(
        &mut self,
        now: Now,
        mut workload: PlannedWorkload,
        needs: &[Vec<usize>],
        ends: &Ends,
        delivery_id: DeliveryId,
    ) -> Result<(Option<WorkloadId>, Outlooks, Option<String>), Refusal> {
        if workload.session.is_some() {
            let opened = self.open_or_join(now, workload, needs, ends, Some(delivery_id))?;
            return Ok((opened.workload_id, Outlooks::default(), None));
        }
        let outlook = self.look_ahead(now, &Coming::of(&workload, needs))?;
        let taken = self.places_for(now, &mut workload);
        let id = self.create(now, workload, needs, ends, &outlook, Some(delivery_id));
        let note = self.take_places(now, id, &taken);
        Ok((Some(id), outlook, note))
    }

    pub(super) fn submit(
        &mut self,
        now: Now,
        mut workload: PlannedWorkload,
        idempotency_key: Option<Box<str>>,
        ended: &Ended,
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
            return Ok(Reply::Submitted { workload_id, duplicate: true, outlooks: Vec::new() });
        }
        let (needs, ends) = self.check_plan(std::slice::from_mut(&mut workload), ended)?;
        let outlooks = self.look_ahead(now, &Coming::of(&workload, &needs[0]))?;
        let workload_id = self.create(now, workload, &needs[0], &ends, &outlooks, None);
        if let Some(key) = idempotency_key {
            let key = UniqueKey { scope: KeyScope::Submission, key };
            self.out.changes.push(Change::KeyAnswered(key, workload_id.to_string().into()));
        }
        Ok(Reply::Submitted { workload_id, duplicate: false, outlooks: outlooks.told() })
    }

    /// Checks everything that can be wrong with new work, before anything is made of it.
    pub(super) fn check_plan(
        &mut self,
        workloads: &mut [PlannedWorkload],
        ended: &Ended,
    ) -> Result<(Places, Ends), Refusal> {
        for workload in &mut *workloads {
            let PlannedWorkload { kind, name, tenant_id, jobs, .. } = workload;
            self.route(*tenant_id, *kind, name, jobs);
        }
        self.check_plan_as_routed(workloads, ended)
    }

    /// The same of work that was sent on its way before.
    pub(super) fn check_plan_as_routed(
        &mut self,
        workloads: &mut [PlannedWorkload],
        ended: &Ended,
    ) -> Result<(Places, Ends), Refusal> {
        let invalid = |error: PlanError| Refusal::Invalid(error.to_string().into());
        self.check_rows(workloads.iter().map(|it| 1 + 2 * it.jobs.len()).sum())?;
        let mut needs = Vec::with_capacity(workloads.len());
        for workload in &mut *workloads {
            workload.split_late_needs();
            needs.push(workload.check(self.settings.workload_jobs_max).map_err(invalid)?);
        }
        let jobs = || workloads.iter().flat_map(|workload| &workload.jobs);
        let owned = workloads.iter().flat_map(|it| it.jobs.iter().map(|job| (it.tenant_id, job)));
        self.check_admission(owned, &self.room_made_by(workloads.iter()))?;
        let ends = self.ends_of(needed(jobs()), ended)?;
        self.check_classes(jobs())?;
        Ok((needs, ends))
    }

    /// Checks that a command does not write more rows than one may.
    pub(super) fn check_rows(&self, rows: usize) -> Result<(), Refusal> {
        let max = self.settings.changes_per_command_max;
        if rows > max {
            let limit = "changes_per_command_max";
            return Err(Refusal::TooMany { what: "one request makes too many rows", limit, max });
        }
        Ok(())
    }

    /// Checks that there is room for the requirements of new jobs.
    pub(super) fn check_classes<'a>(
        &mut self,
        jobs: impl Iterator<Item = &'a PlannedJob>,
    ) -> Result<(), Refusal> {
        let wanted: Vec<_> = jobs.map(|job| &job.requirements).collect();
        if !self.has_room_for_classes(&wanted) {
            return Err(Refusal::TooMany {
                what: "too many different requirements among waiting jobs",
                limit: CLASSES_MAX,
                max: self.settings.classes_max,
            });
        }
        Ok(())
    }

    /// Makes a workload whose plan was checked; `needs` are places in its list of jobs.
    pub(super) fn create(
        &mut self,
        now: Now,
        mut planned: PlannedWorkload,
        needs: &[Vec<usize>],
        ends: &Ends,
        outlooks: &Outlooks,
        delivery_id: Option<DeliveryId>,
    ) -> WorkloadId {
        let workload_id = WorkloadId(self.marks.next_workload);
        self.marks.next_workload += 1;
        planned.terms.group.iter_mut().for_each(|group| group.name_run(workload_id));
        let succession = planned.terms.succession.as_ref();
        let quiet_until_ms = succession.map_or(0, |it| it.quiet_until_ms(now.wall_ms));
        let row = Workload {
            id: workload_id,
            run: 1,
            kind: planned.kind,
            name: self.names.share(&planned.name),
            tenant_id: planned.tenant_id,
            delivery_id,
            trigger: self.names.share(&planned.trigger),
            session_key: planned.session.and_then(|session| session.key).map(Into::into),
            terms: planned.terms.boxed(),
            open: planned.open,
            in_group: false,
            quiet_until_ms,
            state: WorkloadState::Pending,
            begun: false,
            created_at_ms: now.wall_ms,
            ended_at_ms: None,
        };
        self.record(Record {
            delivery_id,
            workload_id: Some(workload_id),
            detail: row.name.clone().into(),
            ..Record::new(RecordName::WorkloadCreated, now.wall_ms)
        });
        self.out.changes.push(Change::WorkloadInserted(row.clone()));
        self.enter_line(&row);
        self.workloads.insert(workload_id, LiveWorkload::clean(row));
        let first = self.marks.next_job;
        let id = |at: &usize| JobId(first + *at as i64);
        let needs = needs.iter().map(|needs| needs.iter().map(id).collect()).collect();
        self.add_jobs(now, workload_id, planned.jobs, needs, ends, now.wall_ms);
        self.keep_promises(now, outlooks, JobId(first));
        self.agenda.asking.push_back(Member::workload(workload_id));
        self.report(now, workload_id, ReportPhase::Made);
        workload_id
    }

    /// Adds checked jobs to a workload that is in memory, with what each needs, as old as `lane_key` says.
    pub(super) fn add_jobs(
        &mut self,
        now: Now,
        workload_id: WorkloadId,
        planned: Vec<PlannedJob>,
        needs: Vec<Vec<JobId>>,
        ends: &Ends,
        lane_key: i64,
    ) -> Vec<JobId> {
        let tenant_id = self.workloads[&workload_id].row.tenant_id;
        let first = self.marks.next_job;
        self.marks.next_job += planned.len() as i64;
        let ids: Vec<_> = (first..self.marks.next_job).map(JobId).collect();
        for ((planned, needs), &id) in planned.into_iter().zip(needs).zip(&ids) {
            let spec = Arc::clone(&planned.spec);
            let whose = (workload_id, tenant_id);
            let job = Job { lane_key, ..self.new_job(now, id, whose, planned, !needs.is_empty()) };
            let edge = |&needs_job_id| Edge { workload_id, job_id: id, needs_job_id };
            self.out.changes.push(Change::JobInserted {
                job: job.clone(),
                spec,
                edges: needs.iter().map(edge).collect(),
            });
            let unended = needs.len() + job.needs_workloads().len() + job.late_needs().len();
            self.admit(now, job, needs, unended);
        }
        self.meet_ended_needs(now, &ids, ends);
        ids
    }

    fn new_job(
        &mut self,
        now: Now,
        id: JobId,
        (workload_id, tenant_id): (WorkloadId, TenantId),
        mut planned: PlannedJob,
        needs_jobs: bool,
    ) -> Job {
        let terms = &mut planned.terms;
        terms.group.iter_mut().for_each(|group| group.name_run(workload_id));
        terms.needs_workloads.sort_unstable();
        terms.needs_workloads.dedup();
        let blocked = needs_jobs
            || !terms.needs_workloads.is_empty()
            || !terms.late_needs.is_empty()
            || !terms.run_if.is_asked();
        Job {
            id,
            workload_id,
            class_id: self.intern(&planned.requirements),
            tenant_id,
            name: self.names.share(&planned.name),
            terms: planned.terms.boxed(),
            state: if blocked { JobState::Blocked } else { JobState::Pending },
            priority: planned.priority,
            lane_key: now.wall_ms,
            queued_at_ms: now.wall_ms,
            ready_at_ms: now.wall_ms,
            not_before_ms: planned.not_before_ms,
            timeout_ms: planned.timeout_ms,
            backoff_ms: planned.retry.backoff_ms,
            attempt: 0,
            retry_count: 0,
            max_retries: planned.retry.max_retries,
            need_failed: false,
            in_group: false,
            unschedulable: false,
            extras: Rare::default(),
        }
    }

    /// Takes a waiting job's row, new or reopened, into memory, behind its gates; `unended` of what
    /// it needs has not ended, as far as is known.
    pub(super) fn admit(&mut self, now: Now, job: Job, needs: Vec<JobId>, unended: usize) {
        let (id, kind) = (job.id, job.kind());
        debug_assert!(matches!(kind, JobStateKind::Blocked | JobStateKind::Pending));
        if let Some(workload) = self.workloads.get_mut(&job.workload_id) {
            workload.add(id, kind);
        }
        self.dependencies.insert(id, needs, job.needs_workloads(), unended);
        let live = LiveJob::clean(job, |class| self.expected_run_ms(class));
        self.jobs.insert(id, live);
        self.begin_wait(id);
        if kind == JobStateKind::Pending {
            self.queued(now, id);
        }
    }

    /// A job became pending: puts it where it waits and says so.
    pub(super) fn queued(&mut self, now: Now, id: JobId) {
        self.ready(now, id);
        let record = self.job_record(now, RecordName::JobQueued, id);
        self.record(record);
    }
}
