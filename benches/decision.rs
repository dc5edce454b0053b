//! Time per decision, without a database: 10,000 queued jobs in 50 classes, 1,000 runners of which
//! each fits 5 classes, every runner with a lease that it keeps by heartbeats.
//!
//! A decision is one batch of one command: tick, apply, match, take the output. Beside criterion's
//! mean it prints percentiles over all decisions. `cargo bench --bench decision`.

#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]

mod shared;

use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use dispatchyard::clock::{Clock as _, SystemClock};
use dispatchyard::dispatch::{Command, HeldLease, Output, Poll, Reply, Scheduler, Verdict};
use dispatchyard::model::{
    AssignedJob, Entropy, JobPriority, JobResult, LeaseRef, Now, RunnerCapabilities, RunnerId,
    Snapshot,
};
use dispatchyard::runner::PollId;

use shared::{one_job, register, settings};

const JOBS: usize = 10_000;
const CLASSES: usize = 50;
const RUNNERS: usize = 1_000;
const FITTING: usize = 5;

/// A seeded generator: each run decides the same.
struct Seeded(u64);

impl Entropy for Seeded {
    fn next_u64(&mut self) -> u64 {
        // xorshift64* (Vigna 2014).
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}

struct Yard {
    scheduler: Scheduler,
    now: Now,
    entropy: Seeded,
    clock: SystemClock,
    runners: Vec<RunnerId>,
    /// What each runner works on.
    work: Vec<AssignedJob>,
    polls: u64,
    submitted: usize,
    /// Seconds of each decision measured.
    took: Vec<f64>,
}

impl Yard {
    fn new(slots: u32) -> Self {
        let now = Now { mono_ms: 0, wall_ms: 1_700_000_000_000 };
        let snapshot = Snapshot { epoch: 1, ..Snapshot::default() };
        let mut yard = Self {
            scheduler: Scheduler::load(snapshot, settings(), now),
            now,
            entropy: Seeded(1),
            clock: SystemClock::new(),
            runners: Vec::new(),
            work: Vec::new(),
            polls: 0,
            submitted: 0,
            took: Vec::new(),
        };
        for number in 0..RUNNERS {
            let label = |at| format!("class-{}", (number + at) % CLASSES).into();
            let capabilities = RunnerCapabilities {
                labels: (0..FITTING).map(label).collect(),
                max_parallel_jobs: slots,
                ..RunnerCapabilities::default()
            };
            let (reply, _) = yard.decide(Command::Register(register(number, capabilities)));
            let Reply::Registered(id) = reply else { panic!("{reply:?}") };
            yard.runners.push(id);
        }
        (0..JOBS + RUNNERS).for_each(|_| yard.submit());
        for number in 0..RUNNERS {
            let job = yard.poll(number, 0).expect("there is work for everyone");
            yard.start(&job);
            yard.work.push(job);
        }
        yard.took.clear();
        yard
    }

    /// One batch of one command, as the driver carries it out.
    fn decide(&mut self, command: Command) -> (Reply, Output) {
        let began = self.clock.seconds();
        self.scheduler.tick(self.now, &mut self.entropy);
        let reply = self.scheduler.apply(self.now, command, Verdict::New, &mut self.entropy);
        self.scheduler.settle(self.now, &mut self.entropy);
        let output = self.scheduler.take_output();
        self.took.push(self.clock.seconds() - began);
        (reply.expect("a good command"), output)
    }

    /// As `decide`, beside the measurement.
    fn aside(&mut self, command: Command) -> (Reply, Output) {
        let decided = self.decide(command);
        self.took.pop();
        decided
    }

    fn submit(&mut self) {
        let label = format!("class-{}", self.submitted % CLASSES).into();
        let priority = JobPriority::ALL[self.submitted / CLASSES % 5];
        self.submitted += 1;
        let workload = Box::new(one_job(vec![label], priority));
        self.aside(Command::Submit { workload, idempotency_key: None, ended: Vec::new() });
    }

