//! Which jobs the script can carry out, and which of their parts only a runner can. Pure.

use crate::agent_runner::first_line;
use crate::api::wire::JobContext;
use crate::model::{JobWork, Step};

/// Files that a runner reads after each step; the script hands on one file of outputs alone.
const FILES: [&str; 5] =
    ["GITHUB_OUTPUT", "GITHUB_ENV", "GITHUB_PATH", "GITHUB_STATE", "GITHUB_STEP_SUMMARY"];

/// What of the job needs a runner; `None` where nothing does.
pub(super) fn needs_runner(context: &JobContext) -> Option<String> {
    let JobWork::Steps(steps) = &context.work else { return None };
    if let Some(workflow) = &context.workflow {
        if !workflow.outputs.is_empty() {
            return Some("the job has `outputs`".to_owned());
        }
        if let Some((name, _)) = context.env.iter().find(|(_, value)| value.contains("${{")) {
            return Some(format!("`env.{name}` of the job has an expression"));
        }
    }
    steps.iter().find_map(|step| {
        let what = of_step(step, context.workflow.is_some())?;
        let name = step.name.as_deref().unwrap_or(&step.run);
        Some(format!("step `{}` has {what}", first_line(name)))
    })
}

fn of_step(step: &Step, is_filled_in: bool) -> Option<String> {
    let keys = [
        ("uses", step.uses.is_some()),
        ("if", step.condition.is_some()),
        ("shell", step.shell.is_some()),
        ("working-directory", step.working_directory.is_some()),
        ("continue-on-error", step.continue_on_error.is_some()),
        ("timeout-minutes", step.timeout_minutes.is_some()),
    ];
    if let Some((key, _)) = keys.into_iter().find(|(_, is_there)| *is_there) {
        return Some(format!("`{key}`"));
    }
    if !is_filled_in {
        return None;
    }
    let mut texts = step.name.iter().chain([&step.run]).chain(step.env.values());
    if !step.expressions.is_empty() || texts.any(|text| text.contains("${{")) {
        return Some("expressions".to_owned());
    }
    // Folders that only a runner makes; `rm -rf "$RUNNER_TEMP"/*` must not find them empty.
    if let Some(name) =
        ["RUNNER_", "GITHUB_WORKSPACE"].iter().find(|name| step.run.contains(**name))
    {
        return Some(format!("a variable `{name}..` of a runner"));
    }
    FILES.iter().find(|file| step.run.contains(**file)).map(|file| format!("`{file}`"))
}
