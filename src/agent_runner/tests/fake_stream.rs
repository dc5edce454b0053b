//! The small server's streams of work.

use std::collections::{BTreeSet, VecDeque};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State as Extract;
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse as _, Response};
use serde_json::json;
use tokio::sync::watch;

use crate::api::wire::*;
use crate::model::LeaseToken;

use super::fake::{Fake, World};

const KEEP_ALIVE_MS: i64 = 50;

/// What one stream has said.
struct Feed {
    fake: Arc<Fake>,
    changed: watch::Receiver<u64>,
    /// Which stream, from 1.
    number: usize,
    given: BTreeSet<LeaseToken>,
    cancelled: BTreeSet<LeaseToken>,
    lost: BTreeSet<LeaseToken>,
    drained: bool,
    ready: VecDeque<Event>,
}

pub(super) async fn stream(
    Extract(fake): Extract<Arc<Fake>>,
    headers: HeaderMap,
    Json(request): Json<StreamRequest>,
) -> Response {
    let (changed, shared) = (fake.changed.subscribe(), Arc::clone(&fake));
    fake.answer("stream", &headers, |world| {
        world.streams.push(request.clone());
        if !world.has_streams {
            return StatusCode::NOT_FOUND.into_response();
        }
        let hello = StreamHello { epoch: 1, keep_alive_ms: KEEP_ALIVE_MS, silent_max_ms: 20_000 };
        let feed = Feed {
            fake: shared,
            changed,
            number: world.streams.len(),
            given: request.leases.into_iter().collect(),
            cancelled: BTreeSet::new(),
            lost: BTreeSet::new(),
            drained: false,
            ready: [event(stream_event::HELLO, &hello)].into(),
        };
        let events = futures_util::stream::unfold(feed, |mut feed| async move {
            feed.next().await.map(|event| (Ok::<_, Infallible>(event), feed))
        });
        Sse::new(events).into_response()
    })
}

impl Feed {
    async fn next(&mut self) -> Option<Event> {
        loop {
            self.changed.borrow_and_update();
            let fake = Arc::clone(&self.fake);
            let mute = {
                let mut world = fake.world();
                if world.streams_cut >= self.number {
                    return None;
                }
                if !world.streams_are_mute {
                    self.look(&mut world);
                }
                world.streams_are_mute
            };
            if !mute && let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            let quiet = tokio::time::sleep(Duration::from_millis(KEEP_ALIVE_MS as u64));
            tokio::select! {
                _ = self.changed.changed() => {}
                () = quiet, if !mute => return Some(Event::default().comment("")),
            }
        }
    }

    /// One job at a time, and what is to stop.
    fn look(&mut self, world: &mut World) {
        let over = |token: &LeaseToken, lost: &BTreeSet<LeaseToken>, lease: &super::fake::Lease| {
            !lease.completions.is_empty() || lease.released.is_some() || lost.contains(token)
        };
        let lost = world.lost.clone();
        let busy = world.leases.iter().any(|(token, it)| it.assigned && !over(token, &lost, it));
        if !busy && let Some(token) = world.queue.pop_front() {
            world.leases.get_mut(&token).expect("known").assigned = true;
        }
        for (token, lease) in &world.leases {
            let unheard = lease.assigned && lease.starts == 0 && !over(token, &lost, lease);
            if unheard && self.given.insert(*token) {
                self.ready.push_back(event(stream_event::ASSIGNMENT, &lease.assignment));
            }
        }
        let about = |name, lease: LeaseToken| event(name, &StreamLease { lease });
        let cancel = world.cancel.iter().filter(|_| !world.cancel_by_heartbeat);
        let new = cancel.filter(|token| self.cancelled.insert(**token));
        self.ready.extend(new.map(|token| about(stream_event::CANCEL, *token)));
        let new = lost.into_iter().filter(|token| self.lost.insert(*token));
        self.ready.extend(new.map(|token| about(stream_event::LOST, token)));
        if world.drain && !std::mem::replace(&mut self.drained, true) {
            self.ready.push_back(event(stream_event::DRAIN, &json!({})));
        }
        // A runner leaves out what it does not know.
        if self.number == 1 && self.given.is_empty() && self.ready.is_empty() {
            self.ready.push_back(Event::default().event("weather").data("fair"));
            self.given.insert(LeaseToken(0));
        }
    }
}

fn event(name: &str, data: &impl serde::Serialize) -> Event {
    Event::default().event(name).data(serde_json::to_string(data).expect("it is JSON"))
}
