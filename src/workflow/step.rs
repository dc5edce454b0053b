//! Steps of a job.

use crate::model::{SCRIPT_BYTES_MAX, STEPS_MAX, Step};
use crate::trigger::Overrides;

use super::read::{Fields, Reader};

const HINTS: [(&str, &str); 7] = [
    ("uses", "actions are not supported yet; write the commands under `run`"),
    ("with", "actions are not supported yet"),
    ("if", "conditions are not supported yet; test in the script"),
    ("id", "outputs of steps are not supported yet"),
    ("shell", "scripts run in the runner's shell; call another one in the script"),
    ("working-directory", "write `cd FOLDER` in the script"),
    ("continue-on-error", "write `|| true` in the script"),
];

/// Takes the steps out of a job.
pub(super) fn read_steps(job: &mut Fields, reader: &mut Reader<'_>) -> Vec<Step> {
    let mut steps = Vec::new();
    let Some((node, path)) = job.take("steps") else {
        reader.fault(job.at, &job.path, "the job has no steps");
        reader.hint("add `steps:` with at least one `run:`");
        return steps;
    };
    let at = node.referenced;
    let Some(items) = reader.list(node, &path) else { return steps };
    if items.is_empty() || items.len() > STEPS_MAX {
        reader.fault(at, &path, format!("{} steps are not from 1 to {STEPS_MAX}", items.len()));
        return steps;
    }
    for (number, item) in items.into_iter().enumerate() {
        let Some(fields) = reader.map(item, &format!("{path}[{number}]")) else { continue };
        steps.extend(read_step(fields, reader));
    }
    steps
}

fn read_step(mut fields: Fields, reader: &mut Reader<'_>) -> Option<Step> {
    let name = fields.take("name").and_then(|(it, path)| reader.short(it, &path));
    let script = fields.take("run");
    // A step that `uses` an action is refused for that key alone.
    if script.is_none() && !fields.entries.iter().any(|(key, _)| key.value == "uses") {
        reader.fault(fields.at, &fields.path, "the step has no `run`");
    }
    let run = script.and_then(|(it, path)| reader.text(it, &path, SCRIPT_BYTES_MAX));
    let env = fields.take("env").map(|(it, path)| reader.env(it, &path)).unwrap_or_default();
    let timeout = fields
        .take("timeout-minutes")
        .and_then(|(it, path)| reader.number(&it, &path, Overrides::timeout_fault));
    fields.finish(reader, &HINTS);
    let timeout_ms = timeout.map(|minutes| i64::from(minutes) * 60_000);
    Some(Step { name, run: run?, env, timeout_ms, ..Step::default() })
}
