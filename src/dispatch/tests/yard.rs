//! A scheduler with a clock that stands still, and everything that it ever wrote or said. It
//! is long because it is one thing: every verb that a test may need.

use std::collections::BTreeMap;

use crate::dispatch::{
    Answer, Command, HeldLease, Poll, PoolSettings, Refusal, Register, Reply, Scheduler, Settings,
    Verdict,
};
use crate::model::{
    Archived, AssignedJob, Attempt, Change, Class, Decision, Edge, Entropy, Job, JobId, JobResult,
    JobState, JobStateKind, LeaseRef, LeaseToken, Measure, Now, PlannedJob, PlannedWorkload,
    PoolId, Record, RunnerCapabilities, RunnerId, Session, SessionDay, SessionId, SessionMessage,
    SessionState, Snapshot, SoftState, TenantId, Workload, WorkloadId,
};
use crate::runner::PollId;

pub(crate) use super::plan::{after, job, labelled, retried, urgent, workload};

/// A seeded generator, so that each run of a test is the same.
pub(crate) struct Seeded(pub(crate) u64);

impl Entropy for Seeded {
    fn next_u64(&mut self) -> u64 {
        // xorshift64* (Vigna 2014).
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}

/// The scheduler, and the rows as its changes left them: ended ones too.
pub(crate) struct Yard {
    pub(crate) scheduler: Scheduler,
    pub(crate) now: Now,
    pub(crate) settings: Settings,
    pub(crate) jobs: BTreeMap<JobId, Job>,
    pub(crate) workloads: BTreeMap<WorkloadId, Workload>,
    pub(crate) classes: Vec<Class>,
    pub(crate) edges: Vec<Edge>,
    pub(crate) attempts: Vec<Attempt>,
    pub(crate) records: Vec<Record>,
    /// What was counted.
    pub(crate) measures: Vec<Measure>,
    /// Jobs that were told as undecided, each time.
    pub(crate) undecided: Vec<JobId>,
    /// Soft state, as it was last written.
    pub(crate) soft: Vec<SoftState>,
    /// Live sessions.
    pub(crate) sessions: BTreeMap<SessionId, Session>,
    pub(crate) session_days: BTreeMap<TenantId, SessionDay>,
    /// All that was said in sessions.
    pub(crate) messages: Vec<SessionMessage>,
    /// The changes of the last batch.
    pub(crate) changes: Vec<Change>,
    answers: BTreeMap<PollId, Answer>,
    entropy: Seeded,
    next_poll: u64,
}

pub(crate) fn settings() -> Settings {
    Settings {
        max_global_concurrency: 100,
        heartbeat_timeout_ms: 60_000,
        lease_ms: 60_000,
        ack_window_ms: 10_000,
        cancel_grace_ms: 30_000,
        timeout_grace_ms: 5_000,
        infra_retries_max: 2,
        backoff_max_ms: 60_000,
        poll_wait_max_ms: 50_000,
        workload_jobs_max: 1_000,
        changes_per_command_max: 10_000,
        classes_max: 16,
        runners_max: 16,
        // Most tests are about one thing at a time.
        pools: [(PoolId::DEFAULT, PoolSettings { balance_hold_ms: 0, ..PoolSettings::default() })]
            .into(),
        ..Settings::default()
    }
}

pub(crate) fn slots(max_parallel_jobs: u32) -> RunnerCapabilities {
    RunnerCapabilities { max_parallel_jobs, ..RunnerCapabilities::default() }
}

/// One slot and a label.
pub(crate) fn with_label(label: &str) -> RunnerCapabilities {
    RunnerCapabilities { labels: vec![label.into()], ..slots(1) }
}

/// The name under which a runner speaks for a lease.
pub(crate) fn lease(job: &AssignedJob) -> LeaseRef {
    LeaseRef { token: job.lease.token, nonce: job.lease.nonce, runner_id: job.lease.runner_id }
}

pub(crate) fn names(jobs: &[AssignedJob]) -> Vec<&str> {
    jobs.iter().map(|job| &*job.name).collect()
}

impl Yard {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = settings();
        change(&mut settings);
        let now = Now { mono_ms: 1_000, wall_ms: 1_700_000_000_000 };
        let snapshot = Snapshot { epoch: 1, ..Snapshot::default() };
        Self {
            scheduler: Scheduler::load(snapshot, settings.clone(), now),
            now,
            settings,
            jobs: BTreeMap::new(),
            workloads: BTreeMap::new(),
            classes: Vec::new(),
            edges: Vec::new(),
            attempts: Vec::new(),
            records: Vec::new(),
            measures: Vec::new(),
            undecided: Vec::new(),
            soft: Vec::new(),
            sessions: BTreeMap::new(),
            session_days: BTreeMap::new(),
            messages: Vec::new(),
            changes: Vec::new(),
            answers: BTreeMap::new(),
            entropy: Seeded(7),
            next_poll: 1,
        }
    }

