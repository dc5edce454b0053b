//! One step of a job: whether it runs, what it is given, and what it leaves to those after it.
//!
//! Its `env` is worked out first and counts for all else that the step says, its `if` included; what is
//! wrong with the `env` of a step that is skipped is nobody's concern.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use crate::model::Step;

use super::super::environment::{Variables, overlay};
use super::contexts::{JobStatus, Outcome};
use super::exit::{WorkEnd, first_line};
use super::files::{Left, StepFiles, VALUE_BYTES_MAX};
use super::github::action_name;
use super::said::Said;
use super::shells::ScriptCommand;
use super::task::Task;
use super::{Steps, results};

/// What variables for values of expressions are called.
const EXPRESSION_PREFIX: &str = "DISPATCHYARD_EXPR_";
/// The most bytes of outputs of all steps that are kept for those after them.
const OUTPUT_BYTES_MAX: usize = 4 * 1024 * 1024;

impl Steps<'_> {
    /// Runs one step, or skips it.
    pub(super) async fn one(&mut self, place: (usize, usize), step: &Step) {
        let action = action_name(step.id.as_deref(), step.uses.as_deref(), &self.actions);
        self.contexts.set_github("action", &action);
        self.actions.push(action);
        let env = self.step_env(step).await;
        let seen = env.as_ref().ok().map(|env| self.contexts.env_with(env));
        let name = self.name_of(step, seen.as_ref()).await;
        let runs = match &step.condition {
            None => Ok(self.contexts.status() == JobStatus::Success),
            Some(text) => self.contexts.holds(text, seen.as_ref()).await,
        };
        if runs == Ok(false) {
            self.work.spool.line(&format!("##[skipped] {name}")).await;
            self.note(step, BTreeMap::new(), (Outcome::Skipped, Outcome::Skipped)).await;
            return;
        }
        self.work.spool.line(&format!("##[step] {name}")).await;
        let ready = match (runs, env) {
            (Err(error), _) | (_, Err(error)) => Err(error),
            (Ok(_), Ok(env)) => self.ready(place, step, &name, &env, seen.as_ref()).await,
        };
        let (end, outputs) = match ready {
            Ok((task, files)) => self.carried_out(task, files).await,
            Err(error) => {
                let error = format!("step `{name}`: {error}");
                (self.failed(place, error).await, BTreeMap::new())
            }
        };
        let outcomes = self.settle(step, end, seen.as_ref()).await;
        self.note(step, outputs, outcomes).await;
    }

    /// The step's own variables, with their expressions filled in.
    async fn step_env(&self, step: &Step) -> Result<BTreeMap<String, String>, String> {
        let mut env = BTreeMap::new();
        for (name, text) in &step.env {
            let value = self.contexts.fill(&format!("env.{name}"), text, None).await?;
            let bytes = value.len();
            if bytes > VALUE_BYTES_MAX {
                return Err(too_long(&format!("env.{name}"), bytes));
            }
            env.insert(name.clone(), value);
        }
        Ok(env)
    }

    async fn name_of(&self, step: &Step, env: Option<&Value>) -> String {
        let text = match (&step.name, &step.uses) {
            (Some(name), _) => {
                self.contexts.fill("name", name, env).await.unwrap_or_else(|_| name.clone())
            }
            (None, Some(action)) => action.clone(),
            (None, None) => self.shown(&step.run),
        };
        text.replace(['\n', '\r'], " ")
    }

    /// All that the step's process is given.
    async fn ready(
        &self,
        place: (usize, usize),
        step: &Step,
        name: &str,
        env: &BTreeMap<String, String>,
        seen: Option<&Value>,
    ) -> Result<(Task<'static>, StepFiles), String> {
        let shared = self.work.shared;
        let mut variables = self.base.clone();
        for name in overlay(&mut variables, env) {
            if env.get(&name).is_some_and(|value| value.contains('\0')) {
                // An older value in its place could let something happen that was to be kept from happening.
                return Err(format!("variable `{name}` cannot be set to its value"));
            }
            self.work.spool.line(&format!("##[warning] variable `{name}` cannot be set")).await;
        }
        let path = self.path(variables.get("PATH"));
        variables.insert("PATH".to_owned(), path.clone());
        let mut own = self.own.clone();
        if self.work.context.workflow.is_some() {
            let action = self.actions.last().cloned().unwrap_or_default();
            own.insert("GITHUB_ACTION".to_owned(), action.into());
        }
        own.extend(self.expressions(step, seen).await?);
        let (command, script) = match &step.uses {
            None => {
                let command = match &step.shell {
                    None => ScriptCommand::of_runner(&shared.shell),
                    Some(shell) => ScriptCommand::of_step(shell, &shared.shell, Some(&path))?,
                };
                (command, self.contexts.fill_script(&step.run, seen).await?)
            }
            Some(action) => {
                let Some(command) = &shared.options.actions else {
                    return Err(format!(
                        "it uses the action `{action}`, and runner `{}` carries out none: start \
                         it with --actions COMMAND",
                        shared.options.name
                    ));
                };
                own.extend(self.inputs(step, seen).await?);
                own.insert("DISPATCHYARD_ACTION".to_owned(), action.into());
                (ScriptCommand::of_runner(&shared.shell), command.clone())
            }
        };
        let folder = self.folder_of(step, seen).await?;
        let files = StepFiles::create(&self.work.folder.file("steps"), place.0)
            .map_err(|error| format!("its files cannot be made: {error}"))?;
        own.extend(files.variables());
        variables.extend(own);
        let said = self.work.context.workflow.is_some().then(|| Arc::new(Said::default()));
        let name = name.to_owned();
        let timeout_ms = self.timeout_ms(step, seen).await?;
        let stdin = None;
        let task = Task {
            name,
            place,
            command,
            script,
            variables,
            folder,
            timeout_ms,
            stdin,
            said,
            talk: None,
        };
        Ok((task, files))
    }

    /// How long the step may run. GitHub knows whole minutes only
    /// (<https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#jobsjob_idstepstimeout-minutes>).
    async fn timeout_ms(&self, step: &Step, seen: Option<&Value>) -> Result<Option<i64>, String> {
        let Some(text) = &step.timeout_minutes else { return Ok(step.timeout_ms) };
        let minutes = self.contexts.fill("timeout-minutes", text, seen).await?;
        let wrong =
            || format!("timeout-minutes: `{}` is no whole number from 1", self.shown(&minutes));
        whole_minutes(&minutes).map(Some).ok_or_else(wrong)
    }

    /// The `PATH` with what steps added before it.
    fn path(&self, of_step: Option<&OsString>) -> OsString {
        let mut path = OsString::new();
        for folder in &self.paths {
            path.push(folder);
            path.push(":");
        }
        match of_step.filter(|own| !own.is_empty()) {
            Some(own) => path.push(own),
            // An empty part would be the current folder.
            None if !path.is_empty() => path.push("/usr/bin:/bin"),
            None => {}
        }
        path
    }

    /// Values that the script reads in the place of expressions.
    async fn expressions(&self, step: &Step, seen: Option<&Value>) -> Result<Variables, String> {
        let mut variables = Variables::new();
        for (name, text) in &step.expressions {
            if !name.starts_with(EXPRESSION_PREFIX) || name.contains(['=', '\0']) {
                return Err(format!("`{name}` cannot hold the value of an expression"));
            }
            let value = self.contexts.fill("run", text, seen).await?;
            variables.insert(name.clone(), checked(&self.shown(text), value)?.into());
        }
        Ok(variables)
    }

    /// What an action is given, as GitHub names it.
    async fn inputs(&self, step: &Step, seen: Option<&Value>) -> Result<Variables, String> {
        let mut variables = Variables::new();
        for (name, text) in &step.with {
            let key = format!("with.{name}");
            let value = checked(&key, self.contexts.fill(&key, text, seen).await?)?;
            let name = format!("INPUT_{}", name.replace(' ', "_").to_uppercase());
            if name.contains(['=', '\0']) {
                return Err(format!("`{key}` cannot be a variable"));
            }
            variables.insert(name, value.into());
        }
        Ok(variables)
    }

    /// Where the script starts.
    async fn folder_of(&self, step: &Step, seen: Option<&Value>) -> Result<PathBuf, String> {
        let workspace = self.work.folder.workspace();
        let Some(text) = &step.working_directory else { return Ok(workspace) };
        let folder = self.contexts.fill("working-directory", text, seen).await?;
        inside(&workspace, &folder, &self.shown(&folder))
    }

    /// The beginning of a text, for people. Masked before it is cut: a part of a secret would not be known.
    fn shown(&self, text: &str) -> String {
        first_line(&self.work.spool.secrets().mask(text))
    }

    /// Runs the process; tells its end and its outputs, and takes over what it left.
    async fn carried_out(
        &mut self,
        task: Task<'static>,
        files: StepFiles,
    ) -> (WorkEnd, BTreeMap<String, String>) {
        let (name, said) = (task.name.clone(), task.said.clone());
        let end = self.task(task).await;
        let secrets = Arc::clone(self.work.spool.secrets());
        let read = move || files.read(&|text| secrets.mask(text));
        let left = tokio::task::spawn_blocking(read).await.unwrap_or_default();
        let Left { outputs: in_file, env, paths, summary, faults } = left;
        for fault in faults {
            self.work.spool.line(&format!("##[warning] {fault}")).await;
        }
        results::tell_summary(self.work.spool, &name, &summary).await;
        for (name, value) in env {
            self.contexts.add_env(&name, &value);
            self.base.insert(name, value.into());
        }
        for folder in paths {
            self.paths.retain(|known| *known != folder);
            self.paths.insert(0, folder);
        }
        let mut outputs = said.map(|said| said.take_outputs()).unwrap_or_default();
        outputs.extend(in_file);
        (end, outputs)
    }

    /// What the step's end means for the job: its outcome and its conclusion.
    async fn settle(
        &mut self,
        step: &Step,
        end: WorkEnd,
        seen: Option<&Value>,
    ) -> (Outcome, Outcome) {
        let had_begun = self.contexts.status() == JobStatus::Cancelled;
        match end {
            WorkEnd::Completed => (Outcome::Success, Outcome::Success),
            // The job is being stopped, and not this step alone.
            end if self.wind_down.has_begun() && !had_begun => {
                self.stop_with(end);
                (Outcome::Cancelled, Outcome::Cancelled)
            }
            WorkEnd::Stopped(..) => {
                self.end.get_or_insert(end);
                (Outcome::Cancelled, Outcome::Cancelled)
            }
            end if self.may_fail(step, seen).await => {
                drop(end);
                (Outcome::Failure, Outcome::Success)
            }
            end => {
                self.end.get_or_insert(end);
                if !had_begun {
                    self.contexts.set_status(JobStatus::Failure);
                }
                (Outcome::Failure, Outcome::Failure)
            }
        }
    }

    /// Whether the job goes on although the step failed.
    async fn may_fail(&self, step: &Step, seen: Option<&Value>) -> bool {
        let Some(text) = &step.continue_on_error else { return false };
        match self.contexts.says_yes("continue-on-error", text, seen).await {
            Ok(answer) => answer,
            Err(error) => {
                self.work.spool.line(&format!("##[error] {error}")).await;
                false
            }
        }
    }

    /// Notes how the step ended, for those after it.
    async fn note(
        &mut self,
        step: &Step,
        mut outputs: BTreeMap<String, String>,
        (outcome, conclusion): (Outcome, Outcome),
    ) {
        let Some(id) = &step.id else { return };
        let bytes: usize = outputs.iter().map(|(name, value)| name.len() + value.len()).sum();
        if self.output_bytes + bytes > OUTPUT_BYTES_MAX {
            let told = format!(
                "##[warning] the outputs of step `{id}` are dropped: those of all steps have at \
                 most {OUTPUT_BYTES_MAX} bytes"
            );
            self.work.spool.line(&told).await;
            outputs.clear();
        } else {
            self.output_bytes += bytes;
        }
        self.contexts.add_step(id, outputs, outcome, conclusion);
    }
}

