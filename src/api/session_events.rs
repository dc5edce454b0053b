//! `GET /sessions/{id}/events`: what is said in a session and how it stands, as server-sent events.
//!
//! `message` has the message's number as its id, so whoever comes back with that in `Last-Event-ID` (or asks with
//! `?after=`) misses nothing, also after a restart of the server: the texts are rows. `state` says how the
//! session stands now, once at the beginning and with each change. The stream ends with the session.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::Stream;
use serde::Deserialize;
use tokio::sync::{mpsc, watch};

use super::access::{May, Read};
use super::body::{Id, Params};
use super::error::ApiError;
use super::sessions::{message_view, view};
use super::state::AppState;
use crate::dispatch::SessionPulse;
use crate::model::{SessionId, SessionState};
use crate::store::{MessagePage, StoreError};

const KEEP_ALIVE: Duration = Duration::from_secs(15);
const MESSAGES_AT_ONCE: u32 = 100;
/// How long a reader may keep one event from being sent before it is taken for gone.
const SLOW_READER: Duration = Duration::from_secs(30);

/// From where on.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EventParams {
    after: Option<i64>,
}

/// `GET /sessions/{id}/events`
pub(super) async fn get(
    caller: May<Read>,
    State(state): State<AppState>,
    Id(id): Id<SessionId>,
    Params(params): Params<EventParams>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    // Before the row is read: what happens from then on rings the bell.
    let news = state.handle.views().sessions.watch(id);
    state.session_of(&caller, id).await?;
    let last = headers.get("last-event-id").and_then(|value| value.to_str().ok()?.parse().ok());
    let mut reader = Reader { id, after: last.or(params.after).unwrap_or(0), told: None };
    let (sender, receiver) = mpsc::channel(1);
    let shared = state.clone();
    tokio::spawn(async move {
        let stopping = shared.stopping.clone();
        tokio::select! {
            () = stopping.cancelled() => {}
            () = sender.closed() => {}
            sent = reader.send_all(&shared, news, &sender) => {
                if let Err(error) = sent {
                    tracing::warn!(session_id = %id, %error, "a stream of a session is cut");
                }
            }
        }
    });
    let events = futures_util::stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|event| (Ok(event), receiver))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

/// One who reads.
struct Reader {
    id: SessionId,
    /// Up to this message all are sent.
    after: i64,
    /// The state that was told.
    told: Option<SessionState>,
}

impl Reader {
    async fn send_all(
        &mut self,
        state: &AppState,
        mut news: Option<watch::Receiver<SessionPulse>>,
        sender: &mpsc::Sender<Event>,
    ) -> Result<(), StoreError> {
        loop {
            if let Some(news) = &mut news {
                news.borrow_and_update();
            }
            let Some(row) = state.store.session(self.id).await? else { return Ok(()) };
            let (now, last) = (row.state, row.last_sequence);
            if !self.send_messages(state, last, sender).await? {
                return Ok(());
            }
            if self.told.replace(now) != Some(now) {
                let data = serde_json::to_string(&view(row)).unwrap_or_default();
                if !send(sender, Event::default().event("state").data(data)).await {
                    return Ok(());
                }
            }
            let Some(bell) = news.as_mut().filter(|_| now != SessionState::Ended) else {
                return Ok(());
            };
            // Without a sender it has ended: the row is read once more.
            if bell.changed().await.is_err() {
                news = None;
            }
        }
    }

    /// Whether there is still somebody who reads.
    async fn send_messages(
        &mut self,
        state: &AppState,
        last: i64,
        sender: &mpsc::Sender<Event>,
    ) -> Result<bool, StoreError> {
        while self.after < last {
            let (session_id, after) = (self.id, self.after);
            let page = MessagePage { session_id, after, up_to: last, limit: MESSAGES_AT_ONCE };
            let messages = state.store.messages(page).await?;
            if messages.is_empty() {
                return Ok(true);
            }
            for message in messages {
                self.after = message.sequence;
                let data = serde_json::to_string(&message_view(message)).unwrap_or_default();
                let event = Event::default().event("message").id(self.after.to_string());
                if !send(sender, event.data(data)).await {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }
}

async fn send(sender: &mpsc::Sender<Event>, event: Event) -> bool {
    matches!(tokio::time::timeout(SLOW_READER, sender.send(event)).await, Ok(Ok(())))
}
