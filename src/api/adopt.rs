//! Deliveries that were accepted by an instance that does not lead, or while none did: the leader takes
//! them up and decides them as its own.
//!
//! ```text
//! rung, now and then, or just leading -> take up (counts it, committed) -> evaluate -> command -> commit
//! ```
//!
//! How often one is taken up is counted before it is evaluated, so that one which ends the process every
//! time is given up as failed, and can be replayed once that is mended.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::decide::{Content, Decision, Whose, decide};
use super::rerun::Rerun;
use super::state::AppState;
use crate::dispatch::{Command, Deliver, Reply};
use crate::driver::{CommandError, ServerState};
use crate::event::Event;
use crate::intake::{Arrival, Facts};
use crate::model::{Body, Delivery, DeliveryState, Plan, WorkloadId};
use crate::store::{DeliveryDetail, News, StoreError};
use crate::webhook::stored_json;

/// Deliveries that are decided together.
const TAKEN_AT_ONCE: u32 = 100;
/// One that was taken up so often ended the process, or lost it the seat, each time. Processes end for
/// other reasons too, which nobody can tell from its own: so it is more than a few.
pub(super) const ATTEMPTS_MAX: u32 = 10;
/// How long a bell that could not be had is waited for; meanwhile it is looked now and then.
const BELL_AGAIN: Duration = Duration::from_secs(1);
/// How long a driver that is away is waited for before the same is sent again.
const SEND_AGAIN: Duration = Duration::from_millis(50);

/// Adopts what others accepted, for as long as the server runs. Ends at once where there are no others.
pub async fn adopt(state: AppState, look_every: Duration, stopping: CancellationToken) {
    if !state.store.is_shared() {
        return;
    }
    let news = Notify::new();
    tokio::select! {
        () = stopping.cancelled() => {}
        () = listen(&state, &news) => {}
        () = look(&state, &news, look_every) => {}
    }
}

/// Passes on that there is something to take up, or to know of the seat.
async fn listen(state: &AppState, news: &Notify) {
    loop {
        match state.store.news_bell().await {
            Ok(mut bell) => {
                // What was accepted before nobody was told of.
                news.notify_one();
                while let Ok(told) = bell.rung().await {
                    if told != News::Seat {
                        news.notify_one();
                    }
                    if told != News::Accepted {
                        state.handle.views().look_at_seat();
                    }
                }
            }
            Err(error) => tracing::debug!(%error, "nobody tells of anything new now"),
        }
        tokio::time::sleep(BELL_AGAIN).await;
    }
}

async fn look(state: &AppState, news: &Notify, look_every: Duration) {
    let mut server_state = state.handle.views().watch_state();
    loop {
        while is_leading(state) {
            match take_up(state).await {
                // There may be more; what cannot be decided now is looked at later.
                Ok(decided) if decided > 0 => {}
                Ok(_) => break,
                Err(error) => {
                    tracing::warn!(%error, "failed to take up accepted deliveries");
                    break;
                }
            }
        }
        tokio::select! {
            () = news.notified() => {}
            _ = server_state.changed() => {}
            () = tokio::time::sleep(look_every) => {}
        }
    }
}

pub(super) fn is_leading(state: &AppState) -> bool {
    let views = state.handle.views();
    views.state() == ServerState::Running && views.may_speak(state.clock.now())
}

/// Decides the oldest that wait; how many it could.
async fn take_up(state: &AppState) -> Result<usize, StoreError> {
    let epoch = state.handle.views().epoch();
    let taken = state.store.take_up(TAKEN_AT_ONCE, epoch).await?;
    let decided = join_all(taken.into_iter().map(|row| one(state, row, epoch))).await;
    Ok(decided.into_iter().filter(|decided| *decided).count())
}

