//! `POST /prune`: what is old goes now, or is counted. It is of all tenants together, so it is for
//! admins of all.

use std::time::Duration;

use axum::extract::State;

use super::access::{Administer, May};
use super::body::JsonOrEmpty;
use super::error::ApiError;
use super::state::AppState;
use super::wire::{CutoffsView, KeptHistoryView, PruneRequest, PruneView, PrunedView};
use crate::retention::{Cutoffs, PruneError, Totals};

/// `POST /prune`
pub(super) async fn prune(
    caller: May<Administer>,
    State(state): State<AppState>,
    JsonOrEmpty(PruneRequest { dry_run }): JsonOrEmpty<PruneRequest>,
) -> Result<axum::Json<PruneView>, ApiError> {
    caller.must_administer_all("what all tenants share: that is for an admin without a tenant")?;
    let limit = Duration::from_millis(state.limits.report_ms_max);
    let pruner = state.pruner.clone();
    let walked = if dry_run {
        pruner.dry_run(limit).await?
    } else {
        // A task of its own: a client that goes away must not cut it short between rows and files.
        let walk = tokio::spawn(async move { pruner.prune(limit).await });
        walk.await.map_err(|error| ApiError::Internal(error.to_string()))??
    };
    Ok(axum::Json(PruneView {
        dry_run,
        complete: walked.complete,
        went: went(walked.totals),
        until: until(walked.cutoffs),
    }))
}

impl From<PruneError> for ApiError {
    fn from(error: PruneError) -> Self {
        match error {
            PruneError::Store(error) => error.into(),
            PruneError::Command(error) => error.into(),
            PruneError::UnderWay => Self::Conflict(error.to_string()),
            PruneError::Log(error) => Self::Internal(error.to_string()),
        }
    }
}

/// What is kept; `None` until somebody looked.
pub(super) async fn kept(state: &AppState) -> Option<KeptHistoryView> {
    let standing = state.pruner.standing().await;
    Some(KeptHistoryView {
        pruned_at_ms: standing.pruned_at_ms?,
        used_bytes: standing.extent.used_bytes,
        taken_bytes: standing.extent.taken_bytes,
        bytes_max: state.pruner.bytes_max(),
        oldest_end_ms: standing.extent.oldest_end_ms,
        oldest_delivery_ms: standing.extent.oldest_delivery_ms,
    })
}

fn went(totals: Totals) -> PrunedView {
    PrunedView {
        workloads: totals.workloads,
        jobs: totals.jobs,
        attempts: totals.attempts,
        records: totals.records,
        bodies: totals.bodies,
        body_bytes: totals.body_bytes,
        deliveries: totals.deliveries,
        dedupe_keys: totals.dedupe_keys,
        idempotency_keys: totals.idempotency_keys,
        runners: totals.runners,
        sessions: totals.sessions,
        session_messages: totals.session_messages,
        logs: totals.logs,
    }
}

fn until(cutoffs: Cutoffs) -> CutoffsView {
    CutoffsView {
        workloads_ms: cutoffs.workloads_ms,
        logs_ms: cutoffs.logs_ms,
        bodies_ms: cutoffs.bodies_ms,
        deliveries_ms: cutoffs.deliveries_ms,
        dedupe_keys_ms: cutoffs.dedupe_keys_ms,
        idempotency_keys_ms: cutoffs.idempotency_keys_ms,
        sessions_ms: cutoffs.sessions_ms,
    }
}
