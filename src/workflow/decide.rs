//! What becomes of a job when all that it needs has ended: whether its condition holds, and what it asks for
//! where that was not known before.

use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::file::looks_at_body;
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
    let has_body = facts.github.get("event").is_some();
    let kept = |name: &str| workflow.contexts.get(name).cloned().unwrap_or_else(|| json!({}));
    let values = Values::again(facts.github.clone(), kept("inputs"), kept("vars"));
    let crate::model::Status { success, failure, cancelled } = facts.status;
    let status = Status { success, failure, cancelled };
    let scope = values.scope().with("needs", facts.needs).with_status(status);
    let runs = match &workflow.condition {
        None => success,
        Some(source) => {
            let condition = Condition::parse(source).map_err(|error| error.to_string())?;
            check_body(has_body, looks_at_body(condition.uses()))?;
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
    let mut jobs = planned(name, template, has_body, &values, defaults, catalogue)?.workload.jobs;
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
    has_body: bool,
    values: &Values,
    defaults: &Defaults,
    catalogue: &Catalogue,
) -> Result<Planned, String> {
    let file = template.get("file").ok_or("the kept job has no file")?;
    let file = File::again(name, file, defaults.policy).map_err(|faults| all(&faults))?;
    check_body(has_body, file.reads_payload())?;
    let overrides = template.get("overrides").cloned().unwrap_or_default();
    let overrides: Overrides =
        serde_json::from_value(overrides).map_err(|error| error.to_string())?;
    let trigger = template.get("trigger").and_then(Json::as_str).unwrap_or_default();
    plan(&file, trigger, &overrides, defaults, catalogue, Some(values))
        .map_err(|faults| all(&faults))
}

/// A body that is there no more would read as nothing, which is no answer.
fn check_body(is_there: bool, is_looked_at: bool) -> Result<(), String> {
    match is_looked_at && !is_there {
        true => Err("the delivery's body cannot be read, and an expression looks at it".to_owned()),
        false => Ok(()),
    }
}

fn all(faults: &[impl std::fmt::Display]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{JobWork, RetryPolicy, RunnerRequirements, Status as Ended, Trust};

    /// What is decided of a job with this condition, by what is known of the event.
    fn decided_of(condition: &str, github: &Json) -> Decision {
        let workflow =
            WorkflowJob { condition: Some(condition.to_owned()), ..WorkflowJob::default() };
        let spec = JobSpec {
            work: JobWork::Steps(Vec::new()),
            env: Default::default(),
            trust: Trust::default(),
            traceparent: None,
            workflow: Some(Box::new(workflow)),
        };
        let job = PlannedJob {
            name: "a".to_owned(),
            needs: Vec::new(),
            requirements: RunnerRequirements::default(),
            priority: Default::default(),
            timeout_ms: 1,
            retry: RetryPolicy { max_retries: 0, backoff_ms: 0 },
            not_before_ms: 0,
            terms: Default::default(),
            spec: Arc::new(spec),
        };
        let status = Ended { success: true, failure: false, cancelled: false };
        let facts = Facts { needs: &json!({}), github, status, job: &job };
        decide(&job.spec, &facts, &Defaults::default(), &Catalogue::default())
    }

    #[test]
    fn a_body_that_is_gone_is_no_answer_however_it_is_asked_for() {
        let gone = json!({"event_name": "push"});
        for condition in ["github.event.a == '1'", "!github['event'].a", "toJSON(github) != ''"] {
            let decision = decided_of(condition, &gone);
            assert!(matches!(decision, Decision::Fail { .. }), "{condition}: {decision:?}");
        }
        assert_eq!(decided_of("github.event_name == 'push'", &gone), Decision::Run);
        let there = json!({"event": {"a": "1"}});
        assert_eq!(decided_of("github['event'].a == '1'", &there), Decision::Run);
    }
}
