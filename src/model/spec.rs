//! The wide, immutable half of a job: what is to be done.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

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

/// One step of a workflow's job.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Step {
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The script, from the workflow file.
    pub run: String,
    /// Environment of this step alone.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// How long the step may run; the job's timeout bounds it in any case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<i64>,
}

/// How often, and how soon, a failed job is tried again.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RetryPolicy {
    /// Charged failures that may be followed by another try.
    pub max_retries: u32,
    /// The first backoff; doubled with each further one, then spread by jitter.
    pub backoff_ms: i64,
}
