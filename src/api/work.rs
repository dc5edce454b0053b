//! `POST /runners/{id}/stream`: work for a runner as it comes, as server-sent events.
//!
//! To the scheduler a stream is a poll that is parked again after each answer, so there is one path of
//! assignment. What `driver::WorkStream` gives out counts as delivered; when the connection breaks, the
//! rest goes back as what a poll could not be answered.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{AppendHeaders, IntoResponse};
use futures_util::{StreamExt as _, stream};

use super::access::RunnerCaller;
use super::body::{Id, Json};
use super::error::ApiError;
use super::runners::{boxed, check_leases};
use super::show;
use super::state::AppState;
use super::wire::{StreamHello, StreamLease, StreamRequest, stream_event};
use crate::dispatch::Poll;
use crate::driver::Told;
use crate::model::{LeaseToken, RunnerId};

/// Some proxies gather what they pass on, unless they are told that it is waited for.
const NOT_BUFFERED: AppendHeaders<[(&str, &str); 1]> = AppendHeaders([("x-accel-buffering", "no")]);

/// `POST /runners/{id}/stream`
pub(super) async fn stream(
    caller: RunnerCaller,
    State(state): State<AppState>,
    Id(runner_id): Id<RunnerId>,
    Json(request): Json<StreamRequest>,
) -> Result<impl IntoResponse + use<>, ApiError> {
    caller.must_be(runner_id)?;
    check_leases(request.leases.len())?;
    let silent_max_ms = state.scheduler.poll_wait_max_ms;
    let poll = Poll {
        runner_id,
        poll_id: state.poll_id(),
        wait_ms: silent_max_ms,
        jobs_max: None,
        known: request.leases,
        capabilities: boxed(request.capabilities)?,
        current_jobs: request.current_jobs,
    };
    let work = state.handle.stream(poll).await?;
    let keep_alive_ms = state.scheduler.stream_keep_alive_ms;
    let epoch = state.handle.views().epoch();
    let hello = event(stream_event::HELLO, &StreamHello { epoch, keep_alive_ms, silent_max_ms });
    let ack_window_ms = state.scheduler.ack_window_ms;
    let told = stream::unfold(work, move |mut work| async move {
        let told = work.next().await?;
        Some((Ok::<_, Infallible>(shown(told, ack_window_ms)), work))
    });
    let events = stream::iter([Ok(hello)]).chain(told);
    let keep_alive = Duration::from_millis(u64::try_from(keep_alive_ms).unwrap_or(0));
    Ok((NOT_BUFFERED, Sse::new(events).keep_alive(KeepAlive::new().interval(keep_alive))))
}

fn shown(told: Told, ack_window_ms: i64) -> Event {
    let about = |name, lease: LeaseToken| event(name, &StreamLease { lease });
    match told {
        Told::Lost(lease) => about(stream_event::LOST, lease),
        Told::Cancel(lease) => about(stream_event::CANCEL, lease),
        Told::Job(job) => event(stream_event::ASSIGNMENT, &show::assignment(*job, ack_window_ms)),
        Told::Drain => event(stream_event::DRAIN, &serde_json::json!({})),
    }
}

fn event(name: &str, data: &impl serde::Serialize) -> Event {
    // Wire types are maps with string keys of plain values: writing them cannot fail.
    Event::default().event(name).data(serde_json::to_string(data).unwrap_or_default())
}
