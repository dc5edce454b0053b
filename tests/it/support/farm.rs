//! A backend of the HTTP executor: answers jobs as it was told, and keeps what it was asked.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{delete, post};
use serde_json::Value;
use tokio::sync::Semaphore;

use super::{Setup, until};

/// An answer: status, a header, body.
type Told = (u16, Option<(&'static str, String)>, String);

/// Somebody who is posted jobs: answers as it was told, then by 202.
#[derive(Clone)]
pub(crate) struct Farm {
    pub(crate) answers: Arc<Mutex<VecDeque<Told>>>,
    pub(crate) posted: Arc<Mutex<Vec<(HeaderMap, Value)>>>,
    /// What was told to stop, with the headers, and the answers to that; then 204.
    pub(crate) stopped: Arc<Mutex<Vec<(String, HeaderMap)>>>,
    pub(crate) answers_to_stops: Arc<Mutex<VecDeque<u16>>>,
    /// Jobs that are called `held` are answered as often as there are permits.
    pub(crate) held: Arc<Semaphore>,
    /// How often a page was looked at that is no place for jobs.
    pub(crate) pages: Arc<AtomicU32>,
}

impl Default for Farm {
    fn default() -> Self {
        Self {
            answers: Arc::default(),
            posted: Arc::default(),
            stopped: Arc::default(),
            answers_to_stops: Arc::default(),
            held: Arc::new(Semaphore::new(0)),
            pages: Arc::default(),
        }
    }
}

impl Farm {
    pub(crate) async fn start(&self) -> SocketAddr {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let page = async |State(farm): State<Self>| {
            farm.pages.fetch_add(1, Ordering::Relaxed);
            "hello"
        };
        let router = axum::Router::new()
            .route("/run", post(run))
            .route("/runs/{name}", delete(stop))
            .route("/page", axum::routing::any(page))
            .with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        address
    }

    pub(crate) fn answers(&self, status: u16, body: &Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.answers.lock().unwrap().push_back((status, None, body));
    }

    pub(crate) fn answers_with(&self, status: u16, name: &'static str, value: &str) {
        let header = Some((name, value.to_owned()));
        self.answers.lock().unwrap().push_back((status, header, String::new()));
    }

    /// What was told to stop so far, once there is so much.
    pub(crate) async fn stopped(&self, many: usize) -> Vec<(String, HeaderMap)> {
        until("it was told to stop", async || {
            let stopped = self.stopped.lock().unwrap().clone();
            (stopped.len() >= many).then_some(stopped)
        })
        .await
    }

    /// The requests so far, once there are so many.
    pub(crate) async fn posted(&self, many: usize) -> Vec<(HeaderMap, Value)> {
        until("it was posted to", async || {
            let posted = self.posted.lock().unwrap().clone();
            (posted.len() >= many).then_some(posted)
        })
        .await
    }
}

async fn run(State(farm): State<Farm>, headers: HeaderMap, body: String) -> Response {
    let body: Value = serde_json::from_str(&body).unwrap();
    let is_held = body["name"] == "held";
    farm.posted.lock().unwrap().push((headers, body));
    if is_held {
        farm.held.acquire().await.unwrap().forget();
    }
    let answer = farm.answers.lock().unwrap().pop_front();
    let (status, header, body) = answer.unwrap_or((202, None, String::new()));
    let mut response = (StatusCode::from_u16(status).unwrap(), body).into_response();
    if let Some((name, value)) = header {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    response
}

async fn stop(
    State(farm): State<Farm>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> StatusCode {
    farm.stopped.lock().unwrap().push((name, headers));
    let status = farm.answers_to_stops.lock().unwrap().pop_front().unwrap_or(204);
    StatusCode::from_u16(status).unwrap()
}

/// An executor `farm` that has all jobs, with more keys of its own.
pub(crate) fn setup(setup: Setup, address: SocketAddr, more: &str) -> Setup {
    setup.more(&format!(
        "[[executor]]\nname = \"farm\"\nmax_concurrent = 8\n[executor.http]\n\
         url = \"http://{address}/run?key=hunter2\"\nprivate_addresses = true\nbackoff_ms = 1\n{more}\n\
         [[route]]\nname = \"all\"\nmatch = \"**\"\nexecutors = [\"farm\"]\n"
    ))
}
