//! A scheduler over the rows of a large server, and the decisions that are measured on it.
//!
//! A decision is one batch of one command, as the driver carries it out: tick, apply, settle, take
//! the output. Around it the world goes on, unmeasured: runners start what they get, end it, send
//! heartbeats, and new jobs keep the queue as long as it was.

use std::collections::VecDeque;
use std::hint::black_box;

use rustc_hash::FxHashMap;

use super::step::{STEPS, Step};
use super::world::{NOW, Seeded, Size, settings, snapshot, submission};
use crate::clock::{Clock as _, SystemClock};
use crate::dispatch::{Command, HeldLease, Output, Poll, Refusal, Reply, Scheduler, Verdict};
use crate::model::{
    JobId, JobResult, JobStateKind, LeaseRef, Now, RecordName, RunnerId, WorkloadId,
};
use crate::runner::PollId;

/// Jobs that advice is asked about: as many as the server plays.
const ADVISED: usize = 1_000;
/// What a job that asks may wait.
const MAX_WAIT_MS: i64 = 600_000;

/// What was measured of one kind of decision.
#[derive(Clone, Debug, Default)]
pub(super) struct Series {
    /// Microseconds of each decision.
    pub(super) took_us: Vec<f64>,
    /// Decisions that gave a job to a runner.
    pub(super) assigned: u64,
}

#[derive(Clone, Debug)]
struct Hand {
    id: RunnerId,
    slots: usize,
    /// What it works on, oldest first.
    work: VecDeque<LeaseRef>,
    parked: bool,
}

/// The world, going on.
pub struct Yard {
    size: Size,
    scheduler: Scheduler,
    now: Now,
    random: Seeded,
    clock: SystemClock,
    hands: Vec<Hand>,
    polls: FxHashMap<PollId, usize>,
    polls_made: u64,
    submitted: usize,
    rounds: usize,
    /// Jobs that were given out and not started.
    given: Vec<(usize, LeaseRef)>,
    /// Runners of quiet classes whose poll was answered.
    to_park: Vec<usize>,
    series: [Series; STEPS],
    held: u64,
}

impl Yard {
    /// Loads a world of that size; also how many seconds the scheduler took to index its rows.
    ///
    /// # Errors
    /// A command that is part of the world was refused: a fault.
    pub fn load(size: Size) -> Result<(Self, f64), Refusal> {
        let clock = SystemClock::new();
        let mut random = Seeded(1);
        let rows = snapshot(size, &mut random);
        let mut hands: Vec<_> = rows
            .runners
            .iter()
            .map(|row| Hand {
                id: row.id,
                slots: row.capabilities.max_parallel_jobs as usize,
                work: VecDeque::new(),
                parked: false,
            })
            .collect();
        for lease in rows.jobs.iter().filter_map(|job| job.lease()) {
            let (token, nonce, runner_id) = (lease.token, lease.nonce, lease.runner_id);
            let number = usize::try_from(runner_id.0 - 1).unwrap_or(0);
            hands[number].work.push_back(LeaseRef { token, nonce, runner_id });
        }
        let settings = settings(size);
        let began = clock.seconds();
        let scheduler = Scheduler::load(rows, settings, NOW);
        let load_seconds = clock.seconds() - began;
        let mut yard = Self {
            size,
            scheduler,
            now: NOW,
            random,
            clock,
            hands,
            polls: FxHashMap::default(),
            polls_made: 0,
            submitted: 0,
            rounds: 0,
            given: Vec::new(),
            to_park: (size.busy_runners()..size.runners).collect(),
            series: Default::default(),
            held: 0,
        };
        // What the load has to say.
        let _ = yard.scheduler.take_output();
        yard.go_on()?;
        yard.take_series();
        Ok((yard, load_seconds))
    }

    /// Carries out so many rounds of a kind of decision, [`Step::Poll`], [`Step::Complete`],
    /// [`Step::SubmitWithin`], [`Step::Explain`], [`Step::Excerpt`] or [`Step::SubmitToWaiting`]; for
    /// how many seconds those decisions took.
    ///
    /// # Errors
    /// A command was refused: a fault.
    pub fn measure(&mut self, step: Step, rounds: u64) -> Result<f64, Refusal> {
        let before = self.series[step as usize].took_us.len();
        for _ in 0..rounds {
            let number = self.rounds % self.size.busy_runners();
            self.rounds += 1;
            self.now.mono_ms += 1;
            self.now.wall_ms += 1;
            let given = match step {
                Step::Poll => self.poll_round(number)?,
                Step::Complete => self.complete_round(number)?,
                Step::SubmitWithin => self.submit_within_round()?,
                Step::Explain | Step::Excerpt => self.question_round(step),
                _ => self.submit_round()?,
            };
            self.around(given)?;
        }
        Ok(self.series[step as usize].took_us[before..].iter().sum::<f64>() / 1e6)
    }

