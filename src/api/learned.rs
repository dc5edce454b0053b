//! What was learned of run times: shown, learned anew from history, and forgotten. It is of all
//! tenants together, so it is for admins of all.

use std::collections::HashMap;

use axum::extract::State;

use super::access::{Administer, Caller, May};
use super::body::{JsonOrEmpty, Params};
use super::error::ApiError;
use super::list::PageParams;
use super::runners::unexpected;
use super::state::AppState;
use super::wire::{
    LearnedClass, LearnedOn, LearnedRunner, LearnedTimes, ModelView, TrainRequest, Trained,
};
use crate::dispatch::{Command, Reply};
use crate::model::{AttemptOutcome, ClassId, RunnerId};
use crate::runner::{FinishedRun, RunTimeRow};
use crate::store::EndedRun;

const ATTEMPTS_DEFAULT: u32 = 20_000;
/// More would keep the scheduler's thread for longer than a runner should wait.
const ATTEMPTS_MAX: u32 = 50_000;

fn must_be_allowed(caller: &Caller) -> Result<(), ApiError> {
    caller.must_administer_all("what all tenants share: that is for an admin without a tenant")
}

/// `GET /model`
pub(super) async fn show(
    caller: May<Administer>,
    State(state): State<AppState>,
    Params(params): Params<PageParams>,
) -> Result<axum::Json<ModelView>, ApiError> {
    must_be_allowed(&caller)?;
    let limit = params.limit(&state);
    let before: Option<i64> = params.before("class")?;
    let learned = state.handle.ask(move |scheduler, _| {
        let learned = scheduler.learned(before.map(ClassId), limit);
        let of_classes = learned.classes.iter().flatten().filter_map(|row| row.runner_id);
        let ids = of_classes.chain(learned.slowness.iter().map(|(id, _)| *id));
        let names = ids.filter_map(|id| Some((id, scheduler.runner_name(id)?.to_owned())));
        let names: HashMap<RunnerId, String> = names.collect();
        (learned, names)
    });
    let (learned, names) = learned.await?;
    let next_before = params.next(&learned.classes, limit, |rows| {
        rows.first().map_or_else(String::new, |row| row.class_id.to_string())
    });
    let mut classes = Vec::with_capacity(learned.classes.len());
    for rows in &learned.classes {
        let Some((all, on)) = rows.split_first() else { continue };
        let requirements = state.store.requirements(all.class_id).await?.unwrap_or_default();
        let pools = requirements.pools().map(|id| state.catalogue.pool_name(id).to_owned());
        classes.push(LearnedClass {
            class_id: all.class_id,
            pools: pools.collect(),
            requirements,
            times: times(all),
            runners: on
                .iter()
                .filter_map(|row| {
                    let runner_id = row.runner_id?;
                    let runner = names.get(&runner_id).cloned();
                    Some(LearnedOn { runner_id, runner, times: times(row) })
                })
                .collect(),
        });
    }
    let runner = |(runner_id, time_percent)| {
        let runner = names.get(&runner_id).cloned();
        LearnedRunner { runner_id, runner, time_percent }
    };
    Ok(axum::Json(ModelView {
        runs: learned.runs,
        entries: learned.entries as u64,
        classes,
        runners: learned.slowness.into_iter().map(runner).collect(),
        next_before,
    }))
}

fn times(row: &RunTimeRow) -> LearnedTimes {
    LearnedTimes {
        mean_ms: row.prediction.mean_ms,
        p50_ms: row.prediction.p50_ms,
        p95_ms: row.prediction.p95_ms,
        runs: row.prediction.runs,
        failure_permille: row.failure_permille,
    }
}

/// `POST /model/train`
pub(super) async fn train(
    caller: May<Administer>,
    State(state): State<AppState>,
    JsonOrEmpty(request): JsonOrEmpty<TrainRequest>,
) -> Result<axum::Json<Trained>, ApiError> {
    must_be_allowed(&caller)?;
    let attempts = request.attempts.unwrap_or(ATTEMPTS_DEFAULT);
    if !(1..=ATTEMPTS_MAX).contains(&attempts) {
        let text = format!("`attempts` is 1 to {ATTEMPTS_MAX}, not {attempts}");
        return Err(ApiError::BadRequest(text));
    }
    let ended = state.store.ended_runs(state.clock.now().wall_ms, attempts).await?;
    let runs = ended.into_iter().map(finished).collect();
    answer(&state, Command::TrainModel { runs, author: caller.author() }).await
}

fn finished(run: EndedRun) -> FinishedRun {
    let EndedRun { class_id, runner_id, run_ms, outcome } = run;
    FinishedRun { class_id, runner_id, run_ms, failed: outcome != AttemptOutcome::Completed }
}

/// `POST /model/reset`
pub(super) async fn reset(
    caller: May<Administer>,
    State(state): State<AppState>,
) -> Result<axum::Json<Trained>, ApiError> {
    must_be_allowed(&caller)?;
    answer(&state, Command::ResetModel { author: caller.author() }).await
}

async fn answer(state: &AppState, command: Command) -> Result<axum::Json<Trained>, ApiError> {
    match state.handle.send(command).await? {
        Reply::Trained { runs } => Ok(axum::Json(Trained { runs })),
        other => Err(unexpected(&other)),
    }
}
