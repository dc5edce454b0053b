//! What operators change about the order and the flow: priority, the front of the queue, pauses, and
//! whole pools.
//!
//! A pool's cordon is its pause and no mark on each of its runners: one row says it with author and
//! reason, it holds for runners that register later, and lifting it cannot lift the cordon that
//! somebody set on one of them. A pool's drain is a drain of the runners that it has at that moment:
//! they leave, and those that come after them are new.

use super::command::{Refusal, Reply};
use super::scheduler::Scheduler;
use crate::model::{
    Change, JobId, JobPriority, JobStateKind, Now, Pause, PauseScope, PoolId, Record, RecordName,
};

impl Scheduler {
    /// Gives a waiting job another priority.
    pub(super) fn prioritise(
        &mut self,
        now: Now,
        id: JobId,
        priority: JobPriority,
        author: Box<str>,
    ) -> Result<Reply, Refusal> {
        self.check_waits(id)?;
        self.reorder(now, id, |job| job.row.priority = priority);
        let mut record = self.job_record(now, RecordName::JobPriorityChanged, id);
        record.author = Some(author);
        record.detail = priority.as_str().into();
        self.record(record);
        Ok(Reply::Job(Box::new(self.jobs[&id].row.clone())))
    }

    /// Puts a waiting job in front of all others of its priority. It is then taken to be as old as
    /// the oldest of them, also for aging.
    pub(super) fn move_to_front(
        &mut self,
        now: Now,
        id: JobId,
        author: Box<str>,
    ) -> Result<Reply, Refusal> {
        self.check_waits(id)?;
        let row = &self.jobs[&id].row;
        let first = self.queue.first_lane_key(row.priority).unwrap_or(row.lane_key);
        let key = first.saturating_sub(1).min(row.lane_key);
        self.reorder(now, id, |job| job.row.lane_key = key);
        let mut record = self.job_record(now, RecordName::JobMoved, id);
        record.author = Some(author);
        self.record(record);
        Ok(Reply::Job(Box::new(self.jobs[&id].row.clone())))
    }

    fn check_waits(&self, id: JobId) -> Result<(), Refusal> {
        let job = &self.jobs.get(&id).ok_or(Refusal::UnknownJob(id))?.row;
        match job.kind() {
            JobStateKind::Blocked | JobStateKind::Pending => Ok(()),
            other => Err(Refusal::WrongState(
                format!("job {id} is {other}: only a waiting job has a place in the queue").into(),
            )),
        }
    }

    /// Changes what the place of a waiting job follows from.
    pub(super) fn reorder(
        &mut self,
        now: Now,
        id: JobId,
        change: impl FnOnce(&mut super::live::LiveJob),
    ) {
        let pending = self.jobs[&id].row.kind() == JobStateKind::Pending;
        if pending {
            self.unplace(id);
        }
        let before = self.jobs[&id].row.clone();
        if let Some(live) = self.jobs.get_mut(&id) {
            change(live);
        }
        self.edit_job(id, |_| {});
        let after = &self.jobs[&id].row;
        let workload_id = after.workload_id;
        let pool = self.first_pool(after.class_id);
        self.waits.end(pool, &before);
        self.waits.begin(pool, after);
        if pending {
            self.place(now, id);
        }
        self.reorder_workload(workload_id);
    }

    /// Gives out no more jobs of a scope; what runners have goes on.
    pub(super) fn set_pause(&mut self, now: Now, pause: Pause) -> Result<Reply, Refusal> {
        let earlier = self.pauses.get(&pause.scope);
        let said = (pause.author.clone(), pause.reason.clone());
        let pause = earlier.map_or(pause.clone(), |earlier| pause.beside(earlier));
        let trigger = match &pause.scope {
            PauseScope::Trigger(name) => Some(name.clone()),
            _ => None,
        };
        let record = Record {
            author: Some(said.0),
            detail: format!("{}: {}", self.scope_name(&pause.scope), said.1).into(),
            ..Record::new(RecordName::Paused, now.wall_ms)
        };
        self.record(record);
        self.out.changes.push(Change::Paused(pause.clone()));
        let new = self.pauses.insert(pause.scope.clone(), pause.clone()).is_none();
        if let Some(name) = trigger.filter(|_| new) {
            for id in self.pending_of_trigger(&name) {
                if self.withdraw(id) {
                    self.enqueue(now, id);
                }
            }
        }
        Ok(Reply::Pause(Box::new(pause)))
    }

