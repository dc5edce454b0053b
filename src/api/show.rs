//! From the model's rows to the wire's views.

use super::error::ApiError;
pub(super) use super::show_forecast::{advice, forecast, outlook, predictions};
use super::wire;
use crate::dispatch::{Explanation, Forecast, PoolFigures, Reason, RunnerSnapshot};
use crate::executor::wire_context;
use crate::model::{
    AssignedJob, Attempt, Catalogue, Job, JobPriority, JobState, Pause, PauseScope, QueuedJob,
    Record, Workload,
};
use crate::queue::QueueMetrics;
use crate::store::{DeliveryHead, JobContext, LevelUsage};

pub(super) fn assignment(job: AssignedJob, ack_window_ms: i64) -> wire::Assignment {
    wire::Assignment {
        job_id: job.job_id,
        workload_id: job.workload_id,
        run: job.run,
        kind: job.kind,
        name: job.name.into(),
        namespace: job.namespace,
        priority: job.priority,
        attempt: job.attempt,
        retry_count: job.retry_count,
        max_retries: job.max_retries,
        timeout_ms: job.timeout_ms,
        lease: job.lease.token,
        nonce: job.lease.nonce,
        ack_window_ms,
        units: job.units,
    }
}

/// What a runner that starts is told; `run` and `attempt` are those of its lease.
pub(super) fn context(
    context: JobContext,
    run: u32,
    attempt: u32,
) -> Result<wire::JobContext, ApiError> {
    let corrupt = |error| ApiError::Internal(format!("the event's row: {error}"));
    wire_context(context, run, attempt).map_err(corrupt)
}

pub(super) fn delivery(head: DeliveryHead) -> wire::DeliveryView {
    wire::DeliveryView {
        id: head.id,
        source: head.source.into(),
        external_id: head.external_id.map(Into::into),
        event: head.event_kind.into(),
        action: head.action.map(Into::into),
        state: head.state.as_str().to_owned(),
        reason: head.reason.map(Into::into),
        trust: head.trust,
        approval: head.approval.map(|it| wire::ApprovalView {
            sha: it.about.sha.map(Into::into),
            by: it.by.map(Into::into),
        }),
        replay_of: head.replay_of,
        received_at_ms: head.received_at_ms,
        body_bytes: head.body_bytes,
        triggers: head.verdicts,
    }
}

pub(super) fn workload(row: Workload) -> wire::WorkloadView {
    wire::WorkloadView {
        id: row.id,
        run: row.run,
        kind: row.kind,
        name: row.name.into(),
        trigger: Some(row.trigger).filter(|name| !name.is_empty()).map(Into::into),
        delivery_id: row.delivery_id,
        state: row.state,
        created_at_ms: row.created_at_ms,
        ended_at_ms: row.ended_at_ms,
    }
}

pub(super) fn job(row: &Job) -> wire::JobView {
    let (started_at_ms, ended_at_ms, reason) = match row.state {
        JobState::Running { started_at_ms, .. } => (Some(started_at_ms), None, None),
        JobState::Ended { at_ms, reason, .. } => (None, Some(at_ms), Some(reason)),
        JobState::Blocked | JobState::Pending | JobState::Claimed(_) => (None, None, None),
    };
    wire::JobView {
        id: row.id,
        workload_id: row.workload_id,
        name: row.name.to_string(),
        state: row.kind(),
        reason,
        unschedulable: row.unschedulable,
        priority: row.priority,
        attempt: row.attempt,
        retry_count: row.retry_count,
        max_retries: row.max_retries,
        runner_id: row.lease().map(|lease| lease.runner_id),
        queued_at_ms: row.queued_at_ms,
        started_at_ms,
        ended_at_ms,
        cancel_requested_at_ms: row.extras.cancel_requested_at_ms,
    }
}

pub(super) fn attempt(catalogue: &Catalogue, row: Attempt) -> wire::AttemptView {
    wire::AttemptView {
        pool: catalogue.pool_name(row.pool_id).to_owned(),
        waited_ms: row.waited_ms,
        ran_ms: row.started_at_ms.map(|at_ms| (row.ended_at_ms - at_ms).max(0)),
        cost_micros: row.cost_micros(),
        number: row.number,
        run: row.run,
        lease: row.token,
        runner_id: row.runner_id,
        assigned_at_ms: row.assigned_at_ms,
        started_at_ms: row.started_at_ms,
        ended_at_ms: row.ended_at_ms,
        outcome: row.outcome,
        requeue_reason: row.requeue_reason,
        exit_code: row.exit_code,
        signal: row.signal,
        error: row.error.map(Into::into),
    }
}

pub(super) fn record(row: Record) -> wire::RecordView {
    wire::RecordView {
        name: row.name.as_str().to_owned(),
        at_ms: row.at_ms,
        delivery_id: row.delivery_id,
        workload_id: row.workload_id,
        job_id: row.job_id,
        runner_id: row.runner_id,
        attempt: row.attempt,
        author: row.author.map(Into::into),
        detail: row.detail.into(),
    }
}

