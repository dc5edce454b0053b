//! Triggers joined with what they start.
//!
//! Everything that does not depend on the event is decided here, once: each trigger's workload is
//! planned and checked when the configuration is loaded, and an event only copies it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use super::{SourceRules, of_files};
use crate::ask::Planned;
use crate::model::{
    Catalogue, JobSpec, JobWork, PlanError, PlannedJob, PlannedWorkload, TenantId, TermsFault,
    Trust, Untrusted, WorkloadKind,
};
use crate::trigger::{AgentStart, Overrides, RuleConfig, RuleError, Start, Template, Trigger};
use crate::workflow::{self, Defaults};

/// The checked rules of one configuration.
#[derive(Clone, Debug)]
pub struct Rules {
    pub(super) rules: Vec<Rule>,
    /// As they were written, and those that files are.
    triggers: Vec<RuleConfig>,
    pub(super) workflows: BTreeMap<String, workflow::File>,
    pub(super) defaults: Defaults,
    /// What names in asks stand for.
    pub(super) catalogue: Arc<Catalogue>,
    /// What is said of sources.
    pub(super) sources: BTreeMap<String, SourceRules>,
    /// How long a chain of events may be that work causes itself.
    pub(super) causation_depth_max: u32,
}

/// One trigger with what it starts.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) trigger: Trigger,
    /// The workload but for what the event adds.
    pub(super) planned: Planned,
    /// Whether its workflow has to be planned with the event, because expressions look at it.
    pub(super) is_of_event: bool,
    /// What the one job of an agent is asked; `None` for a workflow.
    pub(super) prompt: Option<Template>,
}

impl Rules {
    /// Checks the triggers against each other, against the workflows and against the names of the
    /// catalogue.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with all triggers, in their order.
    pub fn compile(
        triggers: &[RuleConfig],
        workflows: BTreeMap<String, workflow::File>,
        defaults: Defaults,
        catalogue: Arc<Catalogue>,
    ) -> Result<Self, Vec<RuleError>> {
        let (mut rules, mut faults) = (Vec::with_capacity(triggers.len()), Vec::new());
        let triggers = of_files::with_those_of_files(triggers, &workflows, defaults.start_by_on);
        for (at, config) in triggers.iter().enumerate() {
            let (name, span) = (config.name.get_ref(), config.name.span());
            if triggers[..at].iter().any(|earlier| earlier.name.get_ref() == name) {
                let message = "another trigger has this name".to_owned();
                faults.push(fault(name, span.clone(), message, "give each its own"));
            }
            match Trigger::compile(config, &catalogue.teams) {
                Err(found) => faults.extend(found),
                Ok(trigger) => {
                    let place = config.overrides_span();
                    match Rule::join(trigger, place, &workflows, &defaults, &catalogue) {
                        Ok(rule) => rules.push(rule),
                        Err(found) => faults.extend(found),
                    }
                }
            }
        }
        if faults.is_empty() {
            Ok(Self {
                rules,
                triggers,
                workflows,
                defaults,
                catalogue,
                sources: BTreeMap::new(),
                causation_depth_max: u32::MAX,
            })
        } else {
            Err(faults)
        }
    }

    /// The same, with what is said of sources, and how long a chain of events may be that work causes itself.
    #[must_use]
    pub fn with_sources(
        self,
        sources: BTreeMap<String, SourceRules>,
        causation_depth_max: u32,
    ) -> Self {
        Self { sources, causation_depth_max, ..self }
    }

    /// No trigger and no file, with the same names and defaults.
    pub(super) fn without_triggers(&self) -> Self {
        Self {
            rules: Vec::new(),
            triggers: Vec::new(),
            workflows: BTreeMap::new(),
            defaults: self.defaults,
            catalogue: Arc::clone(&self.catalogue),
            sources: BTreeMap::new(),
            causation_depth_max: self.causation_depth_max,
        }
    }

    /// Whether a trigger's name is that of a file of some repository.
    pub fn is_of_repository(&self, trigger: &str) -> bool {
        let mut folders = self.sources.values().filter_map(|it| it.folder.as_deref());
        folders.any(|folder| trigger.strip_prefix(folder).is_some_and(|it| it.starts_with('/')))
    }

