//! All jobs' logs: the calls that the API makes.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::Stream;

use super::attempt::AttemptLog;
use super::files::Files;
use super::place::{Key, Place};
use super::tail::Tail;
use super::{LogError, follow};
use crate::model::JobId;
use crate::store::LogRows;

/// Attempts that memory keeps although nobody uses them at the moment; each costs a lock, and can be
/// made again from its log.
const IDLE_ATTEMPTS_MAX: usize = 1_024;

/// Most bytes of one answer of [`JobLogs::read`].
const READ_BYTES_MAX: u64 = 1_048_576;

/// Limits of the logs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LogLimits {
    /// Most bytes of one attempt's log that are kept; what comes later is accepted and dropped.
    pub log_bytes_max: u64,
    /// Most calls that work on files at once, each with one file open; others wait. Rows have a few
    /// connections of their own instead.
    pub open_files_max: usize,
    /// How often a follower looks at a file although nothing woke it, milliseconds.
    pub follow_poll_ms: u64,
    /// The same of rows, which other instances write too and wake nobody here, milliseconds.
    pub follow_rows_poll_ms: u64,
}

impl Default for LogLimits {
    fn default() -> Self {
        Self {
            log_bytes_max: 64 * 1_048_576,
            open_files_max: 64,
            follow_poll_ms: 1_000,
            follow_rows_poll_ms: 250,
        }
    }
}

/// What an append came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Appended {
    /// The offset from which the caller sends on.
    pub next_offset: u64,
    /// Whether the log reached its limit; further bytes are accepted and dropped.
    pub truncated: bool,
}

/// A part of a log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogPage {
    /// The bytes; fewer than asked for at the end of the log, and at most 1 MiB.
    pub bytes: Bytes,
    /// Bytes of the log now, with the line that marks a truncation.
    pub log_bytes: u64,
    /// Whether the log reached its limit.
    pub truncated: bool,
    /// Whether there will be no more.
    pub sealed: bool,
}

/// The next bytes of a log that is followed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogChunk {
    /// Where they begin; after them the log goes on at `offset + bytes.len()`.
    pub offset: u64,
    /// At least one byte. A chunk can end inside a character.
    pub bytes: Bytes,
}

/// All jobs' logs. Cheap to clone; clones are the same logs.
#[derive(Clone, Debug)]
pub struct JobLogs(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    place: Place,
    limits: LogLimits,
    /// Attempts in use, and some idle ones. Writers and followers of one attempt meet here.
    attempts: Mutex<HashMap<Key, Arc<AttemptLog>>>,
}

impl JobLogs {
    /// The logs below a folder, which is made if it is missing. Blocks; meant for the start.
    ///
    /// # Errors
    ///
    /// [`LogError::Io`] when the folder cannot be made.
    pub fn open(folder: impl Into<PathBuf>, limits: LogLimits) -> Result<Self, LogError> {
        let files = Files::open(folder.into(), limits.open_files_max)?;
        Ok(Self::at(Place::Files(files), limits))
    }

    /// The logs of a database, which all its instances share.
    pub fn in_rows(rows: LogRows, limits: LogLimits) -> Self {
        Self::at(Place::Rows(rows), limits)
    }

    fn at(place: Place, limits: LogLimits) -> Self {
        Self(Arc::new(Shared { place, limits, attempts: Mutex::default() }))
    }

    /// Whether other instances have the same logs.
    pub fn are_shared(&self) -> bool {
        matches!(self.0.place, Place::Rows(_))
    }

    /// Adds bytes of an attempt's log at an offset that counts from the job's first byte.
    ///
    /// Safe to repeat: bytes that are there already are skipped. The caller has checked that the
    /// lease is the attempt's.
    ///
    /// # Errors
    ///
    /// [`LogError::Gap`] when bytes before `offset` are missing, [`LogError::Sealed`] when there
    /// are new bytes for a sealed log, [`LogError::Io`] or [`LogError::Store`] when the disk or the
    /// database refuses: then nothing is acknowledged and the same call may be repeated.
    pub async fn append(
        &self,
        job: JobId,
        attempt: u32,
        offset: u64,
        bytes: Bytes,
    ) -> Result<Appended, LogError> {
        let (log, log_bytes_max) = (self.attempt((job, attempt)), self.0.limits.log_bytes_max);
        self.run(|place| async move { log.append(&place, offset, &bytes, log_bytes_max).await })
            .await
    }

    /// Ends an attempt's log: it is flushed to the disk, takes no more, and its followers end.
    /// Safe to repeat; gives the log's length in bytes.
    ///
    /// # Errors
    ///
    /// [`LogError::Io`] or [`LogError::Store`]; the log is then not sealed.
    pub async fn seal(&self, job: JobId, attempt: u32) -> Result<u64, LogError> {
        let log = self.attempt((job, attempt));
        self.run(|place| async move { log.seal(&place).await }).await
    }

