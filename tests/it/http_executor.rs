//! Jobs posted to a URL, with real requests over loopback: each kind of answer, callbacks, and what is kept of it.

use std::sync::atomic::Ordering;

use axum::http::header;
use dispatchyard::api::wire::{CallbackStatus, ExecutorView, List};
use dispatchyard::model::{AttemptOutcome, EndReason, JobStateKind, RequeueReason};
use serde_json::{Value, json};

use crate::support::backend::{call_back, tries};
use crate::support::fake_runner::{job, job_with};
use crate::support::farm::{Farm, setup};
use crate::support::{Server, ServerProcess, Setup, on_both, until};

async fn the_end_may_be_in_the_answer(with: Setup) {
    let farm = Farm::default();
    let more = "inline_context = true\nheaders = { x-team = \"ci\" }";
    let server = Server::start(&setup(with, farm.start().await, more)).await;
    farm.answers(200, &json!({ "status": "completed", "outputs": { "url": "x" } }));
    farm.answers(200, &json!({ "status": "failed", "error": "tests failed", "exit_code": 2 }));
    farm.answers(204, &Value::Null);
    let mut done = Vec::new();
    for state in [JobStateKind::Completed, JobStateKind::Failed, JobStateKind::Completed] {
        let (_, ids) = server.api.submit(json!([job("a")])).await;
        done.push(server.api.job_is(ids[0], state).await);
    }
    assert_eq!(done[0].outputs["url"], "x");
    let failed = &done[1].attempts[0];
    assert_eq!((failed.exit_code, failed.error.as_deref()), (Some(2), Some("tests failed")));
    let (headers, body) = farm.posted(1).await.remove(0);
    let key = format!("job-{}-attempt-1", done[0].job.id);
    assert_eq!(headers["idempotency-key"], *key);
    assert_eq!(headers["x-team"], "ci");
    assert_eq!(body["namespace"], "default::workflow::submitted::a");
    assert_eq!(body["context"]["job_id"], json!(done[0].job.id));
    let tried = tries(&done[0]);
    assert_eq!(tried.len(), 1);
    assert!(tried[0].contains(&format!("/run?key=*** ({key}): 200, ")), "{tried:?}");
}

async fn the_end_may_come_by_a_callback_twice_and_not_after_the_lease(with: Setup) {
    let farm = Farm::default();
    let server = Server::start(&setup(with, farm.start().await, "")).await;
    let api = &server.api;
    let (_, ids) = api.submit(json!([job("a")])).await;
    let (_, posted) = farm.posted(1).await.remove(0);
    assert!(posted.get("context").is_none());
    // Who has to do it asks for it.
    let ask = api.with_token(posted["callback"]["token"].as_str().unwrap());
    let path = format!("/leases/{}/context", posted["lease"].as_str().unwrap());
    let context: Value = ask.get(&path).await;
    assert_eq!((&context["job_id"], &context["attempt"]), (&json!(ids[0]), &json!(1)));
    let nobody = api.with_token("0000000000000001").ask(reqwest::Method::GET, &path, None).await;
    assert_eq!(nobody.status, 409);
    let running = json!({ "status": "running", "log": "half\n" });
    assert_eq!(call_back(api, &posted, running.clone()).await, 204);
    let end = json!({ "status": "completed", "outputs": { "a": "b" }, "log": "whole\n" });
    assert_eq!(call_back(api, &posted, end.clone()).await, 204);
    let done = api.job_is(ids[0], JobStateKind::Completed).await;
    assert_eq!((done.attempts.len(), &*done.outputs["a"]), (1, "b"));
    assert_eq!(ask.ask(reqwest::Method::GET, &path, None).await.status, 409, "it is over");
    assert_eq!(api.log(ids[0]).await, "half\nwhole\n");
    assert_eq!(call_back(api, &posted, end).await, 204, "the same twice is answered the same");
    assert_eq!(call_back(api, &posted, json!({ "status": "failed" })).await, 409);
    assert_eq!(call_back(api, &posted, running).await, 409);
    let mut another = posted.clone();
    another["callback"]["token"] = json!("0000000000000001");
    assert_eq!(call_back(api, &another, json!({ "status": "failed" })).await, 409);
    assert_eq!(farm.posted(1).await.len(), 1, "it was asked once");
    // What carried it failed.
    let (_, ids) = api.submit(json!([job("b")])).await;
    let (_, posted) = farm.posted(2).await.remove(1);
    call_back(api, &posted, json!({ "status": "retry", "error": "spot" })).await;
    let (_, again) = farm.posted(3).await.remove(2);
    assert_eq!(again["attempt"], 2);
    assert_eq!(
        call_back(api, &posted, json!({ "status": "completed" })).await,
        409,
        "a lost lease"
    );
    call_back(api, &again, json!({ "status": "completed" })).await;
    let done = api.job_is(ids[0], JobStateKind::Completed).await;
    assert_eq!(done.attempts[0].requeue_reason, Some(RequeueReason::Evicted));
    assert_eq!(done.attempts[0].error.as_deref(), Some("spot"));
}

