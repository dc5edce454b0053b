//! Runs the steps of one attempt, or its agent's command, which is one step with a standard input.

use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::pin::Pin;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::process::ChildStdin;
use tokio::sync::watch;
use tokio::time::Sleep;

use crate::api::wire::JobContext;
use crate::model::{JobResult, JobWork, Step, Untrusted, signal_name};

use super::attempt_folder::AttemptFolder;
use super::environment::{Variables, overlay};
use super::leftovers;
use super::process::{Group, Spawned};
use super::procfs::Process;
use super::pump::Pump;
use super::shared::Shared;
use super::spool::Spool;
use super::table::{Order, ordered};

/// How the work of an attempt ended, seen from the steps.
#[derive(Debug)]
pub(super) enum WorkEnd {
    /// Every step ended well.
    Completed,
    /// A step failed, and what to tell people.
    Failed(Exit, String),
    /// The step's or the job's time was up.
    TimedOut(Exit, String),
    /// Somebody ordered it to stop.
    Stopped(Order, Exit),
}

/// What the system said of a step's process: an exit code or the signal that ended it, never both;
/// neither where there was no process.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Exit {
    code: Option<i32>,
    signal: Option<i32>,
}

impl Exit {
    /// The result with this in it.
    pub(super) fn of(self, result: JobResult) -> JobResult {
        JobResult { exit_code: self.code, signal: self.signal, ..result }
    }
}

impl From<ExitStatus> for Exit {
    fn from(status: ExitStatus) -> Self {
        Self { code: status.code(), signal: status.signal() }
    }
}

/// The work of one attempt between `start` and its end.
pub(super) struct Steps<'a> {
    pub(super) shared: &'a Shared,
    pub(super) folder: &'a AttemptFolder,
    pub(super) context: &'a JobContext,
    pub(super) spool: &'a Arc<Spool>,
    pub(super) orders: watch::Receiver<Order>,
    /// Ends when the job's time is up, with that time in milliseconds for people.
    pub(super) deadline: (Pin<Box<Sleep>>, i64),
    /// The inherited variables and the job's.
    pub(super) base: Variables,
    /// Those that only the runner sets.
    pub(super) own: Variables,
    /// Outputs of all processes so far: background children may still write.
    pub(super) pumps: Vec<Pump>,
}

/// One process to run.
struct Task<'a> {
    name: String,
    script: &'a str,
    step: Option<&'a Step>,
    stdin: Option<&'a Untrusted>,
}

