//! Worlds of runners that the server starts and of an executor that jobs are pushed to, with a backend below
//! each of them: starts that fail, answers that are lost, runners that are killed, servers that restart in the
//! middle of everything.
//!
//! `keeper` and `cloud` do what the server's own do, in steps that anything can come between. `faults` plants
//! faults in them, to see that each is noticed.

mod cloud;
mod faults;
mod keeper;

use std::collections::BTreeMap;

use dispatchyard::dispatch::{Command, PoolSettings, Refusal, Reply, Scheduler, Settings, Verdict};
use dispatchyard::executor::router::{RoutingConfig, RoutingRule};
use dispatchyard::model::{
    AssignedJob, AttemptOutcome, JobPriority, JobResult, JobStateKind, JobTerms, LeaseRef, Now,
    PlannedJob, PlannedWorkload, PoolId, RetryPolicy, RunnerCapabilities, RunnerId,
    RunnerRequirements, TenantId, WorkloadKind, WorkloadTerms,
};
use dispatchyard::runner::{FleetSettings, PollId};

use crate::dice::Dice;
use crate::rows::Rows;
use crate::shapes::spec;
use cloud::Cloud;
use faults::Fault;
use keeper::Keeper;

/// Worlds that are played when nobody says how many.
const SEEDS: u64 = 500;
const STEPS: usize = 250;
const FLEET: &str = "pool default";
/// The executor that jobs are pushed to.
const CLOUD: &str = "cloud";

/// What happened: a zero would make the silence of the checks worthless.
type Seen = BTreeMap<&'static str, u64>;

struct World {
    scheduler: Scheduler,
    settings: Settings,
    rows: Rows,
    now: Now,
    dice: Dice,
    keeper: Keeper,
    cloud: Cloud,
    /// What polls were answered, until whoever polled looks.
    answers: BTreeMap<PollId, Vec<AssignedJob>>,
    next_poll: u64,
    seen: Seen,
    /// Nothing goes wrong any more.
    calm: bool,
    /// What is planted.
    fault: Option<Fault>,
}

fn settings(dice: &mut Dice) -> Settings {
    let max = 1 + dice.roll(4) as u32;
    let fleet = FleetSettings {
        pool_id: PoolId::DEFAULT,
        offers: RunnerCapabilities::default(),
        min_idle: (dice.roll(3) as u32).min(max),
        min: 0,
        max,
        idle_ttl_ms: 80,
        max_age_ms: dice.pick(&[None, Some(400)]),
        start_timeout_ms: 120,
        cost_micros_per_hour: 0,
    };
    let rule = RoutingRule {
        executors: vec![CLOUD.into(), "runners".into()],
        ..RoutingRule::new("**::push-*", CLOUD)
    };
    let pool = PoolSettings { balance_hold_ms: 0, ..PoolSettings::default() };
    Settings {
        heartbeat_timeout_ms: 60,
        lease_ms: 60,
        ack_window_ms: 20,
        backoff_max_ms: 50,
        poll_wait_max_ms: 50,
        infra_retries_max: 1_000,
        pools: [(PoolId::DEFAULT, pool)].into(),
        router: RoutingConfig::new("runners").with_rule(rule).compile().unwrap(),
        executors: [CLOUD.into()].into(),
        fleets: [(FLEET.into(), fleet)].into(),
        installation: "sim".into(),
        ..Settings::default()
    }
}

impl World {
    fn new(seed: u64) -> Self {
        Self::with_fault(seed, None)
    }

    fn with_fault(seed: u64, fault: Option<Fault>) -> Self {
        let mut dice = Dice(seed);
        let settings = settings(&mut dice);
        let rows = Rows { epoch: 1, ..Rows::default() };
        let now = Now { mono_ms: 1_000, wall_ms: 1_700_000_000_000 };
        Self {
            scheduler: Scheduler::load(rows.snapshot(1), faults::told(fault, &settings), now),
            settings,
            rows,
            now,
            dice,
            keeper: Keeper::default(),
            cloud: Cloud::default(),
            answers: BTreeMap::new(),
            next_poll: 1,
            seen: Seen::new(),
            calm: false,
            fault,
        }
    }

