//! `hashFiles`: one SHA-256 over those of all files of the workspace that patterns name.
//!
//! As GitHub documents it: each file's hash, and then the hash of these in the order of the files, here
//! that of their paths; an empty text where no file is named
//! (<https://docs.github.com/en/actions/reference/workflows-and-actions/expressions#hashfiles>). Links to
//! folders are not followed, and a link to a file only while that is in the workspace.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::hash_pattern::Patterns;

/// The longest time that one call may take, as GitHub's.
const TIME_MAX: Duration = Duration::from_secs(120);
/// The most files and folders that are looked at.
const ENTRIES_MAX: usize = 1_000_000;
/// The deepest folder.
const DEPTH_MAX: usize = 200;

/// Ends what runs on another thread when nobody waits for it any more.
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The hash of the files that the patterns name.
///
/// # Errors
///
/// What is wrong, for people: a pattern that leads out of the workspace, a file that cannot be read, or
/// more than a limit.
pub(super) async fn hash_files(
    workspace: PathBuf,
    patterns: Vec<String>,
) -> Result<String, String> {
    let stopped = Arc::new(AtomicBool::new(false));
    let _guard = StopOnDrop(Arc::clone(&stopped));
    let work = move || hash(&workspace, &patterns, &stopped);
    match tokio::time::timeout(TIME_MAX, tokio::task::spawn_blocking(work)).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("it took longer than {} s", TIME_MAX.as_secs())),
    }
}

fn hash(workspace: &Path, patterns: &[String], stopped: &AtomicBool) -> Result<String, String> {
    let patterns = Patterns::parse(patterns, &workspace.to_string_lossy())?;
    let workspace = workspace.canonicalize().map_err(|error| error.to_string())?;
    let mut found = Vec::new();
    let mut walk = Walk { patterns: &patterns, found: &mut found, entries: 0, stopped };
    walk.folder(&workspace, &mut Vec::new())?;
    found.sort();
    let mut whole = Sha256::new();
    let mut is_empty = true;
    for path in found {
        // What is a link may lead anywhere, and may have become one since.
        let Ok(real) = path.canonicalize() else { continue };
        if !real.starts_with(&workspace) || !real.is_file() {
            continue;
        }
        let digest = file(&real, stopped);
        let of_file = |error: io::Error| format!("`{}`: {error}", path.display());
        whole.update(digest.map_err(of_file)?);
        is_empty = false;
    }
    Ok(if is_empty { String::new() } else { hex::encode(whole.finalize()) })
}

/// Looking for files.
struct Walk<'a> {
    patterns: &'a Patterns,
    found: &'a mut Vec<PathBuf>,
    entries: usize,
    stopped: &'a AtomicBool,
}

impl Walk<'_> {
    fn folder(&mut self, folder: &Path, parts: &mut Vec<String>) -> Result<(), String> {
        let of_folder = |error: io::Error| format!("`{}`: {error}", folder.display());
        if parts.len() > DEPTH_MAX {
            return Err(format!("folders are deeper than {DEPTH_MAX}"));
        }
        for entry in std::fs::read_dir(folder).map_err(of_folder)? {
            let entry = entry.map_err(of_folder)?;
            self.entries += 1;
            if self.entries > ENTRIES_MAX {
                return Err(format!("the workspace has more than {ENTRIES_MAX} files"));
            }
            if self.stopped.load(Ordering::Relaxed) {
                return Err("it was stopped".to_owned());
            }
            let kind = entry.file_type().map_err(of_folder)?;
            parts.push(entry.file_name().to_string_lossy().into_owned());
            if kind.is_dir() {
                self.folder(&entry.path(), parts)?;
            } else {
                let names: Vec<&str> = parts.iter().map(String::as_str).collect();
                if self.patterns.names(&names) {
                    self.found.push(entry.path());
                }
            }
            parts.pop();
        }
        Ok(())
    }
}

fn file(path: &Path, stopped: &AtomicBool) -> io::Result<[u8; 32]> {
    let mut file = std::fs::File::open(path)?;
    let (mut digest, mut buffer) = (Sha256::new(), vec![0; 64 * 1024]);
    loop {
        if stopped.load(Ordering::Relaxed) {
            return Err(io::Error::other("it was stopped"));
        }
        match file.read(&mut buffer)? {
            0 => return Ok(digest.finalize().into()),
            count => digest.update(&buffer[..count]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn hashed(workspace: &Path, patterns: &[&str]) -> Result<String, String> {
        let patterns = patterns.iter().map(|text| (*text).to_owned()).collect();
        hash_files(workspace.to_owned(), patterns).await
    }

    fn expected(contents: &[&str]) -> String {
        let mut whole = Sha256::new();
        contents.iter().for_each(|content| whole.update(Sha256::digest(content)));
        hex::encode(whole.finalize())
    }

    #[tokio::test]
    async fn it_is_the_hash_of_the_files_hashes_in_the_order_of_their_paths() {
        let folder = tempfile::tempdir().expect("tempdir");
        let path = folder.path();
        std::fs::create_dir(path.join("b")).expect("made");
        for (name, content) in [("c.lock", "3"), ("b/a.lock", "2"), ("a.lock", "1"), ("x", "4")] {
            std::fs::write(path.join(name), content).expect("written");
        }
        let all = hashed(path, &["**/*.lock"]).await;
        assert_eq!(all, Ok(expected(&["1", "2", "3"])));
        assert_eq!(hashed(path, &["**/*.lock", "!b/**"]).await, Ok(expected(&["1", "3"])));
        assert_eq!(hashed(path, &["*.none"]).await, Ok(String::new()));
        std::fs::write(path.join("a.lock"), "other").expect("written");
        assert_ne!(hashed(path, &["**/*.lock"]).await, all);
    }

    #[tokio::test]
    async fn a_link_leads_nowhere_outside_of_the_workspace() {
        let (folder, outside) =
            (tempfile::tempdir().expect("tempdir"), tempfile::tempdir().expect("tempdir"));
        let link = |to: &Path, name: &str| {
            std::os::unix::fs::symlink(to, folder.path().join(name)).expect("linked");
        };
        std::fs::write(outside.path().join("secret"), "s").expect("written");
        std::fs::write(folder.path().join("in"), "1").expect("written");
        link(&outside.path().join("secret"), "to-file");
        link(outside.path(), "to-folder");
        link(folder.path(), "to-itself");
        link(&folder.path().join("in"), "to-in");
        link(&folder.path().join("nothing"), "to-nothing");
        assert_eq!(hashed(folder.path(), &["**"]).await, Ok(expected(&["1", "1"])));
        let error = hashed(folder.path(), &["../*"]).await.expect_err("refused");
        assert!(error.contains("leads out of the workspace"), "{error}");
    }
}
