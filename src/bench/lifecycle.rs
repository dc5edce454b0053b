//! `bench lifecycle`: durable lifecycles in process, on the real driver and a real database whose
//! every commit is flushed. Each client submits a workload of one job, polls for a job, starts it,
//! sends a heartbeat now and then, and completes it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use super::BenchError;
use super::figures::Range;
use super::world::{plain_settings, planned, register};
use crate::clock::{Clock as _, OsEntropy, SystemClock};
use crate::dispatch::{Command, HeldLease, Poll, Reply};
use crate::driver::{self, CommandError, DriverOptions, Handle, Limits};
use crate::model::{
    JobPriority, JobResult, JobTerms, LeaseRef, RunnerCapabilities, RunnerId, RunnerRequirements,
    TenantId,
};
use crate::runner::PollId;
use crate::store::{Store, StoreOptions};
use crate::telemetry::Metrics;

/// One lifecycle of so many sends a heartbeat.
const HEARTBEAT_EVERY: usize = 8;

/// What to measure.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LifecycleOptions {
    /// An empty folder, on the disk that is to be measured.
    pub folder: PathBuf,
    /// Numbers of clients at the same time.
    pub clients: Vec<usize>,
    /// How often each number of clients is measured.
    pub rounds: usize,
    /// Lifecycles of each client in a round.
    pub lifecycles: usize,
}

/// What was measured.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct LifecycleReport {
    /// How commits are flushed.
    pub synchronous: String,
    /// How often each number of clients was measured.
    pub rounds: usize,
    /// One for each number of clients.
    pub rows: Vec<LifecycleRow>,
}

/// What was measured with so many clients.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct LifecycleRow {
    /// Clients at the same time.
    pub clients: usize,
    /// Lifecycles in all rounds together.
    pub lifecycles: usize,
    /// Lifecycles in a second, over the rounds.
    pub per_s: Range,
    /// Commands in a transaction, as the load made them.
    pub commands_per_transaction: f64,
    /// Lifecycles to a transaction.
    pub lifecycles_per_transaction: f64,
}

/// A driver on a database of its own, and its clients.
pub struct LifecycleRig {
    handle: Handle,
    ended: tokio::sync::oneshot::Receiver<()>,
    runners: Vec<RunnerId>,
    polls: Arc<AtomicU64>,
    metrics: Arc<Metrics>,
}

impl LifecycleRig {
    /// Starts a driver in that folder, with so many clients.
    ///
    /// # Errors
    /// The folder cannot be used.
    pub async fn start(folder: &Path, clients: usize) -> Result<Self, BenchError> {
        Self::start_on(StoreOptions::new(folder.join("d.db"), folder.join("bodies")), clients).await
    }

    /// Starts a driver on that database, which must be new, with so many clients.
    ///
    /// # Errors
    /// The database cannot be used.
    pub async fn start_on(options: StoreOptions, clients: usize) -> Result<Self, BenchError> {
        let (_store, writer) = Store::open(options).await?;
        let metrics = Arc::new(Metrics::new());
        let limits = Limits {
            batch_commands_max: 4_096,
            control_queue_max: 16_384,
            intake_queue_max: 16_384,
        };
        let options = DriverOptions {
            writer,
            settings: plain_settings(),
            limits,
            records_max: 10_000,
            clock: Arc::new(SystemClock::new()),
            entropy: Box::new(OsEntropy),
            holder: "bench".into(),
            seat: None,
            ended: None,
            metrics: Arc::clone(&metrics),
            probe: None,
        };
        let (handle, ended) = driver::spawn(options)?;
        let mut runners = Vec::new();
        for number in 0..clients {
            let hello = register(number, RunnerCapabilities::default());
            match handle.send(Command::Register(hello)).await {
                Ok(Reply::Registered(id)) => runners.push(id),
                Ok(other) => return Err(BenchError::Refused(format!("{other:?}"))),
                Err(error) => return Err(refused(&error)),
            }
        }
        Ok(Self { handle, ended, runners, polls: Arc::default(), metrics })
    }

    /// Every client carries so many jobs from submission to completion.
    ///
    /// # Errors
    /// [`BenchError::Refused`].
    pub async fn lifecycles(&self, each: usize) -> Result<(), BenchError> {
        let mut clients = tokio::task::JoinSet::new();
        for &runner_id in &self.runners {
            let (handle, polls) = (self.handle.clone(), Arc::clone(&self.polls));
            clients.spawn(async move {
                for number in 0..each {
                    let beat = number % HEARTBEAT_EVERY == 0;
                    lifecycle_of(&handle, runner_id, &polls, beat).await?;
                }
                Ok(())
            });
        }
        while let Some(client) = clients.join_next().await {
            client
                .map_err(|error| BenchError::Refused(error.to_string()))?
                .map_err(|error: CommandError| refused(&error))?;
        }
        Ok(())
    }

