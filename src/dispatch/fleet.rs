//! Runners: registration, polls, heartbeats, and what operators change about them.

use std::sync::Arc;

use super::command::{HeldLease, Poll, Refusal, Register, Reply};
use super::leases::Timer;
use super::output::Answer;
use super::scheduler::Scheduler;
use crate::model::{
    Change, JobStateKind, LeaseRef, Now, Record, RecordName, RequeueReason, Runner,
    RunnerCapabilities, RunnerId,
};
use crate::runner::{PollId, RunnerSlot};

impl Scheduler {
    pub(super) fn register(&mut self, now: Now, register: Register) -> Result<Reply, Refusal> {
        let capabilities = RunnerCapabilities { current_jobs: 0, ..register.capabilities };
        let known = self.runners.by_instance(&register.instance_id);
        let id = match known {
            Some(id) => id,
            None if self.runners.len() >= self.settings.runners_max => {
                return Err(Refusal::TooMany {
                    what: "too many runners",
                    limit: "runners_max",
                    max: self.settings.runners_max,
                });
            }
            None => {
                let id = RunnerId(self.marks.next_runner);
                self.marks.next_runner += 1;
                id
            }
        };
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
        self.runners.update(slot, |runner| runner.row = Arc::new(row.clone()));
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

    pub(super) fn poll(&mut self, now: Now, poll: Poll) -> Result<Reply, Refusal> {
        let id = poll.runner_id;
        let slot = self.runners.slot(id).ok_or(Refusal::UnknownRunner(id))?;
        self.touch(now, id);
        self.offers(slot, poll.capabilities);
        self.reports(slot, poll.current_jobs, poll.known.len());
        let wait_ms = poll.wait_ms.clamp(0, self.settings.poll_wait_max_ms);
        let until_ms = now.mono_ms + wait_ms;
        let runner = self.runners.at(slot).expect("the slot is taken");
        // What it was given and does not know of is given again; what it knows of and has not is
        // to be stopped.
        let again: Vec<_> = runner
            .leases
            .iter()
            .filter(|token| !poll.known.contains(token))
            .filter_map(|token| self.leases.get(*token))
            .map(|live| &self.jobs[&live.owner.job_id].row)
            .filter(|job| job.kind() == JobStateKind::Claimed)
            .map(|job| self.assigned(job))
            .collect();
        let lost = poll.known.iter().filter(|token| !runner.leases.contains(token));
        let lost: Vec<_> = lost.copied().collect();
        let jobs_max = poll.jobs_max.unwrap_or(u32::MAX);
        if let Some(superseded) = self.runners.park(slot, poll.poll_id, until_ms, jobs_max) {
            self.answer_nothing(superseded);
        }
        self.release_holds(now, id);
        self.runners.update(slot, |runner| {
            runner.missed = false;
            runner.given = again;
            for token in lost {
                if !runner.cancels.contains(&token) {
                    runner.cancels.push(token);
                }
            }
        });
        if wait_ms > 0 {
            self.leases.set_timer(until_ms, Timer::PollEnd(poll.poll_id));
        }
        self.to_answer.insert(slot);
        Ok(Reply::Parked)
    }

    pub(super) fn poll_gone(&mut self, now: Now, poll_id: PollId) -> Result<Reply, Refusal> {
        let slot = self.runners.by_poll(poll_id);
        let Some((_, given, _)) = slot.and_then(|slot| self.runners.unpark(slot)) else {
            return Ok(Reply::Done);
        };
        // What was to be answered again goes to somebody who is there. Cancels are told again by
        // the next heartbeat.
        let tokens: Vec<_> = given.iter().map(|job| job.lease.token).collect();
        self.undelivered(now, &tokens)
    }

    pub(super) fn answer_nothing(&mut self, poll_id: PollId) {
        self.out.answers.push(Answer {
            poll_id,
            jobs: Vec::new(),
            cancel: Vec::new(),
            drain: false,
        });
    }

    pub(super) fn heartbeat(
        &mut self,
        now: Now,
        runner_id: RunnerId,
        held: &[HeldLease],
        capabilities: Option<Box<RunnerCapabilities>>,
        current_jobs: Option<u32>,
    ) -> Result<Reply, Refusal> {
        let slot = self.runners.slot(runner_id).ok_or(Refusal::UnknownRunner(runner_id))?;
        self.touch(now, runner_id);
        self.offers(slot, capabilities);
        self.reports(slot, current_jobs, held.len());
        let renew_by = now.mono_ms.saturating_add(self.settings.lease_ms);
        let (mut lost, mut cancel) = (Vec::new(), Vec::new());
        for &HeldLease { token, nonce } in held {
            let Some(live) = self.leases.check(LeaseRef { token, nonce, runner_id }) else {
                lost.push(token);
                continue;
            };
            let job = &self.jobs[&live.owner.job_id].row;
            if job.extras.cancel_requested_at_ms.is_some() {
                cancel.push(token);
            }
            // A claimed lease is kept by a start alone.
            if job.kind() == JobStateKind::Running {
                self.leases.update(token, |live| live.renew_by_ms = renew_by);
            }
        }
        let drain = self.runners.at(slot).is_some_and(|runner| runner.row.draining);
        Ok(Reply::Heartbeat { lost, cancel, drain })
    }

    pub(super) fn patch_runner(
        &mut self,
        now: Now,
        id: RunnerId,
        capabilities: Option<Box<RunnerCapabilities>>,
        cordoned: Option<Option<Box<str>>>,
        draining: Option<bool>,
        author: Box<str>,
    ) -> Result<Reply, Refusal> {
        let slot = self.runners.slot(id).ok_or(Refusal::UnknownRunner(id))?;
        self.offers(slot, capabilities);
        if cordoned.is_some() || draining.is_some() {
            let row = self.runners.update(slot, |runner| {
                let row = Arc::make_mut(&mut runner.row);
                if let Some(cordoned) = cordoned {
                    row.cordoned = cordoned;
                }
                row.draining = draining.unwrap_or(row.draining);
                row.clone()
            });
            let row = row.expect("the slot is taken");
            let what = match (&row.cordoned, row.draining) {
                (Some(why), _) => format!("cordoned: {why}"),
                (None, true) => "draining".to_owned(),
                (None, false) => "takes jobs".to_owned(),
            };
            let record = Record {
                author: Some(author),
                detail: what.into(),
                ..runner_record(now, RecordName::RunnerChanged, &row)
            };
            self.record(record);
            self.out.changes.push(Change::RunnerUpdated(row));
            self.release_holds(now, id);
            self.to_answer.insert(slot);
            self.look_everywhere = true;
        }
        let row = &self.runners.at(slot).expect("the slot is taken").row;
        Ok(Reply::Runner(Box::new(Runner::clone(row))))
    }

    pub(super) fn deregister(&mut self, now: Now, id: RunnerId) -> Result<Reply, Refusal> {
        let runner = self.runners.get(id).ok_or(Refusal::UnknownRunner(id))?;
        for token in runner.leases.clone() {
            if let Some(job_id) = self.leases.get(token).map(|live| live.owner.job_id) {
                self.lose(now, job_id, RequeueReason::Drained, false, "the runner left");
            }
        }
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
        self.out.changes.push(Change::RunnerRemoved(id));
        Ok(Reply::Done)
    }

    /// The runner was heard of.
    pub(super) fn touch(&mut self, now: Now, id: RunnerId) {
        let Some(slot) = self.runners.slot(id) else { return };
        let back = self.runners.update(slot, |runner| {
            runner.seen_at_ms = now.mono_ms;
            runner.heard = true;
            std::mem::take(&mut runner.offline)
        });
        if back == Some(true) {
            self.watch_silence(now.mono_ms, id);
            if let Some(runner) = self.runners.at(slot) {
                let record = runner_record(now, RecordName::RunnerOnline, &runner.row);
                self.record(record);
            }
        }
    }

    pub(super) fn watch_silence(&mut self, seen_at_ms: i64, id: RunnerId) {
        let at_ms = seen_at_ms.saturating_add(self.settings.heartbeat_timeout_ms);
        self.leases.set_timer(at_ms, Timer::Silence(id));
    }

    /// Takes over what a runner offers now; writes a row only when something changed.
    fn offers(&mut self, slot: RunnerSlot, capabilities: Option<Box<RunnerCapabilities>>) {
        let Some(capabilities) = capabilities else { return };
        let capabilities = RunnerCapabilities { current_jobs: 0, ..*capabilities }.normalised();
        let row = self.runners.update(slot, |runner| {
            (runner.row.capabilities != capabilities).then(|| {
                let row = Arc::make_mut(&mut runner.row);
                row.capabilities = capabilities;
                row.clone()
            })
        });
        if let Some(row) = row.flatten() {
            self.index.set_runner(slot, &row);
            self.look_everywhere = true;
            self.out.changes.push(Change::RunnerUpdated(row));
        }
    }

    /// Takes over how many jobs a runner has that are not ours. `named` is how many of ours it
    /// named in the same request; a runner that names none is taken to count all that it was given.
    fn reports(&mut self, slot: RunnerSlot, current_jobs: Option<u32>, named: usize) {
        let Some(current) = current_jobs else { return };
        self.runners.update(slot, |runner| {
            let ours = if named > 0 { named } else { runner.leases.len() };
            runner.foreign_jobs = current.saturating_sub(u32::try_from(ours).unwrap_or(u32::MAX));
        });
    }
}

pub(super) fn runner_record(now: Now, name: RecordName, row: &Runner) -> Record {
    Record { runner_id: Some(row.id), detail: row.name.clone(), ..Record::new(name, now.wall_ms) }
}
