//! The changes of one batch, folded: what the database must hear of, sorted by table.
//!
//! Of several updates of one row only the last is kept, an insert takes up the updates after it,
//! and a row that is made and ends in one batch never touches the hot table. Pure; the order in
//! which the tables are written is in [`super::apply`].

use std::collections::HashMap;
use std::sync::Arc;

use super::error::StoreError;
use super::moves::{Misstep, Tracks};
use crate::model::{
    Answered, Attempt, Change, Class, Delivery, Edge, Job, JobId, JobSpec, OutboxEntry, OutboxId,
    OutboxTold, Pause, PauseScope, PrunedRows, Record, Runner, RunnerId, ScheduleMark, Session,
    SessionDay, SessionDelivered, SessionId, SessionMessage, SoftState, TenantId, UniqueKey,
    Workload, WorkloadId,
};

/// Sessions that a batch touches: those that it makes, and those that were there.
#[derive(Default)]
pub(super) struct Sessions<'a> {
    pub(super) inserts: HashMap<SessionId, &'a Session>,
    pub(super) updates: HashMap<SessionId, &'a Session>,
}

/// What a job does, with the ids that its row needs.
pub(super) type Spec<'a> = (JobId, WorkloadId, &'a Arc<JobSpec>);

/// All rows that a batch writes; they borrow from its changes.
#[derive(Default)]
pub(super) struct WriteSet<'a> {
    pub(super) classes: Vec<&'a Class>,
    pub(super) deliveries: Vec<&'a Delivery>,
    /// Accepted before, and decided now.
    pub(super) decided: Vec<&'a Delivery>,
    /// Held before, and approved, denied or replaced now.
    pub(super) answered: Vec<&'a Answered>,
    pub(super) workloads: Tracks<'a, Workload>,
    pub(super) jobs: Tracks<'a, Job>,
    pub(super) specs: Vec<Spec<'a>>,
    /// The last plan of each job that was planned anew.
    pub(super) replanned: HashMap<JobId, (&'a Job, &'a Arc<JobSpec>)>,
    pub(super) edges: Vec<Edge>,
    pub(super) attempts: Vec<&'a Attempt>,
    pub(super) runners: Runners<'a>,
    /// Of each scope that the batch touches, the last: paused so, or not any more.
    pub(super) pauses: HashMap<&'a PauseScope, Option<&'a Pause>>,
    /// Scopes whose pause the database had before.
    pub(super) lifted: Vec<&'a PauseScope>,
    /// The last mark of each schedule that stays.
    pub(super) schedules: HashMap<&'a str, Option<&'a ScheduleMark>>,
    /// Schedules that were forgotten, whether the database had them or not.
    pub(super) forgotten: Vec<&'a str>,
    /// New sessions, and those that the database had before: the last row of each.
    pub(super) sessions: Sessions<'a>,
    pub(super) messages: Vec<&'a SessionMessage>,
    /// Messages that reached their agents, after those that are new.
    pub(super) delivered: Vec<SessionDelivered>,
    /// The last day of each tenant.
    pub(super) session_days: HashMap<TenantId, &'a SessionDay>,
    /// The last value of each key.
    pub(super) soft: HashMap<&'a str, &'a SoftState>,
    /// Only those that are kept.
    pub(super) records: Vec<&'a Record>,
    /// The last answer for each key.
    pub(super) answers: HashMap<&'a UniqueKey, &'a str>,
    /// What is to be told to others.
    pub(super) outbox: Vec<&'a OutboxEntry>,
    /// What became of tries; of several of one entry the later ones in rounds of their own.
    pub(super) told: Vec<&'a OutboxTold>,
    /// Given up, and tried again from then on.
    pub(super) retold: Vec<(OutboxId, i64)>,
    /// What is kept no longer.
    pub(super) pruned: Vec<&'a PrunedRows>,
}

impl<'a> WriteSet<'a> {
    /// Folds changes, in their order.
    ///
    /// # Errors
    /// [`StoreError::Data`] when a change cannot follow those before it, as when a row is inserted
    /// twice or updated after it was archived.
    pub(super) fn fold(changes: &'a [Change]) -> Result<Self, StoreError> {
        let mut set = Self::default();
        for change in changes {
            set.add(change)?;
        }
        Ok(set)
    }

