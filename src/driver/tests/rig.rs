//! A driver with its store, and the short ways to talk to it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::oneshot;

use crate::clock::{OsEntropy, SystemClock};
use crate::dispatch::tests::yard;
use crate::dispatch::{Answer, Command, Poll, Reply};
use crate::driver::{CommandError, DriverOptions, Handle, Limits, Probe, spawn};
use crate::model::{
    AssignedJob, JobResult, JobStateKind, LeaseRef, PlannedJob, RunnerId, WorkloadId,
};
use crate::runner::PollId;
use crate::store::tests::schema::Schema;
use crate::store::{Location, Store, StoreOptions};
use crate::telemetry::Metrics;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) struct Rig {
    pub(super) handle: Handle,
    pub(super) store: Store,
    pub(super) metrics: Arc<Metrics>,
    pub(super) folder: TempDir,
    /// Where the rows are, if not in the folder.
    schema: Option<Schema>,
    ended: oneshot::Receiver<()>,
    polls: AtomicU64,
}

impl Rig {
    pub(super) async fn new() -> Self {
        Self::with(None).await
    }

    pub(super) async fn with(probe: Option<Probe>) -> Self {
        Self::open(tempfile::tempdir().unwrap(), None, probe, |_| {}).await
    }

    /// With a store that is told otherwise.
    pub(super) async fn with_store(set: impl FnOnce(&mut StoreOptions)) -> Self {
        Self::open(tempfile::tempdir().unwrap(), None, None, set).await
    }

    /// On PostgreSQL.
    pub(super) async fn on_postgres() -> Self {
        Self::open(tempfile::tempdir().unwrap(), Some(Schema::new().await), None, |_| {}).await
    }

    async fn open(
        folder: TempDir,
        schema: Option<Schema>,
        probe: Option<Probe>,
        set: impl FnOnce(&mut StoreOptions),
    ) -> Self {
        let location = match &schema {
            None => Location::File(folder.path().join("d.db")),
            Some(schema) => Location::Server(schema.url()),
        };
        let mut options = StoreOptions::at(location, folder.path().join("b"));
        options.busy_timeout_ms = 50;
        set(&mut options);
        let (store, writer) = Store::open(options).await.unwrap();
        let metrics = Arc::new(Metrics::new());
        let limits =
            Limits { batch_commands_max: 64, control_queue_max: 256, intake_queue_max: 256 };
        let options = DriverOptions {
            writer,
            settings: yard::settings(),
            limits,
            records_max: 1_000,
            clock: Arc::new(SystemClock::new()),
            entropy: Box::new(OsEntropy),
            holder: "test".into(),
            seat: None,
            metrics: Arc::clone(&metrics),
            ended: None,
            probe,
        };
        let (handle, ended) = spawn(options).unwrap();
        Self { handle, store, metrics, folder, schema, ended, polls: AtomicU64::new(1) }
    }

    /// Ends the driver in an orderly way.
    pub(super) async fn stop(self) -> (TempDir, Option<Schema>) {
        self.handle.stop().await;
        bounded(self.ended).await.unwrap();
        (self.folder, self.schema)
    }

    /// A new process on the same folder and rows.
    pub(super) async fn restart(self) -> Self {
        let (folder, schema) = self.stop().await;
        Self::open(folder, schema, None, |_| {}).await
    }

    pub(super) async fn send(&self, command: Command) -> Result<Reply, CommandError> {
        bounded(self.handle.send(command)).await
    }

    pub(super) async fn register(&self, name: &str, slots: u32) -> RunnerId {
        let hello = yard::Yard::hello(name, yard::slots(slots));
        match self.send(Command::Register(Box::new(hello))).await {
            Ok(Reply::Registered(id)) => id,
            other => panic!("{other:?}"),
        }
    }

    pub(super) async fn submit(&self, jobs: Vec<PlannedJob>) -> Result<WorkloadId, CommandError> {
        match self.send(submission(jobs, None)).await? {
            Reply::Submitted { workload_id, duplicate: false, .. } => Ok(workload_id),
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn poll_of(&self, runner_id: RunnerId) -> Poll {
        Poll {
            runner_id,
            poll_id: PollId(self.polls.fetch_add(1, Ordering::Relaxed)),
            wait_ms: 50_000,
            jobs_max: None,
            known: Vec::new(),
            capabilities: None,
            current_jobs: None,
        }
    }

    /// Polls until there is an answer.
    pub(super) async fn poll(&self, runner_id: RunnerId) -> Result<Answer, CommandError> {
        bounded(self.handle.poll(self.poll_of(runner_id))).await
    }

    /// A poll in a task of its own, parked when this returns.
    pub(super) async fn park(
        &self,
        runner_id: RunnerId,
    ) -> tokio::task::JoinHandle<Result<Answer, CommandError>> {
        let parked = self.metrics.polls_parked.get();
        let (handle, poll) = (self.handle.clone(), self.poll_of(runner_id));
        let task = tokio::spawn(async move { handle.poll(poll).await });
        until("the poll is parked", || self.metrics.polls_parked.get() > parked).await;
        task
    }

    pub(super) async fn complete(&self, job: &AssignedJob) -> Result<JobStateKind, CommandError> {
        let result = Box::new(JobResult::success());
        match self.send(Command::Complete { lease: lease(job), result }).await? {
            Reply::Completed { state, .. } => Ok(state),
            other => panic!("{other:?}"),
        }
    }

    /// Transactions that wrote something.
    pub(super) fn commits(&self) -> u64 {
        let text = self.metrics.encode();
        let count =
            text.lines().find_map(|line| line.strip_prefix("dispatchyard_batch_commands_count "));
        count.unwrap().trim().parse().unwrap()
    }
}

pub(super) fn submission(jobs: Vec<PlannedJob>, key: Option<&str>) -> Command {
    let workload = Box::new(yard::workload(jobs));
    Command::Submit { workload, idempotency_key: key.map(Into::into), ended: Vec::new() }
}

pub(super) fn lease(job: &AssignedJob) -> LeaseRef {
    yard::lease(job)
}

pub(super) async fn bounded<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.expect("it took too long")
}

/// Waits for a level.
pub(super) async fn until(what: &str, reached: impl Fn() -> bool) {
    let look = async {
        while !reached() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(PATIENCE, look).await.unwrap_or_else(|_| panic!("never: {what}"));
}

/// A probe that holds the driver at its first `Deregister` until the sender speaks or is gone, so
/// that what is sent meanwhile is one batch.
pub(super) fn gate() -> (Probe, Command, mpsc::Sender<()>) {
    let (open, opened) = mpsc::channel();
    let opened = std::sync::Mutex::new(opened);
    let probe: Probe = Arc::new(move |command| {
        if matches!(command, Command::Deregister(_)) {
            let _ = opened.lock().unwrap().recv_timeout(PATIENCE);
        }
    });
    (probe, Command::Deregister(RunnerId(999)), open)
}
