//! A workflow file, checked.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value as Json};
use serde_saphyr::Location;

use super::concurrency::Concurrency;
use super::dispatch::Dispatch;
use super::job::FileJob;
use super::on::FileOn;
use super::permissions;
use super::place::Place;
use super::plan::draft;
use super::read::Reader;
use super::script::Policy;
use super::step::RunDefaults;
use super::text::{TEXT_BYTES_MAX, Text};
use super::yaml::{self, Node, Value, json};
use super::{Defaults, FileError};
use crate::ask::{Level, Planned};
use crate::event::Event;
use crate::expression::Uses;
use crate::model::{Catalogue, PlanError, TermsFault};
use crate::trigger::Overrides;

/// The most jobs of one file; `workload_jobs_max` may be lower.
const JOBS_MAX: usize = 1_000;

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
    /// What people call one run of it.
    pub run_name: Option<Text>,
    /// What starts it, where the file says.
    pub on: Option<FileOn>,
    /// What its jobs may do at the forge; kept and shown.
    pub permissions: Option<Json>,
    /// Environment of all jobs; texts that may hold expressions.
    pub env: BTreeMap<String, String>,
    /// The concurrency group of its workloads.
    pub concurrency: Option<Concurrency>,
    /// Defaults of all jobs.
    pub dispatch: Dispatch,
    /// Its jobs, as written.
    pub jobs: Vec<FileJob>,
    /// What of the file a job needs that is planned later.
    pub(super) rest: Map<String, Json>,
    /// Whether any expression reads `vars`.
    pub(super) reads_vars: bool,
    is_static: bool,
    reads_payload: bool,
}

/// Keys whose values each job of a file shares.
const SHARED: [&str; 5] = ["name", "env", "defaults", "permissions", "x-dispatch"];

impl File {
    /// Reads and checks the text of a file called `file`. `policy` is what becomes of values from outside in
    /// its scripts.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it, in the order of its lines.
    pub fn parse(file: &str, text: &str, policy: Policy) -> Result<Self, Vec<FileError>> {
        match yaml::parse(text) {
            Ok(root) => Self::read(file, text, root, policy),
            Err(error) => {
                let (message, key, file) = (error.message, String::new(), file.to_owned());
                let (line, column) = (error.line, error.column);
                Err(vec![FileError { file, line, column, key, message, hint: None }])
            }
        }
    }

    /// Reads a file again of which parts were kept as JSON: see [`FileJob::source`].
    pub(super) fn again(file: &str, kept: &Json, policy: Policy) -> Result<Self, Vec<FileError>> {
        Self::read(file, "", yaml::from_json(kept), policy)
    }

    fn read(file: &str, text: &str, root: Node, policy: Policy) -> Result<Self, Vec<FileError>> {
        let mut reader = Reader { file, text, policy, faults: Vec::new() };
        refuse_nul(&root, "", &mut reader);
        let parsed = read_file(file, root, &mut reader);
        if let Some(parsed) = parsed.as_ref().filter(|_| reader.faults.is_empty()) {
            check_graph(parsed, &mut reader);
        }
        match parsed {
            Some(parsed) if reader.faults.is_empty() => {
                let (is_static, reads_payload) = looks(&parsed);
                Ok(Self { is_static, reads_payload, ..parsed })
            }
            _ => {
                reader.faults.sort_by_key(|fault| (fault.line, fault.column));
                Err(reader.faults)
            }
        }
    }

    /// Checks what the file asks of the scheduler: with the names of a configuration, and as terms
    /// that can be obeyed, as far as no expression has to be filled in.
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

    /// What expressions read as `github.workflow`: what the file says that it is called, or else its own name.
    pub fn shown_name(&self) -> &str {
        self.title.as_deref().unwrap_or(&self.name)
    }

    /// Whether every event plans it alike: no expression looks at the event.
    pub fn is_static(&self) -> bool {
        self.is_static
    }

    /// Whether an expression that the server fills in looks at the delivery's body.
    pub fn reads_payload(&self) -> bool {
        self.reads_payload
    }

    /// The context `inputs` of an event.
    pub(super) fn inputs(&self, event: &Event) -> Result<Map<String, Json>, String> {
        let declared = self.on.as_ref().filter(|on| !on.inputs.is_empty());
        match declared.filter(|_| event.kind.as_str() == "workflow_dispatch") {
            Some(on) => on.inputs(&event.inputs),
            None => Ok(event.inputs.clone()),
        }
    }

