//! Check runs by the right of an App of GitHub: its token, what a check says, and its button.

use dispatchyard::api::wire::DeliveryAccepted;
use dispatchyard::clock::{Clock as _, SystemClock};
use dispatchyard::model::WorkloadState;
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};

use crate::support::app;
use crate::support::home::RULES;
use crate::support::told::{Fault, Told};
use crate::support::{FakeRunner, Server, Setup, on_both, until};

async fn started(base: Setup, told: &Told, more: &str) -> Server {
    let section = told.section(
        "app_id = 4711\nprivate_key = { file = \"app.pem\" }\nchecks = true\ncontext = \"yard\"",
    );
    let reports = format!("[reports]\nbackoff_ms = 20\ntimeout_ms = 500\n{more}\n");
    let home = base.patient().rules(&format!("{section}{reports}{RULES}")).build();
    std::fs::write(home.path().join("app.pem"), app::key("pkcs1")).unwrap();
    Server::again(home).await
}

/// Waits until there are so many check runs, of which the last is so.
async fn check(told: &Told, many: usize, wanted: impl Fn(&Value) -> bool) -> Value {
    until("the check run is so", async || {
        let checks = told.checks();
        (checks.len() == many).then(|| checks.last().cloned())?.filter(|it| wanted(it))
    })
    .await
}

fn is(status: &'static str) -> impl Fn(&Value) -> bool {
    move |check| check["status"] == status
}

/// What GitHub sends when somebody presses the button.
fn pressed(check: &Value) -> Vec<u8> {
    let event = json!({
        "action": "requested_action",
        "requested_action": { "identifier": check["actions"][0]["identifier"] },
        "check_run": { "id": 1, "external_id": check["external_id"] },
        "repository": { "id": 7001, "full_name": "octo-org/example" },
        "sender": { "id": 1001, "login": "octo-dev", "type": "User" },
    });
    serde_json::to_vec(&event).unwrap()
}

async fn a_check_run_follows_its_workload_and_its_button_runs_what_failed_again(base: Setup) {
    let told = Told::start().await;
    // The first is made, and that is not heard.
    told.faults([Fault::Lost]);
    let server = started(base, &told, "refresh_ms = 50").await;
    let accepted = server.hook().push("one").await;
    let workload_id = accepted.workloads[0];
    let queued = check(&told, 1, is("queued")).await;
    assert_eq!(queued["name"], "yard/ci (ci-on-push)");
    assert!(queued["output"]["title"].as_str().unwrap().starts_with("Waiting: "), "{queued}");
    assert!(queued["output"]["summary"].as_str().unwrap().contains("| `build` | pending |"));
    let runner = FakeRunner::register(&server.api, "r", &["self-hosted"]).await;
    let job = runner.begin().await;
    check(&told, 1, is("in_progress")).await;
    runner.fail(&job).await;
    let failed = check(&told, 1, is("completed")).await;
    assert_eq!(failed["conclusion"], "failure");
    assert_eq!(failed["actions"][0]["label"], "Re-run failed");
    server.api.workload_is(workload_id, WorkloadState::Failed).await;

    let body = pressed(&failed);
    let first = server.hook().send("check_run", "press-1", body.clone()).await;
    assert_eq!(first.status, 202, "{first:?}");
    check(&told, 2, is("queued")).await;
    let job = runner.begin().await;
    runner.fail(&job).await;
    let failed = check(&told, 2, is("completed")).await;
    // The button of the run before is one of the past.
    server.hook().send("check_run", "press-2", body).await;
    server.hook().send("check_run", "press-3", pressed(&failed)).await;
    let job = runner.begin().await;
    runner.complete(&job).await;
    let job = runner.begin().await;
    runner.complete(&job).await;
    let done = check(&told, 3, is("completed")).await;
    assert_eq!(done["conclusion"], "success");
    assert!(done.get("actions").is_none());
    let detail = server.api.workload(workload_id).await;
    assert_eq!(detail.workload.run, 3);
}

