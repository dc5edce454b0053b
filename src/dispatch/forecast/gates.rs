//! What keeps a job from its lane, as far as it is known when that ends.

use rustc_hash::FxHashSet;

use super::entrant::Entrant;
use super::limits::Limit;
use super::{Forecast, Unforeseen};
use crate::dispatch::reason::Reason;
use crate::dispatch::scheduler::Scheduler;
use crate::model::{Job, JobId, JobStateKind, Now, RunIf};
use crate::queue::Member;

/// Jobs that one question may draw in, because the job that it is about needs them, or stands behind
/// them in a group.
const DRAWN_IN_MAX: usize = 100;

/// The jobs that a question is about.
#[derive(Default)]
struct Question<'a> {
    in_lanes: Vec<JobId>,
    entrants: Vec<Entrant<'a>>,
    /// Jobs to look at yet.
    open: Vec<JobId>,
    seen: FxHashSet<JobId>,
}

impl<'a> Question<'a> {
    fn about(id: JobId) -> Self {
        Self { open: vec![id], seen: [id].into_iter().collect(), ..Self::default() }
    }

    fn draw_in(&mut self, id: JobId) -> Result<(), Unforeseen> {
        if self.seen.insert(id) {
            self.open.push(id);
        }
        if self.seen.len() > DRAWN_IN_MAX { Err(Unforeseen::TooMany) } else { Ok(()) }
    }
}

impl Scheduler {
    /// When a waiting job is expected to start; `None` for one that does not wait.
    pub fn forecast(&self, now: Now, id: JobId) -> Option<Forecast> {
        let job = self.job(id)?;
        if !matches!(job.kind(), JobStateKind::Blocked | JobStateKind::Pending) {
            return None;
        }
        let mut question = Question::about(id);
        while let Some(next) = question.open.pop() {
            if let Err(why) = self.look_at(now, next, &mut question) {
                return Some(Forecast::Unknown(why));
            }
        }
        for entrant in &mut question.entrants {
            entrant.asked = entrant.job_id == id;
        }
        let fates = self.foresee(now, &question.in_lanes, &question.entrants);
        // Whoever needs one that is too far behind is behind as well.
        let behind = fates.iter().find(|(_, fate)| fate.is_behind());
        let own = fates.iter().find(|(other, _)| *other == id);
        behind.or(own).map(|(_, fate)| Forecast::of(fate))
    }

    /// Adds a job, and what it waits for, to what is played.
    fn look_at<'a>(
        &'a self,
        now: Now,
        id: JobId,
        question: &mut Question<'a>,
    ) -> Result<(), Unforeseen> {
        let Some(job) = self.job(id) else { return Ok(()) };
        match job.kind() {
            JobStateKind::Blocked => {
                let needs = self.needs_to_come(job)?;
                for need in &needs {
                    question.draw_in(*need)?;
                }
                let mut entrant = self.entrant(now, job)?;
                entrant.needs = needs;
                question.entrants.push(entrant);
            }
            JobStateKind::Pending => {
                self.can_be_foreseen(now, job)?;
                if self.jobs[&id].place.is_some() {
                    question.in_lanes.push(id);
                    return Ok(());
                }
                for before in self.before_in_group(job)? {
                    question.draw_in(before)?;
                }
                let entrant = self.entrant(now, job)?;
                question.entrants.push(entrant);
            }
            _ => {}
        }
        Ok(())
    }

    /// Jobs that a blocked one needs, while that is all that it needs.
    fn needs_to_come(&self, job: &Job) -> Result<Vec<JobId>, Unforeseen> {
        match job.run_if() {
            RunIf::Decide => return Err(Unforeseen::Decision),
            RunIf::Never => return Err(Unforeseen::Never),
            RunIf::Success | RunIf::Failure | RunIf::Always => {}
        }
        if job.needs_workloads().iter().any(|id| self.workload(*id).is_some()) {
            return Err(Unforeseen::Workload);
        }
        if !self.missing_needs(job).is_empty() {
            return Err(Unforeseen::LateJob);
        }
        self.can_have_a_runner(job)?;
        let needs = self.dependencies.needs(job.id).iter().copied();
        let unended = |id: &JobId| self.job(*id).is_some_and(|it| !it.kind().is_terminal());
        Ok(needs.filter(unended).collect())
    }

    /// Refuses a figure about a pending job that something keeps back whose end nobody knows.
    fn can_be_foreseen(&self, now: Now, job: &Job) -> Result<(), Unforeseen> {
        let mut reasons = Vec::new();
        self.explain_pauses(job, &mut reasons);
        if reasons.iter().any(|reason| matches!(reason, Reason::Paused { .. })) {
            return Err(Unforeseen::Paused);
        }
        self.explain_limits(job, &mut reasons);
        if !reasons.is_empty() {
            return Err(Unforeseen::MatrixLimit);
        }
        let demand = self.demand(job.class_id);
        let quota = self.quota.closed(job.tenant_id, demand, job.priority, now.mono_ms);
        if quota.is_some_and(|reached| reached.quota == "starts_per_minute_max") {
            return Err(Unforeseen::Rate);
        }
        self.can_have_a_runner(job)
    }

    fn can_have_a_runner(&self, job: &Job) -> Result<(), Unforeseen> {
        if self.index.runners_len(job.class_id) == 0 {
            return Err(Unforeseen::NoRunner);
        }
        let placement = job.terms.as_ref().map(|terms| &terms.placement);
        match placement.is_some_and(|it| it.anti_affinity.is_some() || it.affinity_required) {
            true => Err(Unforeseen::Placement),
            false => Ok(()),
        }
    }

    /// Jobs that go into its group before a pending job.
    fn before_in_group(&self, job: &Job) -> Result<Vec<JobId>, Unforeseen> {
        if self.workload(job.workload_id).is_some_and(|it| it.waits_for_group()) {
            return Err(Unforeseen::Group);
        }
        let Some((key, member)) = self.awaited_group(job) else { return Ok(Vec::new()) };
        let known = |member: Member| member.job_id.ok_or(Unforeseen::Group);
        let before = self.groups.waiting(&key).take_while(|it| *it != member);
        before.map(known).collect()
    }

    /// A waiting job that is in no lane, in the one where it would be.
    fn entrant<'a>(&'a self, now: Now, job: &'a Job) -> Result<Entrant<'a>, Unforeseen> {
        let requirements = self.index.requirements(job.class_id).ok_or(Unforeseen::NoRunner)?;
        let start_by_ms = self.jobs[&job.id].start_by_ms();
        let (level, _) = self.raising().lane_level(job.priority, start_by_ms, now.wall_ms);
        let held_ms = self.holds.get(job.id).map_or(0, |(until_ms, _)| until_ms - now.mono_ms);
        let quiet_until_ms = self.workload(job.workload_id).map_or(0, |it| it.quiet_until_ms);
        let delayed_ms = (job.not_before_ms.max(quiet_until_ms) - now.wall_ms).max(0);
        let group = job.group().filter(|_| !job.in_group);
        let limits = group.map(|group| self.group_limit(job.tenant_id, group));
        Ok(Entrant {
            job_id: job.id,
            class_id: job.class_id,
            requirements,
            tenant_id: job.tenant_id,
            priority: job.priority,
            level,
            lane_key: job.lane_key,
            ready_ms: held_ms.max(delayed_ms),
            needs: Vec::new(),
            limits: limits.into_iter().collect::<Vec<(Limit, u64)>>(),
            asked: false,
        })
    }
}
