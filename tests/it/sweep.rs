//! Every route of the router, asked by everybody about one tenant's things.
//!
//! The routes are the router's own list, and so is who may call them; what this file adds is how
//! each is asked. A route that it does not know fails the test, so that none is forgotten.

use dispatchyard::api::access::{Right, Who};
use dispatchyard::api::{Listed, routes};
use dispatchyard::model::{DeliveryId, RunnerId};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::backend::Backend;
use crate::support::fake_runner::{job, registration};
use crate::support::home::{ADMIN_TOKEN, REGISTRATION_TOKEN, token};
use crate::support::{Api, FakeRunner, Server, Setup};

const TENANTS: &str = r#"
[tenants.acme]
[tenants.globex]
[agent_pools.acme-pool]
tenant = "acme"
[agent_pools.globex-pool]
tenant = "globex"
[resources.printer]
units = 1
[reports]
callback_secret = { file = "callback-secret" }
private_addresses = true
[[source]]
name = "acme-hook"
tenant = "acme"
insecure = true
"#;

/// A role, and the tenant that it is limited to.
#[derive(Clone, Debug)]
enum Caller {
    Nobody,
    Wrong,
    Registration,
    /// The tenant's runner.
    OwnRunner,
    /// The other tenant's.
    OtherRunner,
    Token {
        role: &'static str,
        tenant: &'static str,
    },
}

/// What is asked about: all of it is acme's.
struct Things {
    delivery: DeliveryId,
    workload: i64,
    job: i64,
    runner: RunnerId,
    lease: String,
    outbox: i64,
    session: i64,
}

