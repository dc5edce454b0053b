//! Jobs of which somebody outside decides what becomes of them, when everything that they need has ended.
//!
//! The scheduler knows no conditions and no outputs. It says that a job is due, once for each time that it
//! becomes so and again after each load, and waits. A decision counts while the job is due in the run in
//! which the facts were read; any other comes too late, and changes nothing.

use super::command::{Refusal, Reply};
use super::intake::CLASSES_MAX;
use super::live::LiveJob;
use super::planted::Planted;
use super::scheduler::Scheduler;
use crate::model::{
    Change, Decision, EndReason, Job, JobId, JobStateKind, JobTerms, Now, PlannedJob, Record,
    RecordName, RunIf,
};

/// The most that is kept of why something was decided so, in characters.
const WHY_CHARS_MAX: usize = 2_000;

impl Scheduler {
    /// Whether a job waits for nothing but a decision.
    pub(super) fn is_undecided(&self, job: &Job) -> bool {
        job.kind() == JobStateKind::Blocked
            && job.run_if() == RunIf::Decide
            && self.dependencies.unended(job.id) == 0
    }

    /// All that a job needs has ended: says that it is due.
    pub(super) fn ask_decision(&mut self, id: JobId) {
        if self.undecided.insert(id) && !self.planted(Planted::NotTold) {
            self.out.undecided.push(id);
        }
    }

    pub(super) fn decide(
        &mut self,
        now: Now,
        id: JobId,
        run: u32,
        decision: Decision,
    ) -> Result<Reply, Refusal> {
        let due = self.job(id).filter(|_| self.undecided.contains(&id));
        let workload = due.and_then(|job| self.workload(job.workload_id));
        if workload.is_none_or(|workload| workload.run != run) {
            return Err(Refusal::Superseded(id));
        }
        match decision {
            Decision::Run => self.let_run(now, id),
            Decision::Skip { why } => {
                if !why.is_empty() {
                    self.note_decision(now, id, &why);
                }
                self.end_job(now, id, JobStateKind::Skipped, EndReason::ConditionFalse);
            }
            Decision::Fail { why } => self.cannot_plan(now, id, &why),
            Decision::Expand { jobs } => match self.stand_in(now, id, jobs) {
                Ok(ids) => {
                    self.note_decision(now, id, &format!("{} jobs stand in its place", ids.len()));
                    let workload_id = self.jobs[&id].row.workload_id;
                    self.end_job(now, id, JobStateKind::Completed, EndReason::Expanded);
                    // What completed has no part in its turn.
                    self.reorder_workload(workload_id);
                }
                Err(refusal) => self.no_decision(now, id, refusal)?,
            },
            Decision::Replan { job } => match self.replan(now, id, *job) {
                Ok(()) => self.let_run(now, id),
                Err(refusal) => self.no_decision(now, id, refusal)?,
            },
        }
        Ok(Reply::Done)
    }

    /// What was decided cannot be done: now, and then it is to be said once more, or never.
    fn no_decision(&mut self, now: Now, id: JobId, refusal: Refusal) -> Result<(), Refusal> {
        match refusal {
            Refusal::TooMany { limit: CLASSES_MAX, .. } => Err(refusal),
            never => {
                self.cannot_plan(now, id, &never.to_string());
                Ok(())
            }
        }
    }

    fn cannot_plan(&mut self, now: Now, id: JobId, why: &str) {
        self.note_decision(now, id, why);
        self.end_job(now, id, JobStateKind::Failed, EndReason::Unplannable);
    }

    fn note_decision(&mut self, now: Now, id: JobId, what: &str) {
        let record = self.job_record(now, RecordName::JobDecided, id);
        let what: String = what.chars().take(WHY_CHARS_MAX).collect();
        self.record(Record { detail: what.into(), ..record });
    }

    /// Plans a blocked job anew, in its place.
    fn replan(&mut self, now: Now, id: JobId, mut planned: PlannedJob) -> Result<(), Refusal> {
        let row = self.jobs[&id].row.clone();
        let workload = &self.workloads[&row.workload_id].row;
        let (kind, name) = (workload.kind, workload.name.clone());
        self.complete_plan(&row, &mut planned);
        self.route(row.tenant_id, kind, &name, std::slice::from_mut(&mut planned));
        let mut others = self.workloads[&row.workload_id].jobs().to_vec();
        others.retain(|other| *other != id);
        self.check_terms(row.workload_id, &others, std::slice::from_ref(&planned))?;
        self.check_can_run(row.tenant_id, &planned)?;
        self.check_classes(std::iter::once(&planned))?;
        // What was needed is, and stays as it was made.
        let mut terms = planned.terms;
        terms.needs_workloads = row.needs_workloads().to_vec();
        terms.late_needs = row.late_needs().to_vec();
        let class_id = self.intern(&planned.requirements);
        self.release_class(row.class_id);
        // How urgent it is was known, and an operator may have changed it since.
        let after = Job {
            class_id,
            terms: terms.boxed(),
            timeout_ms: planned.timeout_ms,
            max_retries: planned.retry.max_retries,
            backoff_ms: planned.retry.backoff_ms,
            not_before_ms: planned.not_before_ms,
            ..row.clone()
        };
        self.waits.end(self.first_pool(row.class_id), &row);
        self.waits.begin(self.first_pool(class_id), &after);
        self.out.changes.push(Change::JobReplanned { job: after.clone(), spec: planned.spec });
        let due = LiveJob::clean(after.clone(), |class| self.expected_run_ms(class)).due;
        self.edit_job(id, |job| *job = after);
        if let Some(live) = self.jobs.get_mut(&id) {
            live.due = due;
        }
        self.reorder_workload(row.workload_id);
        self.note_decision(now, id, "planned anew with what it needed");
        Ok(())
    }

    /// What a job keeps when it is planned anew: its name, and what it needs.
    fn complete_plan(&self, row: &Job, planned: &mut PlannedJob) {
        let needs = self.dependencies.needs(row.id).iter().filter_map(|need| self.job(*need));
        planned.needs = needs.map(|need| need.name.to_string()).collect();
        planned.name = row.name.to_string();
        let JobTerms { needs_workloads, late_needs, group, .. } = &mut planned.terms;
        needs_workloads.clear();
        late_needs.clear();
        group.iter_mut().for_each(|group| group.name_run(row.workload_id));
    }
}
