//! The part of the scheduler that advice is about: a copy of all of it would keep the driver waiting.
//!
//! What is copied on the driver's thread is small: the jobs that wait in front with their workloads,
//! a line for each job that runs, and pointers to the rows of runners. Rows are made of that by
//! whoever plays (`rows.rs`).

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rustc_hash::FxHashSet;

use crate::dispatch::runs::{Run, RunAt, RunKind};
use crate::dispatch::scheduler::Scheduler;
use crate::dispatch::settings::Settings;
use crate::model::{
    Class, ClassId, Edge, Job, JobId, JobState, JobStateKind, Now, RunIf, Runner, RunnerId,
    Snapshot, TenantId, Workload, WorkloadId,
};
use crate::runner::RunTimes;

/// Workloads of up to so many jobs are taken whole, so that what needs a job that waits follows it.
const WHOLE_JOBS_MAX: usize = 50;

/// What advice is made from. Cheap to make, and independent of the scheduler it was made of.
#[derive(Clone, Debug)]
pub struct Excerpt {
    /// All but what follows.
    pub(super) rows: Rows,
    /// What runs and is all of its workload.
    pub(super) alone: Vec<(RunKind, RunAt, Run)>,
    pub(super) runners: Vec<Arc<Runner>>,
}

/// The same as rows.
#[derive(Clone, Debug)]
pub(super) struct Rows {
    pub(super) now: Now,
    pub(super) snapshot: Snapshot,
    pub(super) settings: Settings,
    pub(super) run_times: RunTimes,
    /// Jobs that are asked about.
    pub(super) waiting: BTreeSet<JobId>,
    /// Runners that were silent for too long.
    pub(super) offline: BTreeSet<RunnerId>,
    /// Slots of runners that others use.
    pub(super) foreign: BTreeMap<RunnerId, u32>,
    /// Of each tenant the jobs that wait, all of them.
    pub(super) waiting_of: BTreeMap<TenantId, u64>,
}

impl Scheduler {
    /// The first `most` waiting jobs in dispatch order, with those that groups and paused triggers
    /// keep back, and everything that decides when they start.
    pub fn excerpt(&self, now: Now, most: usize) -> Excerpt {
        let mut chosen = self.in_order(now, self.queue.classes(), most, None);
        chosen.extend(self.kept_back(most));
        let (alone, others): (Vec<_>, Vec<_>) = self.runs.iter().partition(|(.., run)| run.alone);
        let mut running: Vec<_> = others.into_iter().map(|(_, (_, id), _)| id).collect();
        running.sort_unstable();

        let (mut jobs, mut taken) = (Vec::new(), FxHashSet::default());
        let (mut workloads, mut whole) = (BTreeMap::new(), FxHashSet::default());
        for id in chosen.iter().chain(&running) {
            let Some(job) = self.job(*id) else { continue };
            let Some(workload) = self.workloads.get(&job.workload_id) else { continue };
            if let Entry::Vacant(place) = workloads.entry(workload.row.id) {
                let is_whole = workload.jobs().len() <= WHOLE_JOBS_MAX && taken.len() < 2 * most;
                if is_whole {
                    whole.insert(workload.row.id);
                    let all = workload.jobs().iter().filter_map(|id| self.job(*id));
                    jobs.extend(all.filter(|job| taken.insert(job.id)).cloned());
                }
                // One of which a part is missing never ends in the copy.
                let open = workload.row.open || !is_whole;
                place.insert(Workload { open, ..workload.row.clone() });
            }
            if taken.insert(*id) {
                jobs.push(job.clone());
            }
        }
        self.take_needs(&mut jobs, &whole);
        jobs.sort_unstable_by_key(|job| job.id);
        let waits = |job: &Job| matches!(job.kind(), JobStateKind::Blocked | JobStateKind::Pending);
        let waiting = jobs.iter().filter(|job| waits(job)).map(|job| job.id).collect();
        let classes = alone.iter().map(|(kind, ..)| kind.class_id);
        let classes = classes.chain(jobs.iter().map(|job| job.class_id)).collect();
        let snapshot = Snapshot {
            epoch: self.epoch,
            marks: self.marks,
            classes: self.classes_of(&classes),
            edges: self.edges_of(&jobs, &taken),
            workloads: workloads.into_values().collect(),
            jobs,
            runners: Vec::new(),
            pauses: self.pauses(),
            // Nothing of them is played.
            held: Vec::new(),
            schedules: Vec::new(),
            soft: self.shares_and_health(now),
            ..Snapshot::default()
        };
        let runners = || self.runners.iter().map(|(_, runner)| runner);
        let foreign = runners().filter(|runner| runner.foreign_jobs > 0);
        let rows = Rows {
            now,
            snapshot,
            settings: self.settings.clone(),
            run_times: self.run_times.clone(),
            waiting,
            offline: runners().filter(|it| it.offline).map(|it| it.row.id).collect(),
            foreign: foreign.map(|runner| (runner.row.id, runner.foreign_jobs)).collect(),
            waiting_of: self.quota.counts().into_iter().map(|(id, _, waits)| (id, waits)).collect(),
        };
        Excerpt { rows, alone, runners: runners().map(|it| Arc::clone(&it.row)).collect() }
    }

