//! HTTP as runners speak it: many of them over one pool of connections, each with its own token.

use std::time::Duration;

use reqwest::RequestBuilder;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::api::wire::{
    Assignment, CompleteRequest, CompleteResponse, LeaseBody, PollRequest, PollResponse,
    RegisterRequest, RegisterResponse,
};
use crate::model::{AttemptOutcome, RunnerCapabilities};

/// Longer than any poll is parked here.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A server's API, without regard to why a call failed: who measures counts what went well.
#[derive(Clone, Debug)]
pub(super) struct Wire {
    http: reqwest::Client,
    base: String,
}

impl Wire {
    pub(super) fn new(base: String) -> Self {
        Self { http: reqwest::Client::new(), base }
    }

    /// The server's address.
    pub(super) fn base(&self) -> &str {
        &self.base
    }

    /// `POST /api/v1/{path}`: the answer, if it is a good one.
    pub(super) async fn post<R: DeserializeOwned>(
        &self,
        path: &str,
        token: &str,
        body: &impl Serialize,
    ) -> Option<R> {
        let request = self.http.post(format!("{}/api/v1/{path}", self.base)).json(body);
        answered(request, token).await
    }

    /// `GET /api/v1/{path}`: the answer, if it is a good one.
    pub(super) async fn get<R: DeserializeOwned>(&self, path: &str, token: &str) -> Option<R> {
        answered(self.http.get(format!("{}/api/v1/{path}", self.base)), token).await
    }

    /// `POST /{path}` with these headers: the answer's text, if it was accepted.
    pub(super) async fn deliver(
        &self,
        path: &str,
        headers: reqwest::header::HeaderMap,
        body: reqwest::Body,
    ) -> Option<String> {
        let request = self.http.post(format!("{}/{path}", self.base)).headers(headers).body(body);
        let answer = request.timeout(TIMEOUT).send().await.ok()?;
        answer.error_for_status().ok()?.text().await.ok()
    }

    /// `GET /metrics`; empty when there are none to be had.
    pub(super) async fn metrics(&self) -> String {
        let answer = self.http.get(format!("{}/metrics", self.base)).timeout(TIMEOUT).send().await;
        match answer {
            Ok(answer) => answer.text().await.unwrap_or_default(),
            Err(_) => String::new(),
        }
    }
}

async fn answered<R: DeserializeOwned>(request: RequestBuilder, token: &str) -> Option<R> {
    let request = if token.is_empty() { request } else { request.bearer_auth(token) };
    let answer = request.timeout(TIMEOUT).send().await.ok()?;
    answer.error_for_status().ok()?.json().await.ok()
}

/// A runner that was registered.
#[derive(Clone, Debug)]
pub(super) struct Registered {
    wire: Wire,
    me: RegisterResponse,
}

impl Registered {
    /// Says hello as runner `number`, in its `life`th process.
    pub(super) async fn hello(
        wire: &Wire,
        token: &str,
        pool: Option<&str>,
        (number, life): (usize, u32),
        slots: u32,
    ) -> Option<Self> {
        let hello = RegisterRequest {
            name: format!("bench-{number}"),
            instance_id: format!("bench-{number}"),
            boot_id: life.to_string(),
            pool: pool.map(str::to_owned),
            capabilities: RunnerCapabilities {
                max_parallel_jobs: slots,
                labels: vec!["self-hosted".into()],
                ..RunnerCapabilities::default()
            },
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let me = wire.post("runners/register", token, &hello).await?;
        Some(Self { wire: wire.clone(), me })
    }

    /// How often to send a heartbeat.
    pub(super) fn heartbeat_interval(&self) -> Duration {
        Duration::from_millis(self.me.heartbeat_interval_ms.max(1).unsigned_abs())
    }

    /// Asks for work.
    pub(super) async fn poll(&self, poll: &PollRequest) -> Option<PollResponse> {
        self.call("poll", poll).await
    }

    /// One of its own calls, `POST /runners/{id}/{what}`.
    pub(super) async fn call<R: DeserializeOwned>(
        &self,
        what: &str,
        body: &impl Serialize,
    ) -> Option<R> {
        let path = format!("runners/{}/{what}", self.me.runner_id);
        self.wire.post(&path, &self.me.token, body).await
    }

    /// Starts a job. Whether it may.
    pub(super) async fn start(&self, job: &Assignment) -> bool {
        let path = format!("leases/{}/start", job.lease);
        let body = LeaseBody { nonce: job.nonce };
        self.wire.post::<serde_json::Value>(&path, &self.me.token, &body).await.is_some()
    }

    /// Ends a job well.
    pub(super) async fn complete(&self, job: &Assignment) -> Option<CompleteResponse> {
        let path = format!("leases/{}/complete", job.lease);
        let body = CompleteRequest {
            nonce: job.nonce,
            outcome: AttemptOutcome::Completed,
            exit_code: Some(0),
            signal: None,
            error: None,
            outputs: Default::default(),
        };
        self.wire.post(&path, &self.me.token, &body).await
    }
}
