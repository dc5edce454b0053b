//! The steps of one attempt, or its agent's command, which is one step with a standard input.
//!
//! ```text
//! setting ──> env of the job ──> each step: if ──> env, texts, shell, files ──> task ──> what it left
//!                                           └─> skipped                        (outputs, env, PATH, summary)
//! ```
//!
//! A step that fails does not end the work: those after it say in their `if` whether they run all the
//! same. A cancel, and the end of the job's time, stop the step that runs; what still runs then has
//! what is left of one grace time, which begins at that moment ([`WindDown`]). A lease that is lost ends everything at once.
//!
//! Expressions are in [`contexts`], texts from files and outputs in [`env_file`] and [`command_stream`],
//! one process in [`task`].

mod command_stream;
mod commands;
mod contexts;
mod env_file;
mod exit;
mod files;
mod github;
mod hash_files;
mod hash_pattern;
mod one;
mod post_mortem;
mod results;
mod said;
mod script_text;
mod setting;
mod shells;
mod task;

#[cfg(test)]
mod tests;

use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Sleep;

use crate::api::wire::{Assignment, JobContext};
use crate::model::{JobWork, Untrusted};

use super::attempt_folder::AttemptFolder;
use super::environment::{Variables, overlay};
use super::pump::Pump;
use super::session::{AgentProtocol, END_GRACE_MS, SILENCE_MS, Talk};
use super::shared::Shared;
use super::spool::Spool;
use super::table::Order;
use contexts::{Contexts, JobStatus};
use shells::ScriptCommand;
use task::Task;

pub(super) use command_stream::CommandStream;
pub(super) use commands::unescape_data;
pub(super) use exit::{WorkEnd, millis};
pub(crate) use exit::{exit_code_text, first_line};
pub(crate) use github::{github_context, github_variables};
pub(super) use post_mortem::Tail;
pub(super) use results::outputs_to_send;
pub(super) use setting::Setting;

/// The attempt that the steps are part of.
#[derive(Clone, Copy)]
pub(super) struct Work<'a> {
    pub(super) shared: &'a Shared,
    pub(super) job: &'a Assignment,
    pub(super) context: &'a JobContext,
    pub(super) folder: &'a AttemptFolder,
    pub(super) spool: &'a Arc<Spool>,
}

/// The work of one attempt between `start` and its end.
pub(super) struct Steps<'a> {
    work: Work<'a>,
    orders: watch::Receiver<Order>,
    /// Ends when the job's time is up, with that time in milliseconds for people.
    deadline: (Pin<Box<Sleep>>, i64),
    /// What is left of the time to stop in.
    wind_down: WindDown,
    /// The inherited variables, the job's, and what steps added.
    base: Variables,
    /// Those that only the runner sets.
    own: Variables,
    /// Folders that steps put before the `PATH`, the latest first.
    paths: Vec<String>,
    contexts: Contexts,
    /// What `GITHUB_ACTION` was in the steps so far.
    actions: Vec<String>,
    /// Bytes of outputs that are kept for later steps.
    output_bytes: usize,
    /// Whether `::debug::` is shown.
    debug: bool,
    /// How it ends, as far as that is known: the first bad end counts.
    end: Option<WorkEnd>,
    /// Outputs of all processes so far: background children may still write.
    pub(super) pumps: Vec<Pump>,
}

impl<'a> Steps<'a> {
    pub(super) fn new(
        work: Work<'a>,
        setting: Setting,
        orders: watch::Receiver<Order>,
        deadline: (Pin<Box<Sleep>>, i64),
    ) -> Self {
        let Setting { base, own, contexts, debug } = setting;
        Self {
            work,
            orders,
            deadline,
            wind_down: WindDown::default(),
            base,
            own,
            paths: Vec::new(),
            contexts,
            actions: Vec::new(),
            output_bytes: 0,
            debug,
            end: None,
            pumps: Vec::new(),
        }
    }

    /// Runs everything, one after the other.
    pub(super) async fn run(&mut self) -> WorkEnd {
        let context = self.work.context;
        if let Err(error) = self.job_env().await {
            let error = format!("the job's variables: {error}");
            self.work.spool.line(&format!("##[error] {error}")).await;
            return WorkEnd::Failed(exit::Exit::default(), error);
        }
        let steps = match &context.work {
            JobWork::Steps(steps) => steps,
            JobWork::Agent { profile, prompt } => return self.agent(profile, prompt).await,
        };
        for (at, step) in steps.iter().enumerate() {
            if !self.goes_on().await {
                break;
            }
            self.one((at, steps.len()), step).await;
        }
        self.end.take().unwrap_or(WorkEnd::Completed)
    }

