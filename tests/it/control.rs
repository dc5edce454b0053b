//! What operators change of the flow: pauses, places in the queue, pools; and who holds what.

use dispatchyard::api::wire::{
    ExplainView, Glance, GroupView, JobView, List, ModelView, PauseView, PoolChanged, Problem,
    QueueView, ResourceView, Trained,
};
use dispatchyard::model::{JobId, JobPriority, RunnerState};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::command::cli;
use crate::support::fake_runner::{job, job_with, registration};
use crate::support::home::{ADMIN_TOKEN, REGISTRATION_TOKEN, token};
use crate::support::{Api, FakeRunner, Server, Setup};
use crate::tenants::TRIGGERS;

const TENANTS: &str = r#"
[tenants.acme]
[tenants.globex]
[agent_pools.fast]
tenant = "acme"
[agent_pools.slow]
tenant = "globex"
[resources.printer]
units = 2
[resources."repo:*"]
units = 1
"#;

async fn start() -> Server {
    let of = |tenant: &str| format!("tenant = \"{tenant}\"");
    let setup = Setup::default()
        .patient()
        .tokens()
        .rules(TRIGGERS)
        .more(TENANTS)
        .token("ops", "operator", "")
        .token("acme-admin", "admin", &of("acme"))
        .token("acme-ops", "operator", &of("acme"))
        .token("acme-ci", "submit", &of("acme"))
        .token("globex-ops", "operator", &of("globex"));
    Server::start(&setup).await
}

fn with(server: &Server, name: &str) -> Api {
    server.api.with_token(token(name))
}

async fn in_pool(server: &Server, name: &str, pool: &str) -> FakeRunner {
    let mut request = registration(name, &["x"], 1);
    request["pool"] = pool.into();
    FakeRunner::with_request(&server.api.with_token(REGISTRATION_TOKEN), request).await
}

async fn scopes(api: &Api) -> Vec<String> {
    let list: List<PauseView> = api.get("/pauses").await;
    list.items.into_iter().map(|pause| pause.scope).collect()
}

async fn pause(api: &Api, scope: &str) -> (u16, String) {
    let answer = api.post("/pauses", json!({ "scope": scope, "reason": "upgrade" })).await;
    match answer.status {
        200 => (200, answer.json::<PauseView>().scope),
        status => (status, answer.json::<Problem>().detail),
    }
}

async fn resume(api: &Api, scope: &str) -> u16 {
    api.ask(Method::DELETE, &format!("/pauses/{scope}"), None).await.status
}

#[tokio::test]
async fn a_pause_says_who_and_why_and_outlives_a_restart() {
    let server = start().await;
    let ops = with(&server, "ops");
    let runner = in_pool(&server, "one", "default").await;
    for scope in ["pool:default", "tenant:default", "trigger:for-all"] {
        assert_eq!(pause(&ops, scope).await, (200, scope.to_owned()));
    }
    let (_, jobs) = ops.submit(json!([job("a")])).await;
    let home = server.stop().await;
    let server = Server::again(home).await;
    let ops = with(&server, "ops");
    assert_eq!(scopes(&ops).await, ["pool:default", "tenant:default", "trigger:for-all"]);
    let said: ExplainView = ops.get(&format!("/jobs/{}/explain", jobs[0])).await;
    let said: Vec<_> = said.reasons.iter().map(|it| it.text.as_str()).collect();
    assert!(said.contains(&"pool default is paused by ops: upgrade"), "{said:?}");
    let runner = FakeRunner { api: server.api.with_token(&runner.token), ..runner };
    assert!(runner.look().await.is_empty());

    assert_eq!(resume(&ops, "tenant:default").await, 200);
    assert!(runner.look().await.is_empty(), "its pool is still paused");
    assert_eq!(resume(&ops, "pool:default").await, 200);
    assert_eq!(runner.look().await.len(), 1);
    assert_eq!(resume(&ops, "pool:default").await, 409, "it is not paused");
    assert_eq!(scopes(&ops).await, ["trigger:for-all"]);
}