impl Steps<'_> {
    /// Runs everything, one after the other, until something fails.
    pub(super) async fn run(&mut self) -> WorkEnd {
        let context = self.context;
        let steps = match &context.work {
            JobWork::Steps(steps) => steps,
            JobWork::Agent { profile, prompt } => return self.agent(profile, prompt).await,
        };
        for (at, step) in steps.iter().enumerate() {
            // Masked before it is cut: a part of a secret would not be known.
            let unnamed = || first_line(&self.spool.secrets().mask(&step.run));
            let name = step.name.clone().unwrap_or_else(unnamed);
            let task = Task { name, script: &step.run, step: Some(step), stdin: None };
            if let Some(end) = self.task(at, &task).await {
                return end;
            }
        }
        WorkEnd::Completed
    }

    async fn agent(&mut self, profile: &str, prompt: &Untrusted) -> WorkEnd {
        let shared = self.shared;
        let Some(command) = shared.options.agents.get(profile) else {
            let known: Vec<&str> = shared.options.agents.keys().map(String::as_str).collect();
            let error = format!(
                "runner `{}` has no agent profile `{profile}` (it has: {}): start it with \
                 --agent {profile}=COMMAND",
                shared.options.name,
                if known.is_empty() { "none".to_owned() } else { known.join(", ") }
            );
            self.spool.line(&format!("##[error] {error}")).await;
            return WorkEnd::Failed(Exit::default(), error);
        };
        self.own.insert("DISPATCHYARD_AGENT_PROFILE".to_owned(), profile.into());
        let name = format!("agent {profile}");
        let task = Task { name, script: command, step: None, stdin: Some(prompt) };
        self.task(0, &task).await.unwrap_or(WorkEnd::Completed)
    }

    /// Runs one process; `None` when it ended well.
    async fn task(&mut self, at: usize, task: &Task<'_>) -> Option<WorkEnd> {
        let order = *self.orders.borrow();
        if order > Order::Work {
            return Some(WorkEnd::Stopped(order, Exit::default()));
        }
        self.spool.line(&format!("##[step] {}", task.name)).await;
        let spawned = match self.spawn(at, task).await {
            Ok(spawned) => spawned,
            Err(error) => {
                let error = format!("step `{}` cannot be started: {error}", task.name);
                self.spool.line(&format!("##[error] {error}")).await;
                return Some(WorkEnd::Failed(Exit::default(), error));
            }
        };
        let Spawned { group, output, stdin } = spawned;
        self.pumps.push(Pump::start(output, Arc::clone(self.spool)));
        let prompt = stdin.zip(task.stdin).map(|(pipe, text)| feed(pipe, text.as_data()));
        let timeout_ms = task.step.and_then(|step| step.timeout_ms);
        let number = group.id();
        let ended = self.wait(group, &task.name, timeout_ms).await;
        self.record(&leftovers::members(number).await);
        if let Some(prompt) = prompt {
            prompt.abort();
        }
        if let Some(pump) = self.pumps.last_mut() {
            pump.settle().await;
        }
        let end = ended.unwrap_or_else(|error| {
            let error = format!("step `{}`: {error}", task.name);
            Some(WorkEnd::Failed(Exit::default(), error))
        });
        if let Some(WorkEnd::Failed(_, error) | WorkEnd::TimedOut(_, error)) = &end {
            self.spool.line(&format!("##[error] {error}")).await;
        }
        end
    }

    async fn spawn(&self, at: usize, task: &Task<'_>) -> io::Result<Spawned> {
        let mut variables = self.base.clone();
        if let Some(step) = task.step {
            for name in overlay(&mut variables, &step.env) {
                self.spool.line(&format!("##[warning] variable `{name}` cannot be set")).await;
            }
        }
        variables.extend(self.own.clone());
        let script = self.folder.file("steps").join(format!("{at}.sh"));
        tokio::fs::write(&script, task.script).await?;
        let mut command = self.shared.shell.command(&script);
        command.env_clear().envs(variables).current_dir(self.folder.workspace());
        self.shared.options.step_limits.apply(&mut command);
        let spawned = Group::spawn(command, task.stdin.is_some())?;
        // Without the record a later runner still finds the processes by their marker.
        self.record(Process::find(spawned.group.id()).as_slice());
        Ok(spawned)
    }

    fn record(&self, members: &[Process]) {
        if let Err(error) = self.folder.record_members(members) {
            tracing::warn!(%error, "cannot record a process group");
        }
    }

    /// Waits for the process, for the time, or for an order.
    async fn wait(
        &mut self,
        mut group: Group,
        name: &str,
        timeout_ms: Option<i64>,
    ) -> io::Result<Option<WorkEnd>> {
        let step_time = async {
            match timeout_ms {
                Some(ms) => tokio::time::sleep(millis(ms)).await,
                None => std::future::pending().await,
            }
        };
        let why = tokio::select! {
            status = group.wait() => return Ok(judge(name, status?)),
            () = &mut self.deadline.0 => {
                let limit = self.deadline.1;
                Why::TimedOut(format!("step `{name}`: the job ran longer than {limit} ms"))
            }
            () = step_time => {
                let limit = timeout_ms.unwrap_or_default();
                Why::TimedOut(format!("step `{name}` ran longer than its {limit} ms"))
            }
            order = ordered(&mut self.orders, Order::Cancel) => {
                self.spool.line(&format!("##[cancelled] step `{name}` is stopped")).await;
                Why::Ordered(order)
            }
        };
        let grace = self.shared.grace();
        let mut orders = self.orders.clone();
        let grace_is_over = async {
            tokio::select! {
                () = tokio::time::sleep(grace) => {}
                // The job may run elsewhere already.
                _ = ordered(&mut orders, Order::Forget) => {}
            }
        };
        let exit = group.stop(grace_is_over).await?.into();
        Ok(Some(match why {
            Why::TimedOut(error) => WorkEnd::TimedOut(exit, error),
            Why::Ordered(order) => WorkEnd::Stopped(order, exit),
        }))
    }
}

/// Why a step that runs is stopped.
enum Why {
    TimedOut(String),
    Ordered(Order),
}

/// Writes a prompt; a process that does not read it is free not to.
fn feed(mut pipe: ChildStdin, text: &str) -> tokio::task::JoinHandle<()> {
    let text = text.to_owned();
    tokio::spawn(async move {
        let _ = pipe.write_all(text.as_bytes()).await;
        let _ = pipe.shutdown().await;
    })
}

/// What a shell adds to the number of a signal that killed its command, to exit with it.
const SHELL_SIGNAL: i32 = 128;

fn judge(name: &str, status: ExitStatus) -> Option<WorkEnd> {
    if status.success() {
        return None;
    }
    let error = match (status.code(), status.signal()) {
        (Some(code), _) => format!("step `{name}` failed with {}", exit_code_text(code)),
        (None, Some(signal)) => match signal_name(signal) {
            Some(known) => format!("step `{name}` was killed by signal {signal} ({known})"),
            None => format!("step `{name}` was killed by signal {signal}"),
        },
        (None, None) => format!("step `{name}` ended with {status}"),
    };
    Some(WorkEnd::Failed(status.into(), error))
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

pub(super) fn millis(ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_told_apart_from_an_exit_code() {
        let failed = |status| match judge("build", ExitStatus::from_raw(status)) {
            Some(WorkEnd::Failed(exit, error)) => (exit.code, exit.signal, error),
            other => panic!("{other:?}"),
        };
        assert_eq!(failed(3 << 8), (Some(3), None, "step `build` failed with exit code 3".into()));
        let killed = "step `build` was killed by signal 9 (SIGKILL)";
        assert_eq!(failed(9), (None, Some(9), killed.into()));
        let reported = "step `build` failed with exit code 137 (a shell's for SIGKILL)";
        assert_eq!(failed(137 << 8), (Some(137), None, reported.into()));
        assert!(judge("build", ExitStatus::from_raw(0)).is_none());
    }

    #[test]
    fn a_step_without_a_name_is_called_by_its_first_line() {
        assert_eq!(first_line("\n  make all\nmake install\n"), "make all");
    }
}
