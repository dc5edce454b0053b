//! Forms of asking: open workloads, who could run what, and why all wait.

use dispatchyard::api::wire::{
    ExplainAllView, JoinResponse, MatchView, SubmitResponse, WorkloadView,
};
use dispatchyard::model::{JobStateKind, WorkloadState};
use serde_json::{Value, json};

use crate::support::command::run;
use crate::support::fake_runner::{job, job_with, registration};
use crate::support::home::{ADMIN_TOKEN, REGISTRATION_TOKEN, token};
use crate::support::{FakeRunner, Server, Setup};

async fn open(server: &Server, jobs: Value) -> String {
    let body = json!({ "name": "open", "open": true, "jobs": jobs });
    let made: SubmitResponse = server.api.done("/workloads", body).await;
    format!("/workloads/{}", made.workload_id)
}

#[tokio::test]
async fn jobs_join_an_open_workload_until_it_is_closed() {
    let server = Server::start(&Setup::default().patient()).await;
    let path = open(&server, json!([job_with("deploy", json!({ "needs": ["test"] }))])).await;
    let jobs = format!("{path}/jobs");
    let join = |name: &str| json!({ "jobs": [job(name)] });

    let test = job_with("test", json!({ "needs": ["build"] }));
    let body = json!({ "jobs": [test, job("build")] });
    let ask = |body: &Value| {
        let request = server.api.request(reqwest::Method::POST, &format!("/api/v1{jobs}"));
        request.header("idempotency-key", "once").json(body).send()
    };
    let first = ask(&body).await.unwrap();
    assert_eq!(first.status(), 201);
    let first: JoinResponse = first.json().await.unwrap();
    assert_eq!((first.jobs.len(), first.duplicate), (2, false));
    let again = ask(&body).await.unwrap();
    assert_eq!(again.status(), 200);
    let again: JoinResponse = again.json().await.unwrap();
    assert_eq!((again.jobs, again.duplicate), (first.jobs, true), "nothing joined twice");

    // What it needs may have ended; and what never was is not waited for.
    let (ended, ended_jobs) = server.api.submit(json!([job("quick")])).await;
    let runner = FakeRunner::register(&server.api, "one", &["x"]).await;
    server.api.post(&format!("/jobs/{}/cancel", ended_jobs[0]), json!({})).await;
    server.api.workload_is(ended, WorkloadState::Cancelled).await;
    let terms = json!({ "needs_workloads": [ended], "run_if": "always" });
    let late = json!({ "jobs": [job_with("late", terms)] });
    let late: JoinResponse = server.api.done(&jobs, late).await;
    server.api.job_is(late.jobs[0], JobStateKind::Pending).await;
    let ghost = json!({ "jobs": [job_with("ghost", json!({ "needs_workloads": [999] }))] });
    assert_eq!(server.api.post(&jobs, ghost).await.problem().0, 422);

    assert_eq!(server.api.post(&jobs, join("test")).await.problem(), (422, "invalid".into()));
    assert_eq!(server.api.post(&jobs, json!({ "jobs": [] })).await.status, 422);
    assert_eq!(server.api.post(&jobs, json!({ "jobs": [], "name": "w" })).await.status, 400);
    assert_eq!(server.api.post("/workloads/999/jobs", join("z")).await.problem().0, 404);

    let closed: WorkloadView = server.api.done(&format!("{path}/close"), json!({})).await;
    assert_eq!(closed.state, WorkloadState::Pending);
    assert_eq!(server.api.post(&jobs, join("z")).await.problem(), (409, "conflict".into()));
    for name in ["build", "test", "deploy", "late"] {
        let given = runner.begin().await;
        assert_eq!(given.name, name);
        runner.complete(&given).await;
    }
    server.api.workload_is(closed.id, WorkloadState::Completed).await;
    let ended = server.api.post(&jobs, join("z")).await;
    assert!(ended.text.contains("has ended: completed"), "{ended:?}");
    let ended = server.api.post(&format!("{path}/close"), json!({})).await;
    assert_eq!(ended.problem(), (409, "conflict".into()));
}