/// Decides one of them, for as long as this instance leads; whether it did.
async fn one(state: &AppState, row: DeliveryDetail, epoch: i64) -> bool {
    let id = row.head.id;
    // Read only where a workflow looks at it.
    let body = match state.rulebook().rules.reads_payloads() {
        true => match state.store.delivery_body(id).await {
            Ok(body) => body,
            Err(error) => {
                // It is taken up again: without its body it would be decided otherwise.
                tracing::warn!(delivery_id = %id, %error, "failed to read a delivery's body");
                return false;
            }
        },
        false => None,
    };
    let payload = || stored_json(body.as_deref()?);
    let event = row.event.as_deref().and_then(|text| serde_json::from_str::<Event>(text).ok());
    let rerun = event.as_ref().and_then(Rerun::asked).filter(|_| row.head.replay_of.is_none());
    // Before the delivery is dealt with: to obey it again does nothing.
    if let Some(rerun) = rerun
        && !rerun.carry_out(state.clone()).await
    {
        return false;
    }
    let deliver = decided(state, row, &payload);
    let Some((delivery_state, workloads)) = send(state, epoch, deliver).await else { return false };
    tracing::info!(delivery_id = %id, state = delivery_state.as_str(),
        workload_ids = ?workloads.iter().map(|id| id.0).collect::<Vec<_>>(), "adopted a delivery");
    state.metrics.instances.adopted_deliveries.inc();
    if delivery_state == DeliveryState::Planning {
        state.planning.ring();
    }
    true
}

/// Has what became of a stored delivery committed, for as long as this instance leads at that epoch: where it stands
/// then, and what it started.
pub(super) async fn send(
    state: &AppState,
    epoch: i64,
    deliver: Deliver,
) -> Option<(DeliveryState, Vec<WorkloadId>)> {
    let id = deliver.delivery.id;
    while is_leading(state) && state.handle.views().epoch() == epoch {
        let command = Command::Deliver(Box::new(deliver.clone()));
        match state.handle.send(command).await {
            Ok(Reply::Delivered { state: delivery_state, verdicts, .. }) => {
                let workloads = verdicts.iter().filter_map(|verdict| verdict.workload_id);
                return Some((delivery_state, workloads.collect()));
            }
            Ok(_) | Err(CommandError::Unavailable | CommandError::Overloaded) => {
                tokio::time::sleep(SEND_AGAIN).await;
            }
            Err(CommandError::Stopping) => return None,
            // Somebody has decided it already.
            Err(CommandError::Refused(refusal)) => {
                tracing::warn!(delivery_id = %id, error = %refusal, "failed to decide a delivery");
                return None;
            }
        }
    }
    None
}

/// What becomes of an accepted delivery.
fn decided(
    state: &AppState,
    row: DeliveryDetail,
    payload: &dyn Fn() -> Option<serde_json::Value>,
) -> Deliver {
    let (head, event) = (&row.head, &row.event);
    let traceparent = head.traceparent.clone();
    let arrival = Arrival {
        at_ms: head.received_at_ms,
        traceparent: traceparent.as_deref(),
        payload: Some(payload),
        facts: Facts::None,
        standing: None,
        approved_by: None,
    };
    let whose = Whose { tenant_id: head.tenant_id, limited_to: None };
    let read = event.as_deref().map(serde_json::from_str::<Event>);
    let content = match read {
        _ if head.attempts > ATTEMPTS_MAX => Content::Broken(format!(
            "given up after {ATTEMPTS_MAX} times: the server ended each time"
        )),
        Some(Ok(event)) => Content::Event(Box::new(event)),
        Some(Err(error)) => Content::Broken(format!("its event cannot be read: {error}")),
        None => Content::Broken("it has no event".to_owned()),
    };
    let Decision { verdicts, plan, delivery_state, reason, about, .. } =
        decide(state, content, whose, arrival);
    debug_assert!(delivery_state != DeliveryState::Failed || plan == Plan::default());
    let deliver = again(row, delivery_state, reason.map(Into::into));
    Deliver { delivery: Delivery { verdicts, ..deliver.delivery }, plan, about, ..deliver }
}

/// A stored delivery as it stands from now on, without verdicts and without work.
pub(super) fn again(
    row: DeliveryDetail,
    state: DeliveryState,
    reason: Option<Box<str>>,
) -> Deliver {
    let DeliveryDetail { head, headers, event, has_body: _ } = row;
    let delivery = Delivery {
        id: head.id,
        source: head.source,
        external_id: head.external_id,
        event_kind: head.event_kind,
        action: head.action,
        state,
        reason,
        verdicts: Vec::new(),
        trust: head.trust,
        tenant_id: head.tenant_id,
        replay_of: head.replay_of,
        attempts: head.attempts,
        received_at_ms: head.received_at_ms,
        headers,
        event,
        traceparent: head.traceparent,
        approval: head.approval,
        // It stays where it is.
        body: Body::Inline(bytes::Bytes::new()),
    };
    Deliver {
        delivery,
        plan: Plan::default(),
        key: None,
        ended: Vec::new(),
        adopted: true,
        about: None,
    }
}
