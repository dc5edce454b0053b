//! Long worlds: fair shares keep within their bound, and no job starves behind more urgent ones.

use std::collections::BTreeMap;

use dispatchyard::dispatch::{
    Command, Poll, PoolSettings, Register, Reply, Scheduler, Settings, TenantSettings, Verdict,
};
use dispatchyard::model::{
    AssignedJob, JobId, JobPriority, JobResult, LeaseRef, Now, PlannedJob, PlannedWorkload,
    RetryPolicy, RunnerCapabilities, RunnerId, Snapshot, TenantId, WorkloadKind,
};
use dispatchyard::runner::PollId;

use crate::dice::Dice;
use crate::{setup, shapes};

const EXPECTED_MS: i64 = 1_000;
const LONGEST_MS: i64 = 3_000;

/// One runner that is never idle, and whoever keeps it busy.
struct Shop {
    scheduler: Scheduler,
    dice: Dice,
    now: Now,
    runner_id: RunnerId,
    /// When each job that runs will end, by job.
    running: BTreeMap<JobId, (i64, AssignedJob)>,
    tenants: BTreeMap<JobId, TenantId>,
    polls: u64,
}

impl Shop {
    fn new(seed: u64, slots: u32, settings: Settings) -> Self {
        let now = Now { mono_ms: 0, wall_ms: 1_700_000_000_000 };
        let mut dice = Dice(seed);
        let mut scheduler = Scheduler::load(Snapshot::default(), settings, now);
        let register = Register {
            name: "r".into(),
            instance_id: "r".into(),
            boot_id: "1".into(),
            pool_id: setup::GENERAL,
            token_hash: "".into(),
            capabilities: RunnerCapabilities {
                max_parallel_jobs: slots,
                ..RunnerCapabilities::default()
            },
            version: "sim".into(),
            ordered: None,
        };
        let command = Command::Register(Box::new(register));
        let reply = scheduler.apply(now, command, Verdict::New, &mut dice);
        let Ok(Reply::Registered(runner_id)) = reply else { panic!("{reply:?}") };
        let (running, tenants) = (BTreeMap::new(), BTreeMap::new());
        Self { scheduler, dice, now, runner_id, running, tenants, polls: 0 }
    }

    fn apply(&mut self, command: Command) -> Reply {
        let reply = self.scheduler.apply(self.now, command, Verdict::New, &mut self.dice);
        reply.expect("it can be done")
    }

    fn submit(&mut self, tenant_id: TenantId, priority: JobPriority) -> JobId {
        let job = PlannedJob {
            name: "j".into(),
            needs: Vec::new(),
            requirements: Default::default(),
            priority,
            timeout_ms: 60_000,
            retry: RetryPolicy { max_retries: 0, backoff_ms: 0 },
            not_before_ms: 0,
            terms: Default::default(),
            spec: shapes::spec(),
        };
        let workload = PlannedWorkload {
            kind: WorkloadKind::Workflow,
            name: "w".into(),
            trigger: String::new(),
            tenant_id,
            session: None,
            terms: Default::default(),
            open: false,
            jobs: vec![job],
        };
        let command = Command::Submit {
            workload: Box::new(workload),
            idempotency_key: None,
            ended: Vec::new(),
        };
        let reply = self.apply(command);
        let Reply::Submitted { workload_id, .. } = reply else { panic!("{reply:?}") };
        // Each workload has one job, so both are counted alike.
        let id = JobId(workload_id.0);
        self.tenants.insert(id, tenant_id);
        id
    }

    /// The runner asks, and starts what it gets; each job takes as long as `duration_ms` says.
    fn fill(&mut self, duration_ms: impl Fn(&mut Dice) -> i64) -> Vec<JobId> {
        self.polls += 1;
        let poll = Poll {
            runner_id: self.runner_id,
            poll_id: PollId(self.polls),
            wait_ms: 0,
            jobs_max: None,
            known: self.running.values().map(|(_, job)| job.lease.token).collect(),
            capabilities: None,
            current_jobs: None,
        };
        self.apply(Command::Poll(Box::new(poll)));
        self.scheduler.settle(self.now, &mut self.dice);
        let answers = self.scheduler.take_output().answers;
        let jobs: Vec<_> = answers.into_iter().flat_map(|answer| answer.jobs).collect();
        for job in &jobs {
            self.apply(Command::Start(reference(job)));
            let end_ms = self.now.mono_ms + duration_ms(&mut self.dice);
            self.running.insert(job.job_id, (end_ms, job.clone()));
        }
        jobs.iter().map(|job| job.job_id).collect()
    }

    /// Time passes until the next job ends; it, and how long it took.
    fn end_next(&mut self) -> JobId {
        let next = self.running.iter().min_by_key(|(id, (end_ms, _))| (*end_ms, **id));
        let (id, (end_ms, job)) = next.map(|(id, it)| (*id, it.clone())).expect("something runs");
        let ms = end_ms - self.now.mono_ms;
        self.now = Now { mono_ms: end_ms, wall_ms: self.now.wall_ms + ms };
        self.scheduler.tick(self.now, &mut self.dice);
        self.running.remove(&id);
        let result = Box::new(JobResult::success());
        self.apply(Command::Complete { lease: reference(&job), result });
        id
    }
}

fn reference(job: &AssignedJob) -> LeaseRef {
    let lease = job.lease;
    LeaseRef { token: lease.token, nonce: lease.nonce, runner_id: lease.runner_id }
}

