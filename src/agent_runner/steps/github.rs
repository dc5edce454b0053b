//! The `github` and `runner` contexts as far as a runner fills them, and the `GITHUB_*` and `RUNNER_*`
//! variables made of them. Pure.
//!
//! As GitHub documents them:
//! <https://docs.github.com/en/actions/reference/workflows-and-actions/variables#default-environment-variables>.
//! Most of it the server sends. Values are environment and nothing else; which variables there are depends
//! on no event.

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::api::wire::Assignment;
use crate::model::WorkflowJob;

use super::super::environment::{Variables, bounded};

/// The variables, and the keys of `github` that they show. The last ones are there also when they are empty.
const OF_GITHUB: [(&str, &str); 27] = [
    ("GITHUB_API_URL", "api_url"),
    ("GITHUB_ACTOR", "actor"),
    ("GITHUB_ACTOR_ID", "actor_id"),
    ("GITHUB_EVENT_NAME", "event_name"),
    ("GITHUB_EVENT_PATH", "event_path"),
    ("GITHUB_GRAPHQL_URL", "graphql_url"),
    ("GITHUB_JOB", "job"),
    ("GITHUB_REF", "ref"),
    ("GITHUB_REF_NAME", "ref_name"),
    ("GITHUB_REF_PROTECTED", "ref_protected"),
    ("GITHUB_REF_TYPE", "ref_type"),
    ("GITHUB_REPOSITORY", "repository"),
    ("GITHUB_REPOSITORY_ID", "repository_id"),
    ("GITHUB_REPOSITORY_OWNER", "repository_owner"),
    ("GITHUB_REPOSITORY_OWNER_ID", "repository_owner_id"),
    ("GITHUB_RUN_ATTEMPT", "run_attempt"),
    ("GITHUB_RUN_ID", "run_id"),
    ("GITHUB_RUN_NUMBER", "run_number"),
    ("GITHUB_SERVER_URL", "server_url"),
    ("GITHUB_SHA", "sha"),
    ("GITHUB_TRIGGERING_ACTOR", "triggering_actor"),
    ("GITHUB_WORKFLOW", "workflow"),
    ("GITHUB_WORKFLOW_REF", "workflow_ref"),
    ("GITHUB_WORKFLOW_SHA", "workflow_sha"),
    ("GITHUB_WORKSPACE", "workspace"),
    ("GITHUB_BASE_REF", "base_ref"),
    ("GITHUB_HEAD_REF", "head_ref"),
];

/// `github` as the server sent it, and what follows from it and from the assignment where it is missing.
pub(crate) fn github_context(job: &Assignment, workflow: &WorkflowJob) -> Map<String, Value> {
    let sent = workflow.contexts.get("github").and_then(Value::as_object);
    let mut github = sent.cloned().unwrap_or_default();
    let mut fill = |key: &str, value: Option<String>| {
        if let Some(value) = value
            && github.get(key).is_none_or(Value::is_null)
        {
            github.insert(key.to_owned(), value.into());
        }
    };
    let text = |key: &str| sent?.get(key)?.as_str();
    let whole_ref = text("ref");
    let short = |prefix: &str| whole_ref?.strip_prefix(prefix);
    let (branch, tag) = (short("refs/heads/"), short("refs/tags/"));
    let name = branch.or(tag).or_else(|| short("refs/pull/"));
    fill("ref_name", name.map(str::to_owned));
    fill("ref_type", whole_ref.map(|_| if tag.is_some() { "tag" } else { "branch" }.to_owned()));
    let owner = text("repository").and_then(|name| name.split_once('/'));
    fill("repository_owner", owner.map(|(owner, _)| owner.to_owned()));
    fill("triggering_actor", text("actor").map(str::to_owned));
    fill("job", Some(workflow.key.clone()));
    fill("run_id", Some(job.workload_id.to_string()));
    // Workloads are numbered as they begin, over all workflows.
    fill("run_number", Some(job.workload_id.to_string()));
    fill("run_attempt", Some(job.run.to_string()));
    for key in ["base_ref", "head_ref", "action"] {
        fill(key, Some(String::new()));
    }
    github
}

/// The variables of a `github` context.
pub(crate) fn github_variables(github: &Map<String, Value>) -> Variables {
    let mut variables = Variables::new();
    variables.insert("GITHUB_ACTIONS".to_owned(), "true".into());
    for (name, key) in OF_GITHUB {
        let value = match github.get(key) {
            Some(Value::String(text)) => bounded(text),
            Some(Value::Number(number)) => number.to_string(),
            Some(Value::Bool(flag)) => flag.to_string(),
            _ => continue,
        };
        variables.insert(name.to_owned(), value.into());
    }
    variables
}