/// How a route is asked: its path, and a body that it understands, so that only access decides.
fn request(route: &Listed, things: &Things, whose: &str) -> (String, Option<Value>) {
    let Things { delivery, workload, job: job_id, runner, lease, outbox, session } = things;
    let nonce = "0000000000000001";
    let (path, body) = match (route.method.as_str(), route.path) {
        (
            "GET",
            path @ ("/status" | "/instances" | "/queue" | "/advice" | "/explain" | "/report"
            | "/stream" | "/deliveries" | "/workloads" | "/jobs" | "/runners" | "/pauses"
            | "/schedules" | "/resources" | "/groups" | "/model" | "/routes" | "/executors"
            | "/pools" | "/outbox" | "/sessions"),
        ) => (path.to_owned(), None),
        (
            "GET",
            "/deliveries/{id}"
            | "/deliveries/{id}/body"
            | "/deliveries/{id}/evaluation"
            | "/deliveries/{id}/event",
        ) => (fill(route, delivery), None),
        ("GET", "/workloads/{id}") => (fill(route, workload), None),
        ("GET", "/jobs/{id}" | "/jobs/{id}/explain" | "/jobs/{id}/logs" | "/jobs/{id}/records") => {
            (fill(route, job_id), None)
        }
        ("GET", "/sessions/{id}" | "/sessions/{id}/events") => (fill(route, session), None),
        ("POST", "/sessions") => {
            let body = json!({ "agent": "fixer", "message": format!("{whose} asks") });
            ("/sessions".into(), Some(body))
        }
        ("POST", "/sessions/{id}/messages") => {
            (fill(route, session), Some(json!({ "message": "hello" })))
        }
        ("POST", "/sessions/{id}/cancel") => (fill(route, session), Some(json!({}))),
        ("POST", "/sessions/{id}/approvals/{n}") => {
            (format!("/sessions/{session}/approvals/1"), Some(json!({ "approve": true })))
        }
        ("GET", "/leases/{token}/messages") => (fill(route, lease), None),
        ("POST", "/leases/{token}/messages") => {
            (fill(route, lease), Some(json!({ "nonce": nonce, "first": 1 })))
        }
        ("GET", "/runners/{id}") => (fill(route, runner), None),
        ("GET", "/resources/{name}") => (fill(route, &"printer"), None),
        ("GET", "/leases/{token}/context" | "/leases/{token}/event") => (fill(route, lease), None),
        ("POST", "/events") => {
            ("/events".into(), Some(json!({ "kind": format!("{whose}_event") })))
        }
        ("POST", "/workflows/{name}/run") => (fill(route, &"ci"), Some(json!({}))),
        ("POST", "/workloads") => {
            let body = json!({ "name": format!("{whose}-work"), "jobs": [job("a")] });
            ("/workloads".into(), Some(body))
        }
        ("POST", "/workloads/batch") => {
            let item = json!({ "name": format!("{whose}-work"), "jobs": [job("a")] });
            (route.path.into(), Some(json!({ "items": [item] })))
        }
        ("POST", "/workloads/{id}/jobs") => {
            (fill(route, workload), Some(json!({ "jobs": [job("joined")] })))
        }
        ("GET", "/routes/try") => (format!("/routes/try?name={whose}::workflow::a::b"), None),
        ("POST", "/match") => (route.path.into(), Some(json!({ "labels": ["x"] }))),
        ("POST", "/deliveries/{id}/approve" | "/deliveries/{id}/deny") => {
            (fill(route, delivery), Some(json!({})))
        }
        ("POST", "/deliveries/{id}/replay") => (fill(route, delivery), Some(json!({}))),
        ("POST", "/workloads/{id}/cancel" | "/workloads/{id}/retry" | "/workloads/{id}/close") => {
            (fill(route, workload), Some(json!({})))
        }
        ("POST", "/jobs/{id}/cancel" | "/jobs/{id}/requeue") => {
            (fill(route, job_id), Some(json!({})))
        }
        ("POST", "/jobs/{id}/priority") => {
            (fill(route, job_id), Some(json!({ "priority": "high" })))
        }
        ("POST", "/outbox/{id}/retry") => (fill(route, outbox), None),
        ("POST", "/jobs/{id}/front") => (fill(route, job_id), None),
        ("POST", "/pauses") => {
            ("/pauses".into(), Some(json!({ "scope": "pool:acme-pool", "reason": "sweep" })))
        }
        ("DELETE", "/pauses/{scope}") => (fill(route, &"pool:acme-pool"), None),
        ("GET", "/pools/{name}/scale") => (fill(route, &"acme-pool"), None),
        ("PATCH", "/pools/{name}") => {
            (fill(route, &"acme-pool"), Some(json!({ "cordoned": false })))
        }
        ("POST", "/pools/{name}/reset") => (fill(route, &"acme-pool"), None),
        ("POST", "/executors/{name}/reset") => (fill(route, &"cloud"), None),
        ("POST", "/sources/{name}/backfill") => (fill(route, &"acme-hook"), None),
        ("POST", path @ ("/model/train" | "/model/reset" | "/prune")) => (path.to_owned(), None),
        ("POST", "/runners/register") => (route.path.into(), Some(registration("new", &["z"], 1))),
        ("POST", "/runners/poll") => {
            let item = json!({ "runner_id": runner, "wait_ms": 0 });
            (route.path.into(), Some(json!({ "items": [item] })))
        }
        ("POST", "/leases/complete") => {
            let item = json!({ "lease": lease, "nonce": nonce, "outcome": "completed" });
            (route.path.into(), Some(json!({ "items": [item] })))
        }
        ("POST", "/runners/{id}/poll") => (fill(route, runner), Some(json!({ "wait_ms": 0 }))),
        ("POST", "/runners/{id}/stream") => (fill(route, runner), Some(json!({}))),
        ("POST" | "PATCH", "/runners/{id}/heartbeat" | "/runners/{id}") => {
            (fill(route, runner), Some(json!({})))
        }
        ("DELETE", "/runners/{id}") => (fill(route, runner), None),
        ("POST", "/callbacks/{token}") => {
            (fill(route, lease), Some(json!({ "status": "running" })))
        }
        ("POST", "/leases/{token}/logs") => {
            (fill(route, lease) + &format!("?offset=0&nonce={nonce}"), None)
        }
        ("POST", "/leases/{token}/start") => (fill(route, lease), Some(json!({ "nonce": nonce }))),
        ("POST", "/leases/{token}/complete") => {
            (fill(route, lease), Some(json!({ "nonce": nonce, "outcome": "completed" })))
        }
        ("POST", "/leases/{token}/release") => {
            (fill(route, lease), Some(json!({ "nonce": nonce, "reason": "drained" })))
        }
        (method, path) => panic!("{method} {path} is not in the table of this test: add it"),
    };
    (path, body)
}

