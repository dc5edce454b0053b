//! The fourth law: memory is an index over the rows, and can be built from them at any time.

use std::collections::{BTreeMap, BTreeSet};

use super::live::{LiveJob, LiveWorkload};
use super::scheduler::Scheduler;
use super::sessions::Sessions;
use super::settings::Settings;
use super::succession::Lines;
use crate::model::{
    Approval, DeliveryId, Edge, Job, JobId, JobState, LeaseToken, Marks, Now, Pause, PauseScope,
    PoolId, Runner, RunnerId, ScheduleMark, Session, SessionDay, SessionId, Snapshot, TenantId,
    Workload, WorkloadId,
};
use crate::queue::{GroupKey, Member, ParallelKey};

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
    /// What is paused.
    pub pauses: BTreeMap<PauseScope, Pause>,
    /// Deliveries that wait for an approval.
    pub held: BTreeMap<DeliveryId, Approval>,
    /// How far each schedule is handled.
    pub schedules: BTreeMap<Box<str>, ScheduleMark>,
    /// Units of resources, which are part of the jobs, as the scheduler indexes them.
    pub units: BTreeMap<(Box<str>, u32), JobId>,
    /// Live leases, which are part of the jobs, as the scheduler indexes them.
    pub leases: BTreeMap<LeaseToken, (JobId, RunnerId)>,
    /// The same as questions about the near future find it: of each job in which pool it runs, since
    /// when, and whether it is to stop.
    pub runs: BTreeMap<JobId, (PoolId, i64, bool)>,
    /// Blocked jobs that wait for a decision: the same.
    pub undecided: BTreeSet<JobId>,
    /// Of each blocked job how much of what it needs has not ended, which follows from the rows.
    pub unended: BTreeMap<JobId, usize>,
    /// Of each group who is in and who waits, in order: the same.
    pub groups: BTreeMap<GroupKey, (Vec<Member>, Vec<Member>)>,
    /// Live sessions.
    pub sessions: BTreeMap<SessionId, Session>,
    /// What tenants spent on sessions.
    pub session_days: BTreeMap<TenantId, SessionDay>,
    /// Which workloads carry sessions out, which follows from their rows.
    pub session_works: BTreeMap<WorkloadId, SessionId>,
    /// Of what newer work takes the place, and which of it waits: the same.
    pub lines: Lines,
    /// Of each limit how many jobs runners have and which are offered: the same.
    pub parallel: BTreeMap<ParallelKey, (usize, Vec<JobId>)>,
}

impl Scheduler {
    /// Builds a scheduler from the rows. Every lease, and every runner's silence, gets one full
    /// term from `now`, because nobody could be heard of meanwhile.
    pub fn load(snapshot: Snapshot, settings: Settings, now: Now) -> Self {
        let Snapshot {
            epoch,
            marks,
            classes,
            workloads,
            jobs,
            edges,
            runners,
            pauses,
            held,
            schedules,
            sessions,
            session_days,
            soft,
        } = snapshot;
        let mut scheduler = Self::empty(settings, epoch);
        scheduler.marks = marks;
        scheduler.soft_flushed_ms = now.mono_ms;
        scheduler.pauses = pauses.into_iter().map(|it| (it.scope.clone(), it)).collect();
        held.into_iter().for_each(|(id, approval)| scheduler.held.insert(id, approval));
        scheduler.schedules = schedules.into_iter().map(|it| (it.name.clone(), it)).collect();
        for row in runners {
            let id = row.id;
            scheduler.out.credentials.push((id, Some(row.token_hash.clone())));
            let slot = scheduler.runners.insert(row.clone(), now.mono_ms, false);
            scheduler.index.set_runner(slot, &row);
            scheduler.invite_again(slot, &row);
            if !row.is_starting() {
                scheduler.watch_silence(now.mono_ms, id);
            }
        }
        scheduler.restore_soft(now, &soft);
        for mut row in workloads {
            row.share_names(&mut scheduler.names);
            scheduler.enter_line(&row);
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
            if !row.needs_workloads().is_empty() || !row.late_needs().is_empty() {
                needs.entry(row.id).or_default();
            }
            scheduler.load_job(row);
        }
        for (job, needs) in needs {
            scheduler.load_needs(job, needs);
        }
        scheduler.sessions = Sessions::load(sessions, session_days);
        scheduler.load_sessions();
        scheduler.load_groups();
        let mut ids: Vec<_> = scheduler.jobs.keys().collect();
        ids.sort_unstable();
        for id in ids {
            scheduler.index_job(now, id);
        }
        scheduler.open_limits(now);
        scheduler
    }

