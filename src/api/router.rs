//! All routes on one page.
//!
//! Below `/api/v1` every handler says who may call it, or it does not compile ([`super::route`]).
//! `/hooks` is guarded by signatures, and health and metrics carry no secret and no name of a job.

use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::timeout::RequestBodyTimeoutLayer;

use super::access::local_only;
use super::error::ApiError;
use super::forward::forward;
use super::route::{Listed, Routes, delete, get, patch, post};
use super::state::AppState;
use super::{
    advice, approvals, batch, callbacks, deliveries, executors, hooks, instances, jobs, learned,
    lease_messages, leases, logs, metrics, outbox, overview, pauses, pools, records, replay,
    report, resources, retention, routing, runners, schedules, session_events, sessions, sources,
    stream, why, work, workloads,
};
use crate::telemetry::RouteLabels;

/// Every route below `/api/v1`, and who may call it.
pub fn routes() -> Vec<Listed> {
    api().listed
}

fn api() -> Routes {
    Routes::new()
        .route("/status", get(overview::status))
        .route("/instances", get(instances::list))
        .route("/queue", get(overview::queue))
        .route("/explain", get(why::explain_all))
        .route("/match", post(why::fit))
        .route("/schedules", get(schedules::list))
        .route("/routes", get(routing::list))
        .route("/routes/try", get(routing::decide))
        .route("/executors", get(executors::list))
        .route("/executors/{name}/reset", post(executors::reset))
        .route("/advice", get(advice::get))
        .route("/stream", get(stream::get))
        .route("/report", get(report::get))
        .route("/prune", post(retention::prune))
        .route("/outbox", get(outbox::list))
        .route("/outbox/{id}/retry", post(outbox::retry))
        .route("/events", post(deliveries::event))
        .route("/deliveries", get(deliveries::list))
        .route("/deliveries/{id}", get(deliveries::get))
        .route("/deliveries/{id}/body", get(deliveries::body))
        .route("/deliveries/{id}/approve", post(approvals::approve))
        .route("/deliveries/{id}/deny", post(approvals::deny))
        .route("/deliveries/{id}/replay", post(replay::replay))
        .route("/deliveries/{id}/evaluation", get(replay::evaluation))
        .route("/sources/{name}/backfill", post(sources::backfill))
        .route("/deliveries/{id}/event", get(deliveries::stored_event))
        .route("/workflows/{name}/run", post(deliveries::run))
        .route("/workloads", get(workloads::list).merge(post(workloads::submit)))
        .route("/workloads/batch", post(batch::submit))
        .route("/workloads/{id}", get(workloads::get))
        .route("/workloads/{id}/jobs", post(workloads::join))
        .route("/workloads/{id}/close", post(workloads::close))
        .route("/workloads/{id}/cancel", post(workloads::cancel))
        .route("/workloads/{id}/retry", post(workloads::retry))
        .route("/jobs", get(jobs::list))
        .route("/jobs/{id}", get(jobs::get))
        .route("/jobs/{id}/explain", get(jobs::explain))
        .route("/jobs/{id}/records", get(records::get))
        .route("/jobs/{id}/logs", get(logs::get))
        .route("/jobs/{id}/cancel", post(jobs::cancel))
        .route("/jobs/{id}/requeue", post(jobs::requeue))
        .route("/jobs/{id}/priority", post(jobs::prioritise))
        .route("/jobs/{id}/front", post(jobs::front))
        .route("/sessions", get(sessions::list).merge(post(sessions::open)))
        .route("/sessions/{id}", get(sessions::get))
        .route("/sessions/{id}/messages", post(sessions::say))
        .route("/sessions/{id}/cancel", post(sessions::cancel))
        .route("/sessions/{id}/approvals/{n}", post(sessions::approve))
        .route("/sessions/{id}/events", get(session_events::get))
        .route("/pauses", get(pauses::list).merge(post(pauses::pause)))
        .route("/pauses/{scope}", delete(pauses::resume))
        .route("/pools", get(pools::list))
        .route("/pools/{name}/scale", get(pools::scale))
        .route("/pools/{name}/reset", post(pools::reset))
        .route("/pools/{name}", patch(pauses::patch_pool))
        .route("/resources", get(resources::list))
        .route("/resources/{name}", get(resources::get))
        .route("/groups", get(resources::groups))
        .route("/model", get(learned::show))
        .route("/model/train", post(learned::train))
        .route("/model/reset", post(learned::reset))
        .route("/runners", get(runners::list))
        .route("/runners/register", post(runners::register))
        .route("/runners/poll", post(batch::poll))
        .route(
            "/runners/{id}",
            get(runners::get).merge(patch(runners::patch)).merge(delete(runners::deregister)),
        )
        .route("/runners/{id}/poll", post(runners::poll))
        .route("/runners/{id}/stream", post(work::stream))
        .route("/runners/{id}/heartbeat", post(runners::heartbeat))
        .route("/callbacks/{token}", post(callbacks::call_back))
        .route("/leases/complete", post(batch::complete))
        .route("/leases/{token}/start", post(leases::start))
        .route("/leases/{token}/context", get(callbacks::context))
        .route("/leases/{token}/event", get(leases::event))
        .route("/leases/{token}/logs", post(leases::logs))
        .route(
            "/leases/{token}/messages",
            get(lease_messages::wait).merge(post(lease_messages::tell)),
        )
        .route("/leases/{token}/complete", post(leases::complete))
        .route("/leases/{token}/release", post(leases::release))
}

