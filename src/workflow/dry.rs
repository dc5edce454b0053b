//! What a file would become for an event, without a server.

use serde::Serialize;
use serde_json::Value as Json;

use super::{Defaults, File, FileOn, Values, plan};
use crate::event::Event;
use crate::model::{Catalogue, GroupTerms, PlannedJob, RunIf, WorkflowJob};
use crate::trigger::{Filters, Overrides};

/// What a file becomes.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct TriedFile {
    /// Its name.
    pub workflow: String,
    /// What people call this run of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Whether its own `on` wants the event; `None` where it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub starts: Option<TriedOn>,
    /// Its concurrency group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<GroupTerms>,
    /// Its jobs, in the order of the file.
    pub jobs: Vec<TriedFileJob>,
}

/// Whether a file's `on` wants an event.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct TriedOn {
    /// Whether it does.
    pub run: bool,
    /// The clause that decided.
    pub why: String,
}

/// One job that it becomes.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct TriedFileJob {
    /// Its name: its key, and the values of its matrix.
    pub name: String,
    /// Its key under `jobs`.
    pub key: String,
    /// What people call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Jobs that must have ended first.
    pub needs: Vec<String>,
    /// Labels that its runner must have.
    pub labels: Vec<String>,
    /// When it runs.
    pub run_if: RunIf,
    /// The same for people, with the condition.
    pub runs: String,
    /// The values of its matrix.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub matrix: Option<Json>,
    /// How many jobs of its matrix run at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_parallel: Option<u32>,
    /// Whether the first of its matrix that fails cancels the others.
    pub fail_fast: bool,
    /// Whether its failure counts as a good end.
    pub allow_failure: bool,
    /// Its own concurrency group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<GroupTerms>,
    /// Milliseconds that an attempt may run.
    pub timeout_ms: i64,
    /// Names of its outputs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<String>,
}

/// Plans a file for an event. `payload` is the delivery's body.
///
/// # Errors
///
/// Why it cannot be planned.
pub fn file(
    file: &File,
    event: &Event,
    payload: Option<&Json>,
    defaults: &Defaults,
    catalogue: &Catalogue,
) -> Result<TriedFile, String> {
    let values = Values::of(file, event, payload, &catalogue.vars)?;
    let overrides = Overrides::default();
    let planned = plan(file, "", &overrides, defaults, catalogue, Some(&values))
        .map_err(|faults| faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))?;
    let workload = planned.settle(0, None, catalogue);
    workload.check(defaults.workload_jobs_max).map_err(|error| error.to_string())?;
    Ok(TriedFile {
        workflow: file.name.clone(),
        title: workload.terms.title.as_deref().map(str::to_owned),
        starts: file.on.as_ref().map(|on| wanted(on, event)),
        group: workload.terms.group.clone(),
        jobs: workload.jobs.into_iter().map(|job| tried(file, job)).collect(),
    })
}

fn wanted(on: &FileOn, event: &Event) -> TriedOn {
    if event.kind.as_str() == "workflow_dispatch" {
        let why =
            if on.by_hand { "it may be started by hand" } else { "it is not for a start by hand" };
        return TriedOn { run: on.by_hand, why: why.to_owned() };
    }
    match Filters::compile(&on.events, "on") {
        Ok(filters) => {
            let verdict = filters.decide(event);
            TriedOn { run: verdict.matched, why: verdict.why.into_owned() }
        }
        Err(_) => {
            TriedOn { run: false, why: "it names no event that a delivery brings".to_owned() }
        }
    }
}

fn tried(file: &File, job: PlannedJob) -> TriedFileJob {
    let none = WorkflowJob::default();
    let of_file = job.spec.workflow.as_deref().unwrap_or(&none);
    let condition = file.jobs.iter().find(|it| it.id == of_file.key);
    let condition = condition.and_then(|it| it.condition.as_ref()).map(|it| it.source().trim());
    let runs = runs(&job, condition, of_file.template.is_some());
    let matrix = job.terms.matrix.as_ref();
    TriedFileJob {
        key: of_file.key.clone(),
        title: of_file.title.clone(),
        labels: job.requirements.labels.iter().map(ToString::to_string).collect(),
        run_if: job.terms.run_if,
        runs,
        matrix: of_file.contexts.get("matrix").cloned(),
        max_parallel: matrix.and_then(|it| it.max_parallel),
        fail_fast: matrix.is_some_and(|it| it.fail_fast),
        allow_failure: job.terms.allow_failure,
        group: job.terms.group.clone(),
        timeout_ms: job.timeout_ms,
        outputs: of_file.outputs.keys().cloned().collect(),
        name: job.name,
        needs: job.needs,
    }
}

/// When a job runs, for people.
fn runs(job: &PlannedJob, condition: Option<&str>, is_planned_later: bool) -> String {
    let when = match (job.terms.run_if, job.needs.is_empty()) {
        (RunIf::Success, true) => "at once",
        (RunIf::Success, false) => "when all that it needs ended well",
        (RunIf::Failure, _) => "when something before it failed",
        (RunIf::Always, _) => "when all that it needs has ended",
        (RunIf::Never, _) => "never",
        (RunIf::Decide, _) if is_planned_later => "planned when all that it needs has ended",
        (RunIf::Decide, _) => "decided when all that it needs has ended",
    };
    match (job.terms.run_if, condition) {
        (RunIf::Success, Some(condition)) => format!("{when}: `{condition}` holds"),
        (RunIf::Never, Some(condition)) => format!("{when}: `{condition}` does not hold"),
        (_, Some(condition)) => format!("{when}: `{condition}`"),
        (_, None) => when.to_owned(),
    }
}
