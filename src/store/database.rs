//! Which database there is, and how it is opened.

use std::path::PathBuf;
use std::sync::Arc;

use sqlx::Connection as _;

use super::bodies::Bodies;
use super::connection::Connection;
use super::error::StoreError;
use super::files::BodyFolder;
use super::flock::FileLock;
use super::lock::DatabaseLock;
use super::options::{Location, StoreOptions};
use super::planted::{Planted, Point};
use super::postgres::{BodyTable, Intake, LogRows, Server, SessionLock};
use super::read::Readers;
use super::{schema, sqlite};

/// A database that was opened.
pub(super) enum Database {
    /// The canonical path of a SQLite file.
    Sqlite(PathBuf, Box<StoreOptions>),
    Postgres(Arc<Server>),
}

impl Database {
    /// Opens a database: takes its lock, asserts what durability needs, brings the schema up to date.
    ///
    /// # Errors
    /// As [`super::Store::open`].
    pub(super) async fn open(
        options: StoreOptions,
    ) -> Result<(Self, DatabaseLock, Bodies), StoreError> {
        match &options.location {
            Location::File(path) => {
                let (lock, path) = FileLock::take(path)?;
                options.planted.at(Point::Locked)?;
                let bodies = BodyFolder::open(&options.bodies_dir)?;
                let mut first = sqlite::open_writer(&path, &options).await?;
                schema::assert_version(&mut first).await?;
                schema::migrate_sqlite(&mut first).await?;
                options.planted.at(Point::Migrated)?;
                first.close().await.map_err(|error| StoreError::database("close", error))?;
                Ok((
                    Self::Sqlite(path, Box::new(options)),
                    DatabaseLock::File(lock),
                    Bodies::Folder(bodies),
                ))
            }
            Location::Server(address) => {
                let server = Arc::new(Server::new(address, &options)?);
                let mut first = server.first_connection().await?;
                let lock = match options.instance.clone() {
                    None => SessionLock::take(Arc::clone(&server)).await?,
                    Some(instance) => {
                        let silence_max_ms = options.leader_silence_max_ms;
                        SessionLock::share(Arc::clone(&server), instance, silence_max_ms)
                    }
                };
                options.planted.at(Point::Locked)?;
                let migrated = schema::migrate_postgres(&mut first).await;
                migrated.map_err(|error| server.unmigrated(error))?;
                options.planted.at(Point::Migrated)?;
                if lock.instance().is_none() {
                    lock.sit_alone().await?;
                }
                first.close().await.map_err(|error| StoreError::database("close", error))?;
                let bodies = BodyTable::open(&server);
                Ok((Self::Postgres(server), DatabaseLock::Session(lock), Bodies::Table(bodies)))
            }
        }
    }

    /// Opens a connection that writes.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when there is none to be had; [`StoreError::Setting`].
    pub(super) async fn open_writer(&self) -> Result<Connection, StoreError> {
        match self {
            Self::Sqlite(path, options) => {
                sqlite::open_writer(path, options).await.map(Connection::Sqlite)
            }
            Self::Postgres(server) => server.open_writer().await,
        }
    }

    /// Connections that accept deliveries beside the batches.
    pub(super) fn open_intake(&self) -> Option<Intake> {
        match self {
            Self::Sqlite(..) => None,
            Self::Postgres(server) => Some(Intake::open(server)),
        }
    }

    /// Logs as rows.
    pub(super) fn open_logs(&self, planted: &Planted) -> Option<LogRows> {
        match self {
            Self::Sqlite(..) => None,
            Self::Postgres(server) => Some(LogRows::open(server, planted.clone())),
        }
    }

    /// Connections that only read.
    pub(super) fn open_readers(&self) -> Readers {
        match self {
            Self::Sqlite(path, options) => Readers::Sqlite(sqlite::open_readers(path, options)),
            Self::Postgres(server) => Readers::Postgres(server.open_readers()),
        }
    }
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sqlite(path, _) => f.debug_tuple("Sqlite").field(path).finish(),
            Self::Postgres(server) => f.debug_tuple("Postgres").field(&server.name()).finish(),
        }
    }
}
