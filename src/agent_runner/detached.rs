//! Runners as processes of their own: they outlive whoever started them, and are found again by their folder.
//!
//! ```text
//! NAME/lock           held (flock) as long as the process lives: it is its standard input, empty
//! NAME/process.json   which process it is: pid, start time, boot of the machine
//! NAME/runner.log     what it says; what was longer than 8 MiB is in runner.log.1
//! NAME/work/          its work folder
//! ```
//!
//! The lock is taken before the process is started and handed down to it, so there is no moment in which it
//! runs and nothing says so. Whoever starts it may end before its pid is noted: then the process is found as
//! the one whose standard input is the lock. Steps have another one.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
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
/// How long a process that was killed may take to be gone, at the least.
const KILLED_WAIT: Duration = Duration::from_secs(5);
/// How often a lock is tried: somebody may have it for a moment, who only looks whether it is held.
const LOCK_TRIES_MAX: u32 = 50;
/// How long a log may become before it is begun anew.
const LOG_BYTES_MAX: u64 = 8 << 20;
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

impl ProcessNote {
    /// The process, if it is still there.
    fn process(&self) -> Option<Process> {
        let found = Process::find(self.pid).filter(|process| !process.dead)?;
        (found.start_ticks == self.start_ticks && self.machine_boot == procfs::machine_boot())
            .then_some(found)
    }
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
    pub async fn start(
        &self,
        program: &Path,
        arguments: &[String],
        environment: impl IntoIterator<Item = (String, std::ffi::OsString)>,
    ) -> io::Result<()> {
        if self.process().is_some() {
            return Ok(());
        }
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        let Some(lock) = self.lock().await? else { return Ok(()) };
        self.bound_log()?;
        // A note of an earlier one would say that this one is dead.
        match std::fs::remove_file(self.folder.join("process.json")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut log = OpenOptions::new();
        let log = log.create(true).append(true).open(self.folder.join("runner.log"))?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .envs(environment)
            .stdin(lock)
            .stdout(log.try_clone()?)
            .stderr(log)
            // Of its own, so that what is sent to the server's group does not reach it.
            .process_group(0);
        let mut child = command.spawn()?;
        // It has the lock as well, and the process is to be the only one that does.
        drop(command);
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
        let process = pid.and_then(Process::find);
        // While the server lives it is the parent, and takes notice of its end.
        tokio::spawn(async move { child.wait().await });
        match process {
            Some(process) => self.note(process),
            None => Ok(()),
        }
    }

    /// Notes which process it is.
    fn note(&self, Process { pid, start_ticks, .. }: Process) -> io::Result<()> {
        let note = ProcessNote { pid, start_ticks, machine_boot: procfs::machine_boot() };
        let draft = self.folder.join("process.new");
        std::fs::write(&draft, serde_json::to_vec(&note)?)?;
        std::fs::rename(draft, self.folder.join("process.json"))
    }

    /// Takes the lock; `None` when somebody has it who keeps it.
    async fn lock(&self) -> io::Result<Option<File>> {
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).read(true).write(true);
        let lock = options.open(self.folder.join("lock"))?;
        for _ in 0..LOCK_TRIES_MAX {
            match lock.try_lock() {
                Ok(()) => return Ok(Some(lock)),
                Err(TryLockError::WouldBlock) => tokio::time::sleep(LOOK).await,
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Whether the lock is held.
    fn is_locked(&self) -> bool {
        let Ok(lock) = File::open(self.folder.join("lock")) else { return false };
        matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock))
    }

    /// Whether its process runs, or is about to.
    pub fn is_alive(&self) -> bool {
        match self.noted() {
            Some(note) => note.process().is_some(),
            None => self.is_locked(),
        }
    }

    /// Keeps its log within bounds: the end of one that is longer than 8 MiB becomes `runner.log.1`, and it is
    /// begun anew. Its process goes on writing to the same file; what it writes in that moment may be lost.
    ///
    /// # Errors
    /// The files cannot be written. Without a log there is nothing to do.
    pub fn bound_log(&self) -> io::Result<()> {
        self.bound_log_to(LOG_BYTES_MAX)
    }

    fn bound_log_to(&self, bytes_max: u64) -> io::Result<()> {
        let mut options = OpenOptions::new();
        let mut log = match options.read(true).write(true).open(self.folder.join("runner.log")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            log => log?,
        };
        let bytes = log.metadata()?.len();
        if bytes <= bytes_max {
            return Ok(());
        }
        log.seek(SeekFrom::Start(bytes - bytes_max))?;
        let mut old = File::create(self.folder.join("runner.log.1"))?;
        io::copy(&mut (&mut log).take(bytes_max), &mut old)?;
        log.set_len(0)
    }

    /// The last line that it wrote, shortened.
    pub fn last_words(&self) -> Option<String> {
        self.last_words_in("runner.log").or_else(|| self.last_words_in("runner.log.1"))
    }

    fn last_words_in(&self, name: &str) -> Option<String> {
        const CHARS_MAX: usize = 300;
        let mut log = File::open(self.folder.join(name)).ok()?;
        let bytes = log.metadata().ok()?.len();
        log.seek(SeekFrom::Start(bytes.saturating_sub(WORDS_BYTES_MAX))).ok()?;
        let mut text = Vec::new();
        log.take(WORDS_BYTES_MAX).read_to_end(&mut text).ok()?;
        let text = String::from_utf8_lossy(&text);
        let line = text.lines().rfind(|line| !line.trim().is_empty())?;
        Some(line.chars().take(CHARS_MAX).collect())
    }

    fn noted(&self) -> Option<ProcessNote> {
        let text = std::fs::read(self.folder.join("process.json")).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// Its process, if that runs; noted now, if it was not.
    fn process(&self) -> Option<Process> {
        match self.noted() {
            Some(note) => note.process(),
            None if self.is_locked() => {
                let holder = self.holder()?;
                if let Err(error) = self.note(holder) {
                    tracing::warn!(%error, "a runner's process cannot be noted");
                }
                Some(holder)
            }
            None => None,
        }
    }

    /// Whose standard input is the lock. The leader of a group first: it is what was started, and not what
    /// that has started.
    fn holder(&self) -> Option<Process> {
        let lock = std::fs::metadata(self.folder.join("lock")).ok()?;
        let mut holders = Process::all_alive();
        holders.retain(|process| {
            std::fs::metadata(format!("/proc/{}/fd/0", process.pid))
                .is_ok_and(|input| (input.dev(), input.ino()) == (lock.dev(), lock.ino()))
        });
        let leader = holders.iter().find(|it| it.pid == it.group);
        leader.or(holders.first()).copied()
    }

    /// Ends it: it is told to leave, to leave at once, and killed, with `grace` after each; then what its
    /// jobs left is killed too, and the folder removed. One that is not there is no error.
    ///
    /// # Errors
    /// It does not end, or the folder can neither be removed nor be put aside.
    pub async fn end(&self, grace: Duration) -> io::Result<()> {
        let killed_grace = grace.max(KILLED_WAIT);
        for (signal, grace) in
            [(Signal::TERM, grace), (Signal::TERM, grace), (Signal::KILL, killed_grace)]
        {
            if !self.is_alive() {
                break;
            }
            self.signal(signal);
            if self.ended_within(grace).await {
                break;
            }
        }
        if self.is_alive() {
            return Err(io::Error::other("its process does not end"));
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

    /// Sends a signal to its process, if that is found, and to no other.
    fn signal(&self, signal: Signal) {
        let Some(process) = self.process() else { return };
        let Some(pid) = Pid::from_raw(process.pid) else { return };
        let Ok(handle) = rustix::process::pidfd_open(pid, PidfdFlags::empty()) else { return };
        // The handle is fixed now: if the process is still that one, so is the handle.
        if self.process() == Some(process) {
            let _ = rustix::process::pidfd_send_signal(handle, signal);
        }
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

    /// What it has said, once that is something.
    async fn said(runner: &DetachedRunner) -> String {
        loop {
            let text = std::fs::read_to_string(runner.folder.join("runner.log")).expect("a log");
            if !text.is_empty() {
                return text;
            }
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn it_is_found_by_its_folder_started_once_and_ended() {
        let folder = tempfile::tempdir().expect("tempdir");
        let runner = DetachedRunner::at(folder.path().join("one"));
        let start = async || {
            let marker = ("MARK".to_owned(), "clean".into());
            let wait = script("echo $MARK $HOME >&2; exec sleep 600");
            runner.start(Path::new("/bin/sh"), &wait, [marker]).await.expect("it starts");
        };
        start().await;
        let first = runner.process().expect("it runs");
        start().await;
        assert_eq!(DetachedRunner::at(folder.path().join("one")).process(), Some(first));
        assert_eq!(said(&runner).await, "clean\n", "once, with no HOME");
        runner.end(Duration::from_secs(5)).await.expect("ended");
        assert!(!runner.is_alive() && !folder.path().join("one").exists());
        runner.end(Duration::ZERO).await.expect("one that is not there is no error");
    }

    /// The server is killed right after the start.
    #[tokio::test]
    async fn one_that_was_not_noted_is_neither_doubled_nor_left_behind() {
        let folder = tempfile::tempdir().expect("tempdir");
        let runner = DetachedRunner::at(folder.path().join("one"));
        let wait = script("echo up; exec sleep 600");
        runner.start(Path::new("/bin/sh"), &wait, []).await.expect("it starts");
        let first = runner.process().expect("it runs");
        std::fs::remove_file(folder.path().join("one/process.json")).expect("it was noted");
        let next = DetachedRunner::at(folder.path().join("one"));
        assert!(next.is_alive());
        assert_eq!(next.process(), Some(first));
        next.start(Path::new("/bin/sh"), &wait, []).await.expect("it is there");
        assert_eq!(said(&runner).await, "up\n", "once");
        next.end(Duration::from_millis(50)).await.expect("ended");
        assert!(Process::find(first.pid).is_none_or(|it| it.dead || it != first));
        assert!(!folder.path().join("one").exists());
    }

    #[tokio::test]
    async fn a_folder_whose_process_never_came_is_that_of_none() {
        let folder = tempfile::tempdir().expect("tempdir");
        let runner = DetachedRunner::at(folder.path().join("one"));
        let missing = runner.start(Path::new("/no/such/program"), &[], []).await;
        assert!(missing.is_err() && folder.path().join("one/lock").exists());
        assert!(!runner.is_alive());
        runner.end(Duration::ZERO).await.expect("nothing to end");
    }

    #[tokio::test]
    async fn a_log_that_is_too_long_is_begun_anew_and_its_process_goes_on_with_it() {
        let folder = tempfile::tempdir().expect("tempdir");
        let runner = DetachedRunner::at(folder.path().join("one"));
        runner.bound_log_to(4).expect("there is none");
        let gate = folder.path().join("gate");
        let text = format!(
            "echo one; while ! test -e {}; do sleep 0.01; done; echo two; \
             exec sleep 600",
            gate.display()
        );
        runner.start(Path::new("/bin/sh"), &script(&text), []).await.expect("it starts");
        assert_eq!(said(&runner).await, "one\n");
        runner.bound_log_to(4).expect("it is no longer than that");
        assert_eq!(runner.last_words().as_deref(), Some("one"));
        runner.bound_log_to(3).expect("put aside");
        let old = std::fs::read_to_string(folder.path().join("one/runner.log.1"));
        assert_eq!(old.expect("its end"), "ne\n");
        assert_eq!(runner.last_words().as_deref(), Some("ne"));
        std::fs::write(&gate, "").expect("written");
        assert_eq!(said(&runner).await, "two\n");
        runner.end(Duration::from_secs(5)).await.expect("ended");
    }

    #[tokio::test]
    async fn one_that_does_not_listen_is_killed() {
        let folder = tempfile::tempdir().expect("tempdir");
        let runner = DetachedRunner::at(folder.path().join("deaf"));
        let deaf = script("trap '' TERM; echo deaf; while :; do sleep 0.05; done");
        runner.start(Path::new("/bin/sh"), &deaf, []).await.expect("it starts");
        said(&runner).await;
        runner.end(Duration::from_millis(50)).await.expect("ended");
        assert!(!runner.is_alive());
    }
}
