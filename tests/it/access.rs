//! Every route, asked by everybody.

use dispatchyard::model::LeaseToken;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::fake_runner::{job, registration};
use crate::support::home::{ADMIN_TOKEN, REGISTRATION_TOKEN};
use crate::support::{Api, FakeRunner, Server, Setup};

/// Who may call a route.
#[derive(Clone, Copy, PartialEq, Debug)]
enum For {
    /// Operators.
    Admin,
    /// Who may register runners.
    Registration,
    /// A runner, about itself.
    Runner,
    /// Any runner; the lease decides the rest.
    Lease,
    /// A runner about itself, or an operator.
    RunnerOrAdmin,
}

/// The routes of `/api/v1`. `{r}` is the first runner, `{l}` its lease.
fn routes() -> Vec<(Method, &'static str, For)> {
    let (get, post) = (Method::GET, Method::POST);
    let mut routes: Vec<(Method, &str, For)> = [
        "/status",
        "/queue",
        "/stream",
        "/deliveries",
        "/deliveries/{d}",
        "/deliveries/{d}/body",
        "/workloads",
        "/workloads/1",
        "/jobs",
        "/jobs/1",
        "/jobs/1/explain",
        "/jobs/1/logs",
        "/runners",
        "/runners/{r}",
    ]
    .map(|path| (get.clone(), path, For::Admin))
    .into();
    routes.extend(
        [
            "/events",
            "/deliveries/{d}/replay",
            "/workflows/none/run",
            "/workloads",
            "/workloads/99/cancel",
            "/workloads/99/retry",
            "/jobs/99/cancel",
            "/jobs/99/requeue",
        ]
        .map(|path| (post.clone(), path, For::Admin)),
    );
    routes.extend([
        (post.clone(), "/runners/register", For::Registration),
        (post.clone(), "/runners/{r}/poll", For::Runner),
        (post.clone(), "/runners/{r}/heartbeat", For::Runner),
        (post.clone(), "/leases/{l}/start", For::Lease),
        (get, "/leases/{l}/event", For::Lease),
        (post.clone(), "/leases/{l}/logs?offset=0&nonce=1", For::Lease),
        (post.clone(), "/leases/{l}/complete", For::Lease),
        (post, "/leases/{l}/release", For::Lease),
        (Method::PATCH, "/runners/{r}", For::RunnerOrAdmin),
        (Method::DELETE, "/runners/{r}", For::RunnerOrAdmin),
    ]);
    routes
}

/// A body that the route understands, so that only access decides.
fn body(path: &str) -> Option<Value> {
    let nonce = "0000000000000001";
    Some(match path.rsplit('/').next().unwrap() {
        "register" => registration("third", &["z"], 1),
        "poll" => json!({ "wait_ms": 0 }),
        "start" => json!({ "nonce": nonce }),
        "complete" => json!({ "nonce": nonce, "outcome": "completed" }),
        "release" => json!({ "nonce": nonce, "reason": "drained" }),
        "workloads" => json!({ "name": "w", "jobs": [job("a")] }),
        "events" => json!({ "kind": "nothing" }),
        _ => json!({}),
    })
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Caller {
    Nobody,
    Wrong,
    Registration,
    Other,
    Own,
    Admin,
}

/// The status that a caller must get: an exact one, or (0) anything but 401 and 403.
fn expected(caller: Caller, whose: For) -> u16 {
    const LET_IN: u16 = 0;
    match (caller, whose) {
        (Caller::Nobody | Caller::Wrong, _) => 401,
        (Caller::Admin, For::Admin | For::RunnerOrAdmin)
        | (Caller::Registration, For::Registration)
        | (Caller::Own, For::Runner | For::RunnerOrAdmin | For::Lease) => LET_IN,
        // A lease of somebody else is lost, whoever asks.
        (Caller::Other, For::Lease) => 409,
        (Caller::Other, For::Runner | For::RunnerOrAdmin) => 403,
        (Caller::Registration | Caller::Own | Caller::Other, For::Admin) => 403,
        (Caller::Registration, For::RunnerOrAdmin) => 403,
        // These routes know tokens of one kind alone.
        (Caller::Admin, For::Registration | For::Runner | For::Lease) => 401,
        (Caller::Registration, For::Runner | For::Lease) => 401,
        (Caller::Own | Caller::Other, For::Registration) => 401,
    }
}

#[tokio::test]
async fn every_route_lets_in_whom_it_should_and_nobody_else() {
    let server = Server::start(&Setup::default().patient().tokens()).await;
    let api = &server.api;
    let admin = api.with_token(ADMIN_TOKEN);
    let registrar = api.with_token(REGISTRATION_TOKEN);
    let own = FakeRunner::register(&registrar, "own", &["x"]).await;
    let other = FakeRunner::register(&registrar, "other", &["y"]).await;
    admin.submit(json!([job("a")])).await;
    let held = own.begin().await;
    let delivery = server.hook().push("d-1").await.delivery_id.to_string();
    let callers: [(Caller, Api); 6] = [
        (Caller::Nobody, api.clone()),
        (Caller::Wrong, api.with_token("dyr_0000000000000000000000000000000000000000")),
        (Caller::Registration, registrar),
        (Caller::Other, other.api.clone()),
        (Caller::Own, own.api.clone()),
        (Caller::Admin, admin),
    ];
    let mut faults = Vec::new();
    for (method, path, whose) in routes() {
        let path = fill(path, own.id.0, &delivery, held.lease);
        let body = (method != Method::GET).then(|| body(&path)).flatten();
        for (caller, api) in &callers {
            // The last route takes the runner away.
            if method == Method::DELETE && *caller == Caller::Admin {
                continue;
            }
            let status = status(api, &method, &path, body.as_ref()).await;
            let expected = expected(*caller, whose);
            let good = match expected {
                0 => !matches!(status, 401 | 403 | 405 | 500..),
                exact if path.ends_with("/event") && exact == 409 => matches!(status, 400 | 409),
                exact => status == exact,
            };
            if !good {
                faults.push(format!("{method} {path} by {caller:?}: {status}, not {expected}"));
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

fn fill(path: &str, runner: i64, delivery: &str, lease: LeaseToken) -> String {
    path.replace("{r}", &runner.to_string())
        .replace("{d}", delivery)
        .replace("{l}", &lease.to_string())
}

/// A stream never ends, so only the status is read.
async fn status(api: &Api, method: &Method, path: &str, body: Option<&Value>) -> u16 {
    let mut request = api.request(method.clone(), &format!("/api/v1{path}"));
    if let Some(body) = body {
        request = request.json(body);
    }
    request.send().await.unwrap().status().as_u16()
}

/// The list above is complete: each route of the router's page stands in it.
#[test]
fn the_list_of_routes_is_the_routers() {
    let source = include_str!("../../src/api/router.rs");
    let named = |text: &str| {
        let mut parts = text.split('/').map(|part| match part.split('?').next().unwrap_or(part) {
            part if part.starts_with('{') || part == "none" || part.parse::<u32>().is_ok() => "*",
            part => part,
        });
        let first = parts.next().unwrap().to_owned();
        parts.fold(first, |path, part| path + "/" + part)
    };
    let listed: Vec<String> = routes().iter().map(|(_, path, _)| named(path)).collect();
    let api = &source[source.find("let api =").unwrap()..source.find("let hooks =").unwrap()];
    let known: Vec<&str> = api.split('"').filter(|part| part.starts_with('/')).collect();
    assert!(known.len() > 25, "{known:?}");
    for path in known {
        assert!(listed.contains(&named(path)), "{path} is not in the table of this test");
    }
}

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
