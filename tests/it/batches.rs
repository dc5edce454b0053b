//! Many calls in one: each item for itself, in order, and safe to repeat.

use std::sync::{Arc, Mutex};

use dispatchyard::api::wire::{
    BatchResponse, CompleteResponse, ExplainAllView, ExplainView, PollResponse, QueueView,
    SubmitResponse,
};
use dispatchyard::app::AppOptions;
use dispatchyard::dispatch::Command;
use dispatchyard::model::{JobId, JobStateKind};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::support::command::run;
use crate::support::fake_runner::{job, job_with};
use crate::support::store::Away;
use crate::support::wait::within;
use crate::support::{Answer, Api, FakeRunner, Server, Setup, on_both, until};

/// A batch, answered item by item.
async fn batch<T: DeserializeOwned>(api: &Api, path: &str, items: Value) -> BatchResponse<T> {
    api.done(path, json!({ "items": items })).await
}

/// The status of each item, with the code of its problem.
fn told<T>(response: &BatchResponse<T>) -> Vec<String> {
    let told = response.items.iter().map(|item| match &item.error {
        Some(problem) => format!("{} {}", item.status, problem.code()),
        None => item.status.to_string(),
    });
    told.collect()
}

fn named(name: &str) -> Value {
    json!({ "name": name, "jobs": [job("a")] })
}

#[tokio::test]
async fn each_submission_of_a_batch_stands_for_itself_and_they_are_made_in_order() {
    let setup = Setup::default().limit("batch_items_max", 6);
    let server = Server::start(&setup).await;
    let mut keyed = named("keyed");
    keyed["idempotency_key"] = "k".into();
    let unmeetable = json!({ "name": "w", "jobs": [job_with("a", json!({ "group": "" }))] });
    let items = json!([named("one"), unmeetable, keyed, { "name": "odd", "colour": 1 }, keyed, named("two")]);
    let response = batch::<SubmitResponse>(&server.api, "/workloads/batch", items.clone()).await;
    assert_eq!(told(&response), ["201", "422 invalid", "201", "400 bad-request", "200", "201"]);
    let ids: Vec<_> = response.items.iter().filter_map(|it| it.body.as_ref()).collect();
    assert!(ids[0].workload_id < ids[1].workload_id && ids[1].workload_id < ids[3].workload_id);
    assert_eq!((ids[2].workload_id, ids[2].duplicate), (ids[1].workload_id, true));
    let said = response.items[1].error.as_ref().unwrap();
    assert_eq!(said.detail, "job `a`: group: a group needs a key");
    assert_eq!(server.api.jobs().await.len(), 3);

    let seven = (0..7).map(|_| named("w")).collect::<Vec<_>>();
    let many = server.api.post("/workloads/batch", json!({ "items": seven })).await;
    assert_eq!(many.problem(), (422, "too-many-items".into()));
    assert!(batch::<Value>(&server.api, "/workloads/batch", json!([])).await.items.is_empty());
    assert_eq!(server.api.post("/workloads/batch", json!({ "items": 1 })).await.status, 400);
    assert_eq!(server.api.jobs().await.len(), 3);
}

/// The scheduler is held up, so that what comes meanwhile can be decided together.
#[tokio::test]
async fn a_batch_shares_one_transaction() {
    let (entered, mut has_entered) = tokio::sync::mpsc::unbounded_channel();
    let (go, may_go) = std::sync::mpsc::channel::<()>();
    let may_go = Mutex::new(may_go);
    let options = AppOptions {
        apply_probe: Some(Arc::new(move |command| {
            if matches!(command, Command::Submit { workload, .. } if workload.name == "gate") {
                entered.send(()).unwrap();
                may_go.lock().unwrap().recv().unwrap();
            }
        })),
        ..AppOptions::default()
    };
    let server = Server::with(&Setup::default().patient(), options).await;
    let before = commits(&server.api).await;
    let gate = tokio::spawn({
        let api = server.api.clone();
        async move { api.post("/workloads", named("gate")).await }
    });
    within("the gate", has_entered.recv()).await.unwrap();
    let items: Vec<_> = (0..50).map(|at| named(&format!("w{at}"))).collect();
    let response = tokio::spawn({
        let api = server.api.clone();
        async move { batch::<SubmitResponse>(&api, "/workloads/batch", json!(items)).await }
    });
    until("all of it waits", async || (server.handle().waiting() == 50).then_some(())).await;
    go.send(()).unwrap();
    assert_eq!(within("the gate's answer", gate).await.unwrap().status, 201);
    let response = within("the batch", response).await.unwrap();
    let ids: Vec<_> = response.items.iter().filter_map(|it| it.body.as_ref()).collect();
    assert!(ids.len() == 50 && ids.is_sorted_by_key(|made| made.workload_id), "in order");
    // The gate and the batch; soft state may have been written beside them.
    let after = commits(&server.api).await;
    assert!((2..=3).contains(&(after - before)), "{before} to {after}");
}

