//! What is decided about jobs when everything that they need has ended, as far as a condition says it.

use serde_json::Value;

use crate::expression::{EvalError, Expression, Scope, Status};
use crate::model::{Decision, Facts, JobSpec, WorkflowJob};

/// Contexts of a job's spec that a condition may name, beside `needs` and `github`.
const CONTEXTS: [&str; 2] = ["inputs", "vars"];

/// Decides a job by its condition; one without runs when all that it needs ended well.
pub(super) fn decide(spec: &JobSpec, facts: &Facts<'_>) -> Decision {
    let plain = WorkflowJob::default();
    let known = spec.workflow.as_deref().unwrap_or(&plain);
    let text = known.condition.as_deref().unwrap_or_default();
    match holds(text, known, facts) {
        Err(why) => Decision::Fail { why: format!("if: {why}").into() },
        Ok(false) => Decision::Skip { why: "".into() },
        Ok(true) if known.template.is_none() => Decision::Run,
        Ok(true) => Decision::Fail {
            why: "what it asks for follows from the outputs of others, and that cannot be worked \
                  out yet"
                .into(),
        },
    }
}

fn holds(text: &str, known: &WorkflowJob, facts: &Facts<'_>) -> Result<bool, String> {
    let condition = Expression::condition(text).map_err(|error| error.to_string())?;
    let status = Status {
        success: facts.status.success,
        failure: facts.status.failure,
        cancelled: facts.status.cancelled,
    };
    let nothing = Value::Object(serde_json::Map::new());
    let scope = CONTEXTS.iter().fold(Scope::new(), |scope, name| {
        scope.with(name, known.contexts.get(*name).unwrap_or(&nothing))
    });
    let scope = scope.with("needs", facts.needs).with("github", facts.github).with_status(status);
    condition.truth(&scope).map_err(|error: EvalError| error.to_string())
}
