//! Following a log: a stream from a byte offset that ends when the log is sealed and read, or with an error
//! when it is removed before that.

use std::sync::Arc;

use futures_util::stream::{self, Stream};
use tokio::sync::watch;

use super::LogError;
use super::attempt::{AttemptLog, Published};
use super::jobs::{JobLogs, LogChunk};

/// Most bytes of one item of the stream.
const CHUNK_BYTES_MAX: u64 = 65_536;

/// Where a follower stands.
struct Follower {
    logs: JobLogs,
    /// Keeps the attempt in memory, so that writers wake this very one.
    log: Arc<AttemptLog>,
    /// Made before the log is first looked at: nothing that comes after the look is missed.
    news: watch::Receiver<Published>,
    /// The next byte to hand out.
    offset: u64,
    /// Whether the log was looked at since the follower began.
    has_looked: bool,
    /// How long the log was at the last look: one that is shorter was removed.
    seen_bytes: u64,
    /// Whether the stream has told its last: an error is told once.
    is_over: bool,
}

pub(super) fn follow(
    logs: JobLogs,
    log: Arc<AttemptLog>,
    offset: u64,
) -> impl Stream<Item = Result<LogChunk, LogError>> + Send + use<> {
    let news = log.subscribe();
    let follower =
        Follower { logs, log, news, offset, has_looked: false, seen_bytes: 0, is_over: false };
    stream::unfold(follower, |mut follower| async {
        if follower.is_over {
            return None;
        }
        let item = follower.next().await.transpose()?;
        follower.is_over = item.is_err();
        Some((item, follower))
    })
}

impl Follower {
    async fn next(&mut self) -> Result<Option<LogChunk>, LogError> {
        if !self.has_looked {
            self.refresh().await?;
            self.has_looked = true;
        }
        loop {
            let Published { log_bytes, sealed } = *self.news.borrow_and_update();
            if log_bytes < self.seen_bytes {
                // Whoever has read all that there was misses nothing.
                let offset = self.offset;
                let all = offset >= self.seen_bytes;
                return if all { Ok(None) } else { Err(LogError::Removed { offset }) };
            }
            self.seen_bytes = log_bytes;
            if self.offset < log_bytes {
                let chunk = self.read().await?;
                if !chunk.bytes.is_empty() {
                    return Ok(Some(chunk));
                }
            } else if sealed {
                return Ok(None);
            }
            self.wait().await?;
        }
    }

    async fn read(&mut self) -> Result<LogChunk, LogError> {
        let (key, offset) = (self.log.key(), self.offset);
        let (bytes, _) = self.logs.read_from(key, offset, CHUNK_BYTES_MAX).await?;
        self.offset += bytes.len() as u64;
        Ok(LogChunk { offset, bytes: bytes.into() })
    }

    /// Until a writer of this process says something, or long enough to look at the log itself: another
    /// process may have written, and a wake-up may have been lost.
    async fn wait(&mut self) -> Result<(), LogError> {
        match tokio::time::timeout(self.logs.poll(), self.news.changed()).await {
            Ok(Ok(())) => Ok(()),
            // The sender lives in `self.log`, so `changed` itself cannot fail; if it could, the
            // poll would be all that is left.
            Ok(Err(_)) | Err(_) => self.refresh().await,
        }
    }

    async fn refresh(&self) -> Result<(), LogError> {
        self.logs.refresh(self.log.clone()).await
    }
}
