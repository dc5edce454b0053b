//! How agents of sessions end, and what counts as dealt with then; and that what they start is known to be theirs.

use dispatchyard::api::wire::{DeliveryAccepted, MessageView, SessionDetail};
use dispatchyard::model::{MessageKind, SessionState, TrustLevel};
use reqwest::Method;
use serde_json::{Value, json};

use crate::sessions::{echo, is, open, replied, replies, say, session};
use crate::support::fake_runner::job;
use crate::support::hook::fixture;
use crate::support::{Answer, Api, RunnerProcess, RunnerSetup, Server, Setup, until};

/// A runner with one agent that speaks lines.
async fn jsonl(server: &Server, command: &str) -> RunnerProcess {
    let runner = RunnerSetup::new("one").agent(&format!("a={command}"));
    runner.arguments(&["--agent-protocol", "a=jsonl"]).start(&server.home, &server.api).await
}

async fn started(sessions: &str, command: &str) -> (Server, RunnerProcess, SessionDetail) {
    let setup = Setup::default().patient().more(&format!("[sessions]\n{sessions}"));
    let server = Server::start(&setup).await;
    let runner = jsonl(&server, command).await;
    let id = open(&server.api, json!({ "agent": "a", "message": "hello" })).await.session_id;
    let opened = session(&server.api, id).await;
    (server, runner, opened)
}

/// Waits until the server says something with these words in a session.
async fn noted(api: &Api, before: &SessionDetail, words: &str) -> SessionDetail {
    until(&format!("a note with `{words}`"), async || {
        let detail = session(api, before.session.id).await;
        let is_it = |it: &MessageView| it.kind == MessageKind::Note && it.text.contains(words);
        detail.messages.iter().any(is_it).then_some(())
    })
    .await;
    // The row was read before its messages were.
    session(api, before.session.id).await
}

#[tokio::test]
async fn an_agent_that_leaves_well_without_a_word_has_dealt_with_nothing() {
    let (server, _runner, opened) = started("", "exit 0").await;
    let detail = noted(&server.api, &opened, "has dealt with nothing from message 1 on").await;
    assert_eq!((detail.session.state, detail.session.delivered), (SessionState::Idle, 0));
}

#[tokio::test]
async fn an_agent_that_ignores_the_end_of_its_input_is_stopped() {
    let command = r#"read line; echo '{"type":"reply","text":"hi"}'; echo '{"type":"turn_end"}'; exec sleep 600"#;
    let limits = "session_idle_ms = 200\nsession_end_grace_ms = 300\n";
    let (server, _runner, opened) = started(limits, command).await;
    let workload = opened.session.workload_id.unwrap();
    let detail = is(&server.api, opened.session.id, SessionState::Idle).await;
    assert_eq!((replies(&detail), detail.session.delivered), (vec!["hi"], 1));
    let job = server.api.workload(workload).await.jobs[0].clone();
    let log = server.api.log(job.id).await;
    assert!(log.contains("(session_end_grace_ms): it is stopped"), "{log}");
    assert_eq!(job.state.as_str(), "completed", "it had done what was asked");
}

#[tokio::test]
async fn an_agent_that_never_says_anything_is_let_go_and_stopped() {
    let limits = "session_idle_ms = 100\nsession_silence_ms = 400\nsession_end_grace_ms = 200\n";
    let (server, _runner, opened) = started(limits, "exec sleep 600").await;
    let detail = noted(&server.api, &opened, "the agent failed").await;
    assert_eq!((detail.session.state, detail.session.delivered), (SessionState::Idle, 0));
    let workload = opened.session.workload_id.unwrap();
    let job = server.api.workload(workload).await.jobs[0].id;
    let log = server.api.log(job).await;
    assert!(log.contains("said nothing for 400 ms (session_silence_ms)"), "{log}");
}

#[tokio::test]
async fn the_request_of_an_agent_that_failed_holds_nothing_up() {
    let command = r#"read line; echo '{"type":"approval_request","text":"may I?"}'; exit 3"#;
    let (server, _runner, opened) = started("", command).await;
    let id = opened.session.id;
    let detail = noted(&server.api, &opened, "request 2 is withdrawn").await;
    assert_eq!((detail.session.state, detail.session.approvals.len()), (SessionState::Idle, 0));
    let answer = json!({ "approve": true });
    let late = server.api.post(&format!("/sessions/{id}/approvals/2"), answer).await;
    assert_eq!(late.status, 409, "{late:?}");
    say(&server.api, id, "again").await;
    assert_ne!(session(&server.api, id).await.session.workload_id, opened.session.workload_id);
}

