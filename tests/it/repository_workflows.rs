//! Workflow files of the repositories themselves, read from stand-ins of the three forges: whose files run, what
//! becomes of deliveries while a forge is away, and what is told.

use dispatchyard::api::wire::{DeliveryAccepted, DeliveryView, EvaluationView};
use dispatchyard::model::{DeliveryId, JobStateKind, WorkloadState};
use reqwest::Method;
use serde_json::json;

use crate::support::command::cli;
use crate::support::contents::{Contents, Fault, Kind};
use crate::support::home::{ADMIN_TOKEN, RULES, token};
use crate::support::hook::{answer, fixture, push_with};
use crate::support::instances::{self, admin};
use crate::support::server::ServerProcess;
use crate::support::{Api, RunnerProcess, Server, Setup, on_both, until};

/// The commit of the pushes of the fixtures, and the head of their pull requests.
const HEAD: &str = "3b2e4d5c6f708192a3b4c5d6e7f8091a2b3c4d5e";
const BASE: &str = "1111111111111111111111111111111111111111";
const OTHER: &str = "2222222222222222222222222222222222222222";

/// A file that is started by pushes and pull requests, with one job of that name.
fn file(job: &str) -> String {
    format!(
        "on: [push, pull_request]\njobs:\n  {job}: {{ runs-on: x, steps: [{{ run: echo it }}] }}\n"
    )
}

fn setup(forge: &Contents, more: &str) -> Setup {
    Setup::default().patient().rules(&forge.section(more))
}

/// A delivery, once it is in that state.
async fn is(api: &Api, id: DeliveryId, state: &str) -> DeliveryView {
    until(&format!("delivery {id} is {state}"), async || {
        let answer = api.try_ask(Method::GET, &format!("/deliveries/{id}"), None).await?;
        let view: DeliveryView = (answer.status == 200).then(|| answer.json())?;
        (view.state == state).then_some(view)
    })
    .await
}

/// Sends a push to GitHub's source, which is accepted undecided.
async fn pushed(server: &Server, id: &str) -> DeliveryId {
    let accepted = server.hook().push(id).await;
    assert_eq!((accepted.state.as_str(), accepted.duplicate), ("planning", false));
    accepted.delivery_id
}

async fn scraped(api: &Api) -> String {
    api.request(Method::GET, "/metrics").send().await.unwrap().text().await.unwrap()
}

/// Names of all jobs, sorted.
async fn jobs(api: &Api) -> Vec<String> {
    let mut names: Vec<_> = api.jobs().await.into_iter().map(|job| job.name).collect();
    names.sort();
    names
}

async fn a_delivery_waits_for_a_forge_that_is_down_over_a_kill_and_its_jobs_run_once(setup: Setup) {
    let forge = Contents::down(Kind::Github);
    forge.commit(HEAD, &[(".github/workflows/ci.yml", &file("build"))]);
    let setup = setup.patient().rules(&format!("{}{RULES}", forge.section("")));
    let home = setup.build();
    let mut server = ServerProcess::start(&home).await;
    let accepted = server.hook().push("one").await;
    assert_eq!(accepted.state, "planning");
    let told = until("it is told what is waited for", async || {
        let reason = server.api.delivery(accepted.delivery_id).await.reason?;
        reason.contains("next try at").then_some(reason)
    })
    .await;
    let expected =
        format!("waits for the workflow files of octo-org/example at the commit {HEAD}; failed");
    assert!(told.starts_with(&expected) && told.contains("no answer"), "{told}");
    assert_eq!(jobs(&server.api).await, [""; 0], "no trigger is decided before all are");
    server.kill().await;

    let server = ServerProcess::start(&home).await;
    until("it is tried again", async || {
        let reason = server.api.delivery(accepted.delivery_id).await.reason?;
        reason.contains("next try at").then_some(())
    })
    .await;
    forge.up().await;
    let _runner = RunnerProcess::start(&home, &server.api, "one").await;
    let view = is(&server.api, accepted.delivery_id, "dispatched").await;
    let said: Vec<_> = view.triggers.iter().map(|it| (&*it.trigger, it.matched)).collect();
    assert_eq!(said, [("ci-on-push", true), (".github/workflows/ci.yml", true)]);
    assert_eq!(view.reason, None);
    for verdict in &view.triggers {
        server.api.workload_is(verdict.workload_id.unwrap(), WorkloadState::Completed).await;
    }
    let again = server.hook().send("push", "one", fixture("push")).await;
    assert_eq!(again.status, 200);
    assert_eq!(
        again.json::<DeliveryAccepted>().workloads.len(),
        2,
        "a duplicate is told of the first"
    );
    assert_eq!(jobs(&server.api).await, ["build", "build", "test"]);
    let all = server.api.jobs().await;
    assert!(
        all.iter().all(|job| (job.state, job.attempt) == (JobStateKind::Completed, 1)),
        "{all:?}"
    );
}

