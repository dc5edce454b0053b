//! Deliveries that wait for somebody's approval: who may give it, for what it counts, and what ends it.

use dispatchyard::api::wire::{DeliveryAccepted, DeliveryView, List};
use dispatchyard::model::{DeliveryId, TrustLevel};
use reqwest::Method;
use serde_json::json;

use crate::support::command::cli;
use crate::support::home::token;
use crate::support::hook::{changed, fixture};
use crate::support::instances::admin;
use crate::support::server::ServerProcess;
use crate::support::{Api, Server, Setup, on_both, until};

/// The head of the fixture's pull request.
const HEAD: &str = "3b2e4d5c6f708192a3b4c5d6e7f8091a2b3c4d5e";
const NEXT: &str = "2222222222222222222222222222222222222222";

const RULES: &str = "[[trigger]]\nname = 'checked'\nworkflow = 'ci'\non = 'pull_request'\n\
                     allow = { forks = true, approval = 'untrusted' }\n";

async fn is(api: &Api, id: DeliveryId, state: &str) -> DeliveryView {
    until(&format!("delivery {id} is {state}"), async || {
        let view = api.delivery(id).await;
        (view.state == state).then_some(view)
    })
    .await
}

/// The pull request of a fork at a commit.
fn fork(commit: &str) -> Vec<u8> {
    changed("pull_request_fork", "/pull_request/head/sha", commit)
}

async fn a_held_delivery_survives_a_kill_and_runs_once_somebody_approves(setup: Setup) {
    let home = setup.patient().rules(RULES).build();
    let mut server = ServerProcess::start(&home).await;
    let answer = server.hook().send("pull_request", "one", fork(HEAD)).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let accepted: DeliveryAccepted = answer.json();
    assert_eq!(accepted.workloads.len(), 0);
    is(&server.api, accepted.delivery_id, "held").await;
    server.kill().await;

    let mut server = ServerProcess::start(&home).await;
    let list: List<DeliveryView> = server.api.get("/deliveries?state=held").await;
    let [view] = list.items.as_slice() else { panic!("{list:?}") };
    let told = view.reason.as_deref().unwrap();
    let expected = format!(
        "waits for approval: the trigger `checked` asks for it; \"pull_request\" of #7 at {HEAD} by \"octo-guest\" (2002)"
    );
    assert!(told.starts_with(&expected), "{told}");
    assert_eq!(view.approval.as_ref().unwrap().sha.as_deref(), Some(HEAD));
    assert_eq!(server.api.jobs().await.len(), 0);

    let path = format!("/deliveries/{}/approve", view.id);
    let other = server.api.post(&path, json!({ "sha": NEXT })).await;
    assert_eq!(other.status, 409, "{other:?}");
    let approved: DeliveryView =
        server.api.done(&path, json!({ "sha": HEAD, "reason": "looked at it" })).await;
    assert_eq!(approved.approval.as_ref().unwrap().by.as_deref(), Some("admin"));
    // It goes on wherever that was cut off.
    server.kill().await;
    let server = ServerProcess::start(&home).await;
    let view = is(&server.api, accepted.delivery_id, "dispatched").await;
    assert!(view.triggers[0].why.ends_with("approved by admin"), "{view:?}");
    assert_eq!(view.trust.level, TrustLevel::Untrusted, "it stays what it was");
    assert_eq!(server.api.jobs().await.len(), 2);
    let again = server.api.post(&path, json!({})).await;
    assert_eq!(again.status, 409, "{again:?}");
    assert_eq!(server.api.jobs().await.len(), 2);
}

async fn a_new_push_ends_what_waits_and_a_denial_is_told(setup: Setup) {
    let server = Server::start(&setup.rules(RULES)).await;
    let held = async |id: &str, commit: &str| {
        let answer = server.hook().send("pull_request", id, fork(commit)).await;
        let accepted: DeliveryAccepted = answer.json();
        is(&server.api, accepted.delivery_id, "held").await;
        accepted.delivery_id
    };
    let first = held("first", HEAD).await;
    let second = held("second", NEXT).await;
    let view = server.api.delivery(first).await;
    assert_eq!(view.state, "ignored");
    let told = format!("superseded by a new push: delivery {second} at {NEXT}");
    assert_eq!(view.reason.as_deref(), Some(told.as_str()));
    let late = server.api.post(&format!("/deliveries/{first}/approve"), json!({})).await;
    assert_eq!(late.status, 409, "{late:?}");
    // The same commit again takes nobody's place: an approval of one is none of the other.
    let third = held("third", NEXT).await;
    let said = cli(&server, &format!("deny {second} --reason no")).await;
    assert_eq!(said.code(), 0, "{said:?}");
    let view = server.api.delivery(second).await;
    let told = format!("denied by admin at {NEXT}: no");
    assert_eq!((view.state.as_str(), view.reason.as_deref()), ("ignored", Some(told.as_str())));
    let said = cli(&server, &format!("approve {third} --sha {NEXT}")).await;
    assert!(said.out.contains("by admin of 2222222222"), "{said:?}");
    is(&server.api, third, "dispatched").await;
    assert_eq!(server.api.jobs().await.len(), 2);
    let list = cli(&server, "deliveries --state held").await;
    assert!(list.out.contains("no deliveries"), "{list:?}");
}

