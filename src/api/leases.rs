//! What a runner says about one attempt, by the right of its lease.
//!
//! A lease is looked up by its token, and both halves and the caller must be its own: else 409
//! `lease-lost`, and nothing changes.

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::access::RunnerCaller;
use super::body::{Id, Json, Params};
use super::error::ApiError;
use super::runners::unexpected;
use super::show;
use super::state::AppState;
use super::wire::{
    CompleteRequest, CompleteResponse, JobContext, LeaseBody, LogAck, NONCE_HEADER, ReleaseRequest,
};
use crate::dispatch::{Command, LeaseOwner, Refusal, Reply, SessionCommand};
use crate::driver::CommandError;
use crate::executor::say_given;
use crate::log::LogError;
use crate::model::{AttemptOutcome, JobResult, LeaseRef, LeaseToken, Nonce};

const ERROR_CHARS_MAX: usize = 4_000;
const OUTPUTS_MAX: usize = 100;
const OUTPUT_BYTES_MAX: usize = 1 << 20;
/// The last of the real-time signals.
const SIGNAL_MAX: i32 = 64;

pub(super) fn reference(caller: RunnerCaller, token: LeaseToken, nonce: Nonce) -> LeaseRef {
    LeaseRef { token, nonce, runner_id: caller.0 }
}

/// The owner of a live lease, by the view that is published after each commit.
pub(super) fn live(state: &AppState, lease: LeaseRef) -> Result<LeaseOwner, ApiError> {
    let views = state.handle.views();
    let lost = || ApiError::Command(Refusal::LeaseLost(lease.token).into());
    match views.lease(lease) {
        Some(owner) => Ok(owner),
        None if views.epoch() == 0 => Err(CommandError::Unavailable.into()),
        None => Err(lost()),
    }
}

/// The unguessable half of a lease, where there is no body that has it.
pub(super) fn nonce_of(headers: &HeaderMap) -> Result<Nonce, ApiError> {
    headers
        .get(NONCE_HEADER)
        .and_then(|value| u64::from_str_radix(value.to_str().ok()?, 16).ok())
        .map(Nonce)
        .ok_or_else(|| ApiError::BadRequest(format!("the header `{NONCE_HEADER}` is missing")))
}

/// How a runner begins.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StartParams {
    /// It knows of sessions, and says by itself what their agents have dealt with.
    #[serde(default)]
    talks: bool,
}

/// `POST /leases/{token}/start?talks=`
pub(super) async fn start(
    caller: RunnerCaller,
    State(state): State<AppState>,
    Id(token): Id<LeaseToken>,
    Params(StartParams { talks }): Params<StartParams>,
    Json(request): Json<LeaseBody>,
) -> Result<axum::Json<JobContext>, ApiError> {
    let lease = reference(caller, token, request.nonce);
    let command = match talks {
        true => Command::Session(SessionCommand::Start(lease)),
        false => Command::Start(lease),
    };
    let reply = state.handle.send(command).await?;
    let Reply::Started { job_id, run, attempt, .. } = reply else { return Err(unexpected(&reply)) };
    let context =
        state.store.job_context(job_id).await?.ok_or_else(|| ApiError::not_found("job", job_id))?;
    if !talks {
        say_given(&state.handle, lease, &context).await?;
    }
    let mut context = show::context(context, run, attempt)?;
    if let Some(session) = &mut context.session {
        session.silence_ms = Some(state.sessions.session_silence_ms);
        session.end_grace_ms = Some(state.sessions.session_end_grace_ms);
    }
    Ok(axum::Json(context))
}

/// `GET /leases/{token}/event`
pub(super) async fn event(
    caller: RunnerCaller,
    State(state): State<AppState>,
    Id(token): Id<LeaseToken>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let owner = live(&state, reference(caller, token, nonce_of(&headers)?))?;
    let context = state
        .store
        .job_context(owner.job_id)
        .await?
        .ok_or_else(|| ApiError::not_found("job", owner.job_id))?;
    let delivery_id = context
        .workload
        .delivery_id
        .ok_or_else(|| ApiError::not_found("event of job", owner.job_id))?;
    let body = state
        .store
        .delivery_body(delivery_id)
        .await?
        .ok_or_else(|| ApiError::not_found("body of delivery", delivery_id))?;
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], Body::from(body)).into_response())
}

/// Where a piece of a log belongs, and by which right.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LogParams {
    offset: u64,
    nonce: Nonce,
}