#[tokio::test]
async fn a_join_is_refused_for_what_a_submission_is_refused_for() {
    let server = Server::start(&Setup::default()).await;
    let path = open(&server, json!([job("first")])).await;
    for asks in [
        json!({ "group": "" }),
        json!({ "group": { "key": "g", "limit": 0 } }),
        json!({ "requirements": { "labels": ["x", "!x"] } }),
        json!({ "resources": "licence" }),
        json!({ "deadline": "2001-01-01T00:00:00Z" }),
        json!({ "run_if": "sometimes" }),
        json!({ "max_parallel": 2 }),
        json!({ "max_wait": "0s" }),
        json!({ "pool": "fast" }),
        json!({ "timeout_ms": 0 }),
        json!({ "colour": "red" }),
    ] {
        let jobs = json!([job_with("a", asks.clone())]);
        let submitted = server.api.post("/workloads", json!({ "name": "w", "jobs": jobs })).await;
        let joined = server.api.post(&format!("{path}/jobs"), json!({ "jobs": jobs })).await;
        let (submitted, joined): (Value, Value) = (submitted.json(), joined.json());
        assert!(submitted["status"].as_u64().unwrap() >= 400, "{asks}: {submitted}");
        // Where in the body it stands is not the same.
        let said = |it: &Value| {
            let detail = it["detail"].as_str().unwrap();
            detail.split(" at line").next().unwrap().to_owned()
        };
        assert_eq!((&joined["status"], said(&joined)), (&submitted["status"], said(&submitted)));
    }
    assert_eq!(server.api.jobs().await.len(), 1);
}

