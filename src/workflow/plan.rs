//! From a checked file to the workload that one trigger starts.

use std::sync::Arc;

use serde_json::{Map, Value as Json, json};

use crate::ask::{Ask, Group, Names, Planned, Resolved};
use crate::expression::{Scope, Uses};
use crate::model::{
    Catalogue, JobSpec, JobWork, MatrixTerms, PlannedJob, PlannedWorkload, RetryPolicy, RunIf,
    TenantId, TermsFault, Trust, WorkflowJob, WorkloadKind,
};
use crate::trigger::Overrides;

use super::File;
use super::job::FileJob;
use super::matrix::Leg;
use super::script::Policy;
use super::strategy::Laid;
use super::text::Text;
use super::values::Values;

/// What a runner must offer to carry out steps that `uses` an action.
pub const ACTIONS_LABEL: &str = "actions";

/// What jobs get when neither trigger nor file says; the configuration's values.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Defaults {
    /// Minutes that one attempt may run; GitHub's 360.
    pub timeout_minutes: u32,
    /// Charged failures that may be followed by another try. None: a failed test is an answer.
    pub max_retries: u32,
    /// The first backoff in milliseconds.
    pub backoff_ms: u32,
    /// The most jobs of one workload.
    pub workload_jobs_max: usize,
    /// What becomes of values from outside in scripts.
    pub policy: Policy,
    /// Whether a file that no trigger starts is started by its own `on`.
    pub start_by_on: bool,
}

impl Default for Defaults {
    fn default() -> Self {
        Self {
            timeout_minutes: 360,
            max_retries: 0,
            backoff_ms: 1_000,
            workload_jobs_max: 256,
            policy: Policy::default(),
            start_by_on: true,
        }
    }
}

impl Defaults {
    /// Timeout and retries of a job: what the trigger and then the file say, else these.
    pub fn limits(&self, timeout_minutes: Option<u32>, ask: &Ask) -> (i64, RetryPolicy) {
        let minutes = timeout_minutes.unwrap_or(self.timeout_minutes);
        let retry = RetryPolicy {
            max_retries: ask.max_retries.unwrap_or(self.max_retries),
            backoff_ms: ask.backoff_ms.unwrap_or(self.backoff_ms).into(),
        };
        (i64::from(minutes) * 60_000, retry)
    }
}

/// The workload that `trigger` (empty for a start by hand) makes of `file`. It carries no trust
/// and no trace yet: those are the event's. `values` is what its expressions read; a file without
/// expressions over the event ([`File::is_static`]) needs none.
///
/// Its name is the file's, and its jobs' names are their ids: what people type and what routes
/// match stays the same when somebody edits a title. A job of a matrix has its values behind its id.
///
/// # Errors
///
/// Every name that the catalogue does not know, and every expression that cannot be filled in.
pub fn plan(
    file: &File,
    trigger: &str,
    overrides: &Overrides,
    defaults: &Defaults,
    catalogue: &Catalogue,
    values: Option<&Values>,
) -> Result<Planned, Vec<TermsFault>> {
    let (planned, faults) = draft(file, trigger, overrides, defaults, catalogue, values);
    if faults.is_empty() { Ok(planned) } else { Err(faults) }
}

/// The plan, with what is wrong in it: see [`Ask::draft`]. Without `values` what only an event can fill in is
/// left out.
pub(super) fn draft(
    file: &File,
    trigger: &str,
    overrides: &Overrides,
    defaults: &Defaults,
    catalogue: &Catalogue,
    values: Option<&Values>,
) -> (Planned, Vec<TermsFault>) {
    let mut drafting = Drafting {
        file,
        overrides,
        defaults,
        catalogue,
        values,
        trigger,
        jobs: Vec::with_capacity(file.jobs.len()),
        later: Vec::new(),
        names: Vec::with_capacity(file.jobs.len()),
        faults: Vec::new(),
    };
    let group = drafting.group_of_workload();
    for job in &file.jobs {
        drafting.job(job);
    }
    let title = drafting.run_name();
    let Drafting { mut jobs, later, names, faults, .. } = drafting;
    // A job that needs a matrix needs all of its jobs.
    for job in &mut jobs {
        let ids = std::mem::take(&mut job.needs);
        for id in &ids {
            let of = names.iter().filter(|(known, _)| known == id);
            job.needs.extend(of.map(|(_, name)| name.clone()));
        }
    }
    let mut whole = overrides.ask.or(&file.dispatch.ask);
    whole.group = overrides.ask.group.clone().or(group).or(whole.group);
    let mut terms = whole.workload_terms();
    terms.title = title.map(Into::into);
    let workload = PlannedWorkload {
        kind: WorkloadKind::Workflow,
        name: file.name.clone(),
        trigger: trigger.to_owned(),
        tenant_id: TenantId::DEFAULT,
        session_key: None,
        terms,
        open: false,
        jobs,
    };
    (Planned { workload, later }, faults)
}

