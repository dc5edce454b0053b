//! Many calls in one: each item is carried out as the call alone would be, and has a result of its
//! own.
//!
//! All items are read first and then sent together, without waiting in between, so that they share
//! one transaction as far as the driver's batches go.
//!
//! Who calls for several runners shows the token of each: the request's own, and in each item of
//! another runner that runner's. No token opens more here than it opens alone.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use futures_util::FutureExt as _;
use futures_util::future::join_all;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use serde::de::DeserializeOwned;

use super::accept::{check_key, idempotency_key, traceparent};
use super::access::{May, RunnerCaller, Submit};
use super::body::Json;
use super::cause::Cause;
use super::error::ApiError;
use super::state::{AppState, Shared};
use super::wire::{
    BatchRequest, BatchResponse, BatchResult, CompleteItem, CompleteResponse, PollItem,
    PollResponse, SubmitItem, SubmitResponse,
};
use super::workloads::Submission;
use super::{leases, runners};
use crate::model::LeaseRef;

/// What becomes of one item, with the status of the call alone.
type Outcome<T> = Result<(StatusCode, T), ApiError>;

/// `POST /workloads/batch`
pub(super) async fn submit(
    caller: May<Submit>,
    State(state): State<AppState>,
    headers: HeaderMap,
    Json(request): Json<BatchRequest>,
) -> Result<axum::Json<BatchResponse<SubmitResponse>>, ApiError> {
    let (trace, shared_key) = (traceparent(&headers), idempotency_key(&headers)?);
    let cause = Cause::of(&state, &headers).await?;
    let mut submissions = Vec::with_capacity(request.items.len());
    for (at, item) in read::<SubmitItem>(&state, request)?.into_iter().enumerate() {
        let key = |item: &SubmitItem| match &item.idempotency_key {
            Some(own) => check_key(own).map(Some),
            // No header can hold this character, so it is no item's own key.
            None => Ok(shared_key.as_ref().map(|key| format!("{key}\u{1e}{at}").into())),
        };
        let item = item.and_then(|item| Ok((key(&item)?, item.workload)));
        submissions.push(match item {
            Err(error) => Err(error),
            Ok((key, workload)) => {
                let checked =
                    Submission::check(&state, &caller, workload, key, trace.as_deref()).await;
                checked.map(|mut submission| {
                    submission.limit(cause.as_ref());
                    submission
                })
            }
        });
    }
    let carry_out = |submission: Result<Submission, ApiError>| {
        let state = state.clone();
        async move { submission?.carry_out(state).await }
    };
    // A client that hangs up does not undo what it asked for.
    let task = tokio::spawn(join_all(submissions.into_iter().map(carry_out)));
    answer(task.await.map_err(|error| ApiError::Internal(error.to_string()))?)
}

/// `POST /leases/complete`
pub(super) async fn complete(
    caller: RunnerCaller,
    State(state): State<AppState>,
    Json(request): Json<BatchRequest>,
) -> Result<axum::Json<BatchResponse<CompleteResponse>>, ApiError> {
    let items = read::<CompleteItem>(&state, request)?;
    let complete = async |item: Result<CompleteItem, ApiError>| {
        let CompleteItem { lease, token, result } = item?;
        let runner_id = caller.or_of(&state, token.as_deref())?.0;
        let lease = LeaseRef { token: lease, nonce: result.nonce, runner_id };
        Ok((StatusCode::OK, leases::complete_one(&state, lease, result).await?))
    };
    answer(join_all(items.into_iter().map(complete)).await)
}