    /// Commands and transactions so far.
    pub fn batches(&self) -> (f64, f64) {
        batches(&self.metrics.encode())
    }

    /// Ends the driver.
    pub async fn stop(self) {
        self.handle.stop().await;
        // It ends by itself when somebody else stopped it before.
        let _ = self.ended.await;
    }
}

/// Commands and transactions, as the metrics tell.
pub(crate) fn batches(metrics: &str) -> (f64, f64) {
    let value = |name| metric(metrics, name);
    (value("dispatchyard_batch_commands_sum "), value("dispatchyard_batch_commands_count "))
}

/// A figure among the metrics, by its name with the space behind it; 0 where it is not there.
pub(crate) fn metric(metrics: &str, name: &str) -> f64 {
    let line = metrics.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|value| value.trim().parse().ok()).unwrap_or(0.0)
}

fn refused(error: &CommandError) -> BenchError {
    BenchError::Refused(error.to_string())
}

async fn lifecycle_of(
    handle: &Handle,
    runner_id: RunnerId,
    polls: &AtomicU64,
    beat: bool,
) -> Result<(), CommandError> {
    let (needs, terms) = (RunnerRequirements::default(), JobTerms::default());
    let workload = Box::new(planned(needs, JobPriority::Normal, TenantId::DEFAULT, terms));
    handle.send(Command::Submit { workload, idempotency_key: None, ended: Vec::new() }).await?;
    // As many polls as jobs, so each gets one; a poll that ends without is made again.
    let lease = loop {
        let poll = Poll {
            runner_id,
            poll_id: PollId(polls.fetch_add(1, Ordering::Relaxed)),
            wait_ms: 30_000,
            jobs_max: Some(1),
            known: Vec::new(),
            capabilities: None,
            current_jobs: None,
        };
        if let Some(job) = handle.poll(poll).await?.jobs.first() {
            break job.lease;
        }
    };
    let reference = LeaseRef { token: lease.token, nonce: lease.nonce, runner_id };
    handle.send(Command::Start(reference)).await?;
    if beat {
        let leases = vec![HeldLease { token: lease.token, nonce: lease.nonce }];
        let (capabilities, current_jobs) = (None, Some(1));
        let command = Command::Heartbeat { runner_id, leases, capabilities, current_jobs };
        handle.send(command).await?;
    }
    let result = Box::new(JobResult::success());
    handle.send(Command::Complete { lease: reference, result }).await?;
    Ok(())
}

/// Measures, on a runtime with several threads. `tell` hears what is being done.
///
/// # Errors
/// The folder cannot be used, or [`BenchError::Refused`], which is a fault.
pub async fn lifecycle(
    options: &LifecycleOptions,
    mut tell: impl FnMut(&str),
) -> Result<LifecycleReport, BenchError> {
    let clock = SystemClock::new();
    let mut rows = Vec::new();
    for &clients in &options.clients {
        tell(&format!("{clients} clients"));
        let folder = options.folder.join(format!("clients-{clients}"));
        std::fs::create_dir_all(&folder)?;
        let rig = LifecycleRig::start(&folder, clients).await?;
        // Statements are prepared, pages are in memory.
        rig.lifecycles(options.lifecycles.min(8)).await?;
        let before = rig.batches();
        let mut per_s = Vec::new();
        for _ in 0..options.rounds {
            let began = clock.seconds();
            rig.lifecycles(options.lifecycles).await?;
            let seconds = (clock.seconds() - began).max(f64::EPSILON);
            per_s.push((clients * options.lifecycles) as f64 / seconds);
        }
        let after = rig.batches();
        rig.stop().await;
        let transactions = (after.1 - before.1).max(1.0);
        let lifecycles = clients * options.lifecycles * options.rounds;
        rows.push(LifecycleRow {
            clients,
            lifecycles,
            per_s: Range::of(per_s),
            commands_per_transaction: (after.0 - before.0) / transactions,
            lifecycles_per_transaction: lifecycles as f64 / transactions,
        });
    }
    Ok(LifecycleReport { synchronous: "FULL".to_owned(), rounds: options.rounds, rows })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn lifecycles_are_counted_and_batches_with_them() {
        let folder = tempfile::tempdir().unwrap();
        let options = LifecycleOptions {
            folder: folder.path().to_owned(),
            clients: vec![1, 4],
            rounds: 2,
            lifecycles: 2,
        };
        let report = lifecycle(&options, |_| {}).await.unwrap();
        let counted: Vec<_> = report.rows.iter().map(|row| (row.clients, row.lifecycles)).collect();
        assert_eq!(counted, [(1, 4), (4, 16)]);
        for row in &report.rows {
            assert!(row.per_s.min > 0.0 && row.per_s.min <= row.per_s.max, "{row:?}");
            assert!(row.commands_per_transaction >= 1.0, "{row:?}");
        }
    }
}
