//! `GET /jobs/{id}/logs`: the whole log as text, or followed as server-sent events.
//!
//! A followed log is a row of `log` events, then one `end`. An event's id is `attempt-offset`,
//! the place after its piece: sent back as `Last-Event-ID`, the log goes on there. The `end` of a log that is
//! removed meanwhile says so. Without a
//! chosen attempt a follower goes from one attempt to the next until the job has ended.
//!
//! On a PostgreSQL any instance answers, also while nobody leads: logs are rows there as jobs are. Where
//! no record rings, the job's row is looked at once a second.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt as _};
use serde::Deserialize;
use tokio::sync::mpsc;

use super::access::{May, Read};
use super::body::{Id, Params};
use super::error::ApiError;
use super::jobs::row;
use super::state::AppState;
use super::wire::{LogChunk, LogEnd};
use crate::log::LogError;
use crate::model::{JobId, JobStateKind};

/// How often a follower that waits for a job's next attempt looks at its row, behind the bell.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
const KEEP_ALIVE: Duration = Duration::from_secs(15);
const PIECE_BYTES_MAX: u64 = 256 * 1024;

/// Which try.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LogParams {
    attempt: Option<u32>,
}

/// `GET /jobs/{id}/logs`
pub(super) async fn get(
    caller: May<Read>,
    State(state): State<AppState>,
    Id(id): Id<JobId>,
    Params(params): Params<LogParams>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let job = state.job_of(&caller, id).await?;
    if let Some(attempt) = params.attempt.filter(|attempt| *attempt > job.attempt) {
        return Err(ApiError::NotFound { what: "attempt", id: format!("{attempt} of job {id}") });
    }
    let accepts = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    if accepts.is_some_and(|accepts| accepts.contains("text/event-stream")) {
        let from = headers.get("last-event-id").and_then(|value| value.to_str().ok());
        let (attempt, offset) = from.and_then(place).unwrap_or((params.attempt.unwrap_or(1), 0));
        let follower = Follower { state, id, only: params.attempt, attempt, offset };
        return Ok(follower.respond().into_response());
    }
    let attempt = params.attempt.unwrap_or(job.attempt);
    let pieces = whole(state, id, attempt);
    let kind = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
    Ok((kind, Body::from_stream(pieces)).into_response())
}

fn place(id: &str) -> Option<(u32, u64)> {
    let (attempt, offset) = id.split_once('-')?;
    Some((attempt.parse().ok()?, offset.parse().ok()?))
}

/// The log as it is now, piece by piece, so that a large one does not fill memory.
fn whole(
    state: AppState,
    id: JobId,
    attempt: u32,
) -> impl Stream<Item = Result<bytes::Bytes, LogError>> {
    futures_util::stream::unfold(Some(0), move |offset| {
        let logs = state.logs.clone();
        async move {
            let offset = offset?;
            match logs.read(id, attempt, offset, PIECE_BYTES_MAX).await {
                Ok(page) if page.bytes.is_empty() => None,
                Ok(page) => {
                    let next = offset + page.bytes.len() as u64;
                    Some((Ok(page.bytes), Some(next)))
                }
                Err(error) => Some((Err(error), None)),
            }
        }
    })
}

/// How far the log of an attempt was sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Told {
    /// All of it.
    Whole,
    /// It was removed before that.
    Removed,
    /// The client is gone or the log cannot be read: then there is no `end`, and the client comes back
    /// for the rest.
    Broken,
}

struct Follower {
    state: AppState,
    id: JobId,
    /// The one attempt that was asked for.
    only: Option<u32>,
    attempt: u32,
    offset: u64,
}

