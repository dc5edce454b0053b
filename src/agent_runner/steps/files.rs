//! The files by which one step tells the next ones what it made: fresh for each step, outside the
//! workspace, and read when it has ended.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::super::environment::Variables;
use super::super::outputs::read_bounded;
use super::env_file::{self, FILE_BYTES_MAX};

/// The longest summary, as GitHub documents it:
/// <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands#step-isolation-and-limits>.
const SUMMARY_BYTES_MAX: usize = 1024 * 1024;
/// The most folders that one step adds to the `PATH`.
const PATHS_MAX: usize = 100;
/// The longest value of a variable: Linux starts no process with one of 128 KiB.
pub(super) const VALUE_BYTES_MAX: usize = 120 * 1024;

const FILES: [(&str, &str); 5] = [
    ("GITHUB_OUTPUT", "output"),
    ("GITHUB_ENV", "env"),
    ("GITHUB_PATH", "path"),
    ("GITHUB_STATE", "state"),
    ("GITHUB_STEP_SUMMARY", "summary"),
];

/// Variables that a step may not hand to later ones, beside those of the runner. With these, text alone
/// becomes code in each program that starts next; GitHub refuses the first. They are no fence: a step can
/// set `PATH`.
const REFUSED: [&str; 9] = [
    "NODE_OPTIONS",
    "BASH_ENV",
    "SHELLOPTS",
    "BASHOPTS",
    "PS4",
    "LD_PRELOAD",
    "LD_AUDIT",
    "PERL5OPT",
    "RUBYOPT",
];
/// What the names of the runner's own variables begin with.
const RESERVED: [&str; 3] = ["DISPATCHYARD_", "GITHUB_", "RUNNER_"];

/// The files of one step.
#[derive(Debug)]
pub(super) struct StepFiles {
    folder: PathBuf,
    at: usize,
}

/// What a step has left in its files.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Left {
    /// By name, unmasked.
    pub(super) outputs: BTreeMap<String, String>,
    /// Variables for later steps, in the order in which they were written.
    pub(super) env: Vec<(String, String)>,
    /// Folders for the front of the `PATH`; the last one goes first.
    pub(super) paths: Vec<String>,
    /// Unmasked.
    pub(super) summary: Vec<u8>,
    /// What is wrong with the files, for the job's log.
    pub(super) faults: Vec<String>,
}

impl StepFiles {
    /// Makes them for the step at this place, empty.
    pub(super) fn create(folder: &Path, at: usize) -> io::Result<Self> {
        let files = Self { folder: folder.to_owned(), at };
        for (_, name) in FILES {
            let path = files.path(name);
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            // New, so that no link of an earlier step is written through.
            std::fs::OpenOptions::new().write(true).create_new(true).open(&path)?.flush()?;
        }
        Ok(files)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{}.{name}", self.at))
    }

    /// How the step finds them.
    pub(super) fn variables(&self) -> Variables {
        FILES.iter().map(|(name, file)| ((*name).to_owned(), self.path(file).into())).collect()
    }

    /// Reads them as the step left them, which may be anything: links, pipes, or gone.
    /// What is told of them passes `mask`.
    pub(super) fn read(&self, mask: &dyn Fn(&str) -> String) -> Left {
        let mut left = Left::default();
        let output = self.bytes("output", "GITHUB_OUTPUT", FILE_BYTES_MAX, &mut left.faults);
        let outputs = env_file::parse(&output, "GITHUB_OUTPUT", mask);
        left.faults.extend(outputs.faults);
        left.outputs.extend(outputs.pairs);
        let env = self.bytes("env", "GITHUB_ENV", FILE_BYTES_MAX, &mut left.faults);
        let env = env_file::parse(&env, "GITHUB_ENV", mask);
        left.faults.extend(env.faults);
        for (name, value) in env.pairs {
            match refused(&name, &value, mask) {
                Some(why) => left.faults.push(format!("GITHUB_ENV: {why}")),
                None => left.env.push((name, value)),
            }
        }
        let path = self.bytes("path", "GITHUB_PATH", FILE_BYTES_MAX, &mut left.faults);
        left.read_paths(&path, mask);
        let summary = "GITHUB_STEP_SUMMARY";
        left.summary = self.bytes("summary", summary, SUMMARY_BYTES_MAX, &mut left.faults);
        if left.summary.len() > SUMMARY_BYTES_MAX {
            left.faults.push(format!(
                "the step's summary has more than {SUMMARY_BYTES_MAX} bytes: it is dropped"
            ));
            left.summary.clear();
        }
        left
    }

    /// At most one byte more than `bytes_max`.
    fn bytes(&self, name: &str, told: &str, bytes_max: usize, faults: &mut Vec<String>) -> Vec<u8> {
        read_bounded(&self.path(name), bytes_max as u64).unwrap_or_else(|error| {
            faults.push(format!("the file in {told} cannot be read: {error}"));
            Vec::new()
        })
    }
}