async fn what_a_forge_answers_wrongly_is_asked_again(setup: Setup) {
    let forge = Contents::start(Kind::Github).await;
    forge.commit(HEAD, &[]);
    let setup = setup.patient().rules(&forge.section("timeout_ms = 400"));
    let server = Server::start(&setup).await;
    let status = |status, headers| Fault::Status(status, headers);
    let spent = |name, value: &str| (name, value.to_owned());
    for (at, fault) in [
        status(500, vec![]),
        status(503, vec![]),
        status(429, vec![spent("retry-after", "1")]),
        status(403, vec![spent("x-ratelimit-remaining", "0"), spent("x-ratelimit-reset", "1")]),
        Fault::Cut,
        Fault::Silent,
        Fault::Html,
    ]
    .into_iter()
    .enumerate()
    {
        // Each its own commit, so that nothing is known of it.
        let commit = format!("{:040x}", at + 1);
        forge.commit(&commit, &[(".github/workflows/ci.yml", &file("build"))]);
        forge.faults([fault]);
        let push = push_with("/after", commit);
        let accepted = server.hook().send("push", &format!("push-{at}"), push).await;
        assert_eq!(accepted.status, 202, "{accepted:?}");
        let id = accepted.json::<DeliveryAccepted>().delivery_id;
        is(&server.api, id, "dispatched").await;
        assert_eq!(forge.faulty(), at + 1, "it was asked again once");
    }
    let metrics = scraped(&server.api).await;
    let line = "dispatchyard_lookups_total{source=\"github\",outcome=\"failed\"} 7";
    assert!(metrics.contains(line), "{metrics}");
}

