//! Workloads: submitted, listed, cancelled, retried.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};

use super::accept::{idempotency_key, traceparent};
use super::access::{May, Operate, Read, Submit};
use super::body::{Id, Json, JsonOrEmpty, Params};
use super::error::ApiError;
use super::list::PageParams;
use super::runners::unexpected;
use super::state::AppState;
use super::wire::{
    List, ReasonRequest, SubmitRequest, SubmitResponse, WorkloadDetail, WorkloadView,
};
use super::{show, submission};
use crate::dispatch::{Command, Ended, Refusal, Reply};
use crate::driver::CommandError;
use crate::model::{WorkloadId, WorkloadState};
use crate::store::WorkloadPage;

/// How often a command is sent again because a workload ended meanwhile.
const LOOK_UPS_MAX: u32 = 4;

/// `POST /workloads`
pub(super) async fn submit(
    caller: May<Submit>,
    State(state): State<AppState>,
    headers: HeaderMap,
    Json(request): Json<SubmitRequest>,
) -> Result<(StatusCode, axum::Json<SubmitResponse>), ApiError> {
    let (trace, now) = (traceparent(&headers), state.clock.now());
    let workload = submission::plan(&state, &caller, request, trace.as_deref(), now.wall_ms)?;
    // Nobody waits for what he may not see: its end would tell him of it.
    for needed in workload.jobs.iter().flat_map(|job| &job.terms.needs_workloads) {
        state.must_see_workload(&caller, *needed).await?;
    }
    let workload = Box::new(workload);
    let idempotency_key = idempotency_key(&headers)?.map(|key| caller.own_key(key));
    let command = move |ended| Command::Submit {
        workload: workload.clone(),
        idempotency_key: idempotency_key.clone(),
        ended,
    };
    // A client that hangs up does not undo what it asked for.
    let task = tokio::spawn(with_ends(state, command));
    let reply = task.await.map_err(|error| ApiError::Internal(error.to_string()))??;
    let Reply::Submitted { workload_id, duplicate } = reply else { return Err(unexpected(&reply)) };
    let status = if duplicate { StatusCode::OK } else { StatusCode::CREATED };
    Ok((status, axum::Json(SubmitResponse { workload_id, duplicate })))
}

/// Sends a command; when it needs to know how workloads ended that are no longer live, that is looked
/// up and it is sent again. Of those that ended in between it is told the next time, and not for
/// ever.
async fn with_ends(state: AppState, command: impl Fn(Ended) -> Command) -> Result<Reply, ApiError> {
    let mut ended = Ended::new();
    for _ in 0..LOOK_UPS_MAX {
        let sent = state.handle.send_patiently(command(ended.clone()), state.patience()).await;
        let Err(CommandError::Refused(Refusal::LookUp(unknown))) = sent else {
            return Ok(sent?);
        };
        for id in unknown {
            let row = state.store.workload(id).await?;
            let row = row.ok_or_else(|| ApiError::not_found("workload", id))?;
            ended.push((id, row.state));
        }
    }
    Err(CommandError::Unavailable.into())
}

/// `GET /workloads`
pub(super) async fn list(
    caller: May<Read>,
    State(state): State<AppState>,
    Params(params): Params<PageParams>,
) -> Result<axum::Json<List<WorkloadView>>, ApiError> {
    let limit = params.limit(&state);
    let page = WorkloadPage {
        limit: u32::try_from(limit).unwrap_or(u32::MAX),
        before: params.before("workload")?,
        state: params.state(WorkloadState::ALL, |state| state.as_str())?,
        tenant: caller.limited_to(),
    };
    let rows = state.store.workloads(page).await?;
    let next_before = params.next(&rows, limit, |row| row.id.to_string());
    Ok(axum::Json(List { items: rows.into_iter().map(show::workload).collect(), next_before }))
}

/// `GET /workloads/{id}`
pub(super) async fn get(
    caller: May<Read>,
    State(state): State<AppState>,
    Id(id): Id<WorkloadId>,
) -> Result<axum::Json<WorkloadDetail>, ApiError> {
    let row = state.workload_of(&caller, id).await?;
    let jobs = state.store.jobs_of(id).await?;
    let (terms, open) = (row.terms.as_deref().cloned().unwrap_or_default(), row.open);
    Ok(axum::Json(WorkloadDetail {
        workload: show::workload(row),
        terms,
        open,
        jobs: jobs.iter().map(show::job).collect(),
    }))
}

/// `POST /workloads/{id}/cancel`
pub(super) async fn cancel(
    caller: May<Operate>,
    State(state): State<AppState>,
    Id(workload_id): Id<WorkloadId>,
    JsonOrEmpty(request): JsonOrEmpty<ReasonRequest>,
) -> Result<axum::Json<WorkloadView>, ApiError> {
    state.must_see_workload(&caller, workload_id).await?;
    let command = Command::CancelWorkload {
        workload_id,
        author: caller.author(),
        reason: request.reason.unwrap_or_default().into(),
    };
    answer(&state, workload_id, command).await
}

/// `POST /workloads/{id}/retry`
pub(super) async fn retry(
    caller: May<Operate>,
    State(state): State<AppState>,
    Id(workload_id): Id<WorkloadId>,
    JsonOrEmpty(_): JsonOrEmpty<ReasonRequest>,
) -> Result<axum::Json<WorkloadView>, ApiError> {
    state.must_see_workload(&caller, workload_id).await?;
    let archived = state.store.archived(workload_id).await?.map(Box::new);
    let author = caller.author();
    let command = move |ended| Command::Retry {
        workload_id,
        archived: archived.clone(),
        ended,
        author: author.clone(),
    };
    match with_ends(state, command).await? {
        Reply::Workload(row) => Ok(axum::Json(show::workload(*row))),
        other => Err(unexpected(&other)),
    }
}

async fn answer(
    state: &AppState,
    id: WorkloadId,
    command: Command,
) -> Result<axum::Json<WorkloadView>, ApiError> {
    match state.handle.send(command).await {
        Ok(Reply::Workload(row)) => Ok(axum::Json(show::workload(*row))),
        Ok(other) => Err(unexpected(&other)),
        Err(CommandError::Refused(Refusal::UnknownWorkload(_))) => {
            // Not live: it has ended, or never was.
            let row = state.store.workload(id).await?;
            let row = row.ok_or_else(|| ApiError::not_found("workload", id))?;
            let text = format!("workload {id} has ended: {}", row.state.as_str());
            Err(ApiError::Conflict(text))
        }
        Err(error) => Err(error.into()),
    }
}
