//! From an event to a stored delivery: the one way in for webhooks, events of one's own, runs by
//! hand and replays.
//!
//! ```text
//! Event -> evaluate (guarded against panics) -> spill a large body -> one command -> commit -> answer
//! ```
//!
//! All of it runs in a task of its own: a sender that hangs up changes nothing. Where this instance does not
//! lead, or cannot decide now, a webhook's event is stored undecided: see [`super::adopt`].

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;

use super::decide::{Content, Decision, Whose, decide};
use super::error::ApiError;
use super::rerun::Rerun;
use super::state::AppState;
use super::undecided::{as_accepted, keep, undecided};
use super::wire::DeliveryAccepted;
use super::{planning, show};
use crate::clock::{OsEntropy, uuid_v7};
use crate::dispatch::{Command, Deliver, Reply};
use crate::driver::{CommandError, ServerState};
use crate::event::Event;
use crate::intake::{Arrival, Facts};
use crate::model::{
    Body, Delivery, DeliveryId, DeliveryState, Now, ReportTo, TenantId, Trust, UniqueKey,
};
use crate::webhook::stored_json;

/// The part of a sender's patience that the driver leaves, so that what it does not decide in time can still
/// be stored undecided: one of so many.
const KEEP_PART: u32 = 5;

/// A verified request on its way to become a delivery.
#[derive(Debug)]
pub(super) struct Incoming {
    /// The source's name.
    pub(super) source: String,
    /// The provider's own id.
    pub(super) external_id: Option<Box<str>>,
    /// The event's kind, as the provider calls it.
    pub(super) event_kind: Box<str>,
    /// Kept headers, as a JSON object.
    pub(super) headers: Arc<str>,
    /// The body, byte for byte.
    pub(super) body: Bytes,
    /// What keeps it from being accepted twice.
    pub(super) key: Option<UniqueKey>,
    /// The trace that the sender says it is part of.
    pub(super) traceparent: Option<String>,
    /// The delivery that it repeats.
    pub(super) replay_of: Option<DeliveryId>,
    /// Whose it is, and whose work it starts where a trigger does not say.
    pub(super) tenant_id: TenantId,
    /// The only tenant whose triggers it may reach.
    pub(super) limited_to: Option<TenantId>,
    /// What it says.
    pub(super) content: Content,
    /// Whether it may be stored without being decided, for whoever leads next.
    pub(super) can_wait: bool,
    /// Stands for the body's bytes in memory, for as long as they are there.
    pub(super) permit: Option<OwnedSemaphorePermit>,
    /// Where what it starts is reported beside what its source says.
    pub(super) report: Option<ReportTo>,
    /// How long its sender was kept waiting before, which is of the same patience.
    pub(super) waited: Duration,
}

/// Stores a delivery and starts what it starts.
///
/// # Errors
///
/// [`CommandError`] when it is not stored.
pub(super) async fn accept(
    state: &AppState,
    incoming: Incoming,
) -> Result<DeliveryAccepted, ApiError> {
    let state = state.clone();
    let task = tokio::spawn(async move { store(&state, incoming).await });
    task.await.map_err(|error| ApiError::Internal(format!("failed to accept: {error}")))?
}

