//! Open workloads: jobs that join, and the end of that.
//!
//! A job may need others by names that nobody has yet. It stays blocked until a job of that name
//! joins, or until the workload is closed, and then the need has failed: a job that wanted its
//! needs to complete fails, because a name that never came is a mistake, and a workload that
//! completed over it would hide that; one that runs after failures, or always, may run.

use std::collections::BTreeMap;

use rustc_hash::{FxHashMap, FxHashSet};

use super::command::{Ended, Refusal, Reply, Verdict};
use super::forecast::{Coming, Outlooks};
use super::needs::{Ends, needed};
use super::planted::Planted;
use super::scheduler::Scheduler;
use super::wait_graph::{Node, reach};
use crate::model::{
    Change, Company, Edge, Job, JobId, JobStateKind, KeyScope, Name, Now, PlanError, PlannedJob,
    Record, RecordName, UniqueKey, WorkloadId, faults_of_jobs, find_cycle, sort_needs,
};
use crate::queue::NeedEnd;

/// Jobs that are about to join, and what is new between them and those that are there.
struct Joining<'a> {
    workload_id: WorkloadId,
    jobs: &'a [PlannedJob],
    /// The number of the first; the others follow.
    first: i64,
    /// What each needs.
    needs: Vec<Vec<JobId>>,
    /// Of jobs that waited for one of these names: who needs whom now.
    late: Vec<(JobId, JobId)>,
    /// Of jobs that need the one in whose place these come: the same.
    inherited: Vec<(JobId, JobId)>,
}

impl Joining<'_> {
    fn id(&self, at: usize) -> JobId {
        JobId(self.first + at as i64)
    }

    /// The place of a job that is about to join.
    fn place(&self, id: JobId) -> Option<usize> {
        usize::try_from(id.0 - self.first).ok().filter(|at| *at < self.jobs.len())
    }
}

/// The jobs of the join for which a key stands: they were numbered in one go.
fn numbers(stands_for: &str) -> Option<Vec<JobId>> {
    let (first, last) = stands_for.split_once('-')?;
    Some((first.parse().ok()?..=last.parse().ok()?).map(JobId).collect())
}

impl Scheduler {
    pub(super) fn join(
        &mut self,
        now: Now,
        workload_id: WorkloadId,
        mut jobs: Vec<PlannedJob>,
        idempotency_key: Option<Box<str>>,
        ended: &Ended,
        verdict: Verdict,
    ) -> Result<Reply, Refusal> {
        // As of a submission: a key that stands for nothing was claimed by one that was refused.
        if let Verdict::Duplicate(first) = verdict
            && !first.is_empty()
        {
            let jobs = numbers(&first).ok_or_else(|| {
                Refusal::WrongState(format!("the key of this request stands for `{first}`").into())
            })?;
            let outlooks = Vec::new();
            return Ok(Reply::Joined { workload_id, jobs, duplicate: true, outlooks });
        }
        let name = self.open_workload(workload_id)?;
        let (joining, ends) = self.check_join(workload_id, &mut jobs, ended, None)?;
        let outlooks = self.outlooks_of(now, &joining)?;
        let Joining { needs, late, first, .. } = joining;
        let ids = self.add_jobs(now, workload_id, jobs, needs, &ends, now.wall_ms);
        self.keep_promises(now, &outlooks, JobId(first));
        self.add_needs(workload_id, &late);
        self.reorder_workload(workload_id);
        self.record(Record {
            workload_id: Some(workload_id),
            detail: format!("{name}: {} jobs", ids.len()).into(),
            ..Record::new(RecordName::WorkloadJoined, now.wall_ms)
        });
        if let (Some(key), Some(first), Some(last)) = (idempotency_key, ids.first(), ids.last()) {
            let key = UniqueKey { scope: KeyScope::Submission, key };
            self.out.changes.push(Change::KeyAnswered(key, format!("{first}-{last}").into()));
        }
        self.refresh(now, workload_id);
        let outlooks = outlooks.told();
        Ok(Reply::Joined { workload_id, jobs: ids, duplicate: false, outlooks })
    }