/// `POST /runners/poll`
pub(super) async fn poll(
    caller: RunnerCaller,
    State(state): State<AppState>,
    Json(request): Json<BatchRequest>,
) -> Result<axum::Json<BatchResponse<PollResponse>>, ApiError> {
    let items = read::<PollItem>(&state, request)?;
    let mut outcomes: Vec<Option<Outcome<PollResponse>>> = items.iter().map(|_| None).collect();
    let ask = async |at: usize, item: Result<PollItem, ApiError>| {
        let asked = async {
            let PollItem { runner_id, token, poll } = item?;
            caller.or_of(&state, token.as_deref())?.must_be(runner_id)?;
            runners::poll_one(&state, runner_id, poll).await
        };
        (at, asked.await.map(|response| (StatusCode::OK, response)))
    };
    let asks = items.into_iter().enumerate().map(|(at, item)| ask(at, item));
    let mut polls: FuturesUnordered<_> = asks.collect();
    while let Some((at, outcome)) = polls.next().await {
        let says = outcome.as_ref().is_ok_and(|(_, it)| *it != PollResponse::default());
        outcomes[at] = Some(outcome);
        if says {
            break;
        }
    }
    if !polls.is_empty() {
        // What was decided in the same batch is said before a question is answered.
        let _ = state.handle.ask(|_, _| ()).await;
        while let Some(Some((at, outcome))) = polls.next().now_or_never() {
            outcomes[at] = Some(outcome);
        }
    }
    // The others are parked no longer; what one is given in this moment goes back.
    drop(polls);
    let nothing = || Ok((StatusCode::OK, PollResponse::default()));
    answer(outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(nothing)).collect())
}

/// The items of a request, each read by itself.
fn read<T: DeserializeOwned>(
    state: &Shared,
    request: BatchRequest,
) -> Result<Vec<Result<T, ApiError>>, ApiError> {
    let (items, max) = (request.items.len(), state.limits.batch_items_max);
    if items > max {
        return Err(ApiError::TooManyItems { items, max });
    }
    let read = |item| {
        serde_json::from_value(item).map_err(|error| {
            ApiError::BadRequest(format!("the item is not what is expected: {error}"))
        })
    };
    Ok(request.items.into_iter().map(read).collect())
}

/// One result for each item. When nothing was done and the store is the reason, that is the answer
/// to the whole request.
fn answer<T>(mut outcomes: Vec<Outcome<T>>) -> Result<axum::Json<BatchResponse<T>>, ApiError> {
    if outcomes.iter().all(Result::is_err) {
        let away = |outcome: &Outcome<T>| {
            outcome.as_ref().is_err_and(|error| {
                error.problem().status == StatusCode::SERVICE_UNAVAILABLE.as_u16()
            })
        };
        if let Some(at) = outcomes.iter().position(away)
            && let Err(error) = outcomes.swap_remove(at)
        {
            return Err(error);
        }
    }
    let result = |outcome: Outcome<T>| match outcome {
        Ok((status, body)) => {
            BatchResult { status: status.as_u16(), body: Some(body), error: None }
        }
        Err(error) => {
            let problem = error.problem();
            BatchResult { status: problem.status, body: None, error: Some(problem) }
        }
    };
    Ok(axum::Json(BatchResponse { items: outcomes.into_iter().map(result).collect() }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::CommandError;

    fn bad() -> Outcome<u8> {
        Err(ApiError::BadRequest("no".into()))
    }

    fn away() -> Outcome<u8> {
        Err(CommandError::Unavailable.into())
    }

    fn statuses(outcomes: Vec<Outcome<u8>>) -> Vec<u16> {
        answer(outcomes).unwrap().0.items.iter().map(|item| item.status).collect()
    }

    #[test]
    fn a_store_that_is_away_is_the_whole_answer_only_when_nothing_was_done() {
        assert_eq!(answer(vec![bad(), away()]).err().unwrap().problem().status, 503);
        let done = || Ok((StatusCode::CREATED, 1));
        assert_eq!(statuses(vec![bad(), done(), away()]), [400, 201, 503]);
        assert_eq!(statuses(vec![bad(), bad()]), [400, 400]);
        assert!(statuses(Vec::new()).is_empty());
    }
}
