//! Large bodies as rows of a table of their own, so that every server of a database has them.

use bytes::Bytes;

use super::Server;
use super::writers::Writers;
use crate::store::error::StoreError;
use crate::store::statement as sql;

/// Bodies forgotten in one statement of a sweep.
const SWEEP_ROWS: i64 = 500;

/// The table, and connections that write it beside the batches.
#[derive(Clone, Debug)]
pub(in crate::store) struct BodyTable {
    writers: Writers,
}

impl BodyTable {
    /// Connects when it is first needed.
    pub(in crate::store) fn open(server: &Server) -> Self {
        Self { writers: server.open_body_writers() }
    }

    /// Keeps a body; it is durable when this returns.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub(in crate::store) async fn write(&self, name: &str, body: &Bytes) -> Result<(), StoreError> {
        self.writers.execute(sql::BODY_INSERT, |to| to.text(name).bytes(Some(body))).await.map(drop)
    }

    /// Forgets a body, unless a delivery names it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub(in crate::store) async fn remove(&self, name: &str) -> Result<(), StoreError> {
        self.writers.execute(sql::BODY_DELETE, |to| to.text(name)).await.map(drop)
    }

    /// Forgets what no delivery names and was written before that time, and returns how many.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]; what was forgotten stays forgotten.
    pub(in crate::store) async fn sweep(&self, written_before_ms: i64) -> Result<u64, StoreError> {
        let mut removed = 0;
        loop {
            let sweep = self
                .writers
                .execute(sql::BODY_SWEEP, |to| to.int(written_before_ms).int(SWEEP_ROWS));
            let rows = sweep.await?;
            removed += rows;
            if rows < SWEEP_ROWS.unsigned_abs() {
                return Ok(removed);
            }
        }
    }

    /// Closes the connections.
    pub(in crate::store) async fn close(&self) {
        self.writers.close().await;
    }
}