/// A workload that is being planned.
struct Drafting<'a> {
    file: &'a File,
    overrides: &'a Overrides,
    defaults: &'a Defaults,
    catalogue: &'a Catalogue,
    values: Option<&'a Values>,
    trigger: &'a str,
    jobs: Vec<PlannedJob>,
    later: Vec<crate::ask::Later>,
    /// Which jobs each id became.
    names: Vec<(String, String)>,
    faults: Vec<TermsFault>,
}

/// What of one job is the same for all that it becomes.
struct Common<'a> {
    job: &'a FileJob,
    run_if: RunIf,
    laid: Option<Laid>,
    /// It is planned when all that it needs has ended.
    waits: bool,
}

impl<'a> Drafting<'a> {
    /// What expressions read, so far.
    fn scope(&self) -> Scope<'a> {
        self.values.map_or_else(Scope::new, Values::scope)
    }

    /// Whether all that an expression uses is known by now.
    fn knows(&self, uses: &Uses, has_matrix: bool) -> bool {
        uses.paths.iter().all(|path| match path.split('.').next().unwrap_or(path) {
            "github" | "inputs" | "vars" => self.values.is_some(),
            "matrix" | "strategy" => has_matrix,
            "needs" => self.values.is_some_and(Values::has_needs),
            _ => false,
        })
    }

    fn wrong(&mut self, job: Option<&str>, key: &'static str, message: String) {
        self.faults.push(TermsFault { job: job.map(str::to_owned), key, message });
    }

    /// What `fill` makes of texts that are known by now; nothing of others.
    fn filled<T>(
        &mut self,
        job: Option<&str>,
        key: &'static str,
        uses: &Uses,
        has_matrix: bool,
        fill: impl FnOnce() -> Result<T, String>,
    ) -> Option<T> {
        if !self.knows(uses, has_matrix) {
            return None;
        }
        match fill() {
            Ok(value) => Some(value),
            Err(fault) => {
                self.wrong(job, key, fault);
                None
            }
        }
    }

    fn group_of_workload(&mut self) -> Option<Group> {
        let concurrency = self.file.concurrency.as_ref()?;
        let (uses, scope) = (used(concurrency.texts()), self.scope());
        self.filled(None, "group", &uses, false, || concurrency.group(&scope)).flatten()
    }

    fn run_name(&mut self) -> Option<String> {
        let text = self.file.run_name.as_ref()?;
        let scope = self.scope();
        let title = self.filled(None, "run-name", &text.uses(), false, || text.fill(&scope))?;
        Some(title.trim().chars().filter(|c| !c.is_control()).take(TITLE_CHARS_MAX).collect())
    }

    /// Plans one job of the file.
    fn job(&mut self, job: &'a FileJob) {
        let (has_needs, scope) = (!job.needs.is_empty(), self.scope());
        let known = self.values.map(|_| &scope);
        let run_if = match job.condition.as_ref().map(|it| it.run_if(has_needs, known)) {
            None => job.dispatch.ask.run_if.unwrap_or_default(),
            Some(Ok(run_if)) => run_if,
            Some(Err(fault)) => return self.wrong(Some(&job.id), "if", fault),
        };
        let has_ended = self.values.is_some_and(Values::has_needs);
        let waits = job.waits_for_needs() && run_if != RunIf::Never && !has_ended;
        let run_if = if waits { RunIf::Decide } else { run_if };
        let mut laid = None;
        if let Some(strategy) = job.strategy.as_ref().filter(|_| !waits && run_if != RunIf::Never) {
            let lay = || strategy.lay(&scope);
            laid = self.filled(Some(&job.id), "strategy", &strategy.uses(), false, lay);
        }
        let common = Common { job, run_if, laid, waits };
        let legs = common.laid.as_ref().and_then(|laid| laid.legs.clone());
        match legs {
            None => self.leg(&common, None, 0, 1),
            Some(legs) => {
                let total = legs.len();
                for (number, leg) in legs.iter().enumerate() {
                    self.leg(&common, Some(leg), number, total);
                }
            }
        }
    }

    /// Plans one of the jobs that a job becomes.
    fn leg(&mut self, common: &Common<'a>, leg: Option<&Leg>, number: usize, total: usize) {
        let job = common.job;
        let name = match leg {
            None => job.id.clone(),
            Some(leg) => format!("{} {}", job.id, leg.suffix),
        };
        let strategy = common.laid.as_ref().map(|laid| {
            json!({
                "fail-fast": laid.fail_fast, "max-parallel": laid.max_parallel.unwrap_or(total as u32),
                "job-index": number, "job-total": total,
            })
        });
        let matrix = leg.map(|leg| Json::Object(leg.matrix.clone()));
        let mut scope = self.scope();
        if let Some(strategy) = &strategy {
            scope = scope.with("strategy", strategy);
        }
        // Without a matrix it is nothing, and not unknown.
        let none = Json::Null;
        if strategy.is_some() || job.strategy.is_none() {
            scope = scope.with("matrix", matrix.as_ref().unwrap_or(&none));
        }
        let has_matrix = (strategy.is_some() || job.strategy.is_none()) && !common.waits;
        let of = Some(name.as_str());
        let uses = used(job.runs_on.labels.iter().chain(&job.runs_on.group));
        let fill = || job.runs_on.fill(&scope);
        let literal = || job.runs_on.literal_labels().map(str::to_owned).collect();
        let filled = self.filled(of, "labels", &uses, has_matrix, fill);
        let (mut labels, group): (Vec<String>, _) = filled.unwrap_or_else(|| (literal(), None));
        if job.needs_actions() {
            labels.push(ACTIONS_LABEL.to_owned());
        }
        let mut own = self.overrides.ask.for_jobs();
        own = own.or(&job.dispatch.ask.or(&self.file.dispatch.ask.for_jobs()));
        if let Some(group) = group {
            own.pool = Some(Names(vec![group]));
        }
        if let Some(concurrency) = &job.concurrency {
            let uses = used(concurrency.texts());
            let group = self.filled(of, "group", &uses, has_matrix, || concurrency.group(&scope));
            own.group = group.flatten();
        }
        let minutes = job.timeout_minutes.as_ref().and_then(|setting| {
            let uses = used(setting.text().into_iter());
            let get = || setting.get(&scope, Overrides::timeout_fault);
            self.filled(of, "timeout-minutes", &uses, has_matrix, get)
        });
        let allow_failure = job.continue_on_error.as_ref().and_then(|setting| {
            let uses = used(setting.text().into_iter());
            self.filled(of, "continue-on-error", &uses, has_matrix, || setting.get(&scope))
        });
        let title = job.title.as_ref().and_then(|title| {
            self.filled(of, "name", &title.uses(), has_matrix, || title.fill(&scope))
        });
        let (mut resolved, found) = own.draft(&labels, self.catalogue);
        self.faults.extend(found.into_iter().map(|found| found.of_job(Some(&name))));
        resolved.terms.run_if = common.run_if;
        resolved.terms.allow_failure = allow_failure.unwrap_or(false);
        resolved.terms.matrix = leg.map(|_| MatrixTerms {
            key: job.id.as_str().into(),
            max_parallel: common.laid.as_ref().and_then(|laid| laid.max_parallel),
            fail_fast: common.laid.as_ref().is_some_and(|laid| laid.fail_fast),
        });
        self.later.push(resolved.later);
        self.names.push((job.id.clone(), name.clone()));
        let limits = self.defaults.limits(self.overrides.timeout_minutes.or(minutes), &own);
        let workflow = WorkflowJob {
            key: job.id.clone(),
            title,
            permissions: job.permissions.clone().or_else(|| self.file.permissions.clone()),
            condition: (common.run_if == RunIf::Decide)
                .then(|| job.condition.as_ref().map(|it| it.source().to_owned()))
                .flatten(),
            template: common.waits.then(|| self.template(job)),
            contexts: self.contexts(matrix, strategy),
            outputs: job.outputs.clone(),
        };
        self.jobs.push(planned_job(self.file, job, name, resolved, limits, workflow));
    }

    /// What a job has to keep of what its expressions read. What the event says stays with the event.
    fn contexts(&self, matrix: Option<Json>, strategy: Option<Json>) -> Map<String, Json> {
        let mut contexts = Map::new();
        let mut add = |name: &str, value: Json| drop(contexts.insert(name.to_owned(), value));
        matrix.into_iter().for_each(|matrix| add("matrix", matrix));
        strategy.into_iter().for_each(|strategy| add("strategy", strategy));
        if let Some(inputs) = self.values.map(Values::inputs)
            && inputs.as_object().is_some_and(|it| !it.is_empty())
        {
            add("inputs", inputs.clone());
        }
        if self.file.reads_vars {
            add("vars", Json::Object(self.catalogue.vars.clone()));
        }
        contexts
    }

    /// All that is needed to plan a job later: see [`super::decide`].
    fn template(&self, job: &FileJob) -> Json {
        let mut file = self.file.rest.clone();
        let mut source = job.source.clone().unwrap_or_default();
        if let Json::Object(source) = &mut source {
            // They have ended by then, and it is the scheduler that knows them.
            source.remove("needs");
            source.remove("if");
        }
        file.insert("jobs".to_owned(), json!({ job.id.clone(): source }));
        json!({ "name": self.file.file, "file": file, "overrides": self.overrides, "trigger": self.trigger })
    }
}

