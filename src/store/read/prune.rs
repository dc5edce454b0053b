//! What is old: candidates for pruning, oldest first, page by page; and how much there is of all.

use std::collections::HashSet;

use crate::model::{DeliveryId, JobId, KeyScope, SoftState, TriggerVerdict, UniqueKey, WorkloadId};
use crate::store::Store;
use crate::store::columns::Columns;
use crate::store::error::StoreError;
use crate::store::row::Row;
use crate::store::statement as sql;

/// An ended workload that is old, and how much is kept of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OldWorkload {
    /// Which.
    pub id: WorkloadId,
    /// When it ended, wall milliseconds.
    pub ended_at_ms: i64,
    /// Its jobs.
    pub jobs: u64,
    /// What they need of one another.
    pub edges: u64,
    /// Their attempts.
    pub attempts: u64,
    /// Records about any of them.
    pub records: u64,
}

impl OldWorkload {
    /// All rows that go with it: its own, two of each job, and the rest.
    pub fn rows(&self) -> u64 {
        1 + 2 * self.jobs + self.edges + self.attempts + self.records
    }
}

/// A delivery that is old.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OldDelivery {
    /// Which.
    pub id: DeliveryId,
    /// What it started.
    pub workloads: Vec<WorkloadId>,
    /// Whether the bytes of its body are still there.
    pub has_body: bool,
    /// The length that the body had.
    pub body_bytes: u64,
    /// What its body is called, where that is not in its row.
    pub body_file: Option<Box<str>>,
}

/// A key that was claimed long ago.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OldKey {
    /// Which.
    pub key: UniqueKey,
    /// Wall milliseconds.
    pub claimed_at_ms: i64,
}

/// A record about no workload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OldRecord {
    /// Its number.
    pub seq: i64,
    /// Wall milliseconds.
    pub at_ms: i64,
}

/// How much there is, and since when.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Extent {
    /// Bytes that the database takes: of its file, or as its server tells.
    pub taken_bytes: u64,
    /// Bytes without the pages that are free. A PostgreSQL server does not tell: the same.
    pub used_bytes: u64,
    /// Whether `used_bytes` falls when rows are forgotten.
    pub tells_free: bool,
    /// When the workload ended that is kept longest, wall milliseconds; `None`: none has ended.
    pub oldest_end_ms: Option<i64>,
    /// When the last workload ended.
    pub newest_end_ms: Option<i64>,
    /// When the oldest delivery was received.
    pub oldest_delivery_ms: Option<i64>,
    /// When the oldest key of a delivery was claimed.
    pub oldest_key_ms: Option<i64>,
}

impl Store {
    /// Workloads that ended up to `until_ms`, oldest first, after the time and number of `after`.
    ///
    /// # Errors
    /// As every read.
    pub async fn old_workloads(
        &self,
        after: (i64, WorkloadId),
        until_ms: i64,
        limit: u32,
    ) -> Result<Vec<OldWorkload>, StoreError> {
        let mut reader = self.reader().await?;
        let rows = reader.all(sql::WORKLOAD_PRUNABLE, |to| {
            to.int(after.0).int(after.1.0).int(until_ms).int(i64::from(limit))
        });
        let read = |row| {
            let mut columns = Columns::new("workload_done", row);
            Ok(OldWorkload {
                id: WorkloadId(columns.int("id")?),
                ended_at_ms: columns.int("ended_at_ms")?,
                jobs: columns.int("jobs")?.cast_unsigned(),
                edges: columns.int("edges")?.cast_unsigned(),
                attempts: columns.int("attempts")?.cast_unsigned(),
                records: columns.int("records")?.cast_unsigned(),
            })
        };
        rows.await?.iter().map(read).collect()
    }

    /// The jobs of these workloads, each with the workload that it is part of.
    ///
    /// # Errors
    /// As every read.
    pub async fn job_ids_of(
        &self,
        workloads: impl Iterator<Item = WorkloadId>,
    ) -> Result<Vec<(WorkloadId, JobId)>, StoreError> {
        let ids = list(workloads.map(|id| id.0));
        let mut reader = self.reader().await?;
        let rows = reader.all(sql::WORKLOAD_PRUNABLE_JOBS, |to| to.text(&*ids)).await?;
        let read = |row| {
            let mut columns = Columns::new("job_spec", row);
            Ok((WorkloadId(columns.int("workload_id")?), JobId(columns.int("job_id")?)))
        };
        rows.iter().map(read).collect()
    }

    /// Deliveries with ids between two, oldest first.
    ///
    /// # Errors
    /// As every read.
    pub async fn old_deliveries(
        &self,
        after: DeliveryId,
        before: DeliveryId,
        limit: u32,
    ) -> Result<Vec<OldDelivery>, StoreError> {
        let mut reader = self.reader().await?;
        let rows = reader.all(sql::DELIVERY_PRUNABLE, |to| {
            to.display(Some(after)).display(Some(before)).int(i64::from(limit))
        });
        let read = |row| {
            let mut columns = Columns::new("delivery", row);
            let id = columns.parsed("id")?;
            let verdicts: Vec<TriggerVerdict> = columns.json("verdicts")?;
            Ok(OldDelivery {
                id,
                workloads: verdicts.iter().filter_map(|it| it.workload_id).collect(),
                has_body: columns.get("has_body")?,
                body_bytes: columns.int("body_bytes")?.cast_unsigned(),
                body_file: columns.opt_text("body_file")?,
            })
        };
        rows.await?.iter().map(read).collect()
    }

