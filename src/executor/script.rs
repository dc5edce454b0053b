//! An attempt's work as files beside one shell script, for images that know nothing of us. Pure.
//!
//! Whoever starts the container or the pod puts the files of a [`Bundle`] into one folder there and runs its
//! command; the script carries the steps out as a runner does, and leaves a report, which [`Report::read`]
//! reads. The script's text is the same for every job. Text from outside is data (law 9): whole files that the
//! script hands on, never a part of it. The names of files are made here, and fit into keys of a Kubernetes
//! Secret.
//!
//! What a workflow file may say of a step beyond its script and its variables takes a runner ([`fit`]): such
//! a job fails, and says so. What differs from a runner besides: the environment of the image stays beneath the job's, a step's time is
//! counted in whole seconds, and a step that is stopped takes along what it started only where the image has
//! `setsid`; the rest ends with the container.

mod fit;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use super::event::{ExecutionResult, TaskReadyEvent};
use crate::agent_runner::{
    Secrets, exit_code_text, first_line, github_context, github_variables, job_values, may_be_set,
    parse_outputs,
};
use crate::api::wire::{Assignment, JobContext};
use crate::model::{JobWork, Step};

/// The script.
const RUN: &str = include_str!("script/run.sh");
/// The begin of a report's last line.
const END: &str = "##[end] ";

/// Where things are inside of the container.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Places<'a> {
    /// The folder of the bundle's files.
    pub(super) bundle: &'a str,
    /// A folder for the workspace and the outputs; made there if it is missing. Where it cannot be written
    /// to, one below `TMPDIR` takes its place.
    pub(super) work: &'a str,
    /// The report's file.
    pub(super) report: &'a str,
    /// The most bytes that are read of the report, if that is bounded.
    pub(super) report_bytes_max: Option<u32>,
}

/// The files, and how to begin.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Bundle {
    /// By flat names of `-._A-Za-z0-9`. To be readable by everybody in the container.
    pub(super) files: BTreeMap<String, Vec<u8>>,
    /// The command line, with whole paths.
    pub(super) command: Vec<String>,
}

/// Why there is nothing to be run.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(super) enum BundleError {
    /// There is more to the job than its scripts.
    #[error(
        "{what}, which the executor `{executor}` cannot carry out: route the job to `runners` or to an \
         executor of the kind `process`"
    )]
    NeedsRunner {
        /// Who cannot.
        executor: String,
        /// What it cannot.
        what: String,
    },
    /// The executor does not know the agent.
    #[error(
        "the executor `{executor}` has no agent profile `{profile}` (it has: {known}): add it to its `agents`"
    )]
    NoProfile {
        /// Whose configuration.
        executor: String,
        /// What is missing.
        profile: String,
        /// What is there.
        known: String,
    },
}

