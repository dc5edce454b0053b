//! What is over goes after its time, and nothing else does. The clock is the test's.

use std::sync::Arc;

use dispatchyard::api::wire::{DeliveryAccepted, PruneView, ReportView, SessionOpened, StatusView};
use dispatchyard::app::AppOptions;
use dispatchyard::clock::{Clock, ManualClock, SystemClock};
use dispatchyard::model::{JobStateKind, WorkloadState};
use reqwest::Method;
use serde_json::json;

use crate::support::command::cli;
use crate::support::fake_runner::job;
use crate::support::hook::{fixture, push_with};
use crate::support::{FakeRunner, Server, Setup, on_both};

const DAY_MS: i64 = 86_400_000;

/// Prunes when it is told to, and not by itself; and leads on however far the clock is put.
const BY_HAND: &str = "\n[instances]\nleader_ttl_ms = 31622400000\n\
     [retention]\nprune_interval_ms = 31622400000\nprune_rows_max = 3\n";

async fn start(setup: Setup) -> (Server, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(SystemClock::new().now()));
    let options = AppOptions { clock: clock.clone(), ..AppOptions::default() };
    let setup = setup.patient().workflow("ci", WORKFLOW).more(BY_HAND);
    (Server::with(&setup, options).await, clock)
}

const WORKFLOW: &str = "jobs:\n  build:\n    runs-on: [x]\n    steps:\n      - run: 'true'\n";

async fn prune(server: &Server, dry_run: bool) -> PruneView {
    let view: PruneView = server.api.done("/prune", json!({ "dry_run": dry_run })).await;
    assert_eq!((view.dry_run, view.complete), (dry_run, true));
    view
}

async fn status_of(server: &Server, path: String) -> u16 {
    server.api.ask(Method::GET, &path, None).await.status
}

async fn what_is_over_goes_after_its_time_and_nothing_else(setup: Setup) {
    let (server, clock) = start(setup).await;
    let runner = FakeRunner::with_slots(&server.api, "r", &["x"], 4).await;
    let large = push_with("/head_commit/message", "m".repeat(300_000));
    let first: DeliveryAccepted = server.hook().send("push", "d-1", large.clone()).await.json();
    let given = runner.begin().await;
    runner.write(&given, 0, "hello").await;
    runner.complete(&given).await;
    let done = server.api.workload_is(first.workloads[0], WorkloadState::Completed).await;
    // And one that nobody ever runs.
    let waiting = server.hook().push("d-2").await;

    clock.advance(20 * DAY_MS);
    let would = prune(&server, true).await;
    assert_eq!(
        (would.went.bodies, would.went.workloads),
        (2, 0),
        "one body may still be asked for"
    );
    // Whoever was not listened to for that long gets a term to speak, which goes by as time does.
    assert_eq!(would.went.runners, 0);
    for _ in 0..20 {
        clock.advance(4_000);
        prune(&server, true).await;
    }
    let went = prune(&server, false).await.went;
    assert_eq!((went.bodies, went.deliveries, went.logs), (1, 0, 0));
    assert_eq!(went.runners, 1, "nothing was heard of it for 20 days");
    assert!(went.body_bytes > 300_000);
    let body = |id| format!("/deliveries/{id}/body");
    assert_eq!(status_of(&server, body(first.delivery_id)).await, 404);
    assert_eq!(status_of(&server, body(waiting.delivery_id)).await, 200);
    let replay =
        server.api.post(&format!("/deliveries/{}/replay", first.delivery_id), json!({})).await;
    assert_eq!(replay.problem().0, 409, "{replay:?}");
    // The same delivery again is still the same.
    let again = server.hook().send("push", "d-1", large.clone()).await;
    let again: DeliveryAccepted = again.json();
    assert!(again.duplicate);
    assert_eq!(again.delivery_id, first.delivery_id);

    clock.advance(15 * DAY_MS);
    assert_eq!(server.api.log(done.jobs[0].id).await, "hello");
    assert_eq!(prune(&server, false).await.went.logs, 1);
    assert_eq!(server.api.log(done.jobs[0].id).await, "");
    assert_eq!(server.api.workload(done.workload.id).await.jobs.len(), 1);

    clock.advance(60 * DAY_MS);
    let said = cli(&server, "prune").await;
    assert!(said.out.contains("with 1 jobs, 1 attempts"), "{said:?}");
    let gone = done.workload.id;
    assert_eq!(status_of(&server, format!("/workloads/{gone}")).await, 404);
    assert_eq!(status_of(&server, format!("/jobs/{}", done.jobs[0].id)).await, 404);
    assert_eq!(status_of(&server, format!("/deliveries/{}", first.delivery_id)).await, 404);
    assert_eq!(server.api.post(&format!("/workloads/{gone}/retry"), json!({})).await.status, 404);
    let logs = server.home.file("data/logs");
    // On PostgreSQL there is none: its logs are rows.
    let folders = std::fs::read_dir(logs).map_or(0, Iterator::count);
    assert_eq!(folders, 0, "its folder went too");
    let again = server.hook().send("push", "d-1", large.clone()).await;
    assert!(again.json::<DeliveryAccepted>().duplicate, "its key outlives it");

    // What still waits is there with all that it may ask for, and runs.
    assert_eq!(status_of(&server, body(waiting.delivery_id)).await, 200);
    server
        .api
        .job_is(server.api.workload(waiting.workloads[0]).await.jobs[0].id, JobStateKind::Pending)
        .await;
    let runner = FakeRunner::with_slots(&server.api, "r", &["x"], 4).await;
    let given = runner.begin().await;
    runner.complete(&given).await;
    let report: ReportView = server.api.get("/report").await;
    assert!(report.complete && report.pruned_until_ms.is_none());
    assert_eq!(report.total.completed, 1);
    let since_ms = clock.now().wall_ms - 97 * DAY_MS;
    let span = format!("since_ms={since_ms}&until_ms={}", since_ms + 92 * DAY_MS);
    let report: ReportView = server.api.get(&format!("/report?{span}")).await;
    let pruned = report.pruned_until_ms.unwrap();
    assert!(!report.complete && report.covers_since_ms == pruned + 1, "{report:?}");

    let status: StatusView = server.api.get("/status").await;
    let history = status.history.unwrap();
    assert!(history.used_bytes > 0 && history.oldest_delivery_ms.is_some());

    clock.advance(90 * DAY_MS);
    prune(&server, false).await;
    let anew = server.hook().send("push", "d-1", fixture("push")).await;
    assert!(!anew.json::<DeliveryAccepted>().duplicate, "its key has had its time");
}

