//! Work that is pushed: streams of runners, what ends them, and what becomes of jobs meanwhile.

use std::time::Duration;

use dispatchyard::api::wire::{Assignment, RunnerView};
use dispatchyard::model::{JobStateKind, RunnerId, RunnerState};
use reqwest::Method;
use rustix::process::Signal;
use serde_json::json;

use crate::support::fake_runner::{WorkStream, job, job_with};
use crate::support::instances::{admin, by, is, runner_at, setup};
use crate::support::proxy::{Proxy, Weather};
use crate::support::wait::{Stopwatch, within};
use crate::support::{Api, FakeRunner, RunnerSetup, Server, Setup, on_both, until};

on_both!(jobs_come_as_they_are_submitted, a_restart_tells_again_what_was_not_started);

async fn jobs_come_as_they_are_submitted(setup: Setup) {
    let server = Server::start(&setup.patient()).await;
    let runner = FakeRunner::with_slots(&server.api, "one", &["x"], 2).await;
    let mut stream = runner.stream(&[]).await;
    assert_eq!((stream.hello.keep_alive_ms, stream.hello.silent_max_ms), (10_000, 60_000));
    let shown = server.api.runner(runner.id).await;
    assert!(shown.waiting && shown.streaming);
    server.api.submit(json!([job("a")])).await;
    let first = stream.job().await;
    runner.start(&first).await;
    server.api.submit(json!([job("b"), job("c")])).await;
    let second = stream.job().await;
    runner.start(&second).await;
    runner.complete(&first).await;
    let third = stream.job().await;
    assert_eq!([&*first.name, &*second.name, &*third.name], ["a", "b", "c"]);
    for job in [second, third] {
        runner.complete(&job).await;
        server.api.job_is(job.job_id, JobStateKind::Completed).await;
    }
}

async fn a_restart_tells_again_what_was_not_started(setup: Setup) {
    let server = Server::start(&setup.patient()).await;
    let runner = FakeRunner::with_slots(&server.api, "one", &["x"], 2).await;
    let mut stream = runner.stream(&[]).await;
    server.api.submit(json!([job("a"), job("b")])).await;
    let [a, b] = [stream.job().await, stream.job().await];
    runner.start(&a).await;
    let server = Server::again(server.stop().await).await;
    assert_eq!(stream.next().await, None, "it ends with its server");
    let runner = by(&runner, &server.api);
    let mut stream = runner.stream(&[&a]).await;
    assert!(stream.hello.epoch > 1);
    assert_eq!(stream.job().await, b, "the same lease");
    for job in [&a, &b] {
        runner.complete(job).await;
        let shown = server.api.job_is(job.job_id, JobStateKind::Completed).await;
        assert_eq!(shown.attempts.len(), 1);
    }
}

#[tokio::test]
async fn cancels_and_lost_leases_are_pushed() {
    let server = Server::start(&Setup::default().patient()).await;
    let runner = FakeRunner::with_slots(&server.api, "one", &["x"], 3).await;
    let mut stream = runner.stream(&[]).await;
    let (_, jobs) = server.api.submit(json!([job("a"), job("b"), job("c")])).await;
    let mut given = Vec::new();
    for _ in 0..3 {
        given.push(stream.job().await);
    }
    let of = |at: usize| given.iter().find(|it| it.job_id == jobs[at]).unwrap();
    runner.start(of(0)).await;
    runner.start(of(2)).await;
    let cancel = async |at: usize| {
        let path = format!("/jobs/{}/cancel", jobs[at]);
        assert_eq!(server.api.post(&path, json!({})).await.status, 200);
    };
    cancel(0).await;
    assert_eq!(stream.about(of(0)).await, "cancel");
    cancel(1).await;
    assert_eq!(stream.about(of(1)).await, "lost", "it was not started");
    // The grace after a cancel is a second here.
    assert_eq!(stream.about(of(0)).await, "lost");
    // A heartbeat says the same to whoever missed it.
    cancel(2).await;
    assert_eq!(stream.about(of(2)).await, "cancel");
    let heard = runner.heartbeat(&[of(0), of(1), of(2)]).await;
    assert_eq!(heard.cancel, [of(2).lease]);
    assert_eq!(heard.lost.len(), 2);
}

