//! The runner's rule of how a script is run.
//!
//! `bash --noprofile --norc -eo pipefail {file}` where there is a bash on the runner's `PATH` or
//! in `/bin`, else `sh -e {file}`. The script is a file outside the workspace: no text of a step
//! is ever part of a command line.

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// The shell of this machine, found once: what a step does to `PATH` does not change it. What a step's own
/// `shell` asks for is in [`super::steps`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Shell {
    Bash(PathBuf),
    Sh(PathBuf),
}

impl Shell {
    pub(super) fn find(path: Option<&OsStr>) -> Self {
        match find_program("bash", path) {
            Some(bash) => Self::Bash(bash),
            None => Self::Sh(find_program("sh", path).unwrap_or_else(|| "/bin/sh".into())),
        }
    }

    /// The program, and its arguments before the script's file.
    pub(super) fn parts(&self) -> (&Path, &'static [&'static str]) {
        match self {
            Self::Bash(bash) => (bash, &["--noprofile", "--norc", "-eo", "pipefail"]),
            Self::Sh(sh) => (sh, &["-e"]),
        }
    }
}

/// A program in a folder of `path`, or in one of the usual two. Folders that are named from where
/// somebody stands are not looked into; nor is a name with a `/`, unless it is a whole path.
pub(super) fn find_program(name: &str, path: Option<&OsStr>) -> Option<PathBuf> {
    if name.contains('/') {
        return Some(PathBuf::from(name)).filter(|it| it.is_absolute() && is_program(it));
    }
    let folders = path.map(|path| std::env::split_paths(path).collect::<Vec<_>>());
    let folders = folders.unwrap_or_default().into_iter().filter(|it| it.is_absolute());
    let usual = ["/bin", "/usr/bin"].map(PathBuf::from);
    folders.chain(usual).map(|folder| folder.join(name)).find(|file| is_program(file))
}

/// Whether there is a file that somebody may carry out.
fn is_program(file: &Path) -> bool {
    file.metadata().is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;

    use super::*;

    #[test]
    fn bash_is_preferred_and_a_relative_path_is_never_searched() {
        let folder = tempfile::tempdir().expect("tempdir");
        let bash = folder.path().join("bash");
        std::fs::write(&bash, "").expect("written");
        let path = Some(folder.path().as_os_str());
        assert_ne!(Shell::find(path), Shell::Bash(bash.clone()), "nobody may carry it out");
        std::fs::set_permissions(&bash, Permissions::from_mode(0o755)).expect("allowed");
        assert_eq!(Shell::find(path), Shell::Bash(bash));
        let (Shell::Bash(found) | Shell::Sh(found)) = Shell::find(Some(OsStr::new(".:")));
        assert!(found.is_absolute());
    }
}
