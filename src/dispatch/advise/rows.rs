//! From an excerpt to the rows that a scheduler is loaded from.

use super::excerpt::{Excerpt, Rows};
use crate::dispatch::runs::{NOT_STARTED_MS, Run, RunAt, RunKind};
use crate::model::{
    Job, JobExtras, JobPriority, JobState, Runner, TenantId, Workload, WorkloadKind, WorkloadState,
};

impl Excerpt {
    /// All of it as rows.
    pub(super) fn rows(&self) -> Rows {
        let mut rows = self.rows.clone();
        let snapshot = &mut rows.snapshot;
        snapshot.runners = self.runners.iter().map(|row| Runner::clone(row)).collect();
        for (kind, at, run) in &self.alone {
            snapshot.jobs.push(job(*kind, *at, run));
            snapshot.workloads.push(workload(*kind, run));
        }
        snapshot.jobs.sort_unstable_by_key(|job| job.id);
        snapshot.workloads.sort_unstable_by_key(|workload| workload.id);
        rows
    }
}

impl Rows {
    /// How many jobs wait, of a tenant or of all.
    pub(super) fn jobs_waiting(&self, tenant: Option<TenantId>) -> u64 {
        let of = self.waiting_of.iter().filter(|(id, _)| tenant.is_none_or(|it| it == **id));
        of.map(|(_, waiting)| waiting).sum()
    }

    /// Jobs that are asked about, of a tenant or of all.
    pub(super) fn asked(&self, tenant: Option<TenantId>) -> impl Iterator<Item = &Job> {
        let jobs = self.snapshot.jobs.iter();
        jobs.filter(move |job| {
            self.waiting.contains(&job.id) && tenant.is_none_or(|it| it == job.tenant_id)
        })
    }
}

/// A job that runs, as far as it matters: that it has a slot and its share of limits until it ends.
fn job(kind: RunKind, (since_ms, id): RunAt, run: &Run) -> Job {
    let began_ms = run.lease.assigned_at_ms;
    let cancel_requested_at_ms = run.stopping.then_some(began_ms);
    let extras = JobExtras { cancel_requested_at_ms, ..JobExtras::default() };
    Job {
        id,
        workload_id: run.workload_id,
        class_id: kind.class_id,
        tenant_id: kind.tenant_id,
        name: "runs".into(),
        terms: None,
        state: match since_ms {
            NOT_STARTED_MS => JobState::Claimed(Box::new(run.lease)),
            started_at_ms => JobState::Running { lease: Box::new(run.lease), started_at_ms },
        },
        priority: if kind.critical { JobPriority::Critical } else { JobPriority::Normal },
        lane_key: began_ms,
        queued_at_ms: began_ms,
        ready_at_ms: began_ms,
        not_before_ms: 0,
        timeout_ms: run.timeout_ms,
        backoff_ms: 0,
        attempt: 1,
        retry_count: 0,
        max_retries: 0,
        extras: extras.into(),
        need_failed: false,
        in_group: false,
        unschedulable: false,
    }
}

fn workload(kind: RunKind, run: &Run) -> Workload {
    Workload {
        id: run.workload_id,
        run: 1,
        kind: WorkloadKind::Workflow,
        name: "runs".into(),
        tenant_id: kind.tenant_id,
        delivery_id: None,
        trigger: "".into(),
        session_key: None,
        terms: None,
        open: false,
        in_group: false,
        quiet_until_ms: 0,
        state: WorkloadState::Running,
        begun: true,
        created_at_ms: run.lease.assigned_at_ms,
        ended_at_ms: None,
    }
}