    /// Jobs that wait for their group, or behind a paused trigger.
    fn kept_back(&self, most: usize) -> Vec<JobId> {
        let mut keys: Vec<_> = self.groups.keys().collect();
        keys.sort_unstable();
        let members = keys.into_iter().flat_map(|key| self.groups.waiting(key));
        let grouped = members.flat_map(|member| match member.job_id {
            Some(id) => vec![id],
            None => {
                let workload = self.workloads.get(&member.workload_id);
                workload.map_or_else(Vec::new, |workload| workload.jobs().to_vec())
            }
        });
        let waits = |id: &JobId| {
            let kind = self.job(*id).map(Job::kind);
            matches!(kind, Some(JobStateKind::Blocked | JobStateKind::Pending))
        };
        grouped
            .chain(self.paused_triggers.iter().flat_map(|(_, jobs)| jobs.iter().copied()))
            .filter(waits)
            .take(most / 2)
            .collect()
    }

    /// Of workloads that are not whole a job's needs are not there: it would wait for ever, so only
    /// jobs that need nothing more are left of them.
    fn take_needs(&self, jobs: &mut Vec<Job>, whole: &FxHashSet<WorkloadId>) {
        jobs.retain(|job| {
            let outside = job.needs_workloads().iter().any(|id| self.workload(*id).is_some());
            job.kind() != JobStateKind::Blocked || (whole.contains(&job.workload_id) && !outside)
        });
        // Nobody decides anything in a copy: what may run is taken to.
        for job in jobs.iter_mut().filter(|job| job.run_if() == RunIf::Decide) {
            if self.undecided.contains(&job.id) {
                job.state = JobState::Pending;
            }
            if let Some(terms) = &mut job.terms {
                terms.run_if = RunIf::Always;
            }
        }
    }

    fn classes_of(&self, ids: &BTreeSet<ClassId>) -> Vec<Class> {
        let class = |id: &ClassId| {
            let requirements = self.index.requirements(*id)?.clone();
            Some(Class { id: *id, requirements })
        };
        ids.iter().filter_map(class).collect()
    }

    fn edges_of(&self, jobs: &[Job], taken: &FxHashSet<JobId>) -> Vec<Edge> {
        let edges = jobs.iter().flat_map(|job| {
            let needs = self.dependencies.needs(job.id).iter().filter(|id| taken.contains(id));
            needs.map(|&needs_job_id| Edge {
                workload_id: job.workload_id,
                job_id: job.id,
                needs_job_id,
            })
        });
        edges.collect()
    }
}
