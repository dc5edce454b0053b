//! All jobs' logs: the calls that the API makes.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::stream::Stream;
use tokio::sync::Semaphore;

use super::attempt::AttemptLog;
use super::{LogError, file, follow};
use crate::model::JobId;

/// Attempts that memory keeps although nobody uses them at the moment; each costs a lock and a
/// path, and can be made again from its file.
const IDLE_ATTEMPTS_MAX: usize = 1_024;

/// Most bytes of one answer of [`JobLogs::read`].
const READ_BYTES_MAX: u64 = 1_048_576;

/// Limits of the logs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LogLimits {
    /// Most bytes of one attempt's log that are kept; what comes later is accepted and dropped.
    pub log_bytes_max: u64,
    /// Most calls that work on files at once, each with one file open; others wait.
    pub open_files_max: usize,
    /// How often a follower asks the file although nothing woke it, milliseconds.
    pub follow_poll_ms: u64,
}

impl Default for LogLimits {
    fn default() -> Self {
        Self { log_bytes_max: 64 * 1_048_576, open_files_max: 64, follow_poll_ms: 1_000 }
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
    /// Holds a folder per job.
    folder: PathBuf,
    limits: LogLimits,
    /// One permit per call that works; a call has one file open, and sealing a folder besides.
    open_files: Arc<Semaphore>,
    /// Attempts in use, and some idle ones. Writers and followers of one attempt meet here.
    attempts: Mutex<HashMap<(JobId, u32), Arc<AttemptLog>>>,
}

impl JobLogs {
    /// The logs below a folder, which is made if it is missing. Blocks; meant for the start.
    ///
    /// # Errors
    ///
    /// [`LogError::Io`] when the folder cannot be made.
    pub fn open(folder: impl Into<PathBuf>, limits: LogLimits) -> Result<Self, LogError> {
        let folder = folder.into();
        std::fs::create_dir_all(&folder).map_err(LogError::io("make the folder of", &folder))?;
        let open_files = Arc::new(Semaphore::new(limits.open_files_max.max(1)));
        Ok(Self(Arc::new(Shared { folder, limits, open_files, attempts: Mutex::default() })))
    }

    /// Adds bytes of an attempt's log at an offset that counts from the job's first byte.
    ///
    /// Safe to repeat: bytes that are there already are skipped. The caller has checked that the
    /// lease is the attempt's.
    ///
    /// # Errors
    ///
    /// [`LogError::Gap`] when bytes before `offset` are missing, [`LogError::Sealed`] when there
    /// are new bytes for a sealed log, [`LogError::Io`] when the disk refuses: then nothing is
    /// acknowledged and the same call may be repeated.
    pub async fn append(
        &self,
        job: JobId,
        attempt: u32,
        offset: u64,
        bytes: Bytes,
    ) -> Result<Appended, LogError> {
        let (log, log_bytes_max) = (self.attempt(job, attempt), self.0.limits.log_bytes_max);
        self.blocking(move || log.append(offset, &bytes, log_bytes_max)).await
    }

    /// Ends an attempt's log: it is flushed to the disk, takes no more, and its followers end.
    /// Safe to repeat; gives the log's length in bytes.
    ///
    /// # Errors
    ///
    /// [`LogError::Io`] when the disk refuses; the log is then not sealed.
    pub async fn seal(&self, job: JobId, attempt: u32) -> Result<u64, LogError> {
        let log = self.attempt(job, attempt);
        self.blocking(move || log.seal()).await
    }

    /// As [`JobLogs::seal`], for a log that somebody wrote to; one without a file stays without.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn seal_written(&self, job: JobId, attempt: u32) -> Result<(), LogError> {
        let path = self.path(job, attempt);
        if self.blocking(move || Ok(path.exists())).await? {
            self.seal(job, attempt).await?;
        }
        Ok(())
    }

    /// A part of an attempt's log. A log that nobody wrote to is empty and not sealed.
    ///
    /// # Errors
    ///
    /// [`LogError::Io`] when the file cannot be read.
    pub async fn read(
        &self,
        job: JobId,
        attempt: u32,
        offset: u64,
        bytes_max: u64,
    ) -> Result<LogPage, LogError> {
        let path = self.path(job, attempt);
        let read = move || {
            file::read(&path, offset, bytes_max.min(READ_BYTES_MAX))
                .map_err(LogError::io("read", &path))
        };
        let (bytes, tail) = self.blocking(read).await?;
        Ok(LogPage {
            bytes: bytes.into(),
            log_bytes: tail.file_bytes,
            truncated: tail.truncated,
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
        follow::follow(self.clone(), self.attempt(job, attempt), offset)
    }

    /// The jobs that have a folder of logs which nobody wrote a new log into since `before_ms` (wall),
    /// in no order. Reads the whole folder.
    ///
    /// # Errors
    ///
    /// [`LogError::Io`] when the folder cannot be read.
    pub async fn jobs_before(&self, before_ms: i64) -> Result<Vec<JobId>, LogError> {
        let folder = self.0.folder.clone();
        self.blocking(move || {
            file::jobs_before(&folder, before_ms).map_err(LogError::io("list", &folder))
        })
        .await
    }

    /// Removes the logs of all attempts of a job. The caller knows that the job has ended and that none
    /// of them is written any more; who follows one meets its end. Safe to repeat.
    ///
    /// # Errors
    ///
    /// [`LogError::Io`] when the disk refuses.
    pub async fn remove(&self, job: JobId) -> Result<(), LogError> {
        let known: Vec<u32> = {
            let mut attempts = self.0.attempts.lock().unwrap_or_else(PoisonError::into_inner);
            let known = attempts.keys().filter(|(id, _)| *id == job).map(|(_, attempt)| *attempt);
            let known = known.collect();
            attempts.retain(|(id, _), log| *id != job || Arc::strong_count(log) > 1);
            known
        };
        for attempt in known {
            self.seal(job, attempt).await?;
        }
        let folder = self.0.folder.join(job.0.to_string());
        self.blocking(move || file::remove_folder(&folder).map_err(LogError::io("remove", &folder)))
            .await
    }

    pub(super) fn limits(&self) -> LogLimits {
        self.0.limits
    }

    /// Runs work on a file on a thread that may block. Once begun it ends, also when the caller
    /// is dropped, and it holds its permit until then.
    pub(super) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, LogError> + Send + 'static,
    ) -> Result<T, LogError> {
        let permit = self.0.open_files.clone().acquire_owned().await;
        tokio::task::spawn_blocking(move || {
            let _held = permit;
            work()
        })
        .await?
    }

    /// The attempt as writers and followers share it.
    fn attempt(&self, job: JobId, attempt: u32) -> Arc<AttemptLog> {
        let mut attempts = self.0.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        if attempts.len() >= IDLE_ATTEMPTS_MAX {
            // Whoever uses one has cloned it under this lock.
            attempts.retain(|_, log| Arc::strong_count(log) > 1);
        }
        let new = || Arc::new(AttemptLog::new(self.path(job, attempt)));
        attempts.entry((job, attempt)).or_insert_with(new).clone()
    }

    /// Built from numbers alone: nothing that somebody outside chose is part of a path.
    fn path(&self, job: JobId, attempt: u32) -> PathBuf {
        self.0.folder.join(job.0.to_string()).join(format!("{attempt}.log"))
    }
}

#[cfg(test)]
#[path = "jobs_tests.rs"]
mod tests;
