//! What the end of a job or a workload means for the jobs that need it.

use rustc_hash::FxHashMap;

use super::command::{Ended, Refusal};
use super::planted::Planted;
use super::scheduler::Scheduler;
use super::wait_graph::Node;
use crate::model::{EndReason, Job, JobId, JobState, JobStateKind, Now, PlannedJob, WorkloadId};
use crate::queue::{Judgement, NeedEnd, judge, judge_without_needs};

/// How workloads ended that new jobs need and that are not live.
pub(super) type Ends = FxHashMap<WorkloadId, NeedEnd>;

impl Scheduler {
    /// A job ended: decides about those that need it and those that share its fate.
    pub(super) fn job_ended(&mut self, now: Now, id: JobId, end: NeedEnd) {
        let dependents = self.dependencies.dependents(id);
        for &dependent in &dependents {
            self.need_ended(now, dependent, end);
        }
        if self.job(id).is_some_and(|job| job.counts_as(job.kind()) == JobStateKind::Failed) {
            self.fail_fast(now, id, &dependents);
        }
    }

    /// A workload ended: decides about jobs of others that need it.
    pub(super) fn workload_ended(&mut self, now: Now, id: WorkloadId, end: NeedEnd) {
        for dependent in self.dependencies.workload_dependents(id) {
            self.need_ended(now, dependent, end);
        }
    }

    /// Something that a job needs has ended.
    pub(super) fn need_ended(&mut self, now: Now, id: JobId, end: NeedEnd) {
        let Some(job) = self.job(id).filter(|job| job.kind() == JobStateKind::Blocked) else {
            return;
        };
        let (run_if, failed_before) = (job.run_if(), job.need_failed);
        let unended = match self.dependencies.need_ended(id) {
            _ if self.planted(Planted::ReadyEarly) => 0,
            unended => unended,
        };
        let need_failed = failed_before || end.is_failure();
        if need_failed != failed_before {
            self.edit_job(id, |job| job.need_failed = need_failed);
        }
        if let Some(judgement) = judge(run_if, end, unended, need_failed) {
            self.judged(now, id, judgement);
        }
    }

    fn judged(&mut self, now: Now, id: JobId, judgement: Judgement) {
        match judgement {
            Judgement::Run => self.let_run(now, id),
            Judgement::Skip(reason) => {
                self.end_job(now, id, JobStateKind::Skipped, reason);
            }
            Judgement::Fail => {
                self.end_job(now, id, JobStateKind::Failed, EndReason::NeedNeverCame);
            }
            Judgement::Decide => self.ask_decision(id),
        }
    }

    /// A blocked job waits for nothing more that it needs. A cancel that spared it is over: what asks it to stop
    /// from now on is another one.
    pub(super) fn let_run(&mut self, now: Now, id: JobId) {
        if self.job(id).is_some_and(|job| job.extras.cancel_requested_at_ms.is_some()) {
            self.edit_job(id, |job| job.extras.edit(|extras| extras.cancel_requested_at_ms = None));
        }
        self.set_state(id, JobState::Pending);
        self.queued(now, id);
    }

    /// Decides about jobs that came into memory together, by what they need and has ended already.
    ///
    /// What had ended is looked up for all of them first: the end of one that is decided here is on
    /// the agenda, and must not count twice for the others.
    pub(super) fn meet_ended_needs(&mut self, now: Now, ids: &[JobId], ends: &Ends) {
        let met: Vec<_> = ids.iter().map(|id| (*id, self.ended_needs(*id, ends))).collect();
        for &id in ids {
            self.meet_no_needs(now, id);
        }
        if self.planted(Planted::DeadParent) {
            return;
        }
        for (id, ended) in met {
            for end in ended {
                self.need_ended(now, id, end);
            }
            let needs = self.job(id).map_or(&[][..], |job| job.needs_workloads());
            if needs.iter().any(|needed| self.workloads.contains_key(needed)) {
                self.agenda.waits.push(Node::Job(id));
            }
        }
    }

