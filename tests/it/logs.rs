//! Logs of jobs where several servers share a PostgreSQL: all of them have all logs, whoever leads.

use std::time::Duration;

use dispatchyard::api::wire::{Assignment, LogAck, LogChunk};
use dispatchyard::model::{JobId, JobStateKind};
use reqwest::Method;
use serde_json::json;

use crate::support::fake_runner::job;
use crate::support::server::ServerProcess;
use crate::support::sse::Stream;
use crate::support::wait::Stopwatch;
use crate::support::{Api, FakeRunner, RunnerSetup, Server, Setup, until};

/// What may pass on a busy machine until somebody who looks four times a second has seen something.
const SLOW: Duration = Duration::from_secs(4);

/// A leader that dies or stops loses the lock at once; none is ousted because the machine is busy.
async fn setup() -> Setup {
    let instances = "\n[instances]\nleader_ttl_ms = 60000\nlook_interval_ms = 50\n";
    Setup::default().on_postgres().await.patient().tokens().more(instances)
}

fn admin(api: &Api) -> Api {
    api.with_token(crate::support::home::ADMIN_TOKEN)
}

async fn runner_at(api: &Api) -> FakeRunner {
    let api = api.with_token(crate::support::home::REGISTRATION_TOKEN);
    FakeRunner::register(&api, "one", &["x", "self-hosted"]).await
}

async fn is(api: &Api, state: &str) {
    until(&format!("it is {state}"), async || {
        let answer = api.request(Method::GET, "/readyz").send().await.ok()?;
        (answer.text().await.ok()?.trim() == state).then_some(())
    })
    .await;
}

/// What an instance reads itself: a call that was passed on before is not passed on again.
async fn own_log(api: &Api, job: JobId) -> String {
    let request = admin(api).request(Method::GET, &format!("/api/v1/jobs/{job}/logs"));
    let answer = request.header("x-dispatchyard-forwarded-by", "a test").send().await.unwrap();
    assert_eq!(answer.status(), 200);
    answer.text().await.unwrap()
}

async fn writes(runner: &FakeRunner, held: &Assignment, offset: usize, text: &str) -> u64 {
    let answer = runner.write(held, offset, text).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json::<LogAck>().next_offset
}

#[tokio::test]
async fn a_log_outlives_the_leader_that_took_its_beginning() {
    let setup = setup().await;
    let (home, other) = (setup.build(), setup.build());
    let mut first = ServerProcess::start(&home).await;
    let second = ServerProcess::start(&other).await;
    let runner = runner_at(&first.api).await;
    admin(&first.api).submit(json!([job("a")])).await;
    let held = runner.begin().await;
    assert_eq!(writes(&runner, &held, 0, "half of it, ").await, 12);
    assert_eq!(own_log(&second.api, held.job_id).await, "half of it, ");

    first.kill().await;
    // Nobody need lead for that.
    assert_eq!(own_log(&second.api, held.job_id).await, "half of it, ");
    is(&second.api, "running").await;
    let runner = FakeRunner { api: second.api.with_token(&runner.token), ..runner };
    // A runner that did not hear of its last piece sends it again; one that is too far is told.
    assert_eq!(writes(&runner, &held, 8, "it, and").await, 15);
    assert_eq!(writes(&runner, &held, 90, "far").await, 15);
    assert_eq!(writes(&runner, &held, 15, " the rest").await, 24);
    runner.complete(&held).await;
    assert_eq!(own_log(&second.api, held.job_id).await, "half of it, and the rest");
    let again = ServerProcess::start(&home).await;
    assert_eq!(own_log(&again.api, held.job_id).await, "half of it, and the rest");
    let folder = home.file("data/logs");
    assert!(!folder.exists(), "nothing of it is a file");
}

#[tokio::test]
async fn a_log_is_followed_at_a_standby_also_over_a_take_over() {
    let setup = setup().await;
    let first = Server::start(&setup).await;
    let second = Server::start(&setup).await;
    is(&second.api, "standby").await;
    let runner = runner_at(&first.api).await;
    admin(&first.api).submit(json!([job("a")])).await;
    let held = runner.begin().await;
    let path = format!("/jobs/{}/logs", held.job_id);
    let mut stream = Stream::open(&admin(&second.api), &path, None).await;
    let mut next = async || {
        let event = stream.next().await.unwrap();
        match event.event.as_str() {
            "log" => serde_json::from_str::<LogChunk>(&event.data).unwrap().text,
            _ => event.data,
        }
    };
    writes(&runner, &held, 0, "first ").await;
    assert_eq!(next().await, "first ");
    let watch = Stopwatch::start();
    writes(&runner, &held, 6, "second ").await;
    assert_eq!(next().await, "second ");
    println!("from the leader to a follower at a standby: {} ms", watch.elapsed().as_millis());
    assert!(watch.elapsed() < SLOW);

    first.stop().await;
    is(&second.api, "running").await;
    let runner = FakeRunner { api: second.api.with_token(&runner.token), ..runner };
    writes(&runner, &held, 13, "third").await;
    assert_eq!(next().await, "third");
    runner.complete(&held).await;
    assert_eq!(next().await, r#"{"state":"completed"}"#);
}

/// A real runner, whose steps write while the leader is killed.
#[tokio::test]
async fn a_runner_ships_its_log_without_a_gap_over_a_take_over() {
    let go = tempfile::TempDir::new().unwrap();
    let folder = go.path().display();
    let script = format!(
        "for i in $(seq 1 300); do echo \"line $i.\"; done\n\
         while test -d {folder} && ! test -e {folder}/go; do echo waiting; sleep 0.02; done\n\
         for i in $(seq 301 600); do echo \"line $i.\"; done"
    );
    let setup = setup().await;
    let (home, other) = (setup.build(), setup.build());
    let mut first = ServerProcess::start(&home).await;
    let second = ServerProcess::start(&other).await;
    let api = admin(&second.api);
    let _runner = RunnerSetup::new("real").start(&other, &api).await;
    let work = json!({ "steps": [{ "run": script }] });
    let wanted = json!([{ "name": "a", "requirements": { "labels": ["x"] }, "work": work }]);
    let (_, jobs) = api.submit(wanted).await;
    until("it has written", async || api.log(jobs[0]).await.contains("waiting").then_some(()))
        .await;
    first.kill().await;
    std::fs::write(go.path().join("go"), "").unwrap();
    is(&second.api, "running").await;
    api.job_is(jobs[0], JobStateKind::Completed).await;
    let log = own_log(&second.api, jobs[0]).await;
    let lines = log.lines().filter_map(|line| line.split_once("line ")?.1.strip_suffix('.'));
    let lines: Vec<u32> = lines.filter_map(|number| number.parse().ok()).collect();
    assert_eq!(lines, (1..=600).collect::<Vec<_>>(), "{log}");
}
