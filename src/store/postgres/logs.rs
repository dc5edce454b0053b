//! Logs of attempts as rows, so that every server of a database has them.
//!
//! A row of `job_log` says where a log ends, rows of `job_log_chunk` have its bytes. Each call is one
//! statement and a transaction of its own. What is to be added, when a log is full and when it ends is
//! decided in the room `log`; here it is only seen to that of several writers one adds at a place.
//!
//! A call waits for one of a few connections that nobody else uses, and fails when it has waited for too
//! long, so that logs can be slow without anything else being so.

mod turns;

use std::sync::Arc;
use std::time::Duration;

use super::{LOG_CONNECTIONS_MAX, LOG_TIMEOUT_MS, Server};
use crate::model::JobId;
use crate::store::bind::Bind;
use crate::store::columns::Columns;
use crate::store::connection::Session;
use crate::store::error::StoreError;
use crate::store::planted::{Planted, Point};
use crate::store::row::Row;
use crate::store::statement::{self as sql, Sql};
use turns::Turns;

/// A chunk takes in what follows it until it has this many bytes, so that a job that writes a line now and
/// then does not make a row of each. Not more: a change writes the whole chunk anew.
const CHUNK_BYTES: i64 = 8_192;
/// Chunks forgotten in one statement.
const REMOVE_CHUNKS: i64 = 500;
/// Jobs named in one answer.
const LIST_JOBS: i64 = 5_000;

/// Where a log ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LogRow {
    /// How many bytes it has of what the job wrote.
    pub kept_bytes: u64,
    /// How many bytes it has; more than `kept_bytes` when a line after them says that it was cut.
    pub log_bytes: u64,
    /// Whether it takes no more.
    pub sealed: bool,
}

/// Logs as rows. Cheap to clone.
#[derive(Clone, Debug)]
pub struct LogRows {
    turns: Arc<Turns>,
    /// How long an answer may take before nobody is taken to be there.
    patience: Duration,
    planted: Planted,
}

impl LogRows {
    /// Connects when it is first needed.
    pub(in crate::store) fn open(server: &Server, planted: Planted) -> Self {
        let turns = Turns::new(server.open_logs(), LOG_CONNECTIONS_MAX, LOG_TIMEOUT_MS);
        Self { turns: Arc::new(turns), patience: server.silence(LOG_TIMEOUT_MS), planted }
    }

    /// Where a log ends; nothing when there is none.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`].
    pub async fn load(&self, job: JobId, attempt: u32) -> Result<Option<LogRow>, StoreError> {
        let rows = self.all(sql::JOB_LOG_SELECT, |to| to.int(job.0).int(i64::from(attempt)));
        rows.await?.first().map(|row| read(row).map(|(log, _)| log)).transpose()
    }

    /// Adds bytes to a log that ends at byte `log_bytes`, after which it has `kept_bytes` of what the job
    /// wrote. They are durable when this returns true. False: the log ends elsewhere by now, or is sealed,
    /// and nothing was added.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]; it is then not known whether they were added, and
    /// [`LogRows::load`] tells.
    pub async fn append(
        &self,
        (job, attempt): (JobId, u32),
        log_bytes: u64,
        kept_bytes: u64,
        bytes: &[u8],
    ) -> Result<bool, StoreError> {
        self.planted.at(Point::Log)?;
        let mut lent = self.turns.lend().await?;
        let session = Session::postgres_writer(lent.connection()?, self.patience);
        let added = add(session, (job, attempt), log_bytes, kept_bytes, bytes).await?;
        lent.is_well();
        self.planted.at(Point::LogKept)?;
        Ok(added)
    }

    /// Ends a log: it takes no more. One that nobody wrote to becomes an empty one. Safe to repeat.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`].
    pub async fn seal(&self, job: JobId, attempt: u32) -> Result<LogRow, StoreError> {
        let rows = self.all(sql::JOB_LOG_SEAL, |to| to.int(job.0).int(i64::from(attempt))).await?;
        self.planted.at(Point::LogSealed)?;
        let none = || StoreError::Corrupt {
            table: "job_log",
            column: "job_id",
            row: job.to_string(),
            what: "it cannot be sealed".into(),
        };
        read(rows.first().ok_or_else(none)?).map(|(log, _)| log)
    }