    /// Gives out jobs of a scope again, unless a breaker stopped it too: that is lifted by itself, so that nobody
    /// lifts it who only meant a pause.
    pub(super) fn lift_pause(
        &mut self,
        now: Now,
        scope: PauseScope,
        author: Box<str>,
    ) -> Result<Reply, Refusal> {
        let name = self.scope_name(&scope);
        let Some(pause) = self.pauses.remove(&scope) else {
            return Err(Refusal::WrongState(format!("{name} is not paused").into()));
        };
        let record = Record {
            author: Some(author),
            detail: name.into(),
            ..Record::new(RecordName::Resumed, now.wall_ms)
        };
        self.record(record);
        if let Some(left) = pause.left() {
            self.out.changes.push(Change::Paused(left.clone()));
            self.pauses.insert(scope, left);
            return Ok(Reply::Pause(Box::new(pause)));
        }
        if let PauseScope::Trigger(name) = &scope {
            for id in self.paused_triggers.take(name) {
                self.enqueue(now, id);
            }
        }
        self.out.changes.push(Change::Resumed(scope));
        self.opened_anywhere();
        Ok(Reply::Pause(Box::new(pause)))
    }

    /// Cordons a pool, which is its pause, and lets its runners drain; or takes that back. All of
    /// it, or nothing.
    pub(super) fn patch_pool(
        &mut self,
        now: Now,
        pool_id: PoolId,
        cordoned: Option<Option<Box<str>>>,
        draining: Option<bool>,
        author: &str,
    ) -> Result<Reply, Refusal> {
        let rows = self.runners.iter().map(|(_, runner)| &runner.row);
        let mut rows: Vec<_> = rows.filter(|row| row.pool_id == pool_id).collect();
        rows.sort_unstable_by_key(|row| row.id);
        let runners: Vec<_> = rows.iter().map(|row| row.id).collect();
        let change = rows.iter().filter(|row| draining.is_some_and(|it| it != row.draining));
        let change: Vec<_> = change.map(|row| row.id).collect();
        // A pause and a runner are a row each, with a record beside it.
        let (changes, max) = (2 * (change.len() + 1), self.settings.changes_per_command_max);
        if changes > max {
            return Err(Refusal::TooMany {
                what: "one request makes too many rows",
                limit: "changes_per_command_max",
                max,
            });
        }
        let scope = PauseScope::Pool(pool_id);
        match cordoned {
            Some(Some(reason)) => {
                let (author, at_ms) = (author.into(), now.wall_ms);
                let pause = Pause { scope: scope.clone(), author, reason, at_ms, breaker: None };
                self.set_pause(now, pause)?;
            }
            Some(None) if self.pauses.contains_key(&scope) => {
                self.lift_pause(now, scope.clone(), author.into())?;
            }
            _ => {}
        }
        for id in change {
            self.patch_runner(now, id, None, None, draining, author.into())?;
        }
        let paused = self.pauses.get(&scope).cloned().map(Box::new);
        Ok(Reply::Pool { paused, runners })
    }

    /// Pending jobs that a trigger started, in the order of ids. It looks at every live job, which
    /// a pause may: people make them, and rarely.
    fn pending_of_trigger(&self, name: &str) -> Vec<JobId> {
        let pending = self.jobs.values().map(|job| &job.row).filter(|job| {
            job.kind() == JobStateKind::Pending
                && *self.workloads[&job.workload_id].row.trigger == *name
        });
        let mut ids: Vec<_> = pending.map(|job| job.id).collect();
        ids.sort_unstable();
        ids
    }

    /// A scope as people call it.
    pub(super) fn scope_name(&self, scope: &PauseScope) -> String {
        let catalogue = &self.settings.catalogue;
        match scope {
            PauseScope::Everything => "everything".to_owned(),
            PauseScope::Pool(id) => format!("pool {}", catalogue.pool_name(*id)),
            PauseScope::Tenant(id) => format!("tenant {}", catalogue.tenant_name(*id)),
            PauseScope::Trigger(name) => format!("trigger {name}"),
        }
    }

    /// What is paused, in the order of scopes.
    pub fn pauses(&self) -> Vec<Pause> {
        self.pauses.values().cloned().collect()
    }
}
