//! The calls of a registered runner, each repeated until it is answered.
//!
//! Every call may be repeated safely (the wire is made so) and every future here may be dropped:
//! a caller that has something better to do selects it away.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::Method;
use serde::de::DeserializeOwned;

use crate::api::wire::{
    AgentHeard, CompleteRequest, CompleteResponse, FromAgent, HeartbeatRequest, HeartbeatResponse,
    HeldLease, JobContext, LeaseBody, LogAck, PollRequest, PollResponse, ReleaseRequest,
    StreamRequest, ToAgent,
};
use crate::clock::OsEntropy;
use crate::model::RequeueReason;

use super::http::{Call, CallError, Pieces, Transport};
use super::register::{Registration, Session};

/// The server, as a registered runner sees it.
#[derive(Debug)]
pub(super) struct Client {
    transport: Arc<Transport>,
    registration: Registration,
}

impl Client {
    pub(super) fn new(transport: Arc<Transport>, registration: Registration) -> Self {
        Self { transport, registration }
    }

    /// As [`Registration::refused`].
    pub(super) async fn refused(&self) {
        self.registration.refused().await;
    }

    /// Who we are now, and what the server asked of us.
    pub(super) fn session(&self) -> Arc<Session> {
        self.registration.session()
    }

    /// Asks for work; parked by the server up to `wait_ms`.
    pub(super) async fn poll(&self, request: &PollRequest) -> Result<PollResponse, CallError> {
        let patience = Duration::from_millis(u64::try_from(request.wait_ms).unwrap_or(0));
        self.ask("poll", |session| {
            let path = format!("/api/v1/runners/{}/poll", session.answer.runner_id);
            Call { patience, ..Call::post(path, request) }
        })
        .await
    }

    /// Opens a stream of work: tried once, because there are polls in its place.
    pub(super) async fn stream(&self, request: &StreamRequest) -> Result<Pieces, CallError> {
        let session = self.session();
        let path = format!("/api/v1/runners/{}/stream", session.answer.runner_id);
        self.transport.stream(&session.answer.token, Call::post(path, request)).await
    }

    /// Renews leases: tried once, because by the next try there may be others.
    pub(super) async fn heartbeat(
        &self,
        request: &HeartbeatRequest,
    ) -> Result<HeartbeatResponse, CallError> {
        let session = self.session();
        let path = format!("/api/v1/runners/{}/heartbeat", session.answer.runner_id);
        match self.transport.send(&session.answer.token, Call::post(path, request)).await {
            Ok(body) => read(&body),
            Err(error) => {
                if calls_for_registration("heartbeat", &error) {
                    self.registration.renew(session.generation).await;
                }
                Err(error)
            }
        }
    }

    /// Says that the work begins, and is told what it is.
    pub(super) async fn start(&self, held: &HeldLease) -> Result<JobContext, CallError> {
        let body = LeaseBody { nonce: held.nonce };
        // Of a session's job we say by ourselves what its agent has dealt with.
        let query = vec![("talks", true.to_string())];
        self.ask("start", |_| {
            let call = Call::post(format!("/api/v1/leases/{}/start", held.lease), &body);
            Call { query: query.clone(), ..call }
        })
        .await
    }

    /// The delivery's raw body, a piece at a time.
    pub(super) async fn payload(&self, held: &HeldLease) -> Result<Pieces, CallError> {
        let session = self.session();
        let call = Call::new(Method::GET, format!("/api/v1/leases/{}/event", held.lease));
        let call = Call { nonce: Some(held.nonce), ..call };
        let answer = self.transport.stream(&session.answer.token, call).await;
        if let Err(CallError::Unauthorized) = answer {
            self.registration.renew(session.generation).await;
        }
        answer
    }

