//! The facts that a decision is made from, read at one moment.

use std::sync::Arc;

use serde_json::Value;

use crate::event::github;
use crate::model::{
    EndedNeed, Facts, Job, JobId, JobSpec, JobStateKind, PlannedJob, RetryPolicy, Status,
    github_of_run, needs_context,
};
use crate::store::{Store, StoreError};
use crate::webhook::stored_json;

/// What was read about a job that waits for a decision.
pub(super) struct Read {
    /// The run of its workload.
    pub(super) run: u32,
    needs: Value,
    github: Value,
    status: Status,
    job: PlannedJob,
}

impl Read {
    pub(super) fn spec(&self) -> &JobSpec {
        &self.job.spec
    }

    pub(super) fn with_facts<T>(&self, take: impl FnOnce(&Facts<'_>) -> T) -> T {
        take(&Facts {
            needs: &self.needs,
            github: &self.github,
            status: self.status,
            job: &self.job,
        })
    }
}

/// Reads what is known; `None` for a job that is not there, or waits for nothing that it needs.
pub(super) async fn read(store: &Store, id: JobId) -> Result<Option<Read>, StoreError> {
    let Some(mut context) = store.job_context(id).await? else { return Ok(None) };
    if context.job.kind() != JobStateKind::Blocked {
        return Ok(None);
    }
    let requirements = store.requirements(context.job.class_id).await?.unwrap_or_default();
    let event = match context.workload.delivery_id {
        Some(delivery_id) if mentions_github(&context.spec) => {
            store.delivery_body(delivery_id).await?.and_then(|body| stored_json(&body))
        }
        _ => None,
    };
    if let Some(known) = &mut context.spec.workflow {
        github::complete(known, context.event.as_deref(), &context.workload.name);
    }
    let known = context.spec.workflow.as_deref();
    let (planned, key) = match known {
        Some(known) => (known.contexts.get("github"), known.key.as_str()),
        None => (None, &*context.job.name),
    };
    let run = context.workload.run;
    let mut github = github_of_run(planned, &context.workload, run, key);
    github.extend(event.map(|event| ("event".to_owned(), event)));
    Ok(Some(Read {
        run,
        needs: needs_context(&context.ended_needs).into(),
        github: github.into(),
        status: status(&context.job, &context.ended_needs),
        job: PlannedJob {
            name: context.job.name.to_string(),
            needs: context.ended_needs.iter().map(|need| need.job.name.to_string()).collect(),
            requirements,
            priority: context.job.priority,
            timeout_ms: context.job.timeout_ms,
            retry: RetryPolicy {
                max_retries: context.job.max_retries,
                backoff_ms: context.job.backoff_ms,
            },
            not_before_ms: context.job.not_before_ms,
            terms: context.job.terms.as_deref().cloned().unwrap_or_default(),
            spec: Arc::new(context.spec),
        },
    }))
}

/// What the status functions say of a job whose needs have ended.
fn status(job: &Job, needs: &[EndedNeed]) -> Status {
    let well = |need: &EndedNeed| need.job.counts_as(need.job.kind()) == JobStateKind::Completed;
    // It was spared by a cancel of its workload.
    let was_spared = job.extras.cancel_requested_at_ms.is_some();
    Status {
        success: !was_spared && needs.iter().all(well),
        failure: !was_spared && job.need_failed,
        cancelled: was_spared || needs.iter().any(EndedNeed::was_cancelled),
    }
}

/// Whether what is to be decided may ask for the event: then the delivery's body is read, which may be
/// large.
fn mentions_github(spec: &JobSpec) -> bool {
    let Some(known) = &spec.workflow else { return false };
    let mentions = |text: &str| text.to_ascii_lowercase().contains("github");
    known.condition.as_deref().is_some_and(mentions)
        || known.template.as_ref().is_some_and(|template| mentions(&template.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{JobWork, Trust, WorkflowJob};

    fn spec(condition: &str, template: Option<Value>) -> JobSpec {
        JobSpec {
            work: JobWork::Steps(Vec::new()),
            env: Default::default(),
            trust: Trust::default(),
            traceparent: None,
            workflow: Some(Box::new(WorkflowJob {
                condition: Some(condition.to_owned()),
                template,
                ..WorkflowJob::default()
            })),
        }
    }

    #[test]
    fn the_body_is_read_only_for_those_who_may_ask_for_it() {
        assert!(!mentions_github(&spec("needs.a.outputs.x == '1'", None)));
        assert!(mentions_github(&spec("GitHub.event.action == 'opened'", None)));
        let template = serde_json::json!({ "runs-on": "${{ github.event.label.name }}" });
        assert!(mentions_github(&spec("always()", Some(template))));
    }
}
