//! What is the same for all steps of an attempt: inherited variables, the runner's own, and contexts.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::de::IgnoredAny;
use serde_json::{Map, Value, json};

use crate::model::TrustLevel;

use super::super::environment::{self, Variables};
use super::Work;
use super::contexts::{Contexts, looks_at_event};
use super::github::{github_context, github_variables, runner_context, runner_variables};

/// Made before the first step.
#[derive(Debug)]
pub(in crate::agent_runner) struct Setting {
    /// The inherited variables, and the operator's secrets where the job may have them.
    pub(super) base: Variables,
    /// Those that only the runner sets.
    pub(super) own: Variables,
    pub(super) contexts: Contexts,
    pub(super) debug: bool,
}

impl Setting {
    /// Makes what steps will find: folders, files, variables.
    ///
    /// # Errors
    ///
    /// The attempt's folder cannot be used.
    pub(in crate::agent_runner) async fn prepare(
        work: Work<'_>,
        mut own: Variables,
    ) -> io::Result<Self> {
        let mut base = environment::inherited(|name| std::env::var_os(name));
        let secrets = secrets_of(work).await;
        base.extend(secrets.clone());
        let secrets = secrets_context(&secrets);
        let debug = is_debug(work, &secrets);
        let (temp, tools) = folders(work).await?;
        let runner = runner_context(&work.shared.options.name, &temp, &tools, debug);
        let mut more = Vec::new();
        if let Some(workflow) = &work.context.workflow {
            let mut github = github_context(work.job, workflow);
            let (path, event) = event_of(work).await?;
            let mut put = |key: &str, value: &Path| {
                github.insert(key.to_owned(), value.to_string_lossy().into());
            };
            put("workspace", &work.folder.workspace());
            put("event_path", &path);
            own.extend(github_variables(&github));
            own.extend(runner_variables(&runner));
            github.insert("event".to_owned(), event);
            more.extend([("github", Value::Object(github)), ("secrets", Value::Object(secrets))]);
        }
        more.push(("runner", runner));
        let (workspace, secrets) = (work.folder.workspace(), Arc::clone(work.spool.secrets()));
        let contexts = Contexts::new(work.context, more, workspace, secrets);
        Ok(Self { base, own, contexts, debug })
    }
}

/// The operator's secrets, for a job that may have them.
async fn secrets_of(work: Work<'_>) -> Variables {
    let (secrets, trust) = (&work.shared.secret_variables, &work.context.trust);
    if environment::gets_secrets(trust, &work.shared.options) {
        return secrets.clone();
    }
    if !secrets.is_empty() {
        let reason = &trust.reason;
        let why = if reason.is_empty() { "nobody vouches for its event" } else { reason };
        work.spool.line(&format!("##[warning] not trusted, so without secrets: {why}")).await;
    }
    Variables::new()
}

/// As far as they are text: an expression can hold nothing else.
fn secrets_context(secrets: &Variables) -> Map<String, Value> {
    let text = |(name, value): (&String, &std::ffi::OsString)| {
        Some((name.clone(), Value::from(value.to_str()?)))
    };
    secrets.iter().filter_map(text).collect()
}

/// Whether somebody asked for more in the log, in one of the ways that GitHub has.
fn is_debug(work: Work<'_>, secrets: &Map<String, Value>) -> bool {
    let Some(workflow) = &work.context.workflow else { return false };
    let says = |value: Option<&Value>| matches!(value.and_then(Value::as_str), Some("true" | "1"));
    let env = &work.context.env;
    let in_env = ["ACTIONS_STEP_DEBUG", "RUNNER_DEBUG"].iter().filter_map(|name| env.get(*name));
    says(workflow.contexts.get("vars").and_then(|vars| vars.get("ACTIONS_STEP_DEBUG")))
        || says(secrets.get("ACTIONS_STEP_DEBUG"))
        || in_env.into_iter().any(|value| value == "true" || value == "1")
}

/// `RUNNER_TEMP`, which goes with the attempt, and `RUNNER_TOOL_CACHE`, which stays for jobs that are
/// trusted: what a stranger left there would be carried out by the next job.
async fn folders(work: Work<'_>) -> io::Result<(PathBuf, PathBuf)> {
    let temp = work.folder.file("temp");
    let tools = match work.context.trust.level {
        TrustLevel::Trusted => work.shared.folder.tools(),
        TrustLevel::Untrusted | TrustLevel::Unknown => work.folder.file("tools"),
    };
    tokio::fs::create_dir_all(&temp).await?;
    tokio::fs::create_dir_all(&tools).await?;
    Ok((temp, std::path::absolute(tools)?))
}

/// The file of the event in the provider's form, else in ours, and what is in it where an expression
/// looks at it.
async fn event_of(work: Work<'_>) -> io::Result<(PathBuf, Value)> {
    let is_wanted = looks_at_event(work.context);
    let event = || work.context.event.clone().unwrap_or_else(|| json!({}));
    if work.context.has_payload {
        let path = work.folder.file("payload");
        let file = path.clone();
        let read = tokio::task::spawn_blocking(move || {
            let reader = io::BufReader::new(std::fs::File::open(file)?);
            Ok(match is_wanted {
                true => serde_json::from_reader(reader).ok(),
                // A payload of 25 MB must not be in memory.
                false => serde_json::from_reader::<_, IgnoredAny>(reader).ok().map(|_| Value::Null),
            })
        });
        let read: io::Result<Option<Value>> =
            read.await.unwrap_or_else(|e| Err(io::Error::other(e)));
        if let Some(value) = read? {
            return Ok((path, value));
        }
    }
    let (path, event) = (work.folder.file("github-event.json"), event());
    tokio::fs::write(&path, event.to_string()).await?;
    Ok((path, event))
}
