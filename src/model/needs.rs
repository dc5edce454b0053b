//! What jobs of workflow files are told of the jobs that they need: the contexts `needs` and `github`, as
//! far as only the server knows them. In one place, for conditions and for runners.
//!
//! The forms are GitHub's:
//! <https://docs.github.com/actions/reference/workflows-and-actions/contexts#needs-context>.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{EndReason, Job, JobState, JobStateKind, Workload};

/// A job that another one needs, and what it put out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EndedNeed {
    /// Its row.
    pub job: Job,
    /// The outputs of its last attempt. A job that failed has them too: it may be one that may fail.
    pub outputs: BTreeMap<String, String>,
}

impl EndedNeed {
    /// The name by which expressions know it: that of its matrix, else its own.
    fn key(&self) -> &str {
        self.job.matrix().map_or(&*self.job.name, |matrix| &matrix.key)
    }

    fn ended_at_ms(&self) -> i64 {
        match self.job.state {
            JobState::Ended { at_ms, .. } => at_ms,
            _ => i64::MAX,
        }
    }

    /// The jobs of its matrix stand in its place, and are needed themselves.
    fn is_placeholder(&self) -> bool {
        matches!(self.job.state, JobState::Ended { reason: EndReason::Expanded, .. })
    }

    /// Whether somebody cancelled it, as no fate of others does.
    pub fn was_cancelled(&self) -> bool {
        matches!(self.job.state, JobState::Ended { reason: EndReason::CancelRequested, .. })
    }
}

/// The context `needs`: of each key how its jobs ended together, and all their outputs, of which the one
/// that ended later wins.
pub fn needs_context(needs: &[EndedNeed]) -> Map<String, Value> {
    let mut by_key: BTreeMap<&str, Vec<&EndedNeed>> = BTreeMap::new();
    for need in needs.iter().filter(|need| !need.is_placeholder()) {
        by_key.entry(need.key()).or_default().push(need);
    }
    let entry = |(key, mut jobs): (&str, Vec<&EndedNeed>)| {
        jobs.sort_by_key(|need| (need.ended_at_ms(), need.job.id));
        let outputs = jobs.iter().flat_map(|need| &need.outputs);
        let outputs: Map<_, _> =
            outputs.map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect();
        (key.to_owned(), json!({ "result": result(&jobs), "outputs": outputs }))
    };
    by_key.into_iter().map(entry).collect()
}

/// How the jobs of one key ended together.
fn result(jobs: &[&EndedNeed]) -> &'static str {
    let any = |kind| jobs.iter().any(|need| need.job.counts_as(need.job.kind()) == kind);
    let all = |kind| jobs.iter().all(|need| need.job.kind() == kind);
    match () {
        () if any(JobStateKind::Failed) => "failure",
        () if any(JobStateKind::Cancelled) => "cancelled",
        () if all(JobStateKind::Skipped) => "skipped",
        () => "success",
    }
}

/// The context `github` of a job with this key, with what only its workload knows.
pub fn github_of_run(
    planned: Option<&Value>,
    workload: &Workload,
    run: u32,
    key: &str,
) -> Map<String, Value> {
    let mut github = planned.and_then(Value::as_object).cloned().unwrap_or_default();
    // GitHub's run id and run attempt are texts, its numbers too.
    github.insert("run_id".into(), workload.id.to_string().into());
    github.insert("run_number".into(), workload.id.to_string().into());
    github.insert("run_attempt".into(), run.to_string().into());
    github.insert("job".into(), key.into());
    github
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        ClassId, JobId, JobPriority, JobTerms, MatrixTerms, Rare, TenantId, WorkloadId,
    };

    fn need(id: i64, key: Option<&str>, kind: JobStateKind, outputs: &[(&str, &str)]) -> EndedNeed {
        let matrix =
            key.map(|key| MatrixTerms { key: key.into(), max_parallel: None, fail_fast: false });
        let reason = match kind {
            JobStateKind::Completed => EndReason::Succeeded,
            JobStateKind::Failed => EndReason::Failed,
            JobStateKind::Cancelled => EndReason::CancelRequested,
            _ => EndReason::NeedNotMet,
        };
        let job = Job {
            id: JobId(id),
            workload_id: WorkloadId(1),
            class_id: ClassId(1),
            tenant_id: TenantId::DEFAULT,
            name: format!("job {id}").as_str().into(),
            terms: JobTerms { matrix, ..JobTerms::default() }.boxed(),
            // The later one has the smaller number.
            state: JobState::Ended { kind, at_ms: 100 - id, reason },
            priority: JobPriority::Normal,
            lane_key: 0,
            queued_at_ms: 0,
            ready_at_ms: 0,
            not_before_ms: 0,
            timeout_ms: 1,
            backoff_ms: 0,
            attempt: 1,
            retry_count: 0,
            max_retries: 0,
            need_failed: false,
            in_group: false,
            unschedulable: false,
            extras: Rare::default(),
        };
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        EndedNeed { job, outputs: outputs.iter().map(own).collect() }
    }

    #[test]
    fn the_jobs_of_a_matrix_are_one_entry_and_the_output_that_came_last_wins() {
        use JobStateKind::Completed;
        let needs = [
            need(1, Some("build"), Completed, &[("x", "later"), ("one", "1")]),
            need(2, Some("build"), Completed, &[("x", "sooner"), ("two", "2")]),
            need(3, None, Completed, &[]),
        ];
        let told = json!({
            "build": { "result": "success", "outputs": { "x": "later", "one": "1", "two": "2" } },
            "job 3": { "result": "success", "outputs": {} },
        });
        assert_eq!(Value::Object(needs_context(&needs)), told);
    }

    #[test]
    fn a_failure_outranks_a_cancel_and_a_matrix_is_skipped_when_all_of_it_is() {
        use JobStateKind::{Cancelled, Completed, Failed, Skipped};
        let result = |kinds: &[JobStateKind]| {
            let needs: Vec<_> =
                (1..).zip(kinds).map(|(id, kind)| need(id, Some("m"), *kind, &[])).collect();
            needs_context(&needs)["m"]["result"].clone()
        };
        assert_eq!(result(&[Completed, Failed, Cancelled]), "failure");
        assert_eq!(result(&[Completed, Cancelled, Skipped]), "cancelled");
        assert_eq!(result(&[Completed, Skipped]), "success");
        assert_eq!(result(&[Skipped, Skipped]), "skipped");
    }

    #[test]
    fn an_allowed_failure_is_a_success_and_who_was_replaced_does_not_count() {
        let mut allowed = need(1, None, JobStateKind::Failed, &[]);
        allowed.job.terms = JobTerms { allow_failure: true, ..JobTerms::default() }.boxed();
        let mut replaced = need(2, None, JobStateKind::Completed, &[]);
        replaced.job.state = JobState::Ended {
            kind: JobStateKind::Completed,
            at_ms: 1,
            reason: EndReason::Expanded,
        };
        let told = json!({ "job 1": { "result": "success", "outputs": {} } });
        assert_eq!(Value::Object(needs_context(&[allowed, replaced])), told);
    }
}
