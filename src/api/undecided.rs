//! Deliveries that are stored without being decided, for whoever leads next: see [`super::adopt`].

use std::time::Duration;

use super::decide::Decision;
use super::state::AppState;
use crate::event::Event;
use crate::model::{Delivery, DeliveryId, DeliveryState, Plan, UniqueKey};
use crate::store::StoreError;

/// How long it is waited before the same delivery is stored again.
const KEEP_AGAIN: Duration = Duration::from_millis(50);

/// Stores a delivery as it is, also over a restart of the database that is shorter than `patience`: its key
/// says whether it was stored before, also by a try that was not waited for.
pub(super) async fn keep(
    state: &AppState,
    delivery: &Delivery,
    key: &UniqueKey,
    patience: Duration,
) -> Result<DeliveryId, StoreError> {
    let mut error = None;
    let keeping = async {
        loop {
            match state.store.accept(delivery, key).await {
                Err(again @ StoreError::Unavailable { .. }) => error = Some(again),
                other => return other,
            }
            tokio::time::sleep(KEEP_AGAIN).await;
        }
    };
    // Who does not answer at all costs no more patience than who refuses.
    let kept = tokio::time::timeout(patience, keeping).await;
    kept.unwrap_or_else(|_| Err(error.unwrap_or_else(|| no_answer(patience))))
}

/// Not even an error came.
fn no_answer(patience: Duration) -> StoreError {
    let what = format!("no answer within {} ms", patience.as_millis());
    StoreError::Unavailable { statement: "delivery_accept", what }
}

/// An event that somebody else decides of.
pub(super) fn undecided(event: Box<Event>) -> Decision {
    Decision {
        event: Some(event),
        verdicts: Vec::new(),
        plan: Plan::default(),
        delivery_state: DeliveryState::Accepted,
        reason: None,
        about: None,
    }
}

/// A delivery as it is stored when nobody here can decide of it; one without an event is decided.
pub(super) fn as_accepted(delivery: Delivery, is_undecided: bool) -> Delivery {
    if !is_undecided {
        return delivery;
    }
    Delivery {
        state: DeliveryState::Accepted,
        reason: None,
        verdicts: Vec::new(),
        attempts: 0,
        ..delivery
    }
}