    /// Lets every runner that has work send a heartbeat, `batch` of them in each batch; how many
    /// seconds that took, and for how many heartbeats.
    ///
    /// # Errors
    /// A command was refused: a fault.
    pub fn heartbeats(&mut self, batch: usize) -> Result<(f64, usize), Refusal> {
        let (mut seconds, mut sent) = (0.0, 0);
        let busy: Vec<usize> = (0..self.size.busy_runners()).collect();
        for numbers in busy.chunks(batch.max(1)) {
            let commands: Vec<_> = numbers.iter().map(|number| self.heartbeat(*number)).collect();
            let began = self.clock.seconds();
            self.scheduler.tick(self.now, &mut self.random);
            for command in commands {
                self.scheduler.apply(self.now, command, Verdict::New, &mut self.random)?;
            }
            self.scheduler.settle(self.now, &mut self.random);
            let output = self.scheduler.take_output();
            seconds += self.clock.seconds() - began;
            sent += numbers.len();
            self.absorb(output);
        }
        self.go_on()?;
        Ok((seconds, sent))
    }

    /// What was measured since the last call, by [`Step`].
    pub(super) fn take_series(&mut self) -> [Series; STEPS] {
        std::mem::take(&mut self.series)
    }

    /// How often a job was held for a less busy runner.
    pub(super) fn held(&self) -> u64 {
        self.held
    }

    /// One batch of one command.
    fn decide(&mut self, step: Step, command: Command) -> Result<Reply, Refusal> {
        let began = self.clock.seconds();
        self.scheduler.tick(self.now, &mut self.random);
        let reply = self.scheduler.apply(self.now, command, Verdict::New, &mut self.random);
        self.scheduler.settle(self.now, &mut self.random);
        let output = self.scheduler.take_output();
        let took_us = (self.clock.seconds() - began) * 1e6;
        let given = self.absorb(output);
        let series = &mut self.series[step as usize];
        series.took_us.push(took_us);
        series.assigned += u64::from(given);
        reply
    }

    /// Takes over what a batch said. Whether a job was given to anybody.
    fn absorb(&mut self, output: Output) -> bool {
        let holds = output.records.iter().filter(|record| record.name == RecordName::JobHeld);
        self.held += holds.count() as u64;
        let before = self.given.len();
        for answer in output.answers {
            let Some(number) = self.polls.remove(&answer.poll_id) else { continue };
            self.hands[number].parked = false;
            if number >= self.size.busy_runners() {
                self.to_park.push(number);
            }
            for job in answer.jobs {
                let lease = job.lease;
                let (token, nonce, runner_id) = (lease.token, lease.nonce, lease.runner_id);
                self.given.push((number, LeaseRef { token, nonce, runner_id }));
            }
        }
        self.given.len() > before
    }

    /// Runners start what they were given; those of quiet classes end it and wait again.
    fn go_on(&mut self) -> Result<(), Refusal> {
        loop {
            if let Some((number, lease)) = self.given.pop() {
                self.decide(Step::Other, Command::Start(lease))?;
                self.hands[number].work.push_back(lease);
                if number >= self.size.busy_runners() {
                    self.end_oldest(Step::Other, number)?;
                }
            } else if let Some(number) = self.to_park.pop() {
                self.poll(Step::Other, number, 3_600_000)?;
            } else {
                return Ok(());
            }
        }
    }

    fn poll(&mut self, step: Step, number: usize, wait_ms: i64) -> Result<(), Refusal> {
        self.polls_made += 1;
        let poll_id = PollId(self.polls_made);
        let hand = &mut self.hands[number];
        hand.parked = true;
        let poll = Poll {
            runner_id: hand.id,
            poll_id,
            wait_ms,
            jobs_max: Some(1),
            known: hand.work.iter().map(|lease| lease.token).collect(),
            capabilities: None,
            current_jobs: None,
        };
        self.polls.insert(poll_id, number);
        self.decide(step, Command::Poll(Box::new(poll)))?;
        Ok(())
    }

    fn end_oldest(&mut self, step: Step, number: usize) -> Result<(), Refusal> {
        let Some(lease) = self.hands[number].work.pop_front() else { return Ok(()) };
        let result = Box::new(JobResult::success());
        self.decide(step, Command::Complete { lease, result })?;
        Ok(())
    }