    /// Which of these workloads are there, live or ended.
    ///
    /// # Errors
    /// As every read.
    pub async fn kept_workloads(
        &self,
        ids: impl Iterator<Item = WorkloadId>,
    ) -> Result<HashSet<WorkloadId>, StoreError> {
        let ids = list(ids.map(|id| id.0));
        let mut reader = self.reader().await?;
        let rows = reader.all(sql::WORKLOAD_KEPT, |to| to.text(&*ids)).await?;
        rows.iter()
            .map(|row| Ok(WorkloadId(Columns::new("workload_all", row).int("id")?)))
            .collect()
    }

    /// Keys of one kind that were claimed up to `until_ms`, oldest first, after the time and text of
    /// `after`.
    ///
    /// # Errors
    /// As every read.
    pub async fn old_keys(
        &self,
        scope: KeyScope,
        after: (i64, &str),
        until_ms: i64,
        limit: u32,
    ) -> Result<Vec<OldKey>, StoreError> {
        let mut reader = self.reader().await?;
        let rows = reader.all(sql::UNIQUE_KEY_PRUNABLE, |to| {
            to.int(scope as i64).int(after.0).text(after.1).int(until_ms).int(i64::from(limit))
        });
        let read = |row| {
            let mut columns = Columns::new("unique_key", row);
            columns.int("scope")?;
            let key = UniqueKey { scope, key: columns.text("key")? };
            Ok(OldKey { key, claimed_at_ms: columns.int("claimed_at_ms")? })
        };
        rows.await?.iter().map(read).collect()
    }

    /// Records about no workload up to `until_ms`, oldest first, after the time and number of `after`.
    ///
    /// # Errors
    /// As every read.
    pub async fn old_records(
        &self,
        after: (i64, i64),
        until_ms: i64,
        limit: u32,
    ) -> Result<Vec<OldRecord>, StoreError> {
        let mut reader = self.reader().await?;
        let rows = reader.all(sql::RECORD_PRUNABLE, |to| {
            to.int(after.0).int(after.1).int(until_ms).int(i64::from(limit))
        });
        let read = |row| {
            let mut columns = Columns::new("record", row);
            Ok(OldRecord { seq: columns.int("seq")?, at_ms: columns.int("at_ms")? })
        };
        rows.await?.iter().map(read).collect()
    }

    /// Of these jobs each that is there, with when its workload ended; `None` while it has not.
    ///
    /// # Errors
    /// As every read.
    pub async fn log_ages(&self, ids: &[JobId]) -> Result<Vec<(JobId, Option<i64>)>, StoreError> {
        let ids = list(ids.iter().map(|id| id.0));
        let mut reader = self.reader().await?;
        let rows = reader.all(sql::JOB_LOG_AGE, |to| to.text(&*ids)).await?;
        let read = |row| {
            let mut columns = Columns::new("job_all", row);
            Ok((JobId(columns.int("id")?), columns.get("ended_at_ms")?))
        };
        rows.iter().map(read).collect()
    }

    /// How much there is, and since when.
    ///
    /// # Errors
    /// As every read.
    pub async fn extent(&self) -> Result<Extent, StoreError> {
        let mut reader = self.reader().await?;
        let row = reader.first(sql::DATABASE_EXTENT_LOAD, |to| to).await?;
        row.as_ref().map_or_else(|| Ok(Extent::default()), extent)
    }

    /// Up to when history may have been pruned: when the last workload ended that was, wall
    /// milliseconds. `None`: none ever was.
    ///
    /// # Errors
    /// As every read.
    pub async fn pruned_until_ms(&self) -> Result<Option<i64>, StoreError> {
        let mut reader = self.reader().await?;
        let key = SoftState::PRUNED_UNTIL;
        let row = reader.first(sql::SOFT_STATE_SELECT, |to| to.text(key)).await?;
        let Some(row) = row else { return Ok(None) };
        let mut columns = Columns::new("soft_state", &row);
        columns.text("key")?;
        columns.json("value").map(Some)
    }
}

/// Numbers as a JSON list, which both databases take apart again.
fn list(ids: impl Iterator<Item = i64>) -> String {
    serde_json::Value::from_iter(ids).to_string()
}

fn extent(row: &Row) -> Result<Extent, StoreError> {
    let mut columns = Columns::new("database", row);
    Ok(Extent {
        taken_bytes: columns.int("taken_bytes")?.cast_unsigned(),
        used_bytes: columns.int("used_bytes")?.cast_unsigned(),
        tells_free: matches!(row, Row::Sqlite(_)),
        oldest_end_ms: columns.get("oldest_end_ms")?,
        newest_end_ms: columns.get("newest_end_ms")?,
        oldest_delivery_ms: columns.get("oldest_delivery_ms")?,
        oldest_key_ms: columns.get("oldest_key_ms")?,
    })
}
