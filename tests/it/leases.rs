//! The right to a job: stale ones change nothing, lost ones free the job.

use std::time::Duration;

use dispatchyard::model::{AttemptOutcome, JobStateKind, RequeueReason};
use serde_json::json;

use crate::support::fake_runner::{job, job_with, lease};
use crate::support::wait::Stopwatch;
use crate::support::{FakeRunner, Server, Setup, on_both};

async fn the_same_completion_twice_gets_the_same_answer(setup: Setup) {
    let server = Server::start(&setup.patient()).await;
    let (_, jobs) = server.api.submit(json!([job("a")])).await;
    let runner = FakeRunner::register(&server.api, "one", &["x"]).await;
    let job = runner.begin().await;
    let first = runner.complete(&job).await;
    assert_eq!(runner.complete(&job).await, first);
    let other = runner.end(&job, AttemptOutcome::Failed).await;
    assert_eq!(other.problem(), (409, "lease-lost".into()), "another outcome is no repetition");
    let detail = server.api.job(jobs[0]).await;
    assert_eq!((detail.job.state, detail.attempts.len()), (JobStateKind::Completed, 1));
}

async fn a_stale_lease_changes_nothing(setup: Setup) {
    let server = Server::start(&setup.patient()).await;
    let (_, jobs) = server.api.submit(json!([job("a")])).await;
    let runner = FakeRunner::register(&server.api, "one", &["x"]).await;
    let stale = runner.begin().await;
    server.api.post(&format!("/jobs/{}/requeue", jobs[0]), json!({})).await;
    let live = runner.begin().await;
    assert!(live.lease > stale.lease, "tokens only grow");
    let nonce = json!({ "nonce": stale.nonce });
    let lost = (409, "lease-lost".to_owned());
    assert_eq!(runner.end(&stale, AttemptOutcome::Completed).await.problem(), lost);
    assert_eq!(runner.write(&stale, 0, "late").await.problem(), lost);
    assert_eq!(runner.api.post(&lease(&stale, "start"), &nonce).await.problem(), lost);
    let release = json!({ "nonce": stale.nonce, "reason": "drained" });
    assert_eq!(runner.api.post(&lease(&stale, "release"), release).await.problem(), lost);
    assert_eq!(runner.heartbeat(&[&stale, &live]).await.lost, [stale.lease]);
    assert_eq!(server.api.job(jobs[0]).await.job.state, JobStateKind::Running);
    runner.complete(&live).await;
}

#[tokio::test]
async fn a_lease_needs_both_halves_and_its_owner() {
    let server = Server::start(&Setup::default().patient()).await;
    server.api.submit(json!([job("a")])).await;
    let runner = FakeRunner::register(&server.api, "one", &["x"]).await;
    let other = FakeRunner::register(&server.api, "two", &["y"]).await;
    let job = runner.take().await;
    let wrong = json!({ "nonce": "0000000000000001" });
    let lost = (409, "lease-lost".to_owned());
    assert_eq!(runner.api.post(&lease(&job, "start"), wrong).await.problem(), lost);
    let right = json!({ "nonce": job.nonce });
    assert_eq!(other.api.post(&lease(&job, "start"), right).await.problem(), lost);
    runner.start(&job).await;
    assert_eq!(other.end(&job, AttemptOutcome::Completed).await.problem(), lost);
}

#[tokio::test]
async fn a_silent_runners_job_goes_to_another_one_when_its_lease_ends() {
    let server = Server::start(&Setup::default()).await;
    let (_, jobs) = server.api.submit(json!([job("a")])).await;
    let silent = FakeRunner::register(&server.api, "silent", &["x"]).await;
    silent.begin().await;
    let watch = Stopwatch::start();
    let other = FakeRunner::register(&server.api, "other", &["x"]).await;
    let job = other.begin().await;
    let waited = watch.elapsed();
    assert!(waited < Duration::from_millis(1_500 + 1_000), "after {waited:?}");
    assert_eq!((job.attempt, job.retry_count), (2, 0), "a loss is not charged to the job");
    other.complete(&job).await;
    let detail = server.api.job(jobs[0]).await;
    assert_eq!(detail.attempts[0].requeue_reason, Some(RequeueReason::LeaseLost));
    assert_eq!(detail.attempts[1].outcome, AttemptOutcome::Completed);
}

