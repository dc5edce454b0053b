//! From an event to a stored delivery: the one way in for webhooks, events of one's own, runs by
//! hand and replays.
//!
//! ```text
//! Event -> evaluate (guarded against panics) -> spill a large body -> one command -> commit -> answer
//! ```
//!
//! All of it runs in a task of its own: a sender that hangs up changes nothing. Where this instance does not
//! lead, or cannot decide now, a webhook's event is stored undecided: see [`super::adopt`].

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;

use super::error::ApiError;
use super::show;
use super::state::{AppState, Rulebook};
use super::undecided::{as_accepted, keep, undecided};
use super::wire::DeliveryAccepted;
use crate::clock::{OsEntropy, uuid_v7};
use crate::dispatch::{Command, Deliver, Reply};
use crate::driver::{CommandError, ServerState};
use crate::event::Event;
use crate::intake::{Arrival, Evaluation, Outcome, evaluate};
use crate::model::{
    Body, Delivery, DeliveryId, DeliveryState, Now, Plan, TenantId, TriggerVerdict, Trust,
    UniqueKey,
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
    /// How long its sender was kept waiting before, which is of the same patience.
    pub(super) waited: Duration,
}

/// What a delivery says.
#[derive(Debug)]
pub(super) enum Content {
    /// An event for the triggers.
    Event(Box<Event>),
    /// An event, with what it starts already decided.
    Planned(Box<Event>, Plan),
    /// Nothing to start, and why.
    Nothing(String),
    /// It could not be understood.
    Broken(String),
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
    let arrival =
        Arrival { at_ms: now.wall_ms, traceparent: Some(&traceparent), payload: Some(&payload) };
    let key = incoming.key.clone().filter(|_| incoming.can_wait && state.store.is_shared());
    let leads = state.handle.views().state() == ServerState::Running;
    let is_undecided = matches!(incoming.content, Content::Event(_));
    let Decision { event, verdicts, plan, delivery_state, reason } = match incoming.content {
        Content::Event(event) if key.is_some() && !leads => undecided(event),
        content => decide(state, content, whose, arrival),
    };
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
        body,
    };
    let waiting = key.map(|key| (as_accepted(delivery.clone(), is_undecided), key));
    // One patience for all: what the driver does not use is there to store it undecided.
    let patience = || state.patience().saturating_sub(waited + since(state, now));
    let to_keep = to_keep(state);
    let mut reply = Err(CommandError::Unavailable);
    if leads || waiting.is_none() {
        let deliver =
            Deliver { delivery, plan, key: incoming.key, ended: Vec::new(), adopted: false };
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

/// What becomes of a delivery.
pub(super) struct Decision {
    pub(super) event: Option<Box<Event>>,
    pub(super) verdicts: Vec<TriggerVerdict>,
    pub(super) plan: Plan,
    pub(super) delivery_state: DeliveryState,
    pub(super) reason: Option<String>,
}

/// Whose a delivery is, and whose triggers it may reach.
#[derive(Clone, Copy)]
pub(super) struct Whose {
    pub(super) tenant_id: TenantId,
    pub(super) limited_to: Option<TenantId>,
}

/// Asks the triggers what a delivery starts.
pub(super) fn decide(
    state: &AppState,
    content: Content,
    whose: Whose,
    arrival: Arrival<'_>,
) -> Decision {
    let nothing = |event, delivery_state, reason| Decision {
        event,
        verdicts: Vec::new(),
        plan: Plan::default(),
        delivery_state,
        reason: Some(reason),
    };
    let rulebook = state.rulebook();
    match content {
        Content::Nothing(why) => nothing(None, DeliveryState::Ignored, why),
        Content::Broken(why) => nothing(None, DeliveryState::Failed, why),
        Content::Planned(event, mut plan) => {
            charge(&rulebook, whose, &mut plan);
            Decision {
                event: Some(event),
                verdicts: plan.workloads.iter().map(by_hand).collect(),
                plan,
                delivery_state: DeliveryState::Dispatched,
                reason: None,
            }
        }
        Content::Event(event) => {
            let evaluated = std::panic::catch_unwind(AssertUnwindSafe(|| {
                if let Some(probe) = &state.evaluate_probe {
                    probe(&event);
                }
                evaluate(&event, &rulebook.rules, arrival)
            }));
            let Ok(Evaluation { mut verdicts, outcome, left_out }) = evaluated else {
                tracing::error!(event = event.kind.as_str(), "a fault while evaluating an event");
                let why = "a fault in the server while its triggers were asked; replay it once \
                           that is mended";
                return nothing(Some(event), DeliveryState::Failed, why.to_owned());
            };
            let all = verdicts.len();
            verdicts.retain(|verdict| rulebook.knows_trigger(whose.limited_to, &verdict.trigger));
            let nobodys = (verdicts.len() < all).then_some("no trigger of its tenant wants it");
            let (plan, delivery_state, reason) = match outcome {
                Outcome::Plan(mut plan) => {
                    charge(&rulebook, whose, &mut plan);
                    match plan.workloads.is_empty() {
                        false => (plan, DeliveryState::Dispatched, left_out),
                        true => (plan, DeliveryState::Ignored, nobodys.map(str::to_owned)),
                    }
                }
                Outcome::Ignored(why) => {
                    let why = nobodys.map_or(why, str::to_owned);
                    (Plan::default(), DeliveryState::Ignored, Some(why))
                }
                Outcome::Failed(why) => {
                    tracing::warn!(
                        event = event.kind.as_str(),
                        why,
                        "a workflow cannot be planned"
                    );
                    (Plan::default(), DeliveryState::Failed, Some(why))
                }
            };
            Decision { event: Some(event), verdicts, plan, delivery_state, reason }
        }
    }
}

/// Says whose each workload is: its trigger's tenant's, or the delivery's. Triggers that the
/// delivery may not reach start nothing.
fn charge(rulebook: &Rulebook, whose: Whose, plan: &mut Plan) {
    plan.workloads.retain(|it| rulebook.knows_trigger(whose.limited_to, &it.trigger));
    for workload in &mut plan.workloads {
        let own = rulebook.trigger_tenants.get(&workload.trigger);
        workload.tenant_id = own.copied().unwrap_or(whose.tenant_id);
    }
}

fn by_hand(workload: &crate::model::PlannedWorkload) -> TriggerVerdict {
    TriggerVerdict {
        trigger: workload.trigger.clone(),
        matched: true,
        why: format!("{} was started by hand", workload.name),
        workload_id: None,
    }
}

fn event_json(event: &Event) -> Arc<str> {
    serde_json::to_string(event).unwrap_or_default().into()
}

/// A trace that begins with this delivery (W3C Trace Context, level 1): its id is the trace's.
fn own_trace(id: DeliveryId) -> String {
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
