//! One process of an attempt: started, waited for, stopped, and what is told of its end.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::io::AsyncWriteExt as _;
use tokio::process::{ChildStdin, Command};
use tokio::sync::oneshot;

use crate::api::wire::HeldLease;
use crate::model::Untrusted;

use super::super::environment::Variables;
use super::super::leftovers;
use super::super::process::{Group, Spawned};
use super::super::procfs::Process;
use super::super::pump::{Listeners, Pump};
use super::super::session::{Overdue, Talk, Talker};
use super::super::table::{Order, ordered};
use super::command_stream::CommandStream;
use super::exit::{Exit, WorkEnd, judge, millis};
use super::post_mortem::{self, Tail};
use super::said::Said;
use super::shells::ScriptCommand;
use super::{Steps, WindDown};

/// One process to run.
pub(super) struct Task<'t> {
    pub(super) name: String,
    /// Which one it is of how many, from 0.
    pub(super) place: (usize, usize),
    pub(super) command: ScriptCommand,
    pub(super) script: String,
    /// Its whole environment.
    pub(super) variables: Variables,
    /// Where it starts.
    pub(super) folder: PathBuf,
    pub(super) timeout_ms: Option<i64>,
    pub(super) stdin: Option<&'t Untrusted>,
    /// Who hears of workflow commands, where its output may have any.
    pub(super) said: Option<Arc<Said>>,
    /// The conversation that it is one side of.
    pub(super) talk: Option<Talk>,
}

