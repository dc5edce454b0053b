//! What tests of durability put below the store, or do to it at its points. No configuration names any
//! of it, and where nobody plants something there is nothing.

use std::fmt;
use std::sync::Arc;

use super::error::StoreError;

/// What a test planted.
#[derive(Clone, Default)]
pub struct Planted {
    /// How SQLite reaches its files, by the name under which that was registered with it.
    pub sqlite_vfs: Option<&'static str>,
    /// The end of a batch goes unguarded (law 1): a commit that failed is taken for one that went
    /// well, and its connection is used again.
    pub unguarded: bool,
    /// Called each time before a copy of a SQLite database looks whether it must let go of the log.
    pub backup_looks: Option<Arc<dyn Fn() + Send + Sync>>,
    /// Called at each point. It may end the process there; an error is that of the store's call.
    pub at: Option<AtPoint>,
}

/// What happens at a point, or what went wrong there.
pub type AtPoint = Arc<dyn Fn(Point) -> Result<(), String> + Send + Sync>;

/// A point that a store call comes by.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Point {
    /// Opening: the lock is ours, and nothing else was done.
    Locked,
    /// Opening: the schema is up to date.
    Migrated,
    /// Loading: there is a connection.
    Opened,
    /// Loading: the epoch is raised.
    Raised,
    /// Loading: everything was read.
    Loaded,
    /// A batch, before it begins.
    Begin,
    /// A batch: its transaction is open.
    Begun,
    /// A batch: its keys are claimed.
    Claimed,
    /// A batch: the leader's row is ours.
    Fenced,
    /// A batch: one more statement was carried out.
    Statement,
    /// A batch, before its commit.
    Written,
    /// A batch: it is committed. An error here is a commit whose answer is lost.
    Committed,
    /// A batch: it was given up.
    RolledBack,
    /// A large body, before it is written.
    Body,
    /// A large body: it is durable.
    BodyKept,
    /// A large body, before it is removed.
    BodyRemoved,
    /// A piece of a log that is rows, before it is added.
    Log,
    /// A piece of a log that is rows: it is durable. An error here is an answer that is lost.
    LogKept,
    /// A log that is rows: it is sealed. The same.
    LogSealed,
    /// Before the writer's connection is closed.
    Closing,
    /// The writer's connection is closed.
    Closed,
}

impl Point {
    /// All of them, in the order of a server's life.
    pub const ALL: [Self; 21] = [
        Self::Locked,
        Self::Migrated,
        Self::Opened,
        Self::Raised,
        Self::Loaded,
        Self::Begin,
        Self::Begun,
        Self::Claimed,
        Self::Fenced,
        Self::Statement,
        Self::Written,
        Self::Committed,
        Self::RolledBack,
        Self::Body,
        Self::BodyKept,
        Self::BodyRemoved,
        Self::Log,
        Self::LogKept,
        Self::LogSealed,
        Self::Closing,
        Self::Closed,
    ];

    /// Whether a server comes by it where logs are files.
    pub fn is_on_sqlite(self) -> bool {
        !matches!(self, Self::Log | Self::LogKept | Self::LogSealed)
    }
}

impl Planted {
    /// The store is at this point.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], if a test wants it so.
    pub(super) fn at(&self, point: Point) -> Result<(), StoreError> {
        let Some(at) = &self.at else { return Ok(()) };
        at(point).map_err(|what| StoreError::Unavailable { statement: "planted", what })
    }
}

impl fmt::Debug for Planted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Planted")
            .field("sqlite_vfs", &self.sqlite_vfs)
            .field("unguarded", &self.unguarded)
            .field("backup_looks", &self.backup_looks.is_some())
            .field("at", &self.at.is_some())
            .finish()
    }
}
