//! Every kind of change, written and read back by a load and by the reads.

use super::fixture::{self, Opened, on_both};
use crate::model::{
    Change, DeliveryId, Edge, EndReason, HeldUnits, Job, JobExtras, JobId, JobState, JobStateKind,
    Record, RecordName, RunnerId, ScheduleMark, Workload, WorkloadId, WorkloadState,
};
use crate::store::Page;
use crate::store::connection::Kind;

async fn jobs_come_back_in_every_state_field_for_field(on: Kind) {
    let mut opened = Opened::new(on).await;
    let lease = Box::new(fixture::lease());
    let ended = |kind, reason| JobState::Ended { kind, at_ms: 20, reason };
    let states = [
        JobState::Blocked,
        JobState::Pending,
        JobState::Claimed(lease.clone()),
        JobState::Running { lease, started_at_ms: 12 },
        ended(JobStateKind::Completed, EndReason::Succeeded),
        ended(JobStateKind::Failed, EndReason::Poisoned),
        ended(JobStateKind::Cancelled, EndReason::CancelRequested),
        ended(JobStateKind::Skipped, EndReason::NeedNotMet),
    ];
    let jobs: Vec<Job> = (1..)
        .zip(states)
        .map(|(id, state)| Job {
            state,
            attempt: 3,
            retry_count: 1,
            extras: JobExtras {
                infra_failures: 2,
                avoid_runner_id: Some(RunnerId(9)),
                cancel_requested_at_ms: Some(15),
                external_ref: Some("pod/7".into()),
                units: Some(Box::new(HeldUnits([("db".into(), vec![0, 2])].into()))),
            }
            .into(),
            not_before_ms: 14,
            lane_key: -1,
            ..fixture::job(id, 1)
        })
        .collect();
    let mut changes = vec![
        Change::ClassInserted(fixture::class(1)),
        Change::WorkloadInserted(fixture::workload(1)),
    ];
    changes.extend(jobs.iter().cloned().map(|job| fixture::new_job(job, &[])));
    opened.write(&changes).await.unwrap();

    let snapshot = opened.load().await;
    assert_eq!(snapshot.jobs, jobs);
    assert_eq!(snapshot.classes, [fixture::class(1)]);
    assert_eq!(snapshot.workloads, [fixture::workload(1)]);
    assert_eq!(opened.store.jobs_of(WorkloadId(1)).await.unwrap(), jobs);
    for job in &jobs {
        assert_eq!(opened.store.job(job.id).await.unwrap().as_ref(), Some(job));
        let page = Page { state: Some(job.kind()), ..Page::first(9) };
        assert_eq!(opened.store.jobs(page).await.unwrap(), std::slice::from_ref(job));
    }
}

async fn updates_reach_every_field_that_can_change(on: Kind) {
    let mut opened = Opened::new(on).await;
    let insert = [
        Change::WorkloadInserted(fixture::workload(1)),
        fixture::new_job(fixture::job(1, 1), &[]),
        Change::RunnerInserted(fixture::runner(4)),
        Change::RunnerInserted(fixture::runner(5)),
    ];
    opened.write(&insert).await.unwrap();
    let lease = Box::new(fixture::lease());
    let job = Job {
        state: JobState::Running { lease, started_at_ms: 13 },
        priority: crate::model::JobPriority::Background,
        lane_key: 5,
        queued_at_ms: 6,
        not_before_ms: 7,
        attempt: 8,
        retry_count: 9,
        max_retries: 10,
        extras: JobExtras {
            infra_failures: 11,
            avoid_runner_id: Some(RunnerId(12)),
            cancel_requested_at_ms: Some(13),
            external_ref: Some("x".into()),
            units: None,
        }
        .into(),
        ..fixture::job(1, 1)
    };
    let workload = Workload {
        run: 2,
        state: WorkloadState::Running,
        begun: true,
        session_key: Some("s".into()),
        ended_at_ms: Some(3),
        quiet_until_ms: 9,
        ..fixture::workload(1)
    };
    let mut runner = fixture::runner(4);
    runner.boot_id = "boot-2".into();
    runner.capabilities.gpu = 2;
    runner.cordoned = Some("admin: disk".into());
    runner.draining = true;
    let update = [
        Change::JobUpdated(job.clone()),
        Change::WorkloadUpdated(workload.clone()),
        Change::RunnerUpdated(runner.clone()),
        Change::RunnerRemoved(RunnerId(5)),
    ];
    opened.write(&update).await.unwrap();
    let snapshot = opened.load().await;
    assert_eq!(snapshot.jobs, [job]);
    assert_eq!(snapshot.workloads, [workload]);
    assert_eq!(snapshot.runners, [runner]);
}

