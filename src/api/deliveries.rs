//! Deliveries: listed, and made by hand.

use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;

use super::accept::{Incoming, accept, idempotency_key, traceparent};
use super::access::{Caller, May, Read, Submit};
use super::body::{Id, Json, JsonOrEmpty, Params};
use super::cause::Cause;
use super::decide::Content;
use super::error::ApiError;
use super::list::PageParams;
use super::outbox::origin;
use super::state::AppState;
use super::wire::{CAUSE_HEADER, DeliveryAccepted, DeliveryView, EventRequest, List, RunRequest};
use super::{planning, show, submission};
use crate::event::{Event, OwnEvent};
use crate::intake::{Arrival, RunByHandError, run_by_hand};
use crate::model::{DeliveryId, DeliveryState, PlanError, Trust, TrustLevel, WorkloadId};
use crate::store::DeliveryPage;
use crate::webhook::dedupe_key;

pub(super) type Accepted = (StatusCode, axum::Json<DeliveryAccepted>);

/// `GET /deliveries`
pub(super) async fn list(
    caller: May<Read>,
    State(state): State<AppState>,
    Params(params): Params<PageParams>,
) -> Result<axum::Json<List<DeliveryView>>, ApiError> {
    let limit = params.limit(&state);
    let page = DeliveryPage {
        limit: u32::try_from(limit).unwrap_or(u32::MAX),
        before: params.before("delivery")?,
        state: params.state(DeliveryState::ALL, |state| state.as_str())?,
        tenant: caller.limited_to(),
    };
    let mut rows = state.store.deliveries(page).await?;
    let rulebook = state.rulebook();
    for row in &mut rows {
        row.verdicts.retain(|it| rulebook.knows_trigger(caller.limited_to(), &it.trigger));
    }
    let next_before = params.next(&rows, limit, |row| row.id.to_string());
    Ok(axum::Json(List { items: rows.into_iter().map(show::delivery).collect(), next_before }))
}

/// `GET /deliveries/{id}`
pub(super) async fn get(
    caller: May<Read>,
    State(state): State<AppState>,
    Id(id): Id<DeliveryId>,
) -> Result<axum::Json<DeliveryView>, ApiError> {
    let mut row = state.delivery_of(&caller, id).await?;
    if row.head.state == DeliveryState::Planning {
        row.head.reason = planning::told(&state, &row).or(row.head.reason);
    }
    Ok(axum::Json(show::delivery(row.head)))
}

/// `GET /deliveries/{id}/body`
pub(super) async fn body(
    caller: May<Read>,
    State(state): State<AppState>,
    Id(id): Id<DeliveryId>,
) -> Result<Response, ApiError> {
    if caller.limited_to().is_some() {
        state.delivery_of(&caller, id).await?;
    }
    let body = state.store.delivery_body(id).await?;
    let Some(body) = body else {
        state.delivery_of(&caller, id).await?;
        return Err(ApiError::not_found("body, which is kept no longer, of delivery", id));
    };
    // Never as what the sender calls it: a browser must not run it.
    let kind = [(header::CONTENT_TYPE, "application/octet-stream")];
    Ok((kind, Body::from(body)).into_response())
}

/// `GET /deliveries/{id}/event`: what it says, as the triggers were asked.
pub(super) async fn stored_event(
    caller: May<Read>,
    State(state): State<AppState>,
    Id(id): Id<DeliveryId>,
) -> Result<Response, ApiError> {
    let row = state.delivery_of(&caller, id).await?;
    let event = row.event.ok_or_else(|| ApiError::not_found("event of delivery", id))?;
    Ok(([(header::CONTENT_TYPE, "application/json")], event.to_string()).into_response())
}

/// `POST /events`: an event of one's own.
pub(super) async fn event(
    caller: May<Submit>,
    State(state): State<AppState>,
    headers: HeaderMap,
    Json(request): Json<EventRequest>,
) -> Result<Accepted, ApiError> {
    // A callback's URL may have a secret in it: what is stored says where it is, and no more.
    let callback_url = request.callback_url.as_deref().map(origin);
    let body = serde_json::to_vec(&EventRequest { callback_url, ..request.clone() });
    let body = body.unwrap_or_default();
    let report = submission::report_to(&state, request.callback_url)?;
    let mut trust = Trust::new(TrustLevel::Trusted, format!("sent by {}", caller.author()));
    let mut causation_depth = 0;
    let proven = Cause::of(&state, &headers).await?;
    let known = proven.as_ref().map(|proven| proven.workload_id);
    if let (Some(said), Some(known)) = (request.caused_by, known)
        && said != known
    {
        let text = format!("`caused_by` is {said}, and `{CAUSE_HEADER}` is of workload {known}");
        return Err(ApiError::BadRequest(text));
    }
    if let Some(workload_id) = known.or(request.caused_by) {
        let (cause, depth) = cause(&state, &caller, workload_id).await?;
        causation_depth = depth.saturating_add(1);
        if let Some(cause) = cause.filter(|cause| cause.level != TrustLevel::Trusted) {
            let reason = format!("work caused it that is not trusted: {}", cause.reason);
            trust = Trust::new(cause.level, reason);
        }
    }
    if let Some(proven) = proven {
        trust = proven.limit(&trust);
    }
    let own = OwnEvent {
        source: "api".into(),
        kind: request.kind,
        action: request.action,
        repository: request.repository,
        actor: None,
        git_ref: request.git_ref,
        sha: request.sha,
        changed_files: request.changed_files,
        labels: request.labels,
        title: request.title,
        body: request.body,
        inputs: request.inputs,
        trust,
        causation_depth,
    };
    let event = own.into_event().map_err(|error| ApiError::BadRequest(error.to_string()))?;
    let key = idempotency_key(&headers)?;
    let incoming = own_delivery("api", &caller, &headers, key, &event, body.into());
    let content = Content::Event(Box::new(event));
    accepted(&state, Incoming { content, report, ..incoming }).await
}

