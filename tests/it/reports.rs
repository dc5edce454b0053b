//! What others outside are told, through a stand-in that answers wrongly: statuses, comments and callbacks, in order,
//! once where a repeat can be told, given up visibly and tried again.

use dispatchyard::api::wire::{List, OutboxView};
use dispatchyard::webhook::{Scheme, Secret, signed_headers};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::command::cli;
use crate::support::fake_runner::job;
use crate::support::home::{CALLBACK_SECRET, HOOK_SECRET, RULES};
use crate::support::hook::{answer, fixture};
use crate::support::server::ServerProcess;
use crate::support::told::{Fault, Told};
use crate::support::{Api, FakeRunner, Server, Setup, on_both, until};

const STATUSES: &str = "/statuses/";
const COMMENTS: &str = "/comments";
const CALLBACK: &str = "/callback";

/// Tries follow each other quickly.
const QUICK: &str = "[reports]\nbackoff_ms = 20\nbackoff_max_ms = 100\ntimeout_ms = 500\n\
                     callback_secret = { file = \"callback-secret\" }\nprivate_addresses = true\n";

/// Pushes and pull requests start the same.
const BOTH: &str =
    "[[trigger]]\nname = \"pr\"\nsource = \"github\"\nworkflow = \"ci\"\non = \"pull_request\"\n";

/// What its source is told, by a token.
fn setup(setup: Setup, told: &Told, report: &str, reports: &str) -> Setup {
    let section = told.section(&format!("token = {{ file = \"hook-secret\" }}\n{report}"));
    setup.patient().rules(&format!("{section}{QUICK}{reports}{RULES}{BOTH}"))
}

async fn outbox(api: &Api) -> Vec<OutboxView> {
    let mut list: List<OutboxView> = api.get("/outbox").await;
    list.items.reverse();
    list.items
}

/// Waits until nothing waits, and gives all of it, oldest first.
async fn all_told(api: &Api) -> Vec<OutboxView> {
    until("nothing is left to be told", async || {
        let all = outbox(api).await;
        all.iter().all(|entry| entry.state != "waiting").then_some(all)
    })
    .await
}

/// Carries out the next two jobs, as `ci` has them.
async fn both_jobs_end_well(api: &Api) {
    let runner = FakeRunner::register(api, "r", &["self-hosted"]).await;
    for _ in 0..2 {
        let job = runner.begin().await;
        runner.complete(&job).await;
    }
}

fn is(state: &'static str) -> impl Fn(&Value) -> bool {
    move |body| body["state"] == state
}

async fn a_commit_is_told_where_its_workload_stands_and_why_it_waits(base: Setup) {
    let told = Told::start().await;
    let quick = "refresh_ms = 50\npublic_url = 'https://yard.test/'\n";
    let server = Server::start(&setup(base, &told, "", quick)).await;
    server.hook().push("one").await;
    let first = told.says(STATUSES, is("pending")).await;
    assert_eq!(
        first.path,
        "/api/repos/octo-org/example/statuses/3b2e4d5c6f708192a3b4c5d6e7f8091a2b3c4d5e"
    );
    assert_eq!(first.header("authorization"), format!("Bearer {HOOK_SECRET}"));
    assert_eq!(first.body["context"], "dispatchyard/ci (ci-on-push)");
    assert_eq!(first.body["target_url"], "https://yard.test/api/v1/workloads/1");
    let said = first.body["description"].as_str().unwrap();
    assert!(said.starts_with("Waiting: "), "{said}");
    // Nothing of the workload changes, but why it waits does.
    let pause = json!({ "scope": "everything", "reason": "night" });
    server.api.done::<Value>("/pauses", pause).await;
    let told_why = |body: &Value| body["description"].as_str().unwrap().contains("night");
    told.says(STATUSES, told_why).await;
    server.api.ask(Method::DELETE, "/pauses/everything", None).await;
    both_jobs_end_well(&server.api).await;
    let last = told.says(STATUSES, is("success")).await;
    assert_eq!(last.body["description"], "All 2 jobs are done");
    let all = all_told(&server.api).await;
    let kinds: Vec<_> = all.iter().map(|it| (&*it.what, &*it.state)).collect();
    assert_eq!(kinds, [("made", "sent"), ("started", "sent"), ("ended", "sent")]);
    let many = told.seen(STATUSES).len();
    assert!(many < 20, "what has not changed is not told again: {many}");
}

