//! A server whose calls are given up, and how that is done.

use std::cell::RefCell;
use std::convert::Infallible;
use std::pin::pin;
use std::task::Poll;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::http::{Request, StatusCode};
use dispatchyard::api::wire::{Assignment, List, WorkloadView};
use futures_util::StreamExt as _;
use reqwest::Method;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::support::fake_runner::job;
use crate::support::hook::fixture;
use crate::support::instances::{admin, is};
use crate::support::{Api, FakeRunner, Server, Setup};

/// Of each body.
pub(super) const PIECES: usize = 4;
/// No call waits so often.
const WAITS_MAX: usize = 200;

/// A server whose calls are given up, and an honest way to ask what became of them.
pub(super) struct Subject {
    pub(super) router: Router,
    pub(super) api: Api,
    pub(super) server: Server,
    /// The one that leads, if this one does not.
    pub(super) leader: Option<Server>,
    /// How often each call was given up.
    pub(super) seen: RefCell<Vec<String>>,
}

/// A call, as it is sent again and again.
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) token: Option<String>,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
}

impl Call {
    pub(super) fn new(path: impl Into<String>, token: &str, body: &Value) -> Self {
        Self {
            method: Method::POST,
            path: path.into(),
            token: Some(token.to_owned()),
            headers: vec![("content-type", "application/json".to_owned())],
            body: serde_json::to_vec(body).unwrap(),
        }
    }

    pub(super) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    fn request(&self) -> Request<Body> {
        let mut request = Request::builder().method(self.method.clone()).uri(&self.path);
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        let long = self.body.len().div_ceil(PIECES).max(1);
        let pieces: Vec<_> = self.body.chunks(long).map(Bytes::copy_from_slice).collect();
        let pieces = futures_util::stream::iter(pieces).then(async |piece| {
            tokio::task::yield_now().await;
            Ok::<_, Infallible>(piece)
        });
        request.body(Body::from_stream(Box::pin(pieces))).unwrap()
    }

    /// To the end, as the client of a good network.
    pub(super) async fn answered(&self, router: &Router) -> (StatusCode, Vec<u8>) {
        let response = router.clone().oneshot(self.request()).await.unwrap();
        let status = response.status();
        (status, to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec())
    }

    /// Polls it so many times; its answer, if that came before it was given up.
    pub(super) async fn given_up_after(
        &self,
        router: &Router,
        polls: usize,
    ) -> Option<(StatusCode, Vec<u8>)> {
        let mut call = pin!(self.answered(router));
        let mut left = polls;
        std::future::poll_fn(|context| {
            left -= 1;
            match call.as_mut().poll(context) {
                Poll::Ready(answer) => Poll::Ready(Some(answer)),
                Poll::Pending if left == 0 => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }
}

impl Subject {
    pub(super) async fn alone(setup: Setup) -> Self {
        let server = Server::start(&own(setup)).await;
        Self {
            router: server.router(),
            api: admin(&server.api),
            server,
            leader: None,
            seen: RefCell::default(),
        }
    }

    pub(super) async fn standby(setup: Setup) -> Self {
        let setup = own(setup);
        let leader = Server::start(&setup).await;
        let server = Server::start(&setup).await;
        is(&server.api, "standby").await;
        Self {
            router: server.router(),
            api: admin(&server.api),
            server,
            leader: Some(leader),
            seen: RefCell::default(),
        }
    }

    /// Gives a call up after one, two, three polls, until it is answered; `made` makes each, and `then` looks
    /// what has become of it. How often.
    pub(super) async fn give_up(
        &self,
        what: &str,
        made: impl AsyncFn(usize) -> Call,
        then: impl AsyncFn(usize, &Call, bool),
    ) {
        for polls in 1..WAITS_MAX {
            let call = made(polls).await;
            let answer = call.given_up_after(&self.router, polls).await;
            if let Some((status, text)) = &answer {
                let text = String::from_utf8_lossy(text);
                assert!(status.is_success(), "{what}, {polls} polls: {status} {text}");
            }
            then(polls, &call, answer.is_some()).await;
            if answer.is_some() {
                self.seen.borrow_mut().push(format!("{what}: given up at {} points", polls - 1));
                assert!(polls > 1, "{what}: it never waits");
                return;
            }
        }
        panic!("{what}: it waits for ever");
    }

    pub(super) async fn again<T: serde::de::DeserializeOwned>(&self, what: &str, call: &Call) -> T {
        let (status, text) = call.answered(&self.router).await;
        let text = String::from_utf8_lossy(&text);
        assert!(status.is_success(), "{what}: {status} {text}");
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{what}: {error} in {text}"))
    }

    /// How many workloads have this name.
    pub(super) async fn named(&self, name: &str) -> usize {
        let list: List<WorkloadView> = self.api.get("/workloads?limit=500").await;
        list.items.iter().filter(|it| it.name == name).count()
    }

    /// A job that the runner has been given.
    pub(super) async fn given(&self, runner: &FakeRunner) -> Assignment {
        self.api.submit(json!([job("a")])).await;
        runner.take().await
    }
}

/// One body at a time: bytes that are not given back keep the next one out.
fn own(setup: Setup) -> Setup {
    let push = i64::try_from(fixture("push").len()).unwrap();
    let setup = setup.patient().tokens().limit("hook_bytes_in_flight_max", push);
    // Long enough for a machine that stands still; who waits for bytes that never come waits as long.
    setup.scheduler("store_wait_ms", 20_000)
}
