//! Kept history, and when the database was last written.

use super::ROWS_MAX;
use crate::model::{JobId, Record, WorkloadId};
use crate::store::Store;
use crate::store::columns::Columns;
use crate::store::error::StoreError;
use crate::store::rows;
use crate::store::statement::{self as sql, Sql};

/// Who writes the database, and when it last did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LastCommit {
    /// The epoch of the last load.
    pub epoch: i64,
    /// Who loaded; `None` before the first load.
    pub holder: Option<Box<str>>,
    /// Wall milliseconds of the last load or batch; `None` before the first load.
    pub at_ms: Option<i64>,
}

impl Store {
    /// The kept history of a job, newest first, at most 1,000.
    ///
    /// # Errors
    /// As every read.
    pub async fn records_of(&self, id: JobId) -> Result<Vec<Record>, StoreError> {
        self.records(sql::RECORD_LIST_BY_JOB, id.0).await
    }

    /// The kept history of a workload and of its jobs as far as it names the workload, newest
    /// first, at most 1,000.
    ///
    /// # Errors
    /// As every read.
    pub async fn records_of_workload(&self, id: WorkloadId) -> Result<Vec<Record>, StoreError> {
        self.records(sql::RECORD_LIST_BY_WORKLOAD, id.0).await
    }

    async fn records(&self, statement: Sql, id: i64) -> Result<Vec<Record>, StoreError> {
        let mut reader = self.reader().await?;
        let limit = i64::from(ROWS_MAX);
        let rows = reader.all(statement, |to| to.int(id).int(limit)).await?;
        rows.iter().map(rows::record::read).collect()
    }

    /// Who writes the database, and when it last did.
    ///
    /// # Errors
    /// As every read.
    pub async fn last_commit(&self) -> Result<LastCommit, StoreError> {
        let mut reader = self.reader().await?;
        let row = reader.first(sql::LEADER_SELECT, |to| to).await?;
        let row = row.ok_or_else(|| StoreError::Corrupt {
            table: "leader",
            column: "id",
            row: "1".into(),
            what: "the row is missing".into(),
        })?;
        let mut columns = Columns::new("leader", &row);
        let (epoch, holder) = (columns.int("epoch")?, columns.opt_text("holder")?);
        for mark in ["next_workload", "next_job", "next_runner", "next_class"] {
            columns.int(mark)?;
        }
        Ok(LastCommit { epoch, holder, at_ms: columns.get("last_commit_at_ms")? })
    }
}