on_both!(
    a_held_delivery_survives_a_kill_and_runs_once_somebody_approves,
    a_new_push_ends_what_waits_and_a_denial_is_told,
);

#[tokio::test]
async fn only_what_is_not_trusted_waits_unless_all_does() {
    let always = RULES.replace("'untrusted'", "'always'");
    for (rules, waits) in [(RULES, false), (always.as_str(), true)] {
        let server = Server::start(&Setup::default().rules(rules)).await;
        let own = server.hook().send("pull_request", "own", fixture("pull_request")).await;
        let state = if waits { "held" } else { "dispatched" };
        assert_eq!(own.json::<DeliveryAccepted>().state, state);
    }
}

#[tokio::test]
async fn who_only_submits_approves_nothing_and_another_tenant_sees_nothing() {
    let rules = format!("[tenants.other]\n{RULES}");
    let setup = Setup::default().rules(&rules).tokens();
    let setup = setup.token("ci", "submit", "").token("view", "viewer", "");
    let setup = setup.token("theirs", "operator", "tenant = 'other'");
    let server = Server::start(&setup.token("ops", "operator", "tenant = 'default'")).await;
    let answer = server.hook().send("pull_request", "one", fork(HEAD)).await;
    let id = answer.json::<DeliveryAccepted>().delivery_id;
    for (name, status) in [("ci", 403), ("view", 403), ("theirs", 404)] {
        for verb in ["approve", "deny"] {
            let api = server.api.with_token(token(name));
            let answer = api.post(&format!("/deliveries/{id}/{verb}"), json!({})).await;
            assert_eq!(answer.status, status, "{name}: {answer:?}");
        }
    }
    let long = "x".repeat(5_000);
    let ops = server.api.with_token(token("ops"));
    for body in [json!({ "reason": long }), json!({ "shaa": "x" })] {
        assert_eq!(ops.post(&format!("/deliveries/{id}/approve"), body).await.status, 400);
    }
    assert_eq!(admin(&server.api).delivery(id).await.state, "held");
    let missing = "01890a5d-ac96-774b-bcce-b302099a8057";
    assert_eq!(ops.post(&format!("/deliveries/{missing}/approve"), json!({})).await.status, 404);
    let answer = ops.post(&format!("/deliveries/{id}/approve"), json!({})).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let view = is(&admin(&server.api), id, "dispatched").await;
    assert_eq!(view.approval.unwrap().by.as_deref(), Some("ops"));
    let answer = ops.ask(Method::GET, "/jobs", None).await;
    assert_eq!(answer.status, 200);
}

/// A delivery is held as a whole, so one word would count for what another tenant's trigger wants of it too.
#[tokio::test]
async fn one_word_of_a_tenants_operator_starts_no_work_of_another_tenant() {
    let theirs = RULES.replace("'checked'", "'theirs'").replace("on =", "tenant = 'other'\non =");
    let rules = format!("[tenants.other]\n{RULES}{theirs}");
    let setup = Setup::default().rules(&rules).tokens();
    let server = Server::start(&setup.token("ops", "operator", "tenant = 'default'")).await;
    let answer = server.hook().send("pull_request", "one", fork(HEAD)).await;
    let id = answer.json::<DeliveryAccepted>().delivery_id;
    let ops = server.api.with_token(token("ops"));
    for verb in ["approve", "deny"] {
        let answer = ops.post(&format!("/deliveries/{id}/{verb}"), json!({})).await;
        assert_eq!(answer.status, 403, "{answer:?}");
        assert!(answer.text.contains("ask an operator who is limited to no tenant"), "{answer:?}");
    }
    assert_eq!(admin(&server.api).delivery(id).await.state, "held");
    admin(&server.api).done::<DeliveryView>(&format!("/deliveries/{id}/approve"), json!({})).await;
    let view = is(&admin(&server.api), id, "dispatched").await;
    assert_eq!(view.triggers.iter().filter(|it| it.workload_id.is_some()).count(), 2);
}

/// What is sent for one tenant alone cannot wait: its row does not say whose triggers it may reach.
#[tokio::test]
async fn what_a_tenant_replays_is_not_held_for_others() {
    let setup = Setup::default().rules(RULES).tokens();
    let server = Server::start(&setup.token("ops", "operator", "tenant = 'default'")).await;
    let answer = server.hook().send("pull_request", "one", fork(HEAD)).await;
    let id = answer.json::<DeliveryAccepted>().delivery_id;
    let ops = server.api.with_token(token("ops"));
    let replayed: DeliveryAccepted = ops.done(&format!("/deliveries/{id}/replay"), json!({})).await;
    assert_eq!(replayed.state, "failed");
    let all: DeliveryAccepted =
        admin(&server.api).done(&format!("/deliveries/{id}/replay"), json!({})).await;
    assert_eq!(all.state, "held");
}
