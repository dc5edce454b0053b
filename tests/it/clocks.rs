//! The clock on the wall of a server is put forward or back by an hour: what is due by it comes sooner or
//! later, and nothing that lives by time that passes notices. And a server that was stopped, or whose machine was
//! suspended, for longer than a term: nobody could be heard meanwhile, so nobody is judged by that.

use std::sync::Arc;
use std::time::Duration;

use dispatchyard::api::wire::{DeliveryAccepted, StatusView};
use dispatchyard::app::AppOptions;
use dispatchyard::clock::Clock as _;
use dispatchyard::model::{EndReason, JobStateKind, RunnerState};
use reqwest::Method;
use rustix::process::Signal;
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};

use crate::support::clock::JumpingClock;
use crate::support::fake_runner::{job, job_with};
use crate::support::hook::fixture;
use crate::support::instances::{admin, is, is_kept, runner_at, with_term};
use crate::support::server::ServerProcess;
use crate::support::wait::within;
use crate::support::{FakeRunner, Server, Setup, on_both, until};

const HOUR_MS: i64 = 3_600_000;

async fn start(setup: &Setup) -> (Server, Arc<JumpingClock>) {
    let clock = Arc::new(JumpingClock::default());
    let options = AppOptions { clock: clock.clone(), ..AppOptions::default() };
    (Server::with(setup, options).await, clock)
}

async fn a_jump_moves_what_is_due_by_the_wall_clock_and_no_lease_and_no_poll(setup: Setup) {
    let (server, clock) = start(&setup.patient()).await;
    let api = &server.api;
    let busy = FakeRunner::register(api, "busy", &["x"]).await;
    api.submit(json!([job("held")])).await;
    let held = busy.begin().await;
    let of = |label: &str, more: Value| {
        let mut job = job_with("a", more);
        job["requirements"] = json!({ "labels": [label] });
        json!([job])
    };
    let not_before_ms = clock.now().wall_ms + HOUR_MS / 2;
    let (_, later) = api.submit(of("y", json!({ "not_before_ms": not_before_ms }))).await;
    let (_, due) = api.submit(of("nobody", json!({ "queue_timeout": "30m" }))).await;
    let waits = FakeRunner::register(api, "waits", &["y"]).await;
    let parked = FakeRunner::register(api, "parked", &["z"]).await;
    let poll = |runner: &FakeRunner| {
        let runner = runner.clone();
        tokio::spawn(async move { runner.poll().await.jobs })
    };
    let (polling, parked_poll) = (poll(&waits), poll(&parked));
    api.polls_parked(2).await;
    let before = server.hook().push("d-1").await;

    // Forward: nobody says anything to the server, and it notices.
    clock.jump(HOUR_MS);
    let given = within("what was due", polling).await.unwrap();
    assert_eq!((given.len(), given[0].job_id), (1, later[0]));
    waits.start(&given[0]).await;
    let ended = api.job_is(due[0], JobStateKind::Failed).await.job;
    assert_eq!(ended.reason, Some(EndReason::QueueTimeout));
    assert_eq!(busy.heartbeat(&[&held]).await.lost, []);

    // Back, and further back than it was before.
    for _ in 0..2 {
        clock.jump(-HOUR_MS);
        assert_eq!(busy.heartbeat(&[&held]).await.lost, []);
        assert_eq!(waits.heartbeat(&[&given[0]]).await.lost, []);
        let again = server.hook().send("push", "d-1", fixture("push")).await;
        let again: DeliveryAccepted = again.json();
        assert_eq!((again.delivery_id, again.duplicate), (before.delivery_id, true));
    }
    let (_, then) = api.submit(of("z", json!({}))).await;
    let given_then = within("the parked poll", parked_poll).await.unwrap();
    assert_eq!(
        (given_then.len(), given_then[0].job_id),
        (1, then[0]),
        "it was parked all the time"
    );
    parked.start(&given_then[0]).await;
    for (runner, lease) in [(&busy, &held), (&waits, &given[0]), (&parked, &given_then[0])] {
        runner.complete(lease).await;
        let job = api.job(lease.job_id).await;
        assert_eq!((job.job.state, job.attempts.len()), (JobStateKind::Completed, 1), "{job:?}");
        let attempt = &job.attempts[0];
        assert!(attempt.ran_ms.is_none_or(|ms| ms < HOUR_MS / 2), "{attempt:?}");
    }
    let still = api.job(due[0]).await.job;
    assert_eq!((still.state, still.ended_at_ms), (ended.state, ended.ended_at_ms), "it ended once");
}

on_both!(a_jump_moves_what_is_due_by_the_wall_clock_and_no_lease_and_no_poll);

