//! Runners: polls, heartbeats, and what operators change about them.

use std::sync::Arc;

use super::command::{HeldLease, Poll, Refusal, Reply};
use super::leases::Timer;
use super::output::Answer;
use super::registration::runner_record;
use super::scheduler::Scheduler;
use crate::model::{
    Change, JobStateKind, LeaseRef, LeaseToken, Now, Record, RecordName, Runner,
    RunnerCapabilities, RunnerId,
};
use crate::runner::{Parked, PollId, RunnerSlot};

impl Scheduler {
    /// Parks a poll; one that `stays` is a stream.
    pub(super) fn poll(&mut self, now: Now, poll: Poll, stays: bool) -> Result<Reply, Refusal> {
        let id = poll.runner_id;
        let slot = self.runners.slot(id).ok_or(Refusal::UnknownRunner(id))?;
        self.touch(now, id);
        self.offers(slot, poll.capabilities);
        self.reports(slot, poll.current_jobs, poll.known.len());
        let longest_ms = self.settings.poll_wait_max_ms;
        let wait_ms = if stays { longest_ms } else { poll.wait_ms.clamp(0, longest_ms) };
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
        let jobs_max = poll.jobs_max.filter(|_| !stays).unwrap_or(u32::MAX);
        if let Some(superseded) = self.runners.park(slot, poll.poll_id, until_ms, jobs_max) {
            self.answer_nothing(superseded);
        }
        self.release_holds(now, id);
        self.runners.update(slot, |runner| {
            runner.parked = runner.parked.map(|parked| Parked { stays, ..parked });
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
        self.out.answers.push(Answer::nothing(poll_id));
    }

    /// The time of a poll is over; of a stream only when its runner was not heard of meanwhile.
    pub(super) fn poll_due(&mut self, now: Now, poll_id: PollId) {
        let Some(slot) = self.runners.by_poll(poll_id) else { return };
        let Some(parked) = self.runners.at(slot).and_then(|runner| runner.parked) else { return };
        if parked.until_ms > now.mono_ms {
            self.leases.set_timer(parked.until_ms, Timer::PollEnd(poll_id));
        } else if parked.stays {
            self.end_stream(now, slot);
        } else {
            self.to_answer.insert(slot);
        }
    }

    /// Tells a runner's stream that a lease is no longer its own. A poll names what the runner
    /// has, and is told by that.
    pub(super) fn tell_lost(&mut self, id: RunnerId, token: LeaseToken) {
        let Some(slot) = self.runners.slot(id) else { return };
        let streams = self.runners.update(slot, |runner| {
            let streams = runner.streams();
            if streams {
                runner.cancels.push(token);
            }
            streams
        });
        if streams == Some(true) {
            self.to_answer.insert(slot);
        }
    }

    /// Ends a runner's stream, if it has one, before anything more is given by it: there may be
    /// nobody any more who reads it.
    pub(super) fn end_stream(&mut self, now: Now, slot: RunnerSlot) {
        let parked = self.runners.at(slot).and_then(|runner| runner.parked);
        if parked.is_some_and(|parked| parked.stays) {
            self.end_poll(now, slot);
        }
    }

    /// Ends whatever a runner has open, a stream or a poll.
    pub(super) fn end_poll(&mut self, now: Now, slot: RunnerSlot) {
        let parked = self.runners.at(slot).and_then(|runner| runner.parked);
        let Some(parked) = parked else { return };
        let gone = self.poll_gone(now, parked.poll_id);
        debug_assert_eq!(gone, Ok(Reply::Done));
        self.answer_nothing(parked.poll_id);
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

    /// The runner was heard of.
    pub(super) fn touch(&mut self, now: Now, id: RunnerId) {
        let Some(slot) = self.runners.slot(id) else { return };
        let until_ms = now.mono_ms.saturating_add(self.settings.poll_wait_max_ms);
        let back = self.runners.update(slot, |runner| {
            runner.seen_at_ms = now.mono_ms;
            runner.heard = true;
            // Its connection alone does not show that anybody is at its other end.
            if let Some(parked) = runner.parked.as_mut().filter(|it| it.stays) {
                parked.until_ms = until_ms;
            }
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
        let mut capabilities = RunnerCapabilities { current_jobs: 0, ..*capabilities }.normalised();
        let row = self.runners.update(slot, |runner| {
            // Whose it is was decided when it registered.
            capabilities.executor.clone_from(&runner.row.capabilities.executor);
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
