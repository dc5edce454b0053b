//! What backends of executors say of attempts that they have: they know both halves of the lease, and nothing
//! else of this server.

use axum::extract::State;
use axum::http::StatusCode;

use super::access::CallbackCaller;
use super::body::{Id, Json};
use super::error::ApiError;
use super::leases::{complete_one, said};
use super::show;
use super::state::AppState;
use super::wire::{CallbackRequest, CallbackStatus, CompleteRequest, JobContext};
use crate::dispatch::{Command, Refusal};
use crate::driver::CommandError;
use crate::executor::{ExecutionResult, ExecutionStatus, say_given};
use crate::model::{AttemptOutcome, LeaseRef, LeaseToken, Nonce, RequeueReason};

/// `POST /callbacks/{token}`
pub(super) async fn call_back(
    caller: CallbackCaller,
    State(state): State<AppState>,
    Id(token): Id<LeaseToken>,
    Json(request): Json<CallbackRequest>,
) -> Result<StatusCode, ApiError> {
    let nonce = caller.0;
    let lease = whose(&state, token, nonce).await?;
    let is_live = state.handle.views().lease(lease).is_some();
    if is_live && !state.executors.heard(token, request.log).await {
        // It was taken over a moment ago, and nobody looks after it yet.
        return Err(CommandError::Unavailable.into());
    }
    let (outcome, status) = match request.status {
        CallbackStatus::Running if is_live => return Ok(StatusCode::NO_CONTENT),
        CallbackStatus::Running => return Err(lost(token)),
        CallbackStatus::Retry => {
            let why = request.error.map(|error| said(&error).into());
            let command = Command::Release { lease, reason: RequeueReason::Evicted, why };
            state.handle.send(command).await?;
            let result = ExecutionResult::retry("given back by a callback");
            state.executors.ended(token, result);
            return Ok(StatusCode::NO_CONTENT);
        }
        CallbackStatus::Completed => (AttemptOutcome::Completed, ExecutionStatus::Completed),
        CallbackStatus::Failed => (AttemptOutcome::Failed, ExecutionStatus::Failed),
        CallbackStatus::Cancelled => (AttemptOutcome::Cancelled, ExecutionStatus::Cancelled),
    };
    let CallbackRequest { outputs, error, exit_code, .. } = request;
    let result = ExecutionResult { status, outputs, error, exit_code };
    let ExecutionResult { outputs, error, exit_code, .. } = result.clone();
    let end = CompleteRequest { nonce, outcome, exit_code, signal: None, error, outputs };
    complete_one(&state, lease, end).await?;
    state.executors.ended(token, result);
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /leases/{token}/context`: what is to be done, as it is now.
pub(super) async fn context(
    caller: CallbackCaller,
    State(state): State<AppState>,
    Id(token): Id<LeaseToken>,
) -> Result<axum::Json<JobContext>, ApiError> {
    let lease = whose(&state, token, caller.0).await?;
    let owner = state.handle.views().lease(lease).ok_or_else(|| lost(token))?;
    let context = state.store.job_context(owner.job_id).await?;
    let context = context.ok_or_else(|| ApiError::not_found("job", owner.job_id))?;
    say_given(&state.handle, lease, &context).await?;
    let run = context.workload.run;
    show::context(context, run, owner.attempt).map(axum::Json)
}

/// Whose lease that is, also after its end: the same end said twice is answered the same.
async fn whose(state: &AppState, token: LeaseToken, nonce: Nonce) -> Result<LeaseRef, ApiError> {
    let views = state.handle.views();
    if let Some(owner) = views.lease_of(token, nonce) {
        return Ok(LeaseRef { token, nonce, runner_id: owner.runner_id });
    }
    if views.epoch() == 0 {
        return Err(CommandError::Unavailable.into());
    }
    let ended = state.store.attempt_by_token(token).await?.filter(|it| it.nonce == nonce);
    let ended = ended.ok_or_else(|| lost(token))?;
    Ok(LeaseRef { token, nonce, runner_id: ended.runner_id })
}

fn lost(token: LeaseToken) -> ApiError {
    ApiError::Command(Refusal::LeaseLost(token).into())
}
