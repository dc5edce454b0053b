//! Several servers on one PostgreSQL: one leads, the others stand by and take over.

use std::sync::Arc;
use std::time::Duration;

use dispatchyard::api::wire::{DeliveryAccepted, InstanceView, List, StatusView};
use dispatchyard::app::AppOptions;
use dispatchyard::model::{AttemptOutcome, JobStateKind, Untrusted};
use reqwest::Method;
use rustix::process::Signal;
use serde_json::json;
use sqlx::{Connection as _, PgConnection};

use crate::support::fake_runner::job;
use crate::support::hook::{fixture, push_with};
use crate::support::instances::{
    SLOW, TTL_MS, admin, by, is, is_kept, runner_at, setup, with_term,
};
use crate::support::server::ServerProcess;
use crate::support::wait::{Stopwatch, within};
use crate::support::{Api, Hook, Server, Setup, until};

#[tokio::test]
async fn a_server_that_stops_hands_over_at_once_and_its_leases_stay_good() {
    let setup = setup().await;
    let first = Server::start(&setup).await;
    let second = Server::start(&setup).await;
    is(&second.api, "standby").await;
    let runner = runner_at(&first.api).await;
    admin(&first.api).submit(json!([job("a")])).await;
    let held = runner.begin().await;
    let before: StatusView = admin(&first.api).get("/status").await;

    let watch = Stopwatch::start();
    first.stop().await;
    is(&second.api, "running").await;
    let took = watch.elapsed();
    println!("hand-over by a graceful stop: {} ms", took.as_millis());
    assert!(took < SLOW, "{took:?}");

    is_kept(&runner, &held, &second.api).await;
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
    admin(&first.api).submit(json!([job("a")])).await;
    let held = runner.begin().await;

    let watch = Stopwatch::start();
    first.kill().await;
    is(&second.api, "running").await;
    let took = watch.elapsed();
    println!("take-over after kill -9: {} ms", took.as_millis());
    assert!(took < SLOW, "{took:?}");

    is_kept(&runner, &held, &second.api).await;
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

/// A second instance beside the first one: everything that is done here is done through it.
#[tokio::test]
async fn a_standby_serves_everybody() {
    let setup = setup().await.server("name", "yard");
    let first = Server::start(&setup).await;
    let second = Server::start(&setup).await;
    is(&second.api, "standby").await;
    let api = admin(&second.api);
    let runner = runner_at(&second.api).await;

    let polling = tokio::spawn({
        let runner = runner.clone();
        async move { runner.take().await }
    });
    admin(&first.api).polls_parked(1).await;
    let watch = Stopwatch::start();
    let accepted = second.hook().push("d-1").await;
    assert_eq!((accepted.state.as_str(), accepted.duplicate), ("accepted", false));
    let held = polling.await.unwrap();
    println!(
        "webhook at a standby to a runner that polls there: {} ms",
        watch.elapsed().as_millis()
    );
    assert!(watch.elapsed() < SLOW);
    runner.start(&held).await;
    assert_eq!(runner.write(&held, 0, "through a standby\n").await.status, 200);
    assert_eq!(runner.heartbeat(&[&held]).await.lost, []);
    runner.complete(&held).await;
    let detail = api.job_is(held.job_id, JobStateKind::Completed).await;
    assert_eq!(detail.attempts.len(), 1);
    assert_eq!(api.log(held.job_id).await, "through a standby\n");

    // The same delivery is one, wherever it comes again.
    for server in [&first, &second] {
        let again = server.hook().send("push", "d-1", fixture("push")).await;
        let told: DeliveryAccepted = again.json();
        assert_eq!((again.status, told.delivery_id), (200, accepted.delivery_id));
        assert!(told.duplicate);
    }
    let rows = api.deliveries().await;
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].state, "dispatched");
    assert_eq!(rows[0].triggers.iter().filter(|it| it.workload_id.is_some()).count(), 1);

    // Who may not there may not here, and nobody passes a call on twice.
    let nobody = second.api.ask(Method::GET, "/queue", None).await;
    assert_eq!(nobody.problem(), (401, "unauthorized".to_owned()));
    let passed = api.request(Method::GET, "/api/v1/runners");
    let passed = passed.header("x-dispatchyard-forwarded-by", "a test").send().await.unwrap();
    assert_eq!(passed.status(), 503);
    assert!(passed.headers().contains_key("x-dispatchyard-not-leading"));
    // A stream through a standby is the leader's.
    let mut stream = api.request(Method::GET, "/api/v1/stream").send().await.unwrap();
    assert_eq!(stream.status(), 200);
    api.submit(json!([job("b")])).await;
    let news = within("news", stream.chunk()).await.unwrap().unwrap();
    assert!(!news.is_empty());
    // It ends with the leader.
    first.stop().await;
    within("the end of the stream", async { while let Ok(Some(_)) = stream.chunk().await {} })
        .await;
}