/// How many transactions there were.
async fn commits(api: &Api) -> u64 {
    let metrics = api.request(reqwest::Method::GET, "/metrics").send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    let count =
        |line: &str| Some(line.strip_prefix("dispatchyard_batch_commands_count ")?.to_owned());
    metrics.lines().find_map(count).unwrap().trim().parse().unwrap()
}

#[tokio::test]
async fn completions_of_a_batch_are_told_apart_and_may_be_repeated() {
    let server = Server::start(&Setup::default().patient()).await;
    let one = FakeRunner::with_slots(&server.api, "one", &["x"], 3).await;
    let other = FakeRunner::register(&server.api, "other", &["y"]).await;
    server.api.submit(json!([job("a"), job("b"), job("c")])).await;
    let theirs = json!({ "requirements": { "labels": ["y"] } });
    server.api.submit(json!([job_with("d", theirs)])).await;
    let mut given = one.look().await;
    given.extend(other.look().await);
    for (at, job) in given.iter().enumerate() {
        if at < 3 {
            one.start(job).await
        } else {
            other.start(job).await
        };
    }
    let item = |at: usize, outcome: &str| json!({ "lease": given[at].lease, "nonce": given[at].nonce, "outcome": outcome });
    let mut stale = item(1, "completed");
    stale["nonce"] = "00000000000000ff".into();
    let mut own = item(3, "completed");
    own["token"] = other.token.clone().into();
    let mut unknown = item(2, "completed");
    unknown["token"] = "dyr_nobody".into();
    let items = json!([
        item(0, "completed"), stale, { "lease": given[1].lease }, item(3, "completed"), unknown,
        own, item(2, "failed"),
    ]);
    let complete = async || {
        let response: BatchResponse<CompleteResponse> =
            batch(&one.api, "/leases/complete", items.clone()).await;
        let states = response.items.iter().map(|it| it.body.as_ref().map(|it| it.state));
        (told(&response), states.collect::<Vec<_>>())
    };
    use JobStateKind::{Completed, Failed};
    let (said, states) = complete().await;
    let lost = "409 lease-lost";
    assert_eq!(said, ["200", lost, "400 bad-request", lost, "401 unauthorized", "200", "200"]);
    assert_eq!(states, [Some(Completed), None, None, None, None, Some(Completed), Some(Failed)]);
    assert_eq!(complete().await.1, states, "the same again is answered the same");
    server.api.job_is(given[1].job_id, JobStateKind::Running).await;
}

#[tokio::test]
async fn one_call_polls_for_several_runners_each_with_its_own_token() {
    let server = Server::start(&Setup::default().patient()).await;
    let [a, b, c] = [("a", "x"), ("b", "y"), ("c", "z")];
    let a = FakeRunner::register(&server.api, a.0, &[a.1]).await;
    let b = FakeRunner::register(&server.api, b.0, &[b.1]).await;
    let c = FakeRunner::register(&server.api, c.0, &[c.1]).await;
    let items = json!([
        { "runner_id": a.id, "wait_ms": 20_000 },
        { "runner_id": b.id, "token": b.token, "wait_ms": 20_000 },
        { "runner_id": c.id, "wait_ms": 20_000 },
        { "runner_id": c.id, "token": "dyr_nobody", "wait_ms": 20_000 },
        { "runner_id": c.id, "token": b.token, "wait_ms": 20_000 },
        { "runner_id": c.id, "token": c.token, "wait": 1 },
    ]);
    let parked = tokio::spawn({
        let api = a.api.clone();
        async move { batch::<PollResponse>(&api, "/runners/poll", items).await }
    });
    // What is wrong with some items does not end the wait of the others.
    server.api.polls_parked(2).await;
    let wants_b = json!({ "requirements": { "labels": ["y"] } });
    let (_, ids) = server.api.submit(json!([job_with("for-b", wants_b)])).await;
    let response = within("the answer", parked).await.unwrap();
    let wrong = ["403 forbidden", "401 unauthorized", "403 forbidden", "400 bad-request"];
    assert_eq!(told(&response), [&["200"; 2][..], &wrong].concat());
    assert!(response.items[0].body.as_ref().unwrap().jobs.is_empty());
    let given = &response.items[1].body.as_ref().unwrap().jobs;
    assert_eq!(given.iter().map(|job| job.job_id).collect::<Vec<_>>(), ids);
    b.start(&given[0]).await;
    server.api.polls_parked(0).await;

    let glance = json!([
        { "runner_id": a.id, "wait_ms": 0 }, { "runner_id": b.id, "token": b.token, "wait_ms": 0 },
    ]);
    let nothing = batch::<PollResponse>(&a.api, "/runners/poll", glance).await;
    assert!(nothing.items.iter().all(|it| it.body == Some(PollResponse::default())));
}

