//! The one writer and its one connection.
//!
//! The connection is in the writer's hands only while nothing is known to be wrong with it: it is
//! lent for a batch, and only a commit or a rollback that went well gives it back. Whatever else
//! happens, by error or by drop, it is closed, and the writer refuses to write until it has loaded.

use std::sync::Arc;

use super::batch::Lent;
use super::connection::{Connection, MARK_WRITER};
use super::database::Database;
use super::error::StoreError;
use super::load;
use super::lock::DatabaseLock;
use super::planted::{Planted, Point};
use crate::model::Snapshot;

/// Writes the database. There is one per process, and one process per database.
pub struct Writer {
    pub(super) database: Arc<Database>,
    /// `None` until a load, and again from a failure to the next load.
    pub(super) connection: Option<Connection>,
    /// That of the last load.
    epoch: i64,
    /// Keeps other processes away as long as this one can write.
    lock: Arc<DatabaseLock>,
    planted: Planted,
}

impl Writer {
    pub(super) fn new(database: Arc<Database>, lock: Arc<DatabaseLock>, planted: Planted) -> Self {
        Self { database, connection: None, epoch: 0, lock, planted }
    }

    /// Begins to write, or begins again after a failure: opens a fresh connection, raises the
    /// epoch by a committed write, then reads one snapshot. `holder` is shown to people.
    ///
    /// The raise waits for whatever an earlier connection still has in flight, so the snapshot
    /// shows it if it was committed after all; and it proves that the database can be written.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the database cannot be opened, written or read: wait, and
    /// load again. [`StoreError::InUse`] when another server took it while it was lost to this one;
    /// [`StoreError::NotLeading`] for an instance that has to have the seat first.
    /// [`StoreError::Corrupt`] when a row cannot be understood.
    pub async fn load(&mut self, holder: &str, wall_ms: i64) -> Result<Snapshot, StoreError> {
        // Dropping it closes it, which rolls back what it has open.
        drop(self.connection.take());
        self.lock.hold().await?;
        let mut connection = self.database.open_writer().await?;
        if let Connection::Postgres(..) = connection {
            connection.session().plain(MARK_WRITER).await?;
        }
        self.planted.at(Point::Opened)?;
        load::raise_epoch(&mut connection, holder, wall_ms).await?;
        self.planted.at(Point::Raised)?;
        let snapshot = load::snapshot(&mut connection).await?;
        self.planted.at(Point::Loaded)?;
        (self.connection, self.epoch) = (Some(connection), snapshot.epoch);
        Ok(snapshot)
    }

    /// Lends the connection for one batch, so that its commit can be waited for beside other work.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the writer must load first, or has not got its connection
    /// back.
    pub fn lend(&mut self) -> Result<Lent, StoreError> {
        let connection = self.connection.take();
        let connection = connection.ok_or_else(|| StoreError::not_loaded("lend"))?;
        let planted = self.planted.clone();
        Ok(Lent { connection: Some(connection), epoch: self.epoch, planted })
    }

    /// Takes back what a batch's end returned. What was found unfit for use is closed: the writer
    /// must then load.
    pub fn take_back(&mut self, lent: Lent) {
        self.connection = lent.connection;
    }

    /// Closes the connection in an orderly way, with a last checkpoint if nobody else reads.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]; nothing that was committed is lost by it.
    pub async fn close(mut self) -> Result<(), StoreError> {
        let Some(connection) = self.connection.take() else { return Ok(()) };
        self.planted.at(Point::Closing)?;
        connection.close().await?;
        self.planted.at(Point::Closed)
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
