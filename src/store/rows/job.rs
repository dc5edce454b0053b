//! `job` and `job_done`, with the edges between their rows.

use crate::model::{
    ClassId, Edge, EndReason, Job, JobExtras, JobId, JobPriority, JobState, JobStateKind, Lease,
    LeaseToken, Nonce, RunnerId, TenantId, WorkloadId,
};
use crate::store::bind::Bind;
use crate::store::columns::Columns;
use crate::store::error::StoreError;
use crate::store::row::Row;

/// Bits of the column `flags`.
const NEED_FAILED: i64 = 1;
const IN_GROUP: i64 = 2;
const UNSCHEDULABLE: i64 = 4;

/// The values of a whole row, as in `job_insert` and `job_done_insert`.
pub(in crate::store) fn bind(job: &Job, to: &mut Bind) {
    to.int(job.id.0)
        .int(job.workload_id.0)
        .int(job.class_id.0)
        .int(job.tenant_id.0)
        .text(&*job.name)
        .int(job.timeout_ms)
        .int(job.backoff_ms);
    bind_state(job, to);
    to.opt_json(job.terms.as_deref());
    bind_rest(job, to);
}

/// The key and the values that can change, as in `job_update`.
pub(in crate::store) fn bind_update(job: &Job, to: &mut Bind) {
    to.int(job.id.0);
    bind_state(job, to);
    bind_rest(job, to);
}

/// The key and what only a new plan changes, as in `job_replan`.
pub(in crate::store) fn bind_replan(job: &Job, to: &mut Bind) {
    to.int(job.id.0).int(job.class_id.0).int(job.timeout_ms).int(job.backoff_ms);
    to.opt_json(job.terms.as_deref());
}

fn bind_state(job: &Job, to: &mut Bind) {
    to.int(job.kind() as i64)
        .int(job.priority as i64)
        .int(job.lane_key)
        .int(job.queued_at_ms)
        .int(job.not_before_ms)
        .int(i64::from(job.attempt))
        .int(i64::from(job.retry_count))
        .int(i64::from(job.max_retries))
        .int(i64::from(job.extras.infra_failures))
        .int(job.extras.avoid_runner_id.map(|id| id.0))
        .int(job.extras.cancel_requested_at_ms)
        .text(job.extras.external_ref.as_deref());
    let lease = job.lease();
    to.int(lease.map(|lease| lease.token.0))
        .int(lease.map(|lease| lease.nonce.0.cast_signed()))
        .int(lease.map(|lease| lease.runner_id.0))
        .int(lease.map(|lease| lease.assigned_at_ms));
    let (started_at_ms, ended_at_ms, reason) = match &job.state {
        JobState::Running { started_at_ms, .. } => (Some(*started_at_ms), None, None),
        JobState::Ended { at_ms, reason, .. } => (None, Some(*at_ms), Some(*reason as i64)),
        JobState::Blocked | JobState::Pending | JobState::Claimed(_) => (None, None, None),
    };
    to.int(started_at_ms).int(ended_at_ms).int(reason);
}

fn bind_rest(job: &Job, to: &mut Bind) {
    let flags = NEED_FAILED * i64::from(job.need_failed)
        + IN_GROUP * i64::from(job.in_group)
        + UNSCHEDULABLE * i64::from(job.unschedulable);
    to.int(job.ready_at_ms).int(flags).opt_json(job.extras.units.as_deref());
}

