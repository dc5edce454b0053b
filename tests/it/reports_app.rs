//! Check runs by the right of an App of GitHub: its token, what a check says, and its button.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dispatchyard::clock::{Clock as _, SystemClock};
use dispatchyard::model::WorkloadState;
use ring::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};

use crate::support::home::RULES;
use crate::support::told::{Fault, Told};
use crate::support::{FakeRunner, Server, Setup, on_both, until};

fn key(name: &str) -> Vec<u8> {
    let path = format!("{}/fixtures/app/{name}.pem", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(path).unwrap()
}

async fn started(base: Setup, told: &Told, more: &str) -> Server {
    let section = told.section(
        "app_id = 4711\nprivate_key = { file = \"app.pem\" }\nchecks = true\ncontext = \"yard\"",
    );
    let reports = format!("[reports]\nbackoff_ms = 20\ntimeout_ms = 500\n{more}\n");
    let home = base.patient().rules(&format!("{section}{reports}{RULES}")).build();
    std::fs::write(home.path().join("app.pem"), key("pkcs1")).unwrap();
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
    let der = PrivatePkcs8KeyDer::from_pem_slice(&key("pkcs8")).unwrap();
    let pair = RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).unwrap();
    let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key().as_ref());
    let token = asked[0].header("authorization").strip_prefix("Bearer ").unwrap();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    public.verify(signed.as_bytes(), &signature).unwrap();
    let claims = URL_SAFE_NO_PAD.decode(signed.split_once('.').unwrap().1).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
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

on_both!(
    a_check_run_follows_its_workload_and_its_button_runs_what_failed_again,
    an_app_signs_for_itself_and_uses_a_token_until_it_is_taken_back,
);
