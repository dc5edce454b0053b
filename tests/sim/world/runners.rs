//! Runners: they come and go, poll, work, lose answers, and speak of what is theirs no longer.

use dispatchyard::dispatch::{Command, HeldLease, Poll, Refusal, Register, Reply};
use dispatchyard::model::{
    AssignedJob, AttemptOutcome, JobResult, JobStateKind, LeaseRef, LeaseToken, Nonce, PoolId,
    RequeueReason, RunnerCapabilities,
};
use dispatchyard::runner::PollId;

use super::World;
use crate::{setup, shapes};

impl World {
    pub(super) fn register(&mut self, process: usize) {
        let pool = match self.dice.once_in(9) {
            true => self.dice.pick(&[setup::GENERAL, setup::TIGHT]),
            false => setup::home(process),
        };
        let offers = shapes::capabilities(&mut self.dice, false);
        let replaced = self.dice.once_in(3);
        self.register_as(process, pool, offers, replaced);
    }

    pub(super) fn register_as(
        &mut self,
        process: usize,
        pool_id: PoolId,
        capabilities: RunnerCapabilities,
        replaced: bool,
    ) {
        let it = &mut self.processes[process];
        if replaced || it.id.is_none() {
            it.boot = it.boot.wrapping_add(1);
            let held = std::mem::take(&mut it.held);
            it.stale.extend(held);
        }
        let had = it.id.is_some() && replaced;
        let register = Register {
            name: format!("p{process}").into(),
            instance_id: format!("p{process}").into(),
            boot_id: it.boot.to_string().into(),
            pool_id,
            token_hash: format!("{process}").into(),
            capabilities,
            version: "sim".into(),
            ordered: None,
        };
        if let Ok(Reply::Registered(id)) = self.send(Command::Register(Box::new(register))) {
            self.processes[process].id = Some(id);
            if had {
                self.reached.mark("runner replaced");
            }
        }
    }

    /// A poll of a process; now and then it lost the last answer, or has jobs from elsewhere.
    pub(super) fn poll_of(&mut self, process: usize) -> Option<Poll> {
        let runner_id = self.processes[process].id?;
        if self.dice.once_in(8) {
            self.processes[process].held.pop();
        }
        let held = &self.processes[process].held;
        let known: Vec<_> = held.iter().map(|job| job.lease.token).collect();
        let foreign = u32::from(self.dice.once_in(12));
        let poll_id = PollId(self.next_poll);
        self.next_poll += 1;
        let wait_ms = if self.dice.once_in(3) { 0 } else { self.dice.roll(50) as i64 };
        let changed = self.dice.once_in(10);
        if changed {
            self.reached.mark("labels changed");
        }
        Some(Poll {
            runner_id,
            poll_id,
            wait_ms,
            jobs_max: self.dice.once_in(4).then_some(1),
            current_jobs: (!self.dice.once_in(6)).then_some(known.len() as u32 + foreign),
            known,
            capabilities: changed.then(|| Box::new(shapes::capabilities(&mut self.dice, false))),
        })
    }

    pub(super) fn poll(&mut self, process: usize) {
        if let Some(poll) = self.poll_of(process) {
            self.poll_with(process, poll);
        }
    }

    pub(super) fn poll_with(&mut self, process: usize, poll: Poll) {
        let poll_id = poll.poll_id;
        self.polls.insert(poll_id, (process, poll.runner_id));
        if self.send(asks(process, poll)).is_err() {
            self.polls.remove(&poll_id);
            self.processes[process].id = None;
        }
    }

    /// Several runners poll in one batch.
    pub(super) fn crowd(&mut self) {
        self.begin();
        for process in 0..self.processes.len() {
            let Some(poll) = self.poll_of(process) else { continue };
            let poll_id = poll.poll_id;
            self.polls.insert(poll_id, (process, poll.runner_id));
            if self.apply(asks(process, poll)).is_err() {
                self.polls.remove(&poll_id);
                self.processes[process].id = None;
            }
        }
        self.finish(false);
    }

    /// A client goes away while its poll is parked, or when it was just answered.
    pub(super) fn client_leaves(&mut self, process: usize) {
        let parked = self.polls.iter().find(|(_, (of, _))| *of == process);
        if let Some((&poll_id, _)) = parked {
            self.polls.remove(&poll_id);
            self.send(Command::PollGone(poll_id)).expect("a poll can always be gone");
            self.reached.mark("client of a poll left");
            return;
        }
        if let Some(job) = self.processes[process].held.pop() {
            let token = job.lease.token;
            let id = job.job_id;
            self.processes[process].stale.push(job);
            self.send(Command::Undelivered(vec![token])).expect("it is taken back or not");
            let Some(row) = self.rows.find_job(id) else { return };
            let kept = row.kind() == JobStateKind::Claimed && row.lease().unwrap().token == token;
            assert!(!kept, "job {} stays with a client that is gone", row.id);
        }
    }

    fn held(&mut self, process: usize) -> Option<AssignedJob> {
        let held = self.processes[process].held.clone();
        (!held.is_empty()).then(|| self.dice.pick(&held))
    }

