//! The work folder: whose it is, what is kept in it, and the lock that keeps a second runner out.
//!
//! ```text
//! lock            held (flock) as long as the process lives
//! instance        the instance id, 0600
//! runner.json     server, runner id and runner token, 0600: for scripts on this machine
//! jobs/           one folder per attempt (attempt_folder.rs)
//! warm/           workspaces that are kept, one for each unit of a resource
//! tools/          `RUNNER_TOOL_CACHE` of trusted jobs
//! ```

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::api::wire::RegisterResponse;
use crate::clock::uuid_v7;
use crate::model::{Entropy, HeldUnits, Now};

use super::{RunnerError, RunnerOptions};

/// A work folder that this process holds.
#[derive(Debug)]
pub(super) struct WorkFolder {
    path: PathBuf,
    /// Held until drop; the kernel lets go of it when the process is killed.
    lock: File,
}

impl Drop for WorkFolder {
    /// Closing is not enough: a child between fork and exec still holds the file.
    fn drop(&mut self) {
        let _ = self.lock.unlock();
    }
}

impl WorkFolder {
    /// Makes the folder where it is missing and takes its lock.
    pub(super) fn open(path: &Path) -> Result<Self, RunnerError> {
        let fail = |source| RunnerError::WorkFolder { path: path.to_owned(), source };
        let jobs = path.join("jobs");
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&jobs).map_err(fail)?;
        // Steps get paths below it in their environment and run elsewhere: no relative paths.
        let path = path.canonicalize().map_err(fail)?;
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true).mode(0o600);
        let lock = options.open(path.join("lock")).map_err(fail)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path, lock }),
            Err(TryLockError::WouldBlock) => Err(RunnerError::WorkFolderTaken { path }),
            Err(TryLockError::Error(source)) => Err(fail(source)),
        }
    }

    /// Where the attempts' folders are.
    pub(super) fn jobs(&self) -> PathBuf {
        self.path.join("jobs")
    }

    /// Where trusted jobs keep tools for those after them.
    pub(super) fn tools(&self) -> PathBuf {
        self.path.join("tools")
    }

    /// Where the workspace of a unit of a resource is that is kept, if it is.
    pub(super) fn kept_workspace(
        &self,
        options: &RunnerOptions,
        units: &HeldUnits,
    ) -> Option<PathBuf> {
        let kept = options.warm_workspaces.iter();
        let (resource, unit) =
            kept.filter_map(|it| Some((it, units.0.get(it.as_str())?.first()?))).next()?;
        let folder = options.warm_dir.clone().unwrap_or_else(|| self.path.join("warm"));
        // Whatever a name has in it, it is one part of a path.
        let name: String = form_urlencoded::byte_serialize(resource.as_bytes()).collect();
        Some(std::path::absolute(folder).ok()?.join(format!("{name}-{unit}")))
    }

    /// The id that makes this folder one runner for the server, made on first use.
    pub(super) fn instance_id(
        &self,
        now: Now,
        entropy: &mut dyn Entropy,
    ) -> Result<String, RunnerError> {
        let path = self.path.join("instance");
        let fail = |source| RunnerError::WorkFolder { path: path.clone(), source };
        match std::fs::read_to_string(&path) {
            Ok(text) if !text.trim().is_empty() => Ok(text.trim().to_owned()),
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(fail(error)),
            _ => {
                let id = uuid_v7(now, entropy).to_string();
                write_private(&path, id.as_bytes()).map_err(fail)?;
                Ok(id)
            }
        }
    }

    /// Keeps what the server answered.
    pub(super) fn keep_registration(
        &self,
        server: &str,
        answer: &RegisterResponse,
    ) -> io::Result<()> {
        let text = serde_json::json!({
            "server": server, "runner_id": answer.runner_id, "token": answer.token,
        });
        write_private(&self.path.join("runner.json"), text.to_string().as_bytes())
    }

    /// Forgets it, because the server has.
    pub(super) fn forget_registration(&self) -> io::Result<()> {
        std::fs::remove_file(self.path.join("runner.json"))
    }
}

/// Replaces a file that only its owner may read, all or nothing.
fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    let draft = path.with_extension("new");
    // A draft that a killed process left may have another mode.
    match std::fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&draft)?;
    file.write_all(content)?;
    std::fs::rename(&draft, path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use crate::clock::OsEntropy;
    use crate::model::RunnerId;

    use super::*;

    #[test]
    fn a_second_runner_is_kept_out_until_the_first_is_gone() {
        let folder = tempfile::tempdir().expect("tempdir");
        let first = WorkFolder::open(folder.path()).expect("free");
        let second = WorkFolder::open(folder.path()).expect_err("taken");
        assert!(second.to_string().contains("used by another runner"), "{second}");
        drop(first);
        WorkFolder::open(folder.path()).expect("free again");
    }

    #[test]
    fn the_instance_stays_and_secrets_are_private() {
        let temp = tempfile::tempdir().expect("tempdir");
        let folder = WorkFolder::open(temp.path()).expect("free");
        let id = |folder: &WorkFolder| folder.instance_id(Now::default(), &mut OsEntropy);
        let first = id(&folder).expect("made");
        assert_eq!(id(&folder).expect("kept"), first);
        let answer = RegisterResponse {
            runner_id: RunnerId(7),
            token: "secret".into(),
            heartbeat_interval_ms: 1,
            lease_ms: 1,
            poll_wait_max_ms: 1,
        };
        folder.keep_registration("http://server", &answer).expect("kept");
        for name in ["instance", "runner.json"] {
            let mode = temp.path().join(name).metadata().expect("there").permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
    }
}