async fn the_base_branch_says_what_a_pull_request_of_a_fork_starts(setup: Setup) {
    let kinds = [
        ("github", Kind::Github, ".github", "Bearer"),
        ("gitea", Kind::Gitea, ".gitea", "token"),
        ("gitlab", Kind::Gitlab, ".gitlab", "Bearer"),
    ];
    let mut rules = String::new();
    for (name, kind, folder, scheme) in kinds {
        let forge = Contents::start(kind).await;
        forge.wants(&format!("{scheme} {ADMIN_TOKEN}"));
        let path = |file: &str| format!("{folder}/workflows/{file}");
        forge.commit(HEAD, &[(&path("ci.yml"), &file("evil")), (&path("more.yml"), &file("evil"))]);
        let (good, other) = (file(&format!("good-{name}")), "on: star\njobs: {}".to_owned());
        // Files in a folder below it are not looked at.
        let base = [
            (path("ci.yaml"), good),
            (path("deep/x.yml"), other),
            (path("README.md"), String::new()),
        ];
        let base: Vec<_> = base.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        forge.commit(BASE, &base);
        forge.branch("main", BASE);
        if kind != Kind::Github {
            rules += &format!("[[source]]\nname = '{name}'\nkind = '{name}'\ninsecure = true\n");
        }
        rules += &forge.section("token = { file = 'admin-token' }");
    }
    let server = Server::start(&setup.patient().rules(&rules)).await;
    let send = async |source: &str, header: &str, event: &str, name: &str| -> DeliveryAccepted {
        let request = server.api.request(Method::POST, &format!("/hooks/{source}"));
        let request = request.header("content-type", "application/json").header(header, event);
        let id = if source == "gitea" { "x-gitea-delivery" } else { "x-gitlab-event-uuid" };
        let request = request.header(id, format!("{source}-{}", event.replace(' ', "-")));
        let path = format!("{}/fixtures/{name}.json", env!("CARGO_MANIFEST_DIR"));
        let answer = answer(request.body(std::fs::read(path).unwrap())).await;
        assert_eq!(answer.status, 202, "{answer:?}");
        answer.json()
    };
    let github = server.hook().send("pull_request", "pr", fixture("pull_request_fork")).await;
    let all = [
        github.json::<DeliveryAccepted>(),
        send("gitea", "x-gitea-event", "pull_request", "gitea/pull_request_sync").await,
        send("gitlab", "x-gitlab-event", "Merge Request Hook", "gitlab/merge_request_fork").await,
    ];
    for accepted in all {
        assert_eq!(accepted.state, "planning");
        let view = is(&server.api, accepted.delivery_id, "dispatched").await;
        let [verdict] = view.triggers.as_slice() else { panic!("{view:?}") };
        assert!(verdict.trigger.ends_with("/workflows/ci.yaml") && verdict.matched, "{verdict:?}");
    }
    assert_eq!(jobs(&server.api).await, ["good-gitea", "good-github", "good-gitlab"]);

    // A push is its own commit's, unless nobody signed it.
    let id = pushed(&server, "push").await;
    let view = is(&server.api, id, "dispatched").await;
    assert_eq!(view.triggers.len(), 2, "{view:?}");
    let pushed_too = [
        send("gitea", "x-gitea-event", "push", "gitea/push").await,
        send("gitlab", "x-gitlab-event", "Push Hook", "gitlab/push").await,
    ];
    for accepted in pushed_too {
        let view = is(&server.api, accepted.delivery_id, "dispatched").await;
        assert_eq!(view.triggers.len(), 1, "{view:?}");
    }
}

async fn what_nobody_mends_by_waiting_fails_and_can_be_replayed(setup: Setup) {
    let forge = Contents::start(Kind::Github).await;
    let server = Server::start(&setup.patient().rules(&forge.section("files_max = 2"))).await;
    let fails = async |id: &str, why: &str| {
        let id = pushed(&server, id).await;
        let view = is(&server.api, id, "failed").await;
        let reason = view.reason.unwrap_or_default();
        assert!(reason.contains(why), "`{why}` in {reason}");
        id
    };
    let lost = fails("no-commit", "404").await;
    fails("no-commit-either", "no such repository, branch or commit").await;
    forge.wants("Bearer somebody-else");
    fails("not-allowed", "the token of the source's `workflows` is not valid").await;
    forge.faults([Fault::Status(403, vec![])]);
    fails("forbidden", "may not read this repository").await;
    let elsewhere = vec![("location", "http://127.0.0.1:9/repos".to_owned())];
    forge.faults([Fault::Status(302, elsewhere)]);
    fails("elsewhere", "it answered 302").await;
    let server = Server::again({
        let home = server.stop().await;
        home.change("files_max = 2", "files_max = 2\ntoken = { file = 'admin-token' }");
        home
    })
    .await;
    forge.wants(&format!("Bearer {ADMIN_TOKEN}"));
    let three = ["a", "b", "c"].map(|name| (format!(".github/workflows/{name}.yml"), file("x")));
    let three: Vec<_> = three.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    forge.commit(OTHER, &three);
    let push = server.hook().send("push", "many", push_with("/after", OTHER)).await;
    let view = is(&server.api, push.json::<DeliveryAccepted>().delivery_id, "failed").await;
    let why = "`.github/workflows` has 3 workflow files, `files_max` is 2";
    assert!(view.reason.as_ref().unwrap().contains(why), "{view:?}");

    forge.commit(HEAD, &[(".github/workflows/ci.yml", &file("build"))]);
    let dry: EvaluationView = server.api.get(&format!("/deliveries/{lost}/evaluation")).await;
    assert!(dry.left_out.as_ref().unwrap().contains("were not looked at"), "{dry:?}");
    let replayed: DeliveryAccepted =
        server.api.done(&format!("/deliveries/{lost}/replay"), json!({})).await;
    assert_eq!(replayed.state, "planning");
    is(&server.api, replayed.delivery_id, "dispatched").await;
    assert_eq!(jobs(&server.api).await, ["build"]);
}

