//! One attempt's log in memory: the lock around its end, and the wake-up of its followers.

use tokio::sync::{Mutex, watch};

use super::place::{Key, Place};
use super::tail::{Step, Tail};
use super::{Appended, LogError};

/// What followers are told.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Published {
    /// Bytes that can be read.
    pub(super) log_bytes: u64,
    /// Whether there will be no more.
    pub(super) sealed: bool,
}

/// One attempt's log.
#[derive(Debug)]
pub(super) struct AttemptLog {
    key: Key,
    /// The log's end as the last call left it; `None` before the first call and after one that failed:
    /// then the place is asked. Also the lock under which this process writes.
    tail: Mutex<Option<Tail>>,
    /// Written with each change of the log, read by followers.
    published: watch::Sender<Published>,
}

impl AttemptLog {
    pub(super) fn new(key: Key) -> Self {
        Self { key, tail: Mutex::new(None), published: watch::Sender::new(Published::default()) }
    }

    pub(super) fn key(&self) -> Key {
        self.key
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<Published> {
        self.published.subscribe()
    }

    /// Bytes that are there already are skipped, bytes over the limit dropped.
    ///
    /// Memory forgets the end before it is changed and learns it from the result, so that after a failure
    /// the next call asks the place. Ends: when somebody else was faster, the log has grown or is sealed.
    pub(super) async fn append(
        &self,
        place: &Place,
        offset: u64,
        bytes: &[u8],
        log_bytes_max: u64,
    ) -> Result<Appended, LogError> {
        let mut known = self.tail.lock().await;
        loop {
            let (tail, from_memory) = match known.take() {
                Some(tail) => (tail, true),
                None => (place.load(self.key).await?, false),
            };
            self.publish(tail);
            match tail.step(offset, bytes, log_bytes_max) {
                Ok(Step::Write { bytes, kept }) => {
                    *known = place.write(self.key, tail, bytes, kept).await?;
                }
                // Another instance may have written what is missing.
                Ok(Step::Gap) if from_memory => {}
                Ok(Step::Gap) => {
                    *known = Some(tail);
                    return Err(LogError::Gap { offset, next_offset: tail.kept });
                }
                Ok(Step::Done(appended)) => {
                    *known = Some(tail);
                    return Ok(appended);
                }
                Err(error) => {
                    *known = Some(tail);
                    return Err(error);
                }
            }
        }
    }

    /// Sealing twice is sealing once. How long the log is.
    pub(super) async fn seal(&self, place: &Place) -> Result<u64, LogError> {
        let mut known = self.tail.lock().await;
        let tail = match known.take() {
            Some(tail) => tail,
            None => place.load(self.key).await?,
        };
        let tail = if tail.sealed { tail } else { place.seal(self.key).await? };
        *known = Some(tail);
        self.publish(tail);
        Ok(tail.log_bytes)
    }

    /// Asks the place, whatever memory says: the poll behind the wake-up.
    pub(super) async fn refresh(&self, place: &Place) -> Result<(), LogError> {
        let mut known = self.tail.lock().await;
        *known = None;
        let tail = place.load(self.key).await?;
        *known = Some(tail);
        self.publish(tail);
        Ok(())
    }

    fn publish(&self, tail: Tail) {
        let published = Published { log_bytes: tail.log_bytes, sealed: tail.sealed };
        self.published.send_if_modified(|last| {
            let is_news = *last != published;
            *last = published;
            is_news
        });
    }
}
