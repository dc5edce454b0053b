//! One job of a workflow file.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use serde_saphyr::{Location, Spanned};

use super::concurrency::Concurrency;
use super::condition::Condition;
use super::dispatch::Dispatch;
use super::permissions;
use super::place::Place;
use super::read::{Fields, Reader};
use super::step::{RunDefaults, read_steps};
use super::strategy::Strategy;
use super::text::{Setting, TEXT_BYTES_MAX, Text};
use super::yaml::{Node, Value, json};
use crate::ask::Level;
use crate::expression::{Scope, Uses};
use crate::model::Step;
use crate::trigger::Overrides;

/// The longest job id, in bytes.
const ID_BYTES_MAX: usize = 100;

const HINTS: [(&str, &str); 8] = [
    ("uses", "workflows cannot call each other; copy the jobs of the called one"),
    ("with", "it belongs to a called workflow, and workflows cannot call each other"),
    ("secrets", "it belongs to a called workflow, and workflows cannot call each other"),
    (
        "container",
        "call the container tool in a step, or route the job to an executor of containers",
    ),
    ("services", "start them in a step"),
    ("environment", "use a `[[trigger]]` for what it protects, and variables of `env` or `[vars]`"),
    ("snapshot", "images of GitHub's own runners have no meaning here"),
    ("cancel-timeout-minutes", "remove it: a runner gives steps ten seconds to stop"),
];

/// One job of a file.
#[derive(Clone, PartialEq, Debug)]
pub struct FileJob {
    /// Its key under `jobs`.
    pub id: String,
    /// What people call it, where the file says.
    pub title: Option<Text>,
    /// Ids of jobs that must have ended first, with their places.
    pub needs: Vec<Spanned<String>>,
    /// What its runner must be.
    pub runs_on: RunsOn,
    /// Whether it runs.
    pub condition: Option<Condition>,
    /// How many jobs it becomes.
    pub strategy: Option<Strategy>,
    /// Environment of all steps; texts that may hold expressions.
    pub env: BTreeMap<String, String>,
    /// Minutes that one attempt may run.
    pub timeout_minutes: Option<Setting<u32>>,
    /// Whether its failure counts as a good end.
    pub continue_on_error: Option<Setting<bool>>,
    /// Its outputs: expressions over its steps.
    pub outputs: BTreeMap<String, String>,
    /// What it may do at the forge; kept and shown.
    pub permissions: Option<Json>,
    /// Its own concurrency group.
    pub concurrency: Option<Concurrency>,
    /// Its own values of `x-dispatch`.
    pub dispatch: Dispatch,
    /// Its steps, at least one.
    pub steps: Vec<Step>,
    /// Where the job stands in the file.
    pub at: Location,
    /// The job as it is written, where it can be planned only when all that it needs has ended.
    pub(super) source: Option<Json>,
}

/// What a job says of its runner.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct RunsOn {
    /// Labels that the runner must have; an expression may give several.
    pub labels: Vec<Text>,
    /// The group of runners: a pool.
    pub group: Option<Text>,
    /// Where it stands.
    pub(super) at: Option<Location>,
}

/// What ids that people give do not begin with; GitHub gives such ids itself.
const RESERVED: &str = "__";

impl FileJob {
    /// Takes a job out of a file.
    pub(super) fn read(
        id: &Spanned<String>,
        node: Node,
        path: &str,
        defaults: &RunDefaults,
        reader: &mut Reader<'_>,
    ) -> Option<Self> {
        check_id(&id.value, "job", id.referenced, path, reader);
        let source = json(&node);
        let mut fields = reader.map(node, path)?;
        let title = fields
            .take("name")
            .and_then(|(it, path)| reader.text_at(it, &path, Place::Job, TEXT_BYTES_MAX));
        let needs = fields.take("needs").map(|(it, path)| reader.shorts(it, &path));
        let runs_on = RunsOn::read(id, &mut fields, reader);
        let parse = |text: &str| Condition::parse(text).map(|it| (it.uses().clone(), it));
        let condition = fields
            .take("if")
            .and_then(|(it, path)| reader.condition(&it, &path, Place::JobIf, parse));
        let strategy = Strategy::read(&mut fields, reader);
        let env = fields.take("env");
        let env = env.map(|(it, path)| reader.env(it, &path, Place::JobEnv)).unwrap_or_default();
        let timeout_minutes = fields
            .take("timeout-minutes")
            .and_then(|(it, path)| reader.count(it, &path, Place::Job, Overrides::timeout_fault));
        let continue_on_error = fields
            .take("continue-on-error")
            .and_then(|(it, path)| reader.truth(it, &path, Place::Job));
        let outputs = fields.take("outputs");
        let outputs =
            outputs.map(|(it, path)| reader.env(it, &path, Place::Outputs)).unwrap_or_default();
        let permissions = permissions::read(&mut fields, reader);
        let concurrency = Concurrency::read(&mut fields, Place::JobGroup, reader);
        let defaults = defaults.or_of(&mut fields, reader);
        let dispatch = Dispatch::read(&mut fields, Level::Job, concurrency.is_some(), reader);
        let steps = read_steps(&mut fields, &defaults, reader);
        fields.finish(reader, &HINTS);
        let mut job = Self {
            id: id.value.clone(),
            title,
            needs: needs.unwrap_or_default(),
            runs_on,
            condition,
            strategy,
            env,
            timeout_minutes,
            continue_on_error,
            outputs,
            permissions,
            concurrency,
            dispatch,
            steps,
            at: id.referenced,
            source: None,
        };
        job.source = job.waits_for_needs().then_some(source);
        Some(job)
    }

