//! When the stream is tried again, beside polls.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Sleep;

use crate::clock::OsEntropy;

use super::WorkTransport;
use super::backoff::Backoff;
use super::http::CallError;
use super::shared::Shared;
use super::stream::WorkStream;

/// When a server that has no streams is asked again: it may have been replaced by a newer one.
const NO_STREAMS_WAIT: Duration = Duration::from_secs(600);

type Opening = Pin<Box<dyn Future<Output = Result<WorkStream, CallError>> + Send>>;

/// Tries to have a stream, now and then.
pub(super) struct Tries {
    /// Never (any more): the operator wants polls, or the runner is leaving.
    never: bool,
    backoff: Backoff,
    /// When the next try is due.
    due: Pin<Box<Sleep>>,
    /// The try that goes on.
    opening: Option<Opening>,
}

impl Tries {
    /// With the first try at once.
    pub(super) fn new(shared: &Shared) -> Self {
        Self {
            never: shared.options.transport == WorkTransport::Poll,
            backoff: backoff(shared),
            due: Box::pin(tokio::time::sleep(Duration::ZERO)),
            opening: None,
        }
    }

    /// Whether a stream is wanted at all.
    pub(super) fn wanted(&self) -> bool {
        !self.never
    }

    /// Whether the server may have taken a poll for superseded by a stream that is not here yet.
    pub(super) fn is_opening(&self) -> bool {
        self.opening.is_some()
    }

    /// The next try, when it is due: a stream, or nothing when it failed. Dropping the future loses
    /// nothing: the try goes on with the next call.
    pub(super) async fn attempt(&mut self, shared: &Arc<Shared>) -> Option<WorkStream> {
        if self.never {
            return std::future::pending().await;
        }
        let opening = match &mut self.opening {
            Some(opening) => opening,
            None => {
                (&mut self.due).await;
                let shared = Arc::clone(shared);
                let opening: Opening = Box::pin(async move { WorkStream::open(&shared).await });
                self.opening.insert(opening)
            }
        };
        let opened = opening.await;
        self.opening = None;
        match opened {
            Ok(stream) => Some(stream),
            Err(error) => {
                let delay = match &error {
                    CallError::Refused { status: 404 | 405, .. } => NO_STREAMS_WAIT,
                    _ => self.backoff.delay(error.retry_after(), &mut OsEntropy),
                };
                tracing::debug!(%error, delay_ms = delay.as_millis(), "no stream: polling");
                self.due = Box::pin(tokio::time::sleep(delay));
                None
            }
        }
    }

    /// The next stream, after as many tries as it takes.
    pub(super) async fn opened(&mut self, shared: &Arc<Shared>) -> WorkStream {
        loop {
            if let Some(stream) = self.attempt(shared).await {
                return stream;
            }
        }
    }

    /// No stream is wanted any more: a try that goes on must not take the place of polls.
    pub(super) fn give_up(&mut self) {
        self.never = true;
        self.opening = None;
    }

    /// A stream broke: the next try is a little later, and later still when none of them lives.
    pub(super) fn broke(&mut self, shared: &Shared, stream: &WorkStream) {
        if stream.has_lived() {
            self.backoff = backoff(shared);
        }
        let delay = self.backoff.delay(None, &mut OsEntropy);
        self.due = Box::pin(tokio::time::sleep(delay));
    }
}

fn backoff(shared: &Shared) -> Backoff {
    Backoff::new(shared.options.retry_initial_ms, shared.options.stream_retry_max_ms)
}