async fn a_store_that_is_away_is_a_reason_and_a_batch_is_repeated_safely(setup: Setup) {
    let server = Server::start(&setup.patient().scheduler("store_wait_ms", 500)).await;
    let (_, ids) = server.api.submit(json!([job("a")])).await;
    let runner = FakeRunner::with_slots(&server.api, "one", &["x"], 2).await;
    let held = runner.begin().await;
    let (_, waiting) = server.api.submit(json!([job("b")])).await;
    let done = json!([{ "lease": held.lease, "nonce": held.nonce, "outcome": "completed" }]);
    let submit = json!({ "items": [named("w1"), { "name": "odd" }, named("w2")] });
    let send = async || {
        let request = server.api.request(reqwest::Method::POST, "/api/v1/workloads/batch");
        let answer = request.header("idempotency-key", "k").json(&submit).send().await.unwrap();
        Answer::of(answer).await.unwrap()
    };

    let away = Away::of(&server.home).await;
    let answer = send().await;
    assert_eq!(answer.problem(), (503, "unavailable".into()), "for all of it");
    let answer = runner.api.post("/leases/complete", json!({ "items": done })).await;
    assert_eq!(answer.problem(), (503, "unavailable".into()));
    let said: ExplainView = server.api.get(&format!("/jobs/{}/explain", waiting[0])).await;
    assert_eq!(
        (said.state, said.reasons[0].code.as_str()),
        (JobStateKind::Pending, "store_unavailable")
    );
    let queue: QueueView = server.api.get("/queue").await;
    assert_eq!(
        (queue.metrics.total_jobs, queue.reasons[0].code.as_str()),
        (1, "store_unavailable")
    );
    let shown: Vec<JobId> = queue.waiting.iter().map(|job| job.job_id).collect();
    assert_eq!((shown, &*queue.waiting[0].labels), (waiting.clone(), &["x".to_owned()][..]));
    let all: ExplainAllView = server.api.get("/explain").await;
    assert_eq!((all.gates[0].code.as_str(), all.gates[0].jobs), ("store_unavailable", 1));
    let said = run(["--server", server.api.base(), "queue"]).await;
    assert!(said.out.contains("the store cannot be written now"), "{said:?}");
    away.end().await;

    let answer =
        until("it is made", async || Some(send().await).filter(|it| it.status == 200)).await;
    let response: BatchResponse<SubmitResponse> = answer.json();
    let statuses: Vec<_> = response.items.iter().map(|item| item.status).collect();
    assert!(matches!(statuses[..], [200 | 201, 400, 200 | 201]), "{statuses:?}");
    let again: BatchResponse<SubmitResponse> = send().await.json();
    let numbers = |it: &BatchResponse<SubmitResponse>| {
        it.items.iter().map(|it| it.body.as_ref().map(|it| it.workload_id)).collect::<Vec<_>>()
    };
    assert_eq!(numbers(&again), numbers(&response));
    assert_eq!(server.api.jobs().await.len(), 4, "nothing was made twice");
    let response = batch::<CompleteResponse>(&runner.api, "/leases/complete", done).await;
    assert_eq!(response.items[0].status, 200);
    server.api.job_is(ids[0], JobStateKind::Completed).await;
    let queue: QueueView = server.api.get("/queue").await;
    assert!(queue.reasons.is_empty());
}

on_both!(a_store_that_is_away_is_a_reason_and_a_batch_is_repeated_safely);
