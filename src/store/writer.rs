//! The one writer and its one connection.
//!
//! The connection is in the writer's hands only while nothing is known to be wrong with it: it is
//! lent for a batch, and only a commit or a rollback that went well gives it back. Whatever else
//! happens, by error or by drop, it is closed, and the writer refuses to write until it has loaded.

use std::path::PathBuf;
use std::sync::Arc;

use sqlx::Connection as _;
use sqlx::sqlite::SqliteConnection;

use super::batch::Lent;
use super::connection;
use super::error::StoreError;
use super::load;
use super::lock::DatabaseLock;
use super::options::StoreOptions;
use crate::model::Snapshot;

/// Writes the database. There is one per process, and one process per database.
pub struct Writer {
    /// The canonical path.
    pub(super) database: PathBuf,
    pub(super) options: StoreOptions,
    /// `None` until a load, and again from a failure to the next load.
    pub(super) connection: Option<SqliteConnection>,
    /// Keeps other processes away as long as this one can write.
    _lock: Arc<DatabaseLock>,
}

impl Writer {
    pub(super) fn new(database: PathBuf, options: StoreOptions, lock: Arc<DatabaseLock>) -> Self {
        Self { database, options, connection: None, _lock: lock }
    }

    /// Begins to write, or begins again after a failure: opens a fresh connection, raises the
    /// epoch by a committed write, then reads one snapshot. `holder` is shown to people.
    ///
    /// The raise waits for whatever an earlier connection still has in flight, so the snapshot
    /// shows it if it was committed after all; and it proves that the database can be written.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the database cannot be opened, written or read: wait, and
    /// load again. [`StoreError::Corrupt`] when a row cannot be understood.
    pub async fn load(&mut self, holder: &str, wall_ms: i64) -> Result<Snapshot, StoreError> {
        // Dropping it tells its thread to close it, which rolls back what it has open.
        drop(self.connection.take());
        let mut connection = connection::open_writer(&self.database, &self.options).await?;
        load::raise_epoch(&mut connection, holder, wall_ms).await?;
        let snapshot = load::snapshot(&mut connection).await?;
        self.connection = Some(connection);
        Ok(snapshot)
    }

    /// Lends the connection for one batch, so that its commit can be waited for beside other work.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the writer must load first, or has not got its connection
    /// back.
    pub fn lend(&mut self) -> Result<Lent, StoreError> {
        let connection = self.connection.take();
        connection.map(|it| Lent(Some(it))).ok_or_else(|| StoreError::not_loaded("lend"))
    }

    /// Takes back what a batch's end returned. What was found unfit for use is closed: the writer
    /// must then load.
    pub fn take_back(&mut self, lent: Lent) {
        self.connection = lent.0;
    }

    /// Closes the connection in an orderly way, with a last checkpoint if nobody else reads.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]; nothing that was committed is lost by it.
    pub async fn close(mut self) -> Result<(), StoreError> {
        let Some(connection) = self.connection.take() else { return Ok(()) };
        connection.close().await.map_err(|error| StoreError::database("close", error))
    }
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer")
            .field("database", &self.database)
            .field("loaded", &self.connection.is_some())
            .finish_non_exhaustive()
    }
}
