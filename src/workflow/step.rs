//! Steps of a job.

use crate::expression::Expression;
use crate::model::{SCRIPT_BYTES_MAX, STEPS_MAX, Step};
use crate::trigger::Overrides;

use super::job::check_id;
use super::place::Place;
use super::read::{Fields, Reader};
use super::script;
use super::text::{Setting, TEXT_BYTES_MAX};
use super::yaml::Node;

/// `defaults.run` of a workflow or a job.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct RunDefaults {
    shell: Option<String>,
    working_directory: Option<String>,
}

impl RunDefaults {
    /// Takes `defaults` out of a workflow or a job; what it does not say is as it was.
    pub(super) fn or_of(&self, from: &mut Fields, reader: &mut Reader<'_>) -> Self {
        let mut found = self.clone();
        let Some((node, path)) = from.take("defaults") else { return found };
        let Some(mut own) = reader.map(node, &path) else { return found };
        if let Some((node, path)) = own.take("run")
            && let Some(mut run) = reader.map(node, &path)
        {
            let shell = run.take("shell").and_then(|(it, at)| shell_of(it, &at, reader));
            let folder = run
                .take("working-directory")
                .and_then(|(it, at)| plain(it, &at, Place::Step, reader));
            found.shell = shell.or(found.shell);
            found.working_directory = folder.or(found.working_directory);
            run.finish(reader, &[]);
        }
        own.finish(reader, &[]);
        found
    }
}

/// Takes the steps out of a job.
pub(super) fn read_steps(
    job: &mut Fields,
    defaults: &RunDefaults,
    reader: &mut Reader<'_>,
) -> Vec<Step> {
    let mut steps = Vec::new();
    let Some((node, path)) = job.take("steps") else {
        // A job that calls a workflow has none, and is refused for that alone.
        if !job.entries.iter().any(|(key, _)| key.value == "uses") {
            reader.fault(job.at, &job.path, "the job has no steps");
            reader.hint("add `steps:` with at least one `run:`");
        }
        return steps;
    };
    let at = node.referenced;
    let Some(items) = reader.list(node, &path) else { return steps };
    if items.is_empty() || items.len() > STEPS_MAX {
        reader.fault(at, &path, format!("{} steps are not from 1 to {STEPS_MAX}", items.len()));
        return steps;
    }
    for (number, item) in items.into_iter().enumerate() {
        let path = format!("{path}[{number}]");
        let at = item.referenced;
        let Some(fields) = reader.map(item, &path) else { continue };
        let Some(step) = read_step(fields, defaults, reader) else { continue };
        let is_same = |other: &Step, id: &str| {
            other.id.as_ref().is_some_and(|other| other.eq_ignore_ascii_case(id))
        };
        if let Some(id) = &step.id
            && steps.iter().any(|other| is_same(other, id))
        {
            reader.fault(at, &format!("{path}.id"), format!("another step has the id `{id}`"));
        }
        steps.push(step);
    }
    steps
}

