//! One HTTP call and what its answer means. No retry here: that is `client.rs`.

use std::time::Duration;

use bytes::Bytes;
use reqwest::{Method, StatusCode};

use crate::api::wire::{NONCE_HEADER, Problem};
use crate::model::Nonce;

use super::RunnerError;

/// What is sent besides the address.
#[derive(Debug)]
pub(super) enum Content {
    Nothing,
    Json(Vec<u8>),
    Raw(Bytes),
}

/// One call, ready to be sent.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) method: Method,
    /// Below the server's address, from `/`.
    pub(super) path: String,
    pub(super) query: Vec<(&'static str, String)>,
    pub(super) content: Content,
    /// Sent as a header, where there is no JSON body to carry it.
    pub(super) nonce: Option<Nonce>,
    /// How much longer than usual the answer may take.
    pub(super) patience: Duration,
}

impl Call {
    pub(super) fn new(method: Method, path: String) -> Self {
        Self {
            method,
            path,
            query: Vec::new(),
            content: Content::Nothing,
            nonce: None,
            patience: Duration::ZERO,
        }
    }

    /// A `POST` of JSON.
    pub(super) fn post(path: String, body: &impl serde::Serialize) -> Self {
        // Wire types are maps with string keys of plain values: writing them cannot fail.
        let json = serde_json::to_vec(body).unwrap_or_default();
        Self { content: Content::Json(json), ..Self::new(Method::POST, path) }
    }
}

/// Why a call has no good answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallError {
    #[error("the server cannot be reached: {0}")]
    Unreachable(String),
    #[error("the server is not ready (status {status})")]
    Unavailable { status: u16, retry_after: Option<Duration> },
    #[error("the token is not accepted")]
    Unauthorized,
    #[error("the lease is lost")]
    LeaseLost,
    #[error("status {status}, {code}: {detail}")]
    Refused { status: u16, code: String, detail: String },
    #[error("the answer cannot be read: {0}; is the runner older than the server?")]
    Garbled(String),
}

impl CallError {
    /// Whether the same call may be answered well later.
    pub(super) fn is_passing(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::Unavailable { .. })
    }

    /// What the server asked for.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Unavailable { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    fn unreachable(error: reqwest::Error) -> Self {
        // The address may hold a nonce, which is a secret.
        let error = error.without_url();
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
        Self::Unreachable(format!("{error}{}", cause.unwrap_or_default()))
    }
}

/// The connection to one server.
#[derive(Debug)]
pub(super) struct Transport {
    http: reqwest::Client,
    base: String,
    request_timeout: Duration,
}

impl Transport {
    pub(super) fn new(server: &str, request_timeout: Duration) -> Result<Self, RunnerError> {
        // Idempotent: an error means that somebody installed a provider before us.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .connect_timeout(request_timeout.min(Duration::from_secs(10)))
            .tcp_keepalive(Duration::from_secs(30))
            // A redirect could carry the bearer token elsewhere.
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("dispatchyard-runner/", env!("CARGO_PKG_VERSION")));
        if server.starts_with("http://") {
            // Without TLS no certificates are needed, and a bare container has none.
            builder = builder.tls_certs_only([]);
        }
        let http = builder.build().map_err(|error| RunnerError::HttpClient(error.to_string()))?;
        Ok(Self { http, base: server.trim_end_matches('/').to_owned(), request_timeout })
    }

    /// Sends the call and reads its whole answer.
    pub(super) async fn send(&self, bearer: &str, call: Call) -> Result<Bytes, CallError> {
        let timeout = self.request_timeout + call.patience;
        let response = self.open(bearer, call, Some(timeout)).await?;
        response.bytes().await.map_err(CallError::unreachable)
    }

    /// Sends the call and answers with its body still to be read, a piece at a time.
    pub(super) async fn stream(&self, bearer: &str, call: Call) -> Result<Pieces, CallError> {
        let response = tokio::time::timeout(self.request_timeout, self.open(bearer, call, None));
        let response = response.await.map_err(|_| silent())??;
        Ok(Pieces { response, patience: self.request_timeout })
    }

    async fn open(
        &self,
        bearer: &str,
        call: Call,
        timeout: Option<Duration>,
    ) -> Result<reqwest::Response, CallError> {
        let address = format!("{}{}", self.base, call.path);
        let mut request = self.http.request(call.method, address).bearer_auth(bearer);
        if !call.query.is_empty() {
            request = request.query(&call.query);
        }
        if let Some(nonce) = call.nonce {
            request = request.header(NONCE_HEADER, nonce.to_string());
        }
        if let Some(timeout) = timeout {
            request = request.timeout(timeout);
        }
        request = match call.content {
            Content::Nothing => request,
            Content::Json(body) => request.header("content-type", "application/json").body(body),
            Content::Raw(body) => {
                request.header("content-type", "application/octet-stream").body(body)
            }
        };
        let response = request.send().await.map_err(CallError::unreachable)?;
        if response.status().is_success() { Ok(response) } else { Err(classify(response).await) }
    }
}

/// A body that arrives.
#[derive(Debug)]
pub(super) struct Pieces {
    response: reqwest::Response,
    patience: Duration,
}

impl Pieces {
    /// The next piece; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, CallError> {
        let patience = self.patience;
        tokio::time::timeout(patience, self.whenever()).await.map_err(|_| silent())?
    }

    /// The same, however long it takes. Dropping the future loses nothing.
    pub(super) async fn whenever(&mut self) -> Result<Option<Bytes>, CallError> {
        self.response.chunk().await.map_err(CallError::unreachable)
    }
}

pub(super) fn silent() -> CallError {
    CallError::Unreachable("no answer in time".to_owned())
}

async fn classify(response: reqwest::Response) -> CallError {
    let status = response.status();
    let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
    let retry_after = header("retry-after").and_then(|value| value.trim().parse().ok());
    let retry_after = retry_after.map(Duration::from_secs);
    if is_passing(status) {
        return CallError::Unavailable { status: status.as_u16(), retry_after };
    }
    if status == StatusCode::UNAUTHORIZED {
        return CallError::Unauthorized;
    }
    let body = response.bytes().await.unwrap_or_default();
    let problem = serde_json::from_slice::<Problem>(&body).ok();
    let (code, detail) = problem.map_or_else(
        || ("no problem document".to_owned(), String::new()),
        |problem| (problem.code().to_owned(), problem.detail),
    );
    if status == StatusCode::CONFLICT && code == "lease-lost" {
        return CallError::LeaseLost;
    }
    CallError::Refused { status: status.as_u16(), code, detail }
}

/// Whether the status speaks of the server's present state rather than of this call.
fn is_passing(status: StatusCode) -> bool {
    status.is_server_error()
        || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT)
}
