//! A large body, from the sender to the step: with SQLite a file beside the database, with PostgreSQL
//! a row of its own.

use dispatchyard::api::wire::DeliveryAccepted;
use dispatchyard::model::WorkloadState;
use serde_json::json;

use crate::support::hook::push_with;
use crate::support::{RunnerProcess, Server, Setup, on_both};

const WORKFLOW: &str = r#"
jobs:
  build:
    runs-on: [self-hosted]
    steps:
      - run: wc -c < "$DISPATCHYARD_PAYLOAD_PATH"
"#;

async fn a_large_body_can_be_replayed_and_reaches_the_step(setup: Setup) {
    let server = Server::start(&setup.patient().workflow("ci", WORKFLOW)).await;
    let _runner = RunnerProcess::start(&server.home, &server.api, "one").await;
    let body = push_with("/head_commit/message", "m".repeat(5_000_000));
    let length = body.len();
    let answer = server.hook().send("push", "d-1", body.clone()).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let first: DeliveryAccepted = answer.json();
    if server.home.schema().is_none() {
        let database = std::fs::metadata(server.home.file("data/dispatchyard.db")).unwrap().len();
        assert!(database < 1_000_000, "the body is not in the database: {database} bytes");
    } else {
        assert!(!server.home.file("data/bodies").exists(), "the body is not a file");
    }

    let replay = format!("/deliveries/{}/replay", first.delivery_id);
    let second: DeliveryAccepted = server.api.done(&replay, json!({})).await;
    for accepted in [first, second] {
        let view = server.api.delivery(accepted.delivery_id).await;
        assert_eq!(view.body_bytes, length as u64);
        let path = format!("/deliveries/{}/body", accepted.delivery_id);
        let kept = server.api.ask(reqwest::Method::GET, &path, None).await;
        assert!(kept.text.as_bytes() == body, "byte for byte");
        let workload =
            server.api.workload_is(accepted.workloads[0], WorkloadState::Completed).await;
        let log = server.api.log(workload.jobs[0].id).await;
        assert!(log.contains(&length.to_string()), "{log}");
    }
}

on_both!(a_large_body_can_be_replayed_and_reaches_the_step);
