//! The task that prunes: now and then by itself, and when somebody asks.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, RwLock};
use tokio_util::sync::CancellationToken;

use super::rules::{Cutoffs, SizeWatch, first_id_at};
use super::steps::{Batch, Walk};
use super::totals::Totals;
use crate::clock::Clock;
use crate::config::RetentionConfig;
use crate::dispatch::{Command, GoneRunners, Reply};
use crate::driver::{CommandError, Handle, ServerState};
use crate::log::{JobLogs, LogError};
use crate::model::{DeliveryId, JobId, PrunedRows};
use crate::store::{Extent, Store, StoreError};
use crate::telemetry::{Metrics, PrunedLabels};

/// How often the folders of logs and bodies are looked through: there may be a million files.
const SWEEP_INTERVAL_MS: i64 = 3_600_000;
/// A folder of logs without a job, or a body without a delivery, that is this old was left behind.
const ORPHAN_AGE_MS: i64 = 3_600_000;
/// Jobs that are asked about together.
const LOG_JOBS_MAX: usize = 500;
/// The longest rest between two batches.
const REST_MAX: Duration = Duration::from_secs(1);

/// Why not all was pruned. What was is.
#[derive(Debug, thiserror::Error)]
pub enum PruneError {
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The scheduler did not do it.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// A log could not be removed.
    #[error(transparent)]
    Log(#[from] LogError),
    /// Somebody prunes already.
    #[error("pruning is under way: `status` shows how it stands")]
    UnderWay,
}

/// What a pruner works with.
pub struct PrunerParts {
    /// Reads what is old.
    pub store: Store,
    /// Forgets it.
    pub handle: Handle,
    /// Loses the logs of what went.
    pub logs: JobLogs,
    /// Tells what is old.
    pub clock: Arc<dyn Clock>,
    /// Counts what went.
    pub metrics: Arc<Metrics>,
    /// How long what is kept.
    pub config: RetentionConfig,
}

/// Prunes. One walk at a time.
pub struct Pruner {
    parts: PrunerParts,
    /// Held by who prunes.
    memory: Mutex<Memory>,
    /// How it stood after the last walk; what `status` shows.
    standing: RwLock<Standing>,
}

/// What is remembered from walk to walk; all of it may be lost.
struct Memory {
    size: SizeWatch,
    bodies_from: DeliveryId,
    /// When the folders were looked through last (mono).
    swept_ms: Option<i64>,
}

/// How it stood after the last walk.
#[derive(Clone, Copy, Debug, Default)]
pub struct Standing {
    /// How much there is.
    pub extent: Extent,
    /// When the last walk ended, wall milliseconds.
    pub pruned_at_ms: Option<i64>,
}

/// What a walk came to.
#[derive(Clone, Copy, Debug)]
pub struct Walked {
    /// What went, or would go.
    pub totals: Totals,
    /// Whether all was seen.
    pub complete: bool,
    /// What was old.
    pub cutoffs: Cutoffs,
}

impl Pruner {
    /// A pruner that has done nothing yet.
    pub fn new(parts: PrunerParts) -> Self {
        let memory =
            Memory { size: SizeWatch::default(), bodies_from: first_id_at(0), swept_ms: None };
        Self { parts, memory: Mutex::new(memory), standing: RwLock::default() }
    }

    /// The limit of the database's size, in bytes.
    pub fn bytes_max(&self) -> Option<u64> {
        self.parts.config.database_bytes_max
    }

    /// How it stood after the last walk.
    pub async fn standing(&self) -> Standing {
        *self.standing.read().await
    }

    /// Prunes now and then until it is told to stop. Where the scheduler is not active nothing is
    /// forgotten, but logs that are old are removed where each server has its own.
    pub async fn run(self: Arc<Self>, stopping: CancellationToken) {
        let interval = millis(self.parts.config.prune_interval_ms);
        loop {
            tokio::select! {
                () = stopping.cancelled() => return,
                () = tokio::time::sleep(interval) => {}
            }
            let walk = async {
                let mut memory = self.memory.lock().await;
                self.walk(&mut memory, None).await
            };
            let done = tokio::select! {
                () = stopping.cancelled() => return,
                done = walk => done,
            };
            match done {
                Ok(Walked { totals, .. }) if totals == Totals::default() => {}
                Ok(Walked { totals: it, .. }) => tracing::info!(
                    workloads = it.workloads,
                    sessions = it.sessions,
                    deliveries = it.deliveries,
                    bodies = it.bodies,
                    keys = it.dedupe_keys + it.idempotency_keys,
                    logs = it.logs,
                    "pruned"
                ),
                Err(PruneError::Command(CommandError::Stopping)) => return,
                Err(error) => tracing::warn!(%error, "failed to prune; it goes on later"),
            }
        }
    }