/// A job goes to whoever is there, never to a client that has hung up.
#[tokio::test]
async fn a_job_is_never_assigned_to_a_stream_whose_client_has_left() {
    // An ack window as long as the whole test: only the other runner can have the job.
    let server = Server::start(&Setup::default().patient()).await;
    let gone = FakeRunner::register(&server.api, "gone", &["x"]).await;
    let here = FakeRunner::register(&server.api, "here", &["x"]).await;
    for round in 0..5 {
        let stream = gone.stream(&[]).await;
        let mut other = here.stream(&[]).await;
        server.api.polls_parked(2).await;
        drop(stream);
        let (_, jobs) = server.api.submit(json!([job("a")])).await;
        let given = other.job().await;
        assert_eq!(given.job_id, jobs[0], "round {round}");
        here.complete(&given).await;
        until("the client that left is forgotten", async || {
            (!server.api.runner(gone.id).await.waiting).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn of_all_that_a_runner_has_open_the_last_one_counts() {
    let server = Server::start(&Setup::default().patient()).await;
    let runner = FakeRunner::register(&server.api, "one", &["x"]).await;
    let mut first = runner.stream(&[]).await;
    let mut second = runner.stream(&[]).await;
    assert_eq!(first.next().await, None);
    let poll = tokio::spawn({
        let runner = runner.clone();
        async move { runner.poll().await }
    });
    assert_eq!(second.next().await, None, "a poll takes its place");
    let mut third = runner.stream(&[]).await;
    assert!(within("the poll", poll).await.unwrap().jobs.is_empty());
    server.api.submit(json!([job("a")])).await;
    assert_eq!(third.job().await.name, "a");
    assert!(!runner.look().await.is_empty(), "and is told again by a poll, if it is not started");
}

#[tokio::test]
async fn strangers_are_given_no_stream() {
    let server = Server::start(&Setup::default()).await;
    let [one, two] = [
        FakeRunner::register(&server.api, "one", &["x"]).await,
        FakeRunner::register(&server.api, "two", &["x"]).await,
    ];
    let path = |id: RunnerId| format!("/runners/{id}/stream");
    assert_eq!(one.api.post(&path(two.id), json!({})).await.status, 403);
    assert_eq!(server.api.with_token("nobody's").post(&path(one.id), json!({})).await.status, 401);
    assert_eq!(one.api.post(&path(one.id), json!({ "wait_ms": 1 })).await.status, 400);
}

/// The connection is there, and nobody at its other end any more.
#[tokio::test]
async fn a_stream_whose_runner_is_silent_ends_and_its_runner_is_offline() {
    let setup = Setup::default().patient().scheduler("poll_wait_max_ms", 400);
    let server = Server::start(&setup.scheduler("heartbeat_timeout_ms", 800)).await;
    let runner = FakeRunner::register(&server.api, "one", &["x"]).await;
    let mut stream = runner.stream(&[]).await;
    let watch = Stopwatch::start();
    while watch.elapsed() < Duration::from_millis(1_000) {
        runner.heartbeat(&[]).await;
        assert!(server.api.runner(runner.id).await.streaming, "it is heard of");
    }
    assert_eq!(stream.next().await, None);
    let shown = server.api.runner(runner.id).await;
    assert!(!shown.waiting);
    until("it is offline", async || {
        (server.api.runner(runner.id).await.state == RunnerState::Offline).then_some(())
    })
    .await;
    let (_, jobs) = server.api.submit(json!([job("a")])).await;
    assert_eq!(server.api.job(jobs[0]).await.job.state, JobStateKind::Pending);
}

/// Opened at a standby, which passes it on.
#[tokio::test]
async fn a_take_over_ends_a_stream_and_what_it_gave_is_told_again() {
    let setup = setup().await;
    let first = Server::start(&setup).await;
    let second = Server::start(&setup).await;
    is(&second.api, "standby").await;
    let runner = runner_at(&second.api).await;
    let mut stream = runner.stream(&[]).await;
    let watch = Stopwatch::start();
    admin(&first.api).submit(json!([job("a")])).await;
    let given = stream.job().await;
    println!("through a standby: {} ms", watch.elapsed().as_millis());
    first.stop().await;
    assert_eq!(stream.next().await, None, "it ends with its leader");
    is(&second.api, "running").await;
    let mut stream = runner.stream(&[]).await;
    assert_eq!(stream.job().await, given, "the same lease, at the instance that leads now");
    runner.start(&given).await;
    runner.complete(&given).await;
    let shown = admin(&second.api).job(given.job_id).await;
    assert_eq!((shown.job.state, shown.attempts.len()), (JobStateKind::Completed, 1));
}

/// A runner that is a process, with its connections through a proxy.
async fn streams(server: &Server, id: RunnerId) -> RunnerView {
    until("it streams", async || {
        Some(server.api.runner(id).await).filter(|runner| runner.streaming)
    })
    .await
}

#[tokio::test]
async fn a_runner_whose_connections_are_cut_goes_on_and_streams_again() {
    let server = Server::start(&Setup::default().patient()).await;
    let proxy = Proxy::to(server.api.base()).await;
    let near =
        Api::new(proxy.url(server.api.base()).trim_start_matches("http://").parse().unwrap());
    let runner = RunnerSetup::new("one").start(&server.home, &near).await;
    streams(&server, runner.id).await;
    for round in 0..3 {
        proxy.set(Weather::Cut);
        until("the stream is gone", async || {
            (!server.api.runner(runner.id).await.streaming).then_some(())
        })
        .await;
        let (_, jobs) = server.api.submit(json!([job("a")])).await;
        proxy.set(Weather::Fair);
        let shown = server.api.job_is(jobs[0], JobStateKind::Completed).await;
        assert_eq!(shown.attempts.last().unwrap().runner_id, runner.id, "round {round}");
        streams(&server, runner.id).await;
    }
    assert!(runner.told().contains("the stream broke"), "{}", runner.told());
    let idle = server.api.request(Method::GET, "/metrics").send().await.unwrap();
    assert!(idle.text().await.unwrap().contains("dispatchyard_runner_streams 1"));
}

/// Something on the way has forgotten the connections, and tells nobody.
#[tokio::test]
async fn a_stream_that_is_dead_is_noticed_by_its_runner() {
    let setup = Setup::default().patient().scheduler("stream_keep_alive_ms", 200);
    let server = Server::start(&setup).await;
    let proxy = Proxy::to(server.api.base()).await;
    let near =
        Api::new(proxy.url(server.api.base()).trim_start_matches("http://").parse().unwrap());
    let runner = RunnerSetup::new("one").start(&server.home, &near).await;
    streams(&server, runner.id).await;
    proxy.forget();
    let watch = Stopwatch::start();
    until("it is noticed", async || runner.told().contains("the stream broke").then_some(())).await;
    println!("a dead stream noticed after {} ms", watch.elapsed().as_millis());
    let (_, jobs) = server.api.submit(json!([job("a")])).await;
    server.api.job_is(jobs[0], JobStateKind::Completed).await;
    streams(&server, runner.id).await;
}

#[tokio::test]
async fn a_cancel_reaches_a_running_step_without_a_heartbeat() {
    let setup = Setup::default().patient().scheduler("heartbeat_interval_ms", 60_000);
    let server = Server::start(&setup.scheduler("cancel_grace_ms", 30_000)).await;
    let runner = RunnerSetup::new("one").start(&server.home, &server.api).await;
    streams(&server, runner.id).await;
    let folder = server.home.path().display();
    let run = format!("touch {folder}/began; exec sleep 600");
    let work = json!({ "work": { "steps": [{ "run": run }] } });
    let (_, jobs) = server.api.submit(json!([job_with("long", work)])).await;
    let began = server.home.file("began");
    until("the step runs", async || began.exists().then_some(())).await;
    let watch = Stopwatch::start();
    server.api.post(&format!("/jobs/{}/cancel", jobs[0]), json!({})).await;
    server.api.job_is(jobs[0], JobStateKind::Cancelled).await;
    println!("from the cancel to its end: {} ms", watch.elapsed().as_millis());
    assert!(watch.elapsed() < Duration::from_secs(10));
    runner.signal(Signal::TERM);
}

/// From a submission to the job in the runner's hands; printed, not judged.
#[tokio::test]
async fn how_long_a_job_takes_into_a_runners_hands() {
    const JOBS: usize = 40;
    let server = Server::start(&Setup::default().patient()).await;
    let submitted = |watch: &Stopwatch| watch.elapsed().as_secs_f64() * 1_000.0;
    let median = |mut ms: Vec<f64>| {
        ms.sort_by(f64::total_cmp);
        (ms[JOBS / 2], ms[JOBS * 95 / 100])
    };
    let runner = FakeRunner::register(&server.api, "one", &["x"]).await;
    let mut stream: WorkStream = runner.stream(&[]).await;
    let work = json!({ "name": "timed", "jobs": [job("a")] });
    let mut by_stream = Vec::new();
    for _ in 0..JOBS {
        let watch = Stopwatch::start();
        let (_, given): (_, Assignment) =
            tokio::join!(server.api.post("/workloads", &work), stream.job());
        by_stream.push(submitted(&watch));
        runner.complete(&given).await;
    }
    drop(stream);
    let mut by_poll = Vec::new();
    for _ in 0..JOBS {
        let parked = tokio::spawn({
            let runner = runner.clone();
            async move { runner.take().await }
        });
        until("it polls", async || {
            let shown = server.api.runner(runner.id).await;
            (shown.waiting && !shown.streaming).then_some(())
        })
        .await;
        let watch = Stopwatch::start();
        let (_, given) = tokio::join!(server.api.post("/workloads", &work), parked);
        by_poll.push(submitted(&watch));
        runner.complete(&given.unwrap()).await;
    }
    println!(
        "submitted to in hands (p50, p95 ms): stream {:.2?}, poll {:.2?}",
        median(by_stream),
        median(by_poll)
    );
}
