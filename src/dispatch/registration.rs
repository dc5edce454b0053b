//! Runners that come and go: by themselves, or because the server ordered them.

use super::command::{Refusal, Register, Reply};
use super::scheduler::Scheduler;
use crate::model::{
    Change, Now, Record, RecordName, RequeueReason, Runner, RunnerCapabilities, RunnerId,
    StartOrder,
};
use crate::runner::RunnerSlot;

impl Scheduler {
    pub(super) fn register(&mut self, now: Now, register: Register) -> Result<Reply, Refusal> {
        if let Some(id) = register.ordered {
            return self.register_ordered(now, id, register);
        }
        let id = match self.runners.by_instance(&register.instance_id) {
            Some(id) => id,
            None => self.next_runner()?,
        };
        let capabilities = RunnerCapabilities { current_jobs: 0, ..register.capabilities };
        let row = Runner {
            id,
            name: register.name,
            instance_id: register.instance_id,
            boot_id: register.boot_id,
            pool_id: register.pool_id,
            token_hash: register.token_hash,
            capabilities: capabilities.normalised(),
            cordoned: None,
            draining: false,
            version: register.version,
            registered_at_ms: now.wall_ms,
            order: None,
        };
        self.out.credentials.push((id, Some(row.token_hash.clone())));
        match self.runners.slot(id) {
            Some(slot) => self.register_again(now, slot, row),
            None => {
                let slot = self.runners.insert(row.clone(), now.mono_ms, true);
                self.index.set_runner(slot, &row);
                self.watch_silence(now.mono_ms, id);
                let record = runner_record(now, RecordName::RunnerRegistered, &row);
                self.record(record);
                self.out.changes.push(Change::RunnerInserted(row));
            }
        }
        Ok(Reply::Registered(id))
    }

    /// The number of a runner that is new, if there may be another one.
    pub(super) fn next_runner(&mut self) -> Result<RunnerId, Refusal> {
        if self.runners.len() >= self.settings.runners_max {
            return Err(Refusal::TooMany {
                what: "too many runners",
                limit: "runners_max",
                max: self.settings.runners_max,
            });
        }
        let id = RunnerId(self.marks.next_runner);
        self.marks.next_runner += 1;
        Ok(id)
    }

    /// A runner that was ordered says hello. What it was ordered as it stays: its name, its pool and whose
    /// executor it is. Its token is good for one instance, which may repeat its hello.
    fn register_ordered(
        &mut self,
        now: Now,
        id: RunnerId,
        register: Register,
    ) -> Result<Reply, Refusal> {
        let runner = self.runners.get(id).ok_or(Refusal::UnknownRunner(id))?;
        let Some(order) = runner.row.order.clone() else {
            return Err(Refusal::UnknownRunner(id));
        };
        // Instances that were made from one image may have the same name for themselves.
        let instance_id: Box<str> =
            format!("{}\u{1f}{}", runner.row.name, register.instance_id).into();
        if let Some(why) = &order.leaving {
            return Err(Refusal::Invalid(format!("this runner is to leave: {why}").into()));
        }
        if order.registered && runner.row.instance_id != instance_id {
            let why = "this token has registered a runner already";
            return Err(Refusal::Invalid(why.into()));
        }
        let (fleet, is_new) = (order.fleet.clone(), !order.registered);
        let capabilities = RunnerCapabilities {
            executor: runner.row.capabilities.executor.clone(),
            current_jobs: 0,
            ..register.capabilities
        };
        let row = Runner {
            id,
            name: runner.row.name.clone(),
            instance_id,
            boot_id: register.boot_id,
            pool_id: runner.row.pool_id,
            token_hash: register.token_hash,
            capabilities: capabilities.normalised(),
            cordoned: None,
            draining: false,
            version: register.version,
            registered_at_ms: now.wall_ms,
            order: Some(Box::new(StartOrder { registered: true, ..*order })),
        };
        self.out.credentials.push((id, Some(row.token_hash.clone())));
        self.fleet_offers.insert(fleet, row.capabilities.clone());
        if is_new {
            let record = runner_record(now, RecordName::RunnerRegistered, &row);
            self.record(record);
        }
        if let Some(slot) = self.runners.slot(id) {
            self.runners.update(slot, |runner| runner.busy.set(now.mono_ms, 0));
            self.register_again(now, slot, row);
        }
        Ok(Reply::Registered(id))
    }

    /// The same instance says hello again: a new process has lost what the old one had, the same
    /// process lost only our answer. A cordon stays: it is the operator's.
    fn register_again(&mut self, now: Now, slot: RunnerSlot, mut row: Runner) {
        let id = row.id;
        self.touch(now, id);
        let Some(old) = self.runners.at(slot) else { return };
        row.cordoned = old.row.cordoned.clone();
        if old.row.boot_id != row.boot_id {
            for token in old.leases.clone() {
                if let Some(job_id) = self.leases.get(token).map(|live| live.owner.job_id) {
                    let why = "the runner's process was replaced";
                    self.lose(now, job_id, RequeueReason::RunnerLost, true, why);
                }
            }
            self.runners.update(slot, |runner| runner.foreign_jobs = 0);
        }
        self.release_holds(now, id);
        self.runners.set_row(slot, row.clone());
        // Its pool may be another one.
        let tokens = self.runners.at(slot).map_or_else(Vec::new, |runner| runner.leases.clone());
        for token in tokens {
            if let Some(id) = self.leases.get(token).map(|live| live.owner.job_id) {
                self.note_run(id);
            }
        }
        self.index.set_runner(slot, &row);
        self.look_everywhere = true;
        self.out.changes.push(Change::RunnerUpdated(row));
    }

    /// A runner leaves. One that was ordered is known until it is taken down, too.
    pub(super) fn deregister(&mut self, now: Now, id: RunnerId) -> Result<Reply, Refusal> {
        let runner = self.runners.get(id).ok_or(Refusal::UnknownRunner(id))?;
        let is_ordered = runner.row.order.is_some();
        self.lose_all(now, id, RequeueReason::Drained, false, "the runner left");
        if is_ordered {
            self.leave(now, id, "it left");
            self.silence(now, id);
        } else {
            self.forget_runner(now, id);
        }
        Ok(Reply::Done)
    }

    /// Takes all its jobs from a runner.
    pub(super) fn lose_all(
        &mut self,
        now: Now,
        id: RunnerId,
        reason: RequeueReason,
        charge: bool,
        why: &str,
    ) {
        let leases = self.runners.get(id).map_or_else(Vec::new, |runner| runner.leases.clone());
        for token in leases {
            if let Some(job_id) = self.leases.get(token).map(|live| live.owner.job_id) {
                self.lose(now, job_id, reason, charge, why);
            }
        }
    }

    /// Removes a runner that has no jobs.
    pub(super) fn forget_runner(&mut self, now: Now, id: RunnerId) {
        self.release_holds(now, id);
        if let Some((slot, runner)) = self.runners.remove(id) {
            if let Some(parked) = runner.parked {
                self.answer_nothing(parked.poll_id);
            }
            self.to_answer.remove(&slot);
            self.index.remove_runner(slot);
            self.look_everywhere = true;
            let record = runner_record(now, RecordName::RunnerDeregistered, &runner.row);
            self.record(record);
        }
        self.out.credentials.push((id, None));
        self.out.invitations.push((id, None));
        self.out.changes.push(Change::RunnerRemoved(id));
    }
}

pub(super) fn runner_record(now: Now, name: RecordName, row: &Runner) -> Record {
    Record { runner_id: Some(row.id), detail: row.name.clone(), ..Record::new(name, now.wall_ms) }
}
