//! Which contexts an expression may use where it stands.
//!
//! GitHub's table, without the keys that are not supported here:
//! <https://docs.github.com/en/actions/reference/workflows-and-actions/contexts#context-availability>.

use crate::expression::Uses;

/// A kind of place for expressions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    /// `run-name`: nothing of a job is known.
    Workflow,
    /// `concurrency` of a workflow.
    Group,
    /// `concurrency` of a job.
    JobGroup,
    /// `env` of the workflow.
    WorkflowEnv,
    /// `if` of a job.
    JobIf,
    /// `strategy` of a job: what its matrix is made of.
    Strategy,
    /// What the server asks of the scheduler for a job: `runs-on`, `timeout-minutes`, `continue-on-error`,
    /// `name`.
    Job,
    /// `env` of a job.
    JobEnv,
    /// `outputs` of a job.
    Outputs,
    /// `if` of a step.
    StepIf,
    /// Everything else of a step.
    Step,
}

const WORKFLOW: &[&str] = &["github", "inputs", "vars"];
const WORKFLOW_ENV: &[&str] = &["github", "secrets", "inputs", "vars"];
const JOB_IF: &[&str] = &["github", "needs", "vars", "inputs"];
const JOB: &[&str] = &["github", "needs", "strategy", "matrix", "vars", "inputs"];
const JOB_ENV: &[&str] = &["github", "needs", "strategy", "matrix", "vars", "secrets", "inputs"];
const STEP_IF: &[&str] =
    &["github", "needs", "strategy", "matrix", "job", "runner", "env", "vars", "steps", "inputs"];
const STEP: &[&str] = &[
    "github", "needs", "strategy", "matrix", "job", "runner", "env", "vars", "secrets", "steps",
    "inputs",
];

impl Place {
    fn contexts(self) -> &'static [&'static str] {
        match self {
            Self::Workflow | Self::Group => WORKFLOW,
            Self::WorkflowEnv => WORKFLOW_ENV,
            Self::JobIf | Self::Strategy => JOB_IF,
            Self::Job | Self::JobGroup => JOB,
            Self::JobEnv => JOB_ENV,
            Self::StepIf => STEP_IF,
            Self::Outputs | Self::Step => STEP,
        }
    }

    /// What an expression uses that is not known here, and what is.
    pub(super) fn fault(self, uses: &Uses) -> Option<(String, String)> {
        let roots = uses.paths.iter().map(|path| path.split('.').next().unwrap_or(path));
        if let Some(root) = roots.into_iter().find(|root| !self.contexts().contains(root)) {
            let known = format!("known here are {}", self.contexts().join(", "));
            return Some((format!("`{root}` is not known here"), known));
        }
        // Given by the scheduler when it makes the workload; groups are told of it there.
        let planned = matches!(self, Self::Workflow | Self::JobIf | Self::Strategy | Self::Job);
        let of_run = ["github.run_id", "github.run_number", "github.run_attempt"];
        if let Some(path) = of_run.into_iter().find(|path| planned && uses.paths.contains(*path)) {
            let hint = "it may stand in `concurrency` and in steps".to_owned();
            return Some((format!("`{path}` is not known before the workload is made"), hint));
        }
        if uses.status && !matches!(self, Self::JobIf | Self::StepIf) {
            let hint = "use `job.status`, or the `result` of a need".to_owned();
            let only = "success(), failure(), always() and cancelled() belong into an `if`";
            return Some((only.to_owned(), hint));
        }
        if uses.hash_files && !matches!(self, Self::StepIf | Self::Step) {
            let hint = "call it in a step: only there files exist".to_owned();
            return Some(("hashFiles() is not known here".to_owned(), hint));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expression::Expression;

    #[test]
    fn an_expression_is_refused_where_its_contexts_are_not_known() {
        let told = |place: Place, text: &str| {
            place.fault(&Expression::parse(text).unwrap().uses()).map(|(message, _)| message)
        };
        assert_eq!(told(Place::Workflow, "github.ref || inputs.a"), None);
        assert_eq!(told(Place::Workflow, "needs.a.result").unwrap(), "`needs` is not known here");
        assert_eq!(told(Place::JobIf, "secrets.A").unwrap(), "`secrets` is not known here");
        assert_eq!(told(Place::JobIf, "always() && needs.a.result"), None);
        assert_eq!(told(Place::StepIf, "hashFiles('x') != '' && failure()"), None);
        let of_run = "`github.run_id` is not known before the workload is made";
        assert_eq!(told(Place::Strategy, "github.run_id").unwrap(), of_run);
        assert_eq!(told(Place::Group, "github.run_id"), None);
        assert!(told(Place::Job, "failure()").unwrap().starts_with("success(), failure()"));
        assert_eq!(told(Place::JobEnv, "hashFiles('x')").unwrap(), "hashFiles() is not known here");
        assert_eq!(told(Place::Step, "steps.a.outputs.b == secrets.C"), None);
    }
}
