//! Workloads: submitted, listed, cancelled, retried.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};

use super::accept::{idempotency_key, traceparent};
use super::access::{Caller, May, Operate, Read, Submit};
use super::body::{Id, Json, JsonOrEmpty, Params};
use super::cause::Cause;
use super::error::ApiError;
use super::graph::{critical_path, graph};
use super::list::PageParams;
use super::runners::unexpected;
use super::state::AppState;
use super::wire::{
    JoinRequest, JoinResponse, List, Nothing, ReasonRequest, SubmitRequest, SubmitResponse,
    WorkloadDetail, WorkloadView,
};
use super::{show, submission};
use crate::ask::Ask;
use crate::dispatch::{Command, Ended, Refusal, Reply};
use crate::driver::CommandError;
use crate::model::{PlannedJob, PlannedWorkload, WorkloadId, WorkloadState};
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
    let (trace, key) = (traceparent(&headers), idempotency_key(&headers)?);
    let cause = Cause::of(&state, &headers).await?;
    let mut submission = Submission::check(&state, &caller, request, key, trace.as_deref()).await?;
    submission.limit(cause.as_ref());
    // A client that hangs up does not undo what it asked for.
    let task = tokio::spawn(submission.carry_out(state));
    let made = task.await.map_err(|error| ApiError::Internal(error.to_string()))?;
    made.map(|(status, response)| (status, axum::Json(response)))
}

/// A workload that somebody may submit, and that can be told to the scheduler.
pub(super) struct Submission {
    workload: Box<PlannedWorkload>,
    idempotency_key: Option<Box<str>>,
}

impl Submission {
    /// Plans what a request asks for.
    pub(super) async fn check(
        state: &AppState,
        caller: &Caller,
        request: SubmitRequest,
        key: Option<Box<str>>,
        traceparent: Option<&str>,
    ) -> Result<Self, ApiError> {
        let now = state.clock.now();
        let workload = submission::plan(state, caller, request, traceparent, now.wall_ms)?;
        must_see_needs(state, caller, &workload.jobs).await?;
        let idempotency_key = key.map(|key| caller.own_key(key));
        Ok(Self { workload: Box::new(workload), idempotency_key })
    }

    /// Trusts it no further than the work that asks for it, if some does.
    pub(super) fn limit(&mut self, cause: Option<&Cause>) {
        if let Some(cause) = cause {
            cause.limit_all(&mut self.workload.jobs);
        }
    }

    /// Has it made.
    pub(super) async fn carry_out(
        self,
        state: AppState,
    ) -> Result<(StatusCode, SubmitResponse), ApiError> {
        let Self { workload, idempotency_key } = self;
        let command = move |ended| Command::Submit {
            workload: workload.clone(),
            idempotency_key: idempotency_key.clone(),
            ended,
        };
        match with_ends(state, command).await? {
            Reply::Submitted { workload_id, duplicate, outlooks } => {
                let outlooks = outlooks.into_iter().map(|it| show::outlook(it, None)).collect();
                Ok((made(duplicate), SubmitResponse { workload_id, duplicate, outlooks }))
            }
            other => Err(unexpected(&other)),
        }
    }
}

fn made(duplicate: bool) -> StatusCode {
    if duplicate { StatusCode::OK } else { StatusCode::CREATED }
}

/// Nobody waits for what he may not see: its end would tell him of it.
async fn must_see_needs(
    state: &AppState,
    caller: &Caller,
    jobs: &[PlannedJob],
) -> Result<(), ApiError> {
    for needed in jobs.iter().flat_map(|job| &job.terms.needs_workloads) {
        state.must_see_workload(caller, *needed).await?;
    }
    Ok(())
}

