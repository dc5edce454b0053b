//! Runners: registration, polls, heartbeats, and what operators see and change.

use axum::extract::State;
use axum::http::StatusCode;

use super::access::{Administer, May, Operate, Read, Registration, RunnerCaller, RunnerOr, hash};
use super::body::{Id, Json, Params};
use super::error::ApiError;
use super::list::PageParams;
use super::own::hide_jobs;
use super::pauses::reason;
use super::show;
use super::state::AppState;
use super::wire::{
    HeartbeatRequest, HeartbeatResponse, List, PollRequest, PollResponse, RegisterRequest,
    RegisterResponse, RunnerPatch, RunnerView,
};
use crate::clock::{OsEntropy, secret_token};
use crate::dispatch::{Answer, Command, HeldLease, Poll, Register, Reply};
use crate::model::{PoolId, RunnerCapabilities, RunnerId, RunnerRequirements, TenantId};

const NAME_CHARS_MAX: usize = 100;
const LABELS_MAX: usize = 100;
/// Leases that one poll or heartbeat may name: as many as a runner can have.
const LEASES_MAX: usize = RunnerCapabilities::PARALLEL_JOBS_MAX as usize;

/// `POST /runners/register`
pub(super) async fn register(
    caller: Registration,
    State(state): State<AppState>,
    Json(request): Json<RegisterRequest>,
) -> Result<axum::Json<RegisterResponse>, ApiError> {
    let names = [
        ("name", &request.name),
        ("instance_id", &request.instance_id),
        ("boot_id", &request.boot_id),
    ];
    for (what, text) in names {
        check_name(what, text)?;
    }
    check_capabilities(&request.capabilities)?;
    let pool_id = caller.pool(request.pool.as_deref(), &state.catalogue)?;
    let token = secret_token("dyr", &mut OsEntropy);
    let register = Register {
        name: request.name.into(),
        instance_id: instance(pool_id, request.instance_id),
        boot_id: request.boot_id.into(),
        pool_id,
        token_hash: hash(&token).into(),
        capabilities: request.capabilities,
        version: request.version.chars().take(NAME_CHARS_MAX).collect::<String>().into(),
        ordered: caller.ordered,
    };
    match state.handle.send(Command::Register(Box::new(register))).await? {
        Reply::Registered(runner_id) => Ok(axum::Json(RegisterResponse {
            runner_id,
            token,
            heartbeat_interval_ms: state.scheduler.heartbeat_interval_ms,
            lease_ms: state.scheduler.lease_length_ms(),
            poll_wait_max_ms: state.scheduler.poll_wait_max_ms,
        })),
        other => Err(unexpected(&other)),
    }
}

/// An instance is known within its pool, so that no token of one pool can take over a runner of
/// another. No request can name this character.
fn instance(pool_id: PoolId, name: String) -> Box<str> {
    match pool_id {
        PoolId::DEFAULT => name.into(),
        pool_id => format!("{pool_id}\u{1f}{name}").into(),
    }
}

/// `POST /runners/{id}/poll`
pub(super) async fn poll(
    caller: RunnerCaller,
    State(state): State<AppState>,
    Id(runner_id): Id<RunnerId>,
    Json(request): Json<PollRequest>,
) -> Result<axum::Json<PollResponse>, ApiError> {
    caller.must_be(runner_id)?;
    poll_one(&state, runner_id, request).await.map(axum::Json)
}

/// A runner asks for work.
pub(super) async fn poll_one(
    state: &AppState,
    runner_id: RunnerId,
    request: PollRequest,
) -> Result<PollResponse, ApiError> {
    check_leases(request.leases.len())?;
    let poll = Poll {
        runner_id,
        poll_id: state.poll_id(),
        wait_ms: request.wait_ms,
        jobs_max: request.max_jobs,
        known: request.leases,
        capabilities: boxed(request.capabilities)?,
        current_jobs: request.current_jobs,
    };
    let Answer { jobs, cancel, drain, .. } = state.handle.poll(poll).await?;
    let ack_window_ms = state.scheduler.ack_window_ms;
    let jobs = jobs.into_iter().map(|job| show::assignment(job, ack_window_ms)).collect();
    Ok(PollResponse { jobs, cancel, drain })
}

/// `POST /runners/{id}/heartbeat`
pub(super) async fn heartbeat(
    caller: RunnerCaller,
    State(state): State<AppState>,
    Id(runner_id): Id<RunnerId>,
    Json(request): Json<HeartbeatRequest>,
) -> Result<axum::Json<HeartbeatResponse>, ApiError> {
    caller.must_be(runner_id)?;
    check_leases(request.leases.len())?;
    let held = |it: super::wire::HeldLease| HeldLease { token: it.lease, nonce: it.nonce };
    let command = Command::Heartbeat {
        runner_id,
        leases: request.leases.into_iter().map(held).collect(),
        capabilities: boxed(request.capabilities)?,
        current_jobs: request.current_jobs,
    };
    match state.handle.send(command).await? {
        Reply::Heartbeat { lost, cancel, drain } => {
            Ok(axum::Json(HeartbeatResponse { lost, cancel, drain }))
        }
        other => Err(unexpected(&other)),
    }
}

