//! The server at a glance: status, queue and health.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use axum::extract::State;
use axum::http::StatusCode;

use super::access::{May, Read};
use super::body::Params;
use super::error::ApiError;
use super::list::PageParams;
use super::show;
use super::state::AppState;
use super::why::away;
use super::wire::{PoolQueueView, QueueView, StatusView};
use crate::dispatch::{Scheduler, StatusSnapshot};
use crate::driver::{CommandError, ServerState};
use crate::model::{JobStateKind, Now, PoolId, QueuedJob, TenantId};
use crate::store::JobPage;

/// `GET /status`: answers also while the store is away. Who is limited to a tenant gets that
/// tenant's figures, its own pools and those that all share, and no warning about the rest.
pub(super) async fn status(
    caller: May<Read>,
    State(state): State<AppState>,
) -> axum::Json<StatusView> {
    let views = state.handle.views();
    let ask = |scheduler: &mut Scheduler, now| (scheduler.status(), scheduler.pool_figures(now));
    let (snapshot, pools) = state.handle.ask(ask).await.ok().unzip();
    let (limited_to, wall_ms) = (caller.limited_to(), state.clock.now().wall_ms);
    let (queue, running_jobs) = match (limited_to, &snapshot) {
        (None, Some(snapshot)) => {
            (show::queue_metrics(&snapshot.queue, wall_ms), snapshot.running_jobs)
        }
        _ => {
            let usage = state.store.usage(limited_to).await.unwrap_or_default();
            let running = usage.iter().map(|level| level.running).sum();
            (show::usage_metrics(&usage, wall_ms), running)
        }
    };
    let mut warnings = Vec::new();
    if limited_to.is_none() {
        let concerns = snapshot.as_ref().map(concerns).unwrap_or_default();
        warnings = [state.config_warnings(), concerns].concat();
    }
    let server_state = views.state();
    let instance = super::instances::standing(&state);
    let is_led = instance.as_ref().is_some_and(|it| it.leader.is_some());
    if let Some(drift) = views.drift().filter(|_| limited_to.is_none()) {
        warnings.push(drift);
    }
    if server_state == ServerState::Standby {
        if !is_led {
            warnings.push("no instance leads: nothing is given out".to_owned());
        }
    } else if server_state != ServerState::Running {
        warnings.push(format!("the server is {}: nothing is given out", server_state.as_str()));
    }
    let mut pools = pools.unwrap_or_default();
    pools.retain(|pool| state.sees_pool(limited_to, pool.usage.pool_id));
    // What waits for a pool that all share is others' too.
    let show_pool = |pool| show::pool(&state.catalogue, &pool, limited_to.is_none(), wall_ms);
    let predictions = snapshot.filter(|_| limited_to.is_none());
    let predictions = predictions.map(|it| show::predictions(it.predictions));
    let history = match limited_to {
        None => super::retention::kept(&state).await,
        Some(_) => None,
    };
    axum::Json(StatusView {
        state: server_state.as_str().to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        epoch: views.epoch(),
        queue_size: queue.total_jobs,
        queue,
        running_jobs,
        max_global_concurrency: state.scheduler.max_global_concurrency as u64,
        pools: pools.into_iter().map(show_pool).collect(),
        last_commit_at_ms: views.last_commit_at_ms(),
        predictions,
        history,
        instance,
        warnings,
    })
}

fn concerns(snapshot: &StatusSnapshot) -> Vec<String> {
    let mut concerns = Vec::new();
    if let Some(pause) = &snapshot.paused {
        let (author, reason) = (&pause.author, &pause.reason);
        concerns.push(format!("everything is paused by {author}: {reason}"));
    }
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
/// While the store is away it says so, with what the rows say.
pub(super) async fn queue(
    caller: May<Read>,
    State(state): State<AppState>,
    Params(params): Params<PageParams>,
) -> Result<axum::Json<QueueView>, ApiError> {
    let limit = params.limit(&state);
    let wall_ms = state.clock.now().wall_ms;
    let limited_to = caller.limited_to();
    let ask = move |scheduler: &mut Scheduler, now| match limited_to {
        None => {
            let metrics = (scheduler.queue_metrics(), scheduler.queue_by_pool());
            (Some(metrics), scheduler.waiting(now, limit))
        }
        Some(tenant) => (None, own_waiting(scheduler, now, tenant, limit)),
    };
    let (metrics, waiting, reasons) = match state.handle.ask(ask).await {
        Ok((metrics, waiting)) => (metrics, waiting, Vec::new()),
        Err(CommandError::Unavailable) => {
            (None, waiting_rows(&state, limited_to, limit).await?, vec![away(&state)])
        }
        Err(error) => return Err(error.into()),
    };
    let (metrics, pools) = match metrics {
        Some((metrics, pools)) => (show::queue_metrics(&metrics, wall_ms), pools),
        None => (show::usage_metrics(&state.store.usage(limited_to).await?, wall_ms), Vec::new()),
    };
    let pool = |(id, metrics): (PoolId, _)| PoolQueueView {
        name: state.catalogue.pool_name(id).to_owned(),
        metrics: show::queue_metrics(&metrics, wall_ms),
    };
    let pools = pools.into_iter().map(pool).collect();
    let waiting = waiting.into_iter().map(show::queued).collect();
    Ok(axum::Json(QueueView { metrics, pools, waiting, reasons }))
}

/// Waiting jobs as the rows have them, newest first: nobody knows their places now.
async fn waiting_rows(
    state: &AppState,
    tenant: Option<TenantId>,
    limit: usize,
) -> Result<Vec<QueuedJob>, ApiError> {
    let mut labels = BTreeMap::new();
    let mut waiting = Vec::new();
    for kind in [JobStateKind::Pending, JobStateKind::Blocked] {
        let left = u32::try_from(limit - waiting.len()).unwrap_or(u32::MAX);
        let page = JobPage { limit: left, before: None, state: Some(kind), tenant };
        for job in state.store.jobs(page).await? {
            if let Entry::Vacant(unknown) = labels.entry(job.class_id) {
                let needs = state.store.requirements(job.class_id).await?.unwrap_or_default();
                unknown.insert(needs.labels);
            }
            waiting.push(QueuedJob::new(&job, labels[&job.class_id].clone(), None));
        }
    }
    Ok(waiting)
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

/// `GET /readyz`: the scheduler is loaded and the store can be written, or another instance leads.
pub(super) async fn readyz(State(state): State<AppState>) -> (StatusCode, String) {
    let views = state.handle.views();
    let server_state = views.state();
    let status = if views.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, format!("{}\n", server_state.as_str()))
}