fn settings(weights: &[u32]) -> Settings {
    let tenant = |(at, weight): (usize, &u32)| {
        let settings = TenantSettings { weight: *weight, ..TenantSettings::default() };
        (TenantId(at as i64 + 1), settings)
    };
    let pool = PoolSettings { balance_hold_ms: 0, ..PoolSettings::default() };
    Settings {
        expected_run_ms: EXPECTED_MS,
        learning: false,
        tenants: weights.iter().enumerate().map(tenant).collect(),
        pools: [(setup::GENERAL, pool)].into(),
        ..Settings::default()
    }
}

/// Tenants that always have work share a runner for so many jobs. The largest distance between two
/// of them in charged milliseconds by weight, as a part of `charges` largest charges of each.
fn farthest_apart(
    seed: u64,
    slots: u32,
    weights: &[u32],
    charges: u32,
    duration_ms: impl Fn(&mut Dice) -> i64 + Copy,
) -> f64 {
    let mut shop = Shop::new(seed, slots, settings(weights));
    let tenants: Vec<_> = (1..=weights.len() as i64).map(TenantId).collect();
    for _ in 0..2 * slots {
        for tenant in &tenants {
            shop.submit(*tenant, JobPriority::Normal);
        }
    }
    let mut charged: BTreeMap<_, i64> = tenants.iter().map(|tenant| (*tenant, 0)).collect();
    let mut began = BTreeMap::new();
    let mut farthest: f64 = 0.0;
    for _ in 0..1_500 {
        for id in shop.fill(duration_ms) {
            let tenant = shop.tenants[&id];
            *charged.get_mut(&tenant).unwrap() += EXPECTED_MS;
            began.insert(id, shop.now.mono_ms);
            shop.submit(tenant, JobPriority::Normal);
        }
        for (a, wa) in tenants.iter().zip(weights) {
            for (b, wb) in tenants.iter().zip(weights) {
                let (wa, wb) = (f64::from(*wa), f64::from(*wb));
                let apart = charged[a] as f64 / wa - charged[b] as f64 / wb;
                let bound = f64::from(charges) * LONGEST_MS as f64 * (1.0 / wa + 1.0 / wb);
                farthest = farthest.max(apart / bound);
            }
        }
        let id = shop.end_next();
        let ran_ms = shop.now.mono_ms - began[&id];
        *charged.get_mut(&shop.tenants[&id]).unwrap() += ran_ms - EXPECTED_MS;
    }
    for share in shop.scheduler.share_usage() {
        assert_eq!(share.used_ms as i64, charged[&share.tenant_id], "own sums are as shown");
    }
    farthest
}

const WEIGHTS: [&[u32]; 4] = [&[1, 1], &[1, 3], &[1, 1, 2], &[5, 2, 1]];

/// The bound of `queue/fairness.rs`: what tenants were charged differs, by weight, by at most one
/// largest charge of each. It holds as it stands while a job takes what it was charged.
#[test]
fn shares_of_known_durations_differ_by_one_charge_of_each_at_most() {
    for weights in WEIGHTS {
        for slots in [1, 4] {
            let exact = farthest_apart(1, slots, weights, 1, |_| EXPECTED_MS);
            let bound = EXPECTED_MS as f64 / LONGEST_MS as f64;
            assert!(exact <= bound, "{weights:?} on {slots} slots: {exact} of {bound}");
        }
    }
}

/// Whose jobs take longer or shorter than expected is charged the difference at their ends: each
/// of the jobs that run at once may then be one largest charge beside its estimate.
#[test]
fn shares_of_unknown_durations_differ_by_one_charge_more_for_each_slot() {
    for weights in WEIGHTS {
        for slots in [1, 4] {
            for seed in 0..4 {
                let duration = |dice: &mut Dice| 1 + dice.roll(LONGEST_MS as u64) as i64;
                let part = farthest_apart(seed, slots, weights, slots + 1, duration);
                assert!(part <= 1.0, "{weights:?} on {slots} slots, seed {seed}: {part}");
            }
        }
    }
}

/// How long a `background` job waits while others of a level always wait beside it; `None` for
/// longer than an hour.
fn background_waits_ms(rivals: JobPriority) -> Option<i64> {
    const HOUR_MS: i64 = 3_600_000;
    let mut shop = Shop::new(1, 1, settings(&[1]));
    let begun_ms = shop.now.mono_ms;
    let starving = shop.submit(TenantId(1), JobPriority::Background);
    shop.submit(TenantId(1), rivals);
    while shop.now.mono_ms - begun_ms <= HOUR_MS {
        // Never more than a few wait, so that they do not grow old themselves.
        shop.submit(TenantId(1), rivals);
        if shop.fill(|_| EXPECTED_MS).contains(&starving) {
            return Some(shop.now.mono_ms - begun_ms);
        }
        shop.end_next();
    }
    None
}

/// An hour of virtual time with the default of one level in ten minutes.
#[test]
fn a_background_job_is_raised_past_everything_but_critical_work() {
    let aging_ms = Settings::default().aging_ms;
    for (rivals, raises) in
        [(JobPriority::Low, 1), (JobPriority::Normal, 2), (JobPriority::High, 3)]
    {
        let waited_ms = background_waits_ms(rivals).expect("aging ends the wait");
        let late_ms = waited_ms - raises * aging_ms;
        assert!((0..=EXPECTED_MS).contains(&late_ms), "{rivals}: {late_ms} ms late");
    }
    assert_eq!(background_waits_ms(JobPriority::Critical), None);
}