impl Follower {
    fn respond(self) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
        let (sender, receiver) = mpsc::channel(16);
        tokio::spawn(self.run(sender));
        let events = futures_util::stream::unfold(receiver, |mut receiver| async move {
            receiver.recv().await.map(|event| (Ok(event), receiver))
        });
        Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
    }

    /// Follows attempt after attempt; ends when the client is gone or the server stops.
    async fn run(mut self, sender: mpsc::Sender<Event>) {
        let stopping = self.state.stopping.clone();
        tokio::select! {
            () = stopping.cancelled() => {}
            () = sender.closed() => {}
            () = self.follow(&sender) => {}
        }
    }

    async fn follow(&mut self, sender: &mpsc::Sender<Event>) {
        loop {
            // The bell is taken before the row is read: nothing falls between.
            let mut bell = self.state.handle.views().records.bell();
            let Ok(job) = row(&self.state, self.id).await else { return };
            if self.attempt <= job.attempt {
                // An attempt that has ended is sealed here too, should its end have been missed
                // by a server that was killed; the log of a live one is followed until its end.
                let live = job.lease().is_some() && job.attempt == self.attempt;
                if !live && self.state.logs.seal(self.id, self.attempt).await.is_err() {
                    return;
                }
                let told = self.send_attempt(sender).await;
                if told == Told::Broken {
                    return;
                }
                if self.only.is_some() || told == Told::Removed {
                    let Ok(job) = row(&self.state, self.id).await else { return };
                    return self.end(sender, job.kind(), told == Told::Removed).await;
                }
                (self.attempt, self.offset) = (self.attempt + 1, 0);
            } else if job.kind().is_terminal() {
                return self.end(sender, job.kind(), false).await;
            } else {
                let _ = tokio::time::timeout(LOOK_AGAIN, bell.changed()).await;
            }
        }
    }

    /// Sends one attempt's log until it is sealed.
    async fn send_attempt(&mut self, sender: &mpsc::Sender<Event>) -> Told {
        let pieces = self.state.logs.follow(self.id, self.attempt, self.offset);
        let mut pieces = Box::pin(pieces);
        // The beginning of a character whose rest comes with the next piece.
        let mut begun = Vec::new();
        let mut sealed = false;
        loop {
            let piece = tokio::select! {
                piece = pieces.next() => piece,
                () = tokio::time::sleep(LOOK_AGAIN), if !sealed => {
                    sealed = self.seal_if_ended().await;
                    continue;
                }
            };
            let bytes = match piece {
                Some(Ok(piece)) => piece.bytes,
                Some(Err(LogError::Removed { .. })) => return Told::Removed,
                Some(Err(error)) => {
                    tracing::warn!(job_id = %self.id, %error, "failed to read a log");
                    return Told::Broken;
                }
                None if begun.is_empty() => return Told::Whole,
                None => bytes::Bytes::new(),
            };
            let last = bytes.is_empty();
            begun.extend_from_slice(&bytes);
            let whole = if last { begun.len() } else { whole_characters(&begun) };
            let rest = begun.split_off(whole);
            if !self.send(sender, &std::mem::replace(&mut begun, rest)).await {
                return Told::Broken;
            }
        }
    }

    /// Seals the attempt's log when the attempt has ended, so that it does not depend on anybody
    /// else having done so. Whether it is sealed.
    async fn seal_if_ended(&self) -> bool {
        let Ok(job) = row(&self.state, self.id).await else { return false };
        let live = job.lease().is_some() && job.attempt == self.attempt;
        !live && self.state.logs.seal(self.id, self.attempt).await.is_ok()
    }

    /// Sends a piece of the log. Whether the client is still there.
    async fn send(&mut self, sender: &mpsc::Sender<Event>, bytes: &[u8]) -> bool {
        if bytes.is_empty() {
            return true;
        }
        let text = String::from_utf8_lossy(bytes).into_owned();
        let chunk = LogChunk { attempt: self.attempt, offset: self.offset, text };
        self.offset += bytes.len() as u64;
        let id = format!("{}-{}", self.attempt, self.offset);
        let data = serde_json::to_string(&chunk).unwrap_or_default();
        sender.send(Event::default().event("log").id(id).data(data)).await.is_ok()
    }

    async fn end(&self, sender: &mpsc::Sender<Event>, state: JobStateKind, removed: bool) {
        let data = serde_json::to_string(&LogEnd { state, removed }).unwrap_or_default();
        let _ = sender.send(Event::default().event("end").data(data)).await;
    }
}

/// How many of these bytes can be shown without cutting a character at their end in two. Bytes
/// that are no text at all count as whole: they are shown as replacements.
fn whole_characters(bytes: &[u8]) -> usize {
    match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() => error.valid_up_to(),
        // A wrong byte before the end: look at what stands behind the last of them.
        Err(error) => {
            let after = error.valid_up_to() + error.error_len().unwrap_or(1);
            after + whole_characters(&bytes[after..])
        }
        Ok(_) => bytes.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_is_not_cut_in_two() {
        let text = "a\u{e9}\u{20ac}".as_bytes();
        let whole: Vec<_> = (0..=text.len()).map(|end| whole_characters(&text[..end])).collect();
        assert_eq!(whole, [0, 1, 1, 3, 3, 3, 6]);
        assert_eq!(whole_characters(b"\xffab\xff"), 4);
        assert_eq!(whole_characters(b"\xffab\xc3"), 3);
    }
}
