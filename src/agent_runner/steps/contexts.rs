//! What the expressions of a job can see while its steps run, and what they come to.
//!
//! Texts are filled in only where a workflow file wrote them; in a job that somebody submitted they are
//! what they are, but for `if` and `continue-on-error`, which see `env`, `steps`, `runner` and `job`.
//!
//! Evaluation is pure. Where it asks for a hash of files, it is begun again when the hash is known.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::api::wire::JobContext;
use crate::expression::{EvalError, Expression, Scope, Status, Template};
use crate::model::{JobWork, Step};

use super::super::secrets::Secrets;
use super::exit::first_line;
use super::hash_files::hash_files;

/// What GitHub's documentation gives to steps, and what nothing else fills stays empty.
const OF_WORKFLOWS: [&str; 7] =
    ["github", "inputs", "vars", "matrix", "strategy", "needs", "secrets"];

/// How the job stands, which conditions and `job.status` ask for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum JobStatus {
    #[default]
    Success,
    Failure,
    Cancelled,
}

impl JobStatus {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Cancelled => "cancelled",
        }
    }
}

/// How a step ended, as expressions see it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Outcome {
    Success,
    Failure,
    Cancelled,
    Skipped,
}

impl Outcome {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Cancelled => "cancelled",
            Self::Skipped => "skipped",
        }
    }
}

/// The contexts of one job.
#[derive(Debug)]
pub(super) struct Contexts {
    /// Whether texts are filled in.
    pub(super) fills: bool,
    values: BTreeMap<String, Value>,
    /// `env`: of the job, and what its steps added.
    env: Value,
    /// `steps`, by id.
    steps: Value,
    status: JobStatus,
    job: Value,
    workspace: PathBuf,
    /// What no message may show.
    secrets: Arc<Secrets>,
}

