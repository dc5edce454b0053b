//! Runners as processes of their own: they outlive whoever started them, and are found again by their folder.
//!
//! ```text
//! NAME/process.json   which process it is: pid, start time, boot of the machine
//! NAME/runner.log     what it says
//! NAME/work/          its work folder
//! ```

use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal};
use serde::{Deserialize, Serialize};
use tokio::process::Command;

use super::attempt_folder::remove;
use super::leftovers;
use super::procfs::{self, Process};

/// How often a process is looked at that was told to end.
const LOOK: Duration = Duration::from_millis(20);

/// What the names of folders begin with whose runners have ended, and which could not be removed.
const ASIDE: &str = ".left-";
/// How much of the end of what a runner wrote is looked at.
const WORDS_BYTES_MAX: u64 = 4_096;

/// A runner that runs, or ran, in this folder.
#[derive(Clone, Debug)]
pub struct DetachedRunner {
    folder: PathBuf,
}

/// What is noted of its process.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct ProcessNote {
    pid: i32,
    start_ticks: u64,
    machine_boot: String,
}

impl DetachedRunner {
    /// The one of this folder.
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// Where it keeps what its jobs need.
    pub fn work_dir(&self) -> PathBuf {
        self.folder.join("work")
    }

    /// Starts it with this program and these arguments, and no other environment than this one. One that
    /// runs already is left as it is.
    ///
    /// # Errors
    /// The folder cannot be made, or the program cannot be started.
    pub fn start(
        &self,
        program: &Path,
        arguments: &[String],
        environment: impl IntoIterator<Item = (String, std::ffi::OsString)>,
    ) -> io::Result<()> {
        if self.process().is_some() {
            return Ok(());
        }
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        let mut log = std::fs::OpenOptions::new();
        let log = log.create(true).append(true).open(self.folder.join("runner.log"))?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .envs(environment)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            // Of its own, so that what is sent to the server's group does not reach it.
            .process_group(0);
        let mut child = command.spawn()?;
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
        let process = pid.and_then(Process::find);
        // While the server lives it is the parent, and takes notice of its end.
        tokio::spawn(async move { child.wait().await });
        let Some(Process { pid, start_ticks, .. }) = process else { return Ok(()) };
        let note = ProcessNote { pid, start_ticks, machine_boot: procfs::machine_boot() };
        let draft = self.folder.join("process.new");
        std::fs::write(&draft, serde_json::to_vec(&note)?)?;
        std::fs::rename(draft, self.folder.join("process.json"))
    }

    /// Whether its process runs.
    pub fn is_alive(&self) -> bool {
        self.process().is_some()
    }

    /// The last line that it wrote, shortened.
    pub fn last_words(&self) -> Option<String> {
        const CHARS_MAX: usize = 300;
        let mut log = std::fs::File::open(self.folder.join("runner.log")).ok()?;
        let bytes = log.metadata().ok()?.len();
        log.seek(SeekFrom::Start(bytes.saturating_sub(WORDS_BYTES_MAX))).ok()?;
        let mut text = Vec::new();
        log.take(WORDS_BYTES_MAX).read_to_end(&mut text).ok()?;
        let text = String::from_utf8_lossy(&text);
        let line = text.lines().rfind(|line| !line.trim().is_empty())?;
        Some(line.chars().take(CHARS_MAX).collect())
    }

    /// Its process, if that runs.
    fn process(&self) -> Option<Process> {
        let text = std::fs::read(self.folder.join("process.json")).ok()?;
        let note: ProcessNote = serde_json::from_slice(&text).ok()?;
        let found = Process::find(note.pid).filter(|process| !process.dead)?;
        (found.start_ticks == note.start_ticks && note.machine_boot == procfs::machine_boot())
            .then_some(found)
    }

    /// Ends it: it is told to leave, to leave at once, and killed, with `grace` after each; then what its
    /// jobs left is killed too, and the folder removed. One that is not there is no error.
    ///
    /// # Errors
    /// The folder can neither be removed nor be put aside.
    pub async fn end(&self, grace: Duration) -> io::Result<()> {
        for signal in [Signal::TERM, Signal::TERM, Signal::KILL] {
            if !self.signal(signal) || self.ended_within(grace).await {
                break;
            }
        }
        leftovers::clean(&self.work_dir().join("jobs"), false).await;
        let Err(error) = remove(&self.folder).await else { return Ok(()) };
        // Files of somebody else, such as a container that ran as root: nothing of it runs any more.
        let name = self.folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let aside = self.folder.with_file_name(format!("{ASIDE}{name}"));
        tracing::warn!(%error, aside = %aside.display(), "a runner's folder cannot be removed");
        std::fs::rename(&self.folder, aside)
    }

    /// Whether a folder's name is that of one which was put aside.
    pub fn is_aside(name: &str) -> bool {
        name.starts_with(ASIDE)
    }

    /// Sends a signal to its process and no other; whether there was one.
    fn signal(&self, signal: Signal) -> bool {
        let Some(process) = self.process() else { return false };
        let Some(pid) = Pid::from_raw(process.pid) else { return false };
        let Ok(handle) = rustix::process::pidfd_open(pid, PidfdFlags::empty()) else {
            return false;
        };
        // The handle is fixed now: if the process is still that one, so is the handle.
        self.process() == Some(process)
            && rustix::process::pidfd_send_signal(handle, signal).is_ok()
    }

    async fn ended_within(&self, grace: Duration) -> bool {
        let ended = async {
            while self.is_alive() {
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::time::timeout(grace, ended).await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(text: &str) -> [String; 2] {
        ["-c".to_owned(), text.to_owned()]
    }

    #[tokio::test]
    async fn it_is_found_by_its_folder_started_once_and_ended() {
        let folder = tempfile::tempdir().expect("tempdir");
        let runner = DetachedRunner::at(folder.path().join("one"));
        let start = || {
            let marker = ("MARK".to_owned(), "clean".into());
            let wait = script("echo $MARK $HOME >&2; exec sleep 600");
            runner.start(Path::new("/bin/sh"), &wait, [marker]).expect("it starts");
        };
        start();
        let first = runner.process().expect("it runs");
        start();
        assert_eq!(DetachedRunner::at(folder.path().join("one")).process(), Some(first));
        let log = folder.path().join("one/runner.log");
        while std::fs::read_to_string(&log).expect("a log").is_empty() {
            tokio::task::yield_now().await;
        }
        assert_eq!(std::fs::read_to_string(&log).expect("a log"), "clean\n", "once, with no HOME");
        runner.end(Duration::from_secs(5)).await.expect("ended");
        assert!(!runner.is_alive() && !folder.path().join("one").exists());
        runner.end(Duration::ZERO).await.expect("one that is not there is no error");
    }

    #[tokio::test]
    async fn one_that_does_not_listen_is_killed() {
        let folder = tempfile::tempdir().expect("tempdir");
        let runner = DetachedRunner::at(folder.path().join("deaf"));
        let deaf = script("trap '' TERM; echo deaf; while :; do sleep 0.05; done");
        runner.start(Path::new("/bin/sh"), &deaf, []).expect("it starts");
        let log = folder.path().join("deaf/runner.log");
        while std::fs::read_to_string(&log).expect("a log").is_empty() {
            tokio::task::yield_now().await;
        }
        runner.end(Duration::from_millis(50)).await.expect("ended");
        assert!(!runner.is_alive());
    }
}
