//! What a server does beside its requests, for as long as it runs.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::dispatch::LeaseOwner;
use crate::log::JobLogs;
use crate::store::Store;

/// A spilled body without a delivery this old was left by a request that died.
const ORPHAN_AGE_MS: i64 = 3_600_000;
/// How often such bodies are looked for.
const SWEEP_INTERVAL: Duration = Duration::from_secs(3_600);

/// Seals the log of each attempt that ended, so that its followers end.
pub(super) async fn seal_logs(mut ended: mpsc::Receiver<LeaseOwner>, logs: JobLogs) {
    while let Some(owner) = ended.recv().await {
        if let Err(error) = logs.seal_written(owner.job_id, owner.attempt).await {
            tracing::warn!(job_id = %owner.job_id, attempt = owner.attempt, %error,
                "failed to seal a log");
        }
    }
}

/// Removes bodies that were written and never became a delivery, now and then.
pub(super) async fn sweep_bodies(store: Store, clock: Arc<dyn Clock>, stopping: CancellationToken) {
    loop {
        match store.sweep_orphans(ORPHAN_AGE_MS, clock.now().wall_ms).await {
            Ok(0) => {}
            Ok(removed) => tracing::info!(removed, "removed bodies that no delivery refers to"),
            Err(error) => tracing::warn!(%error, "failed to look for orphaned bodies"),
        }
        tokio::select! {
            () = stopping.cancelled() => return,
            () = tokio::time::sleep(SWEEP_INTERVAL) => {}
        }
    }
}