    /// Prunes what is old now, for at most `limit`.
    ///
    /// # Errors
    /// [`PruneError`].
    pub async fn prune(&self, limit: Duration) -> Result<Walked, PruneError> {
        let mut memory = self.memory.try_lock().map_err(|_| PruneError::UnderWay)?;
        memory.swept_ms = None;
        self.walk(&mut memory, Some(self.stop_at_ms(limit))).await
    }

    /// Counts what is old now, for at most `limit`; nothing is forgotten. What something live refers to
    /// is counted too: only the scheduler knows, when its turn comes.
    ///
    /// # Errors
    /// [`PruneError`].
    pub async fn dry_run(&self, limit: Duration) -> Result<Walked, PruneError> {
        let stop_at_ms = self.stop_at_ms(limit);
        let extent = self.parts.store.extent().await?;
        let cutoffs = self.cutoffs(&extent, &SizeWatch::default());
        let mut walk = self.begin(cutoffs, first_id_at(0), true);
        let mut totals = Totals::default();
        let complete = loop {
            if self.mono_ms() >= stop_at_ms {
                break false;
            }
            let Some(batch) = walk.next(&self.parts.store).await? else { break true };
            let rows = PrunedRows {
                workloads: batch.prune.workloads.clone(),
                bodies: batch.prune.bodies.iter().map(|(id, _)| *id).collect(),
                deliveries: batch.prune.deliveries.clone(),
                keys: batch.prune.keys.clone(),
                records: batch.prune.records.clone(),
                sessions: batch.prune.sessions.clone(),
            };
            let runners = match batch.prune.runners {
                Some(_) => self.forget(&batch).await?.1,
                None => 0,
            };
            totals.add(&batch, &rows, runners);
        };
        Ok(Walked { totals, complete, cutoffs })
    }

    /// Looks at the size, walks over what is old, and as long as the database is too large again.
    async fn walk(
        &self,
        memory: &mut Memory,
        stop_at_ms: Option<i64>,
    ) -> Result<Walked, PruneError> {
        let mut totals = Totals::default();
        let is_late = || stop_at_ms.is_some_and(|at_ms| self.mono_ms() >= at_ms);
        let mut extent = self.parts.store.extent().await?;
        let mut cutoffs = self.cutoffs(&extent, &memory.size);
        let mut complete = true;
        while self.is_active() {
            let by_size = cutoffs != self.by_age();
            if by_size {
                memory.size.cut(&extent);
            }
            let mut walk = self.begin(cutoffs, memory.bodies_from, false);
            let before = totals;
            while complete && let Some(batch) = walk.next(&self.parts.store).await? {
                let began = self.parts.clock.seconds();
                let (gone, runners) = self.forget(&batch).await?;
                walk.bodies_went(&batch, &gone);
                memory.bodies_from = walk.bodies_from;
                let mut here = Totals::default();
                here.add(&batch, &gone, runners);
                self.count(&here);
                totals = totals.plus(&here);
                self.remove_files(&batch, &gone).await?;
                complete = !is_late();
                self.rest(began).await;
            }
            extent = self.parts.store.extent().await?;
            let next = self.cutoffs(&extent, &memory.size);
            let again = next != self.by_age() && totals != before && complete;
            if !again {
                break;
            }
            cutoffs = next;
        }
        if complete {
            complete = self.sweep(memory, cutoffs.logs_ms, &mut totals, &is_late).await?;
        }
        self.show(&extent).await;
        Ok(Walked { totals, complete, cutoffs })
    }

    /// As long as something took, the others have the disk for themselves.
    async fn rest(&self, began: f64) {
        let took = Duration::from_secs_f64((self.parts.clock.seconds() - began).max(0.0));
        tokio::time::sleep(took.min(REST_MAX)).await;
    }

    fn is_active(&self) -> bool {
        self.parts.handle.views().state() == ServerState::Running
    }

    fn begin(&self, cutoffs: Cutoffs, bodies_from: DeliveryId, dry_run: bool) -> Walk {
        let config = &self.parts.config;
        let gone =
            GoneRunners { silent_ms: config.gone_runners_ms, max: config.prune_rows_max, dry_run };
        Walk::new(cutoffs, config.prune_rows_max, gone, bodies_from)
    }

    fn by_age(&self) -> Cutoffs {
        Cutoffs::at(&self.parts.config, self.parts.clock.now().wall_ms)
    }

    fn cutoffs(&self, extent: &Extent, size: &SizeWatch) -> Cutoffs {
        let (by_age, wall_ms) = (self.by_age(), self.parts.clock.now().wall_ms);
        let bytes_max = self.parts.config.database_bytes_max;
        let cut_ms = bytes_max.and_then(|bytes_max| size.cut_ms(extent, bytes_max, wall_ms));
        cut_ms.map_or(by_age, |cut_ms| by_age.or_up_to(cut_ms))
    }

