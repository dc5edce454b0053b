//! Who the runner is to the server: registration, and again whenever its token is not accepted.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use crate::api::wire::{RegisterRequest, RegisterResponse};
use crate::clock::OsEntropy;

use super::backoff::Backoff;
use super::http::{Call, CallError, Transport};
use super::work_folder::WorkFolder;
use super::{RunnerError, RunnerOptions};

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
    server: String,
    token_file: PathBuf,
    retry: (u64, u64),
    /// Written by `renew`, read by every call.
    session: Mutex<Arc<Session>>,
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
            server: options.server.clone(),
            token_file: options.token_file.clone(),
            retry: (options.retry_initial_ms, options.retry_max_ms),
            session: Mutex::new(Arc::new(Session { generation: 0, answer: nobody })),
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
    /// that goes on, and the operator may put a new token into the file.
    pub(super) async fn renew(&self, generation: u64) {
        let _turn = self.renewing.lock().await;
        let mut backoff = self.backoff();
        while self.session().generation == generation {
            let (error, retry_after) = match self.register().await {
                Ok(Ok(())) => return,
                Ok(Err(error)) => (error.to_string(), error.retry_after()),
                Err(error) => (error.to_string(), None),
            };
            let delay = backoff.delay(retry_after, &mut OsEntropy);
            tracing::warn!(error, delay_ms = delay.as_millis(), "cannot register again yet");
            tokio::time::sleep(delay).await;
        }
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
        if let Err(error) = self.folder.keep_registration(&self.server, &answer) {
            tracing::warn!(%error, "cannot keep the registration in the work folder");
        }
        tracing::info!(runner_id = %answer.runner_id, name = self.request.name, "registered");
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        *session = Arc::new(Session { generation: session.generation + 1, answer });
        Ok(Ok(()))
    }

    fn token(&self) -> Result<String, RunnerError> {
        let fail = |reason| RunnerError::TokenFile { path: self.token_file.clone(), reason };
        let text = std::fs::read_to_string(&self.token_file);
        let text = text.map_err(|error| fail(error.to_string()))?;
        match text.trim() {
            "" => Err(fail("it is empty".to_owned())),
            token => Ok(token.to_owned()),
        }
    }
}