impl Steps<'_> {
    /// Runs one process to its end, which the log has when this returns.
    pub(super) async fn task(&mut self, task: Task<'_>) -> WorkEnd {
        let began_ms = self.work.shared.clock.now().mono_ms;
        let tail = Arc::new(Tail::default());
        let spawned = match self.spawn(&task).await {
            Ok(spawned) => spawned,
            Err(error) => {
                let error = format!("step `{}` cannot be started: {error}", task.name);
                return self.failed(task.place, error).await;
            }
        };
        let Spawned { group, output, stdin } = spawned;
        let commands = task.said.clone().map(|said| CommandStream::new(self.debug, said));
        let (shared, job) = (self.work.shared, self.work.job);
        let held = HeldLease { lease: job.lease, nonce: job.nonce };
        let talker = task.talk.clone();
        let talker = talker.map(|talk| Talker::new(shared, held, self.orders.clone(), talk));
        let (talker, heard) = talker.unzip();
        let (ear, overdue) = heard.unzip();
        let listeners = Listeners { commands, tail: Arc::clone(&tail), ear };
        self.pumps.push(Pump::start(output, Arc::clone(self.work.spool), listeners));
        let (prompt, pen) = match task.stdin {
            Some(text) => (stdin.map(|pipe| feed(pipe, text.as_data())), None),
            None => (None, stdin),
        };
        let number = group.id();
        let (tell_end, end) = oneshot::channel();
        let talk = async {
            if let Some(talker) = talker {
                talker.run(pen, end).await;
            }
        };
        let work = async {
            let ended = self.wait(group, &task.name, task.timeout_ms, overdue).await;
            self.record(&leftovers::members(number).await);
            if let Some(prompt) = prompt {
                prompt.abort();
            }
            if let Some(pump) = self.pumps.last_mut() {
                pump.settle().await;
            }
            let _ = tell_end.send(matches!(ended, Ok(WorkEnd::Completed)));
            ended
        };
        let (ended, ()) = tokio::join!(work, talk);
        let end = ended.unwrap_or_else(|error| {
            let error = format!("step `{}`: {error}", task.name);
            WorkEnd::Failed(Exit::default(), error)
        });
        let refused = task.said.as_ref().and_then(|said| said.refused());
        let end = match (end, refused) {
            (WorkEnd::Completed, Some(why)) => {
                WorkEnd::Failed(Exit::default(), format!("step `{}`: {why}", task.name))
            }
            (end, _) => end,
        };
        let ran_ms = self.work.shared.clock.now().mono_ms - began_ms;
        let told = |error: String| post_mortem::text(&error, task.place, ran_ms, &tail);
        if let WorkEnd::Failed(_, error) | WorkEnd::TimedOut(_, error) = &end {
            self.work.spool.line(&format!("##[error] {error}")).await;
        }
        match end {
            WorkEnd::Failed(exit, error) => WorkEnd::Failed(exit, told(error)),
            WorkEnd::TimedOut(exit, error) => WorkEnd::TimedOut(exit, told(error)),
            end => end,
        }
    }

    /// Says that a step failed before there was a process.
    pub(super) async fn failed(&self, place: (usize, usize), error: String) -> WorkEnd {
        self.work.spool.line(&format!("##[error] {error}")).await;
        WorkEnd::Failed(Exit::default(), post_mortem::not_started(&error, place))
    }

    async fn spawn(&self, task: &Task<'_>) -> io::Result<Spawned> {
        let name = format!("{}.{}", task.place.0, task.command.ending);
        let script = self.work.folder.file("steps").join(name);
        tokio::fs::write(&script, &task.script).await?;
        let mut command = Command::new(&task.command.program);
        command.args(task.command.arguments(&script));
        command.env_clear().envs(&task.variables).current_dir(&task.folder);
        self.work.shared.options.step_limits.apply(&mut command);
        let wants_stdin = task.stdin.is_some() || task.talk.is_some();
        let spawned = Group::spawn(command, wants_stdin)?;
        // Without the record a later runner still finds the processes by their marker.
        self.record(Process::find(spawned.group.id()).as_slice());
        Ok(spawned)
    }

    fn record(&self, members: &[Process]) {
        if let Err(error) = self.work.folder.record_members(members) {
            tracing::warn!(%error, "cannot record a process group");
        }
    }

    /// Waits for the process, for the time, for an order, or until its conversation is over and it is not.
    async fn wait(
        &mut self,
        mut group: Group,
        name: &str,
        timeout_ms: Option<i64>,
        overdue: Option<oneshot::Receiver<Overdue>>,
    ) -> io::Result<WorkEnd> {
        let overdue = async {
            match overdue {
                Some(overdue) => match overdue.await {
                    Ok(overdue) => overdue,
                    Err(_) => std::future::pending().await,
                },
                None => std::future::pending().await,
            }
        };
        let step_time = async {
            match timeout_ms {
                Some(ms) => tokio::time::sleep(millis(ms)).await,
                None => std::future::pending().await,
            }
        };
        // What runs while the work is being stopped was let run, and has only what is left of the grace.
        let is_stopping = self.wind_down.has_begun();
        let least = if is_stopping { Order::GiveBack } else { Order::Cancel };
        let why = tokio::select! {
            status = group.wait() => return Ok(judge(name, status?)),
            () = &mut self.deadline.0, if !is_stopping => {
                let limit = self.deadline.1;
                Why::JobTime(format!("step `{name}`: the job ran longer than {limit} ms"))
            }
            () = step_time => {
                let limit = timeout_ms.unwrap_or_default();
                Why::StepTime(format!("step `{name}` ran longer than its {limit} ms"))
            }
            () = self.wind_down.over() => Why::NoMoreGrace,
            overdue = overdue => {
                self.work.spool.line(&format!("##[warning] {}: it is stopped", overdue.why)).await;
                Why::Overdue(overdue)
            }
            order = ordered(&mut self.orders, least) => {
                self.work.spool.line(&format!("##[cancelled] step `{name}` is stopped")).await;
                Why::Ordered(order)
            }
        };
        let mut own_grace = WindDown::default();
        let grace = self.work.shared.grace();
        let grace = match why {
            // This step alone is stopped; the others have the job's time.
            Why::StepTime(_) | Why::Overdue(_) if !is_stopping => {
                own_grace.begin(grace);
                &mut own_grace
            }
            _ => {
                self.wind_down.begin(grace);
                &mut self.wind_down
            }
        };
        let mut orders = self.orders.clone();
        let grace_is_over = async {
            tokio::select! {
                () = grace.over() => {}
                // The job may run elsewhere already.
                _ = ordered(&mut orders, Order::Forget) => {}
            }
        };
        let exit = group.stop(grace_is_over).await?.into();
        Ok(match why {
            Why::JobTime(error) | Why::StepTime(error) => WorkEnd::TimedOut(exit, error),
            Why::Ordered(order) => WorkEnd::Stopped(order, exit),
            Why::Overdue(Overdue { why, owes: true }) => WorkEnd::Failed(exit, why),
            // It had done all that was asked of it.
            Why::Overdue(_) => WorkEnd::Completed,
            Why::NoMoreGrace => {
                let error = format!("step `{name}` was stopped: the time to tidy up is over");
                WorkEnd::TimedOut(exit, error)
            }
        })
    }
}

/// Why a step that runs is stopped.
enum Why {
    JobTime(String),
    StepTime(String),
    NoMoreGrace,
    Ordered(Order),
    /// Its conversation is over, and it is not.
    Overdue(Overdue),
}

/// Writes a prompt; a process that does not read it is free not to.
fn feed(mut pipe: ChildStdin, text: &str) -> tokio::task::JoinHandle<()> {
    let text = text.to_owned();
    tokio::spawn(async move {
        let _ = pipe.write_all(text.as_bytes()).await;
        let _ = pipe.shutdown().await;
    })
}