    fn with_place(&self, fault: TermsFault) -> FileError {
        let TermsFault { job, key, message } = fault;
        // A job of a matrix is called by its job's id and its values.
        let is_of = |name: &str, id: &str| {
            let rest = name.strip_prefix(id);
            rest.is_some_and(|it| it.is_empty() || it.starts_with(" (") || it.starts_with(" #"))
        };
        let job = job.and_then(|name| self.jobs.iter().find(|job| is_of(&name, &job.id)));
        // What is wrong with one text says which it is.
        let texts = job.into_iter().flat_map(FileJob::texts);
        let texts = texts.chain(self.concurrency.iter().flat_map(Concurrency::texts));
        let of_text = texts.chain(&self.run_name).find_map(|text| {
            let rest = message.strip_prefix(text.path())?.strip_prefix(": ")?;
            Some((text.at(), text.path().to_owned(), rest.to_owned()))
        });
        if let Some((at, key, message)) = of_text {
            let (line, column, file) = (at.line(), at.column(), self.file.clone());
            return FileError { file, line, column, key, message, hint: None };
        }
        let own = job.and_then(|job| job.dispatch.place(key));
        let group = match (key, job) {
            ("group", Some(job)) => job.concurrency.as_ref().or(self.concurrency.as_ref()),
            ("group", None) => self.concurrency.as_ref(),
            _ => None,
        };
        let (at, key) = match (own.or_else(|| self.dispatch.place(key)), group, job) {
            (Some((at, path)), ..) => (at, path.to_owned()),
            (None, Some(group), _) => (group.group.at(), group.group.path().to_owned()),
            (None, None, Some(job)) if key == "labels" || key == "pool" => {
                (job.runs_on.at.unwrap_or(job.at), format!("jobs.{}.runs-on", job.id))
            }
            (None, None, Some(job)) => (job.at, format!("jobs.{}.{key}", job.id)),
            (None, None, None) => (Location::UNKNOWN, key.to_owned()),
        };
        let (line, column, file) = (at.line(), at.column(), self.file.clone());
        FileError { file, line, column, key, message, hint: None }
    }
}

/// Whether every event plans a file alike, and whether its expressions look at the delivery's body.
fn looks(file: &File) -> (bool, bool) {
    let (mut is_static, mut reads_payload) = (true, false);
    let mut look = |uses: &Uses, of_event: bool| {
        let own = |path: &String| path.starts_with("matrix.") || path.starts_with("strategy.");
        is_static &= !of_event || uses.paths.iter().all(own);
        reads_payload |= looks_at_body(uses);
    };
    let whole = file.run_name.iter().chain(file.concurrency.iter().flat_map(Concurrency::texts));
    whole.for_each(|text| look(&text.uses(), true));
    for job in &file.jobs {
        look(&job.uses(), true);
        job.title.iter().for_each(|title| look(&title.uses(), true));
        if let Some(condition) = &job.condition {
            look(condition.uses(), condition.is_known(!job.needs.is_empty()));
        }
    }
    let has_inputs = file.on.as_ref().is_some_and(|on| !on.inputs.is_empty());
    // The event says whose group it is.
    let mut groups = file.jobs.iter().map(|job| &job.concurrency).chain([&file.concurrency]);
    (is_static && !has_inputs && !groups.any(Option::is_some), reads_payload)
}

/// Whether an expression looks at `github.event`, which is the delivery's body.
pub(super) fn looks_at_body(uses: &Uses) -> bool {
    let whole = ["github", "github.*", "github.event"];
    let is_of_body = |path: &str| whole.contains(&path) || path.starts_with("github.event.");
    uses.paths.iter().any(|path| is_of_body(path))
}

fn drafted(file: &File, catalogue: &Catalogue) -> (Planned, Vec<TermsFault>) {
    draft(file, "", &Overrides::default(), &Defaults::default(), catalogue, None)
}