#[tokio::test]
async fn only_what_there_is_and_what_is_ones_own_can_be_paused() {
    let server = start().await;
    let (admin, ops) = (server.api.with_token(ADMIN_TOKEN), with(&server, "ops"));
    let (acme, globex) = (with(&server, "acme-admin"), with(&server, "globex-ops"));
    for (scope, said) in [
        ("pool:gpu", "there is no pool gpu: known are default, fast, slow"),
        ("tenant:acne", "there is no tenant acne: known are acme, default, globex"),
        ("trigger:nightly", "there is no trigger nightly: known are for-all, for-acme, for-globex"),
        ("pool:#1", "there is no pool #1: known are default, fast, slow"),
    ] {
        assert_eq!(pause(&ops, scope).await, (404, said.to_owned()));
    }
    for scope in ["", "pool", "job:7", "Everything"] {
        let (status, said) = pause(&ops, scope).await;
        assert!(status == 400 && said.contains("pool:NAME"), "{scope}: {status} {said}");
    }
    let long = json!({ "scope": "pool:fast", "reason": "x".repeat(1_001) });
    assert_eq!(ops.post("/pauses", long).await.status, 400);

    for (scope, status) in [
        ("pool:fast", 200),
        ("tenant:acme", 200),
        ("trigger:for-acme", 200),
        ("pool:default", 403),
        ("trigger:for-all", 403),
        ("everything", 403),
        ("pool:slow", 404),
        ("tenant:globex", 404),
        ("trigger:for-globex", 404),
    ] {
        let (found, said) = pause(&acme, scope).await;
        assert_eq!(found, status, "{scope}: {said}");
        let known = said.split_once("known are ").map_or("", |(_, known)| known);
        assert!(!known.contains("globex") && !known.contains("slow"), "{said}");
    }
    assert_eq!(pause(&ops, "everything").await.0, 403, "an operator of all is no admin");
    assert_eq!(pause(&admin, "everything").await.0, 200);
    assert_eq!(pause(&with(&server, "acme-ci"), "pool:fast").await.0, 403);

    assert_eq!(scopes(&globex).await, ["everything"], "what holds its own jobs");
    assert_eq!(scopes(&acme).await.len(), 4);
    assert_eq!(resume(&globex, "pool:fast").await, 404);
    assert_eq!(resume(&globex, "everything").await, 403);
    assert_eq!(resume(&acme, "pool:fast").await, 200);
}

/// What the configuration no longer names can still be lifted.
#[tokio::test]
async fn a_pause_of_a_pool_that_is_gone_is_lifted_by_its_number() {
    let server = Server::start(&Setup::default().patient().more("[agent_pools.old]\n")).await;
    assert_eq!(pause(&server.api, "pool:old").await.0, 200);
    let home = server.stop().await;
    let text = std::fs::read_to_string(home.config_file()).unwrap();
    std::fs::write(home.config_file(), text.replace("[agent_pools.old]", "")).unwrap();
    let server = Server::again(home).await;
    let paused = scopes(&server.api).await;
    assert_eq!(paused, ["pool:#2"]);
    let said = cli(&server, "resume pool:#2").await;
    assert_eq!(said.out, "pool:#2 gives out jobs again\n", "{said:?}");
    assert!(scopes(&server.api).await.is_empty());
}

async fn order(api: &Api) -> Vec<JobId> {
    let queue: QueueView = api.get("/queue").await;
    queue.waiting.iter().map(|job| job.job_id).collect()
}

#[tokio::test]
async fn a_waiting_job_gets_another_place_in_the_queue() {
    let server = Server::start(&Setup::default().patient()).await;
    let api = &server.api;
    let (_, ids) = api.submit(json!([job("a"), job("b"), job("c")])).await;
    let path = format!("/jobs/{}/priority", ids[2]);
    let urgent: JobView = api.done(&path, json!({ "priority": "high" })).await;
    assert_eq!(urgent.priority, JobPriority::High);
    let front: JobView = api.done(&format!("/jobs/{}/front", ids[1]), json!({})).await;
    assert_eq!(front.priority, JobPriority::Normal);
    assert_eq!(order(api).await, [ids[2], ids[1], ids[0]]);
    let said = cli(&server, &format!("priority {} critical", ids[0])).await;
    assert!(said.code() == 0 && said.out.contains("critical"), "{said:?}");
    assert_eq!(cli(&server, &format!("front {}", ids[1])).await.code(), 0);
    assert_eq!(order(api).await, [ids[0], ids[2], ids[1]]);
    assert_eq!(cli(&server, &format!("priority {} urgent", ids[0])).await.code(), 2);
    assert_eq!(api.post(&path, json!({ "priority": "urgent" })).await.status, 400);
    assert_eq!(api.post("/jobs/99/front", json!({})).await.status, 404);

    let runner = FakeRunner::register(api, "one", &["x"]).await;
    let taken = runner.begin().await;
    let running = format!("/jobs/{}/front", taken.job_id);
    assert_eq!(api.post(&running, json!({})).await.problem(), (409, "conflict".into()));
    runner.complete(&taken).await;
    assert_eq!(api.post(&running, json!({})).await.problem(), (409, "conflict".into()));
    let history = api.job(ids[0]).await.records;
    let told: Vec<_> = history.iter().map(|it| (it.name.as_str(), it.detail.as_str())).collect();
    assert_eq!(told, [("job.priority_changed", "critical")]);
}