    /// Jobs come in the place of a blocked one, whose needs have ended: they need what it needed, and
    /// whoever needs it needs each of them. They are as old as it is.
    ///
    /// # Errors
    ///
    /// As of a join; then nothing has changed.
    pub(super) fn stand_in(
        &mut self,
        now: Now,
        place: JobId,
        mut jobs: Vec<PlannedJob>,
    ) -> Result<Vec<JobId>, Refusal> {
        let Job { workload_id, lane_key, .. } = self.jobs[&place].row;
        for job in &mut jobs {
            // All that it needed has ended.
            job.terms.needs_workloads.clear();
            job.terms.group.iter_mut().for_each(|group| group.name_run(workload_id));
        }
        let (joining, ends) =
            self.check_join(workload_id, &mut jobs, &Ended::new(), Some(place))?;
        let Joining { needs, late, inherited, .. } = joining;
        let ids = self.add_jobs(now, workload_id, jobs, needs, &ends, lane_key);
        self.add_needs(workload_id, &late);
        // The end of one that has ended by now is on the agenda, and counts then.
        for (dependent, _) in &inherited {
            if self.job(*dependent).is_some_and(|job| job.kind() == JobStateKind::Blocked) {
                self.dependencies.need_reopened(*dependent);
            }
        }
        self.add_needs(workload_id, &inherited);
        self.reorder_workload(workload_id);
        Ok(ids)
    }

    /// Jobs that were there need others that have come.
    fn add_needs(&mut self, workload_id: WorkloadId, needs: &[(JobId, JobId)]) {
        for &(job_id, needs_job_id) in needs {
            self.dependencies.add_need(job_id, needs_job_id);
            let edge = Edge { workload_id, job_id, needs_job_id };
            self.out.changes.push(Change::EdgeInserted(edge));
            self.agenda.waits.push(Node::Job(job_id));
        }
    }

    pub(super) fn close(
        &mut self,
        now: Now,
        id: WorkloadId,
        author: &str,
    ) -> Result<Reply, Refusal> {
        self.open_workload(id)?;
        let jobs = self.unended_jobs(id);
        let missing = |id: JobId| self.job(id).map_or(0, |job| self.missing_needs(job).len());
        let missing: Vec<_> = jobs.into_iter().map(|id| (id, missing(id))).collect();
        self.close_door(now, id, author);
        for (job_id, missing) in missing {
            for _ in 0..missing {
                self.need_ended(now, job_id, NeedEnd::NeverCame);
            }
        }
        self.refresh(now, id);
        self.workload_reply(now, id)
    }

    /// What is expected of jobs that join; refused as a submission is.
    fn outlooks_of(&self, now: Now, joining: &Joining<'_>) -> Result<Outlooks, Refusal> {
        let waits = |id: &JobId| self.job(*id).is_some_and(|job| !job.kind().is_terminal());
        let awaits: Vec<_> = joining.needs.iter().map(|needs| needs.iter().any(waits)).collect();
        let places =
            |needs: &Vec<JobId>| needs.iter().filter_map(|id| joining.place(*id)).collect();
        let needs: Vec<Vec<usize>> = joining.needs.iter().map(places).collect();
        let row = &self.workloads[&joining.workload_id].row;
        self.look_ahead(
            now,
            &Coming {
                jobs: joining.jobs,
                needs: &needs,
                awaits: &awaits,
                tenant_id: row.tenant_id,
                trigger: &row.trigger,
                // The workload is in its group, or its jobs wait as all the others do.
                group: None,
                max_parallel: row.terms.as_ref().and_then(|terms| terms.max_parallel),
            },
        )
    }

    /// The name of a workload that jobs may join.
    fn open_workload(&self, id: WorkloadId) -> Result<Box<str>, Refusal> {
        let workload = self.workload(id).ok_or(Refusal::UnknownWorkload(id))?;
        if workload.open {
            return Ok(workload.name.clone().into());
        }
        Err(Refusal::WrongState(format!("workload {id} is not open: nothing joins it").into()))
    }