    fn mark(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }

    /// Whether something goes wrong that does once in `times`.
    fn fails(&mut self, times: u64) -> bool {
        !self.calm && self.dice.once_in(times)
    }

    /// One batch: tick, apply, settle, commit, speak.
    fn send(&mut self, command: Command) -> Result<Reply, Refusal> {
        self.scheduler.tick(self.now, &mut self.dice);
        let reply = self.scheduler.apply(self.now, command, Verdict::New, &mut self.dice);
        self.settle();
        reply
    }

    fn settle(&mut self) {
        self.scheduler.settle(self.now, &mut self.dice);
        let output = self.scheduler.take_output();
        self.rows.apply(output.changes, output.marks);
        for answer in output.answers {
            self.answers.entry(answer.poll_id).or_default().extend(answer.jobs);
        }
        self.check();
    }

    fn pass(&mut self, ms: i64) {
        self.now = Now { mono_ms: self.now.mono_ms + ms, wall_ms: self.now.wall_ms + ms };
        self.scheduler.tick(self.now, &mut self.dice);
        self.settle();
    }

    /// Another process has the rows; what was said by polls is lost.
    fn restart(&mut self) {
        self.rows.epoch += 1;
        let snapshot = self.rows.snapshot(self.rows.epoch);
        let told = faults::told(self.fault, &self.settings);
        self.scheduler = Scheduler::load(snapshot, told, self.now);
        drop(self.scheduler.take_output());
        self.answers.clear();
        let doubled = self.has(Fault::StartDoubled);
        self.keeper.restart(doubled);
        self.cloud.restart();
        self.mark("restart");
    }

    fn submit(&mut self) {
        let name = match self.dice.once_in(2) {
            true => "push-a",
            false => "local",
        };
        let job = PlannedJob {
            name: name.to_owned(),
            needs: Vec::new(),
            requirements: RunnerRequirements::default(),
            priority: JobPriority::Normal,
            timeout_ms: 100_000,
            retry: RetryPolicy { max_retries: 0, backoff_ms: 0 },
            not_before_ms: 0,
            terms: JobTerms::default(),
            spec: spec(),
        };
        let workload = PlannedWorkload {
            kind: WorkloadKind::Workflow,
            name: "w".into(),
            trigger: String::new(),
            tenant_id: TenantId::DEFAULT,
            session: None,
            terms: WorkloadTerms::default(),
            open: false,
            jobs: vec![job],
        };
        let (workload, ended) = (Box::new(workload), Vec::new());
        self.send(Command::Submit { workload, idempotency_key: None, ended }).unwrap();
    }

    fn next_poll(&mut self) -> PollId {
        self.next_poll += 1;
        PollId(self.next_poll)
    }

    /// A poll that is answered at once.
    fn poll(&mut self, runner_id: RunnerId, known: &[AssignedJob]) -> Option<Vec<AssignedJob>> {
        let poll = dispatchyard::dispatch::Poll {
            runner_id,
            poll_id: self.next_poll(),
            wait_ms: 0,
            jobs_max: None,
            known: known.iter().map(|job| job.lease.token).collect(),
            capabilities: None,
            current_jobs: None,
        };
        let poll_id = poll.poll_id;
        self.send(Command::Poll(Box::new(poll))).ok()?;
        let mut jobs = self.answers.remove(&poll_id).unwrap_or_default();
        if self.has(Fault::BegunTwice) {
            jobs.extend(jobs.clone());
        }
        Some(jobs)
    }

    /// Says how an attempt ended; whether the scheduler took it.
    fn complete(&mut self, job: &AssignedJob) -> bool {
        let result = JobResult {
            outcome: AttemptOutcome::Completed,
            exit_code: None,
            signal: None,
            error: None,
            outputs: BTreeMap::new(),
        };
        self.send(Command::Complete { lease: lease(job), result: Box::new(result) }).is_ok()
    }