impl Bundle {
    /// The work of an attempt. `payload` is the delivery's body, where there is one; `agents` has the
    /// command lines of agents by their profiles.
    ///
    /// # Errors
    ///
    /// [`BundleError`]: the job fails with that.
    pub(super) fn new(
        executor: &str,
        event: &TaskReadyEvent,
        context: &JobContext,
        payload: Option<Vec<u8>>,
        agents: &BTreeMap<String, String>,
        places: Places<'_>,
    ) -> Result<Self, BundleError> {
        if let Some(what) = fit::needs_runner(context) {
            return Err(BundleError::NeedsRunner { executor: executor.to_owned(), what });
        }
        let Places { bundle, work, report, report_bytes_max } = places;
        let mut files = Files { folder: bundle, files: BTreeMap::new() };
        let job = assignment(event);
        let mut own = job_values(&job, context, executor);
        if let Some(workflow) = &context.workflow {
            own.extend(github_variables(&github_context(&job, workflow)));
        }
        own.insert("DISPATCHYARD_ATTEMPT".to_owned(), event.attempt_key.as_str().into());
        let json = |value: &serde_json::Value| value.to_string().into_bytes();
        let needs = serde_json::to_vec(&context.needs).unwrap_or_default();
        let mut name = |variable: &str, path: String| own.insert(variable.to_owned(), path.into());
        name("DISPATCHYARD_NEEDS_PATH", files.add("needs.json", needs));
        let mut event_path = None;
        if let Some(event) = &context.event {
            let path = files.add("event.json", json(event));
            name("DISPATCHYARD_EVENT_PATH", path.clone());
            event_path = Some(path);
        }
        if let Some(payload) = payload {
            let is_json = serde_json::from_slice::<serde::de::IgnoredAny>(&payload).is_ok();
            let path = files.add("payload", payload);
            name("DISPATCHYARD_PAYLOAD_PATH", path.clone());
            event_path = if is_json { Some(path) } else { event_path };
        }
        if let Some(path) = event_path.filter(|_| context.workflow.is_some()) {
            name("GITHUB_EVENT_PATH", path);
        }
        let of_agent;
        let steps = match &context.work {
            JobWork::Steps(steps) => steps,
            JobWork::Agent { profile, prompt } => {
                let command = agents.get(profile).ok_or_else(|| BundleError::NoProfile {
                    executor: executor.to_owned(),
                    profile: profile.clone(),
                    known: match agents.is_empty() {
                        true => "none".to_owned(),
                        false => Vec::from_iter(agents.keys().map(String::as_str)).join(", "),
                    },
                })?;
                own.insert("DISPATCHYARD_AGENT_PROFILE".to_owned(), profile.into());
                files.add("prompt", prompt.as_data().as_bytes().to_vec());
                let name = Some(format!("agent {profile}"));
                let run = command.clone();
                of_agent = vec![Step { name, run, ..Step::default() }];
                &of_agent
            }
        };
        let mut refused = files.layer("job-", &context.env);
        for (at, step) in steps.iter().enumerate() {
            refused.append(&mut files.step(at, step));
            if !refused.is_empty() {
                let warnings = refused.drain(..).map(|name| {
                    format!("##[warning] variable `{}` cannot be set\n", one_line(&name))
                });
                let warnings: String = warnings.collect();
                files.add(&format!("step-{at}.warnings"), warnings.into_bytes());
            }
        }
        for (at, (name, value)) in own.into_iter().enumerate() {
            files.variable(&format!("own-{at}"), &name, value.as_encoded_bytes());
        }
        let script = files.add("run.sh", RUN.into());
        let bytes_max = report_bytes_max.unwrap_or(0).to_string();
        let command = ["/bin/sh", &script, bundle, work, report, &bytes_max];
        Ok(Self { files: files.files, command: command.map(str::to_owned).into() })
    }
}

/// The files of a bundle that is being made.
struct Files<'a> {
    folder: &'a str,
    files: BTreeMap<String, Vec<u8>>,
}

impl Files<'_> {
    /// Adds a file and tells its path.
    fn add(&mut self, name: &str, content: Vec<u8>) -> String {
        self.files.insert(name.to_owned(), content);
        format!("{}/{name}", self.folder)
    }

    fn variable(&mut self, file: &str, name: &str, value: &[u8]) {
        self.add(file, [name.as_bytes(), b"=", value].concat());
    }

    /// A layer of variables. Answers with the names that cannot be set.
    fn layer(&mut self, prefix: &str, env: &BTreeMap<String, String>) -> Vec<String> {
        let (good, bad): (Vec<_>, Vec<_>) = env
            .iter()
            .partition(|(name, value)| is_name(name) && may_be_set(name) && !value.contains('\0'));
        for (at, (name, value)) in good.into_iter().enumerate() {
            self.variable(&format!("{prefix}{at}"), name, value.as_bytes());
        }
        bad.into_iter().map(|(name, _)| name.clone()).collect()
    }

    /// A step's files. Answers with the names of variables that cannot be set.
    fn step(&mut self, at: usize, step: &Step) -> Vec<String> {
        let file = format!("step-{at}");
        let name = step.name.clone().unwrap_or_else(|| first_line(&step.run));
        self.add(&file, step.run.as_bytes().to_vec());
        self.add(&format!("{file}.name"), one_line(&name).into_bytes());
        if let Some(ms) = step.timeout_ms {
            // The shell sleeps for whole seconds.
            let seconds = u64::try_from(ms).unwrap_or(0).div_ceil(1_000);
            self.add(&format!("{file}.limit"), seconds.to_string().into_bytes());
        }
        self.layer(&format!("{file}.env-"), &step.env)
    }
}

