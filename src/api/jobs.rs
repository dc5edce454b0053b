//! Jobs: listed, explained, cancelled, requeued.

use axum::extract::State;

use super::access::{Caller, May, Operate, Read};
use super::body::{Id, Json, JsonOrEmpty, Params};
use super::error::ApiError;
use super::list::PageParams;
use super::runners::unexpected;
use super::show;
use super::state::AppState;
use super::why::away;
use super::wire::{
    ExplainReason, ExplainView, ForecastView, JobDetail, JobView, List, PriorityRequest,
    ReasonRequest, RequeueRequest,
};
use crate::dispatch::{Command, Reason, Refusal, Reply, Scheduler};
use crate::driver::CommandError;
use crate::model::{Job, JobId, JobState, JobStateKind};
use crate::store::JobPage;

/// `GET /jobs`
pub(super) async fn list(
    caller: May<Read>,
    State(state): State<AppState>,
    Params(params): Params<PageParams>,
) -> Result<axum::Json<List<JobView>>, ApiError> {
    let limit = params.limit(&state);
    let page = JobPage {
        limit: u32::try_from(limit).unwrap_or(u32::MAX),
        before: params.before("job")?,
        state: params.state(JobStateKind::ALL, |state| state.as_str())?,
        tenant: caller.limited_to(),
    };
    let rows = state.store.jobs(page).await?;
    let next_before = params.next(&rows, limit, |row| row.id.to_string());
    Ok(axum::Json(List { items: rows.iter().map(show::job).collect(), next_before }))
}

/// The committed row of a job.
pub(super) async fn row(state: &AppState, id: JobId) -> Result<Job, ApiError> {
    state.store.job(id).await?.ok_or_else(|| ApiError::not_found("job", id))
}

/// `GET /jobs/{id}`
pub(super) async fn get(
    caller: May<Read>,
    State(state): State<AppState>,
    Id(id): Id<JobId>,
) -> Result<axum::Json<JobDetail>, ApiError> {
    detail(&state, &caller, id).await.map(axum::Json)
}

/// Everything about a job.
pub(super) async fn detail(
    state: &AppState,
    caller: &Caller,
    id: JobId,
) -> Result<JobDetail, ApiError> {
    let job = state.job_of(caller, id).await?;
    let store = &state.store;
    let edges = store.edges_of(job.workload_id).await?;
    let siblings = store.jobs_of(job.workload_id).await?;
    let needs = edges
        .iter()
        .filter(|edge| edge.job_id == id)
        .filter_map(|edge| siblings.iter().find(|sibling| sibling.id == edge.needs_job_id))
        .map(|sibling| sibling.name.to_string())
        .collect();
    let requirements = store.requirements(job.class_id).await?.unwrap_or_default();
    let mut attempts = store.attempts_of(id).await?;
    attempts.reverse();
    let outputs = store.outputs_of(&[id]).await?.remove(&id).unwrap_or_default();
    let mut records = store.records_of(id).await?;
    records.reverse();
    let pools = requirements.pools().map(|id| state.catalogue.pool_name(id).to_owned()).collect();
    Ok(JobDetail {
        job: show::job(&job),
        needs,
        requirements,
        pools,
        terms: job.terms.as_deref().cloned().unwrap_or_default(),
        units: job.extras.units.as_deref().cloned().unwrap_or_default(),
        attempts: attempts.into_iter().map(|row| show::attempt(&state.catalogue, row)).collect(),
        outputs,
        records: records.into_iter().map(show::record).collect(),
    })
}

/// `GET /jobs/{id}/explain`
pub(super) async fn explain(
    caller: May<Read>,
    State(state): State<AppState>,
    Id(id): Id<JobId>,
) -> Result<axum::Json<ExplainView>, ApiError> {
    state.must_see_job(&caller, id).await?;
    let limited_to = caller.limited_to();
    let ask = move |scheduler: &mut Scheduler, now| {
        Some((scheduler.explain_to(now, id, limited_to)?, scheduler.forecast(now, id)))
    };
    let live = state.handle.ask(ask).await;
    let view = match live {
        Ok(Some((explanation, forecast))) => show::explanation(id, &explanation, forecast),
        Ok(None) => explain_row(&row(&state, id).await?, None),
        // What the rows say, and that nobody can decide at the moment.
        Err(CommandError::Unavailable) => explain_row(&row(&state, id).await?, Some(away(&state))),
        Err(error) => return Err(error.into()),
    };
    Ok(axum::Json(view))
}

fn explain_row(job: &Job, also: Option<ExplainReason>) -> ExplainView {
    let mut reasons: Vec<_> = also.into_iter().collect();
    if let JobState::Ended { reason: why, .. } = &job.state {
        reasons.push(show::reason(&Reason::Ended(*why)));
    }
    let forecast = ForecastView::default();
    ExplainView { job_id: job.id, state: job.kind(), reasons, forecast }
}

/// `POST /jobs/{id}/cancel`
pub(super) async fn cancel(
    caller: May<Operate>,
    State(state): State<AppState>,
    Id(job_id): Id<JobId>,
    JsonOrEmpty(request): JsonOrEmpty<ReasonRequest>,
) -> Result<axum::Json<JobView>, ApiError> {
    let command = Command::CancelJob {
        job_id,
        author: caller.author(),
        reason: request.reason.unwrap_or_default().into(),
    };
    answer(&state, &caller, job_id, command).await
}

/// `POST /jobs/{id}/requeue`
pub(super) async fn requeue(
    caller: May<Operate>,
    State(state): State<AppState>,
    Id(job_id): Id<JobId>,
    JsonOrEmpty(request): JsonOrEmpty<RequeueRequest>,
) -> Result<axum::Json<JobView>, ApiError> {
    let command = Command::Requeue {
        job_id,
        avoid_runner: request.avoid_runner,
        author: caller.author(),
        reason: request.reason.unwrap_or_else(|| "no reason given".to_owned()).into(),
    };
    answer(&state, &caller, job_id, command).await
}

/// `POST /jobs/{id}/priority`
pub(super) async fn prioritise(
    caller: May<Operate>,
    State(state): State<AppState>,
    Id(job_id): Id<JobId>,
    Json(request): Json<PriorityRequest>,
) -> Result<axum::Json<JobView>, ApiError> {
    let priority = request.priority;
    caller.must_be_allowed(priority)?;
    let command = Command::Prioritise { job_id, priority, author: caller.author() };
    answer(&state, &caller, job_id, command).await
}

/// `POST /jobs/{id}/front`
pub(super) async fn front(
    caller: May<Operate>,
    State(state): State<AppState>,
    Id(job_id): Id<JobId>,
) -> Result<axum::Json<JobView>, ApiError> {
    let command = Command::MoveToFront { job_id, author: caller.author() };
    answer(&state, &caller, job_id, command).await
}

async fn answer(
    state: &AppState,
    caller: &Caller,
    id: JobId,
    command: Command,
) -> Result<axum::Json<JobView>, ApiError> {
    state.must_see_job(caller, id).await?;
    match state.handle.send(command).await {
        Ok(Reply::Job(row)) => Ok(axum::Json(show::job(&row))),
        Ok(other) => Err(unexpected(&other)),
        Err(CommandError::Refused(Refusal::UnknownJob(_))) => {
            let job = row(state, id).await?;
            Err(ApiError::Conflict(format!("job {id} has ended: {}", job.kind())))
        }
        Err(error) => Err(error.into()),
    }
}
