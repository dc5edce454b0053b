//! What a time that has come becomes: a delivery as those of webhooks and of the API are.

use super::super::accept::{event_json, own_trace};
use super::super::decide::{Content, Decision, Whose, decide};
use super::super::state::AppState;
use crate::clock::{OsEntropy, uuid_v7};
use crate::dispatch::{Deliver, Reply};
use crate::event::clock::{KIND, SOURCE, Tick};
use crate::intake::Arrival;
use crate::model::{Body, Delivery, DeliveryId, KeyScope, TenantId, Trust, UniqueKey};
use crate::trigger::Timed;
use crate::trigger::schedule::dry::utc;

/// The delivery of a time, with what its trigger starts.
pub(super) fn deliver(
    state: &AppState,
    trigger: &str,
    timed: &Timed,
    tenant_id: TenantId,
    at_ms: i64,
) -> Deliver {
    let now = state.clock.now();
    let id = DeliveryId(uuid_v7(now, &mut OsEntropy));
    let (traceparent, time) = (own_trace(id), utc(at_ms));
    let schedule = &timed.schedule;
    let tick = Tick { trigger, cron: schedule.text(), zone: schedule.zone(), time: &time };
    let said = serde_json::Value::Object(tick.payload());
    let payload = || Some(said.clone());
    let arrival = Arrival {
        at_ms: now.wall_ms,
        traceparent: Some(&traceparent),
        payload: Some(&payload),
        ..Arrival::default()
    };
    let whose = Whose { tenant_id, limited_to: None };
    let content = Content::Event(Box::new(tick.event()));
    let Decision { event, verdicts, plan, delivery_state, reason, about } =
        decide(state, content, whose, arrival);
    let delivery = Delivery {
        id,
        source: SOURCE.into(),
        external_id: Some(format!("{} {time}", timed.name).into()),
        event_kind: KIND.into(),
        action: None,
        state: delivery_state,
        reason: reason.map(Into::into),
        verdicts,
        trust: event.as_ref().map_or_else(Trust::default, |event| event.trust.clone()),
        tenant_id,
        replay_of: None,
        approval: None,
        attempts: 1,
        received_at_ms: now.wall_ms,
        headers: "{}".into(),
        event: event.map(|event| event_json(&event)),
        traceparent: Some(traceparent.into()),
        body: Body::Inline(said.to_string().into_bytes().into()),
    };
    let key =
        UniqueKey { scope: KeyScope::Schedule, key: format!("{}/{at_ms}", timed.name).into() };
    Deliver { delivery, plan, key: Some(key), ended: Vec::new(), adopted: false, about }
}

/// Says what became of a time.
pub(super) fn tell(schedule: &str, at_ms: i64, was_missed: bool, reply: &Reply) {
    let Reply::Delivered { delivery_id, duplicate, state, verdicts, .. } = reply else { return };
    let workloads: Vec<_> =
        verdicts.iter().filter_map(|it| it.workload_id).map(|it| it.0).collect();
    let (time, state) = (utc(at_ms), state.as_str());
    tracing::info!(schedule, time, was_missed, duplicate, %delivery_id, state,
        workload_ids = ?workloads, "a time of a schedule has come");
}