impl Contexts {
    /// Those that do not change while the job runs: the server's with `more` over them.
    pub(super) fn new(
        context: &JobContext,
        more: impl IntoIterator<Item = (&'static str, Value)>,
        workspace: PathBuf,
        secrets: Arc<Secrets>,
    ) -> Self {
        let mut values = BTreeMap::new();
        if let Some(workflow) = &context.workflow {
            values.extend(OF_WORKFLOWS.map(|name| (name.to_owned(), json!({}))));
            let sent = workflow.contexts.iter().map(|(name, value)| (name.clone(), value.clone()));
            values.extend(sent);
        }
        values.extend(more.into_iter().map(|(name, value)| (name.to_owned(), value)));
        let mut contexts = Self {
            fills: context.workflow.is_some(),
            values,
            env: json!({}),
            steps: json!({}),
            status: JobStatus::Success,
            job: Value::Null,
            workspace,
            secrets,
        };
        contexts.set_status(JobStatus::Success);
        contexts
    }

    pub(super) fn status(&self) -> JobStatus {
        self.status
    }

    pub(super) fn set_status(&mut self, status: JobStatus) {
        self.status = status;
        self.job = json!({ "status": status.as_str() });
    }

    /// Sets a value of `github` that is another one in each step.
    pub(super) fn set_github(&mut self, key: &str, value: &str) {
        if let Some(Value::Object(github)) = self.values.get_mut("github") {
            github.insert(key.to_owned(), value.into());
        }
    }

    /// Adds to `env`.
    pub(super) fn add_env(&mut self, name: &str, value: &str) {
        if let Value::Object(env) = &mut self.env {
            env.insert(name.to_owned(), value.into());
        }
    }

    /// `env` with a step's own over it.
    pub(super) fn env_with(&self, of_step: &BTreeMap<String, String>) -> Value {
        let mut env = self.env.as_object().cloned().unwrap_or_default();
        env.extend(of_step.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))));
        Value::Object(env)
    }

    /// What later steps see of a step that has ended.
    pub(super) fn add_step(
        &mut self,
        id: &str,
        outputs: BTreeMap<String, String>,
        outcome: Outcome,
        conclusion: Outcome,
    ) {
        let outputs: Map<String, Value> =
            outputs.into_iter().map(|(name, value)| (name, value.into())).collect();
        let (outcome, conclusion) = (outcome.as_str(), conclusion.as_str());
        let step = json!({ "outputs": outputs, "outcome": outcome, "conclusion": conclusion });
        if let Value::Object(steps) = &mut self.steps {
            steps.insert(id.to_owned(), step);
        }
    }

    /// A text with its expressions filled in. `key` is what people find it under.
    ///
    /// # Errors
    ///
    /// What is wrong, with the key and the expression, for people.
    pub(super) async fn fill(
        &self,
        key: &str,
        text: &str,
        env: Option<&Value>,
    ) -> Result<String, String> {
        if !self.fills || !text.contains("${{") {
            return Ok(text.to_owned());
        }
        let of_text = |error: &dyn std::fmt::Display| self.told(key, text, error);
        let template = Template::parse(text).map_err(|error| of_text(&error))?;
        let answer = self.evaluate(env, None, |scope| template.text(scope)).await;
        answer.map_err(|error| of_text(&error))
    }

    /// Whether a condition holds.
    ///
    /// # Errors
    ///
    /// As of [`Self::fill`].
    pub(super) async fn holds(&self, text: &str, env: Option<&Value>) -> Result<bool, String> {
        let of_text = |error: &dyn std::fmt::Display| self.told("if", text, error);
        let condition = Expression::condition(text).map_err(|error| of_text(&error))?;
        let status = Status {
            success: self.status == JobStatus::Success,
            failure: self.status == JobStatus::Failure,
            cancelled: self.status == JobStatus::Cancelled,
        };
        let answer = self.evaluate(env, Some(status), |scope| condition.truth(scope)).await;
        answer.map_err(|error| of_text(&error))
    }

    /// Whether a text that says yes or no, or an expression that does, says yes.
    ///
    /// # Errors
    ///
    /// As of [`Self::fill`], and where it says something else.
    pub(super) async fn says_yes(
        &self,
        key: &str,
        text: &str,
        env: Option<&Value>,
    ) -> Result<bool, String> {
        let of_text = |error: &dyn std::fmt::Display| self.told(key, text, error);
        let template = Template::parse(text.trim()).map_err(|error| of_text(&error))?;
        let answer = self.evaluate(env, None, |scope| template.text(scope)).await;
        match answer.map_err(|error| of_text(&error))?.as_str() {
            "true" => Ok(true),
            "false" | "" => Ok(false),
            _ => Err(of_text(&"it is neither true nor false")),
        }
    }

    /// What somebody asks of a scope, with all hashes of files that it asks for.
    pub(super) async fn evaluate<T>(
        &self,
        env: Option<&Value>,
        status: Option<Status>,
        ask: impl Fn(&Scope<'_>) -> Result<T, EvalError>,
    ) -> Result<T, EvalError> {
        let mut hashes: BTreeMap<Vec<String>, Result<String, String>> = BTreeMap::new();
        loop {
            let (answer, missing) = self.try_evaluate(env, status, &ask, &hashes);
            // Each round knows one hash more, and an expression has no more calls than letters.
            let Some(patterns) = missing else { return answer };
            let hash = hash_files(self.workspace.clone(), patterns.clone()).await;
            hashes.insert(patterns, hash);
        }
    }

    pub(super) fn told(&self, key: &str, text: &str, error: &dyn std::fmt::Display) -> String {
        format!("`{key}`: `{}`: {error}", first_line(&self.secrets.mask(text)))
    }

    /// What it comes to, and the first hash that was not known.
    fn try_evaluate<T>(
        &self,
        env: Option<&Value>,
        status: Option<Status>,
        ask: impl Fn(&Scope<'_>) -> Result<T, EvalError>,
        hashes: &BTreeMap<Vec<String>, Result<String, String>>,
    ) -> (Result<T, EvalError>, Option<Vec<String>>) {
        let missing = RefCell::new(None);
        let hash = |patterns: &[String]| match hashes.get(patterns) {
            Some(hash) => hash.clone(),
            None => {
                missing.borrow_mut().get_or_insert_with(|| patterns.to_vec());
                Err("it is not known yet".to_owned())
            }
        };
        let mut scope = Scope::new().with_hash_files(&hash);
        for (name, value) in &self.values {
            scope = scope.with(name, value);
        }
        scope = scope.with("env", env.unwrap_or(&self.env));
        scope = scope.with("steps", &self.steps).with("job", &self.job);
        if let Some(status) = status {
            scope = scope.with_status(status);
        }
        let answer = ask(&scope);
        (answer, missing.into_inner())
    }
}

/// Whether any expression of the job looks at the event's payload, which may be large.
pub(super) fn looks_at_event(context: &JobContext) -> bool {
    let Some(workflow) = &context.workflow else { return false };
    let steps: &[Step] = match &context.work {
        JobWork::Steps(steps) => steps,
        JobWork::Agent { .. } => &[],
    };
    let of_step = |step: &Step| -> Vec<String> {
        let single =
            [&step.name, &step.working_directory, &step.continue_on_error, &step.timeout_minutes];
        let single = single.into_iter().flatten().chain([&step.run]);
        let many = step.env.values().chain(step.expressions.values()).chain(step.with.values());
        single.chain(many).cloned().collect()
    };
    let texts = steps.iter().flat_map(of_step);
    let texts =
        texts.chain(context.env.values().cloned()).chain(workflow.outputs.values().cloned());
    let in_text = texts
        .filter(|text| text.contains("${{"))
        .filter_map(|text| Template::parse(&text).ok())
        .any(|template| template.uses().paths.iter().any(|path| is_of_event(path)));
    let conditions = steps.iter().filter_map(|step| step.condition.as_deref());
    in_text
        || conditions
            .filter_map(|text| Expression::condition(text).ok())
            .any(|condition| condition.uses().paths.iter().any(|path| is_of_event(path)))
}

fn is_of_event(path: &str) -> bool {
    let mut parts = path.split('.');
    parts.next() == Some("github") && matches!(parts.next(), None | Some("event" | "*"))
}

#[cfg(test)]
mod tests {
    use super::super::tests::job_context;
    use super::*;
    use crate::model::WorkflowJob;

    fn workflow(sent: Value) -> JobContext {
        let Value::Object(contexts) = sent else { panic!("a map") };
        let workflow = WorkflowJob { contexts, ..WorkflowJob::default() };
        let mut context = job_context(Vec::new());
        context.workflow = Some(Box::new(workflow));
        context
    }

    fn contexts(context: &JobContext, workspace: PathBuf) -> Contexts {
        let runner = [("runner", json!({ "os": "Linux" }))];
        Contexts::new(context, runner, workspace, Arc::default())
    }

    #[tokio::test]
    async fn texts_of_a_workflow_are_filled_in_and_those_of_others_are_not() {
        let folder = tempfile::tempdir().expect("tempdir");
        std::fs::write(folder.path().join("a"), "1").expect("written");
        let context = workflow(json!({ "github": { "ref": "main" }, "matrix": { "n": 2 } }));
        let mut it = contexts(&context, folder.path().to_owned());
        it.add_env("A", "1");
        it.add_step("x", [("o".into(), "v".into())].into(), Outcome::Failure, Outcome::Success);
        let text = "${{ github.ref }} ${{ matrix.n }} ${{ env.A }} ${{ steps.x.outputs.o }} \
                    ${{ steps.x.outcome }} ${{ steps.x.conclusion }} ${{ job.status }} \
                    ${{ runner.os }} ${{ inputs.none }}|${{ hashFiles('b') }}|";
        let filled = it.fill("run", text, None).await;
        assert_eq!(filled.as_deref(), Ok("main 2 1 v failure success success Linux ||"));
        let env = it.env_with(&[("A".into(), "2".into())].into());
        assert_eq!(it.fill("run", "${{ env.A }}", Some(&env)).await.as_deref(), Ok("2"));
        let hashes = "${{ hashFiles('a') == hashFiles('*') && hashFiles('a') != '' }}";
        assert_eq!(it.fill("run", hashes, None).await.as_deref(), Ok("true"));

        let plain = contexts(&job_context(Vec::new()), folder.path().to_owned());
        assert_eq!(plain.fill("run", "${{ x", None).await.as_deref(), Ok("${{ x"));
        assert_eq!(plain.holds("runner.os == 'Linux'", None).await, Ok(true));
        let error = plain.holds("github.ref == ''", None).await.expect_err("not there");
        assert_eq!(error, "`if`: `github.ref == ''`: the context `github` is not available here");
    }

    #[tokio::test]
    async fn what_goes_wrong_names_the_key_and_the_expression() {
        let it = contexts(&workflow(json!({})), PathBuf::from("/nowhere"));
        let error = it.fill("env.A", "x ${{ fromJSON('{') }}", None).await.expect_err("no JSON");
        assert!(error.starts_with("`env.A`: `x ${{ fromJSON('{') }}`: "), "{error}");
        let error = it.fill("run", "${{ nonsense }}", None).await.expect_err("no context");
        assert!(error.starts_with("`run`: `${{ nonsense }}`: "), "{error}");
        let error = it.fill("name", "${{ hashFiles('../x') }}", None).await.expect_err("outside");
        assert!(error.contains("leads out of the workspace"), "{error}");
    }

    #[tokio::test]
    async fn conditions_follow_the_jobs_status() {
        let mut it = contexts(&workflow(json!({})), PathBuf::from("/nowhere"));
        let table = [
            ("success()", [true, false, false]),
            ("failure()", [false, true, false]),
            ("cancelled()", [false, false, true]),
            ("always()", [true, true, true]),
            ("!cancelled()", [true, true, false]),
            ("true", [true, false, false]),
            ("${{ job.status == 'failure' && always() }}", [false, true, false]),
        ];
        let all = [JobStatus::Success, JobStatus::Failure, JobStatus::Cancelled];
        for (at, status) in all.into_iter().enumerate() {
            it.set_status(status);
            for (text, expected) in table {
                assert_eq!(it.holds(text, None).await, Ok(expected[at]), "{text} {status:?}");
            }
        }
        assert_eq!(it.says_yes("c", "${{ 1 == 1 }}", None).await, Ok(true));
        assert_eq!(it.says_yes("c", "false", None).await, Ok(false));
        assert!(it.says_yes("c", "maybe", None).await.is_err());
    }

    #[test]
    fn the_payload_is_read_only_where_somebody_looks_at_it() {
        let looks = |step: Step| {
            let mut context = workflow(json!({}));
            context.work = JobWork::Steps(vec![step]);
            looks_at_event(&context)
        };
        let run = |run: &str| Step { run: run.into(), ..Step::default() };
        assert!(!looks(run("cat $GITHUB_EVENT_PATH; echo ${{ github.event_name }}")));
        for text in
            ["${{ github.event.number }}", "${{ toJSON(github) }}", "${{ github['event'] }}"]
        {
            assert!(looks(run(text)), "{text}");
        }
        let condition = Some("contains(github.event.labels.*.name, 'x')".to_owned());
        assert!(looks(Step { condition, ..run("x") }));
    }
}