on_both!(
    a_delivery_waits_for_a_forge_that_is_down_over_a_kill_and_its_jobs_run_once,
    what_a_forge_answers_wrongly_is_asked_again,
    the_base_branch_says_what_a_pull_request_of_a_fork_starts,
    what_nobody_mends_by_waiting_fails_and_can_be_replayed,
);

#[tokio::test]
async fn a_commit_is_read_once_however_often_it_is_pushed() {
    let forge = Contents::start(Kind::Github).await;
    forge.commit(HEAD, &[(".github/workflows/ci.yml", &file("build"))]);
    let server = Server::start(&setup(&forge, "")).await;
    for push in ["one", "two", "three"] {
        let id = pushed(&server, push).await;
        is(&server.api, id, "dispatched").await;
    }
    assert_eq!((forge.asked("/contents/.github/workflows?"), forge.asked("/ci.yml")), (1, 1));
    assert_eq!(jobs(&server.api).await, ["build"; 3]);
    // A branch may have moved: it is asked for each time, its files once.
    forge.branch("main", HEAD);
    for star in ["four", "five"] {
        let answer = server.hook().send("issues", star, fixture("issues")).await;
        is(&server.api, answer.json::<DeliveryAccepted>().delivery_id, "ignored").await;
    }
    assert_eq!((forge.asked("/git/ref/heads/main"), forge.asked("/ci.yml")), (2, 1));
}

#[tokio::test]
async fn a_wrong_file_is_told_with_its_line_and_keeps_no_other_from_running() {
    let forge = Contents::start(Kind::Github).await;
    let (good, wrong) = (file("build"), format!("{}foo: 1\n", file("x")));
    let huge = format!("# {}\n{good}", "x".repeat(600_000));
    let folder = ".github/workflows";
    let (of, second) = (format!("{folder}/good.yml"), format!("{folder}/wrong.yml"));
    let third = format!("{folder}/huge.yml");
    forge.commit(HEAD, &[(&of, &good), (&second, &wrong), (&third, &huge)]);
    forge.commit(OTHER, &[(&second, &wrong)]);
    forge.commit(BASE, &[("README.md", "nothing here")]);
    let server = Server::start(&setup(&forge, "")).await;
    let id = pushed(&server, "all").await;
    let view = is(&server.api, id, "dispatched").await;
    let why = |name: &str| {
        let verdict = view.triggers.iter().find(|it| it.trigger.ends_with(name)).unwrap();
        (verdict.matched, verdict.why.clone())
    };
    assert!(why("good.yml").0);
    assert!(why("wrong.yml").1.contains("wrong.yml:4:"), "{view:?}");
    assert!(why("huge.yml").1.contains("larger than 524288 bytes"), "{view:?}");
    assert_eq!(forge.asked("/huge.yml"), 0, "its size is told by the list");
    assert_eq!(jobs(&server.api).await, ["build"]);

    let push = server.hook().send("push", "wrong", push_with("/after", OTHER)).await;
    let view = is(&server.api, push.json::<DeliveryAccepted>().delivery_id, "failed").await;
    assert!(
        view.reason
            .unwrap()
            .contains(".github/workflows/wrong.yml: the file is wrong: wrong.yml:4:")
    );
    let push = server.hook().send("push", "none", push_with("/after", BASE)).await;
    let view = is(&server.api, push.json::<DeliveryAccepted>().delivery_id, "ignored").await;
    let none = "the repository has no workflow files in `.github/workflows` at 111111111111";
    assert_eq!(view.reason.as_deref(), Some(none));
}

#[tokio::test]
async fn a_forge_that_stays_away_is_given_up_after_a_while() {
    let forge = Contents::down(Kind::Github);
    let server = Server::start(&setup(&forge, "give_up_after_ms = 1")).await;
    let id = pushed(&server, "one").await;
    let view = is(&server.api, id, "failed").await;
    let reason = view.reason.unwrap();
    assert!(reason.contains("given up after") && reason.contains("no answer"), "{reason}");
}

