//! What the store is told at start.

use std::fmt;
use std::path::PathBuf;

use super::planted::Planted;
use super::seat::Instance;

/// Where the store keeps its data and how much it may use.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// Where the database is.
    pub location: Location,
    /// The folder of large bodies, with SQLite; made if it is not there.
    pub bodies_dir: PathBuf,
    /// Connections that read at the same time, at least 1.
    pub readers_max: u32,
    /// How long one read may wait for a connection, and how long each of its statements may run.
    pub read_timeout_ms: u64,
    /// How long the writer waits for a lock. SQLite: the write lock, which only a forgotten writer of
    /// this process or a person with the sqlite3 shell can hold. PostgreSQL: those of rows and tables.
    pub busy_timeout_ms: u64,
    /// PostgreSQL: how long one statement of the writer may run, and how long its transaction may lie
    /// idle, before the server ends them.
    pub write_timeout_ms: u64,
    /// PostgreSQL: what this server tells the others that share the database; it writes only while it
    /// leads. `None`: it shares with nobody, and is refused where somebody else is.
    pub instance: Option<Instance>,
    /// PostgreSQL, where it is shared: the server itself ends the session of an instance that says nothing
    /// for so long, so that its seat is free also where no other instance may end it; 0: never.
    pub leader_silence_max_ms: u64,
    /// When a commit is flushed, on SQLite. PostgreSQL always does it before it reports it.
    pub synchronous: Synchronous,
    /// What only tests of durability change.
    #[doc(hidden)]
    pub planted: Planted,
}

impl StoreOptions {
    /// A SQLite file with the defaults: 4 readers, 5 s for a read, 5 s for a lock, every commit
    /// flushed.
    pub fn new(path: impl Into<PathBuf>, bodies_dir: impl Into<PathBuf>) -> Self {
        Self::at(Location::File(path.into()), bodies_dir)
    }

    /// Any database with the defaults, as of [`StoreOptions::new`].
    pub fn at(location: Location, bodies_dir: impl Into<PathBuf>) -> Self {
        Self {
            location,
            bodies_dir: bodies_dir.into(),
            readers_max: 4,
            read_timeout_ms: 5_000,
            busy_timeout_ms: 5_000,
            write_timeout_ms: 5_000,
            instance: None,
            leader_silence_max_ms: 0,
            synchronous: Synchronous::Full,
            planted: Planted::default(),
        }
    }
}

/// Where a database is.
#[derive(Clone, PartialEq, Eq)]
pub enum Location {
    /// A SQLite file; its folder is made if it is not there.
    File(PathBuf),
    /// A PostgreSQL database, as `postgres://user:password@host:port/database`. What is left out is
    /// taken from `PGHOST`, `PGPORT`, `PGUSER`, `PGPASSWORD`, `PGDATABASE` and the password file.
    Server(String),
}

impl fmt::Debug for Location {
    /// Without the address of a server: a password may be in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Server(_) => f.write_str("Server(..)"),
        }
    }
}

/// When a commit is flushed to the disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Synchronous {
    /// Before it is reported: what was acknowledged survives a power loss.
    #[default]
    Full,
    /// At checkpoints only. Loses acknowledged rows; for the test that proves that `Full` matters.
    Normal,
}