fn read_file(file: &str, root: Node, reader: &mut Reader<'_>) -> Option<File> {
    let mut fields = reader.map(root, "")?;
    let rest = fields.entries.iter().filter(|(key, _)| SHARED.contains(&key.value.as_str()));
    let rest = rest.map(|(key, node)| (key.value.clone(), json(node))).collect();
    let title = fields.take("name").and_then(|(it, path)| reader.short(it, &path));
    let run_name = fields
        .take("run-name")
        .and_then(|(it, path)| reader.text_at(it, &path, Place::Workflow, TEXT_BYTES_MAX));
    let on = FileOn::read(&mut fields, reader);
    let permissions = permissions::read(&mut fields, reader);
    let env = fields.take("env");
    let env = env.map(|(it, path)| reader.env(it, &path, Place::WorkflowEnv)).unwrap_or_default();
    let defaults = RunDefaults::default().or_of(&mut fields, reader);
    let concurrency = Concurrency::read(&mut fields, Place::Group, reader);
    let dispatch = Dispatch::read(&mut fields, Level::Workload, concurrency.is_some(), reader);
    let mut jobs = Vec::new();
    match fields.take("jobs") {
        None => {
            reader.fault(fields.at, "jobs", "the workflow has no jobs");
            reader.hint("add `jobs:` with at least one job");
        }
        Some((node, path)) => jobs = read_jobs(node, &path, &defaults, reader)?,
    }
    fields.finish(reader, &[]);
    let name = file.rsplit_once('.').map_or(file, |(name, _)| name).to_owned();
    Some(File {
        name,
        file: file.to_owned(),
        title,
        run_name,
        on,
        permissions,
        env,
        concurrency,
        dispatch,
        jobs,
        rest,
        reads_vars: reader.text.to_ascii_lowercase().contains("vars"),
        is_static: false,
        reads_payload: false,
    })
}

fn read_jobs(
    node: Node,
    path: &str,
    defaults: &RunDefaults,
    reader: &mut Reader<'_>,
) -> Option<Vec<FileJob>> {
    let found = reader.map(node, path)?;
    let many = found.entries.len();
    if many == 0 || many > JOBS_MAX {
        reader.fault(found.at, path, format!("{many} jobs are not from 1 to {JOBS_MAX}"));
    }
    let mut jobs: Vec<FileJob> = Vec::with_capacity(many);
    // Ids have no case.
    let mut ids: HashMap<String, String> = HashMap::with_capacity(many);
    for (id, node) in found.entries {
        let path = format!("{path}.{}", id.value);
        if let Some(other) = ids.insert(id.value.to_ascii_lowercase(), id.value.clone()) {
            reader.fault(id.referenced, &path, format!("another job has this id, as `{other}`"));
        }
        jobs.extend(FileJob::read(&id, node, &path, defaults, reader));
    }
    for need in jobs.iter_mut().flat_map(|job| &mut job.needs) {
        if let Some(id) = ids.get(&need.value.to_ascii_lowercase()) {
            need.value.clone_from(id);
        }
    }
    Some(jobs)
}

/// Refuses NUL, which neither an environment nor every database can hold.
fn refuse_nul(node: &Node, path: &str, reader: &mut Reader<'_>) {
    match &node.value {
        Value::Text(text) if text.contains('\0') => {
            reader.fault(node.referenced, path, "text has a NUL character");
        }
        Value::List(items) => {
            for (number, item) in items.iter().enumerate() {
                refuse_nul(item, &format!("{path}[{number}]"), reader);
            }
        }
        Value::Map(entries) => {
            for (key, value) in entries {
                let dot = if path.is_empty() { "" } else { "." };
                refuse_nul(value, &format!("{path}{dot}{}", key.value), reader);
            }
        }
        Value::Text(_) | Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Float(_) => {}
    }
}

/// Refuses unknown needs and cycles, at the place that names them.
fn check_graph(file: &File, reader: &mut Reader<'_>) {
    let ids: Vec<&str> = file.jobs.iter().map(|job| job.id.as_str()).collect();
    let mut needs = Vec::with_capacity(ids.len());
    for job in &file.jobs {
        let mut places = Vec::with_capacity(job.needs.len());
        for need in &job.needs {
            match ids.iter().position(|id| *id == need.value) {
                Some(at) => places.push(at),
                None => {
                    let (job, need_name) = (job.id.clone(), need.value.clone());
                    let key = format!("jobs.{job}.needs");
                    let error = PlanError::UnknownNeed { job, need: need_name };
                    reader.fault(need.referenced, &key, error.to_string());
                    let shown = ids.iter().take(20).copied().collect::<Vec<_>>();
                    reader.hint(format!("its jobs are {}", shown.join(", ")));
                }
            }
        }
        needs.push(places);
    }
    if let Some(path) = crate::model::find_cycle(&needs) {
        let names: Vec<String> = path.iter().map(|at| ids[*at].to_owned()).collect();
        let job = &file.jobs[path[0]];
        let at = job.needs.iter().find(|need| need.value == names[1]).map(|it| it.referenced);
        let key = format!("jobs.{}.needs", job.id);
        reader.fault(at.unwrap_or(job.at), &key, PlanError::Cycle(names).to_string());
    }
}

#[cfg(test)]
mod mistakes;
#[cfg(test)]
mod tests;
