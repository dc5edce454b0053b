//! Faults of our own, planted: one bad command hurts only itself.

use std::sync::{Arc, Mutex};

use dispatchyard::api::wire::{DeliveryAccepted, StatusView};
use dispatchyard::app::AppOptions;
use dispatchyard::dispatch::{Command, Poll};
use dispatchyard::runner::PollId;
use futures_util::FutureExt as _;
use futures_util::future::join_all;
use serde_json::json;

use crate::support::fake_runner::job;
use crate::support::hook::push_with;
use crate::support::wait::within;
use crate::support::{FakeRunner, Server, Setup};

#[tokio::test]
async fn a_panic_in_evaluate_leaves_a_failed_delivery_and_a_running_server() {
    let options = AppOptions {
        evaluate_probe: Some(Arc::new(|event| {
            assert!(
                event.git_ref.as_ref().is_none_or(|it| !it.as_data().ends_with("poison")),
                "planted"
            );
        })),
        ..AppOptions::default()
    };
    let server = Server::with(&Setup::default(), options).await;
    let body = push_with("/ref", "refs/heads/odd/poison");
    let answer = server.hook().send("push", "d-1", body).await;
    assert_eq!(answer.status, 202, "it is stored: {answer:?}");
    let accepted: DeliveryAccepted = answer.json();
    assert_eq!((accepted.state.as_str(), accepted.workloads.len()), ("failed", 0));
    let row = server.api.delivery(accepted.delivery_id).await;
    assert!(row.reason.unwrap().contains("replay"), "it says what to do");
    let good = server.hook().push("d-2").await;
    assert_eq!(good.workloads.len(), 1);
    let again: DeliveryAccepted =
        server.api.done(&format!("/deliveries/{}/replay", accepted.delivery_id), json!({})).await;
    assert_eq!(again.state, "failed", "the fault is still there");
}

/// The culprit, told apart from what came in the same moment.
fn poisoned(command: &Command) -> bool {
    match command {
        // It is tried once more with nothing to start, to be kept as failed.
        Command::Deliver(deliver) => {
            let id = deliver.delivery.external_id.as_deref();
            id == Some("poison") && !deliver.plan.workloads.is_empty()
        }
        Command::Submit { workload, .. } => &*workload.name == "poison",
        _ => false,
    }
}

#[tokio::test]
async fn a_panic_in_apply_fails_its_own_command_alone() {
    let options = AppOptions {
        apply_probe: Some(Arc::new(|command| assert!(!poisoned(command), "planted"))),
        ..AppOptions::default()
    };
    let server = Server::with(&Setup::default().patient(), options).await;
    let runner = FakeRunner::with_slots(&server.api, "one", &["x"], 100).await;
    let submit = async |at: usize| {
        let name = if at == 10 { "poison" } else { "good" };
        let body = json!({ "name": name, "jobs": [job("a")] });
        (at, server.api.post("/workloads", body).await)
    };
    for (at, answer) in join_all((0..20).map(submit)).await {
        if at == 10 {
            assert_eq!(answer.problem().1, "fault");
        } else {
            assert_eq!(answer.status, 201, "{at}: {answer:?}");
        }
    }
    assert_eq!(server.api.jobs().await.len(), 19);
    let hook = server.hook();
    let deliver = async |at: usize| {
        let id = if at == 5 { "poison".to_owned() } else { format!("d-{at}") };
        (at, hook.send("push", &id, push_with("/ref", "refs/heads/main")).await)
    };
    for (at, answer) in join_all((0..10).map(deliver)).await {
        let accepted: DeliveryAccepted = answer.json();
        let state = if at == 5 { "failed" } else { "dispatched" };
        assert_eq!((answer.status, accepted.state.as_str()), (202, state), "{at}");
    }
    let row = server.api.deliveries().await;
    let failed = row.iter().find(|row| row.external_id.as_deref() == Some("poison")).unwrap();
    assert_eq!(failed.state, "failed");
    let given = runner.look().await;
    assert_eq!(given.len(), 19, "and the scheduler goes on");
}

/// The scheduler is loaded anew after a fault, and a load knows no parked polls: their clients
/// are told to ask again, and wait for nothing that nobody remembers.
#[tokio::test]
async fn a_poll_that_was_parked_before_a_fault_is_answered() {
    let options = AppOptions {
        apply_probe: Some(Arc::new(|command| assert!(!poisoned(command), "planted"))),
        ..AppOptions::default()
    };
    let server = Server::with(&Setup::default().patient(), options).await;
    let runner = FakeRunner::register(&server.api, "one", &["x"]).await;
    let parked = tokio::spawn({
        let (api, path) = (runner.api.clone(), format!("/runners/{}/poll", runner.id));
        async move { api.post(&path, json!({ "wait_ms": 10_000 })).await }
    });
    server.api.polls_parked(1).await;
    let poison = json!({ "name": "poison", "jobs": [job("a")] });
    assert_eq!(server.api.post("/workloads", poison).await.problem().1, "fault");
    server.api.submit(json!([job("a")])).await;
    let answer = within("the parked poll", parked).await.unwrap();
    assert!(matches!(answer.status, 200 | 503), "{answer:?}");
    assert_eq!(runner.look().await.len(), 1, "the job is the next poll's");
}

/// A runner may drop a poll as soon as it has sent it. Here both reach the scheduler in the same
/// moment, while it has a lease to answer again: no fault, and the next poll has the job.
#[tokio::test]
async fn a_poll_that_is_gone_before_it_was_looked_at_takes_nothing_with_it() {
    let (entered, mut has_entered) = tokio::sync::mpsc::unbounded_channel();
    let (go, may_go) = std::sync::mpsc::channel::<()>();
    let may_go = Mutex::new(may_go);
    let options = AppOptions {
        apply_probe: Some(Arc::new(move |command| {
            if poisoned(command) {
                entered.send(()).unwrap();
                may_go.lock().unwrap().recv().unwrap();
            }
        })),
        ..AppOptions::default()
    };
    let server = Server::with(&Setup::default().patient(), options).await;
    let runner = FakeRunner::register(&server.api, "one", &["x"]).await;
    server.api.submit(json!([job("a")])).await;
    let given = runner.look().await;
    let before: StatusView = server.api.get("/status").await;

    // The scheduler is held up, so that what comes now is decided together.
    let api = server.api.clone();
    let gate = json!({ "name": "poison", "jobs": [job("b")] });
    let gate = tokio::spawn(async move { api.post("/workloads", gate).await });
    within("the gate", has_entered.recv()).await.unwrap();
    let poll = Poll {
        runner_id: runner.id,
        poll_id: PollId(1_000_000),
        wait_ms: 10_000,
        jobs_max: None,
        known: Vec::new(),
        capabilities: None,
        current_jobs: None,
    };
    assert!(server.handle().poll(poll).now_or_never().is_none(), "asked once, then dropped");
    go.send(()).unwrap();
    assert_eq!(within("the gate's answer", gate).await.unwrap().status, 201);

    let again = runner.look().await;
    assert_eq!((again.len(), again[0].job_id), (1, given[0].job_id), "the job is the next poll's");
    let after: StatusView = server.api.get("/status").await;
    assert_eq!(after.epoch, before.epoch, "nothing had to be loaded again");
}