async fn store(state: &AppState, mut incoming: Incoming) -> Result<DeliveryAccepted, ApiError> {
    let _held_until_stored = incoming.permit.take();
    let waited = incoming.waited;
    let now = state.clock.now();
    let began = state.clock.seconds();
    let id = DeliveryId(uuid_v7(now, &mut OsEntropy));
    let traceparent = incoming.traceparent.clone().unwrap_or_else(|| own_trace(id));
    let whose = Whose { tenant_id: incoming.tenant_id, limited_to: incoming.limited_to };
    let bytes = incoming.body.clone();
    let payload = || stored_json(&bytes);
    let found = planning::at_once(state, &incoming.content, whose).await?;
    let arrival = Arrival {
        at_ms: now.wall_ms,
        traceparent: Some(&traceparent),
        payload: Some(&payload),
        facts: found.files.as_deref().map_or(Facts::None, Facts::Files),
        standing: found.standing.as_ref(),
        approved_by: None,
    };
    let key = incoming.key.clone().filter(|_| incoming.can_wait && state.store.is_shared());
    let leads = state.handle.views().state() == ServerState::Running;
    let is_undecided = matches!(incoming.content, Content::Event(_));
    let Decision { event, verdicts, mut plan, delivery_state, reason, about } =
        match incoming.content {
            Content::Event(event) if key.is_some() && !leads => undecided(event),
            content => decide(state, content, whose, arrival),
        };
    for workload in &mut plan.workloads {
        workload.terms.report.extend(incoming.report.clone());
    }
    let rerun = event.as_deref().and_then(Rerun::asked);
    // Obeyed before anybody hears that it was: to obey it again does nothing.
    let obeyed = match rerun.filter(|_| leads && incoming.replay_of.is_none()) {
        Some(rerun) => rerun.carry_out(state.clone()).await,
        None => true,
    };
    if !obeyed && key.is_none() {
        return Err(CommandError::Unavailable.into());
    }
    let spilled = incoming.body.len() > state.limits.body_inline_bytes_max;
    let body = if spilled {
        state.store.write_body(id, incoming.body).await?
    } else {
        Body::Inline(incoming.body)
    };
    let delivery = Delivery {
        id,
        source: incoming.source.as_str().into(),
        external_id: incoming.external_id,
        event_kind: incoming.event_kind,
        action: event.as_ref().and_then(|event| event.action.as_deref().map(Into::into)),
        state: delivery_state,
        reason: reason.map(Into::into),
        verdicts,
        trust: event.as_ref().map_or_else(Trust::default, |event| event.trust.clone()),
        tenant_id: incoming.tenant_id,
        replay_of: incoming.replay_of,
        attempts: 1,
        received_at_ms: now.wall_ms,
        headers: incoming.headers,
        event: event.map(|event| event_json(&event)),
        traceparent: Some(traceparent.into()),
        approval: None,
        body,
    };
    let waiting = key.map(|key| (as_accepted(delivery.clone(), is_undecided), key));
    // One patience for all: what the driver does not use is there to store it undecided.
    let patience = || state.patience().saturating_sub(waited + since(state, now));
    let to_keep = to_keep(state);
    let mut reply = Err(CommandError::Unavailable);
    // What could not be obeyed is not dealt with: whoever adopts it obeys it first.
    if waiting.is_none() || (leads && obeyed) {
        let deliver =
            Deliver { delivery, plan, key: incoming.key, ended: Vec::new(), adopted: false, about };
        let command = Command::Deliver(Box::new(deliver));
        let spared = if waiting.is_some() { to_keep } else { Duration::ZERO };
        reply = state.handle.send_patiently(command, patience().saturating_sub(spared)).await;
    }
    // Whoever leads next decides; if this one has committed it after all, the key says so.
    if let (Err(CommandError::Unavailable | CommandError::Stopping), Some((delivery, key))) =
        (&reply, waiting)
    {
        let delivery_id = keep(state, &delivery, &key, patience().max(to_keep)).await?;
        reply = Ok(Reply::Delivered {
            delivery_id,
            duplicate: delivery_id != id,
            state: delivery.state,
            verdicts: delivery.verdicts,
            outlooks: Vec::new(),
        });
    }
    let stored = match &reply {
        Ok(Reply::Delivered { delivery_id, .. }) => *delivery_id == id,
        // It is not known whether it was stored: the sweep finds a body without a delivery.
        Err(CommandError::Unavailable | CommandError::Stopping) => true,
        Ok(_) | Err(_) => false,
    };
    if spilled && !stored {
        state.store.remove_body(id).await;
    }
    let reply = reply?;
    state.metrics.webhook_to_commit_seconds.observe(state.clock.seconds() - began);
    let Reply::Delivered {
        delivery_id,
        duplicate,
        state: mut delivery_state,
        mut verdicts,
        outlooks,
    } = reply
    else {
        return Err(ApiError::Internal("the driver answered something else".into()));
    };
    // What the first one became is in its row; a read that fails, or takes long, is no reason to refuse it.
    if duplicate
        && let reading = tokio::time::timeout(to_keep, state.store.delivery(delivery_id))
        && let Ok(Ok(Some(first))) = reading.await
    {
        (delivery_state, verdicts) = (first.head.state, first.head.verdicts);
        let rulebook = state.rulebook();
        verdicts.retain(|verdict| rulebook.knows_trigger(whose.limited_to, &verdict.trigger));
    }
    if delivery_state == DeliveryState::Planning {
        state.planning.ring();
    }
    let workloads: Vec<_> = verdicts.iter().filter_map(|verdict| verdict.workload_id).collect();
    tracing::info!(%delivery_id, source = incoming.source, duplicate, state = delivery_state.as_str(),
        workload_ids = ?workloads.iter().map(|id| id.0).collect::<Vec<_>>(), "accepted a delivery");
    Ok(DeliveryAccepted {
        delivery_id,
        duplicate,
        state: delivery_state.as_str().to_owned(),
        workloads,
        triggers: verdicts,
        outlooks: outlooks.into_iter().map(|(id, it)| show::outlook(it, Some(id))).collect(),
    })
}