#[tokio::test]
async fn heartbeats_keep_a_lease_for_longer_than_its_length() {
    let server = Server::start(&Setup::default()).await;
    let (_, jobs) = server.api.submit(json!([job("a")])).await;
    let runner = FakeRunner::register(&server.api, "one", &["x"]).await;
    let job = runner.begin().await;
    let watch = Stopwatch::start();
    while watch.elapsed() < Duration::from_millis(2_200) {
        assert!(runner.heartbeat(&[&job]).await.lost.is_empty());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    runner.complete(&job).await;
    assert_eq!(server.api.job(jobs[0]).await.attempts.len(), 1);
}

#[tokio::test]
async fn a_job_that_is_not_started_returns_after_the_ack_window() {
    let server = Server::start(&Setup::default().scheduler("lease_ms", 60_000)).await;
    let (_, jobs) = server.api.submit(json!([job("a")])).await;
    let idle = FakeRunner::register(&server.api, "idle", &["x"]).await;
    let never_started = idle.take().await;
    let other = FakeRunner::register(&server.api, "other", &["x"]).await;
    let job = other.begin().await;
    assert!(job.lease > never_started.lease);
    other.complete(&job).await;
    assert_eq!(server.api.job(jobs[0]).await.attempts[0].started_at_ms, None);
}

#[tokio::test]
async fn a_job_that_loses_every_runner_is_given_up_as_poisoned() {
    let setup = Setup::default().patient().scheduler("retry_max_attempts", 1);
    let server = Server::start(&setup).await;
    let (_, jobs) = server.api.submit(json!([job("a")])).await;
    let runner = FakeRunner::register(&server.api, "one", &["x"]).await;
    for _ in 0..2 {
        let job = runner.begin().await;
        let release = json!({ "nonce": job.nonce, "reason": "runner_lost" });
        assert_eq!(runner.api.post(&lease(&job, "release"), release).await.status, 204);
    }
    let job = server.api.job_is(jobs[0], JobStateKind::Failed).await;
    assert_eq!(job.job.reason, Some(dispatchyard::model::EndReason::Poisoned));
}

#[tokio::test]
async fn a_released_job_is_queued_again_without_charge() {
    let server = Server::start(&Setup::default().patient()).await;
    server.api.submit(json!([job_with("a", json!({ "max_retries": 1 }))])).await;
    let runner = FakeRunner::register(&server.api, "one", &["x"]).await;
    let job = runner.begin().await;
    let release = json!({ "nonce": job.nonce, "reason": "drained" });
    assert_eq!(runner.api.post(&lease(&job, "release"), release).await.status, 204);
    let again = runner.take().await;
    assert_eq!((again.attempt, again.retry_count), (2, 0));
}

/// Log pieces may be repeated and may come too early; the log has each byte once.
#[tokio::test]
async fn log_pieces_are_kept_once_and_in_order() {
    let server = Server::start(&Setup::default().patient()).await;
    let (_, jobs) = server.api.submit(json!([job("a")])).await;
    let runner = FakeRunner::register(&server.api, "one", &["x"]).await;
    let job = runner.begin().await;
    let next = async |offset, text| {
        let answer = runner.write(&job, offset, text).await;
        answer.json::<dispatchyard::api::wire::LogAck>().next_offset
    };
    assert_eq!(next(0, "one ").await, 4);
    assert_eq!(next(0, "one ").await, 4, "a repeated piece");
    assert_eq!(next(2, "e two ").await, 8, "one that overlaps");
    assert_eq!(next(20, "three").await, 8, "one that came too early");
    runner.complete(&job).await;
    assert_eq!(server.api.log(jobs[0]).await, "one two ");
}

on_both!(the_same_completion_twice_gets_the_same_answer, a_stale_lease_changes_nothing,);
