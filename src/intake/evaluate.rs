//! What an event starts, and why each trigger wanted it or not.

use std::cell::OnceCell;
use std::sync::Arc;

use serde_json::Value as Json;

use crate::ask::{Ask, Level, Planned};
use crate::event::{Event, clock};
use crate::model::{Catalogue, Plan, PlanError, PlannedWorkload, TermsFault, TriggerVerdict};
use crate::trigger::{Allow, Order, Overrides, Said, Standing, is_account};
use crate::workflow::{self, Values};

use super::repository::Unusable;
use super::rules::{Rule, known};
use super::{Needs, RepositoryFiles, Rules, agent, needs};

/// What becomes of an event, with every trigger's reason.
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use]
pub struct Evaluation {
    /// What each trigger said, in their order. The writer adds the workloads' numbers: those of
    /// the matched ones stand in the plan in the same order.
    pub verdicts: Vec<TriggerVerdict>,
    /// What becomes of the event.
    pub outcome: Outcome,
    /// What was to be started and could not be, where something else is started.
    pub left_out: Option<String>,
}

/// What becomes of an event.
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use]
pub enum Outcome {
    /// At least one trigger starts something.
    Plan(Plan),
    /// Nothing is started; the reason in one sentence, beside the verdicts.
    Ignored(String),
    /// Something was to be started and cannot be: its workflow cannot be planned for this event.
    Failed(String),
    /// It cannot be said before this is looked up; then the event is evaluated again. No trigger was asked.
    Needs(Needs),
    /// Somebody must approve first: who caused it, what it is about, and why. All that it starts waits for that.
    Held(String),
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

/// When an event came, of which trace it is part, and what its delivery said.
#[derive(Clone, Copy, Default)]
pub struct Arrival<'a> {
    /// Wall milliseconds.
    pub at_ms: i64,
    /// The trace (W3C Trace Context).
    pub traceparent: Option<&'a str>,
    /// The delivery's body as JSON, read only where an expression looks at it.
    pub payload: Option<&'a dyn Fn() -> Option<Json>>,
    /// The workflow files of its repository, where these had to be looked up.
    pub facts: Facts<'a>,
    /// What the forge said of its sender, where it had to be asked.
    pub standing: Option<&'a Standing>,
    /// Who approved what it starts.
    pub approved_by: Option<&'a str>,
}

/// What was looked up.
#[derive(Clone, Copy, Default)]
pub enum Facts<'a> {
    /// Nothing yet.
    #[default]
    None,
    /// Nothing, and nothing will be: what is there to be looked up is left out.
    LeftOut,
    /// These files.
    Files(&'a RepositoryFiles),
}

