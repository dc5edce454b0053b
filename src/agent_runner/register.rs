//! Who the runner is to the server: registration, and again whenever its token is not accepted.

use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::api::wire::{RegisterRequest, RegisterResponse};
use crate::clock::OsEntropy;

use super::backoff::Backoff;
use super::http::{Call, CallError, Transport};
use super::secrets::Secrets;
use super::work_folder::WorkFolder;
use super::{RunnerError, RunnerOptions, TokenSource};

/// One registration: who we are since when.
#[derive(Debug)]
pub(super) struct Session {
    /// Grows with each registration, so that two calls that fail together register once.
    pub(super) generation: u64,
    pub(super) answer: RegisterResponse,
}

/// Keeps the runner registered.
#[derive(Debug)]
pub(super) struct Registration {
    transport: Arc<Transport>,
    folder: Arc<WorkFolder>,
    request: RegisterRequest,
    /// Is told of each token.
    secrets: Arc<Secrets>,
    server: String,
    token: TokenSource,
    retry: (u64, u64),
    /// Written by `renew`, read by every call.
    session: Mutex<Arc<Session>>,
    refused: CancellationToken,
    /// Held while registering: the others wait for its result.
    renewing: tokio::sync::Mutex<()>,
}

impl Registration {
    /// Registers for the first time; waits for a server that is not there yet.
    ///
    /// Dropping the future is safe: a registration may be repeated.
    pub(super) async fn first(
        options: &RunnerOptions,
        transport: Arc<Transport>,
        folder: Arc<WorkFolder>,
        request: RegisterRequest,
        secrets: Arc<Secrets>,
    ) -> Result<Self, RunnerError> {
        let nobody = RegisterResponse {
            runner_id: crate::model::RunnerId(0),
            token: String::new(),
            heartbeat_interval_ms: 0,
            lease_ms: 0,
            poll_wait_max_ms: 0,
        };
        let registration = Self {
            transport,
            folder,
            request,
            secrets,
            server: options.server.clone(),
            token: options.token.clone(),
            retry: (options.retry_initial_ms, options.retry_max_ms),
            session: Mutex::new(Arc::new(Session { generation: 0, answer: nobody })),
            refused: CancellationToken::new(),
            renewing: tokio::sync::Mutex::new(()),
        };
        let mut backoff = registration.backoff();
        loop {
            match registration.register().await? {
                Ok(()) => return Ok(registration),
                Err(error) if error.is_passing() => {
                    let delay = backoff.delay(error.retry_after(), &mut OsEntropy);
                    tracing::warn!(%error, delay_ms = delay.as_millis(), "cannot register yet");
                    tokio::time::sleep(delay).await;
                }
                Err(error) => return Err(RunnerError::Refused(error.to_string())),
            }
        }
    }

    /// Who we are now.
    pub(super) fn session(&self) -> Arc<Session> {
        Arc::clone(&self.session.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Registers again unless somebody did since `generation`. Never gives up: there may be work
    /// that goes on, and the operator may put a new token into the file. Where the token is no file's, nobody
    /// can, and what is refused is refused for good: see [`Registration::refused`].
    pub(super) async fn renew(&self, generation: u64) {
        let _turn = self.renewing.lock().await;
        let mut backoff = self.backoff();
        while self.session().generation == generation {
            let (error, retry_after) = match self.register().await {
                Ok(Ok(())) => return,
                Ok(Err(error)) if self.is_final(&error) => {
                    tracing::error!(%error, "this runner is not wanted any more");
                    self.refused.cancel();
                    return std::future::pending().await;
                }
                Ok(Err(error)) => (error.to_string(), error.retry_after()),
                Err(error) => (error.to_string(), None),
            };
            let delay = backoff.delay(retry_after, &mut OsEntropy);
            tracing::warn!(error, delay_ms = delay.as_millis(), "cannot register again yet");
            tokio::time::sleep(delay).await;
        }
    }

    /// Whether nothing that could happen would change an answer.
    fn is_final(&self, error: &CallError) -> bool {
        matches!(self.token, TokenSource::Value(_)) && !error.is_passing()
    }

    /// Resolves when the server has refused this runner for good: its work is somebody else's.
    pub(super) async fn refused(&self) {
        self.refused.cancelled().await;
    }

    /// Forgets the registration on disk, after the server did.
    pub(super) fn forget(&self) {
        let _ = self.folder.forget_registration();
    }

    pub(super) fn backoff(&self) -> Backoff {
        Backoff::new(self.retry.0, self.retry.1)
    }

    /// Tries once. The outer error is ours (the token file), the inner one the server's.
    async fn register(&self) -> Result<Result<(), CallError>, RunnerError> {
        let token = self.token()?;
        let call = Call::post("/api/v1/runners/register".to_owned(), &self.request);
        let answer = match self.transport.send(&token, call).await {
            Ok(body) => body,
            Err(error) => return Ok(Err(error)),
        };
        let answer: RegisterResponse = match serde_json::from_slice(&answer) {
            Ok(answer) => answer,
            Err(error) => return Ok(Err(CallError::Garbled(error.to_string()))),
        };
        self.secrets.replace([token.as_bytes(), answer.token.as_bytes()]);
        if let Err(error) = self.folder.keep_registration(&self.server, &answer) {
            tracing::warn!(%error, "cannot keep the registration in the work folder");
        }
        tracing::info!(runner_id = %answer.runner_id, name = self.request.name, "registered");
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        *session = Arc::new(Session { generation: session.generation + 1, answer });
        Ok(Ok(()))
    }

    fn token(&self) -> Result<String, RunnerError> {
        let path = match &self.token {
            TokenSource::Value(token) => return Ok(token.clone()),
            TokenSource::File(path) => path,
        };
        let fail = |reason| RunnerError::TokenFile { path: path.clone(), reason };
        let text = std::fs::read_to_string(path).map_err(|error| fail(error.to_string()))?;
        match text.trim() {
            "" => Err(fail("it is empty".to_owned())),
            token => Ok(token.to_owned()),
        }
    }
}
