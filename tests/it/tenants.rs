//! Several tenants on one server: whose what is, who sees it, and who may join which pool.

use dispatchyard::api::wire::{
    DeliveryAccepted, JobDetail, JobView, List, QueueView, RegisterResponse, RunnerView,
    StatusView, SubmitResponse,
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::fake_runner::{job, job_with, registration};
use crate::support::home::{ADMIN_TOKEN, REGISTRATION_TOKEN, token};
use crate::support::runner::RunnerSetup;
use crate::support::sse::Stream;
use crate::support::{Api, FakeRunner, Server, Setup};

const TENANTS: &str = r#"
[tenants.acme]
[tenants.globex]
[agent_pools.fast]
tenant = "acme"
[agent_pools.slow]
tenant = "globex"
"#;

/// A trigger for everybody, one for each tenant.
pub(crate) const TRIGGERS: &str = r#"
[[trigger]]
name = "for-all"
on = "push"
workflow = "ci"
[[trigger]]
name = "for-acme"
tenant = "acme"
on = "push"
workflow = "ci"
[[trigger]]
name = "for-globex"
tenant = "globex"
on = "push"
workflow = "ci"
"#;

async fn start() -> Server {
    let of = |tenant: &str| format!("tenant = \"{tenant}\"");
    let setup = Setup::default()
        .patient()
        .tokens()
        .rules(TRIGGERS)
        .more(TENANTS)
        .token("acme-ops", "operator", &of("acme"))
        .token("globex-ops", "operator", &of("globex"))
        .token("acme-ci", "submit", &of("acme"))
        .token("acme-urgent", "submit", &(of("acme") + "\ncritical = true"))
        .token("farm", "runner", "pools = [\"fast\", \"default\"]")
        .token("slow-farm", "runner", "pools = [\"slow\"]");
    Server::start(&setup).await
}

fn with(server: &Server, name: &str) -> Api {
    server.api.with_token(token(name))
}

fn in_pool(name: &str, pool: Option<&str>) -> Value {
    let mut request = registration(name, &["x"], 1);
    if let Some(pool) = pool {
        request["pool"] = pool.into();
    }
    request
}

#[tokio::test]
async fn work_is_the_triggers_tenants_or_else_the_deliverys() {
    let server = start().await;
    let admin = server.api.with_token(ADMIN_TOKEN);
    let accepted = server.hook().push("d-1").await;
    assert_eq!(accepted.workloads.len(), 3, "an operator wrote all three triggers");
    let names = |api: Api| async move {
        let list: List<dispatchyard::api::wire::WorkloadView> = api.get("/workloads").await;
        list.items.into_iter().filter_map(|it| it.trigger).collect::<Vec<_>>()
    };
    assert_eq!(names(with(&server, "acme-ops")).await, ["for-acme"]);
    assert_eq!(names(with(&server, "globex-ops")).await, ["for-globex"]);
    assert_eq!(names(admin).await.len(), 3);
    let path = format!("/deliveries/{}", accepted.delivery_id);
    let answer = with(&server, "acme-ops").ask(Method::GET, &path, None).await;
    assert_eq!(answer.problem(), (404, "not-found".into()), "the delivery is the default tenant's");
}

#[tokio::test]
async fn an_event_of_a_tenant_reaches_no_other_tenants_triggers() {
    let server = start().await;
    let event = json!({ "kind": "push", "ref": "refs/heads/main" });
    let acme = with(&server, "acme-ci");
    let accepted: DeliveryAccepted = acme.done("/events", &event).await;
    let asked: Vec<_> = accepted.triggers.iter().map(|it| it.trigger.as_str()).collect();
    assert_eq!(asked, ["for-all", "for-acme"]);
    assert_eq!(accepted.workloads.len(), 2);
    let mine: List<JobView> = acme.get("/jobs").await;
    assert_eq!(mine.items.len(), 4, "of both workloads");
    let theirs: List<JobView> = with(&server, "globex-ops").get("/jobs").await;
    assert!(theirs.items.is_empty(), "{theirs:?}");
    let path = format!("/deliveries/{}/replay", accepted.delivery_id);
    let again: DeliveryAccepted = with(&server, "acme-ops").done(&path, json!({})).await;
    assert_eq!(again.workloads.len(), 2);
    let theirs: List<JobView> = with(&server, "globex-ops").get("/jobs").await;
    assert!(theirs.items.is_empty(), "{theirs:?}");
}

#[tokio::test]
async fn the_highest_priority_needs_a_right() {
    let server = start().await;
    let work = json!({ "name": "w", "jobs": [job_with("a", json!({ "priority": "critical" }))] });
    let refused = with(&server, "acme-ci").post("/workloads", &work).await;
    assert_eq!(refused.problem(), (403, "forbidden".into()));
    assert!(refused.text.contains("critical = true"), "{refused:?}");
    let run = json!({ "priority": "critical" });
    let refused = with(&server, "acme-ci").post("/workflows/ci/run", &run).await;
    assert_eq!(refused.problem(), (403, "forbidden".into()));
    for name in ["acme-urgent", "acme-ops"] {
        let done: SubmitResponse = with(&server, name).done("/workloads", &work).await;
        assert!(!done.duplicate);
    }
    let jobs: List<JobView> = with(&server, "acme-ops").get("/jobs").await;
    assert_eq!(jobs.items.len(), 2);
}

#[tokio::test]
async fn the_same_idempotency_key_of_two_tenants_is_two_keys() {
    let server = start().await;
    let submit = |name: &'static str| {
        let api = with(&server, name);
        async move {
            let work = json!({ "name": "w", "jobs": [job("a")] });
            let request = api.request(Method::POST, "/api/v1/workloads").json(&work);
            let response = request.header("idempotency-key", "k").send().await.unwrap();
            response.json::<SubmitResponse>().await.unwrap()
        }
    };
    let (acme, globex) = (submit("acme-ci").await, submit("globex-ops").await);
    assert!(!acme.duplicate && !globex.duplicate);
    assert_ne!(acme.workload_id, globex.workload_id);
    let again = submit("acme-ops").await;
    assert_eq!((again.workload_id, again.duplicate), (acme.workload_id, true));
}