/// `POST /leases/{token}/logs`
pub(super) async fn logs(
    caller: RunnerCaller,
    State(state): State<AppState>,
    Id(token): Id<LeaseToken>,
    Params(params): Params<LogParams>,
    bytes: Bytes,
) -> Result<axum::Json<LogAck>, ApiError> {
    let owner = live(&state, reference(caller, token, params.nonce))?;
    match state.logs.append(owner.job_id, owner.attempt, params.offset, bytes).await {
        Ok(appended) => Ok(axum::Json(LogAck {
            next_offset: appended.next_offset,
            truncated: appended.truncated,
        })),
        // Bytes before it are missing: an answer, not an error, says from where.
        Err(LogError::Gap { next_offset, .. }) => {
            Ok(axum::Json(LogAck { next_offset, truncated: false }))
        }
        Err(LogError::Sealed { .. }) => Err(ApiError::Command(Refusal::LeaseLost(token).into())),
        Err(error) => {
            tracing::warn!(job_id = %owner.job_id, %error, "failed to keep a piece of a log");
            Err(CommandError::Unavailable.into())
        }
    }
}

/// `POST /leases/{token}/complete`
pub(super) async fn complete(
    caller: RunnerCaller,
    State(state): State<AppState>,
    Id(token): Id<LeaseToken>,
    Json(request): Json<CompleteRequest>,
) -> Result<axum::Json<CompleteResponse>, ApiError> {
    let lease = reference(caller, token, request.nonce);
    complete_one(&state, lease, request).await.map(axum::Json)
}

/// An attempt ended.
pub(super) async fn complete_one(
    state: &AppState,
    lease: LeaseRef,
    request: CompleteRequest,
) -> Result<CompleteResponse, ApiError> {
    let result = check(request)?;
    let outcome = result.outcome;
    match state.handle.send(Command::Complete { lease, result: Box::new(result) }).await {
        Ok(Reply::Completed { job_id, state: job_state }) => {
            Ok(CompleteResponse { job_id, state: job_state })
        }
        Ok(other) => Err(unexpected(&other)),
        Err(CommandError::Refused(Refusal::LeaseLost(_))) => {
            answered_before(state, lease, outcome).await
        }
        Err(error) => Err(error.into()),
    }
}

/// The lease is gone: when this caller's completion ended it, it is told the same again.
async fn answered_before(
    state: &AppState,
    lease: LeaseRef,
    outcome: AttemptOutcome,
) -> Result<CompleteResponse, ApiError> {
    let lost = || ApiError::Command(Refusal::LeaseLost(lease.token).into());
    let attempt = state.store.attempt_by_token(lease.token).await?.ok_or_else(lost)?;
    // Any bad end of what was being cancelled is kept as cancelled.
    let as_cancelled =
        attempt.outcome == AttemptOutcome::Cancelled && outcome != AttemptOutcome::Completed;
    let own = attempt.nonce == lease.nonce
        && attempt.runner_id == lease.runner_id
        && (attempt.outcome == outcome || as_cancelled);
    if !own {
        return Err(lost());
    }
    Ok(CompleteResponse { job_id: attempt.job_id, state: attempt.job_state })
}

/// `POST /leases/{token}/release`
pub(super) async fn release(
    caller: RunnerCaller,
    State(state): State<AppState>,
    Id(token): Id<LeaseToken>,
    Json(request): Json<ReleaseRequest>,
) -> Result<StatusCode, ApiError> {
    let lease = reference(caller, token, request.nonce);
    let why = request.error.map(|error| said(&error).into());
    state.handle.send(Command::Release { lease, reason: request.reason, why }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A NUL cannot be stored as text everywhere; it says nothing to people either.
fn clean(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// What is said of an error, as it is kept.
pub(super) fn said(error: &str) -> String {
    clean(error).chars().take(ERROR_CHARS_MAX).collect()
}

fn check(request: CompleteRequest) -> Result<JobResult, ApiError> {
    let bytes: usize = request.outputs.iter().map(|(name, value)| name.len() + value.len()).sum();
    if request.outputs.len() > OUTPUTS_MAX || bytes > OUTPUT_BYTES_MAX {
        let text = format!("at most {OUTPUTS_MAX} outputs of {OUTPUT_BYTES_MAX} bytes together");
        return Err(ApiError::BadRequest(text));
    }
    let signal_fits = |signal| request.exit_code.is_none() && (1..=SIGNAL_MAX).contains(&signal);
    if !request.signal.is_none_or(signal_fits) {
        let text = format!("`signal` is 1 to {SIGNAL_MAX}, and stands in the place of `exit_code`");
        return Err(ApiError::BadRequest(text));
    }
    let error = request.error.as_deref().map(said);
    let outputs =
        request.outputs.into_iter().map(|(name, value)| (clean(&name), clean(&value))).collect();
    let CompleteRequest { outcome, exit_code, signal, .. } = request;
    Ok(JobResult { outcome, exit_code, signal, error, outputs })
}
