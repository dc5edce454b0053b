//! One stream of work: what comes over it, and when it is broken.

use std::collections::VecDeque;
use std::pin::Pin;
use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio::time::Sleep;

use crate::api::wire::sse::{SseEvent, SseParser};
use crate::api::wire::{Assignment, StreamHello, StreamLease, StreamRequest, stream_event};
use crate::model::LeaseToken;

use super::http::{CallError, Pieces, silent};
use super::shared::Shared;

/// How long a stream may take to say hello. Meanwhile it has taken the place of polls, so something
/// on the way that gathers what it passes on must not keep the runner waiting for long.
const HELLO_PATIENCE: Duration = Duration::from_secs(3);
/// So many keep-alives in a row may be missing, less one.
const KEEP_ALIVES: u32 = 3;
/// The shortest silence that breaks a stream, whatever the server says.
const SILENCE_MIN: Duration = Duration::from_millis(500);

/// What the server says.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum News {
    /// A job to start.
    Job(Box<Assignment>),
    /// Work to stop.
    Cancel(LeaseToken),
    /// A lease that is ours no longer.
    Lost(LeaseToken),
    /// Finish and leave.
    Drain,
}

/// An open stream.
pub(super) struct WorkStream {
    pieces: Pieces,
    parser: SseParser,
    ready: VecDeque<SseEvent>,
    /// How long it may be silent.
    patience: Duration,
    /// Runs out when it was silent for longer.
    silence: Pin<Box<Sleep>>,
    /// Whether anything came after its hello.
    has_lived: bool,
}

impl WorkStream {
    /// Opens one.
    pub(super) async fn open(shared: &Shared) -> Result<Self, CallError> {
        let opened = tokio::time::timeout(HELLO_PATIENCE, Self::greet(shared));
        opened.await.map_err(|_| silent())?
    }

    async fn greet(shared: &Shared) -> Result<Self, CallError> {
        let leases = shared.table.tokens();
        let current_jobs = u32::try_from(leases.len()).ok();
        let request = StreamRequest { leases, capabilities: None, current_jobs };
        let pieces = shared.client.stream(&request).await?;
        let mut stream = Self {
            pieces,
            parser: SseParser::new(),
            ready: VecDeque::new(),
            patience: HELLO_PATIENCE,
            silence: Box::pin(tokio::time::sleep(HELLO_PATIENCE)),
            has_lived: false,
        };
        let ended = || CallError::Unreachable("it ended before it said hello".to_owned());
        let first = stream.event().await?.ok_or_else(ended)?;
        if first.event != stream_event::HELLO {
            return Err(CallError::Garbled(format!("`{}` instead of hello", first.event)));
        }
        let hello: StreamHello = read(&first)?;
        let keep_alive = Duration::from_millis(u64::try_from(hello.keep_alive_ms).unwrap_or(0));
        stream.patience = keep_alive.saturating_mul(KEEP_ALIVES).max(SILENCE_MIN);
        stream.silence = Box::pin(tokio::time::sleep(stream.patience));
        stream.has_lived = false;
        Ok(stream)
    }

    /// Whether more than its beginning came through.
    pub(super) fn has_lived(&self) -> bool {
        self.has_lived
    }

    /// What the server says next; `None` when it ended the stream. Dropping the future loses nothing.
    pub(super) async fn next(&mut self) -> Result<Option<News>, CallError> {
        while let Some(event) = self.event().await? {
            match event.event.as_str() {
                stream_event::ASSIGNMENT => return Ok(Some(News::Job(Box::new(read(&event)?)))),
                stream_event::CANCEL => {
                    return Ok(Some(News::Cancel(read::<StreamLease>(&event)?.lease)));
                }
                stream_event::LOST => {
                    return Ok(Some(News::Lost(read::<StreamLease>(&event)?.lease)));
                }
                stream_event::DRAIN => return Ok(Some(News::Drain)),
                // A newer server has more to say than we know of.
                _ => {}
            }
        }
        Ok(None)
    }

    async fn event(&mut self) -> Result<Option<SseEvent>, CallError> {
        while self.ready.is_empty() {
            let piece = tokio::select! {
                piece = self.pieces.whenever() => piece?,
                () = &mut self.silence => return Err(silent()),
            };
            let Some(piece) = piece else { return Ok(None) };
            // Keep-alives, which are no events, count as well.
            self.silence = Box::pin(tokio::time::sleep(self.patience));
            self.has_lived = true;
            let events = self.parser.push(&piece);
            self.ready.extend(events.map_err(|error| CallError::Garbled(error.to_string()))?);
        }
        Ok(self.ready.pop_front())
    }
}

fn read<T: DeserializeOwned>(event: &SseEvent) -> Result<T, CallError> {
    serde_json::from_str(&event.data).map_err(|error| CallError::Garbled(error.to_string()))
}
