//! What tests of steps begin with.

use std::collections::BTreeMap;

use crate::api::wire::{Assignment, JobContext};
use crate::model::{
    JobId, JobPriority, JobWork, LeaseToken, Nonce, Step, Trust, WorkloadId, WorkloadKind,
};

pub(super) fn job_context(steps: Vec<Step>) -> JobContext {
    JobContext {
        job_id: JobId(7),
        attempt: 1,
        idempotency_key: "job-7".into(),
        work: JobWork::Steps(steps),
        env: BTreeMap::new(),
        trust: Trust::default(),
        event: None,
        has_payload: false,
        needs: BTreeMap::new(),
        traceparent: None,
        workflow: None,
        session: None,
    }
}

pub(super) fn assignment() -> Assignment {
    Assignment {
        job_id: JobId(7),
        workload_id: WorkloadId(70),
        run: 1,
        kind: WorkloadKind::Workflow,
        name: "build".into(),
        namespace: "default::workflow::ci::build".into(),
        priority: JobPriority::Normal,
        attempt: 1,
        retry_count: 0,
        max_retries: 0,
        timeout_ms: 60_000,
        lease: LeaseToken(1),
        nonce: Nonce(1),
        ack_window_ms: 10_000,
        units: Default::default(),
    }
}
