//! Executors that jobs are pushed to: how each stands, and a word that one is there again. All tenants
//! share them, so they are for callers without one; why a job waits for one is told to whoever sees
//! the job.

use axum::extract::State;

use super::access::{Caller, May, Operate, Read};
use super::body::Id;
use super::error::ApiError;
use super::state::{AppState, Shared};
use super::wire::{ExecutorView, List};
use crate::executor::{ExecutorStatus, FleetSetup};
use crate::model::RunnerState;

fn must_be_allowed(caller: &Caller) -> Result<(), ApiError> {
    let what = "what all tenants share: that is for a caller without a tenant";
    if caller.limited_to().is_none() { Ok(()) } else { Err(ApiError::Forbidden(what)) }
}

/// `GET /executors`
pub(super) async fn list(
    caller: May<Read>,
    State(state): State<AppState>,
) -> Result<axum::Json<List<ExecutorView>>, ApiError> {
    must_be_allowed(&caller)?;
    let mut items: Vec<_> = state.executors.list().into_iter().map(|it| view(&state, it)).collect();
    for (name, fleet, setup) in state.keeper.executors() {
        items.push(started(&state, name, fleet, setup).await?);
    }
    items.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(axum::Json(List { items, next_before: None }))
}

/// `POST /executors/{name}/reset`
pub(super) async fn reset(
    caller: May<Operate>,
    State(state): State<AppState>,
    Id(name): Id<String>,
) -> Result<axum::Json<ExecutorView>, ApiError> {
    must_be_allowed(&caller)?;
    let missing = || ApiError::not_found("executor", &name);
    let fleet = state.keeper.executors().find(|(known, ..)| **known == *name);
    if let Some((known, fleet, setup)) = fleet {
        state.keeper.reset(fleet).await;
        return started(&state, known, fleet, setup).await.map(axum::Json);
    }
    if !state.executors.reset(&name).await {
        return Err(missing());
    }
    tracing::info!(executor = name, author = &*caller.author(), "an executor's breaker is closed");
    let status = state.executors.get(&name).ok_or_else(missing)?;
    Ok(axum::Json(view(&state, status)))
}

fn view(state: &Shared, status: ExecutorStatus) -> ExecutorView {
    let ExecutorStatus { name, pool_id, breaker, open_until_ms, why, metrics, .. } = status;
    ExecutorView {
        name: name.into(),
        pool: state.catalogue.pool_name(pool_id).to_owned(),
        breaker: breaker.as_str().to_owned(),
        open_until_ms,
        why: why.map(Into::into),
        attempts: status.attempts,
        attempts_max: status.attempts_max,
        total_executed: metrics.total_executed,
        total_failed: metrics.total_failed,
        average_duration_ms: metrics.average_duration_ms,
    }
}

/// An executor that is a runner which this server starts: it is there when that runner is.
async fn started(
    state: &Shared,
    name: &str,
    fleet: &str,
    setup: &FleetSetup,
) -> Result<ExecutorView, ApiError> {
    let executor = name.to_owned();
    let runners = state
        .handle
        .ask(move |scheduler, now| {
            let all = scheduler.runner_list(now, None, usize::MAX);
            all.into_iter()
                .filter(|it| *it.row.capabilities.executor == *executor)
                .collect::<Vec<_>>()
        })
        .await?;
    let is_there =
        runners.iter().any(|it| it.state != RunnerState::Offline && !it.row.is_starting());
    let status = state.keeper.status(fleet);
    Ok(ExecutorView {
        name: name.to_owned(),
        pool: setup.pool.clone(),
        breaker: if is_there { "closed" } else { "open" }.to_owned(),
        open_until_ms: status.held_until_ms.filter(|_| !is_there),
        why: status.why.filter(|_| !is_there),
        attempts: runners.iter().map(|it| it.jobs.len()).sum(),
        attempts_max: setup.slots,
        total_executed: 0,
        total_failed: 0,
        average_duration_ms: 0.0,
    })
}
