//! What can be seen of a server: health, metrics, the stream of what happens, traces.

use dispatchyard::api::wire::{ExplainView, RecordView, StatusView};
use dispatchyard::model::WorkloadState;
use reqwest::Method;
use serde_json::json;

use crate::support::fake_runner::{job, job_with};
use crate::support::hook::{answer, fixture};
use crate::support::sse::Stream;
use crate::support::{FakeRunner, RunnerProcess, Server, Setup};

#[tokio::test]
async fn health_and_metrics_tell_how_the_server_is() {
    let server = Server::start(&Setup::default().patient()).await;
    let ask = |path: &'static str| answer(server.api.request(Method::GET, path));
    assert_eq!(ask("/livez").await.text, "ok\n");
    assert_eq!(ask("/readyz").await.text, "running\n");
    server.hook().push("d-1").await;
    let runner = FakeRunner::register(&server.api, "one", &["self-hosted"]).await;
    runner.complete(&runner.begin().await).await;
    let metrics = ask("/metrics").await.text;
    for name in [
        "queue_jobs",
        "jobs_running",
        "polls_parked",
        "runners_online",
        "webhook_deliveries",
        "webhook_to_commit_seconds",
        "http_requests",
        "assignments",
        "job_ends",
        "batch_commands",
        "decision_seconds",
        "commit_seconds",
    ] {
        assert!(metrics.contains(name), "{name} is missing in\n{metrics}");
    }
    let nothing = ask("/nothing").await;
    assert_eq!(nothing.problem(), (404, "not-found".into()));
}

#[tokio::test]
async fn status_and_explain_say_what_is_missing() {
    let setup = Setup::default().patient().scheduler("unschedulable_after_ms", 0);
    let server = Server::start(&setup).await;
    let jobs = json!([job("a"), job_with("b", json!({ "needs": ["a"] }))]);
    let (_, jobs) = server.api.submit(jobs).await;
    server.api.job_is_marked(jobs[0]).await;
    let status: StatusView = server.api.get("/status").await;
    assert_eq!((status.state.as_str(), status.queue_size), ("running", 2));
    assert!(status.last_commit_at_ms.is_some());
    assert!(status.warnings.iter().any(|text| text.contains("fit no registered runner")));
    let explain = async |at: usize| {
        let view: ExplainView = server.api.get(&format!("/jobs/{}/explain", jobs[at])).await;
        view.reasons.into_iter().map(|reason| reason.code).collect::<Vec<_>>()
    };
    assert!(explain(1).await.contains(&"blocked_by".to_owned()), "{:?}", explain(1).await);
    let before = explain(0).await;
    FakeRunner::register(&server.api, "one", &["x"]).await;
    assert_ne!(explain(0).await, before, "a fitting runner is there now");
    let status: StatusView = server.api.get("/status").await;
    assert!(!status.warnings.iter().any(|text| text.contains("fit no registered runner")));
    assert_eq!((status.pools[0].runners_online, status.pools[0].runners_total), (1, 1));
}

#[tokio::test]
async fn the_stream_tells_what_happens_and_goes_on_where_the_reader_left() {
    let server = Server::start(&Setup::default().patient()).await;
    let runner = FakeRunner::register(&server.api, "one", &["x"]).await;
    let mut stream = Stream::open(&server.api, "/stream", None).await;
    let (_, jobs) = server.api.submit(json!([job("a")])).await;
    let job = runner.begin().await;
    let seen = stream.up_to("job.assigned").await;
    let assigned = seen.last().unwrap();
    let record: RecordView = serde_json::from_str(&assigned.data).unwrap();
    assert_eq!((record.job_id, record.runner_id), (Some(jobs[0]), Some(runner.id)));
    assert_eq!(record.attempt, Some(1));
    let last_id = assigned.id.clone();
    drop(stream);

    runner.complete(&job).await;
    let mut stream = Stream::open(&server.api, "/stream", last_id.as_deref()).await;
    let names: Vec<_> = stream.up_to("job.completed").await;
    let names: Vec<_> = names.into_iter().map(|event| event.event).collect();
    assert!(!names.contains(&"job.assigned".to_owned()), "seen already: {names:?}");
    assert!(names.contains(&"job.started".to_owned()), "happened in between: {names:?}");

    let mut stream = Stream::open(&server.api, "/stream", Some("1-1")).await;
    let first = stream.next().await.unwrap();
    // Epoch 1 may be the present one, and then nothing was missed.
    assert!(first.event == "resync" || first.event.contains('.'), "{first:?}");
    let mut stream = Stream::open(&server.api, "/stream", Some("999-1")).await;
    assert_eq!(stream.next().await.unwrap().event, "resync", "an epoch that never was");
}

#[tokio::test]
async fn a_trace_goes_from_the_delivery_to_the_step() {
    let server = Server::start(&Setup::default().patient()).await;
    let _runner = RunnerProcess::start(&server.home, &server.api, "one").await;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let request = server.hook().signed("push", "d-1", fixture("push"));
    let sent = answer(request.header("traceparent", trace)).await;
    let accepted: dispatchyard::api::wire::DeliveryAccepted = sent.json();
    let workload = server.api.workload_is(accepted.workloads[0], WorkloadState::Completed).await;
    let log = server.api.log(workload.jobs[0].id).await;
    assert!(log.contains(&format!("trace={trace}")), "{log}");
}
