//! Who gets what when: order, parked polls, and answers that got lost.

use dispatchyard::api::wire::QueueView;
use dispatchyard::model::JobStateKind;
use serde_json::{Value, json};

use crate::support::fake_runner::{job, job_with};
use crate::support::raw::Raw;
use crate::support::wait::within;
use crate::support::{FakeRunner, Server, Setup, until};

#[tokio::test]
async fn five_levels_are_given_to_one_slot_in_their_order() {
    let server = Server::start(&Setup::default().patient()).await;
    let levels = ["background", "normal", "critical", "low", "high"];
    let jobs: Vec<Value> =
        levels.iter().map(|level| job_with(level, json!({ "priority": level }))).collect();
    server.api.submit(json!(jobs)).await;
    let runner = FakeRunner::register(&server.api, "one", &["x"]).await;
    let queue: QueueView = server.api.get("/queue").await;
    let mut given = Vec::new();
    for _ in levels {
        let job = runner.begin().await;
        runner.complete(&job).await;
        given.push(job.name);
    }
    assert_eq!(given, ["critical", "high", "normal", "low", "background"]);
    let shown: Vec<_> = queue.waiting.into_iter().map(|job| job.name).collect();
    assert_eq!(shown, given, "the queue is shown in the order in which it is given out");
    assert_eq!((queue.metrics.total_jobs, queue.metrics.critical_jobs), (5, 1));
}

#[tokio::test]
async fn a_poll_that_does_not_wait_is_answered_at_once() {
    let server = Server::start(&Setup::default()).await;
    let runner = FakeRunner::register(&server.api, "one", &["x"]).await;
    assert!(runner.look().await.is_empty());
    assert!(!server.api.runner(runner.id).await.waiting);
    server.api.submit(json!([job("a")])).await;
    assert_eq!(runner.look().await.len(), 1);
}

/// The answer of the first poll may be lost on its way; the second asks again.
#[tokio::test]
async fn a_lease_that_was_not_started_is_answered_again() {
    let server = Server::start(&Setup::default().patient()).await;
    server.api.submit(json!([job("a")])).await;
    let runner = FakeRunner::register(&server.api, "one", &["x"]).await;
    let first = runner.look().await;
    let again = runner.look().await;
    assert_eq!(first, again, "the same lease, not another one");
    assert_eq!(first.len(), 1);
    let known = runner.ask(json!({ "wait_ms": 0, "leases": [first[0].lease] })).await;
    assert!(known.jobs.is_empty(), "it says that it knows the lease");
    runner.start(&first[0]).await;
    assert!(runner.look().await.is_empty(), "what has started is not given again");
}

#[tokio::test]
async fn a_second_poll_of_a_runner_takes_the_place_of_the_first() {
    let server = Server::start(&Setup::default().patient()).await;
    let runner = FakeRunner::register(&server.api, "one", &["x"]).await;
    let first = tokio::spawn({
        let runner = runner.clone();
        async move { runner.poll().await }
    });
    server.api.polls_parked(1).await;
    let second = tokio::spawn({
        let runner = runner.clone();
        async move { runner.poll().await }
    });
    let answer = within("the first poll", first).await.unwrap();
    assert!(answer.jobs.is_empty() && !answer.drain, "{answer:?}");
    server.api.submit(json!([job("a")])).await;
    assert_eq!(within("the second poll", second).await.unwrap().jobs.len(), 1);
}

/// A job goes to a poll that is there, never to a client that has hung up.
#[tokio::test]
async fn a_job_is_never_assigned_to_a_poll_whose_client_has_left() {
    // An ack window as long as the whole test: only the other poll can have the job.
    let server = Server::start(&Setup::default().patient()).await;
    let gone = FakeRunner::register(&server.api, "gone", &["x"]).await;
    let here = FakeRunner::register(&server.api, "here", &["x"]).await;
    for round in 0..5 {
        let mut connection = Raw::connect(server.address()).await;
        let body = r#"{"wait_ms":20000}"#;
        let request = format!(
            "POST /api/v1/runners/{}/poll HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            gone.id,
            gone.token,
            body.len()
        );
        assert!(connection.send(request).await);
        server.api.polls_parked(1).await;
        let parked = tokio::spawn({
            let here = here.clone();
            async move { here.begin().await }
        });
        server.api.polls_parked(2).await;
        drop(connection);
        let (_, jobs) = server.api.submit(json!([job("a")])).await;
        let taken = within("the parked poll", parked).await.unwrap();
        assert_eq!(taken.job_id, jobs[0], "round {round}");
        here.complete(&taken).await;
        let job = server.api.job(jobs[0]).await;
        assert_eq!(job.job.state, JobStateKind::Completed);
        until("the poll that left is forgotten", async || {
            (!server.api.runner(gone.id).await.waiting).then_some(())
        })
        .await;
    }
}

/// `attempt`, `retry_count` and `max_retries` of each try, with no wait between them.
#[tokio::test]
async fn a_failed_job_without_backoff_is_given_by_the_very_next_poll() {
    let server = Server::start(&Setup::default().patient()).await;
    let retried = job_with("a", json!({ "max_retries": 2, "backoff_ms": 0 }));
    let (_, jobs) = server.api.submit(json!([retried])).await;
    let runner = FakeRunner::register(&server.api, "one", &["x"]).await;
    let mut tries = Vec::new();
    for _ in 0..3 {
        let mut given = runner.look().await;
        assert_eq!(given.len(), 1, "the very next poll has it");
        let job = given.remove(0);
        tries.push((job.attempt, job.retry_count, job.max_retries));
        runner.start(&job).await;
        runner.fail(&job).await;
    }
    assert_eq!(tries, [(1, 0, 2), (2, 1, 2), (3, 2, 2)]);
    let job = server.api.job_is(jobs[0], JobStateKind::Failed).await;
    assert_eq!(job.attempts.len(), 3);
    assert!(runner.look().await.is_empty());
}

#[tokio::test]
async fn jobs_are_spread_over_the_polls_that_wait() {
    let server = Server::start(&Setup::default().patient()).await;
    let mut waiting = Vec::new();
    for name in ["one", "two"] {
        let runner = FakeRunner::with_slots(&server.api, name, &["x"], 4).await;
        waiting.push(tokio::spawn(async move { runner.poll().await.jobs.len() }));
    }
    server.api.polls_parked(2).await;
    server.api.submit(json!([job("a"), job("b")])).await;
    for poll in waiting {
        assert_eq!(within("a poll", poll).await.unwrap(), 1);
    }
}