/// A value for a variable, or why it cannot be one.
fn checked(what: &str, value: String) -> Result<String, String> {
    if value.contains('\0') {
        return Err(format!("`{what}` has a NUL byte in it, which no variable can hold"));
    }
    let bytes = value.len();
    if bytes > VALUE_BYTES_MAX { Err(too_long(what, bytes)) } else { Ok(value) }
}

fn too_long(what: &str, bytes: usize) -> String {
    format!(
        "`{what}` has {bytes} bytes, and a variable at most {VALUE_BYTES_MAX}: read it from a file, \
         the event's is in GITHUB_EVENT_PATH"
    )
}

/// Minutes in milliseconds.
fn whole_minutes(text: &str) -> Option<i64> {
    let minutes = text.trim().parse::<u32>().ok().filter(|minutes| *minutes > 0)?;
    Some(i64::from(minutes) * 60_000)
}

/// A folder of the workspace, or what is wrong with it, as which it is `shown`.
fn inside(workspace: &Path, folder: &str, shown: &str) -> Result<PathBuf, String> {
    if folder.contains('\0') {
        return Err(format!("`working-directory`: `{shown}` is no folder"));
    }
    let real = |path: &Path| {
        path.canonicalize().map_err(|error| format!("`working-directory`: `{shown}`: {error}"))
    };
    let (workspace, folder) = (real(workspace)?, real(&workspace.join(folder))?);
    if !folder.starts_with(&workspace) {
        return Err(format!("`working-directory`: `{shown}` is outside of the workspace"));
    }
    if !folder.is_dir() {
        return Err(format!("`working-directory`: `{shown}` is no folder"));
    }
    Ok(folder)
}