fn fill(route: &Listed, value: &impl ToString) -> String {
    let (before, rest) = route.path.split_once('{').unwrap();
    let (_, after) = rest.split_once('}').unwrap();
    format!("{before}{}{after}", value.to_string())
}

/// Whether a route is about one thing that is somebody's.
fn is_about_a_thing(route: &Listed) -> bool {
    let is_change = route.method != Method::GET;
    route.path.contains("{id}")
        || route.path.starts_with("/pools/{name}")
        || route.path.starts_with("/sources/{name}")
        || (is_change && route.path.starts_with("/pauses"))
}

/// Whether a route is about what all tenants share, and for admins of all.
fn is_of_all(route: &Listed) -> bool {
    let of_all = ["/model", "/executors", "/prune"];
    of_all.iter().any(|path| route.path.starts_with(path))
}

/// What must come of a call.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Must {
    /// Done, or refused for what the thing's state is.
    Work,
    Be(u16),
}

fn expected(caller: &Caller, route: &Listed) -> Must {
    let (role, tenant) = match (caller, route.who) {
        (Caller::Nobody | Caller::Wrong, _) => return Must::Be(401),
        (Caller::Registration, Who::Registration)
        | (Caller::OwnRunner, Who::Runner | Who::RunnerOr(_)) => return Must::Work,
        // A lease of somebody else is lost, whoever asks.
        (Caller::OtherRunner, Who::Runner) if route.path.starts_with("/leases") => {
            return Must::Be(409);
        }
        (Caller::OtherRunner, Who::Runner | Who::RunnerOr(_)) => return Must::Be(403),
        // These routes know tokens of one kind alone.
        (_, Who::Registration | Who::Runner | Who::Callback) => return Must::Be(401),
        (Caller::Registration | Caller::OwnRunner | Caller::OtherRunner, _) => {
            return Must::Be(403);
        }
        (Caller::Token { role, tenant }, _) => (*role, *tenant),
    };
    let right = match route.who {
        Who::Caller(right) | Who::RunnerOr(right) => right,
        Who::Registration | Who::Runner | Who::Callback => return Must::Be(401),
    };
    let has_it = match right {
        Right::Read => true,
        Right::Submit => role != "viewer",
        Right::Operate => matches!(role, "operator" | "admin"),
        Right::Administer => role == "admin",
    };
    let has_it = has_it && (tenant == "all" || !is_of_all(route));
    let sees = !is_about_a_thing(route) || matches!(tenant, "acme" | "all");
    match (has_it, sees) {
        (false, _) => Must::Be(403),
        (true, false) => Must::Be(404),
        (true, true) => Must::Work,
    }
}

/// All that is kept, and how much has happened.
async fn state(server: &Server, admin: &Api) -> String {
    let mut lists = vec![server.handle().views().records.end().to_string()];
    for path in ["/deliveries", "/workloads", "/sessions", "/jobs", "/runners", "/pauses"] {
        let mut list: Value = admin.get(&format!("{path}?limit=500")).await;
        for item in list["items"].as_array_mut().unwrap() {
            // What follows from time alone.
            item.as_object_mut().unwrap().remove("last_seen_ms_ago");
            if let Some(Value::Object(utilization)) = item.get_mut("utilization") {
                utilization.remove("busy_share");
            }
        }
        lists.push(list.to_string());
    }
    lists.join("\n")
}

