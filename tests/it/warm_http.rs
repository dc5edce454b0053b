//! Runners of warm pools that are made by somebody who is told so over HTTP.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{delete, post};
use dispatchyard::model::JobStateKind;
use serde_json::{Value, json};

use crate::support::fake_runner::job;
use crate::support::{FakeRunner, Server, Setup, on_both, until};

/// Makes runners: the orders by name, and how often each was told to go.
#[derive(Clone, Default)]
struct Farm {
    orders: Arc<Mutex<BTreeMap<String, Value>>>,
    gone: Arc<Mutex<Vec<String>>>,
    /// So many orders are refused first.
    refuses: Arc<Mutex<Vec<String>>>,
}

impl Farm {
    async fn start(&self) -> SocketAddr {
        let make =
            async |State(farm): State<Self>, headers: HeaderMap, Json(order): Json<Value>| {
                assert!(headers["authorization"].to_str().unwrap().starts_with("Bearer it's"));
                let name = order["name"].as_str().unwrap().to_owned();
                let mut refused = farm.refuses.lock().unwrap();
                if refused.is_empty() {
                    refused.push(name);
                    return StatusCode::SERVICE_UNAVAILABLE;
                }
                match farm.orders.lock().unwrap().insert(name, order) {
                    None => StatusCode::CREATED,
                    Some(_) => StatusCode::CONFLICT,
                }
            };
        let list = async |State(farm): State<Self>| {
            let names: Vec<_> = farm.orders.lock().unwrap().keys().cloned().collect();
            Json(
                json!({ "items": names.iter().map(|it| json!({ "name": it })).collect::<Vec<_>>() }),
            )
        };
        let take_down = async |State(farm): State<Self>, Path(name): Path<String>| {
            farm.gone.lock().unwrap().push(name.clone());
            let known = farm.orders.lock().unwrap().remove(&name);
            if known.is_some() { StatusCode::ACCEPTED } else { StatusCode::NOT_FOUND }
        };
        let router = axum::Router::new()
            .route("/runners", post(make).get(list))
            .route("/runners/{name}", delete(take_down))
            .with_state(self.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        address
    }

    /// The order of a runner that is none of these.
    async fn ordered(&self, but: &[&str]) -> Value {
        until("a runner is ordered", async || {
            let orders = self.orders.lock().unwrap();
            orders.iter().find(|(name, _)| !but.contains(&&***name)).map(|(_, it)| it.clone())
        })
        .await
    }
}

async fn runners_are_made_used_and_taken_down(setup: Setup) {
    let farm = Farm::default();
    let address = farm.start().await;
    let rules = format!(
        r#"
[[provisioner]]
name = "farm"
list_interval_ms = 100
server_url = "https://yard.example"
[provisioner.http]
url = "http://{address}/runners"
auth = {{ bearer = {{ file = "hook-secret" }} }}
private_addresses = true
[agent_pools.warm.warm]
provisioner = "farm"
min_idle = 1
max = 1
labels = ["x"]
[[route]]
name = "all"
match = "**"
pools = ["warm"]
"#
    );
    let server = Server::start(&setup.patient().rules(&rules)).await;
    let api = &server.api;
    let order = farm.ordered(&[]).await;
    let name = order["name"].as_str().unwrap();
    // The first one was refused: it is given up, and taken down in case it is there all the same.
    let refused = farm.refuses.lock().unwrap()[0].clone();
    assert_ne!(refused, name);
    until("what was refused is taken down", async || {
        farm.gone.lock().unwrap().contains(&refused).then_some(())
    })
    .await;
    assert_eq!(
        (&order["pool"], &order["server_url"]),
        (&json!("warm"), &json!("https://yard.example"))
    );
    assert_eq!((&order["slots"], &order["ephemeral"]), (&json!(1), &json!(true)));
    let token = order["token"].as_str().unwrap();
    assert!(!order["arguments"].to_string().contains(token));

    let runner = FakeRunner::register(&api.with_token(token), name, &["x"]).await;
    let (_, ids) = api.submit(json!([job("a")])).await;
    let held = runner.begin().await;
    runner.complete(&held).await;
    api.job_is(ids[0], JobStateKind::Completed).await;
    // It leaves after its job, is taken down, and another one is made.
    let path = format!("/runners/{}", runner.id);
    runner.api.ask(reqwest::Method::DELETE, &path, None).await;
    let next = farm.ordered(&[name]).await;
    assert_ne!(next["token"].as_str().unwrap(), token);
    until("the first one is taken down", async || {
        farm.gone.lock().unwrap().iter().any(|it| it == name).then_some(())
    })
    .await;
    assert!(!farm.gone.lock().unwrap().iter().any(|it| *it == next["name"]));
}

on_both![runners_are_made_used_and_taken_down];