async fn an_app_signs_for_itself_and_uses_a_token_until_it_is_taken_back(base: Setup) {
    let told = Told::start().await;
    let server = started(base, &told, "").await;
    server.hook().push("one").await;
    check(&told, 1, is("queued")).await;
    let asked = told.seen("/installation");
    let now_s = SystemClock::new().now().wall_ms / 1_000;
    let token = asked[0].header("authorization").strip_prefix("Bearer ").unwrap();
    let claims = app::claims(token).unwrap();
    assert_eq!(claims["iss"], "4711");
    let exp = claims["exp"].as_i64().unwrap();
    assert!(exp > now_s && exp <= now_s + 600, "{claims}");
    let made = told.seen("/check-runs");
    assert_eq!(made[0].header("authorization"), "Bearer ghs_of_installation_1");

    told.faults([Fault::Status(401, vec![])]);
    let runner = FakeRunner::register(&server.api, "r", &["self-hosted"]).await;
    let job = runner.begin().await;
    check(&told, 1, is("in_progress")).await;
    assert_eq!(told.tokens(), 2);
    let last = told.seen("/check-runs").pop().unwrap();
    assert_eq!(last.header("authorization"), "Bearer ghs_of_installation_2");
    runner.fail(&job).await;
    check(&told, 1, is("completed")).await;
    assert_eq!(told.tokens(), 2, "a token is used until it ends");
}

async fn the_check_run_of_a_run_ends_though_the_next_run_has_begun(base: Setup) {
    let told = Told::start().await;
    let server = started(base, &told, "").await;
    let workload_id = server.hook().push("one").await.workloads[0];
    let runner = FakeRunner::register(&server.api, "r", &["self-hosted"]).await;
    let job = runner.begin().await;
    check(&told, 1, is("in_progress")).await;
    // Until both are there, nothing can be told.
    told.faults([Fault::Status(503, vec![("retry-after", "2".to_owned())])]);
    runner.fail(&job).await;
    until("it was tried", async || (told.refused() == 1).then_some(())).await;
    server.api.done::<Value>(&format!("/workloads/{workload_id}/retry"), json!({})).await;
    let second = check(&told, 2, is("queued")).await;
    let first = until("the first has ended", async || {
        told.checks().into_iter().next().filter(|check| is("completed")(check))
    })
    .await;
    assert_eq!(first["conclusion"], "failure");
    assert_ne!(first["external_id"], second["external_id"]);
}

async fn an_installation_that_is_there_no_more_is_looked_up_anew(base: Setup) {
    let told = Told::start().await;
    told.faults([Fault::Status(404, vec![])]);
    let server = started(base, &told, "").await;
    server.hook().push("one").await;
    check(&told, 1, is("queued")).await;
    assert_eq!((told.seen("/example/installation").len(), told.tokens()), (2, 2));
}

/// Nothing can be written while somebody holds the jobs. GitHub does not press again by itself.
#[tokio::test]
async fn a_button_that_is_pressed_while_nobody_can_decide_is_obeyed_later() {
    let told = Told::start().await;
    let base = Setup::default().on_postgres().await.scheduler("store_wait_ms", 1_000);
    let url = base.url();
    let server = started(base, &told, "").await;
    let workload_id = server.hook().push("one").await.workloads[0];
    let runner = FakeRunner::register(&server.api, "r", &["self-hosted"]).await;
    let job = runner.begin().await;
    runner.fail(&job).await;
    let failed = check(&told, 1, is("completed")).await;
    server.api.workload_is(workload_id, WorkloadState::Failed).await;

    let mut other = PgConnection::connect(&url).await.unwrap();
    sqlx::raw_sql("BEGIN; LOCK TABLE job IN SHARE MODE").execute(&mut other).await.unwrap();
    let sent = server.hook().send("check_run", "press", pressed(&failed)).await;
    assert_eq!(sent.status, 202, "{sent:?}");
    assert_eq!(sent.json::<DeliveryAccepted>().state, "accepted");
    other.close().await.unwrap();
    check(&told, 2, is("queued")).await;
    assert_eq!(server.api.workload(workload_id).await.workload.run, 2);
    assert_eq!(runner.begin().await.name, "build");
}

on_both!(
    the_check_run_of_a_run_ends_though_the_next_run_has_begun,
    an_installation_that_is_there_no_more_is_looked_up_anew,
    a_check_run_follows_its_workload_and_its_button_runs_what_failed_again,
    an_app_signs_for_itself_and_uses_a_token_until_it_is_taken_back,
);
