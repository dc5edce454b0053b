//! Where logs are: in files beside a SQLite database, or in rows of a PostgreSQL.
//!
//! A place keeps bytes and tells where they end. It adds bytes only to a log that ends where the caller
//! believes, so that whoever is mistaken looks again.

use super::files::Files;
use super::tail::Tail;
use super::{LogError, file};
use crate::model::JobId;
use crate::store::LogRows;

/// Which log: of which job, of which try.
pub(super) type Key = (JobId, u32);

/// Where logs are. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) enum Place {
    /// Of this server alone.
    Files(Files),
    /// Of all instances on a database.
    Rows(LogRows),
}

impl Place {
    /// Where a log ends; one that nobody wrote to is empty.
    pub(super) async fn load(&self, key: Key) -> Result<Tail, LogError> {
        match self {
            Self::Files(files) => files.at(key, "look at", file::load).await,
            Self::Rows(rows) => {
                let row = rows.load(key.0, key.1).await?;
                Ok(row.map(Tail::from).unwrap_or_default())
            }
        }
    }

    /// Whether anybody wrote to a log, or sealed it.
    pub(super) async fn exists(&self, key: Key) -> Result<bool, LogError> {
        match self {
            Self::Files(files) => files.at(key, "look at", |path| Ok(path.exists())).await,
            Self::Rows(rows) => Ok(rows.load(key.0, key.1).await?.is_some()),
        }
    }

    /// Writes bytes at the end of a log, after which it has `kept` bytes of the job; where it ends then.
    /// `None`: it does not end at `tail` any more, and nothing was written.
    pub(super) async fn write(
        &self,
        key: Key,
        tail: Tail,
        bytes: Vec<u8>,
        kept: u64,
    ) -> Result<Option<Tail>, LogError> {
        let after = tail.with(&bytes, kept);
        match self {
            Self::Files(files) => {
                let at = tail.log_bytes;
                files.at(key, "append to", move |path| file::write(path, at, &bytes)).await?;
                Ok(Some(after))
            }
            Self::Rows(rows) => {
                let written = rows.append(key, tail.log_bytes, kept, &bytes).await?;
                Ok(written.then_some(after))
            }
        }
    }

    /// Ends a log: it is durable, and takes no more.
    pub(super) async fn seal(&self, key: Key) -> Result<Tail, LogError> {
        match self {
            Self::Files(files) => files.at(key, "seal", file::seal).await,
            Self::Rows(rows) => Ok(rows.seal(key.0, key.1).await?.into()),
        }
    }

    /// At most `bytes_max` bytes from an offset, fewer at the end, and where the log ends.
    pub(super) async fn read(
        &self,
        key: Key,
        offset: u64,
        bytes_max: u64,
    ) -> Result<(Vec<u8>, Tail), LogError> {
        match self {
            Self::Files(files) => {
                files.at(key, "read", move |path| file::read(path, offset, bytes_max)).await
            }
            Self::Rows(rows) => {
                let (bytes, row) = rows.read(key.0, key.1, offset, bytes_max).await?;
                Ok((bytes, row.map(Tail::from).unwrap_or_default()))
            }
        }
    }

    /// The jobs with logs that nobody wrote to since that time (wall), in no order.
    pub(super) async fn jobs_before(&self, before_ms: i64) -> Result<Vec<JobId>, LogError> {
        match self {
            Self::Files(files) => files.jobs_before(before_ms).await,
            Self::Rows(rows) => Ok(rows.jobs_before(before_ms).await?),
        }
    }

    /// Removes all logs of these jobs.
    pub(super) async fn remove(&self, jobs: &[JobId]) -> Result<(), LogError> {
        match self {
            Self::Files(files) => {
                for job in jobs {
                    files.remove(*job).await?;
                }
                Ok(())
            }
            Self::Rows(rows) => Ok(rows.remove(jobs).await?),
        }
    }
}
