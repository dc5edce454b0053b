//! Stored deliveries, asked again: what they would start now, and started once more.
//!
//! A provider that repeats a delivery keeps its id, so that ours is a duplicate; a replay is a delivery of its own
//! that names the first one.

use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;

use super::accept::{Incoming, idempotency_key};
use super::access::{Caller, May, Operate, Read};
use super::body::Id;
use super::decide::{Content, Decision, Whose, decide};
use super::deliveries::{Accepted, accepted};
use super::error::ApiError;
use super::state::AppState;
use super::wire::{EvaluationView, PlannedJobView, PlannedView};
use crate::event::Event;
use crate::intake::{Arrival, Facts, Needs};
use crate::model::{DeliveryId, PlannedWorkload};
use crate::store::DeliveryDetail;
use crate::trigger::Standing;
use crate::webhook::dedupe_key;
use crate::webhook::stored_json;

/// `POST /deliveries/{id}/replay`: the same event through the present triggers, as a new delivery
/// that says what it repeats. One key replays one delivery once.
pub(super) async fn replay(
    caller: May<Operate>,
    State(state): State<AppState>,
    Id(id): Id<DeliveryId>,
    headers: HeaderMap,
) -> Result<Accepted, ApiError> {
    let key = idempotency_key(&headers)?;
    let (row, event) = stored(&state, &caller, id).await?;
    if row.head.body_bytes > 0 && !row.has_body {
        let text = format!("the body of delivery {id} is kept no longer: it cannot run again");
        return Err(ApiError::Conflict(text));
    }
    // No provider's id has this character, so no delivery of the source has the key.
    let key = key.map(|key| format!("{}\u{1e}replay\u{1e}{id}", caller.own_key(key)));
    let incoming = Incoming {
        report: None,
        key: key.map(|key| dedupe_key(&row.head.source, &key)),
        source: row.head.source.into(),
        external_id: row.head.external_id,
        event_kind: row.head.event_kind,
        headers: row.headers,
        body: state.store.delivery_body(id).await?.unwrap_or_default(),
        traceparent: None,
        replay_of: Some(id),
        tenant_id: row.head.tenant_id,
        limited_to: caller.limited_to(),
        content: Content::Event(Box::new(event)),
        can_wait: false,
        permit: None,
        waited: Duration::ZERO,
    };
    accepted(&state, incoming).await
}

/// `GET /deliveries/{id}/evaluation`: what a replay would start. Nothing is written.
pub(super) async fn evaluation(
    caller: May<Read>,
    State(state): State<AppState>,
    Id(id): Id<DeliveryId>,
) -> Result<axum::Json<EvaluationView>, ApiError> {
    let (row, event) = stored(&state, &caller, id).await?;
    let whose = Whose { tenant_id: row.head.tenant_id, limited_to: caller.limited_to() };
    let body = state.store.delivery_body(id).await?.unwrap_or_default();
    let payload = || stored_json(&body);
    let at_ms = state.clock.now().wall_ms;
    // Nobody is asked: it is said what was not looked at.
    let facts = Facts::LeftOut;
    let standing = Standing::LeftOut("nobody was asked".to_owned());
    let standing = Some(&standing);
    let payload: &dyn Fn() -> Option<serde_json::Value> = &payload;
    let arrival = Arrival { at_ms, payload: Some(payload), facts, standing, ..Arrival::default() };
    let rulebook = state.rulebook();
    let left_out = Needs::of(&event, &rulebook.rules);
    let left_out = (!left_out.is_nothing()).then(|| format!("{left_out} were not looked at"));
    let Decision { verdicts, plan, delivery_state, reason, .. } =
        decide(&state, Content::Event(Box::new(event)), whose, arrival);
    Ok(axum::Json(EvaluationView {
        delivery_id: id,
        state: delivery_state.as_str().to_owned(),
        reason,
        left_out,
        triggers: verdicts,
        workloads: plan.workloads.into_iter().map(planned).collect(),
    }))
}

/// A delivery with its event.
async fn stored(
    state: &AppState,
    caller: &Caller,
    id: DeliveryId,
) -> Result<(DeliveryDetail, Event), ApiError> {
    let row = state.delivery_of(caller, id).await?;
    let Some(event) = &row.event else {
        let why = row.head.reason.unwrap_or_default();
        let text = format!("delivery {id} has no event that could run again: {why}");
        return Err(ApiError::Conflict(text));
    };
    let event = serde_json::from_str(event)
        .map_err(|error| ApiError::Internal(format!("the event's row: {error}")))?;
    Ok((row, event))
}

fn planned(workload: PlannedWorkload) -> PlannedView {
    let jobs = workload.jobs.into_iter().map(|job| PlannedJobView {
        name: job.name,
        needs: job.needs,
        priority: job.priority,
    });
    PlannedView {
        trigger: workload.trigger,
        kind: workload.kind,
        name: workload.name,
        jobs: jobs.collect(),
    }
}
