//! Backups, restored copies, and the way from SQLite to PostgreSQL: nothing is lost, and no lease token is
//! given twice.

use dispatchyard::api::wire::{Assignment, DeliveryAccepted};
use dispatchyard::model::{DeliveryId, JobId, JobStateKind};
use serde_json::{Value, json};

use crate::support::command::run;
use crate::support::fake_runner::{job, job_with};
use crate::support::hook::push_with;
use crate::support::{Api, FakeRunner, Home, Server, Setup};

/// Some of everything: an ended job with a log, one that runs and has begun one, a delivery with a large body.
async fn fill(server: &Server) -> (FakeRunner, Assignment, Vec<JobId>, DeliveryId) {
    let body = push_with("/head_commit/message", "m".repeat(300_000));
    let delivered: DeliveryAccepted = server.hook().send("push", "d-1", body).await.json();
    let (_, jobs) = server.api.submit(json!([job("a"), job("b")])).await;
    let runner = FakeRunner::register(&server.api, "one", &["x"]).await;
    let first = runner.begin().await;
    runner.write(&first, 0, "said").await;
    runner.complete(&first).await;
    server.api.job_is(jobs[0], JobStateKind::Completed).await;
    let second = runner.begin().await;
    runner.write(&second, 0, "begun, ").await;
    (runner, second, jobs, delivered.delivery_id)
}

/// All that the API tells of what is stored.
async fn told(api: &Api, jobs: &[JobId], delivery: DeliveryId) -> Vec<Value> {
    let mut told = Vec::new();
    for path in ["/deliveries", "/workloads", "/jobs"] {
        told.push(api.get(path).await);
    }
    for id in jobs {
        told.push(api.get(&format!("/jobs/{id}/records")).await);
        told.push(api.log(*id).await.into());
    }
    let body = format!("/deliveries/{delivery}/body");
    told.push(api.ask(reqwest::Method::GET, &body, None).await.text.into());
    told
}

async fn done(home: &Home, verb: &[&str]) -> String {
    let file = home.config_file();
    let arguments = verb.iter().map(AsRef::as_ref).chain(["--config".as_ref(), file.as_os_str()]);
    let said = run(arguments).await;
    assert_eq!(said.code(), 0, "{said:?}");
    said.out
}

/// The token of a new job, which a new runner takes.
async fn next_token(server: &Server, runner: &str) -> i64 {
    let label = format!("only-{runner}");
    let wanted = job_with("new", json!({ "requirements": { "labels": [label] } }));
    server.api.submit(json!([wanted])).await;
    FakeRunner::register(&server.api, runner, &[&label]).await.take().await.lease.0
}

#[tokio::test]
async fn a_backup_of_a_running_server_is_a_data_folder_whose_tokens_are_new() {
    let server = Server::start(&Setup::default().patient()).await;
    let (_runner, _held, jobs, delivery) = fill(&server).await;
    let before = told(&server.api, &jobs, delivery).await;
    let copy = server.home.file("copy");
    done(&server.home, &["backup", copy.to_str().unwrap()]).await;
    let again = run([
        "backup".as_ref(),
        copy.as_os_str(),
        "--config".as_ref(),
        server.home.config_file().as_os_str(),
    ])
    .await;
    assert_eq!(again.code(), 2, "a backup is not written over: {again:?}");

    // The original goes on.
    let server = Server::again(server.stop().await).await;
    let last = next_token(&server, "later").await;
    let restored = Setup::default().patient().server("data_dir", copy.to_str().unwrap());
    let restored = Server::start(&restored).await;
    assert_eq!(told(&restored.api, &jobs, delivery).await, before);
    let first = next_token(&restored, "restored").await;
    assert!(first > last, "{first} is not new after {last}");
}

#[tokio::test]
async fn what_was_restored_by_another_tool_is_told_so() {
    for setup in [Setup::default().patient(), Setup::default().patient().on_postgres().await] {
        let home = setup.build();
        assert!(done(&home, &["migrate"]).await.contains("up to date"));
        let server = Server::again(home).await;
        let before = next_token(&server, "before").await;
        let home = server.stop().await;
        done(&home, &["restored"]).await;
        let server = Server::again(home).await;
        let after = next_token(&server, "after").await;
        assert!(after >> 40 > (before >> 40) + 10_000, "{before} {after}");
    }
}

#[tokio::test]
async fn a_data_folder_moves_to_postgresql_without_loss() {
    let server = Server::start(&Setup::default().patient()).await;
    let (runner, held, jobs, delivery) = fill(&server).await;
    let before = told(&server.api, &jobs, delivery).await;
    let last = next_token(&server, "later").await;
    let before_jobs: Value = server.api.get("/jobs").await;
    let home = server.stop().await;

    let new = Setup::default().patient().on_postgres().await.build();
    let data = home.file("data");
    let said = done(&new, &["import", data.to_str().unwrap()]).await;
    assert!(said.contains("copied "), "{said}");
    let again = run([
        "import".as_ref(),
        data.as_os_str(),
        "--config".as_ref(),
        new.config_file().as_os_str(),
    ])
    .await;
    assert_eq!(again.code(), 2, "{again:?}");
    assert!(again.err.contains("it is not empty"), "{again:?}");

    let moved = Server::again(new).await;
    let now = told(&moved.api, &jobs, delivery).await;
    assert_eq!(now[2], before_jobs);
    assert_eq!((&now[0], &now[3..]), (&before[0], &before[3..]));
    // What runs goes on, and its log where it was.
    let runner = FakeRunner { api: moved.api.with_token(&runner.token), ..runner };
    assert_eq!(runner.write(&held, 7, "and done").await.status, 200);
    runner.complete(&held).await;
    assert_eq!(moved.api.log(held.job_id).await, "begun, and done");
    let first = next_token(&moved, "moved").await;
    assert!(first > last, "{first} is not new after {last}");
}

#[tokio::test]
async fn a_data_folder_is_sent_to_postgresql_from_its_own_side() {
    let server = Server::start(&Setup::default().patient()).await;
    let (_runner, _held, jobs, delivery) = fill(&server).await;
    let before = told(&server.api, &jobs, delivery).await;
    let home = server.stop().await;
    let new = Setup::default().patient().on_postgres().await.build();
    let said = done(&home, &["export", new.config_file().to_str().unwrap()]).await;
    assert!(said.contains("copied "), "{said}");
    let moved = Server::again(new).await;
    let now = told(&moved.api, &jobs, delivery).await;
    assert_eq!((&now[0], &now[3..]), (&before[0], &before[3..]));
    drop(moved);

    let other = Setup::default().build();
    let wrong = run([
        "export".as_ref(),
        other.config_file().as_os_str(),
        "--config".as_ref(),
        home.config_file().as_os_str(),
    ])
    .await;
    assert_eq!(wrong.code(), 2, "{wrong:?}");
    assert!(wrong.err.contains("only a PostgreSQL database"), "{wrong:?}");
}
