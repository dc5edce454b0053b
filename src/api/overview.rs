//! The server at a glance: status, queue, health and metrics.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::access::Admin;
use super::body::Params;
use super::error::ApiError;
use super::list::PageParams;
use super::show;
use super::state::AppState;
use super::wire::{QueueView, StatusView};
use crate::dispatch::StatusSnapshot;
use crate::driver::ServerState;
use crate::model::JobPriority;
use crate::telemetry::METRICS_CONTENT_TYPE;

/// `GET /status`: answers also while the store is away.
pub(super) async fn status(_: Admin, State(state): State<AppState>) -> axum::Json<StatusView> {
    let views = state.handle.views();
    let snapshot = state.handle.ask(|scheduler, _| scheduler.status()).await.ok();
    let mut warnings = state.warnings.clone();
    let server_state = views.state();
    if server_state != ServerState::Running {
        warnings.push(format!("the server is {}: nothing is given out", server_state.as_str()));
    }
    if let Some(snapshot) = &snapshot {
        warnings.extend(concerns(snapshot));
    }
    let queue = snapshot.as_ref().map_or(0, |it| it.queue.total());
    axum::Json(StatusView {
        state: server_state.as_str().to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        epoch: views.epoch(),
        queue_size: queue,
        running_jobs: snapshot.as_ref().map_or(0, |it| it.running_jobs),
        max_global_concurrency: state.scheduler.max_global_concurrency as u64,
        pools: snapshot.map_or_else(Vec::new, |it| it.pools.into_iter().map(show::pool).collect()),
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

/// `GET /queue`
pub(super) async fn queue(
    _: Admin,
    State(state): State<AppState>,
    Params(params): Params<PageParams>,
) -> Result<axum::Json<QueueView>, ApiError> {
    let limit = params.limit(&state);
    let (metrics, waiting) = state
        .handle
        .ask(move |scheduler, _| (scheduler.queue_metrics(), scheduler.waiting(limit)))
        .await?;
    Ok(axum::Json(QueueView {
        metrics: show::queue_metrics(&metrics, state.clock.now().wall_ms),
        waiting: waiting.into_iter().map(show::queued).collect(),
    }))
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
