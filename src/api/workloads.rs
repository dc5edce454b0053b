//! Workloads: submitted, listed, cancelled, retried.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};

use super::accept::{idempotency_key, traceparent};
use super::access::Admin;
use super::body::{Id, Json, JsonOrEmpty, Params};
use super::error::ApiError;
use super::list::PageParams;
use super::runners::unexpected;
use super::show;
use super::state::AppState;
use super::wire::{
    List, ReasonRequest, SubmitJob, SubmitRequest, SubmitResponse, WorkloadDetail, WorkloadView,
};
use crate::dispatch::{Command, Refusal, Reply};
use crate::driver::CommandError;
use crate::model::{
    JobSpec, PlannedJob, PlannedWorkload, RetryPolicy, TenantId, Trust, TrustLevel, WorkloadId,
    WorkloadState,
};
use crate::store::WorkloadPage;

/// `POST /workloads`
pub(super) async fn submit(
    _: Admin,
    State(state): State<AppState>,
    headers: HeaderMap,
    Json(request): Json<SubmitRequest>,
) -> Result<(StatusCode, axum::Json<SubmitResponse>), ApiError> {
    let trace = traceparent(&headers);
    let job = |job| planned(&state, job, trace.as_deref());
    let workload = PlannedWorkload {
        kind: request.kind,
        name: request.name,
        trigger: String::new(),
        tenant_id: TenantId::DEFAULT,
        session_key: None,
        jobs: request.jobs.into_iter().map(job).collect::<Result<_, _>>()?,
    };
    check_name("name", &workload.name)?;
    let command = Command::Submit {
        workload: Box::new(workload),
        idempotency_key: idempotency_key(&headers)?,
    };
    // A client that hangs up does not undo what it asked for.
    let (handle, patience) = (state.handle.clone(), state.patience());
    let task = tokio::spawn(async move { handle.send_patiently(command, patience).await });
    let reply = task.await.map_err(|error| ApiError::Internal(error.to_string()))??;
    let Reply::Submitted { workload_id, duplicate } = reply else { return Err(unexpected(&reply)) };
    let status = if duplicate { StatusCode::OK } else { StatusCode::CREATED };
    Ok((status, axum::Json(SubmitResponse { workload_id, duplicate })))
}

fn planned(
    state: &AppState,
    job: SubmitJob,
    traceparent: Option<&str>,
) -> Result<PlannedJob, ApiError> {
    check_name("job name", &job.name)?;
    let defaults = &state.scheduler;
    let timeout_ms = job.timeout_ms.unwrap_or_else(|| defaults.timeout_ms());
    let backoff_ms = job.backoff_ms.unwrap_or(defaults.backoff_ms);
    let not_before_ms = job.not_before_ms.unwrap_or(0);
    if timeout_ms < 1 || backoff_ms < 0 || not_before_ms < 0 {
        let text = format!(
            "job `{}`: timeout_ms is at least 1, backoff_ms and not_before_ms are not negative",
            job.name
        );
        return Err(ApiError::BadRequest(text));
    }
    Ok(PlannedJob {
        name: job.name,
        needs: job.needs,
        requirements: job.requirements.into_model(),
        priority: job.priority,
        timeout_ms,
        retry: RetryPolicy {
            max_retries: job.max_retries.unwrap_or(defaults.max_retries),
            backoff_ms,
        },
        not_before_ms,
        spec: Arc::new(JobSpec {
            work: job.work,
            env: job.env,
            trust: Trust::new(TrustLevel::Trusted, "submitted with an operator's token"),
            traceparent: traceparent.map(str::to_owned),
        }),
    })
}

fn check_name(what: &str, name: &str) -> Result<(), ApiError> {
    let chars = name.chars().count();
    if chars == 0 || chars > 200 || name.chars().any(char::is_control) {
        return Err(ApiError::BadRequest(format!("`{what}` is 1 to 200 printable characters")));
    }
    Ok(())
}

/// `GET /workloads`
pub(super) async fn list(
    _: Admin,
    State(state): State<AppState>,
    Params(params): Params<PageParams>,
) -> Result<axum::Json<List<WorkloadView>>, ApiError> {
    let limit = params.limit(&state);
    let page = WorkloadPage {
        limit: u32::try_from(limit).unwrap_or(u32::MAX),
        before: params.before("workload")?,
        state: params.state(WorkloadState::ALL, |state| state.as_str())?,
    };
    let rows = state.store.workloads(page).await?;
    let next_before = params.next(&rows, limit, |row| row.id.to_string());
    Ok(axum::Json(List { items: rows.into_iter().map(show::workload).collect(), next_before }))
}

/// `GET /workloads/{id}`
pub(super) async fn get(
    _: Admin,
    State(state): State<AppState>,
    Id(id): Id<WorkloadId>,
) -> Result<axum::Json<WorkloadDetail>, ApiError> {
    let row = state.store.workload(id).await?.ok_or_else(|| ApiError::not_found("workload", id))?;
    let jobs = state.store.jobs_of(id).await?;
    Ok(axum::Json(WorkloadDetail {
        workload: show::workload(row),
        jobs: jobs.iter().map(show::job).collect(),
    }))
}

/// `POST /workloads/{id}/cancel`
pub(super) async fn cancel(
    caller: Admin,
    State(state): State<AppState>,
    Id(workload_id): Id<WorkloadId>,
    JsonOrEmpty(request): JsonOrEmpty<ReasonRequest>,
) -> Result<axum::Json<WorkloadView>, ApiError> {
    let command = Command::CancelWorkload {
        workload_id,
        author: caller.author(),
        reason: request.reason.unwrap_or_default().into(),
    };
    answer(&state, workload_id, command).await
}

/// `POST /workloads/{id}/retry`
pub(super) async fn retry(
    caller: Admin,
    State(state): State<AppState>,
    Id(workload_id): Id<WorkloadId>,
    JsonOrEmpty(_): JsonOrEmpty<ReasonRequest>,
) -> Result<axum::Json<WorkloadView>, ApiError> {
    let archived = state.store.archived(workload_id).await?.map(Box::new);
    let command = Command::Retry { workload_id, archived, author: caller.author() };
    answer(&state, workload_id, command).await
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
