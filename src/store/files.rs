//! Large bodies as files, beside a SQLite database.
//!
//! A file is whole or not there, and flushed with its folder before its name is stored.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use bytes::Bytes;

use super::error::StoreError;

/// The folder of large bodies.
#[derive(Clone, Debug)]
pub(super) struct BodyFolder {
    folder: Arc<Path>,
}

impl BodyFolder {
    /// Makes the folder if it is not there.
    pub(super) fn open(folder: &Path) -> Result<Self, StoreError> {
        fs::create_dir_all(folder).map_err(|error| StoreError::file(folder, error))?;
        Ok(Self { folder: folder.into() })
    }

    /// Reads a file whole.
    pub(super) async fn read(&self, name: &str) -> Result<Bytes, StoreError> {
        blocking(self.folder.join(plain(name)), |path| fs::read(path)).await.map(Bytes::from)
    }

    /// Writes a file and flushes it and its folder.
    pub(super) async fn write(&self, name: &str, body: Bytes) -> Result<(), StoreError> {
        blocking(self.folder.join(name), move |path| write_flushed(path, &body)).await
    }

    /// Removes a file.
    pub(super) async fn remove(&self, name: &str) -> Result<(), StoreError> {
        blocking(self.folder.join(name), |path| fs::remove_file(path)).await
    }

    /// Names of files, whole and partial, that were last written before that time.
    pub(super) async fn names_before(
        &self,
        written_before_ms: i64,
    ) -> Result<Vec<String>, StoreError> {
        let folder = self.folder.to_path_buf();
        blocking(folder, move |folder| names_before(folder, written_before_ms)).await
    }
}

/// A name comes from a row; a corrupt one must not lead out of a folder.
pub(super) fn plain(name: &str) -> &str {
    let is_plain = Path::new(name).file_name().is_some_and(|last| last == name);
    if is_plain { name } else { "not-a-plain-name" }
}

/// Runs file work off the async threads; an error names the path.
pub(super) async fn blocking<T: Send + 'static>(
    path: PathBuf,
    work: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
) -> Result<T, StoreError> {
    let task = tokio::task::spawn_blocking(move || {
        work(&path).map_err(|error| StoreError::File { path, source: error })
    });
    task.await.unwrap_or_else(|error| {
        Err(StoreError::Unavailable { statement: "body file", what: error.to_string() })
    })
}

/// The file is whole or not there: written beside its place, flushed, renamed, folder flushed.
fn write_flushed(path: &Path, body: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("part");
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(body)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

/// Names of files, whole and partial, that were last written before that time.
fn names_before(folder: &Path, written_before_ms: i64) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let written = entry.metadata()?.modified()?;
        let age = written.duration_since(UNIX_EPOCH).unwrap_or_default();
        let ours = |name: &String| name.ends_with(".body") || name.ends_with(".part");
        let name = entry.file_name().into_string().ok().filter(ours);
        if i64::try_from(age.as_millis()).unwrap_or(i64::MAX) < written_before_ms {
            names.extend(name);
        }
    }
    Ok(names)
}