    /// The triggers as they were written, each with the `on` that it has of its file, and those that files are.
    pub fn triggers(&self) -> &[RuleConfig] {
        &self.triggers
    }

    /// The names of the workflows that can be started.
    pub fn workflow_names(&self) -> impl Iterator<Item = &str> {
        self.workflows.keys().map(String::as_str)
    }

    /// The labels that jobs want of runners, each with the first that wants it: of all workflows and
    /// of the agents that triggers start. A term that a runner without labels fulfils is not one.
    pub fn wanted_labels(&self) -> BTreeMap<&str, String> {
        let mut wanted = BTreeMap::new();
        let mut add = |label, who: String| {
            if !str::starts_with(label, '!') {
                wanted.entry(label).or_insert(who);
            }
        };
        for (name, file) in &self.workflows {
            for job in &file.jobs {
                let who = || format!("job `{}` of the workflow `{name}`", job.id);
                job.runs_on.literal_labels().for_each(|label| add(label, who()));
            }
        }
        for rule in &self.rules {
            if let Start::Agent(agent) = &rule.trigger.start {
                let who = || format!("the agent of the trigger `{}`", rule.trigger.name);
                agent.runs_on.iter().for_each(|label| add(label, who()));
            }
        }
        wanted
    }

    /// The file that a rule starts.
    pub(super) fn file_of(&self, rule: &Rule) -> Option<&workflow::File> {
        match &rule.trigger.start {
            Start::Workflow { name, .. } => self.workflows.get(name),
            Start::Agent(_) => None,
        }
    }

    /// Whether some workflow looks at the bodies of deliveries before its jobs run.
    pub fn reads_payloads(&self) -> bool {
        self.workflows.values().any(workflow::File::reads_payload)
    }

    /// What jobs get when neither trigger nor file says.
    pub fn defaults(&self) -> &Defaults {
        &self.defaults
    }

