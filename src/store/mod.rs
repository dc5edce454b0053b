//! The database: the only user of sqlx. It knows the model and nothing else of ours.
//!
//! ```text
//!  driver --> Writer --lend--> Batch: claim keys -> fence -> folded changes -> commit --> Writer
//!                 ^--load------ after every failure: new connection, new epoch, one snapshot
//!  api, executors, ... --> Store: bounded reads on connections of their own, bodies in files
//! ```
//!
//! The hot tables hold exactly the live workloads, which is what the scheduler has in memory; a
//! load scans them and nothing else reads them often. The schema is explained where it is made,
//! in `migrations/`; the statements are files in `sql/`, listed in `statement.rs`.
//!
//! Deliberately absent: decisions. A row is written because a [`crate::model::Change`] says so,
//! and read back as the model has it.

mod apply;
mod batch;
mod bind;
mod bodies;
mod bulk;
mod columns;
mod connection;
mod error;
mod load;
mod lock;
mod moves;
mod names;
mod options;
mod read;
mod rows;
mod schema;
mod statement;
#[cfg(test)]
mod tests;
mod write_set;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use sqlx::Connection as _;
use sqlx::sqlite::SqlitePool;

use bodies::Bodies;
use lock::DatabaseLock;

pub use batch::{Batch, Claim, Lent};
pub use error::StoreError;
pub use names::Names;
pub use options::{StoreOptions, Synchronous};
pub use read::{
    DeliveryPage, EndedAttempt, EndedJob, EndedRun, JobContext, JobPage, LastCommit, LevelUsage,
    Outputs, Page, PlaceInTime, WorkloadPage,
};
pub use rows::delivery::{DeliveryDetail, DeliveryHead};
pub use writer::Writer;

/// Reads the database and keeps large bodies; cheap to clone.
#[derive(Clone)]
pub struct Store {
    /// Connections that cannot write.
    readers: SqlitePool,
    read_timeout: Duration,
    bodies: Bodies,
    /// Held by every clone and by the writer: the database is free when all of them are gone.
    _lock: Arc<DatabaseLock>,
}

impl Store {
    /// Opens the database: makes its folders, takes its lock, asserts what durability needs, and
    /// brings the schema up to date. The writer must load before it writes.
    ///
    /// # Errors
    /// [`StoreError::InUse`], [`StoreError::TooOld`], [`StoreError::SchemaNewer`],
    /// [`StoreError::Migration`], [`StoreError::Setting`], [`StoreError::File`], or
    /// [`StoreError::Unavailable`] when there is no connection to be had.
    pub async fn open(options: StoreOptions) -> Result<(Self, Writer), StoreError> {
        let (lock, database) = DatabaseLock::take(&options.path)?;
        let lock = Arc::new(lock);
        let bodies = Bodies::open(&options.bodies_dir)?;
        let mut first = connection::open_writer(&database, &options).await?;
        schema::assert_version(&mut first).await?;
        schema::migrate(&mut first).await?;
        first.close().await.map_err(|error| StoreError::database("close", error))?;
        let store = Self {
            readers: connection::open_readers(&database, &options),
            read_timeout: Duration::from_millis(options.read_timeout_ms),
            bodies,
            _lock: Arc::clone(&lock),
        };
        Ok((store, Writer::new(database, options, lock)))
    }

    /// Waits for the reads that run and closes the connections; later reads fail.
    pub async fn close(&self) {
        self.readers.close().await;
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("bodies", &self.bodies).finish_non_exhaustive()
    }
}