    /// What those expressions use that the server fills in, but for the condition's.
    pub(super) fn uses(&self) -> Uses {
        let mut uses = self.strategy.as_ref().map(Strategy::uses).unwrap_or_default();
        self.texts().for_each(|text| uses.merge(text.uses()));
        uses
    }

    /// Whether what it asks for can be known only when all that it needs has ended.
    pub(super) fn waits_for_needs(&self) -> bool {
        self.uses().context("needs")
    }

    /// The texts that the server fills in, but for the condition and the strategy.
    pub(super) fn texts(&self) -> impl Iterator<Item = &Text> {
        let settings = [
            self.timeout_minutes.as_ref().and_then(Setting::text),
            self.continue_on_error.as_ref().and_then(Setting::text),
            self.runs_on.group.as_ref(),
        ];
        let groups = self.concurrency.iter().flat_map(Concurrency::texts);
        self.runs_on.labels.iter().chain(settings.into_iter().flatten()).chain(groups)
    }

    /// Whether an action is among its steps, which only some runners can carry out.
    pub(super) fn needs_actions(&self) -> bool {
        self.steps.iter().any(|step| step.uses.is_some())
    }
}

impl RunsOn {
    fn read(id: &Spanned<String>, job: &mut Fields, reader: &mut Reader<'_>) -> Self {
        let Some((node, path)) = job.take("runs-on") else {
            // A job that calls a workflow has none, and is refused for that alone.
            if !job.entries.iter().any(|(key, _)| key.value == "uses") {
                reader.fault(id.referenced, &job.path, "the job has no `runs-on`");
                reader.hint("name the labels that its runner must have; [] for any runner");
            }
            return Self::default();
        };
        let at = Some(node.referenced);
        if !matches!(node.value, Value::Map(_)) {
            return Self { labels: labels(node, &path, reader), group: None, at };
        }
        let Some(mut own) = reader.map(node, &path) else { return Self::default() };
        let group = own
            .take("group")
            .and_then(|(it, path)| reader.text_at(it, &path, Place::Job, TEXT_BYTES_MAX));
        let labels =
            own.take("labels").map(|(it, path)| labels(it, &path, reader)).unwrap_or_default();
        own.finish(reader, &[]);
        Self { labels, group, at }
    }

    /// The labels that are known without an event.
    pub fn literal_labels(&self) -> impl Iterator<Item = &str> {
        self.labels.iter().filter_map(Text::literal)
    }

    /// Labels and group, with all expressions filled in.
    pub(super) fn fill(&self, scope: &Scope<'_>) -> Result<(Vec<String>, Option<String>), String> {
        let mut labels = Vec::with_capacity(self.labels.len());
        let mut group = self.group.as_ref().map(|group| group.fill(scope)).transpose()?;
        for text in &self.labels {
            match text.value(scope)? {
                Json::Object(own) => {
                    group = own.get("group").and_then(Json::as_str).map(str::to_owned).or(group);
                    if let Some(own) = own.get("labels") {
                        add(own, text, &mut labels)?;
                    }
                }
                value => add(&value, text, &mut labels)?,
            }
        }
        Ok((labels, group))
    }
}

/// Adds the labels that an expression gave. One that comes to nothing is a mistake: without it any runner would do.
fn add(value: &Json, text: &Text, labels: &mut Vec<String>) -> Result<(), String> {
    match value {
        Json::Null => return Err(format!("`{}` is nothing, which is no label", text.source())),
        Json::String(label) if label.trim().is_empty() => {
            return Err(format!("`{}` is empty, which is no label", text.source()));
        }
        Json::String(label) => labels.push(label.clone()),
        Json::Array(items) => {
            for item in items {
                add(item, text, labels)?;
            }
        }
        other => return Err(format!("`{}` is {other}, which is no label", text.source())),
    }
    Ok(())
}

fn labels(node: Node, path: &str, reader: &mut Reader<'_>) -> Vec<Text> {
    let items = match node.value {
        Value::List(items) => items,
        _ => vec![node],
    };
    items
        .into_iter()
        .filter_map(|it| reader.text_at(it, path, Place::Job, TEXT_BYTES_MAX))
        .collect()
}

/// Refuses an id of a job or a step that is none; whether it is one. GitHub's rule:
/// <https://docs.github.com/actions/reference/workflows-and-actions/workflow-syntax#jobsjob_id>.
pub(super) fn check_id(
    name: &str,
    whose: &str,
    at: Location,
    path: &str,
    reader: &mut Reader<'_>,
) -> bool {
    let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !starts || !name.chars().all(plain) || name.len() > ID_BYTES_MAX {
        reader.fault(at, path, format!("`{name}` is not a {whose}'s id"));
        reader.hint("start with a letter or `_`, go on with letters, digits, `-` and `_`");
        return false;
    }
    if name.starts_with(RESERVED) {
        reader.fault(at, path, format!("`{name}`: ids that begin with `{RESERVED}` are reserved"));
        return false;
    }
    true
}