/// `PATCH /runners/{id}`
pub(super) async fn patch(
    caller: RunnerOr<Operate>,
    State(state): State<AppState>,
    Id(runner_id): Id<RunnerId>,
    Json(request): Json<RunnerPatch>,
) -> Result<axum::Json<RunnerView>, ApiError> {
    let operates = request.cordoned.is_some() || request.draining.is_some();
    let author = match &caller {
        RunnerOr::Runner(id) => {
            RunnerCaller(*id).must_be(runner_id)?;
            if operates {
                return Err(ApiError::Forbidden("cordons and drains"));
            }
            format!("runner {id}").into()
        }
        RunnerOr::Caller(caller) => {
            state.must_touch(caller, runner_id).await?;
            caller.author()
        }
    };
    let why = reason(request.reason)?;
    let command = Command::PatchRunner {
        runner_id,
        capabilities: boxed(request.capabilities)?,
        // The row has one text for both: by whom, and why.
        cordoned: request.cordoned.map(|it| it.then(|| format!("{author}: {why}").into())),
        draining: request.draining,
        author,
    };
    state.handle.send(command).await?;
    let limited_to = match &caller {
        RunnerOr::Runner(_) => None,
        RunnerOr::Caller(caller) => caller.limited_to(),
    };
    view(&state, limited_to, runner_id).await
}

/// `DELETE /runners/{id}`
pub(super) async fn deregister(
    caller: RunnerOr<Administer>,
    State(state): State<AppState>,
    Id(runner_id): Id<RunnerId>,
) -> Result<StatusCode, ApiError> {
    match &caller {
        RunnerOr::Runner(id) => RunnerCaller(*id).must_be(runner_id)?,
        RunnerOr::Caller(caller) => state.must_touch(caller, runner_id).await?,
    }
    state.handle.send(Command::Deregister(runner_id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /runners`
pub(super) async fn list(
    caller: May<Read>,
    State(state): State<AppState>,
    Params(params): Params<PageParams>,
) -> Result<axum::Json<List<RunnerView>>, ApiError> {
    let limit = params.limit(&state);
    let before: Option<RunnerId> = params.before("runner")?;
    let (shared, limited_to) = (state.clone(), caller.limited_to());
    let runners = state.handle.ask(move |scheduler, now| {
        if limited_to.is_none() {
            return scheduler.runner_list(now, before, limit);
        }
        let mut runners = scheduler.runner_list(now, before, usize::MAX);
        runners.retain(|runner| shared.sees_pool(limited_to, runner.row.pool_id));
        runners.truncate(limit);
        runners.iter_mut().for_each(|runner| hide_jobs(scheduler, limited_to, runner));
        runners
    });
    let runners = runners.await?;
    let next_before = params.next(&runners, limit, |runner| runner.row.id.to_string());
    let items = runners.into_iter().map(|runner| show::runner(&state.catalogue, runner)).collect();
    Ok(axum::Json(List { items, next_before }))
}

/// `GET /runners/{id}`
pub(super) async fn get(
    caller: May<Read>,
    State(state): State<AppState>,
    Id(runner_id): Id<RunnerId>,
) -> Result<axum::Json<RunnerView>, ApiError> {
    view(&state, caller.limited_to(), runner_id).await
}

async fn view(
    state: &AppState,
    limited_to: Option<TenantId>,
    runner_id: RunnerId,
) -> Result<axum::Json<RunnerView>, ApiError> {
    let runner = state.runner_of(limited_to, runner_id).await?;
    Ok(axum::Json(show::runner(&state.catalogue, runner)))
}

fn check_name(what: &str, text: &str) -> Result<(), ApiError> {
    let chars = text.chars().count();
    if chars == 0 || chars > NAME_CHARS_MAX || text.chars().any(char::is_control) {
        let text = format!("`{what}` is 1 to {NAME_CHARS_MAX} printable characters");
        return Err(ApiError::BadRequest(text));
    }
    Ok(())
}

pub(super) fn check_leases(many: usize) -> Result<(), ApiError> {
    if many > LEASES_MAX {
        let text = format!("{many} leases in one request, {LEASES_MAX} are the most");
        return Err(ApiError::BadRequest(text));
    }
    Ok(())
}

fn check_capabilities(capabilities: &RunnerCapabilities) -> Result<(), ApiError> {
    let long = capabilities.labels.iter().any(|label| label.chars().count() > NAME_CHARS_MAX);
    if capabilities.labels.len() > LABELS_MAX || long {
        let text = format!("at most {LABELS_MAX} labels of {NAME_CHARS_MAX} characters");
        return Err(ApiError::BadRequest(text));
    }
    let any = |text: &str| *text == *RunnerCapabilities::ANY;
    let places = [&capabilities.region, &capabilities.zone].into_iter().flatten();
    let mut said = capabilities.labels.iter().chain(places);
    if any(&capabilities.architecture) || any(&capabilities.os) || said.any(|it| any(it)) {
        let text =
            format!("`{}` is what an executor offers, not a runner", RunnerCapabilities::ANY);
        return Err(ApiError::BadRequest(text));
    }
    if *capabilities.executor != *RunnerRequirements::RUNNERS {
        let text = "`executor` is said by the server, not by a runner";
        return Err(ApiError::BadRequest(text.into()));
    }
    Ok(())
}

pub(super) fn boxed(
    capabilities: Option<RunnerCapabilities>,
) -> Result<Option<Box<RunnerCapabilities>>, ApiError> {
    capabilities.as_ref().map_or(Ok(()), check_capabilities)?;
    Ok(capabilities.map(Box::new))
}

/// The driver answered a command with another command's reply.
pub(super) fn unexpected(reply: &Reply) -> ApiError {
    ApiError::Internal(format!("the driver answered {reply:?}"))
}
