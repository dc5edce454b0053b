//! Several servers on one PostgreSQL: one leads, the others stand by and take over.

use std::time::Duration;

use dispatchyard::api::wire::StatusView;
use dispatchyard::model::{AttemptOutcome, JobStateKind};
use reqwest::Method;
use rustix::process::Signal;
use serde_json::json;

use crate::support::fake_runner::job;
use crate::support::server::ServerProcess;
use crate::support::wait::Stopwatch;
use crate::support::{Api, FakeRunner, Server, Setup, until};

/// The term of these tests: a leader that is silent for longer is ousted.
const TTL_MS: u64 = 1_500;
/// What a take-over may take on a busy machine beyond what it waits for.
const SLOW: Duration = Duration::from_secs(4);

/// Of several instances on one database; no lease ends by itself.
async fn setup() -> Setup {
    let instances = format!("\n[instances]\nleader_ttl_ms = {TTL_MS}\nlook_interval_ms = 50\n");
    Setup::default().on_postgres().await.patient().tokens().more(&instances)
}

fn admin(api: &Api) -> Api {
    api.with_token(crate::support::home::ADMIN_TOKEN)
}

async fn runner_at(api: &Api) -> FakeRunner {
    let api = api.with_token(crate::support::home::REGISTRATION_TOKEN);
    FakeRunner::register(&api, "one", &["x"]).await
}

/// The same runner by another address.
fn by(runner: &FakeRunner, api: &Api) -> FakeRunner {
    FakeRunner { api: api.with_token(&runner.token), ..runner.clone() }
}

/// Waits until an instance says that it is so.
async fn is(api: &Api, state: &str) {
    until(&format!("it is {state}"), async || {
        let answer = api.request(Method::GET, "/readyz").send().await.ok()?;
        (answer.text().await.ok()?.trim() == state).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_server_that_stops_hands_over_at_once_and_its_leases_stay_good() {
    let setup = setup().await;
    let first = Server::start(&setup).await;
    let second = Server::start(&setup).await;
    is(&second.api, "standby").await;
    let runner = runner_at(&first.api).await;
    let (_, jobs) = admin(&first.api).submit(json!([job("a")])).await;
    let held = runner.begin().await;
    let before: StatusView = admin(&first.api).get("/status").await;

    let watch = Stopwatch::start();
    first.stop().await;
    is(&second.api, "running").await;
    let took = watch.elapsed();
    println!("hand-over by a graceful stop: {} ms", took.as_millis());
    assert!(took < SLOW, "{took:?}");

    let runner = by(&runner, &second.api);
    assert_eq!(runner.heartbeat(&[&held]).await.lost, []);
    runner.complete(&held).await;
    runner.complete(&held).await;
    let job = admin(&second.api).job(jobs[0]).await;
    assert_eq!((job.job.state, job.attempts.len()), (JobStateKind::Completed, 1));
    let after: StatusView = admin(&second.api).get("/status").await;
    assert_eq!(after.epoch, before.epoch + 1);
}

#[tokio::test]
async fn a_leader_that_is_killed_is_followed_by_a_standby_and_its_leases_stay_good() {
    let setup = setup().await;
    let (home, other) = (setup.build(), setup.build());
    let mut first = ServerProcess::start(&home).await;
    let second = ServerProcess::start(&other).await;
    let runner = runner_at(&first.api).await;
    let (_, jobs) = admin(&first.api).submit(json!([job("a")])).await;
    let held = runner.begin().await;

    let watch = Stopwatch::start();
    first.kill().await;
    is(&second.api, "running").await;
    let took = watch.elapsed();
    println!("take-over after kill -9: {} ms", took.as_millis());
    assert!(took < SLOW, "{took:?}");

    let runner = by(&runner, &second.api);
    assert_eq!(runner.heartbeat(&[&held]).await.lost, []);
    runner.complete(&held).await;
    runner.complete(&held).await;
    let job = admin(&second.api).job(jobs[0]).await;
    assert_eq!((job.job.state, job.attempts.len()), (JobStateKind::Completed, 1));
}

#[tokio::test]
async fn a_leader_that_is_stopped_for_longer_than_its_term_wakes_as_a_standby() {
    let setup = setup().await;
    let (home, other) = (setup.build(), setup.build());
    let first = ServerProcess::start(&home).await;
    let second = ServerProcess::start(&other).await;
    let runner = runner_at(&first.api).await;
    let (_, jobs) = admin(&first.api).submit(json!([job("a")])).await;
    let held = runner.begin().await;

    let watch = Stopwatch::start();
    first.signal(Signal::STOP);
    is(&second.api, "running").await;
    let took = watch.elapsed();
    println!("take-over after SIGSTOP, term {TTL_MS} ms: {} ms", took.as_millis());
    assert!(took >= Duration::from_millis(TTL_MS / 2), "the term was not kept: {took:?}");
    assert!(took < Duration::from_millis(TTL_MS) + SLOW, "{took:?}");

    // What waits in the sleeper's sockets is what it believes when it wakes.
    let sleeper = runner.clone();
    let stale = tokio::spawn({
        let held = held.clone();
        async move { sleeper.end(&held, AttemptOutcome::Failed).await }
    });
    let answered = by(&runner, &second.api).complete(&held).await;
    assert_eq!(answered.state, JobStateKind::Completed);
    first.signal(Signal::CONT);
    let stale = stale.await.unwrap();
    assert!([401, 409, 503].contains(&stale.status), "{stale:?}");
    is(&first.api, "standby").await;
    is(&second.api, "running").await;
    let job = admin(&second.api).job(jobs[0]).await;
    assert_eq!((job.job.state, job.attempts.len()), (JobStateKind::Completed, 1));
    let status: StatusView = admin(&second.api).get("/status").await;
    assert_eq!(status.epoch, 2, "the sleeper has not taken it back: {}", first.told());
}
