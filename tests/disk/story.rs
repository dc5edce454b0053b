//! A server's days on a disk that may fail, played by those who use it: they repeat what was not
//! answered, as real ones do, and write down what was.

use std::cell::{Cell, RefCell};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dispatchyard::clock::{Clock as _, SystemClock};
use dispatchyard::dispatch::{
    Command, Deliver, HeldLease, Poll, Refusal, Register, Reply, Scheduler,
};
use dispatchyard::driver::CommandError;
use dispatchyard::model::{
    AssignedJob, Body, Delivery, DeliveryId, DeliveryState, JobPriority, JobResult, JobSpec,
    JobStateKind, JobWork, KeyScope, LeaseRef, LeaseToken, Plan, PlannedJob, PlannedWorkload,
    RetryPolicy, RunnerCapabilities, RunnerId, RunnerRequirements, TenantId, Trust, UniqueKey,
    WorkloadId, WorkloadKind,
};
use dispatchyard::runner::PollId;

use crate::disk::{Disk, Kind};
use crate::rows::Fact;
use crate::server::{Server, Setup, settings};

/// Longer than anything may take that is repeated.
const PATIENCE_S: f64 = 15.0;
/// Longer than the tries of the driver take until they are as far apart as they ever are.
const AWAY_S: f64 = 3.0;
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(2);
/// Jobs of a large workload.
const LARGE: usize = 900;
/// A label that no runner has.
const NOBODY: &str = "nobody";

/// Who uses the server, and what they were told.
pub(crate) struct Story<'a> {
    setup: Setup<'a>,
    disk: &'a Arc<Disk>,
    clock: SystemClock,
    server: Option<Server>,
    /// With how much the disk remembered when it was told.
    told: RefCell<Vec<(usize, Fact)>>,
    polls: Cell<u64>,
}

/// The answer to what was sent until there was one, and how often it was sent.
struct Answered {
    reply: Result<Reply, Refusal>,
    tries: u32,
}

impl<'a> Story<'a> {
    pub(crate) fn new(setup: Setup<'a>, disk: &'a Arc<Disk>) -> Self {
        Self {
            setup,
            disk,
            clock: SystemClock::new(),
            server: None,
            told: RefCell::default(),
            polls: Cell::new(0),
        }
    }

    /// What was told, in that order, each with how much the disk remembered by then.
    pub(crate) fn told(&self) -> Vec<(usize, Fact)> {
        self.told.borrow().clone()
    }

    fn tell(&self, fact: Fact) {
        let mut told = self.told.borrow_mut();
        if !told.iter().any(|(_, known)| *known == fact) {
            told.push((self.disk.entries(), fact));
        }
    }

    fn server(&self) -> &Server {
        self.server.as_ref().unwrap()
    }

    /// So many rounds of work with a restart in their middle, and an end in good order.
    ///
    /// # Errors
    /// A wrong answer, or none when there should be one.
    pub(crate) async fn play(&mut self, rounds: u64) -> Result<(), String> {
        self.start().await?;
        let runners = [self.register(0).await?, self.register(1).await?];
        for round in 0..rounds {
            if round == rounds / 2 {
                self.stop().await?;
                self.start().await?;
            }
            self.round(round, runners).await?;
        }
        self.disk.heal();
        self.remembers_the_rows().await
    }

    /// The disk is away until the driver waits for as long as it ever does between two tries, and comes
    /// back right after one of them: in how many seconds a write is accepted.
    ///
    /// # Errors
    /// It never is.
    pub(crate) async fn away_for_long(&mut self) -> Result<f64, String> {
        self.submit("once-before", &["a"]).await?;
        self.disk.fail(Kind::Gone, u64::MAX);
        let away = async {
            let began = self.clock.seconds();
            let mut seen = self.disk.failures();
            while self.clock.seconds() - began < AWAY_S || self.disk.failures() == seen {
                if self.clock.seconds() - began < AWAY_S {
                    seen = self.disk.failures();
                }
                tokio::time::sleep(PAUSE).await;
            }
            self.disk.heal();
        };
        let (submitted, ()) = tokio::join!(self.submit("once-patient", &["a"]), away);
        submitted?;
        let after = self.disk.accepted_after();
        self.stop().await?;
        after.ok_or_else(|| "the disk never failed".to_owned())
    }

    /// Some work, then a flush that fails: in how many seconds a write is accepted.
    ///
    /// # Errors
    /// It never is.
    pub(crate) async fn flush_fails(&mut self, before: impl FnOnce()) -> Result<f64, String> {
        self.start().await?;
        // Enough rows for a copy to look up from them.
        let many: Vec<_> = (0..LARGE).map(|number| format!("j{number}")).collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        self.submit("once-before", &many).await?;
        before();
        self.disk.fail_flush();
        self.submit("once-patient", &["a"]).await?;
        let after = self.disk.accepted_after();
        self.stop().await?;
        after.ok_or_else(|| "the disk never failed".to_owned())
    }

