//! What becomes of a job when all that it needs has ended: whether its condition holds, and what it asks for
//! where that was not known before.

use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::plan::{Defaults, plan};
use super::values::Values;
use super::{Condition, File};
use crate::ask::Planned;
use crate::expression::Status;
use crate::model::{Catalogue, Decision, Facts, JobSpec, PlannedJob, RunIf, WorkflowJob};
use crate::trigger::Overrides;

/// Decides about a job whose `run_if` is [`RunIf::Decide`].
pub fn decide(
    spec: &JobSpec,
    facts: &Facts<'_>,
    defaults: &Defaults,
    catalogue: &Catalogue,
) -> Decision {
    let none = WorkflowJob::default();
    let workflow = spec.workflow.as_deref().unwrap_or(&none);
    let mut decision = decided(workflow, facts, defaults, catalogue)
        .unwrap_or_else(|why| Decision::Fail { why: why.into() });
    match &mut decision {
        Decision::Expand { jobs } => jobs.iter_mut().for_each(|job| inherit(job, spec, facts.job)),
        Decision::Replan { job } => inherit(job, spec, facts.job),
        Decision::Run | Decision::Skip { .. } | Decision::Fail { .. } => {}
    }
    decision
}

/// What a job keeps of the one in whose place it stands: how far its event is trusted, its trace, and what the
/// event decided when it came.
fn inherit(job: &mut PlannedJob, spec: &JobSpec, before: &PlannedJob) {
    let own = Arc::make_mut(&mut job.spec);
    own.trust = spec.trust.clone();
    own.traceparent.clone_from(&spec.traceparent);
    job.terms.deadline_ms = job.terms.deadline_ms.or(before.terms.deadline_ms);
    let needs = &mut job.requirements.resources;
    let of_repository =
        before.requirements.resources.iter().filter(|it| it.name.starts_with("repo:"));
    for need in of_repository {
        if needs.iter().all(|it| it.name != need.name) {
            needs.push(need.clone());
        }
    }
    needs.sort_unstable();
}

fn decided(
    workflow: &WorkflowJob,
    facts: &Facts<'_>,
    defaults: &Defaults,
    catalogue: &Catalogue,
) -> Result<Decision, String> {
    let mentions = |text: &str| text.to_ascii_lowercase().contains("github.event.");
    let template = workflow.template.as_ref().map(Json::to_string).unwrap_or_default();
    let looks = workflow.condition.as_deref().is_some_and(mentions) || mentions(&template);
    if looks && facts.github.get("event").is_none() {
        return Err("the delivery's body cannot be read, and an expression looks at it".to_owned());
    }
    let kept = |name: &str| workflow.contexts.get(name).cloned().unwrap_or_else(|| json!({}));
    let values = Values::again(facts.github.clone(), kept("inputs"), kept("vars"));
    let crate::model::Status { success, failure, cancelled } = facts.status;
    let status = Status { success, failure, cancelled };
    let scope = values.scope().with("needs", facts.needs).with_status(status);
    let runs = match &workflow.condition {
        None => success,
        Some(source) => {
            let condition = Condition::parse(source).map_err(|error| error.to_string())?;
            condition.holds(&scope).map_err(|fault| format!("if: {fault}"))?
        }
    };
    if !runs {
        let why = workflow.condition.as_ref().map(|source| format!("`{}`", source.trim()));
        return Ok(Decision::Skip { why: why.unwrap_or_default().into() });
    }
    let Some(template) = &workflow.template else { return Ok(Decision::Run) };
    let name = template.get("name").and_then(Json::as_str).unwrap_or("workflow.yml");
    let values = values.with_needs(facts.needs.clone());
    let mut jobs = planned(name, template, &values, defaults, catalogue)?.workload.jobs;
    for job in &mut jobs {
        // Its condition has been decided, and all that it needs has ended.
        job.terms.run_if = RunIf::Always;
    }
    match <[PlannedJob; 1]>::try_from(jobs) {
        Ok([mut job]) if job.terms.matrix.is_none() => {
            // In another run it is decided anew.
            job.terms.run_if = RunIf::Decide;
            if let Some(own) = &mut Arc::make_mut(&mut job.spec).workflow {
                own.condition = workflow.condition.clone();
                own.template = workflow.template.clone();
            }
            Ok(Decision::Replan { job: Box::new(job) })
        }
        Ok([job]) => Ok(Decision::Expand { jobs: vec![job] }),
        Err(jobs) => Ok(Decision::Expand { jobs }),
    }
}

/// Plans the job of a template.
fn planned(
    name: &str,
    template: &Json,
    values: &Values,
    defaults: &Defaults,
    catalogue: &Catalogue,
) -> Result<Planned, String> {
    let file = template.get("file").ok_or("the kept job has no file")?;
    let file = File::again(name, file, defaults.policy).map_err(|faults| all(&faults))?;
    let overrides = template.get("overrides").cloned().unwrap_or_default();
    let overrides: Overrides =
        serde_json::from_value(overrides).map_err(|error| error.to_string())?;
    let trigger = template.get("trigger").and_then(Json::as_str).unwrap_or_default();
    plan(&file, trigger, &overrides, defaults, catalogue, Some(values))
        .map_err(|faults| all(&faults))
}

fn all(faults: &[impl std::fmt::Display]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
