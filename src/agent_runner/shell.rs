//! The one rule of how a script is run.
//!
//! `bash --noprofile --norc -eo pipefail {file}` where there is a bash on the runner's `PATH` or
//! in `/bin`, else `sh -e {file}`. The script is a file outside the workspace: no text of a step
//! is ever part of a command line.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use tokio::process::Command;

/// The shell of this machine, found once: what a step does to `PATH` does not change it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Shell {
    Bash(PathBuf),
    Sh(PathBuf),
}

impl Shell {
    pub(super) fn find(path: Option<&OsStr>) -> Self {
        let find = |name: &str| {
            let folders = path.map(|path| std::env::split_paths(path).collect::<Vec<_>>());
            let folders = folders.unwrap_or_default().into_iter().filter(|it| it.is_absolute());
            let usual = ["/bin", "/usr/bin"].map(PathBuf::from);
            folders.chain(usual).map(|folder| folder.join(name)).find(|file| file.is_file())
        };
        match find("bash") {
            Some(bash) => Self::Bash(bash),
            None => Self::Sh(find("sh").unwrap_or_else(|| "/bin/sh".into())),
        }
    }

    /// The command that runs the script in `file`.
    pub(super) fn command(&self, file: &Path) -> Command {
        let (program, arguments): (_, &[&str]) = match self {
            Self::Bash(bash) => (bash, &["--noprofile", "--norc", "-eo", "pipefail"]),
            Self::Sh(sh) => (sh, &["-e"]),
        };
        let mut command = Command::new(program);
        command.args(arguments).arg(file);
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bash_is_preferred_and_a_relative_path_is_never_searched() {
        let folder = tempfile::tempdir().expect("tempdir");
        let bash = folder.path().join("bash");
        std::fs::write(&bash, "").expect("written");
        assert_eq!(Shell::find(Some(folder.path().as_os_str())), Shell::Bash(bash));
        let (Shell::Bash(found) | Shell::Sh(found)) = Shell::find(Some(OsStr::new(".:")));
        assert!(found.is_absolute());
    }
}