#[tokio::test]
async fn a_pool_is_cordoned_for_runners_that_come_later_and_keeps_their_own_cordons() {
    let server = start().await;
    let (acme, globex) = (with(&server, "acme-ops"), with(&server, "globex-ops"));
    let wish = |cordoned: bool| json!({ "cordoned": cordoned, "reason": "move" });
    let patch = |api: &Api, pool: &str, body: Value| {
        let (api, path) = (api.clone(), format!("/pools/{pool}"));
        async move { api.ask(Method::PATCH, &path, Some(&body)).await }
    };
    let changed: PoolChanged = patch(&acme, "fast", wish(true)).await.json();
    let paused = changed.paused.unwrap();
    assert_eq!((paused.scope.as_str(), paused.author.as_str()), ("pool:fast", "acme-ops"));
    assert_eq!(scopes(&acme).await, ["pool:fast"], "it is the pool's pause");
    let own = in_pool(&server, "own", "fast").await;
    let work = json!({ "pool": "fast" });
    acme.submit(json!([job_with("a", work)])).await;
    assert!(own.look().await.is_empty());
    assert_eq!(patch(&globex, "fast", wish(false)).await.status, 404);
    assert_eq!(patch(&acme, "default", wish(true)).await.status, 403);
    assert_eq!(patch(&acme, "fast", json!({})).await.status, 400);

    let path = format!("/runners/{}", own.id);
    assert_eq!(acme.ask(Method::PATCH, &path, Some(&wish(true))).await.status, 200);
    let lifted: PoolChanged = patch(&acme, "fast", wish(false)).await.json();
    assert_eq!((lifted.paused, lifted.runners), (None, vec![own.id]));
    let view = acme.runner(own.id).await;
    assert_eq!(view.cordon_reason.as_deref(), Some("acme-ops: move"));
    assert!(own.look().await.is_empty());
    let other = in_pool(&server, "other", "fast").await;
    assert_eq!(other.look().await.len(), 1);
}

#[tokio::test]
async fn a_drain_waits_for_what_runs_and_says_what_still_does() {
    let server = Server::start(&Setup::default().patient()).await;
    server.api.submit(json!([job("a"), job("b")])).await;
    let busy = FakeRunner::register(&server.api, "busy", &["x"]).await;
    let idle = FakeRunner::register(&server.api, "idle", &["y"]).await;
    let held = busy.begin().await;
    let said = cli(&server, "drain pool:default --wait --timeout 100ms").await;
    assert_eq!(said.code(), 1, "{said:?}");
    assert!(said.out.contains("runners: 2"), "{said:?}");
    let still = format!("runner {} has job {}", busy.id, held.job_id);
    assert!(said.err.contains(&still) && !said.err.contains(&format!("runner {} ", idle.id)));
    for runner in [&busy, &idle] {
        assert_eq!(server.api.runner(runner.id).await.state, RunnerState::Draining);
    }
    assert!(busy.heartbeat(&[&held]).await.drain, "it is told");
    assert_eq!(cli(&server, "drain 99").await.code(), 1);
    assert_eq!(cli(&server, "drain 1 --timeout 5s").await.code(), 2, "without --wait");

    let line = format!("drain {} --wait --timeout 20s", busy.id);
    let (said, ()) = tokio::join!(cli(&server, &line), async {
        busy.complete(&held).await;
    });
    assert_eq!(said.code(), 0, "{said:?}");
    assert!(busy.look().await.is_empty(), "the second job waits");
    let said = cli(&server, "uncordon pool:default").await;
    assert!(said.code() == 0 && said.out.contains("gives out jobs"), "{said:?}");
    assert_eq!(busy.look().await.len(), 1);
    let said = cli(&server, &format!("cordon {} --reason disk", idle.id)).await;
    assert!(said.out.contains("admin: disk"), "{said:?}");
    assert!(cli(&server, &format!("uncordon {}", idle.id)).await.out.contains("online"));
    let said = cli(&server, "cordon pool:default --reason move").await;
    assert_eq!(said.out, "pool:default is paused by admin: move\nrunners: 2\n");
    assert!(cli(&server, "pauses").await.out.contains("pool:default"));
}