    /// A runner with a free slot asks, and ends another job when it got one.
    fn poll_round(&mut self, number: usize) -> Result<bool, Refusal> {
        // Rounds of another kind left it full and waiting: what ends first is replaced at once.
        for _ in 0..2 {
            let hand = &self.hands[number];
            if hand.parked || hand.work.len() >= hand.slots {
                self.end_oldest(Step::Other, number)?;
                self.go_on()?;
            }
        }
        let before = self.hands[number].work.len();
        self.poll(Step::Poll, number, 0)?;
        self.go_on()?;
        let given = self.hands[number].work.len() > before;
        if given {
            self.end_oldest(Step::Other, number)?;
        }
        Ok(given)
    }

    /// A runner whose slots are full and whose poll waits ends a job.
    fn complete_round(&mut self, number: usize) -> Result<bool, Refusal> {
        // It waits once it has nothing more to get.
        for _ in 0..4 {
            if !self.hands[number].parked {
                self.poll(Step::Other, number, 3_600_000)?;
                self.go_on()?;
            }
        }
        let before = self.hands[number].work.len();
        self.end_oldest(Step::Complete, number)?;
        self.go_on()?;
        Ok(self.hands[number].work.len() >= before)
    }

    fn submit_round(&mut self) -> Result<bool, Refusal> {
        self.submit(Step::SubmitToWaiting)?;
        self.go_on()?;
        Ok(false)
    }

    /// A job that asks whether it starts in time; it is cancelled, so that the queue stays as long as
    /// it was.
    fn submit_within_round(&mut self) -> Result<bool, Refusal> {
        let workload_id = self.submit(Step::SubmitWithin)?;
        let (author, reason) = ("bench".into(), "measured".into());
        self.decide(Step::Other, Command::CancelWorkload { workload_id, author, reason })?;
        self.go_on()?;
        Ok(false)
    }

    fn question_round(&mut self, step: Step) -> bool {
        let job_id = self.some_waiting();
        let began = self.clock.seconds();
        // An excerpt ends on another thread.
        let excerpt = (step == Step::Excerpt).then(|| self.scheduler.excerpt(self.now, ADVISED));
        if step == Step::Explain {
            black_box(self.scheduler.explain(self.now, job_id));
            black_box(self.scheduler.forecast(self.now, job_id));
        }
        self.series[step as usize].took_us.push((self.clock.seconds() - began) * 1e6);
        drop(black_box(excerpt));
        false
    }

    /// A job at random that waits, or just any.
    fn some_waiting(&mut self) -> JobId {
        let first = self.size.busy_runners();
        for _ in 0..100 {
            let id = JobId((first + self.random.below(self.size.jobs)) as i64 + 1);
            if self.scheduler.job(id).is_some_and(|job| job.kind() == JobStateKind::Pending) {
                return id;
            }
        }
        JobId(first as i64 + 1)
    }

    fn submit(&mut self, step: Step) -> Result<WorkloadId, Refusal> {
        self.submitted += 1;
        let quiet = step == Step::SubmitToWaiting;
        let mut workload = submission(self.size, self.submitted, quiet, &mut self.random);
        if step == Step::SubmitWithin {
            workload.jobs[0].terms.max_wait_ms = Some(MAX_WAIT_MS);
        }
        let workload = Box::new(workload);
        let ended = Vec::new();
        let submit = Command::Submit { workload, idempotency_key: None, ended };
        match self.decide(step, submit)? {
            Reply::Submitted { workload_id, .. } => Ok(workload_id),
            other => unreachable!("a submission is not answered with {other:?}"),
        }
    }

    fn heartbeat(&self, number: usize) -> Command {
        let hand = &self.hands[number];
        let held = |lease: &LeaseRef| HeldLease { token: lease.token, nonce: lease.nonce };
        Command::Heartbeat {
            runner_id: hand.id,
            leases: hand.work.iter().map(held).collect(),
            capabilities: None,
            current_jobs: Some(u32::try_from(hand.work.len()).unwrap_or(u32::MAX)),
        }
    }

    /// Another runner says that it lives, and the queue stays as long as it was.
    fn around(&mut self, given: bool) -> Result<(), Refusal> {
        let number = self.rounds * 7 % self.size.busy_runners();
        let command = self.heartbeat(number);
        self.decide(Step::Heartbeat, command)?;
        if given {
            self.submit(Step::Submit)?;
        }
        self.go_on()
    }
}
