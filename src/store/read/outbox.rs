//! What is told to others, and what is still to be told.

use super::ROWS_MAX;
use crate::model::{
    OutboxId, OutboxLine, OutboxRoom, OutboxRow, OutboxState, TenantId, WorkloadId,
};
use crate::store::Store;
use crate::store::columns::Columns;
use crate::store::error::StoreError;
use crate::store::rows::outbox as rows;
use crate::store::statement as sql;

/// The most entries of one line that are read at once.
const LINE_ROWS_MAX: i64 = 500;
/// How many names of one line are read.
const REFERENCES_MAX: i64 = 50;

/// How much is to be told.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct OutboxExtent {
    /// Entries that wait.
    pub waiting: u64,
    /// Entries that were given up.
    pub dead: u64,
    /// Since when the oldest waits, wall milliseconds.
    pub oldest_at_ms: Option<i64>,
}

impl Store {
    /// Entries of a room that may be sent by then, of each line the first that waits; at most so many, the one that
    /// waits longest first.
    ///
    /// # Errors
    /// As every read.
    pub async fn outbox_due(
        &self,
        room: OutboxRoom,
        now_ms: i64,
        limit: u32,
    ) -> Result<Vec<OutboxRow>, StoreError> {
        let mut reader = self.reader().await?;
        let rows =
            reader.all(sql::OUTBOX_DUE, |to| to.int(now_ms).int(i64::from(limit)).int(room as i64));
        let rows = rows.await?;
        rows.iter().map(rows::read).collect()
    }

    /// When the next entry may be sent that waits; `None` when none does.
    ///
    /// # Errors
    /// As every read.
    pub async fn outbox_next_ms(&self) -> Result<Option<i64>, StoreError> {
        let mut reader = self.reader().await?;
        let row = reader.first(sql::OUTBOX_NEXT, |to| to).await?;
        row.map(|row| Columns::new("outbox", &row).int("next_at_ms")).transpose()
    }

    /// What waits in a line, in its order, at most 500.
    ///
    /// # Errors
    /// As every read.
    pub async fn outbox_of(&self, line: &OutboxLine) -> Result<Vec<OutboxRow>, StoreError> {
        let mut reader = self.reader().await?;
        let key = rows::line(line);
        let rows = reader.all(sql::OUTBOX_LINE, |to| to.int(key).int(LINE_ROWS_MAX)).await?;
        let mut found: Vec<_> = rows.iter().map(rows::read).collect::<Result<_, _>>()?;
        found.retain(|row: &OutboxRow| row.entry.line() == *line);
        Ok(found)
    }

    /// How the other side of a line calls what was made there, the last first; at most 50.
    ///
    /// # Errors
    /// As every read.
    pub async fn outbox_references(&self, line: &OutboxLine) -> Result<Vec<Box<str>>, StoreError> {
        let mut reader = self.reader().await?;
        let key = rows::line(line);
        let rows = reader.all(sql::OUTBOX_REFERENCES, |to| to.int(key).int(REFERENCES_MAX)).await?;
        let found: Vec<_> = rows.iter().map(rows::read).collect::<Result<_, _>>()?;
        let own = found.into_iter().filter(|row: &OutboxRow| row.entry.line() == *line);
        Ok(own.filter_map(|row| row.progress.reference).collect())
    }

    /// What was told of workloads that wait still, after that workload, in their order.
    ///
    /// # Errors
    /// As every read.
    pub async fn outbox_of_waiting(
        &self,
        after: WorkloadId,
        limit: u32,
    ) -> Result<Vec<OutboxRow>, StoreError> {
        let mut reader = self.reader().await?;
        let limit = i64::from(limit);
        let rows = reader.all(sql::OUTBOX_REFRESH, |to| to.int(after.0).int(limit)).await?;
        rows.iter().map(rows::read).collect()
    }

    /// One entry.
    ///
    /// # Errors
    /// As every read.
    pub async fn outbox_entry(&self, id: OutboxId) -> Result<Option<OutboxRow>, StoreError> {
        let mut reader = self.reader().await?;
        let row = reader.first(sql::OUTBOX_SELECT, |to| to.int(id.0)).await?;
        row.map(|row| rows::read(&row)).transpose()
    }

    /// A page of entries, newest first.
    ///
    /// # Errors
    /// As every read.
    pub async fn outbox(
        &self,
        before: Option<OutboxId>,
        limit: u32,
        state: Option<OutboxState>,
        tenant: Option<TenantId>,
    ) -> Result<Vec<OutboxRow>, StoreError> {
        let before = before.map_or(i64::MAX, |id| id.0);
        let (limit, tenant) = (i64::from(limit.min(ROWS_MAX)), tenant.map(|id| id.0));
        let mut reader = self.reader().await?;
        let found = match state {
            None => {
                reader.all(sql::OUTBOX_LIST, |to| to.int(before).int(limit).int(tenant)).await?
            }
            Some(state) => {
                let state = state as i64;
                let rows = reader.all(sql::OUTBOX_LIST_BY_STATE, |to| {
                    to.int(before).int(limit).int(state).int(tenant)
                });
                rows.await?
            }
        };
        found.iter().map(rows::read).collect()
    }

    /// How much is to be told.
    ///
    /// # Errors
    /// As every read.
    pub async fn outbox_extent(&self) -> Result<OutboxExtent, StoreError> {
        let mut reader = self.reader().await?;
        let Some(row) = reader.first(sql::OUTBOX_EXTENT, |to| to).await? else {
            return Ok(OutboxExtent::default());
        };
        let mut columns = Columns::new("outbox", &row);
        Ok(OutboxExtent {
            waiting: columns.int("waiting")?.cast_unsigned(),
            dead: columns.int("dead")?.cast_unsigned(),
            oldest_at_ms: columns.get("oldest_at_ms")?,
        })
    }
}
