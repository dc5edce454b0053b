//! Workloads to submit.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::{
    JobPriority, JobSpec, JobWork, PlannedJob, PlannedWorkload, RetryPolicy, RunnerRequirements,
    TenantId, Trust, WorkloadKind,
};

/// A job that any runner can take, without retries.
pub(crate) fn job(name: &str) -> PlannedJob {
    PlannedJob {
        name: name.into(),
        needs: Vec::new(),
        requirements: RunnerRequirements::default(),
        priority: JobPriority::Normal,
        timeout_ms: 600_000,
        retry: RetryPolicy { max_retries: 0, backoff_ms: 0 },
        not_before_ms: 0,
        terms: Default::default(),
        spec: Arc::new(JobSpec {
            work: JobWork::Steps(Vec::new()),
            env: BTreeMap::new(),
            trust: Trust::default(),
            traceparent: None,
            workflow: None,
        }),
    }
}

/// A job that needs others.
pub(crate) fn after(name: &str, needs: &[&str]) -> PlannedJob {
    PlannedJob { needs: needs.iter().map(ToString::to_string).collect(), ..job(name) }
}

/// A job of a priority.
pub(crate) fn urgent(name: &str, priority: JobPriority) -> PlannedJob {
    PlannedJob { priority, ..job(name) }
}

/// A job that wants a label.
pub(crate) fn labelled(name: &str, label: &str) -> PlannedJob {
    let labels = vec![label.into()];
    PlannedJob {
        requirements: RunnerRequirements { labels, ..RunnerRequirements::default() },
        ..job(name)
    }
}

/// A job that may fail so often.
pub(crate) fn retried(name: &str, max_retries: u32, backoff_ms: i64) -> PlannedJob {
    PlannedJob { retry: RetryPolicy { max_retries, backoff_ms }, ..job(name) }
}

pub(crate) fn workload(jobs: Vec<PlannedJob>) -> PlannedWorkload {
    PlannedWorkload {
        kind: WorkloadKind::Workflow,
        name: "build".into(),
        trigger: "on-push".into(),
        tenant_id: TenantId::DEFAULT,
        session: None,
        terms: Default::default(),
        open: false,
        jobs,
    }
}
