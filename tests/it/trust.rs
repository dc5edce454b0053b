//! What strangers cause: it runs only where that is said, sees no secret, and what they wrote stays text.

use dispatchyard::api::wire::DeliveryAccepted;
use dispatchyard::model::{JobId, JobStateKind, WorkloadState};
use serde_json::{Value, json};

use crate::support::command::{cli, run};
use crate::support::hook::{changed, fixture};
use crate::support::runner::RunnerSetup;
use crate::support::{RunnerProcess, Server, Setup, on_both, until};

/// A value of the environment of this test, which runners get from it.
const SECRET: &str = "CARGO_PKG_DESCRIPTION";

fn secret() -> String {
    std::env::var(SECRET).unwrap()
}

/// Looks for a value everywhere where a step can, and says in pieces what it found, because whole it would be masked.
const SEARCH: &str = r#"
jobs:
  search:
    runs-on: x
    steps:
      - run: |
          env > seen; cat /proc/$$/environ /proc/$PPID/cmdline /proc/$$/cmdline >> seen 2>/dev/null || true
          ps axww -o args >> seen 2>/dev/null || true
          grep -r . "$PWD" "$(dirname "$DISPATCHYARD_EVENT_PATH")" >> all 2>/dev/null || true
          cat seen >> all
          if grep -qF "$(printf 'DISPATCHYARD_TRUST=%s' trusted)" seen; then echo "I am trusted"; else echo "I am not"; fi
          echo "value: ${CARGO_PKG_DESCRIPTION-none}"
          if [ -n "${CARGO_PKG_DESCRIPTION-}" ]; then echo "it has $(printf %s "$CARGO_PKG_DESCRIPTION" | wc -c) bytes"; fi
          cp all "$HOME_OF_TEST/found-$DISPATCHYARD_TRUST"
"#;

/// The canary: it is in everything that a trusted job sees, and in nothing that an untrusted one does.
#[tokio::test]
async fn a_secret_is_nowhere_where_an_untrusted_job_could_see_it() {
    let rules = "[[trigger]]\nname = 'search'\nworkflow = 'search'\non = 'pull_request'\n";
    let setup = Setup::default().patient().rules(rules);
    let folder = tempfile::tempdir().unwrap();
    let search = SEARCH.replace("$HOME_OF_TEST", folder.path().to_str().unwrap());
    let server = Server::start(&setup.workflow("search", search)).await;
    let runner = RunnerSetup::new("one").arguments(&["--secret-env", SECRET]);
    let _runner = runner.start(&server.home, &server.api).await;
    let whole = secret();
    for (name, id, trusted) in [("pull_request_fork", "fork", false), ("pull_request", "own", true)]
    {
        let answer = server.hook().send("pull_request", id, fixture(name)).await;
        let workload = answer.json::<DeliveryAccepted>().workloads[0];
        let done = server.api.workload_is(workload, WorkloadState::Completed).await;
        let log = server.api.log(done.jobs[0].id).await;
        assert!(!log.contains(&whole), "a log shows it: {log}");
        let level = if trusted { "trusted" } else { "untrusted" };
        let found = std::fs::read(folder.path().join(format!("found-{level}"))).unwrap();
        let found = String::from_utf8_lossy(&found);
        assert_eq!(found.contains(&whole), trusted, "what a {level} job found");
        let size = format!("it has {} bytes", whole.len());
        assert_eq!(log.contains(&size), trusted, "{log}");
        assert_eq!(log.contains("I am trusted"), trusted, "{log}");
    }
}

/// Waits until it is said so why a job waits.
async fn explained(server: &Server, job: JobId, why: &str) {
    until(&format!("job {job} is told `{why}`"), async || {
        let said = cli(server, &format!("explain {job}")).await;
        said.out.contains(why).then_some(())
    })
    .await;
}

