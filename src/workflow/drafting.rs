//! One workload on its way from a file to a plan, job by job.

use std::sync::Arc;

use serde_json::{Map, Value as Json, json};

use super::File;
use super::job::FileJob;
use super::matrix::Leg;
use super::plan::{ACTIONS_LABEL, Defaults};
use super::strategy::Laid;
use super::text::Text;
use super::values::Values;
use crate::ask::{Group, Later, Names, Resolved};
use crate::expression::{Scope, Uses};
use crate::model::{
    Catalogue, JobSpec, JobWork, MatrixTerms, PlannedJob, RetryPolicy, RunIf, TermsFault, Trust,
    WorkflowJob,
};
use crate::trigger::Overrides;

/// A workload that is being planned.
pub(super) struct Drafting<'a> {
    pub(super) file: &'a File,
    pub(super) overrides: &'a Overrides,
    pub(super) defaults: &'a Defaults,
    pub(super) catalogue: &'a Catalogue,
    pub(super) values: Option<&'a Values>,
    pub(super) trigger: &'a str,
    pub(super) jobs: Vec<PlannedJob>,
    pub(super) later: Vec<Later>,
    /// Which jobs each id became.
    pub(super) names: Vec<(String, String)>,
    pub(super) faults: Vec<TermsFault>,
}

/// What of one job is the same for all that it becomes.
struct Common<'a> {
    job: &'a FileJob,
    run_if: RunIf,
    laid: Option<Laid>,
    /// It is planned when all that it needs has ended.
    waits: bool,
    /// What is decided then.
    condition: Option<String>,
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

    /// The concurrency group of the workload.
    pub(super) fn group_of_workload(&mut self) -> Option<Group> {
        let concurrency = self.file.concurrency.as_ref()?;
        let (uses, scope) = (used(concurrency.texts()), self.scope());
        let repository = self.values.and_then(Values::repository);
        let fill = || concurrency.group(&scope, repository);
        self.filled(None, "group", &uses, false, fill)
    }

    /// What people call this run.
    pub(super) fn run_name(&mut self) -> Option<String> {
        let text = self.file.run_name.as_ref()?;
        let scope = self.scope();
        let title = self.filled(None, "run-name", &text.uses(), false, || text.fill(&scope))?;
        Some(short(&title))
    }

    /// Plans one job of the file.
    pub(super) fn job(&mut self, job: &'a FileJob) {
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
            let lay = || strategy.lay(&job.id, &scope);
            laid = self.filled(Some(&job.id), "strategy", &strategy.uses(), false, lay);
        }
        // Without an `if` it is what `x-dispatch` says that is decided.
        let asked = match job.dispatch.ask.run_if {
            Some(RunIf::Always) => Some("always()"),
            Some(RunIf::Failure) => Some("failure()"),
            _ => None,
        };
        let written = job.condition.as_ref().map(|it| it.source().to_owned());
        let condition = written.or_else(|| asked.map(str::to_owned));
        let condition = condition.filter(|_| run_if == RunIf::Decide);
        let common = Common { job, run_if, laid, waits, condition };
        let legs = common.laid.as_ref().and_then(|laid| laid.legs.clone());
        match legs {
            None => self.leg(&common, None, 0, 1),
            Some(legs) => {
                let total = legs.len();
                let jobs_max = self.defaults.workload_jobs_max;
                if self.jobs.len() + total > jobs_max {
                    let message = format!("more jobs than workload_jobs_max, which is {jobs_max}");
                    return self.wrong(Some(&job.id), "strategy", message);
                }
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
            Some(leg) => leg.name.clone(),
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
        // Of a job that never runs nothing is asked, so nothing of it can be wrong.
        let runs = common.run_if != RunIf::Never;
        let filled = match runs {
            true => self.filled(of, "labels", &uses, has_matrix, fill),
            false => None,
        };
        let (mut labels, group): (Vec<String>, _) = filled.unwrap_or_else(|| (literal(), None));
        if job.needs_actions() {
            labels.push(ACTIONS_LABEL.to_owned());
        }
        let mut own = self.overrides.ask.for_jobs();
        own = own.or(&job.dispatch.ask.or(&self.file.dispatch.ask.for_jobs()));
        if let Some(group) = group {
            own.pool = Some(Names(vec![group]));
        }
        if let Some(concurrency) = job.concurrency.as_ref().filter(|_| runs) {
            let uses = used(concurrency.texts());
            let repository = self.values.and_then(Values::repository);
            let fill = || concurrency.group(&scope, repository);
            own.group = self.filled(of, "group", &uses, has_matrix, fill);
        }
        let minutes = job.timeout_minutes.as_ref().filter(|_| runs).and_then(|setting| {
            let uses = used(setting.text().into_iter());
            let get = || setting.get(&scope, Overrides::timeout_fault);
            self.filled(of, "timeout-minutes", &uses, has_matrix, get)
        });
        let allow_failure = job.continue_on_error.as_ref().filter(|_| runs).and_then(|setting| {
            let uses = used(setting.text().into_iter());
            self.filled(of, "continue-on-error", &uses, has_matrix, || setting.get(&scope))
        });
        let title = job.title.as_ref().and_then(|title| {
            self.filled(of, "name", &title.uses(), has_matrix, || {
                title.fill(&scope).map(|it| short(&it))
            })
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
            workflow: self.file.title.clone(),
            permissions: job.permissions.clone().or_else(|| self.file.permissions.clone()),
            condition: common.condition.clone(),
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
        // Planned later, it keeps what it was planned with.
        match self.values.filter(|values| values.has_needs()) {
            Some(values) => add("vars", values.vars().clone()),
            None if self.file.reads_vars => add("vars", Json::Object(self.catalogue.vars.clone())),
            None => {}
        }
        contexts
    }

    /// All that is needed to plan a job later: see [`super::decide`].
    fn template(&self, job: &FileJob) -> Json {
        let mut file = self.file.rest.clone();
        let mut source = job.source.clone().unwrap_or_default();
        if let Json::Object(source) = &mut source {
            // They have ended by then, and it is the scheduler that knows them.
            source.shift_remove("needs");
            source.shift_remove("if");
        }
        file.insert("jobs".to_owned(), json!({ job.id.clone(): source }));
        json!({ "name": self.file.file, "file": file, "overrides": self.overrides, "trigger": self.trigger })
    }
}

/// The longest title of a run or a job, in characters.
const TITLE_CHARS_MAX: usize = 200;

/// A title as it is shown: what an event says may be long, and have any characters.
fn short(title: &str) -> String {
    title.trim().chars().filter(|c| !c.is_control()).take(TITLE_CHARS_MAX).collect()
}

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
