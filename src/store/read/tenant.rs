//! What one tenant has, counted over the live jobs.

use crate::model::{JobPriority, TenantId};
use crate::store::Store;
use crate::store::columns::Columns;
use crate::store::error::StoreError;
use crate::store::statement as sql;

/// One level of one tenant's live jobs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LevelUsage {
    /// Which level.
    pub priority: JobPriority,
    /// Jobs that wait, gated ones too.
    pub waiting: u64,
    /// Jobs that runners have.
    pub running: u64,
    /// When the oldest of the waiting ones was queued.
    pub oldest_queued_at_ms: Option<i64>,
    /// How long the running ones waited, together.
    pub waited_ms: i64,
}

impl Store {
    /// What a tenant, or all of them, have waiting and running, by level; levels without live jobs
    /// are not in it.
    ///
    /// # Errors
    /// As every read.
    pub async fn usage(&self, of: Option<TenantId>) -> Result<Vec<LevelUsage>, StoreError> {
        let mut reader = self.reader().await?;
        let rows = reader.all(sql::TENANT_USAGE_LOAD, |to| to.int(of.map(|id| id.0))).await?;
        let read = |row| {
            let mut columns = Columns::new("job", row);
            Ok(LevelUsage {
                priority: columns.code("priority", JobPriority::from_level)?,
                waiting: u64::from(columns.count("waiting")?),
                running: u64::from(columns.count("running")?),
                oldest_queued_at_ms: columns.get("oldest_queued_at_ms")?,
                waited_ms: columns.int("waited_ms")?,
            })
        };
        rows.iter().map(read).collect()
    }
}