#[tokio::test]
async fn a_registration_token_puts_runners_into_its_pools_only() {
    let server = start().await;
    let admin = server.api.with_token(ADMIN_TOKEN);
    let farm = with(&server, "farm");
    let pool_of = |request: Value| {
        let (farm, admin) = (farm.clone(), admin.clone());
        async move {
            let answer: RegisterResponse = farm.done("/runners/register", request).await;
            admin.runner(answer.runner_id).await.pool
        }
    };
    assert_eq!(pool_of(in_pool("a", None)).await, "fast", "its first one");
    assert_eq!(pool_of(in_pool("b", Some("default"))).await, "default");
    let refused = farm.post("/runners/register", in_pool("c", Some("slow"))).await;
    assert_eq!(refused.problem(), (403, "forbidden".into()));
    let refused = farm.post("/runners/register", in_pool("c", Some("slw"))).await;
    assert_eq!(refused.problem(), (404, "not-found".into()));
    assert!(refused.text.contains("there is no pool slw"), "{refused:?}");
    let anywhere = server.api.with_token(REGISTRATION_TOKEN);
    let runner = FakeRunner::with_request(&anywhere, in_pool("d", Some("slow"))).await;
    assert_eq!(admin.runner(runner.id).await.pool, "slow");
}

#[tokio::test]
async fn no_token_of_one_pool_takes_over_a_runner_of_another() {
    let server = start().await;
    let victim = FakeRunner::with_request(&with(&server, "farm"), in_pool("a", None)).await;
    let thief = FakeRunner::with_request(&with(&server, "slow-farm"), in_pool("a", None)).await;
    assert_ne!(victim.id, thief.id);
    assert!(victim.look().await.is_empty(), "its token is still good");
    let again = FakeRunner::with_request(&with(&server, "farm"), in_pool("a", None)).await;
    assert_eq!(victim.id, again.id);
}

#[tokio::test]
async fn a_runner_that_all_share_is_seen_by_all_and_touched_by_none() {
    let server = start().await;
    let anywhere = server.api.with_token(REGISTRATION_TOKEN);
    let shared = FakeRunner::register(&anywhere, "shared", &["x"]).await;
    let (acme, globex) = (with(&server, "acme-ops"), with(&server, "globex-ops"));
    let (_, jobs) = acme.submit(json!([job("a")])).await;
    shared.begin().await;
    assert_eq!(acme.runner(shared.id).await.jobs, jobs);
    assert!(globex.runner(shared.id).await.jobs.is_empty(), "whose job it has is not told");
    let path = format!("/runners/{}", shared.id);
    let cordon = json!({ "cordoned": true });
    let refused = acme.ask(Method::PATCH, &path, Some(&cordon)).await;
    assert_eq!(refused.problem(), (403, "forbidden".into()));
    let own = FakeRunner::with_request(&anywhere, in_pool("own", Some("fast"))).await;
    let path = format!("/runners/{}", own.id);
    let foreign = globex.ask(Method::PATCH, &path, Some(&cordon)).await;
    assert_eq!(foreign.problem(), (404, "not-found".into()));
    assert_eq!(acme.ask(Method::PATCH, &path, Some(&cordon)).await.status, 200);
    let seen: List<RunnerView> = globex.get("/runners").await;
    assert_eq!(seen.items.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(), ["shared"]);
}

