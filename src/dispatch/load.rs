//! The fourth law: memory is an index over the rows, and can be built from them at any time.

use std::collections::BTreeMap;

use super::scheduler::{LiveJob, LiveWorkload, Scheduler};
use super::settings::Settings;
use crate::model::{
    Edge, Job, JobId, JobState, JobStateKind, LeaseToken, Marks, Now, Runner, RunnerId, Snapshot,
    Workload, WorkloadId,
};

/// Everything of the scheduler that rows must say, in an order that makes it comparable.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Durable {
    /// Ids to continue from.
    pub marks: Marks,
    /// Live workloads.
    pub workloads: BTreeMap<WorkloadId, Workload>,
    /// Their jobs.
    pub jobs: BTreeMap<JobId, Job>,
    /// Their edges.
    pub edges: Vec<Edge>,
    /// Registered runners.
    pub runners: BTreeMap<RunnerId, Runner>,
    /// Live leases, which are part of the jobs, as the scheduler indexes them.
    pub leases: BTreeMap<LeaseToken, (JobId, RunnerId)>,
}

impl Scheduler {
    /// Builds a scheduler from the rows. Every lease, and every runner's silence, gets one full
    /// term from `now`, because nobody could be heard of meanwhile.
    pub fn load(snapshot: Snapshot, settings: Settings, now: Now) -> Self {
        let Snapshot { epoch, marks, classes, workloads, jobs, edges, runners } = snapshot;
        let mut scheduler = Self::empty(settings, epoch);
        scheduler.marks = marks;
        for row in runners {
            let id = row.id;
            scheduler.out.credentials.push((id, Some(row.token_hash.clone())));
            let slot = scheduler.runners.insert(row.clone(), now.mono_ms, false);
            scheduler.index.set_runner(slot, &row);
            scheduler.watch_silence(now.mono_ms, id);
        }
        for row in workloads {
            scheduler.workloads.insert(row.id, LiveWorkload::clean(row));
        }
        for class in classes {
            scheduler.add_class(class.id, class.requirements);
        }
        let mut needs: BTreeMap<JobId, Vec<JobId>> = BTreeMap::new();
        for edge in edges {
            needs.entry(edge.job_id).or_default().push(edge.needs_job_id);
        }
        for row in jobs {
            scheduler.load_job(row);
        }
        for (job, needs) in needs {
            let completed = |need: &&JobId| {
                scheduler.job(**need).is_some_and(|job| job.kind() == JobStateKind::Completed)
            };
            let unmet = needs.len() - needs.iter().filter(completed).count();
            scheduler.dependencies.insert(job, needs, unmet);
        }
        let mut ids: Vec<_> = scheduler.jobs.keys().copied().collect();
        ids.sort_unstable();
        for id in ids {
            scheduler.index_job(now, id);
        }
        scheduler
    }

    fn load_job(&mut self, row: Job) {
        if let Some(workload) = self.workloads.get_mut(&row.workload_id) {
            workload.jobs.push(row.id);
            workload.counts[row.kind() as usize] += 1;
        }
        self.use_class(row.class_id);
        self.jobs.insert(row.id, LiveJob::clean(row));
    }

    /// Puts a loaded job where its state says.
    fn index_job(&mut self, now: Now, id: JobId) {
        let job = &self.jobs[&id].row;
        match job.state {
            JobState::Blocked => self.waits.begin(job),
            JobState::Pending => {
                self.waits.begin(job);
                self.place(now, id);
            }
            JobState::Claimed(lease) => {
                let renew_by = now.mono_ms.saturating_add(self.settings.ack_window_ms);
                self.resume(now, id, lease.token, renew_by, i64::MAX);
            }
            JobState::Running { lease, started_at_ms } => {
                let ran_ms = (now.wall_ms - started_at_ms).clamp(0, job.timeout_ms);
                let left_ms = job.timeout_ms - ran_ms;
                let run_until = now
                    .mono_ms
                    .saturating_add(left_ms)
                    .saturating_add(self.settings.timeout_grace_ms.max(self.settings.lease_ms));
                let renew_by = now.mono_ms.saturating_add(self.settings.lease_ms);
                self.resume(now, id, lease.token, renew_by, run_until);
            }
            JobState::Ended { .. } => {}
        }
    }

    /// Holds a loaded lease again, for one full term.
    fn resume(
        &mut self,
        now: Now,
        id: JobId,
        token: LeaseToken,
        renew_by_ms: i64,
        run_until_ms: i64,
    ) {
        let job = &self.jobs[&id].row;
        let cancelling = job.cancel_requested_at_ms.is_some();
        let runner_id = job.lease().map(|lease| lease.runner_id);
        self.hold(token, id, renew_by_ms, run_until_ms);
        if cancelling {
            let stop_by = now.mono_ms.saturating_add(self.settings.cancel_grace_ms);
            self.leases.update(token, |live| live.stop_by_ms = stop_by);
        }
        if let Some(slot) = runner_id.and_then(|id| self.runners.slot(id)) {
            self.runners.update(slot, |runner| {
                runner.leases.push(token);
                if cancelling {
                    runner.cancels.push(token);
                }
            });
        }
    }

    /// What the rows must say now: after every commit it equals that of a fresh load.
    pub fn durable(&self) -> Durable {
        let mut edges = Vec::new();
        for (&workload_id, workload) in &self.workloads {
            for &job_id in &workload.jobs {
                let needs = self.dependencies.needs(job_id).iter();
                let edge = |&needs_job_id| Edge { workload_id, job_id, needs_job_id };
                edges.extend(needs.map(edge));
            }
        }
        edges.sort_unstable();
        let lease =
            |(token, owner): (_, super::LeaseOwner)| (token, (owner.job_id, owner.runner_id));
        Durable {
            marks: self.marks,
            workloads: self.workloads.iter().map(|(id, it)| (*id, it.row.clone())).collect(),
            jobs: self.jobs.iter().map(|(id, it)| (*id, it.row.clone())).collect(),
            edges,
            runners: self.runners.iter().map(|(_, it)| (it.row.id, it.row.clone())).collect(),
            leases: self.leases.owners().map(lease).collect(),
        }
    }
}
