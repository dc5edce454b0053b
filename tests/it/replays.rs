//! Stored deliveries asked again: one or many, in earnest or as a dry run, over HTTP and by the command line.

use dispatchyard::api::wire::{DeliveryAccepted, EvaluationView};
use reqwest::Method;
use serde_json::Value;

use crate::support::command::cli;
use crate::support::hook::{answer, push_with};
use crate::support::{Server, Setup};

/// A server with a delivery that started work, one that nothing wanted, and one that was not understood, in this order.
async fn with_three() -> (Server, Vec<String>) {
    let server = Server::start(&Setup::default()).await;
    server.hook().push("wanted").await;
    let other = push_with("/ref", "refs/heads/other");
    assert_eq!(server.hook().send("push", "ignored", other).await.status, 202);
    assert_eq!(server.hook().send("push", "broken", "{").await.status, 400);
    let mut ids: Vec<_> =
        server.api.deliveries().await.iter().map(|it| it.id.to_string()).collect();
    ids.reverse();
    (server, ids)
}

#[tokio::test]
async fn an_evaluation_says_what_a_replay_would_start_and_writes_nothing() {
    let (server, ids) = with_three().await;
    let view: EvaluationView = server.api.get(&format!("/deliveries/{}/evaluation", ids[0])).await;
    assert_eq!(view.state, "dispatched");
    let [workload] = view.workloads.as_slice() else { panic!("{view:?}") };
    assert_eq!((workload.trigger.as_str(), workload.name.as_str()), ("ci-on-push", "ci"));
    let jobs: Vec<_> = workload.jobs.iter().map(|it| (it.name.as_str(), it.needs.len())).collect();
    assert_eq!(jobs, [("build", 0), ("test", 1)]);
    let view: EvaluationView = server.api.get(&format!("/deliveries/{}/evaluation", ids[1])).await;
    assert_eq!((view.state.as_str(), view.workloads.len()), ("ignored", 0));
    assert!(view.reason.is_some_and(|reason| !reason.is_empty()));
    let path = format!("/deliveries/{}/evaluation", ids[2]);
    let broken = server.api.ask(Method::GET, &path, None).await;
    assert_eq!(broken.problem(), (409, "conflict".into()));
    assert_eq!(server.api.deliveries().await.len(), 3);
}

#[tokio::test]
async fn one_key_replays_a_delivery_once() {
    let (server, ids) = with_three().await;
    let replay = async |id: &str, key: &str| -> DeliveryAccepted {
        let path = format!("/api/v1/deliveries/{id}/replay");
        answer(server.api.request(Method::POST, &path).header("idempotency-key", key)).await.json()
    };
    let first = replay(&ids[0], "k").await;
    let again = replay(&ids[0], "k").await;
    assert!(!first.duplicate && again.duplicate);
    assert_eq!(first.delivery_id, again.delivery_id);
    let other = replay(&ids[0], "l").await;
    assert_ne!(other.delivery_id, first.delivery_id);
    assert!(!replay(&ids[1], "k").await.duplicate, "the key is of one delivery");
}

#[tokio::test]
async fn many_are_replayed_by_what_they_are() {
    let (server, ids) = with_three().await;
    let dry = cli(&server, "-o json replay --since 1h --dry-run").await.json();
    let rows: Vec<_> = dry.as_array().unwrap().iter().collect();
    let shown: Vec<_> = rows.iter().map(|it| it["delivery_id"].as_str().unwrap()).collect();
    assert_eq!(shown, ids, "oldest first");
    assert!(rows.iter().all(|it| it["differs"] == false), "{dry}");
    assert_eq!(
        (&rows[0]["now"]["triggers"][0], &rows[1]["now"]["state"]),
        (&"ci-on-push".into(), &"ignored".into())
    );
    assert!(rows[2]["now"].is_null() && rows[2]["error"].is_string(), "{dry}");
    assert_eq!(server.api.deliveries().await.len(), 3, "nothing was written");

    let by_trigger = cli(&server, "-o json replay --trigger ci-on-push --key k").await.json();
    let [one] = by_trigger.as_array().unwrap().as_slice() else { panic!("{by_trigger}") };
    assert_eq!(
        (one["delivery_id"].as_str(), one["state"].as_str()),
        (Some(&*ids[0]), Some("dispatched"))
    );
    let again = cli(&server, "-o json replay --trigger ci-on-push --key k").await.json();
    assert_eq!(again, by_trigger, "a replay is not replayed, and one key replays once");

    // One that cannot be replayed does not keep the others from it.
    let all = cli(&server, "replay --since 1h").await;
    assert_eq!(all.code(), 1, "{all:?}");
    assert!(all.out.contains("no event that could run again"), "{all:?}");
    assert!(all.err.contains("1 of 3 deliveries were not replayed"), "{all:?}");
    assert_eq!(server.api.deliveries().await.len(), 6);
    let failed = cli(&server, "-o json replay --state failed").await;
    assert_eq!(failed.code(), 1);
    let rows: Value = serde_json::from_str(&failed.out).unwrap();
    assert_eq!(rows.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_selection_that_says_nothing_or_too_much_is_refused() {
    let (server, _) = with_three().await;
    for (line, why) in [
        ("replay", "which deliveries"),
        ("replay --since 1h --limit 2", "more than 2 deliveries fit"),
        ("replay --since soon", "neither a span"),
        ("replay --state nowhere", "there is no state `nowhere`"),
    ] {
        let said = cli(&server, line).await;
        assert_ne!(said.code(), 0, "{line}: {said:?}");
        assert!(said.err.contains(why), "{line}: {said:?}");
    }
    assert_eq!(server.api.deliveries().await.len(), 3);
    let none = cli(&server, "replay --source nobody").await;
    assert_eq!((none.code(), none.out.trim()), (0, "no deliveries"));
}
