//! What the store is told at start.

use std::path::PathBuf;

/// Where the store keeps its data and how much it may use.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// The SQLite file; its folder is made if it is not there.
    pub path: PathBuf,
    /// The folder of large bodies; made if it is not there.
    pub bodies_dir: PathBuf,
    /// Connections that read at the same time, at least 1.
    pub readers_max: u32,
    /// How long one read may wait for a connection, and how long each of its statements may run.
    pub read_timeout_ms: u64,
    /// How long the writer waits for the write lock, which only a forgotten writer of this process
    /// or a person with the sqlite3 shell can hold.
    pub busy_timeout_ms: u64,
    /// When a commit is flushed.
    pub synchronous: Synchronous,
}

impl StoreOptions {
    /// The defaults: 4 readers, 5 s for a read, 5 s for the write lock, every commit flushed.
    pub fn new(path: impl Into<PathBuf>, bodies_dir: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            bodies_dir: bodies_dir.into(),
            readers_max: 4,
            read_timeout_ms: 5_000,
            busy_timeout_ms: 5_000,
            synchronous: Synchronous::Full,
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