/// The `runner` context.
pub(super) fn runner_context(name: &str, temp: &Path, tools: &Path, debug: bool) -> Value {
    let os = match std::env::consts::OS {
        "macos" => "macOS",
        "windows" => "Windows",
        _ => "Linux",
    };
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "X64",
        "x86" => "X86",
        "aarch64" => "ARM64",
        _ => "ARM",
    };
    let mut runner = json!({
        "name": name, "os": os, "arch": architecture, "environment": "self-hosted",
        "temp": temp.to_string_lossy(), "tool_cache": tools.to_string_lossy(),
    });
    if debug {
        runner["debug"] = "1".into();
    }
    runner
}

/// The variables of a `runner` context.
pub(super) fn runner_variables(runner: &Value) -> Variables {
    let values = runner.as_object().into_iter().flatten();
    values
        .filter_map(|(key, value)| {
            Some((format!("RUNNER_{}", key.to_ascii_uppercase()), bounded(value.as_str()?).into()))
        })
        .collect()
}

/// What `GITHUB_ACTION` is in a step: its id, else of what kind it is, with a number where there were such
/// before.
pub(super) fn action_name(id: Option<&str>, uses: Option<&str>, before: &[String]) -> String {
    let plain = match (id, uses) {
        (Some(id), _) => return id.to_owned(),
        (None, None) => "__run".to_owned(),
        (None, Some(action)) => {
            let name = action.split('@').next().unwrap_or(action);
            let name = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' });
            format!("__{}", name.take(100).collect::<String>())
        }
    };
    let is_taken = |name: &String| before.contains(name);
    let numbered = (2..).map(|number| format!("{plain}_{number}"));
    std::iter::once(plain.clone()).chain(numbered).find(|name| !is_taken(name)).unwrap_or(plain)
}

#[cfg(test)]
mod tests {
    use super::super::tests::assignment;
    use super::*;

    fn variables(github: Value) -> Vec<String> {
        let contexts = Map::from_iter([("github".to_owned(), github)]);
        let workflow = WorkflowJob { key: "build".into(), contexts, ..WorkflowJob::default() };
        let variables = github_variables(&github_context(&assignment(), &workflow));
        let line = |(name, value): (String, std::ffi::OsString)| {
            format!("{name}={}", value.to_string_lossy())
        };
        variables.into_iter().map(line).collect()
    }

    #[test]
    fn what_the_server_sends_becomes_variables_and_the_rest_follows_from_it() {
        let github = json!({
            "ref": "refs/tags/v1", "sha": "abc", "repository": "acme/app", "actor": "octo$(id)\u{0}",
            "event_name": "push", "run_number": 7, "workflow": null, "event": { "PATH": "/evil" },
        });
        insta::assert_snapshot!(variables(github).join("\n"), @r"
        GITHUB_ACTIONS=true
        GITHUB_ACTOR=octo$(id)
        GITHUB_BASE_REF=
        GITHUB_EVENT_NAME=push
        GITHUB_HEAD_REF=
        GITHUB_JOB=build
        GITHUB_REF=refs/tags/v1
        GITHUB_REF_NAME=v1
        GITHUB_REF_TYPE=tag
        GITHUB_REPOSITORY=acme/app
        GITHUB_REPOSITORY_OWNER=acme
        GITHUB_RUN_ATTEMPT=1
        GITHUB_RUN_ID=70
        GITHUB_RUN_NUMBER=7
        GITHUB_SHA=abc
        GITHUB_TRIGGERING_ACTOR=octo$(id)
        ");
    }

    #[test]
    fn steps_without_an_id_are_numbered() {
        let mut before = Vec::new();
        let steps = [
            (None, None),
            (Some("x"), None),
            (None, None),
            (None, Some("actions/checkout@v4")),
            (None, Some("actions/checkout@v4")),
        ];
        for (id, uses) in steps {
            before.push(action_name(id, uses, &before));
        }
        let expected = ["__run", "x", "__run_2", "__actions_checkout", "__actions_checkout_2"];
        assert_eq!(before, expected);
    }

    #[test]
    fn a_runner_tells_what_it_is() {
        let runner = runner_context("box", Path::new("/t"), Path::new("/c"), true);
        let names: Vec<String> = runner_variables(&runner).into_keys().collect();
        let expected = ["ARCH", "DEBUG", "ENVIRONMENT", "NAME", "OS", "TEMP", "TOOL_CACHE"];
        assert_eq!(names, expected.map(|name| format!("RUNNER_{name}")));
    }
}
