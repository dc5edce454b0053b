//! One batch through the core and into the database: everything between hearing and speaking.

use std::any::Any;
use std::panic::AssertUnwindSafe;

use super::run::Driver;
use crate::dispatch::{Command, Output, Refusal, Reply, Scheduler, Verdict};
use crate::model::{Entropy, JobStateKind, Now, Record, RecordName, RequeueReason};
use crate::store::{Batch, Claim, StoreError};
use crate::telemetry::{JobEndLabels, Metrics};

/// A batch that is durable, and has not been spoken of.
pub(super) struct Decided {
    /// One for each command, in order.
    pub(super) replies: Vec<Result<Reply, Refusal>>,
    /// Everything else that follows.
    pub(super) output: Output,
}

/// Why a batch is not durable. The scheduler in memory is then worthless.
pub(super) enum Failure {
    /// The store could not be written, or it is not known whether it was.
    Store(StoreError),
    /// Something in the batch is wrong, in its data or in our code.
    Culprit(String),
    /// Our code failed on none of the commands: while time passed, or while jobs were matched.
    Own(String),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        if error.is_data() { Self::Culprit(error.to_string()) } else { Self::Store(error) }
    }
}

impl Driver {
    /// Decides a batch and makes it durable. Idle polls and heartbeats change no row: then there
    /// is no transaction.
    pub(super) async fn decide_and_commit(
        &mut self,
        commands: Vec<Command>,
    ) -> Result<Decided, Failure> {
        let clock = std::sync::Arc::clone(&self.options.clock);
        let (now, began) = (clock.now(), clock.seconds());
        let many = commands.len();
        let keys: Vec<_> = commands.iter().map(Command::unique_key).collect();
        let Some(scheduler) = self.scheduler.as_mut() else {
            return Err(Failure::Store(not_loaded()));
        };
        let mut transaction = None;
        let mut verdicts = vec![Verdict::New; many];
        if keys.iter().any(Option::is_some) {
            let batch = transaction.insert(self.options.writer.begin().await?);
            claim(batch, &keys, now, &mut verdicts).await?;
        }
        let entropy = &mut *self.options.entropy;
        let probe = self.options.probe.as_deref();
        let decided = decide(scheduler, now, commands, verdicts, entropy, probe)?;
        let decided_at = clock.seconds();

        let changes = &decided.output.changes;
        if !changes.is_empty() {
            let batch = match transaction {
                Some(batch) => batch,
                None => self.options.writer.begin().await?,
            };
            let epoch = self.views.epoch();
            batch.commit(epoch, changes, decided.output.marks, now.wall_ms).await?;
            self.views.committed(now.wall_ms);
            self.failures = 0;
            let metrics = &self.options.metrics;
            metrics.batch_commands.observe(many as f64);
            metrics.decision_seconds.observe((decided_at - began) / many.max(1) as f64);
            metrics.commit_seconds.observe(clock.seconds() - decided_at);
        } else if let Some(batch) = transaction {
            batch.rollback().await?;
        }
        Ok(decided)
    }
}

/// The pure part: lets time pass, applies each command, matches once. A fault in the commands is
/// told from one of our own, so that nobody is blamed for what he did not bring.
fn decide(
    scheduler: &mut Scheduler,
    now: Now,
    commands: Vec<Command>,
    verdicts: Vec<Verdict>,
    entropy: &mut dyn Entropy,
    probe: Option<&(dyn Fn(&Command) + Send + Sync)>,
) -> Result<Decided, Failure> {
    guarded(|| scheduler.tick(now, entropy)).map_err(Failure::Own)?;
    let replies = guarded(|| {
        let mut replies = Vec::with_capacity(commands.len());
        for (command, verdict) in commands.into_iter().zip(verdicts) {
            if let Some(probe) = probe {
                probe(&command);
            }
            replies.push(scheduler.apply(now, command, verdict, entropy));
        }
        replies
    })
    .map_err(Failure::Culprit)?;
    let output = guarded(|| {
        scheduler.settle(now, entropy);
        scheduler.take_output()
    })
    .map_err(Failure::Own)?;
    Ok(Decided { replies, output })
}

/// Runs our own code; a panic in it becomes its text.
fn guarded<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    std::panic::catch_unwind(AssertUnwindSafe(run)).map_err(|panic| panic_text(&*panic))
}

/// Claims the keys of a batch, before anything is applied.
async fn claim(
    batch: &mut Batch<'_>,
    keys: &[Option<(crate::model::UniqueKey, Box<str>)>],
    now: Now,
    verdicts: &mut [Verdict],
) -> Result<(), StoreError> {
    let (places, keys): (Vec<_>, Vec<_>) =
        keys.iter().enumerate().filter_map(|(at, key)| Some((at, key.clone()?))).unzip();
    let claims = batch.claim(&keys, now.wall_ms).await?;
    for (at, claim) in places.into_iter().zip(claims) {
        if let Claim::Taken(first) = claim {
            verdicts[at] = Verdict::Duplicate(first);
        }
    }
    Ok(())
}

/// Counts what happened, and writes it to the log with the ids of what it is about.
pub(super) fn tell(metrics: &Metrics, records: &[Record]) {
    for record in records {
        log(record);
        let end = |state: JobStateKind| {
            metrics.job_ends.get_or_create(&JobEndLabels::from(state)).inc();
        };
        match record.name {
            RecordName::JobAssigned => drop(metrics.assignments.inc()),
            RecordName::JobCompleted => end(JobStateKind::Completed),
            RecordName::JobFailed => end(JobStateKind::Failed),
            RecordName::JobCancelled => end(JobStateKind::Cancelled),
            RecordName::JobSkipped => end(JobStateKind::Skipped),
            RecordName::JobRequeued => {
                if let Some(reason) = RequeueReason::from_name(&record.detail) {
                    metrics.requeues.get_or_create(&reason.into()).inc();
                }
            }
            _ => {}
        }
    }
}

/// One line; what every job does is for those who look closer, what ends or goes wrong for all.
fn log(record: &Record) {
    let (job_id, workload_id) = (record.job_id.map(|id| id.0), record.workload_id.map(|id| id.0));
    let (runner_id, attempt) = (record.runner_id.map(|id| id.0), record.attempt);
    let delivery_id = record.delivery_id.map(|id| id.to_string());
    let (name, detail) = (record.name.as_str(), &*record.detail);
    match record.name {
        RecordName::JobQueued
        | RecordName::JobAssigned
        | RecordName::JobStarted
        | RecordName::DeliveryAccepted
        | RecordName::WorkloadCreated => {
            tracing::debug!(workload_id, job_id, runner_id, attempt, delivery_id, detail, "{name}");
        }
        _ => tracing::info!(workload_id, job_id, runner_id, attempt, delivery_id, detail, "{name}"),
    }
}

/// What everybody is told between a failed commit and the next load.
pub(super) fn not_loaded() -> StoreError {
    let what = "the live jobs could not be loaded".to_owned();
    StoreError::Unavailable { statement: "load", what }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied());
    format!("a fault in the server: {}", text.unwrap_or("no message"))
}