/// Everybody, with what they log in with.
async fn everybody(server: &Server, own: &FakeRunner, other: &FakeRunner) -> Vec<(Caller, Api)> {
    let api = &server.api;
    let mut everybody = vec![
        (Caller::Nobody, api.clone()),
        (Caller::Wrong, api.with_token("dyr_0000000000000000000000000000000000000000")),
        (Caller::Registration, api.with_token(REGISTRATION_TOKEN)),
        (Caller::OwnRunner, own.api.clone()),
        (Caller::OtherRunner, other.api.clone()),
        (Caller::Token { role: "admin", tenant: "all" }, api.with_token(ADMIN_TOKEN)),
    ];
    for (role, tenant) in tokens() {
        let api = api.with_token(token(&format!("{tenant}-{role}")));
        everybody.push((Caller::Token { role, tenant }, api));
    }
    everybody
}

fn tokens() -> impl Iterator<Item = (&'static str, &'static str)> {
    let limited = ["acme", "globex", "default"];
    let roles = ["admin", "operator", "submit", "viewer"];
    let limited = limited.into_iter().flat_map(move |tenant| roles.map(|role| (role, tenant)));
    limited.chain([("operator", "all"), ("viewer", "all")])
}

fn setup() -> Setup {
    let mut setup = Setup::default().patient().tokens().more(TENANTS);
    for (role, tenant) in tokens() {
        let own = format!("tenant = \"{tenant}\"");
        let more = if tenant == "all" { "" } else { &own };
        setup = setup.token(&format!("{tenant}-{role}"), role, more);
    }
    setup
}

/// A runner in a tenant's pool.
async fn runner_of(server: &Server, tenant: &str, name: &str) -> FakeRunner {
    let mut request = registration(name, &["x"], 1);
    request["pool"] = format!("{tenant}-pool").into();
    FakeRunner::with_request(&server.api.with_token(REGISTRATION_TOKEN), request).await
}

/// Makes one of each thing for a tenant; the names of all of them begin with the tenant's.
async fn things_of(server: &Server, tenant: &str, runner: &FakeRunner, lease: String) -> Things {
    let operator = server.api.with_token(token(&format!("{tenant}-operator")));
    let event = json!({ "kind": format!("{tenant}_event") });
    let delivery: Value = operator.done("/events", event).await;
    let work = json!({
        "name": format!("{tenant}-work"), "jobs": [job(&format!("{tenant}-job"))],
        "callback_url": "http://127.0.0.1:9/nobody",
    });
    let submitted: Value = operator.done("/workloads", work).await;
    let workload = submitted["workload_id"].as_i64().unwrap();
    let told: Value = operator.get("/outbox").await;
    let detail: Value = operator.get(&format!("/workloads/{workload}")).await;
    let session = json!({ "agent": "fixer", "message": format!("{tenant} asks") });
    let session: Value = operator.done("/sessions", session).await;
    Things {
        delivery: delivery["delivery_id"].as_str().unwrap().parse().unwrap(),
        workload,
        job: detail["jobs"][0]["id"].as_i64().unwrap(),
        runner: runner.id,
        lease,
        outbox: told["items"][0]["id"].as_i64().unwrap(),
        session: session["session_id"].as_i64().unwrap(),
    }
}

