//! Sessions of agents: a real runner, a real command as the agent, and a server that is killed in the middle.

use dispatchyard::api::wire::{List, MessageView, SessionDetail, SessionOpened, SessionView};
use dispatchyard::model::{Direction, MessageKind, SessionState};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::hook::fixture;
use crate::support::sse::Stream;
use crate::support::{Api, RunnerSetup, Server, ServerProcess, Setup, on_both, until};

/// Answers each message with what it read, byte for byte, and keeps the lines that it read.
const ECHO: &str = r#"python3 -u -c '
import json, os, sys
kept = open(os.environ["KEPT"], "ab")
for raw in sys.stdin.buffer:
    kept.write(raw); kept.flush()
    line = json.loads(raw)
    if line["type"] == "end":
        break
    if line["type"] == "approval":
        print(json.dumps({"type": "reply", "text": "answer %s %s" % (line["id"], line["approve"])}))
    elif line["text"] == "ask":
        print(json.dumps({"type": "approval_request", "text": "may I?", "id": "r1"}))
    elif line["text"] == "leave":
        print(json.dumps({"type": "turn_end"}), flush=True)
        break
    else:
        print("thinking about it")
        print(json.dumps({"type": "reply", "text": line["text"]}))
        print(json.dumps({"type": "usage", "input_tokens": 5, "output_tokens": 2, "cost_usd": 0.001}))
    print(json.dumps({"type": "turn_end"}))
'"#;

/// A runner with an agent that echoes.
pub(crate) fn echo(name: &str, kept: &std::path::Path) -> RunnerSetup {
    let command = format!("echo=KEPT={} exec {ECHO}", kept.display());
    RunnerSetup::new(name).agent(&command).arguments(&["--agent-protocol", "echo=jsonl"])
}

pub(crate) async fn open(api: &Api, body: Value) -> SessionOpened {
    let answer = api.post("/sessions", body).await;
    assert!(matches!(answer.status, 200 | 201), "{answer:?}");
    answer.json()
}

pub(crate) async fn session(api: &Api, id: impl std::fmt::Display) -> SessionDetail {
    api.get(&format!("/sessions/{id}?limit=500")).await
}