async fn strangers_go_only_to_pools_that_take_them(setup: Setup) {
    let rules = "[agent_pools.safe]\naccepts_untrusted = false\n\
                 [[trigger]]\nname = 'both'\nworkflow = 'both'\non = 'pull_request'\n\
                 [[trigger]]\nname = 'closed'\nworkflow = 'closed'\non = 'issues'\n";
    let job = |pools: &str| {
        format!(
            "jobs:\n  a:\n    runs-on: x\n    x-dispatch: {{ {pools} }}\n    steps: [{{ run: 'true' }}]\n"
        )
    };
    let setup = setup.patient().rules(rules).workflow("both", job("pool: [safe, default]"));
    let server = Server::start(&setup.workflow("closed", job("pool: safe"))).await;
    let safe = RunnerSetup::new("safe").arguments(&["--pool", "safe"]);
    let _safe = safe.start(&server.home, &server.api).await;
    let answer = server.hook().send("pull_request", "fork", fixture("pull_request_fork")).await;
    let fork = server.api.workload(answer.json::<DeliveryAccepted>().workloads[0]).await.jobs[0].id;
    let answer = server.hook().send("pull_request", "own", fixture("pull_request")).await;
    let own = server.api.workload(answer.json::<DeliveryAccepted>().workloads[0]).await.jobs[0].id;
    server.api.job_is(own, JobStateKind::Completed).await;
    explained(&server, fork, "is of a pool that takes only trusted work").await;
    assert_eq!(server.api.job(fork).await.job.state, JobStateKind::Pending);
    // A stranger's issue starts what may go nowhere else.
    let answer = server.hook().send("issues", "stranger", fixture("issues")).await;
    let accepted: DeliveryAccepted = answer.json();
    let view = server.api.delivery(accepted.delivery_id).await;
    let told = view.reason.unwrap();
    assert!(view.state == "failed" && told.contains("`safe` takes only trusted work"), "{told}");
    let _open = RunnerProcess::start(&server.home, &server.api, "open").await;
    server.api.job_is(fork, JobStateKind::Completed).await;
}

async fn all_is_paused_and_deliveries_are_still_taken(setup: Setup) {
    let server = Server::start(&setup.patient()).await;
    let _runner = RunnerProcess::start(&server.home, &server.api, "one").await;
    let words = |line: &'static [&'static str]| {
        ["--server", server.api.base()].into_iter().chain(line.iter().copied())
    };
    let said = run(words(&["pause", "--all", "--reason", "a fire in the yard"])).await;
    assert_eq!(said.code(), 0, "{said:?}");
    assert!(said.out.contains("everything") && said.out.contains("a fire in the yard"), "{said:?}");
    let accepted = server.hook().push("one").await;
    assert_eq!(accepted.state, "dispatched");
    let job = server.api.workload(accepted.workloads[0]).await.jobs[0].id;
    explained(&server, job, "a fire in the yard").await;
    assert_eq!(server.api.job(job).await.job.state, JobStateKind::Pending);
    for line in ["pauses", "status", "explain --all"] {
        let said = cli(&server, line).await;
        assert!(said.out.contains("a fire in the yard"), "{line}: {said:?}");
    }
    assert_eq!(cli(&server, "pause --all").await.code(), 2, "it needs a reason");
    assert_eq!(cli(&server, "pause").await.code(), 2);
    assert_eq!(cli(&server, "pause everything --all --reason x").await.code(), 2);
    let said = cli(&server, "resume --all").await;
    assert!(said.out.contains("everything gives out jobs again"), "{said:?}");
    server.api.workload_is(accepted.workloads[0], WorkloadState::Completed).await;
}

on_both!(strangers_go_only_to_pools_that_take_them, all_is_paused_and_deliveries_are_still_taken);

/// What strangers write, each of which is something else where it is not kept as text.
fn hostile() -> Vec<String> {
    let mut all: Vec<String> = [
        "'; touch pwned; '",
        "\"; touch pwned; \"",
        "$(touch pwned)",
        "`touch pwned`",
        "${{ github.token }} ${{ secrets.X }}",
        "{{ event.body }}",
        "--x",
        "-c touch pwned",
        "a\nb\r\nc",
        "a\0b",
        "\u{202e}txt.exe\u{2066}",
        "%s%n%n \\x41 \\",
        "::add-mask::x\n::set-output name=a::b",
        "*",
        "../../etc/passwd",
        "| tee pwned & > pwned",
    ]
    .map(str::to_owned)
    .into();
    all.push("x".repeat(60_000));
    all
}

const SAY: &str = r#"
jobs:
  say:
    runs-on: x
    env: { FROM_EXPRESSION: "${{ github.event.pull_request.title }}" }
    steps:
      - run: |
          printf '%s' "$DISPATCHYARD_EVENT_TITLE" | sha256sum | cut -c1-64 > title
          printf '%s' "$FROM_EXPRESSION" | sha256sum | cut -c1-64 > expression
          echo "title=$(cat title) expression=$(cat expression) files=$(ls | tr '\n' ' ') arguments=$#"
          test ! -e pwned
"#;

