//! Executors that go away and come back, and what their backends call an attempt.
//!
//! An executor is a runner with many slots ([`RunnerCapabilities::of_executor`]), so its jobs are given
//! out, leased and explained like all others. What is its own is said here: a job that may go to
//! several executors goes to the first that is there.
//!
//! [`RunnerCapabilities::of_executor`]: crate::model::RunnerCapabilities::of_executor

use std::collections::BTreeMap;

use super::command::{Refusal, Reply};
use super::reason::Reason;
use super::scheduler::Scheduler;
use crate::model::{
    AssignedJob, Job, JobStateKind, LeaseRef, Now, Record, RecordName, RunnerId, RunnerRequirements,
};
use crate::runner::ExecutorStanding as Standing;

/// The longest name that a backend may have for an attempt, in bytes.
const EXTERNAL_REF_BYTES_MAX: usize = 1_000;

/// The most that is kept of what is said about one request to a backend.
const TRIED_CHARS_MAX: usize = 1_000;

/// Executors that are away, or are tried again. Soft, and not kept over a load: what is still away
/// is found out by the first job that goes there, and comes back at once.
pub(super) type Trouble = BTreeMap<Box<str>, Absence>;

/// Why jobs do not go to an executor.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Absence {
    /// When it is tried again (wall milliseconds).
    pub until_ms: i64,
    /// What went wrong there, for people.
    pub why: Box<str>,
}

/// Where an executor stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ExecutorState {
    /// It takes jobs.
    There,
    /// It takes few, to see whether it is there again; the others go to the next executor.
    Trying,
    /// It takes none.
    Away(Absence),
}

/// A job that an executor has.
#[derive(Clone, PartialEq, Debug)]
pub struct HeldJob {
    /// What it was given.
    pub assigned: AssignedJob,
    /// Whether it began with it.
    pub is_running: bool,
    /// What its backend calls the attempt.
    pub external_ref: Option<Box<str>>,
}

impl Scheduler {
    pub(super) fn executor_stands(
        &mut self,
        now: Now,
        name: &str,
        state: ExecutorState,
    ) -> Result<Reply, Refusal> {
        let standing = match &state {
            ExecutorState::There => None,
            ExecutorState::Trying => Some(Standing::Trying),
            ExecutorState::Away(_) => Some(Standing::Away),
        };
        let detail = match &state {
            ExecutorState::There => format!("{name} is there"),
            ExecutorState::Trying => format!("{name} is tried again"),
            ExecutorState::Away(absence) => format!("{name} is away: {}", absence.why),
        };
        match state {
            ExecutorState::There => drop(self.trouble.remove(name)),
            // What was wrong stays to be read until it is over.
            ExecutorState::Trying => {}
            ExecutorState::Away(absence) => {
                self.trouble.insert(name.into(), absence);
                self.end_polls_of(now, name);
            }
        }
        if self.index.set_standing(name, standing) {
            self.look_everywhere = true;
            let record = Record::new(RecordName::ExecutorChanged, now.wall_ms);
            self.record(Record { detail: detail.into(), ..record });
        }
        Ok(Reply::Done)
    }

    /// An executor asked for work before it went away: what it was given now would only come back.
    fn end_polls_of(&mut self, now: Now, executor: &str) {
        let asks = self.runners.iter().filter(|(_, runner)| {
            runner.parked.is_some() && *runner.row.capabilities.executor == *executor
        });
        let slots: Vec<_> = asks.map(|(slot, _)| slot).collect();
        slots.into_iter().for_each(|slot| self.end_poll(now, slot));
    }

    /// Whether a runner is an executor, or belongs to one.
    pub(super) fn is_push(&self, id: RunnerId) -> bool {
        let executor = self.runners.get(id).map(|runner| &runner.row.capabilities.executor);
        executor.is_some_and(|name| **name != *RunnerRequirements::RUNNERS)
    }

    /// A backend has a name for an attempt.
    pub(super) fn refer(
        &mut self,
        now: Now,
        lease: LeaseRef,
        external_ref: Box<str>,
    ) -> Result<Reply, Refusal> {
        if external_ref.len() > EXTERNAL_REF_BYTES_MAX {
            let text = format!("a reference is at most {EXTERNAL_REF_BYTES_MAX} bytes");
            return Err(Refusal::Invalid(text.into()));
        }
        let job_id = self.checked(lease)?;
        self.touch(now, lease.runner_id);
        let known = self.job(job_id).and_then(|job| job.extras.external_ref.as_deref());
        if known != Some(&*external_ref) {
            self.edit_job(job_id, |job| {
                job.extras.edit(|extras| extras.external_ref = Some(external_ref));
            });
        }
        Ok(Reply::Done)
    }

    /// A request to a backend, for the job's history.
    pub(super) fn tried(
        &mut self,
        now: Now,
        lease: LeaseRef,
        what: &str,
    ) -> Result<Reply, Refusal> {
        let job_id = self.checked(lease)?;
        let mut record = self.job_record(now, RecordName::JobTried, job_id);
        record.detail = what.chars().take(TRIED_CHARS_MAX).collect::<String>().into();
        self.record(record);
        Ok(Reply::Done)
    }

    /// What an executor has, for whoever goes on with it after a load.
    pub fn held_by(&self, id: RunnerId) -> Vec<HeldJob> {
        let runner = self.runners.get(id).into_iter();
        let leases = runner.flat_map(|runner| &runner.leases);
        let jobs = leases.filter_map(|token| self.job(self.leases.get(*token)?.owner.job_id));
        jobs.map(|job| HeldJob {
            assigned: self.assigned(job),
            is_running: job.kind() == JobStateKind::Running,
            external_ref: job.extras.external_ref.clone(),
        })
        .collect()
    }

    /// Which of its executors are away, or that there is none of them.
    pub(super) fn explain_executors(&self, job: &Job, reasons: &mut Vec<Reason>) {
        let Some(needs) = self.index.requirements(job.class_id) else { return };
        let known = |name: &str| {
            *name == *RunnerRequirements::RUNNERS || self.settings.executors.contains(name)
        };
        if !needs.executors.iter().any(|name| known(name)) {
            reasons.push(Reason::NoExecutor { executors: needs.executors.clone() });
        }
        for name in &needs.executors {
            if self.index.standing(name) == Some(Standing::Away)
                && let Some(Absence { until_ms, why }) = self.trouble.get(name).cloned()
            {
                reasons.push(Reason::ExecutorAway { executor: name.clone(), until_ms, why });
            }
        }
    }
}