/// How far a workload is trusted that says it caused an event, and how many events stand before it; of one that was
/// submitted without an event nothing is known.
async fn cause(
    state: &AppState,
    caller: &Caller,
    workload_id: WorkloadId,
) -> Result<(Option<Trust>, u32), ApiError> {
    let workload = state.workload_of(caller, workload_id).await?;
    let Some(delivery_id) = workload.delivery_id else { return Ok((None, 0)) };
    // Its row may be pruned before the workload's.
    let Some(row) = state.store.delivery(delivery_id).await? else { return Ok((None, 0)) };
    let depth = row.event.as_deref().and_then(|text| serde_json::from_str::<Event>(text).ok());
    Ok((Some(row.head.trust), depth.map_or(0, |event| event.causation_depth)))
}

/// `POST /workflows/{name}/run`: starts a workflow of the server's folder by hand.
pub(super) async fn run(
    caller: May<Submit>,
    State(state): State<AppState>,
    Id(name): Id<String>,
    headers: HeaderMap,
    JsonOrEmpty(request): JsonOrEmpty<RunRequest>,
) -> Result<Accepted, ApiError> {
    if let Some(priority) = request.ask.priority {
        caller.must_be_allowed(priority)?;
    }
    let body = serde_json::to_vec(&request).unwrap_or_default();
    let own = OwnEvent {
        source: "cli".into(),
        kind: "workflow_dispatch".into(),
        repository: request.repository,
        git_ref: request.git_ref.map(full_ref),
        inputs: request.inputs,
        trust: Trust::new(TrustLevel::Trusted, format!("started by {}", caller.author())),
        ..OwnEvent::default()
    };
    let event = own.into_event().map_err(|error| ApiError::BadRequest(error.to_string()))?;
    let key = idempotency_key(&headers)?;
    let incoming = own_delivery("cli", &caller, &headers, key, &event, body.into());
    let (at_ms, traceparent) = (state.clock.now().wall_ms, incoming.traceparent.as_deref());
    let arrival = Arrival { at_ms, traceparent, ..Arrival::default() };
    let plan = run_by_hand(&name, &event, &state.rulebook().rules, request.ask, arrival).map_err(
        |error| {
            let text = error.to_string();
            match error {
                RunByHandError::UnknownWorkflow { name, hint } => {
                    ApiError::NotFound { what: "workflow", id: format!("{name}: {hint}") }
                }
                RunByHandError::Unplannable { error: PlanError::Terms(_), .. } => {
                    ApiError::BadRequest(text)
                }
                RunByHandError::Unplannable { .. } => ApiError::Conflict(text),
            }
        },
    )?;
    let content = Content::Planned(Box::new(event), plan);
    accepted(&state, Incoming { content, ..incoming }).await
}

/// People write `main`; events say `refs/heads/main`.
fn full_ref(name: String) -> String {
    if name.starts_with("refs/") { name } else { format!("refs/heads/{name}") }
}

fn own_delivery(
    source: &str,
    caller: &Caller,
    headers: &HeaderMap,
    key: Option<Box<str>>,
    event: &Event,
    body: Bytes,
) -> Incoming {
    Incoming {
        report: None,
        source: source.to_owned(),
        key: key.clone().map(|key| dedupe_key(source, &caller.own_key(key))),
        external_id: key,
        event_kind: event.kind.as_str().into(),
        headers: "{}".into(),
        body,
        traceparent: traceparent(headers),
        replay_of: None,
        tenant_id: caller.starts_for(),
        limited_to: caller.limited_to(),
        content: Content::Nothing(String::new()),
        can_wait: false,
        permit: None,
        waited: Duration::ZERO,
    }
}

/// Stores it, and says with the status whether it was there already.
pub(super) async fn accepted(state: &AppState, incoming: Incoming) -> Result<Accepted, ApiError> {
    let accepted = accept(state, incoming).await?;
    let status = if accepted.duplicate { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok((status, axum::Json(accepted)))
}
