//! The server at a glance: status, queue, health and metrics.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::access::{May, Read};
use super::body::Params;
use super::error::ApiError;
use super::list::PageParams;
use super::show;
use super::state::AppState;
use super::wire::{QueueView, StatusView};
use crate::dispatch::{Scheduler, StatusSnapshot};
use crate::driver::ServerState;
use crate::model::{JobPriority, Now, QueuedJob, TenantId};
use crate::telemetry::METRICS_CONTENT_TYPE;

/// `GET /status`: answers also while the store is away. Who is limited to a tenant gets that
/// tenant's figures, its own pools and those that all share, and no warning about the rest.
pub(super) async fn status(
    caller: May<Read>,
    State(state): State<AppState>,
) -> axum::Json<StatusView> {
    let views = state.handle.views();
    let snapshot = state.handle.ask(|scheduler, _| scheduler.status()).await.ok();
    let limited_to = caller.limited_to();
    let (mut warnings, mut queue_size, mut running_jobs) = (Vec::new(), 0, 0);
    match (limited_to, &snapshot) {
        (Some(tenant), _) => {
            let usage = state.store.tenant_usage(tenant).await.unwrap_or_default();
            queue_size = usage.iter().map(|level| level.waiting).sum();
            running_jobs = usage.iter().map(|level| level.running).sum();
        }
        (None, Some(snapshot)) => {
            (queue_size, running_jobs) = (snapshot.queue.total(), snapshot.running_jobs);
            warnings = [state.warnings.clone(), concerns(snapshot)].concat();
        }
        (None, None) => warnings.clone_from(&state.warnings),
    }
    let server_state = views.state();
    if server_state != ServerState::Running {
        warnings.push(format!("the server is {}: nothing is given out", server_state.as_str()));
    }
    let mut pools = snapshot.map_or_else(Vec::new, |it| it.pools);
    pools.retain(|pool| state.sees_pool(limited_to, pool.pool_id));
    axum::Json(StatusView {
        state: server_state.as_str().to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        epoch: views.epoch(),
        queue_size,
        running_jobs,
        max_global_concurrency: state.scheduler.max_global_concurrency as u64,
        pools: pools.into_iter().map(|pool| show::pool(&state.catalogue, pool)).collect(),
        last_commit_at_ms: views.last_commit_at_ms(),
        warnings,
    })
}

fn concerns(snapshot: &StatusSnapshot) -> Vec<String> {
    let mut concerns = Vec::new();
    if snapshot.unschedulable_jobs > 0 {
        concerns.push(format!(
            "{} waiting jobs fit no registered runner: `dispatchyard explain JOB` says what is \
             missing",
            snapshot.unschedulable_jobs
        ));
    }
    if snapshot.running_jobs >= snapshot.max_global_concurrency {
        concerns.push("max_global_concurrency is reached".to_owned());
    }
    concerns
}

/// `GET /queue`: for who is limited to a tenant, that tenant's jobs with their places among all.
pub(super) async fn queue(
    caller: May<Read>,
    State(state): State<AppState>,
    Params(params): Params<PageParams>,
) -> Result<axum::Json<QueueView>, ApiError> {
    let limit = params.limit(&state);
    let wall_ms = state.clock.now().wall_ms;
    let limited_to = caller.limited_to();
    let (metrics, waiting) = match limited_to {
        None => {
            let ask = move |scheduler: &mut Scheduler, now| {
                (scheduler.queue_metrics(), scheduler.waiting(now, limit))
            };
            let (metrics, waiting) = state.handle.ask(ask).await?;
            (show::queue_metrics(&metrics, wall_ms), waiting)
        }
        Some(tenant) => {
            let ask =
                move |scheduler: &mut Scheduler, now| own_waiting(scheduler, now, tenant, limit);
            let waiting = state.handle.ask(ask).await?;
            let usage = state.store.tenant_usage(tenant).await?;
            (show::tenant_metrics(&usage, wall_ms), waiting)
        }
    };
    let waiting = waiting.into_iter().map(show::queued).collect();
    Ok(axum::Json(QueueView { metrics, waiting }))
}

/// The first waiting jobs of one tenant. Looks at ever more of the queue until there are enough.
fn own_waiting(scheduler: &Scheduler, now: Now, tenant: TenantId, limit: usize) -> Vec<QueuedJob> {
    let mut look = limit.max(1_000);
    loop {
        let mut waiting = scheduler.waiting(now, look);
        let all = waiting.len() < look;
        waiting.retain(|it| scheduler.job(it.job_id).is_some_and(|job| job.tenant_id == tenant));
        if all || waiting.len() >= limit {
            waiting.truncate(limit);
            return waiting;
        }
        look *= 4;
    }
}

/// `GET /livez`: the process answers.
pub(super) async fn livez() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: the scheduler is loaded and the store can be written.
pub(super) async fn readyz(State(state): State<AppState>) -> (StatusCode, String) {
    let server_state = state.handle.views().state();
    let status = match server_state {
        ServerState::Running => StatusCode::OK,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, format!("{}\n", server_state.as_str()))
}

/// `GET /metrics`: gauges are read when they are asked for.
pub(super) async fn metrics(State(state): State<AppState>) -> Response {
    let metrics = &state.metrics;
    if let Ok(snapshot) = state.handle.ask(|scheduler, _| scheduler.status()).await {
        let gauge = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        for (level, jobs) in JobPriority::ALL.into_iter().zip(snapshot.queue.by_level) {
            metrics.queue_jobs.get_or_create(&level.into()).set(gauge(jobs));
        }
        metrics.jobs_running.set(gauge(snapshot.running_jobs));
        metrics.polls_parked.set(gauge(snapshot.parked_polls));
        let online = snapshot.pools.iter().map(|pool| pool.runners_online).sum();
        metrics.runners_online.set(gauge(online));
    }
    ([(header::CONTENT_TYPE, METRICS_CONTENT_TYPE)], metrics.encode()).into_response()
}