/// The whole server.
pub fn router(state: AppState) -> Router {
    let api = api()
        .router
        .layer(middleware::from_fn_with_state(state.clone(), forward))
        .layer(DefaultBodyLimit::max(state.limits.api_body_bytes_max))
        .layer(middleware::from_fn_with_state(state.clone(), local_only));
    // The hook counts its own bytes: see `hooks`.
    let hooks = Router::new()
        .route("/hooks/{source}", axum::routing::post(hooks::receive))
        .layer(DefaultBodyLimit::disable());
    let no_sniff = HeaderValue::from_static("nosniff");
    Router::new()
        .nest("/api/v1", api)
        .merge(hooks)
        .route("/livez", axum::routing::get(overview::livez))
        .route("/readyz", axum::routing::get(overview::readyz))
        .route("/metrics", axum::routing::get(metrics::get))
        .fallback(nothing_here)
        .method_not_allowed_fallback(wrong_method)
        .layer(RequestBodyTimeoutLayer::new(state.body_read_timeout))
        .layer(SetResponseHeaderLayer::if_not_present(header::X_CONTENT_TYPE_OPTIONS, no_sniff))
        .layer(middleware::from_fn_with_state(state.clone(), count))
        .layer(CatchPanicLayer::custom(panicked))
        .with_state(state)
}

async fn count(State(state): State<AppState>, request: Request, next: Next) -> Response {
    // Only methods that we know, so that no sender can make the number of series grow.
    let method = match request.method().as_str() {
        known @ ("GET" | "POST" | "PATCH" | "DELETE" | "HEAD" | "PUT" | "OPTIONS") => {
            known.to_owned()
        }
        _ => "other".to_owned(),
    };
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or_else(|| "none".to_owned(), |path| path.as_str().to_owned());
    let response = next.run(request).await;
    let labels = RouteLabels::new(method, route, response.status().as_u16());
    state.metrics.http_requests.get_or_create(&labels).inc();
    response
}

async fn nothing_here(request: Request) -> ApiError {
    ApiError::NotFound { what: "route", id: request.uri().path().to_owned() }
}

async fn wrong_method(request: Request) -> ApiError {
    ApiError::MethodNotAllowed(format!("{} {}", request.method(), request.uri().path()))
}

fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    ApiError::Internal("a fault in the server".to_owned()).into_response()
}