/// Decides what `event` starts.
pub fn evaluate(event: &Event, rules: &Rules, arrival: Arrival<'_>) -> Evaluation {
    let at_once = |outcome| Evaluation { verdicts: Vec::new(), outcome, left_out: None };
    if let Some(why) = of_our_own(event, rules) {
        return at_once(Outcome::Ignored(why));
    }
    let mut missing = Needs::of(event, rules);
    missing.files.take_if(|_| !matches!(arrival.facts, Facts::None));
    missing.account.take_if(|_| arrival.standing.is_some());
    if !missing.is_nothing() {
        return at_once(Outcome::Needs(missing));
    }
    let files = match arrival.facts {
        Facts::Files(files) => Some(files),
        Facts::LeftOut | Facts::None => None,
    };
    let standing = arrival.standing.cloned().unwrap_or_else(|| needs::unasked(event, rules));
    let of_files = rules.sources.get(&event.source).and_then(|source| source.allow.as_ref());
    let mut plan = Plan::default();
    // A time is that of one trigger, and the others are not asked.
    let tick = clock::read(event).map(|tick| tick.trigger);
    let mut verdicts = Vec::with_capacity(if tick.is_some() { 1 } else { rules.rules.len() });
    let (mut failed, mut held) = (None, None);
    let payload = Payload::new(arrival);
    let own = files.iter().flat_map(|files| files.rules.rules.iter().map(|it| (it, &files.rules)));
    let own = own.map(|(rule, rules)| (rule, rules, of_files));
    // Nobody causes a time but who wrote the trigger.
    let all = rules.rules.iter().map(|rule| {
        let allow = rule.trigger.allow.as_ref().filter(|_| tick.is_none());
        (rule, rules, allow)
    });
    let all = all.chain(own);
    let is_asked = |rule: &Rule| tick.is_none_or(|it| it == rule.trigger.name);
    for (rule, rules, allow) in all.filter(|(rule, ..)| is_asked(rule)) {
        let verdict = rule.trigger.decide(event);
        let (mut matched, mut why) = (verdict.matched, verdict.why.into_owned());
        let mut waits = false;
        if matched {
            let order = agent::order(rule, event);
            let by = arrival.approved_by;
            (matched, waits, why) = allowed(allow, order, event, &standing, by, why);
        }
        if matched {
            match start(rule, event, rules, arrival, &payload) {
                Ok(workload) => {
                    let limits = rule.trigger.limits.of(event);
                    plan.limits.extend(limits.map(|limits| (workload.trigger.clone(), limits)));
                    plan.workloads.push(workload);
                    held = held.or(waits.then_some(rule.trigger.name.as_str()));
                }
                Err(fault) => {
                    matched = false;
                    why = format!(
                        "it wants the event ({why}), and cannot start its workflow: {fault}"
                    );
                    failed
                        .get_or_insert_with(|| format!("trigger `{}`: {fault}", rule.trigger.name));
                }
            }
        }
        let (trigger, workload_id) = (rule.trigger.name.clone(), None);
        verdicts.push(TriggerVerdict { trigger, matched, why, workload_id });
    }
    if let Some(report) = rules.sources.get(&event.source).and_then(|it| it.report.as_ref()) {
        plan.workloads.iter_mut().for_each(|workload| report.add_to(workload, event));
    }
    for Unusable { path, why, is_wrong } in files.iter().flat_map(|files| &files.others) {
        if *is_wrong {
            failed.get_or_insert_with(|| format!("{path}: {why}"));
        }
        let (trigger, why, workload_id) = (path.clone(), why.clone(), None);
        verdicts.push(TriggerVerdict { trigger, matched: false, why, workload_id });
    }
    let left_out = failed.clone().filter(|_| !plan.workloads.is_empty());
    let outcome = match (plan.workloads.is_empty(), failed) {
        (false, _) => match held {
            Some(trigger) => Outcome::Held(needs::held(event, trigger)),
            None => Outcome::Plan(plan),
        },
        (true, Some(why)) => Outcome::Failed(why),
        (true, None) => Outcome::Ignored(match tick.filter(|_| verdicts.is_empty()) {
            Some(trigger) => format!("the trigger `{trigger}` whose time it was is there no more"),
            None => ignored(&verdicts, files),
        }),
    };
    Evaluation { verdicts, outcome, left_out }
}

/// Whether the sender may start what a trigger wants, whether that waits for an approval, and what decided.
fn allowed(
    allow: Option<&Allow>,
    order: Option<Order<'_>>,
    event: &Event,
    standing: &Standing,
    approved_by: Option<&str>,
    why: String,
) -> (bool, bool, String) {
    let is_answer = matches!(order, Some(Order::Answer { .. }));
    let Some(allow) = allow else {
        return match is_answer {
            false => (true, false, why),
            // Whoever may speak to an agent is not thereby somebody who may let it do things.
            true => {
                let clause = "the trigger has no `allow`, so nobody may answer what its agent asks";
                (false, false, format!("it wants the event ({why}); {clause}"))
            }
        };
    };
    let said = match is_answer {
        true => allow.judge_answer(event, standing),
        false => allow.judge(event, standing),
    };
    let clause = match said {
        Said::Yes(clause) => clause,
        Said::No(clause) => return (false, false, format!("it wants the event ({why}); {clause}")),
        Said::Ask => {
            let clause = "what its sender may do was not asked of the forge";
            return (false, false, format!("it wants the event ({why}); {clause}"));
        }
    };
    // Nothing is started by an end, nor by the answer of one who is named for that.
    let starts_nothing = order == Some(Order::Stop) || (is_answer && allow.names_approvers());
    match (allow.wants_approval(event) && !starts_nothing, approved_by) {
        (false, _) => (true, false, format!("{why}; {clause}")),
        (true, Some(by)) => (true, false, format!("{why}; {clause}; approved by {by}")),
        (true, None) => (true, true, format!("{why}; {clause}; waits for approval")),
    }
}

