//! The lock that keeps a second process from the same SQLite file.
//!
//! A held `flock` and not a file with a process number: the number is 1 in every container, and
//! the lock goes away with the process however that ends.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::error::StoreError;

/// Holds the lock until it is dropped.
#[derive(Debug)]
pub(super) struct FileLock {
    _file: File,
}

impl FileLock {
    /// Makes the database's file and folder where they are missing, and takes the lock beside the
    /// canonical path, so that two names of one file are one database.
    ///
    /// Returns the canonical path too.
    ///
    /// # Errors
    /// [`StoreError::InUse`] when somebody has it; [`StoreError::File`] when a file or folder
    /// cannot be made.
    pub(super) fn take(database: &Path) -> Result<(Self, PathBuf), StoreError> {
        if let Some(folder) = database.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(|error| StoreError::file(folder, error))?;
        }
        // An empty file is an empty database to SQLite.
        private_file(database).map_err(|error| StoreError::file(database, error))?;
        let database =
            database.canonicalize().map_err(|error| StoreError::file(database, error))?;
        let mut lock_file = database.clone().into_os_string();
        lock_file.push(".lock");
        let lock_file = PathBuf::from(lock_file);
        let file = private_file(&lock_file).map_err(|error| StoreError::file(&lock_file, error))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok((Self { _file: file }, database)),
            Err(Errno::WOULDBLOCK) => Err(StoreError::InUse {
                database: database.display().to_string(),
                holder: format!("another process holds {}", lock_file.display()),
                instead: "a data folder",
            }),
            Err(error) => Err(StoreError::file(lock_file, error.into())),
        }
    }
}

/// Opens a file that only its owner can read, and makes it if it is not there.
fn private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_names_of_one_file_are_one_database() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("a.db"), folder.path().join("b.db"));
        let (_lock, canonical) = FileLock::take(&real).unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let error = FileLock::take(&link).unwrap_err();
        let StoreError::InUse { database, holder, .. } = &error else { panic!("{error}") };
        assert_eq!(*database, canonical.display().to_string());
        assert!(holder.ends_with("a.db.lock"), "{error}");
    }
}
