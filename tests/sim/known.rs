//! What the checker remembers by itself of what no row says: where jobs wait, who polls, who was
//! overtaken. It follows commands and records by their documented meaning, and never looks into
//! the scheduler.

use std::collections::{BTreeMap, BTreeSet};

use dispatchyard::dispatch::Settings;
use dispatchyard::model::{
    Job, JobId, JobPriority, JobStateKind, Now, PauseScope, RunnerId, TenantId,
};

use crate::rows::Rows;

/// A runner, beside its row.
#[derive(Clone, Debug, Default)]
pub(crate) struct KnownRunner {
    /// Its place among all, which breaks ties between runners that do not wait.
    pub(crate) slot: usize,
    pub(crate) foreign_jobs: u32,
    pub(crate) offline: bool,
    /// Heard of since the last load, and when.
    pub(crate) heard: bool,
    pub(crate) seen_at_ms: i64,
    /// Of the parked poll: its number, which grows, and the most jobs that it takes.
    pub(crate) parked: Option<(u64, u32)>,
    /// Jobs that the parked poll is to be told of.
    pub(crate) given: BTreeSet<JobId>,
    /// It did not come for a job that was kept for it.
    pub(crate) missed: bool,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    pub(crate) runners: BTreeMap<RunnerId, KnownRunner>,
    free_slots: Vec<usize>,
    /// Pending jobs that nothing gates, with the level of their lane.
    pub(crate) ready: BTreeMap<JobId, JobPriority>,
    /// Pending jobs whose time came; a clock that goes back does not take that away.
    pub(crate) came: BTreeSet<JobId>,
    /// Jobs that are kept back: for whom, and until when.
    pub(crate) held: BTreeMap<JobId, (RunnerId, i64)>,
    pub(crate) was_held: BTreeSet<JobId>,
    /// Of each resource the head of its queue, and how often others took units before it.
    pub(crate) overtaken: BTreeMap<Box<str>, (JobId, u32)>,
    /// Who has, or had last, a job with an affinity key.
    pub(crate) near: BTreeMap<(TenantId, Box<str>), RunnerId>,
    /// When jobs of a tenant were given out since the last load (mono).
    pub(crate) starts: BTreeMap<TenantId, Vec<i64>>,
}

impl Known {
    /// After a load: runners were not heard of, nobody polls, every job waits anew.
    pub(crate) fn loaded(rows: &Rows, now: Now) -> Self {
        let mut known = Self::default();
        for (slot, id) in rows.runners.keys().enumerate() {
            let runner = KnownRunner { slot, seen_at_ms: now.mono_ms, ..KnownRunner::default() };
            known.runners.insert(*id, runner);
        }
        for job in rows.jobs.values() {
            if let (Some(key), Some(lease)) = (affinity(job), job.lease()) {
                known.near.insert(key, lease.runner_id);
            }
        }
        known
    }

    pub(crate) fn registered(&mut self, id: RunnerId, now: Now) {
        let slot = self.free_slots.pop().unwrap_or(self.runners.len());
        let heard =
            KnownRunner { slot, heard: true, seen_at_ms: now.mono_ms, ..KnownRunner::default() };
        self.runners.insert(id, heard);
    }

    pub(crate) fn left(&mut self, id: RunnerId) {
        let gone = self.runners.remove(&id).expect("it was registered");
        self.free_slots.push(gone.slot);
        self.release_holds(id);
    }

    pub(crate) fn heard(&mut self, id: RunnerId, now: Now) {
        if let Some(runner) = self.runners.get_mut(&id) {
            (runner.heard, runner.seen_at_ms) = (true, now.mono_ms);
        }
    }

    /// How many jobs were let go that were kept for the runner.
    pub(crate) fn release_holds(&mut self, runner: RunnerId) -> usize {
        let held = self.held.iter().filter(|(_, (id, _))| *id == runner);
        let held: Vec<_> = held.map(|(job, _)| *job).collect();
        for job in &held {
            self.release(*job);
        }
        held.len()
    }

