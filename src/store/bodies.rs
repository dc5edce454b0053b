//! Large bodies as files.
//!
//! SQLite has one write lock, so a large row would stall every state change behind it. A body over
//! the inline limit is therefore written and flushed as a file before the batch, and the batch
//! stores its name. A file whose delivery was never committed is an orphan and is swept later.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use bytes::Bytes;

use super::Store;
use super::error::StoreError;
use super::statement as sql;
use crate::model::{Body, DeliveryId};

/// Names asked about in one read of a sweep.
const SWEEP_NAMES_MAX: usize = 500;

/// The folder of large bodies.
#[derive(Clone, Debug)]
pub(super) struct Bodies {
    folder: Arc<Path>,
}

impl Bodies {
    /// Makes the folder if it is not there.
    pub(super) fn open(folder: &Path) -> Result<Self, StoreError> {
        fs::create_dir_all(folder).map_err(|error| StoreError::file(folder, error))?;
        Ok(Self { folder: folder.into() })
    }

    /// Reads a file whole.
    pub(super) async fn read(&self, name: &str) -> Result<Bytes, StoreError> {
        // A name comes from a row; a corrupt one must not lead out of the folder.
        let plain = Path::new(name).file_name().is_some_and(|last| last == name);
        let path = self.folder.join(if plain { name } else { "not-a-plain-name" });
        blocking(path, |path| fs::read(path)).await.map(Bytes::from)
    }
}

impl Store {
    /// Writes a large body to a file and flushes the file and its folder, so that the delivery
    /// that names it can be committed. Run it in a task of its own: a request that goes away must
    /// not cut it short.
    ///
    /// # Errors
    /// [`StoreError::File`]; no delivery may name the file then.
    pub async fn write_body(&self, id: DeliveryId, body: Bytes) -> Result<Body, StoreError> {
        let name = format!("{id}.body");
        let bytes = body.len() as u64;
        let path = self.bodies.folder.join(&name);
        blocking(path, move |path| write_flushed(path, &body)).await?;
        Ok(Body::Spilled { file: name.into(), bytes })
    }

    /// Removes the body of a delivery that was not stored. What cannot be removed is left to
    /// [`Store::sweep_orphans`].
    pub async fn remove_body(&self, id: DeliveryId) {
        let path = self.bodies.folder.join(format!("{id}.body"));
        let _ = blocking(path, |path| fs::remove_file(path)).await;
    }

    /// Removes files that no delivery names and that were written more than `older_than_ms` before
    /// `wall_ms`, and returns how many. The age must exceed what a delivery can take from its body
    /// to its commit.
    ///
    /// # Errors
    /// [`StoreError::File`], or what a read can fail with; what was removed stays removed.
    pub async fn sweep_orphans(&self, older_than_ms: i64, wall_ms: i64) -> Result<u64, StoreError> {
        let written_before = wall_ms.saturating_sub(older_than_ms);
        let folder = self.bodies.folder.to_path_buf();
        let old = blocking(folder, move |folder| names_before(folder, written_before)).await?;
        let mut removed = 0;
        for names in old.chunks(SWEEP_NAMES_MAX) {
            let named = self.named_files(names).await?;
            for name in names.iter().filter(|name| !named.contains(*name)) {
                blocking(self.bodies.folder.join(name), |path| fs::remove_file(path)).await?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// Which of these files a delivery names.
    async fn named_files(&self, names: &[String]) -> Result<HashSet<String>, StoreError> {
        let mut reader = self.reader().await?;
        let names = serde_json::Value::from(names).to_string();
        let rows = reader.all(sql::DELIVERY_BODY_FILES, |query| query.bind(names)).await?;
        let name = |row| super::columns::Columns::new("delivery", row).text("body_file");
        rows.iter().map(|row| name(row).map(String::from)).collect()
    }
}

/// Runs file work off the async threads; an error names the path.
async fn blocking<T: Send + 'static>(
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