#[tokio::test]
async fn every_route_serves_whom_it_should_and_changes_nothing_for_anybody_else() {
    // An executor to which no route leads.
    let mut options = Backend::options(&[("cloud", &Backend::default())], vec![]);
    options.routing = None;
    let server = Server::with(&setup(), options).await;
    let admin = server.api.with_token(ADMIN_TOKEN);
    let registrar = server.api.with_token(REGISTRATION_TOKEN);
    let own = runner_of(&server, "acme", "acme-runner").await;
    let other = runner_of(&server, "globex", "globex-runner").await;
    // A lease of a runner that all share, so that it is lost for everybody who asks here.
    let shared = FakeRunner::register(&registrar, "shared", &["x"]).await;
    let lease_of = things_of(&server, "acme", &own, String::new()).await;
    let held = shared.begin().await;
    assert_eq!(held.job_id.0, lease_of.job);
    let mut things = things_of(&server, "acme", &own, held.lease.to_string()).await;
    things_of(&server, "globex", &other, String::new()).await;

    let everybody = everybody(&server, &own, &other).await;
    let mut faults = Vec::new();
    for route in routes() {
        let (refused, let_in): (Vec<_>, Vec<_>) =
            everybody.iter().partition(|(caller, _)| expected(caller, &route) != Must::Work);
        let before = state(&server, &admin).await;
        for (caller, api) in refused {
            ask(&route, &things, caller, api, &mut faults).await;
        }
        let after = state(&server, &admin).await;
        if before != after {
            faults.push(format!("{} {}: a refusal changed something", route.method, route.path));
        }
        for (caller, api) in let_in {
            if (&route.method, route.path) == (&Method::DELETE, "/runners/{id}") {
                // Each takes away a runner of its own making; a runner may only leave itself.
                if matches!(caller, Caller::OwnRunner) {
                    continue;
                }
                things.runner = runner_of(&server, "acme", "acme-passing").await.id;
            }
            ask(&route, &things, caller, api, &mut faults).await;
            things.runner = own.id;
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

/// Asks once, and notes what is not as it must be.
async fn ask(
    route: &Listed,
    things: &Things,
    caller: &Caller,
    api: &Api,
    faults: &mut Vec<String>,
) {
    let whose = match caller {
        Caller::Token { tenant, .. } => tenant,
        _ => "nobody",
    };
    let (path, body) = request(route, things, whose);
    let mut request = api.request(route.method.clone(), &format!("/api/v1{path}"));
    if let Some(body) = &body {
        request = request.json(body);
    }
    let response = request.send().await.unwrap();
    let mut status = response.status().as_u16();
    // A stream never ends; they have tests of their own.
    let text = match route.path {
        "/stream" | "/runners/{id}/stream" | "/sessions/{id}/events" => String::new(),
        _ => response.text().await.unwrap(),
    };
    // A batch is answered item by item.
    let is_batch = body.as_ref().is_some_and(|body| body.get("items").is_some());
    if is_batch && status == 200 {
        let answer: Value = serde_json::from_str(&text).unwrap();
        status = answer["items"][0]["status"].as_u64().unwrap().try_into().unwrap();
    }
    let must = expected(caller, route);
    let is_lease = route.path.starts_with("/leases");
    let good = match must {
        // What is asked with a wrong nonce is lost also for its runner.
        Must::Work => !matches!(status, 401 | 403 | 404 | 405 | 500..),
        Must::Be(409) if is_lease => matches!(status, 400 | 409),
        Must::Be(exact) => status == exact,
    };
    if !good {
        faults.push(format!("{} {path} by {caller:?}: {status}, not {must:?}", route.method));
    }
    if status != 200 {
        return;
    }
    let others: &[&str] = match caller {
        Caller::Token { tenant: "acme", .. } => &["globex"],
        Caller::Token { tenant: "globex", .. } => &["acme"],
        Caller::Token { tenant: "default", .. } => &["acme", "globex"],
        _ => &[],
    };
    for tenant in others.iter().filter(|tenant| text.contains(**tenant)) {
        faults.push(format!("{} {path} by {caller:?} tells of {tenant}: {text}", route.method));
    }
    let is_list = matches!(route.path, "/deliveries" | "/workloads" | "/jobs" | "/runners");
    if is_list && matches!(caller, Caller::Token { tenant: "acme" | "all", .. }) {
        let own = if route.path == "/deliveries" { "acme_event" } else { "acme-" };
        if !text.contains(own) {
            faults.push(format!("{path} by {caller:?} lacks what is its own: {text}"));
        }
    }
}

/// The table in the room's doc is what the code does.
#[test]
fn the_written_table_of_roles_is_the_real_one() {
    use dispatchyard::config::Role;
    let rights = [Right::Read, Right::Submit, Right::Operate, Right::Administer];
    let roles = [
        ("admin", Role::Admin),
        ("operator", Role::Operator),
        ("submit", Role::Submit),
        ("viewer", Role::Viewer),
    ];
    let code = include_str!("../../src/api/caller.rs");
    let readme = include_str!("../../README.md");
    for (name, role) in roles {
        let cells = rights.map(|right| if right.is_of(role) { " yes |" } else { " |" });
        let row = format!("| `{name}` |{}", cells.concat());
        assert!(code.contains(&row) && readme.contains(&row), "{row}");
    }
}
