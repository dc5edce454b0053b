//! Calls that are given up at each point where they wait: what they asked for is done as a whole or not at
//! all, asked again it is answered as it should be, and nothing is kept for somebody who has gone.
//!
//! The calls go to the server's own router, which waits for the real driver and the real store; their bodies
//! come piece by piece, so that there is much to wait for. A call is polled once, then forgotten; the next one
//! twice; and so on until one has its answer.

mod subject;

use axum::http::StatusCode;
use dispatchyard::api::wire::{
    Assignment, DeliveryAccepted, List, PollResponse, StatusView, SubmitResponse, WorkloadView,
};
use dispatchyard::model::JobStateKind;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::fake_runner::{job, lease, registration};
use crate::support::home::{ADMIN_TOKEN, REGISTRATION_TOKEN};
use crate::support::hook::{fixture, signature};
use crate::support::instances::admin;
use crate::support::{Answer, FakeRunner, Setup, until};
use subject::{Call, PIECES, Subject};

async fn webhooks(it: &Subject) {
    let call = async |at: usize| {
        let body = fixture("push");
        let call = Call {
            method: Method::POST,
            path: "/hooks/github".to_owned(),
            token: None,
            headers: Vec::new(),
            body: body.clone(),
        };
        // Every second one says how long it is, and all of that is kept for it.
        let call = match at % 2 {
            0 => call.header("content-length", body.len().to_string()),
            _ => call,
        };
        call.header("content-type", "application/json")
            .header("x-github-event", "push")
            .header("x-github-delivery", format!("d-{at}"))
            .header("x-hub-signature-256", signature(&body))
    };
    it.give_up("a webhook", call, async |at, call, _| {
        let first: DeliveryAccepted = it.again("a webhook", call).await;
        let second: DeliveryAccepted = it.again("a webhook", call).await;
        assert_eq!((second.delivery_id, second.duplicate), (first.delivery_id, true), "{at}");
        let rows = it.api.deliveries().await;
        let rows =
            rows.iter().filter(|row| row.external_id.as_deref() == Some(&*format!("d-{at}")));
        assert_eq!(rows.count(), 1, "{at}");
        let row = until("it is decided", async || {
            let row = it.api.delivery(first.delivery_id).await;
            (row.state == "dispatched").then_some(row)
        })
        .await;
        let workloads: Vec<_> = row.triggers.iter().filter_map(|it| it.workload_id).collect();
        assert_eq!(workloads.len(), 1, "{at}");
        assert_eq!(it.api.workload(workloads[0]).await.jobs.len(), 2, "{at}");
    })
    .await;
}

async fn submissions(it: &Subject) {
    let body = |name: &str| json!({ "name": name, "jobs": [job_of("nobody"), job_of("else")] });
    let keyed = async |at: usize| {
        let name = format!("keyed-{at}");
        Call::new("/api/v1/workloads", ADMIN_TOKEN, &body(&name)).header("idempotency-key", name)
    };
    it.give_up("a submission with a key", keyed, async |at, call, _| {
        let first: SubmitResponse = it.again("a submission", call).await;
        let second: SubmitResponse = it.again("a submission", call).await;
        assert_eq!((second.workload_id, second.duplicate), (first.workload_id, true), "{at}");
        assert_eq!(it.named(&format!("keyed-{at}")).await, 1, "{at}");
        assert_eq!(it.api.workload(first.workload_id).await.jobs.len(), 2, "{at}");
    })
    .await;
    let plain = async |at: usize| {
        Call::new("/api/v1/workloads", ADMIN_TOKEN, &body(&format!("plain-{at}")))
    };
    it.give_up("a submission", plain, async |at, _, answered| {
        let many = it.named(&format!("plain-{at}")).await;
        assert!(if answered { many == 1 } else { many <= 1 }, "{at}: {many}");
    })
    .await;
    let list: List<WorkloadView> = it.api.get("/workloads?limit=500").await;
    for workload in list.items.iter().filter(|it| it.name.starts_with("plain-")) {
        assert_eq!(it.api.workload(workload.id).await.jobs.len(), 2, "as a whole");
        it.api.done::<Value>(&format!("/workloads/{}/cancel", workload.id), json!({})).await;
    }
    for workload in list.items.iter().filter(|it| it.name.starts_with("keyed-")) {
        it.api.done::<Value>(&format!("/workloads/{}/cancel", workload.id), json!({})).await;
    }
}

fn job_of(label: &str) -> Value {
    let mut job = job(label);
    job["requirements"] = json!({ "labels": [label] });
    job
}

async fn registrations(it: &Subject) {
    let request = |at: usize| registration(&format!("new-{at}"), &["new"], 1);
    let call =
        async |at: usize| Call::new("/api/v1/runners/register", REGISTRATION_TOKEN, &request(at));
    it.give_up("a registration", call, async |at, _, _| {
        let api = it.api.with_token(REGISTRATION_TOKEN);
        let one = FakeRunner::with_request(&api, request(at)).await;
        let other = FakeRunner::with_request(&api, request(at)).await;
        assert_eq!(one.id, other.id, "{at}: one instance is one runner");
        assert!(other.look().await.is_empty());
    })
    .await;
}

