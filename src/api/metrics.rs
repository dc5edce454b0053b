//! `GET /metrics`: counters as they stand, and gauges that are set when they are asked for. Only
//! names of the configuration become labels, so the number of series is bounded by it.

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::state::AppState;
use crate::dispatch::{Figures, PoolFigures, TenantFigures};
use crate::driver::ServerState;
use crate::model::{Catalogue, JobPriority};
use crate::store::OutboxExtent;
use crate::telemetry::{
    METRICS_CONTENT_TYPE, Metrics, PoolLabels, PoolLevelLabels, PoolStateLabels, QuotaLabels,
    TenantLabels, TenantStateLabels,
};

/// `GET /metrics`. Where the scheduler cannot be asked now, its gauges stay as they were; where it
/// is another instance's they are 0.
pub(super) async fn get(State(state): State<AppState>) -> Response {
    let metrics = &state.metrics;
    let leads = state.handle.views().may_speak(state.clock.now());
    metrics.instances.leader.set(i64::from(leads));
    metrics.planning.show(&state.planning.waiting(), state.clock.now().wall_ms);
    if let Ok(extent) = state.store.outbox_extent().await {
        let OutboxExtent { waiting, dead, oldest_at_ms } = extent;
        metrics.outbox.show((waiting, dead), oldest_at_ms, state.clock.now().wall_ms);
    }
    if state.handle.views().state() == ServerState::Standby {
        // What it knew when it led is another one's to tell.
        metrics.queue.gated.clear();
        set(metrics, &state.catalogue, &Figures::default(), 0);
    } else if let Ok(figures) = state.handle.ask(|scheduler, now| scheduler.figures(now)).await {
        set(metrics, &state.catalogue, &figures, state.clock.now().wall_ms);
    }
    ([(header::CONTENT_TYPE, METRICS_CONTENT_TYPE)], metrics.encode()).into_response()
}

fn gauge(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn seconds(ms: u64) -> f64 {
    ms as f64 / 1_000.0
}

fn set(metrics: &Metrics, catalogue: &Catalogue, figures: &Figures, wall_ms: i64) {
    metrics.jobs_running.set(gauge(figures.running_jobs));
    metrics.polls_parked.set(gauge(figures.parked_polls));
    metrics.runner_streams.set(gauge(figures.streams));
    let online = figures.pools.iter().map(|pool| pool.usage.runners_online).sum();
    metrics.runners_online.set(gauge(online));
    let (held, since_ms) = figures.held;
    metrics.planning.show_held(held, since_ms, wall_ms);
    metrics.queue.unschedulable.set(gauge(figures.unschedulable_jobs));
    for &(gate, jobs) in &figures.gated {
        metrics.queue.gated.get_or_create(&gate.into()).set(gauge(jobs));
    }
    for (name, id) in &catalogue.pools {
        let desired = figures.desired.get(id).copied().unwrap_or(0);
        metrics.fleet.desired.get_or_create(&PoolLabels::new(name)).set(gauge(desired));
    }
    // Pools and tenants of which nothing is known yet are at zero, not absent.
    for (name, id) in &catalogue.pools {
        let known = figures.pools.iter().find(|pool| pool.usage.pool_id == *id);
        pool(metrics, name, known, wall_ms);
    }
    let all_used_ms: u64 = figures.tenants.iter().map(|tenant| tenant.busy.used_ms).sum();
    for (name, id) in &catalogue.tenants {
        let known = figures.tenants.iter().find(|tenant| tenant.tenant_id == *id);
        tenant(metrics, name, known, all_used_ms);
    }
}

fn pool(metrics: &Metrics, name: &str, figures: Option<&PoolFigures>, wall_ms: i64) {
    let queue = figures.map(|it| it.queue).unwrap_or_default();
    for level in JobPriority::ALL {
        let labels = PoolLevelLabels::new(name, level);
        metrics.queue.jobs.get_or_create(&labels).set(gauge(queue.by_level[level.level()]));
        let since_ms = queue.oldest_by_level[level.level()];
        let age_ms = since_ms.map_or(0, |at_ms| (wall_ms - at_ms).max(0).unsigned_abs());
        metrics.queue.oldest.get_or_create(&labels).set(seconds(age_ms));
    }
    let usage = figures.map(|it| it.usage);
    let of =
        |figure: fn(&crate::dispatch::PoolUsage) -> u64| gauge(usage.as_ref().map_or(0, figure));
    let (fleet, labels) = (&metrics.fleet, PoolLabels::new(name));
    let runners = |state| fleet.runners.get_or_create_owned(&PoolStateLabels::new(name, state));
    runners("online").set(of(|it| it.runners_online));
    runners("offline").set(of(|it| it.runners_total - it.runners_online));
    fleet.slots.get_or_create(&labels).set(of(|it| it.slots_total));
    fleet.slots_used.get_or_create(&labels).set(of(|it| it.slots_used));
    // What it is over is the time of all slots already.
    let busy = figures.map_or(0.0, |it| it.busy.share_of(1));
    fleet.busy.get_or_create(&labels).set(busy);
}

fn tenant(metrics: &Metrics, name: &str, figures: Option<&TenantFigures>, all_used_ms: u64) {
    let (fleet, labels) = (&metrics.fleet, TenantLabels::new(name));
    let (waiting, running) = figures.map_or((0, 0), |it| (it.waiting, it.running));
    for (state, jobs) in [("waiting", waiting), ("running", running)] {
        fleet.tenant_jobs.get_or_create(&TenantStateLabels::new(name, state)).set(gauge(jobs));
    }
    let used_ms = figures.map_or(0, |it| it.busy.used_ms);
    let work = if all_used_ms == 0 { 0.0 } else { used_ms as f64 / all_used_ms as f64 };
    fleet.work.get_or_create(&labels).set(work);
    let share = figures.and_then(|it| it.share);
    fleet.ahead.get_or_create(&labels).set(seconds(share.map_or(0, |it| it.ahead_ms)));
    fleet.used.get_or_create(&labels).set(seconds(share.map_or(0, |it| it.used_ms)));
    if let Some(share) = share {
        fleet.weight.get_or_create(&labels).set(i64::from(share.weight));
    }
    for quota in figures.map_or(&[][..], |it| &it.quotas) {
        let labels = QuotaLabels::new(name, quota.quota);
        fleet.quota_used.get_or_create(&labels).set(gauge(quota.used));
        fleet.quota_limit.get_or_create(&labels).set(gauge(quota.limit));
    }
}