#[tokio::test]
async fn one_repository_that_fails_does_not_keep_the_forge_s_others_waiting() {
    let forge = Contents::start(Kind::Github).await;
    forge.commit(HEAD, &[(".github/workflows/ci.yml", &file("build"))]);
    let server = Server::start(&setup(&forge, "timeout_ms = 60000")).await;
    // Whoever comes first is not answered at all.
    forge.faults([Fault::Silent]);
    let other = push_with("/repository/full_name", "octo-org/other");
    let stuck = server.hook().send("push", "stuck", other).await.json::<DeliveryAccepted>();
    until("it is asked", async || (forge.faulty() == 1).then_some(())).await;
    let id = pushed(&server, "well").await;
    is(&server.api, id, "dispatched").await;
    let waits = cli(&server, &format!("deliveries {}", stuck.delivery_id)).await;
    assert!(waits.out.contains("waits for the workflow files of octo-org/other"), "{waits:?}");
    let metrics = scraped(&server.api).await;
    assert!(metrics.contains("dispatchyard_planning_deliveries{source=\"github\"} 1"), "{metrics}");
}

/// What a standby accepted is the leader's to plan, and what that leaves the next one's.
#[tokio::test]
async fn deliveries_of_a_standby_are_planned_by_whoever_leads() {
    let forge = Contents::down(Kind::Github);
    forge.commit(HEAD, &[(".github/workflows/ci.yml", &file("build"))]);
    let instances = "[instances]\nleader_ttl_ms = 1500\nlook_interval_ms = 50\n";
    let setup = Setup::default().on_postgres().await.patient().tokens();
    let setup = setup.rules(&format!("{}{instances}", forge.section("")));
    let (home, other) = (setup.build(), setup.build());
    let mut first = ServerProcess::start(&home).await;
    let second = ServerProcess::start(&other).await;
    instances::is(&second.api, "standby").await;
    let accepted = second.hook().push("one").await;
    assert_eq!(accepted.state, "accepted");
    is(&admin(&first.api), accepted.delivery_id, "planning").await;
    first.kill().await;
    instances::is(&second.api, "running").await;
    forge.up().await;
    let api = admin(&second.api);
    is(&api, accepted.delivery_id, "dispatched").await;
    assert_eq!(jobs(&api).await, ["build"]);
}

/// The row of a delivery does not say whose triggers it may reach, so who is limited waits for the files.
#[tokio::test]
async fn a_replay_by_a_tenant_waits_for_the_files() {
    let forge = Contents::start(Kind::Github).await;
    forge.commit(HEAD, &[(".github/workflows/ci.yml", &file("build"))]);
    let others = "[tenants.other]\n[[trigger]]\nname = 'others'\non = 'push'\nworkflow = 'ci'\ntenant = 'other'\n";
    let setup = Setup::default().patient().tokens();
    let setup = setup.rules(&format!("{}{others}", forge.section("")));
    let setup = setup.token("ops", "operator", "tenant = 'default'");
    let server = Server::start(&setup).await;
    let id = pushed(&server, "one").await;
    let view = is(&admin(&server.api), id, "dispatched").await;
    assert_eq!(view.triggers.len(), 2);
    let ops = server.api.with_token(token("ops"));
    let seen = ops.delivery(id).await;
    let names: Vec<_> = seen.triggers.iter().map(|it| it.trigger.as_str()).collect();
    assert_eq!(names, [".github/workflows/ci.yml"], "not that of the other tenant");
    let path = format!("/deliveries/{id}/replay");
    let replayed: DeliveryAccepted = ops.done(&path, json!({})).await;
    assert_eq!((replayed.state.as_str(), replayed.workloads.len()), ("dispatched", 1));

    forge.wants("Bearer somebody-else");
    let push = server.hook().send("push", "two", push_with("/after", OTHER)).await;
    let id = push.json::<DeliveryAccepted>().delivery_id;
    is(&admin(&server.api), id, "failed").await;
    let refused = ops.post(&format!("/deliveries/{id}/replay"), json!({})).await;
    assert_eq!(refused.status, 502, "{refused:?}");
    assert!(refused.text.contains("cannot be read now"), "{refused:?}");
}