#[tokio::test]
async fn files_are_submitted_and_joined_from_the_command_line() {
    let server = Server::start(&Setup::default()).await;
    let cli = async |arguments: &[&str]| {
        let server = ["--server", server.api.base(), "-o", "json"];
        run(server.iter().chain(arguments)).await
    };
    let file = |name: &str, body: Value| {
        let path = server.home.file(name);
        std::fs::write(&path, body.to_string()).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let workload = file("w.json", json!({ "name": "w", "open": true, "jobs": [job("a")] }));
    let made = cli(&["submit", &workload, "--key", "k"]).await.json();
    assert_eq!(cli(&["submit", &workload, "--key", "k"]).await.json()["duplicate"], true);
    let id = made["workload_id"].to_string();
    let jobs = file("jobs.json", json!({ "jobs": [job("b")] }));
    assert_eq!(cli(&["join", &id, &jobs]).await.json()["workload_id"], made["workload_id"]);
    assert_eq!(cli(&["close", &id]).await.json()["id"], made["workload_id"]);
    let refused = cli(&["join", &id, &jobs]).await;
    assert!(refused.code() == 1 && refused.err.contains("is not open"), "{refused:?}");
    let many = file(
        "many.json",
        json!({ "items": [{ "name": "x", "jobs": [job("a")] }, { "name": "y" }] }),
    );
    let said = run(["--server", server.api.base(), "submit", "--batch", &many]).await;
    assert!(said.out.contains("201") && said.out.contains("missing field"), "{said:?}");
    let broken = server.home.file("broken.json");
    std::fs::write(&broken, "{").unwrap();
    let said = cli(&["submit", broken.to_str().unwrap()]).await;
    assert!(said.code() == 2 && said.err.contains("is not JSON"), "{said:?}");
}

const TENANTS: &str = r#"
[tenants.acme]
gpu_max = 4
[agent_pools.own]
tenant = "acme"
[agent_pools.theirs]
tenant = "globex"
[tenants.globex]
"#;

#[tokio::test]
async fn who_could_run_it_and_what_the_others_lack() {
    let acme = "tenant = \"acme\"";
    let setup = Setup::default().patient().tokens().more(TENANTS).token("v", "viewer", acme);
    let server = Server::start(&setup).await;
    let viewer = server.api.with_token(token("v"));
    let registrar = server.api.with_token(REGISTRATION_TOKEN);
    for (name, labels, pool) in [
        ("big", &["linux", "gpu"][..], "own"),
        ("small", &["linux"], "own"),
        ("shared", &[], "default"),
        ("hidden", &["linux", "gpu"], "theirs"),
    ] {
        let mut request = registration(name, labels, 2);
        request["pool"] = pool.into();
        FakeRunner::with_request(&registrar, request).await;
    }
    let body = json!({ "labels": ["linux", "GPU"], "pool": "own" });
    let view: MatchView = viewer.done("/match", body.clone()).await;
    assert_eq!((view.verdict.as_str(), view.now, view.later, view.never), ("now", 1, 0, 2));
    let said: Vec<_> = view.runners.iter().map(|it| (it.name.as_str(), it.can.as_str())).collect();
    assert_eq!(said, [("big", "now"), ("small", "never"), ("shared", "never")]);
    assert_eq!(view.runners[1].lacks, ["lacks label `gpu`"]);
    assert_eq!((view.runners[0].slots_free, view.runners[0].pool.as_str()), (2, "own"));

    let never: MatchView = viewer.done("/match", json!({ "labels": ["mac"] })).await;
    assert_eq!((never.verdict.as_str(), never.impossible), ("never", None));
    let gpus: MatchView = viewer.done("/match", json!({ "gpu": 5 })).await;
    assert_eq!(gpus.verdict, "impossible");
    assert!(gpus.impossible.unwrap().contains("gpu_max is 4"));
    for (body, status) in [
        (json!({ "labels": ["x", "!x"] }), 422),
        (json!({ "pool": "nowhere" }), 400),
        (json!({ "resources": "licence" }), 400),
        (json!({ "colour": "red" }), 400),
    ] {
        assert_eq!(viewer.post("/match", body).await.problem().0, status);
    }

    let file = server.home.file("token-v");
    let global = ["--server", server.api.base(), "--token-file", file.to_str().unwrap()];
    for verb in [&["match"][..], &["try", "match"]] {
        let words = ["linux", "gpu", "--pool", "own", "--limit", "2"];
        let said = run(global.iter().chain(verb).chain(&words)).await;
        assert!(said.out.contains("1 now, 0 later, 2 never"), "{said:?}");
        assert!(said.out.contains("lacks label `gpu`") && !said.out.contains("shared"), "{said:?}");
    }
}

#[tokio::test]
async fn all_that_waits_is_counted_by_what_it_waits_for_and_for_whom() {
    let of = |tenant: &str| format!("tenant = \"{tenant}\"");
    let setup = Setup::default()
        .patient()
        .tokens()
        .more(TENANTS)
        .token("acme", "operator", &of("acme"))
        .token("globex", "operator", &of("globex"));
    let server = Server::start(&setup).await;
    let [acme, globex] = ["acme", "globex"].map(|name| server.api.with_token(token(name)));
    let admin = server.api.with_token(ADMIN_TOKEN);
    let grouped = json!({ "group": "deploy" });
    let jobs = json!([job_with("a", grouped.clone()), job_with("b", grouped), job("c")]);
    acme.submit(jobs).await;
    globex.submit(json!([job("first"), job_with("then", json!({ "needs": ["first"] }))])).await;

    let all: ExplainAllView = admin.get("/explain").await;
    assert_eq!((all.waiting_jobs, all.ready_jobs, all.truncated), (5, 3, false));
    let own: ExplainAllView = acme.get("/explain").await;
    assert_eq!((own.waiting_jobs, own.ready_jobs), (3, 2));
    let gates: Vec<_> =
        own.gates.iter().map(|it| (it.code.as_str(), it.key.as_deref(), it.jobs)).collect();
    assert_eq!(gates, [("no_compatible_runner", None, 2), ("group_held", Some("deploy"), 1)]);
    assert_eq!(own.gates[1].tenant.as_deref(), Some("acme"));
    assert_eq!((own.lanes.len(), own.lanes[0].jobs, own.lanes[0].tenant.as_str()), (1, 2, "acme"));
    assert_eq!(own.lanes[0].reasons[0].text, "no runner is registered");

    let file = server.home.file("admin-token");
    let global = ["--server", server.api.base(), "--token-file", file.to_str().unwrap()];
    let said = run(global.iter().chain(&["explain", "--all"])).await;
    for word in ["group_held", "deploy", "blocked_by", "globex", "no runner is registered"] {
        assert!(said.out.contains(word), "no `{word}` in {}", said.out);
    }
    assert_eq!(run(global.iter().chain(&["explain"])).await.code(), 2);
}
