//! How a process, a step and the work of an attempt end, and how that is told. Pure.

use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::Duration;

use crate::model::{JobResult, signal_name};

use super::super::table::Order;

/// How the work of an attempt ended, or one step of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::agent_runner) enum WorkEnd {
    /// It ended well.
    Completed,
    /// It failed, and what to tell people.
    Failed(Exit, String),
    /// The step's or the job's time was up.
    TimedOut(Exit, String),
    /// Somebody ordered it to stop.
    Stopped(Order, Exit),
}

/// What the system said of a step's process: an exit code or the signal that ended it, never both;
/// neither where there was no process.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(in crate::agent_runner) struct Exit {
    code: Option<i32>,
    signal: Option<i32>,
}

impl Exit {
    /// The result with this in it.
    pub(in crate::agent_runner) fn of(self, result: JobResult) -> JobResult {
        JobResult { exit_code: self.code, signal: self.signal, ..result }
    }
}

impl From<ExitStatus> for Exit {
    fn from(status: ExitStatus) -> Self {
        Self { code: status.code(), signal: status.signal() }
    }
}

/// What a shell adds to the number of a signal that killed its command, to exit with it.
const SHELL_SIGNAL: i32 = 128;

/// What the end of a step's process means.
pub(super) fn judge(name: &str, status: ExitStatus) -> WorkEnd {
    if status.success() {
        return WorkEnd::Completed;
    }
    let error = match (status.code(), status.signal()) {
        (Some(code), _) => format!("step `{name}` failed with {}", exit_code_text(code)),
        (None, Some(signal)) => match signal_name(signal) {
            Some(known) => format!("step `{name}` was killed by signal {signal} ({known})"),
            None => format!("step `{name}` was killed by signal {signal}"),
        },
        (None, None) => format!("step `{name}` ended with {status}"),
    };
    WorkEnd::Failed(status.into(), error)
}

/// An exit code that is not 0, for people.
pub(crate) fn exit_code_text(code: i32) -> String {
    match signal_name(code - SHELL_SIGNAL) {
        // Any program may exit with it; a shell does when a command of it was killed.
        Some(signal) => format!("exit code {code} (a shell's for {signal})"),
        None => format!("exit code {code}"),
    }
}

/// A name for a step that has none: the beginning of its script.
pub(crate) fn first_line(script: &str) -> String {
    script.trim().lines().next().unwrap_or_default().chars().take(80).collect()
}

pub(in crate::agent_runner) fn millis(ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_told_apart_from_an_exit_code() {
        let failed = |status| match judge("build", ExitStatus::from_raw(status)) {
            WorkEnd::Failed(exit, error) => (exit.code, exit.signal, error),
            other => panic!("{other:?}"),
        };
        assert_eq!(failed(3 << 8), (Some(3), None, "step `build` failed with exit code 3".into()));
        let killed = "step `build` was killed by signal 9 (SIGKILL)";
        assert_eq!(failed(9), (None, Some(9), killed.into()));
        let reported = "step `build` failed with exit code 137 (a shell's for SIGKILL)";
        assert_eq!(failed(137 << 8), (Some(137), None, reported.into()));
        assert_eq!(judge("build", ExitStatus::from_raw(0)), WorkEnd::Completed);
    }

    #[test]
    fn a_step_without_a_name_is_called_by_its_first_line() {
        assert_eq!(first_line("\n  make all\nmake install\n"), "make all");
    }
}
