//! What the benches have in common: settings, a job that does nothing, runners.

use std::collections::BTreeMap;
use std::sync::Arc;

use dispatchyard::dispatch::{Register, Settings};
use dispatchyard::model::{
    JobPriority, JobSpec, JobWork, PlannedJob, PlannedWorkload, PoolId, RetryPolicy,
    RunnerCapabilities, RunnerRequirements, Step, TenantId, Trust, WorkloadKind,
};

/// Times as the defaults have them, limits that no bench reaches.
pub(crate) fn settings() -> Settings {
    Settings {
        max_global_concurrency: 1_000_000,
        heartbeat_timeout_ms: 60_000,
        lease_ms: 60_000,
        ack_window_ms: 10_000,
        cancel_grace_ms: 30_000,
        timeout_grace_ms: 5_000,
        infra_retries_max: 3,
        backoff_max_ms: 60_000,
        poll_wait_max_ms: 60_000,
        workload_jobs_max: 1_000,
        changes_per_command_max: 100_000,
        classes_max: 1_000,
        runners_max: 100_000,
        ..Settings::default()
    }
}

/// A workload of one job with one step, for runners with these labels.
pub(crate) fn one_job(labels: Vec<Box<str>>, priority: JobPriority) -> PlannedWorkload {
    let step = Step { name: None, run: "make test".into(), env: BTreeMap::new(), timeout_ms: None };
    let job = PlannedJob {
        name: "test".into(),
        needs: Vec::new(),
        requirements: RunnerRequirements { labels, ..RunnerRequirements::default() },
        priority,
        timeout_ms: 21_600_000,
        retry: RetryPolicy { max_retries: 0, backoff_ms: 1_000 },
        not_before_ms: 0,
        terms: Default::default(),
        spec: Arc::new(JobSpec {
            work: JobWork::Steps(vec![step]),
            env: BTreeMap::new(),
            trust: Trust::default(),
            traceparent: None,
        }),
    };
    PlannedWorkload {
        kind: WorkloadKind::Workflow,
        name: "build".into(),
        trigger: "on-push".into(),
        tenant_id: TenantId::DEFAULT,
        session_key: None,
        terms: Default::default(),
        open: false,
        jobs: vec![job],
    }
}

/// A runner of that number.
pub(crate) fn register(number: usize, capabilities: RunnerCapabilities) -> Box<Register> {
    Box::new(Register {
        name: format!("runner-{number}").into(),
        instance_id: format!("instance-{number}").into(),
        boot_id: "boot".into(),
        pool_id: PoolId::DEFAULT,
        token_hash: "hash".into(),
        capabilities,
        version: "bench".into(),
    })
}