    /// One batch of commands; the replies are in their order.
    pub(crate) fn batch(
        &mut self,
        commands: impl IntoIterator<Item = Command>,
    ) -> Vec<Result<Reply, Refusal>> {
        let commands = commands.into_iter().map(|command| (command, Verdict::New));
        self.batch_with(commands.collect())
    }

    pub(crate) fn batch_with(
        &mut self,
        commands: Vec<(Command, Verdict)>,
    ) -> Vec<Result<Reply, Refusal>> {
        let (now, entropy) = (self.now, &mut self.entropy);
        self.scheduler.tick(now, entropy);
        let apply = |(command, verdict)| self.scheduler.apply(now, command, verdict, entropy);
        let replies = commands.into_iter().map(apply).collect();
        self.scheduler.settle(now, &mut self.entropy);
        let output = self.scheduler.take_output();
        for change in &output.changes {
            self.follow(change.clone());
        }
        self.changes = output.changes;
        self.records.extend(output.records);
        self.measures.extend(output.measures);
        self.undecided.extend(output.undecided);
        self.answers.extend(output.answers.into_iter().map(|it| (it.poll_id, it)));
        assert_eq!(
            self.loaded().durable(),
            self.scheduler.durable(),
            "memory follows from the rows"
        );
        replies
    }

    pub(crate) fn apply(&mut self, command: Command) -> Result<Reply, Refusal> {
        self.batch([command]).remove(0)
    }

    /// Carries out a command that must be refused and must change nothing.
    pub(crate) fn refused(&mut self, command: Command) -> Refusal {
        let before = self.scheduler.durable();
        let refusal = self.apply(command).expect_err("it is to be refused");
        assert_eq!(self.scheduler.durable(), before, "{refusal} and it changed memory");
        assert_eq!(self.changes, [], "{refusal} and it wrote");
        refusal
    }

    fn follow(&mut self, change: Change) {
        match change {
            Change::JobInserted { job, edges, .. } => {
                self.edges.extend(edges);
                self.jobs.insert(job.id, job);
            }
            Change::JobUpdated(job) | Change::JobReplanned { job, .. } => {
                drop(self.jobs.insert(job.id, job));
            }
            Change::WorkloadInserted(row) | Change::WorkloadUpdated(row) => {
                self.workloads.insert(row.id, row);
            }
            Change::ClassInserted(class) => self.classes.push(class),
            Change::SoftSaved(soft) => {
                self.soft.retain(|kept| kept.key != soft.key);
                self.soft.push(soft);
            }
            Change::EdgeInserted(edge) => self.edges.push(edge),
            Change::SessionInserted(row) | Change::SessionUpdated(row) => {
                match row.state == SessionState::Ended {
                    true => drop(self.sessions.remove(&row.id)),
                    false => drop(self.sessions.insert(row.id, *row)),
                }
            }
            Change::SessionSpent(day) => drop(self.session_days.insert(day.tenant_id, day)),
            Change::SessionSaid(message) => self.messages.push(*message),
            Change::AttemptEnded(attempt) => self.attempts.push(*attempt),
            _ => {}
        }
    }

    /// Lets time pass, and the scheduler notice.
    pub(crate) fn pass(&mut self, ms: i64) {
        self.now.mono_ms += ms;
        self.now.wall_ms += ms;
        self.batch([]);
    }

    /// A new workload; its jobs in the order given.
    pub(crate) fn submit(&mut self, jobs: Vec<PlannedJob>) -> Vec<JobId> {
        self.submit_as(TenantId::DEFAULT, jobs)
    }

    /// As [`Yard::submit`], of a tenant.
    pub(crate) fn submit_as(&mut self, tenant_id: TenantId, jobs: Vec<PlannedJob>) -> Vec<JobId> {
        self.submit_whole(PlannedWorkload { tenant_id, ..workload(jobs) })
    }

    pub(crate) fn submission(workload: PlannedWorkload) -> Command {
        let (workload, ended) = (Box::new(workload), Vec::new());
        Command::Submit { workload, idempotency_key: None, ended }
    }

    /// A new workload with terms of its own.
    pub(crate) fn submit_whole(&mut self, workload: PlannedWorkload) -> Vec<JobId> {
        let reply = self.apply(Self::submission(workload)).expect("a good workload");
        let Reply::Submitted { workload_id, duplicate: false, .. } = reply else {
            panic!("{reply:?}")
        };
        let jobs = self.jobs.values().filter(|job| job.workload_id == workload_id);
        jobs.map(|job| job.id).collect()
    }