async fn an_ended_workload_leaves_the_hot_tables_and_comes_back_by_a_retry(on: Kind) {
    let mut opened = Opened::new(on).await;
    let insert = [
        Change::WorkloadInserted(fixture::workload(1)),
        fixture::new_job(fixture::ended_job(1, 1), &[]),
        fixture::new_job(fixture::job(2, 1), &[1]),
        Change::WorkloadInserted(fixture::workload(2)),
        fixture::new_job(fixture::job(3, 2), &[]),
    ];
    opened.write(&insert).await.unwrap();
    // Job 1 moves as it is, job 2 with its last values.
    let jobs = [fixture::ended_job(1, 1), fixture::ended_job(2, 1)];
    let ids = vec![JobId(1), JobId(2)];
    let end = [
        Change::JobUpdated(jobs[1].clone()),
        Change::WorkloadUpdated(fixture::ended_workload(1)),
        Change::WorkloadArchived(WorkloadId(1), ids.clone()),
    ];
    assert_eq!(opened.store.archived(WorkloadId(1)).await.unwrap(), None);
    opened.write(&end).await.unwrap();

    let snapshot = opened.load().await;
    assert_eq!(snapshot.jobs, [fixture::job(3, 2)]);
    assert_eq!(snapshot.workloads, [fixture::workload(2)]);
    assert_eq!(snapshot.edges, []);
    let edge = Edge { workload_id: WorkloadId(1), job_id: JobId(2), needs_job_id: JobId(1) };
    let archived = opened.store.archived(WorkloadId(1)).await.unwrap().unwrap();
    assert_eq!(archived.workload, fixture::ended_workload(1));
    assert_eq!((&archived.jobs[..], &archived.edges[..]), (&jobs[..], &[edge][..]));
    assert_eq!(opened.store.jobs_of(WorkloadId(1)).await.unwrap(), jobs);

    // Job 1 stays completed, job 2 runs again.
    let again = Workload { run: 2, ..fixture::workload(1) };
    let reopen = [
        Change::WorkloadReopened(WorkloadId(1), ids),
        Change::WorkloadUpdated(again.clone()),
        Change::JobUpdated(fixture::job(2, 1)),
    ];
    opened.write(&reopen).await.unwrap();
    let snapshot = opened.load().await;
    let live = [fixture::ended_job(1, 1), fixture::job(2, 1), fixture::job(3, 2)];
    assert_eq!(snapshot.jobs, live);
    assert_eq!(snapshot.workloads, [again, fixture::workload(2)]);
    assert_eq!(snapshot.edges, [edge]);
    assert_eq!(opened.store.archived(WorkloadId(1)).await.unwrap(), None);
}

async fn a_large_batch_is_written_whole(on: Kind) {
    let mut opened = Opened::new(on).await;
    let changes: Vec<Change> = (1..=700)
        .flat_map(|id| {
            let workload = Change::WorkloadInserted(fixture::workload(id));
            [workload, fixture::new_job(fixture::job(id, id), &[])]
        })
        .collect();
    opened.write(&changes).await.unwrap();
    let end: Vec<Change> = (1..=650)
        .flat_map(|id| {
            [
                Change::JobUpdated(fixture::ended_job(id, id)),
                Change::WorkloadUpdated(fixture::ended_workload(id)),
                Change::AttemptEnded(Box::new(fixture::attempt(id, id))),
                Change::WorkloadArchived(WorkloadId(id), vec![JobId(id)]),
            ]
        })
        .collect();
    opened.write(&end).await.unwrap();
    let snapshot = opened.load().await;
    let left: Vec<i64> = snapshot.jobs.iter().map(|job| job.id.0).collect();
    assert_eq!(left, (651..=700).collect::<Vec<_>>());
    let ids: Vec<JobId> = (1..=700).map(JobId).collect();
    assert_eq!(opened.store.outputs_of(&ids).await.unwrap().len(), 650);
}

