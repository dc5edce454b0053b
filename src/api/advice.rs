//! What would shorten waits most.

use axum::extract::State;

use super::access::{May, Operate};
use super::error::ApiError;
use super::show;
use super::state::AppState;
use super::wire::AdviceView;

/// Jobs that advice plays; their copy takes the driver a few milliseconds.
const JOBS_PLAYED_MAX: usize = 1_000;

/// `GET /advice`: for who is limited to a tenant, about that tenant's jobs and by what is its own.
pub(super) async fn get(
    caller: May<Operate>,
    State(state): State<AppState>,
) -> Result<axum::Json<AdviceView>, ApiError> {
    let tenant = caller.limited_to();
    // One at a time: each keeps a processor busy for a while.
    let _turn = state.advising.lock().await;
    let excerpt = state.handle.ask(|scheduler, now| scheduler.excerpt(now, JOBS_PLAYED_MAX));
    let excerpt = excerpt.await?;
    let advice = tokio::task::spawn_blocking(move || excerpt.advise(tenant));
    let advice = advice.await.map_err(|error| ApiError::Internal(error.to_string()))?;
    Ok(axum::Json(show::advice(advice)))
}
