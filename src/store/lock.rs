//! What keeps a second server from writing the same database, and the whole of it: nothing else in the
//! store knows that there could be another.
//!
//! It is held by every [`super::Store`] and by the [`super::Writer`], and goes away with them. A load
//! asks for it again, because PostgreSQL gives it back when its connection is lost. Servers that share a
//! PostgreSQL go by a [`super::Seat`] to it.

use super::error::StoreError;
use super::flock::FileLock;
use super::postgres::SessionLock;

/// Holds the database until it is dropped.
#[derive(Debug)]
pub(super) enum DatabaseLock {
    /// SQLite. A lock of the operating system: the process has it as long as it lives.
    File(#[expect(dead_code, reason = "it is there to be dropped")] FileLock),
    /// PostgreSQL. A lock of a connection.
    Session(SessionLock),
}

impl DatabaseLock {
    /// Returns when the database is, or is again, this process's own.
    ///
    /// # Errors
    /// [`StoreError::InUse`] when somebody took it while our connection was lost;
    /// [`StoreError::NotLeading`] for an instance that does not lead;
    /// [`StoreError::Unavailable`] when the database cannot be reached.
    pub(super) async fn hold(&self) -> Result<(), StoreError> {
        match self {
            Self::File(_) => Ok(()),
            Self::Session(lock) => lock.hold().await,
        }
    }
}