    /// What names stand for.
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
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
        catalogue: &Catalogue,
    ) -> Result<Self, Vec<RuleError>> {
        let (name, overrides) = (&trigger.name, &trigger.overrides);
        let mut is_of_event = false;
        let (planned, prompt, at) = match &trigger.start {
            Start::Workflow { name: wanted, span } => {
                let Some(file) = workflows.get(wanted) else {
                    let message = format!("no workflow `{wanted}`");
                    return Err(vec![fault(name, span.clone(), message, known(workflows))]);
                };
                is_of_event = !file.is_static();
                let planned = workflow::plan(file, name, overrides, defaults, catalogue, None);
                (planned, None, span.clone())
            }
            Start::Agent(agent) => {
                let planned = plan_agent(agent, name, overrides, defaults, catalogue);
                (planned, Some(agent.prompt.clone()), place.clone())
            }
        };
        // What a trigger asks for all jobs is wrong once.
        let unmeant = |mut found: Vec<TermsFault>| -> Vec<RuleError> {
            let mut seen = BTreeSet::new();
            found.retain(|fault| seen.insert((fault.key, fault.message.clone())));
            let hint = "change what the trigger or its workflow asks for";
            let told = found.into_iter();
            told.map(|found| fault(name, place.clone(), format!("dispatch: {found}"), hint))
                .collect()
        };
        let planned = planned.map_err(unmeant)?;
        match planned.workload.check(defaults.workload_jobs_max) {
            Ok(_) => Ok(Self { trigger, planned, is_of_event, prompt }),
            Err(PlanError::Terms(_)) => Err(unmeant(planned.workload.faults())),
            Err(error) => {
                let hint = "change the workflow, or raise workload_jobs_max";
                Err(vec![fault(name, at, error.to_string(), hint)])
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
    catalogue: &Catalogue,
) -> Result<Planned, Vec<TermsFault>> {
    let ask = &overrides.ask;
    let (timeout_ms, retry) = defaults.limits(overrides.timeout_minutes, ask);
    let resolved = ask
        .for_jobs()
        .resolve(&agent.runs_on, catalogue)
        .map_err(|found| found.into_iter().map(|found| found.of_job(None)).collect::<Vec<_>>())?;
    let job = PlannedJob {
        name: "agent".to_owned(),
        needs: Vec::new(),
        requirements: resolved.requirements,
        priority: resolved.priority,
        timeout_ms,
        retry,
        not_before_ms: 0,
        terms: resolved.terms,
        spec: Arc::new(JobSpec {
            work: JobWork::Agent { profile: agent.profile.clone(), prompt: Untrusted::default() },
            env: BTreeMap::new(),
            trust: Trust::default(),
            traceparent: None,
            workflow: None,
        }),
    };
    let workload = PlannedWorkload {
        kind: WorkloadKind::Agent,
        name: agent.profile.clone(),
        trigger: trigger.to_owned(),
        tenant_id: TenantId::DEFAULT,
        session: None,
        terms: ask.workload_terms(),
        open: false,
        jobs: vec![job],
    };
    Ok(Planned { workload, later: vec![resolved.later] })
}

fn fault(trigger: &str, span: Range<usize>, message: String, hint: impl Into<String>) -> RuleError {
    RuleError { trigger: trigger.to_owned(), span: Some(span), message, hint: Some(hint.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intake::evaluate::tests::{configs, workflows};

    fn compiled(config: &str, defaults: Defaults) -> Result<Rules, Vec<RuleError>> {
        let catalogue =
            Catalogue { resources: [("licence".into(), 1)].into(), ..Catalogue::default() };
        Rules::compile(&configs(config), workflows(), defaults, Arc::new(catalogue))
    }

    fn refused(config: &str, defaults: Defaults) -> String {
        let errors = compiled(config, defaults).unwrap_err();
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
        insta::assert_snapshot!(refused(config, Defaults::default()), @r#"
        trigger `a`: no workflow `bild`; known are build
        trigger `a`: another trigger has this name; give each its own
        trigger `a`: on.schedule has no times; write them: on = { schedule = [{ cron = "30 2 * * 1-5", zone = "Europe/Berlin" }] }
        trigger `b`: agent.prompt: unknown placeholder `{{ nothing }}`; known are event.source, event.kind, event.action, event.repository, event.actor, event.number, event.url, event.title, event.body, event.ref, event.base_ref, event.head_ref, event.sha, event.label, event.labels
        "#);
        let errors = compiled(config, Defaults::default());
        let span = errors.unwrap_err()[0].span.clone().unwrap();
        assert_eq!(&config[span], "'bild'");
    }

    #[test]
    fn a_workflow_with_too_many_jobs_is_refused_at_load() {
        let config = "[[trigger]]\nname = 'a'\non = 'push'\nworkflow = 'build'";
        let defaults = Defaults { workload_jobs_max: 1, ..Defaults::default() };
        insta::assert_snapshot!(refused(config, defaults), @"trigger `a`: 2 jobs in one workload, workload_jobs_max is 1; change the workflow, or raise workload_jobs_max");
    }

    #[test]
    fn what_a_trigger_asks_is_checked_with_the_names_of_the_configuration() {
        let config = "
[[trigger]]
name = 'a'
on = 'push'
workflow = 'build'
dispatch = { skills = ['rust'], resources = [{ name = 'licence', units = 2 }] }
[[trigger]]
name = 'b'
on = 'push'
agent = { profile = 'x', prompt = 'y' }
dispatch = { group = { key = 'g', limit = 0 }, max_wait = '0s' }
[[trigger]]
name = 'c'
on = 'push'
workflow = 'build'
dispatch = { run_if = 'always', max_retries = 101 }
";
        insta::assert_snapshot!(refused(config, Defaults::default()), @"
        trigger `a`: dispatch: job `one`: skills: no skill `rust`: none is configured; change what the trigger or its workflow asks for
        trigger `a`: dispatch: job `one`: resources: 2 units of `licence` where there are 1; change what the trigger or its workflow asks for
        trigger `b`: dispatch: group: the limit 0 lets nothing run; change what the trigger or its workflow asks for
        trigger `b`: dispatch: job `agent`: max_wait: 0 ms is less than 1 ms; change what the trigger or its workflow asks for
        trigger `c`: max_retries: 101 is over 100
        trigger `c`: run_if: belongs to a job
        ");
        let errors = compiled(config, Defaults::default()).unwrap_err();
        assert!(config[errors[0].span.clone().unwrap()].starts_with("{ skills"));
    }
}
