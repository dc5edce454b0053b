//! One log's file. Everything here blocks; callers are on a thread for that.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use super::marker;
use super::tail::Tail;
use crate::model::JobId;

/// Reads what there is; a missing file is an empty log.
pub(super) fn load(path: &Path) -> io::Result<Tail> {
    match File::open(path) {
        Ok(file) => tail(&file),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Tail::default()),
        Err(error) => Err(error),
    }
}

fn tail(file: &File) -> io::Result<Tail> {
    let metadata = file.metadata()?;
    let log_bytes = metadata.len();
    let from = log_bytes.saturating_sub(marker::MARKER_BYTES_MAX);
    let end = read_at(file, from, marker::MARKER_BYTES_MAX)?;
    let kept = marker::kept_before(&end, log_bytes).unwrap_or(log_bytes);
    Ok(Tail { kept, log_bytes, sealed: metadata.permissions().readonly() })
}

/// Writes bytes at a position, not at the end: what an earlier try wrote in part is overwritten.
pub(super) fn write(path: &Path, at: u64, bytes: &[u8]) -> io::Result<()> {
    create(path)?.write_all_at(bytes, at)
}

/// Flushes the file with its folders and makes it read-only, in an order that never leaves a
/// sealed file with bytes missing. A log without a byte becomes an empty file: it is sealed too.
pub(super) fn seal(path: &Path) -> io::Result<Tail> {
    let file = create(path)?;
    file.sync_data()?;
    let mut permissions = file.metadata()?.permissions();
    permissions.set_readonly(true);
    file.set_permissions(permissions)?;
    file.sync_all()?;
    for folder in path.ancestors().skip(1).take(2) {
        File::open(folder)?.sync_all()?;
    }
    tail(&File::open(path)?)
}

/// At most `bytes_max` bytes from an offset; fewer at the end, none behind it or without a file.
pub(super) fn read(path: &Path, offset: u64, bytes_max: u64) -> io::Result<(Vec<u8>, Tail)> {
    match File::open(path) {
        Ok(file) => Ok((read_at(&file, offset, bytes_max)?, tail(&file)?)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok((Vec::new(), Tail::default())),
        Err(error) => Err(error),
    }
}

/// The numbers of folders that were last changed before that time.
pub(super) fn jobs_before(folder: &Path, before_ms: i64) -> io::Result<Vec<JobId>> {
    let mut jobs = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let Some(number) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let changed = entry.metadata()?.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
        if i64::try_from(changed.as_millis()).unwrap_or(i64::MAX) < before_ms {
            jobs.push(JobId(number));
        }
    }
    Ok(jobs)
}

/// The logs in a job's folder, by the number of the try.
pub(super) fn attempts(folder: &Path) -> io::Result<Vec<(u32, PathBuf)>> {
    let mut attempts = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let number = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".log"));
        if let Some(attempt) = number.and_then(|number| number.parse().ok()) {
            attempts.push((attempt, path));
        }
    }
    Ok(attempts)
}

/// Removes a folder with all logs in it; one that is not there is removed already.
pub(super) fn remove_folder(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

fn read_at(file: &File, offset: u64, bytes_max: u64) -> io::Result<Vec<u8>> {
    let there = file.metadata()?.len().saturating_sub(offset).min(bytes_max);
    let mut bytes = vec![0; usize::try_from(there).unwrap_or(usize::MAX)];
    let mut filled = 0;
    while filled < bytes.len() {
        match file.read_at(&mut bytes[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(more) => filled += more,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

fn create(path: &Path) -> io::Result<File> {
    let open = || OpenOptions::new().write(true).create(true).truncate(false).open(path);
    match open() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
            open()
        }
        opened => opened,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partly_written_chunk_is_overwritten_by_the_next_try() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("1/1.log");
        write(&path, 0, b"one ").unwrap();
        write(&path, 4, b"tw").unwrap();
        // The caller was told that it failed, and so goes on from what it knew.
        write(&path, 4, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"one two");
        assert_eq!(load(&path).unwrap(), Tail { kept: 7, log_bytes: 7, sealed: false });
    }

    #[test]
    fn sealing_survives_in_the_file_itself() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("1/1.log");
        assert!(!load(&path).unwrap().sealed);
        assert!(seal(&path).unwrap().sealed);
        assert!(load(&path).unwrap().sealed);
    }
}
