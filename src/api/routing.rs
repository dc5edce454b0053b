//! Which rule says how a job is carried out. Who is limited to a tenant sees the rules that can be about
//! that tenant's jobs, and asks about these alone.

use axum::extract::State;
use serde::Deserialize;

use super::access::{Caller, May, Read};
use super::body::Params;
use super::error::ApiError;
use super::state::{AppState, Shared};
use super::wire::{PassedRoute, RouteDecisionView, RouteView, RoutesView};
use crate::executor::router::{Miss, Namespace, RoutingRule};
use crate::telemetry::RoutedLabels;

/// `GET /routes`
pub(super) async fn list(
    caller: May<Read>,
    State(state): State<AppState>,
) -> Result<axum::Json<RoutesView>, ApiError> {
    let tenant = own_tenant(&caller, &state);
    let rules = state.router.rules_about(tenant);
    Ok(axum::Json(RoutesView {
        items: rules.map(|rule| view(&state, rule)).collect(),
        default_executor: state.router.default_executor().to_owned(),
        default_jobs: jobs(&state, None),
    }))
}

/// The name to try.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NameParams {
    name: String,
}

/// `GET /routes/try?name=tenant::kind::workload::job`
pub(super) async fn decide(
    caller: May<Read>,
    State(state): State<AppState>,
    Params(params): Params<NameParams>,
) -> Result<axum::Json<RouteDecisionView>, ApiError> {
    let name = Namespace::parse(&params.name).map_err(ApiError::BadRequest)?;
    let tenant = own_tenant(&caller, &state);
    if tenant.is_some_and(|tenant| name.tenant() != tenant) {
        return Err(ApiError::not_found("name", &params.name));
    }
    let decision = state.router.decide(&name, tenant);
    let default = || vec![state.router.default_executor().to_owned()];
    let passed = |(rule, miss): (&RoutingRule, Miss)| PassedRoute {
        route: rule.name.to_string(),
        pattern: rule.pattern.to_string(),
        why: miss.to_string(),
    };
    Ok(axum::Json(RouteDecisionView {
        name: name.to_string(),
        route: decision.rule.map(|rule| view(&state, rule)),
        executors: decision.rule.map_or_else(default, |rule| texts(&rule.executors)),
        passed: decision.passed.into_iter().map(passed).collect(),
    }))
}

/// The tenant whose rules alone the caller sees.
fn own_tenant<'a>(caller: &Caller, state: &'a Shared) -> Option<&'a str> {
    caller.limited_to().map(|id| state.catalogue.tenant_name(id))
}

fn view(state: &Shared, rule: &RoutingRule) -> RouteView {
    let pool = |id| state.catalogue.pool_name(id).to_owned();
    RouteView {
        name: rule.name.to_string(),
        pattern: rule.pattern.to_string(),
        executors: texts(&rule.executors),
        pools: rule.pools.iter().copied().map(pool).collect(),
        labels: texts(&rule.labels),
        priority: rule.priority,
        timeout_ms_max: rule.timeout_ms_max,
        running_max: rule.running_max,
        jobs: jobs(state, Some(&rule.name)),
    }
}

fn jobs(state: &Shared, route: Option<&str>) -> u64 {
    state.metrics.queue.routed.get(&RoutedLabels::new(route)).map_or(0, |counter| counter.get())
}

fn texts(texts: &[Box<str>]) -> Vec<String> {
    texts.iter().map(ToString::to_string).collect()
}