async fn polls(it: &Subject, runner: &FakeRunner) {
    let path = format!("/api/v1/runners/{}/poll", runner.id);
    // It has a job at once.
    let call = async |_| {
        it.api.submit(json!([job("a")])).await;
        Call::new(&path, &runner.token, &json!({ "wait_ms": 20_000 }))
    };
    it.give_up("a poll that is given a job", call, async |at, call, _| {
        let given: PollResponse = it.again("a poll", call).await;
        assert_eq!(given.jobs.len(), 1, "{at}: {given:?}");
        runner.start(&given.jobs[0]).await;
        runner.complete(&given.jobs[0]).await;
        let job = it.api.job(given.jobs[0].job_id).await;
        assert_eq!(job.job.state, JobStateKind::Completed, "{at}");
    })
    .await;
    // It waits, or is about to, and the job comes when it has gone.
    let call = Call::new(&path, &runner.token, &json!({ "wait_ms": 20_000 }));
    for polls in 1..=PIECES + 2 {
        if polls <= PIECES {
            assert!(call.given_up_after(&it.router, polls).await.is_none(), "there is nothing yet");
        } else {
            let leader = admin(&it.leader.as_ref().unwrap_or(&it.server).api);
            tokio::select! {
                answer = call.answered(&it.router) => panic!("there is nothing yet: {answer:?}"),
                () = leader.polls_parked(1) => {}
            }
        }
        let held = it.given(runner).await;
        runner.start(&held).await;
        runner.complete(&held).await;
    }
}

async fn leases(it: &Subject, runner: &FakeRunner) {
    let call_of = |held: &Assignment, what: &str, mut body: Value| {
        body["nonce"] = json!(held.nonce);
        Call::new(format!("/api/v1{}", lease(held, what)), &runner.token, &body)
    };
    let held = std::cell::RefCell::new(None);
    let hold = async |starts: bool| {
        let given = it.given(runner).await;
        if starts {
            runner.start(&given).await;
        }
        *held.borrow_mut() = Some(given.clone());
        given
    };
    let has = || held.borrow().clone().unwrap();
    let ends = async |what: &str, at: usize| {
        runner.complete(&has()).await;
        let job = it.api.job(has().job_id).await;
        assert_eq!(
            (job.job.state, job.attempts.len()),
            (JobStateKind::Completed, 1),
            "{what}, {at}: {job:?}"
        );
    };

    let start = async |_| call_of(&hold(false).await, "start", json!({}));
    it.give_up("a start", start, async |at, call, _| {
        let _: Value = it.again("a start", call).await;
        ends("a start", at).await;
    })
    .await;

    let beat = async |_| {
        let held = hold(true).await;
        let leases = json!({ "leases": [{ "lease": held.lease, "nonce": held.nonce }] });
        Call::new(format!("/api/v1/runners/{}/heartbeat", runner.id), &runner.token, &leases)
    };
    it.give_up("a heartbeat", beat, async |at, _, _| {
        assert_eq!(runner.heartbeat(&[&has()]).await.lost, []);
        ends("a heartbeat", at).await;
    })
    .await;

    let text = "line after line\n".repeat(100);
    let write = async |_| {
        let held = hold(true).await;
        let path = format!("/api/v1{}?offset=0&nonce={}", lease(&held, "logs"), held.nonce);
        let call = Call::new(path, &runner.token, &json!({}));
        Call { body: text.clone().into_bytes(), ..call }
    };
    it.give_up("a piece of a log", write, async |at, call, _| {
        let (status, answer) = call.answered(&it.router).await;
        let answer = String::from_utf8_lossy(&answer);
        assert!(status.is_success(), "{at}: {status} {answer}");
        ends("a piece of a log", at).await;
        assert_eq!(it.api.log(has().job_id).await, text, "{at}");
    })
    .await;

    let complete =
        async |_| call_of(&hold(true).await, "complete", json!({ "outcome": "completed" }));
    it.give_up("a completion", complete, async |at, call, _| {
        let _: Value = it.again("a completion", call).await;
        ends("a completion", at).await;
    })
    .await;

    let release = async |_| call_of(&hold(true).await, "release", json!({ "reason": "drained" }));
    it.give_up("a lease that is given back", release, async |at, call, _| {
        // Once it is, it is nobody's.
        let (status, answer) = call.answered(&it.router).await;
        let answer = String::from_utf8_lossy(&answer);
        assert!(status.is_success() || status == StatusCode::CONFLICT, "{at}: {status} {answer}");
        let again = runner.begin().await;
        assert_eq!(again.job_id, has().job_id, "{at}");
        runner.complete(&again).await;
    })
    .await;
}

/// Nothing is left of all that.
async fn is_clean(it: &Subject) {
    let leader = it.leader.as_ref().unwrap_or(&it.server);
    until("nobody waits and nothing runs", async || {
        let metrics = leader.api.request(Method::GET, "/metrics").send().await.ok()?;
        let metrics = metrics.text().await.ok()?;
        let parked =
            metrics.lines().find_map(|it| it.strip_prefix("dispatchyard_polls_parked "))?;
        let status: StatusView = it.api.get("/status").await;
        (parked.trim() == "0" && status.running_jobs == 0).then_some(())
    })
    .await;
}

async fn all(it: Subject) -> String {
    webhooks(&it).await;
    submissions(&it).await;
    registrations(&it).await;
    let api = it.api.with_token(REGISTRATION_TOKEN);
    let runner = FakeRunner::register(&api, "one", &["x"]).await;
    polls(&it, &runner).await;
    leases(&it, &runner).await;
    is_clean(&it).await;
    let answer: Answer = it.server.hook().send("push", "last", fixture("push")).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    it.seen.take().join("\n")
}

#[tokio::test]
async fn calls_that_are_given_up_leave_nothing_behind() {
    println!("{}", all(Subject::alone(Setup::default()).await).await);
}

#[tokio::test]
async fn calls_that_are_given_up_leave_nothing_behind_on_postgresql() {
    println!("{}", all(Subject::alone(Setup::default().on_postgres().await).await).await);
}

#[tokio::test]
async fn calls_that_are_given_up_at_a_standby_leave_nothing_behind() {
    println!("{}", all(Subject::standby(Setup::default().on_postgres().await).await).await);
}