    /// Decides about a new job that is blocked and needs nothing.
    fn meet_no_needs(&mut self, now: Now, id: JobId) {
        let blocked = |job: &&Job| job.kind() == JobStateKind::Blocked;
        let Some(job) = self.job(id).filter(blocked) else { return };
        if self.dependencies.unended(id) == 0
            && let Some(judgement) = judge_without_needs(job.run_if())
        {
            self.judged(now, id, judgement);
        }
    }

    /// How those ended that a job needs and that have ended.
    fn ended_needs(&self, id: JobId, ends: &Ends) -> Vec<NeedEnd> {
        let Some(job) = self.job(id) else { return Vec::new() };
        let needs = self.dependencies.needs(id).iter();
        let jobs = needs.filter_map(|need| self.job(*need).and_then(NeedEnd::of_job));
        let gone = job.needs_workloads().iter().filter(|it| !self.workloads.contains_key(it));
        let workloads = gone.filter_map(|it| ends.get(it).copied());
        let closed = self.workload(job.workload_id).is_some_and(|it| !it.open);
        let missing = if closed { self.missing_needs(job).len() } else { 0 };
        jobs.chain(workloads).chain(std::iter::repeat_n(NeedEnd::NeverCame, missing)).collect()
    }

    /// Names for which a job still waits to join its workload.
    pub(super) fn missing_needs<'a>(&self, job: &'a Job) -> Vec<&'a str> {
        let needs = self.dependencies.needs(job.id);
        let joined = |name: &str| {
            needs.iter().any(|need| self.job(*need).is_some_and(|need| &*need.name == name))
        };
        job.late_needs().iter().map(|name| &**name).filter(|name| !joined(name)).collect()
    }

    /// How much of what a loaded job needs has not ended.
    pub(super) fn count_unended(&self, job: &Job, needs: &[JobId]) -> usize {
        if job.kind() != JobStateKind::Blocked {
            return 0;
        }
        let jobs = needs.iter().filter_map(|need| self.job(*need));
        let live = |id: &&WorkloadId| self.workloads.contains_key(id);
        let late = job.late_needs().iter().filter(|name| {
            !needs.iter().any(|need| self.job(*need).is_some_and(|need| *need.name == ***name))
        });
        let open = self.workload(job.workload_id).is_some_and(|it| it.open);
        jobs.filter(|need| !need.kind().is_terminal()).count()
            + job.needs_workloads().iter().filter(live).count()
            + if open { late.count() } else { 0 }
    }

    /// How the workloads ended that new jobs need and that are not live.
    ///
    /// # Errors
    ///
    /// [`Refusal::Invalid`] about a workload that never was, [`Refusal::LookUp`] about those of
    /// which nobody said how they ended.
    pub(super) fn ends_of<'a>(
        &self,
        needed: impl Iterator<Item = (&'a str, WorkloadId)>,
        ended: &Ended,
    ) -> Result<Ends, Refusal> {
        let said: FxHashMap<_, _> = ended.iter().copied().collect();
        let (mut ends, mut unknown) = (Ends::default(), Vec::new());
        for (job, id) in needed {
            if id.0 < 1 || id.0 >= self.marks.next_workload {
                let text = format!("job `{job}` needs workload {id}, which never was");
                return Err(Refusal::Invalid(text.into()));
            }
            if self.workloads.contains_key(&id) {
                continue;
            }
            match said.get(&id).and_then(|state| NeedEnd::of_workload(*state)) {
                Some(end) => drop(ends.insert(id, end)),
                None if unknown.contains(&id) => {}
                None => unknown.push(id),
            }
        }
        if unknown.is_empty() { Ok(ends) } else { Err(Refusal::LookUp(unknown)) }
    }
}

/// The workloads that planned jobs need, each with the job's name.
pub(super) fn needed<'a>(
    jobs: impl Iterator<Item = &'a PlannedJob>,
) -> impl Iterator<Item = (&'a str, WorkloadId)> {
    jobs.flat_map(|job| job.terms.needs_workloads.iter().map(|id| (job.name.as_str(), *id)))
}
