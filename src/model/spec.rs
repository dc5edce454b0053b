//! The wide half of a job: what is to be done. Written once, and once more only where a job is planned
//! again when all that it needs has ended.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Trust, Untrusted};

/// What a job does; stored as JSON beside the hot row and never in the scheduler's memory.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct JobSpec {
    /// What is to be carried out.
    pub work: JobWork,
    /// Environment for every step, from the workflow file: written by who owns the file.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// How far the event was trusted that started it.
    #[serde(default)]
    pub trust: Trust,
    /// The trace that it is part of (W3C Trace Context).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// What a workflow file adds: with it `${{ }}` in the text of `work` and `env` is filled in where the
    /// steps run. Without it all text is what it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow: Option<Box<WorkflowJob>>,
}

/// What a job of a workflow file knows of the file and of the event.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct WorkflowJob {
    /// Its key under `jobs`; all jobs of a matrix have the same.
    pub key: String,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What its file says that the workflow is called, which expressions read as `github.workflow`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow: Option<String>,
    /// What it may do at the forge, as the file says; shown, and obeyed by nobody here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permissions: Option<Value>,
    /// What decides whether it runs, when all that it needs has ended: the text of `if`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// The job as it is written, where what it asks for, or how many jobs it becomes, can be known only when
    /// all that it needs has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<Value>,
    /// What expressions may refer to, as far as the server knows it, by the contexts' names: `github` (without
    /// its `event`, which is the delivery's body), `inputs`, `vars`, `matrix`, `strategy`; on its way to a
    /// runner `needs` besides.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub contexts: Map<String, Value>,
    /// The job's outputs: expressions over those of its steps.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub outputs: BTreeMap<String, String>,
}

/// What is to be carried out.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobWork {
    /// Steps, one after the other, until one fails.
    Steps(Vec<Step>),
    /// The runner's own command for a profile, with a prompt on standard input.
    Agent {
        /// Which of the runner's profiles.
        profile: String,
        /// What the agent is asked: text from outside may be part of it.
        prompt: Untrusted,
    },
}

/// One step of a workflow's job. Texts may hold `${{ }}` where the job has a [`WorkflowJob`].
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Step {
    /// What people call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The name by which later steps refer to its outputs and its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Whether it runs: an expression. Without one it runs while no step before it has failed.
    #[serde(rename = "if", skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// The script, from the workflow file; empty for an action.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub run: String,
    /// The shell: `bash`, `sh`, `python`, or a command with `{0}`. Without one it is the runner's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shell: Option<String>,
    /// The folder in which the script starts, from the workspace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub working_directory: Option<String>,
    /// Environment of this step alone.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Values that the script reads in place of the expressions that stood in it: variables that nobody else
    /// may set, and the expressions.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub expressions: BTreeMap<String, String>,
    /// The action, which only a runner with the capability `actions` can carry out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uses: Option<String>,
    /// What the action is given.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub with: BTreeMap<String, String>,
    /// Whether the job goes on as if it had succeeded when it fails: `true`, or an expression.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub continue_on_error: Option<String>,
    /// How long the step may run; the job's timeout bounds it in any case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<i64>,
    /// The same as an expression of a workflow file, in whole minutes; it counts in the place of `timeout_ms`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_minutes: Option<String>,
}

/// How often, and how soon, a failed job is tried again.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RetryPolicy {
    /// Charged failures that may be followed by another try.
    pub max_retries: u32,
    /// The first backoff; doubled with each further one, then spread by jitter.
    pub backoff_ms: i64,
}