    fn add(&mut self, change: &'a Change) -> Result<(), StoreError> {
        match change {
            Change::DeliveryInserted(delivery) => self.deliveries.push(delivery),
            Change::DeliveryDecided(delivery) => self.decided.push(delivery),
            Change::DeliveryAnswered(answered) => self.answered.push(answered),
            Change::ClassInserted(class) => self.classes.push(class),
            Change::WorkloadInserted(workload) => {
                let id = workload.id.0;
                self.workloads.insert(id, workload).map_err(misstep("workload", id))?;
            }
            Change::WorkloadUpdated(workload) => {
                let id = workload.id.0;
                self.workloads.update(id, workload).map_err(misstep("workload", id))?;
            }
            Change::JobInserted { job, spec, edges } => {
                self.jobs.insert(job.id.0, job).map_err(misstep("job", job.id.0))?;
                self.specs.push((job.id, job.workload_id, spec));
                self.edges.extend(edges);
            }
            Change::EdgeInserted(edge) => self.edges.push(*edge),
            Change::JobUpdated(job) => {
                self.jobs.update(job.id.0, job).map_err(misstep("job", job.id.0))?;
            }
            // The rest of its row comes with the update that follows.
            Change::JobReplanned { job, spec } => {
                self.replanned.insert(job.id, (job, spec));
            }
            Change::AttemptEnded(attempt) => self.attempts.push(attempt),
            Change::WorkloadArchived(id, job_ids) => {
                self.workloads.archive(id.0).map_err(misstep("workload", id.0))?;
                for id in job_ids {
                    self.jobs.archive(id.0).map_err(misstep("job", id.0))?;
                }
            }
            Change::WorkloadReopened(id, job_ids) => {
                self.workloads.reopen(id.0).map_err(misstep("workload", id.0))?;
                for id in job_ids {
                    self.jobs.reopen(id.0).map_err(misstep("job", id.0))?;
                }
            }
            Change::RunnerInserted(runner) => self.runners.insert(runner)?,
            Change::RunnerUpdated(runner) => self.runners.update(runner)?,
            Change::RunnerRemoved(id) => self.runners.remove(*id)?,
            Change::Paused(pause) => drop(self.pauses.insert(&pause.scope, Some(pause))),
            Change::Resumed(scope) => {
                if self.pauses.insert(scope, None).is_none() {
                    self.lifted.push(scope);
                }
            }
            Change::ScheduleKept(mark) => drop(self.schedules.insert(&mark.name, Some(mark))),
            Change::ScheduleForgotten(name) => {
                self.schedules.insert(name, None);
                self.forgotten.push(name);
            }
            Change::SessionInserted(session) => {
                self.sessions.inserts.insert(session.id, session);
            }
            Change::SessionUpdated(session) => match self.sessions.inserts.get_mut(&session.id) {
                Some(made) => *made = session,
                None => drop(self.sessions.updates.insert(session.id, session)),
            },
            Change::SessionSaid(message) => self.messages.push(message),
            Change::SessionDelivered(it) => self.delivered.push(*it),
            Change::SessionSpent(day) => drop(self.session_days.insert(day.tenant_id, day)),
            Change::SoftSaved(soft) => drop(self.soft.insert(&soft.key, soft)),
            Change::Recorded(record) if record.name.is_kept() => self.records.push(record),
            Change::Recorded(_) => {}
            Change::KeyAnswered(key, stands_for) => drop(self.answers.insert(key, stands_for)),
            Change::OutboxAdded(entry) => self.outbox.push(entry),
            Change::OutboxTold(told) => self.told.push(told),
            Change::OutboxRetried(ids, at_ms) => {
                self.retold.extend(ids.iter().map(|id| (*id, *at_ms)));
            }
            Change::Pruned(rows) => self.pruned.push(rows),
        }
        Ok(())
    }
}

/// The runners that a batch touches: whether the database had each before, and what it is now.
#[derive(Default)]
pub(super) struct Runners<'a>(HashMap<RunnerId, (bool, Option<&'a Runner>)>);

