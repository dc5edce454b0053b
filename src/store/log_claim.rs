//! Whoever has to begin SQLite's log anew says so, and long reads let go of it.
//!
//! The log can begin anew only when nobody reads from it, and a copy of a large database reads for
//! minutes, in a process of its own. What is said must reach that process when the disk takes nothing
//! more, and must not outlive the one who said it: so it is a `flock` on the database's folder, which
//! nobody has to write for. SQLite's own locks are of another kind and do not meet it.

use std::fs::File;
use std::io;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

/// Who looks whether there is a claim holds the lock for a moment: so often it is tried again.
const TRIES: u32 = 100;
const TRY_AGAIN: Duration = Duration::from_millis(1);

/// Says that the log is needed, until it is dropped.
#[derive(Debug)]
pub(super) struct LogClaim {
    _folder: File,
}

impl LogClaim {
    /// Makes the claim. `None` when it cannot be made, or another one stands: then readers are waited
    /// for as long as they take.
    pub(super) async fn make(database: &Path) -> Option<Self> {
        let folder = folder_of(database).ok()?;
        for _ in 0..TRIES {
            match flock(&folder, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Some(Self { _folder: folder }),
                Err(Errno::WOULDBLOCK) => tokio::time::sleep(TRY_AGAIN).await,
                Err(_) => return None,
            }
        }
        None
    }
}

/// Looks whether somebody has made a claim.
#[derive(Debug)]
pub(super) struct LogWatch {
    folder: File,
}

impl LogWatch {
    /// For the database at a canonical path.
    ///
    /// # Errors
    /// When its folder cannot be opened.
    pub(super) fn of(database: &Path) -> io::Result<Self> {
        folder_of(database).map(|folder| Self { folder })
    }

    /// Whether the log is needed now. Where the file system has no such locks nobody can say so.
    pub(super) fn is_claimed(&self) -> bool {
        match flock(&self.folder, FlockOperation::NonBlockingLockShared) {
            Ok(()) => {
                let _ = flock(&self.folder, FlockOperation::Unlock);
                false
            }
            Err(error) => error == Errno::WOULDBLOCK,
        }
    }
}

fn folder_of(database: &Path) -> io::Result<File> {
    File::open(database.parent().unwrap_or_else(|| Path::new("/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_claim_is_seen_until_it_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("d.db");
        let watch = LogWatch::of(&database).unwrap();
        assert!(!watch.is_claimed());
        let claim = LogClaim::make(&database).await.unwrap();
        assert!(watch.is_claimed());
        drop(claim);
        assert!(!watch.is_claimed() && !watch.is_claimed());
        assert!(LogClaim::make(&folder.path().join("none/d.db")).await.is_none());
    }
}