/// Terms are counted by the database's clock and by clocks that nobody can put.
#[tokio::test]
async fn a_jump_on_an_instance_neither_costs_it_the_seat_nor_gives_it() {
    let setup = with_term(6_000).await;
    let (first, leads) = start(&setup).await;
    let (second, stands_by) = start(&setup).await;
    is(&second.api, "standby").await;
    let runner = runner_at(&second.api).await;
    admin(&second.api).submit(json!([job("a")])).await;
    let held = runner.begin().await;
    let before: StatusView = admin(&first.api).get("/status").await;
    let mut connection = PgConnection::connect(&setup.url()).await.unwrap();
    for ms in [HOUR_MS, -2 * HOUR_MS] {
        leads.jump(ms);
        stands_by.jump(ms);
        for _ in 0..2 {
            let renewed = "SELECT renewed_at_ms FROM leadership";
            let since: i64 = sqlx::query_scalar(renewed).fetch_one(&mut connection).await.unwrap();
            until("the term was renewed", async || {
                let now = sqlx::query_scalar::<_, i64>(renewed).fetch_one(&mut connection);
                (now.await.unwrap() > since).then_some(())
            })
            .await;
        }
    }
    let after: StatusView = admin(&second.api).get("/status").await;
    assert_eq!((after.epoch, after.state.as_str()), (before.epoch, "running"));
    is_kept(&runner, &held, &second.api).await;
}

#[tokio::test]
async fn a_suspended_machine_takes_no_job_away_when_it_wakes() {
    let (server, clock) = start(&Setup::default().patient()).await;
    let api = &server.api;
    let busy = FakeRunner::register(api, "busy", &["x"]).await;
    let slow = FakeRunner::register(api, "slow", &["x"]).await;
    api.submit(json!([job("running"), job("claimed")])).await;
    let (running, claimed) = (busy.begin().await, slow.take().await);
    let parked = FakeRunner::register(api, "parked", &["z"]).await;
    let poll = tokio::spawn({
        let parked = parked.clone();
        async move { parked.poll().await.jobs }
    });
    api.polls_parked(1).await;

    clock.suspend(HOUR_MS);
    // Nobody says anything, and the server notices what is due: the end of the poll.
    assert_eq!(within("the end of the poll", poll).await.unwrap(), []);
    assert_eq!(busy.heartbeat(&[&running]).await.lost, []);
    slow.start(&claimed).await;
    for (runner, lease) in [(&busy, &running), (&slow, &claimed)] {
        runner.complete(lease).await;
        let job = api.job(lease.job_id).await;
        assert_eq!((job.job.state, job.attempts.len()), (JobStateKind::Completed, 1), "{job:?}");
    }
    for runner in [&busy, &slow, &parked] {
        let seen = api.runner(runner.id).await;
        assert_eq!(seen.state, RunnerState::Online, "{seen:?}");
    }
}

#[tokio::test]
async fn a_server_that_was_stopped_for_longer_than_a_lease_takes_no_job_away() {
    const LEASE_MS: u64 = 3_000;
    let setup = ["lease_ms", "heartbeat_timeout_ms", "ack_window_ms"]
        .into_iter()
        .fold(Setup::default(), |setup, key| setup.scheduler(key, LEASE_MS as i64));
    let home = setup.build();
    let server = ServerProcess::start(&home).await;
    let runner = FakeRunner::register(&server.api, "one", &["x"]).await;
    server.api.submit(json!([job("a")])).await;
    let held = runner.begin().await;

    server.signal(Signal::STOP);
    tokio::time::sleep(Duration::from_millis(LEASE_MS + 500)).await;
    server.signal(Signal::CONT);
    until("it finds that it was away", async || {
        server.told().contains("no runner could be heard").then_some(())
    })
    .await;
    assert_eq!(runner.heartbeat(&[&held]).await.lost, []);
    runner.complete(&held).await;
    assert_eq!(server.api.job(held.job_id).await.attempts.len(), 1);
}

/// Its own timers did not run, so they cannot tell it that its term is over.
#[tokio::test]
async fn a_leader_whose_machine_was_suspended_does_not_believe_itself() {
    let setup = with_term(6_000).await;
    let (server, clock) = start(&setup).await;
    let api = admin(&server.api);
    let runner = runner_at(&server.api).await;
    api.submit(json!([job("a")])).await;
    let held = runner.begin().await;
    let before: StatusView = api.get("/status").await;

    clock.suspend(HOUR_MS);
    let after = until("it has loaded again", async || {
        let answer = api.ask(Method::GET, "/status", None).await;
        let status = (answer.status == 200).then(|| answer.json::<StatusView>())?;
        (status.state == "running" && status.epoch > before.epoch).then_some(status)
    })
    .await;
    assert_eq!(after.epoch, before.epoch + 1);
    is_kept(&runner, &held, &server.api).await;
}
