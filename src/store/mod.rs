//! The database: the only user of sqlx. It knows the model and nothing else of ours.
//!
//! ```text
//!  driver --> Writer --lend--> Batch: claim keys -> fence -> folded changes -> commit --> Writer
//!                 ^--load------ after every failure: new connection, new epoch, one snapshot
//!  api, executors, ... --> Store: bounded reads on connections of their own, large bodies
//! ```
//!
//! SQLite in a file and PostgreSQL on a server are equals: the same statements where they agree
//! (`sql/`), two where they must differ (`sql/postgres/`), one suite of tests over both. All that knows
//! which of the two there is: `connection.rs`, `row.rs`, `bind.rs` and `bulk.rs` for statements,
//! `database.rs`, `lock.rs` and `bodies.rs` for the rest; behind them `sqlite.rs`, `flock.rs` and
//! `files.rs`, and `postgres/`. Job logs are rows on PostgreSQL only (`postgres/logs.rs`); what is
//! added to them and when they end is the business of the room `log`.
//!
//! The hot tables hold exactly the live workloads, which is what the scheduler has in memory; a
//! load scans them and nothing else reads them often. The schema is explained where it is made,
//! in `migrations/`; the statements are files in `sql/`, listed in `statement.rs`.
//!
//! Deliberately absent: decisions. A row is written because a [`crate::model::Change`] says so,
//! and read back as the model has it.

mod apply;
mod backup;
mod batch;
mod bind;
mod bodies;
mod bulk;
mod columns;
mod connection;
mod database;
mod error;
mod files;
mod flock;
mod intake;
mod load;
mod lock;
mod log_again;
mod log_claim;
mod moves;
mod names;
mod options;
mod pipe;
mod planted;
mod postgres;
mod read;
mod row;
mod rows;
mod schema;
mod seat;
mod sqlite;
mod statement;
#[cfg(test)]
pub(crate) mod tests;
mod transfer;
mod write_set;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use bodies::Bodies;
use columns::Columns;
use database::Database;
use lock::DatabaseLock;
use postgres::Intake;
use read::Readers;
use row::Row;

pub use backup::{Backup, EPOCHS_LEFT_OUT};
pub use batch::{Batch, Claim, Lent};
pub use error::StoreError;
pub use intake::{News, NewsBell};
pub use names::Names;
pub use options::{Location, StoreOptions, Synchronous};
#[doc(hidden)]
pub use planted::{AtPoint, Planted, Point};
pub use postgres::{LogRow, LogRows};
pub use read::{
    DeliveryPage, EndedAttempt, EndedJob, EndedRun, Extent, JobContext, JobPage, LastCommit,
    LevelUsage, MessagePage, OldDelivery, OldKey, OldRecord, OldSession, OldWorkload, OutboxExtent,
    Outputs, Page, PlaceInTime, RanInRun, SessionPage, WorkloadPage,
};
pub use rows::delivery::{DeliveryDetail, DeliveryHead};
pub use seat::{Held, Instance, InstanceRow, Leader, Look, Seat};
pub use transfer::LogFile;
pub use writer::Writer;

/// Reads the database and keeps large bodies; cheap to clone.
#[derive(Clone)]
pub struct Store {
    /// Connections that cannot write.
    readers: Readers,
    read_timeout: Duration,
    bodies: Bodies,
    planted: Planted,
    /// Where others accept deliveries too.
    intake: Option<Intake>,
    /// Where logs are rows.
    logs: Option<LogRows>,
    /// Held by every clone and by the writer: the database is free when all of them are gone.
    lock: Arc<DatabaseLock>,
}

impl Store {
    /// Opens the database: takes its lock, unless it is shared; asserts what durability needs, and
    /// brings the schema up to date; with SQLite it makes the folders too. The writer must load before it writes.
    ///
    /// # Errors
    /// [`StoreError::InUse`], [`StoreError::SchemaNewer`], [`StoreError::Migration`], or
    /// [`StoreError::Unavailable`] when there is no connection to be had. With SQLite also
    /// [`StoreError::TooOld`], [`StoreError::Setting`] and [`StoreError::File`], with PostgreSQL
    /// [`StoreError::Address`], [`StoreError::Unreachable`] and [`StoreError::Unfit`].
    pub async fn open(options: StoreOptions) -> Result<(Self, Writer), StoreError> {
        let read_timeout = Duration::from_millis(options.read_timeout_ms);
        let planted = options.planted.clone();
        let (database, lock, bodies) = Database::open(options).await?;
        let (database, lock) = (Arc::new(database), Arc::new(lock));
        let readers = database.open_readers();
        let intake = Seat::of(&lock).and_then(|_| database.open_intake());
        let logs = database.open_logs(&planted);
        let writer = Writer::new(database, Arc::clone(&lock), planted.clone());
        Ok((Self { readers, read_timeout, bodies, intake, logs, planted, lock }, writer))
    }

    /// Its seat among those that share the database; `None` where there is one server only.
    pub fn seat(&self) -> Option<Seat> {
        Seat::of(&self.lock)
    }

    /// Job logs as rows; `None` where they are no business of the database.
    pub fn log_rows(&self) -> Option<LogRows> {
        self.logs.clone()
    }

    /// Waits for the reads that run and closes the connections; later reads fail.
    pub async fn close(&self) {
        self.readers.close().await;
        self.bodies.close().await;
        if let Some(intake) = &self.intake {
            intake.close().await;
        }
        if let Some(logs) = &self.logs {
            logs.close().await;
        }
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("bodies", &self.bodies).finish_non_exhaustive()
    }
}