    /// Hands over the log's bytes from `offset` on.
    pub(super) async fn append_log(
        &self,
        held: &HeldLease,
        offset: u64,
        bytes: Bytes,
    ) -> Result<LogAck, CallError> {
        self.ask("logs", |_| {
            let path = format!("/api/v1/leases/{}/logs", held.lease);
            let query = vec![("offset", offset.to_string()), ("nonce", held.nonce.to_string())];
            let content = super::http::Content::Raw(bytes.clone());
            Call { query, content, ..Call::new(Method::POST, path) }
        })
        .await
    }

    /// Asks what the agent of a session is to be told after this message; parked by the server.
    pub(super) async fn messages(
        &self,
        held: &HeldLease,
        after: i64,
        wait_ms: i64,
    ) -> Result<ToAgent, CallError> {
        self.ask("messages", |_| {
            let path = format!("/api/v1/leases/{}/messages", held.lease);
            let query = vec![("after", after.to_string()), ("wait_ms", wait_ms.to_string())];
            let patience = Duration::from_millis(wait_ms.unsigned_abs());
            let nonce = Some(held.nonce);
            Call { query, nonce, patience, ..Call::new(Method::GET, path) }
        })
        .await
    }

    /// Tells what the agent of a session says.
    pub(super) async fn tell(
        &self,
        held: &HeldLease,
        request: &FromAgent,
    ) -> Result<AgentHeard, CallError> {
        self.ask("tell", |_| Call::post(format!("/api/v1/leases/{}/messages", held.lease), request))
            .await
    }

    /// Says how the attempt ended.
    pub(super) async fn complete(
        &self,
        held: &HeldLease,
        request: &CompleteRequest,
    ) -> Result<CompleteResponse, CallError> {
        self.ask("complete", |_| {
            Call::post(format!("/api/v1/leases/{}/complete", held.lease), request)
        })
        .await
    }

    /// Gives the job back.
    pub(super) async fn release(
        &self,
        held: &HeldLease,
        reason: RequeueReason,
    ) -> Result<(), CallError> {
        let body = ReleaseRequest { nonce: held.nonce, reason, error: None };
        let path = format!("/api/v1/leases/{}/release", held.lease);
        self.until_answered("release", |_| Call::post(path.clone(), &body)).await.map(drop)
    }

    /// Leaves for good.
    pub(super) async fn deregister(&self) -> Result<(), CallError> {
        let path = |session: &Session| format!("/api/v1/runners/{}", session.answer.runner_id);
        self.until_answered("deregister", |session| Call::new(Method::DELETE, path(session)))
            .await?;
        self.registration.forget();
        Ok(())
    }

    /// Delays between tries of whoever repeats by itself.
    pub(super) fn backoff(&self) -> super::backoff::Backoff {
        self.registration.backoff()
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        what: &'static str,
        make: impl Fn(&Session) -> Call,
    ) -> Result<T, CallError> {
        read(&self.until_answered(what, make).await?)
    }

    async fn until_answered(
        &self,
        what: &'static str,
        make: impl Fn(&Session) -> Call,
    ) -> Result<Bytes, CallError> {
        let mut backoff = self.backoff();
        loop {
            let session = self.session();
            let error = match self.transport.send(&session.answer.token, make(&session)).await {
                Ok(body) => return Ok(body),
                Err(error) => error,
            };
            let register = calls_for_registration(what, &error);
            if !register && !error.is_passing() {
                return Err(error);
            }
            let delay = backoff.delay(error.retry_after(), &mut OsEntropy);
            tracing::warn!(call = what, %error, delay_ms = delay.as_millis(), "will try again");
            tokio::time::sleep(delay).await;
            if register {
                self.registration.renew(session.generation).await;
            }
        }
    }
}

/// Whether the server no longer knows us: not by this token, or not at all.
fn calls_for_registration(what: &str, error: &CallError) -> bool {
    match (what, error) {
        ("deregister", _) => false,
        (_, CallError::Unauthorized) => true,
        ("poll" | "heartbeat", CallError::Refused { status, .. }) => *status == 404,
        _ => false,
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, CallError> {
    serde_json::from_slice(body).map_err(|error| CallError::Garbled(error.to_string()))
}