#[tokio::test]
async fn a_poll_through_a_standby_ends_when_the_leader_does_and_work_goes_on() {
    let setup = setup().await;
    let (home, other) = (setup.build(), setup.build());
    let mut first = ServerProcess::start(&home).await;
    let second = ServerProcess::start(&other).await;
    let runner = runner_at(&second.api).await;
    let parked = tokio::spawn({
        let runner = runner.clone();
        async move {
            let path = format!("/runners/{}/poll", runner.id);
            runner.api.post(&path, json!({ "wait_ms": 20_000 })).await
        }
    });
    admin(&first.api).polls_parked(1).await;
    let watch = Stopwatch::start();
    first.kill().await;
    let answer = within("the end of the poll", parked).await.unwrap();
    assert!([200, 503].contains(&answer.status), "{answer:?}");
    // Asked again at once, as runners do, it waits for the next leader.
    let polling = tokio::spawn({
        let runner = runner.clone();
        async move { runner.take().await }
    });
    // Before that it may be passed on to one that has just gone.
    is(&second.api, "running").await;
    let (_, jobs) = admin(&second.api).submit(json!([job("a")])).await;
    let held = polling.await.unwrap();
    println!("no dispatch after kill -9 for {} ms", watch.elapsed().as_millis());
    assert_eq!(held.job_id, jobs[0]);
    runner.start(&held).await;
    runner.complete(&held).await;
}

#[tokio::test]
async fn without_a_leader_calls_are_refused_for_a_moment_and_deliveries_are_kept() {
    let instances = "\n[instances]\nleader_ttl_ms = 60000\nlook_interval_ms = 50\n\
                     forward_wait_ms = 100\n";
    let setup = Setup::default().on_postgres().await.patient().tokens().more(instances);
    let home = setup.build();
    // Somebody holds the lock and says nothing.
    let mut silent = PgConnection::connect(&home.schema().unwrap().url()).await.unwrap();
    let lock = "SELECT pg_advisory_lock(1148806511, hashtext(current_schema()))";
    sqlx::raw_sql(lock).execute(&mut silent).await.unwrap();
    let mut process = ServerProcess::launch(&home);
    let address = process.line_with("listening", "address").await.parse().unwrap();
    let api = admin(&Api::new(address));
    is(&api, "standby").await;
    let ready = api.request(Method::GET, "/readyz").send().await.unwrap();
    assert_eq!(ready.status(), 503);

    let refused = api.post("/workloads", json!({ "name": "w", "jobs": [job("a")] })).await;
    assert_eq!(refused.problem(), (503, "no-leader".to_owned()));
    let wait: u64 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=3).contains(&wait), "{wait}");
    let kept = Hook::new(&api).push("d-1").await;
    assert_eq!(kept.state, "accepted");
    assert_eq!(api.delivery(kept.delivery_id).await.state, "accepted");
    let status: StatusView = api.get("/status").await;
    assert_eq!(status.state, "standby");
    assert!(status.warnings.iter().any(|it| it.contains("no instance leads")), "{status:?}");

    silent.close().await.unwrap();
    is(&api, "running").await;
    until("the delivery is decided", async || {
        (api.delivery(kept.delivery_id).await.state == "dispatched").then_some(())
    })
    .await;
    assert_eq!(api.jobs().await.len(), 2);
}

/// The session that holds the lock ends without its process, as by an administrator's hand.
#[tokio::test]
async fn a_leader_that_loses_its_session_is_followed_by_one_leader() {
    let setup = setup().await;
    let first = Server::start(&setup).await;
    let second = Server::start(&setup).await;
    is(&second.api, "standby").await;
    let runner = runner_at(&second.api).await;
    let (_, jobs) = admin(&second.api).submit(json!([job("a")])).await;
    let held = runner.begin().await;
    let before: StatusView = admin(&first.api).get("/status").await;

    let cut = "SELECT pg_terminate_backend(pid, 5000) FROM pg_locks WHERE locktype = 'advisory'
        AND classid = 1148806511 AND objid::int8 = (hashtext(current_schema())::int8 & 4294967295)";
    let mut connection = PgConnection::connect(&first.home.schema().unwrap().url()).await.unwrap();
    sqlx::raw_sql(cut).execute(&mut connection).await.unwrap();
    let after = until("somebody has taken over", async || {
        let answer = admin(&second.api).try_ask(Method::GET, "/status", None).await?;
        let status: StatusView = (answer.status == 200).then(|| answer.json())?;
        (status.epoch > before.epoch).then_some(status)
    })
    .await;
    assert_eq!(after.state, "running");
    runner.complete(&held).await;
    let job = admin(&first.api).job(jobs[0]).await;
    assert_eq!((job.job.state, job.attempts.len()), (JobStateKind::Completed, 1));
    // Whoever lost it notices at the next renewal at the latest.
    until("one leads and one stands by", async || {
        let states = [&first, &second].map(|server| server.handle().views().state().as_str());
        (states.contains(&"running") && states.contains(&"standby")).then_some(())
    })
    .await;
}

