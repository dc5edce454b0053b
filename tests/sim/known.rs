//! What the checker remembers by itself of what no row says: where jobs wait, who polls, who was
//! overtaken. It follows commands and records by their documented meaning, and never looks into
//! the scheduler.

use std::collections::{BTreeMap, BTreeSet};

use dispatchyard::dispatch::Settings;
use dispatchyard::model::{
    ClassId, Job, JobId, JobPriority, JobStateKind, Now, PauseScope, RunnerId, TenantId,
};

use crate::gates::{self, Group, GroupName, Offers};
use crate::rows::Rows;

/// Whether a runner is trusted with jobs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Health {
    #[default]
    Open,
    /// It gets nothing until then (mono).
    Closed(i64),
    /// One job is to show that it is well again.
    Probe,
    /// That job is with it.
    Probing,
}

impl Health {
    pub(crate) fn takes_new(self) -> bool {
        matches!(self, Self::Open | Self::Probe)
    }
}

impl KnownRunner {
    /// Whether that poll of it waits.
    pub(crate) fn is_parked(&self, poll: u64) -> bool {
        self.parked.is_some() && self.poll == poll
    }
}

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
    /// When its last poll was over (mono).
    pub(crate) unparked_at_ms: i64,
    /// Of the parked poll: its place, which grows, and the most jobs that it takes. A stream that was
    /// told of jobs has a new place.
    pub(crate) parked: Option<(u64, u32)>,
    /// The number of the last poll.
    pub(crate) poll: u64,
    /// Whether that is a stream.
    pub(crate) streams: bool,
    /// Jobs that the parked poll is to be told of.
    pub(crate) given: BTreeSet<JobId>,
    /// It did not come for a job that was kept for it.
    pub(crate) missed: bool,
    pub(crate) health: Health,
    /// When it was last given a job, as a count of assignments since the last load.
    pub(crate) given_at: u64,
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
    /// How long runs of each class are expected to take, as the scheduler says now.
    pub(crate) told: BTreeMap<ClassId, i64>,
    /// What it said when a job came, or was loaded: its deadline is reckoned by that.
    told_of: BTreeMap<JobId, i64>,
    /// When jobs of a tenant were given out since the last load (mono).
    pub(crate) starts: BTreeMap<TenantId, Vec<i64>>,
    /// Who is in which group and who waits, as of the last commit.
    pub(crate) groups: BTreeMap<GroupName, Group>,
    /// Which jobs limits let go on, as of the last commit.
    pub(crate) offers: Offers,
    assignments: u64,
}

impl Known {
    /// After a load: runners were not heard of, nobody polls, every job waits anew.
    pub(crate) fn loaded(rows: &Rows, now: Now) -> Self {
        let mut known = Self::default();
        for (slot, id) in rows.runners.keys().enumerate() {
            let runner = KnownRunner { slot, seen_at_ms: now.mono_ms, ..KnownRunner::default() };
            known.runners.insert(*id, runner);
        }
        known.restore_health(rows, now);
        for job in rows.jobs.values() {
            if let (Some(key), Some(lease)) = (affinity(job), job.lease()) {
                known.near.insert(key, lease.runner_id);
            }
        }
        known
    }

    /// How far runners are trusted is kept now and then.
    fn restore_health(&mut self, rows: &Rows, now: Now) {
        let Some(soft) = rows.soft.get("health") else { return };
        let kept: serde_json::Value = serde_json::from_str(&soft.value).expect("it is JSON");
        for (id, health) in kept.as_object().expect("by runner") {
            let id = RunnerId(id.parse().expect("a number"));
            let closed_for_ms = health.get("closed_for_ms").and_then(serde_json::Value::as_i64);
            if let (Some(runner), Some(ms)) = (self.runners.get_mut(&id), closed_for_ms) {
                runner.health = Health::Closed(now.mono_ms + ms);
            }
        }
        self.follow_health(now);
    }

    /// Whose cool-off is over is to show that it is well again.
    fn follow_health(&mut self, now: Now) {
        for runner in self.runners.values_mut() {
            if matches!(runner.health, Health::Closed(until_ms) if until_ms <= now.mono_ms) {
                runner.health = Health::Probe;
            }
        }
    }

    /// A job is given to a runner.
    pub(crate) fn gave(&mut self, id: RunnerId, job: JobId) {
        self.assignments += 1;
        let runner = self.runners.get_mut(&id).expect("it is known");
        runner.given.insert(job);
        runner.given_at = self.assignments;
        if runner.health == Health::Probe {
            runner.health = Health::Probing;
        }
    }

    pub(crate) fn registered(&mut self, id: RunnerId, now: Now) {
        let slot = self.free_slots.pop().unwrap_or(self.runners.len());
        let heard =
            KnownRunner { slot, heard: true, seen_at_ms: now.mono_ms, ..KnownRunner::default() };
        self.runners.insert(id, heard);
    }