    pub(super) fn start(&mut self, process: usize) {
        let Some(job) = self.held(process) else { return };
        self.about(process, &job, Command::Start(reference(&job)));
    }

    pub(super) fn complete(&mut self, process: usize) {
        use AttemptOutcome::{Completed, Failed, TimedOut};
        let outcome = self.dice.pick(&[Completed, Completed, Completed, Failed, TimedOut]);
        let Some(job) = self.held(process) else { return };
        self.complete_with(process, &job, outcome);
    }

    pub(super) fn complete_with(
        &mut self,
        process: usize,
        job: &AssignedJob,
        outcome: AttemptOutcome,
    ) {
        let cancelling = self
            .scheduler
            .job(job.job_id)
            .is_some_and(|job| job.extras.cancel_requested_at_ms.is_some());
        let result = JobResult { outcome, ..JobResult::success() };
        let lease = reference(job);
        let done = self.about(process, job, Command::Complete { lease, result: Box::new(result) });
        self.drop_held(process, job.lease.token);
        if cancelling && done && outcome == AttemptOutcome::Completed {
            self.reached.mark("completed after a cancel");
        }
    }

    pub(super) fn release(&mut self, process: usize) {
        let Some(job) = self.held(process) else { return };
        let reason = self.dice.pick(&[RequeueReason::Drained, RequeueReason::RunnerLost]);
        self.about(process, &job, Command::Release { lease: reference(&job), reason, why: None });
        self.drop_held(process, job.lease.token);
    }

    pub(super) fn heartbeat(&mut self, process: usize) {
        let Some(runner_id) = self.processes[process].id else { return };
        let lease =
            |job: &AssignedJob| HeldLease { token: job.lease.token, nonce: job.lease.nonce };
        let leases: Vec<_> = self.processes[process].held.iter().map(lease).collect();
        let foreign = u32::from(self.dice.once_in(3));
        let current_jobs = self.dice.once_in(2).then_some(leases.len() as u32 + foreign);
        let changed = self.dice.once_in(4);
        let capabilities = changed.then(|| Box::new(shapes::capabilities(&mut self.dice, false)));
        let command = Command::Heartbeat { runner_id, leases, capabilities, current_jobs };
        if let Ok(Reply::Heartbeat { lost, .. }) = self.send(command) {
            for token in lost {
                assert!(!self.live.values().any(|live| *live == token), "{token} was not lost");
                self.drop_held(process, token);
            }
        }
    }

    /// A lease that was once held changes nothing.
    pub(super) fn stale(&mut self, process: usize) {
        let stale = &self.processes[process].stale;
        if stale.is_empty() {
            return;
        }
        let stale = stale.clone();
        let job = self.dice.pick(&stale);
        if self.live.get(&job.job_id) == Some(&job.lease.token) {
            return;
        }
        self.refused(reference(&job));
        self.reached.mark("stale lease refused");
        self.idle_batch();
    }

    /// Whoever knows the token of a lease and not its nonce may do nothing.
    pub(super) fn guess(&mut self, process: usize) {
        let Some(job) = self.held(process) else { return };
        let lease = reference(&job);
        self.refused(LeaseRef { nonce: Nonce(!lease.nonce.0), ..lease });
        self.reached.mark("wrong nonce refused");
        self.idle_batch();
    }

    fn refused(&mut self, lease: LeaseRef) {
        let before = self.scheduler.durable();
        let result = Box::new(JobResult::success());
        let command = match self.dice.once_in(2) {
            true => Command::Start(lease),
            false => Command::Complete { lease, result },
        };
        let reply = self.scheduler.apply(self.now, command, &mut self.entropy);
        assert_eq!(reply, Err(Refusal::LeaseLost(lease.token)), "it is not the caller's");
        assert_eq!(self.scheduler.durable(), before);
    }

    pub(super) fn about(&mut self, process: usize, job: &AssignedJob, command: Command) -> bool {
        match self.send(command) {
            Ok(_) => true,
            Err(Refusal::LeaseLost(token)) => {
                assert_ne!(self.live.get(&job.job_id), Some(&token), "a live lease was refused");
                self.drop_held(process, token);
                false
            }
            Err(other) => panic!("{other}"),
        }
    }

    pub(super) fn drop_held(&mut self, process: usize, token: LeaseToken) {
        let it = &mut self.processes[process];
        let (gone, held) = std::mem::take(&mut it.held)
            .into_iter()
            .partition(|job: &AssignedJob| job.lease.token == token);
        it.held = held;
        it.stale.extend(gone);
    }
}

/// Every third process holds streams open, the others poll.
fn asks(process: usize, poll: Poll) -> Command {
    match process % 3 {
        2 => Command::Stream(Box::new(poll)),
        _ => Command::Poll(Box::new(poll)),
    }
}

fn reference(job: &AssignedJob) -> LeaseRef {
    let lease = job.lease;
    LeaseRef { token: lease.token, nonce: lease.nonce, runner_id: lease.runner_id }
}
