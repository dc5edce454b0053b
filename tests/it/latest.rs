//! Work whose place newer work takes, end to end: `debounce` and `supersede` of triggers, over restarts.

use dispatchyard::api::wire::{DeliveryAccepted, DeliveryView, ExplainView};
use dispatchyard::model::{DeliveryId, WorkloadId, WorkloadState};
use serde_json::json;

use crate::support::command::cli;
use crate::support::hook::push_with;
use crate::support::server::ServerProcess;
use crate::support::{Api, Hook, Server, Setup, on_both, until};

fn rules(more: &str) -> String {
    format!("[[trigger]]\nname = 'ci'\nworkflow = 'ci'\non = 'push'\n{more}\n")
}

/// A push to a branch: what it started, and what its verdict says.
async fn push(api: &Api, id: &str, branch: &str) -> (WorkloadId, String) {
    let body = push_with("/ref", format!("refs/heads/{branch}"));
    let answer = Hook::new(api).send("push", id, body).await;
    let accepted: DeliveryAccepted = answer.json();
    let view = api.delivery(accepted.delivery_id).await;
    let [verdict] = view.triggers.as_slice() else { panic!("{view:?}") };
    (verdict.workload_id.expect("it starts"), verdict.why.clone())
}

async fn a_burst_of_pushes_starts_its_last_one_once_over_a_kill(setup: Setup) {
    // As long as a slow machine needs for all of it; the server looks at its own clock.
    let debounce = "debounce = { quiet_ms = 3000, max_ms = 60000 }";
    let home = setup.patient().rules(&rules(debounce)).build();
    let mut server = ServerProcess::start(&home).await;
    let (first, why) = push(&server.api, "1", "main").await;
    assert!(why.ends_with("; it waits until nothing newer came for 3000 ms"), "{why}");
    let (other, _) = push(&server.api, "2", "side").await;
    let (second, _) = push(&server.api, "3", "main").await;
    let (third, why) = push(&server.api, "4", "main").await;
    assert!(why.ends_with(&format!("; it takes the place of workload {second}")), "{why}");
    let jobs = server.api.workload(third).await.jobs;
    let explained: ExplainView = server.api.get(&format!("/jobs/{}/explain", jobs[0].id)).await;
    assert_eq!(explained.reasons[0].code, "debounced", "{explained:?}");
    let replaced = server.api.workload(first).await;
    assert_eq!(replaced.workload.state, WorkloadState::Cancelled);
    let told = format!("newer work for the same took its place: workload {second} (ci)");
    let records: serde_json::Value =
        server.api.get(&format!("/jobs/{}", replaced.jobs[0].id)).await;
    assert!(records.to_string().contains(&told), "{records}");
    server.kill().await;

    let server = ServerProcess::start(&home).await;
    for id in [third, other] {
        until("its time has come", async || {
            let job = server.api.workload(id).await.jobs[0].id;
            let explained: ExplainView = server.api.get(&format!("/jobs/{job}/explain")).await;
            explained.reasons.iter().all(|it| it.code != "debounced").then_some(())
        })
        .await;
        assert_eq!(server.api.workload(id).await.workload.state, WorkloadState::Pending);
    }
    assert_eq!(server.api.workload(second).await.workload.state, WorkloadState::Cancelled);
}

async fn newer_work_takes_the_place_of_what_waits_for_the_same(setup: Setup) {
    let server = Server::start(&setup.rules(&rules("supersede = {}"))).await;
    let (first, _) = push(&server.api, "1", "main").await;
    let (other, _) = push(&server.api, "2", "side").await;
    let (second, why) = push(&server.api, "3", "main").await;
    assert!(why.ends_with(&format!("takes the place of workload {first}")), "{why}");
    let state = async |id| server.api.workload(id).await.workload.state;
    assert_eq!(state(first).await, WorkloadState::Cancelled);
    assert_eq!(state(other).await, WorkloadState::Pending);
    assert_eq!(state(second).await, WorkloadState::Pending);
    let shown = cli(&server, &format!("workloads {second}")).await;
    assert!(shown.out.contains("replaces") && shown.out.contains("what waits for"), "{shown:?}");
    // By a key of one's own, all branches are one.
    let server = Server::start(
        &Setup::default()
            .rules(&rules("supersede = { key = 'deploy {{ event.repository }}', running = true }")),
    )
    .await;
    let (first, _) = push(&server.api, "1", "main").await;
    push(&server.api, "2", "side").await;
    let ended = server.api.workload(first).await.workload.state;
    assert_eq!(ended, WorkloadState::Cancelled);
}

async fn a_held_delivery_that_nobody_answers_is_ignored_and_counted_before(setup: Setup) {
    let rules = "[[trigger]]\nname = 'checked'\nworkflow = 'ci'\non = 'push'\nallow = { approval = 'always' }\n";
    let setup = setup.rules(rules).scheduler("held_expires_after_ms", 2_000);
    let server = Server::start(&setup).await;
    let accepted = server.hook().push("one").await;
    assert_eq!(accepted.state, "held");
    let metrics = server.api.request(reqwest::Method::GET, "/metrics").send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    assert!(metrics.contains("dispatchyard_held_deliveries 1"), "{metrics}");
    assert!(metrics.contains("dispatchyard_held_oldest_seconds "), "{metrics}");
    let id: DeliveryId = accepted.delivery_id;
    let view: DeliveryView = until("nobody answers", async || {
        let view = server.api.delivery(id).await;
        (view.state == "ignored").then_some(view)
    })
    .await;
    let told = "nobody approved it within 2 s (`held_expires_after_ms`)";
    assert_eq!(view.reason.as_deref(), Some(told));
    let late = server.api.post(&format!("/deliveries/{id}/approve"), json!({})).await;
    assert_eq!(late.status, 409, "{late:?}");
    let again: DeliveryAccepted =
        server.api.done(&format!("/deliveries/{id}/replay"), json!({})).await;
    assert_eq!(again.state, "held");
}

on_both!(
    a_burst_of_pushes_starts_its_last_one_once_over_a_kill,
    newer_work_takes_the_place_of_what_waits_for_the_same,
    a_held_delivery_that_nobody_answers_is_ignored_and_counted_before,
);