    /// At most `bytes_max` bytes of a log from an offset, and where it ends; nothing when there is none.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`].
    pub async fn read(
        &self,
        job: JobId,
        attempt: u32,
        offset: u64,
        bytes_max: u64,
    ) -> Result<(Vec<u8>, Option<LogRow>), StoreError> {
        let rows = self.all(sql::JOB_LOG_CHUNK_LIST, |to| {
            to.int(job.0).int(i64::from(attempt)).int(clamped(offset));
            to.int(clamped(offset.saturating_add(bytes_max)))
        });
        let rows = rows.await?;
        let (mut bytes, mut end) = (Vec::new(), None);
        for row in &rows {
            let (log, mut columns) = read(row)?;
            end = Some(log);
            let at = columns.get::<Option<i64>>("chunk_offset")?;
            let chunk = columns.get::<Option<&[u8]>>("bytes")?;
            let (Some(at), Some(chunk)) = (at, chunk) else { break };
            let (at, next) = (at.unsigned_abs(), offset + bytes.len() as u64);
            // A chunk is missing: the log is being removed.
            let Some(known) = next.checked_sub(at) else { break };
            let part = chunk.get(index(known)..).unwrap_or_default();
            let room = index(bytes_max) - bytes.len();
            bytes.extend_from_slice(&part[..part.len().min(room)]);
        }
        Ok((bytes, end))
    }

    /// The jobs that have a log which nobody wrote to since that time, by number.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn jobs_before(&self, before_ms: i64) -> Result<Vec<JobId>, StoreError> {
        let mut jobs: Vec<JobId> = Vec::new();
        loop {
            let after = jobs.last().map_or(i64::MIN, |job| job.0);
            let page =
                self.all(sql::JOB_LOG_LIST, |to| to.int(after).int(before_ms).int(LIST_JOBS));
            let page = page.await?;
            for row in &page {
                jobs.push(JobId(Columns::new("job_log", row).int("job_id")?));
            }
            if page.len() < index(LIST_JOBS.unsigned_abs()) {
                return Ok(jobs);
            }
        }
    }

    /// Forgets the logs of these jobs, some chunks at a time. Safe to repeat.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]; what was forgotten stays forgotten, and [`LogRows::jobs_before`] still
    /// names what was not.
    pub async fn remove(&self, jobs: &[JobId]) -> Result<(), StoreError> {
        if jobs.is_empty() {
            return Ok(());
        }
        let jobs: Vec<i64> = jobs.iter().map(|job| job.0).collect();
        let jobs = serde_json::Value::from(jobs).to_string();
        self.execute(sql::JOB_LOG_SEAL_ALL, |to| to.text(&*jobs)).await?;
        loop {
            let some =
                self.execute(sql::JOB_LOG_CHUNK_DELETE, |to| to.text(&*jobs).int(REMOVE_CHUNKS));
            if some.await? < REMOVE_CHUNKS.unsigned_abs() {
                break;
            }
        }
        self.execute(sql::JOB_LOG_DELETE, |to| to.text(&*jobs)).await.map(drop)
    }

    /// Closes the connections.
    pub(in crate::store) async fn close(&self) {
        self.turns.close().await;
    }

    async fn execute(
        &self,
        statement: Sql,
        bind: impl FnOnce(&mut Bind) -> &mut Bind,
    ) -> Result<u64, StoreError> {
        let mut lent = self.turns.lend().await?;
        let session = Session::postgres_writer(lent.connection()?, self.patience);
        let done = session.execute(statement, bind).await?;
        lent.is_well();
        Ok(done)
    }

    async fn all(
        &self,
        statement: Sql,
        bind: impl FnOnce(&mut Bind) -> &mut Bind,
    ) -> Result<Vec<Row>, StoreError> {
        let mut lent = self.turns.lend().await?;
        let session = Session::postgres_writer(lent.connection()?, self.patience);
        let rows = session.all(statement, bind).await?;
        lent.is_well();
        Ok(rows)
    }
}

/// Adds bytes to a log that ends at byte `log_bytes`. Whether it did.
///
/// # Errors
/// [`StoreError::Unavailable`].
pub(in crate::store) async fn add(
    session: Session<'_>,
    (job, attempt): (JobId, u32),
    log_bytes: u64,
    kept_bytes: u64,
    bytes: &[u8],
) -> Result<bool, StoreError> {
    let statement = if log_bytes == 0 { sql::JOB_LOG_BEGIN } else { sql::JOB_LOG_APPEND };
    let added = session.execute(statement, |to| {
        to.int(job.0).int(i64::from(attempt)).int(clamped(kept_bytes)).bytes(Some(bytes));
        if log_bytes > 0 {
            to.int(clamped(log_bytes)).int(CHUNK_BYTES);
        }
        to
    });
    Ok(added.await? == 1)
}

/// The columns of a log's own row, and those that follow.
fn read(row: &Row) -> Result<(LogRow, Columns<'_>), StoreError> {
    let mut columns = Columns::new("job_log", row);
    columns.int("job_id")?;
    let kept_bytes = columns.int("kept_bytes")?.unsigned_abs();
    let log_bytes = columns.int("log_bytes")?.unsigned_abs();
    let sealed = columns.flag("sealed")?;
    Ok((LogRow { kept_bytes, log_bytes, sealed }, columns))
}

/// No log is so long that its places are no numbers of the database.
fn clamped(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

fn index(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}
