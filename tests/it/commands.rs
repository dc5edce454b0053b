//! The command line against a live server: exit codes, a telling word, and JSON that parses.

use dispatchyard::model::WorkloadState;
use serde_json::{Value, json};

use crate::support::command::{cli, run};
use crate::support::fake_runner::{job, job_with};
use crate::support::home::{ADMIN_TOKEN, HOOK_SECRET};
use crate::support::{FakeRunner, RunnerProcess, Server, Setup};

async fn json_of(server: &Server, line: &str) -> Value {
    cli(server, &format!("-o json {line}")).await.json()
}

async fn tells(server: &Server, line: &str, words: &[&str]) {
    let said = cli(server, line).await;
    assert_eq!(said.code(), 0, "{line}: {said:?}");
    for word in words {
        assert!(said.out.contains(word), "{line}: no `{word}` in {}", said.out);
    }
}

#[tokio::test]
async fn a_delivery_is_sent_and_looked_at() {
    let server = Server::start(&Setup::default().patient()).await;
    let _runner = RunnerProcess::start(&server.home, &server.api, "one").await;
    let secret = server.home.file("hook-secret");
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/github/push.json");
    let send = format!(
        "send {fixture} --event push --secret-file {} --delivery d-1",
        secret.to_str().unwrap()
    );
    let sent = json_of(&server, &send).await;
    assert_eq!(sent["state"], "dispatched");
    tells(&server, &send, &["d"]).await;
    assert_eq!(server.api.deliveries().await.len(), 1, "the second was a duplicate");
    let id = sent["delivery_id"].as_str().unwrap();
    let workload = server.api.deliveries().await[0].triggers[0].workload_id.unwrap();
    let ended = server.api.workload_is(workload, WorkloadState::Completed).await;
    let build = ended.jobs[0].id;

    tells(&server, "status", &["running", "1 of 1"]).await;
    tells(&server, "deliveries", &[id, "push", "dispatched"]).await;
    tells(&server, &format!("deliveries {id}"), &["ci-on-push", "d-1"]).await;
    tells(&server, "workloads", &["ci", "completed"]).await;
    tells(&server, &format!("workloads {workload}"), &["build", "test"]).await;
    tells(&server, "jobs --state completed", &["build", "test", "completed"]).await;
    tells(&server, &format!("jobs {build}"), &["build", "artifact"]).await;
    tells(&server, "runners", &["one", "online"]).await;
    tells(&server, &format!("logs {build}"), &["hello from build"]).await;
    tells(&server, &format!("logs {build} --follow"), &["hello from build"]).await;
    tells(&server, &format!("explain {build}"), &["completed"]).await;
    tells(&server, "queue", &["waiting jobs"]).await;
    for line in ["status", "deliveries", "workloads", "jobs", "runners", "queue"] {
        assert!(json_of(&server, line).await.is_object(), "{line}");
    }
    let replayed = json_of(&server, &format!("replay {id}")).await;
    assert_ne!(replayed["delivery_id"], id);
    assert_eq!(json_of(&server, "run ci --ref main").await["state"], "dispatched");
    assert_eq!(server.api.deliveries().await.len(), 3);
}

#[tokio::test]
async fn jobs_are_acted_upon() {
    let server = Server::start(&Setup::default().patient()).await;
    let (workload, jobs) = server.api.submit(json!([job("a")])).await;
    tells(&server, &format!("explain {}", jobs[0]), &["pending"]).await;
    tells(&server, "queue", &["1 normal"]).await;
    let runner = FakeRunner::register(&server.api, "one", &["x"]).await;
    runner.begin().await;
    let requeue = format!("requeue {} --reason odd --avoid-runner", jobs[0]);
    assert_eq!(json_of(&server, &requeue).await["state"], "pending");
    tells(&server, &format!("cancel {} --reason no", jobs[0]), &["cancelled"]).await;
    let again = cli(&server, &format!("cancel {}", jobs[0])).await;
    assert_eq!(again.code(), 1);
    assert!(again.err.contains("has ended: cancelled"), "{again:?}");
    assert_eq!(json_of(&server, &format!("retry {workload}")).await["run"], 2);
    tells(&server, &format!("cancel --workload {workload}"), &["cancelled"]).await;
}

#[tokio::test]
async fn a_log_is_followed_through_a_retry_to_its_end() {
    let server = Server::start(&Setup::default().patient()).await;
    let _runner = RunnerProcess::start(&server.home, &server.api, "one").await;
    let run = "echo try $DISPATCHYARD_ATTEMPT_NUMBER; test $DISPATCHYARD_ATTEMPT_NUMBER = 2";
    let work = json!({ "max_retries": 1, "work": { "steps": [{ "run": run }] } });
    let (_, jobs) = server.api.submit(json!([job_with("a", work)])).await;
    let said = cli(&server, &format!("logs {} --follow", jobs[0])).await;
    assert_eq!(said.code(), 0, "{said:?}");
    assert!(said.out.contains("try 1") && said.out.contains("try 2"), "{said:?}");
    assert!(said.err.contains("completed"), "{said:?}");
}

#[tokio::test]
async fn what_goes_wrong_is_told_with_what_to_type_next() {
    let server = Server::start(&Setup::default().tokens()).await;
    let refused = cli(&server, "status").await;
    assert_eq!(refused.code(), 1);
    assert!(refused.err.contains("--token-file"), "{refused:?}");
    let token = server.home.file("admin-token");
    let token = format!("--token-file {}", token.to_str().unwrap());
    tells(&server, &format!("{token} status"), &["running"]).await;
    let unknown = cli(&server, &format!("{token} jobs 99")).await;
    assert_eq!(unknown.code(), 1);
    assert!(unknown.err.contains("no job 99") && unknown.err.contains("hint"), "{unknown:?}");
    let workflow = cli(&server, &format!("{token} run nothing")).await;
    assert!(workflow.code() == 1 && workflow.err.contains("known are ci"), "{workflow:?}");
    assert_eq!(cli(&server, "jobs many").await.code(), 2);
    assert_eq!(cli(&server, "cancel").await.code(), 2);
    let nobody = run(["--server", "http://127.0.0.1:1", "status"]).await;
    assert_eq!(nobody.code(), 1);
    assert!(nobody.err.contains("is the server running"), "{nobody:?}");
    let runner = run(["--server", server.api.base(), "runner"]).await;
    assert_eq!(runner.code(), 2);
    assert!(runner.err.contains("--token-file"), "{runner:?}");
}

#[tokio::test]
async fn the_effective_configuration_shows_every_key_and_no_secret() {
    let home = Setup::default().tokens().build();
    let file = home.config_file();
    let said = run(["check".as_ref(), file.as_os_str(), "--effective".as_ref()]).await;
    assert_eq!(said.code(), 0, "{said:?}");
    for word in [
        "timeout_minutes = 360",
        "retry_max_attempts = 3",
        "max_global_concurrency",
        "lease_ms = 1500",
    ] {
        assert!(said.out.contains(word), "no `{word}` in {}", said.out);
    }
    for secret in [HOOK_SECRET, ADMIN_TOKEN] {
        assert!(!said.out.contains(secret) && !said.err.contains(secret));
    }
}