    fn poll(&mut self, number: usize, wait_ms: i64) -> Option<AssignedJob> {
        self.polls += 1;
        let poll = Poll {
            runner_id: self.runners[number],
            poll_id: PollId(self.polls),
            wait_ms,
            jobs_max: Some(1),
            known: self.work.get(number).map(|job| job.lease.token).into_iter().collect(),
            capabilities: None,
            current_jobs: None,
        };
        let (_, output) = self.decide(Command::Poll(Box::new(poll)));
        output.answers.into_iter().flat_map(|answer| answer.jobs).next()
    }

    fn start(&mut self, job: &AssignedJob) {
        self.aside(Command::Start(lease(job)));
    }

    fn complete(number: usize, work: &[AssignedJob]) -> Command {
        let lease = lease(&work[number]);
        Command::Complete { lease, result: Box::new(JobResult::success()) }
    }

    /// Time passes, another runner says that it lives, and the queue stays as long as it was.
    fn around(&mut self, round: usize) {
        self.now.mono_ms += 1;
        self.now.wall_ms += 1;
        let number = round * 7 % RUNNERS;
        let job = &self.work[number];
        let leases = vec![HeldLease { token: job.lease.token, nonce: job.lease.nonce }];
        let runner_id = self.runners[number];
        let (capabilities, current_jobs) = (None, Some(1));
        self.aside(Command::Heartbeat { runner_id, leases, capabilities, current_jobs });
        self.submit();
    }

    /// A runner with a free slot asks, and gets a job.
    fn poll_gets_a_job(&mut self, round: usize) {
        let number = round % RUNNERS;
        let job = self.poll(number, 0).expect("there is work");
        self.start(&job);
        let done = std::mem::replace(&mut self.work[number], job);
        self.aside(Self::complete(0, &[done]));
        self.around(round);
    }

    /// A runner that asks for more, and whose slots are full, ends a job: the next one is its.
    fn completion_brings_the_next_job(&mut self, round: usize) {
        let number = round % RUNNERS;
        let (_, output) = self.decide(Self::complete(number, &self.work));
        let job = output.answers.into_iter().flat_map(|answer| answer.jobs).next();
        let job = job.expect("the poll was parked");
        self.start(&job);
        self.work[number] = job;
        self.park(number);
        self.around(round);
    }

    fn park(&mut self, number: usize) {
        let job = self.poll(number, 60_000);
        self.took.pop();
        assert!(job.is_none(), "the runner was full");
    }

    /// Runs rounds and returns the time of the decisions among them.
    fn measure(&mut self, rounds: u64, at: &mut usize, round: fn(&mut Self, usize)) -> Duration {
        let before = self.took.len();
        for _ in 0..rounds {
            round(self, *at);
            *at += 1;
        }
        Duration::from_secs_f64(self.took[before..].iter().sum())
    }

    fn report(&mut self, name: &str) {
        self.took.sort_unstable_by(f64::total_cmp);
        let at = |part: f64| {
            let index = (self.took.len() as f64 * part) as usize;
            self.took[index.min(self.took.len() - 1)] * 1e6
        };
        println!(
            "{name}: {} decisions, p50 {:.2} us, p99 {:.2} us, p99.9 {:.2} us, max {:.1} us",
            self.took.len(),
            at(0.5),
            at(0.99),
            at(0.999),
            at(1.0)
        );
    }
}

fn lease(job: &AssignedJob) -> LeaseRef {
    LeaseRef { token: job.lease.token, nonce: job.lease.nonce, runner_id: job.lease.runner_id }
}

fn decisions(criterion: &mut Criterion) {
    let (mut yard, mut at) = (Yard::new(2), 0);
    criterion.bench_function("poll -> assignment", |bencher| {
        bencher.iter_custom(|rounds| yard.measure(rounds, &mut at, Yard::poll_gets_a_job));
    });
    yard.report("poll -> assignment");

    let (mut yard, mut at) = (Yard::new(1), 0);
    (0..RUNNERS).for_each(|number| yard.park(number));
    yard.took.clear();
    criterion.bench_function("complete -> next assignment", |bencher| {
        bencher.iter_custom(|rounds| {
            yard.measure(rounds, &mut at, Yard::completion_brings_the_next_job)
        });
    });
    yard.report("complete -> next assignment");
}

criterion_group! {
    name = benches;
    config = Criterion::default().measurement_time(Duration::from_secs(8));
    targets = decisions
}
criterion_main!(benches);
