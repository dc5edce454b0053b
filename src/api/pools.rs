//! Pools: how large each is and should be, and a word that its runners can be started again. For people, and for autoscalers (KEDA's `metrics-api` scaler reads
//! `desired` of one pool: <https://keda.sh/docs/latest/scalers/metrics-api/>).

use axum::extract::State;

use super::access::{Caller, May, Operate, Read};
use super::body::Id;
use super::error::ApiError;
use super::state::{AppState, Shared};
use super::wire::{List, PoolScaleView, WarmPoolView};
use crate::dispatch::PoolScale;
use crate::model::PoolId;

/// `GET /pools`
pub(super) async fn list(
    caller: May<Read>,
    State(state): State<AppState>,
) -> Result<axum::Json<List<PoolScaleView>>, ApiError> {
    let scales = state.handle.ask(|scheduler, now| scheduler.pool_scales(now)).await?;
    let seen = seen(&state, &caller);
    let items =
        seen.map(|(name, id)| view(&state, name, scales.get(&id).copied().unwrap_or_default()));
    Ok(axum::Json(List { items: items.collect(), next_before: None }))
}

/// `GET /pools/{name}/scale`
pub(super) async fn scale(
    caller: May<Read>,
    State(state): State<AppState>,
    Id(name): Id<String>,
) -> Result<axum::Json<PoolScaleView>, ApiError> {
    let id = find(&state, &caller, &name)?;
    current(&state, &name, id).await.map(axum::Json)
}

/// `POST /pools/{name}/reset`
pub(super) async fn reset(
    caller: May<Operate>,
    State(state): State<AppState>,
    Id(name): Id<String>,
) -> Result<axum::Json<PoolScaleView>, ApiError> {
    let id = find(&state, &caller, &name)?;
    if !state.keeper.reset_pool(&name).await {
        let why = "the server starts none of its runners: no `warm` in its table";
        return Err(ApiError::Conflict(format!("pool {name}: {why}")));
    }
    tracing::info!(pool = name, author = &*caller.author(), "a pool starts runners again");
    current(&state, &name, id).await.map(axum::Json)
}

/// The pool of that name, if the caller sees it.
fn find(state: &Shared, caller: &Caller, name: &str) -> Result<PoolId, ApiError> {
    let found = seen(state, caller).find(|(known, _)| *known == name);
    let (_, id) = found.ok_or_else(|| {
        ApiError::unknown("pool", name, seen(state, caller).map(|(name, _)| name))
    })?;
    Ok(id)
}

async fn current(state: &Shared, name: &str, id: PoolId) -> Result<PoolScaleView, ApiError> {
    let mut scales = state.handle.ask(|scheduler, now| scheduler.pool_scales(now)).await?;
    Ok(view(state, name, scales.remove(&id).unwrap_or_default()))
}

/// The pools that a caller sees: of a tenant's its own, since figures of shared ones tell of others.
fn seen<'a>(state: &'a Shared, caller: &Caller) -> impl Iterator<Item = (&'a str, PoolId)> {
    let limited_to = caller.limited_to();
    let all = state.catalogue.pools.iter().map(|(name, id)| (&**name, *id));
    all.filter(move |(_, id)| {
        let tenant = state.pool_tenants.get(id).copied().flatten();
        limited_to.is_none() || tenant == limited_to
    })
}

fn view(state: &Shared, name: &str, scale: PoolScale) -> PoolScaleView {
    let warm = state.keeper.pool(name).map(|(setup, status)| WarmPoolView {
        provisioner: setup.provisioner.name().to_owned(),
        min_idle: setup.settings.min_idle,
        max: setup.settings.max,
        failures: status.failures,
        why: status.why,
        held_until_ms: status.held_until_ms,
    });
    PoolScaleView {
        pool: name.to_owned(),
        waiting: scale.waiting,
        running: scale.running,
        runners: scale.runners,
        idle: scale.idle,
        starting: scale.starting,
        desired: scale.desired,
        oldest_waiting_seconds: scale.oldest_waiting_ms as f64 / 1_000.0,
        warm,
    }
}
