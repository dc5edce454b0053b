//! What a program asks of the server that it contains, without HTTP: as an admin would.

use super::caller::Caller;
use super::error::ApiError;
use super::state::AppState;
use super::wire::{JobDetail, SubmitRequest, SubmitResponse, WorkloadDetail};
use super::workloads::Submission;
use super::{jobs, workloads};
use crate::config::Role;
use crate::model::{JobId, WorkloadId};

/// What history calls the program.
const AUTHOR: &str = "program";

fn caller() -> Caller {
    Caller::new(AUTHOR, Role::Admin, None, true)
}

/// As `POST /workloads`; a key that was used before gives the workload of then.
///
/// # Errors
///
/// [`ApiError`], as the route.
pub async fn submit(
    state: &AppState,
    request: SubmitRequest,
    idempotency_key: Option<&str>,
) -> Result<SubmitResponse, ApiError> {
    let (caller, key) = (caller(), idempotency_key.map(Into::into));
    let submission = Submission::check(state, &caller, request, key, None).await?;
    // Whoever waits no more does not undo what it asked for.
    let task = tokio::spawn(submission.carry_out(state.clone()));
    let made = task.await.map_err(|error| ApiError::Internal(error.to_string()))?;
    made.map(|(_, response)| response)
}

/// As `GET /workloads/{id}`.
///
/// # Errors
///
/// [`ApiError`], as the route.
pub async fn workload(state: &AppState, id: WorkloadId) -> Result<WorkloadDetail, ApiError> {
    workloads::detail(state, &caller(), id).await
}

/// As `GET /jobs/{id}`.
///
/// # Errors
///
/// [`ApiError`], as the route.
pub async fn job(state: &AppState, id: JobId) -> Result<JobDetail, ApiError> {
    jobs::detail(state, &caller(), id).await
}

/// Waits until a workload has ended.
///
/// # Errors
///
/// [`ApiError`], as the route.
pub async fn ended(state: &AppState, id: WorkloadId) -> Result<WorkloadDetail, ApiError> {
    let mut bell = state.handle.views().records.bell();
    loop {
        bell.mark_unchanged();
        let detail = workload(state, id).await?;
        if detail.workload.state.is_terminal() {
            return Ok(detail);
        }
        // The bell is as old as the server.
        let _ = bell.changed().await;
    }
}