async fn each_trouble_has_its_answer(with: Setup) {
    let farm = Farm::default();
    let server = Server::start(&setup(with, farm.start().await, "tries_max = 2")).await;
    let api = &server.api;
    // Perhaps: asked again in the same attempt, with the same key.
    farm.answers(500, &json!("boom"));
    farm.answers(204, &Value::Null);
    let (_, ids) = api.submit(json!([job("a")])).await;
    let done = api.job_is(ids[0], JobStateKind::Completed).await;
    assert_eq!((done.attempts.len(), tries(&done).len()), (1, 2));
    assert!(tries(&done).iter().any(|it| it.contains(": 500, 6 bytes") && it.contains("boom")));
    let posted = farm.posted(2).await;
    assert_eq!(posted[0].0["idempotency-key"], posted[1].0["idempotency-key"]);
    // No room: it stays, and is asked again.
    farm.answers_with(429, "retry-after", "0");
    farm.answers(204, &Value::Null);
    let (_, ids) = api.submit(json!([job("b")])).await;
    let done = api.job_is(ids[0], JobStateKind::Completed).await;
    assert_eq!(done.attempts[0].requeue_reason, Some(RequeueReason::ExecutorUnavailable));
    // Away, and back by itself.
    farm.answers(503, &Value::Null);
    farm.answers(204, &Value::Null);
    let (_, ids) = api.submit(json!([job("c")])).await;
    until("its breaker opens", async || {
        let list: List<ExecutorView> = api.get("/executors").await;
        (list.items[0].breaker != "closed").then_some(())
    })
    .await;
    let done = api.job_is(ids[0], JobStateKind::Completed).await;
    assert_eq!(done.attempts.len(), 2);
    // Not wanted.
    farm.answers(422, &json!({ "detail": "no such image" }));
    let (_, ids) = api.submit(json!([job("d")])).await;
    let done = api.job_is(ids[0], JobStateKind::Failed).await;
    assert!(done.attempts[0].error.as_deref().unwrap().contains("no such image"));
    // Sent elsewhere.
    farm.answers_with(307, header::LOCATION.as_str(), "http://127.0.0.2:9/run");
    let (_, ids) = api.submit(json!([job("e")])).await;
    let done = api.job_is(ids[0], JobStateKind::Failed).await;
    assert!(done.attempts[0].error.as_deref().unwrap().contains("are followed"), "{done:?}");
}

async fn whoever_falls_silent_or_is_cancelled_is_not_waited_for(with: Setup) {
    let farm = Farm::default();
    let setup = setup(with, farm.start().await, "heartbeat_ms = 100");
    let server = Server::start(&setup.scheduler("lease_ms", 1_000)).await;
    let api = &server.api;
    let (_, ids) = api.submit(json!([job("silent")])).await;
    let (_, first) = farm.posted(1).await.remove(0);
    let (_, again) = farm.posted(2).await.remove(1);
    assert_eq!(call_back(api, &first, json!({ "status": "completed" })).await, 409);
    call_back(api, &again, json!({ "status": "completed" })).await;
    let done = api.job_is(ids[0], JobStateKind::Completed).await;
    assert_eq!(done.attempts[0].requeue_reason, Some(RequeueReason::LeaseLost));
    let (_, ids) = api.submit(json!([job_with("late", json!({ "timeout_ms": 50 }))])).await;
    let late = api.job_is(ids[0], JobStateKind::Failed).await;
    assert_eq!(late.job.reason, Some(EndReason::TimedOut));
    assert_eq!(late.attempts[0].outcome, AttemptOutcome::TimedOut);
}

