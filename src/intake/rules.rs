//! Triggers joined with what they start.
//!
//! Everything that does not depend on the event is decided here, once: each trigger's workload is
//! planned and checked when the configuration is loaded, and an event only copies it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use crate::model::{
    JobPriority, JobSpec, JobWork, PlannedJob, PlannedWorkload, RunnerRequirements, TenantId,
    Trust, Untrusted, WorkloadKind,
};
use crate::trigger::{AgentStart, Overrides, RuleConfig, RuleError, Start, Template, Trigger};
use crate::workflow::{self, Defaults};

/// The checked rules of one configuration.
#[derive(Clone, Debug)]
pub struct Rules {
    pub(super) rules: Vec<Rule>,
    pub(super) workflows: BTreeMap<String, workflow::File>,
    pub(super) defaults: Defaults,
}

/// One trigger with what it starts.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) trigger: Trigger,
    /// The workload but for what the event adds.
    pub(super) workload: PlannedWorkload,
    /// What the one job of an agent is asked; `None` for a workflow.
    pub(super) prompt: Option<Template>,
}

impl Rules {
    /// Checks the triggers against each other and against the workflows.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with all triggers, in their order.
    pub fn compile(
        triggers: &[RuleConfig],
        workflows: BTreeMap<String, workflow::File>,
        defaults: Defaults,
    ) -> Result<Self, Vec<RuleError>> {
        let (mut rules, mut faults) = (Vec::with_capacity(triggers.len()), Vec::new());
        for (at, config) in triggers.iter().enumerate() {
            let (name, span) = (config.name.get_ref(), config.name.span());
            if triggers[..at].iter().any(|earlier| earlier.name.get_ref() == name) {
                let message = "another trigger has this name".to_owned();
                faults.push(fault(name, span.clone(), message, "give each its own"));
            }
            match Trigger::compile(config) {
                Err(found) => faults.extend(found),
                Ok(trigger) => match Rule::join(trigger, span, &workflows, &defaults) {
                    Ok(rule) => rules.push(rule),
                    Err(found) => faults.push(found),
                },
            }
        }
        if faults.is_empty() { Ok(Self { rules, workflows, defaults }) } else { Err(faults) }
    }

    /// The names of the workflows that can be started.
    pub fn workflow_names(&self) -> impl Iterator<Item = &str> {
        self.workflows.keys().map(String::as_str)
    }

    /// The names of the triggers, in the order in which they are asked.
    pub fn trigger_names(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().map(|rule| rule.trigger.name.as_str())
    }
}

impl Rule {
    fn join(
        trigger: Trigger,
        place: Range<usize>,
        workflows: &BTreeMap<String, workflow::File>,
        defaults: &Defaults,
    ) -> Result<Self, RuleError> {
        let (workload, prompt, place) = match &trigger.start {
            Start::Workflow { name, span } => {
                let Some(file) = workflows.get(name) else {
                    let message = format!("no workflow `{name}`");
                    return Err(fault(&trigger.name, span.clone(), message, known(workflows)));
                };
                let planned = workflow::plan(file, &trigger.name, &trigger.overrides, defaults);
                (planned, None, span.clone())
            }
            Start::Agent(agent) => {
                let planned = plan_agent(agent, &trigger.name, &trigger.overrides, defaults);
                (planned, Some(agent.prompt.clone()), place)
            }
        };
        match workload.check(defaults.workload_jobs_max) {
            Ok(_) => Ok(Self { trigger, workload, prompt }),
            Err(error) => {
                let hint = "change the workflow, or raise workload_jobs_max";
                Err(fault(&trigger.name, place, error.to_string(), hint))
            }
        }
    }
}

/// What to type instead of a workflow that is not there.
pub(super) fn known(workflows: &BTreeMap<String, workflow::File>) -> String {
    let names: Vec<_> = workflows.keys().take(20).map(String::as_str).collect();
    match names.as_slice() {
        [] => "the workflow folder has no files".to_owned(),
        names => format!("known are {}", names.join(", ")),
    }
}

/// The workload of an agent: one job, whose prompt the event will fill.
fn plan_agent(
    agent: &AgentStart,
    trigger: &str,
    overrides: &Overrides,
    defaults: &Defaults,
) -> PlannedWorkload {
    let (timeout_ms, retry) = defaults.limits(overrides, None, None, None);
    let labels = agent.runs_on.iter().map(|label| label.as_str().into()).collect();
    let job = PlannedJob {
        name: "agent".to_owned(),
        needs: Vec::new(),
        requirements: RunnerRequirements { labels, ..Default::default() }.normalised(),
        priority: overrides.priority.unwrap_or(JobPriority::Normal),
        timeout_ms,
        retry,
        not_before_ms: 0,
        spec: Arc::new(JobSpec {
            work: JobWork::Agent { profile: agent.profile.clone(), prompt: Untrusted::default() },
            env: BTreeMap::new(),
            trust: Trust::default(),
            traceparent: None,
        }),
    };
    PlannedWorkload {
        kind: WorkloadKind::Agent,
        name: agent.profile.clone(),
        trigger: trigger.to_owned(),
        tenant_id: TenantId::DEFAULT,
        session_key: None,
        jobs: vec![job],
    }
}

fn fault(trigger: &str, span: Range<usize>, message: String, hint: impl Into<String>) -> RuleError {
    RuleError { trigger: trigger.to_owned(), span: Some(span), message, hint: Some(hint.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intake::evaluate::tests::{configs, workflows};

    fn refused(config: &str, defaults: Defaults) -> String {
        let errors = Rules::compile(&configs(config), workflows(), defaults).unwrap_err();
        errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn everything_that_is_wrong_with_all_triggers_is_told() {
        let config = "
[[trigger]]
name = 'a'
on = 'push'
workflow = 'bild'
[[trigger]]
name = 'a'
on = 'schedule'
workflow = 'build'
[[trigger]]
name = 'b'
on = 'push'
agent = { profile = 'x', prompt = '{{ nothing }}' }
";
        insta::assert_snapshot!(refused(config, Defaults::default()), @"
        trigger `a`: no workflow `bild`; known are build
        trigger `a`: another trigger has this name; give each its own
        trigger `a`: event `schedule` never comes; schedules are not supported yet
        trigger `b`: agent.prompt: unknown placeholder `{{ nothing }}`; known are event.source, event.kind, event.action, event.repository, event.actor, event.number, event.url, event.title, event.body, event.ref, event.base_ref, event.head_ref, event.sha, event.label, event.labels
        ");
        let errors = Rules::compile(&configs(config), workflows(), Defaults::default());
        let span = errors.unwrap_err()[0].span.clone().unwrap();
        assert_eq!(&config[span], "'bild'");
    }

    #[test]
    fn a_workflow_with_too_many_jobs_is_refused_at_load() {
        let config = "[[trigger]]\nname = 'a'\non = 'push'\nworkflow = 'build'";
        let defaults = Defaults { workload_jobs_max: 1, ..Defaults::default() };
        insta::assert_snapshot!(refused(config, defaults), @"trigger `a`: 2 jobs in one workload, workload_jobs_max is 1; change the workflow, or raise workload_jobs_max");
    }
}
