//! One attempt's log in memory: the lock around its file, and the wake-up of its followers.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;

use super::file::{self, Tail};
use super::{Appended, LogError};

/// What followers are told.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Published {
    /// Bytes that can be read.
    pub(super) file_bytes: u64,
    /// Whether there will be no more.
    pub(super) sealed: bool,
}

/// One attempt's log.
#[derive(Debug)]
pub(super) struct AttemptLog {
    path: PathBuf,
    /// The file's end as the last call left it; `None` before the first call and after one that
    /// failed: then the file is asked. Also the lock under which the file is written.
    tail: Mutex<Option<Tail>>,
    /// Written with each change of the file, read by followers.
    published: watch::Sender<Published>,
}

impl AttemptLog {
    pub(super) fn new(path: PathBuf) -> Self {
        let published = watch::Sender::new(Published::default());
        Self { path, tail: Mutex::new(None), published }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<Published> {
        self.published.subscribe()
    }

    /// Blocks. Bytes that are there already are skipped, bytes over the limit dropped.
    pub(super) fn append(
        &self,
        offset: u64,
        bytes: &[u8],
        log_bytes_max: u64,
    ) -> Result<Appended, LogError> {
        self.change("append to", |tail| {
            let end = offset.saturating_add(bytes.len() as u64);
            if tail.truncated {
                return Ok((tail, Appended { next_offset: end.max(tail.kept), truncated: true }));
            }
            if offset > tail.kept {
                return Err(LogError::Gap { offset, next_offset: tail.kept });
            }
            let known = usize::try_from(tail.kept - offset).unwrap_or(usize::MAX);
            let fresh = bytes.get(known..).unwrap_or_default();
            if fresh.is_empty() {
                return Ok((tail, Appended { next_offset: tail.kept, truncated: false }));
            }
            if tail.sealed {
                return Err(LogError::Sealed { next_offset: tail.kept });
            }
            let tail = file::append(&self.path, tail, fresh, log_bytes_max)
                .map_err(LogError::io("append to", &self.path))?;
            Ok((tail, Appended { next_offset: end, truncated: tail.truncated }))
        })
    }

    /// Blocks. Sealing twice is sealing once.
    pub(super) fn seal(&self) -> Result<u64, LogError> {
        self.change("seal", |tail| {
            if tail.sealed {
                return Ok((tail, tail.file_bytes));
            }
            let tail = file::seal(&self.path).map_err(LogError::io("seal", &self.path))?;
            Ok((tail, tail.file_bytes))
        })
    }

    /// Blocks. Asks the file, whatever memory says: the poll behind the wake-up.
    pub(super) fn refresh(&self) -> Result<(), LogError> {
        *self.tail.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.change("look at", |tail| Ok((tail, ())))
    }

    /// Runs one change under the lock and publishes what it left.
    ///
    /// Memory forgets the tail before the change and learns it again from its result, so that
    /// after a failure, or a panic, the next call asks the file.
    fn change<T>(
        &self,
        verb: &'static str,
        change: impl FnOnce(Tail) -> Result<(Tail, T), LogError>,
    ) -> Result<T, LogError> {
        let mut known = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        let tail = match known.take() {
            Some(tail) => tail,
            None => file::load(&self.path).map_err(LogError::io(verb, &self.path))?,
        };
        let (tail, answer) = change(tail)?;
        *known = Some(tail);
        let published = Published { file_bytes: tail.file_bytes, sealed: tail.sealed };
        self.published.send_if_modified(|last| {
            let is_news = *last != published;
            *last = published;
            is_news
        });
        Ok(answer)
    }
}
