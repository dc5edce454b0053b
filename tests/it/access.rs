//! What a token may do beside what the sweep over all routes asks (`sweep.rs`).

use reqwest::Method;
use serde_json::json;

use crate::support::fake_runner::registration;
use crate::support::home::REGISTRATION_TOKEN;
use crate::support::{FakeRunner, Server, Setup};

#[tokio::test]
async fn a_runner_may_not_lift_its_own_cordon() {
    let server = Server::start(&Setup::default().tokens()).await;
    let registrar = server.api.with_token(REGISTRATION_TOKEN);
    let own = FakeRunner::register(&registrar, "own", &["x"]).await;
    let path = format!("/runners/{}", own.id);
    for patch in [json!({ "cordoned": false }), json!({ "draining": false })] {
        let answer = own.api.ask(Method::PATCH, &path, Some(&patch)).await;
        assert_eq!(answer.problem(), (403, "forbidden".into()));
    }
    let capabilities = registration("own", &["z"], 2)["capabilities"].clone();
    let patch = json!({ "capabilities": capabilities });
    assert_eq!(own.api.ask(Method::PATCH, &path, Some(&patch)).await.status, 200);
}

#[tokio::test]
async fn an_old_token_is_worth_nothing_after_a_new_registration() {
    let server = Server::start(&Setup::default().tokens()).await;
    let registrar = server.api.with_token(REGISTRATION_TOKEN);
    let old = FakeRunner::register(&registrar, "own", &["x"]).await;
    let new = FakeRunner::register(&registrar, "own", &["x"]).await;
    assert_eq!(old.id, new.id);
    let path = format!("/runners/{}/poll", old.id);
    let answer = old.api.post(&path, json!({ "wait_ms": 0 })).await;
    assert_eq!(answer.problem(), (401, "unauthorized".into()));
    assert!(new.look().await.is_empty());
}

#[tokio::test]
async fn hooks_health_and_metrics_need_no_token() {
    let server = Server::start(&Setup::default().tokens()).await;
    for path in ["/livez", "/readyz", "/metrics"] {
        let response = server.api.request(Method::GET, path).send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
    }
    server.hook().push("d-1").await;
}