/// Why an event starts nothing whoever wants it: we caused it ourselves.
fn of_our_own(event: &Event, rules: &Rules) -> Option<String> {
    let source = rules.sources.get(&event.source);
    let is_own = |actor| source.is_some_and(|it| it.own.iter().any(|own| is_account(own, actor)));
    if event.actor.as_ref().is_some_and(is_own) {
        let name = &event.source;
        return Some(format!(
            "its sender is an account of our own (`own_identity` of the source `{name}`), which starts nothing"
        ));
    }
    let (depth, max) = (event.causation_depth, rules.causation_depth_max);
    (depth > max).then(|| {
        format!("{depth} events that work caused stand before it: `causation_depth_max` is {max}")
    })
}

/// Why nothing is started.
fn ignored(verdicts: &[TriggerVerdict], files: Option<&RepositoryFiles>) -> String {
    let none = files.and_then(|files| files.none.clone());
    let asked = match verdicts {
        [] => none.is_none().then(|| "no trigger is configured".to_owned()),
        [only] => Some(format!("the only trigger: {}", only.why)),
        many => Some(format!("none of {} triggers wants it", many.len())),
    };
    asked.into_iter().chain(none).collect::<Vec<_>>().join("; ")
}

/// A delivery's body, read once at most.
struct Payload<'a> {
    arrival: Arrival<'a>,
    read: OnceCell<Option<Json>>,
}

impl<'a> Payload<'a> {
    fn new(arrival: Arrival<'a>) -> Self {
        Self { arrival, read: OnceCell::new() }
    }

    /// The body, where expressions of a file look at it.
    ///
    /// # Errors
    ///
    /// It is no JSON. That it says nothing would be taken for an answer: `!github.event.x` would hold.
    fn of(&self, file: &workflow::File) -> Result<Option<&Json>, String> {
        let Some(read) = self.arrival.payload.filter(|_| file.reads_payload()) else {
            return Ok(None);
        };
        let none = "expressions look at the delivery's body, which is there no more or is no JSON";
        self.read.get_or_init(read).as_ref().map(Some).ok_or_else(|| none.to_owned())
    }
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
    let payload = Payload::new(arrival);
    let vars = &rules.catalogue.vars;
    let values = payload.of(file).and_then(|body| Values::of(file, event, body, vars));
    let values = values.map_err(|message| {
        wrong(PlanError::Terms(TermsFault { job: None, key: "inputs", message }))
    })?;
    let (defaults, catalogue) = (&rules.defaults, &rules.catalogue);
    let planned = workflow::plan(file, "", &overrides, defaults, catalogue, Some(&values))
        .map_err(|found| wrong(PlanError::Terms(found[0].clone())))?;
    let mut workload = settled(planned, event, &rules.catalogue, arrival.at_ms);
    workload.check(rules.defaults.workload_jobs_max).map_err(wrong)?;
    workload.check_deadlines(arrival.at_ms).map_err(wrong)?;
    mark(&mut workload, event, arrival.traceparent);
    Ok(Plan { workloads: vec![workload], ..Plan::default() })
}

/// A rule's workload with what the event adds to it.
///
/// # Errors
///
/// What is wrong with the workflow for this event.
fn start(
    rule: &Rule,
    event: &Event,
    rules: &Rules,
    arrival: Arrival<'_>,
    payload: &Payload<'_>,
) -> Result<PlannedWorkload, String> {
    let planned = match rule.is_of_event.then(|| rules.file_of(rule)).flatten() {
        None => rule.planned.clone(),
        Some(file) => planned(file, rule, event, rules, payload)?,
    };
    let mut workload = settled(planned, event, &rules.catalogue, arrival.at_ms);
    if rule.is_of_event {
        let jobs_max = rules.defaults.workload_jobs_max;
        workload.check(jobs_max).map_err(|error| error.to_string())?;
    }
    mark(&mut workload, event, arrival.traceparent);
    workload.terms.succession = rule.trigger.latest.as_ref().and_then(|it| it.of(event));
    agent::ask(&mut workload, rule, event)?;
    Ok(workload)
}

/// Plans a file whose expressions look at the event.
fn planned(
    file: &workflow::File,
    rule: &Rule,
    event: &Event,
    rules: &Rules,
    payload: &Payload<'_>,
) -> Result<Planned, String> {
    let values = Values::of(file, event, payload.of(file)?, &rules.catalogue.vars)?;
    let (name, overrides) = (&rule.trigger.name, &rule.trigger.overrides);
    workflow::plan(file, name, overrides, &rules.defaults, &rules.catalogue, Some(&values))
        .map_err(|faults| faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
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