/// What a runner would be given, as far as a step hears of it.
fn assignment(event: &TaskReadyEvent) -> Assignment {
    Assignment {
        job_id: event.job_id,
        workload_id: event.workload_id,
        run: event.run,
        kind: event.kind,
        name: event.name.clone(),
        namespace: event.namespace.clone(),
        priority: event.priority,
        attempt: event.attempt,
        retry_count: 0,
        max_retries: event.max_attempts.saturating_sub(event.attempt),
        timeout_ms: event.timeout_ms,
        lease: event.lease,
        nonce: event.nonce,
        ack_window_ms: 0,
        units: event.units.clone(),
    }
}

/// Whether `env` takes `NAME=VALUE` with that name for nothing else.
fn is_name(name: &str) -> bool {
    let mut chars = name.chars();
    let is_good = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_') && chars.all(is_good)
}

/// Text of a name, for one line of a log.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(80).collect()
}

/// What the script has left.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Report {
    end: Option<ScriptEnd>,
    /// Named results.
    outputs: BTreeMap<String, String>,
    /// What is wrong with them, for the job's log.
    pub(super) complaints: Vec<String>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct ScriptEnd {
    word: String,
    code: i32,
    name: String,
}

impl Report {
    /// Reads what the script wrote, or nothing, where it did not come to that. Outputs are masked.
    pub(super) fn read(bytes: &[u8], secrets: &Secrets) -> Self {
        let text = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        let last = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let line = String::from_utf8_lossy(&text[last..]);
        let end = line.strip_prefix(END).and_then(|rest| {
            let mut parts = rest.splitn(4, ' ');
            let (word, code, is_cut) = (parts.next()?, parts.next()?, parts.next()?);
            let name = parts.next().unwrap_or_default();
            let end = ScriptEnd { word: word.into(), code: code.parse().ok()?, name: name.into() };
            Some((end, is_cut == "cut"))
        });
        let mut outputs = match &end {
            None => bytes,
            Some(_) => &text[..last],
        };
        if let Some((_, true)) = end {
            // The script's own line end follows what was cut, perhaps in the middle of a line.
            let whole = outputs.strip_suffix(b"\n").unwrap_or(outputs);
            let at = whole.iter().rposition(|byte| *byte == b'\n').unwrap_or(0);
            outputs = &whole[..at];
        }
        let read = parse_outputs(outputs, secrets);
        let end = end.map(|(end, _)| end);
        Self { end, outputs: read.values, complaints: read.complaints }
    }

    /// Whether the script came to its end.
    pub(super) fn is_complete(&self) -> bool {
        self.end.is_some()
    }

    /// How the attempt ended whose process ended with that code.
    pub(super) fn result(self, exit_code: i32) -> ExecutionResult {
        let code = match &self.end {
            Some(end) => end.code,
            None => exit_code,
        };
        let step =
            |name: &str, what: String| ExecutionResult::failed(format!("step `{name}` {what}"));
        let result = match &self.end {
            Some(end) if end.word == "stopped" => ExecutionResult::cancelled(),
            _ if exit_code == 0 => ExecutionResult::success::<String, String>([]),
            Some(end) if end.word == "failed" => {
                step(&end.name, format!("failed with {}", exit_code_text(code)))
            }
            Some(end) if end.word == "late" => {
                step(&end.name, "ran longer than its time".to_owned())
            }
            Some(_) => ExecutionResult::failed("there is no folder to work in: see the log"),
            None => ExecutionResult::failed(format!("it ended with {}", exit_code_text(exit_code))),
        };
        ExecutionResult { outputs: self.outputs, exit_code: Some(code), ..result }
    }
}