async fn of_statuses_that_could_not_be_told_only_the_newest_is(base: Setup) {
    let told = Told::start().await;
    // Until then all has happened.
    told.faults([Fault::Status(429, vec![("retry-after", "3".to_owned())])]);
    let server = Server::start(&setup(base, &told, "", "")).await;
    server.hook().push("one").await;
    both_jobs_end_well(&server.api).await;
    told.says(STATUSES, is("success")).await;
    let all = all_told(&server.api).await;
    assert!(all.iter().all(|entry| entry.state == "sent"), "{all:?}");
    assert_eq!((told.refused(), told.seen(STATUSES).len()), (1, 1), "one stands for all");
    let by_another = all.iter().filter(|it| it.note.as_deref() == Some("told by a later one"));
    assert_eq!(by_another.count(), 2, "{all:?}");
}

async fn a_comment_is_written_once_whatever_is_answered(base: Setup) {
    let told = Told::start().await;
    told.faults([
        Fault::Status(429, vec![("retry-after", "1".to_owned())]),
        Fault::Lost,
        Fault::Status(502, vec![]),
        Fault::Done(500),
    ]);
    let report = "statuses = false\ncomments = \"work\"";
    let server = Server::start(&setup(base, &told, report, "")).await;
    let answer = server.hook().send("pull_request", "one", fixture("pull_request")).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    both_jobs_end_well(&server.api).await;
    let all = all_told(&server.api).await;
    assert!(all.iter().all(|entry| entry.state == "sent"), "{all:?}");
    let comments = told.comments();
    assert_eq!(comments.len(), 2, "{comments:?}");
    assert!(comments[0].starts_with("`ci` has started (workload 1)."), "{comments:?}");
    assert!(comments[1].starts_with("`ci` completed (workload 1)."), "{comments:?}");
    assert!(comments[1].contains("<!-- dispatchyard "), "{comments:?}");
    assert!(told.seen(COMMENTS).iter().all(|it| it.path.contains("/octo-org/example/issues/7/")));
}

async fn what_is_not_allowed_is_given_up_visibly_and_tried_again_when_asked(base: Setup) {
    let told = Told::start().await;
    told.faults([Fault::Status(401, vec![]), Fault::Status(404, vec![])]);
    let report = "statuses = false\ncomments = \"work\"";
    let server = Server::start(&setup(base, &told, report, "")).await;
    server.hook().send("pull_request", "one", fixture("pull_request")).await;
    both_jobs_end_well(&server.api).await;
    let all = all_told(&server.api).await;
    let states: Vec<_> = all.iter().map(|it| (&*it.state, it.attempts)).collect();
    assert_eq!(states, [("dead", 1), ("dead", 1)], "{all:?}");
    assert!(all[0].note.as_deref().unwrap().contains("401"), "{all:?}");
    assert!(!format!("{all:?}").contains(HOOK_SECRET));
    let seen = cli(&server, "outbox --dead").await;
    assert!(
        seen.out.contains("github octo-org/example #7") && seen.out.contains("outbox retry"),
        "{seen:?}"
    );
    let metrics = server.api.request(Method::GET, "/metrics").send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    assert!(metrics.contains("dispatchyard_outbox_dead 2"), "{metrics}");
    assert!(
        metrics.contains("dispatchyard_outbox_tries_total{target=\"comments\",outcome=\"dead\"} 2")
    );
    let one = cli(&server, &format!("outbox retry {}", all[0].id)).await;
    assert_eq!(one.code(), 0, "{one:?}");
    until("the first is told", async || (told.comments().len() == 1).then_some(())).await;
    let again = server.api.post(&format!("/outbox/{}/retry", all[0].id), json!({})).await;
    assert_eq!(again.status, 409, "{again:?}");
    assert_eq!(cli(&server, "outbox retry --all").await.code(), 0);
    until("both are told", async || (told.comments().len() == 2).then_some(())).await;
    assert!(all_told(&server.api).await.iter().all(|entry| entry.state == "sent"));
}

async fn a_server_that_is_killed_while_it_tells_loses_nothing_and_tells_no_comment_twice(
    base: Setup,
) {
    let told = Told::start().await;
    told.faults([Fault::Lost]);
    let report = "statuses = false\ncomments = \"work\"";
    let patient = "[reports]\nbackoff_ms = 20\ntimeout_ms = 2000\n";
    let section = told.section(&format!("token = {{ file = \"hook-secret\" }}\n{report}"));
    let home = base.patient().rules(&format!("{section}{patient}{RULES}{BOTH}")).build();
    let mut server = ServerProcess::start(&home).await;
    server.hook().send("pull_request", "one", fixture("pull_request")).await;
    both_jobs_end_well(&server.api).await;
    // It is written, and the server waits for an answer that never comes.
    until("the comment is there", async || (told.comments().len() == 1).then_some(())).await;
    server.kill().await;
    assert!(!server.told().contains(HOOK_SECRET));
    let server = ServerProcess::start(&home).await;
    let all = all_told(&server.api).await;
    assert!(all.iter().all(|entry| entry.state == "sent"), "{all:?}");
    assert_eq!(told.comments().len(), 2, "{:?}", told.comments());
}