    fn step(&mut self) {
        match self.dice.roll(16) {
            0 | 1 => self.submit(),
            2 | 3 => self.keeper_looks(),
            4 => self.backend_answers(),
            5 => self.keeper_compares(),
            6 => self.instance_comes(),
            7..=9 => self.instance_works(),
            10 => self.instance_dies(),
            11 | 12 => self.cloud_supervises(),
            13 => self.cloud_works(),
            14 if self.dice.once_in(6) => self.restart(),
            _ => {
                let ms = self.dice.pick(&[1, 5, 20, 70]);
                self.pass(ms);
            }
        }
    }

    /// After the last trouble all work ends, and what is not needed goes.
    fn run_dry(&mut self) {
        self.calm = true;
        for round in 0..2_000 {
            for _ in 0..3 {
                self.keeper_looks();
                self.backend_answers();
                self.keeper_compares();
                self.instance_comes();
            }
            (0..6).for_each(|_| self.instance_works());
            self.cloud_supervises();
            self.cloud_works();
            self.pass(10);
            if self.rows.workloads.is_empty() && round > 100 && self.is_at_rest() {
                return;
            }
        }
        let left = self.rows.jobs.values().filter(|job| !job.kind().is_terminal());
        let why = left.map(|job| (job.id, job.kind(), self.scheduler.explain(self.now, job.id)));
        let why: Vec<_> = why.collect();
        panic!("not at rest: {why:?}; {:?}", self.plan());
    }

    /// The laws, after every batch.
    fn check(&self) {
        let live = self.scheduler.durable();
        let told = faults::told(self.fault, &self.settings);
        let loaded = Scheduler::load(self.rows.snapshot(self.rows.epoch), told, self.now);
        assert_eq!(loaded.durable(), live, "memory is not an index over the rows");
        let fleet = &self.settings.fleets[FLEET];
        let ordered = live.runners.values().filter(|row| row.order.is_some());
        let there = ordered.clone().filter(|row| row.leaving().is_none()).count();
        assert!(there <= fleet.max as usize, "{there} runners, {} may be", fleet.max);
        for row in ordered.filter(|row| row.leaving().is_some()) {
            let has = live.leases.values().any(|(_, runner)| *runner == row.id);
            assert!(!has, "{} is to be taken down and has a job", row.name);
        }
        self.check_machines();
        self.check_backends();
    }

    /// Whether a job's lease is still this one.
    fn is_valid(&self, job: &AssignedJob) -> bool {
        self.rows.find_job(job.job_id).is_some_and(|row| {
            row.lease().is_some_and(|lease| lease.token == job.lease.token)
                && row.kind() != JobStateKind::Pending
        })
    }
}

fn lease(job: &AssignedJob) -> LeaseRef {
    let lease = &job.lease;
    LeaseRef { token: lease.token, nonce: lease.nonce, runner_id: lease.runner_id }
}

/// Each attempt has one run outside, no runner with work is taken down, none is left behind and none is there
/// twice, memory is an index over the rows, and all work ends.
#[test]
fn runners_and_jobs_that_are_started_outside_are_neither_lost_nor_doubled() {
    let play = |seed: u64| {
        let mut world = World::new(seed);
        (0..STEPS).for_each(|_| world.step());
        world.run_dry();
        world.seen
    };
    if let Some(seed) = crate::number("SIM_SEED") {
        play(seed);
        return;
    }
    let count = crate::number("SIM_SEEDS").map_or(SEEDS, |count| count.div_ceil(4));
    let mut seen = Seen::new();
    for seed in 0..count {
        let played = std::panic::catch_unwind(|| play(seed));
        let played = played.unwrap_or_else(|_| panic!("play it again with SIM_SEED={seed}"));
        played.into_iter().for_each(|(what, times)| *seen.entry(what).or_default() += times);
    }
    println!("{seen:?}");
    if count >= SEEDS {
        let missing: Vec<_> = RARE.iter().filter(|what| !seen.contains_key(*what)).collect();
        assert!(missing.is_empty(), "never: {missing:?}");
    }
}

/// What must happen in some world.
const RARE: &[&str] = &[
    "restart",
    "ordered",
    "start failed",
    "start outlived its server",
    "came too late",
    "killed with a job",
    "retired",
    "leftover taken down",
    "died and was noticed",
    "fell back",
    "pushed",
    "adopted",
    "gone before it was begun",
    "answer of the cloud lost",
];