    fn check_join<'a>(
        &mut self,
        workload_id: WorkloadId,
        jobs: &'a mut [PlannedJob],
        ended: &Ended,
        place: Option<JobId>,
    ) -> Result<(Joining<'a>, Ends), Refusal> {
        let invalid = |error: PlanError| Refusal::Invalid(error.to_string().into());
        let mut known = self.workloads[&workload_id].jobs().to_vec();
        let (count, max) = (known.len() + jobs.len(), self.settings.workload_jobs_max);
        if jobs.is_empty() {
            return Err(Refusal::Invalid("no jobs were given that could join".into()));
        }
        if count > max {
            return Err(invalid(PlanError::TooManyJobs { jobs: count, max }));
        }
        let row = &self.workloads[&workload_id].row;
        let (tenant_id, kind, name) = (row.tenant_id, row.kind, row.name.clone());
        self.route(tenant_id, kind, &name, jobs);
        let first = self.marks.next_job;
        let mut by_name: FxHashMap<Name, JobId> =
            known.iter().map(|id| (self.jobs[id].row.name.clone(), *id)).collect();
        for (at, job) in jobs.iter().enumerate() {
            if by_name.insert(job.name.as_str().into(), JobId(first + at as i64)).is_some() {
                return Err(invalid(PlanError::SameName(job.name.clone())));
            }
        }
        sort_needs(jobs, |name| by_name.contains_key(name));
        let jobs = &*jobs;
        let own = |job: &PlannedJob| -> Vec<JobId> {
            let mut needs = place.map_or_else(Vec::new, |id| self.dependencies.needs(id).to_vec());
            let named = job.needs.iter().map(|need| by_name[&**need]);
            for id in named {
                if !needs.contains(&id) {
                    needs.push(id);
                }
            }
            needs
        };
        let needs = jobs.iter().map(own).collect();
        let late = self.late_edges(&known, &by_name, first);
        // Of a name that never came it was said so, and no retry may find it otherwise.
        if let Some((job, need)) = late.first().filter(|_| !self.workloads[&workload_id].row.open) {
            let (job, need) = (&self.jobs[job].row.name, usize::try_from(need.0 - first));
            let need = need.ok().and_then(|at| jobs.get(at)).map_or("", |job| &job.name);
            let text = format!("job `{job}` waited for `{need}`, which never came");
            return Err(Refusal::Invalid(text.into()));
        }
        let dependents = place.map_or_else(Vec::new, |id| self.dependencies.dependents(id));
        self.check_rows((2 + dependents.len()) * jobs.len() + late.len())?;
        let new = || (0..jobs.len() as i64).map(|at| JobId(first + at));
        let inherited = dependents.iter().flat_map(|job| new().map(|need| (*job, need)));
        let kept = !self.planted(Planted::PlaceForgotten);
        let inherited = inherited.filter(|pair| kept && !late.contains(pair)).collect();
        let joining = Joining { workload_id, jobs, first, needs, late, inherited };
        // What they come in the place of has no terms that they must agree with, and lived on though
        // others failed.
        known.retain(|id| Some(*id) != place);
        self.check_terms(workload_id, &known, jobs)?;
        if place.is_none() {
            self.check_fate(&known, jobs)?;
        }
        let ends = self.ends_of(needed(jobs.iter()), ended)?;
        self.check_circle(&joining)?;
        match place {
            None => {
                let owned = jobs.iter().map(|job| (tenant_id, job));
                self.check_admission(owned, &BTreeMap::new())?;
            }
            // They are part of what was accepted: a full queue that held them back might wait for them.
            Some(_) => jobs.iter().try_for_each(|job| self.check_can_run(tenant_id, job))?,
        }
        self.check_classes(jobs.iter())?;
        Ok((joining, ends))
    }

    /// Who waited for one of the new names.
    fn late_edges(
        &self,
        known: &[JobId],
        by_name: &FxHashMap<Name, JobId>,
        first: i64,
    ) -> Vec<(JobId, JobId)> {
        let new = |name: &str| by_name.get(name).copied().filter(|id| id.0 >= first);
        // Of ended ones too: a retry finds what they need.
        let known = known.iter().filter_map(|id| self.job(*id));
        known
            .flat_map(|job| {
                job.late_needs().iter().filter_map(|name| new(name)).map(|need| (job.id, need))
            })
            .collect()
    }

    /// Checks the requirements and terms of new jobs as those of a new workload are checked, beside
    /// the jobs that are there.
    pub(super) fn check_terms(
        &self,
        workload_id: WorkloadId,
        known: &[JobId],
        jobs: &[PlannedJob],
    ) -> Result<(), Refusal> {
        let known = || known.iter().filter_map(|id| self.job(*id));
        let whole = self.workload(workload_id).and_then(|it| it.group());
        let open = self.workload(workload_id).is_some_and(|it| it.open);
        let (groups, matrices) = (known().filter_map(Job::group), known().filter_map(Job::matrix));
        let company = Company::new(whole, groups, matrices);
        match faults_of_jobs(jobs, open, company).into_iter().next() {
            None => Ok(()),
            Some(fault) => Err(Refusal::Invalid(fault.to_string().into())),
        }
    }

    /// Checks that nothing joins what fails fast and has failed.
    fn check_fate(&self, known: &[JobId], jobs: &[PlannedJob]) -> Result<(), Refusal> {
        let known = || known.iter().filter_map(|id| self.job(*id));
        let failed = || known().filter(|job| job.counts_as(job.kind()) == JobStateKind::Failed);
        let Some(first) = failed().next() else { return Ok(()) };
        let terms = self.workload(first.workload_id).and_then(|it| it.terms.as_deref());
        let whole = terms.is_some_and(|terms| terms.fail_fast);
        let matrices: FxHashSet<_> = failed().filter_map(|job| job.matrix()).collect();
        let doomed = |job: &PlannedJob| {
            let matrix = job.terms.matrix.as_ref().filter(|matrix| matrix.fail_fast);
            whole || matrix.is_some_and(|matrix| matrices.contains(matrix))
        };
        match jobs.iter().find(|job| doomed(job)) {
            None => Ok(()),
            Some(job) => {
                let name = &job.name;
                let text = format!("job `{name}` would share the fate of one that has failed");
                Err(Refusal::WrongState(text.into()))
            }
        }
    }

    /// Checks that new jobs do not close a circle of needs: through a name for which another waits,
    /// or over workloads that need each other.
    fn check_circle(&self, joining: &Joining<'_>) -> Result<(), Refusal> {
        let starts = (0..joining.jobs.len()).map(|at| Node::Job(joining.id(at))).collect();
        let (nodes, next) = reach(starts, |node| self.needs_after(joining, node));
        let Some(path) = find_cycle(&next) else { return Ok(()) };
        let name = |node: &Node| match node {
            Node::Job(id) => match joining.place(*id) {
                Some(at) => joining.jobs[at].name.clone(),
                None => self.node_name(node),
            },
            _ => self.node_name(node),
        };
        let path = path.into_iter().map(|at| name(&nodes[at])).collect();
        Err(Refusal::Invalid(PlanError::Cycle(path).to_string().into()))
    }

    /// What a job or a workload will need when these have joined. Of jobs all needs, ended ones too:
    /// a retry makes them count again.
    fn needs_after(&self, joining: &Joining<'_>, node: &Node) -> Vec<Node> {
        let live = |ids: &[WorkloadId]| -> Vec<_> {
            let live = ids.iter().filter(|id| self.workloads.contains_key(id));
            live.map(|id| Node::Workload(*id)).collect()
        };
        let jobs = |ids: &[JobId]| ids.iter().map(|id| Node::Job(*id)).collect::<Vec<_>>();
        match node {
            Node::Job(id) => match joining.place(*id) {
                Some(at) => {
                    let workloads = live(&joining.jobs[at].terms.needs_workloads);
                    [workloads, jobs(&joining.needs[at])].concat()
                }
                None => {
                    let new = joining.late.iter().chain(&joining.inherited);
                    let late = new.filter(|(job, _)| job == id);
                    let late: Vec<_> = late.map(|(_, need)| *need).collect();
                    let job = self.job(*id).filter(|job| !job.kind().is_terminal());
                    let workloads = job.map_or_else(Vec::new, |job| live(job.needs_workloads()));
                    [workloads, jobs(self.dependencies.needs(*id)), jobs(&late)].concat()
                }
            },
            Node::Workload(id) if *id == joining.workload_id => {
                let new = (0..joining.jobs.len()).map(|at| Node::Job(joining.id(at)));
                self.unended_jobs(*id).into_iter().map(Node::Job).chain(new).collect()
            }
            Node::Workload(id) => jobs(&self.unended_jobs(*id)),
            Node::Group(_) => Vec::new(),
        }
    }
}
