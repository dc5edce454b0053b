//! What can go wrong with a log.

use std::path::{Path, PathBuf};

use crate::store::StoreError;

/// Why a call did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Bytes before the given offset are missing.
    #[error("the log has {next_offset} bytes: send from there on, not from {offset}")]
    Gap {
        /// Where the caller wanted to write.
        offset: u64,
        /// From where the log goes on.
        next_offset: u64,
    },
    /// The attempt's log was sealed; what it has is what it will have.
    #[error("the log is sealed with {next_offset} bytes and takes no more")]
    Sealed {
        /// How many bytes of the job it has.
        next_offset: u64,
    },
    /// It was removed while it was read: retention is over.
    #[error("the log is kept no longer: what follows byte {offset} is gone")]
    Removed {
        /// How many bytes were read.
        offset: u64,
    },
    /// The file system refused.
    #[error("cannot {verb} the log {path}: {error}")]
    Io {
        /// What was tried.
        verb: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// The database refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The work on a log did not come to its end: the server stops, or our code is wrong.
    #[error("the work on a log was given up: {0}")]
    GivenUp(#[from] tokio::task::JoinError),
}

impl LogError {
    /// Whether another try may help: a full disk can be emptied.
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Io { .. } | Self::Store(_) | Self::GivenUp(_))
    }

    pub(super) fn io(verb: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |error| Self::Io { verb, path: path.to_owned(), error }
    }
}