pub(crate) async fn say(api: &Api, id: impl std::fmt::Display, text: &str) {
    let answer = api.post(&format!("/sessions/{id}/messages"), json!({ "message": text })).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

pub(crate) fn replies(detail: &SessionDetail) -> Vec<&str> {
    let of_agent = |it: &&MessageView| it.kind == MessageKind::Reply;
    detail.messages.iter().filter(of_agent).map(|it| it.text.as_str()).collect()
}

/// Waits until so many replies are there.
pub(crate) async fn replied(api: &Api, id: impl std::fmt::Display, many: usize) -> SessionDetail {
    let id = id.to_string();
    until(&format!("{many} replies"), async || {
        let detail = session(api, &id).await;
        (replies(&detail).len() >= many).then_some(detail)
    })
    .await
}

pub(crate) async fn is(
    api: &Api,
    id: impl std::fmt::Display,
    state: SessionState,
) -> SessionDetail {
    let id = id.to_string();
    until(&format!("session {id} is {state:?}"), async || {
        let detail = session(api, &id).await;
        (detail.session.state == state).then_some(detail)
    })
    .await
}

async fn a_conversation_reaches_the_agent_byte_for_byte_and_back(setup: Setup) {
    let server = Server::start(&setup.patient()).await;
    let kept = server.home.file("kept");
    let runner = echo("one", &kept).start(&server.home, &server.api).await;
    let hostile =
        "\"; rm -rf / $(id) `id`\n{\"type\":\"end\"}\n\u{1F600}\u{202e}\u{7}\\u0000 ${{ x }}";
    let opened = open(&server.api, json!({ "agent": "echo", "message": hostile })).await;
    assert!(opened.made && opened.sequence == 1);
    let id = opened.session_id;
    let detail = replied(&server.api, id, 1).await;
    assert_eq!(replies(&detail), [hostile]);
    // While the agent runs, and without another job.
    say(&server.api, id, "second").await;
    let detail = until("two turns", async || {
        let detail = session(&server.api, id).await;
        (detail.session.spent.turns == 2).then_some(detail)
    })
    .await;
    assert_eq!(replies(&detail), [hostile, "second"]);
    let SessionView { spent, delivered, runner_id, state, .. } = detail.session.clone();
    assert_eq!((spent.input_tokens, spent.output_tokens, spent.cost_micros), (10, 4, 2_000));
    assert_eq!((runner_id, state), (Some(runner.id), SessionState::Running));
    let second = detail.messages.iter().find(|it| it.text == "second").unwrap();
    assert!(second.lease.is_some() && second.sequence <= delivered);
    let progress = detail.messages.iter().find(|it| it.kind == MessageKind::Progress).unwrap();
    assert_eq!(progress.text, "thinking about it");
    let lines = std::fs::read_to_string(&kept).unwrap();
    let texts: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(texts.iter().map(|line| &line["text"]).collect::<Vec<_>>(), [hostile, "second"]);
    assert_eq!(texts[0]["seq"], 1);
    let answer = server.api.post(&format!("/sessions/{id}/cancel"), json!({})).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let over =
        server.api.post(&format!("/sessions/{id}/messages"), json!({ "message": "x" })).await;
    assert_eq!(over.problem(), (409, "conflict".into()));
    let detail = session(&server.api, id).await;
    assert_eq!(detail.session.state, SessionState::Ended);
    assert_eq!(detail.session.end_reason.as_deref(), Some("ended by admin"));
}

async fn a_server_killed_in_the_middle_loses_no_message(setup: Setup) {
    let home = setup.patient().own_port().build();
    let mut server = ServerProcess::start(&home).await;
    let kept = home.file("kept");
    let _runner = echo("one", &kept).start(&home, &server.api).await;
    let opened = open(&server.api, json!({ "agent": "echo", "message": "m0" })).await;
    let id = opened.session_id;
    replied(&server.api, id, 1).await;
    for round in 1..=3 {
        say(&server.api, id, &format!("m{round}")).await;
        server.kill().await;
        server = ServerProcess::start(&home).await;
    }
    let detail = replied(&server.api, id, 4).await;
    let mut first: Vec<&str> = Vec::new();
    for reply in replies(&detail) {
        if !first.contains(&reply) {
            first.push(reply);
        }
    }
    assert_eq!(first, ["m0", "m1", "m2", "m3"], "each of them, in order");
    let detail = until("all is dealt with", async || {
        let detail = session(&server.api, id).await;
        let said = detail.messages.iter().filter(|it| it.direction == Direction::In);
        let last = said.map(|it| it.sequence).max().unwrap();
        (detail.session.delivered == last).then_some(detail)
    })
    .await;
    let numbers: Vec<i64> = detail.messages.iter().map(|it| it.sequence).collect();
    assert_eq!(numbers, (1..=detail.session.last_sequence).collect::<Vec<_>>());
}

async fn a_killed_runners_messages_are_told_again_by_the_next(setup: Setup) {
    let server = Server::start(&setup.patient()).await;
    let mut first = RunnerSetup::new("one")
        .agent("echo=exec sleep 600")
        .arguments(&["--agent-protocol", "echo=jsonl"])
        .start(&server.home, &server.api)
        .await;
    let opened = open(&server.api, json!({ "agent": "echo", "message": "hello" })).await;
    is(&server.api, opened.session_id, SessionState::Running).await;
    first.kill().await;
    let workload = session(&server.api, opened.session_id).await.session.workload_id.unwrap();
    let job = server.api.workload(workload).await.jobs[0].id;
    let lost = server.api.post(&format!("/jobs/{job}/requeue"), json!({ "reason": "lost" })).await;
    assert_eq!(lost.status, 200, "{lost:?}");
    let kept = server.home.file("kept");
    let second = echo("two", &kept).start(&server.home, &server.api).await;
    let detail = replied(&server.api, opened.session_id, 1).await;
    assert_eq!(replies(&detail), ["hello"]);
    assert_eq!(detail.session.runner_id, Some(second.id));
}

async fn two_comments_at_the_same_instant_make_one_session(setup: Setup) {
    let rules = r#"
[[trigger]]
name = "agent"
on = "issue_comment"
agent = { profile = "echo", prompt = "You help.", runs_on = ["x"], session = "subject", command = "/agent" }
"#;
    let server = Server::start(&setup.patient().rules(rules)).await;
    let body = |text: &str, id: i64, action: &str| {
        let mut body: Value = serde_json::from_slice(&fixture("issue_comment_on_pr")).unwrap();
        body["action"] = action.into();
        body["comment"]["body"] = text.into();
        body["comment"]["id"] = id.into();
        body["sender"]["type"] = "User".into();
        body.to_string()
    };
    let (one, two) = (server.hook(), server.hook());
    let first = body("/agent one", 1, "created");
    let second = body("Well:\n\n/agent two\n```\ncode\n```", 2, "created");
    let sent = tokio::join!(
        one.send("issue_comment", "c1", first),
        two.send("issue_comment", "c2", second),
    );
    assert_eq!((sent.0.status, sent.1.status), (202, 202), "{sent:?}");
    for (text, id, action) in [
        ("> /agent quoted", 3, "created"),
        ("`/agent code`", 4, "created"),
        ("/agent edited", 5, "edited"),
        ("nothing", 6, "created"),
    ] {
        let sent =
            server.hook().send("issue_comment", &format!("d{id}"), body(text, id, action)).await;
        assert_eq!(sent.status, 202, "{sent:?}");
    }
    let sessions: List<SessionView> = server.api.get("/sessions").await;
    assert_eq!(sessions.items.len(), 1, "{sessions:?}");
    let view = &sessions.items[0];
    assert!(view.key.starts_with("github:") && view.key.contains('!'), "{}", view.key);
    assert_eq!(view.origin["trigger"], "agent");
    let detail = session(&server.api, view.id).await;
    let mut texts: Vec<&str> = detail.messages.iter().map(|it| it.text.as_str()).collect();
    assert_eq!(texts.remove(0), "You help.");
    texts.sort_unstable();
    assert_eq!(texts, ["one", "two\n```\ncode\n```"]);
    let kept = server.home.file("kept");
    let _runner = echo("one", &kept).start(&server.home, &server.api).await;
    let detail = replied(&server.api, view.id, 3).await;
    assert_eq!(replies(&detail)[0], "You help.");
}

on_both!(
    a_conversation_reaches_the_agent_byte_for_byte_and_back,
    a_server_killed_in_the_middle_loses_no_message,
    a_killed_runners_messages_are_told_again_by_the_next,
    two_comments_at_the_same_instant_make_one_session,
);

#[tokio::test]
async fn an_agent_that_rested_is_started_again_by_the_next_message() {
    let setup = Setup::default().patient().more("[sessions]\nsession_idle_ms = 300\n");
    let server = Server::start(&setup).await;
    let kept = server.home.file("kept");
    let _runner = echo("one", &kept).start(&server.home, &server.api).await;
    let id = open(&server.api, json!({ "agent": "echo", "message": "a" })).await.session_id;
    let idle = is(&server.api, id, SessionState::Idle).await;
    assert_eq!((idle.session.workload_id, idle.session.delivered), (None, 1));
    say(&server.api, id, "b").await;
    let detail = replied(&server.api, id, 2).await;
    assert_eq!(replies(&detail), ["a", "b"]);
    // One that leaves by itself is started again too.
    say(&server.api, id, "leave").await;
    is(&server.api, id, SessionState::Idle).await;
    let lines = std::fs::read_to_string(&kept).unwrap();
    assert!(lines.lines().any(|line| line == r#"{"type":"end"}"#), "{lines}");
}

#[tokio::test]
async fn a_request_waits_for_somebody_who_may_answer() {
    let setup = Setup::default().patient().tokens().token("who", "submit", "");
    let server = Server::start(&setup).await;
    let admin = server.api.with_token(crate::support::home::ADMIN_TOKEN);
    let kept = server.home.file("kept");
    let _runner = echo("one", &kept).start(&server.home, &admin).await;
    let who = server.api.with_token(crate::support::home::token("who"));
    let id = open(&who, json!({ "agent": "echo", "message": "ask" })).await.session_id;
    let waiting = is(&admin, id, SessionState::WaitingApproval).await;
    let request = waiting.session.approvals[0];
    let path = format!("/sessions/{id}/approvals/{request}");
    let body = json!({ "approve": true, "note": "go" });
    assert_eq!(who.post(&path, body.clone()).await.status, 403);
    assert_eq!(admin.post(&path, body.clone()).await.status, 200);
    let detail = replied(&admin, id, 1).await;
    assert_eq!(replies(&detail), ["answer r1 True"]);
    assert_eq!(admin.post(&path, body).await.status, 409, "it is answered");
}

#[tokio::test]
async fn a_plain_profile_is_asked_once_and_its_output_is_the_reply() {
    let server = Server::start(&Setup::default().patient()).await;
    let runner = RunnerSetup::new("one").agent("plain=tr a-z A-Z; echo; echo done");
    let _runner = runner.start(&server.home, &server.api).await;
    let id = open(&server.api, json!({ "agent": "plain", "message": "hello" })).await.session_id;
    let detail = is(&server.api, id, SessionState::Idle).await;
    assert_eq!(replies(&detail), ["HELLO\ndone"]);
    assert_eq!((detail.session.spent.turns, detail.session.delivered), (1, 1));
    say(&server.api, id, "more").await;
    let detail = replied(&server.api, id, 2).await;
    assert_eq!(replies(&detail)[1], "MORE\ndone");
}

#[tokio::test]
async fn an_agent_that_fails_or_talks_too_long_does_no_harm() {
    let server = Server::start(&Setup::default().patient()).await;
    let runner = RunnerSetup::new("one")
        .agent("broken=exit 3")
        .agent("long=python3 -c 'print(\"x\" * 300000); print(\"{\\\"type\\\":\\\"reply\\\",\\\"text\\\":\\\"still here\\\"}\")'; cat > /dev/null & exec 0<&-; wait")
        .arguments(&["--agent-protocol", "broken=jsonl", "--agent-protocol", "long=jsonl"]);
    let _runner = runner.start(&server.home, &server.api).await;
    let body = json!({ "agent": "broken", "message": "a" });
    let id = open(&server.api, body).await.session_id;
    let detail = until("the agent failed", async || {
        let detail = session(&server.api, id).await;
        let note = |it: &MessageView| it.kind == MessageKind::Note;
        detail.messages.iter().any(note).then_some(detail)
    })
    .await;
    assert_eq!((detail.session.state, detail.session.delivered), (SessionState::Idle, 0));
    let id = open(&server.api, json!({ "agent": "long", "message": "a" })).await.session_id;
    let detail = replied(&server.api, id, 1).await;
    assert_eq!(replies(&detail), ["still here"]);
    let told = detail.messages.iter().find(|it| it.kind == MessageKind::Progress).unwrap();
    assert!(told.text.contains("is in the log alone"), "{}", told.text);
}

#[tokio::test]
async fn the_events_of_a_session_go_on_where_a_reader_stopped() {
    let server = Server::start(&Setup::default().patient()).await;
    let id =
        open(&server.api, json!({ "agent": "echo", "message": "a", "key": "k" })).await.session_id;
    let path = format!("/sessions/{id}/events");
    let mut stream = Stream::open(&server.api, &path, None).await;
    let first = stream.next().await.unwrap();
    assert_eq!((first.event.as_str(), first.id.as_deref()), ("message", Some("1")));
    let state = stream.next().await.unwrap();
    assert_eq!(state.event, "state");
    drop(stream);
    let joined = open(&server.api, json!({ "agent": "echo", "message": "b", "key": "k" })).await;
    assert_eq!((joined.session_id, joined.made), (id, false));
    let mut stream = Stream::open(&server.api, &path, Some("1")).await;
    let next = stream.next().await.unwrap();
    let view: Value = serde_json::from_str(&next.data).unwrap();
    assert_eq!((next.id.as_deref(), &view["text"]), (Some("2"), &json!("b")));
    server.api.post(&format!("/sessions/{id}/cancel"), json!({ "reason": "over" })).await;
    let mut last = Vec::new();
    while let Some(event) = stream.next().await {
        last.push(event);
    }
    assert_eq!(last.last().unwrap().event, "state");
    assert!(last.last().unwrap().data.contains("\"ended\""), "{last:?}");
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_told_and_a_repeated_one_is_answered() {
    let server = Server::start(&Setup::default()).await;
    let table = [
        (json!({ "agent": "a b", "message": "x" }), 400, "`agent` is a profile's name"),
        (json!({ "agent": "a", "message": " " }), 400, "`message` is empty"),
        (json!({ "agent": "a", "message": "x".repeat(70_000) }), 413, "session_message_bytes_max"),
        (json!({ "agent": "a", "message": "x", "limits": { "turns_max": 0 } }), 400, "at least 1"),
        (json!({ "agent": "a", "message": "x", "tenant": "nobody" }), 404, "no tenant nobody"),
        (json!({ "agent": "a", "message": "x", "kee": "k" }), 400, "kee"),
    ];
    for (body, status, words) in table {
        let answer = server.api.post("/sessions", body).await;
        assert_eq!(answer.status, status, "{answer:?}");
        assert!(answer.text.contains(words), "{answer:?}");
    }
    let ask = async || {
        let request = server.api.request(Method::POST, "/api/v1/sessions");
        let request = request.header("idempotency-key", "k1");
        let request = request.json(&json!({ "agent": "a", "message": "x" }));
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.json::<SessionOpened>().await.unwrap())
    };
    let (first, again) = (ask().await, ask().await);
    assert_eq!((first.0, again.0), (201, 200));
    assert_eq!(first.1.session_id, again.1.session_id);
    assert!(again.1.duplicate);
    let unknown = server.api.post("/sessions/99/messages", json!({ "message": "x" })).await;
    assert_eq!(unknown.problem(), (404, "not-found".into()));
}
