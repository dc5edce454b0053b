//! From a signed delivery to jobs that a real runner has carried out.

use dispatchyard::model::{JobStateKind, WorkloadKind, WorkloadState};

use crate::support::hook::{changed, fixture, push_with};
use crate::support::sse::Stream;
use crate::support::{RunnerProcess, RunnerSetup, Server, Setup, on_both};

async fn a_signed_push_becomes_two_jobs_one_after_the_other(setup: Setup) {
    let server = Server::start(&setup.patient()).await;
    let _runner = RunnerProcess::start(&server.home, &server.api, "one").await;
    let accepted = server.hook().push("d-1").await;
    assert_eq!((accepted.state.as_str(), accepted.duplicate), ("dispatched", false));
    assert_eq!(accepted.workloads.len(), 1);

    let workload = server.api.workload_is(accepted.workloads[0], WorkloadState::Completed).await;
    assert_eq!(workload.workload.delivery_id, Some(accepted.delivery_id));
    assert_eq!(workload.workload.trigger.as_deref(), Some("ci-on-push"));
    let [build, test] = &workload.jobs[..] else { panic!("{workload:?}") };
    assert_eq!([build.state, test.state], [JobStateKind::Completed; 2]);
    let detail = server.api.job(test.id).await;
    let started = detail.attempts[0].started_at_ms.unwrap();
    assert!(build.ended_at_ms.unwrap() <= started, "a job starts after those that it needs");

    let log = server.api.log(build.id).await;
    assert!(log.contains("hello from build") && log.contains("ref=refs/heads/main"), "{log}");
    let log = server.api.log(test.id).await;
    assert!(log.contains(r#"{"build":{"artifact":"42"}}"#), "outputs reach who needs them: {log}");
    assert_eq!(detail.needs, ["build"]);
    assert_eq!(detail.attempts.len(), 1);
    assert_eq!(server.api.job(build.id).await.outputs["artifact"], "42");

    let delivery = server.api.delivery(accepted.delivery_id).await;
    assert_eq!(delivery.external_id.as_deref(), Some("d-1"));
    assert_eq!(delivery.triggers[0].workload_id, Some(accepted.workloads[0]));
    assert!(delivery.triggers[0].matched && !delivery.triggers[0].why.is_empty());
}

#[tokio::test]
async fn a_push_that_no_trigger_wants_is_kept_with_the_reason_of_each() {
    let server = Server::start(&Setup::default()).await;
    let body = push_with("/ref", "refs/heads/feature");
    let answer = server.hook().send("push", "d-1", body).await;
    assert_eq!(answer.status, 202);
    let accepted: dispatchyard::api::wire::DeliveryAccepted = answer.json();
    assert_eq!((accepted.state.as_str(), accepted.workloads.len()), ("ignored", 0));
    let delivery = server.api.delivery(accepted.delivery_id).await;
    let verdict = &delivery.triggers[0];
    assert!(!verdict.matched && verdict.why.contains("feature"), "{verdict:?}");
}

/// A log is followed while it is written, and again from the middle of it.
#[tokio::test]
async fn a_followed_log_goes_on_where_the_reader_left() {
    let go = tempfile::TempDir::new().unwrap();
    let folder = go.path().display();
    let workflow = format!(
        "jobs:\n  build:\n    runs-on: [self-hosted]\n    steps:\n      - run: |\n          \
         echo first\n          while test -d {folder} && ! test -e {folder}/go; do sleep 0.02; \
         done\n          echo second\n"
    );
    let server = Server::start(&Setup::default().patient().workflow("ci", workflow)).await;
    let _runner = RunnerProcess::start(&server.home, &server.api, "one").await;
    let accepted = server.hook().push("d-1").await;
    let job = server.api.workload(accepted.workloads[0]).await.jobs[0].id;
    let path = format!("/jobs/{job}/logs");

    let mut stream = Stream::open(&server.api, &path, None).await;
    let mut text = String::new();
    let mut last_id = None;
    while !text.contains("first\n") {
        let event = stream.next().await.unwrap();
        assert_eq!(event.event, "log");
        let chunk: dispatchyard::api::wire::LogChunk = serde_json::from_str(&event.data).unwrap();
        text += &chunk.text;
        last_id = event.id;
    }
    drop(stream);
    std::fs::write(go.path().join("go"), "").unwrap();

    let mut stream = Stream::open(&server.api, &path, last_id.as_deref()).await;
    let events = stream.up_to("end").await;
    let rest = events.iter().filter(|event| event.event == "log").map(|event| {
        serde_json::from_str::<dispatchyard::api::wire::LogChunk>(&event.data).unwrap().text
    });
    let rest: String = rest.collect();
    assert!(rest.contains("second") && !rest.contains("first"), "{rest}");
    assert_eq!(events.last().unwrap().data, r#"{"state":"completed"}"#);
    assert_eq!(text + &rest, server.api.log(job).await, "nothing is missing and nothing twice");
}

const AGENT: &str = r#"
[[trigger]]
name = "agent-on-issue"
agent = { profile = "review", prompt = "Look at {{ event.title }}", runs_on = ["x"] }
on = "issues"
"#;

#[tokio::test]
async fn an_agent_job_gets_its_prompt_on_standard_input() {
    let server = Server::start(&Setup::default().patient().rules(AGENT)).await;
    let runner = RunnerSetup::new("agents").agent("review=echo arguments=$#; cat");
    let _runner = runner.start(&server.home, &server.api).await;
    let title = "$(touch pwned) `touch pwned`";
    let answer =
        server.hook().send("issues", "d-1", changed("issues", "/issue/title", title)).await;
    let accepted: dispatchyard::api::wire::DeliveryAccepted = answer.json();
    let workload = server.api.workload_is(accepted.workloads[0], WorkloadState::Completed).await;
    assert_eq!(workload.workload.kind, WorkloadKind::Agent);
    let log = server.api.log(workload.jobs[0].id).await;
    assert!(log.contains("arguments=0") && log.contains(&format!("Look at {title}")), "{log}");
}

/// What a sender writes reaches steps as values. Nothing of it is ever carried out.
#[tokio::test]
async fn event_text_with_shell_characters_is_only_data() {
    let evil = "refs/heads/odd/$(touch${IFS}pwned);`touch pwned`\"'\n&& touch pwned";
    let workflow = r#"
jobs:
  build:
    runs-on: [self-hosted]
    steps:
      - run: |
          printf 'ref=%s\n' "$DISPATCHYARD_EVENT_REF"
          grep -c 'touch' "$DISPATCHYARD_EVENT_PATH" "$DISPATCHYARD_PAYLOAD_PATH"
          ls -A
"#;
    let setup = Setup::default().patient().workflow("ci", workflow);
    let server = Server::start(&setup).await;
    let runner = RunnerSetup::new("one").arguments(&["--keep-workspaces"]);
    let runner = runner.start(&server.home, &server.api).await;
    let answer = server.hook().send("push", "d-1", push_with("/ref", evil)).await;
    let accepted: dispatchyard::api::wire::DeliveryAccepted = answer.json();
    let workload = server.api.workload_is(accepted.workloads[0], WorkloadState::Completed).await;
    let log = server.api.log(workload.jobs[0].id).await;
    // The log has the time before each line.
    for line in format!("ref={evil}").lines() {
        assert!(log.contains(line), "no `{line}` in {log}");
    }
    for folder in [server.home.path(), &runner.work_dir] {
        let found = find(folder, "pwned");
        assert!(found.is_empty(), "carried out: {found:?}");
    }
}

#[tokio::test]
async fn a_run_by_a_deleted_branch_or_a_tag_does_not_start_what_wants_branches() {
    let server = Server::start(&Setup::default()).await;
    for (at, name) in ["push_tag", "push_deleted"].into_iter().enumerate() {
        let answer = server.hook().send("push", &format!("d-{at}"), fixture(name)).await;
        let accepted: dispatchyard::api::wire::DeliveryAccepted = answer.json();
        assert_eq!(accepted.state, "ignored", "{name}: {accepted:?}");
    }
}

fn find(folder: &std::path::Path, name: &str) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.file_name().to_string_lossy().contains(name) {
            found.push(entry.path());
        }
        if entry.file_type().unwrap().is_dir() {
            found.extend(find(&entry.path(), name));
        }
    }
    found
}

on_both!(a_signed_push_becomes_two_jobs_one_after_the_other);
