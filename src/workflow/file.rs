//! A workflow file, checked.

use std::collections::BTreeMap;

use serde_saphyr::{Location, Spanned};

use super::dispatch::Dispatch;
use super::plan::draft;
use super::read::{Fields, Reader};
use super::step::read_steps;
use super::yaml::{self, Node, Value};
use super::{Defaults, FileError};
use crate::ask::{Level, Planned};
use crate::model::{Catalogue, PlanError, Step, TermsFault};
use crate::trigger::Overrides;

/// The most jobs of one file; `workload_jobs_max` may be lower.
const JOBS_MAX: usize = 1_000;
/// The longest job id, in bytes.
const JOB_ID_BYTES_MAX: usize = 100;

const HINTS: [(&str, &str); 4] = [
    ("on", "put the filter under [[trigger]] in the config"),
    ("permissions", "remove it: jobs get no token of the forge"),
    ("defaults", "not supported yet; write it in each step's script"),
    ("run-name", "not supported yet; remove it"),
];

const JOB_HINTS: [(&str, &str); 10] = [
    ("uses", "calling another workflow is not supported yet"),
    ("with", "calling another workflow is not supported yet"),
    ("secrets", "calling another workflow is not supported yet"),
    (
        "if",
        "conditions are not supported yet; `run_if` of `x-dispatch` is success, failure or always",
    ),
    ("strategy", "matrices are not supported yet; write one job for each case"),
    ("outputs", "outputs are not supported yet"),
    ("container", "not supported yet; call the container tool in a step's script"),
    ("services", "not supported yet; start them in a step's script"),
    ("permissions", "remove it: jobs get no token of the forge"),
    ("continue-on-error", "write `|| true` in a step's script"),
];

/// A workflow whose form is checked, see [`File::parse`]; what it means to a configuration,
/// [`File::check`] tells.
#[derive(Clone, PartialEq, Debug)]
pub struct File {
    /// What triggers call it: the file's name without its ending.
    pub name: String,
    /// The file's name.
    pub file: String,
    /// What people call it, where the file says.
    pub title: Option<String>,
    /// Environment of all jobs.
    pub env: BTreeMap<String, String>,
    /// Defaults of all jobs.
    pub dispatch: Dispatch,
    /// Its jobs, as written.
    pub jobs: Vec<FileJob>,
}

/// One job of a file.
#[derive(Clone, PartialEq, Debug)]
pub struct FileJob {
    /// Its key under `jobs`.
    pub id: String,
    /// What people call it, where the file says.
    pub title: Option<String>,
    /// Ids of jobs that must end well first, with their places.
    pub needs: Vec<Spanned<String>>,
    /// What the runner's labels must be.
    pub runs_on: Vec<String>,
    /// Environment of all steps.
    pub env: BTreeMap<String, String>,
    /// Minutes that one attempt may run.
    pub timeout_minutes: Option<u32>,
    /// Its own values of `x-dispatch`.
    pub dispatch: Dispatch,
    /// Its steps, at least one.
    pub steps: Vec<Step>,
    /// Where the job stands in the file.
    pub at: Location,
    /// Where its labels stand.
    runs_on_at: Location,
}

impl File {
    /// Reads and checks the text of a file called `file`.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it, in the order of its lines.
    pub fn parse(file: &str, text: &str) -> Result<Self, Vec<FileError>> {
        let mut reader = Reader { file, text, faults: Vec::new() };
        let root = match yaml::parse(text) {
            Ok(root) => root,
            Err(error) => {
                let (message, key, file) = (error.message, String::new(), file.to_owned());
                let (line, column) = (error.line, error.column);
                return Err(vec![FileError { file, line, column, key, message, hint: None }]);
            }
        };
        refuse_text(&root, "", &mut reader);
        let parsed = read_file(file, root, &mut reader);
        if let Some(parsed) = parsed.as_ref().filter(|_| reader.faults.is_empty()) {
            check_graph(parsed, &mut reader);
        }
        match parsed {
            Some(parsed) if reader.faults.is_empty() => Ok(parsed),
            _ => {
                reader.faults.sort_by_key(|fault| (fault.line, fault.column));
                Err(reader.faults)
            }
        }
    }