    pub(crate) fn hello(name: &str, capabilities: RunnerCapabilities) -> Register {
        Register {
            name: name.into(),
            instance_id: name.into(),
            boot_id: "boot-1".into(),
            pool_id: PoolId::DEFAULT,
            token_hash: "hash".into(),
            capabilities,
            version: "1".into(),
            ordered: None,
        }
    }

    pub(crate) fn register(&mut self, name: &str, capabilities: RunnerCapabilities) -> RunnerId {
        let register = Box::new(Self::hello(name, capabilities));
        match self.apply(Command::Register(register)) {
            Ok(Reply::Registered(id)) => id,
            other => panic!("{other:?}"),
        }
    }

    /// A poll as a runner makes it: for 30 s, for as many jobs as it has slots.
    pub(crate) fn poll_of(&mut self, runner_id: RunnerId) -> Poll {
        self.next_poll += 1;
        Poll {
            runner_id,
            poll_id: PollId(self.next_poll),
            wait_ms: 30_000,
            jobs_max: None,
            known: Vec::new(),
            capabilities: None,
            current_jobs: None,
        }
    }

    /// Parks a poll, or gets it answered.
    pub(crate) fn poll(&mut self, runner_id: RunnerId) -> PollId {
        let poll = self.poll_of(runner_id);
        self.poll_with(poll)
    }

    pub(crate) fn poll_with(&mut self, poll: Poll) -> PollId {
        let poll_id = poll.poll_id;
        assert_eq!(self.apply(Command::Poll(Box::new(poll))), Ok(Reply::Parked));
        poll_id
    }

    /// Opens a stream.
    pub(crate) fn stream(&mut self, runner_id: RunnerId) -> PollId {
        let poll = self.poll_of(runner_id);
        self.stream_with(poll)
    }

    pub(crate) fn stream_with(&mut self, poll: Poll) -> PollId {
        let poll_id = poll.poll_id;
        assert_eq!(self.apply(Command::Stream(Box::new(poll))), Ok(Reply::Parked));
        poll_id
    }

    /// The answer of a poll, if it has one, taken away.
    pub(crate) fn answer(&mut self, poll_id: PollId) -> Option<Answer> {
        self.answers.remove(&poll_id)
    }

    /// What an answered poll was given.
    pub(crate) fn given(&mut self, poll_id: PollId) -> Vec<AssignedJob> {
        self.answer(poll_id).map_or_else(Vec::new, |answer| answer.jobs)
    }

    /// Polls and returns what there is; the poll stays parked when there is nothing.
    pub(crate) fn take(&mut self, runner_id: RunnerId) -> Vec<AssignedJob> {
        let poll_id = self.poll(runner_id);
        self.given(poll_id)
    }

    /// Polls, and starts whatever there is.
    pub(crate) fn take_started(&mut self, runner_id: RunnerId) -> Vec<AssignedJob> {
        let jobs = self.take(runner_id);
        for job in &jobs {
            self.start(job).expect("it was just given");
        }
        jobs
    }

    /// Polls, and starts the one job that there is.
    pub(crate) fn run(&mut self, runner_id: RunnerId) -> AssignedJob {
        let mut jobs = self.take(runner_id);
        assert_eq!(jobs.len(), 1, "{jobs:?}");
        let job = jobs.remove(0);
        self.start(&job).expect("it was just given");
        job
    }

    pub(crate) fn start(&mut self, job: &AssignedJob) -> Result<Reply, Refusal> {
        self.apply(Command::Start(lease(job)))
    }

    /// The names of the next jobs, one after the other, each done before the next is asked for.
    pub(crate) fn work_off(&mut self, runner_id: RunnerId, jobs: usize) -> Vec<String> {
        let mut done = Vec::new();
        for _ in 0..jobs {
            let job = self.run(runner_id);
            self.succeed(&job);
            done.push(job.name.to_string());
        }
        done
    }