/// The database answers, and does not let it renew its term.
#[tokio::test]
async fn a_leader_that_cannot_renew_its_term_falls_silent_until_it_can() {
    let setup = setup().await;
    let server = Server::start(&setup).await;
    let api = admin(&server.api);
    let runner = runner_at(&server.api).await;
    let parked = tokio::spawn({
        let runner = runner.clone();
        async move {
            let path = format!("/runners/{}/poll", runner.id);
            runner.api.post(&path, json!({ "wait_ms": 20_000 })).await
        }
    });
    api.polls_parked(1).await;
    let mut other = PgConnection::connect(&server.home.schema().unwrap().url()).await.unwrap();
    let lock = "BEGIN; UPDATE leadership SET name = name WHERE id = 1";
    sqlx::raw_sql(lock).execute(&mut other).await.unwrap();
    let watch = Stopwatch::start();
    let answer = within("the end of the poll", parked).await.unwrap();
    println!("silent after {} ms, term {TTL_MS} ms", watch.elapsed().as_millis());
    assert_eq!(answer.status, 503, "{answer:?}");
    assert_ne!(server.handle().views().state().as_str(), "running");
    let refused = api.post("/workloads", json!({ "name": "w", "jobs": [job("a")] })).await;
    assert_eq!(refused.status, 503, "{refused:?}");

    sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
    is(&server.api, "running").await;
    let (_, jobs) = api.submit(json!([job("a")])).await;
    let held = runner.begin().await;
    assert_eq!(held.job_id, jobs[0]);
    runner.complete(&held).await;
}

#[tokio::test]
async fn a_delivery_that_the_leader_fails_on_is_failed_and_the_next_one_is_not() {
    // The fault is told with its place, which keeps this process busy: it must not cost the seat.
    let setup = with_term(15_000).await;
    let options = AppOptions {
        evaluate_probe: Some(Arc::new(|event| {
            let is_bad = |it: &Untrusted| it.as_data().ends_with("poison");
            assert!(!event.git_ref.as_ref().is_some_and(is_bad), "planted");
        })),
        ..AppOptions::default()
    };
    let first = Server::with(&setup, options).await;
    let second = Server::start(&setup).await;
    is(&second.api, "standby").await;
    let poison = push_with("/ref", "refs/heads/odd/poison");
    let bad: DeliveryAccepted = second.hook().send("push", "bad", poison).await.json();
    let good = second.hook().push("good").await;
    let api = admin(&second.api);
    for (id, state) in [(bad.delivery_id, "failed"), (good.delivery_id, "dispatched")] {
        until(&format!("it is {state}"), async || {
            (api.delivery(id).await.state == state).then_some(())
        })
        .await;
    }
    assert_eq!(api.jobs().await.len(), 2);
    is(&first.api, "running").await;
}

#[tokio::test]
async fn instances_that_are_configured_otherwise_are_shown() {
    let setup = setup().await;
    let first = Server::start(&setup).await;
    let second = Server::start(&setup.scheduler("max_retries", 2).server("name", "odd")).await;
    is(&second.api, "standby").await;
    let api = admin(&first.api);
    let list: List<InstanceView> = until("both are known", async || {
        let list: List<InstanceView> = api.get("/instances").await;
        (list.items.len() == 2).then_some(list)
    })
    .await;
    let seen: Vec<_> = list.items.iter().map(|it| (it.role.as_str(), it.differs)).collect();
    assert_eq!(seen, [("leader", false), ("standby", true)]);
    assert_eq!(list.items[1].name, "odd");
    let status: StatusView = until("the drift is told", async || {
        let status: StatusView = api.get("/status").await;
        status.warnings.iter().any(|it| it.contains("odd")).then_some(status)
    })
    .await;
    let standing = status.instance.unwrap();
    assert_eq!((standing.role.as_str(), standing.leader), ("leader", Some(standing.name)));
    second.stop().await;
    until("the other one is gone", async || {
        let list: List<InstanceView> = api.get("/instances").await;
        (list.items.len() == 1).then_some(())
    })
    .await;
}