async fn what_was_accepted_is_waited_for_by_the_server_that_was_killed_and_started_again(
    with: Setup,
) {
    let farm = Farm::default();
    let home = setup(with, farm.start().await, "").own_port().build();
    let mut server = ServerProcess::start(&home).await;
    let (_, ids) = server.api.submit(json!([job("a"), job("b")])).await;
    let posted = farm.posted(2).await;
    for id in &ids {
        server.api.job_is(*id, JobStateKind::Running).await;
    }
    // Both are known by the name under which they are found again.
    until("the answers are kept", async || {
        let mut kept = 0;
        for id in &ids {
            kept += tries(&server.api.job(*id).await).len();
        }
        (kept == 2).then_some(())
    })
    .await;
    server.kill().await;
    let server = ServerProcess::start(&home).await;
    for (_, posted) in &posted {
        until("the callback is taken", async || {
            let status = call_back(&server.api, posted, json!({ "status": "completed" })).await;
            (status == 204).then_some(())
        })
        .await;
    }
    for id in ids {
        let done = server.api.job_is(id, JobStateKind::Completed).await;
        assert_eq!(done.attempts.len(), 1, "{done:?}");
    }
}

/// Asked for, its time over, its lease lost, and all that by a server that took it over.
async fn what_goes_on_at_a_place_is_told_to_stop(with: Setup) {
    let farm = Farm::default();
    let more = "tries_max = 2\nauth = { bearer = { file = \"hook-secret\" } }";
    let home = setup(with.patient(), farm.start().await, more).own_port().build();
    let mut server = ServerProcess::start(&home).await;
    for name in ["asked", "late", "elsewhere", "adopted"] {
        let at = match name {
            "elsewhere" => "http://127.0.0.2:9/runs/elsewhere".to_owned(),
            _ => format!("/runs/{name}"),
        };
        farm.answers_with(202, header::LOCATION.as_str(), &at);
        let more = json!({ "timeout_ms": if name == "late" { 300 } else { 60_000 } });
        let (_, ids) = server.api.submit(json!([job_with(name, more)])).await;
        let id = ids[0];
        // The answer is kept, and with it its place.
        until("it is kept", async || (!tries(&server.api.job(id).await).is_empty()).then_some(()))
            .await;
        server.api.job_is(id, JobStateKind::Running).await;
        if name == "adopted" {
            server.kill().await;
            server = ServerProcess::start(&home).await;
        }
        farm.answers_to_stops.lock().unwrap().push_back(503);
        let state = match name {
            "late" => JobStateKind::Failed,
            _ => {
                server.api.post(&format!("/jobs/{id}/cancel"), json!({ "reason": "enough" })).await;
                JobStateKind::Cancelled
            }
        };
        let done = server.api.job_is(id, state).await;
        let told: Vec<_> = farm.stopped.lock().unwrap().drain(..).collect();
        let tried: Vec<_> =
            tries(&done).into_iter().filter(|it| it.starts_with("DELETE")).collect();
        if name == "elsewhere" {
            assert!(told.is_empty() && tried.is_empty(), "a place of somebody else: {told:?}");
            farm.answers_to_stops.lock().unwrap().clear();
            continue;
        }
        assert_eq!((told.len(), tried.len()), (2, 2), "{name}: {done:?}");
        assert!(told.iter().all(|(told, _)| told == name));
        let key = format!("job-{id}-attempt-1-cancel");
        assert_eq!(told[0].1["idempotency-key"], *key);
        assert!(told[0].1["authorization"].to_str().unwrap().starts_with("Bearer it's"));
        assert!(tried.iter().any(|it| it.contains(&format!("/runs/{name} ({key}): 503, "))));
        assert!(tried.iter().any(|it| it.contains(": 204, ")), "{tried:?}");
    }
}

async fn a_lost_lease_stops_what_goes_on_at_its_place(with: Setup) {
    let farm = Farm::default();
    let setup = setup(with, farm.start().await, "heartbeat_ms = 100");
    let server = Server::start(&setup.scheduler("lease_ms", 1_000)).await;
    farm.answers_with(202, header::LOCATION.as_str(), "/runs/silent");
    let (_, ids) = server.api.submit(json!([job("silent")])).await;
    assert_eq!(farm.stopped(1).await[0].0, "silent");
    let (_, again) = farm.posted(2).await.remove(1);
    call_back(&server.api, &again, json!({ "status": "completed" })).await;
    let done = server.api.job_is(ids[0], JobStateKind::Completed).await;
    assert_eq!(done.attempts[0].requeue_reason, Some(RequeueReason::LeaseLost));
}