    /// As [`JobLogs::seal`], for a log that somebody wrote to; one that is not there is not made.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn seal_written(&self, job: JobId, attempt: u32) -> Result<(), LogError> {
        if self.run(|place| async move { place.exists((job, attempt)).await }).await? {
            self.seal(job, attempt).await?;
        }
        Ok(())
    }

    /// A part of an attempt's log. A log that nobody wrote to is empty and not sealed.
    ///
    /// # Errors
    ///
    /// [`LogError::Io`] or [`LogError::Store`] when it cannot be read.
    pub async fn read(
        &self,
        job: JobId,
        attempt: u32,
        offset: u64,
        bytes_max: u64,
    ) -> Result<LogPage, LogError> {
        let bytes_max = bytes_max.min(READ_BYTES_MAX);
        let (bytes, tail) = self.read_from((job, attempt), offset, bytes_max).await?;
        Ok(LogPage {
            bytes: bytes.into(),
            log_bytes: tail.log_bytes,
            truncated: tail.truncated(),
            sealed: tail.sealed,
        })
    }

    /// An attempt's log from a byte on, as it grows; ends when the log is sealed and handed out.
    /// An error is the last item.
    pub fn follow(
        &self,
        job: JobId,
        attempt: u32,
        offset: u64,
    ) -> impl Stream<Item = Result<LogChunk, LogError>> + Send + use<> {
        follow::follow(self.clone(), self.attempt((job, attempt)), offset)
    }

    /// The jobs that have logs and no new one since `before_ms` (wall), in no order. Looks at all jobs
    /// with logs.
    ///
    /// # Errors
    ///
    /// [`LogError::Io`] or [`LogError::Store`] when they cannot be listed.
    pub async fn jobs_before(&self, before_ms: i64) -> Result<Vec<JobId>, LogError> {
        self.run(|place| async move { place.jobs_before(before_ms).await }).await
    }

    /// Removes the logs of all attempts of some jobs. The caller knows that these have ended and that none
    /// of the logs is written any more; who follows one meets its end. Safe to repeat.
    ///
    /// # Errors
    ///
    /// [`LogError::Io`] or [`LogError::Store`]; what was removed stays removed.
    pub async fn remove(&self, jobs: &[JobId]) -> Result<(), LogError> {
        let gone: HashSet<JobId> = jobs.iter().copied().collect();
        let known: Vec<Key> = {
            let mut attempts = self.0.attempts.lock().unwrap_or_else(PoisonError::into_inner);
            let known = attempts.keys().filter(|(job, _)| gone.contains(job)).copied().collect();
            attempts.retain(|(job, _), log| !gone.contains(job) || Arc::strong_count(log) > 1);
            known
        };
        for (job, attempt) in known {
            self.seal(job, attempt).await?;
        }
        let jobs = jobs.to_vec();
        self.run(|place| async move { place.remove(&jobs).await }).await
    }

    /// How long a follower waits for news before it looks itself.
    pub(super) fn poll(&self) -> Duration {
        let LogLimits { follow_poll_ms, follow_rows_poll_ms, .. } = self.0.limits;
        let poll_ms = if self.are_shared() { follow_rows_poll_ms } else { follow_poll_ms };
        Duration::from_millis(poll_ms.max(1))
    }

    /// At most `bytes_max` bytes of a log from an offset, and where it ends.
    pub(super) async fn read_from(
        &self,
        key: Key,
        offset: u64,
        bytes_max: u64,
    ) -> Result<(Vec<u8>, Tail), LogError> {
        self.run(|place| async move { place.read(key, offset, bytes_max).await }).await
    }

    /// Tells followers what the place says.
    pub(super) async fn refresh(&self, log: Arc<AttemptLog>) -> Result<(), LogError> {
        self.run(|place| async move { log.refresh(&place).await }).await
    }

    /// Runs work in a task of its own: once begun it ends, also when the caller is dropped.
    async fn run<T, F>(&self, work: impl FnOnce(Place) -> F) -> Result<T, LogError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, LogError>> + Send + 'static,
    {
        tokio::spawn(work(self.0.place.clone())).await?
    }

    /// The attempt as writers and followers share it.
    fn attempt(&self, key: Key) -> Arc<AttemptLog> {
        let mut attempts = self.0.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        if attempts.len() >= IDLE_ATTEMPTS_MAX {
            // Whoever uses one has cloned it under this lock.
            attempts.retain(|_, log| Arc::strong_count(log) > 1);
        }
        attempts.entry(key).or_insert_with(|| Arc::new(AttemptLog::new(key))).clone()
    }
}

#[cfg(test)]
#[path = "tests/mod.rs"]
mod tests;