    fn load_job(&mut self, mut row: Job) {
        row.share_names(&mut self.names);
        if let Some(workload) = self.workloads.get_mut(&row.workload_id) {
            workload.add(row.id, row.counts_as(row.kind()));
        }
        self.use_class(row.class_id);
        let (id, taken) = (row.id, row.lease().is_some());
        if row.unschedulable {
            self.load_mark(row.class_id, id);
        }
        let live = LiveJob::clean(row, |class| self.expected_run_ms(class));
        self.jobs.insert(id, live);
        if taken {
            self.count_parallel(id, true);
        }
    }

    fn load_needs(&mut self, id: JobId, needs: Vec<JobId>) {
        let Some(job) = self.job(id) else { return };
        let unended = self.count_unended(job, &needs);
        let workloads = job.needs_workloads().to_vec();
        self.dependencies.insert(id, needs, &workloads, unended);
    }

    /// Puts a loaded job where its state says.
    fn index_job(&mut self, now: Now, id: JobId) {
        let job = &self.jobs[&id].row;
        match &job.state {
            JobState::Blocked => {
                let undecided = self.is_undecided(job);
                self.begin_wait(id);
                if undecided {
                    self.ask_decision(id);
                }
            }
            JobState::Pending => {
                self.begin_wait(id);
                self.place(now, id);
            }
            JobState::Claimed(lease) => {
                let renew_by = now.mono_ms.saturating_add(self.settings.ack_window_ms);
                self.resume(now, id, lease.token, renew_by, i64::MAX);
            }
            JobState::Running { lease, started_at_ms } => {
                let ran_ms = (now.wall_ms - *started_at_ms).clamp(0, job.timeout_ms);
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
        let cancelling = job.extras.cancel_requested_at_ms.is_some();
        let runner_id = job.lease().map(|lease| lease.runner_id);
        self.hold(token, id, renew_by_ms, run_until_ms);
        self.take_again(now, id);
        self.note_run(id);
        if cancelling {
            let stop_by = now.mono_ms.saturating_add(self.settings.cancel_grace_ms);
            self.leases.update(token, |live| live.stop_by_ms = stop_by);
        }
        if let Some(slot) = runner_id.and_then(|id| self.runners.slot(id)) {
            self.runners.update(slot, |runner| {
                runner.leases.push(token);
                runner.busy.set(now.mono_ms, runner.leases.len() as u64);
                if cancelling {
                    runner.cancels.push(token);
                }
            });
        }
    }

    /// Who holds which unit of which resource.
    fn held_units(&self) -> BTreeMap<(Box<str>, u32), JobId> {
        let names = self.resources.names().into_iter();
        let of = |name: Box<str>| {
            let held = self.resources.holders(&name).map_or_else(Vec::new, |(_, held)| held);
            held.into_iter().map(move |(index, job)| ((name.clone(), index), job))
        };
        names.flat_map(of).collect()
    }

    /// What the rows must say now: after every commit it equals that of a fresh load.
    pub fn durable(&self) -> Durable {
        let mut edges = Vec::new();
        for (workload_id, workload) in self.workloads.iter() {
            for &job_id in workload.jobs() {
                let needs = self.dependencies.needs(job_id).iter();
                let edge = |&needs_job_id| Edge { workload_id, job_id, needs_job_id };
                edges.extend(needs.map(edge));
            }
        }
        edges.sort_unstable();
        let unended = self.jobs.keys().map(|id| (id, self.dependencies.unended(id)));
        let group = |key: &GroupKey| {
            (key.clone(), (self.groups.inside(key), self.groups.waiting(key).collect()))
        };
        let lease =
            |(token, owner): (_, super::LeaseOwner)| (token, (owner.job_id, owner.runner_id));
        Durable {
            marks: self.marks,
            workloads: self.workloads.iter().map(|(id, it)| (id, it.row.clone())).collect(),
            jobs: self.jobs.iter().map(|(id, it)| (id, it.row.clone())).collect(),
            edges,
            runners: self
                .runners
                .iter()
                .map(|(_, it)| (it.row.id, Runner::clone(&it.row)))
                .collect(),
            pauses: self.pauses.clone(),
            held: self.held.rows().clone(),
            schedules: self.schedules.clone(),
            units: self.held_units(),
            leases: self.leases.owners().map(lease).collect(),
            runs: self.runs.places().collect(),
            undecided: self.undecided.clone(),
            unended: unended.filter(|(_, unended)| *unended > 0).collect(),
            groups: self.groups.keys().map(group).collect(),
            sessions: self.sessions.iter().map(|row| (row.id, row.clone())).collect(),
            session_days: self.sessions.days().clone(),
            session_works: self.sessions.works().clone(),
            lines: self.lines.clone(),
            parallel: self.parallel.view(),
        }
    }
}
