//! Reads server-sent events, one after the other.

use std::collections::VecDeque;

use dispatchyard::api::wire::sse::{SseEvent, SseParser};
use reqwest::{Method, Response};

use super::Api;
use super::wait::within;

/// An open stream.
pub(crate) struct Stream {
    response: Response,
    parser: SseParser,
    ready: VecDeque<SseEvent>,
}

impl Stream {
    /// Opens `/api/v1{path}`, after the event with that id.
    pub(crate) async fn open(api: &Api, path: &str, last_id: Option<&str>) -> Self {
        let mut request = api.request(Method::GET, &format!("/api/v1{path}"));
        request = request.header("accept", "text/event-stream");
        if let Some(id) = last_id {
            request = request.header("last-event-id", id);
        }
        let response = within("the stream opens", request.send()).await.unwrap();
        Self::of(response)
    }

    /// What is answered with events.
    pub(crate) fn of(response: Response) -> Self {
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { response, parser: SseParser::new(), ready: VecDeque::new() }
    }

    /// The next event; nothing when the stream has ended.
    pub(crate) async fn next(&mut self) -> Option<SseEvent> {
        while self.ready.is_empty() {
            // A connection that breaks is an end as well.
            let chunk = within("the next event", self.response.chunk()).await.ok()??;
            self.ready.extend(self.parser.push(&chunk).unwrap());
        }
        self.ready.pop_front()
    }

    /// Events up to the first with that name, and it.
    pub(crate) async fn up_to(&mut self, name: &str) -> Vec<SseEvent> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await {
            let found = event.event == name;
            events.push(event);
            if found {
                return events;
            }
        }
        panic!("the stream ended before `{name}`: {events:?}");
    }
}