/// The longest title of a run, in characters.
const TITLE_CHARS_MAX: usize = 200;

fn used<'a>(texts: impl Iterator<Item = &'a Text>) -> Uses {
    let mut uses = Uses::default();
    texts.for_each(|text| uses.merge(text.uses()));
    uses
}

fn planned_job(
    file: &File,
    job: &FileJob,
    name: String,
    resolved: Resolved,
    (timeout_ms, retry): (i64, RetryPolicy),
    workflow: WorkflowJob,
) -> PlannedJob {
    let mut env = file.env.clone();
    env.extend(job.env.iter().map(|(name, value)| (name.clone(), value.clone())));
    PlannedJob {
        name,
        needs: job.needs.iter().map(|need| need.value.clone()).collect(),
        requirements: resolved.requirements,
        priority: resolved.priority,
        timeout_ms,
        retry,
        not_before_ms: 0,
        terms: resolved.terms,
        spec: Arc::new(JobSpec {
            work: JobWork::Steps(job.steps.clone()),
            env,
            trust: Trust::default(),
            traceparent: None,
            workflow: Some(Box::new(workflow)),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{JobPriority, PendingPolicy, RunIf};

    const TEXT: &str = "
env: { A: file, B: file }
x-dispatch: { priority: low, min_memory_gb: 2, max_retries: 1, gpu: true }
jobs:
  one:
    runs-on: [Linux, self-hosted]
    env: { B: job }
    x-dispatch: { min_memory_gb: 4, architecture: ARM64, gpu: 0, backoff_ms: 0 }
    timeout-minutes: 5
    steps: [{ run: 'true', timeout-minutes: 1 }]
  two:
    needs: one
    runs-on: []
    steps: [{ run: 'true' }]
";

    fn planned(file: &File, overrides: &Overrides) -> PlannedWorkload {
        let catalogue = Catalogue::default();
        let planned = plan(file, "t", overrides, &Defaults::default(), &catalogue, None).unwrap();
        planned.settle(1_000, None, &catalogue)
    }

    #[test]
    fn a_jobs_values_outrank_the_files_which_outrank_the_defaults() {
        let file = File::parse("w.yml", TEXT, Policy::default()).unwrap();
        let planned = planned(&file, &Overrides::default());
        assert_eq!(planned.check(2), Ok(vec![vec![], vec![0]]));
        let [one, two] = planned.jobs.as_slice() else { panic!("two jobs") };

        assert_eq!(one.requirements.labels, ["linux".into(), "self-hosted".into()]);
        assert_eq!(one.requirements.architecture.as_deref(), Some("arm64"));
        assert_eq!((one.requirements.min_memory_gb, two.requirements.min_memory_gb), (4, 2));
        assert_eq!((one.requirements.gpu, two.requirements.gpu), (0, 1));
        assert_eq!((one.timeout_ms, two.timeout_ms), (300_000, 360 * 60_000));
        assert_eq!(one.retry, RetryPolicy { max_retries: 1, backoff_ms: 0 });
        assert_eq!(two.retry, RetryPolicy { max_retries: 1, backoff_ms: 1_000 });
        assert_eq!((one.priority, two.priority), (JobPriority::Low, JobPriority::Low));
        let env: Vec<_> = one.spec.env.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(env, [("A", "file"), ("B", "job")]);
        let JobWork::Steps(steps) = &one.spec.work else { panic!("steps") };
        assert_eq!(steps[0].timeout_ms, Some(60_000));
    }

    #[test]
    fn a_triggers_values_outrank_the_files() {
        let file = File::parse("w.yml", TEXT, Policy::default()).unwrap();
        let ask = serde_json::from_value(serde_json::json!({
            "priority": "high", "max_retries": 7, "backoff_ms": 3, "min_memory_gb": 8,
        }));
        let trigger = Overrides { timeout_minutes: Some(9), ask: ask.unwrap() };
        for job in planned(&file, &trigger).jobs {
            assert_eq!((job.priority, job.timeout_ms), (JobPriority::High, 540_000));
            assert_eq!(job.retry, RetryPolicy { max_retries: 7, backoff_ms: 3 });
            assert_eq!(job.requirements.min_memory_gb, 8);
        }
    }

    #[test]
    fn terms_of_the_workflow_and_of_its_jobs_reach_the_plan() {
        let text = "
concurrency: { group: deploy, cancel-in-progress: true }
x-dispatch: { max_wait: 2m, deadline: 1h, max_parallel: 2, region: [EU, us] }
jobs:
  one:
    runs-on: x
    concurrency: database
    x-dispatch: { queue_timeout: 10s, affinity: app, anti-affinity: db }
    steps: [{ run: 'true' }]
  two:
    needs: one
    runs-on: x
    x-dispatch: { run_if: failure, deadline: 2h, group: { key: three, limit: 3, queue_max: 5 } }
    steps: [{ run: 'true' }]
";
        let file = File::parse("w.yml", text, Policy::default()).unwrap();
        let workload = planned(&file, &Overrides::default());
        let group = workload.terms.group.as_ref().unwrap();
        assert_eq!((&*group.key, group.limit, group.pending), ("deploy", 1, PendingPolicy::Latest));
        assert_eq!((group.cancel_in_progress, workload.terms.max_parallel), (true, Some(2)));
        let [one, two] = workload.jobs.as_slice() else { panic!("two jobs") };
        let keys = |job: &PlannedJob| job.terms.group.clone().map(|group| (group.key, group.limit));
        assert_eq!(keys(one), Some(("database".into(), 1)));
        assert_eq!(keys(two), Some(("three".into(), 3)));
        assert_eq!(two.terms.group.as_ref().unwrap().pending, PendingPolicy::Queue { max: 5 });
        assert_eq!((one.terms.run_if, two.terms.run_if), (RunIf::Success, RunIf::Failure));
        assert_eq!(one.terms.deadline_ms, Some(1_000 + 3_600_000));
        assert_eq!(two.terms.deadline_ms, Some(1_000 + 7_200_000));
        assert_eq!(
            (one.terms.max_wait_ms, one.terms.queue_timeout_ms),
            (Some(120_000), Some(10_000))
        );
        assert_eq!(one.requirements.required_regions, ["eu".into(), "us".into()]);
        assert_eq!(one.terms.placement.affinity.as_deref(), Some("app"));
        assert_eq!(one.terms.placement.anti_affinity.as_deref(), Some("db"));
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod expression_tests;