    /// Lays the variables of the job over the inherited ones.
    async fn job_env(&mut self) -> Result<(), String> {
        let mut env = std::collections::BTreeMap::new();
        for (name, text) in &self.work.context.env {
            let value = self.contexts.fill(&format!("env.{name}"), text, None).await?;
            env.insert(name.clone(), value);
        }
        for name in overlay(&mut self.base, &env) {
            if env.get(&name).is_some_and(|value| value.contains('\0')) {
                return Err(format!("variable `{name}` of the job cannot be set to its value"));
            }
            self.work.spool.line(&format!("##[warning] variable `{name}` cannot be set")).await;
        }
        for (name, value) in &env {
            self.contexts.add_env(name, value);
        }
        Ok(())
    }

    /// Whether another step may run.
    async fn goes_on(&mut self) -> bool {
        let order = *self.orders.borrow();
        if order > Order::Cancel {
            self.end = Some(WorkEnd::Stopped(order, exit::Exit::default()));
            return false;
        }
        if !self.wind_down.has_begun() {
            if order == Order::Cancel {
                self.stop_with(WorkEnd::Stopped(order, exit::Exit::default()));
            } else if is_over(&mut self.deadline.0).await {
                let error = format!("the job ran longer than {} ms", self.deadline.1);
                self.work.spool.line(&format!("##[error] {error}")).await;
                self.stop_with(WorkEnd::TimedOut(exit::Exit::default(), error));
            }
        }
        !self.wind_down.is_over().await
    }

    /// The work is stopped, with that end, unless it had a bad one before.
    fn stop_with(&mut self, end: WorkEnd) {
        self.wind_down.begin(self.work.shared.grace());
        self.contexts.set_status(JobStatus::Cancelled);
        self.end.get_or_insert(end);
    }

    async fn agent(&mut self, profile: &str, prompt: &Untrusted) -> WorkEnd {
        let shared = self.work.shared;
        let order = *self.orders.borrow();
        if order > Order::Work {
            return WorkEnd::Stopped(order, exit::Exit::default());
        }
        let Some(command) = shared.options.agents.get(profile) else {
            let known: Vec<&str> = shared.options.agents.keys().map(String::as_str).collect();
            let error = format!(
                "runner `{}` has no agent profile `{profile}` (it has: {}): start it with \
                 --agent {profile}=COMMAND",
                shared.options.name,
                if known.is_empty() { "none".to_owned() } else { known.join(", ") }
            );
            return self.failed((0, 1), error).await;
        };
        let protocol = shared.options.agent_protocols.get(profile).copied().unwrap_or_default();
        let talk = self.work.context.session.as_ref().map(|session| Talk {
            protocol,
            idle_ms: session.idle_ms,
            silence_ms: session.silence_ms.unwrap_or(SILENCE_MS),
            end_grace_ms: session.end_grace_ms.unwrap_or(END_GRACE_MS),
            delivered: session.delivered,
            messages: session.messages.clone(),
        });
        let is_asked_once = talk.is_none() || protocol == AgentProtocol::Plain;
        let mut variables = self.base.clone();
        variables.extend(self.own.clone());
        if let Some(session) = &self.work.context.session {
            let id = session.id.to_string();
            variables.insert("DISPATCHYARD_SESSION".to_owned(), id.into());
        }
        variables.insert("DISPATCHYARD_AGENT_PROFILE".to_owned(), profile.into());
        let name = format!("agent {profile}");
        self.work.spool.line(&format!("##[step] {name}")).await;
        self.task(Task {
            name,
            place: (0, 1),
            command: ScriptCommand::of_runner(&shared.shell),
            script: command.clone(),
            variables,
            folder: self.work.folder.workspace(),
            timeout_ms: None,
            stdin: is_asked_once.then_some(prompt),
            said: None,
            talk,
        })
        .await
    }
}

/// The time in which work that is stopped may tidy up: it begins once, and what runs shares it.
#[derive(Debug, Default)]
struct WindDown(Option<Pin<Box<Sleep>>>);

impl WindDown {
    fn begin(&mut self, grace: Duration) {
        self.0.get_or_insert_with(|| Box::pin(tokio::time::sleep(grace)));
    }

    fn has_begun(&self) -> bool {
        self.0.is_some()
    }

    /// Waits for its end; for ever while it has not begun.
    async fn over(&mut self) {
        match &mut self.0 {
            Some(time) => time.await,
            None => std::future::pending().await,
        }
    }

    async fn is_over(&mut self) -> bool {
        match &mut self.0 {
            Some(time) => is_over(time).await,
            None => false,
        }
    }
}

/// Whether the time is over at this moment.
async fn is_over(time: &mut Pin<Box<Sleep>>) -> bool {
    std::future::poll_fn(|cx| Poll::Ready(time.as_mut().poll(cx).is_ready())).await
}