/// The part of a sender's patience that is left for the last resort, to store it undecided.
pub(super) fn to_keep(state: &AppState) -> Duration {
    state.patience() / KEEP_PART
}

/// How long ago that was.
pub(super) fn since(state: &AppState, then: Now) -> Duration {
    let ms = state.clock.now().mono_ms - then.mono_ms;
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}

pub(super) fn event_json(event: &Event) -> Arc<str> {
    serde_json::to_string(event).unwrap_or_default().into()
}

/// A trace that begins with this delivery (W3C Trace Context, level 1): its id is the trace's.
pub(super) fn own_trace(id: DeliveryId) -> String {
    let trace = id.0.simple().to_string();
    format!("00-{trace}-{}-01", &trace[16..])
}

/// A header's value, if it is a trace context of version 00.
pub(super) fn traceparent(headers: &axum::http::HeaderMap) -> Option<String> {
    let text = headers.get("traceparent")?.to_str().ok()?;
    let parts: Vec<_> = text.split('-').collect();
    let hex = |part: &str, length| {
        part.len() == length
            && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
            && part.bytes().any(|byte| byte != b'0')
    };
    let good = parts.len() == 4
        && parts[0] == "00"
        && hex(parts[1], 32)
        && hex(parts[2], 16)
        && parts[3].len() == 2;
    good.then(|| text.to_owned())
}

/// The `Idempotency-Key` of a request.
///
/// # Errors
///
/// When it is there and cannot be a key.
pub(super) fn idempotency_key(
    headers: &axum::http::HeaderMap,
) -> Result<Option<Box<str>>, ApiError> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    check_key(value.to_str().unwrap_or_default()).map(Some)
}

/// A text as an idempotency key.
///
/// # Errors
///
/// When it cannot be one.
pub(super) fn check_key(text: &str) -> Result<Box<str>, ApiError> {
    if text.is_empty() || text.len() > 200 || !text.bytes().all(|it| (b' '..=b'~').contains(&it)) {
        let what = "an idempotency key is 1 to 200 visible ASCII characters";
        return Err(ApiError::BadRequest(what.into()));
    }
    Ok(text.into())
}

/// Whether a failure means that the store could not take it in time.
pub(super) fn is_unavailable(error: &ApiError) -> bool {
    matches!(
        error,
        ApiError::Command(CommandError::Unavailable | CommandError::Overloaded)
            | ApiError::Store(_)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_of_our_own_is_one_that_we_would_accept() {
        let id = DeliveryId(uuid_v7(crate::model::Now { mono_ms: 0, wall_ms: 5 }, &mut OsEntropy));
        let mut headers = axum::http::HeaderMap::new();
        headers.insert("traceparent", own_trace(id).parse().unwrap());
        assert_eq!(traceparent(&headers), Some(own_trace(id)));
        headers.insert("traceparent", "00-zz-1-01".parse().unwrap());
        assert_eq!(traceparent(&headers), None);
    }
}