impl Left {
    fn read_paths(&mut self, bytes: &[u8], mask: &dyn Fn(&str) -> String) {
        if bytes.len() > FILE_BYTES_MAX {
            self.faults.push(format!("GITHUB_PATH has more than {FILE_BYTES_MAX} bytes"));
            return;
        }
        let text = String::from_utf8_lossy(bytes);
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            if self.paths.len() == PATHS_MAX {
                self.faults.push(format!("GITHUB_PATH: folders beyond {PATHS_MAX} are dropped"));
                return;
            }
            if line.contains([':', '\0']) {
                let line: String = mask(line).chars().take(80).collect();
                self.faults.push(format!("GITHUB_PATH: `{line}` is no folder: one on each line"));
            } else {
                self.paths.push(line.to_owned());
            }
        }
    }
}

/// Why a step may not give later steps that variable.
fn refused(name: &str, value: &str, mask: &dyn Fn(&str) -> String) -> Option<String> {
    let shown: String = mask(name).chars().take(80).collect();
    let upper = name.to_ascii_uppercase();
    if RESERVED.iter().any(|prefix| upper.starts_with(prefix)) {
        return Some(format!("`{shown}` is the runner's own and cannot be set"));
    }
    if REFUSED.contains(&upper.as_str()) {
        return Some(format!("`{shown}` cannot be set for later steps: set it in a step's `env`"));
    }
    // A shell takes `BASH_FUNC_name%%` for a function.
    let plain = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    if !name.chars().all(plain) || value.contains('\0') {
        return Some(format!("`{shown}` cannot be a variable"));
    }
    let bytes = value.len();
    (bytes > VALUE_BYTES_MAX)
        .then(|| format!("`{shown}` has {bytes} bytes, at most {VALUE_BYTES_MAX}: use a file"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(write: impl Fn(&StepFiles)) -> Left {
        let folder = tempfile::tempdir().expect("tempdir");
        let files = StepFiles::create(folder.path(), 3).expect("made");
        write(&files);
        files.read(&str::to_owned)
    }

    #[test]
    fn what_a_step_writes_is_read_and_what_it_may_not_set_is_told() {
        let left = left(|files| {
            let write = |name: &str, text: &str| {
                std::fs::write(files.path(name), text).expect("written");
            };
            write("output", "a=1\nb<<E\nx\ny\nE\na=2\n");
            write("env", "A=1\nPATH=/p\nNODE_OPTIONS=--require\nGITHUB_REF=x\nrunner_os=x\nB=\0\n");
            write("path", "/one\n\n/two \n/three:/four\n");
            write("summary", "# Hi\n");
            write("state", "any=thing");
        });
        let outputs: Vec<_> = left.outputs.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(outputs, [("a", "2"), ("b", "x\ny")]);
        let names: Vec<_> = left.env.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["A", "PATH"]);
        assert_eq!(left.paths, ["/one", "/two"]);
        assert_eq!(left.summary, b"# Hi\n");
        insta::assert_snapshot!(left.faults.join("\n"), @r"
        GITHUB_ENV: `NODE_OPTIONS` cannot be set for later steps: set it in a step's `env`
        GITHUB_ENV: `GITHUB_REF` is the runner's own and cannot be set
        GITHUB_ENV: `runner_os` is the runner's own and cannot be set
        GITHUB_ENV: `B` cannot be a variable
        GITHUB_PATH: `/three:/four` is no folder: one on each line
        ");
    }

    #[test]
    fn links_and_what_is_too_long_are_not_read_and_old_files_do_not_stay() {
        let folder = tempfile::tempdir().expect("tempdir");
        let secret = folder.path().join("secret");
        std::fs::write(&secret, "token=1").expect("written");
        let found = left(|files| {
            let link = |name: &str| {
                std::fs::remove_file(files.path(name)).expect("removed");
                std::os::unix::fs::symlink(&secret, files.path(name)).expect("linked");
            };
            ["output", "env", "path", "summary"].into_iter().for_each(link);
        });
        assert_eq!(found.faults.len(), 4, "{:?}", found.faults);
        assert!(found.outputs.is_empty() && found.env.is_empty() && found.summary.is_empty());

        std::os::unix::fs::symlink(&secret, folder.path().join("0.env")).expect("linked");
        StepFiles::create(folder.path(), 0).expect("made");
        assert_eq!(std::fs::read_to_string(&secret).expect("read"), "token=1");

        let long = left(|files| {
            let text = "x".repeat(SUMMARY_BYTES_MAX + 1);
            std::fs::write(files.path("summary"), text).expect("written");
        });
        assert!(long.summary.is_empty() && long.faults.len() == 1);
    }
}