pub(super) fn runner(catalogue: &Catalogue, snapshot: RunnerSnapshot) -> wire::RunnerView {
    let RunnerSnapshot { row, state, used, jobs, busy, waiting, streaming, last_seen_ms_ago } =
        snapshot;
    let mut capabilities = row.capabilities;
    capabilities.current_jobs = used;
    wire::RunnerView {
        id: row.id,
        name: row.name.into(),
        pool: catalogue.pool_name(row.pool_id).to_owned(),
        state,
        cordon_reason: row.cordoned.map(Into::into),
        utilization: wire::RunnerUtilization {
            slots_used: u64::from(used),
            slots_total: u64::from(capabilities.max_parallel_jobs),
            busy_share: busy.share_of(u64::from(capabilities.max_parallel_jobs)),
        },
        capabilities,
        jobs,
        waiting,
        streaming,
        last_seen_ms_ago,
        version: row.version.into(),
        registered_at_ms: row.registered_at_ms,
    }
}

/// A pool; with what waits for it where `with_queue` says so.
pub(super) fn pool(
    catalogue: &Catalogue,
    pool: &PoolFigures,
    with_queue: bool,
    wall_ms: i64,
) -> wire::PoolView {
    let PoolFigures { usage, queue, busy } = pool;
    wire::PoolView {
        name: catalogue.pool_name(usage.pool_id).to_owned(),
        runners_online: usage.runners_online,
        runners_total: usage.runners_total,
        utilization: wire::RunnerUtilization {
            slots_used: usage.slots_used,
            slots_total: usage.slots_total,
            // What it is over is the time of all slots already.
            busy_share: busy.share_of(1),
        },
        queue: with_queue.then(|| queue_metrics(queue, wall_ms)),
    }
}

pub(super) fn pause(catalogue: &Catalogue, pause: Pause) -> wire::PauseView {
    // What the configuration no longer has is known by its number.
    let named = |name: Option<&Box<str>>, id: i64| {
        name.map_or_else(|| format!("#{id}"), ToString::to_string)
    };
    let scope = match &pause.scope {
        PauseScope::Everything => "everything".to_owned(),
        PauseScope::Pool(id) => {
            let found = catalogue.pools.iter().find(|(_, known)| *known == id);
            format!("pool:{}", named(found.map(|(name, _)| name), id.0))
        }
        PauseScope::Tenant(id) => {
            let found = catalogue.tenants.iter().find(|(_, known)| *known == id);
            format!("tenant:{}", named(found.map(|(name, _)| name), id.0))
        }
        PauseScope::Trigger(name) => format!("trigger:{name}"),
    };
    wire::PauseView {
        scope,
        author: pause.author.into(),
        reason: pause.reason.into(),
        at_ms: pause.at_ms,
        breaker: pause.breaker.map(Into::into),
    }
}

pub(super) fn queued(job: QueuedJob) -> wire::QueuedJobView {
    wire::QueuedJobView {
        job_id: job.job_id,
        workload_id: job.workload_id,
        name: job.name.into(),
        priority: job.priority,
        labels: job.labels.into_iter().map(Into::into).collect(),
        queued_at_ms: job.queued_at_ms,
        retry_count: job.retry_count,
        max_retries: job.max_retries,
        state: job.state,
        position: job.position,
    }
}

pub(super) fn queue_metrics(metrics: &QueueMetrics, wall_ms: i64) -> wire::QueueMetrics {
    let [critical_jobs, high_jobs, normal_jobs, low_jobs, background_jobs] = metrics.by_level;
    let age_ms = metrics.oldest_queued_at_ms.map_or(0, |at_ms| (wall_ms - at_ms).max(0));
    wire::QueueMetrics {
        total_jobs: metrics.total(),
        critical_jobs,
        high_jobs,
        normal_jobs,
        low_jobs,
        background_jobs,
        oldest_job_age_seconds: age_ms as f64 / 1_000.0,
        average_wait_time_seconds: metrics.average_wait_ms / 1_000.0,
    }
}

/// The same by the rows. The average wait is that of the jobs that runners have now.
pub(super) fn usage_metrics(usage: &[LevelUsage], wall_ms: i64) -> wire::QueueMetrics {
    let mut by_level = [0; JobPriority::ALL.len()];
    for level in usage {
        by_level[level.priority.level()] = level.waiting;
    }
    let running: u64 = usage.iter().map(|level| level.running).sum();
    let waited_ms: i64 = usage.iter().map(|level| level.waited_ms).sum();
    let metrics = QueueMetrics {
        by_level,
        oldest_queued_at_ms: usage.iter().filter_map(|level| level.oldest_queued_at_ms).min(),
        average_wait_ms: waited_ms as f64 / running.max(1) as f64,
        ..QueueMetrics::default()
    };
    queue_metrics(&metrics, wall_ms)
}

pub(super) fn explanation(
    job_id: crate::model::JobId,
    explanation: &Explanation,
    expected: Option<Forecast>,
) -> wire::ExplainView {
    wire::ExplainView {
        job_id,
        state: explanation.state,
        reasons: explanation.reasons.iter().map(reason).collect(),
        forecast: expected.map(forecast).unwrap_or_default(),
    }
}

pub(super) fn reason(reason: &Reason) -> wire::ExplainReason {
    wire::ExplainReason { code: reason.code().to_owned(), text: reason.to_string() }
}
