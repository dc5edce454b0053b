//! `GET /jobs/{id}/records`: all that happened to one job, from rows: the job's own times, those of
//! its attempts, and what was kept because no row says it.

use axum::extract::State;

use super::access::{May, Read};
use super::body::Id;
use super::error::ApiError;
use super::show;
use super::state::AppState;
use super::wire::HistoryView;
use crate::model::{Attempt, Job, JobId, JobState, JobStateKind, Record, RecordName, RunnerId};

/// `GET /jobs/{id}/records`
pub(super) async fn get(
    caller: May<Read>,
    State(state): State<AppState>,
    Id(id): Id<JobId>,
) -> Result<axum::Json<HistoryView>, ApiError> {
    let job = state.job_of(&caller, id).await?;
    let attempts = state.store.attempts_of(id).await?;
    let kept = state.store.records_of(id).await?;
    let items = history(&job, attempts, kept).into_iter().map(show::record).collect();
    Ok(axum::Json(HistoryView { items }))
}

/// Everything in order of time, under the names that the stream has. `attempts` and `kept` are
/// newest first.
fn history(job: &Job, attempts: Vec<Attempt>, kept: Vec<Record>) -> Vec<Record> {
    let of = |name, at_ms, attempt: Option<(u32, RunnerId)>| Record {
        workload_id: Some(job.workload_id),
        job_id: Some(job.id),
        runner_id: attempt.map(|(_, runner)| runner),
        attempt: attempt.map(|(number, _)| number),
        detail: job.name.clone().into(),
        ..Record::new(name, at_ms)
    };
    let mut all = vec![of(RecordName::JobQueued, job.queued_at_ms, None)];
    let mut ended_at_ms = None;
    for attempt in attempts.into_iter().rev() {
        let who = Some((attempt.number, attempt.runner_id));
        all.push(of(RecordName::JobAssigned, attempt.assigned_at_ms, who));
        all.extend(attempt.started_at_ms.map(|at_ms| of(RecordName::JobStarted, at_ms, who)));
        if let Some(end) = end(attempt.job_state) {
            all.push(of(end, attempt.ended_at_ms, who));
            ended_at_ms = Some(attempt.ended_at_ms);
        }
    }
    match &job.state {
        JobState::Claimed(lease) | JobState::Running { lease, .. } => {
            let who = Some((job.attempt, lease.runner_id));
            all.push(of(RecordName::JobAssigned, lease.assigned_at_ms, who));
            if let JobState::Running { started_at_ms, .. } = job.state {
                all.push(of(RecordName::JobStarted, started_at_ms, who));
            }
        }
        // An end that no attempt brought about.
        JobState::Ended { kind, at_ms, .. } if ended_at_ms != Some(*at_ms) => {
            all.extend(end(*kind).map(|name| of(name, *at_ms, None)));
        }
        JobState::Ended { .. } | JobState::Blocked | JobState::Pending => {}
    }
    all.extend(kept.into_iter().rev());
    all.sort_by_key(|record| (record.at_ms, place(record)));
    all
}

/// Its place among what happened in one millisecond: by attempt, and in each from the offer to what
/// became of it.
fn place(record: &Record) -> (u32, u8) {
    let last = matches!(
        record.name,
        RecordName::JobCompleted
            | RecordName::JobFailed
            | RecordName::JobCancelled
            | RecordName::JobSkipped
            | RecordName::JobRequeued
    );
    let step = match record.name {
        RecordName::JobAssigned => 0,
        RecordName::JobStarted => 1,
        _ if last => 3,
        _ => 2,
    };
    (record.attempt.unwrap_or(if last { u32::MAX } else { 0 }), step)
}

fn end(state: JobStateKind) -> Option<RecordName> {
    match state {
        JobStateKind::Completed => Some(RecordName::JobCompleted),
        JobStateKind::Failed => Some(RecordName::JobFailed),
        JobStateKind::Cancelled => Some(RecordName::JobCancelled),
        JobStateKind::Skipped => Some(RecordName::JobSkipped),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happened_in_one_millisecond_is_in_its_order() {
        let record = |name, attempt| Record { attempt, ..Record::new(name, 5) };
        let order = [
            record(RecordName::JobQueued, None),
            record(RecordName::JobAssigned, Some(1)),
            record(RecordName::JobStarted, Some(1)),
            record(RecordName::JobCancelRequested, Some(1)),
            record(RecordName::JobRequeued, Some(1)),
            record(RecordName::JobAssigned, Some(2)),
            record(RecordName::JobFailed, Some(2)),
            record(RecordName::JobCancelled, None),
        ];
        assert!(order.iter().map(place).is_sorted());
    }
}
