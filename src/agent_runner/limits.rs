//! What a step's processes may use of the machine: resource limits that the system keeps.
//!
//! They are set in the child between fork and exec, so there is no moment without them, and each
//! child inherits them. Soft and hard limit are the same: a step cannot raise its own. A limit that
//! the runner itself is under stays where it is stricter.
//!
//! The system counts per process, but for processes, which it counts per user (and for root not at
//! all). Only cgroups bound a step as a whole: run the runner in a container for that.

use std::io;

use rustix::process::{Resource, Rlimit};
use tokio::process::Command;

use super::RunnerError;

/// Between the signal that says that the processor time is over, and the one that ends it, seconds.
const CPU_GRACE_S: u64 = 1;

/// Limits of each process of a step; `None` leaves the runner's own.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct StepLimits {
    /// `--step-memory-mb-max`: address space, in MiB; what asks for more is told that there is none.
    pub memory_mb: Option<u64>,
    /// `--step-cpu-s-max`: processor time of one process, in seconds; then SIGXCPU, and SIGKILL a
    /// second later.
    pub cpu_s: Option<u64>,
    /// `--step-open-files-max`: file descriptors.
    pub open_files: Option<u64>,
    /// `--step-file-mb-max`: the longest file that can be written, in MiB; then SIGXFSZ.
    pub file_mb: Option<u64>,
    /// `--step-processes-max`: processes and threads of the runner's user, whoever started them.
    pub processes: Option<u64>,
    /// `--step-core-mb-max`: the longest core file, in MiB. Default 0: none, because a core file has
    /// all secrets of its process.
    pub core_mb: u64,
}

impl StepLimits {
    /// Refuses limits under which nothing runs.
    pub(super) fn check(&self) -> Result<(), RunnerError> {
        let limits = [
            ("--step-memory-mb-max", self.memory_mb),
            ("--step-cpu-s-max", self.cpu_s),
            ("--step-open-files-max", self.open_files),
            ("--step-file-mb-max", self.file_mb),
            ("--step-processes-max", self.processes),
        ];
        match limits.into_iter().find(|(_, limit)| *limit == Some(0)) {
            None => Ok(()),
            Some((name, _)) => {
                let reason = "0 lets no step run: give 1 or more, or leave it out".to_owned();
                Err(RunnerError::Option { name, reason })
            }
        }
    }

    /// Sees to it that the command runs under the limits.
    #[expect(unsafe_code, reason = "only a child can limit itself before it runs anything")]
    pub(super) fn apply(&self, command: &mut Command) {
        let limits = self.in_bytes();
        let set = move || limits.iter().try_for_each(|limit| set(*limit));
        // SAFETY: between fork and exec only async-signal-safe functions may be called. `set` makes
        // the two system calls and neither allocates nor locks; an error that is made of an error
        // number does not allocate either.
        unsafe {
            command.pre_exec(set);
        }
    }

    /// Resource, soft limit, hard limit.
    fn in_bytes(&self) -> [(Resource, Option<u64>, u64); 6] {
        let bytes = |mb: u64| mb.saturating_mul(1024 * 1024);
        let both = |resource, limit: Option<u64>| (resource, limit, 0);
        [
            both(Resource::As, self.memory_mb.map(bytes)),
            (Resource::Cpu, self.cpu_s, CPU_GRACE_S),
            both(Resource::Nofile, self.open_files),
            both(Resource::Fsize, self.file_mb.map(bytes)),
            both(Resource::Nproc, self.processes),
            both(Resource::Core, Some(bytes(self.core_mb))),
        ]
    }
}

/// Limits this process; `grace` is how much higher the hard limit is than the soft one.
fn set((resource, limit, grace): (Resource, Option<u64>, u64)) -> io::Result<()> {
    let Some(limit) = limit else { return Ok(()) };
    let own = rustix::process::getrlimit(resource);
    let within = |limit: u64, own: Option<u64>| Some(own.map_or(limit, |own| own.min(limit)));
    let maximum = within(limit.saturating_add(grace), own.maximum);
    let current = within(within(limit, own.current).unwrap_or(limit), maximum);
    rustix::process::setrlimit(resource, Rlimit { current, maximum })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_of_nothing_is_refused_by_name_but_for_core_files() {
        let none = StepLimits { file_mb: Some(0), ..StepLimits::default() };
        let error = none.check().expect_err("refused").to_string();
        assert!(error.contains("--step-file-mb-max"), "{error}");
        assert!(StepLimits::default().check().is_ok());
    }

    #[tokio::test]
    async fn a_process_has_the_limits_before_it_runs_anything() {
        let limits = StepLimits {
            memory_mb: Some(4_096),
            cpu_s: Some(50),
            open_files: Some(64),
            file_mb: Some(3),
            processes: Some(5_000),
            core_mb: 0,
        };
        let mut command = Command::new("cat");
        command.arg("/proc/self/limits");
        limits.apply(&mut command);
        let output = command.output().await.expect("it runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let row = |name: &str| {
            let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
            let columns = line[name.len().min(line.len())..].split_whitespace();
            columns.take(2).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(row("Max address space"), ["4294967296", "4294967296"]);
        assert_eq!(row("Max cpu time"), ["50", "51"]);
        assert_eq!(row("Max open files"), ["64", "64"]);
        assert_eq!(row("Max file size"), ["3145728", "3145728"]);
        assert_eq!(row("Max processes"), ["5000", "5000"]);
        assert_eq!(row("Max core file size"), ["0", "0"]);
    }
}