async fn a_callback_hears_each_phase_once_in_order_and_signed(base: Setup) {
    let told = Told::start().await;
    told.faults([
        Fault::Status(503, vec![("retry-after", "1".to_owned())]),
        Fault::Status(500, vec![]),
    ]);
    let server = Server::start(&setup(base, &told, "", "")).await;
    let url = format!("http://{}/callback?key=of-mine", told.address);
    let request = json!({ "name": "mine", "jobs": [job("a")], "callback_url": url });
    let made: Value = server.api.done("/workloads", request).await;
    let runner = FakeRunner::register(&server.api, "r", &["x"]).await;
    let job = runner.begin().await;
    runner.fail(&job).await;
    let seen = told.has(CALLBACK, 3).await;
    let types: Vec<_> = seen.iter().map(|it| it.body["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["workload.made", "workload.started", "workload.ended"]);
    let last = &seen[2].body["data"];
    assert_eq!(last["workload_id"], made["workload_id"]);
    assert_eq!((&last["state"], &last["jobs"][0]["state"]), (&json!("failed"), &json!("failed")));
    let ids: std::collections::BTreeSet<_> =
        seen.iter().map(|it| it.header("webhook-id")).collect();
    assert_eq!(ids.len(), 3);
    let secret = Secret::new(CALLBACK_SECRET.as_bytes()).unwrap();
    for one in &seen {
        let at_s = one.header("webhook-timestamp").parse().unwrap();
        let id = one.header("webhook-id");
        let made = signed_headers(&Scheme::StandardWebhooks.into(), &secret, id, at_s, &one.bytes);
        let made = made.unwrap().unwrap();
        let signature =
            made.iter().find(|(name, _)| name.eq_ignore_ascii_case("webhook-signature"));
        assert_eq!(one.header("webhook-signature"), signature.unwrap().1);
    }
    let all = all_told(&server.api).await;
    assert!(all.iter().all(|entry| entry.state == "sent"), "{all:?}");
    assert!(!format!("{all:?}").contains("of-mine"), "what could be secret is not shown");
    let detail: Value = server.api.get(&format!("/workloads/{}", made["workload_id"])).await;
    assert!(!detail.to_string().contains("of-mine"), "{detail}");
    let event = json!({ "kind": "x", "callback_url": "ftp://x.test" });
    assert_eq!(server.api.post("/events", event).await.status, 400);
}

#[tokio::test]
async fn a_callback_that_nobody_answers_takes_no_place_of_a_status() {
    let (told, slow) = (Told::start().await, Told::start().await);
    slow.faults([Fault::Lost]);
    let one = "at_once_max = 1\n";
    let section = told.section("token = { file = \"hook-secret\" }\n");
    let reports = QUICK.replace("timeout_ms = 500", "timeout_ms = 60000");
    let rules = format!("{section}{reports}{one}{RULES}");
    let server = Server::start(&Setup::default().patient().rules(&rules)).await;
    let url = format!("http://{}/callback", slow.address);
    let request = json!({ "name": "mine", "jobs": [job("a")], "callback_url": url });
    server.api.done::<Value>("/workloads", request).await;
    slow.has(CALLBACK, 1).await;
    server.hook().push("one").await;
    told.says(STATUSES, is("pending")).await;
    let all = outbox(&server.api).await;
    assert_eq!((&*all[0].kind, &*all[0].state), ("callback", "waiting"), "{all:?}");
}

#[tokio::test]
async fn addresses_inside_and_callbacks_that_cannot_be_signed_are_refused() {
    let secret = "[reports]\ncallback_secret = { file = \"callback-secret\" }\n";
    let server = Server::start(&Setup::default().patient().more(secret)).await;
    let with = |url: &str| json!({ "name": "mine", "jobs": [job("a")], "callback_url": url });
    for url in ["http://127.0.0.1:9/x", "http://[::ffff:10.0.0.1]/", "x"] {
        let refused = server.api.post("/workloads", with(url)).await;
        assert_eq!(refused.status, 400, "{url}: {refused:?}");
        assert!(refused.text.contains("callback_url"), "{refused:?}");
    }
    // A name is looked at when it is called.
    let accepted = server.api.post("/workloads", with("http://localhost:9/x")).await;
    assert_eq!(accepted.status, 201, "{accepted:?}");
    until("the address is refused", async || {
        let all = outbox(&server.api).await;
        all.first()?.note.as_ref().filter(|note| note.contains("may not be called")).map(drop)
    })
    .await;
    let plain = Server::start(&Setup::default().patient()).await;
    let refused = plain.api.post("/workloads", with("https://x.example/")).await;
    assert!(refused.status == 400 && refused.text.contains("callback_secret"), "{refused:?}");
}

#[tokio::test]
async fn a_forge_whose_limit_is_reached_is_left_alone_until_it_is_reset() {
    let told = Told::start().await;
    let now_s = || {
        use dispatchyard::clock::{Clock as _, SystemClock};
        SystemClock::new().now().wall_ms / 1_000
    };
    let reset_s = now_s() + 3;
    told.faults([Fault::With(vec![
        ("x-ratelimit-remaining", "0".to_owned()),
        ("x-ratelimit-reset", reset_s.to_string()),
    ])]);
    let server = Server::start(&setup(Setup::default(), &told, "", "refresh_ms = 50\n")).await;
    server.hook().push("one").await;
    told.has(STATUSES, 1).await;
    both_jobs_end_well(&server.api).await;
    assert!(now_s() < reset_s, "the test itself took too long to tell");
    until("it waits", async || {
        let all = outbox(&server.api).await;
        let mut next = all.iter().filter_map(|entry| entry.next_at_ms);
        next.find(|at_ms| *at_ms >= reset_s * 1_000)
    })
    .await;
    let seen = told.has(STATUSES, 2).await;
    assert_eq!(seen[1].body["state"], "success");
    assert!(now_s() >= reset_s);
}

/// A delivery of another forge to a source that nobody signs.
async fn told_by(kind: &str, section: &str, headers: &[(&str, &str)], body: &str) -> Server {
    let rules = format!(
        "[[source]]\nname = \"x\"\nkind = \"{kind}\"\ninsecure = true\n{section}{QUICK}\
         [[trigger]]\nname = \"x\"\nsource = \"x\"\nworkflow = \"ci\"\non = [\"push\", \"pull_request\"]\n"
    );
    let server = Server::start(&Setup::default().patient().rules(&rules)).await;
    let mut request = server.api.request(Method::POST, "/hooks/x");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let path = format!("{}/fixtures/{body}.json", env!("CARGO_MANIFEST_DIR"));
    let request = request.header("content-type", "application/json");
    let answer = answer(request.body(std::fs::read(path).unwrap())).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    server
}

#[tokio::test]
async fn gitea_is_told_as_it_wants_it() {
    let told = Told::start().await;
    let section = told.section("token = { file = \"admin-token\" }\n");
    let headers = [("x-gitea-event", "push"), ("x-gitea-delivery", "d-1")];
    let server = told_by("gitea", &section, &headers, "gitea/push").await;
    let first = told.says(STATUSES, is("pending")).await;
    assert!(first.path.starts_with("/api/repos/"), "{first:?}");
    assert!(first.header("authorization").starts_with("token "), "{first:?}");
    both_jobs_end_well(&server.api).await;
    told.says(STATUSES, is("success")).await;
}

#[tokio::test]
async fn gitlab_is_told_as_it_wants_it() {
    let told = Told::start().await;
    let section = told.section("token = { file = \"admin-token\" }\ncomments = \"ends\"\n");
    let headers = [("x-gitlab-event", "Merge Request Hook"), ("x-gitlab-event-uuid", "u-1")];
    let server = told_by("gitlab", &section, &headers, "gitlab/merge_request").await;
    let first = told.says(STATUSES, is("pending")).await;
    assert!(first.path.starts_with("/api/projects/"), "{first:?}");
    assert!(first.path.contains("%2F") && first.body["name"] == "dispatchyard/ci (x)", "{first:?}");
    both_jobs_end_well(&server.api).await;
    told.says(STATUSES, is("success")).await;
    let notes = told.has("/notes", 1).await;
    assert!(notes[0].path.contains("/merge_requests/"), "{notes:?}");
}

on_both!(
    a_commit_is_told_where_its_workload_stands_and_why_it_waits,
    of_statuses_that_could_not_be_told_only_the_newest_is,
    a_comment_is_written_once_whatever_is_answered,
    what_is_not_allowed_is_given_up_visibly_and_tried_again_when_asked,
    a_server_that_is_killed_while_it_tells_loses_nothing_and_tells_no_comment_twice,
    a_callback_hears_each_phase_once_in_order_and_signed,
);
