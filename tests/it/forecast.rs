//! What is expected of waiting jobs, what is refused for it, what would help, and jobs that nobody
//! could take.

use dispatchyard::api::wire::{AdviceView, ExplainView, StatusView, SubmitResponse};
use dispatchyard::model::JobId;
use serde_json::{Value, json};

use crate::support::command::run;
use crate::support::fake_runner::{job, job_with};
use crate::support::{FakeRunner, Server, Setup, until};

const REFUSES: &str = "[tenants.default]\nmax_wait_policy = \"refuse\"\n";

/// A server whose one runner is busy with a job.
async fn busy() -> (Server, FakeRunner, dispatchyard::api::wire::Assignment) {
    let setup = Setup::default().patient().more(REFUSES).scheduler("unschedulable_after_ms", 0);
    let server = Server::start(&setup).await;
    let runner = FakeRunner::register(&server.api, "one", &["x", "self-hosted"]).await;
    submit(&server, job("first")).await;
    let running = runner.begin().await;
    (server, runner, running)
}

async fn submit(server: &Server, job: Value) -> SubmitResponse {
    server.api.done("/workloads", json!({ "name": "w", "jobs": [job] })).await
}

async fn said(server: &Server, words: &[&str]) -> String {
    let said = run(["--server", server.api.base()].iter().chain(words).copied()).await;
    assert_eq!(said.code(), 0, "{said:?}");
    said.out
}

#[tokio::test]
async fn work_that_cannot_be_in_time_is_refused_and_what_can_is_told_when() {
    let (server, runner, running) = busy().await;
    let late = json!({ "name": "w", "jobs": [job_with("a", json!({ "max_wait": "1ms" }))] });
    let answer = server.api.post("/workloads", late).await;
    let problem = answer.json::<Value>();
    assert_eq!(answer.problem().0, 409, "{problem}");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.starts_with("it cannot be met: job `a`: cannot: start p50 "), "{detail}");
    assert_eq!(server.api.jobs().await.len(), 1, "nothing was stored");

    let made = submit(&server, job_with("b", json!({ "max_wait": "10h" }))).await;
    let [outlook] = &made.outlooks[..] else { panic!("{made:?}") };
    assert_eq!((outlook.job.as_str(), outlook.verdict.as_str()), ("b", "met"));
    assert!(outlook.forecast.start_estimate.unwrap().p50_ms > 0);
    let id = server.api.workload(made.workload_id).await.jobs[0].id;
    let explained: ExplainView = server.api.get(&format!("/jobs/{id}/explain")).await;
    let start = explained.forecast.start_estimate.unwrap();
    assert!(0 < start.p50_ms && start.p50_ms <= start.p95_ms, "{explained:?}");
    assert!(said(&server, &["explain", &id.to_string()]).await.contains("start expected in "));

    runner.complete(&running).await;
    assert_eq!(runner.take().await.job_id, id);
    let status: StatusView = server.api.get("/status").await;
    let score = status.predictions.unwrap();
    assert_eq!((score.earlier + score.within + score.later, score.met.in_time), (1, 1));
    assert!(said(&server, &["status"]).await.contains("expected starts"));
    let metrics = server.api.request(reqwest::Method::GET, "/metrics").send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    for line in [
        "dispatchyard_promises_total{verdict=\"met\"} 1",
        "dispatchyard_promises_scored_total{verdict=\"met\",outcome=\"in_time\"} 1",
        "dispatchyard_predictions_total{outcome=",
    ] {
        assert!(metrics.contains(line), "no {line} in {metrics}");
    }
}

#[tokio::test]
async fn a_run_that_is_refused_is_a_delivery_that_can_be_replayed() {
    let (server, runner, running) = busy().await;
    let start = ["run", "ci", "--dispatch", "max_wait=1ms"];
    let told = said(&server, &start).await;
    assert!(told.contains("failed") && told.contains("not started: it cannot be met"), "{told}");
    let delivery = &server.api.deliveries().await[0];
    assert_eq!((delivery.state.as_str(), delivery.triggers[0].workload_id), ("failed", None));
    assert_eq!(server.api.jobs().await.len(), 1, "nothing was started");

    let told = said(&server, &["run", "ci", "--dispatch", "max_wait=10h"]).await;
    assert!(told.contains("build  met"), "{told}");
    runner.complete(&running).await;
}

#[tokio::test]
async fn advice_says_what_would_help() {
    let (server, runner, running) = busy().await;
    let nothing: AdviceView = server.api.get("/advice").await;
    assert_eq!((nothing.jobs_waiting, nothing.suggestions.len()), (0, 0));
    assert!(said(&server, &["advise"]).await.contains("no job waits"));
    submit(&server, job("waits")).await;
    let advice: AdviceView = server.api.get("/advice").await;
    assert_eq!((advice.jobs_waiting, advice.jobs_played), (1, 1));
    let first = &advice.suggestions[0];
    assert_eq!((first.code.as_str(), first.saved_ms_total), ("add_runner", advice.wait_ms_total));
    assert!(said(&server, &["advise"]).await.contains("like one, with 1 slots"));
    runner.complete(&running).await;
}

#[tokio::test]
async fn a_job_that_nobody_could_take_is_marked_until_somebody_could() {
    let (server, _runner, _running) = busy().await;
    let nobody = json!({ "requirements": { "labels": ["rare"] } });
    let made = submit(&server, job_with("a", nobody)).await;
    let id: JobId = server.api.workload(made.workload_id).await.jobs[0].id;
    server.api.job_is_marked(id).await;
    let job = server.api.job(id).await;
    let record = job.records.last().unwrap();
    assert_eq!(record.name, "job.unschedulable");
    assert!(record.detail.contains("lacks label `rare`"), "{}", record.detail);
    assert!(said(&server, &["jobs"]).await.contains("pending (no runner fits)"));
    let status: StatusView = server.api.get("/status").await;
    assert!(status.warnings.iter().any(|it| it.starts_with("1 waiting jobs fit no")), "{status:?}");
    let metrics = server.api.request(reqwest::Method::GET, "/metrics").send().await.unwrap();
    assert!(metrics.text().await.unwrap().contains("dispatchyard_unschedulable_jobs 1"));

    FakeRunner::register(&server.api, "two", &["rare"]).await;
    until("the mark is gone", async || (!server.api.job(id).await.job.unschedulable).then_some(()))
        .await;
    assert_eq!(server.api.job(id).await.records.last().unwrap().name, "job.schedulable");
}