#[tokio::test]
async fn figures_are_those_of_the_caller() {
    let server = start().await;
    let (acme, globex) = (with(&server, "acme-ops"), with(&server, "globex-ops"));
    globex.submit(json!([job("g1"), job("g2")])).await;
    acme.submit(json!([job("a1")])).await;
    let status: StatusView = acme.get("/status").await;
    assert_eq!((status.queue_size, status.running_jobs), (1, 0));
    let pools = |status: StatusView| status.pools.into_iter().map(|pool| pool.name);
    assert_eq!(pools(status).collect::<Vec<_>>(), ["default"]);
    let queue: QueueView = acme.get("/queue?limit=1").await;
    assert_eq!((queue.metrics.total_jobs, queue.metrics.normal_jobs), (1, 1));
    assert_eq!(queue.waiting.len(), 1);
    // Its share is as large as that of the tenant who came first.
    assert_eq!((queue.waiting[0].name.as_str(), queue.waiting[0].position), ("a1", Some(2)));
    let all: StatusView = server.api.with_token(ADMIN_TOKEN).get("/status").await;
    assert_eq!(all.queue_size, 3);
}

#[tokio::test]
async fn a_stream_has_only_what_is_the_callers() {
    let server = start().await;
    let (acme, globex) = (with(&server, "acme-ops"), with(&server, "globex-ops"));
    let mut stream = Stream::open(&acme, "/stream", None).await;
    globex.submit(json!([job("theirs")])).await;
    let anywhere = server.api.with_token(REGISTRATION_TOKEN);
    FakeRunner::with_request(&anywhere, in_pool("their-runner", Some("slow"))).await;
    FakeRunner::with_request(&anywhere, in_pool("my-runner", Some("fast"))).await;
    acme.submit(json!([job("mine")])).await;
    let events = stream.up_to("job.queued").await;
    let told: String = events.iter().map(|event| event.data.as_str()).collect();
    assert!(told.contains("mine") && told.contains("my-runner"), "{told}");
    assert!(!told.contains("their"), "{told}");
}

#[tokio::test]
async fn history_has_the_name_of_the_token() {
    let server = start().await;
    let acme = with(&server, "acme-ops");
    let (_, jobs) = acme.submit(json!([job("a")])).await;
    let path = format!("/jobs/{}/cancel", jobs[0]);
    let _: Value = acme.done(&path, json!({ "reason": "enough" })).await;
    let detail: JobDetail = acme.job(jobs[0]).await;
    let authors: Vec<_> = detail.records.iter().map(|it| it.author.as_deref()).collect();
    assert_eq!(authors, [Some("acme-ops")]);
}

#[tokio::test]
async fn a_runner_process_joins_the_pool_that_it_names() {
    let server = start().await;
    let admin = server.api.with_token(ADMIN_TOKEN);
    let setup = RunnerSetup::new("real").arguments(&["--pool", "fast"]);
    let runner = setup.start(&server.home, &admin).await;
    assert_eq!(admin.runner(runner.id).await.pool, "fast");
}

#[tokio::test]
async fn names_keep_what_is_theirs_over_a_restart_with_another_order() {
    let setup = |tenants: &str| {
        Setup::default().patient().tokens().more(tenants).token("ops", "operator", "tenant = \"b\"")
    };
    let server = Server::start(&setup("[tenants.b]\n")).await;
    let ops = with(&server, "ops");
    ops.submit(json!([job("kept")])).await;
    let home = server.stop().await;
    let text = std::fs::read_to_string(home.config_file()).unwrap();
    let text = text.replace("[tenants.b]", "[tenants.a]\n[tenants.b]");
    std::fs::write(home.config_file(), text).unwrap();
    let server = Server::again(home).await;
    let jobs: List<JobView> = with(&server, "ops").get("/jobs").await;
    assert_eq!(jobs.items.len(), 1);
}