async fn marks_of_schedules_come_back_and_go(on: Kind) {
    let mut opened = Opened::new(on).await;
    let begun = ScheduleMark::begin("nightly#1", "unix UTC @daily", 5);
    let fired = ScheduleMark {
        handled_ms: 9,
        fired_ms: Some(9),
        delivery_id: Some(DeliveryId(uuid::Uuid::from_u128(3))),
        passed: 2,
        note: "2 times passed over".into(),
        noted_at_ms: 8,
        ..begun.clone()
    };
    let other = ScheduleMark::begin("weekly#1", "unix UTC @weekly", 6);
    let kept = |mark: &ScheduleMark| Change::ScheduleKept(mark.clone());
    opened.write(&[kept(&begun), kept(&other)]).await.unwrap();
    assert_eq!(opened.load().await.schedules, [begun.clone(), other.clone()]);
    let gone = |mark: &ScheduleMark| Change::ScheduleForgotten(mark.name.clone());
    // The last of several changes of one row holds, whatever the database had.
    opened.write(&[kept(&begun), kept(&fired), gone(&other)]).await.unwrap();
    assert_eq!(opened.load().await.schedules, std::slice::from_ref(&fired));
    opened.write(&[gone(&fired), kept(&begun), kept(&other), gone(&other)]).await.unwrap();
    assert_eq!(opened.load().await.schedules, [begun]);
}

async fn attempts_and_kept_records_are_history(on: Kind) {
    let mut opened = Opened::new(on).await;
    let mut first = fixture::attempt(100, 1);
    first.outcome = crate::model::AttemptOutcome::Requeued;
    first.requeue_reason = Some(crate::model::RequeueReason::LeaseLost);
    first.job_state = JobStateKind::Pending;
    (first.started_at_ms, first.exit_code, first.signal) = (None, None, Some(9));
    first.error = Some("gone".into());
    first.outputs.clear();
    let second = fixture::attempt(101, 1);
    let mut kept = Record::new(RecordName::JobRequeued, 12).detail("lease_lost");
    kept.delivery_id = Some(fixture::delivery_id(1));
    kept.workload_id = Some(WorkloadId(1));
    kept.job_id = Some(JobId(1));
    kept.runner_id = Some(RunnerId(4));
    kept.attempt = Some(1);
    kept.author = Some("admin".into());
    let mut not_kept = Record::new(RecordName::JobStarted, 12);
    not_kept.job_id = Some(JobId(1));
    let changes = [
        Change::AttemptEnded(Box::new(first.clone())),
        Change::AttemptEnded(Box::new(second.clone())),
        Change::Recorded(not_kept),
        Change::Recorded(kept.clone()),
    ];
    opened.write(&changes).await.unwrap();
    let store = &opened.store;
    assert_eq!(store.attempts_of(JobId(1)).await.unwrap(), [second.clone(), first.clone()]);
    assert_eq!(store.attempt_by_token(first.token).await.unwrap(), Some(first));
    assert_eq!(store.attempt_by_token(fixture::lease().token).await.unwrap(), None);
    assert_eq!(store.outputs_of(&[JobId(1)]).await.unwrap()[&JobId(1)], second.outputs);
    assert_eq!(store.records_of(JobId(1)).await.unwrap(), std::slice::from_ref(&kept));
    assert_eq!(store.records_of_workload(WorkloadId(1)).await.unwrap(), [kept]);
}

on_both!(
    jobs_come_back_in_every_state_field_for_field,
    updates_reach_every_field_that_can_change,
    an_ended_workload_leaves_the_hot_tables_and_comes_back_by_a_retry,
    a_large_batch_is_written_whole,
    marks_of_schedules_come_back_and_go,
    attempts_and_kept_records_are_history,
);