fn read_step(mut fields: Fields, defaults: &RunDefaults, reader: &mut Reader<'_>) -> Option<Step> {
    let name = fields.take("name").and_then(|(it, at)| plain(it, &at, Place::Step, reader));
    let id = fields.take("id").and_then(|(it, at)| step_id(it, &at, reader));
    let parse = |text: &str| Ok((Expression::condition(text)?.uses(), text.to_owned()));
    let condition =
        fields.take("if").and_then(|(it, at)| reader.condition(&it, &at, Place::StepIf, parse));
    let shell = fields.take("shell").and_then(|(it, at)| shell_of(it, &at, reader));
    let folder =
        fields.take("working-directory").and_then(|(it, at)| plain(it, &at, Place::Step, reader));
    let env = fields.take("env");
    let env = env.map(|(it, at)| reader.env(it, &at, Place::Step)).unwrap_or_default();
    let with = fields.take("with");
    let has_with = with.as_ref().map(|(node, path)| (node.referenced, path.clone()));
    let with = with.map(|(it, at)| reader.inputs(it, &at, Place::Step)).unwrap_or_default();
    let continue_on_error = fields
        .take("continue-on-error")
        .and_then(|(it, at)| reader.truth(it, &at, Place::Step))
        .map(|setting| match setting {
            Setting::Known(value) => value.to_string(),
            Setting::Text(text) => text.source().to_owned(),
        });
    let timeout = fields
        .take("timeout-minutes")
        .and_then(|(it, at)| reader.count(it, &at, Place::Step, Overrides::timeout_fault));
    let (timeout_ms, timeout_minutes) = match timeout {
        Some(Setting::Known(minutes)) => (Some(i64::from(minutes) * 60_000), None),
        Some(Setting::Text(text)) => (None, Some(text.source().to_owned())),
        None => (None, None),
    };
    let (run, uses) = (fields.take("run"), fields.take("uses"));
    let (at, path) = (fields.at, fields.path.clone());
    fields.finish(reader, &[]);
    let base = Step {
        name,
        id,
        condition,
        env,
        continue_on_error,
        timeout_ms,
        timeout_minutes,
        ..Step::default()
    };
    match (run, uses) {
        (Some(_), Some((node, path))) => {
            reader.fault(node.referenced, &path, "the step has `run` too");
            reader.hint("make two steps of it");
            None
        }
        (None, None) => {
            reader.fault(at, &path, "the step has no `run`");
            None
        }
        (None, Some((node, path))) => {
            let uses = action(node, &path, reader)?;
            Some(Step { uses: Some(uses), with, ..base })
        }
        (Some((node, path)), None) => {
            if let Some((at, path)) = has_with {
                reader.fault(at, &path, "`with` belongs to an action, and this step has `run`");
            }
            let shell = shell.or_else(|| defaults.shell.clone());
            let working_directory = folder.or_else(|| defaults.working_directory.clone());
            let (run, expressions) = script_of(node, &path, shell.as_deref(), reader)?;
            Some(Step { run, expressions, shell, working_directory, ..base })
        }
    }
}

/// A script and the values that it reads in place of its expressions.
fn script_of(
    node: Node,
    path: &str,
    shell: Option<&str>,
    reader: &mut Reader<'_>,
) -> Option<(String, std::collections::BTreeMap<String, String>)> {
    let copy = node.clone();
    let text = reader.text(node, path, SCRIPT_BYTES_MAX)?;
    reader.template(&text, &copy, path, Place::Step)?;
    match script::rewrite(&text, script::Shell::of(shell), reader.policy) {
        Ok(script) => Some((script.text, script.env.into_iter().collect())),
        Err(faults) => {
            for fault in faults {
                reader.fault_in(&copy, fault.at, path, fault.message);
                reader.hint(fault.hint);
            }
            None
        }
    }
}

/// A text whose expressions the runner fills in.
fn plain(node: Node, path: &str, place: Place, reader: &mut Reader<'_>) -> Option<String> {
    let text = reader.text_at(node, path, place, TEXT_BYTES_MAX)?;
    Some(text.source().to_owned())
}

/// A shell that runners know. It becomes a command, so no expression may stand in it.
fn shell_of(node: Node, path: &str, reader: &mut Reader<'_>) -> Option<String> {
    let at = node.referenced;
    let shell = reader.short(node, path)?;
    let is_known = matches!(shell.as_str(), "bash" | "sh" | "python") || shell.contains("{0}");
    if shell.contains("${{") || !is_known {
        reader.fault(at, path, format!("`{shell}` is no shell that runners know"));
        reader.hint("write bash, sh, python or a command with {0}, without expressions");
        return None;
    }
    Some(shell)
}

fn step_id(node: Node, path: &str, reader: &mut Reader<'_>) -> Option<String> {
    let at = node.referenced;
    let id = reader.short(node, path)?;
    check_id(&id, "step", at, path, reader).then_some(id)
}

/// The name of an action: `owner/name@ref`, `./folder`, `docker://image`. GitHub takes no expression here.
fn action(node: Node, path: &str, reader: &mut Reader<'_>) -> Option<String> {
    let at = node.referenced;
    let name = reader.short(node, path)?;
    let versioned = || {
        name.split_once('@').is_some_and(|(action, version)| {
            action.split('/').count() >= 2
                && !action.split('/').any(str::is_empty)
                && !version.is_empty()
        })
    };
    let is_local = name.starts_with("./") || name.starts_with("docker://");
    if name.contains("${{") || name.contains(char::is_whitespace) || !(is_local || versioned()) {
        reader.fault(at, path, format!("`{name}` is not an action's name"));
        reader.hint("write owner/name@version, ./folder or docker://image, without expressions");
        return None;
    }
    Some(name)
}