#[tokio::test]
async fn a_database_that_is_too_large_loses_the_oldest_first() {
    let clock = Arc::new(ManualClock::new(SystemClock::new().now()));
    let options = AppOptions { clock: clock.clone(), ..AppOptions::default() };
    let limit = format!("{BY_HAND}database_bytes_max = 3000000\n");
    let setup = Setup::default().patient().rules("").more(&limit);
    let server = Server::with(&setup, options).await;
    let mut ids = Vec::new();
    for number in 0..100 {
        let body = push_with("/head_commit/message", "m".repeat(40_000));
        let answer = server.hook().send("push", &format!("d-{number}"), body).await;
        ids.push(answer.json::<DeliveryAccepted>().delivery_id);
        clock.advance(DAY_MS / 100);
    }
    clock.advance(2 * 3_600_000);
    let went = prune(&server, false).await.went;
    let status: StatusView = server.api.get("/status").await;
    let history = status.history.unwrap();
    assert!(history.used_bytes <= 3_000_000, "{history:?}");
    assert!(went.deliveries > 10 && went.deliveries < 90, "{went:?}");
    assert_eq!(status_of(&server, format!("/deliveries/{}", ids[0])).await, 404);
    assert_eq!(status_of(&server, format!("/deliveries/{}/body", ids[99])).await, 200);
    assert_eq!(prune(&server, false).await.went.deliveries, 0, "it is small enough now");
    // Whoever waits is not touched, whatever the size.
    let (workload, _) = server.api.submit(json!([job("a")])).await;
    clock.advance(400 * DAY_MS);
    prune(&server, false).await;
    assert_eq!(server.api.workload(workload).await.jobs.len(), 1);
}

async fn sessions_that_ended_go_after_their_time_with_what_was_said(setup: Setup) {
    let (server, clock) = start(setup).await;
    let open = async |agent: &str| -> SessionOpened {
        let body = json!({ "agent": agent, "message": "hello" });
        let answer = server.api.post("/sessions", body).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.json()
    };
    let (over, later) = (open("a").await.session_id, open("b").await.session_id);
    for number in 0..7 {
        let body = json!({ "message": format!("{number}") });
        let said = server.api.post(&format!("/sessions/{over}/messages"), body).await;
        assert_eq!(said.status, 200, "{said:?}");
    }
    let ended = server.api.post(&format!("/sessions/{over}/cancel"), json!({})).await;
    assert_eq!(ended.status, 200, "{ended:?}");
    clock.advance(89 * DAY_MS);
    assert_eq!(prune(&server, false).await.went.sessions, 0, "its time is not over");
    clock.advance(2 * DAY_MS);
    let would = prune(&server, true).await.went;
    // Hello, seven more, and the note of its end.
    assert_eq!((would.sessions, would.session_messages), (1, 9), "{would:?}");
    let said = cli(&server, "prune").await;
    assert!(said.out.contains("with 9 messages"), "{said:?}");
    assert_eq!(status_of(&server, format!("/sessions/{over}")).await, 404);
    // It ended by its whole time when the clock was put, and is kept.
    assert_eq!(status_of(&server, format!("/sessions/{later}")).await, 200);
    assert_eq!(prune(&server, false).await.went.session_messages, 0);
    let metrics = server.api.request(Method::GET, "/metrics").send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    assert!(metrics.contains(r#"kind="session_messages"} 9"#), "{metrics}");
}

on_both!(
    what_is_over_goes_after_its_time_and_nothing_else,
    sessions_that_ended_go_after_their_time_with_what_was_said,
);