    /// A job that was kept back waits in its lane again, at the level that it has now.
    fn release(&mut self, job: JobId) {
        self.held.remove(&job);
        self.ready.insert(job, JobPriority::Background);
    }

    /// Lets go of what was kept for long enough. How many jobs.
    pub(crate) fn holds_due(&mut self, now: Now) -> usize {
        let due: Vec<_> =
            self.held.iter().filter(|(_, (_, until))| *until <= now.mono_ms).collect();
        let due: Vec<_> = due.into_iter().map(|(job, (runner, _))| (*job, *runner)).collect();
        for (job, runner) in &due {
            self.release(*job);
            if let Some(runner) = self.runners.get_mut(runner) {
                runner.missed = true;
            }
        }
        due.len()
    }

    /// The job is taken from where it waits and put there again.
    pub(crate) fn placed_again(&mut self, id: JobId) {
        self.ready.remove(&id);
        self.came.remove(&id);
        self.held.remove(&id);
        self.forget_overtaken();
    }

    fn forget_overtaken(&mut self) {
        let ready = &self.ready;
        self.overtaken.retain(|_, (first, _)| ready.contains_key(first));
    }

    /// Follows what became of jobs: who waits in a lane now, and at which level.
    pub(crate) fn sync(&mut self, rows: &Rows, settings: &Settings, now: Now) {
        let gone = |id: &JobId| {
            rows.jobs.get(id).is_none_or(|job| {
                job.kind() != JobStateKind::Pending || trigger_paused(rows, job).is_some()
            })
        };
        self.ready.retain(|id, _| !gone(id));
        self.held.retain(|id, _| !gone(id));
        self.was_held.retain(|id| rows.jobs.contains_key(id));
        let pending =
            |id: &JobId| rows.jobs.get(id).is_some_and(|job| job.kind() == JobStateKind::Pending);
        self.came.retain(pending);
        let due = rows.jobs.values().filter(|job| job.not_before_ms <= now.wall_ms);
        self.came.extend(due.map(|job| job.id).filter(pending));
        let held = &self.held;
        self.ready.retain(|id, _| !held.contains_key(id));
        for job in rows.jobs.values() {
            if gone(&job.id) || self.held.contains_key(&job.id) {
                continue;
            }
            let level = lane_level(job, settings, now);
            match self.ready.get_mut(&job.id) {
                // A level that a due start brought is not lost when the clock goes back.
                Some(known) => *known = level.min(*known),
                None if !self.came.contains(&job.id) => {}
                None => drop(self.ready.insert(job.id, level)),
            }
        }
        self.forget_overtaken();
    }
}

/// The pause of the job's trigger, if there is one.
pub(crate) fn trigger_paused(rows: &Rows, job: &Job) -> Option<PauseScope> {
    let scope = PauseScope::Trigger(rows.workloads[&job.workload_id].trigger.clone());
    rows.pauses.contains_key(&scope).then_some(scope)
}

pub(crate) fn affinity(job: &Job) -> Option<(TenantId, Box<str>)> {
    let key = job.terms.as_ref()?.placement.affinity.clone()?;
    Some((job.tenant_id, key))
}

/// When the job should begin (wall).
pub(crate) fn start_by_ms(job: &Job, settings: &Settings) -> Option<i64> {
    let terms = job.terms.as_ref()?;
    let wait = terms.max_wait_ms.map(|ms| job.queued_at_ms + ms);
    let deadline = terms.deadline_ms.map(|at_ms| at_ms - settings.expected_run_ms);
    match (wait, deadline) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// The priority, raised to `high` when the start is due in one step, to `normal` in two, ...
fn lane_level(job: &Job, settings: &Settings, now: Now) -> JobPriority {
    let Some(start_by_ms) = start_by_ms(job, settings) else { return job.priority };
    let mut level = job.priority;
    for (steps, raised) in [(3, JobPriority::Low), (2, JobPriority::Normal), (1, JobPriority::High)]
    {
        if start_by_ms - now.wall_ms <= steps * settings.deadline_raise_ms {
            level = level.min(raised);
        }
    }
    level
}
