//! Why all jobs wait that do, and who could run what is not there yet.

use axum::extract::State;

use super::access::{May, Read};
use super::body::{Json, Params};
use super::error::ApiError;
use super::list::LimitParams;
use super::state::{AppState, Shared};
use super::wire::{
    ExplainAllView, ExplainReason, GateView, LaneView, MatchView, MatchedRunner, SubmitRequirements,
};
use super::{show, submission};
use crate::dispatch::{Can, Fit, GateCount, LaneCount, Refusal, RunnerFit, WaitSummary};
use crate::driver::{CommandError, ServerState};
use crate::model::{Catalogue, Company, TenantId, faults_of_jobs};

/// `GET /explain`: also while the store is away, which is then the reason.
pub(super) async fn explain_all(
    caller: May<Read>,
    State(state): State<AppState>,
    Params(params): Params<LimitParams>,
) -> Result<axum::Json<ExplainAllView>, ApiError> {
    let (limit, limited_to) = (params.limit(&state), caller.limited_to());
    let asked = state
        .handle
        .ask(move |scheduler, now| (scheduler.explain_all(now, limited_to, limit), now.wall_ms));
    match asked.await {
        Ok((summary, wall_ms)) => Ok(axum::Json(view(&state.catalogue, summary, wall_ms))),
        Err(CommandError::Unavailable) => {
            let usage = state.store.usage(limited_to).await?;
            let waiting_jobs = usage.iter().map(|level| level.waiting).sum();
            let code = away(&state).code;
            Ok(axum::Json(ExplainAllView {
                waiting_jobs,
                ready_jobs: 0,
                gates: vec![GateView { code, key: None, tenant: None, jobs: waiting_jobs }],
                lanes: Vec::new(),
                truncated: true,
            }))
        }
        Err(error) => Err(error.into()),
    }
}

/// The reason for everything while nothing can be decided.
pub(super) fn away(state: &Shared) -> ExplainReason {
    let text = match state.handle.views().state() {
        ServerState::Loading => "the server is reading its rows, and gives out nothing until then",
        ServerState::Standby => {
            "no instance leads at the moment, and nothing is given out until one does"
        }
        _ => "the store cannot be written now, and nothing is given out until it can",
    };
    ExplainReason { code: "store_unavailable".to_owned(), text: text.to_owned() }
}

fn view(catalogue: &Catalogue, summary: WaitSummary, wall_ms: i64) -> ExplainAllView {
    let tenant = |id: TenantId| catalogue.tenant_name(id).to_owned();
    let gate = |GateCount { code, key, tenant_id, jobs }: GateCount| GateView {
        code: code.to_owned(),
        key: key.map(Into::into),
        tenant: tenant_id.map(tenant),
        jobs,
    };
    let lane = |lane: LaneCount| LaneView {
        pools: lane.requirements.pools().map(|id| catalogue.pool_name(id).to_owned()).collect(),
        requirements: lane.requirements,
        tenant: tenant(lane.tenant_id),
        level: lane.level,
        jobs: lane.jobs,
        first_job_id: lane.first_job_id,
        first_waited_ms: (wall_ms - lane.first_queued_at_ms).max(0),
        reasons: lane.reasons.iter().map(show::reason).collect(),
    };
    ExplainAllView {
        waiting_jobs: summary.waiting,
        ready_jobs: summary.ready,
        gates: summary.gates.into_iter().map(gate).collect(),
        lanes: summary.lanes.into_iter().map(lane).collect(),
        truncated: summary.truncated,
    }
}

/// `POST /match`
pub(super) async fn fit(
    caller: May<Read>,
    State(state): State<AppState>,
    Params(params): Params<LimitParams>,
    Json(request): Json<SubmitRequirements>,
) -> Result<axum::Json<MatchView>, ApiError> {
    let job = submission::plan_match(&state, &caller, request)?;
    if let Some(fault) =
        faults_of_jobs(std::slice::from_ref(&job), true, Company::default()).first()
    {
        return Err(CommandError::Refused(Refusal::Invalid(fault.to_string().into())).into());
    }
    let limit = params.limit(&state);
    let (tenant, limited_to) = (caller.starts_for(), caller.limited_to());
    let fit = state
        .handle
        .ask(move |scheduler, _| scheduler.fit(&job.requirements, tenant, limited_to, limit));
    Ok(axum::Json(match_view(&state.catalogue, fit.await?)))
}

fn match_view(catalogue: &Catalogue, fit: Fit) -> MatchView {
    let Fit { impossible, counts: [now, later, never], runners, truncated } = fit;
    let verdict = match () {
        () if impossible.is_some() => "impossible",
        () if now > 0 => Can::Now.as_str(),
        () if later > 0 => Can::Later.as_str(),
        () => Can::Never.as_str(),
    };
    let runner = |it: RunnerFit| MatchedRunner {
        id: it.runner_id,
        name: it.name.into(),
        pool: catalogue.pool_name(it.pool_id).to_owned(),
        state: it.state,
        can: it.can.as_str().to_owned(),
        slots_free: it.slots_free,
        slots_total: it.slots_total,
        lacks: it.lacks.iter().map(ToString::to_string).chain(it.obstacles).collect(),
    };
    MatchView {
        verdict: verdict.to_owned(),
        impossible,
        now,
        later,
        never,
        runners: runners.into_iter().map(runner).collect(),
        truncated,
    }
}
