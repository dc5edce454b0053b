//! What an event starts, and why each trigger wanted it or not.

use std::sync::Arc;

use crate::ask::{Ask, Level, Planned};
use crate::event::Event;
use crate::model::{
    Catalogue, JobWork, Plan, PlanError, PlannedWorkload, TriggerVerdict, WorkloadKind,
};
use crate::trigger::Overrides;
use crate::workflow;

use super::Rules;
use super::rules::{Rule, known};

/// What becomes of an event, with every trigger's reason.
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use]
pub struct Evaluation {
    /// What each trigger said, in their order. The writer adds the workloads' numbers: those of
    /// the matched ones stand in the plan in the same order.
    pub verdicts: Vec<TriggerVerdict>,
    /// What becomes of the event.
    pub outcome: Outcome,
}

/// What becomes of an event.
///
/// Two more outcomes join here when something can produce them: `Needs(lookups)`, when a trigger
/// asks for what the event does not say, and `Held { until_ms, why }`, when somebody must approve
/// first. Until then they would be variants that nobody can test. An evaluation that is repeated
/// after a lookup then takes the facts found as a further argument.
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use]
pub enum Outcome {
    /// At least one trigger starts something.
    Plan(Plan),
    /// Nothing is started; the reason in one sentence, beside the verdicts.
    Ignored(String),
}

/// Why a workflow cannot be started by hand.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RunByHandError {
    /// There is no such workflow.
    #[error("no workflow `{name}`; {hint}")]
    UnknownWorkflow {
        /// What was asked for.
        name: String,
        /// What there is.
        hint: String,
    },
    /// It cannot be planned, as with more jobs than `workload_jobs_max`.
    #[error("workflow `{name}` cannot run: {error}")]
    Unplannable {
        /// Which one.
        name: String,
        /// Why.
        #[source]
        error: PlanError,
    },
}

/// When an event came, and of which trace it is part.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Arrival<'a> {
    /// Wall milliseconds.
    pub at_ms: i64,
    /// The trace (W3C Trace Context).
    pub traceparent: Option<&'a str>,
}

/// Decides what `event` starts.
pub fn evaluate(event: &Event, rules: &Rules, arrival: Arrival<'_>) -> Evaluation {
    let mut plan = Plan::default();
    let mut verdicts = Vec::with_capacity(rules.rules.len());
    for rule in &rules.rules {
        let verdict = rule.trigger.decide(event);
        if verdict.matched {
            plan.workloads.push(start(rule, event, &rules.catalogue, arrival));
        }
        verdicts.push(TriggerVerdict {
            trigger: rule.trigger.name.clone(),
            matched: verdict.matched,
            why: verdict.why.into_owned(),
            workload_id: None,
        });
    }
    let outcome = match (plan.workloads.is_empty(), verdicts.len()) {
        (false, _) => Outcome::Plan(plan),
        (true, 0) => Outcome::Ignored("no trigger is configured".to_owned()),
        (true, 1) => Outcome::Ignored(format!("the only trigger: {}", verdicts[0].why)),
        (true, many) => Outcome::Ignored(format!("none of {many} triggers wants it")),
    };
    Evaluation { verdicts, outcome }
}

/// Plans a workflow that somebody starts by hand, without a trigger. `event` is the
/// `workflow_dispatch` that stands for it: it says who is trusted how far. `ask` outranks what the
/// file asks for.
///
/// # Errors
///
/// When there is no such workflow, or it cannot be planned.
pub fn run_by_hand(
    name: &str,
    event: &Event,
    rules: &Rules,
    ask: Ask,
    arrival: Arrival<'_>,
) -> Result<Plan, RunByHandError> {
    let Some(file) = rules.workflows.get(name) else {
        let hint = known(&rules.workflows);
        return Err(RunByHandError::UnknownWorkflow { name: name.to_owned(), hint });
    };
    let wrong = |error| RunByHandError::Unplannable { name: name.to_owned(), error };
    if let Some(found) = ask.faults(Level::Workload).into_iter().next() {
        return Err(wrong(PlanError::Terms(found.of_job(None))));
    }
    let overrides = Overrides { timeout_minutes: None, ask };
    let planned = workflow::plan(file, "", &overrides, &rules.defaults, &rules.catalogue)
        .map_err(|found| wrong(PlanError::Terms(found[0].clone())))?;
    let mut workload = settled(planned, event, &rules.catalogue, arrival.at_ms);
    workload.check(rules.defaults.workload_jobs_max).map_err(wrong)?;
    workload.check_deadlines(arrival.at_ms).map_err(wrong)?;
    mark(&mut workload, event, arrival.traceparent);
    Ok(Plan { workloads: vec![workload] })
}

/// A rule's workload with what the event adds to it.
fn start(
    rule: &Rule,
    event: &Event,
    catalogue: &Catalogue,
    arrival: Arrival<'_>,
) -> PlannedWorkload {
    let mut workload = settled(rule.planned.clone(), event, catalogue, arrival.at_ms);
    mark(&mut workload, event, arrival.traceparent);
    if let Some(template) = &rule.prompt {
        debug_assert_eq!(workload.kind, WorkloadKind::Agent);
        for job in &mut workload.jobs {
            if let JobWork::Agent { prompt, .. } = &mut Arc::make_mut(&mut job.spec).work {
                *prompt = template.fill(event);
            }
        }
    }
    workload
}

fn settled(planned: Planned, event: &Event, catalogue: &Catalogue, at_ms: i64) -> PlannedWorkload {
    let repository = event.repository.as_ref().map(|repository| repository.full_name.as_str());
    planned.settle(at_ms, repository, catalogue)
}

/// Trust and trace travel with every job.
fn mark(workload: &mut PlannedWorkload, event: &Event, traceparent: Option<&str>) {
    for job in &mut workload.jobs {
        let spec = Arc::make_mut(&mut job.spec);
        spec.trust = event.trust.clone();
        spec.traceparent = traceparent.map(str::to_owned);
    }
}

#[cfg(test)]
pub(super) mod tests;