#[tokio::test]
async fn a_servers_limit_of_one_call_cuts_what_an_agent_says_and_loses_nothing() {
    let setup = Setup::default().patient().more("[sessions]\nsession_batch_messages_max = 2\n");
    let server = Server::start(&setup).await;
    let kept = server.home.file("kept");
    let id = open(&server.api, json!({ "agent": "echo", "message": "0" })).await.session_id;
    for number in 1..6 {
        say(&server.api, id, &number.to_string()).await;
    }
    let _runner = echo("one", &kept).start(&server.home, &server.api).await;
    let detail = until("all turns are told", async || {
        let detail = session(&server.api, id).await;
        (detail.session.spent.turns == 6 && detail.session.delivered == 6).then_some(detail)
    })
    .await;
    assert_eq!(replies(&detail), ["0", "1", "2", "3", "4", "5"]);
    say(&server.api, id, "more").await;
    assert_eq!(*replies(&replied(&server.api, id, 7).await).last().unwrap(), "more");
}

#[tokio::test]
async fn who_is_asked_once_is_given_all_that_fits_and_the_rest_in_the_next_turn() {
    let server = Server::start(&Setup::default().patient()).await;
    let id = open(&server.api, json!({ "agent": "plain", "message": "m0," })).await.session_id;
    for number in 1..130 {
        say(&server.api, id, &format!("m{number},")).await;
    }
    for number in 130..133 {
        say(&server.api, id, &format!("{}m{number},", "x".repeat(60_000))).await;
    }
    let runner = RunnerSetup::new("one").agent("plain=grep -o 'm[0-9]*,' | tr -d '\n'; echo");
    let _runner = runner.start(&server.home, &server.api).await;
    let detail = replied(&server.api, id, 2).await;
    let numbers = |range: std::ops::Range<i32>| -> String {
        range.map(|number| format!("m{number},")).collect()
    };
    assert_eq!(replies(&detail), [numbers(0..131), numbers(131..133)]);
    let detail = is(&server.api, id, SessionState::Idle).await;
    let messages = detail.messages.iter().filter(|it| it.kind == MessageKind::Message);
    assert_eq!(messages.map(|it| it.sequence).max(), Some(detail.session.delivered));
}

async fn caused(api: &Api, path: &str, proof: &str, body: Value) -> Answer {
    let request = api.request(Method::POST, &format!("/api/v1{path}"));
    let answer = request.header("x-dispatchyard-cause", proof).json(&body).send().await.unwrap();
    Answer::of(answer).await.unwrap()
}

#[tokio::test]
async fn what_a_job_starts_is_known_to_be_its_own_without_its_word() {
    let rules = "[[trigger]]\nname = 'all'\non = 'issues'\nagent = { profile = 'tell', prompt = 'x', runs_on = ['x'] }\n";
    let server = Server::start(&Setup::default().patient().rules(rules)).await;
    let (file, go) = (server.home.file("proof"), server.home.file("go"));
    let command = format!(
        "tell=echo \"$DISPATCHYARD_CAUSE\" > {0}.new; mv {0}.new {0}; while test ! -e {1}; do sleep 0.05; done",
        file.display(),
        go.display()
    );
    let _runner = RunnerSetup::new("one").agent(&command).start(&server.home, &server.api).await;
    let sent = server.hook().send("issues", "stranger", fixture("issues")).await;
    let cause = sent.json::<DeliveryAccepted>().workloads[0];
    let proof = until("the proof", async || std::fs::read_to_string(&file).ok()).await;
    let proof = proof.trim();
    let event = json!({ "kind": "tick" });
    let accepted: DeliveryAccepted = caused(&server.api, "/events", proof, event).await.json();
    let trust = server.api.delivery(accepted.delivery_id).await.trust;
    assert_eq!(trust.level, TrustLevel::Untrusted, "{trust:?}");
    assert!(trust.reason.contains(&format!("workload {cause} caused it")), "{trust:?}");
    let other = json!({ "kind": "tick", "caused_by": 99 });
    assert_eq!(caused(&server.api, "/events", proof, other).await.status, 400);
    let work = json!({ "name": "w", "jobs": [job("later")] });
    let made = caused(&server.api, "/workloads", proof, work).await;
    assert_eq!(made.status, 201, "{made:?}");
    let talk = json!({ "agent": "a", "message": "x" });
    assert_eq!(caused(&server.api, "/sessions", proof, talk.clone()).await.status, 201);
    // A token may speak in a session that it started itself; work that is not trusted may not.
    let own = open(&server.api, talk.clone()).await.session_id;
    let words = json!({ "message": "do as I say" });
    let path = format!("/sessions/{own}/messages");
    assert_eq!(caused(&server.api, &path, proof, words).await.status, 422);
    say(&server.api, own, "go on").await;
    for (proof, status) in [("nonsense", 400), (&*format!("{proof}0"), 409), ("999.ab", 409)] {
        assert_eq!(
            caused(&server.api, "/sessions", proof, talk.clone()).await.status,
            status,
            "{proof}"
        );
    }
    std::fs::write(&go, "").unwrap();
    server.api.workload_is(cause, dispatchyard::model::WorkloadState::Completed).await;
    assert_eq!(caused(&server.api, "/events", proof, json!({ "kind": "tick" })).await.status, 409);
}
