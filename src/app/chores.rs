//! What a server does beside its requests, for as long as it runs.

use tokio::sync::mpsc;

use crate::dispatch::LeaseOwner;
use crate::log::JobLogs;

/// Seals the log of each attempt that ended, so that its followers end.
pub(super) async fn seal_logs(mut ended: mpsc::Receiver<LeaseOwner>, logs: JobLogs) {
    while let Some(owner) = ended.recv().await {
        if let Err(error) = logs.seal_written(owner.job_id, owner.attempt).await {
            tracing::warn!(job_id = %owner.job_id, attempt = owner.attempt, %error,
                "failed to seal a log");
        }
    }
}
