//! The part of the scheduler that advice is about, as rows: a copy of all of it would keep the driver
//! waiting.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use rustc_hash::FxHashSet;

use crate::dispatch::scheduler::Scheduler;
use crate::dispatch::settings::Settings;
use crate::model::{
    Class, Edge, Job, JobId, JobStateKind, Now, RunnerId, Snapshot, TenantId, Workload, WorkloadId,
};
use crate::runner::RunTimes;

/// Workloads of up to so many jobs are taken whole, so that what needs a job that waits follows it.
const WHOLE_JOBS_MAX: usize = 50;

/// What advice is made from. Cheap to make, and independent of the scheduler it was made of.
#[derive(Clone, Debug)]
pub struct Excerpt {
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
    waiting_of: BTreeMap<TenantId, u64>,
}

impl Scheduler {
    /// The first `most` waiting jobs in dispatch order, with those that groups and paused triggers
    /// keep back, and everything that decides when they start.
    pub fn excerpt(&self, now: Now, most: usize) -> Excerpt {
        let mut chosen = self.in_order(now, self.queue.classes(), most, None);
        chosen.extend(self.kept_back(most));
        let running = self.leases.owners().map(|(_, owner)| owner.job_id);
        let mut running: Vec<_> = running.collect();
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
        self.take_needs(&mut jobs, &workloads, &whole);
        jobs.sort_unstable_by_key(|job| job.id);
        let waits = |job: &Job| matches!(job.kind(), JobStateKind::Blocked | JobStateKind::Pending);
        let waiting = jobs.iter().filter(|job| waits(job)).map(|job| job.id).collect();
        let snapshot = Snapshot {
            epoch: self.epoch,
            marks: self.marks,
            classes: self.classes_of(&jobs),
            edges: self.edges_of(&jobs, &taken),
            workloads: workloads.into_values().collect(),
            jobs,
            runners: self.runners.iter().map(|(_, runner)| runner.row.clone()).collect(),
            pauses: self.pauses(),
            soft: self.shares_and_health(now),
        };
        let runners = || self.runners.iter().map(|(_, runner)| runner);
        let foreign = runners().filter(|runner| runner.foreign_jobs > 0);
        Excerpt {
            now,
            snapshot,
            settings: self.settings.clone(),
            run_times: self.run_times.clone(),
            waiting,
            offline: runners().filter(|it| it.offline).map(|it| it.row.id).collect(),
            foreign: foreign.map(|runner| (runner.row.id, runner.foreign_jobs)).collect(),
            waiting_of: self.quota.counts().into_iter().map(|(id, _, waits)| (id, waits)).collect(),
        }
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
    fn take_needs(
        &self,
        jobs: &mut Vec<Job>,
        workloads: &BTreeMap<WorkloadId, Workload>,
        whole: &FxHashSet<WorkloadId>,
    ) {
        jobs.retain(|job| {
            let outside = job.needs_workloads().iter().any(|id| workloads.contains_key(id));
            job.kind() != JobStateKind::Blocked || (whole.contains(&job.workload_id) && !outside)
        });
    }

    fn classes_of(&self, jobs: &[Job]) -> Vec<Class> {
        let ids: BTreeSet<_> = jobs.iter().map(|job| job.class_id).collect();
        let class = |id| {
            let requirements = self.index.requirements(id)?.clone();
            Some(Class { id, requirements })
        };
        ids.into_iter().filter_map(class).collect()
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

impl Excerpt {
    /// How many jobs wait, of a tenant or of all.
    pub(super) fn jobs_waiting(&self, tenant: Option<TenantId>) -> u64 {
        let of = self.waiting_of.iter().filter(|(id, _)| tenant.is_none_or(|it| it == **id));
        of.map(|(_, waiting)| waiting).sum()
    }

    /// Jobs that are asked about, of a tenant or of all.
    pub(super) fn asked(&self, tenant: Option<TenantId>) -> impl Iterator<Item = &Job> {
        let jobs = self.snapshot.jobs.iter();
        jobs.filter(move |job| {
            self.waiting.contains(&job.id) && tenant.is_none_or(|it| it == job.tenant_id)
        })
    }
}