    /// Starts the server, as often as it takes.
    ///
    /// # Errors
    /// It does not start on a sound disk.
    pub(crate) async fn start(&mut self) -> Result<(), String> {
        let began = self.clock.seconds();
        loop {
            match Server::start(&self.setup).await {
                Ok(server) => {
                    self.server = Some(server);
                    return Ok(());
                }
                Err(error) if self.clock.seconds() - began > PATIENCE_S => {
                    return Err(format!("it does not start: {error}"));
                }
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    /// Stops it in good order.
    ///
    /// # Errors
    /// It does not end.
    async fn stop(&mut self) -> Result<(), String> {
        let server = self.server.take().unwrap();
        let stopped = tokio::time::timeout(Duration::from_secs_f64(PATIENCE_S), server.stop());
        stopped.await.map_err(|_| "it does not stop".to_owned())
    }

    /// Sends a command once.
    ///
    /// # Errors
    /// There is no answer at all.
    async fn send(&self, command: Command) -> Result<Result<Reply, CommandError>, String> {
        let answer = self.server().handle.send(command);
        let answer = tokio::time::timeout(Duration::from_secs_f64(PATIENCE_S), answer);
        answer.await.map_err(|_| "a command is not answered".to_owned())
    }

    /// Sends a command until it is answered.
    ///
    /// # Errors
    /// It never is.
    async fn insist(&self, command: Command) -> Result<Answered, String> {
        let began = self.clock.seconds();
        for tries in 1.. {
            match self.send(command.clone()).await? {
                Ok(reply) => {
                    self.disk.accepted();
                    return Ok(Answered { reply: Ok(reply), tries });
                }
                Err(CommandError::Refused(refusal)) => {
                    return Ok(Answered { reply: Err(refusal), tries });
                }
                Err(error) if self.clock.seconds() - began > PATIENCE_S => {
                    return Err(format!("never accepted again: {error}"));
                }
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
        unreachable!("it is tried for ever")
    }

    async fn register(&self, number: u64) -> Result<RunnerId, String> {
        let hello = Register {
            name: format!("runner-{number}").into(),
            instance_id: format!("instance-{number}").into(),
            boot_id: "boot".into(),
            pool_id: dispatchyard::model::PoolId::DEFAULT,
            token_hash: format!("hash-{number}").into(),
            capabilities: RunnerCapabilities {
                max_parallel_jobs: 2,
                ..RunnerCapabilities::default()
            },
            version: "test".into(),
            ordered: None,
        };
        let answered = self.insist(Command::Register(Box::new(hello))).await?;
        let Ok(Reply::Registered(id)) = answered.reply else { return Err(answered.odd()) };
        self.tell(Fact::Registered(id));
        Ok(id)
    }

    async fn round(&self, round: u64, runners: [RunnerId; 2]) -> Result<(), String> {
        let key = format!("once-{round}");
        let (first, _, delivered) = tokio::join!(
            self.submit(&key, &["a", "b"]),
            self.submit_without_key(round),
            self.deliver(round)
        );
        let first = first?;
        delivered?;
        for runner in runners {
            self.work(runner).await?;
        }
        let again = self.submit(&key, &["a", "b"]).await?;
        if again != first {
            return Err(format!("key {key} led to {first} and to {again}"));
        }
        let unwanted = self.submit(&format!("once-unwanted-{round}"), &[NOBODY]).await?;
        self.cancel(unwanted).await?;
        self.submit(&format!("once-waiting-{round}"), &[NOBODY]).await?;
        self.reads(first).await
    }

    /// New work with a key.
    async fn submit(&self, key: &str, jobs: &[&str]) -> Result<WorkloadId, String> {
        let answered = self.insist(submission(key, Some(key), jobs)).await?;
        let Ok(Reply::Submitted { workload_id, .. }) = answered.reply else {
            return Err(answered.odd());
        };
        self.tell(Fact::Submitted(workload_id, jobs.len() as i64));
        Ok(workload_id)
    }

    /// New work that nobody may send twice.
    async fn submit_without_key(&self, round: u64) -> Result<(), String> {
        let name = format!("plain-{round}");
        if let Ok(reply) = self.send(submission(&name, None, &["a"])).await? {
            let Reply::Submitted { workload_id, duplicate: false, .. } = reply else {
                return Err(format!("{reply:?}"));
            };
            self.tell(Fact::Submitted(workload_id, 1));
        }
        Ok(())
    }

    async fn deliver(&self, round: u64) -> Result<(), String> {
        let answered = self.insist(delivery(round)).await?;
        let Ok(Reply::Delivered { delivery_id, verdicts: _, .. }) = answered.reply else {
            return Err(answered.odd());
        };
        self.tell(Fact::Delivered(delivery_id));
        Ok(())
    }

    async fn cancel(&self, workload_id: WorkloadId) -> Result<(), String> {
        let (author, reason) = ("test".into(), "unwanted".into());
        let cancel = Command::CancelWorkload { workload_id, author, reason };
        let answered = self.insist(cancel).await?;
        match &answered.reply {
            Ok(_) => {}
            // It was cancelled before, and that was not answered.
            Err(Refusal::UnknownWorkload(_)) if answered.tries > 1 => {}
            Err(_) => return Err(answered.odd()),
        }
        self.tell(Fact::Cancelled(workload_id));
        Ok(())
    }

    /// Carries out all that the runner is given.
    async fn work(&self, runner_id: RunnerId) -> Result<(), String> {
        loop {
            let jobs = self.poll(runner_id).await?;
            if jobs.is_empty() {
                return Ok(());
            }
            for job in jobs {
                self.carry_out(&job).await?;
            }
        }
    }

    async fn poll(&self, runner_id: RunnerId) -> Result<Vec<AssignedJob>, String> {
        let began = self.clock.seconds();
        loop {
            self.polls.set(self.polls.get() + 1);
            let poll = Poll {
                runner_id,
                poll_id: PollId(self.polls.get()),
                wait_ms: 0,
                jobs_max: None,
                known: Vec::new(),
                capabilities: None,
                current_jobs: None,
            };
            let answer = self.server().handle.poll(poll);
            let answer = tokio::time::timeout(Duration::from_secs_f64(PATIENCE_S), answer).await;
            match answer.map_err(|_| "a poll is not answered".to_owned())? {
                Ok(answer) => {
                    for job in &answer.jobs {
                        self.tell(Fact::Given(job.job_id, job.lease.token));
                    }
                    return Ok(answer.jobs);
                }
                Err(CommandError::Refused(refusal)) => return Err(refusal.to_string()),
                Err(error) if self.clock.seconds() - began > PATIENCE_S => {
                    return Err(format!("no poll is answered again: {error}"));
                }
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    async fn carry_out(&self, job: &AssignedJob) -> Result<(), String> {
        let AssignedJob { job_id, .. } = *job;
        let lease = LeaseRef {
            token: job.lease.token,
            nonce: job.lease.nonce,
            runner_id: job.lease.runner_id,
        };
        let started = self.insist(Command::Start(lease)).await?;
        if !matches!(started.reply, Ok(Reply::Started { .. })) {
            return Err(started.odd());
        }
        let leases = vec![HeldLease { token: lease.token, nonce: lease.nonce }];
        let (runner_id, capabilities, current_jobs) = (lease.runner_id, None, Some(1));
        let beat = Command::Heartbeat { runner_id, leases, capabilities, current_jobs };
        if let Ok(Reply::Heartbeat { lost, .. }) = self.send(beat).await?
            && !lost.is_empty()
        {
            return Err(format!("job {job_id} was started and its lease is lost"));
        }
        let complete = || Command::Complete { lease, result: Box::new(JobResult::success()) };
        let completed = self.insist(complete()).await?;
        match &completed.reply {
            Ok(Reply::Completed { state: JobStateKind::Completed, .. }) => {}
            // It was completed before, and that was not answered: the row says so.
            Err(Refusal::LeaseLost(_)) if completed.tries > 1 => {
                self.was_completed(lease.token).await?;
            }
            _ => return Err(completed.odd()),
        }
        self.tell(Fact::Completed(job_id, lease.token));
        match self.send(complete()).await? {
            Ok(reply) => Err(format!("job {job_id} was completed twice: {reply:?}")),
            Err(_) => Ok(()),
        }
    }

    async fn was_completed(&self, token: LeaseToken) -> Result<(), String> {
        let began = self.clock.seconds();
        loop {
            match self.server().store.attempt_by_token(token).await {
                Ok(Some(attempt)) if attempt.job_state == JobStateKind::Completed => return Ok(()),
                Ok(other) => return Err(format!("lease {token} is lost, and its row: {other:?}")),
                Err(error) if self.clock.seconds() - began > PATIENCE_S => {
                    return Err(format!("no read is answered again: {error}"));
                }
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    /// A read may fail on a failing disk, but it may not answer what is not so.
    async fn reads(&self, workload_id: WorkloadId) -> Result<(), String> {
        let store = &self.server().store;
        match store.jobs_of(workload_id).await {
            Ok(jobs) if jobs.len() != 2 => Err(format!("workload {workload_id} has {jobs:?}")),
            Ok(jobs) => match jobs.iter().find(|job| job.kind() != JobStateKind::Completed) {
                Some(job) => Err(format!("it was completed, and is read as {job:?}")),
                None => Ok(()),
            },
            Err(_) if self.disk.failures() > 0 => Ok(()),
            Err(error) => Err(format!("a read failed on a sound disk: {error}")),
        }
    }

    /// Ends the server and starts it once more: what it had in memory is what the rows say (law 4).
    async fn remembers_the_rows(&mut self) -> Result<(), String> {
        // A write waits until it has loaded, if it must.
        self.submit("once-last", &[NOBODY]).await?;
        let durable = async |server: &Server| {
            let asked = server.handle.ask(|scheduler: &mut Scheduler, _| scheduler.durable());
            asked.await.map_err(|error| format!("a question failed on a sound disk: {error}"))
        };
        let before = durable(self.server()).await?;
        self.stop().await?;
        self.start().await?;
        self.submit("once-last", &[NOBODY]).await?;
        let after = durable(self.server()).await?;
        self.stop().await?;
        if before == after {
            return Ok(());
        }
        Err(format!("memory was {before:?}\nand the rows are {after:?}"))
    }
}

impl Answered {
    fn odd(&self) -> String {
        format!("answered at try {}: {:?}", self.tries, self.reply)
    }
}

/// A workload of jobs of which each needs the one before; one for `NOBODY` waits for ever.
fn workload(name: &str, jobs: &[&str]) -> PlannedWorkload {
    let planned = |at: usize| PlannedJob {
        name: jobs[at].into(),
        needs: jobs[..at].last().map(ToString::to_string).into_iter().collect(),
        requirements: RunnerRequirements {
            labels: if jobs[at] == NOBODY { vec![NOBODY.into()] } else { Vec::new() },
            ..RunnerRequirements::default()
        },
        priority: JobPriority::Normal,
        timeout_ms: 600_000,
        retry: RetryPolicy { max_retries: 0, backoff_ms: 0 },
        not_before_ms: 0,
        terms: Default::default(),
        spec: Arc::new(JobSpec {
            work: JobWork::Steps(Vec::new()),
            env: [("PADDING".to_owned(), "x".repeat(2_000))].into(),
            trust: Trust::default(),
            traceparent: None,
            workflow: None,
        }),
    };
    PlannedWorkload {
        kind: WorkloadKind::Workflow,
        name: name.into(),
        trigger: "test".into(),
        tenant_id: TenantId::DEFAULT,
        session: None,
        terms: Default::default(),
        open: false,
        jobs: (0..jobs.len()).map(planned).collect(),
    }
}

fn submission(name: &str, key: Option<&str>, jobs: &[&str]) -> Command {
    let (workload, idempotency_key) = (Box::new(workload(name, jobs)), key.map(Into::into));
    Command::Submit { workload, idempotency_key, ended: Vec::new() }
}

fn delivery(number: u64) -> Command {
    let delivery = Delivery {
        id: DeliveryId(uuid::Uuid::from_u128(u128::from(number) + 1)),
        source: "github".into(),
        external_id: Some(format!("delivery-{number}").into()),
        event_kind: "push".into(),
        action: None,
        state: DeliveryState::Dispatched,
        reason: None,
        verdicts: Vec::new(),
        trust: Trust::default(),
        tenant_id: TenantId::DEFAULT,
        replay_of: None,
        attempts: 1,
        received_at_ms: 10,
        headers: "{}".into(),
        event: Some("{}".into()),
        traceparent: None,
        approval: None,
        body: Body::Inline(vec![b'x'; 6_000].into()),
    };
    let key =
        UniqueKey { scope: KeyScope::Delivery, key: format!("github:delivery-{number}").into() };
    let workloads = vec![workload(&format!("once-delivered-{number}"), &["x"])];
    let plan = Plan { workloads, ..Plan::default() };
    Command::Deliver(Box::new(Deliver {
        delivery,
        plan,
        key: Some(key),
        ended: Vec::new(),
        adopted: false,
        about: None,
    }))
}

/// Loads what is there, as a server does at its start.
///
/// # Errors
/// It cannot be loaded.
pub(crate) async fn load(folder: &Path) -> Result<(), String> {
    let setup = Setup::new(folder);
    let (store, mut writer) =
        dispatchyard::store::Store::open(setup.options()).await.map_err(|it| it.to_string())?;
    let now = SystemClock::new().now();
    let snapshot = writer.load("test", now.wall_ms).await.map_err(|it| it.to_string())?;
    let loaded = Scheduler::load(snapshot, settings(), now);
    if loaded.epoch() < 1 {
        return Err("the epoch was not raised".to_owned());
    }
    writer.close().await.map_err(|it| it.to_string())?;
    store.close().await;
    Ok(())
}