    /// Ends an attempt and returns the job's state.
    pub(crate) fn complete(&mut self, job: &AssignedJob, result: JobResult) -> JobStateKind {
        let command = Command::Complete { lease: lease(job), result: Box::new(result) };
        match self.apply(command) {
            Ok(Reply::Completed { state, .. }) => state,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn succeed(&mut self, job: &AssignedJob) -> JobStateKind {
        self.complete(job, JobResult::success())
    }

    pub(crate) fn fail(&mut self, job: &AssignedJob) -> JobStateKind {
        self.complete(job, JobResult::failed("no"))
    }

    /// What a heartbeat about these is told: lost, to be cancelled.
    pub(crate) fn beat(
        &mut self,
        runner_id: RunnerId,
        jobs: &[&AssignedJob],
    ) -> (Vec<LeaseToken>, Vec<LeaseToken>) {
        let held =
            |job: &&AssignedJob| HeldLease { token: job.lease.token, nonce: job.lease.nonce };
        let leases = jobs.iter().map(held).collect();
        let command =
            Command::Heartbeat { runner_id, leases, capabilities: None, current_jobs: None };
        match self.apply(command) {
            Ok(Reply::Heartbeat { lost, cancel, .. }) => (lost, cancel),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn patch(
        &mut self,
        runner_id: RunnerId,
        cordoned: Option<Option<&str>>,
        draining: Option<bool>,
    ) {
        let cordoned = cordoned.map(|why| why.map(Into::into));
        let (capabilities, author) = (None, "ada".into());
        let command = Command::PatchRunner { runner_id, capabilities, cordoned, draining, author };
        self.apply(command).expect("a registered runner");
    }

    pub(crate) fn cancel(&mut self, job_id: JobId) -> Result<Reply, Refusal> {
        self.apply(Command::CancelJob { job_id, author: "ada".into(), reason: "enough".into() })
    }

    pub(crate) fn state(&self, id: JobId) -> JobStateKind {
        self.jobs[&id].kind()
    }

    pub(crate) fn states(&self, ids: &[JobId]) -> Vec<JobStateKind> {
        ids.iter().map(|id| self.state(*id)).collect()
    }

    pub(crate) fn workload_of(&self, job: JobId) -> &Workload {
        &self.workloads[&self.jobs[&job].workload_id]
    }

    /// Why an ended job ended.
    pub(crate) fn end_of(&self, id: JobId) -> crate::model::EndReason {
        match self.jobs[&id].state {
            JobState::Ended { reason, .. } => reason,
            ref other => panic!("job {id} has not ended: {other:?}"),
        }
    }

    /// Jobs that join an open workload.
    pub(crate) fn join(&mut self, id: WorkloadId, jobs: Vec<PlannedJob>) -> Vec<JobId> {
        let command =
            Command::Join { workload_id: id, jobs, idempotency_key: None, ended: Vec::new() };
        match self.apply(command) {
            Ok(Reply::Joined { jobs, .. }) => jobs,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn close(&mut self, id: WorkloadId) -> Result<Reply, Refusal> {
        self.apply(Command::Close { workload_id: id, author: "ada".into() })
    }

    /// What somebody outside decides about a job, in the run that its workload has.
    pub(crate) fn decide(&mut self, job_id: JobId, decision: Decision) -> Result<Reply, Refusal> {
        let run = self.workload_of(job_id).run;
        self.apply(Command::Decide { job_id, run, decision })
    }

    /// A manual retry, with how all others ended.
    pub(crate) fn retry(&mut self, id: WorkloadId) -> Result<Reply, Refusal> {
        let archived = Some(self.archived(id));
        let ended = self.workloads.values().map(|row| (row.id, row.state)).collect();
        self.apply(Command::Retry { workload_id: id, archived, ended, author: "ada".into() })
    }

    /// Why a job waits, in words.
    pub(crate) fn said(&self, id: JobId) -> Vec<String> {
        super::explain::said(self, id)
    }

    /// The rows of an ended workload, as the store reads them for a retry.
    pub(crate) fn archived(&self, id: WorkloadId) -> Box<Archived> {
        let jobs: Vec<_> =
            self.jobs.values().filter(|job| job.workload_id == id).cloned().collect();
        let edges = self.edges.iter().filter(|edge| edge.workload_id == id).copied().collect();
        let used = |class: &&Class| jobs.iter().any(|job| job.class_id == class.id);
        let classes = self.classes.iter().filter(used).cloned().collect();
        Box::new(Archived { workload: self.workloads[&id].clone(), jobs, edges, classes })
    }

    /// A new process with the same rows, in the next epoch.
    pub(crate) fn restart(&mut self) {
        self.scheduler = self.loaded();
        self.undecided.extend(self.scheduler.take_output().undecided);
    }

    fn loaded(&self) -> Scheduler {
        let live = self.scheduler.durable();
        let snapshot = Snapshot {
            epoch: self.scheduler.epoch() + 1,
            marks: live.marks,
            classes: self.classes.clone(),
            workloads: live.workloads.into_values().collect(),
            jobs: live.jobs.into_values().collect(),
            edges: live.edges,
            runners: live.runners.into_values().collect(),
            pauses: live.pauses.into_values().collect(),
            held: live.held.into_iter().collect(),
            schedules: live.schedules.into_values().collect(),
            sessions: self.sessions.values().cloned().collect(),
            session_days: self.session_days.values().copied().collect(),
            soft: self.soft.clone(),
        };
        Scheduler::load(snapshot, self.settings.clone(), self.now)
    }
}
