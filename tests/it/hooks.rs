//! What gets bad input at the webhook.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use dispatchyard::api::wire::DeliveryAccepted;
use dispatchyard::app::AppOptions;
use dispatchyard::dispatch::Command;
use dispatchyard::model::WorkloadState;
use reqwest::RequestBuilder;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use serde_json::json;

use crate::support::fake_runner::job;
use crate::support::hook::{answer, fixture, push_with, signature};
use crate::support::raw::Raw;
use crate::support::wait::{Stopwatch, within};
use crate::support::{FakeRunner, Hook, Server, Setup, on_both};

const SIGNATURE: &str = "x-hub-signature-256";

fn push(hook: &Hook) -> RequestBuilder {
    hook.unsigned("push", "d-1", fixture("push"))
}

/// Everybody who is not believed gets the same answer, and leaves no row.
#[tokio::test]
async fn what_is_not_signed_as_it_must_be_is_refused_without_a_row() {
    let server = Server::start(&Setup::default()).await;
    let hook = server.hook();
    let good = signature(&fixture("push"));
    let digest = good.strip_prefix("sha256=").unwrap();
    let flipped = if digest.starts_with('0') { 'f' } else { '0' };
    let cases = [
        ("no signature", push(&hook)),
        ("a wrong one", push(&hook).header(SIGNATURE, format!("sha256={flipped}{}", &digest[1..]))),
        ("sha1 alone", push(&hook).header("x-hub-signature", format!("sha1={}", &digest[..40]))),
        ("sha1 as sha256", push(&hook).header(SIGNATURE, format!("sha1={digest}"))),
        ("two headers", push(&hook).header(SIGNATURE, &good).header(SIGNATURE, &good)),
        ("upper case", push(&hook).header(SIGNATURE, format!("sha256={}", digest.to_uppercase()))),
        ("cut short", push(&hook).header(SIGNATURE, &good[..good.len() - 1])),
        ("extended", push(&hook).header(SIGNATURE, format!("{good}0"))),
        ("empty", push(&hook).header(SIGNATURE, "")),
        ("over another body", push(&hook).header(SIGNATURE, signature(b"{}"))),
        ("another forge's", push(&hook).header("x-gitlab-token", "it's a secret to everybody")),
    ];
    let mut answers = Vec::new();
    for (what, request) in cases {
        let answer = answer(request).await;
        assert_eq!(answer.problem(), (401, "unauthorized".into()), "{what}");
        answers.push(answer.text);
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "the answer tells nothing: {answers:?}");
    assert!(server.api.deliveries().await.is_empty());
    let metrics = server.api.request(reqwest::Method::GET, "/metrics");
    let metrics = answer(metrics).await.text;
    assert!(metrics.contains(r#"reason="several""#), "the operator sees why: {metrics}");
}

#[tokio::test]
async fn a_signed_request_that_is_no_delivery_is_refused_without_a_row() {
    let server = Server::start(&Setup::default()).await;
    let request = |kind: &str, headers: &[(&'static str, &str)]| {
        let body = fixture("push");
        let mut request = server.api.request(reqwest::Method::POST, "/hooks/github");
        request = request.header(SIGNATURE, signature(&body)).header("content-type", kind);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(body)
    };
    let (event, id) = (("x-github-event", "push"), ("x-github-delivery", "d-1"));
    let json = "application/json";
    let cases = [
        ("no event", 400, request(json, &[id])),
        ("no delivery id", 400, request(json, &[event])),
        ("two events", 400, request(json, &[event, event, id])),
        ("an unusable event", 400, request(json, &[("x-github-event", "Push It"), id])),
        ("an empty id", 400, request(json, &[event, ("x-github-delivery", "")])),
        ("text", 415, request("text/plain", &[event, id])),
        ("no type", 415, request("", &[event, id])),
    ];
    for (what, status, request) in cases {
        assert_eq!(answer(request).await.problem().0, status, "{what}");
    }
    assert!(server.api.deliveries().await.is_empty());
    let unknown = server.api.request(reqwest::Method::POST, "/hooks/gitlab").body("{}");
    assert_eq!(answer(unknown).await.problem(), (404, "not-found".into()));
    let get = server.api.request(reqwest::Method::GET, "/hooks/github");
    assert_eq!(answer(get).await.problem(), (405, "method-not-allowed".into()));
}

#[tokio::test]
async fn a_signed_body_that_cannot_be_understood_is_stored_as_failed() {
    let server = Server::start(&Setup::default()).await;
    let open_end = "[".repeat(100_000);
    let cases: [(&str, &[u8]); 5] = [
        ("broken", b"{\"ref\": "),
        ("no-object", b"[1]"),
        ("empty", b""),
        ("no-text", b"{\"ref\": \"\xff\"}"),
        ("open-end", open_end.as_bytes()),
    ];
    for (id, body) in cases {
        let answer = server.hook().send("push", id, body).await;
        assert_eq!(answer.problem(), (400, "bad-request".into()), "{id}");
        let rows = server.api.deliveries().await;
        let row = rows.iter().find(|row| row.external_id.as_deref() == Some(id)).unwrap();
        assert_eq!(row.state, "failed");
        assert!(row.reason.as_deref().is_some_and(|reason| !reason.is_empty()), "{row:?}");
        assert!(answer.text.contains(&row.id.to_string()), "it is told where it is: {answer:?}");
        let body_path = format!("/deliveries/{}/body", row.id);
        let kept = server.api.ask(reqwest::Method::GET, &body_path, None).await;
        assert_eq!(kept.text, String::from_utf8_lossy(body), "{id}");
        let replay = server.api.post(&format!("/deliveries/{}/replay", row.id), json!({})).await;
        assert_eq!(replay.problem(), (409, "conflict".into()), "{id}");
    }
}

/// However deep a body is nested, reading it costs no stack that the server needs.
#[tokio::test]
async fn a_deeply_nested_body_is_stored_and_does_no_harm() {
    let server = Server::start(&Setup::default()).await;
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    for (id, key) in [("known", "ref"), ("nested", "repository"), ("unknown", "odd")] {
        let answer = server.hook().send("push", id, format!(r#"{{"{key}":{deep}}}"#)).await;
        assert!(matches!(answer.status, 202 | 400), "{id}: {answer:?}");
    }
    let states: Vec<_> = server.api.deliveries().await.into_iter().map(|row| row.state).collect();
    assert_eq!(states.len(), 3);
    assert!(states.iter().all(|state| state != "dispatched"), "{states:?}");
    server.hook().push("good").await;
}

async fn a_nul_in_a_ref_is_stored_and_does_no_harm(setup: Setup) {
    let server = Server::start(&setup).await;
    let answer = server.hook().send("push", "d-1", push_with("/ref", "refs/heads/odd/a\0b")).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let accepted: DeliveryAccepted = answer.json();
    let path = format!("/deliveries/{}/body", accepted.delivery_id);
    let body = server.api.ask(reqwest::Method::GET, &path, None).await.text;
    assert!(body.contains(r"a\u0000b"), "the raw body keeps it");
    server.hook().push("d-2").await;
    assert_eq!(server.api.deliveries().await.len(), 2, "and the server goes on");
}

#[tokio::test]
async fn pings_unknown_events_duplicates_and_forms_are_accepted() {
    let server = Server::start(&Setup::default()).await;
    let hook = server.hook();
    let ping = hook.send("ping", "d-ping", fixture("ping")).await;
    assert_eq!(ping.status, 200, "{ping:?}");
    let unknown = hook.send("something_new", "d-new", r#"{"action":"done","odd":null}"#).await;
    let accepted: DeliveryAccepted = unknown.json();
    assert_eq!((unknown.status, accepted.state.as_str()), (202, "ignored"));
    let star = hook.send("star", "d-star", fixture("star")).await;
    assert_eq!(star.status, 202, "{star:?}");

    let first = hook.push("d-1").await;
    let answer_again = hook.send("push", "d-1", fixture("push")).await;
    let again: DeliveryAccepted = answer_again.json();
    assert_eq!(answer_again.status, 200);
    assert!(again.duplicate);
    assert_eq!((again.delivery_id, &again.workloads), (first.delivery_id, &first.workloads));

    let text = String::from_utf8(fixture("push")).unwrap();
    let form: String =
        form_urlencoded::Serializer::new(String::new()).append_pair("payload", &text).finish();
    let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
    // In place of the content type that is there already.
    let kind = HeaderMap::from_iter([(CONTENT_TYPE, kind)]);
    let form = answer(hook.signed("push", "d-form", form).headers(kind)).await;
    assert_eq!(form.status, 202, "{form:?}");
    let accepted: DeliveryAccepted = form.json();
    assert_eq!(accepted.workloads.len(), 1);
    assert_eq!(server.api.deliveries().await.len(), 5);
}

#[tokio::test]
async fn a_body_that_is_announced_too_large_is_refused_unread() {
    let server = Server::start(&Setup::default().limit("hook_body_bytes_max", 10_000)).await;
    let mut connection = Raw::connect(server.address()).await;
    let head = "POST /hooks/github HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10001\r\n\r\n";
    assert!(connection.send(head).await);
    assert_eq!(connection.status().await, 413, "before a byte of the body was sent");
}

#[tokio::test]
async fn a_body_that_grows_too_large_is_refused_while_it_is_read() {
    let server = Server::start(&Setup::default().limit("hook_body_bytes_max", 10_000)).await;
    let mut connection = Raw::connect(server.address()).await;
    let head = format!(
        "POST /hooks/github HTTP/1.1\r\nhost: localhost\r\n{SIGNATURE}: {}\r\n\
         transfer-encoding: chunked\r\n\r\n",
        signature(b"")
    );
    assert!(connection.send(head).await);
    for _ in 0..11 {
        let chunk = format!("3e8\r\n{}\r\n", "x".repeat(1_000));
        if !connection.send(chunk).await {
            break;
        }
    }
    assert_eq!(connection.status().await, 413, "although the body has no end");
}

#[tokio::test]
async fn headers_that_never_end_are_cut_off() {
    let setup = Setup::default().server("header_read_timeout_ms", 300);
    let server = Server::start(&setup).await;
    let watch = Stopwatch::start();
    let mut connection = Raw::connect(server.address()).await;
    assert!(connection.send("POST /hooks/github HTTP/1.1\r\nhost: localhost\r\nx-slow: ").await);
    connection.rest().await;
    assert!(watch.elapsed() < Duration::from_secs(5), "after {:?}", watch.elapsed());
}

#[tokio::test]
async fn a_body_that_never_ends_is_cut_off() {
    let setup = Setup::default().server("body_read_timeout_ms", 300);
    let server = Server::start(&setup).await;
    let mut connection = Raw::connect(server.address()).await;
    let head = format!(
        "POST /hooks/github HTTP/1.1\r\nhost: localhost\r\n{SIGNATURE}: {}\r\ncontent-length: 100\r\n\r\n{{",
        signature(b"{")
    );
    assert!(connection.send(head).await);
    let status = connection.status().await;
    assert!((400..500).contains(&status), "{status}");
}

/// One job's failure to be understood must not keep later deliveries from their jobs.
async fn bad_deliveries_do_not_hold_up_good_ones(setup: Setup) {
    let server = Server::start(&setup.patient()).await;
    let runner = FakeRunner::with_slots(&server.api, "one", &["self-hosted"], 10).await;
    let hook = server.hook();
    for at in 0..5 {
        assert_eq!(hook.send("push", &format!("bad-{at}"), "{").await.status, 400);
        let good = hook.push(&format!("good-{at}")).await;
        for _ in 0..2 {
            let job = runner.begin().await;
            runner.complete(&job).await;
        }
        server.api.workload_is(good.workloads[0], WorkloadState::Completed).await;
    }
}

on_both!(a_nul_in_a_ref_is_stored_and_does_no_harm, bad_deliveries_do_not_hold_up_good_ones,);

/// A delivery that had to wait for room in memory has so much less patience left for a scheduler that does
/// not answer: all together is one `store_wait_ms`.
#[tokio::test]
async fn the_wait_for_room_and_the_wait_for_the_store_are_one_patience() {
    const PATIENCE_MS: i64 = 3_000;
    const FOR_ROOM: Duration = Duration::from_millis(1_500);
    let (held_up, mut is_held_up) = tokio::sync::mpsc::unbounded_channel();
    let (go, may_go) = std::sync::mpsc::channel::<()>();
    let may_go = Mutex::new(may_go);
    let options = AppOptions {
        apply_probe: Some(Arc::new(move |command| {
            if matches!(command, Command::Submit { .. }) {
                held_up.send(()).unwrap();
                let _ = may_go.lock().unwrap().recv();
            }
        })),
        ..AppOptions::default()
    };
    let push = fixture("push");
    let room = i64::try_from(push.len()).unwrap();
    let setup = Setup::default().patient().scheduler("store_wait_ms", PATIENCE_MS);
    let server = Server::with(&setup.limit("hook_bytes_in_flight_max", room), options).await;
    let gate = tokio::spawn({
        let api = server.api.clone();
        async move { api.post("/workloads", json!({ "name": "gate", "jobs": [job("a")] })).await }
    });
    within("the scheduler is held up", is_held_up.recv()).await.unwrap();
    // All of the room, for a body that is announced and does not come: it is asked for when it has its room.
    let mut first = Raw::connect(server.address()).await;
    let head = format!(
        "POST /hooks/github HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\
         Content-Type: application/json\r\n{SIGNATURE}: {}\r\nContent-Length: {room}\r\n\r\n",
        signature(&push)
    );
    assert!(first.send(head).await);
    assert_eq!(first.status().await, 100);

    let watch = Stopwatch::start();
    let hook = server.hook();
    let (answer, ()) = tokio::join!(hook.send("push", "d-2", push), async {
        tokio::time::sleep(FOR_ROOM).await;
        drop(first);
    });
    let waited = watch.elapsed();
    assert_eq!(answer.problem().0, 503, "{answer:?}");
    assert!(waited >= FOR_ROOM + Duration::from_millis(500), "it waited for the store: {waited:?}");
    assert!(waited < FOR_ROOM + Duration::from_millis(2_500), "one after the other: {waited:?}");
    go.send(()).unwrap();
    within("the gate's answer", gate).await.unwrap();
}
