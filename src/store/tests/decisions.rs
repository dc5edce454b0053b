//! What is written about jobs that are decided when their needs have ended, and what is read for that.

use std::sync::Arc;

use super::fixture::{self, Opened, on_both};
use crate::model::{
    Attempt, Change, EndReason, Job, JobId, JobSpec, JobState, JobStateKind, JobTerms, MatrixTerms,
    RunIf, WorkloadId,
};
use crate::store::RanInRun;
use crate::store::connection::Kind;

fn ended(kind: JobStateKind, reason: EndReason) -> JobState {
    JobState::Ended { kind, at_ms: 20, reason }
}

async fn a_job_that_is_planned_anew_has_another_class_other_terms_and_another_spec(on: Kind) {
    let mut opened = Opened::new(on).await;
    let blocked = Job { state: JobState::Blocked, ..fixture::job(2, 1) };
    let insert = [
        Change::ClassInserted(fixture::class(1)),
        Change::WorkloadInserted(fixture::workload(1)),
        fixture::new_job(fixture::job(1, 1), &[]),
        fixture::new_job(blocked.clone(), &[1]),
    ];
    opened.write(&insert).await.unwrap();
    let terms = JobTerms { run_if: RunIf::Decide, max_wait_ms: Some(5), ..JobTerms::default() };
    let replanned = Job {
        class_id: fixture::class(2).id,
        terms: terms.boxed(),
        timeout_ms: 7,
        backoff_ms: 8,
        max_retries: 9,
        state: JobState::Pending,
        ..blocked
    };
    let spec = Arc::new(JobSpec {
        env: [("C".to_owned(), "d".to_owned())].into(),
        ..(*fixture::spec()).clone()
    });
    let changes = [
        Change::ClassInserted(fixture::class(2)),
        Change::JobReplanned { job: replanned.clone(), spec: Arc::clone(&spec) },
        Change::JobUpdated(replanned.clone()),
    ];
    opened.write(&changes).await.unwrap();
    assert_eq!(opened.load().await.jobs, [fixture::job(1, 1), replanned]);
    assert_eq!(opened.store.job_spec(JobId(2)).await.unwrap(), Some((*spec).clone()));
    assert_eq!(opened.store.job_spec(JobId(1)).await.unwrap(), Some((*fixture::spec()).clone()));
}

async fn a_job_may_be_planned_anew_and_end_with_its_workload_in_one_batch(on: Kind) {
    let mut opened = Opened::new(on).await;
    let blocked = Job { state: JobState::Blocked, ..fixture::job(1, 1) };
    let insert =
        [Change::WorkloadInserted(fixture::workload(1)), fixture::new_job(blocked.clone(), &[])];
    opened.write(&insert).await.unwrap();
    let replanned = Job { timeout_ms: 7, ..blocked };
    let end = ended(JobStateKind::Failed, EndReason::Unplannable);
    let last = Job { state: end, ..replanned.clone() };
    let changes = [
        Change::JobReplanned { job: replanned, spec: fixture::spec() },
        Change::JobUpdated(last.clone()),
        Change::WorkloadUpdated(fixture::ended_workload(1)),
        Change::WorkloadArchived(WorkloadId(1), vec![JobId(1)]),
    ];
    opened.write(&changes).await.unwrap();
    assert_eq!(opened.store.job(JobId(1)).await.unwrap(), Some(last));
}

async fn what_is_not_live_cannot_be_planned_anew(on: Kind) {
    let mut opened = Opened::new(on).await;
    let change = Change::JobReplanned { job: fixture::job(7, 1), spec: fixture::spec() };
    let error = opened.write(&[change]).await.unwrap_err();
    assert!(error.is_data(), "{error}");
}

async fn every_end_of_a_decision_is_kept(on: Kind) {
    let mut opened = Opened::new(on).await;
    let ends = [
        ended(JobStateKind::Skipped, EndReason::ConditionFalse),
        ended(JobStateKind::Failed, EndReason::Unplannable),
        ended(JobStateKind::Completed, EndReason::Expanded),
    ];
    let jobs: Vec<_> =
        (1..).zip(ends).map(|(id, state)| Job { state, ..fixture::job(id, 1) }).collect();
    let mut changes = vec![Change::WorkloadInserted(fixture::workload(1))];
    changes.extend(jobs.iter().cloned().map(|job| fixture::new_job(job, &[])));
    opened.write(&changes).await.unwrap();
    assert_eq!(opened.load().await.jobs, jobs);
}

async fn what_a_job_needed_is_read_with_how_it_ended_and_how_long_it_ran(on: Kind) {
    let mut opened = Opened::new(on).await;
    let matrix = MatrixTerms { key: "m".into(), max_parallel: None, fail_fast: false };
    let terms = JobTerms { matrix: Some(matrix), ..JobTerms::default() }.boxed();
    let one = Job { terms, ..fixture::ended_job(1, 1) };
    let failed = ended(JobStateKind::Failed, EndReason::Failed);
    let two = Job { state: failed, ..fixture::job(2, 1) };
    let again = Attempt { run: 2, started_at_ms: Some(15), ..fixture::attempt(11, 1) };
    let never = Attempt { started_at_ms: None, ..fixture::attempt(12, 2) };
    let changes = [
        Change::WorkloadInserted(fixture::workload(1)),
        fixture::new_job(one.clone(), &[]),
        fixture::new_job(two.clone(), &[]),
        fixture::new_job(fixture::job(3, 1), &[1, 2]),
        Change::AttemptEnded(Box::new(fixture::attempt(10, 1))),
        Change::AttemptEnded(Box::new(again)),
        Change::AttemptEnded(Box::new(never)),
    ];
    opened.write(&changes).await.unwrap();
    let context = opened.store.job_context(JobId(3)).await.unwrap().unwrap();
    let rows: Vec<_> = context.ended_needs.iter().map(|need| need.job.clone()).collect();
    assert_eq!(rows, [one, two]);
    assert_eq!(context.ended_needs[0].outputs["version"], "1.11");
    assert_eq!(opened.store.job_run(JobId(3)).await.unwrap(), Some(1));
    assert_eq!(opened.store.job_run(JobId(9)).await.unwrap(), None);
    let ran = |run, ran_ms| RanInRun { job_id: JobId(1), run, ran_ms };
    assert_eq!(opened.store.ran_of(WorkloadId(1)).await.unwrap(), [ran(1, 8), ran(2, 5)]);
}

on_both!(
    a_job_that_is_planned_anew_has_another_class_other_terms_and_another_spec,
    a_job_may_be_planned_anew_and_end_with_its_workload_in_one_batch,
    what_is_not_live_cannot_be_planned_anew,
    every_end_of_a_decision_is_kept,
    what_a_job_needed_is_read_with_how_it_ended_and_how_long_it_ran,
);
