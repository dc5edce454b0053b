//! Logs as files: a folder per job, a file per attempt.
//!
//! A file is open only during a call, and calls at once are limited, so the number of open files is.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::Semaphore;

use super::place::Key;
use super::{LogError, file};
use crate::model::JobId;
use crate::store::LogFile;

/// The folder of all logs. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Files {
    /// Holds a folder per job.
    folder: PathBuf,
    /// One permit per call that works; a call has one file open, and sealing a folder besides.
    open_files: Arc<Semaphore>,
}

impl Files {
    /// Makes the folder if it is missing. Blocks.
    pub(super) fn open(folder: PathBuf, open_files_max: usize) -> Result<Self, LogError> {
        std::fs::create_dir_all(&folder).map_err(LogError::io("make the folder of", &folder))?;
        Ok(Self { folder, open_files: Arc::new(Semaphore::new(open_files_max.max(1))) })
    }

    /// Works on one log's file.
    pub(super) async fn at<T: Send + 'static>(
        &self,
        key: Key,
        verb: &'static str,
        work: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
    ) -> Result<T, LogError> {
        self.blocking(verb, self.path(key), work).await
    }

    /// Numbers of folders that were last changed before that time. Reads the whole folder.
    pub(super) async fn jobs_before(&self, before_ms: i64) -> Result<Vec<JobId>, LogError> {
        let list = move |folder: &Path| file::jobs_before(folder, before_ms);
        self.blocking("list", self.folder.clone(), list).await
    }

    /// Removes a job's folder.
    pub(super) async fn remove(&self, job: JobId) -> Result<(), LogError> {
        let folder = self.folder.join(job.0.to_string());
        self.blocking("remove", folder, file::remove_folder).await
    }

    /// Runs work on a thread that may block. Once begun it ends, also when the caller is dropped, and it
    /// holds its permit until then.
    async fn blocking<T: Send + 'static>(
        &self,
        verb: &'static str,
        path: PathBuf,
        work: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
    ) -> Result<T, LogError> {
        let permit = self.open_files.clone().acquire_owned().await;
        let work = move || {
            let _held = permit;
            work(&path).map_err(LogError::io(verb, &path))
        };
        tokio::task::spawn_blocking(work).await?
    }

    /// Built from numbers alone: nothing that somebody outside chose is part of a path.
    fn path(&self, (job, attempt): Key) -> PathBuf {
        self.folder.join(job.0.to_string()).join(format!("{attempt}.log"))
    }
}

/// All logs that are files below a folder, for a database that takes them over; none where there is no
/// folder. Blocks.
///
/// # Errors
///
/// [`LogError::Io`] when the folder or a file cannot be read.
pub fn log_files(folder: &Path) -> Result<Vec<LogFile>, LogError> {
    let mut found = Vec::new();
    if !folder.exists() {
        return Ok(found);
    }
    for job in file::jobs_before(folder, i64::MAX).map_err(LogError::io("list", folder))? {
        let folder = folder.join(job.0.to_string());
        let attempts = file::attempts(&folder).map_err(LogError::io("list", &folder))?;
        for (attempt, path) in attempts {
            let tail = file::load(&path).map_err(LogError::io("look at", &path))?;
            let (kept_bytes, sealed) = (tail.kept, tail.sealed);
            found.push(LogFile { job_id: job, attempt, path, kept_bytes, sealed });
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::{JobLogs, LogLimits};

    #[tokio::test]
    async fn all_files_are_found_with_what_they_say_of_themselves() {
        let folder = tempfile::tempdir().unwrap();
        let logs = folder.path().join("logs");
        assert!(log_files(&logs).unwrap().is_empty(), "there is no folder");
        let limits = LogLimits { log_bytes_max: 5, ..LogLimits::default() };
        let all = JobLogs::open(&logs, limits).unwrap();
        for (job, attempt, text) in [(3, 1, "live"), (3, 2, "too long"), (12, 1, "ended")] {
            all.append(JobId(job), attempt, 0, text.into()).await.unwrap();
        }
        all.seal(JobId(12), 1).await.unwrap();
        std::fs::write(logs.join("3/notes.txt"), "somebody's own").unwrap();
        let mut found = log_files(&logs).unwrap();
        found.sort_unstable_by_key(|log| (log.job_id, log.attempt));
        let told = found.iter().map(|log| (log.job_id.0, log.attempt, log.kept_bytes, log.sealed));
        let told: Vec<_> = told.collect();
        assert_eq!(told, [(3, 1, 4, false), (3, 2, 5, false), (12, 1, 5, true)]);
        assert!(found[1].path.ends_with("logs/3/2.log"));
    }
}