impl<'a> Runners<'a> {
    fn insert(&mut self, runner: &'a Runner) -> Result<(), StoreError> {
        let (_, now) = self.0.entry(runner.id).or_insert((false, None));
        if now.is_some() {
            return Err(misstep("runner", runner.id.0)(
                "inserted although the batch already has it",
            ));
        }
        *now = Some(runner);
        Ok(())
    }

    fn update(&mut self, runner: &'a Runner) -> Result<(), StoreError> {
        match self.0.entry(runner.id).or_insert((true, Some(runner))) {
            (_, Some(now)) => *now = runner,
            (_, None) => {
                return Err(misstep("runner", runner.id.0)("updated after it was removed"));
            }
        }
        Ok(())
    }

    fn remove(&mut self, id: RunnerId) -> Result<(), StoreError> {
        match self.0.get_mut(&id) {
            None => drop(self.0.insert(id, (true, None))),
            Some((_, now @ Some(_))) => *now = None,
            Some((_, None)) => return Err(misstep("runner", id.0)("removed twice")),
        }
        Ok(())
    }

    /// Rows to insert.
    pub(super) fn inserts(&self) -> Vec<&'a Runner> {
        self.0.values().filter_map(|&(before, now)| now.filter(|_| !before)).collect()
    }

    /// Rows to update.
    pub(super) fn updates(&self) -> Vec<&'a Runner> {
        self.0.values().filter_map(|&(before, now)| now.filter(|_| before)).collect()
    }

    /// Ids to delete.
    pub(super) fn deletes(&self) -> Vec<i64> {
        let gone = self.0.iter().filter(|(_, (before, now))| *before && now.is_none());
        gone.map(|(id, _)| id.0).collect()
    }
}

/// The error about a change that cannot follow those before it.
fn misstep(table: &'static str, id: i64) -> impl Fn(Misstep) -> StoreError {
    move |what| StoreError::Data { statement: "fold", what: format!("{table} {id} was {what}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::fixture;

    #[test]
    fn an_insert_takes_up_the_updates_after_it() {
        let (job, spec) = (fixture::job(1, 1), fixture::spec());
        let mut later = job.clone();
        later.attempt = 3;
        let changes = [
            Change::JobInserted { job, spec, edges: Vec::new() },
            Change::JobUpdated(fixture::job(1, 1)),
            Change::JobUpdated(later.clone()),
        ];
        let set = WriteSet::fold(&changes).unwrap();
        assert_eq!(set.specs.len(), 1);
        let moves = set.jobs.finish();
        assert_eq!((moves.hot_inserts, moves.hot_updates), (vec![&later], vec![]));
    }

    #[test]
    fn what_begins_and_ends_in_one_batch_never_is_hot() {
        let (job, spec) = (fixture::job(1, 1), fixture::spec());
        let changes = [
            Change::WorkloadInserted(fixture::workload(1)),
            Change::JobInserted { job: job.clone(), spec, edges: Vec::new() },
            Change::WorkloadArchived(WorkloadId(1), vec![JobId(1)]),
        ];
        let set = WriteSet::fold(&changes).unwrap();
        let (workloads, jobs) = (set.workloads.finish(), set.jobs.finish());
        assert_eq!((jobs.done_inserts, jobs.hot_deletes), (vec![&job], vec![]));
        assert_eq!((workloads.done_inserts.len(), workloads.hot_inserts.len()), (1, 0));
    }

    #[test]
    fn a_runner_that_comes_and_goes_in_one_batch_is_not_written() {
        let runner = fixture::runner(4);
        let changes = [Change::RunnerInserted(runner.clone()), Change::RunnerRemoved(runner.id)];
        let set = WriteSet::fold(&changes).unwrap();
        assert!(set.runners.inserts().is_empty() && set.runners.deletes().is_empty());
    }

    #[test]
    fn a_change_that_cannot_follow_is_the_culprits_fault() {
        let id = WorkloadId(9);
        let changes = [Change::WorkloadArchived(id, vec![]), Change::WorkloadArchived(id, vec![])];
        let error = WriteSet::fold(&changes).map(|_| ()).unwrap_err();
        assert!(error.is_data());
        assert_eq!(
            error.to_string(),
            "statement `fold` was refused: workload 9 was archived twice"
        );
    }
}
