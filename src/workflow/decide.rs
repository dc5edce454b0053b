//! What becomes of a job when all that it needs has ended: whether its condition holds, and what it asks for
//! where that was not known before.

use serde_json::{Value as Json, json};

use super::plan::{Defaults, plan};
use super::values::Values;
use super::{Condition, File};
use crate::ask::Planned;
use crate::event::Event;
use crate::expression::Status;
use crate::model::{Catalogue, JobSpec, PlannedJob, RunIf, WorkflowJob};
use crate::trigger::Overrides;

/// What is known when all that a job needs has ended.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The context `needs`.
    pub needs: &'a Json,
    /// How what it needs has ended.
    pub status: Status,
    /// The event; `None` where the workload was submitted.
    pub event: Option<&'a Event>,
    /// The delivery's body, where it is JSON.
    pub payload: Option<&'a Json>,
    /// The workload's number and run.
    pub run: (i64, u32),
    /// The workload's name.
    pub workflow: &'a str,
}

/// What becomes of the job.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Decided {
    /// It runs as it was planned.
    Run,
    /// It runs as this, which asks for what was not known before. It has no needs and no name of its own.
    Replan(Box<PlannedJob>),
    /// It becomes these, which need what it needed.
    Expand(Vec<PlannedJob>),
    /// Its condition does not hold.
    Skip,
    /// It cannot be decided, and why.
    Fail(String),
}

/// Decides about a job whose `run_if` is [`RunIf::Decide`].
pub fn decide(
    spec: &JobSpec,
    facts: &Facts<'_>,
    defaults: &Defaults,
    catalogue: &Catalogue,
) -> Decided {
    let Some(workflow) = spec.workflow.as_deref() else {
        return Decided::Fail("the job is of no workflow file".to_owned());
    };
    decided(workflow, facts, defaults, catalogue).unwrap_or_else(Decided::Fail)
}

/// Whether deciding looks at the delivery's body.
pub fn looks_at_payload(spec: &JobSpec) -> bool {
    let Some(workflow) = spec.workflow.as_deref() else { return false };
    let template = workflow.template.as_ref().map(Json::to_string).unwrap_or_default();
    let condition = workflow.condition.as_deref().unwrap_or_default();
    [condition, &template].iter().any(|text| text.to_ascii_lowercase().contains("github"))
}

fn decided(
    workflow: &WorkflowJob,
    facts: &Facts<'_>,
    defaults: &Defaults,
    catalogue: &Catalogue,
) -> Result<Decided, String> {
    let values = values(workflow, facts);
    let scope = values.scope().with("needs", facts.needs).with_status(facts.status);
    let runs = match &workflow.condition {
        None => facts.status.success,
        Some(source) => {
            let condition = Condition::parse(source).map_err(|error| error.to_string())?;
            condition.holds(&scope)?
        }
    };
    if !runs {
        return Ok(Decided::Skip);
    }
    let Some(template) = &workflow.template else { return Ok(Decided::Run) };
    let Planned { workload, later } = planned(template, &values, facts, defaults, catalogue)?;
    let _ = later;
    let mut jobs = workload.jobs;
    for job in &mut jobs {
        // Its condition has been decided, and all that it needs has ended.
        job.terms.run_if = RunIf::Always;
    }
    match <[PlannedJob; 1]>::try_from(jobs) {
        Ok([job]) if job.terms.matrix.is_none() => Ok(Decided::Replan(Box::new(job))),
        Ok([job]) => Ok(Decided::Expand(vec![job])),
        Err(jobs) => Ok(Decided::Expand(jobs)),
    }
}

fn values(workflow: &WorkflowJob, facts: &Facts<'_>) -> Values {
    let kept = |name: &str| workflow.contexts.get(name).cloned();
    let mut github =
        facts.event.map(|event| event.github_context(facts.workflow)).unwrap_or_default();
    let said = || {
        json!({
            "action": facts.event.map(|event| &event.action),
            "inputs": facts.event.map(|event| &event.inputs),
        })
    };
    github.insert("event".to_owned(), facts.payload.cloned().unwrap_or_else(said));
    let (id, run) = facts.run;
    for name in ["run_id", "run_number"] {
        github.insert(name.to_owned(), id.to_string().into());
    }
    github.insert("run_attempt".to_owned(), run.to_string().into());
    github.insert("job".to_owned(), workflow.key.clone().into());
    let of_event =
        || facts.event.map(|event| Json::Object(event.inputs.clone())).unwrap_or_else(|| json!({}));
    let inputs = kept("inputs").unwrap_or_else(of_event);
    Values::again(Json::Object(github), inputs, kept("vars").unwrap_or_else(|| json!({})))
}

/// Plans the job of a template.
fn planned(
    template: &Json,
    values: &Values,
    facts: &Facts<'_>,
    defaults: &Defaults,
    catalogue: &Catalogue,
) -> Result<Planned, String> {
    let file = template.get("file").ok_or("the kept job has no file")?;
    let name = format!("{}.yml", facts.workflow);
    let file = File::again(&name, file, defaults.policy).map_err(|faults| all(&faults))?;
    let overrides = template.get("overrides").cloned().unwrap_or_default();
    let overrides: Overrides =
        serde_json::from_value(overrides).map_err(|error| error.to_string())?;
    let trigger = template.get("trigger").and_then(Json::as_str).unwrap_or_default();
    let values = values.clone().with_needs(facts.needs.clone());
    plan(&file, trigger, &overrides, defaults, catalogue, Some(&values))
        .map_err(|faults| all(&faults))
}

fn all(faults: &[impl std::fmt::Display]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
