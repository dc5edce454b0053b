//! `GET /stream`: what happens, as server-sent events.
//!
//! `?job=ID` and `?workload=ID` leave only what is about that one.
//!
//! An event's name is the record's, its id `epoch-sequence`. A reader that comes back with a
//! `Last-Event-ID` of another epoch, or too far behind, gets `resync` and goes on from now: it
//! should look at the state again.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::Stream;
use serde::Deserialize;
use tokio::sync::{mpsc, watch};

use super::access::{May, Read};
use super::body::Params;
use super::error::ApiError;
use super::own::OwnRecords;
use super::show;
use super::state::AppState;
use crate::driver::{Cursor, Streamed};
use crate::model::{JobId, Record, WorkloadId};

const KEEP_ALIVE: Duration = Duration::from_secs(15);
const RECORDS_AT_ONCE: usize = 256;
/// How long a reader may keep one event from being sent before it is taken for gone.
const SLOW_READER: Duration = Duration::from_secs(30);

/// About what; everything when it says nothing.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StreamParams {
    job: Option<JobId>,
    workload: Option<WorkloadId>,
}

impl StreamParams {
    fn wants(self, record: &Record) -> bool {
        self.job.is_none_or(|id| record.job_id == Some(id))
            && self.workload.is_none_or(|id| record.workload_id == Some(id))
    }
}

/// `GET /stream`
pub(super) async fn get(
    caller: May<Read>,
    State(state): State<AppState>,
    Params(params): Params<StreamParams>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    // Nobody waits for news of what is not there.
    if let Some(id) = params.job {
        state.job_of(&caller, id).await?;
    }
    if let Some(id) = params.workload {
        state.workload_of(&caller, id).await?;
    }
    let last = headers.get("last-event-id").and_then(|value| value.to_str().ok()?.parse().ok());
    let (sender, receiver) = mpsc::channel(RECORDS_AT_ONCE);
    // The place is taken before the answer begins: what happens from then on is in the stream.
    let records = &state.handle.views().records;
    let (bell, cursor) = (records.bell(), last.unwrap_or_else(|| records.end()));
    let shared = state.clone();
    let own = caller.limited_to().map(OwnRecords::new);
    tokio::spawn(async move {
        let stopping = shared.stopping.clone();
        tokio::select! {
            () = stopping.cancelled() => {}
            () = send(&shared, own, params, bell, cursor, &sender) => {}
        }
    });
    let events = futures_util::stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|event| (Ok(event), receiver))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

async fn send(
    state: &AppState,
    mut own: Option<OwnRecords>,
    params: StreamParams,
    mut bell: watch::Receiver<u64>,
    mut cursor: Cursor,
    sender: &mpsc::Sender<Event>,
) {
    let records = &state.handle.views().records;
    loop {
        let before = cursor;
        let events = match records.after(cursor, RECORDS_AT_ONCE) {
            Streamed::Resync(end) => {
                cursor = end;
                vec![resync(end)]
            }
            Streamed::Records(mut records) => {
                cursor = records.last().map_or(cursor, |(at, _)| *at);
                records.retain(|(_, record)| params.wants(record));
                visible(state, own.as_mut(), records).await
            }
        };
        if cursor == before && events.is_empty() {
            tokio::select! {
                changed = bell.changed() => if changed.is_err() { return },
                () = sender.closed() => return,
            }
        }
        for event in events {
            if !matches!(tokio::time::timeout(SLOW_READER, sender.send(event)).await, Ok(Ok(()))) {
                return;
            }
        }
    }
}

/// The records that the reader may see. Where it cannot be found out whose one is, the reader
/// should look at the state again.
async fn visible(
    state: &AppState,
    own: Option<&mut OwnRecords>,
    records: Vec<(Cursor, Record)>,
) -> Vec<Event> {
    let Some(own) = own else { return records.into_iter().map(event).collect() };
    let mut events = Vec::new();
    for (at, record) in records {
        match own.has(state, &record).await {
            Ok(true) => events.push(event((at, record))),
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(%error, "failed to find out whose a record is");
                events.push(resync(at));
            }
        }
    }
    events
}

fn resync(at: Cursor) -> Event {
    Event::default().event("resync").id(at.to_string()).data("{}")
}

fn event((at, record): (Cursor, Record)) -> Event {
    let view = show::record(record);
    let data = serde_json::to_string(&view).unwrap_or_default();
    Event::default().event(view.name).id(at.to_string()).data(data)
}
