//! How a server ends.

use std::time::Duration;

use dispatchyard::model::JobStateKind;
use rustix::process::Signal;
use serde_json::json;

use crate::support::fake_runner::job;
use crate::support::raw::Raw;
use crate::support::sse::Stream;
use crate::support::wait::{Stopwatch, within};
use crate::support::{FakeRunner, Server, ServerProcess, Setup, on_both, until};

#[tokio::test]
async fn sigterm_answers_parked_polls_and_ends_with_0() {
    let home = Setup::default().patient().build();
    let mut server = ServerProcess::start(&home).await;
    let runner = FakeRunner::register(&server.api, "one", &["x"]).await;
    let parked = tokio::spawn({
        let runner = runner.clone();
        async move {
            runner
                .api
                .post(&format!("/runners/{}/poll", runner.id), json!({ "wait_ms": 20_000 }))
                .await
        }
    });
    server.api.polls_parked(1).await;
    let mut stream = Stream::open(&server.api, "/stream", None).await;
    let watch = Stopwatch::start();
    server.signal(Signal::TERM);
    let answer = within("the parked poll", parked).await.unwrap();
    assert!(matches!(answer.status, 200 | 503), "it is told: {answer:?}");
    while stream.next().await.is_some() {}
    assert_eq!(server.ended().await.code(), Some(0));
    assert!(watch.elapsed() < Duration::from_secs(5), "after {:?}", watch.elapsed());
}

#[tokio::test]
async fn a_second_signal_ends_at_once() {
    let home = Setup::default().patient().build();
    let mut server = ServerProcess::start(&home).await;
    // A request that does not end: an orderly stop waits for it, at most five seconds.
    let mut connection = Raw::connect(server.address).await;
    let request = "POST /api/v1/events HTTP/1.1\r\nhost: localhost\r\n\
                   content-type: application/json\r\ncontent-length: 9\r\n\r\n{";
    assert!(connection.send(request).await);
    server.hook().push("d-1").await;
    server.signal(Signal::TERM);
    until("it stops", async || server.told().contains("\"stopping\"").then_some(())).await;
    let watch = Stopwatch::start();
    server.signal(Signal::INT);
    assert_eq!(server.ended().await.code(), Some(130));
    assert!(watch.elapsed() < Duration::from_secs(2), "after {:?}", watch.elapsed());
    let server = ServerProcess::start(&home).await;
    assert_eq!(server.api.deliveries().await.len(), 1, "what was answered is there");
}

/// Stopping and starting changes nothing of what waits and of what runs.
async fn jobs_and_leases_are_as_they_were_after_an_orderly_restart(setup: Setup) {
    let home = setup.patient().own_port().build();
    let mut first = ServerProcess::start(&home).await;
    let (_, jobs) = first.api.submit(json!([job("a"), job("b")])).await;
    let runner = FakeRunner::register(&first.api, "one", &["x"]).await;
    let held = runner.begin().await;
    runner.write(&held, 0, "before ").await;
    first.signal(Signal::TERM);
    assert!(first.ended().await.success());

    let second = ServerProcess::start(&home).await;
    let states = async || {
        let a = second.api.job(jobs[0]).await.job.state;
        [a, second.api.job(jobs[1]).await.job.state]
    };
    assert_eq!(states().await, [JobStateKind::Running, JobStateKind::Pending]);
    assert!(runner.heartbeat(&[&held]).await.lost.is_empty());
    runner.write(&held, 7, "after").await;
    runner.complete(&held).await;
    assert_eq!(second.api.log(jobs[0]).await, "before after");
    let next = runner.begin().await;
    assert!(next.lease.epoch() > held.lease.epoch(), "a new epoch begins with each start");
    runner.complete(&next).await;
    assert_eq!(states().await, [JobStateKind::Completed; 2]);
}

#[tokio::test]
async fn an_embedded_server_stops_and_lets_its_data_go() {
    let server = Server::start(&Setup::default()).await;
    server.hook().push("d-1").await;
    let home = server.stop().await;
    let again = ServerProcess::start(&home).await;
    assert_eq!(again.api.deliveries().await.len(), 1);
}

on_both!(jobs_and_leases_are_as_they_were_after_an_orderly_restart);
