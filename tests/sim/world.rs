//! Senders, runners, operators and faults, played against the real scheduler.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dispatchyard::dispatch::{
    Command, HeldLease, LeaseChange, Output, Poll, Refusal, Register, Reply, Scheduler, Settings,
    Verdict,
};
use dispatchyard::model::{
    AssignedJob, AttemptOutcome, ClassId, Entropy, JobId, JobPriority, JobResult, JobSpec,
    JobStateKind, JobWork, LeaseRef, LeaseToken, Nonce, Now, PlannedJob, PlannedWorkload, PoolId,
    RecordName, RequeueReason, RetryPolicy, RunnerCapabilities, RunnerId, RunnerRequirements,
    TenantId, Trust, WorkloadId, WorkloadKind,
};
use dispatchyard::runner::PollId;

use crate::naive::{self, KnownRunner};
use crate::rows::Rows;

/// What to do next, and two numbers that say with what. Small tuples shrink well.
pub(crate) type Op = (u8, u8, u8);

const MAX_GLOBAL: u64 = 6;

/// How often rare things happened.
#[derive(Debug, Default)]
pub(crate) struct Reached(BTreeMap<&'static str, u64>);

impl Reached {
    const ALL: [&str; 16] = [
        "restart",
        "commit failed",
        "commit ambiguous",
        "stale lease refused",
        "lease expired",
        "poisoned",
        "retried by itself",
        "retried by hand",
        "cancelled while running",
        "completed after a cancel",
        "given again",
        "poll superseded",
        "skipped",
        "stopped at capacity",
        "runner replaced",
        "avoided runner took it",
    ];

    fn mark(&mut self, what: &'static str) {
        assert!(Self::ALL.contains(&what), "{what} is not in the list");
        *self.0.entry(what).or_default() += 1;
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (what, times) in &other.0 {
            *self.0.entry(what).or_default() += times;
        }
    }

    pub(crate) fn assert_all(&self) {
        for what in Self::ALL {
            assert!(self.0.contains_key(what), "never reached: {what}; reached {:?}", self.0);
        }
    }
}

/// A seeded generator: the same seed is the same history.
struct Seeded(u64);

impl Entropy for Seeded {
    fn next_u64(&mut self) -> u64 {
        // SplitMix64 (Steele, Lea, Flood 2014).
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// A runner's process, as it sees itself.
#[derive(Default)]
struct Process {
    id: Option<RunnerId>,
    boot: u8,
    /// What it was answered; it may have been taken away since.
    held: Vec<AssignedJob>,
    /// What it once held.
    stale: Vec<AssignedJob>,
}

pub(crate) struct World {
    scheduler: Scheduler,
    rows: Rows,
    entropy: Seeded,
    dice: Seeded,
    now: Now,
    processes: Vec<Process>,
    known: BTreeMap<RunnerId, KnownRunner>,
    polls: BTreeMap<PollId, usize>,
    next_poll: u64,
    /// The checker's own view of live attempts: never the product's.
    live: BTreeMap<JobId, LeaseToken>,
    ended: BTreeSet<(JobId, u32)>,
    tokens: BTreeSet<LeaseToken>,
    pub(crate) reached: Reached,
}

fn settings() -> Settings {
    Settings {
        max_global_concurrency: MAX_GLOBAL,
        heartbeat_timeout_ms: 60,
        lease_ms: 60,
        ack_window_ms: 15,
        cancel_grace_ms: 30,
        timeout_grace_ms: 5,
        infra_retries_max: 2,
        backoff_max_ms: 40,
        poll_wait_max_ms: 50,
        workload_jobs_max: 8,
        changes_per_command_max: 100,
        classes_max: 64,
        runners_max: 16,
    }
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let rows = Rows { epoch: 1, ..Rows::default() };
        let now = Now { mono_ms: 1_000, wall_ms: 1_700_000_000_000 };
        Self {
            scheduler: Scheduler::load(rows.snapshot(1), settings(), now),
            rows,
            entropy: Seeded(seed),
            dice: Seeded(!seed),
            now,
            processes: (0..5).map(|_| Process::default()).collect(),
            known: BTreeMap::new(),
            polls: BTreeMap::new(),
            next_poll: 1,
            live: BTreeMap::new(),
            ended: BTreeSet::new(),
            tokens: BTreeSet::new(),
            reached: Reached::default(),
        }
    }

    pub(crate) fn random_op(&mut self) -> Op {
        let [kind, a, b, ..] = self.dice.next_u64().to_le_bytes();
        (kind, a, b)
    }

    /// One thing happens, then everything is checked.
    pub(crate) fn step(&mut self, (kind, a, b): Op) {
        let process = usize::from(a) % self.processes.len();
        match kind % 24 {
            0..=3 => self.submit(a, b),
            4 | 5 => self.register(process, b),
            6..=10 => self.poll(process, b),
            11 | 12 => self.start(process, b),
            13 | 14 => self.complete(process, b),
            15 => self.heartbeat(process),
            16 => self.release(process, b),
            17 => self.cancel(a, b),
            18 => self.requeue_or_retry(a, b),
            19 => self.operate(process, b),
            20 | 21 => self.pass(i64::from(b % 40)),
            22 => self.stale(process, b),
            _ => self.trouble(a, b),
        }
        self.check();
    }

    fn submit(&mut self, a: u8, b: u8) {
        let jobs = 1 + usize::from(a % 4);
        let job = |at: usize| {
            let mix = usize::from(b) + at * 3;
            PlannedJob {
                name: format!("j{at}"),
                needs: (0..at)
                    .filter(|need| (mix + need).is_multiple_of(3))
                    .map(|need| format!("j{need}"))
                    .collect(),
                requirements: RunnerRequirements {
                    labels: if mix % 4 == 1 { vec!["big".into()] } else { vec![] },
                    gpu: u32::from(mix % 7 == 2),
                    ..RunnerRequirements::default()
                },
                priority: JobPriority::ALL[mix % 5],
                timeout_ms: 50 + mix as i64,
                retry: RetryPolicy {
                    max_retries: (mix % 3) as u32,
                    backoff_ms: (mix % 2 * 20) as i64,
                },
                not_before_ms: if mix % 11 == 5 { self.now.wall_ms + 10 } else { 0 },
                spec: Arc::new(JobSpec {
                    work: JobWork::Steps(Vec::new()),
                    env: BTreeMap::new(),
                    trust: Trust::default(),
                    traceparent: None,
                }),
            }
        };
        let workload = PlannedWorkload {
            kind: WorkloadKind::Workflow,
            name: "w".into(),
            trigger: String::new(),
            tenant_id: TenantId::DEFAULT,
            session_key: None,
            jobs: (0..jobs).map(job).collect(),
        };
        let command = Command::Submit { workload: Box::new(workload), idempotency_key: None };
        self.send(command).expect("a good plan is accepted");
    }

    fn register(&mut self, process: usize, b: u8) {
        let replaced = b.is_multiple_of(3);
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
            pool_id: PoolId::DEFAULT,
            token_hash: format!("{process}-{b}").into(),
            capabilities: capabilities(process, b),
            version: "sim".into(),
        };
        if let Ok(Reply::Registered(id)) = self.send(Command::Register(Box::new(register))) {
            self.processes[process].id = Some(id);
            if had {
                self.reached.mark("runner replaced");
            }
        }
    }

    fn poll(&mut self, process: usize, b: u8) {
        let Some(runner_id) = self.processes[process].id else { return };
        // Now and then an answer was lost: the runner does not know of the last lease.
        let mut held = self.processes[process].held.clone();
        if b % 8 == 7 {
            held.pop();
        }
        let known: Vec<_> = held.iter().map(|job| job.lease.token).collect();
        self.processes[process].held = held;
        let poll_id = PollId(self.next_poll);
        self.next_poll += 1;
        let foreign = u32::from(b % 16 == 3);
        let poll = Poll {
            runner_id,
            poll_id,
            wait_ms: if b.is_multiple_of(4) { 0 } else { i64::from(b % 50) },
            jobs_max: (b % 5 == 1).then_some(1),
            current_jobs: Some(known.len() as u32 + foreign),
            known,
            capabilities: (b % 9 == 2).then(|| Box::new(capabilities(process, b))),
        };
        self.polls.insert(poll_id, process);
        if self.send(Command::Poll(Box::new(poll))).is_err() {
            self.polls.remove(&poll_id);
            self.processes[process].id = None;
        }
    }

    fn held(&self, process: usize, b: u8) -> Option<AssignedJob> {
        let held = &self.processes[process].held;
        (!held.is_empty()).then(|| held[usize::from(b) % held.len()].clone())
    }

    fn start(&mut self, process: usize, b: u8) {
        let Some(job) = self.held(process, b) else { return };
        self.about(process, &job, Command::Start(reference(&job)));
    }

    fn complete(&mut self, process: usize, b: u8) {
        let Some(job) = self.held(process, b) else { return };
        let cancelling =
            self.scheduler.job(job.job_id).is_some_and(|job| job.cancel_requested_at_ms.is_some());
        let outcome = match b % 5 {
            0..=2 => AttemptOutcome::Completed,
            3 => AttemptOutcome::Failed,
            _ => AttemptOutcome::TimedOut,
        };
        let result = JobResult { outcome, ..JobResult::success() };
        let lease = reference(&job);
        let done = self.about(process, &job, Command::Complete { lease, result: Box::new(result) });
        self.drop_held(process, job.lease.token);
        if cancelling && done && outcome == AttemptOutcome::Completed {
            self.reached.mark("completed after a cancel");
        }
    }

    fn release(&mut self, process: usize, b: u8) {
        let Some(job) = self.held(process, b) else { return };
        let reason =
            if b.is_multiple_of(2) { RequeueReason::Drained } else { RequeueReason::RunnerLost };
        self.about(process, &job, Command::Release { lease: reference(&job), reason });
        self.drop_held(process, job.lease.token);
    }

    fn heartbeat(&mut self, process: usize) {
        let it = &self.processes[process];
        let Some(runner_id) = it.id else { return };
        let lease =
            |job: &AssignedJob| HeldLease { token: job.lease.token, nonce: job.lease.nonce };
        let leases = it.held.iter().map(lease).collect();
        let command =
            Command::Heartbeat { runner_id, leases, capabilities: None, current_jobs: None };
        if let Ok(Reply::Heartbeat { lost, .. }) = self.send(command) {
            for token in lost {
                assert!(!self.live.values().any(|live| *live == token), "{token} was not lost");
                self.drop_held(process, token);
            }
        }
    }

    fn some_job(&self, a: u8, b: u8) -> Option<JobId> {
        let jobs: Vec<_> = self.rows.jobs.keys().collect();
        (!jobs.is_empty()).then(|| *jobs[(usize::from(a) * 256 + usize::from(b)) % jobs.len()])
    }

    fn cancel(&mut self, a: u8, b: u8) {
        let Some(job_id) = self.some_job(a, b) else { return };
        let running = self.rows.jobs[&job_id].kind() == JobStateKind::Running;
        let (author, reason) = ("op".into(), "sim".into());
        let command = if b.is_multiple_of(3) {
            let workload_id = self.rows.jobs[&job_id].workload_id;
            Command::CancelWorkload { workload_id, author, reason }
        } else {
            Command::CancelJob { job_id, author, reason }
        };
        if self.send(command).is_ok() && running {
            self.reached.mark("cancelled while running");
        }
    }

    fn requeue_or_retry(&mut self, a: u8, b: u8) {
        let author: Box<str> = "op".into();
        if b.is_multiple_of(2) {
            let Some(job_id) = self.some_job(a, b) else { return };
            let avoid_runner = b.is_multiple_of(4);
            let reason = "sim".into();
            let _ = self.send(Command::Requeue { job_id, avoid_runner, author, reason });
            return;
        }
        let done: Vec<WorkloadId> = self.rows.done_workloads.keys().copied().collect();
        let Some(&workload_id) = done.get(usize::from(a) % done.len().max(1)) else { return };
        let archived = self.rows.archived(workload_id).map(Box::new);
        if self.send(Command::Retry { workload_id, archived, author }).is_ok() {
            self.reached.mark("retried by hand");
        }
    }

    fn operate(&mut self, process: usize, b: u8) {
        let Some(runner_id) = self.processes[process].id else { return };
        let command = match b % 5 {
            0 => Command::Deregister(runner_id),
            1 => self.patch(runner_id, Some(Some("sim".into())), None),
            2 => self.patch(runner_id, None, Some(true)),
            _ => self.patch(runner_id, Some(None), Some(false)),
        };
        let leaves = matches!(command, Command::Deregister(_));
        if self.send(command).is_ok() && leaves {
            let it = &mut self.processes[process];
            it.id = None;
            let held = std::mem::take(&mut it.held);
            it.stale.extend(held);
        }
    }

    fn patch(
        &self,
        runner_id: RunnerId,
        cordoned: Option<Option<Box<str>>>,
        draining: Option<bool>,
    ) -> Command {
        let author = "op".into();
        Command::PatchRunner { runner_id, capabilities: None, cordoned, draining, author }
    }

    fn pass(&mut self, ms: i64) {
        self.now.mono_ms += ms;
        self.now.wall_ms += ms;
        self.batch(None);
    }

    /// A lease that was once held changes nothing.
    fn stale(&mut self, process: usize, b: u8) {
        let stale = &self.processes[process].stale;
        if stale.is_empty() {
            return;
        }
        let job = stale[usize::from(b) % stale.len()].clone();
        if self.live.get(&job.job_id) == Some(&job.lease.token) {
            return;
        }
        let before = self.scheduler.durable();
        let lease = reference(&job);
        let result = self.scheduler.apply(
            self.now,
            Command::Complete { lease, result: Box::new(JobResult::success()) },
            Verdict::New,
            &mut self.entropy,
        );
        assert_eq!(result, Err(Refusal::LeaseLost(job.lease.token)));
        assert_eq!(self.scheduler.durable(), before);
        self.reached.mark("stale lease refused");
        self.batch(None);
    }

    fn trouble(&mut self, a: u8, b: u8) {
        match a % 4 {
            0 | 1 => {
                self.reached.mark("restart");
                self.load();
            }
            2 => {
                // Decided, not committed: nobody heard of it, and the rows are as they were.
                self.scheduler.tick(self.now, &mut self.entropy);
                let _ = self.cancel_quietly(b);
                self.scheduler.settle(self.now, &mut self.entropy);
                drop(self.scheduler.take_output());
                self.reached.mark("commit failed");
                self.load();
            }
            _ => {
                // Committed, but everyone was told that it failed: answers are lost.
                self.scheduler.tick(self.now, &mut self.entropy);
                let _ = self.cancel_quietly(b);
                self.scheduler.settle(self.now, &mut self.entropy);
                let output = self.scheduler.take_output();
                self.observe(&output);
                self.rows.apply(output.changes, output.marks);
                self.reached.mark("commit ambiguous");
                self.load();
            }
        }
    }

    fn cancel_quietly(&mut self, b: u8) -> Option<Reply> {
        let job_id = self.some_job(b, b)?;
        let command = Command::CancelJob { job_id, author: "op".into(), reason: "sim".into() };
        self.scheduler.apply(self.now, command, Verdict::New, &mut self.entropy).ok()
    }

    fn load(&mut self) {
        self.rows.epoch += 1;
        let snapshot = self.rows.snapshot(self.rows.epoch);
        self.scheduler = Scheduler::load(snapshot, settings(), self.now);
        drop(self.scheduler.take_output());
        self.polls.clear();
        let loaded = self.rows.runners.keys().map(|id| (*id, KnownRunner::default()));
        self.known = loaded.collect();
    }

    fn about(&mut self, process: usize, job: &AssignedJob, command: Command) -> bool {
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

    fn drop_held(&mut self, process: usize, token: LeaseToken) {
        let it = &mut self.processes[process];
        let (gone, held) = std::mem::take(&mut it.held)
            .into_iter()
            .partition(|job: &AssignedJob| job.lease.token == token);
        it.held = held;
        it.stale.extend(gone);
    }

    fn send(&mut self, command: Command) -> Result<Reply, Refusal> {
        self.batch(Some(command)).expect("one command, one reply")
    }

    /// One batch: tick, apply, the naive decision, settle, commit, speak.
    fn batch(&mut self, command: Option<Command>) -> Option<Result<Reply, Refusal>> {
        self.scheduler.tick(self.now, &mut self.entropy);
        let ticked = self.scheduler.take_output();
        self.observe(&ticked);
        self.rows.apply(ticked.changes, ticked.marks);
        let reply = command.map(|command| {
            let before = self.scheduler.durable();
            let about = command.clone();
            let reply = self.scheduler.apply(self.now, command, Verdict::New, &mut self.entropy);
            if reply.is_ok() {
                self.learn(&about, &before);
            }
            reply
        });
        let applied = self.scheduler.take_output();
        self.observe(&applied);
        self.deliver(&applied);
        self.rows.apply(applied.changes, applied.marks);

        let expected = self.naive();
        self.scheduler.settle(self.now, &mut self.entropy);
        let settled = self.scheduler.take_output();
        let assigned =
            |record: &&dispatchyard::model::Record| record.name == RecordName::JobAssigned;
        let chosen: Vec<_> = settled
            .records
            .iter()
            .filter(assigned)
            .map(|record| (record.job_id.unwrap(), record.runner_id.unwrap()))
            .collect();
        assert_eq!(chosen, expected, "the naive matcher chooses otherwise");
        for (job, runner) in &chosen {
            if self.rows.jobs[job].avoid_runner_id == Some(*runner) {
                self.reached.mark("avoided runner took it");
            }
            self.known.get_mut(runner).expect("known").given += 1;
        }
        self.observe(&settled);
        self.deliver(&settled);
        self.rows.apply(settled.changes, settled.marks);
        reply
    }

    /// What the world itself knows after a command was accepted.
    fn learn(&mut self, command: &Command, before: &dispatchyard::dispatch::Durable) {
        if let Command::Register(register) = command {
            let old = before.runners.values().find(|row| row.instance_id == register.instance_id);
            if let Some(old) = old.filter(|row| row.boot_id != register.boot_id) {
                self.known.get_mut(&old.id).expect("it is registered").foreign_jobs = 0;
            }
        }
        let Command::Poll(poll) = command else { return };
        let leases = before.leases.values().filter(|(_, id)| *id == poll.runner_id).count();
        let again = before
            .leases
            .iter()
            .filter(|(token, (job, id))| {
                *id == poll.runner_id
                    && !poll.known.contains(token)
                    && before.jobs[job].kind() == JobStateKind::Claimed
            })
            .count();
        if again > 0 {
            self.reached.mark("given again");
        }
        let known = self.known.get_mut(&poll.runner_id).expect("it is registered");
        if known.parked.is_some() {
            self.reached.mark("poll superseded");
        }
        let ours = if poll.known.is_empty() { leases } else { poll.known.len() };
        known.foreign_jobs = poll.current_jobs.unwrap().saturating_sub(ours as u32);
        known.parked = Some((poll.poll_id.0, poll.jobs_max.unwrap_or(u32::MAX)));
        known.given = again as u32;
    }

    fn naive(&mut self) -> Vec<(JobId, RunnerId)> {
        let classes: BTreeMap<ClassId, RunnerRequirements> =
            self.rows.classes.iter().map(|(id, class)| (*id, class.requirements.clone())).collect();
        let state = self.scheduler.durable();
        if state.leases.len() as u64 >= MAX_GLOBAL {
            self.reached.mark("stopped at capacity");
        }
        naive::decide(&state, &classes, &self.known, MAX_GLOBAL, self.now)
    }

    /// Follows the records and the leases with the checker's own tables.
    fn observe(&mut self, output: &Output) {
        for change in &output.leases {
            match change {
                LeaseChange::Began(token, owner) => {
                    assert!(self.tokens.insert(*token), "token {token} was used before");
                    let other = self.live.insert(owner.job_id, *token);
                    assert_eq!(other, None, "two live attempts of job {}", owner.job_id);
                }
                LeaseChange::Ended(token, owner) => {
                    assert_eq!(self.live.remove(&owner.job_id), Some(*token));
                }
            }
        }
        assert!(self.live.len() as u64 <= MAX_GLOBAL);
        for record in &output.records {
            match record.name {
                RecordName::RunnerRegistered => {
                    self.known.insert(record.runner_id.unwrap(), KnownRunner::default());
                }
                RecordName::RunnerOffline => {
                    self.known.get_mut(&record.runner_id.unwrap()).unwrap().offline = true;
                }
                RecordName::RunnerOnline => {
                    self.known.get_mut(&record.runner_id.unwrap()).unwrap().offline = false;
                }
                RecordName::RunnerDeregistered => {
                    self.known.remove(&record.runner_id.unwrap());
                }
                RecordName::JobRequeued => match &*record.detail {
                    "lease_lost" => self.reached.mark("lease expired"),
                    "failed" | "timed_out" => self.reached.mark("retried by itself"),
                    _ => {}
                },
                RecordName::JobSkipped => self.reached.mark("skipped"),
                RecordName::JobCompleted => {
                    let (job, attempt) = (record.job_id.unwrap(), record.attempt.unwrap());
                    assert!(self.ended.insert((job, attempt)), "job {job} completed twice");
                }
                _ => {}
            }
        }
        for change in &output.changes {
            if let dispatchyard::model::Change::JobUpdated(job) = change
                && let dispatchyard::model::JobState::Ended { reason, .. } = job.state
                && reason == dispatchyard::model::EndReason::Poisoned
            {
                self.reached.mark("poisoned");
            }
        }
    }

    fn deliver(&mut self, output: &Output) {
        for answer in &output.answers {
            let Some(process) = self.polls.remove(&answer.poll_id) else { continue };
            let id = self.processes[process].id;
            if let Some(known) = id.and_then(|id| self.known.get_mut(&id))
                && known.parked.is_some_and(|(poll, _)| poll == answer.poll_id.0)
            {
                known.parked = None;
                known.given = 0;
            }
            for job in &answer.jobs {
                let held = &mut self.processes[process].held;
                if !held.iter().any(|other| other.lease.token == job.lease.token) {
                    held.push(job.clone());
                }
            }
        }
    }

    /// The laws that hold after every batch.
    fn check(&mut self) {
        let live = self.scheduler.durable();
        let snapshot = self.rows.snapshot(self.rows.epoch);
        let loaded = Scheduler::load(snapshot, settings(), self.now).durable();
        assert_eq!(loaded, live, "memory is not an index over the rows");
        assert_eq!(self.naive(), [], "a job waits beside a runner that could take it");
        for job in live.jobs.keys() {
            let explained = self.scheduler.explain(self.now, *job).expect("a live job");
            assert!(!explained.reasons.is_empty(), "job {job} waits unseen");
        }
        for workload in live.workloads.values() {
            assert!(!workload.state.is_terminal());
        }
        let mut used: BTreeMap<RunnerId, u32> = BTreeMap::new();
        for (_, runner) in live.leases.values() {
            *used.entry(*runner).or_default() += 1;
        }
        let of_jobs = live.jobs.values().filter(|job| job.lease().is_some()).count();
        assert_eq!(of_jobs, live.leases.len());
        assert_eq!(self.live.len(), live.leases.len());
    }

    /// After the last fault everything ends within a bound.
    pub(crate) fn run_dry(&mut self) {
        for process in 0..self.processes.len() {
            self.register(process, 1);
            let id = self.processes[process].id.expect("there is room");
            let command = self.patch(id, Some(None), Some(false));
            self.send(command).expect("it is registered");
        }
        for _ in 0..400 {
            if self.rows.workloads.is_empty() {
                return;
            }
            for process in 0..self.processes.len() {
                self.poll(process, 4);
                while !self.processes[process].held.is_empty() {
                    self.start(process, 0);
                    if !self.processes[process].held.is_empty() {
                        self.complete(process, 0);
                    }
                }
            }
            self.pass(7);
            self.check();
        }
        panic!("not everything ended: {:?}", self.rows.jobs);
    }
}

fn capabilities(process: usize, b: u8) -> RunnerCapabilities {
    RunnerCapabilities {
        labels: if process.is_multiple_of(2) || b == 1 { vec!["big".into()] } else { vec![] },
        gpu: u32::from(process == 1 || b == 1),
        max_parallel_jobs: 1 + u32::from(b % 3),
        ..RunnerCapabilities::default()
    }
}

fn reference(job: &AssignedJob) -> LeaseRef {
    let nonce: Nonce = job.lease.nonce;
    LeaseRef { token: job.lease.token, nonce, runner_id: job.lease.runner_id }
}
