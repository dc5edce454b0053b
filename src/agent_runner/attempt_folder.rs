//! One attempt's folder, and the record by which a later runner finds its processes.
//!
//! ```text
//! jobs/<job>-<attempt>/
//!   attempt.json   marker and boot of the machine; there as long as processes may live
//!   groups         a line `pgid pid start-ticks` per known member of a process group
//!   log            the spool
//!   event.json, payload, needs.json, output, steps/   handed to steps by their paths
//!   temp/, tools/  `RUNNER_TEMP`, and `RUNNER_TOOL_CACHE` of a job that is not trusted
//!   workspace/     where steps run
//! warm/<resource>-<unit>/   where they run instead, when the job holds a unit whose workspace is kept
//! warm/<resource>-<unit>.lock   held (flock) by the attempt that uses it
//! ```

use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::model::JobId;

use super::procfs::{self, Process};
use super::workspace_lock::WorkspaceLock;

/// The environment variable that marks every process of an attempt.
pub(super) const MARKER: &str = "DISPATCHYARD_ATTEMPT";

/// How to find an attempt's processes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct ProcessRecord {
    /// The value of [`MARKER`], unique to the attempt.
    pub(super) key: String,
    /// The machine's boot in which it ran.
    pub(super) machine_boot: String,
    /// Members of its process groups: leaders when they began, survivors when those ended.
    #[serde(skip)]
    pub(super) members: Vec<Process>,
}

/// A fresh folder for one attempt.
#[derive(Debug)]
pub(super) struct AttemptFolder {
    path: PathBuf,
    key: String,
    workspace: PathBuf,
    is_kept: bool,
}

impl AttemptFolder {
    /// Makes the folder, with a workspace of its own unless one is `kept`; what an earlier attempt of that name left is removed.
    pub(super) async fn create(
        jobs: &Path,
        job: JobId,
        attempt: u32,
        key: String,
        kept: Option<PathBuf>,
    ) -> io::Result<Self> {
        let path = jobs.join(format!("{job}-{attempt}"));
        remove(&path).await?;
        let is_kept = kept.is_some();
        let workspace = kept.unwrap_or_else(|| path.join("workspace"));
        let folder = Self { path, key, workspace, is_kept };
        let mut private = std::fs::DirBuilder::new();
        private.mode(0o700).create(&folder.path)?;
        // Before anything is spawned: the marker finds even what the groups do not name yet.
        let record = ProcessRecord {
            key: folder.key.clone(),
            machine_boot: procfs::machine_boot(),
            members: Vec::new(),
        };
        std::fs::write(folder.path.join("attempt.json"), serde_json::to_vec(&record)?)?;
        std::fs::create_dir_all(folder.workspace())?;
        std::fs::create_dir(folder.path.join("steps"))?;
        std::fs::write(folder.file("output"), "")?;
        Ok(folder)
    }

    /// Where steps run.
    pub(super) fn workspace(&self) -> PathBuf {
        self.workspace.clone()
    }

    /// The lock of the workspace, if that is one which is kept and others may use.
    pub(super) fn workspace_lock(&self) -> Option<PathBuf> {
        self.is_kept.then(|| WorkspaceLock::path(&self.workspace))
    }

    /// A file of the attempt, outside the workspace.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// What marks the attempt's processes.
    pub(super) fn key(&self) -> &str {
        &self.key
    }

    /// Notes members of a process group: its leader when it was just spawned, and the survivors
    /// when the leader has just ended, which its number must not outlive.
    pub(super) fn record_members(&self, members: &[Process]) -> io::Result<()> {
        let line = |it: &Process| format!("{} {} {}\n", it.group, it.pid, it.start_ticks);
        let lines: String = members.iter().map(line).collect();
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.create(true).append(true).open(self.file("groups"))?;
        file.write_all(lines.as_bytes())
    }

    /// Which processes may still live.
    pub(super) fn record(&self) -> Option<ProcessRecord> {
        read_record(&self.path)
    }

    /// Says that no process is left, and removes the folder unless it is to be kept.
    pub(super) async fn close(self, keep: bool) -> io::Result<()> {
        std::fs::remove_file(self.file("attempt.json"))?;
        if keep { Ok(()) } else { remove(&self.path).await }
    }
}

/// The record in an attempt's folder; `None` when its processes have ended in order.
pub(super) fn read_record(attempt: &Path) -> Option<ProcessRecord> {
    let text = std::fs::read(attempt.join("attempt.json")).ok()?;
    let mut record: ProcessRecord = serde_json::from_slice(&text).ok()?;
    let groups = std::fs::read_to_string(attempt.join("groups")).unwrap_or_default();
    record.members = groups.lines().filter_map(parse_member).collect();
    Some(record)
}

fn parse_member(line: &str) -> Option<Process> {
    let mut fields = line.split(' ');
    let mut number = || fields.next()?.parse().ok().filter(|number: &i32| *number > 1);
    let (group, pid) = (number()?, number()?);
    let start_ticks = fields.next()?.parse().ok()?;
    Some(Process { pid, group, start_ticks, dead: false })
}

/// Removes a folder with all that is in it; none is well, too.
pub(super) async fn remove(path: &Path) -> io::Result<()> {
    let path = path.to_owned();
    let removed = tokio::task::spawn_blocking(move || match std::fs::remove_dir_all(&path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            // Package caches are often read-only, folders included.
            make_writable(&path)?;
            std::fs::remove_dir_all(&path)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    });
    removed.await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

/// Never follows links: `symlink_metadata` tells folders from links to folders.
fn make_writable(folder: &Path) -> io::Result<()> {
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))?;
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.symlink_metadata()?.is_dir() {
            make_writable(&path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_folder_is_fresh_and_its_record_tells_groups_until_it_is_closed() {
        let jobs = tempfile::tempdir().expect("tempdir");
        let make = || AttemptFolder::create(jobs.path(), JobId(3), 2, "key".into(), None);
        let old = make().await.expect("made");
        std::fs::write(old.workspace().join("left"), "x").expect("written");
        let locked = old.workspace().join("locked");
        std::fs::create_dir(&locked).expect("made");
        std::fs::set_permissions(&locked, std::fs::Permissions::from_mode(0o555)).expect("set");

        let folder = make().await.expect("made again");
        assert!(!folder.workspace().join("left").exists());
        let me = Process { pid: 12, group: 11, start_ticks: 5, dead: false };
        folder.record_members(&[me, me]).expect("noted");
        let record = folder.record().expect("there");
        assert_eq!((record.key.as_str(), record.members), ("key", vec![me, me]));
        folder.close(true).await.expect("closed");
        assert!(read_record(&jobs.path().join("3-2")).is_none());
    }

    #[test]
    fn a_broken_group_line_names_nothing() {
        for line in ["", "12", "12 13", "x 12 1", "12 13 x", "0 12 5", "12 1 5", "-4 12 5"] {
            assert_eq!(parse_member(line), None, "{line:?}");
        }
    }
}
