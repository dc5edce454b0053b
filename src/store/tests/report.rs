//! What ended in a span of time.

use super::fixture::{self, Opened, on_both};
use crate::model::{
    Attempt, Change, EndReason, Job, JobId, JobState, JobStateKind, JobTerms, PoolId, Record,
    RecordName, RequeueReason, TenantId, Workload, WorkloadId,
};
use crate::store::PlaceInTime;
use crate::store::connection::Kind;

const ACME: TenantId = TenantId(9);

fn at(before_ms: i64, since_ms: i64) -> PlaceInTime {
    PlaceInTime { before_ms, before_id: i64::MIN, since_ms }
}

fn ended(id: i64, workload_id: i64, at_ms: i64, kind: JobStateKind, reason: EndReason) -> Job {
    let state = JobState::Ended { kind, at_ms, reason };
    Job { state, tenant_id: ACME, attempt: 1, ..fixture::job(id, workload_id) }
}

fn attempt(token: i64, job_id: i64, ended_at_ms: i64) -> Change {
    Change::AttemptEnded(Box::new(Attempt { ended_at_ms, ..fixture::attempt(token, job_id) }))
}

async fn attempts_come_latest_first_page_by_page_with_whose_they_were(on: Kind) {
    let mut opened = Opened::new(on).await;
    let workload = |id| Workload {
        trigger: if id == 1 { "ci".into() } else { "".into() },
        ..fixture::ended_workload(id)
    };
    let completed = (JobStateKind::Completed, EndReason::Succeeded);
    let mut changes = Vec::new();
    for id in 1..=2 {
        changes.push(Change::WorkloadInserted(workload(id)));
        changes.push(fixture::new_job(ended(id, id, 50, completed.0, completed.1), &[]));
    }
    // One that has ended and left the hot tables, and one that is still there.
    changes.push(Change::WorkloadArchived(WorkloadId(1), vec![JobId(1)]));
    changes.extend([attempt(1, 1, 10), attempt(2, 2, 20), attempt(3, 1, 20), attempt(4, 2, 50)]);
    let requeued = Attempt {
        ended_at_ms: 40,
        started_at_ms: None,
        job_state: JobStateKind::Pending,
        requeue_reason: Some(RequeueReason::LeaseLost),
        pool_id: PoolId(5),
        waited_ms: 7,
        cost_micros_per_hour: 11,
        ..fixture::attempt(5, 1)
    };
    changes.push(Change::AttemptEnded(Box::new(requeued)));
    opened.write(&changes).await.unwrap();

    let store = &opened.store;
    let tokens = |place| async move {
        let rows = store.ended_attempts(place).await.unwrap();
        rows.iter().map(|row| row.token).collect::<Vec<_>>()
    };
    assert_eq!(tokens(at(50, 11)).await, [5, 3, 2], "the end is not in the span, the begin is");
    let next = PlaceInTime { before_ms: 20, before_id: 3, since_ms: 0 };
    assert_eq!(tokens(next).await, [2, 1], "a page may end within one millisecond");
    let rows = store.ended_attempts(at(51, 11)).await.unwrap();
    let told: Vec<_> = rows.iter().map(|row| (row.tenant_id, &*row.trigger)).collect();
    let acme = Some(ACME);
    assert_eq!(told, [(acme, ""), (acme, "ci"), (acme, "ci"), (acme, "")]);
    let requeued = &rows[1];
    assert_eq!((requeued.pool_id, requeued.waited_ms), (PoolId(5), 7));
    assert_eq!((requeued.cost_micros_per_hour, requeued.started_at_ms), (11, None));
    assert_eq!(requeued.requeue_reason, Some(RequeueReason::LeaseLost));
    assert!(rows.iter().all(|row| row.missed.is_none()), "nothing was promised");
}

async fn a_promise_is_judged_by_the_records_of_its_own_run(on: Kind) {
    let mut opened = Opened::new(on).await;
    let terms = JobTerms { max_wait_ms: Some(5), ..JobTerms::default() };
    // Run 1 was late and ended at 20; run 2 was queued at 30, was in time and ended at 60.
    let job = Job {
        terms: terms.boxed(),
        queued_at_ms: 30,
        ..ended(1, 1, 60, JobStateKind::Completed, EndReason::Succeeded)
    };
    let late = Record { job_id: Some(JobId(1)), ..Record::new(RecordName::JobLate, 15) };
    let changes = [
        Change::WorkloadInserted(fixture::workload(1)),
        fixture::new_job(job, &[]),
        Change::Recorded(late),
        attempt(1, 1, 20),
        attempt(2, 1, 60),
    ];
    opened.write(&changes).await.unwrap();
    let rows = opened.store.ended_attempts(at(99, 0)).await.unwrap();
    let missed: Vec<_> = rows.iter().map(|row| row.missed).collect();
    assert_eq!(missed, [Some(false), Some(true)]);
}

async fn ends_without_an_attempt_are_found_in_ended_and_in_live_workloads(on: Kind) {
    let mut opened = Opened::new(on).await;
    let (cancelled, skipped) = (JobStateKind::Cancelled, JobStateKind::Skipped);
    let terms = JobTerms { deadline_ms: Some(1), ..JobTerms::default() };
    let late = Record { job_id: Some(JobId(2)), ..Record::new(RecordName::JobLate, 20) };
    let changes = [
        Change::WorkloadInserted(fixture::ended_workload(1)),
        fixture::new_job(ended(1, 1, 20, cancelled, EndReason::CancelRequested), &[]),
        fixture::new_job(
            Job { terms: terms.boxed(), ..ended(2, 1, 20, skipped, EndReason::NeedNotMet) },
            &[],
        ),
        fixture::new_job(ended(3, 1, 20, JobStateKind::Failed, EndReason::Failed), &[]),
        attempt(1, 1, 20),
        Change::Recorded(late),
        Change::WorkloadArchived(WorkloadId(1), vec![JobId(1), JobId(2), JobId(3)]),
        Change::WorkloadInserted(fixture::workload(2)),
        fixture::new_job(ended(4, 2, 30, JobStateKind::Failed, EndReason::QueueTimeout), &[]),
        fixture::new_job(fixture::job(5, 2), &[]),
    ];
    opened.write(&changes).await.unwrap();
    let jobs = opened.store.ended_jobs(at(21, 20)).await.unwrap();
    let told: Vec<_> =
        jobs.iter().map(|job| (job.id.0, job.state, job.by_attempt, job.missed)).collect();
    assert_eq!(told, [(2, skipped, false, Some(true)), (1, cancelled, true, None)]);
    let (live, more) = opened.store.ended_jobs_of_live(at(31, 0)).await.unwrap();
    assert!(!more);
    assert_eq!(live.iter().map(|job| (job.id.0, job.tenant_id)).collect::<Vec<_>>(), [(4, ACME)]);
    assert!(opened.store.ended_jobs(at(20, 0)).await.unwrap().is_empty());
}

on_both!(
    attempts_come_latest_first_page_by_page_with_whose_they_were,
    a_promise_is_judged_by_the_records_of_its_own_run,
    ends_without_an_attempt_are_found_in_ended_and_in_live_workloads,
);