/// `POST /workloads/{id}/jobs`
pub(super) async fn join(
    caller: May<Submit>,
    State(state): State<AppState>,
    Id(workload_id): Id<WorkloadId>,
    headers: HeaderMap,
    Json(request): Json<JoinRequest>,
) -> Result<(StatusCode, axum::Json<JoinResponse>), ApiError> {
    state.must_see_workload(&caller, workload_id).await?;
    let (trace, now) = (traceparent(&headers), state.clock.now());
    let defaults = Ask::default();
    let trace = trace.as_deref();
    let mut jobs =
        submission::plan_jobs(&state, &caller, request.jobs, &defaults, trace, now.wall_ms)?;
    if let Some(cause) = Cause::of(&state, &headers).await? {
        cause.limit_all(&mut jobs);
    }
    must_see_needs(&state, &caller, &jobs).await?;
    // A key is one workload's: what it stands for are jobs of it. No tenant's key begins so.
    let own_key = |key| format!("join\u{1f}{workload_id}\u{1f}{}", caller.own_key(key)).into();
    let idempotency_key: Option<Box<str>> = idempotency_key(&headers)?.map(own_key);
    let command = move |ended| Command::Join {
        workload_id,
        jobs: jobs.clone(),
        idempotency_key: idempotency_key.clone(),
        ended,
    };
    // A client that hangs up does not undo what it asked for.
    let task = tokio::spawn(with_ends(state.clone(), command));
    match task.await.map_err(|error| ApiError::Internal(error.to_string()))? {
        Ok(Reply::Joined { workload_id, jobs, duplicate, outlooks }) => {
            let outlooks = outlooks.into_iter().map(|it| show::outlook(it, None)).collect();
            let response = JoinResponse { workload_id, jobs, duplicate, outlooks };
            Ok((made(duplicate), axum::Json(response)))
        }
        Ok(other) => Err(unexpected(&other)),
        Err(error) => Err(of_ended(&state, workload_id, error).await),
    }
}

/// `POST /workloads/{id}/close`
pub(super) async fn close(
    caller: May<Submit>,
    State(state): State<AppState>,
    Id(workload_id): Id<WorkloadId>,
    JsonOrEmpty(Nothing {}): JsonOrEmpty<Nothing>,
) -> Result<axum::Json<WorkloadView>, ApiError> {
    state.must_see_workload(&caller, workload_id).await?;
    let command = Command::Close { workload_id, author: caller.author() };
    answer(&state, workload_id, command).await
}

/// Sends a command; when it needs to know how workloads ended that are no longer live, that is looked
/// up and it is sent again. Of those that ended in between it is told the next time, and not for
/// ever.
pub(super) async fn with_ends(
    state: AppState,
    command: impl Fn(Ended) -> Command,
) -> Result<Reply, ApiError> {
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
    detail(&state, &caller, id).await.map(axum::Json)
}

/// A workload with its jobs.
pub(super) async fn detail(
    state: &AppState,
    caller: &Caller,
    id: WorkloadId,
) -> Result<WorkloadDetail, ApiError> {
    let row = state.workload_of(caller, id).await?;
    let jobs = state.store.jobs_of(id).await?;
    let (edges, ran) = (state.store.edges_of(id).await?, state.store.ran_of(id).await?);
    let (mut terms, open) = (row.terms.as_deref().cloned().unwrap_or_default(), row.open);
    // A callback's URL may have a secret in it; `/outbox` has what may be told of it.
    terms.report.clear();
    let graph = graph(&jobs, &edges, &ran, row.run, state.clock.now().wall_ms);
    Ok(WorkloadDetail {
        workload: show::workload(row),
        terms,
        open,
        jobs: jobs.iter().map(show::job).collect(),
        critical_path: critical_path(&graph),
        graph,
    })
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
        Err(error) => Err(of_ended(state, id, error.into()).await),
    }
}

/// What to say of a workload that the scheduler does not know: it has ended, or never was.
async fn of_ended(state: &AppState, id: WorkloadId, error: ApiError) -> ApiError {
    let unknown = |it: &Refusal| matches!(it, Refusal::UnknownWorkload(unknown) if *unknown == id);
    if !matches!(&error, ApiError::Command(CommandError::Refused(it)) if unknown(it)) {
        return error;
    }
    match state.store.workload(id).await {
        Ok(Some(row)) => {
            let text = format!("workload {id} has ended: {}", row.state.as_str());
            ApiError::Conflict(text)
        }
        Ok(None) => ApiError::not_found("workload", id),
        Err(error) => error.into(),
    }
}