    /// Checks what the file asks of the scheduler: with the names of a configuration, and as terms
    /// that can be obeyed.
    ///
    /// # Errors
    ///
    /// Everything that is wrong, in the order of its lines.
    pub fn check(&self, catalogue: &Catalogue) -> Result<(), Vec<FileError>> {
        let (planned, mut faults) = drafted(self, catalogue);
        faults.extend(planned.workload.faults());
        let mut errors: Vec<_> = faults.into_iter().map(|fault| self.with_place(fault)).collect();
        errors.sort_by_key(|error| (error.line, error.column));
        // What the workflow says once for all its jobs is wrong once.
        errors.dedup();
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    fn with_place(&self, fault: TermsFault) -> FileError {
        let TermsFault { job, key, message } = fault;
        let job = job.and_then(|name| self.jobs.iter().find(|job| job.id == name));
        let own = job.and_then(|job| job.dispatch.place(key));
        let (at, key) = match (own.or_else(|| self.dispatch.place(key)), job) {
            (Some((at, path)), _) => (at, path.to_owned()),
            (None, Some(job)) if key == "labels" => {
                (job.runs_on_at, format!("jobs.{}.runs-on", job.id))
            }
            (None, Some(job)) => (job.at, format!("jobs.{}.{key}", job.id)),
            (None, None) => (Location::UNKNOWN, key.to_owned()),
        };
        let (line, column, file) = (at.line(), at.column(), self.file.clone());
        FileError { file, line, column, key, message, hint: None }
    }
}

fn drafted(file: &File, catalogue: &Catalogue) -> (Planned, Vec<TermsFault>) {
    draft(file, "", &Overrides::default(), &Defaults::default(), catalogue)
}

fn read_file(file: &str, root: Node, reader: &mut Reader<'_>) -> Option<File> {
    let mut fields = reader.map(root, "")?;
    let title = fields.take("name").and_then(|(it, path)| reader.short(it, &path));
    let env = fields.take("env").map(|(it, path)| reader.env(it, &path)).unwrap_or_default();
    let dispatch = Dispatch::read(&mut fields, Level::Workload, reader);
    let mut jobs = Vec::new();
    match fields.take("jobs") {
        None => {
            reader.fault(fields.at, "jobs", "the workflow has no jobs");
            reader.hint("add `jobs:` with at least one job");
        }
        Some((node, path)) => {
            let found = reader.map(node, &path)?;
            let many = found.entries.len();
            if many == 0 || many > JOBS_MAX {
                reader.fault(found.at, &path, format!("{many} jobs are not from 1 to {JOBS_MAX}"));
            }
            for (id, node) in found.entries {
                let path = format!("{path}.{}", id.value);
                check_id(&id, &path, reader);
                let fields = reader.map(node, &path);
                jobs.extend(fields.map(|fields| read_job(&id, fields, reader)));
            }
        }
    }
    fields.finish(reader, &HINTS);
    let name = file.rsplit_once('.').map_or(file, |(name, _)| name).to_owned();
    Some(File { name, file: file.to_owned(), title, env, dispatch, jobs })
}

fn read_job(id: &Spanned<String>, mut fields: Fields, reader: &mut Reader<'_>) -> FileJob {
    let title = fields.take("name").and_then(|(it, path)| reader.short(it, &path));
    let needs = fields.take("needs").map(|(it, path)| reader.shorts(it, &path));
    let mut runs_on_at = id.referenced;
    let runs_on = match fields.take("runs-on") {
        Some((node, path)) => {
            runs_on_at = node.referenced;
            reader.shorts(node, &path)
        }
        None => {
            reader.fault(id.referenced, &fields.path, "the job has no `runs-on`");
            reader.hint("name the labels that its runner must have; [] for any runner");
            Vec::new()
        }
    };
    let env = fields.take("env").map(|(it, path)| reader.env(it, &path)).unwrap_or_default();
    let timeout_minutes = fields
        .take("timeout-minutes")
        .and_then(|(it, path)| reader.number(&it, &path, Overrides::timeout_fault));
    let dispatch = Dispatch::read(&mut fields, Level::Job, reader);
    let steps = read_steps(&mut fields, reader);
    fields.finish(reader, &JOB_HINTS);
    FileJob {
        id: id.value.clone(),
        title,
        needs: needs.unwrap_or_default(),
        runs_on: runs_on.into_iter().map(|it| it.value).collect(),
        env,
        timeout_minutes,
        dispatch,
        steps,
        at: id.referenced,
        runs_on_at,
    }
}

/// GitHub's rule for ids:
/// <https://docs.github.com/actions/reference/workflows-and-actions/workflow-syntax#jobsjob_id>.
fn check_id(id: &Spanned<String>, path: &str, reader: &mut Reader<'_>) {
    let name = id.value.as_str();
    let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !starts || !name.chars().all(plain) || name.len() > JOB_ID_BYTES_MAX {
        reader.fault(id.referenced, path, format!("`{name}` is not a job's id"));
        reader.hint("start with a letter or `_`, go on with letters, digits, `-` and `_`");
    }
}

/// Refuses what no text of a workflow may have: expressions, which would be handed to the shell
/// as they are, and NUL, which neither an environment nor every database can hold.
fn refuse_text(node: &Node, path: &str, reader: &mut Reader<'_>) {
    match &node.value {
        Value::Text(text) => refuse_in(text, node, path, reader),
        Value::List(items) => {
            for (number, item) in items.iter().enumerate() {
                refuse_text(item, &format!("{path}[{number}]"), reader);
            }
        }
        Value::Map(entries) => {
            for (key, value) in entries {
                let dot = if path.is_empty() { "" } else { "." };
                refuse_text(value, &format!("{path}{dot}{}", key.value), reader);
            }
        }
        Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Float(_) => {}
    }
}

fn refuse_in(text: &str, node: &Node, path: &str, reader: &mut Reader<'_>) {
    if text.contains('\0') {
        reader.fault(node.referenced, path, "text has a NUL character");
    }
    if !text.contains("${{") {
        return;
    }
    reader.fault(node.referenced, path, "`${{ }}` expressions are not supported yet");
    reader.hint(
        "for text of the event read the environment variables DISPATCHYARD_EVENT_* in the script",
    );
    // A script has many lines: the place of the expression helps more than the script's.
    let from = node.defined.span().byte_offset().and_then(|it| usize::try_from(it).ok());
    let found = from.and_then(|from| Some(from + reader.text.get(from..)?.find("${{")?));
    if let (Some(at), Some(fault)) = (found, reader.faults.last_mut()) {
        let before = &reader.text[..at];
        let line_start = before.rfind('\n').map_or(0, |it| it + 1);
        fault.line = 1 + before.matches('\n').count() as u64;
        fault.column = 1 + before[line_start..].chars().count() as u64;
    }
}

/// Refuses unknown needs and cycles, at the place that names them.
fn check_graph(file: &File, reader: &mut Reader<'_>) {
    // Names of pools and the like play no part in the graph.
    let planned = drafted(file, &Catalogue::default()).0.workload;
    let Err(error) = planned.check(JOBS_MAX) else { return };
    let of = |name: &str| file.jobs.iter().find(|job| job.id == name);
    let need_of = |job: &str, need: &str| {
        of(job)?.needs.iter().find(|it| it.value == need).map(|it| it.referenced)
    };
    let (at, key) = match &error {
        PlanError::UnknownNeed { job, need } => (need_of(job, need), format!("jobs.{job}.needs")),
        PlanError::Cycle(path) => (need_of(&path[0], &path[1]), format!("jobs.{}.needs", path[0])),
        PlanError::NoJobs | PlanError::TooManyJobs { .. } | PlanError::SameName(_) => {
            (file.jobs.first().map(|job| job.at), "jobs".to_owned())
        }
        // Those are for `File::check`, which tells all of them.
        PlanError::Terms(_) => return,
    };
    reader.fault(at.unwrap_or(Location::UNKNOWN), &key, error.to_string());
    if let PlanError::UnknownNeed { .. } = error {
        let ids: Vec<_> = file.jobs.iter().take(20).map(|job| job.id.as_str()).collect();
        reader.hint(format!("its jobs are {}", ids.join(", ")));
    }
}

#[cfg(test)]
mod tests;