    /// Its poll waits no longer.
    pub(crate) fn unpark(&mut self, id: RunnerId, now: Now) {
        if let Some(runner) = self.runners.get_mut(&id) {
            runner.parked = None;
            runner.given.clear();
            runner.unparked_at_ms = now.mono_ms;
        }
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

    /// How long a job is expected to run, as far as anybody was told.
    pub(crate) fn expected_ms(&self, job: &Job, settings: &Settings) -> i64 {
        self.told.get(&job.class_id).copied().unwrap_or(settings.expected_run_ms)
    }

    /// A job was planned anew: its deadline is reckoned as if it came now.
    pub(crate) fn came_anew(&mut self, id: JobId) {
        self.told_of.remove(&id);
    }

    /// Follows what became of jobs: who waits in a lane now, and at which level.
    pub(crate) fn sync(&mut self, rows: &Rows, settings: &Settings, now: Now) {
        let pending =
            |id: &JobId| rows.jobs.get(id).is_some_and(|job| job.kind() == JobStateKind::Pending);
        self.told_of.retain(|id, _| rows.jobs.contains_key(id));
        for job in rows.jobs.values() {
            let expected_ms = self.expected_ms(job, settings);
            self.told_of.entry(job.id).or_insert(expected_ms);
        }
        self.came.retain(pending);
        self.follow_health(now);
        self.follow_groups(rows);
        let due = rows.jobs.values().filter(|job| {
            let once = gates::time_counts_once(rows, job);
            job.not_before_ms <= if once { 0 } else { now.wall_ms }
        });
        self.came.extend(due.map(|job| job.id).filter(pending));
        let came = self.came.iter().map(|id| &rows.jobs[id]);
        self.offers = gates::offers(rows, came.filter(|job| !gates::waits_for_group(rows, job)));
        let offers = &self.offers;
        let gone = |id: &JobId| {
            !offers.open.contains(id) || trigger_paused(rows, &rows.jobs[id]).is_some()
        };
        self.ready.retain(|id, _| !gone(id));
        self.held.retain(|id, _| !gone(id));
        self.was_held.retain(|id| rows.jobs.contains_key(id));
        let held = &self.held;
        self.ready.retain(|id, _| !held.contains_key(id));
        for job in rows.jobs.values() {
            if gone(&job.id) || self.held.contains_key(&job.id) {
                continue;
            }
            let level = lane_level(job, self.told_of[&job.id], settings, now);
            // A level that a due start brought is not lost when the clock goes back.
            let known = self.ready.entry(job.id).or_insert(level);
            *known = level.min(*known);
        }
        self.forget_overtaken();
    }

    /// Jobs of a workload that is in its group now are placed anew: one whose time had come is
    /// delayed again when the clock went back meanwhile.
    fn follow_groups(&mut self, rows: &Rows) {
        let groups = gates::groups(rows);
        for (name, group) in &groups {
            let before = self.groups.get(name).map(|group| &group.inside);
            let entered = group.inside.iter().filter(|it| before.is_none_or(|on| !on.contains(it)));
            for (workload, _) in entered.filter(|(_, job)| job.is_none()) {
                self.came.retain(|id| rows.jobs[id].workload_id != *workload);
            }
        }
        self.groups = groups;
    }
}

/// The pause of the job's trigger, if there is one.
pub(crate) fn trigger_paused(rows: &Rows, job: &Job) -> Option<PauseScope> {
    let scope = PauseScope::Trigger(rows.workloads[&job.workload_id].trigger.clone().into());
    rows.pauses.contains_key(&scope).then_some(scope)
}

pub(crate) fn affinity(job: &Job) -> Option<(TenantId, Box<str>)> {
    let key = job.terms.as_ref()?.placement.affinity.clone()?;
    Some((job.tenant_id, key))
}

/// When the job should begin (wall).
fn start_by_ms(job: &Job, expected_ms: i64) -> Option<i64> {
    let terms = job.terms.as_ref()?;
    let wait = terms.max_wait_ms.map(|ms| job.queued_at_ms + ms);
    let deadline = terms.deadline_ms.map(|at_ms| at_ms - expected_ms);
    match (wait, deadline) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// The priority, raised to `high` when the start is due in one step, to `normal` in two, ...
fn lane_level(job: &Job, expected_ms: i64, settings: &Settings, now: Now) -> JobPriority {
    let Some(start_by_ms) = start_by_ms(job, expected_ms) else { return job.priority };
    let mut level = job.priority;
    for (steps, raised) in [(3, JobPriority::Low), (2, JobPriority::Normal), (1, JobPriority::High)]
    {
        if start_by_ms - now.wall_ms <= steps * settings.deadline_raise_ms {
            level = level.min(raised);
        }
    }
    level
}