/// Whoever accepts a job in the moment of its cancel is told to stop it; whoever says nothing is not waited for.
async fn a_cancel_waits_a_moment_for_the_answer_that_is_under_way(with: Setup) {
    let farm = Farm::default();
    // Whoever stops in time says so by itself.
    let with = with.patient().scheduler("cancel_grace_ms", 60_000);
    let server = Server::start(&setup(with, farm.start().await, "")).await;
    let api = &server.api;
    for answers in [true, false] {
        farm.posted.lock().unwrap().clear();
        let (_, ids) = api.submit(json!([job("held")])).await;
        farm.posted(1).await;
        api.post(&format!("/jobs/{}/cancel", ids[0]), json!({ "reason": "enough" })).await;
        // Once another one is there, the executor has heard of the cancel.
        farm.answers(204, &Value::Null);
        let (_, next) = api.submit(json!([job("next")])).await;
        api.job_is(next[0], JobStateKind::Completed).await;
        if answers {
            farm.answers_with(202, header::LOCATION.as_str(), "/runs/held");
            farm.held.add_permits(1);
        }
        let done = api.job_is(ids[0], JobStateKind::Cancelled).await;
        let told: Vec<_> = farm.stopped.lock().unwrap().drain(..).map(|(name, _)| name).collect();
        assert_eq!(told, if answers { vec!["held"] } else { vec![] }, "{done:?}");
    }
}

async fn the_same_request_is_sent_on_within_its_host_and_nothing_else_is(with: Setup) {
    let farm = Farm::default();
    let address = farm.start().await;
    let server = Server::start(&setup(with, address, "")).await;
    let api = &server.api;
    for status in [307, 308] {
        farm.posted.lock().unwrap().clear();
        farm.answers_with(status, header::LOCATION.as_str(), "/run?moved=1");
        farm.answers(200, &json!({ "status": "completed", "outputs": { "by": "moved" } }));
        let (_, ids) = api.submit(json!([job("a")])).await;
        let done = api.job_is(ids[0], JobStateKind::Completed).await;
        assert_eq!((done.attempts.len(), &*done.outputs["by"]), (1, "moved"));
        let posted = farm.posted(2).await;
        assert_eq!(posted[0].1, posted[1].1, "with its body");
        assert_eq!(posted[0].0["idempotency-key"], posted[1].0["idempotency-key"]);
    }
    let elsewhere = format!("http://localhost:{}/page", address.port());
    let others = [(301, "/page"), (302, "/page"), (303, "/page"), (307, &elsewhere)];
    for (status, place) in others {
        farm.answers_with(status, header::LOCATION.as_str(), place);
        let (_, ids) = api.submit(json!([job("b")])).await;
        let done = api.job_is(ids[0], JobStateKind::Failed).await;
        let error = done.attempts[0].error.as_deref().unwrap();
        assert!(error.contains("only 307 and 308 to the same host are followed"), "{error}");
    }
    assert_eq!(farm.pages.load(Ordering::Relaxed), 0);
}

on_both![
    a_cancel_waits_a_moment_for_the_answer_that_is_under_way,
    the_same_request_is_sent_on_within_its_host_and_nothing_else_is,
    what_goes_on_at_a_place_is_told_to_stop,
    a_lost_lease_stops_what_goes_on_at_its_place,
    the_end_may_be_in_the_answer,
    the_end_may_come_by_a_callback_twice_and_not_after_the_lease,
    each_trouble_has_its_answer,
    whoever_falls_silent_or_is_cancelled_is_not_waited_for,
    what_was_accepted_is_waited_for_by_the_server_that_was_killed_and_started_again,
];

#[test]
fn the_wire_names_of_a_callback_are_those_of_the_docs() {
    let all = ["running", "completed", "failed", "cancelled", "retry"];
    for name in all {
        let read: CallbackStatus = serde_json::from_value(json!(name)).unwrap();
        assert_eq!(serde_json::to_value(read).unwrap(), json!(name));
    }
}
