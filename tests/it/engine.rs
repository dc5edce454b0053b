//! The scheduling engine as runners and people meet it over HTTP.

use dispatchyard::api::wire::{ExplainView, SubmitResponse};
use dispatchyard::model::JobStateKind;
use serde_json::{Value, json};

use crate::support::fake_runner::{FakeRunner, job, job_with};
use crate::support::{Server, Setup};

#[tokio::test]
async fn the_less_busy_of_two_runners_gets_the_job_although_the_other_asks_first() {
    let setup = Setup::default().scheduler("balance_hold", "5s").scheduler("balance_seen", "60s");
    let server = Server::start(&setup).await;
    let busy = FakeRunner::with_slots(&server.api, "busy", &["x"], 4).await;
    server.api.submit(json!([job("a"), job("b"), job("c")])).await;
    let glance = json!({ "wait_ms": 0 });
    let given = busy.ask(glance.clone()).await.jobs;
    assert_eq!(given.len(), 3);
    for assignment in &given {
        busy.start(assignment).await;
    }
    let free = FakeRunner::with_slots(&server.api, "free", &["x"], 4).await;
    server.api.submit(json!([job("d")])).await;
    let d = free.take().await;
    free.start(&d).await;

    let (_, ids) = server.api.submit(json!([job("e")])).await;
    assert!(busy.ask(glance.clone()).await.jobs.is_empty());
    let said: ExplainView = server.api.get(&format!("/jobs/{}/explain", ids[0])).await;
    assert_eq!(said.reasons[0].code, "held_for_runner");
    let given = free.ask(glance).await.jobs;
    assert_eq!(given.iter().map(|it| it.job_id).collect::<Vec<_>>(), ids);
}

#[tokio::test]
async fn a_job_may_need_a_workload_that_has_ended_and_none_that_never_was() {
    let server = Server::start(&Setup::default()).await;
    let runner = FakeRunner::register(&server.api, "r", &["x"]).await;
    let (first, _) = server.api.submit(json!([job("first")])).await;
    let assignment = runner.begin().await;
    runner.complete(&assignment).await;

    let needing = |id: Value| json!({ "name": "w", "jobs": [job_with("second", json!({ "needs_workloads": [id] }))] });
    let made: SubmitResponse = server.api.done("/workloads", needing(json!(first))).await;
    let workload = server.api.workload(made.workload_id).await;
    assert_eq!(workload.jobs[0].state, JobStateKind::Pending);
    let (status, _) = server.api.post("/workloads", needing(json!(999))).await.problem();
    assert_eq!(status, 422);
}