/// A row of `table`, as `job_load` and the reads select it.
///
/// # Errors
/// [`StoreError::Corrupt`], also when a column is missing that the state needs.
pub(in crate::store) fn read(table: &'static str, row: &Row) -> Result<Job, StoreError> {
    let mut columns = Columns::new(table, row);
    let id = JobId(columns.int("id")?);
    let workload_id = WorkloadId(columns.int("workload_id")?);
    let class_id = ClassId(columns.int("class_id")?);
    let tenant_id = TenantId(columns.int("tenant_id")?);
    let name = columns.text("name")?;
    let timeout_ms = columns.int("timeout_ms")?;
    let backoff_ms = columns.int("backoff_ms")?;
    let kind = columns.code("state", JobStateKind::from_code)?;
    let mut row = Job {
        id,
        workload_id,
        class_id,
        tenant_id,
        name: name.into(),
        timeout_ms,
        backoff_ms,
        priority: columns.code("priority", JobPriority::from_level)?,
        lane_key: columns.int("lane_key")?,
        queued_at_ms: columns.int("queued_at_ms")?,
        not_before_ms: columns.int("not_before_ms")?,
        attempt: columns.count("attempt")?,
        retry_count: columns.count("retry_count")?,
        max_retries: columns.count("max_retries")?,
        extras: read_extras(&mut columns)?.into(),
        state: read_state(kind, &mut columns)?,
        terms: columns.opt_json("terms")?.map(Box::new),
        ready_at_ms: columns.int("ready_at_ms")?,
        need_failed: false,
        in_group: false,
        unschedulable: false,
    };
    let flags = columns.int("flags")?;
    row.need_failed = flags & NEED_FAILED != 0;
    row.in_group = flags & IN_GROUP != 0;
    row.unschedulable = flags & UNSCHEDULABLE != 0;
    if let Some(units) = columns.opt_json("units")? {
        row.extras.edit(|extras| extras.units = Some(Box::new(units)));
    }
    Ok(row)
}

/// The columns from `infra_failures` on, but for those that stand elsewhere.
fn read_extras(columns: &mut Columns<'_>) -> Result<JobExtras, StoreError> {
    Ok(JobExtras {
        infra_failures: columns.count("infra_failures")?,
        avoid_runner_id: columns.get::<Option<i64>>("avoid_runner_id")?.map(RunnerId),
        cancel_requested_at_ms: columns.get("cancel_requested_at_ms")?,
        external_ref: columns.opt_text("external_ref")?,
        units: None,
    })
}

/// The columns from `lease_token` on: those that a state needs must be there.
fn read_state(kind: JobStateKind, columns: &mut Columns<'_>) -> Result<JobState, StoreError> {
    let token: Option<i64> = columns.get("lease_token")?;
    let nonce: Option<i64> = columns.get("lease_nonce")?;
    let runner_id: Option<i64> = columns.get("runner_id")?;
    let assigned_at_ms: Option<i64> = columns.get("assigned_at_ms")?;
    let started_at_ms: Option<i64> = columns.get("started_at_ms")?;
    let ended_at_ms: Option<i64> = columns.get("ended_at_ms")?;
    let reason = columns.opt_code("end_reason", EndReason::from_code)?;

    let missing = |column| columns.corrupt(column, format!("is NULL in state {kind}"));
    let lease = || {
        Ok::<_, StoreError>(Box::new(Lease {
            token: LeaseToken(token.ok_or_else(|| missing("lease_token"))?),
            nonce: Nonce(nonce.ok_or_else(|| missing("lease_nonce"))?.cast_unsigned()),
            runner_id: RunnerId(runner_id.ok_or_else(|| missing("runner_id"))?),
            assigned_at_ms: assigned_at_ms.ok_or_else(|| missing("assigned_at_ms"))?,
        }))
    };
    Ok(match kind {
        JobStateKind::Blocked => JobState::Blocked,
        JobStateKind::Pending => JobState::Pending,
        JobStateKind::Claimed => JobState::Claimed(lease()?),
        JobStateKind::Running => JobState::Running {
            lease: lease()?,
            started_at_ms: started_at_ms.ok_or_else(|| missing("started_at_ms"))?,
        },
        JobStateKind::Completed
        | JobStateKind::Failed
        | JobStateKind::Cancelled
        | JobStateKind::Skipped => JobState::Ended {
            kind,
            at_ms: ended_at_ms.ok_or_else(|| missing("ended_at_ms"))?,
            reason: reason.ok_or_else(|| missing("end_reason"))?,
        },
    })
}

/// The values of `edge_insert`.
pub(in crate::store) fn bind_edge(edge: &Edge, to: &mut Bind) {
    to.int(edge.workload_id.0).int(edge.job_id.0).int(edge.needs_job_id.0);
}

/// A row of `edge`.
///
/// # Errors
/// [`StoreError::Corrupt`].
pub(in crate::store) fn read_edge(row: &Row) -> Result<Edge, StoreError> {
    let mut columns = Columns::new("edge", row);
    Ok(Edge {
        workload_id: WorkloadId(columns.int("workload_id")?),
        job_id: JobId(columns.int("job_id")?),
        needs_job_id: JobId(columns.int("needs_job_id")?),
    })
}