    /// Has a batch forgotten; which of its rows were, and how many runners.
    async fn forget(&self, batch: &Batch) -> Result<(PrunedRows, u64), PruneError> {
        match self.parts.handle.send(Command::Prune(Box::new(batch.prune.clone()))).await? {
            Reply::Pruned { rows, runners } => Ok((*rows, runners)),
            _ => Ok((PrunedRows::default(), 0)),
        }
    }

    /// Removes what stood beside the rows. After a failure it is an orphan, and is swept later.
    async fn remove_files(&self, batch: &Batch, gone: &PrunedRows) -> Result<(), PruneError> {
        self.parts.logs.remove(&batch.jobs_of(gone)).await?;
        let lost = batch.deliveries_of(&gone.bodies).chain(batch.deliveries_of(&gone.deliveries));
        let files: Vec<_> =
            lost.filter_map(|it| it.body_file.as_deref()).map(String::from).collect();
        Ok(self.parts.store.remove_pruned_bodies(&files).await?)
    }

    /// Removes logs that are older than their jobs may have them, and logs and bodies that were left
    /// behind by what is gone, or by a request that died.
    async fn sweep(
        &self,
        memory: &mut Memory,
        until_ms: i64,
        totals: &mut Totals,
        is_late: &impl Fn() -> bool,
    ) -> Result<bool, PruneError> {
        let now = self.parts.clock.now();
        let is_due = |at_ms: i64| now.mono_ms - at_ms >= SWEEP_INTERVAL_MS;
        if !memory.swept_ms.is_none_or(is_due) {
            return Ok(true);
        }
        let bodies = self.parts.store.sweep_orphans(ORPHAN_AGE_MS, now.wall_ms).await?;
        if bodies > 0 {
            tracing::info!(removed = bodies, "removed bodies that no delivery refers to");
        }
        // Logs that all instances share are the leader's to remove.
        let jobs = match self.parts.logs.are_shared() && !self.is_active() {
            true => Vec::new(),
            false => self.parts.logs.jobs_before(now.wall_ms - ORPHAN_AGE_MS).await?,
        };
        for jobs in jobs.chunks(LOG_JOBS_MAX) {
            if is_late() {
                return Ok(false);
            }
            let old = self.with_old_logs(jobs, until_ms).await?;
            let began = self.parts.clock.seconds();
            self.parts.logs.remove(&old).await?;
            let here = Totals { logs: old.len() as u64, ..Totals::default() };
            self.count(&here);
            *totals = totals.plus(&here);
            self.rest(began).await;
        }
        memory.swept_ms = Some(now.mono_ms);
        Ok(true)
    }

    /// Those of some jobs whose logs may go: their workload ended by then, or is gone.
    async fn with_old_logs(&self, jobs: &[JobId], until_ms: i64) -> Result<Vec<JobId>, StoreError> {
        let ages = self.parts.store.log_ages(jobs).await?;
        let ages: HashMap<_, _> = ages.into_iter().collect();
        let is_old = |job: &&JobId| match ages.get(*job) {
            None => true,
            Some(ended_at_ms) => ended_at_ms.is_some_and(|at_ms| at_ms <= until_ms),
        };
        Ok(jobs.iter().filter(is_old).copied().collect())
    }

    fn count(&self, here: &Totals) {
        for (kind, many) in here.named().into_iter().filter(|(_, many)| *many > 0) {
            let labels = PrunedLabels::new(kind);
            self.parts.metrics.retention.pruned.get_or_create(&labels).inc_by(many);
        }
    }

    /// Publishes how it stands.
    async fn show(&self, extent: &Extent) {
        let wall_ms = self.parts.clock.now().wall_ms;
        self.parts.metrics.retention.show(
            extent.used_bytes,
            extent.taken_bytes,
            [
                ("workloads", extent.oldest_end_ms.map(|at_ms| wall_ms - at_ms)),
                ("deliveries", extent.oldest_delivery_ms.map(|at_ms| wall_ms - at_ms)),
                ("dedupe_keys", extent.oldest_key_ms.map(|at_ms| wall_ms - at_ms)),
            ],
        );
        let mut standing = self.standing.write().await;
        standing.extent = *extent;
        standing.pruned_at_ms = Some(wall_ms);
    }

    fn mono_ms(&self) -> i64 {
        self.parts.clock.now().mono_ms
    }

    fn stop_at_ms(&self, limit: Duration) -> i64 {
        self.mono_ms().saturating_add(i64::try_from(limit.as_millis()).unwrap_or(i64::MAX))
    }
}

fn millis(ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}