#[tokio::test]
async fn units_are_shown_with_their_holders_and_another_tenants_only_as_held() {
    let server = start().await;
    let (acme, globex) = (with(&server, "acme-ops"), with(&server, "globex-ops"));
    let needing = |name: &str, resources: Value| job_with(name, json!({ "resources": resources }));
    let both = json!(["printer", "repo:acme/app"]);
    let (_, ids) = acme.submit(json!([needing("print", both)])).await;
    let runner = in_pool(&server, "one", "default").await;
    let held = runner.begin().await;
    globex.submit(json!([needing("two", json!({ "name": "printer", "units": 2 }))])).await;

    let own: ResourceView = acme.get("/resources/printer").await;
    assert_eq!((own.units, own.held[0].index, own.waiting), (2, 0, 1));
    let holder = own.held[0].holder.clone().unwrap();
    assert_eq!((holder.job_id, holder.job.as_str()), (ids[0], "print"));
    assert_eq!((holder.workload.as_str(), holder.runner_id), ("submitted", Some(runner.id)));
    assert!(own.held[0].since_ms > 0);
    let repository: ResourceView = acme.get("/resources/repo:acme%2Fapp").await;
    assert_eq!((repository.units, repository.held.len()), (1, 1));

    let theirs: ResourceView = globex.get("/resources/printer").await;
    assert_eq!((theirs.held.len(), theirs.held[0].holder.clone()), (1, None));
    let list = globex.ask(Method::GET, "/resources", None).await;
    assert!(!list.text.contains("acme") && !list.text.contains("\"print\""), "{list:?}");
    let foreign = globex.ask(Method::GET, "/resources/repo:acme%2Fapp", None).await;
    assert_eq!(foreign.problem(), (404, "not-found".into()));
    let admin = server.api.with_token(ADMIN_TOKEN);
    let all: Glance<ResourceView> = admin.get("/resources").await;
    let names: Vec<_> = all.items.iter().map(|it| it.name.as_str()).collect();
    assert_eq!((names, all.total), (vec!["printer", "repo:*", "repo:acme/app"], 3));
    let unused: ResourceView = admin.get("/resources/repo:other%2Fapp").await;
    assert_eq!((unused.units, unused.held), (1, vec![]));
    let unknown = admin.ask(Method::GET, "/resources/plotter", None).await;
    assert!(unknown.status == 404 && unknown.text.contains("known are printer"), "{unknown:?}");
    runner.complete(&held).await;
    let free: ResourceView = acme.get("/resources/printer").await;
    assert_eq!((free.held, free.waiting), (vec![], 1));
}

#[tokio::test]
async fn a_group_shows_who_is_in_and_who_waits() {
    let server = Server::start(&Setup::default().patient()).await;
    for name in ["first", "second"] {
        let work = json!({ "name": name, "group": "deploy", "jobs": [job("a")] });
        let _: Value = server.api.done("/workloads", work).await;
    }
    let groups: Glance<GroupView> = server.api.get("/groups").await;
    let [group] = groups.items.as_slice() else { panic!("{groups:?}") };
    assert_eq!((group.key.as_str(), group.limit, group.waiting_total), ("deploy", 1, 1));
    assert_eq!(group.holders[0].name, "first (workload 1)");
    assert_eq!(group.waiting[0].name, "second (workload 2)");
    let said = cli(&server, "groups").await;
    assert!(said.out.contains("second (workload 2)"), "{said:?}");
    let said = cli(&server, "resources").await;
    assert!(said.code() == 0 && said.out.contains("no resources"), "{said:?}");
}

#[tokio::test]
async fn run_times_are_learned_from_history_and_outlive_a_restart() {
    let server = Server::start(&Setup::default().patient()).await;
    let runner = FakeRunner::register(&server.api, "one", &["x"]).await;
    let jobs = ["a", "b", "c"].map(job);
    server.api.submit(json!(jobs)).await;
    for at in 0..3 {
        let taken = runner.begin().await;
        if at == 2 {
            runner.fail(&taken).await
        } else {
            runner.complete(&taken).await
        };
    }
    let learned: ModelView = server.api.get("/model").await;
    assert_eq!((learned.runs, learned.classes.len()), (3, 1));
    let reset: Trained = server.api.done("/model/reset", json!({})).await;
    assert_eq!(reset.runs, 0);
    let home = server.stop().await;
    let server = Server::again(home).await;
    let forgotten: ModelView = server.api.get("/model").await;
    assert_eq!((forgotten.runs, forgotten.classes.len()), (0, 0));

    let said = cli(&server, "model train --attempts 2").await;
    assert_eq!(said.out, "learned from 2 runs\n", "{said:?}");
    let all: Trained = server.api.done("/model/train", json!({})).await;
    assert_eq!(all.runs, 3);
    for attempts in [0, 50_001] {
        let answer = server.api.post("/model/train", json!({ "attempts": attempts })).await;
        assert_eq!(answer.status, 400, "{answer:?}");
    }
    let home = server.stop().await;
    let server = Server::again(home).await;
    let trained: ModelView = server.api.get("/model").await;
    let class = &trained.classes[0];
    assert_eq!((trained.runs, class.times.runs, class.runners[0].times.runs), (3, 3, 3));
    assert_eq!(class.times.failure_permille, learned.classes[0].times.failure_permille);
    assert_eq!(class.runners[0].runner.as_deref(), Some("one"));
    assert_eq!(class.requirements.labels, ["x".into()]);
    let said = cli(&server, "model show").await;
    assert!(said.out.contains("one (1)") && said.out.contains("x in default"), "{said:?}");
}
