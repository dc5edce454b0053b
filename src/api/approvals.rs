//! Held deliveries: approved or denied by an operator.

use axum::extract::State;

use super::access::{Caller, May, Operate};
use super::body::{Id, JsonOrEmpty};
use super::error::ApiError;
use super::pauses::reason;
use super::show;
use super::state::AppState;
use super::wire::{AnswerRequest, DeliveryView};
use crate::dispatch::{Command, HeldAnswer, Reply};
use crate::model::{DeliveryId, DeliveryState, TenantId};

/// `POST /deliveries/{id}/approve`: what it starts is started, at the commit of the delivery and no other.
pub(super) async fn approve(
    caller: May<Operate>,
    State(state): State<AppState>,
    Id(id): Id<DeliveryId>,
    JsonOrEmpty(request): JsonOrEmpty<AnswerRequest>,
) -> Result<axum::Json<DeliveryView>, ApiError> {
    let view = answer(&caller, &state, id, request, true).await?;
    state.planning.ring();
    Ok(view)
}

/// `POST /deliveries/{id}/deny`: it starts nothing.
pub(super) async fn deny(
    caller: May<Operate>,
    State(state): State<AppState>,
    Id(id): Id<DeliveryId>,
    JsonOrEmpty(request): JsonOrEmpty<AnswerRequest>,
) -> Result<axum::Json<DeliveryView>, ApiError> {
    answer(&caller, &state, id, request, false).await
}

async fn answer(
    caller: &Caller,
    state: &AppState,
    id: DeliveryId,
    request: AnswerRequest,
    approved: bool,
) -> Result<axum::Json<DeliveryView>, ApiError> {
    let row = state.delivery_of(caller, id).await?;
    if row.head.state != DeliveryState::Held {
        let stands = row.head.state.as_str();
        let text = format!("delivery {id} is {stands}: only a held one can be approved or denied");
        return Err(ApiError::Conflict(text));
    }
    let limited_to = caller.limited_to();
    if let Some(tenant) = limited_to {
        must_be_alone(state, tenant, id).await?;
    }
    let command = Command::AnswerHeld(Box::new(HeldAnswer {
        delivery_id: id,
        approved,
        sha: request.sha.map(Into::into),
        author: caller.author(),
        reason: reason(request.reason)?,
        limited_to,
    }));
    match state.handle.send(command).await? {
        Reply::Done => {
            let row = state.delivery_of(caller, id).await?;
            Ok(axum::Json(show::delivery(row.head)))
        }
        other => Err(ApiError::Internal(format!("the driver answered {other:?}"))),
    }
}

/// Refuses who is limited to a tenant where the delivery waits to start work of another one too: a delivery is held as a
/// whole, so one word would count for both.
async fn must_be_alone(state: &AppState, tenant: TenantId, id: DeliveryId) -> Result<(), ApiError> {
    let row = state.store.delivery(id).await?;
    let row = row.ok_or_else(|| ApiError::not_found("delivery", id))?;
    let rulebook = state.rulebook();
    let is_foreign = |trigger: &String| {
        let own = rulebook.trigger_tenants.get(trigger).copied();
        own.unwrap_or(row.head.tenant_id) != tenant
    };
    let wants = row.head.verdicts.iter().filter(|verdict| verdict.matched);
    match wants.map(|verdict| &verdict.trigger).any(is_foreign) {
        true => {
            let what = "what would start work of other tenants too: ask an operator who is limited to no tenant";
            Err(ApiError::Forbidden(what))
        }
        false => Ok(()),
    }
}
