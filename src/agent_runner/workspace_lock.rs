//! A workspace that is kept is used by one attempt at a time, also where the runners of one machine share it.
//!
//! Units of resources see to that as long as leases do: whoever has lost its lease may not have stopped yet
//! when the next one begins.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often it is tried: the kernel tells nobody when a lock is free.
const LOOK: Duration = Duration::from_millis(50);

/// The right to use a workspace (flock), held until drop. Steps do not have it, so one of a runner that was
/// killed does not keep it.
#[derive(Debug)]
pub(super) struct WorkspaceLock(File);

impl Drop for WorkspaceLock {
    /// Closing is not enough: a child between fork and exec still holds the file.
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

impl WorkspaceLock {
    /// Where the lock of a workspace is: beside it, out of the way of jobs.
    pub(super) fn path(workspace: &Path) -> PathBuf {
        let mut path = workspace.as_os_str().to_owned();
        path.push(".lock");
        path.into()
    }

    /// Takes it, if nobody has it.
    pub(super) fn try_take(path: &Path) -> io::Result<Option<Self>> {
        let mut options = OpenOptions::new();
        let file = options.create(true).truncate(false).write(true).mode(0o600).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Takes it as soon as nobody has it.
    pub(super) async fn take(path: &Path) -> io::Result<Self> {
        loop {
            if let Some(lock) = Self::try_take(path)? {
                return Ok(lock);
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_has_it_and_the_next_one_waits() {
        let folder = tempfile::tempdir().expect("tempdir");
        let path = WorkspaceLock::path(&folder.path().join("slot-0"));
        assert_eq!(path, folder.path().join("slot-0.lock"));
        let first = WorkspaceLock::try_take(&path).expect("no error").expect("free");
        assert!(WorkspaceLock::try_take(&path).expect("no error").is_none());
        let next = tokio::spawn(async move { WorkspaceLock::take(&path).await });
        drop(first);
        next.await.expect("no panic").expect("free again");
    }
}