/// Titles, bodies, refs and logins of strangers, through approval, prompt, environment and log.
#[tokio::test]
async fn what_strangers_write_stays_text_on_every_way() {
    let rules = "[[trigger]]\nname = 'say'\nworkflow = 'say'\non = 'pull_request'\n\
                 allow = { forks = true, approval = 'untrusted' }\n\
                 [[trigger]]\nname = 'ask'\non = 'pull_request'\n\
                 agent = { profile = 'look', prompt = 'Look at {{ event.title }}', runs_on = ['x'] }\n";
    let setup = Setup::default().patient().rules(rules);
    let server = Server::start(&setup.workflow("say", SAY)).await;
    let runner = RunnerSetup::new("one").slots(4).agent("look=sha256sum; echo arguments=$#");
    let _runner = runner.start(&server.home, &server.api).await;
    for (at, text) in hostile().into_iter().enumerate() {
        let mut body: Value = serde_json::from_slice(&fixture("pull_request_fork")).unwrap();
        for pointer in
            ["/pull_request/title", "/pull_request/body", "/pull_request/head/ref", "/sender/login"]
        {
            *body.pointer_mut(pointer).unwrap() = text.clone().into();
        }
        // Each its own pull request, so that none takes another's place.
        for pointer in ["/number", "/pull_request/number"] {
            *body.pointer_mut(pointer).unwrap() = (at + 100).into();
        }
        let answer =
            server.hook().send("pull_request", &format!("hostile-{at}"), body.to_string()).await;
        assert_eq!(answer.status, 202, "{answer:?}");
        let accepted: DeliveryAccepted = answer.json();
        assert_eq!(accepted.state, "held", "{text:?}");
        let view = server.api.delivery(accepted.delivery_id).await;
        let told = view.reason.unwrap();
        assert!(told.len() < 2_000 && !told.contains(['\n', '\0', '\u{202e}']), "{told}");
        let said = cli(&server, &format!("deliveries {}", accepted.delivery_id)).await;
        assert!(!said.out.contains(['\0', '\u{202e}']), "{said:?}");
        let path = format!("/deliveries/{}/approve", accepted.delivery_id);
        let reason: String = text.chars().take(100).filter(|c| *c != '\0').collect();
        let answer = server.api.post(&path, json!({ "reason": reason })).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let view = until("it is dispatched", async || {
            let view = server.api.delivery(accepted.delivery_id).await;
            (view.state == "dispatched").then_some(view)
        })
        .await;
        for verdict in view.triggers {
            let id = verdict.workload_id.unwrap();
            let ended = until("it has ended", async || {
                let workload = server.api.workload(id).await;
                let state = workload.workload.state;
                matches!(state, WorkloadState::Completed | WorkloadState::Failed)
                    .then_some(workload)
            })
            .await;
            let log = server.api.log(ended.jobs[0].id).await;
            assert!(!log.contains("pwned"), "{text:?}: {log}");
            // No variable can hold NUL: a step that wants it fails, and says so.
            if verdict.trigger == "say" && text.contains('\0') {
                assert_eq!(ended.workload.state, WorkloadState::Failed);
            } else {
                assert_eq!(ended.workload.state, WorkloadState::Completed, "{text:?}: {log}");
                assert!(log.contains("arguments=0"), "{text:?}: {log}");
            }
        }
    }
}

/// The fixture's values may be anything else, too: none of these makes a delivery that is lost.
#[tokio::test]
async fn an_odd_commit_is_no_commit() {
    let rules = "[[trigger]]\nname = 'ci'\nworkflow = 'ci'\non = 'pull_request'\n\
                 allow = { forks = true, approval = 'always' }\n";
    let server = Server::start(&Setup::default().rules(rules)).await;
    for (at, sha) in
        ["", "main", "$(x)", "0000000000000000000000000000000000000000"].into_iter().enumerate()
    {
        let body = changed("pull_request_fork", "/pull_request/head/sha", sha);
        let answer = server.hook().send("pull_request", &format!("odd-{at}"), body).await;
        let accepted: DeliveryAccepted = answer.json();
        assert_eq!(accepted.state, "held");
        let view = server.api.delivery(accepted.delivery_id).await;
        assert_eq!(view.approval.unwrap().sha, None, "{sha}");
    }
    // None of them takes another's place: there is no commit that could be newer.
    let held: Value = server.api.get("/deliveries?state=held").await;
    assert_eq!(held["items"].as_array().unwrap().len(), 4);
}
